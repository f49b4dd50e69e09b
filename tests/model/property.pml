/* SPDX-License-Identifier: GPL-2.0-only */
#define bit(x) (1 << (x))
#define all(n) (bit(n) - 1)
/*
 * What has to hold is asserted as "or PROPERTY", so that its name is seen if it
 * does not. With ONLY, nothing but that one has to. A WITNESS is the same for
 * what has to happen: with ONLY, it is an error.
 */
#ifdef ONLY
#define PROPERTY(name) bool name = true
#else
#define PROPERTY(name) bool name
#endif
#define WITNESS(name) bool name = true

inline expect()
{
#ifdef ONLY
	ONLY = false
#else
	skip
#endif
}
