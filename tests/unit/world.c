// SPDX-License-Identifier: GPL-2.0-only
/*
 * The world of bus1-trace, fed with snapshots and events in awkward orders. Each
 * case is a process of its own, since there is but one world in each.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bus1-trace.h"
#include "world.h"

/* What world.c needs of the rest of the tool */
bool debug;

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

struct peer *peers_find(uint64_t id)
{
	static struct peer peer = { .has_name = true, .pid = 7,
				    .comm = "somebody" };

	return id == 9 ? &peer : NULL;
}

static struct bus1_stack *stack;

static void event(uint32_t type, size_t n, const uint64_t *args)
{
	struct item item = { .event.type = type, .n_args = n, .stack = stack };

	if (n)
		memcpy(item.event.arg, args, n * sizeof(*args));
	world_event(&item);
}

#define EVENT(name, ...)                                                 \
	event(EV_##name,                                                 \
	      sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t),    \
	      (uint64_t[]){ __VA_ARGS__ })

/* A snapshot of these lines, behind the one that every snapshot begins with */
static void snapshot(const char *lines)
{
	struct snapshot s = { 0 };
	char *copy = strdup(lines), *line;

	snapshot_line(&s, "snapshot time=100 objects=1 debugfs=1 bpf=1 initial_pids=1 unreadable=0");
	for (line = strtok(copy, "\n"); line; line = strtok(NULL, "\n"))
		snapshot_line(&s, line);
	snapshot_complete(&s);
	world_snapshot(&s);
	snapshot_free(&s);
	free(copy);
}

static char said[65536];
static size_t n_said;

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	n_said += vsnprintf(said + n_said, sizeof(said) - n_said, fmt, args);
	va_end(args);
}

/* Nodes and handles by ID, as debugfs has them, and then the queue */
static void say_object(const char *line)
{
	uint64_t id = object_value(line, "id");
	char kind[16] = "";

	if (!strncmp(line, "node ", 5)) {
		say(" n%" PRIu64 "x%" PRIu64, id, object_value(line, "handles"));
	} else if (!strncmp(line, "handle ", 7)) {
		say(" h%" PRIu64 ">%" PRIu64 ".%" PRIu64 "%s", id,
		    object_value(line, "node_peer"), object_value(line, "node"),
		    object_value(line, "dead") ? "!" : "");
	} else if (!strncmp(line, "message ", 8)) {
		say(" m%" PRIu64 ".%" PRIu64 ".%" PRIu64,
		    object_value(line, "tx_peer"), object_value(line, "tx"),
		    object_value(line, "index"));
	} else {
		object_word(line, "kind", kind, sizeof(kind));
		say(" %c%" PRIu64, *kind == 'n' ? 'N' : 'H', id);
	}
}

/* Each peer with what it has; a dead one in brackets */
static const char *state(void)
{
	struct world_peer **all;
	struct snapshot s;
	size_t n, i, j;

	n_said = 0;
	*said = '\0';
	world_to_snapshot(&s, 1000);
	for (i = 0; i < s.n_peers; i++) {
		const struct peer_state *p = &s.peers[i];

		say("%s%" PRIu64 ":", i ? " | " : "", p->id);
		for (j = 0; j < p->n_objects; j++)
			say_object(p->objects[j]);
		if (p->queued)
			say(" q%" PRIu64 "/%" PRIu64, p->queued, p->bytes);
	}
	snapshot_free(&s);
	n = world_peers(&all);
	for (i = 0; i < n; i++)
		if (all[i]->dead)
			say(" [%" PRIu64 "]", all[i]->id);
	return said;
}

static int failures;

static void expect(const char *wanted)
{
	const char *got = state();

	if (!strcmp(got, wanted))
		return;
	printf("# got    \"%s\"\n# wanted \"%s\"\n", got, wanted);
	failures++;
}

static void expect_number(uint64_t got, uint64_t wanted)
{
	if (got == wanted)
		return;
	printf("# got %" PRIu64 ", wanted %" PRIu64 "\n", got, wanted);
	failures++;
}

#define PEER(id, more) "peer id=" #id " uid=0 pid=5 created=10 " more "\n"
#define HANDLE(p, id, np, n, more)                                       \
	"handle peer=" #p " id=" #id " node_peer=" #np " node=" #n       \
	" how=created tx_peer=" #np " tx=1 index=0 slot=0 created=20 " more "\n"
#define NODE(p, id) "node peer=" #p " id=" #id " handles=1 dead=0 created=20\n"
#define MESSAGE(p, tp, t, i)                                             \
	"message peer=" #p " tx_peer=" #tp " tx=" #t " index=" #i        \
	" node=1 bytes=17 handles=0 stamp=50\n"

/* Two peers, a node of 1, and 2's handle to it */
#define TWO PEER(1, "") NODE(1, 1) PEER(2, "") HANDLE(2, 1, 1, 1, "dead=0 used=0")

static void test_snapshot(void)
{
	struct world_handle *h;

	snapshot(PEER(1, "received=3 transactions=4 oldest=50 name=server")
		 NODE(1, 1) MESSAGE(1, 2, 5, 0) MESSAGE(1, 2, 6, 0)
		 "holder peer=1 pid=77 fd=3 comm=a b\n"
		 PEER(2, "") HANDLE(2, 1, 1, 1, "dead=0 used=44"));
	expect("1: n1x1 m2.5.0 m2.6.0 q2/34 | 2: h1>1.1");
	h = world_handle(2, 1);
	expect_number(h->used, 44);
	expect_number(h->before, true);
	expect_number(world_oldest(world_peer(1)), 50);
	expect_number(world_peer(1)->received, 3);
	expect_number(world_peer(1)->transactions, 4);
	expect_number(strcmp(world_peer(1)->holders[0].comm, "a b"), 0);
}

/* What changed between the start of the stream and the snapshot is in both. */
static void test_both(void)
{
	snapshot(TWO PEER(3, "") MESSAGE(1, 2, 7, 0));
	EVENT(peer_new, 3, 0, 9, 30);
	EVENT(node_new, 1, 1, 31);
	EVENT(handle_new, 2, 1, 1, 1, BUS1_HOW_CREATED, 1, 1, 0, 0, 32);
	EVENT(msg_send, 2, 7, 0, 1, 1, 17, 0, 50, 1);
	EVENT(tx_commit, 2, 7, BUS1_TX_SEND, 1, 1, 0, 50, 51);
	expect("1: n1x1 m2.7.0 q1/17 | 2: h1>1.1 | 3:");
	expect_number(world_handle(2, 1)->before, false);
	expect_number(world_handle(2, 1)->sends, 1);
	expect_number(world_handle(2, 1)->used, 50);
	expect_number(world_peer(2)->transactions, 7);
	EVENT(msg_recv, 1, 1, 2, 7, 0, 1, 17, 0, 9, 60);
	expect("1: n1x1 | 2: h1>1.1 | 3:");
	expect_number(world_peer(1)->received, 1);
}

/* In the stream it came and went, before the snapshot was taken. */
static void test_gone_before(void)
{
	snapshot(PEER(1, "") PEER(2, ""));
	EVENT(peer_new, 9, 0, 9, 30);
	EVENT(node_new, 1, 1, 31);
	EVENT(handle_new, 2, 1, 1, 1, BUS1_HOW_CREATED, 1, 1, 0, 0, 32);
	EVENT(msg_send, 2, 7, 0, 1, 1, 17, 0, 50, 1);
	EVENT(msg_recv, 1, 1, 2, 7, 0, 1, 17, 0, 9, 51);
	EVENT(tx_commit, 2, 7, BUS1_TX_SEND, 1, 1, 0, 50, 52);
	expect("1: n1x1 | 2: h1>1.1 | 9:");
	EVENT(handle_release, 2, 1, 1, 1, BUS1_WHY_RELEASED, 60);
	EVENT(notify_send, 2, 8, BUS1_KIND_HANDLE_RELEASE, 1, 1, 1, 1, 60);
	expect("1: n1x0 H1 q1/0 | 2: | 9:");
	EVENT(notify_recv, 1, 2, 2, 8, BUS1_KIND_HANDLE_RELEASE, 1, 1, 1, 3,
	      61);
	EVENT(node_release, 1, 1, 0, BUS1_WHY_NOTIFIED, 61);
	EVENT(peer_free, 9, 0, 0, 0, 62);
	expect("1: | 2:");
}

/* What went was there before the start: nothing is known of how it came. */
static void test_unknown(void)
{
	snapshot(PEER(1, "") PEER(2, ""));
	EVENT(msg_recv, 1, 1, 2, 7, 0, 1, 17, 0, 0, 30);
	EVENT(handle_release, 2, 1, 1, 1, BUS1_WHY_RELEASED, 31);
	EVENT(node_release, 1, 1, 3, BUS1_WHY_RELEASED, 32);
	EVENT(notify_drop, 2, 1, 3, BUS1_KIND_NODE_RELEASE, 1, 1, 1,
	      BUS1_WHY_RELEASED, 33);
	EVENT(msg_discard, 1, 2, 6, 0, 1, 17, 0, BUS1_WHY_RELEASED, 34);
	EVENT(peer_free, 77, 0, 0, 0, 35);
	/* sent to one that was closed before */
	EVENT(msg_send, 2, 8, 0, 50, 1, 17, 0, 41, 1);
	expect("1: | 2:");
}

/* A node dies: its handle is dead until its holder is told. */
static void test_node_release(void)
{
	snapshot(TWO);
	EVENT(node_release, 1, 1, 2, BUS1_WHY_RELEASED, 40);
	EVENT(notify_send, 1, 2, BUS1_KIND_NODE_RELEASE, 2, 1, 1, 1, 41);
	EVENT(tx_commit, 1, 2, BUS1_TX_RELEASE, 1, 0, 1, 41, 42);
	expect("1: | 2: h1>1.1! N1 q1/0");
	EVENT(notify_recv, 2, 1, 1, 2, BUS1_KIND_NODE_RELEASE, 1, 1, 1, 5, 46);
	EVENT(handle_release, 2, 1, 1, 1, BUS1_WHY_NOTIFIED, 46);
	expect("1: | 2:");
}

/* The holder was first: the notification vanishes. */
static void test_notify_drop(void)
{
	snapshot(TWO);
	EVENT(node_release, 1, 1, 2, BUS1_WHY_RELEASED, 40);
	EVENT(handle_release, 2, 1, 1, 1, BUS1_WHY_RELEASED, 40);
	EVENT(notify_send, 1, 2, BUS1_KIND_NODE_RELEASE, 2, 1, 1, 1, 41);
	expect("1: | 2: N1 q1/0");
	EVENT(notify_drop, 2, 1, 2, BUS1_KIND_NODE_RELEASE, 1, 1, 1,
	      BUS1_WHY_RELEASED, 43);
	expect("1: | 2:");
}

/* The owner is gone; its node's handle is there until that is read. */
static void test_owner_free(void)
{
	snapshot(TWO);
	EVENT(msg_send, 2, 3, 0, 1, 1, 17, 0, 38, 1);
	EVENT(node_release, 1, 1, 2, BUS1_WHY_CLOSED, 40);
	EVENT(msg_discard, 1, 2, 3, 0, 1, 17, 0, BUS1_WHY_CLOSED, 40);
	EVENT(notify_send, 1, 2, BUS1_KIND_NODE_RELEASE, 2, 1, 1, 1, 41);
	EVENT(tx_commit, 1, 2, BUS1_TX_CLOSE, 1, 0, 1, 41, 42);
	EVENT(peer_free, 1, 0, 2, 0, 43);
	expect("2: h1>1.1! N1 q1/0 [1]");
	/* sent to one that is closed, and discarded by the sender */
	EVENT(msg_send, 2, 4, 0, 1, 1, 17, 0, 44, 1);
	expect("2: h1>1.1! N1 q1/0 [1]");
	EVENT(msg_discard, 1, 2, 4, 0, 1, 17, 0, BUS1_WHY_CLOSED, 45);
	EVENT(notify_recv, 2, 1, 1, 2, BUS1_KIND_NODE_RELEASE, 1, 1, 1, 5, 46);
	expect("2:");
	EVENT(handle_release, 2, 1, 1, 1, BUS1_WHY_NOTIFIED, 46);
	expect("2:");
}

/* Of an owner that was closed before the start only handles are left. */
static void test_owner_unknown(void)
{
	snapshot(PEER(2, "") HANDLE(2, 1, 1, 1, "dead=1 used=0")
		 "notification peer=2 tx_peer=1 tx=2 kind=node_release id=1"
		 " node_peer=1 node=1 stamp=0\n");
	expect("2: h1>1.1! N1 q1/0 [1]");
	EVENT(handle_release, 2, 1, 1, 1, BUS1_WHY_RELEASED, 46);
	EVENT(notify_drop, 2, 1, 2, BUS1_KIND_NODE_RELEASE, 1, 1, 1,
	      BUS1_WHY_RELEASED, 47);
	expect("2:");
}

/* The receiver closes with messages in its queue and handles of its own. */
static void test_close(void)
{
	snapshot(TWO MESSAGE(2, 1, 5, 0));
	EVENT(msg_send, 1, 6, 0, 2, 5, 3, 0, 60, 7);
	expect("1: n1x1 | 2: h1>1.1 m1.5.0 m1.6.0 q2/20");
	EVENT(handle_release, 2, 1, 1, 1, BUS1_WHY_CLOSED, 41);
	EVENT(peer_free, 2, 0, 0, 0, 42);
	expect("1: n1x0");
	/* late: from before its end */
	EVENT(msg_send, 1, 8, 0, 2, 5, 3, 0, 41, 7);
	EVENT(handle_new, 2, 3, 1, 1, BUS1_HOW_CREATED, 1, 1, 0, 0, 39);
	EVENT(node_new, 2, 5, 39);
	EVENT(peer_new, 2, 0, 5, 39);
	expect("1: n1x0");
}

/* Late events: what went before it came does not come. */
static void test_late(void)
{
	snapshot(PEER(1, "") PEER(2, ""));
	EVENT(handle_release, 2, 1, 1, 1, BUS1_WHY_RELEASED, 41);
	EVENT(handle_new, 2, 1, 1, 1, BUS1_HOW_CREATED, 1, 1, 0, 0, 40);
	EVENT(node_release, 1, 1, 3, BUS1_WHY_RELEASED, 42);
	EVENT(node_new, 1, 1, 40);
	EVENT(msg_recv, 1, 1, 2, 7, 0, 1, 17, 0, 0, 43);
	EVENT(msg_send, 2, 7, 0, 1, 1, 17, 0, 40, 1);
	EVENT(notify_recv, 2, 1, 1, 9, BUS1_KIND_NODE_RELEASE, 5, 1, 1, 5, 46);
	EVENT(notify_send, 1, 9, BUS1_KIND_NODE_RELEASE, 2, 5, 1, 1, 41);
	EVENT(handle_new, 2, 5, 1, 1, BUS1_HOW_CREATED, 1, 1, 0, 0, 40);
	expect("1: | 2:");
}

/*
 * A handle that arrives after its node died: the notification has the stamp of
 * the message, so it is handed over first, and takes that place in the queue.
 */
static void test_dead_on_arrival(void)
{
	snapshot(PEER(1, "") PEER(2, ""));
	EVENT(msg_send, 1, 4, 0, 2, 3, 1, 1, 40, 9);
	EVENT(msg_send, 1, 5, 0, 2, 3, 1, 0, 41, 9);
	EVENT(msg_recv, 2, 1, 1, 4, 0, 3, 1, 1, 9, 49);
	EVENT(notify_send, 1, 4, BUS1_KIND_NODE_RELEASE, 2, 11, 1, 1, 40);
	EVENT(handle_new, 2, 11, 1, 1, BUS1_HOW_MESSAGE, 1, 4, 0, 0, 50);
	expect("1: | 2: h11>1.1! N11 m1.5.0 q2/1");
	expect_number(world_handle(2, 11)->how, BUS1_HOW_MESSAGE);
	expect_number(world_oldest(world_peer(2)), 40);
}

/* A message that was skipped was never sent. */
static void test_quota(void)
{
	snapshot(PEER(1, "") PEER(2, ""));
	EVENT(msg_discard, 1, 2, 7, 1, 1, 17, 0, BUS1_WHY_QUOTA, 40);
	EVENT(msg_send, 2, 7, 1, 1, 1, 17, 0, 41, 1);
	expect("1: m2.7.1 q1/17 | 2:");
}

/* Without debugfs: what the peers' lines count, and what events tell */
static void test_partial(void)
{
	struct snapshot s = { 0 };

	snapshot_line(&s, "snapshot time=100 objects=0 debugfs=1");
	snapshot_line(&s, "peer id=1 nodes=1 handles=2 queued=3 bytes=30");
	snapshot_complete(&s);
	world_snapshot(&s);
	snapshot_free(&s);
	EVENT(msg_recv, 1, 4, 2, 7, 0, 1, 10, 0, 0, 30);
	EVENT(handle_release, 1, 1, 2, 1, BUS1_WHY_RELEASED, 31);
	EVENT(handle_release, 1, 3, 2, 1, BUS1_WHY_RELEASED, 31);
	EVENT(handle_release, 1, 5, 2, 1, BUS1_WHY_RELEASED, 31);
	expect("1: q2/20");
	expect_number(world_peer(1)->n_handles, 0);
	EVENT(msg_send, 5, 1, 0, 6, 1, 4, 0, 41, 1);
	expect("1: q2/20 | 6: m5.1.0 q1/4");
}

/* A second snapshot, of a recording that was rotated, is told by the events. */
static void test_twice(void)
{
	snapshot(TWO);
	EVENT(handle_release, 2, 1, 1, 1, BUS1_WHY_RELEASED, 41);
	snapshot(TWO);
	expect("1: n1x0 | 2:");
}

static void test_stacks(void)
{
	struct bus1_stack made = { .n = 2, .pid = 5, .tid = 5,
				   .ip = { 0x10, 0x20 } };

	snapshot(PEER(1, "") PEER(2, ""));
	stack = &made;
	EVENT(handle_new, 2, 1, 1, 1, BUS1_HOW_CREATED, 1, 1, 0, 0, 40);
	made.tid = 6;
	EVENT(handle_new, 2, 3, 1, 1, BUS1_HOW_CREATED, 1, 1, 0, 0, 41);
	made.ip[1] = 0x30;
	EVENT(handle_new, 2, 5, 1, 1, BUS1_HOW_CREATED, 1, 1, 0, 0, 42);
	stack = NULL;
	expect_number(world_handle(2, 1)->stack == world_handle(2, 3)->stack,
		      1);
	expect_number(world_handle(2, 1)->stack == world_handle(2, 5)->stack,
		      0);
	expect_number(world_handle(2, 5)->stack->ip[1], 0x30);
	EVENT(handle_release, 2, 1, 1, 1, BUS1_WHY_RELEASED, 43);
	expect_number(world_handle(2, 3)->stack->ip[1], 0x20);
	EVENT(peer_free, 2, 0, 0, 0, 44);
}

/* Some 100 handles are made and released, a million times. */
static void test_memory(void)
{
	uint64_t i;
	FILE *file;
	long pages[2] = { 0 };

	snapshot(PEER(1, "") PEER(2, ""));
	for (i = 1; i < 1000000; i++) {
		EVENT(node_new, 1, 2 * i, i);
		EVENT(handle_new, 2, i, 1, 2 * i, BUS1_HOW_CREATED, 1, i, 0, 0,
		      i);
		EVENT(msg_send, 2, i, 0, 1, 2 * i, 17, 0, i, i);
		EVENT(peer_new, 10 + i, 0, 1, i);
		if (i > 100) {
			EVENT(msg_recv, 1, i, 2, i - 100, 0, 1, 17, 0, 0, i);
			EVENT(handle_release, 2, i - 100, 1, 2 * (i - 100),
			      BUS1_WHY_RELEASED, i);
			EVENT(node_release, 1, 2 * (i - 100), i,
			      BUS1_WHY_RELEASED, i);
			EVENT(peer_free, 10 + i - 100, 0, 0, 0, i);
		}
		/* never known to have come */
		EVENT(handle_release, 2, 5000000 + i, 1, 1, BUS1_WHY_RELEASED,
		      i);
		if (i == 50000 || i == 999999) {
			file = fopen("/proc/self/statm", "r");
			if (!file || fscanf(file, "%*d %ld",
					    &pages[i > 50000]) != 1)
				failures++;
			if (file)
				fclose(file);
		}
	}
	if (pages[1] > pages[0] + 256) {
		printf("# %ld pages became %ld\n", pages[0], pages[1]);
		failures++;
	}
}

/* What is counted is what is there. */
static void check_counts(void)
{
	struct world_handle **handles;
	struct world_peer **all;
	size_t n = world_peers(&all), n_handles = world_handles(&handles), i;
	uint64_t held = 0, counted = 0;

	for (i = 0; i < n; i++) {
		const struct world_handle *h;
		const struct world_message *m;
		const struct world_node *node;
		uint64_t nodes = 0, own = 0, queued = 0, bytes = 0;

		for (node = all[i]->nodes; node; node = node->next)
			nodes++;
		for (h = all[i]->handles; h; h = h->next)
			own++;
		for (m = all[i]->first; m; m = m->next) {
			queued++;
			bytes += m->bytes;
		}
		expect_number(all[i]->n_nodes, nodes);
		expect_number(all[i]->n_handles, own);
		expect_number(all[i]->queued, queued);
		expect_number(all[i]->bytes, bytes);
		held += all[i]->held;
		counted += own;
	}
	expect_number(held, n_handles);
	expect_number(counted, n_handles);
}

/* Whatever a file says: events and lines of few IDs, that make no sense */
static void test_anything(void)
{
	static const char *const types[] = { "node", "handle", "message",
					     "notification", "holder" };
	struct bus1_stack made = { .n = 200, .ip = { 1, 2, 3 } };
	struct snapshot s = { 0 };
	uint64_t args[BUS1_EVENT_ARGS];
	char line[256];
	int i, j;

	srandom(1);
	snapshot_line(&s, "snapshot time=1 objects=1 debugfs=1");
	for (i = 0; i < 1000; i++) {
		if (random() % 8 == 0)
			snprintf(line, sizeof(line), "peer id=%ld",
				 random() % 6);
		else
			snprintf(line, sizeof(line),
				 "%s peer=%ld id=%ld node_peer=%ld node=%ld tx_peer=%ld tx=%ld index=%ld bytes=%ld kind=%s dead=%ld how=%s stamp=%ld",
				 types[random() % 5], random() % 6,
				 random() % 6, random() % 8, random() % 6,
				 random() % 6, random() % 6, random() % 3,
				 random() % 99,
				 random() % 2 ? "node_release" : "x",
				 random() % 2, random() % 2 ? "message" : "y",
				 random() % 9);
		snapshot_line(&s, line);
	}
	snapshot_complete(&s);
	world_snapshot(&s);
	snapshot_free(&s);
	check_counts();
	for (i = 0; i < 300000; i++) {
		for (j = 0; j < BUS1_EVENT_ARGS; j++)
			args[j] = random() % 8;
		made.n = random() % 300;
		made.pid = random() % 2;
		stack = random() % 2 ? &made : NULL;
		event(random() % (EV_MAX + 1), random() % BUS1_EVENT_ARGS,
		      args);
		if (i % 10000 == 0)
			check_counts();
	}
	stack = NULL;
	check_counts();
	state();
}

static void take_line(const char *line, void *context)
{
	say("%s\n", line);
	snapshot_line(context, line);
}

/* A snapshot as lines, and back, and as lines: the same */
static void test_lines(void)
{
	struct snapshot s = { .time = 5, .extent = SNAPSHOT_OBJECTS,
			      .debugfs = true, .unreadable = 3 };
	struct snapshot back = { 0 }, again = { 0 };
	struct holder holder = { 5, 6, "x fd=9\ny=z" };
	char *first;

	snapshot_line(&s, "peer id=3 uid=1 pid=2 created=4 nodes=5 handles=6 queued=7 bytes=8 received=9 oldest=10 transactions=11 name=a=b\"");
	snapshot_line(&s, "node peer=3 id=1 handles=1 dead=0 created=3");
	snapshot_line(&s, "notification peer=3 tx_peer=1 tx=2 kind=node_release id=1 node_peer=1 node=1 stamp=0");
	/* of another peer, of no peer, and not understood */
	snapshot_line(&s, "node peer=4 id=1 handles=1 dead=0 created=3");
	snapshot_line(&s, "hand peer=3");
	snapshot_line(&s, "");
	snapshot_line(&s, "peer");
	expect_number(s.n_peers, 1);
	expect_number(s.peers[0].n_objects, 2);
	s.peers[0].holders = grow(NULL, 0, sizeof(holder));
	s.peers[0].holders[0] = holder;
	s.peers[0].n_holders = 1;
	snapshot_lines(&s, take_line, &back);
	snapshot_complete(&back);
	first = strdup(said);
	expect_number(back.peers[0].holders[0].fd, 6);
	expect_number(strcmp(back.peers[0].holders[0].comm, "x fd=9?y=z"), 0);
	expect_number(strcmp(back.peers[0].name, "a=b\""), 0);
	n_said = 0;
	snapshot_lines(&back, take_line, &again);
	expect_number(strcmp(first, said), 0);
	snapshot_free(&s);
	snapshot_free(&back);
	snapshot_free(&again);
	free(first);
}

static const struct {
	const char *what;
	void (*run)(void);
} tests[] = {
	{ "a snapshot", test_snapshot },
	{ "in the snapshot and in the stream", test_both },
	{ "come and gone before the snapshot", test_gone_before },
	{ "gone, and never known", test_unknown },
	{ "a node is released, and its holder told", test_node_release },
	{ "a notification vanishes", test_notify_drop },
	{ "an owner ends", test_owner_free },
	{ "an owner ended before the start", test_owner_unknown },
	{ "a receiver closes", test_close },
	{ "late events", test_late },
	{ "a handle that is dead on arrival", test_dead_on_arrival },
	{ "a message that was skipped", test_quota },
	{ "a snapshot without objects", test_partial },
	{ "a second snapshot", test_twice },
	{ "stacks", test_stacks },
	{ "memory does not grow", test_memory },
	{ "whatever a file says", test_anything },
	{ "a snapshot as lines and back", test_lines },
};

int main(void)
{
	const size_t n = sizeof(tests) / sizeof(*tests);
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < n; i++) {
		int status;
		pid_t child = fork();

		if (!child) {
			tests[i].run();
			exit(!!failures);
		}
		waitpid(child, &status, 0);
		printf("%sok %zu - %s\n", status ? "not " : "", i + 1,
		       tests[i].what);
	}
	printf("1..%zu\n", n);
	return 0;
}
