"""A tiny recipe on real digits, run as a user runs it: the command, in a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from compress.targets import arm64, tflite_runtime
from tests import forked

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
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    return {**os.environ, "COMPRESS_HOME": str(home), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def execute(*arguments: object, home: Path, under: tuple[str, ...] = ()) -> Finished:
    """Run the command to its end in a process that imports everything itself."""
    done = subprocess.run(
        [*under, *command(*arguments)],
        env=environment(home),
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


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
def run_whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, Path], Path]:
    """Runs a recipe to its end in a home, imports and all; returns the folder of the run.

    One pytest process does, and each has a copy of its own, which its tests may spoil.
    """
    ours = tmp_path_factory.getbasetemp()
    shared = ours.parent if "PYTEST_XDIST_WORKER" in os.environ else ours

    def run(recipe: Path, home: Path) -> Path:
        place, folder = shared / f"whole-{recipe.stem}", tmp_path_factory.mktemp("run") / recipe.stem
        with FileLock(f"{place}.lock"):
            if not place.exists():
                finished = execute("run", recipe, "-o", folder, home=home)
                assert finished.code == 0, finished.out + finished.err
                shutil.copytree(home / "store", place / "store")
                shutil.copytree(folder, place / "run")
        shutil.copytree(place / "store", home / "store", dirs_exist_ok=True)
        shutil.copytree(place / "run", folder, dirs_exist_ok=True)
        return folder

    return run


@pytest.fixture(scope="session")
def tiny_home(make_home: Callable[[], Path]) -> Path:
    """The home that `tiny_run` has filled; later runs of the same recipe find everything in it."""
    return make_home()


@pytest.fixture(scope="session")
def tiny_run(run_whole: Callable[[Path, Path], Path], tiny_home: Path) -> Path:
    """The folder of an unbroken run of digits.yaml."""
    return run_whole(RECIPE, tiny_home)


@pytest.fixture(scope="session")
def small_run(run_whole: Callable[[Path, Path], Path], make_home: Callable[[], Path]) -> tuple[Path, Path]:
    """The folder of an unbroken run of small.yaml, and its home."""
    home = make_home()
    return run_whole(SMALL, home), home


@pytest.fixture(scope="session")
def compress(tiny_home: Path) -> Callable[..., Finished]:
    """Runs the command to its end, below another command if `under` names one."""

    def run(*arguments: object, home: Path = tiny_home, under: tuple[str, ...] = ()) -> Finished:
        if under:
            return execute(*arguments, home=home, under=under)
        done = forked.run("-m", "compress", *arguments, environment=environment(home), folder=HERE)
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


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
