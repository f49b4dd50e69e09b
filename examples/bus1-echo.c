// SPDX-License-Identifier: GPL-2.0-only
/*
 * Request and reply with one system call a side: a server that says everything
 * again, and its client.
 *
 * bus1-echo SOCKET, the server, until it is killed
 * bus1-echo SOCKET COUNT, a client: so many round trips, and how long one took
 *
 * A client has a node of the server for itself, and sends with its first message
 * a handle to one of its own, to which all replies go. So nothing is made or
 * released for a request.
 */
#include <bus1/bus1.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_CLIENTS 64
#define MAX_DATA 4096

/* A client, once it has said where replies go: the node it sends to. */
struct client {
	uint64_t node;
	uint64_t reply;
};

static struct client clients[MAX_CLIENTS];
static unsigned int n_clients;

/* Nodes given out. What they are for, only the thread that serves knows. */
static atomic_uint n_nodes;

static int offer(void *userdata, const struct libbus1_cred *cred,
		 uint64_t *handle)
{
	(void)userdata;
	(void)cred;
	(void)handle;
	return atomic_load(&n_nodes) < MAX_CLIENTS ? 0 : -EUSERS;
}

static void given(void *userdata, const struct libbus1_cred *cred, uint64_t id)
{
	(void)userdata;
	(void)cred;
	(void)id;
	atomic_fetch_add(&n_nodes, 1);
}

/* The other thread sleeps in its peer, so new clients have one of their own. */
static void *welcome(void *server)
{
	struct pollfd p = { libbus1_server_fd(server), POLLIN, 0 };
	int r;

	do {
		poll(&p, 1, -1);
		r = libbus1_server_dispatch(server);
	} while (r >= 0);
	fprintf(stderr, "bus1-echo takes no more clients: %s\n", strerror(-r));
	return NULL;
}

static struct client *find(uint64_t node)
{
	unsigned int i;

	for (i = 0; i < n_clients; i++)
		if (clients[i].node == node)
			return &clients[i];
	return NULL;
}

/*
 * Where the reply to @msg goes; BUS1_INVALID where there is none. Handles that
 * came with a message belong to the receiver: all but one are let go of.
 */
static uint64_t reply_to(int peer, const struct libbus1_msg *msg)
{
	struct client *c = find(msg->id);
	size_t kept = 0;

	if (msg->type == BUS1_MESSAGE_TYPE_HANDLE_RELEASE) {
		atomic_fetch_sub(&n_nodes, 1);
		if (c) {
			libbus1_release(peer, &c->reply, 1);
			*c = clients[--n_clients];
		}
	}
	if (msg->type != BUS1_MESSAGE_TYPE_USER)
		return BUS1_INVALID;
	if (!c && msg->n_handles) {
		c = &clients[n_clients++];
		*c = (struct client){ msg->id, msg->handles[0] };
		kept = 1;
	}
	if (msg->n_handles > kept)
		libbus1_release(peer, msg->handles + kept,
				msg->n_handles - kept);
	return c ? c->reply : BUS1_INVALID;
}

/* Returns why it cannot go on. */
static int serve(int peer, struct libbus1_msg *msg)
{
	uint64_t to = BUS1_INVALID;
	int r;

	for (;;) {
		r = -ENOENT;
		if (to != BUS1_INVALID)
			r = libbus1_msg_call(msg, peer, BUS1_INVALID, to,
					     msg->data, msg->n_data, NULL, 0);
		/*
		 * No reply, or one that could not be sent: that is the client's
		 * loss. Or sent, and a signal came before the next request.
		 */
		if (r && r != EMSGSIZE)
			r = libbus1_msg_recv_wait(msg, peer, BUS1_INVALID);
		to = BUS1_INVALID;
		if (!r)
			to = reply_to(peer, msg);
		else if (r == EMSGSIZE || r == -EMSGSIZE)
			/* More than is echoed; nothing of it is kept. */
			r = libbus1_msg_discard(msg, peer);
		if (r < 0 && r != -EINTR)
			return r;
	}
}

static int server(int peer, struct libbus1_msg *msg, const char *path)
{
	struct libbus1_server *server;
	pthread_t thread;
	int r;

	libbus1_name(peer, "echo");
	unlink(path);
	r = libbus1_listen(path, 0666);
	if (r >= 0)
		r = libbus1_server_new(&server, peer, r, offer, given, NULL);
	if (r >= 0)
		r = -pthread_create(&thread, NULL, welcome, server);
	return r < 0 ? r : serve(peer, msg);
}

/* One round trip; @transfers take a handle along. */
static int ask(int peer, struct libbus1_msg *msg, uint64_t service,
	       const char *text, struct bus1_transfer *reply, size_t n)
{
	uint64_t deadline = libbus1_deadline(10000);
	int r;

	r = libbus1_msg_call(msg, peer, deadline, service, text, strlen(text),
			     reply, n);
	/* More than 0: sent, so it must not be sent again. */
	if (r > 0)
		r = -r;
	while (r == -EINTR)
		r = libbus1_msg_recv_wait(msg, peer, deadline);
	if (r < 0)
		return r;
	/* Nobody else has a handle to this peer, so it is the server's. */
	if (msg->type != BUS1_MESSAGE_TYPE_USER)
		return -EPIPE;
	return msg->n_data == strlen(text) &&
	       !memcmp(msg->data, text, msg->n_data) ? 0 : -EPROTO;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

static int client(int peer, struct libbus1_msg *msg, const char *path, int n)
{
	struct bus1_transfer reply = { BUS1_TRANSFER_FLAG_CREATE,
				       BUS1_INVALID };
	uint64_t begun, service;
	char text[32];
	int i, r;

	libbus1_name(peer, "echo-client");
	r = libbus1_connect(peer, path, 10000, &service);
	if (!r)
		r = ask(peer, msg, service, "hello", &reply, 1);
	begun = now();
	for (i = 1; !r && i <= n; i++) {
		snprintf(text, sizeof(text), "%d", i);
		r = ask(peer, msg, service, text, NULL, 0);
	}
	if (!r && n > 0)
		printf("%d round trips, %llu ns each\n", n,
		       (unsigned long long)(now() - begun) / n);
	return r;
}

int main(int argc, char **argv)
{
	struct libbus1_msg msg;
	uint64_t features;
	int peer, r;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: bus1-echo SOCKET [COUNT]\n");
		return 2;
	}
	peer = libbus1_open();
	if (peer < 0) {
		fprintf(stderr, "cannot open /dev/bus1: %s (modprobe bus1)\n",
			strerror(-peer));
		return 1;
	}
	r = libbus1_features(peer, &features);
	if (r < 0 || !(features & BUS1_FEATURE_CALL)) {
		fprintf(stderr, "bus1-echo: the module that is loaded has no "
				"BUS1_CMD_CALL: load a newer one\n");
		return 1;
	}
	libbus1_msg_init(&msg, MAX_DATA, 1);
	if (argc == 2)
		r = server(peer, &msg, argv[1]);
	else
		r = client(peer, &msg, argv[1], atoi(argv[2]));
	if (r < 0)
		fprintf(stderr, "bus1-echo at %s: %s\n", argv[1], strerror(-r));
	libbus1_msg_deinit(&msg);
	return r < 0;
}
