// SPDX-License-Identifier: GPL-2.0-only
/*
 * ipc - what it takes to bring a message to somebody, by bus1 and by others
 *
 * Group roundtrip: a request from one process to another and the reply of the
 * same size. Group oneway: a message is sent and received by the same process,
 * so that nobody is woken and no one waits. Group burst: many are sent before
 * they are received, one by one. Each figure is measured by a process
 * of its own, which first sees that what arrives is what was sent.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "ipc.h"

#define MOST_SIZES 32
#define MOST_SIZE (16ul << 20)

static const struct ipc_way *const families[] = {
	ipc_bus1, ipc_file, ipc_queue, ipc_shared, ipc_binder,
};

static const struct group {
	const char *name;
	unsigned int bit;
} groups[] = {
	{ "roundtrip", IPC_ROUNDTRIP },
	{ "oneway", IPC_ONEWAY },
	{ "burst", IPC_BURST },
};

/* What is measured just now. */
struct job {
	const struct ipc_way *way;
	struct ipc_end end[2];
	size_t n;
	char *data;
	char *room;
};

static uint64_t run_ns = BENCH_RUN_NS;

static void round_by_call(void *arg, long rounds)
{
	struct job *j = arg;

	while (rounds--)
		j->way->call(&j->end[0], j->data, j->room, j->n);
}

static void round_by_two(void *arg, long rounds)
{
	struct job *j = arg;

	while (rounds--) {
		j->way->put(&j->end[0], j->data, j->n);
		j->way->get(&j->end[0], j->room, j->n);
	}
}

static void oneway(void *arg, long rounds)
{
	struct job *j = arg;

	while (rounds--) {
		j->way->put(&j->end[0], j->data, j->n);
		j->way->get(&j->end[1], j->room, j->n);
	}
}

static void burst(void *arg, long rounds)
{
	struct job *j = arg;
	size_t i;

	while (rounds--) {
		for (i = 0; i < IPC_BATCH; i++)
			j->way->put(&j->end[0], j->data, j->n);
		for (i = 0; i < IPC_BATCH; i++)
			j->way->get(&j->end[1], j->room + i * ipc_step(j->n),
				    j->n);
	}
}

static void oneway_batch(void *arg, long rounds)
{
	struct job *j = arg;

	while (rounds--)
		j->way->batch(j->end, j->data, j->room, j->n);
}

static void *make_room(size_t n)
{
	char *p = mmap(NULL, 4096 + n, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		bench_fail("no memory");
	return p + 4096;
}

static void peer_died(int sig)
{
	static const char text[] = "ipc: the other process has ended\n";

	(void)sig;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

/* The second process, which sends back whatever comes. */
static pid_t start_peer(struct job *j)
{
	struct ipc_end *e = &j->end[1];
	int ready[2];
	pid_t pid;
	char *room, c = 0;

	signal(SIGCHLD, peer_died);
	if (pipe(ready))
		bench_fail("pipe");
	pid = fork();
	if (pid < 0)
		bench_fail("fork");
	if (!pid) {
		signal(SIGCHLD, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		room = make_room(ipc_step(j->n));
		if (j->way->join)
			j->way->join(e);
		if (write(ready[1], &c, 1) != 1)
			bench_fail("write");
		close(ready[0]);
		close(ready[1]);
		if (j->way->serve)
			j->way->serve(e, room, j->n);
		for (;;) {
			j->way->get(e, room, j->n);
			j->way->put(e, room, j->n);
		}
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		bench_fail("the other process is not ready");
	close(ready[0]);
	return pid;
}

static void verify(struct job *j, void (*run)(void *arg, long rounds),
		   size_t copies)
{
	const char *got;
	size_t i;

	for (i = 0; i < j->n; i++)
		j->data[i] = 1 + (i * 7 + i / 251) % 255;
	memset(j->room, 0, ipc_step(j->n) * copies);
	run(j, 1);
	got = j->end[0].data ? j->end[0].data : j->room;
	for (i = 0; i < copies; i++) {
		if (memcmp(got + i * ipc_step(j->n), j->data, j->n)) {
			errno = EBADMSG;
			bench_fail("what was received is not what was sent");
		}
	}
}

static void measure(const struct group *g, const struct ipc_way *w, size_t n)
{
	size_t copies = w->batch || g->bit == IPC_BURST ? IPC_BATCH : 1;
	struct job j = { .way = w, .n = n };
	void (*run)(void *arg, long rounds);
	double value, spread;
	const char *why;
	pid_t pid = 0;

	why = w->open(j.end, n, copies);
	if (why) {
		fprintf(stderr, "ipc: %s %s %zu: skipped: %s\n", g->name,
			w->name, n, why);
		exit(0);
	}
	j.data = make_room(ipc_step(n));
	j.room = make_room(ipc_step(n) * copies);
	if (g->bit == IPC_ROUNDTRIP) {
		run = w->call ? round_by_call : round_by_two;
		pid = start_peer(&j);
	} else if (w->batch) {
		run = oneway_batch;
	} else {
		run = g->bit == IPC_BURST ? burst : oneway;
	}
	verify(&j, run, copies);
	value = bench_measure(run, &j, run_ns, &spread);
	bench_print(g->name, w->name, n, value / copies, spread);
	if (pid) {
		signal(SIGCHLD, SIG_DFL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	exit(0);
}

/* Whether it could be measured, or was left out for a reason. */
static bool figure(const struct group *g, const struct ipc_way *w, size_t n)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		bench_fail("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		measure(g, w, n);
	}
	if (waitpid(pid, &status, 0) != pid)
		bench_fail("waitpid");
	if (status)
		fprintf(stderr, "ipc: %s %s %zu: failed\n", g->name, w->name,
			n);
	return !status;
}

static unsigned int parse_sizes(const char *list, size_t *sizes)
{
	unsigned int n = 0;
	char *end;

	for (;; list = end + 1) {
		if (n == MOST_SIZES || *list < '0' || *list > '9')
			return 0;
		sizes[n] = strtoul(list, &end, 10);
		if (!sizes[n] || sizes[n] > MOST_SIZE)
			return 0;
		n++;
		if (!*end)
			return n;
		if (*end != ',')
			return 0;
	}
}

static void __attribute__((noreturn)) usage(FILE *f, int status)
{
	const struct ipc_way *w;
	unsigned int i;

	fputs("usage: ipc [-g GROUPS] [-w WAYS] [-s SIZES] [-t MS]\n\n"
	      "Lists have a comma between two; without one, all. A figure is\n"
	      "the median of several runs, each of so many ms.\n"
	      "groups: roundtrip oneway burst\nways:", f);
	for (i = 0; i < sizeof(families) / sizeof(*families); i++)
		for (w = families[i]; w->name; w++)
			if (w == families[i] || strcmp(w->name, w[-1].name))
				fprintf(f, " %s", w->name);
	fputs("\n", f);
	exit(status);
}

int main(int argc, char **argv)
{
	size_t sizes[MOST_SIZES] = { 8, 256, 4096, 65536, 1 << 20 };
	const char *list = NULL, *ways = NULL;
	unsigned int n_sizes = 5, done = 0, g, f, s;
	const struct ipc_way *w;
	bool ok = true;
	int c;

	while ((c = getopt(argc, argv, "g:w:s:t:h")) >= 0) {
		switch (c) {
		case 'g':
			list = optarg;
			break;
		case 'w':
			ways = optarg;
			break;
		case 's':
			n_sizes = parse_sizes(optarg, sizes);
			if (!n_sizes)
				usage(stderr, 2);
			break;
		case 't':
			run_ns = strtoul(optarg, NULL, 10) * 1000000ull;
			if (!run_ns)
				usage(stderr, 2);
			break;
		case 'h':
			usage(stdout, 0);
		default:
			usage(stderr, 2);
		}
	}
	if (optind < argc)
		usage(stderr, 2);
	bench_settle();
	for (g = 0; g < sizeof(groups) / sizeof(*groups); g++) {
		if (!bench_listed(list, groups[g].name))
			continue;
		for (f = 0; f < sizeof(families) / sizeof(*families); f++)
			for (w = families[f]; w->name; w++) {
				if (!(w->groups & groups[g].bit) ||
				    !bench_listed(ways, w->name))
					continue;
				for (s = 0; s < n_sizes; s++, done++)
					ok &= figure(&groups[g], w, sizes[s]);
			}
	}
	if (!done) {
		fputs("ipc: there is nothing like that to measure\n", stderr);
		usage(stderr, 2);
	}
	return !ok;
}
