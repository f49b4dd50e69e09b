// SPDX-License-Identifier: GPL-2.0-only
/*
 * order - shake the order of delivery, and judge it by the oracle
 *
 * Rounds of some thousand calls. In each, every shared peer has one receiving
 * thread, which reacts to what it receives; sending threads use all shared
 * peers at once. Who learns of a call by a receive, by a flag in shared memory
 * or through a pipe tries to overtake it. Then all is drained, checked (see
 * oracle.h), closed, and the next round begins.
 *
 * --reopen adds peers that live for a moment only; --kill adds processes that
 * send through the shared peers, and processes with a peer of their own, which
 * are killed at any point of what they do.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "order-act.h"
#include "order-selftest.h"

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

static void set_up(void)
{
	struct actor *a = &sh->actor[ACTORS - 1];
	uint32_t i, p, q;
	uint64_t none;

	if (w->n_peer > O_PEERS)
		w->n_peer = O_PEERS;
	o_reset(w);
	w->n_peer = w->n_shared = n_shared;
	sh->stop = sh->drain = false;
	sh->quiet = sh->last = 0;
	for (i = 0; i < ACTORS; i++) {
		a = &sh->actor[i];
		a->cur = a->n_own = 0;
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

static void one_round(uint64_t until)
{
	uint32_t n_fly = opt_reopen ? 2 : 0, n_kids = opt_kill ? 3 : 0;
	uint32_t i, n = n_shared + n_senders + n_fly;
	pthread_t t[ACTORS];
	uint64_t one = 1, start;

	round_no++;
	set_up();
	for (i = 0; i < n; i++)
		if (pthread_create(&t[i], NULL,
				   i < n_shared ? receiver :
				   i < n_shared + n_senders ? sender : mayfly,
				   &sh->actor[i]))
			bail_out("cannot make a thread");
	for (i = 0; i < n_kids; i++)
		spawn(&sh->actor[n + i], i ? sender : mayfly);
	run(until, n, n_kids);

	if (write(wake_fd, &one, sizeof(one)) != sizeof(one))
		bail_out("cannot wake the receivers");
	for (i = n_shared; i < n; i++)
		join(t[i], "sender");
	for (i = 0; i < n_kids; i++)
		reap(&sh->actor[n + i], false);
	start = now_ms();
	while (__atomic_load_n(&sh->quiet, __ATOMIC_SEQ_CST) < n_shared) {
		usleep(500);
		if (now_ms() - start > HANG_MS)
			bail_out("a receiver does not come to an end");
	}
	raise_flag(&sh->drain);
	for (i = 0; i < n_shared; i++)
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

static void usage(void)
{
	fputs("usage: order [-d SECONDS] [-p PEERS] [-t THREADS] [-s SEED]\n"
	      "             [-r CALLS] [--max N] [--kill] [--reopen] [--agree]\n"
	      "       order --selftest\n"
	      "  -d  how long (10)          -p  shared peers, 2 to 8 (4)\n"
	      "  -t  sending threads (3)    -s  seed (the time)\n"
	      "  -r  calls in a round (8000)\n"
	      "  --max N     end after N calls\n"
	      "  --kill      processes that are killed while they send\n"
	      "  --reopen    peers that are opened and closed meanwhile\n"
	      "  --agree     multicasts in different orders are an error\n"
	      "  --selftest  check the oracle; needs no module\n",
	      stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "max", required_argument, NULL, 'm' },
		{ "kill", no_argument, NULL, 'k' },
		{ "reopen", no_argument, NULL, 'o' },
		{ "agree", no_argument, NULL, 'a' },
		{ "selftest", no_argument, NULL, 'S' },
		{ }
	};
	uint64_t seed = time(NULL), max = UINT64_MAX, until, sum = 0;
	unsigned int seconds = 10, calls = 8000, i;
	bool agree = false;
	int c;

	while ((c = getopt_long(argc, argv, "d:p:t:s:r:", options, NULL)) >= 0)
		switch (c) {
		case 'd': seconds = strtoul(optarg, NULL, 0); break;
		case 'p': n_shared = strtoul(optarg, NULL, 0); break;
		case 't': n_senders = strtoul(optarg, NULL, 0); break;
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'r': calls = strtoul(optarg, NULL, 0); break;
		case 'm': max = strtoull(optarg, NULL, 0); break;
		case 'k': opt_kill = true; break;
		case 'o': opt_reopen = true; break;
		case 'a': agree = true; break;
		case 'S': return order_selftest(seed);
		default: usage();
		}
	if (optind < argc || n_shared < 2 || n_shared > SHARED ||
	    n_senders < 1 || n_senders > 32 || calls < 100 || calls > 1000000)
		usage();

	w = o_new(calls + SPARE);
	sh = o_map(sizeof(*sh));
	wake_fd = eventfd(0, EFD_CLOEXEC);
	if (wake_fd < 0 || pipe2(side, O_NONBLOCK | O_CLOEXEC))
		bail_out("cannot make a pipe: %s", strerror(errno));
	diag("order: seed %llu", o_u(seed));
	for (i = 0; i < ACTORS; i++)
		sh->actor[i].rand = raw_rand(&seed);
	until = now_ms() + seconds * 1000ull;
	do {
		one_round(until);
		for (sum = i = 0; i < O_BAD_N; i++)
			sum += i == O_BAD_AGREE && !agree ? 0 : w->bad[i];
	} while (now_ms() < until && w->sum_tx < max && !sum);
	w->bad[O_BAD_WAKE] = sh->missed;

	diag("%llu rounds, %llu calls, %llu of them failed, %llu multicasts",
	     o_u(round_no), o_u(w->sum_tx), o_u(w->sum_failed),
	     o_u(w->sum_multi));
	diag("received: %llu messages, %llu NODE_RELEASE, %llu HANDLE_RELEASE; %llu times nothing",
	     o_u(w->sum_user), o_u(w->sum_note[0]), o_u(w->sum_note[1]),
	     o_u(w->sum_empty));
	diag("%llu notifications could belong to more than one call",
	     o_u(w->sum_unsure));
	for (sum = i = 0; i < O_BAD_N; i++) {
		if (i == O_BAD_AGREE && !agree) {
			diag("%s: %llu differ, which is allowed",
			     o_bad_name[i], o_u(w->bad[i]));
			continue;
		}
		sum += w->bad[i];
		ok(!w->bad[i], "order: %s: %llu violations", o_bad_name[i],
		   o_u(w->bad[i]));
	}
	ok(!sh->odd && !sh->readable,
	   "order: %llu calls failed oddly, %llu drained peers readable",
	   o_u(sh->odd), o_u(sh->readable));
	ok(!sum && w->sum_user, "order: %llu transactions, %llu violations",
	   o_u(w->sum_tx), o_u(sum));
	return done_testing();
}
