/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_CHURN_CROWD_H
#define _TESTS_CHURN_CROWD_H

/*
 * DOC: the crowd
 *
 * Threads that receive on one peer at once, in every way there is, also in such
 * that must fail; of two peers, which get some of the messages both. Each message
 * has a number, and what it contains follows from that: it must come once to each
 * of its receivers, and as it was sent.
 */
#include "churn.h"

#define CROWD_SENDERS 2
#define CROWD_PEERS 2
#define CROWD_EACH 3 /* threads that receive */
#define CROWD_AHEAD 500
#define CROWD_BATCH 4
#define CROWD_MAX 40000

static struct {
	int to[CROWD_PEERS];
	int from[CROWD_SENDERS];
	uint64_t handle[CROWD_SENDERS][CROWD_PEERS];
	uint64_t own[CROWD_PEERS]; /* a handle of each to itself: CALL */
	atomic_ullong next, sent, received, wrong;
	atomic_uchar *seen[CROWD_PEERS];
	atomic_bool drain;
	bool storm; /* signals end every sleep */
} crowd;

static size_t crowd_size(uint64_t i)
{
	static const uint32_t sizes[] = { 8, 64, 904, 5000, CROWD_MAX };

	/* few are large */
	return sizes[i % 31 ? i % 4 : 4];
}

static void crowd_fill(uint64_t *data, uint64_t i)
{
	size_t n = crowd_size(i) / 8, k;

	for (k = 0; k < n; k++)
		data[k] = k ? i * 0x9e3779b97f4a7c15 + k : i;
}

static void crowd_wrong(const char *what, uint64_t i)
{
	if (crowd.wrong++ < 5)
		diag("crowd: message %llu: %s", (unsigned long long)i, what);
}

static void crowd_check(uint32_t peer, const uint64_t *data, size_t n)
{
	uint64_t i = n >= 8 ? data[0] : MAX_ID;
	size_t k;

	if (i >= MAX_ID || n != crowd_size(i)) {
		crowd_wrong("no such number, or not its size", i);
		return;
	}
	for (k = 1; k < n / 8; k++)
		if (data[k] != i * 0x9e3779b97f4a7c15 + k)
			break;
	if (k != n / 8)
		crowd_wrong("not what was sent", i);
	if (crowd.seen[peer][i]++)
		crowd_wrong("received twice", i);
	crowd.received++;
	sh->ops++;
}

static void *crowd_send(void *arg)
{
	uint32_t s = (uintptr_t)arg, first, n;
	uint64_t *data = map(CROWD_MAX), i;
	int r;

	while (!sh->stop) {
		i = crowd.next++;
		if (i >= MAX_ID)
			return NULL;
		first = i % CROWD_PEERS;
		n = i % 5 ? 1 : CROWD_PEERS;
		if (n > 1)
			first = 0;
		crowd_fill(data, i);
		r = raw_send(crowd.from[s], n, &crowd.handle[s][first], data,
			     crowd_size(i), NULL, 0);
		if (r)
			crowd_wrong(strerror(r), i);
		else
			crowd.sent += n;
		sh->ops++;
		while (crowd.sent > crowd.received + CROWD_AHEAD && !sh->stop)
			usleep(200);
	}
	return NULL;
}

/* Send one to this peer itself, and receive whichever comes. */
static int crowd_call(uint32_t peer, uint64_t deadline, uint64_t *out,
		      uint64_t *data)
{
	struct bus1_received room = raw_room(data, CROWD_MAX, NULL, 0);
	uint64_t i = crowd.next++;
	int r, why;

	if (i >= MAX_ID)
		return EAGAIN;
	crowd_fill(out, i);
	r = raw_call(crowd.to[peer], crowd.own[peer], deadline, out,
		     crowd_size(i), NULL, 0, &room, &why);
	if (r)
		return r;
	crowd.sent++;
	if (!why)
		crowd_check(peer, data, room.message.n_data);
	return why;
}

static int crowd_batch(uint32_t peer, uint64_t flags, uint64_t deadline,
		       uint64_t (*data)[CROWD_MAX / 8])
{
	struct bus1_received room[CROWD_BATCH];
	uint64_t got, i;
	int r;

	for (i = 0; i < CROWD_BATCH; i++)
		room[i] = raw_room(data[i], CROWD_MAX, NULL, 0);
	r = raw_batch(crowd.to[peer], flags, deadline, room, CROWD_BATCH, &got);
	for (i = 0; i < got; i++)
		crowd_check(peer, data[i], room[i].message.n_data);
	return r;
}

/* One or more, or a reason why not. */
static int crowd_get(uint32_t peer, uint64_t *rand,
		     uint64_t (*data)[CROWD_MAX / 8])
{
	struct pollfd p = { .fd = crowd.to[peer], .events = POLLIN };
	uint64_t flags = 0, in_20_ms = soon(rand) + 20000000;
	struct raw_msg m = { 0 };
	int r;

	switch (rnd(rand, crowd.drain ? 4 : 8)) {
	case 0:
		r = crowd_batch(peer, 0, 0, data);
		break;
	case 1:
	case 2:
		r = crowd_batch(peer, BUS1_RECV_FLAG_WAIT, in_20_ms, data);
		break;
	case 4: /* no room, or no memory there: it stays the first */
		r = raw_recv(crowd.to[peer], &m, data, 0, NULL, 0);
		return r == EMSGSIZE ? 0 : r;
	case 5:
		r = raw_recv(crowd.to[peer], &m, (void *)8, CROWD_MAX, NULL, 0);
		return r == EFAULT ? 0 : r;
	case 6:
		r = crowd_call(peer, in_20_ms, data[1], data[0]);
		break;
	case 7:
		if (crowd.storm)
			flags = BUS1_RECV_FLAG_WAIT;
		/* fall through */
	default:
		r = raw_recv_flags(crowd.to[peer], flags, &m, data[0],
				   CROWD_MAX, NULL, 0);
		if (!r)
			crowd_check(peer, data[0], m.n_data);
	}
	if (r == EAGAIN)
		poll(&p, 1, 20);
	return r;
}

static void *crowd_receive(void *arg)
{
	/* shared, or each fork() would have it copied */
	uint64_t (*data)[CROWD_MAX / 8] = map(CROWD_BATCH * CROWD_MAX);
	uint64_t rand = (uintptr_t)arg;
	uint32_t n = (uintptr_t)arg;
	bool drain;
	int r;

	sh->tid[n] = gettid();
	for (;;) {
		drain = crowd.drain;
		r = crowd_get(n % CROWD_PEERS, &rand, data);
		if (r == EAGAIN && drain)
			break;
		if (r && r != EAGAIN && r != ETIMEDOUT && r != EINTR)
			crowd_wrong(strerror(r), 0);
	}
	sh->tid[n] = 0;
	return NULL;
}

static void crowd_start(bool storm)
{
	uint32_t p, s;
	uint64_t node;
	int r = 0;

	crowd.storm = storm;
	for (s = 0; s < CROWD_SENDERS; s++)
		crowd.from[s] = open_as(s ? 2000 + s : 0);
	for (p = 0; p < CROWD_PEERS; p++) {
		crowd.to[p] = raw_open();
		crowd.seen[p] = map(MAX_ID);
		r |= raw_node(crowd.to[p], crowd.to[p], &node, &crowd.own[p]);
		for (s = 0; s < CROWD_SENDERS; s++) {
			r |= raw_copy(crowd.to[p], crowd.own[p], crowd.from[s],
				      &crowd.handle[s][p]);
		}
	}
	if (r)
		bail_out("cannot make a node: %s", strerror(r));
}

static void crowd_judge(void)
{
	uint32_t i;

	ok(!crowd.wrong && crowd.sent && crowd.sent == crowd.received,
	   "churn: crowd: %llu sent, %llu received, %llu things wrong",
	   (unsigned long long)crowd.sent, (unsigned long long)crowd.received,
	   (unsigned long long)crowd.wrong);
	for (i = 0; i < CROWD_SENDERS; i++)
		close(crowd.from[i]);
	for (i = 0; i < CROWD_PEERS; i++)
		close(crowd.to[i]);
}

#endif /* _TESTS_CHURN_CROWD_H */
