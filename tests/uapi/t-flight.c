// SPDX-License-Identifier: GPL-2.0-only
/* Handles inside undelivered messages, and what becomes of them. */
#include "b1.h"

static void test_alive(void)
{
	int a = b1_open(), b = b1_open(), c = b1_open();
	uint64_t h, node = b1_node(a, &h), to, tn = b1_node_to(b, a, &to);
	uint64_t next, nn = b1_node_to(c, b, &next);
	struct b1_msg m;

	ok(b1_gives(a, to, "1", h) == 0 && b1_drop(a, h) == 0 && b1_empty(a),
	   "D11: in flight the last handle counts as alive");
	ok(b1_hears_msg(b, tn, "1", 1, 1, &m) && b1_empty(a),
	   "D11: received it is alive");
	ok(b1_gives(b, next, "2", m.t[0].id) == 0 &&
		   b1_drop(b, m.t[0].id) == 0 && b1_empty(a),
	   "in flight again");
	ok(b1_hears_msg(c, nn, "2", 1, 1, &m) &&
		   b1_says(c, m.t[0].id, "hello") == 0 &&
		   b1_hears(a, node, "hello"),
	   "it leads home from the third peer");
	ok(b1_drop(c, m.t[0].id) == 0 && b1_handle_gone(a, node) && b1_empty(a),
	   "dropped there: HANDLE_RELEASE");
	close(a);
	close(b);
	close(c);
}

/* A message is discarded: the handles in it drop. */
static void test_discarded(void)
{
	int a = b1_open(), b = b1_open(), look;
	uint64_t h, node, h2, n2, to, tn;

	for (look = 0; look < 2; look++) {
		tn = b1_node_to(b, a, &to);
		node = b1_node(a, &h);
		n2 = b1_node(a, &h2);
		b1_gives(a, to, "x", h);
		b1_gives(a, to, "y", h2);
		b1_gives(a, to, "z", h);
		b1_release(a, 2, (uint64_t[]){ h, h2 });
		if (look)
			b1_readable(b);
		ok(b1_empty(a) && b1_drop(b, tn) == 0,
		   "the receiving node is released");
		ok(b1_count(a, "bus1-queued") == 3,
		   "all nodes hear of it without a RECV");
		ok(b1_drop(a, node) == 0 && b1_both(a, to, n2) && b1_empty(a),
		   "one is released, its notification vanishes");

		tn = b1_node_to(b, a, &to);
		node = b1_node(a, &h);
		b1_gives(a, to, "x", h);
		b1_drop(a, h);
		if (look)
			b1_readable(b);
		close(b);
		ok(b1_both(a, to, node) && b1_empty(a),
		   "D08: the receiver closes with the handle queued%s",
		   look ? ", judged" : "");
		b = b1_open();
	}
	close(a);
	close(b);
}

/* NODE_RELEASE stands directly behind the message that brings the handle. */
static void test_directly_behind(void)
{
	int a = b1_open(), b = b1_open(), look;
	uint64_t h, node, to, tn = b1_node_to(b, a, &to), early;
	struct bus1_transfer t[3];
	struct b1_msg m;

	for (look = 0; look < 2; look++) {
		node = b1_node(a, &h);
		early = b1_copy(a, h, b);
		b1_says(a, to, "first");
		b1_gives(a, to, "carrier", h);
		b1_says(a, to, "last");
		if (look)
			b1_readable(b);
		ok(b1_drop(a, node) == 0 && b1_node_gone(a, h) && b1_empty(a),
		   "the node is released, its handle in flight%s",
		   look ? ", judged" : "");
		ok(b1_hears(b, tn, "first") &&
			   b1_hears_msg(b, tn, "carrier", 7, 1, &m) &&
			   b1_node_gone(b, m.t[0].id) &&
			   b1_hears(b, tn, "last"),
		   "D09: NODE_RELEASE directly behind the message");
		ok(b1_node_gone(b, early) && b1_empty(b),
		   "the handle that was there before hears in its turn");
	}
	/* By someone who has not heard yet. */
	node = b1_node_to(b, a, &h);
	b1_drop(b, node);
	t[0] = t[2] = (struct bus1_transfer){ 0, h };
	node = b1_node(a, &early);
	t[1] = (struct bus1_transfer){ 0, early };
	ok(b1_multicast(a, 1, &to, NULL, "dead", 4, t, 3) == 0 &&
		   b1_says(a, to, "then") == 0,
	   "two dead handles and a live one");
	ok(b1_hears_msg(b, tn, "dead", 4, 3, &m) &&
		   b1_node_gone(b, m.t[0].id) && b1_node_gone(b, m.t[2].id) &&
		   b1_hears(b, tn, "then") && b1_empty(b),
	   "D09: two NODE_RELEASE behind it, before what follows");
	ok(!b1_has_handle(b, m.t[0].id) && !b1_has_handle(b, m.t[2].id) &&
		   b1_says(b, m.t[1].id, "live") == 0 && b1_node_gone(a, h) &&
		   b1_hears(a, node, "live") && b1_empty(a),
	   "the live one is live");
	close(a);
	close(b);
}

/* The handle is released between its message and its NODE_RELEASE. */
static void test_vanish(void)
{
	int a = b1_open(), b = b1_open(), look;
	uint64_t h, node, to, tn = b1_node_to(b, a, &to);
	struct b1_msg m;

	for (look = 0; look < 2; look++) {
		node = b1_node(a, &h);
		b1_gives(a, to, "x", h);
		b1_drop(a, node);
		b1_hears_msg(b, tn, "x", 1, 1, &m);
		if (look)
			b1_readable(b);
		ok(b1_drop(b, m.t[0].id) == 0 && b1_empty(b),
		   "D06: released first: nothing to hear%s",
		   look ? ", judged" : "");
		b1_node_gone(a, h);
	}
	node = b1_node(a, &h);
	b1_gives(a, to, "x", h);
	b1_drop(a, node);
	ok(b1_drop(b, tn) == 0 && b1_empty(b),
	   "the message is discarded: so is its NODE_RELEASE");
	ok(b1_count(b, "bus1-queued") == 0 && b1_count(b, "bus1-handles") == 0,
	   "nothing stays");
	close(a);
	close(b);
}

/* A message too large, or a bad pointer, in front of its NODE_RELEASE. */
static void test_refused(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t h, node = b1_node(a, &h), to, tn = b1_node_to(b, a, &to);
	struct b1_msg m;

	b1_gives(a, to, "carrier", h);
	b1_drop(a, node);
	ok(b1_recv_room(b, &m, 0, 64) == EMSGSIZE && b1_readable(b) &&
		   b1_recv_room(b, &m, 1, 6) == EMSGSIZE && b1_readable(b),
	   "the carrier does not fit");
	ok(b1_count(b, "bus1-handles") == 0, "nothing is installed");
	ok(b1_hears_msg(b, tn, "carrier", 7, 1, &m) && b1_readable(b) &&
		   b1_node_gone(b, m.t[0].id) && b1_empty(b),
	   "then carrier, NODE_RELEASE, each once");
	close(a);
	close(b);
}

/* The sender closes while what it sent is in flight. */
static void test_sender_closes(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t h, to, tn = b1_node_to(b, a, &to);
	uint64_t other, on = b1_node_to(b, a, &other);
	struct b1_msg m;

	b1_node(a, &h);
	b1_gives(a, to, "mine", h);
	b1_gives(a, to, "yours", other);
	close(a);
	ok(b1_hears_msg(b, tn, "mine", 4, 1, &m) && b1_node_gone(b, m.t[0].id),
	   "its message arrives, its node is dead");
	ok(b1_hears_msg(b, tn, "yours", 5, 1, &m) &&
		   b1_says(b, m.t[0].id, "home") == 0,
	   "a handle to the receiver's own node arrives alive");
	ok(b1_handle_gone(b, tn) && b1_hears(b, on, "home") && b1_empty(b),
	   "then HANDLE_RELEASE for the one node that has none left");
	ok(b1_drop(b, m.t[0].id) == 0 && b1_handle_gone(b, on) && b1_empty(b),
	   "and for the other");
	close(b);
}

/* One message to many receivers, who treat its handle differently. */
static void test_multicast(void)
{
	int a = b1_open(), p[4], i;
	uint64_t h, node = b1_node(a, &h), to[4], n[4];
	struct bus1_transfer t = { 0, h };
	struct b1_msg m;

	for (i = 0; i < 4; i++) {
		p[i] = b1_open();
		n[i] = b1_node_to(p[i], a, &to[i]);
	}
	ok(b1_multicast(a, 4, to, NULL, "m", 1, &t, 1) == 0 &&
		   b1_drop(a, h) == 0 && b1_empty(a),
	   "one handle to four receivers");
	close(p[0]);
	b1_drop(p[1], n[1]);
	ok(b1_node_gone(a, to[0]) && b1_node_gone(a, to[1]) && b1_empty(a),
	   "one closes, one releases its node; two copies are left");
	ok(b1_hears_msg(p[2], n[2], "m", 1, 1, &m) &&
		   b1_drop(p[2], m.t[0].id) == 0 && b1_empty(a),
	   "one is left");
	ok(b1_hears_msg(p[3], n[3], "m", 1, 1, &m) &&
		   b1_says(p[3], m.t[0].id, "me") == 0 &&
		   b1_hears(a, node, "me"),
	   "the last one speaks");
	close(p[3]);
	ok(b1_both(a, to[3], node) && b1_empty(a),
	   "and closes: its handles' and its nodes' notifications");
	close(p[1]);
	close(p[2]);
	close(a);
}

/* Messages that hold each other's nodes alive. */
static void test_cycles(void)
{
	int a = b1_open(), b = b1_open(), c = b1_open(), i;
	uint64_t ha, na = b1_node_to(a, b, &ha), hb, nb = b1_node_to(b, a, &hb);
	uint64_t h, node, first, prev;

	b1_gives(b, ha, "b's to a", hb = b1_copy(a, hb, b));
	b1_gives(a, b1_copy(b, hb, a), "a's to b", b1_copy(b, ha, a));
	(void)na;
	(void)nb;
	close(a);
	close(b);
	ok(true, "two peers close, each with the other's handle queued");

	/* A chain: a message to each node carries the next one's only handle.
	 */
	b1_node(c, &first);
	prev = first;
	for (i = 0; i < 1000; i++) {
		node = b1_node(c, &h);
		b1_gives(c, prev, "link", h);
		if (prev != first)
			b1_drop(c, prev);
		prev = h;
	}
	b1_drop(c, prev);
	(void)node;
	ok(b1_count(c, "bus1-queued") == 1000, "a chain of 1000 messages");
	close(c);
	ok(true, "D25: closed at once");
}

int main(void)
{
	test_alive();
	test_discarded();
	test_directly_behind();
	test_vanish();
	test_refused();
	test_sender_closes();
	test_multicast();
	test_cycles();
	return done_testing();
}
