/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_CAUSE_H
#define _BUS1_TRACE_CAUSE_H

#include "bus1-trace.h"
#include "table.h"

/*
 * DOC: cause
 *
 * What had to happen before what, as far as the bus can tell. The graph is of
 * calls: transactions, and receipts of messages and notifications. One came
 * before another if there is a path of these steps:
 *
 *   thread   the same thread called later; any number of its calls in between
 *            are one step
 *   message  it is a receipt of a part of that transaction
 *   queue    the same peer received later, in whatever thread: deliveries of one
 *            peer commit one after the other
 *   peer     it is a SEND, TRANSFER or RELEASE of the peer that had received,
 *            begun after that, in whatever thread: the kernel keeps these in
 *            order. Whoever closes or drops may know nothing of the peer.
 *   handle   it sent through a handle that the other call made: cause_link()
 *
 * So a transaction is known from its return on in its own thread, and from each
 * receipt on elsewhere. A thread is one pid and tid: whether both were given to
 * another process in the meantime, no event says. What is missing (lost, or
 * forgotten) can hide a path but never make one: threads and queues stay in order
 * around a gap. What happened outside the bus, by a pipe or in shared memory, is
 * not in it.
 *
 * Events are hostile: whatever they claim, paths are found in linear time, once
 * what is of one peer was sorted. If they contradict each other, each of two
 * calls can be before the other.
 */
enum call_type {
	CALL_TX, /* (peer of the sender, tx) */
	CALL_RECEIPT, /* (peer of the receiver, receive number) */
};

/* How a step of a chain follows from the one before */
enum cause_how {
	CAUSE_FIRST, /* from none: the chain begins with it */
	CAUSE_THREAD,
	CAUSE_MESSAGE,
	CAUSE_QUEUE,
	CAUSE_PEER,
	CAUSE_HANDLE,
};

/* @to made use of what @from brought; NULL: that has been forgotten */
struct cause_link {
	struct call *from, *to;
	struct cause_link *next_use, *next_origin; /* of @from, of @to */
};

struct call {
	enum call_type type;
	uint64_t peer, number;
	uint32_t pid, tid; /* tid 0: of a transaction, not known by whom */
	char comm[COMM_LEN];
	/*
	 * ns, 0 is unknown. Of a transaction, before its first link (its
	 * messages say that, too) and after its publication; a receipt has its
	 * commit in both.
	 */
	uint64_t begun, time;
	union {
		struct {
			uint32_t kind; /* BUS1_TX_* */
			uint32_t receivers, messages, notifications;
			uint64_t seq; /* of a multicast; 0: none, or unknown */
			struct call *receipts; /* by sibling, in no order */
		} tx;
		struct {
			uint32_t kind; /* BUS1_KIND_*, 0: a message */
			uint32_t index; /* of a message */
			uint64_t queued; /* ns, 0 is unknown */
			uint64_t node_peer, node;
			/* of what; NULL: that has been forgotten */
			struct call *tx, *sibling;
			uint64_t tx_peer, tx_number;
		} receipt;
	};

	/* By stamp in a thread, by receive number in a queue; NULL at the ends */
	struct call *thread_prev, *thread_next;
	struct call *queue_prev, *queue_next;
	/*
	 * Since the last search. All of a peer, by stamp; and of a transaction,
	 * the last receipt of its peer before it began
	 */
	struct call *peer_next, *peer_last;
	struct cause_link *uses, *origins;
	uint32_t marks; /* cause_mark() */
	/* Of the last search that found it: from where, how, after how many */
	struct call *from;
	enum cause_how how;
	uint32_t depth;

	/* cause.c's own */
	struct call *older, *newer; /* by when they were added */
	struct lane *thread, *queue;
	uint32_t visited, walked_thread, walked_queue, walked_peer;
	struct table_entry entry;
};

struct cause;

/* With room for @max calls, after which the oldest are forgotten; 0: all */
struct cause *cause_new(size_t max);
void cause_free(struct cause *cause);

/*
 * tx_begin, tx_commit, msg_recv, notify_recv, about in the order of their
 * stamps; others change nothing. Returns what @event is about, valid until it is
 * forgotten, or NULL. A transaction that is known by a receipt alone is there,
 * too, without thread and time.
 */
struct call *cause_add(struct cause *cause, const struct bus1_event *event,
		       unsigned int n_args);

/* @to could not have been without @from: it sent through a handle of that */
void cause_link(struct call *from, struct call *to);

/* NULL: not there */
struct call *cause_tx(const struct cause *cause, uint64_t peer, uint64_t tx);
struct call *cause_receipt(const struct cause *cause, uint64_t peer,
			   uint64_t number);
/* All, from the oldest on, by ->newer */
struct call *cause_oldest(const struct cause *cause);
/*
 * How many are there; of all that were added, how many were forgotten; and how
 * many are too far from their place to have been put there.
 */
size_t cause_count(const struct cause *cause, uint64_t *forgotten,
		   uint64_t *misplaced);
/* Forgets the oldest; to bound it by something else than their number */
void cause_forget(struct cause *cause);

/*
 * The shortest chain from @from to @to, both included, in which each happened
 * before the next. Returns its length, 0 if there is none; *@chain is the
 * caller's to free, if it is not NULL.
 */
struct cause_step {
	const struct call *call;
	enum cause_how how;
};

size_t cause_chain(struct cause *cause, struct call *from, struct call *to,
		   struct cause_step **chain);

/*
 * Sets @mark in all that came before (@past) or after @call, not in itself
 * unless that is on a circle. Returns how many these are. Of each, ->from is then
 * what it is next to on the way to @call, and ->depth how far away that is; into
 * the past each call of a thread or a queue is a step.
 */
size_t cause_mark(struct cause *cause, struct call *call, bool past,
		  uint32_t mark);

/* As explain takes it: "5:12", "recv:4.17" */
#define CALL_NAME 64
const char *call_name(char *buf, const struct call *call);
/* "thread", "message", ... */
const char *how_word(enum cause_how how);
/* When it is known to have happened: as it stands in the order of its thread */
uint64_t call_stamp(const struct call *call);

#endif /* _BUS1_TRACE_CAUSE_H */
