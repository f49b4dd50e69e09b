// SPDX-License-Identifier: GPL-2.0-only
/* The file of accounts: longer than its batches, read in pieces, while it changes. */
#define _GNU_SOURCE
#include <pthread.h>

#include "quota.h"

#define PEERS 150
#define USERS 40
#define FIRST 5000

/* The file by reads of @n bytes. */
static char *in_pieces(size_t n)
{
	char *text = malloc(1 << 20);
	size_t have = 0;
	ssize_t r;
	int fd = open(QUOTA_ACCOUNTS, O_RDONLY | O_CLOEXEC);

	while ((r = read(fd, text + have, n)) > 0)
		have += r;
	close(fd);
	text[have] = 0;
	return text;
}

/* Users ascend, in each the claimants, in each the peers; none is there twice. */
static bool in_order(const char *text)
{
	uint64_t now[3], last[3] = {};
	const char *line;
	bool any = false;

	for (line = quota_next(text); *line; line = quota_next(line)) {
		now[0] = quota_value(line, "uid") + 1;
		now[1] = now[2] = 0;
		if (strncmp(line, "user ", 5))
			now[1] = quota_value(line, "claimant") + 1;
		if (!strncmp(line, "trace ", 6))
			now[2] = quota_value(line, "peer");
		if (any && memcmp(now, last, sizeof(now)) &&
		    (now[0] > last[0] ||
		     (now[0] == last[0] &&
		      (now[1] > last[1] ||
		       (now[1] == last[1] && now[2] > last[2])))))
			;
		else if (any)
			return false;
		memcpy(last, now, sizeof(now));
		any = true;
	}
	return any;
}

static void test_pieces(void)
{
	char *whole, *part;
	size_t n;

	whole = quota_file(QUOTA_ACCOUNTS);
	ok(!strncmp(whole, "bus1-accounts schema=1.4 time=", 30),
	   "the first line");
	ok(in_order(whole) && quota_adds_up(), "lines ascend and add up");
	for (n = 1; n < 70000; n = n * 7 + 1) {
		part = in_pieces(n);
		/* The first line has the time. */
		ok(!strcmp(quota_next(whole), quota_next(part)),
		   "the same in pieces of %zu bytes", n);
		free(part);
	}
	free(whole);
}

static bool stop;

/* Quotas and traces come and go in the middle of what is read. */
static void *change(void *arg)
{
	int fd, i = 0;

	(void)arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		fd = open_as(FIRST + i++ % USERS);
		close(fd);
	}
	return NULL;
}

static void test_changing(void)
{
	bool good = true;
	pthread_t thread;
	char *text;
	int i;

	pthread_create(&thread, NULL, change, NULL);
	for (i = 0; i < 100; i++) {
		text = in_pieces(i % 2 ? 4096 : 100);
		good = good && in_order(text);
		free(text);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ok(good, "while accounts come and go each line is there once, in order");
}

int main(void)
{
	int owner, from[PEERS], own[USERS], i;
	uint64_t node, to;
	struct stat st;

	if (!quota_begin())
		return done_testing();
	ok(!stat(QUOTA_ACCOUNTS, &st) && (st.st_mode & 0777) == 0400,
	   "only root may read it");
	ok(quota_nothing(), "nothing is claimed yet");

	/* An account with far more lines than one batch has. */
	owner = open_as(FIRST - 1);
	for (i = 0; i < PEERS; i++) {
		from[i] = open_as(FIRST + i % USERS);
		node = b1_node_to(owner, from[i], &to);
		if (quota_send(from[i], 0, 1, &to, NULL, i, NULL, 0))
			bail_out("cannot send");
	}
	for (i = 0; i < USERS; i++)
		own[i] = open_as(FIRST + i);
	(void)node;
	ok(quota_trace(FIRST - 1, QUOTA_ANY, QUOTA_ANY, NULL) == PEERS + 1 &&
		   quota_sum("quota", FIRST - 1, QUOTA_ANY, QUOTA_ANY, NULL) ==
			   USERS + 1 &&
		   quota_user(QUOTA_ANY, NULL) == USERS + 1,
	   "every user, quota and trace has a line");
	ok(quota_trace(FIRST - 1, FIRST + 7, QUOTA_ANY, "bytes") ==
		   7 + (7 + USERS) + (7 + 2 * USERS) + 127 &&
		   quota_user(FIRST - 1, "foreign_objects") == USERS,
	   "with what was sent");
	test_pieces();
	test_changing();

	for (i = 0; i < USERS; i++)
		close(own[i]);
	for (i = 0; i < PEERS; i++)
		close(from[i]);
	ok(quota_trace(FIRST - 1, QUOTA_ANY, QUOTA_ANY, NULL) == PEERS + 1,
	   "what closed peers sent is still claimed by them");
	close(owner);
	ok(quota_nothing(), "nothing is claimed any more");
	return done_testing();
}
