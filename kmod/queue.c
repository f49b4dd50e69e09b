// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the order of delivery
 *
 * A transaction has one group of items for each peer it addresses. Its sender
 * links every group (bus1_queue_link()) and then publishes the transaction
 * (bus1_tx_publish()); where there is but one group, the link is the
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
 * Multicasts, transactions with two or more receivers, are also delivered in one
 * order everywhere: that of their numbers. The number is drawn after all links,
 * and is what publishes. So whatever has a number up to C, the counter as it was
 * before the freeze, is among the frozen; a head that is found drawing is waited
 * for. Among the frozen a multicast takes as its position the newest link of all
 * multicasts up to its own number: it moves back, behind those that were linked
 * after it but have smaller numbers. That does not break causality: what moves it
 * was linked before it drew its own number, so whoever knew of it linked later.
 * From the first multicast above C on, all is kept for another freeze: one with
 * a smaller number could have been linked meanwhile, and what follows it may
 * follow from it. To keep the multicast alone is not enough.
 *
 * Nothing that was linked before a call began is still kept when it returns: a
 * RECV that finds nothing, or a RELEASE that looks for messages, tells the
 * truth. Each further round costs a multicast that was linked by then and
 * published meanwhile, of which there are only so many.
 *
 * Unicasts neither write nor read what all share. Not promised: an order between
 * transactions that know nothing of each other, unless both are multicasts.
 */
#include <linux/list_sort.h>

#include "defect.h"
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
 * releases the items to the xchg in bus1_queue_refresh() and bus1_queue_seal().
 * Where the link is the publication, it comes before anything the caller does
 * next, and before the looks at node->dead and for a sleeper. What the caller
 * learned before comes before it. Litmus: freeze, link-dead, relay, seal,
 * side-channel, side-channel-unicast, wake.
 *
 * Return: false if the receiver is closed; nothing is linked then, and nothing
 * is ordered.
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
		item->pos = 0;
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

static void bus1_queue_count(struct bus1_item *item)
{
	struct bus1_peer *peer = item->peer;

	lockdep_assert_held(&peer->lock);
	item->ready = true;
	peer->data.n_ready++;
	if (bus1_item_is_msg(item))
		peer->data.n_bytes += bus1_item_msg(item)->n_data;
}

static void bus1_queue_uncount(struct bus1_item *item)
{
	struct bus1_peer *peer = item->peer;

	lockdep_assert_held(&peer->lock);
	item->ready = false;
	peer->data.n_ready--;
	if (bus1_item_is_msg(item))
		peer->data.n_bytes -= bus1_item_msg(item)->n_data;
}

/**
 * bus1_queue_ready() - make an item receivable
 * @item:   the item, with its reference; its receiver's lock is held
 * @behind: where in the ready list
 */
void bus1_queue_ready(struct bus1_item *item, struct list_head *behind)
{
	bus1_queue_count(item);
	list_add(&item->entry, behind);
}

static void bus1_queue_unlist(struct bus1_item *item)
{
	list_del(&item->entry);
	if (bus1_item_is_msg(item))
		hlist_del(&bus1_item_msg(item)->node_entry);
}

/*
 * An item is not receivable any more. The caller gets a reference: that of the
 * list, or of what is being received (which keeps its own) a new one.
 */
void bus1_queue_unready(struct bus1_item *item)
{
	bus1_queue_uncount(item);
	if (item == item->peer->data.taken)
		bus1_item_get(item);
	else
		bus1_queue_unlist(item);
}

/* Only as a defect: a message comes after its node's HANDLE_RELEASE. */
static void bus1_queue_discard(struct bus1_msg *message)
{
	struct bus1_tx tx;

	bus1_tx_init(&tx, message->item.peer, BUS1_TX_DROP);
	bus1_msg_discard(message, BUS1_WHY_RELEASED, &tx);
	bus1_tx_commit(&tx);
}

/*
 * What a published item speaks of; or NULL if that is gone, and the item with it.
 * A message to a released node is only dropped here: it was not published yet when
 * the release looked, so its sender sees the dead node and discards it.
 */
static struct bus1_item *bus1_queue_judge(struct bus1_item *item)
{
	struct bus1_peer *peer = item->peer;

	if (bus1_item_is_msg(item)) {
		struct bus1_msg *message = bus1_item_msg(item);
		struct bus1_item *node;

		node = bus1_peer_node(peer, message->node_id);
		if (!node || (bus1_defect_any() && node->ready)) {
			if (bus1_defect_any())
				bus1_queue_discard(message);
			bus1_msg_put(message);
			return NULL;
		}
		return node;
	}
	if (bus1_item_is_node(item) ? bus1_item_node(item)->dead :
	    bus1_item_handle(item)->released) {
		bus1_queue_drop(item, BUS1_WHY_RELEASED);
		return NULL;
	}
	return item;
}

static void bus1_queue_list(struct bus1_item *item, struct bus1_item *about,
			    struct list_head *behind)
{
	if (bus1_item_is_msg(item))
		hlist_add_head(&bus1_item_msg(item)->node_entry,
			       &bus1_item_node(about)->queued);
	list_add(&item->entry, behind);
}

/* A published item goes behind the ready ones. */
static void bus1_queue_enter(struct bus1_item *item)
{
	struct bus1_item *about = bus1_queue_judge(item);

	if (!about)
		return;
	bus1_queue_count(item);
	bus1_queue_list(item, about, item->peer->data.ready.prev);
}

/* A published group, its head off the leftovers, goes to the ready list. */
static void bus1_queue_deliver(struct bus1_item *head)
{
	struct bus1_item *lead = head->lead, *item, *next;
	u64 seq = lead ? atomic64_read(&lead->seq) : 0;
	bool last = false;

	head->lead = NULL;
	for (item = head; !last; item = next) {
		next = item->next;
		last = item->last;
		/* The lead's own is for all its receivers, and the same. */
		if (lead && lead != item)
			atomic64_set(&item->seq, seq);
		bus1_queue_enter(item);
		cond_resched();
	}
	if (lead && lead != head)
		bus1_item_free(lead);
}

/*
 * The number of a multicast, or 0 if it is not published. The acquire comes
 * before all that the receiver does next, and pairs with the draw in
 * bus1_tx_publish(). Litmus: handover, progress, publish. That the
 * freeze comes before it is litmus: side-channel. Who draws is not preempted:
 * the wait is short. Whoever drew before the counter was read is seen at least
 * drawing. Litmus: draw.
 */
static u64 bus1_queue_seq(const struct bus1_item *lead)
{
	u64 seq;

	while ((seq = atomic64_read_acquire(&lead->seq)) == BUS1_SEQ_DRAWING) {
		if (bus1_defect(BUS1_DEFECT_DRAW))
			return 0;
		cpu_relax();
	}
	return seq;
}

static int bus1_queue_cmp_seq(void *priv, const struct list_head *a,
			      const struct list_head *b)
{
	const struct bus1_item *x = list_entry(a, struct bus1_item, entry);
	const struct bus1_item *y = list_entry(b, struct bus1_item, entry);

	cond_resched();
	return atomic64_read(&x->lead->seq) > atomic64_read(&y->lead->seq);
}

static int bus1_queue_cmp_pos(void *priv, const struct list_head *a,
			      const struct list_head *b)
{
	const struct bus1_item *x = list_entry(a, struct bus1_item, entry);
	const struct bus1_item *y = list_entry(b, struct bus1_item, entry);

	cond_resched();
	return x->pos > y->pos;
}

/*
 * Deliver the unicasts that come before @pos, and behind @at: the last of the
 * leftovers that was passed, which is returned anew.
 */
static struct list_head *bus1_queue_upto(struct bus1_peer *peer,
					 struct list_head *at, u64 pos)
{
	struct bus1_item *head;

	while (!list_is_last(at, &peer->data.leftovers)) {
		head = list_entry(at->next, struct bus1_item, entry);
		if (head->pos >= pos)
			break;
		if (head->lead) {
			at = &head->entry;
		} else {
			list_del(&head->entry);
			bus1_queue_deliver(head);
		}
		cond_resched();
	}
	return at;
}

/*
 * Judge what is frozen, where @bound is C: as it was before. Returns 0, or the
 * position of the first head that is published and kept.
 */
static u64 bus1_queue_round(struct bus1_peer *peer, u64 bound)
{
	struct list_head *at = &peer->data.leftovers;
	struct bus1_item *head, *tmp;
	u64 pos = 0, seq, last = 0;
	LIST_HEAD(multicasts);
	bool sorted = true;

	list_for_each_entry_safe(head, tmp, &peer->data.leftovers, entry) {
		cond_resched();
		if (!head->pos)
			head->pos = ++peer->data.pos;
		seq = head->lead ? bus1_queue_seq(head->lead) : 0;
		if (!seq)
			continue;
		sorted = sorted && seq > last;
		last = seq;
		list_move_tail(&head->entry, &multicasts);
	}

	/* Published is for ever: what was read above is read again. */
	if (!sorted)
		list_sort(NULL, &multicasts, bus1_queue_cmp_seq);
	list_for_each_entry_safe(head, tmp, &multicasts, entry) {
		/* Not behind what follows from it. Litmus: position. */
		pos = max(pos, head->pos);
		at = bus1_queue_upto(peer, at, pos);
		if (atomic64_read(&head->lead->seq) > bound)
			break;
		list_del(&head->entry);
		bus1_queue_deliver(head);
	}
	if (list_empty(&multicasts) || bus1_defect(BUS1_DEFECT_KEEP))
		bus1_queue_upto(peer, at, U64_MAX);
	if (list_empty(&multicasts))
		return 0;

	list_splice(&multicasts, &peer->data.leftovers);
	list_sort(NULL, &peer->data.leftovers, bus1_queue_cmp_pos);
	list_for_each_entry(head, &peer->data.leftovers, entry) {
		cond_resched();
		if (!head->lead || atomic64_read(&head->lead->seq))
			return head->pos;
	}
	return 0;
}

/*
 * The freeze: an xchg, a full barrier. Pairs with the cmpxchg in
 * bus1_queue_link(). The judgement comes after it, and C is read before it.
 * Litmus: freeze, side-channel, relay, bound, draw, wake-multicast, last-hold.
 */
static void bus1_queue_freeze(struct bus1_peer *peer)
{
	bus1_queue_append(peer, llist_del_all(&peer->incoming));
}

/* There are published multicasts: C is needed, and a freeze after it. */
static noinline void bus1_queue_rounds(struct bus1_peer *peer)
{
	u64 bound, old = 0, kept;

	do {
		/*
		 * The freeze orders it: what has a number up to this one is
		 * linked. And the acquire before it: what was found published
		 * is covered. Litmus: bound, progress.
		 */
		bound = atomic64_read(&bus1_seq);
		if (bus1_defect(BUS1_DEFECT_KEEP))
			bus1_defect_delay();
		bus1_queue_freeze(peer);
		if (bus1_defect(BUS1_DEFECT_BOUND)) {
			bus1_defect_delay();
			bound = U64_MAX;
		}
		kept = bus1_queue_round(peer, bound);
		old = old ?: peer->data.pos;
	} while (kept && kept <= old);
}

/* Only as a defect: what was left over is judged before the freeze. */
static void bus1_queue_blind(struct bus1_peer *peer, struct list_head *blind)
{
	struct bus1_item *head, *tmp;

	list_for_each_entry_safe(head, tmp, &peer->data.leftovers, entry)
		if (head->lead && !bus1_queue_seq(head->lead))
			list_move_tail(&head->entry, blind);
	if (!list_empty(blind))
		bus1_defect_delay();
}

/**
 * bus1_queue_refresh() - freeze, then judge
 * @peer: the receiver; its lock is held
 *
 * All that was published when this was called, or is known to be to the caller, is
 * in the ready list thereafter.
 */
void bus1_queue_refresh(struct bus1_peer *peer)
{
	struct llist_node *first = READ_ONCE(peer->incoming.first);
	struct bus1_item *head, *tmp;
	LIST_HEAD(blind);

	lockdep_assert_held(&peer->lock);

	/* Closed: whoever still looks, from outside, finds nothing. */
	if (first == BUS1_SEALED)
		return;
	if (!first && list_empty(&peer->data.leftovers)) {
		/*
		 * What the caller did or learned before comes before the look,
		 * as it does where there is something to freeze. Litmus:
		 * visible, wake, link-dead.
		 */
		smp_mb();
		if (!READ_ONCE(peer->incoming.first))
			return;
	}

	if (bus1_defect(BUS1_DEFECT_JUDGE))
		bus1_queue_blind(peer, &blind);
	bus1_queue_freeze(peer);
	list_for_each_entry_safe(head, tmp, &peer->data.leftovers, entry) {
		if (!head->lead) {
			list_del(&head->entry);
			bus1_queue_deliver(head);
		} else if (bus1_queue_seq(head->lead)) {
			bus1_queue_rounds(peer);
			break;
		}
		cond_resched();
	}
	if (bus1_defect(BUS1_DEFECT_JUDGE))
		list_splice(&blind, &peer->data.leftovers);
}

/**
 * bus1_queue_first() - what RECV would return next
 * @peer: the receiver; its lock is held
 *
 * Return: the item, or NULL. No reference is taken.
 */
struct bus1_item *bus1_queue_first(struct bus1_peer *peer)
{
	if (peer->data.taken && peer->data.taken->ready)
		return peer->data.taken;
	if (list_empty(&peer->data.ready))
		bus1_queue_refresh(peer);
	return list_first_entry_or_null(&peer->data.ready, struct bus1_item,
					entry);
}

/*
 * Nothing is frozen, and what is linked is a single unicast: it need not be listed
 * anywhere. It is frozen and judged like all others.
 */
static struct bus1_item *bus1_queue_direct(struct bus1_peer *peer,
					   struct llist_node *link)
{
	struct bus1_item *item = llist_entry(link, struct bus1_item, link);

	if (link->next || item->lead || !item->last)
		return NULL;
	/* As bus1_queue_freeze(). */
	link = xchg(&peer->incoming.first, NULL);
	if (link != &item->link) {
		bus1_queue_append(peer, link);
		return NULL;
	}
	if (!bus1_queue_judge(item))
		return NULL;
	bus1_queue_count(item);
	return item;
}

/**
 * bus1_queue_take() - take what RECV returns next
 * @peer: the receiver, which is open; its lock is held, and it has no @data.taken
 *
 * Return: the item, which is @data.taken now and not listed, with the queue's
 * reference; or NULL.
 */
struct bus1_item *bus1_queue_take(struct bus1_peer *peer)
{
	struct bus1_item *item = NULL;
	struct llist_node *link;

	if (list_empty(&peer->data.ready) &&
	    list_empty(&peer->data.leftovers)) {
		/* As in bus1_queue_refresh(). */
		smp_mb();
		link = READ_ONCE(peer->incoming.first);
		if (!link)
			return NULL;
		item = bus1_queue_direct(peer, link);
	}
	if (!item) {
		item = bus1_queue_first(peer);
		if (item)
			bus1_queue_unlist(item);
	}
	peer->data.taken = item;
	return item;
}

/**
 * bus1_queue_end() - what was taken is received, or not
 * @item:     @data.taken, which there is none any more; the lock is held
 * @received: it is; else it is the first again, unless it vanished meanwhile
 *
 * Return: whether it was still receivable. The caller gets its reference, if it
 * was received or vanished.
 */
bool bus1_queue_end(struct bus1_item *item, bool received)
{
	struct bus1_peer *peer = item->peer;
	struct bus1_item *about = item;
	const bool ready = item->ready;

	lockdep_assert_held(&peer->lock);
	peer->data.taken = NULL;
	if (!ready)
		return false;
	if (received) {
		bus1_queue_uncount(item);
	} else {
		if (bus1_item_is_msg(item))
			about = bus1_peer_node(peer,
					       bus1_item_msg(item)->node_id);
		bus1_queue_list(item, about, &peer->data.ready);
	}
	return true;
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
	 * after it is refused. Litmus: seal, freeze.
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
