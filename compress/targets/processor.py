"""What a processor's cores are called, from the part numbers that /proc/cpuinfo of ARM64 shows."""

from __future__ import annotations

from collections.abc import Mapping

from compress.targets.cores import CORES, Core


def name_cores(parts: Mapping[str, int]) -> str:
    """`cortex-a55 × 4, cortex-a76 × 4`; empty without a part.

    Args:
        parts: part number as written (`0xd05`) -> how many cores show it.
    """
    return ", ".join(f"{_NAMES.get(part.lower(), f'CPU part {part}')} × {count}" for part, count in parts.items())


def name_core(core: Core) -> str:
    """What a processor with such a core is said to have: revisions share a part number."""
    return _NAMES[f"{core.part:#x}"]


_NAMES = {f"{core.part:#x}": core.name for core in CORES.values()}
