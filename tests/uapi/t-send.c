// SPDX-License-Identifier: GPL-2.0-only
/* BUS1_CMD_SEND: what it does. t-send-errors.c has how it refuses. */
#include "b1.h"

#define CREATE                                          \
	{                                               \
		BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID \
	}

static void test_payload(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t h, node = b1_node_to(a, b, &h);
	struct iovec vec[] = {
		{ "one", 3 },
		{ NULL, 0 },
		{ "two", 3 },
		{ (void *)8, 0 },
		{ "three, and more", 15 },
		{ "never", 5 },
	};
	struct bus1_message msg = {
		.n_data = 11,
		.n_data_vecs = 6,
		.ptr_data_vecs = BUS1_FROM_PTR(vec),
	};
	static char big[3 << 20], back[3 << 20];
	struct iovec room = { back, sizeof(back) };
	struct bus1_message in = {
		.type = BUS1_INVALID,
		.n_data = sizeof(back),
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&room),
	};
	struct bus1_metadata meta;
	struct bus1_cmd_recv recv = {
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&in),
	};
	struct iovec *many = calloc(1024, sizeof(*many));
	struct b1_msg m;
	size_t i;

	ok(b1_send_msg(b, 1, &h, NULL, &msg) == 0, "D14: six iovecs, 11 bytes");
	ok(b1_hears(a, node, "onetwothree"), "D14: n_data bytes, no more");
	msg.n_data = 0;
	ok(b1_send_msg(b, 1, &h, NULL, &msg) == 0 && b1_hears(a, node, ""),
	   "n_data = 0 with iovecs: an empty message");
	ok(b1_send(b, h, NULL, 0) == 0 && b1_hears(a, node, ""),
	   "no iovecs: an empty message");
	msg.n_data = 4;
	vec[1] = (struct iovec){ b1_const("ABC", 3), 3 };
	ok(b1_send_msg(b, 1, &h, NULL, &msg) == 0 && b1_hears(a, node, "oneA"),
	   "n_data ends within an iovec");

	for (i = 0; i < 1024; i++)
		many[i] = (struct iovec){ (char *)"0123456789" + i % 10, 1 };
	msg = (struct bus1_message){
		.n_data = 1024,
		.n_data_vecs = 1024,
		.ptr_data_vecs = BUS1_FROM_PTR(many),
	};
	ok(b1_send_msg(b, 1, &h, NULL, &msg) == 0 && !b1_recv(a, &m) &&
		   m.msg.n_data == 1024 && m.data[0] == '0' &&
		   m.data[1023] == '3',
	   "UIO_MAXIOV iovecs");

	for (i = 0; i < sizeof(big); i++)
		big[i] = i * 7 + (i >> 12);
	ok(b1_send(b, h, big, sizeof(big)) == 0, "3 MiB");
	ok(b1_recv(a, &m) == EMSGSIZE && m.msg.n_data == sizeof(big) &&
		   m.msg.n_transfers == 0,
	   "too large for a small room");
	ok(b1_ioctl(a, BUS1_CMD_RECV, &recv) == 0 && in.n_data == sizeof(big) &&
		   !memcmp(big, back, sizeof(big)),
	   "received whole");
	memset(big, 'x', sizeof(big));
	b1_send(b, h, big, 100);
	memset(big, 'y', 100);
	ok(!b1_recv(a, &m) && m.msg.n_data == 100 && m.data[0] == 'x' &&
		   m.data[99] == 'x',
	   "what is sent is a copy");
	free(many);
	close(a);
	close(b);
}

static void test_handles(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t h, node = b1_node_to(a, b, &h), h2, n2 = b1_node(b, &h2);
	struct bus1_transfer t[3] = { { 0, h2 }, { 0, h2 }, { 0, h } };
	struct b1_msg m;

	ok(b1_multicast(b, 1, &h, NULL, "m", 1, t, 3) == 0, "three handles");
	ok(t[0].id == h2 && t[1].id == h2 && t[2].id == h && !t[0].flags,
	   "the sender keeps them");
	ok(b1_count(a, "bus1-handles") == 0, "in flight they have no ID");
	ok(b1_hears_msg(a, node, "m", 1, 3, &m), "D11: they arrive");
	ok(m.t[0].id != m.t[1].id && m.t[1].id != m.t[2].id,
	   "one handle named twice arrives as two");
	ok(b1_says(a, m.t[0].id, "0") == 0 && b1_says(a, m.t[1].id, "1") == 0 &&
		   b1_says(a, m.t[2].id, "2") == 0 && b1_hears(b, n2, "0") &&
		   b1_hears(b, n2, "1") && b1_hears(a, node, "2"),
	   "D02: each leads where it should, also home");
	ok(b1_count(a, "bus1-handles") == 3, "three new handles");

	t[0].id = h2;
	ok(b1_multicast(b, 1, &h, NULL, "c", 1, b1_const(t, sizeof(t)), 3) ==
			   0 &&
		   b1_hears_msg(a, node, "c", 1, 3, &m),
	   "an array without CREATE is only read");
	close(a);
	close(b);
}

static void test_create(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t h, node = b1_node_to(a, b, &h);
	uint64_t to[2] = { h, h };
	struct bus1_transfer t[3] = { CREATE, { 0, h }, CREATE };
	struct b1_msg m, second;

	ok(b1_multicast(b, 1, &h, NULL, "call", 4, t, 3) == 0,
	   "CREATE in SEND");
	ok(b1_id_ok(t[0].id) && !t[0].flags && t[1].id == h && !t[1].flags &&
		   b1_id_ok(t[2].id) && !t[2].flags && t[0].id != t[2].id,
	   "D30: the new nodes are written back");
	ok(b1_count(b, "bus1-nodes") == 2 && b1_count(b, "bus1-handles") == 1,
	   "nodes for the sender, but no handles");
	ok(b1_hears_msg(a, node, "call", 4, 3, &m) &&
		   b1_says(a, m.t[0].id, "r0") == 0 &&
		   b1_says(a, m.t[2].id, "r2") == 0 &&
		   b1_hears(b, t[0].id, "r0") && b1_hears(b, t[2].id, "r2"),
	   "a request and its reply");
	ok(b1_drop(a, m.t[0].id) == 0 && b1_handle_gone(b, t[0].id) &&
		   b1_empty(b),
	   "the handle in the message was the only one");

	t[0] = (struct bus1_transfer)CREATE;
	ok(b1_multicast(b, 2, to, NULL, "two", 3, t, 1) == 0 &&
		   b1_hears_msg(a, node, "two", 3, 1, &m) &&
		   b1_hears_msg(a, node, "two", 3, 1, &second) &&
		   m.t[0].id != second.t[0].id &&
		   b1_says(a, m.t[0].id, "1") == 0 &&
		   b1_says(a, second.t[0].id, "2") == 0 &&
		   b1_hears(b, t[0].id, "1") && b1_hears(b, t[0].id, "2"),
	   "one node, a handle for each destination");
	ok(b1_drop(a, m.t[0].id) == 0 && b1_empty(b), "one dropped, one left");
	ok(b1_drop(a, second.t[0].id) == 0 && b1_handle_gone(b, t[0].id),
	   "the last dropped");

	t[0] = (struct bus1_transfer)CREATE;
	b1_watch(b, a);
	ok(b1_multicast(b, 0, NULL, NULL, "none", 4, t, 1) == 0 &&
		   b1_unchanged() && t[0].id == BUS1_INVALID &&
		   t[0].flags == BUS1_TRANSFER_FLAG_CREATE,
	   "n = 0: a CREATE entry stays as it is");
	close(a);
	close(b);
}

static void test_destinations(void)
{
	int a = b1_open(), b = b1_open(), c = b1_open();
	uint64_t ha, na = b1_node_to(a, c, &ha), hb, nb = b1_node_to(b, c, &hb);
	uint64_t hc, nc = b1_node(c, &hc);
	uint64_t to[4] = { ha, hb, hc, ha };
	struct {
		int32_t e[4], canary[4];
	} err;

	memset(&err, B1_POISON, sizeof(err));
	ok(b1_multicast(c, 4, to, err.e, "all", 3, NULL, 0) == 0,
	   "four destinations");
	ok(!err.e[0] && !err.e[1] && !err.e[2] && !err.e[3] &&
		   b1_poisoned(err.canary, sizeof(err.canary)),
	   "D18: errors[] is four times 32 bits");
	ok(b1_hears(a, na, "all") && b1_hears(a, na, "all") && b1_empty(a),
	   "a handle named twice gets it twice");
	ok(b1_hears(b, nb, "all") && b1_empty(b), "the second peer once");
	ok(b1_hears(c, nc, "all") && b1_empty(c), "the sender itself");

	memset(&err, B1_POISON, sizeof(err));
	ok(b1_multicast(c, 1, to, err.e, "1", 1, NULL, 0) == 0 && !err.e[0] &&
		   b1_poisoned(err.e + 1, 12) && b1_hears(a, na, "1"),
	   "D18: one destination, 4 bytes");
	ok(b1_multicast(c, 1, to, (int32_t *)((char *)&err + 1), "u", 1, NULL,
			0) == 0 &&
		   b1_hears(a, na, "u"),
	   "errors[] need not be aligned");
	memset(&err, B1_POISON, sizeof(err));
	ok(b1_multicast(c, 0, to, err.e, "0", 1, NULL, 0) == 0 &&
		   b1_poisoned(&err, sizeof(err)),
	   "n = 0 writes no errors");
	ok(b1_empty(a) && b1_empty(b) && b1_empty(c), "and sends nothing");
	close(a);
	close(b);
	close(c);
}

static void test_continue(void)
{
	int a = b1_open();
	uint64_t h, node = b1_node(a, &h);
	int32_t errors[2] = { 1, 1 };
	struct iovec vec = { "go", 2 };
	struct bus1_message msg = {
		.n_data = 2,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	uint64_t to[2] = { h, h };
	struct bus1_cmd_send cmd = {
		.flags = BUS1_SEND_FLAG_CONTINUE,
		.n_destinations = 2,
		.ptr_destinations = BUS1_FROM_PTR(to),
		.ptr_errors = BUS1_FROM_PTR(errors),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	ok(b1_cmd(a, BUS1_CMD_SEND, &cmd, sizeof(cmd)) == 0 && !errors[0] &&
		   !errors[1] && b1_hears(a, node, "go") &&
		   b1_hears(a, node, "go"),
	   "BUS1_SEND_FLAG_CONTINUE, with nothing to skip");
	to[1] = node;
	b1_watch(a, -1);
	b1_refused(b1_cmd(a, BUS1_CMD_SEND, &cmd, sizeof(cmd)), EBADRQC,
		   "CONTINUE skips for quotas only");
	close(a);
}

static void test_dead(void)
{
	int a = b1_open(), b = b1_open(), c = b1_open();
	uint64_t ha, na = b1_node_to(a, c, &ha), hb, live, nl;
	uint64_t mine, hm, to[3];
	int32_t errors[3] = { 1, 1, 1 };
	struct bus1_transfer t = CREATE;

	(void)b1_node_to(b, c, &hb);
	nl = b1_node(c, &live);
	ok(b1_drop(a, na) == 0 && b1_says(c, ha, "late") == 0 && b1_empty(a),
	   "D15: a released node: no error, nothing arrives");
	close(b);
	ok(b1_says(c, hb, "late") == 0, "D15: a closed peer: no error");
	to[0] = ha;
	to[1] = live;
	to[2] = hb;
	ok(b1_multicast(c, 3, to, errors, "mix", 3, NULL, 0) == 0 &&
		   !errors[0] && !errors[1] && !errors[2],
	   "released, live and closed together: errors are 0");
	ok(b1_node_gone(c, ha) && b1_node_gone(c, hb) &&
		   b1_hears(c, nl, "mix") && b1_empty(c),
	   "the sender learns of it by NODE_RELEASE, the live one gets it");
	ok(b1_says(c, ha, "x") == EBADRQC && b1_says(c, hb, "x") == EBADRQC,
	   "then the handles are unknown");

	na = b1_node_to(a, c, &ha);
	mine = b1_node(c, &hm);
	b1_drop(a, na);
	ok(b1_gives(c, ha, "gift", hm) == 0 && b1_drop(c, hm) == 0 &&
		   b1_node_gone(c, ha) && b1_handle_gone(c, mine) &&
		   b1_empty(c),
	   "D11: handles sent to a dead node drop");
	na = b1_node_to(a, c, &ha);
	b1_drop(a, na);
	ok(b1_multicast(c, 1, &ha, NULL, "new", 3, &t, 1) == 0 &&
		   b1_id_ok(t.id) && b1_node_gone(c, ha) &&
		   b1_handle_gone(c, t.id) && b1_empty(c) &&
		   b1_count(c, "bus1-nodes") == 1,
	   "a node made in a SEND whose handles all die: HANDLE_RELEASE");
	t = (struct bus1_transfer)CREATE;
	na = b1_node_to(a, c, &ha);
	close(a);
	ok(b1_multicast(c, 1, &ha, NULL, "new", 3, &t, 1) == 0 &&
		   b1_node_gone(c, ha) && b1_handle_gone(c, t.id) &&
		   b1_empty(c),
	   "the same toward a closed peer");
	close(c);
}

static void test_self(void)
{
	int a = b1_open();
	uint64_t h, node = b1_node(a, &h);
	struct b1_msg m;

	ok(b1_gives(a, h, "me", h) == 0 &&
		   b1_hears_msg(a, node, "me", 2, 1, &m) && m.t[0].id != h,
	   "to oneself, carrying the handle itself");
	ok(b1_release(a, 2, (uint64_t[]){ h, m.t[0].id }) == 0 &&
		   b1_handle_gone(a, node) && b1_empty(a),
	   "then both are dropped");
	node = b1_node(a, &h);
	ok(b1_gives(a, h, "loop", h) == 0 && b1_drop(a, h) == 0 &&
		   !b1_has_handle(a, h) &&
		   b1_hears_msg(a, node, "loop", 4, 1, &m) && b1_empty(a),
	   "a message that holds the only handle to its node");
	ok(b1_gives(a, m.t[0].id, "loop", m.t[0].id) == 0 &&
		   b1_drop(a, m.t[0].id) == 0 && b1_drop(a, node) == 0 &&
		   b1_empty(a),
	   "released with such a message queued");
	node = b1_node(a, &h);
	b1_gives(a, h, "loop", h);
	b1_drop(a, h);
	close(a);
	ok(true, "closed with such a message queued: no cycle stays");
}

int main(void)
{
	test_payload();
	test_handles();
	test_create();
	test_destinations();
	test_continue();
	test_dead();
	test_self();
	return done_testing();
}
