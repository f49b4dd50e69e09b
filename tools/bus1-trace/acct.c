// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: acct
 *
 * Who claims how much from whom, who is nearest to a limit, and whose claims
 * were refused. How things are now comes from debugfs; what happens in an
 * interval is added up in the kernel.
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
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "acct.h"

#define LINES 24
/* A shorter interval would be over before a screen is written. */
#define INTERVAL_MIN 0.01

static struct {
	struct probe_options probes;
	bool json, raw, timestamps;
	double seconds, interval;
	uint64_t count, lines;
} options;

static struct acct_total total;
static uint64_t shown[ACCT_MAX];
static int matches_fd = -1;

/* A peer of which nothing is known any more needs no match either. */
static void forget_match(uint64_t id)
{
	bpf_map_delete_elem(matches_fd, &id);
}

static void show(struct acct_view *view)
{
	acct_filter(view, &options.probes);
	acct_sort(view);
	view->timestamps = options.timestamps;
	view->lines = options.lines;
	if (options.json)
		acct_json(view);
	else
		acct_text(view);
	output_failed();
}

static void view_free(struct acct_view *view)
{
	accounts_free(&view->now);
	free(view->refusals);
}

/* Shows what was counted since @start; returns whether that could be read. */
static bool show_interval(struct summer *summer, uint64_t number,
			  uint64_t *start)
{
	struct acct_view view = { .number = number, .start = *start };
	static uint64_t map_full;
	const struct sums *sums;
	uint32_t i;
	int error;

	error = summer_take(summer, &sums);
	if (error) {
		complain("acct: what was counted cannot be read: %s",
			 strerror(-error));
		return false;
	}
	*start = now_ns();
	view.error = accounts_read(&view.now);
	view.now.time = *start;
	view.uncounted = sums->map_full - map_full;
	map_full = sums->map_full;
	acct_join(&view, sums);
	if (number > 1 && !options.json)
		putchar('\n');
	show(&view);
	for (i = 0; i < ACCT_MAX; i++)
		shown[i] += view.count[i];
	acct_total(&view, &total);
	acct_bury(sums, matches_fd < 0 ? NULL : forget_match);
	view_free(&view);
	return true;
}

static int report(struct summer *summer, uint64_t intervals, double seconds)
{
	static const char *const names[] = { "acct_charge", "acct_discharge",
					     "acct_reject" };
	struct loss loss = { .missed = summer_missed(summer) };
	struct bus1_count counts[ACCT_MAX];
	int i;

	loss.lost = loss.missed;
	summer_counts(summer, counts);
	if (!options.json && intervals > 1 && total.n) {
		qsort(total.refusals, total.n, sizeof(*total.refusals),
		      acct_by_count);
		printf("\nOf all %" PRIu64 " intervals:\n", intervals);
		acct_text_refusals(total.refusals, total.n,
				   options.lines ? options.lines / 2 : SIZE_MAX);
	}
	count_header(options.json);
	for (i = 0; i < ACCT_MAX; i++)
		count_row(options.json, names[i], &counts[i], shown[i], &loss);
	return count_summary(options.json, seconds, &loss,
			     "A larger --entries, a shorter interval or a filter helps.");
}

static void explain_accounts(int error)
{
	complain("acct: /sys/kernel/debug/bus1/accounts cannot be read: %s%s",
		 strerror(-error),
		 error == -ENOENT ?
			 "; mount -t debugfs debugfs /sys/kernel/debug" :
		 error == -EACCES ? "; run it as root" :
		 error == -EPERM  ? "; perhaps by lockdown" :
				    "");
}

static struct summer *attach(bool *raw)
{
	struct summer *summer = NULL;
	int error;

	*raw = options.raw || !tp_btf_possible();
	if (!*raw) {
		summer = summer_attach(&options.probes, false, &error);
		if (!summer && debug)
			complain("tp_btf failed: %s; trying raw_tp",
				 strerror(-error));
	}
	if (!summer) {
		*raw = true;
		summer = summer_attach(&options.probes, true, &error);
	}
	if (!summer)
		explain_bpf("acct", error);
	return summer;
}

static int run_snapshot(void)
{
	struct acct_view view = { 0 };
	int error = accounts_read(&view.now);

	if (error) {
		explain_accounts(error);
		return EXIT_ERROR;
	}
	peers_learn_snapshot(&options.probes, -1);
	show(&view);
	view_free(&view);
	return EXIT_OK;
}

/* True: until then; false: a signal asks to end. */
static bool wait_until(const sigset_t *signals, uint64_t time)
{
	uint64_t now, left;

	/* They are looked for also if it is late already. */
	do {
		struct timespec wait;

		now = now_ns();
		left = now < time ? time - now : 0;
		wait.tv_sec = left / 1000000000;
		wait.tv_nsec = left % 1000000000;
		if (sigtimedwait(signals, NULL, &wait) > 0)
			return false;
	} while (now < time);
	return true;
}

static int run_intervals(void)
{
	uint64_t start, from, next, end = UINT64_MAX, number = 0;
	struct accounts accounts;
	struct summer *summer;
	struct timespec wall;
	int status, error;
	sigset_t signals;
	bool raw, last;

	if (!capable(CAP_BPF) || !capable(CAP_PERFMON)) {
		explain_bpf("acct with an interval", -EPERM);
		return EXIT_ERROR;
	}
	/* They wait until they are asked for, so that no output is cut. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	error = accounts_read(&accounts);
	if (error) {
		explain_accounts(error);
		complain("only what is charged, given back and refused is shown");
	} else {
		accounts_free(&accounts);
	}
	summer = attach(&raw);
	if (!summer)
		return EXIT_ERROR;
	if (options.probes.pid)
		matches_fd = summer_matches(summer);
	peers_learn_snapshot(&options.probes, matches_fd);

	start = now_ns();
	from = start;
	next = start;
	clock_gettime(CLOCK_REALTIME, &wall);
	if (options.seconds)
		end = start + options.seconds * 1e9;
	if (options.json)
		json_start(raw ? "raw_tp" : "tp_btf", start, &wall);
	output_failed();
	do {
		next += options.interval * 1e9;
		if (next < now_ns()) /* the output took its time */
			next = now_ns();
		last = !wait_until(&signals, next < end ? next : end) ||
		       number + 1 == options.count || now_ns() >= end ||
		       output_failed();
		/* so that nothing comes after the last reading */
		if (last)
			summer_detach(summer);
		if (!show_interval(summer, ++number, &from)) {
			summer_free(summer);
			return EXIT_ERROR;
		}
	} while (!last);
	status = report(summer, number, (now_ns() - start) / 1e9);
	summer_free(summer);
	return status;
}

static void help(void)
{
	printf("Usage: bus1-trace acct [OPTION]... [INTERVAL [COUNT]]\n"
	       "Show who claims how much from whom, and how near to a limit. With INTERVAL,\n"
	       "every so many seconds; also what was charged, given back and refused in it.\n\n"
	       "  -p, --pid PID        what concerns a peer that process PID opened, holds or used\n"
	       "  -u, --uid UID        what user UID claims, or others from it\n"
	       "      --peer ID        what peer ID claims\n"
	       "                       Of several filters, all have to fit.\n"
	       "  -d, --duration SEC   end after SEC seconds\n"
	       "  -n, --lines N        fit into N lines, 16 at least; 0 shows all\n"
	       "  -T, --timestamp      begin each interval with the time of day\n"
	       "      --json           one JSON object a line\n"
	       "      --entries N      claims, and refusals, that are told apart in an\n"
	       "                       interval (10240)\n"
	       "      --raw-tp         use raw tracepoints also where the module has BTF\n"
	       "  -v, --verbose        show what libbpf says\n"
	       "  -h, --help           this text\n\n"
	       "Ends with Ctrl-C. Status: 0, 1 error, 2 usage, 3 events were lost.\n");
}

/* What fits on the terminal; where there is none, what always fits */
static uint64_t terminal_lines(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row)
		return LINES;
	return size.ws_row;
}

static bool parse_words(int n, char **words)
{
	if (n > 0 && !parse_seconds(words[0], &options.interval))
		return false;
	if (n > 0 && options.interval < INTERVAL_MIN) {
		complain("an interval of %s seconds is too short: at least %g",
			 words[0], INTERVAL_MIN);
		return false;
	}
	return n < 2 || (parse_number("count", words[1], UINT64_MAX,
				      &options.count) &&
			 options.count);
}

int verb_acct(int argc, char **argv)
{
	enum { PEER = 256, JSON, ENTRIES, RAW };
	static const struct option longs[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "uid", required_argument, NULL, 'u' },
		{ "peer", required_argument, NULL, PEER },
		{ "duration", required_argument, NULL, 'd' },
		{ "lines", required_argument, NULL, 'n' },
		{ "timestamp", no_argument, NULL, 'T' },
		{ "json", no_argument, NULL, JSON },
		{ "entries", required_argument, NULL, ENTRIES },
		{ "raw-tp", no_argument, NULL, RAW },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool ok = true;
	int c;

	options.probes.entries = 10240;
	options.lines = terminal_lines();
	while ((c = getopt_long(argc, argv, "p:u:d:n:Tvh", longs, NULL)) !=
	       -1) {
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
		case 'n':
			ok &= parse_number("number of lines", optarg,
					   UINT32_MAX, &options.lines);
			break;
		case 'T':
			options.timestamps = true;
			break;
		case JSON:
			options.json = true;
			break;
		case ENTRIES:
			ok &= parse_number("number of entries, 1 to 1048576",
					   optarg, 1 << 20,
					   &options.probes.entries) &&
			      options.probes.entries;
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
			return bad_arguments("acct", NULL);
		}
	}
	ok = ok && parse_words(argc - optind, argv + optind);
	if (!ok || argc - optind > 2)
		return bad_arguments("acct", ok ? argv[optind + 2] : NULL);
	if (!options.interval)
		options.interval = options.seconds;
	libbpf_quiet();
	if (!module_usable())
		return EXIT_ERROR;
	if (module_minor() < 1) {
		complain("the loaded bus1 module has trace schema 1.0, which has no accounts: load the bus1.ko that belongs to this bus1-trace");
		return EXIT_ERROR;
	}
	return options.interval ? run_intervals() : run_snapshot();
}
