/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_BUS1_H
#define _UAPI_LINUX_BUS1_H

/**
 * DOC: bus1, capability-based inter-process communication
 *
 * Opening /dev/bus1 makes a *peer*: a message queue and a table of *nodes*
 * and *handles*. The peer is the open file description; dup(2), fork(2) and
 * SCM_RIGHTS share it, and it ends when the last descriptor is closed.
 *
 * A *node* is the receiving end of a channel and belongs for ever to the peer
 * that made it. A *handle* is a right to send to one node. Nothing else gives
 * that right: no name, no path, no user ID. Handles come into a peer in two
 * ways: carried by a message, or by BUS1_CMD_TRANSFER from a peer whose
 * descriptor the caller also holds. Every transfer makes a new handle with its
 * own ID, also where the receiver already holds one to the same node, and also
 * where the receiver owns the node.
 *
 * IDs
 *   64 bits, local to a peer, one name space for nodes and handles. The kernel
 *   chooses them: bit 0 (BUS1_MANAGED) set, the rest a counter. An ID is never
 *   used twice in one peer. BUS1_INVALID is no ID.
 *
 * Errors
 *   An ioctl returns 0, or -1 and sets errno; RECV_BATCH returns a count, and
 *   CALL may return an error above 0 (see there). A call that failed had no effect
 *   on the bus and may be repeated; arrays in user memory may have been partly
 *   written. After EFAULT or EBADRQC set the entries that had
 *   BUS1_TRANSFER_FLAG_CREATE anew before the call is repeated.
 *
 *   EAGAIN      RECV, RECV_BATCH: nothing is receivable
 *   EBADF       TRANSFER: @to is not an open file descriptor
 *   EOPNOTSUPP  TRANSFER: @to is a descriptor of something else
 *   EBADRQC     an ID is unknown, or names a node where a handle is needed
 *   EDQUOT      open, TRANSFER, SEND: a user would have more charged to it than
 *               it may, or more than its share claimed from it; see below
 *   EFAULT      a pointer is bad, does not fit the caller's pointer size, or
 *               the end of its array is beyond the address space
 *   EINVAL      unknown flag bits, a wrong message type, CREATE with an ID
 *               other than BUS1_INVALID, an ID twice in one RELEASE, an iovec
 *               longer than SSIZE_MAX; NAME: a character that no name has;
 *               RECV_BATCH: a deadline without WAIT
 *   EMSGSIZE    SEND: n_data is more than the iovecs hold, or than the kernel
 *               moves in one call (MAX_RW_COUNT, 2 GiB less a page);
 *               RECV: the room is too small;
 *               any: an array is longer than its BUS1_MAX_* limit, or there
 *               are more than UIO_MAXIOV (1024) iovecs
 *   ENOMEM      no memory, or the memory control group is at its limit
 *   ENOTTY      unknown command
 *   ETIMEDOUT   waiting: the deadline has passed, and nothing is receivable, or
 *               another thread is just receiving
 *   EINTR       killed on the way; waiting: a signal came
 *
 * Notifications
 *   They arrive in the same queue as messages and in the same order.
 *
 *   BUS1_MESSAGE_TYPE_NODE_RELEASE   the node behind a handle of this peer was
 *     released. metadata.id is the handle; it is gone and its ID invalid.
 *   BUS1_MESSAGE_TYPE_HANDLE_RELEASE the last handle to a node of this peer is
 *     gone, handles inside undelivered messages counting as alive. metadata.id
 *     is the node; it is gone and its ID invalid.
 *
 *   Each comes exactly once. Who releases the handle, or the node, first hears
 *   nothing any more. A handle that arrives after its node was released is
 *   followed at once by its NODE_RELEASE.
 *
 * Order
 *   If one call returned, or one of its messages was received, before another
 *   call began, then every peer that receives from both receives from the
 *   first one first; it does not matter by which way the second caller knew.
 *   A call to several receivers takes effect at once for all of them, and two
 *   peers that both receive from two such calls, related or not, receive from
 *   them in the same order. Other calls without such a relation have no
 *   promised order.
 *
 * Who pays
 *   Each user, the effective UID of whoever opened a peer, may have so many
 *   objects and payload bytes charged to it as the module's parameters
 *   max_objects and max_bytes say. Peers, nodes and handles are charged to the
 *   user of the peer that owns them. A message, the handles in it and its
 *   payload, for each receiver in full, are charged to the user of the receiver
 *   and claimed by the sender, until the message is received or discarded;
 *   handles that are received stay charged to the same user. TRANSFER charges
 *   new handles to the user of @to, and new nodes, as SEND does, to the caller's.
 *
 *   Those who claim from one user share what it has: who claims more must leave
 *   more for others (bus1(7) has the formula). Where a claim is too much the call
 *   fails with EDQUOT. It does not help to repeat it before something that was
 *   claimed has been given back: messages received, handles released, peers
 *   closed. RELEASE, RECV and close never fail for that, notifications are free,
 *   and so is a message to a node that is released already.
 *
 * Extensions
 *   Beside the four commands above, and numbered apart from them: NAME tells
 *   those who watch the bus what a peer is; FEATURES tells which extensions the
 *   module has; CALL sends and receives in one system call; RECV_BATCH receives
 *   many messages in one. BUS1_RECV_FLAG_WAIT lets a receipt sleep, and
 *   BUS1_MESSAGE_FLAG_FLAT spares the iovec. A module that is older than an
 *   extension says ENOTTY to its command, and EINVAL to its flag.
 *
 * Waiting
 *   RECV with BUS1_RECV_FLAG_WAIT, RECV_BATCH with it, and CALL sleep until a
 *   message is receivable, the deadline has passed (ETIMEDOUT), or a signal
 *   comes. They look before they sleep and once more before they fail, so a
 *   deadline in the past just looks. It is absolute, by the CLOCK_MONOTONIC of
 *   the caller's time name space. A signal whose handler has SA_RESTART restarts
 *   RECV and RECV_BATCH, with the same deadline; else, and CALL always, EINTR.
 *   One message wakes one of those who sleep on a peer, the one that has waited
 *   longest; who leaves without it passes it on. Those who poll are all woken.
 *
 * What bus1 does not do
 *   No addresses by name and no discovery: pass a peer's descriptor over a Unix
 *   socket and TRANSFER a handle into it (libbus1 has both sides). No file
 *   descriptors in messages. poll(2), select(2) and epoll(7) report EPOLLIN
 *   exactly while RECV would return something other than EAGAIN, and EPOLLOUT
 *   always. O_NONBLOCK changes nothing: who waits has asked for it.
 *
 * Binary form
 *   Every field is an unsigned 64-bit integer in native byte order, pointers
 *   and sizes included, so that 32-bit callers use the same structures; only
 *   struct iovec has the caller's form. Extensions only add: new commands, new
 *   flag bits, new message types that a caller must ask for.
 */

#include <linux/ioctl.h>
#include <linux/types.h>

/* Convert between a pointer and a field that holds one. */
#define BUS1_FROM_PTR(_p) ((__u64)(unsigned long)(_p))
#define BUS1_TO_PTR(_v) ((void *)(unsigned long)(_v))

/* Set in every ID that the kernel chose. */
#define BUS1_MANAGED ((__u64)0x1)
/* Never an ID. */
#define BUS1_INVALID ((__u64)0xffffffffffffffff)

/* The longest arrays a command takes: EMSGSIZE beyond. */
#define BUS1_MAX_TRANSFERS 65536
#define BUS1_MAX_DESTINATIONS 65536
#define BUS1_MAX_IDS 65536
/* RECV_BATCH: the most messages that one call receives. */
#define BUS1_MAX_BATCH 1024
/* NAME: the longest name. */
#define BUS1_MAX_NAME 31
/* SEND: the most n_destinations * (1 + n_transfers) may come to. */
#define BUS1_MAX_PRODUCT 1048576

/*
 * bus1_transfer.flags: make a node. Set @id to BUS1_INVALID; the ID of the new
 * node is written back to @id and @flags is cleared.
 */
#define BUS1_TRANSFER_FLAG_CREATE ((__u64)0x1)

/**
 * struct bus1_transfer - a node or handle that is handed over
 * @flags: in: 0 or BUS1_TRANSFER_FLAG_CREATE; out: 0
 * @id:    in: a handle of the caller, or BUS1_INVALID with CREATE;
 *         out: the new ID
 */
struct bus1_transfer {
	__aligned_u64 flags;
	__aligned_u64 id;
};

/**
 * struct bus1_metadata - what the kernel says about a received message
 * @flags:   0
 * @id:      the node it was sent to (USER, HANDLE_RELEASE), or the handle that
 *           is gone (NODE_RELEASE)
 * @account: USER: the effective UID of whoever opened the sending peer, as the
 *           user name space of the receiving peer's opener sees it (the
 *           overflow UID where it has no mapping); else BUS1_INVALID. It
 *           names an account, not a right: whoever was lent the peer's
 *           descriptor sends under it too
 */
struct bus1_metadata {
	__aligned_u64 flags;
	__aligned_u64 id;
	__aligned_u64 account;
};

/* bus1_message.type */
#define BUS1_MESSAGE_TYPE_USER ((__u64)0)
#define BUS1_MESSAGE_TYPE_NODE_RELEASE ((__u64)1)
#define BUS1_MESSAGE_TYPE_HANDLE_RELEASE ((__u64)2)
#define _BUS1_MESSAGE_TYPE_N 3

/*
 * bus1_message.flags: the data is in one piece, and no iovec is needed:
 * @ptr_data_vecs is its address, and @n_data_vecs its size in bytes. All else is
 * as with one iovec of that address and size. Stays as given when received.
 */
#define BUS1_MESSAGE_FLAG_FLAT ((__u64)0x1)

/**
 * struct bus1_message - a message to send, or room for one to receive
 * @flags:         0 or BUS1_MESSAGE_FLAG_FLAT
 * @type:          SEND: BUS1_MESSAGE_TYPE_USER. RECV, in: BUS1_INVALID;
 *                 out: BUS1_MESSAGE_TYPE_*
 * @n_transfers:   entries in @ptr_transfers, at most BUS1_MAX_TRANSFERS.
 *                 RECV, in: room (more than the limit is taken as the limit);
 *                 out: how many were received, or with EMSGSIZE are needed
 * @ptr_transfers: array of struct bus1_transfer. SEND: handles of the sender,
 *                 or CREATE: the node is made in the sender, its ID is written
 *                 back, and its only handle goes into the message.
 *                 RECV: the new handles, flags 0
 * @n_data:        payload bytes. SEND: the first @n_data bytes of the iovecs
 *                 are sent. RECV, in: room (more than the iovecs hold is taken
 *                 as what they hold); out: bytes received, or with EMSGSIZE
 *                 needed
 * @n_data_vecs:   entries in @ptr_data_vecs, at most UIO_MAXIOV (1024);
 *                 FLAT: bytes at @ptr_data_vecs
 * @ptr_data_vecs: array of struct iovec; FLAT: the data
 *
 * With EMSGSIZE, RECV writes @n_transfers and @n_data and nothing else, and
 * the message stays first in the queue.
 */
struct bus1_message {
	__aligned_u64 flags;
	__aligned_u64 type;
	__aligned_u64 n_transfers;
	__aligned_u64 ptr_transfers;
	__aligned_u64 n_data;
	__aligned_u64 n_data_vecs;
	__aligned_u64 ptr_data_vecs;
};

/**
 * struct bus1_cmd_transfer - copy handles from one peer into another
 * @flags:       0
 * @to:          file descriptor of the receiving peer, or BUS1_INVALID for the
 *               peer the command is called on
 * @n_transfers: entries in both arrays, at most BUS1_MAX_TRANSFERS
 * @ptr_src:     array of struct bus1_transfer: handles of the calling peer, or
 *               CREATE: a node is made in it and its ID written back
 * @ptr_dst:     array of struct bus1_transfer: out: the new handles in @to;
 *               not read
 *
 * All or nothing.
 */
struct bus1_cmd_transfer {
	__aligned_u64 flags;
	__aligned_u64 to;
	__aligned_u64 n_transfers;
	__aligned_u64 ptr_src;
	__aligned_u64 ptr_dst;
};

/**
 * struct bus1_cmd_release - give up nodes and handles, in one transaction
 * @flags:   0
 * @n_ids:   entries in @ptr_ids, at most BUS1_MAX_IDS
 * @ptr_ids: array of __u64, nodes and handles mixed, each at most once
 *
 * Releasing a node discards the messages still queued for it. Releasing
 * cannot fail for want of quota, nor of memory for up to 32 IDs.
 */
struct bus1_cmd_release {
	__aligned_u64 flags;
	__aligned_u64 n_ids;
	__aligned_u64 ptr_ids;
};

/*
 * bus1_cmd_send.flags: a destination whose user cannot be charged for the
 * message is skipped, and its entry in @ptr_errors says -EDQUOT; all others get
 * the message, in one transaction. The call returns 0, also where all were
 * skipped. Nodes that the message creates are charged to the sender's user: if
 * that cannot be, or with any other error, the call fails as without the flag.
 */
#define BUS1_SEND_FLAG_CONTINUE ((__u64)0x1)

/**
 * struct bus1_cmd_send - send one message to one or many handles
 * @flags:            0 or BUS1_SEND_FLAG_CONTINUE
 * @n_destinations:   entries in @ptr_destinations, at most
 *                    BUS1_MAX_DESTINATIONS. 0 looks up the transfers, and
 *                    charges, makes and copies nothing
 * @ptr_destinations: array of __u64, handles of the calling peer; one named
 *                    twice gets the message twice
 * @ptr_errors:       array of __s32, one for each destination, written as 0
 *                    where the message was sent, -EDQUOT where CONTINUE skipped
 *                    it; or 0: not wanted. Untouched by a call that fails, but
 *                    for EFAULT and EBADRQC
 * @ptr_message:      struct bus1_message
 *
 * A destination whose node is released already, or whose peer is gone, is not
 * an error: that copy is discarded, and a NODE_RELEASE is or was on its way.
 * Without CONTINUE one receiver whose user cannot be charged fails the call for
 * all.
 */
struct bus1_cmd_send {
	__aligned_u64 flags;
	__aligned_u64 n_destinations;
	__aligned_u64 ptr_destinations;
	__aligned_u64 ptr_errors;
	__aligned_u64 ptr_message;
};

/* RECV, RECV_BATCH: sleep until there is something to receive. */
#define BUS1_RECV_FLAG_WAIT ((__u64)0x1)

/**
 * struct bus1_cmd_recv - take the next message or notification
 * @flags:        0 or BUS1_RECV_FLAG_WAIT, which has no deadline here:
 *                RECV_BATCH has one
 * @ptr_metadata: struct bus1_metadata, out
 * @ptr_message:  struct bus1_message, in and out
 */
struct bus1_cmd_recv {
	__aligned_u64 flags;
	__aligned_u64 ptr_metadata;
	__aligned_u64 ptr_message;
};

/**
 * struct bus1_cmd_name - say what a peer is, for those who watch
 * @flags:    0
 * @n_name:   bytes at @ptr_name, at most BUS1_MAX_NAME; 0: no name any more
 * @ptr_name: the name, without a 0 at its end: characters 0x21 to 0x7e, so
 *            printable ASCII without space
 *
 * Shown by fdinfo, debugfs and the event peer_name. It is no address and grants
 * nothing, other peers cannot see it, and many may have the same. Whoever has
 * the descriptor can change it.
 */
struct bus1_cmd_name {
	__aligned_u64 flags;
	__aligned_u64 n_name;
	__aligned_u64 ptr_name;
};

/* What a module can; see BUS1_CMD_FEATURES. */
#define BUS1_FEATURE_NAME ((__u64)0x1) /* BUS1_CMD_NAME */
#define BUS1_FEATURE_WAIT ((__u64)0x2) /* BUS1_RECV_FLAG_WAIT */
#define BUS1_FEATURE_CALL ((__u64)0x4) /* BUS1_CMD_CALL */
#define BUS1_FEATURE_BATCH ((__u64)0x8) /* BUS1_CMD_RECV_BATCH */
#define BUS1_FEATURE_FLAT ((__u64)0x10) /* BUS1_MESSAGE_FLAG_FLAT */

/**
 * struct bus1_cmd_features - ask which extensions the module has
 * @flags:    0
 * @features: out: BUS1_FEATURE_*. Unknown bits may be set
 */
struct bus1_cmd_features {
	__aligned_u64 flags;
	__aligned_u64 features;
};

/**
 * struct bus1_received - a message that was received, or room for one
 * @metadata: out
 * @message:  in and out, as for RECV
 */
struct bus1_received {
	struct bus1_metadata metadata;
	struct bus1_message message;
};

/**
 * struct bus1_cmd_call - send a message, then wait for one
 * @flags:       0
 * @deadline:    for the wait: CLOCK_MONOTONIC in ns; BUS1_INVALID: none
 * @destination: a handle of the calling peer
 * @send:        as for SEND
 * @received:    room, as for RECV. Any message to the peer is received, be it a
 *               reply or not
 *
 * For a client: a request, and the reply to it. For a server: a reply, and the
 * next request.
 *
 * Returns 0 if both are done. -1 with errno: nothing was sent and nothing is
 * received, as if SEND had failed; the room may have been refused as by RECV
 * (EINVAL, EFAULT, EMSGSIZE) before anything was sent. More than 0: the message
 * is sent, and the value is the error for which none was received: ETIMEDOUT,
 * EINTR, EMSGSIZE (with what is needed in @received), EFAULT, ENOMEM. Go on with
 * RECV then. It is never restarted.
 */
struct bus1_cmd_call {
	__aligned_u64 flags;
	__aligned_u64 deadline;
	__aligned_u64 destination;
	struct bus1_message send;
	struct bus1_received received;
};

/**
 * struct bus1_cmd_recv_batch - receive many messages
 * @flags:       0 or BUS1_RECV_FLAG_WAIT
 * @deadline:    WAIT: CLOCK_MONOTONIC in ns, or BUS1_INVALID: none. Else 0
 * @n_received:  entries in @ptr_received; more than BUS1_MAX_BATCH is taken as
 *               that
 * @ptr_received: array of struct bus1_received, in and out as for RECV
 *
 * Receives what is there, one after the other as RECV would, until there is
 * nothing more or no more entry; it waits only for the first. Returns how many
 * were received: 0 only if @n_received is 0. Fails only if the first cannot be
 * received; where a later one cannot, the call ends before it, and the next call
 * says why. All entries behind the last one received are as they were, but for
 * what RECV writes of a message that cannot be received.
 */
struct bus1_cmd_recv_batch {
	__aligned_u64 flags;
	__aligned_u64 deadline;
	__aligned_u64 n_received;
	__aligned_u64 ptr_received;
};

#define BUS1_IOCTL_MAGIC 0x97

#define BUS1_CMD_TRANSFER _IOWR(BUS1_IOCTL_MAGIC, 0, struct bus1_cmd_transfer)
#define BUS1_CMD_RELEASE _IOWR(BUS1_IOCTL_MAGIC, 1, struct bus1_cmd_release)
#define BUS1_CMD_SEND _IOWR(BUS1_IOCTL_MAGIC, 2, struct bus1_cmd_send)
#define BUS1_CMD_RECV _IOWR(BUS1_IOCTL_MAGIC, 3, struct bus1_cmd_recv)
/* Extensions, from 0x80 on. */
#define BUS1_CMD_NAME _IOWR(BUS1_IOCTL_MAGIC, 0x80, struct bus1_cmd_name)
#define BUS1_CMD_FEATURES \
	_IOWR(BUS1_IOCTL_MAGIC, 0x81, struct bus1_cmd_features)
#define BUS1_CMD_CALL _IOWR(BUS1_IOCTL_MAGIC, 0x82, struct bus1_cmd_call)
#define BUS1_CMD_RECV_BATCH \
	_IOWR(BUS1_IOCTL_MAGIC, 0x83, struct bus1_cmd_recv_batch)

#endif /* _UAPI_LINUX_BUS1_H */
