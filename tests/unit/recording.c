// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recordings: what was written is what is read; and whatever a file holds, what
 * is read of it is sound. recording DIRECTORY [SEED [STRIDE]]: with STRIDE
 * only one of so many bits is flipped, and so on.
 */
#include <signal.h>
#include <sys/resource.h>
#include <zlib.h>
#include "recording-log.h"

#define MANY 30000
#define SMALL 60
#define HOSTILE 6000

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
	put_varint(&f, CODE_STACK << 2);
	put_varint(&f, 1);
	put_varint(&f, 1);
	put_varint(&f, BUS1_STACK_MAX + 1);
	ok(is_damage(data, n, FRAME_EVENTS, 4 * BUS1_STACK_MAX, &f),
	   "a stack longer than any is damage");
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

/* Whether the recording of data has what versions() changes */
static bool has_all(uint8_t *data, size_t n)
{
	size_t at, head, size;

	for (at = FORMAT_START; at < n;
	     at += frame_at(data + at, &head, &size))
		if (data[at] == FRAME_SYMBOL)
			return read_all(0, ALL).entries[EV_node_new];
	return false;
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
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
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
	while (!has_all(data, n)) {
		free(data);
		data = small(&n);
	}
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
