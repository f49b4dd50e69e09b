/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_ACCT_H
#define _BUS1_ACCT_H

/*
 * DOC: what the BPF programs count for bus1-trace acct
 *
 * Shared by both sides, as bus1_event.h; from a recording the tool counts the
 * same.
 */
#include "bus1_event.h"
#include "trace_abi.h"

/* What @peer of user @claimant does with what user @owner may have pinned */
struct bus1_flow_key {
	__u32 owner;
	__u32 claimant;
	__u64 peer;
	__u32 resource;
	__u32 zero;
};

struct bus1_flow {
	__u64 charged; /* amounts */
	__u64 discharged;
	__u64 charges; /* events */
	__u64 discharges;
	__u64 held; /* after the last of them */
	__u32 pid; /* who charged first, 0 is nobody */
	__u32 zero;
	char comm[16];
};

/*
 * Whose claim was refused. A process chooses its name, as often as it likes, so
 * that is no part of the key: it could fill the map with it. It can fill it by
 * processes and peers, too: then the others are counted without those.
 */
#define ACCT_OTHERS 1024

struct bus1_refusal_key {
	__u32 owner;
	__u32 claimant;
	__u64 peer; /* 0 is one that could not be opened, or others */
	__u32 resource;
	__u32 level;
	__u32 op;
	__u32 pid; /* 0 is others */
};

struct bus1_refusal {
	__u64 count;
	__u64 amount; /* of the last, as all that follow */
	__u64 held;
	__u64 limit;
	char comm[16];
};

static __always_inline void bus1_flow_key_of(const __u64 *arg,
					     struct bus1_flow_key *key)
{
	key->owner = arg[0];
	key->claimant = arg[1];
	key->peer = arg[2];
	key->resource = arg[3];
	key->zero = 0;
}

static __always_inline void bus1_flow_add(struct bus1_flow *flow, __u32 type,
					  const __u64 *arg)
{
	flow->held = arg[5];
	if (type == EV_acct_charge) {
		flow->charges++;
		flow->charged += arg[4];
	} else {
		flow->discharges++;
		flow->discharged += arg[4];
	}
}

/* Each open() that is refused has a peer ID of its own, which nobody will use. */
static __always_inline void bus1_refusal_key_of(const __u64 *arg, __u32 pid,
						struct bus1_refusal_key *key)
{
	key->owner = arg[0];
	key->claimant = arg[1];
	key->peer = (__u32)arg[9] == BUS1_OP_OPEN ? 0 : arg[2];
	key->resource = arg[3];
	key->level = arg[8];
	key->op = arg[9];
	key->pid = pid;
}

static __always_inline void bus1_refusal_add(struct bus1_refusal *sum,
					     const __u64 *arg)
{
	sum->count++;
	sum->amount = arg[4];
	sum->held = arg[5];
	sum->limit = arg[10];
}

#endif /* _BUS1_ACCT_H */
