// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the sums of bus1-trace acct
 *
 * Charges and refusals are added up here by who claims what from whom; no event
 * is handed over. The tool puts an empty map in the place of the one that is
 * counted into, which waits for the programs that still use it, and then reads
 * that at leisure: nothing is counted twice or falls between two readings.
 *
 * The module reports all that concerns one owner's account under one lock, so
 * no two CPUs write one entry at the same time.
 *
 * tp_btf, raw_tp and the counts as in bus1_trace.bpf.c.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bus1_event.h"
#include "bus1_acct.h"
#include "trace_abi.h"

char LICENSE[] SEC("license") = "GPL";

/* Constants: where a filter is off, the verifier removes its code. */
const volatile __u32 filter_pid;
const volatile __u64 filter_peer;
const volatile bool filter_uid;
const volatile __u32 filter_uid_value;

struct flow_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct bus1_flow_key);
	__type(value, struct bus1_flow);
} flows_0 SEC(".maps"), flows_1 SEC(".maps");

struct refusal_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct bus1_refusal_key);
	__type(value, struct bus1_refusal);
} refusals_0 SEC(".maps"), refusals_1 SEC(".maps"), others_0 SEC(".maps"),
	others_1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct flow_map);
} flows SEC(".maps") = { .values = { &flows_0 } };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct refusal_map);
} refusals SEC(".maps") = { .values = { &refusals_0 } };

/* Where there is no room above: without peer and process, who can be many. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct refusal_map);
} others SEC(".maps") = { .values = { &others_0 } };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ACCT_MAX);
	__type(key, __u32);
	__type(value, struct bus1_count);
} counts SEC(".maps");

/* Peers that satisfy -p; the tool adds those of before its start. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u32);
} matches SEC(".maps");

static __always_inline __u32 current_pid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

/*
 * Who charges, or is refused, uses the peer that claims, and so has it; a
 * discharge may be anybody's. A peer of ID 0 has not come to be. False: the map
 * is full.
 */
static __always_inline bool match_pid(__u32 type, __u64 peer, bool *pass)
{
	__u32 *known, bits = BUS1_MATCH_PID;

	if (!filter_pid)
		return true;
	known = bpf_map_lookup_elem(&matches, &peer);
	if (known && *known & BUS1_MATCH_PID)
		return true;
	if (type == ACCT_DISCHARGE || current_pid() != filter_pid) {
		*pass = false;
		return true;
	}
	if (!peer)
		return true;
	return !bpf_map_update_elem(&matches, &peer, &bits, BPF_ANY);
}

/* Whether @arg of @peer is to be counted; if not, says in @count why. */
static __always_inline bool wanted(__u32 type, __u64 *arg, __u64 peer,
				   struct bus1_count *count)
{
	bool pass = true;

	if (filter_uid && (__u32)arg[0] != filter_uid_value &&
	    (__u32)arg[1] != filter_uid_value)
		pass = false;
	if (filter_peer && peer != filter_peer)
		pass = false;
	if (pass && !match_pid(type, peer, &pass)) {
		count->map_full++;
		return false;
	}
	if (!pass)
		count->filtered++;
	return pass;
}

/*
 * The entry of @key, made if need be. It cannot come into being meanwhile: see
 * the lock above.
 */
static __always_inline void *entry(void *outer, const void *key,
				   const void *empty)
{
	__u32 zero = 0;
	void *map, *value;

	map = bpf_map_lookup_elem(outer, &zero);
	if (!map)
		return NULL;
	value = bpf_map_lookup_elem(map, key);
	if (value)
		return value;
	if (bpf_map_update_elem(map, key, empty, BPF_NOEXIST))
		return NULL;
	return bpf_map_lookup_elem(map, key);
}

static __always_inline int flow(__u64 *arg, __u32 type)
{
	struct bus1_flow empty = {};
	struct bus1_flow_key key = {
		.owner = arg[0],
		.claimant = arg[1],
		.peer = arg[2],
		.resource = arg[3],
	};
	struct bus1_count *count;
	struct bus1_flow *sum;
	__u32 which = type; /* type itself remains a constant */

	count = bpf_map_lookup_elem(&counts, &which);
	if (!count)
		return 0;
	count->seen++;
	if (!wanted(type, arg, key.peer, count))
		return 0;
	sum = entry(&flows, &key, &empty);
	if (!sum) {
		count->map_full++;
		return 0;
	}
	sum->held = arg[5];
	if (type == ACCT_DISCHARGE) {
		sum->discharges++;
		sum->discharged += arg[4];
		return 0;
	}
	sum->charges++;
	sum->charged += arg[4];
	if (!sum->pid) {
		sum->pid = current_pid();
		bpf_get_current_comm(sum->comm, sizeof(sum->comm));
	}
	return 0;
}

/* Each open() that is refused has a peer ID of its own, which nobody will use. */
static __always_inline int refusal(__u64 *arg)
{
	struct bus1_refusal empty = {};
	struct bus1_refusal_key key = {
		.owner = arg[0],
		.claimant = arg[1],
		.peer = (__u32)arg[9] == BUS1_OP_OPEN ? 0 : arg[2],
		.resource = arg[3],
		.level = arg[8],
		.op = arg[9],
		.pid = current_pid(),
	};
	__u32 which = ACCT_REJECT;
	struct bus1_refusal *sum;
	struct bus1_count *count;

	count = bpf_map_lookup_elem(&counts, &which);
	if (!count)
		return 0;
	count->seen++;
	if (!wanted(ACCT_REJECT, arg, key.peer, count))
		return 0;
	sum = entry(&refusals, &key, &empty);
	if (!sum) {
		key.peer = 0;
		key.pid = 0;
		sum = entry(&others, &key, &empty);
	}
	if (!sum) {
		count->map_full++;
		return 0;
	}
	sum->count++;
	sum->amount = arg[4];
	sum->held = arg[5];
	sum->limit = arg[10];
	bpf_get_current_comm(sum->comm, sizeof(sum->comm));
	return 0;
}

SEC("tp_btf/acct_charge")
int acct_charge_btf(__u64 *arg)
{
	return flow(arg, ACCT_CHARGE);
}

SEC("raw_tp/acct_charge")
int acct_charge_raw(__u64 *arg)
{
	return flow(arg, ACCT_CHARGE);
}

SEC("tp_btf/acct_discharge")
int acct_discharge_btf(__u64 *arg)
{
	return flow(arg, ACCT_DISCHARGE);
}

SEC("raw_tp/acct_discharge")
int acct_discharge_raw(__u64 *arg)
{
	return flow(arg, ACCT_DISCHARGE);
}

SEC("tp_btf/acct_reject")
int acct_reject_btf(__u64 *arg)
{
	return refusal(arg);
}

SEC("raw_tp/acct_reject")
int acct_reject_raw(__u64 *arg)
{
	return refusal(arg);
}
