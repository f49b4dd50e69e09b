// SPDX-License-Identifier: GPL-2.0-only
/* BUS1_CMD_RELEASE: what it does, and how it refuses. */
#include "b1.h"

static void test_effects(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t h, keep, node = b1_node_to(a, b, &h), n2, h2;

	keep = b1_copy(b, h, b);
	ok(b1_drop(b, h) == 0, "a handle");
	ok(b1_send(b, h, "x", 1) == EBADRQC && !b1_has_handle(b, h) &&
		   b1_drop(b, h) == EBADRQC,
	   "its ID is unknown at once");
	ok(b1_empty(a), "another handle is left: no notification");
	ok(b1_drop(a, node) == 0, "a node");
	ok(b1_drop(a, node) == EBADRQC, "its ID is unknown at once");
	ok(b1_node_gone(b, keep) && b1_empty(b), "its last handle hears of it");

	node = b1_node(a, &h);
	n2 = b1_node_to(a, b, &h2);
	ok(b1_release(a, 3, (uint64_t[]){ h, n2, node }) == 0,
	   "nodes and handles mixed");
	ok(b1_empty(a), "D09: a node and its only handle released together");
	ok(b1_node_gone(b, h2) && b1_empty(b), "the other node's handle");
	ok(b1_count(a, "bus1-nodes") == 0 && b1_count(a, "bus1-handles") == 0 &&
		   b1_count(b, "bus1-handles") == 0,
	   "nothing is left");

	node = b1_node(a, &h);
	ok(b1_release(a, 2, (uint64_t[]){ node, h }) == 0 && b1_empty(a),
	   "the node before its handle");

	b1_watch(a, b);
	ok(b1_release(a, 0, NULL) == 0 && b1_unchanged(), "n = 0 does nothing");
	node = b1_node(a, &h);
	ok(b1_release(a, 1, b1_const(&h, sizeof(h))) == 0 &&
		   b1_handle_gone(a, node),
	   "the array is only read");
	close(a);
	close(b);
}

static void test_sizes(void)
{
	/* RELEASE keeps up to 32 IDs without memory of its own */
	static const unsigned int sizes[] = { 31, 32, 33, 500 };
	int a = b1_open(), b = b1_open();
	uint64_t ids[500], nodes[500];
	unsigned int i, k, s;
	bool good;

	for (s = 0; s < 4; s++) {
		k = sizes[s];
		for (i = 0; i < k; i++)
			nodes[i] = b1_node_to(a, b, &ids[i]);
		ok(b1_release(b, k, ids) == 0, "%u IDs", k);
		for (i = 0, good = true; i < k; i++)
			good &= b1_handle_gone(a, nodes[i]);
		ok(good && b1_empty(a) && b1_empty(b),
		   "D02: each of them, in their order");
	}
	close(a);
	close(b);
}

static void test_ids(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t h, node = b1_node(a, &h), theirs = 0, ids[40];
	unsigned int i;

	/* b's counter runs ahead: none of its later IDs is known to a. */
	for (i = 0; i < 100; i++)
		b1_node(b, &theirs);
	b1_watch(a, b);
	b1_refused(b1_drop(a, theirs), EBADRQC, "D04: another peer's ID");
	b1_refused(b1_drop(a, h & ~BUS1_MANAGED), EBADRQC, "bit 0 clear");
	b1_refused(b1_drop(a, 0), EBADRQC, "ID 0");
	b1_refused(b1_drop(a, BUS1_INVALID), EBADRQC, "BUS1_INVALID");
	b1_refused(b1_drop(a, h | 1ull << 63), EBADRQC, "a high bit");
	b1_refused(b1_release(a, 2, (uint64_t[]){ h, theirs }), EBADRQC,
		   "good, then unknown");
	b1_refused(b1_release(a, 2, (uint64_t[]){ theirs, node }), EBADRQC,
		   "unknown, then good");
	b1_refused(b1_release(a, 2, (uint64_t[]){ h, h }), EINVAL,
		   "D05: a handle twice");
	b1_refused(b1_release(a, 2, (uint64_t[]){ node, node }), EINVAL,
		   "D05: a node twice");
	b1_refused(b1_release(a, 3, (uint64_t[]){ h, node, h }), EINVAL,
		   "D05: a handle twice, not side by side");
	for (i = 0; i < 40; i++)
		b1_node(a, &ids[i]);
	ids[39] = ids[0];
	b1_watch(a, b);
	b1_refused(b1_release(a, 40, ids), EINVAL,
		   "D05: the first again as the 40th");
	ids[39] = theirs;
	b1_refused(b1_release(a, 40, ids), EBADRQC, "39 good and one unknown");
	ok(b1_says(a, h, "alive") == 0 && b1_hears(a, node, "alive"),
	   "nothing was released");
	ok(b1_release(a, 39, ids) == 0 && b1_has_handle(a, h),
	   "and each can still be, once");
	ok(b1_release(a, 39, ids) == EBADRQC, "but not twice");
	close(a);
	close(b);
}

static void test_arguments(void)
{
	static const uint64_t counts[] = {
		BUS1_MAX_IDS + 1, 1ull << 32, (1ull << 32) + 1,
		1ull << 61,	  1ull << 63, ~0ull,
	};
	int a = b1_open();
	uint64_t h, node = b1_node(a, &h), ids[2] = { h, node };
	struct bus1_cmd_release cmd = { .n_ids = 1,
					.ptr_ids = BUS1_FROM_PTR(ids) };
	struct b1_bad bad[B1_N_BAD];
	unsigned int i, n;
	uint64_t *many;

	b1_watch(a, -1);
	for (i = 0; i < 64; i++) {
		cmd.flags = 1ull << i;
		b1_refused(b1_cmd(a, BUS1_CMD_RELEASE, &cmd, sizeof(cmd)),
			   EINVAL, "flag bit %u", i);
	}
	cmd.flags = 0;
	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		b1_refused(b1_release(a, counts[i], ids), EMSGSIZE,
			   "D22: %#llx IDs", (unsigned long long)counts[i]);
	n = b1_bad(bad, &cmd, sizeof(cmd), false);
	for (i = 0; i < n; i++)
		b1_refused(
			b1_ioctl(a, BUS1_CMD_RELEASE, BUS1_TO_PTR(bad[i].addr)),
			EFAULT, "command: %s", bad[i].what);
	n = b1_bad(bad, ids, sizeof(ids), false);
	for (i = 0; i < n; i++)
		b1_refused(b1_release(a, 2, BUS1_TO_PTR(bad[i].addr)), EFAULT,
			   "ptr_ids: %s", bad[i].what);
	b1_refused(b1_release(a, BUS1_MAX_IDS, BUS1_TO_PTR(-64)), EFAULT,
		   "ptr_ids wraps with many");
	many = calloc(BUS1_MAX_IDS, sizeof(*many));
	for (i = 0; i < BUS1_MAX_IDS; i++)
		many[i] = 2 * i + 1 + (1ull << 40);
	many[0] = h;
	b1_refused(b1_release(a, BUS1_MAX_IDS, many), EBADRQC,
		   "as many as the limit, nearly all unknown");
	free(many);
	ok(b1_says(a, h, "alive") == 0 && b1_hears(a, node, "alive"),
	   "nothing was released");
	ids[0] = h;
	ok(b1_release(a, 2, memcpy(b1_edge(16), ids, 16)) == 0,
	   "an array that ends with its page is good");
	close(a);
}

int main(void)
{
	test_effects();
	test_sizes();
	test_ids();
	test_arguments();
	return done_testing();
}
