/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TURN_BPF_H
#define _BUS1_TURN_BPF_H

/*
 * DOC: maps that take turns
 *
 * A map in a map: the tool puts an empty one in the place of the one that is
 * counted into, which waits for the programs that still use it, and then reads
 * that at leisure. So nothing is counted twice or falls between two readings.
 */
#include <bpf/bpf_helpers.h>
#include "bus1_filter.h"
#include "bus1_match.bpf.h"

/* Of maps NAME_0 and NAME_1; the tool says how many entries they have. */
#define TURNED(name, map_type, flags, key_type, value_type)    \
	struct name##_map {                                    \
		__uint(type, map_type);                        \
		__uint(max_entries, 1);                        \
		__uint(map_flags, flags);                      \
		__type(key, key_type);                         \
		__type(value, value_type);                     \
	} name##_0 SEC(".maps"), name##_1 SEC(".maps");        \
	struct {                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);      \
		__uint(max_entries, 1);                        \
		__type(key, __u32);                            \
		__array(values, struct name##_map);            \
	} name SEC(".maps") = { .values = { &name##_0 } }

/* The entry of @key, made of @empty if need be; NULL: the map is full. */
static __always_inline void *turned_entry(void *outer, const void *key,
					  const void *empty)
{
	__u32 zero = 0;
	void *map, *value;

	map = bpf_map_lookup_elem(outer, &zero);
	if (!map)
		return NULL;
	value = bpf_map_lookup_elem(map, key);
	if (value)
		return value;
	/* another CPU may make it meanwhile */
	bpf_map_update_elem(map, key, empty, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, key);
}

/* An event that is not counted, but for what the filter could not learn of it */
static __always_inline void
learn_event(const __u64 *arg, __u32 type, const struct bus1_roles *roles)
{
	struct bus1_counts *counts;

	if (filter_event(&filter, type, arg, roles) != FILTER_FULL)
		return;
	counts = (void *)this_cpu();
	if (!counts)
		return;
	counts->of[type].seen++;
	counts->of[type].map_full++;
}

/* Calls event() of whoever includes this, with the roles that follow @type. */
#define PROGRAM(section, function, type, ...)                          \
	SEC(section)                                                   \
	int function(__u64 *arg)                                       \
	{                                                              \
		return event(arg, type,                                \
			     (struct bus1_roles){ __VA_ARGS__ });      \
	}

#endif /* _BUS1_TURN_BPF_H */
