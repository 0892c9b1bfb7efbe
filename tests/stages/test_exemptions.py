"""What an exemption costs: against the files that were made without it, and by hand."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from compress.errors import ToolError
from compress.progress import Progress
from compress.quantize import LearntRounding, MixedInt8, Scheme, StaticInt8
from compress.stages import exemptions
from compress.stages.export import Exported
from compress.types import Artifact, Format

SIZES = {(): 100, ("conv2d",): 130, ("linear",): 165, ("conv2d", "linear"): 200}
"""Layers in float -> bytes in ONNX; in TFLite ten less. Instructions are a hundred times as many."""


def made(scheme: Scheme, left: tuple[str, ...]) -> tuple[Exported, ...]:
    exempt = getattr(scheme, "exempt", ())
    formats: tuple[tuple[Format, int], ...] = (("onnx", 0), ("tflite", 10))
    artifacts = [
        Artifact(
            name=f"student.{fmt}", role="student", path=f"{exempt}.{fmt}", format=fmt, precision="mixed_int8",
            sha256=f"{exempt} {fmt}", size_bytes=SIZES[exempt] - less,
        )
        for fmt, less in formats
    ]  # fmt: skip
    found = {"left_in_float": [{"node": "m", "reason": reason} for reason in left], "exempt": list(exempt)}
    reference = np.zeros((1, 1), np.float32)
    return tuple(
        Exported(artifact=each, file=Path(each.path), audit={}, runtime="", reference=reference, quantization=found)
        for each in artifacts
    )


def reasons(monkeypatch: pytest.MonkeyPatch, *, cores: tuple[str, ...] = (), fails: bool = False) -> list[str]:
    asked: list[Scheme] = []

    def export_model(_run: object, _student: object, scheme: Scheme, _images: int) -> tuple[Exported, ...]:
        asked.append(scheme)
        return made(scheme, ())

    def count(_run: object, asked_cores: tuple[str, ...], files: Any, _split: object) -> Any:
        if fails:
            raise ToolError("no emulator")
        assert asked_cores == cores[:1]
        sizes = [(each, each.artifact.size_bytes) for each in files]
        return [SimpleNamespace(exported=each, counts={"instructions": 100 * size}) for each, size in sizes], ()

    monkeypatch.setattr(exemptions, "export_model", export_model)
    monkeypatch.setattr(exemptions, "count", count)
    monkeypatch.setattr(exemptions, "find_runtimes", lambda _: None)
    arm64 = SimpleNamespace(cores=cores) if cores else None
    run: Any = SimpleNamespace(
        recipe=SimpleNamespace(benchmark=SimpleNamespace(arm64=arm64)), task=SimpleNamespace(validation=None),
        progress=Progress(Console(file=io.StringIO())),
    )  # fmt: skip
    scheme = MixedInt8(exempt=("conv2d", "linear"), equalise=True, rounding=LearntRounding())
    files = made(scheme, ("exempt by name", "no integer kernel", "exempt by name"))
    student: Any = None
    priced = exemptions.price_exemptions(run, student, scheme, files)
    assert asked == [MixedInt8(exempt=("linear",), equalise=True), MixedInt8(exempt=("conv2d",), equalise=True)]
    assert priced[0].quantization == priced[1].quantization
    assert [each.artifact for each in priced] == [each.artifact for each in files]
    return [each["reason"] for each in priced[0].quantization["left_in_float"]]


def test_each_exemption_says_what_it_costs_in_bytes_and_in_instructions_on_the_first_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = "instructions on cortex-a53"
    assert reasons(monkeypatch, cores=("cortex-a53", "cortex-a76")) == [
        f"exempt by name; in all +35 bytes in ONNX and +35 in TFLite; +3,500 {counted} in ONNX and +3,500 in TFLite",
        "no integer kernel",
        f"exempt by name; in all +70 bytes in ONNX and +70 in TFLite; +7,000 {counted} in ONNX and +7,000 in TFLite",
    ]


@pytest.mark.parametrize("options", [{}, {"cores": ("cortex-a53",), "fails": True}])
def test_without_a_core_bytes_alone(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert reasons(monkeypatch, **options)[0] == "exempt by name; in all +35 bytes in ONNX and +35 in TFLite"


def test_where_nothing_is_exempt_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(exemptions, "export_model")
    files = made(StaticInt8(), ("no integer kernel",))
    run: Any = None
    assert exemptions.price_exemptions(run, run, StaticInt8(), files) == files
