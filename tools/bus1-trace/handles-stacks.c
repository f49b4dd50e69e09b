// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"
#include "handles.h"
#include "recording.h"

#define STACKS_MAX 10

/* Handles made by the same code, that one peer has */
struct made {
	const struct bus1_stack *stack;
	uint64_t holder, n;
};

static int by_code(const void *a, const void *b)
{
	const struct made *x = a, *y = b;

	if (x->holder != y->holder)
		return x->holder > y->holder ? 1 : -1;
	return (x->stack > y->stack) - (x->stack < y->stack);
}

static int by_count(const void *a, const void *b)
{
	const struct made *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return (x->holder > y->holder) - (x->holder < y->holder);
}

/* Equal stacks of a process are one, see stack_get(). */
static size_t group(const struct handle_groups *g, struct made **result)
{
	struct made *all = NULL;
	size_t n = 0, last = 0, i;

	for (i = 0; i < g->n_handles; i++) {
		const struct world_handle *handle = g->handles[i];

		if (!handle->stack)
			continue;
		all = grow(all, n, sizeof(*all));
		all[n++] = (struct made){ handle->stack, handle->peer, 1 };
	}
	*result = all;
	if (!n)
		return 0;
	qsort(all, n, sizeof(*all), by_code);
	for (i = 1; i < n; i++) {
		if (by_code(&all[last], &all[i]))
			all[++last] = all[i];
		else
			all[last].n++;
	}
	qsort(all, last + 1, sizeof(*all), by_count);
	return last + 1;
}

static void print_frame(uint32_t pid, uint64_t ip)
{
	const char *name = symbol_name(pid, ip);

	printf("       ");
	if (*name == '?')
		printf("0x%" PRIx64, ip);
	else
		print_safe(name, 71);
	putchar('\n');
}

void stacks_text(const struct handle_groups *g, bool all)
{
	struct made *made;
	size_t n = group(g, &made), i;
	uint32_t j;

	printf("\nMade since the start, and still there, by the same code:\n");
	if (!n)
		printf("       none\n");
	for (i = 0; i < n && (all || i < STACKS_MAX); i++) {
		const struct bus1_stack *stack = made[i].stack;
		bool known = false;

		printf("%4zu. %" PRIu64 " of ", i + 1, made[i].n);
		say_peer(made[i].holder);
		printf(", process %u\n", stack->pid);
		for (j = 0; j < stack->n; j++) {
			known |= *symbol_name(stack->pid, stack->ip[j]) != '?';
			print_frame(stack->pid, stack->ip[j]);
		}
		if (!stack->n)
			printf("       the stack could not be read\n");
		else if (!known)
			printf("       no names: it ended before they could be looked up\n");
	}
	if (i < n)
		printf("and %zu more: -a shows all\n", n - i);
	free(made);
}

void stacks_json(const struct handle_groups *g)
{
	struct made *made;
	size_t n = group(g, &made), i;
	uint32_t j;

	for (i = 0; i < n; i++) {
		const struct bus1_stack *stack = made[i].stack;

		printf("{\"type\":\"handle_stack\",\"holder\":%" PRIu64
		       ",\"handles\":%" PRIu64 ",\"pid\":%u,\"stack\":[",
		       made[i].holder, made[i].n, stack->pid);
		for (j = 0; j < stack->n; j++) {
			printf("%s{\"ip\":%" PRIu64 ",\"name\":",
			       j ? "," : "", (uint64_t)stack->ip[j]);
			json_string(symbol_name(stack->pid, stack->ip[j]));
			putchar('}');
		}
		printf("]}\n");
	}
	free(made);
}
