// SPDX-License-Identifier: GPL-2.0-only
/* A 32-bit caller: the same structures; only struct iovec is its own. */
#include "b1.h"

#define HIGH (1ull << 32)

static int a, b;
static uint64_t node, handle;

static void test_commands(void)
{
	struct bus1_transfer t[2] = {
		{ BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID },
		{ 0, handle },
	};
	struct iovec vec[3] = { { "32 ", 3 }, { NULL, 0 }, { "bits+", 5 } };
	struct bus1_message msg = {
		.n_transfers = 2,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = 7,
		.n_data_vecs = 3,
		.ptr_data_vecs = BUS1_FROM_PTR(vec),
	};
	int32_t errors[2] = { 77, 77 };
	struct b1_msg m;

	ok(sizeof(void *) == 4 && sizeof(struct iovec) == 8,
	   "this is a 32-bit program");
	ok(sizeof(struct bus1_message) == 56 &&
		   sizeof(struct bus1_cmd_transfer) == 40 &&
		   sizeof(struct bus1_cmd_send) == 40,
	   "D29: the sizes are the same");
	ok(b1_send_msg(b, 1, &handle, errors, &msg) == 0 && !errors[0] &&
		   errors[1] == 77,
	   "SEND with iovecs of 32 bits");
	ok(b1_hears_msg(a, node, "32 bits", 7, 2, &m),
	   "RECV with iovecs of 32 bits");
	ok(b1_says(a, m.t[0].id, "reply") == 0 && b1_hears(b, t[0].id, "reply"),
	   "the node made in the SEND");
	ok(b1_release(a, 2, (uint64_t[]){ m.t[0].id, m.t[1].id }) == 0 &&
		   b1_handle_gone(b, t[0].id) && b1_empty(a) && b1_empty(b),
	   "RELEASE and its notification");
	ok(b1_says(b, handle, "0123456789") == 0 &&
		   b1_recv_room(a, &m, 0, 9) == EMSGSIZE &&
		   m.msg.n_data == 10 && b1_hears(a, node, "0123456789"),
	   "EMSGSIZE and its sizes");
}

static void test_pointers(void)
{
	struct bus1_transfer src[2] = { { 0, handle }, { 0, handle } }, dst[2];
	struct iovec vec = { (char[8]){ "data" }, 8 };
	struct bus1_message msg = {
		.n_transfers = 1, .ptr_transfers = BUS1_FROM_PTR(src),
		.n_data = 8, .n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	}, good = msg;
	struct bus1_metadata meta;
	int32_t errors[2];
	struct bus1_cmd_transfer tr = {
		.to = b,
		.n_transfers = 1,
		.ptr_src = BUS1_FROM_PTR(src) | HIGH,
		.ptr_dst = BUS1_FROM_PTR(dst),
	};
	struct bus1_cmd_release re = {
		.n_ids = 1,
		.ptr_ids = BUS1_FROM_PTR(&handle) | HIGH,
	};
	struct bus1_cmd_send se = {
		.n_destinations = 1,
		.ptr_destinations = BUS1_FROM_PTR(&handle) | HIGH,
		.ptr_message = BUS1_FROM_PTR(&msg),
	};
	struct bus1_cmd_recv rv = {
		.ptr_metadata = BUS1_FROM_PTR(&meta) | HIGH,
		.ptr_message = BUS1_FROM_PTR(&msg),
	};
	struct bus1_cmd_name nm = { 0, 4, BUS1_FROM_PTR("name") | HIGH };

	b1_watch(a, b);
#define FAULT(_fd, _nr, _cmd, _what)                                \
	b1_refused(b1_cmd(_fd, _nr, &(_cmd), sizeof(_cmd)), EFAULT, \
		   "beyond 4 GiB: " _what)
	FAULT(b, BUS1_CMD_TRANSFER, tr, "ptr_src");
	tr.ptr_src = BUS1_FROM_PTR(src);
	tr.ptr_dst |= HIGH;
	FAULT(b, BUS1_CMD_TRANSFER, tr, "ptr_dst");
	FAULT(b, BUS1_CMD_RELEASE, re, "ptr_ids");
	re.ptr_ids = BUS1_FROM_PTR(&handle) | 1ull << 63;
	FAULT(b, BUS1_CMD_RELEASE, re, "ptr_ids, the highest bit");
	FAULT(b, BUS1_CMD_SEND, se, "ptr_destinations");
	se.ptr_destinations = BUS1_FROM_PTR(&handle);
	se.ptr_errors = BUS1_FROM_PTR(errors) | HIGH;
	FAULT(b, BUS1_CMD_SEND, se, "ptr_errors");
	se.ptr_errors = 0;
	se.ptr_message |= HIGH;
	FAULT(b, BUS1_CMD_SEND, se, "ptr_message");
	se.ptr_message = BUS1_FROM_PTR(&msg);
	msg.ptr_transfers |= HIGH;
	FAULT(b, BUS1_CMD_SEND, se, "ptr_transfers");
	msg = good;
	msg.ptr_data_vecs |= HIGH;
	FAULT(b, BUS1_CMD_SEND, se, "ptr_data_vecs");
	msg = good;
	ok(b1_cmd(b, BUS1_CMD_SEND, &se, sizeof(se)) == 0, "and none: sent");

	b1_watch(a, b);
	msg.type = BUS1_INVALID;
	FAULT(a, BUS1_CMD_RECV, rv, "ptr_metadata");
	rv.ptr_metadata = BUS1_FROM_PTR(&meta);
	rv.ptr_message |= HIGH;
	FAULT(a, BUS1_CMD_RECV, rv, "ptr_message");
	rv.ptr_message = BUS1_FROM_PTR(&msg);
	msg = good;
	msg.type = BUS1_INVALID;
	msg.ptr_transfers |= HIGH;
	FAULT(a, BUS1_CMD_RECV, rv, "ptr_transfers");
	msg = good;
	msg.type = BUS1_INVALID;
	msg.ptr_data_vecs |= HIGH;
	FAULT(a, BUS1_CMD_RECV, rv, "ptr_data_vecs");
	msg = good;
	msg.type = BUS1_INVALID;
	msg.ptr_transfers = BUS1_FROM_PTR(dst);
	ok(b1_ioctl(a, BUS1_CMD_RECV, &rv) == 0 && msg.n_transfers == 1 &&
		   b1_drop(a, dst[0].id) == 0,
	   "and none: received");

	b1_watch(a, b);
	FAULT(a, BUS1_CMD_NAME, nm, "ptr_name");
	nm.ptr_name = 0xfffffffe;
	FAULT(a, BUS1_CMD_NAME, nm, "the end of ptr_name");
	nm.ptr_name = HIGH;
	nm.n_name = 0;
	ok(b1_cmd(a, BUS1_CMD_NAME, &nm, sizeof(nm)) == 0,
	   "of no name ptr_name is not looked at");
	nm.ptr_name = BUS1_FROM_PTR("name");
	nm.n_name = HIGH + 4;
	b1_refused(b1_cmd(a, BUS1_CMD_NAME, &nm, sizeof(nm)), EMSGSIZE,
		   "n_name that is 4 in 32 bits");
	nm.n_name = 4;
	ok(b1_cmd(a, BUS1_CMD_NAME, &nm, sizeof(nm)) == 0, "and none: named");

	tr.ptr_src = 0xfffffff8;
	tr.ptr_dst = BUS1_FROM_PTR(dst);
	FAULT(b, BUS1_CMD_TRANSFER, tr, "the end of ptr_src");
	re.ptr_ids = 0xffffff00;
	re.n_ids = 65536;
	FAULT(b, BUS1_CMD_RELEASE, re, "the end of ptr_ids");
	re.n_ids = HIGH + 1;
	re.ptr_ids = BUS1_FROM_PTR(&handle);
	b1_refused(b1_cmd(b, BUS1_CMD_RELEASE, &re, sizeof(re)), EMSGSIZE,
		   "a count that is 1 in 32 bits");
}

/* The extensions, by iovecs of 32 bits and flat. */
static void test_extensions(void)
{
	struct bus1_cmd_features features = { 0, 0 };
	uint64_t hb, nb = b1_node_to(b, a, &hb), got;
	struct iovec vec = { "question", 8 };
	struct bus1_message msg[2] = {
		{
			.n_data = 8,
			.n_data_vecs = 1,
			.ptr_data_vecs = BUS1_FROM_PTR(&vec),
		},
		b1_flat("question", 8),
	};
	struct b1_msg m[3];
	unsigned int way;

	ok(b1_ioctl(a, BUS1_CMD_FEATURES, &features) == 0 &&
		   (features.features & 0x1f) == 0x1f,
	   "FEATURES");
	for (way = 0; way < 4; way++) {
		b1_room(&m[0], 4, 64, way & 2);
		ok(b1_call_msg(b, handle, 0, &msg[way & 1], &m[0]) ==
				   B1_SENT(ETIMEDOUT) &&
			   b1_hears(a, node, "question"),
		   "CALL, way %u, without an answer: ETIMEDOUT", way);
		b1_says(a, hb, "answer");
		b1_room(&m[0], 4, 64, way & 2);
		ok(b1_call_msg(b, handle, b1_now() + 10000000000ull,
			       &msg[way & 1], &m[0]) == 0 &&
			   m[0].meta.id == nb && m[0].msg.n_data == 6 &&
			   !memcmp(m[0].data, "answer", 6),
		   "and with one");
		b1_room(&m[0], 4, 64, way & 2);
		ok(b1_recv_into(a, BUS1_RECV_FLAG_WAIT, &m[0]) == 0 &&
			   m[0].msg.n_data == 8 &&
			   !memcmp(m[0].data, "question", 8),
		   "RECV with WAIT");
	}
	b1_says(b, handle, "1");
	b1_says(b, handle, "2");
	for (way = 0; way < 3; way++)
		b1_room(&m[way], 4, 64, way & 1);
	ok(b1_batch(a, BUS1_RECV_FLAG_WAIT, BUS1_INVALID, m, 3, &got) == 0 &&
		   got == 2 && m[0].data[0] == '1' && m[1].data[0] == '2',
	   "RECV_BATCH");
	b1_room(&m[0], 4, 64, false);
	ok(b1_batch(a, BUS1_RECV_FLAG_WAIT, b1_now() + 1000000, m, 1, &got) ==
		   ETIMEDOUT,
	   "and its deadline of 64 bits");
	b1_drop(b, nb);
	b1_node_gone(a, hb);
}

static void test_extension_pointers(void)
{
	struct bus1_metadata meta;
	struct bus1_cmd_call call = { .destination = handle }, good;
	struct bus1_received one = { .message.type = BUS1_INVALID };
	struct bus1_cmd_recv_batch batch = {
		.n_received = 1,
		.ptr_received = BUS1_FROM_PTR(&one) | HIGH,
	};
	struct bus1_message out = b1_flat("data", 4), in;
	struct bus1_cmd_recv rv = {
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&in),
	};
	char data[8];
	struct iovec vec = { data, 8 };

	call.send = out;
	call.received.message = (struct bus1_message){
		.type = BUS1_INVALID,
		.n_data = 8,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	good = call;
	b1_watch(a, b);
	out.ptr_data_vecs |= HIGH;
	b1_refused(b1_send_msg(b, 1, &handle, NULL, &out), EFAULT,
		   "beyond 4 GiB: flat data to send");
	out.ptr_data_vecs = 0xfffffffe;
	b1_refused(b1_send_msg(b, 1, &handle, NULL, &out), EFAULT,
		   "the end of flat data to send");
	out.ptr_data_vecs = BUS1_FROM_PTR(data);
	out.n_data_vecs = 0x80000000;
	b1_refused(b1_send_msg(b, 1, &handle, NULL, &out), EINVAL,
		   "flat data longer than SSIZE_MAX of 32 bits");
	out.n_data_vecs = HIGH + 4;
	b1_refused(b1_send_msg(b, 1, &handle, NULL, &out), EINVAL,
		   "a size that is 4 in 32 bits");
	call.send.ptr_data_vecs |= HIGH;
	FAULT(b, BUS1_CMD_CALL, call, "CALL, flat data to send");
	call = good;
	call.received.message.ptr_data_vecs |= HIGH;
	FAULT(b, BUS1_CMD_CALL, call, "CALL, iovecs of the room");
	call = good;
	call.send.n_transfers = 1;
	call.send.ptr_transfers = BUS1_FROM_PTR(&vec) | HIGH;
	FAULT(b, BUS1_CMD_CALL, call, "CALL, transfers to send");

	b1_says(b, handle, "stays");
	b1_watch(a, b);
	FAULT(a, BUS1_CMD_RECV_BATCH, batch, "RECV_BATCH, ptr_received");
	batch.ptr_received = 0xffffffff - sizeof(one) / 2;
	FAULT(a, BUS1_CMD_RECV_BATCH, batch, "the end of ptr_received");
	in = (struct bus1_message){
		.flags = BUS1_MESSAGE_FLAG_FLAT,
		.type = BUS1_INVALID,
		.n_data = 8,
		.n_data_vecs = 8,
		.ptr_data_vecs = BUS1_FROM_PTR(data) | HIGH,
	};
	FAULT(a, BUS1_CMD_RECV, rv, "RECV, flat data");
	one.message = in;
	batch.ptr_received = BUS1_FROM_PTR(&one);
	FAULT(a, BUS1_CMD_RECV_BATCH, batch, "RECV_BATCH, flat data");
	ok(b1_hears(a, node, "stays") && b1_empty(a), "the message stayed");
}

static void test_iovecs(void)
{
	struct iovec vec[2] = { { "01234567", 8 }, { "x", 1 } };
	struct bus1_message msg = {
		.n_data = 4,
		.n_data_vecs = 2,
		.ptr_data_vecs = BUS1_FROM_PTR(vec),
	};

	b1_watch(a, b);
	vec[1].iov_len = 0x80000000;
	b1_refused(b1_send_msg(b, 1, &handle, NULL, &msg), EINVAL,
		   "a length above SSIZE_MAX of 32 bits");
	vec[1].iov_len = 0xffffffff;
	b1_refused(b1_send_msg(b, 1, &handle, NULL, &msg), EINVAL,
		   "a length of -1");
	vec[1].iov_len = 1;
	msg.n_data = HIGH + 4;
	b1_refused(b1_send_msg(b, 1, &handle, NULL, &msg), EMSGSIZE,
		   "n_data that is 4 in 32 bits");
	msg.n_data = 4;
	msg.n_data_vecs = HIGH + 1;
	b1_refused(b1_send_msg(b, 1, &handle, NULL, &msg), EMSGSIZE,
		   "n_data_vecs that are 1 in 32 bits");
	msg.n_data_vecs = 2;
	vec[0] = (struct iovec){ (void *)0xfffffff0, 64 };
	b1_refused(b1_send_msg(b, 1, &handle, NULL, &msg), EFAULT,
		   "an iovec that ends beyond 4 GiB");
	vec[0] = (struct iovec){ "01234567", 8 };
	ok(b1_send_msg(b, 1, &handle, NULL, &msg) == 0 &&
		   b1_hears(a, node, "0123"),
	   "a good one");
}

int main(void)
{
	if (sizeof(void *) != 4) {
		skip(1, "not compiled for 32 bits");
		return done_testing();
	}
	a = b1_open();
	b = b1_open();
	node = b1_node_to(a, b, &handle);
	test_commands();
	test_pointers();
	test_iovecs();
	test_extensions();
	test_extension_pointers();
	close(b);
	ok(b1_handle_gone(a, node) && b1_empty(a), "closed");
	close(a);
	return done_testing();
}
