/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_MATCH_BPF_H
#define _BUS1_MATCH_BPF_H

/*
 * DOC: the filter in the kernel
 *
 * What every object of BPF programs has that filters and counts: the filter as
 * constants, of which the verifier removes what is off, and what it remembers.
 * For each event type: seen = what the program did with it + filtered +
 * ring_full + map_full.
 */
#include <bpf/bpf_helpers.h>
#include "bus1_event.h"

const volatile struct bus1_filter filter;

/* What each CPU has to itself; begins with its counts. */
#ifndef PER_CPU
#define PER_CPU struct bus1_counts
#endif

/*
 * By CPU. No BPF_MAP_TYPE_PERCPU_ARRAY: that takes a call to look into, and a
 * system call to read.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, PER_CPU);
} cpus SEC(".maps");

/* Programs of bus1's events neither interrupt one another nor change the CPU. */
static __always_inline PER_CPU *this_cpu(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&cpus, &cpu);
}

/* What is known of peers; the tool adds those of before its start. */
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

/* The control group of the filter, which the tool opens */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} cgroups SEC(".maps");

static __always_inline __u32 filter_task_bits(void)
{
	__u64 comm[2] = {};
	__u32 bits = 0;

	if (filter.bits & BUS1_MATCH_PID &&
	    bpf_get_current_pid_tgid() >> 32 == filter.pid)
		bits |= BUS1_MATCH_PID;
	if (filter.bits & BUS1_MATCH_COMM) {
		bpf_get_current_comm(comm, sizeof(comm));
		if (comm[0] == filter.comm[0] && comm[1] == filter.comm[1])
			bits |= BUS1_MATCH_COMM;
	}
	if (filter.bits & BUS1_MATCH_CGROUP &&
	    bpf_current_task_under_cgroup(&cgroups, 0) == 1)
		bits |= BUS1_MATCH_CGROUP;
	return bits;
}

static __always_inline __u32 filter_peer_bits(__u64 peer)
{
	__u32 *bits = bpf_map_lookup_elem(&matches, &peer);

	return bits ? *bits : 0;
}

static __always_inline bool filter_learn(__u64 peer, __u32 bits)
{
	__u32 known = filter_peer_bits(peer);

	if ((known & bits) == bits)
		return true;
	bits |= known;
	return !bpf_map_update_elem(&matches, &peer, &bits, BPF_ANY);
}

static __always_inline bool filter_part_add(__u64 peer, __u64 tx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct bus1_tx part = { .peer = peer, .tx = tx };

	return !bpf_map_update_elem(&parts, &id, &part, BPF_ANY);
}

static __always_inline bool filter_part_take(__u64 peer, __u64 tx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct bus1_tx *part = bpf_map_lookup_elem(&parts, &id);
	bool is;

	if (!part)
		return false;
	is = part->peer == peer && part->tx == tx;
	bpf_map_delete_elem(&parts, &id);
	return is;
}

/* NULL: it is counted as what it is, and there is no more to do with it. */
static __always_inline struct bus1_count *
count_event(PER_CPU *cpu, const __u64 *arg, __u32 type,
	    const struct bus1_roles *roles, bool context,
	    enum bus1_verdict *verdict)
{
	struct bus1_count *count = &((struct bus1_counts *)cpu)->of[type];

	count->seen++;
	*verdict = filter_event(&filter, type, arg, roles);
	if (*verdict == FILTER_PASS)
		return count;
	if (*verdict == FILTER_FULL) {
		count->map_full++;
		return NULL;
	}
	count->filtered++;
	return context && *verdict == FILTER_CONTEXT ? count : NULL;
}

#endif /* _BUS1_MATCH_BPF_H */
