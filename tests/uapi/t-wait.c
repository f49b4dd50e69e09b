// SPDX-License-Identifier: GPL-2.0-only
/* Waiting: who sleeps, what wakes it, and what it says when nothing came. */
#include <sys/resource.h>
#include <sys/syscall.h>

#include "sleeper.h"

static int a, b;
static uint64_t node, handle;

static void open_peers(void)
{
	a = b1_open();
	b = b1_open();
	node = b1_node_to(a, b, &handle);
}

static void close_peers(void)
{
	close(a);
	close(b);
}

static int batch(uint64_t deadline, struct b1_msg *m)
{
	uint64_t got;

	b1_room(m, B1_ROOM_TRANSFERS, B1_ROOM_DATA, true);
	return b1_batch(a, BUS1_RECV_FLAG_WAIT, deadline, m, 1, &got);
}

static int wait_for(struct b1_msg *m)
{
	b1_room(m, B1_ROOM_TRANSFERS, B1_ROOM_DATA, false);
	return b1_recv_into(a, BUS1_RECV_FLAG_WAIT, m);
}

/* Who need not sleep does not. */
static void test_there(void)
{
	struct b1_msg m;

	open_peers();
	b1_says(b, handle, "1");
	b1_says(b, handle, "22");
	b1_says(b, handle, "333");
	ok(wait_for(&m) == 0 && m.msg.n_data == 1,
	   "RECV with WAIT, and a message is there");
	ok(batch(BUS1_INVALID, &m) == 0 && m.msg.n_data == 2,
	   "so for RECV_BATCH");
	b1_room(&m, 0, 1, false);
	ok(b1_recv_into(a, BUS1_RECV_FLAG_WAIT, &m) == EMSGSIZE &&
		   m.msg.n_data == 3,
	   "the room is too small: EMSGSIZE, and no wait");
	b1_room(&m, 4, 64, false);
	m.vec.iov_base = NULL;
	ok(b1_recv_into(a, BUS1_RECV_FLAG_WAIT, &m) == EFAULT,
	   "the room is bad: EFAULT, and no wait");
	ok(b1_hears(a, node, "333") && b1_empty(a), "the message stays");
	close_peers();
}

/* O_NONBLOCK is for those who poll. */
static void test_nonblock(void)
{
	struct sleeper s;

	open_peers();
	ok(!fcntl(a, F_SETFL, O_NONBLOCK), "O_NONBLOCK can be set");
	sleeper_wait(&s, a);
	b1_says(b, handle, "up");
	ok(sleeper_has(&s, "up"), "and RECV with WAIT sleeps nevertheless");
	close_peers();
}

/* It sleeps in one piece, and costs nothing meanwhile. */
static void test_asleep(void)
{
	struct timespec cpu[2];
	struct sleeper s;
	unsigned long n;
	clockid_t clock;

	open_peers();
	sleeper_wait(&s, a);
	ok(!atomic_load(&s.finished), "RECV with WAIT sleeps");
	pthread_getcpuclockid(s.thread, &clock);
	clock_gettime(clock, &cpu[0]);
	n = task_switches(s.tid);
	b1_msleep(300);
	clock_gettime(clock, &cpu[1]);
	ok(task_switches(s.tid) == n && cpu[0].tv_sec == cpu[1].tv_sec &&
		   cpu[0].tv_nsec == cpu[1].tv_nsec,
	   "it never runs while nothing comes");
	ok(!b1_readable(a) && b1_recv(a, &s.m) == EAGAIN,
	   "poll and a RECV that does not wait go on");
	b1_says(b, handle, "up");
	ok(sleeper_has(&s, "up"), "a message wakes it");
	close_peers();
}

#define WOKEN(_act, _type, _id, _what)                                        \
	do {                                                                  \
		struct sleeper _s;                                            \
		int _h;                                                       \
                                                                              \
		for (_h = BY_RECV; _h <= BY_BATCH; _h++) {                    \
			uint64_t _t;                                          \
                                                                              \
			prepare();                                            \
			sleeper_how(&_s, a, _h, BUS1_INVALID, 0);             \
			_t = b1_now();                                        \
			_act;                                                 \
			ok(sleeper_end(&_s) == 0 &&                           \
				   _s.m.msg.type == (_type) &&                \
				   _s.m.meta.id == (_id) &&                   \
				   _s.ended - _t < SLEEPER_LATE &&            \
				   b1_empty(a),                               \
			   "%s is woken by " _what,                           \
			   _h ? "RECV_BATCH" : "RECV");                       \
			finish();                                             \
		}                                                             \
	} while (0)

static int c;
static uint64_t n_other, h_other, n_mine, h_mine, nc, hc;

/* n_other: a node of b with a handle in a; n_mine: the other way. */
static void prepare(void)
{
	open_peers();
	c = b1_open();
	n_other = b1_node_to(b, a, &h_other);
	n_mine = b1_node_to(a, b, &h_mine);
	nc = b1_node_to(c, b, &hc);
}

static void finish(void)
{
	close_peers();
	close(c);
}

static void in_child(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(b1_says(b, handle, "child"));
	b1_child_ok(pid);
}

static void test_woken(void)
{
	WOKEN(b1_says(b, handle, "x"), BUS1_MESSAGE_TYPE_USER, node,
	      "a message");
	WOKEN(b1_multicast(b, 2, (uint64_t[]){ hc, handle }, NULL, "x", 1,
			   NULL, 0),
	      BUS1_MESSAGE_TYPE_USER, node, "a multicast");
	WOKEN(in_child(), BUS1_MESSAGE_TYPE_USER, node, "another process");
	WOKEN(b1_drop(b, n_other), BUS1_MESSAGE_TYPE_NODE_RELEASE, h_other,
	      "NODE_RELEASE");
	WOKEN(b1_drop(b, h_mine), BUS1_MESSAGE_TYPE_HANDLE_RELEASE, n_mine,
	      "HANDLE_RELEASE");
	WOKEN(b1_release(b, 2, (uint64_t[]){ n_other, hc }),
	      BUS1_MESSAGE_TYPE_NODE_RELEASE, h_other,
	      "a RELEASE that others hear of too");
}

/* A message that vanishes before it is received wakes for nothing. */
static void test_vanishes(void)
{
	struct sleeper s;
	uint64_t n, h;
	int i;

	open_peers();
	sleeper_wait(&s, a);
	for (i = 0; i < 200; i++) {
		n = b1_node_to(a, b, &h);
		b1_drop(a, n);
		while (b1_recv(b, &(struct b1_msg){}) == 0)
			;
	}
	ok(!atomic_load(&s.finished), "what is not for it does not end it");
	b1_says(b, handle, "real");
	ok(sleeper_has(&s, "real"), "what is does");
	close_peers();
}

static void test_signals(void)
{
	struct sleeper s;
	int how, i;

	open_peers();
	for (how = BY_RECV; how <= BY_BATCH; how++) {
		const char *what = how ? "RECV_BATCH" : "RECV";

		sleeper_how(&s, a, how, BUS1_INVALID, 0);
		pthread_kill(s.thread, SIGUSR1);
		ok(sleeper_end(&s) == EINTR, "%s, a signal: EINTR", what);
		atomic_store(&sleeper_signals, 0);
		sleeper_how(&s, a, how, BUS1_INVALID, 0);
		for (i = 1; i <= 3; i++) {
			pthread_kill(s.thread, SIGUSR2);
			while (atomic_load(&sleeper_signals) < (unsigned)i)
				b1_msleep(1);
			task_asleep(s.tid);
		}
		b1_msleep(50);
		ok(!atomic_load(&s.finished) && task_sleeps(s.tid),
		   "%s, signals with SA_RESTART: sleeps again", what);
		b1_says(b, handle, "after");
		ok(sleeper_has(&s, "after"), "and receives what comes then");
	}
	ok(b1_empty(a), "nothing is left");
	close_peers();
}

/* Restarted or not, stopped or not: the deadline is the same. */
static void test_same_deadline(void)
{
	uint64_t deadline;
	struct sleeper s;
	int i;

	open_peers();
	deadline = b1_now() + 1000 * MS;
	atomic_store(&sleeper_signals, 0);
	sleeper_how(&s, a, BY_BATCH, deadline, 0);
	for (i = 0; i < 3; i++) {
		b1_msleep(100);
		pthread_kill(s.thread, SIGUSR2);
	}
	ok(sleeper_end(&s) == ETIMEDOUT && atomic_load(&sleeper_signals) == 3,
	   "signals with SA_RESTART, then the deadline: ETIMEDOUT");
	ok(s.ended >= deadline && s.ended < deadline + SLEEPER_LATE,
	   "the same as in the beginning: %lld us after it",
	   (long long)(s.ended - deadline) / 1000);
	close_peers();
}

static void test_deadline(void)
{
	static const unsigned int ms[] = { 0, 1, 3, 20, 200 };
	static const uint64_t far[] = {
		BUS1_INVALID, BUS1_INVALID - 1, 1ull << 63, (1ull << 63) - 1,
		1ull << 62,
	};
	static const uint64_t past[] = { 0, 1, 1000000 };
	struct b1_msg m;
	struct sleeper s;
	uint64_t begin, end, worst = 0;
	unsigned int i, k, early = 0, wrong = 0;

	open_peers();
	for (k = 0; k < 5; k++)
		for (i = 0; i < sizeof(ms) / sizeof(*ms); i++) {
			begin = b1_now();
			wrong += batch(begin + ms[i] * MS, &m) != ETIMEDOUT;
			end = b1_now();
			early += end < begin + ms[i] * MS;
			if (end - begin - ms[i] * MS > worst)
				worst = end - begin - ms[i] * MS;
		}
	ok(!wrong, "the deadline passes: ETIMEDOUT");
	ok(!early && worst < SLEEPER_LATE,
	   "never before it; at worst %llu us after it",
	   (unsigned long long)worst / 1000);
	for (i = 0; i < sizeof(past) / sizeof(*past); i++) {
		ok(batch(past[i], &m) == ETIMEDOUT,
		   "deadline %llu, long ago: ETIMEDOUT",
		   (unsigned long long)past[i]);
		b1_says(b, handle, "there");
		ok(batch(past[i], &m) == 0 && m.msg.n_data == 5 && b1_empty(a),
		   "and it looks for a message nevertheless");
	}
	for (i = 0; i < sizeof(far) / sizeof(*far); i++) {
		sleeper_how(&s, a, BY_BATCH, far[i], 0);
		b1_msleep(20);
		ok(!atomic_load(&s.finished) && task_sleeps(s.tid) &&
			   !pthread_kill(s.thread, SIGUSR1) &&
			   sleeper_end(&s) == EINTR,
		   "deadline %#llx: sleeps", (unsigned long long)far[i]);
	}
	close_peers();
}

/* --- processes ----------------------------------------------------------- */

/* A child that sleeps; it ends with 0 if it receives @text. */
static pid_t sleeping_child(const char *text, uint64_t deadline)
{
	pid_t pid = fork();

	if (!pid) {
		struct b1_msg m;
		int r = deadline ? batch(deadline, &m) : wait_for(&m);

		_exit(r == ETIMEDOUT ? 2 : r ? 3 :
		      m.msg.n_data != strlen(text) ||
		      memcmp(m.data, text, strlen(text)));
	}
	if (!task_asleep(pid))
		bail_out("a child does not sleep");
	return pid;
}

static int ends_with(pid_t pid)
{
	int i, status;

	for (i = 0; i < 10000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) :
						   -WTERMSIG(status);
		b1_msleep(1);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return 99;
}

static void test_killed(void)
{
	struct sleeper s;
	pid_t pid;

	open_peers();
	pid = sleeping_child("", 0);
	sleeper_wait(&s, a);
	kill(pid, SIGKILL);
	ok(ends_with(pid) == -SIGKILL, "kill -9 of a process that sleeps");
	ok(!atomic_load(&s.finished), "who sleeps behind it sleeps on");
	b1_says(b, handle, "next");
	ok(sleeper_has(&s, "next") && b1_empty(a), "and is woken in its place");
	/* The last descriptor goes with it. */
	pid = sleeping_child("", 0);
	close(a);
	ok(b1_empty(b), "a peer of whom only a sleeping child is left: alive");
	kill(pid, SIGKILL);
	ok(ends_with(pid) == -SIGKILL && b1_node_gone(b, handle) && b1_empty(b),
	   "killed: it is closed");
	close(b);
}

static bool stops(pid_t pid)
{
	int status;

	kill(pid, SIGSTOP);
	return waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status);
}

static void test_stopped(void)
{
	uint64_t deadline;
	struct sleeper s;
	pid_t pid;

	open_peers();
	pid = sleeping_child("mine", 0);
	ok(stops(pid) && !kill(pid, SIGCONT) && task_asleep(pid),
	   "stopped and continued: it sleeps again");
	b1_says(b, handle, "mine");
	ok(ends_with(pid) == 0, "and is woken by a message");

	pid = sleeping_child("second", 0);
	sleeper_wait(&s, a);
	ok(stops(pid), "the first of two is stopped");
	b1_says(b, handle, "first");
	ok(sleeper_has(&s, "first"), "a message wakes the other one");
	b1_says(b, handle, "second");
	kill(pid, SIGCONT);
	ok(ends_with(pid) == 0 && b1_empty(a),
	   "continued, it finds what came meanwhile");

	deadline = b1_now() + 400 * MS;
	pid = sleeping_child("", deadline);
	ok(stops(pid), "stopped over its deadline");
	while (b1_now() < deadline)
		b1_msleep(10);
	kill(pid, SIGCONT);
	ok(ends_with(pid) == 2, "continued: ETIMEDOUT");
	close_peers();
}

static void test_shared(void)
{
	struct sleeper s;
	pid_t pid;
	int d;

	open_peers();
	pid = sleeping_child("1", 0);
	sleeper_wait(&s, a);
	b1_says(b, handle, "1");
	ok(ends_with(pid) == 0 && !atomic_load(&s.finished),
	   "of two processes that sleep one is woken, the first");
	b1_says(b, handle, "2");
	ok(sleeper_has(&s, "2"), "then the second");

	d = dup(a);
	sleeper_wait(&s, d);
	close(d);
	b1_says(b, handle, "dup");
	ok(sleeper_has(&s, "dup"), "asleep on a duplicate that is closed");

	sleeper_wait(&s, a);
	close(a);
	ok(b1_empty(b), "closed while a thread sleeps on it: the peer lives");
	b1_says(b, handle, "last");
	ok(sleeper_has(&s, "last"), "and receives");
	ok(b1_node_gone(b, handle) && b1_empty(b), "then it ends");
	close(b);
}

int main(void)
{
	test_there();
	test_nonblock();
	test_asleep();
	test_woken();
	test_vanishes();
	test_signals();
	test_same_deadline();
	test_deadline();
	test_killed();
	test_stopped();
	test_shared();
	return done_testing();
}
