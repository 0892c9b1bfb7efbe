"""`scheme: auto` from the recipe to the report, on a network whose int8 is poor and whose float16 is not."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import onnxruntime
import pytest
import torch
from rich.console import Console

from compress import pipeline
from compress.errors import ToolError
from compress.progress import Progress
from compress.recipe import load_recipe
from compress.report import markdown
from compress.report.terminal import render
from compress.stages import trials
from compress.stages.emulate import Counted
from compress.targets import arm64
from compress.tasks.digits import digits
from compress.types import Results

SAME = {
    "model": {"call": "tests.e2e.schooling:lopsided"},
    "train": {"epochs": 3, "batch_size": 64, "learning_rate": 0.1, "augment": None},
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


@pytest.fixture(scope="module")
def strict(folder: Path) -> Ran:
    """What may lose nothing that matters, and may train; no core is measured."""
    return execute(folder, {"scheme": "auto", "train": TRAIN}, limit=0.05)


def test_the_cheapest_accurate_scheme_is_exported_and_passes(strict: Ran) -> None:
    (student,) = (a for a in strict.results.artifacts if a.name == "student-auto.onnx")
    assert student.precision == strict.choice["chosen"] == "float16"
    assert {verdict.artifact: verdict.status for verdict in strict.results.verdicts}["student-auto.onnx"] == "PASS"
    assert any(
        note.startswith("auto chose float16, the cheapest of 2 schemes that keep the") for note in strict.results.notes
    )
    assert "auto chose by bytes: the recipe measures no ARM64 core." in strict.results.notes
    assert all(note in strict.shown for note in strict.results.notes)


def test_every_scheme_is_said_to_be_tried_or_why_not(strict: Ran) -> None:
    found = strict.candidates
    assert {name: each["verdict"] for name, each in found.items()} == {
        "float32": "keeps the limits",
        "float16": "chosen",
        "dynamic_int8": "refused",
        "weight_only_int8": "not tried",
        "static_int8": "breaks a limit",
        "static_int8 repaired": "breaks a limit",
        "mixed_int8": "refused",
        "qat_int8": "breaks a limit",  # it was trained, because it is allowed and nothing else in int8 is accurate
    }
    assert "of the multiply-accumulates" in found["dynamic_int8"]["reason"]
    assert "cannot keep agreement 0.95" in found["mixed_int8"]["reason"]  # what the limit leaves beside float32's drop
    lost = found["float32"]["accuracy"]["onnx"] - found["static_int8"]["accuracy"]["onnx"]
    assert f"accuracy_drop {lost:.4f} of student-auto.onnx is above 0.0500" in found["static_int8"]["reason"]


def test_accuracy_is_that_on_the_validation_split(strict: Ran) -> None:
    """ONNX Runtime by hand, on the images that no test ever sees."""
    split = digits().validation
    session = onnxruntime.InferenceSession(strict.folder / "models" / "student-auto.onnx")
    (logits,) = session.run(None, {"input": split.images})
    found = strict.candidates["float16"]
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


@pytest.fixture
def made_up(strict: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts: int8 is fast on one core and slow on the other. The files are the true ones."""
    del strict

    def count(_run: object, cores: tuple[str, ...], exported: Any, _split: object) -> Any:
        def one(core: str, each: Any) -> Counted:
            int8 = 1400 if core == CORE else 300
            instructions = int8 if each.artifact.precision == "static_int8" else 1000
            facts = {"instructions": instructions, "executed_macs": 1, "by_class": {}, "repeats": [1], "runtime": "ort"}
            return Counted(core=core, exported=each, counts=facts)

        return tuple(one(core, each) for core in cores for each in exported), ()

    monkeypatch.setattr(trials, "count", count)
    monkeypatch.setattr(arm64, "install", lambda *_: None)
    monkeypatch.setattr(arm64, "fingerprint", lambda _: "none")
    monkeypatch.setattr(pipeline, "emulate", lambda *_: ((), ()))


@pytest.mark.usefixtures("made_up")
def test_int8_that_is_slower_on_one_core_loses_and_that_is_said(folder: Path) -> None:
    ran = execute(folder, "auto", cores=(CORE, "cortex-a76"))
    assert ran.choice["chosen"] == "float16"
    assert (
        f"static_int8 needs 1.40 times the instructions of float32 on {CORE} in ONNX, so float16 was chosen."
        in ran.shown
    )
    assert ran.candidates["qat_int8"]["verdict"] == "not tried"


@pytest.mark.usefixtures("made_up")
def test_budgets_that_no_scheme_keeps_end_in_the_most_accurate_and_a_failed_gate(folder: Path) -> None:
    small = {"metric": "size_bytes", "artifact": "*-auto.*", "at_most": 0.4, "relative_to": "teacher-float32.*"}
    fast = {"metric": "instructions", "artifact": "*-auto.*", "target": CORE, "at_most": 1.2}
    ran = execute(folder, "auto", cores=(CORE,), budgets=(small, {**fast, "relative_to": "teacher-float32.*"}))
    found = ran.candidates
    assert ran.choice["chosen"] == "float32"
    assert "size_bytes 1.0000 of student-auto.onnx is above 0.4000" in found["float32"]["reason"]
    assert "instructions 1.4000 of student-auto.onnx is above 1.2000" in found["static_int8"]["reason"]
    assert found["mixed_int8"]["verdict"] == "not tried"
    assert "auto chose float32, the most accurate, for no scheme keeps the limits" in ran.shown
    assert "FAIL" in {verdict.status for verdict in ran.results.verdicts if verdict.budget.metric == "size_bytes"}


@pytest.mark.usefixtures("strict")
def test_without_an_emulator_bytes_decide_and_that_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ToolError("no apt-get on this machine")

    monkeypatch.setattr(arm64, "install", broken)
    ran = execute(folder, "auto", cores=(CORE,))
    assert ran.choice["chosen"] == "static_int8"
    (note,) = (note for note in ran.results.notes if note.startswith("auto chose by bytes"))
    assert "no apt-get on this machine" in note


@pytest.mark.usefixtures("strict")
def test_the_fewest_real_instructions_win(folder: Path, home: Path) -> None:
    arm64.install(home, lambda _: None)
    if not (folder / "home" / "arm64").exists():
        (folder / "home" / "arm64").symlink_to((home / "arm64").resolve())
    ran = execute(folder, "auto", cores=(CORE,))
    found = {name: each for name, each in ran.candidates.items() if each["instructions"]}
    assert set(found) == {"float32", "float16", "static_int8"}
    counts = {name: each["instructions"][CORE]["onnx"] for name, each in found.items()}
    chosen = ran.choice["chosen"]
    assert counts[chosen] <= 1.01 * min(counts.values())
    (counted,) = (
        m
        for m in ran.results.measurements
        if m.metric == "instructions"
        and m.artifact == next(a.sha256 for a in ran.results.artifacts if a.name == "student-auto.onnx")
    )
    assert counted.value == pytest.approx(counts[chosen], rel=0.01)  # of a test image, not of the validation's first
