/* What one ARM64 instruction is, for a cost model and for counting multiply-accumulates. */
#ifndef COMPRESS_OPCODES_H
#define COMPRESS_OPCODES_H

#include <stdint.h>

enum opcode_class {
    CLASS_FMLA_FP32,
    CLASS_FMLA_FP16,
    CLASS_DOT,           /* 8-bit (or bfloat16) dot products: SDOT UDOT USDOT SUDOT BFDOT */
    CLASS_MMLA,          /* matrix multiply: SMMLA UMMLA USMMLA BFMMLA */
    CLASS_MLAL,          /* integer multiply-accumulate: SMLAL UMLAL SMULL UMULL ..., MLA MLS, FMLAL BFMLAL */
    CLASS_VECTOR_LOAD,
    CLASS_VECTOR_STORE,
    CLASS_LOAD,
    CLASS_STORE,
    CLASS_BRANCH,
    CLASS_INTEGER,
    CLASS_VECTOR_OTHER,
    CLASS_SCALAR_FLOAT,
    CLASS_OTHER,         /* system, prefetch, SVE, unallocated */
    CLASS_COUNT
};

struct opcode {
    enum opcode_class class;
    uint32_t macs;       /* multiply-accumulates that one execution does */
};

/* Names in the order of enum opcode_class, as they appear in reports. */
extern const char *const opcode_class_names[CLASS_COUNT];

struct opcode classify_opcode(uint32_t word);

#endif
