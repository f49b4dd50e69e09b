// SPDX-License-Identifier: GPL-2.0-only
/* The world as lines, as if debugfs had said them. */
#define _GNU_SOURCE /* asprintf */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"
#include "world.h"

/* A node or a handle, to be sorted as debugfs has them */
struct object {
	uint64_t id;
	char *line;
};

static int object_by_id(const void *a, const void *b)
{
	const struct object *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

__attribute__((format(printf, 1, 2))) static char *format(const char *fmt, ...)
{
	va_list args;
	char *line;
	int n;

	va_start(args, fmt);
	n = vasprintf(&line, fmt, args);
	va_end(args);
	if (n < 0) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	return line;
}

static char *node_line(const struct world_node *node)
{
	return format("node peer=%" PRIu64 " id=%" PRIu64 " handles=%" PRIu64
		      " dead=%d created=%" PRIu64,
		      node->peer, node->id, node->handles, node->dead,
		      node->created);
}

static char *handle_line(const struct world_handle *handle)
{
	const char *how = symbol_how(handle->how);

	return format("handle peer=%" PRIu64 " id=%" PRIu64
		      " node_peer=%" PRIu64 " node=%" PRIu64 " how=%s"
		      " tx_peer=%" PRIu64 " tx=%" PRIu64 " index=%u slot=%u"
		      " dead=%d created=%" PRIu64 " used=%" PRIu64,
		      handle->peer, handle->id, handle->node_peer, handle->node,
		      how ? how : "?", handle->tx_peer, handle->tx,
		      handle->index, handle->slot, handle->dead,
		      handle->created, handle->used);
}

static char *queued_line(const struct world_message *m)
{
	const char *kind = symbol_kind(m->kind);

	if (m->kind)
		return format("notification peer=%" PRIu64
			      " tx_peer=%" PRIu64 " tx=%" PRIu64 " kind=%s"
			      " id=%" PRIu64 " node_peer=%" PRIu64
			      " node=%" PRIu64 " stamp=%" PRIu64,
			      m->peer, m->tx_peer, m->tx, kind ? kind : "?",
			      m->id, m->node_peer, m->node, m->stamp);
	return format("message peer=%" PRIu64 " tx_peer=%" PRIu64
		      " tx=%" PRIu64 " index=%u node=%" PRIu64
		      " bytes=%" PRIu64 " handles=%" PRIu64
		      " stamp=%" PRIu64,
		      m->peer, m->tx_peer, m->tx, m->index, m->node,
		      m->bytes, m->handles, m->stamp);
}

static void *copy(const void *from, size_t size)
{
	void *p = malloc(size);

	if (!p) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	return memcpy(p, from, size);
}

static void put_objects(struct peer_state *state, const struct world_peer *peer)
{
	const struct world_message *m;
	const struct world_handle *handle;
	const struct world_node *node;
	struct object *objects = NULL;
	size_t n = 0, i;

	for (node = peer->nodes; node; node = node->next) {
		objects = grow(objects, n, sizeof(*objects));
		objects[n++] = (struct object){ node->id, node_line(node) };
	}
	for (handle = peer->handles; handle; handle = handle->next) {
		objects = grow(objects, n, sizeof(*objects));
		objects[n++] = (struct object){ handle->id,
						handle_line(handle) };
	}
	if (n)
		qsort(objects, n, sizeof(*objects), object_by_id);
	for (i = 0; i < n; i++) {
		state->objects = grow(state->objects, i,
				      sizeof(*state->objects));
		state->objects[i] = objects[i].line;
	}
	free(objects);
	for (m = peer->first; m; m = m->next) {
		state->objects = grow(state->objects, n,
				      sizeof(*state->objects));
		state->objects[n++] = queued_line(m);
	}
	state->n_objects = n;
}

/* As at the start; one that came later is held by whoever used it last. */
static void put_holders(struct peer_state *state, const struct world_peer *peer)
{
	size_t n = peer->n_holders;

	if (n) {
		state->holders = copy(peer->holders,
				      n * sizeof(*state->holders));
	} else if (!peer->before && peer->who && peer->who->has_name) {
		struct holder holder = { peer->who->pid, FD_UNKNOWN, "" };

		snprintf(holder.comm, sizeof(holder.comm), "%.*s",
			 COMM_LEN - 1, peer->who->comm);
		n = 1;
		state->holders = copy(&holder, sizeof(holder));
	}
	state->n_holders = n;
}

void world_to_snapshot(struct snapshot *s, uint64_t time)
{
	struct world_peer **all;
	size_t n = world_peers(&all), i;

	*s = world_start;
	s->time = time;
	s->extent = SNAPSHOT_OBJECTS;
	for (i = 0; i < n; i++) {
		const struct world_peer *peer = all[i];
		struct peer_state *state;

		if (peer->dead)
			continue;
		s->peers = grow(s->peers, s->n_peers, sizeof(*s->peers));
		state = &s->peers[s->n_peers++];
		*state = (struct peer_state){
			.id = peer->id,
			.uid = peer->uid,
			.pid = peer->opener,
			.created = peer->created,
			.nodes = peer->n_nodes,
			.handles = peer->n_handles,
			.queued = peer->queued,
			.bytes = peer->bytes,
			.received = peer->received,
			.transactions = peer->transactions,
			.oldest = world_oldest(peer),
		};
		if (peer->who)
			memcpy(state->name, peer->who->name,
			       sizeof(state->name));
		put_objects(state, peer);
		put_holders(state, peer);
	}
}
