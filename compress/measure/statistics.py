"""What a number from a sample is worth: intervals, paired differences, percentiles.

Pure functions of arrays; NumPy, SciPy and scikit-learn do the mathematics. Every interval is a 95 % one,
because `Measurement.interval` is. Every function refuses empty, mismatched and non-finite input with a
ValueError: a statistic of nothing must not become a number that somebody gates on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, binomtest, bootstrap
from sklearn.metrics import f1_score

from compress.measure.paired import CONFIDENCE, Interval, mcnemar_p_value, paired_interval


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and its 95 % interval; n observations stand behind it."""

    value: float
    interval: Interval
    n: int


@dataclass(frozen=True, kw_only=True)
class PairedDrop:
    """How much accuracy a candidate loses against a reference on the same images.

    value: accuracy of the reference minus accuracy of the candidate; positive = the candidate is worse.
    interval: Tango's 95 % score interval of that difference.
    lost, gained: images that only the reference, only the candidate classifies correctly.
    p_value: exact two-sided McNemar test of "no difference".
    """

    value: float
    interval: Interval
    n: int
    lost: int
    gained: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class LatencySummary:
    """Percentiles of n latencies, in milliseconds.

    median_interval: 95 % interval of the median; None below 6 samples, where no such interval exists.
    """

    p50: float
    p90: float
    p99: float
    n: int
    median_interval: Interval | None


def estimate_proportion(successes: int, n: int) -> Estimate:
    """Share of successes with Wilson's score interval (Wilson 1927; Brown, Cai, DasGupta 2001).

    Raises:
        ValueError: n < 1, or successes outside 0..n.
    """
    if n < 1:
        raise ValueError(f"a proportion needs at least one observation, got n={n}")
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n={n}, got {successes}")
    interval = binomtest(int(successes), int(n)).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(value=successes / n, interval=(float(interval.low), float(interval.high)), n=int(n))


def estimate_accuracy(labels: ArrayLike, predictions: ArrayLike) -> Estimate:
    """Share of images whose predicted class is the label, with Wilson's interval.

    Args:
        labels: (n,) class numbers.
        predictions: (n,) class numbers.

    Raises:
        ValueError: empty, of different lengths, not one-dimensional, or not whole numbers.
    """
    first, second = _paired_classes(labels, predictions)
    return estimate_proportion(int(np.count_nonzero(first == second)), first.size)


def estimate_agreement(one: ArrayLike, other: ArrayLike) -> Estimate:
    """Share of images on which two artifacts choose the same class, with Wilson's interval.

    Args and errors as in `estimate_accuracy`; it is the same statistic, asked of two predictions.
    """
    return estimate_accuracy(one, other)


def compare_paired(reference_correct: ArrayLike, candidate_correct: ArrayLike) -> PairedDrop:
    """Paired difference of two accuracies on the same images.

    Both models see the same images, so most errors are shared; an interval that ignores the pairing would
    be far too wide to gate on. Tango's score interval keeps its coverage down to small samples and at the
    borders (Tango 1998, Statistics in Medicine 17:891; recommended by Fagerland, Lydersen, Laake 2014,
    Statistics in Medicine 33:2850).

    Args:
        reference_correct: (n,) booleans, one an image.
        candidate_correct: (n,) booleans, the same images in the same order.

    Raises:
        ValueError: empty, of different lengths, not one-dimensional, or not booleans.
    """
    reference, candidate = np.asarray(reference_correct), np.asarray(candidate_correct)
    _check_pair(reference, candidate)
    if reference.dtype != np.bool_ or candidate.dtype != np.bool_:
        raise ValueError(f"expected booleans (was the image right?), got {reference.dtype} and {candidate.dtype}")
    lost = int(np.count_nonzero(reference & ~candidate))
    gained = int(np.count_nonzero(candidate & ~reference))
    return PairedDrop(
        value=(lost - gained) / reference.size,
        interval=paired_interval(lost, gained, reference.size),
        n=reference.size,
        lost=lost,
        gained=gained,
        p_value=mcnemar_p_value(lost, gained),
    )


def estimate_macro_f1(labels: ArrayLike, predictions: ArrayLike, seed: int, resamples: int = 2000) -> Estimate:
    """Mean of the classes' F1 scores, with a percentile bootstrap interval (Efron, Tibshirani 1993).

    Args:
        labels: (n,) class numbers.
        predictions: (n,) class numbers.
        seed: of the resampling.
        resamples: how many bootstrap samples.

    Raises:
        ValueError: as in `estimate_accuracy`, or resamples < 1.
    """
    truth, chosen = _paired_classes(labels, predictions)
    _check_resamples(resamples)
    value = float(f1_score(truth, chosen, average="macro", zero_division=0))
    # Resampling images is a multinomial draw over the pairs (label, prediction) that occur: the same
    # distribution, and a hundred times faster than calling scikit-learn on every resample.
    _, codes = np.unique(np.concatenate([truth, chosen]), return_inverse=True)
    pairs, counts = np.unique(codes.reshape(2, -1), axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(truth.size, counts / truth.size, size=resamples)
    scores = np.array([_macro_f1_of_counts(pairs, draw) for draw in draws])
    return Estimate(value=value, interval=_percentile_interval(scores), n=truth.size)


def summarize_latency(samples_ms: ArrayLike) -> LatencySummary:
    """Median, p90 and p99 (linear interpolation, Hyndman and Fan's type 7), and an interval of the median.

    The interval is made of two order statistics and needs no distribution (David and Nagaraja 2003, section
    7.1). It takes the samples as independent; drift of the machine within a run is not in it.

    Args:
        samples_ms: (n,) latencies in milliseconds, each > 0.

    Raises:
        ValueError: empty, not one-dimensional, non-finite, or a sample <= 0.
    """
    samples = _latencies(samples_ms)
    p50, p90, p99 = (float(p) for p in np.percentile(samples, [50, 90, 99]))
    return LatencySummary(p50=p50, p90=p90, p99=p99, n=samples.size, median_interval=_median_interval(samples))


def ratio_of_medians(numerator_ms: ArrayLike, denominator_ms: ArrayLike, seed: int, resamples: int = 5000) -> Estimate:
    """Median latency of one artifact over that of another, with a percentile bootstrap interval.

    Args:
        numerator_ms: (n,) latencies in milliseconds, each > 0.
        denominator_ms: (m,) latencies in milliseconds, each > 0.
        seed: of the resampling.
        resamples: how many bootstrap samples.

    Returns:
        The ratio; its n is the smaller of the two sample sizes.

    Raises:
        ValueError: as in `summarize_latency`; fewer than 2 samples; or resamples < 1.
    """
    above, below = _latencies(numerator_ms), _latencies(denominator_ms)
    _check_resamples(resamples)
    if min(above.size, below.size) < 2:
        raise ValueError(f"a bootstrap needs at least 2 samples of each, got {above.size} and {below.size}")
    ratios = bootstrap(
        (above, below),
        lambda x, y, axis: np.median(x, axis=axis) / np.median(y, axis=axis),
        n_resamples=resamples,
        method="percentile",
        confidence_level=CONFIDENCE,
        rng=np.random.default_rng(seed),
    ).bootstrap_distribution
    value = float(np.median(above) / np.median(below))
    return Estimate(value=value, interval=_percentile_interval(ratios), n=min(above.size, below.size))


def _macro_f1_of_counts(pairs: NDArray[np.intp], counts: NDArray[np.int64]) -> float:
    """Macro F1 where (label, prediction) pair i occurs counts[i] times; absent classes do not take part."""
    classes = int(pairs.max()) + 1
    hits = np.bincount(pairs[0], weights=counts * (pairs[0] == pairs[1]), minlength=classes)
    labelled = np.bincount(pairs[0], weights=counts, minlength=classes)
    chosen = np.bincount(pairs[1], weights=counts, minlength=classes)
    present = labelled + chosen > 0
    return float(np.mean(2 * hits[present] / (labelled + chosen)[present]))


def _median_interval(samples: NDArray[np.float64]) -> Interval | None:
    # The k-th smallest and the k-th largest sample hold the median between them unless fewer than k samples
    # fall on one side of it.
    k = int(binom.ppf((1 - CONFIDENCE) / 2, samples.size, 0.5))
    if k < 1:
        return None
    ordered = np.sort(samples)
    return float(ordered[k - 1]), float(ordered[-k])


def _percentile_interval(values: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _paired_classes(one: ArrayLike, other: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second = np.asarray(one), np.asarray(other)
    _check_pair(first, second)
    for classes in (first, second):
        if classes.dtype.kind not in "iu":
            raise ValueError(f"class numbers must be integers, got {classes.dtype}")
    return first.astype(np.int64), second.astype(np.int64)


def _check_pair(one: NDArray[np.generic], other: NDArray[np.generic]) -> None:
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"expected two arrays of one length, one value an image, got {one.shape} and {other.shape}")
    if one.size == 0:
        raise ValueError("expected at least one image, got none")


def _check_resamples(resamples: int) -> None:
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")


def _latencies(samples_ms: ArrayLike) -> NDArray[np.float64]:
    samples = np.asarray(samples_ms, dtype=np.float64)
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"expected a non-empty list of latencies, got an array of shape {samples.shape}")
    if not np.isfinite(samples).all() or samples.min() <= 0:
        raise ValueError(f"latencies must be finite and above 0 ms, got {samples.min()} to {samples.max()}")
    return samples
