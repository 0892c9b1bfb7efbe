"""The decoder, against words that LLVM 19 assembled from the instructions named beside them.

What they read and write is written by hand: x0 is 0, v0 is 32, the flags are 64; the stack and zero are left out.
"""

from __future__ import annotations

import pytest

from compress.targets.latency.decode import Instruction, decode

WORDS = [
    (0x8B050083, "add x3, x4, x5", Instruction("alu", (4, 5), (3,))),
    (0x8B050C83, "add x3, x4, x5, lsl #3", Instruction("alu_shift", (4, 5), (3,))),
    (0xF1004000, "subs x0, x0, #16", Instruction("alu", (0,), (0, 64))),
    (0xEB11021F, "cmp x16, x17", Instruction("alu", (16, 17), (64,))),
    (0xF240069F, "tst x20, #3", Instruction("alu", (20,), (64,))),
    (0xF2A00027, "movk x7, #1, lsl #16", Instruction("alu", (7,), (7,))),
    (0xD2800027, "mov x7, #1", Instruction("alu", (), (7,))),
    (0xB37C1C62, "bfi x2, x3, #4, #8", Instruction("alu", (3, 2), (2,))),
    (0xD3442C62, "ubfx x2, x3, #4, #8", Instruction("alu", (3,), (2,))),
    (0x9A830041, "csel x1, x2, x3, eq", Instruction("alu", (2, 3, 64), (1,))),
    (0xFA420020, "ccmp x1, x2, #0, eq", Instruction("alu", (1, 2, 64), (64,))),
    (0x9B031041, "madd x1, x2, x3, x4", Instruction("multiply", (2, 3, 4), (1,))),
    (0x9AC30841, "udiv x1, x2, x3", Instruction("divide", (2, 3), (1,))),
    (0xDAC00C41, "rev x1, x2", Instruction("alu", (2,), (1,))),
    (0x54000041, "b.ne #8", Instruction("branch", (64,), ())),
    (0xB4000049, "cbz x9, #8", Instruction("branch", (9,), ())),
    (0x37180049, "tbnz w9, #3, #8", Instruction("branch", (9,), ())),
    (0xD65F03C0, "ret", Instruction("branch", (30,), ())),
    (0x14000002, "b #8", Instruction("branch", (), ())),
    (0xD503201F, "nop", Instruction("other", (), ())),
    (0xF8408441, "ldr x1, [x2], #8", Instruction("load", (2,), (1,), updates=(2,))),
    (0xF8637841, "ldr x1, [x2, x3, lsl #3]", Instruction("load", (2, 3), (1,))),
    (0x39C00041, "ldrsb w1, [x2]", Instruction("load", (2,), (1,))),
    (0xF8008C41, "str x1, [x2, #8]!", Instruction("store", (2, 1), (), updates=(2,))),
    (0x3CC10441, "ldr q1, [x2], #16", Instruction("load_q", (2,), (33,), updates=(2,))),
    (0xFD400441, "ldr d1, [x2, #8]", Instruction("load_d", (2,), (33,))),
    (0xBC5FC041, "ldur s1, [x2, #-4]", Instruction("load_s", (2,), (33,))),
    (0x3D800041, "str q1, [x2]", Instruction("store_q", (2, 33), ())),
    (0xFC1F8041, "stur d1, [x2, #-8]", Instruction("store_d", (2, 33), ())),
    (0xACC10861, "ldp q1, q2, [x3], #32", Instruction("load_pair_q", (3,), (33, 34), updates=(3,))),
    (0x6D410861, "ldp d1, d2, [x3, #16]", Instruction("load_pair_d", (3,), (33, 34))),
    (0xA9400861, "ldp x1, x2, [x3]", Instruction("load_pair_x", (3,), (1, 2))),
    (0xAD810861, "stp q1, q2, [x3, #32]!", Instruction("store_pair_q", (3, 33, 34), (), updates=(3,))),
    (0x4CDF78A4, "ld1 {v4.4s}, [x5], #16", Instruction("load_q", (5,), (36,), updates=(5,))),
    (0x0C4078A4, "ld1 {v4.2s}, [x5]", Instruction("load_d", (5,), (36,))),
    (
        0x4CC620BE,
        "ld1 {v30.16b, v31.16b, v0.16b, v1.16b}, [x5], x6",
        Instruction("load_4_q", (5, 6), (62, 63, 32, 33), updates=(5,)),
    ),
    (0x0C4080A4, "ld2 {v4.8b, v5.8b}, [x5]", Instruction("load_2_d_interleaved", (5,), (36, 37))),
    (0x4D40C8A4, "ld1r {v4.4s}, [x5]", Instruction("load_replicate", (5,), (36,))),
    (0x4D60C8A4, "ld2r {v4.4s, v5.4s}, [x5]", Instruction("load_replicate", (5,), (36, 37))),
    (0x0DDF90A4, "ld1 {v4.s}[1], [x5], #4", Instruction("load_lane", (5, 36), (36,), updates=(5,))),
    (0x0D0090A4, "st1 {v4.s}[1], [x5]", Instruction("store_lane", (5, 36), ())),
    (0x4C86A0A4, "st1 {v4.16b, v5.16b}, [x5], x6", Instruction("store_2_q", (5, 6, 36, 37), (), updates=(5,))),
    (0xF98020A0, "prfm pldl1keep, [x5, #64]", Instruction("prefetch", (5,), ())),
    (0xC85F7C41, "ldxr x1, [x2]", Instruction("load", (2,), (1,))),
    (0x4E23CC41, "fmla v1.4s, v2.4s, v3.4s", Instruction("fmla", (34, 35), (33,), accumulates=33)),
    (0x0E23CC41, "fmla v1.2s, v2.2s, v3.2s", Instruction("fmla_d", (34, 35), (33,), accumulates=33)),
    (0x4FB31841, "fmla v1.4s, v2.4s, v19.s[3]", Instruction("fmla", (34, 51), (33,), accumulates=33)),
    (0x4F331841, "fmla v1.8h, v2.8h, v3.h[7]", Instruction("fmla", (34, 35), (33,), accumulates=33)),
    (0x1F031041, "fmadd s1, s2, s3, s4", Instruction("fmla_scalar", (34, 35, 36), (33,))),
    (0x4FA39041, "fmul v1.4s, v2.4s, v3.s[1]", Instruction("fmul", (34, 35), (33,))),
    (0x1E230841, "fmul s1, s2, s3", Instruction("fmul", (34, 35), (33,))),
    (0x4E23D441, "fadd v1.4s, v2.4s, v3.4s", Instruction("fadd", (34, 35), (33,))),
    (0x0E23F441, "fmax v1.2s, v2.2s, v3.2s", Instruction("fadd_d", (34, 35), (33,))),
    (0x6E23FC41, "fdiv v1.4s, v2.4s, v3.4s", Instruction("fdiv", (34, 35), (33,))),
    (0x1E21C041, "fsqrt s1, s2", Instruction("fdiv", (34,), (33,))),
    (0x4E21A841, "fcvtns v1.4s, v2.4s", Instruction("convert", (34,), (33,))),
    (0x4E21D841, "scvtf v1.4s, v2.4s", Instruction("convert", (34,), (33,))),
    (0x0E217841, "fcvtl v1.4s, v2.4h", Instruction("convert", (34,), (33,))),
    (0x1E222020, "fcmp s1, s2", Instruction("float_compare", (33, 34), (64,))),
    (0x4FB3E841, "sdot v1.4s, v2.16b, v19.4b[3]", Instruction("dot", (34, 51), (33,), accumulates=33)),
    (0x6E839441, "udot v1.4s, v2.16b, v3.16b", Instruction("dot", (34, 35), (33,), accumulates=33)),
    (0x4E83A441, "smmla v1.4s, v2.16b, v3.16b", Instruction("mmla", (34, 35), (33,), accumulates=33)),
    (0x0E238041, "smlal v1.8h, v2.8b, v3.8b", Instruction("mlal", (34, 35), (33,), accumulates=33)),
    (0x0E235041, "sabal v1.8h, v2.8b, v3.8b", Instruction("add_long", (34, 35), (33,), accumulates=33)),
    (0x6E235041, "uabal2 v1.8h, v2.16b, v3.16b", Instruction("add_long", (34, 35), (33,), accumulates=33)),
    (0x4E237C41, "saba v1.16b, v2.16b, v3.16b", Instruction("add_long", (34, 35), (33,), accumulates=33)),
    (0x4E234041, "addhn2 v1.16b, v2.8h, v3.8h", Instruction("shift", (34, 35, 33), (33,))),
    (0x4F532841, "smlal2 v1.4s, v2.8h, v3.h[5]", Instruction("mlal", (34, 35), (33,), accumulates=33)),
    (0x0E23C041, "smull v1.8h, v2.8b, v3.8b", Instruction("mull", (34, 35), (33,))),
    (0x4EA39441, "mla v1.4s, v2.4s, v3.4s", Instruction("mla", (34, 35), (33,), accumulates=33)),
    (0x4EA39C41, "mul v1.4s, v2.4s, v3.4s", Instruction("mul", (34, 35), (33,))),
    (0x6EA3B441, "sqrdmulh v1.4s, v2.4s, v3.4s", Instruction("mul", (34, 35), (33,))),
    (0x4F83C041, "sqdmulh v1.4s, v2.4s, v3.s[0]", Instruction("mul", (34, 35), (33,))),
    (0x4E606841, "sadalp v1.4s, v2.8h", Instruction("add_long", (34,), (33,), accumulates=33)),
    (0x4EA38441, "add v1.4s, v2.4s, v3.4s", Instruction("vector_alu", (34, 35), (33,))),
    (0x4E631041, "saddw2 v1.4s, v2.4s, v3.8h", Instruction("vector_alu", (34, 35), (33,))),
    (0x4E236441, "smax v1.16b, v2.16b, v3.16b", Instruction("vector_alu", (34, 35), (33,))),
    (0x6E631C41, "bsl v1.16b, v2.16b, v3.16b", Instruction("vector_alu", (34, 35, 33), (33,))),
    (0x4EA21C41, "mov v1.16b, v2.16b", Instruction("vector_alu", (34, 34), (33,))),
    (0x4F000401, "movi v1.4s, #0", Instruction("vector_alu", (), (33,))),
    (0x0F08A441, "sshll v1.8h, v2.8b, #0", Instruction("shift", (34,), (33,))),
    (0x4EA35441, "srshl v1.4s, v2.4s, v3.4s", Instruction("shift", (34, 35), (33,))),
    (0x4F3D1441, "ssra v1.4s, v2.4s, #3", Instruction("shift", (34, 33), (33,))),
    (0x0E614841, "sqxtn v1.4h, v2.4s", Instruction("narrow", (34,), (33,))),
    (0x4E614841, "sqxtn2 v1.8h, v2.4s", Instruction("narrow", (34, 33), (33,))),
    (0x0E612841, "xtn v1.4h, v2.4s", Instruction("extract_narrow", (34,), (33,))),
    (0x4E833841, "zip1 v1.4s, v2.4s, v3.4s", Instruction("permute", (34, 35), (33,))),
    (0x6E032041, "ext v1.16b, v2.16b, v3.16b, #4", Instruction("permute", (34, 35), (33,))),
    (0x4E0C0441, "dup v1.4s, v2.s[1]", Instruction("permute", (34,), (33,))),
    (0x4E042041, "tbl v1.16b, {v2.16b, v3.16b}, v4.16b", Instruction("table", (36, 34, 35), (33,))),
    (0x4EB1B841, "addv s1, v2.4s", Instruction("across", (34,), (33,))),
    (0x6E0C0441, "mov v1.s[1], v2.s[0]", Instruction("insert", (34, 33), (33,))),
    (0x4E181C41, "mov v1.d[1], x2", Instruction("from_general", (2, 33), (33,))),
    (0x4E040C41, "dup v1.4s, w2", Instruction("from_general", (2,), (33,))),
    (0x1E270041, "fmov s1, w2", Instruction("from_general", (2,), (33,))),
    (0x0E0C3C41, "umov w1, v2.s[1]", Instruction("to_general", (34,), (1,))),
    (0x1E260041, "fmov w1, s2", Instruction("to_general", (34,), (1,))),
]


@pytest.mark.parametrize(("word", "text", "expected"), WORDS, ids=[text for _, text, _ in WORDS])
def test_kind_and_registers(word: int, text: str, expected: Instruction) -> None:
    found = decode(word)
    assert found.kind == expected.kind, text
    assert (set(found.reads), set(found.writes)) == (set(expected.reads), set(expected.writes)), text
    assert (found.accumulates, found.updates) == (expected.accumulates, expected.updates), text


def test_what_is_no_instruction_is_other() -> None:
    assert decode(0).kind == "other"
