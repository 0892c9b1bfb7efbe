"""Callables are found, or the message says what is there; arguments are bound as Python itself would bind them."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from compress.recipe import Call, TaskCall
from compress.recipe.callables import bind_arguments, find_callable

pytestmark = pytest.mark.usefixtures("plugged")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("plugged", "expected package.module:name"),
        ("plugged.model", "expected package.module:name"),
        ("plugged:", "expected package.module:name"),
        ("a b:c", "expected package.module:name"),
        ("plugged:model:x", "expected package.module:name"),
        ("pluged:model", "no module named 'pluged'; did you mean 'plugged'?"),
        ("qqqqzzzz:model", "no module named 'qqqqzzzz'; install it, or add its folder to PYTHONPATH"),
        ("compress.recipee:load", "package 'compress' has no module 'recipee'; did you mean 'recipe'?"),
        ("plugged.inner:model", "package 'plugged' has no module 'inner'; there is none"),
        ("plugged:modle", "module 'plugged' has no 'modle'; did you mean 'model'?"),
        ("plugged:LIMIT", "plugged:LIMIT is 'int', expected something callable"),
        ("needs:model", "module 'needs' needs 'a_package_nobody_has', which is not installed"),
        ("broken:model", "module 'broken' fails while it is imported: ZeroDivisionError"),
        ("wrong:model", "module 'wrong' fails while it is imported: SyntaxError"),
        ("leaves:model", "module 'leaves' fails while it is imported: SystemExit"),
    ],
)
def test_not_found(path: str, words: str, plugged: Path) -> None:
    (plugged / "needs.py").write_text("import a_package_nobody_has")
    (plugged / "broken.py").write_text("x = 1\ny = x / 0")
    (plugged / "wrong.py").write_text("x = = 1")
    (plugged / "leaves.py").write_text("import sys; sys.exit(0)")
    importlib.invalidate_caches()
    with pytest.raises(PydanticCustomError) as caught:
        find_callable(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failing_module_names_its_line(plugged: Path) -> None:
    (plugged / "late.py").write_text("\n\nundefined_name")
    importlib.invalidate_caches()
    with pytest.raises(PydanticCustomError, match=r"late\.py:3"):
        find_callable("late:model")


@pytest.mark.parametrize(
    ("args", "bound"),
    [
        ({"whole": 3, "number": 2, "text": "x", "flag": True}, {"whole": 3, "number": 2.0, "text": "x", "flag": True}),
        ({"numbers": [1, 2], "pair": [1, "b"]}, {"numbers": (1, 2), "pair": (1, "b")}),
        (
            {"rates": [0.1, 1], "names": ["a"], "sizes": {"a": 1}},
            {"rates": [0.1, 1.0], "names": ["a"], "sizes": {"a": 1}},
        ),
        ({"mode": "slow", "maybe": None, "either": [1, 2]}, {"mode": "slow", "maybe": None, "either": (1, 2)}),
        ({"anything": {"a": [1, "b", None]}, "folder": "x"}, {"anything": {"a": [1, "b", None]}, "folder": "x"}),
    ],
)
def test_arguments_take_the_types_of_the_signature(args: dict[str, object], bound: dict[str, object]) -> None:
    result = bind_arguments("plugged:typed", find_callable("plugged:typed"), args, ())
    assert result == bound
    assert {name: type(value) for name, value in result.items()} == {name: type(v) for name, v in bound.items()}
    assert json.loads(json.dumps(result)) == json.loads(json.dumps(args))


@pytest.mark.parametrize(
    ("args", "loc"),
    [
        ({"whole": 1.5}, ("whole",)),
        ({"whole": True}, ("whole",)),
        ({"whole": "1"}, ("whole",)),
        ({"number": "1"}, ("number",)),
        ({"text": 1}, ("text",)),
        ({"flag": 1}, ("flag",)),
        ({"numbers": 1}, ("numbers",)),
        ({"numbers": [1, "x"]}, ("numbers", 1)),
        ({"pair": [1, 2]}, ("pair", 1)),
        ({"mode": "medium"}, ("mode",)),
        ({"maybe": "x"}, ("maybe",)),
        ({"either": "x"}, ("either",)),
        ({"sizes": {"a": "x"}}, ("sizes", "a")),
    ],
)
def test_wrong_types_are_placed(args: dict[str, object], loc: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        bind_arguments("plugged:typed", find_callable("plugged:typed"), args, ())
    assert [error["loc"] for error in caught.value.errors()] == [loc]


@pytest.mark.parametrize("name", ["task", "model", "bare", "typed", "greedy", "Network", "unresolvable"])
@pytest.mark.parametrize(
    "args",
    [{}, {"width": 1}, {"images": 1}, {"widht": 1}, {"first": 1}, {"first": 1, "more": 2}, {"whole": 2, "text": "x"}],
)
def test_binds_exactly_what_python_binds(name: str, args: dict[str, object]) -> None:
    function = find_callable(f"plugged:{name}")
    supplied = {"home": 1, "in_channels": 2, "classes": 3}
    taken = {key: value for key, value in supplied.items() if key in inspect.signature(function).parameters}
    try:
        inspect.signature(function).bind(**args, **taken)
    except TypeError:
        with pytest.raises(ValidationError):
            bind_arguments(name, function, args, tuple(supplied))
    else:
        assert bind_arguments(name, function, args, tuple(supplied)) == args


@pytest.mark.parametrize(
    ("path", "args", "words"),
    [
        ("plugged:model", {}, "missing argument 'width' of plugged:model (int); add it under args"),
        ("plugged:model", {"width": 1, "classes": 3}, "argument 'classes' is supplied by the pipeline; remove it"),
        ("plugged:model", {"width": 1, "wdth": 3}, "unknown argument 'wdth' of plugged:model; did you mean 'width'?"),
        ("plugged:bare", {"x": 1}, "unknown argument 'x' of plugged:bare; there is none to name"),
        ("plugged:by_position", {}, "missing argument 'x' of plugged:by_position, which it takes by position only"),
    ],
)
def test_messages(path: str, args: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        bind_arguments(path, find_callable(path), args, ("in_channels", "classes"))
    assert any(error["msg"].startswith(words) for error in caught.value.errors())


def test_a_callable_without_signature_says_so() -> None:
    with pytest.raises(PydanticCustomError, match="wrap it in a Python function"):
        bind_arguments("builtins:iter", iter, {}, ())


def test_build_supplies_what_the_callable_takes(tmp_path: Path) -> None:
    call = TaskCall.model_validate({"call": "plugged:task", "args": {"images": 3}})
    assert call.path == "plugged:task"
    assert call.build(home=tmp_path) == ("task", tmp_path, 3)
    assert TaskCall.model_validate({"call": "plugged:bare"}).build(home=tmp_path) == "bare"
    with pytest.raises(TypeError, match="supplies"):
        call.build()
    assert Call.model_validate({"call": "plugged:bare"}).resolve() is find_callable("plugged:bare")
