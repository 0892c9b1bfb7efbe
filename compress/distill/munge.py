"""Synthetic rows for tabular teachers: MUNGE (Bucila, Caruana & Niculescu-Mizil 2006, section 3.3).

A row and its nearest neighbour exchange some of their values, continuous ones with noise in proportion to how far the
two are apart: the new rows stay where the data is, and keep what its columns have to do with each other. They have no
labels; a teacher gives them (`TransferSet(labels=None)`).

- Neighbours are looked for in the working copy, as the algorithm says, so every step needs the result of the step
  before. What runs at once is one row against all the others and all columns of a pair; no search tree is kept,
  because two of its points would move at every step.
- The copies depend on nothing but the rows and their own number: a larger multiplier only adds to a smaller one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from compress.distill.seeds import derive_seed
from compress.errors import DataError

Real = TypeVar("Real", np.float32, np.float64)


def munge(
    rows: NDArray[Real],
    *,
    nominal: Sequence[int] = (),
    multiplier: int,
    probability: float,
    locality: float,
    seed: int,
) -> NDArray[Real]:
    """Make unlabelled rows that look like the given ones.

    Every row e of a copy of the data is visited in order. Its nearest neighbour e' is the one with the least sum of
    squared differences of the continuous columns, each scaled to [0, 1], and one for every nominal column that differs.
    Then each column with the given probability: nominal values change places; a continuous e_a is drawn from
    N(e'_a, sd) and e'_a from N(e_a, sd), with sd = |e_a - e'_a| / locality.

    The time grows with multiplier * n² * features: 100 copies of 1,000 rows with 64 columns take about 20 seconds.

    Args:
        rows: (n, features) float32 or float64, finite, at least two; in any units.
        nominal: indices of the columns whose values are names (codes, flags), not amounts.
        multiplier: k, how many copies of the data are munged.
        probability: p, from 0 to 1, that a column of a pair changes; 0 returns plain copies.
        locality: s, above 0; the higher, the less noise.
        seed: of all draws.

    Returns:
        (multiplier * n, features) of the same type and in the same units, copy after copy, each in the rows' order.
        Continuous values may leave the range of the data a little; nominal ones are always ones that occur.

    Raises:
        DataError: the rows, a column index or a parameter do not fit.
    """
    _check_rows(rows)
    _check_parameters(multiplier, probability, locality)
    names = _nominal_columns(nominal, rows.shape[1])
    return np.concatenate(
        [
            _munge_copy(rows, names, probability, locality, np.random.default_rng(derive_seed(seed, "munge", copy)))
            for copy in range(multiplier)
        ]
    )


def _munge_copy(
    rows: NDArray[Real], names: NDArray[np.bool_], probability: float, locality: float, random: np.random.Generator
) -> NDArray[Real]:
    changes = random.random(rows.shape) < probability
    noise = random.standard_normal((2, *rows.shape))
    values = rows.astype(np.float64)
    to_unit = _to_unit(values[:, ~names])
    scaled = values[:, ~names] * to_unit
    any_names = names.any()
    for e in range(len(values)):
        distance = cdist(scaled[e : e + 1], scaled, "sqeuclidean")[0]
        if any_names:
            distance += np.count_nonzero(values[:, names] != values[e, names], axis=1)
        distance[e] = np.inf
        pair = [e, int(distance.argmin())]
        mine, theirs = values[pair]
        sd = np.where(names, 0.0, np.abs(mine - theirs) / locality)  # 0: nominal values are swapped as they are
        values[pair] = np.where(changes[e], (theirs, mine) + sd * noise[:, e], (mine, theirs))
        scaled[pair] = values[pair][:, ~names] * to_unit
    return values.astype(rows.dtype)


def _to_unit(continuous: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factors that scale each column's range to 1; a constant column says nothing about distances."""
    span = np.ptp(continuous, axis=0)
    return np.divide(1.0, span, out=np.zeros_like(span), where=span > 0)


def _nominal_columns(nominal: Sequence[int], features: int) -> NDArray[np.bool_]:
    wrong = [column for column in nominal if not 0 <= column < features]
    if wrong:
        raise DataError(
            f"munge: nominal names column {wrong[0]} of rows with {features} columns; expected 0 to {features - 1};"
            " correct the index"
        )
    names = np.zeros(features, dtype=np.bool_)
    names[list(nominal)] = True
    return names


def _check_rows(rows: NDArray[Real]) -> None:
    if rows.dtype not in (np.float32, np.float64):
        raise DataError(
            f"munge: rows are {rows.dtype}; expected float32 or float64; convert them, nominal values to codes"
        )
    if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] == 0:
        raise DataError(
            f"munge: rows of shape {rows.shape}; expected (n, features) with at least two rows and one column, as every"
            " row needs a neighbour; give it more, flattened"
        )
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise DataError(
            f"munge: row {int(finite.argmin())} holds NaN or infinity; expected finite values; fill them in or drop the"
            " row"
        )


def _check_parameters(multiplier: int, probability: float, locality: float) -> None:
    for name, value, good, expected in (
        ("multiplier", multiplier, multiplier >= 1, "at least 1"),
        ("probability", probability, 0 <= probability <= 1, "0 to 1"),
        ("locality", locality, 0 < locality < float("inf"), "a finite number above 0"),
    ):
        if not good:
            raise DataError(f"munge: {name} is {value:g}; expected {expected}; correct it")
