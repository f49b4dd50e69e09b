// SPDX-License-Identifier: GPL-2.0-only
/* The stocks of those who claim from a user; what they are says acct.c. */
#include "stock.h"

#define BUS1_STOCKS 64 /* open at a time, for each user: all are shelved at once */

/* The trace no longer has what is in a stock. */
static void bus1_stock_give(struct bus1_trace *trace, u64 stock)
{
	struct bus1_claim claim;

	claim = bus1_trace_claim(trace, BUS1_RESOURCE_OBJECTS);
	bus1_quota_give(&claim, bus1_stock_objects(stock));
	claim = bus1_trace_claim(trace, BUS1_RESOURCE_BYTES);
	bus1_quota_give(&claim, (u32)stock);
}

/* Give back what is in a stock; from here on nothing is put in. */
void bus1_stock_close(struct bus1_trace *trace)
{
	struct bus1_user *user = trace->quota->user;
	u64 stock = atomic64_xchg(&trace->stock, 0);

	lockdep_assert_held(&user->lock);
	if (!(stock & BUS1_STOCK_OPEN))
		return;
	user->n_stocks--;
	list_del(&trace->stocked);
	bus1_stock_give(trace, stock);
}

/*
 * What has to be left to the user for a trace to claim a whole stock, whatever else
 * it has; not less than bus1_quota_check() wants. U64_MAX: more than there can be.
 */
static u64 bus1_stock_floor(const struct bus1_claim *claim, u64 room)
{
	u64 need;

	if (!bus1_quota_need(room, *claim->trace, 2, &need) ||
	    (claim->foreign &&
	     (check_add_overflow(need, claim->quota->held, &need) ||
	      check_mul_overflow(need, bus1_quota_user_factor(claim), &need))))
		return U64_MAX;
	return need;
}

/* Charged before, and now the start of a stock. False: it is to be given back. */
bool bus1_stock_open(struct bus1_trace *trace, u32 objects, u32 bytes)
{
	static const u64 room[] = { BUS1_STOCK_OBJECTS, BUS1_STOCK_BYTES };
	struct bus1_user *user = trace->quota->user;
	const u64 amount = bus1_stock(objects, bytes);
	u64 floor[BUS1_N_RESOURCES], *floors, left;
	struct bus1_claim claim;
	u32 r;

	lockdep_assert_held(&user->lock);
	if (!user->n_peers || !trace->n_ref || !bus1_stock_fits(amount) ||
	    trace_acct_charge_enabled() || trace_acct_discharge_enabled() ||
	    atomic64_read(&trace->stock))
		return false;
	for (r = 0; r < BUS1_N_RESOURCES; r++) {
		claim = bus1_trace_claim(trace, r);
		floor[r] = bus1_stock_floor(&claim, room[r]);
		left = claim.user->left;
		if (!claim.foreign)
			left += claim.quota->left;
		if (floor[r] > left)
			return false;
	}
	floors = claim.foreign ? user->foreign_floor : user->floor;
	for (r = 0; r < BUS1_N_RESOURCES; r++)
		floors[r] = max(floors[r], floor[r]);
	if (user->n_stocks == BUS1_STOCKS)
		bus1_stock_close(list_first_entry(&user->stocks,
						  struct bus1_trace, stocked));
	user->n_stocks++;
	list_add_tail(&trace->stocked, &user->stocks);
	atomic64_set(&trace->stock, BUS1_STOCK_OPEN | amount);
	return true;
}

/* Give back all stocks of a user, at most BUS1_STOCKS. */
void bus1_stocks_close(struct bus1_user *user)
{
	struct bus1_trace *trace, *tmp;

	list_for_each_entry_safe(trace, tmp, &user->stocks, stocked)
		bus1_stock_close(trace);
	memset(user->floor, 0, sizeof(user->floor));
	memset(user->foreign_floor, 0, sizeof(user->foreign_floor));
}

/* Those of foreign users: what they may claim depends on what others did. */
static void bus1_stocks_close_foreign(struct bus1_user *user)
{
	struct bus1_trace *trace, *tmp;

	list_for_each_entry_safe(trace, tmp, &user->stocks, stocked)
		if (!uid_eq(trace->quota->uid, user->uid))
			bus1_stock_close(trace);
	memset(user->foreign_floor, 0, sizeof(user->foreign_floor));
}

/**
 * bus1_stocks_shelve() - see what a user's figures are without stocks
 * @user:  whose lock is held, until bus1_stocks_unshelve()
 * @level: gets what that wants to have
 *
 * All stocks, at most BUS1_STOCKS, are given back, so that the figures are what is
 * pinned. Whoever wants one meanwhile finds it closed, and waits for the lock. That
 * nobody has to open his anew later is why they are not closed: refusals, and who
 * looks, should not cost others anything.
 */
void bus1_stocks_shelve(struct bus1_user *user,
			struct bus1_level level[BUS1_N_RESOURCES])
{
	struct bus1_trace *trace;

	lockdep_assert_held(&user->lock);
	memcpy(level, user->level, sizeof(user->level));
	list_for_each_entry(trace, &user->stocks, stocked)
		memcpy(trace->quota->shelved, trace->quota->level,
		       sizeof(trace->quota->level));
	list_for_each_entry(trace, &user->stocks, stocked) {
		trace->shelved = atomic64_xchg(&trace->stock, 0);
		bus1_stock_give(trace, trace->shelved);
	}
}

/**
 * bus1_stocks_unshelve() - put back what was shelved
 * @user:  nothing of it has been changed meanwhile
 * @level: from bus1_stocks_shelve()
 */
void bus1_stocks_unshelve(struct bus1_user *user,
			  const struct bus1_level level[BUS1_N_RESOURCES])
{
	struct bus1_trace *trace;

	lockdep_assert_held(&user->lock);
	list_for_each_entry(trace, &user->stocks, stocked) {
		memcpy(trace->quota->level, trace->quota->shelved,
		       sizeof(trace->quota->level));
		trace->held[BUS1_RESOURCE_OBJECTS] +=
			bus1_stock_objects(trace->shelved);
		trace->held[BUS1_RESOURCE_BYTES] += (u32)trace->shelved;
		atomic64_set(&trace->stock, trace->shelved);
	}
	memcpy(user->level, level, sizeof(user->level));
}

/* What was shelved stays given back. */
void bus1_stocks_forget(struct bus1_user *user)
{
	INIT_LIST_HEAD(&user->stocks);
	user->n_stocks = 0;
	memset(user->floor, 0, sizeof(user->floor));
	memset(user->foreign_floor, 0, sizeof(user->foreign_floor));
}

/*
 * Something was claimed by @claimant. A foreign claim has changed what other
 * foreign ones may have in more than what is left.
 */
void bus1_stocks_review(struct bus1_user *user,
			const struct bus1_quota *claimant)
{
	const struct bus1_quota *own = bus1_quota_find(user, user->uid, NULL);
	bool low = false, foreign = claimant != own;
	u64 left;
	u32 r;

	for (r = 0; r < BUS1_N_RESOURCES; r++) {
		left = user->level[r].left;
		foreign = foreign || left < user->foreign_floor[r];
		if (own)
			left += own->level[r].left;
		low = low || left < user->floor[r];
	}
	if (low)
		bus1_stocks_close(user);
	else if (foreign)
		bus1_stocks_close_foreign(user);
}
