/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_GRAPH_H
#define _BUS1_TRACE_GRAPH_H

#include <stdio.h>
#include "view.h"

/*
 * DOC: graph
 *
 *   graph.c      the verb: a look at how things are, or a watch
 *   graph-dot.c  the graph in the language of graphviz
 */
struct graph_peer {
	uint64_t id;
	uint32_t pid; /* 0: not known */
	bool dead;
	uint64_t queued;
	char comm[COMM_LEN];
};

struct graph_edge {
	uint64_t from, to;
	uint64_t handles, nodes, dead; /* dead: of the handles */
	uint64_t messages, bytes; /* while it was watched */
};

struct graph {
	struct graph_peer *peers; /* by process and ID */
	struct graph_edge *edges; /* by both peers */
	size_t n_peers, n_edges;
	double seconds; /* watched; 0: just a look */
};

void graph_dot(FILE *out, const struct graph *graph);
/* To @path, in the format that its ending says; by graphviz, unless .dot */
int graph_file(const char *path, const struct graph *graph);
/* The same of what @draw writes about @what */
int dot_file(const char *path, void (*draw)(FILE *out, const void *what),
	     const void *what);
/* @s, which anybody may have chosen, inside a label; at most @max bytes */
void dot_name(FILE *out, const char *s, int max);
/* Whether there is such a format */
bool graph_format(const char *path);

#endif /* _BUS1_TRACE_GRAPH_H */
