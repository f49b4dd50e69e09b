/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_ORDER_ACT_H
#define _TESTS_ORDER_ACT_H

/*
 * DOC: what the threads and processes of the order stress do
 */
#include "order-calls.h"

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
	uint32_t i, n_old = 0, size;
	int r;

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
	size = sizes[rnd(a, 8)];
	if (opt_wait && n_dst == 1 && receives(a, s) && chance(a, 50)) {
		r = do_call(a, x, s, pay, size);
	} else {
		x->b = o_g(w);
		r = end(a, x, raw_send(slot_fd(a, s), n_dst, x->dst, pay, size,
				       x->xfer, n_xfer));
	}
	if (!r) {
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

/* Up to @n things, and perhaps sleep until there is one. 0 or errno. */
static int get(struct actor *a, uint32_t s, struct receipt *got, uint64_t *n)
{
	struct bus1_received room[BATCH];
	uint64_t i, deadline;
	int r;

	/* For ever only where a signal comes in the end. */
	if (s < n_shared && n_each == 1 && chance(a, 40)) {
		*n = 1;
		return raw_recv_flags(slot_fd(a, s), BUS1_RECV_FLAG_WAIT,
				      &got->m, got->room, sizeof(got->room),
				      got->t, O_XFER);
	}
	*n = 1 + rnd(a, BATCH);
	for (i = 0; i < *n; i++)
		room[i] = receipt_room(&got[i]);
	if (chance(a, 20)) {
		r = raw_batch(slot_fd(a, s), 0, 0, room, *n, n);
	} else {
		deadline = some_deadline(a, s);
		r = raw_batch(slot_fd(a, s), BUS1_RECV_FLAG_WAIT, deadline,
			      room, *n, n);
	}
	for (i = 0; i < *n; i++)
		raw_got(&got[i].m, &room[i].metadata, &room[i].message);
	return r;
}

/* Receive on slot @s; false if there was nothing. @wait: it may sleep. */
static bool receive(struct actor *a, uint32_t s, bool react, bool wait)
{
	struct o_peer *p = &w->peer[slot_peer(a, s)];
	struct receipt got[BATCH];
	uint64_t from, to, n = 1, i;
	uint32_t by = O_NONE;
	int e;

	take_turn(s, true);
	from = o_g(w);
	if (wait)
		e = get(a, s, got, &n);
	else
		e = raw_recv(slot_fd(a, s), &got->m, got->room,
			     sizeof(got->room), got->t, O_XFER);
	to = o_g(w);
	for (i = 0; !e && i < n; i++)
		by = note_receipt(p, &got[i], from, to);
	if (e)
		note_nothing(p, e, from, to);
	take_turn(s, false);
	if (e)
		return false;
	if (react && by < w->max_tx && !flag(&sh->stop) && chance(a, 30))
		act(a, s, w->tx[by].mask & ~(1ull << s));
	for (i = 0; i < n; i++)
		after_receipt(a, s, &got[i]);
	return true;
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
	struct pollfd p = { .fd = sh->fd[s], .events = POLLIN };
	bool quiet = false, drain, stop;
	uint64_t start;
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
		start = now_ms();
		if (receive(a, s, true, opt_wait && !stop && chance(a, 60)))
			continue;
		if (slept_through(&p, start))
			__atomic_fetch_add(&sh->missed, 1, __ATOMIC_SEQ_CST);
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
				receive(a, n_shared, true, opt_wait);
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
