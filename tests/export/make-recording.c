// SPDX-License-Identifier: GPL-2.0-only
/*
 * make-recording FILE EVENTS PEERS LOST: a recording of a bus that never was,
 * and, on standard output, what is in it. About EVENTS events of PEERS peers;
 * LOST more of each type were lost. Names are such as no honest program has.
 * With no PEERS nothing is true: events of all types with any arguments.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "recording.h"

#define START 5000000000ULL
#define REALTIME 1700000000000000000ULL
#define DEPTH 512

static const char *const names[][2] = {
	{ "quote\"back\\s", "name\"d" },
	{ "new\nline\ttab", "{\"type\":\"x\"}" },
	{ "\033[2J\033[31mred", "\x7f\x01" },
	{ "\xff\xfe\x80\xc3", "half \xe2\x82" },
	{ "gr\xc3\xbc\xc3\x9f", "" },
	{ "sixteen bytes ..", "one and thirty bytes, no more ..." },
	{ "%s%n%d", "<b>&amp;</b>" },
	{ "", "" },
	{ "plain", "a-service" },
};

#define N_NAMES (sizeof(names) / sizeof(*names))

struct entry {
	uint64_t tx_peer, tx, index, stamp, id, bytes;
	uint32_t kind;
};

struct peer_queue {
	struct entry entry[DEPTH];
	unsigned int first, n;
	uint64_t tx, received, transactions;
};

bool debug;
static struct recorder *recorder;
static struct peer_queue *queues;
static unsigned int n_peers;
static struct bus1_count totals[EV_MAX];
static uint64_t written[EV_MAX];
static uint64_t bytes_sent, bytes_received, received_before, now = START + 1000;

void complain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

static uint64_t dice(uint64_t n)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x % n;
}

static void must(int error)
{
	if (!error)
		return;
	fprintf(stderr, "make-recording: %s\n", strerror(-error));
	exit(1);
}

static void tell(uint32_t type, uint64_t peer, unsigned int n,
		 const uint64_t *arg)
{
	struct bus1_event event = { .type = type };

	event.pid = 100 + peer;
	event.tid = 1000 + peer;
	memcpy(event.comm, names[peer % N_NAMES][0],
	       strnlen(names[peer % N_NAMES][0], sizeof(event.comm)));
	memcpy(event.arg, arg, n * sizeof(*arg));
	must(recorder_entry(recorder, &event,
			    offsetof(struct bus1_event, arg) +
				    n * sizeof(*arg)));
	totals[type].seen++;
	written[type]++;
}

#define TELL(type, peer, ...)                                             \
	tell(EV_##type, peer,                                             \
	     sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t),      \
	     (uint64_t[]){ __VA_ARGS__ })

static struct entry *push(uint64_t peer)
{
	struct peer_queue *q = &queues[peer];

	return &q->entry[(q->first + q->n++) % DEPTH];
}

static struct entry pop(uint64_t peer)
{
	struct peer_queue *q = &queues[peer];

	q->n--;
	received_before += q->entry[q->first % DEPTH].stamp < START;
	return q->entry[q->first++ % DEPTH];
}

static uint64_t other(void)
{
	return 1 + dice(n_peers);
}

static void payload(uint64_t peer, uint64_t tx, uint64_t index, uint64_t bytes)
{
	static struct bus1_bytes data = { .type = EV_PAYLOAD };
	uint64_t i;

	data.n = bytes < 48 ? bytes : 48;
	data.peer = peer;
	data.tx = tx;
	data.index = index;
	for (i = 0; i < data.n; i++)
		data.data[i] = tx + i;
	must(recorder_entry(recorder, &data, sizeof(data)));
}

static void discard_one(uint64_t peer)
{
	struct entry e;

	if (!queues[peer].n)
		return;
	e = pop(peer);
	if (e.kind)
		TELL(notify_drop, peer, peer, e.tx_peer, e.tx, e.kind, e.id,
		     peer, 9, BUS1_WHY_RELEASED, now);
	else
		TELL(msg_discard, peer, peer, e.tx_peer, e.tx, e.index, 7,
		     e.bytes, 0, BUS1_WHY_RELEASED, now);
	bytes_received += e.bytes;
}

/* To @first and up to two others */
static void send_some(uint64_t peer, uint64_t first)
{
	uint64_t tx = ++queues[peer].tx, begun = now, n = 1 + dice(3), i;
	uint64_t bytes = dice(100), to = first;

	TELL(tx_begin, peer, peer, tx, BUS1_TX_SEND, n, n, 0, begun);
	for (i = 0; i < n; i++) {
		if (queues[to].n == DEPTH)
			discard_one(to);
		*push(to) = (struct entry){ peer, tx, i, begun, 7, bytes, 0 };
		if (dice(2))
			payload(peer, tx, i, bytes);
		TELL(msg_send, peer, peer, tx, i, to, 7, bytes, dice(3), begun,
		     3);
		bytes_sent += bytes;
		to = other();
	}
	now += 1 + dice(5000);
	TELL(tx_commit, peer, peer, tx, BUS1_TX_SEND, n, n, 0, begun, now);
}

static void release_some(uint64_t peer)
{
	uint64_t tx = ++queues[peer].tx, to = other();
	uint32_t kind = 1 + dice(2);

	if (queues[to].n == DEPTH)
		return;
	TELL(tx_begin, peer, peer, tx, BUS1_TX_RELEASE, 1, 0, 1, now);
	*push(to) = (struct entry){ peer, tx, 0, now, 9, 0, kind };
	TELL(notify_send, peer, peer, tx, kind, to, 9, to, 9, now);
	now += 1 + dice(100);
	TELL(tx_commit, peer, peer, tx, BUS1_TX_RELEASE, 1, 0, 1, now - 1,
	     now);
}

static void receive_one(uint64_t peer, uint64_t time)
{
	struct entry e = pop(peer);
	uint64_t recv = ++queues[peer].received;
	uint64_t queued = e.stamp ? time - e.stamp : 0;

	if (e.kind) {
		TELL(notify_recv, peer, peer, recv, e.tx_peer, e.tx, e.kind,
		     e.id, peer, 9, queued, time);
		return;
	}
	TELL(msg_recv, peer, peer, recv, e.tx_peer, e.tx, e.index, 7, e.bytes,
	     0, queued, time);
	bytes_received += e.bytes;
}

/*
 * Two threads of a process receive, and are stamped the other way round; and
 * something arrives between the stamps.
 */
static void receive_some(uint64_t peer)
{
	if (queues[peer].n > 1 && dice(8) == 0) {
		receive_one(peer, now + 20);
		receive_one(peer, now + 10);
		now += 15;
		send_some(other(), peer);
		now += 30;
	} else if (queues[peer].n) {
		receive_one(peer, now);
	}
}

static void fail(uint64_t peer)
{
	/* the largest numbers there are, and one without a word */
	TELL(op_fail, peer, peer, BUS1_OP_SEND, (uint32_t)-56, BUS1_CHECK_ID,
	     UINT64_MAX, now, 0, 0, 0, 0, 0);
	TELL(acct_reject, peer, 0, 1001, peer, BUS1_RESOURCE_BYTES, 60000, 31,
	     0, 0, BUS1_LEVEL_USER, 77, INT64_MAX, now);
	/* what was never sent */
	TELL(msg_discard, peer, peer, peer, queues[peer].tx + 1, 5, 7, 1, 0,
	     BUS1_WHY_QUOTA, now);
}

static void open_peer(uint64_t peer)
{
	uint64_t name[4] = { 0 };
	const char *s = names[peer % N_NAMES][1];

	TELL(peer_new, peer, peer, 1000 + peer, 100 + peer, now);
	memcpy(name, s, strnlen(s, 31));
	if (*s)
		TELL(peer_name, peer, peer, name[0], name[1], name[2], name[3],
		     now);
}

static void nonsense(uint64_t n)
{
	static const uint64_t values[] = { 0, 1, 2, 3, 7, 1 << 20, INT32_MIN,
					   UINT32_MAX, START, INT64_MAX,
					   UINT64_MAX - 1 };
	uint64_t arg[BUS1_EVENT_ARGS];
	unsigned int i;
	uint32_t type;

	while (n--) {
		type = dice(EV_MAX);
		for (i = 0; i < BUS1_EVENT_ARGS &&
			    event_info[type].field[i].name; i++)
			arg[i] = values[dice(sizeof(values) / 8)];
		/* mostly at a time that can be */
		if (dice(8))
			arg[event_info[type].time] = now++;
		tell(type, dice(5), i, arg);
	}
}

static void events(uint64_t n)
{
	uint64_t peer, i;

	for (peer = 1; n && peer <= n_peers; peer++)
		open_peer(peer);
	if (n)
		receive_one(1, ++now);
	for (i = 0; i < n; i += 2) {
		peer = other();
		now += 1 + dice(2000);
		switch (dice(16)) {
		case 0:
			release_some(peer);
			break;
		case 1:
			discard_one(peer);
			break;
		case 2:
			if (dice(8) == 0)
				fail(peer);
			TELL(acct_charge, peer, 0, 1, peer, 0, 1, 1, 1, 1, 1,
			     1, now);
			break;
		case 3 ... 5:
			send_some(peer, other());
			break;
		default:
			receive_some(peer);
		}
	}
}

/*
 * What peer 1 has waiting at the start: one entry that the snapshot does not
 * list, though it is known since when it waits, and three that it lists.
 */
static struct snapshot *before(void)
{
	static const char *const lines[] = {
		"message peer=1 tx_peer=2 tx=900 index=0 node=7 bytes=40 handles=0 stamp=4999999000",
		"notification peer=1 tx_peer=2 tx=901 kind=handle_release id=9 node_peer=1 node=9 stamp=0",
		"message peer=1 tx_peer=2 tx=902 index=4 node=7 bytes=2 handles=1 stamp=0",
	};
	static struct peer_state peer = {
		.id = 1, .uid = 1001, .pid = 101, .queued = 3, .bytes = 42,
		.objects = (char **)lines, .n_objects = 3,
	};
	static struct snapshot snapshot = {
		.peers = &peer, .n_peers = 1, .time = START,
		.extent = SNAPSHOT_OBJECTS, .debugfs = true,
		.initial_pids = true,
	};

	*push(1) = (struct entry){ 2, 899, 0, START - 700, 7, 0, 0 };
	*push(1) = (struct entry){ 2, 900, 0, START - 1000, 7, 40, 0 };
	*push(1) = (struct entry){ 2, 901, 0, 0, 9, 0, 2 };
	*push(1) = (struct entry){ 2, 902, 4, 0, 7, 2, 0 };
	bytes_sent += 42;
	return &snapshot;
}

static void print_counts(void)
{
	uint64_t waiting = 0, peer;
	int i;

	for (i = 0; i < EV_MAX; i++)
		printf("%s=%" PRIu64 "\n", event_info[i].name, written[i]);
	for (peer = 1; peer <= n_peers; peer++)
		waiting += queues[peer].n;
	/* nothing tells of that which is not listed */
	waiting -= !queues[1].received;
	printf("waiting=%" PRIu64 "\nwaiting_bytes=%" PRIu64 "\n", waiting,
	       bytes_sent - bytes_received);
	printf("never_sent=%" PRIu64 "\n", written[EV_acct_reject]);
	printf("listed=3\nunlisted=%d\n", queues[1].received > 0);
	printf("before_received=%" PRIu64 "\n", received_before);
}

int main(int argc, char **argv)
{
	struct recording_info info = {
		.start = { .time = START, .realtime = REALTIME,
			   .way = "tp_btf", .events = EVENTS_ALL,
			   .schema_minor = BUS1_TRACE_SCHEMA_MINOR },
		.schema_major = BUS1_TRACE_SCHEMA_MAJOR,
		.kernel = "6.1.0-\"x\"", .host = "h\xff", .command = "made",
	};
	uint64_t lost;
	int error, i;

	if (argc != 5) {
		fprintf(stderr, "make-recording FILE EVENTS PEERS LOST\n");
		return 2;
	}
	n_peers = atoi(argv[3]);
	lost = atoi(argv[4]);
	queues = calloc(n_peers + 2, sizeof(*queues));
	recorder = recorder_new(argv[1], &info, 0, &error);
	if (!queues || !recorder)
		must(queues ? error : -1);
	must(recorder_snapshot(recorder, before()));
	if (n_peers)
		events(atoll(argv[2]));
	else
		nonsense(atoll(argv[2]));
	print_counts();
	for (i = 0; i < EV_MAX; i++) {
		totals[i].seen += lost;
		totals[i].ring_full += lost;
	}
	printf("lost=%" PRIu64 "\n", lost * EV_MAX);
	must(recorder_counts(recorder, totals, written, 0));
	must(recorder_end(recorder, now));
	must(recorder_close(recorder));
	return 0;
}
