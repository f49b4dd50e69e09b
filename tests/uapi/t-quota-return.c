// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was charged returns: on every way a message, a handle, a node or a peer
 * can go, at that moment, and all of it. User 1001 sends to user 1000.
 */
#include "quota.h"

#define CREATE { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID }

static int r, s;
static uint64_t node, to;
static uint64_t own, mine;

/* The receiver with a node; the sender with a handle to it, and to itself. */
static void open_both(void)
{
	r = open_as(1000);
	s = open_as(1001);
	node = b1_node_to(r, s, &to);
	own = b1_node(s, &mine);
}

static void close_both(void)
{
	close(r);
	close(s);
	ok(quota_nothing(), "all closed: nothing is left");
}

/* A message of 10 bytes and two handles. */
static void send_one(void)
{
	struct bus1_transfer t[2] = { { 0, mine }, { 0, mine } };

	if (quota_send(s, 0, 1, &to, NULL, 10, t, 2))
		bail_out("cannot send");
}

static bool sent(void)
{
	return quota_claims(s, 1000, 3, 10) && quota_adds_up();
}

static bool returned(void)
{
	return quota_claims(s, 1000, 0, 0) && quota_adds_up();
}

static void test_messages(void)
{
	struct b1_msg m;
	pid_t pid;

	open_both();
	send_one();
	ok(sent() && quota_claims(r, 1000, 2, 0),
	   "in flight: a message, two handles and bytes are the sender's");
	ok(b1_recv_room(r, &m, 0, 0) == EMSGSIZE && sent(),
	   "not received for want of room: still");
	ok(!b1_recv(r, &m) && returned() && quota_claims(r, 1000, 4, 0),
	   "received: the handles are the receiver's");
	ok(!b1_drop(r, m.t[0].id) && quota_claims(r, 1000, 3, 0) &&
		   !b1_drop(r, m.t[1].id) && quota_claims(r, 1000, 2, 0),
	   "released: nobody's");

	send_one();
	ok(sent() && !b1_drop(r, node) && returned() &&
		   quota_claims(r, 1000, 1, 0),
	   "the node is released: its messages are returned");
	close_both();

	open_both();
	send_one();
	close(r);
	ok(returned() && !quota_user(1000, NULL),
	   "the receiver is closed: returned, and its user is gone");
	ok(b1_node_gone(s, to) && quota_claims(s, 1001, 3, 0),
	   "the sender has its peer, a node and a handle");
	r = -1;
	close_both();

	/* Somebody else has the receiver, and is killed. */
	open_both();
	send_one();
	pid = fork();
	if (!pid) {
		close(s);
		for (;;)
			pause();
	}
	close(r);
	ok(sent(), "the receiver is in another process, too");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(returned() && !quota_user(1000, NULL), "which is killed: returned");
	r = -1;
	close_both();
}

/* What a peer sent stays charged when it is closed, and its user's. */
static void test_sender_gone(void)
{
	uint64_t id, id2, to2, h;
	struct b1_msg m;
	int s2;

	open_both();
	id = b1_count(s, "bus1-peer");
	send_one();
	close(s);
	ok(quota_trace(1000, 1001, id, "objects") == 3 &&
		   quota_trace(1000, 1001, id, "bytes") == 10 &&
		   !quota_user(1001, NULL) && quota_adds_up(),
	   "the sender is closed: its user is gone, what it claimed is not");
	ok(!b1_recv(r, &m) && !quota_trace(1000, 1001, QUOTA_ANY, NULL) &&
		   quota_claims(r, 1000, 4, 0) && b1_node_gone(r, m.t[0].id) &&
		   b1_node_gone(r, m.t[1].id) && quota_claims(r, 1000, 2, 0),
	   "until that is received");
	close(r);
	ok(quota_nothing(), "all closed: nothing is left");

	/* Closing and opening again is no way to have more. */
	quota_set_maxima(1 << 20, 1024);
	open_both();
	ok(!quota_send(s, 0, 1, &to, NULL, 128, NULL, 0) &&
		   quota_send(s, 0, 1, &to, NULL, 1, NULL, 0) == EDQUOT,
	   "a lone peer of another user has 128 of 1024 bytes");
	id = b1_count(s, "bus1-peer");
	h = b1_copy(s, to, r);
	close(s);
	s2 = open_as(1001);
	id2 = b1_count(s2, "bus1-peer");
	to2 = b1_copy(r, h, s2);
	ok(quota_send(s2, 0, 1, &to2, NULL, 65, NULL, 0) == EDQUOT &&
		   !quota_send(s2, 0, 1, &to2, NULL, 64, NULL, 0) &&
		   quota_send(s2, 0, 1, &to2, NULL, 1, NULL, 0) == EDQUOT &&
		   quota_trace(1000, 1001, id, "bytes") == 128 &&
		   quota_trace(1000, 1001, id2, "bytes") == 64,
	   "closed and opened again it has 64 more, as a second peer would");
	ok(!b1_recv(r, &m) && m.msg.n_data == 128 &&
		   !quota_trace(1000, 1001, id, NULL) &&
		   !quota_send(s2, 0, 1, &to2, NULL, 64, NULL, 0) &&
		   quota_send(s2, 0, 1, &to2, NULL, 1, NULL, 0) == EDQUOT,
	   "the first received: now it is the only one");
	close(s2);
	close(r);
	ok(quota_nothing(), "all closed: nothing is left");
	quota_restore();
}

/* Nobody else can keep what an owner pays for. */
static void test_owners(void)
{
	struct b1_msg m;
	uint64_t h2;
	pid_t pid;

	open_both();
	h2 = b1_copy(s, to, s);
	ok(quota_claims(r, 1000, 2, 0) && quota_claims(s, 1001, 5, 0),
	   "a node; its handles, of another user");
	ok(!b1_drop(r, node) && quota_claims(r, 1000, 1, 0) &&
		   quota_claims(s, 1001, 5, 0),
	   "the node is released: its owner pays no more, the others still");
	ok(!b1_drop(s, h2) && quota_claims(s, 1001, 4, 0),
	   "one is released: returned");
	ok(b1_node_gone(s, to) && quota_claims(s, 1001, 3, 0),
	   "of one the owner has heard: returned");
	close_both();

	open_both();
	close(r);
	ok(!quota_user(1000, NULL) && quota_claims(s, 1001, 4, 0),
	   "the owner is closed: its user is gone, handles to it are not");
	ok(b1_node_gone(s, to) && quota_claims(s, 1001, 3, 0), "now they are");
	r = -1;
	close_both();

	open_both();
	ok(!b1_drop(s, to) && quota_claims(s, 1001, 3, 0) &&
		   quota_claims(r, 1000, 2, 0),
	   "the last handle is released: returned, the node is not");
	ok(b1_handle_gone(r, node) && quota_claims(r, 1000, 1, 0),
	   "until its owner has heard");
	close_both();

	/* A handle in flight whose node dies. */
	open_both();
	send_one();
	ok(!b1_drop(s, own) && sent() && quota_claims(s, 1001, 3, 0),
	   "the node of a handle in flight is released: what is sent stays");
	ok(!b1_recv(r, &m) && returned() && quota_claims(r, 1000, 4, 0) &&
		   b1_node_gone(r, m.t[0].id) && quota_claims(r, 1000, 3, 0) &&
		   b1_node_gone(r, m.t[1].id) && quota_claims(r, 1000, 2, 0),
	   "received, and gone with each notification");
	close_both();

	/* A peer in a process that is killed; another has its own. */
	open_both();
	pid = fork();
	if (!pid) {
		close(r);
		quota_copy(s, mine, 1000);
		quota_send(s, 0, 1, &to, NULL, 1000, NULL, 0);
		pause();
	}
	close(s);
	while (b1_count(r, "bus1-queued") < 1)
		b1_msleep(1);
	ok(quota_user(1001, NULL) == 1, "another process makes things");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(!quota_user(1001, NULL) &&
		   quota_trace(1000, 1001, QUOTA_ANY, "bytes") == 1000,
	   "killed: nothing is left of them, but what it sent");
	s = -1;
	close_both();
}

/* A call that fails late has charged, and gives back. */
static void test_failed(void)
{
	static const int32_t readonly[4] = { 1, 1, 1, 1 };
	struct bus1_transfer t[2] = { CREATE, {} }, *fixed;
	struct bus1_transfer src = CREATE, dst;
	int32_t *errors = b1_const(readonly, sizeof(readonly)), e[4] = {};
	uint64_t ids[4], node2, to2;
	int c = open_as(1002), i;

	open_both();
	node2 = b1_node_to(c, s, &to2);
	ids[0] = ids[3] = to;
	ids[1] = to2;
	ids[2] = node2 + 1000;
	t[1].id = mine;
	quota_note();
	for (i = 0; i < 2; i++) {
		ok(quota_send(s, i, 2, ids, errors, 10, t, 2) == EFAULT &&
			   quota_as_noted() && b1_empty(r) && b1_empty(c),
		   "SEND cannot write errors[], CONTINUE %d", i);
		t[0] = (struct bus1_transfer)CREATE;
		ok(quota_send(s, i, 4, ids, e, 10, t, 2) == EBADRQC &&
			   quota_as_noted() && b1_empty(r) && b1_empty(c),
		   "SEND: the third destination is unknown, CONTINUE %d", i);
		t[1].id = node2 + 1000;
		ok(quota_send(s, i, 2, ids, e, 10, t, 2) == EBADRQC &&
			   quota_as_noted(),
		   "SEND: the second handle is unknown, CONTINUE %d", i);
		t[1].id = mine;
	}
	fixed = b1_const(t, sizeof(t));
	ok(quota_send(s, 0, 2, ids, e, 10, fixed, 2) == EFAULT &&
		   quota_as_noted() && b1_empty(s),
	   "SEND cannot write the node's ID");
	ok(b1_transfer(s, r, 1, &src, (struct bus1_transfer *)errors) ==
			   EFAULT &&
		   quota_as_noted(),
	   "TRANSFER cannot write the handle's ID");
	src.id = node2 + 1000;
	src.flags = 0;
	ok(b1_transfer(s, r, 1, &src, &dst) == EBADRQC && quota_as_noted(),
	   "TRANSFER of what is unknown");
	ids[0] = mine;
	ids[1] = own + 1000;
	ok(b1_release(s, 2, ids) == EBADRQC && quota_as_noted(),
	   "RELEASE of what is unknown, too");
	close(c);
	close_both();
}

/* Halve what is asked for until not even @least is given; the sum of it. */
static uint64_t take_all(int (*take)(uint64_t n), uint64_t n, uint64_t least,
			 unsigned int *times)
{
	uint64_t sum = 0;

	while (n >= least) {
		if (take(n)) {
			n /= 2;
			continue;
		}
		sum += n;
		++*times;
	}
	return sum;
}

static int take_send(uint64_t n)
{
	return quota_send_objects(s, to, n + 1);
}

static int take_copy(uint64_t n)
{
	return quota_copy(r, mine, n);
}

/*
 * RECV never fails for a quota: what comes was paid for by the same account
 * when it was sent, so that this stays within its maximum.
 */
static void test_receipt(void)
{
	uint64_t held = 3, handles, all = 0, left;
	unsigned int queued, copies = 0;
	bool good = true;
	struct b1_msg m;

	quota_set_maxima(1024, 1 << 20);
	open_both();
	/* A handle the receiver can copy; it has its peer, a node and this. */
	mine = b1_copy(s, to, r);
	for (;;) {
		queued = 0;
		handles = take_all(take_send, B1_ROOM_TRANSFERS, 1, &queued);
		held += take_all(take_copy, 1024, 1, &copies);
		if (!queued)
			break;
		good &= quota_claims(s, 1000, handles + queued, 0) &&
			quota_claims(r, 1000, held, 0) && take_copy(1);
		while (queued--)
			good &= !b1_recv(r, &m);
		held += handles;
		all += handles;
		good &= quota_claims(s, 1000, 0, 0) && b1_empty(r) &&
			quota_claims(r, 1000, held, 0) && quota_adds_up();
	}
	left = quota_user(1000, "left_objects");
	ok(good && copies && all > 200,
	   "a receiver at its limit receives, and its senders can send again");
	ok(held > 512 && left < 16,
	   "until it holds %" PRIu64 " of 1024 and %" PRIu64 " are left", held,
	   left);
	ok(!b1_drop(r, node) && b1_node_gone(r, mine) && quota_adds_up(),
	   "nor does a quota stop a RELEASE, or its notification");
	close_both();
	quota_restore();
}

/*
 * Of one transaction, what one receiver is through with is not kept by another
 * who never looks; whichever of the two the kernel takes for the first.
 */
static void test_other_receivers(void)
{
	uint64_t nodes[2], tos[2], h[2];
	int peers[2], i, j, k;
	const char *how;

	for (i = 0; i < 2; i++) {
		for (k = 0; k < 3; k++) {
			s = open_as(1001);
			for (j = 0; j < 2; j++) {
				peers[j] = open_as(1002 + j);
				nodes[j] = b1_node_to(peers[j], s, &tos[j]);
			}
			if (quota_send(s, 0, 2, tos, NULL, 10, NULL, 0))
				bail_out("cannot send");
			if (k == 0) {
				how = "node released";
				b1_readable(peers[i]);
				b1_drop(peers[i], nodes[i]);
			} else if (k == 1) {
				how = "not looked at, node released";
				b1_drop(peers[i], nodes[i]);
			} else {
				how = "closed";
				close(peers[i]);
			}
			ok(quota_claims(s, 1002 + i, 0, 0) &&
				   quota_claims(s, 1003 - i, 1, 10) &&
				   quota_trace(1002 + i, QUOTA_ANY, QUOTA_ANY,
					       "objects") == (k < 2) &&
				   quota_adds_up(),
			   "a multicast to two, %d is through: %s", i, how);
			if (k < 2)
				close(peers[i]);
			close(peers[!i]);
			close(s);
		}

		/* A node is released that both have a handle to. */
		s = open_as(1001);
		nodes[0] = b1_node(s, &mine);
		for (j = 0; j < 2; j++) {
			peers[j] = open_as(1002 + j);
			h[j] = b1_copy(s, mine, peers[j]);
		}
		b1_drop(s, nodes[0]);
		ok(b1_node_gone(peers[i], h[i]) &&
			   quota_claims(peers[i], 1002 + i, 1, 0) &&
			   quota_claims(peers[!i], 1003 - i, 2, 0),
		   "a NODE_RELEASE to two, %d has received it", i);
		for (j = 0; j < 2; j++)
			close(peers[j]);
		close(s);
	}
	ok(quota_nothing(), "all closed: nothing is left");
}

int main(void)
{
	if (!quota_begin())
		return done_testing();
	test_messages();
	test_sender_gone();
	test_owners();
	test_failed();
	test_receipt();
	test_other_receivers();
	return done_testing();
}
