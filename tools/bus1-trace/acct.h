/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_ACCT_H
#define _BUS1_TRACE_ACCT_H

/*
 * DOC: the parts of acct
 *
 *   acct.c       the verb: when to look, and how it ends
 *   accounts.c   the accounts as they are now
 *   sums.c       what was charged, given back and refused meanwhile
 *   acct-join.c  the two together
 *   acct-show.c  that, as a screen or as records
 */
#include "bus1-trace.h"
#include "bus1_acct.h"

#define N_RESOURCES 2

/* accounts.c */
struct account {
	uint64_t uid;
	uint64_t max[N_RESOURCES];
	uint64_t left[N_RESOURCES];
	uint64_t foreign[N_RESOURCES]; /* other users that hold some */
	uint64_t refused; /* meanwhile */
	bool wanted; /* something of it passes the filters */
};

/* What one user has claimed from an account, for all its peers */
struct quota {
	uint32_t owner, claimant;
	uint64_t held[N_RESOURCES];
	uint64_t left[N_RESOURCES]; /* of that, what no peer of it holds */
	uint64_t peers[N_RESOURCES]; /* that hold some */
	uint64_t refused; /* meanwhile */
	unsigned int share; /* the larger, in percent of the account */
	bool wanted;
};

/* What a peer holds of one resource of one account */
struct claim {
	struct bus1_flow_key key;
	uint64_t held, limit;
	size_t account, quota; /* where it stands in struct accounts */
	unsigned int near; /* percent of the limit; 0 if it is next to nothing */
	bool has_limit; /* else it is in no account any more; nor are these */
	struct bus1_flow flow; /* meanwhile */
	uint64_t refused; /* meanwhile */
};

struct accounts {
	struct account *accounts;
	size_t n_accounts;
	struct quota *quotas;
	size_t n_quotas;
	struct claim *claims;
	size_t n_claims;
	uint64_t time;
};

int accounts_read(struct accounts *accounts);
void accounts_free(struct accounts *accounts);
struct claim *accounts_add_claim(struct accounts *accounts);

/* sums.c */
struct refusal {
	struct bus1_refusal_key key;
	struct bus1_refusal sum;
};

/* What was counted between two readings */
struct sums {
	struct bus1_flow_key *flow_keys;
	struct bus1_flow *flows;
	struct bus1_refusal_key *refusal_keys;
	struct bus1_refusal *refusals;
	uint32_t n_flows, n_refusals;
	uint64_t map_full; /* events, since the start */
};

struct summer;

struct summer *summer_attach(const struct probe_options *options, bool raw,
			     int *error);
void summer_detach(struct summer *summer);
void summer_free(struct summer *summer);
int summer_matches(struct summer *summer);
/* What was counted since the last time; it is the summer's. */
int summer_take(struct summer *summer, const struct sums **sums);
void summer_counts(struct summer *summer, struct bus1_count *sum);
uint64_t summer_missed(struct summer *summer);

/* acct-join.c */
struct acct_view {
	struct accounts now;
	int error; /* why there are no accounts, or 0 */
	struct refusal *refusals; /* the most frequent first */
	size_t n_refusals;
	uint64_t count[ACCT_MAX]; /* events */
	uint64_t uncounted; /* events that found a map full */
	uint64_t number, start; /* of the interval; no number: a snapshot */
	size_t lines;
	bool timestamps;
};

/* Refusals of all intervals, by key */
struct acct_total {
	struct refusal *refusals;
	size_t n;
};

void acct_join(struct acct_view *view, const struct sums *sums);
/* @forgotten as of peers_bury() */
void acct_bury(const struct sums *sums, void (*forgotten)(uint64_t id));
void acct_filter(struct acct_view *view, const struct probe_options *options);
void acct_total(const struct acct_view *view, struct acct_total *total);
int acct_by_flow_key(const struct bus1_flow_key *x,
		     const struct bus1_flow_key *y);
int acct_by_refusal_key(const void *a, const void *b);

/* acct-show.c */
void acct_sort(struct acct_view *view);
void acct_text(const struct acct_view *view);
void acct_text_refusals(const struct refusal *refusals, size_t n, size_t max);
void acct_json(const struct acct_view *view);
int acct_by_count(const void *a, const void *b);
/* In percent, rounded down: who is at his limit has 100. */
unsigned int acct_share(uint64_t part, uint64_t whole);

#endif /* _BUS1_TRACE_ACCT_H */
