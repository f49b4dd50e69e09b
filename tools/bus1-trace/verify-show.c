// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: what is said of a violation
 *
 * The last events are kept as they are; what caused what is asked of them only
 * when there is a violation, so that it costs next to nothing until then.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "cause.h"
#include "explain.h"
#include "options.h"
#include "verify.h"

#define LAST 100000

struct last {
	struct bus1_event event;
	unsigned int n_args;
};

static struct last *ring;
static size_t n_last;

const char *const verify_rules[VERIFY_MAX] = {
	[VERIFY_ATOMIC] = "atomic",
	[VERIFY_CAUSAL] = "causal",
	[VERIFY_AGREEMENT] = "agreement",
	[VERIFY_LOST] = "lost",
};

void verify_remember(const struct bus1_event *event, unsigned int n_args)
{
	struct last *last;

	switch (event->type) {
	case EV_tx_commit:
	case EV_msg_recv:
	case EV_notify_recv:
		break;
	default:
		return;
	}
	if (!ring) {
		ring = calloc(LAST, sizeof(*ring));
		if (!ring) {
			complain("out of memory");
			exit(EXIT_ERROR);
		}
	}
	last = &ring[n_last++ % LAST];
	last->n_args = n_args < BUS1_EVENT_ARGS ? n_args : BUS1_EVENT_ARGS;
	memcpy(&last->event, event,
	       offsetof(struct bus1_event, arg[last->n_args]));
}

/* What is known of a violation, and the chain from its cause to its effect */
struct story {
	struct cause *cause;
	struct call *call[2]; /* of the cause and of the effect, or NULL */
	struct cause_step *chain;
	size_t n;
	/* AGREEMENT: one that received them in the other order, as which of its
	 * receipts; 0 is none */
	uint64_t peer, recv[2];
};

/* @v->peer received the effect before the cause: who did it the other way? */
static void find_witness(struct story *story)
{
	const struct call *x, *y;

	for (y = story->call[1]->tx.receipts; y; y = y->receipt.sibling) {
		for (x = story->call[0]->tx.receipts; x;
		     x = x->receipt.sibling) {
			if (x->peer != y->peer || x->number >= y->number)
				continue;
			story->peer = x->peer;
			story->recv[0] = x->number;
			story->recv[1] = y->number;
			return;
		}
	}
}

static void story_find(struct story *story, const struct violation *v)
{
	size_t i = n_last > LAST ? n_last - LAST : 0;

	memset(story, 0, sizeof(*story));
	story->cause = cause_new(0);
	for (; i < n_last; i++)
		cause_add(story->cause, &ring[i % LAST].event,
			  ring[i % LAST].n_args);
	story->call[0] = cause_tx(story->cause, v->cause.peer, v->cause.tx);
	story->call[1] = cause_tx(story->cause, v->effect.peer, v->effect.tx);
	if (!story->call[0] || !story->call[1])
		return;
	if (v->rule == VERIFY_AGREEMENT)
		find_witness(story);
	else
		story->n = cause_chain(story->cause, story->call[0],
				       story->call[1], &story->chain);
}

static void story_end(struct story *story)
{
	free(story->chain);
	cause_free(story->cause);
}

/* Returns how many columns it takes. */
static int say_name(uint64_t id)
{
	int n = print_safe(peers_name(id), 16);

	return n + printf("#%" PRIu64, id);
}

static int name_width(uint64_t id)
{
	return strnlen(peers_name(id), 16) +
	       snprintf(NULL, 0, "#%" PRIu64, id);
}

/* A blank in column @at, or another line where @n more do not fit */
static int say_blank(int at, int n)
{
	return at + n < 79 ? at + printf(" ") : printf("\n%25s", "") - 1;
}

static void say_since(uint64_t time, uint64_t start)
{
	uint64_t span = time > start ? time - start : start - time;

	printf("%s%" PRIu64 ".%09" PRIu64 " s", time < start ? "-" : "",
	       span / 1000000000, span % 1000000000);
}

static const char *kind_of(const struct call *call)
{
	const char *kind = call && call->tid ? symbol_tx(call->tx.kind) : NULL;

	return kind ? kind : "transaction";
}

/* "5:12, send of name#5" */
static void say_tx(const struct verify_tx *tx, const struct call *call)
{
	printf("%" PRIu64 ":%" PRIu64 ", %s of ", tx->peer, tx->tx,
	       kind_of(call));
	say_name(tx->peer);
}

static void say_step(const struct cause_step *step)
{
	const struct call *call = step->call;
	char buf[CALL_NAME];
	int at;

	at = printf("    %-8s%-12s", how_word(step->how), call_name(buf, call));
	if (call->type == CALL_TX)
		snprintf(buf, sizeof(buf), "%s of ", kind_of(call));
	else
		snprintf(buf, sizeof(buf), "received %" PRIu64 ":%" PRIu64,
			 call->receipt.tx_peer, call->receipt.tx_number);
	if (call->type == CALL_TX) {
		at = say_blank(at, strlen(buf) + name_width(call->peer) + 1);
		at += printf("%s", buf) + say_name(call->peer);
	} else {
		at = say_blank(at, name_width(call->peer));
		at += say_name(call->peer);
		at = say_blank(at, strlen(buf) + 1);
		at += printf("%s", buf);
	}
	if (call->tid) {
		at += printf(",");
		snprintf(buf, sizeof(buf), "thread %u (", call->tid);
		say_blank(at, strlen(buf) + strnlen(call->comm, 16) + 1);
		printf("%s", buf);
		print_safe(call->comm, 16);
		putchar(')');
	}
	putchar('\n');
}

static void say_cause(const struct violation *v, const struct story *story,
		      uint64_t start)
{
	size_t i;

	printf("  ");
	if (v->known_peer) {
		say_name(v->known_peer);
		printf(" had received of %" PRIu64 ":%" PRIu64 ", as its receipt %" PRIu64 ", at ",
		       v->cause.peer, v->cause.tx, v->known_recv);
	} else {
		printf("%" PRIu64 ":%" PRIu64 " had returned at ",
		       v->cause.peer, v->cause.tx);
	}
	say_since(v->known, start);
	printf("\n  %" PRIu64 ":%" PRIu64 " began at ", v->effect.peer,
	       v->effect.tx);
	say_since(v->begun, start);
	printf(", %" PRIu64 " ns later\n", v->begun - v->known);
	if (!story->n) {
		printf("  Nothing on the bus, in the last %d events, led from one to the other: it\n"
		       "  may have been something else, as a pipe, a file or shared memory.\n",
		       LAST);
		return;
	}
	printf("  and this led from one to the other:\n");
	for (i = 0; i < story->n; i++)
		say_step(&story->chain[i]);
}

static void say_gone(const struct violation *v, uint64_t start)
{
	printf("  %" PRIu64 ":%" PRIu64 ".%" PRIu64 " was for node %" PRIu64 ", whose HANDLE_RELEASE is receipt %" PRIu64 ", at\n  ",
	       v->cause.peer, v->cause.tx, v->index, v->node, v->effect.recv);
	say_since(v->known, start);
	printf(": whatever is sent to a node comes before that\n");
}

/* To look at it more closely */
static void say_explain(const struct violation *v)
{
	if (!options.input)
		printf("  To look closer record it, with bus1-trace record, and then:\n");
	printf("  bus1-trace explain -i ");
	if (!options.input || !strcmp(options.input, "-"))
		printf("FILE");
	else
		print_safe(options.input, INT_MAX);
	printf(" %" PRIu64 ":%" PRIu64 " %" PRIu64 ":%" PRIu64 "\n",
	       v->cause.peer, v->cause.tx, v->effect.peer, v->effect.tx);
}

static void say_witness(const struct story *story)
{
	if (!story->peer)
		return;
	printf("  ");
	say_name(story->peer);
	printf(" received them in the order of their numbers: receipts %" PRIu64 " and %" PRIu64 "\n",
	       story->recv[0], story->recv[1]);
}

static void say_received(const struct violation *v, const struct verify_tx *tx,
			 const struct call *call, uint64_t seq)
{
	if (tx->recv)
		printf("\n  receipt %-10" PRIu64 " ", tx->recv);
	else
		printf("\n  not received       ");
	say_tx(tx, call);
	if (v->rule == VERIFY_AGREEMENT)
		printf(", seq %" PRIu64, seq);
}

void verify_show(const struct violation *v, uint64_t start)
{
	struct story story;

	story_find(&story, v);
	printf("VIOLATION, %s, at ", verify_rules[v->rule]);
	say_name(v->peer);
	say_received(v, &v->effect, story.call[1], v->seq[1]);
	say_received(v, &v->cause, story.call[0], v->seq[0]);
	putchar('\n');
	if (v->rule == VERIFY_AGREEMENT)
		say_witness(&story);
	else if (v->node)
		say_gone(v, start);
	else
		say_cause(v, &story, start);
	say_explain(v);
	story_end(&story);
	output_failed();
}

static void json_tx(const char *role, const struct verify_tx *tx,
		    const struct call *call)
{
	printf(",\"%s\":{\"peer\":%" PRIu64 ",\"name\":", role, tx->peer);
	json_string(peers_name(tx->peer));
	printf(",\"tx\":%" PRIu64, tx->tx);
	if (call && call->tid && symbol_tx(call->tx.kind))
		printf(",\"kind\":\"%s\"", symbol_tx(call->tx.kind));
	if (tx->recv)
		printf(",\"recv\":%" PRIu64, tx->recv);
	if (call)
		printf(",\"begun\":%" PRIu64 ",\"time\":%" PRIu64,
		       call->begun, call->time);
	putchar('}');
}

static void json_step(const struct cause_step *step)
{
	const struct call *call = step->call;
	char name[CALL_NAME];

	printf("{\"how\":\"%s\",\"call\":\"%s\",\"peer\":%" PRIu64
	       ",\"name\":", how_word(step->how), call_name(name, call), call->peer);
	json_string(peers_name(call->peer));
	if (call->type == CALL_RECEIPT)
		printf(",\"tx_peer\":%" PRIu64 ",\"tx\":%" PRIu64,
		       call->receipt.tx_peer, call->receipt.tx_number);
	if (call->tid) {
		printf(",\"tid\":%u,\"comm\":", call->tid);
		json_string(call->comm);
	}
	printf(",\"begun\":%" PRIu64 ",\"time\":%" PRIu64 "}", call->begun,
	       call->time);
}

void verify_json(const struct violation *v)
{
	struct story story;
	size_t i;

	story_find(&story, v);
	printf("{\"type\":\"violation\",\"rule\":\"%s\",\"peer\":%" PRIu64
	       ",\"name\":", verify_rules[v->rule], v->peer);
	json_string(peers_name(v->peer));
	json_tx("cause", &v->cause, story.call[0]);
	json_tx("effect", &v->effect, story.call[1]);
	if (v->rule == VERIFY_AGREEMENT)
		printf(",\"cause_seq\":%" PRIu64 ",\"effect_seq\":%" PRIu64,
		       v->seq[0], v->seq[1]);
	else if (!v->node)
		printf(",\"known\":%" PRIu64 ",\"begun\":%" PRIu64, v->known,
		       v->begun);
	if (v->known_peer)
		printf(",\"known_peer\":%" PRIu64 ",\"known_recv\":%" PRIu64,
		       v->known_peer, v->known_recv);
	if (story.peer)
		printf(",\"other\":%" PRIu64, story.peer);
	printf(",\"chain\":[");
	for (i = 0; i < story.n; i++) {
		if (i)
			putchar(',');
		json_step(&story.chain[i]);
	}
	printf("]}\n");
	story_end(&story);
	output_failed();
}
