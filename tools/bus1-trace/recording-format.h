/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_RECORDING_FORMAT_H
#define _BUS1_TRACE_RECORDING_FORMAT_H

#include "recording.h"

/*
 * DOC: the format of a recording
 *
 * What both sides share; bus1-trace(5) is its manual. All that is read comes
 * from a cursor, which never leaves the frame: where it would, it says so, and
 * returns 0 from there on.
 */
#define FORMAT_MAGIC "bus1rec\n"
#define FORMAT_MAGIC_SIZE 8
#define FORMAT_MAJOR 1
#define FORMAT_MINOR 0
#define FORMAT_START (FORMAT_MAGIC_SIZE + 4)

/* A frame: its kind, the length of what is in it, that, and their CRC-32 */
#define FRAME_HEAD 4 /* at most */
#define FRAME_MAX (1 << 17)
#define FRAME_CRC 4

enum frame_kind {
	FRAME_INFO = 1,
	FRAME_EVENTS,
	FRAME_SNAPSHOT,
	FRAME_SYMBOL,
	FRAME_CGROUP,
	FRAME_ACCOUNT,
	FRAME_COUNTS,
	FRAME_END,
	FRAME_BASE,
};

/* FRAME_SNAPSHOT: its first byte; the rest is deflated text */
#define CHUNK_LAST 0x1
#define CHUNK_SIZE (1 << 16) /* of the text, at most */

/* FRAME_END: how it goes on */
enum { END_RUN, END_PART };

/* FRAME_EVENTS: what an entry begins with, shifted by two; events follow. */
enum { CODE_STACK, CODE_PAYLOAD, CODE_EVENT };
#define CODE_CONTEXT 0x1
#define CODE_COUNT 0x2 /* the number of arguments follows */

/* Of types in one file, of arguments, and of tasks in one frame */
#define TYPES_MAX 64
#define ARGS_MAX 16
#define TASKS_MAX 1024

/* A type of event, as the file describes it. */
struct file_type {
	uint32_t type; /* EV_*, EV_MAX if this program does not know it */
	uint32_t time; /* which argument that is */
	uint32_t relative; /* mask of those that are close to the time */
};

struct task {
	uint32_t pid, tid;
	uint64_t cgroup;
	char comm[16];
};

/* What the next event is told by its difference from; anew in each frame */
struct batch {
	uint64_t time, ip;
	struct {
		uint32_t n;
		uint64_t arg[ARGS_MAX];
	} last[TYPES_MAX];
	struct task tasks[TASKS_MAX];
	uint32_t n_tasks;
	uint16_t slots[2 * TASKS_MAX]; /* writer: hash of a task to its number + 1 */
};

struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

/* What a frame is put together in; there is room for what is put. */
struct frame {
	size_t n;
	uint8_t bytes[FRAME_HEAD + FRAME_MAX + FRAME_CRC];
};

static inline uint8_t *frame_data(struct frame *f)
{
	return f->bytes + FRAME_HEAD;
}

/* recording-codec.c */
extern const char *const type_names[EV_MAX];
extern const struct file_type type_format[EV_MAX];
/* The arguments that this program knows. Of an older schema there may be fewer,
 * but not less than up to the time: what was appended later comes after it. */
extern const uint8_t type_args[EV_MAX];

size_t encode_varint(uint8_t *p, uint64_t v);
void put_varint(struct frame *f, uint64_t v);
void put_signed(struct frame *f, uint64_t v);
void put_bytes(struct frame *f, const void *data, size_t n);
uint64_t get_varint(struct cursor *c);
uint64_t get_signed(struct cursor *c);
const void *get_bytes(struct cursor *c, size_t n);

void batch_start(struct batch *b);
/* No room for one more entry, whatever it is */
bool batch_full(const struct batch *b, const struct frame *f);
/* @number: of its type in this file, which is as @format */
void batch_put_event(struct batch *b, struct frame *f, uint32_t number,
		     const struct file_type *format, const struct bus1_event *e,
		     uint32_t n);
void batch_put_stack(struct batch *b, struct frame *f,
		     const struct bus1_stack *s);
void batch_put_payload(struct frame *f, const struct bus1_bytes *p);
/* What follows @code. False: that cannot be. */
bool batch_get_event(struct batch *b, struct cursor *c, uint64_t code,
		     const struct file_type *format, struct bus1_event *e,
		     uint32_t *n);
bool batch_get_stack(struct batch *b, struct cursor *c, struct bus1_stack *s);
bool batch_get_payload(struct cursor *c, struct bus1_bytes *p);

#endif /* _BUS1_TRACE_RECORDING_FORMAT_H */
