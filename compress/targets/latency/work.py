"""What one inference asks of a core, before it meets a clock and a memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compress.targets.answers import Block, Profile
from compress.targets.latency.decode import decode
from compress.targets.latency.pipeline import Pipeline

COVERED = 0.995
"""Share of the instructions whose blocks are scheduled; the rest, in thousands of blocks, is taken to be like them."""

WIDENING, OTHER = "mlal", "other"
_MULTIPLIES = {
    **dict.fromkeys(("fmla", "fmla_d", "fmla_scalar"), "fmla"),
    **dict.fromkeys(("mlal", "mull"), WIDENING),
    "dot": "dot",
    "mmla": "mmla",
}
CLASSES = (*dict.fromkeys(_MULTIPLIES.values()), OTHER)
"""Of blocks, by the multiply-accumulates that they are for: float; int8 widening, as dot or matrix products; none."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one inference asks of a core.

    by_class: cycles of its instructions, all data in the first cache, by class of their block.
    lines: of 64 bytes, that pass below each level of cache, the first level first; the last go to memory.
    operators: that the runtime runs one after the other.
    """

    by_class: Mapping[str, float]
    lines: tuple[int, ...]
    operators: int

    @property
    def cycles(self) -> float:
        """Of all classes."""
        return sum(self.by_class.values())


def measure_work(profile: Profile, pipeline: Pipeline, operators: int) -> Work:
    """Schedule what was executed on a core's pipeline.

    Args:
        profile: of one inference on the core, emulated.
        pipeline: the core's.
        operators: of the model file.
    """
    lines = tuple(level.misses + level.writebacks for level in profile.traffic)
    return Work(by_class=_schedule(profile.blocks, pipeline), lines=lines, operators=operators)


def _schedule(blocks: tuple[Block, ...], pipeline: Pipeline) -> dict[str, float]:
    executions = Counter[tuple[int, ...]]()
    for block in blocks:
        executions[block.words] += block.executions
    instructions = {words: times * len(words) for words, times in executions.items()}
    total, covered = sum(instructions.values()), 0
    cycles = dict.fromkeys(CLASSES, 0.0)
    for words in sorted(instructions, key=instructions.__getitem__, reverse=True):
        if covered >= COVERED * total:
            break
        covered += instructions[words]
        cycles[_classify(words)] += executions[words] * pipeline.cycles(words)
    return {name: spent * total / covered for name, spent in cycles.items() if spent}


def _classify(words: Sequence[int]) -> str:
    """The multiply-accumulate that a block has most of."""
    kinds = (decode(word).kind for word in words)
    found = Counter(_MULTIPLIES[kind] for kind in kinds if kind in _MULTIPLIES)
    return found.most_common(1)[0][0] if found else OTHER
