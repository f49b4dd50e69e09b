// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: interval
 *
 * The life of a verb of interval.h: live, load and attach its programs, then turn,
 * read and show at the end of each interval, and prove by count that nothing is
 * missing. From a recording stream.c does the rest.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cost.h"
#include "interval.h"
#include "options.h"

static const struct interval_verb *verb;
static struct bpf_object *object;
static struct bpf_link *links[EV_MAX];
static int n_links;
static int matches_fd = -1;
static struct bus1_count counts[EV_MAX];
static struct interval interval;
/* Peers that were there at the end of the last interval, or are named since */
static uint64_t *known;
static size_t n_known;

static void know(uint64_t id)
{
	known = grow(known, n_known, sizeof(*known));
	known[n_known++] = id;
}

void interval_name(uint64_t id, const struct peer *who)
{
	struct peer *peer;

	if (!verb->snapshots) /* nobody would be told of its end */
		return;
	peer = peers_get(id);
	know(id);
	if (who->pid) {
		peer->pid = who->pid;
		memcpy(peer->comm, who->comm, sizeof(peer->comm));
		peer->comm[sizeof(peer->comm) - 1] = '\0';
		peer->has_name = true;
	}
	if (who->has_uid) {
		peer->uid = who->uid;
		peer->has_uid = true;
	}
	if (*who->name) {
		memcpy(peer->name, who->name, sizeof(peer->name));
		peer->name[sizeof(peer->name) - 1] = '\0';
	}
}

bool interval_wants(uint64_t id)
{
	const struct peer *peer = peers_find(id);

	return ((peer ? peer->bits : 0) & filter.bits) == filter.bits &&
	       (!filter.peer || filter.peer == id) &&
	       (!filter.node || filter.node_peer == id);
}

void interval_title(const struct interval *i)
{
	const char *term = getenv("TERM");

	/* a few are to be read and compared; without end, the newest is watched */
	if (!options.input && !options.count && !options.seconds &&
	    isatty(STDOUT_FILENO) && term && strcmp(term, "dumb"))
		printf("\033[H\033[J");
	else if (i->number > 1)
		putchar('\n');
	if (options.timestamps)
		print_time(i->time);
}

void format_time(char *buf, uint64_t ns)
{
	static const char *const unit[] = { "ns", "us", "ms", "s" };
	double v = ns;
	int i;

	for (i = 0; i < 3 && v >= 999.5; i++)
		v /= 1000;
	snprintf(buf, TIME_SIZE, "%.*f%s", i && v < 99.95 ? v < 9.995 ? 2 : 1 : 0,
		 v, unit[i]);
}

void json_who(uint64_t id)
{
	const struct peer *peer = peers_find(id);

	if (peer && peer->has_uid)
		printf(",\"uid\":%u", peer->uid);
	if (peer && peer->has_name) {
		printf(",\"pid\":%u,\"comm\":", peer->pid);
		json_string(peer->comm);
	}
	if (peer && *peer->name) {
		printf(",\"name\":");
		json_string(peer->name);
	}
}

static void found_match(uint64_t id, uint32_t bits)
{
	peers_get(id)->bits |= bits;
	match_peer(matches_fd, id, bits);
}

/* A peer of which nothing is known any more needs no match either. */
static void forget_match(uint64_t id)
{
	bpf_map_delete_elem(matches_fd, &id);
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct peer_state *)a)->id;
	uint64_t y = ((const struct peer_state *)b)->id;

	return (x > y) - (x < y);
}

/* Who was known and is there no more stays for a while, with the other dead. */
static void bury(const struct snapshot *s)
{
	size_t i;

	for (i = 0; i < n_known; i++) {
		struct peer_state key = { .id = known[i] };

		if (!s->n_peers || !bsearch(&key, s->peers, s->n_peers,
					    sizeof(key), by_id))
			peers_bury(known[i], forget_match);
	}
	n_known = 0;
	for (i = 0; i < s->n_peers; i++)
		know(s->peers[i].id);
}

static int attach_programs(bool raw)
{
	const uint32_t events = verb->events | verb->also;
	struct bpf_program *prog;
	int error, i;

	bpf_object__for_each_program(prog, object) {
		const char *event = strchr(bpf_program__section_name(prog),
					   '/');
		bool load = false;

		for (i = 0; i < EV_MAX; i++)
			load |= events & BUS1_EVENT_BIT(i) &&
				!strcmp(event + 1, event_info[i].name);
		bpf_program__set_autoload(prog,
					  load && program_fits(prog, raw));
	}
	match_maps(object);
	error = bpf_object__load(object);
	if (!error)
		error = filter_open(bpf_object__find_map_fd_by_name(object,
								    "cgroups"));
	if (error)
		return error;
	bpf_object__for_each_program(prog, object) {
		if (!bpf_program__autoload(prog))
			continue;
		links[n_links] = bpf_program__attach(prog);
		if (!links[n_links])
			return -errno;
		n_links++;
	}
	return 0;
}

static void detach(void)
{
	while (n_links)
		bpf_link__destroy(links[--n_links]);
}

static bool attach_way(bool raw, int *error)
{
	errno = ENOMEM;
	object = verb->open();
	*error = object ? attach_programs(raw) : -errno;
	if (!*error)
		return true;
	detach();
	if (object)
		verb->close();
	return false;
}

static bool attach(bool *raw)
{
	int error = 0;

	*raw = options.raw || !tp_btf_possible();
	if (!*raw) {
		if (attach_way(false, &error))
			return true;
		if (debug)
			complain("tp_btf failed: %s; trying raw_tp",
				 strerror(-error));
	}
	*raw = true;
	if (attach_way(true, &error))
		return true;
	explain_bpf(verb->name, error);
	return false;
}

static uint64_t uncounted(void)
{
	uint64_t sum = 0;
	int i;

	counts_read(object, counts);
	for (i = 0; i < EV_MAX; i++)
		sum += counts[i].map_full;
	return sum;
}

/* Ends the interval; returns whether it could be read. */
static bool end_interval(uint64_t start)
{
	struct snapshot snapshot = { 0 };
	static uint64_t map_full;
	uint64_t sum;
	int error;

	error = verb->turn();
	interval.start = start;
	interval.time = now_ns();
	interval.number++;
	if (!error && verb->snapshots &&
	    !snapshot_take(&snapshot, SNAPSHOT_PEERS))
		peers_learn_snapshot(&snapshot, found_match);
	if (!error)
		error = verb->read();
	if (error) {
		complain("%s: what was counted cannot be read: %s", verb->name,
			 strerror(-error));
		snapshot_free(&snapshot);
		return false;
	}
	sum = uncounted();
	interval.uncounted = sum - map_full;
	map_full = sum;
	interval.snapshot = &snapshot;
	verb->show(&interval);
	output_failed();
	if (verb->snapshots)
		bury(&snapshot);
	snapshot_free(&snapshot);
	return true;
}

static int report(double seconds)
{
	uint64_t missed = programs_missed(object);
	struct loss loss = { .lost = missed, .missed = missed };
	int i, status;

	if (verb->end)
		verb->end(interval.number);
	uncounted();
	count_header(options.json);
	for (i = 0; i < EV_MAX; i++)
		if ((verb->events | verb->also) & BUS1_EVENT_BIT(i))
			count_row(options.json, event_info[i].name, &counts[i],
				  verb->shown[i], &loss);
	status = count_summary(options.json, seconds, &loss,
			       "A larger --entries, a shorter interval or a filter helps.");
	cost_report(object, options.json);
	return status;
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

static int run_live(void)
{
	struct stream_start start = { 0 };
	uint64_t from, next, end = UINT64_MAX;
	struct snapshot snapshot;
	bool raw, last = false;
	sigset_t signals;
	int status;

	if (!probes_possible(verb->name, verb->required))
		return EXIT_ERROR;
	/* They wait until they are asked for, so that no output is cut. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	cost_begin();
	if (!attach(&raw))
		return EXIT_ERROR;
	matches_fd = bpf_object__find_map_fd_by_name(object, "matches");
	if (!snapshot_take(&snapshot, SNAPSHOT_PEERS)) {
		peers_learn_snapshot(&snapshot, found_match);
		if (verb->snapshots)
			bury(&snapshot);
		snapshot_free(&snapshot);
	}

	start.time = from = next = now_both(&start.realtime);
	start.way = raw ? "raw_tp" : "tp_btf";
	start.schema_minor = module_minor();
	start.events = (verb->events | verb->also) &
		       schema_events(start.schema_minor);
	if (options.seconds)
		end = from + options.seconds * 1e9;
	if (options.json)
		json_start(&start);
	output_failed();
	while (!last) {
		next += (uint64_t)(verb->interval * 1e9);
		if (!verb->interval)
			next = end;
		else if (next < now_ns()) /* the output took its time */
			next = now_ns();
		last = !wait_until(&signals, next < end ? next : end) ||
		       interval.number + 1 == options.count ||
		       now_ns() >= end || output_failed();
		/* so that nothing comes after the last reading */
		if (last)
			detach();
		if (!end_interval(from)) {
			detach();
			verb->close();
			return EXIT_ERROR;
		}
		from = interval.time;
	}
	status = report((now_ns() - start.time) / 1e9);
	verb->close();
	return status;
}

static void recorded_start(const struct stream_start *start)
{
	interval.time = start->time;
	if (options.json)
		json_start(start);
}

static bool recorded_tick(uint64_t time, bool last)
{
	if (last && interval.number && time <= interval.time)
		return false;
	interval.start = interval.time;
	interval.time = time;
	interval.number++;
	verb->show(&interval);
	return !output_failed();
}

static void recorded_end(uint64_t time)
{
	(void)time;
	if (verb->end)
		verb->end(interval.number);
}

int interval_run(const struct interval_verb *v)
{
	struct stream_verb recorded = {
		.name = v->name,
		.events = v->events | v->also,
		.required = v->required,
		.interval = v->interval,
		.start = recorded_start,
		.snapshot = v->snapshot,
		.event = v->event,
		.account = v->account,
		.tick = recorded_tick,
		.end = recorded_end,
	};

	verb = v;
	if (options.input)
		return stream_run(&recorded);
	if (!filter_make())
		return EXIT_USAGE;
	return run_live();
}
