// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: top
 *
 * Which peers are busy, whose queues are long or old, and who is refused, every
 * so many seconds. What happened is added up in the kernel; queues are read at the
 * end of the interval, or known from all that a recording has of them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "options.h"
#include "sums.h"
#include "world.h"

/* Lines of a screen that are no rows: title, head, "and more", the cursor */
#define LINES_FIXED 4
#define ROWS_MIN 3
#define NAME 20

static const struct sums_want want = { .what = BUS1_SUM_PEERS };

struct row {
	uint64_t id;
	struct bus1_peer_sum sum;
	uint64_t queued, bytes, age;
	bool has_queue, has_age;
};

static struct row *rows;
static size_t n_rows;

enum sort {
	SORT_MESSAGES,
	SORT_SENT,
	SORT_RECEIVED,
	SORT_BYTES,
	SORT_QUEUED,
	SORT_AGE,
	SORT_REFUSED,
	SORT_FAILED,
	SORT_MAX
};

static const char *const sort_names[SORT_MAX] = {
	"messages", "sent", "received", "bytes",
	"queued", "age", "refused", "failed",
};

static enum sort sort;
static uint64_t watched; /* ns, until the end of the interval */

static uint64_t sort_value(const struct row *row)
{
	const struct bus1_peer_sum *s = &row->sum;

	switch (sort) {
	case SORT_SENT:
		return s->sent;
	case SORT_RECEIVED:
		return s->received;
	case SORT_BYTES:
		return s->sent_bytes + s->received_bytes;
	case SORT_QUEUED:
		return row->queued;
	case SORT_AGE:
		/* it was sent before anybody looked: nothing is older */
		return row->queued && !row->has_age ? UINT64_MAX : row->age;
	case SORT_REFUSED:
		return s->refused;
	case SORT_FAILED:
		return s->failed;
	default:
		return s->sent + s->received;
	}
}

static int by_id(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* Then by messages, queue, and ID, so that rows do not jump about. */
static int by_value(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	uint64_t v[][2] = {
		{ sort_value(x), sort_value(y) },
		{ x->sum.sent + x->sum.received, y->sum.sent + y->sum.received },
		{ x->queued, y->queued },
	};
	size_t i;

	for (i = 0; i < sizeof(v) / sizeof(*v); i++)
		if (v[i][0] != v[i][1])
			return v[i][0] < v[i][1] ? 1 : -1;
	return by_id(x, y);
}

static struct row *add_row(uint64_t id)
{
	struct row *row;

	rows = grow(rows, n_rows, sizeof(*rows));
	row = &rows[n_rows++];
	*row = (struct row){ .id = id };
	return row;
}

/* @known: rows that are sorted by ID; @oldest: a stamp, or 0 */
static void add_queue(size_t known, uint64_t id, uint64_t queued,
		      uint64_t bytes, uint64_t oldest, uint64_t now)
{
	struct row key = { .id = id }, *row = NULL;

	if (known)
		row = bsearch(&key, rows, known, sizeof(key), by_id);
	if (!row && !interval_wants(id))
		return;
	if (!row)
		row = add_row(id);
	row->has_queue = true;
	row->queued = queued;
	row->bytes = bytes;
	row->has_age = !queued || oldest;
	row->age = queued && oldest && oldest < now ? now - oldest : 0;
}

/* Of what passed such a filter no queue can be known. */
static bool queues_recorded(void)
{
	return !filter.classes && !filter.failures && !filter.latency;
}

static void add_queues(const struct interval *interval)
{
	const struct snapshot *s = interval->snapshot;
	struct world_peer **peers;
	size_t known = n_rows, i, n;

	for (i = 0; s && i < s->n_peers; i++)
		add_queue(known, s->peers[i].id, s->peers[i].queued,
			  s->peers[i].bytes, s->peers[i].oldest, s->time);
	if (s || !queues_recorded())
		return;
	n = world_peers(&peers);
	for (i = 0; i < n; i++)
		if (!peers[i]->dead)
			add_queue(known, peers[i]->id, peers[i]->queued,
				  peers[i]->bytes, world_oldest(peers[i]),
				  interval->time);
}

static void collect(const struct interval *interval)
{
	struct sum **sums;
	size_t n = sums_list(&sums), i;

	n_rows = 0;
	for (i = 0; i < n; i++)
		add_row(sums[i]->peer)->sum = sums[i]->events;
	free(sums);
	if (n_rows)
		qsort(rows, n_rows, sizeof(*rows), by_id);
	add_queues(interval);
	if (n_rows)
		qsort(rows, n_rows, sizeof(*rows), by_value);
}

static const char *peer_name(uint64_t id)
{
	return id ? peers_name(id) : "(open)";
}

static void json(const struct interval *interval)
{
	size_t i;

	printf("{\"type\":\"interval\",\"number\":%" PRIu64
	       ",\"start\":%" PRIu64 ",\"time\":%" PRIu64
	       ",\"uncounted\":%" PRIu64 "}\n",
	       interval->number, interval->start, interval->time,
	       interval->uncounted);
	for (i = 0; i < n_rows; i++) {
		const struct row *r = &rows[i];
		const struct bus1_peer_sum *s = &r->sum;

		printf("{\"type\":\"top\",\"peer\":%" PRIu64, r->id);
		printf(",\"sent\":%llu,\"sent_bytes\":%llu,\"received\":%llu,\"received_bytes\":%llu",
		       s->sent, s->sent_bytes, s->received, s->received_bytes);
		printf(",\"notified\":%llu,\"discarded\":%llu,\"refused\":%llu,\"failed\":%llu",
		       s->notified, s->discarded, s->refused, s->failed);
		if (r->has_queue)
			printf(",\"queued\":%" PRIu64 ",\"queued_bytes\":%" PRIu64,
			       r->queued, r->bytes);
		if (r->has_age)
			printf(",\"age\":%" PRIu64, r->age);
		json_who(r->id);
		printf("}\n");
	}
}

/* In 6 columns, events or bytes a second */
static void print_rate(uint64_t n, double seconds)
{
	double rate = seconds > 0 ? n / seconds : 0;
	char buf[AMOUNT_SIZE];

	if (n && rate < 100) {
		printf(" %6.*f", rate < 10 ? 2 : 1, rate);
		return;
	}
	format_amount(buf, rounded(rate));
	printf(" %6s", buf);
}

static void print_row(const struct row *r, double seconds)
{
	const struct bus1_peer_sum *s = &r->sum;
	const struct peer *peer = peers_find(r->id);
	char buf[AMOUNT_SIZE], time[TIME_SIZE + 1];

	print_peer(peer_name(r->id), r->id, NAME);
	if (peer && peer->has_name)
		printf(" %7u", peer->pid);
	else
		printf(" %7s", "-");
	print_rate(s->sent, seconds);
	print_rate(s->received, seconds);
	print_rate(s->sent_bytes + s->received_bytes, seconds);
	format_amount(buf, r->queued);
	/* without a stamp it is at least as old as this run */
	*time = '>';
	if (r->queued && !r->has_age)
		format_time(time + 1, watched);
	else
		format_time(time, r->age);
	printf(" %6s %7s", r->has_queue ? buf : "-", r->queued ? time : "-");
	print_rate(s->refused, seconds);
	print_rate(s->failed, seconds);
	putchar('\n');
}

static void text(const struct interval *interval)
{
	double seconds = (interval->time - interval->start) / 1e9;
	struct bus1_peer_sum all = { 0 };
	char sent[AMOUNT_SIZE], bytes[AMOUNT_SIZE];
	static uint64_t begin;
	size_t i, max = n_rows;

	if (interval->number == 1)
		begin = interval->start;
	watched = interval->time - begin;
	for (i = 0; i < n_rows; i++) {
		all.sent += rows[i].sum.sent;
		all.sent_bytes += rows[i].sum.sent_bytes;
		all.refused += rows[i].sum.refused;
		all.failed += rows[i].sum.failed;
	}
	if (options.lines) {
		max = LINES_FIXED + !!interval->uncounted;
		max = options.lines < max + ROWS_MIN ? ROWS_MIN :
						       options.lines - max;
	}
	format_amount(sent, all.sent);
	format_amount(bytes, all.sent_bytes);
	interval_title(interval);
	printf("%.1f s: %s messages, %sB sent; %llu claims refused, %llu calls failed\n",
	       seconds, sent, bytes, all.refused, all.failed);
	if (interval->uncounted)
		printf("At least: %" PRIu64 " more events found a map full.\n",
		       interval->uncounted);
	printf("%-*s %7s %6s %6s %6s %6s %7s %6s %6s\n", NAME, "PEER", "PID",
	       "SENT/S", "RECV/S", "BYTE/S", "QUEUED", "AGE", "REFU/S",
	       "FAIL/S");
	for (i = 0; i < n_rows && i < max; i++)
		print_row(&rows[i], seconds);
	if (i < n_rows)
		printf("%5s and %zu more\n", "", n_rows - i);
}

static void show(const struct interval *interval)
{
	collect(interval);
	if (options.json)
		json(interval);
	else
		text(interval);
	sums_forget();
}

static struct bpf_object *open_sums(void)
{
	return sums_open(&want);
}

static void event(const struct item *item)
{
	sums_event(&want, item);
	if (queues_recorded())
		world_event(item);
}

#define SORT 512

static error_t parse(int key, char *arg, struct argp_state *state)
{
	int i;

	if (key == ARGP_KEY_ARG)
		return options_interval(arg, state);
	if (key != SORT)
		return ARGP_ERR_UNKNOWN;
	for (i = 0; i < SORT_MAX; i++)
		if (!strcmp(arg, sort_names[i]))
			break;
	sort = i;
	if (i == SORT_MAX)
		argp_error(state,
			   "\"%s\" is no key to sort by: messages, sent, received, bytes, queued, age, refused or failed",
			   arg);
	return 0;
}

int verb_top(int argc, char **argv)
{
	static const struct argp_option own[] = {
		{ "sort", SORT, "KEY", 0, "by messages, sent, received, bytes, queued, age, refused or failed", 3 },
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
		"Show every INTERVAL seconds (1) which peers are busy, whose queues are long or old, and who is refused.\v"
		"Per second: messages SENT and received (RECV), BYTES of both, claims REFUSed for want of quota, calls that FAILed. "
		"At the end of the interval: messages and notifications QUEUED, and the AGE of the oldest of them.\n\n"
		"Ends with Ctrl-C. Status: 0, 1 error, 2 usage, 3 events were lost.\n\n"
		"Examples:\n"
		"  bus1-trace top --sort age\n"
		"  bus1-trace top -u 1000 5 12\n"
		"  bus1-trace top -i yesterday.bus1 60 | less",
		children, NULL, NULL,
	};
	struct interval_verb verb = {
		.name = "top",
		.events = BUS1_PEER_EVENTS,
		.also = BUS1_EVENT_BIT(EV_peer_new) |
			BUS1_EVENT_BIT(EV_peer_name),
		.snapshots = true,
		.open = open_sums,
		.close = sums_close,
		.turn = sums_turn,
		.read = sums_read,
		.snapshot = world_snapshot,
		.event = event,
		.show = show,
		.shown = sums_shown,
	};
	int status = options_parse(&argp, argc, argv);

	if (status >= 0)
		return status;
	verb.interval = options.interval ? options.interval : 1;
	if (options.input)
		verb.also = WORLD_EVENTS;
	else if (!filter_make())
		return EXIT_USAGE;
	/* the filter learns from it who uses a peer */
	if (filter.bits)
		verb.also |= BUS1_EVENT_BIT(EV_tx_commit);
	return interval_run(&verb);
}
