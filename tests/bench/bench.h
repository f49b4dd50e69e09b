/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_BENCH_H
#define _TESTS_BENCH_H

/*
 * DOC: what the benchmarks have in common
 *
 * A figure is a line of five fields with a tab between two: the group, the way
 * in which it was done, the size or count, the value, and its spread. The value
 * is nanoseconds an operation, or instructions: under "tests/vm/run --icount"
 * a nanosecond of CLOCK_MONOTONIC is one. It is the median of several runs; the
 * spread is half of what lies between the largest and the smallest of them, in
 * percent of it. Everything else goes to stderr.
 *
 * Define _GNU_SOURCE before.
 *
 * All processes of a benchmark run on one CPU under SCHED_BATCH: wake-up
 * preemption would make one loop two.
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "marker.h"

#define BENCH_REPEAT 5
/* What a run takes, unless told otherwise: five ticks of the scheduler. */
#define BENCH_RUN_NS 20000000ull

static inline void __attribute__((noreturn)) bench_fail(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
		strerror(errno));
	exit(1);
}

static inline uint64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Moves the caller to @cpu, which must be one it may use. */
static inline void bench_pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		bench_fail("cannot settle on one CPU");
}

/* First of all: on one CPU, under SCHED_BATCH, on a quiet machine. */
static inline void bench_settle(void)
{
	struct sched_param zero = { 0 };
	struct timespec up;

	bench_pin(sched_getcpu());
	if (sched_setscheduler(0, SCHED_BATCH, &zero))
		bench_fail("cannot run under SCHED_BATCH");
	/* a guest that has just booted is busy with itself for a while */
	clock_gettime(CLOCK_BOOTTIME, &up);
	if (up.tv_sec < 60)
		sleep(4);
}

static inline int bench_by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of @v, which is sorted by the way; its spread in @spread. */
static inline double bench_median(double *v, int n, double *spread)
{
	double median;

	qsort(v, n, sizeof(*v), bench_by_value);
	median = v[n / 2];
	*spread = median ? 50 * (v[n - 1] - v[0]) / median : 0;
	return median;
}

/*
 * What a round takes of @run(@arg, rounds). It is called with few rounds and
 * with more, to warm up and to know how many take @run_ns, then BENCH_REPEAT
 * times with so many.
 */
static inline double bench_measure(void (*run)(void *arg, long rounds),
				   void *arg, uint64_t run_ns, double *spread)
{
	double v[BENCH_REPEAT];
	uint64_t start, took;
	long rounds;
	int i;

	run(arg, 1);
	for (rounds = 1;; rounds *= 2) {
		start = bench_now();
		run(arg, rounds);
		took = bench_now() - start;
		if (took >= run_ns / 4)
			break;
	}
	rounds = rounds * run_ns / took;
	rounds += !rounds;
	marker_begin(program_invocation_short_name, BENCH_REPEAT * rounds);
	for (i = 0; i < BENCH_REPEAT; i++) {
		start = bench_now();
		run(arg, rounds);
		v[i] = (double)(bench_now() - start) / rounds;
	}
	marker_end();
	return bench_median(v, BENCH_REPEAT, spread);
}

static inline void bench_print(const char *group, const char *way, uint64_t n,
			       double value, double spread)
{
	printf("%s\t%s\t%llu\t%.*f\t%.2f\n", group, way, (unsigned long long)n,
	       value < 100 ? 2 : 0, value, spread);
	fflush(stdout);
}

/* Whether @list, words with a comma between two, has @word; NULL has all. */
static inline bool bench_listed(const char *list, const char *word)
{
	size_t n = strlen(word);

	if (!list)
		return true;
	for (;; list++) {
		if (!strncmp(list, word, n) && (!list[n] || list[n] == ','))
			return true;
		list = strchr(list, ',');
		if (!list)
			return false;
	}
}

static inline bool bench_listed_n(const char *list, uint64_t n)
{
	char word[24];

	snprintf(word, sizeof(word), "%llu", (unsigned long long)n);
	return bench_listed(list, word);
}

#endif /* _TESTS_BENCH_H */
