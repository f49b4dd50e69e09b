// SPDX-License-Identifier: GPL-2.0-only
/* BUS1_CMD_RECV: what it does, how it refuses, and that refusing costs nothing.
 */
#include "b1.h"

static int a, b;
static uint64_t node, handle;

/* What the next receive is given; each test spoils one part. */
static struct bus1_metadata meta;
static struct bus1_message msg;
static struct bus1_transfer t[4];
static char data[64];
static struct iovec vec[2];
static struct bus1_cmd_recv cmd;

static void good(void)
{
	memset(&meta, B1_POISON, sizeof(meta));
	memset(t, B1_POISON, sizeof(t));
	memset(data, B1_POISON, sizeof(data));
	vec[0] = (struct iovec){ data, 4 };
	vec[1] = (struct iovec){ data + 4, 28 };
	msg = (struct bus1_message){
		.type = BUS1_INVALID,
		.n_transfers = 2,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = 32,
		.n_data_vecs = 2,
		.ptr_data_vecs = BUS1_FROM_PTR(vec),
	};
	cmd = (struct bus1_cmd_recv){
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};
}

static int receive(void)
{
	return b1_cmd(a, BUS1_CMD_RECV, &cmd, sizeof(cmd));
}

static void refused(int want, const char *what, uint64_t value)
{
	b1_refused(receive(), want, "%s %#llx", what,
		   (unsigned long long)value);
	good();
}

static void test_room(void)
{
	struct bus1_transfer out[3] = { { 0, handle },
					{ 0, handle },
					{ 0, handle } };
	struct b1_msg m;
	uint64_t i;

	b1_watch(a, b);
	for (i = 0; i < 2; i++) {
		uint64_t room = i ? B1_ROOM_DATA : 0;

		ok(b1_recv_room(a, &m, i, room) == EAGAIN && b1_unchanged(),
		   "D25: EAGAIN on an empty queue, room %llu",
		   (unsigned long long)room);
	}
	b1_multicast(b, 1, &handle, NULL, "0123456789", 10, out, 3);
	b1_says(b, handle, "next");
	b1_watch(a, b);
	for (i = 0; i < 3; i++)
		ok(b1_recv_room(a, &m, i, 10) == EMSGSIZE &&
			   m.msg.n_transfers == 3 && m.msg.n_data == 10 &&
			   b1_unchanged(),
		   "D03: room for %d of 3 handles, D13: told so", (int)i);
	for (i = 0; i < 10; i += 3)
		ok(b1_recv_room(a, &m, 3, i) == EMSGSIZE &&
			   m.msg.n_transfers == 3 && m.msg.n_data == 10 &&
			   b1_unchanged(),
		   "room for %d of 10 bytes, D13: told so", (int)i);
	ok(b1_recv_room(a, &m, 3, 10) == 0 && m.msg.n_data == 10 &&
		   m.msg.n_transfers == 3 && !memcmp(m.data, "0123456789", 10),
	   "D13: exactly enough room; 0 is returned");
	ok(b1_hears(a, node, "next"), "the next message comes next");
	for (i = 0; i < 3; i++)
		b1_drop(a, m.t[i].id);
}

static void test_clamp(void)
{
	struct b1_msg m;

	b1_says(b, handle, "four iovecs");
	good();
	vec[0] = (struct iovec){ NULL, 0 };
	vec[1] = (struct iovec){ data, 11 };
	msg.n_data = ~0ull;
	msg.n_transfers = ~0ull;
	ok(receive() == 0 && msg.n_data == 11 && msg.n_transfers == 0 &&
		   !memcmp(data, "four iovecs", 11) &&
		   b1_poisoned(data + 11, sizeof(data) - 11),
	   "D22: absurd room is taken as what the iovecs hold");
	b1_says(b, handle, "twelve bytes");
	good();
	vec[1].iov_len = 7;
	msg.n_data = 1ull << 63;
	ok(receive() == EMSGSIZE && msg.n_data == 12 && msg.n_transfers == 0 &&
		   b1_poisoned(data, sizeof(data)),
	   "n_data more than the iovecs: they are the room");
	good();
	vec[1].iov_len = 60;
	msg.n_data = 11;
	ok(receive() == EMSGSIZE && msg.n_data == 12 &&
		   b1_poisoned(data, sizeof(data)),
	   "n_data less than the iovecs: it is the room");
	good();
	msg.n_data = 12;
	msg.n_transfers = 1ull << 60;
	ok(receive() == 0 && !memcmp(data, "twelve bytes", 12) &&
		   b1_poisoned(data + 12, sizeof(data) - 12),
	   "scattered over two");
	b1_gives(b, handle, "", handle);
	good();
	msg.n_transfers = 1ull << 60;
	msg.n_data = msg.n_data_vecs = 0;
	msg.ptr_data_vecs = 0;
	ok(receive() == 0 && msg.n_transfers == 1 && b1_drop(a, t[0].id) == 0 &&
		   b1_poisoned(t + 1, sizeof(*t)),
	   "D22: room for more handles than can be");
	b1_says(b, handle, "");
	good();
	msg = (struct bus1_message){ .type = BUS1_INVALID };
	ok(receive() == 0 && meta.id == node && msg.type == 0,
	   "no room at all, for an empty message");
	ok(b1_recv(a, &m) == EAGAIN, "nothing is left");
}

/* a has a message of 32 bytes and two handles; @what happened to it before. */
static void expect_intact(const char *what)
{
	struct b1_msg m;

	ok(b1_hears_msg(a, node, "0123456789abcdef0123456789abcdef", 32, 2,
			&m) &&
		   b1_says(a, m.t[0].id, "third") == 0 &&
		   b1_drop(a, m.t[0].id) == 0 && b1_drop(a, m.t[1].id) == 0,
	   "after %s the message is first, whole, with its handles", what);
	ok(b1_hears(a, node, "second") && b1_hears(a, node, "third") &&
		   b1_empty(a),
	   "and the second second");
}

static void fill(void)
{
	struct bus1_transfer out[2] = { { 0, handle }, { 0, handle } };

	b1_multicast(b, 1, &handle, NULL, "0123456789abcdef0123456789abcdef",
		     32, out, 2);
	b1_says(b, handle, "second");
	b1_watch(a, b);
	good();
}

static void test_arguments(void)
{
	static const uint64_t lengths[] = { 1ull << 63, ~0ull, -4096ull };
	static const uint64_t counts[] = { 1025, 1ull << 32, 1ull << 63,
					   ~0ull };
	unsigned int i;

	fill();
	for (i = 0; i < 64; i++) {
		cmd.flags = 1ull << i;
		if (cmd.flags != BUS1_RECV_FLAG_WAIT)
			refused(EINVAL, "command flags", 1ull << i);
		msg.flags = 1ull << i;
		if (msg.flags != BUS1_MESSAGE_FLAG_FLAT)
			refused(EINVAL, "message flags", 1ull << i);
		msg.type = 1ull << i;
		refused(EINVAL, "message type", 1ull << i);
	}
	msg.type = BUS1_MESSAGE_TYPE_USER;
	refused(EINVAL, "message type", 0);
	msg.type = BUS1_INVALID - 1;
	refused(EINVAL, "message type", BUS1_INVALID - 1);
	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		vec[1].iov_len = lengths[i];
		refused(EINVAL, "iovec of length", lengths[i]);
	}
	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		msg.n_data_vecs = counts[i];
		refused(EMSGSIZE, "n_data_vecs", counts[i]);
	}
	expect_intact("refused arguments");
}

static void test_pointers(void)
{
	struct b1_bad bad[B1_N_BAD];
	unsigned int i, n;
	char what[64];

	fill();
	n = b1_bad(bad, &cmd, sizeof(cmd), false);
	for (i = 0; i < n; i++)
		b1_refused(b1_ioctl(a, BUS1_CMD_RECV, BUS1_TO_PTR(bad[i].addr)),
			   EFAULT, "command: %s", bad[i].what);
	expect_intact("a bad command");
	fill();
	n = b1_bad(bad, &meta, sizeof(meta), true);
	for (i = 0; i < n; i++) {
		cmd.ptr_metadata = bad[i].addr;
		snprintf(what, sizeof(what), "D12: metadata: %s", bad[i].what);
		refused(EFAULT, what, bad[i].addr);
	}
	expect_intact("bad metadata");
	fill();
	n = b1_bad(bad, &msg, sizeof(msg), true);
	for (i = 0; i < n; i++) {
		cmd.ptr_message = bad[i].addr;
		snprintf(what, sizeof(what), "D12: message: %s", bad[i].what);
		refused(EFAULT, what, bad[i].addr);
	}
	expect_intact("a bad message");
	fill();
	n = b1_bad(bad, t, 2 * sizeof(*t), true);
	for (i = 0; i < n; i++) {
		msg.ptr_transfers = bad[i].addr;
		snprintf(what, sizeof(what), "D12: transfers: %s", bad[i].what);
		refused(EFAULT, what, bad[i].addr);
	}
	expect_intact("bad transfers");
	fill();
	n = b1_bad(bad, vec, sizeof(vec), false);
	for (i = 0; i < n; i++) {
		msg.ptr_data_vecs = bad[i].addr;
		snprintf(what, sizeof(what), "iovecs: %s", bad[i].what);
		refused(EFAULT, what, bad[i].addr);
	}
	expect_intact("bad iovecs");
	fill();
	n = b1_bad(bad, data, 28, true);
	for (i = 0; i < n; i++) {
		vec[1].iov_base = BUS1_TO_PTR(bad[i].addr);
		snprintf(what, sizeof(what), "D12: payload: %s", bad[i].what);
		refused(EFAULT, what, bad[i].addr);
	}
	expect_intact("a bad payload");
}

/* A notification that could not be delivered is still there, and its ID too. */
static void test_notifications(void)
{
	struct b1_bad bad[B1_N_BAD];
	uint64_t h1, n1 = b1_node_to(b, a, &h1), h2, n2 = b1_node_to(a, b, &h2);
	unsigned int i, n;

	b1_drop(b, n1);
	b1_drop(b, h2);
	b1_watch(a, b);
	good();
	n = b1_bad(bad, &meta, sizeof(meta), true);
	for (i = 0; i < n; i++) {
		cmd.ptr_metadata = bad[i].addr;
		refused(EFAULT, "D12: NODE_RELEASE, metadata", bad[i].addr);
	}
	n = b1_bad(bad, &msg, sizeof(msg), true);
	for (i = 0; i < n; i++) {
		cmd.ptr_message = bad[i].addr;
		refused(EFAULT, "D12: NODE_RELEASE, message", bad[i].addr);
	}
	ok(b1_has_handle(a, h1), "the handle is still there");
	ok(b1_node_gone(a, h1) && !b1_has_handle(a, h1),
	   "D12: NODE_RELEASE comes, and the handle is gone");
	b1_watch(a, b);
	n = b1_bad(bad, &meta, sizeof(meta), true);
	for (i = 0; i < n; i++) {
		cmd.ptr_metadata = bad[i].addr;
		refused(EFAULT, "D12: HANDLE_RELEASE, metadata", bad[i].addr);
	}
	ok(b1_handle_gone(a, n2) && b1_drop(a, n2) == EBADRQC,
	   "D12: HANDLE_RELEASE comes, and the node is gone");
	ok(b1_empty(a), "both exactly once");

	b1_node_to(a, b, &h2);
	close(b);
	b = b1_open();
	cmd.ptr_metadata = 0;
	ok(receive() == EFAULT, "HANDLE_RELEASE, not delivered");
	close(a);
	ok(true, "closed with it queued");
}

static void test_edges(void)
{
	struct bus1_message *em = b1_edge(sizeof(*em));
	struct bus1_metadata *ed = b1_edge(sizeof(*ed));

	a = b1_open();
	node = b1_node_to(a, b, &handle);
	b1_gives(b, handle, "0123456789", handle);
	good();
	msg.n_transfers = 1;
	msg.ptr_transfers = BUS1_FROM_PTR(b1_edge(sizeof(*t)));
	msg.n_data = 10;
	vec[1] = (struct iovec){ b1_edge(6), 6 };
	*em = msg;
	cmd.ptr_message = BUS1_FROM_PTR(em);
	cmd.ptr_metadata = BUS1_FROM_PTR(ed);
	ok(receive() == 0 && em->n_data == 10 && em->n_transfers == 1 &&
		   ed->id == node && !memcmp(data, "0123", 4) &&
		   !memcmp(vec[1].iov_base, "456789", 6),
	   "everything at the end of its page is good");
	close(a);
}

int main(void)
{
	a = b1_open();
	b = b1_open();
	node = b1_node_to(a, b, &handle);
	test_room();
	test_clamp();
	test_arguments();
	test_pointers();
	test_notifications();
	test_edges();
	close(b);
	return done_testing();
}
