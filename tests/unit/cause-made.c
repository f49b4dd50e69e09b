// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recordings in which is what no workload does on demand, or no kernel does at
 * all. Usage: cause-made WHAT FILE; a number makes what is random
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "recording.h"

#define START 5000000000ULL

/* What the recording needs of the rest of the tool */
void complain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
}

uint64_t now_ns(void)
{
	return 1;
}

bool module_device(uint32_t *major, uint32_t *minor)
{
	*major = *minor = 0;
	return false;
}

void descriptors_find(struct snapshot *s, uint32_t major, uint32_t minor)
{
	(void)s;
	(void)major;
	(void)minor;
}

static struct recorder *recorder;
static struct bus1_count counts[EV_MAX];
static uint64_t written[EV_MAX];

static void add(uint32_t type, uint32_t tid, size_t n, const uint64_t *args)
{
	struct bus1_event event = { .type = type, .pid = tid, .tid = tid };

	snprintf(event.comm, sizeof(event.comm), "made-%u", tid);
	memcpy(event.arg, args, n * sizeof(*args));
	counts[type].seen++;
	written[type]++;
	if (recorder_entry(recorder, &event,
			   offsetof(struct bus1_event, arg) +
				   n * sizeof(*args)))
		exit(1);
}

#define ADD(name, tid, ...)                                            \
	add(EV_##name, tid,                                            \
	    sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t),    \
	    (uint64_t[]){ __VA_ARGS__ })

/* Times are us since the start. A multicast has a number, and goes to 8 and 9. */
static void send(uint64_t peer, uint64_t tx, uint64_t begun, uint64_t time,
		 uint64_t seq)
{
	begun = START + begun * 1000;
	time = START + time * 1000;
	ADD(msg_send, peer, peer, tx, 0, 9, 1, 17, 0, begun, 0);
	if (seq)
		ADD(msg_send, peer, peer, tx, 1, 8, 1, 17, 0, begun, 0);
	ADD(tx_commit, peer, peer, tx, BUS1_TX_SEND, seq ? 2 : 1, seq ? 2 : 1,
	    0, begun, time, seq);
}

static void receive(uint32_t tid, uint64_t peer, uint64_t number, uint64_t from,
		    uint64_t tx, uint64_t time)
{
	ADD(msg_recv, tid, peer, number, from, tx, 0, 1, 17, 0, 1000,
	    START + time * 1000, 0);
}

/* Small numbers meet each other often; the largest are what overflows. */
static uint64_t any(void)
{
	return rand() % 9 ? rand() % 5 : UINT64_MAX - rand() % 2;
}

static void add_any(void)
{
	static const size_t n_args[] = {
#define X(name, n, ...) n,
		BUS1_EVENTS(X)
#undef X
	};
	uint64_t args[BUS1_EVENT_ARGS];
	uint32_t type = rand() % EV_MAX;
	size_t i;

	for (i = 0; i < BUS1_EVENT_ARGS; i++)
		args[i] = any();
	add(type, any(), n_args[type], args);
}

int main(int argc, char **argv)
{
	struct recording_info info = {
		.start = { .time = START, .realtime = 1700000000000000000,
			   .way = "tp_btf", .recorded = true,
			   .schema_minor = 3, .events = EVENTS_ALL },
		.schema_major = 1,
	};
	const char *what = argc > 2 ? argv[1] : "";
	struct snapshot s = { 0 };
	int error, i;

	recorder = recorder_new(argv[argc - 1], &info, 0, &error);
	if (!recorder)
		return 1;
	snapshot_line(&s, "snapshot time=5000000000 objects=0 debugfs=1 bpf=1 initial_pids=1 unreadable=0");
	recorder_snapshot(recorder, &s);
	if (!strcmp(what, "overlap")) {
		send(1, 1, 10, 30, 0);
		send(2, 1, 20, 40, 0);
		receive(9, 9, 1, 1, 1, 50);
		receive(9, 9, 2, 2, 1, 60);
	} else if (!strcmp(what, "overtaken")) {
		/* 2:1 follows from 1:1, and 9 receives it first */
		send(1, 1, 10, 12, 0);
		receive(2, 2, 1, 1, 1, 20);
		send(2, 1, 30, 32, 0);
		receive(9, 9, 1, 2, 1, 40);
		receive(9, 9, 2, 1, 1, 50);
	} else if (!strcmp(what, "twice")) {
		/* 8 and 9 disagree about two multicasts */
		send(1, 1, 10, 30, 7);
		send(2, 1, 11, 31, 5);
		receive(8, 8, 1, 2, 1, 40);
		receive(8, 8, 2, 1, 1, 41);
		receive(9, 9, 1, 1, 1, 42);
		receive(9, 9, 2, 2, 1, 43);
	} else if (!strcmp(what, "known")) {
		/* 1:1 was known to 8 before 2:1 began, and 9 receives that first */
		send(1, 1, 10, 100, 7);
		receive(8, 8, 1, 1, 1, 20);
		send(2, 1, 30, 40, 0);
		receive(9, 9, 1, 2, 1, 50);
		receive(9, 9, 2, 1, 1, 110);
	} else if (!strcmp(what, "circle")) {
		send(1, 1, 10, 12, 0);
		receive(1, 9, 1, 1, 1, 5);
	} else if (!strcmp(what, "early")) {
		/* 1:1 was sent before the start */
		send(2, 1, 20, 30, 0);
		receive(9, 9, 1, 1, 1, 25);
		receive(9, 9, 2, 2, 1, 40);
	} else if (!strcmp(what, "lost")) {
		send(1, 1, 10, 12, 0);
		send(2, 1, 20, 22, 0);
		counts[EV_msg_recv].seen = counts[EV_msg_recv].ring_full = 7;
	} else if (*what >= '0' && *what <= '9') {
		srand(atoi(what));
		for (i = 0; i < 500; i++)
			add_any();
	}
	if (recorder_counts(recorder, counts, written, 0) ||
	    recorder_end(recorder, START + 1000000))
		return 1;
	return recorder_close(recorder) ? 1 : 0;
}
