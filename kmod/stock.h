/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_STOCK_H
#define _BUS1_STOCK_H

/* What acct.c and stock.c have in common; the rules are in acct.c. */
#include <linux/sizes.h>

#include "internal.h"
#include "trace.h"

static inline struct bus1_claim bus1_trace_claim(struct bus1_trace *trace,
						 u32 r)
{
	struct bus1_quota *quota = trace->quota;

	lockdep_assert_held(&quota->user->lock);
	return (struct bus1_claim){
		.user = &quota->user->level[r],
		.quota = &quota->level[r],
		.trace = &trace->held[r],
		.foreign = !uid_eq(quota->uid, quota->user->uid),
	};
}

/*
 * The stock of a trace: objects and bytes in one word, so that both are taken at
 * once. Only while it is open can something be put in. It is opened, closed and
 * listed at the user under the user's lock.
 */
#define BUS1_STOCK_OPEN BIT_ULL(63)
#define BUS1_STOCK_OBJECTS 1024
#define BUS1_STOCK_BYTES SZ_1M

static inline u32 bus1_stock_objects(u64 stock)
{
	return (stock & ~BUS1_STOCK_OPEN) >> 32;
}

static inline u64 bus1_stock(u32 objects, u32 bytes)
{
	return (u64)objects << 32 | bytes;
}

static inline bool bus1_stock_fits(u64 stock)
{
	return bus1_stock_objects(stock) <= BUS1_STOCK_OBJECTS &&
	       (u32)stock <= BUS1_STOCK_BYTES;
}

/*
 * Without a lock: whoever takes has a reference to the trace, whoever puts has a
 * charge there, until the exchange. What is in the stock is claimed all the
 * time, so nothing but the word itself changes hands.
 */
static inline bool bus1_stock_take(struct bus1_trace *trace, u32 objects,
				   u32 bytes)
{
	u64 old = atomic64_read(&trace->stock);

	if (trace_acct_charge_enabled())
		return false;
	do {
		if (bus1_stock_objects(old) < objects || (u32)old < bytes)
			return false;
	} while (!atomic64_try_cmpxchg(&trace->stock, &old,
				       old - bus1_stock(objects, bytes)));
	return true;
}

static inline bool bus1_stock_put(struct bus1_trace *trace, u32 objects,
				  u32 bytes)
{
	const u64 amount = bus1_stock(objects, bytes);
	u64 old = atomic64_read(&trace->stock);

	if (trace_acct_discharge_enabled() || !bus1_stock_fits(amount))
		return false;
	do {
		if (!(old & BUS1_STOCK_OPEN) || !bus1_stock_fits(old + amount))
			return false;
	} while (!atomic64_try_cmpxchg(&trace->stock, &old, old + amount));
	return true;
}

struct bus1_quota *bus1_quota_find(struct bus1_user *user, kuid_t uid,
				   struct bus1_quota *new);
bool bus1_stock_open(struct bus1_trace *trace, u32 objects, u32 bytes);
void bus1_stock_close(struct bus1_trace *trace);
void bus1_stocks_close(struct bus1_user *user);
void bus1_stocks_forget(struct bus1_user *user);
void bus1_stocks_review(struct bus1_user *user,
			const struct bus1_quota *claimant);

#endif /* _BUS1_STOCK_H */
