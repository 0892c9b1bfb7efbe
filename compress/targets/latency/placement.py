"""Where the threads of an inference run: how many cores of which kind, how fast, before which memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from compress.errors import RecipeError
from compress.targets.device_file import Memory
from compress.targets.devices import Device, load_devices


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What an inference has for itself.

    core: the kind that all its threads run on.
    ghz: the clock of each thread's core, the fastest first.
    shared_cache_kib: behind the second level.
    gb_per_s: what the memory moves at best.
    gb_per_s_range: where nobody says; `gb_per_s` is then in the middle of it.
    """

    core: str
    ghz: tuple[float, ...]
    shared_cache_kib: int
    gb_per_s: float
    gb_per_s_range: tuple[float, float] | None = None


def place_threads(device: Device, threads: int) -> Placement:
    """The fastest alike cores of a phone or board, one for each thread.

    Raises:
        RecipeError: it has fewer.
    """
    core = device.first.core
    ghz = [cluster.ghz for cluster in device.soc.clusters if cluster.core == core for _ in range(cluster.count)]
    if threads > len(ghz):
        raise RecipeError(
            f"{device.name}: {threads} threads on {len(ghz)} × {core}, its fast cores; a prediction expects a core for"
            f" each thread and all alike; set threads to {len(ghz)} or less"
        )
    known = device.memory.peak_gb_per_s if device.memory else None
    low, high = (known, known) if known else _find_bandwidths(device.memory)
    return Placement(
        core=core,
        ghz=tuple(sorted(ghz, reverse=True)[:threads]),
        shared_cache_kib=device.shared_cache_kib,
        gb_per_s=known or math.sqrt(low * high),
        gb_per_s_range=None if known else (low, high),
    )


def _find_bandwidths(memory: Memory | None) -> tuple[float, float]:
    """The least and the most of the devices that ship: of those with such memory, or of all."""
    known = [each.memory for each in load_devices().values() if each.memory and each.memory.peak_gb_per_s]
    alike = [each for each in known if memory and each.type == memory.type] or known
    bandwidths = [each.peak_gb_per_s for each in alike if each.peak_gb_per_s]
    return min(bandwidths), max(bandwidths)
