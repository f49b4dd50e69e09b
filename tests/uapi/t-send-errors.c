// SPDX-License-Identifier: GPL-2.0-only
/* BUS1_CMD_SEND: how it refuses, with nothing changed. */
#include <limits.h>

#include "b1.h"

#define CREATE                                          \
	{                                               \
		BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID \
	}

/* A good call, of which each test spoils one part. */
static int a, b;
static uint64_t handle, node, foreign, own, own_handle;
static uint64_t to[2];
static struct bus1_transfer t[2];
static int32_t errors[4];
static struct iovec vec[2];
static struct bus1_message msg;
static struct bus1_cmd_send cmd;

static void good(void)
{
	to[0] = to[1] = handle;
	t[0] = t[1] = (struct bus1_transfer){ 0, handle };
	memset(errors, B1_POISON, sizeof(errors));
	vec[0] = (struct iovec){ "0123456789abcdef", 16 };
	vec[1] = vec[0];
	msg = (struct bus1_message){
		.n_transfers = 2,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = 32,
		.n_data_vecs = 2,
		.ptr_data_vecs = BUS1_FROM_PTR(vec),
	};
	cmd = (struct bus1_cmd_send){
		.n_destinations = 2,
		.ptr_destinations = BUS1_FROM_PTR(to),
		.ptr_errors = BUS1_FROM_PTR(errors),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};
}

/* The call as it stands fails so, errors[] untouched; make it good again. */
static void refused(int want, const char *what, uint64_t value)
{
	int r = b1_cmd(b, BUS1_CMD_SEND, &cmd, sizeof(cmd));

	b1_refused(r, want, "%s %#llx", what, (unsigned long long)value);
	if (!b1_poisoned(errors, sizeof(errors)))
		ok(false, "errors[] untouched");
	good();
}

static void test_flags(void)
{
	unsigned int i;

	for (i = 0; i < 64; i++) {
		cmd.flags = 1ull << i;
		if (cmd.flags != BUS1_SEND_FLAG_CONTINUE)
			refused(EINVAL, "command flags", 1ull << i);
		cmd.flags = 0;
		msg.flags = 1ull << i;
		if (msg.flags != BUS1_MESSAGE_FLAG_FLAT)
			refused(EINVAL, "message flags", 1ull << i);
		t[1].flags = 1ull << i;
		if (t[1].flags != BUS1_TRANSFER_FLAG_CREATE)
			refused(EINVAL, "transfer flags", 1ull << i);
		t[1].flags = 0;
		msg.type = 1ull << i;
		refused(EINVAL, "message type", 1ull << i);
	}
	msg.type = BUS1_MESSAGE_TYPE_HANDLE_RELEASE + 1;
	refused(EINVAL, "message type", 3);
	msg.type = BUS1_INVALID;
	refused(EINVAL, "message type", BUS1_INVALID);
	t[1].flags = BUS1_TRANSFER_FLAG_CREATE;
	refused(EINVAL, "CREATE with", handle);
	t[1] = (struct bus1_transfer){ BUS1_TRANSFER_FLAG_CREATE, 0 };
	refused(EINVAL, "CREATE with", 0);
	cmd.n_destinations = 0;
	msg.flags = 2;
	refused(EINVAL, "n = 0, message flags", 2);
	cmd.n_destinations = 0;
	t[1] = (struct bus1_transfer){ 0, foreign };
	refused(EBADRQC, "n = 0, transfer", foreign);
	cmd.n_destinations = 0;
	msg.n_data = 33;
	refused(EMSGSIZE, "n = 0, n_data", 33);
}

static void test_ids(void)
{
	const uint64_t bad[] = {
		own,
		foreign,
		0,
		BUS1_INVALID,
		handle & ~BUS1_MANAGED,
		handle | 1ull << 32,
		handle | 1ull << 63,
	};
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		to[1] = bad[i];
		refused(EBADRQC, "second destination", bad[i]);
		to[0] = bad[i];
		refused(EBADRQC, "first destination", bad[i]);
		t[1].id = bad[i];
		refused(EBADRQC, "second transfer", bad[i]);
		t[0].id = bad[i];
		refused(EBADRQC, "first transfer", bad[i]);
	}
	t[0] = (struct bus1_transfer)CREATE;
	t[1].id = foreign;
	cmd.ptr_errors = 0;
	ok(b1_cmd(b, BUS1_CMD_SEND, &cmd, sizeof(cmd)) == EBADRQC &&
		   t[0].id == BUS1_INVALID &&
		   t[0].flags == BUS1_TRANSFER_FLAG_CREATE,
	   "CREATE, then an unknown ID: not written back");
	good();
}

static void test_counts(void)
{
	static const uint64_t counts[] = {
		65537,	    1ull << 32, (1ull << 32) + 2,
		1ull << 60, 1ull << 63, (1ull << 63) + 2,
		~0ull,
	};
	static const uint64_t sizes[] = {
		33, 1ull << 32, (1ull << 32) + 8, 1ull << 63, ~0ull,
	};
	uint64_t *many = malloc(65536 * sizeof(*many));
	struct bus1_transfer *tm = malloc(65536 * sizeof(*tm));
	unsigned int i;

	for (i = 0; i < 65536; i++) {
		many[i] = handle;
		tm[i] = (struct bus1_transfer){ 0, handle };
	}
	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		cmd.n_destinations = counts[i];
		refused(EMSGSIZE, "D22: n_destinations", counts[i]);
		msg.n_transfers = counts[i];
		refused(EMSGSIZE, "D22: n_transfers", counts[i]);
		msg.n_data_vecs = counts[i];
		refused(EMSGSIZE, "D22: n_data_vecs", counts[i]);
	}
	msg.n_data_vecs = 1025;
	refused(EMSGSIZE, "UIO_MAXIOV + 1 iovecs", 1025);
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		msg.n_data = sizes[i];
		refused(EMSGSIZE, "D22: n_data", sizes[i]);
	}
	msg.n_data_vecs = 0;
	refused(EMSGSIZE, "n_data without iovecs", 32);
	cmd.n_destinations = 65536;
	cmd.ptr_destinations = BUS1_FROM_PTR(many);
	msg.n_transfers = 16;
	msg.ptr_transfers = BUS1_FROM_PTR(tm);
	cmd.ptr_errors = 0;
	refused(EMSGSIZE, "D22: 65536 destinations times 1 +", 16);
	cmd.n_destinations = 17;
	cmd.ptr_destinations = BUS1_FROM_PTR(many);
	msg.n_transfers = 65536;
	msg.ptr_transfers = BUS1_FROM_PTR(tm);
	cmd.ptr_errors = 0;
	refused(EMSGSIZE, "D22: 65536 transfers to", 17);
	free(many);
	free(tm);
}

static void test_iovecs(void)
{
	static const uint64_t lengths[] = { 1ull << 63, ~0ull, -4096ull };
	uint64_t before;
	unsigned int i;
	char *zeros;
	int r;

	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		vec[0].iov_len = lengths[i];
		refused(EINVAL, "iovec of length", lengths[i]);
		vec[1].iov_len = lengths[i];
		msg.n_data = 8;
		refused(EINVAL, "iovec behind n_data of length", lengths[i]);
		vec[1].iov_len = lengths[i];
		msg.n_data = 0;
		refused(EINVAL, "n_data = 0, iovec of length", lengths[i]);
	}
	vec[1].iov_base = (void *)0xffff888000000000;
	msg.n_data = 8;
	refused(EFAULT, "iovec behind n_data at", 0xffff888000000000);
	vec[0].iov_base = (void *)-8l;
	refused(EFAULT, "iovec that wraps, at", -8ull);

	/* Sums beyond what the kernel moves in one call. */
	zeros = mmap(NULL, 3ul << 30, PROT_READ,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (zeros == MAP_FAILED) {
		skip(4, "no address space of 3 GiB");
		return;
	}
	vec[0] = (struct iovec){ zeros, 3ul << 30 };
	msg.n_data = 0x7ffff001;
	refused(EMSGSIZE, "D22: MAX_RW_COUNT +", 1);
	vec[0] = (struct iovec){ zeros, 3ul << 30 };
	msg.n_data = 3ull << 30;
	refused(EMSGSIZE, "D22: 3 GiB in one iovec", msg.n_data);
	vec[0] = vec[1] = (struct iovec){ zeros, 3ul << 30 };
	msg.n_data = 8;
	msg.n_transfers = 0;
	cmd.n_destinations = 1;
	ok(b1_cmd(b, BUS1_CMD_SEND, &cmd, sizeof(cmd)) == 0 &&
		   b1_hears_msg(a, node, zeros, 8, 0, &(struct b1_msg){}),
	   "6 GiB of iovecs, of which 8 bytes are sent");
	good();
	vec[0] = (struct iovec){ zeros, 3ul << 30 };
	msg.n_data = 0x7ffff000;
	msg.n_transfers = 0;
	cmd.n_destinations = 1;
	before = b1_count(a, "bus1-queued");
	r = b1_cmd(b, BUS1_CMD_SEND, &cmd, sizeof(cmd));
	ok((r == ENOMEM || r == EDQUOT) && b1_count(a, "bus1-queued") == before,
	   "D22: MAX_RW_COUNT is more than there is: %s", strerror(r));
	good();
	munmap(zeros, 3ul << 30);
}

static void test_pointers(void)
{
	struct b1_bad bad[B1_N_BAD];
	unsigned int i, n;
	char what[64];

	n = b1_bad(bad, &cmd, sizeof(cmd), false);
	for (i = 0; i < n; i++)
		b1_refused(b1_ioctl(b, BUS1_CMD_SEND, BUS1_TO_PTR(bad[i].addr)),
			   EFAULT, "command: %s", bad[i].what);
	n = b1_bad(bad, to, sizeof(to), false);
	for (i = 0; i < n; i++) {
		cmd.ptr_destinations = bad[i].addr;
		snprintf(what, sizeof(what), "destinations: %s", bad[i].what);
		refused(EFAULT, what, bad[i].addr);
	}
	n = b1_bad(bad, &msg, sizeof(msg), false);
	for (i = 0; i < n; i++) {
		cmd.ptr_message = bad[i].addr;
		snprintf(what, sizeof(what), "message: %s", bad[i].what);
		refused(EFAULT, what, bad[i].addr);
	}
	n = b1_bad(bad, t, sizeof(t), false);
	for (i = 0; i < n; i++) {
		msg.ptr_transfers = bad[i].addr;
		snprintf(what, sizeof(what), "transfers: %s", bad[i].what);
		refused(EFAULT, what, bad[i].addr);
	}
	n = b1_bad(bad, vec, sizeof(vec), false);
	for (i = 0; i < n; i++) {
		msg.ptr_data_vecs = bad[i].addr;
		snprintf(what, sizeof(what), "iovecs: %s", bad[i].what);
		refused(EFAULT, what, bad[i].addr);
	}
	n = b1_bad(bad, vec[0].iov_base, 16, false);
	for (i = 0; i < n; i++) {
		vec[1].iov_base = BUS1_TO_PTR(bad[i].addr);
		snprintf(what, sizeof(what), "payload: %s", bad[i].what);
		refused(EFAULT, what, bad[i].addr);
	}
	for (i = 0; i < 2; i++) {
		cmd.n_destinations = 65536;
		if (i)
			cmd.ptr_destinations = BUS1_FROM_PTR(b1_edge(16));
		else
			cmd.ptr_destinations = -64ull;
		msg.n_transfers = 0;
		refused(EFAULT, "destinations end early", i);
	}
}

/* What is written back comes last, but before the commit. */
static void test_outputs(void)
{
	struct b1_bad bad[B1_N_BAD];
	unsigned int i, n;
	int r;

	n = b1_bad(bad, errors, 2 * sizeof(*errors), true);
	for (i = 0; i < n; i++) {
		cmd.ptr_errors = bad[i].addr;
		if (!cmd.ptr_errors)
			continue;
		t[0] = (struct bus1_transfer)CREATE;
		r = b1_cmd(b, BUS1_CMD_SEND, &cmd, sizeof(cmd));
		b1_refused(r, EFAULT, "errors: %s", bad[i].what);
		/* An ID may have been written, but must be of no use. */
		ok(t[0].id == BUS1_INVALID || b1_drop(b, t[0].id) == EBADRQC,
		   "the new node is unknown");
		good();
	}
	t[0] = (struct bus1_transfer)CREATE;
	n = b1_bad(bad, t, sizeof(t), true);
	for (i = 0; i < n; i++) {
		t[0] = (struct bus1_transfer)CREATE;
		msg.ptr_transfers = bad[i].addr;
		r = b1_cmd(b, BUS1_CMD_SEND, &cmd, sizeof(cmd));
		b1_refused(r, EFAULT, "transfers, CREATE: %s", bad[i].what);
		good();
	}
}

int main(void)
{
	unsigned int i;

	a = b1_open();
	b = b1_open();
	/* a's counter runs ahead: its later IDs are unknown to b. */
	for (i = 0; i < 20; i++)
		b1_node(a, &foreign);
	node = b1_node_to(a, b, &handle);
	own = b1_node(b, &own_handle);
	b1_watch(b, a);
	good();
	test_flags();
	test_ids();
	test_counts();
	test_iovecs();
	test_pointers();
	test_outputs();
	ok(b1_empty(a) && b1_empty(b), "nothing was sent to anybody");
	msg.n_transfers = 0;
	ok(b1_cmd(b, BUS1_CMD_SEND, &cmd, sizeof(cmd)) == 0 &&
		   b1_hears(a, node, "0123456789abcdef0123456789abcdef") &&
		   b1_hears(a, node, "0123456789abcdef0123456789abcdef"),
	   "and the same call, unspoiled, is good");
	close(a);
	close(b);
	return done_testing();
}
