// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's TCG that finds the lines of memory that two processors
 * share, between the marks of tests/bench/marker.h, which each of the two sets.
 * tests/bench/lines builds and reads it:
 *
 *   qemu-system-x86_64 -accel tcg,thread=single -smp 2 \
 *		-plugin lines.so,out=FILE ...
 *
 * For each section FILE has a line "section OPERATIONS NAME" and then, for each
 * 64 bytes of the kernel's memory that both accessed and at least one wrote, a
 * line "line ADDRESS" and lines "access CPU PC LOADS STORES". What interrupts
 * and exceptions do does not count, nor what happens less than once in 20
 * operations.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcg.h"

EXPORT int qemu_plugin_version = 1;

#define CPUS 2
#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* Who accessed a line, from where, and how often. By hash; pc 0 is free. */
static struct access {
	uint64_t line, pc;
	uint64_t loads, stores;
	unsigned int cpu;
} accesses[1 << 20];
static size_t n_accesses;

/* What each processor says by its marks. */
static struct cpu {
	bool counting;
	unsigned int depth; /* of interrupts */
	unsigned int bits, n_bits;
	char text[128];
	size_t length;
} cpus[CPUS];

static unsigned int n_ended;
static FILE *out;

static struct access *find(uint64_t line, uint64_t pc, unsigned int cpu)
{
	uint64_t hash = (line * 31 + pc) * CPUS + cpu;
	struct access *a;
	size_t i;

	hash *= 0x9e3779b97f4a7c15;
	for (i = hash >> 44;; i = (i + 1) % LENGTH(accesses)) {
		a = &accesses[i];
		if (a->line == line && a->pc == pc && a->cpu == cpu)
			return a;
		if (a->pc)
			continue;
		if (++n_accesses == LENGTH(accesses)) {
			fputs("lines: the section is too long\n", stderr);
			exit(1);
		}
		*a = (struct access){ .line = line, .pc = pc, .cpu = cpu };
		return a;
	}
}

static void touched(unsigned int cpu, uint32_t info, uint64_t address, void *arg)
{
	struct access *a;

	if (!cpus[cpu].counting || cpus[cpu].depth || !(address >> 63))
		return;
	a = find(address / 64, (uintptr_t)arg, cpu);
	if (qemu_plugin_mem_is_store(info))
		a->stores++;
	else
		a->loads++;
}

static int by_line(const void *a, const void *b)
{
	const struct access *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

static void show(const struct access *first, const struct access *end,
		 uint64_t least)
{
	uint64_t all[CPUS] = { 0 }, stores[CPUS] = { 0 };
	const struct access *a;

	for (a = first; a < end; a++) {
		all[a->cpu] += a->loads + a->stores;
		stores[a->cpu] += a->stores;
	}
	if (all[0] < least || all[1] < least ||
	    (stores[0] < least && stores[1] < least))
		return;
	fprintf(out, "line %" PRIx64 "\n", first->line * 64);
	for (a = first; a < end; a++)
		fprintf(out, "access %u %" PRIx64 " %" PRIu64 " %" PRIu64 "\n",
			a->cpu, a->pc, a->loads, a->stores);
}

/* Both are done: print the section, and forget it. */
static void report(const char *text)
{
	uint64_t least = strtoull(text, NULL, 10) / 20;
	struct access *a, *end;
	size_t n = 0, i;

	for (i = 0; i < LENGTH(accesses); i++)
		if (accesses[i].pc)
			accesses[n++] = accesses[i];
	qsort(accesses, n, sizeof(*accesses), by_line);
	fprintf(out, "section %s\n", text);
	for (a = accesses; a < accesses + n; a = end) {
		for (end = a + 1; end < accesses + n; end++)
			if (end->line != a->line)
				break;
		show(a, end, least ? least : 1);
	}
	fflush(out);
	memset(accesses, 0, sizeof(accesses));
	n_accesses = 0;
}

static void byte(struct cpu *c, unsigned char value)
{
	if (value == '\n') {
		c->text[c->length] = '\0';
		c->length = 0;
		c->depth = 0;
		c->counting = true;
	} else if (value) {
		if (c->length + 1 < sizeof(c->text))
			c->text[c->length++] = value;
	} else if (c->counting) {
		c->counting = false;
		if (++n_ended == CPUS) {
			n_ended = 0;
			report(c->text);
		}
	}
}

static void bit(unsigned int cpu, void *arg)
{
	struct cpu *c = &cpus[cpu];

	c->bits |= (arg != NULL) << c->n_bits;
	if (++c->n_bits == 8) {
		byte(c, c->bits);
		c->bits = c->n_bits = 0;
	}
}

static void entered(unsigned int cpu, void *arg)
{
	(void)arg;
	cpus[cpu].depth++;
}

static void left(unsigned int cpu, void *arg)
{
	(void)arg;
	if (cpus[cpu].depth)
		cpus[cpu].depth--;
}

/* A process that goes into the kernel by itself is in no interrupt. */
static void called(unsigned int cpu, void *arg)
{
	(void)arg;
	cpus[cpu].depth = 0;
}

/*
 * Of one instruction of the kernel: each of its interrupts and exceptions starts
 * with cld, which it uses nowhere else, and ends by iretq.
 */
static void kernel(struct qemu_plugin_insn *insn, uint64_t address,
		   const unsigned char *code, size_t size)
{
	exec_cb cb = NULL;

	if (size == 1 && *code == 0xfc)
		cb = entered;
	else if (size == 2 && !memcmp(code, "\x48\xcf", 2))
		cb = left;
	if (cb)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, cb,
				QEMU_PLUGIN_CB_NO_REGS, NULL);
	qemu_plugin_register_vcpu_mem_cb(insn, touched, QEMU_PLUGIN_CB_NO_REGS,
					 QEMU_PLUGIN_MEM_RW, (void *)address);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	static const unsigned char mark[] = { 0x0f, 0x1f, 0x80, 'b', 'u', 's' };
	size_t i, n = qemu_plugin_tb_n_insns(tb), size;
	struct qemu_plugin_insn *insn;
	const unsigned char *code;
	uint64_t address;

	(void)id;
	for (i = 0; i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		address = qemu_plugin_insn_vaddr(insn);
		code = qemu_plugin_insn_data(insn);
		size = qemu_plugin_insn_size(insn);
		if (address >> 63)
			kernel(insn, address, code, size);
		else if (size == 2 && !memcmp(code, "\x0f\x05", 2))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, called,
					QEMU_PLUGIN_CB_NO_REGS, NULL);
		else if (size == sizeof(mark) + 1 &&
			 !memcmp(code, mark, sizeof(mark)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, bit,
					QEMU_PLUGIN_CB_NO_REGS,
					code[sizeof(mark)] == '1' ? cpus : NULL);
	}
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
			       char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fputs("lines: the argument is out=FILE\n", stderr);
		return -1;
	}
	out = fopen(argv[0] + 4, "w");
	if (!out) {
		perror(argv[0] + 4);
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
