"""The benchmarks on images run, in their quick form: the figures mean nothing, their arithmetic and their JSON do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests import forked

SCRIPTS = Path(__file__).parents[1] / "benchmarks" / "distillation"


@pytest.fixture(scope="module")
def run(fashion_mnist_folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """Runs a script in its quick form and reads what it wrote; they share their trained networks."""
    home = tmp_path_factory.mktemp("home")
    places = {"COMPRESS_HOME": str(home), "COMPRESS_DATA": str(fashion_mnist_folder)}
    environment = {**os.environ, **places, "OMP_NUM_THREADS": "1"}

    def run_script(name: str) -> dict[str, Any]:
        output = home / f"{name}.json"
        done = forked.run(SCRIPTS / f"{name}.py", "--quick", "--output", output, environment=environment, folder=home)
        assert done.returncode == 0, done.stdout + done.stderr
        written: dict[str, Any] = json.loads(output.read_text())
        assert written["trials"]
        return written["summary"]

    return run_script


def test_born_again(run) -> None:
    errors = run("born_again")["test_error_percent"]["mobile"]
    assert len(errors) == 7
    assert all(0 <= value <= 100 for values in errors.values() for value in values)


def test_multi_teacher(run) -> None:
    summary = run("multi_teacher")
    assert list(summary["teachers"]) == ["CNN", "ViT", "both, mean probability"]
    assert list(summary["students"]) == ["none", "CNN", "ViT", "both, mean probability", "both, mean logit"]


def test_losses(run) -> None:
    summary = run("losses")
    assert summary["winner"] in summary["test"]
    assert summary["default"] in summary["test"]
    assert len(summary["test"]) == 2 + 8 + 6


def test_cache(run) -> None:
    summary = run("cache")
    assert all(each["max_abs_difference"] <= each["rounding"] for each in summary["equality"])
    assert all(kill["identical"] for kill in summary["kills"])
    assert set(summary["seconds"]) >= {"plain", "live", "cached", "first_pass", "teacher_cost"}


def test_processes(run) -> None:
    summary = run("processes")
    assert summary["weight_differences"]["SiLU, 2 processes"][0] < 1e-5
    assert list(summary["accuracies"]) == ["1", "2"]
