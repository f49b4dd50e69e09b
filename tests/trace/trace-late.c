// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages that wait, for the tests of bus1-trace.
 *
 *   trace-late N MS     N messages, each received MS ms after it was sent
 *   trace-late queue N  N messages, which the end of standard input lets be
 *                       received
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../stress/b1-raw.h"

static void must(int error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "trace-late: %s: %s\n", what, strerror(error));
	exit(1);
}

static void receive(int fd)
{
	struct raw_msg m = { 0 };
	char data[8];

	must(raw_recv(fd, &m, data, sizeof(data), NULL, 0), "RECV");
}

int main(int argc, char **argv)
{
	int queue = argc > 1 && !strcmp(argv[1], "queue");
	int n = argc > 2 ? atoi(argv[1 + queue]) : 1, i;
	int ms = argc > 2 ? atoi(argv[2]) : 0;
	struct timespec wait = { ms / 1000, ms % 1000 * 1000000 };
	int from = raw_open(), to = raw_open();
	uint64_t node, handle;
	char c;

	if (from < 0 || to < 0)
		must(errno, "/dev/bus1");
	must(raw_node(to, from, &node, &handle), "TRANSFER");
	for (i = 0; i < n; i++) {
		must(raw_send(from, 1, &handle, "late", 4, NULL, 0), "SEND");
		if (queue)
			continue;
		nanosleep(&wait, NULL);
		receive(to);
	}
	if (!queue)
		return 0;
	printf("ready=1\n");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	for (i = 0; i < n; i++)
		receive(to);
	return 0;
}
