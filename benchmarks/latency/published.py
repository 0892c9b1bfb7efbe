"""Published latencies, as the CSV files have them: every row with its source, or with why it is left out."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from compress.targets.cores import CORES
from compress.targets.devices import load_devices
from compress.targets.latency.placement import Placement

FILE = Path(__file__).with_name("published.csv")
OTHERS = Path(__file__).with_name("other_runtimes.csv")
"""Of runtimes with kernels of their own: not for milliseconds, but for the ratio of two phones."""
RUNTIME = "litert"
"""XNNPACK's own benchmarks, whose kernels LiteRT runs."""
GB_PER_S = {"Redmi 9": 14.4}
"""Of devices that devices.yaml lacks. Helio G80: LPDDR4X at 1800 MHz, 2 x 16 bits (MediaTek's product page)."""
UNNAMED_GB_PER_S = 14.9
"""Where the device is not named: LPDDR4X at 1866 MHz, 2 x 16 bits, as chips of the middle class have."""


@dataclass(frozen=True, kw_only=True)
class Ruler:
    """A network that somebody has timed: its name, its image's size, its width, and how its numbers are stored."""

    network: str
    resolution: int
    width: float
    scheme: str

    @property
    def family(self) -> str:
        """Networks that resemble each other: left out together."""
        return "_".join(self.network.split("_")[:2])

    def __str__(self) -> str:
        return f"{self.network}-{self.width:g}-{self.resolution}-{self.scheme}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One published figure.

    device: empty where the source does not say.
    """

    source: str
    ruler: Ruler
    device: str
    core: str
    ghz: float
    threads: int
    latency_ms: float

    @property
    def place(self) -> tuple[str, str, int]:
        """Rows of one place can be compared with each other."""
        return self.device or f"a {self.core} at {self.ghz:g} GHz", self.core, self.threads

    @property
    def chip(self) -> str:
        """Rows of one chip are not independent, in whatever phone it is."""
        device = load_devices().get(self.device)
        return device.chip if device else self.place[0]

    @cached_property
    def placement(self) -> Placement:
        """For the model; of the device the bandwidth of its memory alone, the clock is the source's."""
        device = load_devices().get(self.device)
        memory = device.memory.peak_gb_per_s if device and device.memory else None
        return Placement(
            core=self.core,
            ghz=(self.ghz,) * self.threads,
            shared_cache_kib=device.shared_cache_kib if device else CORES[self.core].shared_cache_kib,
            gb_per_s=memory or GB_PER_S.get(self.device, UNNAMED_GB_PER_S),
        )


def read_published(path: Path = FILE) -> tuple[list[Row], dict[str, int]]:
    """The rows that count, and how many do not, by the reason."""
    rows: list[Row] = []
    excluded: dict[str, int] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for written in csv.DictReader(file):
            if why := written["excluded"]:
                excluded[why] = excluded.get(why, 0) + 1
            else:
                rows.append(_read(written))
    return rows, excluded


def _read(written: dict[str, str]) -> Row:
    ruler = Ruler(
        network=written["network"],
        resolution=int(written["resolution"]),
        width=float(written["width"]),
        scheme={"fp32": "float32", "int8": "static_int8"}[written["dtype"]],
    )
    return Row(
        source=written["source"],
        ruler=ruler,
        device=written["device"],
        core=written["core"],
        ghz=float(written["ghz"]),
        threads=int(written["threads"]),
        latency_ms=float(written["latency_ms"]),
    )
