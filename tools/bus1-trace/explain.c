// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "explain.h"
#include "graph.h"
#include "options.h"

struct explain explain;

static struct question a, b;
static int n_questions;
static struct past_options past = { .lines = 50 };
static const uint32_t wanted = BUS1_EVENT_BIT(EV_peer_new) |
			 BUS1_EVENT_BIT(EV_peer_name) |
			 BUS1_EVENT_BIT(EV_peer_free) |
			 BUS1_EVENT_BIT(EV_handle_new) |
			 BUS1_EVENT_BIT(EV_tx_begin) |
			 BUS1_EVENT_BIT(EV_tx_commit) |
			 BUS1_EVENT_BIT(EV_msg_send) |
			 BUS1_EVENT_BIT(EV_msg_recv) |
			 BUS1_EVENT_BIT(EV_notify_recv);

static int by_tx(const void *p, const void *q)
{
	const struct part *x = p, *y = q;

	if (x->peer != y->peer)
		return x->peer > y->peer ? 1 : -1;
	if (x->tx != y->tx)
		return x->tx > y->tx ? 1 : -1;
	return (x->index > y->index) - (x->index < y->index);
}

size_t explain_parts(const struct call *tx, const struct part **parts)
{
	const struct part key = { .peer = tx->peer, .tx = tx->number };
	size_t low = 0, high = explain.n_parts, n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (by_tx(&explain.parts[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*parts = explain.parts + low;
	for (n = 0; low + n < explain.n_parts && (*parts)[n].peer == key.peer &&
		    (*parts)[n].tx == key.tx; n++)
		;
	return n;
}

static int by_handle(const void *p, const void *q)
{
	const struct origin *x = p, *y = q;

	if (x->peer != y->peer)
		return x->peer > y->peer ? 1 : -1;
	return (x->handle > y->handle) - (x->handle < y->handle);
}

const struct origin *explain_origin(uint64_t peer, uint64_t handle)
{
	const struct origin key = { .peer = peer, .handle = handle };

	if (!handle || !explain.n_origins)
		return NULL;
	return bsearch(&key, explain.origins, explain.n_origins, sizeof(key),
		       by_handle);
}

/* Whoever sends through a handle that a TRANSFER made has been given that. */
static void link_handles(void)
{
	size_t i;

	for (i = 0; i < explain.n_parts; i++) {
		const struct part *part = &explain.parts[i];
		const struct origin *o = explain_origin(part->peer,
							part->handle);
		struct call *from, *to;

		/* what a message brought, the peer had received before */
		if (!o || o->how == BUS1_HOW_MESSAGE)
			continue;
		from = cause_tx(explain.cause, o->tx_peer, o->tx);
		to = cause_tx(explain.cause, part->peer, part->tx);
		/* whoever guessed its number did not wait for it */
		if (from && to && from->time && from->time < to->begun)
			cause_link(from, to);
	}
}

/* A message whose msg_send is missing is known by its receipt. */
static void add_received_parts(void)
{
	const struct call *call;
	size_t n = explain.n_parts;

	for (call = cause_oldest(explain.cause); call; call = call->newer) {
		struct part part = {
			.peer = call->receipt.tx_peer,
			.tx = call->receipt.tx_number,
			.index = call->receipt.index,
			.receiver = call->peer,
			.node = call->receipt.node,
		};

		if (call->type != CALL_RECEIPT || call->receipt.kind ||
		    (n && bsearch(&part, explain.parts, n, sizeof(part),
				  by_tx)))
			continue;
		explain.parts = grow(explain.parts, explain.n_parts,
				     sizeof(*explain.parts));
		explain.parts[explain.n_parts++] = part;
	}
	if (explain.n_parts > n)
		qsort(explain.parts, explain.n_parts, sizeof(*explain.parts),
		      by_tx);
}

static int by_peer(const void *p, const void *q)
{
	const struct call *x = *(struct call *const *)p;
	const struct call *y = *(struct call *const *)q;

	if (x->peer != y->peer)
		return x->peer > y->peer ? 1 : -1;
	return (x->number > y->number) - (x->number < y->number);
}

size_t explain_receipts(const struct question *q, struct call ***receipts)
{
	struct call *call;
	size_t n = 0;

	*receipts = NULL;
	if (q->call->type != CALL_TX)
		return 0;
	for (call = q->call->tx.receipts; call; call = call->receipt.sibling) {
		if (q->has_index && (call->receipt.kind ||
				     call->receipt.index != q->index))
			continue;
		*receipts = grow(*receipts, n, sizeof(**receipts));
		(*receipts)[n++] = call;
	}
	if (n)
		qsort(*receipts, n, sizeof(**receipts), by_peer);
	return n;
}

static void on_start(const struct stream_start *start)
{
	explain.start = *start;
	/* half a recording is no answer: Ctrl-C just ends it */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

/* Names are all that is of use; that there is one says that it has to be all. */
static void on_snapshot(const struct snapshot *snapshot)
{
	(void)snapshot;
}

static void on_event(const struct item *item)
{
	const __u64 *e = item->event.arg;

	if (item->event.type == EV_msg_send) {
		explain.parts = grow(explain.parts, explain.n_parts,
				     sizeof(*explain.parts));
		explain.parts[explain.n_parts++] = (struct part){
			.peer = e[0], .tx = e[1], .index = e[2],
			.receiver = e[3], .node = e[4], .handles = e[6],
			.handle = item->n_args > 8 ? e[8] : 0,
		};
	} else if (item->event.type == EV_handle_new) {
		explain.origins = grow(explain.origins, explain.n_origins,
				       sizeof(*explain.origins));
		explain.origins[explain.n_origins++] = (struct origin){
			.peer = e[0], .handle = e[1], .node_peer = e[2],
			.node = e[3], .time = e[9], .how = e[4],
			.tx_peer = e[5], .tx = e[6], .index = e[7],
		};
	} else {
		cause_add(explain.cause, &item->event, item->n_args);
	}
}

/*
 * Reads it all. What the stream says of its counts comes at its end; it is kept
 * for behind the answer, which has to know it: *@counts.
 */
static int read_all(FILE **counts)
{
	struct stream_verb verb = {
		.name = "explain",
		.events = wanted,
		.required = BUS1_EVENT_BIT(EV_tx_commit) |
			    BUS1_EVENT_BIT(EV_msg_recv),
		.start = on_start,
		.snapshot = on_snapshot,
		.event = on_event,
	};
	int status, out = dup(STDOUT_FILENO);
	uint64_t forgotten, misplaced;

	explain.cause = cause_new(0);
	*counts = tmpfile();
	if (out < 0 || !*counts || output_failed() ||
	    dup2(fileno(*counts), STDOUT_FILENO) < 0) {
		complain("there is no room for a temporary file in /tmp");
		return EXIT_ERROR;
	}
	status = stream_run(&verb);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	if (explain.n_parts)
		qsort(explain.parts, explain.n_parts, sizeof(*explain.parts),
		      by_tx);
	add_received_parts();
	if (explain.n_origins)
		qsort(explain.origins, explain.n_origins,
		      sizeof(*explain.origins), by_handle);
	link_handles();
	cause_count(explain.cause, &forgotten, &misplaced);
	if (misplaced)
		complain("%s: the order of %" PRIu64 " calls is not known",
			 options.input, misplaced);
	explain.incomplete = status == EXIT_LOST || misplaced;
	return status;
}

static void show_counts(FILE *counts)
{
	char buf[512];

	rewind(counts);
	while (fgets(buf, sizeof(buf), counts))
		fputs(buf, stdout);
}

/* Behind @column columns of a line, and on further ones */
static void show_words(size_t column, const char *s)
{
	size_t n;

	for (; *s; s += n + strspn(s + n, " ")) {
		n = strcspn(s, " ");
		if (column + 1 + n > ROW) {
			printf("\n ");
			column = 1;
		}
		printf(" %.*s", (int)n, s);
		column += 1 + n;
	}
	putchar('\n');
}

/* How a question was understood, unless that is plain */
static void show_question(const struct question *q)
{
	char name[CALL_NAME];

	if (!*q->how)
		return;
	call_name(name, q->call);
	if (options.json) {
		printf("{\"type\":\"explain_name\",\"name\":");
		json_string(q->text);
		printf(",\"call\":\"%s\",\"how\":", name);
		json_string(q->how);
		printf("}\n");
		return;
	}
	print_safe(q->text, 64);
	printf(" is %s,", name);
	show_words(strnlen(q->text, 64) + strlen(name) + 5, q->how);
}

/* What was looked for could have been among what is missing. */
static bool is_uncertain(const struct question *q)
{
	return explain.incomplete && *q->how;
}

static int answer(void)
{
	int status;

	if (!question_answer(&a) || (n_questions > 1 && !question_answer(&b)))
		return EXIT_ERROR;
	show_question(&a);
	if (n_questions == 1)
		return explain_past(&a, &past);
	show_question(&b);
	status = explain_pair(&a, &b);
	if (status == EXIT_OK && (is_uncertain(&a) || is_uncertain(&b)))
		return EXIT_LOST;
	return status;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct question *q = n_questions ? &b : &a;
	bool ok = true;

	switch (key) {
	case 'n':
		ok = parse_number("number of lines", arg, UINT32_MAX,
				  &past.lines);
		break;
	case 'D':
		ok = parse_number("number of steps", arg, UINT32_MAX,
				  &past.depth);
		break;
	case 'o':
		past.output = arg;
		if (!graph_format(arg))
			argp_error(state, "\"%s\" does not end in .dot, .svg, .png or .pdf",
				   arg);
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1) {
			complain("\"%s\" is one too many: one call, or two; in quotes where there are blanks in it",
				 arg);
			ok = false;
			break;
		}
		ok = question_parse(q, arg);
		n_questions++;
		break;
	case ARGP_KEY_END:
		ok = false;
		if (!n_questions)
			complain("which call is to be explained? As monitor shows it: PEER:TX");
		else if (!options.input)
			complain("explain needs a recording: make one with bus1-trace record -o FILE, and give it with -i FILE");
		else if (past.output && n_questions > 1)
			complain("-o draws what came before one call, not two");
		else
			ok = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return options_result(ok, state);
}

int verb_explain(int argc, char **argv)
{
	static const struct argp_option own[] = {
		{ "lines", 'n', "N", 0, "of what came before, the last N calls (50); 0 shows all", 3 },
		{ "depth", 'D', "N", 0, "of what came before, at most N steps back", 3 },
		{ "output", 'o', "FILE", 0, "draw what came before into FILE, which ends in .svg, .png or .pdf; or write .dot", 3 },
		{ 0 },
	};
	static const struct argp_child children[] = {
		{ &options_input_argp, 0, NULL, 0 },
		{ &options_output_argp, 0, NULL, 0 },
		{ &options_common_argp, 0, NULL, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		own, parse, "A [B]",
		"Was A before B, B before A, or neither? And why? Without B: what had to happen before A.\v"
		"A and B are calls in a recording:\n"
		"  5:12             transaction 12 of peer 5\n"
		"  client#5:12      the same; also \"client#5 tx 12\", as monitor shows it\n"
		"  5:12.1           the second message in it\n"
		"  seq:463          the multicast of this number\n"
		"  recv:4.17        what peer 4 received as its 17th\n"
		"  reply-to:5:12    what came back to peer 5 for it\n"
		"  first:5, last:5  what peer 5 sent first, or last\n"
		"  last:4:1@TIME    what was sent last to node 1 of peer 4 before TIME: +1.5s (since the start), 23:10:57.123456, or nanoseconds\n"
		"Status: 0, 1 error, 2 usage, 3 events were lost, and what is missing may matter.\n\n"
		"Examples:\n"
		"  bus1-trace explain -i bus.rec 5:12 6:3\n"
		"  bus1-trace explain -i bus.rec 5:12 reply-to:5:12\n"
		"  bus1-trace explain -i bus.rec last:4:1@+2.5s -o why.svg",
		children, NULL, NULL,
	};
	int status = options_parse(&argp, argc, argv), read;
	FILE *counts;

	if (status >= 0)
		return status;
	read = read_all(&counts);
	if (read != EXIT_OK && read != EXIT_LOST)
		return read;
	status = answer();
	if (options.json || read == EXIT_LOST)
		show_counts(counts);
	return status;
}
