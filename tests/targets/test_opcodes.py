"""The counter's decoder, against words that GNU as assembled (binutils 2.40) from the instructions named beside them.

Multiply-accumulates follow from the instruction: lanes of the result, times what each lane sums up.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest

from compress.targets.arm64.compiler import compile_library
from compress.targets.arm64.installation import HERE

Classify = Callable[[int], tuple[str, int]]

WORDS = {
    "fmla_fp32": [
        (0x4E22CC20, "fmla v0.4s, v1.4s, v2.4s", 4),
        (0x0E22CC20, "fmla v0.2s, v1.2s, v2.2s", 2),
        (0x4EA2CC20, "fmls v0.4s, v1.4s, v2.4s", 4),
        (0x4E62CC20, "fmla v0.2d, v1.2d, v2.2d", 2),
        (0x4FA41A90, "fmla v16.4s, v20.4s, v4.s[3]", 4),
        (0x0FA21020, "fmla v0.2s, v1.2s, v2.s[1]", 2),
        (0x4FC21820, "fmla v0.2d, v1.2d, v2.d[1]", 2),
        (0x4F825020, "fmls v0.4s, v1.4s, v2.s[0]", 4),
    ],
    "fmla_fp16": [
        (0x4E420C20, "fmla v0.8h, v1.8h, v2.8h", 8),
        (0x0E420C20, "fmla v0.4h, v1.4h, v2.4h", 4),
        (0x4EC20C20, "fmls v0.8h, v1.8h, v2.8h", 8),
        (0x4F321820, "fmla v0.8h, v1.8h, v2.h[7]", 8),
        (0x0F025020, "fmls v0.4h, v1.4h, v2.h[0]", 4),
    ],
    "dot": [
        (0x4E829420, "sdot v0.4s, v1.16b, v2.16b", 16),
        (0x2E829420, "udot v0.2s, v1.8b, v2.8b", 8),
        (0x4E829C20, "usdot v0.4s, v1.16b, v2.16b", 16),
        (0x4FA2E820, "sdot v0.4s, v1.16b, v2.4b[3]", 16),
        (0x6F82E020, "udot v0.4s, v1.16b, v2.4b[0]", 16),
        (0x4FA2F020, "usdot v0.4s, v1.16b, v2.4b[1]", 16),
        (0x0F22F020, "sudot v0.2s, v1.8b, v2.4b[1]", 8),
        (0x6E42FC20, "bfdot v0.4s, v1.8h, v2.8h", 8),
        (0x0F62F020, "bfdot v0.2s, v1.4h, v2.2h[1]", 4),
    ],
    "mmla": [
        (0x4E82A420, "smmla v0.4s, v1.16b, v2.16b", 32),
        (0x6E82A420, "ummla v0.4s, v1.16b, v2.16b", 32),
        (0x4E82AC20, "usmmla v0.4s, v1.16b, v2.16b", 32),
        (0x6E42EC20, "bfmmla v0.4s, v1.8h, v2.8h", 16),
    ],
    "mlal": [
        (0x0E228020, "smlal v0.8h, v1.8b, v2.8b", 8),
        (0x4E228020, "smlal2 v0.8h, v1.16b, v2.16b", 8),
        (0x2E628020, "umlal v0.4s, v1.4h, v2.4h", 4),
        (0x6EA2A020, "umlsl2 v0.2d, v1.4s, v2.4s", 2),
        (0x0E22C020, "smull v0.8h, v1.8b, v2.8b", 8),
        (0x6E62C020, "umull2 v0.4s, v1.8h, v2.8h", 4),
        (0x0F722020, "smlal v0.4s, v1.4h, v2.h[3]", 4),
        (0x4F726020, "smlsl2 v0.4s, v1.8h, v2.h[3]", 4),
        (0x2FA2A020, "umull v0.2d, v1.2s, v2.s[1]", 2),
        (0x4E229420, "mla v0.16b, v1.16b, v2.16b", 16),
        (0x6EA29420, "mls v0.4s, v1.4s, v2.4s", 4),
        (0x6F520020, "mla v0.8h, v1.8h, v2.h[1]", 8),
        (0x4E22EC20, "fmlal v0.4s, v1.4h, v2.4h", 4),
        (0x2E22CC20, "fmlal2 v0.2s, v1.2h, v2.2h", 2),
        (0x4F920020, "fmlal v0.4s, v1.4h, v2.h[1]", 4),
        (0x6F92C020, "fmlsl2 v0.4s, v1.4h, v2.h[1]", 4),
        (0x2EC2FC20, "bfmlalb v0.4s, v1.8h, v2.8h", 4),
        (0x4FE2F020, "bfmlalt v0.4s, v1.8h, v2.h[2]", 4),
    ],
    "scalar_float": [
        (0x1F020C20, "fmadd s0, s1, s2, s3", 1),
        (0x1F628C20, "fnmsub d0, d1, d2, d3", 1),
        (0x5FA21020, "fmla s0, s1, v2.s[1]", 1),
        (0x5F121020, "fmla h0, h1, v2.h[1]", 1),
        (0x1E222820, "fadd s0, s1, s2", 0),
        (0x1E380000, "fcvtzs w0, s0", 0),
        (0x1E220000, "scvtf s0, w0", 0),
        (0x9E58F000, "fcvtzs x0, d0, #4", 0),
        (0x1E212000, "fcmp s0, s1", 0),
        (0x1E2E1000, "fmov s0, #1.0", 0),
        (0x9E660000, "fmov x0, d0", 0),
    ],
    "vector_other": [
        (0x0E629020, "sqdmlal v0.4s, v1.4h, v2.4h", 0),
        (0x0E22E020, "pmull v0.8h, v1.8b, v2.8b", 0),
        (0x0E220020, "saddl v0.8h, v1.8b, v2.8b", 0),
        (0x6E22DC20, "fmul v0.4s, v1.4s, v2.4s", 0),
        (0x4FA29020, "fmul v0.4s, v1.4s, v2.s[1]", 0),
        (0x4EA29C20, "mul v0.4s, v1.4s, v2.4s", 0),
        (0x4F82D020, "sqrdmulh v0.4s, v1.4s, v2.s[0]", 0),
        (0x6E82CC20, "fcmla v0.4s, v1.4s, v2.4s, #90", 0),
        (0x6F823820, "fcmla v0.4s, v1.4s, v2.s[1], #90", 0),
        (0x4E606820, "sadalp v0.4s, v1.8h", 0),
        (0x4E040C20, "dup v0.4s, w1", 0),
        (0x4F000400, "movi v0.4s, #0", 0),
        (0x0F08A420, "sshll v0.8h, v1.8b, #0", 0),
        (0x4E020020, "tbl v0.16b, {v1.16b}, v2.16b", 0),
        (0x5EF1B820, "addp d0, v1.2d", 0),
        (0x4E284820, "aese v0.16b, v1.16b", 0),
    ],
    "vector_load": [
        (0x3DC00000, "ldr q0, [x0]", 0),
        (0x3CE16800, "ldr q0, [x0, x1]", 0),
        (0x3CC10400, "ldr q0, [x0], #16", 0),
        (0x3D400400, "ldr b0, [x0, #1]", 0),
        (0xBC5FC000, "ldur s0, [x0, #-4]", 0),
        (0xACC10400, "ldp q0, q1, [x0], #32", 0),
        (0x6C400400, "ldnp d0, d1, [x0]", 0),
        (0x4CDFA800, "ld1 {v0.4s, v1.4s}, [x0], #32", 0),
        (0x4D40C800, "ld1r {v0.4s}, [x0]", 0),
        (0x4C400000, "ld4 {v0.16b-v3.16b}, [x0]", 0),
        (0x9C000000, "ldr q0, .", 0),
    ],
    "vector_store": [
        (0x3D800000, "str q0, [x0]", 0),
        (0x3CA16800, "str q0, [x0, x1]", 0),
        (0x7D000400, "str h0, [x0, #2]", 0),
        (0xBC1FC000, "stur s0, [x0, #-4]", 0),
        (0xAC810400, "stp q0, q1, [x0], #32", 0),
        (0x4C9F7000, "st1 {v0.16b}, [x0], #16", 0),
    ],
    "load": [
        (0xF9400020, "ldr x0, [x1]", 0),
        (0xB9800420, "ldrsw x0, [x1, #4]", 0),
        (0x38626820, "ldrb w0, [x1, x2]", 0),
        (0x38C01420, "ldrsb w0, [x1], #1", 0),
        (0xA9410440, "ldp x0, x1, [x2, #16]", 0),
        (0x69400440, "ldpsw x0, x1, [x2]", 0),
        (0x18000000, "ldr w0, .", 0),
        (0x98000000, "ldrsw x0, .", 0),
        (0xC85F7C20, "ldxr x0, [x1]", 0),
        (0xC8DFFC20, "ldar x0, [x1]", 0),
        (0xF8BFC020, "ldapr x0, [x1]", 0),
        (0xD9408020, "ldapur x0, [x1, #8]", 0),
        (0xF8200041, "ldadd x0, x1, [x2]", 0),
        (0xF8208041, "swp x0, x1, [x2]", 0),
        (0xF820005F, "stadd x0, [x2]", 0),
        (0xC8E0FC41, "casal x0, x1, [x2]", 0),
    ],
    "store": [
        (0xF9000020, "str x0, [x1]", 0),
        (0x38226820, "strb w0, [x1, x2]", 0),
        (0x781FE020, "sturh w0, [x1, #-2]", 0),
        (0xF81F0C20, "str x0, [x1, #-16]!", 0),
        (0xA9BF07E0, "stp x0, x1, [sp, #-16]!", 0),
        (0xC8007C41, "stxr w0, x1, [x2]", 0),
        (0xC89FFC20, "stlr x0, [x1]", 0),
        (0xD9008020, "stlur x0, [x1, #8]", 0),
    ],
    "other": [
        (0xF9800000, "prfm pldl1keep, [x0]", 0),
        (0xF8A16800, "prfm pldl1keep, [x0, x1]", 0),
        (0xF89F8000, "prfum pldl1keep, [x0, #-8]", 0),
        (0xD8000000, "prfm pldl1keep, .", 0),
        (0xD503201F, "nop", 0),
        (0xD53BD040, "mrs x0, tpidr_el0", 0),
        (0xD5033BBF, "dmb ish", 0),
        (0xD4000001, "svc #0", 0),
        (0xD4200020, "brk #1", 0),
        (0x04A20020, "add z0.s, z1.s, z2.s", 0),
        (0xA540A000, "ld1w {z0.s}, p0/z, [x0]", 0),
        (0x00000000, "udf #0", 0),
    ],
    "branch": [
        (0x14000000, "b .", 0),
        (0x94000000, "bl .", 0),
        (0x54000000, "b.eq .", 0),
        (0xB4000000, "cbz x0, .", 0),
        (0x37180000, "tbnz x0, #3, .", 0),
        (0xD61F0000, "br x0", 0),
        (0xD65F03C0, "ret", 0),
        (0xD63F0000, "blr x0", 0),
    ],
    "integer": [
        (0x8B020020, "add x0, x1, x2", 0),
        (0x91000420, "add x0, x1, #1", 0),
        (0x6B020820, "subs w0, w1, w2, lsl #2", 0),
        (0xD2800020, "movz x0, #1", 0),
        (0x90000000, "adrp x0, .", 0),
        (0x9B020C20, "madd x0, x1, x2, x3", 0),
        (0x9B227C20, "smull x0, w1, w2", 0),
        (0x9AC20820, "udiv x0, x1, x2", 0),
        (0x9A820020, "csel x0, x1, x2, eq", 0),
        (0xD3431820, "ubfx x0, x1, #3, #4", 0),
        (0xFA410000, "ccmp x0, x1, #0, eq", 0),
        (0x9AC24C20, "crc32x w0, w1, x2", 0),
    ],
}


class Opcode(ctypes.Structure):
    _fields_ = (("opcode_class", ctypes.c_int), ("macs", ctypes.c_uint32))


@pytest.fixture(scope="module")
def classify(tmp_path_factory: pytest.TempPathFactory) -> Classify:
    path = tmp_path_factory.mktemp("opcodes") / "opcodes.so"
    compile_library([HERE / "opcodes.c"], path)
    library = ctypes.CDLL(str(path))
    library.classify_opcode.restype = Opcode
    names = (ctypes.c_char_p * len(WORDS)).in_dll(library, "opcode_class_names")

    def classify_word(word: int) -> tuple[str, int]:
        opcode = library.classify_opcode(ctypes.c_uint32(word))
        return names[opcode.opcode_class].decode(), opcode.macs

    return classify_word


@pytest.mark.parametrize(
    ("word", "name", "macs"),
    [
        pytest.param(word, name, macs, id=instruction)
        for name, words in WORDS.items()
        for word, instruction, macs in words
    ],
)
def test_class_and_macs(classify: Classify, word: int, name: str, macs: int) -> None:
    assert classify(word) == (name, macs)


def test_register_numbers_do_not_matter(classify: Classify) -> None:
    """Rd, Rn and Rm are bits 4..0, 9..5 and 20..16 of these forms."""
    registers = 31 | 31 << 5 | 31 << 16
    for name in ("fmla_fp32", "dot", "mmla"):
        for word, instruction, macs in WORDS[name]:
            if "[" not in instruction:
                assert classify(word | registers) == (name, macs), instruction
