// SPDX-License-Identifier: GPL-2.0-only
/* libbus1: the bootstrap's client before hostile servers. */
#define _GNU_SOURCE
#include "bootstrap.h"

#define NAME "@bus1-connect-test"

/* The server's. */
static int peer;

/* What a hostile server does once it has the request. */
enum evil {
	SILENT, HANG_UP, SHORT, LONG, MAGIC_WRONG, VERSION_2, STATUS_HIGH,
	STATUS_LOW, NO_ID, INVALID_ID, EVEN_ID, UNKNOWN_ID, NODE_ID, WITH_FDS,
	REFUSED, LINGERS, LINGERS_LATER, KEEPS_PEER, N_EVIL
};

static const struct {
	const char *what;
	int expected;
} evil_names[] = {
	[SILENT] = { "says nothing", -ETIMEDOUT },
	[HANG_UP] = { "hangs up", -ECONNRESET },
	[SHORT] = { "a byte short", -EPROTO },
	[LONG] = { "a byte long", -EPROTO },
	[MAGIC_WRONG] = { "wrong magic", -EPROTO },
	[VERSION_2] = { "another version", -EPROTONOSUPPORT },
	[STATUS_HIGH] = { "a positive status", -EPROTO },
	[STATUS_LOW] = { "a status that is no errno", -EPROTO },
	[NO_ID] = { "ID 0", -EPROTO },
	[INVALID_ID] = { "BUS1_INVALID", -EPROTO },
	[EVEN_ID] = { "an ID the kernel did not choose", -EPROTO },
	[UNKNOWN_ID] = { "an ID that does not exist", -EPROTO },
	[NODE_ID] = { "a node made in the lent peer", -EPROTO },
	[WITH_FDS] = { "sends descriptors", -EPROTO },
	[REFUSED] = { "refuses", -EACCES },
	[LINGERS] = { "sends what takes long to close", -EPROTO },
	[LINGERS_LATER] = { "sends that after a refusal", -EACCES },
	[KEEPS_PEER] = { "keeps the lent peer and empties it", 0 },
};

struct evil_server {
	int listening;
	int tcp; /* what a lingering socket is connected to */
	enum evil how;
	int lent; /* what it was lent, kept open */
	uint64_t in_lent;
	uint64_t node;
};

static void *evil_run(void *arg)
{
	struct evil_server *e = arg;
	int fd = accept4(e->listening, NULL, NULL, SOCK_CLOEXEC), rights[3], c;
	union {
		char buffer[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct request request;
	struct iovec vec = { &request, sizeof(request) };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct { struct reply r; char more; } out = {
		{ MAGIC, 1, 0, BUS1_INVALID }, 0
	};
	size_t size = sizeof(out.r), n = 0;

	if (recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) != sizeof(request) ||
	    memcmp(&request, &good, sizeof(good)))
		bail_out("the client's request is not as documented");
	memcpy(&e->lent, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	e->node = b1_node_to(peer, e->lent, &out.r.handle);
	e->in_lent = out.r.handle;
	rights[0] = rights[1] = rights[2] = e->lent;

	switch (e->how) {
	case SILENT:
		recv(fd, &c, 1, 0);
		size = 0;
		break;
	case HANG_UP:
		shutdown(fd, SHUT_RDWR);
		size = 0;
		break;
	case SHORT:
		size--;
		break;
	case LONG:
		size++;
		break;
	case MAGIC_WRONG:
		out.r.magic++;
		break;
	case VERSION_2:
		out.r.version = 2;
		break;
	case STATUS_HIGH:
		out.r.status = 1;
		break;
	case STATUS_LOW:
		out.r.status = -4096;
		break;
	case NO_ID:
		out.r.handle = 0;
		break;
	case INVALID_ID:
		out.r.handle = BUS1_INVALID;
		break;
	case EVEN_ID:
		out.r.handle++;
		break;
	case UNKNOWN_ID:
		out.r.handle += 1000;
		break;
	case NODE_ID:
		out.r.handle = b1_node(e->lent, &(uint64_t){ 0 });
		break;
	case WITH_FDS:
		n = 3;
		break;
	case REFUSED:
		out.r.status = -EACCES;
		break;
	case LINGERS_LATER:
		out.r.status = -EACCES;
		say(fd, &out, size, NULL, 0);
		/* fallthrough */
	case LINGERS:
		n = 1;
		rights[0] = lingering(&e->tcp);
		break;
	default:
		break;
	}
	if (size)
		say(fd, &out, size, rights, n);
	if (e->tcp)
		close(rights[0]);
	recv(fd, &c, 1, 0); /* until the client has gone */
	close(fd);
	return NULL;
}

static void test_evil_server(enum evil how)
{
	int p = libbus1_open(), before, r;
	struct evil_server e = { .how = how };
	uint64_t handle = BUS1_INVALID, own, start, ms, foreign;
	pthread_t t;

	own = b1_node(p, &foreign);
	before = fds();
	e.listening = libbus1_listen(NAME, 0);
	fcntl(e.listening, F_SETFL, 0);
	if (pthread_create(&t, NULL, evil_run, &e))
		bail_out("thread");
	start = b1_now();
	r = libbus1_connect(p, NAME, how == SILENT ? 300 : 20000, &handle);
	ms = (b1_now() - start) / 1000000;
	if (how == SILENT)
		ok(ms >= 299 && ms < 10000, "evil: bounded (%llu ms)",
		   (unsigned long long)ms);
	pthread_join(t, NULL);
	if (e.tcp) {
		ok(ms < LINGER * 1000 - 2000, "evil: the client did not wait");
		close(e.tcp);
	}
	ok(r == evil_names[how].expected && (!r || handle == BUS1_INVALID),
	   "evil: %s: %s", evil_names[how].what, strerror(-r));
	if (how == KEEPS_PEER) {
		/* All that the server ever had was not the client's peer. */
		ok(b1_drop(e.lent, e.in_lent) == 0 &&
		   b1_drop(e.lent, handle) == EBADRQC &&
		   b1_drop(e.lent, own) == EBADRQC,
		   "evil: the lent peer held that handle and nothing else");
		ok(b1_says(p, handle, "still") == 0 &&
		   b1_hears(peer, e.node, "still"),
		   "evil: the client's copy is out of its reach");
	}
	close(e.lent);
	close(e.listening);
	ok(fds_become(before), "evil: nothing left open");
	close(p);
	/* What it made in the server's peer is of no more interest. */
	while (b1_readable(peer))
		b1_recv(peer, &(struct b1_msg){ 0 });
}

static void test_deaf_server(void)
{
	int p = libbus1_open(), before = fds(), fd, fill[8], i, r;
	uint64_t handle, start, ms;

	fd = libbus1_listen(NAME, 0);
	start = b1_now();
	r = libbus1_connect(p, NAME, 200, &handle);
	ms = (b1_now() - start) / 1000000;
	ok(r == -ETIMEDOUT && ms >= 199 && ms < 10000,
	   "deaf: never accepts (%llu ms)", (unsigned long long)ms);
	listen(fd, 1);
	for (i = 0; i < 8; i++)
		fill[i] = dial_with(NAME, SOCK_NONBLOCK);
	start = b1_now();
	r = libbus1_connect(p, NAME, 200, &handle);
	ms = (b1_now() - start) / 1000000;
	ok(r == -ETIMEDOUT && ms >= 199 && ms < 10000,
	   "deaf: its backlog is full (%llu ms): %s",
	   (unsigned long long)ms, strerror(-r));
	for (i = 0; i < 8; i++)
		close(fill[i]);
	close(fd);
	ok(fds() == before, "deaf: nothing left open");
	close(p);
}

int main(void)
{
	enum evil how;

	peer = libbus1_open();
	if (peer < 0)
		bail_out("cannot open /dev/bus1: %s", strerror(-peer));
	for (how = 0; how < N_EVIL; how++)
		test_evil_server(how);
	test_deaf_server();
	return done_testing();
}
