/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_EVENT_H
#define _BUS1_EVENT_H

/*
 * DOC: what the BPF programs hand to bus1-trace
 *
 * Shared by both sides; each includes its own definition of __u32 and __u64
 * first. An event's arguments keep the names and the order of kmod/trace.h.
 */

/* In the table below: no argument of the event is that. */
#define NO 0xff

/*
 * name, number of arguments, which of them is the time, mask of those that are
 * 32 bits wide, which is the peer that sends (or acts) and which the one that
 * receives, and which two are the node, by the peer that owns it and its ID.
 */
#define BUS1_EVENTS(X)                              \
	X(peer_new, 4, 3, 0x006, 0, 0, NO, NO)      \
	X(peer_name, 6, 5, 0x000, 0, 0, NO, NO)     \
	X(peer_free, 5, 4, 0x002, 0, 0, NO, NO)     \
	X(node_new, 3, 2, 0x000, 0, 0, 0, 1)        \
	X(node_release, 5, 4, 0x008, 0, 0, 0, 1)    \
	X(node_free, 3, 2, 0x000, 0, 0, 0, 1)       \
	X(handle_new, 10, 9, 0x190, 5, 0, 2, 3)     \
	X(handle_release, 6, 5, 0x010, 0, 0, 2, 3)  \
	X(handle_free, 5, 4, 0x000, 0, 0, 2, 3)     \
	X(tx_begin, 7, 6, 0x03c, 0, 0, NO, NO)      \
	X(tx_commit, 9, 7, 0x03c, 0, 0, NO, NO)     \
	X(msg_send, 9, 7, 0x044, 0, 3, 3, 4)        \
	X(msg_recv, 11, 9, 0x090, 2, 0, 0, 5)       \
	X(msg_discard, 10, 8, 0x0c8, 1, 0, 0, 4)     \
	X(notify_send, 8, 7, 0x004, 0, 3, 5, 6)     \
	X(notify_recv, 11, 9, 0x010, 2, 0, 6, 7)    \
	X(notify_drop, 10, 8, 0x088, 1, 0, 5, 6)     \
	X(recv_wait, 4, 3, 0x004, 0, 0, NO, NO)     \
	X(acct_charge, 11, 10, 0x00b, 2, 2, NO, NO) \
	X(acct_discharge, 11, 10, 0x00b, 2, 2, NO, NO) \
	X(acct_reject, 12, 11, 0x30b, 2, 2, NO, NO) \
	X(op_fail, 11, 5, 0x1ce, 0, 0, NO, NO)

enum bus1_event_type {
#define X(name, ...) EV_##name,
	BUS1_EVENTS(X)
#undef X
	EV_MAX,
	/* Not events; they come right before the event that they belong to. */
	EV_STACK = EV_MAX,
	EV_PAYLOAD,
};

/*
 * Of the @n arguments of an event, those that a module of schema 1.@minor gives.
 * The others are at the end.
 */
static inline __u32 bus1_event_args(__u32 type, __u32 n, __u32 minor)
{
	if (type == EV_op_fail && minor < 1)
		return 6;
	if (type == EV_msg_send && minor < 2)
		return 8;
	if ((type == EV_tx_commit || type == EV_msg_recv ||
	     type == EV_msg_discard || type == EV_notify_recv ||
	     type == EV_notify_drop) && minor < 3)
		return n - 1;
	return n;
}

#define BUS1_EVENT_BIT(type) (1u << (type))
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
	__u64 cgroup; /* its ID in the unified hierarchy, 0 if not asked for */
	__u64 arg[BUS1_EVENT_ARGS];
};

/* EV_STACK: where in its program the task is, innermost first */
#define BUS1_STACK_MAX 48

struct bus1_stack {
	__u32 type;
	__u32 n;
	__u32 pid;
	__u32 tid;
	__u64 ip[BUS1_STACK_MAX]; /* n of them */
};

/* EV_PAYLOAD: how message (peer, tx, index) begins */
#define BUS1_PAYLOAD_MAX 4096

struct bus1_bytes {
	__u32 type;
	__u32 n;
	__u64 peer;
	__u64 tx;
	__u64 index;
	__u8 data[BUS1_PAYLOAD_MAX]; /* n of them */
};

enum bus1_verdict {
	FILTER_PASS,
	FILTER_CONTEXT, /* not wanted, but tells about what is */
	FILTER_NO,
	FILTER_FULL, /* no room to remember */
};

/* An event's arguments by their meaning, as BUS1_EVENTS() has them */
struct bus1_roles {
	__u8 n, time, from, to, node_peer, node;
};

/* Of one event type on one CPU. seen = handed over + all that follow. */
struct bus1_count {
	__u64 seen;
	__u64 filtered;
	__u64 ring_full;
	__u64 map_full;
};

struct bus1_counts {
	struct bus1_count of[EV_MAX];
};

/* Filters that a peer or a task may satisfy */
#define BUS1_MATCH_PID 0x1
#define BUS1_MATCH_UID 0x2
#define BUS1_MATCH_COMM 0x4
#define BUS1_MATCH_CGROUP 0x8

/* What events are about */
#define BUS1_CLASS_MESSAGE 0x01
#define BUS1_CLASS_NOTIFICATION 0x02
#define BUS1_CLASS_HANDLE 0x04
#define BUS1_CLASS_NODE 0x08
#define BUS1_CLASS_PEER 0x10
#define BUS1_CLASS_ACCOUNT 0x20
#define BUS1_CLASS_FAILURE 0x40
#define BUS1_CLASS_WAIT 0x80

/* A member that is 0 does not filter. */
struct bus1_filter {
	__u64 peer;
	__u64 node_peer; /* with node: the peer that owns it */
	__u64 node;
	__u64 latency; /* ns at least */
	__u64 comm[2]; /* as the kernel keeps it */
	__u32 pid;
	__u32 uid;
	__u32 bits; /* BUS1_MATCH_*: which of pid, uid, comm, cgroup filter */
	__u32 classes; /* BUS1_CLASS_* */
	__u32 failures; /* only what went wrong */
	__u32 any; /* whether one of the above is not 0 */
};

/* The transaction (peer, tx) */
struct bus1_tx {
	__u64 peer;
	__u64 tx;
};

/* Process @pid holds /dev/bus1 open as descriptor @fd. */
struct bus1_holder {
	__u32 pid;
	__u32 fd;
};

#endif /* _BUS1_EVENT_H */
