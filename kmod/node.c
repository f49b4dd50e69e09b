// SPDX-License-Identifier: GPL-2.0-only
/* The receiving end: its life, its death, and who is told. */
#include <linux/slab.h>

#include "internal.h"
#include "trace.h"

/* Handles detached in one go under the node's spinlock. */
#define BUS1_DETACH_BATCH 64

/**
 * bus1_node_new() - make a node, not yet in its owner's table
 * @peer: the owner
 *
 * The caller charges it. Return: the node, without an ID, with one reference for
 * the table, and with one count in n_handles for the maker: bus1_node_drop()
 * gives that up once the first handles are made. NULL if there is no memory.
 */
struct bus1_node *bus1_node_new(struct bus1_peer *peer)
{
	struct bus1_node *node;

	node = kzalloc(sizeof(*node), BUS1_GFP);
	if (!node)
		return NULL;

	node->item.type = BUS1_MESSAGE_TYPE_HANDLE_RELEASE;
	node->item.peer = bus1_peer_get(peer);
	refcount_set(&node->ref, 1);
	refcount_set(&node->item.leads, 1);
	refcount_set(&node->n_handles, 1);
	spin_lock_init(&node->lock);
	INIT_LIST_HEAD(&node->handles);
	INIT_HLIST_HEAD(&node->queued);
	node->created = ktime_get_coarse_ns();
	return node;
}

struct bus1_node *bus1_node_get(struct bus1_node *node)
{
	refcount_inc(&node->ref);
	return node;
}

/*
 * The last reference is gone: the node is in no table, so no message can be
 * queued for it; no handle refers to it; its notification is not queued.
 */
void bus1_node_put(struct bus1_node *node)
{
	struct bus1_peer *peer = node->item.peer;

	if (!refcount_dec_and_test(&node->ref))
		return;

	WARN_ON_ONCE(!list_empty(&node->handles));
	WARN_ON_ONCE(!hlist_empty(&node->queued));
	WARN_ON_ONCE(node->item.ready);
	if (node->id && trace_node_free_enabled())
		trace_node_free(peer->id, node->id, ktime_get_ns());
	bus1_charge_return(&node->charge);
	bus1_item_free(&node->item);
	bus1_peer_put(peer);
}

/**
 * bus1_node_drop() - one live handle less
 * @node: the node
 * @tx:   gets the HANDLE_RELEASE, if this was the last one
 *
 * Whether the owner releases the node at the same time does not matter: the
 * notification vanishes at the latest where it would be received.
 */
void bus1_node_drop(struct bus1_node *node, struct bus1_tx *tx)
{
	if (!refcount_dec_and_test(&node->n_handles))
		return;
	/* Pairs with the one in bus1_node_kill(). Litmus: kill-drop. */
	smp_mb__after_atomic();
	if (READ_ONCE(node->dead))
		return;
	bus1_node_get(node);
	bus1_tx_add(tx, &node->item);
}

/**
 * bus1_node_kill() - mark a node dead
 * @node: the node; its owner's lock is held, unless nobody knows it
 *
 * From here on no handle is listed: whoever makes one sees that the node is
 * dead and notifies its owner himself. To catch the messages that are being
 * linked at this moment the caller looks at the queue next (bus1_tx_settle() is
 * the other side), unless no handle is left.
 *
 * Its charge goes now if there is a handle: others may keep its memory, each by a
 * handle that is paid for, but not make its owner pay. If there is none, a
 * HANDLE_RELEASE may be on its way to the owner; then the charge stays as long as
 * that keeps the memory, which the owner ends by looking at his queue once it is
 * published.
 */
void bus1_node_kill(struct bus1_node *node)
{
	spin_lock(&node->lock);
	WRITE_ONCE(node->dead, true);
	spin_unlock(&node->lock);
	/*
	 * Either the last handle is still there, or whoever drops it sees the
	 * node dead (bus1_node_drop()) and sends nothing. Litmus: kill-drop.
	 */
	smp_mb();
	if (refcount_read(&node->n_handles))
		bus1_charge_return(&node->charge);
}

/**
 * bus1_node_detach() - collect the NODE_RELEASE of each listed handle
 * @node: a dead node
 * @tx:   gets the notifications
 *
 * A handle leaves the list here or in bus1_handle_unhold(), whichever is first.
 */
void bus1_node_detach(struct bus1_node *node, struct bus1_tx *tx)
{
	struct bus1_handle *handle;
	unsigned int n;

	WARN_ON_ONCE(!READ_ONCE(node->dead));
	do {
		spin_lock(&node->lock);
		for (n = 0; n < BUS1_DETACH_BATCH; n++) {
			handle = list_first_entry_or_null(&node->handles,
							  struct bus1_handle,
							  node_entry);
			if (!handle)
				break;
			list_del_init(&handle->node_entry);
			/* Released by its owner: nobody to tell. */
			if (READ_ONCE(handle->released))
				continue;
			bus1_handle_get(handle);
			bus1_tx_add(tx, &handle->item);
		}
		spin_unlock(&node->lock);
		cond_resched();
	} while (n == BUS1_DETACH_BATCH);
}
