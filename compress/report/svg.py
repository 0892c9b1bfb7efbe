"""From a matplotlib figure to a piece of the page: inline SVG that follows the page's colours and fonts.

- Text stays text (selectable, searchable, read aloud); the page sets its font. Layouts are computed with DejaVu Sans,
  which is wider than the usual system fonts, so that what fits here fits there.
- Ink and rule colours are placeholders that become CSS variables: the page can turn dark.
- The same figure gives the same bytes: hashes are salted, dates are left out, and no matplotlibrc is read.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
import matplotlib.style
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, SOFT, RULE, PAPER = "#010203", "#020304", "#030405", "#040506"
"""Placeholders; see `_VARIABLES`."""

_VARIABLES = {INK: "var(--ink)", SOFT: "var(--soft)", RULE: "var(--rule)", PAPER: "var(--paper)"}

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "compress",
    "text.parse_math": False,  # a $ in an artifact's name is a $
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": RULE,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
}


@contextmanager
def page_style() -> Iterator[None]:
    """Draw inside this: matplotlib's defaults, then the page's style, whatever the machine is configured to."""
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # Names in other scripts are drawn by the browser's fonts; DejaVu is only used to measure.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one axes; sizes in inches, of which the page shows about 110 CSS pixels each."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def to_svg(figure: Figure, name: str, title: str) -> str:
    """An `<svg>` element for use inside HTML.

    Args:
        figure: drawn within `page_style`.
        name: prefix that keeps ids apart from those of other figures on the page; letters and hyphens.
        title: what a screen reader says.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    width, height = (72 * inches for inches in figure.get_size_inches())
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img"'
        f' viewBox="0 0 {width:g} {height:g}" aria-label="{escape(title)}">'
    )
    return opening + text[text.index(">") + 1 :]
