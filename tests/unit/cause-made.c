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

static void send_to(uint64_t peer, uint64_t tx, uint64_t receiver,
		    uint64_t node, uint64_t begun)
{
	begun = START + begun * 1000;
	ADD(msg_send, peer, peer, tx, 0, receiver, node, 17, 0, begun, 0);
	ADD(tx_commit, peer, peer, tx, BUS1_TX_SEND, 1, 1, 0, begun,
	    begun + 2000, 0);
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
	} else if (!strcmp(what, "deputy")) {
		/* 2 passes 1:1 with a handle to node 1.5 on to 3, and calls 1.6 */
		send_to(1, 1, 2, 1, 10);
		receive(2, 2, 1, 1, 1, 20);
		ADD(handle_new, 2, 2, 7, 1, 5, BUS1_HOW_MESSAGE, 1, 1, 0, 0,
		    START + 20000);
		send_to(4, 1, 1, 5, 20); /* was begun before, or then */
		send_to(2, 1, 3, 1, 30);
		receive(3, 3, 1, 2, 1, 40);
		ADD(handle_new, 3, 3, 9, 1, 5, BUS1_HOW_MESSAGE, 2, 1, 0, 0,
		    START + 40000);
		send_to(2, 2, 1, 6, 50);
		send_to(3, 1, 1, 5, 60);
		send_to(3, 2, 1, 5, 70);
	} else if (!strcmp(what, "mute")) {
		/* what comes back goes to another node */
		send_to(1, 1, 2, 1, 10);
		receive(2, 2, 1, 1, 1, 20);
		ADD(handle_new, 2, 2, 7, 1, 5, BUS1_HOW_MESSAGE, 1, 1, 0, 0,
		    START + 20000);
		send_to(2, 1, 1, 6, 50);
	} else if (!strcmp(what, "ends")) {
		/* its last message is known by its receipt; then it is closed */
		send_to(1, 1, 9, 1, 10);
		receive(9, 9, 1, 1, 1, 20);
		receive(9, 9, 2, 1, 2, 40);
		ADD(tx_commit, 8, 1, 3, BUS1_TX_CLOSE, 0, 0, 0, START + 50000,
		    START + 52000, 0);
		counts[EV_msg_send].seen = counts[EV_msg_send].ring_full = 1;
	} else if (!strcmp(what, "tie")) {
		send(1, 1, 10, 30, 0);
		send(2, 1, 30, 40, 0);
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
