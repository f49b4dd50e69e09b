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

#define SHARED 64 /* shared peers at most */
#define POOL 8
#define ACTORS 192
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

/*
 * A handle in slot @s, if possible to one of the peers in @mask. Rarely it is
 * one that another actor may be releasing at this moment.
 */
static uint64_t pick(struct actor *a, uint32_t s, uint64_t mask, uint64_t *hit)
{
	struct actor *other = &sh->actor[rnd(a, n_receivers() + n_senders)];
	uint32_t q = rnd(a, n_shared), i;

	if (s < n_shared && chance(a, 6)) {
		i = __atomic_load_n(&other->n_pool[s], __ATOMIC_RELAXED);
		if (i)
			return other->pool[s][i - 1];
	}
	if (a->n_pool[s] && chance(a, mask ? 15 : 45))
		return a->pool[s][rnd(a, a->n_pool[s])];
	for (i = 0; mask && i < n_shared && !(mask & (1ull << q)); i++)
		q = (q + 1) % n_shared;
	*hit |= 1ull << q;
	return s < n_shared ? sh->root[s][q] : a->root[q];
}

/* @bait: a handle to use, to send to or to send along; or 0 */
static void do_send(struct actor *a, uint32_t s, uint32_t n_dst,
		    uint32_t n_xfer, uint64_t mask, uint64_t bait)
{
	static const uint16_t sizes[] = { 24, 24, 24, 24, 25, 200, 1000, ROOM };
	struct o_tx *x = begin(a, O_SEND, s);
	struct payload *pay;
	unsigned char room[ROOM];
	uint64_t old[O_DST + O_XFER], hit = 0;
	uint32_t i, n_old = 0;

	if (!x)
		return;
	for (i = 0; i < n_dst; i++)
		old[n_old++] = x->dst[i] = pick(a, s, mask, &hit);
	if (bait && !n_xfer)
		x->dst[n_dst - 1] = bait;
	for (i = 0; i < n_xfer; i++) {
		if (bait && !i) {
			x->xfer[i].id = bait;
		} else if (chance(a, 40)) {
			x->xfer[i].flags = BUS1_TRANSFER_FLAG_CREATE;
			x->xfer[i].id = BUS1_INVALID;
			x->create |= 1u << i;
		} else {
			uint64_t none = 0;

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
	if (n_dst > 1)
		__atomic_store_n(&sh->flock, x - w->tx, __ATOMIC_SEQ_CST);
	if (bait)
		__atomic_store_n(&sh->bitten, bait, __ATOMIC_SEQ_CST);
	x->b = o_g(w);
	if (!end(a, x, raw_send(slot_fd(a, s), n_dst, x->dst, pay,
				sizes[rnd(a, 8)], x->xfer, n_xfer))) {
		for (i = 0; i < n_xfer; i++)
			if (x->create & (1u << i))
				keep_node(a, s, x->xfer[i].id);
		return;
	}
	/* it was the bait */
	if (bait)
		return;
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
	uint64_t hit = 0, id = create ? BUS1_INVALID : pick(a, s, 0, &hit);
	uint64_t node, handle;
	uint32_t to = any_slot(a);

	if (do_transfer(a, s, to, id, &node, &handle))
		return;
	keep(a, to, handle);
	if (create)
		keep_node(a, s, node);
}

static uint32_t many(struct actor *a)
{
	return 2 + rnd(a, O_DST - 1);
}

/* Multicast, and at once try to reach one of the receivers before it. */
static void overtake(struct actor *a, uint32_t s, uint64_t mask)
{
	do_send(a, s, many(a), 0, mask, 0);
	if (w->tx[a->cur].kind == O_SEND && w->tx[a->cur].mask)
		do_send(a, s, 1, 0, w->tx[a->cur].mask, 0);
}

/* A node with one handle, which goes while the others are asked to use it. */
static void tempt(struct actor *a)
{
	uint32_t from = rnd(a, n_shared), s = rnd(a, n_shared), i;
	uint64_t node, handle;

	if (do_transfer(a, from, s, BUS1_INVALID, &node, &handle))
		return;
	__atomic_store_n(&sh->bait, handle << 8 | s, __ATOMIC_SEQ_CST);
	for (i = 0; i < 400; i++) {
		if (__atomic_load_n(&sh->bitten, __ATOMIC_SEQ_CST) == handle)
			break;
		if (i % 50 == 49)
			sched_yield();
	}
	for (i = rnd(a, 500); i; i--)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	do_release(a, s, &handle, 1);
}

/* One or a few calls from slot @s, at peers in @mask if that is not 0. */
static void act(struct actor *a, uint32_t s, uint64_t mask)
{
	uint32_t dice = rnd(a, 100);

	if (mask)
		dice %= 75;
	if (dice < 35)
		do_send(a, s, 1, 0, mask, 0);
	else if (dice < 46)
		do_send(a, s, many(a), 0, mask, 0);
	else if (dice < 58)
		overtake(a, s, mask);
	else if (dice < 75)
		do_send(a, s, 1 + rnd(a, 3), 1 + rnd(a, O_XFER), mask, 0);
	else if (dice < 81)
		act_release(a, s, false);
	else if (dice < 88)
		act_release(a, s, true);
	else if (dice < 93)
		tempt(a);
	else
		act_transfer(a, s, dice >= 97);
}

/* What another one puts at @at next, or what is there after a while. */
static void await(const uint64_t *at, uint64_t *now)
{
	uint64_t was = __atomic_load_n(at, __ATOMIC_RELAXED);
	uint32_t i;

	for (*now = was, i = 0; *now == was && i < 400; i++) {
		if (i % 100 == 99)
			sched_yield();
		*now = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	}
}

/*
 * Wait for a sign of what others do, and do something about it: use a handle
 * that is being released, multicast together with one that begins, send to
 * whom a call went that returned.
 */
static void follow(struct actor *a, uint32_t s)
{
	uint32_t dice = rnd(a, 100), tx;
	uint64_t now;

	if (dice < 20) {
		await(&sh->bait, &now);
		if (now != a->bait)
			do_send(a, now & 0xff, 1 + rnd(a, 3), !rnd(a, 4), 0,
				now >> 8);
		a->bait = now;
		return;
	}
	if (dice < 45) {
		await(&sh->flock, &now);
		do_send(a, s, many(a), 0, w->tx[now].mask, 0);
		return;
	}
	if (dice < 75) {
		await(&sh->last, &now);
		tx = now;
	} else if (read(side[0], &tx, sizeof(tx)) != sizeof(tx)) {
		return;
	}
	if (tx < w->max_tx && w->tx[tx].kind == O_SEND)
		act(a, s, w->tx[tx].mask);
}

/* Only when nobody else wants to run: others meet what it has begun. */
static void stall(struct actor *a, uint32_t s)
{
	static const struct sched_param prio;

	sched_setscheduler(0, SCHED_IDLE, &prio);
	do_send(a, s, many(a), 0, 0, 0);
	sched_setscheduler(0, SCHED_OTHER, &prio);
}

static void *sender(void *arg)
{
	struct actor *a = arg;

	while (!flag(&sh->stop)) {
		uint32_t s = rnd(a, n_shared);

		if (chance(a, 40))
			follow(a, s);
		else if (chance(a, 5))
			stall(a, s);
		else
			act(a, s, 0);
		if (chance(a, 2))
			usleep(rnd(a, 300));
		else if (chance(a, 5))
			sched_yield();
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

/* One RECV on slot @s; false if there was nothing. */
static bool receive(struct actor *a, uint32_t s, bool react)
{
	struct o_peer *p = &w->peer[slot_peer(a, s)];
	struct bus1_transfer t[O_XFER];
	unsigned char room[ROOM];
	struct payload *pay = (struct payload *)room;
	struct raw_msg m = { 0 };
	struct o_rx *r;
	uint64_t from, to;
	uint32_t i, by;
	int e;

	take_turn(s, true);
	r = &p->rx[p->n_rx];
	from = o_g(w);
	e = raw_recv(slot_fd(a, s), &m, room, sizeof(room), t, O_XFER);
	to = o_g(w);
	if (e) {
		if (e != EAGAIN) {
			printf("# RECV failed: %s\n", strerror(e));
			__atomic_fetch_add(&sh->odd, 1, __ATOMIC_SEQ_CST);
		}
		saw_nothing(p, from, to);
		take_turn(s, false);
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
	by = r->tx;
	__atomic_store_n(&p->n_rx, p->n_rx + 1, __ATOMIC_SEQ_CST);
	take_turn(s, false);
	if (react && by < w->max_tx && !flag(&sh->stop) && chance(a, 30))
		act(a, s, w->tx[by].mask & ~(1ull << s));
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

/* Slept since @start for as long as it may take, and @p is readable? */
static bool slept_through(struct pollfd *p, uint64_t start)
{
	return now_ms() - start >= WAKE_MS && poll(p, 1, 0) == 1;
}

/* Sleep until the peer is readable; odd peers by edge-triggered epoll. */
static void wait_for(struct actor *a, uint32_t s, int ep)
{
	struct pollfd p[2] = { { .fd = sh->fd[s], .events = POLLIN },
			       { .fd = wake_fd, .events = POLLIN } };
	uint64_t from, start;
	struct epoll_event ev;

	if (chance(a, 30)) {
		take_turn(s, true);
		from = o_g(w);
		if (!poll(p, 1, 0))
			saw_nothing(&w->peer[s], from, o_g(w));
		take_turn(s, false);
		sched_yield();
		return;
	}
	start = now_ms();
	if (ep >= 0)
		epoll_wait(ep, &ev, 1, WAKE_MS);
	else
		poll(p, 2, WAKE_MS);
	if (slept_through(p, start))
		__atomic_fetch_add(&sh->missed, 1, __ATOMIC_SEQ_CST);
}

static void *receiver(void *arg)
{
	struct actor *a = arg;
	uint32_t s = (a - sh->actor) % n_shared;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	bool quiet = false, drain, stop;
	int ep = -1;

	if ((a - sh->actor) & 1) {
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
