// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who pays: each object carries a charge that is taken when it is made and
 * returned when it goes. Maxima are not enforced.
 */
#include <linux/printk.h>
#include <linux/slab.h>

#include "internal.h"

/*
 * Users that have a peer, by UID. A user is found and its first and last
 * reference change under the xa_lock.
 */
static DEFINE_XARRAY(bus1_users);

/**
 * bus1_user_get() - the accounting context of a user
 * @uid: effective UID of whoever opens a peer
 *
 * Return: a reference, or NULL if there is no memory.
 */
struct bus1_user *bus1_user_get(kuid_t uid)
{
	struct bus1_user *user, *new, *old;

	xa_lock(&bus1_users);
	user = xa_load(&bus1_users, __kuid_val(uid));
	if (user)
		refcount_inc(&user->ref);
	xa_unlock(&bus1_users);
	if (user)
		return user;

	new = kzalloc(sizeof(*new), BUS1_GFP);
	if (!new)
		return NULL;
	refcount_set(&new->ref, 1);
	new->uid = uid;

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
	xa_lock(&bus1_users);
	if (!refcount_dec_and_test(&user->ref)) {
		xa_unlock(&bus1_users);
		return;
	}
	__xa_erase(&bus1_users, __kuid_val(user->uid));
	xa_unlock(&bus1_users);

	WARN_ON_ONCE(atomic_long_read(&user->objects));
	WARN_ON_ONCE(atomic_long_read(&user->bytes));
	kfree(user);
}

/**
 * bus1_charge_take() - charge a user
 * @charge:  where to note it, empty; lives in what is paid for
 * @user:    who pays; stays alive as long as the charge
 * @objects: objects
 * @bytes:   payload bytes
 */
void bus1_charge_take(struct bus1_charge *charge, struct bus1_user *user,
		      u32 objects, u32 bytes)
{
	WARN_ON_ONCE(charge->user);
	charge->user = user;
	charge->objects = objects;
	charge->bytes = bytes;
	atomic_long_add(objects, &user->objects);
	if (bytes)
		atomic_long_add(bytes, &user->bytes);
}

/* Give back what was charged; the charge is empty then. */
void bus1_charge_return(struct bus1_charge *charge)
{
	if (!charge->user)
		return;
	atomic_long_sub(charge->objects, &charge->user->objects);
	if (charge->bytes)
		atomic_long_sub(charge->bytes, &charge->user->bytes);
	charge->user = NULL;
}

/* No peer is open any more, so no user may be left. */
void bus1_acct_exit(void)
{
	struct bus1_user *user;
	unsigned long uid;

	xa_for_each(&bus1_users, uid, user)
		pr_err("bus1: left behind: uid %lu, %ld objects, %ld bytes\n",
		       uid, atomic_long_read(&user->objects),
		       atomic_long_read(&user->bytes));
	xa_destroy(&bus1_users);
}
