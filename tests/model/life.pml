/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: a model of lifetimes
 *
 * S sends a message to the node W of P, which carries a handle (HP) to the node
 * N of R; with MCAST also to O (carrying HO). S has a handle to each node, HS
 * and HD, and nobody else has any. See order.pml for how it is run. Meanwhile:
 *
 *   REL_N, REL_W             R releases N, P releases W
 *   REL_HS, REL_HD, REL_HP   a second thread releases it, once it is there
 *   CLOSE                    P is closed, at any time
 *   STRANGER                 somebody sends to another node of P
 *   STALL                    two do, each in a multicast
 *
 * What is right, and states (the last three only with --full):
 *
 *   REL_N MCAST STRANGER                                          473822
 *   REL_N REL_HP STRANGER                                          95783
 *   REL_N REL_HS REL_HP MCAST                                     460375
 *   REL_W REL_N                                                    19416
 *   REL_W MCAST REL_HS                                             29086
 *   REL_W STALL                                                   531888
 *   REL_HD REL_HS                                                   2293
 *   REL_HD REL_W REL_HS                                            44968
 *   CLOSE MCAST STRANGER                                           29376
 *   CLOSE MCAST REL_N                                             131976
 *   CLOSE REL_HD REL_HS REL_HP                                     80847
 *   REL_W REL_N MCAST STRANGER                                   9410009
 *   CLOSE MCAST REL_N STRANGER                                   3295645
 *   CLOSE MCAST REL_N REL_HD REL_HP                              4363931
 *
 * What is wrong:
 *
 *   NOTIFY_LAST       NODE_RELEASE of a handle whose node died on the
 *                     way is not right behind the message            ATOMIC
 *   LIST_EARLY        the sender lists the handles, before it links  EARLY
 *   NO_DEAD_CHECK     the receiver lists them, dead or not           LOST
 *   NO_CLAIM          nothing decides who discards                   TWICE
 *   DEAD_BEFORE_LINK  the sender looks at node->dead too early       LOST
 *   NO_HOLD           SEND does not hold its handles                 EARLY
 *   ONCE              bus1_queue_rounds() ends after one round, so
 *                     that RELEASE overlooks a published message     LOST
 *
 * Properties. CAUSAL and ATOMIC as in order.pml; a NODE_RELEASE belongs to the
 * message that brings its handle if the node dies on the way. EARLY: who
 * receives NODE_RELEASE has the handle, and the node is dead; who receives
 * HANDLE_RELEASE has the node, no handle is left, and no message comes after.
 * LOST: each message is received or discarded; in the end nobody has a handle
 * of a dead node, and no node that is not dead is without a handle. TWICE: each
 * message is received or discarded once, each notification queued once.
 * A WITNESS is a rare event, and it is tested that it does occur.
 *
 * What is left out, besides what order.pml says.
 * - Payload, charges, references to memory: no decision depends on them.
 * - The look at W by bus1_send_charge_dest(): a message that it saves would be
 *   discarded by bus1_tx_settle(), for the same reason.
 * - The steps of bus1_tx_publish(), which is one: who loads the seq sees it not
 *   begun, or waits for its end.
 * - bus1_recv_look() and what is done before bus1_recv_commit(), unlocked: what
 *   was the first stays it, or is gone and another peek finds the next.
 * - Look-ups, the making of handles, and holds are one step: who releases one
 *   of the handles comes before or after the look-up of that one. So are the
 *   claim of a message and the drop of what it carries: the claimant's alone.
 */
#define NP 4
#define S 0 /* sends */
#define P 1 /* gets the message, at its node W */
#define R 2 /* has the node N, of which a handle is carried */
#define O 3 /* another receiver */

/* Entries. Each is queued at one peer, and once at most. */
#define NT 10
#define TO_P 0 /* the message to W, with the handle HP */
#define TO_O 1 /* the same message to O, with the handle HO */
#define NREL_S 2 /* NODE_RELEASE of N: for HS, HP, HO */
#define NREL_P 3
#define NREL_O 4
#define NREL_D 5 /* NODE_RELEASE of W: for HD */
#define HREL_N 6 /* HANDLE_RELEASE of N */
#define HREL_W 7 /* HANDLE_RELEASE of W */
#define OTHER 8 /* a stranger's message to another node of P */
#define OTHER2 9
#define AT(x)								\
	((x) == TO_P || (x) == NREL_P || (x) == HREL_W || (x) >= OTHER -> P : \
	 ((x) == NREL_S || (x) == NREL_D -> S : ((x) == HREL_N -> R : O)))
#define NQ 5

/* Handles of S: to N, and to W; and those in the message. */
#define HS 0
#define HD 1
#define HP 2
#define HO 3
#define OWNER(h) ((h) == HP -> P : ((h) == HO -> O : S))
#define NREL(h)								\
	((h) == HS -> NREL_S : ((h) == HD -> NREL_D :			\
	 ((h) == HP -> NREL_P : NREL_O)))

/* Nodes. X is where the stranger sends to. */
#define N 0
#define W 1
#define X 2
#define OF_O 3 /* where O gets the message */
#define NODE(h) ((h) == HD -> W : N)
#define HREL(n) ((n) == N -> HREL_N : HREL_W)

byte lead[NT]; /* item->lead, plus 1; 0: none */
#define MULTI(x) (lead[x])
#define LEAD(x) (lead[x] - 1)

/* What a thread that calls bus1_queue_refresh() has done, or does it for. */
#define OUT 0
#define RECV 1
#define KILLED 2 /* dead, or released, is set; peer->lock is held */
#define LOOKED 3 /* and the queue was looked at */

#define queue_may_begin(p)						\
	(go == KILLED || (go == RECV && !lock[p] && linked[p] &&	\
			  len(ready[p]) == 0))

#include "queue.pml"

PROPERTY(CAUSAL);
PROPERTY(ATOMIC);
PROPERTY(EARLY);
PROPERTY(LOST);
PROPERTY(TWICE);
WITNESS(REFUSED);
WITNESS(SETTLED);
WITNESS(BEHIND);
WITNESS(VANISHED);

bool lock[NP]; /* peer->lock */
chan ready[NP] = [NQ] of { byte }; /* peer->data.ready */
byte holds[4]; /* handle->holds */
byte n_handles[2]; /* node->n_handles */
byte has = bit(HS) | bit(HD); /* handles that are in their owner's table */
byte listed = bit(HS) | bit(HD); /* handles that are in node->handles */
byte released; /* handle->released */
byte known_nodes = bit(N) | bit(W) | bit(X); /* in their owner's table */
byte dead; /* node->dead */
short claimed; /* message->claimed */

/* What only the properties look at. */
short sent; /* messages */
short gone; /* messages delivered or discarded, notifications queued */
short delivered;
short known; /* published */
short before; /* what was known when OTHER began */
bool behind; /* NREL_P has to come next */

hidden byte l_i, l_x, l_n;

/* bus1_handle_unhold(); what follows is collected in items. */
inline unhold(h)
{
	holds[h]--;
	if
	:: !holds[h] ->
		listed = listed & ~bit(h);
		n_handles[NODE(h)]--;
		/* bus1_node_drop() */
		if
		:: !n_handles[NODE(h)] && !(dead & bit(NODE(h))) ->
			items = items | bit(HREL(NODE(h)))
		:: else
		fi
	:: else
	fi
}

/* bus1_msg_discard() */
inline discard(x)
{
	if
#ifdef NO_CLAIM
	:: true ->
#else
	:: !(claimed & bit(x)) ->
#endif
		claimed = claimed | bit(x);
		assert(!(gone & bit(x)) || TWICE);
		gone = gone | bit(x);
		if
		:: x == TO_P -> unhold(HP)
		:: x == TO_O -> unhold(HO)
		:: else
		fi
	:: else
	fi
}

/* bus1_queue_judge(), of what is published and in its turn. */
inline take(p, x)
{
	if
	:: x == TO_P && !(known_nodes & bit(W))
	:: x >= OTHER && !(known_nodes & bit(X))
	:: x == HREL_N && (dead & bit(N))
	:: x == HREL_W && (dead & bit(W))
	:: x == NREL_S && (released & bit(HS)) -> assert(VANISHED)
	:: x == NREL_D && (released & bit(HD)) -> assert(VANISHED)
	:: x == NREL_P && (released & bit(HP)) -> assert(VANISHED)
	:: x == NREL_O && (released & bit(HO)) -> assert(VANISHED)
	:: else -> ready[p]!x
	fi
}

inline queue_begin(p)
{
	lock[p] = true
}

inline queue_end(p)
{
	if
	:: go == RECV -> lock[p] = false
	:: else -> go = LOOKED
	fi
}

/* A notification is queued: each once in its life. */
inline notify(x)
{
	assert(!(gone & bit(x)) || TWICE);
	gone = gone | bit(x)
}

#define TX_LOCALS \
	short items, todo, refused; \
	byte one; \
	bool looked

/* bus1_tx_chain(): if there is more than one receiver, the first item leads. */
inline tx_begin()
{
	todo = items;
	refused = 0;
	one = 0;
	if
	:: items & (items - 1) ->
		do
		:: items & bit(one) -> break
		:: else -> one++
		od;
		one++
	:: else
	fi
}

/*
 * bus1_tx_link(), and publication. Nobody can tell the steps of link, draw and
 * publish apart who waits out DRAWING; see order.pml.
 */
inline tx_commit()
{
	do
	:: atomic {
		todo ->
		d_step {
			l_i = 0;
			do
			:: todo & bit(l_i) -> break
			:: else -> l_i++
			od;
			todo = todo & ~bit(l_i);
			lead[l_i] = one;
			if
			:: l_i > TO_O && l_i < OTHER -> notify(l_i)
			:: else
			fi;
			if
			:: l_i == OTHER -> before = known
			:: else
			fi;
			if
			:: sealed[AT(l_i)] ->
				assert(REFUSED);
				refused = refused | bit(l_i)
			:: else -> queue_link(AT(l_i), l_i)
			fi;
			if
			:: !one -> known = known | items
			:: else
			fi
		}
		if
		:: !one -> break
		:: else
		fi
	}
	:: atomic {
		!todo && one ->
		d_step {
			counter++;
			seq[one - 1] = counter;
			known = known | items
		}
		break
	}
	:: atomic { !todo && !one -> break }
	od
}

/* bus1_tx_settle(), for message x to node n. */
inline tx_settle(x, n)
{
	atomic {
		items = items & ~sent;
		if
		:: (sent & bit(x)) && ((refused & bit(x)) ||
#ifdef DEAD_BEFORE_LINK
		   looked
#else
		   (dead & bit(n))
#endif
		   ) ->
			assert(SETTLED || (claimed & bit(x)) ||
			       (refused & bit(x)));
			discard(x)
		:: else
		fi
	}
}

/* bus1_send_prepare(), bus1_send_commit(): with HS, through HD; and to O. */
proctype send()
{
	TX_LOCALS;

	atomic {
		d_step {
			if
			:: (has & bit(HS)) && (has & bit(HD)) ->
#ifndef NO_HOLD
				holds[HS]++;
				holds[HD]++;
#endif
				items = bit(TO_P);
				holds[HP] = 1;
				n_handles[N]++;
#ifdef MCAST
				items = items | bit(TO_O);
				holds[HO] = 1;
				n_handles[N]++;
#endif
#ifdef LIST_EARLY
				listed = listed | bit(HP);
#endif
				sent = sent | items
			:: else
			fi
		}
		if
		:: !items -> goto out
		:: else
		fi;
		d_step { tx_begin() }
	}
#ifdef DEAD_BEFORE_LINK
	looked = dead & bit(W);
#endif
	tx_commit();
	tx_settle(TO_P, W);
#ifdef MCAST
	tx_settle(TO_O, OF_O);
#endif
	atomic {
#ifndef NO_HOLD
		unhold(HD);
		unhold(HS);
#endif
		tx_begin()
	}
	tx_commit();
out:
	skip
}

/*
 * A message to another node of P. With STALL it is a part of a multicast, the
 * rest of which is linked at peers that are left out here.
 */
proctype stranger(byte x)
{
	TX_LOCALS;

	d_step {
		items = bit(x);
		sent = sent | items;
		tx_begin();
#ifdef STALL
		one = x + 1
#endif
	}
	tx_commit();
	tx_settle(x, X)
}

/* bus1_recv_install(), of message x that has handle h with it. */
inline receive(p, x, h)
{
	assert(!(claimed & bit(x)) || TWICE);
	claimed = claimed | bit(x);
	gone = gone | bit(x);
	has = has | bit(h);
	/* bus1_handle_install(): listed or dead. */
	if
#ifndef NO_DEAD_CHECK
	:: dead & bit(N) ->
		l_x = NREL(h);
		notify(l_x);
		ready[p]!l_x;
		assert(BEHIND);
#ifndef NOTIFY_LAST
		l_i = len(ready[p]);
		do
		:: l_i > 1 ->
			ready[p]?l_n;
			ready[p]!l_n;
			l_i--
		:: else -> break
		od;
#endif
		if
		:: p == P -> behind = true
		:: else
		fi
#endif
	:: else -> listed = listed | bit(h)
	fi
}

/* NODE_RELEASE is received: bus1_peer_erase(), bus1_handle_unhold(). */
inline node_gone(h)
{
	assert(((has & bit(h)) && (dead & bit(NODE(h)))) || EARLY);
	has = has & ~bit(h);
	released = released | bit(h);
	unhold(h);
	assert(!items || TWICE)
}

/* HANDLE_RELEASE is received: bus1_node_kill(), bus1_peer_erase(). */
inline handle_gone(n)
{
	assert((!n_handles[n] && (known_nodes & bit(n))) || EARLY);
	dead = dead | bit(n);
	known_nodes = known_nodes & ~bit(n)
}

/* RECV: bus1_queue_first(), bus1_recv_commit(); and bus1_peer_close(). */
proctype receiver(byte p)
{
	QUEUE_LOCALS;
	TX_LOCALS;
	byte go = RECV;

end:	do
	:: queue_refresh(p)
	:: d_step {
		go == RECV && phase == IDLE && !lock[p] && len(ready[p]) > 0 ->
		ready[p]?l_x;
		if
		:: p == P ->
			assert(!behind || l_x == NREL_P || ATOMIC);
			behind = false
		:: else
		fi;
		assert(!(delivered & bit(OTHER)) || !(before & bit(l_x)) ||
		       p != P || CAUSAL);
		delivered = delivered | bit(l_x);
		if
		:: l_x == TO_P ->
			assert((known_nodes & bit(W)) || EARLY);
			receive(p, TO_P, HP)
		:: l_x == TO_O -> receive(p, TO_O, HO)
		:: l_x >= OTHER ->
			assert(!(claimed & bit(l_x)) || TWICE);
			claimed = claimed | bit(l_x);
			gone = gone | bit(l_x)
		:: l_x == NREL_S -> node_gone(HS)
		:: l_x == NREL_D -> node_gone(HD)
		:: l_x == NREL_P -> node_gone(HP)
		:: l_x == NREL_O -> node_gone(HO)
		:: l_x == HREL_N -> handle_gone(N)
		:: l_x == HREL_W -> handle_gone(W)
		fi;
		l_x = 0
	}
#ifdef CLOSE
	/* The nodes die; then bus1_queue_seal(). */
	:: atomic {
		p == P && go == RECV && phase == IDLE && !lock[P] ->
		lock[P] = true;
		go = OUT;
		dead = dead | bit(W) | bit(X);
		released = released | (has & bit(HP));
		behind = false
	}
	:: d_step {
		p == P && go == OUT && !sealed[P] ->
		/* The ready list, by itself; then the xchg, and all of it. */
		do
		:: len(ready[P]) > 0 ->
			ready[P]?l_x;
			if
			:: l_x == TO_P || l_x >= OTHER -> discard(l_x)
			:: else
			fi
		:: else -> break
		od;
		sealed[P] = true;
		do
		:: linked[P] ->
			linked[P]--;
			l_x = Q(P, linked[P]);
			Q(P, linked[P]) = 0;
			if
			:: l_x == TO_P || l_x >= OTHER -> discard(l_x)
			:: else
			fi
		:: else -> break
		od;
		/* The nodes, then the handles. */
		known_nodes = known_nodes & ~(bit(W) | bit(X));
		if
		:: (listed & bit(HD)) && !(released & bit(HD)) ->
			listed = listed & ~bit(HD);
			items = items | bit(NREL_D)
		:: else
		fi;
		if
		:: has & bit(HP) ->
			has = has & ~bit(HP);
			unhold(HP)
		:: else
		fi;
		lock[P] = false;
		tx_begin()
	}
	:: atomic { p == P && sealed[P] -> break }
#endif
	od;
#ifdef CLOSE
	tx_commit()
#endif
}

/* bus1_peer_release(), of a node: it dies, and the queue is looked at. */
proctype release_node(byte p; byte n)
{
	QUEUE_LOCALS;
	TX_LOCALS;
	byte go;

	atomic {
		!lock[p] ->
		if
		:: known_nodes & bit(n) ->
			lock[p] = true;
			dead = dead | bit(n);
			go = KILLED
		:: else -> goto out
		fi
	}
	do
	:: queue_refresh(p)
	:: d_step {
		go == LOOKED ->
		/* bus1_peer_unqueue(), bus1_peer_discard() */
		if
		:: ready[p]??[eval(HREL(n))] -> ready[p]??eval(HREL(n))
		:: else
		fi;
		if
		:: n == W && ready[p]??[TO_P] ->
			ready[p]??TO_P;
			discard(TO_P)
		:: else
		fi;
		known_nodes = known_nodes & ~bit(n);
		lock[p] = false;
		go = OUT
	}
	:: atomic { go == OUT -> break }
	od;
	/* bus1_node_detach() */
	atomic {
		l_i = 0;
		do
		:: l_i < 4 ->
			if
			:: (listed & bit(l_i)) && NODE(l_i) == n ->
				listed = listed & ~bit(l_i);
				if
				:: !(released & bit(l_i)) ->
					items = items | bit(NREL(l_i))
				:: else
				fi
			:: else
			fi;
			l_i++
		:: else -> break
		od;
		tx_begin()
	}
	tx_commit();
out:
	skip
}

/* bus1_peer_release(), of a handle. */
proctype release_handle(byte p; byte h)
{
	QUEUE_LOCALS;
	TX_LOCALS;
	byte go;

	/* There may be none, or no more. */
end:	atomic {
		(has & bit(h)) && !lock[p] ->
		lock[p] = true;
		released = released | bit(h);
		go = KILLED
	}
	do
	:: queue_refresh(p)
	:: d_step {
		go == LOOKED ->
		if
		:: ready[p]??[eval(NREL(h))] ->
			ready[p]??eval(NREL(h));
			if
			:: h == HP -> behind = false
			:: else
			fi
		:: else
		fi;
		has = has & ~bit(h);
		lock[p] = false;
		go = OUT
	}
	:: atomic { go == OUT -> break }
	od;
	atomic {
		unhold(h);
		tx_begin()
	}
	tx_commit()
}

init
{
	atomic {
		expect();
		holds[HS] = 1;
		holds[HD] = 1;
		n_handles[N] = 1;
		n_handles[W] = 1;
		run receiver(S);
		run receiver(P);
		run receiver(R);
#ifdef MCAST
		run receiver(O);
#endif
		run send();
#ifdef STRANGER
		run stranger(OTHER);
#endif
#ifdef STALL
		run stranger(OTHER);
		run stranger(OTHER2);
#endif
#ifdef REL_N
		run release_node(R, N);
#endif
#ifdef REL_W
		run release_node(P, W);
#endif
#ifdef REL_HP
		run release_handle(P, HP);
#endif
#ifdef REL_HS
		run release_handle(S, HS);
#endif
#ifdef REL_HD
		run release_handle(S, HD);
#endif
	}
	atomic {
		timeout ->
		assert((sent & ~gone) == 0 || LOST);
		assert(!(has & (bit(HS) | bit(HP) | bit(HO))) ||
		       !(dead & bit(N)) || LOST);
		assert(!(has & bit(HD)) || !(dead & bit(W)) || LOST);
		assert(n_handles[N] || (dead & bit(N)) || LOST);
		assert(n_handles[W] || (dead & bit(W)) || LOST)
	}
}
