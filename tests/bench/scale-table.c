// SPDX-License-Identifier: GPL-2.0-only
/*
 * scale-table - what it takes to make, to have and to drop nodes and handles
 *
 *   scale-table [GROUP[,GROUP]...]
 *
 * objects make and drop what messages are sent by, N in one call
 * table   what an operation takes where sender and receiver have N handles each
 * close   the close of a peer with N handles or nodes, for each of them; beside
 *         N eventfds
 *
 * See bench.h for the lines that are printed. Needs root, as a million handles
 * are more than a user has by default, and 700 MB of memory.
 */
#define _GNU_SOURCE
#include <linux/close_range.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "scale.h"

/* Of nobody else: what a user may have is set when he is first seen. */
#define UID 1651209777
#define MOST (1000 * 1000)
#define CLOSED (100 * 1000)
#define LIMIT "/sys/module/bus1/parameters/max_objects"
/* Made in one call, of "objects" */
#define AT_ONCE 64
/* Handles made in one call; the scheduler's ticks are between them */
#define STEP 10000

/* Set by a peer that lives as long as the program; the old value comes back. */
static void more_objects(void)
{
	char old[32] = "";
	FILE *f = fopen(LIMIT, "r+");

	if (!f || !fgets(old, sizeof(old), f) || fseek(f, 0, SEEK_SET) ||
	    fprintf(f, "%d\n", 16 * MOST) < 0 || fflush(f))
		bench_fail(LIMIT " (root is needed)");
	scale_open_as(UID);
	if (fseek(f, 0, SEEK_SET) || fputs(old, f) < 0 || fclose(f))
		bench_fail(LIMIT);
}

/*
 * TRANSFER of @n entries from @from to @to, all of them as @what; the new IDs go
 * to @src, if nodes are made, and @dst. Either may be NULL.
 */
static void transfer(int from, int to, struct bus1_transfer what, uint64_t n,
		     uint64_t *src, uint64_t *dst)
{
	static struct bus1_transfer s[STEP], d[STEP];
	uint64_t i, k, step;

	for (i = 0; i < n; i += step) {
		step = n - i < STEP ? n - i : STEP;
		for (k = 0; k < step; k++)
			s[k] = what;
		errno = raw_transfer(from, to, step, s, d);
		if (errno)
			bench_fail("TRANSFER of many handles");
		for (k = 0; k < step; k++) {
			if (src)
				src[i + k] = s[k].id;
			if (dst)
				dst[i + k] = d[k].id;
		}
	}
}

static const struct bus1_transfer create = {
	BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID
};

/* Two peers with handles to each other. */
struct pair {
	int fd[2];
	uint64_t n;
	uint64_t *handle[2]; /* @n each */
	uint64_t seed;
};

static void pair_fill(struct pair *p, uint64_t n)
{
	uint64_t node, first;
	int i;

	p->n = n;
	p->fd[0] = scale_open_as(UID);
	p->fd[1] = scale_open_as(UID);
	for (i = 0; i < 2; i++) {
		p->handle[i] = malloc(n * sizeof(*p->handle[i]));
		if (!p->handle[i])
			bench_fail("no memory");
		transfer(p->fd[!i], p->fd[i], create, 1, &node, &first);
		p->handle[i][0] = first;
		transfer(p->fd[i], p->fd[i],
			 (struct bus1_transfer){ 0, first }, n - 1, NULL,
			 p->handle[i] + 1);
	}
}

static void pair_close(struct pair *p)
{
	int i;

	for (i = 0; i < 2; i++) {
		close(p->fd[i]);
		free(p->handle[i]);
	}
}

/* Any handle of the sender. */
static uint64_t any(struct pair *p)
{
	return p->handle[0][raw_rand(&p->seed) % p->n];
}

static uint64_t send_recv(void *arg, long rounds)
{
	uint64_t start = bench_now(), to;
	char data[8] = "payload";
	struct pair *p = arg;

	while (rounds--) {
		to = any(p);
		scale_send(p->fd[0], 1, &to, data, sizeof(data), NULL, 0);
		scale_recv(p->fd[1], data, sizeof(data), NULL, 0);
	}
	return bench_now() - start;
}

static uint64_t pass(void *arg, long rounds)
{
	uint64_t start = bench_now(), to, id;
	char data[8] = "payload";
	struct bus1_transfer t;
	struct pair *p = arg;

	while (rounds--) {
		to = any(p);
		t = (struct bus1_transfer){ 0, any(p) };
		scale_send(p->fd[0], 1, &to, data, sizeof(data), &t, 1);
		scale_recv(p->fd[1], data, sizeof(data), &t, 1);
		id = t.id;
		scale_release(p->fd[1], 1, &id);
	}
	return bench_now() - start;
}

static uint64_t copy(void *arg, long rounds)
{
	uint64_t start = bench_now(), id;
	struct pair *p = arg;

	while (rounds--) {
		errno = raw_copy(p->fd[0], any(p), p->fd[1], &id);
		if (errno)
			bench_fail("TRANSFER");
		scale_release(p->fd[1], 1, &id);
	}
	return bench_now() - start;
}

/* A node of the one, a handle of the other, and how he learns that it is gone */
static uint64_t notify(void *arg, long rounds)
{
	uint64_t start = bench_now(), node, handle;
	struct raw_msg m = { 0 };
	struct pair *p = arg;

	while (rounds--) {
		handle = scale_node(p->fd[0], p->fd[1], &node);
		scale_release(p->fd[0], 1, &node);
		errno = scale_try(p->fd[1], &m, NULL, 0, NULL, 0, 0);
		if (errno || m.type != BUS1_MESSAGE_TYPE_NODE_RELEASE ||
		    m.id != handle)
			bench_fail("RECV of a notification");
	}
	return bench_now() - start;
}

static uint64_t visit(void *arg, long rounds)
{
	uint64_t start = bench_now();
	struct pair *p = arg;
	int fd;

	while (rounds--) {
		fd = scale_open_as(UID);
		scale_node(p->fd[1], fd, NULL);
		scale_node(fd, p->fd[1], NULL);
		close(fd);
		/* its handle is gone, and its node */
		scale_try(p->fd[1], &(struct raw_msg){ 0 }, NULL, 0, NULL, 0,
			  0);
		scale_try(p->fd[1], &(struct raw_msg){ 0 }, NULL, 0, NULL, 0,
			  0);
	}
	return bench_now() - start;
}

static uint64_t make_nodes(int fd, int n, long rounds)
{
	struct bus1_transfer src[AT_ONCE], dst[AT_ONCE];
	uint64_t start = bench_now(), ids[2 * AT_ONCE];
	int i;

	while (rounds--) {
		for (i = 0; i < n; i++)
			src[i] = (struct bus1_transfer){
				BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID
			};
		errno = raw_transfer(fd, BUS1_INVALID, n, src, dst);
		if (errno)
			bench_fail("TRANSFER");
		for (i = 0; i < n; i++) {
			ids[2 * i] = src[i].id;
			ids[2 * i + 1] = dst[i].id;
		}
		scale_release(fd, 2 * n, ids);
	}
	return bench_now() - start;
}

static uint64_t make_node(void *arg, long rounds)
{
	return make_nodes(*(int *)arg, 1, rounds);
}

static uint64_t make_many(void *arg, long rounds)
{
	return make_nodes(*(int *)arg, AT_ONCE, rounds);
}

static uint64_t make_peer(void *arg, long rounds)
{
	uint64_t start = bench_now();

	(void)arg;
	while (rounds--)
		close(scale_open());
	return bench_now() - start;
}

static uint64_t make_socketpair(void *arg, long rounds)
{
	uint64_t start = bench_now();
	int s[2];

	(void)arg;
	while (rounds--) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s))
			bench_fail("socketpair");
		close(s[0]);
		close(s[1]);
	}
	return bench_now() - start;
}

static uint64_t make_pipe(void *arg, long rounds)
{
	uint64_t start = bench_now();
	int p[2];

	(void)arg;
	while (rounds--) {
		if (pipe(p))
			bench_fail("pipe");
		close(p[0]);
		close(p[1]);
	}
	return bench_now() - start;
}

static uint64_t make_eventfd(void *arg, long rounds)
{
	uint64_t start = bench_now();
	int fd;

	(void)arg;
	while (rounds--) {
		fd = eventfd(0, EFD_CLOEXEC);
		if (fd < 0)
			bench_fail("eventfd");
		close(fd);
	}
	return bench_now() - start;
}

static void objects(void)
{
	static const struct {
		const char *name;
		int n;
		uint64_t (*run)(void *arg, long rounds);
	} ways[] = {
		{ "bus1 node and handle", 1, make_node },
		{ "bus1 node and handle", AT_ONCE, make_many },
		{ "bus1 peer", 1, make_peer },
		{ "socketpair", 1, make_socketpair },
		{ "pipe", 1, make_pipe },
		{ "eventfd", 1, make_eventfd },
	};
	double value, spread;
	int fd = scale_open();
	unsigned int w;

	/* of nodes and handles, and of peers */
	make_node(&fd, SCALE_USED_IDS);
	make_peer(NULL, SCALE_USED_IDS);
	for (w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
		value = scale_measure(ways[w].run, &fd, SCALE_RUN_NS, &spread);
		bench_print("objects", ways[w].name, ways[w].n, value / ways[w].n,
			    spread);
	}
	close(fd);
}

static void table(void)
{
	static const struct {
		const char *name;
		uint64_t (*run)(void *arg, long rounds);
	} ways[] = {
		{ "send, recv", send_recv },
		{ "send, recv, release of a handle", pass },
		{ "transfer, release of a handle", copy },
		{ "node, its release, the notification", notify },
		{ "peer, its handles and its close", visit },
	};
	static const uint64_t counts[] = { 10, 1000, MOST };
	double value, spread;
	struct pair p = { 0 };
	unsigned int c, w;

	for (c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
		pair_fill(&p, counts[c]);
		/* what a table is like beyond its first IDs: see scale.h */
		copy(&p, SCALE_USED_IDS);
		notify(&p, SCALE_USED_IDS);
		for (w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
			value = scale_measure(ways[w].run, &p, SCALE_RUN_NS,
					      &spread);
			bench_print("table", ways[w].name, p.n, value, spread);
		}
		pair_close(&p);
	}
}

/* Each fills a peer, and returns what its close took. */
static uint64_t timed_close(int fd)
{
	uint64_t start = bench_now();

	close(fd);
	return bench_now() - start;
}

/* To one node of another peer, which stays. */
static uint64_t close_handles(uint64_t n)
{
	int fd = scale_open_as(UID), other = scale_open_as(UID);
	uint64_t node, handle, took;

	handle = scale_node(other, fd, &node);
	transfer(fd, fd, (struct bus1_transfer){ 0, handle }, n - 1, NULL,
		 NULL);
	took = timed_close(fd);
	close(other);
	return took;
}

static void expect(int fd, uint64_t type, uint64_t n)
{
	struct raw_msg m = { 0 };

	while (n--) {
		errno = scale_try(fd, &m, NULL, 0, NULL, 0, 0);
		if (errno || m.type != type)
			bench_fail("RECV of a notification");
	}
	if (scale_try(fd, &m, NULL, 0, NULL, 0, 0) != EAGAIN)
		bench_fail("more notifications than were due");
}

/* Each the last one to its node: its owner is told. */
static uint64_t close_last(uint64_t n)
{
	int fd = scale_open_as(UID), other = scale_open_as(UID);
	uint64_t took;

	transfer(other, fd, create, n, NULL, NULL);
	took = timed_close(fd);
	expect(other, BUS1_MESSAGE_TYPE_HANDLE_RELEASE, n);
	close(other);
	return took;
}

/* Nodes, each with a handle elsewhere: its owner is told. */
static uint64_t close_nodes(uint64_t n)
{
	int fd = scale_open_as(UID), other = scale_open_as(UID);
	uint64_t took;

	transfer(fd, other, create, n, NULL, NULL);
	took = timed_close(fd);
	expect(other, BUS1_MESSAGE_TYPE_NODE_RELEASE, n);
	close(other);
	return took;
}

static uint64_t close_eventfds(uint64_t n)
{
	uint64_t i, start;
	int first = 0, fd = 0;

	for (i = 0; i < n; i++) {
		fd = eventfd(0, EFD_CLOEXEC);
		if (fd < 0)
			bench_fail("eventfd");
		first = i ? first : fd;
	}
	start = bench_now();
	if (syscall(SYS_close_range, first, fd, 0))
		bench_fail("close_range");
	return bench_now() - start;
}

static void closes(void)
{
	static const struct {
		const char *name;
		uint64_t (*fill_and_close)(uint64_t n);
	} ways[] = {
		{ "bus1 handles", close_handles },
		{ "bus1 last handles", close_last },
		{ "bus1 nodes", close_nodes },
		{ "eventfd", close_eventfds },
	};
	static const uint64_t counts[] = { 1000, CLOSED };
	unsigned int c, w, i, k, rounds;
	double v[BENCH_REPEAT], value, spread;

	for (c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
		rounds = counts[c] == CLOSED ? 1 : 20;
		for (w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
			ways[w].fill_and_close(counts[c]);
			for (i = 0; i < BENCH_REPEAT; i++) {
				v[i] = 0;
				for (k = 0; k < rounds; k++)
					v[i] += ways[w].fill_and_close(
							counts[c]);
				v[i] /= (double)rounds * counts[c];
			}
			value = bench_median(v, BENCH_REPEAT, &spread);
			bench_print("close", ways[w].name, counts[c], value,
				    spread);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc > 2) {
		fputs("usage: scale-table [GROUP[,GROUP]...]\n", stderr);
		return 2;
	}
	scale_files();
	more_objects();
	bench_settle();
	if (bench_listed(argv[1], "objects"))
		objects();
	if (bench_listed(argv[1], "table"))
		table();
	if (bench_listed(argv[1], "close"))
		closes();
	return 0;
}
