// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: sums
 *
 * Loads and attaches the programs of bus1_acct.bpf.c, and reads what they
 * counted. Of each map there are two: the kernel counts into one while the
 * other is read and emptied.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include "acct.h"
#include "bus1_acct.skel.h"

struct summer {
	struct bus1_acct *skel;
	struct sums sums;
	uint32_t entries;
	int turn; /* which of the two is counted into */
};

void summer_free(struct summer *summer)
{
	if (!summer)
		return;
	bus1_acct__destroy(summer->skel);
	free(summer->sums.flow_keys);
	free(summer->sums.flows);
	free(summer->sums.refusal_keys);
	free(summer->sums.refusals);
	free(summer);
}

static bool alloc(struct summer *summer, size_t n)
{
	struct sums *s = &summer->sums;

	s->flow_keys = calloc(n, sizeof(*s->flow_keys));
	s->flows = calloc(n, sizeof(*s->flows));
	s->refusal_keys = calloc(n + ACCT_OTHERS, sizeof(*s->refusal_keys));
	s->refusals = calloc(n + ACCT_OTHERS, sizeof(*s->refusals));
	summer->entries = n;
	return s->flow_keys && s->flows && s->refusal_keys && s->refusals;
}

struct summer *summer_attach(const struct probe_options *options, bool raw,
			     int *error)
{
	struct summer *summer = calloc(1, sizeof(*summer));
	struct bus1_acct *skel;

	*error = -ENOMEM;
	if (!summer || !alloc(summer, options->entries))
		goto fail;
	summer->skel = skel = bus1_acct__open();
	if (!skel) {
		*error = -errno;
		goto fail;
	}
	skel->rodata->filter_pid = options->pid;
	skel->rodata->filter_peer = options->peer;
	skel->rodata->filter_uid = options->has_uid;
	skel->rodata->filter_uid_value = options->uid;
	bpf_map__set_max_entries(skel->maps.flows_0, summer->entries);
	bpf_map__set_max_entries(skel->maps.flows_1, summer->entries);
	bpf_map__set_max_entries(skel->maps.refusals_0, summer->entries);
	bpf_map__set_max_entries(skel->maps.refusals_1, summer->entries);
	bpf_map__set_max_entries(skel->maps.others_0, ACCT_OTHERS);
	bpf_map__set_max_entries(skel->maps.others_1, ACCT_OTHERS);
	if (!options->pid)
		bpf_map__set_max_entries(skel->maps.matches, 1);
	programs_choose(skel->obj, raw);
	*error = bus1_acct__load(skel);
	if (!*error)
		*error = bus1_acct__attach(skel);
	if (!*error)
		return summer;
fail:
	summer_free(summer);
	return NULL;
}

void summer_detach(struct summer *summer)
{
	bus1_acct__detach(summer->skel);
}

int summer_matches(struct summer *summer)
{
	return bpf_map__fd(summer->skel->maps.matches);
}

/* Moves all of map @from into the arrays. */
static int take(int from, void *keys, void *values, uint32_t *n)
{
	uint32_t batch;
	int error;

	/* ENOENT: there was no more, or nothing at all */
	error = bpf_map_lookup_and_delete_batch(from, NULL, &batch, keys,
						values, n, NULL);
	return error == -ENOENT ? 0 : error;
}

/* The programs count into @to once this returns: none still uses the other. */
static int turn(struct bpf_map *outer, struct bpf_map *to)
{
	uint32_t zero = 0, fd = bpf_map__fd(to);

	return bpf_map_update_elem(bpf_map__fd(outer), &zero, &fd, BPF_ANY);
}

int summer_take(struct summer *summer, const struct sums **result)
{
	struct bus1_acct *skel = summer->skel;
	struct bpf_map *flows[] = { skel->maps.flows_0, skel->maps.flows_1 };
	struct bpf_map *refusals[] = { skel->maps.refusals_0,
				       skel->maps.refusals_1 };
	struct bpf_map *others[] = { skel->maps.others_0, skel->maps.others_1 };
	struct bus1_count counts[ACCT_MAX];
	struct sums *s = &summer->sums;
	uint32_t n_others = ACCT_OTHERS;
	int old = summer->turn, new = !old, error, i;

	error = turn(skel->maps.flows, flows[new]);
	if (!error)
		error = turn(skel->maps.refusals, refusals[new]);
	if (!error)
		error = turn(skel->maps.others, others[new]);
	if (error)
		return error;
	summer->turn = new;
	s->n_flows = s->n_refusals = summer->entries;
	error = take(bpf_map__fd(flows[old]), s->flow_keys, s->flows,
		     &s->n_flows);
	if (!error)
		error = take(bpf_map__fd(refusals[old]), s->refusal_keys,
			     s->refusals, &s->n_refusals);
	if (!error)
		error = take(bpf_map__fd(others[old]),
			     s->refusal_keys + s->n_refusals,
			     s->refusals + s->n_refusals, &n_others);
	if (error)
		return error;
	s->n_refusals += n_others;
	summer_counts(summer, counts);
	s->map_full = 0;
	for (i = 0; i < ACCT_MAX; i++)
		s->map_full += counts[i].map_full;
	*result = s;
	return 0;
}

void summer_counts(struct summer *summer, struct bus1_count *sum)
{
	counts_read(bpf_map__fd(summer->skel->maps.counts), ACCT_MAX, sum);
}

uint64_t summer_missed(struct summer *summer)
{
	return programs_missed(summer->skel->obj);
}
