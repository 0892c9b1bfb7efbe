"""A tiny recipe on real digits, run as a user runs it: the command, in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from compress.targets import arm64, tflite_runtime

HERE = Path(__file__).parent
RECIPE = HERE / "digits.yaml"
SMALL = HERE / "small.yaml"


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "compress", *map(str, arguments)]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "COMPRESS_HOME": str(home), "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def make_home(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes a home with an empty store and the runtimes that are installed already."""
    arm64.install(home, lambda _: None)
    tflite_runtime.install(home, lambda _: None)

    def make() -> Path:
        fresh = tmp_path_factory.mktemp("home")
        for runtimes in ("arm64", "tflite-runtime"):
            (fresh / runtimes).symlink_to((home / runtimes).resolve())
        return fresh

    return make


@pytest.fixture(scope="session")
def tiny_home(make_home: Callable[[], Path]) -> Path:
    """The home that `tiny_run` has filled; later runs of the same recipe find everything in it."""
    return make_home()


@pytest.fixture(scope="session")
def compress(tiny_home: Path) -> Callable[..., Finished]:
    """Runs the command to its end, below another command if `under` names one."""

    def run(
        *arguments: object, home: Path = tiny_home, cwd: Path | None = None, under: tuple[str, ...] = ()
    ) -> Finished:
        done = subprocess.run(
            [*under, *command(*arguments)],
            env=environment(home),
            cwd=cwd or HERE,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def tiny_run(compress: Callable[..., Finished], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unbroken run of digits.yaml."""
    folder = tmp_path_factory.mktemp("run") / "digits"
    finished = compress("run", RECIPE, "-o", folder)
    assert finished.code == 0, finished.out + finished.err
    return folder


@pytest.fixture(scope="session")
def small_run(
    compress: Callable[..., Finished], make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The folder of an unbroken run of small.yaml, and its home."""
    folder, home = tmp_path_factory.mktemp("run") / "small", make_home()
    finished = compress("run", SMALL, "-o", folder, home=home)
    assert finished.code == 0, finished.out + finished.err
    return folder, home


def fails(finished: Finished, code: int, *parts: str) -> None:
    """One line on stderr that has all the parts, and the exit code."""
    assert finished.code == code, finished.out + finished.err
    (line,) = finished.err.strip().splitlines()
    for part in parts:
        assert part in line


@pytest.fixture(scope="session", autouse=True)
def _heed_interrupts() -> None:
    """Where these tests run as a script's background job, SIGINT is ignored, and every process would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
