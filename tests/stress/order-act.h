/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_ORDER_ACT_H
#define _TESTS_ORDER_ACT_H

/*
 * DOC: what the threads and processes of the order stress do, and note down
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

#define SHARED 8 /* shared peers at most */
#define POOL 8
#define ACTORS 64
#define ROOM 4096
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
	uint32_t last; /* the call that returned last */
	uint32_t quiet; /* receivers that will not react any more */
	uint64_t missed, odd, readable;
	bool stop, drain;
} *sh;

static struct o_world *w;
static uint64_t round_no;
static unsigned int n_shared = 4, n_senders = 3;
static bool opt_kill, opt_reopen;
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

/*
 * A handle in slot @s, if possible to one of the peers in @mask. Rarely it is
 * one that another actor may be releasing at this moment.
 */
static uint64_t pick(struct actor *a, uint32_t s, uint32_t mask, uint32_t *hit)
{
	struct actor *other = &sh->actor[rnd(a, n_shared + n_senders)];
	uint32_t q = rnd(a, n_shared), i;

	if (s < n_shared && chance(a, 6)) {
		i = __atomic_load_n(&other->n_pool[s], __ATOMIC_RELAXED);
		if (i)
			return other->pool[s][i - 1];
	}
	if (a->n_pool[s] && chance(a, mask ? 15 : 45))
		return a->pool[s][rnd(a, a->n_pool[s])];
	for (i = 0; mask && i < n_shared && !(mask & (1u << q)); i++)
		q = (q + 1) % n_shared;
	*hit |= 1u << q;
	return s < n_shared ? sh->root[s][q] : a->root[q];
}

static void do_send(struct actor *a, uint32_t s, uint32_t n_dst,
		    uint32_t n_xfer, uint32_t mask)
{
	static const uint16_t sizes[] = { 24, 24, 24, 24, 25, 200, 1000, ROOM };
	struct o_tx *x = begin(a, O_SEND, s);
	struct payload *pay;
	unsigned char room[ROOM];
	uint64_t old[O_DST + O_XFER];
	uint32_t i, hit = 0, n_old = 0;

	if (!x)
		return;
	for (i = 0; i < n_dst; i++)
		old[n_old++] = x->dst[i] = pick(a, s, mask, &hit);
	for (i = 0; i < n_xfer; i++) {
		if (chance(a, 40)) {
			x->xfer[i].flags = BUS1_TRANSFER_FLAG_CREATE;
			x->xfer[i].id = BUS1_INVALID;
			x->create |= 1u << i;
		} else {
			uint32_t none = 0;

			old[n_old++] = x->xfer[i].id = pick(a, s, 0, &none);
		}
	}
	x->n_xfer = n_xfer;
	x->mask = hit;
	x->n_dst = n_dst;
	pay = (struct payload *)room;
	pay->round = round_no;
	pay->tx = x - w->tx;
	pay->check = ~(pay->round ^ pay->tx);
	x->b = o_g(w);
	if (!end(a, x, raw_send(slot_fd(a, s), n_dst, x->dst, pay,
				sizes[rnd(a, 8)], x->xfer, n_xfer))) {
		for (i = 0; i < n_xfer; i++)
			if (x->create & (1u << i))
				keep_node(a, s, x->xfer[i].id);
		return;
	}
	/* One of these is dead; of the living ones, one less is no harm. */
	for (i = 0; i < n_old; i++) {
		uint32_t had = a->n_pool[s];

		forget(a, s, old[i]);
		if (a->n_pool[s] < had)
			do_release(a, s, &old[i], 1);
	}
}

static void act_release(struct actor *a, uint32_t s, bool node)
{
	uint64_t ids[4];
	uint32_t n = 0, k;

	for (k = rnd(a, 3) + !node; k && a->n_pool[s]; k--)
		ids[n++] = take(a, s, rnd(a, a->n_pool[s]));
	for (k = a->n_own; node && k--;)
		if (a->own[k].slot == s) {
			ids[n++] = a->own[k].id;
			a->own[k] = a->own[--a->n_own];
			break;
		}
	if (n && do_release(a, s, ids, n) == EBADRQC && n > 1)
		while (n--)
			do_release(a, s, &ids[n], 1);
}

static void act_transfer(struct actor *a, uint32_t s, bool create)
{
	uint32_t to = any_slot(a), hit = 0;
	uint64_t id = create ? BUS1_INVALID : pick(a, s, 0, &hit);
	uint64_t node, handle;

	if (do_transfer(a, s, to, id, &node, &handle))
		return;
	keep(a, to, handle);
	if (create)
		keep_node(a, s, node);
}

/* Multicast, and at once try to reach one of the receivers before it. */
static void overtake(struct actor *a, uint32_t s, uint32_t mask)
{
	do_send(a, s, 2 + rnd(a, O_DST - 1), 0, mask);
	if (w->tx[a->cur].kind == O_SEND && w->tx[a->cur].mask)
		do_send(a, s, 1, 0, w->tx[a->cur].mask);
}

/* One or a few calls from slot @s, at peers in @mask if that is not 0. */
static void act(struct actor *a, uint32_t s, uint32_t mask)
{
	uint32_t dice = rnd(a, 100);

	if (mask)
		dice %= 75;
	if (dice < 35)
		do_send(a, s, 1, 0, mask);
	else if (dice < 46)
		do_send(a, s, 2 + rnd(a, O_DST - 1), 0, mask);
	else if (dice < 58)
		overtake(a, s, mask);
	else if (dice < 75)
		do_send(a, s, 1 + rnd(a, 3), 1 + rnd(a, O_XFER), mask);
	else if (dice < 84)
		act_release(a, s, false);
	else if (dice < 90)
		act_release(a, s, true);
	else
		act_transfer(a, s, dice >= 95);
}

/* Wait for a sign that a call returned, then send to whom it went. */
static void follow(struct actor *a, uint32_t s)
{
	uint32_t tx, was = __atomic_load_n(&sh->last, __ATOMIC_RELAXED), i;

	if (chance(a, 40)) {
		if (read(side[0], &tx, sizeof(tx)) != sizeof(tx))
			return;
	} else {
		for (i = 0; i < 3000; i++) {
			tx = __atomic_load_n(&sh->last, __ATOMIC_ACQUIRE);
			if (tx != was)
				break;
		}
		if (i == 3000)
			return;
	}
	if (tx < w->max_tx && w->tx[tx].kind == O_SEND)
		act(a, s, w->tx[tx].mask);
}

static void *sender(void *arg)
{
	struct actor *a = arg;

	while (!flag(&sh->stop)) {
		uint32_t s = rnd(a, n_shared);

		if (chance(a, 40))
			follow(a, s);
		else
			act(a, s, 0);
		if (chance(a, 2))
			usleep(rnd(a, 300));
	}
	return NULL;
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

/* One RECV on slot @s; false if there was nothing. */
static bool receive(struct actor *a, uint32_t s, bool react)
{
	struct o_peer *p = &w->peer[slot_peer(a, s)];
	struct bus1_transfer t[O_XFER];
	unsigned char room[ROOM];
	struct payload *pay = (struct payload *)room;
	struct raw_msg m = { 0 };
	struct o_rx *r = &p->rx[p->n_rx];
	uint64_t from = o_g(w), to;
	uint32_t i;
	int e = raw_recv(slot_fd(a, s), &m, room, sizeof(room), t, O_XFER);

	to = o_g(w);
	if (e) {
		if (e != EAGAIN) {
			printf("# RECV failed: %s\n", strerror(e));
			__atomic_fetch_add(&sh->odd, 1, __ATOMIC_SEQ_CST);
		}
		saw_nothing(p, from, to);
		return false;
	}
	if (p->n_rx >= p->max_rx)
		bail_out("the log of a peer is full");
	r->s = from;
	r->t = to;
	r->type = m.type;
	r->id = m.id;
	r->n = 0;
	r->tx = O_NONE;
	if (m.type == BUS1_MESSAGE_TYPE_USER && m.n_data >= 24 &&
	    pay->round == round_no && pay->check == ~(pay->round ^ pay->tx))
		r->tx = pay->tx;
	for (i = 0; i < m.n_t && i < O_XFER; i++)
		r->h[r->n++] = t[i].id;
	__atomic_store_n(&p->n_rx, p->n_rx + 1, __ATOMIC_SEQ_CST);
	if (react && r->tx < w->max_tx && !flag(&sh->stop) && chance(a, 30))
		act(a, s, w->tx[r->tx].mask & ~(1u << s));
	if (m.type == BUS1_MESSAGE_TYPE_NODE_RELEASE)
		forget(a, s, m.id);
	for (i = 0; i < m.n_t && i < O_XFER; i++)
		keep(a, s, t[i].id);
	return true;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* Sleep until the peer is readable; odd peers by edge-triggered epoll. */
static void wait_for(struct actor *a, uint32_t s, int ep)
{
	struct pollfd p[2] = { { .fd = sh->fd[s], .events = POLLIN },
			       { .fd = wake_fd, .events = POLLIN } };
	uint64_t from, start;
	struct epoll_event ev;

	if (chance(a, 30)) {
		from = o_g(w);
		if (!poll(p, 1, 0))
			saw_nothing(&w->peer[s], from, o_g(w));
		sched_yield();
		return;
	}
	start = now_ms();
	if (ep >= 0)
		epoll_wait(ep, &ev, 1, WAKE_MS);
	else
		poll(p, 2, WAKE_MS);
	if (now_ms() - start >= WAKE_MS && poll(p, 1, 0) == 1)
		__atomic_fetch_add(&sh->missed, 1, __ATOMIC_SEQ_CST);
}

static void *receiver(void *arg)
{
	struct actor *a = arg;
	uint32_t s = a - sh->actor;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	bool quiet = false, drain, stop;
	int ep = -1;

	if (s & 1) {
		ep = epoll_create1(EPOLL_CLOEXEC);
		if (epoll_ctl(ep, EPOLL_CTL_ADD, sh->fd[s], &ev))
			bail_out("cannot watch a peer: %s", strerror(errno));
		ev.events = EPOLLIN;
		epoll_ctl(ep, EPOLL_CTL_ADD, wake_fd, &ev);
	}
	for (;;) {
		drain = flag(&sh->drain);
		stop = flag(&sh->stop);
		if (receive(a, s, true))
			continue;
		if (drain)
			break;
		if (stop && !quiet)
			__atomic_fetch_add(&sh->quiet, 1, __ATOMIC_SEQ_CST);
		quiet |= stop;
		if (quiet)
			usleep(500);
		else
			wait_for(a, s, ep);
	}
	if (ep >= 0)
		close(ep);
	return NULL;
}

static void vol_lock(struct actor *a, bool lock)
{
	if (a->child)
		return;
	if (lock)
		pthread_mutex_lock(&fork_lock);
	else
		pthread_mutex_unlock(&fork_lock);
}

static bool be_born(struct actor *a)
{
	uint32_t i = __atomic_fetch_add(&w->n_peer, 1, __ATOMIC_SEQ_CST), q;
	uint64_t none;

	if (i >= O_PEERS)
		return false;
	vol_lock(a, true);
	a->fd = raw_open();
	sh->vol[a - sh->actor] = a->child ? -1 : a->fd;
	vol_lock(a, false);
	if (a->fd < 0)
		return false;
	a->n_pool[n_shared] = 0;
	__atomic_store_n(&a->peer, i, __ATOMIC_SEQ_CST);
	for (q = 0; q < n_shared; q++)
		if (do_transfer(a, q, n_shared, sh->root[q][q], &none,
				&a->root[q]))
			return false;
	return true;
}

static void die(struct actor *a)
{
	struct o_tx *x = begin(a, O_CLOSE, n_shared);
	uint32_t k;

	w->peer[a->peer].close = x - w->tx;
	vol_lock(a, true);
	sh->vol[a - sh->actor] = -1;
	x->b = o_g(w);
	close(a->fd);
	vol_lock(a, false);
	end(a, x, 0);
	a->peer = O_NONE;
	a->fd = -1;
	for (k = a->n_own; k--;)
		if (a->own[k].slot == n_shared)
			a->own[k] = a->own[--a->n_own];
}

static void *mayfly(void *arg)
{
	struct actor *a = arg;
	uint32_t k;

	while (!flag(&sh->stop)) {
		if (!be_born(a))
			break;
		for (k = rnd(a, 120); k && !flag(&sh->stop); k--) {
			if (chance(a, 40))
				receive(a, n_shared, true);
			else
				act(a, chance(a, 80) ? n_shared : any_slot(a),
				    0);
		}
		die(a);
	}
	if (a->peer != O_NONE)
		die(a);
	return NULL;
}

#endif /* _TESTS_ORDER_ACT_H */
