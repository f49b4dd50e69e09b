// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Closing what a stranger sent.
 *
 * close(2) asks the file's owner to flush, and a file of a FUSE file system
 * lets its server keep the caller there for as long as it likes. The last close
 * of a peer takes the time its contents need. So a descriptor that did not
 * prove to be that of a small peer is closed by a thread of its own. How many
 * such threads there may be is bounded, for all and for each user; whoever is
 * over the limit is turned away before another descriptor is received.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "closer.h"

#define CLOSERS 32
#define CLOSERS_PER_USER 4

/* Objects that are torn down in no time. */
#define SMALL 1024

struct closer {
	atomic_int busy;
	_Atomic(uid_t) uid;
	int fd;
};

static struct closer closers[CLOSERS];

int libbus1_closer_full(uid_t uid)
{
	int i, all = 0, own = 0;

	for (i = 0; i < CLOSERS; i++)
		if (atomic_load(&closers[i].busy)) {
			all++;
			own += atomic_load(&closers[i].uid) == uid;
		}
	return all == CLOSERS || own >= CLOSERS_PER_USER;
}

static void *closer_run(void *arg)
{
	struct closer *c = arg;

	close(c->fd);
	atomic_store(&c->busy, 0);
	return NULL;
}

void libbus1_closer_close(int fd, uid_t uid)
{
	struct closer *c = NULL;
	sigset_t all, old;
	pthread_t thread;
	int i, free_slot, r;

	for (i = 0; i < CLOSERS && !c; i++) {
		free_slot = 0;
		if (atomic_compare_exchange_strong(&closers[i].busy, &free_slot,
						   1))
			c = &closers[i];
	}
	if (!c) {
		/* Another thread's server took the last one meanwhile. */
		close(fd);
		return;
	}
	c->fd = fd;
	atomic_store(&c->uid, uid);

	/* The program's signals are not for this thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread, NULL, closer_run, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r) {
		closer_run(c);
		return;
	}
	pthread_detach(thread);
}

/* How many objects the peer has; ULONG_MAX if that cannot be found out. */
static unsigned long count_objects(int fd)
{
	static const char *const keys[] = {
		"bus1-nodes:", "bus1-handles:", "bus1-queued:"
	};
	char path[40], text[1024];
	unsigned long sum = 0;
	const char *at;
	ssize_t n;
	size_t i;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -1;
	n = read(info, text, sizeof(text) - 1);
	close(info);
	text[n > 0 ? n : 0] = 0;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		at = strstr(text, keys[i]);
		if (!at)
			return -1;
		sum += strtoul(at + strlen(keys[i]), NULL, 10);
	}
	return sum;
}

void libbus1_closer_close_peer(int fd, uid_t uid)
{
	if (count_objects(fd) <= SMALL)
		close(fd);
	else
		libbus1_closer_close(fd, uid);
}
