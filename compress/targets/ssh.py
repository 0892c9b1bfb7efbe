"""A board or a phone that the system's `ssh` reaches: the same worker runs there, over one connection.

The user's own ~/.ssh/config says who we are there (keys, jump hosts, aliases); host keys are never accepted here.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import IPv6Address
from pathlib import Path
from typing import Literal

from compress.errors import RecipeError, ToolError
from compress.targets.files import Runtime
from compress.targets.place import ENVIRONMENT, WORKER
from compress.targets.processor import name_cores
from compress.targets.session import Session
from compress.targets.ssh_connection import Connection
from compress.targets.worker_process import WorkerError, WorkerProcess
from compress.types import Json

USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
HOST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
OLDEST_PYTHON = (3, 10)
PACKAGES: dict[Runtime, tuple[str, ...]] = {
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "onnxruntime": ("onnxruntime",),
}
"""Runtime -> the packages that bring it, the first one wanted; the worker takes them in this order."""


@dataclass(frozen=True, kw_only=True)
class SshDevice:
    """How a device is reached.

    name: of the target, in measurements and messages.
    destination: `user@host`, `host`, or an alias of ~/.ssh/config; see `find_destination_fault`.
    python: the command of the Python there that has the runtimes; `~/` is the home folder there.
    port: None: what ~/.ssh/config says, else 22.
    timeout_s: for one job.
    """

    name: str
    destination: str
    python: str = "python3"
    port: int | None = None
    timeout_s: float = 120.0


def find_destination_fault(destination: str) -> str | None:
    """What is wrong with a destination, None if it is one. What ssh could take for an option never reaches it."""
    user, at, host = destination.rpartition("@")
    if (USER.fullmatch(user) or not at) and (HOST_NAME.fullmatch(host) or _is_ipv6(host)):
        return None
    if re.fullmatch(r"[^\s:]+:[0-9]+", destination):
        return f"{destination!r} holds a port, expected user@host; give the port by itself"
    return (
        f"{destination!r} is no ssh destination, expected user@host, host or an alias of ~/.ssh/config, of letters, "
        f"digits, dots and hyphens; correct it"
    )


def _is_ipv6(host: str) -> bool:
    try:
        return IPv6Address(host).scope_id is None
    except ValueError:
        return False


def open_device(device: SshDevice) -> SshSession:
    """Connect to a device; use the result as a context manager.

    Raises:
        RecipeError: its destination is none.
        ToolError: no `ssh` here; the device is not reached, or one does not trust the other; no usable Python there.
    """
    if fault := find_destination_fault(device.destination):
        raise RecipeError(f"target {device.name}: {fault}")
    connection = Connection(device.name, device.destination, python=device.python, port=device.port)
    try:
        _check_python(device, connection.facts["python"])
        return SshSession(device, connection)
    except BaseException:
        connection.close()
        raise


class SshSession(Session):
    """A session on a device. Its methods raise ConnectionLost too, after which nothing more can be had of it.

    machine: what its latencies must be read with: the keys of compress.measure.machine, and some more.
    runtimes: name and version of those that are installed there.
    """

    def __init__(self, device: SshDevice, connection: Connection) -> None:
        self.machine = _describe_machine(connection.facts)
        self.runtimes = _find_runtimes(connection.facts["packages"])
        place = _Device(device=device, connection=connection, runtimes=self.runtimes)
        super().__init__(device.name, place, timeout_s=device.timeout_s, memory_bytes=None)


def _check_python(device: SshDevice, found: str) -> None:
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise ToolError(
            f"{device.name}: {device.python} there is Python {found}, expected {oldest} or later; name another"
        )


def _describe_machine(facts: Json) -> Json:
    """The facts about the machine, with cores for part numbers: `cortex-a55 × 4, cortex-a76 × 4`."""
    machine = dict(facts["machine"])
    if cores := name_cores(machine.pop("cpu_parts")):
        machine["processor"] = cores
    return {**machine, "python": facts["python"]}


def _find_runtimes(versions: Mapping[str, str | None]) -> dict[Runtime, str]:
    """Named as the worker names them."""
    found = {}
    for runtime, packages in PACKAGES.items():
        package = next((package for package in packages if versions[package]), None)
        if package:
            found[runtime] = (
                f"{'litert' if package == packages[0] == 'ai-edge-litert' else package} {versions[package]}"
            )
    return found


@dataclass(frozen=True, kw_only=True)
class _Device:
    """The place of the workers there; what memory it has is the limit of a job."""

    device: SshDevice
    connection: Connection
    runtimes: Mapping[Runtime, str]
    how: Literal["native"] = "native"

    def launch(
        self, runtime: Runtime, folder: Path, memory_bytes: int | None, *, shared_cache_kib: int | None = None
    ) -> WorkerProcess:
        del memory_bytes, shared_cache_kib
        if runtime not in self.runtimes or not self.connection.facts["packages"]["numpy"]:
            package = "numpy" if runtime in self.runtimes else PACKAGES[runtime][0]
            python = self.connection.python
            raise ToolError(
                f"{self.device.name}: the Python package {package} was not found in {python} there, expected it to run "
                f"models; run `{python} -m pip install {package}=={version(package)}` there, or name another Python"
            )
        self.connection.send(WORKER, WORKER.name)
        return _RemoteWorker(self.connection, folder)

    def close(self) -> None:
        self.connection.close()


class _RemoteWorker(WorkerProcess):
    """A worker on a device. The files that a job reads are copied there before it, its outputs back after it."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        run = shlex.join(["env", *variables, connection.python, WORKER.name])
        # Not in the shell's place: the shell tells what the worker died of, which ssh would not.
        command = connection.command(f"{run}; exit $?")
        super().__init__(command, folder=folder, environment=os.environ, memory_bytes=None)

    def ask(self, job: Mapping[str, Json], timeout_s: float) -> dict[str, Json]:
        sent = {**job}
        for key in ("model", "inputs"):
            if key in job and (self._folder / job[key]).exists():
                sent[key] = self._connection.send_once(self._folder / job[key])
        try:
            answer = super().ask(sent, timeout_s)
        except WorkerError as error:
            if not self.alive:
                self._connection.check()
            if str(error).startswith("OSError"):  # the runtimes raise others: this is NumPy, which writes the outputs
                raise ToolError(self._connection.describe_full(str(error))) from error
            raise
        if "outputs" in job:
            self._connection.fetch(job["outputs"], self._folder / job["outputs"])
        return answer
