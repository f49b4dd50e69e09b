// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the order of delivery
 *
 * A transaction has one group of items for each peer it addresses. Its sender
 * links every group (bus1_queue_link()) and then publishes the transaction
 * (bus1_tx_commit()); where there is but one group, the link is the
 * publication. The receiver freezes what is linked, and only then judges what
 * is published (bus1_queue_refresh()).
 *
 * Why that is causal: (1) all links of X come before its publication K(X),
 * which for a single group is the link, and nobody delivers X without having
 * read K(X). (2) Reading K(X) (acquire), or returning from the call that made
 * it (full barrier), comes before anything that the reader, or the caller, does
 * next. (3) Freeze first, judge after. So if X was known to anyone before Y
 * began, X's link and K(X) both precede Y's link; whenever Y is among the
 * frozen, X has been delivered, or is among them too, older and with K(X)
 * visible. To judge leftovers before the freeze breaks this: Y could be frozen
 * after X was found unpublished. Items in the ready list were judged together
 * with all that was frozen then, so they may be delivered without another look.
 *
 * Not promised: an order between transactions that know nothing of each other.
 */
#include "internal.h"
#include "trace.h"

/* In place of the newest item once the peer is closed. */
#define BUS1_SEALED ((struct llist_node *)1UL)

void bus1_queue_init(struct bus1_peer *peer)
{
	init_llist_head(&peer->incoming);
	INIT_LIST_HEAD(&peer->data.leftovers);
	INIT_LIST_HEAD(&peer->data.ready);
}

/**
 * bus1_queue_link() - link a group to its receiver
 * @item: the head; with it goes one reference of each item of the group
 *
 * llist_add(), but for the seal. The successful cmpxchg is a full barrier. It
 * releases the items to the xchg in bus1_queue_refresh() and bus1_queue_seal(),
 * and it orders the link before the sender's look at node->dead. Litmus:
 * link-dead.
 *
 * Return: false if the receiver is closed; nothing is linked then.
 */
bool bus1_queue_link(struct bus1_item *item)
{
	struct llist_head *incoming = &item->peer->incoming;
	struct llist_node *first = READ_ONCE(incoming->first);

	do {
		if (first == BUS1_SEALED)
			return false;
		item->link.next = first;
	} while (!try_cmpxchg(&incoming->first, &first, &item->link));
	return true;
}

/* What was linked, newest first, goes behind the leftovers, oldest first. */
static void bus1_queue_append(struct bus1_peer *peer, struct llist_node *link)
{
	struct list_head *behind = peer->data.leftovers.prev;
	struct bus1_item *item;

	while (link) {
		item = llist_entry(link, struct bus1_item, link);
		link = link->next;
		list_add(&item->entry, behind);
		cond_resched();
	}
}

/* The queue's reference of an item that nobody will receive. */
void bus1_queue_drop(struct bus1_item *item, u32 why)
{
	if (trace_notify_drop_enabled() && !bus1_item_is_msg(item))
		bus1_trace_drop(item, why);
	bus1_item_put(item);
}

/**
 * bus1_queue_ready() - make an item receivable
 * @item:   the item, with its reference; its receiver's lock is held
 * @behind: where in the ready list
 */
void bus1_queue_ready(struct bus1_item *item, struct list_head *behind)
{
	struct bus1_peer *peer = item->peer;

	lockdep_assert_held(&peer->lock);
	item->ready = true;
	list_add(&item->entry, behind);
	peer->data.n_ready++;
	if (bus1_item_is_msg(item))
		peer->data.n_bytes += bus1_item_msg(item)->n_data;
}

/* Take an item from the ready list; the caller gets the list's reference. */
void bus1_queue_unready(struct bus1_item *item)
{
	struct bus1_peer *peer = item->peer;

	lockdep_assert_held(&peer->lock);
	item->ready = false;
	list_del(&item->entry);
	peer->data.n_ready--;
	if (bus1_item_is_msg(item)) {
		struct bus1_msg *message = bus1_item_msg(item);

		list_del(&message->node_entry);
		peer->data.n_bytes -= message->n_data;
	}
}

/*
 * A published item becomes ready, unless what it speaks of is gone. A message
 * to a released node is only dropped here: it was not published yet when the
 * release looked, so its sender sees the dead node and discards it.
 */
static void bus1_queue_judge(struct bus1_item *item)
{
	struct bus1_peer *peer = item->peer;

	if (bus1_item_is_msg(item)) {
		struct bus1_msg *message = bus1_item_msg(item);
		struct bus1_item *node;

		node = bus1_peer_find(peer, message->node_id);
		if (!node) {
			bus1_msg_put(message);
			return;
		}
		list_add_tail(&message->node_entry,
			      &bus1_item_node(node)->queued);
	} else if (bus1_item_is_node(item) ?
		   bus1_item_node(item)->dead :
		   bus1_item_handle(item)->released) {
		bus1_queue_drop(item, BUS1_WHY_RELEASED);
		return;
	}
	bus1_queue_ready(item, peer->data.ready.prev);
}

/**
 * bus1_queue_refresh() - freeze, then judge
 * @peer: the receiver; its lock is held
 */
void bus1_queue_refresh(struct bus1_peer *peer)
{
	struct bus1_item *head, *tmp, *lead, *item, *next;
	bool last;

	lockdep_assert_held(&peer->lock);

	/* Closed: whoever still looks, from outside, finds nothing. */
	if (READ_ONCE(peer->incoming.first) == BUS1_SEALED)
		return;

	/* The freeze: an xchg. Pairs with the cmpxchg in bus1_queue_link(). */
	bus1_queue_append(peer, llist_del_all(&peer->incoming));
	list_for_each_entry_safe(head, tmp, &peer->data.leftovers, entry) {
		lead = head->lead;
		/*
		 * Pairs with the release in bus1_tx_commit(); litmus:
		 * mcast-acqrel. That the freeze comes first is litmus:
		 * side-channel-mb.
		 */
		if (lead && !smp_load_acquire(&lead->published))
			continue;
		list_del(&head->entry);
		head->lead = NULL;
		for (item = head, last = false; !last; item = next) {
			next = item->next;
			last = item->last;
			bus1_queue_judge(item);
			cond_resched();
		}
		if (lead && lead != head)
			bus1_item_free(lead);
	}
}

/**
 * bus1_queue_first() - what RECV would return next
 * @peer: the receiver; its lock is held
 *
 * Return: the item, or NULL. No reference is taken.
 */
struct bus1_item *bus1_queue_first(struct bus1_peer *peer)
{
	if (list_empty(&peer->data.ready))
		bus1_queue_refresh(peer);
	return list_first_entry_or_null(&peer->data.ready, struct bus1_item,
					entry);
}

static void bus1_queue_abandon(struct bus1_item *item, struct bus1_tx *tx)
{
	if (bus1_item_is_msg(item))
		bus1_msg_discard(bus1_item_msg(item), BUS1_WHY_CLOSED,
				 tx);
	bus1_queue_drop(item, BUS1_WHY_CLOSED);
}

/**
 * bus1_queue_seal() - refuse what comes, and discard what is there
 * @peer: the receiver; its lock is held, and all its nodes are dead
 * @tx:   gets the HANDLE_RELEASE of nodes whose last handle was queued here
 *
 * Groups that are not published go too: their chains are constant since the
 * link, their senders find the messages claimed, and publish for the other
 * receivers.
 */
void bus1_queue_seal(struct bus1_peer *peer, struct bus1_tx *tx)
{
	struct bus1_item *head, *tmp, *lead, *item, *next;
	bool last;

	lockdep_assert_held(&peer->lock);

	list_for_each_entry_safe(item, tmp, &peer->data.ready, entry) {
		bus1_queue_unready(item);
		bus1_queue_abandon(item, tx);
		cond_resched();
	}

	/*
	 * One atomic: whoever links before it is found here, whoever comes
	 * after it is refused.
	 */
	bus1_queue_append(peer, xchg(&peer->incoming.first, BUS1_SEALED));
	list_for_each_entry_safe(head, tmp, &peer->data.leftovers, entry) {
		lead = head->lead;
		list_del(&head->entry);
		for (item = head, last = false; !last; item = next) {
			next = item->next;
			last = item->last;
			bus1_queue_abandon(item, tx);
			cond_resched();
		}
		if (lead && lead != head)
			bus1_item_free(lead);
	}
}
