// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: peers
 *
 * A peer's name is the name of the process that acted on it last; before
 * that, of the one that opened or was found to hold it. Messages outlive their
 * sender, so names stay after a peer's end, until DEAD_MAX others died.
 */
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"

#define BUCKETS 4096
#define DEAD_MAX 16384

static struct peer *buckets[BUCKETS];
static uint64_t dead[DEAD_MAX];
static size_t n_dead;

struct peer *peers_find(uint64_t id)
{
	struct peer *peer = buckets[id % BUCKETS];

	while (peer && peer->id != id)
		peer = peer->next;
	return peer;
}

struct peer *peers_get(uint64_t id)
{
	struct peer *peer = peers_find(id);

	if (peer)
		return peer;
	peer = calloc(1, sizeof(*peer));
	if (!peer) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	peer->id = id;
	peer->next = buckets[id % BUCKETS];
	buckets[id % BUCKETS] = peer;
	return peer;
}

void peers_learn(const struct bus1_event *event)
{
	struct peer *peer;

	if (!event_is_own(event))
		return;
	peer = peers_get(event->arg[0]);
	peer->pid = event->pid;
	memcpy(peer->comm, event->comm, sizeof(peer->comm));
	peer->has_name = true;
	if (event->type == EV_peer_new) {
		peer->uid = event->arg[1];
		peer->has_uid = true;
	}
}

static void peers_forget(uint64_t id)
{
	struct peer **link = &buckets[id % BUCKETS], *peer;

	while (*link && (*link)->id != id)
		link = &(*link)->next;
	peer = *link;
	/* one with receipts in order.c stays; such are few */
	if (!peer || peer->receipts.n)
		return;
	*link = peer->next;
	free(peer);
}

void peers_bury(uint64_t id, void (*forgotten)(uint64_t id))
{
	uint64_t *slot = &dead[n_dead++ % DEAD_MAX];

	if (n_dead > DEAD_MAX) {
		peers_forget(*slot);
		if (forgotten)
			forgotten(*slot);
	}
	*slot = id;
}
