// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile client of bus1-service: sends requests as fast as it can, asks for
 * an answer to each, and never receives one.
 *
 * bus1-flood SOCKET, until it is killed
 *
 * It loses its own requests and answers, and nobody else loses anything: for
 * what it has in flight its user has a share of the service's account and no
 * more, and what it does not receive is charged to its own.
 */
#include <bus1/bus1.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	unsigned long n_sent = 0, n_refused = 0;
	uint64_t service, node, handle;
	struct bus1_transfer reply;
	int peer, r;

	if (argc != 2) {
		fprintf(stderr, "usage: bus1-flood SOCKET\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);

	r = peer = libbus1_open();
	if (r >= 0)
		r = libbus1_connect(peer, argv[1], 10000, &service);
	/* One way back for all: a node for each would fill its own account. */
	if (r >= 0)
		r = libbus1_node_new(peer, &node, &handle);
	while (r >= 0) {
		reply = (struct bus1_transfer){ 0, handle };
		r = libbus1_post(peer, service, "flood", 5, &reply, 1);
		n_sent += !r;
		if (r == -EDQUOT) {
			if (!n_refused++)
				printf("refused after %lu requests: %s\n",
				       n_sent, strerror(EDQUOT));
			/* A decent client would wait here, or give up. */
			r = 0;
		}
	}
	fprintf(stderr, "bus1-flood of %s: %s\n", argv[1], strerror(-r));
	return 1;
}
