"""Disks that are full, read-only or not ours, and kills while a folder is written: one line, and nothing half-written.

Disks are made in a mount namespace, which needs no root and goes with its process. A user namespace without a mapping
has no rights over others' files, not even root's: there, permissions bind whoever runs the tests.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from compress.store import folder_lock
from tests.e2e.conftest import SMALL, Finished, command, environment, fails

WITHOUT_RIGHTS = ("unshare", "--user")
DIGITS = '"compress.tasks.digits:digits"'


@dataclass(frozen=True)
class Disk:
    """A disk of its own at `place`, which only commands below `under` see.

    seen: where its content is for everybody else.
    """

    place: Path
    seen: Path
    under: tuple[str, ...]

    def mount(self, options: str) -> None:
        """Make it, or make it of another kind."""
        subprocess.run(
            [*self.under, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.place)],
            check=True,
            capture_output=True,
        )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    start = ["unshare", "--map-root-user", "--mount", "sh", "-c", "echo ready && exec sleep 600"]
    with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        try:
            if holder.stdout is None or not holder.stdout.readline():
                pytest.skip("no mount namespaces on this machine")
            under = ("nsenter", "--preserve-credentials", "-U", "-m", "-t", str(holder.pid))
            yield Disk(place, Path(f"/proc/{holder.pid}/root") / place.relative_to("/"), under)
        finally:
            holder.kill()


@pytest.fixture
def without_rights() -> tuple[str, ...]:
    if subprocess.run([*WITHOUT_RIGHTS, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces on this machine")
    return WITHOUT_RIGHTS


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file by its name, but the lock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def models_in(folder: Path) -> dict[str, bytes]:
    return files_in(folder / "models")


def test_the_disk_of_the_store_is_full_then_read_only(
    compress: Callable[..., Finished], small_run: tuple[Path, Path], disk: Disk, tmp_path: Path
) -> None:
    """Training writes through torch and safetensors, which hide the disk's own words."""
    folder, home = tmp_path / "out", disk.place / "home"
    disk.mount("size=4m")
    shutil.copytree(small_run[1] / "store", disk.seen / "home" / "store")
    entries = disk.seen / "home" / "store" / "entries"
    for entry in entries.iterdir():
        if json.loads((entry / "manifest.json").read_text())["made_from"]["stage"] == "train":
            shutil.rmtree(entry)
    before = {entry.name for entry in entries.iterdir()}
    free = shutil.disk_usage(disk.seen).free
    (disk.seen / "filler").write_bytes(bytes(free))
    run = ("run", SMALL, "-o", folder)
    fails(compress(*run, home=home, under=disk.under), 4, str(home / "store"), "No space left", "free some space")
    assert {entry.name for entry in entries.iterdir()} == before
    assert files_in(folder) == {}
    (disk.seen / "filler").unlink()
    finished = compress(*run, home=home, under=disk.under)
    assert finished.code == 0, finished.err
    assert models_in(folder) == models_in(small_run[0])
    disk.mount("remount,ro")
    fails(compress(*run, home=home, under=disk.under), 4, str(home / "store"), "Read-only file system")


def test_the_disk_of_the_output_is_full_then_read_only(
    compress: Callable[..., Finished], small_run: tuple[Path, Path], disk: Disk
) -> None:
    whole, home = small_run
    folder, seen = disk.place / "out", disk.seen / "out"
    run = ("run", SMALL, "-o", folder)
    disk.mount("size=40k")  # room for the models and results.json, not for the report
    fails(compress(*run, home=home, under=disk.under), 4, str(folder), "No space left", "free some space")
    assert set(files_in(seen)) == {"results.json", *(f"models/{name}" for name in models_in(whole))}
    assert models_in(seen) == models_in(whole)
    disk.mount("remount,size=1m")
    assert compress(*run, home=home, under=disk.under).code == 0
    assert compress("verify", folder, under=disk.under).code == 0
    disk.mount("remount,ro")
    fails(compress(*run, home=home, under=disk.under), 4, str(folder), "Read-only file system")
    assert compress("gate", folder, under=disk.under).code == 0


def test_a_limit_on_the_size_of_files(
    compress: Callable[..., Finished], small_run: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(small_run[0], folder)
    before = files_in(folder)
    limited = compress("report", folder, under=("prlimit", "--fsize=8192"))
    fails(limited, 4, "report.html", "File too large", "ulimit -f")
    assert files_in(folder) == before
    assert compress("report", folder).code == 0


def test_what_may_not_be_written_or_read(
    compress: Callable[..., Finished], small_run: tuple[Path, Path], without_rights: tuple[str, ...], tmp_path: Path
) -> None:
    """A reader is not told to look for a writable folder."""
    folder = tmp_path / "copy"
    shutil.copytree(small_run[0], folder)
    (folder / ".lock").unlink()
    folder.chmod(0o555)
    fails(compress("report", folder, under=without_rights), 4, str(folder), "Permission denied", "choose a folder")
    folder.chmod(0o755)
    for arguments, code, file, words in (
        (("bench", folder / "models" / "student-float32.onnx"), 2, "models/student-float32.onnx", "is not readable"),
        (("gate", folder), 4, "manifest.json", "Permission denied; expected permission to use it"),
    ):
        (folder / file).chmod(0)
        fails(compress(*arguments, under=without_rights), code, str(folder / file), words)


def test_a_kill_while_the_folder_is_written(
    compress: Callable[..., Finished], small_run: tuple[Path, Path], tmp_path: Path
) -> None:
    whole, home = small_run
    folder, recipe = tmp_path / "out", tmp_path / "killed.yaml"
    recipe.write_text(SMALL.read_text().replace(DIGITS, '"faulty:killed_before", args: {name: results.json}'))
    assert compress("run", recipe, "-o", folder, home=home).code == -signal.SIGKILL
    assert {name for name in files_in(folder) if not name.endswith(".part~")} == {
        f"models/{name}" for name in models_in(whole)
    }
    assert models_in(folder) == models_in(whole)
    assert compress("gate", folder).code == 5
    finished = compress("run", SMALL, "-o", folder, home=home)
    assert finished.code == 0, finished.err
    assert set(files_in(folder)) == set(files_in(whole))
    assert compress("verify", folder).code == 0


@pytest.mark.parametrize("name", ["report.md", "manifest.json"])
def test_a_kill_while_reports_are_drawn(
    compress: Callable[..., Finished], small_run: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(small_run[0], folder)
    before = files_in(folder)
    code = f"import faulty; faulty.die_before({name!r}); from compress.cli import main; main()"
    killed = subprocess.run(
        [sys.executable, "-c", code, "report", str(folder)], env=environment(small_run[1]), check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert {name: data for name, data in files_in(folder).items() if not name.endswith(".part~")} == before
    assert compress("report", folder).code == 0
    assert files_in(folder) == before


def test_reports_are_not_drawn_while_a_run_writes(
    compress: Callable[..., Finished], small_run: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(small_run[0], folder)
    with folder_lock(folder):
        fails(compress("report", folder), 75, str(folder), str(os.getpid()))
    assert compress("report", folder).code == 0
    fails(compress("report", tmp_path / "none"), 5, "none")
    assert not (tmp_path / "none").exists()


def test_a_reader_that_leaves_is_no_verdict(small_run: tuple[Path, Path]) -> None:
    folder, home = small_run
    gate = subprocess.Popen(command("gate", folder), env=environment(home), stdout=subprocess.PIPE)
    assert gate.stdout is not None
    gate.stdout.close()
    assert gate.wait(60) == 128 + signal.SIGPIPE
