"""What a user holds after a run, and that a second run, another budget or a new report costs nothing."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from compress.types import Measurement, Results
from tests.e2e.conftest import RECIPE, Finished


@pytest.fixture(scope="module")
def results(tiny_run: Path) -> Results:
    return Results.load(tiny_run / "results.json")


def find(results: Results, name: str, metric: str, target: str = "host", **details: object) -> Measurement:
    sha256 = next(artifact.sha256 for artifact in results.artifacts if artifact.name == name)
    (found,) = (
        m
        for m in results.measurements
        if (m.artifact, m.metric, m.target) == (sha256, metric, target)
        and all(m.details.get(key) == value for key, value in details.items())
    )
    return found


def test_the_manifest_lists_every_file_with_its_hash(tiny_run: Path) -> None:
    manifest = json.loads((tiny_run / "manifest.json").read_text())
    found = {
        path.relative_to(tiny_run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tiny_run.rglob("*")
        if path.is_file() and path.name not in ("manifest.json", ".lock")
    }
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == found
    assert {"results.json", "report.html", "report.md", "models/student-int8.tflite"} <= set(found)


def test_accuracy_is_that_of_the_file_under_onnx_runtime(results: Results, tiny_run: Path) -> None:
    """An oracle apart: scikit-learn's images, ONNX Runtime called by hand."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = (data.images[-400:, None] / 16).astype(np.float32), data.target[-400:]
    session = onnxruntime.InferenceSession(tiny_run / "models" / "teacher-float32.onnx")
    (logits,) = session.run(None, {"input": images})
    assert find(results, "teacher-float32.onnx", "accuracy").value == (logits.argmax(1) == labels).mean()


@pytest.mark.parametrize("fmt", ["onnx", "tflite"])
def test_float32_files_match_torch_and_int8_files_each_other(results: Results, fmt: str) -> None:
    difference = find(results, f"teacher-float32.{fmt}", "max_abs_difference", compared_with="torch")
    assert difference.value <= 1e-4
    assert find(results, "student-int8.onnx", "agreement").value >= 0.995


def test_litert_int8_is_bit_exact_on_arm64_and_not_vacuously(results: Results) -> None:
    exact = find(results, "student-int8.tflite", "bit_exact", target="cortex-a53")
    assert (exact.value, exact.n, exact.how) == (1.0, 64, "emulated")
    assert exact.details["distinct_values"] > 50


def test_the_int8_tflite_file_is_all_integer(results: Results) -> None:
    artifact = next(a for a in results.artifacts if a.name == "student-int8.tflite")
    audit = results.audits[artifact.sha256]
    assert audit["int8_op_share"] == 1
    assert (audit["float_islands"], audit["quantize_ops"], audit["dequantize_ops"], audit["transposes"]) == (
        [],
        0,
        0,
        0,
    )
    assert artifact.inputs[0].dtype == artifact.outputs[0].dtype == "int8"
    assert artifact.inputs[0].shape[-1] == 1  # channel-last


def test_executed_macs_agree_with_the_graphs(results: Results) -> None:
    """The teacher's channels are multiples of the vector width: nothing but the stem is padded."""
    executed = find(results, "teacher-float32.tflite", "executed_macs", target="cortex-a53").value
    assert executed == pytest.approx(find(results, "teacher-float32.tflite", "macs").value, rel=0.1)


def test_there_is_no_latency_from_emulation(results: Results) -> None:
    latencies = [m for m in results.measurements if m.metric == "latency_ms"]
    assert len(latencies) == 4
    assert {(m.target, m.how, m.n, len(m.samples)) for m in latencies} == {("host", "native", 20, 20)}


def test_a_second_run_repeats_nothing_and_leaves_the_same_bytes(
    tiny_run: Path, compress: Callable[..., Finished]
) -> None:
    before = (tiny_run / "manifest.json").read_bytes()
    again = compress("run", RECIPE, "-o", tiny_run)
    assert again.code == 0
    lines = [line for line in again.out.splitlines() if line.startswith("✓")]
    made = [line for line in lines if "(cached)" not in line]
    assert [line.split(" (")[0] for line in made] == ["✓ load the data", "✓ find the ARM64 runtimes"]
    assert (tiny_run / "manifest.json").read_bytes() == before


def test_another_budget_runs_only_the_gate(tiny_run: Path, compress: Callable[..., Finished], tmp_path: Path) -> None:
    recipe = tmp_path / "strict.yaml"
    recipe.write_text(RECIPE.read_text().replace("at_least: 0.7", "at_least: 0.9999"))
    strict = compress("run", recipe, "-o", tmp_path / "strict")
    assert strict.code == 1
    assert "train teacher (cached)" in strict.out
    assert "train student (cached)" in strict.out
    value = find(Results.load(tiny_run / "results.json"), "student-int8.tflite", "accuracy").value
    line = next(line for line in strict.out.splitlines() if line.startswith("FAIL") and "int8.tflite" in line)
    for figure in (f"{value:.4f}", "0.9999", f"{0.9999 - value:.4f}"):
        assert figure in strict.out[strict.out.index(line) :]


def test_gate_report_and_verify_work_on_what_a_run_left(
    tiny_run: Path, compress: Callable[..., Finished], tmp_path: Path
) -> None:
    assert compress("gate", tiny_run).code == 0
    html = (tiny_run / "report.html").read_bytes()
    (tiny_run / "report.html").write_text("lost")
    assert compress("verify", tiny_run).code == 3
    assert compress("report", tiny_run).code == 0
    assert (tiny_run / "report.html").read_bytes() == html
    assert compress("verify", tiny_run).code == 0
    assert compress("gate", tmp_path).code == 5


def test_bench_measures_any_file(tiny_run: Path, compress: Callable[..., Finished]) -> None:
    file = tiny_run / "models" / "student-int8.tflite"
    done = compress("bench", file, "--target", "host", "--target", "cortex-a53", "--json")
    assert done.code == 0, done.err
    found = {m["metric"]: m for m in json.loads(done.out)["measurements"]}
    assert set(found) == {"latency_ms", "instructions", "executed_macs"}
    counted = find(Results.load(tiny_run / "results.json"), file.name, "instructions", target="cortex-a53").value
    # Another image, and so other branches in the pooling's rounding at most.
    assert found["instructions"]["value"] == pytest.approx(counted, rel=0.01)
