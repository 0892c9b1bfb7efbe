"""Fits the rates of the latency model, and says how far off it is on rows that were left out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from published import RUNTIME, Row
from scipy.optimize import least_squares

from compress.targets.latency.model import break_down
from compress.targets.latency.rates import CONFIDENCE, Fitted, Rates, Seen, Spread
from compress.targets.latency.work import Work

NAMES = tuple(field.name for field in dataclasses.fields(Rates))
LEAST = Rates(line_cycles=0, memory_slowdown=1, operator_cycles=0, widening_slowdown=1)
"""No memory is faster than its peak, no block faster than scheduled."""
EXPECTED = Rates(line_cycles=10, memory_slowdown=2.5, operator_cycles=20_000, widening_slowdown=1)
"""Before any row: half of a shared cache's latency, two fifths of the peak, some 10 microseconds, as scheduled."""
WEIGHT = 0.07
"""Of an expectation that is off by as much as itself, beside a row's relative error. It is about what rows err by, so
that each rate is uncertain by its own size; it decides where rows say little, as of operators without MobileNetV3."""
OUTLIER = 0.1
"""Relative errors beyond this count less: one board is not to bend the rates of all."""

Groups = Callable[[Row], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """A published figure, what was counted of the same network on the same kind of core, and its MACs."""

    row: Row
    work: Work
    macs: int

    @property
    def ms(self) -> float:
        """As published."""
        return self.row.latency_ms

    def predict(self, rates: Rates) -> float:
        """In milliseconds."""
        return sum(break_down(self.work, self.row.placement, rates).values())


def fit_rates(observations: Sequence[Observation]) -> Rates:
    """The rates with the least squares of relative errors, and of what they are off from what was expected."""
    expected, least = (np.array(dataclasses.astuple(rates)) for rates in (EXPECTED, LEAST))

    def find_errors(values: NDArray[np.float64]) -> NDArray[np.float64]:
        rates = read_rates(values)
        errors = [each.predict(rates) / each.ms - 1 for each in observations]
        return np.concatenate([errors, WEIGHT * (values / expected - 1)])

    found = least_squares(
        find_errors, expected, bounds=(least, np.inf), x_scale=expected, loss="soft_l1", f_scale=OUTLIER
    )
    return read_rates(found.x)


def read_rates(values: Iterable[float]) -> Rates:
    """In the order of their names."""
    return Rates(**dict(zip(NAMES, map(float, values), strict=True)))


def leave_out(observations: Sequence[Observation], groups: Groups) -> tuple[NDArray[np.float64], list[Rates]]:
    """What is predicted of every row by rates that were fitted without those that share a group with it; those rates.

    Args:
        observations: all.
        groups: what a row belongs to, such as its family of networks and its core.
    """
    predicted = np.zeros(len(observations))
    fits = []
    for out in dict.fromkeys(groups(each.row) for each in observations):
        rest = [each for each in observations if not set(groups(each.row)) & set(out)]
        fits.append(fit_rates(rest))
        for index, each in enumerate(observations):
            if groups(each.row) == out:
                predicted[index] = each.predict(fits[-1])
    return predicted, fits


def compare_pairs(observations: Sequence[Observation], pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Logarithms of predicted over published ratios, both terms by one fit that had no network of either family."""
    fits: dict[frozenset[str], Rates] = {}
    errors = []
    for pair in pairs:
        one, other = (observations[index] for index in pair)
        out = frozenset((one.row.ruler.family, other.row.ruler.family))
        if out not in fits:
            fits[out] = fit_rates([each for each in observations if each.row.ruler.family not in out])
        predicted = one.predict(fits[out]) / other.predict(fits[out])
        errors.append(math.log(predicted / (one.ms / other.ms)))
    return np.array(errors)


def spread(log_errors: Sequence[float] | NDArray[np.float64]) -> float:
    """The factor that holds CONFIDENCE of further errors (split conformal: Lei et al. 2018, arXiv 1604.04173)."""
    sizes = np.sort(np.abs(log_errors))
    rank = math.ceil((len(sizes) + 1) * CONFIDENCE)
    return float(np.exp(sizes[min(rank, len(sizes)) - 1]))


def fit_all(
    observations: Sequence[Observation], log_errors: dict[str, NDArray[np.float64]], pairs: Sequence[tuple[int, int]]
) -> Fitted:
    """What ships: rates of all rows, and spreads of those that were left out.

    Args:
        observations: all.
        log_errors: logarithms of predicted over published: `family`, and `core` too left out, and `ratio` of pairs.
        pairs: indices of the rows that the ratios are of, both with as many threads.
    """
    cycles = [each.work.cycles for each in observations]
    rows = [each.row for each in observations]
    several = np.array([row.threads > 1 for row in rows])
    paired = np.array([rows[i].threads > 1 for i, _ in pairs])

    def measure_spread(chosen: NDArray[np.bool_], pairs_chosen: NDArray[np.bool_]) -> Spread:
        near = spread(log_errors["family"][chosen])
        return Spread(
            near=near, far=near * spread(log_errors["core"][chosen]), ratio=spread(log_errors["ratio"][pairs_chosen])
        )

    return Fitted(
        rates=fit_rates(observations),
        seen={core: _see(core, observations) for core in sorted({row.core for row in rows})},
        runtimes=(RUNTIME,),
        cycles=(round(min(cycles)), round(max(cycles))),
        one_thread=measure_spread(~several, ~paired),
        several_threads=measure_spread(several, paired),
    )


def _see(core: str, observations: Sequence[Observation]) -> Seen:
    here = [each for each in observations if each.row.core == core]
    threads = [each.row.threads for each in here]
    classes = sorted({name for each in here for name in each.work.by_class})
    return Seen(classes=tuple(classes), threads=(min(threads), max(threads)))
