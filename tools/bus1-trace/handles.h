/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_HANDLES_H
#define _BUS1_TRACE_HANDLES_H

#include "view.h"

/*
 * DOC: handles
 *
 *   handles.c         the verb: a look at how things are, or a watch
 *   handles-group.c   what is alike, and what is suspicious about it
 *   handles-show.c    rows and records
 *   handles-stacks.c  the code that made them
 */

/* Handles of one peer to nodes of one owner, that came the same way */
struct handle_group {
	uint64_t holder, owner;
	uint32_t how; /* BUS1_HOW_*; of several, as most of them */
	uint64_t from; /* who transferred or sent them */
	uint64_t n, nodes;
	uint64_t created; /* when the oldest was, */
	uint64_t used; /* and the last of any use; 0 is never */
	uint64_t never; /* how many never were, although old enough; */
	uint64_t never_since; /* when the oldest of these was made; */
	uint64_t idle; /* and how many not for long */
	uint64_t dead; /* node released, and that has not been received */
	uint64_t grown; /* more of this holder and owner than at the start */
	uint64_t node; /* of the one added last */
	const struct world_handle *first, *last; /* the oldest, the newest */
};

struct handle_groups {
	struct handle_group *groups; /* large ones first */
	struct handle_group *suspects; /* by holder and owner, worst first */
	struct world_handle **handles; /* all of them, see world_handles() */
	size_t n_groups, n_suspects, n_handles;
	uint64_t time, watched; /* now; ns since the start, 0: just a look */
	bool used_unknown; /* see handle_limits */
};

struct handle_limits {
	uint64_t never, idle; /* ns from which on that is suspicious */
	bool unknown; /* the module does not say when a handle was used */
};

/* How many there are at the start of a watch */
void groups_start(void);
/* What there is now, of what is asked for; valid until the next event */
const struct handle_groups *groups_make(const struct handle_limits *limits,
					uint64_t time, uint64_t watched);

void handles_text(const struct handle_groups *groups, bool all);
void handles_json(const struct handle_groups *groups, bool all);
void stacks_text(const struct handle_groups *groups, bool all);
void stacks_json(const struct handle_groups *groups);

#endif /* _BUS1_TRACE_HANDLES_H */
