// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the sums of bus1-trace acct
 *
 * Charges and refusals are added up here by who claims what from whom; no event
 * is handed over.
 *
 * The module reports all that concerns one owner's account under one lock, so
 * no two CPUs write one entry at the same time.
 *
 * tp_btf and raw_tp as in bus1_trace.bpf.c.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bus1_filter.h"
#include "bus1_match.bpf.h"
#include "bus1_acct.h"
#include "bus1_turn.bpf.h"
#include "trace_abi.h"

char LICENSE[] SEC("license") = "GPL";

#define SUMS(name, key, value) TURNED(name, BPF_MAP_TYPE_HASH, 0, key, value)

SUMS(flows, struct bus1_flow_key, struct bus1_flow);
SUMS(refusals, struct bus1_refusal_key, struct bus1_refusal);
/* Where there is no room above: without peer and process, who can be many. */
SUMS(others, struct bus1_refusal_key, struct bus1_refusal);

static __always_inline __u32 current_pid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline bool add_flow(__u32 type, const __u64 *arg)
{
	struct bus1_flow empty = {};
	struct bus1_flow_key key;
	struct bus1_flow *sum;

	bus1_flow_key_of(arg, &key);
	sum = turned_entry(&flows, &key, &empty);
	if (!sum)
		return false;
	bus1_flow_add(sum, type, arg);
	if (type == EV_acct_charge && !sum->pid) {
		sum->pid = current_pid();
		bpf_get_current_comm(sum->comm, sizeof(sum->comm));
	}
	return true;
}

static __always_inline bool add_refusal(const __u64 *arg)
{
	struct bus1_refusal empty = {};
	struct bus1_refusal_key key;
	struct bus1_refusal *sum;

	bus1_refusal_key_of(arg, current_pid(), &key);
	sum = turned_entry(&refusals, &key, &empty);
	if (!sum) {
		key.peer = 0;
		key.pid = 0;
		sum = turned_entry(&others, &key, &empty);
	}
	if (!sum)
		return false;
	bus1_refusal_add(sum, arg);
	bpf_get_current_comm(sum->comm, sizeof(sum->comm));
	return true;
}

static __always_inline int event(__u64 *arg, __u32 type,
				 const struct bus1_roles roles)
{
	enum bus1_verdict verdict = FILTER_NO;
	struct bus1_count *count;
	PER_CPU *cpu;
	bool added;

	if (type != EV_acct_charge && type != EV_acct_discharge &&
	    type != EV_acct_reject) {
		learn_event(arg, type, &roles);
		return 0;
	}
	cpu = this_cpu();
	if (!cpu)
		return 0;
	count = count_event(cpu, arg, type, &roles, false, &verdict);
	if (!count)
		return 0;
	added = type == EV_acct_reject ? add_refusal(arg) :
					 add_flow(type, arg);
	if (!added)
		count->map_full++;
	return 0;
}

#define X(name, n, time, narrow, ...)                                  \
	PROGRAM("tp_btf/" #name, name##_btf, EV_##name, n, time, __VA_ARGS__) \
	PROGRAM("raw_tp/" #name, name##_raw, EV_##name, n, time, __VA_ARGS__)
BUS1_EVENTS(X)
#undef X
