"""A key changes with everything that a result depends on, and with nothing else."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.store import canonical_json, code_version, stage_key
from compress.types import Json

ARGUMENTS: dict[str, Json] = {
    "stage": "train",
    "config": {"epochs": 3, "rate": 0.1},
    "inputs": {"data": "a" * 64, "teacher": "b" * 64},
    "code": "c" * 64,
    "libraries": {"torch": "2.13.0"},
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_canonical_json_says_the_same(value: Json) -> None:
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), VALUES), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, Json], random: object) -> None:
    items = list(value.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert canonical_json(dict(items)) == canonical_json(value)


@given(VALUES, VALUES)
def test_equal_bytes_mean_equal_values(one: Json, other: Json) -> None:
    # 1 == True == 1.0 in Python and not in JSON, so JSON's text is the oracle.
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical_json(one) == canonical_json(other)) is same


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": {"b": -math.inf}}])
def test_what_is_not_finite_is_refused(value: Json) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1: "a"}, [{None: 1}], {"a": ({True: 1},)}, {1, 2}, Path("x"), b"x"])
def test_what_json_lacks_is_refused(value: Json) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "distill"},
        {"config": {"epochs": 4, "rate": 0.1}},
        {"config": {"epochs": 3, "rate": 0.1, "views": 0}},
        {"config": {"epochs": 3.0, "rate": 0.1}},
        {"inputs": {"data": "a" * 64, "teacher": "b" * 63 + "0"}},
        {"inputs": {"data": "b" * 64, "teacher": "a" * 64}},
        {"inputs": {"data": "a" * 64}},
        {"code": "d" * 64},
        {"libraries": {"torch": "2.13.1"}},
        {"libraries": {"torch": "2.13.0", "numpy": "2.0"}},
    ],
)
def test_everything_counts(change: dict[str, Json]) -> None:
    assert stage_key(**{**ARGUMENTS, **change}) != stage_key(**ARGUMENTS)


def test_order_and_repetition_do_not() -> None:
    turned = {name: dict(reversed(v.items())) if isinstance(v, dict) else v for name, v in ARGUMENTS.items()}
    assert stage_key(**turned) == stage_key(**ARGUMENTS) == stage_key(**ARGUMENTS)
    assert len(stage_key(**ARGUMENTS)) == 64


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `pack` whose import fails, with a module, a package below it, and files of several kinds."""
    folder = tmp_path / "pack"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "inner" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "inner" / "leaf.py").write_text("x = 1")
    (folder / "side.py").write_text("y = 1")
    (folder / "plugin.c").write_text("int x;")
    (folder / "notes.txt").write_text("a")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("side.py", {"pack", "pack.side"}),
        ("plugin.c", {"pack"}),
        ("inner/leaf.py", {"pack", "pack.inner", "pack.inner.leaf"}),
        ("inner/new.yaml", {"pack", "pack.inner"}),
        ("notes.txt", set()),
        ("inner/__pycache__/leaf.pyc", set()),
    ],
)
def test_code_version_follows_the_source_and_imports_nothing(package: Path, file: str, changed: set[str]) -> None:
    names = ("pack", "pack.inner", "pack.inner.leaf", "pack.side")
    before = {name: code_version(name) for name in names}
    (package / file).parent.mkdir(exist_ok=True)
    with (package / file).open("a") as stream:
        stream.write("# changed\n")
    after = {name: code_version(name) for name in names}
    assert {name for name in names if before[name] != after[name]} == changed


def test_a_renamed_file_is_a_change(package: Path) -> None:
    before = code_version("pack")
    (package / "side.py").rename(package / "slide.py")
    assert code_version("pack") != before


def test_names_are_a_set(package: Path) -> None:
    assert package.exists()
    assert code_version("pack.side", "pack.inner") == code_version("pack.inner", "pack.side", "pack.side")
    assert code_version("pack.side") != code_version("pack.inner")


def test_modules_without_source() -> None:
    assert code_version("sys") != code_version("builtins")


@pytest.mark.parametrize("name", ["nothing_like_this", "pack.nothing", "pack.side.nothing", "sys.nothing"])
def test_a_missing_module_is_an_error(package: Path, name: str) -> None:
    assert package.exists()
    with pytest.raises(ModuleNotFoundError, match=name):
        code_version(name)


def test_the_same_in_another_process() -> None:
    code = (
        "import sys; from compress.store import code_version as v; print(v('compress.recipe'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [code_version("compress.recipe"), "False"]
