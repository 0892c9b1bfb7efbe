"""What a recipe plugs in may fail in any way: one line that names the callable and where the recipe names it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compress.errors import DataError, ModelError
from compress.recipe import Recipe, load_recipe
from compress.stages.context import build_call
from compress.stages.plan import _try_model
from compress.stages.teach import _callable_teacher
from compress.tasks.digits import digits
from tests.recipe.tiny_recipe import TINY as PLUGGED

TINY = PLUGGED.replace("plugged", "naughty")

FAULTS = """\
import sys
from compress.errors import DataError
from pathlib import Path

def task(*, home: Path): sys.exit()
def leaves(*, classes: int): sys.exit(1)
def raises(*, classes: int): raise ValueError("no classes\\nand more lines")
def wishes(*, classes: int): raise ValueError(f"expected an even number of classes, got {classes}")
def tells(*, classes: int): raise DataError("one, two, three, four")
def model(*, in_channels: int, classes: int, width: int): ...
def predictor(): return lambda images: sys.exit(0)

from torch import nn

class Leaves(nn.Module):
    def __init__(self, classes: int): super().__init__()
    def forward(self, x): sys.exit(0)

class Poisoned(nn.Sequential):
    def __init__(self, classes: int):
        super().__init__(nn.Flatten(), nn.Linear(64, classes))
        nn.init.constant_(self[1].bias, float("nan"))

class Divides(nn.Module):
    def forward(self, x): return x / 0.0

class Explodes(nn.Sequential):
    def __init__(self, classes: int):
        super().__init__(nn.Flatten(), nn.Sequential(Divides(), nn.Linear(64, classes)))
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    (tmp_path / "naughty.py").write_text(FAULTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "naughty", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(TINY)
    return load_recipe(Path("mine.yaml"))


def altered(name: str) -> Recipe:
    Path("mine.yaml").write_text(TINY.replace('"naughty:model", args: {width: 1}', f'"naughty:{name}"'))
    return load_recipe(Path("mine.yaml"))


def test_an_exit_in_a_task_is_no_exit_of_the_run(recipe: Recipe) -> None:
    with pytest.raises(ModelError) as caught:
        build_call(recipe.task, home=Path())
    assert str(caught.value) == (
        "mine.yaml:2:7: task: naughty:task: called sys.exit(None); expected a result; mend it or its args in the recipe"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("leaves", "called sys.exit(1); expected a result"),
        ("raises", "raised ValueError: no classes; expected a result"),
        ("wishes", "raised ValueError: expected an even number of classes, got 3"),
    ],
)
def test_a_model_that_fails_is_named_with_its_place_and_key(recipe: Recipe, name: str, said: str) -> None:
    del recipe
    with pytest.raises(ModelError) as caught:
        build_call(altered(name).student.model, in_channels=1, classes=3)
    assert str(caught.value) == (
        f"mine.yaml:7:10: student.model: naughty:{name}: {said}; mend it or its args in the recipe"
    )


def test_a_model_that_exits_when_it_is_shown_images(recipe: Recipe) -> None:
    del recipe
    mine = altered("Leaves")
    run: Any = SimpleNamespace(recipe=mine, task=digits())
    with pytest.raises(ModelError, match=r"naughty:Leaves: the model, on images of .*, called sys.exit\(0\)"):
        _try_model(run, mine.student.model)


@pytest.mark.parametrize(("name", "where"), [("Poisoned", "weight 1.bias"), ("Explodes", "1.0")])
def test_a_model_that_is_not_finite_names_its_layer_before_anything_trains(
    recipe: Recipe, name: str, where: str
) -> None:
    del recipe
    mine = altered(name)
    run: Any = SimpleNamespace(recipe=mine, task=digits())
    with pytest.raises(ModelError) as caught:
        _try_model(run, mine.student.model)
    assert str(caught.value) == (
        f"mine.yaml:7:10: student.model: naughty:{name}: the untrained model gave NaN or infinity, first at {where};"
        " expected finite logits of two images; check how its weights are made"
    )


def test_a_predictor_that_exits_when_it_is_asked(recipe: Recipe) -> None:
    del recipe
    text = TINY.replace("student:", 'more_teachers: [{probabilities: {call: "naughty:predictor"}}]\nstudent:', 1)
    Path("mine.yaml").write_text(text)
    call = load_recipe(Path("mine.yaml")).more_teachers[0].probabilities
    assert call
    with pytest.raises(ModelError, match=r"more_teachers\[0\].probabilities: naughty:predictor: the function that it"):
        _callable_teacher(call).predict(digits().test.images[:1])


def test_what_was_raised_on_purpose_passes_as_it_is(recipe: Recipe) -> None:
    del recipe
    with pytest.raises(DataError, match=r"^one, two, three, four$"):
        build_call(altered("tells").student.model, in_channels=1, classes=3)
