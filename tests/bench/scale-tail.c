// SPDX-License-Identifier: GPL-2.0-only
/*
 * scale-tail - who is delayed by a sender that does not get on
 *
 * Two real-time processes exchange a request and a reply, again and again at
 * moments that nobody foresees. N others multicast to the same two peers and 126
 * more, and run only while those two sleep: so whenever a request comes, some of
 * there. Were anybody to wait for them, it would be for ever: until the requester
 * gives up the processor, which he does where there is no message.
 *
 * tail    p50, p99, max: what a request and its reply take beside N multicasting
 *         senders; in SEND: how many of these stood in the middle of one; late:
 *         before how many replies of a thousand one of these began or ended
 *
 * See bench.h for the lines that are printed. Needs root, for SCHED_FIFO.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "scale.h"

#define SENDERS 64
#define RECEIVERS 128
#define SAMPLES 2000

/* Of whose message it is, so that a reply is told from a multicast. */
enum { REQUEST, REPLY, MULTICAST };

struct message {
	uint32_t kind;
	uint32_t number;
};

/* What all processes see. */
static struct shared {
	_Atomic unsigned int turns[SENDERS]; /* odd: in a SEND */
} *shared;

static int peer[RECEIVERS]; /* 0 requests, 1 serves */
static uint64_t there, back; /* handles: to 1, to 0 */

static void real_time(void)
{
	struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		bench_fail("cannot run under SCHED_FIFO (root is needed)");
}

static void batch(void)
{
	struct sched_param zero = { 0 };

	if (sched_setscheduler(0, SCHED_BATCH, &zero))
		bench_fail("cannot run under SCHED_BATCH");
}

static pid_t start(void (*run)(int n), int n)
{
	pid_t pid = fork();

	if (pid < 0)
		bench_fail("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run(n);
	_exit(1);
}

/* 0, or EAGAIN. */
static int take(int i, struct message *m)
{
	struct raw_msg raw = { 0 };
	int r = scale_try(peer[i], &raw, m, sizeof(*m), NULL, 0, 0);

	errno = r;
	if (r && r != EAGAIN)
		bench_fail("RECV");
	return r;
}

static void take_asleep(int i, struct message *m)
{
	struct pollfd p = { .fd = peer[i], .events = POLLIN };

	while (take(i, m))
		if (poll(&p, 1, -1) != 1)
			bench_fail("poll");
}

static void serve(int n)
{
	struct message m;

	(void)n;
	real_time();
	for (;;) {
		take_asleep(1, &m);
		if (m.kind != REQUEST)
			continue;
		m.kind = REPLY;
		scale_send(peer[1], 1, &back, &m, sizeof(m), NULL, 0);
	}
}

static void multicast(int n)
{
	struct message m = { MULTICAST, n };
	uint64_t handle[RECEIVERS];
	int fd = scale_open(), i;

	for (i = 0; i < RECEIVERS; i++)
		handle[i] = scale_node(peer[i], fd, NULL);
	for (;;) {
		shared->turns[n]++;
		scale_send(fd, RECEIVERS, handle, &m, sizeof(m), NULL, 0);
		shared->turns[n]++;
		for (i = 2; i < RECEIVERS; i++)
			while (!take(i, &m))
				;
	}
}

/* The moments are the same in every run, and have no rhythm. */
static void pause_a_while(void)
{
	static uint64_t seed = 1;
	struct timespec t = { .tv_nsec = 100000 + raw_rand(&seed) % 700000 };

	nanosleep(&t, NULL);
}

static void request(uint32_t number, double *took)
{
	struct message m = { REQUEST, number };
	uint64_t begun = bench_now();

	scale_send(peer[0], 1, &there, &m, sizeof(m), NULL, 0);
	do {
		take_asleep(0, &m);
	} while (m.kind != REPLY);
	*took = bench_now() - begun;
	if (m.number != number) {
		fputs("scale-tail: the reply to another request\n", stderr);
		exit(1);
	}
}

static void tail(int n)
{
	static double v[SAMPLES];
	pid_t pid[SENDERS + 1];
	double inside = 0, late = 0;
	unsigned int before, after;
	struct message m;
	int i, k;

	for (i = 0; i < RECEIVERS; i++)
		peer[i] = scale_open();
	there = scale_node(peer[1], peer[0], NULL);
	back = scale_node(peer[0], peer[1], NULL);
	pid[n] = start(serve, 0);
	for (i = 0; i < n; i++)
		pid[i] = start(multicast, i);
	real_time();
	sleep(1);
	for (k = 0; k < SAMPLES; k++) {
		pause_a_while();
		while (!take(0, &m))
			;
		for (i = 0, before = 0; i < n; i++) {
			before += shared->turns[i];
			inside += shared->turns[i] & 1;
		}
		request(k, &v[k]);
		for (i = 0, after = 0; i < n; i++)
			after += shared->turns[i];
		late += after != before;
	}
	batch();
	for (i = 0; i <= n; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	for (i = 0; i < RECEIVERS; i++)
		close(peer[i]);

	qsort(v, SAMPLES, sizeof(*v), bench_by_value);
	bench_print("tail", "p50", n, v[SAMPLES / 2], 0);
	bench_print("tail", "p99", n, v[SAMPLES * 99 / 100], 0);
	bench_print("tail", "max", n, v[SAMPLES - 1], 0);
	bench_print("tail", "in SEND", n, inside / SAMPLES, 0);
	bench_print("tail", "late", n, late * 1000 / SAMPLES, 0);
}

int main(void)
{
	scale_files();
	bench_settle();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bench_fail("mmap");
	tail(0);
	tail(1);
	tail(8);
	tail(SENDERS);
	return 0;
}
