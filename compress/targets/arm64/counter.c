/* Plugin for qemu-aarch64: counts executed instructions by class, and multiply-accumulates, between two marks.
 *
 * - Each translated block is classified once; executing it then costs one inline add. Counting slows nothing down.
 * - On request, the report also lists every executed block with its instructions, and what a hierarchy of data caches
 *   makes of the memory accesses. The caches see all that happens from the first mark on, so warming up fills them.
 * - A mark is a system call that Linux does not have, so the guest needs no library to make one:
 *   syscall(0x4d4b, 1) starts counting from zero, syscall(0x4d4b, 2) appends one JSON line to the report.
 * - The report is opened for each line, never held: the worker forks, and its children report by themselves.
 *
 * Arguments: out=FILE, the report; blocks=on; caches=KIB:WAYS[+KIB:WAYS...], from the level next to the core outwards. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caches.h"
#include "opcodes.h"
#include "qemu_plugin.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 1;

enum { MARK_SYSCALL = 0x4d4b, MARK_START = 1, MARK_STOP = 2 };

struct block {
    uint64_t executions;
    uint32_t instructions[CLASS_COUNT];
    uint32_t macs;
    uint32_t size;
    uint32_t *words; /* its instructions, where blocks are to be listed */
    struct block *next;
};

static struct block *blocks;
static const char *report_path;
static bool list_blocks, marked;

static void fail(const char *what)
{
    perror(what);
    abort();
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t access, uint64_t address, void *data)
{
    (void)vcpu, (void)data;
    if (marked)
        access_caches(address, 1u << qemu_plugin_mem_size_shift(access), qemu_plugin_mem_is_store(access));
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    struct block *block = calloc(1, sizeof *block);
    if (!block)
        fail("counter: no memory for a block");
    block->size = qemu_plugin_tb_n_insns(tb);
    if (list_blocks && !(block->words = calloc(block->size, sizeof *block->words)))
        fail("counter: no memory for a block's instructions");
    for (size_t k = 0; k < block->size; k++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, k);
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
        struct opcode opcode = classify_opcode(word);
        block->instructions[opcode.class]++;
        block->macs += opcode.macs;
        if (list_blocks)
            block->words[k] = word;
        if (cache_levels())
            qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
    }
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->executions, 1);
}

static void start_counting(void)
{
    for (struct block *block = blocks; block; block = block->next)
        block->executions = 0;
    reset_traffic();
    marked = true;
}

static void write_blocks(FILE *file)
{
    const char *separator = "";
    fprintf(file, ", \"blocks\": [");
    for (const struct block *block = blocks; block; block = block->next) {
        if (!block->executions)
            continue;
        fprintf(file, "%s[%" PRIu64 ", \"", separator, block->executions);
        for (uint32_t k = 0; k < block->size; k++)
            fprintf(file, "%08" PRIx32, block->words[k]);
        fprintf(file, "\"]");
        separator = ", ";
    }
    fprintf(file, "]");
}

static void write_traffic(FILE *file)
{
    fprintf(file, ", \"caches\": [");
    for (unsigned level = 0; level < cache_levels(); level++) {
        struct traffic traffic = read_traffic(level);
        fprintf(file, "%s{\"misses\": %" PRIu64 ", \"writebacks\": %" PRIu64 "}",
                level ? ", " : "", traffic.misses, traffic.writebacks);
    }
    fprintf(file, "]");
}

static void report(void)
{
    uint64_t instructions[CLASS_COUNT] = {0}, macs = 0;
    for (const struct block *block = blocks; block; block = block->next) {
        if (!block->executions)
            continue;
        for (int k = 0; k < CLASS_COUNT; k++)
            instructions[k] += block->executions * block->instructions[k];
        macs += block->executions * block->macs;
    }
    FILE *file = fopen(report_path, "a");
    if (!file)
        fail("counter: cannot open the report");
    fprintf(file, "{\"macs\": %" PRIu64 ", \"by_class\": {", macs);
    for (int k = 0; k < CLASS_COUNT; k++)
        fprintf(file, "%s\"%s\": %" PRIu64, k ? ", " : "", opcode_class_names[k], instructions[k]);
    fprintf(file, "}");
    if (list_blocks)
        write_blocks(file);
    if (cache_levels())
        write_traffic(file);
    fprintf(file, "}\n");
    if (fclose(file))
        fail("counter: cannot write the report");
}

static void on_syscall(
    qemu_plugin_id_t id, unsigned int vcpu, int64_t number,
    uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)vcpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != MARK_SYSCALL)
        return;
    if (a1 == MARK_START)
        start_counting();
    else if (a1 == MARK_STOP)
        report();
}

static bool read_argument(const char *argument)
{
    if (strncmp(argument, "out=", 4) == 0)
        return (report_path = strdup(argument + 4));
    if (strcmp(argument, "blocks=on") == 0)
        return list_blocks = true;
    return strncmp(argument, "caches=", 7) == 0 && make_caches(argument + 7);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int k = 0; k < argc; k++) {
        if (!read_argument(argv[k])) {
            fprintf(stderr, "counter: %s? expected out=FILE, blocks=on or caches=KIB:WAYS[+...]\n", argv[k]);
            return 1;
        }
    }
    if (!report_path) {
        fprintf(stderr, "counter: expected out=FILE\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    return 0;
}
