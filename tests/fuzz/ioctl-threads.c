// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sequence by several threads at the same time. No model can say how that
 * ends, but whatever the interleaving: no message arrives that was not sent,
 * nor more often than it was sent, nor with other data; what one thread sent
 * arrives in that order; nothing is told twice; no ID is given twice; if none
 * is released or closed, all arrives; and when all is closed, nothing is left.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ioctl-check.h"

#define SIZE_T sizeof(struct bus1_transfer)
#define N_IDS 2048
#define N_RECEIVED 1024
/* What arrives when all threads are done */
#define DRAIN FUZZ_THREADS

static struct {
	int fd; /* -1: closed, or not used */
	/* What was given to the peer, whoever learnt of it */
	uint64_t ids[N_IDS];
	unsigned int n_ids;
	/* What the last message that did not fit needs */
	struct room need;
} peers[FUZZ_PEERS];

struct received {
	unsigned int peer;
	uint64_t type;
	uint64_t id;
	size_t n_data;
	uint32_t stamp; /* 0: too short to have one */
};

/* Written by one thread each, read when all are done */
static struct {
	struct arena arena;
	struct received got[N_RECEIVED];
	unsigned int n;
} by[FUZZ_THREADS + 1];

static bool sent[FUZZ_OPS];
static const struct fuzz_input *input;
static pthread_barrier_t start, end;
static char problem[256];

#define fail(...)                                                    \
	do {                                                         \
		if (!*problem)                                       \
			snprintf(problem, sizeof(problem), __VA_ARGS__); \
	} while (0)

static int peer_fd(unsigned int p)
{
	return __atomic_load_n(&peers[p].fd, __ATOMIC_RELAXED);
}

static unsigned int known(unsigned int p)
{
	unsigned int n = __atomic_load_n(&peers[p].n_ids, __ATOMIC_ACQUIRE);

	return n < N_IDS ? n : N_IDS;
}

static void learn(unsigned int p, uint64_t id)
{
	unsigned int i = __atomic_fetch_add(&peers[p].n_ids, 1,
					    __ATOMIC_ACQ_REL);

	if (i < N_IDS)
		__atomic_store_n(&peers[p].ids[i], id, __ATOMIC_RELAXED);
}

/* Nodes and handles alike, dead or alive: nobody keeps account of that here. */
static uint64_t nth_id(unsigned int p, enum fuzz_sel kind, unsigned int n)
{
	unsigned int count = known(p);

	if (!count)
		return 0;
	n %= count;
	if (kind == SEL_LAST || kind == SEL_GONE)
		n = count - 1 - n;
	return __atomic_load_n(&peers[p].ids[n], __ATOMIC_RELAXED);
}

static void need(unsigned int p, unsigned int i, struct room *room)
{
	(void)i;
	room->n_data = __atomic_load_n(&peers[p].need.n_data, __ATOMIC_RELAXED);
	room->n_t = __atomic_load_n(&peers[p].need.n_t, __ATOMIC_RELAXED);
}

/* Nobody can promise that what is there stays until it is waited for. */
static bool ready(const struct call *c)
{
	(void)c;
	return false;
}

static const struct chooser by_luck = { nth_id, peer_fd, need, ready };

/* --- what was received -------------------------------------------------- */

static void note_received(struct call *c, unsigned int t, struct region *m,
			  size_t meta, struct region *r, size_t msg,
			  size_t t_at, size_t data_at)
{
	unsigned int p = c->op->peer % FUZZ_PEERS, i;
	struct region *rt = &c->a->r[R_RTR], *rd = &c->a->r[R_RDATA];
	uint64_t n_t = get64(r, msg + offsetof(struct bus1_message,
					       n_transfers));
	struct received *got = &by[t].got[by[t].n];

	if (by[t].n == N_RECEIVED)
		return;
	by[t].n++;
	got->peer = p;
	got->id = get64(m, meta + offsetof(struct bus1_metadata, id));
	got->type = get64(r, msg + offsetof(struct bus1_message, type));
	got->n_data = get64(r, msg + offsetof(struct bus1_message, n_data));
	got->stamp = 0;
	if (data_at + got->n_data > rd->seen ||
	    t_at + n_t * SIZE_T > rt->seen) {
		fail("received more than there was room for");
		return;
	}
	for (i = 0; i < n_t; i++)
		learn(p, get64(rt, t_at + i * SIZE_T + 8));
	if (got->n_data < sizeof(got->stamp))
		return;
	memcpy(&got->stamp, rd->at + data_at, sizeof(got->stamp));
	for (i = 0; i < got->n_data; i++) {
		if (rd->at[data_at + i] != fuzz_byte(got->stamp, i)) {
			fail("byte %u of message %u differs", i, got->stamp);
			return;
		}
	}
}

static void note_need(struct call *c, struct region *r, size_t msg)
{
	unsigned int p = c->op->peer % FUZZ_PEERS;
	uint64_t n_t = get64(r, msg + offsetof(struct bus1_message,
					       n_transfers));
	uint64_t n_data = get64(r, msg + offsetof(struct bus1_message, n_data));

	if (n_t > FUZZ_TRANSFERS || n_data > FUZZ_DATA_MOST) {
		fail("a message needs %llu bytes and %llu transfers",
		     (unsigned long long)n_data, (unsigned long long)n_t);
		return;
	}
	__atomic_store_n(&peers[p].need.n_data, n_data, __ATOMIC_RELAXED);
	__atomic_store_n(&peers[p].need.n_t, n_t, __ATOMIC_RELAXED);
}

static void note_transfers(struct call *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		if (c->create[i])
			learn(c->op->peer % FUZZ_PEERS,
			      get64(&c->a->r[R_IN], i * SIZE_T + 8));
		learn(c->to, get64(&c->a->r[R_OUT], i * SIZE_T + 8));
	}
}

/* It was sent: what it made is known, and that it may arrive. */
static void note_sent(struct call *c)
{
	unsigned int i;

	sent[(c->stamp & 0xff) - 1] = true;
	for (i = 0; c->n && i < c->m; i++)
		if (c->tcreate[i])
			learn(c->op->peer % FUZZ_PEERS,
			      get64(&c->a->r[R_TR], i * SIZE_T + 8));
}

static void note_batch(struct call *c, unsigned int t)
{
	const size_t one = sizeof(struct bus1_received);
	const size_t msg = offsetof(struct bus1_received, message);
	struct region *in = &c->a->r[R_IN];
	size_t t_at = 0, data_at = 0;
	int i;

	for (i = 0; i < c->r; i++) {
		note_received(c, t, in, i * one, in, i * one + msg, t_at,
			      data_at);
		t_at += c->room[i].n_t * SIZE_T;
		data_at += c->room[i].n_data;
	}
}

static void note(struct call *c, unsigned int t)
{
	const size_t got = offsetof(struct bus1_cmd_call, received);
	const size_t msg = got + offsetof(struct bus1_received, message);
	struct region *r = c->a->r;

	switch (c->what) {
	case FUZZ_TRANSFER:
		if (!c->r)
			note_transfers(c);
		break;
	case FUZZ_SEND:
		if (!c->r)
			note_sent(c);
		break;
	case FUZZ_RECV:
		if (!c->r)
			note_received(c, t, &r[R_OUT], 0, &r[R_MSG], 0, 0, 0);
		else if (c->e == EMSGSIZE && !c->bad)
			note_need(c, &r[R_MSG], 0);
		break;
	case FUZZ_RECV_BATCH:
		note_batch(c, t);
		break;
	case FUZZ_CALL:
		if (c->r >= 0)
			note_sent(c);
		if (!c->r)
			note_received(c, t, &r[R_CMD], got, &r[R_CMD], msg, 0,
				      0);
		else if (c->r == EMSGSIZE && !c->bad)
			note_need(c, &r[R_CMD], msg);
		break;
	default:
		break;
	}
}

/* --- the threads -------------------------------------------------------- */

/* What a call may write to, however it ends: a bit for each role */
static uint32_t outputs(const struct call *c)
{
	switch (c->what) {
	case FUZZ_TRANSFER:
		return 1u << R_IN | 1u << R_OUT;
	case FUZZ_SEND:
		return 1u << R_OUT | 1u << R_TR;
	case FUZZ_RECV:
		return 1u << R_OUT | 1u << R_MSG | 1u << R_RTR | 1u << R_RDATA;
	case FUZZ_RECV_BATCH:
		return 1u << R_IN | 1u << R_RTR | 1u << R_RDATA;
	case FUZZ_CALL:
		return 1u << R_CMD | 1u << R_TR | 1u << R_RTR | 1u << R_RDATA;
	case FUZZ_FEATURES:
		return 1u << R_CMD;
	default:
		return 0;
	}
}

/* May it end so? Closed meanwhile, its number may be another file's. */
static bool possible(const struct call *c)
{
	bool receives = c->what == FUZZ_RECV || c->what == FUZZ_RECV_BATCH;

	if (c->r > 0)
		return c->what == FUZZ_RECV_BATCH ? c->r <= (int)c->rooms :
		       c->what == FUZZ_CALL &&
			       (c->r == EMSGSIZE || c->r == EFAULT ||
				c->r == ETIMEDOUT);
	switch (c->e) {
	case 0:
	case EBADF:
	case ENOTTY:
	case EINVAL:
	case EFAULT:
	case EMSGSIZE:
		return true;
	case EBADRQC:
		return !receives;
	case EOPNOTSUPP:
		return c->what == FUZZ_TRANSFER;
	case EAGAIN:
		return receives;
	case ETIMEDOUT:
		return c->what == FUZZ_RECV_BATCH;
	default:
		return false;
	}
}

static void check_issued(struct call *c, unsigned int i)
{
	const char *what = arena_differs(c->a, outputs(c));

	if (what)
		fail("call %u: %s: the kernel wrote there, or in front of it",
		     i, what);
	if (!possible(c))
		fail("call %u returned %d: %s", i, c->r, strerror(c->e));
}

static void close_peer(unsigned int p)
{
	int fd = __atomic_exchange_n(&peers[p].fd, -1, __ATOMIC_RELAXED);

	if (fd >= 0)
		close(fd);
}

static void run_op(const struct fuzz_op *op, unsigned int i, unsigned int t)
{
	struct pollfd v = { .fd = peer_fd(op->peer % FUZZ_PEERS),
			    .events = POLLIN };
	char path[64], text[512];
	struct call c;
	FILE *f;

	if (v.fd < 0)
		return;
	switch (fuzz_op_call(op)) {
	case FUZZ_OPEN:
		break;
	case FUZZ_CLOSE:
		close_peer(op->peer % FUZZ_PEERS);
		break;
	case FUZZ_POLL:
		poll(&v, 1, op->to & 1);
		break;
	case FUZZ_FDINFO:
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", v.fd);
		f = fopen(path, "re");
		if (f) {
			while (fgets(text, sizeof(text), f))
				;
			fclose(f);
		}
		break;
	default:
		call_build(&c, op, &by[t].arena, t << 8 | (i + 1), &by_luck);
		/* A file of another kind may have got the number since. */
		if (c.fd < 0)
			break;
		call_issue(&c);
		check_issued(&c, i);
		note(&c, t);
	}
}

/* Which of its calls each thread is at; all, when it is done */
static unsigned int step[FUZZ_THREADS];

/*
 * Calls are short, and a thread that has to be woken is late: so they wait for
 * each other before each call, but not for long.
 */
static void keep_step(unsigned int t, unsigned int at)
{
	unsigned int i, tries;

	__atomic_store_n(&step[t], at, __ATOMIC_RELAXED);
	for (i = 0; i < input->threads; i++)
		for (tries = 0; tries < 50 &&
		     __atomic_load_n(&step[i], __ATOMIC_RELAXED) < at; tries++)
			sched_yield();
}

static void run_ops(unsigned int t)
{
	unsigned int i, n = 0;

	for (i = 0; i < input->n; i++) {
		if (input->op[i].thread % input->threads != t)
			continue;
		keep_step(t, ++n);
		run_op(&input->op[i], i, t);
	}
	__atomic_store_n(&step[t], FUZZ_OPS + 1, __ATOMIC_RELAXED);
}

static void *thread(void *arg)
{
	unsigned int t = (uintptr_t)arg;

	if (fuzz_thread_begin)
		fuzz_thread_begin();
	for (;;) {
		pthread_barrier_wait(&start);
		if (t < input->threads)
			run_ops(t);
		pthread_barrier_wait(&end);
	}
	return NULL;
}

static const char *begin(void)
{
	static bool begun;
	const char *what;
	pthread_t id;
	uintptr_t t;

	if (begun)
		return NULL;
	for (t = 0; t <= FUZZ_THREADS; t++)
		if ((what = arena_init(&by[t].arena)))
			return what;
	pthread_barrier_init(&start, NULL, FUZZ_THREADS + 1);
	pthread_barrier_init(&end, NULL, FUZZ_THREADS + 1);
	for (t = 0; t < FUZZ_THREADS; t++)
		if (pthread_create(&id, NULL, thread, (void *)t))
			return "no thread";
	begun = true;
	return NULL;
}

/* --- before and after --------------------------------------------------- */

static struct fuzz_op make_op(enum fuzz_call what, unsigned int p)
{
	struct fuzz_op op;

	memset(&op, 0, sizeof(op));
	while (fuzz_op_call(&op) != what)
		op.call++;
	op.peer = p;
	return op;
}

/* All peers that are named, and of each a handle for itself and for the next */
static bool open_peers(void)
{
	bool used[FUZZ_PEERS] = { 0 };
	unsigned int i, p;

	for (i = 0; i < input->n; i++) {
		used[input->op[i].peer % FUZZ_PEERS] = true;
		if (fuzz_op_call(&input->op[i]) == FUZZ_TRANSFER)
			used[input->op[i].to % FUZZ_PEERS] = true;
	}
	for (p = 0; p < FUZZ_PEERS; p++) {
		peers[p].n_ids = 0;
		peers[p].need = (struct room){ .n_data = 256 };
		peers[p].fd = used[p] ? fuzz_open(p == 3) : -1;
		if (used[p] && peers[p].fd < 0)
			return false;
	}
	for (p = 0; p < FUZZ_PEERS; p++) {
		for (i = 0; i < 2; i++) {
			struct fuzz_op op = make_op(FUZZ_TRANSFER, p);

			op.to = i;
			op.n = 1;
			op.id[0] = SEL_CREATE;
			if (used[p] && used[i])
				run_op(&op, 0, DRAIN);
		}
	}
	return true;
}

/* What is still there comes behind all that was received. */
static void drain(unsigned int p)
{
	struct fuzz_op op = make_op(FUZZ_RECV, p);
	unsigned int last;

	do {
		last = by[DRAIN].n;
		run_op(&op, 0, DRAIN);
		if (by[DRAIN].n != last)
			continue;
		/* Too large for the room: that is known now. */
		run_op(&op, 0, DRAIN);
	} while (by[DRAIN].n != last && by[DRAIN].n < N_RECEIVED);
}

/* What one thread sent is received in that order by whoever receives. */
static void check_order(void)
{
	unsigned int last[FUZZ_THREADS][FUZZ_PEERS][FUZZ_THREADS + 1] = { 0 };
	unsigned int t, s, p, i;

	for (t = 0; t <= DRAIN; t++) {
		/* What is drained is behind everything. */
		for (s = 0; t == DRAIN && s < FUZZ_THREADS; s++)
			for (p = 0; p < FUZZ_PEERS; p++)
				for (i = 0; i < DRAIN; i++)
					if (last[s][p][i] > last[s][p][t])
						last[s][p][t] = last[s][p][i];
		for (i = 0; i < by[t].n; i++) {
			const struct received *got = &by[t].got[i];
			unsigned int at = got->stamp & 0xff;

			if (!got->stamp)
				continue;
			s = got->stamp >> 8;
			if (s >= FUZZ_THREADS || !at || at > input->n ||
			    !sent[at - 1]) {
				fail("message %#x was not sent", got->stamp);
				return;
			}
			if (got->n_data != fuzz_op_size(&input->op[at - 1]))
				fail("call %u sent %zu bytes, %zu arrived",
				     at - 1,
				     fuzz_op_size(&input->op[at - 1]),
				     got->n_data);
			if (at < last[s][got->peer][t])
				fail("what call %u sent came behind that of"
				     " call %u of the same thread", at - 1,
				     last[s][got->peer][t] - 1);
			last[s][got->peer][t] = at;
		}
	}
}

static void check_often(void)
{
	unsigned int often[FUZZ_OPS] = { 0 }, t, i;
	bool all = true;

	for (t = 0; t <= DRAIN; t++)
		for (i = 0; i < by[t].n; i++)
			if (by[t].got[i].stamp)
				often[(by[t].got[i].stamp & 0xff) - 1]++;
	for (i = 0; i < input->n; i++)
		all &= fuzz_op_call(&input->op[i]) != FUZZ_RELEASE &&
		       fuzz_op_call(&input->op[i]) != FUZZ_CLOSE;
	for (i = 0; i < input->n; i++) {
		const struct fuzz_op *op = &input->op[i];
		unsigned int n = fuzz_op_call(op) == FUZZ_CALL ? 1 :
				 op->n % (FUZZ_IDS + 1);

		if (often[i] > n || (all && sent[i] && often[i] < n &&
				     fuzz_op_size(op) >= sizeof(uint32_t)))
			fail("call %u sent to %u, %u arrived", i, n, often[i]);
	}
}

/* Each notification once, of something the peer had; each ID once. */
static void check_ids(void)
{
	unsigned int t, u, i, k, p;

	for (t = 0; t <= DRAIN; t++)
		for (i = 0; i < by[t].n; i++)
			for (u = t; u <= DRAIN; u++)
				for (k = u == t ? i + 1 : 0; k < by[u].n; k++)
					if (by[t].got[i].type &&
					    by[t].got[i].peer ==
						    by[u].got[k].peer &&
					    by[t].got[i].type ==
						    by[u].got[k].type &&
					    by[t].got[i].id == by[u].got[k].id)
						fail("told twice of %llu",
						     (unsigned long long)
							     by[u].got[k].id);
	for (p = 0; p < FUZZ_PEERS; p++)
		for (i = 0; i < known(p); i++)
			for (k = i + 1; k < known(p); k++)
				if (peers[p].ids[i] == peers[p].ids[k])
					fail("peer %u got ID %llu twice", p,
					     (unsigned long long)
						     peers[p].ids[i]);
}

const char *fuzz_run_threads(const struct fuzz_input *in)
{
	const char *what = begin();
	unsigned int p;

	if (what)
		return what;
	*problem = 0;
	input = in;
	memset(sent, 0, sizeof(sent));
	memset(step, 0, sizeof(step));
	for (p = 0; p <= DRAIN; p++)
		by[p].n = 0;
	if (!open_peers())
		return "cannot open a peer";
	pthread_barrier_wait(&start);
	pthread_barrier_wait(&end);
	for (p = 0; p < FUZZ_PEERS; p++)
		drain(p);
	check_order();
	check_often();
	check_ids();
	for (p = 0; p < FUZZ_PEERS; p++)
		close_peer(p);
	if ((what = fuzz_accounts_empty()))
		fail("all is closed, and still there is: %s", what);
	if ((what = fuzz_kernel_says()))
		fail("the kernel says: %s", what);
	return *problem ? problem : NULL;
}
