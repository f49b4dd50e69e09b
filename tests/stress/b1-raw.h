/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_B1_RAW_H
#define _TESTS_B1_RAW_H

/*
 * DOC: the bare ioctls, for stress and benchmarks
 *
 * Nothing but the call: every function returns 0 or a positive errno, makes no
 * library call besides ioctl(), and may be used after fork() in a child of a
 * threaded program. ../uapi/b1.h checks what the kernel wrote; this does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bus1.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static inline int raw_open(void)
{
	return open("/dev/bus1", O_RDWR | O_CLOEXEC);
}

static inline int raw_transfer(int fd, uint64_t to, uint64_t n,
			       struct bus1_transfer *src,
			       struct bus1_transfer *dst)
{
	struct bus1_cmd_transfer cmd = {
		.to = to,
		.n_transfers = n,
		.ptr_src = BUS1_FROM_PTR(src),
		.ptr_dst = BUS1_FROM_PTR(dst),
	};

	return ioctl(fd, BUS1_CMD_TRANSFER, &cmd) < 0 ? errno : 0;
}

static inline int raw_release(int fd, uint64_t n, const uint64_t *ids)
{
	struct bus1_cmd_release cmd = {
		.n_ids = n,
		.ptr_ids = BUS1_FROM_PTR(ids),
	};

	return ioctl(fd, BUS1_CMD_RELEASE, &cmd) < 0 ? errno : 0;
}

static inline int raw_send(int fd, uint64_t n, const uint64_t *to,
			   const void *data, size_t len,
			   struct bus1_transfer *t, uint64_t n_t)
{
	struct iovec vec = { (void *)data, len };
	struct bus1_message msg = {
		.type = BUS1_MESSAGE_TYPE_USER,
		.n_transfers = n_t,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = len,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_send cmd = {
		.n_destinations = n,
		.ptr_destinations = BUS1_FROM_PTR(to),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	return ioctl(fd, BUS1_CMD_SEND, &cmd) < 0 ? errno : 0;
}

/* What was received; @data and @t are the caller's room. */
struct raw_msg {
	uint64_t type;
	uint64_t id;
	uint64_t n_data;
	uint64_t n_t;
};

static inline void raw_got(struct raw_msg *m, const struct bus1_metadata *meta,
			   const struct bus1_message *msg)
{
	m->type = msg->type;
	m->id = meta->id;
	m->n_data = msg->n_data;
	m->n_t = msg->n_transfers;
}

/* @flags: 0 or BUS1_RECV_FLAG_WAIT */
static inline int raw_recv_flags(int fd, uint64_t flags, struct raw_msg *m,
				 void *data, size_t len,
				 struct bus1_transfer *t, uint64_t n_t)
{
	struct bus1_metadata meta = { 0 };
	struct iovec vec = { data, len };
	struct bus1_message msg = {
		.type = BUS1_INVALID,
		.n_transfers = n_t,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = len,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_recv cmd = {
		.flags = flags,
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	if (ioctl(fd, BUS1_CMD_RECV, &cmd) < 0)
		return errno;
	raw_got(m, &meta, &msg);
	return 0;
}

static inline int raw_recv(int fd, struct raw_msg *m, void *data, size_t len,
			   struct bus1_transfer *t, uint64_t n_t)
{
	return raw_recv_flags(fd, 0, m, data, len, t, n_t);
}

/* Room for one message of a batch, or the reply to a call. */
static inline struct bus1_received raw_room(void *data, size_t len,
					    struct bus1_transfer *t,
					    uint64_t n_t)
{
	return (struct bus1_received){
		.message = {
			.flags = BUS1_MESSAGE_FLAG_FLAT,
			.type = BUS1_INVALID,
			.n_transfers = n_t,
			.ptr_transfers = BUS1_FROM_PTR(t),
			.n_data = len,
			.n_data_vecs = len,
			.ptr_data_vecs = BUS1_FROM_PTR(data),
		},
	};
}

/* Receive up to @n into @room; @got: how many. 0 or errno. */
static inline int raw_batch(int fd, uint64_t flags, uint64_t deadline,
			    struct bus1_received *room, uint64_t n,
			    uint64_t *got)
{
	struct bus1_cmd_recv_batch cmd = {
		.flags = flags,
		.deadline = deadline,
		.n_received = n,
		.ptr_received = BUS1_FROM_PTR(room),
	};
	int r = ioctl(fd, BUS1_CMD_RECV_BATCH, &cmd);

	*got = r < 0 ? 0 : r;
	return r < 0 ? errno : 0;
}

/*
 * Send to one handle, then receive. Returns 0 if it was sent, else errno; @why is
 * 0 if something was received, else errno.
 */
static inline int raw_call(int fd, uint64_t to, uint64_t deadline,
			   const void *data, size_t len,
			   struct bus1_transfer *t, uint64_t n_t,
			   struct bus1_received *room, int *why)
{
	struct bus1_cmd_call cmd = {
		.deadline = deadline,
		.destination = to,
		.send = {
			.flags = BUS1_MESSAGE_FLAG_FLAT,
			.type = BUS1_MESSAGE_TYPE_USER,
			.n_transfers = n_t,
			.ptr_transfers = BUS1_FROM_PTR(t),
			.n_data = len,
			.n_data_vecs = len,
			.ptr_data_vecs = BUS1_FROM_PTR(data),
		},
		.received = *room,
	};
	int r = ioctl(fd, BUS1_CMD_CALL, &cmd);

	*why = r < 0 ? errno : r;
	*room = cmd.received;
	return r < 0 ? errno : 0;
}

/* A node in @fd and its handle in @to; 0 or errno. */
static inline int raw_node(int fd, int to, uint64_t *node, uint64_t *handle)
{
	struct bus1_transfer src = { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };
	struct bus1_transfer dst;
	int r = raw_transfer(fd, to, 1, &src, &dst);

	if (!r) {
		*node = src.id;
		*handle = dst.id;
	}
	return r;
}

/* A copy of handle @id of @fd in @to; 0 or errno. */
static inline int raw_copy(int fd, uint64_t id, int to, uint64_t *handle)
{
	struct bus1_transfer src = { 0, id };
	struct bus1_transfer dst;
	int r = raw_transfer(fd, to, 1, &src, &dst);

	if (!r)
		*handle = dst.id;
	return r;
}

/* One pseudo-random number (splitmix64); the same seed gives the same row. */
static inline uint64_t raw_rand(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

#endif /* _TESTS_B1_RAW_H */
