"""Two models on the same images: what the discordant pairs say about the difference of their accuracies.

`lost` counts the images that only the reference classifies correctly, `gained` those that only the candidate
does. Images that both get right, or both wrong, carry no information about the difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import bdtr

from compress.measure.estimates import Interval, Z


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
    check_same_images(reference, candidate)
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


def paired_interval(lost: int, gained: int, n: int) -> Interval:
    """Tango's 95 % score interval of (lost - gained) / n, from the discordant pairs alone.

    The interval holds every difference that a score test at 5 % does not reject (Tango 1998).

    Raises:
        ValueError: n < 1, or counts that are negative or together larger than n.
    """
    if n < 1 or lost < 0 or gained < 0 or lost + gained > n:
        raise ValueError(f"need 0 <= lost + gained <= n and n >= 1, got lost={lost}, gained={gained}, n={n}")
    estimate = (lost - gained) / n
    low, high = -1.0, 1.0
    if estimate > -1:
        low = float(brentq(lambda d: _tango_score(d, lost, gained, n) - Z, -1 + 1e-12, estimate, xtol=1e-13))
    if estimate < 1:
        high = float(brentq(lambda d: _tango_score(d, lost, gained, n) + Z, estimate, 1 - 1e-12, xtol=1e-13))
    return low, high


def mcnemar_p_value(lost: int, gained: int) -> float:
    """Exact two-sided McNemar test: a binomial test of the discordant pairs (McNemar 1947).

    Without a discordant pair there is nothing to tell the two apart, and the p-value is 1.

    Raises:
        ValueError: a negative count.
    """
    if lost < 0 or gained < 0:
        raise ValueError(f"counts must not be negative, got lost={lost}, gained={gained}")
    return min(1.0, 2 * float(bdtr(min(lost, gained), lost + gained, 0.5)))


def check_same_images(one: NDArray[np.generic], other: NDArray[np.generic]) -> None:
    """Refuse arrays that cannot be two answers to the same images.

    Raises:
        ValueError: empty, of different lengths, or not one-dimensional.
    """
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"expected two arrays of one length, one value an image, got {one.shape} and {other.shape}")
    if one.size == 0:
        raise ValueError("expected at least one image, got none")


def _tango_score(difference: float, lost: int, gained: int, n: int) -> float:
    """Score statistic of "the true difference is `difference`", falling in it (Tango 1998)."""
    a = 2 * n
    b = -lost - gained + (2 * n - lost + gained) * difference
    c = -gained * difference * (1 - difference)
    # The maximum-likelihood share of gained images among all models with this difference.
    gained_share = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    deviation = lost - gained - n * difference
    if deviation == 0:
        return 0.0
    variance = n * (2 * gained_share + difference * (1 - difference))
    return float(deviation / math.sqrt(variance)) if variance > 0 else float(math.copysign(1e300, deviation))
