// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the events of bus1-trace monitor
 *
 * One body for each event serves as tp_btf, where the module's BTF is there,
 * and as raw_tp, where it is not: the tool loads one of the two. Arguments are
 * scalars in either case. There is no CO-RE relocation and no read of kernel
 * memory in this file, so that raw_tp needs no BTF and passes a lockdown.
 *
 * For each event type: seen = put into the ring + filtered + ring_full +
 * map_full. The tool adds what it showed and checks the sum.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bus1_event.h"
#include "trace_abi.h"

char LICENSE[] SEC("license") = "GPL";

/* Constants: where a filter is off, the verifier removes its code. */
const volatile __u32 filter_pid;
const volatile __u64 filter_peer;
const volatile bool filter_uid;
const volatile __u32 filter_uid_value;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 23);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EV_MAX);
	__type(key, __u32);
	__type(value, struct bus1_count);
} counts SEC(".maps");

/* Peers that satisfy -p or -u; the tool adds those of before its start. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u32);
} matches SEC(".maps");

/*
 * By thread: the transaction of which it let a part through. Such a part may
 * also come after the commit (a NODE_RELEASE that waited for its handle), so
 * what is left here by threads long dead has to make room: LRU.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, __u64);
	__type(value, struct bus1_tx);
} parts SEC(".maps");

static __always_inline bool filtering(void)
{
	return filter_pid || filter_uid || filter_peer;
}

static __always_inline __u32 current_pid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline __u32 match_bits(__u64 peer)
{
	__u32 *bits = bpf_map_lookup_elem(&matches, &peer);

	return bits ? *bits : 0;
}

/* An account has an owner and a claimant, and neither need have a peer here. */
static __always_inline bool match_account(__u32 type, __u64 *arg, __u32 n)
{
	if (type == EV_acct_reject)
		return (__u32)arg[0] == filter_uid_value ||
		       (__u32)arg[1] == filter_uid_value;
	if (type == EV_op_fail && n > BUS1_OP_FAIL_1_0)
		return (__u32)arg[3] == BUS1_CHECK_QUOTA &&
		       (__u32)arg[6] == filter_uid_value;
	return false;
}

/* Each filter is satisfied by either side of the event, or by who acts. */
static __always_inline bool match(__u32 type, __u64 *arg, __u32 n, __u64 from,
				  __u64 to)
{
	__u32 bits = 0;

	if (filter_peer && from != filter_peer && to != filter_peer)
		return false;
	if (filter_pid || filter_uid) {
		bits = match_bits(from);
		if (to != from)
			bits |= match_bits(to);
	}
	if (filter_pid && !(bits & BUS1_MATCH_PID) &&
	    current_pid() != filter_pid)
		return false;
	if (filter_uid && !(bits & BUS1_MATCH_UID) &&
	    !match_account(type, arg, n))
		return false;
	return true;
}

/* Remember that @peer satisfies filters. False: the map is full. */
static __always_inline bool learn(__u64 peer, __u32 bits)
{
	if (!bits || (match_bits(peer) & bits) == bits)
		return true;
	bits |= match_bits(peer);
	return !bpf_map_update_elem(&matches, &peer, &bits, BPF_ANY);
}

static __always_inline bool learn_from(__u32 type, __u64 *arg)
{
	__u32 bits = 0;

	if (filter_pid && current_pid() == filter_pid) {
		if (type == EV_peer_new || type == EV_msg_recv ||
		    type == EV_notify_recv)
			bits |= BUS1_MATCH_PID;
		/* a CLOSE is run by whoever happens to drop the file last */
		if (type == EV_tx_commit && (__u32)arg[2] <= BUS1_TX_SEND)
			bits |= BUS1_MATCH_PID;
	}
	if (filter_uid && type == EV_peer_new &&
	    (__u32)arg[1] == filter_uid_value)
		bits |= BUS1_MATCH_UID;
	return learn(arg[0], bits);
}

/*
 * A transaction is shown if it, or a part of it, passes: one of its messages,
 * notifications or transferred handles, which the same thread reports before
 * the commit. False: the map is full.
 */
static __always_inline bool pass_tx(__u32 type, __u64 *arg, bool *pass)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct bus1_tx tx, *part;

	if (type == EV_tx_commit) {
		part = bpf_map_lookup_elem(&parts, &id);
		if (!part)
			return true;
		if (part->peer == arg[0] && part->tx == arg[1])
			*pass = true;
		bpf_map_delete_elem(&parts, &id);
		return true;
	}
	if (!*pass)
		return true;
	if (type == EV_msg_send || type == EV_notify_send) {
		tx.peer = arg[0];
		tx.tx = arg[1];
	} else if (type == EV_handle_new &&
		   (__u32)arg[4] != BUS1_HOW_MESSAGE) {
		tx.peer = arg[5];
		tx.tx = arg[6];
	} else {
		return true;
	}
	return !bpf_map_update_elem(&parts, &id, &tx, BPF_ANY);
}

static __always_inline int event(__u64 *arg, __u32 type, __u32 n, __u32 narrow,
				 __u32 from, __u32 to)
{
	__u32 key = type; /* type itself remains a constant */
	bool known = type == EV_peer_new || type == EV_peer_free;
	struct bus1_count *count;
	struct bus1_event *e;
	bool pass = true;
	__u64 id;
	__u32 i;

	count = bpf_map_lookup_elem(&counts, &key);
	if (!count)
		return 0;
	count->seen++;

	if (filtering()) {
		bool fits = learn_from(type, arg);

		pass = match(type, arg, n, arg[from], arg[to]);
		if (!pass_tx(type, arg, &pass) || !fits) {
			count->map_full++;
			return 0;
		}
		if (!pass) {
			count->filtered++;
			if (!known)
				return 0;
		}
	}

	e = bpf_ringbuf_reserve(&ring,
				__builtin_offsetof(struct bus1_event, arg) +
					n * sizeof(e->arg[0]),
				0);
	if (!e) {
		if (pass)
			count->ring_full++;
		return 0;
	}
	id = bpf_get_current_pid_tgid();
	e->type = type;
	e->flags = pass ? 0 : BUS1_EVENT_CONTEXT;
	e->pid = id >> 32;
	e->tid = id;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
#pragma unroll
	for (i = 0; i < BUS1_EVENT_ARGS; i++)
		if (i < n)
			e->arg[i] = narrow >> i & 1 ? (__u32)arg[i] : arg[i];

	/* the reader comes by itself every few ms: no wake-up to pay for */
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

#define X(name, n, time, narrow, from, to)                         \
	SEC("tp_btf/" #name)                                       \
	int name##_btf(__u64 *arg)                                 \
	{                                                          \
		return event(arg, EV_##name, n, narrow, from, to); \
	}                                                          \
	SEC("raw_tp/" #name)                                       \
	int name##_raw(__u64 *arg)                                 \
	{                                                          \
		return event(arg, EV_##name, n, narrow, from, to); \
	}
BUS1_EVENTS(X)
#undef X

/* Instead of op_fail where the module is of schema 1.0 */
SEC("tp_btf/op_fail")
int op_fail_btf_1_0(__u64 *arg)
{
	return event(arg, EV_op_fail, BUS1_OP_FAIL_1_0, 0x00e, 0, 0);
}

SEC("raw_tp/op_fail")
int op_fail_raw_1_0(__u64 *arg)
{
	return event(arg, EV_op_fail, BUS1_OP_FAIL_1_0, 0x00e, 0, 0);
}

/*
 * Only so that the module takes the time when a transaction begins; what
 * tx_begin says comes again with tx_commit.
 */
SEC("tp_btf/tx_begin")
int tx_begin_btf(void *ctx)
{
	return 0;
}

SEC("raw_tp/tx_begin")
int tx_begin_raw(void *ctx)
{
	return 0;
}
