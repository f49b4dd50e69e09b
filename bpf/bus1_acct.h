/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_ACCT_H
#define _BUS1_ACCT_H

/*
 * DOC: what the BPF programs count for bus1-trace acct
 *
 * Shared by both sides, as bus1_event.h.
 */
enum bus1_acct_event {
	ACCT_CHARGE,
	ACCT_DISCHARGE,
	ACCT_REJECT,
	ACCT_MAX
};

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

#endif /* _BUS1_ACCT_H */
