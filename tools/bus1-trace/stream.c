// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: stream
 *
 * Live: attaches the programs of bus1_trace.bpf.c, takes a snapshot of who is
 * there, and hands over events in order until it is told to end. Then it
 * detaches, hands over what still waits, and proves by count that nothing is
 * missing. From a recording: the same, with what was recorded.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cost.h"
#include "options.h"
#include "recording.h"
#include "stream.h"

/* The ring has to hold what happens in a tick. */
static const struct timespec tick = { .tv_nsec = 20000000 };
/* How long events are kept back, to be handed over in order. */
#define HORIZON 100000000ULL
/* Events taken between two looks at the clock and at signals. */
#define BATCH 16384
/* Events shown before the ring is looked at again, which matters more */
#define SLICE 1024
/* Events kept here while the output is slow; then the ring runs full. */
#define WAITING_MAX (1 << 18)
#define DETACH_WAIT 1000000000ULL

static const struct stream_verb *verb;
static struct probes *probes; /* live */
static struct bus1_count recorded_counts[EV_MAX]; /* what its recorder said last */
static uint64_t recorded_missed;
static struct order order;
static struct bus1_count counts[EV_MAX];
static uint64_t shown[EV_MAX];
static uint64_t after[EV_MAX]; /* the verb's own end, or without a row */
static uint64_t run_missed;
static unsigned int batch;
static int matches_fd = -1;
static uint64_t next_tick = UINT64_MAX, ticks;
static uint64_t since_tick; /* events handed over */
static uint64_t idle; /* ticks without one */
static bool stopped; /* by the verb itself */
static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

bool stream_interrupted(void)
{
	return stop;
}

/* stdio takes a write that was interrupted for one that failed */
void stream_signals(void)
{
	struct sigaction action = {
		.sa_handler = on_signal,
		.sa_flags = SA_RESTART,
	};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void found_match(uint64_t peer, uint32_t bits)
{
	match_peer(matches_fd, peer, bits);
}

/* A peer of which nothing is known any more needs no match either. */
static void forget_match(uint64_t peer)
{
	if (matches_fd >= 0)
		bpf_map_delete_elem(matches_fd, &peer);
}

/*
 * A file may claim any time: of intervals without an event no more than so many
 * are shown, and the others left out.
 */
#define IDLE_MAX 100000

/* Hands over the ticks that are due before an event of @time. */
static void tick_until(uint64_t time)
{
	const uint64_t step = verb->interval * 1e9;

	if (!verb->tick || !step)
		return;
	if (next_tick < time && (time - next_tick) / step > IDLE_MAX - idle)
		next_tick = time - time % step;
	while (next_tick <= time && !stopped && !stop && !output_failed()) {
		ticks++;
		idle += !since_tick && idle < IDLE_MAX;
		since_tick = 0;
		stopped = !verb->tick(next_tick, false) ||
			  ticks == options.count ||
			  next_tick > UINT64_MAX - step;
		next_tick += step;
	}
}

static void show(struct item *item)
{
	uint64_t time = event_stamp(&item->event);

	tick_until(time);
	if (stopped) {
		after[item->event.type]++;
	} else {
		if (verb->event)
			verb->event(item);
		shown[item->event.type]++;
		since_tick++;
	}
	free(item->stack);
	free(item->payload);
	free(item);
}

/* Hands over at most @max events; returns whether it was fewer. */
static bool show_until(uint64_t until, size_t max)
{
	struct item *item = NULL;

	while (max-- && (item = order_next(&order, until)))
		show(item);
	output_failed();
	return !item;
}

static void *copy(const void *data, size_t size)
{
	void *p = malloc(size);

	if (!p) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	return memcpy(p, data, size);
}

/*
 * What came right before an event, from the same thread; others' may stand
 * between. A thread that has none of its own took the place of an older one.
 */
#define WAITING 256
static struct bus1_stack *stacks[WAITING];
static struct bus1_bytes *payloads[WAITING];

static void keep_stack(const struct bus1_stack *stack, size_t size)
{
	struct bus1_stack **slot = &stacks[stack->tid % WAITING];

	if (size < sizeof(*stack) || stack->n > BUS1_STACK_MAX)
		return;
	free(*slot);
	*slot = copy(stack, sizeof(*stack));
	/* now, while the process is there */
	if (!options.input)
		symbol_each(stack, NULL);
}

/* Where parts are folded, of the first message of a transaction only */
static struct bus1_bytes **payload_slot(uint64_t peer, uint64_t tx,
					uint64_t index)
{
	return &payloads[(peer * 31 + tx + (verb->fold ? 0 : index)) % WAITING];
}

static bool payload_is(const struct bus1_bytes *b, uint64_t peer, uint64_t tx,
		       uint64_t index)
{
	return b && b->peer == peer && b->tx == tx &&
	       (verb->fold || b->index == index);
}

static void keep_payload(const struct bus1_bytes *bytes, size_t size)
{
	const size_t head = offsetof(struct bus1_bytes, data);
	struct bus1_bytes **slot;

	if (size < head || bytes->n > sizeof(bytes->data) ||
	    size - head < bytes->n)
		return;
	slot = payload_slot(bytes->peer, bytes->tx, bytes->index);
	if (payload_is(*slot, bytes->peer, bytes->tx, bytes->index))
		return;
	free(*slot);
	*slot = copy(bytes, head + bytes->n);
	if ((*slot)->n > verb->payload)
		(*slot)->n = verb->payload;
}

static struct bus1_bytes *take_payload(uint64_t peer, uint64_t tx,
				       uint64_t index)
{
	struct bus1_bytes **slot = payload_slot(peer, tx, index), *b = *slot;

	if (!payload_is(b, peer, tx, index))
		return NULL;
	*slot = NULL;
	return b;
}

static void take_extras(struct item *item)
{
	const struct bus1_event *e = &item->event;
	struct bus1_stack **stack = &stacks[e->tid % WAITING];

	if (e->type == EV_handle_new && *stack && (*stack)->tid == e->tid) {
		item->stack = *stack;
		*stack = NULL;
	} else if (e->type == EV_msg_send) {
		item->payload = take_payload(e->arg[0], e->arg[1], e->arg[2]);
	} else if (e->type == EV_tx_commit && verb->fold) {
		item->payload = take_payload(e->arg[0], e->arg[1], 0);
	}
}

/* An event that is not only there to tell who is who */
static void add(const struct bus1_event *event, size_t size)
{
	const size_t head = offsetof(struct bus1_event, arg);
	struct item *item;

	if (verb->fold && fold_part(event)) {
		/* in the row of what it is a part of, if that has one */
		if (event->type == EV_handle_new && filter.classes &&
		    event->arg[4] == BUS1_HOW_MESSAGE &&
		    !(filter.classes & BUS1_CLASS_MESSAGE))
			after[event->type]++;
		else
			shown[event->type]++;
		return;
	}
	item = calloc(1, sizeof(*item));
	if (!item) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	memcpy(&item->event, event, size);
	item->n_args = (size - head) / sizeof(event->arg[0]);
	if (event->type == EV_tx_commit)
		fold_commit(event, &item->fold);
	take_extras(item);
	order_add(&order, item);
}

/* @event has been filtered. */
static void learn(const struct bus1_event *event, size_t size)
{
	peers_learn(event);
	if (event->type == EV_peer_free)
		peers_bury(event->arg[0], forget_match);
	if (!(event->flags & BUS1_EVENT_CONTEXT))
		add(event, size);
	else if (verb->fold)
		fold_part(event);
}

static int on_entry(void *context, void *data, size_t size)
{
	uint32_t type = *(uint32_t *)data;

	(void)context;
	if (type == EV_STACK)
		keep_stack(data, size);
	else if (type == EV_PAYLOAD)
		keep_payload(data, size);
	else if (type < EV_MAX && size <= sizeof(struct bus1_event))
		learn(data, size);
	return ++batch < BATCH ? 0 : -E2BIG;
}

/* Takes what is in the ring. True: all that was there when it began. */
static bool drain(struct ring_buffer *ring)
{
	batch = 0;
	return ring_buffer__consume(ring) >= 0;
}

bool stream_incomplete(void)
{
	struct bus1_count *c = recorded_counts, now[EV_MAX];
	uint64_t lost = recorded_missed;
	int i;

	if (probes) {
		c = now;
		probes_counts(probes, c);
		lost = probes_missed(probes);
	}
	for (i = 0; i < EV_MAX; i++)
		lost += c[i].ring_full + c[i].map_full;
	return lost;
}

/* A program that was running when it was detached may still hand over. */
static void finish(struct ring_buffer *ring)
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
			all = all && count_balanced(&counts[i],
						    shown[i] + after[i]);
		if (!all)
			usleep(1000);
	} while (!all && now_ns() < end);
}

const struct bus1_count *stream_counts(uint64_t *missed)
{
	*missed = run_missed;
	return counts;
}

static int report(uint64_t missed, double seconds, const char *mend)
{
	struct loss loss = { .lost = missed, .missed = missed,
			     .late = order.late };
	int i;

	run_missed = missed;
	count_header(options.json);
	for (i = 0; i < EV_MAX; i++) {
		if (!(verb->events & BUS1_EVENT_BIT(i)))
			continue;
		counts[i].filtered += after[i];
		count_row(options.json, event_info[i].name, &counts[i],
			  shown[i], &loss);
	}
	return count_summary(options.json, seconds, &loss, mend);
}

static void begin(const struct stream_start *start)
{
	if (options.input)
		clock_set(start->time, start->realtime);
	if (verb->interval)
		next_tick = start->time + verb->interval * 1e9;
	if (verb->start)
		verb->start(start);
}

static void finish_verb(uint64_t time)
{
	if (verb->tick && !stopped) {
		tick_until(time);
		/* a moment in which nothing was is not worth to be shown */
		if (!stopped &&
		    (!ticks || since_tick || next_tick <= time ||
		     next_tick - time < verb->interval * 0.9e9))
			verb->tick(time, true);
	}
	if (verb->end)
		verb->end(time);
}

static int run_live(void)
{
	const struct probe_options want = {
		.events = verb->events & schema_events(module_minor()),
		.ring_size = options.ring_size,
		.stacks = verb->stacks,
		.payload = verb->payload,
	};
	struct stream_start start = { .events = want.events };
	uint64_t end = UINT64_MAX, missed;
	struct snapshot snapshot;
	struct ring_buffer *ring;
	int status;
	bool raw;

	if (!probes_possible(verb->name, verb->required))
		return EXIT_ERROR;
	stream_signals();
	cost_begin();
	probes = probes_attach(verb->name, &want, &raw);
	if (!probes)
		return EXIT_ERROR;
	ring = ring_buffer__new(probes_fd(probes, "ring"), on_entry, NULL,
				NULL);
	if (!ring) {
		explain_bpf(verb->name, -errno);
		probes_free(probes);
		return EXIT_ERROR;
	}
	matches_fd = probes_fd(probes, "matches");
	start.time = now_both(&start.realtime);
	start.way = raw ? "raw_tp" : "tp_btf";
	start.schema_minor = module_minor();
	if (options.seconds)
		end = start.time + options.seconds * 1e9;
	if (!snapshot_take(&snapshot, verb->extent)) {
		peers_learn_snapshot(&snapshot, found_match);
		begin(&start);
		if (verb->snapshot)
			verb->snapshot(&snapshot);
		snapshot_free(&snapshot);
	} else {
		begin(&start);
	}

	while (!stop && !stopped && now_ns() < end && !output_failed()) {
		uint64_t until = now_ns();
		bool idle = false;

		if (order.heap.n < WAITING_MAX)
			idle = drain(ring);
		if (!idle && order.newest < until)
			until = order.newest;
		if (until > HORIZON && !show_until(until - HORIZON, SLICE))
			idle = false;
		else if (until > HORIZON)
			tick_until(until - HORIZON);
		if (idle)
			nanosleep(&tick, NULL);
	}
	end = now_ns();
	finish(ring);
	finish_verb(end);
	missed = probes_missed(probes);
	status = report(missed, (end - start.time) / 1e9,
			"A larger --ring-size or a filter helps.");
	cost_report(probes_object(probes), options.json);
	ring_buffer__free(ring);
	probes_free(probes);
	return status;
}

static uint64_t found[EV_MAX]; /* in the recording, wanted or not */
static uint64_t lacking; /* that its recorder wrote, and are not there */
static uint64_t newest_recorded; /* where a recording without end ends */

/* Filters, as the kernel does it live; nothing is wanted from @end on. */
static void replay(const struct bus1_event *recorded, size_t size, uint64_t end)
{
	const size_t head = offsetof(struct bus1_event, arg);
	struct bus1_event event = { 0 };
	unsigned int n;
	int verdict;

	if (recorded->type >= EV_MAX || size < head ||
	    size > sizeof(event))
		return;
	memcpy(&event, recorded, size);
	if (event.arg[event_info[event.type].time] > newest_recorded)
		newest_recorded = event.arg[event_info[event.type].time];
	if (!(event.flags & BUS1_EVENT_CONTEXT))
		found[event.type]++;
	if (!(verb->events & BUS1_EVENT_BIT(event.type)))
		return;
	n = (size - head) / sizeof(event.arg[0]);
	if (event.arg[event_info[event.type].time] >= end)
		return;
	/* the recorder's own filter let it through to tell who is who */
	if (event.flags & BUS1_EVENT_CONTEXT) {
		filter_recorded(&event, n);
		learn(&event, size);
		return;
	}
	counts[event.type].seen++;
	verdict = filter_recorded(&event, n);
	if (verdict != FILTER_PASS) {
		counts[event.type].filtered++;
		if (verdict == FILTER_NO)
			return;
		event.flags |= BUS1_EVENT_CONTEXT;
	}
	learn(&event, size);
}

static void on_recorded(const void *entry, size_t size, uint64_t end)
{
	uint32_t type;

	if (size < sizeof(type))
		return;
	memcpy(&type, entry, sizeof(type));
	if (type == EV_STACK)
		keep_stack(entry, size);
	else if (type == EV_PAYLOAD && verb->payload)
		keep_payload(entry, size);
	else if (type != EV_PAYLOAD)
		replay(entry, size, end);
}

/* What the recorder itself did not let through, or lost */
static void add_recorded_counts(void)
{
	int i;

	for (i = 0; i < EV_MAX; i++) {
		const struct bus1_count *c = &recorded_counts[i];

		counts[i].filtered += c->filtered;
		counts[i].ring_full += c->ring_full;
		counts[i].map_full += c->map_full;
		counts[i].seen += c->filtered + c->ring_full + c->map_full;
	}
}

static void look_for_gaps(const struct recorded *recorded)
{
	int i;

	lacking = 0;
	for (i = 0; i < EV_MAX; i++)
		if (recorded->counts.written[i] > found[i])
			lacking += recorded->counts.written[i] - found[i];
}

static void take_recorded_snapshot(struct snapshot *snapshot, bool *first)
{
	peers_learn_snapshot(snapshot, filter_match);
	if (*first && verb->snapshot)
		verb->snapshot(snapshot);
	*first = false;
	snapshot_free(snapshot);
}

static int run_recorded(void)
{
	struct recorded recorded;
	const struct recording_info *info;
	uint64_t end = UINT64_MAX, ended = 0, until;
	struct recording *recording;
	bool first = true, complete;
	int status, error;

	recording = recording_open(options.input);
	if (!recording)
		return EXIT_ERROR;
	info = recording_info(recording);
	if (verb->required & ~info->start.events) {
		complain("%s has not the events that %s needs: the module had trace schema 1.%u, or the recorder was told to leave them out",
			 options.input, verb->name, info->start.schema_minor);
		recording_close(recording);
		return EXIT_ERROR;
	}
	stream_signals();
	if (options.seconds)
		end = info->start.time + options.seconds * 1e9;
	begin(&info->start);
	while (!(error = recording_next(recording, &recorded)) &&
	       recorded.kind != RECORDED_END && !stop && !stopped &&
	       !output_failed() && order.newest < end) {
		switch (recorded.kind) {
		case RECORDED_ENTRY:
			on_recorded(recorded.entry.data, recorded.entry.size,
				    end);
			break;
		case RECORDED_SNAPSHOT:
			take_recorded_snapshot(&recorded.snapshot, &first);
			break;
		case RECORDED_SYMBOL:
			symbol_add(recorded.symbol.pid, recorded.symbol.ip,
				   recorded.symbol.name);
			break;
		case RECORDED_CGROUP:
			filter_cgroup(recorded.cgroup.id,
				      recorded.cgroup.path);
			break;
		case RECORDED_ACCOUNT:
			if (verb->account)
				verb->account(recorded.account);
			break;
		case RECORDED_COUNTS:
			memcpy(recorded_counts, recorded.counts.counts,
			       sizeof(recorded_counts));
			recorded_missed = recorded.counts.missed;
			look_for_gaps(&recorded);
			break;
		case RECORDED_END:
			break;
		}
		if (order.newest > HORIZON)
			show_until(order.newest - HORIZON, SIZE_MAX);
	}
	complete = !error && recording_ended(recording, &ended);
	show_until(UINT64_MAX, SIZE_MAX);
	if (!ended)
		ended = newest_recorded;
	until = ended < end ? ended : end;
	finish_verb(until);
	add_recorded_counts();
	status = report(recorded_missed,
			until > info->start.time ?
				(until - info->start.time) / 1e9 :
				0,
			"They were lost when it was recorded.");
	if (!complete && !stop && !stopped && order.newest < end) {
		if (!error)
			complain("%s has no end: its recorder was killed, or is still running; what it had not written yet is missing",
				 options.input);
		status = status == EXIT_OK ? EXIT_LOST : status;
	}
	if (lacking) {
		complain("%s lacks at least %" PRIu64 " events that its recorder wrote: a part of it is gone",
			 options.input, lacking);
		status = status == EXIT_OK ? EXIT_LOST : status;
	}
	if (info->filtered && verb->snapshot) {
		complain("%s was filtered when it was recorded: how things are is known only as far as that let events through",
			 options.input);
		status = status == EXIT_OK ? EXIT_LOST : status;
	}
	recording_close(recording);
	return status;
}

int stream_run(const struct stream_verb *v)
{
	verb = v;
	if (!filter_make())
		return EXIT_USAGE;
	return options.input ? run_recorded() : run_live();
}
