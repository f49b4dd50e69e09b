/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_BENCH_SCALE_H
#define _TESTS_BENCH_SCALE_H

/*
 * DOC: what the benchmarks of scale have in common
 *
 * Here a run says itself what it took, as what it does between two figures
 * (drain the receivers, fill a table) is nobody's cost. bus1 is used as its best
 * users would: data in one piece is sent and received FLAT, where the module can.
 */
#include <sys/resource.h>

#include "../stress/b1-raw.h"
#include "bench.h"

/* What is freed later, by RCU, comes in bursts. */
#define SCALE_RUN_NS (3 * BENCH_RUN_NS)
/*
 * IDs are not used twice, and where in a peer's table the last ones are decides
 * what an operation on it takes: beyond the first so many that does not change
 * during these benchmarks.
 */
#define SCALE_USED_IDS 5000

/* Which extensions the module has; none if it does not know the question. */
static inline uint64_t scale_features(void)
{
	static uint64_t features = BUS1_INVALID;
	struct bus1_cmd_features cmd = { 0 };
	int fd;

	if (features == BUS1_INVALID) {
		fd = raw_open();
		if (fd < 0)
			bench_fail("cannot open /dev/bus1 (is the module loaded?)");
		features = ioctl(fd, BUS1_CMD_FEATURES, &cmd) ? 0 :
			   cmd.features;
		close(fd);
	}
	return features;
}

static inline int scale_open(void)
{
	int fd = raw_open();

	if (fd < 0)
		bench_fail("cannot open /dev/bus1 (is the module loaded?)");
	return fd;
}

/* A peer of another user, if @uid is not 0; needs root. */
static inline int scale_open_as(uid_t uid)
{
	int fd;

	if (setresuid(-1, uid, -1))
		bench_fail("setresuid (root is needed)");
	fd = scale_open();
	if (setresuid(-1, 0, -1))
		bench_fail("setresuid");
	return fd;
}

/* A handle in @to to a node of @fd, whose ID is in @node unless that is NULL. */
static inline uint64_t scale_node(int fd, int to, uint64_t *node)
{
	uint64_t id, handle = 0;

	errno = raw_node(fd, to, &id, &handle);
	if (errno)
		bench_fail("TRANSFER of a new node");
	if (node)
		*node = id;
	return handle;
}

static inline void scale_send(int fd, uint64_t n, const uint64_t *to,
			      const void *data, size_t len,
			      struct bus1_transfer *t, uint64_t n_t)
{
	struct iovec vec = { (void *)data, len };
	bool flat = scale_features() & BUS1_FEATURE_FLAT;
	struct bus1_message msg = {
		.flags = flat ? BUS1_MESSAGE_FLAG_FLAT : 0,
		.type = BUS1_MESSAGE_TYPE_USER,
		.n_transfers = n_t,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = len,
		.n_data_vecs = flat ? len : 1,
		.ptr_data_vecs = flat ? BUS1_FROM_PTR(data) :
					BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_send cmd = {
		.n_destinations = n,
		.ptr_destinations = BUS1_FROM_PTR(to),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	if (ioctl(fd, BUS1_CMD_SEND, &cmd))
		bench_fail("SEND");
}

/* RECV, as it is for a caller who knows what room he needs; 0 or errno. */
static inline int scale_try(int fd, struct raw_msg *m, void *data, size_t len,
			    struct bus1_transfer *t, uint64_t n_t,
			    uint64_t flags)
{
	struct iovec vec = { data, len };
	bool flat = scale_features() & BUS1_FEATURE_FLAT;
	struct bus1_metadata meta = { 0 };
	struct bus1_message msg = {
		.flags = flat ? BUS1_MESSAGE_FLAG_FLAT : 0,
		.type = BUS1_INVALID,
		.n_transfers = n_t,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = len,
		.n_data_vecs = flat ? len : 1,
		.ptr_data_vecs = flat ? BUS1_FROM_PTR(data) :
					BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_recv cmd = {
		.flags = flags,
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	if (ioctl(fd, BUS1_CMD_RECV, &cmd))
		return errno;
	m->type = msg.type;
	m->id = meta.id;
	m->n_data = msg.n_data;
	m->n_t = msg.n_transfers;
	return 0;
}

/* A message of @len bytes and @n_t handles, or it fails. */
static inline void scale_recv(int fd, void *data, size_t len,
			      struct bus1_transfer *t, uint64_t n_t)
{
	struct raw_msg m = { 0 };

	errno = scale_try(fd, &m, data, len, t, n_t, 0);
	if (errno || m.type != BUS1_MESSAGE_TYPE_USER || m.n_data != len ||
	    m.n_t != n_t)
		bench_fail("RECV");
}

static inline void scale_release(int fd, uint64_t n, const uint64_t *ids)
{
	errno = raw_release(fd, n, ids);
	if (errno)
		bench_fail("RELEASE");
}

/* As many descriptors as the system lets one process have. */
static inline void scale_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		bench_fail("getrlimit");
	limit.rlim_cur = limit.rlim_max = 1 << 20;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		bench_fail("a million descriptors (root is needed)");
}

/*
 * What an operation takes, where @run does some rounds of it and returns what
 * they took together.
 */
static inline double scale_measure(uint64_t (*run)(void *arg, long rounds),
				   void *arg, uint64_t run_ns, double *spread)
{
	double v[BENCH_REPEAT];
	uint64_t took;
	long rounds;
	int i;

	run(arg, 2);
	for (rounds = 1;; rounds *= 4) {
		took = run(arg, rounds);
		if (took >= run_ns / 8)
			break;
	}
	rounds = rounds * run_ns / took;
	rounds = rounds < 1 ? 1 : rounds;
	marker_begin(program_invocation_short_name, BENCH_REPEAT * rounds);
	for (i = 0; i < BENCH_REPEAT; i++)
		v[i] = (double)run(arg, rounds) / rounds;
	marker_end();
	return bench_median(v, BENCH_REPEAT, spread);
}

#endif /* _TESTS_BENCH_SCALE_H */
