// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The server's side of the bootstrap.
 *
 * A client has one state: connected, its request not yet there. The request is
 * one record with one descriptor, the answer fits into an empty socket buffer,
 * so nothing is ever half done and nobody is waited for. Whatever a client does
 * wrong ends its own connection and nothing else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "closer.h"
#include "internal.h"

#define DEFAULT_TIMEOUT 5000
#define DEFAULT_PENDING 64
#define MAX_PENDING 1024

/* The most that one dispatch does, so that its caller gets a turn. */
#define BATCH 32

/* How long to leave the listening socket alone when descriptors run out. */
#define PAUSE 100

struct conn {
	int fd;
	struct libbus1_cred cred;
	int64_t deadline;
};

struct libbus1_server {
	int peer;
	int socket;
	int epoll;
	int timer;
	libbus1_offer_fn offer;
	libbus1_given_fn given;
	void *userdata;
	unsigned int timeout;
	unsigned int max;
	int64_t paused_until; /* 0: accepting */
	unsigned int n;
	struct conn *conns; /* oldest first; room for @max and one */
};

int libbus1_listen(const char *path, mode_t mode)
{
	struct sockaddr_un addr;
	int fd, n, r;

	n = libbus1_address(&addr, path);
	if (n < 0)
		return n;
	mode &= 0777;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* The path is never open to more than @mode, nor, at last, to less. */
	if (fchmod(fd, mode) < 0 || bind(fd, (void *)&addr, n) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	if ((path[0] != '@' && chmod(path, mode) < 0) ||
	    listen(fd, SOMAXCONN) < 0) {
		r = -errno;
		if (path[0] != '@')
			unlink(path);
		close(fd);
		return r;
	}
	return fd;
}

static int watch(struct libbus1_server *s, int op, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(s->epoll, op, fd, &event) < 0 ? -errno : 0;
}

int libbus1_server_new(struct libbus1_server **serverp, int peer, int socket,
		       libbus1_offer_fn offer, libbus1_given_fn given,
		       void *userdata)
{
	struct libbus1_server *s;
	int r;

	r = libbus1_check_socket(socket, 1);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->peer = peer;
	s->socket = -1;
	s->offer = offer;
	s->given = given;
	s->userdata = userdata;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->epoll < 0 || s->timer < 0) {
		r = -errno;
		goto fail;
	}
	r = libbus1_server_set_limits(s, DEFAULT_TIMEOUT, DEFAULT_PENDING);
	if (!r)
		r = watch(s, EPOLL_CTL_ADD, s->timer, EPOLLIN);
	if (!r)
		r = watch(s, EPOLL_CTL_ADD, socket, EPOLLIN);
	if (r < 0)
		goto fail;
	if (fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK) < 0 ||
	    fcntl(socket, F_SETFD, FD_CLOEXEC) < 0) {
		r = -errno;
		goto fail;
	}
	s->socket = socket;
	*serverp = s;
	return 0;
fail:
	libbus1_server_free(s);
	return r;
}

static struct conn conn_take(struct libbus1_server *s, unsigned int i)
{
	struct conn c = s->conns[i];

	/* Explicitly: a child of fork(2) may hold the socket open. */
	watch(s, EPOLL_CTL_DEL, c.fd, 0);
	s->n--;
	memmove(&s->conns[i], &s->conns[i + 1],
		(s->n - i) * sizeof(*s->conns));
	return c;
}

static void conn_drop(struct libbus1_server *s, unsigned int i)
{
	struct conn c = conn_take(s, i);

	libbus1_closer_hang_up(c.fd, c.cred.uid);
}

struct libbus1_server *libbus1_server_free(struct libbus1_server *s)
{
	if (!s)
		return NULL;
	while (s->n)
		conn_drop(s, s->n - 1);
	if (s->socket >= 0) {
		watch(s, EPOLL_CTL_DEL, s->socket, 0);
		close(s->socket);
	}
	if (s->timer >= 0)
		close(s->timer);
	if (s->epoll >= 0)
		close(s->epoll);
	free(s->conns);
	free(s);
	return NULL;
}

int libbus1_server_fd(const struct libbus1_server *s)
{
	return s->epoll;
}

/* Fairness: who has the most is who loses. */
static void conn_evict(struct libbus1_server *s)
{
	unsigned int i, j, n, most = 0, victim = 0;

	for (i = 0; i < s->n; i++) {
		for (n = 0, j = i; j < s->n; j++)
			n += s->conns[j].cred.uid == s->conns[i].cred.uid;
		/* Its first one is met first, counts most, and is oldest. */
		if (n > most) {
			most = n;
			victim = i;
		}
	}
	conn_drop(s, victim);
}

int libbus1_server_set_limits(struct libbus1_server *s, unsigned int timeout,
			      unsigned int max_pending)
{
	struct conn *conns;

	if (!timeout || timeout > INT32_MAX || !max_pending ||
	    max_pending > MAX_PENDING)
		return -EINVAL;
	while (s->n > max_pending)
		conn_evict(s);
	conns = realloc(s->conns, (max_pending + 1) * sizeof(*conns));
	if (!conns)
		return -ENOMEM;
	s->conns = conns;
	s->max = max_pending;
	s->timeout = timeout;
	return 0;
}

/* Take the one descriptor that came; -1 if there is none. */
static int control_fd(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len < CMSG_LEN(sizeof(fd)))
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/*
 * Read the request. Returns 0 with a descriptor, or what is wrong with it;
 * -EAGAIN while it is not there.
 *
 * Whatever there is no room for would be closed by the receive, and that may
 * take for ever. So it is looked at first, which copies a descriptor if there
 * is one; and it is taken only if there is no other than the one copied. What
 * is left is for libbus1_closer_hang_up().
 */
static int take_request(const struct conn *c, int *fdp)
{
	struct wire_request request;
	struct iovec vec = { &request, sizeof(request) };
	union {
		char buffer[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* Not CMSG_SPACE: its padding has room for a second one. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t n;
	int fd, r;

	n = recvmsg(c->fd, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	fd = control_fd(&msg);
	if (!(msg.msg_flags & MSG_CTRUNC))
		recv(c->fd, NULL, 0, MSG_DONTWAIT);

	if (n != sizeof(request) || msg.msg_flags & MSG_TRUNC ||
	    request.magic != WIRE_MAGIC)
		r = -EBADMSG;
	else if (request.version != WIRE_VERSION)
		r = -EPROTONOSUPPORT;
	else if (request.flags)
		r = -EINVAL;
	else if (msg.msg_flags & MSG_CTRUNC)
		/* More than one; or none, for want of a free descriptor. */
		r = fd >= 0 ? -EBADMSG : -EMFILE;
	else if (fd < 0)
		r = -EBADMSG;
	else
		r = 0;
	if (r < 0 && fd >= 0)
		libbus1_closer_close(fd, c->cred.uid);
	*fdp = fd;
	return r;
}

/* Put a handle into the client's peer, and let go of the peer. */
static int give(struct libbus1_server *s, const struct conn *c, int fd,
		uint64_t *handle)
{
	struct bus1_transfer src, dst;
	uint64_t offered = BUS1_INVALID;
	int r, is_peer = 0;

	r = s->offer(s->userdata, &c->cred, &offered);
	if (r > 0 || r < -WIRE_MAX_ERRNO)
		r = -EIO;
	if (!r) {
		src.id = offered;
		src.flags = offered == BUS1_INVALID ?
				    BUS1_TRANSFER_FLAG_CREATE : 0;
		r = libbus1_transfer(s->peer, fd, &src, &dst, 1);
		/* Quotas, the client's and ours, are looked at last. */
		is_peer = !r || r == -EDQUOT;
	}
	/* Before the answer, so that the peer's last close is the client's. */
	if (is_peer)
		libbus1_closer_close_peer(fd, c->cred.uid);
	else
		libbus1_closer_close(fd, c->cred.uid);
	if (r < 0)
		return r;
	*handle = dst.id;
	if (s->given)
		s->given(s->userdata, &c->cred, src.id);
	return 0;
}

/* Serve one client, if its request is there. Returns 1 for a handle given. */
static int serve(struct libbus1_server *s, unsigned int i)
{
	struct wire_reply reply = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.handle = BUS1_INVALID,
	};
	struct conn c;
	int fd = -1, r;

	if (libbus1_closer_full(s->conns[i].cred.uid))
		r = -EBUSY;
	else
		r = take_request(&s->conns[i], &fd);
	if (r == -EAGAIN)
		return 0;
	/* Before the callbacks, which may change the array. */
	c = conn_take(s, i);
	if (!r)
		r = give(s, &c, fd, &reply.handle);
	reply.status = r;
	/* Whoever is not there to take it goes without. */
	send(c.fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
	libbus1_closer_hang_up(c.fd, c.cred.uid);
	return !r;
}

static void take_conn(struct libbus1_server *s, int fd, int64_t now)
{
	/* Options of an inherited socket that would add control data. */
	static const int off[] = { SO_PASSCRED, SO_PASSSEC };
	struct ucred cred = { .uid = -1 };
	socklen_t n = sizeof(cred);
	struct conn *c;
	size_t i;
	int v = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		goto refuse;
	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++)
		setsockopt(fd, SOL_SOCKET, off[i], &v, sizeof(v));
	if (watch(s, EPOLL_CTL_ADD, fd, EPOLLIN) < 0)
		goto refuse;
	c = &s->conns[s->n++];
	c->fd = fd;
	c->cred.pid = cred.pid;
	c->cred.uid = cred.uid;
	c->cred.gid = cred.gid;
	c->deadline = now + s->timeout;
	return;
refuse:
	libbus1_closer_hang_up(fd, cred.uid);
}

static void pause_until(struct libbus1_server *s, int64_t when)
{
	s->paused_until = when;
	watch(s, EPOLL_CTL_MOD, s->socket, when ? 0 : EPOLLIN);
}

static int accept_some(struct libbus1_server *s, int64_t now, int *served)
{
	int i, fd;

	for (i = 0; i < BATCH; i++) {
		if (libbus1_closer_overloaded()) {
			pause_until(s, now + PAUSE);
			return 0;
		}
		fd = accept4(s->socket, NULL, NULL,
			     SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			switch (errno) {
			case EAGAIN:
				return 0;
			case EINTR:
			case ECONNABORTED:
			case EPERM:
				continue;
			case EMFILE:
			case ENFILE:
			case ENOBUFS:
			case ENOMEM:
				/* Level-triggered: would be a busy loop. */
				pause_until(s, now + PAUSE);
				return 0;
			default:
				return -errno;
			}
		}
		take_conn(s, fd, now);
		/* Most clients have sent their request by now. */
		if (s->n && s->conns[s->n - 1].fd == fd)
			*served += serve(s, s->n - 1);
		if (s->n > s->max)
			conn_evict(s);
	}
	return 0;
}

/* Fire when the next client's time is up, or accepting may go on. */
static int arm(struct libbus1_server *s)
{
	struct itimerspec it = { 0 };
	int64_t next = s->paused_until;
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (!next || s->conns[i].deadline < next)
			next = s->conns[i].deadline;
	it.it_value.tv_sec = next / 1000;
	it.it_value.tv_nsec = next % 1000 * 1000000;
	if (timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &it, NULL) < 0)
		return -errno;
	return 0;
}

int libbus1_server_dispatch(struct libbus1_server *s)
{
	struct epoll_event events[BATCH];
	int i, n, r, served = 0, incoming = 0;
	unsigned int j;
	int64_t now;

	do {
		n = epoll_wait(s->epoll, events, BATCH, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	/* Clients first: a number closed here is used again by accept. */
	for (i = 0; i < n; i++) {
		if (events[i].data.fd == s->socket) {
			incoming = 1;
			continue;
		}
		for (j = 0; j < s->n; j++)
			if (s->conns[j].fd == events[i].data.fd) {
				served += serve(s, j);
				break;
			}
	}

	now = now_ms();
	for (j = s->n; j-- > 0;)
		if (s->conns[j].deadline <= now)
			conn_drop(s, j);
	if (s->paused_until && s->paused_until <= now)
		pause_until(s, 0);
	r = incoming ? accept_some(s, now, &served) : 0;
	if (r < 0)
		return r;
	r = arm(s);
	return r < 0 ? r : served;
}
