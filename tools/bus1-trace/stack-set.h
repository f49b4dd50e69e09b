/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_STACK_SET_H
#define _BUS1_TRACE_STACK_SET_H

#include <linux/types.h>
#include "bus1_event.h"

/* The same stack of the same process is kept once; of NULL there is none. */
const struct bus1_stack *stack_get(const struct bus1_stack *stack);
void stack_put(const struct bus1_stack *stack);

#endif /* _BUS1_TRACE_STACK_SET_H */
