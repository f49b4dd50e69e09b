/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_ORDER_CALLS_H
#define _TESTS_ORDER_CALLS_H

/*
 * DOC: the threads and processes of the order stress, and their notes
 *
 * What order-act.h lets them do goes through here: each call and each receipt
 * is noted down for the oracle.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "../uapi/tap.h"
#include "b1-raw.h"
#include "oracle.h"

#define SHARED 64 /* shared peers at most */
#define POOL 8
#define ACTORS 192
#define ROOM 4096
#define BATCH 4
#define WAKE_MS 8000
#define HANG_MS 60000
#define SPARE 512

/*
 * One thread or process. Its handles are its own, so that two actors never
 * need a lock to agree on who releases what. Slot s of a pool is shared peer
 * s, the last slot the peer that only this actor has.
 */
struct actor {
	uint64_t rand;
	uint32_t cur; /* its latest call */
	uint64_t bait; /* what it took last */
	bool child, ready; /* a process; it let go of others' peers */
	pid_t pid;
	int fd;
	uint32_t peer; /* index of its own peer, or O_NONE */
	uint64_t root[SHARED];
	uint64_t pool[SHARED + 1][POOL];
	uint8_t n_pool[SHARED + 1];
	struct {
		uint64_t id;
		uint32_t slot;
	} own[POOL]; /* nodes */
	uint8_t n_own;
};

struct payload {
	uint64_t round, tx, check;
	unsigned char pad[ROOM - 24];
};

static struct shared {
	struct actor actor[ACTORS];
	int fd[SHARED];
	uint64_t root[SHARED][SHARED]; /* [p][q]: in p, to the node of q */
	int vol[ACTORS]; /* short-lived peers of this process */
	pthread_mutex_t turn[SHARED]; /* RECV, where several threads receive */
	uint64_t last; /* the call that returned last */
	uint64_t flock; /* the multicast that began last */
	uint64_t bait; /* a handle that is being released, and its slot */
	uint64_t bitten; /* the one that was used last */
	uint32_t quiet; /* receivers that will not react any more */
	uint64_t missed, odd, readable;
	bool stop, drain;
} *sh;

static struct o_world *w;
static uint64_t round_no;
/* shared peers, threads that receive from each, threads that send */
static unsigned int n_shared = 4, n_each = 1, n_senders = 3;
static bool opt_kill, opt_reopen, opt_wait;
static int wake_fd, side[2];
/* Held to open or close a short-lived peer, and to fork. */
static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;

static bool flag(const bool *f)
{
	return __atomic_load_n(f, __ATOMIC_ACQUIRE);
}

static void raise_flag(bool *f)
{
	__atomic_store_n(f, true, __ATOMIC_SEQ_CST);
}

static uint32_t rnd(struct actor *a, uint32_t n)
{
	return (raw_rand(&a->rand) >> 32) % n;
}

static bool chance(struct actor *a, uint32_t percent)
{
	return rnd(a, 100) < percent;
}

static int slot_fd(const struct actor *a, uint32_t s)
{
	return s < n_shared ? sh->fd[s] : a->fd;
}

static uint32_t slot_peer(const struct actor *a, uint32_t s)
{
	return s < n_shared ? s : a->peer;
}

/* Threads that receive from shared peers: the first actors. */
static uint32_t n_receivers(void)
{
	return n_shared * n_each;
}

/* A random slot. */
static uint32_t any_slot(struct actor *a)
{
	return rnd(a, n_shared + (a->peer != O_NONE));
}

static struct o_tx *begin(struct actor *a, uint8_t kind, uint32_t s)
{
	struct o_tx *x;
	uint32_t i;

	/* a close happens in any case: the last records are for closes */
	if (kind != O_CLOSE && __atomic_load_n(&w->n_tx, __ATOMIC_RELAXED) >=
	    w->max_tx - SPARE) {
		raise_flag(&sh->stop);
		return NULL;
	}
	i = __atomic_fetch_add(&w->n_tx, 1, __ATOMIC_SEQ_CST);
	if (i >= w->max_tx)
		bail_out("the log of calls is full");
	x = &w->tx[i];
	x->end = O_NEVER;
	/* a record that its killed writer left has not returned */
	__atomic_store_n(&x->e, O_NEVER, __ATOMIC_SEQ_CST);
	x->kind = kind;
	x->peer = slot_peer(a, s);
	a->cur = i;
	return x;
}

static int end(struct actor *a, struct o_tx *x, int r)
{
	uint32_t i = x - w->tx;
	uint64_t e;

	__atomic_store_n(&x->err, r, __ATOMIC_SEQ_CST);
	e = o_g(w);
	x->end = e;
	__atomic_store_n(&x->e, e, __ATOMIC_SEQ_CST);
	/* the side channels */
	__atomic_store_n(&sh->last, i, __ATOMIC_SEQ_CST);
	if (chance(a, 12) && write(side[1], &i, sizeof(i)) < 0 &&
	    errno != EAGAIN)
		sh->odd++;
	if (r && r != EBADRQC && r != EDQUOT && r != ENOMEM) {
		printf("# T%u failed: %s\n", i, strerror(r));
		__atomic_fetch_add(&sh->odd, 1, __ATOMIC_SEQ_CST);
	}
	return r;
}

static int do_release(struct actor *a, uint32_t s, const uint64_t *ids,
		      uint32_t n)
{
	struct o_tx *x = begin(a, O_RELEASE, s);

	if (!x)
		return ECANCELED;
	memcpy(x->dst, ids, n * sizeof(*ids));
	x->n_dst = n;
	x->b = o_g(w);
	return end(a, x, raw_release(slot_fd(a, s), n, x->dst));
}

/* Copy handle @id, or with BUS1_INVALID create a node, into slot @to. */
static int do_transfer(struct actor *a, uint32_t s, uint32_t to, uint64_t id,
		       uint64_t *node, uint64_t *handle)
{
	struct o_tx *x = begin(a, O_TRANSFER, s);
	int r;

	if (!x)
		return ECANCELED;
	x->to = slot_peer(a, to);
	x->out[0].id = BUS1_INVALID;
	x->xfer[0].id = id;
	x->xfer[0].flags = id == BUS1_INVALID ? BUS1_TRANSFER_FLAG_CREATE : 0;
	x->create = id == BUS1_INVALID;
	x->n_xfer = 1;
	x->b = o_g(w);
	r = raw_transfer(slot_fd(a, s),
			 s == to ? BUS1_INVALID : (uint64_t)slot_fd(a, to), 1,
			 x->xfer, x->out);
	*node = x->xfer[0].id;
	*handle = x->out[0].id;
	return end(a, x, r);
}

/* Take handle @i out of the pool. */
static uint64_t take(struct actor *a, uint32_t s, uint32_t i)
{
	uint64_t id = a->pool[s][i];

	a->pool[s][i] = a->pool[s][--a->n_pool[s]];
	return id;
}

static void forget(struct actor *a, uint32_t s, uint64_t id)
{
	uint32_t i;

	for (i = 0; i < a->n_pool[s]; i++)
		if (a->pool[s][i] == id) {
			take(a, s, i);
			return;
		}
}

static void keep(struct actor *a, uint32_t s, uint64_t id)
{
	uint64_t old;

	if (a->n_pool[s] == POOL && !flag(&sh->stop)) {
		old = take(a, s, rnd(a, POOL));
		do_release(a, s, &old, 1);
	}
	if (a->n_pool[s] < POOL)
		a->pool[s][a->n_pool[s]++] = id;
}

static void keep_node(struct actor *a, uint32_t s, uint64_t id)
{
	uint32_t i = a->n_own < POOL ? a->n_own++ : rnd(a, POOL);

	a->own[i].id = id;
	a->own[i].slot = s;
}

static void saw_nothing(struct o_peer *p, uint64_t s, uint64_t t)
{
	uint32_t n = p->n_rx;

	/* of attempts in a row the last one says most */
	if (n && p->rx[n - 1].type == O_EMPTY)
		n--;
	else if (n >= p->max_rx)
		return;
	p->rx[n].type = O_EMPTY;
	p->rx[n].tx = O_NONE;
	p->rx[n].s = s;
	p->rx[n].t = t;
	/* last, for its writer may be killed */
	__atomic_store_n(&p->n_rx, n + 1, __ATOMIC_SEQ_CST);
}

/* Threads receive from a peer in turns: else nobody could say in what order. */
static void take_turn(uint32_t s, bool take)
{
	if (s >= n_shared || n_each == 1)
		return;
	if (take)
		pthread_mutex_lock(&sh->turn[s]);
	else
		pthread_mutex_unlock(&sh->turn[s]);
}

/* One thing that was received, and the room for it */
struct receipt {
	struct raw_msg m;
	struct bus1_transfer t[O_XFER];
	unsigned char room[ROOM];
};

static struct bus1_received receipt_room(struct receipt *got)
{
	return raw_room(got->room, sizeof(got->room), got->t, O_XFER);
}

/*
 * Note it down, as received between @from and @to; the caller has the turn.
 * Returns the call it was sent by, as far as it says.
 */
static uint32_t note_receipt(struct o_peer *p, const struct receipt *got,
			     uint64_t from, uint64_t to)
{
	const struct payload *pay = (const struct payload *)got->room;
	struct o_rx *r = &p->rx[p->n_rx];
	uint32_t i;

	if (p->n_rx >= p->max_rx)
		bail_out("the log of a peer is full");
	r->s = from;
	r->t = to;
	r->type = got->m.type;
	r->id = got->m.id;
	r->n = 0;
	r->tx = O_NONE;
	if (got->m.type == BUS1_MESSAGE_TYPE_USER && got->m.n_data >= 24 &&
	    pay->round == round_no && pay->check == ~(pay->round ^ pay->tx))
		r->tx = pay->tx;
	for (i = 0; i < got->m.n_t && i < O_XFER; i++)
		r->h[r->n++] = got->t[i].id;
	i = r->tx;
	__atomic_store_n(&p->n_rx, p->n_rx + 1, __ATOMIC_SEQ_CST);
	return i;
}

/* Nothing was received, for this reason. */
static void note_nothing(struct o_peer *p, int why, uint64_t from, uint64_t to)
{
	if (why != EAGAIN &&
	    !(opt_wait && (why == ETIMEDOUT || why == EINTR))) {
		printf("# RECV failed: %s\n", strerror(why));
		__atomic_fetch_add(&sh->odd, 1, __ATOMIC_SEQ_CST);
	}
	saw_nothing(p, from, to);
}

/* The actor's handles come and go with it. */
static void after_receipt(struct actor *a, uint32_t s,
			  const struct receipt *got)
{
	uint32_t i;

	if (got->m.type == BUS1_MESSAGE_TYPE_NODE_RELEASE)
		forget(a, s, got->m.id);
	for (i = 0; i < got->m.n_t && i < O_XFER; i++)
		keep(a, s, got->t[i].id);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint64_t now_ms(void)
{
	return now_ns() / 1000000;
}

/*
 * When to wait no longer. Only who alone receives from a peer of which it knows
 * that messages will come can wait for long: the others have their turns, too.
 */
static uint64_t some_deadline(struct actor *a, uint32_t s)
{
	uint32_t dice = rnd(a, 100);

	if (dice < 30)
		return 0;
	if (dice < 60 || s >= n_shared || n_each > 1)
		return now_ns() + rnd(a, 500000);
	return now_ns() + WAKE_MS * 1000000ull;
}

/* Does the actor receive from slot @s? */
static bool receives(const struct actor *a, uint32_t s)
{
	uint32_t i = a - sh->actor;

	return s >= n_shared || (i < n_receivers() && i % n_shared == s);
}

/* Send by CALL, and note down what it receives. */
static int do_call(struct actor *a, struct o_tx *x, uint32_t s,
		   const void *data, size_t size)
{
	struct o_peer *p = &w->peer[slot_peer(a, s)];
	uint64_t deadline = some_deadline(a, s), to;
	struct bus1_received room;
	struct receipt got;
	int r, why;

	room = receipt_room(&got);
	take_turn(s, true);
	x->b = o_g(w);
	r = raw_call(slot_fd(a, s), x->dst[0], deadline, data, size, x->xfer,
		     x->n_xfer, &room, &why);
	to = o_g(w);
	raw_got(&got.m, &room.metadata, &room.message);
	if (!r && why)
		note_nothing(p, why, x->b, to);
	else if (!r)
		note_receipt(p, &got, x->b, to);
	take_turn(s, false);
	r = end(a, x, r);
	if (!r && !why)
		after_receipt(a, s, &got);
	return r;
}

#endif /* _TESTS_ORDER_CALLS_H */
