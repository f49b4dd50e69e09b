// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <sys/random.h>
#include "bus1-trace.h"
#include "table.h"

/* A power of two, as all that follow are */
#define SIZE_MIN 1024

/* The finalizer of splitmix64 */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9;
	x ^= x >> 27;
	x *= 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t table_hash(uint64_t a, uint64_t b, uint64_t c)
{
	/* so that no recording can be made of what collides */
	static uint64_t seed;

	while (!seed)
		if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
			seed = now_ns();
	return mix(mix(mix(seed ^ a) ^ b) ^ c);
}

static struct table_entry **chain(const struct table *table, uint64_t hash)
{
	return &table->v[hash & (table->size - 1)];
}

static void resize(struct table *table)
{
	size_t size = table->size ? table->size * 2 : SIZE_MIN, i;
	struct table_entry **v = calloc(size, sizeof(*v)), *entry, *next;

	if (!v) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	for (i = 0; i < table->size; i++) {
		for (entry = table->v[i]; entry; entry = next) {
			next = entry->next;
			entry->next = v[entry->hash & (size - 1)];
			v[entry->hash & (size - 1)] = entry;
		}
	}
	free(table->v);
	table->v = v;
	table->size = size;
}

void table_add(struct table *table, struct table_entry *entry, uint64_t hash)
{
	if (table->n == table->size)
		resize(table);
	entry->hash = hash;
	entry->next = *chain(table, hash);
	*chain(table, hash) = entry;
	table->n++;
}

void table_remove(struct table *table, struct table_entry *entry)
{
	struct table_entry **link = chain(table, entry->hash);

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	table->n--;
}

static struct table_entry *find(struct table_entry *entry, uint64_t hash)
{
	while (entry && entry->hash != hash)
		entry = entry->next;
	return entry;
}

struct table_entry *table_first(const struct table *table, uint64_t hash)
{
	if (!table->size)
		return NULL;
	return find(*chain(table, hash), hash);
}

struct table_entry *table_next(const struct table_entry *entry)
{
	return find(entry->next, entry->hash);
}

void table_each(struct table *table,
		void (*each)(struct table_entry *entry, void *context),
		void *context)
{
	struct table_entry *entry, *next;
	size_t i;

	for (i = 0; i < table->size; i++) {
		for (entry = table->v[i]; entry; entry = next) {
			next = entry->next;
			each(entry, context);
		}
	}
}
