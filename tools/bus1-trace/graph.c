// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bus1-trace.h"
#include "graph.h"
#include "sums.h"

static const struct sums_want want = { .what = BUS1_SUM_PAIRS };
static struct graph graph;
static const char *path; /* NULL: DOT to standard output */
static int drawn; /* exit status of that */

static struct graph_edge *edge_add(uint64_t from, uint64_t to)
{
	struct graph_edge *edge;

	graph.edges = grow(graph.edges, graph.n_edges, sizeof(*graph.edges));
	edge = &graph.edges[graph.n_edges++];
	*edge = (struct graph_edge){ .from = from, .to = to };
	return edge;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* How many nodes that are: @handles are of one holder and owner. */
static uint64_t count_nodes(struct world_handle **handles, size_t n)
{
	uint64_t *nodes = calloc(n, sizeof(*nodes)), count = 0;
	size_t i;

	if (!nodes) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	for (i = 0; i < n; i++)
		nodes[i] = handles[i]->node;
	qsort(nodes, n, sizeof(*nodes), by_number);
	for (i = 0; i < n; i++)
		count += !i || nodes[i] != nodes[i - 1];
	free(nodes);
	return count;
}

static void add_handles(void)
{
	struct world_handle **all;
	size_t n = world_handles(&all), kept = 0, i, j, k;

	for (i = 0; i < n; i++)
		if ((view_fits(all[i]->peer) || view_fits(all[i]->node_peer)) &&
		    view_fits_node(all[i]->node_peer, all[i]->node))
			all[kept++] = all[i];
	for (i = 0; i < kept; i = j) {
		struct graph_edge *edge = edge_add(all[i]->peer,
						   all[i]->node_peer);

		for (j = i; j < kept && all[j]->peer == edge->from &&
			    all[j]->node_peer == edge->to; j++)
			;
		edge->handles = j - i;
		edge->nodes = count_nodes(&all[i], j - i);
		for (k = i; k < j; k++)
			edge->dead += all[k]->dead;
	}
}

static int by_peers(const void *a, const void *b)
{
	const struct graph_edge *x = a, *y = b;

	if (x->from != y->from)
		return x->from > y->from ? 1 : -1;
	return (x->to > y->to) - (x->to < y->to);
}

/* Edges are there, and sorted, of all who have handles. */
static void add_traffic(void)
{
	size_t sorted = graph.n_edges, n, i;
	struct sum **sums;

	n = sums_list(&sums);
	for (i = 0; i < n; i++) {
		struct graph_edge key = {
			.from = sums[i]->peer,
			.to = sums[i]->other,
		}, *edge = NULL;

		if (sorted)
			edge = bsearch(&key, graph.edges, sorted, sizeof(key),
				       by_peers);
		if (!edge && (view_fits(key.from) || view_fits(key.to)))
			edge = edge_add(key.from, key.to);
		if (!edge)
			continue;
		edge->messages = sums[i]->pair.messages;
		edge->bytes = sums[i]->pair.bytes;
	}
	free(sums);
}

static void add_peer(uint64_t id, const struct world_peer *known)
{
	const struct peer *who = peers_find(id);
	struct graph_peer *peer;

	graph.peers = grow(graph.peers, graph.n_peers, sizeof(*graph.peers));
	peer = &graph.peers[graph.n_peers++];
	*peer = (struct graph_peer){ .id = id, .dead = !known || known->dead };
	if (known)
		peer->queued = known->queued;
	if (who && who->has_name) {
		peer->pid = who->pid;
		memcpy(peer->comm, who->comm, sizeof(peer->comm));
	}
}

static int by_process(const void *a, const void *b)
{
	const struct graph_peer *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid > y->pid ? 1 : -1;
	return (x->id > y->id) - (x->id < y->id);
}

/* All that there are; if some are asked for, they and who deals with them */
static void add_peers(void)
{
	struct world_peer **all;
	uint64_t *ids = NULL;
	size_t n = 0, m = world_peers(&all), i;

	for (i = 0; i < graph.n_edges; i++) {
		ids = grow(ids, n, sizeof(*ids));
		ids[n++] = graph.edges[i].from;
		ids = grow(ids, n, sizeof(*ids));
		ids[n++] = graph.edges[i].to;
	}
	for (i = 0; i < m; i++) {
		if (!view_fits(all[i]->id))
			continue;
		ids = grow(ids, n, sizeof(*ids));
		ids[n++] = all[i]->id;
	}
	if (n)
		qsort(ids, n, sizeof(*ids), by_number);
	for (i = 0; i < n; i++)
		if (!i || ids[i] != ids[i - 1])
			add_peer(ids[i], world_peer(ids[i]));
	free(ids);
	if (graph.n_peers)
		qsort(graph.peers, graph.n_peers, sizeof(*graph.peers),
		      by_process);
}

static void print_json(void)
{
	size_t i;

	for (i = 0; i < graph.n_peers; i++) {
		const struct graph_peer *peer = &graph.peers[i];

		printf("{\"type\":\"graph_peer\",\"peer\":%" PRIu64
		       ",\"name\":", peer->id);
		json_string(peers_name(peer->id));
		printf(",\"pid\":%u,\"comm\":", peer->pid);
		json_string(peer->comm);
		printf(",\"dead\":%s,\"queued\":%" PRIu64 "}\n",
		       peer->dead ? "true" : "false", peer->queued);
	}
	for (i = 0; i < graph.n_edges; i++) {
		const struct graph_edge *edge = &graph.edges[i];

		printf("{\"type\":\"graph_edge\",\"from\":%" PRIu64
		       ",\"to\":%" PRIu64 ",\"handles\":%" PRIu64
		       ",\"nodes\":%" PRIu64 ",\"dead\":%" PRIu64
		       ",\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64
		       ",\"seconds\":%.3f}\n",
		       edge->from, edge->to, edge->handles, edge->nodes,
		       edge->dead, edge->messages, edge->bytes, graph.seconds);
	}
}

static int draw(double seconds)
{
	graph.seconds = seconds;
	add_handles();
	if (seconds > 0)
		add_traffic();
	if (graph.n_edges)
		qsort(graph.edges, graph.n_edges, sizeof(*graph.edges),
		      by_peers);
	add_peers();
	if (options.json)
		print_json();
	else if (path)
		return graph_file(path, &graph);
	else
		graph_dot(stdout, &graph);
	return EXIT_OK;
}

static void recorded_snapshot(const struct snapshot *snapshot)
{
	view_learn(snapshot);
	world_snapshot(snapshot);
}

static void recorded_event(const struct item *item)
{
	sums_event(&want, item);
	world_event(item);
}

static struct bpf_object *open_sums(void)
{
	return sums_open(&want);
}

/* The messages are added up; the handles are those of now, or of the end. */
static void show(const struct interval *interval)
{
	uint64_t time;

	if (!options.input && !view_now(&time)) {
		drawn = EXIT_ERROR;
		return;
	}
	if (interval->uncounted)
		complain("at least: %" PRIu64 " more messages found a map full",
			 interval->uncounted);
	drawn = draw((interval->time - interval->start) / 1e9);
	/* what follows, the counts, is no part of a graph */
	if (!options.json && !path && !output_failed())
		dup2(STDERR_FILENO, STDOUT_FILENO);
}

static int watch(void)
{
	struct interval_verb verb = {
		.name = "graph",
		.events = BUS1_PAIR_EVENTS,
		.also = BUS1_EVENT_BIT(EV_peer_new) |
			BUS1_EVENT_BIT(EV_peer_name),
		.required = BUS1_PAIR_EVENTS,
		.snapshots = true,
		.open = open_sums,
		.close = sums_close,
		.turn = sums_turn,
		.read = sums_read,
		.snapshot = recorded_snapshot,
		.event = recorded_event,
		.show = show,
		.shown = sums_shown,
	};
	int status;

	if (options.input)
		verb.also = WORLD_EVENTS & ~verb.events;
	status = interval_run(&verb);
	return drawn ? drawn : status;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'o':
		path = arg;
		if (!graph_format(path))
			argp_error(state, "\"%s\" does not end in .dot, .svg, .png or .pdf",
				   path);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			return ARGP_ERR_UNKNOWN;
		return options_interval(arg, state);
	case ARGP_KEY_END:
		/* one graph, of all that time */
		if (options.interval)
			options.seconds = options.interval;
		options.interval = 0;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option own[] = {
	{ "output", 'o', "FILE", 0, "draw it into FILE, which ends in .svg, .png or .pdf; or write .dot", 0 },
	{ 0 },
};

static const struct argp_child children[] = {
	{ &options_filter_argp, 0, NULL, 0 },
	{ &options_input_argp, 0, NULL, 0 },
	{ &options_run_argp, 0, NULL, 0 },
	{ &options_output_argp, 0, NULL, 0 },
	{ &options_common_argp, 0, NULL, 0 },
	{ 0 },
};

static const struct argp argp = {
	own, parse, "[SECONDS]",
	"Show who can send to whom, as a graph in the language DOT.\v"
	"Without SECONDS or -d it is a look at how things are, which needs debugfs and nothing else. With them the messages of that time are counted.\n"
	"Peers stand in boxes, by process; an arrow says that one has a handle to a node of the other. Its label counts handles, and nodes if it is more than one, and then messages and bytes a second. Dashed is what has ended.\n"
	"\n"
	"Examples:\n"
	"  bus1-trace graph -o bus.svg            all that there is\n"
	"  bus1-trace graph 5 -o bus.svg          with the rates of 5 seconds\n"
	"  bus1-trace graph --peer 4 | dot -Tx11  only peer 4, and who deals with it\n"
	"  bus1-trace graph -i F -o bus.svg       as it was when F ended",
	children, NULL, NULL,
};

int verb_graph(int argc, char **argv)
{
	int status = options_parse(&argp, argc, argv);
	uint64_t time;

	if (status >= 0)
		return status;
	if (!view_filter())
		return EXIT_USAGE;
	if (options.input || options.seconds)
		return watch();
	if (!view_now(&time))
		return EXIT_ERROR;
	return draw(0);
}
