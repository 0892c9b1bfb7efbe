"""Loads and stores (DDI 0487, section C4.1: Loads and Stores)."""

from __future__ import annotations

from compress.targets.latency.decode.fields import Instruction, bits, fields, vs, xs


def decode_memory(word: int) -> Instruction:
    section = bits(word, 29, 28)
    if section == 0 and bits(word, 26, 26):
        return _decode_structures(word)
    if section == 2:
        return _decode_pair(word)
    if section == 3:
        return _decode_single(word)
    d = bits(word, 4, 0)
    if section == 1:  # literal
        vector = bits(word, 26, 26)
        return Instruction("load_q" if vector else "load", (), vs(d) if vector else xs(d))
    loads = bool(bits(word, 22, 22))  # exclusive, ordered
    n = bits(word, 9, 5)
    return Instruction("load" if loads else "store", xs(n, *([] if loads else [d])), xs(d) if loads else ())


def _decode_single(word: int) -> Instruction:
    d, n, m, _ = fields(word)
    size, vector, opc = bits(word, 31, 30), bits(word, 26, 26), bits(word, 23, 22)
    unscaled = not bits(word, 24, 24)
    indexed = unscaled and bits(word, 21, 21) and bits(word, 11, 10) == 2
    writes_back = unscaled and not bits(word, 21, 21) and bits(word, 10, 10)
    base = xs(n, *([m] if indexed else []))
    back = xs(n) if writes_back else ()
    if vector:
        bytes_ = 16 if opc & 2 else 1 << size
        width = {16: "q", 8: "d"}.get(bytes_, "s")
        if opc & 1:
            return Instruction(f"load_{width}", base, vs(d), updates=back)
        return Instruction(f"store_{width}", (*base, *vs(d)), (), updates=back)
    if size == 3 and opc == 2 and (not unscaled or indexed or not bits(word, 21, 21)):
        return Instruction("prefetch", base, ())
    if opc == 0:
        return Instruction("store", (*base, *xs(d)), (), updates=back)
    return Instruction("load", base, xs(d), updates=back)


def _decode_pair(word: int) -> Instruction:
    d, n, _, second = fields(word)
    vector, loads = bits(word, 26, 26), bits(word, 22, 22)
    back = xs(n) if bits(word, 23, 23) else ()
    both = vs(d, second) if vector else xs(d, second)
    width = {2: "q", 1: "d", 0: "s"}[bits(word, 31, 30)] if vector else "x"
    if loads:
        return Instruction(f"load_pair_{width}", xs(n), both, updates=back)
    return Instruction(f"store_pair_{width}", (*xs(n), *both), (), updates=back)


_REGISTERS = {0: 4, 2: 4, 4: 3, 6: 3, 7: 1, 8: 2, 10: 2}


def _decode_structures(word: int) -> Instruction:
    d, n, m, _ = fields(word)
    loads, post = bool(bits(word, 22, 22)), bool(bits(word, 23, 23))
    back = xs(n) if post else ()
    base = xs(n, *([m] if post else []))
    if bits(word, 24, 24):  # one lane, or one element to all lanes
        opcode = bits(word, 15, 13)
        count = (bits(word, 21, 21) | (opcode & 1) << 1) + 1
        registers = vs(*((d + k) % 32 for k in range(count)))
        replicates = opcode >= 6
        if not loads:
            return Instruction("store_lane", (*base, *registers), (), updates=back)
        if replicates:
            return Instruction("load_replicate", base, registers, updates=back)
        return Instruction("load_lane", (*base, *registers), registers, updates=back)
    opcode = bits(word, 15, 12)
    count = _REGISTERS.get(opcode, 1)
    registers = vs(*((d + k) % 32 for k in range(count)))
    interleaves = opcode in (0, 4, 8)
    width = "q" if bits(word, 30, 30) else "d"
    kind = f"{count}_{width}" + ("_interleaved" if interleaves else "")
    if loads:
        return Instruction(f"load_{kind}" if count > 1 else f"load_{width}", base, registers, updates=back)
    return Instruction(f"store_{kind}" if count > 1 else f"store_{width}", (*base, *registers), (), updates=back)
