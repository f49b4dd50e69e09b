/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_TURN_H
#define _BUS1_TRACE_TURN_H

#include <stdint.h>
#include "bus1-trace.h"

struct bpf_map;
struct bpf_object;

/* Maps of bus1_turn.bpf.h: one is counted into, the other read and emptied. */
struct turned {
	struct bpf_map *outer, *inner[2];
	uint32_t entries;
	int now; /* which is counted into */
};

/* Before @object is loaded. 0, or a negative errno, as all that follow. */
int turned_make(struct turned *t, struct bpf_object *object, const char *name,
		uint32_t entries);
/* Once it returns no program still counts into the map that was. */
int turned_turn(struct turned *t);
/*
 * Empties that; @each gets every entry: @n values, one of each CPU if the map
 * has such.
 */
int turned_take(const struct turned *t,
		void (*each)(const void *key, const void *values, size_t n));

#endif /* _BUS1_TRACE_TURN_H */
