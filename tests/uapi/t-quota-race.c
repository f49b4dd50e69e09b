// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accounts that come and go while others send to them: no maximum is had twice,
 * nobody has more than the limit, and all returns. Best with two processors.
 */
#include <stdatomic.h>

#include "quota.h"
#include "stall.h"

#define MANY (1 << 20)
#define SECONDS 3

static atomic_bool stop;
static atomic_uint odd;

/* A result that cannot be. */
static void strange(const char *what, int r)
{
	if (!atomic_fetch_add(&odd, 1))
		diag("%s: %s", what, strerror(r));
}

/* --- the last peer of a user closes, and the first opens --------------------
 */

static int sender[2];
static atomic_ullong target[2];
static atomic_uint opened, sent, refused;

static void *reopen(void *arg)
{
	struct bus1_transfer src, dst;
	int peer, i, r;

	while (!atomic_load(&stop)) {
		peer = try_open_as(1000);
		if (peer < 0) {
			if (peer != -EDQUOT)
				strange("open", -peer);
			continue;
		}
		atomic_fetch_add(&opened, 1);
		for (i = 0; arg && i < 2; i++) {
			src = (struct bus1_transfer){ BUS1_TRANSFER_FLAG_CREATE,
						      BUS1_INVALID };
			r = b1_transfer(peer, sender[i], 1, &src, &dst);
			if (!r)
				atomic_store(&target[i], dst.id);
			else if (r != EDQUOT)
				strange("TRANSFER", r);
		}
		usleep(arg ? 300 : 50);
		close(peer);
	}
	return NULL;
}

static void *send_there(void *arg)
{
	int i = (intptr_t)arg, r;
	struct bus1_transfer t;
	struct b1_msg m;
	uint64_t to;

	while (!atomic_load(&stop)) {
		to = atomic_load(&target[i]);
		t = (struct bus1_transfer){ 0, to };
		r = quota_send(sender[i], 0, 1, &to, NULL, 50, &t, 1);
		if (!r)
			atomic_fetch_add(&sent, 1);
		else if (r == EDQUOT)
			atomic_fetch_add(&refused, 1);
		else if (r != EBADRQC)
			strange("SEND", r);
		/* It hears of each node that goes, or it would run full. */
		while (r && !b1_recv(sender[i], &m))
			;
	}
	return NULL;
}

/* Of what debugfs says each line must hold at any time. */
static bool sane(void)
{
	char *text = quota_file(QUOTA_ACCOUNTS), *line;
	unsigned int owners = 0;
	bool good = true;

	for (line = text; *line; line = quota_next(line)) {
		bool user = !strncmp(line, "user ", 5);

		owners += user && quota_value(line, "uid") == 1000;
		if (user)
			good &= quota_value(line, "max_objects") == 64 &&
				quota_value(line, "max_bytes") == 4096 &&
				quota_value(line, "left_objects") <= 64 &&
				quota_value(line, "left_bytes") <= 4096;
		else if (strncmp(line, "bus1-", 5))
			good &= quota_value(line, "objects") <= 64 &&
				quota_value(line, "bytes") <= 4096;
	}
	if (!good || owners > 1)
		diag("%.300s", text);
	free(text);
	return good && owners <= 1;
}

static void test_reopen(void)
{
	unsigned int reads = 0, wrong = 0;
	pthread_t thread[4];
	uint64_t end;
	int i;

	quota_set_maxima(64, 4096);
	for (i = 0; i < 2; i++)
		sender[i] = open_as(1001 + i);
	atomic_store(&stop, false);
	pthread_create(&thread[0], NULL, reopen, &stop);
	pthread_create(&thread[1], NULL, reopen, NULL);
	for (i = 0; i < 2; i++)
		pthread_create(&thread[2 + i], NULL, send_there,
			       (void *)(intptr_t)i);
	for (end = b1_now() + SECONDS * 1000000000ull; b1_now() < end;) {
		wrong += !sane();
		reads++;
		b1_msleep(5);
	}
	atomic_store(&stop, true);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	ok(opened > 100 && sent > 100 && refused && !odd,
	   "a user comes and goes under its senders: %u opened, %u sent, %u "
	   "refused",
	   opened, sent, refused);
	ok(reads > 10 && !wrong,
	   "never twice, and never more than its maximum (%u reads)", reads);
	ok(quota_adds_up() && quota_user(QUOTA_ANY, NULL) == 2 &&
		   !quota_user(1000, NULL),
	   "only the senders are left");
	close(sender[0]);
	close(sender[1]);
	ok(quota_nothing(), "nothing is left");
	quota_restore();
}

/* --- threads of one peer, by one handle -------------------------------------
 */

#define ROUNDS 60
#define THREADS 4

static int one;
static uint64_t fresh;
static pthread_barrier_t barrier;

static void *send_all(void *arg)
{
	int r;

	(void)arg;
	pthread_barrier_wait(&barrier);
	while (!(r = b1_send(one, fresh, NULL, 0)))
		;
	if (r != EDQUOT)
		strange("SEND", r);
	return NULL;
}

static void test_fresh(void)
{
	pthread_t thread[THREADS];
	int owner, round, i, bad = 0;

	/* The owner's peer and node take, and reserve, 4. */
	quota_set_maxima(1028, MANY);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (round = 0; round < ROUNDS; round++) {
		owner = open_as(1000);
		one = open_as(1001);
		b1_node_to(owner, one, &fresh);
		for (i = 0; i < THREADS; i++)
			pthread_create(&thread[i], NULL, send_all, NULL);
		for (i = 0; i < THREADS; i++)
			pthread_join(thread[i], NULL);
		bad += !quota_claims(one, 1000, 128, 0) || !quota_adds_up() ||
		       quota_trace(1000, 1001, QUOTA_ANY, NULL) != 1 ||
		       b1_count(owner, "bus1-queued") != 128;
		/* Once with the messages there, once without. */
		while (round % 2 && !b1_recv(owner, &(struct b1_msg){}))
			;
		bad += round % 2 && !quota_claims(one, 1000, 0, 0);
		close(round % 3 ? owner : one);
		close(round % 3 ? one : owner);
	}
	ok(!bad && !odd,
	   "threads that are the first to use a handle have 128 in all (%d)",
	   bad);
	ok(quota_nothing(), "nothing is left");
	pthread_barrier_destroy(&barrier);
}

/* --- CONTINUE, to the same full receivers -----------------------------------
 */

#define N 4
#define PASS 1000

static int rx[N], tx[2];
static uint64_t dests[2][N];
static unsigned int passed[2][N], heard[2][N], all[2], skipped[2];
static atomic_uint done;

/* All to all; every third is not to be sent by halves. */
static void *publish(void *arg)
{
	uint64_t end = b1_now() + 30000000000ull;
	int k = (intptr_t)arg, i, n, r;
	int32_t errors[N];

	for (n = 0; (all[k] < PASS || skipped[k] < PASS) && b1_now() < end;
	     n++) {
		r = quota_send(tx[k], n % 3 ? BUS1_SEND_FLAG_CONTINUE : 0, N,
			       dests[k], errors, 16, NULL, 0);
		if (r && (n % 3 || r != EDQUOT))
			strange("SEND", r);
		for (i = 0; !r && i < N; i++) {
			if (!errors[i]) {
				passed[k][i]++;
				all[k]++;
			} else if (errors[i] == -EDQUOT && n % 3) {
				skipped[k]++;
			} else {
				strange("errors[]", -errors[i]);
			}
		}
	}
	atomic_fetch_add(&done, 1);
	return NULL;
}

static unsigned int hear(int i)
{
	unsigned int n = 0;
	struct b1_msg m;

	for (; !b1_recv(rx[i], &m); n++)
		heard[m.meta.account - 1001][i]++;
	return n;
}

static void test_continue(void)
{
	unsigned int i, k, more;
	pthread_t thread[2];

	quota_set_maxima(MANY, 1024);
	for (k = 0; k < 2; k++)
		tx[k] = open_as(1001 + k);
	for (i = 0; i < N; i++) {
		rx[i] = open_as(2000 + i);
		for (k = 0; k < 2; k++)
			b1_node_to(rx[i], tx[k], &dests[k][i]);
	}
	for (k = 0; k < 2; k++)
		pthread_create(&thread[k], NULL, publish, (void *)(intptr_t)k);
	/* Read one of them at a time, so that others are full meanwhile. */
	for (i = 0; atomic_load(&done) < 2; i++) {
		hear(i % N);
		usleep(200);
	}
	for (k = 0; k < 2; k++)
		pthread_join(thread[k], NULL);
	for (i = 0, more = 0; i < N; i++)
		more += hear(i);
	ok(!odd && skipped[0] && skipped[1],
	   "two publish to the same receivers, some of them full: %u, %u "
	   "skipped",
	   skipped[0], skipped[1]);
	ok(!memcmp(passed, heard, sizeof(passed)) && all[0] && all[1],
	   "each got what errors[] says: %u, %u; of these %u at the end",
	   all[0], all[1], more);
	for (k = 0; k < 2; k++)
		for (i = 0; i < N; i++)
			if (!quota_claims(tx[k], 2000 + i, 0, 0))
				strange("what is received", EDQUOT);
	ok(!odd && quota_adds_up(), "all of it is returned");
	for (i = 0; i < N; i++)
		close(rx[i]);
	close(tx[0]);
	close(tx[1]);
	ok(quota_nothing(), "nothing is left");
}

/* --- a SEND that stalls while its receiver's user goes ----------------------
 */

static int s;
static uint64_t to;

/* With all charged, it is to read the payload, or to write errors[]. */
static bool at_payload;

static void *send_stalled(void *arg)
{
	return (void *)(intptr_t)b1_multicast(
		s, 1, &to, at_payload ? NULL : arg,
		at_payload ? arg : quota_zeros, 128, NULL, 0);
}

static void test_stalled(void)
{
	int r, s2, up[2];
	pthread_t thread;
	uint64_t to2;
	void *result;
	pid_t pid;
	char *page, c;

	if (!stall_begin()) {
		skip(1, "no userfaultfd: %s", strerror(errno));
		return;
	}
	page = stall_page();
	quota_set_maxima(MANY, 1024);
	r = open_as(1000);
	s = open_as(1001);
	s2 = open_as(1001);
	b1_node_to(r, s, &to);
	pthread_create(&thread, NULL, send_stalled, page);
	ok(stalled() && quota_claims(s, 1000, 1, 128), "a SEND stalls at %s",
	   at_payload ? "its payload" : "errors[]");
	close(r);
	ok(quota_claims(s, 1000, 1, 128) && quota_user(1000, NULL) == 1,
	   "its receiver's user closes the last peer: still charged");
	quota_set_maxima(MANY, 4096);
	r = open_as(1000);
	ok(quota_user(1000, NULL) == 1 &&
		   b1_count(r, "bus1-max-bytes") == 1024 && quota_adds_up(),
	   "and opens another: with the same maximum");
	b1_node_to(r, s2, &to2);
	ok(quota_send(s2, 0, 1, &to2, NULL, 65, NULL, 0) == EDQUOT &&
		   !quota_send(s2, 0, 1, &to2, NULL, 64, NULL, 0) &&
		   quota_send(s2, 0, 1, &to2, NULL, 1, NULL, 0) == EDQUOT,
	   "of which a second peer of the sender's user has 64 bytes");
	provide(page);
	close(stall_fd);
	pthread_join(thread, &result);
	ok(!result && quota_claims(s, 1000, 0, 0) &&
		   b1_count(r, "bus1-queued") == 1,
	   "the SEND goes on: to nobody, and all of it returns");
	ok(!quota_send(s2, 0, 1, &to2, NULL, 64, NULL, 0) &&
		   quota_send(s2, 0, 1, &to2, NULL, 1, NULL, 0) == EDQUOT &&
		   quota_adds_up(),
	   "now the other is the only one, with 128 bytes");
	close(s2);
	close(r);

	/* The sender is killed while it stalls. */
	r = open_as(1000);
	b1_node_to(r, s, &to);
	if (pipe(up))
		bail_out("no pipe");
	pid = fork();
	if (!pid) {
		close(r);
		c = stall_begin();
		pthread_create(&thread, NULL, send_stalled, stall_page());
		c = c && stalled();
		(void)!write(up[1], &c, 1);
		pause();
	}
	close(s);
	ok(read(up[0], &c, 1) == 1 && c, "a SEND stalls in another process");
	close(r);
	ok(quota_user(1000, NULL) == 1 &&
		   quota_trace(1000, 1001, QUOTA_ANY, "bytes") == 128,
	   "its receiver is closed: still charged");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(quota_nothing(), "it is killed: nothing is left");
}

int main(void)
{
	if (!quota_begin())
		return done_testing();
	test_reopen();
	test_fresh();
	test_continue();
	test_stalled();
	at_payload = true;
	test_stalled();
	return done_testing();
}
