/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_ACCT_H
#define _BUS1_TRACE_ACCT_H

/*
 * DOC: the parts of acct
 *
 *   acct.c       the verb
 *   accounts.c   the accounts as they are now
 *   acct-sums.c  what was charged, given back and refused meanwhile
 *   acct-replay.c  both of a recording
 *   acct-join.c  the two together
 *   acct-show.c  that, as a screen or as records
 */
#include "interval.h"
#include "table.h"
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
/* The next line of debugfs */
void accounts_parse(struct accounts *accounts, const char *line);

/*
 * acct-replay.c, from a recording: a line of debugfs, as it was when it began; an
 * event; and what that amounts to.
 */
void accounts_line(const char *line);
void accounts_event(const struct bus1_event *event);
void accounts_recorded(struct accounts *accounts);

/* acct-sums.c: what happened in an interval */
struct flow {
	struct bus1_flow_key key;
	struct bus1_flow sum;
	struct table_entry entry;
};

struct refusal {
	struct bus1_refusal_key key;
	struct bus1_refusal sum;
	struct table_entry entry;
};

struct bpf_object *acct_open(void);
void acct_close(void);
int acct_turn(void);
int acct_read(void);
extern uint64_t acct_shown[EV_MAX];
void acct_sums_event(const struct bus1_event *event);
/* In no order; the array is the caller's to free. */
size_t acct_flows(struct flow ***list);
size_t acct_refusals(struct refusal **list);
void acct_sums_forget(void);

/* acct-join.c */
struct acct_view {
	struct accounts now;
	int error; /* why there are no accounts, or 0 */
	struct refusal *refusals; /* the most frequent first */
	size_t n_refusals;
	uint64_t charges, discharges, refused; /* events */
	uint64_t uncounted; /* events that found a map full */
	uint64_t number, start; /* of the interval; no number: a snapshot */
};

/* Refusals of all intervals, by key */
struct acct_total {
	struct refusal *refusals;
	size_t n;
};

void acct_join(struct acct_view *view);
void acct_filter(struct acct_view *view);
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
