/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_GONE_H
#define _BUS1_TRACE_GONE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * DOC: gone
 *
 * What ended before it is known to have begun, because events were late; and
 * peers that ended. Only the latest thousands of them are remembered.
 */
enum gone_kind {
	GONE_PEER,
	GONE_NODE,
	GONE_HANDLE,
	GONE_MESSAGE,
	GONE_NOTIFICATION,
};

void gone_add(enum gone_kind kind, uint64_t a, uint64_t b, uint64_t c);
bool gone_is(enum gone_kind kind, uint64_t a, uint64_t b, uint64_t c);
/* Whether it is, and forgets it: nothing begins twice. */
bool gone_take(enum gone_kind kind, uint64_t a, uint64_t b, uint64_t c);

#endif /* _BUS1_TRACE_GONE_H */
