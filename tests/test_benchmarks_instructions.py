"""The benchmark of int8 instructions: its quick form counts, and marks what is not faster and what is too large."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests import forked

FOLDER = Path(__file__).parents[1] / "benchmarks" / "quantization"


def test_the_quick_form_counts_and_audits(home: Path, tmp_path: Path) -> None:
    (tmp_path / "arm64").symlink_to(home / "arm64")  # rows are kept elsewhere, so that they are measured
    output = tmp_path / "instructions.json"
    environment = {**os.environ, "COMPRESS_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    script = FOLDER / "instructions.py"
    done = forked.run(script, "--quick", "--output", output, environment=environment, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(output.read_text())["rows"]
    counts = [row[precision]["instructions"]["cortex-a76"] for precision in ("float32", "int8")]
    assert all(count > 10_000 for count in counts)
    audit = row["int8"]["audit"]
    assert (audit["int8_op_share"], audit["float_islands"]) == (1, [])
    assert sum(audit["bytes"].values()) == row["int8"]["size_bytes"]


@pytest.fixture
def instructions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("instructions")


@pytest.mark.parametrize(("int8", "marked"), [(99, False), (100, True), (101, True)])
def test_an_int8_file_that_is_not_faster_is_marked(
    instructions: ModuleType, int8: int, marked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"float32": {"instructions": {"cortex-a53": 100}}, "int8": {"instructions": {"cortex-a53": int8}}}
    instructions.print_counts([{"network": "some", "format": "onnx", **row}])
    assert ("int8 is not faster" in capsys.readouterr().out) == marked


def _row(float_bytes: int, int8_bytes: int, scheme: str = "static_int8") -> dict[str, Any]:
    sizes = {"float32": {"size_bytes": float_bytes}, "int8": {"size_bytes": int8_bytes}}
    return {"network": "some", "format": "onnx", "scheme": scheme, **sizes}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (_row(1_000_000, 300_000), 0),
        (_row(1_000_000, 310_000), 1),
        (_row(400_000, 390_000), 0),  # a small file is mostly graph
        (_row(1_000_000, 310_000, "dynamic_int8"), 0),  # no CNN
    ],
)
def test_a_large_cnn_must_shrink_to_0_30(instructions: ModuleType, row: dict[str, Any], code: int) -> None:
    assert instructions.judge([row]) == code
