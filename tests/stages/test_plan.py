"""What a recipe asks for and the task does not have is said."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from compress import pipeline
from compress.errors import DataError, ModelError
from compress.models.mobile import mobile_cnn
from compress.progress import Progress
from compress.recipe import Arm64Config, DeviceConfig, QuantizeConfig, VerifyConfig, load_recipe
from compress.stages.plan import _check_exemptions, check_calibration_split, note_small_test
from compress.tasks.digits import digits


def notes(verify: int, arm64: Arm64Config | None = None, devices: Any = None) -> tuple[str, ...]:
    benchmark = SimpleNamespace(arm64=arm64, devices=devices)
    recipe = SimpleNamespace(verify=VerifyConfig(images=verify), benchmark=benchmark)
    run: Any = SimpleNamespace(recipe=recipe, task=digits())
    return note_small_test(run)


def test_more_images_than_the_test_split_has() -> None:
    have = len(digits().test)
    assert notes(have, Arm64Config(cores=("cortex-a53",), images=have, float_images=2)) == ()
    verify, arm64 = notes(100_000, Arm64Config(cores=("cortex-a53",), images=have + 1))
    assert verify == (
        f"verify.images asks for 100,000 images, and the test split of task digits has {have}: those are used."
    )
    (device,) = notes(1, devices=(DeviceConfig(name="pi4", ssh="pi", images=have + 1),))
    assert device.startswith(f"benchmark.devices[0].images asks for {have + 1} images")
    assert arm64.startswith(f"benchmark.arm64.images asks for {have + 1} images")


def test_a_recipe_without_budgets_is_told_before_anything_is_done(tmp_path: Path) -> None:
    small = (Path(__file__).parents[1] / "e2e" / "small.yaml").read_text()
    (tmp_path / "none.yaml").write_text(small.partition("budgets:")[0])
    console = Console(file=io.StringIO(), width=300)
    pipeline._prepare(load_recipe(tmp_path / "none.yaml"), tmp_path, Progress(console))
    first, second = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "none.yaml: sets no budgets; the run will end without a verdict, with exit code 5" in first
    assert "load the data" in second


def notes_on_calibration(*schemes: str, **changes: Any) -> list[str]:
    """What is said about digits whose calibration split is changed so."""
    entries = tuple(QuantizeConfig.model_validate(scheme) for scheme in schemes)
    task, said = digits(), []
    calibration = dataclasses.replace(task.calibration, **{key: make(task) for key, make in changes.items()})
    run: Any = SimpleNamespace(
        recipe=SimpleNamespace(quantize=entries),
        task=dataclasses.replace(task, calibration=calibration),
        progress=SimpleNamespace(note=said.append),
    )
    check_calibration_split(run)
    return said


def test_a_calibration_split_of_one_class_is_said() -> None:
    assert notes_on_calibration("static_int8") == []
    threes = {"labels": lambda task: np.full_like(task.calibration.labels, 3)}
    assert notes_on_calibration("float32", "static_int8", **threes) == [
        "task digits, split calibration: all 100 images are of class 3: int8 is made for its activations alone."
        " Put all classes in."
    ]
    assert notes_on_calibration("float16", "dynamic_int8", **threes) == []  # nothing is calibrated


def test_a_calibration_split_of_one_image_again_and_again_is_refused() -> None:
    same = {"images": lambda task: np.repeat(task.calibration.images[:1], 100, axis=0)}
    with pytest.raises(DataError, match="task digits, split calibration: all 100 calibration inputs are the same"):
        notes_on_calibration("static_int8", **same)
    notes_on_calibration("float32", **same)


def test_a_calibration_split_that_overlaps_the_test_split_is_no_task() -> None:
    from_test = {"images": lambda task: np.concatenate([task.calibration.images[1:], task.test.images[7:8]])}
    with pytest.raises(DataError, match="1 of 100 images of split calibration are in the test split too"):
        notes_on_calibration("static_int8", **from_test)


def test_a_layer_that_does_not_exist_is_named_with_its_place(tmp_path: Path) -> None:
    small = (Path(__file__).parents[1] / "e2e" / "small.yaml").read_text()
    mixed = "quantize: [float32, {scheme: mixed_int8, exempt: [stem.cnv]}]"
    (tmp_path / "mixed.yaml").write_text(small.replace("quantize: [float32]", mixed))
    run: Any = SimpleNamespace(recipe=load_recipe(tmp_path / "mixed.yaml"), task=digits())
    with pytest.raises(ModelError) as caught:
        _check_exemptions(run, mobile_cnn(in_channels=1, classes=10, widths=(8,), strides=(2,)))
    line = small.splitlines().index("quantize: [float32]") + 1
    assert str(caught.value).startswith(f"{tmp_path / 'mixed.yaml'}:{line}:21: quantize[1]: exempt: 'stem.cnv' is no ")
