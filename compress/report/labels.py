"""Labels of points that overlap neither each other nor a marker, do not leave the axes, and mostly avoid lines.

Every point has a list of places for its label, the best first. Labels are put down greedily in many orders, and the
order with the best places is kept: greedy alone gives the first label what a later one needs more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Transform

from compress.report.geometry import Box, Line, Spot, box_around, box_beside, cross
from compress.report.svg import SOFT

_DISTANCES = (11, 14, 18, 24, 31, 39, 48, 58, 69, 81, 94, 108)
"""Between a point and its label, in pixels; nearer is better."""

_ANGLES = tuple(math.radians(angle) for angle in range(0, 360, 15))
_MARKER = 7.0
_GAP = 5.0
_LEADER_FROM = 12.0

_LINE, _FAINT_LINE, _NEARER_STRANGER, _LEFT_OUT = 90.0, 10.0, 40.0, 1000.0
"""Cost, in pixels of distance, of crossing a line, of lying nearer to another point, and of leaving the label out."""

_ORDERS = 120
_MOST_PLACES = 160


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a label may stand; its leader goes from the point to the label."""

    cost: float
    box: Box
    roomy: Box
    leader: Line

    def bears(self, other: _Place) -> bool:
        """Whether both can be taken."""
        return not (
            self.roomy.overlaps(other.box)
            or self.roomy.touches(other.leader)
            or other.roomy.touches(self.leader)
            or cross(self.leader, other.leader)
        )


def place_labels(
    axes: Axes,
    points: Sequence[Spot],
    names: Sequence[str],
    *,
    lines: Sequence[Line],
    faint_lines: Sequence[Line],
    size: float,
) -> list[Text]:
    """Write each name near its point; a far one gets a thin line to its point.

    The axes must have their final limits. Where no place is free the name is left out: the table beside the figure
    has it.

    Args:
        axes: of the points.
        points: (x, y) in data coordinates.
        names: one a point.
        lines: of the plot, as pairs of points in data coordinates; avoided where that costs little distance.
        faint_lines: the same, avoided where that costs next to nothing.
        size: of the type, in points.

    Returns:
        The texts that were placed.
    """
    figure = axes.figure.get_figure(root=True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # settles the layout, without which pixels mean nothing
    figure.set_layout_engine("none")
    renderer = canvas.get_renderer()
    to_pixels, to_data = axes.transData.transform, axes.transData.inverted()

    def in_pixels(some: Sequence[Line]) -> list[Line]:
        return [(tuple(to_pixels(start)), tuple(to_pixels(end))) for start, end in some]

    inside = Box(*axes.get_window_extent(renderer).extents)
    markers: list[Spot] = [tuple(to_pixels(point)) for point in points]
    texts = [
        axes.text(*p, name, size=size, ha="left", va="bottom", zorder=5) for p, name in zip(points, names, strict=True)
    ]
    options = []
    for marker, text in zip(markers, texts, strict=True):
        extent = text.get_window_extent(renderer)
        label = (extent.width, extent.height)
        options.append(_places(marker, label, inside, markers, in_pixels(lines), in_pixels(faint_lines)))
    chosen = list(zip(texts, _choose(options), strict=True))
    for text, place in chosen:
        _put(axes, text, place, to_data)
    return [text for text, place in chosen if place]


def _put(axes: Axes, text: Text, place: _Place | None, to_data: Transform) -> None:
    """Move a text to its place and draw its leader, or take it away."""
    if place is None:
        text.remove()
        return
    text.set_position(tuple(to_data.transform((place.box.x0, place.box.y0))))
    if math.dist(*place.leader) > _LEADER_FROM:
        ends = to_data.transform(place.leader)
        axes.plot(ends[:, 0], ends[:, 1], color=SOFT, linewidth=0.5, zorder=1)


def _places(
    point: Spot,
    size: Spot,
    inside: Box,
    markers: Sequence[Spot],
    lines: Sequence[Line],
    faint_lines: Sequence[Line],
) -> list[_Place]:
    """Places inside the axes that cover no marker, the best first."""
    strangers = [marker for marker in markers if math.dist(marker, point) > _MARKER]
    squares = [box_around(marker, _MARKER) for marker in markers]
    apart = [box_around(marker, _MARKER) for marker in strangers if math.dist(marker, point) > 2 * _MARKER]
    places = []
    for distance in _DISTANCES:
        for angle in _ANGLES:
            box = box_beside(point, size, distance, angle)
            if not inside.holds(box):
                continue
            roomy, leader = box.padded(_GAP), (point, box.nearest(point))
            if any(roomy.overlaps(square) for square in squares) or any(square.touches(leader) for square in apart):
                continue
            shown = (_beside_marker(*leader), leader[1])
            crossed = _LINE * _crossings(roomy, shown, lines) + _FAINT_LINE * _crossings(roomy, shown, faint_lines)
            confusing = any(math.dist(marker, box.nearest(marker)) <= distance for marker in strangers)
            cost = distance + crossed + _NEARER_STRANGER * confusing
            places.append(_Place(cost=cost, box=box, roomy=roomy, leader=leader))
    return sorted(places, key=lambda place: place.cost)[:_MOST_PLACES]


def _beside_marker(point: Spot, end: Spot) -> Spot:
    """Where a leader leaves its own marker: a line through the marker is not crossed under it."""
    share = min(_MARKER / max(math.dist(point, end), _MARKER), 1.0)
    return point[0] + share * (end[0] - point[0]), point[1] + share * (end[1] - point[1])


def _crossings(roomy: Box, leader: Line, lines: Sequence[Line]) -> int:
    return sum(roomy.touches(line) + cross(leader, line) for line in lines)


def _choose(options: Sequence[Sequence[_Place]]) -> list[_Place | None]:
    """One place for each point, None where none is left; of all orders tried, the cheapest."""
    shuffle = random.Random(0).shuffle
    order = list(range(len(options)))
    best: list[_Place | None] = [None] * len(options)
    best_cost = math.inf
    for _ in range(_ORDERS):
        taken: dict[int, _Place] = {}
        cost = 0.0
        for index in order:
            free = (place for place in options[index] if all(place.bears(other) for other in taken.values()))
            place = next(free, None)
            cost += _LEFT_OUT if place is None else place.cost
            if cost >= best_cost:
                break
            if place is not None:
                taken[index] = place
        if cost < best_cost:
            best_cost, best = cost, [taken.get(index) for index in range(len(options))]
        shuffle(order)
    return best
