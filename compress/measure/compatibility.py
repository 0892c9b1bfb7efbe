"""Whether an older runtime computes what LiteRT does: agrees, fails and says so, or is silently wrong."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compress.measure.comparison import Reference
from compress.types import CALIBRATED, METRICS, Artifact, How, Json, Measurement

State = Literal["agrees", "fails", "silently wrong"]

MOST_NOISE, MOST_INTEGER_NOISE = 0.05, 0.3
"""Of the logits' deviation over the images. Float kernels agree to rounding. Integer ones may round otherwise in every
layer: 0.08 was seen of MobileNetV2, 0.15 of a ViT. Wrong ones make errors as large as the logits, or scales."""


def measure_compatibility(
    artifact: Artifact,
    logits: NDArray[np.float32] | None,
    expected: NDArray[np.float32],
    *,
    why: str | None,
    runtime: str,
    target: str,
    how: How,
    split: str,
) -> Measurement:
    """1 if the runtime computes what LiteRT does, else 0; `details["state"]` says which of the three it is.

    Args:
        artifact: a .tflite file.
        logits: (n, classes), what the runtime makes of it; None where it fails.
        expected: (n, classes), what LiteRT makes of the same images on the host.
        why: what the runtime said when it failed.
        runtime: name and version.
        target: where.
        how: native or emulated.
        split: of the images.

    Returns:
        With the largest difference and the share of images of the same class in its details, where they are finite.
    """
    state, found = ("fails", {"why": why}) if logits is None else _compare(artifact, logits, expected)
    reference = Reference(against="litert", sha256=artifact.sha256, name="LiteRT")
    return Measurement(
        metric="compatible",
        unit=METRICS["compatible"],
        value=float(state == "agrees"),
        n=len(expected),
        artifact=artifact.sha256,
        runtime=runtime,
        target=target,
        how=how,
        reference=reference.sha256,
        split=split,
        details={**reference.details(), "state": state, **found},
    )


def _compare(
    artifact: Artifact, logits: NDArray[np.float32], expected: NDArray[np.float32]
) -> tuple[State, dict[str, Json]]:
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        return "silently wrong", {"why": f"silently wrong: {int((~finite).sum())} of {len(logits)} outputs not finite"}
    noise = logits.astype(np.float64) - expected
    largest, same = float(np.abs(noise).max()), float((logits.argmax(1) == expected.argmax(1)).mean())
    found: dict[str, Json] = {"max_abs_difference": largest, "agreement": same}
    spread = float(np.std(expected - expected.mean(axis=0)))
    most = MOST_INTEGER_NOISE if artifact.precision in CALIBRATED else MOST_NOISE
    if float(np.sqrt((noise**2).mean())) <= most * spread:
        return "agrees", found
    return "silently wrong", {
        **found,
        "why": f"silently wrong: logits up to {largest:.3g} off, {100 * same:.1f} % of the images in the same class",
    }
