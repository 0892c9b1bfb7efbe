"""Two models on the same images: what the discordant pairs say about the difference of their accuracies.

`lost` counts the images that only the reference classifies correctly, `gained` those that only the candidate
does. Images that both get right, or both wrong, carry no information about the difference.
"""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.stats import binomtest, norm

CONFIDENCE = 0.95
"""Of every interval in this package, because `Measurement.interval` is a 95 % one."""

Interval = tuple[float, float]

_Z = float(norm.ppf(0.5 + CONFIDENCE / 2))


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
        low = float(brentq(lambda d: _tango_score(d, lost, gained, n) - _Z, -1 + 1e-12, estimate, xtol=1e-13))
    if estimate < 1:
        high = float(brentq(lambda d: _tango_score(d, lost, gained, n) + _Z, estimate, 1 - 1e-12, xtol=1e-13))
    return low, high


def mcnemar_p_value(lost: int, gained: int) -> float:
    """Exact two-sided McNemar test: a binomial test of the discordant pairs (McNemar 1947).

    Without a discordant pair there is nothing to tell the two apart, and the p-value is 1.

    Raises:
        ValueError: a negative count.
    """
    if lost < 0 or gained < 0:
        raise ValueError(f"counts must not be negative, got lost={lost}, gained={gained}")
    if lost + gained == 0:
        return 1.0
    return float(binomtest(int(lost), int(lost + gained), 0.5).pvalue)


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
