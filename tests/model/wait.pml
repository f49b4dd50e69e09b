/* SPDX-License-Identifier: GPL-2.0-only */
#include "property.pml"

#ifndef NR
#define NR 3
#endif
#ifndef WAITS
#define WAITS 7
#endif
#ifndef HASTY
#define HASTY 0
#endif
#ifndef FAILS
#define FAILS 0
#endif
#ifndef CALLS
#define CALLS 1
#endif
#ifndef FIRST
#define FIRST 1
#endif
#ifndef SECOND
#define SECOND 2
#endif

PROPERTY(ASLEEP);
PROPERTY(FREE);
PROPERTY(TWICE);
WITNESS(PASSED);
WITNESS(YIELDED);

bool lock; /* peer->lock, where somebody has it for more than a step */
byte published, first; /* items so far; and the first that is receivable */
bool taken; /* peer->data.taken */
byte received; /* as a mask; only the properties look at it */
chan sleepers = [NR] of { byte }; /* peer->sleepers */
chan turns = [NR] of { byte }; /* peer->turns */
byte woken; /* WQ_FLAG_WOKEN */

hidden byte w_i, w_r;

/* bus1_wake(): bus1_wake_function() sets the flag, and takes off the list. */
inline wake(list)
{
	if
	:: list?w_i -> woken = woken | bit(w_i)
	:: empty(list)
	fi
}

/* Where a call of RECV is: what its next step will be. */
#define LOOK 0 /* bus1_recv_look() */
#define ENTER 1 /* bus1_wait_enter(), */
#define TAKE 2 /* then bus1_queue_take(), */
#define STAY 3 /* then bus1_wait_leave() */
#define SLEEP 4
#define NEXT 5 /* bus1_wake(&peer->turns) in bus1_wait() */
#define RECEIPT 6
#define TURN 7 /* bus1_wake(&peer->turns) at its end */
#define MORE 8 /* bus1_wake(&peer->sleepers) after bus1_recv_commit() */
#define PASS 9 /* bus1_wake_pass() looks, */
#define WAKE 10 /* and wakes */
#define OVER 11

/* What bus1_recv_look() returns */
#define READY 0
#define BUSY 1
#define AGAIN 2

#ifdef NO_TURN
#define TAKEN false
#else
#define TAKEN taken
#endif

inline enter(list)
{
	list!me
}

/* It ends: forget what makes no difference any more. */
inline finish()
{
	over = false;
	used = false;
	calls--;
	phase = (again -> LOOK : OVER);
	again = false;
	if
	:: calls -> phase = LOOK
	:: else
	fi
}

/* bus1_wake_pass() */
inline pass()
{
	if
#ifndef NO_PASS
	:: used -> phase = PASS
#endif
	:: else -> finish()
	fi
}

/* The rest of bus1_wait(), by what bus1_recv_look() said. */
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

inline take()
{
	taken = true;
	item = first;
	w_r = READY
}

inline look()
{
	if
	:: TAKEN ->
		w_r = BUSY;
		if
		:: !over -> enter(turns)
		:: else
		fi;
		looked()
	:: !TAKEN && first < published ->
		take();
		looked()
	:: !TAKEN && first == published && !over && (WAITS & bit(me)) ->
		lock = true;
		phase = ENTER
	:: else ->
		w_r = AGAIN;
		looked()
	fi
}

/* bus1_wait_leave() */
inline leave(list)
{
	if
	:: woken & bit(me) -> woken = woken & ~bit(me); was = true
	:: else -> list??eval(me)
	fi
}

inline stop_waiting()
{
	if
	:: busy -> leave(turns)
	:: else -> leave(sleepers)
	fi;
	phase = LOOK
}

proctype receiver(byte me; bool hasty)
{
	byte phase, item, more, calls = CALLS;
	bool busy, over, used, was, again;

end:	do
	:: d_step { phase == LOOK && !lock -> look() }
	:: d_step {
		phase == ENTER ->
		enter(sleepers);
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
			phase = STAY
		:: else ->
			lock = false;
			w_r = AGAIN;
			looked()
		fi
	}
	:: d_step {
		phase == STAY ->
		if
		:: woken & bit(me) ->
			woken = woken & ~bit(me);
			assert(YIELDED);
			more = 1
		:: else -> sleepers??eval(me)
		fi;
		lock = false;
		w_r = READY;
		looked()
	}
	:: d_step {
		phase == SLEEP && (woken & bit(me)) ->
		stop_waiting()
	}
	:: d_step {
		phase == SLEEP && hasty ->
		over = true;
		stop_waiting()
	}
	:: d_step {
		phase == NEXT ->
		wake(turns);
		w_r = AGAIN;
		settle()
	}
	/* bus1_recv_commit(): it vanished */
	:: d_step {
		phase == RECEIPT && !lock && item < first ->
		taken = false;
		item = 0;
		more = 0;
		again = true;
		calls++;
		phase = TURN
	}
	/* bus1_recv_commit() */
	:: d_step {
		phase == RECEIPT && !lock && item >= first ->
		assert(!(received & bit(item)) || TWICE);
		received = received | bit(item);
		taken = false;
		first++;
		used = false;
#ifdef NO_MORE
		more = 0;
#endif
		more = (first < published -> more : 0);
#ifdef DIED
		if
		:: item == 0 ->
			published++;
#ifndef NO_WAKE_DIED
			more++
#endif
		:: else
		fi;
#endif
		item = 0;
		phase = TURN
	}
	/* bus1_recv_abort() */
	:: d_step {
		phase == RECEIPT && !lock && (FAILS & bit(me)) ->
		taken = false;
		item = 0;
		more = 0;
#ifdef NO_PASS_ABORT
		used = false;
#endif
		calls = 1;
		phase = TURN
	}
	:: d_step {
		phase == TURN ->
		wake(turns);
		if
		:: more -> phase = MORE
		:: else -> pass()
		fi
	}
	:: d_step {
		phase == MORE ->
		wake(sleepers);
		more--;
		if
		:: more
		:: else -> finish()
		fi
	}
	:: d_step {
		phase == PASS && !lock ->
		if
		:: first < published -> phase = WAKE
		:: else -> finish()
		fi
	}
	:: d_step {
		phase == WAKE ->
		assert(PASSED);
		wake(sleepers);
		finish()
	}
	od
}

/* A group is published, and bus1_wake_item() is called for each item. */
proctype sender(byte n)
{
	d_step {
		published = published + n;
#ifdef ONE_WAKE
		n = 1
#endif
	}
	do
	:: d_step { n > 0 -> n--; wake(sleepers) }
	:: n == 0 -> break
	od
}

/* The node of a message is released. */
proctype release()
{
	if
	:: d_step {
		!lock && first < published ->
		received = received | bit(first);
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
		assert(!len(sleepers) || first == published || ASLEEP);
		assert(!len(turns) || taken || FREE)
	}
}
