"""The figure of predicted latencies: a mark with its interval for each file on each phone, and the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compress.report.plots import PRECISION_COLOURS, WIDTH, log_ticks
from compress.report.svg import INK, PAPER, RULE, SOFT, new_figure, page_style, to_svg


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """One file on one phone, in milliseconds; limits: of budgets that bind it there."""

    name: str
    precision: str
    ms: float
    interval: tuple[float, float]
    limits: tuple[float, ...] = ()


def draw_phones(phones: Mapping[str, Sequence[Forecast]], name: str, title: str) -> str:
    """Forecasts on a log axis, by phone; a limit is a line across its file's row.

    Args:
        phones: each with at least one forecast.
        name: prefix of the ids.
        title: what a screen reader says.
    """
    rows = sum(len(forecasts) for forecasts in phones.values())
    with page_style():
        figure, axes = new_figure(WIDTH, 0.6 + 0.24 * rows + 0.32 * len(phones))
        axes.set_xscale("log")
        y, ticks = 0.0, []
        for phone, forecasts in phones.items():
            axes.annotate(phone, (0, y + 0.2), xycoords=axes.get_yaxis_transform(), weight="bold", va="center")
            y += 1.0
            for each in forecasts:
                colour = PRECISION_COLOURS.get(each.precision, SOFT)
                axes.plot(each.interval, [y, y], color=colour, linewidth=2.2, alpha=0.5, solid_capstyle="butt")
                axes.scatter([each.ms], [y], s=26, color=colour, edgecolor=PAPER, linewidth=0.5, zorder=3)
                axes.vlines(each.limits, y - 0.45, y + 0.45, color=INK, linewidth=1.4)
                ticks.append((y, each.name))
                y += 1.0
            y += 0.3
        everything = [f for forecasts in phones.values() for f in forecasts]
        seen = [x for each in everything for x in (*each.interval, *each.limits)]
        axes.set_xlim(min(seen) / 1.15, max(seen) * 1.15)
        axes.set_ylim(y - 0.4, -0.5)
        axes.set_yticks([tick for tick, _ in ticks], [label for _, label in ticks])
        axes.tick_params(axis="y", labelcolor=INK, labelsize=7.5)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("predicted milliseconds for one inference, log scale")
        axes.grid(axis="x", color=RULE, linewidth=0.5, alpha=0.6)
        axes.set_axisbelow(True)
        log_ticks(axes)
        return to_svg(figure, name, title)
