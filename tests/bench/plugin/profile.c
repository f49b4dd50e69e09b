// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's TCG that counts every instruction by its address, between
 * the marks of tests/bench/marker.h, and the kernel's by who called, too.
 * tests/bench/profile builds and reads it:
 *
 *   qemu-system-x86_64 -plugin profile.so,out=FILE ...
 *
 * For each measured section FILE has a line "section OPERATIONS NAME", a line
 * "n ADDRESS COUNT" for each instruction and then a line "c ID PARENT TARGET HOW
 * TIMES COUNT" for each call chain: its last link goes to TARGET, by a call or a
 * jump, and the instructions counted are those before it went on or back. One
 * processor.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tcg.h"

EXPORT int qemu_plugin_version = 1;

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static struct counter {
	uint64_t address, count, before;
} counters[1 << 21];
static uint32_t n_counters, index_of[1 << 22]; /* 0 is none */

/* A chain of calls: the last one, and the chain before it. 0 is outside. */
static struct chain {
	uint64_t target, times, count;
	uint32_t parent, child, next;
	bool jump;
} chains[1 << 18];
static uint32_t n_chains;

/*
 * What is active on a kernel stack, by the place of each return address. The
 * kernel's stacks are of 16 KiB, and aligned: an address names its stack.
 */
#define STACK_SHIFT 14
static struct stack {
	uint64_t number;
	unsigned int depth;
	struct frame {
		uint64_t place;
		uint32_t called, now; /* chains: as called, and after jumps */
	} frames[128]; /* the first is below all calls */
} stacks[1 << 12], *on;

static FILE *out;
static char text[128];
static size_t length;
static bool counting;
static uint64_t executed, charged; /* kernel instructions */
static enum { NOWHERE, CALL, JUMP } going; /* where to, the next block tells */

static struct counter *counter(uint64_t address)
{
	uint32_t i = (address * 0x9e3779b97f4a7c15) >> 42;

	for (; index_of[i]; i = (i + 1) % LENGTH(index_of))
		if (counters[index_of[i]].address == address)
			return &counters[index_of[i]];
	if (n_counters + 1 == LENGTH(counters))
		return &counters[0];
	index_of[i] = ++n_counters;
	counters[n_counters].address = address;
	return &counters[n_counters];
}

static uint32_t chain(uint32_t parent, uint64_t target, bool jump)
{
	uint32_t *at = &chains[parent].child;

	while (*at && (chains[*at].target != target || chains[*at].jump != jump))
		at = &chains[*at].next;
	if (!*at) {
		if (n_chains + 1 == LENGTH(chains))
			return 0;
		*at = ++n_chains;
		chains[*at] = (struct chain){ .target = target,
					      .parent = parent, .jump = jump };
	}
	chains[*at].times++;
	return *at;
}

static struct frame *top(void)
{
	return &on->frames[on->depth];
}

static void charge(void)
{
	if (on)
		chains[top()->now].count += executed - charged;
	charged = executed;
}

static void enter(uint64_t place)
{
	uint64_t number = place >> STACK_SHIFT;
	size_t i, n;

	if (!on || on->number != number) {
		i = number * 0x9e3779b97f4a7c15 >> 52;
		for (n = 0; n < LENGTH(stacks); n++) {
			on = &stacks[(i + n) % LENGTH(stacks)];
			if (!on->number || on->number == number)
				break;
		}
		on->number = number;
	}
	while (on->depth && top()->place <= place)
		on->depth--;
}

static void call(uint64_t place, uint64_t target)
{
	struct frame *last;

	charge();
	enter(place);
	if (on->depth + 1 == LENGTH(on->frames))
		return;
	last = top();
	on->depth++;
	top()->place = place;
	top()->called = top()->now = last->now;
	if (target)
		top()->called = top()->now = chain(last->now, target, false);
	else
		going = CALL;
}

static void called(unsigned int cpu, uint32_t info, uint64_t place, void *target)
{
	(void)cpu;
	if (counting && qemu_plugin_mem_is_store(info))
		call(place, (uint64_t)target);
}

static void returned(unsigned int cpu, uint32_t info, uint64_t place, void *arg)
{
	(void)cpu;
	(void)info;
	(void)arg;
	if (!counting)
		return;
	charge();
	enter(place);
}

static void jump(uint64_t target)
{
	charge();
	top()->now = chain(top()->called, target, true);
}

static void jumped(unsigned int cpu, void *target)
{
	(void)cpu;
	/* outside of every call are the kernel's ways in and out */
	if (!counting || !on || !on->depth)
		return;
	if (target)
		jump((uint64_t)target);
	else
		going = JUMP;
}

static void block(unsigned int cpu, void *address)
{
	(void)cpu;
	if (going == JUMP) {
		jump((uint64_t)address);
	} else if (going == CALL) {
		charge();
		top()->called = top()->now = chain(top()->now,
						   (uint64_t)address, false);
	}
	going = NOWHERE;
}

static void begin(void)
{
	uint32_t i;

	for (i = 0; i <= n_counters; i++)
		counters[i].before = counters[i].count;
	memset(stacks, 0, sizeof(stacks));
	on = NULL;
	n_chains = 0;
	memset(&chains[0], 0, sizeof(chains[0]));
	going = NOWHERE;
	charged = executed;
	counting = true;
}

static void end(void)
{
	uint32_t i;

	charge();
	fprintf(out, "section %s\n", text);
	for (i = 0; i <= n_counters; i++)
		if (counters[i].count != counters[i].before)
			fprintf(out, "n %016" PRIx64 " %" PRIu64 "\n",
				counters[i].address,
				counters[i].count - counters[i].before);
	for (i = 0; i <= n_chains; i++)
		fprintf(out, "c %" PRIu32 " %" PRIu32 " %016" PRIx64
			" %s %" PRIu64 " %" PRIu64 "\n", i, chains[i].parent,
			chains[i].target, chains[i].jump ? "jump" : "call",
			chains[i].times, chains[i].count);
	fflush(out);
	counting = false;
}

static void byte(unsigned char c)
{
	if (!c) {
		if (counting)
			end();
		length = 0;
	} else if (c == '\n') {
		text[length] = '\0';
		length = 0;
		begin();
	} else if (length + 1 < sizeof(text)) {
		text[length++] = c;
	}
}

static void bit(unsigned int cpu, void *arg)
{
	static unsigned int bits, n;

	(void)cpu;
	bits |= (arg != NULL) << n;
	if (++n == 8) {
		byte(bits);
		bits = n = 0;
	}
}

static void branch(struct qemu_plugin_insn *insn, uint64_t address)
{
	const unsigned char *code = qemu_plugin_insn_data(insn);
	size_t size = qemu_plugin_insn_size(insn), i = 0;
	uint64_t target = 0;
	int32_t distance;

	/* prefixes: segments, rep and bnd, operand size, REX */
	while (i + 1 < size && (code[i] == 0x2e || code[i] == 0x3e ||
				code[i] == 0x66 || code[i] >> 1 == 0xf2 >> 1 ||
				code[i] >> 1 == 0x64 >> 1 ||
				code[i] >> 4 == 4))
		i++;
	if ((code[i] == 0xe8 || code[i] == 0xe9) && i + 5 == size) {
		memcpy(&distance, code + i + 1, sizeof(distance));
		target = address + size + distance;
	}
	if (code[i] == 0xe8 || (code[i] == 0xff && (code[i + 1] & 070) == 020))
		qemu_plugin_register_vcpu_mem_cb(insn, called,
						 QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW,
						 (void *)target);
	else if (code[i] == 0xc2 || code[i] == 0xc3)
		qemu_plugin_register_vcpu_mem_cb(insn, returned,
						 QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, NULL);
	else if (code[i] == 0xe9 ||
		 (code[i] == 0xff && (code[i + 1] & 070) == 040))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, jumped,
						       QEMU_PLUGIN_CB_NO_REGS,
						       (void *)target);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	static const unsigned char mark[] = { 0x0f, 0x1f, 0x80, 'b', 'u', 's' };
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn;
	const unsigned char *code;
	uint64_t address;

	(void)id;
	for (i = 0; i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		address = qemu_plugin_insn_vaddr(insn);
		code = qemu_plugin_insn_data(insn);
		qemu_plugin_register_vcpu_insn_exec_inline(insn,
				QEMU_PLUGIN_INLINE_ADD_U64,
				&counter(address)->count, 1);
		if (address >> 63) {
			if (!i)
				qemu_plugin_register_vcpu_insn_exec_cb(insn,
						block, QEMU_PLUGIN_CB_NO_REGS,
						(void *)address);
			qemu_plugin_register_vcpu_insn_exec_inline(insn,
					QEMU_PLUGIN_INLINE_ADD_U64, &executed,
					1);
			branch(insn, address);
		} else if (qemu_plugin_insn_size(insn) == sizeof(mark) + 1 &&
			   !memcmp(code, mark, sizeof(mark))) {
			qemu_plugin_register_vcpu_insn_exec_cb(insn, bit,
					QEMU_PLUGIN_CB_NO_REGS,
					code[sizeof(mark)] == '1' ? text : NULL);
		}
	}
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
			       char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fputs("profile: the argument is out=FILE\n", stderr);
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
