/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_CHURN_H
#define _TESTS_CHURN_H

/*
 * DOC: what the parts of churn share
 *
 * A slot has a peer, by a descriptor, and some IDs that were seen there. Whoever
 * likes uses it, closes it, or puts another peer into it, without a lock. Define
 * _GNU_SOURCE before.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../uapi/tap.h"
#include "b1-raw.h"

#define SLOTS 6
#define IDS 32
#define MAX_ID (1u << 24)
#define SIGNALLED 64

/* What is counted, each for itself; of garbage nothing is expected. */
enum churn_call {
	CHURN_TRANSFER, CHURN_RELEASE, CHURN_SEND, CHURN_CALL, CHURN_REPLY,
	CHURN_RECV, CHURN_BATCH,
	/* with --all */
	CHURN_MULTICAST, CHURN_NAME, CHURN_FEATURES, CHURN_GARBAGE,
};

static struct shared {
	atomic_int fd[SLOTS];
	atomic_ullong id[SLOTS][IDS]; /* some IDs that were seen there */
	atomic_int tid[SIGNALLED]; /* who gets signals; 0: nobody */
	atomic_bool stop;
	atomic_ullong ops, odd, kills;
	atomic_ullong done[CHURN_GARBAGE + 1]; /* with success */
	atomic_ullong bad_errno;
} *sh;

static dev_t bus1_dev;

static uint32_t rnd(uint64_t *state, uint32_t n)
{
	return (raw_rand(state) >> 32) % n;
}

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		bail_out("cannot map memory: %s", strerror(errno));
	return p;
}

/* No errno that these calls cannot have, however they race. */
static int fine(enum churn_call call, int r)
{
	switch (r) {
	case 0:
		sh->done[call]++;
		break;
	case EAGAIN: case EBADF: case EOPNOTSUPP: case EBADRQC:
	case EDQUOT: case EFAULT: case EINVAL: case EMSGSIZE: case ENOMEM:
	case ENOTTY: case EINTR: case ETIMEDOUT:
		break;
	default:
		sh->odd++;
		sh->bad_errno = r;
	}
	sh->ops++;
	return r;
}

static uint64_t some_id(uint64_t *rand, uint32_t slot)
{
	return sh->id[slot][rnd(rand, IDS)];
}

static void note_id(uint64_t *rand, uint32_t slot, uint64_t id)
{
	sh->id[slot][rnd(rand, IDS)] = id;
}

/* When to wait no longer: at once, or soon. */
static uint64_t soon(uint64_t *rand)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec +
	       rnd(rand, 3) * rnd(rand, 200000);
}

/* A peer of another user, if we may; only this thread is somebody else. */
static int open_as(uid_t uid)
{
	int fd;

	syscall(SYS_setresuid, -1, uid, -1);
	fd = raw_open();
	syscall(SYS_setresuid, -1, 0, -1);
	return fd;
}

static bool is_peer(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_rdev == bus1_dev;
}

/*
 * Another descriptor of the peer in a slot; or -1, also if the number has become
 * another file by now: a socket passed over itself, say, would never go away.
 */
static int dup_peer(uint32_t slot)
{
	int fd = fcntl(sh->fd[slot], F_DUPFD_CLOEXEC, 0);

	if (fd >= 0 && !is_peer(fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void put_into(uint32_t slot, int fd)
{
	int old = atomic_exchange(&sh->fd[slot], fd);

	if (old >= 0)
		close(old);
}

#endif /* _TESTS_CHURN_H */
