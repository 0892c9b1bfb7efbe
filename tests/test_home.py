"""Where the project keeps things."""

from pathlib import Path

import pytest

from compress.home import default_home


def test_the_variable_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".compress").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMPRESS_HOME", str(tmp_path / "elsewhere"))
    assert default_home() == tmp_path / "elsewhere"
    monkeypatch.setenv("COMPRESS_HOME", "relative")
    assert default_home() == tmp_path / "relative"


def test_the_nearest_folder_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPRESS_HOME", raising=False)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    (tmp_path / ".compress").mkdir()
    assert default_home() == tmp_path / ".compress"
    (tmp_path / "a" / ".compress").mkdir()
    assert default_home() == tmp_path / "a" / ".compress"


def test_a_new_one_lies_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPRESS_HOME", raising=False)
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    monkeypatch.chdir(tmp_path)
    assert default_home() == tmp_path / ".compress"
