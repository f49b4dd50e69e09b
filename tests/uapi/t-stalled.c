// SPDX-License-Identifier: GPL-2.0-only
/*
 * A RECV whose buffer does not come: it holds up other RECVs of its peer, and
 * nothing else. The page is one that userfaultfd never, or late, provides.
 */
#include <signal.h>
#include <stdatomic.h>

#include "stall.h"

static int a, b, c;
static uint64_t node, handle;

/* Receive, with one part of the output at @where. */
struct receiver {
	pthread_t thread;
	char *where;
	enum { DATA, TRANSFERS, METADATA } part;
	struct bus1_metadata meta;
	struct bus1_message msg;
	struct bus1_transfer t[4];
	char data[16];
	struct iovec vec;
	int result;
	atomic_bool finished;
};

static void *receive(void *arg)
{
	struct receiver *r = arg;
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&r->meta),
		.ptr_message = BUS1_FROM_PTR(&r->msg),
	};

	r->vec = (struct iovec){ r->data, sizeof(r->data) };
	r->msg = (struct bus1_message){
		.type = BUS1_INVALID,
		.n_transfers = 4,
		.ptr_transfers = BUS1_FROM_PTR(r->t),
		.n_data = 16,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&r->vec),
	};
	if (r->where && r->part == DATA)
		r->vec.iov_base = r->where;
	if (r->where && r->part == TRANSFERS)
		r->msg.ptr_transfers = BUS1_FROM_PTR(r->where);
	if (r->where && r->part == METADATA)
		cmd.ptr_metadata = BUS1_FROM_PTR(r->where);
	r->result = b1_ioctl(a, BUS1_CMD_RECV, &cmd);
	atomic_store(&r->finished, true);
	return NULL;
}

static void start(struct receiver *r, char *where, int part)
{
	memset(r, 0, sizeof(*r));
	r->where = where;
	r->part = part;
	pthread_create(&r->thread, NULL, receive, r);
}

static void open_peers(void)
{
	a = b1_open();
	b = b1_open();
	c = b1_open();
	node = b1_node_to(a, b, &handle);
}

static void close_peers(void)
{
	close(a);
	close(b);
	close(c);
}

/* Everything that is not a RECV on the peer goes on. */
static void test_others(int part)
{
	static const char *const parts[] = { "payload", "handles", "metadata" };
	struct receiver first, second;
	char *p = stall_page();
	uint64_t h, n, mine, back, nb;

	open_peers();
	b1_gives(b, handle, "stalled", handle);
	start(&first, p, part);
	if (!ok(stalled(), "a RECV stalls: %s", parts[part]))
		bail_out("userfaultfd says nothing");

	ok(b1_readable(a) && b1_count(a, "bus1-queued") == 1,
	   "D21: poll sees the message as the first; fdinfo answers");
	ok(b1_says(b, handle, "2") == 0 &&
		   b1_multicast(b, 1, &handle, NULL, "3", 1,
				&(struct bus1_transfer){ 0, handle }, 1) == 0,
	   "D21: others send to the peer");
	n = b1_node(a, &mine);
	ok(b1_says(a, mine, "self") == 0, "D21: it sends itself");
	nb = b1_node_to(b, a, &back);
	ok(b1_says(a, back, "out") == 0 && b1_hears(b, nb, "out"),
	   "D21: it sends to others, who receive");
	ok(b1_drop(a, back) == 0 && b1_handle_gone(b, nb), "D21: RELEASE");
	b1_node_to(a, c, &h);
	h = b1_copy(c, h, a);
	ok(b1_drop(a, h) == 0, "D21: TRANSFER out of it and into it");
	ok(b1_release(a, 2, (uint64_t[]){ n, mine }) == 0 &&
		   b1_count(a, "bus1-queued") == 3,
	   "D21: a node with a message, and its handle, released");
	start(&second, NULL, DATA);
	b1_msleep(100);
	ok(!atomic_load(&second.finished) && !atomic_load(&first.finished),
	   "a second RECV waits its turn");
	provide(p);
	pthread_join(first.thread, NULL);
	pthread_join(second.thread, NULL);
	ok(!first.result && first.msg.n_data == 7 && first.msg.n_transfers == 1,
	   "the page comes: the first is received");
	ok(!second.result && second.msg.n_data == 1 && second.data[0] == '2',
	   "and the second RECV has the second");
	close_peers();
	munmap(p, stall_size);
}

/* What is being copied vanishes: RECV takes the next, or has nothing. */
/* Messages in a peer's queue, as debugfs lists them. */
static int listed(int peer)
{
	FILE *f = fopen("/sys/kernel/debug/bus1/objects", "r");
	char line[512], start[64];
	int n = 0;

	if (!f)
		bail_out("no /sys/kernel/debug/bus1/objects");
	snprintf(start, sizeof(start), "message peer=%lld ",
		 (long long)b1_count(peer, "bus1-peer"));
	while (fgets(line, sizeof(line), f))
		n += !strncmp(line, start, strlen(start));
	fclose(f);
	return n;
}

static void test_vanish(void)
{
	struct receiver r;
	char *p = stall_page();
	uint64_t h, n;

	open_peers();
	n = b1_node_to(a, b, &h);
	b1_gives(b, h, "vanishes", h);
	b1_says(b, handle, "next");
	start(&r, p, DATA);
	ok(stalled() && listed(a) == 2, "a message is listed while it is copied");
	ok(b1_drop(a, n) == 0 && b1_node_gone(b, h) && listed(a) == 1,
	   "its node is released meanwhile");
	ok(b1_count(a, "bus1-queued") == 1 &&
		   b1_count(a, "bus1-queued-bytes") == 4,
	   "it is discarded at once");
	provide(p);
	pthread_join(r.thread, NULL);
	ok(!r.result && r.meta.id == node && r.msg.n_data == 4 &&
		   r.msg.n_transfers == 0 && !memcmp(p, "next", 4),
	   "RECV takes the next");
	munmap(p, stall_size);
	p = stall_page();
	n = b1_node_to(a, b, &h);
	b1_says(b, h, "vanishes");
	start(&r, p, DATA);
	ok(stalled() && b1_drop(a, n) == 0 && !b1_readable(a),
	   "the only message: not readable any more");
	provide(p);
	pthread_join(r.thread, NULL);
	ok(r.result == EAGAIN && r.msg.type == BUS1_INVALID &&
		   r.msg.n_transfers == 4 && r.msg.n_data == 16,
	   "RECV has nothing, and can be repeated as it is");
	munmap(p, stall_size);

	/* A notification, while its metadata are copied. */
	p = stall_page();
	n = b1_node_to(b, a, &h);
	b1_drop(b, n);
	start(&r, p, METADATA);
	ok(stalled() && b1_drop(a, h) == 0 && !b1_readable(a),
	   "a NODE_RELEASE vanishes while it is copied");
	provide(p);
	pthread_join(r.thread, NULL);
	ok(r.result == EAGAIN && b1_count(a, "bus1-handles") == 0,
	   "RECV has nothing");
	close_peers();
	munmap(p, stall_size);
}

/* A node dies whose handle is in the message that is just copied. */
static void test_carried(void)
{
	struct receiver r;
	char *p = stall_page();
	uint64_t h, n;

	open_peers();
	n = b1_node(b, &h);
	b1_gives(b, handle, "carrier", h);
	b1_says(b, handle, "after");
	start(&r, p, TRANSFERS);
	ok(stalled() && b1_drop(b, n) == 0 && b1_node_gone(b, h),
	   "a node is released while its handle is delivered");
	ok(b1_count(a, "bus1-handles") == 0, "the handle is not there yet");
	provide(p);
	pthread_join(r.thread, NULL);
	ok(!r.result && r.msg.n_transfers == 1 &&
		   b1_node_gone(a, ((struct bus1_transfer *)p)->id) &&
		   b1_hears(a, node, "after"),
	   "D09: NODE_RELEASE directly behind it");
	close_peers();
	munmap(p, stall_size);
}

/* SEND and TRANSFER stall on what they write back: nobody minds. */
struct caller {
	pthread_t thread;
	char *where;
	int what;
	int result;
};

static void *call(void *arg)
{
	struct caller *x = arg;
	struct bus1_transfer src = { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };

	if (x->what == 0)
		x->result = b1_multicast(b, 1, &handle, (int32_t *)x->where,
					 "late", 4, &src, 1);
	else
		x->result = b1_transfer(b, a, 1, &src,
					(struct bus1_transfer *)x->where);
	return NULL;
}

static void test_writers(int what)
{
	struct caller x = { .where = stall_page(), .what = what };
	uint64_t h;
	int32_t err = 1;

	open_peers();
	pthread_create(&x.thread, NULL, call, &x);
	ok(stalled(), "%s stalls on what it writes back",
	   what ? "TRANSFER" : "SEND");
	ok(b1_empty(a) && b1_count(b, "bus1-nodes") == 0 &&
		   b1_count(a, "bus1-handles") == 0,
	   "before the commit nothing is there");
	ok(b1_multicast(b, 1, &handle, &err, "early", 5, NULL, 0) == 0 &&
		   b1_hears(a, node, "early") && b1_copy(b, handle, a) &&
		   b1_node_to(b, a, &h) && b1_drop(a, h) == 0,
	   "D21: SEND, RECV, TRANSFER, RELEASE on the same peers");
	provide(x.where);
	pthread_join(x.thread, NULL);
	ok(x.result == 0 && (what || b1_hears_msg(a, node, "late", 4, 1,
						  &(struct b1_msg){})),
	   "the page comes: it commits");
	close_peers();
	munmap(x.where, stall_size);
}

/* A child that stalls in RECV for ever, or waits its turn behind one. */
static pid_t stall_child(bool waits)
{
	int pipes[2];
	pid_t pid;
	char x;

	if (pipe(pipes))
		bail_out("no pipe");
	pid = fork();
	if (!pid) {
		struct receiver r = { .part = DATA };

		/* The parent's knows only the parent's memory. */
		if (!stall_begin())
			_exit(2);
		start(&r, waits ? NULL : stall_page(), DATA);
		if (waits)
			b1_msleep(200);
		else if (!stalled())
			_exit(3);
		if (atomic_load(&r.finished))
			_exit(4);
		(void)!write(pipes[1], "x", 1);
		pause();
	}
	close(pipes[1]);
	if (read(pipes[0], &x, 1) != 1)
		bail_out("the child did not stall");
	close(pipes[0]);
	return pid;
}

/* Kill @pid; true if it has ended within 1 s. */
static bool ends(pid_t pid)
{
	const uint64_t end = b1_now() + 1000000000;
	int status = 0;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (b1_now() > end)
			return false;
		usleep(500);
	}
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void test_killed(void)
{
	pid_t first, second;

	open_peers();
	b1_gives(b, handle, "stays", handle);
	first = stall_child(false);
	second = stall_child(true);
	ok(ends(second), "D21: kill -9 of a process that waits its turn");
	ok(b1_readable(a) && b1_says(b, handle, "and more") == 0,
	   "the peer goes on");
	ok(ends(first), "D21: kill -9 of the process that stalls");
	ok(b1_count(a, "bus1-handles") == 0 &&
		   b1_hears_msg(a, node, "stays", 5, 1, &(struct b1_msg){}) &&
		   b1_hears(a, node, "and more") && b1_empty(a),
	   "what it did not receive is the first, whole");
	/* The last descriptor goes with the stalled process. */
	b1_gives(b, handle, "lost", handle);
	first = stall_child(false);
	close(a);
	ok(b1_empty(b) && ends(first) && b1_node_gone(b, handle) && b1_empty(b),
	   "killed with the last descriptor: the peer closes");
	close(b);
	close(c);
}

int main(void)
{
	if (!stall_begin()) {
		skip(1, "no userfaultfd: %s", strerror(errno));
		return done_testing();
	}
	test_others(DATA);
	test_others(TRANSFERS);
	test_others(METADATA);
	test_vanish();
	test_carried();
	test_writers(0);
	test_writers(1);
	test_killed();
	return done_testing();
}
