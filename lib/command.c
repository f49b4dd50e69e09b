// SPDX-License-Identifier: LGPL-2.1-or-later
/* The commands of /dev/bus1, one call each. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include "internal.h"

/*
 * Which entries of an array say CREATE. A command that fails with EFAULT or
 * EBADRQC may have replaced them by IDs that came to nothing; one bit each is
 * enough to put them back, and needs no memory that might be missing.
 */
struct created {
	unsigned char bits[BUS1_MAX_TRANSFERS / 8];
};

static void created_save(struct created *c, const struct bus1_transfer *array,
			 size_t n)
{
	size_t i;

	memset(c->bits, 0, (n + 7) / 8);
	for (i = 0; i < n; i++)
		if (array[i].flags == BUS1_TRANSFER_FLAG_CREATE &&
		    array[i].id == BUS1_INVALID)
			c->bits[i / 8] |= 1 << i % 8;
}

static void created_restore(const struct created *c,
			    struct bus1_transfer *array, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (c->bits[i / 8] & 1 << i % 8) {
			array[i].flags = BUS1_TRANSFER_FLAG_CREATE;
			array[i].id = BUS1_INVALID;
		}
}

int libbus1_open(void)
{
	int fd;

	do {
		fd = open("/dev/bus1", O_RDWR | O_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

int libbus1_wait(int peer, int timeout)
{
	struct pollfd p = { .fd = peer, .events = POLLIN };
	int64_t end = now_ms() + timeout, left = timeout;
	int r;

	/* poll(2) takes no notice of a negative one. */
	if (peer < 0)
		return -EBADF;
	for (;;) {
		r = poll(&p, 1, left);
		if (r > 0)
			return p.revents & POLLNVAL ? -EBADF : 1;
		if (r == 0)
			return 0;
		if (errno != EINTR)
			return -errno;
		if (timeout > 0) {
			left = end - now_ms();
			if (left < 0)
				left = 0;
		}
	}
}

int libbus1_features(int peer, uint64_t *features)
{
	struct bus1_cmd_features cmd = { 0 };

	if (ioctl(peer, BUS1_CMD_FEATURES, &cmd) < 0)
		return -errno;
	*features = cmd.features;
	return 0;
}

uint64_t libbus1_deadline(int timeout)
{
	struct timespec ts;

	if (timeout <= 0)
		return timeout ? BUS1_INVALID : 0;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec +
	       timeout * UINT64_C(1000000);
}

int libbus1_transfer(int peer, int to, struct bus1_transfer *src,
		     struct bus1_transfer *dst, size_t n)
{
	struct bus1_cmd_transfer cmd = {
		/* A negative descriptor must not become BUS1_INVALID. */
		.to = to == peer ? BUS1_INVALID : (unsigned int)to,
		.n_transfers = n,
		.ptr_src = BUS1_FROM_PTR(src),
		.ptr_dst = BUS1_FROM_PTR(dst),
	};
	struct created created;
	int r;

	if (n > BUS1_MAX_TRANSFERS)
		return -EMSGSIZE;
	if (peer < 0 || to < 0)
		return -EBADF;
	created_save(&created, src, n);
	do {
		r = ioctl(peer, BUS1_CMD_TRANSFER, &cmd) < 0 ? -errno : 0;
		if (r < 0)
			created_restore(&created, src, n);
	} while (r == -EINTR);
	return r;
}

int libbus1_release(int peer, const uint64_t *ids, size_t n)
{
	struct bus1_cmd_release cmd = {
		.n_ids = n,
		.ptr_ids = BUS1_FROM_PTR(ids),
	};
	int r;

	do {
		r = ioctl(peer, BUS1_CMD_RELEASE, &cmd) < 0 ? -errno : 0;
	} while (r == -EINTR);
	return r;
}

int libbus1_send(int peer, uint64_t flags, const uint64_t *destinations,
		 size_t n_destinations, int32_t *errors,
		 const struct bus1_message *message)
{
	struct bus1_transfer *transfers = BUS1_TO_PTR(message->ptr_transfers);
	struct bus1_cmd_send cmd = {
		.flags = flags,
		.n_destinations = n_destinations,
		.ptr_destinations = BUS1_FROM_PTR(destinations),
		.ptr_errors = BUS1_FROM_PTR(errors),
		.ptr_message = BUS1_FROM_PTR(message),
	};
	struct created created;
	int r;

	if (message->n_transfers > BUS1_MAX_TRANSFERS)
		return -EMSGSIZE;
	created_save(&created, transfers, message->n_transfers);
	do {
		r = ioctl(peer, BUS1_CMD_SEND, &cmd) < 0 ? -errno : 0;
		if (r < 0)
			created_restore(&created, transfers,
					message->n_transfers);
	} while (r == -EINTR);
	return r;
}

int libbus1_recv(int peer, struct bus1_metadata *metadata,
		 struct bus1_message *message)
{
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(metadata),
		.ptr_message = BUS1_FROM_PTR(message),
	};
	int r;

	message->type = BUS1_INVALID;
	do {
		r = ioctl(peer, BUS1_CMD_RECV, &cmd) < 0 ? -errno : 0;
	} while (r == -EINTR);
	return r;
}

int libbus1_recv_wait(int peer, uint64_t deadline,
		      struct bus1_metadata *metadata,
		      struct bus1_message *message)
{
	struct bus1_cmd_recv cmd = {
		.flags = deadline ? BUS1_RECV_FLAG_WAIT : 0,
		.ptr_metadata = BUS1_FROM_PTR(metadata),
		.ptr_message = BUS1_FROM_PTR(message),
	};
	struct bus1_received received;
	int r;

	message->type = BUS1_INVALID;
	if (!deadline || deadline == BUS1_INVALID)
		return ioctl(peer, BUS1_CMD_RECV, &cmd) < 0 ? -errno : 0;

	/* RECV has no room for a deadline. */
	received.message = *message;
	r = libbus1_recv_batch(peer, deadline, &received, 1);
	*message = received.message;
	if (r < 0)
		return r;
	*metadata = received.metadata;
	return 0;
}

int libbus1_recv_batch(int peer, uint64_t deadline,
		       struct bus1_received *received, size_t n)
{
	struct bus1_cmd_recv_batch cmd = {
		.flags = deadline ? BUS1_RECV_FLAG_WAIT : 0,
		.deadline = deadline,
		.n_received = n < BUS1_MAX_BATCH ? n : BUS1_MAX_BATCH,
		.ptr_received = BUS1_FROM_PTR(received),
	};
	size_t i;
	int r;

	for (i = 0; i < cmd.n_received; i++)
		received[i].message.type = BUS1_INVALID;
	r = ioctl(peer, BUS1_CMD_RECV_BATCH, &cmd);
	return r < 0 ? -errno : r;
}

int libbus1_call(int peer, uint64_t deadline, uint64_t destination,
		 const struct bus1_message *send,
		 struct bus1_metadata *metadata, struct bus1_message *message)
{
	struct bus1_transfer *transfers = BUS1_TO_PTR(send->ptr_transfers);
	struct bus1_cmd_call cmd = {
		.deadline = deadline,
		.destination = destination,
		.send = *send,
		.received = { .message = *message },
	};
	struct created created;
	int r;

	if (send->n_transfers > BUS1_MAX_TRANSFERS)
		return -EMSGSIZE;
	cmd.received.message.type = BUS1_INVALID;
	created_save(&created, transfers, send->n_transfers);
	r = ioctl(peer, BUS1_CMD_CALL, &cmd);
	if (r < 0) {
		r = -errno;
		created_restore(&created, transfers, send->n_transfers);
	}
	if (!r)
		*metadata = cmd.received.metadata;
	*message = cmd.received.message;
	return r;
}

int libbus1_name(int peer, const char *name)
{
	struct bus1_cmd_name cmd = {
		.n_name = name ? strlen(name) : 0,
		.ptr_name = BUS1_FROM_PTR(name),
	};

	return ioctl(peer, BUS1_CMD_NAME, &cmd) < 0 ? -errno : 0;
}

int libbus1_node_new(int peer, uint64_t *node, uint64_t *handle)
{
	struct bus1_transfer src = { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };
	struct bus1_transfer dst;
	int r;

	r = libbus1_transfer(peer, peer, &src, &dst, 1);
	if (r < 0)
		return r;
	*node = src.id;
	*handle = dst.id;
	return 0;
}

int libbus1_post(int peer, uint64_t handle, const void *data, size_t n_data,
		 struct bus1_transfer *transfers, size_t n_transfers)
{
	struct iovec vec = { (void *)data, n_data };
	struct bus1_message message = {
		.type = BUS1_MESSAGE_TYPE_USER,
		.n_transfers = n_transfers,
		.ptr_transfers = BUS1_FROM_PTR(transfers),
		.n_data = n_data,
		.n_data_vecs = n_data ? 1 : 0,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};

	return libbus1_send(peer, 0, &handle, 1, NULL, &message);
}
