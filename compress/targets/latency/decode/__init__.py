"""What A64 instructions do to a pipeline: their kinds, and the registers that they read and write.

Encodings: Arm Architecture Reference Manual for A-profile (DDI 0487), chapter C4. Kinds are as fine as the optimisation
guides' tables of latency and throughput need them; what is rare in kernels falls into the kind of its section.
"""

from __future__ import annotations

from functools import cache

from compress.targets.latency.decode.fields import Instruction
from compress.targets.latency.decode.integer import decode_branch, decode_immediate, decode_register
from compress.targets.latency.decode.memory import decode_memory
from compress.targets.latency.decode.vectors import decode_vector

__all__ = ["Instruction", "decode"]


@cache
def decode(word: int) -> Instruction:
    """The instruction of a 32-bit word; of the kind `other` if it is none of those that matter."""
    group = word >> 25 & 15
    if group & 7 == 7:
        return decode_vector(word)
    if group & 5 == 4:
        return decode_memory(word)
    if group & 14 == 8:
        return decode_immediate(word)
    if group & 7 == 5:
        return decode_register(word)
    if group & 14 == 10 and word >> 25 != 0x6A:
        return decode_branch(word)
    return Instruction("other", (), ())
