"""LiteRT's own program `benchmark_model`: the file, how it is called, and of what it prints what it documents.

- Google links builds of it (WHERE_TO_GET); it can be built from LiteRT's sources too.
- It keeps no single durations: of the inferences of one run it tells count, first, least, most, mean and deviation.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from compress.errors import ToolError

TOOL = "benchmark_model"
WHERE_TO_GET = (
    "LiteRT's page on measuring performance (ai.google.dev/edge/litert/models/measurement) links builds of it"
)
ELF = b"\x7fELF"
NUMBER = r"([0-9.]+(?:e[+-]?[0-9]+)?|-?nan)"
STATISTICS = re.compile(
    rf"count=(\d+)(?: first={NUMBER})? curr={NUMBER}(?: min={NUMBER} max={NUMBER} avg={NUMBER} std={NUMBER})?"
)
TIMINGS = re.compile(
    rf"Inference timings in us: Init: {NUMBER}, First inference: {NUMBER}, Warmup \(avg\): {NUMBER}, "
    rf"Inference \(avg\): {NUMBER}"
)
MEMORY = re.compile(rf"Memory footprint delta from the start of the tool \(MB\): init={NUMBER} overall={NUMBER}")


@dataclass(frozen=True, kw_only=True)
class ToolRun:
    """One run of the program on one model; times in milliseconds.

    inferences: timed, after the warm-up.
    init_ms: opening the model.
    least_ms, most_ms, mean_ms, std_ms: of the inferences.
    memory_mb: what the process has grown by; None where the system does not tell.
    """

    inferences: int
    init_ms: float
    least_ms: float
    most_ms: float
    mean_ms: float
    std_ms: float
    memory_mb: float | None


def hash_tool(name: str, path: Path) -> str:
    """The first 12 digits of the sha256 of the program for the device of a name.

    Raises:
        ToolError: there is no such file, or it is no program.
    """
    fault = None
    try:
        content = path.read_bytes()
        if not content.startswith(ELF):
            fault = "is no program for Android"
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
    if fault:
        raise ToolError(f"{name}: {path} {fault}, expected LiteRT's {TOOL} for the phone's processor; {WHERE_TO_GET}")
    return hashlib.sha256(content).hexdigest()[:12]


def list_flags(*, graph: str, threads: int, warmup: int, inferences: int, most_s: int) -> list[str]:
    """Exactly so many inferences, however short they are; XNNPACK as the worker has it."""
    return [
        f"--graph={graph}",
        f"--num_threads={threads}",
        f"--warmup_runs={warmup}",
        "--warmup_min_secs=0",
        f"--num_runs={inferences}",
        "--min_secs=0",
        f"--max_secs={most_s}",
        "--use_xnnpack=true",
    ]


def parse_output(text: str) -> ToolRun:
    """What the program printed.

    Raises:
        ValueError: the statistics or the timings are not there, or not finite, or speak of nothing.
    """
    statistics = STATISTICS.findall(text)
    timings, memory = TIMINGS.search(text), MEMORY.search(text)
    if not statistics or timings is None:
        raise ValueError("no line `count=... avg=...`, or none `Inference timings in us: ...`")
    count, _, current, least, most, mean, std = statistics[-1]  # those of the warm-up come before
    if not mean:  # all of one duration, one inference for instance: the program then tells that duration alone
        least, most, mean, std = current, current, current, "0"
    in_us = [float(number) for number in (timings[1], least, most, mean, std)]
    if not all(0 <= us < float("inf") for us in in_us) or not in_us[3]:
        raise ValueError(f"timings of {mean} us on average are none")
    init, low, high, average, deviation = (us / 1e3 for us in in_us)
    return ToolRun(
        inferences=int(count),
        init_ms=init,
        least_ms=low,
        most_ms=high,
        mean_ms=average,
        std_ms=deviation,
        memory_mb=float(memory[2]) if memory else None,
    )
