"""Data processing on general registers, and branches (DDI 0487, sections C4.1: Immediate, Register, Branches)."""

from __future__ import annotations

from compress.targets.latency.decode.fields import FLAGS, Instruction, bits, fields, xs


def decode_immediate(word: int) -> Instruction:
    d, n, _, _ = fields(word)
    section = bits(word, 25, 23)
    if section in (0, 1):  # ADR, ADRP
        return Instruction("alu", (), xs(d))
    if section == 5:  # MOVZ MOVN write, MOVK changes
        return Instruction("alu", xs(d) if bits(word, 30, 29) == 3 else (), xs(d))
    sets_flags = bits(word, 29, 29) if section in (2, 3) else section == 4 and bits(word, 30, 29) == 3
    reads = xs(n, *([d] if section == 6 and bits(word, 30, 29) == 1 else []))  # BFM changes
    return Instruction("alu", reads, (*xs(d), *([FLAGS] if sets_flags else [])))


def decode_register(word: int) -> Instruction:
    d, n, m, a = fields(word)
    top = bits(word, 28, 21)
    if top >> 4 == 0xB or (top & 0xF8) == 0xD8:  # three sources: MADD, SMADDL, UMULH ...
        return Instruction("multiply", xs(n, m, a), xs(d))
    if top == 0xD6:  # one or two sources
        divides = not bits(word, 30, 30) and bits(word, 15, 11) == 1
        return Instruction("divide" if divides else "alu", xs(n, *([] if bits(word, 30, 30) else [m])), xs(d))
    flags = (FLAGS,)
    if top == 0xD2:  # conditional compare, with a register or a number
        return Instruction("alu", (*xs(n, *([] if bits(word, 11, 11) else [m])), *flags), flags)
    if top == 0xD4:  # conditional select
        return Instruction("alu", (*xs(n, m), *flags), xs(d))
    arithmetic = bits(word, 28, 24) == 0xB
    sets_flags = bits(word, 29, 29) if arithmetic else bits(word, 30, 29) == 3
    shifted = bool(bits(word, 15, 10)) and top != 0xD0
    writes = (*xs(d), *(flags if sets_flags else ()))
    return Instruction("alu_shift" if shifted else "alu", xs(n, m), writes)


def decode_branch(word: int) -> Instruction:
    if word >> 24 == 0x54:  # B.cond
        return Instruction("branch", (FLAGS,), ())
    if bits(word, 30, 26) == 0x0D or bits(word, 30, 25) in (0x1A, 0x1B):  # CBZ CBNZ TBZ TBNZ
        return Instruction("branch", xs(bits(word, 4, 0)), ())
    if word >> 25 == 0x6B:  # BR BLR RET
        return Instruction("branch", xs(bits(word, 9, 5)), ())
    return Instruction("branch", (), ())
