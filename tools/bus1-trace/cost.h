/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_COST_H
#define _BUS1_TRACE_COST_H

#include <stdbool.h>

struct bpf_object;

/* --cost, if asked for: from here on the kernel measures its BPF programs. */
void cost_begin(void);
/* What the programs of @object cost until now, if it was measured */
void cost_report(struct bpf_object *object, bool json);

#endif /* _BUS1_TRACE_COST_H */
