"""Where the threads of an inference run: how many cores of which kind, how fast, before which memory."""

from __future__ import annotations

from dataclasses import dataclass

from compress.errors import RecipeError
from compress.targets.devices import Device


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What an inference has for itself.

    core: the kind that all its threads run on.
    ghz: the clock of each thread's core, the fastest first.
    gb_per_s: what the memory moves at best; None where nobody says.
    """

    core: str
    ghz: tuple[float, ...]
    gb_per_s: float | None


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
    memory = device.memory.peak_gb_per_s if device.memory else None
    return Placement(core=core, ghz=tuple(sorted(ghz, reverse=True)[:threads]), gb_per_s=memory)
