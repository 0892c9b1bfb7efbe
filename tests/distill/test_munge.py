"""Synthetic rows, against a literal reading of the paper's algorithm and against what it promises."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from compress.distill.munge import munge
from compress.distill.seeds import derive_seed
from compress.errors import DataError

Rows = NDArray[Any]
GOOD: dict[str, Any] = {"multiplier": 2, "probability": 0.5, "locality": 1.0, "seed": 0}


def mixed_rows(count: int = 40) -> Rows:
    """Four columns of very different size, of which 1 and 3 are nominal and 2 is constant."""
    random = np.random.default_rng(5)
    columns = [random.normal(0, 1000, count), random.integers(3, 6, count), np.full(count, 7.0)]
    return np.stack([*columns, random.integers(0, 2, count), random.uniform(0, 1e-3, count)], axis=1)


def munge_literally(rows: Rows, nominal: list[int], k: int, p: float, s: float, seed: int) -> list[list[float]]:
    """MUNGE(T, k, p, s), number by number, with the draws of the fast one."""
    low, high = rows.min(axis=0).tolist(), rows.max(axis=0).tolist()

    def distance(one: list[float], other: list[float]) -> float:
        total = 0.0
        for a in range(len(one)):
            if a in nominal:
                total += one[a] != other[a]
            elif high[a] > low[a]:
                total += ((one[a] - other[a]) / (high[a] - low[a])) ** 2
        return total

    made = []
    for copy in range(k):
        random = np.random.default_rng(derive_seed(seed, "munge", copy))
        uniform, normal = random.random(rows.shape).tolist(), random.standard_normal((2, *rows.shape)).tolist()
        working = rows.tolist()
        for i, e in enumerate(working):
            others = [j for j in range(len(working)) if j != i]
            nearest = working[min(others, key=lambda j: distance(e, working[j]))]
            for a in range(len(e)):
                if uniform[i][a] >= p:
                    continue
                mine, theirs = e[a], nearest[a]
                if a in nominal:
                    e[a], nearest[a] = theirs, mine
                else:
                    sd = abs(mine - theirs) / s
                    e[a], nearest[a] = theirs + sd * normal[0][i][a], mine + sd * normal[1][i][a]
        made += working
    return made


@pytest.mark.parametrize("nominal", [[], [1, 3]])
@pytest.mark.parametrize(("p", "s"), [(0.3, 1.0), (1.0, 2.0), (0.7, 50.0)])
def test_it_is_the_papers_algorithm(nominal: list[int], p: float, s: float) -> None:
    rows = mixed_rows()
    made = munge(rows, nominal=nominal, multiplier=3, probability=p, locality=s, seed=1)
    np.testing.assert_allclose(made, munge_literally(rows, nominal, 3, p, s, 1), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probability_0_returns_exact_copies(dtype: type) -> None:
    rows = mixed_rows().astype(dtype)
    made = munge(rows, nominal=[1, 3], multiplier=3, probability=0.0, locality=1.0, seed=0)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made, np.tile(rows, (3, 1)))


@pytest.mark.parametrize("probability", [0.5, 1.0])
def test_nominal_values_only_change_places(probability: float) -> None:
    rows = np.random.default_rng(0).integers(0, 30, (40, 3)).astype(np.float64)
    made = munge(rows, nominal=[0, 2], multiplier=4, probability=probability, locality=1.0, seed=0)
    for copy in np.split(made, 4):
        for column in (0, 2):
            assert Counter(copy[:, column]) == Counter(rows[:, column])
            assert not np.array_equal(copy[:, column], rows[:, column])


def test_two_rows_alone_swap_all_when_every_column_is_nominal() -> None:
    rows = np.array([[1.0, 2, 3], [4, 5, 6]])
    made = munge(rows, nominal=[0, 1, 2], multiplier=1, probability=1.0, locality=1.0, seed=0)
    np.testing.assert_array_equal(made, rows)  # each of the two is visited once: swapped and swapped back


@pytest.mark.parametrize("locality", [1.0, 4.0])
def test_continuous_values_are_drawn_around_the_neighbours(locality: float) -> None:
    # Column 1 keeps two pairs apart; rows 0 and 1 are each other's neighbours, twice.
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [500.0, 1000.0], [501.0, 1000.0]])
    made = munge(rows, multiplier=2_000, probability=1.0, locality=locality, seed=3).reshape(-1, 4, 2)
    gap, noise = made[:, 0, 0] - made[:, 1, 0], 1 / locality
    # First visit: e ~ N(1, 1/s), e' ~ N(0, 1/s), so their distance is D ~ N(-1, 2/s²); the second visit turns it round
    # and adds noise of size |D|/s to both: the expected gap is 1, its variance 2/s² + 2 E[D²]/s².
    variance = 2 * noise**2 + 2 * (1 + 2 * noise**2) * noise**2
    assert made[:, :2, 0].mean() == pytest.approx(0.5, abs=4 * math.sqrt(variance / 2_000))
    assert -gap.mean() == pytest.approx(1.0, abs=4 * math.sqrt(variance / 2_000))
    assert gap.var() == pytest.approx(variance, rel=0.25)
    np.testing.assert_array_equal(made[:, :, 1], np.tile(rows[:, 1], (2_000, 1)))  # equal values have no noise


def test_new_rows_stay_where_real_data_is() -> None:
    rows = load_diabetes(scaled=False).data
    made = munge(rows, nominal=[1], multiplier=3, probability=0.5, locality=2.0, seed=0)
    assert set(made[:, 1]) == {1.0, 2.0}
    np.testing.assert_allclose(made.mean(axis=0), rows.mean(axis=0), atol=0.15 * rows.std(axis=0).max(), rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(made.T), np.corrcoef(rows.T), atol=0.15)
    assert len(np.unique(made, axis=0)) > 2.9 * len(rows)


def test_it_repeats_and_a_larger_multiplier_only_adds() -> None:
    rows = mixed_rows()
    two, three = (munge(rows, multiplier=k, probability=0.5, locality=1.0, seed=9) for k in (2, 3))
    np.testing.assert_array_equal(two, three[:80])
    assert not np.array_equal(two[:40], two[40:])
    assert not np.array_equal(two, munge(rows, multiplier=2, probability=0.5, locality=1.0, seed=10))


def test_the_given_rows_are_left_alone() -> None:
    rows = mixed_rows()
    before = rows.copy()
    munge(rows, **GOOD)
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize(
    ("rows", "changed", "message"),
    [
        (np.array([[1.0, np.nan], [1.0, 2.0]]), {}, "row 0 holds NaN or infinity"),
        (np.array([[1.0, 2.0], [1.0, np.inf]]), {}, "row 1 holds NaN or infinity"),
        (np.array([[1.0, 2.0]]), {}, r"rows of shape \(1, 2\); .* at least two rows"),
        (np.ones((0, 2)), {}, r"rows of shape \(0, 2\)"),
        (np.ones((5, 0)), {}, r"rows of shape \(5, 0\)"),
        (np.ones((5, 1, 2)), {}, r"rows of shape \(5, 1, 2\)"),
        (np.ones((5, 2), dtype=np.int64), {}, "rows are int64; expected float32 or float64"),
        (np.ones((5, 2)), {"nominal": [0, 2]}, "nominal names column 2 of rows with 2 columns; expected 0 to 1"),
        (np.ones((5, 2)), {"nominal": [-1]}, "nominal names column -1"),
        (np.ones((5, 2)), {"multiplier": 0}, "multiplier is 0; expected at least 1"),
        (np.ones((5, 2)), {"probability": 1.1}, "probability is 1.1; expected 0 to 1"),
        (np.ones((5, 2)), {"probability": -0.1}, "probability is -0.1"),
        (np.ones((5, 2)), {"probability": math.nan}, "probability is nan"),
        (np.ones((5, 2)), {"locality": 0.0}, "locality is 0; expected a finite number above 0"),
        (np.ones((5, 2)), {"locality": math.inf}, "locality is inf"),
    ],
)
def test_what_cannot_be_munged_is_refused(rows: Rows, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"munge: {message}"):
        munge(rows, **{**GOOD, **changed})
