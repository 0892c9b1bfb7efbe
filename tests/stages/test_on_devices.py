"""Measuring on devices: this machine behind an ssh server of its own, and a phone that a fake `adb` plays."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from compress.errors import RecipeError
from compress.gate import judge
from compress.progress import Progress
from compress.recipe import DeviceConfig
from compress.stages.context import Run
from compress.stages.devices import measure_on_devices
from compress.stages.elsewhere import measure_device
from compress.stages.export import Exported
from compress.stages.on_device import OnDevice
from compress.stages.over_adb import check_tools
from compress.store import Store, file_sha256
from compress.targets import Session, decode, encode, open_session
from compress.tasks.task import Split
from compress.types import Artifact, Budget, Measurement
from tests.targets import ssh_server, tiny_models
from tests.targets.fake_phone import FakePhone

IMAGES = 6
NAMES = ("teacher-float32.tflite", "student-int8.tflite", "student-float32.onnx")


@pytest.fixture(scope="module")
def split() -> Split:
    return Split(name="test", images=tiny_models.images(IMAGES + 3), labels=np.arange(IMAGES + 3) % 10)


@pytest.fixture(scope="module")
def host(home: Path) -> Iterator[Session]:
    with open_session("host", home) as session:
        yield session


@pytest.fixture(scope="module")
def exported(host: Session, tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    """Three files of a run: a teacher, and two of its student."""
    folder = tmp_path_factory.mktemp("models")
    found = []
    for name in NAMES:
        if name.endswith(".onnx"):
            file = tiny_models.write_onnx(folder / name)
        else:
            file = tiny_models.write_tflite(folder / name, quantised="int8" in name)
        info = host.describe(file)
        artifact = Artifact(
            name=name, role=name.partition("-")[0], path=name, format=name.rpartition(".")[2],
            precision="static_int8" if "int8" in name else "float32", sha256=file_sha256(file),
            size_bytes=file.stat().st_size, inputs=info.inputs, outputs=info.outputs,
        )  # type: ignore[arg-type]  # fmt: skip
        found.append(
            Exported(
                artifact=artifact,
                file=file,
                audit={},
                runtime=info.runtime,
                reference=np.zeros((1, 1), np.float32),
                quantization={},
            )
        )
    return found


@pytest.fixture
def make_run(tmp_path: Path, home: Path, split: Split) -> Callable[..., Run]:
    """Makes runs with these devices; all of them share a store."""
    store = Store(tmp_path / "store", print)

    def make(*devices: DeviceConfig) -> Run:
        recipe: Any = SimpleNamespace(
            path=Path("recipe.yaml"), benchmark=SimpleNamespace(devices=devices), where=lambda *_: "recipe.yaml"
        )
        task: Any = SimpleNamespace(test=split)
        progress = Progress(Console(file=io.StringIO(), width=200))
        return Run(recipe=recipe, task=task, store=store, home=home, progress=progress)

    return make


def measure(run: Run, found: tuple[OnDevice, ...], host: Session) -> list[Measurement]:
    result = []
    for each in found:
        artifact, images = each.exported.artifact, run.task.test.images
        logits = decode(artifact.outputs[0], host.run(each.exported.file, encode(artifact.inputs[0], images)))
        result += measure_device(run, each, logits, found)
    return result


def write_python(path: Path, *lines: str) -> str:
    path.write_text("\n".join(["#!/bin/sh", *lines, f'exec {sys.executable} "$@"']) + "\n")
    path.chmod(0o755)
    return str(path)


def test_a_device_with_another_version_is_measured_and_said(
    make_run: Callable[..., Run], exported: list[Exported], host: Session, server: ssh_server.Server, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Another version by its package's own word; the arithmetic is the host's, so that all images agree."""
    monkeypatch.setenv("PATH", server.path)
    other = tmp_path / "other" / "ai_edge_litert-2.1.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Name: ai-edge-litert\nVersion: 2.1.0\n")
    python = write_python(tmp_path / "python", f"export PYTHONPATH={tmp_path}/other")
    config = DeviceConfig(name="pi4", ssh="board", python=python, images=IMAGES, warmup=1, inferences=4, rounds=3)
    found, notes = measure_on_devices(make_run(config), exported)
    assert notes == (
        "pi4 has litert 2.1.0, and this host litert 2.3.0: what was measured there is of litert 2.1.0, and compared"
        " with the host's outputs as it is. A budget with a `runtime` accepts that version alone.",
    )
    measured = measure(make_run(config), found, host)
    by_name = {
        (each.artifact.name, m.metric): m for each in exported for m in measured if m.artifact == each.artifact.sha256
    }
    assert {m.target for m in measured} == {"pi4"}
    for name in NAMES:
        timed, exact = by_name[name, "latency_ms"], by_name[name, "bit_exact"]
        assert (timed.how, timed.n, len(timed.samples), timed.details["rounds"]) == ("native", 12, 12, 3)
        assert timed.runtime == ("onnxruntime 1.32.0" if name.endswith(".onnx") else "litert 2.1.0")
        assert {"processor", "governor"} <= timed.details["machine"].keys()
        assert timed.interval is not None
        assert (exact.value, exact.n) == (1.0, IMAGES)
    assert {name for name in NAMES if "speedup" in by_name[name, "latency_ms"].details} == {"student-int8.tflite"}
    budget = Budget(metric="latency_ms", artifact="student-int8.tflite", target="pi4", at_most=1e6, judge="interval")
    pinned = Budget(
        metric="bit_exact", artifact="student-int8.tflite", target="pi4", runtime="litert 2.3.*", at_least=1
    )
    kept, missing = judge((budget, pinned), [each.artifact for each in exported], measured)
    assert (kept.status, missing.status) == ("PASS", "MISSING")
    assert "it was measured on pi4 (litert 2.1.0)" in missing.reason
    again, _ = measure_on_devices(make_run(config), exported)
    assert [each.samples_ns for each in again] == [each.samples_ns for each in found], "from the store"


def test_what_lacks_a_runtime_is_missing_and_the_rest_is_measured(
    make_run: Callable[..., Run], exported: list[Exported], server: ssh_server.Server, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A Python that finds NumPy and LiteRT alone, as on a phone's Termux."""
    monkeypatch.setenv("PATH", server.path)
    packages = tmp_path / "packages"
    packages.mkdir()
    installed = next(path for path in map(Path, sys.path) if (path / "onnxruntime").is_dir())
    for pattern in ("numpy*", "ai_edge_litert*", "flatbuffers*", "typing_extensions*", "backports*"):
        for path in installed.glob(pattern):
            (packages / path.name).symlink_to(path)
    (tmp_path / "python").write_text(f'#!/bin/sh\nexport PYTHONPATH={packages}\nexec {sys.executable} -S "$@"\n')
    (tmp_path / "python").chmod(0o755)
    config = DeviceConfig(
        name="pi4", ssh="board", python=str(tmp_path / "python"), images=2, warmup=0, inferences=1, rounds=1
    )
    found, notes = measure_on_devices(make_run(config), exported)
    assert [each.exported.artifact.name for each in found] == ["teacher-float32.tflite", "student-int8.tflite"]
    (note,) = notes
    assert note.startswith("pi4: the Python package onnxruntime was not found in ")
    assert note.endswith("Its budgets on pi4 are MISSING.")


def test_what_is_not_reached_or_drops_has_no_figures(
    make_run: Callable[..., Run], exported: list[Exported], server: ssh_server.Server, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("PATH", server.path)
    python = write_python(tmp_path / "python", f'case "$1" in worker.py) touch {tmp_path}/working;; esac')

    def drop() -> None:
        while not (tmp_path / "working").exists():
            time.sleep(0.02)
        server.drop()

    thread = threading.Thread(target=drop, daemon=True)
    thread.start()
    dropping = DeviceConfig(name="dropping", ssh="board", python=python, images=2, inferences=1)
    found, notes = measure_on_devices(make_run(dropping, DeviceConfig(name="nowhere", ssh="off")), exported)
    thread.join()
    assert found == ()
    lost, unreached = notes
    assert lost.startswith("dropping: the connection to board was lost: ")
    assert unreached.startswith("nowhere: ssh did not reach off: ssh: connect to host")
    assert unreached.endswith("Budgets on nowhere are MISSING.")


def test_a_phone_gives_the_means_of_its_rounds(
    make_run: Callable[..., Run], exported: list[Exported], host: Session, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    phone = FakePhone(tmp_path / "phone")
    monkeypatch.setenv("PATH", f"{phone.folder}:/usr/bin:/bin")
    config = DeviceConfig(name="pixel", adb="any", benchmark_model=str(phone.tool), rounds=3)
    found, notes = measure_on_devices(make_run(config), exported)
    assert notes == ()
    teacher, student = measure(make_run(config), found, host)
    for m in (teacher, student):
        assert (m.metric, m.target, m.value, m.n, m.samples) == ("latency_ms", "pixel", pytest.approx(14.5752), 90, ())
        assert m.details["statistic"] == "mean"
        assert m.details["tool"][0]["memory_mb"] == 8.62891
        assert m.details["machine"]["board"] == "Pixel 4"
    assert student.details["speedup"]["value"] == pytest.approx(1)
    ran = [call[-1] for call in phone.calls() if "--graph" in call[-1]]
    assert len([script for script in ran if "--num_runs=30" in script]) == 2 * 3


@pytest.mark.parametrize(
    ("content", "fault"), [(None, r"cannot be read \(No such file or directory\)"), (b"text", "is no program")]
)
def test_a_program_for_a_phone_that_is_none_is_refused_before_anything_trains(
    make_run: Callable[..., Run], tmp_path: Path, content: bytes | None, fault: str
) -> None:
    tool = tmp_path / "benchmark_model"
    if content is not None:
        tool.write_bytes(content)
    run = make_run(DeviceConfig(name="pixel", adb="any", benchmark_model=str(tool)))
    with pytest.raises(RecipeError, match=f"^recipe.yaml: pixel: {tool} {fault}"):
        check_tools(run)


def test_a_file_that_the_program_cannot_run_is_missing_alone(
    make_run: Callable[..., Run], exported: list[Exported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = FakePhone(tmp_path / "phone", refused=exported[1].file.stat().st_size)
    monkeypatch.setenv("PATH", f"{phone.folder}:/usr/bin:/bin")
    config = DeviceConfig(name="pixel", adb="any", benchmark_model=str(phone.tool), rounds=1)
    found, notes = measure_on_devices(make_run(config), exported)
    assert [each.exported.artifact.name for each in found] == ["teacher-float32.tflite"]
    (note,) = notes
    assert "student-int8.tflite on pixel under benchmark_model" in note
    assert note.endswith("Its budgets on pixel are MISSING.")
