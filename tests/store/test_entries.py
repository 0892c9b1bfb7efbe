"""A result is made once, survives kills, and is made again when one byte of it has changed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.errors import ToolError
from compress.store import StageResult, Store

Make = Callable[[Path], None]


def write_weights(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"weights" * 1000)
    (folder / "more").mkdir()
    (folder / "more" / "history.json").write_text("[1, 2]")


class Shop:
    """A store with one stage, which remembers how often it was made and what was reported."""

    def __init__(self, root: Path) -> None:
        self.made = 0
        self.reports: list[str] = []
        self.root = root
        self.store = Store(root, self.reports.append)

    def get(self, make: Make = write_weights, **config: int) -> StageResult:
        def counted(folder: Path) -> None:
            self.made += 1
            make(folder)

        return self.store.stage("train", config, {"data": "d" * 64}, "c" * 64, {"torch": "2"}, counted)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store")


def test_made_once(shop: Shop) -> None:
    first, second = shop.get(epochs=1), shop.get(epochs=1)
    assert (first.cached, second.cached, shop.made) == (False, True, 1)
    assert (first.path, first.key, first.files, first.digest) == (second.path, second.key, second.files, second.digest)
    assert first.files == {
        "more/history.json": hashlib.sha256(b"[1, 2]").hexdigest(),
        "weights.bin": hashlib.sha256(b"weights" * 1000).hexdigest(),
    }
    assert (first.path / "weights.bin").read_bytes() == b"weights" * 1000
    assert shop.get(epochs=2).key != first.key
    assert shop.get(epochs=2).digest == first.digest
    assert shop.made == 2
    assert shop.reports == []


def test_the_manifest_says_what_it_was_made_from(shop: Shop) -> None:
    manifest = json.loads((shop.get(epochs=1).path / "manifest.json").read_text())
    assert manifest["made_from"] == {
        "stage": "train",
        "config": {"epochs": 1},
        "inputs": {"data": "d" * 64},
        "code": "c" * 64,
        "libraries": {"torch": "2"},
    }
    assert manifest["files"]["weights.bin"]["size_bytes"] == 7000


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "weights.bin has been changed": lambda entry: flip(entry / "weights.bin", 6999),
    "more/history.json has been changed": lambda entry: (entry / "more" / "history.json").write_text("[1, 2] "),
    "weights.bin is missing": lambda entry: (entry / "weights.bin").unlink(),
    "other does not belong there": lambda entry: (entry / "other").write_text("x"),
    "it has no manifest.json": lambda entry: (entry / "manifest.json").unlink(),
    "manifest.json has been changed": lambda entry: (entry / "manifest.json").write_text("{"),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_damaged_entry_is_put_aside_and_made_again(shop: Shop, fault: str) -> None:
    good = shop.get()
    DAMAGE[fault](good.path)
    again = shop.get()
    assert (again.cached, again.digest, shop.made) == (False, good.digest, 2)
    assert [fault in report and "quarantine" in report for report in shop.reports] == [True]
    (place,) = (shop.root / "quarantine").iterdir()
    assert place.name.startswith(f"{good.key}-")
    DAMAGE[fault](again.path)
    assert shop.get().digest == good.digest
    assert len(list((shop.root / "quarantine").iterdir())) == 2


def test_any_flipped_byte_of_the_manifest_is_noticed(shop: Shop) -> None:
    path = shop.get().path / "manifest.json"
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        flip(path, at)
        shop.get()
        assert path.read_bytes() == whole
    assert shop.made == 1 + len(range(0, len(whole), 7))


def test_a_link_in_place_of_a_file_is_noticed(shop: Shop, tmp_path: Path) -> None:
    weights = shop.get().path / "weights.bin"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    shop.get()
    assert shop.made == 2


def nothing(folder: Path) -> None:
    pass


def empty_file(folder: Path) -> None:
    (folder / "model.onnx").touch()


def reserved(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")


def link(folder: Path) -> None:
    (folder / "model.onnx").symlink_to("/dev/null")


@pytest.mark.parametrize("make", [nothing, empty_file, reserved, link])
def test_no_result_is_no_entry(shop: Shop, make: Make) -> None:
    with pytest.raises(ValueError, match="stage"):
        shop.get(make)
    assert not (shop.root / "entries").exists()
    assert shop.get().files.keys() == {"more/history.json", "weights.bin"}


def test_a_failed_attempt_leaves_its_checkpoint_and_nothing_else(shop: Shop) -> None:
    def fail(folder: Path) -> None:
        (folder / "checkpoint").mkdir()
        (folder / "checkpoint" / "epoch.pt").write_text("3")
        (folder / "weights.bin").write_text("half")
        raise KeyError("on purpose")

    def resume(folder: Path) -> None:
        assert sorted(path.name for path in folder.iterdir()) == ["checkpoint"]
        (folder / "weights.bin").write_text((folder / "checkpoint" / "epoch.pt").read_text())

    with pytest.raises(KeyError):
        shop.get(fail)
    result = shop.get(resume)
    assert result.files.keys() == {"weights.bin"}
    assert sorted(path.name for path in result.path.iterdir()) == ["manifest.json", "weights.bin"]
    assert list((shop.root / "work").iterdir()) == []


TRAIN = """
import os, pathlib, signal, sys, time
from compress.store import Store

def make(folder):
    checkpoint = folder / "checkpoint" / "epoch"
    checkpoint.parent.mkdir(exist_ok=True)
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for epoch in range(done, 4):
        with open(sys.argv[2], "a") as log:
            log.write(f"{epoch} ")
        (folder / "half").write_text("half")
        checkpoint.write_text(str(epoch + 1))
        if sys.argv[3] == "die" and epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(sys.argv[4]))
    (folder / "half").rename(folder / "weights")

print(Store(pathlib.Path(sys.argv[1])).stage("train", {}, {}, "", {}, make).digest)
"""


def train(root: Path, log: Path, how: str, pause: float = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TRAIN, str(root), str(log), how, str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_stage_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    unbroken, _ = train(tmp_path / "other", tmp_path / "other.log", "live").communicate()
    killed = train(tmp_path / "store", tmp_path / "log", "die")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "store" / "entries").exists()
    resumed, _ = train(tmp_path / "store", tmp_path / "log", "live").communicate()
    assert (tmp_path / "log").read_text() == "0 1 2 3 "
    assert resumed == unbroken != ""
    assert train(tmp_path / "store", tmp_path / "log", "live").communicate()[0] == unbroken
    assert (tmp_path / "log").read_text() == "0 1 2 3 "


TOUCHING_THE_DISK = ("fsync", "rename", "replace", "unlink", "mkdir", "rmdir")


def die_at_call(number: int, shop: Shop, make: Make) -> bool:
    """In a child process, make the stage and die at the n-th call that touches the disk; False if it came through."""
    child = os.fork()
    if child == 0:
        calls = iter(range(1, 1000))

        def mortal(call: Callable[..., object]) -> Callable[..., object]:
            def touch(*arguments: object, **options: object) -> object:
                if next(calls) == number:
                    os._exit(9)
                return call(*arguments, **options)

            return touch

        for name in TOUCHING_THE_DISK:
            setattr(os, name, mortal(getattr(os, name)))
        shop.get(make, epochs=number)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_killed_at_any_point(shop: Shop) -> None:
    def make(folder: Path) -> None:
        (folder / "checkpoint").mkdir(exist_ok=True)
        (folder / "checkpoint" / "epoch.pt").write_text("1")
        write_weights(folder)

    good = Shop(shop.root.parent / "good").get(make)
    number = 1
    while die_at_call(number, shop, make):
        result = shop.get(make, epochs=number)
        assert (result.files, result.digest) == (good.files, good.digest)
        assert sorted(path.name for path in result.path.iterdir()) == ["manifest.json", "more", "weights.bin"]
        number += 1
    assert number > 15
    assert shop.reports == []
    assert list((shop.root / "work").iterdir()) == []


def test_all_is_on_the_disk_before_it_has_its_name(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[int | str] = []
    fsync, rename = os.fsync, os.rename

    def record_sync(descriptor: int) -> None:
        events.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def record_rename(*arguments: str) -> None:
        events.append("rename")
        rename(*arguments)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "rename", record_rename)
    entry = shop.get().path
    named = events.index("rename")
    assert {path.stat().st_ino for path in (entry, *entry.rglob("*"))} <= set(events[:named])
    assert {path.stat().st_ino for path in (entry.parent, shop.root / "work")} <= set(events[named:])


def test_two_processes_make_it_once(tmp_path: Path) -> None:
    both = [train(tmp_path / "store", tmp_path / "log", "live", 0.1) for _ in range(2)]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[0][0] == said[1][0] != ""
    assert (tmp_path / "log").read_text() == "0 1 2 3 "


def test_a_dead_holder_does_not_block(tmp_path: Path) -> None:
    first = train(tmp_path / "store", tmp_path / "log", "live", 60)
    while not (tmp_path / "log").exists():
        assert first.poll() is None
        time.sleep(0.01)
    first.kill()
    first.communicate()
    assert train(tmp_path / "store", tmp_path / "log", "live").communicate()[0]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_is_one_line_and_no_entry(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(ToolError, match=os.strerror(number)) as caught:
            shop.get()
    assert "\n" not in str(caught.value)
    assert str(shop.root) in str(caught.value)
    assert not (shop.root / "entries").exists()
    assert shop.get().cached is False


def test_a_store_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="a file stands where a folder is needed"):
        Shop(tmp_path / "file").get()
    with pytest.raises(ToolError, match="a file stands where a folder is needed"):
        Shop(tmp_path / "file" / "store").get()


def test_what_make_raises_passes(shop: Shop) -> None:
    def fail(_: Path) -> None:
        raise FileNotFoundError(errno.ENOENT, "no data")

    with pytest.raises(FileNotFoundError):
        shop.get(fail)


def test_a_place_where_no_store_can_be() -> None:
    with pytest.raises(ToolError, match="/proc/nowhere/locks: cannot be made; expected a place for folders"):
        Store(Path("/proc/nowhere"), print).stage("train", {}, {}, "", {}, lambda _: None)
