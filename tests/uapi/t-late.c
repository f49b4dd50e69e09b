// SPDX-License-Identifier: GPL-2.0-only
/*
 * In the middle of a SEND: while a message is made its receiver goes; and while it
 * is published some have heard of it already.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>

#include "quota.h"

/* Longer to copy than to release a node; its pages are missing, each time anew. */
#define LARGE (32u << 20)

static int a, b, c;
static uint64_t node, handle, h2;
static char *large;
static int result;
static atomic_bool finished;

static void *send_large(void *arg)
{
	struct bus1_transfer t = { 0, h2 };

	(void)arg;
	result = b1_multicast(b, 1, &handle, NULL, large, LARGE, &t, 1);
	atomic_store(&finished, true);
	return NULL;
}

/* It is charged first, and then copied. */
static void wait_charged(void)
{
	while (!atomic_load(&finished) && quota_claim(b, 0, "bytes") < LARGE)
		sched_yield();
}

/* The message is charged and has a handle; then the node or its peer goes. */
static void test_receiver(bool closes)
{
	bool good = true, in_time = false;
	pthread_t thread;
	uint64_t n2;
	int i;

	/* In time or not, it is always right. */
	for (i = 0; i < 10 && good && !in_time; i++) {
		a = b1_open();
		b = b1_open();
		c = b1_open();
		node = b1_node_to(a, b, &handle);
		n2 = b1_node_to(c, b, &h2);
		madvise(large, LARGE, MADV_DONTNEED);
		atomic_store(&finished, false);
		pthread_create(&thread, NULL, send_large, NULL);
		wait_charged();
		if (closes)
			close(a);
		else
			b1_drop(a, node);
		in_time = !atomic_load(&finished);
		b1_drop(b, h2);
		pthread_join(thread, NULL);
		good &= !result && b1_node_gone(b, handle) && b1_empty(b) &&
		       b1_handle_gone(c, n2) && b1_empty(c);
		if (!closes) {
			good &= b1_empty(a);
			close(a);
		}
		good &= !quota_claim(b, 0, "bytes");
		close(b);
		close(c);
	}
	if (!in_time)
		diag("the message was always made before that");
	ok(good && in_time,
	   "%s while a message for it is made: that is no error, its handle "
	   "drops, its charge returns",
	   closes ? "D07, D15: a peer closes" : "D11: a node is released");
}

/* --- who heard of a multicast may tell the others ---------------------------
 */

#define ROUNDS 60
#define BETWEEN 30
#define EACH 30 /* messages to each of those, so that it takes longer */

static int ends[2], between[BETWEEN];
static uint64_t to[2 + BETWEEN * EACH];
static _Atomic int turn;

/* Where there are two processors, on this one, or on any (-1). */
static void pin(int cpu)
{
	cpu_set_t set;
	int i;

	CPU_ZERO(&set);
	for (i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *multicast(void *arg)
{
	int i;

	(void)arg;
	pin(1);
	for (i = 1; i <= ROUNDS; i++) {
		while (atomic_load(&turn) < i)
			sched_yield();
		if (b1_multicast(b, 2 + BETWEEN * EACH, to, NULL, &i, sizeof(i),
				 NULL, 0))
			bail_out("cannot send");
	}
	return NULL;
}

static void test_told(void)
{
	int i, k, missed = 0;
	pthread_t thread;
	struct b1_msg m;

	b = b1_open();
	for (i = 0; i < 2 + BETWEEN; i++) {
		k = b1_open();
		b1_node_to(k, b, &to[i]);
		if (i == 0 || i == 1 + BETWEEN)
			ends[!!i] = k;
		else
			between[i - 1] = k;
	}
	for (; i < 2 + BETWEEN * EACH; i++)
		to[i] = to[i % BETWEEN + 1];
	pthread_create(&thread, NULL, multicast, NULL);
	pin(0);
	for (i = 1; i <= ROUNDS; i++) {
		atomic_store(&turn, i);
		while (b1_recv(ends[i % 2], &m))
			sched_yield();
		missed += !b1_readable(ends[!(i % 2)]);
		while (b1_recv(ends[!(i % 2)], &m))
			missed++;
	}
	pthread_join(thread, NULL);
	pin(-1);
	ok(!missed,
	   "D20: what one has received of a multicast all others can (%d)",
	   missed);
	for (i = 0; i < BETWEEN; i++)
		close(between[i]);
	close(ends[0]);
	close(ends[1]);
	close(b);
}

/* --- what is linked is complete ---------------------------------------------
 */

#define STREAM 4000

static void *stream(void *arg)
{
	uint32_t i;

	(void)arg;
	for (i = 0; i < STREAM; i++)
		if (b1_send(b, handle, &i, sizeof(i)))
			break;
	return NULL;
}

/* On most machines only a kernel that knows of weak memory can tell. */
static void test_stream(void)
{
	struct pollfd p;
	pthread_t thread;
	struct b1_msg m;
	uint32_t i;

	a = b1_open();
	b = b1_open();
	p = (struct pollfd){ .fd = a, .events = POLLIN };
	node = b1_node_to(a, b, &handle);
	pthread_create(&thread, NULL, stream, NULL);
	for (i = 0; i < STREAM; i++) {
		while (b1_recv(a, &m) == EAGAIN)
			poll(&p, 1, 10000);
		if (m.meta.id != node || m.msg.n_data != sizeof(i) ||
		    memcmp(m.data, &i, sizeof(i)))
			break;
	}
	pthread_join(thread, NULL);
	ok(i == STREAM, "D19: each message is whole, and comes in order (%u)",
	   i);
	close(a);
	close(b);
}

int main(void)
{
	large = mmap(NULL, LARGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (large == MAP_FAILED)
		bail_out("no memory");
	madvise(large, LARGE, MADV_NOHUGEPAGE);
	test_receiver(true);
	test_receiver(false);
	munmap(large, LARGE);
	test_told();
	test_stream();
	return done_testing();
}
