"""Where a session's workers run: this machine or an emulated core here, a device in ssh.py."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from compress import runtimes
from compress.targets import arm64
from compress.targets.cores import Core
from compress.targets.files import Runtime
from compress.targets.worker_process import WorkerProcess

WORKER = Path(runtimes.__file__).with_name("worker.py")
REPORT = "counts.jsonl"
# More threads than the job asks for cost time, and under emulation change what is counted. ONNX Runtime's telemetry
# runs a thread that is counted too, and writes into the user's cache folder.
ENVIRONMENT: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}


class Place(Protocol):
    """how: what its times are worth."""

    @property
    def how(self) -> Literal["native", "emulated"]: ...

    def launch(
        self, runtime: Runtime, folder: Path, memory_bytes: int | None, *, shared_cache_kib: int | None = None
    ) -> WorkerProcess:
        """A worker's process, which has not been asked to import the runtime yet.

        Args:
            runtime: that it will import.
            folder: of the session; the files of a job are named relative to it.
            memory_bytes: limit of the address space of one job; a place with a memory of its own ignores it.
            shared_cache_kib: also report blocks, and traffic before such a cache, as `Arm64.command` says; no place but
                an emulated core is asked to.

        Raises:
            OSError: it cannot be started.
            ToolError: the place lacks what it takes.
        """
        ...

    def close(self) -> None:
        """Leave the place as it was found. Idempotent."""
        ...


@dataclass(frozen=True, kw_only=True)
class Host:
    """This machine. site: a folder of packages that take the place of this Python's own; None for these."""

    site: Path | None = None
    how: Literal["native"] = "native"

    def launch(
        self, runtime: Runtime, folder: Path, memory_bytes: int | None, *, shared_cache_kib: int | None = None
    ) -> WorkerProcess:
        del runtime, shared_cache_kib
        shutil.copyfile(WORKER, folder / WORKER.name)
        command = [sys.executable, "-P", WORKER.name]
        environment = {**os.environ, **ENVIRONMENT}
        if self.site:
            command.insert(1, "-S")
            environment["PYTHONPATH"] = str(self.site)
        return WorkerProcess(command, folder=folder, environment=environment, memory_bytes=memory_bytes)

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class EmulatedCore:
    """An ARM64 core on this machine. site: a folder of packages that take the place of the installation's."""

    installation: arm64.Arm64
    core: Core
    site: Path | None = None
    how: Literal["emulated"] = "emulated"

    def launch(
        self, runtime: Runtime, folder: Path, memory_bytes: int | None, *, shared_cache_kib: int | None = None
    ) -> WorkerProcess:
        del runtime
        shutil.copyfile(WORKER, folder / WORKER.name)
        command = self.installation.command(self.core, folder, REPORT, WORKER.name, shared_cache_kib=shared_cache_kib)
        environment = {**arm64.ENVIRONMENT, **ENVIRONMENT}
        if self.site:
            environment["PYTHONPATH"] = str(self.site)  # not below the core's root, and so the host's own path
        return WorkerProcess(
            command,
            folder=folder,
            environment=environment,
            memory_bytes=memory_bytes,
            one_processor=shared_cache_kib is not None,  # the counter's caches are not made for two threads at once
        )

    def close(self) -> None: ...
