// SPDX-License-Identifier: GPL-2.0-only
/* bus1-trace order: whether the bus kept its order. */
#include <inttypes.h>
#include "interval.h"
#include "options.h"
#include "verify.h"

/* Transactions that may wait for receipts */
#define KEEP (1 << 18)
/* Bytes of the ring, unless told otherwise: some 0.2 s at a million events/s */
#define RING (32 << 20)
/* How precisely it is known when events were lost */
#define LOOK 0.1
/* A recording says that only once in a second. */
#define SLACK 2000000000ULL
/* After which a violation is shown, if it is not time for that before */
#define EVENTS 20000

enum { KEEP_KEY = 512, LOST_KEY, FILTER_KEY };

static uint64_t keep = KEEP;
static bool sends; /* wanted, or there */
static bool numbered; /* multicasts are */
static uint64_t started, ended;
static struct {
	uint64_t n, from, to;
} loss;
static const struct violation *lost;

/*
 * What is found first is shown a little later, when what was going on at the same
 * time is known, too.
 */
static struct first {
	struct violation v;
	bool any, shown;
	unsigned int events, ticks;
} firsts[VERIFY_MAX];
static unsigned int to_show;

static void found(const struct violation *v)
{
	struct first *first = &firsts[v->rule];

	if (first->any)
		return;
	first->v = *v;
	first->any = true;
	to_show++;
}

static void show_first(struct first *first)
{
	if (!first->any || first->shown)
		return;
	first->shown = true;
	to_show--;
	if (options.json)
		verify_json(&first->v);
	else
		verify_show(&first->v, started);
}

static void show_firsts(void)
{
	int i;

	for (i = 0; i < VERIFY_MAX; i++)
		show_first(&firsts[i]);
}

static void start(const struct stream_start *s)
{
	started = loss.from = s->time;
	numbered = s->schema_minor >= 3;
	sends = sends && (s->events & VERIFY_SENDS) == VERIFY_SENDS;
	verify_start(s->time, keep, found);
	if (options.json)
		json_start(s);
	else if (options.interval)
		printf("%10s %12s %12s %10s %9s %9s %s\n", "SECONDS",
		       "TRANSACTIONS", "RECEIPTS", "MULTICASTS", "WAITING",
		       "MISSING", "VIOLATIONS");
}

/* Whoever takes one is told if a recording was filtered: that is loss, too. */
static void snapshot(const struct snapshot *s)
{
	(void)s;
}

static void event(const struct bus1_event *event, unsigned int n_args)
{
	int i;

	verify_remember(event, n_args);
	verify_event(event, n_args);
	for (i = 0; to_show && i < VERIFY_MAX; i++)
		if (firsts[i].any && firsts[i].events++ == EVENTS)
			show_first(&firsts[i]);
}

static void recorded_event(const struct item *item)
{
	event(&item->event, item->n_args);
}

static uint64_t violations(void)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < VERIFY_MAX; i++)
		n += verify_sums.violations[i];
	return n;
}

/* Between which looks, and how many, events were lost until @time */
static void look(uint64_t time, uint64_t n)
{
	const uint64_t slack = options.input ? SLACK : 0;

	if (n != loss.n)
		loss.to = time;
	else if (!n && time > started + slack)
		loss.from = time - slack;
	loss.n = n;
}

static void json_sums(void)
{
	const struct verify_sums *s = &verify_sums;

	printf(",\"transactions\":%" PRIu64 ",\"receipts\":%" PRIu64
	       ",\"multicasts\":%" PRIu64 ",\"before\":%" PRIu64
	       ",\"missing\":%" PRIu64 ",\"late\":%" PRIu64
	       ",\"forgotten\":%" PRIu64 ",\"unknown\":%" PRIu64
	       ",\"waiting\":%" PRIu64 ",\"violations\":%" PRIu64,
	       s->transactions, s->receipts, s->multicasts, s->before,
	       s->missing, s->late, s->forgotten, s->unknown, s->waiting,
	       violations());
}

static void show_progress(uint64_t time)
{
	const struct verify_sums *s = &verify_sums;

	if (options.json) {
		printf("{\"type\":\"order\",\"time\":%" PRIu64, time);
		json_sums();
		printf("}\n");
		return;
	}
	if (options.timestamps)
		print_time(time);
	printf("%10.3f %12" PRIu64 " %12" PRIu64 " %10" PRIu64 " %9" PRIu64
	       " %9" PRIu64 " %" PRIu64 "\n",
	       (time - started) / 1e9, s->transactions, s->receipts,
	       s->multicasts, s->waiting, s->missing, violations());
}

static void tick(uint64_t time, uint64_t n)
{
	int i;

	look(time, n);
	for (i = 0; to_show && i < VERIFY_MAX; i++)
		if (firsts[i].any && firsts[i].ticks++)
			show_first(&firsts[i]);
	if (options.interval)
		show_progress(time);
}

static bool recorded_tick(uint64_t time, bool last)
{
	(void)last;
	/* how many they are is known at the end */
	tick(time, stream_incomplete());
	return true;
}

static void end(uint64_t time, uint64_t n)
{
	ended = time;
	look(time, n);
	lost = verify_end(time);
	show_firsts();
}

static void recorded_end(uint64_t time)
{
	end(time, stream_incomplete());
}

/* What a recording says at its end, but not when it was */
static void recount(void)
{
	const struct bus1_count *c;
	uint64_t n;
	int i;

	c = stream_counts(&n);
	for (i = 0; i < EV_MAX; i++)
		n += c[i].ring_full + c[i].map_full;
	loss.to = ended;
	loss.n = n;
}

static void say_checked(void)
{
	const struct verify_sums *s = &verify_sums;

	printf("%" PRIu64 " transaction%s, %" PRIu64 " receipt%s, %" PRIu64 " multicast%s checked",
	       s->transactions, s->transactions == 1 ? "" : "s", s->receipts,
	       s->receipts == 1 ? "" : "s", s->multicasts,
	       s->multicasts == 1 ? "" : "s");
}

/* What there was no look at, or less than there could have been */
static void say_unchecked(void)
{
	const struct verify_sums *s = &verify_sums;

	if (!numbered)
		printf("Not checked: the order of multicasts (the module's trace schema is below 1.3).\n");
	if (!sends)
		printf("Not checked: that nothing is lost (--lost).\n");
	if (s->before)
		printf("%" PRIu64 " receipts were of what began before the start: when that returned is\n"
		       "not known.\n", s->before);
}

static void say_window(void)
{
	printf("%" PRIu64 " events were lost, %.3f s to %.3f s after the start",
	       loss.n, (loss.from - started) / 1e9, (loss.to - started) / 1e9);
}

static void say_violations(void)
{
	const char *comma = "";
	int i;

	for (i = 0; i < VERIFY_MAX; i++) {
		if (!verify_sums.violations[i])
			continue;
		printf("%s%" PRIu64 " %s", comma, verify_sums.violations[i],
		       verify_rules[i]);
		comma = ", ";
	}
}

static int verdict(int status)
{
	const struct verify_sums *s = &verify_sums;
	bool undecidable = status == EXIT_LOST || s->late || s->missing ||
			   (s->forgotten && s->unknown) ||
			   stream_interrupted();
	const char *word;

	/* of what is not counted it is not known when it was */
	if (!loss.n)
		loss.from = started;
	if (!loss.n || loss.to > ended || loss.to < loss.from)
		loss.to = ended;
	/* only where all is there something can be missing */
	if (lost && !undecidable) {
		verify_sums.violations[VERIFY_LOST]++;
		found(lost);
		show_firsts();
	}
	word = violations() ? "violation" : undecidable ? "undecidable" : "ok";
	if (options.json) {
		printf("{\"type\":\"verdict\",\"verdict\":\"%s\"", word);
		json_sums();
		printf(",\"agreement_checked\":%s,\"lost_checked\":%s",
		       numbered ? "true" : "false",
		       sends && !undecidable ? "true" : "false");
		if (undecidable)
			printf(",\"lost\":%" PRIu64 ",\"from\":%" PRIu64
			       ",\"to\":%" PRIu64, loss.n, loss.from,
			       loss.to);
		printf("}\n");
	} else if (violations()) {
		printf("VIOLATION: ");
		say_violations();
		printf(".\n");
		say_checked();
		printf(".\n");
	} else if (undecidable) {
		printf("UNDECIDABLE: ");
		if (stream_interrupted())
			printf("only as far as it was read, to +%.3f s",
			       (ended - started) / 1e9);
		else if (loss.n)
			say_window();
		else if (s->late)
			printf("%" PRIu64 " receipts came too late to be checked",
			       s->late);
		else if (s->forgotten && s->unknown)
			printf("%" PRIu64 " transactions waited too long for their receipts (--keep)",
			       s->unknown);
		else if (status == EXIT_LOST)
			printf("not all events are there, as said above");
		else
			printf("%" PRIu64 " receipts are missing, and nobody says why",
			       s->missing);
		printf(".\nIn what is left there is no violation:\n");
		say_checked();
		printf(".\n");
	} else if (!s->transactions && !s->receipts) {
		printf("Nothing happened: 0 transactions.\n");
	} else {
		printf("OK: ");
		say_checked();
		printf(".\n");
	}
	if (!options.json)
		say_unchecked();
	return violations() ? EXIT_VIOLATION :
	       undecidable ? EXIT_LOST : EXIT_OK;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	bool ok = true;

	switch (key) {
	case KEEP_KEY:
		ok = parse_number("number of transactions, 1 to 16777216", arg,
				  1 << 24, &keep);
		if (ok && !keep) {
			complain("without transactions nothing can be checked");
			ok = false;
		}
		break;
	case LOST_KEY:
		sends = true;
		return 0;
	case FILTER_KEY:
	case 'p':
	case 'u':
	case 'c':
		complain("order takes no filters: to judge what came before what, it has to see all");
		ok = false;
		break;
	case ARGP_KEY_ARG:
		return options_interval(arg, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return options_result(ok, state);
}

int verb_order(int argc, char **argv)
{
	static const struct argp_option own[] = {
		{ "lost", LOST_KEY, NULL, 0, "also that nothing is lost: takes two more events of each message. Of a recording always", 1 },
		{ "keep", KEEP_KEY, "N", 0, "transactions that can wait for receipts before the oldest is forgotten (262144)", 4 },
		/* those of others, only to say why not */
		{ "peer", FILTER_KEY, "ID", OPTION_HIDDEN, NULL, 0 },
		{ "node", 0, NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 0 },
		{ "pid", 'p', NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 0 },
		{ "uid", 'u', NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 0 },
		{ "cgroup", 'c', NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 0 },
		{ "comm", 0, NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 0 },
		{ "kind", 0, NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 0 },
		{ 0 },
	};
	static const struct argp_child children[] = {
		{ &options_input_argp, 0, NULL, 0 },
		{ &options_run_argp, 0, NULL, 0 },
		{ &options_output_argp, 0, NULL, 0 },
		{ &options_common_argp, 0, NULL, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		own, parse, "[INTERVAL [COUNT]]",
		"Check that all that happens on the bus, or happened, kept the order that is promised: atomic, causal, and multicasts in one order for all. To judge what came before what it has to see all: there are no filters. Every INTERVAL seconds a line says how far it is.\v"
		"Ends with Ctrl-C, and a verdict. Status: 0 OK, 1 error, 2 usage, 3 undecidable because events were lost, 4 violation.\n\n"
		"Examples:\n"
		"  bus1-trace order -d 60\n"
		"  bus1-trace order 1\n"
		"  bus1-trace order -i yesterday.bus1",
		children, NULL, NULL,
	};
	const uint32_t events = BUS1_EVENT_BIT(EV_peer_new) |
				BUS1_EVENT_BIT(EV_peer_name) | VERIFY_EVENTS;
	struct verify_run run = {
		.events = events,
		.required = BUS1_EVENT_BIT(EV_tx_commit) |
			    BUS1_EVENT_BIT(EV_msg_recv) |
			    BUS1_EVENT_BIT(EV_notify_recv),
		.start = start,
		.event = event,
		.tick = tick,
		.end = end,
	};
	struct stream_verb recorded = {
		.name = "order",
		.events = events | VERIFY_SENDS,
		.required = run.required,
		.start = start,
		.snapshot = snapshot,
		.event = recorded_event,
		.tick = recorded_tick,
		.end = recorded_end,
	};
	int status;

	options.ring_size = RING;
	status = options_parse(&argp, argc, argv);
	if (status >= 0)
		return status;
	run.interval = recorded.interval =
		options.interval ? options.interval : LOOK;
	if (options.input) {
		sends = true;
		status = stream_run(&recorded);
		recount();
	} else {
		if (sends)
			run.events |= VERIFY_SENDS;
		status = verify_live(&run, "order");
	}
	if (status != EXIT_OK && status != EXIT_LOST)
		return status;
	return verdict(status);
}
