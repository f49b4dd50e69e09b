// SPDX-License-Identifier: GPL-2.0-only
/* See model.h. Small and slow on purpose: lists that are walked. */
#include <assert.h>
#include <string.h>

#include "model.h"

#define N_NODES 1024
#define N_HANDLES 4096
#define N_EVENTS 4096
#define N_IDS 8192

static struct {
	bool open;
	bool was_open;
	unsigned int life;
	uint64_t account;
	struct model_event queue[N_EVENTS];
	unsigned int n_queue;
	uint64_t ids[N_IDS];
	unsigned int n_ids;
	unsigned int vanished; /* notifications, since the queue was seen */
} peers[MODEL_PEERS];

static struct model_node nodes[N_NODES];
static struct model_handle handles[N_HANDLES];
static unsigned int n_nodes, n_handles, call;

void model_reset(void)
{
	unsigned int p;

	for (p = 0; p < MODEL_PEERS; p++) {
		peers[p].open = peers[p].was_open = false;
		peers[p].n_queue = peers[p].n_ids = peers[p].vanished = 0;
	}
	n_nodes = n_handles = call = 0;
}

uint32_t model_begin(void)
{
	return ++call;
}

bool model_is_open(unsigned int p)
{
	return peers[p].open;
}

bool model_was_open(unsigned int p)
{
	return peers[p].was_open;
}

void model_open(unsigned int p, uint64_t account)
{
	peers[p].open = peers[p].was_open = true;
	peers[p].life++;
	peers[p].account = account;
	peers[p].n_queue = peers[p].n_ids = peers[p].vanished = 0;
}

bool model_id_fresh(unsigned int p, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < peers[p].n_ids; i++)
		if (peers[p].ids[i] == id)
			return false;
	assert(peers[p].n_ids < N_IDS);
	peers[p].ids[peers[p].n_ids++] = id;
	return true;
}

struct model_node *model_node(unsigned int p, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < n_nodes; i++)
		if (nodes[i].live && nodes[i].peer == p && nodes[i].id == id)
			return &nodes[i];
	return NULL;
}

struct model_handle *model_handle(unsigned int p, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < n_handles; i++)
		if (handles[i].live && handles[i].peer == p &&
		    handles[i].id == id)
			return &handles[i];
	return NULL;
}

/* --- the queue ---------------------------------------------------------- */

static struct model_event *queue_insert(unsigned int p, unsigned int at)
{
	struct model_event *q = peers[p].queue;

	assert(peers[p].n_queue < N_EVENTS);
	memmove(q + at + 1, q + at, (peers[p].n_queue++ - at) * sizeof(*q));
	memset(q + at, 0, sizeof(*q));
	q[at].call = call;
	return q + at;
}

static void queue_remove(unsigned int p, unsigned int at)
{
	struct model_event *q = peers[p].queue;

	memmove(q + at, q + at + 1, (--peers[p].n_queue - at) * sizeof(*q));
}

static void tell_handle(struct model_handle *h, unsigned int at)
{
	struct model_event *e = queue_insert(h->peer, at);

	e->type = MODEL_NODE_RELEASE;
	e->handle = h;
}

static void tell_node(struct model_node *node)
{
	unsigned int p = node->peer, i;
	struct model_event *e;

	for (i = 0; i < peers[p].n_queue; i++)
		if (peers[p].queue[i].type == MODEL_HANDLE_RELEASE &&
		    peers[p].queue[i].node == node)
			return;
	e = queue_insert(p, peers[p].n_queue);
	e->type = MODEL_HANDLE_RELEASE;
	e->node = node;
}

/* --- nodes and handles -------------------------------------------------- */

struct model_node *model_node_new(unsigned int p, uint64_t id)
{
	struct model_node *node = &nodes[n_nodes++];

	assert(n_nodes < N_NODES);
	*node = (struct model_node){ .peer = p, .id = id, .live = true };
	return node;
}

static struct model_handle *handle_add(unsigned int p, struct model_node *node,
				       uint64_t id)
{
	struct model_handle *h = &handles[n_handles++];

	assert(n_handles < N_HANDLES);
	*h = (struct model_handle){ p, id, true, node };
	return h;
}

void model_handle_new(unsigned int p, struct model_node *node, uint64_t id)
{
	struct model_handle *h = handle_add(p, node, id);

	node->refs++;
	if (!node->live)
		tell_handle(h, peers[p].n_queue);
}

/*
 * What a release does to others follows when all that it names is gone, since
 * it is one transaction.
 */
static void node_drop(struct model_node *node)
{
	node->live = false;
}

static void handle_drop(struct model_handle *h)
{
	h->live = false;
	h->node->refs--;
}

static void message_drop(struct model_event *e)
{
	while (e->n_t)
		e->t[--e->n_t]->refs--;
}

/* Void: what speaks of something that is gone. */
static bool event_void(const struct model_event *e)
{
	return e->type == MODEL_NODE_RELEASE ? !e->handle->live :
					       !e->node->live;
}

static bool handle_told(const struct model_handle *h)
{
	unsigned int i;

	for (i = 0; i < peers[h->peer].n_queue; i++)
		if (peers[h->peer].queue[i].type == MODEL_NODE_RELEASE &&
		    peers[h->peer].queue[i].handle == h)
			return true;
	return false;
}

static void settle(void)
{
	unsigned int p, i;

	for (p = 0; p < MODEL_PEERS; p++) {
		for (i = peers[p].n_queue; i-- > 0;) {
			struct model_event *e = &peers[p].queue[i];

			if (!event_void(e))
				continue;
			if (e->type == MODEL_USER)
				message_drop(e);
			else
				peers[p].vanished++;
			queue_remove(p, i);
		}
	}
	for (i = 0; i < n_nodes; i++)
		if (nodes[i].live && !nodes[i].refs)
			tell_node(&nodes[i]);
	for (i = 0; i < n_handles; i++)
		if (handles[i].live && !handles[i].node->live &&
		    !handle_told(&handles[i]))
			tell_handle(&handles[i],
				    peers[handles[i].peer].n_queue);
}

void model_release(unsigned int p, unsigned int n, const uint64_t *ids)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct model_node *node = model_node(p, ids[i]);

		if (node)
			node_drop(node);
		else
			handle_drop(model_handle(p, ids[i]));
	}
	settle();
}

void model_close(unsigned int p)
{
	unsigned int i;

	for (i = 0; i < n_nodes; i++)
		if (nodes[i].live && nodes[i].peer == p)
			node_drop(&nodes[i]);
	for (i = 0; i < n_handles; i++)
		if (handles[i].live && handles[i].peer == p)
			handle_drop(&handles[i]);
	settle();
	assert(!peers[p].n_queue);
	peers[p].open = false;
}

/* --- messages ----------------------------------------------------------- */

void model_send(unsigned int p, unsigned int n, struct model_node *const *to,
		const struct model_message *m)
{
	unsigned int i, k;

	for (i = 0; i < n; i++) {
		struct model_event *e;

		if (!to[i] || !to[i]->live)
			continue;
		e = queue_insert(to[i]->peer, peers[to[i]->peer].n_queue);
		e->type = MODEL_USER;
		e->node = to[i];
		e->from = p;
		e->life = peers[p].life;
		e->account = peers[p].account;
		e->stamp = m->stamp;
		e->n_data = m->n_data;
		e->n_t = m->n_t;
		for (k = 0; k < m->n_t; k++) {
			e->t[k] = m->t[k];
			e->t[k]->refs++;
		}
	}
	settle();
}

/* Notifications that one call made stand in no order among themselves. */
unsigned int model_heads(unsigned int p)
{
	const struct model_event *q = peers[p].queue;
	unsigned int n = 1;

	if (!peers[p].n_queue)
		return 0;
	while (q->type != MODEL_USER && n < peers[p].n_queue &&
	       q[n].type != MODEL_USER && q[n].call == q->call)
		n++;
	return n;
}

const struct model_event *model_head(unsigned int p, unsigned int i)
{
	return &peers[p].queue[i];
}

void model_take(unsigned int p, const struct model_event *e,
		const uint64_t *ids)
{
	struct model_event m = *e;
	unsigned int i, late = 0;

	queue_remove(p, e - peers[p].queue);
	peers[p].vanished = 0;
	switch (m.type) {
	case MODEL_USER:
		/* Right behind: the end of what came with it */
		for (i = 0; i < m.n_t; i++) {
			struct model_handle *h = handle_add(p, m.t[i], ids[i]);

			if (!m.t[i]->live)
				tell_handle(h, late++);
		}
		break;
	case MODEL_NODE_RELEASE:
		handle_drop(m.handle);
		break;
	case MODEL_HANDLE_RELEASE:
		node_drop(m.node);
		break;
	}
}

/* --- to choose from, and to count --------------------------------------- */

uint64_t model_nth_handle(unsigned int p, unsigned int n)
{
	unsigned int i, count = 0;

	for (i = 0; i < n_handles; i++)
		count += handles[i].live && handles[i].peer == p;
	if (!count)
		return 0;
	n %= count;
	for (i = 0;; i++)
		if (handles[i].live && handles[i].peer == p && !n--)
			return handles[i].id;
}

uint64_t model_nth_node(unsigned int p, unsigned int n)
{
	unsigned int i, count = 0;

	for (i = 0; i < n_nodes; i++)
		count += nodes[i].live && nodes[i].peer == p;
	if (!count)
		return 0;
	n %= count;
	for (i = 0;; i++)
		if (nodes[i].live && nodes[i].peer == p && !n--)
			return nodes[i].id;
}

static uint64_t nth(unsigned int p, unsigned int n, bool live)
{
	unsigned int i;

	for (i = peers[p].n_ids; i-- > 0;) {
		uint64_t id = peers[p].ids[i];

		if ((model_node(p, id) || model_handle(p, id)) == live && !n--)
			return id;
	}
	return 0;
}

uint64_t model_nth_last(unsigned int p, unsigned int n)
{
	return nth(p, n, true);
}

uint64_t model_nth_gone(unsigned int p, unsigned int n)
{
	return nth(p, n, false);
}

void model_count(unsigned int p, struct model_counts *c)
{
	unsigned int i, k;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < n_nodes; i++)
		c->nodes += nodes[i].live && nodes[i].peer == p;
	for (i = 0; i < n_handles; i++)
		c->handles += handles[i].live && handles[i].peer == p;
	c->queued = peers[p].n_queue;
	c->objects = 1 + c->nodes + c->handles;
	c->late_objects = peers[p].vanished;
	for (k = 0; k < MODEL_PEERS; k++) {
		for (i = 0; i < peers[k].n_queue; i++) {
			const struct model_event *e = &peers[k].queue[i];

			if (e->type != MODEL_USER)
				continue;
			if (k == p)
				c->queued_bytes += e->n_data;
			if (e->from != p || e->life != peers[p].life)
				continue;
			c->objects += 1 + e->n_t;
			c->bytes += e->n_data;
		}
	}
}
