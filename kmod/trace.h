/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: bus1's tracepoints
 *
 * They are an interface: scalar arguments only, which are only ever appended;
 * trace_abi.h has their numbers and the version. The same arguments reach
 * ftrace, perf and BPF (tp_btf and raw_tp). bus1(4) has the table.
 *
 * Identity: a peer is a number that is not used twice while the module is
 * loaded; a node is (peer of its owner, id), a handle likewise; a transaction
 * is (peer of its sender, tx); a message is (transaction, index). Times are
 * CLOCK_MONOTONIC nanoseconds.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM bus1

#if !defined(_BUS1_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _BUS1_TRACE_H

#include <linux/tracepoint.h>
#include "trace_abi.h"

#define bus1_show_tx(v) \
	__print_symbolic(v, \
			 { BUS1_TX_TRANSFER, "transfer" }, \
			 { BUS1_TX_RELEASE, "release" }, \
			 { BUS1_TX_SEND, "send" }, \
			 { BUS1_TX_CLOSE, "close" }, \
			 { BUS1_TX_DROP, "drop" })

#define bus1_show_how(v) \
	__print_symbolic(v, \
			 { BUS1_HOW_CREATED, "created" }, \
			 { BUS1_HOW_TRANSFERRED, "transferred" }, \
			 { BUS1_HOW_MESSAGE, "message" })

#define bus1_show_why(v) \
	__print_symbolic(v, \
			 { BUS1_WHY_RELEASED, "released" }, \
			 { BUS1_WHY_CLOSED, "closed" }, \
			 { BUS1_WHY_NOTIFIED, "notified" }, \
			 { BUS1_WHY_QUOTA, "quota" })

#define bus1_show_kind(v) \
	__print_symbolic(v, \
			 { BUS1_KIND_NODE_RELEASE, "node_release" }, \
			 { BUS1_KIND_HANDLE_RELEASE, "handle_release" })

#define bus1_show_wait(v) \
	__print_symbolic(v, \
			 { BUS1_WAIT_READY, "ready" }, \
			 { BUS1_WAIT_DEADLINE, "deadline" }, \
			 { BUS1_WAIT_SIGNAL, "signal" })

#define bus1_show_op(v) \
	__print_symbolic(v, \
			 { BUS1_OP_TRANSFER, "transfer" }, \
			 { BUS1_OP_RELEASE, "release" }, \
			 { BUS1_OP_SEND, "send" }, \
			 { BUS1_OP_RECV, "recv" }, \
			 { BUS1_OP_NAME, "name" }, \
			 { BUS1_OP_FEATURES, "features" }, \
			 { BUS1_OP_CALL, "call" }, \
			 { BUS1_OP_RECV_BATCH, "recv_batch" }, \
			 { BUS1_OP_OPEN, "open" })

#define bus1_show_check(v) \
	__print_symbolic(v, \
			 { BUS1_CHECK_FLAGS, "flags" }, \
			 { BUS1_CHECK_POINTER, "pointer" }, \
			 { BUS1_CHECK_LIMIT, "limit" }, \
			 { BUS1_CHECK_ID, "id" }, \
			 { BUS1_CHECK_DUPLICATE, "duplicate" }, \
			 { BUS1_CHECK_TYPE, "type" }, \
			 { BUS1_CHECK_CREATE, "create" }, \
			 { BUS1_CHECK_FD, "fd" }, \
			 { BUS1_CHECK_DATA, "data" }, \
			 { BUS1_CHECK_IOVEC, "iovec" }, \
			 { BUS1_CHECK_ROOM, "room" }, \
			 { BUS1_CHECK_MEMORY, "memory" }, \
			 { BUS1_CHECK_SIGNAL, "signal" }, \
			 { BUS1_CHECK_QUOTA, "quota" }, \
			 { BUS1_CHECK_NAME, "name" }, \
			 { BUS1_CHECK_DEADLINE, "deadline" })

#define bus1_show_resource(v) \
	__print_symbolic(v, \
			 { BUS1_RESOURCE_OBJECTS, "objects" }, \
			 { BUS1_RESOURCE_BYTES, "bytes" })

#define bus1_show_level(v) \
	__print_symbolic(v, \
			 { 0, "-" }, \
			 { BUS1_LEVEL_USER, "user" }, \
			 { BUS1_LEVEL_PEER, "peer" })

/* A peer was opened, by process @pid of effective user @uid. */
TRACE_EVENT(peer_new,
	    TP_PROTO(u64 peer, u32 uid, u32 pid, u64 time),
	    TP_ARGS(peer, uid, pid, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u32, uid)
			     __field(u32, pid)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->uid = uid;
			   __entry->pid = pid;
			   __entry->time = time;),
	    TP_printk("peer=%llu uid=%u pid=%u time=%llu",
		      __entry->peer, __entry->uid, __entry->pid, __entry->time)
);

/*
 * A peer's last descriptor was closed. @transactions: how many it
 * began; @receipts: how many messages and notifications it received.
 */
TRACE_EVENT(peer_free,
	    TP_PROTO(u64 peer, u32 uid, u64 transactions, u64 receipts,
		     u64 time),
	    TP_ARGS(peer, uid, transactions, receipts, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u32, uid)
			     __field(u64, transactions)
			     __field(u64, receipts)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->uid = uid;
			   __entry->transactions = transactions;
			   __entry->receipts = receipts;
			   __entry->time = time;),
	    TP_printk("peer=%llu uid=%u transactions=%llu receipts=%llu time=%llu",
		      __entry->peer, __entry->uid, __entry->transactions,
		      __entry->receipts, __entry->time)
);

/*
 * @peer is called as the four words say, as they lie in memory: BUS1_MAX_NAME
 * characters and a 0, filled up with 0. All 0: it has no name any more.
 */
TRACE_EVENT(peer_name,
	    TP_PROTO(u64 peer, u64 name0, u64 name1, u64 name2, u64 name3,
		     u64 time),
	    TP_ARGS(peer, name0, name1, name2, name3, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __array(char, name, 32)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   memcpy(__entry->name, &name0, sizeof(name0));
			   memcpy(__entry->name + 8, &name1, sizeof(name1));
			   memcpy(__entry->name + 16, &name2, sizeof(name2));
			   memcpy(__entry->name + 24, &name3, sizeof(name3));
			   __entry->time = time;),
	    TP_printk("peer=%llu name=%s time=%llu",
		      __entry->peer, __entry->name, __entry->time)
);

/* @peer made node @node. */
TRACE_EVENT(node_new,
	    TP_PROTO(u64 peer, u64 node, u64 time),
	    TP_ARGS(peer, node, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u64, node)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->node = node;
			   __entry->time = time;),
	    TP_printk("peer=%llu node=%llu time=%llu",
		      __entry->peer, __entry->node, __entry->time)
);

/*
 * Node @node of @peer is released and its ID unknown from here on.
 * @tx: the transaction of @peer that did it, 0 where @why is NOTIFIED.
 */
TRACE_EVENT(node_release,
	    TP_PROTO(u64 peer, u64 node, u64 tx, u32 why, u64 time),
	    TP_ARGS(peer, node, tx, why, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u64, node)
			     __field(u64, tx)
			     __field(u32, why)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->node = node;
			   __entry->tx = tx;
			   __entry->why = why;
			   __entry->time = time;),
	    TP_printk("peer=%llu node=%llu tx=%llu why=%s time=%llu",
		      __entry->peer, __entry->node, __entry->tx,
		      bus1_show_why(__entry->why), __entry->time)
);

/* Nothing refers to the node any more. */
TRACE_EVENT(node_free,
	    TP_PROTO(u64 peer, u64 node, u64 time),
	    TP_ARGS(peer, node, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u64, node)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->node = node;
			   __entry->time = time;),
	    TP_printk("peer=%llu node=%llu time=%llu",
		      __entry->peer, __entry->node, __entry->time)
);

/*
 * @peer got handle @handle to node (@node_peer, @node). Where @how is
 * MESSAGE it came in slot @slot of message (@tx_peer, @tx, @index); else
 * (@tx_peer, @tx) is the TRANSFER and @slot its entry.
 */
TRACE_EVENT(handle_new,
	    TP_PROTO(u64 peer, u64 handle, u64 node_peer, u64 node, u32 how,
		     u64 tx_peer, u64 tx, u32 index, u32 slot, u64 time),
	    TP_ARGS(peer, handle, node_peer, node, how, tx_peer, tx, index,
		    slot, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u64, handle)
			     __field(u64, node_peer)
			     __field(u64, node)
			     __field(u32, how)
			     __field(u64, tx_peer)
			     __field(u64, tx)
			     __field(u32, index)
			     __field(u32, slot)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->handle = handle;
			   __entry->node_peer = node_peer;
			   __entry->node = node;
			   __entry->how = how;
			   __entry->tx_peer = tx_peer;
			   __entry->tx = tx;
			   __entry->index = index;
			   __entry->slot = slot;
			   __entry->time = time;),
	    TP_printk("peer=%llu handle=%llu node_peer=%llu node=%llu how=%s tx_peer=%llu tx=%llu index=%u slot=%u time=%llu",
		      __entry->peer, __entry->handle, __entry->node_peer,
		      __entry->node, bus1_show_how(__entry->how),
		      __entry->tx_peer, __entry->tx, __entry->index,
		      __entry->slot, __entry->time)
);

/* Handle @handle of @peer is given up and its ID unknown from here on. */
TRACE_EVENT(handle_release,
	    TP_PROTO(u64 peer, u64 handle, u64 node_peer, u64 node, u32 why,
		     u64 time),
	    TP_ARGS(peer, handle, node_peer, node, why, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u64, handle)
			     __field(u64, node_peer)
			     __field(u64, node)
			     __field(u32, why)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->handle = handle;
			   __entry->node_peer = node_peer;
			   __entry->node = node;
			   __entry->why = why;
			   __entry->time = time;),
	    TP_printk("peer=%llu handle=%llu node_peer=%llu node=%llu why=%s time=%llu",
		      __entry->peer, __entry->handle, __entry->node_peer,
		      __entry->node, bus1_show_why(__entry->why),
		      __entry->time)
);

/* Nothing refers to the handle any more. */
TRACE_EVENT(handle_free,
	    TP_PROTO(u64 peer, u64 handle, u64 node_peer, u64 node, u64 time),
	    TP_ARGS(peer, handle, node_peer, node, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u64, handle)
			     __field(u64, node_peer)
			     __field(u64, node)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->handle = handle;
			   __entry->node_peer = node_peer;
			   __entry->node = node;
			   __entry->time = time;),
	    TP_printk("peer=%llu handle=%llu node_peer=%llu node=%llu time=%llu",
		      __entry->peer, __entry->handle, __entry->node_peer,
		      __entry->node, __entry->time)
);

/*
 * Transaction @tx of @peer is complete and about to be linked to
 * @receivers peers. Nothing can fail after this.
 */
TRACE_EVENT(tx_begin,
	    TP_PROTO(u64 peer, u64 tx, u32 kind, u32 receivers, u32 messages,
		     u32 notifications, u64 time),
	    TP_ARGS(peer, tx, kind, receivers, messages, notifications, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u64, tx)
			     __field(u32, kind)
			     __field(u32, receivers)
			     __field(u32, messages)
			     __field(u32, notifications)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->tx = tx;
			   __entry->kind = kind;
			   __entry->receivers = receivers;
			   __entry->messages = messages;
			   __entry->notifications = notifications;
			   __entry->time = time;),
	    TP_printk("peer=%llu tx=%llu kind=%s receivers=%u messages=%u notifications=%u time=%llu",
		      __entry->peer, __entry->tx, bus1_show_tx(__entry->kind),
		      __entry->receivers, __entry->messages,
		      __entry->notifications, __entry->time)
);

/*
 * Transaction @tx of @peer is published. @begun: the time of its
 * tx_begin, 0 if no time was taken then. @seq: of a multicast, a transaction with
 * two or more receivers, its number in the one order in which all peers receive
 * multicasts; else 0.
 */
TRACE_EVENT(tx_commit,
	    TP_PROTO(u64 peer, u64 tx, u32 kind, u32 receivers, u32 messages,
		     u32 notifications, u64 begun, u64 time, u64 seq),
	    TP_ARGS(peer, tx, kind, receivers, messages, notifications, begun,
		    time, seq),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u64, tx)
			     __field(u32, kind)
			     __field(u32, receivers)
			     __field(u32, messages)
			     __field(u32, notifications)
			     __field(u64, begun)
			     __field(u64, time)
			     __field(u64, seq)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->tx = tx;
			   __entry->kind = kind;
			   __entry->receivers = receivers;
			   __entry->messages = messages;
			   __entry->notifications = notifications;
			   __entry->begun = begun;
			   __entry->time = time;
			   __entry->seq = seq;),
	    TP_printk("peer=%llu tx=%llu kind=%s receivers=%u messages=%u notifications=%u begun=%llu time=%llu seq=%llu",
		      __entry->peer, __entry->tx, bus1_show_tx(__entry->kind),
		      __entry->receivers, __entry->messages,
		      __entry->notifications, __entry->begun, __entry->time,
		      __entry->seq)
);

/*
 * Message @index of transaction (@peer, @tx) goes to node @node of
 * @receiver, sent through handle @handle of @peer. Between tx_begin and
 * tx_commit of that transaction.
 */
TRACE_EVENT(msg_send,
	    TP_PROTO(u64 peer, u64 tx, u32 index, u64 receiver, u64 node,
		     u64 bytes, u32 handles, u64 time, u64 handle),
	    TP_ARGS(peer, tx, index, receiver, node, bytes, handles, time,
		    handle),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u64, tx)
			     __field(u32, index)
			     __field(u64, receiver)
			     __field(u64, node)
			     __field(u64, bytes)
			     __field(u32, handles)
			     __field(u64, time)
			     __field(u64, handle)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->tx = tx;
			   __entry->index = index;
			   __entry->receiver = receiver;
			   __entry->node = node;
			   __entry->bytes = bytes;
			   __entry->handles = handles;
			   __entry->time = time;
			   __entry->handle = handle;),
	    TP_printk("peer=%llu tx=%llu index=%u receiver=%llu node=%llu bytes=%llu handles=%u time=%llu handle=%llu",
		      __entry->peer, __entry->tx, __entry->index,
		      __entry->receiver, __entry->node, __entry->bytes,
		      __entry->handles, __entry->time, __entry->handle)
);

/*
 * @receiver received message (@peer, @tx, @index). @recv: its receive
 * number there. @queued: ns since tx_begin, 0 if no time was taken then. @seq as
 * in tx_commit.
 */
TRACE_EVENT(msg_recv,
	    TP_PROTO(u64 receiver, u64 recv, u64 peer, u64 tx, u32 index,
		     u64 node, u64 bytes, u32 handles, u64 queued, u64 time,
		     u64 seq),
	    TP_ARGS(receiver, recv, peer, tx, index, node, bytes, handles,
		    queued, time, seq),
	    TP_STRUCT__entry(__field(u64, receiver)
			     __field(u64, recv)
			     __field(u64, peer)
			     __field(u64, tx)
			     __field(u32, index)
			     __field(u64, node)
			     __field(u64, bytes)
			     __field(u32, handles)
			     __field(u64, queued)
			     __field(u64, time)
			     __field(u64, seq)),
	    TP_fast_assign(__entry->receiver = receiver;
			   __entry->recv = recv;
			   __entry->peer = peer;
			   __entry->tx = tx;
			   __entry->index = index;
			   __entry->node = node;
			   __entry->bytes = bytes;
			   __entry->handles = handles;
			   __entry->queued = queued;
			   __entry->time = time;
			   __entry->seq = seq;),
	    TP_printk("receiver=%llu recv=%llu peer=%llu tx=%llu index=%u node=%llu bytes=%llu handles=%u queued=%llu time=%llu seq=%llu",
		      __entry->receiver, __entry->recv, __entry->peer,
		      __entry->tx, __entry->index, __entry->node,
		      __entry->bytes, __entry->handles, __entry->queued,
		      __entry->time, __entry->seq)
);

/*
 * Message (@peer, @tx, @index) will not be received. @seq as in tx_commit, but it
 * may be 0 where @receiver has not judged it yet.
 */
TRACE_EVENT(msg_discard,
	    TP_PROTO(u64 receiver, u64 peer, u64 tx, u32 index, u64 node,
		     u64 bytes, u32 handles, u32 why, u64 time, u64 seq),
	    TP_ARGS(receiver, peer, tx, index, node, bytes, handles, why, time,
		    seq),
	    TP_STRUCT__entry(__field(u64, receiver)
			     __field(u64, peer)
			     __field(u64, tx)
			     __field(u32, index)
			     __field(u64, node)
			     __field(u64, bytes)
			     __field(u32, handles)
			     __field(u32, why)
			     __field(u64, time)
			     __field(u64, seq)),
	    TP_fast_assign(__entry->receiver = receiver;
			   __entry->peer = peer;
			   __entry->tx = tx;
			   __entry->index = index;
			   __entry->node = node;
			   __entry->bytes = bytes;
			   __entry->handles = handles;
			   __entry->why = why;
			   __entry->time = time;
			   __entry->seq = seq;),
	    TP_printk("receiver=%llu peer=%llu tx=%llu index=%u node=%llu bytes=%llu handles=%u why=%s time=%llu seq=%llu",
		      __entry->receiver, __entry->peer, __entry->tx,
		      __entry->index, __entry->node, __entry->bytes,
		      __entry->handles, bus1_show_why(__entry->why),
		      __entry->time, __entry->seq)
);

/*
 * A notification of transaction (@peer, @tx) goes to @receiver.
 * NODE_RELEASE: @id is the handle; HANDLE_RELEASE: @id is the node. Either
 * way (@node_peer, @node) is the node.
 */
TRACE_EVENT(notify_send,
	    TP_PROTO(u64 peer, u64 tx, u32 kind, u64 receiver, u64 id,
		     u64 node_peer, u64 node, u64 time),
	    TP_ARGS(peer, tx, kind, receiver, id, node_peer, node, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u64, tx)
			     __field(u32, kind)
			     __field(u64, receiver)
			     __field(u64, id)
			     __field(u64, node_peer)
			     __field(u64, node)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->tx = tx;
			   __entry->kind = kind;
			   __entry->receiver = receiver;
			   __entry->id = id;
			   __entry->node_peer = node_peer;
			   __entry->node = node;
			   __entry->time = time;),
	    TP_printk("peer=%llu tx=%llu kind=%s receiver=%llu id=%llu node_peer=%llu node=%llu time=%llu",
		      __entry->peer, __entry->tx,
		      bus1_show_kind(__entry->kind), __entry->receiver,
		      __entry->id, __entry->node_peer, __entry->node,
		      __entry->time)
);

/* @receiver received a notification. @recv, @queued and @seq as in msg_recv. */
TRACE_EVENT(notify_recv,
	    TP_PROTO(u64 receiver, u64 recv, u64 peer, u64 tx, u32 kind,
		     u64 id, u64 node_peer, u64 node, u64 queued, u64 time,
		     u64 seq),
	    TP_ARGS(receiver, recv, peer, tx, kind, id, node_peer, node,
		    queued, time, seq),
	    TP_STRUCT__entry(__field(u64, receiver)
			     __field(u64, recv)
			     __field(u64, peer)
			     __field(u64, tx)
			     __field(u32, kind)
			     __field(u64, id)
			     __field(u64, node_peer)
			     __field(u64, node)
			     __field(u64, queued)
			     __field(u64, time)
			     __field(u64, seq)),
	    TP_fast_assign(__entry->receiver = receiver;
			   __entry->recv = recv;
			   __entry->peer = peer;
			   __entry->tx = tx;
			   __entry->kind = kind;
			   __entry->id = id;
			   __entry->node_peer = node_peer;
			   __entry->node = node;
			   __entry->queued = queued;
			   __entry->time = time;
			   __entry->seq = seq;),
	    TP_printk("receiver=%llu recv=%llu peer=%llu tx=%llu kind=%s id=%llu node_peer=%llu node=%llu queued=%llu time=%llu seq=%llu",
		      __entry->receiver, __entry->recv, __entry->peer,
		      __entry->tx, bus1_show_kind(__entry->kind), __entry->id,
		      __entry->node_peer, __entry->node, __entry->queued,
		      __entry->time, __entry->seq)
);

/*
 * A notification vanished: what it speaks of was released first, or
 * the receiver was closed. @seq as in msg_discard.
 */
TRACE_EVENT(notify_drop,
	    TP_PROTO(u64 receiver, u64 peer, u64 tx, u32 kind, u64 id,
		     u64 node_peer, u64 node, u32 why, u64 time, u64 seq),
	    TP_ARGS(receiver, peer, tx, kind, id, node_peer, node, why, time,
		    seq),
	    TP_STRUCT__entry(__field(u64, receiver)
			     __field(u64, peer)
			     __field(u64, tx)
			     __field(u32, kind)
			     __field(u64, id)
			     __field(u64, node_peer)
			     __field(u64, node)
			     __field(u32, why)
			     __field(u64, time)
			     __field(u64, seq)),
	    TP_fast_assign(__entry->receiver = receiver;
			   __entry->peer = peer;
			   __entry->tx = tx;
			   __entry->kind = kind;
			   __entry->id = id;
			   __entry->node_peer = node_peer;
			   __entry->node = node;
			   __entry->why = why;
			   __entry->time = time;
			   __entry->seq = seq;),
	    TP_printk("receiver=%llu peer=%llu tx=%llu kind=%s id=%llu node_peer=%llu node=%llu why=%s time=%llu seq=%llu",
		      __entry->receiver, __entry->peer, __entry->tx,
		      bus1_show_kind(__entry->kind), __entry->id,
		      __entry->node_peer, __entry->node,
		      bus1_show_why(__entry->why), __entry->time,
		      __entry->seq)
);

/*
 * A thread that found nothing to receive on @peer at @begun, and waits for it, goes
 * on; @why says for which reason. What it found is received next, by msg_recv or
 * notify_recv of the same thread, unless another thread is faster.
 */
TRACE_EVENT(recv_wait,
	    TP_PROTO(u64 peer, u64 begun, u32 why, u64 time),
	    TP_ARGS(peer, begun, why, time),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u64, begun)
			     __field(u32, why)
			     __field(u64, time)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->begun = begun;
			   __entry->why = why;
			   __entry->time = time;),
	    TP_printk("peer=%llu begun=%llu why=%s time=%llu",
		      __entry->peer, __entry->begun,
		      bus1_show_wait(__entry->why), __entry->time)
);

DECLARE_EVENT_CLASS(bus1_acct,
		    TP_PROTO(u32 owner, u32 claimant, u64 peer, u32 resource,
			     u64 amount, u64 held, u64 quota_left,
			     u64 user_left, u64 quota, u64 max, u64 time),
		    TP_ARGS(owner, claimant, peer, resource, amount, held,
			    quota_left, user_left, quota, max, time),
		    TP_STRUCT__entry(__field(u32, owner)
				     __field(u32, claimant)
				     __field(u64, peer)
				     __field(u32, resource)
				     __field(u64, amount)
				     __field(u64, held)
				     __field(u64, quota_left)
				     __field(u64, user_left)
				     __field(u64, quota)
				     __field(u64, max)
				     __field(u64, time)),
		    TP_fast_assign(__entry->owner = owner;
				   __entry->claimant = claimant;
				   __entry->peer = peer;
				   __entry->resource = resource;
				   __entry->amount = amount;
				   __entry->held = held;
				   __entry->quota_left = quota_left;
				   __entry->user_left = user_left;
				   __entry->quota = quota;
				   __entry->max = max;
				   __entry->time = time;),
		    TP_printk("owner=%u claimant=%u peer=%llu resource=%s amount=%llu held=%llu quota_left=%llu user_left=%llu quota=%llu max=%llu time=%llu",
			      __entry->owner, __entry->claimant, __entry->peer,
			      bus1_show_resource(__entry->resource),
			      __entry->amount, __entry->held,
			      __entry->quota_left, __entry->user_left,
			      __entry->quota, __entry->max, __entry->time)
);

/*
 * @peer of user @claimant claims @amount of what user @owner may have
 * pinned. After it: @held, what @peer holds of it; @quota, what @claimant has
 * claimed for all its peers, and @quota_left, what of that none of them holds;
 * @user_left, what nobody has claimed; @max, the maximum.
 */
DEFINE_EVENT(bus1_acct, acct_charge,
	     TP_PROTO(u32 owner, u32 claimant, u64 peer, u32 resource,
		      u64 amount, u64 held, u64 quota_left, u64 user_left,
		      u64 quota, u64 max, u64 time),
	     TP_ARGS(owner, claimant, peer, resource, amount, held, quota_left,
		     user_left, quota, max, time)
);

/*
 * @amount is given back; arguments as in acct_charge. On the receipt of handles
 * there is an acct_discharge of the sender, and for the handles an acct_charge
 * of the receiver, unless that is the same peer.
 */
DEFINE_EVENT(bus1_acct, acct_discharge,
	     TP_PROTO(u32 owner, u32 claimant, u64 peer, u32 resource,
		      u64 amount, u64 held, u64 quota_left, u64 user_left,
		      u64 quota, u64 max, u64 time),
	     TP_ARGS(owner, claimant, peer, resource, amount, held, quota_left,
		     user_left, quota, max, time)
);

/*
 * @amount was refused, on level @level, in operation @op of the current thread.
 * Arguments as in acct_charge, nothing changed; @limit: the most that @peer
 * could have held at this moment.
 */
TRACE_EVENT(acct_reject,
	    TP_PROTO(u32 owner, u32 claimant, u64 peer, u32 resource,
		     u64 amount, u64 held, u64 quota_left, u64 user_left,
		     u32 level, u32 op, u64 limit, u64 time),
	    TP_ARGS(owner, claimant, peer, resource, amount, held, quota_left,
		    user_left, level, op, limit, time),
	    TP_STRUCT__entry(__field(u32, owner)
			     __field(u32, claimant)
			     __field(u64, peer)
			     __field(u32, resource)
			     __field(u64, amount)
			     __field(u64, held)
			     __field(u64, quota_left)
			     __field(u64, user_left)
			     __field(u32, level)
			     __field(u32, op)
			     __field(u64, limit)
			     __field(u64, time)),
	    TP_fast_assign(__entry->owner = owner;
			   __entry->claimant = claimant;
			   __entry->peer = peer;
			   __entry->resource = resource;
			   __entry->amount = amount;
			   __entry->held = held;
			   __entry->quota_left = quota_left;
			   __entry->user_left = user_left;
			   __entry->level = level;
			   __entry->op = op;
			   __entry->limit = limit;
			   __entry->time = time;),
	    TP_printk("owner=%u claimant=%u peer=%llu resource=%s amount=%llu held=%llu quota_left=%llu user_left=%llu level=%s op=%s limit=%llu time=%llu",
		      __entry->owner, __entry->claimant, __entry->peer,
		      bus1_show_resource(__entry->resource), __entry->amount,
		      __entry->held, __entry->quota_left, __entry->user_left,
		      bus1_show_level(__entry->level),
		      bus1_show_op(__entry->op), __entry->limit, __entry->time)
);

/*
 * Command @cmd on @peer failed with @error (negative errno). @check says
 * which check refused and what @detail holds. RECV on an empty queue is not
 * reported. Only where @check is QUOTA the rest is not 0: @peer holds @held of
 * what user @owner may have pinned of @resource, and could hold @limit; @level
 * refused.
 */
TRACE_EVENT(op_fail,
	    TP_PROTO(u64 peer, u32 cmd, s32 error, u32 check, u64 detail,
		     u64 time, u32 owner, u32 level, u32 resource, u64 held,
		     u64 limit),
	    TP_ARGS(peer, cmd, error, check, detail, time, owner, level,
		    resource, held, limit),
	    TP_STRUCT__entry(__field(u64, peer)
			     __field(u32, cmd)
			     __field(s32, error)
			     __field(u32, check)
			     __field(u64, detail)
			     __field(u64, time)
			     __field(u32, owner)
			     __field(u32, level)
			     __field(u32, resource)
			     __field(u64, held)
			     __field(u64, limit)),
	    TP_fast_assign(__entry->peer = peer;
			   __entry->cmd = cmd;
			   __entry->error = error;
			   __entry->check = check;
			   __entry->detail = detail;
			   __entry->time = time;
			   __entry->owner = owner;
			   __entry->level = level;
			   __entry->resource = resource;
			   __entry->held = held;
			   __entry->limit = limit;),
	    TP_printk("peer=%llu cmd=%s error=%d check=%s detail=%llu time=%llu owner=%u level=%s resource=%s held=%llu limit=%llu",
		      __entry->peer, bus1_show_op(__entry->cmd), __entry->error,
		      bus1_show_check(__entry->check), __entry->detail,
		      __entry->time, __entry->owner,
		      bus1_show_level(__entry->level),
		      bus1_show_resource(__entry->resource), __entry->held,
		      __entry->limit)
);

#endif /* _BUS1_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
