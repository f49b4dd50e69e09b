// SPDX-License-Identifier: GPL-2.0-only
/*
 * order - shake the order of delivery, and judge it by the oracle
 *
 * Rounds of some thousand calls. In each, every shared peer has a receiving
 * thread or more, which react to what they receive; sending threads use all
 * shared peers at once. Who learns of a call by a receive, by a flag in shared
 * memory or through a pipe tries to overtake it; who sees a multicast begin
 * sends one to the same peers; who sees a handle go tries to use it. Some lose
 * the processor in the middle of a multicast for long. Then all is drained,
 * checked (see oracle.h), closed, and the next round begins: memory is bounded,
 * it can run for hours.
 *
 * --reopen adds peers that live for a moment only; --kill adds processes that
 * send through the shared peers, and processes with a peer of their own, which
 * are killed at any point of what they do. -w lets those who receive sleep in
 * the kernel, take several messages in one call, and receive where they send.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "order-act.h"
#include "order-selftest.h"

/* How many --reopen and --kill add. */
#define FLIES 2
#define KIDS 3

static void spawn(struct actor *a, void *(*fn)(void *))
{
	uint64_t start = now_ms();
	uint32_t i;
	pid_t pid;

	pthread_mutex_lock(&fork_lock);
	a->child = true;
	a->ready = false;
	a->fd = -1;
	a->peer = O_NONE;
	a->n_own = 0;
	memset(a->n_pool, 0, sizeof(a->n_pool));
	pid = fork();
	if (pid < 0)
		bail_out("cannot fork: %s", strerror(errno));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0; i < ACTORS; i++)
			if (sh->vol[i] >= 0)
				close(sh->vol[i]);
		raise_flag(&a->ready);
		fn(a);
		_exit(0);
	}
	a->pid = pid; /* not in the child, which shares it */
	while (!flag(&a->ready)) {
		usleep(200);
		if (now_ms() - start > HANG_MS)
			bail_out("a child does not start");
	}
	pthread_mutex_unlock(&fork_lock);
}

/* Wait for a child, killed or not, and complete what it left in the logs. */
static void reap(struct actor *a, bool kill_it)
{
	uint64_t b = o_g(w), e, start = now_ms();
	struct o_tx *x;
	int status;

	if (kill_it)
		kill(a->pid, SIGKILL);
	while (waitpid(a->pid, &status, WNOHANG) != a->pid) {
		usleep(500);
		if (now_ms() - start > HANG_MS)
			bail_out("a process does not end%s",
				 kill_it ? ", though killed" : "");
	}
	if (!kill_it && status)
		bail_out("a child ended with status %#x", status);
	e = o_g(w);
	x = &w->tx[a->cur];
	if (x->e == O_NEVER)
		x->end = e;
	if (a->peer == O_NONE)
		return;
	if (w->peer[a->peer].close == O_NONE) {
		x = begin(a, O_CLOSE, n_shared);
		x->b = b;
		w->peer[a->peer].close = x - w->tx;
	} else {
		x = &w->tx[w->peer[a->peer].close];
		if (!x->b)
			x->b = b;
	}
	if (x->e == O_NEVER)
		x->e = x->end = e;
	a->peer = O_NONE;
}

static void set_up(uint64_t seed)
{
	struct actor *a = &sh->actor[ACTORS - 1];
	uint32_t i, p, q;
	uint64_t none;

	if (w->n_peer > O_PEERS)
		w->n_peer = O_PEERS;
	o_reset(w);
	w->n_peer = w->n_shared = n_shared;
	sh->stop = sh->drain = false;
	sh->quiet = sh->last = sh->flock = sh->bait = 0;
	for (i = 0; i < ACTORS; i++) {
		a = &sh->actor[i];
		a->rand = raw_rand(&seed);
		a->cur = a->n_own = a->bait = 0;
		memset(a->n_pool, 0, sizeof(a->n_pool));
		a->peer = O_NONE;
		a->fd = sh->vol[i] = -1;
		a->child = false;
	}
	for (p = 0; p < n_shared; p++) {
		sh->fd[p] = raw_open();
		if (sh->fd[p] < 0)
			bail_out("cannot open /dev/bus1: %s; load the module",
				 strerror(errno));
	}
	for (q = 0; q < n_shared; q++)
		for (i = 0; i < n_shared; i++) {
			int r;

			p = (q + i) % n_shared;
			r = do_transfer(a, q, p,
					i ? sh->root[q][q] : BUS1_INVALID,
					&none, &sh->root[p][q]);
			if (r)
				bail_out("TRANSFER fails: %s", strerror(r));
		}
}

static void join(pthread_t t, const char *who)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += HANG_MS / 1000;
	if (pthread_timedjoin_np(t, NULL, &ts))
		bail_out("a %s hangs", who);
}

/* Let it run until the log is full or the time is up. */
static void run(uint64_t until, uint32_t first_kid, uint32_t n_kids)
{
	struct actor *a = &sh->actor[ACTORS - 1];
	uint64_t moved = now_ms();
	uint32_t was = 0, i;

	while (!flag(&sh->stop)) {
		usleep(1000 + rnd(a, 10000));
		if (now_ms() >= until)
			raise_flag(&sh->stop);
		if (w->n_tx != was)
			moved = now_ms();
		was = w->n_tx;
		if (now_ms() - moved > HANG_MS)
			bail_out("nothing moves any more");
		if (!n_kids || flag(&sh->stop) || !chance(a, 25))
			continue;
		i = rnd(a, n_kids);
		reap(&sh->actor[first_kid + i], true);
		spawn(&sh->actor[first_kid + i], i ? sender : mayfly);
	}
}

/*
 * Nobody sends any more, so nobody's wakeup makes up for another one's: who has
 * something to receive must get up.
 */
static void all_awake(void)
{
	uint64_t start = now_ms();
	uint32_t p;

	for (p = 0; p < n_shared; p++) {
		struct pollfd fd = { .fd = sh->fd[p], .events = POLLIN };

		while (poll(&fd, 1, 0) == 1) {
			if (slept_through(&fd, start)) {
				__atomic_fetch_add(&sh->missed, 1,
						   __ATOMIC_SEQ_CST);
				return;
			}
			usleep(200);
		}
	}
}

static void one_round(uint64_t seed, uint64_t until)
{
	uint32_t n_fly = opt_reopen ? FLIES : 0, n_kids = opt_kill ? KIDS : 0;
	uint32_t n_recv = n_receivers(), i, n = n_recv + n_senders + n_fly;
	pthread_t t[ACTORS];
	uint64_t one = 1, start;

	round_no++;
	set_up(seed);
	for (i = 0; i < n; i++)
		if (pthread_create(&t[i], NULL,
				   i < n_recv ? receiver :
				   i < n_recv + n_senders ? sender : mayfly,
				   &sh->actor[i]))
			bail_out("cannot make a thread");
	for (i = 0; i < n_kids; i++)
		spawn(&sh->actor[n + i], i ? sender : mayfly);
	run(until, n, n_kids);

	for (i = n_recv; i < n; i++)
		join(t[i], "sender");
	for (i = 0; i < n_kids; i++)
		reap(&sh->actor[n + i], false);
	all_awake();
	if (write(wake_fd, &one, sizeof(one)) != sizeof(one))
		bail_out("cannot wake the receivers");
	start = now_ms();
	while (__atomic_load_n(&sh->quiet, __ATOMIC_SEQ_CST) < n_recv) {
		for (i = 0; opt_wait && i < n_recv; i++)
			pthread_kill(t[i], SIGUSR1);
		usleep(500);
		if (now_ms() - start > HANG_MS)
			bail_out("a receiver does not come to an end");
	}
	raise_flag(&sh->drain);
	for (i = 0; i < n_recv; i++)
		join(t[i], "receiver");
	if (read(wake_fd, &one, sizeof(one)) != sizeof(one))
		bail_out("cannot reset the wakeup");
	while (read(side[0], &one, sizeof(one)) > 0)
		;
	for (i = 0; i < n_shared; i++) {
		struct pollfd p = { .fd = sh->fd[i], .events = POLLIN };

		sh->readable += poll(&p, 1, 0) != 0;
	}
	for (i = 0; i < n_shared; i++)
		close(sh->fd[i]);
	if (w->n_peer > O_PEERS)
		w->n_peer = O_PEERS;
	o_check(w);
}

/* Use the first @n of the processors that are allowed. */
static void confine(unsigned int n)
{
	cpu_set_t have, want;
	unsigned int i;

	CPU_ZERO(&want);
	if (sched_getaffinity(0, sizeof(have), &have))
		bail_out("which processors? %s", strerror(errno));
	for (i = 0; i < CPU_SETSIZE && (unsigned int)CPU_COUNT(&want) < n; i++)
		if (CPU_ISSET(i, &have))
			CPU_SET(i, &want);
	if ((unsigned int)CPU_COUNT(&want) < n)
		bail_out("-c %u: only %u processors are allowed", n,
			 (unsigned int)CPU_COUNT(&want));
	if (sched_setaffinity(0, sizeof(want), &want))
		bail_out("cannot choose processors: %s", strerror(errno));
}

/* That a call sleeps no longer */
static void nudge(int sig)
{
	(void)sig;
}

static uint64_t violations(void)
{
	uint64_t sum = sh->odd + sh->readable;
	uint32_t i;

	w->bad[O_BAD_WAKE] = sh->missed;
	for (i = 0; i < O_BAD_N; i++)
		sum += w->bad[i];
	return sum;
}

static void report(uint64_t seed, uint64_t ms)
{
	uint64_t bad = violations();
	uint32_t i;

	diag("%llu rounds, %llu calls, %llu of them failed, in %llu.%llu s; first to last round: seeds %llu to %llu",
	     o_u(round_no), o_u(w->sum_call), o_u(w->sum_failed),
	     o_u(ms / 1000), o_u(ms / 100 % 10), o_u(seed - round_no),
	     o_u(seed - 1));
	diag("operations: %llu", o_u(w->sum_call));
	diag("received: %llu messages, %llu NODE_RELEASE, %llu HANDLE_RELEASE; %llu times nothing",
	     o_u(w->sum_user), o_u(w->sum_note[0]), o_u(w->sum_note[1]),
	     o_u(w->sum_empty));
	diag("%llu notifications could belong to more than one call",
	     o_u(w->sum_unsure));
	for (i = 0; i < O_BAD_N; i++)
		ok(!w->bad[i], "order: %s: %llu violations", o_bad_name[i],
		   o_u(w->bad[i]));
	ok(!sh->odd && !sh->readable,
	   "order: %llu calls failed oddly, %llu drained peers readable",
	   o_u(sh->odd), o_u(sh->readable));
	ok(!bad && w->sum_user,
	   "order: %llu transactions, %llu of them multicasts, %llu violations",
	   o_u(w->sum_tx), o_u(w->sum_multi), o_u(bad));
}

static void usage(void)
{
	fputs("usage: order [OPTION]...\n"
	      "       order --selftest\n"
	      "  -d SECONDS   how long (10; with --max for ever)\n"
	      "  --max N      end after N transactions\n"
	      "  -p PEERS     shared peers, 2 to 64 (4)\n"
	      "  -e THREADS   that receive from each of them, in turns (1)\n"
	      "  -t THREADS   that send (3)\n"
	      "  -c CPUS      use so many processors (all)\n"
	      "  -r CALLS     in a round (8000, more with more peers)\n"
	      "  -s SEED      of the first round (the time); the next has the next\n"
	      "  -w           receivers wait in the kernel, take batches, and call\n"
	      "  --kill       processes that are killed while they send\n"
	      "  --reopen     peers that are opened and closed meanwhile\n"
	      "  --selftest   check the oracle; needs no module\n",
	      stderr);
	exit(2);
}

static unsigned long number(const char *s, unsigned long min, unsigned long max)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(s, &end, 0);
	if (errno || end == s || *end || *s == '-' || n < min || n > max) {
		fprintf(stderr, "order: %s is not a number from %lu to %lu\n", s,
			min, max);
		usage();
	}
	return n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "max", required_argument, NULL, 'm' },
		{ "kill", no_argument, NULL, 'k' },
		{ "reopen", no_argument, NULL, 'o' },
		{ "selftest", no_argument, NULL, 'S' },
		{ }
	};
	uint64_t seed = time(NULL), max = UINT64_MAX, seconds = 0, start, said;
	unsigned int calls = 0, cpus = 0;
	int c;

	while ((c = getopt_long(argc, argv, "d:p:e:t:c:s:r:w", options,
				NULL)) >= 0)
		switch (c) {
		case 'd': seconds = number(optarg, 1, INT_MAX); break;
		case 'p': n_shared = number(optarg, 2, SHARED); break;
		case 'e': n_each = number(optarg, 1, ACTORS); break;
		case 't': n_senders = number(optarg, 1, ACTORS); break;
		case 'c': cpus = number(optarg, 1, CPU_SETSIZE); break;
		case 's': seed = number(optarg, 0, ULONG_MAX); break;
		case 'r': calls = number(optarg, 100, 1000000); break;
		case 'w': opt_wait = true; break;
		case 'm': max = number(optarg, 1, ULONG_MAX); break;
		case 'k': opt_kill = true; break;
		case 'o': opt_reopen = true; break;
		case 'S': return order_selftest(seed);
		default: usage();
		}
	if (optind < argc)
		usage();
	if (n_receivers() + n_senders > ACTORS - FLIES - KIDS - 1) {
		fprintf(stderr, "order: at most %u threads in all\n",
			ACTORS - FLIES - KIDS - 1);
		return 2;
	}
	if (!seconds)
		seconds = max == UINT64_MAX ? 10 : INT_MAX;
	/* making the handles takes calls, too */
	if (!calls)
		calls = 8000 + 8 * n_shared * n_shared;
	if (cpus)
		confine(cpus);

	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = nudge }, NULL);
	w = o_new(calls + SPARE);
	sh = o_map(sizeof(*sh));
	wake_fd = eventfd(0, EFD_CLOEXEC);
	if (wake_fd < 0 || pipe2(side, O_NONBLOCK | O_CLOEXEC))
		bail_out("cannot make a pipe: %s", strerror(errno));
	diag("order: seed %llu", o_u(seed));
	start = said = now_ms();
	do {
		one_round(seed++, start + seconds * 1000);
		if (now_ms() - said < 60000)
			continue;
		said = now_ms();
		fprintf(stderr, "# after %llu s, round %llu: %llu transactions, %llu of them multicasts, %llu violations\n",
			o_u((said - start) / 1000), o_u(round_no),
			o_u(w->sum_tx), o_u(w->sum_multi), o_u(violations()));
	} while (now_ms() - start < seconds * 1000 && w->sum_tx < max &&
		 !violations());
	report(seed, now_ms() - start);
	return done_testing();
}
