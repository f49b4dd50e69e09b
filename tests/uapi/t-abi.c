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

/* read and write, size, magic, number */
#define CMD_TRANSFER 0xc0289700u
#define CMD_RELEASE 0xc0189701u
#define CMD_SEND 0xc0289702u
#define CMD_RECV 0xc0189703u

#define CREATE 1
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
