"""What a recipe asks for and the task does not have is said."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from compress import pipeline
from compress.progress import Progress
from compress.recipe import Arm64Config, DeviceConfig, VerifyConfig, load_recipe
from compress.stages.plan import note_small_test
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
