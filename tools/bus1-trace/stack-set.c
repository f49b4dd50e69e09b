// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"
#include "stack-set.h"
#include "table.h"

struct stack {
	struct table_entry entry;
	size_t users;
	struct bus1_stack stack; /* as long as it is: the last member */
};

static struct table stacks;

static struct stack *stack_of(const struct bus1_stack *stack)
{
	return (struct stack *)((char *)stack - offsetof(struct stack, stack));
}

const struct bus1_stack *stack_get(const struct bus1_stack *stack)
{
	size_t n = stack->n < BUS1_STACK_MAX ? stack->n : BUS1_STACK_MAX;
	const size_t bytes = n * sizeof(stack->ip[0]);
	uint64_t hash = stack->pid;
	struct table_entry *e;
	struct stack *s;
	size_t i;

	for (i = 0; i < n; i++)
		hash = table_hash(hash, stack->ip[i], i);
	for (e = table_first(&stacks, hash); e; e = table_next(e)) {
		s = table_item(struct stack, e);
		if (s->stack.pid == stack->pid && s->stack.n == n &&
		    !memcmp(s->stack.ip, stack->ip, bytes)) {
			s->users++;
			return &s->stack;
		}
	}
	s = calloc(1, sizeof(*s) - sizeof(s->stack.ip) + bytes);
	if (!s) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	s->users = 1;
	memcpy(&s->stack, stack, offsetof(struct bus1_stack, ip) + bytes);
	s->stack.n = n;
	table_add(&stacks, &s->entry, hash);
	return &s->stack;
}

void stack_put(const struct bus1_stack *stack)
{
	struct stack *s;

	if (!stack)
		return;
	s = stack_of(stack);
	if (--s->users)
		return;
	table_remove(&stacks, &s->entry);
	free(s);
}
