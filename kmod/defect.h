/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_DEFECT_H
#define _BUS1_DEFECT_H

/*
 * DOC: negative controls
 *
 * With CONFIG_BUS1_DEFECTS the parameter "defect" breaks the order of delivery
 * in one of these ways, each with a delay that makes it likely to be seen. The
 * tests of the order have to find every one of them. Without it nothing of this
 * is compiled.
 */
#define BUS1_DEFECT_PUBLISH 1 /* a multicast is published before its last link */
#define BUS1_DEFECT_JUDGE 2 /* leftovers are judged before the freeze */
#define BUS1_DEFECT_HOLD 3 /* SEND does not hold the handles it looked up */
#define BUS1_DEFECT_BOUND 4 /* multicasts are delivered whatever their number */
#define BUS1_DEFECT_KEEP 5 /* what follows a kept multicast is not kept */
#define BUS1_DEFECT_DRAW 6 /* who draws is not waited for */

#ifdef CONFIG_BUS1_DEFECTS
#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/random.h>

extern unsigned int bus1_defect_nr;

static inline bool bus1_defect(unsigned int nr)
{
	return READ_ONCE(bus1_defect_nr) == nr;
}

/* So that what comes in the wrong order does not also break the kernel */
static inline bool bus1_defect_any(void)
{
	return !bus1_defect(0);
}

/* Now and then, up to 2 ms; the caller may sleep. */
static inline void bus1_defect_delay(void)
{
	if (bus1_defect_any() && !(get_random_u32() & 3))
		usleep_range(50, 2000);
}

/* The same where it may not. */
static inline void bus1_defect_spin(void)
{
	if (!(get_random_u32() & 3))
		mdelay(1);
}
#else
static inline bool bus1_defect(unsigned int nr)
{
	return false;
}

static inline bool bus1_defect_any(void)
{
	return false;
}

static inline void bus1_defect_delay(void) { }
static inline void bus1_defect_spin(void) { }
#endif

#endif /* _BUS1_DEFECT_H */
