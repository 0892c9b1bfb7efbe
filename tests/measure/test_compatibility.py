"""When an older runtime agrees with LiteRT, and when it is silently wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from compress.measure.compatibility import measure_compatibility
from compress.types import Artifact, Precision

FILE = Artifact(
    name="student-int8.tflite", role="student", path="m", format="tflite", precision="static_int8", sha256="s",
    size_bytes=1,
)  # fmt: skip
RANDOM = np.random.default_rng(0)
EXPECTED = (RANDOM.normal(size=(200, 10)) + 50 * np.arange(10)).astype(np.float32)  # far from 0, as some logits are
NOISE = RANDOM.normal(size=EXPECTED.shape).astype(np.float32)


@pytest.mark.parametrize(
    ("precision", "logits", "state", "agreement"),
    [
        ("float32", EXPECTED, "agrees", 1.0),
        ("float32", EXPECTED + 0.001 * NOISE, "agrees", 1.0),
        ("float32", EXPECTED + 0.1 * NOISE, "silently wrong", 1.0),
        ("static_int8", EXPECTED + 0.15 * NOISE, "agrees", 1.0),
        ("static_int8", EXPECTED + 0.5 * NOISE, "silently wrong", 1.0),
        ("static_int8", np.broadcast_to(EXPECTED.mean(0), EXPECTED.shape), "silently wrong", 1.0),  # one answer to all
        ("static_int8", -EXPECTED, "silently wrong", 0.0),
        ("static_int8", np.where(NOISE > 3, np.nan, EXPECTED), "silently wrong", None),
        ("static_int8", None, "fails", None),
    ],
)
def test_outcomes(precision: Precision, logits: np.ndarray | None, state: str, agreement: float | None) -> None:
    why = "no such operator" if logits is None else None
    found = measure_compatibility(
        dataclasses.replace(FILE, precision=precision), logits, EXPECTED, why=why,
        runtime="tflite-runtime 2.14.0", target="host", how="native", split="test",
    )  # fmt: skip
    assert (found.value, found.n) == (float(state == "agrees"), 200)
    assert found.details["state"] == state
    assert found.details.get("agreement") == agreement
    assert ("why" in found.details) == (state != "agrees")
    if agreement is not None:
        assert found.details["max_abs_difference"] == pytest.approx(np.abs(logits - EXPECTED).max())
