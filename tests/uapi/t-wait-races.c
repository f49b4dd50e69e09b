// SPDX-License-Identifier: GPL-2.0-only
/*
 * No wake-up is lost, whoever takes it with him.
 *
 * Residents sleep without a deadline, and nothing but a message wakes them. In
 * each round guests join them for one attempt of any kind, most of which end
 * badly: by a deadline of some microseconds, a signal, no room, a fault. Some
 * messages are sent meanwhile. When the guests have left, whatever they did not
 * take must be received by the residents: if it is not, and poll says that
 * there is something, a wake-up was lost.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/epoll.h>

#include "../stress/b1-raw.h"
#include "sleeper.h"

#define RESIDENTS 2
#define GUESTS 4
#define SECONDS 6
#define VANISHES 0x76616e69u
#define STAY 0x73746179u

static int a, b, c;
static uint64_t node, handle, handle_c, to_c;
static pthread_barrier_t begin_round, end_round;
static atomic_uint sent, received, odd, left, waiting[GUESTS];
static atomic_uint outcome[8]; /* of the guests */
static atomic_bool over;
static pthread_t guest[GUESTS], resident[RESIDENTS];

enum { GOT, TIMED_OUT, SIGNALLED, NO_ROOM, FAULTED, NOTHING };

static uint32_t rnd(uint64_t *state, uint32_t n)
{
	return (raw_rand(state) >> 32) % n;
}

static void spin(uint32_t n)
{
	while (n--)
		__asm__ volatile("" ::: "memory");
}

/* Somebody has received this. */
static void count(uint64_t type, const uint32_t *data)
{
	if (type != BUS1_MESSAGE_TYPE_USER || *data == STAY)
		atomic_fetch_add(&received, 1);
	else if (*data != VANISHES)
		atomic_fetch_add(&odd, 1);
}

static struct bus1_message room(uint32_t *data, uint64_t len)
{
	return (struct bus1_message){
		.flags = BUS1_MESSAGE_FLAG_FLAT,
		.type = BUS1_INVALID,
		.n_data = len,
		.n_data_vecs = len,
		.ptr_data_vecs = BUS1_FROM_PTR(data),
	};
}

static int receive(uint64_t flags, uint32_t *data, uint64_t len, uint64_t *type)
{
	struct bus1_metadata meta;
	struct bus1_message msg = room(data, len);
	struct bus1_cmd_recv cmd = {
		.flags = flags,
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};
	int r = ioctl(a, BUS1_CMD_RECV, &cmd);

	*type = msg.type;
	return r < 0 ? errno : 0;
}

static void *reside(void *arg)
{
	uint64_t type;
	uint32_t data;
	int r;

	(void)arg;
	while (!atomic_load(&over)) {
		r = receive(BUS1_RECV_FLAG_WAIT, &data, sizeof(data), &type);
		if (!r)
			count(type, &data);
		else if (r != EINTR || !atomic_load(&over))
			atomic_fetch_add(&odd, 1);
	}
	return NULL;
}

static void tell(int r)
{
	static const int errors[] = {
		[GOT] = 0, [TIMED_OUT] = ETIMEDOUT, [SIGNALLED] = EINTR,
		[NO_ROOM] = EMSGSIZE, [FAULTED] = EFAULT, [NOTHING] = EAGAIN,
	};
	unsigned int i;

	for (i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (errors[i] == r) {
			atomic_fetch_add(&outcome[i], 1);
			return;
		}
	if (!atomic_fetch_add(&odd, 1))
		diag("a guest got %s", strerror(r));
}

static void by_batch(uint64_t deadline, uint32_t n, uint32_t len)
{
	struct bus1_received v[3];
	uint32_t data[3], i;
	struct bus1_cmd_recv_batch cmd = {
		.flags = BUS1_RECV_FLAG_WAIT,
		.deadline = deadline,
		.n_received = n,
		.ptr_received = BUS1_FROM_PTR(v),
	};
	int r;

	for (i = 0; i < n; i++)
		v[i].message = room(data + i, len);
	r = ioctl(a, BUS1_CMD_RECV_BATCH, &cmd);
	tell(r < 0 ? errno : 0);
	for (i = 0; r > 0 && i < (uint32_t)r; i++)
		count(v[i].message.type, data + i);
}

static void by_call(uint64_t deadline)
{
	static char text[] = "call";
	uint32_t data;
	char sink[4];
	struct bus1_cmd_call cmd = {
		.deadline = deadline,
		.destination = handle_c,
		.send = b1_flat(text, 4),
		.received.message = room(&data, sizeof(data)),
	};
	int r = ioctl(a, BUS1_CMD_CALL, &cmd);

	tell(r < 0 ? errno : r);
	if (!r)
		count(cmd.received.message.type, &data);
	/* What it sent is of no interest. */
	while (!raw_recv(c, &(struct raw_msg){}, sink, sizeof(sink), NULL, 0))
		;
}

/* It also sends: what is for a and c comes in one order to both. */
static void multicast(uint64_t *rand)
{
	static const uint32_t stay = STAY;
	char sink[4];

	atomic_fetch_add(&sent, 1);
	if (b1_multicast(b, 2, rnd(rand, 2) ?
			 (uint64_t[]){ handle, to_c } :
			 (uint64_t[]){ to_c, handle }, NULL, &stay, 4, NULL, 0))
		bail_out("cannot send");
	while (!raw_recv(c, &(struct raw_msg){}, sink, sizeof(sink), NULL, 0))
		;
}

static void attempt(uint64_t *rand, unsigned int who)
{
	struct pollfd p = { .fd = a, .events = POLLIN };
	uint64_t deadline, type;
	struct timespec ts = { 0 };
	uint32_t data, i;
	int r;

	spin(rnd(rand, 2000));
	deadline = b1_now() + rnd(rand, 4) * rnd(rand, 100000);
	switch (rnd(rand, 12)) {
	case 10: case 11:
		multicast(rand);
		break;
	case 0: case 1:
		by_batch(deadline, 1 + rnd(rand, 3), sizeof(data));
		break;
	case 2:
		by_batch(deadline, 1 + rnd(rand, 3), 2);
		break;
	case 3: case 4:
		by_call(deadline);
		break;
	case 5: /* until the signal */
		atomic_store(&waiting[who], 1);
		r = receive(BUS1_RECV_FLAG_WAIT, &data, sizeof(data), &type);
		tell(r);
		if (!r)
			count(type, &data);
		break;
	case 6:
		atomic_store(&waiting[who], 1);
		r = receive(BUS1_RECV_FLAG_WAIT, &data, 2, &type);
		tell(r);
		if (!r) /* notifications have room anywhere */
			count(type, &data);
		break;
	case 7:
		atomic_store(&waiting[who], 1);
		r = receive(BUS1_RECV_FLAG_WAIT, (uint32_t *)8, 4, &type);
		tell(r);
		if (!r)
			count(type, &data);
		break;
	case 8:
		for (i = 0; i < 20; i++) {
			r = receive(0, &data, sizeof(data), &type);
			tell(r);
			if (!r)
				count(type, &data);
		}
		break;
	default:
		ts.tv_nsec = rnd(rand, 200000);
		ppoll(&p, 1, &ts, NULL);
	}
	atomic_store(&waiting[who], 0);
}

static void *visit(void *arg)
{
	unsigned int who = (uintptr_t)arg;
	uint64_t rand = who + 77;

	for (;;) {
		pthread_barrier_wait(&begin_round);
		if (atomic_load(&over))
			return NULL;
		attempt(&rand, who);
		atomic_fetch_add(&left, 1);
		pthread_barrier_wait(&end_round);
	}
}

/* It waits for edges, and never receives. */
static void *look(void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC), exclusive;

	(void)arg;
	exclusive = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(ep, EPOLL_CTL_ADD, a, &ev);
	ev.events |= EPOLLEXCLUSIVE;
	epoll_ctl(exclusive, EPOLL_CTL_ADD, a, &ev);
	while (!atomic_load(&over)) {
		epoll_wait(ep, &ev, 1, 1);
		epoll_wait(exclusive, &ev, 1, 1);
	}
	close(ep);
	close(exclusive);
	return NULL;
}

/* Send a few things, of which @n must be received. */
static unsigned int some(uint64_t *rand)
{
	static const uint32_t stay = STAY, vanishes = VANISHES;
	uint64_t to[3] = { handle, handle, handle }, n, h, ids[3];
	unsigned int k = 1 + rnd(rand, 3), i;

	switch (rnd(rand, 6)) {
	case 0:
		if (b1_multicast(b, k, to, NULL, &stay, 4, NULL, 0))
			bail_out("cannot send");
		return k;
	case 1: /* notifications, together */
		for (i = 0; i < k; i++)
			ids[i] = b1_node_to(b, a, &h);
		if (b1_release(b, k, ids))
			bail_out("cannot release");
		return k;
	case 2: /* it may be received, or vanish before */
		n = b1_node_to(a, b, &h);
		if (b1_send(b, h, &vanishes, 4))
			bail_out("cannot send");
		if (b1_drop(a, n))
			bail_out("cannot release");
		while (b1_recv(b, &(struct b1_msg){}) == 0)
			;
		return 0;
	default:
		for (i = 0; i < k; i++) {
			if (b1_send(b, handle, &stay, 4))
				bail_out("cannot send");
			spin(rnd(rand, 3000));
		}
		return k;
	}
}

/* Nobody disturbs the residents now: they must get what is there. */
static bool settles(void)
{
	uint64_t start = b1_now();

	while (atomic_load(&received) != atomic_load(&sent) || b1_readable(a)) {
		if (b1_now() - start > SLEEPER_LATE) {
			diag("sent %u, received %u, poll says %d",
			     atomic_load(&sent), atomic_load(&received),
			     b1_readable(a));
			return false;
		}
		sched_yield();
	}
	return true;
}

static void test_rounds(void)
{
	unsigned int rounds = 0, i, k;
	uint64_t rand = 4711, start = b1_now();
	pthread_t looker;
	bool good = true;

	pthread_barrier_init(&begin_round, NULL, GUESTS + 1);
	pthread_barrier_init(&end_round, NULL, GUESTS + 1);
	for (i = 0; i < RESIDENTS; i++)
		pthread_create(&resident[i], NULL, reside, NULL);
	for (i = 0; i < GUESTS; i++)
		pthread_create(&guest[i], NULL, visit, (void *)(uintptr_t)i);
	pthread_create(&looker, NULL, look, NULL);
	while (good && b1_now() - start < SECONDS * 1000 * MS) {
		atomic_store(&left, 0);
		pthread_barrier_wait(&begin_round);
		spin(rnd(&rand, 20000));
		for (k = 1 + rnd(&rand, 3); k; k--)
			atomic_fetch_add(&sent, some(&rand));
		/* Who waits for a signal gets it, soon or less soon. */
		while (atomic_load(&left) < GUESTS) {
			spin(rnd(&rand, 3000));
			i = rnd(&rand, GUESTS);
			if (atomic_load(&waiting[i]))
				pthread_kill(guest[i], SIGUSR1);
			else
				sched_yield();
		}
		pthread_barrier_wait(&end_round);
		good = settles();
		rounds++;
	}
	atomic_store(&over, true);
	pthread_barrier_wait(&begin_round);
	for (i = 0; i < GUESTS; i++)
		pthread_join(guest[i], NULL);
	pthread_join(looker, NULL);
	for (i = 0; i < RESIDENTS; i++)
		do {
			pthread_kill(resident[i], SIGUSR1);
			b1_msleep(2);
		} while (pthread_tryjoin_np(resident[i], NULL));
	ok(good, "%u rounds, %u messages: no wake-up is lost", rounds,
	   atomic_load(&sent));
	ok(!atomic_load(&odd), "no odd result (%u)", atomic_load(&odd));
	diag("guests: %u received, %u deadlines, %u signals, %u no room, %u faults, %u nothing",
	     outcome[GOT], outcome[TIMED_OUT], outcome[SIGNALLED],
	     outcome[NO_ROOM], outcome[FAULTED], outcome[NOTHING]);
	for (k = i = 0; i <= NOTHING; i++)
		k += atomic_load(&outcome[i]) > 0;
	ok(k == NOTHING + 1, "each way to leave was taken");
}

/* A process that is woken, and killed before it can receive. */
static void test_killed(void)
{
	unsigned int i, good = 0, rounds = 0;
	uint64_t rand = 815, type, start = b1_now();
	struct sleeper s;
	uint32_t data;
	pid_t pid;

	for (i = 0; i < 300 && b1_now() - start < 2000 * MS; i++, rounds++) {
		pid = fork();
		if (!pid) {
			/* without room: it can take nothing with it */
			receive(BUS1_RECV_FLAG_WAIT, &data, 0, &type);
			_exit(0);
		}
		if (!task_asleep(pid))
			bail_out("a child does not sleep");
		sleeper_wait(&s, a);
		if (i & 1)
			b1_says(b, handle, "x");
		spin(rnd(&rand, 30000));
		kill(pid, SIGKILL);
		if (!(i & 1))
			b1_says(b, handle, "x");
		good += sleeper_has(&s, "x");
		waitpid(pid, NULL, 0);
	}
	ok(good == rounds && rounds > 3,
	   "killed when woken: the next has it (%u of %u)", good, rounds);
}

int main(void)
{
	a = b1_open();
	b = b1_open();
	c = b1_open();
	node = b1_node_to(a, b, &handle);
	b1_node_to(c, a, &handle_c);
	b1_node_to(c, b, &to_c);
	test_rounds();
	test_killed();
	ok(b1_empty(a) && b1_empty(b), "nothing is left");
	close(a);
	close(b);
	close(c);
	return done_testing();
}
