// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: acct-join
 *
 * What was counted in an interval is put beside the claims that there are, and
 * gives names to peers. The kernel filtered what it counted; the rest is
 * filtered here.
 */
#include <stdlib.h>
#include <string.h>
#include "acct.h"

/* Refusals that are remembered for the end */
#define TOTAL_MAX 65536

static void set_name(uint64_t id, uint32_t pid, const char *comm)
{
	struct peer who = { .pid = pid };

	memcpy(who.comm, comm, sizeof(who.comm));
	interval_name(id, &who);
}

/*
 * Who charges uses the claiming peer. Of an own account it may also be one who
 * transfers a handle to it, which gives a name only where there is none. A
 * discharge is anybody's.
 */
static void learn_flow(const struct flow *flow)
{
	const struct bus1_flow_key *key = &flow->key;
	const struct peer *peer = peers_find(key->peer);

	if (!flow->sum.charges)
		return;
	if (key->owner == key->claimant && peer && peer->has_name)
		set_name(key->peer, peer->pid, peer->comm);
	else
		set_name(key->peer, flow->sum.pid, flow->sum.comm);
	/* it passed the filter */
	peers_get(key->peer)->bits |= filter.bits & ~BUS1_MATCH_UID;
}

static int compare(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

int acct_by_flow_key(const struct bus1_flow_key *x,
		     const struct bus1_flow_key *y)
{
	int order = compare(x->owner, y->owner);

	if (!order)
		order = compare(x->claimant, y->claimant);
	if (!order)
		order = compare(x->peer, y->peer);
	return order ? order : compare(x->resource, y->resource);
}

int acct_by_refusal_key(const void *a, const void *b)
{
	const struct bus1_refusal_key *x = &((const struct refusal *)a)->key;
	const struct bus1_refusal_key *y = &((const struct refusal *)b)->key;
	int order = compare(x->owner, y->owner);

	if (!order)
		order = compare(x->claimant, y->claimant);
	if (!order)
		order = compare(x->peer, y->peer);
	if (!order)
		order = compare(x->resource, y->resource);
	if (!order)
		order = compare(x->level, y->level);
	if (!order)
		order = compare(x->op, y->op);
	return order ? order : compare(x->pid, y->pid);
}

static int by_key(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	return acct_by_flow_key(&x->key, &y->key);
}

static void sort_by_key(struct acct_view *view)
{
	if (view->now.n_claims)
		qsort(view->now.claims, view->now.n_claims,
		      sizeof(struct claim), by_key);
}

/* Among the first @n, which are sorted */
static struct claim *find(const struct acct_view *view, size_t n,
			  const struct bus1_flow_key *key)
{
	struct claim claim = { .key = *key };

	return n ? bsearch(&claim, view->now.claims, n, sizeof(claim), by_key) :
		   NULL;
}

static void join_flows(struct acct_view *view, size_t known)
{
	struct flow **flows;
	size_t n = acct_flows(&flows), i;

	for (i = 0; i < n; i++) {
		const struct bus1_flow_key *key = &flows[i]->key;
		const struct bus1_flow *flow = &flows[i]->sum;
		struct claim *claim = find(view, known, key);

		if (!claim) {
			claim = accounts_add_claim(&view->now);
			claim->key = *key;
			/* the accounts were read later */
			claim->held = view->error ? flow->held : 0;
		}
		claim->flow = *flow;
		view->charges += flow->charges;
		view->discharges += flow->discharges;
		learn_flow(flows[i]);
	}
	free(flows);
}

static void join_refusals(struct acct_view *view)
{
	struct claim *claim;
	struct peer *peer;
	size_t i;

	view->n_refusals = acct_refusals(&view->refusals);
	for (i = 0; i < view->n_refusals; i++) {
		struct refusal *refusal = &view->refusals[i];

		view->refused += refusal->sum.count;
		claim = find(view, view->now.n_claims,
			     &(struct bus1_flow_key){
				     .owner = refusal->key.owner,
				     .claimant = refusal->key.claimant,
				     .peer = refusal->key.peer,
				     .resource = refusal->key.resource,
			     });
		if (claim)
			claim->refused += refusal->sum.count;
		if (refusal->key.op == BUS1_OP_SEND && refusal->key.peer)
			set_name(refusal->key.peer, refusal->key.pid,
				 refusal->sum.comm);
		/* there is none where nobody could open it, nor of others */
		peer = peers_find(refusal->key.peer);
		if (peer)
			peer->bits |= filter.bits & ~BUS1_MATCH_UID;
	}
}

void acct_join(struct acct_view *view)
{
	size_t known = view->now.n_claims;

	sort_by_key(view);
	join_flows(view, known);
	sort_by_key(view);
	join_refusals(view);
}

/* As the programs do it, but for claims of which they saw nothing. */
static bool wanted(const struct bus1_flow_key *key)
{
	const struct peer *peer = peers_find(key->peer);
	uint32_t bits = peer ? peer->bits : 0;

	if (key->owner == filter.uid || key->claimant == filter.uid)
		bits |= BUS1_MATCH_UID;
	return (bits & filter.bits) == filter.bits && !filter.node &&
	       (!filter.peer || key->peer == filter.peer);
}

static int by_uid(const void *a, const void *b)
{
	const struct account *x = a, *y = b;

	return compare(x->uid, y->uid);
}

static int by_users(const void *a, const void *b)
{
	const struct quota *x = a, *y = b;
	int order = compare(x->owner, y->owner);

	return order ? order : compare(x->claimant, y->claimant);
}

/* Adds to accounts and quotas what of them was refused. */
static void add_refused(struct acct_view *view)
{
	struct accounts *now = &view->now;
	size_t i;

	if (!now->n_accounts || !now->n_quotas)
		return;
	qsort(now->accounts, now->n_accounts, sizeof(*now->accounts), by_uid);
	qsort(now->quotas, now->n_quotas, sizeof(*now->quotas), by_users);
	for (i = 0; i < view->n_refusals; i++) {
		const struct refusal *r = &view->refusals[i];
		struct account account = { .uid = r->key.owner }, *a;
		struct quota quota = {
			.owner = r->key.owner,
			.claimant = r->key.claimant,
		}, *q;

		a = bsearch(&account, now->accounts, now->n_accounts,
			    sizeof(account), by_uid);
		if (a) {
			a->refused += r->sum.count;
			a->wanted = true;
		}
		q = bsearch(&quota, now->quotas, now->n_quotas, sizeof(quota),
			    by_users);
		if (q) {
			q->refused += r->sum.count;
			q->wanted = true;
		}
	}
}

/* What the filters refuse goes; an account stays with what passes of it. */
void acct_filter(struct acct_view *view)
{
	bool all = !filter.bits && !filter.peer && !filter.node;
	struct accounts *now = &view->now;
	size_t i, n = 0;

	for (i = 0; i < now->n_accounts; i++)
		now->accounts[i].wanted = all;
	for (i = 0; i < now->n_quotas; i++)
		now->quotas[i].wanted = all;
	for (i = 0; i < now->n_claims; i++) {
		struct claim *claim = &now->claims[i];

		if (!wanted(&claim->key))
			continue;
		if (claim->has_limit) {
			now->accounts[claim->account].wanted = true;
			now->quotas[claim->quota].wanted = true;
		}
		now->claims[n++] = *claim;
	}
	now->n_claims = n;
	add_refused(view); /* moves what claims point to */
}

/* Adds the refusals of an interval. */
void acct_total(const struct acct_view *view, struct acct_total *total)
{
	size_t i, known = total->n;

	if (!view->n_refusals)
		return;
	for (i = 0; i < view->n_refusals; i++) {
		struct refusal refusal = view->refusals[i], *old = NULL;

		if (known)
			old = bsearch(&refusal, total->refusals, known,
				      sizeof(refusal), acct_by_refusal_key);
		if (old) {
			refusal.sum.count += old->sum.count;
			*old = refusal;
			continue;
		}
		total->refusals = grow(total->refusals, total->n,
				       sizeof(*total->refusals));
		total->refusals[total->n++] = refusal;
	}
	if (total->n > TOTAL_MAX) {
		qsort(total->refusals, total->n, sizeof(*total->refusals),
		      acct_by_count);
		total->n = TOTAL_MAX;
	}
	qsort(total->refusals, total->n, sizeof(*total->refusals),
	      acct_by_refusal_key);
}
