// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread in a long call can be kept from its processor, by others or by himself.
 * Whoever needs what it has locked waits, but can be killed, and nobody waits for
 * him in turn; and of what it sent and others have received there is no payload any
 * more.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <semaphore.h>

#include "quota.h"
#include "sleeper.h"

#define LONG (10000 * MS) /* the longest that a processor is kept busy */
#define SOON (LONG / 5)
#define TRIES 12

/* --- a processor that nobody else gets --------------------------------------
 */

#define RT_RUNTIME "/proc/sys/kernel/sched_rt_runtime_us"

/* Later kernels have a server that gives the others some time, on each processor. */
#define FAIR_RUNTIME "/sys/kernel/debug/sched/fair_server/cpu1/runtime"

static char *rt_runtime, *fair_runtime;

static struct hog {
	pthread_t thread;
	sem_t go;
	atomic_bool on, stop;
	uint64_t begin;
} hog;

/* A thread that has ended needs none. */
static void pin(pid_t tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(tid, sizeof(set), &set) && errno != ESRCH)
		bail_out("cannot run on processor %d: %s", cpu,
			 strerror(errno));
}

static void prefer(int policy, int priority)
{
	const struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(0, policy, &param))
		bail_out("cannot change the priority: %s", strerror(errno));
}

static void *hog_run(void *arg)
{
	(void)arg;
	pin(0, 1);
	prefer(SCHED_FIFO, 10);
	while (sem_wait(&hog.go))
		;
	hog.begin = b1_now();
	atomic_store(&hog.on, true);
	/* Nothing else can end it if the test itself hangs. */
	while (!atomic_load(&hog.stop) && b1_now() - hog.begin < LONG)
		;
	atomic_store(&hog.on, false);
	return NULL;
}

static void hog_prepare(void)
{
	atomic_store(&hog.stop, false);
	sem_init(&hog.go, 0, 0);
	pthread_create(&hog.thread, NULL, hog_run, NULL);
	b1_msleep(20);
}

static void hog_start(void)
{
	sem_post(&hog.go);
	while (!atomic_load(&hog.on))
		;
}

static void hog_stop(void)
{
	atomic_store(&hog.stop, true);
	pthread_join(hog.thread, NULL);
	sem_destroy(&hog.go);
}

static void rt_restore(void)
{
	quota_write(RT_RUNTIME, rt_runtime);
	quota_write(FAIR_RUNTIME, fair_runtime);
}

/* --- a peer that stays locked -----------------------------------------------
 */

#define N_IDS 16384
#define N_PEERS 12 /* their memory is before that of the locked one, or behind */
#define N_READERS 2

static struct bus1_transfer src[N_IDS], dst[N_IDS];
static uint64_t ids[N_IDS], locked_to, took;
/* The first half transfers to the one that is locked, the rest gets from it. */
static int locked, owner, peers[N_PEERS];
static uint64_t to[N_PEERS];
static struct bus1_transfer *got; /* by the children */
static pid_t children[N_PEERS], readers[N_READERS];
static int gates[2][2]; /* of the first reader; of all others */
static atomic_bool begun;

static void *run_release(void *arg)
{
	(void)arg;
	pin(0, 1);
	took = b1_now();
	atomic_store(&begun, true);
	if (b1_release(locked, N_IDS, ids))
		bail_out("cannot release %u handles", N_IDS);
	took = b1_now() - took;
	return NULL;
}

static void prepare_release(void)
{
	unsigned int i;

	for (i = 0; i < N_IDS; i++)
		src[i] = (struct bus1_transfer){ BUS1_TRANSFER_FLAG_CREATE,
						 BUS1_INVALID };
	if (b1_transfer(owner, locked, N_IDS, src, dst))
		bail_out("cannot make %u nodes", N_IDS);
	for (i = 0; i < N_IDS; i++)
		ids[i] = dst[i].id;
}

static pthread_t start_release(void)
{
	pthread_t thread;

	atomic_store(&begun, false);
	pthread_create(&thread, NULL, run_release, NULL);
	while (!atomic_load(&begun))
		;
	return thread;
}

/* Does it wait in this system call, and no signal but a deadly one wakes it? */
static bool stuck(pid_t pid, long call)
{
	char line[256], want[16];

	snprintf(want, sizeof(want), "%ld ", call);
	return task_line(pid, "syscall", want, line, sizeof(line)) &&
	       task_line(pid, "status", "State:\tD", line, sizeof(line));
}

/* All do, soon. */
static bool all_stuck(const pid_t *pids, unsigned int n, long call)
{
	uint64_t begin = b1_now();
	unsigned int i;

	for (;;) {
		for (i = 0; i < n && stuck(pids[i], call); i++)
			;
		if (i == n)
			return true;
		if (waitid(P_PID, pids[i], &(siginfo_t){},
			   WEXITED | WNOHANG | WNOWAIT) ||
		    b1_now() - begin > SOON)
			return false;
		b1_msleep(1);
	}
}

/*
 * Whoever is made here waits at a gate: to make a process takes the processor that
 * will be kept busy.
 */
static pid_t child(unsigned int gate)
{
	pid_t pid = fork();
	char c;

	if (pid < 0)
		bail_out("cannot fork: %s", strerror(errno));
	if (!pid && read(gates[gate][0], &c, 1) != 1)
		_exit(1);
	return pid;
}

static void let_go(unsigned int gate, unsigned int n)
{
	static const char some[N_PEERS + N_READERS];

	if (write(gates[gate][1], some, n) != (ssize_t)n)
		bail_out("cannot let %u children go", n);
}

static pid_t start_reader(unsigned int gate, const char *path)
{
	char text[512];
	pid_t pid = child(gate);
	int fd;

	if (pid)
		return pid;
	fd = open(path, O_RDONLY);
	while (read(fd, text, sizeof(text)) > 0)
		;
	_exit(0);
}

static pid_t start_transfer(unsigned int i)
{
	bool there = i < N_PEERS / 2;
	struct bus1_transfer from = { 0, there ? to[i] : locked_to };
	pid_t pid = child(1);

	if (pid)
		return pid;
	_exit(b1_transfer(there ? peers[i] : locked, there ? locked : peers[i],
			  1, &from, &got[i]));
}

/* How many of these have ended by @until; their status. */
static unsigned int reap(pid_t *pids, unsigned int n, unsigned int step,
			 uint64_t until, int *status)
{
	unsigned int i, left;

	for (;;) {
		for (left = i = 0; i < n; i += step) {
			if (pids[i] && waitpid(pids[i], &status[i], WNOHANG))
				pids[i] = 0;
			left += pids[i] != 0;
		}
		if (!left || b1_now() > until)
			return (n + step - 1) / step - left;
		b1_msleep(1);
	}
}

static bool look_poll(int peer)
{
	b1_readable(peer);
	return true;
}

static bool look_recv(int peer)
{
	struct b1_msg m;

	return !b1_recv(peer, &m);
}

static bool look_fdinfo(int peer)
{
	return b1_count(peer, "bus1-nodes") == 1;
}

static struct look {
	const char *what;
	bool (*look)(int peer);
	pthread_t thread;
	sem_t go;
	atomic_uint n;
} looks[] = {
	{ .what = "polled", .look = look_poll },
	{ .what = "received from", .look = look_recv },
	{ .what = "looked at in fdinfo", .look = look_fdinfo },
};

#define N_LOOKS (sizeof(looks) / sizeof(*looks))

static void *run_look(void *arg)
{
	struct look *l = arg;
	unsigned int i;

	while (sem_wait(&l->go))
		;
	for (i = 0; i < N_PEERS; i++)
		if (l->look(peers[i]))
			atomic_fetch_add(&l->n, 1);
	return NULL;
}

/* What others can do now; false if that was over too early to be seen. */
static bool all_locked(pthread_t release)
{
	unsigned int n_looked[N_LOOKS], n_killed, n_read, good = 0, i, k;
	int status[N_PEERS], read_status[N_READERS];
	uint64_t begin;
	bool there;

	let_go(1, N_PEERS + N_READERS - 1);
	there = all_stuck(children, N_PEERS, SYS_ioctl) &&
		all_stuck(readers, N_READERS, SYS_read) &&
		b1_now() - hog.begin < LONG / 4;

	begin = b1_now();
	for (k = 0; k < N_LOOKS; k++)
		sem_post(&looks[k].go);
	for (k = 0; k < N_LOOKS; k++) {
		while (atomic_load(&looks[k].n) < N_PEERS &&
		       b1_now() - begin < SOON)
			b1_msleep(1);
		n_looked[k] = atomic_load(&looks[k].n);
	}

	for (i = 0; i < N_PEERS; i += 2)
		kill(children[i], SIGKILL);
	for (i = 0; i < N_READERS; i++)
		kill(readers[i], SIGKILL);
	begin = b1_now();
	n_killed = reap(children, N_PEERS, 2, begin + SOON, status);
	n_read = reap(readers, N_READERS, 1, begin + SOON, read_status);
	there &= atomic_load(&hog.on);

	hog_stop();
	pthread_join(release, NULL);
	reap(readers, N_READERS, 1, UINT64_MAX, read_status);
	reap(children, N_PEERS, 1, UINT64_MAX, status);
	if (!there)
		return false;

	for (k = 0; k < N_LOOKS; k++)
		ok(n_looked[k] == N_PEERS,
		   "at once %u of %u peers are %s that wait for another one's lock",
		   n_looked[k], N_PEERS, looks[k].what);
	ok(n_killed == N_PEERS / 2, "%u of %u such TRANSFERs that are killed end",
	   n_killed, N_PEERS / 2);
	ok(n_read == N_READERS,
	   "%u of %u readers of fdinfo and debugfs that are killed end", n_read,
	   N_READERS);
	for (i = 0; i < N_PEERS; i++) {
		there = i % 2;
		if (there)
			good += WIFEXITED(status[i]) &&
				!WEXITSTATUS(status[i]) &&
				b1_has_handle(i < N_PEERS / 2 ? locked :
					      peers[i], got[i].id);
		else
			good += WIFSIGNALED(status[i]);
		if (i >= N_PEERS / 2 &&
		    b1_count(peers[i], "bus1-handles") != 1u + there)
			good = 0;
	}
	ok(good == N_PEERS &&
		   b1_count(locked, "bus1-handles") == 1 + N_PEERS / 4,
	   "those not killed have their effect in the end, the others none: %u of %u",
	   good, N_PEERS);
	return true;
}

/*
 * Keep a RELEASE from its processor once a reader, who is let go @delay after its
 * begin, waits for the lock; and look what can be seen of it.
 */
static bool try_locked(uint64_t delay)
{
	int status[N_PEERS];
	pthread_t release;
	unsigned int i;
	uint64_t begin;
	bool waits;

	hog_prepare();
	release = start_release();
	for (begin = b1_now(); b1_now() - begin < delay;)
		;
	let_go(0, 1);
	waits = all_stuck(readers, 1, SYS_read);
	hog_start();
	if (waits) {
		b1_msleep(50);
		if (stuck(readers[0], SYS_read))
			return all_locked(release);
	}
	hog_stop();
	pthread_join(release, NULL);
	for (i = 0; i < N_LOOKS; i++)
		sem_post(&looks[i].go);
	for (i = 0; i < N_PEERS; i++)
		kill(children[i], SIGKILL);
	for (i = 0; i < N_READERS; i++)
		kill(readers[i], SIGKILL);
	reap(children, N_PEERS, 1, UINT64_MAX, status);
	reap(readers, N_READERS, 1, UINT64_MAX, status);
	return false;
}

static bool test_once(uint64_t delay)
{
	char path[64];
	unsigned int i;
	bool seen;

	for (i = 0; i < N_PEERS; i++) {
		if (i == N_PEERS / 2)
			locked = b1_open();
		peers[i] = b1_open();
		b1_node(peers[i], &to[i]);
		b1_says(peers[i], to[i], "waits");
	}
	owner = b1_open();
	b1_node(locked, &locked_to);
	prepare_release();
	if (pipe(gates[0]) || pipe(gates[1]))
		bail_out("no pipe: %s", strerror(errno));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", locked);
	readers[0] = start_reader(0, path);
	readers[1] = start_reader(1, "/sys/kernel/debug/bus1/objects");
	for (i = 0; i < N_PEERS; i++)
		children[i] = start_transfer(i);
	for (i = 0; i < N_LOOKS; i++) {
		atomic_store(&looks[i].n, 0);
		sem_init(&looks[i].go, 0, 0);
		pthread_create(&looks[i].thread, NULL, run_look, &looks[i]);
	}

	seen = try_locked(delay);

	for (i = 0; i < N_LOOKS; i++) {
		pthread_join(looks[i].thread, NULL);
		sem_destroy(&looks[i].go);
	}
	for (i = 0; i < 4; i++)
		close(gates[i / 2][i % 2]);
	for (i = 0; i < N_PEERS; i++)
		close(peers[i]);
	close(locked);
	close(owner);
	return seen;
}

/* How long a RELEASE takes, if nobody is in its way */
static uint64_t test_alone(void)
{
	owner = b1_open();
	locked = b1_open();
	prepare_release();
	pthread_join(start_release(), NULL);
	close(locked);
	close(owner);
	return took;
}

static void test_locked(void)
{
	uint64_t alone = test_alone(), begin = b1_now();
	bool seen = false;
	unsigned int i;

	got = mmap(NULL, N_PEERS * sizeof(*got), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (got == MAP_FAILED)
		bail_out("cannot map memory: %s", strerror(errno));
	for (i = 0; i < TRIES && !seen && b1_now() - begin < 3 * LONG; i++)
		seen = test_once(alone * (i % 4) / 32);
	if (!seen)
		skip(N_LOOKS + 3,
		     "no RELEASE lost its processor with its peer locked in %u tries",
		     i);
	ok(quota_nothing(), "nothing is claimed in the end");
}

/* --- memory that nobody pays for --------------------------------------------
 */

#define N_DESTS 34 /* a sender looks at so many that he is made to pause */
#define N_SENDERS 24
#define SIZE sizeof(quota_zeros)

static int sender, receivers[N_DESTS];
static uint64_t dests[N_DESTS];
static unsigned char room[SIZE];
static atomic_int sender_tid;
static atomic_uint n_returned;

static void *run_send(void *arg)
{
	(void)arg;
	/* Its creator, who is preferred, is woken by what it sends. */
	prefer(SCHED_OTHER, 0);
	atomic_store(&sender_tid, syscall(SYS_gettid));
	if (quota_send(sender, 0, N_DESTS, dests, NULL, SIZE, NULL, 0))
		bail_out("cannot send %zu bytes", SIZE);
	atomic_fetch_add(&n_returned, 1);
	return NULL;
}

static bool recv_all(void)
{
	struct bus1_metadata meta;
	struct bus1_message msg;
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};
	unsigned int i;

	for (i = 0; i < N_DESTS; i++) {
		msg = b1_flat(room, SIZE);
		msg.type = BUS1_INVALID;
		if (b1_ioctl(receivers[i], BUS1_CMD_RECV, &cmd) ||
		    msg.n_data != SIZE)
			return false;
	}
	return true;
}

/* Of the kernel's own objects, in bytes */
static uint64_t memory(void)
{
	static const char key[] = "SUnreclaim:";
	char *text = quota_file("/proc/meminfo"), *line = strstr(text, key);
	uint64_t v = line ? strtoull(line + strlen(key), NULL, 10) << 10 : 0;

	free(text);
	return v;
}

/* False if too few of the senders were kept from going on to tell. */
static bool try_payload(void)
{
	struct pollfd pfds[N_DESTS];
	pthread_t threads[N_SENDERS];
	unsigned int n = 0, out, i;
	bool received = true, same, there;
	uint64_t before, after;

	sender = b1_open();
	for (i = 0; i < N_DESTS; i++) {
		receivers[i] = b1_open();
		b1_node_to(receivers[i], sender, &dests[i]);
		pfds[i] = (struct pollfd){ receivers[i], POLLIN, 0 };
	}
	/* What is allocated once, for whatever is sent, and then kept */
	if (quota_send(sender, 0, N_DESTS, dests, NULL, SIZE, NULL, 0) ||
	    !recv_all())
		bail_out("cannot send %zu bytes to %u peers", SIZE, N_DESTS);
	atomic_store(&n_returned, 0);
	quota_note();
	before = memory();

	hog_prepare();
	prefer(SCHED_FIFO, 20);
	hog_start();
	while (received && n < N_SENDERS && b1_now() - hog.begin < LONG / 4) {
		pthread_create(&threads[n++], NULL, run_send, NULL);
		/* The first receiver is told, the last ones are not. */
		received = poll(pfds, N_DESTS, SOON / MS) > 0;
		pin(atomic_load(&sender_tid), 1);
		received = received && recv_all();
	}
	after = memory();
	same = quota_as_noted();
	out = n - atomic_load(&n_returned);
	there = out >= N_SENDERS / 6 && atomic_load(&hog.on);
	prefer(SCHED_OTHER, 0);
	hog_stop();
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	close(sender);
	for (i = 0; i < N_DESTS; i++)
		close(receivers[i]);

	if (!there)
		return false;
	ok(received && same, "%u multicasts of %zu bytes to %u are received while %u of their senders are kept from going on: nothing is charged",
	   n, SIZE, N_DESTS, out);
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		diag("this kernel keeps what is freed for a while");
	else
		ok(after < before + out * SIZE / 2,
		   "and they take no memory: %lld KiB more",
		   (long long)(after - before) / 1024);
	return true;
}

static void test_payload(void)
{
	bool seen = false;
	unsigned int i;

	for (i = 0; i < TRIES / 2 && !seen; i++)
		seen = try_payload();
	if (!seen)
		skip(2, "%u times too few senders lost their processor", i);
}

int main(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		skip(1, "needs two processors");
		return done_testing();
	}
	if (geteuid() || access(QUOTA_ACCOUNTS, R_OK)) {
		skip(1, "needs root and " QUOTA_ACCOUNTS);
		return done_testing();
	}
	rt_runtime = quota_file(RT_RUNTIME);
	fair_runtime = quota_file(FAIR_RUNTIME);
	atexit(rt_restore);
	if (!quota_write(RT_RUNTIME, "-1"))
		bail_out("cannot write to " RT_RUNTIME ": %s", strerror(errno));
	quota_write(FAIR_RUNTIME, "0");
	pin(0, 0);
	test_locked();
	test_payload();
	return done_testing();
}
