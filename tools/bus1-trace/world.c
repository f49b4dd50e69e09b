// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"
#include "gone.h"
#include "stack-set.h"
#include "world.h"

static struct table peers, nodes, handles, messages;
static bool begun; /* there was a snapshot, */
static bool complete; /* and it had everything */

struct snapshot world_start;

static void *allocate(size_t size)
{
	void *p = calloc(1, size);

	if (!p) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	return p;
}

static void count_down(uint64_t *n, uint64_t by)
{
	*n -= *n < by ? *n : by;
}

static struct world_peer *peer_find(uint64_t id)
{
	struct table_entry *e = table_first(&peers, table_hash(id, 0, 0));

	while (e && table_item(struct world_peer, e)->id != id)
		e = table_next(e);
	return e ? table_item(struct world_peer, e) : NULL;
}

static struct world_peer *peer_add(uint64_t id)
{
	struct world_peer *peer = allocate(sizeof(*peer));

	peer->id = id;
	peer->before = true;
	table_add(&peers, &peer->entry, table_hash(id, 0, 0));
	return peer;
}

/* One that did something; NULL if that comes after its end. */
static struct world_peer *peer_get(uint64_t id)
{
	struct world_peer *peer = peer_find(id);

	if (!peer && !gone_is(GONE_PEER, id, 0, 0))
		peer = peer_add(id);
	return peer && !peer->dead ? peer : NULL;
}

/* The owner of a node that somebody has a handle to */
static struct world_peer *owner_get(uint64_t id)
{
	struct world_peer *peer = peer_find(id);

	if (!peer) {
		peer = peer_add(id);
		peer->dead = complete || gone_is(GONE_PEER, id, 0, 0);
	}
	return peer;
}

static void peer_put(struct world_peer *peer)
{
	if (!peer->dead || peer->held || peer->nodes || peer->handles ||
	    peer->first)
		return;
	table_remove(&peers, &peer->entry);
	free(peer->holders);
	free(peer);
}

struct world_node *world_node(uint64_t peer, uint64_t id)
{
	struct table_entry *e = table_first(&nodes, table_hash(peer, id, 0));

	for (; e; e = table_next(e)) {
		struct world_node *node = table_item(struct world_node, e);

		if (node->peer == peer && node->id == id)
			return node;
	}
	return NULL;
}

/* NULL: it went already. */
static struct world_node *node_add(uint64_t peer, uint64_t id)
{
	struct world_node *node = world_node(peer, id);
	struct world_peer *owner;

	if (node)
		return node;
	if (gone_take(GONE_NODE, peer, id, 0))
		return NULL;
	owner = peer_get(peer);
	if (!owner)
		return NULL;
	node = allocate(sizeof(*node));
	node->peer = peer;
	node->id = id;
	node->next = owner->nodes;
	if (node->next)
		node->next->prev = node;
	owner->nodes = node;
	owner->n_nodes++;
	table_add(&nodes, &node->entry, table_hash(peer, id, 0));
	return node;
}

static void node_remove(struct world_peer *owner, struct world_node *node)
{
	if (node->prev)
		node->prev->next = node->next;
	else
		owner->nodes = node->next;
	if (node->next)
		node->next->prev = node->prev;
	count_down(&owner->n_nodes, 1);
	table_remove(&nodes, &node->entry);
	free(node);
}

struct world_handle *world_handle(uint64_t peer, uint64_t id)
{
	struct table_entry *e = table_first(&handles, table_hash(peer, id, 0));

	for (; e; e = table_next(e)) {
		struct world_handle *handle = table_item(struct world_handle, e);

		if (handle->peer == peer && handle->id == id)
			return handle;
	}
	return NULL;
}

static struct world_handle *handle_add(uint64_t peer, uint64_t id,
				       uint64_t node_peer, uint64_t node_id)
{
	struct world_handle *handle = world_handle(peer, id);
	struct world_peer *holder;
	struct world_node *node;

	if (handle)
		return handle;
	if (gone_take(GONE_HANDLE, peer, id, 0))
		return NULL;
	holder = peer_get(peer);
	if (!holder)
		return NULL;
	handle = allocate(sizeof(*handle));
	handle->peer = peer;
	handle->id = id;
	handle->node_peer = node_peer;
	handle->node = node_id;
	handle->next = holder->handles;
	if (handle->next)
		handle->next->prev = handle;
	holder->handles = handle;
	holder->n_handles++;
	owner_get(node_peer)->held++;
	node = world_node(node_peer, node_id);
	if (node)
		node->handles++;
	table_add(&handles, &handle->entry, table_hash(peer, id, 0));
	return handle;
}

static void handle_remove(struct world_peer *holder,
			  struct world_handle *handle)
{
	struct world_node *node = world_node(handle->node_peer, handle->node);
	struct world_peer *owner = peer_find(handle->node_peer);

	if (handle->prev)
		handle->prev->next = handle->next;
	else
		holder->handles = handle->next;
	if (handle->next)
		handle->next->prev = handle->prev;
	count_down(&holder->n_handles, 1);
	if (node)
		count_down(&node->handles, 1);
	table_remove(&handles, &handle->entry);
	stack_put(handle->stack);
	free(handle);
	owner->held--;
	if (owner != holder)
		peer_put(owner);
}

static uint64_t queued_hash(const struct world_message *key)
{
	return key->kind ? table_hash(key->peer, key->kind, key->id) :
			   table_hash(key->tx_peer, key->tx, key->index);
}

/* A message is known by its transaction, a notification by what it tells. */
static struct world_message *queued_find(const struct world_message *key)
{
	struct table_entry *e = table_first(&messages, queued_hash(key));

	for (; e; e = table_next(e)) {
		struct world_message *m = table_item(struct world_message, e);

		if (m->kind != key->kind)
			continue;
		if (m->kind ? m->peer == key->peer && m->id == key->id :
			      m->tx_peer == key->tx_peer && m->tx == key->tx &&
				      m->index == key->index)
			return m;
	}
	return NULL;
}

static bool queued_gone(const struct world_message *key)
{
	return key->kind ? gone_take(GONE_NOTIFICATION, key->peer, key->kind,
				     key->id) :
			   gone_take(GONE_MESSAGE, key->tx_peer, key->tx,
				     key->index);
}

/*
 * Behind all that is not newer. Mostly that is the end; a NODE_RELEASE that came
 * with a message is as old as that and takes its place, at the beginning.
 */
static void queued_link(struct world_peer *peer, struct world_message *m)
{
	struct world_message *prev = peer->last;

	if (peer->first && m->stamp && m->stamp < peer->first->stamp)
		prev = NULL;
	while (prev && m->stamp && prev->stamp > m->stamp)
		prev = prev->prev;
	m->prev = prev;
	m->next = prev ? prev->next : peer->first;
	if (prev)
		prev->next = m;
	else
		peer->first = m;
	if (m->next)
		m->next->prev = m;
	else
		peer->last = m;
}

static void queued_add(const struct world_message *key)
{
	struct world_peer *peer = peer_find(key->peer);
	struct world_message *m = queued_find(key);

	if (m) {
		if (!m->stamp)
			m->stamp = key->stamp;
		return;
	}
	/* to one that is closed it is sent in vain */
	if (queued_gone(key) || (!peer && complete))
		return;
	peer = peer_get(key->peer);
	if (!peer)
		return;
	m = allocate(sizeof(*m));
	*m = *key;
	queued_link(peer, m);
	peer->queued++;
	peer->bytes += m->bytes;
	table_add(&messages, &m->entry, queued_hash(m));
}

static void queued_remove(struct world_peer *peer, struct world_message *m)
{
	if (m->prev)
		m->prev->next = m->next;
	else
		peer->first = m->next;
	if (m->next)
		m->next->prev = m->prev;
	else
		peer->last = m->prev;
	count_down(&peer->queued, 1);
	count_down(&peer->bytes, m->bytes);
	table_remove(&messages, &m->entry);
	free(m);
}

static void lose_node(uint64_t peer, uint64_t id, bool expected)
{
	struct world_node *node = world_node(peer, id);
	struct world_peer *owner = peer_find(peer);

	if (node) {
		node_remove(owner, node);
		peer_put(owner);
	} else if (expected) {
		gone_add(GONE_NODE, peer, id, 0);
		if (owner && !complete)
			count_down(&owner->n_nodes, 1);
	}
}

static void lose_handle(uint64_t peer, uint64_t id, bool expected)
{
	struct world_handle *handle = world_handle(peer, id);
	struct world_peer *holder = peer_find(peer);

	if (handle) {
		handle_remove(holder, handle);
		peer_put(holder);
	} else if (expected) {
		gone_add(GONE_HANDLE, peer, id, 0);
		if (holder && !complete)
			count_down(&holder->n_handles, 1);
	}
}

static void lose_queued(const struct world_message *key)
{
	struct world_message *m = queued_find(key);
	struct world_peer *peer = peer_find(m ? m->peer : key->peer);

	if (m) {
		queued_remove(peer, m);
		peer_put(peer);
		return;
	}
	if (key->kind)
		gone_add(GONE_NOTIFICATION, key->peer, key->kind, key->id);
	else
		gone_add(GONE_MESSAGE, key->tx_peer, key->tx, key->index);
	if (peer && !complete) {
		count_down(&peer->queued, 1);
		count_down(&peer->bytes, key->bytes);
	}
}

static void lose_peer(uint64_t id)
{
	struct world_peer *peer = peer_find(id);

	gone_add(GONE_PEER, id, 0, 0);
	if (!peer)
		return;
	while (peer->first)
		queued_remove(peer, peer->first);
	while (peer->nodes)
		node_remove(peer, peer->nodes);
	while (peer->handles)
		handle_remove(peer, peer->handles);
	peer->dead = true;
	peer_put(peer);
}

static void event_peer_new(const __u64 *a)
{
	struct world_peer *peer = peer_find(a[0]);

	if (gone_is(GONE_PEER, a[0], 0, 0))
		return;
	if (!peer)
		peer = peer_add(a[0]);
	peer->uid = a[1];
	peer->opener = a[2];
	peer->created = a[3];
	peer->before = false;
	peer->dead = false;
}

static void event_handle_new(const struct item *item)
{
	const __u64 *a = item->event.arg;
	struct world_handle *handle = handle_add(a[0], a[1], a[2], a[3]);
	struct world_message key = {
		.peer = a[0],
		.kind = BUS1_KIND_NODE_RELEASE,
		.id = a[1],
	};

	if (!handle)
		return;
	handle->how = a[4];
	handle->tx_peer = a[5];
	handle->tx = a[6];
	handle->index = a[7];
	handle->slot = a[8];
	handle->created = a[9];
	handle->before = false;
	/* its NODE_RELEASE has the stamp of what brought the handle: before */
	handle->dead |= !!queued_find(&key);
	if (item->stack && !handle->stack)
		handle->stack = stack_get(item->stack);
}

static void event_msg_send(const struct item *item)
{
	const __u64 *a = item->event.arg;
	struct world_message key = {
		.peer = a[3],
		.tx_peer = a[0],
		.tx = a[1],
		.index = a[2],
		.node_peer = a[3],
		.node = a[4],
		.bytes = a[5],
		.handles = a[6],
		.stamp = a[7],
	};
	struct world_handle *handle;

	queued_add(&key);
	if (item->n_args <= 8) /* of schema 1.1: without the handle */
		return;
	handle = world_handle(a[0], a[8]);
	if (!handle)
		return;
	handle->sends++;
	if (handle->used < a[7])
		handle->used = a[7];
}

static void event_notify_send(const __u64 *a)
{
	struct world_message key = {
		.peer = a[3],
		.tx_peer = a[0],
		.tx = a[1],
		.kind = a[2],
		.id = a[4],
		.node_peer = a[5],
		.node = a[6],
		.stamp = a[7],
	};
	struct world_handle *handle;

	if (!key.kind)
		return;
	queued_add(&key);
	handle = world_handle(a[3], a[4]);
	if (handle && key.kind == BUS1_KIND_NODE_RELEASE)
		handle->dead = true;
}

/* Behind the receiver: tx, what of that it is, and in @rest how much */
static void event_message_gone(uint64_t receiver, const __u64 *tx)
{
	lose_queued(&(struct world_message){
		.peer = receiver,
		.tx_peer = tx[0],
		.tx = tx[1],
		.index = tx[2],
		.bytes = tx[4],
	});
}

static void event_notification_gone(uint64_t receiver, const __u64 *tx)
{
	if (!tx[2])
		return;
	lose_queued(&(struct world_message){
		.peer = receiver,
		.kind = tx[2],
		.id = tx[3],
	});
}

static void event_received(uint64_t receiver, uint64_t number)
{
	struct world_peer *peer = peer_get(receiver);

	if (peer && peer->received < number)
		peer->received = number;
}

static void event_commit(const __u64 *a)
{
	struct world_peer *peer = peer_get(a[0]);

	if (peer && peer->transactions < a[1])
		peer->transactions = a[1];
}

void world_event(const struct item *item)
{
	const __u64 *a = item->event.arg;
	struct world_node *node;

	switch (item->event.type) {
	case EV_peer_new:
		event_peer_new(a);
		break;
	case EV_peer_free:
		lose_peer(a[0]);
		break;
	case EV_node_new:
		node = node_add(a[0], a[1]);
		if (node) {
			node->created = a[2];
			node->before = false;
		}
		break;
	case EV_node_release:
		/* where it was told, see notify_recv */
		lose_node(a[0], a[1], (__u32)a[3] != BUS1_WHY_NOTIFIED);
		break;
	case EV_handle_new:
		event_handle_new(item);
		break;
	case EV_handle_release:
		lose_handle(a[0], a[1], (__u32)a[4] != BUS1_WHY_NOTIFIED);
		break;
	case EV_tx_commit:
		event_commit(a);
		break;
	case EV_msg_send:
		event_msg_send(item);
		break;
	case EV_msg_recv:
		event_message_gone(a[0], a + 2);
		event_received(a[0], a[1]);
		break;
	case EV_msg_discard:
		/* one that was skipped was never sent */
		if ((__u32)a[7] != BUS1_WHY_QUOTA)
			event_message_gone(a[0], a + 1);
		break;
	case EV_notify_send:
		event_notify_send(a);
		break;
	case EV_notify_recv:
		event_notification_gone(a[0], a + 2);
		event_received(a[0], a[1]);
		if ((__u32)a[4] == BUS1_KIND_NODE_RELEASE)
			lose_handle(a[0], a[5], true);
		else
			lose_node(a[0], a[5], true);
		break;
	case EV_notify_drop:
		event_notification_gone(a[0], a + 1);
		break;
	}
}

static void learn_handle(const char *line, uint64_t peer)
{
	struct world_handle *handle;
	char how[16] = "";
	uint32_t i;

	handle = handle_add(peer, object_value(line, "id"),
			    object_value(line, "node_peer"),
			    object_value(line, "node"));
	if (!handle)
		return;
	object_word(line, "how", how, sizeof(how));
	for (i = 0; symbol_how(i); i++)
		if (!strcmp(how, symbol_how(i)))
			handle->how = i;
	handle->tx_peer = object_value(line, "tx_peer");
	handle->tx = object_value(line, "tx");
	handle->index = object_value(line, "index");
	handle->slot = object_value(line, "slot");
	handle->created = object_value(line, "created");
	handle->used = object_value(line, "used");
	handle->dead = object_value(line, "dead");
	handle->before = true;
}

static void learn_queued(const char *line, uint64_t peer)
{
	struct world_message key = {
		.peer = peer,
		.tx_peer = object_value(line, "tx_peer"),
		.tx = object_value(line, "tx"),
		.index = object_value(line, "index"),
		.id = object_value(line, "id"),
		.node_peer = peer,
		.node = object_value(line, "node"),
		.bytes = object_value(line, "bytes"),
		.handles = object_value(line, "handles"),
		.stamp = object_value(line, "stamp"),
	};
	char kind[16] = "";

	object_word(line, "kind", kind, sizeof(kind));
	if (*kind) {
		key.kind = strcmp(kind, "node_release") ?
			   BUS1_KIND_HANDLE_RELEASE : BUS1_KIND_NODE_RELEASE;
		key.node_peer = object_value(line, "node_peer");
	}
	queued_add(&key);
}

static void learn_peer(const struct peer_state *state)
{
	struct world_peer *peer = peer_find(state->id);
	struct world_node *node;
	size_t i;

	if (peer || gone_is(GONE_PEER, state->id, 0, 0))
		return;
	peer = peer_add(state->id);
	peer->uid = state->uid;
	peer->opener = state->pid;
	peer->created = state->created;
	peer->received = state->received;
	peer->transactions = state->transactions;
	if (!complete) {
		peer->n_nodes = state->nodes;
		peer->n_handles = state->handles;
		peer->queued = state->queued;
		peer->bytes = state->bytes;
	}
	if (state->n_holders) {
		peer->n_holders = state->n_holders;
		peer->holders = allocate(peer->n_holders *
					 sizeof(*peer->holders));
		memcpy(peer->holders, state->holders,
		       peer->n_holders * sizeof(*peer->holders));
	}
	for (i = 0; i < state->n_objects; i++) {
		const char *line = state->objects[i];

		if (strncmp(line, "node ", 5))
			continue;
		node = node_add(peer->id, object_value(line, "id"));
		if (!node)
			continue;
		node->created = object_value(line, "created");
		node->dead = object_value(line, "dead");
		node->before = true;
	}
}

void world_snapshot(const struct snapshot *s)
{
	size_t i, j;

	if (begun)
		return;
	begun = true;
	complete = s->debugfs && s->extent == SNAPSHOT_OBJECTS;
	world_start = *s;
	world_start.peers = NULL;
	world_start.n_peers = 0;
	/* whoever is not among these is closed: see owner_get() */
	for (i = 0; i < s->n_peers; i++)
		learn_peer(&s->peers[i]);
	for (i = 0; i < s->n_peers; i++) {
		const struct peer_state *peer = &s->peers[i];

		for (j = 0; j < peer->n_objects; j++) {
			const char *line = peer->objects[j];

			if (!strncmp(line, "handle ", 7))
				learn_handle(line, peer->id);
			else if (strncmp(line, "node ", 5))
				learn_queued(line, peer->id);
		}
	}
}

struct list {
	void **v;
	size_t n;
};

static void list_peer(struct table_entry *entry, void *context)
{
	struct world_peer *peer = table_item(struct world_peer, entry);
	struct list *list = context;

	/* peers.c forgets, too */
	peer->who = peers_find(peer->id);
	list->v[list->n++] = peer;
}

static void list_handle(struct table_entry *entry, void *context)
{
	struct list *list = context;

	list->v[list->n++] = table_item(struct world_handle, entry);
}

static int by_id(const void *a, const void *b)
{
	const struct world_peer *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static int by_origin(const void *a, const void *b)
{
	const struct world_handle *x = *(const struct world_handle *const *)a;
	const struct world_handle *y = *(const struct world_handle *const *)b;
	const uint64_t keys[][2] = {
		{ x->peer, y->peer },	    { x->node_peer, y->node_peer },
		{ x->how, y->how },	    { x->tx_peer, y->tx_peer },
		{ x->node, y->node },	    { x->id, y->id },
	};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (keys[i][0] != keys[i][1])
			return keys[i][0] > keys[i][1] ? 1 : -1;
	return 0;
}

/* All that is in @table, sorted; @list is made anew. */
static void list_all(struct list *list, struct table *table,
		     void (*each)(struct table_entry *entry, void *context),
		     int (*order)(const void *a, const void *b))
{
	free(list->v);
	list->v = allocate((table->n + 1) * sizeof(*list->v));
	list->n = 0;
	table_each(table, each, list);
	qsort(list->v, list->n, sizeof(*list->v), order);
}

size_t world_peers(struct world_peer ***all)
{
	static struct list list;

	list_all(&list, &peers, list_peer, by_id);
	*all = (struct world_peer **)list.v;
	return list.n;
}

size_t world_handles(struct world_handle ***all)
{
	static struct list list;

	list_all(&list, &handles, list_handle, by_origin);
	*all = (struct world_handle **)list.v;
	return list.n;
}

struct world_peer *world_peer(uint64_t id)
{
	struct world_peer *peer = peer_find(id);

	if (peer)
		peer->who = peers_find(id);
	return peer;
}

uint64_t world_oldest(const struct world_peer *peer)
{
	return peer->first ? peer->first->stamp : 0;
}
