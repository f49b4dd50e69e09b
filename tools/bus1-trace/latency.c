// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: latency
 *
 * How long messages and notifications waited until they were received, and how
 * long transactions took to commit, so that a slow receiver is told from a slow
 * sender. The histograms are made in the kernel.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "options.h"
#include "sums.h"

/* Lines of a screen that are no rows: title, head, "and more", the cursor */
#define LINES_FIXED 4
#define ROWS_MIN 3
#define NAME 18
#define BAR 40
#define N_QUANTILES 4

static enum by { BY_ALL, BY_PEER, BY_NODE, BY_UID, BY_MAX } by;
static const char *const by_names[BY_MAX] = { "all", "peer", "node", "uid" };

static struct sums_want want = { .what = BUS1_SUM_TIMES };

static const struct {
	const char *json, *column, *title;
} words[BUS1_TIME_MAX] = {
	[BUS1_TIME_MESSAGE] = { "message", "msg",
				"messages, from send to receipt" },
	[BUS1_TIME_NOTIFICATION] = { "notification", "notify",
				     "notifications, from send to receipt" },
	[BUS1_TIME_TRANSACTION] = { "transaction", "commit",
				    "transactions, from begin to commit" },
};

static const struct {
	const char *json, *text;
	double share;
} quantiles[N_QUANTILES] = {
	{ "p50", "P50", 0.5 },
	{ "p90", "P90", 0.9 },
	{ "p99", "P99", 0.99 },
	{ "p999", "P99.9", 0.999 },
};

struct row {
	uint64_t peer, node; /* the peer, or of BY_UID the user */
	bool has_uid;
	enum bus1_time time;
	struct times times;
};

static struct row *rows;
static size_t n_rows;

/* Slowest first; of all, messages first */
static int by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	uint64_t p = times_quantile(&x->times, 0.99);
	uint64_t q = times_quantile(&y->times, 0.99);

	/* what took since before the start took longest */
	if (by != BY_ALL && !x->times.unknown != !y->times.unknown)
		return x->times.unknown ? -1 : 1;
	if (by != BY_ALL && p != q)
		return p < q ? 1 : -1;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if (x->peer != y->peer)
		return x->peer < y->peer ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

/* Of BY_UID there are many rows of one user, to be made one. */
static int by_key(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->has_uid != y->has_uid)
		return x->has_uid ? -1 : 1;
	if (x->peer != y->peer)
		return x->peer < y->peer ? -1 : 1;
	return (x->time > y->time) - (x->time < y->time);
}

static void add_row(const struct sum *sum)
{
	const struct peer *peer = peers_find(sum->peer);
	struct row *row;

	rows = grow(rows, n_rows, sizeof(*rows));
	row = &rows[n_rows++];
	*row = (struct row){
		.peer = sum->peer,
		.node = sum->other,
		.time = sum->time,
	};
	times_merge(&row->times, &sum->times);
	if (by != BY_UID)
		return;
	row->has_uid = peer && peer->has_uid;
	row->peer = row->has_uid ? peer->uid : 0;
	row->node = 0;
}

static void merge_users(void)
{
	size_t i, n = 0;

	qsort(rows, n_rows, sizeof(*rows), by_key);
	for (i = 0; i < n_rows; i++) {
		if (!n || by_key(&rows[n - 1], &rows[i])) {
			rows[n++] = rows[i];
			continue;
		}
		times_merge(&rows[n - 1].times, &rows[i].times);
		free(rows[i].times.slots);
	}
	n_rows = n;
}

static void collect(void)
{
	struct sum **sums;
	size_t n = sums_list(&sums), i;

	for (i = 0; i < n; i++)
		add_row(sums[i]);
	free(sums);
	if (by == BY_UID && n_rows)
		merge_users();
	if (n_rows)
		qsort(rows, n_rows, sizeof(*rows), by_time);
}

static void forget(void)
{
	while (n_rows)
		free(rows[--n_rows].times.slots);
	sums_forget();
}

static void json_row(const struct row *r)
{
	const struct times *t = &r->times;
	size_t i;

	printf("{\"type\":\"latency\",\"of\":\"%s\",\"by\":\"%s\"",
	       words[r->time].json, by_names[by]);
	if (by == BY_UID && r->has_uid)
		printf(",\"uid\":%" PRIu64, r->peer);
	if (by == BY_PEER || by == BY_NODE) {
		printf(",\"peer\":%" PRIu64, r->peer);
		if (r->node)
			printf(",\"node\":%" PRIu64, r->node);
		json_who(r->peer);
	}
	printf(",\"count\":%" PRIu64 ",\"unknown\":%" PRIu64, t->count,
	       t->unknown);
	if (t->count) {
		printf(",\"mean\":%" PRIu64, t->sum / t->count);
		for (i = 0; i < N_QUANTILES; i++)
			printf(",\"%s\":%" PRIu64, quantiles[i].json,
			       times_quantile(t, quantiles[i].share));
		printf(",\"max\":%" PRIu64, t->max);
	}
	printf(",\"slots\":[");
	for (i = 0; i < t->n_slots; i++)
		printf("%s{\"from\":%llu,\"max\":%llu,\"count\":%llu}",
		       i ? "," : "", bus1_slot_from(t->slots[i].slot),
		       t->slots[i].sum.max, t->slots[i].sum.count);
	printf("]}\n");
}

static void json(const struct interval *interval)
{
	size_t i;

	printf("{\"type\":\"interval\",\"number\":%" PRIu64
	       ",\"start\":%" PRIu64 ",\"time\":%" PRIu64
	       ",\"uncounted\":%" PRIu64 "}\n",
	       interval->number, interval->start, interval->time,
	       interval->uncounted);
	for (i = 0; i < n_rows; i++)
		json_row(&rows[i]);
}

/* The power of two in which a slot lies */
static int power(uint32_t slot)
{
	uint64_t from = bus1_slot_from(slot);

	return from ? 63 - __builtin_clzll(from) : 0;
}

/* A row for each power of two, from the first to the last that is not empty */
static void print_bars(const struct times *t)
{
	uint64_t counts[64] = { 0 }, most = 0;
	char from[TIME_SIZE], to[TIME_SIZE];
	int first, last, i;
	size_t s;

	for (s = 0; s < t->n_slots; s++) {
		i = power(t->slots[s].slot);
		counts[i] += t->slots[s].sum.count;
		if (counts[i] > most)
			most = counts[i];
	}
	first = power(t->slots[0].slot);
	last = power(t->slots[t->n_slots - 1].slot);
	for (i = first; i <= last; i++) {
		int n = counts[i] * BAR / most;

		format_time(from, i ? 1ULL << i : 0);
		format_time(to, 1ULL << (i + 1));
		printf("%8s to %7s %10" PRIu64 " |%.*s%*s|\n", from, to,
		       counts[i], n, "****************************************",
		       BAR - n, "");
	}
}

static void print_quantiles(const struct times *t)
{
	char buf[TIME_SIZE];
	int i;

	for (i = 0; i < N_QUANTILES; i++) {
		format_time(buf, times_quantile(t, quantiles[i].share));
		printf("  %s %s", quantiles[i].text, buf);
	}
	format_time(buf, t->max);
	printf("  max %s", buf);
	format_time(buf, t->sum / t->count);
	printf("  mean %s\n", buf);
}

static void print_histogram(const struct row *r)
{
	const struct times *t = &r->times;

	printf("\n%" PRIu64 " %s\n", t->count, words[r->time].title);
	if (t->unknown)
		printf("%" PRIu64 " more began before this did: how long they took is not known\n",
		       t->unknown);
	if (!t->count)
		return;
	print_quantiles(t);
	print_bars(t);
}

static void print_row(const struct row *r)
{
	const struct times *t = &r->times;
	char buf[TIME_SIZE];
	int i;

	if (by == BY_UID && r->has_uid)
		printf("%-*" PRIu64, NAME, r->peer);
	else if (by == BY_UID)
		printf("%-*s", NAME, "?");
	else
		print_peer(peers_name(r->peer), r->peer, NAME);
	if (by == BY_NODE && r->node)
		printf(" %5" PRIu64, r->node);
	else if (by == BY_NODE)
		printf(" %5s", "-");
	format_amount(buf, t->count + t->unknown);
	printf(" %-6s %6s", words[r->time].column, buf);
	for (i = 0; i < N_QUANTILES; i++) {
		if (t->count)
			format_time(buf, times_quantile(t, quantiles[i].share));
		printf(" %7s", t->count ? buf : "-");
	}
	format_time(buf, t->max);
	printf(" %7s\n", t->count ? buf : "-");
}

static void print_table(const struct interval *interval)
{
	size_t i, max = n_rows;

	if (options.lines) {
		max = LINES_FIXED + !!interval->uncounted;
		max = options.lines < max + ROWS_MIN ? ROWS_MIN :
						       options.lines - max;
	}
	printf("%-*s", NAME, by == BY_UID ? "UID" : "PEER");
	if (by == BY_NODE)
		printf(" %5s", "NODE");
	printf(" %-6s %6s", "WHAT", "COUNT");
	for (i = 0; i < N_QUANTILES; i++)
		printf(" %7s", quantiles[i].text);
	printf(" %7s\n", "MAX");
	for (i = 0; i < n_rows && i < max; i++)
		print_row(&rows[i]);
	if (i < n_rows)
		printf("%5s and %zu more\n", "", n_rows - i);
}

static void text(const struct interval *interval)
{
	size_t i;

	interval_title(interval);
	printf("%.1f s; P50 to P99.9 are at most 1/8 too long, never too short\n",
	       (interval->time - interval->start) / 1e9);
	if (interval->uncounted)
		printf("At least: %" PRIu64 " more events found a map full.\n",
		       interval->uncounted);
	if (by != BY_ALL)
		print_table(interval);
	else
		for (i = 0; i < n_rows; i++)
			print_histogram(&rows[i]);
}

static void show(const struct interval *interval)
{
	collect();
	if (options.json)
		json(interval);
	else
		text(interval);
	forget();
}

static struct bpf_object *open_sums(void)
{
	return sums_open(&want);
}

static void event(const struct item *item)
{
	sums_event(&want, item);
}

#define BY 512

static error_t parse(int key, char *arg, struct argp_state *state)
{
	int i;

	if (key == ARGP_KEY_ARG)
		return options_interval(arg, state);
	if (key != BY)
		return ARGP_ERR_UNKNOWN;
	for (i = 0; i < BY_MAX; i++)
		if (!strcmp(arg, by_names[i]))
			break;
	by = i;
	if (i == BY_MAX)
		argp_error(state,
			   "\"%s\" is nothing to tell apart by: peer, node, uid or all",
			   arg);
	return 0;
}

/* What a filter has to see, so as to know of whom a transaction is */
#define PART_EVENTS                                                    \
	(BUS1_EVENT_BIT(EV_msg_send) | BUS1_EVENT_BIT(EV_notify_send) | \
	 BUS1_EVENT_BIT(EV_handle_new))
#define NAME_EVENTS \
	(BUS1_EVENT_BIT(EV_peer_new) | BUS1_EVENT_BIT(EV_peer_name))

int verb_latency(int argc, char **argv)
{
	static const struct argp_option own[] = {
		{ "by", BY, "WHAT", 0, "tell apart by peer, node or uid of the receiver, or of who commits", 3 },
		{ 0 },
	};
	static const struct argp_child children[] = {
		{ &options_filter_argp, 0, NULL, 0 },
		{ &options_events_argp, 0, NULL, 0 },
		{ &options_input_argp, 0, NULL, 0 },
		{ &options_run_argp, 0, NULL, 0 },
		{ &options_output_argp, 0, NULL, 0 },
		{ &options_lines_argp, 0, NULL, 0 },
		{ &options_common_argp, 0, NULL, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		own, parse, "[INTERVAL [COUNT]]",
		"Show how long messages and notifications waited until they were received, and how long transactions took to commit: until the end, or every INTERVAL seconds.\v"
		"A percentile is the longest time of its slot: at most 1/8 too long, never too short. "
		"Without --by, bars count by powers of two.\n\n"
		"Ends with Ctrl-C. Status: 0, 1 error, 2 usage, 3 events were lost.\n\n"
		"Examples:\n"
		"  bus1-trace latency -d 10\n"
		"  bus1-trace latency --by peer 5\n"
		"  bus1-trace latency -i yesterday.bus1 --by node",
		children, NULL, NULL,
	};
	struct interval_verb verb = {
		.name = "latency",
		.events = BUS1_TIME_EVENTS,
		.open = open_sums,
		.close = sums_close,
		.turn = sums_turn,
		.read = sums_read,
		.event = event,
		.show = show,
		.shown = sums_shown,
	};
	int status = options_parse(&argp, argc, argv);

	if (status >= 0)
		return status;
	if (!filter_make())
		return EXIT_USAGE;
	want.by_peer = by != BY_ALL;
	want.by_node = by == BY_NODE;
	verb.interval = options.interval;
	verb.snapshots = want.by_peer || filter.bits;
	if (verb.snapshots)
		verb.also |= NAME_EVENTS;
	if (filter.bits || filter.peer || filter.node)
		verb.also |= PART_EVENTS;
	if (options.input)
		verb.also |= BUS1_EVENT_BIT(EV_peer_free);
	return interval_run(&verb);
}
