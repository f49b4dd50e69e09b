// SPDX-License-Identifier: GPL-2.0-only
/* What /proc/PID/fdinfo and debugfs say of a peer. */
#include <sys/stat.h>

#include "objects.h"

static bool is(int peer, int nodes, int handles, int queued, int bytes)
{
	bool good = (int)b1_count(peer, "bus1-nodes") == nodes &&
		    (int)b1_count(peer, "bus1-handles") == handles &&
		    (int)b1_count(peer, "bus1-queued") == queued &&
		    (int)b1_count(peer, "bus1-queued-bytes") == bytes;

	if (!good)
		diag("nodes %d handles %d queued %d bytes %d",
		     (int)b1_count(peer, "bus1-nodes"),
		     (int)b1_count(peer, "bus1-handles"),
		     (int)b1_count(peer, "bus1-queued"),
		     (int)b1_count(peer, "bus1-queued-bytes"));
	return good;
}

static void test_fdinfo(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t h, node, h2;
	struct b1_msg m;

	ok(b1_count(a, "bus1-peer") && b1_count(b, "bus1-peer") &&
		   b1_count(a, "bus1-peer") != b1_count(b, "bus1-peer"),
	   "each peer has its number");
	ok(b1_count(a, "bus1-uid") == geteuid(), "its user");
	ok(is(a, 0, 0, 0, 0), "a new peer has nothing");
	node = b1_node_to(a, b, &h);
	ok(is(a, 1, 0, 0, 0) && is(b, 0, 1, 0, 0), "a node, a handle");
	h2 = b1_copy(b, h, b);
	b1_says(b, h, "12345");
	b1_gives(b, h, "123", h2);
	ok(is(a, 1, 0, 2, 8) && is(b, 0, 2, 0, 0), "two messages queued");
	b1_recv_room(a, &m, 0, 0);
	ok(is(a, 1, 0, 2, 8), "one refused for its size still is");
	b1_recv(a, &m);
	ok(is(a, 1, 0, 1, 3), "one received");
	b1_recv(a, &m);
	ok(is(a, 1, 1, 0, 0), "its handle is installed");
	b1_release(b, 2, (uint64_t[]){ h, h2 });
	ok(is(a, 1, 1, 0, 0) && is(b, 0, 0, 0, 0), "handles dropped");
	b1_drop(a, m.t[0].id);
	ok(is(a, 1, 0, 1, 0), "a notification counts as queued");
	b1_handle_gone(a, node);
	ok(is(a, 0, 0, 0, 0), "received, nothing is left");
	close(a);
	close(b);
}

static void test_objects(void)
{
	int a = b1_open(), b = b1_open();
	uint64_t pa = b1_count(a, "bus1-peer"), pb = b1_count(b, "bus1-peer");
	uint64_t h, node = b1_node_to(a, b, &h), h2 = b1_copy(b, h, a);
	uint64_t dead, dn = b1_node_to(a, b, &dead), start = b1_now(), t;
	char line[512];
	struct b1_msg m;

	b1_gives(b, h, "hello", h);
	ok(line_of("peer", pa, 0, line, sizeof(line)) &&
		   has(line, "uid", geteuid()) && has(line, "pid", getpid()) &&
		   has(line, "nodes", 2) && has(line, "handles", 1) &&
		   has(line, "queued", 1) && has(line, "bytes", 5),
	   "the peer with the nodes");
	t = value(line, "created");
	ok(t < start && start - t < 60000000000ull, "made just before");
	ok(line_of("peer", pb, 0, line, sizeof(line)) &&
		   has(line, "nodes", 0) && has(line, "handles", 2),
	   "the peer with the handles");
	ok(line_of("node", pa, node, line, sizeof(line)) &&
		   has(line, "dead", 0) && value(line, "handles") >= 2 &&
		   value(line, "handles") <= 3,
	   "the node: two handles, one in flight");
	ok(line_of("handle", pb, h, line, sizeof(line)) &&
		   has(line, "node_peer", pa) && has(line, "node", node) &&
		   has(line, "dead", 0) && strstr(line, " how=created "),
	   "the handle made with it");
	ok(line_of("handle", pa, h2, line, sizeof(line)) &&
		   has(line, "node_peer", pa) && has(line, "node", node) &&
		   strstr(line, " how=transferred "),
	   "the copy");
	b1_hears_msg(a, node, "hello", 5, 1, &m);
	ok(line_of("handle", pa, m.t[0].id, line, sizeof(line)) &&
		   has(line, "node_peer", pa) && has(line, "node", node) &&
		   has(line, "tx_peer", pb) && has(line, "index", 0) &&
		   has(line, "slot", 0) && strstr(line, " how=message "),
	   "the handle a message brought");
	b1_drop(a, dn);
	ok(line_of("handle", pb, dead, line, sizeof(line)) &&
		   has(line, "dead", 1),
	   "a handle whose node is dead");
	ok(!line_of("node", pa, dn, line, sizeof(line)) || has(line, "dead", 1),
	   "its node is gone, or dead");
	b1_node_gone(b, dead);
	ok(!line_of("handle", pb, dead, line, sizeof(line)),
	   "gone with its notification");
	close(a);
	ok(!line_of("peer", pa, 0, line, sizeof(line)) &&
		   !line_of("node", pa, node, line, sizeof(line)) &&
		   !line_of("handle", pa, h2, line, sizeof(line)),
	   "a closed peer is not listed");
	close(b);
}

static void test_header(void)
{
	FILE *f = fopen(OBJECTS, "re");
	char line[512] = "";
	uint64_t t, now;

	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	fclose(f);
	line[strcspn(line, "\n")] = 0;
	t = value(line, "time");
	now = b1_now();
	ok(!strncmp(line, "bus1-objects schema=1.4 ", 24) && t <= now &&
		   now - t < 10000000000ull,
	   "the first line: %s", line);
}

/* Larger than any buffer: each object is listed once. */
static void test_many(void)
{
	int a = b1_open(), i, nodes = 0, handles = 0;
	uint64_t pa = b1_count(a, "bus1-peer"), h;
	char line[512];
	FILE *f;

	for (i = 0; i < 3000; i++)
		b1_node(a, &h);
	f = fopen(OBJECTS, "re");
	while (fgets(line, sizeof(line), f)) {
		if (value(line, "peer") != pa)
			continue;
		nodes += !strncmp(line, "node ", 5);
		handles += !strncmp(line, "handle ", 7);
	}
	fclose(f);
	ok(nodes == 3000 && handles == 3000,
	   "3000 nodes and handles are listed: %d, %d", nodes, handles);
	close(a);
}

int main(void)
{
	struct stat st;

	test_fdinfo();
	if (!objects_there())
		return done_testing();
	stat(OBJECTS, &st);
	ok((st.st_mode & 0777) == 0400, "%s is mode 0400", OBJECTS);
	test_header();
	test_objects();
	test_many();
	return done_testing();
}
