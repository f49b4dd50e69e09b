// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: fold
 *
 * msg_send, notify_send and the handle_new of a TRANSFER come from the task
 * that runs the transaction, and are in the ring before the commit. A row about
 * a transaction tells of the first of them. A handle_new that follows a receipt
 * is a part of that, whose row has the number of handles already.
 */
#include <stdlib.h>
#include "stream.h"

#define BUCKETS 4096
/* Where a commit was lost, its messages wait in vain: let go beyond this. */
#define CHAIN_MAX 8

struct pending {
	uint64_t peer, tx;
	struct fold fold;
	bool message; /* fold is of a message, which goes before others */
	struct pending *next;
};

static struct pending *buckets[BUCKETS];

static struct pending **find(uint64_t peer, uint64_t tx)
{
	struct pending **link = &buckets[(peer * 31 + tx) % BUCKETS];

	while (*link && ((*link)->peer != peer || (*link)->tx != tx))
		link = &(*link)->next;
	return link;
}

static struct pending *get(uint64_t peer, uint64_t tx)
{
	struct pending **link = find(peer, tx), *p = *link;
	unsigned int n = 1;

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->peer = peer;
	p->tx = tx;
	link = &buckets[(peer * 31 + tx) % BUCKETS];
	p->next = *link;
	*link = p;
	for (link = &p->next; *link; link = &(*link)->next) {
		if (++n > CHAIN_MAX) {
			free(*link);
			*link = NULL;
			break;
		}
	}
	return p;
}

/* Returns whether @event is a part of something that has a row. */
bool fold_part(const struct bus1_event *event)
{
	const __u64 *a = event->arg;
	struct pending *p;

	switch (event->type) {
	case EV_msg_send:
		p = get(a[0], a[1]);
		if (p && !p->message) {
			p->message = true;
			p->fold.receiver = a[3];
			p->fold.bytes = a[5];
			p->fold.handles = a[6];
		}
		return true;
	case EV_notify_send:
		p = get(a[0], a[1]);
		if (p && !p->fold.receiver)
			p->fold.receiver = a[3];
		return true;
	case EV_handle_new:
		if (a[4] == BUS1_HOW_MESSAGE)
			return true;
		p = get(a[5], a[6]);
		if (p) {
			p->fold.receiver = a[0];
			p->fold.handles++;
		}
		return true;
	}
	return false;
}

void fold_commit(const struct bus1_event *event, struct fold *fold)
{
	struct pending **link = find(event->arg[0], event->arg[1]), *p = *link;

	if (!p)
		return;
	*fold = p->fold;
	*link = p->next;
	free(p);
}
