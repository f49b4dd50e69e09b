// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: a recording is read
 *
 * Whoever wrote the file, nothing in it is believed: a frame counts once its
 * CRC is right, and what is in it still may be anything. There is room for one
 * frame, of the largest size that is allowed; no length that the file says is
 * ever allocated.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "recording-format.h"

/*
 * What is deflated may become a thousand times as much. A bus whose snapshot takes
 * so much memory has some millions of handles.
 */
#ifndef SNAPSHOT_MAX
#define SNAPSHOT_MAX ((size_t)1 << 30)
#endif

struct part {
	FILE *file;
	char *path;
	uint64_t offset; /* of the frame that was read */
	uint64_t next; /* of the one after it */
	uint64_t run;
	struct recording_info info;
	char way[16];
	uint32_t n_types;
	struct file_type types[TYPES_MAX];
};

struct recording {
	struct part parts[2]; /* the one before, and the file */
	int first, part, last; /* of them: which are there, which is read */
	bool damaged, eof, ended;
	uint64_t end;
	struct recorded base; /* the counts when the first part began */
	struct snapshot snapshot; /* until it is complete */
	struct batch batch;
	struct cursor events; /* what is left of a frame of them */
	struct cursor frame;
	uint8_t data[FRAME_HEAD + FRAME_MAX + FRAME_CRC + 1];
	char text[CHUNK_SIZE + 1];
	union {
		struct bus1_event event;
		struct bus1_stack stack;
		struct bus1_bytes payload;
	} entry;
};

enum frame_state { FRAME_OK, FRAME_CUT, FRAME_BAD };

/* The next frame; its kind in @kind, what is in it in r->frame. */
static enum frame_state read_frame(struct recording *r, struct part *part,
				   int *kind)
{
	uint8_t *p = r->data;
	uint32_t crc = 0, n = 0;
	size_t head = 0;
	int c, i;

	part->offset = part->next;
	do {
		c = getc(part->file);
		if (c == EOF)
			return FRAME_CUT;
		if (head)
			n |= (uint32_t)(c & 0x7f) << 7 * (head - 1);
		p[head++] = c;
	} while (head < 2 || (c & 0x80 && head < FRAME_HEAD));
	if (c & 0x80 || n > FRAME_MAX)
		return FRAME_BAD;
	if (fread(p + head, 1, n + FRAME_CRC, part->file) != n + FRAME_CRC)
		return FRAME_CUT;
	for (i = 0; i < FRAME_CRC; i++)
		crc |= (uint32_t)p[head + n + i] << 8 * i;
	if (crc != crc32(0, p, head + n))
		return FRAME_BAD;
	p[head + n] = '\0'; /* strings end here */
	*kind = p[0];
	r->frame = (struct cursor){ p + head, p + head + n, false };
	part->next = part->offset + head + n + FRAME_CRC;
	return FRAME_OK;
}

static void copy_value(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void read_type(struct part *part, const char *value)
{
	struct file_type *type = &part->types[part->n_types];
	char name[32];
	uint32_t i;

	if (part->n_types == TYPES_MAX)
		return;
	if (sscanf(value, "%31s %" SCNu32 " %" SCNu32, name, &type->time,
		   &type->relative) != 3)
		name[0] = '\0';
	for (i = 0; i < EV_MAX && strcmp(name, type_names[i]); i++)
		;
	/* Where the time stands is this program's knowledge, too. */
	if (i < EV_MAX && type->time != type_format[i].time)
		i = EV_MAX;
	type->type = i;
	if (i < EV_MAX)
		part->info.start.events |= BUS1_EVENT_BIT(i);
	part->n_types++;
}

/* Lines of key=value */
static bool read_info(struct recording *r, struct part *part)
{
	struct recording_info *info = &part->info;
	char *line, *value, *rest = (char *)r->frame.p;

	while ((line = strsep(&rest, "\n"))) {
		value = line + strcspn(line, "=");
		if (!*value)
			continue;
		*value++ = '\0';
		if (!strcmp(line, "run"))
			part->run = strtoull(value, NULL, 10);
		else if (!strcmp(line, "part"))
			info->part = strtoull(value, NULL, 10);
		else if (!strcmp(line, "schema"))
			sscanf(value, "%u.%u", &info->schema_major,
			       &info->start.schema_minor);
		else if (!strcmp(line, "time"))
			info->start.time = strtoull(value, NULL, 10);
		else if (!strcmp(line, "realtime"))
			info->start.realtime = strtoull(value, NULL, 10);
		else if (!strcmp(line, "attach"))
			copy_value(part->way, sizeof(part->way), value);
		else if (!strcmp(line, "kernel"))
			copy_value(info->kernel, sizeof(info->kernel), value);
		else if (!strcmp(line, "host"))
			copy_value(info->host, sizeof(info->host), value);
		else if (!strcmp(line, "command"))
			copy_value(info->command, sizeof(info->command), value);
		else if (!strcmp(line, "filtered"))
			info->filtered = !strcmp(value, "1");
		else if (!strcmp(line, "event"))
			read_type(part, value);
	}
	info->start.way = part->way;
	info->start.recorded = true;
	return part->n_types;
}

/* Its begin, by which it can be told what it is. Complains, unless @quiet. */
static bool open_part(struct recording *r, struct part *part, bool quiet)
{
	uint8_t start[FORMAT_START];
	unsigned int major, minor;
	struct stat st;
	int kind;

	part->file = fopen(part->path, "re");
	if (!part->file || fstat(fileno(part->file), &st)) {
		if (!quiet)
			complain("%s: %s", part->path, strerror(errno));
		return false;
	}
	if (S_ISDIR(st.st_mode) ||
	    fread(start, 1, sizeof(start), part->file) != sizeof(start) ||
	    memcmp(start, FORMAT_MAGIC, FORMAT_MAGIC_SIZE)) {
		if (!quiet)
			complain("%s is no recording of bus1-trace record",
				 part->path);
		return false;
	}
	part->next = FORMAT_START;
	major = start[FORMAT_MAGIC_SIZE] | start[FORMAT_MAGIC_SIZE + 1] << 8;
	minor = start[FORMAT_MAGIC_SIZE + 2] |
		start[FORMAT_MAGIC_SIZE + 3] << 8;
	if (major != FORMAT_MAJOR) {
		if (!quiet)
			complain("%s has format %u.%u, of which this bus1-trace reads %d only: use the one that made it",
				 part->path, major, minor, FORMAT_MAJOR);
		return false;
	}
	if (read_frame(r, part, &kind) != FRAME_OK || kind != FRAME_INFO ||
	    !read_info(r, part)) {
		if (!quiet)
			complain("%s is cut off or damaged at its begin: nothing of it can be read",
				 part->path);
		return false;
	}
	if (part->info.schema_major != BUS1_TRACE_SCHEMA_MAJOR) {
		if (!quiet)
			complain("%s was made of a module with trace schema %u.%u, this bus1-trace reads %d: use the one that made it",
				 part->path, part->info.schema_major,
				 part->info.start.schema_minor,
				 BUS1_TRACE_SCHEMA_MAJOR);
		return false;
	}
	return true;
}

static void close_part(struct part *part)
{
	if (part->file)
		fclose(part->file);
	free(part->path);
	memset(part, 0, sizeof(*part));
}

void recording_close(struct recording *r)
{
	if (!r)
		return;
	snapshot_free(&r->snapshot);
	close_part(&r->parts[0]);
	close_part(&r->parts[1]);
	free(r);
}

static bool name_parts(struct recording *r, const char *path)
{
	size_t n = strlen(path) + sizeof(".1");
	char *before = malloc(n);

	if (before)
		snprintf(before, n, "%s.1", path);
	r->parts[0].path = before;
	r->parts[1].path = strdup(path);
	return before && r->parts[1].path;
}

struct recording *recording_open(const char *path)
{
	struct recording *r = calloc(1, sizeof(*r));
	const struct part *before, *part;
	bool alone;

	if (!r || !name_parts(r, path)) {
		complain("out of memory");
		recording_close(r);
		return NULL;
	}
	before = &r->parts[0];
	part = &r->parts[1];
	/* It may have been killed when there was only F.1, and not yet F. */
	alone = access(path, F_OK) && errno == ENOENT &&
		open_part(r, &r->parts[0], true);
	if (alone)
		return r;
	if (!open_part(r, &r->parts[1], false)) {
		recording_close(r);
		return NULL;
	}
	r->first = r->last = 1;
	if (part->info.part &&
	    open_part(r, &r->parts[0], true) && before->run == part->run &&
	    before->info.part + 1 == part->info.part)
		r->first = 0;
	r->part = r->first;
	return r;
}

const struct recording_info *recording_info(const struct recording *r)
{
	return &r->parts[r->first].info;
}

bool recording_ended(const struct recording *r, uint64_t *time)
{
	if (r->ended)
		*time = r->end;
	return r->ended;
}

/* What was returned before is sound: it ends here. */
static int damaged(struct recording *r)
{
	const struct part *part = &r->parts[r->part];

	if (!r->damaged)
		complain("%s is damaged at byte %" PRIu64
			 ": what follows is not read",
			 part->path, part->offset);
	r->damaged = true;
	return -EBADMSG;
}

/* 1: @recorded is filled in; 0: it is of a type that nobody knows here. */
static int next_entry(struct recording *r, struct recorded *recorded)
{
	const struct part *part = &r->parts[r->part];
	uint64_t code = get_varint(&r->events), number;
	const struct file_type *type;
	uint32_t n;

	recorded->kind = RECORDED_ENTRY;
	recorded->entry.data = &r->entry;
	if (code >> 2 == CODE_STACK) {
		recorded->entry.size = sizeof(r->entry.stack);
		return batch_get_stack(&r->batch, &r->events, &r->entry.stack) ?
			       1 :
			       damaged(r);
	}
	if (code >> 2 == CODE_PAYLOAD) {
		recorded->entry.size = sizeof(r->entry.payload);
		return batch_get_payload(&r->events, &r->entry.payload) ?
			       1 :
			       damaged(r);
	}
	number = (code >> 2) - CODE_EVENT;
	if (number >= part->n_types)
		return damaged(r);
	type = &part->types[number];
	if (!batch_get_event(&r->batch, &r->events, code, type,
			     &r->entry.event, &n))
		return damaged(r);
	if (type->type >= EV_MAX)
		return 0;
	if (n > type_args[type->type])
		n = type_args[type->type];
	recorded->entry.size = offsetof(struct bus1_event, arg) +
			       n * sizeof(r->entry.event.arg[0]);
	return 1;
}

static int read_snapshot(struct recording *r, struct recorded *recorded)
{
	struct cursor *c = &r->frame;
	const uint8_t *flags = get_bytes(c, 1);
	uLongf n = CHUNK_SIZE;
	char *rest = r->text, *line;

	if (!flags || uncompress((uint8_t *)r->text, &n, c->p, c->end - c->p))
		return damaged(r);
	/* Events have told what a later one says, and more. */
	if (r->part != r->first)
		return 0;
	r->text[n] = '\0';
	while ((line = strsep(&rest, "\n")))
		if (*line)
			snapshot_line(&r->snapshot, line);
	if (r->snapshot.size > SNAPSHOT_MAX) {
		complain("a snapshot in %s takes more than %zu MiB of memory: no more than that is read",
			 r->parts[r->part].path, SNAPSHOT_MAX >> 20);
		return damaged(r);
	}
	if (!(*flags & CHUNK_LAST))
		return 0;
	snapshot_complete(&r->snapshot);
	recorded->kind = RECORDED_SNAPSHOT;
	recorded->snapshot = r->snapshot;
	memset(&r->snapshot, 0, sizeof(r->snapshot));
	return 1;
}

static bool get_counts(struct recording *r, struct recorded *recorded)
{
	const struct part *part = &r->parts[r->part];
	struct cursor *c = &r->frame;
	uint32_t i;

	memset(&recorded->counts, 0, sizeof(recorded->counts));
	recorded->kind = RECORDED_COUNTS;
	recorded->counts.missed = get_varint(c);
	for (i = 0; i < part->n_types; i++) {
		uint32_t type = part->types[i].type;
		struct bus1_count count;
		uint64_t written;

		count.seen = get_varint(c);
		count.filtered = get_varint(c);
		count.ring_full = get_varint(c);
		count.map_full = get_varint(c);
		written = get_varint(c);
		if (type >= EV_MAX)
			continue;
		recorded->counts.counts[type] = count;
		recorded->counts.written[type] = written;
	}
	return !c->bad;
}

/* They are since the run began; here, since the first part did. */
static int read_counts(struct recording *r, struct recorded *recorded)
{
	uint32_t i;

	if (!get_counts(r, recorded))
		return damaged(r);
	recorded->counts.missed -= r->base.counts.missed;
	for (i = 0; i < EV_MAX; i++) {
		struct bus1_count *count = &recorded->counts.counts[i];
		const struct bus1_count *base = &r->base.counts.counts[i];

		count->seen -= base->seen;
		count->filtered -= base->filtered;
		count->ring_full -= base->ring_full;
		count->map_full -= base->map_full;
		recorded->counts.written[i] -= r->base.counts.written[i];
	}
	return 1;
}

/* Whether there is something after it */
static int read_end(struct recording *r, struct recorded *recorded)
{
	uint64_t how = get_varint(&r->frame);
	uint64_t time = get_varint(&r->frame);

	if (r->frame.bad)
		return damaged(r);
	if (how == END_PART && r->part < r->last) {
		r->part++;
		return 0;
	}
	r->ended = how == END_RUN;
	r->end = time;
	r->eof = true;
	recorded->kind = RECORDED_END;
	return 1;
}

/* No more frames, and none that says so */
static int cut_off(struct recording *r, struct recorded *recorded)
{
	const struct part *part = &r->parts[r->part];

	if (ferror(part->file)) {
		complain("%s cannot be read from byte %" PRIu64 " on: %s",
			 part->path, part->offset, strerror(errno));
		r->damaged = true;
		return -EBADMSG;
	}
	if (r->part < r->last)
		return damaged(r);
	r->eof = true;
	recorded->kind = RECORDED_END;
	return 1;
}

/* 1: @recorded is filled in; 0: there was nothing in it to return. */
static int next_frame(struct recording *r, struct recorded *recorded)
{
	struct cursor *c = &r->frame;
	int kind;

	switch (read_frame(r, &r->parts[r->part], &kind)) {
	case FRAME_CUT:
		return cut_off(r, recorded);
	case FRAME_BAD:
		return damaged(r);
	case FRAME_OK:
		break;
	}
	switch (kind) {
	case FRAME_EVENTS:
		batch_start(&r->batch);
		r->events = *c;
		return 0;
	case FRAME_SNAPSHOT:
		return read_snapshot(r, recorded);
	case FRAME_SYMBOL:
		recorded->kind = RECORDED_SYMBOL;
		recorded->symbol.pid = get_varint(c);
		recorded->symbol.ip = get_varint(c);
		recorded->symbol.name = (const char *)c->p;
		break;
	case FRAME_CGROUP:
		recorded->kind = RECORDED_CGROUP;
		recorded->cgroup.id = get_varint(c);
		recorded->cgroup.path = (const char *)c->p;
		break;
	case FRAME_ACCOUNT:
		recorded->kind = RECORDED_ACCOUNT;
		recorded->account = (const char *)c->p;
		return r->part == r->first;
	case FRAME_COUNTS:
		return read_counts(r, recorded);
	case FRAME_BASE:
		if (r->part != r->first)
			return 0;
		return get_counts(r, &r->base) ? 0 : damaged(r);
	case FRAME_END:
		return read_end(r, recorded);
	default: /* of a newer version */
		return 0;
	}
	return c->bad ? damaged(r) : 1;
}

int recording_next(struct recording *r, struct recorded *recorded)
{
	int result = 0;

	while (!result && !r->damaged && !r->eof) {
		if (r->events.p < r->events.end)
			result = next_entry(r, recorded);
		else
			result = next_frame(r, recorded);
	}
	if (r->damaged)
		return -EBADMSG;
	if (r->eof)
		recorded->kind = RECORDED_END;
	return 0;
}
