// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"
#include "handles.h"

/* At the start of the watch */
struct pair {
	uint64_t holder, owner, n;
};

static struct pair *pairs;
static size_t n_pairs;
static struct handle_groups result;

void groups_start(void)
{
	struct world_handle **all;
	size_t n = world_handles(&all), i;

	free(pairs);
	pairs = NULL;
	n_pairs = 0;
	for (i = 0; i < n; i++) {
		struct pair *pair = n_pairs ? &pairs[n_pairs - 1] : NULL;

		if (!pair || pair->holder != all[i]->peer ||
		    pair->owner != all[i]->node_peer) {
			pairs = grow(pairs, n_pairs, sizeof(*pairs));
			pair = &pairs[n_pairs++];
			*pair = (struct pair){ all[i]->peer, all[i]->node_peer,
					       0 };
		}
		pair->n++;
	}
}

static int by_pair(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->holder != y->holder)
		return x->holder > y->holder ? 1 : -1;
	return (x->owner > y->owner) - (x->owner < y->owner);
}

static uint64_t at_start(uint64_t holder, uint64_t owner)
{
	struct pair key = { holder, owner, 0 }, *pair = NULL;

	if (n_pairs)
		pair = bsearch(&key, pairs, n_pairs, sizeof(*pairs), by_pair);
	return pair ? pair->n : 0;
}

static bool is_of(const struct handle_group *group,
		  const struct world_handle *handle)
{
	return group->holder == handle->peer &&
	       group->owner == handle->node_peer &&
	       group->how == handle->how && group->from == handle->tx_peer;
}

/* Of two times of which 0 is none, the earlier */
static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static void add(struct handle_group *group, const struct world_handle *handle,
		const struct handle_limits *limits, uint64_t time)
{
	/* they are sorted by node */
	if (!group->n || group->node != handle->node)
		group->nodes++;
	group->node = handle->node;
	group->n++;
	group->dead += handle->dead;
	if (!handle->dead && handle->used && !limits->unknown) {
		group->idle += span(handle->used, time) >= limits->idle;
	} else if (!handle->dead && !limits->unknown &&
		   span(handle->created, time) >= limits->never) {
		group->never++;
		group->never_since = earlier(group->never_since,
					     handle->created);
	}
	if (group->used < handle->used)
		group->used = handle->used;
	if (!group->first || handle->created < group->created) {
		group->created = handle->created;
		group->first = handle;
	}
	if (!group->last || handle->created >= group->last->created)
		group->last = handle;
}

static void make_groups(const struct handle_limits *limits)
{
	size_t i;

	for (i = 0; i < result.n_handles; i++) {
		const struct world_handle *handle = result.handles[i];
		struct handle_group *group = NULL;

		if (result.n_groups)
			group = &result.groups[result.n_groups - 1];
		if (!group || !is_of(group, handle)) {
			result.groups = grow(result.groups, result.n_groups,
					     sizeof(*result.groups));
			group = &result.groups[result.n_groups++];
			*group = (struct handle_group){
				.holder = handle->peer,
				.owner = handle->node_peer,
				.how = handle->how,
				.from = handle->tx_peer,
			};
		}
		add(group, handle, limits, result.time);
	}
}

/* @from is another group of the same holder and owner. */
static void merge(struct handle_group *group, const struct handle_group *from)
{
	struct handle_group sum = group->n >= from->n ? *group : *from;

	sum.n = group->n + from->n;
	sum.nodes = group->nodes + from->nodes;
	sum.never = group->never + from->never;
	sum.never_since = earlier(group->never_since, from->never_since);
	sum.idle = group->idle + from->idle;
	sum.dead = group->dead + from->dead;
	if (group->created < from->created) {
		sum.created = group->created;
		sum.first = group->first;
	} else {
		sum.created = from->created;
		sum.first = from->first;
	}
	sum.last = group->last->created > from->last->created ? group->last :
								from->last;
	sum.used = group->used > from->used ? group->used : from->used;
	*group = sum;
}

static uint64_t badness(const struct handle_group *group)
{
	return 2 * group->grown + group->never + group->idle + group->dead;
}

static int by_badness(const void *a, const void *b)
{
	const struct handle_group *x = a, *y = b;
	uint64_t bad_x = badness(x), bad_y = badness(y);

	if (bad_x != bad_y)
		return bad_x < bad_y ? 1 : -1;
	return (x->created > y->created) - (x->created < y->created);
}

static int by_size(const void *a, const void *b)
{
	const struct handle_group *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	if (x->holder != y->holder)
		return x->holder > y->holder ? 1 : -1;
	return (x->first->id > y->first->id) - (x->first->id < y->first->id);
}

static void make_suspects(void)
{
	struct handle_group *suspect = NULL;
	size_t i, n = 0;

	for (i = 0; i < result.n_groups; i++) {
		const struct handle_group *group = &result.groups[i];

		if (suspect && suspect->holder == group->holder &&
		    suspect->owner == group->owner) {
			merge(suspect, group);
			continue;
		}
		result.suspects = grow(result.suspects, n,
				       sizeof(*result.suspects));
		suspect = &result.suspects[n++];
		*suspect = *group;
	}
	for (i = 0; i < n; i++) {
		struct handle_group *group = &result.suspects[i];
		uint64_t before = at_start(group->holder, group->owner);

		/* the first one to somebody is how things begin */
		if (result.watched && group->n > 1 && group->n > before)
			group->grown = group->n - before;
		if (badness(group))
			result.suspects[result.n_suspects++] = *group;
	}
}

const struct handle_groups *groups_make(const struct handle_limits *limits,
					uint64_t time, uint64_t watched)
{
	size_t n, i;

	free(result.groups);
	free(result.suspects);
	result = (struct handle_groups){
		.time = time,
		.watched = watched,
		.used_unknown = limits->unknown,
	};
	n = world_handles(&result.handles);
	for (i = 0; i < n; i++) {
		struct world_handle *handle = result.handles[i];

		if ((view_fits(handle->peer) || view_fits(handle->node_peer)) &&
		    view_fits_node(handle->node_peer, handle->node))
			result.handles[result.n_handles++] = handle;
	}
	make_groups(limits);
	make_suspects();
	if (result.n_groups)
		qsort(result.groups, result.n_groups, sizeof(*result.groups),
		      by_size);
	if (result.n_suspects)
		qsort(result.suspects, result.n_suspects,
		      sizeof(*result.suspects), by_badness);
	return &result;
}
