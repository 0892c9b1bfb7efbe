"""How well predicted classes fit labels, or each other: shares and F1 scores with their intervals.

Pure functions of arrays. Every function refuses empty, mismatched
and non-finite input with a ValueError: a statistic of nothing must not become a number that somebody gates on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compress.measure.estimates import CONFIDENCE, Estimate, Interval, Z
from compress.measure.paired import check_same_images


def estimate_proportion(successes: int, n: int) -> Estimate:
    """Share of successes with Wilson's score interval (Wilson 1927; Brown, Cai, DasGupta 2001).

    Raises:
        ValueError: n < 1, or successes outside 0..n.
    """
    if n < 1:
        raise ValueError(f"a proportion needs at least one observation, got n={n}")
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n={n}, got {successes}")
    share, weight = successes / n, Z**2 / n
    middle, half = share + weight / 2, math.sqrt(weight * (share * (1 - share) + weight / 4))
    low, high = ((middle + side) / (1 + weight) for side in (-half, half))
    # At the borders the interval ends exactly there; rounding would leave it 1e-17 away.
    return Estimate(value=share, interval=(low if successes else 0.0, high if successes < n else 1.0), n=int(n))


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
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    # Resampling images is a multinomial draw over the pairs (label, prediction) that occur: the same
    # distribution, and a hundred times faster than calling scikit-learn on every resample.
    _, codes = np.unique(np.concatenate([truth, chosen]), return_inverse=True)
    pairs, counts = np.unique(codes.reshape(2, -1), axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(truth.size, counts / truth.size, size=resamples)
    scores = np.array([_macro_f1_of_counts(pairs, draw) for draw in draws])
    return Estimate(value=_macro_f1_of_counts(pairs, counts), interval=_percentile_interval(scores), n=truth.size)


def _macro_f1_of_counts(pairs: NDArray[np.intp], counts: NDArray[np.int64]) -> float:
    """Macro F1 where (label, prediction) pair i occurs counts[i] times; absent classes do not take part."""
    classes = int(pairs.max()) + 1
    hits = np.bincount(pairs[0], weights=counts * (pairs[0] == pairs[1]), minlength=classes)
    labelled = np.bincount(pairs[0], weights=counts, minlength=classes)
    chosen = np.bincount(pairs[1], weights=counts, minlength=classes)
    present = labelled + chosen > 0
    return float(np.mean(2 * hits[present] / (labelled + chosen)[present]))


def _percentile_interval(values: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _paired_classes(one: ArrayLike, other: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second = np.asarray(one), np.asarray(other)
    check_same_images(first, second)
    for classes in (first, second):
        if classes.dtype.kind not in "iu":
            raise ValueError(f"class numbers must be integers, got {classes.dtype}")
    return first.astype(np.int64), second.astype(np.int64)
