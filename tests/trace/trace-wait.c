// SPDX-License-Identifier: GPL-2.0-only
/*
 * Receivers that sleep, for the tests of bus1-trace; says what it did.
 *
 *   trace-wait N   N requests by CALL, each of which both sides sleep for; then a
 *                  RECV_BATCH whose deadline, 20 ms away, passes, and a RECV that
 *                  a signal interrupts
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../stress/b1-raw.h"

static void must(int error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "trace-wait: %s: %s\n", what, strerror(error));
	exit(1);
}

static void nothing(int sig)
{
	(void)sig;
}

/* Receives, and calls; the last reply is a SEND, so as not to wait for more. */
static void serve(int fd, uint64_t handle, int n)
{
	struct bus1_received room;
	char data[8];
	uint64_t got;
	int why;

	room = raw_room(data, sizeof(data), NULL, 0);
	must(raw_batch(fd, BUS1_RECV_FLAG_WAIT, BUS1_INVALID, &room, 1, &got),
	     "RECV_BATCH");
	while (--n) {
		room = raw_room(data, sizeof(data), NULL, 0);
		must(raw_call(fd, handle, BUS1_INVALID, "reply", 5, NULL, 0,
			      &room, &why), "CALL of the server");
		must(why, "receipt of the server");
	}
	must(raw_send(fd, 1, &handle, "reply", 5, NULL, 0), "SEND");
	exit(0);
}

static void end_badly(int fd)
{
	struct sigaction action = { .sa_handler = nothing };
	struct itimerval in = { .it_value.tv_usec = 20000 };
	struct bus1_received room;
	struct raw_msg m = { 0 };
	struct timespec now;
	char data[8];
	uint64_t got;
	int error;

	clock_gettime(CLOCK_MONOTONIC, &now);
	room = raw_room(data, sizeof(data), NULL, 0);
	error = raw_batch(fd, BUS1_RECV_FLAG_WAIT,
			  now.tv_sec * 1000000000ull + now.tv_nsec + 20000000,
			  &room, 1, &got);
	must(error == ETIMEDOUT ? 0 : error ? error : EBUSY, "the deadline");
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &in, NULL);
	error = raw_recv_flags(fd, BUS1_RECV_FLAG_WAIT, &m, data, sizeof(data),
			       NULL, 0);
	must(error == EINTR ? 0 : error ? error : EBUSY, "the signal");
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1, i, why;
	int client = raw_open(), server = raw_open();
	uint64_t node, request, reply;
	struct bus1_received room;
	char data[8];
	struct sched_param first = { .sched_priority = 1 };
	cpu_set_t one;
	pid_t pid;

	/* who is woken does not run before the other one sleeps, whatever else runs */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) ||
	    sched_setscheduler(0, SCHED_FIFO, &first))
		must(errno, "SCHED_FIFO");
	if (client < 0 || server < 0)
		must(errno, "/dev/bus1");
	must(raw_node(server, client, &node, &request), "TRANSFER");
	must(raw_node(client, server, &node, &reply), "TRANSFER");
	pid = fork();
	if (!pid)
		serve(server, reply, n);
	usleep(20000); /* until it sleeps */
	for (i = 0; i < n; i++) {
		room = raw_room(data, sizeof(data), NULL, 0);
		must(raw_call(client, request, BUS1_INVALID, "request", 7, NULL,
			      0, &room, &why), "CALL");
		must(why, "receipt");
	}
	waitpid(pid, &why, 0);
	must(why ? ECHILD : 0, "the server");
	end_badly(client);
	printf("ready=%d\ndeadline=1\nsignal=1\n", 2 * n);
	printf("client_pid=%d\n", getpid());
	return 0;
}
