// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: record
 *
 * All events go into a file as they arrive; whoever reads it puts them in
 * order. So does what a live run learns besides: how things were at the start,
 * what addresses and control groups are called, and what became of all events.
 */
#define _GNU_SOURCE /* open_by_handle_at */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "cost.h"
#include "options.h"
#include "recording.h"
#include "table.h"

#define ACCOUNTS "/sys/kernel/debug/bus1/accounts"
#define CGROUPS "/sys/fs/cgroup"
#define FILEID_KERNFS 0xfe /* of the kernel */
/* The ring has to hold what happens in a tick. */
#define TICK 20000000
#define FLUSH 1000000000ULL
#define DETACH_WAIT 1000000000ULL
/* Entries taken between two looks at the clock and at signals */
#define BATCH 16384
/* Addresses and control groups that are known to be in the file */
#define NAMED_MAX (1 << 16)
#define MAX_SIZE_MIN (1 << 20)
/* It also has to hold what happens while a snapshot is taken, for each file. */
#define RING_SIZE (32 << 20)

static const char *output;
static uint64_t max_size;
static bool stacks;

static struct recorder *recorder;
static int error; /* of writing, a negative errno */
static struct probes *probes;
static struct ring_buffer *ring;
static int matches_fd;
static struct bus1_count counts[EV_MAX];
static uint64_t written[EV_MAX];
static uint64_t snapshots;
static unsigned int batch;
static bool large; /* the objects of a snapshot do not fit */

/* What has a name in the file: an address of a process, or a control group */
static struct table named;

struct name {
	struct table_entry entry;
	uint64_t id;
	uint32_t pid;
};

#define entry_of(type, e) ((type *)((char *)(e) - offsetof(type, entry)))

static void forget(struct table_entry *e, void *context)
{
	table_remove(context, e);
	free(entry_of(struct name, e));
}

/* False: it had one already. */
static bool needs_name(uint32_t pid, uint64_t id)
{
	uint64_t hash = table_hash(pid, id, 0);
	struct table_entry *e;
	struct name *name;

	for (e = table_first(&named, hash); e; e = table_next(e)) {
		name = entry_of(struct name, e);
		if (name->pid == pid && name->id == id)
			return false;
	}
	if (named.n >= NAMED_MAX)
		table_each(&named, forget, &named);
	name = calloc(1, sizeof(*name));
	if (!name)
		return false;
	name->pid = pid;
	name->id = id;
	table_add(&named, &name->entry, hash);
	return true;
}

/* The IDs of kernfs are what its file handles consist of. */
static bool cgroup_path(uint64_t id, char *path, size_t size)
{
	struct {
		struct file_handle head;
		uint64_t id;
	} handle = {
		.head.handle_bytes = sizeof(id),
		.head.handle_type = FILEID_KERNFS,
	};
	char link[64], full[4096];
	int mount, fd = -1;
	ssize_t n = -1;

	memcpy(handle.head.f_handle, &id, sizeof(id));
	mount = open(CGROUPS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mount >= 0)
		fd = open_by_handle_at(mount, &handle.head,
				       O_PATH | O_CLOEXEC);
	if (fd >= 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, full, sizeof(full) - 1);
		close(fd);
	}
	if (mount >= 0)
		close(mount);
	if (n < 0)
		return false;
	full[n] = '\0';
	if (strncmp(full, CGROUPS, strlen(CGROUPS)))
		return false;
	snprintf(path, size, "%s",
		 full[strlen(CGROUPS)] ? full + strlen(CGROUPS) : "/");
	return true;
}

static int name_cgroup(uint64_t id)
{
	char path[4096];

	if (!id || !needs_name(0, id) || !cgroup_path(id, path, sizeof(path)))
		return 0;
	return recorder_cgroup(recorder, id, path);
}

static int name_stack(const struct bus1_stack *stack)
{
	uint32_t i;
	int result = 0;

	for (i = 0; i < stack->n && i < BUS1_STACK_MAX && !result; i++) {
		const char *name = "?";

		if (needs_name(stack->pid, stack->ip[i]))
			name = symbol_name(stack->pid, stack->ip[i]);
		if (strcmp(name, "?"))
			result = recorder_symbol(recorder, stack->pid,
						 stack->ip[i], name);
	}
	return result;
}

static void found_match(uint64_t peer, uint32_t bits)
{
	match_peer(matches_fd, peer, bits);
}

/* A peer that died long ago needs no match either. */
static void forget_match(uint64_t peer)
{
	bpf_map_delete_elem(matches_fd, &peer);
}

static int on_entry(void *context, void *data, size_t size)
{
	const struct bus1_event *event = data;

	(void)context;
	if (event->type == EV_STACK)
		error = name_stack(data);
	else if (event->type < EV_MAX)
		error = name_cgroup(event->cgroup);
	if (!error)
		error = recorder_entry(recorder, data, size);
	if (error)
		return error;
	if (event->type < EV_MAX && !(event->flags & BUS1_EVENT_CONTEXT))
		written[event->type]++;
	if (event->type == EV_peer_free)
		peers_bury(event->arg[0], forget_match);
	if (recorder_wants_snapshot(recorder))
		return -EAGAIN;
	return ++batch < BATCH ? 0 : -E2BIG;
}

static void record_accounts(void)
{
	FILE *file = fopen(ACCOUNTS, "re");
	char *line = NULL;
	size_t size = 0;

	while (file && !error && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		error = recorder_account(recorder, line);
	}
	free(line);
	if (file)
		fclose(file);
}

/* The peers alone, if all of it does not fit, or else nothing */
static int record_less(struct snapshot *s)
{
	size_t n = s->n_peers, i, j;
	int result;

	for (i = 0; i < n; i++) {
		for (j = 0; j < s->peers[i].n_objects; j++)
			free(s->peers[i].objects[j]);
		s->peers[i].n_objects = 0;
	}
	s->extent = SNAPSHOT_PEERS;
	result = recorder_snapshot(recorder, s);
	if (!large)
		complain("--max-size is too small for a snapshot of all nodes and handles: there are %s the peers in it",
			 result == -E2BIG ? "not even" : "only");
	large = true;
	if (result != -E2BIG)
		return result;
	s->n_peers = 0;
	result = recorder_snapshot(recorder, s);
	s->n_peers = n;
	return result;
}

/* A file begins with how things are, and with nothing that another one said. */
static void record_snapshot(void)
{
	struct snapshot s;

	table_each(&named, forget, &named);
	snapshot_take(&s, large ? SNAPSHOT_PEERS : SNAPSHOT_OBJECTS);
	if (!snapshots++)
		peers_learn_snapshot(&s, found_match);
	error = recorder_snapshot(recorder, &s);
	if (error == -E2BIG)
		error = record_less(&s);
	snapshot_free(&s);
	if (!error)
		record_accounts();
}

/* Takes what is in the ring. True: all that was there when it began. */
static bool drain(void)
{
	if (recorder_wants_snapshot(recorder))
		record_snapshot();
	batch = 0;
	return !error && ring_buffer__consume(ring) >= 0;
}

/* So that those of a recorder that is killed are there, too */
static void record_counts(void)
{
	struct bus1_count now[EV_MAX];

	probes_counts(probes, now);
	if (!memcmp(now, counts, sizeof(now))) {
		error = recorder_flush(recorder);
		return;
	}
	memcpy(counts, now, sizeof(counts));
	error = recorder_counts(recorder, counts, written,
				probes_missed(probes));
}

/* A program that was running when it was detached may still hand over. */
static void finish(void)
{
	uint64_t end = now_ns() + DETACH_WAIT;
	bool all = false;
	int i;

	probes_detach(probes);
	while (!all && !error) {
		while (!drain() && !error)
			;
		probes_counts(probes, counts);
		all = true;
		for (i = 0; i < EV_MAX; i++)
			all = all && count_balanced(&counts[i], written[i]);
		if (now_ns() >= end)
			break;
		if (!all)
			usleep(1000);
	}
	if (!error)
		error = recorder_counts(recorder, counts, written,
					probes_missed(probes));
}

static int failed(const char *doing)
{
	complain("%s %s: %s", doing, output, strerror(-error));
	if (error == -ENOSPC || error == -EDQUOT || error == -EFBIG)
		complain("the recording ends there, and can be read; --max-size keeps one small");
	return EXIT_ERROR;
}

static int report(uint64_t start, uint64_t end, uint64_t bytes)
{
	uint64_t missed = probes_missed(probes), events = 0;
	struct loss loss = { .lost = missed, .missed = missed };
	int i;

	for (i = 0; i < EV_MAX; i++)
		events += written[i];
	if (options.json) {
		printf("{\"type\":\"recorded\",\"file\":");
		json_string(output);
		printf(",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64
		       ",\"parts\":%" PRIu64 "}\n",
		       events, bytes, snapshots);
	} else {
		printf("%" PRIu64 " events, %" PRIu64 " bytes", events, bytes);
		if (events)
			printf(", %.1f each", (double)bytes / events);
		printf(": %s\n", output);
	}
	count_header(options.json);
	for (i = 0; i < EV_MAX; i++)
		count_row(options.json, event_info[i].name, &counts[i],
			  written[i], &loss);
	return count_summary(options.json, (end - start) / 1e9, &loss,
			     "A larger --ring-size, a faster disk or a filter helps.");
}

static void describe(struct recording_info *info, int argc, char **argv)
{
	struct utsname name;
	size_t n = 0;
	int i;

	if (!uname(&name)) {
		snprintf(info->kernel, sizeof(info->kernel), "%s",
			 name.release);
		snprintf(info->host, sizeof(info->host), "%s", name.nodename);
	}
	for (i = 0; i < argc && n < sizeof(info->command); i++)
		n += snprintf(info->command + n, sizeof(info->command) - n,
			      "%s%s", i ? " " : "", argv[i]);
}

static void record_until(const sigset_t *signals, uint64_t end)
{
	uint64_t next = now_ns() + FLUSH, now;
	struct timespec wait = { 0 };

	for (;;) {
		wait.tv_nsec = drain() ? TICK : 0;
		now = now_ns();
		if (!error && now >= next) {
			record_counts();
			next = now + FLUSH;
		}
		if (error || now >= end ||
		    sigtimedwait(signals, NULL, &wait) > 0)
			return;
	}
}

static int run(int argc, char **argv)
{
	struct probe_options want = {
		.ring_size = options.ring_size,
		.cgroups = true,
		.stacks = stacks,
		.payload = options.payload,
	};
	struct recording_info info = { .schema_major = BUS1_TRACE_SCHEMA_MAJOR };
	uint64_t end = UINT64_MAX, bytes;
	sigset_t signals;
	int closed;
	bool raw;

	/* They wait until they are asked for, so that no write is cut. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP); /* of who began it, and went */
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGXFSZ, SIG_IGN); /* write() says it, too */

	want.events = schema_events(module_minor());
	cost_begin();
	probes = probes_attach("record", &want, &raw);
	if (!probes)
		return EXIT_ERROR;
	matches_fd = probes_fd(probes, "matches");
	ring = ring_buffer__new(probes_fd(probes, "ring"), on_entry, NULL,
				NULL);
	if (!ring) {
		explain_bpf("record", -errno);
		return EXIT_ERROR;
	}
	describe(&info, argc, argv);
	info.start.time = now_both(&info.start.realtime);
	info.start.way = raw ? "raw_tp" : "tp_btf";
	info.filtered = filter.bits || filter.peer || filter.node ||
			filter.classes || filter.latency || filter.failures;
	info.start.schema_minor = module_minor();
	info.start.events = want.events;
	recorder = recorder_new(output, &info, max_size, &error);
	if (!recorder && error == -EEXIST) {
		complain("%s, or the file it would become (.old) or begin with (.1), is there and is no recording: it is left as it is",
			 output);
		return EXIT_ERROR;
	}
	if (!recorder)
		return failed("creating");
	/* whoever waits for that need not guess */
	if (!options.json)
		complain("recording to %s", output);

	if (options.seconds)
		end = info.start.time + options.seconds * 1e9;
	record_until(&signals, end);
	end = now_ns();
	if (!error)
		finish();
	if (!error)
		error = recorder_end(recorder, end);
	bytes = recorder_bytes(recorder);
	closed = recorder_close(recorder);
	if (!error)
		error = closed;
	if (error)
		return failed("writing");
	return report(info.start.time, end, bytes);
}

static bool parse_max_size(const char *s)
{
	static const char units[] = "KMG";
	const char *unit;
	int shift = 0;
	char *end;

	errno = 0;
	max_size = strtoull(s, &end, 10);
	if (*end && (unit = strchr(units, *end))) {
		shift = 10 * (unit - units + 1);
		end++;
	}
	if (*s >= '0' && *s <= '9' && !*end && !errno &&
	    max_size <= UINT64_MAX >> shift &&
	    max_size << shift >= MAX_SIZE_MIN) {
		max_size <<= shift;
		return true;
	}
	complain("\"%s\" is not a size of at least 1M: bytes, or with suffix K, M or G",
		 s);
	return false;
}

enum { MAX_SIZE = 512, STACKS, JSON };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	bool ok = true;

	switch (key) {
	case 'o':
		output = arg;
		break;
	case MAX_SIZE:
		ok = parse_max_size(arg);
		break;
	case STACKS:
		stacks = true;
		break;
	case JSON:
		options.json = true;
		break;
	case ARGP_KEY_END:
		if (output)
			break;
		complain("record needs a file to write to: -o FILE");
		ok = false;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return options_result(ok, state);
}

int verb_record(int argc, char **argv)
{
	static const struct argp_option own[] = {
		{ "output", 'o', "FILE", 0, "write to FILE; a recording that is there becomes FILE.old", 0 },
		{ "max-size", MAX_SIZE, "SIZE", 0, "keep the last of it, in two files, FILE.1 and FILE, of SIZE together; with suffix K, M or G", 0 },
		{ "stacks", STACKS, NULL, 0, "also where in its program each handle was made", 0 },
		{ "json", JSON, NULL, 0, "the counts at the end as JSON", 3 },
		{ 0 },
	};
	static const struct argp_child children[] = {
		{ &options_filter_argp, 0, NULL, 0 },
		{ &options_events_argp, 0, NULL, 0 },
		{ &options_payload_argp, 0, NULL, 0 },
		{ &options_run_argp, 0, NULL, 0 },
		{ &options_common_argp, 0, NULL, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		own, parse, NULL,
		"Write all that happens on the bus to a file, which other verbs read with -i.\v"
		"Ends with Ctrl-C. Status: 0, 1 error, 2 usage, 3 events were lost. "
		"The default of --ring-size is 32M here.\n\n"
		"Examples:\n"
		"  bus1-trace record -o bus.rec -d 60\n"
		"  bus1-trace record -o bus.rec --max-size 1G\n"
		"  bus1-trace report bus.rec\n"
		"  bus1-trace monitor -i bus.rec --errors",
		children, NULL, NULL,
	};
	int status;

	options.ring_size = RING_SIZE;
	status = options_parse(&argp, argc, argv);
	if (status >= 0)
		return status;
	if (!filter_make())
		return EXIT_USAGE;
	if (!probes_possible("record", 0))
		return EXIT_ERROR;
	status = run(argc, argv);
	if (probes)
		cost_report(probes_object(probes), options.json);
	ring_buffer__free(ring);
	probes_free(probes);
	return status;
}
