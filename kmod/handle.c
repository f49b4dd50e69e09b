// SPDX-License-Identifier: GPL-2.0-only
/* The sending end: its life and its release. */
#include <linux/slab.h>

#include "internal.h"
#include "trace.h"

/**
 * bus1_handle_new() - make a handle that is not yet in a table
 * @node: a node that is kept alive by a live handle, or by its maker
 * @peer: who will own the handle
 *
 * The caller charges it. Return: the handle, alive by one hold, with one
 * reference for that; or NULL if there is no memory.
 */
struct bus1_handle *bus1_handle_new(struct bus1_node *node,
				    struct bus1_peer *peer)
{
	struct bus1_handle *handle;

	handle = kzalloc(sizeof(*handle), BUS1_GFP);
	if (!handle)
		return NULL;

	handle->item.type = BUS1_MESSAGE_TYPE_NODE_RELEASE;
	handle->item.peer = bus1_peer_get(peer);
	refcount_set(&handle->ref, 1);
	refcount_set(&handle->item.leads, 1);
	refcount_set(&handle->holds, 1);
	handle->node = bus1_node_get(node);
	refcount_inc(&node->n_handles);
	INIT_LIST_HEAD(&handle->node_entry);
	return handle;
}

struct bus1_handle *bus1_handle_get(struct bus1_handle *handle)
{
	refcount_inc(&handle->ref);
	return handle;
}

/*
 * The last reference is gone: the handle is dropped, so it is in no table, no
 * message and no node's list, and its notification is not queued.
 */
void bus1_handle_put(struct bus1_handle *handle)
{
	struct bus1_peer *peer = handle->item.peer;
	struct bus1_node *node = handle->node;

	if (!refcount_dec_and_test(&handle->ref))
		return;

	WARN_ON_ONCE(!list_empty(&handle->node_entry));
	WARN_ON_ONCE(handle->item.ready);
	if (handle->id && trace_handle_free_enabled())
		trace_handle_free(peer->id, handle->id, node->item.peer->id,
				  node->id, ktime_get_ns());
	WARN_ON_ONCE(handle->trace);
	bus1_charge_return(&handle->charge);
	bus1_item_free(&handle->item);
	bus1_node_put(node);
	bus1_peer_put(peer);
}

/* bus1_handle_unhold() of the last hold. */
void bus1_handle_drop(struct bus1_handle *handle, struct bus1_tx *tx)
{
	struct bus1_node *node = handle->node;

	spin_lock(&node->lock);
	list_del_init(&handle->node_entry);
	spin_unlock(&node->lock);
	if (handle->trace)
		bus1_trace_put(handle->trace);
	handle->trace = NULL;
	bus1_node_drop(node, tx);
	bus1_handle_put(handle);
}

/* bus1_handle_trace() of a handle to a node of another user, the first time. */
struct bus1_trace *bus1_handle_remember(struct bus1_handle *handle)
{
	struct bus1_peer *peer = handle->item.peer;
	struct bus1_trace *trace, *old;

	WRITE_ONCE(peer->foreign, true);
	trace = bus1_trace_get(handle->node->item.peer->user, peer);
	if (!trace)
		return NULL;
	/* Another thread may have done the same. Litmus: trace. */
	old = cmpxchg(&handle->trace, NULL, trace);
	if (old)
		bus1_trace_put(trace);
	return old ?: trace;
}

/**
 * bus1_handle_install() - put a new handle into its owner's table
 * @handle: the handle; its origin is filled in, its owner's lock is held
 * @id:     reserved by bus1_peer_reserve()
 *
 * Return: false if the node is dead, so that the caller must queue the
 * handle's NODE_RELEASE, behind what brought the handle. Otherwise the release
 * of the node will do that: node->lock makes it one or the other. Litmus:
 * install.
 */
bool bus1_handle_install(struct bus1_handle *handle, u64 id)
{
	struct bus1_node *node = handle->node;
	struct bus1_peer *peer = handle->item.peer;
	bool alive;

	handle->id = id;
	handle->created = ktime_get_coarse_ns();
	if (trace_handle_new_enabled())
		trace_handle_new(peer->id, id, node->item.peer->id, node->id,
				 handle->how, handle->from, handle->from_tx,
				 handle->index, handle->slot, ktime_get_ns());

	spin_lock(&node->lock);
	alive = !node->dead;
	if (alive)
		list_add_tail(&handle->node_entry, &node->handles);
	spin_unlock(&node->lock);

	bus1_peer_install(peer, id, &handle->item);
	return alive;
}
