/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_SUMS_H
#define _BUS1_SUMS_H

/*
 * DOC: what is added up of events
 *
 * The same code adds up in the kernel, live, and in the tool, from a recording;
 * what verbs show is made of nothing else. Shared by both sides, as bus1_event.h;
 * needs __always_inline.
 */
#include "bus1_event.h"
#include "trace_abi.h"

/* For what: the verbs that want it */
enum bus1_sum_what {
	BUS1_SUM_PEERS, /* top: struct bus1_peer_sum, by peer */
	BUS1_SUM_PAIRS, /* graph: struct bus1_pair_sum, by sender and receiver */
	BUS1_SUM_TIMES, /* latency: struct bus1_slot_sum, by struct bus1_slot_key */
};

/* Numbers of events; the sum of each is that of the events of its type. */
struct bus1_peer_sum {
	__u64 sent; /* messages, to one receiver each */
	__u64 sent_bytes;
	__u64 received;
	__u64 received_bytes;
	__u64 notified; /* notifications received */
	__u64 discarded; /* messages that it will not receive */
	__u64 refused; /* claims, for want of quota */
	__u64 failed; /* calls */
	__u64 named; /* not 0: struct bus1_who has it */
};

#define BUS1_PEER_EVENTS                                        \
	(BUS1_EVENT_BIT(EV_msg_send) | BUS1_EVENT_BIT(EV_msg_recv) | \
	 BUS1_EVENT_BIT(EV_notify_recv) | BUS1_EVENT_BIT(EV_msg_discard) | \
	 BUS1_EVENT_BIT(EV_acct_reject) | BUS1_EVENT_BIT(EV_op_fail))

struct bus1_pair_key {
	__u64 from;
	__u64 to;
};

struct bus1_pair_sum {
	__u64 messages;
	__u64 bytes;
};

#define BUS1_PAIR_EVENTS BUS1_EVENT_BIT(EV_msg_send)

/*
 * In front of the maps each CPU has an array that takes no hash to look into, and
 * that the tool reads as memory: what happens often is added up there, the rest
 * behind it. Where in it something is makes a place for each of peers of
 * successive IDs, and for each slot of the times of all peers.
 */
#define BUS1_FRONT 1024 /* a power of two */

/* Whose times */
enum bus1_by {
	BUS1_BY_ALL,
	BUS1_BY_PEER,
	BUS1_BY_NODE, /* of a peer */
};

/* How long what took */
enum bus1_time {
	BUS1_TIME_MESSAGE, /* from the begin of its transaction to its receipt */
	BUS1_TIME_NOTIFICATION, /* the same */
	BUS1_TIME_TRANSACTION, /* from begin to commit */
	BUS1_TIME_MAX
};

#define BUS1_TIME_EVENTS                                           \
	(BUS1_EVENT_BIT(EV_msg_recv) | BUS1_EVENT_BIT(EV_notify_recv) | \
	 BUS1_EVENT_BIT(EV_tx_commit))

static __always_inline __u32 bus1_sum_events(__u32 what)
{
	switch (what) {
	case BUS1_SUM_PEERS:
		return BUS1_PEER_EVENTS;
	case BUS1_SUM_PAIRS:
		return BUS1_PAIR_EVENTS;
	}
	return BUS1_TIME_EVENTS;
}

/*
 * A slot holds times of which none is more than 1/8 longer than another: each
 * power of two is divided into 8. The last but one also holds all longer ones,
 * the last those that are not known.
 */
#define BUS1_SLOT_BITS 3
#define BUS1_SLOT_PARTS 8
#define BUS1_SLOTS 320
#define BUS1_SLOT_UNKNOWN BUS1_SLOTS
/* Entries that all times together can need */
#define BUS1_SLOTS_ALL (BUS1_TIME_MAX * (BUS1_SLOTS + 1))

struct bus1_slot_key {
	__u64 peer; /* whose: receiver, or sender of a transaction; 0 is all */
	__u64 node; /* of it; 0 is all */
	__u32 time; /* enum bus1_time */
	__u32 slot;
};

struct bus1_slot_sum {
	__u64 count;
	__u64 sum; /* ns */
	__u64 max;
};

struct bus1_front {
	__u64 peer; /* the first of the key, and 1: 0 is an empty entry */
	__u64 other; /* the rest of it */
	__u64 rest;
	union {
		struct bus1_peer_sum events;
		struct bus1_pair_sum pair;
		struct bus1_slot_sum slot;
	};
};

struct bus1_cpu {
	struct bus1_counts counts;
	struct bus1_front front[2][BUS1_FRONT]; /* they take turns */
};

/* Who used, opened or named a peer; of a number of times one of the last */
struct bus1_who {
	__u32 pid; /* 0: what follows in this line is not known */
	__u32 uid; /* as peer_new has it; */
	__u32 has_uid;
	__u32 has_name;
	char comm[16];
	__u64 name[4];
};

/* The first time that belongs to @slot */
static __always_inline __u64 bus1_slot_from(__u32 slot)
{
	if (slot < BUS1_SLOT_PARTS)
		return slot;
	return (__u64)(BUS1_SLOT_PARTS | (slot & (BUS1_SLOT_PARTS - 1)))
	       << (slot / BUS1_SLOT_PARTS - 1);
}

static __always_inline __u32 bus1_slot(__u64 time)
{
	__u64 v = time, slot = 0;

	if (time >= bus1_slot_from(BUS1_SLOTS))
		return BUS1_SLOTS - 1;
	/*
	 * Shifted until it is less than 2 * BUS1_SLOT_PARTS; by branches, since
	 * BPF has no conditional moves, and clang would imitate them.
	 */
#define SHIFT(n)                                                       \
	do {                                                           \
		if (v >= (__u64)BUS1_SLOT_PARTS << (n)) {              \
			__asm__ volatile("" : "+r"(v));                \
			v >>= (n);                                     \
			slot += (n) * BUS1_SLOT_PARTS;                 \
		}                                                      \
	} while (0)
	SHIFT(32);
	SHIFT(16);
	SHIFT(8);
	SHIFT(4);
	SHIFT(2);
	SHIFT(1);
#undef SHIFT
	return slot + v;
}

/* Whose sum an event of BUS1_PEER_EVENTS belongs to */
static __always_inline __u64 bus1_sum_peer(__u32 type, const __u64 *arg)
{
	/* each open() that is refused has an ID of its own, used by nobody */
	if (type == EV_acct_reject)
		return (__u32)arg[9] == BUS1_OP_OPEN ? 0 : arg[2];
	return arg[0];
}

static __always_inline void bus1_sum_add(struct bus1_peer_sum *sum,
					 __u32 type, const __u64 *arg)
{
	switch (type) {
	case EV_msg_send:
		sum->sent++;
		sum->sent_bytes += arg[5];
		break;
	case EV_msg_recv:
		sum->received++;
		sum->received_bytes += arg[6];
		break;
	case EV_notify_recv:
		sum->notified++;
		break;
	case EV_msg_discard:
		sum->discarded++;
		break;
	case EV_acct_reject:
		sum->refused++;
		break;
	case EV_op_fail:
		sum->failed++;
		break;
	}
}

/*
 * Where the time that an event of BUS1_TIME_EVENTS says belongs to, of all peers
 * and nodes; @by_peer, @by_node: of this one.
 */
static __always_inline void bus1_time_of(__u32 type, const __u64 *arg,
					 int by_peer, int by_node,
					 struct bus1_slot_key *key, __u64 *time)
{
	__u64 known;

	if (type == EV_tx_commit) {
		known = arg[6];
		key->time = BUS1_TIME_TRANSACTION;
		*time = known ? arg[7] - known : 0;
	} else {
		known = arg[8];
		key->time = type == EV_msg_recv ? BUS1_TIME_MESSAGE :
						  BUS1_TIME_NOTIFICATION;
		*time = known;
	}
	key->peer = by_peer ? arg[0] : 0;
	key->node = by_node && type == EV_msg_recv ? arg[5] : 0;
	key->slot = known ? bus1_slot(*time) : BUS1_SLOT_UNKNOWN;
}

#endif /* _BUS1_SUMS_H */
