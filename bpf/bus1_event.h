/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_EVENT_H
#define _BUS1_EVENT_H

/*
 * DOC: what the BPF programs hand to bus1-trace
 *
 * Shared by both sides; each includes its own definition of __u32 and __u64
 * first. An event's arguments keep the names and the order of kmod/trace.h.
 */

/*
 * name, number of arguments, which of them is the time, mask of those that are
 * 32 bits wide, and which is the peer that sends (or acts) and which the one
 * that receives.
 */
#define BUS1_EVENTS(X)                        \
	X(peer_new, 4, 3, 0x006, 0, 0)        \
	X(peer_free, 5, 4, 0x002, 0, 0)       \
	X(handle_new, 10, 9, 0x190, 5, 0)     \
	X(tx_commit, 8, 7, 0x03c, 0, 0)       \
	X(msg_send, 8, 7, 0x044, 0, 3)        \
	X(msg_recv, 10, 9, 0x090, 2, 0)       \
	X(msg_discard, 9, 8, 0x0c8, 1, 0)     \
	X(notify_send, 8, 7, 0x004, 0, 3)     \
	X(notify_recv, 10, 9, 0x010, 2, 0)    \
	X(notify_drop, 9, 8, 0x088, 1, 0)     \
	X(acct_reject, 12, 11, 0x30b, 2, 2)   \
	X(op_fail, 11, 5, 0x1ce, 0, 0)

/* The arguments that op_fail has of a module of schema 1.0 */
#define BUS1_OP_FAIL_1_0 6

enum bus1_event_type {
#define X(name, ...) EV_##name,
	BUS1_EVENTS(X)
#undef X
	EV_MAX
};

#define BUS1_EVENT_ARGS 12

/* The filter refused it: it serves to know the peer, and is not shown. */
#define BUS1_EVENT_CONTEXT 0x1

/* One entry of the ring; only the arguments that the event has are there. */
struct bus1_event {
	__u32 type;
	__u32 flags;
	__u32 pid; /* of the process that acts, not of the thread */
	__u32 tid;
	char comm[16];
	__u64 arg[BUS1_EVENT_ARGS];
};

/* Of one event type on one CPU. seen = handed over + all that follow. */
struct bus1_count {
	__u64 seen;
	__u64 filtered;
	__u64 ring_full;
	__u64 map_full;
};

/* The transaction (peer, tx) */
struct bus1_tx {
	__u64 peer;
	__u64 tx;
};

/* Which filters a peer satisfies, as values of the map "matches" */
#define BUS1_MATCH_PID 0x1
#define BUS1_MATCH_UID 0x2

/* Process @pid holds /dev/bus1 open as descriptor @fd. */
struct bus1_holder {
	__u32 pid;
	__u32 fd;
};

#endif /* _BUS1_EVENT_H */
