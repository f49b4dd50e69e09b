/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_UNIT_RECORDING_LOG_H
#define _TESTS_UNIT_RECORDING_LOG_H

/*
 * DOC: recordings, made at random and compared
 *
 * What is written is kept in a log; what is read is compared with it. Stands in
 * for what of the tool the recording needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "recording-format.h"
#include "tap.h"

/* In place of the tool's own */
static unsigned int complaints;
static char complaint[256];

void complain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(complaint, sizeof(complaint), fmt, args);
	va_end(args);
	complaints++;
}

uint64_t now_ns(void)
{
	static uint64_t time = 1000;

	return time++;
}

bool module_device(uint32_t *major, uint32_t *minor)
{
	*major = *minor = 0;
	return false;
}

void descriptors_find(struct snapshot *s, uint32_t major, uint32_t minor)
{
	(void)s;
	(void)major;
	(void)minor;
}

static uint64_t seed, stride = 1;

static uint64_t any(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

/* What is written, one after the other */
struct written {
	uint32_t size; /* of an entry; else 0 */
	enum recorded_kind kind;
	uint64_t v[2];
	char s[64];
	union {
		uint32_t type;
		struct bus1_event event;
		struct bus1_stack stack;
		struct bus1_bytes payload;
	};
};

static struct written *log_;
static uint32_t payload_max = BUS1_PAYLOAD_MAX;
static size_t n_log;
static char path[4096], path_before[4096];
static struct bus1_count counts[EV_MAX];
static uint64_t n_written[EV_MAX];
static const struct recording_info info = {
	.start = {
		.time = 123456789,
		.realtime = 1700000000123456789,
		.way = "tp_btf",
		.schema_minor = BUS1_TRACE_SCHEMA_MINOR,
		.events = EVENTS_ALL & ~BUS1_EVENT_BIT(EV_node_free),
	},
	.schema_major = BUS1_TRACE_SCHEMA_MAJOR,
	.kernel = "6.1.0\n-test",
	.host = "here",
	.command = "bus1-trace record -o x",
};

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void make_event(struct written *w)
{
	static uint64_t time = 1 << 30;
	struct bus1_event *e = &w->event;
	uint32_t n, i, bits;

	do {
		e->type = any(EV_MAX);
	} while (e->type == EV_node_free);
	n = any(8) ? type_args[e->type] : type_format[e->type].time + 1;
	w->size = offsetof(struct bus1_event, arg) + n * sizeof(e->arg[0]);
	e->flags = any(9) ? 0 : BUS1_EVENT_CONTEXT;
	e->pid = 100 + any(7);
	e->tid = any(50) ? e->pid : any(1ULL << 32);
	e->cgroup = any(4) ? 7 : any(UINT64_MAX);
	bits = any(sizeof(e->comm));
	for (i = 0; i < bits; i++)
		e->comm[i] = 1 + any(255);
	for (i = 0; i < n; i++)
		e->arg[i] = any(any(6) ? 1000 : UINT64_MAX);
	time += any(5000);
	if (any(100))
		e->arg[type_format[e->type].time] = time - any(2000);
}

static void make_entry(struct written *w)
{
	uint32_t i;

	memset(w, 0, sizeof(*w));
	w->kind = RECORDED_ENTRY;
	switch (any(20)) {
	case 0:
		w->stack.type = EV_STACK;
		w->size = sizeof(w->stack);
		w->stack.n = any(BUS1_STACK_MAX + 1);
		w->stack.pid = any(1 << 22);
		w->stack.tid = any(1 << 22);
		for (i = 0; i < w->stack.n; i++)
			w->stack.ip[i] = any(3) ? 0x7f0000000000 + any(1 << 20) :
						  any(UINT64_MAX);
		break;
	case 1:
		w->payload.type = EV_PAYLOAD;
		w->size = sizeof(w->payload);
		w->payload.n = any(any(3) ? 64 : payload_max + 1);
		w->payload.peer = any(1 << 20);
		w->payload.tx = any(UINT64_MAX);
		w->payload.index = any(1 << 10);
		for (i = 0; i < w->payload.n; i++)
			w->payload.data[i] = any(256);
		break;
	default:
		make_event(w);
	}
}

static void count_entry(const struct written *w)
{
	if (w->type < EV_MAX && !(w->event.flags & BUS1_EVENT_CONTEXT)) {
		n_written[w->type]++;
		counts[w->type].seen++;
	}
	if (!any(10) && w->type < EV_MAX) {
		counts[w->type].seen += 3;
		counts[w->type].filtered++;
		counts[w->type].ring_full++;
		counts[w->type].map_full++;
	}
}

static int write_snapshot(struct recorder *r, unsigned int n)
{
	struct snapshot s = { .peers = NULL };
	char line[128];
	int error;

	snapshot_line(&s, "snapshot time=77 objects=1 debugfs=1 bpf=1"
			  " initial_pids=1 unreadable=0");
	snapshot_line(&s, "peer id=3 uid=5 pid=7 created=9 nodes=0 handles=0"
			  " queued=0 bytes=0 received=1 oldest=2"
			  " transactions=4 name=quux");
	while (n--) {
		snprintf(line, sizeof(line),
			 "node peer=3 id=%u handles=1 dead=0 created=%" PRIu64,
			 n, any(UINT64_MAX));
		snapshot_line(&s, line);
	}
	snapshot_line(&s, "holder peer=3 pid=7 fd=9 comm=a b");
	snapshot_complete(&s);
	error = recorder_snapshot(r, &s);
	snapshot_free(&s);
	return error;
}

static struct recorder *begin(uint64_t max_size)
{
	struct recorder *r;
	int error;

	memset(counts, 0, sizeof(counts));
	memset(n_written, 0, sizeof(n_written));
	n_log = 0;
	unlink(path);
	unlink(path_before);
	r = recorder_new(path, &info, max_size, &error);
	if (!r) {
		errno = -error;
		die(path);
	}
	return r;
}

/* @n entries, and now and then, if @other, something of another kind */
static int write_all(struct recorder *r, size_t n, unsigned int other)
{
	int error = 0;

	while (n-- && !error) {
		struct written *w = &log_[n_log++];

		if (recorder_wants_snapshot(r))
			error = write_snapshot(r, 500);
		make_entry(w);
		if (!error)
			error = recorder_entry(r, &w->type, w->size);
		count_entry(w);
		if (error || !other || any(other))
			continue;
		/* so that the order is the same: only entries wait */
		error = recorder_flush(r);
		if (error)
			break;
		w = &log_[n_log++];
		memset(w, 0, sizeof(*w));
		w->kind = RECORDED_SYMBOL + any(4);
		w->v[0] = any(UINT32_MAX);
		w->v[1] = any(UINT64_MAX);
		snprintf(w->s, sizeof(w->s), "something %" PRIu64, any(1000));
		if (w->kind == RECORDED_SYMBOL)
			error = recorder_symbol(r, w->v[0], w->v[1], w->s);
		else if (w->kind == RECORDED_CGROUP)
			error = recorder_cgroup(r, w->v[1], w->s);
		else if (w->kind == RECORDED_ACCOUNT)
			error = recorder_account(r, w->s);
		else
			error = recorder_counts(r, counts, n_written, 5);
	}
	return error;
}

static int end(struct recorder *r)
{
	int error = recorder_end(r, 42), closed = recorder_close(r);

	return error ? error : closed;
}

/* Whether what was read is @w */
static bool same(const struct recorded *got, const struct written *w)
{
	if (got->kind != w->kind)
		return false;
	switch (got->kind) {
	case RECORDED_ENTRY:
		return got->entry.size == w->size &&
		       !memcmp(got->entry.data, &w->type, w->size);
	case RECORDED_SYMBOL:
		return got->symbol.pid == w->v[0] &&
		       got->symbol.ip == w->v[1] &&
		       !strcmp(got->symbol.name, w->s);
	case RECORDED_CGROUP:
		return got->cgroup.id == w->v[1] &&
		       !strcmp(got->cgroup.path, w->s);
	case RECORDED_ACCOUNT:
		return !strcmp(got->account, w->s);
	default:
		return true;
	}
}

enum what { ALL, ENTRIES, NOTHING };
#define PREFIX ALL /* so far */

struct result {
	bool opened, damaged, ended, ordered, counted;
	size_t n; /* of what was written, from @at on, was read */
	unsigned int snapshots;
	size_t objects;
	uint64_t entries[EV_MAX];
};

/* Whether an entry is one that a verb can be handed */
static bool sound(const struct recorded *got)
{
	const struct bus1_stack *stack = got->entry.data;
	const struct bus1_bytes *payload = got->entry.data;
	const struct bus1_event *e = got->entry.data;
	const size_t head = offsetof(struct bus1_event, arg);

	if (e->type == EV_STACK)
		return got->entry.size == sizeof(*stack) &&
		       stack->n <= BUS1_STACK_MAX;
	if (e->type == EV_PAYLOAD)
		return got->entry.size == sizeof(*payload) &&
		       payload->n <= BUS1_PAYLOAD_MAX;
	return e->type < EV_MAX && got->entry.size <= sizeof(*e) &&
	       got->entry.size > head + type_format[e->type].time * 8 &&
	       got->entry.size <= head + type_args[e->type] * 8 &&
	       memchr(e->comm, 0, sizeof(e->comm));
}

static bool counts_right(const struct recorded *got, const struct result *r)
{
	int i;

	for (i = 0; i < EV_MAX; i++) {
		const struct bus1_count *c = &got->counts.counts[i];

		if (got->counts.written[i] != r->entries[i] ||
		    c->seen != r->entries[i] + c->filtered + c->ring_full +
				       c->map_full)
			return false;
	}
	return true;
}

/* Reads all, and compares with what was written from @at on: that is @what */
static struct result read_all(size_t at, enum what what)
{
	struct result result = { .ordered = true, .counted = true };
	struct recording *r = recording_open(path);
	struct recorded got;
	uint64_t time;
	int error;

	if (!r)
		return result;
	result.opened = true;
	while (!(error = recording_next(r, &got)) &&
	       got.kind != RECORDED_END) {
		if (got.kind == RECORDED_SNAPSHOT) {
			result.snapshots++;
			if (got.snapshot.n_peers == 1)
				result.objects += got.snapshot.peers->n_objects;
			snapshot_free(&got.snapshot);
			continue;
		}
		if (got.kind == RECORDED_ENTRY) {
			const struct bus1_event *e = got.entry.data;

			if (!sound(&got))
				result.ordered = false;
			else if (e->type < EV_MAX &&
				 !(e->flags & BUS1_EVENT_CONTEXT))
				result.entries[e->type]++;
		}
		if (got.kind == RECORDED_COUNTS && !counts_right(&got, &result))
			result.counted = false;
		if (what == ENTRIES && got.kind != RECORDED_ENTRY)
			continue;
		if (what != NOTHING && (at + result.n >= n_log ||
					!same(&got, &log_[at + result.n])))
			result.ordered = false;
		result.n++;
	}
	result.damaged = error;
	if (error && recording_next(r, &got) != -EBADMSG)
		result.ordered = false;
	result.ended = recording_ended(r, &time);
	recording_close(r);
	return result;
}

static uint8_t *load(size_t *n)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	uint8_t *data;

	if (!file || fstat(fileno(file), &st))
		die(path);
	*n = st.st_size;
	data = malloc(*n + 1);
	if (!data || fread(data, 1, *n, file) != *n)
		die(path);
	fclose(file);
	return data;
}

static void store(const uint8_t *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, data, n) != (ssize_t)n)
		die(path);
	close(fd);
}

static uint64_t size_of(const char *file)
{
	struct stat st;

	return stat(file, &st) ? 0 : st.st_size;
}

#endif /* _TESTS_UNIT_RECORDING_LOG_H */
