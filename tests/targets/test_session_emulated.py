"""Sessions on emulated ARM64 cores: the host's results, and counts that repeat and can be checked by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from ai_edge_litert.schema_py_generated import BuiltinOperator

from compress.errors import InstructionError, ModelError
from compress.targets import Counts, Session, encode, open_session
from compress.targets import place as place_module
from compress.targets.arm64 import Arm64
from compress.targets.arm64.core_root import make_core_root
from compress.targets.cores import CORES
from compress.targets.place import EmulatedCore

MODELS = ("int8.tflite", "float.tflite", "float.onnx")


def make_inputs(host: Session, model: Path, n: int) -> np.ndarray:
    return encode(host.describe(model).inputs[0], tiny_models.images(n))


def count(session: Session, host: Session, model: Path) -> Counts:
    return session.count(model, make_inputs(host, model, 1))


@pytest.mark.parametrize("core", ["cortex_a53", "cortex_a76"])
def test_int8_outputs_equal_the_hosts_bit_for_bit(
    request: pytest.FixtureRequest, host: Session, models: Path, core: str
) -> None:
    session: Session = request.getfixturevalue(core)
    inputs = make_inputs(host, models / "int8.tflite", 16)
    expected = host.run(models / "int8.tflite", inputs)
    assert len(np.unique(expected)) > 50, "equal constants would prove nothing"
    np.testing.assert_array_equal(session.run(models / "int8.tflite", inputs), expected)


@pytest.mark.parametrize("name", ["float.tflite", "float.onnx"])
def test_float_outputs_are_close_to_the_hosts(cortex_a76: Session, host: Session, models: Path, name: str) -> None:
    inputs = make_inputs(host, models / name, 4)
    expected = host.run(models / name, inputs)
    np.testing.assert_allclose(cortex_a76.run(models / name, inputs), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_executed_macs_are_those_of_the_network(cortex_a76: Session, host: Session, models: Path, name: str) -> None:
    """Oracle: height x width x filters x channels x 9 of the convolution, inputs x outputs of the layer after it."""
    counts = count(cortex_a76, host, models / name)
    assert counts.executed_macs == pytest.approx(tiny_models.MACS, rel=0.05)
    assert counts.instructions == sum(counts.by_class.values()) == min(counts.repeats)
    assert len(counts.repeats) == 3


def test_macs_follow_from_the_classes(cortex_a76: Session, host: Session, models: Path) -> None:
    """128-bit vectors throughout: 4 multiply-accumulates a float instruction, 16 a dot product."""
    floats, integers = (count(cortex_a76, host, models / name) for name in ("float.tflite", "int8.tflite"))
    assert floats.executed_macs == 4 * floats.by_class["fmla_fp32"]
    assert integers.executed_macs == 16 * integers.by_class["dot"]
    assert floats.by_class["dot"] == integers.by_class["fmla_fp32"] == 0


def test_a_core_without_dot_products_executes_none(cortex_a53: Session, host: Session, models: Path) -> None:
    counts = count(cortex_a53, host, models / "int8.tflite")
    assert counts.by_class["dot"] == counts.by_class["mmla"] == 0
    assert counts.by_class["mlal"] > 0
    assert counts.executed_macs == pytest.approx(tiny_models.MACS, rel=0.05)


def test_an_armv8_2_core_without_dot_products_executes_none(
    home: Path, arm64: Arm64, host: Session, models: Path
) -> None:
    """The Cortex-A75 of Snapdragon 845: cpuinfo would grant a later revision dot products, whatever it runs on."""
    assert arm64.folder.is_dir()
    with open_session("cortex-a75", home) as session:
        counts = count(session, host, models / "int8.tflite")
    assert counts.by_class["dot"] == 0
    assert counts.by_class["mlal"] > 0


def test_a_core_with_matrix_products_executes_them(home: Path, arm64: Arm64, host: Session, models: Path) -> None:
    """SMMLA multiplies two rows by two: the one row of the last layer fills half of each product."""
    assert arm64.folder.is_dir()
    with open_session("cortex-x2", home) as session:
        counts = count(session, host, models / "int8.tflite")
    assert counts.executed_macs == 32 * counts.by_class["mmla"]
    assert counts.executed_macs == pytest.approx(tiny_models.MACS + tiny_models.DENSE_MACS, rel=0.05)


def test_litert_counts_repeat_to_the_instruction(
    cortex_a76: Session, home: Path, host: Session, models: Path, tmp_path: Path
) -> None:
    """Across sessions, orders of jobs, and where the file lies."""
    first = [count(cortex_a76, host, models / name) for name in ("int8.tflite", "float.tflite", "int8.tflite")]
    assert first[0] == first[2]
    moved = tmp_path / "another-place-with-a-much-longer-name" / "renamed.tflite"
    moved.parent.mkdir()
    moved.write_bytes((models / "int8.tflite").read_bytes())
    with open_session("cortex-a76", home) as session:
        with pytest.raises(ModelError):
            session.run(models / "int8.tflite", tiny_models.images(1))
        assert count(session, host, models / "float.tflite") == first[1]
        assert count(session, host, moved) == first[0]
    assert len(set(first[0].repeats)) == 1


def test_onnx_runtime_counts_repeat_within_a_thousandth(
    cortex_a76: Session, home: Path, host: Session, models: Path
) -> None:
    first = count(cortex_a76, host, models / "float.onnx")
    with open_session("cortex-a76", home) as session:
        second = count(session, host, models / "float.onnx")
    assert second.instructions == pytest.approx(first.instructions, rel=1e-3)
    assert second.executed_macs == first.executed_macs


def test_a_crash_is_one_error_and_the_next_job_runs(
    cortex_a76: Session, host: Session, models: Path, tmp_path: Path
) -> None:
    crashing = tiny_models.write_tflite(tmp_path / "crashing.tflite", quantised=True, dense=BuiltinOperator.SPLIT)
    with pytest.raises(ModelError, match=r"on cortex-a76 under litert .* crashed \(SIGSEGV\)"):
        cortex_a76.describe(crashing)
    assert count(cortex_a76, host, models / "int8.tflite").instructions > 0


def test_a_core_that_claims_too_much_dies(arm64: Arm64, host: Session, models: Path, tmp_path: Path) -> None:
    """A Cortex-A53 whose /proc/cpuinfo shows a Cortex-A76: the kernels chosen for it use what it lacks."""
    for part in ("emulator", "sysroot", "site", "counter.so"):
        (tmp_path / part).symlink_to(arm64.folder / part)
    impostor = dataclasses.replace(CORES["cortex-a76"], cpu="cortex-a53")
    make_core_root(impostor, tmp_path / "cores" / impostor.name)
    place = EmulatedCore(installation=Arm64(folder=tmp_path), core=impostor)
    with (
        Session("impostor", place, timeout_s=60, memory_bytes=8 << 30) as session,
        pytest.raises(
            InstructionError, match=r"under litert .*: illegal instruction \(SIGILL\), one that impostor lacks"
        ),
    ):
        count(session, host, models / "int8.tflite")


def test_a_runtime_that_the_core_cannot_start(
    home: Path, arm64: Arm64, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the wheel of ONNX Runtime 1.21.0 on a Cortex-A53: no model runs there, and no installation mends that."""
    assert arm64.folder.is_dir()
    worker = tmp_path / "worker.py"
    worker.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    monkeypatch.setattr(place_module, "WORKER", worker)
    message = "onnxruntime on cortex-a53, as it starts: illegal instruction"
    with open_session("cortex-a53", home) as session, pytest.raises(InstructionError, match=message):
        session.describe(models / "float.onnx")


def test_emulated_time_is_no_latency(cortex_a76: Session, models: Path) -> None:
    with pytest.raises(ValueError, match="emulated"):
        cortex_a76.time(models / "float.onnx", tiny_models.images(1), warmup=1, n=1)
