// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client written against the table of the interface alone: its own copies
 * of the structures, the numbers worked out by hand.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tap.h"

struct transfer {
	uint64_t flags, id;
};

struct metadata {
	uint64_t flags, id, account;
};

struct message {
	uint64_t flags, type, n_transfers, ptr_transfers, n_data, n_data_vecs,
		ptr_data_vecs;
};

struct cmd_transfer {
	uint64_t flags, to, n_transfers, ptr_src, ptr_dst;
};

struct cmd_release {
	uint64_t flags, n_ids, ptr_ids;
};

struct cmd_send {
	uint64_t flags, n_destinations, ptr_destinations, ptr_errors,
		ptr_message;
};

struct cmd_recv {
	uint64_t flags, ptr_metadata, ptr_message;
};

struct received {
	struct metadata metadata;
	struct message message;
};

struct cmd_features {
	uint64_t flags, features;
};

struct cmd_call {
	uint64_t flags, deadline, destination;
	struct message send;
	struct received received;
};

struct cmd_recv_batch {
	uint64_t flags, deadline, n_received, ptr_received;
};

/* read and write, size, magic, number */
#define CMD_TRANSFER 0xc0289700u
#define CMD_RELEASE 0xc0189701u
#define CMD_SEND 0xc0289702u
#define CMD_RECV 0xc0189703u

#define CMD_FEATURES 0xc0109781u
#define CMD_CALL 0xc0a09782u
#define CMD_RECV_BATCH 0xc0209783u

#define CREATE 1
#define WAIT 1
#define FLAT 1
#define INVALID (~(uint64_t)0)

static uint64_t ptr(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static struct metadata meta;
static struct message msg;
static struct transfer carried[4];
static char data[64];

static int receive(int peer)
{
	struct iovec vec = { data, sizeof(data) };
	struct cmd_recv cmd = { 0, ptr(&meta), ptr(&msg) };

	memset(&meta, 0x11, sizeof(meta));
	memset(carried, 0x11, sizeof(carried));
	msg = (struct message){ 0, INVALID,  4, ptr(carried), sizeof(data),
				1, ptr(&vec) };
	return ioctl(peer, CMD_RECV, &cmd);
}

static void test_layout(void)
{
	ok(sizeof(struct transfer) == 16 && sizeof(struct metadata) == 24 &&
		   sizeof(struct message) == 56 &&
		   sizeof(struct cmd_transfer) == 40 &&
		   sizeof(struct cmd_release) == 24 &&
		   sizeof(struct cmd_send) == 40 &&
		   sizeof(struct cmd_recv) == 24,
	   "the sizes are those of the table");
	ok(CMD_TRANSFER == _IOWR(0x97, 0, struct cmd_transfer) &&
		   CMD_RELEASE == _IOWR(0x97, 1, struct cmd_release) &&
		   CMD_SEND == _IOWR(0x97, 2, struct cmd_send) &&
		   CMD_RECV == _IOWR(0x97, 3, struct cmd_recv),
	   "the numbers are those of the table");
	ok(sizeof(struct received) == 80 && sizeof(struct cmd_features) == 16 &&
		   sizeof(struct cmd_call) == 160 &&
		   sizeof(struct cmd_recv_batch) == 32 &&
		   CMD_FEATURES == _IOWR(0x97, 0x81, struct cmd_features) &&
		   CMD_CALL == _IOWR(0x97, 0x82, struct cmd_call) &&
		   CMD_RECV_BATCH == _IOWR(0x97, 0x83, struct cmd_recv_batch),
	   "and of the extensions");
}

/* The extensions, each once. @a has @node, @b a handle to it. */
static void test_extensions(int a, int b, uint64_t node, uint64_t handle)
{
	struct cmd_features features = { 0, 0 };
	struct message question = { FLAT, 0, 0, 0, 8, 8, ptr("question") };
	struct cmd_send send = { 0, 1, ptr(&handle), 0, ptr(&question) };
	struct cmd_call call = { 0, 0, handle, question, { { 7, 7, 7 },
				 { FLAT, INVALID, 0, 0, 64, 64, ptr(data) } } };
	struct received got[3];
	struct cmd_recv_batch batch = { WAIT, 1, 3, ptr(got) };
	struct cmd_recv wait = { WAIT, ptr(&meta), ptr(&msg) };
	int i, r;

	ok(ioctl(a, CMD_FEATURES, &features) == 0 &&
		   (features.features & 0x1f) == 0x1f,
	   "FEATURES says five bits");
	ok(ioctl(b, CMD_SEND, &send) == 0, "FLAT to send");
	msg = (struct message){ FLAT, INVALID, 0, 0, 64, 64, ptr(data) };
	ok(ioctl(a, CMD_RECV, &wait) == 0 && msg.type == 0 &&
		   msg.n_data == 8 && msg.flags == FLAT &&
		   !memcmp(data, "question", 8) && meta.id == node,
	   "WAIT, and FLAT to receive");
	r = ioctl(b, CMD_CALL, &call);
	ok(r == ETIMEDOUT && call.received.metadata.id == 7,
	   "CALL with no answer: the errno is its value");
	for (i = 0; i < 3; i++)
		got[i] = (struct received){ { 7, 7, 7 },
			{ FLAT, INVALID, 0, 0, 20, 20, ptr(data + 20 * i) } };
	ok(ioctl(b, CMD_SEND, &send) == 0 &&
		   ioctl(a, CMD_RECV_BATCH, &batch) == 2,
	   "RECV_BATCH: the count is its value");
	ok(got[0].metadata.id == node && got[0].message.n_data == 8 &&
		   !memcmp(data, "question", 8) && got[1].metadata.id == node &&
		   got[1].message.type == 0 &&
		   !memcmp(data + 20, "question", 8) &&
		   got[2].metadata.id == 7 && got[2].message.type == INVALID,
	   "with two messages, and the third entry as it was");
	ok(ioctl(a, CMD_RECV_BATCH, &batch) == -1 && errno == EINVAL,
	   "an entry is set anew before it is used again");
	got[0].message.type = INVALID;
	ok(ioctl(a, CMD_RECV_BATCH, &batch) == -1 && errno == ETIMEDOUT,
	   "and ETIMEDOUT");
}

int main(void)
{
	int a = open("/dev/bus1", O_RDWR | O_CLOEXEC);
	int b = open("/dev/bus1", O_RDWR | O_CLOEXEC);
	struct transfer src[2] = { { CREATE, INVALID }, { CREATE, INVALID } };
	struct transfer dst[2] = { { 7, 7 }, { 7, 7 } };
	struct transfer reply = { CREATE, INVALID };
	struct iovec vec[2] = { { "ques", 4 }, { "tion and more", 13 } };
	struct message out = { 0, 0, 1, ptr(&reply), 8, 2, ptr(vec) };
	struct cmd_transfer transfer = { 0, b, 2, ptr(src), ptr(dst) };
	struct cmd_send send = { 0, 1, ptr(&dst[0].id), 0, ptr(&out) };
	struct cmd_release release = { 0, 1, ptr(&dst[1].id) };
	int32_t errors[2] = { 77, 77 };

	alarm(60);
	test_layout();
	if (!ok(a >= 0 && b >= 0, "two peers"))
		bail_out("cannot open /dev/bus1");

	ok(ioctl(a, CMD_TRANSFER, &transfer) == 0, "TRANSFER returns 0");
	ok(!src[0].flags && (src[0].id & 1) && !src[1].flags &&
		   (src[1].id & 1) && src[0].id != src[1].id,
	   "it made two nodes");
	ok(!dst[0].flags && (dst[0].id & 1) && !dst[1].flags &&
		   (dst[1].id & 1) && dst[0].id != dst[1].id,
	   "and two handles");

	send.ptr_errors = ptr(errors);
	ok(ioctl(b, CMD_SEND, &send) == 0, "SEND returns 0");
	ok(errors[0] == 0 && errors[1] == 77, "one error of 32 bits");
	ok(!reply.flags && (reply.id & 1), "it made the node for the reply");

	ok(receive(a) == 0, "RECV returns 0");
	ok(msg.type == 0 && msg.flags == 0 && msg.n_data == 8 &&
		   msg.n_data_vecs == 1 && !memcmp(data, "question", 8),
	   "the first n_data bytes of the iovecs");
	ok(meta.flags == 0 && meta.id == src[0].id && meta.account == geteuid(),
	   "at the node, from this user");
	ok(msg.n_transfers == 1 && carried[0].flags == 0 &&
		   (carried[0].id & 1) && carried[1].id == 0x1111111111111111,
	   "with one handle");

	out = (struct message){ 0, 0, 0, 0, 4, 1, ptr(vec) };
	send = (struct cmd_send){ 0, 1, ptr(&carried[0].id), 0, ptr(&out) };
	ok(ioctl(a, CMD_SEND, &send) == 0, "the reply is sent");
	ok(receive(b) == 0 && meta.id == reply.id && msg.n_data == 4 &&
		   !memcmp(data, "ques", 4),
	   "and received at the reply's node");

	test_extensions(a, b, src[0].id, dst[0].id);

	ok(ioctl(b, CMD_RELEASE, &release) == 0, "RELEASE returns 0");
	ok(receive(a) == 0 && msg.type == 2 && meta.id == src[1].id &&
		   meta.account == INVALID && !msg.n_data && !msg.n_transfers,
	   "HANDLE_RELEASE, type 2");
	release.ptr_ids = ptr(&src[0].id);
	ok(ioctl(a, CMD_RELEASE, &release) == 0 && receive(b) == 0 &&
		   msg.type == 1 && meta.id == dst[0].id &&
		   meta.account == INVALID,
	   "NODE_RELEASE, type 1");
	ok(receive(b) == -1 && errno == EAGAIN, "then EAGAIN");
	ok(receive(a) == -1 && errno == EAGAIN, "on both");
	close(a);
	ok(receive(b) == 0 && msg.type == 2 && meta.id == reply.id,
	   "closing drops the handles");
	close(b);
	return done_testing();
}
