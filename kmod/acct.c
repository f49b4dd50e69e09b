// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: who pays, and who made him
 *
 * What is pinned is charged to a *user*, the owner of the peer that it is pinned
 * for, and claimed by the *peer* that pinned it. Users have a *quota* for each
 * user who claims from them, and in it a *trace* for each peer of that one.
 * quota.h says who may claim how much.
 *
 * A charge lives in what it pays for, or in the call that is about to make that.
 * A message pays for the handles it carries, and when they are received they take
 * their part along. It returns with the last reference to the object, so nobody
 * can pin what is not paid for; but at once where others could keep references: a
 * node's when it dies, a peer's when it is closed. Their memory is then kept by
 * handles that are paid for. What leads a transaction is kept by heads that are
 * (item->leads).
 *
 * One lock for each user who pays. But what a message returns is not given back at
 * once: it becomes the *stock* of its trace, out of which the next message of the
 * same peer is paid without the lock, so that those who send to peers of one user
 * write nothing in common. A stock is claimed all the while, as if the messages
 * had not been received yet. It is open only while so much is left that all it may
 * hold could be claimed anew (user->floor), so that nobody has more by it than the
 * rule gives; and it is given back while the events of accounting are enabled, when
 * the last peer of the user is closed, and, for as long as that takes, when somebody
 * is refused or looks. So nobody is refused, and no figure is wrong, for a stock.
 * What a quota keeps in reserve for its other peers is trimmed when a stock ends,
 * though, and not when the messages were received: between the two, in history, others
 * can find more left, or less, than if each had been given back by itself.
 *
 * Lifetimes. A user is in the table while anything is claimed from it, which an
 * open peer does itself; the last charge that is returned retires it, under its
 * lock, and from then on nothing can be charged to it: whoever still sends to
 * one of its peers sends to a closed one. So a user is never there twice, and
 * his maximum is not either. Its memory goes with that of its peers. A trace
 * lives while it holds something, or a handle remembers it, or it is a peer's
 * own; a quota while it has a trace. Whoever returns a charge, or puts a trace,
 * keeps the memory of a peer of that user: as its owner, by a handle to it, or by
 * the object itself.
 */
#include <linux/printk.h>
#include <linux/rbtree.h>
#include <linux/slab.h>

#include "stock.h"

/*
 * By UID. A user is found and referenced under the xa_lock, and leaves under its
 * own lock and the xa_lock.
 */
static DEFINE_XARRAY(bus1_users);

static struct bus1_user *bus1_user_new(kuid_t uid)
{
	u64 level[BUS1_N_RESOURCES];
	struct bus1_user *user;
	u32 r;

	user = kzalloc(sizeof(*user), BUS1_GFP);
	if (!user)
		return NULL;
	refcount_set(&user->ref, 1);
	user->uid = uid;
	spin_lock_init(&user->lock);
	user->quotas = RB_ROOT;
	INIT_LIST_HEAD(&user->stocks);
	/* The parameters' lock is not taken here: either value will do. */
	level[BUS1_RESOURCE_OBJECTS] = data_race(READ_ONCE(bus1_max_objects));
	/* Nor here. */
	level[BUS1_RESOURCE_BYTES] = data_race(READ_ONCE(bus1_max_bytes));
	for (r = 0; r < BUS1_N_RESOURCES; r++) {
		user->level[r].held = level[r];
		user->level[r].left = level[r];
	}
	return user;
}

/* The account of a user, or NULL if there is no memory. */
static struct bus1_user *bus1_user_get(kuid_t uid)
{
	struct bus1_user *user, *new, *old;

	xa_lock(&bus1_users);
	user = xa_load(&bus1_users, __kuid_val(uid));
	if (user)
		refcount_inc(&user->ref);
	xa_unlock(&bus1_users);
	if (user)
		return user;

	new = bus1_user_new(uid);
	if (!new)
		return NULL;

	xa_lock(&bus1_users);
	old = __xa_cmpxchg(&bus1_users, __kuid_val(uid), NULL, new, BUS1_GFP);
	if (!old) {
		user = new;
	} else if (!xa_is_err(old)) {
		refcount_inc(&old->ref);
		user = old;
	}
	xa_unlock(&bus1_users);

	if (user != new)
		kfree(new);
	return user;
}

void bus1_user_put(struct bus1_user *user)
{
	if (!refcount_dec_and_test(&user->ref))
		return;
	WARN_ON_ONCE(!user->retired);
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&user->quotas));
	kfree(user);
}

/* The user in the table with the lowest UID from @uid on, referenced; or NULL */
struct bus1_user *bus1_user_next(unsigned long uid)
{
	struct bus1_user *user;

	xa_lock(&bus1_users);
	user = xa_find(&bus1_users, &uid, ULONG_MAX, XA_PRESENT);
	if (user)
		refcount_inc(&user->ref);
	xa_unlock(&bus1_users);
	return user;
}

/* If nothing is claimed, then nothing will be. */
static void bus1_user_settle(struct bus1_user *user)
{
	const struct bus1_level *level = &user->level[BUS1_RESOURCE_OBJECTS];

	lockdep_assert_held(&user->lock);
	if (level->left != level->held || user->retired)
		return;
	user->retired = true;
	xa_erase(&bus1_users, __kuid_val(user->uid));
}

/* The quota of a user in an account; if there is none @new becomes it. */
struct bus1_quota *bus1_quota_find(struct bus1_user *user, kuid_t uid,
				   struct bus1_quota *new)
{
	struct rb_node **link = &user->quotas.rb_node, *parent = NULL;
	struct bus1_quota *quota;

	lockdep_assert_held(&user->lock);
	while (*link) {
		parent = *link;
		quota = rb_entry(parent, struct bus1_quota, node);
		if (uid_eq(uid, quota->uid))
			return quota;
		link = uid_lt(uid, quota->uid) ? &parent->rb_left :
						 &parent->rb_right;
	}
	if (new) {
		new->user = user;
		new->uid = uid;
		rb_link_node(&new->node, parent, link);
		rb_insert_color(&new->node, &user->quotas);
	}
	return new;
}

/* The trace of a peer in a quota; if there is none @new becomes it. */
static struct bus1_trace *bus1_trace_find(struct bus1_quota *quota, u64 peer,
					  struct bus1_trace *new)
{
	struct rb_node **link = &quota->traces.rb_node, *parent = NULL;
	struct bus1_trace *trace;

	lockdep_assert_held(&quota->user->lock);
	while (*link) {
		parent = *link;
		trace = rb_entry(parent, struct bus1_trace, node);
		if (peer == trace->peer)
			return trace;
		link = peer < trace->peer ? &parent->rb_left :
					    &parent->rb_right;
	}
	if (new) {
		new->quota = quota;
		new->peer = peer;
		rb_link_node(&new->node, parent, link);
		rb_insert_color(&new->node, &quota->traces);
	}
	return new;
}

/**
 * bus1_trace_get() - what a peer claims from a user
 * @user:     who pays; stays alive as long as the reference
 * @claimant: the peer, which is open
 *
 * Return: the trace, to be given back to bus1_trace_put(), or NULL if there is
 * no memory.
 */
struct bus1_trace *bus1_trace_get(struct bus1_user *user,
				  const struct bus1_peer *claimant)
{
	struct bus1_quota *quota, *new_quota = NULL;
	struct bus1_trace *trace, *new = NULL;

	for (;;) {
		spin_lock(&user->lock);
		quota = bus1_quota_find(user, claimant->uid, new_quota);
		trace = quota ? bus1_trace_find(quota, claimant->id, new) :
				NULL;
		if (trace)
			trace->n_ref++;
		spin_unlock(&user->lock);
		if (trace)
			break;

		new_quota = kzalloc(sizeof(*new_quota), BUS1_GFP);
		new = kzalloc(sizeof(*new), BUS1_GFP);
		if (!new_quota || !new)
			break;
	}
	if (!trace || quota != new_quota)
		kfree(new_quota);
	if (trace != new)
		kfree(new);
	return trace;
}

/* Free what nobody needs any more. */
static void bus1_trace_settle(struct bus1_trace *trace)
{
	struct bus1_quota *quota = trace->quota;
	struct bus1_user *user = quota->user;

	lockdep_assert_held(&user->lock);
	if (trace->n_ref || trace->held[BUS1_RESOURCE_OBJECTS])
		return;
	WARN_ON_ONCE(trace->held[BUS1_RESOURCE_BYTES]);
	rb_erase(&trace->node, &quota->traces);
	kfree(trace);
	if (!RB_EMPTY_ROOT(&quota->traces))
		return;
	WARN_ON_ONCE(quota->level[BUS1_RESOURCE_OBJECTS].held ||
		     quota->level[BUS1_RESOURCE_BYTES].held);
	rb_erase(&quota->node, &user->quotas);
	kfree(quota);
}

void bus1_trace_put(struct bus1_trace *trace)
{
	struct bus1_user *user = trace->quota->user;

	spin_lock(&user->lock);
	if (!--trace->n_ref)
		bus1_stock_close(trace);
	bus1_trace_settle(trace);
	spin_unlock(&user->lock);
}

/* What a peer has claimed from a user; false if nothing. */
bool bus1_trace_held(struct bus1_user *user, const struct bus1_peer *claimant,
		     u64 held[BUS1_N_RESOURCES])
{
	struct bus1_trace *trace = NULL;
	struct bus1_quota *quota;
	u64 stock;

	held[BUS1_RESOURCE_OBJECTS] = 0;
	spin_lock(&user->lock);
	quota = bus1_quota_find(user, claimant->uid, NULL);
	if (quota)
		trace = bus1_trace_find(quota, claimant->id, NULL);
	if (trace) {
		stock = atomic64_read(&trace->stock);
		held[BUS1_RESOURCE_OBJECTS] =
			trace->held[BUS1_RESOURCE_OBJECTS] -
			bus1_stock_objects(stock);
		held[BUS1_RESOURCE_BYTES] = trace->held[BUS1_RESOURCE_BYTES] -
					    (u32)stock;
	}
	spin_unlock(&user->lock);
	return held[BUS1_RESOURCE_OBJECTS];
}

static u32 bus1_acct_uid(kuid_t uid)
{
	return from_kuid(&init_user_ns, uid);
}

/* These are kept out of the way of those whom nobody watches. */
static noinline void bus1_trace_charged(const struct bus1_trace *trace,
					const u32 *amount)
{
	const struct bus1_quota *quota = trace->quota;
	const struct bus1_user *user = quota->user;
	u32 r;

	for (r = 0; r < BUS1_N_RESOURCES; r++)
		if (amount[r])
			trace_acct_charge(bus1_acct_uid(user->uid),
					  bus1_acct_uid(quota->uid),
					  trace->peer, r, amount[r],
					  trace->held[r], quota->level[r].left,
					  user->level[r].left,
					  quota->level[r].held,
					  user->level[r].held, ktime_get_ns());
}

static noinline void bus1_trace_discharged(const struct bus1_trace *trace,
					   const u32 *amount)
{
	const struct bus1_quota *quota = trace->quota;
	const struct bus1_user *user = quota->user;
	u32 r;

	for (r = 0; r < BUS1_N_RESOURCES; r++)
		if (amount[r])
			trace_acct_discharge(bus1_acct_uid(user->uid),
					     bus1_acct_uid(quota->uid),
					     trace->peer, r, amount[r],
					     trace->held[r],
					     quota->level[r].left,
					     user->level[r].left,
					     quota->level[r].held,
					     user->level[r].held,
					     ktime_get_ns());
}

/* Say who was refused, what, and by which level. */
static noinline void bus1_trace_reject(struct bus1_trace *trace, u32 r,
				       u64 amount, int error, u32 op,
				       struct bus1_fault *fault)
{
	const struct bus1_claim claim = bus1_trace_claim(trace, r);
	const struct bus1_quota *quota = trace->quota;

	*fault = (struct bus1_fault){
		.check = BUS1_CHECK_QUOTA,
		.detail = amount,
		.owner = bus1_acct_uid(quota->user->uid),
		.level = error == -EXFULL ? BUS1_LEVEL_PEER : BUS1_LEVEL_USER,
		.resource = r,
		.held = trace->held[r],
		.limit = bus1_quota_limit(&claim),
	};
	if (trace_acct_reject_enabled())
		trace_acct_reject(fault->owner, bus1_acct_uid(quota->uid),
				  trace->peer, r, amount, fault->held,
				  claim.quota->left, claim.user->left,
				  fault->level, op, fault->limit,
				  ktime_get_ns());
}

/* May all of it be claimed? If not, @r says what may not. */
static int bus1_charge_check(struct bus1_trace *trace, const u32 *amount,
			     u64 *missing, u32 *r)
{
	struct bus1_claim claim;
	int error = 0;

	for (*r = 0; *r < BUS1_N_RESOURCES; ++*r) {
		claim = bus1_trace_claim(trace, *r);
		error = bus1_quota_check(&claim, amount[*r], &missing[*r]);
		if (error)
			break;
	}
	return error;
}

/* bus1_charge_take(), where the stock is too small. */
static noinline int bus1_charge_claim(struct bus1_trace *trace, u32 objects,
				      u32 bytes, u32 op,
				      struct bus1_fault *fault)
{
	const u32 amount[BUS1_N_RESOURCES] = { objects, bytes };
	struct bus1_user *user = trace->quota->user;
	struct bus1_level level[BUS1_N_RESOURCES];
	u64 missing[BUS1_N_RESOURCES];
	struct bus1_claim claim;
	int error;
	u32 r;

	spin_lock(&user->lock);
	/* It was only shelved. */
	if (bus1_stock_take(trace, objects, bytes)) {
		spin_unlock(&user->lock);
		return 0;
	}
	bus1_stock_close(trace);
	/* Events tell what is pinned. */
	if (trace_acct_charge_enabled())
		bus1_stocks_close(user);
	if (user->retired) {
		spin_unlock(&user->lock);
		return -ESHUTDOWN;
	}
	if (bus1_charge_check(trace, amount, missing, &r)) {
		bus1_stocks_shelve(user, level);
		error = bus1_charge_check(trace, amount, missing, &r);
		if (error) {
			bus1_trace_reject(trace, r, amount[r], error, op,
					  fault);
			bus1_stocks_unshelve(user, level);
			spin_unlock(&user->lock);
			return error;
		}
		bus1_stocks_forget(user);
	}
	for (r = 0; r < BUS1_N_RESOURCES; r++) {
		claim = bus1_trace_claim(trace, r);
		bus1_quota_take(&claim, amount[r], missing[r]);
	}
	bus1_stocks_review(user, trace->quota);
	if (trace_acct_charge_enabled())
		bus1_trace_charged(trace, amount);
	spin_unlock(&user->lock);
	return 0;
}

/**
 * bus1_charge_take() - charge a user
 * @charge:  where to note it, empty; lives in what is paid for
 * @trace:   who claims, and from whom
 * @objects: objects; 0 only if @bytes is 0 too
 * @bytes:   payload bytes
 * @op:      BUS1_OP_*
 * @fault:   filled in if it is refused
 *
 * All of it or nothing. Return: 0; EXFULL if it is refused on the level of the
 * peer, EDQUOT on that of the user; ESHUTDOWN if the user is retired, so that all
 * its peers are closed.
 */
int bus1_charge_take(struct bus1_charge *charge, struct bus1_trace *trace,
		     u32 objects, u32 bytes, u32 op, struct bus1_fault *fault)
{
	int r;

	WARN_ON_ONCE(charge->trace);
	if (!objects)
		return 0;
	if (!bus1_stock_take(trace, objects, bytes)) {
		r = bus1_charge_claim(trace, objects, bytes, op, fault);
		if (r)
			return r;
	}
	charge->trace = trace;
	charge->objects = objects;
	charge->bytes = bytes;
	return 0;
}

/**
 * bus1_charge_take_all() - bus1_charge_take() of @n charges of the same size
 * @one: what each is: its trace, objects and bytes; to be copied @n times
 * @n:   how many, at most BUS1_MAX_DESTINATIONS
 *
 * Return: whether that was possible without the lock.
 */
bool bus1_charge_take_all(const struct bus1_charge *one, u32 n)
{
	const u64 objects = (u64)one->objects * n;
	const u64 bytes = (u64)one->bytes * n;

	return objects <= BUS1_STOCK_OBJECTS && bytes <= BUS1_STOCK_BYTES &&
	       bus1_stock_take(one->trace, objects, bytes);
}

/* bus1_charge_return(), where it does not go into an open stock. */
static noinline void bus1_charge_give(struct bus1_trace *trace, u32 objects,
				      u32 bytes)
{
	const u32 amount[BUS1_N_RESOURCES] = { objects, bytes };
	struct bus1_user *user = trace->quota->user;
	struct bus1_claim claim;
	u32 r;

	spin_lock(&user->lock);
	if (bus1_stock_open(trace, objects, bytes)) {
		spin_unlock(&user->lock);
		return;
	}
	if (trace_acct_discharge_enabled())
		bus1_stocks_close(user);
	for (r = 0; r < BUS1_N_RESOURCES; r++) {
		claim = bus1_trace_claim(trace, r);
		bus1_quota_give(&claim, amount[r]);
	}
	if (trace_acct_discharge_enabled())
		bus1_trace_discharged(trace, amount);
	bus1_trace_settle(trace);
	bus1_user_settle(user);
	spin_unlock(&user->lock);
}

/* Give back what was charged; the charge is empty then. */
void bus1_charge_return(struct bus1_charge *charge)
{
	struct bus1_trace *trace = charge->trace;

	if (!trace)
		return;
	charge->trace = NULL;
	if (!bus1_stock_put(trace, charge->objects, charge->bytes))
		bus1_charge_give(trace, charge->objects, charge->bytes);
}

/**
 * bus1_charge_split() - part of a charge goes its own way
 * @charge:  what was taken
 * @part:    where to note the part, empty
 * @objects: how much of it, more than 0
 */
void bus1_charge_split(struct bus1_charge *charge, struct bus1_charge *part,
		       u32 objects)
{
	WARN_ON_ONCE(part->trace || objects > charge->objects);
	part->trace = charge->trace;
	part->objects = objects;
	part->bytes = 0;
	charge->objects -= objects;
	if (!charge->objects)
		charge->trace = NULL;
}

/**
 * bus1_charge_move() - what a peer claimed becomes another peer's claim
 * @charge: objects of a user
 * @trace:  whose they are from now on, in the account of the same user
 *
 * Cannot fail.
 */
void bus1_charge_move(struct bus1_charge *charge, struct bus1_trace *trace)
{
	const u32 amount[BUS1_N_RESOURCES] = { charge->objects };
	const u32 r = BUS1_RESOURCE_OBJECTS;
	struct bus1_trace *old = charge->trace;
	struct bus1_user *user = trace->quota->user;
	struct bus1_claim from, to;

	WARN_ON_ONCE(charge->bytes || old->quota->user != user);
	if (old == trace)
		return;

	charge->trace = trace;
	/* As if the one had given it back, and the other taken it then. */
	if (bus1_stock_take(trace, charge->objects, 0)) {
		if (bus1_stock_put(old, charge->objects, 0))
			return;
		bus1_charge_give(old, charge->objects, 0);
		return;
	}
	spin_lock(&user->lock);
	/* It is not checked, so this peer may have less from now on. */
	bus1_stock_close(trace);
	from = bus1_trace_claim(old, r);
	to = bus1_trace_claim(trace, r);
	bus1_quota_move(&from, &to, charge->objects);
	if (trace_acct_discharge_enabled())
		bus1_trace_discharged(old, amount);
	if (trace_acct_charge_enabled())
		bus1_trace_charged(trace, amount);
	bus1_trace_settle(old);
	spin_unlock(&user->lock);
}

/**
 * bus1_acct_join() - let a peer be paid for
 * @peer: new, with its ID and UID
 *
 * Return: 0, ENOMEM, EXFULL or EDQUOT.
 */
int bus1_acct_join(struct bus1_peer *peer)
{
	struct bus1_fault fault;
	struct bus1_user *user;
	int r;

	do {
		user = bus1_user_get(peer->uid);
		if (!user)
			return -ENOMEM;
		peer->trace = bus1_trace_get(user, peer);
		r = -ENOMEM;
		if (peer->trace) {
			r = bus1_charge_take(&peer->charge, peer->trace, 1, 0,
					     BUS1_OP_OPEN, &fault);
			if (r)
				bus1_trace_put(peer->trace);
		}
		if (r) {
			spin_lock(&user->lock);
			bus1_user_settle(user);
			spin_unlock(&user->lock);
			bus1_user_put(user);
		}
		/* Its last peer was closed meanwhile: there will be another. */
	} while (r == -ESHUTDOWN);
	if (r)
		return r;
	peer->user = user;
	spin_lock(&user->lock);
	user->n_peers++;
	spin_unlock(&user->lock);
	return 0;
}

/* A peer is closed; its user's memory stays as long as its own. */
void bus1_acct_leave(struct bus1_peer *peer)
{
	struct bus1_trace *trace = peer->trace;
	struct bus1_user *user = peer->user;

	peer->trace = NULL;
	spin_lock(&user->lock);
	if (!--user->n_peers)
		bus1_stocks_close(user);
	spin_unlock(&user->lock);
	bus1_charge_return(&peer->charge);
	bus1_trace_put(trace);
}

/* No peer is open any more, so nothing may be claimed from anyone. */
void bus1_acct_exit(void)
{
	const struct bus1_level *objects, *bytes;
	struct bus1_user *user;
	unsigned long uid;

	xa_for_each(&bus1_users, uid, user) {
		objects = &user->level[BUS1_RESOURCE_OBJECTS];
		bytes = &user->level[BUS1_RESOURCE_BYTES];
		pr_err("bus1: left behind: uid %lu, %llu objects, %llu bytes\n",
		       uid, objects->held - objects->left,
		       bytes->held - bytes->left);
	}
	xa_destroy(&bus1_users);
}
