// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is pinned is charged: also that of a message whose node is gone
 * while somebody stalls in user memory, and that of calls under way.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "quota.h"
#include "stall.h"

#define OWNER 8001
#define COPIES 500
#define SIZE 10000

static int a, b;
static uint64_t node, to, many[COPIES];

/* Of one user, so that all is in one account. */
static void begin(void)
{
	int i;

	a = open_as(OWNER);
	b = open_as(OWNER);
	node = b1_node_to(a, b, &to);
	for (i = 0; i < COPIES; i++)
		many[i] = to;
}

static void end(void)
{
	close(a);
	close(b);
	ok(quota_nothing(), "nothing is claimed in the end");
}

static uint64_t claimed(const char *resource)
{
	return quota_trace(OWNER, OWNER, QUOTA_ANY, resource);
}

struct sender {
	pthread_t thread;
	uint64_t n;
	void *errors;
	void *data;
	size_t bytes;
	uint64_t n_t; /* copies of the handle itself */
	int result;
};

static void *run_send(void *arg)
{
	struct sender *s = arg;
	struct iovec vec = { s->data, s->bytes };
	struct bus1_transfer t[3] = { { 0, to }, { 0, to }, { 0, to } };
	struct bus1_message msg = {
		.n_transfers = s->n_t,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = s->bytes,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_send cmd = {
		.n_destinations = s->n,
		.ptr_destinations = BUS1_FROM_PTR(many),
		.ptr_errors = BUS1_FROM_PTR(s->errors),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	s->result = b1_ioctl(b, BUS1_CMD_SEND, &cmd);
	return NULL;
}

/* It comes too late, and lies in the queue until the owner looks. */
static void test_late(void)
{
	struct sender s = { .n = COPIES, .n_t = 3 };

	begin();
	s.errors = stall_page();
	pthread_create(&s.thread, NULL, run_send, &s);
	ok(stalled() && claimed("objects") == 4 + 4 * COPIES,
	   "a SEND that stalls is charged");
	b1_drop(a, node);
	provide(s.errors);
	pthread_join(s.thread, NULL);
	/* Two peers and the handle; the node is dead. */
	ok(!s.result && claimed("objects") == 3 + 4 * COPIES,
	   "too late for its node: what lies in the queue is still charged");
	ok(b1_empty(a) && claimed("objects") == 3,
	   "until the owner looks at his queue");
	munmap(s.errors, stall_size);
	end();
}

static void *run_recv(void *where)
{
	struct bus1_metadata meta;
	struct iovec vec = { where, stall_size };
	struct bus1_message msg = {
		.type = BUS1_INVALID,
		.n_data = stall_size,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	return (void *)(intptr_t)b1_ioctl(a, BUS1_CMD_RECV, &cmd);
}

/* The RECV that copies a payload keeps it, also if the message is discarded. */
static void test_recv(void)
{
	char *page = stall_page();
	pthread_t thread;
	void *result;

	begin();
	quota_send(b, 0, 1, &to, NULL, 1000, NULL, 0);
	pthread_create(&thread, NULL, run_recv, page);
	ok(stalled() && claimed("bytes") == 1000 && claimed("objects") == 5,
	   "a RECV stalls");
	b1_drop(a, node);
	ok(claimed("bytes") == 1000 && claimed("objects") == 4,
	   "its message is discarded: what it copies is still charged");
	provide(page);
	pthread_join(thread, &result);
	ok((intptr_t)result == EAGAIN && !claimed("bytes") &&
		   claimed("objects") == 3,
	   "until it has ended");
	munmap(page, stall_size);
	end();
}

/* Nothing is copied that nobody pays for. */
static void test_copy(void)
{
	struct sender s = { .n = 2, .bytes = 1000 };

	begin();
	s.data = stall_page();
	pthread_create(&s.thread, NULL, run_send, &s);
	ok(stalled() && claimed("bytes") == 2000 && claimed("objects") == 6,
	   "a SEND that stalls in its data is charged");
	provide(s.data);
	pthread_join(s.thread, NULL);
	ok(!s.result && claimed("bytes") == 2000, "and goes on");
	munmap(s.data, stall_size);

	s.n = 1;
	s.data = (void *)8;
	s.bytes = SIZE;
	run_send(&s);
	ok(s.result == EDQUOT, "too much: refused before the data is looked at");
	s.bytes = 1;
	run_send(&s);
	ok(s.result == EFAULT && claimed("bytes") == 2000 &&
		   claimed("objects") == 6,
	   "little: charged, found missing, given back");
	s.n = 0;
	run_send(&s);
	ok(!s.result, "to nobody: not looked at");
	end();
}

/* An unknown ID will not get better, so it is named before the quota. */
static void test_first(void)
{
	struct bus1_transfer t[2] = {
		{ BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID },
		{ 0, 999999 },
	};
	uint64_t bad[2] = { to, 999999 };

	begin();
	ok(quota_send(b, 0, 2, bad, NULL, SIZE, NULL, 0) == EBADRQC &&
		   quota_send(b, 0, 1, &to, NULL, SIZE, t, 2) == EBADRQC &&
		   quota_send(b, 0, 1, &to, NULL, SIZE, t, 1) == EDQUOT,
	   "EBADRQC comes before EDQUOT");
	end();
}

/*
 * Released together with their node by another peer, in a race: a notification
 * on its way keeps them, and is paid for until their owner looks.
 */
static void *run_release(void *node_ids)
{
	b1_release(a, 64, node_ids);
	return NULL;
}

static void test_race(void)
{
	static struct bus1_transfer src[64], dst[64];
	uint64_t ids[64], handles[64];
	unsigned int i, round, odd = 0;
	pthread_t thread;

	for (round = 0; round < 200; round++) {
		begin();
		b1_drop(b, to);
		b1_handle_gone(a, node);
		for (i = 0; i < 64; i++)
			src[i] = (struct bus1_transfer){
				BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID
			};
		if (b1_transfer(a, b, 64, src, dst))
			bail_out("cannot make nodes");
		for (i = 0; i < 64; i++) {
			ids[i] = src[i].id;
			handles[i] = dst[i].id;
		}
		pthread_create(&thread, NULL, run_release, ids);
		b1_release(b, 64, handles);
		pthread_join(thread, NULL);
		/* Both look; whatever was on its way is dropped. */
		b1_empty(a);
		b1_empty(b);
		odd += claimed("objects") != 2;
		close(a);
		close(b);
	}
	ok(!odd && quota_nothing(),
	   "nodes and handles released at once: nothing stays charged");
}

int main(void)
{
	if (!quota_begin())
		return done_testing();
	quota_set_maxima(10000, SIZE);
	test_first();
	test_race();
	if (!stall_begin()) {
		skip(1, "no userfaultfd: %s", strerror(errno));
		return done_testing();
	}
	test_late();
	test_recv();
	test_copy();
	return done_testing();
}
