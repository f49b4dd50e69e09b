// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: acct-sums
 *
 * What was charged, given back and refused in an interval: counted by
 * bus1_acct.bpf.c, or here, from a recording.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "acct.h"
#include "options.h"
#include "turn.h"
#include "bus1_acct.skel.h"

uint64_t acct_shown[EV_MAX];

static struct bus1_acct *skel;
static struct turned turned_flows, turned_refusals, turned_others;
static struct table flows, refusals;

struct bpf_object *acct_open(void)
{
	int error;

	skel = bus1_acct__open();
	if (!skel)
		return NULL;
	memcpy((void *)&skel->rodata->filter, &filter, sizeof(filter));
	error = turned_make(&turned_flows, skel->obj, "flows",
			    options.entries);
	if (!error)
		error = turned_make(&turned_refusals, skel->obj, "refusals",
				    options.entries);
	if (!error)
		error = turned_make(&turned_others, skel->obj, "others",
				    ACCT_OTHERS);
	if (!error)
		return skel->obj;
	acct_close();
	errno = -error;
	return NULL;
}

void acct_close(void)
{
	bus1_acct__destroy(skel);
	skel = NULL;
}

int acct_turn(void)
{
	int error = turned_turn(&turned_flows);

	if (!error)
		error = turned_turn(&turned_refusals);
	return error ? error : turned_turn(&turned_others);
}

static void *new_entry(size_t size)
{
	void *entry = calloc(1, size);

	if (!entry) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	return entry;
}

#define FLOW(e) ((struct flow *)((char *)(e) - offsetof(struct flow, entry)))
#define REFUSAL(e) \
	((struct refusal *)((char *)(e) - offsetof(struct refusal, entry)))

static struct flow *get_flow(const struct bus1_flow_key *key)
{
	uint64_t users = (uint64_t)key->owner << 32 | key->claimant;
	uint64_t hash = table_hash(users, key->peer, key->resource);
	struct table_entry *e = table_first(&flows, hash);
	struct flow *flow;

	while (e && acct_by_flow_key(&FLOW(e)->key, key))
		e = table_next(e);
	if (e)
		return FLOW(e);
	flow = new_entry(sizeof(*flow));
	flow->key = *key;
	table_add(&flows, &flow->entry, hash);
	return flow;
}

static struct refusal *get_refusal(const struct bus1_refusal_key *key)
{
	const struct refusal wanted = { .key = *key };
	uint64_t users = (uint64_t)key->owner << 32 | key->claimant;
	uint64_t hash = table_hash(users, key->peer,
				   (uint64_t)key->pid << 32 | key->op);
	struct table_entry *e = table_first(&refusals, hash);
	struct refusal *refusal;

	while (e && acct_by_refusal_key(REFUSAL(e), &wanted))
		e = table_next(e);
	if (e)
		return REFUSAL(e);
	refusal = new_entry(sizeof(*refusal));
	refusal->key = *key;
	table_add(&refusals, &refusal->entry, hash);
	return refusal;
}

static void take_flow(const void *key, const void *value, size_t n)
{
	struct flow *flow = get_flow(key);

	(void)n;
	flow->sum = *(const struct bus1_flow *)value;
	acct_shown[EV_acct_charge] += flow->sum.charges;
	acct_shown[EV_acct_discharge] += flow->sum.discharges;
}

static void take_refusal(const void *key, const void *value, size_t n)
{
	struct refusal *refusal = get_refusal(key);

	(void)n;
	refusal->sum = *(const struct bus1_refusal *)value;
	acct_shown[EV_acct_reject] += refusal->sum.count;
}

int acct_read(void)
{
	int error = turned_take(&turned_flows, take_flow);

	if (!error)
		error = turned_take(&turned_refusals, take_refusal);
	return error ? error : turned_take(&turned_others, take_refusal);
}

void acct_sums_event(const struct bus1_event *e)
{
	struct bus1_refusal_key refusal_key;
	struct bus1_flow_key flow_key;
	struct refusal *refusal;
	struct flow *flow;

	switch (e->type) {
	case EV_acct_charge:
	case EV_acct_discharge:
		bus1_flow_key_of(e->arg, &flow_key);
		flow = get_flow(&flow_key);
		bus1_flow_add(&flow->sum, e->type, e->arg);
		if (e->type == EV_acct_discharge || flow->sum.pid)
			break;
		flow->sum.pid = e->pid;
		memcpy(flow->sum.comm, e->comm, sizeof(e->comm));
		break;
	case EV_acct_reject:
		bus1_refusal_key_of(e->arg, e->pid, &refusal_key);
		refusal = get_refusal(&refusal_key);
		bus1_refusal_add(&refusal->sum, e->arg);
		memcpy(refusal->sum.comm, e->comm, sizeof(e->comm));
		break;
	}
}

static void list_flow(struct table_entry *entry, void *next)
{
	*(*(struct flow ***)next)++ = FLOW(entry);
}

size_t acct_flows(struct flow ***list)
{
	struct flow **next = new_entry((flows.n + 1) * sizeof(*next));

	*list = next;
	table_each(&flows, list_flow, &next);
	return flows.n;
}

static void list_refusal(struct table_entry *entry, void *next)
{
	*(*(struct refusal **)next)++ = *REFUSAL(entry);
}

size_t acct_refusals(struct refusal **list)
{
	struct refusal *next = new_entry((refusals.n + 1) * sizeof(*next));

	*list = next;
	table_each(&refusals, list_refusal, &next);
	return refusals.n;
}

static void forget_flow(struct table_entry *entry, void *context)
{
	(void)context;
	table_remove(&flows, entry);
	free(FLOW(entry));
}

static void forget_refusal(struct table_entry *entry, void *context)
{
	(void)context;
	table_remove(&refusals, entry);
	free(REFUSAL(entry));
}

void acct_sums_forget(void)
{
	table_each(&flows, forget_flow, NULL);
	table_each(&refusals, forget_refusal, NULL);
}
