/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIBBUS1_INTERNAL_H
#define LIBBUS1_INTERNAL_H

#include <stdint.h>
#include <sys/un.h>
#include <time.h>
#include <bus1/bus1.h>

/*
 * The bootstrap's wire format: one SOCK_SEQPACKET record each way, in native
 * byte order, since both ends are on one machine. Described in libbus1(3);
 * frozen but for @version.
 */
#define WIRE_MAGIC UINT64_C(0x746f6f6231737562) /* "bus1boot" */
#define WIRE_VERSION 1

/* Client to server, with exactly one descriptor: a peer. */
struct wire_request {
	uint64_t magic;
	uint32_t version;
	uint32_t flags; /* 0 */
};

/* Server to client, without descriptors. */
struct wire_reply {
	uint64_t magic;
	uint32_t version; /* the server's */
	int32_t status;	  /* 0 or -errno */
	uint64_t handle;  /* in the client's peer; BUS1_INVALID with an error */
};

_Static_assert(sizeof(struct wire_request) == 16, "wire format");
_Static_assert(sizeof(struct wire_reply) == 24, "wire format");

/* The largest errno a system call returns. */
#define WIRE_MAX_ERRNO 4095

static inline int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Writes @path into @addr; returns the address's length or -errno. */
int libbus1_address(struct sockaddr_un *addr, const char *path);

/* 0 if @fd is a Unix SOCK_SEQPACKET socket, and listens where @listening. */
int libbus1_check_socket(int fd, int listening);

#endif
