// SPDX-License-Identifier: GPL-2.0-only
/*
 * churn - everything at once, with witnesses
 *
 * Threads and processes that are killed open, close, fork, pass, poll and use
 * a few peers with no agreement between them: an ID may be released, a
 * descriptor closed, while another uses it. The kernel's own checks (KASAN,
 * KCSAN, lockdep) are the first to see a mistake there.
 *
 * Witnesses see the rest. Each is a peer of one thread which gives handles to
 * its nodes into the churn, and takes handles out of it. Of each node it must
 * hear once that the last handle is gone, of each handle once that its node is
 * gone, whatever became of those who had them; and in the end there is nothing
 * left. A crowd, threads that receive on one peer at once, must receive each
 * message once.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../uapi/tap.h"
#include "b1-raw.h"

#define SLOTS 6
#define IDS 32
#define WITNESSES 2
#define CROWD 3
#define THREADS 32
#define MAX_ID (1u << 24)
#define KEEP 64
#define ALIVE 1000
#define HANG_S 60

/* What a witness knows of an ID of its own. */
enum { NEVER, NODE, NODE_DONE, GIVEN, GIVEN_DONE };

struct witness {
	int fd;
	uint64_t rand;
	uint8_t *state; /* by ID >> 1 */
	uint64_t kept[KEEP]; /* handles that came in messages */
	uint32_t n_kept, n_nodes, n_given; /* not done yet */
	uint64_t sum_nodes, sum_given, sum_messages, wrong;
};

static struct shared {
	atomic_int fd[SLOTS];
	atomic_ullong id[SLOTS][IDS]; /* some IDs that were seen there */
	atomic_bool stop;
	atomic_ullong ops, odd, kills;
	atomic_ullong bad_errno;
} *sh;

static struct witness witness[WITNESSES];
static dev_t bus1_dev;

static struct {
	int from, to;
	uint64_t handle;
	atomic_ullong sent, received, wrong;
	atomic_uchar *seen;
	atomic_bool drain;
} crowd;

static uint32_t rnd(uint64_t *state, uint32_t n)
{
	return (raw_rand(state) >> 32) % n;
}

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		bail_out("cannot map memory: %s", strerror(errno));
	return p;
}

/* No errno that these calls cannot have, however they race. */
static int fine(int r)
{
	switch (r) {
	case 0: case EAGAIN: case EBADF: case EOPNOTSUPP: case EBADRQC:
	case EDQUOT: case EFAULT: case EINVAL: case EMSGSIZE: case ENOMEM:
	case ENOTTY: case EINTR: case ETIMEDOUT:
		break;
	default:
		sh->odd++;
		sh->bad_errno = r;
	}
	sh->ops++;
	return r;
}

static uint64_t some_id(uint64_t *rand, uint32_t slot)
{
	return sh->id[slot][rnd(rand, IDS)];
}

static void note_id(uint64_t *rand, uint32_t slot, uint64_t id)
{
	sh->id[slot][rnd(rand, IDS)] = id;
}

static void churn_open(uint64_t *rand, uint32_t slot)
{
	int old, fd = raw_open();

	(void)rand;
	if (fd < 0)
		return;
	old = atomic_exchange(&sh->fd[slot], fd);
	if (old >= 0)
		close(old);
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
	if (fine(raw_transfer(sh->fd[slot],
			      rnd(rand, 8) ? (uint64_t)sh->fd[to] :
			      BUS1_INVALID, n, src, dst)))
		return;
	note_id(rand, slot, src[0].id);
	for (i = 0; i < n; i++)
		note_id(rand, to, dst[i].id);
}

/* When to wait no longer: at once, or soon. */
static uint64_t soon(uint64_t *rand)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec +
	       rnd(rand, 3) * rnd(rand, 200000);
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
		fine(why);
	for (i = 0; !r && !why && i < room.message.n_transfers; i++)
		note_id(rand, slot, back[i].id);
	return r;
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
		r = raw_send(sh->fd[slot], n, to, data, sizes[rnd(rand, 4)], t,
			     n_t);
	if (!fine(r) && n_t)
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
	struct bus1_transfer t[4];
	unsigned char data[6000];
	struct raw_msg m = { 0 };
	int r;

	while (k--) {
		switch (rnd(rand, 12)) {
		case 0: /* no room */
			r = raw_recv(sh->fd[slot], &m, data, 4, t, 0);
			break;
		case 1: /* a fault after part of it is copied */
			r = raw_recv(sh->fd[slot], &m, data, sizeof(data),
				     (void *)8, 4);
			break;
		case 2: case 3: case 4:
			r = churn_batch(rand, slot);
			break;
		default:
			r = raw_recv(sh->fd[slot], &m, data, sizeof(data), t,
				     4);
			for (i = 0; !r && i < m.n_t; i++)
				note_id(rand, slot, t[i].id);
		}
		if (fine(r) == EAGAIN || r == ETIMEDOUT)
			break;
	}
}

static void churn_release(uint64_t *rand, uint32_t slot)
{
	uint64_t ids[4];
	uint32_t n = 1 + (rnd(rand, 4) ? 0 : rnd(rand, 4)), i;

	for (i = 0; i < n; i++)
		ids[i] = some_id(rand, slot);
	fine(raw_release(sh->fd[slot], n, ids));
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
	int s[2], fd = dup(sh->fd[slot]), old;
	struct stat st;

	if (fd < 0)
		return;
	/* the number may have become another file: a socket would be a cycle */
	if (fstat(fd, &st) || st.st_rdev != bus1_dev ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s)) {
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
	if (rnd(rand, 2) && recvmsg(s[1], &msg, MSG_CMSG_CLOEXEC) == 1 &&
	    msg.msg_controllen) {
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
		/* the same peer, or by now its twin, in the same slot */
		old = atomic_exchange(&sh->fd[slot], fd);
		if (old >= 0)
			close(old);
	}
	close(s[0]);
	close(s[1]);
}

static void churn_step(uint64_t *rand, bool child)
{
	uint32_t slot = rnd(rand, SLOTS), dice = rnd(rand, 1000);

	if (dice < 270)
		churn_send(rand, slot);
	else if (dice < 470)
		churn_recv(rand, slot);
	else if (dice < 700)
		churn_transfer(rand, slot);
	else if (dice < 960)
		churn_release(rand, slot);
	else if (dice < 980)
		churn_poll(rand, slot);
	else if (child) /* descriptors are its own, the table is not */
		sched_yield();
	else if (dice < 990)
		churn_open(rand, slot);
	else
		churn_pass(rand, slot);
}

static void *churner(void *arg)
{
	uint64_t rand = (uintptr_t)arg;

	while (!sh->stop)
		churn_step(&rand, false);
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

static __attribute__((format(printf, 2, 3))) void
wrong(struct witness *w, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (w->wrong++ < 5)
		diag("witness %d: %s", (int)(w - witness), text);
}

static uint8_t *state(struct witness *w, uint64_t id)
{
	if (id / 2 >= MAX_ID)
		bail_out("ID %llu is no counter", (unsigned long long)id);
	return &w->state[id / 2];
}

static void drop_given(struct witness *w, uint64_t id)
{
	int r = raw_release(w->fd, 1, &id);

	if (r)
		wrong(w, "cannot release handle %llu: %s",
		      (unsigned long long)id, strerror(r));
	*state(w, id) = GIVEN_DONE;
	w->n_given--;
}

/*
 * A handle to whatever node, perhaps of a witness: it is released at the latest
 * in the end, or the two would wait for each other.
 */
static void keep(struct witness *w, uint64_t id)
{
	uint32_t k;

	if (w->n_kept == KEEP) {
		k = rnd(&w->rand, KEEP);
		drop_given(w, w->kept[k]);
		w->kept[k] = w->kept[--w->n_kept];
	}
	w->kept[w->n_kept++] = id;
}

/* Receive one; false if there was nothing. */
static bool hear(struct witness *w)
{
	struct bus1_transfer t[4];
	unsigned char data[6000];
	struct raw_msg m = { 0 };
	uint32_t i;
	int r = raw_recv(w->fd, &m, data, sizeof(data), t, 4);

	if (r) {
		if (r != EAGAIN)
			wrong(w, "RECV: %s", strerror(r));
		return false;
	}
	switch (m.type) {
	case BUS1_MESSAGE_TYPE_USER:
		w->sum_messages++;
		if (*state(w, m.id) != NODE)
			wrong(w, "a message on node %llu in state %u",
			      (unsigned long long)m.id, *state(w, m.id));
		for (i = 0; i < m.n_t; i++) {
			if (*state(w, t[i].id) != NEVER)
				wrong(w, "ID %llu twice",
				      (unsigned long long)t[i].id);
			*state(w, t[i].id) = GIVEN;
			w->n_given++;
			w->sum_given++;
			keep(w, t[i].id);
		}
		break;
	case BUS1_MESSAGE_TYPE_NODE_RELEASE:
		if (*state(w, m.id) != GIVEN)
			wrong(w, "NODE_RELEASE of %llu in state %u",
			      (unsigned long long)m.id, *state(w, m.id));
		else
			w->n_given--;
		*state(w, m.id) = GIVEN_DONE;
		for (i = 0; i < w->n_kept; i++)
			if (w->kept[i] == m.id)
				w->kept[i] = w->kept[--w->n_kept];
		break;
	default:
		if (*state(w, m.id) != NODE)
			wrong(w, "HANDLE_RELEASE of %llu in state %u",
			      (unsigned long long)m.id, *state(w, m.id));
		else
			w->n_nodes--;
		*state(w, m.id) = NODE_DONE;
	}
	return true;
}

/* A node of the witness for the churn. */
static void give(struct witness *w)
{
	uint32_t slot = rnd(&w->rand, SLOTS);
	uint64_t node, handle;
	int r = raw_node(w->fd, sh->fd[slot], &node, &handle);

	if (r) {
		if (r != EBADF && r != EOPNOTSUPP && r != ENOMEM &&
		    r != EDQUOT)
			wrong(w, "cannot make a node: %s", strerror(r));
		return;
	}
	*state(w, node) = NODE;
	w->n_nodes++;
	w->sum_nodes++;
	if (rnd(&w->rand, 10) == 0) {
		/* the owner goes first: nothing more will be heard */
		r = raw_release(w->fd, 1, &node);
		if (r)
			wrong(w, "cannot release node %llu: %s",
			      (unsigned long long)node, strerror(r));
		*state(w, node) = NODE_DONE;
		w->n_nodes--;
	}
	note_id(&w->rand, slot, handle);
}

/* A handle out of the churn, made there or copied. */
static void get(struct witness *w)
{
	uint32_t slot = rnd(&w->rand, SLOTS);
	uint64_t node, handle;
	bool create = rnd(&w->rand, 2);
	int fd = sh->fd[slot], r;

	if (create)
		r = raw_node(fd, w->fd, &node, &handle);
	else
		r = raw_copy(fd, some_id(&w->rand, slot), w->fd, &handle);
	fine(r);
	if (r)
		return;
	*state(w, handle) = GIVEN;
	w->n_given++;
	w->sum_given++;
	if (!create || rnd(&w->rand, 2))
		keep(w, handle);
	r = raw_send(w->fd, 1, &handle, "hello", 5, NULL, 0);
	if (r && r != ENOMEM && r != EDQUOT)
		wrong(w, "cannot send to %llu: %s",
		      (unsigned long long)handle, strerror(r));
}

static void *witness_run(void *arg)
{
	struct witness *w = arg;
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	uint32_t k;

	while (!sh->stop) {
		if (w->n_nodes < ALIVE)
			give(w);
		if (w->n_given < ALIVE)
			get(w);
		if (w->n_kept && rnd(&w->rand, 4) == 0) {
			k = rnd(&w->rand, w->n_kept);
			drop_given(w, w->kept[k]);
			w->kept[k] = w->kept[--w->n_kept];
		}
		poll(&p, 1, w->n_nodes < ALIVE ? 0 : 10);
		for (k = 16; k && hear(w); k--)
			;
	}
	return NULL;
}

/* Everybody else is gone: all is heard of, now or very soon. */
static void witness_end(void)
{
	uint32_t i, left = 1, tries;

	for (tries = 0; left && tries < 1000; tries++) {
		for (left = i = 0; i < WITNESSES; i++) {
			struct witness *w = &witness[i];

			while (hear(w))
				;
			while (w->n_kept)
				drop_given(w, w->kept[--w->n_kept]);
			while (hear(w))
				;
		}
		for (i = 0; i < WITNESSES; i++)
			left += witness[i].n_nodes + witness[i].n_given;
		if (left)
			usleep(10000);
	}
}

/* A number from fdinfo; -1 if it is not there. */
static long info(int fd, const char *key)
{
	char path[64], line[128];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			value = strtol(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return value;
}

static void witness_judge(struct witness *w)
{
	int i = w - witness;
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	long nodes = info(w->fd, "bus1-nodes:");
	long handles = info(w->fd, "bus1-handles:");
	long queued = info(w->fd, "bus1-queued:");

	ok(!w->wrong, "churn: witness %d: %llu nodes, %llu handles, %llu messages; %llu things wrong",
	   i, (unsigned long long)w->sum_nodes,
	   (unsigned long long)w->sum_given,
	   (unsigned long long)w->sum_messages, (unsigned long long)w->wrong);
	ok(!w->n_nodes, "churn: witness %d: HANDLE_RELEASE missing: %u", i,
	   w->n_nodes);
	ok(!w->n_given, "churn: witness %d: NODE_RELEASE missing: %u", i,
	   w->n_given);
	ok(!nodes && !handles && !queued && !poll(&p, 1, 0),
	   "churn: witness %d: left are %ld nodes, %ld handles, %ld messages",
	   i, nodes, handles, queued);
	close(w->fd);
}

static void *crowd_send(void *arg)
{
	uint64_t i;

	(void)arg;
	for (i = 0; !sh->stop && i < MAX_ID; i++) {
		if (raw_send(crowd.from, 1, &crowd.handle, &i, sizeof(i), NULL,
			     0))
			crowd.wrong++;
		crowd.sent++;
		if (crowd.sent - crowd.received > 500)
			usleep(200);
	}
	return NULL;
}

/* One, by poll and RECV; or by sleeping in RECV_BATCH, for so long. */
static int crowd_get(bool sleeps, struct raw_msg *m, uint64_t *i)
{
	struct pollfd p = { .fd = crowd.to, .events = POLLIN };
	struct bus1_received room = raw_room(i, sizeof(*i), NULL, 0);
	uint64_t rand = 0, got;
	int r;

	if (sleeps) {
		r = raw_batch(crowd.to, BUS1_RECV_FLAG_WAIT,
			      soon(&rand) + 20000000, &room, 1, &got);
		raw_got(m, &room.metadata, &room.message);
		return r == ETIMEDOUT ? EAGAIN : r;
	}
	r = raw_recv(crowd.to, m, i, sizeof(*i), NULL, 0);
	if (r == EAGAIN)
		poll(&p, 1, 20);
	return r;
}

static void *crowd_receive(void *arg)
{
	bool drain;

	for (;;) {
		struct raw_msg m = { 0 };
		uint64_t i = 0;
		int r;

		drain = crowd.drain;
		r = crowd_get(arg, &m, &i);
		if (r == EAGAIN) {
			if (drain)
				return NULL;
		} else if (r || m.n_data != sizeof(i) || i >= MAX_ID ||
			   crowd.seen[i]++) {
			crowd.wrong++;
		} else {
			crowd.received++;
		}
	}
}

static void crowd_start(void)
{
	uint64_t node;

	crowd.from = raw_open();
	crowd.to = raw_open();
	crowd.seen = map(MAX_ID);
	if (raw_node(crowd.to, crowd.from, &node, &crowd.handle))
		bail_out("cannot make a node: %s", strerror(errno));
}

static void join(pthread_t t, const char *who)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += HANG_S;
	if (pthread_timedjoin_np(t, NULL, &ts))
		bail_out("a %s hangs", who);
}

int main(int argc, char **argv)
{
	unsigned int seconds = 10, threads = 4, n = 0, c = 0, i;
	pthread_t t[THREADS + WITNESSES + 1], crew[CROWD];
	uint64_t seed = time(NULL);
	struct stat st;
	int opt;

	while ((opt = getopt(argc, argv, "d:t:s:")) >= 0)
		switch (opt) {
		case 'd': seconds = strtoul(optarg, NULL, 0); break;
		case 't': threads = strtoul(optarg, NULL, 0); break;
		case 's': seed = strtoull(optarg, NULL, 0); break;
		default: optind = argc + 1;
		}
	if (optind != argc || threads < 1 || threads > THREADS / 2) {
		fputs("usage: churn [-d SECONDS] [-t THREADS] [-s SEED]\n",
		      stderr);
		return 2;
	}
	if (stat("/dev/bus1", &st))
		bail_out("cannot find /dev/bus1: %s; load the module",
			 strerror(errno));
	bus1_dev = st.st_rdev;
	diag("churn: seed %llu", (unsigned long long)seed);
	sh = map(sizeof(*sh));
	for (i = 0; i < SLOTS; i++) {
		sh->fd[i] = raw_open();
		if (sh->fd[i] < 0)
			bail_out("cannot open /dev/bus1: %s", strerror(errno));
	}
	for (i = 0; i < WITNESSES; i++) {
		witness[i].fd = raw_open();
		witness[i].rand = raw_rand(&seed);
		witness[i].state = map(MAX_ID);
	}
	crowd_start();

	for (i = 0; i < threads; i++)
		c |= pthread_create(&t[n++], NULL, churner,
				    (void *)(uintptr_t)raw_rand(&seed));
	for (i = 0; i < 2; i++)
		c |= pthread_create(&t[n++], NULL, forker,
				    (void *)(uintptr_t)raw_rand(&seed));
	for (i = 0; i < WITNESSES; i++)
		c |= pthread_create(&t[n++], NULL, witness_run, &witness[i]);
	c |= pthread_create(&t[n++], NULL, crowd_send, NULL);
	for (i = 0; i < CROWD; i++)
		c |= pthread_create(&crew[i], NULL, crowd_receive,
				    i ? &crowd : NULL);
	if (c)
		bail_out("cannot make threads");
	sleep(seconds);
	sh->stop = true;
	for (i = 0; i < n; i++)
		join(t[i], "thread");
	crowd.drain = true;
	for (i = 0; i < CROWD; i++)
		join(crew[i], "receiver");
	for (i = 0; i < SLOTS; i++)
		close(sh->fd[i]);
	witness_end();

	ok(!sh->odd, "churn: %llu calls, %llu failed oddly%s%s",
	   (unsigned long long)sh->ops, (unsigned long long)sh->odd,
	   sh->odd ? ": " : "", sh->odd ? strerror(sh->bad_errno) : "");
	diag("%llu processes killed", (unsigned long long)sh->kills);
	for (i = 0; i < WITNESSES; i++)
		witness_judge(&witness[i]);
	ok(!crowd.wrong && crowd.sent == crowd.received,
	   "churn: crowd: %llu sent, %llu received, %llu things wrong",
	   (unsigned long long)crowd.sent, (unsigned long long)crowd.received,
	   (unsigned long long)crowd.wrong);
	return done_testing();
}
