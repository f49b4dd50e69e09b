// SPDX-License-Identifier: GPL-2.0-only
/*
 * Message queues: POSIX and System V. Their limits are raised, and what they
 * leave behind is gone, in a name space of the process.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <sys/msg.h>
#include <sys/resource.h>

#include "ipc.h"

static const char refused[] = "no queue takes it (limits: run as root)";

static const char *mq_new(struct ipc_end *e, size_t n, int many)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct mq_attr a = { .mq_maxmsg = many, .mq_msgsize = n };
	char name[32];
	int i;

	/* without the right to, the limits are as they are */
	if (!unshare(CLONE_NEWIPC))
		setrlimit(RLIMIT_MSGQUEUE, &none);
	for (i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "/bench-ipc-%d", (int)getpid());
		e[i].tx = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
				  0600, &a);
		if (e[i].tx < 0)
			return refused;
		mq_unlink(name);
		e[!i].rx = e[i].tx;
	}
	return NULL;
}

static void mq_put(struct ipc_end *e, const void *data, size_t n)
{
	if (mq_send(e->tx, data, n, 0))
		bench_fail("mq_send");
}

static void mq_get(struct ipc_end *e, void *room, size_t n)
{
	if (mq_receive(e->rx, room, n, NULL) != (ssize_t)n)
		bench_fail("mq_receive");
}

static const char *sysv_new(struct ipc_end *e, size_t n, int many)
{
	struct msqid_ds d;
	FILE *f;
	int i;

	/* in the machine's own, limits would change and queues be left over */
	if (unshare(CLONE_NEWIPC))
		return "no name space for its queues (run as root)";
	f = fopen("/proc/sys/kernel/msgmax", "w");
	if (f) {
		fprintf(f, "%zu\n", n < 8192 ? 8192 : n);
		fclose(f);
	}
	for (i = 0; i < 2; i++) {
		e[i].tx = msgget(IPC_PRIVATE, 0600);
		if (e[i].tx < 0 || msgctl(e[i].tx, IPC_STAT, &d))
			return refused;
		if (d.msg_qbytes < many * n) {
			d.msg_qbytes = many * n;
			if (msgctl(e[i].tx, IPC_SET, &d))
				return refused;
		}
		e[!i].rx = e[i].tx;
	}
	return NULL;
}

/* The type is in front of the data. */
static void sysv_put(struct ipc_end *e, const void *data, size_t n)
{
	long *m = (long *)data - 1;

	*m = 1;
	if (msgsnd(e->tx, m, n, 0))
		bench_fail("msgsnd");
}

static void sysv_get(struct ipc_end *e, void *room, size_t n)
{
	if (msgrcv(e->rx, (long *)room - 1, n, 0, 0) != (ssize_t)n)
		bench_fail("msgrcv");
}

const struct ipc_way ipc_queue[] = {
	{ .name = "mq", .groups = IPC_ALL,
	  .open = mq_new, .put = mq_put, .get = mq_get },
	{ .name = "sysv", .groups = IPC_ALL,
	  .open = sysv_new, .put = sysv_put, .get = sysv_get },
	{ 0 }
};
