"""The figures of the page, one function each. They take plain numbers and return inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from compress.report.labels import place_labels
from compress.report.parts import PART_COLOURS, choose_colour, describe_part
from compress.report.svg import INK, PAPER, RULE, SOFT, new_figure, page_style, to_svg

WIDTH = 4.3
PRECISION_COLOURS = {
    "float32": "#5b7ea8",
    "float16": "#4d9b8c",
    "static_int8": "#c8553d",
    "mixed_int8": "#d98880",
    "qat_int8": "#8f2d56",
    "dynamic_int8": "#dd8f52",
    "weight_only_int8": "#8a6bb1",
    "weight_only_int4": "#a63a50",
}
FORMAT_MARKERS = {"onnx": "o", "tflite": "s", "ort": "D"}


@dataclass(frozen=True, kw_only=True)
class Point:
    """An artifact in a trade-off: cost on a log axis (less is better), accuracy (more is better) and its interval."""

    name: str
    cost: float
    accuracy: float
    interval: tuple[float, float] | None
    precision: str
    format: str


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar of a stacked chart: name on the left, total on the right, parts by name."""

    name: str
    total: str
    parts: Mapping[str, float]


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The points that no other point beats in both cost and accuracy, from cheap to dear."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -p.accuracy, p.name)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def draw_tradeoff(points: Sequence[Point], name: str, title: str, cost_label: str, accuracy_label: str) -> str:
    """Accuracy against cost, with the Pareto front drawn and every point named."""
    with page_style():
        figure, axes = new_figure(WIDTH, 4.1)
        axes.set_xscale("log")
        intervals = [((p.cost, p.interval[0]), (p.cost, p.interval[1])) for p in points if p.interval]
        for p in points:
            colour = PRECISION_COLOURS.get(p.precision, SOFT)
            if p.interval:
                axes.plot([p.cost, p.cost], p.interval, color=colour, linewidth=0.9, alpha=0.45, zorder=2)
            marker = FORMAT_MARKERS.get(p.format, "D")
            axes.scatter([p.cost], [p.accuracy], s=38, marker=marker, color=colour, edgecolor=PAPER, zorder=4)
        front = pareto_front(points)
        axes.step([p.cost for p in front], [p.accuracy for p in front], where="post", color=INK, linewidth=1, zorder=3)
        _limit_tradeoff(axes, points)
        axes.set_xlabel(cost_label)
        axes.set_ylabel(accuracy_label)
        axes.grid(axis="y", color=RULE, linewidth=0.5, alpha=0.6)
        spots = [(p.cost, p.accuracy) for p in points]
        names = [p.name for p in points]
        place_labels(axes, spots, names, lines=_steps(front), faint_lines=intervals, size=7.5)
        return to_svg(figure, name, title)


def draw_latencies(
    samples_ms: Mapping[str, Sequence[float]], precisions: Mapping[str, str], name: str, title: str
) -> str:
    """Every sample as a tick, quartiles as a box, the median as a line, on a log axis."""
    with page_style():
        figure, axes = new_figure(WIDTH, 0.75 + 0.36 * len(samples_ms))
        axes.set_xscale("log")
        for row, (artifact, samples) in enumerate(samples_ms.items()):
            colour = PRECISION_COLOURS.get(precisions.get(artifact, ""), SOFT)
            low, middle, high = np.percentile(samples, [25, 50, 75])
            ends = [(x, y) for x in sorted(samples) for y in (row - 0.32, row - 0.08)]
            axes.add_patch(_strokes(ends, colour, 0.45, 0.4))
            axes.fill_between([low, high], row + 0.0, row + 0.3, color=colour, alpha=0.35, linewidth=0)
            axes.plot([middle, middle], [row - 0.04, row + 0.34], color=colour, linewidth=1.8, solid_capstyle="butt")
        everything = [x for samples in samples_ms.values() for x in samples]
        axes.set_xlim(min(everything) / 1.15, max(everything) * 1.15)
        axes.set_ylim(len(samples_ms) - 0.45, -0.6)
        axes.set_yticks(range(len(samples_ms)), list(samples_ms))
        axes.tick_params(axis="y", labelcolor=INK, labelsize=7.5)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("milliseconds for one inference, log scale")
        axes.grid(axis="x", color=RULE, linewidth=0.5, alpha=0.6)
        axes.set_axisbelow(True)
        log_ticks(axes)
        return to_svg(figure, name, title)


def draw_shares(groups: Mapping[str, Sequence[Bar]], name: str, title: str, parts: Sequence[str]) -> str:
    """Stacked bars of shares, in titled groups; each bar is one whole, and its total stands at its end.

    Args:
        groups: title -> bars; an empty title is not drawn.
        name: prefix of the ids.
        title: what a screen reader says.
        parts: of `name_parts`, over all figures that stand side by side, so that their legends and colours agree.
    """
    rows = sum(len(bars) for bars in groups.values())
    titled = [group for group in groups if group]
    legend_rows = math.ceil(len(parts) / 3)
    with page_style():
        figure, axes = new_figure(WIDTH, 0.3 + 0.19 * legend_rows + 0.24 * rows + 0.3 * len(titled))
        y = 0.0
        ticks: list[tuple[float, str]] = []
        for group, bars in groups.items():
            if group:
                axes.text(0, y + 0.28, group, size=8, weight="bold", va="center")
                y += 1.1
            for bar in bars:
                _stack(axes, y, bar, parts)
                ticks.append((y, bar.name))
                y += 1
            y += 0.25
        axes.set_xlim(0, 1.17)
        axes.set_ylim(y - 0.55, -0.6)
        axes.set_yticks([tick for tick, _ in ticks], [label for _, label in ticks])
        axes.tick_params(axis="y", labelcolor=INK, labelsize=7.5)
        axes.xaxis.set_visible(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        handles = [
            axes.barh([0], [0], color=choose_colour(part, at), label=describe_part(part))
            for at, part in enumerate(parts)
        ]
        figure.legend(
            handles=handles, loc="outside upper left", ncols=3, fontsize=7.5, handlelength=0.9, columnspacing=1.4
        )
        return to_svg(figure, name, title)


def _steps(front: Sequence[Point]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The lines that `where="post"` draws."""
    lines = []
    for one, other in pairwise(front):
        corner = (other.cost, one.accuracy)
        lines += [((one.cost, one.accuracy), corner), (corner, (other.cost, other.accuracy))]
    return lines


def _limit_tradeoff(axes: Axes, points: Sequence[Point]) -> None:
    """Room around the points for their labels."""
    costs = [p.cost for p in points]
    spread = max(math.log10(max(costs) / min(costs)), 0.3)
    axes.set_xlim(min(costs) / 10 ** (0.22 * spread), max(costs) * 10 ** (0.4 * spread))
    heights = [y for p in points for y in (p.accuracy, *(p.interval or ()))]
    room = 0.12 * max(max(heights) - min(heights), 0.002)
    axes.set_ylim(min(heights) - room, max(heights) + room)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    log_ticks(axes)


def log_ticks(axes: Axes) -> None:
    """1, 2, 5, 10, 20 ... without exponents; fewer where the range is wide."""
    low, high = axes.get_xlim()
    decades = math.log10(high / low)
    axes.xaxis.set_major_locator(
        LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2 else (1.0, 3.0) if decades < 3 else (1.0,))
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _strokes(ends: Sequence[tuple[float, float]], colour: str, width: float, alpha: float) -> PathPatch:
    """Many short lines as one path: a hundred times smaller in SVG than as many elements."""
    codes = [Outline.MOVETO, Outline.LINETO] * (len(ends) // 2)
    return PathPatch(Outline(ends, codes), edgecolor=colour, facecolor="none", linewidth=width, alpha=alpha)


def name_parts(bars: Iterable[Bar]) -> list[str]:
    """Names of the parts that reach 1 % of some bar, in the palette's order; the rest is drawn as `other`."""
    largest: dict[str, float] = {}
    for bar in bars:
        whole = sum(bar.parts.values())
        for part, size in bar.parts.items():
            largest[part] = max(largest.get(part, 0.0), size / whole if whole > 0 else 0.0)
    order = list(PART_COLOURS)
    kept = [part for part, share in largest.items() if share >= 0.01 and part != "other"]
    kept.sort(key=lambda part: (order.index(part) if part in PART_COLOURS else len(order), part))
    return [*kept, "other"] if any(part not in kept and share > 0 for part, share in largest.items()) else kept


def _stack(axes: Axes, y: float, bar: Bar, parts: Sequence[str]) -> None:
    whole = sum(bar.parts.values())
    left = 0.0
    for at, part in enumerate(parts):
        rest = sum(size for name, size in bar.parts.items() if name not in parts or name == "other")
        share = (rest if part == "other" else bar.parts.get(part, 0.0)) / whole if whole > 0 else 0.0
        axes.barh([y], [share], left=left, height=0.72, color=choose_colour(part, at), edgecolor=PAPER, linewidth=0.4)
        left += share
    axes.text(1.015, y, bar.total, size=7.5, va="center", color=SOFT)
