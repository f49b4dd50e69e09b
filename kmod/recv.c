// SPDX-License-Identifier: GPL-2.0-only
/* RECV: take the next item, strictly. */
#include <linux/export.h>
#include <linux/user_namespace.h>

#include "internal.h"
#include "trace.h"

/**
 * bus1_recv_look() - take the turn, and see what comes next
 * @op:   the operation
 * @wait: BUS1_WAIT_*: for what to get on a list
 *
 * Return: 0 with the turn; EBUSY: somebody else has it; EAGAIN. With the last two
 * @op->wait is on peer->turns or peer->sleepers, if @wait has it.
 */
int bus1_recv_look(struct bus1_recv_op *op, unsigned int wait)
{
	struct bus1_peer *peer = op->peer;
	struct bus1_msg *message;
	struct bus1_item *item;

	mutex_lock(&peer->lock);
	if (peer->data.taken) {
		if (wait & BUS1_WAIT_TURN)
			bus1_wait_enter(&peer->turns, &op->wait);
		mutex_unlock(&peer->lock);
		return -EBUSY;
	}
	item = NULL;
	/* Who would find nothing and then wait looks once, after that. */
	if (!(wait & BUS1_WAIT_ITEM) || !llist_empty(&peer->incoming) ||
	    !list_empty(&peer->data.ready))
		item = bus1_queue_take(peer);
	if (!item && wait & BUS1_WAIT_ITEM) {
		bus1_wait_enter(&peer->sleepers, &op->wait);
		item = bus1_queue_take(peer);
		/*
		 * If that was another item than it was woken for, then all who
		 * sleep were on the list before it, and so were woken before,
		 * or get on it next, and see the item then.
		 */
		if (item)
			bus1_wait_leave(&peer->sleepers, &op->wait);
	}
	mutex_unlock(&peer->lock);
	if (!item)
		return -EAGAIN;

	/* Nobody else ends it, and what is read here is constant. */
	op->item = item;
	op->type = item->type;
	op->account = BUS1_INVALID;
	op->n_data = 0;
	op->n_transfers = 0;
	if (bus1_item_is_msg(item)) {
		message = bus1_item_msg(item);
		op->id = message->node_id;
		/* There the mapping is the identity. */
		op->account = peer->user_ns == &init_user_ns ?
			      __kuid_val(message->uid) :
			      from_kuid_munged(peer->user_ns, message->uid);
		op->n_transfers = message->n_handles;
		op->n_data = message->n_data;
	} else if (bus1_item_is_node(item)) {
		op->id = bus1_item_node(item)->id;
	} else {
		op->id = bus1_item_handle(item)->id;
	}
	return 0;
}

/**
 * bus1_recv_begin() - RECV, see what comes next
 * @op:       the operation; see struct bus1_recv_op for what is filled in
 * @peer:     the receiver
 * @flags:    0, BUS1_RECV_FLAG_WAIT or BUS1_RECV_NOWAIT
 * @deadline: with the flag: CLOCK_MONOTONIC in ns; KTIME_MAX or more: none
 * @fault:    gets the check that failed, here and later
 *
 * Others who receive from the peer wait, until bus1_recv_commit() or
 * bus1_recv_abort(). Return: 0, or with nothing begun: EAGAIN, if it was not to
 * wait; ETIMEDOUT; ERESTARTSYS for a signal, without the flag only if it kills.
 */
int bus1_recv_begin(struct bus1_recv_op *op, struct bus1_peer *peer, u64 flags,
		    u64 deadline, struct bus1_fault *fault)
{
	const unsigned int wait = flags & BUS1_RECV_FLAG_WAIT ?
				  BUS1_WAIT_TURN | BUS1_WAIT_ITEM :
				  flags ? 0 : BUS1_WAIT_TURN;
	int r;

	op->peer = peer;
	op->fault = fault;
	op->reserved = false;
	op->woken = false;

	r = bus1_recv_look(op, wait);
	if (r == -EBUSY && !wait)
		r = -EAGAIN;
	else if (r == -EBUSY || (r && wait & BUS1_WAIT_ITEM))
		r = bus1_wait(op, r, wait, deadline);
	if (r == -ETIMEDOUT)
		return bus1_refuse(fault, r, BUS1_CHECK_DEADLINE, deadline);
	if (r == -ERESTARTSYS)
		return bus1_refuse(fault, r, BUS1_CHECK_SIGNAL, 0);
	return r;
}
EXPORT_SYMBOL_GPL(bus1_recv_begin);

/**
 * bus1_recv_reserve() - RECV, get IDs for the handles
 * @op: the operation, begun
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
		return bus1_refuse(op->fault, r, r == -EINTR ?
				   BUS1_CHECK_SIGNAL : BUS1_CHECK_MEMORY, 0);
	op->reserved = true;
	return 0;
}
EXPORT_SYMBOL_GPL(bus1_recv_reserve);

/**
 * bus1_recv_copy() - RECV, copy the payload out
 * @op: the operation, begun
 * @to: room for @op->n_data bytes; stays as it is
 *
 * Return: 0, EFAULT or EINTR (killed).
 */
int bus1_recv_copy(struct bus1_recv_op *op, const struct iov_iter *to)
{
	return op->n_data ? bus1_msg_copy(bus1_item_msg(op->item), to) : 0;
}
EXPORT_SYMBOL_GPL(bus1_recv_copy);

/*
 * The handles become the receiver's. One whose node died on the way is followed
 * by its NODE_RELEASE, which belongs to the message's transaction. Returns how
 * many those are.
 */
static u32 bus1_recv_install(struct bus1_recv_op *op, struct bus1_msg *message)
{
	/* The message was the first, and is not in the list any more. */
	struct list_head *behind = &op->peer->data.ready;
	struct bus1_charge carried = {};
	struct bus1_handle *handle;
	u32 i, n_dead = 0;

	/* What the sender claimed for them is now the receiver's own claim. */
	bus1_charge_split(&message->charge, &carried, message->n_handles);
	bus1_charge_move(&carried, op->peer->trace);

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
			n_dead++;
		}
		cond_resched();
	}
	/* All of them are in use. */
	op->reserved = false;
	return n_dead;
}

/* A notification is received: what it speaks of is gone. */
static void bus1_recv_forget(struct bus1_peer *peer, struct bus1_item *item)
{
	struct bus1_handle *handle;
	struct bus1_node *node;
	struct bus1_tx tx;

	bus1_peer_trace_release(item, 0, BUS1_WHY_NOTIFIED);
	if (bus1_item_is_node(item)) {
		node = bus1_item_node(item);
		bus1_node_kill(node);
		bus1_peer_erase(peer, node->id, item);
		bus1_node_put(node);
	} else {
		bus1_tx_init(&tx, peer, BUS1_TX_DROP);
		handle = bus1_item_handle(item);
		WRITE_ONCE(handle->released, true);
		bus1_peer_erase(peer, handle->id, item);
		bus1_handle_unhold(handle, &tx);
		/* Its node is dead: there is nobody to tell. */
		WARN_ON_ONCE(tx.first);
	}
}

/**
 * bus1_recv_commit() - RECV, take it
 * @op: the operation, after a reserve
 *
 * Ends the operation. Return: 0; ESTALE if what it began with vanished, so that
 * the caller begins again; or EINVAL if the caller forgot the reserve.
 */
int bus1_recv_commit(struct bus1_recv_op *op)
{
	struct bus1_peer *peer = op->peer;
	struct bus1_item *item = op->item;
	struct bus1_msg *message;
	u32 n_more = 0;

	if (WARN_ON_ONCE(op->n_transfers && !op->reserved)) {
		bus1_recv_abort(op);
		return -EINVAL;
	}

	mutex_lock(&peer->lock);
	if (!item->ready) {
		mutex_unlock(&peer->lock);
		bus1_recv_abort(op);
		return -ESTALE;
	}

	peer->data.n_recv++;
	if (trace_msg_recv_enabled() || trace_notify_recv_enabled())
		bus1_trace_recv(item, peer->data.n_recv);
	bus1_queue_end(item, true);
	if (bus1_item_is_msg(item)) {
		message = bus1_item_msg(item);
		/* Its node is alive: nobody else claims before this is seen. */
		WRITE_ONCE(message->claimed, 1);
		if (message->n_handles)
			n_more = bus1_recv_install(op, message);
	} else {
		bus1_recv_forget(peer, item);
	}
	mutex_unlock(&peer->lock);

	bus1_wake(&peer->turns);
	while (n_more--) {
		bus1_wake(&peer->sleepers);
		cond_resched();
	}
	/*
	 * With the queue's reference. The sender may keep the message a little
	 * longer: what was charged by its size goes now, and he does not look
	 * at it any more.
	 */
	if (bus1_item_is_msg(item)) {
		message = bus1_item_msg(item);
		if (message->payload)
			message->payload = bus1_payload_put(message->payload);
		bus1_charge_return(&message->charge);
		bus1_msg_put(message);
	} else {
		bus1_item_put(item);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(bus1_recv_commit);

/**
 * bus1_recv_abort() - RECV, leave it in the queue
 * @op: the operation, begun
 */
void bus1_recv_abort(struct bus1_recv_op *op)
{
	struct bus1_peer *peer = op->peer;
	bool ready;

	if (op->reserved)
		bus1_peer_unreserve(peer, op->n_transfers, op->first_id);
	mutex_lock(&peer->lock);
	ready = bus1_queue_end(op->item, false);
	mutex_unlock(&peer->lock);
	bus1_wake(&peer->turns);
	if (!ready)
		bus1_item_put(op->item);
	bus1_wake_pass(op);
}
EXPORT_SYMBOL_GPL(bus1_recv_abort);
