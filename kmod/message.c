// SPDX-License-Identifier: GPL-2.0-only
/* Messages, and what becomes of what they carry. */
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "internal.h"
#include "trace.h"

/**
 * bus1_msg_new() - make a message to one node
 * @memory:    bus1_msg_size() bytes
 * @class:     of the memory
 * @sender:    who sends
 * @dest:      where it goes: a handle that the caller holds until the message is
 *             linked and looked after
 * @n_handles: room for handles, filled by the caller
 * @n_data:    bytes of payload
 * @payload:   them, or NULL if they go into the message itself, which
 *             bus1_msg_fill() does then; gets another reference
 * @charge:    for all that; taken over
 *
 * Return: the message with one reference.
 */
struct bus1_msg *bus1_msg_new(void *memory, unsigned int class,
			      struct bus1_peer *sender,
			      const struct bus1_handle *dest,
			      size_t n_handles, size_t n_data,
			      struct bus1_payload *payload,
			      struct bus1_charge *charge)
{
	const struct bus1_node *node = dest->node;
	struct bus1_msg *message = memory;

	/* What is missing is set when it is added to a transaction. */
	message->item.type = BUS1_MESSAGE_TYPE_USER;
	message->item.class = class;
	message->item.refused = false;
	message->item.ready = false;
	message->item.marked = false;
	message->item.lead = NULL;
	message->item.peer = node->item.peer;
	atomic64_set(&message->item.seq, 0);
	refcount_set(&message->item.leads, 1);
	refcount_set(&message->ref, 1);
	message->claimed = 0;
	message->index = 0;
	message->n_handles = n_handles;
	message->node_id = node->id;
	message->dest = dest;
	message->n_data = n_data;
	message->payload = bus1_payload_get(payload);
	message->uid = sender->uid;
	message->charge = *charge;
	if (n_handles)
		memset(message->handles, 0,
		       n_handles * sizeof(*message->handles));
	charge->trace = NULL;
	return message;
}

/* The memory, once nobody refers to it any more. */
void bus1_msg_free(struct bus1_msg *message)
{
	bus1_mem_free(message, message->item.class);
}

static void *bus1_msg_data(struct bus1_msg *message)
{
	return &message->handles[message->n_handles];
}

/**
 * bus1_msg_fill() - copy the payload into a new message
 * @message: made without a payload
 * @from:    @message->n_data bytes; advanced, or not
 *
 * Its size is known, so nothing needs to be asked of the allocator, as
 * copy_from_iter() and copy_to_iter() do for a hardened kernel. What is in one
 * piece needs no iterator either.
 *
 * Return: 0 or EFAULT.
 */
int bus1_msg_fill(struct bus1_msg *message, struct iov_iter *from)
{
	void *data = bus1_msg_data(message);
	size_t n = message->n_data;

	if (iter_is_ubuf(from))
		n -= _copy_from_user(data, from->ubuf + from->iov_offset, n);
	else
		n = _copy_from_iter(data, n, from);
	return n == message->n_data ? 0 : -EFAULT;
}

/**
 * bus1_msg_copy() - copy the payload out of a message
 * @message: the message; the caller has a reference
 * @to:      room for all of it; stays as it is
 *
 * Return: 0, EFAULT or EINTR (killed).
 */
int bus1_msg_copy(struct bus1_msg *message, const struct iov_iter *to)
{
	void *data = bus1_msg_data(message);
	size_t n = message->n_data;
	struct iov_iter iter;

	if (message->payload)
		return bus1_payload_copy(message->payload, to);
	if (iter_is_ubuf(to)) {
		n -= _copy_to_user(to->ubuf + to->iov_offset, data, n);
	} else {
		iter = *to;
		n = _copy_to_iter(data, n, &iter);
	}
	return n == message->n_data ? 0 : -EFAULT;
}

struct bus1_msg *bus1_msg_get(struct bus1_msg *message)
{
	refcount_inc(&message->ref);
	return message;
}

/*
 * The last reference is gone; the handles went with the claim. Whoever drops it
 * keeps the receiver's memory: as the receiver, or as the sender by the handle he
 * sent to.
 */
void bus1_msg_put(struct bus1_msg *message)
{
	if (!bus1_ref_put(&message->ref))
		return;

	WARN_ON_ONCE(message->item.ready);
	if (message->payload)
		bus1_payload_put(message->payload);
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
 * Its charge and its payload go with the last reference. Mostly that is at once;
 * but the queue keeps a message that came too late until the owner looks, and a
 * RECV the one that it is copying.
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
}
