/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_TABLE_H
#define _BUS1_TRACE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * DOC: table
 *
 * A hash table of what embeds a table_entry. It grows with what is in it, and
 * knows keys by their hash alone: whoever looks compares what he finds.
 */
struct table_entry {
	struct table_entry *next;
	uint64_t hash;
};

struct table {
	struct table_entry **v;
	size_t n, size;
};

/* What @e is the member "entry" of */
#define table_item(type, e) \
	((type *)((char *)(e) - offsetof(type, entry)))

uint64_t table_hash(uint64_t a, uint64_t b, uint64_t c);
void table_add(struct table *table, struct table_entry *entry, uint64_t hash);
void table_remove(struct table *table, struct table_entry *entry);
/* The first of @hash, and the one after @entry of the same; or NULL */
struct table_entry *table_first(const struct table *table, uint64_t hash);
struct table_entry *table_next(const struct table_entry *entry);

/* Calls @each for all, in no order; it may remove and free what it gets. */
void table_each(struct table *table,
		void (*each)(struct table_entry *entry, void *context),
		void *context);

#endif /* _BUS1_TRACE_TABLE_H */
