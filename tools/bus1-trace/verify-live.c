// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the live run of order
 *
 * The check needs no order but that of the receipts of each peer, and these come
 * as they were made, because the peer's lock is held meanwhile. So events go to it
 * as they come out of the ring, without being sorted as in stream.c: that is what
 * lets it keep up with a bus that does nothing but send.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cost.h"
#include "options.h"
#include "verify.h"

/* The ring has to hold what happens meanwhile. */
#define WAIT 20000000
/* Events between two looks at the clock and at signals */
#define BATCH 16384
#define DETACH_WAIT 1000000000ULL

static const struct verify_run *run;
static struct bus1_count counts[EV_MAX];
static uint64_t shown[EV_MAX];
static unsigned int batch;

static int on_entry(void *context, void *data, size_t size)
{
	const size_t head = offsetof(struct bus1_event, arg);
	const struct bus1_event *event = data;

	(void)context;
	if (size > head && event->type < EV_MAX) {
		peers_learn(event);
		run->event(event, (size - head) / sizeof(event->arg[0]));
		shown[event->type]++;
		if (event->type == EV_peer_free)
			peers_bury(event->arg[0], NULL);
	}
	return ++batch < BATCH ? 0 : -E2BIG;
}

/* Takes what is in the ring. True: all that was there when it began. */
static bool drain(struct ring_buffer *ring)
{
	batch = 0;
	return ring_buffer__consume(ring) >= 0;
}

static uint64_t count(struct probes *probes)
{
	uint64_t lost = probes_missed(probes);
	int i;

	probes_counts(probes, counts);
	for (i = 0; i < EV_MAX; i++)
		lost += counts[i].ring_full + counts[i].map_full;
	return lost;
}

static bool balanced(void)
{
	int i;

	for (i = 0; i < EV_MAX; i++)
		if (!count_balanced(&counts[i], shown[i]))
			return false;
	return true;
}

/* A program that was running when it was detached may still hand over. */
static void finish(struct probes *probes, struct ring_buffer *ring)
{
	uint64_t end = now_ns() + DETACH_WAIT;

	probes_detach(probes);
	do {
		while (!drain(ring))
			;
		count(probes);
	} while (!balanced() && now_ns() < end && !usleep(1000));
}

static int report(uint64_t missed, double seconds)
{
	struct loss loss = { .lost = missed, .missed = missed };
	int i;

	count_header(options.json);
	for (i = 0; i < EV_MAX; i++)
		if (run->events & BUS1_EVENT_BIT(i))
			count_row(options.json, event_info[i].name, &counts[i],
				  shown[i], &loss);
	return count_summary(options.json, seconds, &loss,
			     "A larger --ring-size helps.");
}

/* Until a signal comes, or @end; ticks */
static void loop(struct probes *probes, struct ring_buffer *ring,
		 const sigset_t *signals, uint64_t start, uint64_t end)
{
	const uint64_t step = run->interval * 1e9;
	uint64_t next = start + step, number = 0, now;
	struct timespec wait = { 0 };

	while ((now = now_ns()) < end && !output_failed()) {
		wait.tv_nsec = drain(ring) ? WAIT : 0;
		if (now >= next) {
			run->tick(now, count(probes));
			next += ((now - next) / step + 1) * step;
			if (++number == options.count)
				break;
		}
		if (sigtimedwait(signals, NULL, &wait) > 0)
			break;
	}
}

int verify_live(const struct verify_run *r, const char *verb)
{
	struct probe_options want = {
		.events = r->events & schema_events(module_minor()),
		.ring_size = options.ring_size,
	};
	struct stream_start start = { .events = want.events };
	uint64_t end = UINT64_MAX;
	struct snapshot snapshot;
	struct ring_buffer *ring;
	struct probes *probes;
	sigset_t signals;
	int status;
	bool raw;

	run = r;
	if (!filter_make() || !probes_possible(verb, r->required))
		return EXIT_ERROR;
	/* They wait until they are asked for, so that no output is cut. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	cost_begin();
	probes = probes_attach(verb, &want, &raw);
	if (!probes)
		return EXIT_ERROR;
	ring = ring_buffer__new(probes_fd(probes, "ring"), on_entry, NULL,
				NULL);
	if (!ring) {
		explain_bpf(verb, -errno);
		probes_free(probes);
		return EXIT_ERROR;
	}
	start.time = now_both(&start.realtime);
	start.way = raw ? "raw_tp" : "tp_btf";
	start.schema_minor = module_minor();
	if (options.seconds)
		end = start.time + options.seconds * 1e9;
	if (!snapshot_take(&snapshot, SNAPSHOT_PEERS)) {
		peers_learn_snapshot(&snapshot, NULL);
		snapshot_free(&snapshot);
	}
	r->start(&start);
	loop(probes, ring, &signals, start.time, end);
	end = now_ns();
	finish(probes, ring);
	r->end(end, count(probes));
	status = report(probes_missed(probes), (end - start.time) / 1e9);
	cost_report(probes_object(probes), options.json);
	ring_buffer__free(ring);
	probes_free(probes);
	return status;
}
