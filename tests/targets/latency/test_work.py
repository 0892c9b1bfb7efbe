"""Work of a profile, against sums by hand."""

from __future__ import annotations

import pytest

from compress.targets.answers import Block, Profile, Traffic
from compress.targets.latency.pipeline import Cost, Pipeline
from compress.targets.latency.work import measure_work

ADD = 0x8B050083  # add x3, x4, x5
ONE_A_CYCLE = Pipeline(width=1, window=0, costs={"other": Cost()})


def profile(*blocks: tuple[int, int], traffic: tuple[tuple[int, int], ...] = ((5, 2), (3, 1))) -> Profile:
    """Blocks of so many executions and instructions."""
    return Profile(
        blocks=tuple(Block(executions=times, words=(ADD,) * size) for times, size in blocks),
        traffic=tuple(Traffic(misses=misses, writebacks=writebacks) for misses, writebacks in traffic),
    )


def test_cycles_lines_and_operators() -> None:
    work = measure_work(profile((1000, 10), (10, 100)), ONE_A_CYCLE, operators=7)
    assert work.cycles == pytest.approx(11_000)
    assert work.lines == (7, 4)
    assert work.operators == 7


def test_rare_blocks_are_taken_to_be_like_the_rest() -> None:
    rare = [(1, 1)] * 40  # 40 of 100,040 instructions
    assert measure_work(profile((10_000, 10), *rare), ONE_A_CYCLE, 1).cycles == pytest.approx(100_040)


def test_equal_blocks_at_two_places_both_count() -> None:
    assert measure_work(profile((10, 10), (10, 10)), ONE_A_CYCLE, 1).cycles == pytest.approx(200)


FMLA, SMLAL, SDOT = 0x4E23CC41, 0x0E238041, 0x4FB3E841


def test_a_block_is_of_the_class_that_it_multiplies_in() -> None:
    """That of most of its products, whatever else it does; of none without products."""
    blocks = {"fmla": (FMLA, ADD, ADD), "mlal": (SMLAL, FMLA, SMLAL), "dot": (SDOT,), "other": (ADD, ADD)}
    found = Profile(blocks=tuple(Block(executions=1000, words=words) for words in blocks.values()), traffic=())
    by_class = measure_work(found, ONE_A_CYCLE, 0).by_class
    assert by_class == pytest.approx({"fmla": 3000, "mlal": 3000, "dot": 1000, "other": 2000})


def test_cycles_of_a_layer_are_those_of_its_blocks() -> None:
    blocks = profile((10, 10), (10, 30), (5, 4))
    work = measure_work(blocks, ONE_A_CYCLE, 0, lambda words: "products" if len(words) >= 10 else "other")
    assert work.by_layer == pytest.approx({"products": 400, "other": 20})
    assert measure_work(blocks, ONE_A_CYCLE, 0).by_layer == {}
