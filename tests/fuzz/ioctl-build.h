/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_FUZZ_IOCTL_BUILD_H
#define _TESTS_FUZZ_IOCTL_BUILD_H

/*
 * DOC: the memory of a call
 *
 * Each array that a call is given lies at the end of a region of its own, right
 * before a page that is not mapped: who reads or writes beyond it gets EFAULT.
 * Before it is poison, and of the whole there is a copy, the *shadow*, in which
 * the expected changes are made, and which has to be equal afterwards.
 */
#include "ioctl.h"

enum role {
	R_CMD,
	R_IN, /* IDs, destinations, sources, entries of a batch, a name */
	R_OUT, /* new handles, errors, metadata */
	R_MSG,
	R_TR,
	R_VEC,
	R_DATA,
	R_RTR, /* the room to receive into */
	R_RVEC,
	R_RDATA,
	N_ROLES
};

/* What is before each array, and where in the shadow the array begins */
#define CANARY 64

struct region {
	unsigned char *map;
	size_t room; /* bytes that are mapped */
	unsigned char *at; /* the array, */
	size_t len; /* its length, */
	size_t seen; /* and how much of it is mapped */
	unsigned char *shadow;
	bool read_only;
};

/* Of each thread one */
struct arena {
	struct region r[N_ROLES];
};

/* Room for one message */
struct room {
	uint64_t n_t;
	uint64_t n_data;
};

struct call {
	const struct fuzz_op *op;
	enum fuzz_call what;
	enum fuzz_bad bad; /* BAD_NONE where it does not fit this call */
	struct arena *a;
	int fd;
	unsigned long cmd;
	uint64_t arg;

	/* What the command names */
	unsigned int n;
	uint64_t id[FUZZ_IDS];
	bool create[FUZZ_IDS];
	int to; /* TRANSFER: which slot; -1: none */
	/* The message */
	unsigned int m;
	uint64_t tr[FUZZ_TRANSFERS];
	bool tcreate[FUZZ_TRANSFERS];
	uint32_t stamp;
	size_t n_data;
	bool flat;
	/* The rooms: one, or those of a batch */
	unsigned int rooms;
	struct room room[FUZZ_BATCH];
	bool rflat;
	bool bad_room; /* "bad" is the room's */

	int r; /* what ioctl() returned */
	int e; /* errno if that was -1 */
};

/* Who runs the sequence says what selectors mean, and what peers there are. */
struct chooser {
	/* 0: a peer has no such thing */
	uint64_t (*id)(unsigned int p, enum fuzz_sel kind, unsigned int n);
	int (*fd)(unsigned int p);
	/* Data and transfers of what will be received, as room to be exact */
	void (*need)(unsigned int p, unsigned int i, struct room *need);
	/* Something is there for who waits */
	bool (*ready)(const struct call *c);
};

/* A descriptor that is not open */
#define FD_CLOSED 999

void call_build(struct call *c, const struct fuzz_op *op, struct arena *a,
		uint32_t stamp, const struct chooser *by);
void call_issue(struct call *c);

/* --- memory (ioctl-memory.c) ---------------------------------------------- */

/* NULL, or why there is no memory */
const char *arena_init(struct arena *a);
/* Which role "bad" is about; N_ROLES if about none */
enum role bad_role(const struct call *c);
/*
 * Place an array of @len bytes as "bad" says; if it says so, with its last @cut
 * bytes not mapped. Returns its address for the kernel.
 */
uint64_t arena_place(struct call *c, enum role role, size_t len, size_t cut);
/* Write to it, as far as it is mapped. */
void arena_put(struct call *c, enum role role, size_t at, const void *from,
	       size_t len);
void arena_put64(struct call *c, enum role role, size_t at, uint64_t v);
/* All is written: make the shadow. */
void arena_snapshot(struct arena *a);

/* The byte at @i of the payload that @stamp says: itself, then a pattern */
static inline unsigned char fuzz_byte(uint32_t stamp, size_t i)
{
	if (i < sizeof(stamp))
		return stamp >> i * 8;
	return stamp * 31 + i * 7 + (i >> 8);
}

static inline uint64_t get64(const struct region *r, size_t at)
{
	uint64_t v;

	__builtin_memcpy(&v, r->at + at, sizeof(v));
	return v;
}

/* The kernel should have written this, or may have written what is there. */
void shadow64(struct region *r, size_t at, uint64_t v);
void shadow_copy(struct region *r, size_t at, size_t len);
/*
 * NULL, or which array was written otherwise than the shadow says. Of those in
 * @except, a bit for each role, only what is beside the array is compared.
 */
const char *arena_differs(struct arena *a, uint32_t except);

#endif /* _TESTS_FUZZ_IOCTL_BUILD_H */
