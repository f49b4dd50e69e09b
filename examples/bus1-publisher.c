// SPDX-License-Identifier: GPL-2.0-only
/*
 * A publisher: multicasts ticks to everyone who subscribed.
 *
 * A client gets a handle by the bootstrap socket and sends one of its own: that
 * is a subscription. When a subscriber ends, the node behind that handle does
 * too, and the publisher is told.
 *
 * bus1-publisher SOCKET COUNT MS: so many ticks, one every MS milliseconds
 */
#include <bus1/bus1.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_SUBSCRIBERS 64
/* Their handles are charged to the publisher: one user is not to have all. */
#define MAX_SUBSCRIBERS_PER_USER 16

/* So many ticks in a row without room for them, and a subscriber is dropped. */
#define MAX_MISSED 8

/* Messages between two looks at the socket and at the clock. */
#define BATCH 32

/* The handles of the subscribers, and beside each what else is known. */
static uint64_t subscribers[MAX_SUBSCRIBERS];
static struct {
	uint64_t account;
	unsigned int missed;
} about[MAX_SUBSCRIBERS];
static unsigned int n_subscribers, n_delivered, n_missed, n_gone, n_dropped;
/* One node for all subscribers; our handle to it keeps it alive. */
static uint64_t node, handle;

static int offer(void *userdata, const struct libbus1_cred *cred, uint64_t *out)
{
	(void)userdata;
	(void)cred;
	*out = handle;
	return 0;
}

static void subscribe(int peer, const struct libbus1_msg *msg)
{
	unsigned int i, own = 0;

	for (i = 0; i < n_subscribers; i++)
		own += about[i].account == msg->account;
	if (msg->n_handles == 1 && n_subscribers < MAX_SUBSCRIBERS &&
	    own < MAX_SUBSCRIBERS_PER_USER) {
		about[n_subscribers].account = msg->account;
		about[n_subscribers].missed = 0;
		subscribers[n_subscribers++] = msg->handles[0];
	} else if (msg->n_handles) {
		libbus1_release(peer, msg->handles, msg->n_handles);
	}
}

static void unsubscribe(unsigned int i)
{
	subscribers[i] = subscribers[--n_subscribers];
	about[i] = about[n_subscribers];
}

static void forget(uint64_t id)
{
	unsigned int i;

	for (i = 0; i < n_subscribers && subscribers[i] != id; i++)
		;
	if (i < n_subscribers) {
		unsubscribe(i);
		n_gone++;
	}
}

/* It finds the ticks that it had room for, then that its node is gone. */
static void drop(int peer, unsigned int i)
{
	libbus1_release(peer, &subscribers[i], 1);
	unsubscribe(i);
	n_dropped++;
}

static int receive(int peer, struct libbus1_msg *msg)
{
	int i, r;

	for (i = 0; i < BATCH; i++) {
		r = libbus1_msg_recv(msg, peer);
		if (r == -EAGAIN)
			return 0;
		if (r == -EMSGSIZE)
			r = libbus1_msg_discard(msg, peer);
		else if (!r && msg->type == BUS1_MESSAGE_TYPE_USER)
			subscribe(peer, msg);
		if (r < 0)
			return r;
		if (msg->type == BUS1_MESSAGE_TYPE_NODE_RELEASE)
			forget(msg->id);
	}
	return 0;
}

static int publish(int peer, int number)
{
	int32_t errors[MAX_SUBSCRIBERS];
	struct iovec vec = { &number, sizeof(number) };
	struct bus1_message message = {
		.n_data = sizeof(number),
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	unsigned int i;
	int r;

	/*
	 * Who does not read misses ticks, and holds up nobody. Without the flag
	 * one such subscriber would fail the call for all.
	 */
	r = libbus1_send(peer, BUS1_SEND_FLAG_CONTINUE, subscribers,
			 n_subscribers, errors, &message);
	if (r < 0)
		return r;
	for (i = n_subscribers; i-- > 0;) {
		if (!errors[i]) {
			about[i].missed = 0;
			n_delivered++;
			continue;
		}
		n_missed++;
		if (++about[i].missed == MAX_MISSED)
			drop(peer, i);
	}
	return 0;
}

static long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	struct libbus1_server *server = NULL;
	struct libbus1_msg msg;
	struct pollfd p[2];
	int peer, fd, n = 0, r;
	long next, every;

	if (argc != 4) {
		fprintf(stderr, "usage: bus1-publisher SOCKET COUNT MS\n");
		return 2;
	}
	every = atoi(argv[3]);

	peer = libbus1_open();
	if (peer < 0) {
		fprintf(stderr, "cannot open /dev/bus1: %s (modprobe bus1)\n",
			strerror(-peer));
		return 1;
	}
	/* For who watches; that an older module has no names is no matter. */
	libbus1_name(peer, "publisher");
	unlink(argv[1]);
	r = fd = libbus1_listen(argv[1], 0666);
	if (r >= 0)
		r = libbus1_node_new(peer, &node, &handle);
	if (r >= 0)
		r = libbus1_server_new(&server, peer, fd, offer, NULL, NULL);

	libbus1_msg_init(&msg, 4096, 1);
	next = now() + every;
	while (r >= 0 && n < atoi(argv[2])) {
		p[0] = (struct pollfd){ peer, POLLIN, 0 };
		p[1] = (struct pollfd){ libbus1_server_fd(server), POLLIN, 0 };
		poll(p, 2, next > now() ? next - now() : 0);
		r = libbus1_server_dispatch(server);
		if (r >= 0)
			r = receive(peer, &msg);
		if (r >= 0 && now() >= next) {
			r = publish(peer, ++n);
			next += every;
		}
	}
	if (r < 0)
		fprintf(stderr, "bus1-publisher at %s: %s\n", argv[1],
			strerror(-r));
	printf("ticks: %d, deliveries: %u, missed: %u, ", n, n_delivered,
	       n_missed);
	printf("subscribers gone: %u, dropped: %u\n", n_gone, n_dropped);
	libbus1_msg_deinit(&msg);
	libbus1_server_free(server);
	return r < 0;
}
