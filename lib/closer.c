// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Closing what a stranger sent.
 *
 * close(2) asks the file's owner to flush, and a file of a FUSE file system
 * lets its server keep the caller there for as long as it likes. So does the
 * last close of a TCP socket that lingers, and that of a peer takes the time
 * its contents need. A descriptor that was sent and never received is no
 * better: its last close is the receive that had no room for it, or the close
 * of the connection. So a descriptor that did not prove to be that of a small
 * peer, and a connection with anything unread in it, is closed by a thread of
 * its own. How many such threads there may be is bounded, for all and for each
 * user; whatever is over the limit waits, and its user is turned away before
 * another descriptor is received.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "closer.h"

#define CLOSERS 32
#define CLOSERS_PER_USER 4

/* From here on nobody may connect; all pending clients fit in the rest. */
#define OVERLOAD 128
#define ITEMS (OVERLOAD + 1152)

/* Objects that are torn down in no time. */
#define SMALL 1024

struct item {
	enum { FREE, WAITING, CLOSING } state;
	int fd;
	int is_connection;
	uid_t uid;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct item items[ITEMS];
static int n_items, n_threads;

/* A child of fork(2) has none of the threads. The descriptors stay open. */
static void forget(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	memset(items, 0, sizeof(items));
	n_items = n_threads = 0;
}

static void watch_fork(void)
{
	pthread_atfork(NULL, NULL, forget);
}

static int count(uid_t uid, int closing)
{
	int i, n = 0;

	for (i = 0; i < ITEMS; i++)
		n += items[i].state != FREE && items[i].uid == uid &&
		     (!closing || items[i].state == CLOSING);
	return n;
}

/* What waits, of a user with a thread to spare. */
static struct item *next_item(void)
{
	int i;

	for (i = 0; n_items && i < ITEMS; i++)
		if (items[i].state == WAITING &&
		    count(items[i].uid, 1) < CLOSERS_PER_USER)
			return &items[i];
	return NULL;
}

/* Take out what is unread. An error that is reported hides it once. */
static void drain(int socket)
{
	struct msghdr msg = { 0 };
	int errors = 0;

	while (errors < 2) {
		if (recvmsg(socket, &msg, MSG_DONTWAIT) < 0)
			errors++;
		else if (!(msg.msg_flags & MSG_CTRUNC))
			return;
	}
}

static void *closer_run(void *arg)
{
	struct item *item;

	(void)arg;
	pthread_mutex_lock(&lock);
	while ((item = next_item())) {
		item->state = CLOSING;
		pthread_mutex_unlock(&lock);
		if (item->is_connection)
			drain(item->fd);
		close(item->fd);
		pthread_mutex_lock(&lock);
		item->state = FREE;
		n_items--;
	}
	n_threads--;
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Without a thread for it an item waits for the next call of this. */
static void start_thread(void)
{
	sigset_t all, old;
	pthread_t thread;

	if (n_threads == CLOSERS || !next_item())
		return;
	/* The program's signals are not for this thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!pthread_create(&thread, NULL, closer_run, NULL)) {
		n_threads++;
		pthread_detach(thread);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int libbus1_closer_full(uid_t uid)
{
	int full;

	pthread_mutex_lock(&lock);
	start_thread();
	full = n_items >= CLOSERS || count(uid, 0) >= CLOSERS_PER_USER;
	pthread_mutex_unlock(&lock);
	return full;
}

int libbus1_closer_overloaded(void)
{
	int overloaded;

	pthread_mutex_lock(&lock);
	start_thread();
	overloaded = n_items >= OVERLOAD;
	pthread_mutex_unlock(&lock);
	return overloaded;
}

static void close_later(int fd, uid_t uid, int is_connection)
{
	int i;

	pthread_once(&once, watch_fork);
	pthread_mutex_lock(&lock);
	for (i = 0; i < ITEMS && items[i].state != FREE; i++)
		;
	if (i < ITEMS) {
		items[i] = (struct item){ WAITING, fd, is_connection, uid };
		n_items++;
		start_thread();
	}
	pthread_mutex_unlock(&lock);
	/* Only where there are several servers, or very many clients. */
	if (i == ITEMS)
		close(fd);
}

void libbus1_closer_close(int fd, uid_t uid)
{
	close_later(fd, uid, 0);
}

void libbus1_closer_hang_up(int socket, uid_t uid)
{
	struct msghdr msg = { 0 };
	int on = 1;

	/*
	 * Nothing more can come after the shutdown. With credentials wanted and
	 * no room for them, every record is marked as truncated, so that an
	 * empty one is not taken for the end.
	 */
	shutdown(socket, SHUT_RD);
	setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	if (recvmsg(socket, &msg, MSG_PEEK | MSG_DONTWAIT) < 0 ||
	    msg.msg_flags & MSG_CTRUNC) {
		shutdown(socket, SHUT_WR);
		close_later(socket, uid, 1);
	} else {
		close(socket);
	}
}

/* Whether the peer has little in it; what cannot be found out is no. */
static int is_small(int fd)
{
	static const char *const keys[] = {
		"bus1-queued:", "bus1-nodes:", "bus1-handles:"
	};
	char path[40], text[1024];
	unsigned long n, sum = 0;
	const char *at;
	ssize_t size;
	size_t i;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return 0;
	size = read(info, text, sizeof(text) - 1);
	close(info);
	text[size > 0 ? size : 0] = 0;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		at = strstr(text, keys[i]);
		if (!at)
			return 0;
		n = strtoul(at + strlen(keys[i]), NULL, 10);
		/* One message can carry any number of handles. */
		if (i == 0 && n)
			return 0;
		sum += n;
	}
	return sum <= SMALL;
}

void libbus1_closer_close_peer(int fd, uid_t uid)
{
	if (is_small(fd))
		close(fd);
	else
		libbus1_closer_close(fd, uid);
}
