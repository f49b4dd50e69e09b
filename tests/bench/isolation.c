// SPDX-License-Identifier: GPL-2.0-only
/*
 * isolation - what one pair of peers notices of the others
 *
 * Two peers that have nothing to do with anybody else send to each other, and open
 * and close further ones. Beside them somebody does his worst, another user, or
 * another peer of the same user: first all that stays (queues that are full, objects
 * by the million), then one act of it between any two of the pair's operations, as
 * another processor would. Only the pair's own operations are measured. Then a
 * process that does nothing else shares the processor with them: what their own time
 * is, and how many they get done in a second, beside another that does nothing that
 * concerns bus1. Meant for
 * "tests/vm/run --icount": in instructions. They know no caches, and no waiting for
 * locks; which lines of memory two processors share is what tests/bench/lines says.
 *
 * Fails where the pair takes more than 5 % more.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "isolation.h"

#define PAIR_UID 0
#define OTHER_UID 3000
#define LIMIT 5.0
#define ROUNDS 1500
#define WARM 300
#define SHARE_NS 200000000ull
#define UNREAD 100000
#define OBJECTS 1000000
#define PEERS 10000
#define MULTICAST 16
/* So that a user is soon at the limit */
#define MAX_BYTES "67108864"
#define MAX_OBJECTS "8388608"

struct pair {
	int a, b;
	uint64_t to_a, to_b;
};

/* Who disturbs: peers @from and @to, and more. */
static int from, to, *peers;
static uint64_t handle, handles[MULTICAST];
static void *nowhere;
static uint32_t n_peers;
static uid_t self;

static void round_trip(struct pair *p)
{
	uint64_t word = 1;

	scale_send(p->a, 1, &p->to_b, &word, sizeof(word), NULL, 0);
	scale_recv(p->b, &word, sizeof(word), NULL, 0);
	scale_send(p->b, 1, &p->to_a, &word, sizeof(word), NULL, 0);
	scale_recv(p->a, &word, sizeof(word), NULL, 0);
}

/* A peer that is opened, given a handle, and closed, of which @b hears. */
static void come_and_go(struct pair *p)
{
	struct raw_msg m = { 0 };
	int fd = scale_open();

	scale_node(p->b, fd, NULL);
	close(fd);
	if (scale_try(p->b, &m, NULL, 0, NULL, 0, 0) ||
	    m.type != BUS1_MESSAGE_TYPE_HANDLE_RELEASE)
		bench_fail("RECV of a HANDLE_RELEASE");
}

/*
 * What @op takes, with @act, or nothing, between two of them: the mean of the middle
 * half of what each took. Timers, and what RCU frees, come when they like.
 */
static double measure(struct pair *p, void (*op)(struct pair *p),
		      void (*act)(void))
{
	static double took[ROUNDS];
	const int cut = ROUNDS / 4;
	double sum = 0;
	uint64_t start;
	int i;

	for (i = -WARM; i < ROUNDS; i++) {
		if (act)
			act();
		start = bench_now();
		op(p);
		if (i >= 0)
			took[i] = bench_now() - start;
	}
	qsort(took, ROUNDS, sizeof(*took), bench_by_value);
	for (i = cut; i < ROUNDS - cut; i++)
		sum += took[i];
	return sum / (ROUNDS - 2 * cut);
}

static void open_two(uid_t uid)
{
	from = scale_open_as(self);
	to = scale_open_as(uid);
	handle = scale_node(to, from, NULL);
}

static void unread(uid_t uid)
{
	uint64_t word = 1;
	long i;

	open_two(uid);
	for (i = 0; i < UNREAD; i++)
		scale_send(from, 1, &handle, &word, sizeof(word), NULL, 0);
}

static void unread_act(void)
{
	uint64_t word = 1;

	scale_send(from, 1, &handle, &word, sizeof(word), NULL, 0);
}

static void refused_act(void)
{
	static char data[1 << 20];

	if (raw_send(from, 1, &handle, data, sizeof(data), NULL, 0) != EDQUOT)
		bench_fail("a SEND that has to be refused");
}

static void refused(uid_t uid)
{
	static char data[1 << 20];
	int r;

	open_two(uid);
	do
		r = raw_send(from, 1, &handle, data, sizeof(data), NULL, 0);
	while (!r);
	refused_act();
}

static void faults(uid_t uid)
{
	open_two(uid);
	unread_act();
	nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
}

static void faults_act(void)
{
	struct raw_msg m = { 0 };

	if (raw_recv(to, &m, nowhere, 4096, NULL, 0) != EFAULT)
		bench_fail("a RECV that has to fault");
}

static void objects(uid_t uid)
{
	static struct bus1_transfer src[BUS1_MAX_TRANSFERS];
	static struct bus1_transfer dst[BUS1_MAX_TRANSFERS];
	long left, n, i;

	open_two(uid);
	/* a node and its handle are two */
	for (left = OBJECTS / 2; left; left -= n) {
		n = left < BUS1_MAX_TRANSFERS ? left : BUS1_MAX_TRANSFERS;
		for (i = 0; i < n; i++)
			src[i] = (struct bus1_transfer){
				BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID
			};
		errno = raw_transfer(to, from, n, src, dst);
		if (errno)
			bench_fail("TRANSFER of new nodes");
	}
}

static void objects_act(void)
{
	struct raw_msg m = { 0 };
	uint64_t id;

	scale_node(to, from, &id);
	scale_release(to, 1, &id);
	if (scale_try(from, &m, NULL, 0, NULL, 0, 0))
		bench_fail("RECV of a NODE_RELEASE");
}

static void many_peers(uid_t uid)
{
	open_two(uid);
	peers = calloc(PEERS, sizeof(*peers));
	for (n_peers = 0; n_peers < PEERS; n_peers++)
		peers[n_peers] = scale_open_as(uid);
}

static void multicasts(uid_t uid)
{
	int i;

	open_two(uid);
	peers = calloc(MULTICAST, sizeof(*peers));
	for (n_peers = 0; n_peers < MULTICAST; n_peers++)
		peers[n_peers] = scale_open_as(uid);
	for (i = 0; i < MULTICAST; i++)
		handles[i] = scale_node(peers[i], from, NULL);
}

static void multicasts_act(void)
{
	uint64_t word = 1;

	scale_send(from, MULTICAST, handles, &word, sizeof(word), NULL, 0);
}

static void fdinfo_act(void)
{
	char path[64], text[4096];
	int fd;

	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", to);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
		bench_fail(path);
	close(fd);
}

static const struct worst {
	const char *what;
	void (*prepare)(uid_t uid);
	void (*act)(void);
	bool cross; /* also at a peer of the pair's user */
} worst[] = {
	{ "a peer that never reads", unread, unread_act, true },
	{ "a sender that is always refused", refused, refused_act, true },
	{ "a receiver that faults", faults, faults_act, false },
	{ "a million objects", objects, objects_act, false },
	{ "ten thousand peers", many_peers, NULL, false },
	{ "multicasts that nobody reads", multicasts, multicasts_act, true },
	{ "one who reads fdinfo", open_two, fdinfo_act, true },
};

static uint64_t cpu_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/*
 * Round trips in a second, beside a process that does nothing but @act, or nothing
 * at all, as fast as it can; and in @own what each takes of the pair's own time.
 */
static double share(struct pair *p, void (*act)(void), double *own)
{
	uint64_t start, cpu, took;
	pid_t pid = fork();
	int status, n = 0;

	if (pid < 0)
		bench_fail("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			if (act)
				act();
			else
				bench_now();
	}
	usleep(SHARE_NS / 10000);
	cpu = cpu_time();
	start = bench_now();
	for (took = 0; took < SHARE_NS; took = bench_now() - start, n++)
		round_trip(p);
	*own = (double)(cpu_time() - cpu) / n;
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		bench_fail("who disturbs has failed");
	return n * 1e9 / took;
}

/* Who disturbs is @by, and what he uses belongs to @of. */
static void disturb(const struct worst *w, uid_t by, uid_t of, const char *who)
{
	static const struct {
		const char *name;
		void (*fn)(struct pair *p);
	} ops[] = {
		{ "round trip", round_trip },
		{ "open, close", come_and_go },
	};
	struct pair p;
	double alone[2], rate[2], beside, more;
	int i;

	p.a = scale_open_as(PAIR_UID);
	p.b = scale_open_as(PAIR_UID);
	p.to_b = scale_node(p.b, p.a, NULL);
	p.to_a = scale_node(p.a, p.b, NULL);
	for (i = 0; i < 2; i++)
		alone[i] = measure(&p, ops[i].fn, NULL);
	self = by;
	w->prepare(of);
	for (i = 0; i < 2; i++) {
		beside = measure(&p, ops[i].fn, w->act);
		more = 100 * (beside - alone[i]) / alone[i];
		ok(more < LIMIT, "isolation: %-11s %6.0f %+6.2f %%  %s, %s",
		   ops[i].name, alone[i], more, w->what, who);
	}
	if (w->act) {
		rate[0] = share(&p, NULL, &alone[0]);
		rate[1] = share(&p, w->act, &beside);
		more = 100 * (beside - alone[0]) / alone[0];
		ok(more < LIMIT, "isolation: %-11s %6.0f %+6.2f %%  %s, %s",
		   "own time", alone[0], more, w->what, who);
		more = 100 * (rate[1] - rate[0]) / rate[0];
		ok(more > -LIMIT, "isolation: %-11s %6.0f %+6.2f %%  %s, %s",
		   "a second", rate[0], more, w->what, who);
	}
	while (n_peers)
		close(peers[--n_peers]);
	free(peers);
	peers = NULL;
	close(from);
	close(to);
	close(p.a);
	close(p.b);
}

int main(int argc, char **argv)
{
	size_t i;

	scale_files();
	bench_settle();
	isolation_set("max_bytes", MAX_BYTES);
	isolation_set("max_objects", MAX_OBJECTS);
	for (i = 0; i < sizeof(worst) / sizeof(*worst); i++) {
		if (argc > 1 && !strstr(worst[i].what, argv[1]))
			continue;
		disturb(&worst[i], OTHER_UID, OTHER_UID, "another user");
		disturb(&worst[i], PAIR_UID, PAIR_UID, "the same user");
		if (worst[i].cross)
			disturb(&worst[i], OTHER_UID, PAIR_UID,
				"another user at a peer of the same");
	}
	return done_testing();
}
