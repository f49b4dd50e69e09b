/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_ORACLE_WALK_H
#define _TESTS_ORACLE_WALK_H

/*
 * DOC: the second half of the oracle: whose each receive is, and the walk
 *
 * Part of oracle.h, which explains the rules.
 */

#define o_u(_v) ((unsigned long long)(_v))

static uint64_t o_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t o_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Is everything of peer @p between receive @m and notification @j part of
 * the same transaction as @m?
 */
static bool o_behind(struct o_world *w, uint32_t p, uint32_t m, uint32_t j)
{
	uint32_t tx = w->peer[p].rx[m].tx;

	while (++m < j) {
		struct o_rx *r = &w->peer[p].rx[m];
		struct o_obj *o;

		if (r->type == BUS1_MESSAGE_TYPE_USER && r->tx == tx)
			continue;
		if (r->type != BUS1_MESSAGE_TYPE_NODE_RELEASE)
			return false;
		o = &w->obj[o_find(w, p, r->id, false)];
		if (o->rx == O_NONE || o->tx != tx)
			return false;
	}
	return true;
}

/*
 * Whose is this NODE_RELEASE? Returns the transaction in r->tx, or O_NONE with
 * both in @a and @b where it can be either.
 */
static void o_whose_node(struct o_world *w, uint32_t p, uint32_t j, uint32_t *a,
			 uint32_t *b)
{
	struct o_rx *r = &w->peer[p].rx[j], *m;
	struct o_obj *o = &w->obj[o_find(w, p, r->id, false)];
	uint32_t n = o_node(w, p, r->id);
	struct o_tx *rel, *by = &w->tx[o->tx];
	uint64_t from, to;

	r->tx = *a = *b = O_NONE;
	if (n == O_NONE || w->obj[n].rel == O_NONE ||
	    w->tx[w->obj[n].rel].b > r->t) {
		o_bad(w, O_BAD_NOTE_EARLY,
		      "peer %u heard at G=%llu that handle %llu is dead, but its node is not",
		      p, o_u(r->t), o_u(r->id));
		return;
	}
	rel = &w->tx[w->obj[n].rel];
	m = o->rx == O_NONE ? NULL : &w->peer[p].rx[o->rx];
	from = m ? m->s : by->b;
	to = m ? m->t : by->end;
	*a = o->tx;
	*b = w->obj[n].rel;
	if (rel->b > to) {
		r->tx = *b;
	} else if (rel->end < from) {
		r->tx = *a;
		if (m && !o_behind(w, p, o->rx, j))
			o_bad(w, O_BAD_APART,
			      "peer %u: T%u brought dead handle %llu at G=%llu, its notification came at %llu behind something else",
			      p, o->tx, o_u(r->id), o_u(m->t), o_u(r->t));
	}
}

static void o_whose(struct o_world *w, uint32_t p, uint32_t j)
{
	struct o_rx *r = &w->peer[p].rx[j];
	uint32_t a, b;

	if (r->type == BUS1_MESSAGE_TYPE_NODE_RELEASE) {
		o_whose_node(w, p, j, &a, &b);
		r->b = 0;
		r->known = O_NEVER;
		if (r->tx != O_NONE) {
			if (r->t < w->tx[r->tx].v)
				w->tx[r->tx].v = r->t;
		} else if (a != O_NONE) {
			/* known follows in o_known_of(), when v is final */
			r->b = o_min(w->tx[a].b, w->tx[b].b);
		}
	} else if (r->type == BUS1_MESSAGE_TYPE_HANDLE_RELEASE) {
		struct o_obj *o = &w->obj[o_find(w, p, r->id, false)];

		r->tx = O_NONE;
		r->b = o->unsure ? 0 : o->cand_b;
		r->known = o->unsure ? O_NEVER : o->cand_e;
		if (o->cand == O_NONE && !o->unsure)
			o_bad(w, O_BAD_NOTE_EARLY,
			      "peer %u heard at G=%llu that node %llu has no handles, but no handle was dropped",
			      p, o_u(r->t), o_u(r->id));
		if (o->unsure || o->cand == O_NONE) {
			r->b = 0;
			r->known = O_NEVER;
		} else if (!o->many) {
			r->tx = o->cand;
			if (r->t < w->tx[r->tx].v)
				w->tx[r->tx].v = r->t;
		}
		if (!o->unsure && o->last_b > r->t)
			o_bad(w, O_BAD_NOTE_EARLY,
			      "peer %u heard at G=%llu that node %llu has no handles; one was dropped after G=%llu",
			      p, o_u(r->t), o_u(r->id), o_u(o->last_b));
	}
}

static void o_known_of(struct o_world *w, uint32_t p, uint32_t j)
{
	struct o_rx *r = &w->peer[p].rx[j];
	uint32_t a, b, n;

	if (r->type == O_EMPTY)
		return;
	if (r->tx != O_NONE) {
		r->b = w->tx[r->tx].b;
		r->known = o_known(w, r->tx);
	} else if (r->type == BUS1_MESSAGE_TYPE_NODE_RELEASE) {
		n = o_node(w, p, r->id);
		if (n == O_NONE || w->obj[n].rel == O_NONE)
			return;
		a = w->obj[o_find(w, p, r->id, false)].tx;
		b = w->obj[n].rel;
		r->known = o_max(o_known(w, a), o_known(w, b));
	}
}

/* For people: what receive @r was. */
static const char *o_say(struct o_world *w, const struct o_rx *r, char *s,
			 size_t size)
{
	static const char *const type[] = { "message", "NODE_RELEASE",
					    "HANDLE_RELEASE" };
	char whose[64] = "either of two calls";

	if (r->tx != O_NONE)
		snprintf(whose, sizeof(whose), "T%u by peer %u", r->tx,
			 w->tx[r->tx].peer);
	snprintf(s, size, "%s %llu of %s (b=%llu known=%llu, received %llu-%llu)",
		 type[r->type], o_u(r->id), whose, o_u(r->b), o_u(r->known),
		 o_u(r->s), o_u(r->t));
	return s;
}

/* One peer, in the order it received: causal order; backwards: visibility. */
static void o_walk(struct o_world *w, uint32_t p)
{
	struct o_rx *max = NULL, *rx = w->peer[p].rx, *r, *min = NULL;
	char a[256], b[256];
	uint32_t j, n;

	for (j = 0; j < w->peer[p].n_rx; j++) {
		r = &rx[j];
		if (r->type == O_EMPTY)
			continue;
		if (max && r->known < max->b)
			o_bad(w, O_BAD_ORDER,
			      "peer %u received #%u %s\n#   before #%u %s", p,
			      (unsigned int)(max - rx),
			      o_say(w, max, a, sizeof(a)), j,
			      o_say(w, r, b, sizeof(b)));
		if (!max || r->b > max->b)
			max = r;
		n = o_find(w, p, r->id, false);
		if (r->type != BUS1_MESSAGE_TYPE_USER || n == O_NONE)
			continue;
		if (w->obj[n].note < j ||
		    (w->obj[n].rel != O_NONE && !w->obj[n].unsure &&
		     w->tx[w->obj[n].rel].end < r->s))
			o_bad(w, O_BAD_DEAD, "peer %u received #%u %s", p, j,
			      o_say(w, r, a, sizeof(a)));
	}
	while (j--) {
		r = &rx[j];
		if (r->type != O_EMPTY) {
			if (!min || r->known < min->known)
				min = r;
		} else if (min && min->known < r->s) {
			o_bad(w, O_BAD_VISIBLE,
			      "peer %u found nothing at [%llu, %llu], later %s",
			      p, o_u(r->s), o_u(r->t),
			      o_say(w, min, a, sizeof(a)));
		}
	}
}

/* Did @p find nothing after @from, before @to? */
static struct o_rx *o_saw_nothing(struct o_peer *p, uint64_t from, uint64_t to)
{
	uint32_t lo = 0, hi = p->n_rx;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (p->rx[mid].s <= from)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < p->n_rx && p->rx[lo].t < to; lo++)
		if (p->rx[lo].type == O_EMPTY)
			return &p->rx[lo];
	return NULL;
}

/* Messages that did not arrive. */
static void o_missing(struct o_world *w)
{
	uint32_t i, k, n;

	for (i = 0; i < w->n_tx; i++) {
		struct o_tx *x = &w->tx[i];

		if (x->kind != O_SEND || x->err ||
		    (x->e == O_NEVER && x->v == O_NEVER))
			continue;
		for (k = 0; k < x->n_dst; k++) {
			struct o_obj *o;
			struct o_rx *r;

			if (x->got & (1u << k))
				continue;
			n = o_node(w, x->peer, x->dst[k]);
			if (n == O_NONE) {
				o_bad(w, O_BAD_BOGUS,
				      "T%u was sent to an unknown handle", i);
				continue;
			}
			o = &w->obj[n];
			if (o->rel == O_NONE) {
				o_bad(w, O_BAD_LOST,
				      "T%u by peer %u, [%llu, %llu], to %u receivers, never reached peer %u",
				      i, x->peer, o_u(x->b), o_u(x->e),
				      x->n_dst, o->peer);
				continue;
			}
			r = o_saw_nothing(&w->peer[o->peer], o_known(w, i),
					  w->tx[o->rel].b);
			if (r)
				o_bad(w, O_BAD_VISIBLE,
				      "peer %u found nothing at [%llu, %llu], but T%u to it was known at %llu",
				      o->peer, o_u(r->s), o_u(r->t), i,
				      o_u(o_known(w, i)));
		}
	}
}

/* Notifications that did not arrive, or should not have. */
static void o_lifetimes(struct o_world *w)
{
	uint32_t i, n;

	for (i = 0; i < w->n_obj; i++) {
		struct o_obj *o = &w->obj[i];

		if (o->unsure || o->tx == O_NONE ||
		    w->peer[o->peer].close != O_NONE)
			continue;
		if (o->is_node) {
			if (o->note != O_NONE && o->alive)
				o_bad(w, O_BAD_NOTE_EARLY,
				      "peer %u: node %llu lost its last handle, but has %u",
				      o->peer, o_u(o->id), o->alive);
			if (o->note == O_NONE && o->rel == O_NONE && o->had &&
			    !o->alive)
				o_bad(w, O_BAD_NOTE_LOST,
				      "peer %u never heard that node %llu has no handles",
				      o->peer, o_u(o->id));
			continue;
		}
		n = o_node(w, o->peer, o->id);
		if (n != O_NONE && w->obj[n].rel != O_NONE &&
		    !w->obj[n].unsure && o->note == O_NONE && o->rel == O_NONE)
			o_bad(w, O_BAD_NOTE_LOST,
			      "peer %u never heard that handle %llu is dead; T%u released its node %llu of peer %u",
			      o->peer, o_u(o->id), w->obj[n].rel,
			      o_u(w->obj[n].id), w->obj[n].peer);
	}
}

#endif /* _TESTS_ORACLE_WALK_H */
