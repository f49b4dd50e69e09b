// SPDX-License-Identifier: GPL-2.0-only
/*
 * graph [PEERS [FILE]]
 *
 * What bus1-trace graph says of peers whose names are meant to break it; or of
 * so many of them and others. To standard output, or as -o FILE does it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"
#include "graph.h"

/* What graph-dot.c needs of the rest of the tool */
static const char *const names[] = {
	"?", /* there is no peer 0 */
	"\"]; p1 -> p2; }",
	"a\\",
	"\\N\\G\\n",
	"&amp;&lt;&#0;&",
	"<b>bold</b>",
	"\033[31m\r\n\t",
	"\xff\xfe\x80",
	"\xc2\x85\xef\xbf\xbe\xef\xbf\xbf",
	"gr\xc3\xbc\xc3\x9f-\xe2\x82\xac",
	"",
};

const char *peers_name(uint64_t id)
{
	return id < sizeof(names) / sizeof(*names) ? names[id] : "client";
}

struct peer *peers_find(uint64_t id)
{
	(void)id;
	return NULL;
}

void complain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

void format_amount(char *buf, uint64_t n)
{
	snprintf(buf, AMOUNT_SIZE, "%" PRIu64, n);
}

int main(int argc, char **argv)
{
	const size_t hostile = sizeof(names) / sizeof(*names);
	size_t n = argc > 1 ? atoi(argv[1]) : hostile - 1, i;
	struct graph graph = { .seconds = 2, .n_peers = n, .n_edges = n };

	graph.peers = calloc(n, sizeof(*graph.peers));
	graph.edges = calloc(n, sizeof(*graph.edges));
	for (i = 0; i < n; i++) {
		struct graph_peer *peer = &graph.peers[i];

		/* two in a process; those of the last are not known */
		peer->id = i + 1;
		peer->pid = i / 2 == (n - 1) / 2 ? 0 : 100 + i / 2;
		peer->dead = i == 3;
		peer->queued = i % 3;
		/* longer than any process can be called */
		memset(peer->comm, '"', sizeof(peer->comm));
		graph.edges[i] = (struct graph_edge){
			.from = i + 1,
			.to = i % 3 + 1,
			.handles = i % 4,
			.nodes = i % 4 / 2,
			.dead = i % 4 / 3,
			.messages = i % 2 * i * 1000,
			.bytes = i * 1000000,
		};
	}
	if (argc > 2)
		return graph_file(argv[2], &graph);
	graph_dot(stdout, &graph);
	return 0;
}
