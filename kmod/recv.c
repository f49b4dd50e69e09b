// SPDX-License-Identifier: GPL-2.0-only
/* RECV: take the next item, strictly. */
#include <linux/export.h>
#include <linux/user_namespace.h>

#include "internal.h"
#include "trace.h"

/**
 * bus1_recv_begin() - RECV, wait for the turn
 * @op:   the operation
 * @peer: the receiver
 *
 * Return: 0, to be followed by bus1_recv_end(); or EINTR (killed).
 */
int bus1_recv_begin(struct bus1_recv_op *op, struct bus1_peer *peer)
{
	*op = (struct bus1_recv_op){ .peer = peer };
	if (mutex_lock_killable(&peer->turn))
		return bus1_refuse(&op->fault, -EINTR, BUS1_CHECK_SIGNAL, 0);
	return 0;
}
EXPORT_SYMBOL_GPL(bus1_recv_begin);

/* Whatever the last peek found is not wanted any more. */
static void bus1_recv_reset(struct bus1_recv_op *op)
{
	if (op->reserved)
		bus1_peer_unreserve(op->peer, op->n_transfers, op->first_id);
	op->reserved = false;
	op->payload = bus1_payload_put(op->payload);
	if (op->item)
		bus1_item_put(op->item);
	op->item = NULL;
}

/**
 * bus1_recv_peek() - RECV, see what comes next
 * @op: the operation; see struct bus1_recv_op for what is filled in
 *
 * It stays the first in the queue. Return: 0 or EAGAIN.
 */
int bus1_recv_peek(struct bus1_recv_op *op)
{
	struct bus1_peer *peer = op->peer;
	struct bus1_msg *message;
	struct bus1_item *item;

	bus1_recv_reset(op);

	mutex_lock(&peer->lock);
	item = bus1_queue_first(peer);
	if (!item) {
		mutex_unlock(&peer->lock);
		return -EAGAIN;
	}

	op->item = bus1_item_get(item);
	op->type = item->type;
	op->account = BUS1_INVALID;
	op->n_data = 0;
	op->n_transfers = 0;
	if (bus1_item_is_msg(item)) {
		message = bus1_item_msg(item);
		op->id = message->node_id;
		op->account = from_kuid_munged(peer->user_ns,
					       message->uid);
		op->n_transfers = message->n_handles;
		op->n_data = message->n_data;
		/* If the node is released, the message loses its own. */
		op->payload = bus1_payload_get(message->payload);
	} else if (bus1_item_is_node(item)) {
		op->id = bus1_item_node(item)->id;
	} else {
		op->id = bus1_item_handle(item)->id;
	}
	mutex_unlock(&peer->lock);
	return 0;
}
EXPORT_SYMBOL_GPL(bus1_recv_peek);

/**
 * bus1_recv_reserve() - RECV, get IDs for the handles
 * @op: the operation, after a peek
 *
 * Return: 0, ENOMEM or EINTR (killed).
 */
int bus1_recv_reserve(struct bus1_recv_op *op)
{
	int r;

	if (!op->n_transfers)
		return 0;
	r = bus1_peer_reserve(op->peer, op->n_transfers, &op->first_id);
	if (r)
		return bus1_refuse(&op->fault, r, r == -EINTR ?
				   BUS1_CHECK_SIGNAL : BUS1_CHECK_MEMORY, 0);
	op->reserved = true;
	return 0;
}
EXPORT_SYMBOL_GPL(bus1_recv_reserve);

/*
 * The handles become the receiver's. One whose node died on the way is followed
 * by its NODE_RELEASE, which belongs to the message's transaction.
 */
static void bus1_recv_install(struct bus1_recv_op *op,
			      struct bus1_msg *message)
{
	/* The message was the first and has just left the list. */
	struct list_head *behind = &op->peer->data.ready;
	struct bus1_charge carried = {};
	struct bus1_handle *handle;
	u32 i;

	/* What the sender claimed for them is now the receiver's own claim. */
	if (message->n_handles) {
		bus1_charge_split(&message->charge, &carried,
				  message->n_handles);
		bus1_charge_move(&carried, op->peer->trace);
	}

	for (i = 0; i < message->n_handles; i++) {
		handle = message->handles[i];
		message->handles[i] = NULL;
		bus1_charge_split(&carried, &handle->charge, 1);
		handle->how = BUS1_HOW_MESSAGE;
		handle->index = message->index;
		handle->slot = i;
		handle->from = message->item.tx_peer;
		handle->from_tx = message->item.tx;
		if (!bus1_handle_install(handle, op->first_id + 2 * i)) {
			bus1_handle_get(handle);
			handle->item.tx_peer = message->item.tx_peer;
			handle->item.tx = message->item.tx;
			handle->item.stamp = message->item.stamp;
			atomic64_set(&handle->item.seq,
				     atomic64_read(&message->item.seq));
			if (trace_notify_send_enabled())
				bus1_trace_send(&handle->item);
			bus1_queue_ready(&handle->item, behind);
			behind = &handle->item.entry;
		}
		cond_resched();
	}
	/* All of them are in use. */
	op->reserved = false;
}

/**
 * bus1_recv_commit() - RECV, take what was peeked at
 * @op: the operation, after a reserve
 *
 * Return: 0; ESTALE if it vanished, so that the caller peeks again; or EINVAL if
 * the caller forgot the reserve.
 */
int bus1_recv_commit(struct bus1_recv_op *op)
{
	struct bus1_peer *peer = op->peer;
	struct bus1_item *item = op->item;
	struct bus1_msg *message;
	struct bus1_handle *handle;
	struct bus1_node *node;
	struct bus1_tx tx;

	if (WARN_ON_ONCE(op->n_transfers && !op->reserved))
		return -EINVAL;

	mutex_lock(&peer->lock);
	if (!item->ready) {
		mutex_unlock(&peer->lock);
		return -ESTALE;
	}

	peer->data.n_recv++;
	if (trace_msg_recv_enabled() || trace_notify_recv_enabled())
		bus1_trace_recv(item, peer->data.n_recv);
	bus1_queue_unready(item);
	bus1_tx_init(&tx, peer, BUS1_TX_DROP);

	if (bus1_item_is_msg(item)) {
		message = bus1_item_msg(item);
		/* Its node is alive: nobody else claims before this is seen. */
		WRITE_ONCE(message->claimed, 1);
		bus1_recv_install(op, message);
		message->payload = bus1_payload_put(message->payload);
		bus1_charge_return(&message->charge);
	} else {
		bus1_peer_trace_release(item, 0, BUS1_WHY_NOTIFIED);
		if (bus1_item_is_node(item)) {
			node = bus1_item_node(item);
			bus1_node_kill(node);
			bus1_peer_erase(peer, node->id, item);
			bus1_node_put(node);
		} else {
			handle = bus1_item_handle(item);
			WRITE_ONCE(handle->released, true);
			bus1_peer_erase(peer, handle->id, item);
			bus1_handle_unhold(handle, &tx);
		}
	}
	mutex_unlock(&peer->lock);

	/* The queue's reference. */
	bus1_item_put(item);
	/* The node of a released handle is dead: there is nobody to tell. */
	WARN_ON_ONCE(!list_empty(&tx.items));
	return 0;
}
EXPORT_SYMBOL_GPL(bus1_recv_commit);

/**
 * bus1_recv_end() - RECV, let the next one have its turn
 * @op: the operation
 */
void bus1_recv_end(struct bus1_recv_op *op)
{
	bus1_recv_reset(op);
	mutex_unlock(&op->peer->turn);
}
EXPORT_SYMBOL_GPL(bus1_recv_end);
