// SPDX-License-Identifier: GPL-2.0-only
/*
 * roundtrip - a request and its reply, between two processes on one CPU
 *
 * bus1 beside AF_UNIX SOCK_SEQPACKET, each with a payload of 8 bytes and of
 * 4 KiB in both directions. bus1 has no blocking receive: both sides wait in
 * poll(). The socket is measured as most use it (recv() blocks), and with the
 * same poll().
 *
 * Meant for "tests/vm/run --icount", where a nanosecond of CLOCK_MONOTONIC is
 * an instruction; anywhere else the figures are nanoseconds. Both processes run
 * under SCHED_BATCH: wake-up preemption would make one loop two.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../stress/b1-raw.h"
#include "marker.h"

#define WARM 200
#define ROUNDS 1000
#define REPEAT 5
#define ROOM 4096

/* One end of a channel. */
struct end {
	int fd;
	uint64_t handle; /* bus1: to the other end */
};

struct way {
	const char *name;
	void (*make)(struct end *a, struct end *b);
	void (*put)(struct end *e, const void *data, size_t n);
	void (*get)(struct end *e, void *data, size_t n);
};

static void fail(const char *what)
{
	fprintf(stderr, "roundtrip: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void wait_in(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, -1) != 1)
		fail("poll");
}

static void bus1_make(struct end *a, struct end *b)
{
	uint64_t node;

	a->fd = raw_open();
	b->fd = raw_open();
	if (a->fd < 0 || b->fd < 0)
		fail("cannot open /dev/bus1 (is the module loaded?)");
	errno = raw_node(a->fd, b->fd, &node, &b->handle);
	if (!errno)
		errno = raw_node(b->fd, a->fd, &node, &a->handle);
	if (errno)
		fail("TRANSFER");
}

static void bus1_put(struct end *e, const void *data, size_t n)
{
	errno = raw_send(e->fd, 1, &e->handle, data, n, NULL, 0);
	if (errno)
		fail("SEND");
}

static void bus1_get(struct end *e, void *data, size_t n)
{
	struct raw_msg m = { 0 };

	wait_in(e->fd);
	errno = raw_recv(e->fd, &m, data, n, NULL, 0);
	if (errno || m.n_data != n)
		fail("RECV");
}

static void unix_make(struct end *a, struct end *b)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s))
		fail("socketpair");
	a->fd = s[0];
	b->fd = s[1];
}

static void unix_put(struct end *e, const void *data, size_t n)
{
	if (send(e->fd, data, n, 0) != (ssize_t)n)
		fail("send");
}

static void unix_get(struct end *e, void *data, size_t n)
{
	if (recv(e->fd, data, n, 0) != (ssize_t)n)
		fail("recv");
}

static void unix_poll_get(struct end *e, void *data, size_t n)
{
	wait_in(e->fd);
	unix_get(e, data, n);
}

static const struct way ways[] = {
	{ "bus1, poll", bus1_make, bus1_put, bus1_get },
	{ "seqpacket", unix_make, unix_put, unix_get },
	{ "seqpacket, poll", unix_make, unix_put, unix_poll_get },
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void ping(const struct way *w, struct end *e, char *data, size_t n,
		 int rounds)
{
	while (rounds--) {
		w->put(e, data, n);
		w->get(e, data, n);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median per round trip; largest less smallest, in percent, in @spread. */
static double measure(const struct way *w, size_t n, double *spread)
{
	static char data[ROOM];
	struct end here, there;
	double r[REPEAT];
	char name[64];
	uint64_t start;
	pid_t pid;
	int i;

	w->make(&here, &there);
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			w->get(&there, data, n);
			w->put(&there, data, n);
		}
	}
	memset(data, 'x', n);
	snprintf(name, sizeof(name), "%s %zu B", w->name, n);
	ping(w, &here, data, n, WARM);
	marker_begin(name, REPEAT * ROUNDS);
	for (i = 0; i < REPEAT; i++) {
		start = now();
		ping(w, &here, data, n, ROUNDS);
		r[i] = (double)(now() - start) / ROUNDS;
	}
	marker_end();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(here.fd);
	close(there.fd);
	qsort(r, REPEAT, sizeof(*r), by_value);
	*spread = 100 * (r[REPEAT - 1] - r[0]) / r[REPEAT / 2];
	return r[REPEAT / 2];
}

int main(void)
{
	static const size_t sizes[] = { 8, ROOM };
	struct sched_param zero = { 0 };
	unsigned int i, k;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one) ||
	    sched_setscheduler(0, SCHED_BATCH, &zero))
		fail("cannot settle on one CPU under SCHED_BATCH");
	/* a guest that has just booted is busy with itself for a while */
	sleep(4);
	printf("per round trip: instructions under --icount, else nanoseconds\n");
	printf("(median of %d runs of %d; half of largest less smallest; ratio)\n\n",
	       REPEAT, ROUNDS);
	for (k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		double value[3], spread[3];

		for (i = 0; i < 3; i++)
			value[i] = measure(&ways[i], sizes[k], &spread[i]);
		for (i = 0; i < 3; i++)
			printf("%5zu B  %-16s %8.0f  +-%4.1f %%  x %.2f\n",
			       sizes[k], ways[i].name, value[i], spread[i] / 2,
			       value[i] / value[1]);
	}
	return 0;
}
