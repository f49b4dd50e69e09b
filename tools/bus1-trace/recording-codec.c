// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: events as bytes
 *
 * An event resembles the one of its type before it: IDs and sequence numbers
 * grow by a little, most else is the same. So each argument is the difference
 * from what it was then, and its time the difference from the event before it,
 * of whatever type: small numbers, and one byte holds a small number.
 */
#include <string.h>
#include "recording-format.h"

#define X(name, ...) [EV_##name] = #name,
const char *const type_names[EV_MAX] = { BUS1_EVENTS(X) };
#undef X
#define X(name, n, at, ...) [EV_##name] = { .type = EV_##name, .time = at, \
	.relative = EV_##name == EV_tx_commit ? 1 << 6 : 0 },
const struct file_type type_format[EV_MAX] = { BUS1_EVENTS(X) };
#undef X
#define X(name, n, ...) [EV_##name] = n,
const uint8_t type_args[EV_MAX] = { BUS1_EVENTS(X) };
#undef X

/* Seven bits a byte, the lowest first; the top bit says that more follow. */
size_t encode_varint(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		p[n++] = v | 0x80;
	p[n++] = v;
	return n;
}

void put_varint(struct frame *f, uint64_t v)
{
	f->n += encode_varint(frame_data(f) + f->n, v);
}

/* A difference: small if it is near 0 on either side */
void put_signed(struct frame *f, uint64_t v)
{
	put_varint(f, v << 1 ^ -(v >> 63));
}

void put_bytes(struct frame *f, const void *data, size_t n)
{
	memcpy(frame_data(f) + f->n, data, n);
	f->n += n;
}

uint64_t get_varint(struct cursor *c)
{
	uint64_t v = 0;
	int shift;

	for (shift = 0; shift < 64 && c->p < c->end; shift += 7) {
		uint8_t byte = *c->p++;

		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	c->bad = true;
	c->p = c->end;
	return 0;
}

uint64_t get_signed(struct cursor *c)
{
	uint64_t v = get_varint(c);

	return v >> 1 ^ -(v & 1);
}

/* NULL: there are not that many. */
const void *get_bytes(struct cursor *c, size_t n)
{
	const void *p = c->p;

	if (n > (size_t)(c->end - c->p)) {
		c->bad = true;
		c->p = c->end;
		return NULL;
	}
	c->p += n;
	return p;
}

void batch_start(struct batch *b)
{
	b->time = b->ip = 0;
	b->n_tasks = 0;
	memset(b->last, 0, sizeof(b->last));
	memset(b->slots, 0, sizeof(b->slots));
}

/* The largest entry is a payload; numbers take 10 bytes at most. */
#define ENTRY_MAX (BUS1_PAYLOAD_MAX + 10 * 16)
_Static_assert(ENTRY_MAX > 10 * (BUS1_STACK_MAX + 4), "a stack is larger");
_Static_assert(ENTRY_MAX > 10 * (ARGS_MAX + 8) + 16, "an event is larger");

bool batch_full(const struct batch *b, const struct frame *f)
{
	return f->n > CHUNK_SIZE - ENTRY_MAX || b->n_tasks == TASKS_MAX;
}

/* The number of @task in this frame; a new one follows it. */
static void put_task(struct batch *b, struct frame *f, const struct task *task)
{
	const uint32_t mask = 2 * TASKS_MAX - 1;
	uint64_t hash = (task->tid ^ task->cgroup << 32) * 0x9e3779b97f4a7c15;
	uint32_t i;

	for (i = hash >> 40 & mask; b->slots[i]; i = (i + 1) & mask) {
		if (!memcmp(&b->tasks[b->slots[i] - 1], task, sizeof(*task))) {
			put_varint(f, b->slots[i] - 1);
			return;
		}
	}
	put_varint(f, b->n_tasks);
	put_varint(f, task->pid);
	put_varint(f, task->tid);
	put_varint(f, task->cgroup);
	put_varint(f, strlen(task->comm));
	put_bytes(f, task->comm, strlen(task->comm));
	b->tasks[b->n_tasks++] = *task;
	b->slots[i] = b->n_tasks;
}

static const struct task *get_task(struct batch *b, struct cursor *c)
{
	uint64_t number = get_varint(c), n;
	struct task *task;
	const void *comm;

	if (number > b->n_tasks || number >= TASKS_MAX)
		return NULL;
	task = &b->tasks[number];
	if (number < b->n_tasks)
		return task;
	memset(task, 0, sizeof(*task));
	task->pid = get_varint(c);
	task->tid = get_varint(c);
	task->cgroup = get_varint(c);
	n = get_varint(c);
	if (n >= sizeof(task->comm))
		return NULL;
	comm = get_bytes(c, n);
	if (c->bad)
		return NULL;
	memcpy(task->comm, comm, n);
	b->n_tasks++;
	return task;
}

void batch_put_event(struct batch *b, struct frame *f, uint32_t number,
		     const struct file_type *format, const struct bus1_event *e,
		     uint32_t n)
{
	uint64_t *last = b->last[number].arg;
	struct task task = {
		.pid = e->pid,
		.tid = e->tid,
		.cgroup = e->cgroup,
	};
	bool other = n != b->last[number].n;
	uint32_t i;

	memcpy(task.comm, e->comm, sizeof(task.comm) - 1);
	put_varint(f, (CODE_EVENT + number) << 2 | (other ? CODE_COUNT : 0) |
			      (e->flags & BUS1_EVENT_CONTEXT ? CODE_CONTEXT :
							       0));
	if (other)
		put_varint(f, n);
	b->last[number].n = n;
	put_task(b, f, &task);
	put_signed(f, e->arg[format->time] - b->time);
	b->time = e->arg[format->time];
	for (i = 0; i < n; i++) {
		if (i == format->time)
			continue;
		if (format->relative >> i & 1)
			put_signed(f, e->arg[i] - b->time);
		else
			put_signed(f, e->arg[i] - last[i]);
		last[i] = e->arg[i];
	}
}

bool batch_get_event(struct batch *b, struct cursor *c, uint64_t code,
		     const struct file_type *format, struct bus1_event *e,
		     uint32_t *n)
{
	uint32_t number = (code >> 2) - CODE_EVENT, i;
	uint64_t *last = b->last[number].arg, args, v;
	const struct task *task;

	args = code & CODE_COUNT ? get_varint(c) : b->last[number].n;
	if (args > ARGS_MAX || args <= format->time)
		return false;
	*n = b->last[number].n = args;
	task = get_task(b, c);
	if (!task)
		return false;
	memset(e, 0, sizeof(*e));
	e->type = format->type;
	e->flags = code & CODE_CONTEXT ? BUS1_EVENT_CONTEXT : 0;
	e->pid = task->pid;
	e->tid = task->tid;
	e->cgroup = task->cgroup;
	memcpy(e->comm, task->comm, sizeof(e->comm));
	b->time += get_signed(c);
	for (i = 0; i < args; i++) {
		if (i == format->time)
			v = b->time;
		else if (format->relative >> i & 1)
			v = get_signed(c) + b->time;
		else
			v = get_signed(c) + last[i];
		last[i] = v;
		if (i < BUS1_EVENT_ARGS)
			e->arg[i] = v;
	}
	return !c->bad;
}

void batch_put_stack(struct batch *b, struct frame *f,
		     const struct bus1_stack *s)
{
	uint32_t i;

	put_varint(f, CODE_STACK << 2);
	put_varint(f, s->pid);
	put_varint(f, s->tid);
	put_varint(f, s->n);
	for (i = 0; i < s->n; i++) {
		put_signed(f, s->ip[i] - b->ip);
		b->ip = s->ip[i];
	}
}

bool batch_get_stack(struct batch *b, struct cursor *c, struct bus1_stack *s)
{
	uint64_t n;
	uint32_t i;

	memset(s, 0, sizeof(*s));
	s->type = EV_STACK;
	s->pid = get_varint(c);
	s->tid = get_varint(c);
	n = get_varint(c);
	if (n > BUS1_STACK_MAX)
		return false;
	s->n = n;
	for (i = 0; i < n; i++) {
		b->ip += get_signed(c);
		s->ip[i] = b->ip;
	}
	return !c->bad;
}

void batch_put_payload(struct frame *f, const struct bus1_bytes *p)
{
	put_varint(f, CODE_PAYLOAD << 2);
	put_varint(f, p->peer);
	put_varint(f, p->tx);
	put_varint(f, p->index);
	put_varint(f, p->n);
	put_bytes(f, p->data, p->n);
}

bool batch_get_payload(struct cursor *c, struct bus1_bytes *p)
{
	const void *data;
	uint64_t n;

	memset(p, 0, sizeof(*p));
	p->type = EV_PAYLOAD;
	p->peer = get_varint(c);
	p->tx = get_varint(c);
	p->index = get_varint(c);
	n = get_varint(c);
	if (n > BUS1_PAYLOAD_MAX)
		return false;
	data = get_bytes(c, n);
	if (c->bad)
		return false;
	p->n = n;
	memcpy(p->data, data, n);
	return true;
}
