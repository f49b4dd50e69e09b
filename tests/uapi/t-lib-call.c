// SPDX-License-Identifier: GPL-2.0-only
/* libbus1: the calls that wait, and the one that sends before it does. */
#include <bus1/bus1.h>
#include <pthread.h>
#include <signal.h>

#include "b1.h"

#define CREATE { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID }
#define MS UINT64_C(1000000)

/* Long enough for a slow machine; nobody waits for it where all is well. */
#define LONG 60000

static struct bus1_message flat(const void *data, size_t n)
{
	return (struct bus1_message){
		.flags = BUS1_MESSAGE_FLAG_FLAT,
		.n_data = n,
		.n_data_vecs = n,
		.ptr_data_vecs = BUS1_FROM_PTR(data),
	};
}

static volatile sig_atomic_t signals;

static void on_signal(int signum)
{
	(void)signum;
	signals++;
}

/* A signal every 20 ms from now on, until signals_end(). */
static timer_t signals_begin(int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGUSR1 };
	struct itimerspec every = { { 0, 20 * MS }, { 0, 20 * MS } };
	timer_t timer;

	signals = 0;
	sigaction(SIGUSR1, &sa, NULL);
	if (timer_create(CLOCK_MONOTONIC, &ev, &timer) ||
	    timer_settime(timer, 0, &every, NULL))
		bail_out("no timer: %s", strerror(errno));
	return timer;
}

static void signals_end(timer_t timer)
{
	timer_delete(timer);
	signal(SIGUSR1, SIG_IGN);
}

/* A process that, after a while, sends @n bytes of @data. */
static pid_t later(int peer, uint64_t to, const void *data, size_t n)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	b1_msleep(60);
	_exit(libbus1_post(peer, to, data, n, NULL, 0) ? 1 : 0);
}

static void test_features(void)
{
	int a = libbus1_open(), p[2];
	uint64_t features = 0;

	ok(libbus1_features(a, &features) == 0 &&
	   !(~features & (BUS1_FEATURE_NAME | BUS1_FEATURE_WAIT |
			  BUS1_FEATURE_CALL | BUS1_FEATURE_BATCH |
			  BUS1_FEATURE_FLAT)), "features: all that are known");
	if (pipe(p))
		bail_out("pipe");
	features = 7;
	ok(libbus1_features(p[0], &features) == -ENOTTY &&
	   libbus1_features(-1, &features) == -EBADF && features == 7,
	   "features: of no peer");
	close(p[0]);
	close(p[1]);
	close(a);
}

static void test_deadline(void)
{
	uint64_t before = b1_now(), d = libbus1_deadline(2000000000);
	uint64_t after = b1_now();

	ok(d >= before + 2000000000 * MS && d <= after + 2000000000 * MS,
	   "deadline: from now on, also of a long time");
	ok(libbus1_deadline(-1) == BUS1_INVALID && libbus1_deadline(0) == 0,
	   "deadline: never, and at once");
}

static void test_recv_wait(void)
{
	int a = libbus1_open();
	struct bus1_metadata meta;
	struct bus1_message m;
	uint64_t node, to, t, d;
	timer_t timer;
	char data[8];
	pid_t pid;
	int r;

	node = b1_node(a, &to);
	m = flat(data, sizeof(data));
	ok(libbus1_recv_wait(a, 0, &meta, &m) == -EAGAIN,
	   "recv_wait: 0 does not wait");
	ok(libbus1_recv_wait(a, 1, &meta, &m) == -ETIMEDOUT,
	   "recv_wait: nor does what is past");
	libbus1_post(a, to, "here", 4, NULL, 0);
	m = flat(data, sizeof(data));
	ok(libbus1_recv_wait(a, 1, &meta, &m) == 0 && m.n_data == 4 &&
	   meta.id == node && meta.account == geteuid() &&
	   m.flags == BUS1_MESSAGE_FLAG_FLAT && !memcmp(data, "here", 4),
	   "recv_wait: but what is there is received");

	t = b1_now();
	r = libbus1_recv_wait(a, libbus1_deadline(100), &meta, &m);
	t = b1_now() - t;
	ok(r == -ETIMEDOUT && t >= 100 * MS && t < LONG * MS,
	   "recv_wait: the deadline (%llu ms)", (unsigned long long)(t / MS));

	pid = later(a, to, "later", 5);
	m = flat(data, sizeof(data));
	ok(libbus1_recv_wait(a, BUS1_INVALID, &meta, &m) == 0 &&
	   m.n_data == 5 && meta.id == node && !memcmp(data, "later", 5) &&
	   b1_child_ok(pid), "recv_wait: without a deadline");
	pid = later(a, to, "later still", 11);
	m = flat(data, sizeof(data));
	d = libbus1_deadline(LONG);
	ok(libbus1_recv_wait(a, d, &meta, &m) == -EMSGSIZE &&
	   m.n_data == 11 && b1_child_ok(pid),
	   "recv_wait: what is too large, with what it needs");
	ok(b1_hears(a, node, "later still"), "recv_wait: it stays");

	timer = signals_begin(0);
	ok(libbus1_recv_wait(a, d, &meta, &m) == -EINTR &&
	   libbus1_recv_wait(a, BUS1_INVALID, &meta, &m) == -EINTR && signals,
	   "recv_wait: a signal ends it");
	signals_end(timer);
	timer = signals_begin(SA_RESTART);
	t = b1_now();
	r = libbus1_recv_wait(a, libbus1_deadline(200), &meta, &m);
	t = b1_now() - t;
	signals_end(timer);
	ok(r == -ETIMEDOUT && signals > 1 && t >= 200 * MS && t < LONG * MS,
	   "recv_wait: with SA_RESTART it neither ends nor starts anew");
	close(a);
	ok(libbus1_recv_wait(a, 0, &meta, &m) == -EBADF &&
	   libbus1_recv_wait(a, 1, &meta, &m) == -EBADF &&
	   libbus1_recv_wait(a, BUS1_INVALID, &meta, &m) == -EBADF,
	   "recv_wait: of no peer");
}

struct sleeper {
	int peer;
	int result;
};

static void *sleep_once(void *arg)
{
	struct sleeper *s = arg;
	struct bus1_metadata meta;
	struct bus1_message m;
	char data[8];

	m = flat(data, sizeof(data));
	s->result = libbus1_recv_wait(s->peer, libbus1_deadline(400), &meta,
				      &m);
	return NULL;
}

static void test_sleepers(void)
{
	struct sleeper s[3];
	int a = libbus1_open(), i, got = 0, late = 0;
	pthread_t threads[3];
	uint64_t to;

	b1_node(a, &to);
	for (i = 0; i < 3; i++) {
		s[i].peer = a;
		pthread_create(&threads[i], NULL, sleep_once, &s[i]);
	}
	b1_msleep(100);
	libbus1_post(a, to, "1", 1, NULL, 0);
	libbus1_post(a, to, "2", 1, NULL, 0);
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		got += s[i].result == 0;
		late += s[i].result == -ETIMEDOUT;
	}
	ok(got == 2 && late == 1 && b1_empty(a),
	   "three sleep, two messages: two receive, one does not");
	close(a);
}

#define ROOM 6

static void make_room(struct bus1_received *in, char data[][8])
{
	int i;

	memset(in, B1_POISON, ROOM * sizeof(*in));
	for (i = 0; i < ROOM; i++)
		in[i].message = flat(data[i], 8);
}

static void test_batch(void)
{
	struct bus1_received in[ROOM];
	int a = libbus1_open(), i, r;
	char data[ROOM][8], text[8];
	uint64_t node, to;
	pid_t pid;

	node = b1_node(a, &to);
	make_room(in, data);
	ok(libbus1_recv_batch(a, 0, in, ROOM) == -EAGAIN &&
	   libbus1_recv_batch(a, 1, in, ROOM) == -ETIMEDOUT &&
	   libbus1_recv_batch(a, BUS1_INVALID, in, 0) == 0,
	   "batch: nothing there");
	for (i = 0; i < 7; i++) {
		snprintf(text, sizeof(text), "msg %d", i);
		libbus1_post(a, to, text, 5, NULL, 0);
	}
	ok(libbus1_recv_batch(a, 0, in, ROOM - 1) == ROOM - 1,
	   "batch: as many as there is room for");
	for (r = i = 0; i < ROOM - 1; i++)
		r += in[i].metadata.id == node && in[i].message.n_data == 5 &&
		     in[i].message.type == BUS1_MESSAGE_TYPE_USER &&
		     data[i][4] == '0' + i;
	ok(r == ROOM - 1, "batch: in order");
	ok(b1_poisoned(&in[ROOM - 1].metadata, sizeof(in->metadata)) &&
	   in[ROOM - 1].message.n_data == 8, "batch: and no further");
	make_room(in, data);
	ok(libbus1_recv_batch(a, BUS1_INVALID, in, ROOM) == 2 &&
	   data[0][4] == '5' && data[1][4] == '6' &&
	   b1_poisoned(&in[2].metadata, sizeof(in->metadata)),
	   "batch: as many as there are, without waiting for more");

	libbus1_post(a, to, "small", 5, NULL, 0);
	libbus1_post(a, to, "not small", 9, NULL, 0);
	make_room(in, data);
	ok(libbus1_recv_batch(a, 1, in, ROOM) == 1,
	   "batch: ends before what cannot be received");
	make_room(in, data);
	ok(libbus1_recv_batch(a, 1, in, ROOM) == -EMSGSIZE &&
	   in[0].message.n_data == 9 && b1_hears(a, node, "not small"),
	   "batch: the next one says why");

	pid = later(a, to, "later", 5);
	make_room(in, data);
	ok(libbus1_recv_batch(a, libbus1_deadline(LONG), in, ROOM) == 1 &&
	   !memcmp(data[0], "later", 5) && b1_child_ok(pid),
	   "batch: waits for the first");
	close(a);
}

/* The other process: every byte one more, each reply with the next receipt. */
static void serve(int peer, uint64_t node, uint64_t back, unsigned int n)
{
	struct bus1_metadata meta;
	struct bus1_message m, send;
	char data[64];
	size_t i;
	int r;

	m = flat(data, sizeof(data));
	r = libbus1_recv_wait(peer, BUS1_INVALID, &meta, &m);
	while (!r && meta.id == node) {
		for (i = 0; i < m.n_data; i++)
			data[i]++;
		send = flat(data, m.n_data);
		if (!--n)
			_exit(libbus1_post(peer, back, data, m.n_data, NULL,
					   0) ? 2 : 0);
		m = flat(data, sizeof(data));
		r = libbus1_call(peer, libbus1_deadline(LONG), back, &send,
				 &meta, &m);
	}
	_exit(1);
}

static void test_call(void)
{
	int a = libbus1_open(), b = libbus1_open();
	struct bus1_message send, m;
	struct bus1_metadata meta;
	uint64_t na, nb, to, back;
	char text[64], data[64];
	unsigned int i, good = 0;
	pid_t pid;

	nb = b1_node_to(b, a, &to);
	na = b1_node_to(a, b, &back);
	pid = fork();
	if (!pid) {
		close(a);
		serve(b, nb, back, 100);
	}
	for (i = 0; i < 100; i++) {
		send = flat(text, snprintf(text, sizeof(text), "request %u",
					   i));
		m = flat(data, sizeof(data));
		if (libbus1_call(a, libbus1_deadline(LONG), to, &send, &meta,
				 &m))
			break;
		text[8]++;
		good += meta.id == na && meta.account == geteuid() &&
			m.type == BUS1_MESSAGE_TYPE_USER &&
			m.n_data == send.n_data && data[0] == 'r' + 1 &&
			data[8] == text[8];
	}
	ok(good == 100 && b1_child_ok(pid) && b1_empty(a),
	   "call: 100 requests and their replies, both sides by it (%u)", good);
	close(a);
	close(b);
}

/* Two entries, of which the kernel finds the second read-only. */
static struct bus1_transfer *pages;

static void on_segv(int signum)
{
	(void)signum;
	mprotect(pages, 8192, PROT_READ | PROT_WRITE);
}

static void test_call_restores(void)
{
	struct sigaction sa = { .sa_handler = on_segv, .sa_flags = SA_RESTART };
	int a = libbus1_open(), b = libbus1_open(), r;
	struct bus1_message send = flat("hi", 2), m;
	struct bus1_transfer *t, create = CREATE;
	struct bus1_metadata meta;
	uint64_t to;
	char data[8];

	b1_node_to(b, a, &to);
	pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	t = &pages[4096 / sizeof(*t) - 1];
	t[0] = t[1] = create;
	mprotect(&t[1], 4096, PROT_READ);
	sigaction(SIGSEGV, &sa, NULL);
	send.n_transfers = 2;
	send.ptr_transfers = BUS1_FROM_PTR(t);
	m = flat(data, sizeof(data));
	r = libbus1_call(a, BUS1_INVALID, to, &send, &meta, &m);
	signal(SIGSEGV, SIG_DFL);
	ok(r == -EFAULT && !memcmp(&t[0], &create, sizeof(create)) &&
	   !memcmp(&t[1], &create, sizeof(create)) && b1_empty(a) &&
	   b1_empty(b), "call: IDs that came to nothing are taken back");
	munmap(pages, 8192);
	close(a);
	close(b);
}

static void test_call_fails(void)
{
	struct bus1_transfer t[2] = { CREATE, { 0, 0x123457 } };
	int a = libbus1_open(), b = libbus1_open();
	struct bus1_message send = flat("hi", 2), m;
	struct bus1_metadata meta;
	uint64_t nb, to, back, d;
	struct b1_msg got;
	char data[8];

	nb = b1_node_to(b, a, &to);
	send.n_transfers = 2;
	send.ptr_transfers = BUS1_FROM_PTR(t);
	m = flat(data, sizeof(data));
	ok(libbus1_call(a, BUS1_INVALID, to, &send, &meta, &m) == -EBADRQC &&
	   t[0].flags == BUS1_TRANSFER_FLAG_CREATE &&
	   t[0].id == BUS1_INVALID && b1_empty(b) && b1_empty(a),
	   "call: an unknown handle: nothing sent, CREATE as before");
	send.n_transfers = 1;
	ok(libbus1_call(a, BUS1_INVALID, 0x123457, &send, &meta, &m) ==
	   -EBADRQC && t[0].id == BUS1_INVALID, "call: to an unknown one");
	m.flags = 2;
	ok(libbus1_call(a, BUS1_INVALID, to, &send, &meta, &m) == -EINVAL &&
	   t[0].id == BUS1_INVALID && b1_empty(b),
	   "call: a bad room: nothing sent");
	send.n_transfers = BUS1_MAX_TRANSFERS + 1;
	m = flat(data, sizeof(data));
	ok(libbus1_call(a, BUS1_INVALID, to, &send, &meta, &m) == -EMSGSIZE,
	   "call: too many transfers");

	send.n_transfers = 1;
	ok(libbus1_call(a, 0, to, &send, &meta, &m) == ETIMEDOUT &&
	   b1_id_ok(t[0].id) && b1_hears_msg(b, nb, "hi", 2, 1, &got) &&
	   b1_empty(b), "call: sent, but no reply by the deadline");
	back = got.t[0].id;
	ok(libbus1_post(b, back, "a long reply", 12, NULL, 0) == 0 &&
	   libbus1_recv_wait(a, 1, &meta, &m) == -EMSGSIZE &&
	   b1_hears(a, t[0].id, "a long reply"), "call: it comes late");

	/* What is there already is received, before any reply. */
	libbus1_post(b, back, "early, and long", 15, NULL, 0);
	send.n_transfers = 0;
	m = flat(data, sizeof(data));
	d = libbus1_deadline(LONG);
	ok(libbus1_call(a, d, to, &send, &meta, &m) == EMSGSIZE &&
	   m.n_data == 15 && b1_hears(b, nb, "hi") && b1_empty(b),
	   "call: sent, but what comes is too large: EMSGSIZE, and its size");
	ok(b1_hears(a, t[0].id, "early, and long"), "call: which stays");
	close(a);
	close(b);
}

static void test_call_signal(void)
{
	int a = libbus1_open(), b = libbus1_open(), r;
	struct bus1_message send = flat("hi", 2), m;
	struct bus1_metadata meta;
	uint64_t na, nb, to, back, d = libbus1_deadline(LONG);
	timer_t timer;
	char data[8];

	nb = b1_node_to(b, a, &to);
	na = b1_node_to(a, b, &back);
	m = flat(data, sizeof(data));
	timer = signals_begin(SA_RESTART);
	r = libbus1_call(a, d, to, &send, &meta, &m);
	signals_end(timer);
	ok(r == EINTR && signals, "call: a signal in the wait: a positive one");
	ok(b1_hears(b, nb, "hi") && b1_empty(b), "call: it was sent, and once");
	libbus1_post(b, back, "ho", 2, NULL, 0);
	m = flat(data, sizeof(data));
	ok(libbus1_recv_wait(a, d, &meta, &m) == 0 && meta.id == na &&
	   m.n_data == 2 && !memcmp(data, "ho", 2),
	   "call: recv_wait goes on, to the same deadline");
	close(a);
	close(b);
}

#define BIG (3 << 20)
#define MANY 40

static void test_msg_wait(void)
{
	int a = libbus1_open();
	char *big = malloc(BIG);
	struct libbus1_msg msg;
	uint64_t node, to;
	pid_t pid;

	node = b1_node(a, &to);
	memset(big, 'b', BIG);
	libbus1_msg_init(&msg, 0, 0);
	ok(libbus1_msg_recv_wait(&msg, a, 0) == -EAGAIN &&
	   libbus1_msg_recv_wait(&msg, a, 1) == -ETIMEDOUT &&
	   msg.type == BUS1_INVALID && !msg.n_data && !msg.n_handles,
	   "msg_wait: nothing there");
	pid = later(a, to, big, BIG);
	ok(libbus1_msg_recv_wait(&msg, a, libbus1_deadline(LONG)) == 0 &&
	   msg.id == node && msg.n_data == BIG && !memcmp(msg.data, big, BIG) &&
	   b1_child_ok(pid), "msg_wait: grows for what comes");
	msg.max_data = BIG - 1;
	libbus1_post(a, to, big, BIG, NULL, 0);
	ok(libbus1_msg_recv_wait(&msg, a, BUS1_INVALID) == -EMSGSIZE &&
	   msg.n_data == BIG && libbus1_msg_discard(&msg, a) == 0 &&
	   b1_empty(a), "msg_wait: not beyond the limit");
	libbus1_msg_deinit(&msg);
	free(big);
	close(a);
}

/* One peer, which sends to itself: what is called is what comes. */
static void test_msg_call(void)
{
	struct bus1_transfer t[MANY] = { CREATE };
	int a = libbus1_open(), b = libbus1_open();
	char *big = malloc(BIG);
	struct libbus1_msg msg;
	uint64_t node, to, nb, away;
	unsigned int i, usable = 0;

	node = b1_node(a, &to);
	nb = b1_node_to(b, a, &away);
	memset(big, 'b', BIG);
	libbus1_msg_init(&msg, 0, 0);
	ok(libbus1_msg_call(&msg, a, 0, to, "small", 5, t, 1) == 0 &&
	   msg.id == node && msg.n_data == 5 && msg.n_handles == 1 &&
	   !memcmp(msg.data, "small", 5) && b1_has_handle(a, msg.handles[0]) &&
	   b1_id_ok(t[0].id), "msg_call: a small one, with the new node's handle");
	for (i = 0; i < MANY; i++)
		t[i] = (struct bus1_transfer){ 0, to };
	ok(libbus1_msg_call(&msg, a, 0, to, big, BIG, t, MANY) == 0 &&
	   msg.n_data == BIG && !memcmp(msg.data, big, BIG) &&
	   msg.n_handles == MANY,
	   "msg_call: grows for 3 MiB and 40 handles");
	for (i = 0; i < MANY; i++)
		usable += b1_has_handle(a, msg.handles[i]);
	ok(usable == MANY && b1_empty(a), "msg_call: all of them handles");

	memset(msg.data, 'c', 7);
	ok(libbus1_msg_call(&msg, a, 1, to, msg.data, msg.n_data, NULL, 0) ==
	   0 && msg.n_data == BIG && !memcmp(msg.data, "cccccccb", 8),
	   "msg_call: what was received goes back from where it lies");
	/* As a small buffer, that the new limit would let grow. */
	libbus1_msg_deinit(&msg);
	msg.max_data = 10;
	ok(libbus1_msg_call(&msg, a, 0, to, "0123456789", 10, NULL, 0) == 0,
	   "msg_call: up to the limit");
	msg.max_data = 4096;
	ok(libbus1_msg_call(&msg, a, 0, to, msg.data, 10, NULL, 0) == 0 &&
	   msg.n_data == 10 && !memcmp(msg.data, "0123456789", 10),
	   "msg_call: also where the limit was raised since");
	ok(libbus1_msg_call(&msg, a, 0, to, big, 4097, NULL, 0) == EMSGSIZE &&
	   msg.n_data == 4097 && libbus1_msg_discard(&msg, a) == 0 &&
	   b1_empty(a), "msg_call: sent, but not received beyond the limit");

	t[0] = (struct bus1_transfer)CREATE;
	t[1].id = 0x123457;
	libbus1_msg_recv(&msg, a);
	ok(libbus1_msg_call(&msg, a, BUS1_INVALID, away, "x", 1, t, 2) ==
	   -EBADRQC && t[0].id == BUS1_INVALID &&
	   t[0].flags == BUS1_TRANSFER_FLAG_CREATE && b1_empty(b),
	   "msg_call: nothing sent, CREATE as before");
	ok(libbus1_msg_call(&msg, a, libbus1_deadline(50), away, "x", 1, NULL,
			    0) == ETIMEDOUT && b1_hears(b, nb, "x") &&
	   msg.type == BUS1_INVALID, "msg_call: sent, but nothing comes");
	libbus1_msg_deinit(&msg);
	free(big);
	close(a);
	close(b);
}

int main(void)
{
	close(b1_open()); /* says so if there is no module */
	test_features();
	test_deadline();
	test_recv_wait();
	test_sleepers();
	test_batch();
	test_call();
	test_call_fails();
	test_call_restores();
	test_call_signal();
	test_msg_wait();
	test_msg_call();
	return done_testing();
}
