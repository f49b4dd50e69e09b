// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cause.h"

/*
 * How far an event may be from its place. Of a thread, and of a peer, next to
 * none are; a file may claim anything, and shall not take time for it.
 */
#define PLACES 512

struct lane { /* the calls of a thread, or the receipts of a peer */
	uint64_t id;
	struct call *last;
	struct table_entry entry;
};

struct cause {
	struct table calls, threads, queues;
	struct call *oldest, *newest;
	size_t max;
	uint64_t forgotten, misplaced;
	uint32_t epoch; /* of the search that runs */
	bool sorted; /* what is of each peer, by stamp */
};

static void *allocate(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	return p;
}

uint64_t call_stamp(const struct call *call)
{
	return call->begun ? call->begun : call->time;
}

const char *call_name(char *buf, const struct call *call)
{
	snprintf(buf, CALL_NAME,
		 call->type == CALL_TX ? "%" PRIu64 ":%" PRIu64 :
					 "recv:%" PRIu64 ".%" PRIu64,
		 call->peer, call->number);
	return buf;
}

const char *how_word(enum cause_how how)
{
	static const char *const words[] = {
		[CAUSE_FIRST] = "first",
		[CAUSE_THREAD] = "thread",
		[CAUSE_MESSAGE] = "message",
		[CAUSE_QUEUE] = "queue",
		[CAUSE_PEER] = "peer",
		[CAUSE_HANDLE] = "handle",
	};

	return words[how];
}

struct cause *cause_new(size_t max)
{
	struct cause *cause = allocate(1, sizeof(*cause));

	cause->max = max;
	return cause;
}

static struct call *call_find(const struct cause *cause, enum call_type type,
			      uint64_t peer, uint64_t number)
{
	struct table_entry *e = table_first(&cause->calls,
					    table_hash(type, peer, number));

	for (; e; e = table_next(e)) {
		struct call *call = table_item(struct call, e);

		if (call->type == type && call->peer == peer &&
		    call->number == number)
			return call;
	}
	return NULL;
}

struct call *cause_tx(const struct cause *cause, uint64_t peer, uint64_t tx)
{
	return call_find(cause, CALL_TX, peer, tx);
}

struct call *cause_receipt(const struct cause *cause, uint64_t peer,
			   uint64_t number)
{
	return call_find(cause, CALL_RECEIPT, peer, number);
}

struct call *cause_oldest(const struct cause *cause)
{
	return cause->oldest;
}

size_t cause_count(const struct cause *cause, uint64_t *forgotten,
		   uint64_t *misplaced)
{
	*forgotten = cause->forgotten;
	*misplaced = cause->misplaced;
	return cause->calls.n;
}

static struct lane *lane_get(struct table *lanes, uint64_t id)
{
	uint64_t hash = table_hash(id, 0, 0);
	struct table_entry *e = table_first(lanes, hash);
	struct lane *lane;

	for (; e; e = table_next(e))
		if (table_item(struct lane, e)->id == id)
			return table_item(struct lane, e);
	lane = allocate(1, sizeof(*lane));
	lane->id = id;
	table_add(lanes, &lane->entry, hash);
	return lane;
}

static void lane_put(struct table *lanes, struct lane *lane)
{
	if (lane->last)
		return;
	table_remove(lanes, &lane->entry);
	free(lane);
}

/* Behind all that are not later. One that is not placed has no such links. */
static void thread_place(struct cause *cause, struct call *call)
{
	struct lane *lane = lane_get(&cause->threads,
				     (uint64_t)call->pid << 32 | call->tid);
	struct call *prev = lane->last, *next = NULL;
	int places = PLACES;

	while (prev && call_stamp(prev) > call_stamp(call) && --places) {
		next = prev;
		prev = prev->thread_prev;
	}
	if (!places) {
		cause->misplaced++;
		return;
	}
	call->thread = lane;
	call->thread_prev = prev;
	call->thread_next = next;
	if (prev)
		prev->thread_next = call;
	if (next)
		next->thread_prev = call;
	else
		lane->last = call;
}

static void queue_place(struct cause *cause, struct call *call)
{
	struct lane *lane = lane_get(&cause->queues, call->peer);
	struct call *prev = lane->last, *next = NULL;
	int places = PLACES;

	while (prev && prev->number > call->number && --places) {
		next = prev;
		prev = prev->queue_prev;
	}
	if (!places) {
		cause->misplaced++;
		return;
	}
	call->queue = lane;
	call->queue_prev = prev;
	call->queue_next = next;
	if (prev)
		prev->queue_next = call;
	if (next)
		next->queue_prev = call;
	else
		lane->last = call;
}

static void thread_leave(struct cause *cause, struct call *call)
{
	if (!call->thread)
		return;
	if (call->thread_prev)
		call->thread_prev->thread_next = call->thread_next;
	if (call->thread_next)
		call->thread_next->thread_prev = call->thread_prev;
	else
		call->thread->last = call->thread_prev;
	lane_put(&cause->threads, call->thread);
}

static void queue_leave(struct cause *cause, struct call *call)
{
	if (!call->queue)
		return;
	if (call->queue_prev)
		call->queue_prev->queue_next = call->queue_next;
	if (call->queue_next)
		call->queue_next->queue_prev = call->queue_prev;
	else
		call->queue->last = call->queue_prev;
	lane_put(&cause->queues, call->queue);
}

/* Its receipts stay, and know only by number what it was. */
static void tx_leave(struct call *tx)
{
	struct call *receipt;

	while ((receipt = tx->tx.receipts)) {
		tx->tx.receipts = receipt->receipt.sibling;
		receipt->receipt.tx = receipt->receipt.sibling = NULL;
	}
}

void cause_link(struct call *from, struct call *to)
{
	struct cause_link *link;

	/* what follows from it by each of many messages does so once */
	if (from == to || (to->origins && to->origins->from == from))
		return;
	link = allocate(1, sizeof(*link));
	link->from = from;
	link->to = to;
	link->next_use = from->uses;
	from->uses = link;
	link->next_origin = to->origins;
	to->origins = link;
}

/* Whichever of both ends goes last frees it. */
static void links_leave(struct call *call)
{
	struct cause_link *link, *next;

	for (link = call->uses; link; link = next) {
		next = link->next_use;
		link->from = NULL;
		if (!link->to)
			free(link);
	}
	for (link = call->origins; link; link = next) {
		next = link->next_origin;
		link->to = NULL;
		if (!link->from)
			free(link);
	}
}

void cause_forget(struct cause *cause)
{
	struct call *call = cause->oldest;

	if (!call)
		return;
	thread_leave(cause, call);
	queue_leave(cause, call);
	links_leave(call);
	/* a transaction is older than each receipt of it, so it goes first */
	if (call->type == CALL_TX)
		tx_leave(call);
	cause->oldest = call->newer;
	if (call->newer)
		call->newer->older = NULL;
	else
		cause->newest = NULL;
	table_remove(&cause->calls, &call->entry);
	free(call);
	cause->sorted = false;
	cause->forgotten++;
}

void cause_free(struct cause *cause)
{
	if (!cause)
		return;
	while (cause->oldest)
		cause_forget(cause);
	free(cause->calls.v);
	free(cause->threads.v);
	free(cause->queues.v);
	free(cause);
}

static struct call *call_new(struct cause *cause, enum call_type type,
			     uint64_t peer, uint64_t number)
{
	struct call *call = allocate(1, sizeof(*call));

	call->type = type;
	call->peer = peer;
	call->number = number;
	call->older = cause->newest;
	if (call->older)
		call->older->newer = call;
	else
		cause->oldest = call;
	cause->newest = call;
	table_add(&cause->calls, &call->entry,
		  table_hash(type, peer, number));
	return call;
}

static struct call *tx_get(struct cause *cause, uint64_t peer, uint64_t tx)
{
	struct call *call = cause_tx(cause, peer, tx);

	return call ? call : call_new(cause, CALL_TX, peer, tx);
}

static void set_task(struct call *call, const struct bus1_event *event)
{
	call->pid = event->pid;
	call->tid = event->tid;
	memcpy(call->comm, event->comm, sizeof(call->comm));
	call->comm[sizeof(call->comm) - 1] = '\0';
}

/* @event: its begin or its commit, whichever comes first; or both */
static struct call *add_tx(struct cause *cause, const struct bus1_event *event,
			   unsigned int n_args)
{
	const __u64 *a = event->arg;
	struct call *call = tx_get(cause, a[0], a[1]);
	bool commit = event->type == EV_tx_commit;

	if (commit && !call->time) {
		call->time = a[7];
		if (n_args > 8)
			call->tx.seq = a[8];
	}
	if (call->thread || !event->tid)
		return call;
	set_task(call, event);
	/* both have it at the same place */
	if (a[6])
		call->begun = a[6];
	call->tx.kind = a[2];
	call->tx.receivers = a[3];
	call->tx.messages = a[4];
	call->tx.notifications = a[5];
	thread_place(cause, call);
	return call;
}

static struct call *add_receipt(struct cause *cause,
				const struct bus1_event *event,
				unsigned int n_args)
{
	const __u64 *a = event->arg;
	bool message = event->type == EV_msg_recv;
	struct call *tx, *call = cause_receipt(cause, a[0], a[1]);

	if (call)
		return call; /* no number is used twice */
	tx = tx_get(cause, a[2], a[3]);
	if (!tx->tx.seq && n_args > 10)
		tx->tx.seq = a[10];
	if (message && !tx->tid && !tx->begun && a[8] && a[8] < a[9]) {
		tx->begun = a[9] - a[8];
		tx->tx.kind = BUS1_TX_SEND;
	}
	call = call_new(cause, CALL_RECEIPT, a[0], a[1]);
	set_task(call, event);
	call->begun = call->time = a[9];
	call->receipt.kind = message ? 0 : a[4];
	call->receipt.index = message ? a[4] : 0;
	call->receipt.node_peer = message ? a[0] : a[6];
	call->receipt.node = message ? a[5] : a[7];
	call->receipt.queued = a[8];
	call->receipt.tx_peer = a[2];
	call->receipt.tx_number = a[3];
	call->receipt.tx = tx;
	call->receipt.sibling = tx->tx.receipts;
	tx->tx.receipts = call;
	queue_place(cause, call);
	if (call->tid)
		thread_place(cause, call);
	return call;
}

struct call *cause_add(struct cause *cause, const struct bus1_event *event,
		       unsigned int n_args)
{
	struct call *call;

	switch (event->type) {
	case EV_tx_begin:
	case EV_tx_commit:
		call = add_tx(cause, event, n_args);
		break;
	case EV_msg_recv:
	case EV_notify_recv:
		call = add_receipt(cause, event, n_args);
		break;
	default:
		return NULL;
	}
	cause->sorted = false;
	while (cause->max && cause->calls.n > cause->max)
		cause_forget(cause);
	return call;
}

/* When a peer received, or what it did itself began */
struct turn {
	uint64_t peer, time;
	struct call *call;
};

static int by_turn(const void *p, const void *q)
{
	const struct turn *x = p, *y = q;

	if (x->peer != y->peer)
		return x->peer > y->peer ? 1 : -1;
	if (x->time != y->time)
		return x->time > y->time ? 1 : -1;
	/* what began at the same time did not begin after it */
	if (x->call->type != y->call->type)
		return x->call->type == CALL_TX ? -1 : 1;
	return (x->call->number > y->call->number) -
	       (x->call->number < y->call->number);
}

static void peers_sort(struct cause *cause)
{
	struct turn *turns = allocate(cause->calls.n + 1, sizeof(*turns));
	struct call *call, *last = NULL;
	size_t n = 0, i;

	for (call = cause->oldest; call; call = call->newer) {
		call->peer_next = call->peer_last = NULL;
		if (call->begun && (call->type == CALL_RECEIPT ||
				    call->tx.kind <= BUS1_TX_SEND))
			turns[n++] = (struct turn){ call->peer, call->begun,
						    call };
	}
	qsort(turns, n, sizeof(*turns), by_turn);
	for (i = 0; i < n; i++) {
		call = turns[i].call;
		if (i && turns[i - 1].peer == call->peer)
			turns[i - 1].call->peer_next = call;
		else
			last = NULL;
		if (call->type == CALL_RECEIPT)
			last = call;
		else
			call->peer_last = last;
	}
	free(turns);
	cause->sorted = true;
}

/* A search: breadth first, so that a call is found by the fewest steps. */
struct search {
	struct cause *cause;
	struct call **found;
	size_t n;
};

static void find(struct search *search, struct call *call, struct call *from,
		 enum cause_how how)
{
	if (call->visited == search->cause->epoch)
		return;
	call->visited = search->cause->epoch;
	call->from = from;
	call->how = how;
	call->depth = from ? from->depth + 1 : 0;
	search->found[search->n++] = call;
}

static void search_begin(struct search *search, struct cause *cause)
{
	if (!cause->sorted)
		peers_sort(cause);
	search->cause = cause;
	search->n = 0;
	search->found = allocate(cause->calls.n, sizeof(*search->found));
	cause->epoch++;
}

/*
 * All that is a step away. All later calls of a thread are, so this goes on to
 * its end, and so for queues and peers; but never twice over the same part: what
 * is behind a call that was gone over is known to be as near already.
 */
static void find_next(struct search *search, struct call *call)
{
	uint32_t epoch = search->cause->epoch;
	const struct cause_link *link;
	struct call *next;

	for (next = call->thread_next; next && next->walked_thread != epoch;
	     next = next->thread_next) {
		next->walked_thread = epoch;
		find(search, next, call, CAUSE_THREAD);
	}
	for (link = call->uses; link; link = link->next_use)
		if (link->to)
			find(search, link->to, call, CAUSE_HANDLE);
	if (call->type == CALL_TX) {
		for (next = call->tx.receipts; next;
		     next = next->receipt.sibling)
			find(search, next, call, CAUSE_MESSAGE);
		return;
	}
	for (next = call->queue_next; next && next->walked_queue != epoch;
	     next = next->queue_next) {
		next->walked_queue = epoch;
		find(search, next, call, CAUSE_QUEUE);
	}
	for (next = call->peer_next; next && next->walked_peer != epoch;
	     next = next->peer_next) {
		next->walked_peer = epoch;
		if (next->type == CALL_TX)
			find(search, next, call, CAUSE_PEER);
	}
}

size_t cause_chain(struct cause *cause, struct call *from, struct call *to,
		   struct cause_step **chain)
{
	struct search search;
	struct call *call;
	size_t n = 0, i;

	search_begin(&search, cause);
	find(&search, from, NULL, CAUSE_FIRST);
	for (i = 0; i < search.n && to->visited != cause->epoch; i++)
		find_next(&search, search.found[i]);
	free(search.found);
	if (to->visited != cause->epoch)
		return 0;
	for (call = to; call; call = call->from)
		n++;
	if (!chain)
		return n;
	*chain = allocate(n, sizeof(**chain));
	for (i = n, call = to; call; call = call->from)
		(*chain)[--i] = (struct cause_step){ call, call->how };
	return n;
}

static void find_past(struct search *search, struct call *call)
{
	const struct cause_link *link;

	if (call->thread_prev)
		find(search, call->thread_prev, call, CAUSE_THREAD);
	if (call->queue_prev)
		find(search, call->queue_prev, call, CAUSE_QUEUE);
	if (call->peer_last)
		find(search, call->peer_last, call, CAUSE_PEER);
	if (call->type == CALL_RECEIPT && call->receipt.tx)
		find(search, call->receipt.tx, call, CAUSE_MESSAGE);
	for (link = call->origins; link; link = link->next_origin)
		if (link->from)
			find(search, link->from, call, CAUSE_HANDLE);
}

size_t cause_mark(struct cause *cause, struct call *call, bool past,
		  uint32_t mark)
{
	void (*each)(struct search *, struct call *) =
		past ? find_past : find_next;
	struct search search;
	size_t i;

	search_begin(&search, cause);
	call->depth = 0;
	each(&search, call);
	for (i = 0; i < search.n; i++) {
		search.found[i]->marks |= mark;
		each(&search, search.found[i]);
	}
	free(search.found);
	return search.n;
}
