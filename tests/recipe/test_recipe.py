"""Every mistake in a recipe at its file:line:column, all at once; and the recipes that ship."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mistakes import MISTAKES
from pydantic import ValidationError
from tiny_recipe import TINY

from compress.errors import RecipeError
from compress.recipe import Recipe, artifact_name, load_recipe
from compress.types import Budget

Complain = Callable[[str | bytes], list[str]]
PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.fixture
def tiny(tmp_path: Path, plugged: Path) -> Recipe:  # noqa: ARG001 - `plugged` must be importable
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return load_recipe(path)


def test_values_and_defaults(tiny: Recipe, tmp_path: Path) -> None:
    assert (tiny.name, tiny.seed, tiny.formats) == ("tiny", 0, ("onnx", "tflite"))
    assert tiny.student.train.learning_rate == 0.001
    assert tiny.student.train.model_dump() == {
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 0.001,
        "weight_decay": 5e-4,
        "optimizer": "sgd",
        "momentum": 0.9,
        "warmup_fraction": 0.2,
        "decay": "linear",
        "label_smoothing": 0.0,
        "augment": {"pad": 2, "flip": False, "cutout": 0},
        "views": 0,
        "ema_decay": None,
        "precision": "auto",
    }
    assert tiny.teacher.model.build(in_channels=1, classes=3) == ("model", 1, 3, 2)
    assert tiny.task.build(home=tmp_path) == ("task", tmp_path, 10)
    assert [(entry.scheme, entry.calibration) for entry in tiny.quantize][1] == ("static_int8", "min_max")
    assert (tiny.verify.images, tiny.benchmark.host, tiny.benchmark.arm64) == (256, None, None)


def test_the_file_is_kept(tiny: Recipe, tmp_path: Path) -> None:
    assert tiny.path == tmp_path / "tiny.yaml"
    assert tiny.text == TINY
    assert tiny.sha256 == hashlib.sha256(TINY.encode()).hexdigest()


def test_budgets_know_their_line(tiny: Recipe, tmp_path: Path) -> None:
    assert tiny.budgets == (
        Budget(
            metric="size_bytes",
            artifact="student-int8.*",
            at_most=0.05,
            relative_to="teacher-float32.*",
            line=f"{tmp_path / 'tiny.yaml'}:{TINY.splitlines().index('budgets:') + 2}",
        ),
    )


def test_artifact_names(tiny: Recipe) -> None:
    assert tiny.artifact_names() == (
        "teacher-float32.onnx",
        "teacher-float32.tflite",
        "student-float32.onnx",
        "student-float32.tflite",
        "student-int8.onnx",
        "student-int8.tflite",
        "teacher.safetensors",
        "student.safetensors",
    )
    assert artifact_name("student", "static_int8", "tflite") in tiny.artifact_names()
    assert artifact_name("student", "dynamic_int8", "onnx") == "student-dynamic-int8.onnx"


def test_nothing_can_be_changed(tiny: Recipe) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        tiny.student.train.epochs = 3  # type: ignore[misc]


def test_a_recipe_comes_from_a_file() -> None:
    with pytest.raises((TypeError, ValidationError)):
        Recipe()  # type: ignore[call-arg]


@pytest.mark.parametrize(("this", "that", "mistakes"), MISTAKES)
def test_mistakes(this: str, that: str, mistakes: list[tuple[str, str]], complain: Complain) -> None:
    text = TINY.replace(this, that, 1)
    assert text != TINY
    lines = complain(text)
    assert [line.split(": ", 1)[1] for line in lines] == [message for _, message in mistakes]
    for line, (written, _) in zip(lines, mistakes, strict=True):
        number, column = map(int, line.split(":")[:2])
        assert text.splitlines()[number - 1][column - 1 :].startswith(written)


def test_all_mistakes_at_once_from_top_to_bottom(complain: Complain) -> None:
    text = TINY
    for this, that in (("epochs: 1,", "epochs: 0,"), ("plugged:task", "plugged:tsk"), ("alpha", "alhpa"),
                       ("size_bytes", "sizes"), ("student-int8", "student-int4"), ("float32, ", "")):  # fmt: skip
        text = text.replace(this, that, 1)
    places = [tuple(map(int, line.split(":")[:2])) for line in complain("seed: 1\nseed: 2\n" + text)]
    assert places == sorted(places)
    assert [line for line, _ in places] == [2, 4, 7, 14, 14, 18]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", ["1:1: the file is empty; expected keys and their values"]),
        (b"- name: x\n", ["1:1: expected a mapping (key: value), got a list"]),
        (b"hello\n", ["1:1: expected a mapping (key: value), got hello"]),
        (b"name: x\nseed: \xff\n", ["2:7: byte 0xff is not UTF-8; save the file as UTF-8 text"]),
        (
            "# gr\u00fc\u00dfe\nname: \u00e9".encode("latin-1"),
            ["1:5: byte 0xfc is not UTF-8; save the file as UTF-8 text"],
        ),
        (b"name: x\n\tseed: 1\n", ["2:1: a tab stands where YAML takes only spaces; indent with spaces"]),
    ],
)
def test_files_that_are_no_recipe(data: bytes, lines: list[str], complain: Complain) -> None:
    assert complain(data) == lines


def test_a_byte_order_mark_is_no_mistake(complain: Complain) -> None:
    assert complain(b"\xef\xbb\xbf" + TINY.encode()) == []
    assert complain(TINY.replace("\n", "\r\n")) == []


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").write_text("")
    (tmp_path / "huge.yaml").write_bytes(b"#" * (2**20 + 1))
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("quickstrat.yaml", f"no such file; did you mean {tmp_path / 'quickstart.yaml'}?"),
        ("zzz/zzz.yaml", "no such file; expected a recipe, see pipelines/"),
        ("", "is a folder; expected a recipe"),
        ("huge.yaml", "is larger than 1 MiB"),
        ("pipe", "is not a regular file"),
        ("quickstart.yaml/x", "no such file"),
        ("x" * 300, "cannot be read: File name too long"),
    ):
        path = tmp_path / name
        with pytest.raises(RecipeError) as caught:
            load_recipe(path)
        assert str(caught.value).startswith(f"{path}: {words}")
        assert "\n" not in str(caught.value)


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_mistyped_there_are_only_clear_lines(data: st.DataObject, complain: Complain) -> None:
    text = TINY
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 6)))
        text = (
            text[:start]
            + data.draw(st.text(st.sampled_from(" \n\t:,-[]{}#'\"&*!|>%@~<?10.eé"), max_size=3))
            + text[end:]
        )
    for line in complain(text):
        number, column, message = line.split(":", 2)
        assert int(number) >= 1
        assert int(column) >= 1
        assert message.strip()


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_recipes_load(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe.budgets
    assert all(dataclasses.asdict(budget)["line"].startswith(f"{path}:") for budget in recipe.budgets)


def test_needs_no_torch(tmp_path: Path, plugged: Path) -> None:
    text = TINY.replace("metric: size_bytes,", "metric: instructions, target: cortex-a76,")
    (tmp_path / "tiny.yaml").write_text(text + "benchmark: {arm64: {cores: [cortex-a76]}}\n")
    code = (
        "import sys, pathlib, json; from compress.recipe import load_recipe; "
        f"recipe = load_recipe(pathlib.Path({str(tmp_path / 'tiny.yaml')!r})); "
        "print(json.dumps([recipe.name, 'torch' in sys.modules]))"
    )
    path = os.pathsep.join([str(plugged), str(PIPELINES.parent)])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True)
    assert json.loads(done.stdout) == ["tiny", False], done.stderr.decode()


def test_own_devices_are_beside_the_recipe(tmp_path: Path, complain: Complain) -> None:
    text = TINY.replace("task:", "devices: own/phones.yaml\ntask:", 1)
    expected = f"no such file {tmp_path / 'own/phones.yaml'}; expected a file of devices, relative to the recipe"
    assert complain(text) == [f"2:10: devices: {expected}"]
    (tmp_path / "own").mkdir()
    (tmp_path / "own/phones.yaml").write_text("devices: {Kiosk: {soc: RK3588}}\n")
    assert complain(text) == []
    assert load_recipe(tmp_path / "mine.yaml").devices["Kiosk"].core.name == "cortex-a76"
    mistakes = [f"  Kiosk {n}: {{soc: RK358{n}}}\n" for n in (1, 2, 3, 4, 5, 6, 7, 9)]
    (tmp_path / "own/phones.yaml").write_text("".join(["devices:\n", *mistakes, "socs: {}\nsoc: {}\n"]))
    *of_devices, of_recipe = complain(text.replace("epochs: 1", "epochs: 0", 1))
    where = f"2:10: devices: {tmp_path / 'own/phones.yaml'}"
    lines = [line.removeprefix(f"{where}:").split(":")[0] for line in of_devices]
    assert lines == ["2", "3", "4", "5", "6", "7", "8", "9", "11"]
    assert of_devices[0].startswith(f"{where}:2:18: devices.Kiosk 1.soc: unknown soc 'RK3581'")
    assert of_recipe.endswith("teacher.train.epochs: expected a number of at least 1, got 0")
