/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_QUOTA_H
#define _BUS1_QUOTA_H

/**
 * DOC: who may claim how much
 *
 * The arithmetic of accounting: no locks, no memory, one resource at a time
 * (acct.c does the rest). Three levels share what a user may have pinned:
 *
 *   user    has a maximum; each user who claims from it has a quota there
 *   quota   has what it claimed from the user; each peer of the claiming user
 *           has a trace there
 *   trace   what one peer has claimed
 *
 * A claim passes a level if
 *
 *	(charge + share) * A(n) - share <= left
 *
 * with @share what the claimant holds there already, @left what nobody has
 * claimed, and n the claimants that hold some, this one included. So whoever
 * comes next finds something left:
 *
 *   between the peers of one user A = 2: each may have half of what is left
 *   between foreign users A(n) = (n + 1) * ceil(log2(n + 1)) + (n + 1): each
 *   gets the less the more they are, and all together never everything
 *   a user that claims from itself is limited only by what is left
 *
 * A quota claims from its user just what it lacks to let a trace pass. When a
 * trace gives back, its quota keeps of what nobody in it has claimed at most
 * the average of its traces: ceil(claimed / n), and with no claimant nothing.
 *
 * Not promised: that what was refused now is refused in a moment, or that what
 * is free now is still free then. Everything is first come, first served within
 * the limits above.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/types.h>

/**
 * struct bus1_level - one resource of a user, or of a quota
 * @held: the user's maximum; or what the quota has claimed from the user
 * @left: of that, what no claimant has claimed; at most @held
 * @n:    claimants that hold some. At a user only foreign quotas count
 */
struct bus1_level {
	u64 held;
	u64 left;
	u64 n;
};

/**
 * struct bus1_claim - a trace, and where it claims
 * @user:    the user's level
 * @quota:   that of the claiming user there
 * @trace:   what the claiming peer holds; part of @quota->held - @quota->left
 * @foreign: the claiming user is not the one it claims from
 */
struct bus1_claim {
	struct bus1_level *user;
	struct bus1_level *quota;
	u64 *trace;
	bool foreign;
};

/* A(n); n is the number of users, so nothing here comes near an overflow. */
static inline u64 bus1_quota_factor(u64 n)
{
	/* fls64(n) is ceil(log2(n + 1)). */
	return (n + 1) * (fls64(n) + 1);
}

/* Of the claiming user among the foreign ones, of which it is one. */
static inline u64 bus1_quota_user_factor(const struct bus1_claim *claim)
{
	return bus1_quota_factor(claim->user->n + !claim->quota->held);
}

/* What must be left for @charge to pass. False: more than there can be. */
static inline bool bus1_quota_need(u64 charge, u64 share, u64 factor, u64 *need)
{
	return !check_add_overflow(charge, share, need) &&
	       !check_mul_overflow(*need, factor, need) &&
	       !check_sub_overflow(*need, share, need);
}

/* May the quota claim @missing from the user? */
static inline bool bus1_quota_pass_user(const struct bus1_claim *claim,
					u64 missing)
{
	u64 need;

	if (!missing)
		return true;
	if (!claim->foreign)
		return missing <= claim->user->left;
	return bus1_quota_need(missing, claim->quota->held,
			       bus1_quota_user_factor(claim), &need) &&
	       need <= claim->user->left;
}

/**
 * bus1_quota_check() - may a peer claim this much?
 * @claim:   who, and where
 * @amount:  how much
 * @missing: what the quota must claim from its user for it
 *
 * Changes nothing. Return: 0; -EXFULL if it would pass but for what must stay in
 * reserve for other peers of the claiming user; -EDQUOT if not even then.
 */
static inline int bus1_quota_check(const struct bus1_claim *claim, u64 amount,
				   u64 *missing)
{
	const u64 left = claim->quota->left;
	u64 need;

	*missing = 0;
	if (!amount)
		return 0;
	if (bus1_quota_need(amount, *claim->trace, 2, &need)) {
		*missing = need > left ? need - left : 0;
		if (bus1_quota_pass_user(claim, *missing))
			return 0;
	}
	if (bus1_quota_pass_user(claim, amount > left ? amount - left : 0))
		return -EXFULL;
	return -EDQUOT;
}

/**
 * bus1_quota_limit() - the most a peer could hold right now
 * @claim: who, and where
 *
 * Return: what the trace can reach by one more charge; what it holds, if that
 * is more, as it can be after a receipt.
 */
static inline u64 bus1_quota_limit(const struct bus1_claim *claim)
{
	const u64 held = claim->quota->held;
	u64 more = claim->user->left;

	/* Parts of one maximum are added here: no overflow. */
	if (claim->foreign) {
		more = (more + held) / bus1_quota_user_factor(claim);
		more -= min(more, held);
	}
	/* (charge + share) * 2 - share <= left + more */
	more = (claim->quota->left + more + *claim->trace) / 2;
	return max(more, *claim->trace);
}

/**
 * bus1_quota_take() - claim
 * @claim:   who, and where
 * @amount:  how much
 * @missing: from bus1_quota_check(), which passed
 */
static inline void bus1_quota_take(const struct bus1_claim *claim, u64 amount,
				   u64 missing)
{
	if (!amount)
		return;
	claim->user->n += claim->foreign && !claim->quota->held;
	claim->user->left -= missing;
	claim->quota->held += missing;
	claim->quota->left += missing - amount;
	claim->quota->n += !*claim->trace;
	*claim->trace += amount;
}

/* The quota returns to the user what it may not keep. */
static inline void bus1_quota_trim(const struct bus1_claim *claim)
{
	struct bus1_level *quota = claim->quota;
	const u64 claimed = quota->held - quota->left;
	u64 keep = claimed;

	if (quota->n > 1)
		keep = claimed / quota->n + !!(claimed % quota->n);
	if (quota->left > keep) {
		claim->user->left += quota->left - keep;
		quota->held -= quota->left - keep;
		quota->left = keep;
		claim->user->n -= claim->foreign && !quota->held;
	}
}

/**
 * bus1_quota_give() - give back
 * @claim:  who, and where
 * @amount: how much, at most what the trace holds
 */
static inline void bus1_quota_give(const struct bus1_claim *claim, u64 amount)
{
	if (!amount)
		return;
	*claim->trace -= amount;
	claim->quota->n -= !*claim->trace;
	claim->quota->left += amount;
	bus1_quota_trim(claim);
}

/**
 * bus1_quota_move() - what one peer claimed becomes another's
 * @from:   who gives
 * @to:     who gets; @from->user is @to->user
 * @amount: how much: more than 0, at most what @from's trace holds
 *
 * Needs no check: what is pinned of the user is the same before and after.
 */
static inline void bus1_quota_move(const struct bus1_claim *from,
				   const struct bus1_claim *to, u64 amount)
{
	*from->trace -= amount;
	from->quota->n -= !*from->trace;
	from->quota->held -= amount;
	from->user->n -= from->foreign && !from->quota->held;

	to->user->n += to->foreign && !to->quota->held;
	to->quota->held += amount;
	to->quota->n += !*to->trace;
	*to->trace += amount;

	bus1_quota_trim(from);
}

#endif /* _BUS1_QUOTA_H */
