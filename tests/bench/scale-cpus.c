// SPDX-License-Identifier: GPL-2.0-only
/*
 * scale-cpus - two processors
 *
 *   scale-cpus [GROUP[,GROUP]...]
 *   scale-cpus lines	what tests/bench/lines looks at
 *
 * pairs    two processes of one user that share nothing but the kernel, each
 *          sends to itself and receives, on a processor of its own: how much two
 *          get done at once, where one alone gets 1 done; users: of two users.
 *          getppid shares nothing at all: it says what the machine has to give
 * stream   from one processor to the other, at most 64 messages ahead: ns for each
 * turns    a request to the other processor and its reply: ns for both
 *
 * See bench.h for the lines that are printed; but all ways take turns in many
 * short runs, and a value is where the fastest tenth of them ends: whatever else
 * the machine does was in the way of the others. Two together are among the
 * fastest only if both ran. The spread is half of what lies between a twentieth
 * and three, in percent.
 * Not for --icount, which has one processor.
 */
#define _GNU_SOURCE
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "marker.h"
#include "scale.h"

#define ITERATIONS 200
#define RUN_NS 2000000ull
#define FAN 4
#define AHEAD 64
#define MARKED 1000
/* Before both begin, they have heard that they should. */
#define HEADSTART_NS 2000000ull

static int cpus[2];
static char data[8] = "payload";

/* Of each processor's own: 0 sends. */
static struct {
	int peer[1 + FAN];
	uint64_t handle[FAN];
	int user_peer[2];
	uint64_t user_handle;
	int socket[2];
	int pipe[2];
} own[2];

/* From processor 0 to processor 1, and back. */
static struct {
	int peer[2];
	uint64_t handle[2];
	int socket[2];
	int pipe[2][2];
} shared;

static _Atomic uint64_t *received;

static void make(void)
{
	int i, k;

	for (i = 0; i < 2; i++) {
		for (k = 0; k <= FAN; k++)
			own[i].peer[k] = scale_open();
		for (k = 0; k < FAN; k++)
			own[i].handle[k] = scale_node(own[i].peer[1 + k],
						      own[i].peer[0], NULL);
		for (k = 0; k < 2; k++)
			own[i].user_peer[k] = scale_open_as(1000 + i);
		own[i].user_handle = scale_node(own[i].user_peer[1],
						own[i].user_peer[0], NULL);
		shared.peer[i] = scale_open();
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, own[i].socket) ||
		    pipe(own[i].pipe) || pipe(shared.pipe[i]))
			bench_fail("socketpair or pipe");
	}
	for (i = 0; i < 2; i++)
		shared.handle[i] = scale_node(shared.peer[!i], shared.peer[i],
					      NULL);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, shared.socket))
		bench_fail("socketpair");
	received = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (received == MAP_FAILED)
		bench_fail("mmap");
}

/* What one does for itself, on its processor. */
static void bus1_own(int me)
{
	scale_send(own[me].peer[0], 1, own[me].handle, data, 8, NULL, 0);
	scale_recv(own[me].peer[1], data, 8, NULL, 0);
}

static void bus1_users_own(int me)
{
	scale_send(own[me].user_peer[0], 1, &own[me].user_handle, data, 8, NULL,
		   0);
	scale_recv(own[me].user_peer[1], data, 8, NULL, 0);
}

static void bus1_fan_own(int me)
{
	int i;

	scale_send(own[me].peer[0], FAN, own[me].handle, data, 8, NULL, 0);
	for (i = 1; i <= FAN; i++)
		scale_recv(own[me].peer[i], data, 8, NULL, 0);
}

static void unix_own(int me)
{
	if (send(own[me].socket[0], data, 8, 0) != 8 ||
	    recv(own[me].socket[1], data, 8, 0) != 8)
		bench_fail("seqpacket");
}

static void pipe_own(int me)
{
	if (write(own[me].pipe[1], data, 8) != 8 ||
	    read(own[me].pipe[0], data, 8) != 8)
		bench_fail("pipe");
}

static void getppid_own(int me)
{
	(void)me;
	getppid();
}

/* What goes from one to the other; the receiver sleeps. */
static void bus1_put(int me)
{
	scale_send(shared.peer[me], 1, &shared.handle[me], data, 8, NULL, 0);
}

static void bus1_get(int me)
{
	bool wait = scale_features() & BUS1_FEATURE_WAIT;
	struct pollfd p = { .fd = shared.peer[me], .events = POLLIN };
	struct raw_msg m = { 0 };
	int r;

	do {
		if (!wait && poll(&p, 1, -1) != 1)
			bench_fail("poll");
		r = scale_try(shared.peer[me], &m, data, 8, NULL, 0,
			      wait ? BUS1_RECV_FLAG_WAIT : 0);
	} while (r == EAGAIN);
	errno = r;
	if (r || m.n_data != 8)
		bench_fail("RECV");
}

static void unix_put(int me)
{
	if (send(shared.socket[me], data, 8, 0) != 8)
		bench_fail("send");
}

static void unix_get(int me)
{
	if (recv(shared.socket[me], data, 8, 0) != 8)
		bench_fail("recv");
}

static void pipe_put(int me)
{
	if (write(shared.pipe[me][1], data, 8) != 8)
		bench_fail("write");
}

static void pipe_get(int me)
{
	if (read(shared.pipe[!me][0], data, 8) != 8)
		bench_fail("read");
}

static const struct way {
	const char *group;
	const char *name;
	void (*own)(int me);
	void (*put)(int me);
	void (*get)(int me);
} ways[] = {
	{ "pairs", "getppid", .own = getppid_own },
	{ "pairs", "bus1", .own = bus1_own },
	{ "pairs", "bus1 users", .own = bus1_users_own },
	{ "pairs", "bus1 multicast", .own = bus1_fan_own },
	{ "pairs", "seqpacket", .own = unix_own },
	{ "pairs", "pipe", .own = pipe_own },
	{ "stream", "bus1", .put = bus1_put, .get = bus1_get },
	{ "stream", "seqpacket", .put = unix_put, .get = unix_get },
	{ "stream", "pipe", .put = pipe_put, .get = pipe_get },
	{ "turns", "bus1", .put = bus1_put, .get = bus1_get },
	{ "turns", "seqpacket", .put = unix_put, .get = unix_get },
	{ "turns", "pipe", .put = pipe_put, .get = pipe_get },
};

#define WAYS (sizeof(ways) / sizeof(*ways))

/* Each returns the ns for an operation. */
static double run_own(const struct way *w, int me, uint64_t end)
{
	uint64_t start = bench_now(), now, n = 0;
	int i;

	do {
		for (i = 0; i < 8; i++)
			w->own(me);
		n += 8;
		now = bench_now();
	} while (now < end);
	return (double)(now - start) / n;
}

/* The last message is told from the others by its first byte. */
static double run_stream(const struct way *w, int me, uint64_t end)
{
	uint64_t start = bench_now(), now, n = 0;

	data[0] = 'p';
	if (me) {
		do {
			w->get(me);
			n++;
			*received = n;
		} while (data[0] == 'p');
		return 0;
	}
	do {
		while (n - *received >= AHEAD)
			;
		if (!(n % 16) && bench_now() >= end)
			data[0] = 'l';
		w->put(me);
		n++;
	} while (data[0] == 'p');
	while (*received != n)
		;
	now = bench_now();
	*received = 0;
	return (double)(now - start) / n;
}

static double run_turns(const struct way *w, int me, uint64_t end)
{
	uint64_t start = bench_now(), now = start, n = 0;

	data[0] = 'p';
	do {
		if (!me) {
			data[0] = now < end ? 'p' : 'l';
			w->put(me);
		}
		w->get(me);
		if (me)
			w->put(me);
		n++;
		now = bench_now();
	} while (data[0] == 'p');
	return (double)(now - start) / n;
}

/* With marks around it, for tests/bench/lines. */
static void run_marked(const struct way *w, int me)
{
	int i;

	for (i = 0; i < MARKED; i++)
		w->own(me);
	marker_begin(w->name, MARKED);
	for (i = 0; i < MARKED; i++)
		w->own(me);
	marker_end();
}

struct order {
	const struct way *way;
	uint64_t begin; /* 0: to be marked */
};

static struct worker {
	pid_t pid;
	int orders; /* a pipe to it */
	int results;
} workers[2];

static void work(int me, int orders, int results)
{
	const struct way *w;
	struct order o;
	double v;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_pin(cpus[me]);
	while (read(orders, &o, sizeof(o)) == sizeof(o)) {
		w = o.way;
		while (bench_now() < o.begin)
			;
		v = 0;
		if (!o.begin)
			run_marked(w, me);
		else if (w->own)
			v = run_own(w, me, o.begin + RUN_NS);
		else if (!strcmp(w->group, "stream"))
			v = run_stream(w, me, o.begin + RUN_NS);
		else
			v = run_turns(w, me, o.begin + RUN_NS);
		if (write(results, &v, sizeof(v)) != sizeof(v))
			bench_fail("write");
	}
	_exit(1);
}

static void start(int me)
{
	int orders[2], results[2];

	if (pipe(orders) || pipe(results))
		bench_fail("pipe");
	workers[me].pid = fork();
	if (workers[me].pid < 0)
		bench_fail("fork");
	if (!workers[me].pid)
		work(me, orders[0], results[1]);
	workers[me].orders = orders[1];
	workers[me].results = results[0];
	close(results[1]);
}

static void order(int me, const struct order *o)
{
	if (write(workers[me].orders, o, sizeof(*o)) != sizeof(*o))
		bench_fail("write");
}

static double result(int me)
{
	double v;

	if (read(workers[me].results, &v, sizeof(v)) != sizeof(v)) {
		fputs("scale-cpus: a process died\n", stderr);
		exit(1);
	}
	return v;
}

static void both(const struct way *w, double v[2])
{
	struct order o = { w, bench_now() + HEADSTART_NS };

	order(0, &o);
	order(1, &o);
	v[0] = result(0);
	v[1] = result(1);
}

static double alone(const struct way *w, int me)
{
	struct order o = { w, bench_now() + HEADSTART_NS };

	order(me, &o);
	return result(me);
}

/* ns for an operation: of both together, and of each alone. */
static struct figures {
	double both[ITERATIONS];
	double one[2][ITERATIONS];
} figures[WAYS];

static void once(const struct way *w, int i)
{
	struct figures *f = &figures[w - ways];
	double v[2];

	both(w, v);
	f->both[i] = v[0];
	if (!w->own)
		return;
	f->both[i] = 1 / (1 / v[0] + 1 / v[1]);
	f->one[0][i] = alone(w, 0);
	f->one[1][i] = alone(w, 1);
}

/* Of @v, sorted, where its best part of so many percent ends. */
static double best(const double *v, int percent)
{
	return v[ITERATIONS * percent / 100];
}

/* How much of what one gets done alone two get done together. */
static double speed(const struct figures *f, int percent)
{
	return (best(f->one[0], percent) + best(f->one[1], percent)) / 2 /
	       best(f->both, percent);
}

static void print(const struct way *w, struct figures *f)
{
	double value, spread;

	qsort(f->both, ITERATIONS, sizeof(double), bench_by_value);
	qsort(f->one[0], ITERATIONS, sizeof(double), bench_by_value);
	qsort(f->one[1], ITERATIONS, sizeof(double), bench_by_value);
	if (w->own) {
		value = speed(f, 10);
		spread = speed(f, 5) - speed(f, 15);
	} else {
		value = best(f->both, 10);
		spread = best(f->both, 15) - best(f->both, 5);
	}
	bench_print(w->group, w->name, 2, value, 50 * fabs(spread) / value);
}

static void lines(void)
{
	struct order o = { 0 };
	unsigned int w;

	for (w = 0; w < WAYS; w++) {
		if (!ways[w].own)
			continue;
		o.way = &ways[w];
		order(0, &o);
		order(1, &o);
		result(0);
		result(1);
	}
}

int main(int argc, char **argv)
{
	cpu_set_t set;
	unsigned int w;
	int i, n;

	if (argc > 2) {
		fputs("usage: scale-cpus [GROUP[,GROUP]...]\n", stderr);
		return 2;
	}
	if (sched_getaffinity(0, sizeof(set), &set))
		bench_fail("sched_getaffinity");
	for (i = 0, n = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &set))
			cpus[n++] = i;
	if (n < 2) {
		fputs("scale-cpus: needs two processors (tests/vm/run --smp 2)\n",
		      stderr);
		return 1;
	}
	make();
	start(0);
	start(1);
	bench_settle();
	if (argc == 2 && !strcmp(argv[1], "lines")) {
		lines();
		return 0;
	}
	for (i = -1; i < ITERATIONS; i++)
		for (w = 0; w < WAYS; w++)
			if (bench_listed(argv[1], ways[w].group))
				once(&ways[w], i < 0 ? 0 : i);
	for (w = 0; w < WAYS; w++)
		if (bench_listed(argv[1], ways[w].group))
			print(&ways[w], &figures[w]);
	return 0;
}
