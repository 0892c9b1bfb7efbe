"""The Pareto front against brute force, and the geometry of labels against sampling."""

from __future__ import annotations

import numpy as np
import pytest

from compress.report.geometry import Box, box_beside, cross
from compress.report.labels import place_labels
from compress.report.plots import Point, pareto_front
from compress.report.svg import new_figure, page_style


def point(name: str, cost: float, accuracy: float) -> Point:
    return Point(name=name, cost=cost, accuracy=accuracy, interval=None, precision="float32", format="onnx")


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_nothing_beats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = [point(str(i), float(rng.integers(1, 9)), float(rng.integers(1, 9))) for i in range(12)]

    def beaten(p: Point) -> bool:
        return any(
            q.cost <= p.cost and q.accuracy >= p.accuracy and (q.cost, q.accuracy) != (p.cost, p.accuracy)
            for q in points
        )

    front = pareto_front(points)
    assert {(p.cost, p.accuracy) for p in front} == {(p.cost, p.accuracy) for p in points if not beaten(p)}
    assert [p.cost for p in front] == sorted({p.cost for p in front})


def test_boxes_and_lines_meet_where_samples_say() -> None:
    rng = np.random.default_rng(3)
    box = Box(0.3, 0.4, 0.7, 0.6)
    met = 0
    for _ in range(300):
        (x0, y0), (x1, y1) = rng.random((2, 2))
        steps = np.linspace(0, 1, 4001)
        xs, ys = x0 + (x1 - x0) * steps, y0 + (y1 - y0) * steps
        inside = bool(((xs > 0.3) & (xs < 0.7) & (ys > 0.4) & (ys < 0.6)).any())
        assert box.touches(((x0, y0), (x1, y1))) == inside
        met += inside
    assert 50 < met < 250


@pytest.mark.parametrize(
    ("line", "crosses"),
    [(((0, 1), (1, 0)), True), (((0, 0.5), (0.4, 0.5)), False), (((1, 1), (2, 0)), False), (((2, 2), (3, 3)), False)],
)
def test_lines_cross(line: tuple[tuple[float, float], tuple[float, float]], crosses: bool) -> None:
    assert cross(((0, 0), (1, 1)), line) is crosses


def test_a_box_beside_a_point_keeps_its_distance() -> None:
    for angle in np.linspace(0, 6.2, 20):
        box = box_beside((5.0, 5.0), (3.0, 1.0), 2.0, float(angle))
        assert (box.x1 - box.x0, box.y1 - box.y0) == pytest.approx((3.0, 1.0))
        assert not box.overlaps(Box(5, 5, 5, 5).padded(0.5))


@pytest.mark.parametrize("seed", range(4))
def test_crowded_labels_neither_overlap_nor_leave_the_axes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in rng.normal(0.5, 0.08, (9, 2))]
    points += [points[0], (0.999, 0.999), (0.001, 0.001)]
    with page_style():
        _, axes = new_figure(4.3, 4.1)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        names = [f"student-{i}.tflite" for i in range(len(points))]
        texts = place_labels(axes, points, names, lines=[((0, 0.5), (1, 0.5))], faint_lines=[], size=7.5)
        boxes = [Box(*text.get_window_extent().extents) for text in texts]
        inside = Box(*axes.get_window_extent().extents).padded(0.1)
    assert len(texts) == len(points)
    assert all(inside.holds(box) for box in boxes)
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
