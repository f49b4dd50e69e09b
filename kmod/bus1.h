/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_H
#define _BUS1_H

/**
 * DOC: the in-kernel interface
 *
 * What /dev/bus1 is built on, and what another module may call (the functions
 * are exported GPL-only). The semantics are those of the uapi header; only the
 * memory is the kernel's.
 *
 * SEND, TRANSFER and RECV come in steps, so that a caller can hand out IDs
 * before they mean anything: prepare does all that can fail, commit cannot
 * fail, and abort leaves the bus as it was. All functions may sleep. A caller
 * keeps a peer open (does not call bus1_peer_close()) while it uses it.
 */
#include <linux/cred.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <uapi/linux/bus1.h>

struct bus1_handle;
struct bus1_item;
struct bus1_msg;
struct bus1_node;
struct bus1_payload;
struct bus1_peer;
struct bus1_trace;

/**
 * struct bus1_fault - which check refused a call
 * @check:    BUS1_CHECK_*
 * @detail:   what the check looked at, see trace_abi.h
 * @owner:    if it was a quota: who would have paid, by UID in the initial user
 *            name space. This and all below are 0 else
 * @level:    BUS1_LEVEL_*
 * @resource: BUS1_RESOURCE_*
 * @held:     what the peer holds of it
 * @limit:    the most it could hold at that moment
 */
struct bus1_fault {
	u32 check;
	u64 detail;
	u32 owner;
	u32 level;
	u32 resource;
	u64 held;
	u64 limit;
};

/* Note the check, and return the error. */
static inline int bus1_refuse(struct bus1_fault *fault, int err, u32 check,
			      u64 detail)
{
	fault->check = check;
	fault->detail = detail;
	return err;
}

/**
 * struct bus1_tx - a transaction while it is put together
 * @peer:            the peer that acts
 * @number:          its number there, 0 until it is drawn
 * @kind:            BUS1_TX_*
 * @n_messages:      messages in it
 * @n_notifications: notifications in it
 * @grouped:         items for one peer are next to each other
 * @first:           its items by bus1_item.next, in the order of delivery; or NULL
 * @end:             where the next one is noted
 *
 * Belongs to one thread.
 */
struct bus1_tx {
	struct bus1_peer *peer;
	u64 number;
	u32 kind;
	u32 n_messages;
	u32 n_notifications;
	bool grouped;
	struct bus1_item *first;
	struct bus1_item **end;
};

/**
 * struct bus1_charge - what was charged for an object, until it is returned
 * @trace:   who claimed it, and from whom; NULL if nothing is charged. Alive by
 *           what it holds
 * @objects: objects
 * @bytes:   payload bytes, at most MAX_RW_COUNT
 */
struct bus1_charge {
	struct bus1_trace *trace;
	u32 objects;
	u32 bytes;
};

/* Memory for messages of a class, allocated ahead */
#define BUS1_N_SPARES 16
struct bus1_spares {
	unsigned int class;
	unsigned int n;
	void *memory[BUS1_N_SPARES];
};

/**
 * struct bus1_source - a node that handles are made for
 * @node:   the node
 * @handle: the handle of the caller that named it, held; NULL if @node is new
 */
struct bus1_source {
	struct bus1_node *node;
	struct bus1_handle *handle;
};

/**
 * struct bus1_sources - the nodes of an array of struct bus1_transfer
 * @array:     the nodes, @n of them
 * @n:         how many
 * @n_created: how many of them are new
 * @charge:    for new nodes that are not made yet
 * @single:    @array, if @n is 1
 */
struct bus1_sources {
	struct bus1_source *array;
	size_t n;
	size_t n_created;
	struct bus1_charge charge;
	struct bus1_source single;
};

/* A TRANSFER on its way; all members are private. */
struct bus1_transfer_op {
	struct bus1_fault *fault;
	struct bus1_peer *from;
	struct bus1_peer *to;
	struct bus1_sources sources;
	struct bus1_charge charge;
	struct bus1_handle **handles;
	u64 first_id;
};

/**
 * struct bus1_dest - a destination of a SEND
 * @handle: held
 * @charge: for the message, until that is made
 * @error:  0, or -EDQUOT: it is skipped
 */
struct bus1_dest {
	struct bus1_handle *handle;
	struct bus1_charge charge;
	int error;
};

/**
 * struct bus1_send_op - a SEND on its way
 * @dests:     after prepare: what became of the destinations
 * @n_skipped: how many of them have an error
 * All other members are private.
 */
struct bus1_send_op {
	struct bus1_fault *fault;
	struct bus1_peer *peer;
	struct bus1_sources sources;
	struct bus1_dest *dests;
	struct bus1_dest single;
	size_t n_dests;
	size_t n_skipped;
	size_t n_charged;
	bool alike;
	struct bus1_payload *payload;
	size_t n_bytes;
	struct bus1_spares spares;
	struct bus1_tx tx;
};

/**
 * struct bus1_recv_op - a RECV on its way
 * @type:        BUS1_MESSAGE_TYPE_*
 * @id:          the node's ID, or for NODE_RELEASE the handle's
 * @account:     the sender's UID as the receiver sees it, or BUS1_INVALID
 * @n_data:      bytes of payload
 * @n_transfers: how many handles came along
 * @first_id:    set by reserve: handle i gets the ID @first_id + 2 * i
 *
 * Set by begin. All other members are private.
 */
struct bus1_recv_op {
	u64 type;
	u64 id;
	u64 account;
	size_t n_data;
	size_t n_transfers;
	u64 first_id;
	struct bus1_fault *fault;
	struct bus1_peer *peer;
	struct bus1_item *item;
	struct wait_queue_entry wait;
	bool reserved;
	bool woken;
};

/* bus1_recv_begin(): waits for nothing, be it that another thread receives. */
#define BUS1_RECV_NOWAIT (~BUS1_RECV_FLAG_WAIT)

struct bus1_peer *bus1_peer_new(const struct cred *cred);
void bus1_peer_close(struct bus1_peer *peer);
bool bus1_peer_readable(struct bus1_peer *peer);
wait_queue_head_t *bus1_peer_waitq(struct bus1_peer *peer);
int bus1_peer_release(struct bus1_peer *peer, u64 *ids, size_t n,
		      struct bus1_fault *fault);
int bus1_peer_name(struct bus1_peer *peer, const char *name, size_t n,
		   struct bus1_fault *fault);

int bus1_transfer_prepare(struct bus1_transfer_op *op, struct bus1_peer *from,
			  struct bus1_peer *to, struct bus1_transfer *src,
			  struct bus1_transfer *dst, size_t n,
			  struct bus1_fault *fault);
int bus1_transfer_commit(struct bus1_transfer_op *op);
void bus1_transfer_abort(struct bus1_transfer_op *op);

int bus1_send_prepare(struct bus1_send_op *op, struct bus1_peer *peer,
		      u64 flags, const u64 *dests, size_t n_dests,
		      struct bus1_transfer *transfers, size_t n_transfers,
		      struct iov_iter *data, size_t n_data,
		      struct bus1_fault *fault);
void bus1_send_commit(struct bus1_send_op *op);
void bus1_send_abort(struct bus1_send_op *op);

int bus1_recv_begin(struct bus1_recv_op *op, struct bus1_peer *peer, u64 flags,
		    u64 deadline, struct bus1_fault *fault);
int bus1_recv_reserve(struct bus1_recv_op *op);
int bus1_recv_copy(struct bus1_recv_op *op, const struct iov_iter *to);
int bus1_recv_commit(struct bus1_recv_op *op);
void bus1_recv_abort(struct bus1_recv_op *op);

#endif /* _BUS1_H */
