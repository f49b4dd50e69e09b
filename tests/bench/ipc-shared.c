// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared memory: the data is copied in by who sends it and out by who receives
 * it, as the others do, since what stays shared can be changed after it was
 * checked. An eventfd or a futex tells that it is there.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "ipc.h"

/* One for each direction. @seen: how many its reader has taken. */
struct area {
	_Atomic uint32_t count;
	char data[] __attribute__((aligned(4096)));
};

struct side {
	struct area *rx;
	struct area *tx;
	uint32_t seen;
};

static const char *shared_open(struct ipc_end *e, size_t n, int many)
{
	static struct side side[2];
	int i;

	(void)many;
	for (i = 0; i < 2; i++) {
		side[i].tx = mmap(NULL, sizeof(struct area) + n,
				  PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1,
				  0);
		if (side[i].tx == MAP_FAILED)
			return "no shared memory";
		side[!i].rx = side[i].tx;
		e[i].more = &side[i];
	}
	return NULL;
}

static const char *eventfd_open(struct ipc_end *e, size_t n, int many)
{
	int i;

	for (i = 0; i < 2; i++) {
		e[i].tx = eventfd(0, EFD_CLOEXEC);
		if (e[i].tx < 0)
			return "no eventfd";
		e[!i].rx = e[i].tx;
	}
	return shared_open(e, n, many);
}

static void eventfd_put(struct ipc_end *e, const void *data, size_t n)
{
	struct side *s = e->more;
	uint64_t one = 1;

	memcpy(s->tx->data, data, n);
	if (write(e->tx, &one, sizeof(one)) != sizeof(one))
		bench_fail("write");
}

static void eventfd_get(struct ipc_end *e, void *room, size_t n)
{
	struct side *s = e->more;
	uint64_t count;

	if (read(e->rx, &count, sizeof(count)) != sizeof(count))
		bench_fail("read");
	memcpy(room, s->rx->data, n);
}

static void futex_put(struct ipc_end *e, const void *data, size_t n)
{
	struct side *s = e->more;

	memcpy(s->tx->data, data, n);
	atomic_fetch_add(&s->tx->count, 1);
	if (syscall(SYS_futex, &s->tx->count, FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
		bench_fail("FUTEX_WAKE");
}

static void futex_get(struct ipc_end *e, void *room, size_t n)
{
	struct side *s = e->more;

	while (atomic_load(&s->rx->count) == s->seen)
		if (syscall(SYS_futex, &s->rx->count, FUTEX_WAIT, s->seen, NULL,
			    NULL, 0) && errno != EAGAIN && errno != EINTR)
			bench_fail("FUTEX_WAIT");
	s->seen++;
	memcpy(room, s->rx->data, n);
}

/* Nobody has to be told in group oneway: with a futex nothing is left of it. */
const struct ipc_way ipc_shared[] = {
	{ .name = "eventfd", .groups = IPC_ROUNDTRIP | IPC_ONEWAY,
	  .open = eventfd_open, .put = eventfd_put, .get = eventfd_get },
	{ .name = "futex", .groups = IPC_ROUNDTRIP,
	  .open = shared_open, .put = futex_put, .get = futex_get },
	{ 0 }
};
