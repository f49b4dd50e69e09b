// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: a recording is written
 *
 * Frame by frame, each by one write(2): if the recorder is killed, or the disk
 * is full, the file ends with the last frame that is whole. A part that is full
 * becomes F.1, and the next one begins with all that it takes to understand it
 * alone, but the names of addresses and cgroups, which whoever writes them
 * repeats: see recorder_wants_snapshot().
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "recording-format.h"

/* What the last frames of a part take: a batch, counts and the end */
#define PART_RESERVE (CHUNK_SIZE + (1 << 12))
#define STRING_MAX (1 << 12)
/* Of a part, what a snapshot may take */
#define SNAPSHOT_SHARE 2

struct recorder {
	char *path, *path_before;
	struct recording_info info;
	uint64_t run, part;
	uint64_t part_max; /* bytes, 0 is no limit */
	uint64_t size; /* of this part */
	uint64_t before; /* bytes of the parts before */
	int fd;
	bool wants_snapshot;
	uint32_t n_types;
	int number[EV_MAX]; /* of a type in the file, -1: it is not in it */
	uint32_t type[EV_MAX]; /* and back */
	uint64_t written[EV_MAX];
	struct bus1_count counts[EV_MAX];
	uint64_t missed;
	int error;
	struct batch batch;
	struct frame events; /* that wait to be written */
	struct frame other;
	uint64_t snapshot; /* where it begins */
	char text[CHUNK_SIZE]; /* of it */
	size_t n_text;
};

static struct frame *frame_start(struct recorder *r)
{
	r->other.n = 0;
	return &r->other;
}

static bool fits(const struct recorder *r, size_t n)
{
	return !r->part_max || r->size + n <= r->part_max;
}

/* What is not written whole is not there. */
static int cut(struct recorder *r, uint64_t size)
{
	if (ftruncate(r->fd, size))
		return -errno;
	r->size = size;
	return 0;
}

/* The first error stays: what was to come then is missing. */
static int write_whole(struct recorder *r, const uint8_t *data, size_t n)
{
	size_t done = 0;
	ssize_t result;

	while (done < n && !r->error) {
		result = write(r->fd, data + done, n - done);
		if (result > 0)
			done += result;
		else if (!result || errno != EINTR)
			r->error = result ? -errno : -ENOSPC;
	}
	if (r->error)
		cut(r, r->size);
	else
		r->size += n;
	return r->error;
}

static int write_frame(struct recorder *r, enum frame_kind kind,
		       struct frame *f)
{
	uint8_t head[1 + 10] = { kind };
	size_t n = 1 + encode_varint(head + 1, f->n);
	uint8_t *p = frame_data(f) - n;
	uint32_t crc;
	int i;

	memcpy(p, head, n);
	n += f->n;
	crc = crc32(0, p, n);
	for (i = 0; i < FRAME_CRC; i++)
		p[n++] = crc >> 8 * i;
	return write_whole(r, p, n);
}

static int write_end(struct recorder *r, uint64_t how, uint64_t time)
{
	struct frame *f = frame_start(r);

	put_varint(f, how);
	put_varint(f, time);
	return write_frame(r, FRAME_END, f);
}

static int write_counts(struct recorder *r, enum frame_kind kind)
{
	struct frame *f = frame_start(r);
	uint32_t i;

	put_varint(f, r->missed);
	for (i = 0; i < r->n_types; i++) {
		const struct bus1_count *c = &r->counts[r->type[i]];
		uint64_t written = r->written[r->type[i]];

		/* What is in the ring now belongs to the part that begins. */
		put_varint(f, kind == FRAME_BASE ? written + c->filtered +
						   c->ring_full + c->map_full :
						   c->seen);
		put_varint(f, c->filtered);
		put_varint(f, c->ring_full);
		put_varint(f, c->map_full);
		put_varint(f, written);
	}
	return write_frame(r, kind, f);
}

__attribute__((format(printf, 2, 3))) static void put_line(struct frame *f,
							   const char *fmt, ...)
{
	char line[512];
	va_list args;
	size_t n;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	n = strcspn(line, "\n");
	line[n] = '\n';
	put_bytes(f, line, n + 1);
}

static int write_info(struct recorder *r)
{
	const struct recording_info *info = &r->info;
	struct frame *f = frame_start(r);
	uint32_t i;

	put_line(f, "run=%" PRIu64, r->run);
	put_line(f, "part=%" PRIu64, r->part);
	put_line(f, "schema=%u.%u", info->schema_major,
		 info->start.schema_minor);
	put_line(f, "time=%" PRIu64, info->start.time);
	put_line(f, "realtime=%" PRIu64, info->start.realtime);
	put_line(f, "attach=%s", info->start.way);
	put_line(f, "kernel=%s", info->kernel);
	put_line(f, "host=%s", info->host);
	put_line(f, "command=%s", info->command);
	put_line(f, "filtered=%d", info->filtered);
	for (i = 0; i < r->n_types; i++)
		put_line(f, "event=%s %u %u", type_names[r->type[i]],
			 type_format[r->type[i]].time,
			 type_format[r->type[i]].relative);
	return write_frame(r, FRAME_INFO, f);
}

/* Begins a file, which must not be there. */
static int part_begin(struct recorder *r)
{
	uint8_t start[FORMAT_START] = FORMAT_MAGIC;
	int error;

	start[FORMAT_MAGIC_SIZE] = FORMAT_MAJOR;
	start[FORMAT_MAGIC_SIZE + 2] = FORMAT_MINOR;

	r->fd = open(r->path,
		     O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (r->fd < 0)
		return -errno;
	r->size = 0;
	r->wants_snapshot = true;
	error = write_whole(r, start, sizeof(start));
	if (!error)
		error = write_info(r);
	if (!error && r->part)
		error = write_counts(r, FRAME_BASE);
	return error;
}

/* 1: @path is a recording; 0: it is empty, or not there; else -errno. */
static int is_recording(const char *path)
{
	char magic[FORMAT_MAGIC_SIZE];
	struct stat st;
	ssize_t n;
	int fd;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode))
		return -EEXIST;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, magic, sizeof(magic));
	close(fd);
	if (!n)
		return 0;
	return n == FORMAT_MAGIC_SIZE && !memcmp(magic, FORMAT_MAGIC, n) ?
		       1 :
		       -EEXIST;
}

static char *path_with(const char *path, const char *suffix)
{
	char *s = malloc(strlen(path) + strlen(suffix) + 1);

	if (s)
		strcat(strcpy(s, path), suffix);
	return s;
}

/* @from becomes @to, unless that is something else than a recording. */
static int move_recording(const char *from, const char *to)
{
	int error = is_recording(to);

	if (error < 0)
		return error;
	return rename(from, to) ? -errno : 0;
}

/* F becomes F.old, and F.1 F.old.1, so that they can be read as before. */
static int make_way(const struct recorder *r, const char *old,
		    const char *old_before)
{
	int is = is_recording(r->path), before = is_recording(r->path_before);
	int error = 0;

	if (is < 0)
		return is;
	if (before < 0 && r->part_max)
		return before;
	if (is > 0) {
		error = move_recording(r->path, old);
		if (!error && is_recording(old_before) > 0)
			error = unlink(old_before) ? -errno : 0;
	} else if (unlink(r->path) && errno != ENOENT) {
		error = -errno;
	}
	if (!error && before > 0)
		error = move_recording(r->path_before, old_before);
	return error;
}

static void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	free(r->path);
	free(r->path_before);
	free(r);
}

struct recorder *recorder_new(const char *path,
			      const struct recording_info *info,
			      uint64_t max_size, int *error)
{
	char *old = path_with(path, ".old");
	char *old_before = path_with(path, ".old.1");
	struct recorder *r = calloc(1, sizeof(*r));
	uint32_t i;

	*error = -ENOMEM;
	if (!r)
		goto fail;
	r->fd = -1;
	r->path = strdup(path);
	r->path_before = path_with(path, ".1");
	if (!r->path || !r->path_before || !old || !old_before)
		goto fail;
	r->info = *info;
	r->part_max = max_size / 2;
	for (i = 0; i < EV_MAX; i++) {
		r->number[i] = -1;
		if (!(info->start.events & BUS1_EVENT_BIT(i)))
			continue;
		r->number[i] = r->n_types;
		r->type[r->n_types++] = i;
	}
	batch_start(&r->batch);
	if (getrandom(&r->run, sizeof(r->run), 0) < 0) {
		*error = -errno;
		goto fail;
	}
	*error = make_way(r, old, old_before);
	if (!*error)
		*error = part_begin(r);
fail:
	free(old);
	free(old_before);
	if (!*error)
		return r;
	recorder_free(r);
	return NULL;
}

bool recorder_wants_snapshot(struct recorder *r)
{
	return r->wants_snapshot;
}

uint64_t recorder_bytes(const struct recorder *r)
{
	return r->before + r->size;
}

/* The next part begins. */
static int rotate(struct recorder *r)
{
	struct timespec wall;
	int error;

	r->info.start.time = now_ns();
	clock_gettime(CLOCK_REALTIME, &wall);
	r->info.start.realtime = wall.tv_sec * 1000000000ULL + wall.tv_nsec;
	error = write_end(r, END_PART, r->info.start.time);
	if (error)
		return error;
	if (rename(r->path, r->path_before))
		return r->error = -errno;
	close(r->fd);
	r->before += r->size;
	r->part++;
	return r->error = part_begin(r);
}

/* Writes what waits, and sees to it that there is room for @n bytes more. */
static int flush(struct recorder *r, size_t n)
{
	int error = r->error;

	if (!error && r->events.n)
		error = write_frame(r, FRAME_EVENTS, &r->events);
	r->events.n = 0;
	batch_start(&r->batch);
	if (!error && !fits(r, n + PART_RESERVE))
		error = rotate(r);
	return error;
}

int recorder_flush(struct recorder *r)
{
	return flush(r, 0);
}

/* A frame of two numbers, or less, and a string */
static int write_string(struct recorder *r, enum frame_kind kind,
			const uint64_t *v, int n_v, const char *s)
{
	size_t n = strnlen(s, STRING_MAX);
	struct frame *f;
	int error = 0, i;

	if (!fits(r, FRAME_HEAD + 20 + n + FRAME_CRC + PART_RESERVE))
		error = flush(r, FRAME_HEAD + 20 + n + FRAME_CRC);
	if (error)
		return error;
	f = frame_start(r);
	for (i = 0; i < n_v; i++)
		put_varint(f, v[i]);
	put_bytes(f, s, n);
	return write_frame(r, kind, f);
}

int recorder_symbol(struct recorder *r, uint32_t pid, uint64_t ip,
		    const char *name)
{
	const uint64_t v[] = { pid, ip };

	return write_string(r, FRAME_SYMBOL, v, 2, name);
}

int recorder_cgroup(struct recorder *r, uint64_t id, const char *path)
{
	return write_string(r, FRAME_CGROUP, &id, 1, path);
}

int recorder_account(struct recorder *r, const char *line)
{
	return write_string(r, FRAME_ACCOUNT, NULL, 0, line);
}

int recorder_entry(struct recorder *r, const void *entry, size_t size)
{
	const struct bus1_event *event = entry;
	const struct bus1_bytes *payload = entry;
	const struct bus1_stack *stack = entry;
	uint32_t n;
	int error;

	if (batch_full(&r->batch, &r->events)) {
		error = recorder_flush(r);
		if (error)
			return error;
	}
	if (size < sizeof(event->type))
		return -EINVAL;
	if (event->type == EV_STACK) {
		if (size < sizeof(*stack) || stack->n > BUS1_STACK_MAX)
			return -EINVAL;
		batch_put_stack(&r->batch, &r->events, stack);
	} else if (event->type == EV_PAYLOAD) {
		if (size < sizeof(*payload) || payload->n > BUS1_PAYLOAD_MAX)
			return -EINVAL;
		batch_put_payload(&r->events, payload);
	} else {
		n = (size - offsetof(struct bus1_event, arg)) /
		    sizeof(event->arg[0]);
		if (event->type >= EV_MAX || r->number[event->type] < 0 ||
		    size < offsetof(struct bus1_event, arg) ||
		    n <= type_format[event->type].time)
			return -EINVAL;
		if (n > type_args[event->type])
			n = type_args[event->type];
		batch_put_event(&r->batch, &r->events, r->number[event->type],
				&type_format[event->type], event, n);
		if (!(event->flags & BUS1_EVENT_CONTEXT))
			r->written[event->type]++;
	}
	return 0;
}

int recorder_counts(struct recorder *r, const struct bus1_count *counts,
		    const uint64_t *written, uint64_t missed)
{
	int error = recorder_flush(r);

	if (error)
		return error;
	memcpy(r->counts, counts, sizeof(r->counts));
	memcpy(r->written, written, sizeof(r->written));
	r->missed = missed;
	return write_counts(r, FRAME_COUNTS);
}

/* Ends a chunk of a snapshot, whose chunks begin at r->snapshot. */
static void write_chunk(struct recorder *r, uint8_t flags)
{
	struct frame *f = frame_start(r);
	uLongf n = FRAME_MAX - 1;

	put_bytes(f, &flags, 1);
	/* there is more room than it can need */
	compress2(frame_data(f) + 1, &n, (uint8_t *)r->text, r->n_text,
		  Z_BEST_SPEED);
	f->n += n;
	r->n_text = 0;
	if (r->part_max && r->size + f->n - r->snapshot >
				   r->part_max / SNAPSHOT_SHARE)
		r->wants_snapshot = true; /* in vain */
	if (!r->wants_snapshot)
		write_frame(r, FRAME_SNAPSHOT, f);
}

static void add_line(const char *line, void *context)
{
	struct recorder *r = context;
	size_t n = strcspn(line, "\n");

	if (n >= STRING_MAX)
		return;
	if (r->n_text + n + 1 > CHUNK_SIZE)
		write_chunk(r, 0);
	memcpy(r->text + r->n_text, line, n);
	r->text[r->n_text + n] = '\n';
	r->n_text += n + 1;
}

/* What waits comes after it. -E2BIG: it would fill too much of a part. */
int recorder_snapshot(struct recorder *r, const struct snapshot *s)
{
	int error;

	r->wants_snapshot = false;
	r->snapshot = r->size;
	r->n_text = 0;
	snapshot_lines(s, add_line, r);
	write_chunk(r, CHUNK_LAST);
	if (!r->wants_snapshot)
		return r->error;
	error = cut(r, r->snapshot);
	return error ? error : -E2BIG;
}

int recorder_end(struct recorder *r, uint64_t time)
{
	int error = r->error;

	if (!error && r->events.n)
		error = write_frame(r, FRAME_EVENTS, &r->events);
	r->events.n = 0;
	return error ? error : write_end(r, END_RUN, time);
}

int recorder_close(struct recorder *r)
{
	int error = r->error;

	/* some file systems say only now that there is no room */
	if (r->fd >= 0 && close(r->fd) && !error)
		error = -errno;
	r->fd = -1;
	recorder_free(r);
	return error;
}
