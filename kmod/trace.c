// SPDX-License-Identifier: GPL-2.0-only
/* The tracepoints, and what of an item goes into them. */
#include "internal.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* The node that a notification is about, and the ID that dies with it. */
const struct bus1_node *bus1_item_about(const struct bus1_item *item, u64 *id)
{
	const struct bus1_handle *handle;
	const struct bus1_node *node;

	if (bus1_item_is_node(item)) {
		node = bus1_item_node(item);
		*id = node->id;
	} else {
		handle = bus1_item_handle(item);
		node = handle->node;
		*id = handle->id;
	}
	return node;
}

/* msg_send, notify_send */
void bus1_trace_send(const struct bus1_item *item)
{
	const struct bus1_msg *message;
	const struct bus1_node *node;
	u64 id;

	if (bus1_item_is_msg(item)) {
		message = bus1_item_msg(item);
		trace_msg_send(item->tx_peer, item->tx, message->index,
			       item->peer->id, message->node_id,
			       message->n_data, message->n_handles, item->stamp,
			       message->dest->id);
	} else {
		node = bus1_item_about(item, &id);
		trace_notify_send(item->tx_peer, item->tx, item->type,
				  item->peer->id, id, node->item.peer->id,
				  node->id, item->stamp);
	}
}

/* msg_recv, notify_recv */
void bus1_trace_recv(const struct bus1_item *item, u64 n_recv)
{
	const struct bus1_msg *message;
	const struct bus1_node *node;
	u64 id, now = ktime_get_ns();
	u64 queued = item->stamp ? now - item->stamp : 0;

	if (bus1_item_is_msg(item)) {
		message = bus1_item_msg(item);
		trace_msg_recv(item->peer->id, n_recv, item->tx_peer, item->tx,
			       message->index, message->node_id,
			       message->n_data, message->n_handles, queued, now,
			       bus1_item_seq(item));
	} else {
		node = bus1_item_about(item, &id);
		trace_notify_recv(item->peer->id, n_recv, item->tx_peer,
				  item->tx, item->type, id,
				  node->item.peer->id, node->id, queued, now,
				  bus1_item_seq(item));
	}
}

/* notify_drop */
void bus1_trace_drop(const struct bus1_item *item, u32 why)
{
	const struct bus1_node *node;
	u64 id;

	node = bus1_item_about(item, &id);
	trace_notify_drop(item->peer->id, item->tx_peer, item->tx, item->type,
			  id, node->item.peer->id, node->id, why,
			  ktime_get_ns(), bus1_item_seq(item));
}
