// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: text
 *
 * One row an event, under 80 columns unless the numbers are very long. Names
 * are cut to that end, numbers never.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "stream.h"

/* Columns: a row; a name; one beside long numbers; one that is not cut */
#define ROW 79
#define NAME 16
#define NAME_MIN 9
#define NAME_ALONE 22
/* Before the names of a row */
#define MARGIN 18

/* Process names are chosen by processes: nothing of them steers a terminal. */
int print_safe(const char *s, int max)
{
	const unsigned char *p = (const unsigned char *)s;
	int n;

	for (n = 0; *p && n < max; n++) {
		int length = utf8_length(p);

		if (!length || *p < ' ' || *p == 0x7f ||
		    (*p == 0xc2 && p[1] < 0xa0)) /* U+0080 to U+009F */
			putchar('?');
		else
			fwrite(p, 1, length, stdout);
		p += length ? length : 1;
	}
	return n;
}

bool text_color(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term &&
	       strcmp(term, "dumb");
}

/* "name#id", and how many receivers there are besides */
struct name {
	char comm[NAME_LEN + 1];
	char suffix[48];
};

static void set_name(struct name *name, const char *comm, const char *suffix)
{
	snprintf(name->comm, sizeof(name->comm), "%.*s", NAME_LEN, comm);
	snprintf(name->suffix, sizeof(name->suffix), "%s", suffix);
}

/* @event: what the peer itself does, if it is known who did it */
static void set_peer(struct name *name, uint64_t id,
		     const struct bus1_event *event, unsigned int others)
{
	const struct peer *peer = peers_find(id);
	char suffix[48];

	if (others)
		snprintf(suffix, sizeof(suffix), "#%" PRIu64 " +%u", id,
			 others);
	else
		snprintf(suffix, sizeof(suffix), "#%" PRIu64, id);
	if (event && !(peer && *peer->name))
		set_name(name, event->comm, suffix);
	else
		set_name(name, peers_name(id), suffix);
}

/* The process' name is cut to let all fit into @width, but not below 1. */
static void print_name(const struct name *name, int width)
{
	int room = width - (int)strlen(name->suffix);
	int n = print_safe(name->comm, room > 1 ? room : 1);

	printf("%s%*s", name->suffix, room > n ? room - n : 0, "");
}

void print_peer(const char *comm, uint64_t id, int width)
{
	char suffix[24];
	struct name name;

	snprintf(suffix, sizeof(suffix), id ? "#%" PRIu64 : "", id);
	set_name(&name, comm, suffix);
	print_name(&name, width);
}

static int clamp_name(int width)
{
	return width > NAME ? NAME : width < NAME_MIN ? NAME_MIN : width;
}

static void print_latency(uint64_t ns)
{
	if (ns < 1000)
		printf("%6" PRIu64 "ns", ns);
	else if (ns < 1000000)
		printf("%6.1fus", ns / 1e3);
	else if (ns < 1000000000)
		printf("%6.1fms", ns / 1e6);
	else
		printf("%7.1fs", ns / 1e9);
}

void format_amount(char *buf, uint64_t n)
{
	static const char unit[] = "KMGTPE";
	double v = n;
	int i;

	if (n < 100000) {
		snprintf(buf, AMOUNT_SIZE, "%" PRIu64, n);
		return;
	}
	for (i = -1; v >= 1024; i++)
		v /= 1024;
	snprintf(buf, AMOUNT_SIZE, "%.*f%c", v < 100 && v != (int)v, v,
		 unit[i]);
}

static int64_t clock_offset;

void clock_set(uint64_t monotonic, uint64_t realtime)
{
	clock_offset = (int64_t)realtime - (int64_t)monotonic;
}

void print_time(uint64_t ns)
{
	uint64_t now, realtime;
	struct tm tm;
	char buf[16];
	time_t s;

	if (!clock_offset) {
		now = now_both(&realtime);
		clock_set(now, realtime);
	}
	ns += clock_offset;
	s = ns / 1000000000;
	localtime_r(&s, &tm);
	strftime(buf, sizeof(buf), "%H:%M:%S", &tm);
	printf("%s.%06u ", buf, (unsigned int)(ns % 1000000000 / 1000));
}

void text_header(const struct text_options *options)
{
	if (options->timestamps)
		printf("%-15s ", "TIME");
	printf("%8s %-8s %-*s   %-*s %s\n", "LATENCY", "EVENT", NAME, "FROM",
	       NAME, "TO", "WHAT");
}

static const char *or_number(const char *symbol, uint64_t value)
{
	static char buf[24];

	if (symbol)
		return symbol;
	snprintf(buf, sizeof(buf), "%" PRIu64, value);
	return buf;
}

/* What is to be said of an event, before it is fitted into a row. */
struct row {
	uint64_t latency;
	struct name from, to;
	char what[160];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void say(struct row *row,
						      const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(row->what + row->n, sizeof(row->what) - row->n, fmt,
		      args);
	va_end(args);
	if (n > 0)
		row->n += n;
	if (row->n >= sizeof(row->what))
		row->n = sizeof(row->what) - 1;
}

static void say_size(struct row *row, uint64_t bytes, uint64_t handles)
{
	say(row, " %" PRIu64 "B", bytes);
	if (handles)
		say(row, " %" PRIu64 "h", handles);
}

static const char *event_word(const struct bus1_event *event)
{
	switch (event->type) {
	case EV_peer_new:
		return "open";
	case EV_peer_name:
		return "name";
	case EV_peer_free:
		return "gone";
	case EV_tx_commit:
		return or_number(symbol_tx(event->arg[2]), event->arg[2]);
	case EV_msg_recv:
		return "recv";
	case EV_msg_discard:
		return "discard";
	case EV_notify_recv:
		return "notify";
	case EV_notify_drop:
		return "vanish";
	case EV_recv_wait:
		return "wait";
	case EV_acct_reject:
		return "reject";
	case EV_op_fail:
		return "fail";
	}
	return event_info[event->type].name;
}

static const char *event_color(const struct bus1_event *event)
{
	switch (event->type) {
	case EV_msg_recv:
		return "\033[32m";
	case EV_notify_recv:
		return "\033[36m";
	case EV_msg_discard:
	case EV_notify_drop:
		return "\033[33m";
	case EV_acct_reject:
	case EV_op_fail:
		return "\033[31m";
	case EV_peer_new:
	case EV_peer_name:
	case EV_peer_free:
	case EV_recv_wait:
		return "\033[2m";
	}
	return "\033[1m";
}

/* The number of a multicast, where an event ends with one. */
static void say_seq(struct row *row, const struct item *item)
{
	const struct event_info *info = &event_info[item->event.type];
	unsigned int last = item->n_args - 1;

	if (item->n_args && info->field[last].name &&
	    !strcmp(info->field[last].name, "seq") && item->event.arg[last])
		say(row, " seq %llu", item->event.arg[last]);
}

static void say_commit(struct row *row, const struct item *item)
{
	const __u64 *a = item->event.arg;

	row->latency = a[6] ? a[7] - a[6] : 0;
	set_peer(&row->from, a[0],
		 event_is_own(&item->event) ? &item->event : NULL, 0);
	if (item->fold.receiver)
		set_peer(&row->to, item->fold.receiver, NULL,
			 a[3] > 1 ? a[3] - 1 : 0);
	else
		set_name(&row->to, a[3] ? "?" : "-", "");
	say(row, "tx %llu", a[1]);
	if (a[4] && !item->fold.receiver)
		say(row, " ?B"); /* it began before the start */
	else if (a[4])
		say_size(row, item->fold.bytes, item->fold.handles);
	else if (item->fold.handles)
		say(row, " %" PRIu64 "h", item->fold.handles);
	if (a[5])
		say(row, " %llun", a[5]);
	say_seq(row, item);
}

/* @held and @amount would be more than @limit. */
static void say_quota(struct row *row, uint64_t level, uint64_t resource,
		      uint64_t held, uint64_t amount, uint64_t limit)
{
	char h[AMOUNT_SIZE], a[AMOUNT_SIZE], l[AMOUNT_SIZE];

	format_amount(h, held);
	format_amount(a, amount);
	format_amount(l, limit);
	say(row, " %s", or_number(symbol_level(level), level));
	say(row, " %s+%s>%s", h, a, l);
	if (resource == BUS1_RESOURCE_OBJECTS)
		say(row, "o");
	else if (resource == BUS1_RESOURCE_BYTES)
		say(row, "B");
	else
		say(row, " of %" PRIu64, resource);
}

static void say_reject(struct row *row, const struct bus1_event *event)
{
	const __u64 *a = event->arg;

	set_peer(&row->from, a[2], event, 0);
	say(row, "%s", or_number(symbol_op(a[9]), a[9]));
	say(row, " uid %llu at %llu", a[1], a[0]);
	say_quota(row, a[8], a[3], a[5], a[4], a[10]);
}

static void say_fail(struct row *row, const struct item *item)
{
	const struct bus1_event *event = &item->event;
	const __u64 *a = event->arg;
	int error = (int32_t)a[2];

	set_peer(&row->from, a[0], event, 0);
	say(row, "%s ", or_number(symbol_op(a[1]), a[1]));
	say(row, "%s: ", or_number(error_name(error), -(int64_t)error));
	if (a[3] == BUS1_CHECK_QUOTA && item->n_args > 6) {
		say(row, "uid %llu", a[6]);
		say_quota(row, a[7], a[8], a[9], a[4], a[10]);
		return;
	}
	say(row, "%s", or_number(symbol_check(a[3]), a[3]));
	if (a[3] == BUS1_CHECK_POINTER)
		say(row, " 0x%llx", a[4]);
	else if (a[3] < BUS1_CHECK_MEMORY || a[3] == BUS1_CHECK_NAME)
		say(row, " %llu", a[4]);
}

/* A message or notification that was received, or will never be. */
static void say_arrival(struct row *row, const struct item *item)
{
	const struct bus1_event *event = &item->event;
	const __u64 *a = event->arg;
	const struct event_info *info = &event_info[event->type];
	const __u64 *rest = a + info->from + 1; /* from tx on */
	bool received = event->type == EV_msg_recv ||
			event->type == EV_notify_recv;

	if (received)
		row->latency = a[8];
	set_peer(&row->from, a[info->from], NULL, 0);
	set_peer(&row->to, a[info->to], received ? event : NULL, 0);
	say(row, "tx %llu", rest[0]);
	if (event->type == EV_msg_recv || event->type == EV_msg_discard) {
		say(row, ".%llu", rest[1]);
		say_size(row, rest[3], rest[4]);
	} else {
		say(row, " %s", or_number(symbol_kind(rest[1]), rest[1]));
		say(row, " %llu", rest[2]);
	}
	if (!received)
		say(row, " %s", or_number(symbol_why(a[7]), a[7]));
	say_seq(row, item);
}

/* 16 bytes a row, as numbers and as text */
static void print_payload(const struct bus1_bytes *payload)
{
	uint32_t i, j;

	for (i = 0; i < payload->n; i += 16) {
		printf("%*s%04x ", MARGIN - 5, "", i);
		for (j = i; j < i + 16; j++)
			if (j < payload->n)
				printf(" %02x", payload->data[j]);
			else
				printf("   ");
		printf("  ");
		for (j = i; j < i + 16 && j < payload->n; j++)
			putchar(payload->data[j] >= ' ' &&
						payload->data[j] < 0x7f ?
					payload->data[j] :
					'.');
		putchar('\n');
	}
}

static void print_row(const struct text_options *options,
		      const struct item *item)
{
	const struct bus1_event *event = &item->event;
	struct row row = { 0 };
	const __u64 *a = event->arg;
	int width;

	switch (event->type) {
	case EV_peer_new:
		set_peer(&row.from, a[0], event, 0);
		say(&row, "uid %llu, pid %llu", a[1], a[2]);
		break;
	case EV_peer_name:
		set_peer(&row.from, a[0], event, 0);
		say(&row, "is called so by process %u", event->pid);
		break;
	case EV_peer_free:
		set_peer(&row.from, a[0], NULL, 0);
		say(&row, "made %llu transactions, received %llu", a[2], a[3]);
		break;
	case EV_tx_commit:
		say_commit(&row, item);
		break;
	case EV_recv_wait:
		row.latency = a[3] > a[1] ? a[3] - a[1] : 0;
		set_peer(&row.from, a[0], event, 0);
		say(&row, "%s", or_number(symbol_wait(a[2]), a[2]));
		break;
	case EV_acct_reject:
		say_reject(&row, event);
		break;
	case EV_op_fail:
		say_fail(&row, item);
		break;
	default:
		say_arrival(&row, item);
	}

	if (options->timestamps)
		print_time(event_stamp(event));
	if (row.latency)
		print_latency(row.latency);
	else
		printf("%8s", "");
	printf(" %s%-8s%s ", options->color ? event_color(event) : "",
	       event_word(event), options->color ? "\033[0m" : "");
	if (!*row.to.comm) { /* it is about one peer */
		bool fail = event->type == EV_op_fail ||
			    event->type == EV_acct_reject;

		width = clamp_name(ROW - MARGIN - 3 - (int)row.n);
		print_name(&row.from, fail ? width : NAME_ALONE);
		printf(" %s %s\n", fail ? "!" : " ", row.what);
		return;
	}
	width = clamp_name((ROW - MARGIN - 4 - (int)row.n) / 2);
	print_name(&row.from, width);
	printf(" > ");
	print_name(&row.to, width);
	printf(" %s\n", row.what);
}

void text_event(const struct text_options *options, const struct item *item)
{
	print_row(options, item);
	if (item->payload)
		print_payload(item->payload);
}
