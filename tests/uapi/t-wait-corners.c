// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting, in two corners: a batch that has something waits for nobody any more,
 * and a deadline is by the clock of the caller's time name space.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>

#include "sleeper.h"
#include "stall.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static int a, b;
static char *entries, *room, data[2][64];
static atomic_bool done;
static int received;

static struct bus1_received entry(int i)
{
	struct bus1_received e = { .message = b1_flat(data[i], 64) };

	e.message.type = BUS1_INVALID;
	return e;
}

/* The first entry is there, the second on a page that stalls. */
static void *batch(void *arg)
{
	struct bus1_cmd_recv_batch cmd = {
		.flags = BUS1_RECV_FLAG_WAIT,
		.deadline = BUS1_INVALID,
		.n_received = 2,
		.ptr_received = BUS1_FROM_PTR(entries -
					      sizeof(struct bus1_received)),
	};

	received = ioctl(a, BUS1_CMD_RECV_BATCH, &cmd);
	done = true;
	return arg;
}

static void *stall(void *arg)
{
	struct bus1_received e = { .message = b1_flat(room, 64) };
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&e.metadata),
		.ptr_message = BUS1_FROM_PTR(&e.message),
	};

	e.message.type = BUS1_INVALID;
	if (ioctl(a, BUS1_CMD_RECV, &cmd) || e.message.n_data != 1)
		bail_out("the stalled RECV fails");
	return arg;
}

static void test_batch(void)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy = { .len = sizeof(page) };
	struct bus1_received e[2] = { entry(0), entry(1) };
	pthread_t t[2];
	uint64_t h;
	char *base;
	int i;

	a = b1_open();
	b = b1_open();
	b1_node_to(a, b, &h);
	base = mmap(NULL, 2 * sizeof(page), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	entries = base + sizeof(page);
	reg.range.start = (uintptr_t)entries;
	reg.range.len = sizeof(page);
	if (base == MAP_FAILED || ioctl(stall_fd, UFFDIO_REGISTER, &reg))
		bail_out("cannot register with userfaultfd");
	room = stall_page();
	memcpy(entries - sizeof(e[0]), &e[0], sizeof(e[0]));
	b1_says(b, h, "1");
	b1_says(b, h, "2");

	pthread_create(&t[0], NULL, batch, NULL);
	ok(stalled(), "a batch has received one, and stalls before the second");
	pthread_create(&t[1], NULL, stall, NULL);
	ok(stalled(), "another thread receives that, and stalls");
	memcpy(page, &e[1], sizeof(e[1]));
	copy.dst = (uintptr_t)entries;
	copy.src = (uintptr_t)page;
	if (ioctl(stall_fd, UFFDIO_COPY, &copy))
		bail_out("cannot provide the page");
	for (i = 0; i < 50 && !done; i++)
		b1_msleep(100);
	ok(done && received == 1, "the batch does not wait for it");
	provide(room);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	close(a);
	close(b);
}

/* In a name space of its own; the offset holds for the children. */
static bool name_space(const char *offset)
{
	FILE *f;

	if (geteuid() || unshare(CLONE_NEWTIME)) {
		skip(1, "cannot have a time name space");
		return false;
	}
	f = fopen("/proc/self/timens_offsets", "w");
	if (!f || fprintf(f, "monotonic %s 0\n", offset) < 0 || fclose(f))
		bail_out("cannot set the offset");
	return true;
}

static void test_name_space(const char *offset)
{
	struct b1_msg m;
	uint64_t start, n;
	int status;

	if (!name_space(offset))
		return;
	if (!fork()) {
		a = b1_open();
		alarm(20);
		b1_room(&m, 4, 64, true);
		start = b1_now();
		if (b1_batch(a, BUS1_RECV_FLAG_WAIT, start + 50 * MS, &m, 1,
			     &n) != ETIMEDOUT)
			_exit(1);
		_exit(b1_now() - start < 50 * MS ? 2 : 0);
	}
	ok(wait(&status) > 0 && !status,
	   "a deadline, with an offset of %s s: 0x%x", offset, status);
}

/* By the clock of the machine this deadline is past the end of time. */
static void test_far(const char *offset)
{
	uint64_t handle, node, n;
	struct b1_msg m;
	int status;

	if (!name_space(offset))
		return;
	if (!fork()) {
		a = b1_open();
		node = b1_node(a, &handle);
		alarm(20);
		if (!fork()) {
			b1_msleep(50);
			_exit(b1_says(a, handle, "late"));
		}
		b1_room(&m, 4, 64, true);
		if (b1_batch(a, BUS1_RECV_FLAG_WAIT, INT64_MAX - 1, &m, 1, &n))
			_exit(1);
		_exit(m.meta.id != node);
	}
	ok(wait(&status) > 0 && !status,
	   "the last deadline of all, with an offset of %s s: 0x%x", offset,
	   status);
}

int main(void)
{
	if (stall_begin())
		test_batch();
	else
		skip(3, "no userfaultfd: %s", strerror(errno));
	test_name_space("100000");
	test_far("-1");
	return done_testing();
}
