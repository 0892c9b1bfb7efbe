"""kill -9 in a stage of every kind: nothing finished is repeated, and the end is that of an unbroken run."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests import forked
from tests.e2e.conftest import HERE, RECIPE, Finished, environment

TIMES_OF_DAY = {"results.json", "report.html", "report.md"}
"""Files that hold wall-clock times, and so differ between any two runs."""


def finished_entries(home: Path) -> dict[str, int]:
    return {
        entry.name: (entry / "manifest.json").stat().st_mtime_ns for entry in (home / "store" / "entries").glob("*")
    }


def stages_of(home: Path) -> dict[str, str]:
    """Key -> the name of its stage: the same keys in any home, for the same recipe."""
    manifests = (home / "store" / "entries").glob("*/manifest.json")
    return {file.parent.name: json.loads(file.read_text())["made_from"]["stage"] for file in manifests}


def run_until_a_new_stage_is_at_work(home: Path, folder: Path, stages: dict[str, str], seen: set[str]) -> bool:
    """Start a run and kill it in the first stage of a name that was not at work before; False if it came to its end."""
    process = forked.start("-m", "compress", "run", RECIPE, "-o", folder, environment=environment(home), folder=HERE)
    work = home / "store" / "work"
    while process.exitcode is None:
        new = {stages[entry.name] for entry in work.glob("*")} - seen if work.exists() else set()
        if new:
            time.sleep(0.2)  # into the middle of it
            os.killpg(process.pid or 0, signal.SIGKILL)
            process.join()
            seen |= new
            return True
        time.sleep(0.01)
    assert process.exitcode == 0
    return False


def manifest_of(folder: Path) -> dict:
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in TIMES_OF_DAY:
        manifest["files"][name] = "differs"
    return manifest


def test_a_run_that_is_killed_in_every_kind_of_stage_ends_like_an_unbroken_one(
    tiny_run: Path, tiny_home: Path, make_home: Callable[[], Path], tmp_path: Path
) -> None:
    home, folder, seen = make_home(), tmp_path / "killed", set[str]()
    stages = stages_of(tiny_home)
    before: dict[str, int] = {}
    while run_until_a_new_stage_is_at_work(home, folder, stages, seen):
        now = finished_entries(home)
        assert before.items() <= now.items(), "a finished stage was made again"
        assert not (folder / "manifest.json").exists()
        before = now
    assert {"train", "export", "host_outputs", "emulate"} <= seen
    assert manifest_of(folder) == manifest_of(tiny_run)


def test_a_flipped_byte_in_the_store_is_noticed_and_mended(
    compress: Callable[..., Finished], tiny_home: Path, tiny_run: Path
) -> None:
    before = manifest_of(tiny_run)
    content = bytearray((tiny_run / "models" / "student-int8.tflite").read_bytes())
    (model,) = (file for file in (tiny_home / "store" / "entries").glob("*/*.tflite") if file.read_bytes() == content)
    content[len(content) // 2] ^= 1
    model.chmod(0o644)
    model.write_bytes(content)
    finished = compress("run", RECIPE, "-o", tiny_run)
    assert finished.code == 0
    assert "is damaged" in finished.out
    assert "quarantine" in finished.out
    assert manifest_of(tiny_run) == before
