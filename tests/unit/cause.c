// SPDX-License-Identifier: GPL-2.0-only
/*
 * The graph of cause of bus1-trace, fed by hand, with what no kernel says, and
 * with random events whose chains are found by the definition, too.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cause.h"

/* What cause.c needs of the rest of the tool */
void complain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
}

uint64_t now_ns(void)
{
	return 1;
}

static int n_tests;

static void ok(bool good, const char *text)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++n_tests, text);
}

static struct cause *cause;

static uint32_t pid = 1;

static struct call *add(uint32_t type, uint32_t tid, size_t n,
			const uint64_t *args)
{
	struct bus1_event event = { .type = type, .pid = pid, .tid = tid,
				    .comm = "sixteen letters!" };

	memcpy(event.arg, args, n * sizeof(*args));
	return cause_add(cause, &event, n);
}

#define ADD(name, tid, ...)                                            \
	add(EV_##name, tid,                                            \
	    sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t),    \
	    (uint64_t[]){ __VA_ARGS__ })

/* Transaction @peer:@tx by @tid, from @begun on for 2 ns */
static struct call *commit(uint32_t tid, uint64_t peer, uint64_t tx,
			   uint64_t begun)
{
	return ADD(tx_commit, tid, peer, tx, BUS1_TX_SEND, 1, 1, 0, begun,
		   begun + 2, 0);
}

static struct call *close_peer(uint32_t tid, uint64_t peer, uint64_t tx,
			       uint64_t begun)
{
	return ADD(tx_commit, tid, peer, tx, BUS1_TX_CLOSE, 1, 1, 0, begun,
		   begun + 2, 0);
}

static struct call *receive(uint32_t tid, uint64_t peer, uint64_t number,
			    uint64_t from, uint64_t tx, uint64_t time)
{
	return ADD(msg_recv, tid, peer, number, from, tx, 0, 1, 17, 0, 5, time,
		   0);
}

/* "1:2 message 3.4 thread ..." */
static const char *chain(struct call *from, struct call *to)
{
	static const char *const words[] = { "", " t ", " m ", " q ",
					      " p ", " h " };
	static char said[512];
	struct cause_step *steps = NULL;
	size_t n = cause_chain(cause, from, to, &steps), i, used = 0;

	*said = '\0';
	for (i = 0; i < n; i++)
		used += snprintf(said + used, sizeof(said) - used,
				 "%s%" PRIu64 "%c%" PRIu64,
				 words[steps[i].how], steps[i].call->peer,
				 steps[i].call->type == CALL_TX ? ':' : '.',
				 steps[i].call->number);
	free(steps);
	return said;
}

static void is(const char *text, const char *got, const char *wanted)
{
	ok(!strcmp(got, wanted), text);
	if (strcmp(got, wanted))
		printf("# got \"%s\", wanted \"%s\"\n", got, wanted);
}

static void begin(size_t max)
{
	cause_free(cause);
	cause = cause_new(max);
}

static void by_hand(void)
{
	struct call *a, *b, *c, *r;
	uint64_t forgotten, misplaced;

	begin(0);
	a = commit(1, 10, 1, 100);
	r = receive(2, 20, 1, 10, 1, 110);
	b = commit(2, 20, 1, 120);
	c = commit(3, 30, 1, 130);
	is("a message, then the same thread", chain(a, b), "10:1 m 20.1 t 20:1");
	is("not the other way round", chain(b, a), "");
	is("nothing joins them", chain(a, c), "");
	is("to itself", chain(a, a), "10:1");
	ok(a == cause_tx(cause, 10, 1) && r == cause_receipt(cause, 20, 1),
	   "found by their numbers");
	ok(!cause_tx(cause, 20, 2) && !cause_receipt(cause, 10, 1),
	   "what is not there is not found");
	ok(strlen(a->comm) == COMM_LEN - 1, "a name without end has one");

	/* many calls of a thread are one step, and the way is the shortest */
	begin(0);
	a = commit(1, 10, 1, 100);
	receive(2, 20, 1, 10, 1, 110);
	for (int i = 1; i <= 100; i++)
		commit(2, 20, i, 110 + 10 * i);
	receive(3, 30, 1, 20, 50, 2000);
	receive(3, 30, 2, 20, 7, 2001);
	b = commit(3, 30, 1, 2010);
	is("a hundred calls of a thread are a step", chain(a, b),
	   "10:1 m 20.1 t 20:7 m 30.2 t 30:1");
	receive(3, 30, 3, 10, 1, 2005);
	is("a shorter way comes late", chain(a, b), "10:1 m 30.3 t 30:1");

	begin(0);
	a = commit(1, 10, 1, 100);
	commit(2, 20, 1, 101);
	receive(3, 30, 2, 20, 1, 112); /* it was second, and is told first */
	receive(4, 30, 1, 10, 1, 113); /* its stamp came late */
	b = commit(3, 30, 1, 120);
	is("a queue is in order of its numbers",
	   chain(a, cause_receipt(cause, 30, 2)), "10:1 m 30.1 q 30.2");
	is("and then comes what the peer sends", chain(a, b),
	   "10:1 m 30.1 p 30:1");
	c = commit(4, 31, 1, 121);
	is("and only of these", chain(cause_tx(cause, 20, 1), c), "");

	begin(0);
	b = commit(1, 10, 2, 200);
	a = commit(1, 10, 1, 100);
	is("a thread is in order of its stamps", chain(a, b), "10:1 t 10:2");
	is("whatever came first", chain(b, a), "");
	c = ADD(tx_begin, 1, 10, 3, BUS1_TX_SEND, 1, 1, 0, 150);
	is("a begin without an end", chain(a, c), "10:1 t 10:3");
	commit(1, 10, 3, 150);
	ok(c == cause_tx(cause, 10, 3) && c->time == 152 && c->begun == 150,
	   "which comes later");
	is("and changes no place", chain(c, b), "10:3 t 10:2");

	/* known by a receipt alone */
	begin(0);
	receive(2, 20, 1, 10, 1, 110);
	b = commit(2, 20, 1, 120);
	a = cause_tx(cause, 10, 1);
	ok(a && !a->tid && !a->time, "a transaction known by its receipt");
	is("has come before it", chain(a, b), "10:1 m 20.1 t 20:1");
	c = commit(1, 10, 2, 105);
	is("in which thread is not known", chain(a, c), "");
	commit(1, 10, 1, 100);
	is("until its commit says so", chain(a, c), "10:1 t 10:2");
	a = ADD(tx_commit, 1, 10, 4, BUS1_TX_SEND, 2, 2, 0, 0, 300, 463);
	ok(call_stamp(a) == 300 && a->tx.seq == 463, "begun before the start");
	a = ADD(tx_commit, 1, 10, 5, BUS1_TX_SEND, 2, 2, 0, 310, 312);
	ok(!a->tx.seq, "an older module says no number");
	ADD(msg_recv, 8, 80, 1, 10, 6, 0, 1, 17, 0, 5, 320, 464);
	ok(cause_tx(cause, 10, 6)->tx.seq == 464, "or a receipt does");
	a = ADD(notify_recv, 7, 70, 1, 10, 5, BUS1_KIND_NODE_RELEASE, 3, 10, 1,
		4, 400, 0);
	ok(a->receipt.kind == BUS1_KIND_NODE_RELEASE &&
	   a->receipt.node_peer == 10 && a->receipt.node == 1,
	   "a notification");
	ok(!ADD(msg_send, 1, 10, 1, 0, 20, 1, 17, 0, 100, 1),
	   "other events are not calls");

	/* threads of a peer */
	begin(0);
	a = commit(1, 10, 1, 100);
	commit(1, 10, 2, 101);
	r = receive(2, 20, 1, 10, 1, 110);
	c = commit(3, 20, 1, 110);
	b = commit(4, 20, 2, 111);
	is("a peer sends after it received", chain(a, b), "10:1 m 20.1 p 20:2");
	is("not at the same time", chain(a, c), "");
	c = commit(5, 20, 3, 109);
	is("nor before, whatever is told first", chain(a, c), "");
	c = commit(3, 21, 1, 200);
	is("nor any other peer", chain(r, c), "");
	c = close_peer(6, 20, 4, 300);
	is("anyone may close", chain(r, c), "");
	c = ADD(tx_commit, 6, 20, 5, BUS1_TX_DROP, 1, 1, 0, 300, 302);
	is("or drop", chain(r, c), "");
	c = ADD(tx_commit, 7, 20, 6, BUS1_TX_RELEASE, 1, 1, 0, 300, 302);
	is("but not release", chain(r, c), "20.1 p 20:6");
	c = ADD(tx_commit, 8, 20, 7, BUS1_TX_SEND, 1, 1, 0, 0, 303);
	is("when it began is not known", chain(r, c), "");
	is("or when it was received", chain(receive(9, 20, 99, 10, 3, 0), b),
	   "");
	receive(9, 90, 1, 20, 8, 400);
	c = cause_tx(cause, 20, 8);
	ok(c->begun == 395 && !c->time && c->tx.kind == BUS1_TX_SEND,
	   "a message says when its SEND began");
	is("which is enough", chain(r, c), "20.1 p 20:8");
	receive(2, 20, 2, 10, 2, 112);
	ok(cause_mark(cause, b, true, 1) == 2 && r->marks == 1,
	   "only what was received before is in the past");
	ok(cause_mark(cause, c, true, 2) == 4 && r->marks == 3 && r->depth == 2,
	   "of which the last is next to it");

	/* a thread is one of a process */
	begin(0);
	a = commit(2, 10, 1, 100);
	pid = 2;
	b = commit(2, 11, 1, 200);
	pid = 1;
	c = commit(2, 12, 1, 300);
	is("another process with this thread ID", chain(a, b), "");
	is("the same", chain(a, c), "10:1 t 12:1");

	/* handles */
	begin(0);
	a = commit(1, 10, 1, 100);
	r = receive(2, 20, 1, 10, 1, 110);
	b = commit(3, 21, 1, 120);
	is("two peers", chain(a, b), "");
	cause_link(r, b);
	cause_link(r, b);
	cause_link(b, b);
	is("uses the handle that came", chain(a, b), "10:1 m 20.1 h 21:1");
	ok(cause_mark(cause, b, true, 1) == 2 && a->marks == 1 &&
	   r->marks == 1 && !b->marks, "the past of it");
	ok(b->depth == 0 && r->depth == 1 && a->depth == 2 && a->from == r,
	   "and how far away that is");
	ok(cause_mark(cause, a, false, 2) == 2 && b->marks == 2 &&
	   r->marks == 3, "the future of the other");
	cause_forget(cause);
	cause_forget(cause);
	is("what is forgotten is not followed", chain(b, b), "21:1");
	ok(cause_mark(cause, b, true, 4) == 0, "nor is there a past of it");

	/* a bound */
	begin(4);
	a = commit(1, 10, 1, 100);
	commit(1, 10, 2, 200);
	commit(1, 10, 3, 300);
	b = commit(1, 10, 4, 400);
	c = commit(1, 10, 5, 500);
	ok(cause_count(cause, &forgotten, &misplaced) == 4 && forgotten == 1,
	   "the oldest is forgotten");
	ok(!cause_tx(cause, 10, 1) && cause_oldest(cause)->number == 2,
	   "and not there any more");
	is("threads go on", chain(b, c), "10:4 t 10:5");
	receive(2, 20, 1, 10, 5, 600);
	ok(!cause_tx(cause, 10, 2), "by whatever comes");
	receive(2, 20, 2, 10, 1, 610);
	is("what was forgotten is known by its receipt",
	   chain(cause_tx(cause, 10, 1), cause_receipt(cause, 20, 2)),
	   "10:1 m 20.2");
	for (int i = 0; i < 1000; i++)
		receive(i % 3, 20, 3 + i, 10 + i % 7, i, 700 + i);
	ok(cause_count(cause, &forgotten, &misplaced) == 4, "it stays so");
	begin(0);
	cause_forget(cause);
	ok(!cause_oldest(cause), "nothing can be forgotten of nothing");
}

/* What no kernel says */
static void hostile(void)
{
	struct call *a, *b;
	uint64_t forgotten, misplaced;
	clock_t start = clock();

	begin(0);
	a = commit(1, 10, 1, 100);
	b = receive(1, 20, 1, 10, 1, 50); /* received before it was sent */
	is("a circle: forth", chain(a, b), "10:1 m 20.1");
	is("a circle: back", chain(b, a), "20.1 t 10:1");
	ok(cause_mark(cause, a, true, 1) == 2 && a->marks == 1,
	   "a circle: its past is itself");
	ok(receive(1, 20, 1, 11, 7, 500) == b && !cause_tx(cause, 11, 7),
	   "a receipt twice: the first counts");
	commit(9, 10, 1, 900);
	ok(a->tid == 1 && a->begun == 100 && a->time == 102,
	   "a commit twice: the first counts");
	a = commit(0, 12, 1, 910);
	b = commit(0, 12, 2, 920);
	is("no thread has the number 0", chain(a, b), "");
	ADD(tx_commit, UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
	    UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
	    UINT64_MAX);
	ADD(notify_recv, UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
	    UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
	    UINT64_MAX, UINT64_MAX, UINT64_MAX);
	is("the largest numbers",
	   chain(cause_tx(cause, UINT64_MAX, UINT64_MAX),
		 cause_receipt(cause, UINT64_MAX, UINT64_MAX)),
	   "18446744073709551615:18446744073709551615 t 18446744073709551615.18446744073709551615");

	/* all backwards, and one transaction received by everybody */
	begin(0);
	for (uint64_t i = 50000; i; i--) {
		commit(1, 10, i, i);
		receive(2, 20, i, 10, 1, i);
		receive(3, 1000 + i, 1, 10, 1, i);
	}
	cause_count(cause, &forgotten, &misplaced);
	ok(misplaced > 0, "what is too far from its place is told of");
	cause_mark(cause, cause_tx(cause, 10, 50000), true, 1);
	cause_mark(cause, cause_tx(cause, 10, 1), false, 2);
	while (cause_oldest(cause))
		cause_forget(cause);
	ok((clock() - start) / CLOCKS_PER_SEC < 20,
	   "nothing takes time without measure");
}

/* By the definition: all pairs of calls that are a step apart; @added: in order */
#define MOST 64

static bool is_step(const struct call *x, const struct call *y, bool added)
{
	if (x->tid == y->tid &&
	    (call_stamp(x) < call_stamp(y) ||
	     (added && call_stamp(x) == call_stamp(y))))
		return true;
	if (x->type == CALL_TX)
		return y->type == CALL_RECEIPT && y->receipt.tx == x;
	if (x->peer != y->peer)
		return false;
	if (y->type == CALL_RECEIPT)
		return x->number < y->number;
	return x->time < y->begun && y->tx.kind <= BUS1_TX_SEND;
}

static bool agrees(struct call **calls, size_t n)
{
	static unsigned int distance[MOST][MOST];
	size_t i, j, k;

	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++)
			distance[i][j] = i == j ? 0 :
					 is_step(calls[i], calls[j], i < j) ?
					 1 : MOST;
	for (k = 0; k < n; k++)
		for (i = 0; i < n; i++)
			for (j = 0; j < n; j++)
				if (distance[i][k] + distance[k][j] <
				    distance[i][j])
					distance[i][j] = distance[i][k] +
							 distance[k][j];
	for (i = 0; i < n; i++) {
		for (j = 0; j < n; j++) {
			size_t steps = cause_chain(cause, calls[i], calls[j],
						   NULL);

			if (steps != (distance[i][j] < MOST ?
					      distance[i][j] + 1 : 0))
				return false;
		}
	}
	for (i = 0; i < n; i++) {
		cause_mark(cause, calls[i], true, 1u << i % 32);
		for (j = 0; j < n; j++) {
			bool before = distance[j][i] < MOST && j != i;

			if (!!(calls[j]->marks & 1u << i % 32) != before)
				return false;
			calls[j]->marks = 0;
		}
	}
	return true;
}

/* A few peers and threads, in order of time; what is received has been sent. */
static bool at_random(unsigned int seed)
{
	struct call *calls[MOST], *sent[MOST];
	size_t n = 0, n_sent = 0, i;
	uint64_t receipts[4] = { 0 }, time = 100;

	srand(seed);
	begin(0);
	while (n < MOST - 24 + seed % 24) {
		uint32_t tid = 1 + rand() % 5;

		time += rand() % 3 * 5; /* ties, too */
		if (!n_sent || rand() % 5 < 2) {
			calls[n] = sent[n_sent] =
				(rand() % 5 ? commit : close_peer)(
					tid, 1 + rand() % 4, n_sent + 1, time);
			n_sent++;
		} else {
			struct call *tx = sent[rand() % n_sent];

			i = rand() % 4;
			calls[n] = receive(tid, 1 + i, ++receipts[i], tx->peer,
					   tx->number, time);
		}
		n++;
	}
	return agrees(calls, n);
}

int main(void)
{
	unsigned int seed, bad = 0;

	by_hand();
	hostile();
	for (seed = 0; seed < 300 && !bad; seed++)
		if (!at_random(seed))
			bad = seed + 1;
	ok(!bad, "300 random histories agree with the definition");
	if (bad)
		printf("# seed %u does not\n", bad - 1);
	cause_free(cause);
	printf("1..%d\n", n_tests);
	return 0;
}
