/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_ORACLE_LINE_H
#define _TESTS_ORACLE_LINE_H

/*
 * DOC: the third part of the oracle: all multicasts on one line, and the sum
 *
 * Part of oracle.h, which explains the rules. Each peer's receipts are a row of
 * transactions. Whatever is first in all rows that have it can be next on the
 * line; its instant is not before its own b, and not before the instant of
 * what is on the line before it in one of its rows.
 */

/* What @r counts for on the line: the index of its transaction, or O_NONE. */
static uint32_t o_on_line(const struct o_world *w, const struct o_rx *r)
{
	if (r->type == O_EMPTY || r->tx == O_NONE)
		return O_NONE;
	/* it comes with what brought its handle: no place of its own */
	if (r->type == BUS1_MESSAGE_TYPE_NODE_RELEASE &&
	    (w->tx[r->tx].kind == O_SEND || w->tx[r->tx].kind == O_TRANSFER))
		return O_NONE;
	return r->tx;
}

/* For each transaction: how many peers received from it, and since when. */
struct o_line {
	struct o_place {
		uint32_t peers, todo;
		uint32_t seen; /* peer + 1 that received from it last */
		uint32_t pos; /* where, for the comparison of two peers */
		uint32_t from; /* whose b is @at */
		uint64_t at;
	} *place;
	uint32_t *row[O_PEERS], n[O_PEERS], head[O_PEERS];
	uint32_t *rows, *next;
};

/* Collect the rows; what is received from once more must follow directly. */
static void o_rows(struct o_world *w, struct o_line *l)
{
	uint32_t *row = l->rows, p, j, k, tx, last;

	for (p = 0; p < w->n_peer; p++) {
		l->row[p] = row;
		last = O_NONE;
		for (j = 0; j < w->peer[p].n_rx; j++) {
			struct o_rx *r = &w->peer[p].rx[j];

			/* without a name: it may belong to what is before */
			if (r->type == O_EMPTY || r->tx == O_NONE)
				continue;
			if (r->tx != last && l->place[r->tx].seen == p + 1)
				o_bad(w, O_BAD_APART,
				      "peer %u received a part of T%u by peer %u at G=%llu, another one before T%u",
				      p, r->tx, w->tx[r->tx].peer, o_u(r->t),
				      last);
			last = r->tx;
			tx = o_on_line(w, r);
			if (tx == O_NONE || l->place[tx].seen == p + 1)
				continue;
			l->place[tx].seen = p + 1;
			l->place[tx].peers++;
			*row++ = tx;
		}
		l->n[p] = row - l->row[p];
	}
	/* what one peer alone received is no multicast */
	for (p = 0; p < w->n_peer; p++) {
		for (j = k = 0; j < l->n[p]; j++)
			if (l->place[l->row[p][j]].peers > 1)
				l->row[p][k++] = l->row[p][j];
		l->n[p] = k;
	}
}

/* Row @p begins with another one: is that first in all its rows? */
static void o_first(struct o_line *l, uint32_t p, uint32_t *n_next)
{
	uint32_t tx;

	if (l->head[p] == l->n[p])
		return;
	tx = l->row[p][l->head[p]];
	if (!--l->place[tx].todo)
		l->next[(*n_next)++] = tx;
}

/* Form the line. Returns how many multicasts found no place on it. */
static uint32_t o_form(struct o_world *w, struct o_line *l)
{
	uint32_t p, tx, n_next = 0, left = 0;
	struct o_place *x, *y;

	for (tx = 0; tx < w->n_tx; tx++) {
		x = &l->place[tx];
		x->todo = x->peers;
		x->at = w->tx[tx].b;
		x->from = tx;
		left += x->peers > 1;
	}
	for (p = 0; p < w->n_peer; p++)
		o_first(l, p, &n_next);
	for (; n_next; left--) {
		tx = l->next[--n_next];
		x = &l->place[tx];
		/* two who received out of order say so themselves */
		if (x->at > o_known(w, tx) && !w->bad[O_BAD_ORDER])
			o_bad(w, O_BAD_LINE,
			      "T%u was known at G=%llu; by what peers received it is behind T%u, which began at %llu",
			      tx, o_u(o_known(w, tx)), x->from, o_u(x->at));
		for (p = 0; p < w->n_peer; p++) {
			if (l->head[p] == l->n[p] ||
			    l->row[p][l->head[p]] != tx)
				continue;
			if (++l->head[p] == l->n[p])
				continue;
			y = &l->place[l->row[p][l->head[p]]];
			if (x->at > y->at) {
				y->at = x->at;
				y->from = x->from;
			}
			o_first(l, p, &n_next);
		}
	}
	return left;
}

/* Some found no place: who sees them in another order than who else? */
static uint64_t o_disagree(struct o_world *w, struct o_line *l)
{
	uint64_t was = w->bad[O_BAD_AGREE];
	uint32_t p, q, j, tx, last;

	for (p = 0; p < w->n_peer; p++) {
		for (tx = 0; tx < w->n_tx; tx++)
			l->place[tx].pos = 0;
		for (j = l->head[p]; j < l->n[p]; j++)
			l->place[l->row[p][j]].pos = j + 1;
		for (q = p + 1; q < w->n_peer; q++) {
			last = O_NONE;
			for (j = l->head[q]; j < l->n[q]; j++) {
				tx = l->row[q][j];
				if (!l->place[tx].pos)
					continue;
				if (last != O_NONE &&
				    l->place[tx].pos < l->place[last].pos)
					o_bad(w, O_BAD_AGREE,
					      "T%u by peer %u and T%u by peer %u: peer %u received them in this order, peer %u in the other",
					      tx, w->tx[tx].peer, last,
					      w->tx[last].peer, p, q);
				last = tx;
			}
		}
	}
	return w->bad[O_BAD_AGREE] - was;
}

/* No two disagree: then each row begins with what is later in another one. */
static void o_circle(struct o_world *w, struct o_line *l)
{
	uint32_t p = 0, q, n, j;
	char s[400] = "";
	size_t len = 0;

	while (l->head[p] == l->n[p])
		p++;
	/* after as many steps as there are peers it goes round */
	for (n = 0; n < w->n_peer + 4; n++, p = q) {
		uint32_t tx = l->row[p][l->head[p]];

		for (q = 0, j = 0; q < w->n_peer; q++) {
			for (j = l->head[q] + 1; j < l->n[q]; j++)
				if (l->row[q][j] == tx)
					break;
			if (j < l->n[q])
				break;
		}
		if (q == w->n_peer)
			break;
		if (n >= w->n_peer && len < sizeof(s))
			len += snprintf(s + len, sizeof(s) - len,
					"%sT%u behind T%u at peer %u",
					len ? ", " : "", tx,
					l->row[q][l->head[q]], q);
	}
	o_bad(w, O_BAD_LINE, "in a circle: %s", s);
}

static void o_line(struct o_world *w)
{
	struct o_line l = { 0 };
	size_t sum = 1;
	uint32_t p;

	for (p = 0; p < w->n_peer; p++)
		sum += w->peer[p].n_rx;
	l.place = calloc(w->n_tx + 1, sizeof(*l.place));
	l.rows = malloc(sum * sizeof(*l.rows));
	l.next = malloc((w->n_tx + 1) * sizeof(*l.next));
	if (!l.place || !l.rows || !l.next) {
		printf("Bail out! no memory to compare the peers\n");
		exit(255);
	}
	o_rows(w, &l);
	if (o_form(w, &l) && !o_disagree(w, &l))
		o_circle(w, &l);
	for (p = 0; p < w->n_tx; p++)
		w->sum_multi += l.place[p].peers > 1;
	free(l.place);
	free(l.rows);
	free(l.next);
}

/* Check one round. Returns the violations so far. */
static uint64_t o_check(struct o_world *w)
{
	uint64_t sum = 0;
	uint32_t i, p, j;

	o_objects(w);
	o_match(w);
	o_ends(w);
	o_drops(w, 0);
	o_drops(w, 1);
	for (p = 0; p < w->n_peer; p++)
		for (j = 0; j < w->peer[p].n_rx; j++)
			o_whose(w, p, j);
	for (p = 0; p < w->n_peer; p++)
		for (j = 0; j < w->peer[p].n_rx; j++)
			o_known_of(w, p, j);
	for (p = 0; p < w->n_peer; p++)
		o_walk(w, p);
	o_missing(w);
	o_lifetimes(w);
	o_line(w);

	w->sum_call += w->n_tx;
	for (i = 0; i < w->n_tx; i++) {
		w->sum_failed += w->tx[i].err != 0;
		w->sum_tx += !w->tx[i].err && w->tx[i].kind != O_TRANSFER;
	}
	for (p = 0; p < w->n_peer; p++)
		for (j = 0; j < w->peer[p].n_rx; j++) {
			struct o_rx *r = &w->peer[p].rx[j];

			if (r->type == BUS1_MESSAGE_TYPE_USER)
				w->sum_user++;
			else if (r->type == O_EMPTY)
				w->sum_empty++;
			else
				w->sum_note[r->type - 1]++;
			if (r->type != O_EMPTY && r->tx == O_NONE)
				w->sum_unsure++;
		}
	for (i = 0; i < O_BAD_N; i++)
		sum += w->bad[i];
	return sum;
}

#endif /* _TESTS_ORACLE_LINE_H */
