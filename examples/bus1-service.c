// SPDX-License-Identifier: GPL-2.0-only
/*
 * A service: answers every request with its text in capitals.
 *
 * Each client gets a handle to a node of its own, by the bootstrap socket. A
 * request carries one handle, to which the answer goes. When a client's last
 * handle is gone, for whatever reason, its node says so.
 *
 * bus1-service SOCKET, until SIGTERM
 */
#include <bus1/bus1.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CLIENTS 64
/* Their nodes are charged to the service, and one user is not to have all. */
#define MAX_CLIENTS_PER_USER 16

/* Messages between two looks at the socket and at SIGTERM. */
#define BATCH 32

/* A client is the node it was given. */
struct client {
	uint64_t node;
	pid_t pid;
	uid_t uid;
};

static struct client clients[MAX_CLIENTS];
static unsigned int n_clients, n_requests, n_refused, n_gone;
static volatile sig_atomic_t stop;

static void on_term(int signum)
{
	(void)signum;
	stop = 1;
}

/* *handle stays BUS1_INVALID: a new node for this client alone. */
static int offer(void *userdata, const struct libbus1_cred *cred,
		 uint64_t *handle)
{
	unsigned int i, own = 0;

	(void)userdata;
	(void)handle;
	for (i = 0; i < n_clients; i++)
		own += clients[i].uid == cred->uid;
	return n_clients < MAX_CLIENTS && own < MAX_CLIENTS_PER_USER ?
		       0 : -EUSERS;
}

static void given(void *userdata, const struct libbus1_cred *cred, uint64_t id)
{
	(void)userdata;
	clients[n_clients++] = (struct client){ id, cred->pid, cred->uid };
	printf("client %d has come\n", cred->pid);
}

static void on_request(int peer, const struct libbus1_msg *msg)
{
	char *text = msg->data;
	size_t i;

	/* Take what a client sends as it is: it may send anything. */
	if (msg->n_handles == 1) {
		for (i = 0; i < msg->n_data; i++)
			text[i] = toupper((unsigned char)text[i]);
		/*
		 * Fails with EDQUOT if the client's user has no room for it,
		 * because nobody reads there. That is the client's loss: to
		 * wait for one would be to let all others wait.
		 */
		if (libbus1_post(peer, msg->handles[0], text, msg->n_data, NULL,
				 0) < 0)
			n_refused++;
		n_requests++;
	}
	/* Handles that came with a message belong to the receiver. */
	if (msg->n_handles)
		libbus1_release(peer, msg->handles, msg->n_handles);
}

/* The node is gone already, and its ID with it. */
static void on_gone(uint64_t node)
{
	unsigned int i;

	for (i = 0; i < n_clients; i++)
		if (clients[i].node == node) {
			printf("client %d is gone\n", clients[i].pid);
			clients[i] = clients[--n_clients];
			n_gone++;
			return;
		}
}

static int serve(int peer, struct libbus1_msg *msg)
{
	int i, r;

	for (i = 0; i < BATCH; i++) {
		r = libbus1_msg_recv(msg, peer);
		if (r == -EAGAIN)
			return 0;
		if (r == -EMSGSIZE)
			r = libbus1_msg_discard(msg, peer);
		else if (!r && msg->type == BUS1_MESSAGE_TYPE_USER)
			on_request(peer, msg);
		if (r < 0)
			return r;
		if (msg->type == BUS1_MESSAGE_TYPE_HANDLE_RELEASE)
			on_gone(msg->id);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_term };
	struct libbus1_server *server = NULL;
	struct libbus1_msg msg;
	struct pollfd p[2];
	int peer, fd, r;

	if (argc != 2) {
		fprintf(stderr, "usage: bus1-service SOCKET\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGTERM, &sa, NULL);

	peer = libbus1_open();
	if (peer < 0) {
		fprintf(stderr, "cannot open /dev/bus1: %s (modprobe bus1)\n",
			strerror(-peer));
		return 1;
	}
	/* For who watches; that an older module has no names is no matter. */
	libbus1_name(peer, "service");
	unlink(argv[1]);
	r = fd = libbus1_listen(argv[1], 0666);
	if (r >= 0)
		r = libbus1_server_new(&server, peer, fd, offer, given, NULL);

	/* Nobody needs more than 4 KiB and one reply handle. */
	libbus1_msg_init(&msg, 4096, 1);
	while (r >= 0 && !stop) {
		p[0] = (struct pollfd){ peer, POLLIN, 0 };
		p[1] = (struct pollfd){ libbus1_server_fd(server), POLLIN, 0 };
		/* The time limit is for a signal that comes just before. */
		poll(p, 2, 1000);
		r = libbus1_server_dispatch(server);
		if (r >= 0)
			r = serve(peer, &msg);
	}
	if (r < 0)
		fprintf(stderr, "bus1-service at %s: %s\n", argv[1],
			strerror(-r));
	printf("clients: %u, requests: %u, answers refused: %u, ",
	       n_clients + n_gone, n_requests, n_refused);
	printf("clients gone: %u\n", n_gone);
	libbus1_msg_deinit(&msg);
	libbus1_server_free(server);
	return r < 0;
}
