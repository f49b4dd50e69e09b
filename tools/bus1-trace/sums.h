/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_SUMS_H
#define _BUS1_TRACE_SUMS_H

#include "interval.h"
#include "bus1_sums.h"
#include "table.h"

/*
 * DOC: sums
 *
 * What bus1_sums.bpf.c added up, of all CPUs; or sums_event() of a recording. A
 * verb of interval.h has as its close, turn, read and shown what is below.
 */

/* What is to be added up; times by peer, or by peer and node, if asked for */
struct sums_want {
	enum bus1_sum_what what;
	bool by_peer, by_node;
};

/* How often what took how long */
struct times {
	uint64_t count; /* of known times */
	uint64_t unknown;
	uint64_t sum, max; /* ns */
	struct time_slot {
		uint32_t slot;
		struct bus1_slot_sum sum;
	} *slots; /* that are not empty, the shortest first */
	size_t n_slots;
};

struct sum {
	uint64_t peer; /* of a pair the sender; of times 0 is all */
	uint64_t other; /* of a pair the receiver; of times the node, 0 is all */
	enum bus1_time time;
	union {
		struct bus1_peer_sum events;
		struct bus1_pair_sum pair;
		struct times times;
	};
	struct table_entry entry;
};

/* Live: the programs, not loaded yet; or NULL, and errno. */
struct bpf_object *sums_open(const struct sums_want *want);
void sums_close(void);
int sums_turn(void);
int sums_read(void);
/* Events that sums contain, of all intervals */
extern uint64_t sums_shown[EV_MAX];

/* From a recording; what does not belong to sums is ignored. */
void sums_event(const struct sums_want *want, const struct item *item);

/*
 * What was read, or added up, since sums_forget(), in no order. The array is the
 * caller's to free.
 */
size_t sums_list(struct sum ***sums);
struct sum *sums_find(uint64_t peer, uint64_t other, enum bus1_time time);
void sums_forget(void);

/* times.c: adds to a slot; for who adds up the times of several peers. */
void times_add(struct times *times, uint32_t slot,
	       const struct bus1_slot_sum *sum);
void times_merge(struct times *times, const struct times *from);
/*
 * The time that @share of all did not exceed: never too short, and at most 1/8
 * too long.
 */
uint64_t times_quantile(const struct times *times, double share);

#endif /* _BUS1_TRACE_SUMS_H */
