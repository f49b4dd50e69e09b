/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_QUOTA_MODEL_H
#define _TESTS_QUOTA_MODEL_H

/*
 * DOC: the rules of accounting, once more
 *
 * One resource of one user's account, written from the rules and not from
 * kmod/quota.h, to be run in lock-step with it. It keeps what was claimed and
 * nothing else: what is left, and how many claim, is counted anew each time.
 *
 * An amount of 0 claims nothing and returns nothing, so it does not make a level
 * give up what it has unclaimed either.
 *
 * Nothing overflows in here: amounts and maxima have 64 bit, so a charge with
 * its share has at most 65, what is missing for it 66, and the largest factor,
 * that of 2^32 users, 38. A refusal for overflow needs no rule of its own, then:
 * what does not fit 64 bit is more than any maximum.
 */
#include <errno.h>

#define MODEL_USERS 41 /* user 0 is the owner of the account */
#define MODEL_PEERS 4

typedef unsigned __int128 wide;

struct model {
	int users;
	int peers;
	wide maximum;
	wide quota[MODEL_USERS]; /* what a user has claimed for its peers */
	wide trace[MODEL_USERS][MODEL_PEERS];
};

/* (n+1) * ceil(log2(n+1)) + (n+1) */
static inline wide model_factor(wide n)
{
	wide log2 = 0, power;

	for (power = 1; power < n + 1; power *= 2)
		log2++;
	return (n + 1) * log2 + (n + 1);
}

static inline bool model_passes(wide charge, wide share, wide factor,
				wide remaining)
{
	return (charge + share) * factor - share <= remaining;
}

static inline wide model_claimed(const struct model *m, int user)
{
	wide sum = 0;
	int i;

	for (i = 0; i < m->peers; i++)
		sum += m->trace[user][i];
	return sum;
}

/* May a user claim this much of the account? */
static inline bool model_user_passes(const struct model *m, int user,
				     wide missing)
{
	wide remaining = m->maximum, n = 1;
	int i;

	for (i = 0; i < m->users; i++)
		remaining -= m->quota[i];
	if (!missing)
		return true;
	if (user == 0)
		return missing <= remaining;
	for (i = 1; i < m->users; i++)
		if (i != user && m->quota[i])
			n++;
	return model_passes(missing, m->quota[user], model_factor(n),
			    remaining);
}

/* 0, -EXFULL or -EDQUOT; @missing is what the user must claim for it */
static inline int model_check(const struct model *m, int user, int peer,
			      wide charge, wide *missing)
{
	const wide unclaimed = m->quota[user] - model_claimed(m, user);
	const wide share = m->trace[user][peer];
	const wide need = (charge + share) * 2 - share;

	*missing = 0;
	if (!charge)
		return 0;
	if (need > unclaimed)
		*missing = need - unclaimed;
	if (model_user_passes(m, user, *missing))
		return 0;
	/* Would it, if nothing had to stay in reserve for other peers? */
	*missing = charge > unclaimed ? charge - unclaimed : 0;
	return model_user_passes(m, user, *missing) ? -EXFULL : -EDQUOT;
}

static inline void model_charge(struct model *m, int user, int peer,
				wide charge, wide missing)
{
	m->quota[user] += missing;
	m->trace[user][peer] += charge;
}

/* A user keeps at most the average of its claimants, rounded up. */
static inline void model_return_rest(struct model *m, int user)
{
	const wide claimed = model_claimed(m, user);
	wide n = 0, keep = 0;
	int i;

	for (i = 0; i < m->peers; i++)
		n += m->trace[user][i] > 0;
	if (n)
		keep = (claimed + n - 1) / n;
	if (m->quota[user] - claimed > keep)
		m->quota[user] = claimed + keep;
}

static inline void model_discharge(struct model *m, int user, int peer,
				   wide amount)
{
	if (!amount)
		return;
	m->trace[user][peer] -= amount;
	model_return_rest(m, user);
}

/* The same units leave one quota and trace and enter another, unchecked. */
static inline void model_move(struct model *m, int user, int peer, int to,
			      int to_peer, wide amount)
{
	if (!amount)
		return;
	m->quota[user] -= amount;
	m->trace[user][peer] -= amount;
	m->quota[to] += amount;
	m->trace[to][to_peer] += amount;
	model_return_rest(m, user);
}

#endif /* _TESTS_QUOTA_MODEL_H */
