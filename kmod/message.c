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

/*
 * A message up to the size of its class is one object, of which only what is
 * written is ever read. So it is not zeroed, which the constructor spares it where
 * the kernel zeroes all that it allocates. The last class holds a page of data.
 */
static const u16 bus1_msg_sizes[] = { 256, 512, 1024, 2048, 4096 + 256 };
static struct kmem_cache *bus1_msg_caches[ARRAY_SIZE(bus1_msg_sizes)];
#define BUS1_MSG_LARGE ARRAY_SIZE(bus1_msg_sizes)

static void bus1_msg_construct(void *object)
{
}

int bus1_msg_init(void)
{
	char name[24];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bus1_msg_sizes); i++) {
		snprintf(name, sizeof(name), "bus1_msg_%u", bus1_msg_sizes[i]);
		bus1_msg_caches[i] =
			kmem_cache_create_usercopy(name, bus1_msg_sizes[i], 0,
						   SLAB_ACCOUNT,
						   sizeof(struct bus1_msg),
						   bus1_msg_sizes[i] -
						   sizeof(struct bus1_msg),
						   bus1_msg_construct);
		if (!bus1_msg_caches[i]) {
			bus1_msg_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

void bus1_msg_exit(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bus1_msg_sizes); i++)
		kmem_cache_destroy(bus1_msg_caches[i]);
}

/* The class of a message: the smallest that holds @size bytes. */
static unsigned int bus1_msg_class(size_t size)
{
	/* All but the last are powers of two, from 2^8 on. */
	if (size <= bus1_msg_sizes[BUS1_MSG_LARGE - 2])
		return size <= 256 ? 0 : fls_long(size - 1) - 8;
	return size <= bus1_msg_sizes[BUS1_MSG_LARGE - 1] ?
	       BUS1_MSG_LARGE - 1 : BUS1_MSG_LARGE;
}

/* May the data be in the message itself? */
bool bus1_msg_fits(size_t n_handles, size_t n_data)
{
	struct bus1_msg *message;

	return struct_size(message, handles, n_handles) + n_data <=
	       bus1_msg_sizes[BUS1_MSG_LARGE - 1];
}

/*
 * Of a payload the size is known, so nothing needs to be asked of the allocator, as
 * copy_from_iter() and copy_to_iter() do for a hardened kernel. What is short and
 * in one piece, as most is, needs no iterator.
 *
 * Return: 0, EFAULT or EINTR (killed).
 */
static int bus1_copy_from(void *to, size_t n, struct iov_iter *from)
{
	size_t at, chunk;

	if (iter_is_ubuf(from) && n <= BUS1_COPY_CHUNK)
		return _copy_from_user(to, from->ubuf + from->iov_offset, n) ?
		       -EFAULT : 0;
	for (at = 0; at < n; at += chunk) {
		chunk = min_t(size_t, n - at, BUS1_COPY_CHUNK);
		if (_copy_from_iter(to + at, chunk, from) != chunk)
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int bus1_copy_to(const void *from, size_t n, const struct iov_iter *to)
{
	struct iov_iter iter __uninitialized;
	size_t at, chunk;

	if (iter_is_ubuf(to) && n <= BUS1_COPY_CHUNK)
		return _copy_to_user(to->ubuf + to->iov_offset, from, n) ?
		       -EFAULT : 0;
	iter = *to;
	for (at = 0; at < n; at += chunk) {
		chunk = min_t(size_t, n - at, BUS1_COPY_CHUNK);
		if (_copy_to_iter(from + at, chunk, &iter) != chunk)
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * bus1_payload_new() - copy in a payload that does not go into a message
 * @from: where it is; advanced
 * @n:    bytes, more than 0 and not more than @from holds
 *
 * Return: the payload with one reference, or an ERR_PTR: ENOMEM, EFAULT, EINTR.
 */
struct bus1_payload *bus1_payload_new(struct iov_iter *from, size_t n)
{
	struct bus1_payload *payload;
	int r;

	payload = kvmalloc(struct_size(payload, data, n), BUS1_GFP);
	if (!payload)
		return ERR_PTR(-ENOMEM);
	refcount_set(&payload->ref, 1);
	r = bus1_copy_from(payload->data, n, from);
	if (r) {
		kvfree(payload);
		return ERR_PTR(r);
	}
	return payload;
}

static struct bus1_payload *bus1_payload_get(struct bus1_payload *payload)
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
 * bus1_msg_new() - make a message to one node
 * @sender:    who sends
 * @dest:      where it goes: a handle that the caller holds until the message is
 *             linked and looked after
 * @n_handles: room for handles, filled by the caller
 * @n_data:    bytes of payload
 * @payload:   them, or NULL if they go into the message itself, which
 *             bus1_msg_fill() does then; gets another reference
 * @charge:    for all that; taken over
 *
 * Return: the message with one reference, or NULL if there is no memory.
 */
struct bus1_msg *bus1_msg_new(struct bus1_peer *sender,
			      const struct bus1_handle *dest,
			      size_t n_handles, size_t n_data,
			      struct bus1_payload *payload,
			      struct bus1_charge *charge)
{
	const struct bus1_node *node = dest->node;
	struct bus1_msg *message;
	unsigned int class;
	size_t size;

	size = struct_size(message, handles, n_handles);
	if (!payload)
		size += n_data;
	class = bus1_msg_class(size);
	message = class < BUS1_MSG_LARGE ?
		  kmem_cache_alloc(bus1_msg_caches[class], BUS1_GFP) :
		  kvmalloc(size, BUS1_GFP);
	if (!message)
		return NULL;

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
	unsigned int class = message->item.class;

	if (class < BUS1_MSG_LARGE)
		kmem_cache_free(bus1_msg_caches[class], message);
	else
		kvfree(message);
}

static void *bus1_msg_data(struct bus1_msg *message)
{
	return message->payload ? message->payload->data :
	       (void *)&message->handles[message->n_handles];
}

/**
 * bus1_msg_fill() - copy the payload into a new message
 * @message: made without a payload
 * @from:    @message->n_data bytes; advanced
 *
 * Return: 0, EFAULT or EINTR (killed).
 */
int bus1_msg_fill(struct bus1_msg *message, struct iov_iter *from)
{
	return bus1_copy_from(bus1_msg_data(message), message->n_data, from);
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
	return bus1_copy_to(bus1_msg_data(message), message->n_data, to);
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
