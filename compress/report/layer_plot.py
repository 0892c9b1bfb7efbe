"""The figure of a network's layers, from its input to its output, and what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from compress.report.labels import place_labels
from compress.report.plots import PRECISION_COLOURS, WIDTH
from compress.report.svg import INK, PAPER, RULE, SOFT, new_figure, page_style, to_svg

_NAMED = 6
_LONGEST = 30


@dataclass(frozen=True, kw_only=True)
class Layer:
    """name: where it is in the model; position: in the order of computation, from 1; weighted: it has parameters."""

    name: str
    position: int
    sqnr_db: float
    weighted: bool


def draw_layers(layers: Sequence[Layer], whole_db: float, name: str, title: str) -> str:
    """SQNR of each layer rounded alone over its position, the dearest named; a line where all are rounded together.

    Args:
        layers: at least one.
        whole_db: of all roundings together.
        name: prefix of the ids.
        title: what a screen reader says.
    """
    with page_style():
        figure, axes = new_figure(WIDTH, 3.4)
        for weighted, colour, size, word in (
            (False, SOFT, 12, "value between layers"),
            (True, PRECISION_COLOURS["static_int8"], 24, "layer with weights"),
        ):
            drawn = [layer for layer in layers if layer.weighted == weighted]
            places = [layer.position for layer in drawn], [layer.sqnr_db for layer in drawn]
            if drawn:
                axes.scatter(*places, s=size, color=colour, edgecolor=PAPER, linewidth=0.4, zorder=3, label=word)
        axes.axhline(whole_db, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=2, label="all together")
        last = max(layer.position for layer in layers)
        room = 0.04 * last + 0.4
        axes.set_xlim(1 - room, last + room)
        heights = [whole_db, *(layer.sqnr_db for layer in layers)]
        margin = 0.12 * max(max(heights) - min(heights), 5.0)
        axes.set_ylim(min(heights) - margin, max(heights) + margin)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.set_xlabel("from input to output")
        axes.set_ylabel("SQNR of the logits, dB")
        axes.grid(axis="y", color=RULE, linewidth=0.5, alpha=0.6)
        figure.legend(loc="outside upper left", ncols=3, fontsize=7.5, handlelength=1.4, columnspacing=1.4)
        dearest = sorted(layers, key=lambda layer: layer.sqnr_db)[:_NAMED]
        spots = [(float(layer.position), layer.sqnr_db) for layer in dearest]
        line = ((1 - room, whole_db), (last + room, whole_db))
        place_labels(axes, spots, [_short(layer.name) for layer in dearest], lines=[line], faint_lines=[], size=7.5)
        return to_svg(figure, name, title)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :].lstrip('.')}"
