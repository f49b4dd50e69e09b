// SPDX-License-Identifier: GPL-2.0-only
/*
 * A subscriber of bus1-publisher: prints its ticks until it ends.
 *
 * bus1-subscriber [-k COUNT] SOCKET
 *
 * With -k it kills itself after COUNT ticks.
 */
#include <bus1/bus1.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct bus1_transfer ours = {
		BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID
	};
	int die = argc > 1 && !strcmp(argv[1], "-k");
	int peer, r, number, n = 0;
	struct libbus1_msg msg;
	uint64_t publisher;

	if (argc != 2 + 2 * die) {
		fprintf(stderr, "usage: bus1-subscriber [-k COUNT] SOCKET\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);

	peer = libbus1_open();
	if (peer < 0) {
		fprintf(stderr, "cannot open /dev/bus1: %s (modprobe bus1)\n",
			strerror(-peer));
		return 1;
	}
	/* For who watches; that an older module has no names is no matter. */
	libbus1_name(peer, "subscriber");
	r = libbus1_connect(peer, argv[argc - 1], 10000, &publisher);
	/* The subscription: a handle to a new node, where the ticks arrive. */
	if (r >= 0)
		r = libbus1_post(peer, publisher, NULL, 0, &ours, 1);

	libbus1_msg_init(&msg, 4096, 1);
	while (r >= 0) {
		r = libbus1_wait(peer, 10000);
		if (r == 0)
			r = -ETIMEDOUT;
		if (r >= 0)
			r = libbus1_msg_recv(&msg, peer);
		if (r < 0)
			break;
		/*
		 * The publisher has ended: its node is gone, and so is the last
		 * handle to ours. Whichever is heard of first, every tick that
		 * was sent has been received before.
		 */
		if (msg.type != BUS1_MESSAGE_TYPE_USER)
			break;
		if (msg.id != ours.id || msg.n_data != sizeof(number))
			continue;
		memcpy(&number, msg.data, sizeof(number));
		printf("tick %d\n", number);
		if (++n == (die ? atoi(argv[2]) : -1))
			kill(getpid(), SIGKILL);
	}
	if (r < 0)
		fprintf(stderr, "bus1-subscriber of %s: %s\n", argv[argc - 1],
			strerror(-r));
	printf("%d ticks\n", n);
	libbus1_msg_deinit(&msg);
	return r < 0;
}
