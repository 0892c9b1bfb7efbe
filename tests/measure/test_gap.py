"""The recovered gap against arithmetic by hand, and its interval against simulated test sets."""

import numpy as np
import pytest

from compress.measure.gap import estimate_gap


def correct(n: int, wrong: int) -> np.ndarray:
    return np.arange(n) >= wrong


def test_the_share_is_that_of_the_three_accuracies() -> None:
    found = estimate_gap(correct(1000, 200), correct(1000, 120), correct(1000, 100))
    assert found is not None
    assert found.value == pytest.approx(0.8)  # of the 10 points that the teacher is better by, 8
    assert found.interval[0] < 0.8 < found.interval[1]
    assert found.n == 1000


@pytest.mark.parametrize(
    ("alone", "teacher"),
    [(100, 100), (100, 99), (100, 200)],
    ids=["equally good", "hardly better", "worse"],
)
def test_without_a_gap_there_is_no_share(alone: int, teacher: int) -> None:
    assert estimate_gap(correct(1000, alone), correct(1000, 90), correct(1000, teacher)) is None


def test_one_image_tells_nothing() -> None:
    assert estimate_gap([False], [True], [True]) is None


def test_the_interval_covers_the_truth_in_95_of_100_test_sets() -> None:
    random = np.random.default_rng(0)
    # Eight kinds of images, by who is right about them.
    kinds = np.array([(a, d, t) for a in (0, 1) for d in (0, 1) for t in (0, 1)], dtype=bool)
    shares = np.array([0.04, 0.04, 0.01, 0.04, 0.01, 0.01, 0.01, 0.84])
    alone, distilled, teacher = shares @ kinds
    truth = (distilled - alone) / (teacher - alone)
    covered = 0
    for _ in range(1000):
        images = kinds[random.choice(8, 2000, p=shares)]
        found = estimate_gap(images[:, 0], images[:, 1], images[:, 2])
        assert found is not None
        covered += found.interval[0] <= truth <= found.interval[1]
    assert 930 <= covered <= 970
