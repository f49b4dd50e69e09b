// SPDX-License-Identifier: GPL-2.0-only
/*
 * fanout - one SEND to several peers, and their RECVs
 *
 *   fanout        instructions (under "tests/vm/run --icount") of a SEND of 8
 *                 bytes to 1, 2, 4 and 16 peers together with all RECVs
 *   fanout -2     two processes that share nothing but the bus, each with its
 *                 peers, on two CPUs: how much slower than one alone. A ratio
 *                 within one run, of unicasts and of multicasts
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../stress/b1-raw.h"

#define MOST 16
#define ROUNDS 500
#define REPEAT 5

struct fan {
	int from, to[MOST];
	uint64_t handle[MOST];
	uint64_t n;
};

static void fail(const char *what)
{
	fprintf(stderr, "fanout: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void open_fan(struct fan *f, uint64_t n)
{
	uint64_t node, i;

	f->n = n;
	f->from = raw_open();
	if (f->from < 0)
		fail("cannot open /dev/bus1 (is the module loaded?)");
	for (i = 0; i < n; i++) {
		f->to[i] = raw_open();
		errno = f->to[i] < 0 ? errno :
			raw_node(f->to[i], f->from, &node, &f->handle[i]);
		if (errno)
			fail("TRANSFER");
	}
}

static void close_fan(struct fan *f)
{
	uint64_t i;

	close(f->from);
	for (i = 0; i < f->n; i++)
		close(f->to[i]);
}

static void round_of(struct fan *f)
{
	struct raw_msg m = { 0 };
	char data[8] = "payload";
	uint64_t i;

	errno = raw_send(f->from, f->n, f->handle, data, sizeof(data), NULL, 0);
	if (errno)
		fail("SEND");
	for (i = 0; i < f->n; i++) {
		errno = raw_recv(f->to[i], &m, data, sizeof(data), NULL, 0);
		if (errno || m.n_data != sizeof(data))
			fail("RECV");
	}
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double measure(uint64_t n)
{
	double v[REPEAT];
	uint64_t start;
	struct fan f;
	int i, k;

	open_fan(&f, n);
	for (i = 0; i < REPEAT; i++) {
		start = now();
		for (k = 0; k < ROUNDS; k++)
			round_of(&f);
		v[i] = (double)(now() - start) / ROUNDS;
	}
	close_fan(&f);
	qsort(v, REPEAT, sizeof(*v), by_value);
	return v[REPEAT / 2];
}

static void settle(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		fail("cannot settle on one CPU: two are needed for -2");
}

/* Beside another process that does the same, or beside one that does not. */
static double beside(uint64_t n, bool busy)
{
	volatile bool *go = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct fan f;
	double r;
	pid_t pid;

	if (go == MAP_FAILED)
		fail("mmap");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		settle(1);
		open_fan(&f, n);
		*go = true;
		/* not busy with the bus, it is busy nevertheless */
		for (;;)
			if (busy)
				round_of(&f);
	}
	settle(0);
	while (!*go)
		usleep(1000);
	r = measure(n);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap((void *)go, 4096);
	return r;
}

static void two(void)
{
	static const uint64_t ns[] = { 1, 2, 16 };
	double ratio[REPEAT];
	unsigned int i, k;

	printf("beside another that does the same, to peers of its own:\n");
	for (i = 0; i < sizeof(ns) / sizeof(*ns); i++) {
		for (k = 0; k < REPEAT; k++)
			ratio[k] = beside(ns[i], true) / beside(ns[i], false);
		qsort(ratio, REPEAT, sizeof(*ratio), by_value);
		printf("%3llu receivers  x %.2f (%.2f to %.2f)\n",
		       (unsigned long long)ns[i], ratio[REPEAT / 2], ratio[0],
		       ratio[REPEAT - 1]);
	}
}

int main(int argc, char **argv)
{
	uint64_t n;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "-2"))) {
		fputs("usage: fanout [-2]\n", stderr);
		return 2;
	}
	if (argc == 2) {
		two();
		return 0;
	}
	settle(0);
	/* a guest that has just booted is busy with itself for a while */
	sleep(4);
	measure(1);
	for (n = 1; n <= MOST; n *= n == 4 ? 4 : 2)
		printf("%3llu receivers  %8.0f\n", (unsigned long long)n,
		       measure(n));
	return 0;
}
