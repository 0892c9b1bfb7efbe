"""What one inference asks of a core, before it meets a clock and a memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from compress.targets.answers import Block, Profile
from compress.targets.latency.pipeline import Pipeline

COVERED = 0.995
"""Share of the instructions whose blocks are scheduled; the rest, in thousands of blocks, is taken to be like them."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one inference asks of a core.

    cycles: of its instructions, all data in the first cache.
    lines: of 64 bytes, that pass below each level of cache, the first level first; the last go to memory.
    operators: that the runtime runs one after the other.
    """

    cycles: float
    lines: tuple[int, ...]
    operators: int


def measure_work(profile: Profile, pipeline: Pipeline, operators: int) -> Work:
    """Schedule what was executed on a core's pipeline.

    Args:
        profile: of one inference on the core, emulated.
        pipeline: the core's.
        operators: of the model file.
    """
    lines = tuple(level.misses + level.writebacks for level in profile.traffic)
    return Work(cycles=_schedule(profile.blocks, pipeline), lines=lines, operators=operators)


def _schedule(blocks: tuple[Block, ...], pipeline: Pipeline) -> float:
    executions = Counter[tuple[int, ...]]()
    for block in blocks:
        executions[block.words] += block.executions
    instructions = {words: times * len(words) for words, times in executions.items()}
    total, covered, cycles = sum(instructions.values()), 0, 0.0
    for words in sorted(instructions, key=instructions.__getitem__, reverse=True):
        if covered >= COVERED * total:
            break
        covered += instructions[words]
        cycles += executions[words] * pipeline.cycles(words)
    return cycles * total / covered
