// SPDX-License-Identifier: GPL-2.0-only
/* The peer: its table, RELEASE, and its end. */
#include <linux/export.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "internal.h"
#include "trace.h"

/* Open peers by ID, for those who look from outside. */
static DEFINE_XARRAY(bus1_peers);
static atomic64_t bus1_peer_ids = ATOMIC64_INIT(0);

/**
 * bus1_peer_new() - make a peer
 * @cred: of whoever opens it; its effective UID pays
 *
 * Return: the peer, to be ended with bus1_peer_close(), or an ERR_PTR: ENOMEM,
 * or as of bus1_charge_take() EXFULL, EDQUOT.
 */
struct bus1_peer *bus1_peer_new(const struct cred *cred)
{
	struct bus1_peer *peer;
	int r;

	peer = kzalloc(sizeof(*peer), BUS1_GFP);
	if (!peer)
		return ERR_PTR(-ENOMEM);
	r = -ENOMEM;
	peer->handles = kcalloc(BUS1_N_RECENT_HANDLES, sizeof(*peer->handles),
				BUS1_GFP);
	if (!peer->handles)
		goto err_free;

	peer->id = atomic64_inc_return(&bus1_peer_ids);
	peer->uid = cred->euid;
	r = bus1_acct_join(peer);
	if (r)
		goto err_free;

	refcount_set(&peer->ref, 1);
	/* Until it is closed; who refers to it later must not keep as much. */
	peer->user_ns = get_user_ns(cred->user_ns);
	peer->pid = task_tgid_nr(current);
	peer->created = ktime_get_coarse_ns();
	xa_init_flags(&peer->ids, XA_FLAGS_ACCOUNT);
	init_waitqueue_head(&peer->waitq);
	init_waitqueue_head(&peer->sleepers);
	init_waitqueue_head(&peer->turns);
	mutex_init(&peer->lock);
	bus1_queue_init(peer);

	r = xa_err(xa_store(&bus1_peers, peer->id, peer, BUS1_GFP));
	/* Whoever begins to trace and then looks who is there finds it in one. */
	if (trace_peer_new_enabled())
		trace_peer_new(peer->id,
			       from_kuid(&init_user_ns, peer->uid),
			       peer->pid, ktime_get_ns());
	if (r) {
		/* Whoever traces has seen it come, and sees it go. */
		bus1_peer_close(peer);
		return ERR_PTR(r);
	}
	return peer;

err_free:
	kfree(peer->handles);
	kfree(peer);
	return ERR_PTR(r);
}
EXPORT_SYMBOL_GPL(bus1_peer_new);

struct bus1_peer *bus1_peer_get(struct bus1_peer *peer)
{
	refcount_inc(&peer->ref);
	return peer;
}

/*
 * The last reference is gone: the peer is closed, and no node or handle of it
 * is left, so no sender can know its wait queue.
 */
void bus1_peer_put(struct bus1_peer *peer)
{
	unsigned long index = 0;

	if (!refcount_dec_and_test(&peer->ref))
		return;

	WARN_ON_ONCE(xa_find(&peer->ids, &index, ULONG_MAX, XA_PRESENT));
	WARN_ON_ONCE(!list_empty(&peer->data.leftovers));
	WARN_ON_ONCE(!list_empty(&peer->data.ready));
	WARN_ON_ONCE(peer->trace);
	bus1_user_put(peer->user);
	mutex_destroy(&peer->lock);
	kfree(peer);
}

/* No peer has a higher ID yet. */
u64 bus1_peer_last(void)
{
	return atomic64_read(&bus1_peer_ids);
}

/* The open peer with the lowest ID from @id to @last, referenced; or NULL. */
struct bus1_peer *bus1_peer_next(u64 id, u64 last)
{
	struct bus1_peer *peer;
	unsigned long index = id;

	xa_lock(&bus1_peers);
	peer = xa_find(&bus1_peers, &index, last, XA_PRESENT);
	if (peer)
		bus1_peer_get(peer);
	xa_unlock(&bus1_peers);
	return peer;
}

/**
 * bus1_peer_reserve() - draw IDs, and reserve their places in the table
 * @peer:     the peer
 * @n:        how many
 * @first_id: the first; each further one is 2 more
 *
 * Until they are installed the IDs are unknown. Return: 0, ENOMEM or EINTR
 * (killed).
 */
int bus1_peer_reserve(struct bus1_peer *peer, size_t n, u64 *first_id)
{
	u64 first = atomic64_fetch_add(n, &peer->next_id);
	size_t i;
	int r;

	*first_id = first << 1 | BUS1_MANAGED;
	for (i = 0; i < n; i++) {
		r = fatal_signal_pending(current) ? -EINTR :
		    xa_reserve(&peer->ids, first + i, BUS1_GFP);
		if (r) {
			bus1_peer_unreserve(peer, i, *first_id);
			return r;
		}
		cond_resched();
	}
	return 0;
}

void bus1_peer_unreserve(struct bus1_peer *peer, size_t n, u64 first_id)
{
	size_t i;

	for (i = 0; i < n; i++) {
		xa_release(&peer->ids, (first_id >> 1) + i);
		cond_resched();
	}
}

/* What an ID names, or NULL. Stays so while peer->lock is held. */
struct bus1_item *bus1_peer_find(struct bus1_peer *peer, u64 id)
{
	if (!(id & BUS1_MANAGED))
		return NULL;
	return xa_load(&peer->ids, id >> 1);
}

/* Where the handle, or node, of that ID is if it was looked up lately. */
static struct bus1_recent *bus1_recent_handle(struct bus1_peer *peer, u64 id)
{
	return &peer->handles[(id >> 1) % BUS1_N_RECENT_HANDLES];
}

static struct bus1_recent *bus1_recent_node(struct bus1_peer *peer, u64 id)
{
	return &peer->data.nodes[(id >> 1) % BUS1_N_RECENT_NODES];
}

/* Found under this lock, it still has the hold of the table. */
static __always_inline struct bus1_handle *
bus1_peer_hold_locked(struct bus1_peer *peer, u64 id)
{
	struct bus1_recent *recent = bus1_recent_handle(peer, id);
	struct bus1_handle *handle;
	struct bus1_item *item;

	if (recent->id != id || !recent->item) {
		item = bus1_peer_find(peer, id);
		if (!item || bus1_item_is_node(item))
			return NULL;
		recent->id = id;
		recent->item = item;
	}
	handle = bus1_item_handle(recent->item);
	/* By calls whose memory stalls, if there is enough for so many. */
	if (unlikely(refcount_read(&handle->holds) > INT_MAX / 2))
		return NULL;
	refcount_inc(&handle->holds);
	return handle;
}

/**
 * bus1_peer_hold() - look up a handle
 * @peer: its owner
 * @id:   its ID
 *
 * Return: the handle, to be given back to bus1_handle_unhold(); or NULL.
 */
struct bus1_handle *bus1_peer_hold(struct bus1_peer *peer, u64 id)
{
	struct bus1_handle *handle;

	xa_lock(&peer->ids);
	handle = bus1_peer_hold_locked(peer, id);
	xa_unlock(&peer->ids);
	return handle;
}

/**
 * bus1_peer_hold_all() - look up handles to send to
 * @peer:  their owner
 * @ids:   their IDs
 * @dests: get the handles, as by bus1_peer_hold()
 * @n:     entries in both arrays
 *
 * Return: how many are held: @n, or the index of the first that is not there.
 */
size_t bus1_peer_hold_all(struct bus1_peer *peer, const u64 *ids,
			  struct bus1_dest *dests, size_t n)
{
	size_t i;

	xa_lock(&peer->ids);
	for (i = 0; i < n; i++) {
		dests[i].handle = bus1_peer_hold_locked(peer, ids[i]);
		if (!dests[i].handle)
			break;
		if (!((i + 1) % BUS1_BREATH)) {
			xa_unlock(&peer->ids);
			cond_resched();
			xa_lock(&peer->ids);
		}
	}
	xa_unlock(&peer->ids);
	return i;
}

/* The node that an ID of a message names, or NULL. peer->lock is held. */
struct bus1_item *bus1_peer_node(struct bus1_peer *peer, u64 id)
{
	struct bus1_recent *recent = bus1_recent_node(peer, id);

	lockdep_assert_held(&peer->lock);
	if (recent->id != id || !recent->item) {
		recent->id = id;
		recent->item = bus1_peer_find(peer, id);
	}
	return recent->item;
}

/* Make a reserved ID known. The table takes over the object's first count. */
void bus1_peer_install(struct bus1_peer *peer, u64 id, struct bus1_item *item)
{
	lockdep_assert_held(&peer->lock);
	if (bus1_item_is_node(item))
		peer->data.n_nodes++;
	else
		peer->data.n_handles++;
	/* The place is there, so nothing is allocated. */
	WARN_ON_ONCE(xa_err(xa_store(&peer->ids, id >> 1, item, GFP_NOWAIT)));
}

/*
 * Forget an ID. The caller gets the table's count of the object.
 *
 * One place in the youngest leaf of the table that is known to have existed stays
 * reserved, so that the branch where the next IDs go does not come and go with each
 * of them.
 */
void bus1_peer_erase(struct bus1_peer *peer, u64 id, struct bus1_item *item)
{
	const u64 index = id >> 1;
	struct bus1_recent *recent;
	struct bus1_item *old;

	lockdep_assert_held(&peer->lock);
	xa_lock(&peer->ids);
	if (index >> XA_CHUNK_SHIFT > peer->anchor >> XA_CHUNK_SHIFT) {
		old = __xa_store(&peer->ids, index, XA_ZERO_ENTRY, GFP_NOWAIT);
		if (peer->anchor)
			__xa_erase(&peer->ids, peer->anchor);
		peer->anchor = index;
	} else {
		old = __xa_erase(&peer->ids, index);
	}
	WARN_ON_ONCE(old != item);
	if (bus1_item_is_node(item)) {
		peer->data.n_nodes--;
		recent = bus1_recent_node(peer, id);
	} else {
		peer->data.n_handles--;
		recent = bus1_recent_handle(peer, id);
	}
	if (recent->item == item)
		recent->item = NULL;
	xa_unlock(&peer->ids);
}

/* No peer is open any more; an open that found no memory may have left some. */
void bus1_peer_exit(void)
{
	WARN_ON_ONCE(bus1_peer_next(0, U64_MAX));
	xa_destroy(&bus1_peers);
}

static void bus1_peer_discard_msg(struct bus1_msg *message, struct bus1_tx *tx)
{
	bus1_queue_unready(&message->item);
	bus1_msg_discard(message, BUS1_WHY_RELEASED, tx);
	bus1_msg_put(message);
}

/* Discard the ready messages of a node that is being released. */
static void bus1_peer_discard(struct bus1_node *node, struct bus1_tx *tx)
{
	struct bus1_item *taken = node->item.peer->data.taken;
	struct bus1_msg *message;
	struct hlist_node *tmp;

	if (taken && taken->ready &&
	    bus1_item_is_msg(taken) &&
	    bus1_item_msg(taken)->node_id == node->id)
		bus1_peer_discard_msg(bus1_item_msg(taken), tx);
	hlist_for_each_entry_safe(message, tmp, &node->queued, node_entry) {
		bus1_peer_discard_msg(message, tx);
		cond_resched();
	}
}

/* An ID is about to be unknown. */
void bus1_peer_trace_release(struct bus1_item *item, u64 tx, u32 why)
{
	if (bus1_item_is_node(item)) {
		if (trace_node_release_enabled())
			trace_node_release(item->peer->id,
					   bus1_item_node(item)->id, tx, why,
					   ktime_get_ns());
	} else if (trace_handle_release_enabled()) {
		struct bus1_handle *handle = bus1_item_handle(item);
		struct bus1_node *node = handle->node;

		trace_handle_release(item->peer->id, handle->id,
				     node->item.peer->id, node->id, why,
				     ktime_get_ns());
	}
}

/* Give up the count that the table had of an object, with what follows. */
static void bus1_peer_forget(struct bus1_item *item, struct bus1_tx *tx)
{
	if (bus1_item_is_node(item)) {
		bus1_node_detach(bus1_item_node(item), tx);
		bus1_node_put(bus1_item_node(item));
	} else {
		bus1_handle_unhold(bus1_item_handle(item), tx);
	}
}

/* A ready notification vanishes with the object that its owner gives up. */
static void bus1_peer_unqueue(struct bus1_item *item)
{
	if (!item->ready)
		return;
	bus1_queue_unready(item);
	bus1_queue_drop(item, BUS1_WHY_RELEASED);
}

static struct bus1_item *bus1_peer_id_item(u64 id)
{
	return (struct bus1_item *)(unsigned long)id;
}

/* Replace each ID by what it names; all or none, each at most once. */
static int bus1_peer_mark(struct bus1_peer *peer, u64 *ids, size_t n,
			  struct bus1_fault *fault)
{
	struct bus1_item *item;
	size_t i;
	int r = 0;

	for (i = 0; i < n; i++) {
		item = bus1_peer_find(peer, ids[i]);
		if (!item)
			r = bus1_refuse(fault, -EBADRQC, BUS1_CHECK_ID, ids[i]);
		else if (item->marked)
			r = bus1_refuse(fault, -EINVAL, BUS1_CHECK_DUPLICATE,
					ids[i]);
		if (r)
			break;
		item->marked = true;
		ids[i] = (unsigned long)item;
		cond_resched();
	}
	while (r && i--)
		bus1_peer_id_item(ids[i])->marked = false;
	return r;
}

/**
 * bus1_peer_release() - RELEASE
 * @peer:  the owner
 * @ids:   nodes and handles; overwritten
 * @n:     how many
 * @fault: gets the check that failed
 *
 * Return: 0, EBADRQC or EINVAL. Allocates nothing.
 */
int bus1_peer_release(struct bus1_peer *peer, u64 *ids, size_t n,
		      struct bus1_fault *fault)
{
	struct bus1_item *item;
	struct bus1_tx tx;
	size_t i;
	int r;

	if (!n)
		return 0;

	mutex_lock(&peer->lock);
	r = bus1_peer_mark(peer, ids, n, fault);
	if (r) {
		mutex_unlock(&peer->lock);
		return r;
	}

	bus1_tx_init(&tx, peer, BUS1_TX_RELEASE);
	bus1_tx_draw(&tx);
	for (i = 0; i < n; i++) {
		item = bus1_peer_id_item(ids[i]);
		if (bus1_item_is_node(item))
			bus1_node_kill(bus1_item_node(item));
		else
			WRITE_ONCE(bus1_item_handle(item)->released, true);
		cond_resched();
	}
	/*
	 * Death first, then the look at the queue, which is a full barrier; a
	 * sender links and publishes first and then looks for death
	 * (bus1_tx_settle()). One of the two discards. Litmus: link-dead,
	 * publish-dead.
	 */
	bus1_queue_refresh(peer);
	for (i = 0; i < n; i++) {
		item = bus1_peer_id_item(ids[i]);
		bus1_peer_trace_release(item, tx.number, BUS1_WHY_RELEASED);
		bus1_peer_unqueue(item);
		if (bus1_item_is_node(item)) {
			bus1_peer_discard(bus1_item_node(item), &tx);
			bus1_peer_erase(peer, bus1_item_node(item)->id, item);
		} else {
			bus1_peer_erase(peer, bus1_item_handle(item)->id, item);
		}
		cond_resched();
	}
	mutex_unlock(&peer->lock);

	for (i = 0; i < n; i++) {
		bus1_peer_forget(bus1_peer_id_item(ids[i]), &tx);
		cond_resched();
	}
	bus1_tx_commit(&tx);
	return 0;
}
EXPORT_SYMBOL_GPL(bus1_peer_release);

/**
 * bus1_peer_close() - end a peer
 * @peer: the peer; nobody else calls anything on it any more
 *
 * Allocates nothing. When this returns the peer has given up all it had. Its
 * memory may outlast it: through handles of others to its nodes, and through
 * senders that are about to find its queue sealed.
 */
void bus1_peer_close(struct bus1_peer *peer)
{
	struct bus1_item *item;
	unsigned long index;
	struct bus1_tx tx;

	xa_erase(&bus1_peers, peer->id);
	bus1_tx_init(&tx, peer, BUS1_TX_CLOSE);
	bus1_tx_draw(&tx);

	mutex_lock(&peer->lock);
	xa_for_each(&peer->ids, index, item) {
		if (bus1_item_is_node(item))
			bus1_node_kill(bus1_item_node(item));
		else
			WRITE_ONCE(bus1_item_handle(item)->released, true);
		bus1_peer_trace_release(item, tx.number, BUS1_WHY_CLOSED);
		cond_resched();
	}
	bus1_queue_seal(peer, &tx);
	/* Nodes first: NODE_RELEASE before HANDLE_RELEASE, for whom gets both */
	xa_for_each(&peer->ids, index, item) {
		cond_resched();
		if (!bus1_item_is_node(item))
			continue;
		bus1_peer_erase(peer, bus1_item_node(item)->id, item);
		bus1_peer_forget(item, &tx);
	}
	xa_for_each(&peer->ids, index, item) {
		bus1_peer_erase(peer, bus1_item_handle(item)->id, item);
		bus1_peer_forget(item, &tx);
		cond_resched();
	}
	/* Whoever refers to it later must not keep more than it. */
	xa_destroy(&peer->ids);
	kfree(peer->handles);
	peer->handles = NULL;
	mutex_unlock(&peer->lock);

	bus1_tx_commit(&tx);
	bus1_acct_leave(peer);
	put_user_ns(peer->user_ns);
	peer->user_ns = NULL;
	if (trace_peer_free_enabled())
		trace_peer_free(peer->id,
				from_kuid(&init_user_ns, peer->uid),
				atomic64_read(&peer->tx_seq),
				peer->data.n_recv, ktime_get_ns());
	bus1_peer_put(peer);
}
EXPORT_SYMBOL_GPL(bus1_peer_close);

/**
 * bus1_peer_readable() - would RECV return something other than EAGAIN?
 * @peer: the peer
 *
 * To wait for it: put an entry with woken_wake_function() on bus1_peer_waitq(),
 * then ask, and sleep by wait_woken() if the answer was no. This may sleep
 * itself, so wait_event() will not do.
 */
bool bus1_peer_readable(struct bus1_peer *peer)
{
	bool readable;

	mutex_lock(&peer->lock);
	readable = bus1_queue_first(peer);
	mutex_unlock(&peer->lock);
	return readable;
}
EXPORT_SYMBOL_GPL(bus1_peer_readable);

/**
 * bus1_peer_name() - NAME
 * @peer:  the peer
 * @name:  @n characters
 * @n:     at most BUS1_MAX_NAME; 0 takes the name away
 * @fault: gets the check that failed
 *
 * Return: 0; or EINVAL, the old name stays.
 */
int bus1_peer_name(struct bus1_peer *peer, const char *name, size_t n,
		   struct bus1_fault *fault)
{
	u64 words[(BUS1_MAX_NAME + 1) / sizeof(u64)] = {};
	size_t i;

	/* as peer_name has it */
	static_assert(sizeof(words) == sizeof(peer->data.name) &&
		      sizeof(words) == 32 && ARRAY_SIZE(words) == 4);

	/* So whoever prints it need not escape anything. */
	for (i = 0; i < n; i++)
		if (name[i] < 0x21 || name[i] > 0x7e)
			return bus1_refuse(fault, -EINVAL, BUS1_CHECK_NAME,
					   (u8)name[i]);
	memcpy(words, name, n);

	mutex_lock(&peer->lock);
	memcpy(peer->data.name, words, sizeof(words));
	/* With the lock: the last event has the name that stays. */
	if (trace_peer_name_enabled())
		trace_peer_name(peer->id, words[0], words[1], words[2],
				words[3], ktime_get_ns());
	mutex_unlock(&peer->lock);
	return 0;
}
EXPORT_SYMBOL_GPL(bus1_peer_name);

wait_queue_head_t *bus1_peer_waitq(struct bus1_peer *peer)
{
	return &peer->waitq;
}
EXPORT_SYMBOL_GPL(bus1_peer_waitq);

/* The lines of /proc/PID/fdinfo/FD. */
void bus1_peer_show(struct bus1_peer *peer, struct seq_file *m)
{
	/* The reader may have nothing to do with who keeps it locked. */
	if (mutex_lock_killable(&peer->lock))
		return;
	bus1_queue_refresh(peer);
	seq_printf(m, "bus1-peer:\t%llu\n", peer->id);
	if (peer->data.name[0])
		seq_printf(m, "bus1-name:\t%s\n", peer->data.name);
	seq_printf(m, "bus1-uid:\t%u\n",
		   from_kuid_munged(seq_user_ns(m), peer->uid));
	seq_printf(m, "bus1-nodes:\t%llu\n", peer->data.n_nodes);
	seq_printf(m, "bus1-handles:\t%llu\n", peer->data.n_handles);
	seq_printf(m, "bus1-queued:\t%llu\n", peer->data.n_ready);
	seq_printf(m, "bus1-queued-bytes:\t%llu\n", peer->data.n_bytes);
	mutex_unlock(&peer->lock);
	bus1_accounts_show(peer, m);
}
