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

from compress.targets.latency.model import CONFIDENCE, Fitted, Rates, break_down
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


def spread(log_errors: Sequence[float] | NDArray[np.float64]) -> float:
    """The factor that holds CONFIDENCE of further errors (split conformal: Lei et al. 2018, arXiv 1604.04173)."""
    sizes = np.sort(np.abs(log_errors))
    rank = math.ceil((len(sizes) + 1) * CONFIDENCE)
    return float(np.exp(sizes[min(rank, len(sizes)) - 1]))


def fit_all(observations: Sequence[Observation], log_errors: dict[str, NDArray[np.float64]]) -> Fitted:
    """What ships: rates of all rows, and spreads of those that were left out.

    Args:
        observations: all.
        log_errors: logarithms of predicted over published: `family`, and `core` too left out, and `ratio` of two
            networks.
    """
    cycles = [each.work.cycles for each in observations]
    threads = [each.row.threads for each in observations]
    return Fitted(
        rates=fit_rates(observations),
        cores=tuple(sorted({each.row.core for each in observations})),
        classes=tuple(sorted({name for each in observations for name in each.work.by_class})),
        runtimes=(RUNTIME,),
        threads=(min(threads), max(threads)),
        cycles=(round(min(cycles)), round(max(cycles))),
        spread=spread(log_errors["family"]),
        far_spread=spread(log_errors["family"]) * spread(log_errors["core"]),
        ratio_spread=spread(log_errors["ratio"]),
    )
