// SPDX-License-Identifier: GPL-2.0-only
/* From an operation to a call: its arguments, in memory that is watched. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "ioctl-build.h"

#define HIGH (1ull << 63)

/* Around what a message can be allocated as, and a part of a large one */
static const uint32_t sizes[32] = {
	0,    8,     1,	    5,	   16,	  63,	 64,	72,
	73,   80,    100,   200,   328,	  336,	 337,	840,
	848,  1000,  1864,  1872,  2000,  4096,	 4168,	4176,
	8272, 16136, 16144, 16320, 32520, 32528, 32704, 65535,
};

size_t fuzz_op_size(const struct fuzz_op *op)
{
	return sizes[op->size % ARRAY_SIZE(sizes)];
}

/* --- IDs ---------------------------------------------------------------- */

static uint64_t choose(const struct chooser *by, unsigned int p, uint8_t sel)
{
	static const uint64_t unknown[] = {
		0, 1ull << 40 | 1, 2, BUS1_INVALID, BUS1_INVALID - 2,
		1ull << 63 | 1, 1ull << 32 | 1, 42,
	};
	unsigned int kind = fuzz_sel_kind(sel), n = sel & 15;
	uint64_t id;

	if (kind == SEL_OTHER)
		id = by->id((p + 1) % FUZZ_PEERS, SEL_LAST, n);
	else if (kind != SEL_UNKNOWN)
		id = by->id(p, kind, n);
	else
		id = 0;
	return id ? id : unknown[n % ARRAY_SIZE(unknown)];
}

static void choose_ids(struct call *c, const struct chooser *by, bool create)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		c->create[i] = create && c->op->id[i] & SEL_CREATE;
		c->id[i] = choose(by, c->op->peer % FUZZ_PEERS, c->op->id[i]);
	}
}

/* Transfers, as TRANSFER and messages have them */
static void put_transfers(struct call *c, enum role role, unsigned int n,
			  const uint64_t *id, const bool *create)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct bus1_transfer t = {
			.flags = create[i] ? BUS1_TRANSFER_FLAG_CREATE : 0,
			.id = create[i] ? BUS1_INVALID : id[i],
		};

		if (i == n - 1 && c->bad == BAD_TFLAGS)
			t.flags |= 4;
		if (i == n - 1 && c->bad == BAD_CREATE_ID)
			t = (struct bus1_transfer){
				.flags = BUS1_TRANSFER_FLAG_CREATE,
				.id = id[i] == BUS1_INVALID ? 1 : id[i],
			};
		arena_put(c, role, i * sizeof(t), &t, sizeof(t));
	}
}

/* --- messages ----------------------------------------------------------- */

/* @n bytes as up to four iovecs, one of them empty, at @at of the data. */
static unsigned int put_vecs(struct call *c, enum role vecs, uint64_t data,
			     size_t n, unsigned int parts)
{
	size_t part = n / parts, at = 0;
	unsigned int i;

	for (i = 0; i < parts; i++) {
		struct iovec v;

		v.iov_base = BUS1_TO_PTR(data + at);
		v.iov_len = i == parts - 1 ? n - at : i == 1 ? 0 : part;
		if (c->bad == BAD_VEC_LONG && i == parts - 1 &&
		    c->bad_room == (vecs == R_RVEC))
			v.iov_len = (size_t)SSIZE_MAX + 1;
		arena_put(c, vecs, i * sizeof(v), &v, sizeof(v));
		at += v.iov_len;
	}
	return parts;
}

/* What "bad" does to the numbers of a message */
static void spoil(const struct call *c, struct bus1_message *m)
{
	switch (c->bad) {
	case BAD_MFLAGS:
		m->flags |= 1ull << (c->op->room % 60 + 4);
		break;
	case BAD_TYPE:
		m->type = c->bad_room ? BUS1_MESSAGE_TYPE_USER : 1;
		break;
	case BAD_VEC_MANY:
		m->n_data_vecs = 1025;
		break;
	case BAD_VEC_LONG:
		if (m->flags & BUS1_MESSAGE_FLAG_FLAT)
			m->n_data_vecs = (uint64_t)SSIZE_MAX + 1;
		break;
	case BAD_TCOUNT_LIMIT:
		m->n_transfers = BUS1_MAX_TRANSFERS + 1;
		break;
	case BAD_TCOUNT_MAX:
		m->n_transfers = BUS1_INVALID;
		break;
	case BAD_DATA_MORE:
		m->n_data++;
		break;
	case BAD_DATA_MAX:
		m->n_data = HIGH;
		break;
	case BAD_PRODUCT:
		m->n_transfers = 16;
		break;
	default:
		break;
	}
}

/* The message to send */
static void build_message(struct call *c, const struct chooser *by,
			  struct bus1_message *m)
{
	const struct fuzz_op *op = c->op;
	unsigned int i, parts = 1 + (op->room & 3);
	/* One more iovec than the data fills */
	size_t more = op->room & 4 ? 16 : 0;
	uint64_t data;

	c->m = op->m % (FUZZ_TRANSFERS + 1);
	for (i = 0; i < c->m; i++) {
		c->tcreate[i] = op->tr[i] & SEL_CREATE;
		c->tr[i] = choose(by, op->peer % FUZZ_PEERS, op->tr[i]);
	}
	c->n_data = fuzz_op_size(op);
	c->flat = op->flags & FLAG_FLAT;
	if (c->bad == BAD_DATA_MORE || c->bad == BAD_DATA_MAX)
		more = 0;
	data = arena_place(c, R_DATA, c->n_data + more,
			   c->n_data ? more + 1 : 1);
	for (i = 0; i < c->n_data && i < c->a->r[R_DATA].seen; i++)
		c->a->r[R_DATA].at[i] = fuzz_byte(c->stamp, i);
	*m = (struct bus1_message){
		.flags = c->flat ? BUS1_MESSAGE_FLAG_FLAT : 0,
		.type = BUS1_MESSAGE_TYPE_USER,
		.n_transfers = c->m,
		.n_data = c->n_data,
		.n_data_vecs = c->n_data + more,
		.ptr_data_vecs = data,
	};
	m->ptr_transfers = arena_place(c, R_TR,
				       c->m * sizeof(struct bus1_transfer), 4);
	put_transfers(c, R_TR, c->m, c->tr, c->tcreate);
	if (!c->flat) {
		m->ptr_data_vecs = arena_place(c, R_VEC,
					       parts * sizeof(struct iovec), 4);
		m->n_data_vecs = put_vecs(c, R_VEC, data, c->n_data + more,
					  parts);
	}
	if (!c->bad_room)
		spoil(c, m);
}

/* How much room there is, compared with what will be received */
static struct room room_for(const struct call *c, unsigned int i,
			    const struct chooser *by)
{
	const struct fuzz_op *op = c->op;
	struct room r;

	by->need(op->peer % FUZZ_PEERS, i, &r);
	switch ((op->room >> 3) % 8) {
	case 1:
		break; /* exact */
	case 2:
		r.n_data -= !!r.n_data;
		break;
	case 3:
		r.n_t -= !!r.n_t;
		break;
	case 4:
		r = (struct room){ 0, 0 };
		break;
	case 5:
		r.n_data = fuzz_op_size(op);
		break;
	case 6:
		r.n_t = op->size % (FUZZ_TRANSFERS + 1);
		break;
	default:
		r.n_data += 100;
		r.n_t += 2;
	}
	return r;
}

/* All rooms of a call, into @m */
static void build_rooms(struct call *c, const struct chooser *by,
			struct bus1_message *m)
{
	const size_t one = sizeof(struct bus1_transfer);
	unsigned int i, parts = 1 + (c->op->room & 3);
	size_t n_data = 0, n_t = 0;
	uint64_t data, tr, vec = 0;

	c->rflat = c->op->flags &
		   (c->what == FUZZ_CALL ? FLAG_RFLAT : FLAG_FLAT);
	for (i = 0; i < c->rooms; i++) {
		c->room[i] = room_for(c, i, by);
		n_data += c->room[i].n_data;
		n_t += c->room[i].n_t;
	}
	data = arena_place(c, R_RDATA, n_data, 1);
	tr = arena_place(c, R_RTR, n_t * one, 4);
	if (!c->rflat)
		vec = arena_place(c, R_RVEC,
				  c->rooms * parts * sizeof(struct iovec), 4);
	for (i = 0; i < c->rooms; i++) {
		struct room *r = &c->room[i];

		m[i] = (struct bus1_message){
			.flags = c->rflat ? BUS1_MESSAGE_FLAG_FLAT : 0,
			.type = BUS1_INVALID,
			.n_transfers = r->n_t,
			.ptr_transfers = tr,
			.n_data = r->n_data,
			.n_data_vecs = r->n_data,
			.ptr_data_vecs = data,
		};
		data += r->n_data;
		tr += r->n_t * one;
		if (!c->rflat) {
			struct region *v = &c->a->r[R_RVEC];
			unsigned char *at = v->at;
			size_t seen = v->seen, off;

			/* Those of this room alone, for a moment */
			off = i * parts * sizeof(struct iovec);
			v->at += off;
			v->seen = seen > off ? seen - off : 0;
			m[i].n_data_vecs = put_vecs(c, R_RVEC,
						    m[i].ptr_data_vecs,
						    r->n_data, parts);
			v->at = at;
			v->seen = seen;
			m[i].ptr_data_vecs = vec + off;
		}
		if (c->bad_room && !i)
			spoil(c, &m[i]);
	}
}

/* --- commands ----------------------------------------------------------- */

static uint64_t flags_of(const struct call *c, uint64_t flags)
{
	return c->bad == BAD_FLAGS ? flags | 1ull << (c->op->room % 60 + 4) :
				     flags;
}

static uint64_t count_of(const struct call *c, uint64_t n, uint64_t limit)
{
	return c->bad == BAD_COUNT_LIMIT ? limit + 1 :
	       c->bad == BAD_COUNT_MAX ? BUS1_INVALID :
	       c->bad == BAD_PRODUCT ? BUS1_MAX_DESTINATIONS : n;
}

static void command(struct call *c, unsigned long cmd, const void *arg)
{
	size_t len = _IOC_SIZE(cmd);

	c->cmd = cmd;
	c->arg = arena_place(c, R_CMD, len, 4);
	arena_put(c, R_CMD, 0, arg, len);
}

static void build_transfer(struct call *c, const struct chooser *by)
{
	const size_t one = sizeof(struct bus1_transfer);
	unsigned int p = c->op->peer % FUZZ_PEERS;
	struct bus1_cmd_transfer cmd = { .flags = flags_of(c, 0) };

	c->n = c->op->n % (FUZZ_IDS + 1);
	c->to = c->op->to % FUZZ_PEERS;
	choose_ids(c, by, true);
	if (c->to == (int)p && c->op->flags & FLAG_SELF)
		cmd.to = BUS1_INVALID;
	else if (by->fd(c->to) >= 0)
		cmd.to = by->fd(c->to);
	else
		cmd.to = FD_CLOSED;
	switch (c->bad) {
	case BAD_TO_CLOSED:
		cmd.to = FD_CLOSED;
		break;
	case BAD_TO_OTHER:
		cmd.to = STDOUT_FILENO;
		break;
	case BAD_TO_HUGE:
		cmd.to = (uint32_t)c->fd | 1ull << 32;
		break;
	default:
		break;
	}
	if (cmd.to == FD_CLOSED)
		c->to = -1;
	cmd.n_transfers = count_of(c, c->n, BUS1_MAX_TRANSFERS);
	cmd.ptr_src = arena_place(c, R_IN, c->n * one, 4);
	put_transfers(c, R_IN, c->n, c->id, c->create);
	cmd.ptr_dst = arena_place(c, R_OUT, c->n * one, 4);
	command(c, BUS1_CMD_TRANSFER, &cmd);
}

static uint64_t place_ids(struct call *c, const struct chooser *by)
{
	uint64_t at;
	unsigned int i;

	c->n = c->op->n % (FUZZ_IDS + 1);
	choose_ids(c, by, false);
	at = arena_place(c, R_IN, c->n * sizeof(uint64_t), 4);
	for (i = 0; i < c->n; i++)
		arena_put64(c, R_IN, i * sizeof(uint64_t), c->id[i]);
	return at;
}

static void build_release(struct call *c, const struct chooser *by)
{
	struct bus1_cmd_release cmd = { .flags = flags_of(c, 0) };

	cmd.ptr_ids = place_ids(c, by);
	cmd.n_ids = count_of(c, c->n, BUS1_MAX_IDS);
	command(c, BUS1_CMD_RELEASE, &cmd);
}

static void build_send(struct call *c, const struct chooser *by)
{
	struct bus1_cmd_send cmd = {
		.flags = flags_of(c, c->op->flags & FLAG_CONTINUE ?
					     BUS1_SEND_FLAG_CONTINUE : 0),
	};
	struct bus1_message m;

	cmd.ptr_destinations = place_ids(c, by);
	cmd.n_destinations = count_of(c, c->n, BUS1_MAX_DESTINATIONS);
	if (c->op->flags & FLAG_ERRORS)
		cmd.ptr_errors = arena_place(c, R_OUT, c->n * sizeof(int32_t),
					     2);
	build_message(c, by, &m);
	cmd.ptr_message = arena_place(c, R_MSG, sizeof(m), 4);
	arena_put(c, R_MSG, 0, &m, sizeof(m));
	command(c, BUS1_CMD_SEND, &cmd);
}

static uint64_t deadline(const struct call *c)
{
	struct timespec now;

	if (!(c->op->flags & FLAG_LATER))
		return 1 + c->op->room;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec + 100000;
}

static void build_recv(struct call *c, const struct chooser *by)
{
	struct bus1_cmd_recv cmd = { 0 };
	struct bus1_message m;

	c->rooms = 1;
	build_rooms(c, by, &m);
	if (c->op->flags & FLAG_WAIT && by->ready(c))
		cmd.flags = BUS1_RECV_FLAG_WAIT;
	cmd.flags = flags_of(c, cmd.flags);
	cmd.ptr_metadata = arena_place(c, R_OUT, sizeof(struct bus1_metadata),
				       4);
	cmd.ptr_message = arena_place(c, R_MSG, sizeof(m), 4);
	arena_put(c, R_MSG, 0, &m, sizeof(m));
	command(c, BUS1_CMD_RECV, &cmd);
}

static void build_batch(struct call *c, const struct chooser *by)
{
	const size_t one = sizeof(struct bus1_received);
	struct bus1_message m[FUZZ_BATCH];
	struct bus1_cmd_recv_batch cmd = { 0 };
	unsigned int i;

	c->rooms = c->op->n % (FUZZ_BATCH + 1);
	build_rooms(c, by, m);
	if (c->op->flags & FLAG_WAIT) {
		cmd.flags = BUS1_RECV_FLAG_WAIT;
		cmd.deadline = c->op->flags & FLAG_LATER || !by->ready(c) ?
				       deadline(c) : BUS1_INVALID;
	} else if (c->bad == BAD_DEADLINE) {
		cmd.deadline = deadline(c);
	}
	cmd.flags = flags_of(c, cmd.flags);
	cmd.n_received = count_of(c, c->rooms, BUS1_MAX_BATCH);
	cmd.ptr_received = arena_place(c, R_IN, c->rooms * one, 4);
	for (i = 0; i < c->rooms; i++)
		arena_put(c, R_IN, i * one + sizeof(struct bus1_metadata),
			  &m[i], sizeof(m[i]));
	command(c, BUS1_CMD_RECV_BATCH, &cmd);
}

static void build_call(struct call *c, const struct chooser *by)
{
	struct bus1_cmd_call cmd = { .flags = flags_of(c, 0) };

	c->n = 1;
	c->rooms = 1;
	choose_ids(c, by, false);
	cmd.destination = c->id[0];
	build_message(c, by, &cmd.send);
	build_rooms(c, by, &cmd.received.message);
	memset(&cmd.received.metadata, 0xa5, sizeof(cmd.received.metadata));
	cmd.deadline = c->op->flags & FLAG_LATER || !by->ready(c) ?
			       deadline(c) : BUS1_INVALID;
	command(c, BUS1_CMD_CALL, &cmd);
}

static void build_features(struct call *c)
{
	struct bus1_cmd_features cmd = { .flags = flags_of(c, 0) };

	command(c, BUS1_CMD_FEATURES, &cmd);
}

static void build_name(struct call *c)
{
	struct bus1_cmd_name cmd = { .flags = flags_of(c, 0) };
	unsigned char name[40];

	c->n = c->op->n % sizeof(name);
	memset(name, c->op->to ? c->op->to : 'x', sizeof(name));
	cmd.n_name = count_of(c, c->n, BUS1_MAX_NAME);
	cmd.ptr_name = arena_place(c, R_IN, c->n, 1);
	arena_put(c, R_IN, 0, name, c->n);
	command(c, BUS1_CMD_NAME, &cmd);
}

/* No command: the number of one with another size, or another number */
static void build_raw(struct call *c)
{
	unsigned int nr = c->op->to, size = c->op->n * 8;
	unsigned char zero[2048] = { 0 };

	if (nr < 4 || (nr >= 0x80 && nr <= 0x83))
		size |= 4;
	command(c, _IOC(3, BUS1_IOCTL_MAGIC, nr, size), zero);
}

/* Some badness does not fit some calls, nor an empty array. */
static bool fits(const struct call *c)
{
	bool message = c->what == FUZZ_SEND || c->what == FUZZ_CALL ||
		       c->rooms;
	enum role role = bad_role(c);

	switch (c->bad) {
	case BAD_MFLAGS:
	case BAD_TYPE:
	case BAD_VEC_LONG:
	case BAD_TCOUNT_LIMIT:
	case BAD_TCOUNT_MAX:
	case BAD_DATA_MORE:
	case BAD_DATA_MAX:
		return message;
	case BAD_VEC_MANY:
		return message && !(c->bad_room ? c->rflat : c->flat);
	case BAD_VEC_HIGH:
		return message;
	case BAD_TFLAGS:
	case BAD_CREATE_ID:
		return c->what == FUZZ_TRANSFER ? c->n : c->m && !c->bad_room;
	case BAD_COUNT_LIMIT:
	case BAD_COUNT_MAX:
		return c->what != FUZZ_RECV && c->what != FUZZ_CALL &&
		       c->what != FUZZ_FEATURES;
	case BAD_PRODUCT:
		return c->what == FUZZ_SEND;
	case BAD_TO_CLOSED:
	case BAD_TO_OTHER:
	case BAD_TO_HUGE:
		return c->what == FUZZ_TRANSFER;
	case BAD_DEADLINE:
		return c->what == FUZZ_RECV_BATCH &&
		       !(c->op->flags & FLAG_WAIT);
	default:
		return role == N_ROLES ||
		       (c->a->r[role].at && c->a->r[role].len);
	}
}

static void build(struct call *c, const struct chooser *by)
{
	unsigned int i;

	for (i = 0; i < N_ROLES; i++) {
		c->a->r[i].at = NULL;
		c->a->r[i].read_only = false;
	}
	switch (c->what) {
	case FUZZ_TRANSFER:
		build_transfer(c, by);
		break;
	case FUZZ_RELEASE:
		build_release(c, by);
		break;
	case FUZZ_SEND:
		build_send(c, by);
		break;
	case FUZZ_RECV:
		build_recv(c, by);
		break;
	case FUZZ_RECV_BATCH:
		build_batch(c, by);
		break;
	case FUZZ_CALL:
		build_call(c, by);
		break;
	case FUZZ_FEATURES:
		build_features(c);
		break;
	case FUZZ_NAME:
		build_name(c);
		break;
	default:
		build_raw(c);
		break;
	}
}

void call_build(struct call *c, const struct fuzz_op *op, struct arena *a,
		uint32_t stamp, const struct chooser *by)
{
	enum fuzz_bad bad = fuzz_op_bad(op);

	memset(c, 0, sizeof(*c));
	c->op = op;
	c->what = fuzz_op_call(op);
	c->a = a;
	c->stamp = stamp;
	c->fd = by->fd(op->peer % FUZZ_PEERS);
	c->bad = bad;
	c->bad_room = c->what == FUZZ_RECV || c->what == FUZZ_RECV_BATCH ||
		      (c->what == FUZZ_CALL && op->flags & FLAG_ROOM);
	build(c, by);
	if (!fits(c)) {
		c->bad = BAD_NONE;
		build(c, by);
	}
	arena_snapshot(a);
}

void call_issue(struct call *c)
{
	unsigned int i;

	for (i = 0; i < N_ROLES; i++)
		if (c->a->r[i].at && c->a->r[i].read_only)
			mprotect(c->a->r[i].map, c->a->r[i].room, PROT_READ);
	c->r = ioctl(c->fd, c->cmd, c->arg);
	c->e = c->r < 0 ? errno : 0;
	for (i = 0; i < N_ROLES; i++)
		if (c->a->r[i].at && c->a->r[i].read_only)
			mprotect(c->a->r[i].map, c->a->r[i].room,
				 PROT_READ | PROT_WRITE);
}
