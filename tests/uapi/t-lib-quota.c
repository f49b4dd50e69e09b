// SPDX-License-Identifier: GPL-2.0-only
/* libbus1 at the limit of a quota: calls, and both ends of the bootstrap. */
#define _GNU_SOURCE
#include <stdatomic.h>

#include "bootstrap.h"
#include "quota.h"

#define NAME "@bus1-lib-quota-test"
#define UID 4243

#define CREATE { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID }

/* The library is linked statically, so this is the close() it calls. */
static atomic_int elsewhere; /* closed by another thread */

int close(int fd)
{
	elsewhere += gettid() != getpid();
	return syscall(SYS_close, fd);
}

/* A peer of user UID, who may have @max objects if it is his first one. */
static int open_limited(uint64_t max)
{
	int fd;

	quota_set_maxima(max, 1 << 20);
	fd = try_open_as(UID);
	quota_restore();
	return fd;
}

static bool is_create(const struct bus1_transfer *t)
{
	return t->flags == BUS1_TRANSFER_FLAG_CREATE && t->id == BUS1_INVALID;
}

/* Send until the receiver's user has no more room; how many were sent. */
static int fill(int peer, uint64_t handle)
{
	int n = 0, r;

	do {
		r = libbus1_post(peer, handle, NULL, 0, NULL, 0);
	} while (!r && ++n < 1000);
	return r == -EDQUOT ? n : -1;
}

static void test_calls(void)
{
	struct bus1_transfer src[2] = { CREATE, CREATE }, dst[2];
	int before = fds(), own, victim, n;
	uint64_t to[2], node[2], id;
	struct libbus1_msg msg;
	struct bus1_message m = {
		.n_transfers = 1,
		.ptr_transfers = BUS1_FROM_PTR(src),
	};
	int32_t errors[2] = { 7, 7 };

	quota_set_maxima(1, 0);
	n = seteuid(UID) ? 0 : libbus1_open();
	ok(n == -EDQUOT && !seteuid(0) && fds() == before,
	   "open: EDQUOT, and no descriptor");
	quota_restore();

	victim = open_limited(3);
	ok(victim >= 0, "open: a user with three objects");
	ok(libbus1_node_new(victim, &node[0], &to[0]) == -EDQUOT &&
	   !b1_count(victim, "bus1-nodes"), "node_new: EDQUOT");
	ok(libbus1_transfer(victim, victim, src, dst, 2) == -EDQUOT &&
	   is_create(&src[0]) && is_create(&src[1]) &&
	   !b1_count(victim, "bus1-nodes"),
	   "transfer: EDQUOT, CREATE as before");
	close(victim);

	victim = open_limited(64);
	own = libbus1_open();
	node[0] = b1_node_to(victim, own, &to[0]);
	node[1] = b1_node(own, &to[1]);
	n = fill(own, to[0]);
	ok(n > 0 && n < 64, "post: EDQUOT after %d", n);
	ok(libbus1_send(own, 0, to, 2, errors, &m) == -EDQUOT &&
	   errors[0] == 7 && errors[1] == 7 && is_create(src) &&
	   b1_count(own, "bus1-nodes") == 1 && b1_empty(own),
	   "send: EDQUOT for all, errors untouched, CREATE as before");
	ok(libbus1_send(own, BUS1_SEND_FLAG_CONTINUE, to, 2, errors, &m) == 0 &&
	   errors[0] == -EDQUOT && !errors[1] && b1_id_ok(src[0].id),
	   "send: with CONTINUE the full one is skipped");
	libbus1_msg_init(&msg, 0, 0);
	ok(libbus1_msg_recv(&msg, own) == 0 && msg.id == node[1] &&
	   msg.n_handles == 1, "send: and the other one hears it");
	id = msg.handles[0];
	libbus1_release(own, &id, 1);
	ok(b1_handle_gone(own, src[0].id), "send: and it was the only copy");
	src[0] = (struct bus1_transfer)CREATE;
	ok(libbus1_send(own, BUS1_SEND_FLAG_CONTINUE, to, 1, errors, &m) == 0 &&
	   errors[0] == -EDQUOT && b1_handle_gone(own, src[0].id),
	   "send: all are skipped: 0, and the node made for it is gone");

	ok(libbus1_msg_recv(&msg, victim) == 0 && msg.id == node[0] &&
	   libbus1_post(own, to[0], NULL, 0, NULL, 0) == 0 &&
	   libbus1_post(own, to[0], NULL, 0, NULL, 0) == -EDQUOT,
	   "recv: makes room for as much as was received");
	ok(libbus1_msg_discard(&msg, victim) == 0 && fill(own, to[0]) == 1,
	   "discard: does too");
	ok(libbus1_release(victim, &node[0], 1) == 0 && fill(own, to[0]) == -1,
	   "release: nobody pays for what is sent to a dead node");
	libbus1_msg_deinit(&msg);
	close(victim);
	close(own);
}

static int peer;
static uint64_t given_id;
static struct libbus1_server *server;

static int offer(void *userdata, const struct libbus1_cred *cred,
		 uint64_t *handle)
{
	(void)userdata;
	(void)cred;
	(void)handle;
	return 0;
}

static void given(void *userdata, const struct libbus1_cred *cred, uint64_t id)
{
	(void)userdata;
	(void)cred;
	given_id = id;
}

/* Run the server until it has nothing to do. */
static int dispatch(void)
{
	struct pollfd p = { .fd = libbus1_server_fd(server), .events = POLLIN };
	int r, n = 0;

	while (poll(&p, 1, 0) > 0) {
		r = libbus1_server_dispatch(server);
		if (r < 0)
			return r;
		n += r;
	}
	return n;
}

/* One exchange by hand, which lends @lent: what the client is told. */
static int exchange(int lent, uint64_t *handle)
{
	struct reply reply = { .status = 1 };
	int fd = dial(NAME), r;

	say(fd, &good, sizeof(good), &lent, 1);
	r = dispatch();
	if (recv(fd, &reply, sizeof(reply), MSG_DONTWAIT) != sizeof(reply))
		diag("no answer");
	close(fd);
	*handle = reply.handle;
	return r < 0 ? 2 : reply.status;
}

static void serve_at(int owner)
{
	int fd = libbus1_listen(NAME, 0);

	peer = owner;
	if (libbus1_server_new(&server, peer, fd, offer, given, NULL))
		bail_out("no server");
}

/* A client in a process of its own whose user may have @max objects. */
static int connect_limited(unsigned long max)
{
	uint64_t handle;
	int status, open, p, r;
	pid_t pid;

	pid = fork();
	if (!pid) {
		p = open_limited(max);
		if (p < 0 || seteuid(UID))
			_exit(1);
		open = fds();
		r = libbus1_connect(p, NAME, 20000, &handle);
		_exit(fds() == open ? -r : 2);
	}
	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (dispatch() < 0)
			return 1;
		b1_msleep(1);
	}
	/* It may have hung up since the last look. */
	if (dispatch() < 0)
		return 1;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : 1;
}

/* Clients without room for what they ask for. */
static void test_clients(void)
{
	int before, lent, i, refused = 0;
	uint64_t handle;

	serve_at(libbus1_open());
	before = fds();
	/* A lent peer without room for a handle. */
	lent = open_limited(3);
	elsewhere = 0;
	for (i = 0; i < 100; i++)
		refused += exchange(lent, &handle) == -EDQUOT &&
			   handle == BUS1_INVALID;
	ok(refused == 100, "client: without room for a handle it is told so");
	ok(!b1_count(lent, "bus1-handles") && !b1_count(peer, "bus1-nodes") &&
	   b1_empty(peer), "client: and nothing is made");
	close(lent);
	ok(fds() == before && !elsewhere,
	   "client: nor kept, nor left to the background");

	ok(connect_limited(2) == -EDQUOT && fds() == before,
	   "client: without room for a peer to lend");
	ok(connect_limited(3) == -EDQUOT && fds() == before,
	   "client: without room for a handle in it");
	ok(connect_limited(5) == -EDQUOT && fds() == before &&
	   b1_handle_gone(peer, given_id),
	   "client: without room for its copy, it leaves none behind");
	ok(connect_limited(64) == 0 && fds() == before &&
	   b1_handle_gone(peer, given_id), "client: with room for all");

	server = libbus1_server_free(server);
	close(peer);
}

/* A server without room for one more client's node. */
static void test_server(void)
{
	int before = fds(), lent[16] = { 0 }, n, i;
	uint64_t handle, first = 0;

	serve_at(open_limited(16));
	for (n = 0; n < 15; n++) {
		lent[n] = libbus1_open();
		if (exchange(lent[n], &handle))
			break;
		if (!n)
			first = given_id;
	}
	ok(n > 1 && n < 15, "server: full after %d clients", n);
	ok(exchange(lent[n], &handle) == -EDQUOT && handle == BUS1_INVALID &&
	   b1_empty(peer), "server: the next one is told so");
	close(lent[0]);
	ok(b1_handle_gone(peer, first) && exchange(lent[n], &handle) == 0,
	   "server: has room again when one has gone");
	for (i = 1; i <= n; i++)
		close(lent[i]);
	server = libbus1_server_free(server);
	close(peer);
	ok(fds_become(before), "server: nothing is left open");
}

int main(void)
{
	close(b1_open()); /* says so if there is no module */
	if (!quota_begin())
		return done_testing();
	test_calls();
	test_clients();
	test_server();
	return done_testing();
}
