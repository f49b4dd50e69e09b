// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: sums of events
 *
 * For verbs that show how much there was of what: no event is handed over. Each
 * CPU has its own sums, so that none waits for another.
 *
 * tp_btf and raw_tp as in bus1_trace.bpf.c.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bus1_filter.h"
#include "bus1_sums.h"
#define PER_CPU struct bus1_cpu
#include "bus1_match.bpf.h"
#include "bus1_turn.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * Constants, of which the verifier removes what depends on them, but not their
 * reading: each is read once. enum bus1_sum_what; whose times, enum bus1_by
 */
const volatile __u32 want, by;
/* The module's trace schema is 1.minor. */
const volatile __u32 minor;

/* Memory is taken entry by entry: each has as many values as there are CPUs. */
#define SUMS(name, key, value) \
	TURNED(name, BPF_MAP_TYPE_PERCPU_HASH, BPF_F_NO_PREALLOC, key, value)

SUMS(peers, __u64, struct bus1_peer_sum);
SUMS(pairs, struct bus1_pair_key, struct bus1_pair_sum);
SUMS(slots, struct bus1_slot_key, struct bus1_slot_sum);
TURNED(names, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, __u64, struct bus1_who);

/* What of the front is used; and which turn it is, as of the maps */
const volatile __u32 front_mask;
volatile __u32 turn;

static const struct bus1_peer_sum empty_peer;
static const struct bus1_pair_sum empty_pair;
static const struct bus1_slot_sum empty_slot;
static const struct bus1_who empty_who;

/* Whether it is the peer arg[0] on which the current process acts */
static __always_inline bool is_own(__u32 type, const __u64 *arg)
{
	switch (type) {
	case EV_tx_commit:
		/* closing and dropping are done by whoever comes last */
		return (__u32)arg[2] <= BUS1_TX_SEND;
	case EV_peer_new:
	case EV_peer_name:
	case EV_msg_send:
	case EV_msg_recv:
	case EV_notify_recv:
	case EV_op_fail:
		return true;
	default:
		return false;
	}
}

/* Without room it remains without a name. */
static __noinline void name(__u32 type, const __u64 *arg)
{
	__u64 peer = arg[0];
	struct bus1_who *who = turned_entry(&names, &peer, &empty_who);

	if (!who)
		return;
	who->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(who->comm, sizeof(who->comm));
	if (type == EV_peer_new) {
		who->uid = arg[1];
		who->has_uid = 1;
	} else if (type == EV_peer_name) {
		who->name[0] = arg[1];
		who->name[1] = arg[2];
		who->name[2] = arg[3];
		who->name[3] = arg[4];
		who->has_name = 1;
	}
}

/* The entry in the map. Not inlined, so that nothing is prepared for it. */
static __noinline void *entry_behind(__u64 peer, __u64 other, __u64 rest)
{
	struct bus1_pair_key pair = { .from = peer, .to = other };
	struct bus1_slot_key slot = {
		.peer = peer,
		.node = other,
		.time = rest >> 32,
		.slot = rest,
	};

	switch (want) {
	case BUS1_SUM_PEERS:
		return turned_entry(&peers, &peer, &empty_peer);
	case BUS1_SUM_PAIRS:
		return turned_entry(&pairs, &pair, &empty_pair);
	case BUS1_SUM_TIMES:
		return turned_entry(&slots, &slot, &empty_slot);
	}
	return NULL;
}

/* The entry in front, unless something else has it */
static __always_inline void *sum_entry(struct bus1_cpu *cpu, __u64 hash,
				       __u64 peer, __u64 other, __u64 rest)
{
	struct bus1_front *entry = &cpu->front[turn & 1][hash & front_mask];

	barrier_var(entry); /* found once */
	if (entry->peer != peer + 1 || entry->other != other ||
	    entry->rest != rest) {
		if (entry->peer)
			return entry_behind(peer, other, rest);
		entry->peer = peer + 1;
		entry->other = other;
		entry->rest = rest;
	}
	return &entry->events;
}

static __always_inline bool add_peer(struct bus1_cpu *cpu, __u32 type,
				     const __u64 *arg)
{
	__u64 peer = bus1_sum_peer(type, arg);
	struct bus1_peer_sum *sum = sum_entry(cpu, peer, peer, 0, 0);

	if (!sum)
		return false;
	bus1_sum_add(sum, type, arg);
	if (is_own(type, arg) && !sum->named) {
		sum->named = 1;
		name(type, arg);
	}
	return true;
}

static __always_inline bool add_pair(struct bus1_cpu *cpu, const __u64 *arg)
{
	struct bus1_pair_sum *sum = sum_entry(cpu, arg[0] * 31 + arg[3],
					      arg[0], arg[3], 0);

	if (!sum)
		return false;
	sum->messages++;
	sum->bytes += arg[5];
	return true;
}

static __always_inline bool add_time(struct bus1_cpu *cpu, __u32 type,
				     const __u64 *arg)
{
	struct bus1_slot_sum *sum;
	struct bus1_slot_key key;
	const __u32 whose = by;
	__u64 time;

	bus1_time_of(type, arg, whose >= BUS1_BY_PEER, whose == BUS1_BY_NODE,
		     &key, &time);
	sum = sum_entry(cpu,
			key.time * (BUS1_SLOTS + 1) + key.slot + key.peer * 67 +
				key.node * 31,
			key.peer, key.node, (__u64)key.time << 32 | key.slot);
	if (!sum)
		return false;
	if (whose && !sum->count && is_own(type, arg))
		name(type, arg);
	sum->count++;
	sum->sum += time;
	if (time > sum->max)
		sum->max = time;
	return true;
}

static __always_inline bool add(struct bus1_cpu *cpu, __u32 what, __u32 type,
				const __u64 *arg)
{
	switch (what) {
	case BUS1_SUM_PEERS:
		return add_peer(cpu, type, arg);
	case BUS1_SUM_PAIRS:
		return add_pair(cpu, arg);
	case BUS1_SUM_TIMES:
		return add_time(cpu, type, arg);
	}
	return false;
}

static __always_inline int event(__u64 *arg, __u32 type,
				 struct bus1_roles roles)
{
	enum bus1_verdict verdict = FILTER_NO;
	const __u32 what = want;
	struct bus1_count *count;
	struct bus1_cpu *cpu;

	if (type == EV_op_fail) /* the filter looks at its last ones */
		roles.n = bus1_event_args(type, roles.n, minor);
	if (type == EV_peer_new || type == EV_peer_name)
		name(type, arg);
	/* others only tell the filter, or the tool, who is who */
	if (!(bus1_sum_events(what) & BUS1_EVENT_BIT(type))) {
		learn_event(arg, type, &roles);
		return 0;
	}
	cpu = this_cpu();
	if (!cpu)
		return 0;
	count = count_event(cpu, arg, type, &roles, false, &verdict);
	if (count && !add(cpu, what, type, arg))
		count->map_full++;
	return 0;
}

/* narrow: whoever reads such an argument casts it */
#define X(name, n, time, narrow, ...)                                  \
	PROGRAM("tp_btf/" #name, name##_btf, EV_##name, n, time, __VA_ARGS__) \
	PROGRAM("raw_tp/" #name, name##_raw, EV_##name, n, time, __VA_ARGS__)
BUS1_EVENTS(X)
#undef X
