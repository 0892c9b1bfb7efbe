/* Plugin for qemu-aarch64: counts executed instructions by class, and multiply-accumulates, between two marks.
 *
 * - Each translated block is classified once; executing it then costs one inline add. Counting slows nothing down.
 * - A mark is a system call that Linux does not have, so the guest needs no library to make one:
 *   syscall(0x4d4b, 1) starts counting from zero, syscall(0x4d4b, 2) appends one JSON line to the report.
 * - The report is opened for each line, never held: the worker forks, and its children report by themselves.
 *
 * Argument: out=FILE, the report. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opcodes.h"
#include "qemu_plugin.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 1;

enum { MARK_SYSCALL = 0x4d4b, MARK_START = 1, MARK_STOP = 2 };

struct block {
    uint64_t executions;
    uint32_t instructions[CLASS_COUNT];
    uint32_t macs;
    struct block *next;
};

static struct block *blocks;
static const char *report_path;

static void fail(const char *what)
{
    perror(what);
    abort();
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    struct block *block = calloc(1, sizeof *block);
    if (!block)
        fail("counter: no memory for a block");
    for (size_t k = 0; k < qemu_plugin_tb_n_insns(tb); k++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, k)), sizeof word);
        struct opcode opcode = classify_opcode(word);
        block->instructions[opcode.class]++;
        block->macs += opcode.macs;
    }
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->executions, 1);
}

static void start_counting(void)
{
    for (struct block *block = blocks; block; block = block->next)
        block->executions = 0;
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
    fprintf(file, "}}\n");
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

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
        fprintf(stderr, "counter: expected one argument, out=FILE\n");
        return 1;
    }
    report_path = strdup(argv[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    return 0;
}
