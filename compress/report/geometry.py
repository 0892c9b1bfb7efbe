"""Boxes and lines in the plane: what overlaps, touches, crosses."""

from __future__ import annotations

import math
from dataclasses import dataclass

Spot = tuple[float, float]
Line = tuple[Spot, Spot]


@dataclass(frozen=True)
class Box:
    """An upright rectangle from (x0, y0) to (x1, y1)."""

    x0: float
    y0: float
    x1: float
    y1: float

    def padded(self, by: float) -> Box:
        """The box, larger by `by` on each side."""
        return Box(self.x0 - by, self.y0 - by, self.x1 + by, self.y1 + by)

    def overlaps(self, other: Box) -> bool:
        """Whether the two share more than an edge."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def holds(self, other: Box) -> bool:
        """Whether the other lies inside."""
        return self.x0 <= other.x0 and other.x1 <= self.x1 and self.y0 <= other.y0 and other.y1 <= self.y1

    def nearest(self, spot: Spot) -> Spot:
        """The spot of the box that is nearest to the given one."""
        return min(max(spot[0], self.x0), self.x1), min(max(spot[1], self.y0), self.y1)

    def touches(self, line: Line) -> bool:
        """Whether part of the line lies inside (Liang and Barsky 1984)."""
        (x, y), (end_x, end_y) = line
        enters, leaves = 0.0, 1.0
        for step, room in (
            (x - end_x, x - self.x0),
            (end_x - x, self.x1 - x),
            (y - end_y, y - self.y0),
            (end_y - y, self.y1 - y),
        ):
            if step == 0:
                if room < 0:
                    return False
            elif step < 0:
                enters = max(enters, room / step)
            else:
                leaves = min(leaves, room / step)
        return enters <= leaves


def box_around(spot: Spot, reach: float) -> Box:
    """A square whose sides are `reach` away from the spot."""
    return Box(spot[0], spot[1], spot[0], spot[1]).padded(reach)


def box_beside(spot: Spot, size: Spot, distance: float, angle: float) -> Box:
    """A box of the given size whose nearest edge or corner lies `distance` from the spot, in the given direction."""
    x, y = spot[0] + distance * math.cos(angle), spot[1] + distance * math.sin(angle)
    left = x - size[0] * (1 - math.cos(angle)) / 2
    bottom = y - size[1] * (1 - math.sin(angle)) / 2
    return Box(left, bottom, left + size[0], bottom + size[1])


def cross(one: Line, other: Line) -> bool:
    """Whether two lines cross; lines that only meet in an end do not."""

    def side(a: Spot, b: Spot, c: Spot) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    return side(*one, other[0]) * side(*one, other[1]) < 0 and side(*other, one[0]) * side(*other, one[1]) < 0
