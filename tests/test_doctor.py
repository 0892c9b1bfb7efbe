"""Every ✓ of the doctor goes when the thing that it stands for is broken."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from compress import doctor
from compress.targets import tflite_runtime
from compress.targets.arm64 import installation
from compress.targets.installing import MANIFEST
from compress.tasks import fashion_mnist

Break = Callable[[Path, pytest.MonkeyPatch], Path | None]


def examine(home: Path, *, install: bool = False) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code; what each line is about -> its mark and its text."""
    text = io.StringIO()
    code = doctor.diagnose(home, Console(file=text, width=400), install=install)
    return code, {line[2:18].strip(): (line[0], line[19:]) for line in text.getvalue().splitlines()}


def a_file_in_the_way(home: Path, _: pytest.MonkeyPatch) -> Path:
    (home / "file").write_text("")
    return home / "file"


def full_disk(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED_BYTES", 1 << 60)


def runtime_that_does_not_load(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "onnxruntime.py").write_text("raise ImportError('libonly.so.1: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(home))


def torch_that_does_not_load(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)


def another_version(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda _: ["numpy<1", "torch", "nothing-like-this", "x; extra == 'dev'"])


def another_python(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.platform, "python_version_tuple", lambda: ("3", "14", "0"))


def not_installed(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", missing)


def half_an_emulator(home: Path, _: pytest.MonkeyPatch) -> None:
    folder = installation.locate(home)
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text("{}")


def half_an_old_runtime(home: Path, _: pytest.MonkeyPatch) -> None:
    folder = tflite_runtime.locate(home)
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text("")


def damaged_data(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPRESS_DATA", raising=False)
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", Path("/usr/share/not-here"))
    folder = home / "data" / fashion_mnist.PACKAGE / "usr/share/not-here"
    folder.mkdir(parents=True)
    for name in fashion_mnist.FILES:
        (folder / name).write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x01\0"))


def wrong_data_of_the_users(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESS_DATA", str(home))
    (home / "train-images-idx3-ubyte.gz").write_bytes(b"<html>")


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """The lines about this machine, with an empty home."""
    return examine(tmp_path_factory.mktemp("home"))[1]


@pytest.mark.parametrize(
    ("spoil", "line", "mark", "part", "code"),
    [
        (another_python, "Python", "✗", "expected 3.11", 4),
        (another_version, "packages", "✗", "instead of <1; nothing-like-this is not installed; run `make setup`", 4),
        (not_installed, "packages", "✗", "mobile-compress itself is not installed", 4),
        (torch_that_does_not_load, "training", "✗", "torch does not load", 4),
        (runtime_that_does_not_load, "host runtimes", "✗", "onnxruntime on host did not start", 4),
        (a_file_in_the_way, "disk", "✗", "cannot be written", 4),
        (full_disk, "disk", "✗", "GB free for", 4),
        (damaged_data, "Fashion-MNIST", "·", "as published; download it again: the next run does", 0),
        (wrong_data_of_the_users, "Fashion-MNIST", "·", "put the published file there, or unset $COMPRESS_DATA", 0),
        (half_an_emulator, "ARM64 runtimes", "·", "on cortex-a53 did not start", 0),
        (half_an_old_runtime, "tflite-runtime", "·", "on host did not start", 0),
    ],
)
def test_what_is_broken_loses_its_mark(
    healthy: dict[str, tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Break,
    line: str,
    mark: str,
    part: str,
    code: int,
) -> None:
    home = spoil(tmp_path, monkeypatch) or tmp_path
    found_code, after = examine(home)
    assert (after[line][0], found_code) == (mark, code)
    assert part in after[line][1]
    if mark == "✗":
        assert healthy[line][0] == "✓"


def test_everything_is_there(home: Path) -> None:
    code, lines = examine(home, install=True)
    assert code == 0
    assert {mark for mark, _ in lines.values()} == {"✓"}
    assert "tflite-runtime 2.14.0 starts on this machine and an emulated cortex-a53" in lines["tflite-runtime"][1]
    for name in ("host runtimes", "ARM64 runtimes"):
        assert "onnxruntime 1." in lines[name][1]
        assert "litert 2." in lines[name][1]
