// SPDX-License-Identifier: GPL-2.0-only
/*
 * churn - everything at once, with witnesses
 *
 * Threads and processes that are killed open, close, fork, pass, poll and use
 * a few peers with no agreement between them: an ID may be released, a
 * descriptor closed, while another uses it. The kernel's own checks (KASAN,
 * KCSAN, lockdep) are the first to see a mistake there; --all adds what else can
 * happen (churn-mayhem.h).
 *
 * Witnesses (churn-witness.h) see the rest: what is to be heard of nodes and handles
 * is heard once. And a crowd (churn-crowd.h) receives each message once, as it was
 * sent.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "churn.h"
#include "churn-crowd.h"
#include "churn-mayhem.h"
#include "churn-witness.h"

#define THREADS 32
#define HANG_S 60
#define CROWD (CROWD_PEERS * CROWD_EACH)

static bool opt_all, opt_trace;

static void churn_open(uint64_t *rand, uint32_t slot)
{
	int fd = raw_open();

	(void)rand;
	if (fd >= 0)
		put_into(slot, fd);
}

static void churn_transfer(uint64_t *rand, uint32_t slot)
{
	uint32_t to = rnd(rand, SLOTS), n = 1 + rnd(rand, 4), i;
	struct bus1_transfer src[4], dst[4];

	for (i = 0; i < n; i++) {
		bool create = rnd(rand, 3) == 0;

		src[i].flags = create ? BUS1_TRANSFER_FLAG_CREATE : 0;
		src[i].id = create ? BUS1_INVALID : some_id(rand, slot);
	}
	if (fine(CHURN_TRANSFER,
		 raw_transfer(sh->fd[slot],
			      rnd(rand, 8) ? (uint64_t)sh->fd[to] :
			      BUS1_INVALID, n, src, dst)))
		return;
	note_id(rand, slot, src[0].id);
	for (i = 0; i < n; i++)
		note_id(rand, to, dst[i].id);
}

/* Send, and receive whatever there is. */
static int churn_call(uint64_t *rand, uint32_t slot, uint64_t to,
		      const void *data, uint32_t size, struct bus1_transfer *t,
		      uint32_t n_t)
{
	struct bus1_transfer back[4];
	unsigned char reply[6000];
	struct bus1_received room;
	uint32_t i;
	int r, why;

	/* sometimes with little room, sometimes with bad room */
	room = raw_room(rnd(rand, 9) ? reply : (void *)8,
			rnd(rand, 9) ? sizeof(reply) : 4, back, 4);
	r = raw_call(sh->fd[slot], to, soon(rand), data, size, t, n_t, &room,
		     &why);
	if (!r)
		fine(CHURN_REPLY, why);
	for (i = 0; !r && !why && i < room.message.n_transfers; i++)
		note_id(rand, slot, back[i].id);
	return fine(CHURN_CALL, r);
}

static void churn_send(uint64_t *rand, uint32_t slot)
{
	uint32_t n = rnd(rand, 2) ? 1 : rnd(rand, 8), n_t = rnd(rand, 4), i;
	static const uint16_t sizes[] = { 0, 8, 200, 6000 };
	struct bus1_transfer t[4];
	unsigned char data[6000];
	uint64_t to[8];
	int r;

	for (i = 0; i < n; i++)
		to[i] = some_id(rand, slot);
	for (i = 0; i < n_t; i++) {
		bool create = rnd(rand, 3) == 0;

		t[i].flags = create ? BUS1_TRANSFER_FLAG_CREATE : 0;
		t[i].id = create ? BUS1_INVALID : some_id(rand, slot);
	}
	if (n == 1 && rnd(rand, 2))
		r = churn_call(rand, slot, to[0], data, sizes[rnd(rand, 4)], t,
			       n_t);
	else
		r = fine(CHURN_SEND,
			 raw_send(sh->fd[slot], n, to, data,
				  sizes[rnd(rand, 4)], t, n_t));
	if (!r && n_t)
		note_id(rand, slot, t[0].id);
}

/* Up to three at once, the second perhaps without room. */
static int churn_batch(uint64_t *rand, uint32_t slot)
{
	struct bus1_transfer t[3][4];
	struct bus1_received room[3];
	static __thread unsigned char data[3][6000];
	uint64_t got, i, k;
	int r;

	for (i = 0; i < 3; i++)
		room[i] = raw_room(data[i], i == 1 && !rnd(rand, 4) ? 4 :
				   sizeof(data[i]), t[i], 4);
	if (rnd(rand, 2))
		r = raw_batch(sh->fd[slot], BUS1_RECV_FLAG_WAIT, soon(rand),
			      room, 3, &got);
	else
		r = raw_batch(sh->fd[slot], 0, 0, room, 3, &got);
	for (i = 0; i < got; i++)
		for (k = 0; k < room[i].message.n_transfers; k++)
			note_id(rand, slot, t[i][k].id);
	return r;
}

static void churn_recv(uint64_t *rand, uint32_t slot)
{
	uint32_t k = 1 + rnd(rand, 12), i;
	enum churn_call call;
	struct bus1_transfer t[4];
	unsigned char data[6000];
	struct raw_msg m = { 0 };
	int r;

	while (k--) {
		call = CHURN_RECV;
		switch (rnd(rand, 12)) {
		case 0: /* no room */
			r = raw_recv(sh->fd[slot], &m, data, 4, t, 0);
			break;
		case 1: /* a fault after part of it is copied */
			r = raw_recv(sh->fd[slot], &m, data, sizeof(data),
				     (void *)8, 4);
			break;
		case 2: case 3: case 4:
			call = CHURN_BATCH;
			r = churn_batch(rand, slot);
			break;
		default:
			r = raw_recv(sh->fd[slot], &m, data, sizeof(data), t,
				     4);
			for (i = 0; !r && i < m.n_t; i++)
				note_id(rand, slot, t[i].id);
		}
		if (fine(call, r) == EAGAIN || r == ETIMEDOUT)
			break;
	}
}

static void churn_release(uint64_t *rand, uint32_t slot)
{
	uint64_t ids[4];
	uint32_t n = 1 + (rnd(rand, 4) ? 0 : rnd(rand, 4)), i;

	for (i = 0; i < n; i++)
		ids[i] = some_id(rand, slot);
	fine(CHURN_RELEASE, raw_release(sh->fd[slot], n, ids));
}

static void churn_poll(uint64_t *rand, uint32_t slot)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct pollfd p = { .fd = sh->fd[slot], .events = POLLIN };
	int ep;

	if (rnd(rand, 2)) {
		poll(&p, 1, rnd(rand, 3));
		return;
	}
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		return;
	if (!epoll_ctl(ep, EPOLL_CTL_ADD, sh->fd[slot], &ev))
		epoll_wait(ep, &ev, 1, rnd(rand, 3));
	close(ep);
}

/* Pass a peer to ourselves, or leave it on its way. */
static void churn_pass(uint64_t *rand, uint32_t slot)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec vec = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int s[2], fd = dup_peer(slot);

	if (fd < 0)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s)) {
		close(fd);
		return;
	}
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	sendmsg(s[0], &msg, 0);
	close(fd);
	msg.msg_controllen = sizeof(control);
	/* It is there, or it was not sent. */
	if (rnd(rand, 2) &&
	    recvmsg(s[1], &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) == 1 &&
	    msg.msg_controllen) {
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
		/* the same peer, or by now its twin, in the same slot */
		put_into(slot, fd);
	}
	close(s[0]);
	close(s[1]);
}

struct step {
	void (*fn)(uint64_t *rand, uint32_t slot);
	uint32_t weight;
	/* not in a child: descriptors are its own, the table is not */
	bool not_child;
};

#define FEW 7 /* of the steps, without --all */
static const struct step steps[] = {
	{ churn_send, 270, false },
	{ churn_recv, 200, false },
	{ churn_transfer, 230, false },
	{ churn_release, 260, false },
	{ churn_poll, 20, false },
	{ churn_open, 10, true },
	{ churn_pass, 10, true },
	{ mayhem_area, 200, false },
	{ mayhem_many, 30, false },
	{ mayhem_map, 30, false },
	{ mayhem_name, 20, false },
	{ mayhem_send, 50, false },
	{ mayhem_cycle, 5, true },
	{ mayhem_dup, 10, true },
	{ mayhem_open, 10, true },
};

static void churn_step(uint64_t *rand, bool child)
{
	const size_t n = opt_all ? sizeof(steps) / sizeof(*steps) : FEW;
	uint32_t sum = 0, dice;
	size_t i;

	for (i = 0; i < n; i++)
		sum += steps[i].weight;
	dice = rnd(rand, sum);
	for (i = 0; dice >= steps[i].weight; i++)
		dice -= steps[i].weight;
	if (child && steps[i].not_child)
		sched_yield();
	else
		steps[i].fn(rand, rnd(rand, SLOTS));
}

struct crew {
	pthread_t t[THREADS];
	uint32_t n;
};

/* One lets the others begin when all are there: later it would be in their way. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static struct begin {
	void *(*fn)(void *arg);
	void *arg;
} begins[2 * THREADS];

static void *begin(void *arg)
{
	const struct begin *b = arg;

	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return b->fn(b->arg);
}

static struct churner {
	uint64_t rand;
	uint32_t n;
} churners[THREADS];

static void *churner(void *arg)
{
	struct churner *c = arg;

	sh->tid[CROWD + c->n] = gettid();
	while (!sh->stop)
		churn_step(&c->rand, false);
	sh->tid[CROWD + c->n] = 0;
	return NULL;
}

/* Processes that share all peers, and are killed at any moment. */
static void *forker(void *arg)
{
	uint64_t rand = (uintptr_t)arg;
	pid_t pid;

	while (!sh->stop) {
		pid = fork();
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				churn_step(&rand, true);
		}
		if (pid < 0) {
			usleep(1000);
			continue;
		}
		usleep(rnd(&rand, 30000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		sh->kills++;
		raw_rand(&rand);
	}
	return NULL;
}


static void start(struct crew *crew, void *(*fn)(void *), void *arg)
{
	static uint32_t n;

	begins[n] = (struct begin){ fn, arg };
	if (pthread_create(&crew->t[crew->n++], NULL, begin, &begins[n++]))
		bail_out("cannot make threads");
}

/* Of all that is there, where it sleeps. */
static _Noreturn void hangs(const char *who)
{
	fflush(stdout);
	if (system("cd /proc && for t in [0-9]*/task/*; do "
		   "[ -s $t/stack ] && head -n 12 $t/comm $t/stack; done"))
		diag("cannot say where");
	bail_out("a %s hangs", who);
}

static void join(struct crew *crew, const char *who)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += HANG_S;
	while (crew->n)
		if (pthread_timedjoin_np(crew->t[--crew->n], NULL, &ts))
			hangs(who);
}

static void *row(uint64_t *seed)
{
	return (void *)(uintptr_t)raw_rand(seed);
}

/* All of them, for so long. */
static void run(unsigned int seconds, unsigned int threads, uint64_t seed)
{
	struct crew crew = { .n = 0 }, crowd_crew = { .n = 0 };
	struct crew storm = { .n = 0 };
	uintptr_t i;

	pthread_mutex_lock(&gate);
	for (i = 0; i < threads; i++) {
		churners[i] = (struct churner){ raw_rand(&seed), i };
		start(&crew, churner, &churners[i]);
	}
	for (i = 0; i < 2; i++)
		start(&crew, forker, row(&seed));
	for (i = 0; i < WITNESSES; i++)
		start(&crew, witness_run, &witness[i]);
	for (i = 0; i < CROWD_SENDERS; i++)
		start(&crew, crowd_send, (void *)i);
	for (i = 0; i < CROWD; i++)
		start(&crowd_crew, crowd_receive, (void *)i);
	if (opt_all) {
		start(&crew, mayhem_reader, row(&seed));
		start(&crew, mayhem_setter, row(&seed));
		start(&crew, mayhem_waiter, row(&seed));
		start(&storm, mayhem_storm, row(&seed));
	}
	if (opt_trace)
		start(&crew, mayhem_tracer, row(&seed));
	pthread_mutex_unlock(&gate);

	sleep(seconds);
	sh->stop = true;
	join(&crew, "thread");
	crowd.drain = true;
	join(&crowd_crew, "receiver");
	join(&storm, "storm");
}

/* That each kind of call came to its end, at least now and then. */
static void judge_done(void)
{
	static const char *const names[] = {
		"TRANSFER", "RELEASE", "SEND", "CALL", "replies", "RECV",
		"RECV_BATCH", "multicasts", "NAME", "FEATURES",
	};
	const int n = opt_all ? CHURN_GARBAGE : CHURN_MULTICAST;
	char text[256];
	size_t at = 0;
	bool all = true;
	int i;

	for (i = 0; i < n; i++) {
		all &= sh->done[i] != 0;
		at += snprintf(text + at, sizeof(text) - at, "%s %llu %s",
			       i ? "," : "", (unsigned long long)sh->done[i],
			       names[i]);
	}
	ok(all, "churn: each kind of call succeeds:%s", text);
}

/* A descriptor that is still needed after the churn. */
static bool known(int fd)
{
	int i;

	for (i = 0; i < WITNESSES; i++)
		if (witness[i].fd == fd)
			return true;
	for (i = 0; i < CROWD_SENDERS; i++)
		if (crowd.from[i] == fd)
			return true;
	for (i = 0; i < CROWD_PEERS; i++)
		if (crowd.to[i] == fd)
			return true;
	return false;
}

static void usage(void)
{
	fputs("usage: churn [-d SECONDS] [-t THREADS] [-s SEED] [--all] [--trace]\n"
	      "  --all    also what memory, descriptors, users, signals, files of\n"
	      "           debugfs and parameters can do; needs root\n"
	      "  --trace  --all, and bus1-trace and events come and go\n",
	      stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "trace", no_argument, NULL, 'T' },
		{ }
	};
	unsigned int seconds = 10, threads = 4, i;
	uint64_t seed = time(NULL);
	struct stat st;
	int opt;

	while ((opt = getopt_long(argc, argv, "d:t:s:", options, NULL)) >= 0)
		switch (opt) {
		case 'd': seconds = strtoul(optarg, NULL, 0); break;
		case 't': threads = strtoul(optarg, NULL, 0); break;
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'a': opt_all = true; break;
		case 'T': opt_all = opt_trace = true; break;
		default: usage();
		}
	if (optind != argc || threads < 1 || threads > THREADS / 2)
		usage();
	if (stat("/dev/bus1", &st))
		bail_out("cannot find /dev/bus1: %s; load the module",
			 strerror(errno));
	bus1_dev = st.st_rdev;
	diag("churn: seed %llu", (unsigned long long)seed);
	sh = map(sizeof(*sh));
	/* before any peer is there: each user has what was set at its first */
	if (opt_all)
		mayhem_start();
	for (i = 0; i < SLOTS; i++) {
		sh->fd[i] = raw_open();
		if (sh->fd[i] < 0)
			bail_out("cannot open /dev/bus1: %s", strerror(errno));
	}
	witness_start(&seed);
	crowd_start(opt_all);
	run(seconds, threads, seed);
	for (i = 0; i < SLOTS; i++)
		close(sh->fd[i]);
	if (opt_all)
		mayhem_sweep(known);
	witness_end();

	ok(!sh->odd, "churn: %llu calls, %llu failed oddly%s%s",
	   (unsigned long long)sh->ops, (unsigned long long)sh->odd,
	   sh->odd ? ": " : "", sh->odd ? strerror(sh->bad_errno) : "");
	judge_done();
	diag("operations: %llu", (unsigned long long)sh->ops);
	diag("%llu processes killed", (unsigned long long)sh->kills);
	for (i = 0; i < WITNESSES; i++)
		witness_judge(&witness[i]);
	crowd_judge();
	if (opt_all)
		mayhem_judge();
	return done_testing();
}
