// SPDX-License-Identifier: GPL-2.0-only
/* Many sleep on one peer: a message wakes one, in turn, and is never left. */
#define _GNU_SOURCE
#include <sys/epoll.h>

#include "sleeper.h"
#include "stall.h"

#define N 6

static int a, b, c;
static uint64_t node, handle, node_c, handle_c;
static struct sleeper s[N];

static void open_peers(void)
{
	a = b1_open();
	b = b1_open();
	c = b1_open();
	node = b1_node_to(a, b, &handle);
	node_c = b1_node_to(c, a, &handle_c);
}

static void close_peers(void)
{
	close(a);
	close(b);
	close(c);
}

static void sleepers(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		sleeper_wait(&s[i], a);
}

/* Those from @first on have not moved since task_switches() said @were. */
static bool unmoved(unsigned int first, unsigned int n,
		    const unsigned long *were)
{
	unsigned int i, moved = 0;

	for (i = first; i < n; i++)
		if (atomic_load(&s[i].finished) || !task_sleeps(s[i].tid) ||
		    task_switches(s[i].tid) != were[i])
			moved++;
	if (moved)
		diag("%u threads were disturbed", moved);
	return !moved;
}

static void switches(unsigned long *were, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		were[i] = task_switches(s[i].tid);
}

/* M messages, M threads, the first M, and nobody else notices. */
static void test_exactly(void)
{
	unsigned long were[N];
	unsigned int m, i, good;

	for (m = 1; m < N; m += 2) {
		open_peers();
		sleepers(N);
		switches(were, N);
		for (i = 0; i < m; i++)
			b1_says(b, handle, "x");
		ok(sleepers_ended(s, N, m) == m,
		   "%d threads sleep, %u messages: so many return", N, m);
		for (good = i = 0; i < m; i++)
			good += atomic_load(&s[i].finished) && !s[i].result;
		ok(good == m && unmoved(m, N, were) && b1_empty(a),
		   "the first %u; the others do not even wake", m);
		sleepers_stop(s, N);
		close_peers();
	}
}

static void test_turns(void)
{
	static const enum sleeper_how how[N] = {
		BY_CALL, BY_RECV, BY_BATCH, BY_BATCH, BY_RECV, BY_CALL,
	};
	unsigned long were[N];
	unsigned int i, good = 0;
	char text[] = "0";

	open_peers();
	for (i = 0; i < N; i++)
		sleeper_how(&s[i], a, how[i], BUS1_INVALID, handle_c);
	switches(were, N);
	for (i = 0; i < N; i++) {
		text[0] = '0' + i;
		b1_says(b, handle, text);
		good += sleeper_has(&s[i], text) && unmoved(i + 1, N, were);
	}
	ok(good == N, "in turn, be it RECV, RECV_BATCH or CALL (%u)", good);
	ok(b1_hears(c, node_c, "call") && b1_hears(c, node_c, "call") &&
		   b1_empty(c),
	   "each CALL sent once");

	/* Who leaves gives up its place; who comes back is the last. */
	sleepers(3);
	pthread_kill(s[0].thread, SIGUSR1);
	sleeper_end(&s[0]);
	sleeper_wait(&s[0], a);
	switches(were, 3);
	b1_says(b, handle, "1");
	good = sleeper_has(&s[1], "1") && !atomic_load(&s[0].finished);
	b1_says(b, handle, "2");
	good = good && sleeper_has(&s[2], "2") && unmoved(0, 1, were);
	b1_says(b, handle, "0");
	ok(good && sleeper_has(&s[0], "0"),
	   "a thread that left and came back is behind the others");
	close_peers();
}

/* Several things for one peer in one transaction wake as many. */
static void test_groups(void)
{
	uint64_t nodes[3], handles[3], h, n;
	unsigned long were[N];
	unsigned int i;
	int d;

	open_peers();
	sleepers(5);
	switches(were, 5);
	b1_multicast(b, 3, (uint64_t[]){ handle, handle, handle }, NULL, "x", 1,
		     NULL, 0);
	ok(sleepers_ended(s, 5, 3) == 3 && unmoved(3, 5, were),
	   "one SEND to the same handle three times wakes three");
	sleepers_stop(s, 5);

	for (i = 0; i < 3; i++)
		nodes[i] = b1_node_to(b, a, &handles[i]);
	sleepers(5);
	switches(were, 5);
	b1_release(b, 3, nodes);
	ok(sleepers_ended(s, 5, 3) == 3 && unmoved(3, 5, were),
	   "one RELEASE of three nodes wakes three");
	sleepers_stop(s, 5);

	for (i = 0; i < 3; i++)
		nodes[i] = b1_node_to(a, b, &handles[i]);
	sleepers(5);
	switches(were, 5);
	b1_release(b, 3, handles);
	ok(sleepers_ended(s, 5, 3) == 3 && unmoved(3, 5, were),
	   "one RELEASE of the last handles to three nodes wakes three");
	sleepers_stop(s, 5);

	d = b1_open();
	for (i = 0; i < 2; i++) {
		b1_node_to(d, a, &handles[i]);
		b1_node_to(a, d, &handles[i]);
	}
	sleepers(5);
	switches(were, 5);
	close(d);
	ok(sleepers_ended(s, 5, 4) == 4 && unmoved(4, 5, were),
	   "a close with two nodes and two handles wakes four");
	sleepers_stop(s, 5);

	/* b has not heard of it yet, so it can still pass it on. */
	n = b1_node_to(c, b, &h);
	b1_drop(c, n);
	sleepers(3);
	switches(were, 3);
	b1_gives(b, handle, "dead", h);
	ok(sleepers_ended(s, 3, 2) == 2 && unmoved(2, 3, were) &&
		   s[0].m.msg.type + s[1].m.msg.type ==
			   BUS1_MESSAGE_TYPE_NODE_RELEASE,
	   "a message with a handle that is dead wakes two");
	sleepers_stop(s, 3);
	close_peers();
}

/* Who is woken and cannot use it passes it on. */
static void test_pass(void)
{
	struct b1_msg m[4];
	uint64_t got;
	int i;

	open_peers();
	for (i = 0; i < 3; i++) {
		s[i] = (struct sleeper){ .fd = a, .room = i < 2 ? 2 : 64 };
		sleeper_start(&s[i]);
		task_asleep(s[i].tid);
	}
	b1_says(b, handle, "three");
	ok(sleeper_end(&s[0]) == EMSGSIZE && sleeper_end(&s[1]) == EMSGSIZE &&
		   s[0].m.msg.n_data == 5 && s[1].m.msg.n_data == 5,
	   "a message that two who sleep have no room for: both are told");
	ok(sleeper_has(&s[2], "three"), "and the third has it");

	/* A batch takes what others were woken for. */
	for (i = 0; i < 4; i++)
		b1_room(&m[i], 0, 64, true);
	sleepers(3);
	b1_multicast(b, 3, (uint64_t[]){ handle, handle, handle }, NULL, "x", 1,
		     NULL, 0);
	if (b1_batch(a, 0, 0, m, 4, &got))
		got = 0;
	i = sleepers_ended(s, 3, 3 - got);
	ok(i + got == 3, "three messages: a batch takes %d of them",
	   (int)got);
	for (i = 0; i < (int)got; i++)
		b1_says(b, handle, "more");
	ok(sleepers_ended(s, 3, 3) == 3 && b1_empty(a),
	   "who found nothing is woken by what comes next");
	sleepers_stop(s, 3);
	close_peers();
}

static void *faulty(void *arg)
{
	struct sleeper *f = arg;

	b1_room(&f->m, 4, 64, true);
	f->m.msg.ptr_data_vecs = BUS1_FROM_PTR(b1_edge(64) + 64);
	atomic_store(&f->tid, syscall(SYS_gettid));
	f->result = b1_recv_into(f->fd, BUS1_RECV_FLAG_WAIT, &f->m);
	atomic_store(&f->finished, true);
	return NULL;
}

static void test_fault(void)
{
	open_peers();
	s[0] = (struct sleeper){ .fd = a };
	pthread_create(&s[0].thread, NULL, faulty, &s[0]);
	while (!atomic_load(&s[0].tid) || !task_asleep(s[0].tid))
		b1_msleep(1);
	sleeper_wait(&s[1], a);
	b1_says(b, handle, "whole");
	ok(sleeper_end(&s[0]) == EFAULT, "a room that faults: EFAULT");
	ok(sleeper_has(&s[1], "whole") && b1_empty(a),
	   "and the next who sleeps has the message");
	close_peers();
}

/* --- pollers beside ------------------------------------------------------ */

struct poller {
	pthread_t thread;
	atomic_int tid;
	int ep; /* or -1: poll() */
	uint32_t events;
};

#define BY_POLL 0

static void *poller(void *arg)
{
	struct pollfd p = { .fd = a, .events = POLLIN };
	struct poller *x = arg;
	struct epoll_event ev = { 0 };

	atomic_store(&x->tid, syscall(SYS_gettid));
	if (x->ep < 0)
		x->events = poll(&p, 1, 20000) == 1 ? p.revents : 0;
	else
		x->events = epoll_wait(x->ep, &ev, 1, 20000) == 1 ? ev.events :
								    0;
	return NULL;
}

static void poller_start(struct poller *x, uint32_t events)
{
	struct epoll_event ev = { .events = events };
	char line[128];

	*x = (struct poller){ .ep = -1 };
	if (events != BY_POLL) {
		x->ep = epoll_create1(EPOLL_CLOEXEC);
		if (epoll_ctl(x->ep, EPOLL_CTL_ADD, a, &ev))
			bail_out("epoll: %s", strerror(errno));
	}
	pthread_create(&x->thread, NULL, poller, x);
	while (!atomic_load(&x->tid) ||
	       !task_line(x->tid, "status", "State:\tS", line, sizeof(line)))
		b1_msleep(1);
}

static bool poller_woken(struct poller *x)
{
	pthread_join(x->thread, NULL);
	if (x->ep >= 0)
		close(x->ep);
	return x->events == EPOLLIN;
}

static void test_pollers(void)
{
	static const uint32_t events[] = {
		BY_POLL,
		EPOLLIN,
		EPOLLIN | EPOLLET,
		EPOLLIN | EPOLLEXCLUSIVE,
		EPOLLIN | EPOLLEXCLUSIVE | EPOLLET,
	};
	struct epoll_event ev = { 0 };
	struct poller p[5];
	unsigned int i, good;
	int ep;

	/* In front of a thread that sleeps, nobody takes its message away. */
	for (i = 0; i < 5; i++) {
		open_peers();
		poller_start(&p[0], events[i]);
		poller_start(&p[1], events[i]);
		sleepers(1);
		b1_says(b, handle, "sleeper's");
		ok(sleeper_has(&s[0], "sleeper's"),
		   "behind two who poll (%u): a message wakes who sleeps", i);
		b1_says(b, handle, "pollers'");
		good = poller_woken(&p[0]);
		/* that it is woken too is what it asked not to be sure of */
		if (events[i] & EPOLLEXCLUSIVE)
			b1_says(b, handle, "again");
		ok(poller_woken(&p[1]) && good, "and the next those who poll");
		close_peers();
	}
	/* All of them, between those who sleep. */
	open_peers();
	for (i = 0; i < 3; i++) {
		poller_start(&p[i], events[i]);
		sleeper_wait(&s[i], a);
	}
	b1_multicast(b, 4, (uint64_t[]){ handle, handle, handle, handle }, NULL,
		     "x", 1, NULL, 0);
	for (good = i = 0; i < 3; i++)
		good += poller_woken(&p[i]);
	ok(good == 3 && sleepers_ended(s, 3, 3) == 3 &&
		   b1_hears(a, node, "x") && b1_empty(a),
	   "three who poll are not counted among three who sleep");
	sleepers_stop(s, 3);

	/* Nobody waits at the epoll: it must not swallow a wake-up either. */
	ep = epoll_create1(EPOLL_CLOEXEC);
	ev.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLET;
	epoll_ctl(ep, EPOLL_CTL_ADD, a, &ev);
	for (good = i = 0; i < 50; i++) {
		sleepers(1);
		b1_says(b, handle, "1");
		b1_says(b, handle, "2");
		good += sleeper_has(&s[0], "1") &&
			epoll_wait(ep, &ev, 1, 1000) == 1 &&
			b1_hears(a, node, "2");
	}
	ok(good == 50, "edge-triggered, exclusive, beside one who sleeps (%u)",
	   good);
	close(ep);
	close_peers();
}

/* --- beside a RECV whose memory does not come ---------------------------- */

struct stalling {
	pthread_t thread;
	char *page;
	int result;
	struct b1_msg m;
};

static void *stalling(void *arg)
{
	struct stalling *x = arg;

	b1_room(&x->m, 4, 64, true);
	x->m.msg.ptr_data_vecs = BUS1_FROM_PTR(x->page);
	x->result = b1_recv_into(a, 0, &x->m);
	return NULL;
}

static void stall(struct stalling *x)
{
	*x = (struct stalling){ .page = stall_page() };
	pthread_create(&x->thread, NULL, stalling, x);
	if (!stalled())
		bail_out("userfaultfd says nothing");
}

static void test_stalled(void)
{
	uint64_t deadline;
	struct stalling x;
	int how;

	if (!stall_begin()) {
		skip(1, "no userfaultfd: %s", strerror(errno));
		return;
	}
	open_peers();
	b1_says(b, handle, "first");
	stall(&x);
	for (how = BY_RECV; how <= BY_CALL; how++) {
		const char *const names[] = { "RECV", "RECV_BATCH", "CALL" };

		deadline = b1_now() + 300 * MS;
		s[0] = (struct sleeper){
			.fd = a,
			.how = how,
			.deadline = deadline,
			.to = handle_c,
			.room = 64,
		};
		if (how != BY_RECV) {
			sleeper_start(&s[0]);
			ok(sleeper_end(&s[0]) == (how == BY_CALL ?
				   B1_SENT(ETIMEDOUT) : ETIMEDOUT) &&
				   s[0].ended >= deadline,
			   "%s beside a RECV that stalls: its deadline",
			   names[how]);
		}
		s[0].deadline = BUS1_INVALID;
		sleeper_start(&s[0]);
		task_asleep(s[0].tid);
		pthread_kill(s[0].thread, SIGUSR1);
		ok(sleeper_end(&s[0]) ==
			   (how == BY_CALL ? B1_SENT(EINTR) : EINTR),
		   "%s beside it: a signal", names[how]);
	}
	s[0] = (struct sleeper){ .fd = a, .how = BY_BATCH, .deadline = 1 };
	sleeper_start(&s[0]);
	ok(sleeper_end(&s[0]) == ETIMEDOUT, "a deadline long ago: at once");
	sleeper_wait(&s[1], a);
	sleeper_wait(&s[2], a);
	b1_says(b, handle, "second");
	ok(sleepers_ended(s + 1, 2, 0) == 0,
	   "what comes behind it is not received before it");
	provide(x.page);
	pthread_join(x.thread, NULL);
	ok(x.result == 0 && x.m.msg.n_data == 5 &&
		   sleeper_has(&s[1], "second") &&
		   !atomic_load(&s[2].finished),
	   "its memory comes: both are received, in order");
	munmap(x.page, stall_size);

	/* It fails: the message is there for the one who waits. */
	b1_says(b, handle, "third");
	ok(sleeper_has(&s[2], "third"), "the next who sleeps has the next");
	b1_says(b, handle, "fourth");
	stall(&x);
	sleeper_wait(&s[1], a);
	munmap(x.page, stall_size);
	ioctl(stall_fd, UFFDIO_WAKE,
	      &(struct uffdio_range){ (uintptr_t)x.page, stall_size });
	pthread_join(x.thread, NULL);
	ok(x.result == EFAULT && sleeper_has(&s[1], "fourth") && b1_empty(a),
	   "its memory goes: EFAULT, and who waits behind has the message");
	close_peers();
}

/* The first takes what they wait for: all must hear that nothing is left. */
static void test_nothing_left(void)
{
	pthread_t thread[3];
	struct stalling x[4];
	unsigned int i, good = 0, k;

	if (stall_fd <= 0)
		return;
	open_peers();
	b1_says(b, handle, "only");
	stall(&x[0]);
	for (i = 1; i < 4; i++) {
		x[i] = (struct stalling){ .page = x[0].page };
		pthread_create(&thread[i - 1], NULL, stalling, &x[i]);
	}
	sleeper_how(&s[0], a, BY_BATCH, b1_now() + 500 * MS, 0);
	sleeper_wait(&s[1], a);
	b1_msleep(100);
	provide(x[0].page);
	pthread_join(x[0].thread, NULL);
	for (i = 0; i < 3; i++) {
		/* no more than 10 s for a call that does not wait */
		for (k = 0; k < 10000; k++) {
			if (!pthread_tryjoin_np(thread[i], NULL))
				break;
			b1_msleep(1);
		}
		good += k < 10000 && x[i + 1].result == EAGAIN;
	}
	ok(good == 3, "three RECVs that waited their turn: EAGAIN (%u)", good);
	ok(sleeper_end(&s[0]) == ETIMEDOUT, "a deadline is met");
	b1_says(b, handle, "next");
	ok(sleeper_has(&s[1], "next"), "and who sleeps has what comes next");
	close_peers();
}

int main(void)
{
	test_exactly();
	test_turns();
	test_groups();
	test_pass();
	test_fault();
	test_pollers();
	test_stalled();
	test_nothing_left();
	return done_testing();
}
