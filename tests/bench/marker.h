/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a benchmark tells tests/bench/profile: which instructions are measured,
 * and how many operations they make. Two distinctive no-ops are the bits of a
 * text; without the plugin they mean nothing.
 */
#ifndef BENCH_MARKER_H
#define BENCH_MARKER_H

#include <stdio.h>

static inline void marker_byte(unsigned char c)
{
	int i;

	for (i = 0; i < 8; i++)
		if (c >> i & 1) /* nopl 0x31737562(%rax) or 0x30737562(%rax) */
			__asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x62, 0x75, "
					 "0x73, 0x31" : : : "memory");
		else
			__asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x62, 0x75, "
					 "0x73, 0x30" : : : "memory");
}

/* From here on @operations operations are measured, all of them like @name. */
static inline void marker_begin(const char *name, unsigned long operations)
{
	char text[128];
	int i;

	snprintf(text, sizeof(text) - 1, "%lu %.90s", operations, name);
	for (i = 0; text[i]; i++)
		marker_byte(text[i]);
	marker_byte('\n');
}

static inline void marker_end(void)
{
	marker_byte(0);
}

#endif /* BENCH_MARKER_H */
