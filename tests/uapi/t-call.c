// SPDX-License-Identifier: GPL-2.0-only
/* CALL: send and receive in one; which half failed, and with what effect. */
#include "quota.h"
#include "sleeper.h"
#include "stall.h"

#define QUIT "quit"

/* a serves, b calls; each has a handle to the other. */
static int a, b;
static uint64_t node, handle, node_b, handle_b;

static void open_peers(void)
{
	a = b1_open();
	b = b1_open();
	node = b1_node_to(a, b, &handle);
	node_b = b1_node_to(b, a, &handle_b);
}

static void close_peers(void)
{
	close(a);
	close(b);
}

static bool has_text(const struct b1_msg *m, uint64_t id, const char *text)
{
	if (m->msg.type == BUS1_MESSAGE_TYPE_USER && m->meta.id == id &&
	    m->msg.n_data == strlen(text) &&
	    !memcmp(m->data, text, strlen(text)))
		return true;
	diag("expected \"%s\" at %llu, got type %llu, %llu bytes at %llu", text,
	     (unsigned long long)id, (unsigned long long)m->msg.type,
	     (unsigned long long)m->msg.n_data, (unsigned long long)m->meta.id);
	return false;
}

/* --- as it is meant ------------------------------------------------------ */

static atomic_uint served, broken;

/* Answer each request by the handle that it, or the first one, brought. */
static void *serve(void *arg)
{
	struct bus1_message msg;
	uint64_t to = *(uint64_t *)arg;
	char text[64];
	struct b1_msg m;
	int r;

	b1_room(&m, B1_ROOM_TRANSFERS, B1_ROOM_DATA, true);
	r = b1_recv_into(a, BUS1_RECV_FLAG_WAIT, &m);
	for (;;) {
		if (r || m.msg.type != BUS1_MESSAGE_TYPE_USER ||
		    m.msg.n_data >= 32) {
			diag("the server got %d, type %llu", r,
			     (unsigned long long)m.msg.type);
			atomic_fetch_add(&broken, 1);
			return NULL;
		}
		if (m.msg.n_data == 4 && !memcmp(m.data, QUIT, 4))
			return NULL;
		if (m.msg.n_transfers)
			to = m.t[0].id;
		snprintf(text, sizeof(text), "re: %.*s", (int)m.msg.n_data,
			 m.data);
		atomic_fetch_add(&served, 1);
		msg = b1_flat(text, strlen(text));
		b1_room(&m, B1_ROOM_TRANSFERS, B1_ROOM_DATA, true);
		r = b1_call_msg(a, to, BUS1_INVALID, &msg, &m);
	}
}

static void test_loop(void)
{
	struct bus1_transfer t = { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };
	struct bus1_message msg = b1_flat("first", 5);
	char text[32], reply[40];
	unsigned int i, good = 0;
	pthread_t server;
	struct b1_msg m;

	open_peers();
	atomic_store(&served, 0);
	pthread_create(&server, NULL, serve, &handle_b);
	msg.n_transfers = 1;
	msg.ptr_transfers = BUS1_FROM_PTR(&t);
	b1_room(&m, 0, 64, true);
	ok(b1_call_msg(b, handle, BUS1_INVALID, &msg, &m) == 0 && !t.flags &&
		   b1_id_ok(t.id) && has_text(&m, t.id, "re: first"),
	   "a request with a node for the reply, whose ID is written back");
	for (i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "request %u", i);
		snprintf(reply, sizeof(reply), "re: %s", text);
		good += b1_call(b, handle, b1_now() + SLEEPER_LATE, text, &m) ==
				0 && has_text(&m, t.id, reply);
	}
	ok(good == 300 && atomic_load(&served) == 301,
	   "300 requests and replies (%u)", good);
	b1_says(b, handle, QUIT);
	pthread_join(server, NULL);
	ok(!atomic_load(&broken) && b1_empty(a) && b1_empty(b),
	   "nothing is left over");
	close_peers();
}

/* --- threads that call at once ------------------------------------------- */

#define CALLERS 4
#define CALLS 250

static atomic_uint replies, failed;
static atomic_uchar seen[CALLERS * CALLS];

static void *call_many(void *arg)
{
	unsigned int who = (uintptr_t)arg, i, n;
	struct b1_msg m;
	char text[32];
	int r;

	for (i = 0; i < CALLS; i++) {
		snprintf(text, sizeof(text), "%u", who * CALLS + i);
		r = b1_call(b, handle, b1_now() + 2 * SLEEPER_LATE, text, &m);
		m.data[m.msg.n_data < 60 ? m.msg.n_data : 0] = 0;
		if (r || sscanf((char *)m.data, "re: %u", &n) != 1 ||
		    n >= CALLERS * CALLS || atomic_fetch_add(&seen[n], 1)) {
			if (!atomic_fetch_add(&failed, 1))
				diag("a CALL said %d", r);
			continue;
		}
		atomic_fetch_add(&replies, 1);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t server[2], caller[CALLERS];
	unsigned int i;

	open_peers();
	atomic_store(&served, 0);
	for (i = 0; i < 2; i++)
		pthread_create(&server[i], NULL, serve, &handle_b);
	for (i = 0; i < CALLERS; i++)
		pthread_create(&caller[i], NULL, call_many,
			       (void *)(uintptr_t)i);
	for (i = 0; i < CALLERS; i++)
		pthread_join(caller[i], NULL);
	ok(!atomic_load(&failed) && atomic_load(&replies) == CALLERS * CALLS,
	   "%u threads on one peer: a reply to each request (%u, %u failed)",
	   CALLERS, atomic_load(&replies), atomic_load(&failed));
	b1_says(b, handle, QUIT);
	b1_says(b, handle, QUIT);
	for (i = 0; i < 2; i++)
		pthread_join(server[i], NULL);
	ok(!atomic_load(&broken) &&
		   atomic_load(&served) == CALLERS * CALLS && b1_empty(a) &&
		   b1_empty(b),
	   "served by two threads, nothing is left over");
	close_peers();
}

/* --- nothing is done ----------------------------------------------------- */

static struct bus1_transfer t[2];
static struct bus1_cmd_call cmd;
static struct iovec vec, room_vec;
static char data[64];
static struct bus1_transfer room_t[2];

static void good(void)
{
	t[0] = (struct bus1_transfer){ 0, handle };
	t[1] = (struct bus1_transfer){ 0, handle };
	vec = (struct iovec){ "question", 8 };
	room_vec = (struct iovec){ data, sizeof(data) };
	cmd = (struct bus1_cmd_call){
		.destination = handle,
		.send = {
			.n_transfers = 2,
			.ptr_transfers = BUS1_FROM_PTR(t),
			.n_data = 8,
			.n_data_vecs = 1,
			.ptr_data_vecs = BUS1_FROM_PTR(&vec),
		},
		.received.message = {
			.type = BUS1_INVALID,
			.n_transfers = 2,
			.ptr_transfers = BUS1_FROM_PTR(room_t),
			.n_data = sizeof(data),
			.n_data_vecs = 1,
			.ptr_data_vecs = BUS1_FROM_PTR(&room_vec),
		},
	};
}

/* Neither sent nor received, and the command as it was. */
static void refused(int want, const char *what, uint64_t value)
{
	struct bus1_cmd_call was = cmd;
	int r = b1_ioctl(b, BUS1_CMD_CALL, &cmd);

	if (memcmp(&was, &cmd, sizeof(cmd)))
		r = b1_dirty("a command that failed");
	b1_refused(r, want, "%s %#llx", what, (unsigned long long)value);
	good();
}

static void test_refused(void)
{
	const uint64_t ids[] = {
		0, BUS1_INVALID, node_b, handle ^ 1ull << 40, handle & ~1ull,
	};
	static const uint64_t types[] = {
		1, 2, 3, 1ull << 32, 1ull << 63, BUS1_INVALID,
	};
	static const uint64_t counts[] = {
		1025, 1ull << 32, 1ull << 63, ~0ull,
	};
	struct b1_bad bad[B1_N_BAD];
	unsigned int i, n;

	/* There is something to receive: by mistake it would be. */
	open_peers();
	b1_says(a, handle_b, "waiting");
	b1_watch(a, b);
	good();
	for (i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		cmd.destination = ids[i];
		refused(EBADRQC, "destination", ids[i]);
		t[1].id = ids[i];
		refused(EBADRQC, "transfer", ids[i]);
	}
	t[1].flags = 2;
	refused(EINVAL, "transfer flags", 2);
	t[1].flags = BUS1_TRANSFER_FLAG_CREATE;
	refused(EINVAL, "CREATE with an ID", handle);
	for (i = 0; i < sizeof(types) / sizeof(*types); i++) {
		cmd.send.type = types[i];
		refused(EINVAL, "type to send", types[i]);
		if (types[i] == BUS1_INVALID)
			continue;
		cmd.received.message.type = types[i];
		refused(EINVAL, "type of the room", types[i]);
	}
	cmd.received.message.type = BUS1_MESSAGE_TYPE_USER;
	refused(EINVAL, "type of the room", 0);
	cmd.send.n_data = 9;
	refused(EMSGSIZE, "n_data to send", 9);
	cmd.send.n_data = ~0ull;
	refused(EMSGSIZE, "n_data to send", ~0ull);
	cmd.send.n_transfers = 65537;
	refused(EMSGSIZE, "n_transfers to send", 65537);
	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		cmd.send.n_data_vecs = counts[i];
		refused(EMSGSIZE, "iovecs to send", counts[i]);
		cmd.received.message.n_data_vecs = counts[i];
		refused(EMSGSIZE, "iovecs of the room", counts[i]);
	}
	vec.iov_len = ~0ull >> 1;
	vec.iov_len++;
	refused(EINVAL, "an iovec to send of length", vec.iov_len);
	room_vec.iov_len = ~0ull >> 1;
	room_vec.iov_len++;
	refused(EINVAL, "an iovec of the room of length", room_vec.iov_len);
	n = b1_bad(bad, "question", 8, false);
	for (i = 0; i < n; i++) {
		vec.iov_base = BUS1_TO_PTR(bad[i].addr);
		refused(EFAULT, "data to send at", bad[i].addr);
		cmd.send.flags = BUS1_MESSAGE_FLAG_FLAT;
		cmd.send.ptr_data_vecs = bad[i].addr;
		cmd.send.n_data_vecs = 8;
		refused(EFAULT, "flat data to send at", bad[i].addr);
	}
	n = b1_bad(bad, &vec, sizeof(vec), false);
	for (i = 0; i < n; i++) {
		cmd.send.ptr_data_vecs = bad[i].addr;
		refused(EFAULT, "iovec to send at", bad[i].addr);
		cmd.received.message.ptr_data_vecs = bad[i].addr;
		refused(EFAULT, "iovec of the room at", bad[i].addr);
	}
	n = b1_bad(bad, t, sizeof(t), false);
	for (i = 0; i < n; i++) {
		cmd.send.ptr_transfers = bad[i].addr;
		refused(EFAULT, "transfers to send at", bad[i].addr);
	}
	n = b1_bad(bad, &cmd, sizeof(cmd), false);
	for (i = 0; i < n; i++)
		b1_refused(b1_ioctl(b, BUS1_CMD_CALL, BUS1_TO_PTR(bad[i].addr)),
			   EFAULT, "command: %s", bad[i].what);
	/* A node is made, but its ID cannot be written. */
	t[0].flags = BUS1_TRANSFER_FLAG_CREATE;
	t[0].id = BUS1_INVALID;
	cmd.send.ptr_transfers = BUS1_FROM_PTR(b1_const(t, sizeof(t)));
	refused(EFAULT, "transfers that cannot be written at",
		cmd.send.ptr_transfers);
	ok(b1_hears(b, node_b, "waiting") && b1_empty(b) && b1_empty(a),
	   "the message that waits was never touched");
	close_peers();
}

static void test_quota(void)
{
	char big[512] = { 0 };
	struct b1_msg m;
	unsigned int i;
	int poor, r;
	uint64_t h;

	if (!quota_begin()) {
		skip(3, "no accounts to be seen, or not root");
		return;
	}
	open_peers();
	quota_set_maxima(1000, 2048);
	poor = open_as(4242);
	b1_node_to(poor, b, &h);
	b1_says(a, handle_b, "waiting");
	for (i = 0; i < 100 && !(r = b1_send(b, h, big, sizeof(big))); i++)
		;
	b1_watch(b, poor);
	ok(r == EDQUOT, "a receiver whose user has no room");
	memset(big, 'x', sizeof(big) - 1);
	b1_refused(b1_call(b, h, BUS1_INVALID, big, &m), EDQUOT, "CALL to it");
	ok(b1_hears(b, node_b, "waiting"), "the message that waits stayed");
	close(poor);
	quota_restore();
	close_peers();
}

/* --- one half is done ---------------------------------------------------- */

static void test_deadline(void)
{
	static const unsigned int ms[] = { 0, 1, 20, 150 };
	uint64_t begin, end;
	struct b1_msg m;
	unsigned int i;

	open_peers();
	for (i = 0; i < sizeof(ms) / sizeof(*ms); i++) {
		begin = b1_now();
		ok(b1_call(b, handle, begin + ms[i] * MS, "q", &m) ==
			   B1_SENT(ETIMEDOUT),
		   "no reply within %u ms: the message is sent, ETIMEDOUT",
		   ms[i]);
		end = b1_now();
		ok(end >= begin + ms[i] * MS && end < begin + SLEEPER_LATE &&
			   b1_hears(a, node, "q") && b1_empty(a),
		   "not before it, and sent once");
	}
	ok(b1_call(b, handle, 0, "q", &m) == B1_SENT(ETIMEDOUT) &&
		   b1_hears(a, node, "q"),
	   "a deadline long ago: the same");
	b1_says(a, handle_b, "there");
	ok(b1_call(b, handle, 0, "q", &m) == 0 &&
		   has_text(&m, node_b, "there") && b1_hears(a, node, "q") && b1_empty(b),
	   "but what is there already is received");
	close_peers();
}

static void test_signals(void)
{
	static const int sigs[] = { SIGUSR1, SIGUSR2 };
	struct sleeper s;
	unsigned int i;

	open_peers();
	for (i = 0; i < 2; i++) {
		sleeper_how(&s, b, BY_CALL, BUS1_INVALID, handle);
		ok(b1_readable(a), "who sleeps in a CALL has sent");
		pthread_kill(s.thread, sigs[i]);
		ok(sleeper_end(&s) == B1_SENT(EINTR) &&
			   b1_hears(a, node, "call") && b1_empty(a),
		   "a signal %s SA_RESTART: EINTR, and sent once",
		   i ? "with" : "without");
	}
	sleeper_how(&s, b, BY_CALL, b1_now() + 3600000 * MS, handle);
	b1_hears(a, node, "call");
	b1_says(a, handle_b, "reply");
	ok(sleeper_has(&s, "reply"), "with no signal: the reply");
	close_peers();
}

struct caller {
	pthread_t thread;
	char *page;
	struct b1_msg m;
	int result;
	atomic_bool finished;
};

/* Its payload is in a page that does not come yet. */
static void *call_stalled(void *arg)
{
	struct caller *x = arg;
	struct bus1_message flat = b1_flat(x->page, 5);

	b1_room(&x->m, 4, 64, true);
	x->result = b1_call_msg(b, handle, BUS1_INVALID, &flat, &x->m);
	atomic_store(&x->finished, true);
	return NULL;
}

/* A signal that is pending when the message is sent. */
static void test_pending(void)
{
	struct caller x;
	int there;

	if (!stall_begin()) {
		skip(1, "no userfaultfd: %s", strerror(errno));
		return;
	}
	for (there = 0; there < 2; there++) {
		open_peers();
		if (there)
			b1_says(a, handle_b, "there");
		x = (struct caller){ .page = stall_page() };
		pthread_create(&x.thread, NULL, call_stalled, &x);
		if (!stalled())
			bail_out("userfaultfd says nothing");
		pthread_kill(x.thread, SIGUSR1);
		b1_msleep(20);
		ok(b1_empty(a) && !atomic_load(&x.finished),
		   "a signal while the payload is copied");
		provide(x.page);
		pthread_join(x.thread, NULL);
		ok(b1_hears_msg(a, node, "\0\0\0\0\0", 5, 0,
				&(struct b1_msg){}) && b1_empty(a),
		   "the message is sent, once");
		if (there)
			ok(x.result == 0 && has_text(&x.m, node_b, "there"),
			   "what is there already is received");
		else
			ok(x.result == B1_SENT(EINTR), "then EINTR");
		ok(b1_empty(b), "nothing is left");
		munmap(x.page, stall_size);
		close_peers();
	}
}

static void test_room(void)
{
	struct bus1_message q = b1_flat("q", 1);
	struct bus1_transfer carried = { 0, 0 };
	struct b1_bad bad[B1_N_BAD];
	struct b1_msg m;
	unsigned int i, n;
	int r;

	open_peers();
	carried.id = handle_b;
	b1_multicast(a, 1, &handle_b, NULL, "0123456789", 10, &carried, 1);
	b1_room(&m, 0, 64, true);
	ok(b1_call_msg(b, handle, 0, &q, &m) == B1_SENT(EMSGSIZE) &&
		   m.msg.n_data == 10 && m.msg.n_transfers == 1 &&
		   b1_hears(a, node, "q"),
	   "no room for a handle: sent, EMSGSIZE and what is needed");
	b1_room(&m, 1, 9, false);
	ok(b1_call_msg(b, handle, 0, &q, &m) == B1_SENT(EMSGSIZE) &&
		   m.msg.n_data == 10 && m.msg.n_transfers == 1 &&
		   b1_hears(a, node, "q"),
	   "no room for the data: the same");
	ok(b1_count(b, "bus1-queued") == 1 && b1_count(b, "bus1-handles") == 1,
	   "the message stays");
	/* Some can be seen to be bad before, the others only by the receipt. */
	n = b1_bad(bad, data, 10, true);
	for (i = 0; i < n; i++) {
		b1_room(&m, 1, 10, true);
		m.msg.ptr_data_vecs = bad[i].addr;
		r = b1_call_msg(b, handle, 0, &q, &m);
		ok((r == EFAULT && b1_empty(a)) ||
			   (r == B1_SENT(EFAULT) && b1_hears(a, node, "q") &&
			    b1_empty(a)),
		   "a room for data, %s: EFAULT, and %s", bad[i].what,
		   r == EFAULT ? "not sent" : "sent");
	}
	n = b1_bad(bad, room_t, sizeof(*room_t), true);
	for (i = 0; i < n; i++) {
		b1_room(&m, 1, 10, true);
		m.msg.ptr_data_vecs = BUS1_FROM_PTR(data);
		m.msg.ptr_transfers = bad[i].addr;
		r = b1_call_msg(b, handle, 0, &q, &m);
		ok((r == EFAULT && b1_empty(a)) ||
			   (r == B1_SENT(EFAULT) && b1_hears(a, node, "q") &&
			    b1_empty(a)),
		   "a room for handles, %s: EFAULT, and %s", bad[i].what,
		   r == EFAULT ? "not sent" : "sent");
	}
	good();
	cmd.send.n_transfers = 0;
	r = ioctl(b, BUS1_CMD_CALL, b1_const(&cmd, sizeof(cmd)));
	ok((r == EFAULT && b1_hears_msg(a, node, "question", 8, 0, &m)) ||
		   (r < 0 && errno == EFAULT && b1_empty(a)),
	   "a command that cannot be written: EFAULT");
	ok(b1_count(b, "bus1-queued") == 1 &&
		   b1_count(b, "bus1-handles") == 1 &&
		   b1_hears_msg(b, node_b, "0123456789", 10, 1, &m) &&
		   b1_empty(b),
	   "after all of this the message is whole");
	close_peers();
}

/* A process that is stopped and continued has had a signal, too. */
static void test_stopped(void)
{
	int status;
	pid_t pid;

	open_peers();
	pid = fork();
	if (!pid) {
		struct b1_msg m;

		_exit(b1_call(b, handle, BUS1_INVALID, "q", &m) !=
		      B1_SENT(EINTR));
	}
	ok(task_asleep(pid) && !kill(pid, SIGSTOP) &&
		   waitpid(pid, &status, WUNTRACED) == pid &&
		   WIFSTOPPED(status) && !kill(pid, SIGCONT) &&
		   b1_child_ok(pid),
	   "stopped and continued: EINTR");
	ok(b1_hears(a, node, "q") && b1_empty(a), "sent once");
	close_peers();
}

/* --- whom it may be sent to ---------------------------------------------- */

static void test_dead(void)
{
	struct sleeper s;
	struct b1_msg m;

	open_peers();
	b1_drop(a, node);
	ok(b1_call(b, handle, BUS1_INVALID, "q", &m) == 0 &&
		   m.msg.type == BUS1_MESSAGE_TYPE_NODE_RELEASE &&
		   m.meta.id == handle,
	   "to a node that is released: its NODE_RELEASE is the answer");
	ok(b1_call(b, handle, 0, "q", &m) == EBADRQC && b1_empty(a),
	   "then there is no such handle");
	close_peers();

	open_peers();
	sleeper_how(&s, b, BY_CALL, BUS1_INVALID, handle);
	close(a);
	ok(sleeper_end(&s) == 0 &&
		   s.m.msg.type == BUS1_MESSAGE_TYPE_NODE_RELEASE &&
		   s.m.meta.id == handle,
	   "the server closes: its NODE_RELEASE wakes who waits");
	close(b);
}

static void test_self(void)
{
	uint64_t h, n;
	struct b1_msg m;

	open_peers();
	n = b1_node(b, &h);
	ok(b1_call(b, h, 0, "self", &m) == 0 && has_text(&m, n, "self") &&
		   b1_empty(b),
	   "to a node of its own: it receives what it sent");
	b1_says(a, handle_b, "before");
	ok(b1_call(b, h, 0, "self", &m) == 0 &&
		   has_text(&m, node_b, "before") && b1_hears(b, n, "self") && b1_empty(b),
	   "in order");
	close_peers();
}

int main(void)
{
	test_loop();
	test_threads();
	test_refused();
	test_quota();
	test_deadline();
	test_signals();
	test_pending();
	test_stopped();
	test_room();
	test_dead();
	test_self();
	return done_testing();
}
