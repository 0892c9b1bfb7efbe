"""What every script here shares: trials that are kept, seeds, means, tables, JSON.

A trial is one training (or a few that belong together) with its settings; its figures are kept (keeping.py). `--quick`
shrinks every trial until the whole script takes seconds: its figures mean nothing, it shows that the script runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from compress.distill import choose_device

sys.path.append(str(Path(__file__).parents[1]))
from keeping import keep

Figures = dict[str, Any]
RESULTS = Path(__file__).parents[1] / "results" / "distillation"


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    quick: bool
    seeds: tuple[int, ...]
    output: Path


def read_options(description: str, name: str, seeds: int = 3) -> Options:
    """Parse `--quick`, `--seeds` and `--output`.

    Args:
        description: of the script, for its help.
        name: of the script: what its JSON is called.
        seeds: how many, unless the command line says otherwise.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="seconds instead of hours; the figures mean nothing")
    parser.add_argument("--seeds", type=int, default=seeds, help=f"how many (default {seeds})")
    parser.add_argument("--output", type=Path, help="JSON to write (default: results/distillation/, or none if quick)")
    given = parser.parse_args()
    output = given.output or (RESULTS / f"{name}.json" if not given.quick else Path(os.devnull))
    return Options(quick=given.quick, seeds=tuple(range(1 if given.quick else given.seeds)), output=output)


class Trials:
    """The kept trials of one script."""

    def __init__(self, name: str, options: Options) -> None:
        self._name, self._options = name, options
        self.records: list[Figures] = []

    def run(self, settings: Figures, measure: Callable[[Path], Figures]) -> Figures:
        """A trial's figures: kept ones, or measured now.

        Args:
            settings: all that the figures depend on, the seed too; JSON-able.
            measure: makes the figures; it is given a folder for checkpoints that outlives an interruption.
        """
        settings = {**settings, "quick": self._options.quick}

        def measure_now(work: Path) -> Figures:
            started = time.perf_counter()
            figures = measure(work)
            figures.setdefault("seconds", time.perf_counter() - started)
            print(f"  {settings} -> {figures}", flush=True)
            return figures

        figures = keep(
            self._name,
            {**settings, "device": repr(choose_device())},
            measure_now,
            code=("compress.distill", "compress.tasks"),  # and the networks that the script imports
            libraries=("torch", "numpy", "scikit-learn"),
        )
        self.records.append({"settings": settings, "figures": figures})
        return figures

    def write(self, summary: Figures) -> None:
        """Leave a JSON file with the summary, every trial, and the machine."""
        content = {
            "benchmark": self._name,
            "summary": summary,
            "trials": self.records,
            "machine": {
                "processor": platform.machine(),
                "cpus": os.cpu_count(),
                "device": repr(choose_device()),
                "torch": version("torch"),
                "threads": torch.get_num_threads(),
            },
        }
        if self._options.output != Path(os.devnull):
            self._options.output.parent.mkdir(parents=True, exist_ok=True)
        self._options.output.write_text(json.dumps(content, indent=1) + "\n")


def mean_sd(values: Sequence[float], digits: int = 2, scale: float = 1.0) -> str:
    """`12.34 ± 0.56`: mean and standard deviation of the sample; the mean alone for one value."""
    scaled = [value * scale for value in values]
    mean = f"{statistics.mean(scaled):.{digits}f}"
    return f"{mean} ± {statistics.stdev(scaled):.{digits}f}" if len(scaled) > 1 else mean


def gap_recovered(alone: float, distilled: float, teacher: float) -> float:
    """(distilled - alone) / (teacher - alone): 1 where the student is as good as its teacher (Bucila et al. 2006)."""
    return (distilled - alone) / (teacher - alone)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table in columns, the first left and the others right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    print(f"\n{title}")
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
