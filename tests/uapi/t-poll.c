// SPDX-License-Identifier: GPL-2.0-only
/* EPOLLIN exactly while RECV has something; every sleeper is woken. */
#include <linux/io_uring.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "b1.h"

static int a, b;
static uint64_t node, handle;

static bool sel(int fd)
{
	struct timeval tv = { 0 };
	fd_set in, out;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	select(fd + 1, &in, &out, NULL, &tv);
	if (!FD_ISSET(fd, &out))
		diag("select: not writable");
	return FD_ISSET(fd, &in);
}

static int epoll_of(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		bail_out("epoll: %s", strerror(errno));
	return ep;
}

/* The events epoll reports within @ms; 0 if none. */
static uint32_t epoll_get(int ep, int ms)
{
	struct epoll_event ev = { 0 };

	return epoll_wait(ep, &ev, 1, ms) == 1 ? ev.events : 0;
}

static void test_state(void)
{
	int ep = epoll_of(a, EPOLLIN | EPOLLOUT);
	int hup = epoll_of(a, EPOLLIN | EPOLLPRI | EPOLLRDHUP);
	struct b1_msg m;
	uint64_t n2, h2;

	ok(!b1_readable(a) && !sel(a) && epoll_get(ep, 0) == EPOLLOUT,
	   "a new peer: writable, not readable");
	ok(!(epoll_get(hup, 0) & (EPOLLERR | EPOLLHUP | EPOLLPRI | EPOLLRDHUP)),
	   "nothing else is ever reported");
	b1_says(b, handle, "1");
	b1_says(b, handle, "22");
	ok(b1_readable(a) && sel(a) && epoll_get(ep, 0) == (EPOLLIN | EPOLLOUT),
	   "a message: readable, by poll, select and epoll");
	b1_recv_room(a, &m, 0, 0);
	ok(b1_readable(a) && sel(a), "D07: after EMSGSIZE still");
	b1_ioctl(a, BUS1_CMD_RECV, &(struct bus1_cmd_recv){ 0 });
	ok(b1_readable(a) && sel(a), "D12: after EFAULT still");
	b1_hears(a, node, "1");
	ok(b1_readable(a) && sel(a), "with one of two left still");
	b1_hears(a, node, "22");
	ok(!b1_readable(a) && !sel(a) && epoll_get(ep, 0) == EPOLLOUT,
	   "D06: with none left no more");
	n2 = b1_node_to(a, b, &h2);
	b1_drop(b, h2);
	ok(sel(a) && (epoll_get(ep, 0) & EPOLLIN), "a notification");
	b1_drop(a, n2);
	ok(!sel(a) && !(epoll_get(ep, 0) & EPOLLIN),
	   "D06: it vanished: no more");
	n2 = b1_node_to(a, b, &h2);
	b1_says(b, h2, "x");
	ok(sel(a) && b1_drop(a, n2) == 0 && !sel(a) &&
		   !(epoll_get(ep, 0) & EPOLLIN) && b1_node_gone(b, h2),
	   "D06: the only message discarded with its node: no more");
	ok(b1_empty(a) && b1_empty(b), "nothing is left");
	close(ep);
	close(hup);
}

static void test_edge(void)
{
	int ep = epoll_of(a, EPOLLIN | EPOLLET), k, good = 0;

	ok(!epoll_get(ep, 0), "edge: nothing yet");
	b1_says(b, handle, "1");
	ok(epoll_get(ep, 0) == EPOLLIN && !epoll_get(ep, 0), "edge: once");
	b1_hears(a, node, "1");
	ok(b1_empty(a) && !epoll_get(ep, 0), "edge: nothing after the last");
	for (k = 0; k < 50; k++) {
		b1_says(b, handle, "again");
		good += epoll_get(ep, 0) == EPOLLIN;
		b1_hears(a, node, "again");
	}
	ok(good == 50, "edge: each message after an empty queue (%d)", good);
	close(ep);
	b1_says(b, handle, "early");
	ep = epoll_of(a, EPOLLIN | EPOLLET);
	ok(epoll_get(ep, 0) == EPOLLIN, "edge: what was there before");
	b1_hears(a, node, "early");
	close(ep);
	ep = epoll_of(a, EPOLLIN | EPOLLONESHOT);
	b1_says(b, handle, "1");
	ok(epoll_get(ep, 0) == EPOLLIN && !epoll_get(ep, 0), "one shot");
	b1_hears(a, node, "1");
	close(ep);
}

static void test_nested(void)
{
	int in = epoll_of(a, EPOLLIN), out = epoll_of(in, EPOLLIN | EPOLLET);
	int dup_a = dup(a), ep = epoll_of(dup_a, EPOLLIN);

	ok(!epoll_get(out, 0) && !epoll_get(ep, 0), "nested: nothing");
	b1_says(b, handle, "1");
	ok(epoll_get(out, 0) == EPOLLIN && epoll_get(in, 0) == EPOLLIN &&
		   epoll_get(ep, 0) == EPOLLIN,
	   "nested, and by a duplicate: there");
	b1_hears(dup_a, node, "1");
	ok(!epoll_get(in, 0) && !epoll_get(ep, 0), "received by the duplicate");
	close(dup_a);
	close(in);
	close(out);
	b1_says(b, handle, "2");
	ok(b1_hears(a, node, "2"), "the peer outlives the duplicate");
	close(ep);
}

/* --- sleepers ------------------------------------------------------------ */

struct sleeper {
	pthread_t thread;
	int fd;
	int how;
	bool woken;
	uint64_t ready;
};

static void *sleep_on(void *arg)
{
	struct sleeper *s = arg;
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	struct timeval tv = { .tv_sec = 20 };
	fd_set in;
	int ep;

	FD_ZERO(&in);
	FD_SET(s->fd, &in);
	switch (s->how) {
	case 0:
		s->woken = poll(&p, 1, 20000) == 1 && p.revents == POLLIN;
		break;
	case 1:
		s->woken = select(s->fd + 1, &in, NULL, NULL, &tv) == 1;
		break;
	default:
		ep = epoll_of(s->fd, EPOLLIN | (s->how == 3 ? EPOLLET : 0));
		s->woken = epoll_get(ep, 20000) == EPOLLIN;
		close(ep);
	}
	s->ready = b1_now();
	return NULL;
}

/* Let four threads sleep on @fd, do something, see that all wake at once. */
#define WAKES(_fd, _act, _what)                                            \
	do {                                                               \
		struct sleeper _s[4];                                      \
		bool _good = true;                                         \
		uint64_t _t;                                               \
		int _i;                                                    \
                                                                           \
		for (_i = 0; _i < 4; _i++) {                               \
			_s[_i] = (struct sleeper){ .fd = _fd, .how = _i }; \
			pthread_create(&_s[_i].thread, NULL, sleep_on,     \
				       &_s[_i]);                           \
		}                                                          \
		b1_msleep(100);                                            \
		_t = b1_now();                                             \
		_act;                                                      \
		for (_i = 0; _i < 4; _i++) {                               \
			pthread_join(_s[_i].thread, NULL);                 \
			_good &= _s[_i].woken &&                           \
				 _s[_i].ready - _t < 10000000000ull;       \
		}                                                          \
		ok(_good, "four sleepers are woken by " _what);            \
	} while (0)

static void in_child(int what, uint64_t id)
{
	pid_t pid = fork();

	if (!pid) {
		if (what)
			_exit(b1_drop(b, id));
		_exit(b1_says(b, id, "child"));
	}
	b1_child_ok(pid);
}

static void test_sleepers(void)
{
	int c = b1_open(), d;
	uint64_t h2, n2 = b1_node_to(a, b, &h2), hc, nc = b1_node_to(c, b, &hc);
	struct bus1_transfer t = { 0, hc };

	WAKES(a, b1_says(b, handle, "1"), "a message");
	b1_hears(a, node, "1");
	WAKES(a, b1_multicast(b, 1, &handle, NULL, "2", 1, &t, 1),
	      "a message with a handle");
	ok(b1_hears_msg(a, node, "2", 1, 1, &(struct b1_msg){}), "it is there");
	WAKES(a,
	      b1_multicast(b, 2, (uint64_t[]){ hc, handle }, NULL, "3", 1, NULL,
			   0),
	      "a multicast");
	b1_hears(a, node, "3");
	b1_hears(c, nc, "3");
	WAKES(a, in_child(0, handle), "another process");
	b1_hears(a, node, "child");
	WAKES(a, in_child(1, h2), "HANDLE_RELEASE from another process");
	ok(b1_handle_gone(a, n2), "it is there");
	n2 = b1_node_to(c, a, &h2);
	WAKES(a, b1_drop(c, n2), "NODE_RELEASE");
	ok(b1_node_gone(a, h2), "it is there");
	d = b1_open();
	n2 = b1_node_to(d, a, &h2);
	WAKES(a, close(d), "a closing peer");
	ok(b1_node_gone(a, h2), "it is there");
	d = dup(a);
	WAKES(d, b1_says(b, handle, "dup"), "a message, on a duplicate");
	b1_hears(a, node, "dup");
	close(d);
	close(c);
	/* What a handle sent to a drops when c's copy of it is the last. */
	while (b1_readable(b))
		b1_recv(b, &(struct b1_msg){});
	while (b1_readable(a))
		b1_recv(a, &(struct b1_msg){});
}

static void test_uring(void)
{
	struct io_uring_params p = { 0 };
	int ring = syscall(SYS_io_uring_setup, 4, &p);
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	uint32_t *tail, *array;
	char *sq, *cq;

	if (ring < 0) {
		skip(2, "no io_uring: %s", strerror(errno));
		return;
	}
	sq = mmap(NULL, p.sq_off.array + 16, PROT_READ | PROT_WRITE, MAP_SHARED,
		  ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + 8 * sizeof(*cqe),
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqe = mmap(NULL, 4 * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED,
		   ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqe == MAP_FAILED)
		bail_out("cannot map the ring");
	tail = (uint32_t *)(sq + p.sq_off.tail);
	array = (uint32_t *)(sq + p.sq_off.array);
	cqe = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
	*sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_POLL_ADD,
		.fd = a,
		.poll32_events = POLLIN,
		.user_data = 99,
	};
	array[0] = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0);
	tail = (uint32_t *)(cq + p.cq_off.tail);
	ok(__atomic_load_n(tail, __ATOMIC_ACQUIRE) == 0, "io_uring: not yet");
	in_child(0, handle);
	syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL,
		0);
	ok(__atomic_load_n(tail, __ATOMIC_ACQUIRE) == 1 &&
		   cqe->user_data == 99 && (cqe->res & POLLIN),
	   "io_uring: readable");
	b1_hears(a, node, "child");
	close(ring);
}

/* Edge-triggered, drained after each event: nothing may be slept through. */
static void *send_many(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 5000; i++)
		if (b1_send(b, handle, &i, sizeof(i)))
			break;
	return NULL;
}

static void test_drain(void)
{
	int ep = epoll_of(a, EPOLLIN | EPOLLET), got = 0;
	pthread_t thread;
	struct b1_msg m;

	pthread_create(&thread, NULL, send_many, NULL);
	while (got < 5000 && epoll_get(ep, 10000) == EPOLLIN)
		while (b1_recv(a, &m) == 0)
			got++;
	ok(got == 5000,
	   "edge: a reader that drains sleeps through nothing (%d)", got);
	pthread_join(thread, NULL);
	close(ep);
}

int main(void)
{
	a = b1_open();
	b = b1_open();
	node = b1_node_to(a, b, &handle);
	test_state();
	test_edge();
	test_nested();
	test_sleepers();
	test_uring();
	test_drain();
	close(a);
	close(b);
	return done_testing();
}
