"""The form of a file of devices: devices.yaml here, and a user's own; every mistake in one at file:line:column."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from compress.strict_yaml import Document, Loc, Part, Place, Problem, Wanted, dotted, load_part
from compress.strict_yaml.wording import closest, did_you_mean, refusal
from compress.targets.cores import CORES
from compress.targets.latency.calibration import Calibration
from compress.types import Json

WANTED = Wanted("a file of devices", "as the README shows under Devices")


def _known_core(name: str) -> str:
    if name not in CORES:
        raise refusal(f"unknown core {name!r}{did_you_mean(name, CORES)}")
    return name


class Cluster(Part):
    """Alike cores of a chip.

    spec_ghz: their highest clock, as the maker gives it.
    observed_ghz: the clock they were seen to run at, where it is another; observed_in: the source that shows it.
    """

    core: Annotated[str, AfterValidator(_known_core)]
    count: int = Field(ge=1, le=64)
    spec_ghz: float | None = Field(default=None, gt=0, le=10)
    observed_ghz: float | None = Field(default=None, gt=0, le=10)
    observed_in: str | None = None

    @model_validator(mode="after")
    def _has_a_clock(self) -> Cluster:
        if self.spec_ghz is None and self.observed_ghz is None:
            raise refusal("expected spec_ghz or observed_ghz, got neither; add one")
        if (self.observed_ghz is None) != (self.observed_in is None):
            raise refusal("observed_ghz and observed_in, its source, go together; add the other")
        return self

    @property
    def ghz(self) -> float:
        """The clock it runs at: as observed, else as specified."""
        clock = self.spec_ghz if self.observed_ghz is None else self.observed_ghz
        assert clock is not None
        return clock


class Memory(Part):
    """peak_gb_per_s: transfers a second times width, of which one core reaches a part; None where nobody says.

    type: as in devices.yaml, whose bandwidths of such memory stand in for one that is unknown.
    """

    type: str
    peak_gb_per_s: float | None = Field(default=None, gt=0, le=10_000)
    source: str


class Soc(Part):
    """A chip.

    clusters: a single thread runs on the first.
    source: of cores, counts and specified clocks.
    memory: the fastest that it takes.
    shared_cache_kib: behind the second level of its first cores, where it is not what cores.yaml has for them.
    """

    clusters: tuple[Cluster, ...] = Field(min_length=1)
    source: str
    memory: Memory | None = None
    shared_cache_kib: int | None = Field(default=None, ge=0, le=1 << 20)


class DeviceEntry(Part):
    """A phone or board as it stands in the file.

    soc: a name under `socs`, of this file or of those that ship.
    also: more names.
    memory: where it differs from the chip's.
    note: one sentence that a reader must know.
    """

    soc: str
    also: tuple[str, ...] = ()
    memory: Memory | None = None
    note: str | None = None


class DeviceFile(Part):
    """The whole file.

    calibrations: of devices of this file or of those that ship, whose description stays as it is.
    """

    socs: dict[str, Soc] = Field(default={})
    devices: dict[str, DeviceEntry] = Field(default={})
    calibrations: tuple[Calibration, ...] = ()


def simplify(name: str) -> str:
    """What two spellings of a name have in common: `mi9`, of `Mi 9`, `mi-9` and `MI9`; a plus sign counts."""
    return re.sub(r"[^\w+]|_", "", name.casefold())


def load_device_file(path: Path, socs: Collection[str] = (), owners: Mapping[str, str] | None = None) -> DeviceFile:
    """Read a file of devices.

    Args:
        path: the file.
        socs: chips that its devices may name beside its own, and that it may not define anew.
        owners: names of devices that are taken already -> the device.

    Raises:
        RecipeError: one line `file:line:column: key: what is wrong` for each mistake.
    """

    taken = owners or {}

    def find_faults(document: Document) -> list[Problem]:
        return [
            *_find_taken(_list_names(document, "socs"), socs),
            *_find_taken(_list_names(document, "devices"), taken),
            *_find_unknown_socs(document, socs),
            *_find_idle_calibrations(document, taken),
        ]

    return load_part(path, DeviceFile, WANTED, find_faults)


def _list_names(document: Document, section: str) -> list[tuple[Loc, str, Place]]:
    """Every name that the file gives to a chip or a device, and where; the file may not be what it should be."""
    found: list[tuple[Loc, str, Place]] = []
    for name, entry in _entries(document, section).items():
        found.append(((section, name), name, document.keys[section, name]))
        also = entry.get("also") if isinstance(entry, dict) else None
        for index, alias in enumerate(also if isinstance(also, list) else []):
            loc = (section, name, "also", index)
            found.append((loc, str(alias), document.places[loc]))
    return found


def _find_taken(found: list[tuple[Loc, str, Place]], taken: Collection[str]) -> list[Problem]:
    """Names that something has already, in this file or in those that ship: nobody would know which is meant."""
    owners = {simplify(name): name for name in taken}
    problems = []
    for loc, name, place in found:
        if not simplify(name):
            message = (
                f"{dotted(loc)}: the name {name!r} has no letter or digit; expected one that can be typed; rename it"
            )
            problems.append(Problem(place.line, place.column, message))
        elif owner := owners.get(simplify(name)):
            message = f"{dotted(loc)}: the name {name!r} is taken, by {owner!r}; choose another"
            problems.append(Problem(place.line, place.column, message))
        owners[simplify(name)] = name
    return problems


def _find_unknown_socs(document: Document, socs: Collection[str]) -> list[Problem]:
    known = [*socs, *_entries(document, "socs")]
    problems = []
    for name, entry in _entries(document, "devices").items():
        loc = ("devices", name, "soc")
        soc = entry.get("soc") if isinstance(entry, dict) else None
        if isinstance(soc, str) and soc not in known:
            place = document.places[loc]
            close = closest(soc, known)
            advice = (
                f"did you mean {close!r}?" if close else "describe it under socs, or name one of `compress devices`"
            )
            problems.append(Problem(place.line, place.column, f"{dotted(loc)}: unknown soc {soc!r}; {advice}"))
    return problems


def _find_idle_calibrations(document: Document, owners: Mapping[str, str]) -> list[Problem]:
    """Calibrations of devices that nobody describes, and second ones of a device for as many threads."""
    names = {**owners, **{alias: str(loc[1]) for loc, alias, _ in _list_names(document, "devices")}}
    devices = {simplify(alias): name for alias, name in names.items()}
    problems, seen = [], set()
    for loc, place in document.places.items():
        if loc[:1] != ("calibrations",) or loc[2:] != ("device",):
            continue
        threads = document.places.get((*loc[:2], "threads"))
        device = devices.get(simplify(place.written))
        calibrated = (device, threads.written if threads else "")
        fault = None
        if device is None:
            fault = f"unknown device {place.written!r}{did_you_mean(place.written, names)}"
        elif calibrated in seen:
            fault = f"{device} is there twice for threads: {calibrated[1]}; expected one; keep the newer"
        if fault:
            problems.append(Problem(place.line, place.column, f"{dotted(loc)}: {fault}"))
        seen.add(calibrated)
    return problems


def _entries(document: Document, section: str) -> dict[str, Json]:
    """What stands under a key at the top, if it is a mapping."""
    entries = document.value.get(section) if isinstance(document.value, dict) else None
    return entries if isinstance(entries, dict) else {}
