// SPDX-License-Identifier: GPL-2.0-only
/*
 * bus1, by the bare ioctls. What does not change from one message to the next
 * is made once.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "../stress/b1-raw.h"
#include "ipc.h"

/* One peer, and what its calls are told. */
struct side {
	uint64_t to;
	struct bus1_metadata meta;
	struct bus1_message out;
	struct bus1_message in;
	struct iovec out_vec;
	struct iovec in_vec;
	struct bus1_cmd_send send;
	struct bus1_cmd_recv recv;
	struct bus1_cmd_call call;
	struct bus1_received many[IPC_BATCH];
	struct bus1_cmd_recv_batch batch;
};

static struct side sides[2];

static uint64_t features(int fd)
{
	struct bus1_cmd_features cmd = { 0 };

	return ioctl(fd, BUS1_CMD_FEATURES, &cmd) ? 0 : cmd.features;
}

static const char *open_with(struct ipc_end *e, uint64_t needed)
{
	struct side *s;
	uint64_t node;
	int i, r;

	for (i = 0; i < 2; i++) {
		e[i].rx = raw_open();
		if (e[i].rx < 0)
			return "/dev/bus1 cannot be opened: load the module";
		e[i].tx = e[i].rx;
		e[i].more = &sides[i];
	}
	if (~features(e[0].rx) & needed)
		return "bus1: ENOTTY: the module has no such command or flag";
	for (i = 0; i < 2; i++) {
		s = &sides[i];
		r = raw_node(e[!i].rx, e[i].rx, &node, &s->to);
		if (r) {
			errno = r;
			bench_fail("TRANSFER");
		}
		s->send.n_destinations = 1;
		s->send.ptr_destinations = BUS1_FROM_PTR(&s->to);
		s->send.ptr_message = BUS1_FROM_PTR(&s->out);
		s->recv.ptr_metadata = BUS1_FROM_PTR(&s->meta);
		s->recv.ptr_message = BUS1_FROM_PTR(&s->in);
		s->call.deadline = BUS1_INVALID;
		s->call.destination = s->to;
		s->batch.n_received = IPC_BATCH;
		s->batch.ptr_received = BUS1_FROM_PTR(s->many);
	}
	return NULL;
}

#define OPEN_WITH(_name, _needed)                                        \
	static const char *_name(struct ipc_end *e, size_t n, int many)  \
	{                                                                \
		(void)n;                                                 \
		(void)many;                                              \
		return open_with(e, _needed);                            \
	}

OPEN_WITH(vec_open, 0)
OPEN_WITH(flat_open, BUS1_FEATURE_FLAT)
OPEN_WITH(wait_open, BUS1_FEATURE_FLAT | BUS1_FEATURE_WAIT)
OPEN_WITH(call_open, BUS1_FEATURE_FLAT | BUS1_FEATURE_WAIT | BUS1_FEATURE_CALL)
OPEN_WITH(batch_open, BUS1_FEATURE_FLAT | BUS1_FEATURE_BATCH)

static inline void flat(struct bus1_message *m, const void *data, size_t n)
{
	m->flags = BUS1_MESSAGE_FLAG_FLAT;
	m->n_data = n;
	m->n_data_vecs = n;
	m->ptr_data_vecs = BUS1_FROM_PTR(data);
}

static inline void vec(struct bus1_message *m, struct iovec *v,
		       const void *data, size_t n)
{
	v->iov_base = (void *)data;
	v->iov_len = n;
	m->n_data = n;
	m->n_data_vecs = 1;
	m->ptr_data_vecs = BUS1_FROM_PTR(v);
}

static inline void room_for(struct bus1_message *m)
{
	m->type = BUS1_INVALID;
	m->n_transfers = 0;
}

static inline void is_whole(const struct bus1_message *m, size_t n)
{
	if (m->type == BUS1_MESSAGE_TYPE_USER && m->n_data == n)
		return;
	errno = EBADMSG;
	bench_fail("bus1: another message than was sent");
}

static void send_it(struct ipc_end *e, struct side *s)
{
	if (ioctl(e->tx, BUS1_CMD_SEND, &s->send))
		bench_fail("SEND");
}

static void recv_it(struct ipc_end *e, struct side *s, size_t n)
{
	if (ioctl(e->rx, BUS1_CMD_RECV, &s->recv))
		bench_fail("RECV");
	is_whole(&s->in, n);
}

static void wait_for_it(struct ipc_end *e)
{
	struct pollfd p = { .fd = e->rx, .events = POLLIN };

	if (poll(&p, 1, -1) != 1)
		bench_fail("poll");
}

static void flat_put(struct ipc_end *e, const void *data, size_t n)
{
	struct side *s = e->more;

	flat(&s->out, data, n);
	send_it(e, s);
}

static void flat_get(struct ipc_end *e, void *room, size_t n)
{
	struct side *s = e->more;

	flat(&s->in, room, n);
	room_for(&s->in);
	recv_it(e, s, n);
}

static void poll_get(struct ipc_end *e, void *room, size_t n)
{
	wait_for_it(e);
	flat_get(e, room, n);
}

static void wait_get(struct ipc_end *e, void *room, size_t n)
{
	struct side *s = e->more;

	s->recv.flags = BUS1_RECV_FLAG_WAIT;
	flat_get(e, room, n);
}

static void vec_put(struct ipc_end *e, const void *data, size_t n)
{
	struct side *s = e->more;

	vec(&s->out, &s->out_vec, data, n);
	send_it(e, s);
}

static void vec_get(struct ipc_end *e, void *room, size_t n)
{
	struct side *s = e->more;

	vec(&s->in, &s->in_vec, room, n);
	room_for(&s->in);
	recv_it(e, s, n);
}

static void vec_poll_get(struct ipc_end *e, void *room, size_t n)
{
	wait_for_it(e);
	vec_get(e, room, n);
}

static void call(struct ipc_end *e, const void *data, void *room, size_t n)
{
	struct side *s = e->more;
	int r;

	flat(&s->call.send, data, n);
	flat(&s->call.received.message, room, n);
	room_for(&s->call.received.message);
	r = ioctl(e->tx, BUS1_CMD_CALL, &s->call);
	if (r) {
		errno = r < 0 ? errno : r;
		bench_fail(r < 0 ? "CALL: sending" : "CALL: receiving");
	}
	is_whole(&s->call.received.message, n);
}

static void call_serve(struct ipc_end *e, void *room, size_t n)
{
	wait_get(e, room, n);
	for (;;)
		call(e, room, room, n);
}

static void batch(struct ipc_end *e, const void *data, void *room, size_t n)
{
	struct side *s = e[1].more;
	int i;

	for (i = 0; i < IPC_BATCH; i++)
		flat_put(&e[0], data, n);
	for (i = 0; i < IPC_BATCH; i++) {
		flat(&s->many[i].message, (char *)room + i * ipc_step(n), n);
		room_for(&s->many[i].message);
	}
	i = ioctl(e[1].rx, BUS1_CMD_RECV_BATCH, &s->batch);
	if (i != IPC_BATCH) {
		errno = i < 0 ? errno : EBADMSG;
		bench_fail("RECV_BATCH");
	}
	for (i = 0; i < IPC_BATCH; i++)
		is_whole(&s->many[i].message, n);
}

const struct ipc_way ipc_bus1[] = {
	{ .name = "bus1-call", .groups = IPC_ROUNDTRIP,
	  .open = call_open, .call = call, .serve = call_serve },
	{ .name = "bus1-wait", .groups = IPC_ROUNDTRIP,
	  .open = wait_open, .put = flat_put, .get = wait_get },
	{ .name = "bus1-poll", .groups = IPC_ROUNDTRIP,
	  .open = flat_open, .put = flat_put, .get = poll_get },
	{ .name = "bus1", .groups = IPC_ONEWAY | IPC_BURST,
	  .open = flat_open, .put = flat_put, .get = flat_get },
	{ .name = "bus1-batch", .groups = IPC_ONEWAY,
	  .open = batch_open, .batch = batch },
	/* the four commands of the beginning */
	{ .name = "bus1-iovec", .groups = IPC_ROUNDTRIP,
	  .open = vec_open, .put = vec_put, .get = vec_poll_get },
	{ .name = "bus1-iovec", .groups = IPC_ONEWAY | IPC_BURST,
	  .open = vec_open, .put = vec_put, .get = vec_get },
	{ 0 }
};
