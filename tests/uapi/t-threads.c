// SPDX-License-Identifier: GPL-2.0-only
/* Many threads on shared peers: nothing is lost, nothing comes twice. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>

#include "b1.h"

/* --- every message to a live receiver, once ---------------------------------
 */

#define SENDERS 3
#define RECEIVERS 3
#define MESSAGES 2000

struct note {
	uint32_t sender, seq;
};

static int sender[SENDERS], receiver[RECEIVERS];
static uint64_t node[RECEIVERS], to[SENDERS][RECEIVERS];
static atomic_uchar counts[RECEIVERS][SENDERS][MESSAGES];
static atomic_uint received[RECEIVERS], expected[RECEIVERS];
static atomic_uint disorder, wrong, sending;

static void *send_all(void *arg)
{
	unsigned int s = (uintptr_t)arg, i, r;
	struct note note = { .sender = s };
	struct bus1_transfer t;
	int e;

	for (i = 0; i < MESSAGES; i++) {
		note.seq = i;
		r = i % RECEIVERS;
		t = (struct bus1_transfer){ 0, to[s][(i + 1) % RECEIVERS] };
		if (i % 4)
			e = b1_multicast(sender[s], 1, &to[s][r], NULL, &note,
					 sizeof(note), &t, i % 4 == 1);
		else
			e = b1_multicast(sender[s], RECEIVERS, to[s], NULL,
					 &note, sizeof(note), &t, i % 8 == 0);
		if (e)
			atomic_fetch_add(&wrong, 1);
	}
	atomic_fetch_sub(&sending, 1);
	return NULL;
}

static void *receive_all(void *arg)
{
	unsigned int r = (uintptr_t)arg % RECEIVERS, i;
	bool alone = r != 1;
	int last[SENDERS] = { -1, -1, -1 };
	struct pollfd p = { .fd = receiver[r], .events = POLLIN };
	struct note note;
	struct b1_msg m;

	while (atomic_load(&received[r]) < atomic_load(&expected[r])) {
		if (b1_recv(receiver[r], &m)) {
			if (poll(&p, 1, 200) == 0 && !atomic_load(&sending))
				break;
			continue;
		}
		memcpy(&note, m.data, sizeof(note));
		if (m.msg.type || m.meta.id != node[r] ||
		    m.msg.n_data != sizeof(note) || note.sender >= SENDERS ||
		    note.seq >= MESSAGES) {
			atomic_fetch_add(&wrong, 1);
			continue;
		}
		for (i = 0; i < m.msg.n_transfers; i++)
			if (b1_drop(receiver[r], m.t[i].id))
				atomic_fetch_add(&wrong, 1);
		if (alone && (int)note.seq <= last[note.sender])
			atomic_fetch_add(&disorder, 1);
		last[note.sender] = note.seq;
		atomic_fetch_add(&counts[r][note.sender][note.seq], 1);
		atomic_fetch_add(&received[r], 1);
	}
	return NULL;
}

static void test_messages(void)
{
	pthread_t thread[SENDERS + RECEIVERS + 1];
	unsigned int r, s, i, n = 0, bad = 0;

	for (r = 0; r < RECEIVERS; r++)
		receiver[r] = b1_open();
	for (s = 0; s < SENDERS; s++) {
		sender[s] = b1_open();
		for (r = 0; r < RECEIVERS; r++) {
			if (!s)
				node[r] = b1_node_to(receiver[r], sender[s],
						     &to[s][r]);
			else
				to[s][r] =
					b1_copy(sender[0], to[0][r], sender[s]);
		}
	}
	for (i = 0; i < MESSAGES; i++)
		for (r = 0; r < RECEIVERS; r++)
			if (i % 4 == 0 || i % RECEIVERS == r)
				expected[r] += SENDERS;
	sending = SENDERS;
	/* Two threads receive on the peer in the middle. */
	for (r = 0; r < RECEIVERS; r++)
		pthread_create(&thread[n++], NULL, receive_all,
			       (void *)(uintptr_t)r);
	pthread_create(&thread[n++], NULL, receive_all,
		       (void *)(uintptr_t)(RECEIVERS + 1));
	for (s = 0; s < SENDERS; s++)
		pthread_create(&thread[n++], NULL, send_all,
			       (void *)(uintptr_t)s);
	while (n)
		pthread_join(thread[--n], NULL);
	for (r = 0; r < RECEIVERS; r++)
		for (s = 0; s < SENDERS; s++)
			for (i = 0; i < MESSAGES; i++)
				bad += counts[r][s][i] !=
				       (i % 4 == 0 || i % RECEIVERS == r);
	ok(!bad && !wrong,
	   "each of %u messages exactly once (%u wrong, %u bad)",
	   received[0] + received[1] + received[2], wrong, bad);
	ok(!disorder, "each sender's in its order (%u)", disorder);
	for (r = 0, bad = 0; r < RECEIVERS; r++)
		bad += !b1_empty(receiver[r]) ||
		       b1_count(receiver[r], "bus1-handles");
	ok(!bad, "the queues are empty, no handle is left");
	for (s = 0; s < SENDERS; s++)
		close(sender[s]);
	for (r = 0; r < RECEIVERS; r++) {
		ok(b1_handle_gone(receiver[r], node[r]) &&
			   b1_empty(receiver[r]),
		   "one HANDLE_RELEASE for receiver %u", r);
		close(receiver[r]);
	}
}

/* --- notifications while peers close ----------------------------------------
 */

#define LIVES 150
#define USERS 2

static int user[USERS];
/* The handle of each user to the peer that lives now. */
static _Atomic uint64_t target[USERS];
static atomic_bool done;

/* What one user has made and heard of. */
struct tally {
	unsigned char made[200000], heard[200000];
	unsigned int n_made, n_heard, n_gone, twice;
};

static struct tally tally[USERS];

static bool hear(unsigned int u)
{
	struct tally *t = &tally[u];
	struct b1_msg m;

	if (b1_recv(user[u], &m))
		return false;
	if (m.meta.id >= sizeof(t->made) || t->heard[m.meta.id]++)
		t->twice++;
	else if (m.msg.type == BUS1_MESSAGE_TYPE_NODE_RELEASE)
		t->n_gone++;
	else if (m.msg.type == BUS1_MESSAGE_TYPE_HANDLE_RELEASE)
		t->n_heard++;
	else
		t->twice++;
	return true;
}

/* Send new nodes' handles to whoever lives; hear what became of them. */
static void *use(void *arg)
{
	unsigned int u = (uintptr_t)arg;
	struct tally *y = &tally[u];
	struct bus1_transfer t;
	uint64_t id;
	int r;

	while (!atomic_load(&done)) {
		id = atomic_load(&target[u]);
		t = (struct bus1_transfer){ BUS1_TRANSFER_FLAG_CREATE,
					    BUS1_INVALID };
		r = id ? b1_multicast(user[u], 1, &id, NULL, "use", 3, &t, 1)
		       : EBADRQC;
		if (!r && t.id < sizeof(y->made)) {
			y->made[t.id] = 1;
			y->n_made++;
		} else if (r != EBADRQC) {
			atomic_fetch_add(&wrong, 1);
		}
		hear(u);
	}
	return NULL;
}

static void live(unsigned int i)
{
	int peer = b1_open(), k;
	uint64_t h[USERS], n;
	unsigned int u;
	struct b1_msg m;

	n = b1_node_to(peer, user[0], &h[0]);
	h[1] = b1_copy(user[0], h[0], user[1]);
	for (u = 0; u < USERS; u++)
		atomic_store(&target[u], h[u]);
	for (k = 0; k < (int)(i % 40); k++) {
		if (b1_recv(peer, &m)) {
			sched_yield();
			continue;
		}
		if (m.msg.type == BUS1_MESSAGE_TYPE_USER && k % 3)
			b1_drop(peer, m.t[0].id);
	}
	if (i % 3 == 0)
		b1_drop(peer, n);
	close(peer);
}

static void test_lives(void)
{
	pthread_t thread[USERS];
	unsigned int i, u;

	wrong = 0;
	for (u = 0; u < USERS; u++)
		user[u] = b1_open();
	for (u = 0; u < USERS; u++)
		pthread_create(&thread[u], NULL, use, (void *)(uintptr_t)u);
	for (i = 0; i < LIVES; i++)
		live(i);
	done = true;
	for (u = 0; u < USERS; u++)
		pthread_join(thread[u], NULL);
	ok(!wrong, "only unknown IDs were refused (%u)", wrong);
	for (u = 0; u < USERS; u++) {
		struct tally *t = &tally[u];
		unsigned int lost = 0;

		while (hear(u))
			;
		for (i = 0; i < sizeof(t->made); i++)
			lost += t->made[i] && !t->heard[i];
		ok(!lost && !t->twice && t->n_heard == t->n_made,
		   "%u nodes made, %u HANDLE_RELEASE, %u lost, %u twice",
		   t->n_made, t->n_heard, lost, t->twice);
		ok(t->n_gone == LIVES, "NODE_RELEASE of %u peers: %u", LIVES,
		   t->n_gone);
		ok(b1_empty(user[u]) && !b1_count(user[u], "bus1-nodes") &&
			   !b1_count(user[u], "bus1-handles"),
		   "nothing is left");
		close(user[u]);
	}
}

/* --- transfers in both directions -------------------------------------------
 */

static int left, right;
static uint64_t left_handle, right_handle;

static void *transfer(void *arg)
{
	bool back = arg;
	int from = back ? right : left, into = back ? left : right, i;
	struct bus1_transfer src = { 0, back ? right_handle : left_handle };
	struct bus1_transfer dst;

	for (i = 0; i < 2000; i++)
		if (b1_transfer(from, i % 5 ? (uint64_t)into : BUS1_INVALID, 1,
				&src, &dst) ||
		    b1_drop(i % 5 ? into : from, dst.id))
			atomic_fetch_add(&wrong, 1);
	return NULL;
}

static void test_transfer(void)
{
	pthread_t thread[4];
	int i;

	wrong = 0;
	left = b1_open();
	right = b1_open();
	b1_node(left, &left_handle);
	b1_node(right, &right_handle);
	for (i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, transfer,
			       i % 2 ? &left : NULL);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	ok(!wrong && b1_empty(left) && b1_empty(right) &&
		   b1_count(left, "bus1-handles") == 1 &&
		   b1_count(right, "bus1-handles") == 1,
	   "D21: transfers in both directions at once, and into oneself (%u)",
	   wrong);
	close(left);
	close(right);
}

/* --- a crowd of releases
 * ------------------------------------------------------ */

static uint64_t crowd[4][500];

static void *release_some(void *arg)
{
	uint64_t *ids = arg;
	int i;

	for (i = 0; i < 500; i += 5)
		if (b1_release(right, 5, ids + i))
			atomic_fetch_add(&wrong, 1);
	return NULL;
}

/* 2000 handles to 500 nodes, of each node the last goes in some thread. */
static void test_last(void)
{
	static unsigned char seen[500];
	uint64_t nodes[500], base;
	pthread_t thread[4];
	int i, k, bad = 0;
	struct b1_msg m;

	wrong = 0;
	left = b1_open();
	right = b1_open();
	for (i = 0; i < 500; i++) {
		nodes[i] = b1_node_to(left, right, &crowd[0][i]);
		for (k = 1; k < 4; k++)
			crowd[k][i] = b1_copy(right, crowd[0][i], right);
	}
	base = nodes[0];
	for (k = 0; k < 4; k++)
		pthread_create(&thread[k], NULL, release_some, crowd[k]);
	for (k = 0; k < 4; k++)
		pthread_join(thread[k], NULL);
	while (b1_recv(left, &m) == 0) {
		for (i = (m.meta.id - base) / 2; i < 500; i++)
			if (nodes[i] == m.meta.id)
				break;
		bad += i == 500 || seen[i]++ || m.msg.type != 2;
	}
	for (i = 0; i < 500; i++)
		bad += seen[i] != 1;
	ok(!bad && !wrong && !b1_count(left, "bus1-nodes"),
	   "D01: four threads drop the handles of 500 nodes: one each (%d)",
	   bad);
	close(left);
	close(right);
}

int main(void)
{
	test_messages();
	test_lives();
	test_transfer();
	test_last();
	return done_testing();
}
