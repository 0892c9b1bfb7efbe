"""The benchmark of int8 students: its quick form runs, and what it makes of its rows is what the images say."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests import forked

FOLDER = Path(__file__).parents[1] / "benchmarks" / "quantization"
FILES = ("static_int8.onnx", "static_int8.tflite", "qat_int8.onnx", "qat_int8.tflite")


def test_the_quick_form_ends_well(tmp_path: Path, fashion_mnist_folder: Path) -> None:
    output = tmp_path / "students.json"
    places = {"COMPRESS_HOME": str(tmp_path), "COMPRESS_DATA": str(fashion_mnist_folder)}
    environment = {**os.environ, **places, "OMP_NUM_THREADS": "1"}
    script = FOLDER / "students.py"
    done = forked.run(script, "--quick", "--output", output, environment=environment, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads(output.read_text())["summary"].values()
    assert set(found["files"]) == set(FILES)
    assert all(abs(row["drop"]) < 0.1 for row in found["files"].values())
    assert min(found["same_class"].values()) > 0.95


@pytest.fixture
def students(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("students")


def _row(lost: list[int], gained: list[int], same: float = 1.0) -> dict[str, Any]:
    files = {name: {"lost": lost, "gained": gained, "size_bytes": 1} for name in FILES}
    return {"images": 10_000, "float32": 0.9, "files": files, "same_class": {"static_int8": same, "qat_int8": same}}


def test_an_image_counts_once_however_many_seeds_lose_it(students: ModuleType) -> None:
    lost = list(range(30))
    one, three = (students.summarise([_row(lost, [100])] * seeds)["files"][FILES[0]] for seeds in (1, 3))
    assert one["drop"] == three["drop"] == pytest.approx(29 / 10_000)
    assert three["interval"] == pytest.approx(one["interval"])
    half = 1.96 * np.sqrt((31 / 10_000 - 0.0029**2) / 10_000)  # McNemar's standard error
    assert one["interval"] == pytest.approx((0.0029 - half, 0.0029 + half), rel=1e-3)


@pytest.mark.parametrize(
    ("lost", "gained", "same", "code"),
    [(10, 0, 1.0, 0), (12, 2, 0.997, 0), (12, 0, 1.0, 1), (10, 0, 0.9969, 1)],
)
def test_it_falls_short_of_a_tenth_of_a_point_and_of_formats_that_disagree(
    students: ModuleType, lost: int, gained: int, same: float, code: int
) -> None:
    row = _row(list(range(lost)), list(range(100, 100 + gained)), same)
    assert students.judge({"mobile CNN": students.summarise([row])}, quick=False) == code
