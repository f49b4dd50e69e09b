// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE /* memrchr */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "explain.h"
#include "options.h"

#define NEARBY 8
#define SAFE_SIZE (NAME_LEN + 1)

/* What somebody chose, for a terminal */
static const char *safe(char *buf, const char *s)
{
	size_t i;

	for (i = 0; i < SAFE_SIZE - 1 && s[i]; i++)
		buf[i] = s[i] < ' ' || s[i] == 0x7f ? '?' : s[i];
	buf[i] = '\0';
	return buf;
}

/* The number that is all of @s, up to @end */
static bool number(const char *s, const char *end, uint64_t *value)
{
	char *stop;

	if (s == end || *s < '0' || *s > '9')
		return false;
	errno = 0;
	*value = strtoull(s, &stop, 10);
	return stop == end && !errno;
}

/* "5", "bus1-client#5", or a name alone */
static bool parse_peer(struct question *q, const char *s, const char *end)
{
	const char *hash;

	if (number(s, end, &q->peer))
		return true;
	if ((ptrdiff_t)strspn(s, "0123456789") >= end - s)
		return false;
	hash = memrchr(s, '#', end - s);
	if (hash && !number(hash + 1, end, &q->peer))
		hash = NULL;
	if (!hash)
		hash = end;
	if (hash == s || hash - s >= (ptrdiff_t)sizeof(q->name))
		return false;
	memcpy(q->name, s, hash - s);
	return true;
}

/* TX or TX.INDEX, up to @end */
static bool parse_tx(struct question *q, const char *s, const char *end)
{
	const char *dot = memchr(s, '.', end - s);
	uint64_t index;

	if (!number(s, dot ? dot : end, &q->number))
		return false;
	if (!dot)
		return true;
	q->has_index = number(dot + 1, end, &index) && index <= UINT32_MAX;
	q->index = q->has_index ? index : 0;
	return q->has_index;
}

/* The first word that is PEER:TX or PEER:TX.INDEX */
static bool parse_word(struct question *q, const char *s)
{
	size_t n;

	for (s += strspn(s, " "); *s; s += n + strspn(s + n, " ")) {
		const char *colon;

		n = strcspn(s, " ");
		colon = memchr(s, ':', n);
		if (colon && number(s, colon, &q->peer) &&
		    parse_tx(q, colon + 1, s + n))
			return true;
	}
	return false;
}

/* "bus1-client#5 tx 1", or all of a row of monitor */
static bool parse_row(struct question *q, const char *s)
{
	const char *end = strstr(s, " > "), *tx = strstr(s, " tx "), *hash;

	if (!tx)
		return parse_word(q, s);
	if (!end || end > tx)
		end = tx;
	while (end > s && end[-1] == ' ')
		end--;
	hash = memrchr(s, '#', end - s);
	if (!hash || !number(hash + 1, end, &q->peer))
		return false;
	/* of a whole row, the name is the last word before its number */
	if (end != tx) {
		const char *word = memrchr(s, ' ', hash - s);

		s = word ? word + 1 : s;
	}
	if (hash - s < (ptrdiff_t)sizeof(q->name))
		memcpy(q->name, s, hash - s);
	tx += 4;
	return parse_tx(q, tx, tx + strcspn(tx, " "));
}

/* PEER:TX, PEER:TX.INDEX */
static bool parse_call(struct question *q, const char *s)
{
	const char *colon = strrchr(s, ':');

	if (strstr(s, " tx ") || strstr(s, " > "))
		return parse_row(q, s);
	return colon && parse_tx(q, colon + 1, s + strlen(s)) &&
	       parse_peer(q, s, colon);
}

/* PEER or PEER:NODE, and @TIME */
static bool parse_end(struct question *q, const char *s)
{
	const char *at = strrchr(s, '@'), *end = at ? at : s + strlen(s);
	const char *colon = memrchr(s, ':', end - s);

	if (at && (!at[1] || strlen(at + 1) >= sizeof(q->when)))
		return false;
	if (at)
		strcpy(q->when, at + 1);
	if (colon && number(colon + 1, end, &q->number))
		return q->number && parse_peer(q, s, colon);
	q->number = 0;
	return parse_peer(q, s, end);
}

static bool parse_receipt(struct question *q, const char *s)
{
	const char *dot = strrchr(s, '.');

	return dot && number(dot + 1, s + strlen(s), &q->number) &&
	       parse_peer(q, s, dot);
}

static bool parse_seq(struct question *q, const char *s)
{
	return number(s, s + strlen(s), &q->number) && q->number;
}

bool question_parse(struct question *q, const char *text)
{
	static const struct {
		const char *prefix;
		enum ask ask;
		bool (*parse)(struct question *q, const char *s);
	} forms[] = {
		{ "seq:", ASK_SEQ, parse_seq },
		{ "seq ", ASK_SEQ, parse_seq },
		{ "recv:", ASK_RECEIPT, parse_receipt },
		{ "reply-to:", ASK_REPLY, parse_call },
		{ "first:", ASK_FIRST, parse_end },
		{ "last:", ASK_LAST, parse_end },
		{ "", ASK_TX, parse_call },
	};
	size_t i, n;

	memset(q, 0, sizeof(*q));
	q->text = text;
	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		n = strlen(forms[i].prefix);
		if (strncmp(text, forms[i].prefix, n))
			continue;
		q->ask = forms[i].ask;
		if (forms[i].parse(q, text + n))
			return true;
		break;
	}
	complain("\"%s\" does not name a call. What does:\n"
		 "  5:12, client:12, client#5:12      transaction 12 of peer 5\n"
		 "  \"client#5 tx 12\"                  the same, in quotes, as it has blanks\n"
		 "  5:12.0                            the first message of it\n"
		 "  seq:463, recv:4.17, reply-to:5:12, first:5, last:5\n"
		 "  last:4:1, last:4:1@TIME           to node 1 of peer 4",
		 text);
	return false;
}

/* As @given: of a name that was cut, its begin; "?" is what was not printable */
static bool name_fits(const char *given, const char *name)
{
	for (; *given && *name; given++, name++)
		if (*given != *name && *given != '?')
			return false;
	return !*given;
}

static bool call_fits(const struct question *q, const struct call *call)
{
	return name_fits(q->name, peers_name(call->peer)) ||
	       (call->tid && name_fits(q->name, call->comm));
}

/* Adds @peer to those that are named in a complaint. */
static void add_peer(uint64_t *peers, size_t *n, uint64_t peer)
{
	size_t i;

	for (i = 0; i < *n && i <= NEARBY; i++)
		if (peers[i] == peer)
			return;
	if (*n <= NEARBY)
		peers[(*n)++] = peer;
}

static const char *say_peers(char *buf, size_t size, const uint64_t *peers,
			     size_t n)
{
	char name[SAFE_SIZE];
	size_t i, used = 0;

	*buf = '\0';
	for (i = 0; i < n && i < NEARBY && used < size; i++)
		used += snprintf(buf + used, size - used, "%s%s#%" PRIu64,
				 i ? ", " : "",
				 safe(name, peers_name(peers[i])), peers[i]);
	if (n > NEARBY && used < size)
		snprintf(buf + used, size - used, ", ...");
	return buf;
}

#define PEERS_SIZE ((NEARBY + 1) * (NAME_LEN + 24))

/* Which peer, and whether it is called so */
static bool answer_peer(struct question *q)
{
	uint64_t named[NEARBY + 1], any[NEARBY + 1];
	size_t n_named = 0, n_any = 0;
	bool there = false, fits = false;
	const struct call *call;
	char buf[PEERS_SIZE], name[SAFE_SIZE];

	for (call = cause_oldest(explain.cause); call; call = call->newer) {
		add_peer(any, &n_any, call->peer);
		if (q->peer && call->peer == q->peer) {
			there = true;
			fits = fits || !*q->name || call_fits(q, call);
		} else if (!q->peer && !strcmp(q->name,
					       peers_name(call->peer))) {
			add_peer(named, &n_named, call->peer);
		}
	}
	if (q->peer && fits)
		return true;
	if (!q->peer && n_named == 1) {
		q->peer = named[0];
		return true;
	}
	/* a peer that neither sent nor received can have nodes */
	if (q->peer && !there && peers_find(q->peer))
		return true;
	if (there)
		complain("%s: peer %" PRIu64 " is called %s, not %s", q->text,
			 q->peer, safe(name, peers_name(q->peer)), q->name);
	else if (n_named)
		complain("%s: which of them? %s", q->text,
			 say_peers(buf, sizeof(buf), named, n_named));
	else
		complain("%s: there is no such peer%s; %s%s", q->text,
			 explain.incomplete ? " (or what it did was lost)" : "",
			 n_any ? "the peers are: " : "",
			 n_any ? say_peers(buf, sizeof(buf), any, n_any) :
				 "nothing happened in this recording");
	return false;
}

/* What of this kind there is of the peer, when what was asked for is not */
static bool not_there(const struct question *q, enum call_type type)
{
	uint64_t n = 0, least = UINT64_MAX, most = 0;
	const char *pre = type == CALL_TX ? "" : "recv:";
	char dot = type == CALL_TX ? ':' : '.', name[SAFE_SIZE];
	const struct call *call;

	for (call = cause_oldest(explain.cause); call; call = call->newer) {
		if (call->type != type || call->peer != q->peer)
			continue;
		n++;
		least = call->number < least ? call->number : least;
		most = call->number > most ? call->number : most;
	}
	safe(name, peers_name(q->peer));
	if (n)
		complain("%s is not in this recording%s: it has %" PRIu64 " %s%s of %s#%" PRIu64 ", %s%" PRIu64 "%c%" PRIu64 " to %s%" PRIu64 "%c%" PRIu64,
			 q->text,
			 explain.incomplete ? " (it may have been lost)" : "",
			 n, type == CALL_TX ? "transaction" : "receipt",
			 n == 1 ? "" : "s", name, q->peer, pre, q->peer, dot,
			 least, pre, q->peer, dot, most);
	else
		complain("%s is not in this recording: %s#%" PRIu64 " %s nothing in it",
			 q->text, name, q->peer,
			 type == CALL_TX ? "sent" : "received");
	return false;
}

static bool answer_tx(struct question *q)
{
	const struct part *parts;
	size_t n;

	q->call = cause_tx(explain.cause, q->peer, q->number);
	if (!q->call)
		return not_there(q, CALL_TX);
	n = explain_parts(q->call, &parts);
	if (!q->has_index || !n || q->call->tx.messages != n ||
	    q->index <= parts[n - 1].index)
		return true;
	complain("%s: its messages are %" PRIu64 ":%" PRIu64 ".0 to %" PRIu64
		 ":%" PRIu64 ".%u", q->text, q->peer, q->number, q->peer,
		 q->number, parts[n - 1].index);
	return false;
}

static bool answer_seq(struct question *q)
{
	uint64_t below = 0, above = UINT64_MAX;
	struct call *call;

	for (call = cause_oldest(explain.cause); call; call = call->newer) {
		uint64_t seq = call->type == CALL_TX ? call->tx.seq : 0;

		if (seq == q->number) {
			q->call = call;
			return true;
		}
		if (seq && seq < q->number && seq > below)
			below = seq;
		if (seq > q->number && seq < above)
			above = seq;
	}
	if (!below && above == UINT64_MAX)
		complain("%s: no multicast in this recording has a number%s",
			 q->text,
			 explain.start.schema_minor < 3 ?
				 ", which modules before trace schema 1.3 did not say" :
				 "");
	else if (below && above != UINT64_MAX)
		complain("%s is not in this recording; next to it are seq:%" PRIu64 " and seq:%" PRIu64,
			 q->text, below, above);
	else
		complain("%s is not in this recording; next to it is seq:%" PRIu64,
			 q->text, below ? below : above);
	return false;
}

/* Midnight of the day of the start, CLOCK_REALTIME ns */
static uint64_t midnight(void)
{
	time_t s = explain.start.realtime / 1000000000;
	struct tm tm;

	localtime_r(&s, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	return mktime(&tm) * 1000000000ULL;
}

/* "+1.5s", "23:10:57.123456", or a stamp */
static bool answer_time(const struct question *q, uint64_t *ns)
{
	unsigned int hour, minute;
	double second;
	int n = 0;

	if (*q->when == '+') {
		if (!parse_duration(q->when + 1, ns))
			return false;
		*ns += explain.start.time;
		return true;
	}
	if (number(q->when, q->when + strlen(q->when), ns))
		return true;
	if (sscanf(q->when, "%2u:%2u:%lf%n", &hour, &minute, &second, &n) == 3 &&
	    !q->when[n] && hour < 24 && minute < 60 && second >= 0 &&
	    second < 61) {
		*ns = midnight() + (hour * 60 + minute) * 60000000000ULL +
		      (uint64_t)(second * 1e6 + 0.5) * 1000;
		/* it may go on after midnight */
		if (*ns + 43200000000000ULL < explain.start.realtime)
			*ns += 86400000000000ULL;
		*ns += explain.start.time - explain.start.realtime;
		return true;
	}
	complain("%s: \"%s\" is not a time: give +1.5s (since the start of the recording), 23:10:57.123456 (as -T prints it), or nanoseconds (as --json prints them)",
		 q->text, q->when);
	return false;
}

/* Of what the peer sent, or if a node is given, what was sent to that */
static bool answer_end(struct question *q)
{
	bool last = q->ask == ASK_LAST;
	uint64_t limit = last ? UINT64_MAX : 0, stamp;
	const char *when = !*q->when ? "" : last ? " before then" :
						   " from then on";
	char name[SAFE_SIZE];
	struct call *call;
	size_t i;

	if (*q->when && !answer_time(q, &limit))
		return false;
	for (call = cause_oldest(explain.cause); call; call = call->newer) {
		const struct part *parts;
		size_t n = 0;

		stamp = call_stamp(call);
		if (call->type != CALL_TX || !stamp ||
		    (last ? stamp >= limit : stamp < limit))
			continue;
		if (q->call && (last ? stamp < call_stamp(q->call) :
				       stamp >= call_stamp(q->call)))
			continue;
		if (!q->number) {
			/* to close, and to drop, may be done by anyone */
			if (call->peer == q->peer &&
			    call->tx.kind <= BUS1_TX_SEND)
				q->call = call;
			continue;
		}
		n = explain_parts(call, &parts);
		for (i = 0; i < n; i++)
			if (parts[i].receiver == q->peer &&
			    parts[i].node == q->number)
				q->call = call;
	}
	safe(name, peers_name(q->peer));
	if (q->call) {
		if (q->number)
			snprintf(q->how, sizeof(q->how),
				 "the %s message that %s to node %" PRIu64 " of %s#%" PRIu64 "%s",
				 last ? "last" : "first",
				 explain.incomplete ? "is known to have gone" :
						      "went",
				 q->number, name, q->peer, when);
		else
			snprintf(q->how, sizeof(q->how),
				 "the %s transaction %sof %s#%" PRIu64 "%s",
				 last ? "last" : "first",
				 explain.incomplete ? "that is known " : "",
				 name, q->peer, when);
		return true;
	}
	if (q->number)
		complain("%s: no message went to node %" PRIu64 " of %s#%" PRIu64 "%s",
			 q->text, q->number, name, q->peer, when);
	else
		complain("%s: %s#%" PRIu64 " sent nothing%s", q->text, name,
			 q->peer, when);
	return false;
}

static struct call *first_receipt(struct call **receipts, size_t n,
				  uint64_t peer)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (receipts[middle]->peer < peer)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && receipts[low]->peer == peer ? receipts[low] : NULL;
}

static int by_node(const void *p, const void *q)
{
	const struct origin *x = p, *y = q;

	if (x->node_peer != y->node_peer)
		return x->node_peer > y->node_peer ? 1 : -1;
	return (x->node > y->node) - (x->node < y->node);
}

static int by_node_time(const void *p, const void *q)
{
	const struct origin *x = p, *y = q;
	int order = by_node(x, y);

	return order ? order : (x->time > y->time) - (x->time < y->time);
}

static bool is_brought(const struct question *q, const struct origin *o)
{
	return o->tx_peer == q->peer && o->tx == q->number &&
	       (!q->has_index || o->index == q->index);
}

/*
 * Where a reply goes to: the nodes whose handles came with what is asked for, by
 * node, each as it came first; those of the sender, if there are any.
 */
static size_t nodes_brought(const struct question *q, struct origin **nodes)
{
	const struct origin *o, *end = explain.origins + explain.n_origins;
	size_t n = 0, i, kept = 0;
	bool own = false;

	*nodes = NULL;
	for (o = explain.origins; o < end; o++) {
		if (!is_brought(q, o) || (own && o->node_peer != q->peer))
			continue;
		if (!own && o->node_peer == q->peer) {
			own = true;
			n = 0;
		}
		*nodes = grow(*nodes, n, sizeof(**nodes));
		(*nodes)[n++] = *o;
	}
	if (n)
		qsort(*nodes, n, sizeof(**nodes), by_node_time);
	for (i = 0; i < n; i++)
		if (!kept || by_node(&(*nodes)[kept - 1], &(*nodes)[i]))
			(*nodes)[kept++] = (*nodes)[i];
	return kept;
}

static bool no_reply(const struct question *q, const struct origin *nodes,
		     size_t n_nodes, size_t n_receipts)
{
	const char *known =
		explain.incomplete ? ", as far as that is known" : "";

	if (n_nodes)
		complain("%s: nothing was sent to node %" PRIu64 " of peer %" PRIu64 "%s, after its handle had come with it%s",
			 q->text, nodes->node, nodes->node_peer,
			 n_nodes > 1 ? ", or to the others" : "", known);
	else
		complain("%s: %s%s", q->text,
			 n_receipts ? "nobody who received it sent anything back to its sender" :
				      "nobody received it",
			 known);
	return false;
}

/*
 * The first message to a node whose handle it brought, whoever was given that to
 * reply; if it brought none, whatever who received it sent back.
 */
static bool answer_reply(struct question *q)
{
	const struct part *part, *end = explain.parts + explain.n_parts;
	const struct part *best_part = NULL;
	struct call **receipts, *call, *best = NULL;
	const char *known = explain.incomplete ? "is known to have " : "";
	char name[SAFE_SIZE], buf[CALL_NAME];
	struct origin *nodes;
	size_t n, n_nodes;

	if (!answer_tx(q))
		return false;
	n = explain_receipts(q, &receipts);
	n_nodes = nodes_brought(q, &nodes);
	for (part = explain.parts; part < end; part++) {
		const struct origin key = { .node_peer = part->receiver,
					    .node = part->node }, *node;
		const struct call *receipt;
		uint64_t since;

		if (n_nodes) {
			node = bsearch(&key, nodes, n_nodes, sizeof(key),
				       by_node);
			since = node ? node->time : 0;
		} else {
			receipt = part->receiver != q->peer ? NULL :
				  first_receipt(receipts, n, part->peer);
			since = receipt ? receipt->time : 0;
		}
		call = since ? cause_tx(explain.cause, part->peer, part->tx) :
			       NULL;
		if (!call || call == q->call || call_stamp(call) <= since ||
		    (best && call_stamp(call) >= call_stamp(best)))
			continue;
		best = call;
		best_part = part;
	}
	if (!best)
		no_reply(q, nodes, n_nodes, n);
	free(receipts);
	free(nodes);
	if (!best)
		return false;
	safe(name, peers_name(best->peer));
	call_name(buf, q->call);
	if (!n_nodes) {
		snprintf(q->how, sizeof(q->how),
			 "the first that %s#%" PRIu64 " %ssent back after %s, through a handle that it had already",
			 name, best->peer, known, buf);
	} else {
		const struct origin *o = explain_origin(best_part->peer,
							best_part->handle);

		if (o && is_brought(q, o))
			snprintf(q->how, sizeof(q->how),
				 "the first that %s#%" PRIu64 " %ssent through a handle that %s brought",
				 name, best->peer, known, buf);
		else
			snprintf(q->how, sizeof(q->how),
				 "the first that %s#%" PRIu64 " %ssent to node %" PRIu64 " of peer %" PRIu64 ", whose handle %s brought",
				 name, best->peer, known, best_part->node,
				 best_part->receiver, buf);
	}
	q->call = best;
	q->has_index = false;
	return true;
}

bool question_answer(struct question *q)
{
	if (q->ask == ASK_SEQ)
		return answer_seq(q);
	if (!answer_peer(q))
		return false;
	switch (q->ask) {
	case ASK_RECEIPT:
		q->call = cause_receipt(explain.cause, q->peer, q->number);
		return q->call || not_there(q, CALL_RECEIPT);
	case ASK_REPLY:
		return answer_reply(q);
	case ASK_FIRST:
	case ASK_LAST:
		return answer_end(q);
	default:
		return answer_tx(q);
	}
}
