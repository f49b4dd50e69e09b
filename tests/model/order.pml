/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: a model of the order of delivery
 *
 * order.pml has senders, each with one transaction, and receivers; queue.pml
 * the queue between them; life.pml nodes, handles and the end of a peer; wait.pml
 * those who sleep until there is something to receive. Spin goes through all
 * interleavings of a case, which is one of the files with switches (-D).
 * "tests/model/run" does so for its list of cases: those that are right have to
 * be exhausted without an error, and each wrong variant has to yield a
 * counterexample to the property it breaks; --trace prints it.
 *
 * What is right, and its states as "tests/model/run" prints them; the last four
 * only with --full:
 *
 *   CHAIN    a multicast to 0 and 1, unicasts to 1 and to 0        22756
 *   GROUP    one with two messages for 0, and unicasts to 0        24767
 *   PAIR     two messages for one peer, and a unicast                 48
 *   MIXED    two multicasts to both, and a unicast to 0           538773
 *   THREE    three multicasts; 0, who is linked first, receives   166988
 *            ... 1, who is linked last, receives                  150665
 *   MIXED31  three multicasts and a unicast to 0, who receives   2761725
 *   THREE    both receive                                        8058573
 *   MIXED22  two multicasts, a unicast to each                   9282338
 *   RING     three multicasts, each to two of three; two get     2104862
 *   FOUR     four multicasts, 0 receives                        16924649
 *
 * With STAGE=1 there are no numbers; then all but TOTAL holds. What is wrong:
 *
 *   PUBLISH_EARLY         published before the last link             CAUSAL
 *   JUDGE_FIRST           leftovers judged before the freeze         CAUSAL
 *   TWO_ENTRIES           two entries for one peer, not a group      ATOMIC
 *   LINK_ORDER            multicasts stay where they were linked     TOTAL
 *   SLOTS                 multicasts sorted among their places       CAUSAL
 *   HOLD_LINKED           kept: what is linked behind the first
 *                         with a number above the bound              TOTAL
 *   NO_BOUND              no bound: nothing is kept                  TOTAL
 *   NO_KEEP               only multicasts are kept                   CAUSAL
 *   NO_DRAW               DRAWING taken as not published    TOTAL and CAUSAL
 *   COUNTER_AFTER_FREEZE  the bound read behind the freeze           TOTAL
 *   NO_ROUNDS             no second freeze                           VISIBLE
 *   ONCE                  no third one (life.pml, STALL)             LOST
 *   FORGETS               what is frozen and not ready is dropped    LOST
 *   STAYS                 what is ready is not removed               TWICE
 *
 * HOLD_LINKED and COUNTER_AFTER_FREEZE take three multicasts to be seen. Two
 * entries for one peer of a multicast come together by their number, so that
 * TWO_ENTRIES fails with one receiver only, unless there are no numbers.
 *
 * Properties. X is known when its sender may return or somebody received it.
 * CAUSAL: whoever receives from X, and from Y that began when X was known,
 * receives X first. TOTAL: two peers do not receive two multicasts in opposite
 * orders. RISING: each peer receives them in the order of their numbers, which
 * implies TOTAL. ATOMIC: nothing comes between two messages of a transaction
 * for one peer (that no reaction to a part overtakes another part is CAUSAL).
 * VISIBLE: a call that began when X was known finds X, or something else. LOST,
 * TWICE: each message arrives, and once.
 *
 * What is left out, and why that loses nothing.
 * - Weak memory. Each access is at once seen by all: tests/litmus is about the
 *   barriers that make it look so. One thing is left of it: the second store in
 *   bus1_tx_publish() may be late, so the sender returns before it.
 * - Reactions, side channels, threads that send one thing after the other: a
 *   sender begins at any time, among others right after anything became known.
 * - The begin of a call is one with its first link, the return with what
 *   publishes. Earlier begun, or later returned, less is known before less.
 * - Ready messages are received at once: the ready list only gets longer at its
 *   end, and received later, less is known. (Not so in life.pml.)
 * - A receipt makes nothing known that was not: what publishes precedes it. So
 *   for RISING one peer's receiver stands for any number.
 * - Wake-ups: the last one comes behind the last publication, and a sleeper
 *   looks once more behind it; VISIBLE says that he finds something. Which of
 *   several is woken is in wait.pml.
 * - Where transactions are alike (TWINS), they begin in the order of their
 *   numbers here; any other order is the same run with other names.
 * - AT_ONCE: DRAWING and the counter in one step. What runs between the two can
 *   be put before them: nobody gets past a load of DRAWING.
 * - Partial order reduction and hash compaction are off: what Spin says is
 *   exhausted is.
 */

/* Who gets x, as a mask; which are multicasts; which are alike. */
#if defined(CHAIN)
#define NP 2
#define NT 3
#define DST(x) ((x) == 0 -> 3 : ((x) == 1 -> 2 : 1))
#define MULTICASTS 1
#elif defined(GROUP)
#define NP 2
#define NT 4
#define DST(x) ((x) == 0 -> 3 : 1)
#define MULTICASTS 3
#define LEAD(x) ((x) == 1 -> 0 : (x))
#elif defined(PAIR)
#define NP 1
#define NT 3
#define DST(x) 1
#define MULTICASTS 0
#define LEAD(x) ((x) == 1 -> 0 : (x))
#elif defined(THREE)
#define NP 2
#define NT 3
#define DST(x) 3
#define MULTICASTS 7
#define TWINS 7
#elif defined(MIXED)
#define NP 2
#define NT 3
#define DST(x) ((x) < 2 -> 3 : 1)
#define MULTICASTS 3
#define TWINS 3
#elif defined(MIXED22)
#define NP 2
#define NT 4
#define DST(x) ((x) < 2 -> 3 : ((x) == 2 -> 1 : 2))
#define MULTICASTS 3
#define TWINS 3
#elif defined(MIXED31)
#define NP 2
#define NT 4
#define DST(x) ((x) < 3 -> 3 : 1)
#define MULTICASTS 7
#define TWINS 7
#elif defined(FOUR)
#define NP 2
#define NT 4
#define DST(x) 3
#define MULTICASTS 15
#define TWINS 15
#elif defined(RING)
#define NP 3
#define NT 3
#define DST(x) ((x) == 0 -> 3 : ((x) == 1 -> 6 : 5))
#define MULTICASTS 7
#endif
#ifndef RECEIVES
#define RECEIVES all(NP)
#endif
#ifndef LEAD
#define LEAD(x) (x)
#endif
#define NQ NT
#define MULTI(x) (MULTICASTS & bit(x))

/* RECV, or poll, at any time: bus1_queue_first() finds nothing ready. */
#define queue_may_begin(p) linked[p]

#include "queue.pml"

PROPERTY(CAUSAL);
PROPERTY(ATOMIC);
PROPERTY(TOTAL);
PROPERTY(RISING);
PROPERTY(VISIBLE);
PROPERTY(LOST);
PROPERTY(TWICE);

short begun;
short known; /* unless it has arrived everywhere */
short before[NT]; /* what was known, as far as it still matters */
short got[NP];
short ahead[NT]; /* of multicasts: those that somebody received later */
hidden byte m_i;

#define HAS(p, x) ((p) < NP && (got[(p) % NP] & bit(x)) -> bit(p) : 0)
/* Who, of those that get both, has not got x. */
#define HAVE(x) (HAS(0, x) | HAS(1, x) | HAS(2, x))
#define MISSING(x, y) (RECEIVES & DST(x) & DST(y) & ~HAVE(x))

/* All that is addressed to p. */
#define SENT(p, x) ((x) < NT && (DST(x) & bit(p)) -> bit(x) : 0)
#define TO(p) (SENT(p, 0) | SENT(p, 1) | SENT(p, 2) | SENT(p, 3))

/* Message, or group, x is received, and the properties judged. */
inline deliver(p, x)
{
	assert(!(got[p] & bit(x)) || TWICE);
#if defined(GROUP) || defined(PAIR)
	assert((x == 1) == ((got[p] & 1) && !(got[p] & 2) && p == 0) || ATOMIC);
#endif
	m_i = 0;
	do
	:: m_i < NT ->
		if
		:: (before[x] & bit(m_i)) && (DST(m_i) & bit(p)) ->
			assert((got[p] & bit(m_i)) || CAUSAL)
		:: else
		fi;
		if
		:: MULTI(x) && MULTI(m_i) && LEAD(x) != LEAD(m_i) &&
		   (got[p] & bit(m_i)) ->
#if STAGE == 2
			assert(seq[LEAD(x)] > seq[LEAD(m_i)] || RISING);
#endif
			ahead[m_i] = ahead[m_i] | bit(x);
			assert(!(ahead[x] & bit(m_i)) || TOTAL)
		:: else
		fi;
		m_i++
	:: else -> break
	od;
	got[p] = got[p] | bit(x);
	/* Forget what makes no difference any more. */
	m_i = 0;
	do
	:: m_i < NT ->
		if
		:: !MISSING(x, m_i) -> before[m_i] = before[m_i] & ~bit(x)
		:: else
		fi;
		m_i++
	:: else -> break
	od;
	if
	:: MISSING(x, x) -> known = known | bit(x)
	:: else ->
		known = known & ~bit(x);
		before[x] = 0
	fi
}

/* bus1_queue_deliver(), and bus1_recv_commit(): a group goes as one. */
inline take(p, x)
{
	must = 0;
	deliver(p, x);
#if (defined(GROUP) || defined(PAIR)) && !defined(TWO_ENTRIES)
	if
	:: x == 0 && p == 0 ->
		q_y = 1;
		deliver(p, q_y)
	:: else
	fi
#endif
}

inline queue_begin(p)
{
	must = known & TO(p) & ~got[p]
}

inline queue_end(p)
{
	assert(!must || VISIBLE);
	must = 0
}

proctype receiver(byte p)
{
	QUEUE_LOCALS;
	short must;

end:	do
	:: queue_refresh(p)
	od
}

/*
 * The transaction is published, and its sender returns. Of a multicast this is
 * where the number is drawn: nothing orders the second store of the seq before
 * what the sender does next. If there are links left, it is with the last.
 */
inline tx_done(x)
{
	if
	:: !todo ->
		if
		:: MISSING(x, x) -> known = known | bit(x)
		:: else
		fi
	:: else
	fi
}

/* Behind all that is known. */
inline tx_begin(x)
{
	begun = begun | bit(x);
	m_i = 0;
	do
	:: m_i < NT ->
		if
		:: (known & bit(m_i)) && MISSING(m_i, x) ->
			before[x] = before[x] | bit(m_i)
		:: else
		fi;
		m_i++
	:: else -> break
	od
}

/* Where it is linked; a second entry for peer 0 counts as one more peer. */
#ifdef TWO_ENTRIES
#define LINKS(x) ((x) == 0 -> DST(x) | bit(NP) : DST(x))
#else
#define LINKS(x) DST(x)
#endif

/* Receivers in the order in which bus1_tx_chain() sorted them. */
inline tx_link(x)
{
	if
	:: todo == LINKS(x) -> tx_begin(x)
	:: else
	fi;
	q_i = 0;
	do
	:: todo & bit(q_i) -> break
	:: else -> q_i++
	od;
	todo = todo & ~bit(q_i);
#ifdef TWO_ENTRIES
	if
	:: q_i == NP ->
		q_i = 0;
		q_y = 1;
		queue_link(q_i, q_y)
	:: else -> queue_link(q_i, x)
	fi;
#else
	queue_link(q_i, x);
#endif
	if
	:: !MULTI(x) || PUBLISHED(x) -> tx_done(x)
	:: else
	fi
}

/* Those that are alike begin one after the other. */
#ifdef TWINS
#define MAY_BEGIN(x) (!(TWINS & bit(x)) || !(~begun & TWINS & (bit(x) - 1)))
#else
#define MAY_BEGIN(x) true
#endif

#define SINGLE(todo) (!((todo) & ((todo) - 1)))
#ifdef PUBLISH_EARLY
#define LINKED SINGLE(todo)
#define MAY_LINK(x) (todo && (!MULTI(x) || !SINGLE(todo) || seq[x] > DRAWING))
#else
#define LINKED (!todo)
#define MAY_LINK(x) todo
#endif

/* bus1_tx_commit(): bus1_tx_link(), bus1_tx_publish() */
proctype sender(byte x)
{
	byte todo = LINKS(x);
	byte mine;

	do
	:: atomic {
		MAY_LINK(x) && (todo != LINKS(x) || MAY_BEGIN(x)) ->
		d_step { tx_link(x) }
		if
		:: !todo && PUBLISHED(x) -> break
		:: else
		fi
	}
#if STAGE == 1
	:: atomic {
		MULTI(x) && LINKED && !seq[x] ->
		d_step {
			seq[x] = DRAWING + 1;
			tx_done(x)
		}
		if
		:: !todo -> break
		:: else
		fi
	}
#else
#ifdef AT_ONCE
	:: d_step {
		MULTI(x) && LINKED && !seq[x] ->
		seq[x] = DRAWING;
#else
	:: d_step {
		MULTI(x) && LINKED && !seq[x] ->
		seq[x] = DRAWING
	}
	:: d_step {
		seq[x] == DRAWING && !mine ->
#endif
		counter++;
		mine = counter;
		tx_done(x)
	}
	:: atomic {
		mine ->
		seq[x] = mine;
		mine = 0;
		if
		:: !todo -> break
		:: else
		fi
	}
#endif
	od
}

init
{
	byte i;

	atomic {
		expect();
		do
		:: i < NP ->
			if
			:: RECEIVES & bit(i) -> run receiver(i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NT ->
			if
			:: LEAD(i) == i -> run sender(i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0
	}
	atomic {
		timeout ->
		do
		:: i < NP ->
			assert(got[i] == (RECEIVES & bit(i) -> TO(i) : 0) ||
			       LOST);
			i++
		:: else -> break
		od
	}
}
