// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: events, one by one
 *
 * One body for each event serves as tp_btf, where the module's BTF is there,
 * and as raw_tp, where it is not: the tool loads one of the two, of the events
 * that a verb needs. Arguments are scalars in either case. By raw_tp there is
 * no CO-RE relocation and no read of kernel memory, so that it needs no BTF and
 * passes a lockdown.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "bus1_filter.h"
#include "bus1_match.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* What else is wanted */
const volatile bool want_cgroup;
const volatile bool want_stack;
const volatile __u32 want_payload; /* bytes */
/* The module's trace schema is 1.minor. */
const volatile __u32 minor;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 23);
} ring SEC(".maps");

/* Without room there is none: the handle is then shown without it. */
static __always_inline void stack(void *ctx)
{
	struct bus1_stack *s = bpf_ringbuf_reserve(&ring, sizeof(*s), 0);
	__u64 id = bpf_get_current_pid_tgid();
	long size;

	if (!s)
		return;
	s->type = EV_STACK;
	s->pid = id >> 32;
	s->tid = id;
	size = bpf_get_stack(ctx, s->ip, sizeof(s->ip), BPF_F_USER_STACK);
	s->n = size > 0 ? size / sizeof(s->ip[0]) : 0;
	bpf_ringbuf_submit(s, BPF_RB_NO_WAKEUP);
}

/* What bpf_get_current_comm() does takes four times as long. */
static __always_inline void put_comm(struct bus1_event *e, bool btf)
{
	struct task_struct *task;

	if (!btf) {
		bpf_get_current_comm(e->comm, sizeof(e->comm));
		return;
	}
	task = bpf_get_current_task_btf();
	((__u64 *)e->comm)[0] = ((__u64 *)task->comm)[0];
	((__u64 *)e->comm)[1] = ((__u64 *)task->comm)[1];
}

static __always_inline int event(__u64 *arg, __u32 type, bool btf,
				 __u32 narrow, struct bus1_roles roles)
{
	PER_CPU *cpu = this_cpu();
	enum bus1_verdict verdict;
	struct bus1_count *count;
	struct bus1_event *e;
	__u64 id;
	__u32 i;

	roles.n = bus1_event_args(type, roles.n, minor);
	if (!cpu)
		return 0;
	count = count_event(cpu, arg, type, &roles, true, &verdict);
	if (!count)
		return 0;
	if (want_stack && type == EV_handle_new && verdict == FILTER_PASS)
		stack(arg);
	e = bpf_ringbuf_reserve(&ring,
				__builtin_offsetof(struct bus1_event, arg) +
					roles.n * sizeof(e->arg[0]),
				0);
	if (!e) {
		/* what tells about others is missed as well */
		if (verdict == FILTER_CONTEXT)
			count->filtered--;
		count->ring_full++;
		return 0;
	}
	id = bpf_get_current_pid_tgid();
	e->type = type;
	e->flags = verdict == FILTER_PASS ? 0 : BUS1_EVENT_CONTEXT;
	e->pid = id >> 32;
	e->tid = id;
	put_comm(e, btf);
	e->cgroup = want_cgroup ? bpf_get_current_cgroup_id() : 0;
#pragma unroll
	for (i = 0; i < BUS1_EVENT_ARGS; i++)
		if (i < roles.n)
			e->arg[i] = narrow >> i & 1 ? (__u32)arg[i] : arg[i];

	/* the reader comes by itself every few ms: no wake-up to pay for */
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

#define PROGRAM(section, function, type, btf, narrow, ...)                \
	SEC(section)                                                      \
	int function(__u64 *arg)                                          \
	{                                                                 \
		return event(arg, type, btf, narrow,                      \
			     (struct bus1_roles){ __VA_ARGS__ });         \
	}

#define X(name, n, time, narrow, ...)                                     \
	PROGRAM("tp_btf/" #name, name##_btf, EV_##name, true, narrow, n,  \
		time, __VA_ARGS__)                                        \
	PROGRAM("raw_tp/" #name, name##_raw, EV_##name, false, narrow, n, \
		time, __VA_ARGS__)
BUS1_EVENTS(X)
#undef X

/* As the module has them, as far as they are needed */
struct bus1_peer___module {
	u64 id;
} __attribute__((preserve_access_index));

struct bus1_item___module {
	struct bus1_peer___module *peer;
	u64 tx_peer;
	u64 tx;
	u8 type;
} __attribute__((preserve_access_index));

struct bus1_part___module {
	void *data;
} __attribute__((preserve_access_index));

struct bus1_payload___module {
	struct bus1_part___module parts[1];
} __attribute__((preserve_access_index));

/* of schema 1.3 and before */
struct bus1_payload___whole {
	u8 data[1];
} __attribute__((preserve_access_index));

struct bus1_msg___module {
	struct bus1_item___module item;
	u32 index;
	u32 n_handles;
	u64 node_id;
	size_t n_data;
	struct bus1_payload___module *payload;
	void *handles[1];
} __attribute__((preserve_access_index));

/* It is behind the handles, or in parts, of which the first is long enough. */
static __always_inline const void *
payload_data(struct bus1_msg___module *message)
{
	struct bus1_payload___module *payload = BPF_CORE_READ(message, payload);

	if (!payload)
		return (void *)message +
		       bpf_core_field_offset(struct bus1_msg___module,
					     handles) +
		       BPF_CORE_READ(message, n_handles) * sizeof(void *);
	if (!bpf_core_field_exists(payload->parts))
		return (void *)payload +
		       bpf_core_field_offset(struct bus1_payload___whole, data);
	return BPF_CORE_READ(payload, parts[0].data);
}

/* Where a message is at hand that is about to be sent: before its msg_send */
SEC("fentry/bus1_trace_send")
int payload(__u64 *ctx)
{
	struct bus1_item___module *item = (void *)ctx[0];
	const struct bus1_roles roles = { 5, NO, 0, 3, 3, 4 };
	__u64 arg[5] = {};
	struct bus1_msg___module *message;
	const void *data;
	struct bus1_bytes *b;
	size_t size;

	if (BPF_CORE_READ(item, type)) /* a notification */
		return 0;
	message = (void *)item -
		  bpf_core_field_offset(struct bus1_msg___module, item);
	size = BPF_CORE_READ(message, n_data);
	if (!size)
		return 0;
	data = payload_data(message);
	arg[0] = BPF_CORE_READ(item, tx_peer);
	arg[1] = BPF_CORE_READ(item, tx);
	arg[2] = BPF_CORE_READ(message, index);
	arg[3] = BPF_CORE_READ(item, peer, id);
	arg[4] = BPF_CORE_READ(message, node_id);
	if (filter_event(&filter, EV_msg_send, arg, &roles) > FILTER_CONTEXT)
		return 0;
	b = bpf_ringbuf_reserve(&ring, sizeof(*b), 0);
	if (!b)
		return 0;
	b->type = EV_PAYLOAD;
	b->peer = arg[0];
	b->tx = arg[1];
	b->index = arg[2];
	if (size > want_payload)
		size = want_payload;
	if (size > sizeof(b->data))
		size = sizeof(b->data);
	if (bpf_probe_read_kernel(b->data, size, data))
		size = 0;
	b->n = size;
	bpf_ringbuf_submit(b, BPF_RB_NO_WAKEUP);
	return 0;
}
