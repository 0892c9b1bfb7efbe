"""A student that comes out as its teacher, byte for byte: the run of somebody who only wants to quantise."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from rich.console import Console

from compress import pipeline
from compress.errors import InstructionError, ModelError, ToolError
from compress.progress import Progress
from compress.recipe import load_recipe
from compress.stages import emulate as emulate_module
from compress.targets import ModelInfo, arm64
from compress.targets.answers import Block, Profile, Traffic
from compress.targets.worker_process import WorkerError
from compress.types import Results

MODEL = {"call": "compress.models.mobile:mobile_cnn", "args": {"widths": [8, 16], "strides": [2, 2]}}
SAME = {"model": MODEL, "train": {"epochs": 3, "batch_size": 64, "learning_rate": 0.1, "augment": None}}
RECIPE = {
    "name": "twins",
    "task": {"call": "compress.tasks.digits:digits"},
    "teacher": SAME,
    "student": SAME,
    "quantize": ["float32"],
    "formats": ["onnx"],
    "benchmark": {
        "host": {"rounds": 3, "inferences": 2},
        "arm64": {"cores": ["cortex-a53"]},
        "phones": {"names": ["pixel 4"]},
    },
    "budgets": [
        {"metric": "accuracy_drop", "artifact": "student-float32.onnx", "at_most": 0},
        {"metric": "latency_ms", "artifact": "student-float32.onnx", "at_most": 1000, "judge": "interval"},
        {"metric": "instructions", "artifact": "student-float32.onnx", "target": "cortex-a53", "at_most": 1e12},
        {"metric": "runs", "artifact": "student-float32.onnx", "target": "cortex-a53", "at_least": 1},
        {"metric": "predicted_latency_ms", "artifact": "student-float32.onnx", "target": "pixel 4", "at_most": 1000},
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the recipe, and the home of its runs."""
    folder = tmp_path_factory.mktemp("twins")
    (folder / "twins.yaml").write_text(json.dumps(RECIPE))
    torch.set_num_threads(1)
    return folder


class Profiling:
    """A session that runs nothing, and reports one block of every file."""

    def __enter__(self) -> Profiling:
        return self

    def __exit__(self, *_: object) -> None: ...

    def profile(self, *_: object, **__: object) -> Profile:
        lines = (Traffic(misses=1, writebacks=0),) * 3
        return Profile(blocks=(Block(executions=1000, words=(0x8B050083,)),), traffic=lines)

    def describe(self, _: Path) -> ModelInfo:
        return ModelInfo(inputs=(), outputs=(), runtime="onnxruntime 1.32.0")


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    """Of a run on a machine whose ARM64 installation is there and does not start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arm64, "install", lambda *_: None)

        def broken(*_: object) -> None:
            raise ToolError("litert on cortex-a53 did not start: counter.so: file too short")

        patch.setattr(pipeline, "emulate", broken)
        patch.setattr(arm64, "fingerprint", lambda _: "none")
        patch.setattr(emulate_module, "open_session", lambda *_, **__: Profiling())
        progress = Progress(Console(file=io.StringIO()))
        return pipeline.execute(load_recipe(folder / "twins.yaml"), folder / "out", folder / "home", progress)


def test_each_file_is_measured_once(results: Results) -> None:
    teacher, student = (a for a in results.artifacts if a.format == "onnx")
    assert teacher.sha256 == student.sha256
    found = Counter((m.artifact, m.metric, m.runtime, m.target, m.details.get("against")) for m in results.measurements)
    assert set(found.values()) == {1}
    (timed,) = (m for m in results.measurements if m.metric == "latency_ms")
    assert len(timed.samples) == 6


def test_both_keep_their_budgets(results: Results) -> None:
    statuses = {verdict.budget.metric: verdict.status for verdict in results.verdicts}
    assert statuses == {
        "accuracy_drop": "PASS",
        "latency_ms": "PASS",
        "instructions": "MISSING",
        "runs": "MISSING",
        "predicted_latency_ms": "PASS",
    }


def test_a_broken_arm64_installation_costs_the_arm64_figures_alone(results: Results) -> None:
    (note,) = (note for note in results.notes if "ARM64 was not measured" in note)
    assert "counter.so" in note
    assert "budgets are MISSING" in note


class Deadly:
    """A session on which every file dies."""

    def __init__(self, error: ModelError) -> None:
        self._error = error

    def __enter__(self) -> Deadly:
        return self

    def __exit__(self, *_: object) -> None: ...

    def run(self, *_: object) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (InstructionError("a file: illegal instruction"), "illegal instruction, one that cortex-a53 lacks"),
        (ModelError("a file: the runtime crashed (SIGSEGV)"), "the runtime crashed (SIGSEGV)"),
    ],
)
@pytest.mark.usefixtures("results")
def test_a_file_that_dies_on_a_core_fails_the_instruction_set_gate(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: ModelError, why: str
) -> None:
    """What the core would have been measured for is MISSING."""
    monkeypatch.setattr(arm64, "install", lambda *_: None)
    monkeypatch.setattr(arm64, "fingerprint", lambda _: "none")
    monkeypatch.setattr(emulate_module, "open_session", lambda *_, **__: Deadly(error))
    progress = Progress(Console(file=io.StringIO()))
    found = pipeline.execute(load_recipe(folder / "twins.yaml"), folder / "out", folder / "home", progress)
    verdicts = {verdict.budget.metric: verdict for verdict in found.verdicts}
    assert {metric: verdict.status for metric, verdict in verdicts.items()} == {
        "accuracy_drop": "PASS",
        "latency_ms": "PASS",
        "instructions": "MISSING",
        "runs": "FAIL",
        "predicted_latency_ms": "PASS",  # from the store
    }
    assert verdicts["runs"].value == 0
    assert why in verdicts["runs"].reason
    assert str(error) in found.notes


@pytest.mark.usefixtures("results")
def test_a_file_that_is_only_too_slow_is_not_said_to_die(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ModelError("a file: did not finish within 600 s")
    error.__cause__ = WorkerError("did not finish within 600 s", "SIGALRM")
    monkeypatch.setattr(arm64, "install", lambda *_: None)
    monkeypatch.setattr(arm64, "fingerprint", lambda _: "none")
    monkeypatch.setattr(emulate_module, "open_session", lambda *_, **__: Deadly(error))
    progress = Progress(Console(file=io.StringIO()))
    found = pipeline.execute(load_recipe(folder / "twins.yaml"), folder / "out", folder / "home", progress)
    (runs,) = (verdict for verdict in found.verdicts if verdict.budget.metric == "runs")
    assert runs.status == "MISSING"
    assert str(error) in found.notes
