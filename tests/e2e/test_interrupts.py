"""Ctrl-C and SIGTERM while ARM64 is emulated: the right code, no process and no temporary file left, a sound store."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import SMALL, Finished, command, environment, fails
from tests.e2e.test_bad_models import HANGING, write

DEADLINE_S = 120


def emulators(temporary: Path) -> list[str]:
    """The command lines of running emulators that work below a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_text()
        except OSError:  # it has just left
            continue
        if "counter.so" in line and str(temporary) in line:
            found.append(line)
    return found


def interrupt(arguments: list[str], home: Path, temporary: Path, number: signal.Signals, count: int) -> Finished:
    """Run a command and send its group a signal, as a terminal does, once so many emulators are at work."""
    temporary.mkdir()
    process = subprocess.Popen(
        arguments,
        env={**environment(home), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while len(emulators(temporary)) < count:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    deadline = time.monotonic() + DEADLINE_S
    while emulators(temporary) and time.monotonic() < deadline:  # a killed process takes a moment to go
        time.sleep(0.05)
    return Finished(process.returncode, out, err)


def test_a_run_on_two_cores(
    compress: Callable[..., Finished], small_run: tuple[Path, Path], make_home: Callable[[], Path], tmp_path: Path
) -> None:
    home, folder, recipe = make_home(), tmp_path / "out", tmp_path / "emulated.yaml"
    shutil.copytree(small_run[1] / "store", home / "store")
    recipe.write_text(
        SMALL.read_text().replace(
            "benchmark: {}", "benchmark: {arm64: {cores: [cortex-a53, cortex-a76], float_images: 2}}"
        )
    )
    run = ("run", recipe, "-o", folder)
    stopped = interrupt(command(*run), home, tmp_path / "temporary", signal.SIGINT, 2)
    fails(stopped, 130, "interrupted", "goes on where it stopped")
    assert emulators(tmp_path) == []
    assert list((tmp_path / "temporary").glob("compress-*")) == []
    assert not folder.exists()
    finished = compress(*run, home=home)
    assert finished.code == 0, finished.err
    assert "damaged" not in finished.out
    assert compress("verify", folder).code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_bench_that_would_never_end(
    make_home: Callable[[], Path], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    file = write(tmp_path / "hanging.onnx", HANGING)
    arguments = command("bench", file, "--target", "cortex-a53")
    fails(interrupt(arguments, make_home(), tmp_path / "temporary", number, 1), code, "goes on where it stopped")
    assert emulators(tmp_path) == []
    assert list((tmp_path / "temporary").glob("compress-*")) == []


def test_an_interrupt_that_something_turns_into_another_error(
    compress: Callable[..., Finished], make_home: Callable[[], Path], tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(SMALL.read_text().replace("compress.tasks.digits:digits", "faulty:swallows_interrupt"))
    fails(compress("run", recipe, "-o", tmp_path / "out", home=make_home()), 130, "interrupted")
