// SPDX-License-Identifier: GPL-2.0-only
/*
 * scale - many receivers, many senders, handles passed on
 *
 *   scale [GROUP[,GROUP]...]
 *
 * multicast-SIZE  one SEND to N receivers, and N sends by the others: what it
 *                 costs the sender, for each receiver
 * fanin           N senders to one receiver, send and receive, a message of 8
 *                 bytes; users: of N users; batch: received by RECV_BATCH
 * handles         a message of 8 bytes with N handles: send, receive and drop
 *                 them, beside N descriptors by SCM_RIGHTS
 *
 * See bench.h for the lines that are printed. Everybody is served by one
 * process: there is no switch in these figures.
 */
#define _GNU_SOURCE
#include <mqueue.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "scale.h"

#define MOST 512
#define ROOM 4096
/* Messages queued for a receiver before it is drained; mq takes 10. */
#define BURST 8

static char out_data[ROOM], in_data[ROOM];

/* What is sent next, told apart from all before at both its ends. */
static void mark(size_t size)
{
	static uint64_t n;

	n++;
	memcpy(out_data, &n, sizeof(n));
	memcpy(out_data + size - sizeof(n), &n, sizeof(n));
}

static void check(size_t size, uint64_t first)
{
	uint64_t a, b;

	memcpy(&a, in_data, sizeof(a));
	memcpy(&b, in_data + size - sizeof(b), sizeof(b));
	if (a == first && b == first)
		return;
	fprintf(stderr, "scale: received something other than was sent\n");
	exit(1);
}

static uint64_t marked(void)
{
	uint64_t n;

	memcpy(&n, out_data, sizeof(n));
	return n;
}

/* One to many: a sender's end and a receiver's end of each. */
struct fan {
	const struct fan_way *way;
	size_t size;
	int n;
	int from;
	int out[MOST];
	int in[MOST];
	uint64_t handle[MOST];
};

struct fan_way {
	const char *name;
	void (*make)(struct fan *f, int i);
	void (*send)(struct fan *f);
	void (*recv)(struct fan *f, int i);
};

static void bus1_make(struct fan *f, int i)
{
	if (!i)
		f->from = scale_open();
	f->in[i] = scale_open();
	f->handle[i] = scale_node(f->in[i], f->from, NULL);
}

static void bus1_send(struct fan *f)
{
	scale_send(f->from, f->n, f->handle, out_data, f->size, NULL, 0);
}

static void bus1_recv(struct fan *f, int i)
{
	scale_recv(f->in[i], in_data, f->size, NULL, 0);
}

static void unix_make(struct fan *f, int i)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s))
		bench_fail("socketpair");
	f->out[i] = s[0];
	f->in[i] = s[1];
}

static void unix_send(struct fan *f)
{
	int i;

	for (i = 0; i < f->n; i++)
		if (send(f->out[i], out_data, f->size, 0) != (ssize_t)f->size)
			bench_fail("send");
}

static void unix_recv(struct fan *f, int i)
{
	if (recv(f->in[i], in_data, f->size, 0) != (ssize_t)f->size)
		bench_fail("recv");
}

static int mq_new(size_t size, long most)
{
	struct mq_attr attr = { .mq_maxmsg = most, .mq_msgsize = size };
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	char name[32];
	int q;

	if (setrlimit(RLIMIT_MSGQUEUE, &none))
		bench_fail("setrlimit (root is needed)");
	snprintf(name, sizeof(name), "/bus1-scale-%d", getpid());
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (q < 0 || mq_unlink(name))
		bench_fail("mq_open");
	return q;
}

static void mq_make(struct fan *f, int i)
{
	f->in[i] = mq_new(f->size, BURST);
	f->out[i] = -1;
}

static void mq_put(struct fan *f)
{
	int i;

	for (i = 0; i < f->n; i++)
		if (mq_send(f->in[i], out_data, f->size, 0))
			bench_fail("mq_send");
}

static void mq_get(struct fan *f, int i)
{
	if (mq_receive(f->in[i], in_data, f->size, NULL) != (ssize_t)f->size)
		bench_fail("mq_receive");
}

static void pipe_make(struct fan *f, int i)
{
	int p[2];

	if (pipe(p))
		bench_fail("pipe");
	f->in[i] = p[0];
	f->out[i] = p[1];
}

static void pipe_put(struct fan *f)
{
	int i;

	for (i = 0; i < f->n; i++)
		if (write(f->out[i], out_data, f->size) != (ssize_t)f->size)
			bench_fail("write");
}

static void pipe_get(struct fan *f, int i)
{
	if (read(f->in[i], in_data, f->size) != (ssize_t)f->size)
		bench_fail("read");
}

static const struct fan_way fan_ways[] = {
	{ "bus1", bus1_make, bus1_send, bus1_recv },
	{ "seqpacket", unix_make, unix_send, unix_recv },
	{ "mq", mq_make, mq_put, mq_get },
	{ "pipe", pipe_make, pipe_put, pipe_get },
};

/* A round is a burst of messages; only that they are sent is timed. */
static uint64_t fan_run(void *arg, long rounds)
{
	uint64_t took = 0, start, first;
	struct fan *f = arg;
	int i, k;

	while (rounds--) {
		first = marked() + 1;
		start = bench_now();
		for (k = 0; k < BURST; k++) {
			mark(f->size);
			f->way->send(f);
		}
		took += bench_now() - start;
		for (i = 0; i < f->n; i++) {
			for (k = 0; k < BURST; k++) {
				f->way->recv(f, i);
				check(f->size, first + k);
			}
		}
	}
	return took;
}

static void multicast(const char *group, size_t size)
{
	static const int counts[] = { 1, 8, 64, MOST };
	static struct fan f;
	double value, spread;
	unsigned int c, w;
	int i;

	for (c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
		for (w = 0; w < sizeof(fan_ways) / sizeof(*fan_ways); w++) {
			f = (struct fan){
				.way = &fan_ways[w],
				.size = size,
				.n = counts[c],
				.from = -1,
			};
			for (i = 0; i < f.n; i++) {
				f.out[i] = -1;
				f.way->make(&f, i);
			}
			value = scale_measure(fan_run, &f, BENCH_RUN_NS, &spread);
			bench_print(group, f.way->name, f.n,
				    value / BURST / f.n, spread);
			close(f.from);
			for (i = 0; i < f.n; i++) {
				close(f.in[i]);
				close(f.out[i]);
			}
		}
	}
}

/* Many to one. All @n send, then all is received; or @burst by @burst. */
struct fanin {
	const struct fanin_way *way;
	int n;
	int burst;
	int to;
	int ready; /* epoll */
	int from[MOST];
	int in[MOST];
	uint64_t handle[MOST];
	int n_events, at; /* of what follows */
	struct epoll_event events[MOST];
	struct bus1_received received[MOST];
	uint64_t data[MOST];
};

struct fanin_way {
	const char *name;
	int burst;
	void (*make)(struct fanin *f, int i);
	void (*send)(struct fanin *f, int i);
	void (*recv)(struct fanin *f);
};

static void fanin_bus1_make(struct fanin *f, int i)
{
	if (!i)
		f->to = scale_open();
	f->from[i] = scale_open();
	f->handle[i] = scale_node(f->to, f->from[i], NULL);
}

static void fanin_users_make(struct fanin *f, int i)
{
	if (!i)
		f->to = scale_open();
	f->from[i] = scale_open_as(1000 + i);
	f->handle[i] = scale_node(f->to, f->from[i], NULL);
}

static void fanin_bus1_send(struct fanin *f, int i)
{
	scale_send(f->from[i], 1, &f->handle[i], out_data, 8, NULL, 0);
}

static void fanin_bus1_recv(struct fanin *f)
{
	scale_recv(f->to, in_data, 8, NULL, 0);
}

/* What is there at once is received at once. */
static void fanin_batch_recv(struct fanin *f)
{
	struct bus1_cmd_recv_batch cmd = {
		.n_received = f->n,
		.ptr_received = BUS1_FROM_PTR(f->received),
	};
	int i;

	if (f->at == f->n_events) {
		for (i = 0; i < f->n; i++)
			f->received[i].message = (struct bus1_message){
				.flags = BUS1_MESSAGE_FLAG_FLAT,
				.type = BUS1_INVALID,
				.n_data = 8,
				.n_data_vecs = 8,
				.ptr_data_vecs = BUS1_FROM_PTR(&f->data[i]),
			};
		f->at = 0;
		f->n_events = ioctl(f->to, BUS1_CMD_RECV_BATCH, &cmd);
		if (f->n_events < 1)
			bench_fail("RECV_BATCH");
	}
	memcpy(in_data, &f->data[f->at++], 8);
}

/* A connection for each sender: who serves them asks which of them has sent. */
static void fanin_unix_make(struct fanin *f, int i)
{
	struct epoll_event event = { .events = EPOLLIN };
	int s[2];

	if (!i)
		f->ready = epoll_create1(0);
	if (f->ready < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s))
		bench_fail("socketpair");
	f->from[i] = s[0];
	f->in[i] = event.data.fd = s[1];
	if (epoll_ctl(f->ready, EPOLL_CTL_ADD, s[1], &event))
		bench_fail("epoll_ctl");
}

static void fanin_unix_send(struct fanin *f, int i)
{
	if (send(f->from[i], out_data, 8, 0) != 8)
		bench_fail("send");
}

static void fanin_unix_recv(struct fanin *f)
{
	if (f->at == f->n_events) {
		f->at = 0;
		f->n_events = epoll_wait(f->ready, f->events, MOST, -1);
		if (f->n_events < 1)
			bench_fail("epoll_wait");
	}
	if (recv(f->events[f->at++].data.fd, in_data, 8, 0) != 8)
		bench_fail("recv");
}

static void fanin_dgram_make(struct fanin *f, int i)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(name.sun_family);

	if (!i) {
		f->to = socket(AF_UNIX, SOCK_DGRAM, 0);
		/* a name that the kernel chooses */
		if (f->to < 0 || bind(f->to, (struct sockaddr *)&name, len))
			bench_fail("bind");
	}
	len = sizeof(name);
	f->from[i] = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (f->from[i] < 0 ||
	    getsockname(f->to, (struct sockaddr *)&name, &len) ||
	    connect(f->from[i], (struct sockaddr *)&name, len))
		bench_fail("connect");
}

static void fanin_dgram_recv(struct fanin *f)
{
	if (recv(f->to, in_data, 8, 0) != 8)
		bench_fail("recv");
}

static void fanin_mq_make(struct fanin *f, int i)
{
	if (!i)
		f->to = mq_new(8, MOST);
	f->from[i] = dup(f->to);
}

static void fanin_mq_send(struct fanin *f, int i)
{
	if (mq_send(f->from[i], out_data, 8, 0))
		bench_fail("mq_send");
}

static void fanin_mq_recv(struct fanin *f)
{
	if (mq_receive(f->to, in_data, 8, NULL) != 8)
		bench_fail("mq_receive");
}

/* A datagram socket queues 10, unless the system is told otherwise. */
static const struct fanin_way fanin_ways[] = {
	{ "bus1", MOST, fanin_bus1_make, fanin_bus1_send, fanin_bus1_recv },
	{ "bus1 users", MOST, fanin_users_make, fanin_bus1_send,
	  fanin_bus1_recv },
	{ "bus1 batch", MOST, fanin_bus1_make, fanin_bus1_send,
	  fanin_batch_recv },
	{ "seqpacket", MOST, fanin_unix_make, fanin_unix_send,
	  fanin_unix_recv },
	{ "dgram", BURST, fanin_dgram_make, fanin_unix_send,
	  fanin_dgram_recv },
	{ "mq", MOST, fanin_mq_make, fanin_mq_send, fanin_mq_recv },
};

static uint64_t fanin_run(void *arg, long rounds)
{
	uint64_t first, start = bench_now(), sum;
	struct fanin *f = arg;
	int i, k, n;
	uint64_t a;

	while (rounds--) {
		for (i = 0; i < f->n; i += n) {
			n = f->n - i < f->burst ? f->n - i : f->burst;
			first = marked() + 1;
			sum = 0;
			for (k = 0; k < n; k++) {
				mark(8);
				f->way->send(f, i + k);
			}
			/* who serves connections takes them in any order */
			for (k = 0; k < n; k++) {
				f->way->recv(f);
				memcpy(&a, in_data, sizeof(a));
				sum += a - first;
			}
			if (sum != (uint64_t)n * (n - 1) / 2)
				check(8, 0);
		}
	}
	return bench_now() - start;
}

static void fanin(const char *group)
{
	static const int counts[] = { 1, 8, 64, MOST };
	static struct fanin f;
	double value, spread;
	unsigned int c, w;
	int i;

	for (c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
		for (w = 0; w < sizeof(fanin_ways) / sizeof(*fanin_ways); w++) {
			if (fanin_ways[w].recv == fanin_batch_recv &&
			    !(scale_features() & BUS1_FEATURE_BATCH))
				continue;
			f = (struct fanin){
				.way = &fanin_ways[w],
				.n = counts[c],
				.burst = fanin_ways[w].burst,
				.to = -1,
				.ready = -1,
			};
			for (i = 0; i < f.n; i++) {
				f.in[i] = -1;
				f.way->make(&f, i);
			}
			value = scale_measure(fanin_run, &f, BENCH_RUN_NS, &spread);
			bench_print(group, f.way->name, f.n, value / f.n,
				    spread);
			close(f.to);
			close(f.ready);
			for (i = 0; i < f.n; i++) {
				close(f.from[i]);
				close(f.in[i]);
			}
		}
	}
}

/* From one end of a channel to the other, with something of worth. */
#define MOST_PASSED 64

struct pass {
	int from, to;
	uint64_t handle;
	int n;
	uint64_t node[MOST_PASSED]; /* what is passed are handles to them */
	struct bus1_transfer out[MOST_PASSED], in[MOST_PASSED];
	int fds[MOST_PASSED], got[MOST_PASSED];
};

static uint64_t pass_bus1(void *arg, long rounds)
{
	uint64_t start = bench_now(), ids[MOST_PASSED];
	struct pass *p = arg;
	int i;

	while (rounds--) {
		mark(8);
		scale_send(p->from, 1, &p->handle, out_data, 8, p->out, p->n);
		scale_recv(p->to, in_data, 8, p->in, p->n);
		if (!p->n)
			continue;
		for (i = 0; i < p->n; i++)
			ids[i] = p->in[i].id;
		scale_release(p->to, p->n, ids);
	}
	return bench_now() - start;
}

static void pass_send_fds(struct pass *p)
{
	char control[CMSG_SPACE(sizeof(p->fds))] = { 0 };
	struct iovec vec = { out_data, 8 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control;

	if (p->n) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(p->n * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(p->n * sizeof(int));
		memcpy(CMSG_DATA(c), p->fds, p->n * sizeof(int));
	}
	if (sendmsg(p->from, &msg, 0) != 8)
		bench_fail("sendmsg");
}

static void pass_recv_fds(struct pass *p)
{
	char control[CMSG_SPACE(sizeof(p->fds))];
	struct iovec vec = { in_data, 8 };
	struct msghdr msg = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = p->n ? control : NULL,
		.msg_controllen = p->n ? sizeof(control) : 0,
	};
	struct cmsghdr *c = (struct cmsghdr *)control;

	if (recvmsg(p->to, &msg, MSG_CMSG_CLOEXEC) != 8)
		bench_fail("recvmsg");
	if (!p->n)
		return;
	if (!CMSG_FIRSTHDR(&msg) || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(p->n * sizeof(int)))
		bench_fail("recvmsg without descriptors");
	memcpy(p->got, CMSG_DATA(c), p->n * sizeof(int));
}

static uint64_t pass_unix(void *arg, long rounds)
{
	uint64_t start = bench_now();
	struct pass *p = arg;
	int i;

	while (rounds--) {
		mark(8);
		pass_send_fds(p);
		pass_recv_fds(p);
		for (i = 0; i < p->n; i++)
			close(p->got[i]);
	}
	return bench_now() - start;
}

/* What arrives reaches what was passed. */
static void pass_check_bus1(struct pass *p)
{
	struct raw_msg m = { 0 };
	uint64_t handle;

	mark(8);
	scale_send(p->from, 1, &p->handle, out_data, 8, p->out, p->n);
	scale_recv(p->to, in_data, 8, p->in, p->n);
	check(8, marked());
	handle = p->in[p->n - 1].id;
	scale_send(p->to, 1, &handle, out_data, 8, NULL, 0);
	errno = scale_try(p->from, &m, in_data, 8, NULL, 0, 0);
	if (errno || m.id != p->node[p->n - 1])
		bench_fail("a handle that was passed leads elsewhere");
	check(8, marked());
}

static void pass_check_unix(struct pass *p)
{
	uint64_t n = 7;

	mark(8);
	pass_send_fds(p);
	pass_recv_fds(p);
	check(8, marked());
	if (write(p->got[p->n - 1], &n, 8) != 8 ||
	    read(p->fds[p->n - 1], &n, 8) != 8 || n != 7)
		bench_fail("a descriptor that was passed leads elsewhere");
}

static void pass_open(struct pass *p)
{
	int i;

	p->from = scale_open();
	p->to = scale_open();
	p->handle = scale_node(p->to, p->from, NULL);
	for (i = 0; i < MOST_PASSED; i++)
		p->out[i].id = scale_node(p->from, p->from, &p->node[i]);
	p->n = 1;
	pass_bus1(p, SCALE_USED_IDS);
}

static void handles(const char *group)
{
	static const int counts[] = { 0, 1, 8, MOST_PASSED };
	struct pass b = { 0 }, u = { 0 };
	double value, spread;
	unsigned int c;
	int i, s[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s))
		bench_fail("socketpair");
	u.from = s[0];
	u.to = s[1];
	for (i = 0; i < MOST_PASSED; i++)
		u.fds[i] = eventfd(0, EFD_CLOEXEC);

	for (c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
		pass_open(&b);
		b.n = u.n = counts[c];
		value = scale_measure(pass_bus1, &b, SCALE_RUN_NS, &spread);
		bench_print(group, "bus1", b.n, value, spread);
		if (b.n)
			pass_check_bus1(&b);
		close(b.from);
		close(b.to);
		value = scale_measure(pass_unix, &u, SCALE_RUN_NS, &spread);
		bench_print(group, "seqpacket", u.n, value, spread);
	}
	pass_check_unix(&u);
	close(u.from);
	close(u.to);
	for (i = 0; i < MOST_PASSED; i++) {
		close(u.fds[i]);
		close(u.got[i]);
	}
}

static void multicast_8(const char *group)
{
	multicast(group, 8);
}

static void multicast_4096(const char *group)
{
	multicast(group, ROOM);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(const char *group);
	} groups[] = {
		{ "multicast-8", multicast_8 },
		{ "multicast-4096", multicast_4096 },
		{ "fanin", fanin },
		{ "handles", handles },
	};
	unsigned int i;

	if (argc > 2) {
		fputs("usage: scale [GROUP[,GROUP]...]\n", stderr);
		return 2;
	}
	scale_files();
	bench_settle();
	for (i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		if (bench_listed(argv[1], groups[i].name))
			groups[i].print(groups[i].name);
	return 0;
}
