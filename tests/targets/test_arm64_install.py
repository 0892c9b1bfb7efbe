"""Installing: once, whole or not at all, and a plain word about whatever is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.debian import apt
from compress.errors import ToolError
from compress.targets.arm64 import Arm64, find, install, installation
from compress.targets.arm64 import install as install_function
from compress.targets.arm64.installation import compute_key, locate
from compress.targets.installing import MANIFEST

install_module = sys.modules[install_function.__module__]


def fail_if_called(*_: object, **__: object) -> None:
    raise AssertionError("must not be called")


def make_finished(folder: Path, _progress: Callable[[str], None]) -> None:
    (folder / MANIFEST).write_text("{}")


def test_a_second_installation_does_nothing(
    home: Path, arm64: Arm64, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install_module, "_build", fail_if_called)
    assert install(home, print) == arm64 == find(home)
    assert capsys.readouterr().out == ""


def test_nothing_is_found_in_an_empty_home(tmp_path: Path) -> None:
    assert find(tmp_path) is None


def test_a_failure_leaves_nothing_under_the_final_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path, _progress: Callable[[str], None]) -> None:
        (folder / "half").mkdir()
        raise ToolError("no registry")

    monkeypatch.setattr(install_module, "_build", fail)
    with pytest.raises(ToolError, match=r"no registry; without the emulated ARM64 cores, .* `host` still work"):
        install(tmp_path, print)
    assert find(tmp_path) is None
    assert list((tmp_path / "arm64").iterdir()) == []


def test_what_a_killed_installation_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leftover = tmp_path / "arm64" / "unfinished-killed"
    (leftover / "sysroot").mkdir(parents=True)
    monkeypatch.setattr(install_module, "_build", make_finished)
    assert install(tmp_path, print).folder == locate(tmp_path)
    assert [path.name for path in (tmp_path / "arm64").iterdir()] == [compute_key()]


TWO_AT_ONCE = """
import sys, time
from pathlib import Path
from compress.targets.arm64 import install
module = sys.modules[install.__module__]
def build(folder, progress):
    time.sleep(0.5)
    (folder / "installed.json").write_text("{}")
    print("built")
module._build = build
install(Path(sys.argv[1]), print)
"""


def test_two_at_once_install_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TWO_AT_ONCE, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert sorted(outputs) == ["", "built\n"]
    assert [process.returncode for process in processes] == [0, 0]


def test_the_key_follows_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = compute_key()
    changed = tmp_path / "counter.c"
    changed.write_bytes(installation.C_SOURCES[0].read_bytes() + b"\n")
    monkeypatch.setattr(installation, "C_SOURCES", (changed, *installation.C_SOURCES[1:]))
    compute_key.cache_clear()
    try:
        assert compute_key() != before
    finally:
        monkeypatch.undo()
        compute_key.cache_clear()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ({"apt-get"}, "`apt-get` was not found on PATH, expected it to download Debian packages"),
        ({"dpkg-deb"}, "`dpkg-deb` was not found on PATH"),
        ({"cc", "gcc", "clang"}, "no C compiler was found, expected `[$]CC` or one of cc, gcc, clang"),
    ],
)
def test_a_missing_tool_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: set[str], message: str
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name in missing else which(name))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ToolError, match=message) as caught:
        install(tmp_path, print)
    assert str(caught.value).endswith("measurements on `host` still work")


def test_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(ToolError, match="on aarch64, expected Linux on x86_64"):
        install(tmp_path, print)


def test_a_mirror_that_is_gone(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "sources.list").write_text("deb [trusted=yes] file:/no/such/debian bookworm main\n")
    folder = tmp_path / "downloads"
    folder.mkdir()
    with pytest.raises(
        ToolError, match=r"could not read the lists of Debian packages: `apt-get` .*: E: .*/no/such/debian"
    ):
        apt.download(["qemu-user:amd64"], folder, "bookworm", etc)


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ToolError, match=r"could not install the emulated ARM64 cores in .*; mend that"):
        install(tmp_path / "home", print)
