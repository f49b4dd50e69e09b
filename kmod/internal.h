/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_INTERNAL_H
#define _BUS1_INTERNAL_H

/**
 * DOC: objects, locks, lifetimes
 *
 * What is queued on a peer is an *item*, embedded in what it speaks of: a
 * message in itself, NODE_RELEASE in the handle, HANDLE_RELEASE in the node. So
 * a notification needs no memory when it is sent. Each is queued at most once
 * in its life.
 *
 * Locks, in the order they are taken:
 *
 *   peer->lock    the peer's table (removals, and what is installed together),
 *                 its frozen queue, and the death of its nodes. Short: nobody
 *                 touches user memory or allocates under it. Never taken by a
 *                 sender for its receivers. Of two peers (TRANSFER) neither is
 *                 waited for while the other is locked.
 *   the turn      not a lock but peer->data.taken, under peer->lock: what a RECV
 *                 has begun with and copies to user memory. Only other RECVs of
 *                 the peer wait for it, on peer->turns (wait.c).
 *   xa_lock of peer->ids    changes of the table, and look-ups by those who have
 *                 not peer->lock: a handle found there is alive and may be held.
 *   node->lock    the list of the node's handles, and node->dead. A leaf.
 *   user->lock    what is claimed from a user, by whomever; but not the stocks.
 *   those of the wait queues    leaves.
 *   xa_lock of the open peers, and of the users    their registries. Leaves; a
 *                 user leaves the latter under user->lock.
 *
 * Counts:
 *
 *   handle->holds who keeps the handle alive: its table (or, in flight, its
 *                 message) and running calls that looked it up. With the last
 *                 one the handle leaves its node (bus1_handle_unhold()).
 *   node->n_handles   live handles, those in flight included, and whoever is
 *                 about to make the first. With the last one HANDLE_RELEASE is
 *                 sent. It never rises again: only from a live handle, or by
 *                 the maker, are others made.
 *   ref of each   the object, with its charge. A handle refers to its node and its
 *                 owner, a node to its owner. A peer refers to what is in its
 *                 table and queue, and gives all of it up when it is closed; so
 *                 there is no cycle once the descriptors are gone.
 *   item->leads   the memory of a node, handle or message, for those who wait for
 *                 its @seq: other peers, whose heads pay for as much.
 */
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/cache.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/xarray.h>

#include "bus1.h"
#include "compat.h"
#include "quota.h"
#include "trace_abi.h"

struct seq_file;

/* What an ID is made of is an index. Kbuild alone does not look at Kconfig. */
static_assert(sizeof(unsigned long) == sizeof(u64));

/*
 * For all that user space triggers: charged to its memory control group, and
 * failing with ENOMEM at the group's limit instead of calling its OOM killer.
 */
#define BUS1_GFP (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

#define BUS1_N_RESOURCES 2

/**
 * struct bus1_user - who pays: the account of a user
 * @ref:     one for each of its peers' memory, one for who looks at it
 * @uid:     the effective UID of those who opened them. Constant
 * @lock:    guards all below, and all of the quotas and traces
 * @level:   by resource
 * @quotas:  of those who claim from it, by UID
 * @retired: nothing is claimed, nor will be; it is not in the table any more
 * @n_peers: open peers
 * @n_stocks: entries in @stocks
 * @stocks:  traces with an open stock, the oldest first
 * @floor:   by resource: with less left for its own peers, they are to be closed
 * @foreign_floor: with less left for others, theirs are
 */
struct bus1_user {
	refcount_t ref;
	kuid_t uid;
	spinlock_t lock; /* all below; quotas; traces, but for their stock */
	bool retired;
	u32 n_stocks;
	u64 n_peers;
	struct list_head stocks;
	u64 floor[BUS1_N_RESOURCES];
	u64 foreign_floor[BUS1_N_RESOURCES];
	struct rb_root quotas;
	struct bus1_level level[BUS1_N_RESOURCES];
};

/**
 * struct bus1_quota - what one user has claimed from another, or from itself
 * @node:   in user->quotas
 * @user:   who pays. Constant
 * @uid:    who claims. Constant
 * @level:  by resource
 * @shelved: @level, while its stocks are shelved
 * @traces: its peers that claim, by ID
 *
 * All under user->lock, as is all of a trace but its stock.
 */
struct bus1_quota {
	struct rb_node node;
	struct bus1_user *user;
	kuid_t uid;
	struct bus1_level level[BUS1_N_RESOURCES];
	struct bus1_level shelved[BUS1_N_RESOURCES];
	struct rb_root traces;
};

/**
 * struct bus1_trace - what one peer has claimed
 * @node:  in quota->traces
 * @quota: constant
 * @peer:  ID of the peer. Constant
 * @n_ref: handles that remember it; and one for a peer's own, while it is open
 * @held:  by resource, the stock included. Each charge includes objects
 * @stocked: in user->stocks while the stock is open
 * @shelved: @stock, while it is shelved
 * @stock: claimed, and not used now (acct.c). In a line of memory of its own, as
 *         is the whole, away from those of other peers
 */
struct bus1_trace {
	struct rb_node node;
	struct bus1_quota *quota;
	u64 peer;
	u64 n_ref;
	u64 held[BUS1_N_RESOURCES];
	struct list_head stocked;
	u64 shelved;
	atomic64_t stock ____cacheline_aligned_in_smp;
} ____cacheline_aligned_in_smp;

/*
 * A multicast is a transaction with two or more receivers. Instead of its
 * number: it is being drawn, by a sender who cannot be preempted.
 */
#define BUS1_SEQ_DRAWING 1

/**
 * struct bus1_item - an entry of a queue
 * @link:      in the incoming list of @peer, if it heads its group
 * @pos:       of a head among the frozen, in the order of the links; 0 until it
 *             is given out. Under peer->lock
 * @entry:     in the queue's leftovers or ready list, under peer->lock; before the
 *             link, for sorting
 * @next:      next item of the transaction. Set before the link, then constant
 * @lead:      of a multicast: the item whose @seq speaks for it; or NULL: the
 *             link itself publishes. The head of each group refers to it, but
 *             for the lead itself. Set before the link, then under peer->lock
 * @peer:      the receiver. Constant
 * @tx_peer:   the transaction. Set before the link, then constant
 * @tx:        its number
 * @leads:     the object itself, and the heads that it leads: what keeps the memory
 *             once nobody else refers to the object, so that it costs its owner
 *             nothing then (bus1_item_free())
 * @stamp:     time of its tx_begin in ns, or 0 if nobody wanted to know
 * @type:      BUS1_MESSAGE_TYPE_*. Constant
 * @last:      @next goes to another peer, or there is none. As @next
 * @seq:       of a lead: 0, BUS1_SEQ_DRAWING, then for ever the number of the
 *             multicast; that is its publication, ordered by the draw between
 *             the two stores, and read with acquire. Of others: the same number
 *             once the receiver has judged them, under peer->lock
 * @class:     of a message: that of its memory (memory.c). Constant
 * @refused:   the receiver was closed. Belongs to the sender
 * @ready:     it is in the ready list, or being received. Under peer->lock
 * @marked:    a RELEASE in progress names it. Under peer->lock
 */
struct bus1_item {
	union {
		struct llist_node link;
		u64 pos;
	};
	struct list_head entry;
	struct bus1_item *next;
	struct bus1_item *lead;
	struct bus1_peer *peer;
	u64 tx_peer;
	u64 tx;
	u64 stamp;
	atomic64_t seq;
	refcount_t leads;
	u8 type : 4;
	u8 class : 4;
	bool last;
	bool refused;
	u8 ready : 1;
	u8 marked : 1;
};

/**
 * struct bus1_payload - data that several messages share, or that is large
 * @ref:     references: messages, and a SEND that makes them
 * @n_parts: how many there are; all but the last are of one size
 * @parts:   constant
 */
struct bus1_payload {
	refcount_t ref;
	u32 n_parts;
	struct bus1_part {
		void *data;
		u32 size; /* bytes */
		u32 class;
	} parts[];
};

/**
 * struct bus1_msg - a message to one node
 * @item:       its place in the queue
 * @ref:        the queue, the sender until it has settled, a running RECV
 * @claimed:    set once, by whoever delivers or discards it
 * @index:      of the message in its transaction
 * @n_handles:  constant
 * @node_id:    where it goes. Constant
 * @dest:       the handle it was sent through; only for the sender, who holds it
 * @node_entry: in node->queued while in the ready list, under peer->lock
 * @n_data:     payload bytes. Constant
 * @payload:    them; or NULL: they are behind @handles. Constant until a RECV has
 *              committed, which gives it up, while the sender may still have a
 *              reference to the message: only the last put looks at it then,
 *              behind the refcount
 * @uid:        of the sender. Constant
 * @charge:     for itself and the handles, which take their part when they are
 *              received; else goes with the last reference
 * @handles:    made for the receiver, without an ID yet; go with the claim
 *
 * The memory, handles and mostly data included, is one object.
 */
struct bus1_msg {
	struct bus1_item item;
	refcount_t ref;
	int claimed;
	u32 index;
	u32 n_handles;
	u64 node_id;
	const struct bus1_handle *dest;
	struct hlist_node node_entry;
	size_t n_data;
	struct bus1_payload *payload;
	kuid_t uid;
	struct bus1_charge charge;
	struct bus1_handle *handles[];
};

/**
 * struct bus1_node - the receiving end
 * @item:      HANDLE_RELEASE; item.peer is the owner, referenced
 * @ref:       the table, each handle, the queued @item, a call that made it, a
 *             running RECV
 * @n_handles: live handles
 * @id:        constant
 * @created:   coarse CLOCK_MONOTONIC ns. Constant
 * @lock:      guards @handles, and @dead together with peer->lock
 * @handles:   bus1_handle.node_entry: handles whose owner is to be told
 * @dead:      released, or its HANDLE_RELEASE received. Written under both
 *             locks; a sender reads it after its link
 * @queued:    bus1_msg.node_entry: messages in the ready list. Under peer->lock
 * @charge:    goes when it dies, but see bus1_node_kill()
 */
struct bus1_node {
	struct bus1_item item;
	refcount_t ref;
	refcount_t n_handles;
	u64 id;
	u64 created;
	spinlock_t lock; /* handles, dead */
	bool dead; /* read by senders; not in the line of @queued */
	struct list_head handles;
	struct hlist_head queued;
	struct bus1_charge charge;
};

/**
 * struct bus1_handle - the sending end
 * @item:       NODE_RELEASE; item.peer is the owner, referenced
 * @ref:        its liveness (@holds), the queued @item, a running RECV
 * @holds:      see above
 * @id:         0 while in flight; then constant
 * @used:       coarse CLOCK_MONOTONIC ns of the last SEND through it, or 0.
 *              Written without a lock, where @holds has the cache line anyway
 * @node:       referenced. Constant
 * @node_entry: in node->handles, or empty. Under node->lock
 * @released:   its ID is gone. Written under peer->lock; a hint elsewhere
 * @how:        BUS1_HOW_*. This and all below set with the ID, then constant
 * @index:      the message that brought it, or 0; below BUS1_MAX_DESTINATIONS
 * @slot:       where in the message or the TRANSFER; below BUS1_MAX_TRANSFERS
 * @from:       peer of the transaction that brought it
 * @from_tx:    its number
 * @created:    coarse CLOCK_MONOTONIC ns
 * @charge:     empty while in flight; goes with the last reference, which may be
 *              that of a NODE_RELEASE on its way: until who sends that is done
 *              with it, and the owner looks at his queue
 * @trace:      what the owner claims from the node's user, if it ever sent here;
 *              set once by whoever does so first, referenced until the last
 *              hold goes
 */
struct bus1_handle {
	struct bus1_item item;
	refcount_t ref;
	refcount_t holds;
	u64 id;
	u64 used;
	struct bus1_node *node;
	struct list_head node_entry;
	bool released;
	u8 how;
	u16 index;
	u16 slot;
	u64 from;
	u64 from_tx;
	u64 created;
	struct bus1_charge charge;
	struct bus1_trace *trace;
};

/* A slab object filled to the last byte: one more would cost each handle 64. */
static_assert(sizeof(struct bus1_handle) <= 192);

/* What @index and @slot hold. */
static_assert((u16)(BUS1_MAX_DESTINATIONS - 1) == BUS1_MAX_DESTINATIONS - 1);
static_assert((u16)(BUS1_MAX_TRANSFERS - 1) == BUS1_MAX_TRANSFERS - 1);

/*
 * Of those that were looked up lately, one for each of so many values of the ID's
 * lowest bits; what is released is forgotten.
 */
#define BUS1_N_RECENT_HANDLES 64
#define BUS1_N_RECENT_NODES 8
struct bus1_recent {
	u64 id;
	struct bus1_item *item;
};

/**
 * struct bus1_peer - a queue, and a table of nodes and handles
 * @id:       never used twice while the module is loaded. Constant
 * @ref:      memory: the descriptor, each node, each handle, who looks from
 *            outside
 * @uid:      effective UID of the opener. Constant
 * @user_ns:  of the opener, referenced until it is closed
 * @user:     who pays. Constant
 * @trace:    what it claims from its own user. Constant, until it is closed
 * @charge:   the peer itself, until it is closed
 * @foreign:  it has sent, or tried to, to a node of another user. Set without a
 *            lock, and stays so
 * @pid:      of the opener, in the initial PID name space. Constant
 * @created:  coarse CLOCK_MONOTONIC ns. Constant
 * @next_id:  counter behind the IDs
 * @tx_seq:   counter of its transactions
 * @ids:      by ID >> 1: a struct bus1_item, of a node or a handle
 * @anchor:   index of a place in @ids that is reserved for nothing, or 0
 * @handles:  BUS1_N_RECENT_HANDLES that were sent through lately, until it is
 *            closed. Under the xa_lock of @ids
 * @waitq:    who polls. Woken by senders, who keep the peer's memory
 * @sleepers: who sleeps until there is something to receive. As @waitq
 * @turns:    who waits for the turn
 * @lock:     see above
 * @incoming: linked items, newest first; BUS1_SEALED once closed
 * @data:     what @lock guards
 * @data.taken:   what is being received, off the lists, with the queue's
 *                  reference; or NULL
 * @data.leftovers: heads of groups, frozen, not delivered. In link order
 * @data.pos:       the last position given to one of them
 * @data.ready:     single items, receivable. In the order of delivery
 * @data.n_ready:   entries in @data.ready, and @data.taken
 * @data.n_bytes:   payload bytes in them
 * @data.n_recv:    messages and notifications received so far
 * @data.n_nodes:   in the table
 * @data.n_handles: in the table
 * @data.nodes:     sent to lately
 * @data.name:      what its owner calls it, 0 to the end; for those who watch
 */
struct bus1_peer {
	/* Read by all who deal with it, and hardly written */
	u64 id;
	kuid_t uid;
	struct user_namespace *user_ns;
	struct bus1_user *user;
	struct bus1_trace *trace;
	struct bus1_charge charge;
	bool foreign;
	pid_t pid;
	u64 created;

	/* Written by whoever makes, looks up or frees handles */
	refcount_t ref ____cacheline_aligned_in_smp;
	atomic64_t next_id;
	atomic64_t tx_seq;
	struct xarray ids;
	u64 anchor; /* xa_lock of ids, as below */
	struct bus1_recent *handles;

	/* Written by senders */
	struct llist_head incoming ____cacheline_aligned_in_smp;

	/* Read by senders; written by who goes to sleep, or is woken */
	wait_queue_head_t waitq ____cacheline_aligned_in_smp;
	wait_queue_head_t sleepers;
	wait_queue_head_t turns;

	struct mutex lock ____cacheline_aligned_in_smp; /* table, nodes, data */
	struct {
		struct bus1_item *taken;
		struct list_head leftovers;
		u64 pos;
		struct list_head ready;
		u64 n_ready;
		u64 n_bytes;
		u64 n_recv;
		u64 n_nodes;
		u64 n_handles;
		struct bus1_recent nodes[BUS1_N_RECENT_NODES];
		char name[BUS1_MAX_NAME + 1];
	} data;
};

/* What an item is embedded in; const as @_item is. */
#define bus1_item_msg(_item)                                              \
	container_of_const(_item, struct bus1_msg, item)
#define bus1_item_node(_item) container_of_const(_item, struct bus1_node, item)
#define bus1_item_handle(_item)                                               \
	container_of_const(_item, struct bus1_handle, item)

static inline bool bus1_item_is_msg(const struct bus1_item *item)
{
	return item->type == BUS1_MESSAGE_TYPE_USER;
}

/* Of an entry of the table: a node, or else a handle. */
static inline bool bus1_item_is_node(const struct bus1_item *item)
{
	return item->type == BUS1_MESSAGE_TYPE_HANDLE_RELEASE;
}

/* As events show it: the number of a multicast, as far as @item has it, or 0. */
static inline u64 bus1_item_seq(const struct bus1_item *item)
{
	u64 seq = atomic64_read(&item->seq);

	return seq > BUS1_SEQ_DRAWING ? seq : 0;
}

/*
 * refcount_dec_and_test(), but the last one, whose caller is alone, writes nothing.
 * Not for counts that rise again from 1. Litmus: last-ref, last-ref-alone.
 */
static inline bool bus1_ref_put(refcount_t *ref)
{
	return atomic_read_acquire(&ref->refs) == 1 ||
	       refcount_dec_and_test(ref);
}

/* Steps of a few instructions between two chances to be rescheduled */
#define BUS1_BREATH 32

/* main.c */
extern unsigned long long bus1_max_objects;
extern unsigned long long bus1_max_bytes;

/* acct.c */
int bus1_acct_join(struct bus1_peer *peer);
void bus1_acct_leave(struct bus1_peer *peer);
void bus1_acct_exit(void);
void bus1_user_put(struct bus1_user *user);
void bus1_stocks_shelve(struct bus1_user *user,
			struct bus1_level level[BUS1_N_RESOURCES]);
void bus1_stocks_unshelve(struct bus1_user *user,
			  const struct bus1_level level[BUS1_N_RESOURCES]);
struct bus1_user *bus1_user_next(unsigned long uid);
struct bus1_trace *bus1_trace_get(struct bus1_user *user,
				  const struct bus1_peer *claimant);
void bus1_trace_put(struct bus1_trace *trace);
bool bus1_trace_held(struct bus1_user *user, const struct bus1_peer *claimant,
		     u64 held[BUS1_N_RESOURCES]);
int bus1_charge_take(struct bus1_charge *charge, struct bus1_trace *trace,
		     u32 objects, u32 bytes, u32 op, struct bus1_fault *fault);
bool bus1_charge_take_all(const struct bus1_charge *one, u32 n);
void bus1_charge_return(struct bus1_charge *charge);
void bus1_charge_split(struct bus1_charge *charge, struct bus1_charge *part,
		       u32 objects);
void bus1_charge_move(struct bus1_charge *charge, struct bus1_trace *trace);

/* accounts.c */
extern const struct file_operations bus1_accounts_fops;
void bus1_accounts_show(struct bus1_peer *peer, struct seq_file *m);

/* peer.c */
struct bus1_peer *bus1_peer_get(struct bus1_peer *peer);
void bus1_peer_put(struct bus1_peer *peer);
u64 bus1_peer_last(void);
struct bus1_peer *bus1_peer_next(u64 id, u64 last);
int bus1_peer_reserve(struct bus1_peer *peer, size_t n, u64 *first_id);
void bus1_peer_unreserve(struct bus1_peer *peer, size_t n, u64 first_id);
struct bus1_item *bus1_peer_find(struct bus1_peer *peer, u64 id);
struct bus1_item *bus1_peer_node(struct bus1_peer *peer, u64 id);
struct bus1_handle *bus1_peer_hold(struct bus1_peer *peer, u64 id);
size_t bus1_peer_hold_all(struct bus1_peer *peer, const u64 *ids,
			  struct bus1_dest *dests, size_t n);
void bus1_peer_install(struct bus1_peer *peer, u64 id, struct bus1_item *item);
void bus1_peer_erase(struct bus1_peer *peer, u64 id, struct bus1_item *item);
void bus1_peer_exit(void);
void bus1_peer_trace_release(struct bus1_item *item, u64 tx, u32 why);
void bus1_peer_show(struct bus1_peer *peer, struct seq_file *m);

/* node.c */
struct bus1_node *bus1_node_new(struct bus1_peer *peer);
struct bus1_node *bus1_node_get(struct bus1_node *node);
void bus1_node_put(struct bus1_node *node);
void bus1_node_drop(struct bus1_node *node, struct bus1_tx *tx);
void bus1_node_kill(struct bus1_node *node);
void bus1_node_detach(struct bus1_node *node, struct bus1_tx *tx);

/* handle.c */
struct bus1_handle *bus1_handle_new(struct bus1_node *node,
				    struct bus1_peer *peer);
struct bus1_handle *bus1_handle_get(struct bus1_handle *handle);
void bus1_handle_put(struct bus1_handle *handle);
void bus1_handle_drop(struct bus1_handle *handle, struct bus1_tx *tx);
bool bus1_handle_install(struct bus1_handle *handle, u64 id);
struct bus1_trace *bus1_handle_remember(struct bus1_handle *handle);

/**
 * bus1_handle_unhold() - let go of a live handle
 * @handle: the handle
 * @tx:     gets the node's HANDLE_RELEASE, if this ends its last handle
 */
static inline void bus1_handle_unhold(struct bus1_handle *handle,
				      struct bus1_tx *tx)
{
	/* Behind all that was sent through it. Litmus: last-hold. */
	if (refcount_dec_and_test(&handle->holds))
		bus1_handle_drop(handle, tx);
}

/**
 * bus1_handle_trace() - what the owner claims from the user of the node
 * @handle: the handle, held
 *
 * Return: the trace, alive as long as the hold and the owner is open; or NULL if
 * there is no memory.
 */
static inline struct bus1_trace *bus1_handle_trace(struct bus1_handle *handle)
{
	struct bus1_peer *peer = handle->item.peer;

	if (handle->node->item.peer->user == peer->user)
		return peer->trace;
	return READ_ONCE(handle->trace) ?: bus1_handle_remember(handle);
}

/* memory.c */
#define BUS1_MEM_MAX (SZ_32K - 64) /* the largest class */
int bus1_mem_init(void);
void bus1_mem_exit(void);
void *bus1_mem_alloc(size_t size, unsigned int *class);
void *bus1_mem_spare(struct bus1_spares *spares, size_t size, size_t n);
void bus1_mem_unspare(struct bus1_spares *spares);
void bus1_mem_free(void *memory, unsigned int class);
struct bus1_payload *bus1_payload_new(struct iov_iter *from, size_t n);
struct bus1_payload *bus1_payload_get(struct bus1_payload *payload);
struct bus1_payload *bus1_payload_put(struct bus1_payload *payload);
int bus1_payload_copy(const struct bus1_payload *payload,
		      const struct iov_iter *to);

/* What a message takes, with so many handles and its data, if that is inside. */
static inline size_t bus1_msg_size(size_t n_handles, size_t n_data)
{
	return struct_size((struct bus1_msg *)NULL, handles, n_handles) + n_data;
}

/* May the data be in the message itself? */
static inline bool bus1_msg_fits(size_t n_handles, size_t n_data)
{
	return bus1_msg_size(n_handles, n_data) <= BUS1_MEM_MAX;
}

/* message.c */
struct bus1_msg *bus1_msg_new(void *memory, unsigned int class,
			      struct bus1_peer *sender,
			      const struct bus1_handle *dest,
			      size_t n_handles, size_t n_data,
			      struct bus1_payload *payload,
			      struct bus1_charge *charge);
void bus1_msg_free(struct bus1_msg *message);
int bus1_msg_fill(struct bus1_msg *message, struct iov_iter *from);
int bus1_msg_copy(struct bus1_msg *message, const struct iov_iter *to);
struct bus1_msg *bus1_msg_get(struct bus1_msg *message);
void bus1_msg_put(struct bus1_msg *message);
void bus1_msg_discard(struct bus1_msg *message, u32 why,
		      struct bus1_tx *tx);

/* queue.c */
void bus1_queue_init(struct bus1_peer *peer);
bool bus1_queue_link(struct bus1_item *item);
struct bus1_item *bus1_queue_first(struct bus1_peer *peer);
struct bus1_item *bus1_queue_take(struct bus1_peer *peer);
bool bus1_queue_end(struct bus1_item *item, bool received);
void bus1_queue_refresh(struct bus1_peer *peer);
void bus1_queue_drop(struct bus1_item *item, u32 why);
void bus1_queue_ready(struct bus1_item *item, struct list_head *behind);
void bus1_queue_unready(struct bus1_item *item);
void bus1_queue_seal(struct bus1_peer *peer, struct bus1_tx *tx);

/* send.c */
int bus1_send_one(struct bus1_peer *peer, u64 dest, struct iov_iter *data,
		  size_t n_data, struct bus1_fault *fault);

/* recv.c, wait.c */
#define BUS1_WAIT_TURN 1
#define BUS1_WAIT_ITEM 2
int bus1_recv_look(struct bus1_recv_op *op, unsigned int wait);
void bus1_wait_enter(struct wait_queue_head *queue,
		     struct wait_queue_entry *wait);
bool bus1_wait_leave(struct wait_queue_head *queue,
		     struct wait_queue_entry *wait);
int bus1_wait(struct bus1_recv_op *op, int r, unsigned int wait, u64 deadline);
void bus1_wake(struct wait_queue_head *queue);
void bus1_wake_item(struct bus1_peer *peer, bool first, bool sync);

/* Is it worth to call bus1_wake_item()? */
static inline bool bus1_wake_wanted(struct bus1_peer *peer)
{
	/* No barrier needed: see there. */
	return waitqueue_active(&peer->sleepers) ||
	       /* Nor here. */
	       waitqueue_active(&peer->waitq);
}

void bus1_wake_pass(struct bus1_recv_op *op);

/* tx.c */
extern atomic64_t bus1_seq;
static inline void bus1_tx_init(struct bus1_tx *tx, struct bus1_peer *peer,
				u32 kind)
{
	tx->peer = peer;
	tx->number = 0;
	tx->kind = kind;
	tx->n_messages = 0;
	tx->n_notifications = 0;
	tx->grouped = false;
	tx->first = NULL;
	tx->end = &tx->first;
}

/**
 * bus1_tx_add() - add an item
 * @tx:   the transaction
 * @item: the item; its reference goes along
 *
 * Items for one peer are delivered in the order in which they were added.
 */
static inline void bus1_tx_add(struct bus1_tx *tx, struct bus1_item *item)
{
	item->next = NULL;
	*tx->end = item;
	tx->end = &item->next;
	if (bus1_item_is_msg(item))
		tx->n_messages++;
	else
		tx->n_notifications++;
}

/* The number of the transaction, drawn when it is first asked for. */
static inline u64 bus1_tx_draw(struct bus1_tx *tx)
{
	if (!tx->number)
		tx->number = atomic64_inc_return(&tx->peer->tx_seq);
	return tx->number;
}

void bus1_tx_commit(struct bus1_tx *tx);
void bus1_tx_commit_one(struct bus1_tx *tx, struct bus1_msg *message);
struct bus1_item *bus1_item_get(struct bus1_item *item);
void bus1_item_put(struct bus1_item *item);
void bus1_item_free(struct bus1_item *item);

/* transfer.c */
int bus1_sources_hold(struct bus1_sources *sources, struct bus1_peer *peer,
		      const struct bus1_transfer *transfers, size_t n,
		      struct bus1_fault *fault);
int bus1_sources_create(struct bus1_sources *sources, struct bus1_peer *peer,
			struct bus1_transfer *transfers,
			struct bus1_fault *fault);
void bus1_sources_install(struct bus1_sources *sources);
void bus1_sources_finish(struct bus1_sources *sources, struct bus1_tx *tx);
void bus1_sources_abort(struct bus1_sources *sources, struct bus1_tx *tx);

/* trace.c */
const struct bus1_node *bus1_item_about(const struct bus1_item *item, u64 *id);
/* where the event is enabled */
void bus1_trace_send(const struct bus1_item *item);
void bus1_trace_recv(const struct bus1_item *item, u64 n_recv);
void bus1_trace_drop(const struct bus1_item *item, u32 why);

/* cdev.c, ioctl.c, debugfs.c */
int bus1_cdev_init(void);
void bus1_cdev_exit(void);
struct file;
struct bus1_peer *bus1_cdev_peer(struct file *file);
long bus1_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
void bus1_debugfs_init(void);
void bus1_debugfs_exit(void);

#endif /* _BUS1_INTERNAL_H */
