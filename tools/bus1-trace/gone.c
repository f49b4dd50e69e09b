// SPDX-License-Identifier: GPL-2.0-only
#include "gone.h"
#include "table.h"

#define GONE_MAX 16384

static struct gone {
	struct table_entry entry;
	uint64_t a, b, c;
	enum gone_kind kind;
	bool used;
} gone[GONE_MAX];
static size_t next;
static struct table table;

static struct gone *find(enum gone_kind kind, uint64_t a, uint64_t b,
			 uint64_t c)
{
	struct table_entry *e = table_first(&table, table_hash(a, b, c) + kind);

	for (; e; e = table_next(e)) {
		struct gone *g = table_item(struct gone, e);

		if (g->kind == kind && g->a == a && g->b == b && g->c == c)
			return g;
	}
	return NULL;
}

bool gone_is(enum gone_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
	return find(kind, a, b, c);
}

void gone_add(enum gone_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
	struct gone *g = &gone[next++ % GONE_MAX];

	if (g->used)
		table_remove(&table, &g->entry);
	*g = (struct gone){ .a = a, .b = b, .c = c, .kind = kind, .used = true };
	table_add(&table, &g->entry, table_hash(a, b, c) + kind);
}

bool gone_take(enum gone_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
	struct gone *g = find(kind, a, b, c);

	if (!g)
		return false;
	table_remove(&table, &g->entry);
	g->used = false;
	return true;
}
