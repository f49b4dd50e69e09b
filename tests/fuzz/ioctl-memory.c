// SPDX-License-Identifier: GPL-2.0-only
/* The memory of a call: where its arrays lie, and what was written there. */
#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "ioctl-build.h"

#define PAGE 4096
#define POISON 0xa5
#define HIGH (1ull << 63)

static const size_t rooms[N_ROLES] = {
	[R_CMD] = PAGE,
	[R_IN] = PAGE,
	[R_OUT] = PAGE,
	[R_MSG] = PAGE,
	[R_TR] = PAGE,
	[R_VEC] = PAGE,
	[R_DATA] = FUZZ_DATA_MOST + PAGE,
	[R_RTR] = PAGE,
	[R_RVEC] = PAGE,
	[R_RDATA] = FUZZ_BATCH * FUZZ_DATA_MOST + PAGE,
};

const char *arena_init(struct arena *a)
{
	unsigned int i;

	for (i = 0; i < N_ROLES; i++) {
		struct region *r = &a->r[i];

		r->room = rooms[i];
		r->map = mmap(NULL, r->room + PAGE, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		r->shadow = mmap(NULL, r->room, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (r->map == MAP_FAILED || r->shadow == MAP_FAILED ||
		    mprotect(r->map, r->room, PROT_READ | PROT_WRITE))
			return "no memory for the arguments of calls";
	}
	return NULL;
}

/* How "bad" moves the array of its role */
enum place {
	PLACE_GOOD,
	PLACE_NONE,
	PLACE_CUT,
	PLACE_RO,
	PLACE_HIGH,
	PLACE_WRAP
};

static enum place bad_place(enum fuzz_bad bad)
{
	switch (bad) {
	case BAD_CMD_NONE:
	case BAD_IN_NONE:
	case BAD_OUT_NONE:
	case BAD_MSG_NONE:
	case BAD_TR_NONE:
	case BAD_VEC_NONE:
	case BAD_DATA_NONE:
		return PLACE_NONE;
	case BAD_CMD_CUT:
	case BAD_IN_CUT:
	case BAD_OUT_CUT:
	case BAD_MSG_CUT:
	case BAD_TR_CUT:
	case BAD_VEC_CUT:
	case BAD_DATA_CUT:
		return PLACE_CUT;
	case BAD_CMD_RO:
	case BAD_IN_RO:
	case BAD_OUT_RO:
	case BAD_MSG_RO:
	case BAD_TR_RO:
	case BAD_DATA_RO:
		return PLACE_RO;
	case BAD_IN_HIGH:
	case BAD_TR_HIGH:
	case BAD_VEC_HIGH:
		return PLACE_HIGH;
	case BAD_IN_WRAP:
		return PLACE_WRAP;
	default:
		return PLACE_GOOD;
	}
}

enum role bad_role(const struct call *c)
{
	switch (c->bad) {
	case BAD_CMD_NONE:
	case BAD_CMD_CUT:
	case BAD_CMD_RO:
		return R_CMD;
	case BAD_IN_NONE:
	case BAD_IN_CUT:
	case BAD_IN_RO:
	case BAD_IN_HIGH:
	case BAD_IN_WRAP:
		return R_IN;
	case BAD_OUT_NONE:
	case BAD_OUT_CUT:
	case BAD_OUT_RO:
		return R_OUT;
	case BAD_MSG_NONE:
	case BAD_MSG_CUT:
	case BAD_MSG_RO:
		return R_MSG;
	case BAD_TR_NONE:
	case BAD_TR_CUT:
	case BAD_TR_RO:
	case BAD_TR_HIGH:
		return c->bad_room ? R_RTR : R_TR;
	case BAD_VEC_NONE:
	case BAD_VEC_CUT:
		return c->bad_room ? R_RVEC : R_VEC;
	case BAD_VEC_HIGH:
		/* Not the array: where its first entry leads */
	case BAD_DATA_NONE:
	case BAD_DATA_CUT:
	case BAD_DATA_RO:
		return c->bad_room ? R_RDATA : R_DATA;
	default:
		return N_ROLES;
	}
}

uint64_t arena_place(struct call *c, enum role role, size_t len, size_t cut)
{
	enum place how = bad_role(c) == role ? bad_place(c->bad) : PLACE_GOOD;
	struct region *r = &c->a->r[role];
	unsigned char *end = r->map + r->room;

	assert(CANARY + len < r->room);
	r->len = r->seen = len;
	r->at = end - len - (c->bad == BAD_ODD);
	r->read_only = how == PLACE_RO;
	if (how == PLACE_CUT) {
		r->at += cut;
		r->seen -= cut;
	}
	memset(r->at - CANARY, POISON, CANARY + r->seen);
	switch (how) {
	case PLACE_NONE:
		return BUS1_FROM_PTR(end);
	case PLACE_HIGH:
		return BUS1_FROM_PTR(r->at) | HIGH;
	case PLACE_WRAP:
		return (uint64_t)-8;
	default:
		return BUS1_FROM_PTR(r->at);
	}
}

void arena_put(struct call *c, enum role role, size_t at, const void *from,
	       size_t len)
{
	struct region *r = &c->a->r[role];

	if (at >= r->seen)
		return;
	if (len > r->seen - at)
		len = r->seen - at;
	memcpy(r->at + at, from, len);
}

void arena_put64(struct call *c, enum role role, size_t at, uint64_t v)
{
	arena_put(c, role, at, &v, sizeof(v));
}

void shadow64(struct region *r, size_t at, uint64_t v)
{
	if (at + sizeof(v) <= r->seen)
		memcpy(r->shadow + CANARY + at, &v, sizeof(v));
}

void shadow_copy(struct region *r, size_t at, size_t len)
{
	memcpy(r->shadow + CANARY + at, r->at + at, len);
}

void arena_snapshot(struct arena *a)
{
	unsigned int i;

	for (i = 0; i < N_ROLES; i++)
		if (a->r[i].at)
			memcpy(a->r[i].shadow, a->r[i].at - CANARY,
			       CANARY + a->r[i].seen);
}

const char *arena_differs(struct arena *a, uint32_t except)
{
	static const char *const names[N_ROLES] = {
		[R_CMD] = "the command",
		[R_IN] = "the array of the command",
		[R_OUT] = "errors, new handles or metadata",
		[R_MSG] = "the message",
		[R_TR] = "the transfers of the message sent",
		[R_VEC] = "the iovecs",
		[R_DATA] = "the data sent",
		[R_RTR] = "the room for transfers",
		[R_RVEC] = "the iovecs of the room",
		[R_RDATA] = "the room for data",
	};
	unsigned int i;

	for (i = 0; i < N_ROLES; i++) {
		struct region *r = &a->r[i];
		size_t len = except >> i & 1 ? 0 : r->seen;

		if (r->at && memcmp(r->shadow, r->at - CANARY, CANARY + len))
			return names[i];
	}
	return NULL;
}
