// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may claim how much, and that what is refused has no effect. The users are
 * 1000, who is sent to, and 1001 and on, who send.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "quota.h"

#define MANY (1 << 20)
#define CREATE { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID }

/* What acct_reject and op_fail say of the last refusal. */
static bool told(const char *text, int peer, uid_t owner, const char *resource,
		 uint64_t amount, const char *level, const char *op,
		 uint64_t held, uint64_t limit)
{
	uint64_t id = b1_count(peer, "bus1-peer");
	uid_t claimant = b1_count(peer, "bus1-uid");
	char words[256];

	snprintf(words, sizeof(words),
		 "owner=%u claimant=%u peer=%" PRIu64 " resource=%s "
		 "amount=%" PRIu64 " level=%s op=%s held=%" PRIu64
		 " limit=%" PRIu64,
		 owner, claimant, id, resource, amount, level, op, held, limit);
	if (quota_traced(text, "acct_reject", words) != 1)
		goto bad;
	snprintf(words, sizeof(words),
		 "owner=%u peer=%" PRIu64 " resource=%s check=quota "
		 "detail=%" PRIu64 " level=%s cmd=%s held=%" PRIu64
		 " limit=%" PRIu64 " error=-%d",
		 owner, id, resource, amount, level, op, held, limit, EDQUOT);
	if (quota_traced(text, "op_fail", words) == 1)
		return true;
bad:
	diag("wanted %s", words);
	for (; *text; text = quota_next(text))
		if (*text != '#')
			diag("%.*s", (int)(quota_next(text) - text - 1), text);
	return false;
}

/* --- the example: 512, 256; 128, 64; 42, 21 ---------------------------------
 */

static const char *resource;

/* Send what costs @n of the resource. */
static int cost(int peer, uint64_t to, uint64_t n)
{
	if (!strcmp(resource, "bytes"))
		return quota_send(peer, 0, 1, &to, NULL, n, NULL, 0);
	return quota_send_objects(peer, to, n);
}

/* A peer that holds nothing of @owner can have just @limit. */
static void up_to(int peer, uint64_t to, uid_t owner, uint64_t limit)
{
	uint64_t all = 1 + (1 << 11);
	char *text;
	bool good;
	int r;

	quota_note();
	quota_trace_on("acct_reject op_fail");
	r = cost(peer, to, limit + 1);
	text = quota_trace_off();
	ok(r == EDQUOT && told(text, peer, owner, resource, limit + 1, "peer",
			       "send", 0, limit),
	   "%" PRIu64 " %s at once are refused", limit + 1, resource);
	free(text);
	quota_trace_on("acct_reject op_fail");
	r = cost(peer, to, all);
	text = quota_trace_off();
	ok(r == EDQUOT && told(text, peer, owner, resource, all, "user", "send",
			       0, limit),
	   "%" PRIu64 " are more than the user has", all);
	free(text);
	ok(quota_as_noted() && !quota_claim(peer, owner, resource),
	   "neither changed anything");

	good = !cost(peer, to, limit / 2) && !cost(peer, to, limit - limit / 2);
	ok(good && quota_claim(peer, owner, resource) == limit,
	   "%" PRIu64 " pass, in two parts", limit);
	quota_note();
	quota_trace_on("acct_reject op_fail");
	r = cost(peer, to, 1);
	text = quota_trace_off();
	ok(r == EDQUOT &&
		   told(text, peer, owner, resource, 1, "peer", "send", limit,
			limit) &&
		   quota_as_noted() &&
		   quota_claim(peer, owner, resource) == limit,
	   "one more does not");
	free(text);
}

static void test_foreign(const char *what)
{
	static const struct {
		uid_t uid;
		uint64_t limit;
	} is[] = { { 1001, 128 }, { 1001, 64 }, { 1002, 42 }, { 1002, 21 } };
	bool bytes = !strcmp(what, "bytes");
	int owner, peer[4], i;
	uint64_t to, node;

	resource = what;
	/* The owner and its node hold 2 objects and keep 2 in reserve. */
	quota_set_maxima(bytes ? MANY : 1028, bytes ? 1024 : MANY);
	owner = open_as(1000);
	for (i = 0; i < 4; i++)
		peer[i] = open_as(is[i].uid);
	node = b1_node_to(owner, peer[0], &to);
	for (i = 0; i < 4; i++) {
		diag("%s: peer %d, of user %u", what, i, is[i].uid);
		up_to(peer[i], i ? b1_copy(peer[0], to, peer[i]) : to, 1000,
		      is[i].limit);
	}
	ok(quota_user(1000, bytes ? "foreign_bytes" : "foreign_objects") == 2 &&
		   quota_sum("quota", 1000, 1001, QUOTA_ANY,
			     bytes ? "peers_bytes" : "peers_objects") == 2,
	   "two users, two peers each");
	b1_drop(owner, node);
	for (i = 0; i < 4; i++)
		close(peer[i]);
	ok(quota_claims(owner, 1000, 1, 0) &&
		   quota_user(QUOTA_ANY, NULL) == 1 && quota_adds_up(),
	   "its node released, nobody holds anything");
	close(owner);
	ok(quota_nothing(), "nothing is left");
}

static void test_own(void)
{
	int owner, peer[2], i;
	uint64_t to[2];

	resource = "bytes";
	quota_set_maxima(MANY, 1024);
	owner = open_as(1000);
	for (i = 0; i < 2; i++) {
		peer[i] = open_as(1000);
		b1_node_to(owner, peer[i], &to[i]);
	}
	diag("bytes: peers of the owner");
	up_to(peer[0], to[0], 1000, 512);
	up_to(peer[1], to[1], 1000, 256);
	close(peer[0]);
	close(peer[1]);
	close(owner);

	/* What a peer makes, the peer itself included. */
	quota_set_maxima(1024, MANY);
	for (i = 0; i < 2; i++) {
		uint64_t limit = 512 >> i;
		char *text;
		int r;

		peer[i] = open_as(1000);
		b1_node(peer[i], &to[i]);
		ok(quota_claims(peer[i], 1000, 3, 0),
		   "a peer, a node and a handle");
		quota_note();
		r = quota_copy(peer[i], to[i], limit - 2);
		ok(r == EDQUOT && quota_as_noted() &&
			   quota_copy(peer[i], to[i], limit - 3) == 0 &&
			   quota_claims(peer[i], 1000, limit, 0),
		   "%" PRIu64 " objects with all it made, and not one more",
		   limit);
		quota_trace_on("acct_reject op_fail");
		r = quota_copy(peer[i], to[i], 1);
		text = quota_trace_off();
		ok(r == EDQUOT && told(text, peer[i], 1000, "objects", 1,
				       "peer", "transfer", limit, limit),
		   "not even later");
		free(text);
	}
	ok(b1_count(peer[0], "bus1-max-objects") == 1024 &&
		   b1_count(peer[0], "bus1-max-bytes") == MANY &&
		   b1_count(peer[1], "bus1-left-objects") ==
			   quota_user(1000, "left_objects") &&
		   b1_count(peer[1], "bus1-left-bytes") == MANY,
	   "fdinfo has the maxima and what is left");
	close(peer[0]);
	close(peer[1]);
	ok(quota_nothing(), "nothing is left");
}

/* --- sizes beyond reason ----------------------------------------------------
 */

static void test_sizes(void)
{
	struct bus1_transfer *t = calloc(1023, sizeof(*t));
	uint64_t *to = calloc(4096, sizeof(*to)), h, node;
	int32_t *errors = calloc(4096, sizeof(*errors));
	int a, b, i, r;

	quota_restore();
	a = open_as(1000);
	b = open_as(1001);
	node = b1_node_to(a, b, &h);
	for (i = 0; i < 4096; i++)
		to[i] = h;
	for (i = 0; i < 1023; i++)
		t[i].id = h;
	quota_note();
	r = quota_send(b, 0, 4096, to, errors, MANY, NULL, 0);
	ok(r == EDQUOT && quota_as_noted() && b1_empty(a),
	   "4096 times 1 MiB, which is 2^32 bytes");
	r = quota_send(b, 0, 1024, to, errors, 0, t, 1023);
	ok(r == EDQUOT && quota_as_noted() && b1_empty(a),
	   "1024 times 1023 handles, which is 2^20 objects");
	close(a);
	close(b);

	quota_set_maxima(UINT64_MAX, UINT64_MAX);
	a = open_as(1000);
	b = open_as(1001);
	node = b1_node_to(a, b, &h);
	ok(b1_count(a, "bus1-max-objects") == UINT64_MAX &&
		   b1_count(a, "bus1-max-bytes") == UINT64_MAX &&
		   !b1_says(b, h, "all") && b1_hears(a, node, "all") &&
		   !quota_send(b, 0, 1024, to, errors, 0, t, 0) &&
		   quota_claims(b, 1000, 1024, 0) && quota_adds_up(),
	   "maxima of 2^64 - 1");
	close(a);
	close(b);
	ok(quota_nothing(), "nothing is left");
	free(t);
	free(to);
	free(errors);
}

/* --- maxima -----------------------------------------------------------------
 */

static void test_open(void)
{
	uint64_t h, node, max;
	char *text;
	int a;

	for (max = 0; max < 2; max++) {
		quota_set_maxima(max, MANY);
		quota_trace_on("acct_reject");
		a = try_open_as(1000);
		text = quota_trace_off();
		ok(a == -EDQUOT && quota_nothing() &&
			   quota_traced(text, "acct_reject",
					"owner=1000 claimant=1000 op=open "
					"resource=objects amount=1") == 1,
		   "max_objects=%" PRIu64 ": no peer can be opened", max);
		free(text);
	}
	quota_set_maxima(8, 0);
	a = open_as(1000);
	node = b1_node(a, &h);
	ok(b1_says(a, h, "") == 0 && b1_hears(a, node, "") &&
		   b1_says(a, h, "x") == EDQUOT && b1_empty(a),
	   "max_bytes=0: messages, but no bytes in them");
	close(a);
	ok(quota_nothing(), "nothing is left");
}

static void test_changed(void)
{
	int a, b, c;

	quota_set_maxima(100, 1000);
	a = open_as(1000);
	quota_set_maxima(50, 500);
	b = open_as(1000);
	c = open_as(1001);
	ok(b1_count(a, "bus1-max-objects") == 100 &&
		   b1_count(b, "bus1-max-objects") == 100 &&
		   b1_count(b, "bus1-max-bytes") == 1000,
	   "maxima changed: who is there keeps his");
	ok(b1_count(c, "bus1-max-objects") == 50 &&
		   b1_count(c, "bus1-max-bytes") == 500,
	   "who comes has the new ones");
	close(a);
	a = open_as(1000);
	ok(b1_count(a, "bus1-max-objects") == 100,
	   "not all gone: still the old ones");
	close(a);
	close(b);
	a = open_as(1000);
	ok(b1_count(a, "bus1-max-objects") == 50 &&
		   b1_count(a, "bus1-max-bytes") == 500,
	   "gone and come again: the new ones");
	close(a);
	close(c);
	ok(quota_nothing(), "nothing is left");
}

/* User 0 of a new name space opens a peer; says how that went. */
static void in_namespace(int up, int down)
{
	char c = unshare(CLONE_NEWUSER) ? 'x' : 'u';
	int fd = -1;

	(void)!write(up, &c, 1);
	(void)!read(down, &c, 1);
	if (!syscall(SYS_setresuid, 0, 0, 0))
		fd = open("/dev/bus1", O_RDWR | O_CLOEXEC);
	c = fd >= 0 && quota_claims(fd, 0, 1, 0) ? 'o' : 'b';
	(void)!write(up, &c, 1);
	pause();
}

static char make_namespace(uid_t uid, pid_t *pid)
{
	int up[2], down[2];
	char path[64], map[32], c = 0;

	if (pipe(up) || pipe(down))
		bail_out("no pipe");
	*pid = fork();
	if (!*pid)
		in_namespace(up[1], down[0]);
	close(up[1]);
	close(down[0]);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", *pid);
	snprintf(map, sizeof(map), "0 %u 1\n", uid);
	if (read(up[0], &c, 1) == 1 && c == 'u' &&
	    (!quota_write(path, map) || write(down[1], "m", 1) != 1 ||
	     read(up[0], &c, 1) != 1))
		c = 'b';
	close(up[0]);
	close(down[1]);
	return c;
}

static void test_namespaces(void)
{
	static const uid_t uids[] = { 100000, 100000, 100001 };
	uint64_t users, first, second;
	char said[4] = "";
	pid_t pid[3];
	int i;

	quota_restore();
	for (i = 0; i < 3; i++)
		said[i] = make_namespace(uids[i], &pid[i]);
	users = quota_user(QUOTA_ANY, NULL);
	first = quota_trace(100000, 100000, QUOTA_ANY, "objects");
	second = quota_trace(100001, 100001, QUOTA_ANY, "objects");
	for (i = 0; i < 3; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	if (said[0] == 'x')
		skip(1, "no user name spaces here");
	else
		ok(!strcmp(said, "ooo") && users == 2 && first == 2 &&
			   second == 1,
		   "user 0 of a name space is who that is outside of it (%s, "
		   "%d users)",
		   said, (int)users);
	ok(quota_nothing(), "nothing is left");
}

/* --- to many, one of them full ----------------------------------------------
 */

#define N 3

/* Each receiver is a user of its own; all have 1024 bytes. */
static int s, rx[N];
static uint64_t to[N], node[N];
static uint64_t mine, own;

static void open_all(void)
{
	int i;

	quota_set_maxima(MANY, 1024);
	s = open_as(1001);
	own = b1_node(s, &mine);
	for (i = 0; i < N; i++) {
		rx[i] = open_as(2000 + i);
		node[i] = b1_node_to(rx[i], s, &to[i]);
	}
}

/* One lone foreign peer can have 128 of 1024. */
static void fill(int i)
{
	if (quota_send(s, 0, 1, &to[i], NULL, 128, NULL, 0))
		bail_out("cannot fill receiver %d", i);
}

static void drain(int i)
{
	struct b1_msg m;

	if (b1_recv(rx[i], &m) || m.msg.n_data != 128)
		bail_out("receiver %d does not have what filled it", i);
}

static void close_all(void)
{
	int i;

	close(s);
	for (i = 0; i < N; i++)
		close(rx[i]);
	ok(quota_nothing(), "nothing is left");
}

/* The next in receiver @i has 10 bytes, and so many handles. */
static bool got(int i, uint64_t n_t)
{
	return b1_hears_msg(rx[i], node[i], quota_zeros, 10, n_t,
			    &(struct b1_msg){});
}

static bool errors_are(const int32_t *errors, int a, int b, int c)
{
	if (errors[0] == a && errors[1] == b && errors[2] == c)
		return true;
	diag("errors %d %d %d", errors[0], errors[1], errors[2]);
	return false;
}

static void test_all_or_none(void)
{
	struct bus1_transfer t[2] = { CREATE, {} };
	int32_t errors[N] = { 7, 7, 7 };
	uint64_t nodes;
	int r, i;

	open_all();
	t[1].id = mine;
	nodes = b1_count(s, "bus1-nodes");
	for (i = 0; i < N; i++) {
		fill(i);
		quota_note();
		r = quota_send(s, 0, N, to, errors, 10, t, 2);
		ok(r == EDQUOT && errors_are(errors, 7, 7, 7) &&
			   t[0].flags == BUS1_TRANSFER_FLAG_CREATE &&
			   t[0].id == BUS1_INVALID && quota_as_noted() &&
			   b1_count(s, "bus1-nodes") == nodes && b1_empty(s) &&
			   b1_empty(rx[(i + 1) % N]) &&
			   b1_empty(rx[(i + 2) % N]),
		   "receiver %d of %d is full: nobody gets it", i, N);
		drain(i);
	}
	r = quota_send(s, 0, N, to, errors, 10, t, 2);
	ok(!r && errors_are(errors, 0, 0, 0) && t[0].flags == 0 && got(0, 2) &&
		   got(1, 2) && got(2, 2),
	   "none is full: all get it");
	r = quota_send(s, 0, 2, (uint64_t[]){ to[0], to[0] }, errors, 100, NULL,
		       0);
	ok(r == EDQUOT && b1_empty(rx[0]) && quota_claims(s, 2000, 0, 0),
	   "named twice, and only one fits: neither is sent");
	b1_drop(rx[0], node[0]);
	ok(quota_send(s, 0, 1, to, NULL, 1024, NULL, 0) == 0 &&
		   quota_send(s, 0, 0, to, NULL, 2000, NULL, 0) == 0,
	   "nothing is charged to a released node, nor to nobody");
	close_all();
}

static void test_continue(void)
{
	struct bus1_transfer t[2] = { CREATE, {} };
	int32_t errors[N] = { 7, 7, 7 };
	struct b1_msg m;
	char *text;
	int r;

	open_all();
	fill(1);
	quota_trace_on("acct_reject op_fail msg_discard tx_commit");
	r = quota_send(s, BUS1_SEND_FLAG_CONTINUE, N, to, errors, 10, NULL, 0);
	text = quota_trace_off();
	ok(!r && errors_are(errors, 0, -EDQUOT, 0) && got(0, 0) && got(2, 0),
	   "CONTINUE: the full one is skipped, others get it");
	ok(quota_traced(text, "tx_commit", "messages=2 receivers=2") == 1 &&
		   quota_traced(text, "msg_discard", "why=quota index=1") == 1,
	   "in one transaction, of which one message is discarded");
	ok(quota_traced(text, "acct_reject", "owner=2001 op=send") == 1 &&
		   !quota_traced(text, "op_fail", ""),
	   "its refusal is told, but the call did not fail");
	free(text);
	ok(b1_count(rx[1], "bus1-queued") == 1 && quota_claims(s, 2001, 1, 128),
	   "the full one is as before");
	drain(1);

	r = quota_send(s, BUS1_SEND_FLAG_CONTINUE, 3,
		       (uint64_t[]){ to[0], to[0], to[1] }, errors, 100, NULL,
		       0);
	ok(!r && errors_are(errors, 0, -EDQUOT, 0) &&
		   quota_claims(s, 2000, 1, 100) &&
		   quota_claims(s, 2001, 1, 100) &&
		   b1_count(rx[0], "bus1-queued") == 1,
	   "CONTINUE: named twice, the one that fits is sent");
	b1_recv(rx[0], &m);
	b1_recv(rx[1], &m);

	fill(0);
	fill(1);
	r = quota_send(s, BUS1_SEND_FLAG_CONTINUE, N, to, NULL, 10, NULL, 0);
	ok(!r && got(2, 0), "CONTINUE without errors[]");
	fill(2);
	quota_note();
	r = quota_send(s, BUS1_SEND_FLAG_CONTINUE, N, to, errors, 10, NULL, 0);
	ok(!r && errors_are(errors, -EDQUOT, -EDQUOT, -EDQUOT) &&
		   quota_as_noted(),
	   "CONTINUE: all are full, and it is no error");
	t[1].id = mine;
	r = quota_send(s, BUS1_SEND_FLAG_CONTINUE, N, to, errors, 10, t, 2);
	ok(!r && errors_are(errors, -EDQUOT, -EDQUOT, -EDQUOT) &&
		   b1_id_ok(t[0].id) && b1_handle_gone(s, t[0].id) &&
		   b1_empty(s) && b1_has_handle(s, mine) && quota_as_noted(),
	   "and a node made for it hears that its last handle is gone");

	/* What a skipped message would have carried is not held by it. */
	drain(0);
	t[0] = (struct bus1_transfer)CREATE;
	r = quota_send(s, BUS1_SEND_FLAG_CONTINUE, N, to, errors, 10, t, 2);
	ok(!r && errors_are(errors, 0, -EDQUOT, -EDQUOT) &&
		   b1_hears_msg(rx[0], node[0], quota_zeros, 10, 2, &m) &&
		   b1_release(rx[0], 2, (uint64_t[]){ m.t[0].id, m.t[1].id }) ==
			   0 &&
		   b1_handle_gone(s, t[0].id) && b1_drop(s, mine) == 0 &&
		   b1_handle_gone(s, own),
	   "CONTINUE with handles: one copy each for who gets it");
	errors[1] = 7;
	quota_note();
	r = quota_send(s, BUS1_SEND_FLAG_CONTINUE, 3,
		       (uint64_t[]){ to[1], to[0], mine }, errors, 10, NULL, 0);
	ok(r == EBADRQC && errors_are(errors, 0, 7, -EDQUOT) &&
		   quota_as_noted() && b1_empty(rx[0]),
	   "CONTINUE is for quotas only: EBADRQC");
	b1_drop(rx[2], node[2]);
	r = quota_send(s, BUS1_SEND_FLAG_CONTINUE, N, to, errors, 10, NULL, 0);
	ok(!r && errors_are(errors, 0, -EDQUOT, 0) && got(0, 0),
	   "a released node is not skipped, but discarded");
	close_all();
}

/* --- whoever else has to pay ------------------------------------------------
 */

static void test_payers(void)
{
	struct bus1_transfer src[20], dst[20];
	uint64_t h, n, far;
	int a, b, c, i, r;

	/* The first has room for 9 more, if it asks for itself. */
	quota_set_maxima(20, MANY);
	a = open_as(1000);
	quota_set_maxima(MANY, MANY);
	b = open_as(1001);
	c = open_as(1002);
	n = b1_node_to(b, b, &h);
	for (i = 0; i < 20; i++) {
		src[i] = (struct bus1_transfer){ 0, h };
		dst[i] = (struct bus1_transfer){ 7, 7 };
	}
	quota_note();
	r = b1_transfer(b, a, 10, src, dst);
	ok(r == EDQUOT && quota_as_noted() && dst[0].id == 7 &&
		   dst[0].flags == 7 && b1_count(a, "bus1-handles") == 0,
	   "TRANSFER: more handles than the user of the receiver may have");
	ok(b1_transfer(b, a, 9, src, dst) == 0 &&
		   quota_claims(a, 1000, 10, 0) &&
		   quota_trace(1001, QUOTA_ANY, QUOTA_ANY, "objects") == 3,
	   "as many as it may: they pay, not who gave them");
	far = dst[0].id;
	quota_note();
	src[0] = (struct bus1_transfer)CREATE;
	dst[0] = (struct bus1_transfer){ 7, 7 };
	r = b1_transfer(b, a, 1, src, dst);
	ok(r == EDQUOT && src[0].id == BUS1_INVALID && src[0].flags &&
		   dst[0].id == 7 && quota_as_noted() && b1_empty(b),
	   "nor one with a node");
	r = b1_transfer(a, b, 1, src, dst);
	ok(r == EDQUOT && src[0].id == BUS1_INVALID && src[0].flags &&
		   dst[0].id == 7 && quota_as_noted() && b1_empty(a) &&
		   b1_count(b, "bus1-handles") == 1,
	   "nor a node for somebody else: the caller pays for that");
	r = quota_send(a, BUS1_SEND_FLAG_CONTINUE, 1, &far, NULL, 4, src, 1);
	ok(r == EDQUOT && src[0].id == BUS1_INVALID && src[0].flags &&
		   quota_as_noted() && b1_empty(b),
	   "nor in a SEND, CONTINUE or not: its sender pays");
	ok(quota_send(a, 0, 0, NULL, NULL, 0, src, 1) == 0 && src[0].flags,
	   "but in a SEND to nobody none is made");
	ok(b1_says(a, far, "full") == 0 && b1_hears(b, n, "full"),
	   "who is full can send to others");
	b1_node_to(c, b, &h);
	ok(b1_says(b, h, "hi") == 0 && quota_claims(b, 1002, 1, 2) &&
		   !quota_claim(b, 1000, "objects"),
	   "and others do not notice");

	/* A node and its handle in the same account are charged both. */
	for (i = 0; i < 20; i++)
		src[i] = (struct bus1_transfer)CREATE;
	close(a);
	quota_set_maxima(20, MANY);
	a = open_as(1000);
	quota_note();
	r = b1_transfer(a, a, 5, src, dst);
	ok(r == EDQUOT && quota_as_noted() &&
		   b1_transfer(a, a, 4, src, dst) == 0 &&
		   quota_claims(a, 1000, 9, 0),
	   "TRANSFER to itself: four nodes and four handles, not five");
	close(a);
	close(b);
	close(c);
	ok(quota_nothing(), "nothing is left");
}

int main(void)
{
	if (!quota_begin())
		return done_testing();
	test_foreign("bytes");
	test_foreign("objects");
	test_own();
	test_sizes();
	test_open();
	test_changed();
	test_namespaces();
	test_all_or_none();
	test_continue();
	test_payers();
	return done_testing();
}
