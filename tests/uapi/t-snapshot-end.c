// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who reads debugfs comes to the end, also while others open peers, fill them,
 * and close older ones faster than that: a peer that is opened later is not waited
 * for.
 */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "objects.h"

#define ACCOUNTS "/sys/kernel/debug/bus1/accounts"

enum { OPENERS = 3, HELD = 16, NODES = 1000, SECONDS = 20 };

static struct bus1_transfer src[NODES], dst[NODES];

/* Until it is killed: HELD peers, the newest always newer than any that is read. */
static void opener(int nodes)
{
	int fds[HELD], i, at;

	memset(fds, -1, sizeof(fds));
	for (at = 0;; at = (at + 1) % HELD) {
		int fd = b1_open();

		if (fds[at] >= 0)
			close(fds[at]);
		fds[at] = fd;
		for (i = 0; i < nodes; i++)
			src[i] = (struct bus1_transfer){
				BUS1_TRANSFER_FLAG_CREATE,
				BUS1_INVALID,
			};
		if (nodes)
			b1_transfer(fd, fd, nodes, src, dst);
	}
}

/* Reads @path to its end, @size bytes at a time. */
static bool ends(const char *path, size_t size, int nodes)
{
	static char buf[65536];
	time_t limit = time(NULL) + SECONDS;
	pid_t pids[OPENERS];
	ssize_t n = 1;
	int fd, i;

	for (i = 0; i < OPENERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			opener(nodes);
	}
	usleep(300000);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && n > 0 && time(NULL) < limit)
		n = read(fd, buf, size);
	close(fd);
	for (i = 0; i < OPENERS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	return fd >= 0 && !n;
}

int main(void)
{
	if (!objects_there())
		return done_testing();
	ok(ends(OBJECTS, 65536, NODES), "objects, of peers with much");
	ok(ends(PEERS, 1, 0), "peers, byte by byte");
	ok(ends(ACCOUNTS, 1, 0), "accounts, byte by byte");
	return done_testing();
}
