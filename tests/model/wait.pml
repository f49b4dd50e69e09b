/* SPDX-License-Identifier: GPL-2.0-only */
#include "property.pml"

#ifndef NR
#define NR 4
#endif
#ifndef ITEMS1
#define ITEMS1 1
#endif
#ifndef ITEMS2
#define ITEMS2 2
#endif
#ifndef WAITS
#define WAITS 7
#endif
#ifndef HASTY
#define HASTY all(NR)
#endif
#ifndef FAILS
#define FAILS all(NR)
#endif

/* What bus1_recv_look() says. */
#define READY 0
#define BUSY 1
#define AGAIN 2

PROPERTY(ASLEEP);
PROPERTY(FREE);
PROPERTY(TWICE);
WITNESS(PASSED);
WITNESS(MORE);

bool lock; /* peer->lock, between two steps of one who has it */
byte published, first; /* items so far, and the first that is receivable */
bool taken; /* peer->data.taken */
byte received; /* those that were, as a mask */
chan sleepers = [NR] of { byte };
chan turns = [NR] of { byte };
bool woken[NR]; /* WQ_FLAG_WOKEN */

hidden byte w_i;

/* bus1_wake(): bus1_wake_function() takes it off the list. */
inline wake(list)
{
	d_step {
		if
		:: list?w_i -> woken[w_i] = true
		:: empty(list)
		fi
	}
}

inline enter(list)
{
	woken[me] = false;
	list!me
}

/* bus1_queue_take() */
inline take()
{
	taken = true;
	item = first;
	r = READY
}

#ifdef NO_TURN
#define TAKEN false
#else
#define TAKEN taken
#endif
#define WAIT (WAITS & bit(me))

proctype receiver(byte me)
{
	byte r, item;
	bool busy, hasty, over, was, used, more, listing;

look:	atomic {
		!lock ->
		d_step {
			if
			:: TAKEN ->
				r = BUSY;
				if
				:: !over -> enter(turns)
				:: else
				fi
			:: !TAKEN && first < published -> take()
			:: else ->
				r = AGAIN;
				listing = WAIT && !over;
				lock = listing
			fi
		}
		if
		:: listing
		:: else -> goto looked
		fi
	}
	d_step { listing = false; enter(sleepers) }
#ifdef LOOK_FIRST
	atomic { lock = false; goto looked }
#endif
	atomic {
		if
		:: first < published -> take()
		:: else -> lock = false; goto looked
		fi
	}
	/* bus1_wait_leave() */
	d_step {
		if
		:: sleepers??eval(me)
		:: else ->
			assert(MORE);
			more = true;
			woken[me] = false
		fi;
		lock = false
	}

	/* bus1_wait(), where there was something to wait for */
looked:	if
	:: atomic {
		was && busy && r == AGAIN ->
#ifndef NO_NEXT
		wake(turns);
#endif
	}
	:: else
	fi;
	atomic {
		used = (used || (was && !busy)) && r != AGAIN;
		was = false;
		busy = r == BUSY;
		if
		:: r == READY -> goto receive
		:: r != READY && !over && (r == BUSY || WAIT)
		:: else -> goto pass
		fi;
		if
		:: HASTY & bit(me) -> hasty = true
		:: hasty = false
		fi
	}
	atomic {
		woken[me] || hasty ->
		if
		:: woken[me] -> over = false
		:: hasty -> over = true
		fi;
		/* bus1_wait_leave() */
		d_step {
			hasty = false;
			was = woken[me];
			woken[me] = false;
			if
			:: was
			:: !was && busy -> turns??eval(me)
			:: else -> sleepers??eval(me)
			fi
		}
		goto look
	}

receive:
	if
	:: atomic {
		!lock ->
		/* bus1_recv_commit() */
		d_step {
			assert(!(received & bit(item)) || TWICE);
			received = received | bit(item);
			taken = false;
			first++;
			item = 0;
			used = false;
#ifdef NO_MORE
			more = false
#else
			more = more && first < published
#endif
		}
	}
	:: atomic {
		(FAILS & bit(me)) && !lock ->
		/* bus1_recv_abort() */
		d_step {
			taken = false;
			item = 0;
			more = false;
#ifdef NO_PASS_ABORT
			used = false
#endif
		}
	}
	fi;
	wake(turns);
	if
	:: more -> wake(sleepers)
	:: else
	fi;

	/* bus1_wake_pass() */
pass:
#ifndef NO_PASS
	if
	:: atomic {
		used && !lock ->
		used = first < published
	}
	:: !used
	fi;
	if
	:: used -> assert(PASSED); wake(sleepers)
	:: else
	fi;
#endif
end:	false
}

/* A group is published, and bus1_wake_item() is called for each item. */
proctype sender(byte n)
{
	published = published + n;
#ifdef ONE_WAKE
	n = 1;
#endif
	do
	:: atomic { n -> n--; wake(sleepers) }
	:: atomic { !n -> break }
	od;
end:	false
}

init
{
	byte i;

	atomic {
		expect();
		do
		:: i < NR -> run receiver(i); i++
		:: else -> break
		od;
		run sender(ITEMS1);
		run sender(ITEMS2)
	}
	atomic {
		timeout ->
		assert(!len(sleepers) || first == published || ASLEEP);
		assert(!len(turns) || taken || FREE)
	}
}
