"""How the program ends: no exit code but the gate's may read as a verdict."""

from __future__ import annotations

import errno
import os
import sys

import pytest
import typer

from compress.ending import run_to_end


def end(code: object) -> int:
    app = typer.Typer()

    @app.command()
    def command() -> None:
        if isinstance(code, Exception):
            raise code
        sys.exit(code)  # type: ignore[arg-type]

    with pytest.raises(SystemExit) as left:
        run_to_end(app)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture(autouse=True)
def _no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["compress"])
    monkeypatch.setattr("compress.ending.STOPS", {})  # the tests' own signals stay theirs


@pytest.mark.parametrize("code", [None, 0, 1, "a message"])
def test_an_exit_in_the_middle_of_the_work_is_a_bug(code: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert end(code) == 70
    assert f"compress: sys.exit({code!r}) was called in the middle of the work" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.ENOSPC])
def test_what_the_system_refuses_is_one_line(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert end(OSError(number, os.strerror(number), "x" * 300)) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert os.strerror(number) in line


@pytest.mark.parametrize("code", [0, 1])
def test_typers_own_exits_pass(code: int) -> None:
    assert end(typer.Exit(code)) == code
