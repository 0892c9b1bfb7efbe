"""The registers and fields of an A64 instruction word."""

from __future__ import annotations

from dataclasses import dataclass

ZERO = 31
FLAGS = 64
"""Registers are numbered: 0 to 30 general (31, zero or the stack, is left out), 32 to 63 vector, 64 the flags."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """What one instruction does to a pipeline.

    kind: row of a core's table, e.g. `fmla`, `load_q`.
    reads, writes: register numbers.
    accumulates: register that it adds to: cores pass such sums on to the next of its kind sooner than other results.
    updates: base registers that it moves on; the address is there long before the data.
    """

    kind: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    accumulates: int | None = None
    updates: tuple[int, ...] = ()


def bits(word: int, high: int, low: int) -> int:
    """Bits high to low of a word, as a number."""
    return word >> low & (1 << high - low + 1) - 1


def fields(word: int) -> tuple[int, int, int, int]:
    """Rd, Rn, Rm and Ra, where most instructions have them."""
    return bits(word, 4, 0), bits(word, 9, 5), bits(word, 20, 16), bits(word, 14, 10)


def xs(*registers: int) -> tuple[int, ...]:
    """Numbers of X registers."""
    return tuple(register for register in registers if register != ZERO)


def vs(*registers: int) -> tuple[int, ...]:
    """Numbers of V registers."""
    return tuple(register + 32 for register in registers)
