/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The queue of a peer: link, freeze, judge, and in which order what was judged
 * becomes ready. Shared by order.pml and life.pml, which define
 *
 *   NP, NT, NQ   peers, entries (numbered from 0), places in a queue
 *   MULTI(x)     x is a part of a multicast: item->lead is not NULL
 *   LEAD(x)      the entry whose seq speaks for x
 *   take(p, x)   x, judged and in its turn, leaves the queue
 *
 * One option of a do loop is one atomic access to what is shared; all else that
 * it does is private, or guarded by a lock that is held.
 */

#ifndef STAGE
#define STAGE 2
#endif

#include "property.pml"

#define DRAWING 1 /* BUS1_SEQ_DRAWING */
#define ENDLESS 255

/*
 * Of a queue: what is linked, oldest first; the first of it, frozen[], is
 * peer->data.leftovers, the rest peer->incoming. What leaves it is closed up,
 * because only the order of the positions matters, not their number.
 */
byte queue[NP * NQ];
byte linked[NP];
byte frozen[NP];
bool sealed[NP]; /* peer->incoming.first == BUS1_SEALED */

byte seq[NT]; /* item->seq of leads; 0: not published */
byte counter = DRAWING; /* the counter of all multicasts */

WITNESS(KEPT); /* behind a number above the bound */
WITNESS(MOVED); /* a multicast goes behind what was linked after it */
WITNESS(ROUNDS); /* more than one of them */

#define Q(p, i) queue[(p) * NQ + (i)]

#define DRAWS(x) (MULTI(x) && seq[LEAD(x)] == DRAWING)
#define PUBLISHED(x) (!MULTI(x) || seq[LEAD(x)] > DRAWING)

/* Used within one step only, so no part of a state. */
hidden byte q_i, q_j, q_x, q_y, q_least, q_bound;
hidden short q_taken, q_held;
hidden byte q_stop;

/* The cmpxchg in bus1_queue_link(), where the queue is not sealed. */
inline queue_link(p, x)
{
	assert(linked[p] < NQ);
	Q(p, linked[p]) = x;
	linked[p]++;
}

/* Where a running bus1_queue_refresh() is: what its next step will be. */
#define IDLE 0
#define LOAD 1 /* bus1_queue_seq() */
#define BOUND 2 /* bus1_queue_rounds() reads the counter */
#define FREEZE 3
#define PRELOAD 4 /* a load before the freeze: JUDGE_FIRST */
#define COUNT 5 /* the counter after the freeze */

/*
 * at:     the next to be loaded
 * bound:  C, or 0 in the first scan
 * judged: published, of those loaded
 * old:    in the first round with a bound already, and still there
 */
#define QUEUE_LOCALS \
	byte phase, at, bound; \
	short judged, old

/*
 * Both scans, that of bus1_queue_refresh() and that of bus1_queue_round(), go
 * through the leftovers and load lead->seq of each. What is published already
 * will be found so whenever it is loaded: such loads are no steps of their own,
 * but belong to the step before.
 *
 * The first scan, without a bound, ends at the first published multicast: it is
 * for bus1_queue_rounds(). Until then, it has only unicasts to deliver; these
 * are known anyway, as their links published them, so that it makes no
 * difference when: they go at its end.
 */
inline queue_see(p)
{
	if
	:: STAGE == 2 && !bound && MULTI(Q(p, at)) -> phase = BOUND
	:: else -> judged = judged | bit(Q(p, at))
	fi;
	at++
}

inline queue_pass(p)
{
	do
	:: at < frozen[p] && phase != BOUND && PUBLISHED(Q(p, at)) ->
		queue_see(p)
	:: else -> break
	od
}

#ifdef NO_DRAW
#define CAN_LOAD(p) (at < frozen[p])
#else
/* cpu_relax() until it is not DRAWING: here, who waits has no step. */
#define CAN_LOAD(p) (at < frozen[p] && !DRAWS(Q(p, at)))
#endif

/* bus1_queue_seq() of the next, and the acquire in it. */
inline queue_load(p)
{
	if
	:: PUBLISHED(Q(p, at)) -> queue_see(p)
	:: else -> at++
	fi;
	queue_pass(p)
}

/* The xchg of the freeze; the append touches leftovers only, so the lock's. */
inline queue_freeze(p)
{
	frozen[p] = linked[p];
	queue_pass(p)
}

/* q_least: the smallest seq of any published multicast behind position q_i. */
inline queue_least(p)
{
	q_least = ENDLESS;
	q_j = q_i + 1;
	do
	:: q_j < frozen[p] ->
		q_y = Q(p, q_j);
		if
		:: (judged & bit(q_y)) && MULTI(q_y) &&
		   seq[LEAD(q_y)] < q_least ->
			q_least = seq[LEAD(q_y)]
		:: else
		fi;
		q_j++
	:: else -> break
	od
}

/* q_x: the published multicast with the smallest seq that is still there. */
inline queue_next(p)
{
	q_x = ENDLESS;
	q_j = 0;
	do
	:: q_j < frozen[p] ->
		q_y = Q(p, q_j);
		if
		:: (judged & ~q_taken & bit(q_y)) && MULTI(q_y) ->
			if
			:: q_x == ENDLESS -> q_x = q_y
			:: q_x != ENDLESS &&
			   seq[LEAD(q_y)] < seq[LEAD(q_x)] -> q_x = q_y
			:: else
			fi
		:: else
		fi;
		q_j++
	:: else -> break
	od
}

/* A multicast in its turn, unless the bound is in its way. */
inline queue_turn(p)
{
	if
	:: seq[LEAD(q_x)] > q_bound ->
		assert(KEPT);
		q_stop = true
	:: else ->
		assert(MOVED || q_x == Q(p, q_i));
		take(p, q_x);
		q_taken = q_taken | bit(q_x)
	fi
}

/*
 * bus1_queue_round() goes through the numbers, and takes as the position of a
 * multicast the largest link position so far. This goes through the link
 * positions, so that one checks the other. At q_i, where a published multicast
 * was linked: the position of a multicast is the largest link position of any
 * with a seq up to its own. So it is q_i for those, not yet taken, whose seq is
 * below that of all linked behind q_i. They go by seq.
 */
inline queue_place(p)
{
#if defined(LINK_ORDER)
	q_x = Q(p, q_i);
	queue_turn(p)
#elif defined(SLOTS)
	queue_next(p);
	queue_turn(p)
#else
	queue_least(p);
	queue_next(p);
	do
	:: !q_stop && q_x != ENDLESS && seq[LEAD(q_x)] < q_least ->
		queue_turn(p);
		if
		:: !q_stop -> queue_next(p)
		:: else
		fi
	:: else -> break
	od;
#ifdef NO_KEEP
	q_stop = false
#endif
#endif
}

/* Close up over q_taken. */
inline queue_close_up(p)
{
	q_i = 0;
	q_j = 0;
	do
	:: q_i < linked[p] ->
		q_x = Q(p, q_i);
		if
#ifdef STAYS
		:: false
#elif defined(FORGETS)
		:: q_i < frozen[p]
#else
		:: q_taken & bit(q_x)
#endif
		:: else ->
			Q(p, q_j) = q_x;
			q_j++
		fi;
		q_i++
	:: else -> break
	od;
#ifdef JUDGE_FIRST
	frozen[p] = frozen[p] - (linked[p] - q_j);
#else
	/* What the next freeze would make of it anyway. */
	frozen[p] = 0;
#endif
	do
	:: linked[p] > q_j ->
		linked[p]--;
		Q(p, linked[p]) = 0
	:: else -> break
	od
}

/*
 * A wrong rule: all that is linked behind the first with a seq above the bound
 * is taken out of the set. Leaves in q_held what that is.
 */
inline queue_hold(p)
{
	q_held = 0;
	q_i = 0;
	do
	:: q_i < frozen[p] ->
		q_x = Q(p, q_i);
		if
		:: (judged & bit(q_x)) && (q_held || (MULTI(q_x) &&
		   seq[LEAD(q_x)] > q_bound)) ->
			q_held = q_held | bit(q_x)
		:: else
		fi;
		q_i++
	:: else -> break
	od;
	judged = judged & ~q_held
}

/*
 * All are judged: they become ready in their order, up to the first multicast
 * with a seq above @bound. Leaves in judged what was published and is kept.
 * Under peer->lock, and seq of what is published is constant: one step with the
 * last load.
 */
inline queue_order(p, bound)
{
	q_taken = 0;
	q_stop = false;
#ifdef NO_BOUND
	q_bound = ENDLESS;
#else
	q_bound = bound;
#endif
#ifdef HOLD_LINKED
	queue_hold(p);
#endif
	q_i = 0;
	do
	:: q_i < frozen[p] && !q_stop ->
		q_x = Q(p, q_i);
		if
		:: !(judged & bit(q_x))
		:: (judged & bit(q_x)) && (STAGE == 1 || !MULTI(q_x)) ->
			take(p, q_x);
			q_taken = q_taken | bit(q_x)
		:: else -> queue_place(p)
		fi;
		q_i++
	:: else -> break
	od;
	judged = judged & ~q_taken;
#ifdef HOLD_LINKED
	judged = judged | q_held;
#endif
	queue_close_up(p)
}

/* After a load or a freeze: is this round at its end, or the whole call? */
inline queue_judge(p)
{
	if
	:: phase != BOUND && at < frozen[p] -> phase = LOAD
	:: else ->
		queue_order(p, bound);
		old = old & ~q_taken;
		at = 0;
		if
#ifndef ONCE
		:: bound && (judged & old) ->
			assert(ROUNDS);
			phase = BOUND
#endif
#ifndef NO_ROUNDS
		:: !bound && phase == BOUND
#endif
		:: else ->
			phase = IDLE;
			bound = 0;
			old = 0
		fi;
		judged = 0;
		if
		:: phase == IDLE -> queue_end(p)
		:: else
		fi
	fi
}

inline queue_old(p)
{
	if
	:: bound && !old ->
		q_i = 0;
		do
		:: q_i < frozen[p] ->
			old = old | bit(Q(p, q_i));
			q_i++
		:: else -> break
		od
	:: else
	fi
}

/* The leftovers, before the freeze. */
inline queue_early(p)
{
	queue_pass(p);
	if
	:: phase == BOUND
	:: phase != BOUND && at < frozen[p] -> phase = PRELOAD
	:: else -> phase = FREEZE
	fi
}

/*
 * A step of bus1_queue_refresh(), with peer->lock held; the locals are
 * QUEUE_LOCALS, all 0 between two calls. It begins when queue_may_begin(p).
 * With its first access goes queue_begin(p), with its last one queue_end(p).
 */
inline queue_refresh(p)
{
	if
	:: d_step {
		phase == IDLE && queue_may_begin(p) ->
		queue_begin(p);
#ifdef JUDGE_FIRST
		queue_early(p)
#else
		queue_freeze(p);
		queue_judge(p)
#endif
	}
	:: d_step {
		phase == LOAD && CAN_LOAD(p) ->
		queue_load(p);
		queue_judge(p)
	}
#if STAGE == 2
	:: d_step {
		phase == BOUND ->
#ifdef COUNTER_AFTER_FREEZE
		bound = ENDLESS;
		phase = FREEZE
#else
		bound = counter;
#ifdef JUDGE_FIRST
		phase = IDLE;
		at = 0;
		judged = 0;
		queue_early(p)
#else
		phase = FREEZE
#endif
#endif
	}
#endif
#if STAGE == 2 || defined(JUDGE_FIRST)
	:: d_step {
		phase == FREEZE ->
		queue_freeze(p);
		queue_old(p);
#ifdef COUNTER_AFTER_FREEZE
		phase = COUNT
	}
	:: d_step {
		phase == COUNT ->
		bound = counter;
#endif
		queue_judge(p)
	}
#endif
#ifdef JUDGE_FIRST
	:: d_step {
		phase == PRELOAD && CAN_LOAD(p) ->
		queue_load(p);
		if
		:: phase != BOUND && at == frozen[p] -> phase = FREEZE
		:: else
		fi
	}
#endif
	fi
}
