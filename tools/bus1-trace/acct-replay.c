// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: acct-replay
 *
 * The accounts at any point of a recording. It has them as they were after its
 * begin, and each event says how much there is after it; so it does not matter
 * that some events are in both.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "acct.h"

/* A line of debugfs: an account, a quota or a trace, which has a peer */
struct level {
	uint32_t owner, claimant;
	uint64_t peer;
	bool account;
	uint64_t held[N_RESOURCES]; /* of an account, the maximum */
	uint64_t left[N_RESOURCES];
	uint64_t n[N_RESOURCES]; /* those below it that hold some */
	struct table_entry entry;
};

static struct table levels;

#define LEVEL(e) ((struct level *)((char *)(e) - offsetof(struct level, entry)))

/* As debugfs has them: users, below them quotas, below them traces */
static int by_place(const void *a, const void *b)
{
	const struct level *x = *(struct level *const *)a;
	const struct level *y = *(struct level *const *)b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	if (x->account != y->account)
		return x->account ? -1 : 1;
	if (x->claimant != y->claimant)
		return x->claimant < y->claimant ? -1 : 1;
	return (x->peer > y->peer) - (x->peer < y->peer);
}

static struct level *get(uint32_t owner, uint32_t claimant, uint64_t peer,
			 bool account)
{
	struct level key = {
		.owner = owner,
		.claimant = claimant,
		.peer = peer,
		.account = account,
	}, *level = &key;
	uint64_t users = (uint64_t)owner << 32 | claimant;
	uint64_t hash = table_hash(users, peer, account);
	struct table_entry *e = table_first(&levels, hash);
	const struct level *wanted = &key;

	for (; e; e = table_next(e)) {
		level = LEVEL(e);
		if (!by_place(&level, &wanted))
			return level;
	}
	level = malloc(sizeof(*level));
	if (!level) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	*level = key;
	table_add(&levels, &level->entry, hash);
	return level;
}

void accounts_line(const char *line)
{
	uint32_t owner = object_value(line, "uid");
	uint32_t claimant = object_value(line, "claimant");
	uint64_t peer = object_value(line, "peer");
	struct level *level;
	char key[32];
	int i;

	if (!strncmp(line, "user ", 5))
		level = get(owner, 0, 0, true);
	else if (!strncmp(line, "quota ", 6))
		level = get(owner, claimant, 0, false);
	else if (!strncmp(line, "trace ", 6) && peer)
		level = get(owner, claimant, peer, false);
	else
		return;
	for (i = 0; i < N_RESOURCES; i++) {
		snprintf(key, sizeof(key), "%s%s", level->account ? "max_" : "",
			 symbol_resource(i));
		level->held[i] = object_value(line, key);
		snprintf(key, sizeof(key), "left_%s", symbol_resource(i));
		level->left[i] = object_value(line, key);
	}
}

void accounts_event(const struct bus1_event *event)
{
	const __u64 *a = event->arg;
	struct level *level;

	if ((event->type != EV_acct_charge &&
	     event->type != EV_acct_discharge) || a[3] >= N_RESOURCES)
		return;
	level = get(a[0], 0, 0, true);
	level->held[a[3]] = a[9];
	level->left[a[3]] = a[7];
	level = get(a[0], a[1], 0, false);
	level->held[a[3]] = a[8];
	level->left[a[3]] = a[6];
	if (!a[2])
		return;
	level = get(a[0], a[1], a[2], false);
	level->held[a[3]] = a[5];
}

static bool is_empty(const struct level *level)
{
	return !level->account && !level->held[0] && !level->held[1];
}

/* Its user is one no more; but is remembered, since he may come again. */
static bool is_idle(const struct level *level)
{
	return level->account && level->left[0] == level->held[0] &&
	       level->left[1] == level->held[1];
}

static void list(struct table_entry *entry, void *next)
{
	struct level *level = LEVEL(entry);

	/* what has gone may come again, as new as ever */
	if (is_empty(level)) {
		table_remove(&levels, entry);
		free(level);
		return;
	}
	memset(level->n, 0, sizeof(level->n));
	*(*(struct level ***)next)++ = level;
}

/* Counts below quotas and accounts what holds some. */
static void count(struct level **v, size_t n)
{
	struct level *account = NULL, *quota = NULL;
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		if (v[i]->account)
			account = v[i];
		else if (!v[i]->peer)
			quota = v[i];
		for (r = 0; r < N_RESOURCES; r++) {
			if (!v[i]->held[r] || v[i]->account)
				continue;
			if (v[i]->peer && quota)
				quota->n[r]++;
			else if (!v[i]->peer && account &&
				 v[i]->claimant != v[i]->owner)
				account->n[r]++;
		}
	}
}

static void put(struct accounts *accounts, const struct level *l)
{
	char line[512];

	if (l->account)
		snprintf(line, sizeof(line),
			 "user uid=%u max_objects=%" PRIu64
			 " left_objects=%" PRIu64 " foreign_objects=%" PRIu64
			 " max_bytes=%" PRIu64 " left_bytes=%" PRIu64
			 " foreign_bytes=%" PRIu64,
			 l->owner, l->held[0], l->left[0], l->n[0], l->held[1],
			 l->left[1], l->n[1]);
	else
		snprintf(line, sizeof(line),
			 "%s uid=%u claimant=%u peer=%" PRIu64
			 " objects=%" PRIu64 " left_objects=%" PRIu64
			 " peers_objects=%" PRIu64 " bytes=%" PRIu64
			 " left_bytes=%" PRIu64 " peers_bytes=%" PRIu64,
			 l->peer ? "trace" : "quota", l->owner, l->claimant,
			 l->peer, l->held[0], l->left[0], l->n[0], l->held[1],
			 l->left[1], l->n[1]);
	accounts_parse(accounts, line);
}

void accounts_recorded(struct accounts *accounts)
{
	struct level **v = calloc(levels.n + 1, sizeof(*v)), **next = v;
	size_t i, n;

	memset(accounts, 0, sizeof(*accounts));
	if (!v) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	table_each(&levels, list, &next);
	n = next - v;
	qsort(v, n, sizeof(*v), by_place);
	count(v, n);
	for (i = 0; i < n; i++)
		if (!is_idle(v[i]))
			put(accounts, v[i]);
	free(v);
}
