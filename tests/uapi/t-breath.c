// SPDX-License-Identifier: GPL-2.0-only
/*
 * The longest calls there are let others have the processor: a thread of higher
 * priority on the same one is never kept waiting for a large part of the call.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>

#include "b1.h"

#define TRIES 12
#define PART 8 /* of the call, that is too long to wait */
#define LEAST 20000000ull /* ns: a call that is worth to be looked at */

static struct bus1_transfer src[BUS1_MAX_TRANSFERS], dst[BUS1_MAX_TRANSFERS];
static uint64_t ids[BUS1_MAX_IDS];
static unsigned int n_objects = BUS1_MAX_IDS;
static int a, b;
static atomic_ullong longest;
static atomic_bool stop;

static void pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Wakes each millisecond, and notes when that comes late. */
static void *tick(void *arg)
{
	const struct sched_param param = { .sched_priority = 50 };
	uint64_t last, now;

	(void)arg;
	pin();
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		bail_out("cannot be of higher priority: %s", strerror(errno));
	for (last = b1_now(); !atomic_load(&stop); last = now) {
		b1_msleep(1);
		now = b1_now();
		if (now - last > atomic_load(&longest))
			atomic_store(&longest, now - last);
	}
	return NULL;
}

static void make(void)
{
	unsigned int i;

	for (i = 0; i < n_objects; i++)
		src[i] = (struct bus1_transfer){ BUS1_TRANSFER_FLAG_CREATE,
						 BUS1_INVALID };
	if (b1_transfer(a, b, n_objects, src, dst))
		bail_out("cannot make %u nodes", n_objects);
	for (i = 0; i < n_objects; i++)
		ids[i] = dst[i].id;
}

static void do_release(void)
{
	if (b1_release(b, n_objects, ids))
		bail_out("cannot release %u handles", n_objects);
}

static void do_close(void)
{
	close(b);
}

/*
 * Somebody waits, but once in some tries only as long as the call allows. Who
 * did not wait at all never ran.
 */
static void test_call(void (*call)(void), const char *name)
{
	uint64_t took = 0, waited = 0;
	int i;

	for (i = 0; i < TRIES && (!waited || waited > took / PART); i++) {
		a = b1_open();
		b = b1_open();
		make();
		atomic_store(&longest, 0);
		took = b1_now();
		call();
		took = b1_now() - took;
		waited = atomic_load(&longest);
		close(a);
		if (call != do_close)
			close(b);
	}
	if (took < LEAST)
		diag("%s of %u took only %llu us", name, n_objects,
		     (unsigned long long)took / 1000);
	ok(waited && waited <= took / PART,
	   "D22: %s of %u objects takes %llu us; somebody waited for %llu", name,
	   n_objects, (unsigned long long)took / 1000,
	   (unsigned long long)waited / 1000);
}

int main(void)
{
	pthread_t thread;

	/* Where everything is checked less takes as long. */
	if (!access("/sys/kernel/debug/kmemleak", F_OK) ||
	    !access("/sys/kernel/debug/kcsan", F_OK))
		n_objects /= 8;
	pin();
	pthread_create(&thread, NULL, tick, NULL);
	test_call(do_release, "RELEASE");
	test_call(do_close, "close");
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	return done_testing();
}
