// SPDX-License-Identifier: GPL-2.0-only
/* Two calls at the same time, again and again: only allowed outcomes. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "b1.h"

static int a, b, c, d;
static uint64_t node, handle, h2, n2, other_handle;

/* --- a second thread that does one thing at the same time --------------- */

static _Atomic unsigned int posted, finished;
static int (*other_fn)(void);
static int other_result;
static unsigned int seed = 1;
/* The slower of the two gets a start of so much. */
static unsigned int here_waits;

static void wait_for(_Atomic unsigned int *v, unsigned int want)
{
	unsigned int spins = 0;

	/* Sleeping lets an emulated processor's host run the other one. */
	while (atomic_load(v) != want)
		if (++spins > 500)
			usleep(10);
}

/* Each of the two on a processor of its own, where there are two. */
static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void delay(unsigned int n)
{
	while (n--)
		atomic_signal_fence(memory_order_seq_cst);
}

static void *other_thread(void *arg)
{
	unsigned int turn, mine = 7;

	(void)arg;
	pin(1);
	for (turn = 1;; turn++) {
		wait_for(&posted, turn);
		if (!other_fn)
			return NULL;
		delay(rand_r(&mine) % 2000);
		other_result = other_fn();
		atomic_store(&finished, turn);
	}
}

/* As many rounds as asked for, but only one second of them. */
static bool enough(unsigned int i, unsigned int rounds)
{
	static uint64_t until;

	if (i == 0)
		until = b1_now() + 1000000000ull;
	return i && (i >= rounds || b1_now() > until);
}

/* Run @here in this thread and @there in the other; the results of both. */
static int race(int (*here)(void), int (*there)(void), int *result)
{
	unsigned int turn = atomic_load(&posted) + 1;
	int r;

	other_fn = there;
	atomic_store(&posted, turn);
	delay(rand_r(&seed) % 2000 + here_waits);
	r = here();
	wait_for(&finished, turn);
	*result = other_result;
	return r;
}

static int drop_handle(void)
{
	return b1_drop(b, handle);
}

static int drop_node(void)
{
	return b1_drop(a, node);
}

static int close_a(void)
{
	return close(a);
}

static int drop_both(void)
{
	return b1_release(b, 2, (uint64_t[]){ handle, h2 });
}

static int drop_both_reversed(void)
{
	return b1_release(b, 2, (uint64_t[]){ h2, handle });
}

static struct b1_msg got;

static int recv_a(void)
{
	return b1_recv(a, &got);
}

static int recv_b(void)
{
	return b1_recv(b, &got);
}

/* Send by the handle until it is gone; how many were sent. */
static int send_until_gone(void)
{
	int n = 0;

	while (n < 1000 && b1_send(b, handle, &n, sizeof(n)) == 0)
		n++;
	return n;
}

/* Copy the handle into c three times, and send it to d's node by h2. */
static int copy_around(void)
{
	struct bus1_transfer src[3] = { { 0, handle },
					{ 0, handle },
					{ 0, handle } },
			     dst[3];
	int r = b1_transfer(b, c, 2, src, dst);

	r = r ? r : b1_gives(b, h2, "one", handle);
	r = r ? r : b1_transfer(b, c, 1, src, dst);
	return r ? r : b1_multicast(b, 1, &h2, NULL, "two", 3, src, 2);
}

/* Twenty messages, each with two handles to n2, half of them to d. */
static int send_many(void)
{
	struct bus1_transfer t[2] = { { 0, h2 }, { 0, h2 } };
	uint64_t to[20];
	int i;

	for (i = 0; i < 20; i++)
		to[i] = i % 2 ? other_handle : handle;
	return b1_multicast(b, 20, to, NULL, "late", 4, t, 2);
}

static void test_double_release(unsigned int rounds)
{
	unsigned int i, good = 0;
	int r, s;

	a = b1_open();
	b = b1_open();
	for (i = 0; !enough(i, rounds); i++) {
		node = b1_node_to(a, b, &handle);
		n2 = b1_node_to(a, b, &h2);
		r = race(drop_handle, drop_handle, &s);
		good += r + s == EBADRQC && b1_handle_gone(a, node);
		node = b1_node_to(a, b, &handle);
		r = race(drop_both, drop_both_reversed, &s);
		good += r + s == EBADRQC && !b1_has_handle(b, handle) &&
			!b1_has_handle(b, h2);
		r = b1_recv(a, &got);
		s = b1_recv(a, &got);
		good += !r && !s && b1_empty(a);
		node = b1_node_to(a, b, &handle);
		r = race(drop_node, drop_node, &s);
		good += r + s == EBADRQC && b1_node_gone(b, handle) &&
			b1_empty(b);
	}
	ok(good == 4 * i, "D05: two threads release the same: one wins (%u)",
	   good);
	close(a);
	close(b);
}

/* The node and its last handle are released at the same time. */
static void test_both_ends(unsigned int rounds)
{
	unsigned int i, good = 0;
	int r, s;

	a = b1_open();
	b = b1_open();
	for (i = 0; !enough(i, rounds); i++) {
		node = b1_node_to(a, b, &handle);
		r = race(drop_handle, drop_node, &s);
		good += !r && !s && b1_empty(a) && b1_empty(b);
	}
	ok(good == i && !b1_count(a, "bus1-nodes") &&
		   !b1_count(b, "bus1-handles"),
	   "D16: node and handle released at once: nobody hears (%u)", good);
	close(a);
	close(b);
}

static void test_send_release(unsigned int rounds)
{
	unsigned int i, good = 0, sent = 0;
	int k, r, s;

	a = b1_open();
	b = b1_open();
	for (i = 0; !enough(i, rounds); i++) {
		node = b1_node_to(a, b, &handle);
		here_waits = i % 50 * 400;
		r = race(drop_handle, send_until_gone, &s);
		for (k = 0; k < s; k++)
			if (!b1_hears_msg(a, node, &k, sizeof(k), 0, &got))
				break;
		good += !r && k == s && b1_handle_gone(a, node) && b1_empty(a);
		sent += s;
	}
	ok(good == i,
	   "no message after HANDLE_RELEASE, none lost (%u, %u messages)", good,
	   sent);
	here_waits = 0;
	for (i = 0, good = 0; !enough(i, rounds / 10); i++) {
		node = b1_node_to(a, b, &handle);
		/* b hears of it only by RECV: all thousand are sent. */
		r = race(drop_node, send_until_gone, &s);
		good += !r && s == 1000 && b1_empty(a) &&
			b1_node_gone(b, handle) && b1_empty(b) &&
			b1_count(a, "bus1-queued-bytes") == 0;
	}
	ok(good == i, "sending to a node that is released: all discarded (%u)",
	   good);
	close(a);
	close(b);
}

/* A node dies after a message for it is made, before it is published. */
static void test_late_message(unsigned int rounds)
{
	unsigned int i, k, good = 0;
	uint64_t dn;
	int r, s;

	a = b1_open();
	b = b1_open();
	c = b1_open();
	d = b1_open();
	dn = b1_node_to(d, b, &other_handle);
	for (i = 0; !enough(i, rounds); i++) {
		node = b1_node_to(a, b, &handle);
		n2 = b1_node_to(c, b, &h2);
		here_waits = i % 50 * 400;
		r = race(drop_node, send_many, &s);
		good += !r && !s && b1_drop(b, h2) == 0 &&
			b1_node_gone(b, handle) && b1_empty(b);
		for (k = 0; k < 10; k++)
			if (!b1_hears_msg(d, dn, "late", 4, 2, &got) ||
			    b1_release(d, 2, (uint64_t[]){ got.t[0].id,
							   got.t[1].id }))
				break;
		good += k == 10 && b1_empty(d) && b1_empty(a);
		good += b1_handle_gone(c, n2) && b1_empty(c);
	}
	here_waits = 0;
	ok(good == 3 * i && !b1_count(a, "bus1-queued-bytes"),
	   "D11, D15: messages on their way to a node that is released (%u)",
	   good);
	close(a);
	close(b);
	close(c);
	close(d);
}

/* Each handle copied while its node dies hears of it, after its message. */
static void test_copy_release(unsigned int rounds, bool by_close)
{
	unsigned int i, good = 0, k;
	uint64_t dn;
	int r, s;

	b = b1_open();
	c = b1_open();
	d = b1_open();
	dn = b1_node_to(d, b, &h2);
	if (!by_close)
		a = b1_open();
	for (i = 0; !enough(i, rounds); i++) {
		if (by_close)
			a = b1_open();
		node = b1_node_to(a, b, &handle);
		r = race(by_close ? close_a : drop_node, copy_around, &s);
		good += !r && !s;
		good += b1_node_gone(b, handle) && b1_empty(b);
		for (k = 0; k < 3 && !b1_recv(c, &got); k++)
			if (got.msg.type != BUS1_MESSAGE_TYPE_NODE_RELEASE)
				break;
		good += k == 3 && b1_empty(c) && !b1_count(c, "bus1-handles");
		good += b1_hears_msg(d, dn, "one", 3, 1, &got) &&
			b1_node_gone(d, got.t[0].id);
		good += b1_hears_msg(d, dn, "two", 3, 2, &got) &&
			!b1_recv(d, &got) && got.msg.type == 1 &&
			!b1_recv(d, &got) && got.msg.type == 1 && b1_empty(d);
	}
	ok(good == 5 * i && !b1_count(d, "bus1-handles"),
	   "D09, D10: handles copied while their node %s (%u)",
	   by_close ? "closes" : "is released", good);
	if (!by_close)
		close(a);
	close(b);
	close(c);
	close(d);
}

/* A notification is received, or what it is about released: not both. */
static void test_recv_release(unsigned int rounds)
{
	unsigned int i, good = 0, received = 0;
	int r, s;

	a = b1_open();
	b = b1_open();
	b1_racing = true;
	for (i = 0; !enough(i, rounds); i++) {
		here_waits = i % 50 * 120;
		node = b1_node_to(a, b, &handle);
		b1_drop(a, node);
		r = race(drop_handle, recv_b, &s);
		good += (r == EBADRQC && !s && got.meta.id == handle &&
			 got.msg.type == BUS1_MESSAGE_TYPE_NODE_RELEASE) ||
			(!r && s == EAGAIN);
		received += !s;
		good += b1_empty(b) && !b1_has_handle(b, handle);
		node = b1_node_to(a, b, &handle);
		b1_drop(b, handle);
		r = race(drop_node, recv_a, &s);
		good += (r == EBADRQC && !s && got.meta.id == node &&
			 got.msg.type == BUS1_MESSAGE_TYPE_HANDLE_RELEASE) ||
			(!r && s == EAGAIN);
		received += !s;
		good += b1_empty(a) && !b1_count(a, "bus1-nodes");
		node = b1_node_to(a, b, &handle);
		b1_gives(b, handle, "x", handle);
		r = race(drop_node, recv_a, &s);
		good += !r && ((!s && got.msg.n_transfers == 1 &&
				b1_node_gone(a, got.t[0].id)) ||
			       s == EAGAIN);
		received += !s;
		good += b1_empty(a) && b1_node_gone(b, handle) && b1_empty(b);
	}
	b1_racing = false;
	here_waits = 0;
	ok(good == 6 * i,
	   "D12, D16: received or released, never both (%u, %u received)", good,
	   received);
	close(a);
	close(b);
}

/* --- what a thread was told of must be there -------------------------------
 */

#define TOLD 3000
static _Atomic unsigned int told, heard;
static uint64_t targets[2];

static void *teller(void *arg)
{
	struct bus1_transfer t = { 0, h2 };
	int i;

	(void)arg;
	pin(1);
	for (i = 1; i <= TOLD; i++) {
		wait_for(&heard, i - 1);
		switch (i % 3) {
		case 0:
			b1_send(b, targets[0], &i, sizeof(i));
			break;
		case 1:
			b1_multicast(b, 2, targets, NULL, &i, sizeof(i), NULL,
				     0);
			break;
		default:
			b1_multicast(b, 1, targets, NULL, &i, sizeof(i), &t, 1);
		}
		atomic_store(&told, i);
	}
	return NULL;
}

static void test_visible(void)
{
	int i, miss = 0;
	pthread_t thread;

	a = b1_open();
	b = b1_open();
	c = b1_open();
	b1_node_to(a, b, &targets[0]);
	b1_node_to(c, b, &targets[1]);
	h2 = targets[1];
	atomic_store(&heard, 0);
	atomic_store(&told, 0);
	pthread_create(&thread, NULL, teller, NULL);
	for (i = 1; i <= TOLD; i++) {
		wait_for(&told, i);
		if (b1_recv(a, &got) || memcmp(got.data, &i, sizeof(i)))
			miss++;
		else if (got.msg.n_transfers)
			b1_drop(a, got.t[0].id);
		if (i % 3 == 1 && b1_recv(c, &got))
			miss++;
		atomic_store(&heard, i);
	}
	pthread_join(thread, NULL);
	ok(!miss, "D20: a message that someone heard of is receivable (%d)",
	   miss);
	close(a);
	close(b);
	close(c);
}

/* --- peers that close while they are waited for and sent to ----------------
 */

static int sleepers;

static void *sleeper(void *arg)
{
	struct epoll_event ev[8];

	(void)arg;
	while (!atomic_load(&told))
		epoll_wait(sleepers, ev, 8, 5);
	return NULL;
}

static void test_close_poll(unsigned int rounds)
{
	struct epoll_event ev = { .events = EPOLLIN };
	unsigned int i, good = 0;
	pthread_t thread;
	int r, s;

	sleepers = epoll_create1(EPOLL_CLOEXEC);
	atomic_store(&told, 0);
	pthread_create(&thread, NULL, sleeper, NULL);
	b = b1_open();
	for (i = 0; !enough(i, rounds); i++) {
		a = b1_open();
		node = b1_node_to(a, b, &handle);
		epoll_ctl(sleepers, EPOLL_CTL_ADD, a, &ev);
		b1_says(b, handle, "x");
		b1_recv_room(a, &got, 0, 0);
		r = race(close_a, send_until_gone, &s);
		/* The sleeper may be the last to hold it, for a moment. */
		poll(&(struct pollfd){ .fd = b, .events = POLLIN }, 1, 10000);
		good += !r && s == 1000 && b1_node_gone(b, handle) &&
			b1_empty(b);
	}
	atomic_store(&told, 1);
	pthread_join(thread, NULL);
	ok(good == i, "D07, D15: peers closed while polled and sent to (%u)",
	   good);
	close(b);
	close(sleepers);
}

int main(void)
{
	pthread_t thread;

	pin(0);
	pthread_create(&thread, NULL, other_thread, NULL);
	test_double_release(700);
	test_both_ends(2000);
	test_send_release(500);
	test_late_message(2000);
	test_copy_release(700, false);
	test_copy_release(700, true);
	test_recv_release(700);
	test_close_poll(60);
	test_visible();
	other_fn = NULL;
	atomic_fetch_add(&posted, 1);
	pthread_join(thread, NULL);
	return done_testing();
}
