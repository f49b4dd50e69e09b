// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "explain.h"
#include "graph.h"
#include "options.h"

/* Marks */
#define IN_PAST 0x1
#define SHOWN 0x2

/* What is shown of the past of one call, the newest first */
struct past {
	struct call *of;
	struct call **calls; /* and behind them, @of */
	size_t n, all, transactions, receipts;
	double seconds; /* back to the first */
};

static int by_age(const void *p, const void *q)
{
	const struct call *x = *(const struct call *const *)p;
	const struct call *y = *(const struct call *const *)q;
	uint64_t s = call_stamp(x), t = call_stamp(y);

	if (s != t)
		return s < t ? 1 : -1;
	return (x->depth > y->depth) - (x->depth < y->depth);
}

static void collect(struct past *past, const struct past_options *limits)
{
	struct call *call;
	uint64_t first = 0;
	size_t i;

	past->all = cause_mark(explain.cause, past->of, true,
			       IN_PAST);
	past->calls = calloc(past->all + 1, sizeof(*past->calls));
	if (!past->calls) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	for (call = cause_oldest(explain.cause); call; call = call->newer) {
		if (!(call->marks & IN_PAST))
			continue;
		past->transactions += call->type == CALL_TX;
		past->receipts += call->type == CALL_RECEIPT;
		if (!limits->depth || call->depth <= limits->depth)
			past->calls[past->n++] = call;
	}
	qsort(past->calls, past->n, sizeof(*past->calls), by_age);
	for (i = 0; i < past->n && !first; i++)
		first = call_stamp(past->calls[past->n - 1 - i]);
	if (first && first < call_stamp(past->of))
		past->seconds = (call_stamp(past->of) - first) / 1e9;
	if (limits->lines && past->n > limits->lines)
		past->n = limits->lines;
	for (i = 0; i < past->n; i++)
		past->calls[i]->marks |= SHOWN;
	past->of->marks |= SHOWN;
	past->calls[past->n] = past->of;
}

static void show_text(const struct past *past,
		      const struct past_options *limits)
{
	char name[CALL_NAME], next[CALL_NAME];
	size_t i;

	call_name(name, past->of);
	printf("Before %s came%s %zu transaction%s and %zu receipt%s", name,
	       explain.incomplete ? " at least" : "", past->transactions,
	       past->transactions == 1 ? "" : "s", past->receipts,
	       past->receipts == 1 ? "" : "s");
	if (past->all)
		printf(", in %.6f s", past->seconds);
	printf("\n\n");
	show_header("BEFORE");
	show_call(NULL, past->of, NULL);
	for (i = 0; i < past->n; i++)
		show_call(how_word(past->calls[i]->how), past->calls[i],
			  call_name(next, past->calls[i]->from));
	if (past->all > past->n)
		printf("... and %zu more: %s shows all\n", past->all - past->n,
		       limits->depth ? "-n 0, without --depth," : "-n 0");
}

static void show_json(const struct past *past)
{
	char name[CALL_NAME];
	size_t i;

	printf("{\"type\":\"explain_past\",\"of\":\"%s\",\"transactions\":%zu,\"receipts\":%zu,\"shown\":%zu,\"complete\":%s}\n",
	       call_name(name, past->of), past->transactions, past->receipts,
	       past->n, explain.incomplete ? "false" : "true");
	for (i = 0; i < past->n; i++) {
		const struct call *call = past->calls[i];

		json_call("past", call);
		printf(",\"how\":\"%s\",\"before\":\"%s\",\"depth\":%u}\n",
		       how_word(call->how), call_name(name, call->from),
		       call->depth);
	}
}

static void dot_id(FILE *out, const struct call *call)
{
	fprintf(out, "%c%" PRIu64 "_%" PRIu64,
		call->type == CALL_TX ? 't' : 'r', call->peer, call->number);
}

static void dot_call(FILE *out, const struct past *past,
		     const struct call *call)
{
	uint64_t stamp = call_stamp(call), start = explain.start.time;
	char name[CALL_NAME];

	fputs("\t\t", out);
	dot_id(out, call);
	fprintf(out, " [label=\"%s\\n", call_name(name, call));
	dot_name(out, peers_name(call->peer), NAME_LEN);
	fprintf(out, "#%" PRIu64, call->peer);
	if (stamp >= start)
		fprintf(out, "\\n+%.6f", (stamp - start) / 1e9);
	fputs("\", tooltip=\"", out);
	if (call->type == CALL_TX) {
		const char *kind = symbol_tx(call->tx.kind);

		fprintf(out, "%s to %u peers",
			call->tid && kind ? kind : "transaction",
			call->tx.receivers);
	} else {
		fprintf(out, "of %" PRIu64 ":%" PRIu64, call->receipt.tx_peer,
			call->receipt.tx_number);
	}
	fprintf(out, "\"%s%s];\n",
		call->type == CALL_TX ? "" : ", style=\"rounded,filled\"",
		call == past->of ? ", penwidth=2" : "");
}

static int by_thread(const void *p, const void *q)
{
	const struct call *x = *(const struct call *const *)p;
	const struct call *y = *(const struct call *const *)q;

	if (x->tid != y->tid)
		return x->tid > y->tid ? 1 : -1;
	if (x->pid != y->pid)
		return x->pid > y->pid ? 1 : -1;
	return by_age(p, q);
}

/* The calls of one thread stand in a box. */
static void dot_thread(FILE *out, const struct past *past,
		       struct call **calls, size_t n)
{
	size_t i;

	if ((*calls)->tid) {
		fprintf(out, "\tsubgraph cluster_%u_%u {\n"
			"\t\tmargin=6; style=\"rounded,filled\"; color=\"#c8c8c8\"; fillcolor=\"#f4f4f4\";\n"
			"\t\tlabel=\"", (*calls)->pid, (*calls)->tid);
		dot_name(out, (*calls)->comm, COMM_LEN);
		fprintf(out, ", thread %u\";\n", (*calls)->tid);
	} else {
		fputs("\t{\n", out);
	}
	for (i = 0; i < n; i++)
		dot_call(out, past, calls[i]);
	fputs("\t}\n", out);
}

static void dot_edge(FILE *out, const struct call *from, const struct call *to,
		     const char *style)
{
	if (!from || !(from->marks & SHOWN))
		return;
	/* within a thread, its order says it all */
	if (from != to->thread_prev && from->thread &&
	    from->thread == to->thread)
		return;
	putc('\t', out);
	dot_id(out, from);
	fputs(" -> ", out);
	dot_id(out, to);
	fprintf(out, " [%s];\n", style);
}

static void draw(FILE *out, const void *what)
{
	const struct past *past = what;
	struct call **calls = past->calls;
	char name[CALL_NAME];
	const struct cause_link *link;
	size_t i, first, n = past->n + 1;

	fputs("digraph bus1 {\n"
	      "\trankdir=TB; ranksep=0.35; nodesep=0.2;\n"
	      "\tfontname=\"Helvetica\"; fontsize=10; labelloc=t;\n", out);
	fprintf(out, "\tlabel=\"What had to happen before %s: %s%zu calls",
		call_name(name, past->of),
		explain.incomplete ? "at least " : "", past->all);
	if (past->n < past->all)
		fprintf(out, ", of which the last %zu are shown", past->n);
	fputs("\\nblue: a message; black: the same thread; dashed: the same queue; brown: the same peer; green: it used the handle\";\n"
	      "\tnode [shape=box, style=filled, fillcolor=white, fontname=\"Helvetica\", fontsize=9, margin=\"0.06,0.03\", height=0.2];\n"
	      "\tedge [arrowsize=0.6];\n", out);
	qsort(calls, n, sizeof(*calls), by_thread);
	for (i = first = 0; i < n; i++) {
		if (i + 1 < n && calls[i + 1]->tid == calls[i]->tid &&
		    calls[i + 1]->pid == calls[i]->pid)
			continue;
		dot_thread(out, past, &calls[first], i + 1 - first);
		first = i + 1;
	}
	for (i = 0; i < n; i++) {
		const struct call *call = calls[i];

		dot_edge(out, call->thread_prev, call, "weight=4");
		if (call->queue_prev != call->thread_prev)
			dot_edge(out, call->queue_prev, call,
				 "style=dashed, color=\"#808080\"");
		if (call->type == CALL_RECEIPT)
			dot_edge(out, call->receipt.tx, call,
				 "color=\"#1f5fa8\"");
		if (call->peer_last != call->thread_prev)
			dot_edge(out, call->peer_last, call,
				 "color=\"#8a5a00\"");
		for (link = call->origins; link; link = link->next_origin)
			if (link->from != call->thread_prev)
				dot_edge(out, link->from, call,
					 "style=dotted, color=\"#2e7d32\"");
	}
	fputs("}\n", out);
}

int explain_past(const struct question *q, const struct past_options *limits)
{
	struct past past = { .of = q->call };
	int status = EXIT_OK;

	collect(&past, limits);
	if (options.json)
		show_json(&past);
	else if (!limits->output)
		show_text(&past, limits);
	if (limits->output)
		status = dot_file(limits->output, draw, &past);
	free(past.calls);
	if (status == EXIT_OK && explain.incomplete)
		return EXIT_LOST;
	return status;
}
