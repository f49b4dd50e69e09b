/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: a model of sleepers and wake-ups
 *
 * NR receivers of one peer, 3 unless it says more, each with a call of RECV; and
 * two senders, each with a group: of FIRST items, 1, and of SECOND, 2. See
 * order.pml for how it is run. Which receivers do what, as masks:
 *
 *   WAITS     they sleep until there is something to receive
 *   HASTY     they may stop waiting, at any time: a deadline, a signal
 *   FAILS     their receipt may fail: EMSGSIZE, EFAULT, ENOMEM
 *
 *   CALLS     how often they call
 *   RELEASE   a node is released: the first item vanishes, received or not
 *   DIED      a handle in the first item is of a dead node: its receipt puts
 *             NODE_RELEASE behind it
 *
 * What is right, and states (the last two only with --full):
 *
 *   NR=4 WAITS=7 HASTY=1 FAILS=9                                 1267973
 *   NR=4 WAITS=7 HASTY=1 FAILS=9 SECOND=1                         898680
 *   SECOND=1 HASTY=1 RELEASE                                      587102
 *   SECOND=1 HASTY=1 FAILS=2 DIED                                 120540
 *   CALLS=2 HASTY=1 FAILS=2                                      2242646
 *   NR=4 HASTY=1 FAILS=9 SECOND=1 RELEASE                       10901509
 *
 * What is wrong:
 *
 *   LOOK_FIRST      the last look at the queue is not behind the list    ASLEEP
 *   ONE_WAKE        one wake for a group, however many items             ASLEEP
 *   NO_PASS_LEAVE   who stops waiting keeps a wake that he got           ASLEEP
 *   NO_PASS_ABORT   whose receipt fails keeps it                         ASLEEP
 *   NO_WAKE_DIED    nobody is woken for such a NODE_RELEASE              ASLEEP
 *   NO_NEXT         who is woken for the turn, and finds nothing, does
 *                   not wake the next                                    FREE
 *   BLIND           bus1_recv_commit() does not look whether the item
 *                   vanished                                             TWICE
 *
 * Properties, of the end, when nobody can do anything but sleep. ASLEEP: nobody
 * sleeps on peer->sleepers while something is receivable. FREE: nobody sleeps on
 * peer->turns. Of any time: TWICE: each item is received, or vanishes, once. A
 * WITNESS is a rare event: a wake is PASSED on; a wake comes SPARE, to who found
 * an item while he got on the list; an item is GONE while it is received.
 *
 * A spare wake is not passed on, and need not be: whoever gets on peer->sleepers
 * does so, looks, and leaves again, under peer->lock. So nobody was behind him on
 * the list, and all before him were woken: nobody is left to pass it to.
 *
 * What is left out.
 * - Weak memory, and how who has the flag is made to run: tests/litmus, wake and
 *   woken.
 * - The order of the queue: whoever looks finds all that is published.
 * - waitqueue_active() is one step with the wake. What it finds may be gone when
 *   the wake comes, but then the look may as well have been as late.
 * - Who is HASTY is so in some runs only, or nobody of them would be seen asleep
 *   in the end.
 * - Those who poll: they are all woken.
 */
#include "property.pml"

#ifndef NR
#define NR 3
#endif
#ifndef WAITS
#define WAITS all(NR)
#endif
#ifndef HASTY
#define HASTY 0
#endif
#ifndef FAILS
#define FAILS 0
#endif
#ifndef FIRST
#define FIRST 1
#endif
#ifndef SECOND
#define SECOND 2
#endif
#ifndef CALLS
#define CALLS 1
#endif

PROPERTY(ASLEEP);
PROPERTY(FREE);
PROPERTY(TWICE);
WITNESS(PASSED);
WITNESS(SPARE);
WITNESS(GONE);

bool lock; /* peer->lock, where somebody has it for more than a step */
byte published; /* items, so far */
byte first; /* of them, the first that is receivable */
bool taken; /* peer->data.taken */
byte received; /* as a mask. For the properties */
chan sleepers = [NR] of { byte }; /* peer->sleepers */
chan turns = [NR] of { byte }; /* peer->turns */
byte woken; /* who has WQ_FLAG_WOKEN */

/* Used within one step only. */
hidden byte w_i, w_r;

/* What bus1_recv_look() returns: w_r. */
#define READY 0
#define BUSY 1
#define AGAIN 2

/* Where a call of RECV is: what its next step will be. */
#define LOOK 0 /* bus1_recv_look() */
#define ENTER 1 /* ... bus1_wait_enter() */
#define TAKE 2 /* ... then bus1_queue_take() */
#define LEAVE 3 /* ... then bus1_wait_leave() */
#define SLEEP 4 /* bus1_wait_sleep(), bus1_wait_leave() */
#define NEXT 5 /* bus1_wake(&peer->turns), without the turn */
#define RECEIPT 6 /* bus1_recv_commit() or bus1_recv_abort() */
#define TURN 7 /* bus1_wake(&peer->turns), behind it */
#define WAKE 8 /* bus1_wake(&peer->sleepers), for a NODE_RELEASE */
#define READABLE 9 /* bus1_wake_pass() */
#define PASS 10 /* ... bus1_wake(&peer->sleepers) */
#define OVER 11

/* bus1_wake(), bus1_wake_function(): off the list. */
inline wake(list)
{
	if
	:: list?w_i -> woken = woken | bit(w_i)
	:: empty(list)
	fi
}

/* bus1_wait_leave() */
inline leave(list, was)
{
	if
	:: woken & bit(me) ->
		woken = woken & ~bit(me);
		was = true
	:: else -> list??eval(me)
	fi
}

inline receive(x)
{
	assert(!(received & bit(x)) || TWICE);
	received = received | bit(x)
}

/* The end of a call. */
inline finish()
{
	over = false;
	used = false;
	calls--;
	phase = (calls -> LOOK : OVER)
}

/* bus1_wake_pass() */
inline pass()
{
	if
	:: used -> phase = READABLE
	:: else -> finish()
	fi
}

/* The rest of a turn of the loop in bus1_wait(). */
inline settle()
{
	used = (used || (was && !busy)) && w_r != AGAIN;
	was = false;
	busy = false;
	if
	:: w_r == READY -> phase = RECEIPT
	:: w_r != READY && !over && (w_r == BUSY || (WAITS & bit(me))) ->
		busy = w_r == BUSY;
		phase = SLEEP
#ifdef NO_PASS_LEAVE
	:: else -> finish()
#else
	:: else -> pass()
#endif
	fi
}

inline looked()
{
	if
#ifndef NO_NEXT
	:: was && busy && w_r == AGAIN -> phase = NEXT
#endif
	:: else -> settle()
	fi
}

/* bus1_queue_take() */
inline take()
{
	taken = true;
	item = first;
	w_r = READY
}

/* bus1_recv_look(), up to where it gets on peer->sleepers. */
inline look()
{
	if
	:: taken ->
		w_r = BUSY;
		if
		:: !over -> turns!me
		:: else
		fi;
		looked()
	:: !taken && first < published ->
		take();
		looked()
	:: !taken && first >= published && !over && (WAITS & bit(me)) ->
		lock = true;
		phase = ENTER
	:: else ->
		w_r = AGAIN;
		looked()
	fi
}

/* item->ready of what is taken */
#ifdef BLIND
#define HERE(x) true
#else
#define HERE(x) ((x) >= first)
#endif

inline stop_sleeping()
{
	if
	:: busy -> leave(turns, was)
	:: else -> leave(sleepers, was)
	fi;
	phase = LOOK
}

/* It is not received: the wake, if there was one, is for another. */
inline abort()
{
	taken = false;
	item = 0;
#ifdef NO_PASS_ABORT
	used = false;
#endif
	phase = TURN
}

/* me, waits by bus1_wait(): busy: on peer->turns; over: has stopped waiting. */
proctype receiver(byte me; bool hasty)
{
	byte phase, item, calls = CALLS;
	bool busy, over, was, used, died, spare;

end:	do
	:: d_step { phase == LOOK && !lock -> look() }
	:: d_step {
		phase == ENTER ->
		sleepers!me;
#ifdef LOOK_FIRST
		lock = false;
		w_r = AGAIN;
		looked()
#else
		phase = TAKE
#endif
	}
	:: d_step {
		phase == TAKE ->
		if
		:: first < published ->
			take();
			phase = LEAVE
		:: else ->
			lock = false;
			w_r = AGAIN;
			looked()
		fi
	}
	:: d_step {
		phase == LEAVE ->
		leave(sleepers, spare);
		assert(SPARE || !spare);
		spare = false;
		lock = false;
		w_r = READY;
		looked()
	}
	:: d_step {
		phase == SLEEP && (woken & bit(me)) ->
		stop_sleeping()
	}
	:: d_step {
		phase == SLEEP && hasty ->
		over = true;
		stop_sleeping()
	}
	:: d_step {
		phase == NEXT ->
		wake(turns);
		w_r = AGAIN;
		settle()
	}
	:: d_step {
		phase == RECEIPT && !lock && HERE(item) ->
		receive(item);
		first++;
#ifdef DIED
		died = item == 0;
		published = published + died;
#ifdef NO_WAKE_DIED
		died = false;
#endif
#endif
		taken = false;
		item = 0;
		used = false;
		phase = TURN
	}
	/* It vanished; the caller begins again. */
	:: d_step {
		phase == RECEIPT && !lock && !HERE(item) ->
		assert(GONE);
		calls++;
		abort()
	}
	:: d_step {
		phase == RECEIPT && !lock && (FAILS & bit(me)) ->
		calls = 1;
		abort()
	}
	:: d_step {
		phase == TURN ->
		wake(turns);
		if
		:: died -> phase = WAKE
		:: else -> pass()
		fi
	}
	:: d_step {
		phase == WAKE ->
		wake(sleepers);
		died = false;
		finish()
	}
	:: d_step {
		phase == READABLE && !lock ->
		if
		:: first < published -> phase = PASS
		:: else -> finish()
		fi
	}
	:: d_step {
		phase == PASS ->
		assert(PASSED);
		wake(sleepers);
		finish()
	}
	od
}

/* bus1_queue_link(), then bus1_wake_item() for each item of the group. */
proctype sender(byte n)
{
	d_step {
		published = published + n;
#ifdef ONE_WAKE
		n = 1
#endif
	}
	do
	:: d_step {
		n ->
		wake(sleepers);
		n--
	}
	:: !n -> break
	od
}

/* bus1_peer_release(), of a node that the first message goes to; or not yet. */
proctype release()
{
	if
	:: d_step {
		!lock && first < published ->
		receive(first);
		first++
	}
	:: true
	fi
}

init
{
	byte i;
	bool hasty;

	atomic {
		expect();
		do
		:: i < NR ->
			if
			:: hasty = false
			:: HASTY & bit(i) -> hasty = true
			fi;
			run receiver(i, hasty);
			i++
		:: else -> break
		od;
		run sender(FIRST);
		run sender(SECOND);
#ifdef RELEASE
		run release();
#endif
		i = 0;
		hasty = false
	}
	atomic {
		timeout ->
		assert(!lock && !taken);
		assert(empty(sleepers) || first >= published || ASLEEP);
		assert(empty(turns) || FREE)
	}
}
