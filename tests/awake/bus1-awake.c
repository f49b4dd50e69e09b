// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errs on purpose when it is loaded, so that tests/awake/run can show that what
 * looks for such errors is awake: insmod bus1-awake.ko err=NAME. Nothing here is
 * of bus1, but it is built as bus1.ko is.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>

static char *err = "";
module_param(err, charp, 0444);
MODULE_PARM_DESC(err, "What to do wrong");

static DEFINE_MUTEX(awake_outer);
static DEFINE_MUTEX(awake_inner);
static DEFINE_SPINLOCK(awake_spin);
static int __rcu *awake_rcu;
static unsigned long awake_count;

struct awake_timer {
	struct timer_list timer;
};

static void awake_free(void)
{
	int *p = kzalloc(sizeof(*p), GFP_KERNEL);

	kfree(p);
	OPTIMIZER_HIDE_VAR(p);
	if (p)
		awake_count += READ_ONCE(*p);
}

/* Several, as one might happen to be on a stack still. */
static void awake_leak(void)
{
	int i;

	for (i = 0; i < 8; i++) {
		void *p = kmalloc(64, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(p);
	}
}

static void awake_lock(void)
{
	mutex_lock(&awake_outer);
	mutex_lock(&awake_inner);
	mutex_unlock(&awake_inner);
	mutex_unlock(&awake_outer);

	mutex_lock(&awake_inner);
	mutex_lock(&awake_outer);
	mutex_unlock(&awake_outer);
	mutex_unlock(&awake_inner);
}

static int awake_racer(void *unused)
{
	while (!kthread_should_stop()) {
		awake_count++;
		cond_resched();
	}
	return 0;
}

static void awake_race(void)
{
	struct task_struct *racers[2];
	int i;

	for (i = 0; i < 2; i++)
		racers[i] = kthread_run(awake_racer, NULL, "bus1-awake/%d", i);
	msleep(4000);
	for (i = 0; i < 2; i++)
		if (!IS_ERR(racers[i]))
			kthread_stop(racers[i]);
}

static void awake_sleep(void)
{
	spin_lock(&awake_spin);
	mutex_lock(&awake_inner);
	mutex_unlock(&awake_inner);
	spin_unlock(&awake_spin);
}

static void awake_reader(void)
{
	if (rcu_dereference(awake_rcu))
		awake_count++;
}

static void awake_shift(void)
{
	int bits = 40;

	OPTIMIZER_HIDE_VAR(bits);
	awake_count += 1 << bits;
}

static void awake_list(void)
{
	LIST_HEAD(head);
	LIST_HEAD(entry);

	list_add(&entry, &head);
	list_del(&entry);
	list_del(&entry);
}

static void awake_timer(struct timer_list *t)
{
}

static void awake_object(void)
{
	struct awake_timer *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return;
	timer_setup(&t->timer, awake_timer, 0);
	mod_timer(&t->timer, jiffies + 600 * HZ);
	kfree(t);
}

static void awake_warn(void)
{
	WARN_ON_ONCE(1);
}

static const struct {
	const char *name;
	void (*fn)(void);
} awake_errors[] = {
	{ "use-after-free", awake_free },
	{ "leak", awake_leak },
	{ "lock-inversion", awake_lock },
	{ "race", awake_race },
	{ "sleep-in-atomic", awake_sleep },
	{ "rcu", awake_reader },
	{ "shift", awake_shift },
	{ "list", awake_list },
	{ "object", awake_object },
	{ "warn", awake_warn },
	/* All is well: the runner has to say so. */
	{ "none", NULL },
};

static int __init awake_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(awake_errors); i++) {
		if (strcmp(err, awake_errors[i].name))
			continue;
		if (awake_errors[i].fn)
			awake_errors[i].fn();
		return 0;
	}
	return -EINVAL;
}

static void __exit awake_exit(void)
{
}

module_init(awake_init);
module_exit(awake_exit);
MODULE_DESCRIPTION("Errs on purpose");
MODULE_LICENSE("GPL");
