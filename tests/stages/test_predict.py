"""Predictions of a run: every file on every phone, counted once for each kind of core; without an emulator none."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from compress.errors import ToolError
from compress.export.audit import audit_in_child
from compress.progress import Progress
from compress.recipe import PhonesConfig
from compress.stages import emulate, predict
from compress.stages.context import Run
from compress.stages.export import Exported
from compress.store import Store, file_sha256
from compress.targets import arm64, open_session
from compress.targets.devices import load_devices
from compress.targets.latency.calibration import Calibration
from compress.targets.latency.model import identify
from compress.targets.latency.placement import place_threads
from compress.targets.latency.rates import RATES_FILE, load_rates
from compress.targets.latency.work import Work
from compress.tasks.task import Split
from compress.types import Artifact
from tests.targets import tiny_models

PHONES = ("pixel-4", "Pixel 4a")
"""Both have Cortex-A76, at 2.84 and 2.2 GHz."""


@pytest.fixture(scope="module")
def exported(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Exported, ...]:
    file = tiny_models.write_tflite(tmp_path_factory.mktemp("models") / "teacher-float32.tflite", quantised=False)
    with open_session("host", home) as session:
        info = session.describe(file)
    artifact = Artifact(
        name=file.name, role="teacher", path=file.name, format="tflite", precision="float32", sha256=file_sha256(file),
        size_bytes=file.stat().st_size, inputs=info.inputs, outputs=info.outputs,
    )  # fmt: skip
    reference = np.zeros((1, 1), np.float32)
    audit = audit_in_child(file)
    return (
        Exported(artifact=artifact, file=file, audit=audit, runtime=info.runtime, reference=reference, quantization={}),
    )


@pytest.fixture
def run(tmp_path: Path, home: Path) -> Run:
    split = Split(name="test", images=tiny_models.images(2), labels=np.arange(2))
    benchmark = SimpleNamespace(phones=PhonesConfig(names=PHONES, threads=1))
    recipe: Any = SimpleNamespace(path=Path("recipe.yaml"), benchmark=benchmark, devices=load_devices())
    task: Any = SimpleNamespace(test=split)
    progress = Progress(Console(file=io.StringIO(), width=200))
    return Run(recipe=recipe, task=task, store=Store(tmp_path / "store", print), home=home, progress=progress)


def test_a_latency_for_each_phone_from_one_count(
    run: Run, exported: tuple[Exported, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_and_note(core: str, *args: Any, **options: Any) -> Any:
        opened.append(core)
        return open_session(core, *args, **options)

    monkeypatch.setattr(emulate, "open_session", open_and_note)
    found, notes = predict.predict_latencies(run, exported)
    assert (notes, opened) == ((), ["cortex-a76"])
    pixel, other = found
    assert [m.target for m in found] == list(PHONES)
    assert {m.how for m in found} == {"predicted"}
    assert other.details["parts_ms"]["fmla"] / pixel.details["parts_ms"]["fmla"] == pytest.approx(2.84 / 2.2)
    for m in found:
        assert m.value == pytest.approx(sum(m.details["parts_ms"].values()))
        assert m.interval is not None
        assert m.interval[0] < m.value < m.interval[1]
        assert "no published figure of cortex-a76 was fitted" in m.details["warnings"]
    least_ms = tiny_models.DENSE_MACS / 8 / 2.84e6  # two units of four lanes, without a cycle lost
    assert pixel.details["parts_ms"]["fmla"] > least_ms
    layers = pixel.details["cycles_by_layer"]
    assert max(layers, key=layers.get) == "products"
    again, _ = predict.predict_latencies(run, exported)
    assert (again, opened) == (found, ["cortex-a76"])
    assert predict.predict_before_test(run, exported, run.task.test) == found
    run.recipe.benchmark.phones = PhonesConfig(names=("Raspberry Pi 5",), threads=1)  # type: ignore[misc]
    predict.predict_latencies(run, exported)
    assert opened == ["cortex-a76"] * 2, "its chip has no cache behind the third level: it is counted anew"


def test_a_calibrated_phone_says_so(run: Run, exported: tuple[Exported, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """1 ms at 2.84 GHz, and twice as slow as predicted, with its own interval; the other phone is as it was."""
    work = Work(by_class={"fmla": 2.84e6}, lines=(0, 0), operators=0)
    monkeypatch.setattr(predict, "_count_one", lambda *_: predict._Counted(runtime="litert 2.3.0", work=work))
    before, other = predict.predict_latencies(run, exported)[0]
    placement = place_threads(load_devices()["Pixel 4"], 1)
    calibration = Calibration(
        device="Pixel 4", threads=1, factor=2.0, spread=1.125, networks=5, classes=("fmla", "other"),
        cycles=(1e6, 1e7), runtime="litert 2.3.0", there="ssh:board", date="2026-11-25",
        model=identify(placement, load_rates().rates),
    )  # fmt: skip
    devices = {**run.recipe.devices}
    devices["Pixel 4"] = dataclasses.replace(devices["Pixel 4"], calibrations=(calibration,))
    run.recipe.devices = devices  # type: ignore[misc]
    after, same = predict.predict_latencies(run, exported)[0]
    assert same == other
    assert (before.value, after.value) == pytest.approx((1.0, 2.0))
    assert after.interval == pytest.approx((2 / 1.125, 2 * 1.125))
    assert (after.details["warnings"], before.details["calibration"]) == ([], None)
    assert after.details["calibration"]["there"] == "ssh:board"


def test_new_rates_cost_no_new_profile() -> None:
    """Where they are written is no code of a profile."""
    for name in predict.CODE:
        spec = importlib.util.find_spec(name)
        assert spec
        assert not any(RATES_FILE.is_relative_to(folder) for folder in spec.submodule_search_locations or ())


def test_without_an_emulator_nothing_is_predicted(
    run: Run, exported: tuple[Exported, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ToolError("no apt-get")

    monkeypatch.setattr(arm64, "install", refuse)
    assert predict.predict_latencies(run, exported) == (
        (),
        ("No latency was predicted for pixel-4, Pixel 4a: no apt-get. Budgets there are MISSING.",),
    )
