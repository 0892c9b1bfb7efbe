"""Scalar floating point and Advanced SIMD (DDI 0487, section C4.1: Scalar Floating-Point and Advanced SIMD)."""

from __future__ import annotations

from compress.targets.latency.decode.fields import FLAGS, Instruction, bits, fields, vs, xs


def decode_vector(word: int) -> Instruction:
    d, n, m, a = fields(word)
    if word & 0x5F000000 == 0x1F000000:  # FMADD ...
        return Instruction("fmla_scalar", vs(n, m, a), vs(d))
    if word & 0x5F200000 == 0x1E200000:
        return _decode_scalar_float(word)
    word &= ~(1 << 28)  # Advanced SIMD on scalars is encoded like that on vectors
    for mask, value, decode_section in _SECTIONS:
        if word & mask == value:
            return decode_section(word)
    return Instruction("vector_alu", vs(n, m), vs(d))


def _decode_scalar_float(word: int) -> Instruction:
    d, n, m, _ = fields(word)
    if not bits(word, 15, 10):  # between general and vector registers
        to_general = bits(word, 18, 16) in (0, 1, 4, 5, 6)
        if to_general:
            return Instruction("to_general", vs(n), xs(d))
        return Instruction("from_general", xs(n), vs(d))
    low = bits(word, 11, 10)
    if low == 0 and bits(word, 13, 10) == 8:  # compare
        return Instruction("float_compare", vs(n, m), (FLAGS,))
    if low == 2:
        kind = {0: "fmul", 8: "fmul", 1: "fdiv"}.get(bits(word, 15, 12), "fadd")
        return Instruction(kind, vs(n, m), vs(d))
    if low == 3:  # FCSEL
        return Instruction("vector_alu", (*vs(n, m), FLAGS), vs(d))
    if bits(word, 12, 10) == 4:  # immediate
        return Instruction("vector_alu", (), vs(d))
    square_root = bits(word, 20, 15) == 3
    return Instruction("fdiv" if square_root else "convert", vs(n), vs(d))


def _three_same(word: int) -> Instruction:
    d, n, m, _ = fields(word)
    opcode, q, u = bits(word, 15, 11), bits(word, 30, 30), bits(word, 29, 29)
    suffix = "" if q else "_d"
    if opcode == 0x19 and not u:
        return Instruction(f"fmla{suffix}", vs(n, m), vs(d), d + 32)
    if opcode == 0x12:
        return Instruction(f"mla{suffix}", vs(n, m), vs(d), d + 32)
    if opcode in (0x13, 0x16):  # MUL, SQDMULH
        return Instruction(f"mul{suffix}", vs(n, m), vs(d))
    if opcode == 0x1B:
        return Instruction(f"fmul{suffix}", vs(n, m), vs(d))
    if opcode == 0x1F and u:
        return Instruction("fdiv", vs(n, m), vs(d))
    if opcode >= 0x18:
        return Instruction(f"fadd{suffix}", vs(n, m), vs(d))
    if opcode in (8, 9, 10, 11):  # shifts by register
        return Instruction("shift", vs(n, m), vs(d))
    if opcode == 15:  # SABA UABA
        return Instruction("add_long", vs(n, m), vs(d), d + 32)
    selects = opcode == 3 and u  # BSL BIT BIF
    return Instruction("vector_alu", vs(n, m, *([d] if selects else [])), vs(d))


def _three_different(word: int) -> Instruction:
    d, n, m, _ = fields(word)
    opcode = bits(word, 15, 12)
    if opcode in (8, 9, 10, 11):
        return Instruction("mlal", vs(n, m), vs(d), d + 32)
    if opcode in (12, 13, 14):
        return Instruction("mull", vs(n, m), vs(d))
    if opcode == 5:  # SABAL UABAL
        return Instruction("add_long", vs(n, m), vs(d), d + 32)
    if opcode in (4, 6):  # ADDHN SUBHN; the second half keeps the first
        return Instruction("shift", vs(n, m, *([d] if bits(word, 30, 30) else [])), vs(d))
    return Instruction("vector_alu", vs(n, m), vs(d))


def _by_element(word: int) -> Instruction:
    d, n, _, _ = fields(word)
    size, opcode, u, q = bits(word, 23, 22), bits(word, 15, 12), bits(word, 29, 29), bits(word, 30, 30)
    half = size == 1 or (size == 0 and not u and opcode in (1, 5, 9))
    m = bits(word, 19, 16) if half else bits(word, 20, 16)
    suffix = "" if q else "_d"
    if opcode in (1, 5) and not u:
        return Instruction(f"fmla{suffix}", vs(n, m), vs(d), d + 32)
    if opcode == 9:
        return Instruction(f"fmul{suffix}", vs(n, m), vs(d))
    if opcode in (14, 15):
        return Instruction("dot", vs(n, m), vs(d), d + 32)
    if opcode in (2, 3, 6, 7):
        return Instruction("mlal", vs(n, m), vs(d), d + 32)
    if opcode in (0, 4):
        return Instruction(f"mla{suffix}", vs(n, m), vs(d), d + 32)
    return Instruction("mull" if opcode in (10, 11) else f"mul{suffix}", vs(n, m), vs(d))


def _three_extra(word: int) -> Instruction:
    d, n, m, _ = fields(word)
    opcode = bits(word, 14, 11)
    kind = "mmla" if opcode in (4, 5, 13) else "dot" if opcode in (2, 3, 15) else "mla"
    return Instruction(kind, vs(n, m), vs(d), d + 32)


def _two_registers(word: int) -> Instruction:
    d, n, _, _ = fields(word)
    opcode, q = bits(word, 16, 12), bits(word, 30, 30)
    if opcode in (0x12, 0x14, 0x16, 0x17):  # XTN SQXTN FCVTN FCVTL; the second half keeps the first
        keeps = opcode != 0x17 and q
        kind = "convert" if opcode >= 0x16 else "narrow" if opcode == 0x14 or bits(word, 29, 29) else "extract_narrow"
        return Instruction(kind, vs(n, *([d] if keeps else [])), vs(d))
    if opcode == 6:  # SADALP UADALP
        return Instruction("add_long", vs(n), vs(d), d + 32)
    if opcode == 0x1F and bits(word, 29, 29):
        return Instruction("fdiv", vs(n), vs(d))
    if opcode >= 0x18:
        return Instruction("convert", vs(n), vs(d))
    return Instruction("permute" if opcode in (0, 1) else "vector_alu", vs(n), vs(d))


def _across(word: int) -> Instruction:
    d, n, _, _ = fields(word)
    return Instruction("across", vs(n), vs(d))


def _copy(word: int) -> Instruction:
    d, n, _, _ = fields(word)
    if bits(word, 29, 29):  # INS element
        return Instruction("insert", vs(n, d), vs(d))
    opcode = bits(word, 14, 11)
    if opcode in (5, 7):
        return Instruction("to_general", vs(n), xs(d))
    if opcode in (1, 3):  # DUP, INS from a general register
        return Instruction("from_general", (*xs(n), *(vs(d) if opcode == 3 else ())), vs(d))
    return Instruction("permute", vs(n), vs(d))


def _permute(word: int) -> Instruction:
    d, n, m, _ = fields(word)
    return Instruction("permute", vs(n, m), vs(d))


def _table(word: int) -> Instruction:
    d, n, m, _ = fields(word)
    count = bits(word, 14, 13) + 1
    return Instruction("table", vs(m, *((n + k) % 32 for k in range(count))), vs(d))


def _shift_immediate(word: int) -> Instruction:
    d, n, _, _ = fields(word)
    if not bits(word, 22, 19):  # modified immediate
        return Instruction("vector_alu", (), vs(d))
    opcode, q = bits(word, 15, 11), bits(word, 30, 30)
    if opcode in (2, 6):  # SSRA SRSRA
        return Instruction("shift", vs(n, d), vs(d))
    if opcode in (0x10, 0x11, 0x12, 0x13):  # SHRN SQRSHRN
        return Instruction("narrow", vs(n, *([d] if q else [])), vs(d))
    if opcode in (0x1C, 0x1F):
        return Instruction("convert", vs(n), vs(d))
    return Instruction("shift", vs(n), vs(d))


_SECTIONS = (
    (0x9F208400, 0x0E008400, _three_extra),
    (0x9F200400, 0x0E200400, _three_same),
    (0x9F200C00, 0x0E200000, _three_different),
    (0x9F3E0C00, 0x0E200800, _two_registers),
    (0x9F3E0C00, 0x0E300800, _across),
    (0x9FE08400, 0x0E000400, _copy),
    (0xBF208C00, 0x0E000800, _permute),
    (0xBF208C00, 0x0E000000, _table),
    (0xBF208400, 0x2E000000, _permute),  # EXT
    (0x9F800400, 0x0F000400, _shift_immediate),
    (0x9F000400, 0x0F000000, _by_element),
)
