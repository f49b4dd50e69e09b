// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>
#include "explain.h"
#include "options.h"

/* Marks: the past and the future of both */
#define PAST 0x3
#define FUTURE 0xc

static const struct question *a, *b;

/* What there is to know of it is in the recording. */
static bool all_known(const struct question *q)
{
	return !explain.incomplete && q->call->tid &&
	       q->call->begun >= explain.start.time;
}

static void show_chain(const struct cause_step *chain, size_t n)
{
	size_t i;

	if (options.json) {
		for (i = 0; i < n; i++) {
			json_call("step", chain[i].call);
			printf(",\"how\":\"%s\"}\n", how_word(chain[i].how));
		}
		return;
	}
	putchar('\n');
	show_header("WHAT");
	for (i = 0; i < n; i++)
		show_call(i ? how_word(chain[i].how) : NULL, chain[i].call,
			  NULL);
}

static bool is_tx(const struct question *q)
{
	return q->call->type == CALL_TX;
}

/* When its effect was known first: on its return, or where it was received */
static uint64_t known(const struct call *call, const struct call **receipt)
{
	uint64_t time = call->time;
	const struct call *r;

	*receipt = NULL;
	if (call->type == CALL_RECEIPT)
		return time;
	for (r = call->tx.receipts; r; r = r->receipt.sibling) {
		if (!r->time || (time && r->time >= time))
			continue;
		time = r->time;
		*receipt = r;
	}
	return time;
}

static bool is_earlier(const struct call *x, const struct call *y)
{
	const struct call *receipt;
	uint64_t time = known(x, &receipt);

	return time && time < y->begun;
}

/* 'a', 'b', or 0: whose effect was there before the other began */
static char first_by_clock(void)
{
	return is_earlier(a->call, b->call) ? 'a' :
	       is_earlier(b->call, a->call) ? 'b' : 0;
}

static void show_clocks(const char *a_name, const char *b_name)
{
	bool swap = first_by_clock() == 'b';
	const struct call *x = swap ? b->call : a->call;
	const struct call *y = swap ? a->call : b->call;
	const char *x_name = swap ? b_name : a_name;
	const char *y_name = swap ? a_name : b_name;
	char span[DURATION_SIZE], name[CALL_NAME];
	const struct call *receipt;
	uint64_t time = known(x, &receipt);

	printf("By the clock ");
	if (first_by_clock())
		printf("%s had %s%s %s before %s began: if anything\n"
		       "outside the bus joined the two (a pipe, a file, shared memory), %s came\n"
		       "first%s.\n",
		       x_name, receipt ? "come as " : "returned",
		       receipt ? call_name(name, receipt) : "",
		       format_duration(span, y->begun - time), y_name, x_name,
		       is_tx(a) && is_tx(b) ? ", for everyone" : "");
	else if (x->time && y->begun && y->time && x->begun)
		printf("they overlapped: each had begun before the other returned.\n");
	else
		printf("nothing can be said: when one of them began or returned is not\n"
		       "recorded.\n");
}

/* The latest of what is in the past of both, the earliest of their future */
static void show_bounds(void)
{
	const struct call *before = NULL, *after = NULL, *call;

	cause_mark(explain.cause, a->call, true, 0x1);
	cause_mark(explain.cause, b->call, true, 0x2);
	cause_mark(explain.cause, a->call, false, 0x4);
	cause_mark(explain.cause, b->call, false, 0x8);
	for (call = cause_oldest(explain.cause); call; call = call->newer) {
		uint64_t stamp = call_stamp(call);

		if ((call->marks & PAST) == PAST && stamp &&
		    (!before || stamp > call_stamp(before)))
			before = call;
		if ((call->marks & FUTURE) == FUTURE && stamp &&
		    (!after || stamp < call_stamp(after)))
			after = call;
	}
	if (options.json) {
		if (before) {
			json_call("common_past", before);
			printf("}\n");
		}
		if (after) {
			json_call("common_future", after);
			printf("}\n");
		}
		return;
	}
	printf("\nThey race from the last call before both to the first after both:\n\n");
	show_header("WHAT");
	if (before)
		show_call("past", before, NULL);
	else
		printf("%*spast    nothing in this recording\n",
		       options.timestamps ? 16 : 12, "");
	if (after)
		show_call("future", after, NULL);
	else
		printf("%*sfuture  nothing in this recording\n",
		       options.timestamps ? 16 : 12, "");
}

enum promise {
	PROMISE_NONE,
	PROMISE_CAUSE,
	PROMISE_AGREEMENT,
};

static const char *const promise_words[] = {
	[PROMISE_NONE] = "none",
	[PROMISE_CAUSE] = "cause",
	[PROMISE_AGREEMENT] = "agreement",
};

/* One receipt of each, of a peer that has both */
struct both {
	uint64_t peer;
	uint64_t a_first, a_last, b_first, b_last;
};

static size_t receivers_of_both(struct both **both)
{
	struct call **x, **y;
	size_t n_x = explain_receipts(a, &x), n_y = explain_receipts(b, &y);
	size_t i = 0, j = 0, n = 0;

	*both = NULL;
	while (i < n_x && j < n_y) {
		struct both *next;
		uint64_t peer = x[i]->peer;

		if (peer != y[j]->peer) {
			if (peer < y[j]->peer)
				i++;
			else
				j++;
			continue;
		}
		*both = grow(*both, n, sizeof(**both));
		next = &(*both)[n++];
		next->peer = peer;
		next->a_first = x[i]->number;
		next->b_first = y[j]->number;
		while (i < n_x && x[i]->peer == peer)
			next->a_last = x[i++]->number;
		while (j < n_y && y[j]->peer == peer)
			next->b_last = y[j++]->number;
	}
	free(x);
	free(y);
	return n;
}

static const char *first_of(const struct both *both)
{
	return both->a_last < both->b_first ? "a" :
	       both->b_last < both->a_first ? "b" : "mixed";
}

/*
 * Who received both, in which order; @first is who has to come first, by what is
 * promised, or 0. Returns whether that was kept.
 */
static bool show_receivers(const char *a_name, const char *b_name, char first)
{
	char clock = first_by_clock();
	struct both *both;
	size_t n = receivers_of_both(&both), i;
	bool kept = true;

	if (!options.json)
		printf(n ? "\n%-24s %12s %12s  FIRST\n" :
			   "Nobody received from both.\n",
		       "RECEIVED BY", a_name, b_name);
	for (i = 0; i < n; i++) {
		const char *was = first_of(&both[i]);
		bool broken = first && *was != first;

		kept = kept && !broken;
		if (options.json) {
			printf("{\"type\":\"explain_receiver\",\"peer\":%" PRIu64
			       ",\"name\":", both[i].peer);
			json_string(peers_name(both[i].peer));
			printf(",\"a\":%" PRIu64 ",\"b\":%" PRIu64
			       ",\"first\":\"%s\",\"promised\":%s}\n",
			       both[i].a_first, both[i].b_first, was,
			       !first ? "null" : broken ? "false" : "true");
			continue;
		}
		print_peer(peers_name(both[i].peer), both[i].peer, 24);
		printf(" %12" PRIu64 " %12" PRIu64 "  %s%s\n",
		       both[i].a_first, both[i].b_first,
		       *was == 'a' ? a_name : *was == 'b' ? b_name : was,
		       broken ? "  BROKEN" :
		       clock && *was != clock ? "  against the clock" : "");
	}
	free(both);
	return kept;
}

static void show_promise(enum promise promise, const char *first, bool numbers)
{
	switch (promise) {
	case PROMISE_CAUSE:
		printf("The bus promises that whoever receives from both receives %s first.\n",
		       first);
		return;
	case PROMISE_AGREEMENT:
		printf("Both are multicasts (seq %" PRIu64 ", %" PRIu64
		       "): the bus promises that whoever receives from\n"
		       "both receives %s first.\n",
		       a->call->tx.seq, b->call->tx.seq, first);
		return;
	case PROMISE_NONE:
		if (numbers)
			printf("%s no order:\n"
			       "whoever receives from both may receive either first.\n",
			       first_by_clock() ?
				       "Unless anything outside the bus joined them, the bus promises" :
				       "The bus promises");
		else
			printf("Both are multicasts: whoever receives from both receives the same first; but\n"
			       "which, their numbers would say, and they are not recorded.\n");
	}
}

/* One is a multicast, the other is not: that is why nothing is promised. */
static void show_unicast(const char *a_name, const char *b_name)
{
	uint32_t n_a = a->call->tx.receivers, n_b = b->call->tx.receivers;

	if (explain.start.schema_minor < 3)
		return;
	if ((n_a == 1 && n_b > 1) || (n_b == 1 && n_a > 1))
		printf("%s has one receiver: only multicasts come in one order for all.\n",
		       n_a == 1 ? a_name : b_name);
}

static void show_verdict(const char *verdict, bool proven, size_t steps,
			 enum promise promise)
{
	char x[CALL_NAME], y[CALL_NAME];
	const char *s = steps == 1 ? "" : "s";

	call_name(x, a->call);
	call_name(y, b->call);
	if (options.json) {
		printf("{\"type\":\"explain\",\"a\":\"%s\",\"b\":\"%s\",\"verdict\":\"%s\",\"proven\":%s,\"steps\":%zu,\"promise\":\"%s\",\"a_begun\":%" PRIu64
		       ",\"a_time\":%" PRIu64 ",\"b_begun\":%" PRIu64
		       ",\"b_time\":%" PRIu64 "}\n",
		       x, y, verdict, proven ? "true" : "false", steps,
		       promise_words[promise], a->call->begun, a->call->time,
		       b->call->begun, b->call->time);
	} else if (*verdict == 'a') {
		printf("%s before %s: %zu step%s\n", y, x, steps, s);
	} else if (*verdict == 'b') {
		printf("%s before %s: %zu step%s\n", x, y, steps, s);
	} else if (!proven) {
		printf("%s and %s are concurrent as far as it is known: no chain joins them, but\n"
		       "what is recorded is not all that happened. Not proven.\n",
		       x, y);
	} else {
		printf("%s and %s are concurrent: no chain through the bus joins them\n",
		       x, y);
	}
}

static int show_concurrent(const char *x, const char *y)
{
	bool numbers = true, kept, proven = all_known(a) && all_known(b);
	enum promise promise = PROMISE_NONE;
	char first = 0;

	if (is_tx(a) && is_tx(b) && a->call->tx.seq && b->call->tx.seq) {
		promise = PROMISE_AGREEMENT;
		first = a->call->tx.seq < b->call->tx.seq ? 'a' : 'b';
	} else if (is_tx(a) && is_tx(b) && a->call->tx.receivers > 1 &&
		   b->call->tx.receivers > 1) {
		/* modules before that did not promise it */
		numbers = explain.start.schema_minor < 3;
	}
	show_verdict("concurrent", proven, 0, promise);
	if (!options.json)
		show_clocks(x, y);
	show_bounds();
	if (!is_tx(a) || !is_tx(b))
		return proven ? EXIT_OK : EXIT_LOST;
	if (!options.json)
		putchar('\n');
	if (!options.json)
		show_promise(promise, first == 'b' ? y : x, numbers);
	if (!options.json && promise == PROMISE_NONE)
		show_unicast(x, y);
	kept = show_receivers(x, y, first);
	return !kept ? EXIT_ERROR : proven ? EXIT_OK : EXIT_LOST;
}

int explain_pair(const struct question *qa, const struct question *qb)
{
	struct cause_step *forth = NULL, *back = NULL;
	char x[CALL_NAME], y[CALL_NAME];
	size_t n_forth, n_back, n;
	bool kept = true;

	a = qa;
	b = qb;
	call_name(x, a->call);
	call_name(y, b->call);
	if (a->call == b->call) {
		complain("\"%s\" and \"%s\" are the same: %s", a->text, b->text,
			 x);
		return EXIT_USAGE;
	}
	n_forth = cause_chain(explain.cause, a->call, b->call, &forth);
	n_back = cause_chain(explain.cause, b->call, a->call, &back);
	if (n_forth && n_back) {
		complain("%s: each of %s and %s is before the other: its stamps contradict each other",
			 options.input, x, y);
		if (options.json)
			show_verdict("contradiction", false, 0, PROMISE_NONE);
		show_chain(forth, n_forth);
		show_chain(back, n_back);
		free(forth);
		free(back);
		return EXIT_ERROR;
	}
	n = n_forth ? n_forth : n_back;
	if (!n)
		return show_concurrent(x, y);
	show_verdict(n_forth ? "before" : "after", true, n - 1, PROMISE_CAUSE);
	show_chain(n_forth ? forth : back, n);
	if (is_tx(a) && is_tx(b)) {
		if (!options.json) {
			putchar('\n');
			show_promise(PROMISE_CAUSE, n_forth ? x : y, true);
		}
		kept = show_receivers(x, y, n_forth ? 'a' : 'b');
	}
	free(forth);
	free(back);
	return kept ? EXIT_OK : EXIT_ERROR;
}
