// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE /* pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bus1-trace.h"
#include "graph.h"

extern char **environ;

/*
 * Names are chosen by processes. In a label graphviz knows escapes by a
 * backslash and entities, and SVG allows no control characters.
 */
void dot_name(FILE *out, const char *s, int max)
{
	const unsigned char *p = (const unsigned char *)s;

	for (; *p && max--; p++) {
		int n = utf8_length(p);

		if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else if (*p == '&')
			fputs("&amp;", out);
		else if (!n || *p < ' ' || *p == 0x7f ||
			 (*p == 0xc2 && p[1] < 0xa0) ||
			 (*p == 0xef && p[1] == 0xbf && p[2] >= 0xbe))
			putc('?', out);
		else
			fwrite(p, 1, n, out);
		p += n ? n - 1 : 0;
	}
}

static void put_peer(FILE *out, uint64_t id)
{
	dot_name(out, peers_name(id), NAME_LEN);
	fprintf(out, "#%" PRIu64, id);
}

static void dot_peer(FILE *out, const struct graph_peer *peer)
{
	fprintf(out, "\t\tp%" PRIu64 " [label=\"", peer->id);
	put_peer(out, peer->id);
	if (peer->queued)
		fprintf(out, "\\n%" PRIu64 " queued", peer->queued);
	fprintf(out, "\", tooltip=\"peer %" PRIu64 ", ", peer->id);
	if (peer->pid)
		fprintf(out, "process %u", peer->pid);
	else
		fputs("in no process that is known", out);
	fprintf(out, "\"%s];\n",
		peer->dead ? ", style=\"rounded,dashed\"" : "");
}

static void dot_rate(FILE *out, const struct graph_edge *edge, double seconds)
{
	char bytes[AMOUNT_SIZE];
	double rate = edge->messages / seconds;

	format_amount(bytes, rounded(edge->bytes / seconds));
	fprintf(out, rate < 100 ? "%.1f/s" : "%.0f/s", rate);
	fprintf(out, ", %sB/s", bytes);
}

/* One handle is what an arrow says by itself. */
static void dot_label(FILE *out, const struct graph *graph,
		      const struct graph_edge *edge)
{
	bool counted = edge->handles > 1;

	if (counted)
		fprintf(out, "%" PRIu64, edge->handles);
	if (edge->nodes > 1)
		fprintf(out, " to %" PRIu64, edge->nodes);
	if (!edge->messages || graph->seconds <= 0)
		return;
	if (counted)
		fputs("\\n", out);
	dot_rate(out, edge, graph->seconds);
}

static void dot_edge(FILE *out, const struct graph *graph,
		     const struct graph_edge *edge)
{
	double rate = 0, width = 1;

	fprintf(out, "\tp%" PRIu64 " -> p%" PRIu64 " [label=\"", edge->from,
		edge->to);
	dot_label(out, graph, edge);
	fputs("\", tooltip=\"", out);
	put_peer(out, edge->from);
	fprintf(out, " has %" PRIu64 " handles to %" PRIu64 " nodes of ",
		edge->handles, edge->nodes);
	put_peer(out, edge->to);
	if (edge->dead)
		fprintf(out, ", %" PRIu64 " of them released", edge->dead);
	if (graph->seconds > 0) {
		rate = edge->messages / graph->seconds;
		fprintf(out, "; %" PRIu64 " messages, %" PRIu64
			" bytes in %.1f s", edge->messages, edge->bytes,
			graph->seconds);
	}
	putc('"', out);
	if (edge->dead == edge->handles)
		fputs(", style=dashed", out);
	/* half a point wider for each decimal digit */
	for (; rate >= 10; rate /= 10)
		width += 0.5;
	if (edge->messages)
		fprintf(out, ", color=\"#1f5fa8\", fontcolor=\"#1f5fa8\", penwidth=%.1f",
			width);
	else if (graph->seconds > 0)
		fputs(", color=\"#a0a0a0\", fontcolor=\"#707070\"", out);
	fputs("];\n", out);
}

static void dot_process(FILE *out, const struct graph_peer *peers, size_t n)
{
	size_t i;

	if (peers->pid) {
		fprintf(out, "\tsubgraph cluster_%u {\n"
			"\t\tmargin=5; fontsize=9; style=\"rounded,filled\"; color=\"#c8c8c8\"; fillcolor=\"#f4f4f4\";\n"
			"\t\tlabel=\"", peers->pid);
		dot_name(out, peers->comm, COMM_LEN);
		fprintf(out, " (%u)\";\n", peers->pid);
	} else {
		fputs("\t{\n", out);
	}
	for (i = 0; i < n; i++)
		dot_peer(out, &peers[i]);
	fputs("\t}\n", out);
}

void graph_dot(FILE *out, const struct graph *graph)
{
	size_t i, first;

	fputs("digraph bus1 {\n"
	      "\trankdir=LR; ranksep=2.5; nodesep=0.12;\n"
	      "\tfontname=\"Helvetica\"; fontsize=11; labelloc=t;\n", out);
	fprintf(out, "\tlabel=\"%zu peers, %zu arrows: who can send to whom",
		graph->n_peers, graph->n_edges);
	if (graph->seconds > 0)
		fprintf(out, ", and did in %.1f s", graph->seconds);
	fputs("\";\n"
	      "\tnode [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\", fontsize=10, margin=\"0.08,0.03\", height=0.25];\n"
	      "\tedge [fontname=\"Helvetica\", fontsize=9, arrowsize=0.7];\n",
	      out);
	for (i = first = 0; i < graph->n_peers; i++) {
		if (i + 1 < graph->n_peers &&
		    graph->peers[i + 1].pid == graph->peers[i].pid)
			continue;
		dot_process(out, &graph->peers[first], i + 1 - first);
		first = i + 1;
	}
	for (i = 0; i < graph->n_edges; i++)
		dot_edge(out, graph, &graph->edges[i]);
	fputs("}\n", out);
}

static const char *const formats[] = { "dot", "svg", "png", "pdf" };

static const char *ending(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? dot + 1 : "";
}

bool graph_format(const char *path)
{
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (!strcmp(ending(path), formats[i]))
			return true;
	return false;
}

static int write_dot(FILE *out, const char *path,
		     void (*draw)(FILE *out, const void *what),
		     const void *what)
{
	int error;

	errno = 0;
	draw(out, what);
	error = fflush(out) || ferror(out) ? errno : 0;
	if (fclose(out) && !error)
		error = errno;
	if (error)
		complain("%s: %s", path, strerror(error));
	return error ? EXIT_ERROR : EXIT_OK;
}

/* Its standard input is what is returned. */
static FILE *spawn_dot(const char *path, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	char format[8];
	char *argv[] = { "dot", format, "-o", (char *)path, NULL };
	int fds[2], error;

	snprintf(format, sizeof(format), "-T%s", ending(path));
	if (pipe2(fds, O_CLOEXEC)) {
		complain("pipe: %s", strerror(errno));
		return NULL;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[0], STDIN_FILENO);
	error = posix_spawnp(pid, "dot", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[0]);
	if (!error)
		return fdopen(fds[1], "w");
	close(fds[1]);
	complain("%s is drawn by \"dot\" of graphviz, which could not be run (%s): install it (apt install graphviz), or write a .dot file and draw that elsewhere",
		 path, strerror(error));
	return NULL;
}

int dot_file(const char *path, void (*draw)(FILE *out, const void *what),
	     const void *what)
{
	int status, child;
	FILE *out;
	pid_t pid;

	if (!strcmp(ending(path), "dot")) {
		out = fopen(path, "we");
		if (out)
			return write_dot(out, path, draw, what);
		complain("%s: %s", path, strerror(errno));
		return EXIT_ERROR;
	}
	/* should it end early, its status tells */
	signal(SIGPIPE, SIG_IGN);
	out = spawn_dot(path, &pid);
	if (!out)
		return EXIT_ERROR;
	status = write_dot(out, path, draw, what);
	if (waitpid(pid, &child, 0) != pid || child) {
		complain("%s: dot failed", path);
		return EXIT_ERROR;
	}
	return status;
}

static void draw_graph(FILE *out, const void *graph)
{
	graph_dot(out, graph);
}

int graph_file(const char *path, const struct graph *graph)
{
	return dot_file(path, draw_graph, graph);
}
