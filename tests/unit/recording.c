// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recordings: what was written is what is read; and whatever a file holds, what
 * is read of it is sound. recording DIRECTORY [SEED [STRIDE]]: with STRIDE
 * only one of so many bits is flipped, and so on.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "recording-format.h"
#include "tap.h"

#define MANY 30000
#define SMALL 60
#define HOSTILE 6000

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

static void round_trip(void)
{
	struct recorder *r = begin(0);
	const struct recording_info *got;
	struct recording *reader;
	struct result result;
	struct stat st;

	ok(!write_all(r, MANY, 100), "written");
	ok(recorder_bytes(r) == size_of(path) || !recorder_flush(r),
	   "its size is known");
	ok(!end(r), "ended");
	ok(!stat(path, &st) && (st.st_mode & 07777) == 0600,
	   "nobody else can read it");
	result = read_all(0, ALL);
	ok(result.ordered && result.n == n_log, "all is read as written");
	ok(result.ended && !result.damaged, "and the end");
	ok(result.snapshots == 1 && result.objects == 500, "the snapshot");
	ok(result.counted, "the counts are right at each point");

	reader = recording_open(path);
	got = recording_info(reader);
	ok(got->start.time == info.start.time &&
		   got->start.realtime == info.start.realtime &&
		   !strcmp(got->start.way, "tp_btf") && got->start.recorded &&
		   got->start.schema_minor == info.start.schema_minor &&
		   got->start.events == info.start.events &&
		   !strcmp(got->kernel, "6.1.0") &&
		   !strcmp(got->host, info.host) &&
		   !strcmp(got->command, info.command) && !got->part,
	   "what is said of the run; a line is one");
	recording_close(reader);
}

static void dump_hex(FILE *file, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n--)
		fprintf(file, "%02x", *p++);
}

/* What was written, for a reader that is not ours: see recording.py */
static void dump(const char *dir)
{
	char name[sizeof(path) + 8];
	FILE *file;
	size_t i, j;

	snprintf(name, sizeof(name), "%s/written", dir);
	file = fopen(name, "we");
	if (!file)
		die(name);
	for (i = 0; i < n_log; i++) {
		const struct written *w = &log_[i];
		const struct bus1_event *e = &w->event;

		if (w->kind == RECORDED_SYMBOL) {
			fprintf(file, "symbol %" PRIu64 " %" PRIu64 " %s",
				w->v[0], w->v[1], w->s);
		} else if (w->kind == RECORDED_CGROUP) {
			fprintf(file, "cgroup %" PRIu64 " %s", w->v[1], w->s);
		} else if (w->kind == RECORDED_ACCOUNT) {
			fprintf(file, "account %s", w->s);
		} else if (w->kind == RECORDED_COUNTS) {
			fprintf(file, "counts");
		} else if (w->type == EV_STACK) {
			fprintf(file, "stack %u %u", w->stack.pid,
				w->stack.tid);
			for (j = 0; j < w->stack.n; j++)
				fprintf(file, " %llu", w->stack.ip[j]);
		} else if (w->type == EV_PAYLOAD) {
			fprintf(file, "payload %llu %llu %llu ",
				w->payload.peer, w->payload.tx,
				w->payload.index);
			dump_hex(file, w->payload.data, w->payload.n);
		} else {
			fprintf(file, "%s %u %u %u %llu ", type_names[e->type],
				e->flags, e->pid, e->tid, e->cgroup);
			dump_hex(file, e->comm, strlen(e->comm));
			for (j = 0; offsetof(struct bus1_event, arg[j]) <
				    w->size; j++)
				fprintf(file, " %llu", e->arg[j]);
		}
		fputc('\n', file);
	}
	fclose(file);
	snprintf(name, sizeof(name), "%s/whole", dir);
	if (rename(path, name))
		die(name);
}

static void rotation(void)
{
	const uint64_t max = 1 << 20;
	struct recorder *r = begin(max);
	uint64_t largest = 0, n;
	struct result result;
	size_t i, at;
	int error = 0;

	for (i = 0; i < 100 && !error; i++) {
		error = write_all(r, MANY / 100, 0);
		if (!error)
			error = recorder_account(r, "user uid=0");
		if (!error)
			error = recorder_counts(r, counts, n_written, 5);
		n = size_of(path) + size_of(path_before);
		if (n > largest)
			largest = n;
	}
	/* so that the last part is not one that has just begun */
	if (!error && recorder_wants_snapshot(r))
		error = write_all(r, MANY / 100, 0);
	ok(!error, "rotation: written");
	ok(recorder_bytes(r) > 2 * max, "rotation: more than the limit");
	ok(!end(r), "rotation: ended");
	ok(largest <= max && largest > max / 2, "rotation: the limit holds");
	result = read_all(n_log, ENTRIES);
	at = n_log - result.n;
	ok(result.n > n_log / 10 && result.n < n_log,
	   "rotation: the last %zu of %zu are left", result.n, n_log);
	result = read_all(at, ENTRIES);
	ok(result.ordered && result.ended, "rotation: both parts are read");
	ok(result.snapshots == 1 && result.objects == 500,
	   "rotation: one snapshot");
	ok(result.counted, "rotation: the counts are those of what is left");

	n = size_of(path_before);
	if (truncate(path_before, n - 3))
		die(path_before);
	result = read_all(at, ENTRIES);
	ok(result.ordered && result.damaged && !result.ended,
	   "rotation: a gap between the parts is damage");
	if (unlink(path_before))
		die(path_before);
	result = read_all(n_log, ENTRIES);
	result = read_all(n_log - result.n, ENTRIES);
	ok(result.ordered && result.ended && result.n &&
		   result.snapshots == 1 && result.counted,
	   "rotation: the last part can be read alone");
	if (rename(path, path_before))
		die(path);
	n = result.n;
	result = read_all(n_log - n, ENTRIES);
	ok(result.ordered && result.n == n,
	   "rotation: the recorder died before it began the next part");
}

static void large_snapshot(void)
{
	struct recorder *r = begin(1 << 20);

	ok(write_snapshot(r, 60000) == -E2BIG, "a snapshot that is too large");
	ok(recorder_wants_snapshot(r), "another one is wanted");
	ok(!write_snapshot(r, 100) && !recorder_wants_snapshot(r),
	   "a smaller one");
	ok(!write_all(r, SMALL, 10) && !end(r), "then the rest");
	ok(read_all(0, ALL).ended && read_all(0, ALL).objects == 100,
	   "the file is as if there had been no other");
}

/* A small file with something of everything */
static uint8_t *small(size_t *n)
{
	struct recorder *r = begin(0);

	if (write_snapshot(r, 3) || write_all(r, SMALL, 5) ||
	    end(r))
		die("small file");
	return load(n);
}

/* The head of the frame at @p; returns the size of all of it. */
static size_t frame_at(const uint8_t *p, size_t *head, size_t *n)
{
	struct cursor c = { p + 1, p + 1 + FRAME_HEAD, false };

	*n = get_varint(&c);
	*head = c.p - p;
	return *head + *n + FRAME_CRC;
}

static void seal(uint8_t *p)
{
	size_t head, n;
	uint32_t crc;

	frame_at(p, &head, &n);
	crc = crc32(0, p, head + n);
	memcpy(p + head + n, &crc, sizeof(crc));
}

/* It is read up to where it is sound; and never as if it were whole. */
static bool sound_part(struct result result, bool cut)
{
	return !result.opened || (result.ordered && !result.ended &&
				  (!cut || !result.damaged));
}

static void truncations(const uint8_t *data, size_t n)
{
	size_t i, bad = 0, opened = 0;

	store(data, n);
	for (i = n; i-- > 0;) {
		struct result result;

		if (truncate(path, i))
			die(path);
		result = read_all(0, PREFIX);
		opened += result.opened;
		bad += !sound_part(result, true);
	}
	ok(!bad, "each truncation is read to where it ends: %zu are not", bad);
	ok(opened > n / 2, "%zu of %zu can be opened", opened, n);
}

static void patch(uint8_t byte, size_t at)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || pwrite(fd, &byte, 1, at) != 1)
		die(path);
	close(fd);
}

static void bit_flips(const uint8_t *data, size_t n)
{
	const size_t minor = FORMAT_MAGIC_SIZE + 2;
	size_t i, bad = 0;

	store(data, n);

	for (i = 0; i < n * 8; i += stride) {
		/* what a newer minor version adds is ignored */
		if (i / 8 == minor || i / 8 == minor + 1)
			continue;
		patch(data[i / 8] ^ 1 << i % 8, i / 8);
		bad += !sound_part(read_all(0, PREFIX), false);
		patch(data[i / 8], i / 8);
	}
	ok(!bad, "each flipped bit is noticed: %zu are not", bad);
}

/* CRCs that are right, and nonsense */
static void hostile(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n);
	size_t i, at, head, size, bad = 0, damaged = 0;

	for (i = 0; i < HOSTILE / stride; i++) {
		struct result result;

		memcpy(copy, data, n);
		for (at = FORMAT_START; at < n; seal(copy + at),
		    at += frame_at(copy + at, &head, &size)) {
			frame_at(copy + at, &head, &size);
			while (size && any(4) == 0)
				copy[at + head + any(size)] =
					any(3) ? any(256) : 0xff;
			if (!any(20))
				copy[at] = any(12);
		}
		store(copy, n);
		result = read_all(0, NOTHING);
		bad += !result.ordered;
		damaged += result.damaged;
	}
	free(copy);
	ok(!bad, "hostile files: what is read is sound; %zu are not", bad);
	ok(damaged > HOSTILE / stride / 10, "hostile files: many are noticed");
}

/* In the place of the end: a frame of @kind and @size that begins with @f */
static bool is_damage(const uint8_t *data, size_t n, enum frame_kind kind,
		      size_t size, struct frame *f)
{
	uint8_t *copy = calloc(1, n + FRAME_HEAD + size + FRAME_CRC), *p;
	struct result result;

	memcpy(copy, data, n);
	/* kind, length, two numbers, CRC */
	p = copy + n - (4 + FRAME_CRC);
	if (*p != FRAME_END)
		die("end");
	*p = kind;
	n = 1 + encode_varint(p + 1, size);
	memcpy(p + n, frame_data(f), f->n);
	seal(p);
	store(copy, p - copy + n + size + FRAME_CRC);
	free(copy);
	result = read_all(0, ALL);
	return result.ordered && result.damaged && result.n == n_log;
}

static void crafted(const uint8_t *data, size_t n)
{
	static struct frame f;

	ok(is_damage(data, n, FRAME_COUNTS, 4 * FRAME_MAX, &f),
	   "a frame longer than any is damage");
	put_varint(&f, CODE_PAYLOAD << 2);
	put_varint(&f, 1);
	put_varint(&f, 1);
	put_varint(&f, 1);
	put_varint(&f, BUS1_PAYLOAD_MAX + 1);
	ok(is_damage(data, n, FRAME_EVENTS, 2 * BUS1_PAYLOAD_MAX, &f),
	   "a payload longer than any is damage");
	f.n = 0;
	put_varint(&f, CODE_EVENT << 2 | CODE_COUNT);
	put_varint(&f, type_format[EV_peer_new].time);
	ok(is_damage(data, n, FRAME_EVENTS, 100, &f),
	   "an event without time is damage");
	f.n = 0;
	put_varint(&f, CODE_EVENT << 2 | CODE_COUNT);
	put_varint(&f, type_args[EV_peer_new]);
	put_varint(&f, 2);
	ok(is_damage(data, n, FRAME_EVENTS, 100, &f),
	   "a task that was not introduced is damage");
}

static void versions(uint8_t *data, size_t n)
{
	size_t at = FORMAT_START, head, size, others = 0;
	struct result whole, result;
	uint8_t *p;

	whole = read_all(0, ALL);
	data[FORMAT_MAGIC_SIZE]++;
	store(data, n);
	complaints = 0;
	ok(!read_all(0, NOTHING).opened && complaints == 1 &&
		   strstr(complaint, "has format 2.0"),
	   "a newer major version is refused");
	data[FORMAT_MAGIC_SIZE]--;
	data[FORMAT_MAGIC_SIZE + 2]++;
	for (at = FORMAT_START; at < n;
	     at += frame_at(data + at, &head, &size)) {
		if (data[at] != FRAME_SYMBOL)
			continue;
		data[at] = 100;
		seal(data + at);
		others++;
	}
	store(data, n);
	result = read_all(0, NOTHING);
	ok(others && result.ended && result.n == whole.n - others,
	   "of a newer minor one, unknown frames are skipped");

	at = FORMAT_START;
	p = memmem(data + at, n - at, "event=node_new ", 15);
	if (!p)
		die("event");
	memcpy(p, "event=node_own ", 15);
	seal(data + at);
	store(data, n);
	result = read_all(0, NOTHING);
	ok(result.ended && !result.entries[EV_node_new] &&
		   result.entries[EV_tx_commit] ==
			   whole.entries[EV_tx_commit] &&
		   whole.entries[EV_node_new],
	   "and unknown events");
}

static void full_disk(void)
{
	struct rlimit limit = { 200000, RLIM_INFINITY }, old;
	struct recorder *r = begin(0);
	struct result result;
	int error;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	setrlimit(RLIMIT_FSIZE, &limit);
	error = write_all(r, MANY, 100);
	setrlimit(RLIMIT_FSIZE, &old);
	ok(error == -EFBIG, "a file that may not grow");
	ok(recorder_flush(r) == -EFBIG && recorder_end(r, 42) == -EFBIG &&
		   recorder_close(r) == -EFBIG,
	   "the first error stays");
	result = read_all(0, PREFIX);
	ok(result.ordered && !result.ended && !result.damaged &&
		   result.n > 1000,
	   "what was written before is there, and it has no end");
}

static bool refused(int wanted, uint64_t max_size)
{
	struct recorder *r;
	int error;

	r = recorder_new(path, &info, max_size, &error);
	if (r)
		end(r);
	return !r && error == wanted;
}

static void names(const char *dir)
{
	char old[sizeof(path) + 8], old_before[sizeof(path) + 8];
	struct result result;

	snprintf(old, sizeof(old), "%s.old", path);
	snprintf(old_before, sizeof(old_before), "%s.old.1", path);
	store((const uint8_t *)"my only copy", 12);
	ok(refused(-EEXIST, 0) && size_of(path) == 12,
	   "a file that is no recording is left alone");
	store((const uint8_t *)"", 0);
	ok(!refused(0, 0) && read_all(0, NOTHING).ended,
	   "an empty one is replaced");
	unlink(path);
	if (mkdir(path, 0700))
		die(path);
	ok(refused(-EEXIST, 0), "a directory is refused");
	rmdir(path);
	if (symlink(dir, path))
		die(path);
	ok(refused(-EEXIST, 0), "a link is refused");
	unlink(path);

	rotation();
	if (rename(path_before, path))
		die(path);
	ok(!refused(0, 0), "a recording makes way");
	result = read_all(0, NOTHING);
	ok(result.ended && !result.n, "there is a new one");
	ok(size_of(old) > 1000, "and the old one is F.old");
	unlink(old);
	unlink(old_before);
}

int main(int argc, char **argv)
{
	uint8_t *data;
	size_t n;

	if (argc < 2)
		die("usage: recording DIRECTORY [SEED]");
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
	diag("seed %" PRIu64, seed);
	if (argc > 3)
		stride = strtoull(argv[3], NULL, 0);
	seed = seed * 0x9e3779b97f4a7c15 | 1;
	snprintf(path, sizeof(path) - 8, "%s/recording", argv[1]);
	snprintf(path_before, sizeof(path_before), "%.4080s.1", path);
	log_ = calloc(2 * MANY, sizeof(*log_));
	if (!log_)
		die("log");
	round_trip();
	dump(argv[1]);
	large_snapshot();
	payload_max = 64;
	data = small(&n);
	versions(data, n);
	free(data);
	data = small(&n);
	truncations(data, n);
	bit_flips(data, n);
	hostile(data, n);
	crafted(data, n);
	free(data);
	payload_max = BUS1_PAYLOAD_MAX;
	full_disk();
	names(argv[1]);
	free(log_);
	return done_testing();
}
