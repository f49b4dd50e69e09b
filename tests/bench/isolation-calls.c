// SPDX-License-Identifier: GPL-2.0-only
/*
 * isolation-calls - how long the longest calls keep the processor
 *
 * Each call that can be long is made as large as the limits allow; meanwhile a
 * thread with a real-time priority wakes every 100 us, and notes how late it was.
 * That is how long the kernel did not let go of the processor: nothing on it that
 * has not to do with bus1 should be later than without it. Meant for
 * "tests/vm/run --icount", in instructions, where a nanosecond is one, and a kernel
 * that is not preempted: Debian's, which only lets go at cond_resched().
 *
 * Fails where somebody is later than 5 million instructions; what the kernel frees by
 * itself keeps the processor for up to 3 million, see "for comparison".
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>

#include "isolation.h"

#define LIMIT 5000000
#define PERIOD 100000
#define MANY BUS1_MAX_TRANSFERS
#define OBJECTS 1000000
#define MULTICASTS 50000
#define MAX_OBJECTS "16777216"
#define MAX_BYTES "1073741824"

static volatile uint64_t late, beside;
static uint64_t begun;

static void *watch(void *arg)
{
	struct sched_param param = { .sched_priority = 50 };
	struct timespec ts;
	uint64_t next, now;

	(void)arg;
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		bench_fail("cannot run under SCHED_FIFO");
	for (next = bench_now();;) {
		next += PERIOD;
		ts.tv_sec = next / 1000000000;
		ts.tv_nsec = next % 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		now = bench_now();
		if (now - next > late)
			late = now - next;
		if (now > next)
			next = now;
	}
	return NULL;
}

/* What is done between the calls is not theirs. */
static void begin(void)
{
	if (late > beside)
		beside = late;
	late = 0;
	begun = bench_now();
}

static __attribute__((format(printf, 1, 2))) void end(const char *fmt, ...)
{
	uint64_t took = bench_now() - begun, was = late;
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ok(was < LIMIT, "isolation: late by %8llu, took %11llu  %s",
	   (unsigned long long)was, (unsigned long long)took, text);
	late = 0;
}

static struct bus1_transfer *src, *dst;
static uint64_t *ids;

static void make(int from, int to, long n)
{
	long i;

	for (i = 0; i < n; i++)
		src[i] = (struct bus1_transfer){
			BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID
		};
	errno = raw_transfer(from, to, n, src, dst);
	if (errno)
		bench_fail("TRANSFER of new nodes");
}

static void copy(int from, uint64_t handle, int to, long n)
{
	long i;

	for (i = 0; i < n; i++)
		src[i] = (struct bus1_transfer){ 0, handle };
	errno = raw_transfer(from, to, n, src, dst);
	if (errno)
		bench_fail("TRANSFER of a handle");
}

static void drain(int fd)
{
	static struct bus1_received room[BUS1_MAX_BATCH];
	uint64_t got, i;

	do {
		for (i = 0; i < BUS1_MAX_BATCH; i++)
			room[i] = raw_room(NULL, 0, dst, MANY);
		errno = raw_batch(fd, 0, 0, room, BUS1_MAX_BATCH, &got);
	} while (!errno);
	if (errno != EAGAIN)
		bench_fail("RECV_BATCH");
}

static void transfers(void)
{
	int a = scale_open(), b = scale_open();
	long i;

	begin();
	make(a, b, MANY);
	end("TRANSFER of %d new nodes", MANY);
	for (i = 0; i < MANY; i++)
		ids[i] = src[i].id;
	begin();
	scale_release(a, MANY, ids);
	end("RELEASE of %d nodes with a handle each", MANY);
	begin();
	drain(b);
	end("RECV_BATCH of %d NODE_RELEASE, %d times", BUS1_MAX_BATCH,
	    MANY / BUS1_MAX_BATCH);
	make(a, b, MANY);
	for (i = 0; i < MANY; i++)
		ids[i] = dst[i].id;
	begin();
	scale_release(b, MANY, ids);
	end("RELEASE of %d handles, the last of their nodes", MANY);
	begin();
	drain(a);
	end("RECV_BATCH of %d HANDLE_RELEASE, %d times", BUS1_MAX_BATCH,
	    MANY / BUS1_MAX_BATCH);
	close(a);
	close(b);
}

/* As many handles in as many messages as may be. */
static void sends(void)
{
	int a = scale_open(), b = scale_open(), c = scale_open();
	const int per = BUS1_MAX_PRODUCT / BUS1_MAX_DESTINATIONS - 1;
	long i;
	uint64_t node, handle = scale_node(b, a, &node), end_node, end_handle;
	struct raw_msg m = { 0 };
	struct pollfd p = { .fd = b, .events = POLLIN };

	end_handle = scale_node(c, a, &end_node);
	for (i = 0; i < MANY; i++)
		ids[i] = handle;
	for (i = 0; i < per; i++)
		src[i] = (struct bus1_transfer){ 0, end_handle };
	begin();
	scale_send(a, MANY, ids, "", 0, src, per);
	end("SEND to %d, of %d handles each", MANY, per);
	begin();
	poll(&p, 1, 0);
	end("poll of these");
	begin();
	for (i = 0; i < MANY / 4; i += BUS1_MAX_BATCH) {
		static struct bus1_received room[BUS1_MAX_BATCH];
		uint64_t got, k;

		for (k = 0; k < BUS1_MAX_BATCH; k++)
			room[k] = raw_room(NULL, 0, dst, per);
		errno = raw_batch(b, 0, 0, room, BUS1_MAX_BATCH, &got);
		if (errno)
			bench_fail("RECV_BATCH");
	}
	end("RECV_BATCH of %d of these", BUS1_MAX_BATCH);
	begin();
	scale_release(b, 1, &node);
	end("RELEASE of the node that they are queued for");
	begin();
	scale_release(c, 1, &end_node);
	end("RELEASE of the node that the handles are to");
	begin();
	drain(b);
	end("RECV_BATCH of the NODE_RELEASE of each");
	close(b);
	b = scale_open();

	/* dead on arrival: each handle is followed by its notification */
	handle = scale_node(b, a, &node);
	end_handle = scale_node(c, a, &end_node);
	for (i = 0; i < MANY - 1; i++)
		src[i] = (struct bus1_transfer){ 0, end_handle };
	scale_send(a, 1, &handle, "", 0, src, MANY - 1);
	scale_release(c, 1, &end_node);
	begin();
	errno = scale_try(b, &m, NULL, 0, dst, MANY, 0);
	if (errno)
		bench_fail("RECV");
	end("RECV of %d handles to a released node", MANY - 1);
	begin();
	close(b);
	end("close with as many NODE_RELEASE");
	close(a);
	close(c);
}

static void many_objects(void)
{
	int a = scale_open(), b = scale_open();
	long left, n;
	uint64_t node, handle = scale_node(a, a, &node);

	for (left = OBJECTS; left > 0; left -= n) {
		n = left < MANY ? left : MANY;
		copy(a, handle, b, n);
	}
	begin();
	scale_release(a, 1, &node);
	end("RELEASE of a node with %d handles", OBJECTS);
	begin();
	close(b);
	end("close with %d handles, and a NODE_RELEASE of each", OBJECTS);
	b = scale_open();
	for (left = OBJECTS / 2; left > 0; left -= n) {
		n = left < MANY ? left : MANY;
		make(b, a, n);
	}
	begin();
	close(b);
	end("close with %d nodes with a handle each", OBJECTS / 2);
	begin();
	close(a);
	end("close of the other side");
}

static void queues(void)
{
	int a = scale_open(), b = scale_open(), c = scale_open();
	uint64_t to[2] = { scale_node(b, a, NULL), scale_node(c, a, NULL) };
	static char path[64], text[65536];
	uint64_t word = 1;
	long i;
	int fd;

	for (i = 0; i < MULTICASTS; i++)
		scale_send(a, 2, to, &word, sizeof(word), NULL, 0);
	begin();
	scale_recv(b, &word, sizeof(word), NULL, 0);
	end("the first RECV after %d multicasts", MULTICASTS);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", c);
	fd = open(path, O_RDONLY);
	begin();
	if (read(fd, text, sizeof(text)) <= 0)
		bench_fail(path);
	end("fdinfo after as many");
	close(fd);
	fd = open("/sys/kernel/debug/bus1/objects", O_RDONLY);
	begin();
	while (read(fd, text, sizeof(text)) > 0)
		;
	end("objects of debugfs");
	close(fd);
	begin();
	close(c);
	end("close with as many in the queue");
	for (i = 0; i < MULTICASTS; i++)
		scale_send(a, 1, to, &word, sizeof(word), NULL, 0);
	begin();
	close(b);
	end("close with %d, and as many that were not looked at", MULTICASTS);
	close(a);
}

static void large(void)
{
	const size_t size = 64 << 20;
	char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			  MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int a = scale_open(), b = scale_open();
	uint64_t handle = scale_node(b, a, NULL);

	if (data == MAP_FAILED)
		bench_fail("mmap");
	begin();
	scale_send(a, 1, &handle, data, size, NULL, 0);
	end("SEND of %zu MiB", size >> 20);
	begin();
	scale_recv(b, data, size, NULL, 0);
	end("RECV of them");
	munmap(data, size);
	close(a);
	close(b);
}

/* What has nothing to do with bus1, for comparison */
static void memory(void)
{
	const size_t size = 512 << 20;
	char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			  MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (data == MAP_FAILED)
		bench_fail("mmap");
	begin();
	munmap(data, size);
	diag("for comparison: late by %llu in an munmap of %zu MiB",
	     (unsigned long long)late, size >> 20);
	late = 0;
}

int main(void)
{
	static void (* const all[])(void) = {
		large, transfers, queues, sends, many_objects,
	};
	pthread_t t;
	size_t i;

	scale_files();
	bench_settle();
	isolation_set("max_objects", MAX_OBJECTS);
	isolation_set("max_bytes", MAX_BYTES);
	src = calloc(MANY, sizeof(*src));
	dst = calloc(MANY, sizeof(*dst));
	ids = calloc(MANY, sizeof(*ids));
	if (pthread_create(&t, NULL, watch, NULL))
		bench_fail("cannot make a thread");
	begin();
	while (bench_now() - begun < 20000000)
		;
	end("nothing");
	memory();
	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		all[i]();
	begin();
	ok(beside < LIMIT, "isolation: late by %8llu at most in all else",
	   (unsigned long long)beside);
	return done_testing();
}
