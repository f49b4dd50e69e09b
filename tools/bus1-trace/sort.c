// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: sort
 *
 * Events arrive in the order in which CPUs reserved room in the ring. They are
 * shown by the module's stamps: kept back for a while, then taken smallest
 * first. A transaction's stamp is that of its begin, so that it stands before
 * every receipt of its messages and before all that followed from them.
 *
 * Receipts of one peer are numbered when they commit, and stamped a little
 * later. Each keeps a place by its stamp; the places of one peer are filled by
 * receive number.
 */
#include <stdlib.h>
#include <string.h>
#include "stream.h"

uint64_t event_stamp(const struct bus1_event *event)
{
	const struct event_info *info = &event_info[event->type];

	/* tx_commit.begun is 0 if the transaction began before the start */
	if (event->type == EV_tx_commit && event->arg[6])
		return event->arg[6];
	return event->arg[info->time];
}

static bool before(const struct heap_entry *a, const struct heap_entry *b)
{
	if (a->key != b->key)
		return a->key < b->key;
	return a->arrival < b->arrival;
}

static void heap_push(struct heap *heap, struct heap_entry entry)
{
	size_t i, up;

	if (heap->n == heap->size) {
		size_t size = heap->size ? heap->size * 2 : 16;
		void *v = realloc(heap->v, size * sizeof(*heap->v));

		if (!v) {
			complain("out of memory");
			exit(EXIT_ERROR);
		}
		heap->v = v;
		heap->size = size;
	}
	for (i = heap->n++; i; i = up) {
		up = (i - 1) / 2;
		if (!before(&entry, &heap->v[up]))
			break;
		heap->v[i] = heap->v[up];
	}
	heap->v[i] = entry;
}

static struct heap_entry heap_pop(struct heap *heap)
{
	struct heap_entry first = heap->v[0], last = heap->v[--heap->n];
	size_t i = 0, down;

	for (; (down = 2 * i + 1) < heap->n; i = down) {
		if (down + 1 < heap->n &&
		    before(&heap->v[down + 1], &heap->v[down]))
			down++;
		if (!before(&heap->v[down], &last))
			break;
		heap->v[i] = heap->v[down];
	}
	heap->v[i] = last;
	return first;
}

void order_add(struct order *order, struct item *item)
{
	const struct bus1_event *event = &item->event;
	struct heap_entry entry = {
		.key = event_stamp(event),
		.arrival = order->arrivals++,
		.item = item,
	};
	/* newest is about arrival: a commit's own time, not its begin's */
	uint64_t time = event->arg[event_info[event->type].time];

	if (time > order->newest)
		order->newest = time;
	if (event->type == EV_msg_recv || event->type == EV_notify_recv) {
		struct heap_entry receipt = entry;

		receipt.key = event->arg[1];
		entry.item = NULL;
		entry.peer = peers_get(event->arg[0]);
		heap_push(&entry.peer->receipts, receipt);
	}
	heap_push(&order->heap, entry);
}

/* The next event, if its place is not later than @until; the caller frees. */
struct item *order_next(struct order *order, uint64_t until)
{
	struct heap_entry entry;
	bool late;

	if (!order->heap.n || order->heap.v[0].key > until)
		return NULL;
	entry = heap_pop(&order->heap);
	late = entry.key < order->shown;
	if (!late)
		order->shown = entry.key;
	if (entry.peer) {
		struct peer *peer = entry.peer;

		entry = heap_pop(&peer->receipts);
		if (entry.key < peer->received)
			late = true;
		else
			peer->received = entry.key;
		if (!peer->receipts.n) {
			free(peer->receipts.v);
			memset(&peer->receipts, 0, sizeof(peer->receipts));
		}
	}
	order->late += late;
	return entry.item;
}
