// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: report
 *
 * What is in a recording, and with which verb to go on. It takes one look at
 * all entries, in the order in which they are there.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "interval.h"
#include "options.h"
#include "recording.h"
#include "table.h"

/* Rows of each table of text */
#define ROWS 10

#define entry_of(type, e) ((type *)((char *)(e) - offsetof(type, entry)))

struct talker {
	struct table_entry entry;
	uint64_t id;
	uint64_t sent, received, bytes_out, bytes_in, failed;
};

/* What went wrong in the same way: op_fail, acct_reject */
struct fault {
	struct table_entry entry;
	uint32_t type;
	uint64_t key[4]; /* cmd, error, check; or owner, claimant, resource, level */
	uint64_t count;
	uint64_t peer; /* the last */
};

static struct table talkers, faults;
static struct bus1_event slow[ROWS]; /* receipts, the slowest first */
static size_t n_slow;
static uint64_t n_read[EV_MAX], n_stacks, n_payloads, n_snapshots;
static uint64_t newest;
static struct snapshot first; /* as it began */
static struct recorded last = { .kind = RECORDED_END }; /* counts */
static bool complete, damaged;
static uint64_t ended;

static void *must(void *p)
{
	if (!p) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	return p;
}

static struct talker *talker(uint64_t id)
{
	uint64_t hash = table_hash(id, 0, 0);
	struct table_entry *e = table_first(&talkers, hash);
	struct talker *t;

	while (e && entry_of(struct talker, e)->id != id)
		e = table_next(e);
	if (e)
		return entry_of(struct talker, e);
	t = must(calloc(1, sizeof(*t)));
	t->id = id;
	table_add(&talkers, &t->entry, hash);
	return t;
}

static void add_fault(uint32_t type, uint64_t peer, const uint64_t *key)
{
	uint64_t hash = table_hash(key[0] << 32 ^ key[1], key[2], key[3]);
	struct table_entry *e;
	struct fault *f;

	for (e = table_first(&faults, hash); e; e = table_next(e)) {
		f = entry_of(struct fault, e);
		if (f->type == type && !memcmp(f->key, key, sizeof(f->key)))
			break;
	}
	if (!e) {
		f = must(calloc(1, sizeof(*f)));
		f->type = type;
		memcpy(f->key, key, sizeof(f->key));
		table_add(&faults, &f->entry, hash);
	}
	f->count++;
	f->peer = peer;
	talker(peer)->failed += type == EV_op_fail;
}

/* How long it was on its way: the same argument of both kinds of receipt */
static uint64_t queued(const struct bus1_event *e)
{
	return e->arg[8];
}

static void add_receipt(const struct bus1_event *e)
{
	size_t i;

	if (n_slow == ROWS && queued(e) <= queued(&slow[ROWS - 1]))
		return;
	if (n_slow < ROWS)
		n_slow++;
	for (i = n_slow - 1; i && queued(&slow[i - 1]) < queued(e); i--)
		slow[i] = slow[i - 1];
	slow[i] = *e;
}

static void add_event(const struct bus1_event *e)
{
	const __u64 *a = e->arg;
	struct talker *t;

	peers_learn(e);
	if (a[event_info[e->type].time] > newest)
		newest = a[event_info[e->type].time];
	if (e->flags & BUS1_EVENT_CONTEXT)
		return;
	n_read[e->type]++;
	switch (e->type) {
	case EV_msg_send:
		t = talker(a[0]);
		t->sent++;
		t->bytes_out += a[5];
		break;
	case EV_msg_recv:
		t = talker(a[0]);
		t->received++;
		t->bytes_in += a[6];
		add_receipt(e);
		break;
	case EV_notify_recv:
		add_receipt(e);
		break;
	case EV_op_fail:
		add_fault(e->type, a[0],
			  (uint64_t[]){ a[1], a[2], a[3], 0 });
		break;
	case EV_acct_reject:
		add_fault(e->type, a[2],
			  (uint64_t[]){ a[0], a[1], a[3], a[8] });
		break;
	}
}

static void add_entry(const void *data, size_t size)
{
	struct bus1_event event = { 0 };
	uint32_t type;

	memcpy(&type, data, sizeof(type));
	if (type == EV_STACK) {
		n_stacks++;
	} else if (type == EV_PAYLOAD) {
		n_payloads++;
	} else {
		memcpy(&event, data, size);
		add_event(&event);
	}
}

static void read_all(struct recording *recording)
{
	struct recorded r;
	int error;

	while (!(error = recording_next(recording, &r)) &&
	       r.kind != RECORDED_END) {
		switch (r.kind) {
		case RECORDED_ENTRY:
			add_entry(r.entry.data, r.entry.size);
			break;
		case RECORDED_SNAPSHOT:
			peers_learn_snapshot(&r.snapshot, NULL);
			if (n_snapshots++)
				snapshot_free(&r.snapshot);
			else
				first = r.snapshot;
			break;
		case RECORDED_COUNTS:
			last = r;
			break;
		default:
			break;
		}
	}
	damaged = error;
	complete = !error && recording_ended(recording, &ended);
	if (!complete)
		ended = newest;
}

static void print_safe_line(const char *key, const char *s)
{
	printf("%-9s ", key);
	print_safe(s, 256);
	putchar('\n');
}

static void print_begun(uint64_t realtime)
{
	time_t s = realtime / 1000000000;
	char buf[64];
	struct tm tm;

	if (localtime_r(&s, &tm) &&
	    strftime(buf, sizeof(buf), "%F %T %z", &tm))
		printf("begun     %s\n", buf);
}

static double seconds(const struct recording_info *info)
{
	return ended > info->start.time ? (ended - info->start.time) / 1e9 : 0;
}

static void print_info(const struct recording_info *info)
{
	print_safe_line("recording", options.input);
	print_safe_line("host", info->host);
	print_safe_line("kernel", info->kernel);
	printf("schema    %u.%u, attached by ", info->schema_major,
	       info->start.schema_minor);
	print_safe(info->start.way, 16);
	putchar('\n');
	print_safe_line("made by", info->command);
	print_begun(info->start.realtime);
	printf("length    %.1f s, %s\n", seconds(info),
	       complete ? "complete" : "and there it breaks off");
	if (info->part)
		printf("parts     %" PRIu64 " gone, by --max-size\n",
		       info->part);
	if (n_snapshots)
		printf("peers     %zu at the begin\n", first.n_peers);
	if (n_stacks)
		printf("stacks    %" PRIu64 "\n", n_stacks);
	if (n_payloads)
		printf("payloads  %" PRIu64 "\n", n_payloads);
}

static void json_info(const struct recording_info *info)
{
	printf("{\"type\":\"recording\",\"file\":");
	json_string(options.input);
	printf(",\"host\":");
	json_string(info->host);
	printf(",\"kernel\":");
	json_string(info->kernel);
	printf(",\"schema\":\"%u.%u\",\"attach\":", info->schema_major,
	       info->start.schema_minor);
	json_string(info->start.way);
	printf(",\"command\":");
	json_string(info->command);
	printf(",\"time\":%" PRIu64 ",\"realtime\":%" PRIu64
	       ",\"parts_gone\":%" PRIu64 ",\"snapshot\":%s,\"peers\":%zu,\"stacks\":%" PRIu64
	       ",\"payloads\":%" PRIu64 ",\"complete\":%s}\n",
	       info->start.time, info->start.realtime, info->part,
	       n_snapshots ? "true" : "false", first.n_peers, n_stacks,
	       n_payloads, complete ? "true" : "false");
}

static void collect(struct table_entry *e, void *context)
{
	struct table_entry ***next = context;

	*(*next)++ = e;
}

/* All of @table in the order of @compare */
static struct table_entry **sorted(struct table *table,
				   int (*compare)(const void *a, const void *b))
{
	struct table_entry **v = must(calloc(table->n + 1, sizeof(*v)));
	struct table_entry **next = v;

	table_each(table, collect, &next);
	qsort(v, table->n, sizeof(*v), compare);
	return v;
}

static int descending(uint64_t x, uint64_t y)
{
	return (x < y) - (x > y);
}

static int by_messages(const void *a, const void *b)
{
	const struct talker *x = entry_of(struct talker,
					  *(struct table_entry **)a);
	const struct talker *y = entry_of(struct talker,
					  *(struct table_entry **)b);
	int order = descending(x->sent + x->received, y->sent + y->received);

	return order ? order : descending(y->id, x->id);
}

static int by_count(const void *a, const void *b)
{
	const struct fault *x = entry_of(struct fault,
					 *(struct table_entry **)a);
	const struct fault *y = entry_of(struct fault,
					 *(struct table_entry **)b);

	return descending(x->count, y->count);
}

static void print_more(size_t n)
{
	if (n > ROWS)
		printf("and %zu more\n", n - ROWS);
}

static void print_amount(uint64_t n)
{
	char buf[AMOUNT_SIZE];

	format_amount(buf, n);
	printf(" %8s", buf);
}

static void show_talker(const struct talker *t)
{
	const struct peer *peer = peers_find(t->id);

	if (!options.json) {
		print_peer(peers_name(t->id), t->id, 22);
		if (peer && peer->has_name)
			printf(" %7u", peer->pid);
		else
			printf(" %7s", "-");
		print_amount(t->sent);
		print_amount(t->bytes_out);
		print_amount(t->received);
		print_amount(t->bytes_in);
		print_amount(t->failed);
		putchar('\n');
		return;
	}
	printf("{\"type\":\"peer_total\",\"peer\":%" PRIu64 ",\"sent\":%" PRIu64
	       ",\"bytes_out\":%" PRIu64 ",\"received\":%" PRIu64
	       ",\"bytes_in\":%" PRIu64 ",\"failed\":%" PRIu64,
	       t->id, t->sent, t->bytes_out, t->received, t->bytes_in,
	       t->failed);
	json_who(t->id);
	printf("}\n");
}

static void show_talkers(void)
{
	struct table_entry **v = sorted(&talkers, by_messages);
	size_t i;

	if (!options.json && talkers.n)
		printf("\n%-22s %7s %8s %8s %8s %8s %8s\n", "PEER", "PID",
		       "SENT", "BYTES", "RECEIVED", "BYTES", "FAILED");
	for (i = 0; i < talkers.n && (options.json || i < ROWS); i++)
		show_talker(entry_of(struct talker, v[i]));
	if (!options.json)
		print_more(talkers.n);
	free(v);
}

static void show_slow(const struct recording_info *info)
{
	size_t i;

	if (!options.json && n_slow)
		printf("\n%7s %8s %-22s %-22s %s\n", "SLOWEST", "SECOND",
		       "FROM", "TO", "WHAT");
	for (i = 0; i < n_slow; i++) {
		const struct bus1_event *e = &slow[i];
		uint64_t time = e->arg[event_info[e->type].time];
		char buf[TIME_SIZE];

		if (options.json) {
			printf("{\"type\":\"slow\",\"event\":\"%s\",\"peer\":%llu,\"tx\":%llu,\"receiver\":%llu,\"queued\":%" PRIu64
			       ",\"time\":%" PRIu64 "}\n",
			       event_info[e->type].name, e->arg[2], e->arg[3],
			       e->arg[0], queued(e), time);
			continue;
		}
		format_time(buf, queued(e));
		printf("%7s %8.3f ", buf, time > info->start.time ?
		       (time - info->start.time) / 1e9 : 0);
		print_peer(peers_name(e->arg[2]), e->arg[2], 22);
		putchar(' ');
		print_peer(peers_name(e->arg[0]), e->arg[0], 22);
		printf(" tx %llu", e->arg[3]);
		if (e->type == EV_msg_recv)
			printf(".%llu", e->arg[4]);
		putchar('\n');
	}
}

static void print_symbol(const char *symbol, uint64_t v)
{
	if (symbol)
		printf("%s", symbol);
	else
		printf("%" PRIu64, v);
}

static void json_symbol(const char *key, const char *symbol, uint64_t v)
{
	printf(symbol ? ",\"%s\":\"" : ",\"%s\":", key);
	print_symbol(symbol, v);
	if (symbol)
		putchar('"');
}

static void json_fault(const struct fault *f)
{
	const uint64_t *k = f->key;

	printf("{\"type\":\"fault\",\"event\":\"%s\",\"count\":%" PRIu64
	       ",\"peer\":%" PRIu64,
	       event_info[f->type].name, f->count, f->peer);
	if (f->type == EV_op_fail) {
		json_symbol("cmd", symbol_op(k[0]), k[0]);
		json_symbol("errno", error_name((int32_t)k[1]),
			    -(int64_t)(int32_t)k[1]);
		json_symbol("check", symbol_check(k[2]), k[2]);
	} else {
		printf(",\"owner\":%" PRIu64 ",\"claimant\":%" PRIu64, k[0],
		       k[1]);
		json_symbol("resource", symbol_resource(k[2]), k[2]);
		json_symbol("level", symbol_level(k[3]), k[3]);
	}
	printf("}\n");
}

static void print_fault(const struct fault *f)
{
	const uint64_t *k = f->key;

	print_amount(f->count);
	putchar(' ');
	print_peer(peers_name(f->peer), f->peer, 22);
	if (f->type == EV_op_fail) {
		printf(" failed: ");
		print_symbol(symbol_op(k[0]), k[0]);
		putchar(' ');
		print_symbol(error_name((int32_t)k[1]),
			     -(int64_t)(int32_t)k[1]);
		printf(", ");
		print_symbol(symbol_check(k[2]), k[2]);
	} else {
		printf(" refused: uid %" PRIu64 " at %" PRIu64 ", ", k[1],
		       k[0]);
		print_symbol(symbol_resource(k[2]), k[2]);
		printf(", ");
		print_symbol(symbol_level(k[3]), k[3]);
	}
	putchar('\n');
}

static void show_faults(void)
{
	struct table_entry **v = sorted(&faults, by_count);
	size_t i;

	if (!options.json && faults.n)
		printf("\n%9s %-22s WHAT\n", "COUNT", "LAST");
	for (i = 0; i < faults.n && (options.json || i < ROWS); i++) {
		const struct fault *f = entry_of(struct fault, v[i]);

		if (options.json)
			json_fault(f);
		else
			print_fault(f);
	}
	if (!options.json)
		print_more(faults.n);
	free(v);
}

static void print_next(void)
{
	printf("\nGo on with\n");
	if (faults.n)
		printf("  monitor --errors   what failed, one by one\n");
	if (n_read[EV_msg_recv])
		printf("  latency            how long messages took, in all\n");
	if (talkers.n)
		printf("  top                the same peers, second by second\n");
	if (n_read[EV_acct_reject])
		printf("  acct               whose claims stood against whose\n");
	printf("  handles, graph     who held what\n"
	       "each with -i ");
	print_safe(options.input, 256);
	putchar('\n');
}

/* What the recorder counted, and what of that is in the file */
static int show_counts(const struct recording_info *info)
{
	struct loss loss = { 0 };
	struct bus1_count c;
	int status, i;

	if (last.kind == RECORDED_COUNTS)
		loss.lost = loss.missed = last.counts.missed;
	count_header(options.json);
	for (i = 0; i < EV_MAX; i++) {
		c = (struct bus1_count){ 0 };
		if (last.kind == RECORDED_COUNTS)
			c = last.counts.counts[i];
		/* without an end, the last that were written are older */
		if (complete && c.seen > n_read[i] + c.filtered + c.ring_full +
						 c.map_full)
			loss.lost += c.seen - n_read[i] - c.filtered -
				     c.ring_full - c.map_full;
		if (!complete)
			c.seen = n_read[i] + c.filtered + c.ring_full +
				 c.map_full;
		count_row(options.json, event_info[i].name, &c, n_read[i],
			  &loss);
	}
	status = count_summary(options.json, seconds(info), &loss,
			       "They were lost when it was recorded.");
	if (complete)
		return status;
	if (!damaged)
		complain("%s has no end: its recorder was killed, or is still running; what it had not written yet is missing",
			 options.input);
	return EXIT_LOST;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_ARG:
		if (options.input)
			break;
		options.input = arg;
		return 0;
	case 512:
		options.json = true;
		return 0;
	case ARGP_KEY_END:
		if (options.input)
			return 0;
		complain("report needs a recording, which bus1-trace record makes");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return options_result(false, state);
}

int verb_report(int argc, char **argv)
{
	static const struct argp_option own[] = {
		{ "json", 512, NULL, 0, "one JSON object a line", 3 },
		{ 0 },
	};
	static const struct argp_child children[] = {
		{ &options_input_argp, 0, NULL, 0 },
		{ &options_common_argp, 0, NULL, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		own, parse, "FILE",
		"Show what is in a recording, and with which verb to go on.\v"
		"Status: 0, 1 error, 2 usage, 3 events were lost when it was recorded, or its end is missing.\n\n"
		"Examples:\n"
		"  bus1-trace report bus.rec\n"
		"  bus1-trace report bus.rec --json",
		children, NULL, NULL,
	};
	int status = options_parse(&argp, argc, argv);
	const struct recording_info *info;
	struct recording *recording;

	if (status >= 0)
		return status;
	recording = recording_open(options.input);
	if (!recording)
		return EXIT_ERROR;
	info = recording_info(recording);
	read_all(recording);
	if (options.json)
		json_info(info);
	else
		print_info(info);
	show_talkers();
	show_slow(info);
	show_faults();
	if (!options.json)
		print_next();
	status = show_counts(info);
	recording_close(recording);
	snapshot_free(&first);
	return status;
}
