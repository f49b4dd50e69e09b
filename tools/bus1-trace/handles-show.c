// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <string.h>
#include "bus1-trace.h"
#include "handles.h"

#define GROUPS_MAX 20
#define SUSPECTS_MAX 10

static const char *const came[] = {
	[BUS1_HOW_CREATED] = "made",
	[BUS1_HOW_TRANSFERRED] = "given",
	[BUS1_HOW_MESSAGE] = "sent",
};

static bool used_unknown;

static const char *how(uint32_t value)
{
	return value < sizeof(came) / sizeof(*came) ? came[value] : "?";
}

static const char *ago(char *buf, uint64_t then, uint64_t now)
{
	return then ? format_span(buf, span(then, now)) :
	       used_unknown ? "?" :
			      "never";
}

/* Each row has 79 columns. Alone, a handle has room to say which message it was. */
static void print_origin(const struct world_handle *handle)
{
	int n;

	n = printf("%s %" PRIu64, how(handle->how), handle->tx);
	if (handle->how == BUS1_HOW_MESSAGE)
		n += printf(".%u", handle->index);
	putchar(' ');
	print_peer(peers_name(handle->tx_peer), handle->tx_peer,
		   n < 14 ? 23 - n : 9);
	putchar('\n');
}

static void print_handle(const struct world_handle *handle, uint64_t now)
{
	char age[SPAN_SIZE], used[SPAN_SIZE];

	print_peer(peers_name(handle->peer), handle->peer, 14);
	printf(" %7" PRIu64 " ", handle->id);
	print_peer(peers_name(handle->node_peer), handle->node_peer, 12);
	printf(" %5" PRIu64 "%c %5s %5s ", handle->node,
	       handle->dead ? '!' : ' ', ago(age, handle->created, now),
	       ago(used, handle->used, now));
	print_origin(handle);
}

static void print_group(const struct handle_group *group, uint64_t now)
{
	char handles[24], nodes[24], age[SPAN_SIZE], used[SPAN_SIZE];

	if (group->n > 1) {
		format_amount(handles, group->n);
		format_amount(nodes, group->nodes);
		strcat(handles, "x");
		strcat(nodes, "x");
	} else {
		snprintf(handles, sizeof(handles), "%" PRIu64,
			 group->first->id);
		snprintf(nodes, sizeof(nodes), "%" PRIu64, group->node);
	}
	print_peer(peers_name(group->holder), group->holder, 16);
	printf(" %7s ", handles);
	print_peer(peers_name(group->owner), group->owner, 14);
	printf(" %5s%c %5s %5s %-5s ", nodes, group->dead ? '!' : ' ',
	       ago(age, group->created, now), ago(used, group->used, now),
	       how(group->how));
	print_peer(peers_name(group->from), group->from, 14);
	putchar('\n');
}

static void print_rows(const struct handle_groups *g, bool all)
{
	size_t i;

	if (all)
		printf("%-14s %7s %-12s %5s  %5s %5s %s\n", "HOLDER", "HANDLE",
		       "OWNER", "NODE", "AGE", "USED", "CAME BY");
	else
		printf("%-16s %7s %-14s %5s  %5s %5s %-5s %s\n", "HOLDER",
		       "HANDLE", "OWNER", "NODE", "AGE", "USED", "CAME",
		       "FROM");
	for (i = 0; all && i < g->n_handles; i++)
		print_handle(g->handles[i], g->time);
	for (i = 0; !all && i < g->n_groups && i < GROUPS_MAX; i++)
		print_group(&g->groups[i], g->time);
	if (i < g->n_groups && !all)
		printf("and %zu rows more: -a shows each handle\n",
		       g->n_groups - i);
}

/* How they came; of several ways, the most usual */
static void print_last(const struct handle_group *group, uint64_t now)
{
	const struct world_handle *last = group->last;
	char age[SPAN_SIZE];

	printf("       the newest %s ago, ",
	       ago(age, last->created, now));
	switch (last->how) {
	case BUS1_HOW_MESSAGE:
		printf("in message %" PRIu64 ".%u of ", last->tx, last->index);
		break;
	case BUS1_HOW_TRANSFERRED:
		printf("by transfer %" PRIu64 " of ", last->tx);
		break;
	default:
		printf("made by transfer %" PRIu64 " of ", last->tx);
	}
	say_peer(last->tx_peer);
	putchar('\n');
}

static void print_suspect(const struct handle_groups *g, size_t i)
{
	const struct handle_group *s = &g->suspects[i];
	const struct world_peer *holder = world_peer(s->holder);
	uint64_t oldest = holder ? world_oldest(holder) : 0;
	char buf[SPAN_SIZE];

	printf("%4zu. ", i + 1);
	say_peer(s->holder);
	printf(" holds %" PRIu64 " handle%s to ", s->n, s->n == 1 ? "" : "s");
	say_peer(s->owner);
	putchar('\n');
	if (s->grown)
		printf("       %" PRIu64 " more than %s ago\n", s->grown,
		       format_span(buf, g->watched));
	if (s->never)
		printf("       %" PRIu64 " never used; the oldest is there for %s\n",
		       s->never, format_span(buf, span(s->never_since, g->time)));
	if (s->idle)
		printf("       %" PRIu64 " not used for long; the last use of any was %s ago\n",
		       s->idle, ago(buf, s->used, g->time));
	if (s->dead) {
		printf("       %" PRIu64 " of released nodes; the holder has not read NODE_RELEASE",
		       s->dead);
		if (oldest)
			printf(" for %s",
			       format_span(buf, span(oldest, g->time)));
		putchar('\n');
	}
	print_last(s, g->time);
}

void handles_text(const struct handle_groups *g, bool all)
{
	size_t i;

	used_unknown = g->used_unknown;
	if (g->watched || options.timestamps)
		print_time(g->time);
	if (g->watched) {
		char buf[SPAN_SIZE];

		printf("after %s: ", format_span(buf, g->watched));
	}
	printf("%s%zu handle%s\n",
	       g->watched && stream_incomplete() ? "at least " : "",
	       g->n_handles, g->n_handles == 1 ? "" : "s");
	print_rows(g, all);
	if (!g->n_suspects) {
		printf("\nNo suspects%s.\n",
		       g->watched ? "" :
				    " (see --older-than and --idle; -d SEC watches for growth)");
		return;
	}
	printf("\nSuspects, the worst first:\n");
	for (i = 0; i < g->n_suspects && (all || i < SUSPECTS_MAX); i++)
		print_suspect(g, i);
	if (i < g->n_suspects)
		printf("and %zu more: -a shows all\n", g->n_suspects - i);
}

static void json_named(const char *role, uint64_t id)
{
	printf(",\"%s\":%" PRIu64 ",\"%s_name\":", role, id, role);
	json_string(peers_name(id));
}

static void json_group(const char *type, const struct handle_group *g)
{
	const char *symbol = symbol_how(g->how);

	printf("{\"type\":\"%s\"", type);
	json_named("holder", g->holder);
	json_named("owner", g->owner);
	printf(",\"how\":\"%s\"", symbol ? symbol : "?");
	json_named("from", g->from);
	printf(",\"handles\":%" PRIu64 ",\"nodes\":%" PRIu64
	       ",\"created\":%" PRIu64 ",\"used\":%" PRIu64
	       ",\"never_used\":%" PRIu64 ",\"idle\":%" PRIu64
	       ",\"dead\":%" PRIu64 ",\"grown\":%" PRIu64 "}\n",
	       g->n, g->nodes, g->created, g->used, g->never, g->idle, g->dead,
	       g->grown);
}

static void json_handle(const struct world_handle *h)
{
	const char *symbol = symbol_how(h->how);

	printf("{\"type\":\"handle\"");
	json_named("peer", h->peer);
	printf(",\"id\":%" PRIu64, h->id);
	json_named("node_peer", h->node_peer);
	printf(",\"node\":%" PRIu64 ",\"how\":\"%s\"", h->node,
	       symbol ? symbol : "?");
	json_named("tx_peer", h->tx_peer);
	printf(",\"tx\":%" PRIu64 ",\"index\":%u,\"slot\":%u,\"dead\":%s"
	       ",\"created\":%" PRIu64 ",\"used\":%" PRIu64
	       ",\"sends\":%" PRIu64 ",\"before\":%s}\n",
	       h->tx, h->index, h->slot, h->dead ? "true" : "false", h->created,
	       h->used, h->sends, h->before ? "true" : "false");
}

void handles_json(const struct handle_groups *g, bool all)
{
	size_t i;

	printf("{\"type\":\"handles\",\"time\":%" PRIu64 ",\"watched\":%" PRIu64
	       ",\"handles\":%zu}\n", g->time, g->watched, g->n_handles);
	for (i = 0; all && i < g->n_handles; i++)
		json_handle(g->handles[i]);
	for (i = 0; !all && i < g->n_groups; i++)
		json_group("handle_group", &g->groups[i]);
	for (i = 0; i < g->n_suspects; i++)
		json_group("suspect", &g->suspects[i]);
}
