// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pipes and AF_UNIX sockets: what is sent and received by descriptors.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "ipc.h"

/* All of it is to fit: who sends must not sleep halfway. */
static const char *pipe_open(struct ipc_end *e, size_t n, int many)
{
	int p[2], i, room = many * ((n + 4095) & ~4095ul);

	for (i = 0; i < 2; i++) {
		if (pipe(p))
			return "no pipe";
		if (fcntl(p[1], F_GETPIPE_SZ) < room &&
		    fcntl(p[1], F_SETPIPE_SZ, room) < room)
			return "no pipe may be as large (run as root)";
		e[i].tx = p[1];
		e[!i].rx = p[0];
	}
	return NULL;
}

static void pipe_put(struct ipc_end *e, const void *data, size_t n)
{
	if (write(e->tx, data, n) != (ssize_t)n)
		bench_fail("write");
}

static void pipe_get(struct ipc_end *e, void *room, size_t n)
{
	size_t done = 0;
	ssize_t r;

	do {
		r = read(e->rx, (char *)room + done, n - done);
		if (r <= 0)
			bench_fail("read");
		done += r;
	} while (done < n);
}

static const char *unix_open(struct ipc_end *e, size_t n, int many, int type)
{
	/* what the kernel keeps of a message beside its data counts, too */
	int s[2], i, size = many * (2 * n + 1024);

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, s))
		return "no socket";
	for (i = 0; i < 2; i++) {
		if (size > 150000 && setsockopt(s[i], SOL_SOCKET,
						SO_SNDBUFFORCE, &size,
						sizeof(size)))
			return "the buffer may not be as large (run as root)";
		e[i].rx = s[i];
		e[i].tx = s[i];
	}
	return NULL;
}

static const char *seqpacket_open(struct ipc_end *e, size_t n, int many)
{
	return unix_open(e, n, many, SOCK_SEQPACKET);
}

static const char *dgram_open(struct ipc_end *e, size_t n, int many)
{
	return unix_open(e, n, many, SOCK_DGRAM);
}

static void unix_put(struct ipc_end *e, const void *data, size_t n)
{
	if (send(e->tx, data, n, 0) != (ssize_t)n)
		bench_fail("send");
}

static void unix_get(struct ipc_end *e, void *room, size_t n)
{
	if (recv(e->rx, room, n, 0) != (ssize_t)n)
		bench_fail("recv");
}

static void poll_get(struct ipc_end *e, void *room, size_t n)
{
	struct pollfd p = { .fd = e->rx, .events = POLLIN };

	if (poll(&p, 1, -1) != 1)
		bench_fail("poll");
	unix_get(e, room, n);
}

static const char *epoll_open(struct ipc_end *e, size_t n, int many)
{
	struct epoll_event ev = { .events = EPOLLIN };
	const char *why = seqpacket_open(e, n, many);
	int i;

	for (i = 0; !why && i < 2; i++) {
		e[i].wait = epoll_create1(EPOLL_CLOEXEC);
		if (e[i].wait < 0 ||
		    epoll_ctl(e[i].wait, EPOLL_CTL_ADD, e[i].rx, &ev))
			why = "no epoll";
	}
	return why;
}

static void epoll_get(struct ipc_end *e, void *room, size_t n)
{
	struct epoll_event ev;

	if (epoll_wait(e->wait, &ev, 1, -1) != 1)
		bench_fail("epoll_wait");
	unix_get(e, room, n);
}

/* The counterpart of a batch of bus1. */
static void mmsg_batch(struct ipc_end *e, const void *data, void *room,
		       size_t n)
{
	struct mmsghdr m[IPC_BATCH] = { 0 };
	struct iovec vec[IPC_BATCH];
	int i;

	for (i = 0; i < IPC_BATCH; i++)
		unix_put(&e[0], data, n);
	for (i = 0; i < IPC_BATCH; i++) {
		vec[i].iov_base = (char *)room + i * ipc_step(n);
		vec[i].iov_len = n;
		m[i].msg_hdr.msg_iov = &vec[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	if (recvmmsg(e[1].rx, m, IPC_BATCH, MSG_DONTWAIT, NULL) != IPC_BATCH)
		bench_fail("recvmmsg");
	for (i = 0; i < IPC_BATCH; i++)
		if (m[i].msg_len != n)
			bench_fail("recvmmsg");
}

const struct ipc_way ipc_file[] = {
	{ .name = "seqpacket", .groups = IPC_ALL,
	  .open = seqpacket_open, .put = unix_put, .get = unix_get },
	{ .name = "seqpacket-poll", .groups = IPC_ROUNDTRIP,
	  .open = seqpacket_open, .put = unix_put, .get = poll_get },
	{ .name = "seqpacket-epoll", .groups = IPC_ROUNDTRIP,
	  .open = epoll_open, .put = unix_put, .get = epoll_get },
	{ .name = "seqpacket-mmsg", .groups = IPC_ONEWAY,
	  .open = seqpacket_open, .batch = mmsg_batch },
	{ .name = "dgram", .groups = IPC_ALL,
	  .open = dgram_open, .put = unix_put, .get = unix_get },
	{ .name = "pipe", .groups = IPC_ALL,
	  .open = pipe_open, .put = pipe_put, .get = pipe_get },
	{ 0 }
};
