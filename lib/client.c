// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The client's side of the bootstrap.
 *
 * The server is lent a peer made for the purpose: whoever holds a peer's
 * descriptor can read its messages and release everything in it. What the
 * server puts there is copied into the client's real peer, so the kernel
 * confirms that it is a handle, and nothing the server does to the lent peer
 * afterwards matters.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "closer.h"
#include "internal.h"

/* Milliseconds until @end, or -1 where there is no end. */
static int64_t left(int64_t end)
{
	int64_t ms;

	if (end < 0)
		return -1;
	ms = end - now_ms();
	return ms > 0 ? ms : 0;
}

static int await(int socket, short events, int64_t end)
{
	struct pollfd p = { .fd = socket, .events = events };
	int r;

	do {
		r = poll(&p, 1, left(end));
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r ? 0 : -ETIMEDOUT;
}

static int send_request(int socket, int lent, int64_t end)
{
	struct wire_request request = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
	};
	struct iovec vec = { &request, sizeof(request) };
	union {
		char buffer[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr msg = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int r;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &lent, sizeof(int));

	for (;;) {
		if (sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		/* A server that turned us away may have left an answer. */
		if (errno == EPIPE || errno == ECONNRESET)
			return 0;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
		r = await(socket, POLLOUT, end);
		if (r < 0)
			return r;
	}
}

static int recv_reply(int socket, struct wire_reply *reply, int64_t end)
{
	struct iovec vec = { reply, sizeof(*reply) };
	/*
	 * No room for control data, and only looked at while there may be some:
	 * descriptors are never received, nor closed by receiving.
	 */
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	ssize_t n;
	int r;

	for (;;) {
		n = recvmsg(socket, &msg, MSG_PEEK | MSG_DONTWAIT);
		if (n >= 0)
			break;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
		r = await(socket, POLLIN, end);
		if (r < 0)
			return r;
	}
	if (!(msg.msg_flags & MSG_CTRUNC))
		recv(socket, NULL, 0, MSG_DONTWAIT);
	if (n == 0)
		return -ECONNRESET;
	if (n != sizeof(*reply) || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    reply->magic != WIRE_MAGIC)
		return -EPROTO;
	/* An older or newer server says which it is, and no more. */
	if (reply->version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (reply->status > 0 || reply->status < -WIRE_MAX_ERRNO)
		return -EPROTO;
	if (reply->status < 0)
		return reply->status;
	if (reply->handle == BUS1_INVALID || !(reply->handle & BUS1_MANAGED))
		return -EPROTO;
	return 0;
}

static int get_handle(int peer, int socket, int64_t end, uint64_t *handle)
{
	struct bus1_transfer src = { 0 }, dst;
	struct ucred cred = { .uid = -1 };
	socklen_t n = sizeof(cred);
	struct wire_reply reply;
	int copy, lent, r;

	r = libbus1_check_socket(socket, 0);
	if (r < 0)
		return r;
	getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &cred, &n);
	/* So that the caller's close is not the last one while it matters. */
	copy = fcntl(socket, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return -errno;
	lent = libbus1_open();
	if (lent < 0) {
		close(copy);
		return lent;
	}

	r = send_request(socket, lent, end);
	if (!r)
		r = recv_reply(socket, &reply, end);
	if (!r) {
		src.id = reply.handle;
		r = libbus1_transfer(lent, peer, &src, &dst, 1);
		/* An ID that is none: the server invented it. */
		if (r == -EBADRQC)
			r = -EPROTO;
	}
	if (!r)
		*handle = dst.id;
	libbus1_closer_close_peer(lent, cred.uid);
	libbus1_closer_hang_up(copy, cred.uid);
	return r;
}

int libbus1_connect_socket(int peer, int socket, int timeout, uint64_t *handle)
{
	return get_handle(peer, socket, timeout < 0 ? -1 : now_ms() + timeout,
			  handle);
}

/*
 * A full backlog makes connect(2) wait, which poll(2) cannot do for it: the
 * socket's own send timeout bounds it.
 */
static int connect_until(int socket, const struct sockaddr_un *addr,
			 socklen_t n, int64_t end)
{
	struct timeval tv;
	int64_t ms;

	for (;;) {
		ms = left(end);
		if (ms == 0)
			ms = 1; /* 0 would wait for ever */
		if (ms > 0) {
			tv.tv_sec = ms / 1000;
			tv.tv_usec = ms % 1000 * 1000;
			if (setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &tv,
				       sizeof(tv)) < 0)
				return -errno;
		}
		if (connect(socket, (const struct sockaddr *)addr, n) == 0)
			return 0;
		/* The timeout counts ticks; where these lag it ends early. */
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
		if (left(end) == 0)
			return -ETIMEDOUT;
	}
}

int libbus1_connect(int peer, const char *path, int timeout, uint64_t *handle)
{
	int64_t end = timeout < 0 ? -1 : now_ms() + timeout;
	struct sockaddr_un addr;
	int socket_fd, n, r;

	n = libbus1_address(&addr, path);
	if (n < 0)
		return n;
	socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (socket_fd < 0)
		return -errno;
	r = connect_until(socket_fd, &addr, n, end);
	if (!r)
		r = get_handle(peer, socket_fd, end, handle);
	close(socket_fd);
	return r;
}
