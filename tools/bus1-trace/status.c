// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: status
 *
 * A snapshot of all peers: from debugfs, joined with the descriptors that hold
 * them; from the descriptors alone, for those who may not read debugfs. Or how
 * things were at some point of a recording.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"
#include "view.h"

/* Groups of what waits in a queue that are shown of each peer */
#define WAITING_MAX 10

static bool objects, queues;
static double at; /* seconds into a recording */
static uint64_t limit; /* the same as a time */

/* A node or handle, from its line in debugfs. */
static void print_object(const char *line, uint64_t now)
{
	double age = span(object_value(line, "created"), now) / 1e9;
	bool dead = object_value(line, "dead");
	char how[16] = "came";

	if (!strncmp(line, "node ", 5)) {
		printf("         node %" PRIu64 ", handles %" PRIu64
		       ", %.1f s old%s\n",
		       object_value(line, "id"), object_value(line, "handles"),
		       age, dead ? ", released" : "");
		return;
	}
	if (strncmp(line, "handle ", 7))
		return;
	object_word(line, "how", how, sizeof(how));
	printf("         handle %" PRIu64 " to node %" PRIu64 " of peer %" PRIu64
	       ", %s by tx %" PRIu64 " of %" PRIu64 ", %.1f s old%s\n",
	       object_value(line, "id"), object_value(line, "node"),
	       object_value(line, "node_peer"),
	       !strcmp(how, "message") ? "sent" : how,
	       object_value(line, "tx"), object_value(line, "tx_peer"), age,
	       dead ? ", released" : "");
}

/* What waits in a queue that is alike: from one peer, messages or not */
struct waiting {
	uint64_t from, n, bytes;
	uint64_t oldest; /* stamp, 0 is unknown: the oldest of all */
	bool notifications;
};

static int by_age(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;

	return (x->oldest > y->oldest) - (x->oldest < y->oldest);
}

static void print_waiting(const struct waiting *w, uint64_t now)
{
	char age[SPAN_SIZE];

	printf("         %" PRIu64 " %s%s", w->n,
	       w->notifications ? "notification" : "message",
	       w->n == 1 ? "" : "s");
	if (!w->notifications)
		printf(", %" PRIu64 " bytes,", w->bytes);
	printf(" from ");
	say_peer(w->from);
	if (w->oldest)
		printf(", oldest %s\n", format_span(age, span(w->oldest, now)));
	else
		printf(", sent while nobody watched\n");
}

static int by_sender(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;

	if (x->from != y->from)
		return x->from > y->from ? 1 : -1;
	return x->notifications - y->notifications;
}

/* Each group in one; returns how many that are. */
static size_t merge_waiting(struct waiting *all, size_t n)
{
	struct waiting *w = all;
	size_t i;

	qsort(all, n, sizeof(*all), by_sender);
	for (i = 1; i < n; i++) {
		if (by_sender(w, &all[i])) {
			*++w = all[i];
			continue;
		}
		w->n++;
		w->bytes += all[i].bytes;
		if (all[i].oldest < w->oldest)
			w->oldest = all[i].oldest;
	}
	return w - all + 1;
}

static void print_queue(const struct peer_state *peer, uint64_t now)
{
	struct waiting *all = NULL;
	size_t n = 0, i;

	for (i = 0; i < peer->n_objects; i++) {
		const char *line = peer->objects[i];
		bool notification = !strncmp(line, "notification ", 13);

		if (!notification && strncmp(line, "message ", 8))
			continue;
		all = grow(all, n, sizeof(*all));
		all[n++] = (struct waiting){
			.from = object_value(line, "tx_peer"),
			.n = 1,
			.bytes = object_value(line, "bytes"),
			.oldest = object_value(line, "stamp"),
			.notifications = notification,
		};
	}
	if (!n)
		return;
	n = merge_waiting(all, n);
	qsort(all, n, sizeof(*all), by_age);
	for (i = 0; i < n && i < WAITING_MAX; i++)
		print_waiting(&all[i], now);
	if (n > WAITING_MAX)
		printf("         and from %zu more\n", n - WAITING_MAX);
	free(all);
}

static void print_holder(const struct holder *holder)
{
	int n;

	printf(" %7u ", holder->pid);
	n = print_safe(holder->comm, COMM_LEN);
	if (holder->fd == FD_UNKNOWN)
		printf("%*s %4s", COMM_LEN - n, "", "-");
	else
		printf("%*s %4u", COMM_LEN - n, "", holder->fd);
}

static void print_row(const struct peer_state *peer, uint64_t now)
{
	size_t i;

	printf("%6" PRIu64 " %6" PRIu64, peer->id, peer->uid);
	if (peer->n_holders)
		print_holder(&peer->holders[0]);
	else
		printf(" %7s %-*s %4s", "-", COMM_LEN, "-", "-");
	printf(" %6" PRIu64 " %7" PRIu64 " %6" PRIu64 " %8" PRIu64 "\n",
	       peer->nodes, peer->handles, peer->queued, peer->bytes);
	for (i = 1; i < peer->n_holders; i++) {
		printf("%13s", "");
		print_holder(&peer->holders[i]);
		putchar('\n');
	}
	if (*peer->name) {
		printf("         name ");
		print_safe(peer->name, NAME_LEN);
		putchar('\n');
	}
	for (i = 0; objects && i < peer->n_objects; i++)
		print_object(peer->objects[i], now);
	if (queues)
		print_queue(peer, now);
}

static void print_missing(const struct snapshot *s)
{
	if (!s->debugfs && s->unreadable)
		complain("partial view: only peers in descriptor tables, and %zu processes could not be read; root sees all",
			 s->unreadable);
	else if (!s->debugfs)
		complain("partial view: only peers in descriptor tables, since /sys/kernel/debug/bus1/objects could not be read; root sees all, once debugfs is mounted (mount -t debugfs debugfs /sys/kernel/debug)");
	else if (s->unreadable)
		complain("%zu processes could not be read: their descriptors are not shown",
			 s->unreadable);
	if (!s->initial_pids)
		complain("/proc shows one PID name space: descriptors of processes outside it are not shown");
}

static void print_table(const struct snapshot *s)
{
	size_t i;

	if (options.timestamps) {
		print_time(s->time);
		putchar('\n');
	}
	printf("%6s %6s %7s %-*s %4s %6s %7s %6s %8s\n", "PEER", "UID", "PID",
	       COMM_LEN, "COMM", "FD", "NODES", "HANDLES", "QUEUED", "BYTES");
	for (i = 0; i < s->n_peers; i++)
		if (view_fits(s->peers[i].id))
			print_row(&s->peers[i], s->time);
	print_missing(s);
}

static void print_json_objects(const struct peer_state *peer)
{
	size_t i;

	for (i = 0; i < peer->n_objects; i++) {
		const char *line = peer->objects[i];
		bool queued = !strncmp(line, "message ", 8) ||
			      !strncmp(line, "notification ", 13);

		if (queued ? !queues : !objects)
			continue;
		printf("{\"type\":\"%.*s\"", (int)strcspn(line, " "), line);
		json_pairs(line);
		printf("}\n");
	}
}

static void print_json(const struct snapshot *s)
{
	bool partial = !s->debugfs || s->unreadable || s->cut ||
		       !s->initial_pids;
	size_t i, j;

	printf("{\"type\":\"snapshot\",\"schema\":\"%d.%d\",\"time\":%" PRIu64
	       ",\"peers\":\"%s\",\"descriptors\":\"%s\",\"unreadable\":%zu,\"partial\":%s}\n",
	       BUS1_TRACE_SCHEMA_MAJOR, BUS1_TRACE_SCHEMA_MINOR, s->time,
	       s->debugfs ? "debugfs" : "fdinfo", s->bpf ? "bpf" : "proc",
	       s->unreadable, partial ? "true" : "false");
	for (i = 0; i < s->n_peers; i++) {
		const struct peer_state *peer = &s->peers[i];

		if (!view_fits(peer->id))
			continue;
		printf("{\"type\":\"peer\",\"peer\":%" PRIu64
		       ",\"uid\":%" PRIu64,
		       peer->id, peer->uid);
		if (*peer->name) {
			printf(",\"name\":");
			json_string(peer->name);
		}
		if (s->debugfs)
			printf(",\"opener\":%" PRIu64 ",\"created\":%" PRIu64
			       ",\"received\":%" PRIu64
			       ",\"transactions\":%" PRIu64
			       ",\"oldest\":%" PRIu64,
			       peer->pid, peer->created, peer->received,
			       peer->transactions, peer->oldest);
		printf(",\"nodes\":%" PRIu64 ",\"handles\":%" PRIu64
		       ",\"queued\":%" PRIu64 ",\"bytes\":%" PRIu64
		       ",\"descriptors\":[",
		       peer->nodes, peer->handles, peer->queued, peer->bytes);
		for (j = 0; j < peer->n_holders; j++) {
			printf("%s{\"pid\":%u", j ? "," : "",
			       peer->holders[j].pid);
			if (peer->holders[j].fd != FD_UNKNOWN)
				printf(",\"fd\":%u", peer->holders[j].fd);
			printf(",\"comm\":");
			json_string(peer->holders[j].comm);
			putchar('}');
		}
		printf("]}\n");
		print_json_objects(peer);
	}
}

static void print(const struct snapshot *snapshot)
{
	if (options.json)
		print_json(snapshot);
	else
		print_table(snapshot);
}

static void recorded_start(const struct stream_start *start)
{
	limit = at < 0 ? UINT64_MAX : start->time + (uint64_t)(at * 1e9);
}

static void recorded_snapshot(const struct snapshot *snapshot)
{
	view_learn(snapshot);
	world_snapshot(snapshot);
}

static void recorded_event(const struct item *item)
{
	if (event_stamp(&item->event) <= limit)
		world_event(item);
}

static void recorded_end(uint64_t time)
{
	struct snapshot snapshot;

	world_to_snapshot(&snapshot, time < limit ? time : limit);
	print(&snapshot);
	snapshot_free(&snapshot);
}

static int recorded(void)
{
	static const struct stream_verb verb = {
		.name = "status",
		.events = WORLD_EVENTS,
		.extent = SNAPSHOT_OBJECTS,
		.start = recorded_start,
		.snapshot = recorded_snapshot,
		.event = recorded_event,
		.end = recorded_end,
	};

	return stream_run(&verb);
}

static int live(void)
{
	struct snapshot snapshot;
	bool all = objects || queues;

	if (!module_usable())
		return EXIT_ERROR;
	if (snapshot_take(&snapshot, all ? SNAPSHOT_OBJECTS : SNAPSHOT_PEERS)) {
		complain("the bus1 module was just unloaded");
		return EXIT_ERROR;
	}
	if (all && !snapshot.debugfs)
		complain("nodes, handles and queues are listed by debugfs only");
	view_learn(&snapshot);
	print(&snapshot);
	snapshot_free(&snapshot);
	return EXIT_OK;
}

enum { QUEUE = 512, AT };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	char *end;

	switch (key) {
	case 'o':
		objects = true;
		return 0;
	case QUEUE:
		queues = true;
		return 0;
	case AT:
		at = strtod(arg, &end);
		if (end == arg || *end || !(at >= 0 && at < 1e9))
			argp_error(state, "\"%s\" is not a number of seconds",
				   arg);
		return 0;
	case ARGP_KEY_END:
		if (at >= 0 && !options.input)
			argp_error(state, "--at is a point of a recording: it needs -i");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option own[] = {
	{ "objects", 'o', NULL, 0, "also the nodes and handles of each peer", 0 },
	{ "queue", QUEUE, NULL, 0, "also what waits in its queue, from whom, and, if it was watched when it was sent, for how long", 0 },
	{ "at", AT, "SEC", 0, "of a recording: so many seconds after its start, instead of at its end", 2 },
	{ 0 },
};

static const struct argp_child children[] = {
	{ &options_filter_argp, 0, NULL, 0 },
	{ &options_input_argp, 0, NULL, 0 },
	{ &options_output_argp, 0, NULL, 0 },
	{ &options_common_argp, 0, NULL, 0 },
	{ 0 },
};

static const struct argp argp = {
	own, parse, NULL,
	"Show all peers as they are now, and who holds them.\v"
	"A peer is called as its program named it, or by the process that used it last; before anybody has, by one that holds it.\n"
	"\n"
	"Examples:\n"
	"  bus1-trace status            who is there\n"
	"  bus1-trace status --queue    who does not read, and what waits\n"
	"  bus1-trace status -o --peer 4\n"
	"  bus1-trace status -i F --at 12.5",
	children, NULL, NULL,
};

int verb_status(int argc, char **argv)
{
	int status;

	at = -1;
	status = options_parse(&argp, argc, argv);
	if (status >= 0)
		return status;
	if (!view_filter())
		return EXIT_USAGE;
	return options.input ? recorded() : live();
}
