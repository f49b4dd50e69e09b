// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accounts, for those who look from outside: /sys/kernel/debug/bus1/accounts,
 * and the claims of a peer in its fdinfo.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "internal.h"

/* Lines copied in one go under a user's lock. */
#define BUS1_ACCOUNT_BATCH 64

struct bus1_account_line {
	kuid_t claimant;
	u64 peer; /* 0 for a quota */
	struct bus1_level level[BUS1_N_RESOURCES]; /* of a trace: held */
};

/**
 * struct bus1_accounts - a reader of the file
 * @pos:      the line that comes next
 * @last:     the newest peer there was at the start: who opens peers as fast as
 *            they are read must not keep the reader here for ever
 * @user:     whose account is printed, referenced; NULL before the first
 * @level:    its levels
 * @claimant: with @peer where the next batch starts: the first quota or trace
 * @peer:     that is not below (@claimant, @peer), the quota being peer 0
 * @at:       in @line; that of the user comes before the first
 * @n:        how many
 * @line:     a batch
 */
struct bus1_accounts {
	loff_t pos;
	u64 last;
	struct bus1_user *user;
	struct bus1_level level[BUS1_N_RESOURCES];
	kuid_t claimant;
	u64 peer;
	size_t at;
	size_t n;
	struct bus1_account_line line[BUS1_ACCOUNT_BATCH];
};

/* The first quota of a user who is not below @uid. */
static struct rb_node *bus1_accounts_quota(struct bus1_user *user, kuid_t uid)
{
	struct rb_node *node = user->quotas.rb_node, *found = NULL;

	lockdep_assert_held(&user->lock);
	while (node) {
		if (uid_lt(rb_entry(node, struct bus1_quota, node)->uid, uid)) {
			node = node->rb_right;
		} else {
			found = node;
			node = node->rb_left;
		}
	}
	return found;
}

/* The first trace of a peer that is not below @peer. */
static struct rb_node *bus1_accounts_trace(struct bus1_quota *quota, u64 peer)
{
	struct rb_node *node = quota->traces.rb_node, *found = NULL;

	lockdep_assert_held(&quota->user->lock);
	while (node) {
		if (rb_entry(node, struct bus1_trace, node)->peer < peer) {
			node = node->rb_right;
		} else {
			found = node;
			node = node->rb_left;
		}
	}
	return found;
}

static struct bus1_account_line *bus1_accounts_line(struct bus1_accounts *acc,
						    kuid_t claimant, u64 peer)
{
	struct bus1_account_line *line;

	if (acc->n == BUS1_ACCOUNT_BATCH)
		return NULL;
	line = &acc->line[acc->n++];
	*line = (struct bus1_account_line){
		.claimant = claimant,
		.peer = peer,
	};
	acc->claimant = claimant;
	acc->peer = peer + 1;
	return line;
}

/* Copy the next lines; each starts where the one before it ended. */
static void bus1_accounts_batch(struct bus1_accounts *acc)
{
	struct bus1_level level[BUS1_N_RESOURCES];
	struct bus1_account_line *line;
	struct rb_node *at, *node;
	struct bus1_quota *quota;
	struct bus1_trace *trace;
	u32 r;

	acc->at = 0;
	acc->n = 0;
	spin_lock(&acc->user->lock);
	bus1_stocks_shelve(acc->user, level);
	memcpy(acc->level, acc->user->level, sizeof(acc->level));
	for (at = bus1_accounts_quota(acc->user, acc->claimant); at;
	     at = rb_next(at)) {
		quota = rb_entry(at, struct bus1_quota, node);
		if (!uid_eq(quota->uid, acc->claimant) || !acc->peer) {
			line = bus1_accounts_line(acc, quota->uid, 0);
			if (!line)
				break;
			memcpy(line->level, quota->level, sizeof(line->level));
		}
		for (node = bus1_accounts_trace(quota, acc->peer); node;
		     node = rb_next(node)) {
			trace = rb_entry(node, struct bus1_trace, node);
			if (trace->peer > acc->last) {
				node = NULL;
				break;
			}
			line = bus1_accounts_line(acc, quota->uid, trace->peer);
			if (!line)
				break;
			for (r = 0; r < BUS1_N_RESOURCES; r++)
				line->level[r].held = trace->held[r];
		}
		if (node)
			break;
	}
	bus1_stocks_unshelve(acc->user, level);
	spin_unlock(&acc->user->lock);
}

static void bus1_accounts_clear(struct bus1_accounts *acc)
{
	if (acc->user)
		bus1_user_put(acc->user);
	acc->user = NULL;
}

/* Go on with the next user. */
static void *bus1_accounts_user(struct bus1_accounts *acc)
{
	unsigned long uid = 0;

	if (acc->user)
		uid = (unsigned long)__kuid_val(acc->user->uid) + 1;
	bus1_accounts_clear(acc);
	acc->user = bus1_user_next(uid);
	if (!acc->user)
		return NULL;
	acc->claimant = GLOBAL_ROOT_UID;
	acc->peer = 0;
	bus1_accounts_batch(acc);
	/* The line of the user itself comes first. */
	acc->at = SIZE_MAX;
	return acc;
}

static void *bus1_accounts_start(struct seq_file *m, loff_t *pos)
{
	struct bus1_accounts *acc = m->private;

	if (!*pos) {
		bus1_accounts_clear(acc);
		acc->pos = 0;
		acc->last = bus1_peer_last();
		return SEQ_START_TOKEN;
	}
	/* seq_file only ever goes on from where it was, or from 0. */
	return acc->user && *pos == acc->pos ? acc : NULL;
}

static void *bus1_accounts_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct bus1_accounts *acc = m->private;

	acc->pos = ++*pos;
	if (!acc->user)
		return bus1_accounts_user(acc);
	if (++acc->at < acc->n)
		return acc;
	if (acc->n == BUS1_ACCOUNT_BATCH) {
		bus1_accounts_batch(acc);
		if (acc->n)
			return acc;
	}
	return bus1_accounts_user(acc);
}

static void bus1_accounts_stop(struct seq_file *m, void *v)
{
}

static int bus1_accounts_print(struct seq_file *m, void *v)
{
	const struct bus1_level *objects, *bytes;
	struct bus1_accounts *acc = m->private;
	struct bus1_account_line *line;
	u32 uid;

	if (v == SEQ_START_TOKEN) {
		seq_printf(m, "bus1-accounts schema=%d.%d time=%llu\n",
			   BUS1_TRACE_SCHEMA_MAJOR, BUS1_TRACE_SCHEMA_MINOR,
			   ktime_get_ns());
		return 0;
	}

	uid = from_kuid(&init_user_ns, acc->user->uid);
	if (acc->at == SIZE_MAX) {
		objects = &acc->level[BUS1_RESOURCE_OBJECTS];
		bytes = &acc->level[BUS1_RESOURCE_BYTES];
		seq_printf(m, "user uid=%u max_objects=%llu left_objects=%llu foreign_objects=%llu",
			   uid, objects->held, objects->left, objects->n);
		seq_printf(m, " max_bytes=%llu left_bytes=%llu foreign_bytes=%llu\n",
			   bytes->held, bytes->left, bytes->n);
		return 0;
	}

	line = &acc->line[acc->at];
	objects = &line->level[BUS1_RESOURCE_OBJECTS];
	bytes = &line->level[BUS1_RESOURCE_BYTES];
	if (line->peer) {
		seq_printf(m, "trace uid=%u claimant=%u peer=%llu objects=%llu bytes=%llu\n",
			   uid, from_kuid(&init_user_ns, line->claimant),
			   line->peer, objects->held, bytes->held);
		return 0;
	}
	seq_printf(m, "quota uid=%u claimant=%u objects=%llu left_objects=%llu peers_objects=%llu",
		   uid, from_kuid(&init_user_ns, line->claimant),
		   objects->held, objects->left, objects->n);
	seq_printf(m, " bytes=%llu left_bytes=%llu peers_bytes=%llu\n",
		   bytes->held, bytes->left, bytes->n);
	return 0;
}

static const struct seq_operations bus1_accounts_ops = {
	.start = bus1_accounts_start,
	.next = bus1_accounts_next,
	.stop = bus1_accounts_stop,
	.show = bus1_accounts_print,
};

static int bus1_accounts_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &bus1_accounts_ops,
				sizeof(struct bus1_accounts));
}

static int bus1_accounts_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;

	bus1_accounts_clear(m->private);
	return seq_release_private(inode, file);
}

const struct file_operations bus1_accounts_fops = {
	.owner = THIS_MODULE,
	.open = bus1_accounts_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = bus1_accounts_release,
};

static void bus1_accounts_claim(struct seq_file *m,
				const struct bus1_user *user,
				const u64 held[BUS1_N_RESOURCES])
{
	seq_printf(m, "bus1-claim:\tuid=%u objects=%llu bytes=%llu\n",
		   from_kuid_munged(seq_user_ns(m), user->uid),
		   held[BUS1_RESOURCE_OBJECTS], held[BUS1_RESOURCE_BYTES]);
}

/* The lines of fdinfo about accounts: the peer's own, and what it claims. */
void bus1_accounts_show(struct bus1_peer *peer, struct seq_file *m)
{
	const u32 o = BUS1_RESOURCE_OBJECTS, b = BUS1_RESOURCE_BYTES;
	struct bus1_level level[BUS1_N_RESOURCES], all[BUS1_N_RESOURCES];
	u64 held[BUS1_N_RESOURCES];
	struct bus1_user *user = peer->user;
	unsigned long uid;

	spin_lock(&user->lock);
	bus1_stocks_shelve(user, all);
	memcpy(level, user->level, sizeof(level));
	bus1_stocks_unshelve(user, all);
	spin_unlock(&user->lock);
	seq_printf(m, "bus1-max-objects:\t%llu\n", level[o].held);
	seq_printf(m, "bus1-left-objects:\t%llu\n", level[o].left);
	seq_printf(m, "bus1-max-bytes:\t%llu\n", level[b].held);
	seq_printf(m, "bus1-left-bytes:\t%llu\n", level[b].left);

	if (bus1_trace_held(user, peer, held))
		bus1_accounts_claim(m, user, held);
	/* Most never sent to another user; the others look for it everywhere. */
	if (!READ_ONCE(peer->foreign))
		return;
	for (uid = 0; (user = bus1_user_next(uid)); uid++) {
		uid = __kuid_val(user->uid);
		if (user != peer->user && bus1_trace_held(user, peer, held))
			bus1_accounts_claim(m, user, held);
		bus1_user_put(user);
		cond_resched();
	}
}
