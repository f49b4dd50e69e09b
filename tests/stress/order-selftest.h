/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_ORDER_SELFTEST_H
#define _TESTS_ORDER_SELFTEST_H

/*
 * DOC: does the oracle see what it claims to see?
 *
 * Invented histories, one for each kind of violation and for each neighbour of
 * one that is none. Peers 0, 1 and 2; H(p, q) is in peer p the ID of a handle
 * to the first node of q, whose ID is NODE. Peer 3 only receives, from peer 0.
 */
#define NODE 1
#define H(_p, _q) (11 + 10 * (_p) + 2 * (_q))
#define NOTE_N BUS1_MESSAGE_TYPE_NODE_RELEASE
#define NOTE_H BUS1_MESSAGE_TYPE_HANDLE_RELEASE

static struct o_world *st;

static struct o_tx *st_tx(uint8_t kind, uint16_t peer, uint64_t b, uint64_t e)
{
	struct o_tx *x = &st->tx[st->n_tx++];

	x->kind = kind;
	x->peer = peer;
	x->b = b;
	x->e = x->end = e;
	return x;
}

static uint32_t st_send(uint16_t peer, uint64_t b, uint64_t e, uint8_t n,
			uint64_t d0, uint64_t d1)
{
	struct o_tx *x = st_tx(O_SEND, peer, b, e);

	x->n_dst = n;
	x->dst[0] = d0;
	x->dst[1] = d1;
	return x - st->tx;
}

static void st_carry(uint32_t tx, uint64_t id)
{
	struct o_tx *x = &st->tx[tx];

	x->xfer[x->n_xfer++].id = id;
}

static uint32_t st_release(uint16_t peer, uint64_t b, uint64_t e, uint64_t id)
{
	struct o_tx *x = st_tx(O_RELEASE, peer, b, e);

	x->n_dst = 1;
	x->dst[0] = id;
	return x - st->tx;
}

/* Node @node of @peer, or a copy of handle @node, as handle @id in @to. */
static void st_give(uint16_t peer, uint64_t node, bool create, uint16_t to,
		    uint64_t id)
{
	uint64_t b = st->g++;
	struct o_tx *x = st_tx(O_TRANSFER, peer, b, st->g++);

	x->to = to;
	x->n_xfer = 1;
	x->create = create;
	x->xfer[0].id = node;
	x->out[0].id = id;
}

static struct o_rx *st_recv(uint16_t peer, uint64_t s, uint64_t t, uint8_t type,
			    uint64_t id, uint32_t tx)
{
	struct o_rx *r = &st->peer[peer].rx[st->peer[peer].n_rx++];

	memset(r, 0, sizeof(*r));
	r->s = s;
	r->t = t;
	r->type = type;
	r->id = id;
	r->tx = tx;
	return r;
}

static void st_got(uint16_t peer, uint64_t s, uint32_t tx)
{
	st_recv(peer, s, s + 1, BUS1_MESSAGE_TYPE_USER, NODE, tx);
}

static void st_noted(uint16_t peer, uint64_t s, uint8_t type, uint64_t id)
{
	st_recv(peer, s, s + 1, type, id, O_NONE);
}

static void st_empty(uint16_t peer, uint64_t s)
{
	st_recv(peer, s, s + 1, O_EMPTY, 0, O_NONE);
}

/* Peer 0 sends to 1 and 2; 1 reacts at @b with a message to 2. */
static void st_triangle(uint64_t b, bool right)
{
	uint32_t x = st_send(0, 100, 190, 2, H(0, 1), H(0, 2));
	uint32_t y;

	st_got(1, 110, x);
	y = st_send(1, b, b + 1, 1, H(1, 2), 0);
	st_got(2, 200, right ? x : y);
	st_got(2, 202, right ? y : x);
}

static void st_clean(void) { st_triangle(120, true); }
static void st_overtaken(void) { st_triangle(120, false); }
static void st_unrelated(void) { st_triangle(105, false); }

static void st_fifo(void)
{
	uint32_t x = st_send(0, 100, 101, 1, H(0, 2), 0);
	uint32_t y = st_send(0, 102, 103, 1, H(0, 2), 0);

	st_got(2, 110, y);
	st_got(2, 112, x);
}

static void st_invisible(void)
{
	uint32_t x = st_send(0, 100, 101, 1, H(0, 2), 0);

	st_empty(2, 102);
	st_got(2, 104, x);
}

static void st_not_yet(void)
{
	uint32_t x = st_send(0, 100, 105, 1, H(0, 2), 0);

	st_empty(2, 102);
	st_got(2, 104, x);
}

static void st_lost(void)
{
	st_got(1, 110, st_send(0, 100, 101, 2, H(0, 1), H(0, 2)));
}

static void st_killed_half(void)
{
	st_got(1, 110, st_send(0, 100, O_NEVER, 2, H(0, 1), H(0, 2)));
}

static void st_killed_none(void)
{
	st_send(0, 100, O_NEVER, 2, H(0, 1), H(0, 2));
}

static void st_twice(void)
{
	uint32_t x = st_send(0, 100, 101, 1, H(0, 2), 0);

	st_got(2, 110, x);
	st_got(2, 112, x);
}

static void st_astray(void)
{
	uint32_t x = st_send(0, 100, 101, 1, H(0, 2), 0);

	st_got(1, 110, x);
	st_got(2, 110, x);
}

static void st_failed(void)
{
	uint32_t x = st_send(0, 100, 101, 1, H(0, 2), 0);

	st->tx[x].err = ENOMEM;
	st_got(2, 110, x);
}

/* Node 2 goes; what of peers 0 and 1 who hold it? */
static void st_node_gone(uint64_t second, uint64_t said, uint64_t heard)
{
	uint32_t y;

	st_release(2, 100, 190, NODE);
	st_noted(2, 195, NOTE_N, H(2, 2));
	st_noted(0, 110, NOTE_N, H(0, 2));
	y = st_send(0, said, said + 1, 1, H(0, 1), 0);
	if (heard < second)
		st_got(1, heard, y);
	st_noted(1, second, NOTE_N, H(1, 2));
	if (heard > second)
		st_got(1, heard, y);
}

static void st_node_clean(void) { st_node_gone(200, 120, 202); }
static void st_node_order(void) { st_node_gone(202, 120, 200); }
static void st_node_unrelated(void) { st_node_gone(202, 105, 200); }

static void st_dead(void)
{
	uint32_t x = st_send(0, 90, 400, 1, H(0, 2), 0);

	st_node_clean();
	st_got(2, 300, x);
}

static void st_discarded(void)
{
	st_send(0, 90, 91, 1, H(0, 2), 0);
	st_node_clean();
}

static void st_discarded_late(void)
{
	st_empty(2, 92);
	st_discarded();
}

static void st_note_lost(void)
{
	st_node_clean();
	st->peer[2].n_rx--;
}

static void st_note_twice(void)
{
	st_node_clean();
	st_noted(2, 300, NOTE_N, H(2, 2));
}

static void st_note_early(void)
{
	st_noted(0, 60, NOTE_N, H(0, 2));
	st_release(2, 100, 190, NODE);
	st_noted(1, 200, NOTE_N, H(1, 2));
	st_noted(2, 200, NOTE_N, H(2, 2));
}

static void st_note_never(void) { st_noted(0, 60, NOTE_N, H(0, 2)); }

static void st_note_late(void)
{
	st_node_clean();
	st_release(1, 205, 206, H(1, 2));
}

static void st_note_vanished(void)
{
	st_release(1, 80, 81, H(1, 2));
	st_node_clean();
	memmove(&st->peer[1].rx[0], &st->peer[1].rx[1], sizeof(struct o_rx));
	st->peer[1].n_rx--;
}

/* A handle to node 2 on its way from 0 to 1 while 2 releases it. */
static void st_flight(uint64_t s, bool apart)
{
	uint32_t m = st_send(0, 90, 91, 1, H(0, 1), 0), y;
	struct o_rx *r;

	st_carry(m, H(0, 2));
	y = st_send(2, 90, 93, 1, H(2, 1), 0);
	st_release(2, 100, 190, NODE);
	r = st_recv(1, s, s + 1, BUS1_MESSAGE_TYPE_USER, NODE, m);
	r->n = 1;
	r->h[0] = 99;
	if (apart)
		st_got(1, s + 2, y);
	st_noted(1, s + 4, NOTE_N, 99);
	if (!apart)
		st_got(1, s + 6, y);
	st_noted(1, s + 8, NOTE_N, H(1, 2));
	st_noted(0, 200, NOTE_N, H(0, 2));
	st_noted(2, 200, NOTE_N, H(2, 2));
}

static void st_flight_behind(void) { st_flight(191, false); }
static void st_flight_apart(void) { st_flight(191, true); }
static void st_flight_overlap(void) { st_flight(120, true); }
static void st_flight_overlap2(void) { st_flight(120, false); }
static void st_flight_arrived(void) { st_flight(95, true); }

/* Node 3 of peer 1, one handle in 0, dropped at [100, @e]. */
static void st_last(uint64_t e, uint64_t y_b, bool right)
{
	uint32_t y;

	st_give(1, 3, true, 0, 77);
	st_release(0, 100, e, 77);
	y = st_send(2, y_b, y_b + 1, 1, H(2, 1), 0);
	if (right)
		st_noted(1, 300, NOTE_H, 3);
	st_got(1, 302, y);
	if (!right)
		st_noted(1, 304, NOTE_H, 3);
}

static void st_last_clean(void) { st_last(101, 110, true); }
static void st_last_order(void) { st_last(101, 110, false); }
static void st_last_race(void) { st_last(111, 110, false); }

static void st_last_held(void)
{
	uint32_t m, y;

	st_give(1, 3, true, 0, 77);
	m = st_send(0, 99, 120, 1, 77, 0);
	st_release(0, 100, 101, 77);
	y = st_send(2, 110, 111, 1, H(2, 1), 0);
	st_recv(1, 200, 201, BUS1_MESSAGE_TYPE_USER, 3, m);
	st_got(1, 302, y);
	st_noted(1, 304, NOTE_H, 3);
}

static void st_last_dead(void)
{
	st_last_clean();
	st_recv(1, 400, 401, BUS1_MESSAGE_TYPE_USER, 3,
		st_send(0, 99, 120, 1, 77, 0));
}

static void st_last_lost(void)
{
	st_last_order();
	st->peer[1].n_rx--;
}

static void st_last_early(void)
{
	st_give(1, 3, true, 0, 77);
	st_give(0, 77, false, 2, 78);
	st_release(0, 100, 101, 77);
	st_noted(1, 300, NOTE_H, 3);
}

static void st_last_before(void)
{
	st_give(1, 3, true, 0, 77);
	st_noted(1, 98, NOTE_H, 3);
	st_release(0, 100, 101, 77);
}

/* The last handle was in a message that its node's release discarded. */
static void st_last_discarded(uint64_t y_b)
{
	uint32_t m, y;

	st_give(1, 3, true, 0, 77);
	m = st_send(0, 80, 81, 1, H(0, 2), 0);
	st_carry(m, 77);
	st_release(0, 90, 91, 77);
	st_node_clean();
	y = st_send(2, y_b, y_b + 1, 1, H(2, 1), 0);
	st_got(1, 310, y);
	st_noted(1, 312, NOTE_H, 3);
}

static void st_discard_order(void) { st_last_discarded(205); }
static void st_discard_clean(void) { st_last_discarded(185); }

static void st_discard_in_hand(void)
{
	/* peer 2's RECV had the message in hand while the node went */
	st_last_discarded(205);
	st->peer[2].rx[0].s = 99;
	st->peer[2].rx[0].t = 206;
}

static void st_closed(void)
{
	struct o_tx *x = st_tx(O_CLOSE, 2, 100, 110);
	uint32_t y = st_send(0, 120, 121, 1, H(0, 1), 0);

	st->peer[2].close = x - st->tx;
	st_noted(0, 105, NOTE_N, H(0, 2));
	st_got(1, 130, y);
	st_noted(1, 132, NOTE_N, H(1, 2));
}

static void st_disagree(void)
{
	uint32_t x = st_send(0, 100, 150, 2, H(0, 1), H(0, 2));
	uint32_t y = st_send(0, 100, 150, 2, H(0, 1), H(0, 2));

	st_got(1, 160, x);
	st_got(1, 162, y);
	st_got(2, 160, y);
	st_got(2, 162, x);
}

/* Three multicasts of peer 0: x to 1 and 2, y to 2 and 3, z to 3 and 1 or 0. */
static void st_three(uint64_t z_b, bool circle)
{
	uint32_t x = st_send(0, 100, 110, 2, H(0, 1), H(0, 2));
	uint32_t y = st_send(0, 100, 400, 2, H(0, 2), H(0, 3));
	uint32_t z = st_send(0, z_b, 400, 2, H(0, 3), H(0, circle));

	st_got(2, 200, y);
	st_got(2, 202, x);
	st_got(3, 200, z);
	st_got(3, 202, y);
	st_got(circle, 210, circle ? x : z);
	st_got(1, 212, circle ? z : x);
}

static void st_circle(void) { st_three(100, true); }
static void st_crooked(void) { st_three(120, false); }
static void st_straight(void) { st_three(105, false); }

/* A message of peer 0 to 2 and a release of its node, both for 1 as well. */
static void st_mixed(uint64_t b, bool agree)
{
	uint32_t x = st_send(1, 100, 190, 2, H(1, 0), H(1, 2));

	st_release(1, b, b + 90, NODE);
	st_noted(1, 200, NOTE_N, H(1, 1));
	st_got(0, 200, x);
	st_noted(0, 202, NOTE_N, H(0, 1));
	if (agree)
		st_got(2, 200, x);
	st_noted(2, 202, NOTE_N, H(2, 1));
	if (!agree)
		st_got(2, 204, x);
}

static void st_mixed_clean(void) { st_mixed(100, true); }
static void st_mixed_disagree(void) { st_mixed(100, false); }

static void st_closed_disagree(void)
{
	st_mixed_disagree();
	st->tx[st->n_tx - 1].kind = O_CLOSE;
	st->tx[st->n_tx - 1].n_dst = 0;
	st->peer[1].close = st->n_tx - 1;
	st->peer[1].n_rx = 0;
}

static void st_bogus(void)
{
	st_got(2, 110, 100000);
}

/* Twice to peer 2, and between the two a stranger; or the second one first. */
static void st_double(bool torn, bool shuffled)
{
	uint32_t x, y;

	st_give(2, 3, true, 0, 77);
	x = st_send(0, 100, 190, 2, H(0, 2), 77);
	y = st_send(1, 100, 190, 1, H(1, 2), 0);
	st_recv(2, 200, 201, BUS1_MESSAGE_TYPE_USER, shuffled ? 3 : NODE, x);
	if (torn)
		st_got(2, 202, y);
	st_recv(2, 204, 205, BUS1_MESSAGE_TYPE_USER, shuffled ? NODE : 3, x);
	if (!torn)
		st_got(2, 206, y);
}

static void st_double_clean(void) { st_double(false, false); }
static void st_torn(void) { st_double(true, false); }
static void st_shuffled(void) { st_double(false, true); }

static const struct st_case {
	const char *what;
	void (*make)(void);
	int bad; /* the only kind of violation in it, or -1 */
} st_cases[] = {
	{ "a reaction in order", st_clean, -1 },
	{ "a reaction overtakes", st_overtaken, O_BAD_ORDER },
	{ "an unrelated message overtakes", st_unrelated, -1 },
	{ "one sender, not FIFO", st_fifo, O_BAD_ORDER },
	{ "returned but not receivable", st_invisible, O_BAD_VISIBLE },
	{ "not returned, not receivable", st_not_yet, -1 },
	{ "one receiver misses a multicast", st_lost, O_BAD_LOST },
	{ "a killed sender reaches one of two", st_killed_half, O_BAD_LOST },
	{ "a killed sender reaches nobody", st_killed_none, -1 },
	{ "a message twice", st_twice, O_BAD_TWICE },
	{ "a message at another node", st_astray, O_BAD_TWICE },
	{ "a failed send arrives", st_failed, O_BAD_FAILED },
	{ "NODE_RELEASE in order", st_node_clean, -1 },
	{ "NODE_RELEASE overtaken by a reaction", st_node_order, O_BAD_ORDER },
	{ "NODE_RELEASE and a stranger", st_node_unrelated, -1 },
	{ "a message on a released node", st_dead, O_BAD_DEAD },
	{ "a message discarded with its node", st_discarded, -1 },
	{ "and it was not receivable", st_discarded_late, O_BAD_VISIBLE },
	{ "NODE_RELEASE lost", st_note_lost, O_BAD_NOTE_LOST },
	{ "NODE_RELEASE twice", st_note_twice, O_BAD_NOTE_TWICE },
	{ "NODE_RELEASE early", st_note_early, O_BAD_NOTE_EARLY },
	{ "NODE_RELEASE of a living node", st_note_never, O_BAD_NOTE_EARLY },
	{ "NODE_RELEASE for a released handle", st_note_late, O_BAD_NOTE_LATE },
	{ "NODE_RELEASE vanishes with its handle", st_note_vanished, -1 },
	{ "NODE_RELEASE behind its handle", st_flight_behind, -1 },
	{ "NODE_RELEASE apart from its handle", st_flight_apart,
	  O_BAD_APART },
	{ "apart, the handle was there", st_flight_arrived, -1 },
	{ "apart, the release overlapped", st_flight_overlap, -1 },
	{ "behind, the release overlapped", st_flight_overlap2, -1 },
	{ "HANDLE_RELEASE in order", st_last_clean, -1 },
	{ "HANDLE_RELEASE overtaken", st_last_order, O_BAD_ORDER },
	{ "HANDLE_RELEASE and a stranger", st_last_race, -1 },
	{ "HANDLE_RELEASE while a SEND held it", st_last_held, -1 },
	{ "a message after HANDLE_RELEASE", st_last_dead, O_BAD_DEAD },
	{ "HANDLE_RELEASE lost", st_last_lost, O_BAD_NOTE_LOST },
	{ "HANDLE_RELEASE with a handle left", st_last_early,
	  O_BAD_NOTE_EARLY },
	{ "HANDLE_RELEASE before the drop", st_last_before, O_BAD_NOTE_EARLY },
	{ "a drop by discard, overtaken", st_discard_order, O_BAD_ORDER },
	{ "a drop by discard, a stranger", st_discard_clean, -1 },
	{ "a drop by discard, RECV had it", st_discard_in_hand, -1 },
	{ "NODE_RELEASE of a close overtaken", st_closed, O_BAD_ORDER },
	{ "multicasts in two orders", st_disagree, O_BAD_AGREE },
	{ "three multicasts in a circle", st_circle, O_BAD_LINE },
	{ "three, the last one known before the first", st_crooked,
	  O_BAD_LINE },
	{ "three on a line", st_straight, -1 },
	{ "a multicast and a release, in one order", st_mixed_clean, -1 },
	{ "a multicast and a release, in two", st_mixed_disagree,
	  O_BAD_AGREE },
	{ "a multicast and a close, in two orders", st_closed_disagree,
	  O_BAD_AGREE },
	{ "two messages to one peer", st_double_clean, -1 },
	{ "and a stranger between them", st_torn, O_BAD_APART },
	{ "and the second one first", st_shuffled, O_BAD_APART },
	{ "a message nobody sent", st_bogus, O_BAD_BOGUS },
};

static void st_begin(void)
{
	uint16_t p;

	o_reset(st);
	memset(st->bad, 0, sizeof(st->bad));
	st->n_peer = st->n_shared = 4;
	st_give(3, NODE, true, 0, H(0, 3));
	for (p = 0; p < 3; p++) {
		st_give(p, NODE, true, 0, H(0, p));
		st_give(0, H(0, p), false, 1, H(1, p));
		st_give(0, H(0, p), false, 2, H(2, p));
	}
}

/*
 * A bus that works: each call takes effect at one instant between its b and
 * its e, receives come later. Then exchange two neighbours at one peer.
 */
static bool st_random(uint64_t *seed)
{
	struct { uint32_t tx; uint64_t at; } q[3][64];
	uint32_t n[3] = { 0 }, i, k, p;
	struct o_rx *r, swap;
	uint64_t at = 1000;

	st_begin();
	for (i = 0; i < 40; i++) {
		uint64_t b = at - raw_rand(seed) % 8;
		uint64_t e = at + 1 + raw_rand(seed) % 8;
		uint32_t d = raw_rand(seed) % 3;
		uint8_t two = raw_rand(seed) % 2;
		uint32_t x = st_send(0, b, e, 1 + two, H(0, d),
				     H(0, (d + 1) % 3));

		for (k = 0; k <= two; k++) {
			p = (d + k) % 3;
			q[p][n[p]].tx = x;
			q[p][n[p]++].at = at + 1 + raw_rand(seed) % 20;
		}
		at += 4;
	}
	for (p = 0; p < 3; p++) {
		uint64_t t = 0;

		for (i = 0; i < n[p]; i++) {
			t = o_max(t + 2, q[p][i].at);
			st_got(p, t, q[p][i].tx);
		}
	}
	if (o_check(st))
		return false;
	for (i = 0; i < 100; i++) {
		p = raw_rand(seed) % 3;
		if (n[p] < 2)
			continue;
		r = &st->peer[p].rx[raw_rand(seed) % (n[p] - 1)];
		if (st->tx[r[0].tx].e < r[1].b)
			break;
	}
	if (i == 100)
		return true;
	swap = r[0];
	r[0].tx = r[1].tx;
	r[1].tx = swap.tx;
	for (i = 0; i < st->n_tx; i++)
		st->tx[i].got = 0;
	memset(st->table, 0, sizeof(*st->table) * 2 * st->max_obj);
	st->n_obj = 0;
	o_check(st);
	return st->bad[O_BAD_ORDER] > 0;
}

/* The one kind that is seen by the clock. */
static bool st_wake(void)
{
	int side[2];
	struct pollfd p = { .events = POLLIN };
	bool right;

	if (pipe(side))
		return false;
	p.fd = side[0];
	right = !slept_through(&p, now_ms() - WAKE_MS) &&
		write(side[1], "", 1) == 1 && !slept_through(&p, now_ms()) &&
		slept_through(&p, now_ms() - WAKE_MS);
	close(side[0]);
	close(side[1]);
	return right;
}

static int order_selftest(uint64_t seed)
{
	bool good = true, made[O_BAD_N] = { [O_BAD_WAKE] = st_wake() };
	uint32_t i, k;

	st = o_new(256);
	st->quiet = true;
	for (i = 0; i < sizeof(st_cases) / sizeof(*st_cases); i++) {
		const struct st_case *c = &st_cases[i];
		bool right = true;

		st_begin();
		c->make();
		o_check(st);
		for (k = 0; k < O_BAD_N; k++) {
			if (!st->bad[k] == ((int)k != c->bad))
				continue;
			right = false;
			diag("%s: %llu", o_bad_name[k], o_u(st->bad[k]));
		}
		ok(right, "oracle: %s: %s", c->what,
		   c->bad < 0 ? "passes" : o_bad_name[c->bad]);
		if (right && c->bad >= 0)
			made[c->bad] = true;
	}
	for (k = 0; k < O_BAD_N; k++)
		ok(made[k], "oracle: knows %s when it meets them",
		   o_bad_name[k]);
	for (i = 0; i < 2000 && good; i++)
		good = st_random(&seed);
	ok(good, "oracle: 2000 random histories, clean and with one exchange");
	return done_testing();
}

#endif /* _TESTS_ORDER_SELFTEST_H */
