"""How closely two computations of the same model agree: logits against torch, formats, instruction sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compress.errors import ModelError
from compress.measure.comparison import Reference
from compress.types import METRICS, MOST_SQNR_DB, Artifact, How, Measurement


def check_alive(name: str, where: str, logits: NDArray[np.float32]) -> None:
    """Refuse the outputs of a dead model.

    Args:
        name: of the artifact.
        where: target and runtime, for the message.
        logits: (n, classes), n >= 2.

    Raises:
        ModelError: an output is not finite, or every image gets the same outputs.
    """
    bad = ~np.isfinite(logits).all(axis=1)
    if bad.any():
        raise ModelError(
            f"{name} on {where}: {int(bad.sum())} of {len(logits)} outputs are not finite; expected finite logits;"
            " look for NaN weights, or quantise another way"
        )
    if (logits == logits[0]).all():
        raise ModelError(
            f"{name} on {where}: all {len(logits)} images get the same output; expected outputs that depend on them;"
            " look for collapsed scales or untrained weights"
        )


def compare_logits(
    artifact: Artifact,
    logits: NDArray[np.float32],
    expected: NDArray[np.float32],
    *,
    reference: Reference,
    runtime: str,
    target: str,
    how: How,
    split: str,
) -> tuple[Measurement, ...]:
    """Largest absolute difference, signal-to-noise ratio and share of identical rows.

    Args:
        artifact: whose outputs are judged.
        logits: (n, classes), dequantised.
        expected: (n, classes), what the reference makes of the same images.
        reference: whose they are.
        runtime: that made `logits`.
        target: where.
        how: native or emulated.
        split: of the images.

    Returns:
        `max_abs_difference`, `bit_exact` and `sqnr_db`; the last is MOST_SQNR_DB where the two are identical, which
        `details["identical"]` says, so that a limit on it is judged and not missing.
    """
    noise = logits.astype(np.float64) - expected
    exact = (logits == expected).all(axis=1)
    values = {
        "max_abs_difference": float(np.abs(noise).max()),
        "bit_exact": float(exact.mean()),
        "sqnr_db": _decibels(float((expected.astype(np.float64) ** 2).sum()), float((noise**2).sum())),
    }
    details = reference.details() | {
        "distinct_values": int(np.unique(logits).size),
        "identical": bool(exact.all()),
    }
    return tuple(
        Measurement(
            metric=metric,
            unit=METRICS[metric],
            value=value,
            n=len(logits),
            artifact=artifact.sha256,
            runtime=runtime,
            target=target,
            how=how,
            reference=reference.sha256,
            split=split,
            details=details,
        )
        for metric, value in values.items()
    )


def _decibels(signal: float, noise: float) -> float:
    """Signal to noise, both as sums of squares; finite also where one of them is 0."""
    if noise == 0:
        return MOST_SQNR_DB
    if signal == 0:
        return -MOST_SQNR_DB
    return float(np.clip(10 * np.log10(signal / noise), -MOST_SQNR_DB, MOST_SQNR_DB))
