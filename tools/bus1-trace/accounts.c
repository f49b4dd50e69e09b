// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: accounts
 *
 * /sys/kernel/debug/bus1/accounts: a user's line is followed by its quotas, and
 * each quota's by its traces. From these three is computed what each peer could
 * hold, which is bus1_quota_limit() of the module's quota.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "acct.h"

/* Of an account, what is next to nothing, though more may not be had */
#define TRIFLE 256
#define ACCOUNTS "/sys/kernel/debug/bus1/accounts"

static uint64_t value(const char *line, const char *prefix, int resource)
{
	char key[32];

	snprintf(key, sizeof(key), "%s%s", prefix, symbol_resource(resource));
	return object_value(line, key);
}

static uint64_t ceil_log2(uint64_t n)
{
	uint64_t log = 0;

	while (log < 63 && 1ULL << log < n)
		log++;
	return log;
}

/* @n: foreign users that hold some; the claiming one does */
static uint64_t user_factor(uint64_t n)
{
	return (n + 1) * ceil_log2(n + 1) + (n + 1);
}

/* What a peer that holds @trace could hold, by the lines it stands under. */
static uint64_t limit(const struct account *user, const struct quota *quota,
		      int resource, uint64_t trace)
{
	uint64_t held = quota->held[resource], left = quota->left[resource];
	uint64_t more = user->left[resource];

	if (quota->owner != quota->claimant) {
		more = (more + held) / user_factor(user->foreign[resource]);
		more -= more < held ? more : held;
	}
	more = (left + more + trace) / 2;
	return more > trace ? more : trace;
}

struct claim *accounts_add_claim(struct accounts *a)
{
	struct claim *claim;

	a->claims = grow(a->claims, a->n_claims, sizeof(*a->claims));
	claim = &a->claims[a->n_claims++];
	memset(claim, 0, sizeof(*claim));
	return claim;
}

static void add_quota(struct accounts *a, const char *line)
{
	const struct account *account = &a->accounts[a->n_accounts - 1];
	struct quota *quota;
	unsigned int share;
	int i;

	a->quotas = grow(a->quotas, a->n_quotas, sizeof(*a->quotas));
	quota = &a->quotas[a->n_quotas++];
	memset(quota, 0, sizeof(*quota));
	quota->owner = object_value(line, "uid");
	quota->claimant = object_value(line, "claimant");
	for (i = 0; i < N_RESOURCES; i++) {
		quota->held[i] = value(line, "", i);
		quota->left[i] = value(line, "left_", i);
		quota->peers[i] = value(line, "peers_", i);
		share = acct_share(quota->held[i], account->max[i]);
		if (share > quota->share)
			quota->share = share;
	}
}

static void add_trace(struct accounts *a, const char *line)
{
	size_t account = a->n_accounts - 1, quota = a->n_quotas - 1;
	const struct account *user = &a->accounts[account];
	struct claim *claim;
	uint64_t held;
	int i;

	for (i = 0; i < N_RESOURCES; i++) {
		held = value(line, "", i);
		if (!held)
			continue;
		claim = accounts_add_claim(a);
		claim->key.owner = object_value(line, "uid");
		claim->key.claimant = object_value(line, "claimant");
		claim->key.peer = object_value(line, "peer");
		claim->key.resource = i;
		claim->held = held;
		claim->limit = limit(user, &a->quotas[quota], i, held);
		if (held >= user->max[i] / TRIFLE)
			claim->near = acct_share(held, claim->limit);
		claim->account = account;
		claim->quota = quota;
		claim->has_limit = true;
	}
}

static void add_account(struct accounts *a, const char *line)
{
	struct account *account;
	int i;

	a->accounts = grow(a->accounts, a->n_accounts, sizeof(*a->accounts));
	account = &a->accounts[a->n_accounts++];
	memset(account, 0, sizeof(*account));
	account->uid = object_value(line, "uid");
	for (i = 0; i < N_RESOURCES; i++) {
		account->max[i] = value(line, "max_", i);
		account->left[i] = value(line, "left_", i);
		account->foreign[i] = value(line, "foreign_", i);
	}
}

void accounts_parse(struct accounts *a, const char *line)
{
	if (!strncmp(line, "bus1-accounts ", 14))
		a->time = object_value(line, "time");
	else if (!strncmp(line, "user ", 5))
		add_account(a, line);
	else if (!strncmp(line, "quota ", 6) && a->n_accounts)
		add_quota(a, line);
	else if (!strncmp(line, "trace ", 6) && a->n_quotas && a->n_accounts)
		add_trace(a, line);
}

/* Returns 0, or a negative errno. */
int accounts_read(struct accounts *a)
{
	FILE *file = fopen(ACCOUNTS, "re");
	char *line = NULL;
	size_t size = 0;
	int error = 0;

	memset(a, 0, sizeof(*a));
	if (!file)
		return -errno;
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		accounts_parse(a, line);
	}
	if (!feof(file))
		error = errno ? -errno : -EIO;
	free(line);
	fclose(file);
	if (error)
		accounts_free(a);
	return error;
}

void accounts_free(struct accounts *a)
{
	free(a->accounts);
	free(a->quotas);
	free(a->claims);
	memset(a, 0, sizeof(*a));
}
