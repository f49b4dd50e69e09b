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
	close(b);
	ok(b1_handle_gone(a, node) && b1_empty(a), "closed");
	close(a);
	return done_testing();
}
