"""Devices on a command line: `ssh:user@host`, `adb:SERIAL`, and `adb` for the only phone that is connected."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compress.errors import RecipeError
from compress.targets.adb import ANY, AdbDevice
from compress.targets.benchmark_model import WHERE_TO_GET
from compress.targets.ssh import SshDevice, find_destination_fault

FORMS = "ssh:user@host, adb:SERIAL"


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """What the options of a command add to an address; see SshDevice and AdbDevice."""

    python: str = "python3"
    port: int | None = None
    benchmark_model: Path | None = None


def is_address(target: str) -> bool:
    """Whether it names a device, and not the host or a core."""
    return target.partition(":")[0] in ("ssh", "adb")


def refuse_idle_options(options: DeviceOptions, devices: Iterable[SshDevice | AdbDevice]) -> None:
    """Refuse an option that no device among the targets reads.

    Raises:
        RecipeError: there is one.
    """
    kinds = {type(device) for device in devices}
    idle = {
        "--python": options.python != DeviceOptions.python and SshDevice not in kinds,
        "--port": options.port is not None and SshDevice not in kinds,
        "--benchmark-model": options.benchmark_model is not None and AdbDevice not in kinds,
    }
    for option in (option for option, is_idle in idle.items() if is_idle):
        form = "adb:SERIAL" if option == "--benchmark-model" else "ssh:user@host"
        raise RecipeError(f"{option}: no target reads it; expected a target {form} beside it; add one, or leave it out")


def read_address(target: str, options: DeviceOptions, timeout_s: float) -> SshDevice | AdbDevice:
    """The device that an address names; the address is its name.

    Raises:
        RecipeError: it is no address, or an option is missing.
    """
    kind, _, rest = target.partition(":")
    if kind == "ssh":
        if fault := find_destination_fault(rest):
            raise RecipeError(f"--target {target}: {fault}")
        return SshDevice(name=target, destination=rest, python=options.python, port=options.port, timeout_s=timeout_s)
    if options.benchmark_model is None:
        raise RecipeError(
            f"--target {target}: LiteRT's program for the phone is missing, expected --benchmark-model PATH; "
            f"{WHERE_TO_GET}"
        )
    return AdbDevice(
        name=target, serial=rest or ANY, benchmark_model=options.benchmark_model, timeout_s=math.ceil(timeout_s)
    )
