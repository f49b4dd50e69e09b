// SPDX-License-Identifier: GPL-2.0-only
/* BUS1_CMD_TRANSFER: what it does, and how it refuses. */
#include "b1.h"

#define CREATE                                          \
	{                                               \
		BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID \
	}

static void test_create(void)
{
	struct bus1_transfer src[4] = { CREATE, CREATE, CREATE, CREATE };
	struct bus1_transfer dst[5];
	int a = b1_open(), b = b1_open();
	bool good = true;
	int i, j;

	memset(dst, B1_POISON, sizeof(dst));
	ok(b1_transfer(a, b, 4, src, dst) == 0, "four nodes at once");
	for (i = 0; i < 4; i++) {
		good &= b1_id_ok(src[i].id) && !src[i].flags;
		good &= b1_id_ok(dst[i].id) && !dst[i].flags;
		for (j = 0; j < i; j++)
			good &= src[i].id != src[j].id &&
				dst[i].id != dst[j].id;
	}
	ok(good, "D02: each with its own ID at its own place, flags 0");
	ok(b1_poisoned(&dst[4], sizeof(dst[4])), "nothing behind the array");
	ok(b1_count(a, "bus1-nodes") == 4 && b1_count(a, "bus1-handles") == 0 &&
		   b1_count(b, "bus1-nodes") == 0 &&
		   b1_count(b, "bus1-handles") == 4,
	   "nodes in one peer, handles in the other");
	for (i = 0, good = true; i < 4; i++) {
		good &= b1_says(b, dst[i].id, "to") == 0;
		good &= b1_hears(a, src[i].id, "to");
	}
	ok(good, "src and dst belong together, by index");
	ok(b1_empty(a) && b1_empty(b), "nobody is told anything");
	close(a);
	close(b);
}

static void test_copy(void)
{
	int a = b1_open(), b = b1_open(), c = b1_open();
	uint64_t h, node = b1_node(a, &h), back, x, y;
	struct bus1_transfer src[3] = { { 0, h }, CREATE, { 0, h } };
	struct bus1_transfer dst[3];

	x = b1_copy(a, h, b);
	y = b1_copy(a, h, b);
	ok(x != y, "each copy is a handle of its own");
	ok(b1_says(b, x, "x") == 0 && b1_says(b, y, "y") == 0 &&
		   b1_hears(a, node, "x") && b1_hears(a, node, "y"),
	   "both lead to the node");
	back = b1_copy(b, x, a);
	ok(back != h && back != node && b1_says(a, back, "z") == 0 &&
		   b1_hears(a, node, "z"),
	   "also back to the owner it comes as a new handle");
	x = b1_copy(b, x, c);
	ok(b1_says(c, x, "third") == 0 && b1_hears(a, node, "third"),
	   "a copy of a copy");

	memset(dst, B1_POISON, sizeof(dst));
	ok(b1_transfer(a, BUS1_INVALID, 3, src, dst) == 0,
	   "to BUS1_INVALID, the same peer; creating and copying together");
	ok(src[0].id == h && !src[0].flags && src[2].id == h && !src[2].flags &&
		   b1_id_ok(src[1].id) && !src[1].flags,
	   "sources that are copied stay");
	ok(b1_says(a, dst[0].id, "0") == 0 && b1_says(a, dst[1].id, "1") == 0 &&
		   b1_says(a, dst[2].id, "2") == 0 && b1_hears(a, node, "0") &&
		   b1_hears(a, src[1].id, "1") && b1_hears(a, node, "2"),
	   "the new handles lead where they should");
	ok(b1_transfer(a, a, 1, src, dst) == 0 &&
		   b1_says(a, dst[0].id, "3") == 0 && b1_hears(a, node, "3"),
	   "to may be the peer's own descriptor");
	ok(b1_transfer(a, b, 1, b1_const(&src[0], sizeof(src[0])), dst) == 0,
	   "a source that is copied is only read");
	close(a);
	close(b);
	close(c);
}

static void test_zero(void)
{
	int a = b1_open(), b = b1_open();
	struct bus1_cmd_transfer cmd = { .to = b };

	b1_watch(a, b);
	ok(b1_transfer(a, b, 0, NULL, NULL) == 0, "n = 0 does nothing");
	ok(b1_unchanged(), "really nothing");
	b1_refused(b1_transfer(a, 9999, 0, NULL, NULL), EBADF,
		   "n = 0 still looks at the descriptor");
	cmd.flags = 1;
	b1_refused(b1_cmd(a, BUS1_CMD_TRANSFER, &cmd, sizeof(cmd)), EINVAL,
		   "n = 0 still looks at the flags");
	close(a);
	close(b);
}

static void test_arguments(void)
{
	static const uint64_t counts[] = {
		BUS1_MAX_TRANSFERS + 1,
		1ull << 32,
		(1ull << 32) + 1,
		1ull << 60,
		1ull << 63,
		~0ull,
	};
	int a = b1_open(), b = b1_open(), pipes[2];
	uint64_t h, node = b1_node(a, &h), other = 0, foreign;
	struct bus1_transfer src = { 0, h }, dst;
	struct bus1_transfer two[2] = { { 0, h }, { 0, h } }, out[2];
	struct bus1_cmd_transfer cmd = {
		.to = b,
		.n_transfers = 1,
		.ptr_src = BUS1_FROM_PTR(&src),
		.ptr_dst = BUS1_FROM_PTR(&dst),
	};
	unsigned int i;

	if (pipe(pipes))
		bail_out("no pipe");
	/* Unlike any ID of a: b's counter runs ahead. */
	for (i = 0; i < 20; i++)
		b1_node(b, &other);
	foreign = other;
	b1_watch(a, b);
	for (i = 0; i < 64; i++) {
		cmd.flags = 1ull << i;
		b1_refused(b1_cmd(a, BUS1_CMD_TRANSFER, &cmd, sizeof(cmd)),
			   EINVAL, "flag bit %u of the command", i);
	}
	for (i = 0; i < 64; i++) {
		src.flags = 1ull << i;
		if (src.flags != BUS1_TRANSFER_FLAG_CREATE)
			b1_refused(b1_transfer(a, b, 1, &src, &dst), EINVAL,
				   "flag bit %u of a transfer", i);
	}
	src = (struct bus1_transfer){ BUS1_TRANSFER_FLAG_CREATE, h };
	b1_refused(b1_transfer(a, b, 1, &src, &dst), EINVAL,
		   "CREATE with a handle");
	src.id = 0;
	b1_refused(b1_transfer(a, b, 1, &src, &dst), EINVAL, "CREATE with 0");
	ok(src.flags == BUS1_TRANSFER_FLAG_CREATE && src.id == 0,
	   "the refused entry is as it was");

	b1_refused(b1_transfer(a, 9999, 1, two, out), EBADF, "to is not open");
	b1_refused(b1_transfer(a, 1ull << 32 | b, 1, two, out), EBADF,
		   "to is more than 32 bits");
	b1_refused(b1_transfer(a, BUS1_INVALID - 1, 1, two, out), EBADF,
		   "to is -2");
	b1_refused(b1_transfer(a, 0xffffffff, 1, two, out), EBADF,
		   "to is -1 of 32 bits");
	b1_refused(b1_transfer(a, pipes[0], 1, two, out), EOPNOTSUPP,
		   "to is a pipe");

	src = (struct bus1_transfer){ 0, node };
	b1_refused(b1_transfer(a, b, 1, &src, &dst), EBADRQC, "a node");
	src.id = foreign;
	b1_refused(b1_transfer(a, b, 1, &src, &dst), EBADRQC,
		   "another peer's handle");
	src.id = h & ~BUS1_MANAGED;
	b1_refused(b1_transfer(a, b, 1, &src, &dst), EBADRQC, "bit 0 clear");
	src.id = 0;
	b1_refused(b1_transfer(a, b, 1, &src, &dst), EBADRQC, "ID 0");
	src.id = BUS1_INVALID;
	b1_refused(b1_transfer(a, b, 1, &src, &dst), EBADRQC, "BUS1_INVALID");
	src.id = h | 1ull << 63;
	b1_refused(b1_transfer(a, b, 1, &src, &dst), EBADRQC, "a high bit");

	memset(out, B1_POISON, sizeof(out));
	two[0] = (struct bus1_transfer)CREATE;
	two[1].id = foreign;
	b1_refused(b1_transfer(a, b, 2, two, out), EBADRQC,
		   "all or nothing: CREATE, then an unknown ID");
	ok(two[0].id == BUS1_INVALID &&
		   two[0].flags == BUS1_TRANSFER_FLAG_CREATE &&
		   b1_poisoned(out, sizeof(out)),
	   "neither array is written");

	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		b1_refused(b1_transfer(a, b, counts[i], two, out), EMSGSIZE,
			   "D22: %#llx transfers",
			   (unsigned long long)counts[i]);
	ok(b1_says(a, h, "alive") == 0 && b1_hears(a, node, "alive"),
	   "the handle is as good as before");
	close(a);
	close(b);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_pointers(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t h;
	struct bus1_transfer src[2], dst[2];
	struct bus1_cmd_transfer cmd = {
		.to = b,
		.n_transfers = 2,
		.ptr_src = BUS1_FROM_PTR(src),
		.ptr_dst = BUS1_FROM_PTR(dst),
	};
	struct b1_bad bad[B1_N_BAD];
	unsigned int i, n;

	b1_node(a, &h);
	b1_watch(a, b);
	src[0] = src[1] = (struct bus1_transfer){ 0, h };
	n = b1_bad(bad, &cmd, sizeof(cmd), false);
	for (i = 0; i < n; i++)
		b1_refused(b1_ioctl(a, BUS1_CMD_TRANSFER,
				    BUS1_TO_PTR(bad[i].addr)),
			   EFAULT, "command: %s", bad[i].what);
	n = b1_bad(bad, src, sizeof(src), false);
	for (i = 0; i < n; i++)
		b1_refused(b1_transfer(a, b, 2, BUS1_TO_PTR(bad[i].addr), dst),
			   EFAULT, "ptr_src: %s", bad[i].what);
	src[0] = src[1] = (struct bus1_transfer)CREATE;
	n = b1_bad(bad, src, sizeof(src), true);
	for (i = 0; i < n; i++)
		b1_refused(b1_transfer(a, b, 2, BUS1_TO_PTR(bad[i].addr), dst),
			   EFAULT, "ptr_src, CREATE: %s", bad[i].what);
	n = b1_bad(bad, dst, sizeof(dst), true);
	for (i = 0; i < n; i++) {
		src[0] = (struct bus1_transfer)CREATE;
		src[1] = (struct bus1_transfer){ 0, h };
		b1_refused(b1_transfer(a, b, 2, src, BUS1_TO_PTR(bad[i].addr)),
			   EFAULT, "ptr_dst: %s", bad[i].what);
	}
	b1_refused(b1_transfer(a, b, BUS1_MAX_TRANSFERS, src, BUS1_TO_PTR(-64)),
		   EFAULT, "ptr_src shorter than its count says");
	ok(b1_empty(a) && b1_empty(b), "nobody was told anything");

	src[0] = (struct bus1_transfer)CREATE;
	ok(b1_transfer(a, b, 1, memcpy(b1_edge(16), src, 16), b1_edge(16)) == 0,
	   "arrays that end with their page are good");
	close(a);
	close(b);
}

static void test_ids(void)
{
	int a = b1_open();
	uint64_t h, node, last = 0;
	bool fresh = true;
	int i;

	for (i = 0; i < 200; i++) {
		node = b1_node(a, &h);
		fresh &= node != h;
		if (node <= last || h <= last)
			fresh = false;
		last = node > h ? node : h;
		b1_drop(a, h);
		b1_handle_gone(a, node);
	}
	ok(fresh && b1_empty(a), "IDs only grow: none is used twice");
	close(a);
}

int main(void)
{
	test_create();
	test_copy();
	test_zero();
	test_arguments();
	test_pointers();
	test_ids();
	return done_testing();
}
