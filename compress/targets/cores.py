"""The ARM64 cores that can be emulated, read from cores.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

CORES_FILE = Path(__file__).with_name("cores.yaml")


@dataclass(frozen=True, kw_only=True)
class Core:
    """One kind of ARM64 core.

    cpu: QEMU's name of the processor that stands in for it.
    part: its part number, as /proc/cpuinfo shows it.
    features: every feature that /proc/cpuinfo lists.
    l2_kib: its second-level cache, in KiB; `l2_shared` by the cores of a cluster, or one each.
    """

    name: str
    cpu: str
    part: int
    features: tuple[str, ...]
    l2_kib: int
    l2_shared: bool
    source: str


def _load() -> dict[str, Core]:
    content = yaml.safe_load(CORES_FILE.read_text(encoding="utf-8"))
    base = content["base_features"]
    return {
        name: Core(name=name, **{**core, "features": (*base, *core["features"])})
        for name, core in content["cores"].items()
    }


CORES: Mapping[str, Core] = _load()


def core_names() -> tuple[str, ...]:
    """Every core that `open_session` and a recipe can name."""
    return tuple(CORES)
