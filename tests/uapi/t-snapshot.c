// SPDX-License-Identifier: GPL-2.0-only
/*
 * What debugfs says of queues and of use: each entry in the order of delivery,
 * what a peer has done and received, and when a handle was sent through last.
 */
#include <inttypes.h>
#include <sys/syscall.h>

#include "objects.h"
#include "quota.h"

/* How far a coarse clock may be behind. */
#define COARSE 200000000ull

static int a, b, c;
static uint64_t pa, pb, pc;

/* A number of the line of a peer. */
static uint64_t of(uint64_t peer, const char *key)
{
	char line[512];

	return line_of("peer", peer, 0, line, sizeof(line)) ? value(line, key) :
							      ~0ull;
}

static bool peer_has(uint64_t peer, const char *key, uint64_t want)
{
	uint64_t got = of(peer, key);

	if (got != want)
		diag("peer %" PRIu64 ": %s=%" PRIu64 ", not %" PRIu64, peer,
		     key, got, want);
	return got == want;
}

static uint64_t used(uint64_t peer, uint64_t handle)
{
	char line[512];

	if (line_of("handle", peer, handle, line, sizeof(line)))
		return value(line, "used");
	return ~0ull;
}

/* What is said of a peer's queue, without the end of the last line. */
static char *queue(uint64_t peer)
{
	char *text = quota_file(OBJECTS), *out = text, *line = text;
	bool own = false;
	size_t n;

	for (; *line; line += n) {
		n = quota_next(line) - line;
		if (!strncmp(line, "peer ", 5))
			own = value(line, "id") == peer;
		if (!own || (strncmp(line, "message ", 8) &&
			     strncmp(line, "notification ", 13)))
			continue;
		memmove(out, line, n);
		out += n;
	}
	out[-(out > text)] = 0;
	return text;
}

/* The lines that are wanted, all of them and in their order. */
static char want[8][256];
static unsigned int n_want, at_want;

static bool queue_is_wanted(void)
{
	char *text = queue(pa), *line = text;
	unsigned int i;
	bool good = true;

	for (i = at_want; good && i < n_want; i++) {
		good = !strncmp(line, want[i], strlen(want[i])) &&
		       strchr("\n", line[strlen(want[i])]);
		if (!good)
			diag("wanted %s", want[i]);
		line = quota_next(line);
	}
	good = good && !*line;
	if (!good)
		diag("got %s", text);
	free(text);
	return good;
}

#define WANT(...) snprintf(want[n_want++], sizeof(*want), __VA_ARGS__)
#define U PRIu64

static uint64_t stamps[8];

/* Each kind of entry, from two senders, and one of a call to several. */
static void queue_fill(uint64_t *nodes, uint64_t *gone, bool traced)
{
	uint64_t h[3], n[3], hc, hx, nx, tx, t0 = b1_now();
	struct bus1_transfer carried[2] = { { 0, 0 } };
	char *text, *line;
	unsigned int i;

	for (i = 0; i < 3; i++)
		n[i] = b1_node_to(a, b, &h[i]);
	b1_node_to(c, b, &hc);
	nx = b1_node_to(c, a, &hx);

	tx = of(pb, "transactions");
	b1_says(b, h[0], "one");
	carried[0].id = h[0];
	carried[1].id = h[1];
	b1_multicast(b, 3, (uint64_t[]){ hc, h[1], h[0] }, NULL,
		     "fourteen bytes", 14, carried, 2);
	b1_drop(b, h[2]);
	/* c drops its own node: of its transactions this is the last. */
	b1_drop(c, nx);
	b1_send(b, h[0], NULL, 0);

	n_want = 0;
	at_want = 0;
	WANT("message peer=%" U " tx_peer=%" U " tx=%" U
	     " index=0 node=%" U " bytes=3 handles=0", pa, pb, tx + 1, n[0]);
	WANT("message peer=%" U " tx_peer=%" U " tx=%" U
	     " index=1 node=%" U " bytes=14 handles=2", pa, pb, tx + 2, n[1]);
	WANT("message peer=%" U " tx_peer=%" U " tx=%" U
	     " index=2 node=%" U " bytes=14 handles=2", pa, pb, tx + 2, n[0]);
	WANT("notification peer=%" U " tx_peer=%" U " tx=%" U
	     " kind=handle_release id=%" U " node_peer=%" U " node=%" U, pa,
	     pb, tx + 3, n[2], pa, n[2]);
	WANT("notification peer=%" U " tx_peer=%" U " tx=%" U
	     " kind=node_release id=%" U " node_peer=%" U " node=%" U, pa, pc,
	     of(pc, "transactions"), hx, pc, nx);
	WANT("message peer=%" U " tx_peer=%" U " tx=%" U
	     " index=0 node=%" U " bytes=0 handles=0", pa, pb, tx + 4, n[0]);

	text = queue(pa);
	for (i = 0, line = text; i < n_want; i++, line = quota_next(line)) {
		stamps[i] = value(line, "stamp");
		snprintf(want[i] + strlen(want[i]), 30, " stamp=%" U,
			 stamps[i]);
		if (traced && (stamps[i] < t0 || stamps[i] > b1_now() ||
			       (i && stamps[i] < stamps[i - 1])))
			bail_out("stamp %" U " in %s", stamps[i], line);
		if (!traced && stamps[i])
			bail_out("a stamp in %s", line);
	}
	free(text);
	memcpy(nodes, (uint64_t[]){ n[0], n[1], n[0], n[2], hx, n[0] },
	       6 * sizeof(*nodes));
	*gone = hx;
}

static void test_queue(bool traced)
{
	const char *how = traced ? "traced" : "not traced";
	uint64_t order[6], gone, before = of(pa, "received");
	struct b1_msg m;
	unsigned int i;
	bool good = true;

	if (traced)
		quota_trace_on("tx_begin");
	queue_fill(order, &gone, traced);
	free(quota_trace_off());
	ok(queue_is_wanted(),
	   "%s: messages and notifications, in order, and nothing else", how);
	ok(!traced || stamps[1] == stamps[2], "%s: one call, one stamp", how);
	ok(peer_has(pa, "queued", n_want) && peer_has(pa, "bytes", 3 + 28) &&
		   peer_has(pa, "oldest", stamps[0]) &&
		   peer_has(pc, "queued", 1) && peer_has(pb, "queued", 0) &&
		   peer_has(pb, "oldest", 0),
	   "%s: what the lines of the peers say fits", how);
	for (i = 0; i < n_want; i++) {
		good = good && !b1_recv(a, &m) && m.meta.id == order[i];
		at_want++;
		good = good && queue_is_wanted() &&
		       peer_has(pa, "received", before + i + 1) &&
		       peer_has(pa, "oldest",
				i + 1 < n_want ? stamps[i + 1] : 0);
	}
	ok(good, "%s: each leaves when it is received, the first first", how);
	ok(b1_empty(a) && peer_has(pa, "received", before + n_want),
	   "%s: received is how many they were", how);
	b1_recv(c, &m);
}

/* What is released while it is queued, or comes to a released node. */
static void test_gone(void)
{
	uint64_t h, node = b1_node_to(a, b, &h), late;
	struct bus1_transfer t;
	struct b1_msg m;
	char *text;

	b1_says(b, h, "x");
	b1_says(b, h, "y");
	b1_drop(a, node);
	text = queue(pa);
	ok(!*text && peer_has(pa, "oldest", 0),
	   "messages to a node that is released are not listed");
	free(text);
	b1_node_gone(b, h);

	/* A handle whose node died on the way: two entries of one message. */
	node = b1_node_to(a, b, &h);
	t = (struct bus1_transfer){ BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };
	b1_multicast(b, 1, &h, NULL, NULL, 0, &t, 1);
	b1_drop(b, t.id);
	b1_recv(a, &m);
	late = m.t[0].id;
	n_want = 0;
	at_want = 0;
	WANT("notification peer=%" U " tx_peer=%" U " tx=%" U
	     " kind=node_release id=%" U " node_peer=%" U " node=%" U
	     " stamp=0", pa, pb, of(pb, "transactions") - 1, late, pb,
	     (uint64_t)t.id);
	ok(queue_is_wanted(), "a handle that came too late: its notification, "
			      "of the message's transaction");
	b1_node_gone(a, late);
	b1_drop(b, h);
	b1_handle_gone(a, node);
}

/* More than a buffer of the file holds. */
static void test_many(void)
{
	uint64_t h, node = b1_node_to(a, b, &h), i, first;
	char *text, *line;
	struct b1_msg m;
	bool good = true;

	first = of(pb, "transactions") + 1;
	for (i = 0; i < 1000; i++)
		b1_says(b, h, "many");
	text = queue(pa);
	for (i = 0, line = text; *line; i++, line = quota_next(line))
		good = good && value(line, "tx") == first + i &&
		       value(line, "node") == node;
	free(text);
	ok(good && i == 1000, "1000 messages are listed, in order: %" U, i);
	while (!b1_recv(a, &m))
		;
	b1_drop(b, h);
	b1_handle_gone(a, node);
}

static bool used_at(uint64_t peer, uint64_t handle, uint64_t from, uint64_t to)
{
	uint64_t t = used(peer, handle);

	if (t + COARSE >= from && t <= to && t)
		return true;
	diag("used=%" U ", not between %" U " and %" U, t, from, to);
	return false;
}

static void test_used(void)
{
	uint64_t h, h2, h3, full, node = b1_node_to(a, b, &h), t, t0, before;
	struct bus1_transfer carried = { 0, 0 };
	struct iovec vec = { NULL, 1 };
	struct bus1_message msg = {
		.n_data = 1,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	int32_t errors[3];
	struct b1_msg m;
	int d;

	h2 = b1_copy(b, h, b);
	h3 = b1_copy(b, h, b);
	ok(used(pb, h) == 0 && used(pb, h2) == 0, "new handles: used=0");

	t0 = b1_now();
	b1_says(b, h, "x");
	ok(used_at(pb, h, t0, b1_now()) && !used(pb, h2) && !used(pb, h3),
	   "sent through: the time, of that one alone");
	b1_hears(a, node, "x");
	t = used(pb, h);
	b1_msleep(300);
	t0 = b1_now();
	b1_multicast(b, 2, (uint64_t[]){ h2, h }, NULL, "x", 1, NULL, 0);
	ok(used_at(pb, h, t0, b1_now()) && used_at(pb, h2, t0, b1_now()) &&
		   used(pb, h) > t && !used(pb, h3),
	   "one call to two: both, and later than before");
	t = used(pb, h);
	b1_msleep(300);

	before = of(pb, "transactions");
	b1_send_msg(b, 1, &h, NULL, &msg);
	b1_send_msg(b, 1, &h3, NULL, &msg);
	b1_multicast(b, 2, (uint64_t[]){ h3, BUS1_INVALID }, NULL, "x", 1,
		     NULL, 0);
	ok(!used(pb, h3) && used(pb, h) == t &&
		   peer_has(pb, "transactions", before),
	   "a SEND that fails is no use, and no transaction");
	carried.id = h3;
	b1_multicast(b, 0, NULL, NULL, NULL, 0, &carried, 1);
	ok(!used(pb, h3), "nor is one to nobody");
	b1_multicast(b, 1, &h, NULL, "x", 1, &carried, 1);
	b1_copy(b, h3, b);
	ok(!used(pb, h3), "nor is it to be sent along, or copied");
	while (!b1_recv(a, &m))
		if (m.msg.n_transfers == 1)
			ok(!used(pa, m.t[0].id),
			   "one that came with a message: used=0");

	/* Another user, with room for little. */
	quota_set_maxima(1000, 100);
	d = open_as(7001);
	quota_restore();
	b1_node_to(d, b, &full);
	errors[0] = 0;
	quota_send(b, BUS1_SEND_FLAG_CONTINUE, 2, (uint64_t[]){ full, h3 },
		   errors, 1000, NULL, 0);
	ok(errors[0] == -EDQUOT && !errors[1] && !used(pb, full) &&
		   used(pb, h3),
	   "skipped for want of quota: not used; the other is");
	close(d);
	b1_node_gone(b, full);
	b1_recv(a, &m);

	t = used(pb, h);
	b1_msleep(300);
	b1_drop(a, node);
	b1_says(b, h, "too late");
	ok(used(pb, h) > t, "a SEND to a node that is gone is a use too");
	while (!b1_recv(b, &m))
		;
}

/* The event says through which handle, by the sender's ID for it. */
static void test_msg_send(void)
{
	uint64_t h[3], nodes[2], i;
	char line[3][128], *text;
	struct b1_msg m;

	nodes[0] = b1_node_to(a, b, &h[0]);
	nodes[1] = b1_node_to(c, b, &h[1]);
	h[2] = b1_copy(b, h[0], b);
	quota_trace_on("msg_send");
	b1_multicast(b, 3, (uint64_t[]){ h[1], h[2], h[0] }, NULL, "x", 1,
		     NULL, 0);
	text = quota_trace_off();
	snprintf(line[0], sizeof(*line), "peer=%" U " index=0 receiver=%" U
		 " node=%" U " handle=%" U, pb, pc, nodes[1], h[1]);
	snprintf(line[1], sizeof(*line), "peer=%" U " index=1 receiver=%" U
		 " node=%" U " handle=%" U, pb, pa, nodes[0], h[2]);
	snprintf(line[2], sizeof(*line), "peer=%" U " index=2 receiver=%" U
		 " node=%" U " handle=%" U, pb, pa, nodes[0], h[0]);
	for (i = 0; i < 3 && quota_traced(text, "msg_send", line[i]) == 1; i++)
		;
	ok(i == 3, "msg_send has the handle: %s", i < 3 ? line[i] : "all");
	free(text);
	for (i = 0; i < 3; i++)
		b1_recv(i ? a : c, &m);
	b1_release(b, 3, h);
	b1_handle_gone(a, nodes[0]);
	b1_handle_gone(c, nodes[1]);
}

static void test_transactions(void)
{
	uint64_t n = of(pb, "transactions"), h, node;
	struct b1_msg m;

	node = b1_node(b, &h);
	ok(peer_has(pb, "transactions", n + 1), "TRANSFER is a transaction");
	b1_says(b, h, "x");
	ok(peer_has(pb, "transactions", n + 2), "and SEND");
	b1_recv(b, &m);
	ok(peer_has(pb, "transactions", n + 2), "RECV is none");
	b1_drop(b, h);
	ok(peer_has(pb, "transactions", n + 3), "RELEASE is");
	b1_handle_gone(b, node);
	ok(peer_has(pb, "transactions", n + 3), "and that is all");
}

/* The lines of peers of a file, and how many others. */
static char *peers(const char *path, unsigned int *others)
{
	char *text = quota_file(path), *out = text, *line = text;
	size_t n;

	*others = 0;
	for (; *line; line += n) {
		n = quota_next(line) - line;
		*others += strncmp(line, "peer ", 5) != 0;
		if (strncmp(line, "peer ", 5))
			continue;
		memmove(out, line, n);
		out += n;
	}
	*out = 0;
	return text;
}

static void test_peers(void)
{
	char line[128] = "", *one, *two;
	uint64_t h, start = b1_now();
	unsigned int others[2];
	FILE *f = fopen(PEERS, "re");
	int i, many[300];

	if (!f || !fgets(line, sizeof(line), f))
		line[0] = 0;
	if (f)
		fclose(f);
	ok(!strncmp(line, "bus1-peers schema=1.4 time=", 27) &&
		   value(line, "time") >= start &&
		   value(line, "time") <= b1_now(),
	   "the first line of peers: %.*s", (int)strcspn(line, "\n"), line);

	for (i = 0; i < 300; i++)
		many[i] = b1_open();
	b1_node_to(a, b, &h);
	b1_says(b, h, "queued");
	one = peers(PEERS, &others[0]);
	two = peers(OBJECTS, &others[1]);
	ok(!strcmp(one, two) && strlen(one) > 300 * 80,
	   "the peers of both files are the same, more than a buffer");
	ok(others[0] == 1 && others[1] > 3, "and peers has nothing else");
	free(one);
	free(two);
	for (i = 0; i < 300; i++)
		close(many[i]);
}

int main(void)
{
	if (!quota_begin() || !objects_there())
		return done_testing();
	a = b1_open();
	b = b1_open();
	c = b1_open();
	pa = b1_count(a, "bus1-peer");
	pb = b1_count(b, "bus1-peer");
	pc = b1_count(c, "bus1-peer");
	test_queue(false);
	if (access(QUOTA_TRACING "events/bus1/tx_begin", F_OK)) {
		skip(1, "no tracefs");
	} else {
		test_queue(true);
		test_msg_send();
	}
	test_gone();
	test_many();
	test_used();
	test_transactions();
	test_peers();
	close(a);
	close(b);
	close(c);
	return done_testing();
}
