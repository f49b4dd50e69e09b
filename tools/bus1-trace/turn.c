// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: turn
 *
 * What BPF programs count is read from maps that take turns; see
 * bpf/bus1_turn.bpf.h.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include "turn.h"

/* Entries read at once; more where many are in one bucket */
#define CHUNK 256

int turned_make(struct turned *t, struct bpf_object *object, const char *name,
		uint32_t entries)
{
	char inner[32];
	int i, error;

	*t = (struct turned){ .entries = entries };
	t->outer = bpf_object__find_map_by_name(object, name);
	if (!t->outer)
		return -ENOENT;
	for (i = 0; i < 2; i++) {
		snprintf(inner, sizeof(inner), "%s_%d", name, i);
		t->inner[i] = bpf_object__find_map_by_name(object, inner);
		if (!t->inner[i])
			return -ENOENT;
		error = bpf_map__set_max_entries(t->inner[i], entries);
		if (error)
			return error;
	}
	return 0;
}

int turned_turn(struct turned *t)
{
	uint32_t zero = 0, fd = bpf_map__fd(t->inner[!t->now]);

	if (bpf_map_update_elem(bpf_map__fd(t->outer), &zero, &fd, BPF_ANY))
		return -errno;
	t->now = !t->now;
	return 0;
}

static bool is_percpu(const struct bpf_map *map)
{
	return bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_HASH;
}

int turned_take(const struct turned *t,
		void (*each)(const void *key, const void *values, size_t n))
{
	struct bpf_map *map = t->inner[!t->now];
	size_t n = is_percpu(map) ? libbpf_num_possible_cpus() : 1;
	size_t key_size = bpf_map__key_size(map);
	/* of each CPU in multiples of 8, which all of them are */
	size_t value_size = bpf_map__value_size(map) * n;
	uint32_t chunk = CHUNK, count, i;
	char *keys = NULL, *values = NULL;
	uint64_t batch, *from = NULL;
	int error;

	do {
		if (!keys) {
			keys = malloc(chunk * key_size);
			values = malloc(chunk * value_size);
		}
		count = chunk;
		error = -ENOMEM;
		if (!keys || !values)
			break;
		error = bpf_map_lookup_and_delete_batch(bpf_map__fd(map), from,
							&batch, keys, values,
							&count, NULL);
		if (error == -ENOSPC && chunk <= t->entries) {
			free(keys);
			free(values);
			keys = values = NULL;
			chunk *= 2;
			error = 0;
			continue; /* from where it was */
		}
		/* ENOENT: these were the last, or none */
		if (error && error != -ENOENT)
			break;
		for (i = 0; i < count; i++)
			each(keys + i * key_size, values + i * value_size, n);
		from = &batch;
	} while (!error);
	free(keys);
	free(values);
	return error == -ENOENT ? 0 : error;
}
