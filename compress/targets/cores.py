"""The ARM64 cores of phones and boards, each of which can be emulated, read from cores.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from compress.types import Json

CORES_FILE = Path(__file__).with_name("cores.yaml")

Range = tuple[float, float]
"""Lowest and highest; twice the same where sources agree."""


@dataclass(frozen=True, kw_only=True)
class PeakMacs:
    """Multiply-accumulates a cycle at best; (0, 0) where the core lacks the instruction, None where nobody says.

    fp32: FMLA on 32-bit floats.
    int8_dot: dot products (feature `asimddp`).
    int8_matrix: matrix products (feature `i8mm`).
    """

    fp32: Range | None
    int8_dot: Range | None
    int8_matrix: Range | None


@dataclass(frozen=True, kw_only=True)
class Core:
    """One kind of ARM64 core.

    cpu: QEMU's name of the processor that stands in for it.
    part, variant: its part number and major revision, as /proc/cpuinfo shows them.
    features: every feature that /proc/cpuinfo lists.
    l1d_kib, l2_kib, l3_kib: its caches, in KiB, 0 for none; the second is `l2_shared` by the cores of a cluster, or
        one each, the third is the cluster's.
    system_kib: the chip's cache behind them, which all its parts share; of those chips that the core is most often in.
    """

    name: str
    cpu: str
    part: int
    variant: int
    features: tuple[str, ...]
    l1d_kib: int
    l2_kib: int
    l2_shared: bool
    l3_kib: int
    system_kib: int = 0
    peak_macs: PeakMacs
    source: str

    @property
    def shared_cache_kib(self) -> int:
        """All that is cached behind the second level, unless a chip has another."""
        return self.l3_kib + self.system_kib


def _load() -> dict[str, Core]:
    content = yaml.safe_load(CORES_FILE.read_text(encoding="utf-8"))
    return {name: _read(name, core, content["base_features"]) for name, core in content["cores"].items()}


def _read(name: str, written: Mapping[str, Json], base_features: list[str]) -> Core:
    rest = {
        **written,
        "features": (*base_features, *written["features"]),
        "peak_macs": PeakMacs(**{kind: _read_range(rate) for kind, rate in written["peak_macs"].items()}),
    }
    return Core(name=name, **rest)


def _read_range(written: Json) -> Range | None:
    if written is None:
        return None
    low, high = written if isinstance(written, list) else (written, written)
    return (low, high)


CORES: Mapping[str, Core] = _load()


def core_names() -> tuple[str, ...]:
    """Every core that `open_session` and a recipe can name."""
    return tuple(CORES)
