"""A number from a sample, with its 95 % interval."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import ndtri

CONFIDENCE = 0.95
"""Of every interval in this package, because `Measurement.interval` is a 95 % one."""

Z = float(ndtri(0.5 + CONFIDENCE / 2))
"""Standard deviations of a normal distribution to either end of such an interval."""

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and its 95 % interval; n observations stand behind it."""

    value: float
    interval: Interval
    n: int
