// SPDX-License-Identifier: GPL-2.0-only
/* SEND: one message for each destination, in one transaction. */
#include <linux/export.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "defect.h"
#include "internal.h"
#include "trace.h"

/*
 * What do the destinations have in common? If all receivers are different there is
 * nothing to sort, and if they are of one user it can be charged at once. Without
 * memory to find out they may be anybody.
 */
static void bus1_send_survey(struct bus1_send_op *op)
{
	const struct bus1_user *user =
		op->dests[0].handle->node->item.peer->user;
	const unsigned int bits = fls_long(op->n_dests);
	const size_t mask = (1UL << bits) - 1;
	bool distinct = true, alike = true;
	const struct bus1_node *node;
	struct bus1_peer **seen;
	size_t i, at;

	/* More than as many places as destinations, so there is one for each. */
	seen = kvcalloc(mask + 1, sizeof(*seen), BUS1_GFP);
	if (!seen)
		return;
	for (i = 0; i < op->n_dests; i++) {
		node = op->dests[i].handle->node;
		at = hash_ptr(node->item.peer, bits);
		while (seen[at] && seen[at] != node->item.peer)
			at = (at + 1) & mask;
		distinct = distinct && !seen[at];
		seen[at] = node->item.peer;
		alike = alike && node->item.peer->user == user &&
			!READ_ONCE(node->dead);
		if (!(i % BUS1_BREATH))
			cond_resched();
	}
	kvfree(seen);
	op->tx.grouped = distinct;
	op->alike = alike;
}

static int bus1_send_hold(struct bus1_send_op *op, const u64 *dests, size_t n)
{
	op->dests = &op->single;
	if (n > 1) {
		op->dests = kvcalloc(n, sizeof(*op->dests), BUS1_GFP);
		if (!op->dests)
			return bus1_refuse(op->fault, -ENOMEM,
					   BUS1_CHECK_MEMORY, 0);
	}
	op->n_dests = bus1_peer_hold_all(op->peer, dests, op->dests, n);
	if (op->n_dests < n)
		return bus1_refuse(op->fault, -EBADRQC, BUS1_CHECK_ID,
				   dests[op->n_dests]);
	if (n > 1)
		bus1_send_survey(op);
	return 0;
}

/*
 * Charge a message, with the handles in it, to the receiver's user. If the node
 * is dead already there will be none, nor where it is skipped.
 */
static int bus1_send_charge_dest(struct bus1_send_op *op,
				 struct bus1_dest *dest, u64 flags)
{
	struct bus1_trace *trace;
	int r;

	if (READ_ONCE(dest->handle->node->dead))
		return 0;

	trace = bus1_handle_trace(dest->handle);
	if (!trace)
		return bus1_refuse(op->fault, -ENOMEM, BUS1_CHECK_MEMORY, 0);
	r = bus1_charge_take(&dest->charge, trace, 1 + op->sources.n,
			     op->n_bytes, BUS1_OP_SEND, op->fault);
	if (!r || r == -ESHUTDOWN)
		return 0;
	if (!(flags & BUS1_SEND_FLAG_CONTINUE))
		return r;
	*op->fault = (struct bus1_fault){};
	dest->error = -EDQUOT;
	op->n_skipped++;
	return 0;
}

/* All messages at once, if their user lets the sender have it without ado. */
static bool bus1_send_charge_all(struct bus1_send_op *op)
{
	const struct bus1_charge one = {
		.trace = bus1_handle_trace(op->dests[0].handle),
		.objects = 1 + op->sources.n,
		.bytes = op->n_bytes,
	};
	size_t i;

	if (!one.trace || !bus1_charge_take_all(&one, op->n_dests))
		return false;
	for (i = 0; i < op->n_dests; i++)
		op->dests[i].charge = one;
	op->n_charged = op->n_dests;
	return true;
}

/* Charge all that will be made, before it is, and before data is copied. */
static int bus1_send_charge(struct bus1_send_op *op, u64 flags)
{
	size_t i;
	int r;

	r = bus1_charge_take(&op->sources.charge, op->peer->trace,
			     op->sources.n_created, 0, BUS1_OP_SEND,
			     op->fault);
	if (!r && op->alike && bus1_send_charge_all(op))
		return 0;
	for (i = 0; !r && i < op->n_dests; i++) {
		r = bus1_send_charge_dest(op, &op->dests[i], flags);
		if (op->dests[i].charge.trace)
			op->n_charged++;
		cond_resched();
	}
	return r;
}

/*
 * What several receivers share, or is too large for a message, is copied here;
 * the rest as the message is made. Not if nobody gets it.
 */
static int bus1_send_copy(struct bus1_send_op *op, struct iov_iter *data)
{
	struct bus1_payload *payload;
	int r;

	if (!op->n_bytes || !op->n_charged ||
	    (op->n_charged == 1 && bus1_msg_fits(op->sources.n, op->n_bytes)))
		return 0;
	payload = bus1_payload_new(data, op->n_bytes);
	if (IS_ERR(payload)) {
		r = PTR_ERR(payload);
		return bus1_refuse(op->fault, r,
				   r == -EFAULT ? BUS1_CHECK_IOVEC :
				   r == -EINTR ? BUS1_CHECK_SIGNAL :
				   BUS1_CHECK_MEMORY,
				   r == -EFAULT ? data->nr_segs : 0);
	}
	op->payload = payload;
	return 0;
}

/* Make the message for destination @index. */
static int bus1_send_msg(struct bus1_send_op *op, u32 index,
			 struct iov_iter *data)
{
	struct bus1_dest *dest = &op->dests[index];
	struct bus1_msg *message;
	struct bus1_handle *handle;
	void *memory;
	size_t i;
	int r;

	memory = bus1_mem_spare(&op->spares,
				bus1_msg_size(op->sources.n, op->payload ? 0 :
					      op->n_bytes),
				op->n_charged - op->tx.n_messages);
	if (!memory)
		goto err_memory;
	message = bus1_msg_new(memory, op->spares.class, op->peer, dest->handle,
			       op->sources.n, op->n_bytes, op->payload,
			       &dest->charge);
	message->index = index;
	/* It goes the way of all others, also if it stays incomplete. */
	bus1_tx_add(&op->tx, &message->item);

	if (op->n_bytes && !op->payload) {
		r = bus1_msg_fill(message, data);
		if (r)
			return bus1_refuse(op->fault, r, BUS1_CHECK_IOVEC,
					   data->nr_segs);
	}
	for (i = 0; i < op->sources.n; i++) {
		handle = bus1_handle_new(op->sources.array[i].node,
					 message->item.peer);
		if (!handle)
			goto err_memory;
		message->handles[i] = handle;
		if (fatal_signal_pending(current))
			return bus1_refuse(op->fault, -EINTR,
					   BUS1_CHECK_SIGNAL, 0);
		cond_resched();
	}
	return 0;

err_memory:
	return bus1_refuse(op->fault, -ENOMEM, BUS1_CHECK_MEMORY, 0);
}

/**
 * bus1_send_prepare() - SEND, all that can fail
 * @op:          the operation
 * @peer:        the sender
 * @flags:       0 or BUS1_SEND_FLAG_CONTINUE
 * @dests:       handles to send to
 * @n_dests:     entries in @dests; with 0 the transfers are looked up, nothing is
 *               made, and bus1_send_abort() is due. This and all other counts are
 *               within the limits of the uapi header
 * @transfers:   handles to send along; of a new node the ID is filled in, flags
 *               stay
 * @n_transfers: entries in @transfers
 * @data:        where the payload is, or NULL if there is none
 * @n_data:      its size, at most MAX_RW_COUNT; @data holds as much
 * @fault:       gets the check that failed
 *
 * Return: 0, EINVAL, EBADRQC, EXFULL, EDQUOT, EFAULT, ENOMEM or EINTR (killed);
 * after an error nothing is left to do, but IDs may have been filled in.
 */
int bus1_send_prepare(struct bus1_send_op *op, struct bus1_peer *peer,
		      u64 flags, const u64 *dests, size_t n_dests,
		      struct bus1_transfer *transfers, size_t n_transfers,
		      struct iov_iter *data, size_t n_data,
		      struct bus1_fault *fault)
{
	size_t i;
	int r;

	*op = (struct bus1_send_op){
		.peer = peer,
		.n_bytes = n_data,
		.fault = fault,
	};
	bus1_tx_init(&op->tx, peer, BUS1_TX_SEND);

	r = bus1_sources_hold(&op->sources, peer, transfers, n_transfers,
			      op->fault);
	if (r)
		goto err_abort;
	r = bus1_send_hold(op, dests, n_dests);
	if (r)
		goto err_abort;
	if (!n_dests)
		return 0;
	r = bus1_send_charge(op, flags);
	if (r)
		goto err_abort;
	r = bus1_send_copy(op, data);
	if (r)
		goto err_abort;
	r = bus1_sources_create(&op->sources, peer, transfers, op->fault);
	if (r)
		goto err_abort;
	for (i = 0; i < n_dests; i++) {
		if (!op->dests[i].charge.trace)
			continue;
		r = bus1_send_msg(op, i, data);
		if (r)
			goto err_abort;
		if (!(i % BUS1_BREATH))
			cond_resched();
	}
	/* From here on the messages keep it. */
	op->payload = bus1_payload_put(op->payload);
	bus1_mem_unspare(&op->spares);
	return 0;

err_abort:
	bus1_send_abort(op);
	return r;
}
EXPORT_SYMBOL_GPL(bus1_send_prepare);

/*
 * @used: the time, or 0 if nothing was sent. Threads may send through a handle at
 * once: whoever is last wins, a tick more or less.
 */
static void bus1_send_unhold(struct bus1_send_op *op, u64 used)
{
	size_t i;

	for (i = 0; i < op->n_dests; i++) {
		if (used && !op->dests[i].error)
			WRITE_ONCE(op->dests[i].handle->used, used);
		/* Left from an abort; the handle keeps the user. */
		if (op->dests[i].charge.trace)
			bus1_charge_return(&op->dests[i].charge);
		bus1_handle_unhold(op->dests[i].handle, &op->tx);
		if (!(i % BUS1_BREATH))
			cond_resched();
	}
	if (op->dests != &op->single)
		kvfree(op->dests);
	op->payload = bus1_payload_put(op->payload);
}

/* Destinations without a message: their nodes were dead, or they are skipped. */
static void bus1_send_trace_none(struct bus1_send_op *op)
{
	struct bus1_item *item = op->tx.first;
	struct bus1_node *node;
	u32 i;

	for (i = 0; i < op->n_dests; i++) {
		cond_resched();
		if (item && bus1_item_msg(item)->index == i) {
			item = item->next;
			continue;
		}
		node = op->dests[i].handle->node;
		trace_msg_discard(node->item.peer->id, op->peer->id,
				  op->tx.number, i, node->id, op->n_bytes,
				  op->sources.n, op->dests[i].error ?
				  BUS1_WHY_QUOTA : BUS1_WHY_RELEASED,
				  ktime_get_ns(), 0);
	}
}

/*
 * Only as a defect: while the messages are linked and published, the handles are
 * not held, but for their memory.
 */
static void bus1_send_commit_loose(struct bus1_send_op *op)
{
	struct bus1_tx tx;
	size_t i;

	bus1_tx_init(&tx, op->peer, BUS1_TX_DROP);
	for (i = 0; i < op->n_dests; i++) {
		bus1_handle_get(op->dests[i].handle);
		bus1_handle_unhold(op->dests[i].handle, &tx);
	}
	bus1_tx_commit(&tx);
	bus1_defect_delay();
	bus1_tx_commit(&op->tx);
	for (i = 0; i < op->n_dests; i++)
		bus1_handle_put(op->dests[i].handle);
	op->n_dests = 0;
}

/**
 * bus1_send_commit() - SEND, let it take effect
 * @op: the operation; its @n_dests was not 0
 */
void bus1_send_commit(struct bus1_send_op *op)
{
	bus1_tx_draw(&op->tx);
	if (op->sources.n_created) {
		mutex_lock(&op->peer->lock);
		bus1_sources_install(&op->sources);
		mutex_unlock(&op->peer->lock);
	}
	if (trace_msg_discard_enabled() && op->tx.n_messages < op->n_dests)
		bus1_send_trace_none(op);

	if (bus1_defect(BUS1_DEFECT_HOLD))
		bus1_send_commit_loose(op);
	else
		bus1_tx_commit(&op->tx);
	bus1_send_unhold(op, ktime_get_coarse_ns());
	bus1_sources_finish(&op->sources, &op->tx);
	bus1_tx_commit(&op->tx);
}
EXPORT_SYMBOL_GPL(bus1_send_commit);

/**
 * bus1_send_one() - SEND of data to one destination
 * @peer:   the sender
 * @dest:   a handle
 * @data:   where the payload is
 * @n_data: its size; bus1_msg_fits()
 * @fault:  gets the check that failed
 *
 * What most messages are, in one step and without anything that only others need.
 * Return: 0; as bus1_send_prepare(); or 1: nothing is done, it is for that one.
 */
int bus1_send_one(struct bus1_peer *peer, u64 dest, struct iov_iter *data,
		  size_t n_data, struct bus1_fault *fault)
{
	struct bus1_charge charge;
	struct bus1_handle *handle;
	struct bus1_trace *trace;
	struct bus1_msg *message;
	unsigned int class;
	struct bus1_tx tx;
	void *memory;
	int r = 1;

	charge.trace = NULL;
	handle = bus1_peer_hold(peer, dest);
	if (!handle)
		return bus1_refuse(fault, -EBADRQC, BUS1_CHECK_ID, dest);
	if (READ_ONCE(handle->node->dead) || bus1_defect(BUS1_DEFECT_HOLD))
		goto err_unhold;

	trace = bus1_handle_trace(handle);
	if (!trace)
		goto err_memory;
	r = bus1_charge_take(&charge, trace, 1, n_data, BUS1_OP_SEND, fault);
	if (r) {
		r = r == -ESHUTDOWN ? 1 : r;
		goto err_unhold;
	}
	memory = bus1_mem_alloc(bus1_msg_size(0, n_data), &class);
	if (!memory)
		goto err_memory;
	message = bus1_msg_new(memory, class, peer, handle, 0, n_data, NULL,
			       &charge);
	r = n_data ? bus1_msg_fill(message, data) : 0;
	if (r) {
		r = bus1_refuse(fault, r, BUS1_CHECK_IOVEC, data->nr_segs);
		bus1_msg_put(message);
		goto err_unhold;
	}

	bus1_tx_init(&tx, peer, BUS1_TX_SEND);
	bus1_tx_commit_one(&tx, message);
	WRITE_ONCE(handle->used, ktime_get_coarse_ns());
	bus1_handle_unhold(handle, &tx);
	if (unlikely(tx.first))
		bus1_tx_commit(&tx);
	return 0;

err_memory:
	r = bus1_refuse(fault, -ENOMEM, BUS1_CHECK_MEMORY, 0);
err_unhold:
	bus1_charge_return(&charge);
	bus1_tx_init(&tx, peer, BUS1_TX_DROP);
	bus1_handle_unhold(handle, &tx);
	bus1_tx_commit(&tx);
	return r;
}

/**
 * bus1_send_abort() - SEND, give it up
 * @op: the operation
 */
void bus1_send_abort(struct bus1_send_op *op)
{
	struct bus1_item *item = op->tx.first, *next;

	bus1_mem_unspare(&op->spares);
	bus1_tx_init(&op->tx, op->peer, BUS1_TX_DROP);
	/* New nodes first: they die before their handles do. */
	bus1_sources_abort(&op->sources, &op->tx);
	for (; item; item = next) {
		next = item->next;
		bus1_msg_discard(bus1_item_msg(item), 0, &op->tx);
		bus1_item_put(item);
		cond_resched();
	}
	if (op->dests)
		bus1_send_unhold(op, 0);
	bus1_tx_commit(&op->tx);
}
EXPORT_SYMBOL_GPL(bus1_send_abort);
