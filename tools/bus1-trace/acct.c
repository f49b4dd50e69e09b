// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: acct
 *
 * Who claims how much from whom, who is nearest to a limit, and whose claims
 * were refused. How things are now comes from debugfs; what happens in an
 * interval is added up in the kernel. A recording has the first as it was at its
 * start, and all that changed it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "acct.h"
#include "options.h"

#define ACCT_EVENTS                                                       \
	(BUS1_EVENT_BIT(EV_acct_charge) | BUS1_EVENT_BIT(EV_acct_discharge) | \
	 BUS1_EVENT_BIT(EV_acct_reject))
/* What tells the filter, or of a recording the reader, who uses a peer */
#define LEARN_EVENTS                                                  \
	(BUS1_EVENT_BIT(EV_peer_new) | BUS1_EVENT_BIT(EV_peer_name) | \
	 BUS1_EVENT_BIT(EV_tx_commit) | BUS1_EVENT_BIT(EV_msg_recv) | \
	 BUS1_EVENT_BIT(EV_notify_recv))

static struct acct_total total;

static void view_free(struct acct_view *view)
{
	accounts_free(&view->now);
	free(view->refusals);
}

static void show_view(struct acct_view *view)
{
	acct_filter(view);
	acct_sort(view);
	if (options.json)
		acct_json(view);
	else
		acct_text(view);
	output_failed();
}

static void show(const struct interval *interval)
{
	struct acct_view view = {
		.number = interval->number,
		.start = interval->start,
		.uncounted = interval->uncounted,
	};

	if (options.input)
		accounts_recorded(&view.now);
	else
		view.error = accounts_read(&view.now);
	view.now.time = interval->time;
	acct_join(&view);
	if (!options.json)
		interval_title(interval);
	show_view(&view);
	acct_total(&view, &total);
	view_free(&view);
	acct_sums_forget();
}

static void end(uint64_t intervals)
{
	if (options.json || intervals < 2 || !total.n)
		return;
	qsort(total.refusals, total.n, sizeof(*total.refusals), acct_by_count);
	printf("\nOf all %" PRIu64 " intervals:\n", intervals);
	acct_text_refusals(total.refusals, total.n,
			   options.lines ? options.lines / 2 : SIZE_MAX);
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

static void found_match(uint64_t id, uint32_t bits)
{
	peers_get(id)->bits |= bits;
}

static int run_snapshot(void)
{
	struct acct_view view = { 0 };
	struct snapshot snapshot;
	int error;

	if (!module_usable() ||
	    !module_has("acct", BUS1_EVENT_BIT(EV_acct_charge)))
		return EXIT_ERROR;
	if (!filter_make())
		return EXIT_USAGE;
	error = accounts_read(&view.now);
	if (error) {
		explain_accounts(error);
		return EXIT_ERROR;
	}
	if (!snapshot_take(&snapshot, SNAPSHOT_PEERS)) {
		peers_learn_snapshot(&snapshot, found_match);
		snapshot_free(&snapshot);
	}
	show_view(&view);
	view_free(&view);
	return EXIT_OK;
}

/* Live, over time: what is shown without the accounts is still worth it. */
static struct bpf_object *open_acct(void)
{
	struct accounts accounts;
	static bool told;
	int error = accounts_read(&accounts);

	if (error && !told) {
		explain_accounts(error);
		complain("only what is charged, given back and refused is shown");
		told = true;
	}
	accounts_free(&accounts);
	return acct_open();
}

static void event(const struct item *item)
{
	acct_sums_event(&item->event);
	accounts_event(&item->event);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	return key == ARGP_KEY_ARG ? options_interval(arg, state) :
				     ARGP_ERR_UNKNOWN;
}

int verb_acct(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ &options_filter_argp, 0, NULL, 0 },
		{ &options_input_argp, 0, NULL, 0 },
		{ &options_run_argp, 0, NULL, 0 },
		{ &options_output_argp, 0, NULL, 0 },
		{ &options_lines_argp, 0, NULL, 0 },
		{ &options_common_argp, 0, NULL, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		NULL, parse, "[INTERVAL [COUNT]]",
		"Show who claims how much from whom, and how near to a limit. With INTERVAL, every so many seconds; also what was charged, given back and refused in it.\v"
		"Ends with Ctrl-C. Status: 0, 1 error, 2 usage, 3 events were lost.\n\n"
		"Examples:\n"
		"  bus1-trace acct\n"
		"  bus1-trace acct -d 10\n"
		"  bus1-trace acct -u 1000 5\n"
		"  bus1-trace acct -i yesterday.bus1 60",
		children, NULL, NULL,
	};
	struct interval_verb verb = {
		.name = "acct",
		.events = ACCT_EVENTS,
		.required = BUS1_EVENT_BIT(EV_acct_charge),
		.snapshots = true,
		.open = open_acct,
		.close = acct_close,
		.turn = acct_turn,
		.read = acct_read,
		.event = event,
		.account = accounts_line,
		.show = show,
		.end = end,
		.shown = acct_shown,
	};
	int status = options_parse(&argp, argc, argv);

	if (status >= 0)
		return status;
	if (!options.input && !options.interval && !options.seconds)
		return run_snapshot();
	if (!filter_make())
		return EXIT_USAGE;
	if (filter.bits || options.input)
		verb.also = LEARN_EVENTS;
	if (options.input)
		verb.also |= BUS1_EVENT_BIT(EV_peer_free);
	verb.interval = options.interval;
	return interval_run(&verb);
}
