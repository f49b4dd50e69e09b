// SPDX-License-Identifier: GPL-2.0-only
/* What the module says it can, and that no unknown bit passes unnoticed. */
#include "b1.h"

#define ALL (BUS1_FEATURE_NAME | BUS1_FEATURE_WAIT | BUS1_FEATURE_CALL | \
	     BUS1_FEATURE_BATCH | BUS1_FEATURE_FLAT)

static int a, b;
static uint64_t node, handle, node_b, handle_b;

static int features(uint64_t flags, uint64_t *bits)
{
	struct bus1_cmd_features cmd = { flags, *bits };
	int r = b1_ioctl(a, BUS1_CMD_FEATURES, &cmd);

	*bits = cmd.features;
	return cmd.flags == flags ? r : b1_dirty("the flags");
}

static unsigned int wrong;

static void invalid(const char *what, uint64_t value, int r)
{
	if (r == EINVAL)
		return;
	if (!wrong++)
		diag("%s %#llx: %s", what, (unsigned long long)value,
		     strerror(r));
}

static void test_features(void)
{
	struct bus1_cmd_features cmd = { 0, 0 }, *edge;
	struct b1_bad bad[B1_N_BAD];
	uint64_t bits = 0, junk = B1_POISON64, same;
	unsigned int i, n;

	b1_says(b, handle, "queued");
	b1_watch(a, b);
	ok(features(0, &bits) == 0 && (bits & ALL) == ALL,
	   "FEATURES: %#llx", (unsigned long long)bits);
	ok(features(0, &junk) == 0 && junk == bits,
	   "what is there before does not count");
	for (i = 0; i < 64; i++) {
		same = 77;
		invalid("FEATURES, flag bit", 1ull << i,
			features(1ull << i, &same));
		wrong += same != 77;
	}
	ok(!wrong && b1_unchanged(),
	   "FEATURES, unknown flags: EINVAL, and nothing is written");
	n = b1_bad(bad, &cmd, sizeof(cmd), true);
	for (i = 0; i < n; i++)
		b1_refused(b1_ioctl(a, BUS1_CMD_FEATURES,
				    BUS1_TO_PTR(bad[i].addr)),
			   EFAULT, "FEATURES: %s", bad[i].what);
	edge = b1_edge(sizeof(*edge));
	ok(b1_ioctl(a, BUS1_CMD_FEATURES, edge) == 0 && edge->features == bits,
	   "at the end of its page");
	ok(b1_unchanged() && b1_hears(a, node, "queued"), "no other effect");
}

/*
 * Both peers have a message, so a call that took its unknown flag for none
 * would send or receive something.
 */
static void test_unknown(void)
{
	struct bus1_message out = b1_flat("new", 3), spoilt;
	struct bus1_cmd_call call;
	struct b1_msg m;
	uint64_t got;
	unsigned int i;

	b1_says(b, handle, "a's");
	b1_says(a, handle_b, "b's");
	b1_watch(a, b);
	for (i = 0; i < 64; i++) {
		uint64_t bit = 1ull << i;

		b1_room(&m, 4, 64, false);
		call = (struct bus1_cmd_call){
			.flags = bit,
			.destination = handle,
			.send = out,
			.received.message = m.msg,
		};
		invalid("CALL, flags", bit, b1_ioctl(b, BUS1_CMD_CALL, &call));
		if (bit == BUS1_RECV_FLAG_WAIT)
			continue;
		invalid("RECV, flags", bit, b1_recv_into(a, bit, &m));
		invalid("RECV_BATCH, flags", bit,
			b1_batch(a, bit, 0, &m, 1, &got));
		invalid("RECV_BATCH, flags with WAIT", bit,
			b1_batch(a, bit | BUS1_RECV_FLAG_WAIT, 0, &m, 1, &got));
	}
	ok(!wrong && b1_unchanged(), "unknown flags of commands: EINVAL");
	for (i = 0; i < 64; i++) {
		uint64_t bit = 1ull << i;

		if (bit == BUS1_MESSAGE_FLAG_FLAT)
			continue;
		b1_room(&m, 4, 64, i & 1);
		spoilt = out;
		spoilt.flags |= bit;
		invalid("SEND, message flags", bit,
			b1_send_msg(b, 1, &handle, NULL, &spoilt));
		invalid("SEND to nobody, message flags", bit,
			b1_send_msg(b, 0, NULL, NULL, &spoilt));
		invalid("CALL, flags of the message to send", bit,
			b1_call_msg(b, handle, 0, &spoilt, &m));
		m.msg.flags |= bit;
		invalid("RECV, message flags", bit, b1_recv_into(a, 0, &m));
		invalid("RECV with WAIT, message flags", bit,
			b1_recv_into(a, BUS1_RECV_FLAG_WAIT, &m));
		invalid("CALL, flags of the room", bit,
			b1_call_msg(b, handle, 0, &out, &m));
		invalid("RECV_BATCH, message flags", bit,
			b1_batch(a, 0, 0, &m, 1, &got));
	}
	ok(!wrong && b1_unchanged(), "unknown flags of messages: EINVAL");
	b1_room(&m, 4, 64, false);
	for (i = 0; i < 64; i++)
		invalid("RECV_BATCH without WAIT, deadline", 1ull << i,
			b1_batch(a, 0, 1ull << i, &m, 1, &got));
	invalid("RECV_BATCH without WAIT, deadline", BUS1_INVALID,
		b1_batch(a, 0, BUS1_INVALID, &m, 1, &got));
	invalid("RECV_BATCH of nothing, deadline", 1,
		b1_batch(a, 0, 1, &m, 0, &got));
	ok(!wrong && b1_unchanged(), "a deadline without WAIT: EINVAL");
	ok(b1_hears(a, node, "a's") && b1_empty(a) &&
		   b1_hears(b, node_b, "b's") && b1_empty(b),
	   "both messages are where they were, and no other");
}

int main(void)
{
	a = b1_open();
	b = b1_open();
	node = b1_node_to(a, b, &handle);
	node_b = b1_node_to(b, a, &handle_b);
	test_features();
	test_unknown();
	close(a);
	close(b);
	return done_testing();
}
