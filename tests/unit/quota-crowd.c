// SPDX-License-Identifier: GPL-2.0-only
/*
 * quota-crowd [MAXIMUM]...
 *
 * DOC: what a crowd leaves to others
 *
 * Lets k foreign users, one after the other, claim from one user as kmod/quota.h
 * allows, and prints what is left then: of the maximum, for a peer of the owner
 * who had claimed nothing, and for a peer of a foreign user who comes next.
 *
 * A foreign user can claim at most 1 / A(n) of what the others have not claimed.
 * Of those who hold something, whoever claimed last did so beside all the others,
 * so k of them leave at least the product of 1 - 1 / A(n) for n = 1..k, in which
 * order ever they come and go; and that is what those leave who each claim all
 * they can, one after the other.
 */
#include "quota.h"

#include "quota-model.h"
#include "tap.h"

static const u64 crowds[] = { 0, 1, 2, 10, 100, 1000, 10000, 65536, 1000000 };

/* What a peer can have whose user has claimed nothing yet. */
static u64 newcomer(struct bus1_level *user, bool foreign)
{
	struct bus1_level quota = {};
	u64 trace = 0;
	const struct bus1_claim claim = { user, &quota, &trace, foreign };

	return bus1_quota_limit(&claim);
}

/* One more user claims, for a single peer or for as many as get something. */
static bool join(struct bus1_level *user, u64 at_most, bool many)
{
	struct bus1_level quota = {};
	u64 trace, amount, missing;
	const struct bus1_claim claim = { user, &quota, &trace, true };

	do {
		trace = 0;
		amount = min(at_most, bus1_quota_limit(&claim));
		if (bus1_quota_check(&claim, amount, &missing))
			return false;
		bus1_quota_take(&claim, amount, missing);
	} while (many && amount);
	return true;
}

static bool crowd(u64 maximum, u64 at_most, bool many)
{
	struct bus1_level user = { .held = maximum, .left = maximum };
	u64 least = maximum, k = 0;
	size_t i;

	for (i = 0; i < sizeof(crowds) / sizeof(*crowds); i++) {
		for (; k < crowds[i]; k++) {
			if (!join(&user, at_most, many))
				return false;
			least -= least / (u64)model_factor(k + 1);
			if (user.left < least || !newcomer(&user, false))
				return false;
		}
		diag("k=%-7llu left %7.3f %%  owner's peer %9llu  next %9llu",
		     k, 100.0 * user.left / maximum, newcomer(&user, false),
		     newcomer(&user, true));
	}
	if (user.n < k)
		diag("only the first %llu got something", user.n);
	return true;
}

/*
 * A foreign peer sends handles, the owner's receives and keeps them. No check
 * can stop that; the owner's own charges are checked beside what it keeps.
 */
static bool receipts(u64 maximum)
{
	struct bus1_level user = { .held = maximum, .left = maximum };
	struct bus1_level quotas[2] = {};
	u64 traces[2] = {}, amount, missing, n = 0, full = 0;
	const struct bus1_claim from = { &user, &quotas[0], &traces[0], true };
	const struct bus1_claim to = { &user, &quotas[1], &traces[1], false };

	while ((amount = bus1_quota_limit(&from))) {
		if (bus1_quota_check(&from, amount, &missing))
			return false;
		bus1_quota_take(&from, amount, missing);
		bus1_quota_move(&from, &to, amount);
		n++;
		if (full || bus1_quota_limit(&to) > traces[1])
			continue;
		full = n;
		diag("after %llu receipts it can make nothing more, %.3f %% are left",
		     n, 100.0 * user.left / maximum);
	}
	diag("after %llu receipts nobody can send to it, %llu are left", n,
	     user.left);
	return traces[1] == maximum - user.left;
}

static void table(u64 maximum)
{
	diag("of %llu, foreign users with one peer each claim all they can",
	     maximum);
	ok(crowd(maximum, ~0ull, false),
	   "they leave the owner something of %llu", maximum);
	diag("the same, each with as many peers as get something");
	ok(crowd(maximum, ~0ull, true),
	   "they leave the owner something of %llu", maximum);
	diag("the same, each with one peer that claims only 1");
	ok(crowd(maximum, 1, false),
	   "they leave the owner something of %llu", maximum);
	diag("the owner's peer keeps all handles a foreign one can send it");
	ok(receipts(maximum), "a receipt cannot fail, maximum %llu", maximum);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		table(strtoull(argv[i], NULL, 0));
	if (argc == 1) {
		table(1 << 20); /* the default of max_objects */
		table(1 << 30); /* and of max_bytes */
	}
	return done_testing();
}
