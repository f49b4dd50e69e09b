// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: sums
 *
 * See sums.h. Who is behind peers comes from the kernel beside the sums, so that
 * those have a name that were gone before anybody looked.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "options.h"
#include "sums.h"
#include "turn.h"
#include "bus1_sums.skel.h"

/* Entries that a peer's times may need, more or less */
#define SLOTS_OF_PEER 16

uint64_t sums_shown[EV_MAX];

static struct bus1_sums *skel;
static struct turned turned, names;
static enum bus1_sum_what what;
static struct table table;
static struct bus1_cpu *cpus; /* mapped when they are read first */
static uint32_t front_used; /* entries of each */
static uint32_t turn; /* as the programs have it */

static size_t cpus_size(void)
{
	return bpf_map__max_entries(skel->maps.cpus) * sizeof(*cpus);
}

struct bpf_object *sums_open(const struct sums_want *want)
{
	static const char *const map[] = { "peers", "pairs", "slots" };
	uint32_t n = options.entries;
	int error;

	skel = bus1_sums__open();
	if (!skel)
		return NULL;
	what = want->what;
	memcpy((void *)&skel->rodata->filter, &filter, sizeof(filter));
	skel->rodata->want = what;
	skel->rodata->minor = module_minor();
	skel->rodata->by = want->by_node ? BUS1_BY_NODE :
			   want->by_peer ? BUS1_BY_PEER : BUS1_BY_ALL;
	for (front_used = BUS1_FRONT; front_used > options.entries;)
		front_used /= 2;
	skel->rodata->front_mask = front_used - 1;
	if (want->by_peer)
		n *= SLOTS_OF_PEER;
	error = turned_make(&turned, skel->obj, map[what], n);
	if (!error)
		error = turned_make(&names, skel->obj, "names",
				    options.entries);
	if (!error)
		return skel->obj;
	sums_close();
	errno = -error;
	return NULL;
}

void sums_close(void)
{
	if (cpus)
		munmap(cpus, cpus_size());
	cpus = NULL;
	turn = 0;
	bus1_sums__destroy(skel);
	skel = NULL;
}

int sums_turn(void)
{
	uint32_t zero = 0;
	int error;

	/* the turn of the map waits for who still counts into either */
	turn = !turn;
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.bss), &zero, &turn,
				BPF_ANY))
		return -errno;
	error = turned_turn(&turned);

	return error ? error : turned_turn(&names);
}

static struct sum *to_sum(struct table_entry *entry)
{
	return (void *)((char *)entry - offsetof(struct sum, entry));
}

struct sum *sums_find(uint64_t peer, uint64_t other, enum bus1_time time)
{
	struct table_entry *e;

	e = table_first(&table, table_hash(peer, other, time));
	for (; e; e = table_next(e)) {
		struct sum *sum = to_sum(e);

		if (sum->peer == peer && sum->other == other &&
		    sum->time == time)
			return sum;
	}
	return NULL;
}

static struct sum *get(uint64_t peer, uint64_t other, enum bus1_time time)
{
	struct sum *sum = sums_find(peer, other, time);

	if (sum)
		return sum;
	sum = calloc(1, sizeof(*sum));
	if (!sum) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	sum->peer = peer;
	sum->other = other;
	sum->time = time;
	table_add(&table, &sum->entry, table_hash(peer, other, time));
	return sum;
}

static const uint32_t time_events[BUS1_TIME_MAX] = {
	[BUS1_TIME_MESSAGE] = EV_msg_recv,
	[BUS1_TIME_NOTIFICATION] = EV_notify_recv,
	[BUS1_TIME_TRANSACTION] = EV_tx_commit,
};

static void take_events(const void *key, const void *values, size_t n)
{
	struct bus1_peer_sum *sum = &get(*(const uint64_t *)key, 0, 0)->events;
	const struct bus1_peer_sum *v = values;

	for (; n; n--, v++) {
		sum->sent += v->sent;
		sum->sent_bytes += v->sent_bytes;
		sum->received += v->received;
		sum->received_bytes += v->received_bytes;
		sum->notified += v->notified;
		sum->discarded += v->discarded;
		sum->refused += v->refused;
		sum->failed += v->failed;
		sums_shown[EV_msg_send] += v->sent;
		sums_shown[EV_msg_recv] += v->received;
		sums_shown[EV_notify_recv] += v->notified;
		sums_shown[EV_msg_discard] += v->discarded;
		sums_shown[EV_acct_reject] += v->refused;
		sums_shown[EV_op_fail] += v->failed;
	}
}

static void take_pair(const void *key, const void *values, size_t n)
{
	const struct bus1_pair_key *k = key;
	struct bus1_pair_sum *sum = &get(k->from, k->to, 0)->pair;
	const struct bus1_pair_sum *v = values;

	for (; n; n--, v++) {
		sum->messages += v->messages;
		sum->bytes += v->bytes;
		sums_shown[EV_msg_send] += v->messages;
	}
}

static void take_slot(const void *key, const void *values, size_t n)
{
	const struct bus1_slot_key *k = key;
	struct times *times = &get(k->peer, k->node, k->time)->times;
	const struct bus1_slot_sum *v = values;

	for (; n; n--, v++) {
		if (!v->count)
			continue;
		times_add(times, k->slot, v);
		sums_shown[time_events[k->time]] += v->count;
	}
}

static int take_front(void)
{
	struct bus1_front *f;
	uint32_t cpu, i;
	void *map;

	if (!cpus) {
		map = mmap(NULL, cpus_size(), PROT_READ | PROT_WRITE,
			   MAP_SHARED, bpf_map__fd(skel->maps.cpus), 0);
		if (map == MAP_FAILED)
			return -errno;
		cpus = map;
	}
	for (cpu = 0; cpu < bpf_map__max_entries(skel->maps.cpus); cpu++) {
		f = cpus[cpu].front[!turn];
		for (i = 0; i < front_used; i++, f++) {
			struct bus1_pair_key pair = { f->peer - 1, f->other };
			struct bus1_slot_key slot = {
				.peer = f->peer - 1,
				.node = f->other,
				.time = f->rest >> 32,
				.slot = f->rest,
			};

			if (!f->peer)
				continue;
			if (what == BUS1_SUM_PEERS)
				take_events(&slot.peer, &f->events, 1);
			else if (what == BUS1_SUM_PAIRS)
				take_pair(&pair, &f->pair, 1);
			else
				take_slot(&slot, &f->slot, 1);
			memset(f, 0, sizeof(*f));
		}
	}
	return 0;
}

static void take_name(const void *key, const void *value, size_t n)
{
	const struct bus1_who *w = value;
	struct peer who = {
		.pid = w->pid,
		.uid = w->uid,
		.has_uid = w->has_uid,
	};

	(void)n;
	memcpy(who.comm, w->comm, sizeof(who.comm));
	memcpy(who.name, w->name, sizeof(who.name));
	interval_name(*(const uint64_t *)key, &who);
}

int sums_read(void)
{
	static void (*const take[])(const void *key, const void *values,
				    size_t n) = { take_events, take_pair,
						  take_slot };
	int error = turned_take(&names, take_name);

	if (!error)
		error = take_front();
	return error ? error : turned_take(&turned, take[what]);
}

void sums_event(const struct sums_want *want, const struct item *item)
{
	const struct bus1_event *e = &item->event;
	struct bus1_slot_sum slot = { .count = 1 };
	struct bus1_slot_key key;
	struct sum *sum;

	if (!(bus1_sum_events(want->what) & BUS1_EVENT_BIT(e->type)))
		return;
	if (want->what == BUS1_SUM_TIMES) {
		bus1_time_of(e->type, e->arg, want->by_peer, want->by_node,
			     &key, &slot.sum);
		slot.max = slot.sum;
		sum = get(key.peer, key.node, key.time);
		times_add(&sum->times, key.slot, &slot);
	} else if (want->what == BUS1_SUM_PAIRS) {
		sum = get(e->arg[0], e->arg[3], 0);
		sum->pair.messages++;
		sum->pair.bytes += e->arg[5];
	} else {
		sum = get(bus1_sum_peer(e->type, e->arg), 0, 0);
		bus1_sum_add(&sum->events, e->type, e->arg);
	}
	what = want->what;
}

static void list(struct table_entry *entry, void *next)
{
	*(*(struct sum ***)next)++ = to_sum(entry);
}

size_t sums_list(struct sum ***sums)
{
	struct sum **next = calloc(table.n + 1, sizeof(*next));

	if (!next) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	*sums = next;
	table_each(&table, list, &next);
	return table.n;
}

static void forget(struct table_entry *entry, void *context)
{
	struct sum *sum = to_sum(entry);

	(void)context;
	table_remove(&table, entry);
	if (what == BUS1_SUM_TIMES)
		free(sum->times.slots);
	free(sum);
}

void sums_forget(void)
{
	table_each(&table, forget, NULL);
}
