// SPDX-License-Identifier: GPL-2.0-only
/* The slots of a histogram, which the kernel fills, and what is read from them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sums.h"

#define N 20011

static int tests, failed;

static void ok(bool good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tests, what);
	failed += !good;
}

void *grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	array = realloc(array, (n ? n * 2 : 1) * size);
	if (!array)
		abort();
	return array;
}

static void add(struct times *t, uint64_t time)
{
	struct bus1_slot_sum one = { .count = 1, .sum = time, .max = time };

	times_add(t, bus1_slot(time), &one);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void check_slots(void)
{
	uint64_t last = bus1_slot_from(BUS1_SLOTS - 1), v;
	bool begins = true, ends = true, narrow = true;
	uint32_t i;

	for (i = 0; i < BUS1_SLOTS; i++) {
		v = bus1_slot_from(i);
		begins = begins && bus1_slot(v) == i;
		if (v)
			ends = ends && bus1_slot(v - 1) == i - 1;
		if (i + 1 < BUS1_SLOTS)
			narrow = narrow &&
				 (bus1_slot_from(i + 1) - 1 - v) * 8 <= v;
	}
	ok(begins, "each slot begins where it says");
	ok(ends, "and ends right before the next one");
	ok(narrow, "no time of a slot is more than 1/8 longer than another");
	ok(bus1_slot(last * 2) == BUS1_SLOTS - 1 &&
		   bus1_slot(UINT64_MAX) == BUS1_SLOTS - 1,
	   "the last one has all that are longer");
	ok(last > 3600 * 1000000000ULL, "an hour has a slot of its own");
}

static void check_quantiles(void)
{
	static const double shares[] = { 0, 0.001, 0.5, 0.9, 0.99, 0.999, 1 };
	static uint64_t v[N];
	struct times t = { 0 }, parts[2] = { 0 }, merged = { 0 };
	uint64_t random = 1, sum = 0, q, exact, last;
	bool high = true, low = true, same = true;
	size_t i, rank;

	for (i = 0; i < N; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		v[i] = random >> (24 + random % 40);
		sum += v[i];
		add(&t, v[i]);
		add(&parts[i % 2], v[i]);
	}
	times_add(&t, BUS1_SLOT_UNKNOWN,
		  &(struct bus1_slot_sum){ .count = 7 });
	qsort(v, N, sizeof(*v), by_value);
	times_merge(&merged, &parts[0]);
	times_merge(&merged, &parts[1]);
	for (i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
		q = times_quantile(&t, shares[i]);
		rank = shares[i] * N;
		rank += rank < shares[i] * N;
		exact = v[rank ? rank - 1 : 0];
		low = low && q >= exact;
		high = high && (q - exact) * 8 <= exact;
		same = same && q == times_quantile(&merged, shares[i]);
	}
	ok(low, "no percentile is too short");
	ok(high, "nor more than 1/8 too long");
	ok(same, "those of two parts are the same");
	ok(t.count == N && t.unknown == 7, "all are counted");
	ok(t.sum == sum && t.max == v[N - 1], "the sum and the longest are exact");
	ok(times_quantile(&t, 1) == t.max, "the last percentile is the longest");
	last = 0;
	for (i = 0; i < t.n_slots; i++) {
		same = same && t.slots[i].slot >= last && t.slots[i].sum.count;
		last = t.slots[i].slot + 1;
	}
	ok(same, "slots are in order, and none of them is empty");
	free(t.slots);
	free(parts[0].slots);
	free(parts[1].slots);
	free(merged.slots);
}

int main(void)
{
	check_slots();
	check_quantiles();
	printf("1..%d\n", tests);
	return !!failed;
}
