/* Decodes the A64 instruction set as far as classes and multiply-accumulates need it.
 *
 * Encodings: Arm Architecture Reference Manual for A-profile (DDI 0487), chapter C4, "A64 Instruction Set Encoding";
 * each table below carries its section's name. Bit 30 (Q) tells 128-bit vectors from 64-bit ones. */
#include "opcodes.h"

#include <stdbool.h>
#include <stddef.h>

const char *const opcode_class_names[CLASS_COUNT] = {
    [CLASS_FMLA_FP32] = "fmla_fp32",       [CLASS_FMLA_FP16] = "fmla_fp16",
    [CLASS_DOT] = "dot",                   [CLASS_MMLA] = "mmla",
    [CLASS_MLAL] = "mlal",                 [CLASS_VECTOR_LOAD] = "vector_load",
    [CLASS_VECTOR_STORE] = "vector_store", [CLASS_LOAD] = "load",
    [CLASS_STORE] = "store",               [CLASS_BRANCH] = "branch",
    [CLASS_INTEGER] = "integer",           [CLASS_VECTOR_OTHER] = "vector_other",
    [CLASS_SCALAR_FLOAT] = "scalar_float", [CLASS_OTHER] = "other",
};

/* How many multiply-accumulates a row of the table below does. */
enum lanes {
    LANES_FIXED,         /* `macs`, whatever the width */
    LANES_BY_Q,          /* `macs` for 64-bit vectors, twice as many for 128-bit ones */
    LANES_BY_SIZE,       /* 8, 4, 2 for 8-, 16-, 32-bit elements: one half of a vector is widened */
    LANES_BY_SIZE_AND_Q, /* as LANES_BY_SIZE, and twice as many for 128-bit vectors */
    LANES_BY_SZ_AND_Q,   /* bit 22: two doubles, else 2 or 4 floats */
};

struct pattern {
    uint32_t mask, value;
    enum opcode_class class;
    enum lanes lanes;
    uint32_t macs;
};

static const struct pattern multiply_patterns[] = {
    /* Advanced SIMD three same extra */
    {0x9FE0FC00, 0x0E809400, CLASS_DOT, LANES_BY_Q, 8},      /* SDOT UDOT */
    {0xBFE0FC00, 0x0E809C00, CLASS_DOT, LANES_BY_Q, 8},      /* USDOT */
    {0xBFE0FC00, 0x2E40FC00, CLASS_DOT, LANES_BY_Q, 4},      /* BFDOT */
    {0xDFE0FC00, 0x4E80A400, CLASS_MMLA, LANES_FIXED, 32},   /* SMMLA UMMLA: 2x8 by 8x2 */
    {0xFFE0FC00, 0x4E80AC00, CLASS_MMLA, LANES_FIXED, 32},   /* USMMLA */
    {0xFFE0FC00, 0x6E40EC00, CLASS_MMLA, LANES_FIXED, 16},   /* BFMMLA: 2x4 by 4x2 */
    {0xBFE0FC00, 0x2EC0FC00, CLASS_MLAL, LANES_FIXED, 4},    /* BFMLALB BFMLALT */
    /* Advanced SIMD vector x indexed element */
    {0x9FC0F400, 0x0F80E000, CLASS_DOT, LANES_BY_Q, 8},      /* SDOT UDOT */
    {0xBFC0F400, 0x0F80F000, CLASS_DOT, LANES_BY_Q, 8},      /* USDOT */
    {0xBFC0F400, 0x0F00F000, CLASS_DOT, LANES_BY_Q, 8},      /* SUDOT */
    {0xBFC0F400, 0x0F40F000, CLASS_DOT, LANES_BY_Q, 4},      /* BFDOT */
    {0xBFC0F400, 0x0FC0F000, CLASS_MLAL, LANES_FIXED, 4},    /* BFMLALB BFMLALT */
    {0xBF80B400, 0x0F801000, CLASS_FMLA_FP32, LANES_BY_SZ_AND_Q, 0},  /* FMLA FMLS */
    {0xBFC0B400, 0x0F001000, CLASS_FMLA_FP16, LANES_BY_Q, 4},         /* FMLA FMLS, half precision */
    {0xBFC0B400, 0x0F800000, CLASS_MLAL, LANES_BY_Q, 2},     /* FMLAL FMLSL */
    {0xBFC0B400, 0x2F808000, CLASS_MLAL, LANES_BY_Q, 2},     /* FMLAL2 FMLSL2 */
    {0x9F00B400, 0x0F002000, CLASS_MLAL, LANES_BY_SIZE, 0},  /* SMLAL SMLSL UMLAL UMLSL */
    {0x9F00F400, 0x0F00A000, CLASS_MLAL, LANES_BY_SIZE, 0},  /* SMULL UMULL */
    {0xBF00B400, 0x2F000000, CLASS_MLAL, LANES_BY_SIZE_AND_Q, 0},     /* MLA MLS */
    /* Advanced SIMD three same, and its half-precision form */
    {0xBF20FC00, 0x0E20CC00, CLASS_FMLA_FP32, LANES_BY_SZ_AND_Q, 0},  /* FMLA FMLS */
    {0xBF60FC00, 0x0E400C00, CLASS_FMLA_FP16, LANES_BY_Q, 4},         /* FMLA FMLS, half precision */
    {0xBF60FC00, 0x0E20EC00, CLASS_MLAL, LANES_BY_Q, 2},     /* FMLAL FMLSL */
    {0xBF60FC00, 0x2E20CC00, CLASS_MLAL, LANES_BY_Q, 2},     /* FMLAL2 FMLSL2 */
    {0x9F20FC00, 0x0E209400, CLASS_MLAL, LANES_BY_SIZE_AND_Q, 0},     /* MLA MLS */
    /* Advanced SIMD three different */
    {0x9F20DC00, 0x0E208000, CLASS_MLAL, LANES_BY_SIZE, 0},  /* SMLAL SMLSL UMLAL UMLSL */
    {0x9F20FC00, 0x0E20C000, CLASS_MLAL, LANES_BY_SIZE, 0},  /* SMULL UMULL */
    /* Floating-point data-processing (3 source): FMADD FMSUB FNMADD FNMSUB */
    {0xFF000000, 0x1F000000, CLASS_SCALAR_FLOAT, LANES_FIXED, 1},
    /* Advanced SIMD scalar x indexed element: FMLA FMLS */
    {0xFF80B400, 0x5F801000, CLASS_SCALAR_FLOAT, LANES_FIXED, 1},
    {0xFFC0B400, 0x5F001000, CLASS_SCALAR_FLOAT, LANES_FIXED, 1},
};

static uint32_t bits(uint32_t word, int high, int low)
{
    return (word >> low) & ((1u << (high - low + 1)) - 1);
}

static uint32_t count_macs(const struct pattern *pattern, uint32_t word)
{
    uint32_t q = bits(word, 30, 30), size = bits(word, 23, 22);
    switch (pattern->lanes) {
    case LANES_BY_Q: return pattern->macs << q;
    case LANES_BY_SIZE: return 8u >> size;
    case LANES_BY_SIZE_AND_Q: return (8u >> size) << q;
    case LANES_BY_SZ_AND_Q: return (size & 1) ? 2 : 2u << q;
    case LANES_FIXED: break;
    }
    return pattern->macs;
}

/* Section "Loads and Stores"; bits 29..28 choose its table. */
static bool is_prefetch(uint32_t word)
{
    if (bits(word, 26, 26) || bits(word, 31, 30) != 3)
        return false;
    if (bits(word, 29, 28) == 1)
        return !bits(word, 24, 24); /* PRFM (literal) */
    bool addressed = bits(word, 24, 24) || !bits(word, 21, 21) || bits(word, 11, 10) == 2;
    return bits(word, 29, 28) == 3 && bits(word, 23, 22) == 2 && addressed; /* PRFM, PRFUM */
}

static bool is_load(uint32_t word)
{
    uint32_t opc = bits(word, 23, 22);
    bool unscaled = !bits(word, 24, 24);
    switch (bits(word, 29, 28)) {
    case 1: /* literal; STLUR and LDAPUR */
        return unscaled || opc != 0;
    case 3: /* one register; atomics both load and store, and count as loads */
        if (bits(word, 26, 26))
            return opc & 1;
        return opc != 0 || (unscaled && bits(word, 21, 21) && bits(word, 11, 10) != 2);
    default: /* pairs, exclusive, ordered, compare-and-swap, vector structures */
        return opc & 1;
    }
}

static enum opcode_class classify_memory(uint32_t word)
{
    if (is_prefetch(word))
        return CLASS_OTHER;
    if (bits(word, 26, 26))
        return is_load(word) ? CLASS_VECTOR_LOAD : CLASS_VECTOR_STORE;
    return is_load(word) ? CLASS_LOAD : CLASS_STORE;
}

/* Section "Data Processing -- Scalar Floating-Point and Advanced SIMD". */
static struct opcode classify_vector(uint32_t word)
{
    for (size_t k = 0; k < sizeof multiply_patterns / sizeof *multiply_patterns; k++) {
        const struct pattern *pattern = &multiply_patterns[k];
        if ((word & pattern->mask) == pattern->value)
            return (struct opcode){pattern->class, count_macs(pattern, word)};
    }
    bool scalar_float = (word & 0x5F000000) == 0x1E000000;
    return (struct opcode){scalar_float ? CLASS_SCALAR_FLOAT : CLASS_VECTOR_OTHER, 0};
}

struct opcode classify_opcode(uint32_t word)
{
    uint32_t group = bits(word, 28, 25);
    if ((group & 7) == 7)
        return classify_vector(word);
    if ((group & 5) == 4)
        return (struct opcode){classify_memory(word), 0};
    if ((group & 14) == 8 || (group & 7) == 5)
        return (struct opcode){CLASS_INTEGER, 0};
    if ((group & 14) == 10 && (word >> 25) != 0x6A) /* 0xD4, 0xD5: exceptions and system */
        return (struct opcode){CLASS_BRANCH, 0};
    return (struct opcode){CLASS_OTHER, 0};
}
