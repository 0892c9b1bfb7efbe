"""One running `compress/runtimes/worker.py`, seen from the parent: questions, answers, deadlines, death."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from compress.types import Json

EXIT_GRACE_S = 5.0
SHELL_SIGNAL = 128  # a shell's status for a command that died of signal n is this plus n
NOISE = ("INFO:", "qemu: uncaught target signal")


class WorkerError(Exception):
    """A job failed; the message says how, and leaves where to the caller.

    signal: what killed it, such as `SIGILL`; SIGALRM where its time was up; None if nothing did.
    """

    def __init__(self, message: str, signal: str | None = None) -> None:
        super().__init__(message)
        self.signal = signal


class WorkerProcess:
    """A worker with one runtime. Jobs run one after the other, each in a child of the worker; `start` comes first.

    Args:
        command: the program that runs worker.py.
        folder: its working folder, which the files of its jobs are named relative to; stderr.txt is kept there.
        environment: of the process, whole.
        memory_bytes: limit of the address space of the worker and of every job; None for a worker on another machine.
        one_processor: all its threads take turns on one.

    Raises:
        OSError: there is no such program or folder.
    """

    runtime: str

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        memory_bytes: int | None,
        one_processor: bool = False,
    ) -> None:
        self._errors = folder / "stderr.txt"
        self._errors_seen = 0
        self._at_work = False
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                start_new_session=True,  # a group of its own to kill; the terminal's Ctrl-C does not reach it
            )
        try:
            if memory_bytes is not None:
                _limit(self._process.pid, memory_bytes)  # it imports nothing before it is asked
            if one_processor:
                os.sched_setaffinity(self._process.pid, {max(os.sched_getaffinity(0))})
        except BaseException:
            self.kill()
            raise

    def start(self, runtime: str, timeout_s: float) -> None:
        """Import `litert` or `onnxruntime`.

        Raises:
            WorkerError: that failed, or took longer than `timeout_s`.
        """
        try:
            self.runtime = self.ask({"runtime": runtime}, timeout_s)["runtime"]
        except BaseException:
            self.kill()
            raise

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, job: Mapping[str, Json], timeout_s: float) -> dict[str, Json]:
        """Have one job done.

        Raises:
            WorkerError: it raised, crashed, left, or took longer than `timeout_s`; after the last of these, or when
                the worker itself died, the worker is gone.
        """
        self._errors_seen = self._errors.stat().st_size
        try:
            line = json.dumps({**job, "limit_s": math.ceil(timeout_s + EXIT_GRACE_S)}).encode() + b"\n"
            self._at_work = True
            answer = self._exchange(line, time.monotonic() + timeout_s)
            self._at_work = False
        except BaseException:  # an answer that comes after Ctrl-C would be taken for that of the next job
            self.kill()
            raise
        if answer is None:
            self.kill()
            raise WorkerError(f"did not finish within {timeout_s:g} s", "SIGALRM")
        if not answer:
            status = self._wait()
            self.kill()
            name = signal.Signals(-status).name if status is not None and status < 0 else None
            raise WorkerError(f"the worker {_describe_status(status)}{self._last_words()}", name)
        content: dict[str, Json] = json.loads(answer)
        if "error" in content:
            raise WorkerError(" ".join(content["error"].split()))
        if "signal" in content:
            raise WorkerError(f"the runtime crashed ({content['signal']}){self._last_words()}", content["signal"])
        if "exit" in content:
            raise WorkerError(f"the runtime left with status {content['exit']}{self._last_words()}")
        return content

    def _exchange(self, line: bytes, deadline: float) -> bytes | None:
        """Send a line and return the one that answers; None after the deadline, empty if the worker died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line)
        except BrokenPipeError:
            return b""
        return read_line(self._process.stdout.fileno(), deadline)

    def close(self) -> None:
        """Let an idle worker leave; kill it if it does not, and at once if another thread waits for its job."""
        if not self._at_work:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._wait()
        self.kill()

    def kill(self) -> None:
        """End the worker and its job at once. Idempotent."""
        if self._process.stdout is None or self._process.stdout.closed:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _wait(self) -> int | None:
        try:
            return self._process.wait(EXIT_GRACE_S)
        except subprocess.TimeoutExpired:
            return None

    def _last_words(self) -> str:
        with self._errors.open("rb") as file:
            file.seek(self._errors_seen)
            lines = file.read().decode(errors="replace").splitlines()
        words = [line.strip() for line in lines if line.strip() and not line.startswith(NOISE)]
        return f": {words[-1]}" if words else ""


def read_line(descriptor: int, deadline: float) -> bytes | None:
    """The next line that another process writes; None after the deadline (monotonic), empty if there is no more."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    received = b""
    while not received.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            return b""
        received += chunk
    return received


def _limit(pid: int, memory_bytes: int) -> None:
    """Limit a process from outside: under emulation its own limits would be those of the emulated system."""
    if sys.platform == "linux":
        import resource

        resource.prlimit(pid, resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


def _describe_status(status: int | None) -> str:
    if status is None:
        return "closed its output"
    if status > SHELL_SIGNAL and status - SHELL_SIGNAL in signal.valid_signals():
        status = SHELL_SIGNAL - status
    return f"died of {signal.Signals(-status).name}" if status < 0 else f"left with status {status}"
