"""The phones and boards that are known, for a person or a program."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compress.targets.cores import CORES, Core, Range
from compress.targets.device_file import Cluster, Memory
from compress.targets.devices import Device, find_device, load_devices
from compress.types import Json


def show_devices(name: str | None, file: Path | None, console: Console, *, as_json: bool) -> None:
    """Print a table of all, or one in full with the source of each figure; as JSON, everything that is known.

    Args:
        name: of the one, however it is spelt.
        file: a user's own devices, beside those that ship.
        console: for the tables.
        as_json: for a program.

    Raises:
        RecipeError: there is no such device, or the file is wrong.
    """
    known = load_devices(file)
    device = None if name is None else find_device(name, known)
    if as_json:
        every = [_to_json(each) for each in known.values()]
        print(json.dumps(every if device is None else _to_json(device), indent=1))
    elif device is None:
        console.print(_draw_list(known.values()), highlight=False)
    else:
        console.print(f"[bold]{escape(device.name)}[/]", highlight=False)
        console.print(_draw_one(device), highlight=False)


def _draw_list(devices: Iterable[Device]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("device", "chip", "a thread runs on", "emulated by", "memory"):
        table.add_column(column)
    for device in devices:
        runs_on = f"{device.first.core}, {device.first.ghz:g} GHz"
        processor = device.core.cpu.partition(",")[0]  # with its switches it would not fit
        cells = (device.name, device.chip, runs_on, processor, _describe_memory(device.memory))
        table.add_row(*map(escape, cells))
    return table


def _draw_one(device: Device) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for title, text in _describe(device):
        table.add_row(title, escape(text))
    return table


def _to_json(device: Device) -> Json:
    return {
        "name": device.name,
        "also": device.also,
        "note": device.note,
        "chip": device.chip,
        "clusters": [{**cluster.model_dump(), "ghz": cluster.ghz} for cluster in device.soc.clusters],
        "source": device.soc.source,
        "memory": device.memory.model_dump() if device.memory else None,
        "single_thread": {"core": device.first.core, "ghz": device.first.ghz},
        "cores": {core.name: dataclasses.asdict(core) for core in _list_cores(device)},
    }


def _list_cores(device: Device) -> list[Core]:
    return [CORES[name] for name in dict.fromkeys(cluster.core for cluster in device.soc.clusters)]


def _describe(device: Device) -> Iterator[tuple[str, str]]:
    if device.also:
        yield "also", ", ".join(device.also)
    if device.note:
        yield "note", device.note
    yield "chip", device.chip
    for place, cluster in enumerate(device.soc.clusters):
        yield ("" if place else "cores"), _describe_cluster(cluster)
    yield "", f"a single thread runs on the first; source: {device.soc.source}"
    yield "memory", _describe_memory(device.memory)
    if device.memory:
        yield "", f"source: {device.memory.source}"
    for core in _list_cores(device):
        level2 = f"{core.l2_kib} KiB L2 {'shared' if core.l2_shared else 'each'}"
        yield core.name, f"part {core.part:#x}, emulated by QEMU's {core.cpu}; {core.l1d_kib} KiB L1 data, {level2}"
        peak = core.peak_macs
        kinds = {"fp32": peak.fp32, "int8 dot products": peak.int8_dot, "int8 matrix products": peak.int8_matrix}
        rates = ", ".join(f"{kind} {_describe_rate(rate)}" for kind, rate in kinds.items())
        yield "", f"multiply-accumulates a cycle at best: {rates}"
        yield "", f"source: {core.source}"


def _describe_cluster(cluster: Cluster) -> str:
    text = f"{cluster.count} × {cluster.core}, {cluster.ghz:g} GHz"
    if cluster.observed_ghz is None:
        return text
    specified = f"; specified {cluster.spec_ghz:g} GHz" if cluster.spec_ghz is not None else ""
    return f"{text} (observed: {cluster.observed_in}{specified})"


def _describe_memory(memory: Memory | None) -> str:
    if memory is None:
        return "unknown"
    return memory.type if memory.peak_gb_per_s is None else f"{memory.type}, {memory.peak_gb_per_s:g} GB/s"


def _describe_rate(rate: Range | None) -> str:
    if rate is None:
        return "unknown"
    low, high = rate
    if low != high:
        return f"{low:g} to {high:g}"
    return f"{low:g}" if low else "none"
