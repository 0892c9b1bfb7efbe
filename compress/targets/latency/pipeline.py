"""How many cycles a core needs for a block of instructions that it repeats, all data in the first cache.

A scoreboard: `width` instructions a cycle are dispatched in order; each starts when its operands are there and a unit
of its kind is free, on a core that is in order never before an earlier one. The block runs until its period is steady.
Branches are predicted, addresses never conflict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from compress.targets.latency.decode import Instruction, decode

INSTRUCTIONS = 240
"""That are run through, at least, before and while the period is measured."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One kind of instruction on one core, in cycles.

    units: it may use any one of these; with none, it uses nothing.
    busy: for so long it keeps its unit.
    latency: until its result can be read.
    chained: until the next of its kind can go on accumulating; None: `latency`.
    slots: how many places it takes of the core's `width`.
    alone: an in-order core starts nothing else in its cycles.
    """

    units: tuple[str, ...] = ()
    busy: int = 1
    latency: int = 1
    chained: int | None = None
    slots: int = 1
    alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A core, as far as its blocks' cycles need it.

    width: instructions per cycle.
    window: unfinished instructions among which it finds one to start; 0 for a core that starts all in order.
    costs: by kind; a kind without an entry costs what `other` does.
    """

    width: int
    window: int
    costs: Mapping[str, Cost]

    def cycles(self, words: Sequence[int]) -> float:
        """Cycles of one pass through a block that repeats itself."""
        block = [decode(word) for word in words]
        passes = -(-INSTRUCTIONS // len(block))
        run = _Run(self)
        run.go(block, passes)
        before = run.now
        run.go(block, passes)
        return (run.now - before) / passes


@dataclass
class _Run:
    core: Pipeline
    slot: int = 0
    started: int = 0
    retired: list[int] = field(default_factory=list)
    ready: dict[int, int] = field(default_factory=dict)
    chains: dict[int, tuple[str, int]] = field(default_factory=dict)
    busy: dict[str, set[int]] = field(default_factory=dict)

    @property
    def now(self) -> int:
        """When all that has been dispatched is done."""
        return self.retired[-1]

    def go(self, block: Sequence[Instruction], passes: int) -> None:
        for _ in range(passes):
            for instruction in block:
                self._start(instruction, self.core.costs.get(instruction.kind) or self.core.costs["other"])

    def _start(self, instruction: Instruction, cost: Cost) -> None:
        if cost.alone:
            self.slot = -(-self.slot // self.core.width) * self.core.width  # nothing before it in its cycle
        cycle = self._find(self._operands(instruction), cost)
        if not self.core.window:
            self.started = cycle
            self.slot = max(self.slot, cycle * self.core.width)
        self.slot += cost.slots
        if cost.alone:
            self.slot = max(self.slot, (cycle + cost.busy) * self.core.width)
        for register in instruction.writes:
            self.ready[register] = cycle + cost.latency
            self.chains.pop(register, None)
        for register in instruction.updates:
            self.ready[register] = cycle + 1
        if (sum_ := instruction.accumulates) is not None:
            self.chains[sum_] = (instruction.kind, cycle + (cost.latency if cost.chained is None else cost.chained))
        self.retired.append(max(self.retired[-1] if self.retired else 0, cycle + cost.latency))

    def _operands(self, instruction: Instruction) -> int:
        """The first cycle at which it is dispatched, in order and has what it reads."""
        cycle = self.slot // self.core.width
        if not self.core.window:
            cycle = max(cycle, self.started)
        elif len(self.retired) >= self.core.window:
            cycle = max(cycle, self.retired[-self.core.window])
        for register in instruction.reads:
            cycle = max(cycle, self.ready.get(register, 0))
        if instruction.accumulates is not None:
            kind, chained = self.chains.get(instruction.accumulates, ("", 0))
            cycle = max(cycle, chained if kind == instruction.kind else self.ready.get(instruction.accumulates, 0))
        return cycle

    def _find(self, cycle: int, cost: Cost) -> int:
        """The first cycle from there on at which a unit is free; it is taken."""
        if not cost.units:
            return cycle
        while True:
            for unit in cost.units:
                taken = self.busy.setdefault(unit, set())
                wanted = range(cycle, cycle + cost.busy)
                if taken.isdisjoint(wanted):
                    taken.update(wanted)
                    return cycle
            cycle += 1
