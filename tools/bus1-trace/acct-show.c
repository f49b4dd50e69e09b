// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: acct-show
 *
 * First the accounts, those in which a claim was refused before others; then
 * the users who have claimed from them, which names who does so by many peers;
 * then the peers: who was refused, and then who is nearest to what he may hold;
 * then what was refused. On a screen of 24 lines each of the four has its share.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "acct.h"
#include "options.h"

#define NAME 15
/* Of a screen: heads and what says that there is more; most rows of a table */
#define LINES_FIXED 12
#define ROWS_FEW 4
#define N_TABLES 4

unsigned int acct_share(uint64_t part, uint64_t whole)
{
	double share = whole ? part * 100.0 / whole : 0;

	return share < UINT32_MAX ? (unsigned int)share : UINT32_MAX;
}

static unsigned int account_share(const struct account *a)
{
	unsigned int most = 0, s;
	int i;

	for (i = 0; i < N_RESOURCES; i++) {
		s = acct_share(a->max[i] - a->left[i], a->max[i]);
		most = s > most ? s : most;
	}
	return most;
}

static int more_first(uint64_t x, uint64_t y)
{
	return (x < y) - (x > y);
}

/* What others claim is what starves an owner. */
static int foreign_first(uint32_t owner_x, uint32_t claimant_x,
			 uint32_t owner_y, uint32_t claimant_y)
{
	return more_first(owner_x != claimant_x, owner_y != claimant_y);
}

static int account_order(const void *a, const void *b)
{
	const struct account *x = a, *y = b;
	int order = more_first(x->refused, y->refused);

	if (!order)
		order = more_first(account_share(x), account_share(y));
	return order ? order : -more_first(x->uid, y->uid);
}

static uint64_t quota_peers(const struct quota *q)
{
	return q->peers[0] > q->peers[1] ? q->peers[0] : q->peers[1];
}

static int quota_order(const void *a, const void *b)
{
	const struct quota *x = a, *y = b;
	int order = foreign_first(x->owner, x->claimant, y->owner,
				  y->claimant);
	int i;

	if (!order)
		order = more_first(x->share, y->share);
	for (i = 0; !order && i < N_RESOURCES; i++)
		order = more_first(x->held[i], y->held[i]);
	if (!order)
		order = -more_first(x->owner, y->owner);
	return order ? order : -more_first(x->claimant, y->claimant);
}

static int claim_order(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int order = more_first(x->refused, y->refused);

	if (!order)
		order = more_first(x->has_limit, y->has_limit);
	if (!order)
		order = foreign_first(x->key.owner, x->key.claimant,
				      y->key.owner, y->key.claimant);
	if (!order)
		order = more_first(x->near, y->near);
	if (!order)
		order = more_first(x->held, y->held);
	if (!order)
		order = more_first(x->flow.charged, y->flow.charged);
	return order ? order : acct_by_flow_key(&x->key, &y->key);
}

int acct_by_count(const void *a, const void *b)
{
	const struct refusal *x = a, *y = b;
	int order = more_first(x->sum.count, y->sum.count);

	return order ? order : acct_by_refusal_key(x, y);
}

void acct_sort(struct acct_view *view)
{
	struct accounts *now = &view->now;

	if (now->n_accounts)
		qsort(now->accounts, now->n_accounts, sizeof(*now->accounts),
		      account_order);
	if (now->n_quotas)
		qsort(now->quotas, now->n_quotas, sizeof(*now->quotas),
		      quota_order);
	if (now->n_claims)
		qsort(now->claims, now->n_claims, sizeof(*now->claims),
		      claim_order);
	if (view->n_refusals)
		qsort(view->refusals, view->n_refusals,
		      sizeof(*view->refusals), acct_by_count);
}

/* In 7 columns: beyond that as K, M, G, T of 1024 */
static void print_amount(uint64_t n)
{
	static const char unit[] = "KMGTPE";
	double v = n;
	int i;

	if (n < 10000000) {
		printf(" %7" PRIu64, n);
		return;
	}
	for (i = -1; v >= 1024; i++)
		v /= 1024;
	printf(" %*.*f%c", 6, v == (uint64_t)v ? 0 : 1, v, unit[i]);
}

static void print_more(size_t shown, size_t all)
{
	if (shown < all)
		printf("%5s and %zu more\n", "", all - shown);
}

static void print_short(uint64_t n)
{
	char buf[AMOUNT_SIZE];

	format_amount(buf, n);
	fputs(buf, stdout);
}

static void print_account(const struct account *a, bool refused)
{
	uint64_t users = 0;
	int i;

	printf("%5" PRIu64, a->uid);
	for (i = 0; i < N_RESOURCES; i++) {
		uint64_t used = a->max[i] - a->left[i];

		print_amount(used);
		print_amount(a->max[i]);
		printf(" %3u%%", acct_share(used, a->max[i]));
		if (a->foreign[i] > users)
			users = a->foreign[i];
	}
	printf(" %6" PRIu64, users);
	if (refused)
		print_amount(a->refused);
	putchar('\n');
}

static void print_accounts(const struct acct_view *view, size_t max)
{
	const struct accounts *now = &view->now;
	size_t i, shown = 0, all = 0;

	printf("%5s %7s %7s %4s %7s %7s %4s %6s%s\n", "OWNER", "OBJECTS",
	       "MAX", "USED", "BYTES", "MAX", "USED", "OTHERS",
	       view->number ? " REFUSED" : "");
	for (i = 0; i < now->n_accounts; i++) {
		if (!now->accounts[i].wanted)
			continue;
		if (all++ < max) {
			print_account(&now->accounts[i], view->number);
			shown++;
		}
	}
	print_more(shown, all);
}

static void print_quotas(const struct acct_view *view, size_t max)
{
	const struct accounts *now = &view->now;
	size_t i, shown = 0, all = 0;

	printf("%5s %5s %7s %7s %7s%s\n", "OWNER", "BY", "PEERS", "OBJECTS",
	       "BYTES", view->number ? " REFUSED" : "");
	for (i = 0; i < now->n_quotas; i++) {
		const struct quota *q = &now->quotas[i];

		if (!q->wanted || all++ >= max)
			continue;
		shown++;
		printf("%5u %5u", q->owner, q->claimant);
		print_amount(quota_peers(q));
		print_amount(q->held[BUS1_RESOURCE_OBJECTS]);
		print_amount(q->held[BUS1_RESOURCE_BYTES]);
		if (view->number)
			print_amount(q->refused);
		putchar('\n');
	}
	print_more(shown, all);
}

/* Long numbers take their room from the name. */
static void print_who(uint32_t owner, uint32_t claimant, const char *comm,
		      uint64_t peer, uint32_t pid)
{
	char number[16] = "-";
	int width = NAME;

	if (pid)
		snprintf(number, sizeof(number), "%u", pid);
	width -= printf("%5u %5u ", owner, claimant) - 12;
	width -= strlen(number) > 6 ? (int)strlen(number) - 6 : 0;
	print_peer(comm, peer, width);
	printf(" %6s", number);
}

static void print_claim(const struct claim *claim, bool flow)
{
	const struct peer *peer = peers_find(claim->key.peer);
	const char *what = symbol_resource(claim->key.resource);

	print_who(claim->key.owner, claim->key.claimant,
		  peers_name(claim->key.peer), claim->key.peer,
		  peer ? peer->pid : 0);
	printf(" %-7s", what ? what : "?");
	print_amount(claim->held);
	if (claim->has_limit) {
		print_amount(claim->limit);
		printf(" %3u%%", acct_share(claim->held, claim->limit));
	} else {
		printf(" %7s %4s", "-", "-");
	}
	if (flow) {
		print_amount(claim->flow.charged);
		print_amount(claim->flow.discharged);
	}
	putchar('\n');
}

static void print_claims(const struct acct_view *view, size_t max)
{
	size_t i, n = view->now.n_claims;

	printf("%5s %5s %-*s %6s %-7s %7s %7s %4s%s\n", "OWNER", "BY", NAME,
	       "PEER", "PID", "WHAT", "HOLDS", "MAY", "USED",
	       view->number ? " CHARGED    BACK" : "");
	for (i = 0; i < n && i < max; i++)
		print_claim(&view->now.claims[i], view->number);
	print_more(i, n);
}

static const char *or_number(const char *symbol, uint64_t v, char *buf,
			     size_t size)
{
	if (symbol)
		return symbol;
	snprintf(buf, size, "%" PRIu64, v);
	return buf;
}

void acct_text_refusals(const struct refusal *refusals, size_t n, size_t max)
{
	char op[24], level[24];
	size_t i;

	if (!n)
		return;
	printf("%8s %5s %5s %-*s %6s %-8s %-5s %s\n", "REFUSED", "OWNER", "BY",
	       NAME, "PEER", "PID", "CALL", "LEVEL", "HELD+ASKED>MAY");
	for (i = 0; i < n && i < max; i++) {
		const struct bus1_refusal_key *k = &refusals[i].key;
		const struct bus1_refusal *r = &refusals[i].sum;

		print_amount(r->count);
		putchar(' ');
		print_who(k->owner, k->claimant, k->pid ? r->comm : "others",
			  k->peer, k->pid);
		printf(" %-8s %-5s ",
		       or_number(symbol_op(k->op), k->op, op, sizeof(op)),
		       or_number(symbol_level(k->level), k->level, level,
				 sizeof(level)));
		print_short(r->held);
		putchar('+');
		print_short(r->amount);
		putchar('>');
		print_short(r->limit);
		printf("%s\n",
		       k->resource == BUS1_RESOURCE_OBJECTS ? "o" :
		       k->resource == BUS1_RESOURCE_BYTES   ? "B" :
							      "");
	}
	print_more(i, n);
}

static void print_title(const struct acct_view *view)
{
	printf("interval %" PRIu64 ", %.1f s: ", view->number,
	       (view->now.time - view->start) / 1e9);
	print_short(view->charges);
	printf(" charges, ");
	print_short(view->discharges);
	printf(" back, ");
	print_short(view->refused);
	printf(" refused\n");
	if (view->uncounted)
		printf("At least: %" PRIu64 " more events found a map full.\n",
		       view->uncounted);
	if (view->error)
		printf("(accounts unreadable: %s)\n", strerror(-view->error));
}

void acct_text(const struct acct_view *view)
{
	size_t few = SIZE_MAX, claims = SIZE_MAX, i, accounts = 0, quotas = 0;

	for (i = 0; i < view->now.n_accounts; i++)
		accounts += view->now.accounts[i].wanted;
	for (i = 0; i < view->now.n_quotas; i++)
		quotas += view->now.quotas[i].wanted;
	if (options.lines) {
		claims = options.lines < LINES_FIXED + N_TABLES ?
				 N_TABLES :
				 options.lines - LINES_FIXED;
		few = claims / N_TABLES;
		if (few > ROWS_FEW)
			few = ROWS_FEW;
		claims -= (accounts < few ? accounts : few) +
			  (quotas < few ? quotas : few) +
			  (view->n_refusals < few ? view->n_refusals : few);
	}

	if (view->number)
		print_title(view);
	if (!view->error) {
		print_accounts(view, few);
		print_quotas(view, few);
	}
	print_claims(view, claims);
	acct_text_refusals(view->refusals, view->n_refusals, few);
}

static void json_name(uint32_t pid, const char *comm)
{
	printf(",\"pid\":%u,\"comm\":", pid);
	json_string(comm);
}

/* A word, or a number where the word is not known */
static void json_symbol(const char *key, const char *symbol, uint64_t v)
{
	if (symbol)
		printf(",\"%s\":\"%s\"", key, symbol);
	else
		printf(",\"%s\":%" PRIu64, key, v);
}

static void json_account(const struct account *a, bool refused)
{
	int i;

	printf("{\"type\":\"account\",\"owner\":%" PRIu64, a->uid);
	for (i = 0; i < N_RESOURCES; i++) {
		const char *what = symbol_resource(i);

		printf(",\"max_%s\":%" PRIu64 ",\"left_%s\":%" PRIu64
		       ",\"foreign_%s\":%" PRIu64,
		       what, a->max[i], what, a->left[i], what, a->foreign[i]);
	}
	if (refused)
		printf(",\"refused\":%" PRIu64, a->refused);
	printf("}\n");
}

static void json_quota(const struct quota *q, bool refused)
{
	int i;

	printf("{\"type\":\"quota\",\"owner\":%u,\"claimant\":%u", q->owner,
	       q->claimant);
	for (i = 0; i < N_RESOURCES; i++) {
		const char *what = symbol_resource(i);

		printf(",\"%s\":%" PRIu64 ",\"left_%s\":%" PRIu64
		       ",\"peers_%s\":%" PRIu64,
		       what, q->held[i], what, q->left[i], what, q->peers[i]);
	}
	if (refused)
		printf(",\"refused\":%" PRIu64, q->refused);
	printf("}\n");
}

static void json_claim(const struct claim *claim, bool flow)
{
	const struct bus1_flow_key *k = &claim->key;
	const struct peer *peer = peers_find(k->peer);

	printf("{\"type\":\"claim\",\"owner\":%u,\"claimant\":%u,\"peer\":%llu",
	       k->owner, k->claimant, k->peer);
	json_symbol("resource", symbol_resource(k->resource), k->resource);
	printf(",\"held\":%" PRIu64, claim->held);
	if (claim->has_limit)
		printf(",\"limit\":%" PRIu64, claim->limit);
	if (flow)
		printf(",\"charged\":%llu,\"discharged\":%llu,\"charges\":%llu,\"discharges\":%llu,\"refused\":%" PRIu64,
		       claim->flow.charged, claim->flow.discharged,
		       claim->flow.charges, claim->flow.discharges,
		       claim->refused);
	if (peer && peer->has_name)
		json_name(peer->pid, peer->comm);
	printf("}\n");
}

static void json_refusal(const struct refusal *refusal)
{
	const struct bus1_refusal_key *k = &refusal->key;
	const struct bus1_refusal *r = &refusal->sum;

	printf("{\"type\":\"refusal\",\"owner\":%u,\"claimant\":%u,\"peer\":%llu",
	       k->owner, k->claimant, k->peer);
	json_symbol("resource", symbol_resource(k->resource), k->resource);
	json_symbol("level", symbol_level(k->level), k->level);
	json_symbol("op", symbol_op(k->op), k->op);
	printf(",\"count\":%llu,\"amount\":%llu,\"held\":%llu,\"limit\":%llu",
	       r->count, r->amount, r->held, r->limit);
	if (k->pid)
		json_name(k->pid, r->comm);
	printf("}\n");
}

void acct_json(const struct acct_view *view)
{
	const struct accounts *now = &view->now;
	size_t i;

	if (view->number)
		printf("{\"type\":\"interval\",\"number\":%" PRIu64
		       ",\"start\":%" PRIu64 ",\"time\":%" PRIu64
		       ",\"accounts\":%s,\"charges\":%" PRIu64
		       ",\"discharges\":%" PRIu64 ",\"refusals\":%" PRIu64
		       ",\"uncounted\":%" PRIu64 "}\n",
		       view->number, view->start, now->time,
		       view->error ? "false" : "true",
		       view->charges, view->discharges,
		       view->refused, view->uncounted);
	else
		printf("{\"type\":\"accounts\",\"schema\":\"%d.%d\",\"time\":%" PRIu64
		       "}\n",
		       BUS1_TRACE_SCHEMA_MAJOR, BUS1_TRACE_SCHEMA_MINOR,
		       now->time);
	for (i = 0; i < now->n_accounts; i++)
		if (now->accounts[i].wanted)
			json_account(&now->accounts[i], view->number);
	for (i = 0; i < now->n_quotas; i++)
		if (now->quotas[i].wanted)
			json_quota(&now->quotas[i], view->number);
	for (i = 0; i < now->n_claims; i++)
		json_claim(&now->claims[i], view->number);
	for (i = 0; i < view->n_refusals; i++)
		json_refusal(&view->refusals[i]);
}
