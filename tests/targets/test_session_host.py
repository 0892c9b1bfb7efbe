"""Sessions on the host: results, and everything a model file can do to its runtime."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from ai_edge_litert.schema_py_generated import BuiltinOperator
from onnx import TensorProto, helper

from compress.errors import ModelError, RecipeError, ToolError
from compress.targets import Session, decode, encode, open_session, place
from compress.types import TensorSpec


def test_describe_tells_shapes_types_and_quantisation(host: Session, models: Path) -> None:
    info = host.describe(models / "int8.tflite")
    assert info.inputs == (
        TensorSpec(
            name="input",
            shape=(1, 16, 16, 8),
            dtype="int8",
            scale=float(np.float32(tiny_models.INPUT_SCALE)),
            zero_point=tiny_models.INPUT_ZERO,
        ),
    )
    assert info.outputs[0].shape == (1, tiny_models.CLASSES)
    assert info.runtime.startswith("litert 2.")


def test_describe_tells_a_dynamic_batch(host: Session, models: Path) -> None:
    info = host.describe(models / "float.onnx")
    assert info.inputs == (TensorSpec(name="input", shape=(None, 8, 16, 16), dtype="float32"),)
    assert info.runtime.startswith("onnxruntime 1.")


def test_both_runtimes_compute_the_network(host: Session, models: Path) -> None:
    """Oracle: NumPy in float64, from the integer weights."""
    images = tiny_models.images(9)
    expected = tiny_models.compute(images)
    for name in ("float.onnx", "float.tflite"):
        spec = host.describe(models / name).inputs[0]
        outputs = host.run(models / name, encode(spec, images))
        assert outputs.dtype == np.float32
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-3, err_msg=name)
    info = host.describe(models / "int8.tflite")
    real = decode(info.outputs[0], host.run(models / "int8.tflite", encode(info.inputs[0], images)))
    assert np.abs(real - expected).max() < 3 * tiny_models.OUTPUT_SCALE


def test_time_returns_single_durations(host: Session, models: Path) -> None:
    durations = host.time(models / "float.onnx", tiny_models.images(1), warmup=2, n=7)
    assert len(durations) == 7
    assert all(isinstance(duration, int) and duration > 0 for duration in durations)


def test_count_needs_emulation(host: Session, models: Path) -> None:
    with pytest.raises(ValueError, match="not emulated"):
        host.count(models / "float.onnx", tiny_models.images(1))


IMPOSTORS = [
    ("empty.tflite", b"", "is empty"),
    ("empty.onnx", b"", "is empty"),
    ("page.onnx", b"\n<!DOCTYPE html><html><body>404", "is a web page"),
    ("page.tflite", b"<html>", "is a web page"),
    ("pointer.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
    ("other.tflite", b"PK\x03\x04 a zip archive", "not as .tflite files do"),
    ("other.ort", b"PK\x03\x04 a zip archive", "not as .ort files do"),
    ("model.pt", b"PK\x03\x04", "unknown kind of model file '.pt'"),
    ("garbage.onnx", b"\x99" * 200, "on host under onnxruntime"),
]


@pytest.mark.parametrize(("name", "content", "message"), IMPOSTORS)
def test_impostors_are_named(host: Session, tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        host.describe(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["float.onnx", "int8.tflite"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_truncated_files_are_refused(host: Session, models: Path, tmp_path: Path, name: str, share: float) -> None:
    content = (models / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match="expected a complete model"):
        host.describe(path)


def test_missing_file(host: Session, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        host.describe(tmp_path / "none.onnx")


def test_inputs_that_do_not_fit_are_refused(host: Session, models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is int8 of shape \[1, 16, 16, 8\], but it was fed float32 \[2, 8, 16, 16\]"):
        host.run(models / "int8.tflite", tiny_models.images(2))
    two = tiny_models.write_tflite(tmp_path / "two.tflite", quantised=True, inputs=2)
    with pytest.raises(ModelError, match="2 inputs and 1 outputs, expected one of each"):
        host.run(two, np.zeros((1, 16, 16, 8), np.int8))
    fixed = tiny_models.write_onnx(tmp_path / "fixed.onnx", batch=4)
    with pytest.raises(ModelError, match="a first dimension of 1"):
        host.run(fixed, tiny_models.images(4))


def test_a_crash_is_one_error_and_the_next_job_runs(host: Session, models: Path, tmp_path: Path) -> None:
    crashing = tiny_models.write_tflite(tmp_path / "crashing.tflite", quantised=True, dense=BuiltinOperator.SPLIT)
    with pytest.raises(ModelError, match=r"crashing.tflite on host under litert .* crashed \(SIGSEGV\)"):
        host.describe(crashing)
    assert host.run(models / "float.onnx", tiny_models.images(1)).shape == (1, tiny_models.CLASSES)


def test_a_hanging_job_ends_at_its_deadline(home: Path, models: Path, hanging: Path) -> None:
    with open_session("host", home, timeout_s=2) as session:
        session.describe(models / "float.onnx")
        started = time.monotonic()
        with pytest.raises(ModelError, match="did not finish within 2 s"):
            session.run(hanging, np.zeros((1, 4), np.float32))
        assert time.monotonic() - started < 60
        assert session.run(models / "float.onnx", tiny_models.images(1)).shape == (1, tiny_models.CLASSES)


def test_memory_is_limited(home: Path, tmp_path: Path) -> None:
    """A 4 GiB tensor under a limit of 2 GiB."""
    node = helper.make_node("Expand", ["x", "shape"], ["y"])
    path = tiny_models.write_graph(
        tmp_path / "big.onnx", node, TensorProto.FLOAT, {"shape": np.array([2**28, 4], np.int64)}
    )
    with (
        open_session("host", home, memory_bytes=2 << 30) as session,
        pytest.raises(ModelError, match="allocate"),
    ):
        session.run(path, np.zeros((1, 4), np.float32))


def list_children() -> set[int]:
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def test_nothing_is_left_behind(home: Path, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = list_children()
    with open_session("host", home) as session:
        session.describe(models / "float.onnx")
        session.describe(models / "float.tflite")
        assert len(list_children() - before) == 2
    assert list_children() == before
    assert list(tmp_path.iterdir()) == []
    session.close()  # again does no harm


def test_an_interrupt_ends_the_job(home: Path, hanging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while waiting: the exception passes, and the worker does not go on."""

    class Poll:
        def register(self, *_: object) -> None: ...
        def poll(self, *_: object) -> None:
            raise KeyboardInterrupt

    before = list_children()
    with open_session("host", home) as session:
        session.describe(hanging)
        monkeypatch.setattr("select.poll", Poll)
        with pytest.raises(KeyboardInterrupt):
            session.run(hanging, np.zeros((1, 4), np.float32))
        assert list_children() == before


def test_a_killed_worker_is_replaced(home: Path, models: Path) -> None:
    before = list_children()
    with open_session("host", home) as session:
        session.describe(models / "float.onnx")
        (worker,) = list_children() - before
        os.kill(worker, 9)
        while not Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].startswith(" Z"):
            time.sleep(0.01)
        assert session.describe(models / "float.onnx").inputs


def test_unknown_target(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="unknown target 'cortex-a99', expected host or one of cortex-a53"):
        open_session("cortex-a99", tmp_path)


def test_cores_that_are_not_installed(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"not installed in .* run `compress doctor --install`"):
        open_session("cortex-a76", tmp_path)


def test_a_runtime_that_does_not_start(
    home: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import a_package_that_nobody_has\n")
    monkeypatch.setattr(place, "WORKER", worker)
    with open_session("host", home) as session, pytest.raises(ToolError, match="a_package_that_nobody_has"):
        session.describe(models / "float.onnx")


def test_no_temporary_folder(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(ToolError, match=r"no temporary folder for target host .* set TMPDIR"):
        open_session("host", home)
