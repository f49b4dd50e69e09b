/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_FUZZ_IOCTL_CHECK_H
#define _TESTS_FUZZ_IOCTL_CHECK_H

#include "ioctl-build.h"
#include "model.h"

/*
 * How a call may end: 0, an errno, or SENT() of the value above 0 that CALL
 * returns. Where several things are wrong, each of them may be reported: the
 * manual does not say which is seen first.
 */
#define SENT(_e) (1000 + (_e))

struct expect {
	int code[16];
	unsigned int n;
};

static inline bool allows(const struct expect *e, int code)
{
	unsigned int i;

	for (i = 0; i < e->n; i++)
		if (e->code[i] == code)
			return true;
	return false;
}

static inline void may(struct expect *e, int code)
{
	if (!allows(e, code) && e->n < ARRAY_SIZE(e->code))
		e->code[e->n++] = code;
}

/* Remember what is wrong, the first time; returns false. */
bool wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Quotas are low: EDQUOT may come from whatever is charged. */
extern bool check_quota;

/* Nothing was written but what the shadow says; see arena_differs(). */
bool arena_ok(struct call *c, uint32_t except);

/* Make a call of the model's and compare; false: it is wrong. */
bool check_call(struct call *c);

/* ioctl-recv.c: room @i of a call that receives, as the model is now */
void recv_expect(const struct call *c, unsigned int i, struct expect *e);
/* It was received: @meta and @msg say where in region @r that was written. */
bool recv_apply(struct call *c, unsigned int i, struct region *r, size_t meta,
		size_t msg);
/* It was too small: what is needed was written. */
bool recv_sizes(struct call *c, struct region *r, size_t msg);
/* What "bad" means for messages and rooms alike */
void expect_message(const struct call *c, bool room, struct expect *e);

#endif /* _TESTS_FUZZ_IOCTL_CHECK_H */
