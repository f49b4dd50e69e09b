/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_VERIFY_H
#define _BUS1_TRACE_VERIFY_H

#include "stream.h"

/*
 * DOC: verify
 *
 * Whether the bus kept its order: the rules of bus1(7), on what really happened,
 * in one pass and in bounded memory. verify.c is the verb, verify-live.c its live
 * run, verify-check.c the check, verify-show.c what is said of a violation.
 *
 * b(Y), the stamp before the first link of transaction Y, is tx_commit.begun, and
 * time - queued of each receipt. known(X) is the first moment at which somebody
 * can have known of X: its tx_commit.time, or that of a receipt of any part of it.
 * If known(X) < b(Y), then X happened before Y. So it is a violation if and only
 * if a peer receives X after a Y with known(X) < b(Y), and of all Y that it
 * received the one of the largest b is enough. If only a receipt makes X known, a
 * part of X was acted on before the rest was there: not atomic. If its commit
 * does: not causal.
 *
 * Whatever is not known, be it lost, late, or from before the start, makes a b
 * smaller or a known larger: violations can be missed, none is made up. Receipts
 * of a peer are walked by receive number; one that comes out of its place tells
 * when its transaction was known, and nothing else.
 *
 * A later commit, or receipt elsewhere, can still make an X known earlier. So for
 * each X that waits for a commit or for receipts, the largest b of what came
 * before any part of it is kept, too.
 */
enum verify_rule {
	VERIFY_ATOMIC,
	VERIFY_CAUSAL,
	VERIFY_AGREEMENT, /* multicasts, in another order than their numbers */
	VERIFY_LOST, /* neither received nor discarded */
	VERIFY_MAX
};

/* A transaction, and as which receipt of the peer in question; 0 is none */
struct verify_tx {
	uint64_t peer, tx;
	uint64_t recv;
};

struct violation {
	enum verify_rule rule;
	uint64_t peer; /* where */
	/* received in the order @effect, @cause; LOST: the latter never */
	struct verify_tx cause, effect;
	uint64_t known, begun; /* of the cause, of the effect; not of AGREEMENT */
	/* LOST: message @index of the cause was sent, or discarded, at @begun, though
	 * the HANDLE_RELEASE of its @node, the effect, came at @known; or 0 */
	uint64_t node, index;
	/* whose receipt made the cause known; peer 0: its commit did */
	uint64_t known_peer, known_recv;
	uint64_t seq[2]; /* AGREEMENT: of the cause, of the effect */
};

struct verify_sums {
	uint64_t transactions, multicasts, receipts;
	uint64_t before; /* receipts of what began before the start */
	uint64_t missing; /* receive numbers without a receipt */
	uint64_t late; /* receipts out of their place */
	uint64_t forgotten; /* transactions, to stay within bounds; */
	uint64_t unknown; /* receipts that one of these may have been for */
	uint64_t waiting; /* transactions, for receipts, now */
	uint64_t violations[VERIFY_MAX];
};

/* Beside the others of bus1-trace.h */
#define EXIT_VIOLATION 4

#define VERIFY_SENDS \
	(BUS1_EVENT_BIT(EV_msg_send) | BUS1_EVENT_BIT(EV_notify_send))
#define VERIFY_EVENTS \
	(BUS1_EVENT_BIT(EV_peer_free) | BUS1_EVENT_BIT(EV_tx_commit) | \
	 BUS1_EVENT_BIT(EV_msg_recv) | BUS1_EVENT_BIT(EV_msg_discard) | \
	 BUS1_EVENT_BIT(EV_notify_recv) | BUS1_EVENT_BIT(EV_notify_drop))

/* verify-check.c */
extern struct verify_sums verify_sums;

/*
 * @start: when; @keep: how many transactions may wait for receipts; @found hears
 * of each violation, but for VERIFY_LOST.
 */
void verify_start(uint64_t start, size_t keep,
		  void (*found)(const struct violation *v));
/* In any order, but for the receipts of a peer */
void verify_event(const struct bus1_event *event, unsigned int n_args);
/*
 * At the end, at @time. Returns the first of what seems lost, or NULL: only a
 * violation if all events are there.
 */
const struct violation *verify_end(uint64_t time);

/* verify-show.c: of each event, about in order; then, what the last ones tell */
void verify_remember(const struct bus1_event *event, unsigned int n_args);
void verify_show(const struct violation *v, uint64_t start);
void verify_json(const struct violation *v);
extern const char *const verify_rules[VERIFY_MAX];

/* verify-live.c */
struct verify_run {
	/* BUS1_EVENT_BIT() of what is wanted, and cannot be done without */
	uint32_t events, required;
	double interval; /* seconds between two ticks */

	void (*start)(const struct stream_start *start);
	void (*event)(const struct bus1_event *event, unsigned int n_args);
	/* @lost: how many events, until now */
	void (*tick)(uint64_t time, uint64_t lost);
	void (*end)(uint64_t time, uint64_t lost);
};

/* Until the end, a signal, or options.seconds. Returns the exit status. */
int verify_live(const struct verify_run *run, const char *verb);

#endif /* _BUS1_TRACE_VERIFY_H */
