"""A run with variants, tried on tflite-runtime too: the files are there, listed, held against their sources."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.types import Artifact, Results
from tests.e2e.conftest import RECIPE, Finished

HEAD, _, _ = RECIPE.read_text().partition("verify:")
MORE = """
variants: [ort, float_io]
verify: {images: 64, tflite_runtime: [host]}
benchmark: {host: {warmup: 1, inferences: 4, rounds: 1}}
budgets:
  - {metric: bit_exact, artifact: "student-int8-*.*", at_least: 1}
  - {metric: bit_exact, artifact: student-int8.ort, at_least: 1}
  - {metric: agreement, artifact: "*.ort", at_least: 1}
  - {metric: compatible, artifact: "*.tflite", at_least: 1}
"""


@pytest.fixture(scope="module")
def folder(tiny_run: Path, compress: Callable[..., Finished], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is trained and exported comes from the store, where `tiny_run` has left it."""
    assert tiny_run.is_dir()
    place = tmp_path_factory.mktemp("variants")
    (place / "variants.yaml").write_text(HEAD + MORE)
    finished = compress("run", place / "variants.yaml", "-o", place / "run")
    assert finished.code == 0, finished.out + finished.err
    return place / "run"


def test_variants_are_artifacts_of_the_run(folder: Path, compress: Callable[..., Finished]) -> None:
    results = Results.load(folder / "results.json")
    by_name: dict[str, Artifact] = {artifact.name: artifact for artifact in results.artifacts}
    sources = {
        "teacher-float32.ort": "teacher-float32.onnx",
        "student-int8.ort": "student-int8.onnx",
        "student-int8-float-io.tflite": "student-int8.tflite",
    }
    files = json.loads((folder / "manifest.json").read_text())["files"]
    for name, source in sources.items():
        assert by_name[name].parent == by_name[source].sha256
        assert files[f"models/{name}"] == {"sha256": by_name[name].sha256, "size_bytes": by_name[name].size_bytes}
    assert {"models/student-int8.required_operators.config", "models/teacher-float32.required_operators.config"} <= {
        *files
    }
    (integer,), (real,) = (by_name[name].inputs for name in ("student-int8.tflite", "student-int8-float-io.tflite"))
    assert (integer.dtype, real.dtype, real.scale) == ("int8", "float32", None)
    assert integer.scale is not None
    assert compress("verify", folder).code == 0
    timed = {m.artifact for m in results.measurements if m.metric == "latency_ms"}
    assert timed == {a.sha256 for a in results.artifacts if a.format in ("onnx", "tflite")}  # .ort is for ARM64


def test_every_tflite_file_has_its_outcome(folder: Path) -> None:
    results = Results.load(folder / "results.json")
    names = {artifact.sha256: artifact.name for artifact in results.artifacts}
    found = {names[m.artifact]: m for m in results.measurements if m.metric == "compatible"}
    assert set(found) == {"teacher-float32.tflite", "student-int8.tflite", "student-int8-float-io.tflite"}
    assert {(m.runtime, m.target, m.n) for m in found.values()} == {("tflite-runtime 2.14.0", "host", 64)}
    assert "which older apps ship" in (folder / "report.html").read_text()
