// SPDX-License-Identifier: GPL-2.0-only
/*
 * A load of multicasts that knows what it did, for the tests of bus1-trace order.
 *
 *   trace-order RECEIVERS SENDERS BATCH ROUNDS
 *
 * In each of ROUNDS rounds SENDERS peers send BATCH multicasts each, in turns, to
 * RECEIVERS peers, and these then receive all of them. At the end it says how many
 * sends and receipts that were, how fast, and how many multicasts: the receivers
 * are told when each sender is closed, and that is one, too.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/bus1.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MOST 64
#define BYTES 8

static void die(const char *what)
{
	fprintf(stderr, "trace-order: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int peer_open(void)
{
	int fd = open("/dev/bus1", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/bus1");
	return fd;
}

/* Makes a node in @from; returns its handle in @to. */
static uint64_t give(int from, int to)
{
	struct bus1_transfer src = { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };
	struct bus1_transfer dst = { 0, BUS1_INVALID };
	struct bus1_cmd_transfer cmd = {
		.to = to,
		.n_transfers = 1,
		.ptr_src = BUS1_FROM_PTR(&src),
		.ptr_dst = BUS1_FROM_PTR(&dst),
	};

	if (ioctl(from, BUS1_CMD_TRANSFER, &cmd))
		die("TRANSFER");
	return dst.id;
}

static char data[BYTES];
static struct iovec vec = { data, sizeof(data) };

static void send_to(int fd, const uint64_t *handles, int n)
{
	struct bus1_message message = {
		.type = BUS1_MESSAGE_TYPE_USER,
		.n_data = sizeof(data),
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_send cmd = {
		.n_destinations = n,
		.ptr_destinations = BUS1_FROM_PTR(handles),
		.ptr_message = BUS1_FROM_PTR(&message),
	};

	if (ioctl(fd, BUS1_CMD_SEND, &cmd))
		die("SEND");
}

static void receive(int fd)
{
	struct bus1_metadata metadata;
	struct bus1_message message = {
		.type = BUS1_INVALID,
		.n_data = sizeof(data),
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&metadata),
		.ptr_message = BUS1_FROM_PTR(&message),
	};

	if (ioctl(fd, BUS1_CMD_RECV, &cmd))
		die("RECV");
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int number(const char *s, int most)
{
	int n = atoi(s);

	if (n < 1 || n > most) {
		fprintf(stderr, "trace-order: %s is not from 1 to %d\n", s,
			most);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	static uint64_t handle[MOST][MOST];
	int receiver[MOST], sender[MOST], receivers, senders, batch, rounds;
	int r, s, b, i;
	double time;

	if (argc != 5) {
		fputs("usage: trace-order RECEIVERS SENDERS BATCH ROUNDS\n",
		      stderr);
		return 2;
	}
	receivers = number(argv[1], MOST);
	senders = number(argv[2], MOST);
	batch = number(argv[3], 1 << 10);
	rounds = number(argv[4], 1 << 20);
	for (r = 0; r < receivers; r++)
		receiver[r] = peer_open();
	for (s = 0; s < senders; s++) {
		sender[s] = peer_open();
		for (r = 0; r < receivers; r++)
			handle[s][r] = give(receiver[r], sender[s]);
	}
	time = now();
	for (i = 0; i < rounds; i++) {
		for (b = 0; b < batch; b++)
			for (s = 0; s < senders; s++)
				send_to(sender[s], handle[s], receivers);
		for (r = 0; r < receivers; r++)
			for (b = 0; b < batch * senders; b++)
				receive(receiver[r]);
	}
	time = now() - time;
	for (s = 0; s < senders; s++)
		close(sender[s]);
	printf("sends=%d\nreceipts=%" PRIu64 "\nmulticasts=%d\n",
	       rounds * batch * senders,
	       (uint64_t)rounds * batch * senders * receivers,
	       receivers > 1 ? (rounds * batch + 1) * senders : 0);
	printf("ms=%.0f\nrate=%.0f\n", time * 1e3,
	       (double)rounds * batch * senders * receivers / time);
	return 0;
}
