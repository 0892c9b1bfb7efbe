"""Files are whole or not there; a folder has one holder; a disk's faults are one clear line."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compress.errors import LockedError, RecipeError, ToolError
from compress.store import file_sha256, folder_lock, write_atomic
from compress.store.files import DiskWatch


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_sha256_of_a_file(tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "x").write_bytes(data)
    assert file_sha256(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_writes_all_bytes_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.bin"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert names_in(path.parent) == ["c.bin"]


def test_mode_follows_the_umask(tmp_path: Path) -> None:
    write_atomic(tmp_path / "x", b"1")
    (tmp_path / "y").write_bytes(b"1")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device; free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "Read-only file system; choose a folder on a disk that can be written"),
        (errno.EACCES, "Permission denied; choose a folder that you may write"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, words: str
) -> None:
    path = tmp_path / "x"
    write_atomic(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    monkeypatch.setattr(Path, call, fail, raising=False)
    with pytest.raises(ToolError) as caught:
        write_atomic(path, b"new")
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["x"]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ToolError, match="a file stands where a folder is needed"):
        write_atomic(tmp_path / "file" / "x", b"1")
    with pytest.raises(ToolError, match="a folder stands where a file is needed"):
        write_atomic(tmp_path / "folder", b"1")
    with pytest.raises(ToolError, match="a file stands where a folder is needed"), folder_lock(tmp_path / "file"):
        pass
    assert names_in(tmp_path) == ["file", "folder"]


def test_the_size_limit_of_a_process(tmp_path: Path) -> None:
    code = (
        "import resource, pathlib; from compress.store import write_atomic; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
        f"write_atomic(pathlib.Path({str(tmp_path / 'x')!r}), bytes(2000))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ToolError" in done.stderr.splitlines()[-1]
    assert "File too large; raise the limit on file sizes" in done.stderr.splitlines()[-1]
    assert names_in(tmp_path) == []


HOLD = (
    "import pathlib, sys, time; from compress.store import folder_lock\n"
    "with folder_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


def test_a_folder_has_one_holder_until_it_dies(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        (folder / ".results.json.1234abcd.part~").write_text("half")
        with pytest.raises(LockedError) as caught, folder_lock(folder):
            pass
        assert str(caught.value).startswith(f"{folder}: another run (process {other.pid}) writes to this folder")
        assert (folder / ".results.json.1234abcd.part~").exists()
        other.send_signal(signal.SIGKILL)
    with folder_lock(folder):
        assert names_in(folder) == [".lock"]
    with folder_lock(folder):
        assert re.fullmatch(r"\d+\n", (folder / ".lock").read_text())


def test_a_folder_that_came_to_nothing_goes_again(tmp_path: Path) -> None:
    with pytest.raises(KeyError), folder_lock(tmp_path / "a" / "b"):
        raise KeyError
    assert names_in(tmp_path) == []
    with folder_lock(tmp_path / "a"):
        (tmp_path / "a" / "x").touch()
    assert names_in(tmp_path / "a") == [".lock", "x"]
    (tmp_path / "mine").mkdir()
    with folder_lock(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()


def test_places_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for place, words in (
        (Path("/proc/foo/bar"), "cannot be made; expected a place for folders"),
        (tmp_path / "loop" / "x", "links lead round in a circle"),
        (tmp_path / ("x" * 300), "File name too long; choose a shorter path"),
    ):
        with pytest.raises(ToolError, match=words), folder_lock(place):
            pass


def test_a_folder_is_freed_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), folder_lock(tmp_path):
        raise KeyError
    with folder_lock(tmp_path):
        pass


@pytest.mark.parametrize(
    ("error", "free", "becomes"),
    [
        (OSError(errno.ENOSPC, "full"), 10**9, ToolError),
        (OSError(errno.EROFS, "read-only"), 10**9, ToolError),
        (OSError("4096 requested and 0 written"), 0, ToolError),
        (OSError("4096 requested and 0 written"), 10**9, OSError),
        (RuntimeError("PytorchStreamWriter failed writing file"), 0, ToolError),
        (ValueError("I/O error: No space left on device (os error 28)"), 10**9, ToolError),
        (RuntimeError("shapes differ"), 10**9, RuntimeError),
        (FileNotFoundError(errno.ENOENT, "no such file"), 0, FileNotFoundError),
        (RecipeError("x"), 0, RecipeError),
        (KeyboardInterrupt(), 0, KeyboardInterrupt),
    ],
)
def test_only_the_disks_own_faults_are_explained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    free: int,
    becomes: type[BaseException],
) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(becomes) as caught, DiskWatch(tmp_path):
        raise error
    assert type(caught.value) is becomes
