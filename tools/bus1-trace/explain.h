/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_EXPLAIN_H
#define _BUS1_TRACE_EXPLAIN_H

#include "cause.h"
#include "stream.h"

/*
 * DOC: explain
 *
 *   explain.c       the verb: all calls of a recording
 *   explain-name.c  which call it is that was asked for
 *   explain-show.c  rows and records
 *   explain-pair.c  which of two came first, and why
 *   explain-past.c  all that came before one, as text and as a graph
 */
struct part { /* a message of a transaction */
	uint64_t peer, tx;
	uint64_t receiver, node; /* to that node of the receiver */
	uint64_t handle; /* of the sender, 0 is unknown */
	uint32_t index, handles;
};

struct origin { /* of a handle of peer */
	uint64_t peer, handle;
	uint64_t node_peer, node, time;
	uint64_t tx_peer, tx;
	uint32_t how, index; /* BUS1_HOW_*; of the message that brought it */
};

struct explain {
	struct cause *cause;
	struct stream_start start;
	struct part *parts; /* by transaction and index */
	struct origin *origins; /* by peer and handle */
	size_t n_parts, n_origins;
	bool incomplete; /* there may have been more */
};

extern struct explain explain;

/* Where that handle came from, or NULL */
const struct origin *explain_origin(uint64_t peer, uint64_t handle);
/* The messages of @tx; returns how many, the first is *@parts. */
size_t explain_parts(const struct call *tx, const struct part **parts);

/* explain-name.c */
struct question {
	const char *text;
	enum ask {
		ASK_TX,
		ASK_SEQ,
		ASK_RECEIPT,
		ASK_REPLY,
		ASK_FIRST,
		ASK_LAST,
	} ask;
	char name[NAME_LEN + 1]; /* of the peer; "" is not given */
	uint64_t peer; /* 0: by its name alone */
	uint64_t number; /* tx, seq, receipt, or node; 0: of the peer */
	bool has_index;
	uint32_t index;
	char when[48]; /* "": at any time */

	struct call *call; /* the answer */
	char how[256]; /* it was found, unless that is plain */
};

/* Both complain if they return false. */
bool question_parse(struct question *q, const char *text);
bool question_answer(struct question *q);

/*
 * The receipts of its call, or of the message that it names, by peer and receive
 * number; the caller frees them.
 */
size_t explain_receipts(const struct question *q, struct call ***receipts);

/* explain-show.c */
#define ROW 79 /* columns */
/* "900ns", "12.3us" */
#define DURATION_SIZE 24
const char *format_duration(char *buf, uint64_t ns);
void show_header(const char *last);
/* A row, with @step and, at its end, @last; each may be NULL */
void show_call(const char *step, const struct call *call, const char *last);
/* {"type":"explain_call","role":... and what else is known, without its end */
void json_call(const char *role, const struct call *call);

/* explain-pair.c: returns the status to exit with, as does the next */
int explain_pair(const struct question *a, const struct question *b);

/* explain-past.c */
struct past_options {
	uint64_t lines; /* 0 is all */
	uint64_t depth; /* steps back, 0 is any number */
	const char *output; /* as a graph, NULL is not wanted */
};

int explain_past(const struct question *q, const struct past_options *options);

#endif /* _BUS1_TRACE_EXPLAIN_H */
