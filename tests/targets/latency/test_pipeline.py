"""Cycles of short blocks, against what a reader of a core's tables counts by hand."""

from __future__ import annotations

import pytest

from compress.targets.cores import CORES
from compress.targets.latency.pipeline import Cost, Pipeline
from compress.targets.latency.pipelines import PIPELINES

FMLA_BY_0 = 0x4F801000  # fmla v0.4s, v0.4s, v0.s[0]
LOAD = 0x3DC00000  # ldr q0, [x0]
ADD = 0x8B050083  # add x3, x4, x5
ADD_TO_ITSELF = 0x8B030063  # add x3, x3, x3


def fmla(accumulator: int, left: int = 30, right: int = 8) -> int:
    return FMLA_BY_0 | right << 16 | left << 5 | accumulator


def load(register: int) -> int:
    return LOAD | register


CASES = [
    # name, core, block, cycles
    ("four additions on three integer units", "cortex-a76", [ADD] * 12, 4),
    ("a chain of additions", "cortex-a76", [ADD_TO_ITSELF], 1),
    ("16 sums on two units", "cortex-a76", [fmla(k) for k in range(16, 30)], 7),
    ("one sum, handed on after 2 cycles", "cortex-a76", [fmla(16)], 2),
    ("16 sums on one unit", "cortex-a72", [fmla(k) for k in range(16, 30)], 14),
    ("one sum, handed on after 3 cycles", "cortex-a72", [fmla(16)], 3),
    ("loads on two units", "cortex-a76", [load(k) for k in range(8)], 4),
    ("loads on one unit", "cortex-a72", [load(k) for k in range(8)], 8),
    (
        "loads beside sums, out of order",
        "cortex-a76",
        [load(k) for k in range(4)] + [fmla(k) for k in (16, 17, 18, 19)],
        2,
    ),
    ("a wide load stops a Cortex-A53 for 2 cycles", "cortex-a53", [load(0), *(fmla(k) for k in range(16, 26))], 12),
    ("one sum waits for the last", "cortex-a53", [fmla(16)], 8),
    ("an addition beside each sum", "cortex-a53", [word for k in range(16, 26) for word in (fmla(k), ADD)], 10),
]


@pytest.mark.parametrize(("core", "block", "cycles"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_cycles_of_a_block_that_repeats(core: str, block: list[int], cycles: float) -> None:
    assert PIPELINES[core].cycles(block) == pytest.approx(cycles, abs=0.15)


def test_a_small_window_cannot_look_past_a_slow_instruction() -> None:
    """A load of 20 cycles feeds a sum; 8 additions follow. A window of 4 waits, one of 64 overlaps the loads."""
    costs = {
        "load_q": Cost(units=("L",), latency=20),
        "fmla": Cost(units=("V",), latency=4),
        "other": Cost(units=("I0", "I1")),
    }
    block = [load(8), fmla(16, left=8), *[ADD] * 8]
    narrow, wide = (Pipeline(width=2, window=window, costs=costs).cycles(block) for window in (4, 64))
    assert wide == pytest.approx(5, abs=0.3)
    assert narrow > 20


def test_every_pipeline_is_a_cores() -> None:
    assert set(PIPELINES) <= set(CORES)
