"""Signal to noise where there is no noise, or no signal: a limit on it is judged all the same."""

from __future__ import annotations

import numpy as np
import pytest

from compress.gate import judge
from compress.measure.comparison import Reference
from compress.measure.fidelity import compare_logits
from compress.types import MOST_SQNR_DB, Artifact, Budget, Measurement

STUDENT = Artifact(
    name="student-int8.tflite",
    role="student",
    path="models/student-int8.tflite",
    format="tflite",
    precision="static_int8",
    sha256="s",
    size_bytes=1,
)
LOGITS = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


def compare(logits: np.ndarray, expected: np.ndarray) -> Measurement:
    found = compare_logits(
        STUDENT,
        logits,
        expected,
        reference=Reference(against="torch", sha256="t", name="torch"),
        runtime="litert 2.3.0",
        target="host",
        how="native",
        split="test",
    )
    return next(m for m in found if m.metric == "sqnr_db")


@pytest.mark.parametrize(
    ("logits", "expected", "value", "identical"),
    [
        (LOGITS, LOGITS, MOST_SQNR_DB, True),
        (LOGITS, 0 * LOGITS, -MOST_SQNR_DB, False),
        (LOGITS, LOGITS * np.float32(1.1), 20.0 + 20 * np.log10(1.1), False),
    ],
)
def test_signal_to_noise(logits: np.ndarray, expected: np.ndarray, value: float, identical: bool) -> None:
    found = compare(logits, expected)
    assert found.value == pytest.approx(value, abs=1e-4)
    assert found.details["identical"] is identical


def test_identical_outputs_keep_any_limit_that_a_recipe_may_set() -> None:
    budget = Budget(metric="sqnr_db", artifact=STUDENT.name, at_least=MOST_SQNR_DB)
    (verdict,) = judge([budget], [STUDENT], [compare(LOGITS, LOGITS)])
    assert verdict.status == "PASS"
    assert "identical, against torch" in verdict.reason
