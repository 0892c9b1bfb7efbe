"""One graph's files are compared with each other, and with no other graph's of the same precision."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from compress.measure.accuracy import Predictions
from compress.stages.measurements import OnHost, compare_formats


def on_host(name: str, *classes: int, source: object = None) -> OnHost:
    artifact = SimpleNamespace(name=name, format=name.split(".")[1], role="student", precision="static_int8")
    predictions = Predictions(
        artifact=name, name=name, runtime="r", target="host", how="native", split="test", classes=np.array(classes)
    )
    exported: Any = SimpleNamespace(artifact=artifact, source=source)
    return OnHost(exported=exported, logits=np.zeros((len(classes), 2), np.float32), predictions=predictions)


def test_what_auto_chose_is_not_compared_with_the_plain_scheme() -> None:
    files = [
        on_host("student-int8.onnx", 0, 0, 0, 0),
        on_host("student-int8.tflite", 0, 0, 0, 0),
        on_host("student-auto.onnx", 1, 1, 1, 1),
        on_host("student-auto.tflite", 1, 1, 1, 0),
        on_host("student-auto.ort", 1, 1, 1, 1, source="student-auto.onnx"),  # which it is compared with instead
    ]
    found = {(m.artifact, m.reference): m.value for m in compare_formats(files)}
    assert found == {
        ("student-int8.onnx", "student-int8.tflite"): 1,
        ("student-int8.tflite", "student-int8.onnx"): 1,
        ("student-auto.onnx", "student-auto.tflite"): 0.75,
        ("student-auto.tflite", "student-auto.onnx"): 0.75,
    }
