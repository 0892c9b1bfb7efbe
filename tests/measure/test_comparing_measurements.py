"""What measurements say of their reference, and the images that an accuracy keeps."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from compress.measure.accuracy import Predictions, score, score_agreement, score_drop
from compress.measure.comparison import Reference
from compress.measure.fidelity import compare_logits
from compress.measure.latency import Baseline, latency
from compress.types import Artifact, Measurement

LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
FILE = Artifact(
    name="student-int8.onnx",
    role="student",
    path="models/student-int8.onnx",
    format="onnx",
    precision="static_int8",
    sha256="s" * 64,
    size_bytes=1,
)


def answers(name: str, wrong: list[int]) -> Predictions:
    classes = LABELS.copy()
    classes[wrong] = (classes[wrong] + 1) % 3
    return Predictions(
        artifact=f"sha of {name}",
        name=name,
        runtime="onnxruntime",
        target="host",
        how="native",
        split="test",
        classes=classes,
    )


def said(measurement: Measurement) -> tuple[object, object, object]:
    return measurement.reference, measurement.details["against"], measurement.details["compared_with"]


def test_a_drop_is_against_the_teacher_and_positive_when_worse() -> None:
    drop = score_drop(answers("student", [0, 4, 7]), answers("teacher", [4]), LABELS)
    assert said(drop) == ("sha of teacher", "teacher", "teacher")
    assert drop.value == pytest.approx(0.2)
    assert (drop.details["lost"], drop.details["gained"]) == (2, 0)


def test_agreement_says_with_what() -> None:
    found = score_agreement(answers("a.onnx", [0]), answers("a.tflite", [0, 1]), "other_format")
    assert said(found) == ("sha of a.tflite", "other_format", "a.tflite")
    assert found.value == pytest.approx(0.9)


def test_an_accuracy_keeps_which_images_were_right() -> None:
    accuracy, _ = score(answers("student", [0, 4, 9]), LABELS)
    kept = base64.b64decode(accuracy.details["correct_images"])
    assert "".join(f"{byte:08b}" for byte in kept)[: len(LABELS)] == "0111011110"
    assert accuracy.details["correct"] == 7


def test_logits_are_compared_by_difference_noise_and_bits() -> None:
    expected = np.array([[1.0, -2.0], [3.0, 0.5], [0.0, 4.0]], np.float32)
    logits = expected + np.array([[0.25, 0.0], [0.0, 0.0], [0.0, 0.0]], np.float32)
    reference = Reference(against="torch", sha256="t" * 64, name="torch")
    found = {
        m.metric: m
        for m in compare_logits(
            FILE, logits, expected, reference=reference, runtime="ort", target="host", how="native", split="test"
        )
    }
    assert found["max_abs_difference"].value == 0.25
    assert found["bit_exact"].value == pytest.approx(2 / 3)
    assert found["sqnr_db"].value == pytest.approx(10 * np.log10((1 + 4 + 9 + 0.25 + 16) / 0.0625))
    assert {said(m) for m in found.values()} == {("t" * 64, "torch", "torch")}


def test_a_latency_keeps_its_speedup_over_the_baseline() -> None:
    teacher = Reference(against="teacher", sha256="t" * 64, name="teacher-float32.onnx")
    slow = np.array([[40.0, 44.0, 42.0], [60.0, 63.0, 66.0], [52.0, 50.0, 54.0]]) * 1e6
    found = latency(
        FILE.sha256,
        slow / 4,
        runtime="ort",
        target="host",
        details={"threads": 1},
        baseline=Baseline(reference=teacher, samples_ns=slow),
    )
    assert (found.n, found.details["rounds"], found.details["threads"]) == (9, 3, 1)
    assert found.samples == (10.0, 11.0, 10.5, 15.0, 15.75, 16.5, 13.0, 12.5, 13.5)
    speedup = found.details["speedup"]
    assert speedup["value"] == pytest.approx(4.0)
    assert speedup["interval"] == pytest.approx([4.0, 4.0])
    assert (speedup["against"], speedup["compared_with"], speedup["reference"]) == ("teacher", teacher.name, "t" * 64)


def test_samples_of_one_round_have_no_interval() -> None:
    found = latency(FILE.sha256, [3_000_000, 1_000_000, 2_000_000], runtime="ort", target="host", details={})
    assert (found.value, found.interval, found.details["rounds"]) == (2.0, None, 1)
    assert "speedup" not in found.details
