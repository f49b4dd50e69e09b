// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include "bus1-trace.h"
#include "handles.h"
#include "recording.h"

static struct handle_limits limits = {
	.never = 10000000000ULL,
	.idle = 600000000000ULL,
};
static bool all, stacks;
static uint64_t begun, shown;

static void show(uint64_t time, uint64_t watched)
{
	const struct handle_groups *groups = groups_make(&limits, time,
							 watched);

	if (options.json) {
		handles_json(groups, all);
		if (stacks)
			stacks_json(groups);
	} else {
		handles_text(groups, all);
		if (stacks)
			stacks_text(groups, all);
	}
}

/* Before minor version 2 it had no "used", and no handle in msg_send. */
static void set_limits(unsigned int schema_minor)
{
	limits.unknown = schema_minor < 2;
	if (limits.unknown)
		complain("the bus1 module has trace schema 1.%u: when a handle was used last is not known (schema 1.2)",
			 schema_minor);
}

static void watch_start(const struct stream_start *start)
{
	set_limits(start->schema_minor);
	begun = start->time;
}

static void watch_snapshot(const struct snapshot *snapshot)
{
	if (!snapshot->debugfs)
		complain("what there was before the start is not known: /sys/kernel/debug/bus1/objects could not be read");
	view_learn(snapshot);
	world_snapshot(snapshot);
	groups_start();
}

static void watch_event(const struct item *item)
{
	world_event(item);
}

/* Who of those that came later is in a control group, is known of processes. */
static void learn_again(void)
{
	struct snapshot snapshot;

	if (options.input || !view_filtered() ||
	    snapshot_take(&snapshot, SNAPSHOT_PEERS))
		return;
	view_learn(&snapshot);
	snapshot_free(&snapshot);
}

static bool watch_tick(uint64_t time, bool last)
{
	/* the rest of an interval, at the end */
	if (last && shown)
		return false;
	learn_again();
	if (shown++ && !options.json)
		putchar('\n');
	show(time, span(begun, time));
	fflush(stdout);
	return !options.count || shown < options.count;
}

static void watch_end(uint64_t time)
{
	if (shown)
		return;
	learn_again();
	show(time, span(begun, time));
}

static int watch(void)
{
	const struct stream_verb verb = {
		.name = "handles",
		.events = WORLD_EVENTS,
		.required = BUS1_EVENT_BIT(EV_handle_new) |
			    BUS1_EVENT_BIT(EV_handle_release),
		.extent = SNAPSHOT_OBJECTS,
		.stacks = stacks,
		.interval = options.interval,
		.start = watch_start,
		.snapshot = watch_snapshot,
		.event = watch_event,
		.tick = watch_tick,
		.end = watch_end,
	};

	return stream_run(&verb);
}

enum { NEVER = 512, IDLE, STACKS };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'a':
		all = true;
		return 0;
	case NEVER:
	case IDLE:
		if (!parse_duration(arg, key == NEVER ? &limits.never :
							&limits.idle))
			exit(EXIT_USAGE);
		return 0;
	case STACKS:
		stacks = true;
		return 0;
	case ARGP_KEY_ARG:
		return options_interval(arg, state);
	case ARGP_KEY_END:
		if (stacks && !options.input && !options.interval &&
		    !options.seconds)
			argp_error(state, "--stacks shows the code that makes handles: give an INTERVAL or -d SEC to watch it");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option own[] = {
	{ "all", 'a', NULL, 0, "each handle, not those together that are alike", 0 },
	{ "older-than", NEVER, "TIME", 0, "suspicious is what was never used for so long (10s)", 0 },
	{ "idle", IDLE, "TIME", 0, "or was used, but not for so long (600s)", 0 },
	{ "stacks", STACKS, NULL, 0, "the code that made those that are new", 0 },
	{ 0 },
};

static const struct argp_child children[] = {
	{ &options_filter_argp, 0, NULL, 0 },
	{ &options_input_argp, 0, NULL, 0 },
	{ &options_run_argp, 0, NULL, 0 },
	{ &options_output_argp, 0, NULL, 0 },
	{ &options_common_argp, 0, NULL, 0 },
	{ 0 },
};

static const struct argp argp = {
	own, parse, "[INTERVAL [COUNT]]",
	"Show who holds a handle to what, how it came, when it was used; and what looks like a leak.\v"
	"Without INTERVAL and -d it is a look at how things are, which needs debugfs and nothing else. With them what changes is watched, and who gets more and more is seen.\n"
	"CAME: made (with its node, by a TRANSFER), given (by a TRANSFER) or sent (in a message), and by whom; with -a also by which transaction, and message of it. \"3x\" counts what is alike. \"!\": the node, or one of them, is released, and the holder has not yet received that.\n"
	"--stacks finds callers by frame pointers: programs that are built with -fno-omit-frame-pointer show all of them but the function that calls ioctl(), which the C library hides.\n"
	"\n"
	"Examples:\n"
	"  bus1-trace handles                 who holds what, and suspects\n"
	"  bus1-trace handles 1 10            who gets more and more\n"
	"  bus1-trace handles -d 5 --stacks   and the code that does it\n"
	"  bus1-trace handles -a --peer 4     each handle of, or to, peer 4\n"
	"  bus1-trace handles -i F            the same of a recording",
	children, NULL, NULL,
};

int verb_handles(int argc, char **argv)
{
	int status = options_parse(&argp, argc, argv);
	uint64_t time;

	if (status >= 0)
		return status;
	if (!view_filter())
		return EXIT_USAGE;
	if (options.input || options.interval || options.seconds)
		return watch();
	if (!view_now(&time))
		return EXIT_ERROR;
	set_limits(module_minor());
	show(time, 0);
	return EXIT_OK;
}
