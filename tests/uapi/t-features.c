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
		b1_refused(features(1ull << i, &same), EINVAL,
			   "FEATURES, flag bit %u", i);
		if (same != 77)
			break;
	}
	ok(i == 64, "and nothing was written");
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
	struct b1_msg m;
	uint64_t got;
	unsigned int i;

	b1_says(b, handle, "a's");
	b1_says(a, handle_b, "b's");
	b1_watch(a, b);
	for (i = 0; i < 64; i++) {
		uint64_t bit = 1ull << i;

		b1_room(&m, 4, 64, false);
		if (bit != BUS1_RECV_FLAG_WAIT) {
			b1_refused(b1_recv_into(a, bit, &m), EINVAL,
				   "RECV, flag bit %u", i);
			b1_room(&m, 4, 64, false);
			b1_refused(b1_batch(a, bit, 0, &m, 1, &got), EINVAL,
				   "RECV_BATCH, flag bit %u", i);
			b1_room(&m, 4, 64, false);
			b1_refused(b1_batch(a, bit | BUS1_RECV_FLAG_WAIT, 0, &m,
					    1, &got), EINVAL,
				   "RECV_BATCH with WAIT, flag bit %u", i);
		}
		if (bit == BUS1_MESSAGE_FLAG_FLAT)
			continue;
		spoilt = out;
		spoilt.flags |= bit;
		b1_refused(b1_send_msg(b, 1, &handle, NULL, &spoilt), EINVAL,
			   "SEND, message flag bit %u", i);
		b1_refused(b1_call_msg(b, handle, 0, &spoilt, &m), EINVAL,
			   "CALL, flag bit %u of the message to send", i);
		m.msg.flags |= bit;
		b1_refused(b1_recv_into(a, 0, &m), EINVAL,
			   "RECV, message flag bit %u", i);
		b1_refused(b1_call_msg(b, handle, 0, &out, &m), EINVAL,
			   "CALL, flag bit %u of the room", i);
		b1_refused(b1_batch(a, 0, 0, &m, 1, &got), EINVAL,
			   "RECV_BATCH, message flag bit %u", i);
	}
	for (i = 0; i < 64; i++) {
		struct bus1_cmd_call call = {
			.flags = 1ull << i,
			.destination = handle,
			.send = out,
		};

		b1_room(&m, 4, 64, false);
		call.received.message = m.msg;
		b1_refused(b1_ioctl(b, BUS1_CMD_CALL, &call), EINVAL,
			   "CALL, flag bit %u", i);
		b1_refused(b1_batch(a, 0, 1ull << i, &m, 1, &got), EINVAL,
			   "RECV_BATCH, a deadline of %#llx without WAIT",
			   1ull << i);
	}
	b1_refused(b1_batch(a, 0, BUS1_INVALID, &m, 1, &got), EINVAL,
		   "RECV_BATCH, no deadline without WAIT");
	b1_refused(b1_batch(a, 0, 1, &m, 0, &got), EINVAL,
		   "and not with 0 entries either");
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
