"""`scheme: auto` from the recipe to the report, on a network whose int8 is poor."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console

from compress import pipeline
from compress.errors import ModelError, ToolError
from compress.progress import Progress
from compress.recipe import load_recipe
from compress.report import markdown
from compress.report.terminal import render
from compress.stages import emulate as emulate_module
from compress.stages import trials
from compress.targets import arm64
from compress.targets.answers import Counts, ModelInfo
from compress.targets.worker_process import WorkerError
from compress.tasks.digits import digits
from compress.types import Results

SAME = {
    "model": {"call": "tests.e2e.schooling:lopsided"},
    "train": {"epochs": 3, "batch_size": 64, "learning_rate": 0.02, "augment": None},
}
TRAIN = {"epochs": 1, "batch_size": 64, "learning_rate": 1e-3, "augment": None}
CORE = "cortex-a53"


class Ran(NamedTuple):
    """A run: its results, what a terminal showed of it, and its folder."""

    results: Results
    shown: str
    folder: Path

    @property
    def choice(self) -> Any:
        return self.results.provenance["choice"]

    @property
    def candidates(self) -> dict[str, Any]:
        return {each["name"]: each for each in self.choice["candidates"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the home of all runs here, so that no scheme is made twice."""
    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("auto")


def execute(
    folder: Path, entry: object, *, cores: tuple[str, ...] = (), limit: float = 1, budgets: tuple[object, ...] = ()
) -> Ran:
    recipe = {
        "name": "auto",
        "task": {"call": "compress.tasks.digits:digits"},
        "teacher": SAME,
        "student": SAME,
        "quantize": [entry],
        "formats": ["onnx"],
        "verify": {"images": 8},
        "benchmark": {"arm64": {"cores": cores, "images": 2, "float_images": 2}} if cores else {},
        "budgets": [{"metric": "accuracy_drop", "artifact": "student-*", "at_most": limit}, *budgets],
    }
    (folder / "auto.yaml").write_text(json.dumps(recipe))
    console = Console(file=io.StringIO(), width=300)
    out = folder / f"out-{len(list(folder.iterdir()))}"
    results = pipeline.execute(load_recipe(folder / "auto.yaml"), out, folder / "home", Progress(console))
    render(results, console)
    return Ran(results, console.file.getvalue(), out)  # type: ignore[attr-defined]


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Try no other schemes: each costs seconds, and test_choice.py has the rules for all."""
    monkeypatch.setattr(trials, "SCHEMES", {name: trials.SCHEMES[name] for name in names})


@pytest.fixture(scope="module")
def strict(folder: Path) -> Iterator[Ran]:
    """What may lose little, and may train; no core is measured."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        only(monkeypatch, "float32", "static_int8", "mixed_int8", "qat_int8")
        yield execute(folder, {"scheme": "auto", "train": TRAIN}, limit=0.05)


@pytest.fixture
def few(strict: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `strict` has made already."""
    del strict
    only(monkeypatch, "float32", "static_int8")


def test_what_is_accurate_enough_is_exported_and_passes(strict: Ran) -> None:
    (student,) = (a for a in strict.results.artifacts if a.name == "student-auto.onnx")
    assert student.precision == strict.choice["chosen"] == "float32"
    assert {verdict.artifact: verdict.status for verdict in strict.results.verdicts}["student-auto.onnx"] == "PASS"
    assert strict.results.notes == (
        "auto chose float32, which alone keeps the limits.",
        "auto chose by bytes: the recipe measures no ARM64 core and names no phone.",
    )
    assert all(note in strict.shown for note in strict.results.notes)


def test_every_scheme_has_its_verdict_and_its_reason(strict: Ran) -> None:
    """int8 is tried in all its forms, and trained for, because it is smaller and training is allowed."""
    found = strict.candidates
    assert {name: each["verdict"] for name, each in found.items()} == {
        "float32": "chosen",
        "static_int8": "breaks a limit",
        "mixed_int8": "refused",
        "qat_int8": "breaks a limit",
    }
    assert "cannot keep agreement 0.95" in found["mixed_int8"]["reason"]  # what the limit leaves beside float32's drop
    for name in ("static_int8", "qat_int8"):
        lost = found["float32"]["accuracy"]["onnx"] - found[name]["accuracy"]["onnx"]
        assert found[name]["reason"] == f"accuracy_drop {lost:.4f} of student-auto.onnx is above 0.0500"


def test_a_refusal_is_kept_as_files_are(strict: Ran) -> None:
    """It was met before training for int8 and after it; the second time it cost nothing."""
    lines = [line for line in strict.shown.splitlines() if line.startswith("✓ export student mixed_int8")]
    assert [line.endswith("(cached) · refused") for line in lines] == [False, True]
    assert all(line.endswith("refused") for line in lines)


def test_accuracy_is_that_on_the_validation_split(strict: Ran) -> None:
    """ONNX Runtime by hand, on the images that no test ever sees."""
    split = digits().validation
    session = onnxruntime.InferenceSession(strict.folder / "models" / "student-auto.onnx")
    (logits,) = session.run(None, {"input": split.images})
    found = strict.candidates["float32"]
    assert found["accuracy"]["onnx"] == (logits.argmax(1) == split.labels).mean()
    assert found["size_bytes"]["onnx"] == (strict.folder / "models" / "student-auto.onnx").stat().st_size


def test_reports_show_what_was_chosen_from(strict: Ran) -> None:
    text = markdown(strict.results)
    assert "What auto chose from" in text
    assert "Limits there: accuracy_drop ≤ 0.0500" in text
    rows = [[cell.split("<sub>")[0].strip(" *") for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    lines = [re.split(r"\s{2,}", line) for line in strict.shown.splitlines()]
    for each in strict.candidates.values():
        assert [each["verdict"] in row for row in rows if row[:1] == [each["name"]]] == [True]
        assert [each["verdict"] in line for line in lines if line[0] == each["name"]] == [True]


@pytest.mark.usefixtures("strict")
def test_a_second_run_tries_nothing_again(folder: Path) -> None:
    ran = execute(folder, {"scheme": "auto", "train": TRAIN}, limit=0.05)
    made = [line for line in ran.shown.splitlines() if line.startswith("✓") and "(cached)" not in line]
    assert [line.split(" (")[0] for line in made] == ["✓ load the data"]


class MadeUp:
    """A session on which int8 is a little faster on every core but one, and much slower there; the files are true."""

    def __init__(self, core: str, *_: object, **__: object) -> None:
        self._int8 = 1400 if core == CORE else 900

    def __enter__(self) -> MadeUp:
        return self

    def __exit__(self, *_: object) -> None: ...

    def count(self, file: Path, sample: NDArray[np.generic]) -> Counts:
        assert (sample == digits().validation.images[:1]).all()
        instructions = self._int8 if file.stat().st_size < 20_000 else 1000
        return Counts(instructions=instructions, executed_macs=1, by_class={}, repeats=(instructions,))

    def describe(self, _file: Path) -> ModelInfo:
        return ModelInfo(runtime="onnxruntime 1", inputs=(), outputs=())


@pytest.fixture
def made_up(few: object, monkeypatch: pytest.MonkeyPatch) -> None:
    del few
    monkeypatch.setattr(emulate_module, "open_session", MadeUp)
    monkeypatch.setattr(arm64, "install", lambda *_: None)
    monkeypatch.setattr(arm64, "fingerprint", lambda _: "made up")
    monkeypatch.setattr(pipeline, "emulate", lambda *_: ((), ()))  # of what was chosen, which this is not about


@pytest.mark.usefixtures("made_up")
def test_int8_that_is_slower_on_one_core_loses_and_that_is_said(folder: Path) -> None:
    ran = execute(folder, "auto", cores=(CORE, "cortex-a76"))
    assert ran.choice["chosen"] == "float32"
    lost = f"static_int8 needs 1.40 times the instructions of float32 on {CORE} in ONNX, 1.12 times on average,"
    assert f"{lost} so float32 was chosen." in ran.shown


class Busy(MadeUp):
    """A machine that is too slow for int8 today."""

    def count(self, file: Path, sample: NDArray[np.generic]) -> Counts:
        if file.stat().st_size < 20_000:
            raise ModelError(f"{file}: did not finish within 600 s") from WorkerError("late", "SIGALRM")
        return super().count(file, sample)


@pytest.mark.usefixtures("made_up")
def test_what_a_busy_machine_could_not_count_is_not_held_against_a_scheme_tomorrow(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as today:
        today.setattr(emulate_module, "open_session", Busy)
        ran = execute(folder, "auto", cores=(CORE, "cortex-a72"))
    assert ran.choice["chosen"] == "static_int8"
    assert "auto chose by bytes, for ARM64 was not measured" in ran.shown
    assert execute(folder, "auto", cores=(CORE, "cortex-a72")).choice["chosen"] == "float32"


@pytest.mark.usefixtures("made_up")
def test_budgets_that_no_scheme_keeps_end_in_what_breaks_them_least_and_a_failed_gate(folder: Path) -> None:
    small = {"metric": "size_bytes", "artifact": "*-auto.*", "at_most": 0.4, "relative_to": "teacher-float32.*"}
    fast = {"metric": "instructions", "artifact": "*-auto.*", "target": CORE, "at_most": 1.2}
    ran = execute(folder, "auto", cores=(CORE,), budgets=(small, {**fast, "relative_to": "teacher-float32.*"}))
    found = ran.candidates
    assert ran.choice["chosen"] == "static_int8"
    assert (
        "size_bytes 1.0000 of student-auto.onnx relative to teacher-float32.* is above 0.4000"
        in found["float32"]["reason"]
    )
    assert f"instructions 1.4000 of student-auto.onnx on {CORE} relative to" in found["static_int8"]["reason"]
    assert "auto chose static_int8, which breaks them least, for no scheme keeps all limits" in ran.shown
    assert "PASS" not in {verdict.status for verdict in ran.results.verdicts if verdict.budget.metric == "instructions"}


@pytest.mark.usefixtures("few")
def test_without_an_emulator_bytes_decide_and_that_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ToolError("no apt-get on this machine")

    monkeypatch.setattr(arm64, "install", broken)
    ran = execute(folder, "auto", cores=(CORE,))
    assert ran.choice["chosen"] == "static_int8"
    (note,) = (note for note in ran.results.notes if note.startswith("auto chose by bytes"))
    assert "no apt-get on this machine" in note
