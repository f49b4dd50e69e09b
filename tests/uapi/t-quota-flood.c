// SPDX-License-Identifier: GPL-2.0-only
/*
 * User 1001 floods a service, user 1000, which has two peers: one that nobody
 * reads and that the flood is for, and one that serves others, who notice
 * nothing. In the middle of that all are killed.
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/prctl.h>

#include "quota.h"

#define OBJECTS 4096
#define BYTES (1 << 20)
#define FLOODERS 4
#define CLIENTS 3
#define CREATE { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID }

enum { WITH_BYTES, EMPTY, WITH_HANDLES, KINDS };

/* What the processes say. */
static struct {
	atomic_uint sent[KINDS], refused[KINDS], odd;
	atomic_uint peers, no_peer;
	atomic_uint served[CLIENTS], lost;
	atomic_uint own, own_lost;
	atomic_int error;
} *said;

static pid_t pids[16];
static unsigned int n_pids;

/* Start a process that ends with this one, or before. */
static bool child(void)
{
	pids[n_pids] = fork();
	if (pids[n_pids])
		return n_pids++, false;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return true;
}

static void lost(atomic_uint *count, int error)
{
	atomic_store(&said->error, error);
	atomic_fetch_add(count, 1);
}

static int wait_for(int peer)
{
	struct pollfd p = { .fd = peer, .events = POLLIN };

	return poll(&p, 1, 20000) == 1 ? 0 : ETIMEDOUT;
}

/* --- who floods -------------------------------------------------------------
 */

static void flood_kind(int peer, uint64_t to, int kind)
{
	struct bus1_transfer t[16];
	int i, r = 0;

	for (i = 0; i < 16; i++)
		t[i] = (struct bus1_transfer){ 0, to };
	while (!r) {
		r = quota_send(peer, 0, 1, &to, NULL,
			       kind == WITH_BYTES ? 4096 : 0, t,
			       kind == WITH_HANDLES ? 16 : 0);
		if (!r)
			atomic_fetch_add(&said->sent[kind], 1);
	}
	if (r == EDQUOT)
		atomic_fetch_add(&said->refused[kind], 1);
	else
		lost(&said->odd, r);
}

/* Have ever new peers, which close with what they sent still there. */
static void flood(int first, uint64_t to)
{
	struct bus1_transfer src = { 0, to }, dst;
	int peers[8], i, r;

	memset(peers, -1, sizeof(peers));
	if (setresuid(1001, 1001, 1001))
		_exit(1);
	for (i = 0;; i++) {
		close(peers[i % 8]);
		peers[i % 8] = open("/dev/bus1", O_RDWR | O_CLOEXEC);
		if (peers[i % 8] < 0) {
			if (errno == EDQUOT)
				atomic_fetch_add(&said->no_peer, 1);
			else
				lost(&said->odd, errno);
			continue;
		}
		atomic_fetch_add(&said->peers, 1);
		r = b1_transfer(first, peers[i % 8], 1, &src, &dst);
		if (!r)
			flood_kind(peers[i % 8], dst.id, i % KINDS);
		else if (r != EDQUOT)
			lost(&said->odd, r);
	}
}

/* --- who works --------------------------------------------------------------
 */

/* Answer each request by the handle that came with it. */
static void serve(int peer)
{
	struct b1_msg m;
	int r;

	for (;;) {
		wait_for(peer);
		if (b1_recv(peer, &m) || m.msg.n_transfers != 1)
			continue;
		r = b1_says(peer, m.t[0].id, "done");
		if (r)
			lost(&said->lost, r);
		b1_drop(peer, m.t[0].id);
	}
}

/* Send requests, each with a handle for the answer. */
static void request(int peer, uint64_t to, int i)
{
	struct bus1_transfer t;
	struct b1_msg m;
	int r;

	for (;;) {
		t = (struct bus1_transfer)CREATE;
		r = quota_send(peer, 0, 1, &to, NULL, 100, &t, 1);
		if (!r)
			r = wait_for(peer);
		if (!r && !b1_hears_msg(peer, t.id, "done", 4, 0, &m))
			r = ENOMSG;
		if (!r)
			r = wait_for(peer);
		if (!r && !b1_handle_gone(peer, t.id))
			r = ENOMSG;
		if (r)
			lost(&said->lost, r);
		atomic_fetch_add(&said->served[i], 1);
	}
}

/* Another process of the service's user, with peers of its own. */
static void work(void)
{
	uint64_t h, node;
	int a, b, r;

	for (;;) {
		a = try_open_as(1000);
		b = try_open_as(1000);
		if (a < 0 || b < 0) {
			lost(&said->own_lost, a < 0 ? -a : -b);
			continue;
		}
		node = b1_node_to(a, b, &h);
		r = b1_says(b, h, "work");
		if (r || !b1_hears(a, node, "work"))
			lost(&said->own_lost, r);
		close(a);
		close(b);
		atomic_fetch_add(&said->own, 1);
	}
}

/* --- the test ---------------------------------------------------------------
 */

static bool enough(void)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		if (atomic_load(&said->served[i]) < 300)
			return false;
	for (i = 0; i < KINDS; i++)
		if (atomic_load(&said->refused[i]) < 50)
			return false;
	return atomic_load(&said->own) > 100;
}

static uint64_t flooded(const char *key)
{
	return quota_trace(1000, 1001, QUOTA_ANY, key);
}

int main(void)
{
	static const uid_t uids[CLIENTS] = { 1002, 1002, 1003 };
	int unread, server, first, client[CLIENTS], i, bad = 0;
	uint64_t to[CLIENTS], victim, objects, bytes, queued, start, left;
	uint64_t total;

	if (!quota_begin())
		return done_testing();
	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	quota_set_maxima(OBJECTS, BYTES);
	unread = open_as(1000);
	server = open_as(1000);
	first = open_as(1001);
	b1_node_to(unread, first, &victim);
	for (i = 0; i < CLIENTS; i++) {
		client[i] = open_as(uids[i]);
		b1_node_to(server, client[i], &to[i]);
	}
	for (i = 0; i < FLOODERS; i++)
		if (child())
			flood(first, victim);
	if (child())
		serve(server);
	if (child())
		work();
	for (i = 0; i < CLIENTS; i++)
		if (child())
			request(client[i], to[i], i);
	close(server);
	close(first);
	for (i = 0; i < CLIENTS; i++)
		close(client[i]);

	start = b1_now();
	while (!enough() && b1_now() - start < 100000000000ull) {
		bad += flooded("objects") > OBJECTS / 4 ||
		       flooded("bytes") > BYTES / 4;
		left = b1_count(unread, "bus1-left-objects");
		bad += !left || left > OBJECTS;
		b1_msleep(20);
	}
	objects = flooded("objects");
	bytes = flooded("bytes");
	queued = b1_count(unread, "bus1-queued");
	total = 0;
	for (i = 0; i < KINDS; i++)
		total += atomic_load(&said->sent[i]);
	ok(enough(), "all had their turns in %d ms",
	   (int)((b1_now() - start) / 1000000));
	ok(!atomic_load(&said->lost),
	   "other users' requests to another peer: %u, %u, %u, and %u lost",
	   atomic_load(&said->served[0]), atomic_load(&said->served[1]),
	   atomic_load(&said->served[2]), atomic_load(&said->lost));
	ok(!atomic_load(&said->own_lost),
	   "the service's own user opened peers and used them %u times, not %u",
	   atomic_load(&said->own), atomic_load(&said->own_lost));
	ok(!atomic_load(&said->odd) && atomic_load(&said->peers) > FLOODERS,
	   "the flood, of %u peers, was refused for its quota only",
	   atomic_load(&said->peers));
	if (atomic_load(&said->error))
		diag("an error was: %s", strerror(atomic_load(&said->error)));
	for (i = 0; i < KINDS; i++)
		diag("%s: %u sent, %u times refused",
		     (const char *[]){ "4096 bytes", "empty", "16 handles" }[i],
		     atomic_load(&said->sent[i]),
		     atomic_load(&said->refused[i]));
	ok(!bad && objects <= OBJECTS / 4 && bytes <= BYTES / 4 &&
		   objects > OBJECTS / 16,
	   "however many peers: %" PRIu64 " of %d objects, %" PRIu64
	   " of %d bytes",
	   objects, OBJECTS, bytes, BYTES);
	ok(queued == total || (queued > total && queued <= total + FLOODERS),
	   "what was sent is there: %" PRIu64 " messages", queued);

	for (i = n_pids; i--;)
		kill(pids[i], SIGKILL);
	for (i = n_pids; i--;)
		waitpid(pids[i], NULL, 0);
	ok(flooded("objects") >= objects && quota_user(QUOTA_ANY, NULL) == 1 &&
		   quota_adds_up(),
	   "all killed: one peer is left, and what it was sent is there");
	close(unread);
	ok(quota_nothing(), "that closed: nothing is left");
	return done_testing();
}
