// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stages one incident among processes that are otherwise well, until it is
 * killed or SECONDS are over. What is printed is what somebody would complain
 * of; who is to blame is chosen by lot, and goes to the file $INCIDENT_ANSWER.
 *
 *   incident reply|leak|slow|flood|died [SECONDS]
 *
 * A launcher starts the processes, each of which opens its own peer, gives them
 * handles to each other, and keeps none of their descriptors.
 */
#define _GNU_SOURCE /* setresuid */
#include <bus1/bus1.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_IDS = 16,
	MAX_ACTORS = 16,
	SERVICE_UID = 1000, /* clients have those that follow */
	PATIENCE = 3000, /* ms */
	SUBSCRIBERS = 6,
	TICKS = 4096,
	SINKS = 4,
	CLIENTS = 6,
};

struct actor {
	char name[16];
	pid_t pid;
	int fd; /* of its peer, in the launcher; -1 once it has begun */
	int pipe; /* what it is told by; likewise */
	uint64_t peer;
	uint64_t ids[MAX_IDS]; /* the handles it is given */
	int n;
};

/* What it does with its peer, @n handles and @arg. */
typedef void role_fn(int peer, const uint64_t *ids, int n, int arg);

struct note {
	uint64_t from;
	uint64_t number;
};

static char name[16] = "launcher";
static int answer = -1;
static struct actor actors[MAX_ACTORS];
static int n_actors;
/* Reports sent and taken, by client, for the launcher to compare. */
static _Atomic unsigned int (*reports)[2];

static void die(const char *what, int error)
{
	fprintf(stderr, "%s: %s: %s\n", name, what, strerror(error));
	exit(1);
}

static int must(int r, const char *what)
{
	if (r < 0)
		die(what, -r);
	return r;
}

static void say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	printf("%s: ", name);
	vprintf(format, ap);
	putchar('\n');
	va_end(ap);
}

static long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void sleep_ms(int ms)
{
	usleep(ms * 1000);
}

static int lot(int n)
{
	unsigned int r = 0;

	getrandom(&r, sizeof(r), 0);
	return r % n;
}

/* The number in the line that begins with @key of a file in /proc. */
static uint64_t number_in(const char *path, const char *key)
{
	size_t length = strlen(key);
	char line[256];
	uint64_t n = 0;
	FILE *file = fopen(path, "r");

	if (!file)
		die(path, errno);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, length))
			n = strtoull(line + length, NULL, 10);
	fclose(file);
	return n;
}

static uint64_t peer_id(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return number_in(path, "bus1-peer:");
}

/* The only one to know is the file. */
static void blame(const char *who, pid_t pid, uint64_t peer, uint64_t handle)
{
	if (answer >= 0)
		dprintf(answer, "comm=%s\npid=%d\npeer=%" PRIu64
			"\nhandle=%" PRIu64 "\n", who, pid, peer, handle);
}

static void blame_me(int peer, uint64_t handle)
{
	blame(name, getpid(), peer_id(peer), handle);
}

static struct actor *start(const char *kind, int number, int uid, role_fn *role,
			   int arg)
{
	struct actor *a = &actors[n_actors++];
	int up[2], down[2], fd, pidfd;

	if (pipe(up) || pipe(down))
		die("pipe", errno);
	/* Services have letters, clients have numbers. */
	snprintf(a->name, sizeof(a->name),
		 strcmp(kind, "svc") ? "%s-%d" : "%s-%c", kind,
		 strcmp(kind, "svc") ? number + 1 : 'a' + number);
	fflush(stdout);
	a->pid = fork();
	if (!a->pid) {
		/* A peer of another must not outlive it here. */
		while (a-- > actors) {
			close(a->fd);
			close(a->pipe);
		}
		a = &actors[n_actors - 1];
		strcpy(name, a->name);
		prctl(PR_SET_NAME, name);
		if (setresuid(uid, uid, uid))
			die("setresuid", errno);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd = must(libbus1_open(), "/dev/bus1");
		if (write(up[1], &fd, sizeof(fd)) != sizeof(fd) ||
		    read(down[0], a, sizeof(*a)) != sizeof(*a))
			die("launcher", EPIPE);
		role(fd, a->ids, a->n, arg);
		exit(0);
	}
	close(up[1]);
	close(down[0]);
	a->pipe = down[1];
	if (read(up[0], &fd, sizeof(fd)) != sizeof(fd))
		die(a->name, EPIPE);
	close(up[0]);
	pidfd = pidfd_open(a->pid, 0);
	a->fd = pidfd_getfd(pidfd, fd, 0);
	if (a->fd < 0)
		die("pidfd_getfd", errno);
	close(pidfd);
	a->peer = peer_id(a->fd);
	return a;
}

/* @from may send to a new node of @to. */
static void introduce(struct actor *from, struct actor *to)
{
	struct bus1_transfer src = { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };
	struct bus1_transfer dst;

	must(libbus1_transfer(to->fd, from->fd, &src, &dst, 1), "TRANSFER");
	from->ids[from->n++] = dst.id;
}

static void begin(struct actor *a)
{
	close(a->fd);
	if (write(a->pipe, a, sizeof(*a)) != sizeof(*a))
		die(a->name, errno);
	close(a->pipe);
	a->fd = -1;
	a->pipe = -1;
}

static int post(int peer, uint64_t to, uint64_t from, uint64_t number,
		struct bus1_transfer *carried)
{
	struct note note = { from, number };

	return libbus1_post(peer, to, &note, sizeof(note), carried, !!carried);
}

/* Waits for a message from somebody; notifications are taken by the way. */
static struct note receive(int peer, struct libbus1_msg *msg)
{
	struct note note = { 0 };

	do {
		must(libbus1_wait(peer, -1), "wait");
		must(libbus1_msg_recv(msg, peer), "RECV");
	} while (msg->type != BUS1_MESSAGE_TYPE_USER);
	memcpy(&note, msg->data,
	       msg->n_data < sizeof(note) ? msg->n_data : sizeof(note));
	return note;
}

/* A request, and the reply to it: how long that took. */
static long ask(int peer, uint64_t service, int self, int number)
{
	struct bus1_transfer reply = { BUS1_TRANSFER_FLAG_CREATE,
				       BUS1_INVALID };
	long begun = now(), next = begun + PATIENCE;
	struct libbus1_msg msg;

	libbus1_msg_init(&msg, 0, 0);
	must(post(peer, service, self, number, &reply), "SEND");
	do {
		while (!must(libbus1_wait(peer, PATIENCE / 10), "wait"))
			if (now() >= next) {
				say("request %d: no reply after %ld s", number,
				    (next - begun) / 1000);
				next += PATIENCE;
			}
		must(libbus1_msg_recv(&msg, peer), "RECV");
	} while (msg.type != BUS1_MESSAGE_TYPE_USER || msg.id != reply.id);
	libbus1_msg_deinit(&msg);
	return now() - begun;
}

/* Asks all it knows in turn, every @every ms. */
static void client(int peer, const uint64_t *ids, int n, int arg)
{
	int i;

	for (i = 0;; i++) {
		long took = ask(peer, ids[i % n], arg, i);

		if (took >= PATIENCE / 3)
			say("request %d: the reply took %ld.%ld s", i,
			    took / 1000, took / 100 % 10);
		sleep_ms(40 + 10 * arg);
	}
}

/* reply: a service has workers, one of which forgets a request. */

static void dispatcher(int peer, const uint64_t *ids, int n, int arg)
{
	struct libbus1_msg msg;

	(void)arg;
	libbus1_msg_init(&msg, 0, 0);
	for (;;) {
		struct note note = receive(peer, &msg);
		struct bus1_transfer reply = { 0, msg.handles[0] };

		must(post(peer, ids[note.from % n], note.from, note.number,
			  &reply), "SEND");
		must(libbus1_release(peer, msg.handles, 1), "RELEASE");
	}
}

static void worker(int peer, const uint64_t *ids, int n, int bad)
{
	struct libbus1_msg msg;
	int i;

	(void)ids;
	(void)n;
	libbus1_msg_init(&msg, 0, 0);
	for (i = 0;; i++) {
		struct note note = receive(peer, &msg);

		if (bad && i == 20) {
			blame_me(peer, msg.handles[0]);
			continue;
		}
		sleep_ms(5);
		must(post(peer, msg.handles[0], note.from, note.number, NULL),
		     "SEND");
		must(libbus1_release(peer, msg.handles, 1), "RELEASE");
	}
}

static void stage_reply(void)
{
	struct actor *service = start("svc", 0, SERVICE_UID, dispatcher, 0), *a;
	int bad = lot(3), i;

	for (i = 0; i < 3; i++) {
		a = start("wrk", i, SERVICE_UID, worker, i == bad);
		introduce(service, a);
		begin(a);
	}
	for (i = 0; i < CLIENTS; i++) {
		a = start("cli", i, SERVICE_UID + 1 + i, client, i);
		introduce(a, service);
		begin(a);
	}
	begin(service);
}

/* leak: a service never gives up the handles it replies to. */

/* Keeps the last @keep handles; -1: all. */
static void replier(int peer, const uint64_t *ids, int n, int keep)
{
	uint64_t kept[64] = { 0 };
	struct libbus1_msg msg;
	int i;

	(void)ids;
	(void)n;
	libbus1_msg_init(&msg, 0, 0);
	if (keep < 0)
		blame_me(peer, 0);
	for (i = 0;; i++) {
		struct note note = receive(peer, &msg);
		uint64_t *old = &kept[keep > 0 ? i % keep : 0];

		must(post(peer, msg.handles[0], note.from, note.number, NULL),
		     "SEND");
		if (keep < 0)
			continue;
		if (keep && *old)
			must(libbus1_release(peer, old, 1), "RELEASE");
		if (!keep)
			must(libbus1_release(peer, msg.handles, 1), "RELEASE");
		*old = msg.handles[0];
	}
}

/* What user @uid has charged to it. */
static uint64_t charged(int uid)
{
	char line[512], key[32];
	uint64_t max, left, n = 0;
	FILE *file = fopen("/sys/kernel/debug/bus1/accounts", "r");

	if (!file)
		die("/sys/kernel/debug/bus1/accounts", errno);
	snprintf(key, sizeof(key), "user uid=%d ", uid);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)) &&
		    sscanf(line + strlen(key), "max_objects=%" SCNu64
			   " left_objects=%" SCNu64, &max, &left) == 2)
			n = max - left;
	fclose(file);
	return n;
}

static void stage_leak(void)
{
	/* Some keep a few, for a while. */
	static const int keep[] = { 0, 16, 64 };
	struct actor *services[4], *a;
	uint64_t before, n;
	int bad = lot(4), i, j;

	for (i = 0; i < 4; i++)
		services[i] = start("svc", i, SERVICE_UID, replier,
				    i == bad ? -1 : keep[(i + bad) % 3]);
	for (i = 0; i < CLIENTS; i++) {
		a = start("cli", i, SERVICE_UID + 1 + i, client, i);
		for (j = 0; j < 4; j++)
			introduce(a, services[j]);
		begin(a);
	}
	for (i = 0; i < 4; i++)
		begin(services[i]);
	for (n = charged(SERVICE_UID);; ) {
		before = n;
		sleep_ms(PATIENCE);
		n = charged(SERVICE_UID);
		say("the services have %" PRIu64 " objects charged, %" PRId64
		    " more than %d s ago", n, (int64_t)(n - before),
		    PATIENCE / 1000);
	}
}

/* slow: one subscriber does not keep up. */

static void publisher(int peer, const uint64_t *ids, int n, int every)
{
	static int confirmed[TICKS];
	static long sent[TICKS];
	struct libbus1_msg msg;
	struct note note = { 0 };
	struct iovec vec = { &note, sizeof(note) };
	struct bus1_message tick = {
		.n_data = sizeof(note),
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	long next = now(), said = now();
	int i, late;

	libbus1_msg_init(&msg, 0, 0);
	for (i = 0;; i++) {
		note.number = i;
		must(libbus1_send(peer, 0, ids, n, NULL, &tick), "SEND");
		sent[i % TICKS] = now();
		confirmed[i % TICKS] = 0;
		for (next += every; now() < next; ) {
			if (libbus1_wait(peer, next - now()) != 1)
				break;
			note = receive(peer, &msg);
			if (note.number + TICKS > (uint64_t)i)
				confirmed[note.number % TICKS]++;
		}
		late = i - PATIENCE / every;
		if (late < 0 || confirmed[late % TICKS] == n ||
		    now() - said < PATIENCE)
			continue;
		said = now();
		say("tick %d: after %ld s %d of %d have confirmed it", late,
		    (said - sent[late % TICKS]) / 1000,
		    confirmed[late % TICKS], n);
	}
}

/* Takes a tick, or all there are, then sleeps @ms. */
static void subscriber(int peer, const uint64_t *ids, int n, int ms)
{
	struct libbus1_msg msg;

	(void)n;
	libbus1_msg_init(&msg, 0, 0);
	if (ms == 150)
		blame_me(peer, 0);
	for (;;) {
		struct note note = receive(peer, &msg);

		must(post(peer, ids[0], 0, note.number, NULL), "SEND");
		/* Some read seldom, but then all there is. */
		if (ms < 500 || !must(libbus1_wait(peer, 0), "wait"))
			sleep_ms(ms);
	}
}

static void stage_slow(void)
{
	static const int ms[] = { 1, 10, 500, 800 };
	struct actor *pub = start("pub", 0, SERVICE_UID, publisher, 40), *a;
	int bad = lot(SUBSCRIBERS), i;

	for (i = 0; i < SUBSCRIBERS; i++) {
		a = start("sub", i, SERVICE_UID + 1 + i, subscriber,
			  i == bad ? 150 : ms[(i + bad) % 4]);
		introduce(pub, a);
		introduce(a, pub);
		begin(a);
	}
	begin(pub);
}

/* flood: one client sends as fast as it can. */

static void server(int peer, const uint64_t *ids, int n, int ms)
{
	struct libbus1_msg msg;

	(void)ids;
	(void)n;
	libbus1_msg_init(&msg, 0, 0);
	for (;;) {
		struct note note = receive(peer, &msg);

		sleep_ms(ms);
		if (!msg.n_handles)
			continue;
		must(post(peer, msg.handles[0], note.from, note.number, NULL),
		     "SEND");
		must(libbus1_release(peer, msg.handles, 1), "RELEASE");
	}
}

/* It does not wait for replies, and hardly when it is refused. */
static void flooder(int peer, const uint64_t *ids, int n, int arg)
{
	int i, r;

	(void)n;
	sleep_ms(1000);
	blame_me(peer, 0);
	for (i = 0;; i++) {
		r = post(peer, ids[0], arg, i, NULL);
		if (r == -EDQUOT)
			sleep_ms(1);
		else
			must(r, "SEND");
	}
}

/* Sends much too, but no more than are answered. */
static void busy(int peer, const uint64_t *ids, int n, int arg)
{
	int i;

	(void)n;
	for (i = 0;; i++)
		ask(peer, ids[0], arg, i);
}

static void stage_flood(void)
{
	static const char path[] = "/sys/module/bus1/parameters/max_objects";
	uint64_t max = number_in(path, "");
	int bad = lot(CLIENTS), i;
	struct actor *service, *a;
	FILE *file;

	/* Of a million the flood would take a while. */
	file = fopen(path, "w");
	if (!file || fputs("32768", file) < 0 || fclose(file))
		die(path, errno);
	service = start("svc", 0, SERVICE_UID, server, 4);
	file = fopen(path, "w");
	if (!file || fprintf(file, "%" PRIu64, max) < 0 || fclose(file))
		die(path, errno);
	for (i = 0; i < CLIENTS; i++) {
		a = start("cli", i, SERVICE_UID + 1 + i,
			  i == bad ? flooder :
			  i == (bad + 2) % CLIENTS ? busy : client, i);
		introduce(a, service);
		begin(a);
	}
	begin(service);
}

/* died: a service is killed and started again; nobody tells its clients. */

static void reporter(int peer, const uint64_t *ids, int n, int arg)
{
	int i;

	(void)n;
	for (i = 0;; i++) {
		must(post(peer, ids[0], arg, i, NULL), "SEND");
		reports[arg][0]++;
		sleep_ms(60 + 10 * arg);
	}
}

static void sink(int peer, const uint64_t *ids, int n, int arg)
{
	struct libbus1_msg msg;

	(void)ids;
	(void)n;
	(void)arg;
	libbus1_msg_init(&msg, 0, 0);
	for (;;)
		reports[receive(peer, &msg).from % CLIENTS][1]++;
}

static void stage_died(void)
{
	unsigned int before[CLIENTS][2];
	struct actor *sinks[SINKS], *clients[CLIENTS];
	int bad = lot(SINKS), i;

	reports = mmap(NULL, sizeof(*reports) * CLIENTS, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (reports == MAP_FAILED)
		die("mmap", errno);
	for (i = 0; i < SINKS; i++)
		sinks[i] = start("svc", i, SERVICE_UID, sink, 0);
	for (i = 0; i < CLIENTS; i++) {
		clients[i] = start("cli", i, SERVICE_UID + 1 + i, reporter, i);
		introduce(clients[i], sinks[i % SINKS]);
		begin(clients[i]);
	}
	for (i = 0; i < SINKS; i++)
		begin(sinks[i]);
	sleep_ms(2000);
	kill(sinks[bad]->pid, SIGKILL);
	waitpid(sinks[bad]->pid, NULL, 0);
	blame(sinks[bad]->name, sinks[bad]->pid, sinks[bad]->peer, 0);
	begin(start("svc", bad, SERVICE_UID, sink, 0));
	for (;;) {
		for (i = 0; i < CLIENTS; i++) {
			before[i][0] = reports[i][0];
			before[i][1] = reports[i][1];
		}
		sleep_ms(PATIENCE);
		for (i = 0; i < CLIENTS; i++)
			if (before[i][1] == reports[i][1])
				say("%s has sent %u reports in %d s, all well, "
				    "and none has been taken", clients[i]->name,
				    reports[i][0] - before[i][0],
				    PATIENCE / 1000);
	}
}

static const struct {
	const char *name;
	void (*stage)(void);
} incidents[] = {
	{ "reply", stage_reply },
	{ "leak", stage_leak },
	{ "slow", stage_slow },
	{ "flood", stage_flood },
	{ "died", stage_died },
};

static void over(int signum)
{
	(void)signum;
	_exit(0); /* the others end with it */
}

int main(int argc, char **argv)
{
	size_t i, n = sizeof(incidents) / sizeof(incidents[0]);
	const char *path = getenv("INCIDENT_ANSWER");

	setvbuf(stdout, NULL, _IOLBF, 0);
	prctl(PR_SET_NAME, name);
	for (i = 0; i < n; i++)
		if (argc >= 2 && !strcmp(argv[1], incidents[i].name))
			break;
	if (argc > 3 || i == n) {
		fprintf(stderr, "usage: incident reply|leak|slow|flood|died "
			"[SECONDS]\n");
		return 2;
	}
	if (path) {
		answer = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			      0600);
		if (answer < 0)
			die(path, errno);
	}
	signal(SIGALRM, over);
	if (argc == 3)
		alarm(atoi(argv[2]));
	incidents[i].stage();
	wait(NULL);
	fprintf(stderr, "incident: a process ended that should not have\n");
	return 1;
}
