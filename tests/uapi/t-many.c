// SPDX-License-Identifier: GPL-2.0-only
/* 10^5 objects, the limits of the interface, and no operation that minds. */
#include "b1.h"

#define BATCH 2500

/* 10^5 on a kernel as it is used, a tenth on one that checks everything. */
static unsigned int many = 100000;

static struct bus1_transfer *src, *dst;
static uint64_t *ids;

/* Receive notifications of @type; true if just @n distinct IDs below @max. */
static bool drain(int peer, uint64_t type, unsigned int n, uint64_t max)
{
	unsigned char *seen = calloc(1, max + 1);
	struct bus1_metadata meta;
	struct bus1_message msg;
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};
	unsigned int got = 0;
	bool good = true;

	for (;;) {
		msg = (struct bus1_message){ .type = BUS1_INVALID };
		if (b1_ioctl(peer, BUS1_CMD_RECV, &cmd))
			break;
		if (msg.type != type || meta.id > max || seen[meta.id]++)
			good = false;
		got++;
	}
	free(seen);
	if (got != n)
		diag("%u notifications, expected %u", got, n);
	return good && got == n;
}

/* @n nodes in @peer, a handle to each in @to, whose IDs follow those in ids. */
static uint64_t make(int peer, int to, unsigned int n, uint64_t *out)
{
	uint64_t last = 0;
	unsigned int i, k;

	for (i = 0; i < n; i += k) {
		k = n - i < BATCH ? n - i : BATCH;
		for (unsigned int j = 0; j < k; j++)
			src[j] = (struct bus1_transfer){
				BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID
			};
		if (b1_transfer(peer, to, k, src, dst))
			bail_out("cannot make %u nodes", n);
		for (unsigned int j = 0; j < k; j++)
			out[i + j] = dst[j].id;
		last = src[k - 1].id;
	}
	return last;
}

/* The least time of 20 times 20 rounds of everything, in ns. */
static uint64_t operate(int a, int b, uint64_t h)
{
	uint64_t least = ~0ull, t, x;
	int i, k;

	for (i = 0; i < 20; i++) {
		t = b1_now();
		for (k = 0; k < 20; k++) {
			x = b1_copy(b, h, b);
			b1_send(b, x, "x", 1);
			b1_recv_room(a, &(struct b1_msg){}, 0, 8);
			b1_drop(b, x);
		}
		t = b1_now() - t;
		if (t < least)
			least = t;
	}
	return least;
}

static void test_handles(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t at_few, at_many, t0, t1, last;
	unsigned int i;

	last = make(a, b, 10, ids);
	at_few = operate(a, b, ids[5]);
	t0 = b1_now();
	last = make(a, b, many, ids);
	t1 = b1_now();
	diag("made %u nodes and handles in %llu ms", many,
	     (unsigned long long)(t1 - t0) / 1000000);
	ok(b1_count(b, "bus1-handles") == many + 10 &&
		   b1_count(a, "bus1-nodes") == many + 10,
	   "%u nodes and handles", many);
	at_many = operate(a, b, ids[many / 2]);
	ok(at_many < 10 * at_few + 1000000,
	   "copy, send, receive, release at %u (%llu ns) as at 10 (%llu ns)",
	   many, (unsigned long long)at_many / 20,
	   (unsigned long long)at_few / 20);
	for (i = 0; i < many; i += BATCH)
		if (b1_release(b, BATCH / 2, ids + i))
			break;
	ok(i >= many &&
		   drain(a, BUS1_MESSAGE_TYPE_HANDLE_RELEASE, many / 2, last),
	   "half of them released: HANDLE_RELEASE for each, once");
	t0 = b1_now();
	close(b);
	ok(drain(a, BUS1_MESSAGE_TYPE_HANDLE_RELEASE, many / 2 + 10, last) &&
		   b1_empty(a),
	   "D08: closed: for the other half");
	close(a);
	t1 = b1_now();
	ok(t1 - t0 < 60000000000ull, "in %llu ms",
	   (unsigned long long)(t1 - t0) / 1000000);
}

/* One node with many handles in four peers is released, then one closed. */
static void test_node(bool by_close)
{
	int a = b1_open(), p[4], i, k;
	uint64_t h, node = b1_node(a, &h), t0;
	bool good = true;

	for (i = 0; i < BATCH; i++)
		src[i] = (struct bus1_transfer){ 0, h };
	for (i = 0; i < 4; i++) {
		p[i] = b1_open();
		for (k = 0; k < (int)many / 4; k += BATCH)
			if (b1_transfer(a, p[i], BATCH, src, dst))
				bail_out("cannot copy a handle %d times",
					 BATCH);
	}
	t0 = b1_now();
	if (by_close)
		close(a);
	else
		b1_drop(a, node);
	t0 = b1_now() - t0;
	for (i = 0; i < 4; i++)
		good &= drain(p[i], BUS1_MESSAGE_TYPE_NODE_RELEASE, many / 4,
			      dst[BATCH - 1].id + 100000) &&
			b1_count(p[i], "bus1-handles") == 0;
	ok(good, "a node with %u handles %s: each hears once (%llu ms)", many,
	   by_close ? "closes" : "is released",
	   (unsigned long long)t0 / 1000000);
	if (!by_close)
		close(a);
	for (i = 0; i < 4; i++)
		close(p[i]);
}

/* Many handles of four owners in one peer that closes. */
static void test_owners(void)
{
	int p[4], b = b1_open(), i;
	uint64_t last[4];
	bool good = true;

	for (i = 0; i < 4; i++) {
		p[i] = b1_open();
		last[i] = make(p[i], b, many / 4, ids);
	}
	close(b);
	for (i = 0; i < 4; i++)
		good &= drain(p[i], BUS1_MESSAGE_TYPE_HANDLE_RELEASE, many / 4,
			      last[i]);
	ok(good, "D17: a peer with %u handles closes: each owner is told",
	   many);
	for (i = 0; i < 4; i++)
		close(p[i]);
}

static void test_multicast(void)
{
	int a = b1_open(), p[100], i, k;
	uint64_t to[100], n[100];
	bool good = true;

	for (i = 0; i < 100; i++) {
		p[i] = b1_open();
		n[i] = b1_node_to(p[i], a, &to[i]);
	}
	for (k = 0; k < 5; k++)
		good &= !b1_multicast(a, 100, to, NULL, "many", 4, NULL, 0);
	for (i = 0; i < 100; i++) {
		for (k = 0; k < 5; k++)
			good &= b1_hears(p[i], n[i], "many");
		good &= b1_empty(p[i]);
		close(p[i]);
	}
	ok(good, "multicasts to 100 peers");
	ok(drain(a, BUS1_MESSAGE_TYPE_NODE_RELEASE, 100, to[99]),
	   "who all close");
	close(a);
}

static void test_limits(void)
{
	int a = b1_open(), b = b1_open(), i, got = 0;
	uint64_t h, node = b1_node_to(a, b, &h);
	struct bus1_metadata meta;
	struct bus1_message msg;
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};
	struct iovec vec;
	struct b1_msg m;

	vec = (struct iovec){ m.data, 1 };
	for (i = 0; i < BUS1_MAX_TRANSFERS; i++) {
		src[i] = (struct bus1_transfer){ 0, h };
		ids[i] = h;
	}
	ok(b1_multicast(b, BUS1_MAX_DESTINATIONS, ids, NULL, "x", 1, NULL, 0) ==
			   0 &&
		   b1_count(a, "bus1-queued") == BUS1_MAX_DESTINATIONS,
	   "as many destinations as the limit");
	while (b1_recv_room(a, &m, 0, 1) == 0)
		got += m.meta.id == node;
	ok(got == BUS1_MAX_DESTINATIONS, "all received");

	ok(b1_multicast(b, 1, &h, NULL, "t", 1, src, 10000) == 0 &&
		   b1_recv(a, &m) == EMSGSIZE && m.msg.n_transfers == 10000,
	   "a message with 10^4 handles");
	msg = (struct bus1_message){
		.type = BUS1_INVALID,
		.n_transfers = 10000,
		.ptr_transfers = BUS1_FROM_PTR(dst),
		.n_data = 1,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	memset(dst, B1_POISON, 10001 * sizeof(*dst));
	ok(b1_ioctl(a, BUS1_CMD_RECV, &cmd) == 0 && msg.n_transfers == 10000 &&
		   b1_poisoned(&dst[10000], sizeof(*dst)) &&
		   b1_says(a, dst[0].id, "0") == 0 && b1_hears(a, node, "0") &&
		   b1_says(a, dst[9999].id, "9999") == 0 &&
		   b1_hears(a, node, "9999"),
	   "received, each of them good");
	for (i = 0; i < 10000; i++)
		ids[i] = dst[i].id;
	ok(b1_release(a, 10000, ids) == 0 && b1_empty(a) &&
		   b1_count(a, "bus1-handles") == 0,
	   "and released at once");

	ok(b1_transfer(b, a, BUS1_MAX_TRANSFERS, src, dst) == 0,
	   "TRANSFER of as many as the limit");
	for (i = 0; i < BUS1_MAX_IDS; i++)
		ids[i] = dst[i].id;
	ids[BUS1_MAX_IDS - 1] = ids[0];
	ok(b1_release(a, BUS1_MAX_IDS, ids) == EINVAL,
	   "D05: as many IDs as the limit, the last twice");
	ids[BUS1_MAX_IDS - 1] = dst[BUS1_MAX_IDS - 1].id;
	ok(b1_release(a, BUS1_MAX_IDS, ids) == 0 && b1_empty(a) &&
		   b1_count(a, "bus1-handles") == 0,
	   "each once");

	ok(b1_multicast(b, 1, &h, NULL, NULL, 0, src, BUS1_MAX_TRANSFERS) ==
			   0 &&
		   b1_drop(b, h) == 0 && b1_drop(a, node) == 0 && b1_empty(b),
	   "a message with as many handles as the limit, discarded");
	node = b1_node_to(a, b, &h);
	for (i = 0; i < BUS1_MAX_TRANSFERS; i++) {
		src[i] = (struct bus1_transfer){ 0, h };
		ids[i] = h;
	}
	/* 400 times 1 + 250 is well below the product's limit. */
	ok(b1_multicast(b, 400, ids, NULL, "p", 1, src, 250) == 0 &&
		   b1_count(a, "bus1-queued") == 400,
	   "10^5 handles in 400 messages");
	b1_drop(b, h);
	close(b);
	ok(b1_count(a, "bus1-queued") == 400, "their node lives by them");
	ok(b1_drop(a, node) == 0 && b1_empty(a), "discarded with their node");
	close(a);
}

int main(void)
{
	src = calloc(BUS1_MAX_TRANSFERS + 1, sizeof(*src));
	dst = calloc(BUS1_MAX_TRANSFERS + 1, sizeof(*dst));
	ids = calloc(many, sizeof(*ids));
	if (!access("/proc/lockdep", F_OK) ||
	    !access("/sys/kernel/debug/kcsan", F_OK))
		many /= 10;
	if (!src || !dst || !ids)
		bail_out("no memory");
	test_handles();
	test_node(false);
	test_node(true);
	test_owners();
	test_multicast();
	test_limits();
	return done_testing();
}
