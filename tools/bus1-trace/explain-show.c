// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <string.h>
#include "explain.h"
#include "options.h"

/* Columns of a row, of which names get what is left */
#define CALL 13
#define BY 16

const char *format_duration(char *buf, uint64_t ns)
{
	if (ns < 1000)
		snprintf(buf, DURATION_SIZE, "%" PRIu64 "ns", ns);
	else if (ns < 1000000)
		snprintf(buf, DURATION_SIZE, "%.1fus", ns / 1e3);
	else if (ns < 1000000000)
		snprintf(buf, DURATION_SIZE, "%.1fms", ns / 1e6);
	else
		snprintf(buf, DURATION_SIZE, "%.1fs", ns / 1e9);
	return buf;
}

/* Since the start, or the time of day; as it can be asked for again */
static void show_time(uint64_t ns)
{
	bool early = ns < explain.start.time;
	uint64_t us = (early ? explain.start.time - ns :
			       ns - explain.start.time) / 1000;

	if (!ns)
		printf("%-*s ", options.timestamps ? 15 : 11, "?");
	else if (options.timestamps)
		print_time(ns);
	else
		printf("%c%" PRIu64 ".%06" PRIu64 "%*s ", early ? '-' : '+',
		       us / 1000000, us % 1000000,
		       us < 100000000 ? 2 - (us >= 10000000) : 0, "");
}

void show_header(const char *last)
{
	printf("%-*s %-8s%-*s %-*s %7s  %s\n", options.timestamps ? 15 : 11,
	       "TIME", "STEP", CALL, "CALL", BY, "BY", "THREAD", last);
}

/* To whom; @room is what is left in the row */
static void show_tx(const struct call *call, int room)
{
	const char *kind = symbol_tx(call->tx.kind);
	const struct part *parts;
	char more[64] = "";
	size_t n = 0;

	if (!call->tid) {
		printf("?");
		return;
	}
	if (call->tx.receivers > 1)
		n += snprintf(more, sizeof(more), " +%u",
			      call->tx.receivers - 1);
	if (call->tx.seq)
		n += snprintf(more + n, sizeof(more) - n, " seq %" PRIu64,
			      call->tx.seq);
	printf("%s", kind ? kind : "?");
	if (explain_parts(call, &parts)) {
		char id[24];

		snprintf(id, sizeof(id), "#%" PRIu64, parts->receiver);
		room -= strlen(kind ? kind : "?") + 3 + strlen(id) + n;
		printf(" > ");
		print_safe(peers_name(parts->receiver), room > 1 ? room : 1);
		printf("%s", id);
	}
	printf("%s", more);
}

static void show_receipt(const struct call *call)
{
	const char *kind = symbol_kind(call->receipt.kind);
	char span[DURATION_SIZE];

	printf("%" PRIu64 ":%" PRIu64, call->receipt.tx_peer,
	       call->receipt.tx_number);
	if (call->receipt.kind)
		printf(" %s", kind ? kind : "?");
	else
		printf(".%u", call->receipt.index);
	if (!call->receipt.kind && call->receipt.queued)
		printf(" %s", format_duration(span, call->receipt.queued));
}

void show_call(const char *step, const struct call *call, const char *last)
{
	const struct peer *peer = peers_find(call->peer);
	char name[CALL_NAME], tid[16] = "?";
	/* closing and dropping are done by whoever comes last */
	bool own = call->tid && (call->type == CALL_RECEIPT ||
				 call->tx.kind <= BUS1_TX_SEND);

	show_time(call_stamp(call));
	call_name(name, call);
	printf("%-8s%-*s ", step ? step : "", CALL, name);
	print_peer(own && !(peer && *peer->name) ? call->comm :
						   peers_name(call->peer),
		   call->peer, BY);
	if (call->tid)
		snprintf(tid, sizeof(tid), "%u", call->tid);
	printf(" %7s  ", tid);
	if (last)
		printf("%s", last);
	else if (call->type == CALL_TX)
		show_tx(call, ROW - (options.timestamps ? 4 : 0) - 60);
	else
		show_receipt(call);
	putchar('\n');
}

static void json_tx(const struct call *call)
{
	const char *kind = symbol_tx(call->tx.kind);
	const struct part *parts;
	size_t n = explain_parts(call, &parts), i;

	if (call->tid) {
		if (kind)
			printf(",\"kind\":\"%s\"", kind);
		else
			printf(",\"kind\":%u", call->tx.kind);
		printf(",\"begun\":%" PRIu64 ",\"receivers\":%u,\"messages\":%u,\"notifications\":%u,\"seq\":%" PRIu64,
		       call->begun, call->tx.receivers, call->tx.messages,
		       call->tx.notifications, call->tx.seq);
	}
	printf(",\"to\":[");
	for (i = 0; i < n; i++)
		printf("%s%" PRIu64, i ? "," : "", parts[i].receiver);
	putchar(']');
}

static void json_receipt(const struct call *call)
{
	const char *kind = symbol_kind(call->receipt.kind);

	printf(",\"recv\":%" PRIu64 ",\"tx_peer\":%" PRIu64 ",\"tx\":%" PRIu64,
	       call->number, call->receipt.tx_peer, call->receipt.tx_number);
	if (!call->receipt.kind)
		printf(",\"index\":%u", call->receipt.index);
	else if (kind)
		printf(",\"kind\":\"%s\"", kind);
	else
		printf(",\"kind\":%u", call->receipt.kind);
	printf(",\"queued\":%" PRIu64, call->receipt.queued);
}

void json_call(const char *role, const struct call *call)
{
	char name[CALL_NAME];

	printf("{\"type\":\"explain_call\",\"role\":\"%s\",\"call\":\"%s\",\"peer\":%" PRIu64
	       ",\"name\":", role, call_name(name, call), call->peer);
	json_string(peers_name(call->peer));
	if (call->tid) {
		printf(",\"pid\":%u,\"tid\":%u,\"comm\":", call->pid,
		       call->tid);
		json_string(call->comm);
	}
	printf(",\"time\":%" PRIu64, call->time);
	if (call->type == CALL_TX)
		json_tx(call);
	else
		json_receipt(call);
}
