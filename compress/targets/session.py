"""A target on which model files are opened and run, each job in a process of its own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from compress.errors import InstructionError, ModelError, RecipeError, ToolError
from compress.targets import arm64
from compress.targets.answers import Counts, ModelInfo, Profile, parse_counts, parse_model_info, parse_profile
from compress.targets.cores import CORES, core_names
from compress.targets.files import Runtime, choose_runtime
from compress.targets.place import REPORT, EmulatedCore, Host, Place
from compress.targets.worker_process import WorkerError, WorkerProcess
from compress.types import Json

HOST = "host"
INPUTS, OUTPUTS = "inputs.npy", "outputs.npy"


def open_session(
    target: str, home: Path, *, site: Path | None = None, timeout_s: float = 120.0, memory_bytes: int = 8 << 30
) -> Session:
    """Open a target; use the result as a context manager.

    Args:
        target: `host`, or one of `core_names()`.
        home: where the emulated cores are installed; unused for `host`.
        site: a folder with other runtimes than the usual ones, see `compress.targets.tflite_runtime`.
        timeout_s: for one job.
        memory_bytes: limit of the address space of one job.

    Raises:
        RecipeError: there is no such target.
        ToolError: the emulated cores are not installed in `home`, or there is no room for temporary files.
    """
    if target == HOST:
        return Session(target, Host(site=site), timeout_s=timeout_s, memory_bytes=memory_bytes)
    core = CORES.get(target)
    if core is None:
        raise RecipeError(f"unknown target {target!r}, expected {HOST} or one of {', '.join(core_names())}")
    installation = arm64.find(home)
    if installation is None:
        raise ToolError(
            f"target {target}: the emulated ARM64 cores are not installed in {home}, expected them there; "
            f"run `compress doctor --install`, or measure on `host` only"
        )
    place = EmulatedCore(installation=installation, core=core, site=site)
    return Session(target, place, timeout_s=timeout_s, memory_bytes=memory_bytes)


class Session:
    """One target, with at most one worker process per runtime and way of counting, started when a model first needs it.

    Every method that takes a model raises ModelError where the file is no model, or where opening or running it fails
    in any way: it raises, crashes, or takes too long; InstructionError, one of them, where that was an illegal
    instruction, of the runtime as it starts too. ToolError where the runtime does not start otherwise. Later jobs are
    not affected.

    target: `host`, the core's name, or the device's.
    how: `native` or `emulated`.
    """

    def __init__(self, target: str, place: Place, *, timeout_s: float, memory_bytes: int | None) -> None:
        self.target = target
        self.how = place.how
        self._place = place
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._workers: dict[tuple[Runtime, int | None], WorkerProcess] = {}
        self._closed = False
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="compress-"))
        except OSError as error:
            place.close()
            raise ToolError(
                f"no temporary folder for target {target} ({error}), expected room and permission for one; "
                f"free some space, or set TMPDIR"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers and remove the temporary files, without which none can start. Idempotent.

        From another thread too: what is at work is killed, and the thread that waits for it gets an error.
        """
        self._closed = True  # first, so that a worker which is not found below finds this
        try:
            for worker in list(self._workers.values()):
                worker.close()
        finally:
            self._workers.clear()
            self._place.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def describe(self, model: Path) -> ModelInfo:
        """The inputs and outputs of a model file, as the runtime sees them once it has opened it."""
        runtime = choose_runtime(model)
        started = [shared for known, shared in self._workers if known == runtime]  # one that profiles can tell as well
        return parse_model_info(*self._ask(model, {"job": "describe"}, shared_cache_kib=(started or [None])[0]))

    def run(self, model: Path, inputs: np.ndarray, *, threads: int = 1) -> np.ndarray:
        """The raw outputs of a model with one input and one output; one inference per row, as on a phone.

        Args:
            model: the file.
            inputs: (n, ...) as the model stores them (see `compress.targets.tensors.encode`).
            threads: of the runtime.

        Returns:
            (n, ...) in the dtype of the output.
        """
        self._ask(model, {"job": "run", "outputs": OUTPUTS, "threads": threads}, inputs)
        return np.load(self._folder / OUTPUTS)

    def time(self, model: Path, sample: np.ndarray, *, warmup: int, n: int, threads: int = 1) -> tuple[int, ...]:
        """Durations of n single inferences after `warmup` ones, in ns. Native only: emulated time is no latency.

        Args:
            model: the file.
            sample: (1, ...) as the model stores it.
            warmup: inferences before the first that counts, >= 0.
            n: >= 1.
            threads: of the runtime.
        """
        if self.how == "emulated":
            raise ValueError(f"{self.target} is emulated: its times mean nothing, use count()")
        answer, _ = self._ask(model, {"job": "time", "warmup": warmup, "n": n, "threads": threads}, sample)
        return tuple(answer["durations_ns"])

    def count(self, model: Path, sample: np.ndarray, *, warmup: int = 1, repeats: int = 3) -> Counts:
        """What one inference executes, on one thread. Emulated only.

        LiteRT repeats to the instruction. ONNX Runtime's first inferences may differ by 0.1 %, so the least of
        `repeats` is what counts.

        Args:
            model: the file.
            sample: (1, ...) as the model stores it.
            warmup: inferences before the first that counts; the first one allocates, so >= 1.
            repeats: >= 1.
        """
        if self.how == "native":
            raise ValueError(f"{self.target} is not emulated: nothing counts its instructions")
        return parse_counts(self._count(model, sample, {"warmup": warmup, "repeats": repeats}))

    def profile(self, model: Path, sample: np.ndarray, *, shared_cache_kib: int, threads: int = 1) -> Profile:
        """Which blocks one inference executes, and which of its accesses the core's caches miss. Emulated only.

        The third inference, in a worker of its own; the second fills the caches. Several threads take turns on one
        processor of this machine, when it likes, and before the same caches: what they fetch differs by 3 % or so.

        Args:
            model: the file.
            sample: (1, ...) as the model stores it.
            shared_cache_kib: of the cache behind the second level, 0 for none.
            threads: of the runtime, which cuts the work otherwise for several.
        """
        if self.how == "native":
            raise ValueError(f"{self.target} is not emulated: nothing profiles its instructions")
        job: dict[str, Json] = {"warmup": 1, "repeats": 2}
        if threads > 1:  # a job of other text is counted otherwise, by a few instructions
            job["threads"] = threads
        return parse_profile(self._count(model, sample, job, shared_cache_kib))

    def _count(self, model: Path, sample: np.ndarray, job: dict[str, Json], shared_cache_kib: int | None = None) -> str:
        """The counter's report."""
        report = self._folder / REPORT
        report.unlink(missing_ok=True)
        self._ask(model, {"job": "count", **job}, sample, shared_cache_kib)
        return report.read_text(encoding="utf-8")

    def _ask(
        self, model: Path, job: dict[str, Json], inputs: np.ndarray | None = None, shared_cache_kib: int | None = None
    ) -> tuple[dict[str, Json], str]:
        """Have a job done on a model file; return the answer, and the runtime's name and version."""
        runtime = choose_runtime(model)
        worker = self._find_worker(runtime, shared_cache_kib)
        link = self._folder / f"model{model.suffix}"  # a path of the same length for every model and user
        link.unlink(missing_ok=True)
        link.symlink_to(model.absolute())
        if inputs is not None:
            self._save(inputs)
        try:
            answer = worker.ask({**job, "model": link.name, "inputs": INPUTS}, self._timeout_s)
        except WorkerError as error:
            if error.signal == "SIGILL":
                raise self._lacks_instruction(f"{model} on {self.target} under {worker.runtime}") from error
            raise ModelError(
                f"{model} on {self.target} under {worker.runtime}: {job['job']} failed: {error}; "
                f"expected a complete model that this runtime can run; export it again, or leave this target out"
            ) from error
        return answer, worker.runtime

    def _lacks_instruction(self, where: str) -> InstructionError:
        return InstructionError(
            f"{where}: illegal instruction (SIGILL), one that {self.target} lacks; expected none that the oldest core"
            f" it is meant for lacks; use another version of the runtime, or leave this target out"
        )

    def _save(self, inputs: np.ndarray) -> None:
        try:
            np.save(self._folder / INPUTS, inputs)
        except OSError as error:
            raise ToolError(
                f"cannot write {inputs.nbytes} bytes of inputs to {self._folder} ({error}), expected room "
                f"for them; free some space, or set TMPDIR"
            ) from error

    def _find_worker(self, runtime: Runtime, shared_cache_kib: int | None) -> WorkerProcess:
        worker = self._workers.get((runtime, shared_cache_kib))
        if worker is None or not worker.alive:
            if worker is not None:
                worker.kill()
            worker = self._start_worker(runtime, shared_cache_kib)
        return worker

    def _start_worker(self, runtime: Runtime, shared_cache_kib: int | None) -> WorkerProcess:
        try:
            worker = self._place.launch(runtime, self._folder, self._memory_bytes, shared_cache_kib=shared_cache_kib)
            self._workers[runtime, shared_cache_kib] = (
                worker  # before it starts: `close` in another thread must find it
            )
            if self._closed:
                worker.kill()
                raise WorkerError("the session has been closed")
            worker.start(runtime, self._timeout_s)
            return worker
        except (WorkerError, OSError) as error:
            if self.how == "emulated" and isinstance(error, WorkerError) and error.signal == "SIGILL":
                raise self._lacks_instruction(f"{runtime} on {self.target}, as it starts") from error
            raise ToolError(
                f"{runtime} on {self.target} did not start: {error}; expected it to be installed and to "
                f"start within {self._timeout_s:g} s; run `compress doctor`"
            ) from error
