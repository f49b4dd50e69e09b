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

static inline int raw_recv(int fd, struct raw_msg *m, void *data, size_t len,
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
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	if (ioctl(fd, BUS1_CMD_RECV, &cmd) < 0)
		return errno;
	m->type = msg.type;
	m->id = meta.id;
	m->n_data = msg.n_data;
	m->n_t = msg.n_transfers;
	return 0;
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
