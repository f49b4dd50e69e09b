// SPDX-License-Identifier: GPL-2.0-only
/*
 * unicast - a SEND and its RECV, in one process
 *
 * Of one user, so that sender and receiver share an account, and from a foreign
 * user, who has a quota there. Meant for "tests/vm/run --icount", where a
 * nanosecond of CLOCK_MONOTONIC is an instruction; anywhere else the figures are
 * nanoseconds. tests/bench/acct compares them with a module that does not charge
 * messages.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../stress/b1-raw.h"
#include "marker.h"

#define WARM 500
#define ROUNDS 20000
#define ROOM 4096

static void fail(const char *what, int error)
{
	fprintf(stderr, "unicast: %s: %s\n", what, strerror(error));
	exit(1);
}

static int open_as(uid_t uid)
{
	int fd;

	if (syscall(SYS_setresuid, -1, uid, -1))
		fail("setresuid (root is needed)", errno);
	fd = raw_open();
	if (fd < 0)
		fail("cannot open /dev/bus1 (is the module loaded?)", errno);
	if (syscall(SYS_setresuid, -1, 0, -1))
		fail("setresuid", errno);
	return fd;
}

static void rounds(int from, int to, uint64_t handle, size_t n, int count)
{
	static char data[ROOM];
	struct raw_msg m;
	int r;

	while (count--) {
		r = raw_send(from, 1, &handle, data, n, NULL, 0);
		if (r)
			fail("SEND", r);
		r = raw_recv(to, &m, data, n, NULL, 0);
		if (r)
			fail("RECV", r);
	}
}

static double measure(uid_t uid, size_t n)
{
	int to = open_as(0), from = open_as(uid);
	struct timespec start, end;
	uint64_t node, handle;
	char name[64];
	int r;

	snprintf(name, sizeof(name), "SEND, RECV %zu B %s", n,
		 uid ? "foreign" : "own");
	r = raw_node(to, from, &node, &handle);
	if (r)
		fail("TRANSFER", r);
	rounds(from, to, handle, n, WARM);
	marker_begin(name, ROUNDS);
	clock_gettime(CLOCK_MONOTONIC, &start);
	rounds(from, to, handle, n, ROUNDS);
	clock_gettime(CLOCK_MONOTONIC, &end);
	marker_end();
	close(from);
	close(to);
	return ((end.tv_sec - start.tv_sec) * 1e9 + end.tv_nsec -
		start.tv_nsec) / ROUNDS;
}

int main(void)
{
	static const size_t sizes[] = { 0, 8, ROOM };
	unsigned int i;

	/* a guest that has just booted is busy with itself for a while */
	sleep(4);
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		printf("%zu own %.0f foreign %.0f\n", sizes[i],
		       measure(0, sizes[i]), measure(1000, sizes[i]));
	return 0;
}
