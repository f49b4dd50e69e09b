/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_FILTER_H
#define _BUS1_FILTER_H

/*
 * DOC: which events are wanted
 *
 * The same code decides in the kernel, live, and in the tool, for a recording.
 * Each filter that is about a process or a user is satisfied by the task that
 * acts, by the peer that sends or by the one that receives; of several filters
 * all have to be satisfied. Which of them a peer satisfies is learned from
 * those who use it.
 *
 * Needs bool and __always_inline, and what is declared next.
 */
#include "bus1_event.h"
#include "trace_abi.h"

/* What the task that acts satisfies: BUS1_MATCH_* */
static __u32 filter_task_bits(void);
/* What is known of @peer */
static __u32 filter_peer_bits(__u64 peer);
/* Remember more of it; false: there is no room. */
static bool filter_learn(__u64 peer, __u32 bits);
/* The task let a part of that transaction pass; false: no room. */
static bool filter_part_add(__u64 peer, __u64 tx);
/* Whether it did, and forget it */
static bool filter_part_take(__u64 peer, __u64 tx);

static __always_inline __u32 filter_class(__u32 type, const __u64 *arg)
{
	switch (type) {
	case EV_tx_begin:
	case EV_tx_commit:
		if ((__u32)arg[2] == BUS1_TX_SEND)
			return BUS1_CLASS_MESSAGE;
		if ((__u32)arg[2] == BUS1_TX_TRANSFER)
			return BUS1_CLASS_HANDLE;
		return BUS1_CLASS_NOTIFICATION;
	case EV_msg_send:
	case EV_msg_recv:
	case EV_msg_discard:
		return BUS1_CLASS_MESSAGE;
	case EV_notify_send:
	case EV_notify_recv:
	case EV_notify_drop:
		return BUS1_CLASS_NOTIFICATION;
	case EV_handle_new:
	case EV_handle_release:
	case EV_handle_free:
		return BUS1_CLASS_HANDLE;
	case EV_node_new:
	case EV_node_release:
	case EV_node_free:
		return BUS1_CLASS_NODE;
	case EV_recv_wait:
		return BUS1_CLASS_WAIT;
	case EV_acct_charge:
	case EV_acct_discharge:
		return BUS1_CLASS_ACCOUNT;
	case EV_acct_reject:
		return BUS1_CLASS_ACCOUNT | BUS1_CLASS_FAILURE;
	case EV_op_fail:
		return BUS1_CLASS_FAILURE;
	default:
		return BUS1_CLASS_PEER;
	}
}

/* A part of a transaction, which the thread that runs it reports before its end */
static __always_inline bool filter_is_part(__u32 type, const __u64 *arg)
{
	return type == EV_msg_send || type == EV_notify_send ||
	       (type == EV_handle_new && (__u32)arg[4] != BUS1_HOW_MESSAGE);
}

/* Latency, class and failure: about the event itself */
static __always_inline bool filter_wants(const volatile struct bus1_filter *f,
					 __u32 type, const __u64 *arg)
{
	__u64 latency = 0;

	if (f->classes && !(f->classes & filter_class(type, arg)))
		return false;
	if (f->failures && type != EV_op_fail && type != EV_acct_reject &&
	    type != EV_msg_discard)
		return false;
	if (f->latency) {
		if (type == EV_tx_commit && arg[6])
			latency = arg[7] - arg[6];
		else if (type == EV_msg_recv || type == EV_notify_recv)
			latency = arg[8];
		return latency >= f->latency;
	}
	return true;
}

static __always_inline bool filter_learn_from(const volatile struct bus1_filter *f,
					      __u32 type, const __u64 *arg,
					      __u32 task)
{
	__u32 bits = 0;

	/* a CLOSE is run by whoever happens to drop the file last */
	if (type == EV_peer_new || type == EV_msg_recv ||
	    type == EV_notify_recv || type == EV_recv_wait ||
	    (type == EV_tx_commit && (__u32)arg[2] <= BUS1_TX_SEND))
		bits = task;
	if (f->bits & BUS1_MATCH_UID && type == EV_peer_new &&
	    (__u32)arg[1] == f->uid)
		bits |= BUS1_MATCH_UID;
	return !bits || filter_learn(arg[0], bits);
}

/* An account has an owner and a claimant, and neither need have a peer here. */
static __always_inline bool filter_account(const volatile struct bus1_filter *f,
					   __u32 type, const __u64 *arg,
					   __u32 n)
{
	if (type == EV_acct_charge || type == EV_acct_discharge ||
	    type == EV_acct_reject)
		return (__u32)arg[0] == f->uid || (__u32)arg[1] == f->uid;
	if (type == EV_op_fail && n > 6)
		return (__u32)arg[3] == BUS1_CHECK_QUOTA &&
		       (__u32)arg[6] == f->uid;
	return false;
}

/* Whom it is about. False in @room: something cannot be remembered. */
static __always_inline bool filter_about(const volatile struct bus1_filter *f,
					 __u32 type, const __u64 *arg,
					 const struct bus1_roles *r, bool *room)
{
	__u32 bits, task;
	bool pass = true;

	if (f->bits) {
		task = filter_task_bits();
		*room = filter_learn_from(f, type, arg, task);
		bits = task | filter_peer_bits(arg[r->from]);
		if (r->to != r->from)
			bits |= filter_peer_bits(arg[r->to]);
		if (f->bits & BUS1_MATCH_UID &&
		    filter_account(f, type, arg, r->n))
			bits |= BUS1_MATCH_UID;
		pass = (bits & f->bits) == f->bits;
	}
	if (f->peer && arg[r->from] != f->peer && arg[r->to] != f->peer)
		pass = false;
	if (f->node &&
	    (r->node == NO || arg[r->node] != f->node ||
	     arg[r->node_peer] != f->node_peer))
		pass = false;
	if (!f->bits && !f->peer && !f->node)
		return true;

	/* A transaction passes by itself, or by a part of it. */
	if (type == EV_tx_commit)
		pass |= filter_part_take(arg[0], arg[1]);
	else if (pass && type == EV_handle_new && filter_is_part(type, arg))
		*room &= filter_part_add(arg[5], arg[6]);
	else if (pass && filter_is_part(type, arg))
		*room &= filter_part_add(arg[0], arg[1]);
	return pass;
}

static __always_inline enum bus1_verdict
filter_event(const volatile struct bus1_filter *f, __u32 type, const __u64 *arg,
	     const struct bus1_roles *r)
{
	bool room = true, pass, wanted;

	/* the verifier leaves what is read of it, even if nothing depends on it */
	if (!f->any)
		return FILTER_PASS;
	pass = filter_about(f, type, arg, r, &room);
	if (!room)
		return FILTER_FULL;
	wanted = pass && filter_wants(f, type, arg);
	if (wanted)
		return FILTER_PASS;
	if (type == EV_peer_new || type == EV_peer_name ||
	    type == EV_peer_free || (pass && filter_is_part(type, arg)))
		return FILTER_CONTEXT;
	return FILTER_NO;
}

#endif /* _BUS1_FILTER_H */
