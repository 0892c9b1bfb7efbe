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


REPEATED = {  # each writes register 0, and reads 0 and 1 or X1
    "fmla": 0x4F801020,  # fmla v0.4s, v1.4s, v0.s[0]
    "dot": 0x4F80E020,  # sdot v0.4s, v1.16b, v0.4b[0]
    "mmla": 0x4E80A420,  # smmla v0.4s, v1.16b, v0.16b
    "mlal": 0x0E208020,  # smlal v0.8h, v1.8b, v0.8b
    "add_long": 0x4E606820,  # sadalp v0.4s, v1.8h
    "mull": 0x0E20C020,  # smull v0.8h, v1.8b, v0.8b
    "mla": 0x4EA09420,  # mla v0.4s, v1.4s, v0.4s
    "shift": 0x4F3D0420,  # sshr v0.4s, v1.4s, #3
    "load_q": 0x3DC00020,  # ldr q0, [x1]
    "load_pair_q": 0xAD401020,  # ldp q0, q4, [x1]
    "store_q": 0x3D800020,  # str q0, [x1]
    "store_pair_q": 0xAD001020,  # stp q0, q4, [x1]
}
LLVM = {
    "cortex-a710": "fmla 6  dot 6  mmla 6  mlal 12  add_long 12  mla 12  shift 12"
    "  load_q 4  load_pair_q 8  store_q 6  store_pair_q 12",
    "cortex-x1": "fmla 3  dot 3  mlal 6  add_long 6  mull 6  mla 6  shift 6  load_q 4  load_pair_q 8  store_q 6",
    "cortex-x2": "fmla 3  dot 3  mmla 3  mlal 6  add_long 6  mull 6  mla 6  shift 6"
    "  load_q 4  load_pair_q 8  store_q 6  store_pair_q 12",
    "cortex-a510": "fmla 6  dot 6  mmla 6  mlal 6  add_long 12  mull 6  mla 6  shift 6"
    "  load_q 6  load_pair_q 12  store_q 12  store_pair_q 12",
}
"""Cycles of 12 that do not wait for each other: llvm-mca 19, -mcpu cortex-a710 (its model is the Neoverse N2's),
neoverse-v1 for the X1, neoverse-v2 for the X2, cortex-a510. Left out where its tables contradict each other."""
CHAINED = {"cortex-x2": "fmla 2  dot 1  mmla 1  mlal 1  add_long 1  mla 1", "cortex-a510": "fmla 4  dot 4  add_long 7"}
"""Cycles until the next can add to the same sum, likewise."""


def parse(figures: str) -> dict[str, int]:
    words = figures.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


@pytest.mark.parametrize("core", LLVM)
def test_throughput_is_that_of_llvms_model(core: str) -> None:
    expected = parse(LLVM[core])
    cycles = {kind: PIPELINES[core].cycles([REPEATED[kind] | k for k in range(16, 28)]) for kind in expected}
    assert cycles == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("core", CHAINED)
def test_sums_are_handed_on_as_in_llvms_model(core: str) -> None:
    expected = parse(CHAINED[core])
    assert {kind: PIPELINES[core].cycles([REPEATED[kind] | 16]) for kind in expected} == pytest.approx(
        expected, abs=0.15
    )


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


def test_every_core_has_a_pipeline() -> None:
    assert set(PIPELINES) == set(CORES)
