/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_BOOTSTRAP_H
#define _TESTS_BOOTSTRAP_H

/*
 * DOC: both ends of libbus1's bootstrap by hand, to be hostile with
 */
#include <bus1/bus1.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "b1.h"

/* The wire format as libbus1(3) has it, on purpose not the library's copy. */
#define MAGIC 0x746f6f6231737562ull

struct request {
	uint64_t magic;
	uint32_t version;
	uint32_t flags;
};

struct reply {
	uint64_t magic;
	uint32_t version;
	int32_t status;
	uint64_t handle;
};

static const struct request good = { MAGIC, 1, 0 };

/* How many descriptors are open, and whether all are close-on-exec. */
static inline int count_fds(bool *cloexec)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int fd, n = 0;

	*cloexec = true;
	while ((e = readdir(d))) {
		fd = atoi(e->d_name);
		if (e->d_name[0] == '.' || fd == dirfd(d))
			continue;
		n++;
		if (fd > 2 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
			*cloexec = false;
	}
	closedir(d);
	return n;
}

static inline int fds(void)
{
	bool cloexec;

	return count_fds(&cloexec);
}

/* Strangers' descriptors are closed in the background: give it time. */
static inline bool fds_become(int want)
{
	int i;

	for (i = 0; i < 2000 && fds() != want; i++)
		b1_msleep(1);
	if (fds() != want)
		diag("%d descriptors, expected %d", fds(), want);
	return fds() == want;
}

/* Connect to an abstract socket; its name begins with '@'. */
static inline int dial_with(const char *name, int flags)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);

	memcpy(a.sun_path + 1, name + 1, strlen(name + 1));
	if (!connect(fd, (void *)&a, offsetof(struct sockaddr_un, sun_path) +
				     strlen(name)) || flags)
		return fd;
	bail_out("cannot connect to %s: %s", name, strerror(errno));
}

static inline int dial(const char *name)
{
	return dial_with(name, 0);
}

/* Send a record with any number of descriptors. */
static inline ssize_t say(int fd, const void *data, size_t size,
			  const int *rights, size_t n)
{
	static union {
		char buffer[CMSG_SPACE(253 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec vec = { (void *)data, size };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (n) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), rights, n * sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

#define LINGER 12

/* A TCP socket whose last close lasts LINGER seconds, or until @l is closed. */
static inline int lingering(int *l)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct linger linger = { 1, LINGER };
	static char data[65536];
	socklen_t n = sizeof(a);

	*l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(*l, (void *)&a, n) || listen(*l, 1) ||
	    getsockname(*l, (void *)&a, &n) || connect(fd, (void *)&a, n) ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)))
		bail_out("no TCP over lo: %s", strerror(errno));
	while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	return fd;
}

#endif /* _TESTS_BOOTSTRAP_H */
