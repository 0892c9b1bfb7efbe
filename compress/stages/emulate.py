"""Run artifacts on each emulated core: outputs for a stated subset of the test images, and exact counts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from compress.errors import InstructionError, ModelError
from compress.progress import Stage
from compress.recipe import Arm64Config
from compress.stages.context import Run, Step, execute_step
from compress.stages.export import Exported
from compress.targets import Session, arm64, encode, open_session
from compress.targets.worker_process import WorkerError
from compress.tasks import Split
from compress.types import CALIBRATED, Json

CODE = ("compress.runtimes", "compress.targets")
"""What runs a file, on the host as on a core."""
CORES_AT_ONCE = 2
COUNTS = "counts.json"
Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True, eq=False)
class Emulated:
    """One artifact on one emulated core.

    outputs: raw outputs (n, classes) for the first n test images, in the file's stored type.
    counts: instructions, executed_macs, by_class, repeats.
    """

    core: str
    exported: Exported
    outputs: NDArray[np.generic]
    counts: Json


@dataclass(frozen=True, kw_only=True, eq=False)
class Counted:
    """One artifact on one emulated core, without its outputs; counts as in Emulated."""

    core: str
    exported: Exported
    counts: Json


@dataclass(frozen=True, kw_only=True)
class FailedOnCore:
    """One artifact that was not measured on one emulated core.

    why: it does not run there, in a few words; None where it was only too slow, or was killed for its memory.
    line: the same as a whole line.
    """

    core: str
    exported: Exported
    why: str | None
    line: str


def find_runtimes(run: Run) -> None:
    """Have the ARM64 runtimes where the cores look for them.

    Raises:
        ToolError: they are not there, and cannot be had.
    """
    with run.progress.stage("find the ARM64 runtimes") as stage:
        arm64.install(run.home, lambda text: stage.advance(0, 1, text))


@contextmanager
def open_on_demand(
    target: str, home: Path, *, timeout_s: float, site: Path | None = None
) -> Iterator[Callable[[], Session]]:
    """The session on a target, opened when it is first asked for: what is in the store already needs none."""
    with ExitStack() as stack:
        opened: list[Session] = []

        def session() -> Session:
            if not opened:
                opened.append(stack.enter_context(open_session(target, home, site=site, timeout_s=timeout_s)))
            return opened[0]

        yield session


def emulate(
    run: Run, config: Arm64Config, exported: Sequence[Exported]
) -> tuple[tuple[Emulated, ...], tuple[FailedOnCore, ...]]:
    """Outputs and counts of every artifact on every core.

    Returns:
        What was measured, and each artifact that was not, with its core and the reason.
    """
    return _on_every_core(
        run, config.cores, exported, lambda core, each, session: _emulate_one(run, config, core, each, session)
    )


def count(
    run: Run, cores: Sequence[str], exported: Sequence[Exported], split: Split
) -> tuple[tuple[Counted, ...], tuple[FailedOnCore, ...]]:
    """Counts alone, of the first image of a split; returns as `emulate` does."""
    return _on_every_core(run, cores, exported, lambda core, each, session: _count_one(run, core, each, split, session))


def _on_every_core(
    run: Run,
    cores: Sequence[str],
    exported: Sequence[Exported],
    measure: Callable[[str, Exported, Callable[[], Session]], Found],
) -> tuple[tuple[Found, ...], tuple[FailedOnCore, ...]]:
    """Measure every artifact on every core; a core's worker starts once, and only if it is needed."""
    failed: list[FailedOnCore] = []
    opened: dict[str, Session] = {}
    stopped = threading.Event()

    def on_core(core: str) -> list[Found]:
        with ExitStack() as stack:

            def session() -> Session:
                if core not in opened:
                    opened[core] = stack.enter_context(open_session(core, run.home, timeout_s=600))
                if stopped.is_set():  # perhaps before this one could be found among the opened
                    opened[core].close()
                return opened[core]

            done = []
            for each in exported:
                if stopped.is_set():
                    break
                try:
                    done.append(measure(core, each, session))
                except ModelError as error:
                    why = explain_failure(core, error)
                    failed.append(FailedOnCore(core=core, exported=each, why=why, line=str(error)))
            return done

    with ThreadPoolExecutor(CORES_AT_ONCE) as pool:
        try:
            results = tuple(result for results in pool.map(on_core, cores) for result in results)
        except BaseException:  # Ctrl-C above all: end what runs in the other threads, or the pool waits for it
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for each in list(opened.values()):
                each.close()
            raise
    return results, tuple(sorted(failed, key=lambda each: each.line))


def explain_failure(target: str, error: ModelError) -> str | None:
    """Why a file does not run, in a few words; None where it was only too slow, or was killed for its memory."""
    if isinstance(error, InstructionError):
        return f"illegal instruction, one that {target} lacks"
    cause = error.__cause__
    ended = isinstance(cause, WorkerError) and cause.signal in ("SIGALRM", "SIGKILL")  # this machine's doing
    return None if ended else str(cause or error)


def _emulate_one(
    run: Run, config: Arm64Config, core: str, exported: Exported, session: Callable[[], Session]
) -> Emulated:
    artifact = exported.artifact
    images = min(config.images if artifact.precision in CALIBRATED else config.float_images, len(run.task.test))
    step = Step(
        name="emulate",
        title=f"{core}: {artifact.name}",
        config={"core": core, "images": images},
        inputs={"artifact": artifact.sha256, "test": run.task.test.sha256, "installation": arm64.fingerprint(run.home)},
        code=(*CODE, __name__),
        libraries=(),
    )

    def make(folder: Path, _: Stage) -> None:
        inputs = encode(artifact.inputs[0], run.task.test.images[:images])
        np.save(folder / "outputs.npy", session().run(exported.file, inputs))
        _write_counts(folder, session(), exported, inputs[:1])

    folder = execute_step(run, step, make, _summarize_counts).path
    return Emulated(core=core, exported=exported, outputs=np.load(folder / "outputs.npy"), counts=_read_counts(folder))


def _count_one(run: Run, core: str, exported: Exported, split: Split, session: Callable[[], Session]) -> Counted:
    artifact = exported.artifact
    step = Step(
        name="count",
        title=f"{core}: count {artifact.name}",
        config={"core": core},
        inputs={"artifact": artifact.sha256, "images": split.sha256, "installation": arm64.fingerprint(run.home)},
        code=(*CODE, __name__),
        libraries=(),
    )

    def make(folder: Path, _: Stage) -> None:
        _write_counts(folder, session(), exported, encode(artifact.inputs[0], split.images[:1]))

    folder = execute_step(run, step, make, _summarize_counts).path
    return Counted(core=core, exported=exported, counts=_read_counts(folder))


def _write_counts(folder: Path, session: Session, exported: Exported, sample: NDArray[np.generic]) -> None:
    counts = session.count(exported.file, sample)
    found = {
        "runtime": session.describe(exported.file).runtime,
        "instructions": counts.instructions,
        "executed_macs": counts.executed_macs,
        "by_class": dict(counts.by_class),
        "repeats": list(counts.repeats),
    }
    (folder / COUNTS).write_text(json.dumps(found))


def _read_counts(folder: Path) -> Json:
    return json.loads((folder / COUNTS).read_text())


def _summarize_counts(folder: Path) -> str:
    return f"{_read_counts(folder)['instructions']:,} instructions"
