// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the check
 *
 * See verify.h. A transaction is forgotten when it is committed and all its parts
 * were received or discarded; the oldest one when too many wait. A peer keeps the
 * one of its last receipt, because notifications of handles that were dead on
 * arrival follow their message, and are not counted in its commit.
 */
#include <stdlib.h>
#include <string.h>
#include "table.h"
#include "verify.h"

/* Addressees that all transactions together may wait for, for each of them */
#define PARTS 4
/* How long after the receipt of an effect its cause counts as lost */
#define GRACE 1000000000ULL
/* Peers, and nodes that are gone: more are only there if ends were lost. */
#define RECEIVERS (1 << 16)
#define GONE (1 << 14)
/* Gaps of receive numbers, which are no gaps if they are behind the end */
#define GAPS (1 << 12)

/* Of all that a peer received until @time that which began last */
struct mark {
	struct verify_tx tx;
	uint64_t begun, time;
};

/* An addressee of a transaction, that many times */
struct part {
	struct table_entry entry;
	struct part *next; /* of the same transaction */
	const struct tx *tx;
	uint64_t peer;
	uint64_t n;
};

struct tx {
	struct table_entry entry;
	struct tx *older, *newer; /* of those that wait */
	uint64_t peer, tx;
	uint64_t begun, committed; /* 0 is unknown */
	uint64_t received, received_peer, received_recv; /* its first receipt */
	/* before a part of it peer @at received @before, as its @recv */
	struct mark before;
	uint64_t at, recv;
	uint32_t messages, notifications; /* of the commit; */
	uint32_t messages_done, notifications_done; /* received or discarded */
	uint32_t held; /* by peers */
	bool waits, bad;
	struct part *parts; /* that are not done, as far as sends are seen */
};

struct receiver {
	struct table_entry entry;
	uint64_t id;
	uint64_t recv, time; /* of its last receipt */
	struct mark best; /* now, */
	struct mark settled[2]; /* and some time ago, the newer one first */
	struct verify_tx seq_tx; /* of the largest number */
	uint64_t seq;
	struct tx *last;
	struct receiver *older, *newer; /* by their last receipt */
};

/* A node that is gone: by which HANDLE_RELEASE, or that discarded message */
struct gone {
	struct table_entry entry;
	uint64_t peer, node, time;
	struct verify_tx by;
	uint64_t index;
	bool discarded;
};

struct verify_sums verify_sums;

static struct table txs, receivers, parts, gone;
static struct receiver *longest_ago, *last_one;
static struct gone nodes[GONE];
static size_t n_nodes;
static struct {
	uint64_t n, time;
} gaps[GAPS];
static size_t n_gaps;
static struct tx *oldest, *newest;
static struct tx *spare;
/* The next event is often about the same. */
static struct tx *recent;
static struct receiver *recent_receiver;
static size_t max;
static uint64_t started;
static void (*report)(const struct violation *v);
static struct violation lost;
static bool has_lost;

static void *allocate(size_t size)
{
	void *p = calloc(1, size);

	if (!p) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	return p;
}

static struct tx *tx_find(uint64_t peer, uint64_t tx)
{
	struct table_entry *e;

	if (recent && recent->peer == peer && recent->tx == tx)
		return recent;
	e = table_first(&txs, table_hash(peer, tx, 0));
	for (; e; e = table_next(e)) {
		struct tx *x = table_item(struct tx, e);

		if (x->peer != peer || x->tx != tx)
			continue;
		recent = x;
		return x;
	}
	return NULL;
}

/* Nobody needs it any more. */
static void tx_put(struct tx *x)
{
	struct part *part;

	if (x->waits || x->held)
		return;
	while ((part = x->parts)) {
		x->parts = part->next;
		table_remove(&parts, &part->entry);
		free(part);
	}
	table_remove(&txs, &x->entry);
	if (recent == x)
		recent = NULL;
	x->newer = spare;
	spare = x;
}

static void tx_done(struct tx *x)
{
	if (!x->waits)
		return;
	x->waits = false;
	*(x->older ? &x->older->newer : &oldest) = x->newer;
	*(x->newer ? &x->newer->older : &newest) = x->older;
	verify_sums.waiting--;
	tx_put(x);
}

static uint64_t known(const struct tx *x)
{
	if (!x->received || (x->committed && x->committed < x->received))
		return x->committed;
	return x->received;
}

static struct receiver *receiver_find(uint64_t id)
{
	struct table_entry *e;

	if (recent_receiver && recent_receiver->id == id)
		return recent_receiver;
	e = table_first(&receivers, table_hash(id, 0, 0));
	while (e && table_item(struct receiver, e)->id != id)
		e = table_next(e);
	if (!e)
		return NULL;
	recent_receiver = table_item(struct receiver, e);
	return recent_receiver;
}

/*
 * Whoever discards something claims it, and says so afterwards. So an effect that
 * was received just now does not prove that its cause will not be heard of.
 */
static void look_for_lost(const struct tx *x, uint64_t now)
{
	const struct part *part;

	/* Of an earlier one an end may have been missed. */
	if (has_lost || !known(x) || x->begun < started)
		return;
	for (part = x->parts; part; part = part->next) {
		const struct receiver *r = receiver_find(part->peer);
		const struct mark *mark;

		if (!part->n || !r || now < GRACE)
			continue;
		mark = &r->best;
		if (mark->time > now - GRACE)
			mark = &r->settled[0];
		if (mark->time > now - GRACE)
			mark = &r->settled[1];
		if (mark->time > now - GRACE || mark->begun <= known(x))
			continue;
		has_lost = true;
		lost = (struct violation){
			.rule = VERIFY_LOST,
			.peer = r->id,
			.cause = { x->peer, x->tx, 0 },
			.effect = mark->tx,
			.known = known(x),
			.begun = mark->begun,
		};
		if (known(x) != x->committed) {
			lost.known_peer = x->received_peer;
			lost.known_recv = x->received_recv;
		}
		return;
	}
}

static void found(const struct violation *v)
{
	verify_sums.violations[v->rule]++;
	report(v);
}

/*
 * Whether @x was known before something began that came before a part of it. By
 * what, is said when its commit is there, or, @last, will not come.
 */
static void check(struct tx *x, bool last)
{
	struct violation v = { .known = known(x) };

	if (x->bad || !v.known || v.known >= x->before.begun ||
	    (!x->committed && !last))
		return;
	x->bad = true;
	v.rule = VERIFY_ATOMIC;
	if (x->committed && x->committed < x->before.begun)
		v.rule = VERIFY_CAUSAL;
	if (v.known != x->committed) {
		v.known_peer = x->received_peer;
		v.known_recv = x->received_recv;
	}
	v.peer = x->at;
	v.cause = (struct verify_tx){ x->peer, x->tx, x->recv };
	v.effect = x->before.tx;
	v.begun = x->before.begun;
	found(&v);
}

/* It waits for something that was lost, or for a receiver that does not read. */
static void forget(struct tx *x, uint64_t now)
{
	check(x, true);
	look_for_lost(x, now);
	verify_sums.forgotten++;
	if (!x->committed && x->begun >= started)
		verify_sums.unknown++;
	tx_done(x);
}

static struct tx *tx_get(uint64_t peer, uint64_t tx, uint64_t now)
{
	struct tx *x = tx_find(peer, tx);

	if (x)
		return x;
	while (verify_sums.waiting >= max ||
	       (oldest && parts.n >= max * PARTS))
		forget(oldest, now);
	if (spare) {
		x = spare;
		spare = x->newer;
		memset(x, 0, sizeof(*x));
	} else {
		x = allocate(sizeof(*x));
	}
	x->peer = peer;
	x->tx = tx;
	x->waits = true;
	x->older = newest;
	*(newest ? &newest->newer : &oldest) = x;
	newest = x;
	verify_sums.waiting++;
	table_add(&txs, &x->entry, table_hash(peer, tx, 0));
	recent = x;
	return x;
}

static void receiver_last(struct receiver *r, struct tx *x)
{
	struct tx *last = r->last;

	if (last == x)
		return;
	r->last = x;
	if (x)
		x->held++;
	if (last) {
		last->held--;
		tx_put(last);
	}
}

static void receiver_unlink(struct receiver *r)
{
	*(r->older ? &r->older->newer : &longest_ago) = r->newer;
	*(r->newer ? &r->newer->older : &last_one) = r->older;
}

static void receiver_free(struct receiver *r)
{
	receiver_last(r, NULL);
	receiver_unlink(r);
	table_remove(&receivers, &r->entry);
	if (recent_receiver == r)
		recent_receiver = NULL;
	free(r);
}

/* It is the last one from here on. */
static struct receiver *receiver_get(uint64_t id)
{
	struct receiver *r = receiver_find(id);

	if (r && r == last_one)
		return r;
	if (r) {
		receiver_unlink(r);
	} else {
		if (receivers.n >= RECEIVERS) {
			receiver_free(longest_ago);
			verify_sums.forgotten++;
			verify_sums.unknown++;
		}
		r = allocate(sizeof(*r));
		r->id = id;
		table_add(&receivers, &r->entry, table_hash(id, 0, 0));
	}
	r->older = last_one;
	r->newer = NULL;
	*(last_one ? &last_one->newer : &longest_ago) = r;
	last_one = r;
	return r;
}

static void check_done(struct tx *x)
{
	if (x->committed && x->messages_done >= x->messages &&
	    x->notifications_done >= x->notifications)
		tx_done(x);
}

static void commit(const __u64 *a)
{
	struct tx *x;

	/* Not all events were seen of what began before, and maybe ended. */
	if (a[6] < started) {
		if (!tx_find(a[0], a[1]))
			return;
	} else {
		verify_sums.transactions++;
		verify_sums.multicasts += a[3] > 1;
	}
	if (!a[4] && !a[5]) /* nobody receives of it */
		return;
	x = tx_get(a[0], a[1], a[7]);
	if (!x->begun)
		x->begun = a[6];
	x->committed = a[7];
	x->messages = a[4];
	x->notifications = a[5];
	check(x, false);
	check_done(x);
}

static struct part *part_find(const struct tx *x, uint64_t peer)
{
	struct table_entry *e;

	e = table_first(&parts, table_hash(x->peer, x->tx, peer));
	for (; e; e = table_next(e)) {
		struct part *part = table_item(struct part, e);

		if (part->tx == x && part->peer == peer)
			return part;
	}
	return NULL;
}

static void part_add(uint64_t peer, uint64_t tx, uint64_t receiver,
		     uint64_t now)
{
	struct tx *x;
	struct part *part;

	if (now < started)
		return;
	x = tx_get(peer, tx, now);
	part = part_find(x, receiver);
	if (!x->begun)
		x->begun = now;
	if (!part) {
		part = allocate(sizeof(*part));
		part->tx = x;
		part->peer = receiver;
		part->next = x->parts;
		x->parts = part;
		table_add(&parts, &part->entry, table_hash(peer, tx, receiver));
	}
	part->n++;
}

static void part_done(struct tx *x, uint64_t receiver, bool message)
{
	struct part *part = x->parts ? part_find(x, receiver) : NULL;

	if (message)
		x->messages_done++;
	else
		x->notifications_done++;
	if (part && part->n)
		part->n--;
}

/*
 * Of a destination that was dead before the transaction began there is a discard,
 * too, but no part.
 */
static void discard(const __u64 *a, uint64_t tx_peer, uint64_t tx, bool message,
		    uint64_t time)
{
	struct tx *x = tx_find(tx_peer, tx);

	if (!x || !x->begun || time < x->begun)
		return;
	part_done(x, a[0], message);
	check_done(x);
}

/* Multicasts come by number; the parts of one for one peer have the same. */
static void check_seq(struct receiver *r, const struct verify_tx *tx,
		      uint64_t seq)
{
	struct violation v = {
		.rule = VERIFY_AGREEMENT,
		.peer = r->id,
		.cause = *tx,
		.effect = r->seq_tx,
		.seq = { seq, r->seq },
	};

	if (seq < r->seq ||
	    (seq == r->seq && (tx->peer != r->seq_tx.peer ||
			       tx->tx != r->seq_tx.tx))) {
		found(&v);
		return;
	}
	r->seq = seq;
	r->seq_tx = *tx;
}

static struct gone *gone_find(uint64_t peer, uint64_t node)
{
	struct table_entry *e = table_first(&gone, table_hash(peer, node, 0));

	for (; e; e = table_next(e)) {
		struct gone *g = table_item(struct gone, e);

		if (g->peer == peer && g->node == node)
			return g;
	}
	return NULL;
}

static void gone_add(const struct gone *what)
{
	struct gone *g = &nodes[n_nodes % GONE];

	if (n_nodes++ >= GONE)
		table_remove(&gone, &g->entry);
	*g = *what;
	table_add(&gone, &g->entry, table_hash(g->peer, g->node, 0));
}

static void found_gone(const struct gone *message, const struct gone *release)
{
	found(&(struct violation){
		.rule = VERIFY_LOST,
		.peer = message->peer,
		.cause = message->by,
		.effect = release->by,
		.index = message->index,
		.node = message->node,
		.known = release->time,
		.begun = message->time,
	});
}

/*
 * A SEND holds the handles that it sends through until its messages are
 * published. So all of them are received before the HANDLE_RELEASE of their node,
 * unless its owner released the node: then that one does not come.
 */
static void check_gone(uint64_t peer, uint64_t node, const __u64 *a,
		       uint64_t time, bool discarded)
{
	const struct gone message = {
		.peer = peer,
		.node = node,
		.time = time,
		.by = { a[0], a[1], 0 },
		.index = a[2],
		.discarded = true,
	};
	const struct gone *g = gone_find(peer, node);

	if (!g && discarded)
		gone_add(&message);
	else if (g && !g->discarded && (discarded || time >= g->time))
		found_gone(&message, g);
}

static void check_release(const __u64 *a)
{
	const struct gone release = {
		.peer = a[0],
		.node = a[7],
		.time = a[9],
		.by = { a[2], a[3], a[1] },
	};
	const struct gone *g;

	if (a[4] != BUS1_KIND_HANDLE_RELEASE)
		return;
	g = gone_find(release.peer, release.node);
	if (!g)
		gone_add(&release);
	else if (g->discarded)
		found_gone(g, &release);
}

static void settle(struct receiver *r, uint64_t time)
{
	if (time < r->settled[0].time + GRACE)
		return;
	r->settled[1] = r->settled[0];
	r->settled[0] = r->best;
}

static void receive(const __u64 *a, unsigned int n_args, bool message)
{
	const uint64_t recv = a[1], queued = a[8], time = a[9];
	const struct verify_tx tx = { a[2], a[3], recv };
	struct receiver *r = receiver_get(a[0]);
	struct tx *x = tx_get(tx.peer, tx.tx, time);

	verify_sums.receipts += time >= started;
	if (!x->begun && queued < time)
		x->begun = queued ? time - queued : 0;
	verify_sums.before += x->begun < started && time >= started;
	if (!x->received || time < x->received) {
		x->received = time;
		x->received_peer = r->id;
		x->received_recv = recv;
	}
	if (recv <= r->recv) {
		verify_sums.late++;
	} else {
		if (r->recv && r->time >= started && recv > r->recv + 1) {
			verify_sums.missing += recv - r->recv - 1;
			gaps[n_gaps % GAPS].n = recv - r->recv - 1;
			gaps[n_gaps++ % GAPS].time = time;
		}
		settle(r, time);
		if (r->best.begun > x->before.begun) {
			x->before = r->best;
			x->at = r->id;
			x->recv = recv;
		}
		if (x->begun > r->best.begun)
			r->best = (struct mark){ tx, x->begun, time };
		if (n_args > 10 && a[10])
			check_seq(r, &tx, a[10]);
		r->recv = recv;
		r->time = time;
		r->best.time = time;
	}
	check(x, !x->waits);
	part_done(x, r->id, message);
	receiver_last(r, x);
	check_done(x);
	/* its commit may have been before the start */
	if (x->begun < started)
		tx_done(x);
}

void verify_event(const struct bus1_event *event, unsigned int n_args)
{
	const __u64 *a = event->arg;
	struct receiver *r;

	switch (event->type) {
	case EV_peer_free:
		r = receiver_find(a[0]);
		if (r)
			receiver_free(r);
		break;
	case EV_tx_commit:
		commit(a);
		break;
	case EV_msg_send:
		check_gone(a[3], a[4], &a[0], a[7], false);
		part_add(a[0], a[1], a[3], a[7]);
		break;
	case EV_notify_send:
		part_add(a[0], a[1], a[3], a[7]);
		break;
	case EV_msg_recv:
	case EV_notify_recv:
		receive(a, n_args, event->type == EV_msg_recv);
		if (event->type == EV_notify_recv)
			check_release(a);
		break;
	case EV_msg_discard:
		if (a[7] == BUS1_WHY_RELEASED)
			check_gone(a[0], a[4], &a[1], a[8], true);
		discard(a, a[1], a[2], true, a[8]);
		break;
	case EV_notify_drop:
		discard(a, a[1], a[2], false, a[8]);
		break;
	}
}

void verify_start(uint64_t start, size_t keep,
		  void (*f)(const struct violation *v))
{
	started = start;
	max = keep;
	report = f;
}

const struct violation *verify_end(uint64_t time)
{
	size_t n = n_gaps < GAPS ? n_gaps : GAPS;
	struct tx *x;

	/* Behind the end, probes are detached one after the other. */
	while (n--)
		if (gaps[n].time > time)
			verify_sums.missing -= gaps[n].n;
	n_gaps = 0;
	for (x = oldest; x; x = x->newer) {
		check(x, true);
		look_for_lost(x, time);
		/* one whose commit came after the end is not missed */
		if (verify_sums.forgotten && !x->committed &&
		    x->begun >= started)
			verify_sums.unknown++;
	}
	return has_lost ? &lost : NULL;
}
