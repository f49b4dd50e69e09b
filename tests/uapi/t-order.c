// SPDX-License-Identifier: GPL-2.0-only
/* Order and atomicity, as far as one thread can tell; stress has the rest. */
#include "b1.h"

static void test_fifo(void)
{
	int a = b1_open(), b = b1_open(), i;
	uint64_t h, node = b1_node_to(a, b, &h), nodes[100], hs[100];
	struct bus1_transfer t;
	struct b1_msg m;
	bool good = true;

	for (i = 0; i < 3000; i++)
		b1_send(b, h, &i, sizeof(i));
	for (i = 0; i < 3000; i++) {
		if (i == 1500)
			b1_send(b, h, &(int){ 3000 }, sizeof(i));
		good &= b1_hears_msg(a, node, &i, sizeof(i), 0, &m);
	}
	ok(good && b1_hears_msg(a, node, &i, sizeof(i), 0, &m) && b1_empty(a),
	   "3000 messages of one sender, received in between too");

	/* With and without handles, on different nodes, and notifications. */
	for (i = 0; i < 100; i++) {
		nodes[i] = b1_node_to(a, b, &hs[i]);
		t = (struct bus1_transfer){ 0, h };
		b1_multicast(b, 1, i % 2 ? &h : &hs[i], NULL, &i, sizeof(i), &t,
			     i % 3 == 0);
		b1_drop(b, hs[i]);
	}
	for (i = 0, good = true; i < 100; i++) {
		good &= b1_hears_msg(a, i % 2 ? node : nodes[i], &i, sizeof(i),
				     i % 3 == 0, &m);
		good &= b1_handle_gone(a, nodes[i]);
	}
	ok(good && b1_empty(a),
	   "messages with and without handles, and notifications, in order");
	close(a);
	close(b);
}

static void test_release(void)
{
	int a = b1_open(), b = b1_open(), c = b1_open();
	uint64_t h, node = b1_node_to(a, b, &h);
	uint64_t hc, nc = b1_node_to(a, c, &hc);
	uint64_t back, nb = b1_node_to(b, a, &back);
	uint64_t chain, nx = b1_node_to(c, b, &chain);

	b1_says(b, h, "m");
	b1_drop(b, h);
	ok(b1_hears(a, node, "m") && b1_handle_gone(a, node),
	   "a release after a send comes after it");
	/* a acts, then c, who knows of it: b hears from a first. */
	b1_says(a, back, "cause");
	b1_says(b, chain, "told");
	ok(b1_hears(c, nx, "told") && b1_says(c, hc, "effect") == 0 &&
		   b1_hears(a, nc, "effect") && b1_hears(b, nb, "cause"),
	   "cause before effect across three peers");
	/* Two peers, one queue: the calls' order decides. */
	hc = b1_copy(a, back, c);
	b1_says(c, hc, "1");
	b1_says(a, back, "2");
	b1_drop(a, back);
	b1_says(c, hc, "3");
	b1_drop(c, hc);
	ok(b1_hears(b, nb, "1") && b1_hears(b, nb, "2") &&
		   b1_hears(b, nb, "3") && b1_handle_gone(b, nb) && b1_empty(b),
	   "two senders one after the other");
	close(a);
	close(b);
	close(c);
}

static void test_multicast(void)
{
	int a = b1_open(), p[20], i, k;
	uint64_t to[20], n[20];
	bool good = true;
	char text[16];

	for (i = 0; i < 20; i++) {
		p[i] = b1_open();
		n[i] = b1_node_to(p[i], a, &to[i]);
	}
	for (k = 0; k < 50; k++) {
		snprintf(text, sizeof(text), "all %d", k);
		good &= !b1_multicast(a, 20, to, NULL, text, strlen(text), NULL,
				      0);
		snprintf(text, sizeof(text), "one %d", k);
		good &= !b1_says(a, to[k % 20], text);
	}
	for (i = 0; i < 20; i++) {
		for (k = 0; k < 50; k++) {
			snprintf(text, sizeof(text), "all %d", k);
			good &= b1_hears(p[i], n[i], text);
			if (k % 20 != i)
				continue;
			snprintf(text, sizeof(text), "one %d", k);
			good &= b1_hears(p[i], n[i], text);
		}
		good &= b1_empty(p[i]);
	}
	ok(good, "50 multicasts to 20 peers, a unicast after each");

	/* Entries of one call for one peer stay together, in their order. */
	for (i = 0; i < 20; i++) {
		n[i] = b1_node_to(p[0], a, &to[i]);
		b1_copy(a, to[i], p[0]);
	}
	b1_multicast(a, 20, to, NULL, "x", 1, NULL, 0);
	for (i = 0, good = true; i < 20; i++)
		good &= b1_hears(p[0], n[i], "x");
	ok(good && b1_empty(p[0]),
	   "20 destinations in one peer, in their order");
	close(a);
	for (i = 0; i < 20; i++)
		close(p[i]);
}

static void test_close(void)
{
	int a = b1_open(), b = b1_open(), c = b1_open(), i;
	uint64_t h[10], n[10], hc, nc = b1_node_to(b, c, &hc);
	bool seen[10] = { false }, good = true;
	struct b1_msg m;

	for (i = 0; i < 10; i++)
		n[i] = b1_node_to(a, b, &h[i]);
	b1_says(c, hc, "before");
	close(a);
	b1_says(c, hc, "after");
	good &= b1_hears(b, nc, "before");
	for (i = 0; i < 10; i++) {
		int k = 0;

		good &= !b1_recv(b, &m) && m.msg.type == 1;
		while (k < 9 && h[k] != m.meta.id)
			k++;
		good &= h[k] == m.meta.id && !seen[k];
		seen[k] = true;
	}
	(void)n;
	ok(good && b1_hears(b, nc, "after") && b1_empty(b),
	   "a close is one transaction, between what was before and after");
	close(b);
	close(c);
}

int main(void)
{
	test_fifo();
	test_release();
	test_multicast();
	test_close();
	return done_testing();
}
