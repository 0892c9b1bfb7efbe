"""Phones and boards by name: those of devices.yaml, and a user's own.

A user's devices are in a file that the recipe names. It then lies beside the recipe, under the same version control,
and a figure for a phone can be traced to it; `$COMPRESS_HOME` may be deleted at any time, and differs between machines.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compress.errors import RecipeError
from compress.targets.cores import CORES, Core
from compress.targets.device_file import Cluster, DeviceFile, Memory, Soc, load_device_file, simplify
from compress.targets.latency.calibration import Calibration

DEVICES_FILE = Path(__file__).with_name("devices.yaml")
NEAR_NAMES = 3


@dataclass(frozen=True, kw_only=True)
class Device:
    """One phone or board.

    also: more names that it goes by.
    chip: the name of its `soc`.
    note: one sentence that a reader must know.
    calibrations: what was measured on one, for each number of threads.
    """

    name: str
    also: tuple[str, ...]
    chip: str
    soc: Soc
    memory: Memory | None
    note: str | None
    calibrations: tuple[Calibration, ...] = ()

    @property
    def first(self) -> Cluster:
        """The cores that a single thread runs on."""
        return self.soc.clusters[0]

    @property
    def core(self) -> Core:
        """The core that a single thread runs on."""
        return CORES[self.first.core]

    @property
    def shared_cache_kib(self) -> int:
        """What is cached behind the second level."""
        own = self.soc.shared_cache_kib
        return self.core.shared_cache_kib if own is None else own

    def find_calibration(self, threads: int) -> Calibration | None:
        """For so many threads: with others a device is off by another factor."""
        return next((found for found in self.calibrations if found.threads == threads), None)


def load_devices(path: Path | None = None) -> Mapping[str, Device]:
    """Every device by its name: those that ship, then those of a user's file.

    Raises:
        RecipeError: the file is wrong; one line `file:line:column: key: what is wrong` for each mistake.
    """
    shipped = _load_shipped()
    devices = _resolve(shipped, shipped.socs)
    if path is None:
        return devices
    owners = {name: device.name for device in devices.values() for name in (device.name, *device.also)}
    own = load_device_file(path, shipped.socs, owners)
    known = {**devices, **_resolve(own, {**shipped.socs, **own.socs})}
    return _calibrate(known, own.calibrations)


def find_device(name: str, devices: Mapping[str, Device]) -> Device:
    """The device of that name, however it is spelt: `Pixel 4`, `pixel-4`, `pixel4`.

    Raises:
        RecipeError: there is none; the message lists near names.
    """
    found = {simplify(each): device for device in devices.values() for each in (device.name, *device.also)}
    if device := found.get(simplify(name)):
        return device
    near = difflib.get_close_matches(simplify(name), found, n=NEAR_NAMES)
    names = dict.fromkeys(found[each].name for each in near)
    hint = f"near names: {', '.join(names)}" if names else f"no name of {len(devices)} is near"
    raise RecipeError(f"unknown device {name!r}; {hint}; `compress devices` lists all; a file of yours may describe it")


def _calibrate(devices: Mapping[str, Device], calibrations: Sequence[Calibration]) -> Mapping[str, Device]:
    known = dict(devices)
    for found in calibrations:
        device = find_device(found.device, known)
        known[device.name] = dataclasses.replace(device, calibrations=(*device.calibrations, found))
    return known


@cache
def _load_shipped() -> DeviceFile:
    return load_device_file(DEVICES_FILE)


def _resolve(file: DeviceFile, socs: Mapping[str, Soc]) -> dict[str, Device]:
    return {
        name: Device(
            name=name,
            also=entry.also,
            chip=entry.soc,
            soc=socs[entry.soc],
            memory=entry.memory or socs[entry.soc].memory,
            note=entry.note,
        )
        for name, entry in file.devices.items()
    }
