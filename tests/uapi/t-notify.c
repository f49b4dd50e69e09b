// SPDX-License-Identifier: GPL-2.0-only
/*
 * NODE_RELEASE and HANDLE_RELEASE: exactly once, never lost, never early.
 * t-flight.c has what concerns handles inside messages.
 */
#include <signal.h>

#include "b1.h"

static void test_last_handle(void)
{
	int a = b1_open(), b = b1_open(), c = b1_open();
	uint64_t h, node = b1_node_to(a, b, &h);
	uint64_t h2 = b1_copy(b, h, b), h3 = b1_copy(b, h, c);
	uint64_t own = b1_copy(b, h, a);

	ok(b1_drop(b, h) == 0 && b1_empty(a), "D01: one of four is dropped");
	ok(b1_drop(c, h3) == 0 && b1_empty(a), "D01: two of four");
	ok(b1_drop(b, h2) == 0 && b1_empty(a), "D01: only the owner's is left");
	ok(b1_says(a, own, "alive") == 0 && b1_hears(a, node, "alive"),
	   "D01: the node lives");
	ok(b1_drop(a, own) == 0 && b1_handle_gone(a, node),
	   "the last is gone: HANDLE_RELEASE");
	ok(b1_empty(a) && b1_drop(a, node) == EBADRQC &&
		   b1_count(a, "bus1-nodes") == 0,
	   "exactly once; then the node is gone");

	node = b1_node_to(a, b, &h);
	h3 = b1_copy(b, h, c);
	close(c);
	ok(b1_empty(a), "D01: a peer with one of two handles closes");
	close(b);
	ok(b1_handle_gone(a, node) && b1_empty(a),
	   "D08: the peer with the last closes");
	close(a);
}

static void test_node_release(void)
{
	int a = b1_open(), b = b1_open(), c = b1_open();
	uint64_t h, node = b1_node_to(a, b, &h);
	uint64_t h2 = b1_copy(b, h, b), h3 = b1_copy(b, h, c);
	uint64_t own = b1_copy(b, h, a);

	ok(b1_drop(a, node) == 0 && b1_drop(a, node) == EBADRQC,
	   "a node with four handles is released");
	ok(b1_has_handle(b, h) && b1_has_handle(b, h2) && b1_has_handle(c, h3),
	   "until they hear of it their IDs are known");
	ok(b1_node_gone(b, h) && !b1_has_handle(b, h) && b1_has_handle(b, h2) &&
		   b1_node_gone(b, h2) && !b1_has_handle(b, h2) && b1_empty(b),
	   "D10: both handles of one peer hear of it, once; then are gone");
	ok(b1_node_gone(c, h3) && b1_empty(c), "and the third");
	ok(b1_node_gone(a, own) && b1_empty(a), "and the owner's own");
	ok(b1_drop(b, h) == EBADRQC && b1_drop(c, h3) == EBADRQC,
	   "nothing is left to release");
	ok(b1_count(a, "bus1-handles") + b1_count(b, "bus1-handles") +
			   b1_count(c, "bus1-handles") ==
		   0,
	   "not even in the counts");

	node = b1_node_to(a, b, &h);
	h2 = b1_node_to(a, c, &h3);
	close(a);
	ok(b1_node_gone(b, h) && b1_node_gone(c, h3) && b1_empty(b) &&
		   b1_empty(c),
	   "D08: close releases all nodes");
	close(b);
	close(c);
}

/* Who releases first hears nothing, also where poll has said it is there. */
static void test_vanish(void)
{
	int a = b1_open(), b = b1_open(), look;
	uint64_t h, h2, node, n2;
	struct b1_msg m;

	for (look = 0; look < 2; look++) {
		const char *when = look ? ", after poll saw it" : "";

		node = b1_node_to(a, b, &h);
		b1_drop(a, node);
		if (look)
			ok(b1_readable(b), "poll sees NODE_RELEASE");
		ok(b1_drop(b, h) == 0 && b1_empty(b),
		   "D06: handle released, no NODE_RELEASE%s", when);
		node = b1_node_to(a, b, &h);
		b1_drop(b, h);
		if (look)
			ok(b1_readable(a), "poll sees HANDLE_RELEASE");
		ok(b1_drop(a, node) == 0 && b1_empty(a),
		   "D06: node released, no HANDLE_RELEASE%s", when);

		/* The first of two vanishes; the second stays. */
		node = b1_node_to(a, b, &h);
		n2 = b1_node_to(a, b, &h2);
		b1_release(a, 2, (uint64_t[]){ node, n2 });
		if (look)
			b1_readable(b);
		ok(b1_drop(b, h) == 0 && b1_node_gone(b, h2) && b1_empty(b),
		   "D25: of two NODE_RELEASE one vanishes%s", when);
		node = b1_node_to(a, b, &h);
		n2 = b1_node_to(a, b, &h2);
		b1_release(b, 2, (uint64_t[]){ h, h2 });
		if (look)
			b1_readable(a);
		ok(b1_drop(a, n2) == 0 && b1_handle_gone(a, node) &&
			   b1_empty(a),
		   "D25: of two HANDLE_RELEASE one vanishes%s", when);
	}
	/* Behind a message that was too large to receive. */
	n2 = b1_node_to(a, b, &h2);
	node = b1_node_to(a, b, &h);
	b1_says(b, h2, "0123456789");
	b1_drop(b, h);
	ok(b1_recv_room(a, &m, 0, 1) == EMSGSIZE && b1_drop(a, node) == 0 &&
		   b1_hears(a, n2, "0123456789") && b1_empty(a),
	   "D07: a HANDLE_RELEASE that was ready vanishes from the middle");
	close(a);
	close(b);
}

static void test_dead_handle(void)
{
	int a = b1_open(), b = b1_open(), c = b1_open();
	uint64_t h, node = b1_node_to(a, b, &h), h2, h3, h4;

	b1_drop(a, node);
	ok(b1_says(b, h, "x") == 0, "sending to a released node is no error");
	h2 = b1_copy(b, h, b);
	h3 = b1_copy(b, h, c);
	ok(h2 != h && b1_has_handle(b, h2) && b1_has_handle(c, h3),
	   "a handle whose node is dead can be copied");
	ok(b1_node_gone(c, h3) && b1_empty(c),
	   "D09: the copy hears NODE_RELEASE");
	ok(b1_node_gone(b, h) && b1_node_gone(b, h2) && b1_empty(b),
	   "D09: so do the original and the copy beside it");

	node = b1_node_to(a, b, &h);
	b1_drop(a, node);
	h4 = b1_copy(b, h, c);
	ok(b1_drop(c, h4) == 0 && b1_empty(c),
	   "the copy is dropped first: nothing to hear");
	ok(b1_node_gone(b, h) && b1_empty(b), "the original still hears");

	node = b1_node_to(a, b, &h);
	close(a);
	h4 = b1_copy(b, h, c);
	ok(b1_node_gone(c, h4) && b1_node_gone(b, h) && b1_empty(b) &&
		   b1_empty(c),
	   "the same after the owner closed");
	close(b);
	close(c);
}

static void test_order(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t h, node = b1_node_to(a, b, &h), h2, n2 = b1_node_to(a, b, &h2);
	uint64_t rev, rn = b1_node_to(b, a, &rev);

	b1_says(b, h, "1");
	b1_says(b, h2, "2");
	b1_drop(b, h);
	b1_says(b, h2, "3");
	ok(b1_hears(a, node, "1") && b1_hears(a, n2, "2") &&
		   b1_handle_gone(a, node) && b1_hears(a, n2, "3") &&
		   b1_empty(a),
	   "HANDLE_RELEASE comes behind what was sent before, before what "
	   "after");
	b1_says(a, rev, "before");
	b1_drop(a, n2);
	b1_says(a, rev, "after");
	ok(b1_hears(b, rn, "before") && b1_node_gone(b, h2) &&
		   b1_hears(b, rn, "after") && b1_empty(b),
	   "NODE_RELEASE likewise");
	b1_says(a, rev, "last");
	close(a);
	ok(b1_hears(b, rn, "last") && b1_handle_gone(b, rn) && b1_empty(b),
	   "a sender that closed: its message, then HANDLE_RELEASE");
	close(b);
}

/* Messages for a released node are discarded at once. */
static void test_discard(void)
{
	int a = b1_open(), b = b1_open(), look;
	uint64_t h, node, keep, kn = b1_node_to(a, b, &keep), mine, mn;

	for (look = 0; look < 2; look++) {
		node = b1_node_to(a, b, &h);
		mn = b1_node(b, &mine);
		b1_says(b, h, "gone");
		b1_says(b, keep, "stays");
		b1_gives(b, h, "gone too", mine);
		b1_drop(b, mine);
		if (look)
			b1_readable(a);
		ok(b1_empty(b) && b1_count(a, "bus1-queued") == 3 &&
			   b1_count(a, "bus1-queued-bytes") == 17,
		   "three messages queued, one with the last handle");
		ok(b1_drop(a, node) == 0 && b1_count(a, "bus1-queued") == 1 &&
			   b1_count(a, "bus1-queued-bytes") == 5,
		   "the node is released: two are discarded at once");
		ok(b1_both(b, h, mn) && b1_empty(b),
		   "D11: NODE_RELEASE, and HANDLE_RELEASE for what they "
		   "carried");
		ok(b1_hears(a, kn, "stays") && b1_empty(a),
		   "the other node's message stays");
	}
	node = b1_node_to(a, b, &h);
	b1_says(b, h, "only");
	ok(b1_readable(a) && b1_drop(a, node) == 0 && b1_empty(a),
	   "D06: the only message discarded: not readable");
	close(a);
	close(b);
}

/* A process killed while it sends; its peers close as if it had done so. */
static void test_killed(void)
{
	int a = b1_open(), round;
	uint64_t theirs[5], node[5], h[5];
	bool whole = true;

	for (round = 0; round < 5; round++) {
		int pipes[2], fill = 0, b = b1_open();
		uint64_t n[2];
		struct b1_msg m;
		pid_t pid;
		int r = 0;

		if (pipe(pipes))
			bail_out("no pipe");
		node[round] = b1_node_to(a, b, &h[round]);
		pid = fork();
		if (!pid) {
			struct bus1_transfer t;

			n[1] = b1_node_to(b, a, &n[0]);
			(void)!write(pipes[1], n, sizeof(n));
			for (;;) {
				t = (struct bus1_transfer){
					BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID
				};
				b1_multicast(b, 1, &h[round], NULL, "12345678",
					     8, &t, 1);
			}
		}
		close(b);
		(void)!read(pipes[0], n, sizeof(n));
		theirs[round] = n[0];
		b1_msleep(10 * round + 5);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(pipes[0]);
		close(pipes[1]);
		/* Each message whole, its handle followed by NODE_RELEASE. */
		while (b1_count(a, "bus1-queued") > 2) {
			r = b1_recv(a, &m);
			if (r || m.msg.type != BUS1_MESSAGE_TYPE_USER)
				break;
			whole &= m.meta.id == node[round] &&
				 m.msg.n_data == 8 &&
				 !memcmp(m.data, "12345678", 8) &&
				 m.msg.n_transfers == 1 &&
				 b1_node_gone(a, m.t[0].id);
			fill++;
		}
		ok(b1_both(a, theirs[round], node[round]) && b1_empty(a),
		   "killed after %d messages: NODE_RELEASE, HANDLE_RELEASE",
		   fill);
	}
	ok(whole, "every message was whole, its handles dead");
	ok(b1_count(a, "bus1-handles") == 0 && b1_count(a, "bus1-nodes") == 0,
	   "nothing is left");
	close(a);
}

int main(void)
{
	test_last_handle();
	test_node_release();
	test_vanish();
	test_dead_handle();
	test_order();
	test_discard();
	test_killed();
	return done_testing();
}
