"""A number from a sample, with its 95 % interval."""

from __future__ import annotations

from dataclasses import dataclass

CONFIDENCE = 0.95
"""Of every interval in this package, because `Measurement.interval` is a 95 % one."""

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and its 95 % interval; n observations stand behind it."""

    value: float
    interval: Interval
    n: int
