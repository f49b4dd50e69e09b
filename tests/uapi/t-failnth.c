// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation and every access to user memory of a call fails once: the call
 * fails, or does all it should, and in the end nothing is charged but what is
 * there. Needs a kernel with fault injection, as the debug kernels are.
 */
#define _GNU_SOURCE
#include "quota.h"

#define DEBUG "/sys/kernel/debug/"

static int fail_fd, a, b, c;
static uint64_t to[3], nodes[3], made[4];

/* A user each, so that one peer alone claims from its own account. */
static void begin(void)
{
	a = open_as(7101);
	b = open_as(7102);
	c = open_as(7103);
	nodes[0] = b1_node_to(b, a, &to[0]);
	nodes[1] = b1_node_to(c, a, &to[1]);
	nodes[2] = b1_node_to(a, a, &to[2]);
}

static void end(void)
{
	close(a);
	close(b);
	close(c);
}

static int opened;

static int do_open(void)
{
	syscall(SYS_setresuid, -1, 7104, -1);
	opened = open("/dev/bus1", O_RDWR | O_CLOEXEC);
	return opened < 0 ? errno : 0;
}

static void undo_open(void)
{
	close(opened);
}

static int do_transfer(void)
{
	struct bus1_transfer src[4] = {
		{ BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID },
		{ 0, to[0] },
		{ BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID },
		{ 0, to[1] },
	}, dst[4];
	int r = b1_transfer(a, b, 4, src, dst);
	int i;

	for (i = 0; !r && i < 4; i++)
		made[i] = dst[i].id;
	nodes[0] = src[0].id;
	nodes[1] = src[2].id;
	return r;
}

static void undo_transfer(void)
{
	b1_release(b, 4, made);
	b1_release(a, 2, nodes);
}

/* To each user and to oneself; with a new node, a handle, and data. */
static int do_send(void)
{
	struct bus1_transfer t[2] = {
		{ BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID },
		{ 0, to[1] },
	};
	int32_t errors[3];
	int r = quota_send(a, 0, 3, to, errors, 100, t, 2);

	made[0] = t[0].id;
	return r;
}

static void take(int peer)
{
	struct b1_msg m;
	uint64_t i;

	while (!b1_recv(peer, &m))
		for (i = 0; m.msg.type == BUS1_MESSAGE_TYPE_USER &&
			    i < m.msg.n_transfers; i++)
			b1_drop(peer, m.t[i].id);
}

static void undo_send(void)
{
	b1_drop(a, made[0]);
	take(b);
	take(c);
	take(a);
}

static struct bus1_transfer got[2];

/* The bare call: where it fails it may have written in part. */
static int do_recv(void)
{
	char data[100];
	struct bus1_metadata meta;
	struct iovec vec = { data, sizeof(data) };
	struct bus1_message msg = {
		.type = BUS1_INVALID,
		.n_transfers = 2,
		.ptr_transfers = BUS1_FROM_PTR(got),
		.n_data = sizeof(data),
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	return b1_ioctl(b, BUS1_CMD_RECV, &cmd);
}

static void undo_recv(void)
{
	b1_drop(b, got[0].id);
	b1_drop(b, got[1].id);
	undo_send();
}

/* To oneself, and what was sent comes back; where only that failed, by RECV. */
static int do_call(void)
{
	char data[100] = { 0 };
	struct bus1_cmd_call cmd = {
		.deadline = 0,
		.destination = to[2],
		.send = b1_flat(data, sizeof(data)),
		.received.message = b1_flat(data, sizeof(data)),
	};
	struct bus1_cmd_recv recv = {
		.ptr_metadata = BUS1_FROM_PTR(&cmd.received.metadata),
		.ptr_message = BUS1_FROM_PTR(&cmd.received.message),
	};
	int r;

	cmd.received.message.type = BUS1_INVALID;
	r = ioctl(a, BUS1_CMD_CALL, &cmd);
	if (r > 0)
		return b1_ioctl(a, BUS1_CMD_RECV, &recv);
	return r ? errno : 0;
}

/* Two messages: by one call, or where the second failed, by two. */
static int do_batch(void)
{
	struct bus1_transfer room[2][2] = { 0 };
	struct bus1_received entries[2];
	struct bus1_cmd_recv_batch cmd = {
		.n_received = 2,
		.ptr_received = BUS1_FROM_PTR(entries),
	};
	char data[2][100];
	int i, r;

	for (i = 0; i < 2; i++) {
		entries[i].message = b1_flat(data[i], sizeof(data[i]));
		entries[i].message.type = BUS1_INVALID;
		entries[i].message.n_transfers = 2;
		entries[i].message.ptr_transfers = BUS1_FROM_PTR(room[i]);
	}
	r = ioctl(b, BUS1_CMD_RECV_BATCH, &cmd);
	if (r < 0)
		return errno;
	if (r == 1) {
		cmd.n_received = 1;
		cmd.ptr_received = BUS1_FROM_PTR(&entries[1]);
		r += ioctl(b, BUS1_CMD_RECV_BATCH, &cmd);
	}
	for (i = 0; i < 2; i++) {
		b1_drop(b, room[i][0].id);
		b1_drop(b, room[i][1].id);
	}
	return r == 2 ? 0 : EPROTO;
}

static int do_features(void)
{
	struct bus1_cmd_features cmd = { 0 };

	return b1_ioctl(a, BUS1_CMD_FEATURES, &cmd);
}

static int do_name(void)
{
	struct bus1_cmd_name cmd = { 0, 4, BUS1_FROM_PTR("name") };

	return b1_cmd(a, BUS1_CMD_NAME, &cmd, sizeof(cmd));
}

/* More IDs than the stack has room for. */
static uint64_t ids[100];

static int do_release(void)
{
	return b1_release(a, 100, ids);
}

static void prepare_release(void)
{
	uint64_t h;
	int i;

	for (i = 0; i < 100; i += 2) {
		ids[i] = b1_node(a, &h);
		ids[i + 1] = h;
	}
}

static void prepare_recv(void)
{
	if (do_send())
		bail_out("cannot send");
}

static uint64_t first;

static void prepare_batch(void)
{
	prepare_recv();
	first = made[0];
	prepare_recv();
}

static void undo_batch(void)
{
	b1_drop(a, first);
	undo_send();
}

/* The first SEND through each handle makes a trace. */
static void prepare_send(void)
{
	begin();
}

static void undo_send_all(void)
{
	end();
}

static void nothing(void)
{
}

static void inject(unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	if (pwrite(fail_fd, text, strlen(text), 0) < 0)
		bail_out("fail-nth: %s", strerror(errno));
}

/* Did the fault happen? If not it may hit what looks, and what ends it. */
static bool injected(void)
{
	char text[16] = "1";
	ssize_t r;

	r = pread(fail_fd, text, sizeof(text) - 1, 0);
	if (pwrite(fail_fd, "0", 1, 0) < 0)
		inject(0);
	return r > 0 && !strtoul(text, NULL, 10);
}

static void test(const char *what, void (*prepare)(void), int (*call)(void),
		 void (*undo)(void))
{
	unsigned int nth, failed = 0, odd = 0, changed = 0;
	bool more = true;
	int r;

	for (nth = 1; more; nth++) {
		prepare();
		quota_note();
		inject(nth);
		r = call();
		more = injected();
		syscall(SYS_setresuid, -1, 0, -1);
		failed += r != 0;
		odd += r && r != ENOMEM && r != EFAULT;
		odd += r && !more;
		if (r) {
			changed += !quota_as_noted();
			r = call();
			syscall(SYS_setresuid, -1, 0, -1);
			odd += r != 0;
		}
		undo();
	}
	ok(failed && !odd && !changed,
	   "%s: of %u faults %u made it fail; %u oddly, %u with effects", what,
	   nth - 2, failed, odd, changed);
}

int main(void)
{
	static const char *const settings[][2] = {
		{ DEBUG "failslab/ignore-gfp-wait", "N" },
		{ DEBUG "fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUG "fail_page_alloc/min-order", "0" },
		{ DEBUG "failslab/verbose", "0" },
		{ DEBUG "fail_page_alloc/verbose", "0" },
		{ DEBUG "fail_usercopy/verbose", "0" },
	};
	unsigned int i;

	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_fd < 0) {
		skip(1, "a kernel without fault injection");
		return done_testing();
	}
	if (!quota_begin())
		return done_testing();
	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		quota_write(settings[i][0], settings[i][1]);

	test("open", nothing, do_open, undo_open);
	test("the first SEND", prepare_send, do_send, undo_send_all);
	begin();
	test("TRANSFER", nothing, do_transfer, undo_transfer);
	end();
	begin();
	test("SEND", nothing, do_send, undo_send);
	test("RECV", prepare_recv, do_recv, undo_recv);
	test("RELEASE", prepare_release, do_release, nothing);
	test("CALL", nothing, do_call, nothing);
	test("RECV_BATCH", prepare_batch, do_batch, undo_batch);
	test("FEATURES", nothing, do_features, nothing);
	test("NAME", nothing, do_name, nothing);
	end();
	ok(quota_nothing(), "nothing is claimed in the end");
	return done_testing();
}
