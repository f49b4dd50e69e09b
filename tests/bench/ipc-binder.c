// SPDX-License-Identifier: GPL-2.0-only
/*
 * binder, by the bare ioctls. The second process is the context manager, which
 * is handle 0 to everyone. What arrives is read where binder has put it, and
 * given back with the next call. A server needs two calls a request: the first,
 * which sends the reply, does not wait.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/android/binder.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "ipc.h"

#define DEVICE "/dev/binder"
/* As much as binder maps at all. */
#define MAP_SIZE (4ul << 20)

/* What is written: a message, and the last one's buffer back. */
struct side {
	struct {
		uint32_t cmd;
		struct binder_transaction_data tr;
		uint32_t free;
		binder_uintptr_t held;
	} __attribute__((packed)) out;
	uint32_t in[64];
};

static struct side sides[2];

static int device(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		bench_fail(DEVICE);
	/* mapped for good: the process ends with it */
	if (mmap(NULL, MAP_SIZE, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd,
		 0) == MAP_FAILED)
		bench_fail("mmap of " DEVICE);
	return fd;
}

static const char *binder_open(struct ipc_end *e, size_t n, int many)
{
	(void)many;
	if (access(DEVICE, R_OK | W_OK))
		return "no " DEVICE ": load binder_linux";
	if (n > MAP_SIZE / 4)
		return "binder maps no room for two of them";
	e[0].rx = device();
	e[0].more = &sides[0];
	e[1].more = &sides[1];
	return NULL;
}

/* Who opens the device is the process that it belongs to. */
static void binder_join(struct ipc_end *e)
{
	uint32_t enter = BC_ENTER_LOOPER;
	struct binder_write_read bwr = {
		.write_size = sizeof(enter),
		.write_buffer = (uintptr_t)&enter,
	};
	int i, zero = 0;

	e->rx = device();
	/* the one of the last figure may not be quite gone */
	for (i = 0; ioctl(e->rx, BINDER_SET_CONTEXT_MGR, &zero); i++) {
		if (errno != EBUSY || i == 1000)
			bench_fail("BINDER_SET_CONTEXT_MGR");
		usleep(1000);
	}
	if (ioctl(e->rx, BINDER_WRITE_READ, &bwr))
		bench_fail("BC_ENTER_LOOPER");
}

/* Sends, unless @cmd is 0, and waits for the next message, which is kept. */
static void exchange(struct ipc_end *e, uint32_t cmd, const void *data,
		     size_t n)
{
	struct side *s = e->more;
	struct binder_write_read bwr = {
		.write_buffer = (uintptr_t)&s->out,
		.read_size = sizeof(s->in),
		.read_buffer = (uintptr_t)s->in,
	};
	struct binder_transaction_data tr;
	const char *p, *end;
	bool got = false;

	if (cmd) {
		s->out.cmd = cmd;
		s->out.tr.data_size = n;
		s->out.tr.data.ptr.buffer = (uintptr_t)data;
		s->out.free = BC_FREE_BUFFER;
		bwr.write_size = s->out.held ? sizeof(s->out) :
			(char *)&s->out.free - (char *)&s->out;
	}
	while (!got) {
		bwr.read_consumed = 0;
		if (ioctl(e->rx, BINDER_WRITE_READ, &bwr))
			bench_fail("BINDER_WRITE_READ");
		bwr.write_size = 0;
		p = (char *)s->in;
		end = p + bwr.read_consumed;
		for (; p < end; p += _IOC_SIZE(cmd)) {
			memcpy(&cmd, p, sizeof(cmd));
			p += sizeof(cmd);
			switch (cmd) {
			case BR_TRANSACTION:
			case BR_REPLY:
				memcpy(&tr, p, sizeof(tr));
				got = true;
				break;
			case BR_NOOP:
			case BR_SPAWN_LOOPER:
			case BR_TRANSACTION_COMPLETE:
				break;
			default:
				errno = EPROTO;
				bench_fail("binder does not deliver");
			}
		}
	}
	if (tr.data_size != n) {
		errno = EBADMSG;
		bench_fail("binder: another message than was sent");
	}
	s->out.held = tr.data.ptr.buffer;
	e->data = (void *)(uintptr_t)tr.data.ptr.buffer;
}

static void binder_call(struct ipc_end *e, const void *data, void *room,
			size_t n)
{
	(void)room;
	exchange(e, BC_TRANSACTION, data, n);
}

static void binder_serve(struct ipc_end *e, void *room, size_t n)
{
	(void)room;
	exchange(e, 0, NULL, n);
	for (;;)
		exchange(e, BC_REPLY, e->data, n);
}

/* Not from a process to itself: binder refuses that. */
const struct ipc_way ipc_binder[] = {
	{ .name = "binder", .groups = IPC_ROUNDTRIP, .open = binder_open,
	  .join = binder_join, .call = binder_call, .serve = binder_serve },
	{ 0 }
};
