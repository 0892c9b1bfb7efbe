"""How many times as long one file takes as another on the same phone, as far as two predictions tell."""

from __future__ import annotations

from compress.types import Measurement


def bound_ratio(above: Measurement, below: Measurement) -> tuple[float, float]:
    """The least and the most that one prediction over another may be.

    What is not known of the phone is the same for both files: they are divided case by case, and not end by end.
    """
    pairs = zip(above.details["cases_ms"], below.details["cases_ms"], strict=True)
    ratios = [one / other for one, other in pairs]
    spread = max(m.details["ratio_spread"] for m in (above, below))
    return min(ratios) / spread, max(ratios) * spread
