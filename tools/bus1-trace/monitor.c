// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: monitor
 *
 * Attaches the programs of bus1_trace.bpf.c, takes a snapshot of who is there,
 * and shows events in order until it is told to end. Then it detaches, shows
 * what still waits, and proves by count that nothing is missing.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bus1-trace.h"

/* The ring has to hold what happens in a tick. */
static const struct timespec tick = { .tv_nsec = 20000000 };
/* How long events are kept back, to be shown in order. */
#define HORIZON 100000000ULL
/* Events taken between two looks at the clock and at signals. */
#define BATCH 16384
/* Events shown before the ring is looked at again, which matters more */
#define SLICE 1024
/* Events kept here while the output is slow; then the ring runs full. */
#define WAITING_MAX (1 << 18)
#define DETACH_WAIT 1000000000ULL

static struct {
	struct text_options text;
	struct probe_options probes;
	bool json, raw;
	double seconds;
} options;

static struct order order;
static uint64_t shown[EV_MAX];
static unsigned int batch;
static int matches_fd;
static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* A peer of which nothing is known any more needs no match either. */
static void forget_match(uint64_t id)
{
	bpf_map_delete_elem(matches_fd, &id);
}

static void show(struct item *item)
{
	if (options.json)
		json_event(item);
	else
		text_event(&options.text, item);
	shown[item->event.type]++;
	free(item);
}

/* Shows at most @max events; returns whether it was fewer. */
static bool show_until(uint64_t until, size_t max)
{
	struct item *item = NULL;

	while (max-- && (item = order_next(&order, until)))
		show(item);
	output_failed();
	return !item;
}

static int on_event(void *context, void *data, size_t size)
{
	struct bus1_event *event = data;
	struct item *item;

	(void)context;
	if (event->type >= EV_MAX)
		return 0;
	peers_learn(event);
	if (event->type == EV_peer_free)
		peers_bury(event->arg[0], forget_match);
	if (event->flags & BUS1_EVENT_CONTEXT)
		goto out;
	if (fold_part(event) && !options.json) {
		shown[event->type]++; /* in the row of what it is a part of */
		goto out;
	}
	item = calloc(1, sizeof(*item));
	if (!item) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	memcpy(&item->event, event,
	       size < sizeof(item->event) ? size : sizeof(item->event));
	item->n_args = (size - offsetof(struct bus1_event, arg)) /
		       sizeof(event->arg[0]);
	if (event->type == EV_tx_commit)
		fold_commit(event, &item->fold);
	order_add(&order, item);
out:
	return ++batch < BATCH ? 0 : -E2BIG;
}

/* Takes what is in the ring. True: all that was there when it began. */
static bool drain(struct ring_buffer *ring)
{
	batch = 0;
	return ring_buffer__consume(ring) >= 0;
}

static struct probes *attach(bool *raw)
{
	struct probes *probes = NULL;
	int error;

	*raw = options.raw || !tp_btf_possible();
	if (!*raw) {
		probes = probes_attach(&options.probes, false, &error);
		if (!probes && debug)
			complain("tp_btf failed: %s; trying raw_tp",
				 strerror(-error));
	}
	if (!probes) {
		*raw = true;
		probes = probes_attach(&options.probes, true, &error);
	}
	if (!probes)
		explain_bpf("monitor", error);
	return probes;
}

/* A program that was running when it was detached may still hand over. */
static void finish(struct probes *probes, struct ring_buffer *ring,
		   struct bus1_count *counts)
{
	uint64_t end = now_ns() + DETACH_WAIT;
	bool all;
	int i;

	probes_detach(probes);
	do {
		while (!drain(ring))
			;
		show_until(UINT64_MAX, SIZE_MAX);
		probes_counts(probes, counts);
		all = true;
		for (i = 0; i < EV_MAX; i++)
			all = all && count_balanced(&counts[i], shown[i]);
		if (!all)
			usleep(1000);
	} while (!all && now_ns() < end);
}

static int report(const struct bus1_count *counts, uint64_t misses,
		  double seconds)
{
	struct loss loss = { .lost = misses, .missed = misses,
			     .late = order.late };
	int i;

	count_header(options.json);
	for (i = 0; i < EV_MAX; i++)
		count_row(options.json, event_info[i].name, &counts[i],
			  shown[i], &loss);
	return count_summary(options.json, seconds, &loss,
			     "A larger --ring-size or a filter helps.");
}

static int run(void)
{
	/* stdio takes a write that was interrupted for one that failed */
	struct sigaction action = {
		.sa_handler = on_signal,
		.sa_flags = SA_RESTART,
	};
	struct bus1_count counts[EV_MAX];
	uint64_t start, end = UINT64_MAX, misses;
	struct ring_buffer *ring;
	struct probes *probes;
	struct timespec wall;
	int status;
	bool raw;

	if (!module_usable())
		return EXIT_ERROR;
	if (!capable(CAP_BPF) || !capable(CAP_PERFMON)) {
		explain_bpf("monitor", -EPERM);
		return EXIT_ERROR;
	}
	if (module_minor() < 1)
		complain("the loaded bus1 module has trace schema 1.0: no acct_reject, and op_fail does not say which quota refused (schema 1.1)");
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	probes = attach(&raw);
	if (!probes)
		return EXIT_ERROR;
	ring = ring_buffer__new(probes_fd(probes, "ring"), on_event, NULL,
				NULL);
	if (!ring) {
		explain_bpf("monitor", -errno);
		probes_free(probes);
		return EXIT_ERROR;
	}
	matches_fd = probes_fd(probes, "matches");
	peers_learn_snapshot(&options.probes, matches_fd);

	start = now_ns();
	clock_gettime(CLOCK_REALTIME, &wall);
	if (options.seconds)
		end = start + options.seconds * 1e9;
	if (options.json)
		json_start(raw ? "raw_tp" : "tp_btf", start, &wall);
	else
		text_header(&options.text);

	while (!stop && now_ns() < end && !output_failed()) {
		uint64_t until = now_ns();
		bool idle = false;

		if (order.heap.n < WAITING_MAX)
			idle = drain(ring);
		if (!idle && order.newest < until)
			until = order.newest;
		if (until > HORIZON && !show_until(until - HORIZON, SLICE))
			idle = false;
		if (idle)
			nanosleep(&tick, NULL);
	}
	finish(probes, ring, counts);
	misses = probes_missed(probes);
	status = report(counts, misses, (now_ns() - start) / 1e9);
	ring_buffer__free(ring);
	probes_free(probes);
	return status;
}

static void help(void)
{
	printf("Usage: bus1-trace monitor [OPTION]...\n"
	       "Show every transaction as it commits and every receipt.\n\n"
	       "  -p, --pid PID        what process PID does, and what concerns a peer it\n"
	       "                       opened, holds or used\n"
	       "  -u, --uid UID        what concerns a peer accounted to user UID\n"
	       "      --peer ID        what concerns peer ID\n"
	       "                       Sender or receiver has to fit; of several filters,\n"
	       "                       all have to.\n"
	       "  -d, --duration SEC   end after SEC seconds\n"
	       "  -T, --timestamp      begin each row with the time of day\n"
	       "      --json           one JSON object a line\n"
	       "      --ring-size N    bytes between kernel and this program, also with\n"
	       "                       suffix K or M (8M)\n"
	       "      --raw-tp         use raw tracepoints also where the module has BTF\n"
	       "  -v, --verbose        show what libbpf says\n"
	       "  -h, --help           this text\n\n"
	       "Ends with Ctrl-C. Status: 0, 1 error, 2 usage, 3 events were lost.\n");
}

static bool parse_size(const char *s, uint64_t *size)
{
	uint64_t page = sysconf(_SC_PAGESIZE), n;
	int shift = 0;
	char *end;

	errno = 0;
	n = strtoull(s, &end, 0);
	if (*end == 'K' || *end == 'M')
		shift = *end++ == 'K' ? 10 : 20;
	if (errno || *end || *s < '0' || *s > '9' || n > 1ULL << 30 >> shift ||
	    n << shift < page) {
		complain("ring size \"%s\" is not between %" PRIu64 " and 1024M",
			 s, page);
		return false;
	}
	for (*size = page; *size < n << shift; *size *= 2)
		;
	return true;
}

int verb_monitor(int argc, char **argv)
{
	enum { PEER = 256, JSON, RING, RAW };
	static const struct option longs[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "uid", required_argument, NULL, 'u' },
		{ "peer", required_argument, NULL, PEER },
		{ "duration", required_argument, NULL, 'd' },
		{ "timestamp", no_argument, NULL, 'T' },
		{ "json", no_argument, NULL, JSON },
		{ "ring-size", required_argument, NULL, RING },
		{ "raw-tp", no_argument, NULL, RAW },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool ok = true;
	int c;

	options.probes.ring_size = 8 << 20;
	while ((c = getopt_long(argc, argv, "p:u:d:Tvh", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			ok &= parse_number("process ID", optarg, INT32_MAX,
					   &options.probes.pid) &&
			      options.probes.pid;
			break;
		case 'u':
			ok &= parse_number("user ID", optarg, UINT32_MAX - 1,
					   &options.probes.uid);
			options.probes.has_uid = true;
			break;
		case PEER:
			ok &= parse_number("peer ID", optarg, UINT64_MAX,
					   &options.probes.peer) &&
			      options.probes.peer;
			break;
		case 'd':
			ok &= parse_seconds(optarg, &options.seconds);
			break;
		case 'T':
			options.text.timestamps = true;
			break;
		case JSON:
			options.json = true;
			break;
		case RING:
			ok &= parse_size(optarg, &options.probes.ring_size);
			break;
		case RAW:
			options.raw = true;
			break;
		case 'v':
			debug = true;
			break;
		case 'h':
			help();
			return EXIT_OK;
		default:
			return bad_arguments("monitor", NULL);
		}
	}
	if (!ok || optind < argc)
		return bad_arguments("monitor", ok ? argv[optind] : NULL);
	options.text.color = text_color();
	libbpf_quiet();
	return run();
}
