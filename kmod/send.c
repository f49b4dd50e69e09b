// SPDX-License-Identifier: GPL-2.0-only
/* SEND: one message for each destination, in one transaction. */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"
#include "trace.h"

static int bus1_send_hold(struct bus1_send_op *op, const u64 *dests, size_t n)
{
	size_t i;

	op->dests = &op->single;
	if (n > 1) {
		op->dests = kvcalloc(n, sizeof(*op->dests), BUS1_GFP);
		if (!op->dests)
			return bus1_refuse(&op->fault, -ENOMEM,
					   BUS1_CHECK_MEMORY, 0);
	}
	for (i = 0; i < n; i++) {
		op->dests[i] = bus1_peer_hold(op->peer, dests[i]);
		if (!op->dests[i])
			return bus1_refuse(&op->fault, -EBADRQC, BUS1_CHECK_ID,
					   dests[i]);
		op->n_dests++;
		cond_resched();
	}
	return 0;
}

/* Make the message for destination @index, unless its node is dead already. */
static int bus1_send_msg(struct bus1_send_op *op, u32 index,
			 struct bus1_payload *payload)
{
	struct bus1_node *node = op->dests[index]->node;
	struct bus1_msg *message;
	struct bus1_handle *handle;
	size_t i;

	if (READ_ONCE(node->dead))
		return 0;

	message = bus1_msg_new(op->peer, node, payload, op->sources.n);
	if (!message)
		goto err_memory;
	message->index = index;
	/* It goes the way of all others, also if it stays incomplete. */
	bus1_tx_add(&op->tx, &message->item);

	for (i = 0; i < op->sources.n; i++) {
		handle = bus1_handle_new(op->sources.array[i].node,
					 message->item.peer);
		if (!handle)
			goto err_memory;
		message->handles[i] = handle;
		if (fatal_signal_pending(current))
			return bus1_refuse(&op->fault, -EINTR,
					   BUS1_CHECK_SIGNAL, 0);
		cond_resched();
	}
	return 0;

err_memory:
	return bus1_refuse(&op->fault, -ENOMEM, BUS1_CHECK_MEMORY, 0);
}

/**
 * bus1_send_prepare() - SEND, all that can fail
 * @op:          the operation
 * @peer:        the sender
 * @dests:       handles to send to
 * @n_dests:     entries in @dests
 * @transfers:   handles to send along; of a new node the ID is filled in, flags
 *               stay
 * @n_transfers: entries in @transfers
 * @payload:     the payload or NULL; stays the caller's
 *
 * Return: 0, EINVAL, EBADRQC, ENOMEM or EINTR (killed); after an error nothing
 * is left to do.
 */
int bus1_send_prepare(struct bus1_send_op *op, struct bus1_peer *peer,
		      const u64 *dests, size_t n_dests,
		      struct bus1_transfer *transfers, size_t n_transfers,
		      struct bus1_payload *payload)
{
	size_t i;
	int r;

	*op = (struct bus1_send_op){
		.peer = peer,
		.n_bytes = payload ? payload->size : 0,
	};
	bus1_tx_init(&op->tx, peer, BUS1_TX_SEND);

	r = bus1_sources_prepare(&op->sources, peer, transfers, n_transfers,
				 &op->fault);
	if (r)
		goto err_abort;
	r = bus1_send_hold(op, dests, n_dests);
	if (r)
		goto err_abort;
	for (i = 0; i < n_dests; i++) {
		r = bus1_send_msg(op, i, payload);
		if (r)
			goto err_abort;
		cond_resched();
	}
	return 0;

err_abort:
	bus1_send_abort(op);
	return r;
}
EXPORT_SYMBOL_GPL(bus1_send_prepare);

static void bus1_send_unhold(struct bus1_send_op *op)
{
	size_t i;

	for (i = 0; i < op->n_dests; i++) {
		bus1_handle_unhold(op->dests[i], &op->tx);
		cond_resched();
	}
	if (op->dests != &op->single)
		kvfree(op->dests);
}

/* Destinations without a message: their nodes were dead. */
static void bus1_send_trace_dead(struct bus1_send_op *op)
{
	struct bus1_msg *message;
	struct bus1_node *node;
	u32 i;

	message = list_first_entry(&op->tx.items, struct bus1_msg,
				   item.entry);
	for (i = 0; i < op->n_dests; i++) {
		cond_resched();
		if (!list_entry_is_head(message, &op->tx.items, item.entry) &&
		    message->index == i) {
			message = list_next_entry(message, item.entry);
			continue;
		}
		node = op->dests[i]->node;
		trace_msg_discard(node->item.peer->id, op->peer->id,
				  op->tx.seq, i, node->id, op->n_bytes,
				  op->sources.n, BUS1_WHY_RELEASED,
				  ktime_get_ns());
	}
}

/**
 * bus1_send_commit() - SEND, let it take effect
 * @op: the operation
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
		bus1_send_trace_dead(op);

	bus1_tx_commit(&op->tx);
	bus1_send_unhold(op);
	bus1_sources_finish(&op->sources, &op->tx);
	bus1_tx_commit(&op->tx);
}
EXPORT_SYMBOL_GPL(bus1_send_commit);

/**
 * bus1_send_abort() - SEND, give it up
 * @op: the operation
 */
void bus1_send_abort(struct bus1_send_op *op)
{
	struct bus1_msg *message, *tmp;
	LIST_HEAD(messages);

	list_splice_init(&op->tx.items, &messages);
	bus1_tx_init(&op->tx, op->peer, BUS1_TX_DROP);
	/* New nodes first: they die before their handles do. */
	bus1_sources_abort(&op->sources, &op->tx);
	list_for_each_entry_safe(message, tmp, &messages, item.entry) {
		bus1_msg_discard(message, 0, &op->tx);
		bus1_msg_put(message);
		cond_resched();
	}
	if (op->dests)
		bus1_send_unhold(op);
	bus1_tx_commit(&op->tx);
}
EXPORT_SYMBOL_GPL(bus1_send_abort);
