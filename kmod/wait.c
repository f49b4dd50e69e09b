// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: who sleeps, and who is woken
 *
 * Those who poll wait on peer->waitq and are all woken. Those who sleep in a call
 * wait exclusively, in the order of their coming: on peer->sleepers for something
 * to receive, and on peer->turns for another receipt to end.
 *
 * Who is taken off a list has been woken, whether it slept already or not, and that
 * wake is then its own to use or to pass on. Each item that is published while
 * somebody is on peer->sleepers wakes one. A sleeper first goes on the list and then
 * looks at the queue, the sender publishes and then looks at the list; both looks
 * are behind full barriers, so one of them sees the other (litmus: wake,
 * wake-multicast). Hence, with everybody asleep, nothing is receivable: what was
 * there before was seen, and what came later has woken somebody. A wake is used up
 * by whoever then receives, or finds that others have taken all there was. It is
 * passed on by whoever leaves without having received: for a deadline, a signal, or
 * an error of the receipt.
 *
 * The turn is under peer->lock, and so is the look whether it is taken by whoever
 * is on peer->turns: who gives it back sees him there. Who is woken there and
 * does not take the turn wakes the next.
 */
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/overflow.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/time_namespace.h>
#include <linux/wait.h>

#include "internal.h"
#include "trace.h"

/*
 * Off the list only when the flag is set, so that who is not on it need not take
 * the lock. Whoever is on it counts as woken: the next wake is for another.
 */
static int bus1_wake_function(struct wait_queue_entry *wait, unsigned int mode,
			      int flags, void *key)
{
	WRITE_ONCE(wait->flags, wait->flags | WQ_FLAG_WOKEN);
	/* Orders the flag before it looks at the state of the task. */
	default_wake_function(wait, mode, flags, key);
	list_del_init_careful(&wait->entry);
	return 1;
}

/* Get on a list, before the look that says whether to sleep. */
void bus1_wait_enter(struct wait_queue_head *queue,
		     struct wait_queue_entry *wait)
{
	init_waitqueue_func_entry(wait, bus1_wake_function);
	wait->private = current;
	INIT_LIST_HEAD(&wait->entry);
	add_wait_queue_exclusive(queue, wait);
}

/* Get off it. Returns whether it was woken. */
bool bus1_wait_leave(struct wait_queue_head *queue,
		     struct wait_queue_entry *wait)
{
	/* Whoever woke it is done with it then. Litmus: woken-leave. */
	if (!list_empty_careful(&wait->entry))
		remove_wait_queue(queue, wait);
	return wait->flags & WQ_FLAG_WOKEN;
}

/* The deadline is by the caller's clock: that of its time name space. */
static ktime_t bus1_wait_expires(u64 deadline)
{
	struct timespec64 offset = {};
	s64 expires;

	timens_add_monotonic(&offset);
	if (check_sub_overflow((s64)deadline, (s64)timespec64_to_ns(&offset),
			       &expires))
		return KTIME_MAX;
	return max_t(s64, expires, 0);
}

/* Until it is woken. Return: 0, ETIMEDOUT, or ERESTARTSYS for a signal. */
static int bus1_wait_sleep(struct wait_queue_entry *wait, unsigned int state,
			   u64 deadline)
{
	ktime_t expires;
	int r = 0;

	if (deadline < KTIME_MAX)
		expires = bus1_wait_expires(deadline);

	for (;;) {
		/* A full barrier: then the look at the flag. Litmus: woken. */
		set_current_state(state);
		if (READ_ONCE(wait->flags) & WQ_FLAG_WOKEN)
			break;
		r = -ERESTARTSYS;
		if (signal_pending_state(state, current))
			break;
		r = 0;
		if (deadline >= KTIME_MAX) {
			schedule();
		} else if (!schedule_hrtimeout_range(&expires,
						     current->timer_slack_ns,
						     HRTIMER_MODE_ABS)) {
			r = -ETIMEDOUT;
			break;
		}
	}
	__set_current_state(TASK_RUNNING);
	return r;
}

/**
 * bus1_wait() - get the turn, and with it the first item
 * @op:       the operation
 * @r:        what bus1_recv_look() said with @wait, and so where @op->wait is
 * @wait:     BUS1_WAIT_TURN: is interrupted only to be killed; BUS1_WAIT_ITEM too
 * @deadline: with the latter: CLOCK_MONOTONIC in ns; KTIME_MAX or more: none
 *
 * Return: 0; EAGAIN, without BUS1_WAIT_ITEM; ETIMEDOUT; ERESTARTSYS.
 */
int bus1_wait(struct bus1_recv_op *op, int r, unsigned int wait, u64 deadline)
{
	const bool item = wait & BUS1_WAIT_ITEM;
	const unsigned int state = item ? TASK_INTERRUPTIBLE | TASK_FREEZABLE :
				   TASK_KILLABLE;
	const u64 begun = trace_recv_wait_enabled() ? ktime_get_ns() : 0;
	struct bus1_peer *peer = op->peer;
	bool busy, woken;
	int why;

	do {
		busy = r == -EBUSY;
		why = bus1_wait_sleep(&op->wait, state,
				      item ? deadline : KTIME_MAX);
		woken = bus1_wait_leave(busy ? &peer->turns : &peer->sleepers,
					&op->wait);
		r = bus1_recv_look(op, why ? 0 : wait);
		if (woken && !busy)
			op->woken = true;
		/* The turn is free, and stays so. */
		if (woken && busy && r == -EAGAIN)
			bus1_wake(&peer->turns);
		/* Others have taken all there was. */
		if (r == -EAGAIN)
			op->woken = false;
	} while (!why && (r == -EBUSY || (r == -EAGAIN && item)));
	if (why && r)
		r = why;

	if (begun && item)
		trace_recv_wait(peer->id, begun, !r ? BUS1_WAIT_READY :
				r == -ETIMEDOUT ? BUS1_WAIT_DEADLINE :
				BUS1_WAIT_SIGNAL, ktime_get_ns());
	if (r)
		bus1_wake_pass(op);
	return r;
}

/* One of those who sleep on a list; nobody needs to be there. */
void bus1_wake(struct wait_queue_head *queue)
{
	/* No barrier needed: who gets on it then looks, with peer->lock. */
	if (waitqueue_active(queue))
		__wake_up(queue, TASK_NORMAL, 1, NULL);
}

/* A receipt that has used a wake ends without having received. */
void bus1_wake_pass(struct bus1_recv_op *op)
{
	struct bus1_peer *peer = op->peer;

	if (op->woken && bus1_peer_readable(peer))
		bus1_wake(&peer->sleepers);
	op->woken = false;
}

/**
 * bus1_wake_item() - an item of a group is published
 * @peer:  its receiver
 * @first: it heads its group: those who poll are told, once for all of it
 * @sync:  the caller has no other receiver to wake, and may soon sleep itself
 *
 * The publication was a full barrier, as is the look of whoever goes to sleep, in
 * bus1_queue_refresh(): either the sleeper is seen here, or he sees the item.
 * Litmus: wake, wake-multicast.
 */
void bus1_wake_item(struct bus1_peer *peer, bool first, bool sync)
{
	/* No barrier needed: see above. */
	if (waitqueue_active(&peer->sleepers)) {
		if (sync)
			__wake_up_sync_key(&peer->sleepers, TASK_NORMAL, NULL);
		else
			__wake_up(&peer->sleepers, TASK_NORMAL, 1, NULL);
	}
	/* Nor here. */
	if (first && waitqueue_active(&peer->waitq)) {
		if (sync)
			wake_up_interruptible_sync_poll(&peer->waitq,
							EPOLLIN | EPOLLRDNORM);
		else
			wake_up_interruptible_poll(&peer->waitq,
						   EPOLLIN | EPOLLRDNORM);
	}
}
