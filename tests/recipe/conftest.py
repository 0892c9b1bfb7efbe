"""Ways to load variations of the tiny recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_recipe import PLUGGED

from compress.errors import RecipeError
from compress.recipe import load_recipe


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path with the module `plugged`."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "plugged.py").write_text(PLUGGED)
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def complain(tmp_path: Path, plugged: Path) -> Callable[[str | bytes], list[str]]:
    """Load a recipe's text and give the lines of the error, each without the file's name; none if it loads."""
    assert (plugged / "plugged.py").exists()
    path = tmp_path / "mine.yaml"

    def load(text: str | bytes) -> list[str]:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        try:
            load_recipe(path)
        except RecipeError as error:
            lines = str(error).splitlines()
            assert all(line.startswith(f"{path}:") for line in lines)
            return [line.removeprefix(f"{path}:") for line in lines]
        return []

    return load
