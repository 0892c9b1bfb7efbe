"""The audit's figures against figures computed by hand, and what it says about files that are no models."""

from __future__ import annotations

import json
import random
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Written
from mobile_nets import Mobile, images
from torch import nn

from compress.errors import ModelError
from compress.export import export
from compress.export.audit import audit, audit_in_child
from compress.quantize import StaticInt8, quantize

Write = Callable[[str, str], Written]


@pytest.mark.parametrize("precision", ["float32", "float16", "static_int8"])
@pytest.mark.parametrize("fmt", ["onnx", "tflite"])
def test_counts_by_hand(written: Write, precision: str, fmt: str) -> None:
    file: Path = getattr(written("mobile", precision), fmt)
    report = audit(file)
    assert report["macs"] == Mobile.MACS
    assert report["parameters"] == Mobile.PARAMETERS
    assert report["size_bytes"] == file.stat().st_size == sum(report["bytes"].values())
    assert min(report["bytes"].values()) >= 0
    weights = {"float32": 4, "float16": 2, "static_int8": 1}[precision] * 1440
    assert report["bytes"]["weights"] == weights
    assert report["transposes"] == 0


def test_int8_tflite_is_all_int8(written: Write) -> None:
    for net in ("mobile", "plain", "gated"):
        report = audit(written(net, "static_int8").tflite)
        assert report["int8_op_share"] == 1.0
        assert report["ops_by_dtype"] == {"int8": report["compute_ops"]}
        assert (report["quantize_ops"], report["dequantize_ops"], report["transposes"]) == (0, 0, 0)
        assert report["float_islands"] == []
    assert audit(written("mobile", "static_int8").tflite)["ops"] == {
        "ADD": 1,
        "CONV_2D": 3,
        "DEPTHWISE_CONV_2D": 4,
        "FULLY_CONNECTED": 1,
        "MEAN": 1,
        "PAD": 2,
    }


def test_int8_onnx_is_all_int8(written: Write) -> None:
    for net in ("mobile", "plain", "gated"):
        report = audit(written(net, "static_int8").onnx)
        assert report["int8_op_share"] == 1.0
        assert report["float_islands"] == []
    assert audit(written("mobile", "float32").onnx)["int8_op_share"] == 0.0


def test_a_float_island_is_found_in_both_formats(tmp_path: Path) -> None:
    class Sine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 1)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = self.after(torch.sin(self.before(image)).abs())
            return features

    graph = quantize(Sine(), images(1), StaticInt8(), images(16))
    assert [where for where, _ in graph.left_in_float] == ["sin (aten.sin.default)", "abs_1 (aten.abs.default)"]
    for fmt in ("onnx", "tflite"):
        export(graph.module, graph.precision, fmt, tmp_path / f"model.{fmt}", images(1))  # type: ignore[arg-type]
        report = audit(tmp_path / f"model.{fmt}")
        assert len(report["float_islands"]) == 2, report
        assert report["int8_op_share"] == 0.5


def test_the_child_prints_the_same_report(written: Write) -> None:
    for file in (written("mobile", "static_int8").onnx, written("mobile", "static_int8").tflite):
        assert audit_in_child(file) == json.loads(json.dumps(audit(file)))


BAD = {
    "empty.onnx": (b"", "is empty"),
    "empty.tflite": (b"", "is empty"),
    "page.onnx": (b"\n <!DOCTYPE html><html>404</html>", "is a web page"),
    "page.tflite": (b"<html><body>sign in</body></html>", "is a web page"),
    "text.onnx": (b"hello, this is not a model", "no valid ONNX"),
    "noise.tflite": (random.Random(0).randbytes(4096), "no valid ONNX"),
    "header.tflite": (b"\x1c\x00\x00\x00TFL3", "truncated or corrupt TFLite"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_model(tmp_path: Path, name: str) -> None:
    content, words = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=words) as caught:
        audit(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("fmt", ["onnx", "tflite"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_files(written: Write, tmp_path: Path, fmt: str, share: float) -> None:
    content = getattr(written("mobile", "static_int8"), fmt).read_bytes()
    file = tmp_path / f"cut.{fmt}"
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=r"truncated or corrupt|no valid ONNX"):
        audit(file)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        audit_in_child(tmp_path / "none.onnx")


def test_the_program_ends_with_3_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"TFL3" * 100)
    command = [sys.executable, "-m", "compress.export.audit", str(tmp_path / "bad.tflite")]
    child = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (child.returncode, child.stdout) == (3, "")
    assert len(child.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kill -SEGV $$", "crashes its reader .SIGSEGV"),
        ("exec sleep 30", "took more than 0.3 s"),
        ("exit 9", "exit code 9"),
    ],
)
def test_a_child_that_dies_or_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(ModelError, match=words):
        audit_in_child(tmp_path / "any.onnx", timeout_s=0.3 if "sleep" in script else 60)


def test_memory_is_limited(written: Write) -> None:
    with pytest.raises(ModelError) as caught:
        audit_in_child(written("mobile", "float32").onnx, memory_bytes=64 << 20)
    assert "\n" not in str(caught.value)
