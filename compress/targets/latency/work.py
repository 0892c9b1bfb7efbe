"""What one inference asks of a core, before it meets a clock and a memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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
    by_layer: the same cycles, by type of layer; empty where nobody can tell.
    """

    by_class: Mapping[str, float]
    lines: tuple[int, ...]
    operators: int
    by_layer: Mapping[str, float] = field(default_factory=dict)

    @property
    def cycles(self) -> float:
        """Of all classes."""
        return sum(self.by_class.values())


def measure_work(
    profile: Profile,
    pipeline: Pipeline,
    operators: int,
    tell_layer: Callable[[Sequence[int]], str] | None = None,
) -> Work:
    """Schedule what was executed on a core's pipeline.

    Args:
        profile: of one inference on the core, emulated.
        pipeline: the core's.
        operators: of the model file.
        tell_layer: the type of layer that a block's instructions are for, where somebody knows.
    """
    lines = tuple(level.misses + level.writebacks for level in profile.traffic)
    cycles = _schedule(profile.blocks, pipeline)
    return Work(
        by_class=_add_up(cycles, _classify, CLASSES),
        lines=lines,
        operators=operators,
        by_layer=_add_up(cycles, tell_layer) if tell_layer else {},
    )


def _schedule(blocks: tuple[Block, ...], pipeline: Pipeline) -> dict[tuple[int, ...], float]:
    """Cycles by the instructions of a block; the rarest blocks' are shared out among the others."""
    executions = Counter[tuple[int, ...]]()
    for block in blocks:
        executions[block.words] += block.executions
    instructions = {words: times * len(words) for words, times in executions.items()}
    total, covered = sum(instructions.values()), 0
    cycles: dict[tuple[int, ...], float] = {}
    for words in sorted(instructions, key=instructions.__getitem__, reverse=True):
        if covered >= COVERED * total:
            break
        covered += instructions[words]
        cycles[words] = executions[words] * pipeline.cycles(words)
    return {words: spent * total / covered for words, spent in cycles.items()}


def _add_up(
    cycles: Mapping[tuple[int, ...], float], name: Callable[[Sequence[int]], str], order: Sequence[str] = ()
) -> dict[str, float]:
    sums = dict.fromkeys(order, 0.0)
    for words, spent in cycles.items():
        kind = name(words)
        sums[kind] = sums.get(kind, 0.0) + spent
    return {kind: spent for kind, spent in sums.items() if spent}


def _classify(words: Sequence[int]) -> str:
    """The multiply-accumulate that a block has most of."""
    kinds = (decode(word).kind for word in words)
    found = Counter(_MULTIPLIES[kind] for kind in kinds if kind in _MULTIPLIES)
    return found.most_common(1)[0][0] if found else OTHER
