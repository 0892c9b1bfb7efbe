"""Latencies taken in rounds: percentiles, and intervals that know that neighbours in time resemble each other.

The inferences of one round follow each other within milliseconds and share the machine's state (clock, caches, other
programs). They are no independent sample: an interval of all of them pooled is several times too narrow. Rounds lie
apart, and all artifacts take their turn in each. So uncertainty comes from one number a round, by Student's t, as in
the method of batch means (Law 2015, Simulation Modeling and Analysis, section 9.5); in logarithms, because what slows
a machine down multiplies times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from compress.measure.estimates import CONFIDENCE, Interval
from compress.types import FEWEST_ROUNDS


@dataclass(frozen=True, kw_only=True)
class LatencySummary:
    """Percentiles of n latencies from some rounds, in milliseconds.

    median_interval: 95 % interval of the median, which holds p50; None below FEWEST_ROUNDS.
    """

    p50: float
    p90: float
    p99: float
    n: int
    rounds: int
    median_interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class MedianRatio:
    """The geometric mean of the rounds' ratios; its 95 % interval, None below FEWEST_ROUNDS."""

    value: float
    interval: Interval | None
    rounds: int


def summarize_latency(samples_ms: ArrayLike) -> LatencySummary:
    """Median, p90 and p99 of all samples (linear interpolation, Hyndman and Fan's type 7), and the median's interval.

    Args:
        samples_ms: (rounds, inferences) latencies in milliseconds, each > 0.

    Raises:
        ValueError: empty, not two-dimensional, non-finite, or a sample <= 0.
    """
    samples = _latencies(samples_ms)
    p50, p90, p99 = (float(p) for p in np.percentile(samples, [50, 90, 99]))
    interval = _interval(np.median(samples, axis=1))
    if interval is not None:  # that of the rounds' geometric mean, which an outlying round can draw away from p50
        interval = min(interval[0], p50), max(interval[1], p50)
    return LatencySummary(p50=p50, p90=p90, p99=p99, n=samples.size, rounds=len(samples), median_interval=interval)


def ratio_of_medians(numerator_ms: ArrayLike, denominator_ms: ArrayLike) -> MedianRatio:
    """Median latency of one artifact over that of another, round by round.

    Pairing takes out what slows both down alike: a machine that throttles between rounds does not blur the ratio.

    Args:
        numerator_ms: (rounds, inferences) latencies in milliseconds, each > 0.
        denominator_ms: (rounds, any number of inferences), the same rounds in the same order.

    Raises:
        ValueError: as in `summarize_latency`, or another number of rounds.
    """
    above, below = _latencies(numerator_ms), _latencies(denominator_ms)
    if len(above) != len(below):
        raise ValueError(f"expected the same rounds of both, got {len(above)} and {len(below)} rounds")
    by_round = np.median(above, axis=1) / np.median(below, axis=1)
    return MedianRatio(value=_geometric_mean(by_round), interval=_interval(by_round), rounds=len(above))


def _interval(by_round: NDArray[np.float64]) -> Interval | None:
    """Student's t interval of the geometric mean of what the rounds gave."""
    if by_round.size < FEWEST_ROUNDS:
        return None
    error = np.log(by_round).std(ddof=1) / np.sqrt(by_round.size)
    factor = float(np.exp(stdtrit(by_round.size - 1, 0.5 + CONFIDENCE / 2) * error))
    middle = _geometric_mean(by_round)
    return middle / factor, middle * factor


def _geometric_mean(values: NDArray[np.float64]) -> float:
    return float(np.exp(np.log(values).mean()))


def _latencies(samples_ms: ArrayLike) -> NDArray[np.float64]:
    samples = np.asarray(samples_ms, dtype=np.float64)
    if samples.ndim != 2 or samples.size == 0:
        raise ValueError(f"expected a non-empty array (rounds, inferences), got one of shape {samples.shape}")
    if not np.isfinite(samples).all() or samples.min() <= 0:
        raise ValueError(f"latencies must be finite and above 0 ms, got {samples.min()} to {samples.max()}")
    return samples
