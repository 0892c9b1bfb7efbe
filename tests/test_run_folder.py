"""Whose folder a run may write to, and what the gate refuses to judge."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compress import pipeline, run_folder
from compress.cli import app
from compress.errors import DataError, RecipeError, ToolError
from compress.recipe import load_recipe
from compress.run_folder import check_artifacts, check_folder, find_other_recipe, load_results, write_run
from compress.types import Artifact, Budget, Measurement, Results, Verdict

MODEL = b"a model"


def results() -> Results:
    artifact = Artifact(
        name="student-int8.tflite",
        role="student",
        path="models/student-int8.tflite",
        format="tflite",
        precision="static_int8",
        sha256=hashlib.sha256(MODEL).hexdigest(),
        size_bytes=len(MODEL),
    )
    verdict = Verdict(
        budget=Budget(metric="size_bytes", artifact=artifact.name, at_most=9),
        status="PASS",
        artifact=artifact.name,
        value=7,
        limit=9,
        excess=0,
        reason="",
    )
    return Results(name="tiny", artifacts=(artifact,), measurements=(), verdicts=(verdict,), audits={}, provenance={})


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    (tmp_path / "model").write_bytes(MODEL)
    write_run(tmp_path / "run", results(), {"models/student-int8.tflite": tmp_path / "model"})
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("runtime", "threads", "lasts"),
    [("litert 2.3.0", 1, True), ("litert 2.3.0", 4, False), ("onnxruntime 1.32.0", 1, False)],
)
def test_predictions_of_counts_that_vary_are_no_part_of_the_identity(runtime: str, threads: int, lasts: bool) -> None:
    identities = set()
    for ms in (1.0, 1.01):
        predicted = Measurement(
            metric="predicted_latency_ms", unit="ms", value=ms, n=1, artifact=hashlib.sha256(MODEL).hexdigest(),
            runtime=runtime, target="Pixel 4", how="predicted", details={"threads": threads},
        )  # fmt: skip
        identities.add(run_folder._identity(dataclasses.replace(results(), measurements=(predicted,))))
    assert (len(identities) == 2) == lasts


@pytest.mark.parametrize("harm", [lambda file: file.write_bytes(b"corrupt"), lambda file: file.unlink()])
def test_a_model_that_is_not_the_measured_one_is_not_judged(finished: Path, harm) -> None:
    check_artifacts(finished, results())
    harm(finished / "models" / "student-int8.tflite")
    with pytest.raises(DataError, match=r"models/student-int8.tflite missing or changed; expected the files that were"):
        check_artifacts(finished, load_results(finished))
    assert isinstance(CliRunner().invoke(app, ["gate", str(finished)]).exception, DataError)


@pytest.mark.parametrize("name", ["manifest.json", "results.json"])
@pytest.mark.parametrize("content", ['{"name": "My app", "icons": [], "files": {}}', "[]", "<html>", "{"])
def test_a_file_that_only_has_our_name_is_not_ours(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    (tmp_path / ".lock").touch()
    with pytest.raises(RecipeError, match=f"holds {name} and is no run's folder"):
        check_folder(tmp_path)
    assert (tmp_path / name).read_text() == content


def test_folders_that_a_run_has_written_are_ours(finished: Path) -> None:
    (finished / "notes.txt").write_text("the user's")
    check_folder(finished)
    (finished / "manifest.json").unlink()  # killed while it replaced an older run
    check_folder(finished)
    (finished / "results.json").write_text(json.dumps({"schema_version": 0, "artifacts": [], "verdicts": []}))
    check_folder(finished)


def test_the_run_of_another_recipe_of_the_same_name_is_not_replaced_unsaid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickstart = (Path(__file__).parents[1] / "pipelines" / "quickstart.yaml").read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "execute", lambda *_: results())
    Path("mine.yaml").write_text(quickstart)
    mine = load_recipe(Path("mine.yaml"))
    made_by = {"recipe": {"path": "mine.yaml", "sha256": mine.sha256}}
    Path("model").write_bytes(MODEL)
    folder = Path("artifacts/quickstart")
    write_run(folder, dataclasses.replace(results(), provenance=made_by), {"models/student-int8.tflite": Path("model")})
    assert find_other_recipe(folder, mine) is None
    Path("mine.yaml").write_text(quickstart + "# edited\n")
    assert find_other_recipe(folder, load_recipe(Path("mine.yaml"))) is None
    Path("yours.yaml").write_text(quickstart)
    assert find_other_recipe(folder, load_recipe(Path("yours.yaml"))) is None  # the same bytes
    Path("yours.yaml").write_text(quickstart + "# other\n")
    refused = CliRunner().invoke(app, ["run", "yours.yaml"])
    assert isinstance(refused.exception, RecipeError)
    assert str(refused.exception).startswith(
        "yours.yaml: its name is that of mine.yaml too, whose run is in artifacts/"
    )
    (folder / "results.json").write_text(json.dumps({"schema_version": 1, "provenance": made_by}))
    refused = CliRunner().invoke(app, ["run", "yours.yaml"])
    assert "its name is that of mine.yaml too" in str(refused.exception), "a run of an older version is a run"
    named = CliRunner().invoke(app, ["run", "yours.yaml", "-o", str(folder)])
    assert "artifacts/quickstart holds the run of mine.yaml, which this one of yours.yaml replaces" in named.output


def test_a_folder_in_the_place_of_the_manifest(finished: Path, tmp_path: Path) -> None:
    (finished / "manifest.json").unlink()
    (finished / "manifest.json").mkdir()
    with pytest.raises(ToolError, match="a folder stands where a file is needed"):
        write_run(finished, results(), {"models/student-int8.tflite": tmp_path / "model"})
    (finished / "results.json").unlink()
    with pytest.raises(RecipeError, match=r"is no run.s folder"):
        check_folder(finished)


def test_a_path_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="File name too long; choose a shorter path"):
        check_folder(tmp_path / ("x" * 300))
