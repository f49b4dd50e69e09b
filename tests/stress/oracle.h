/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_ORACLE_H
#define _TESTS_ORACLE_H

/*
 * DOC: the order oracle
 *
 * It trusts nothing in the kernel. One shared counter G stamps what user space
 * itself saw of a transaction X:
 *
 *   b(X) = G++ before the call, e(X) = G++ after it returned,
 *   v(X) = the smallest G++ taken right after a receive that returned X,
 *   known(X) = min(e, v): from here on somebody could know of X.
 *
 * Taking a number from G is itself a chain of cause and effect: known(X) <
 * b(Y) means that X happened before Y, whatever else the two have to do with
 * each other. So, walking what one peer received in its order: it is a
 * violation if and only if a message X comes while known(X) is smaller than
 * the largest b of what came before it.
 *
 * A RECV or poll that found nothing is a violation of visibility if something
 * for this peer was known before it began and had not been received. A message
 * that never came to a living node is lost: for a multicast, not atomic.
 *
 * A multicast is here what two peers or more received from: a SEND, a close, a
 * RELEASE of several nodes or handles, or of a node with handles in several
 * peers. All multicasts must have happened one after the other: there must be
 * an instant for each, between its b and its known, so that every peer received
 * its multicasts in the order of the instants. If two peers disagree about two
 * of them there are none; nor if more peers do so in a circle, without any two
 * who could notice. A transaction comes to a peer in one piece, in its order.
 *
 * Which transaction a notification belongs to cannot always be seen from
 * outside. Where it cannot, the notification gets the smallest b and the
 * largest known of all transactions it may belong to, and tells nobody about
 * any of them: the oracle may then miss something, but never invents it.
 * Whether its transaction is a multicast does not matter then.
 *
 * NODE_RELEASE of handle h, which M (a message or a TRANSFER) brought, by the
 * release R. It is M's if h was on its way when R took effect, else R's.
 *   - R began after h had arrived: R's.
 *   - R had returned when the RECV that returned M (or the TRANSFER) began:
 *     M's, and nothing but M's own may stand between the two.
 *   - they overlap: either.
 *
 * HANDLE_RELEASE of node n belongs to the call that dropped the last handle.
 * The last drop of all is not before the last b of any drop, so the candidates
 * are the calls not over by then: RELEASEs of handles to n; closes; SENDs and
 * TRANSFERs that used one, as they hold it while they run; and the ends of
 * undelivered messages that carried one, which can be the work of their
 * sender, of the release of the node they were sent to, or of a RECV that had
 * such a message in hand. A single RELEASE is certain; all else is not.
 */
#include <errno.h>
#include <linux/bus1.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define O_DST 8
#define O_XFER 4
#define O_PEERS 256
#define O_NEVER UINT64_MAX
#define O_NONE UINT32_MAX
#define O_SHOW 4

enum o_kind { O_SEND, O_RELEASE, O_TRANSFER, O_CLOSE };

enum { O_EMPTY = _BUS1_MESSAGE_TYPE_N }; /* o_rx.type: there was nothing */

/* One call; also the memory its ioctl reads and writes. */
struct o_tx {
	uint64_t b, e, v;
	uint64_t end; /* over by then: e, or when its killed caller was gone */
	int32_t err;
	uint8_t kind, n_dst, n_xfer;
	uint8_t create; /* bit i: xfer[i] made a node */
	uint16_t peer, to;
	uint64_t mask; /* peers addressed, a hint for who reacts to it */
	uint32_t got; /* checker: bit i: destination i got it */
	union {
		uint64_t dst[O_DST]; /* SEND: handles; RELEASE: any IDs */
		struct bus1_transfer out[O_XFER]; /* TRANSFER */
	};
	struct bus1_transfer xfer[O_XFER];
};

/* One receive of a peer, or an attempt that found nothing. */
struct o_rx {
	uint64_t s, t; /* G before and after */
	uint64_t id;
	uint64_t b, known; /* checker: of the transaction it belongs to */
	uint32_t tx; /* USER: from the payload. checker: whose it is */
	uint8_t type, n;
	uint64_t h[O_XFER];
};

struct o_peer {
	uint32_t n_rx, max_rx;
	uint32_t close; /* its O_CLOSE, or O_NONE */
	struct o_rx *rx;
};

/* checker: a node or a handle */
struct o_obj {
	uint64_t id;
	uint16_t peer;
	bool is_node, unsure;
	uint8_t slot;
	uint32_t node; /* handle: its node, once resolved */
	uint32_t tx; /* made by, or brought by where rx is set */
	uint32_t rx; /* handle: the receive that brought it */
	uint32_t rel; /* the call that released it */
	uint32_t note; /* the receive of its notification */
	uint32_t alive; /* node: handles left in the end */
	bool had, many, direct;
	uint32_t cand; /* node: who dropped the last handle */
	uint64_t last_b, cand_b, cand_e;
};

enum o_bad {
	O_BAD_ORDER, O_BAD_VISIBLE, O_BAD_LOST, O_BAD_TWICE, O_BAD_FAILED,
	O_BAD_DEAD, O_BAD_NOTE_LOST, O_BAD_NOTE_TWICE, O_BAD_NOTE_EARLY,
	O_BAD_NOTE_LATE, O_BAD_APART, O_BAD_AGREE, O_BAD_LINE, O_BAD_WAKE,
	O_BAD_BOGUS, O_BAD_N
};

static const char *const o_bad_name[O_BAD_N] = {
	"causal order", "visibility", "lost messages (atomicity)",
	"messages twice or misdirected", "failed calls with effect",
	"messages on a dead node", "lost notifications",
	"notifications twice", "early notifications",
	"notifications after the release", "transactions torn or shuffled",
	"agreement of multicasts", "one line of all multicasts",
	"missed wakeups", "impossible records",
};

struct o_world {
	uint64_t g;
	uint32_t n_tx, max_tx;
	uint32_t n_peer;
	uint32_t n_shared; /* the first peers, used in every round */
	struct o_tx *tx;
	struct o_obj *obj;
	uint32_t *table; /* finds an object by peer and ID: its index + 1 */
	uint32_t max_obj, n_obj;
	struct o_peer peer[O_PEERS];
	/* summed up over rounds */
	uint64_t bad[O_BAD_N];
	uint64_t sum_call, sum_tx, sum_failed, sum_user, sum_note[2], sum_empty;
	uint64_t sum_multi, sum_unsure;
	bool quiet;
};

static inline uint64_t o_g(struct o_world *w)
{
	return __atomic_fetch_add(&w->g, 1, __ATOMIC_SEQ_CST);
}

static void *o_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("cannot map memory for the logs");
		exit(255);
	}
	return p;
}

static struct o_world *o_new(uint32_t max_tx)
{
	struct o_world *w = o_map(sizeof(*w));
	uint32_t i;

	w->max_tx = max_tx;
	w->tx = o_map(sizeof(*w->tx) * max_tx);
	for (w->max_obj = 1024; w->max_obj < 8 * max_tx; w->max_obj *= 2)
		;
	w->obj = o_map(sizeof(*w->obj) * w->max_obj);
	w->table = o_map(sizeof(*w->table) * 2 * w->max_obj);
	for (i = 0; i < O_PEERS; i++) {
		w->peer[i].max_rx = 4 * max_tx;
		w->peer[i].rx = o_map(sizeof(struct o_rx) * 4 * max_tx);
	}
	return w;
}

/* Begin a round with nothing. What short-lived peers touched is given back. */
static void o_reset(struct o_world *w)
{
	uint32_t i;

	for (i = 0; i < O_PEERS; i++) {
		if (i >= w->n_shared && i < w->n_peer)
			madvise(w->peer[i].rx,
				sizeof(struct o_rx) * w->peer[i].max_rx,
				MADV_REMOVE);
		w->peer[i].n_rx = 0;
		w->peer[i].close = O_NONE;
	}
	memset(w->tx, 0, sizeof(*w->tx) * w->n_tx);
	memset(w->table, 0, sizeof(*w->table) * 2 * w->max_obj);
	w->g = 1;
	w->n_tx = w->n_peer = w->n_obj = 0;
}

static __attribute__((format(printf, 3, 4))) void
o_bad(struct o_world *w, enum o_bad kind, const char *fmt, ...)
{
	va_list ap;

	if (w->bad[kind]++ >= O_SHOW || w->quiet)
		return;
	printf("# %s: ", o_bad_name[kind]);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static uint64_t o_known(const struct o_world *w, uint32_t tx)
{
	const struct o_tx *x = &w->tx[tx];

	return x->v < x->e ? x->v : x->e;
}

/* The object of a peer with this ID, made on request, else O_NONE. */
static uint32_t o_find(struct o_world *w, uint16_t peer, uint64_t id, bool make)
{
	uint64_t h = id * 0x9e3779b97f4a7c15 ^ peer * 0xbf58476d1ce4e5b9;
	uint32_t mask = 2 * w->max_obj - 1, i = (h >> 20) & mask;
	struct o_obj *o;

	for (; w->table[i]; i = (i + 1) & mask) {
		o = &w->obj[w->table[i] - 1];
		if (o->id == id && o->peer == peer)
			return w->table[i] - 1;
	}
	if (!make)
		return O_NONE;
	if (w->n_obj == w->max_obj) {
		printf("Bail out! the table of objects is full\n");
		exit(255);
	}
	o = &w->obj[w->n_obj++];
	memset(o, 0, sizeof(*o));
	o->id = id;
	o->peer = peer;
	o->node = o->tx = o->rx = o->rel = o->note = o->cand = O_NONE;
	o->cand_b = O_NEVER;
	w->table[i] = w->n_obj;
	return w->n_obj - 1;
}

/* The node of handle @id of @peer. */
static uint32_t o_node(struct o_world *w, uint16_t peer, uint64_t id)
{
	uint32_t i = o_find(w, peer, id, false);
	struct o_tx *x;
	struct o_obj *o;

	if (i == O_NONE || w->obj[i].is_node)
		return O_NONE;
	o = &w->obj[i];
	if (o->node != O_NONE)
		return o->node;
	x = &w->tx[o->tx];
	if (o->slot >= x->n_xfer)
		return O_NONE;
	if (x->create & (1u << o->slot))
		o->node = o_find(w, x->peer, x->xfer[o->slot].id, false);
	else
		o->node = o_node(w, x->peer, x->xfer[o->slot].id);
	return o->node;
}

/* Enter what the calls and the receives made. */
static void o_objects(struct o_world *w)
{
	uint32_t i, k, p, j;

	for (i = 0; i < w->n_tx; i++) {
		struct o_tx *x = &w->tx[i];

		x->v = O_NEVER;
		if (x->err || x->kind == O_RELEASE || x->kind == O_CLOSE)
			continue;
		for (k = 0; k < x->n_xfer; k++) {
			struct o_obj *o;

			if ((x->create & (1u << k)) &&
			    x->xfer[k].id != BUS1_INVALID) {
				o = w->obj + o_find(w, x->peer, x->xfer[k].id,
						    true);
				if (o->tx != O_NONE)
					o_bad(w, O_BAD_BOGUS,
					      "peer %u: ID %llu twice", x->peer,
					      (unsigned long long)o->id);
				o->is_node = true;
				o->unsure = x->e == O_NEVER;
				o->tx = i;
			}
			if (x->kind != O_TRANSFER ||
			    (x->e == O_NEVER && x->out[k].id == BUS1_INVALID))
				continue;
			o = w->obj + o_find(w, x->to, x->out[k].id, true);
			if (o->tx != O_NONE)
				o_bad(w, O_BAD_BOGUS, "peer %u: ID %llu twice",
				      x->to, (unsigned long long)o->id);
			o->unsure = x->e == O_NEVER;
			o->tx = i;
			o->slot = k;
		}
	}
	for (p = 0; p < w->n_peer; p++) {
		for (j = 0; j < w->peer[p].n_rx; j++) {
			struct o_rx *r = &w->peer[p].rx[j];

			if (r->type != BUS1_MESSAGE_TYPE_USER)
				continue;
			if (r->tx >= w->n_tx || w->tx[r->tx].kind != O_SEND) {
				o_bad(w, O_BAD_BOGUS,
				      "peer %u received a message nobody sent",
				      p);
				r->type = O_EMPTY;
				r->s = 0;
				continue;
			}
			for (k = 0; k < r->n; k++) {
				struct o_obj *o;

				o = w->obj + o_find(w, p, r->h[k], true);
				if (o->tx != O_NONE)
					o_bad(w, O_BAD_BOGUS,
					      "peer %u: ID %llu twice", p,
					      (unsigned long long)o->id);
				o->tx = r->tx;
				o->rx = j;
				o->slot = k;
			}
		}
	}
}

/* Match messages with their sends. */
static void o_match(struct o_world *w)
{
	uint32_t p, j, i, n, last, last_i;

	for (p = 0; p < w->n_peer; p++) {
		last = last_i = O_NONE;
		for (j = 0; j < w->peer[p].n_rx; j++) {
			struct o_rx *r = &w->peer[p].rx[j];
			struct o_tx *x = &w->tx[r->tx];

			if (r->type != BUS1_MESSAGE_TYPE_USER)
				continue;
			n = o_find(w, p, r->id, false);
			if (x->err)
				o_bad(w, O_BAD_FAILED,
				      "peer %u received T%u, which failed: %s",
				      p, r->tx, strerror(x->err));
			for (i = 0; i < x->n_dst; i++)
				if (!(x->got & (1u << i)) && n != O_NONE &&
				    o_node(w, x->peer, x->dst[i]) == n)
					break;
			if (i == x->n_dst)
				o_bad(w, O_BAD_TWICE,
				      "peer %u received T%u on node %llu once too often",
				      p, r->tx, (unsigned long long)r->id);
			else
				x->got |= 1u << i;
			if (r->tx == last && i < last_i)
				o_bad(w, O_BAD_APART,
				      "peer %u received T%u for destination %u behind that for %u",
				      p, r->tx, i, last_i);
			last = r->tx;
			last_i = i;
			if (r->n != x->n_xfer)
				o_bad(w, O_BAD_BOGUS,
				      "peer %u received T%u with %u handles, not %u",
				      p, r->tx, r->n, x->n_xfer);
			if (r->t < x->v)
				x->v = r->t;
		}
	}
}

/* Enter releases, closes and notifications. */
static void o_ends(struct o_world *w)
{
	uint32_t i, k, p, j, n;

	for (i = 0; i < w->n_tx; i++) {
		struct o_tx *x = &w->tx[i];

		if (x->kind != O_RELEASE || x->err)
			continue;
		for (k = 0; k < x->n_dst; k++) {
			struct o_obj *o;

			n = o_find(w, x->peer, x->dst[k], false);
			if (n == O_NONE) {
				o_bad(w, O_BAD_BOGUS,
				      "T%u released an unknown ID", i);
				continue;
			}
			o = &w->obj[n];
			if (o->rel != O_NONE)
				o_bad(w, O_BAD_BOGUS,
				      "T%u released what T%u had released", i,
				      o->rel);
			o->rel = i;
			o->unsure |= x->e == O_NEVER;
		}
	}
	for (n = 0; n < w->n_obj; n++) {
		struct o_obj *o = &w->obj[n];

		if (o->is_node && o->rel == O_NONE)
			o->rel = w->peer[o->peer].close;
	}
	for (p = 0; p < w->n_peer; p++) {
		for (j = 0; j < w->peer[p].n_rx; j++) {
			struct o_rx *r = &w->peer[p].rx[j];
			bool node = r->type == BUS1_MESSAGE_TYPE_HANDLE_RELEASE;
			struct o_obj *o;

			if (r->type == BUS1_MESSAGE_TYPE_USER ||
			    r->type == O_EMPTY)
				continue;
			n = o_find(w, p, r->id, false);
			if (n == O_NONE || w->obj[n].is_node != node) {
				o_bad(w, O_BAD_BOGUS,
				      "peer %u was notified of unknown ID %llu",
				      p, (unsigned long long)r->id);
				r->type = O_EMPTY;
				r->s = 0;
				continue;
			}
			o = &w->obj[n];
			if (o->note != O_NONE)
				o_bad(w, O_BAD_NOTE_TWICE,
				      "peer %u, ID %llu, at G=%llu and %llu", p,
				      (unsigned long long)o->id,
				      (unsigned long long)
				      w->peer[p].rx[o->note].t,
				      (unsigned long long)r->t);
			o->note = j;
			if (o->rel != O_NONE && !o->unsure &&
			    w->tx[o->rel].kind == O_RELEASE)
				o_bad(w, O_BAD_NOTE_LATE,
				      "peer %u, ID %llu, at G=%llu; T%u released it at [%llu, %llu]",
				      p, (unsigned long long)o->id,
				      (unsigned long long)r->t, o->rel,
				      (unsigned long long)w->tx[o->rel].b,
				      (unsigned long long)w->tx[o->rel].e);
		}
	}
}

/*
 * A call in [@b, @e] that dropped (@sure) or may have dropped a handle of
 * @node. First pass: when did the last drop begin; second: who it can be.
 */
static void o_drop(struct o_world *w, uint32_t node, uint32_t tx, uint64_t b,
		   uint64_t e, bool sure, bool direct, int pass)
{
	struct o_obj *o = &w->obj[node];

	if (node == O_NONE)
		return;
	if (!pass) {
		if (sure && b > o->last_b)
			o->last_b = b;
		return;
	}
	if (e < o->last_b)
		return;
	if (b < o->cand_b)
		o->cand_b = b;
	if (e > o->cand_e)
		o->cand_e = e;
	if ((o->cand != O_NONE && o->cand != tx) || !direct)
		o->many = true;
	o->cand = tx;
}

/* The end of a RECV of @peer that was running at @at, else @at. */
static uint64_t o_in_hand(struct o_world *w, uint16_t peer, uint64_t at)
{
	struct o_peer *p = &w->peer[peer];
	uint32_t lo = 0, hi = p->n_rx;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (p->rx[mid].t <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->n_rx && p->rx[lo].s <= at ? p->rx[lo].t : at;
}

/* What @tx carried to destination @i never arrived. */
static void o_discarded(struct o_world *w, uint32_t tx, uint32_t i, int pass)
{
	struct o_tx *x = &w->tx[tx], *r;
	uint32_t k, n = o_node(w, x->peer, x->dst[i]);
	uint64_t b = x->b, e = x->end;

	if (n == O_NONE || w->obj[n].rel == O_NONE)
		return;
	r = &w->tx[w->obj[n].rel];
	if (r->end > x->b) {
		if (x->end < r->b)
			b = r->b;
		else if (r->b < b)
			b = r->b;
		if (r->end > e)
			e = r->end;
		e = o_in_hand(w, w->obj[n].peer, e);
	}
	for (k = 0; k < x->n_xfer; k++)
		o_drop(w, x->create & (1u << k) ?
		       o_find(w, x->peer, x->xfer[k].id, false) :
		       o_node(w, x->peer, x->xfer[k].id),
		       tx, b, e, true, false, pass);
}

static void o_drops_of(struct o_world *w, uint32_t tx, int pass)
{
	struct o_tx *x = &w->tx[tx];
	bool done = !x->err && (x->e != O_NEVER || x->v != O_NEVER);
	uint32_t i, k, n;

	if (x->kind == O_SEND)
		for (i = 0; i < x->n_dst; i++)
			o_drop(w, o_node(w, x->peer, x->dst[i]), tx, x->b,
			       x->end, false, false, pass);
	if (x->kind == O_SEND || x->kind == O_TRANSFER)
		for (k = 0; k < x->n_xfer; k++) {
			if (x->create & (1u << k))
				n = x->err ? O_NONE :
				    o_find(w, x->peer, x->xfer[k].id, false);
			else
				n = o_node(w, x->peer, x->xfer[k].id);
			o_drop(w, n, tx, x->b, x->end, false, false, pass);
			if (n != O_NONE && !x->err && x->e == O_NEVER)
				w->obj[n].unsure |= x->kind == O_TRANSFER ||
						    x->v == O_NEVER;
			if (n != O_NONE && done)
				w->obj[n].had = true;
		}
	for (i = 0; x->kind == O_SEND && done && i < x->n_dst; i++)
		if (!(x->got & (1u << i)))
			o_discarded(w, tx, i, pass);
	for (i = 0; x->kind == O_RELEASE && !x->err && i < x->n_dst; i++) {
		n = o_node(w, x->peer, x->dst[i]);
		o_drop(w, n, tx, x->b, x->end, x->e != O_NEVER, true, pass);
		if (n != O_NONE && x->e == O_NEVER)
			w->obj[n].unsure = true;
	}
}

static void o_drops(struct o_world *w, int pass)
{
	uint32_t i, c;

	for (i = 0; i < w->n_tx; i++)
		o_drops_of(w, i, pass);
	for (i = 0; i < w->n_obj; i++) {
		struct o_obj *o = &w->obj[i];
		uint32_t n;

		if (o->is_node)
			continue;
		n = o_node(w, o->peer, o->id);
		if (n == O_NONE)
			continue;
		w->obj[n].had = true;
		c = w->peer[o->peer].close;
		if (o->rel == O_NONE && c != O_NONE)
			o_drop(w, n, c, w->tx[c].b, w->tx[c].end, true, false,
			       pass);
		if (!pass && o->unsure)
			w->obj[n].unsure = true;
		if (!pass && o->rel == O_NONE && c == O_NONE &&
		    o->note == O_NONE)
			w->obj[n].alive++;
	}
}

#include "oracle-walk.h"
#include "oracle-line.h"

#endif /* _TESTS_ORACLE_H */
