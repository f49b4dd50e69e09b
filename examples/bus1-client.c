// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client of bus1-service: sends requests one after the other and prints the
 * answers.
 *
 * bus1-client [-k] SOCKET COUNT
 *
 * With -k it kills itself after the last request, without waiting for the
 * answer or letting go of anything: the service hears of it all the same.
 */
#include <bus1/bus1.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Send a request. While there is no room for it in the account of the service's
 * user, wait: every time longer, and not for ever. A client that has more than
 * one request on its way receives the answers to those first.
 */
static int ask(int peer, uint64_t service, const char *text,
	       struct bus1_transfer *reply)
{
	int ms, r;

	for (ms = 1;; ms *= 2) {
		r = libbus1_post(peer, service, text, strlen(text), reply, 1);
		if (r != -EDQUOT || ms > 1000)
			return r;
		usleep(ms * 1000);
	}
}

/* Wait for the answer at @node; anything else is not for us. */
static int await(int peer, struct libbus1_msg *msg, uint64_t service,
		 uint64_t node)
{
	int r;

	for (;;) {
		r = libbus1_wait(peer, 10000);
		if (r == 0)
			return -ETIMEDOUT;
		r = libbus1_msg_recv(msg, peer);
		if (r < 0)
			return r;
		if (msg->type == BUS1_MESSAGE_TYPE_USER && msg->id == node)
			return 0;
		if (msg->type == BUS1_MESSAGE_TYPE_NODE_RELEASE &&
		    msg->id == service)
			return -EPIPE; /* the service has ended */
		/*
		 * HANDLE_RELEASE: the service has let go of the handle it
		 * answered to, so that node is gone.
		 */
	}
}

int main(int argc, char **argv)
{
	int die = argc > 1 && !strcmp(argv[1], "-k"), i, n, peer, r;
	struct bus1_transfer reply;
	struct libbus1_msg msg;
	uint64_t service;
	char text[64];

	if (argc != 3 + die) {
		fprintf(stderr, "usage: bus1-client [-k] SOCKET COUNT\n");
		return 2;
	}
	n = atoi(argv[2 + die]);

	peer = libbus1_open();
	if (peer < 0) {
		fprintf(stderr, "cannot open /dev/bus1: %s (modprobe bus1)\n",
			strerror(-peer));
		return 1;
	}
	/* For who watches; that an older module has no names is no matter. */
	libbus1_name(peer, "client");
	r = libbus1_connect(peer, argv[1 + die], 10000, &service);
	libbus1_msg_init(&msg, 4096, 1);
	for (i = 1; r >= 0 && i <= n; i++) {
		snprintf(text, sizeof(text), "request %d from %d", i, getpid());
		/* One call makes a node here and sends the handle to it. */
		reply.flags = BUS1_TRANSFER_FLAG_CREATE;
		reply.id = BUS1_INVALID;
		r = ask(peer, service, text, &reply);
		if (die && i == n)
			kill(getpid(), SIGKILL);
		if (r >= 0)
			r = await(peer, &msg, service, reply.id);
		if (r >= 0)
			printf("%.*s\n", (int)msg.n_data, (char *)msg.data);
	}
	if (r < 0)
		fprintf(stderr, "bus1-client of %s: %s\n", argv[1 + die],
			strerror(-r));
	libbus1_msg_deinit(&msg);
	return r < 0;
}
