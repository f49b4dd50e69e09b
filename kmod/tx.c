// SPDX-License-Identifier: GPL-2.0-only
/* A transaction: collect, link, publish, wake. */
#include <linux/list_sort.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "defect.h"
#include "internal.h"
#include "trace.h"

/* The last number given to a multicast, in a line of memory of its own */
atomic64_t bus1_seq __cacheline_aligned_in_smp =
	ATOMIC64_INIT(BUS1_SEQ_DRAWING);

struct bus1_item *bus1_item_get(struct bus1_item *item)
{
	if (bus1_item_is_msg(item))
		bus1_msg_get(bus1_item_msg(item));
	else if (bus1_item_is_node(item))
		bus1_node_get(bus1_item_node(item));
	else
		bus1_handle_get(bus1_item_handle(item));
	return item;
}

void bus1_item_put(struct bus1_item *item)
{
	if (bus1_item_is_msg(item))
		bus1_msg_put(bus1_item_msg(item));
	else if (bus1_item_is_node(item))
		bus1_node_put(bus1_item_node(item));
	else
		bus1_handle_put(bus1_item_handle(item));
}

/*
 * One less of those who keep the memory: the object, or a head that it leads.
 * What all did with it comes before its end. Litmus: last-ref.
 */
void bus1_item_free(struct bus1_item *item)
{
	if (!bus1_ref_put(&item->leads))
		return;
	if (bus1_item_is_msg(item))
		bus1_msg_free(bus1_item_msg(item));
	else if (bus1_item_is_node(item))
		kfree(bus1_item_node(item));
	else
		kfree(bus1_item_handle(item));
}

static int bus1_item_cmp(void *priv, const struct list_head *a,
			 const struct list_head *b)
{
	const struct bus1_item *x = list_entry(a, struct bus1_item, entry);
	const struct bus1_item *y = list_entry(b, struct bus1_item, entry);

	cond_resched();
	return x->peer > y->peer;
}

/* Only while somebody looks is it worth to know the time. */
static __always_inline u64 bus1_tx_time(void)
{
	if (trace_tx_begin_enabled() || trace_tx_commit_enabled() ||
	    trace_msg_send_enabled() || trace_msg_recv_enabled() ||
	    trace_notify_send_enabled() || trace_notify_recv_enabled())
		return ktime_get_ns();
	return 0;
}

/* Group by receiver. */
static void bus1_tx_sort(struct bus1_tx *tx)
{
	struct bus1_item *item;
	LIST_HEAD(items);

	for (item = tx->first; item; item = item->next) {
		list_add_tail(&item->entry, &items);
		cond_resched();
	}
	list_sort(NULL, &items, bus1_item_cmp);
	tx->end = &tx->first;
	list_for_each_entry(item, &items, entry) {
		*tx->end = item;
		tx->end = &item->next;
		cond_resched();
	}
	*tx->end = NULL;
}

/* What all items have to know; returns how many receivers there are. */
static u32 bus1_tx_chain(struct bus1_tx *tx, u64 time)
{
	const u64 peer = tx->peer->id;
	struct bus1_item *item;
	u32 n = 0, n_receivers = 0;

	if (!tx->grouped && tx->first && tx->first->next)
		bus1_tx_sort(tx);

	for (item = tx->first; item; item = item->next) {
		/* One more, for the queue; nobody else knows a message yet. */
		if (bus1_item_is_msg(item))
			refcount_set(&bus1_item_msg(item)->ref, 2);
		else
			bus1_item_get(item);
		item->tx_peer = peer;
		item->tx = tx->number;
		item->stamp = time;
		item->last = !item->next || item->next->peer != item->peer;
		n_receivers += item->last;
		if (!(++n % BUS1_BREATH))
			cond_resched();
	}
	return n_receivers;
}

/*
 * Publish a multicast, all of whose groups are linked: draw its number. Who waits
 * for a head that is drawing waits for some instructions, as nothing else runs
 * between the two stores.
 */
static u64 bus1_tx_publish(struct bus1_item *lead)
{
	u64 seq;

	if (bus1_defect(BUS1_DEFECT_PUBLISH)) {
		seq = atomic64_read(&lead->seq);
		if (seq)
			return seq;
	}
	preempt_disable();
	atomic64_set(&lead->seq, BUS1_SEQ_DRAWING);
	/*
	 * A full barrier, in both directions. Links before: whoever reads this
	 * number, or a larger one, from the counter sees all of them, and the
	 * lead drawing at least. Litmus: bound, draw, position, seq-order,
	 * publish. And as drawing is waited for, it is from here on that the
	 * multicast is published for whoever learns of it in whatever way:
	 * from a receiver (litmus: receipt), or from what the caller does next
	 * (litmus: side-channel), which includes the looks at node->dead
	 * (litmus: publish-dead; the other side is bus1_peer_release()) and for a
	 * sleeper (litmus: wake-multicast). So the second store needs no order.
	 */
	seq = atomic64_inc_return(&bus1_seq);
	if (bus1_defect(BUS1_DEFECT_DRAW))
		bus1_defect_spin();
	atomic64_set(&lead->seq, seq);
	preempt_enable();
	return seq;
}

/* Link each group; those that are refused stay the sender's. */
static void bus1_tx_link(struct bus1_item *head, struct bus1_item *lead)
{
	struct bus1_item *item = head;
	bool linked, last;
	u32 n = 0;

	while (item) {
		/* Of the lead's own group the queue's reference is enough. */
		item->lead = lead;
		if (lead && lead != item)
			refcount_inc(&lead->leads);
		linked = bus1_queue_link(item);
		if (!linked && lead && lead != item)
			bus1_item_free(lead);
		for (last = false; !last; item = item->next) {
			last = item->last;
			if (!linked)
				item->refused = true;
			if (!(++n % BUS1_BREATH))
				cond_resched();
		}
		if (lead && bus1_defect(BUS1_DEFECT_PUBLISH))
			bus1_tx_publish(lead);
		if (lead)
			bus1_defect_delay();
	}
}

/*
 * After publication. Messages that came too late are discarded here: their node
 * died, and whoever killed it looked at the queue before they were published.
 * The handles held by the caller keep nodes and receivers in memory.
 */
static void bus1_tx_settle(struct bus1_item *head, struct bus1_tx *tx,
			   bool sync)
{
	struct bus1_msg *message;
	struct bus1_item *item, *next;
	bool first = true;
	u32 n = 0;

	for (item = head; item; item = next) {
		next = item->next;
		if (!item->refused && bus1_wake_wanted(item->peer))
			bus1_wake_item(item->peer, first, sync);
		first = item->last;

		if (bus1_item_is_msg(item)) {
			message = bus1_item_msg(item);
			if (item->refused)
				bus1_msg_discard(message, BUS1_WHY_CLOSED,
						 tx);
			else if (READ_ONCE(message->dest->node->dead))
				bus1_msg_discard(message,
						 BUS1_WHY_RELEASED, tx);
		}
		if (item->refused)
			bus1_queue_drop(item, BUS1_WHY_CLOSED);
		bus1_item_put(item);
		if (!(++n % BUS1_BREATH))
			cond_resched();
	}
}

/* These are kept out of the way of those whom nobody watches. */
static noinline void bus1_trace_begin(const struct bus1_tx *tx,
				      u32 n_receivers, u64 begun)
{
	trace_tx_begin(tx->peer->id, tx->number, tx->kind, n_receivers,
		       tx->n_messages, tx->n_notifications, begun);
}

static noinline void bus1_trace_commit(const struct bus1_tx *tx,
				       u32 n_receivers, u64 begun, u64 seq)
{
	trace_tx_commit(tx->peer->id, tx->number, tx->kind, n_receivers,
			tx->n_messages, tx->n_notifications, begun,
			ktime_get_ns(), seq);
}

/* Link and publish what is chained, and see to it afterwards. */
static __always_inline void bus1_tx_run(struct bus1_tx *tx,
					struct bus1_item *head,
					u32 n_receivers, u64 begun)
{
	struct bus1_item *lead = n_receivers > 1 ? head : NULL, *item;
	u64 seq = 0;

	if (trace_tx_begin_enabled())
		bus1_trace_begin(tx, n_receivers, begun);
	if (trace_msg_send_enabled() || trace_notify_send_enabled()) {
		for (item = head; item; item = item->next) {
			bus1_trace_send(item);
			cond_resched();
		}
	}

	bus1_tx_link(head, lead);
	if (lead)
		seq = bus1_tx_publish(lead);

	if (trace_tx_commit_enabled())
		bus1_trace_commit(tx, n_receivers, begun, seq);

	bus1_tx_init(tx, tx->peer, BUS1_TX_DROP);
	bus1_tx_settle(head, tx, !lead);
}

/**
 * bus1_tx_commit() - let a transaction take effect
 * @tx: the transaction; for each destination of a message the caller holds a
 *	handle until this returns
 *
 * Never fails, allocates nothing, takes no mutex of a receiver. What the
 * transaction itself drops (handles in messages to nodes that died meanwhile)
 * is left in @tx, as the start of a follow-up: the caller adds the handles he
 * held, and commits once more. That one is a transaction of its own, because a
 * handle must not be gone before all messages sent through it are published.
 */
void bus1_tx_commit(struct bus1_tx *tx)
{
	u32 n_receivers;
	u64 begun;

	if (!tx->first && tx->kind == BUS1_TX_DROP)
		return;

	bus1_tx_draw(tx);
	begun = bus1_tx_time();
	n_receivers = bus1_tx_chain(tx, begun);
	bus1_tx_run(tx, tx->first, n_receivers, begun);
}

/**
 * bus1_tx_commit_one() - bus1_tx_commit() of a single message
 * @tx:      a transaction without any item
 * @message: the message, with its first reference; nobody else knows it
 */
void bus1_tx_commit_one(struct bus1_tx *tx, struct bus1_msg *message)
{
	struct bus1_item *item = &message->item;

	tx->n_messages = 1;
	item->tx_peer = tx->peer->id;
	item->tx = bus1_tx_draw(tx);
	item->stamp = bus1_tx_time();
	item->next = NULL;
	item->last = true;
	/* One for the queue. */
	refcount_set(&message->ref, 2);
	bus1_tx_run(tx, item, 1, item->stamp);
}
