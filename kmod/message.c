// SPDX-License-Identifier: GPL-2.0-only
/* Payload, messages, and what becomes of what they carry. */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "internal.h"
#include "trace.h"

/* Copied between two chances to be rescheduled or killed. */
#define BUS1_COPY_CHUNK SZ_1M

/**
 * bus1_payload_new() - copy a payload in
 * @from: where it is; advanced
 * @n:    bytes, more than 0 and not more than @from holds
 *
 * Return: the payload with one reference, or an ERR_PTR: ENOMEM, EFAULT, EINTR.
 */
struct bus1_payload *bus1_payload_new(struct iov_iter *from, size_t n)
{
	struct bus1_payload *payload;
	size_t at, chunk;
	int r;

	payload = kvmalloc(struct_size(payload, data, n), BUS1_GFP);
	if (!payload)
		return ERR_PTR(-ENOMEM);
	refcount_set(&payload->ref, 1);
	payload->size = n;

	for (at = 0; at < n; at += chunk) {
		chunk = min_t(size_t, n - at, BUS1_COPY_CHUNK);
		r = -EFAULT;
		if (copy_from_iter(payload->data + at, chunk, from) != chunk)
			goto err_free;
		r = -EINTR;
		if (fatal_signal_pending(current))
			goto err_free;
		cond_resched();
	}
	return payload;

err_free:
	kvfree(payload);
	return ERR_PTR(r);
}

struct bus1_payload *bus1_payload_get(struct bus1_payload *payload)
{
	if (payload)
		refcount_inc(&payload->ref);
	return payload;
}

struct bus1_payload *bus1_payload_put(struct bus1_payload *payload)
{
	if (payload && refcount_dec_and_test(&payload->ref))
		kvfree(payload);
	return NULL;
}

/**
 * bus1_payload_copy() - copy a payload out
 * @payload: the payload
 * @to:      room for all of it
 *
 * Return: 0, EFAULT or EINTR (killed).
 */
int bus1_payload_copy(struct bus1_payload *payload, struct iov_iter *to)
{
	size_t at, chunk;

	for (at = 0; at < payload->size; at += chunk) {
		chunk = min_t(size_t, payload->size - at, BUS1_COPY_CHUNK);
		if (copy_to_iter(payload->data + at, chunk, to) != chunk)
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}
EXPORT_SYMBOL_GPL(bus1_payload_copy);

/**
 * bus1_msg_new() - make a message to one node
 * @sender:    who sends
 * @dest:      where it goes: a handle that the caller holds until the message is
 *             linked and looked after
 * @payload:   the payload or NULL; gets another reference
 * @n_handles: room for handles, filled by the caller
 * @charge:    for all that; taken over
 *
 * Return: the message with one reference, or NULL if there is no memory.
 */
struct bus1_msg *bus1_msg_new(struct bus1_peer *sender,
			      const struct bus1_handle *dest,
			      struct bus1_payload *payload, size_t n_handles,
			      struct bus1_charge *charge)
{
	const struct bus1_node *node = dest->node;
	struct bus1_msg *message;

	message = kvzalloc(struct_size(message, handles, n_handles), BUS1_GFP);
	if (!message)
		return NULL;

	message->item.type = BUS1_MESSAGE_TYPE_USER;
	message->item.peer = node->item.peer;
	refcount_set(&message->ref, 1);
	refcount_set(&message->item.leads, 1);
	message->n_handles = n_handles;
	message->node_id = node->id;
	message->dest = dest;
	message->uid = sender->uid;
	message->n_data = payload ? payload->size : 0;
	message->payload = bus1_payload_get(payload);
	message->charge = *charge;
	charge->trace = NULL;
	return message;
}

struct bus1_msg *bus1_msg_get(struct bus1_msg *message)
{
	refcount_inc(&message->ref);
	return message;
}

/*
 * The last reference is gone; payload and handles went with the claim. Whoever
 * drops it keeps the receiver's memory: as the receiver, or as the sender by the
 * handle he sent to.
 */
void bus1_msg_put(struct bus1_msg *message)
{
	if (!refcount_dec_and_test(&message->ref))
		return;

	WARN_ON_ONCE(message->payload || message->item.ready);
	bus1_charge_return(&message->charge);
	bus1_item_free(&message->item);
}

/**
 * bus1_msg_discard() - give up what an undelivered message carries
 * @message: the message
 * @why:     BUS1_WHY_*, or 0 if it was never sent
 * @tx:      gets the HANDLE_RELEASE of nodes whose last handle was in here
 *
 * Called by the owner of the node in RELEASE, by the owner of the queue in close,
 * and by the sender if, after publication, the node is dead or the queue sealed.
 * They may come together: the cmpxchg lets one of them have the message.
 *
 * A delivery claims by a plain store. It does so under peer->lock, with the node
 * alive; the node dies under the same lock, so later. RELEASE and close hold that
 * lock and see the store. The sender does not, but has read node->dead, which was
 * written after the store was made visible by the lock; the cmpxchg, a full
 * barrier that depends on that read, sees the store too. Litmus: claim.
 *
 * Its charge returns with the last reference. Mostly that is at once; but the
 * queue keeps a message that came too late until the owner looks, and a RECV the
 * payload that it is copying.
 */
void bus1_msg_discard(struct bus1_msg *message, u32 why,
		      struct bus1_tx *tx)
{
	const struct bus1_item *item = &message->item;
	u32 i;

	if (cmpxchg(&message->claimed, 0, 1))
		return;

	if (why && trace_msg_discard_enabled())
		trace_msg_discard(item->peer->id, item->tx_peer, item->tx,
				  message->index, message->node_id,
				  message->n_data, message->n_handles, why,
				  ktime_get_ns(), bus1_item_seq(item));

	for (i = 0; i < message->n_handles; i++) {
		/* Not all are there if the send failed half-way. */
		if (message->handles[i])
			bus1_handle_unhold(message->handles[i], tx);
		cond_resched();
	}
	message->payload = bus1_payload_put(message->payload);
}
