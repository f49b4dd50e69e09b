// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: status
 *
 * A snapshot of all peers: from debugfs, joined with the descriptors that hold
 * them; from the descriptors alone, for those who may not read debugfs.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"

/* A node or handle, from its line in debugfs. */
static void print_object(const char *line, uint64_t now)
{
	uint64_t created = object_value(line, "created");
	double age = now > created ? (now - created) / 1e9 : 0;
	bool dead = object_value(line, "dead");
	char how[16] = "came";

	if (!strncmp(line, "node ", 5)) {
		printf("         node %" PRIu64 ", handles %" PRIu64
		       ", %.1f s old%s\n",
		       object_value(line, "id"), object_value(line, "handles"),
		       age, dead ? ", released" : "");
		return;
	}
	object_word(line, "how", how, sizeof(how));
	printf("         handle %" PRIu64 " to node %" PRIu64 " of peer %" PRIu64
	       ", %s by tx %" PRIu64 " of %" PRIu64 ", %.1f s old%s\n",
	       object_value(line, "id"), object_value(line, "node"),
	       object_value(line, "node_peer"),
	       !strcmp(how, "message") ? "sent" : how,
	       object_value(line, "tx"), object_value(line, "tx_peer"), age,
	       dead ? ", released" : "");
}

static void print_row(const struct peer_state *peer, bool objects, uint64_t now)
{
	size_t i;
	int n;

	printf("%6" PRIu64 " %6" PRIu64, peer->id, peer->uid);
	if (peer->n_holders) {
		printf(" %7u ", peer->holders[0].pid);
		n = print_safe(peer->holders[0].comm, COMM_LEN);
		printf("%*s %4u", COMM_LEN - n, "", peer->holders[0].fd);
	} else {
		printf(" %7s %-*s %4s", "-", COMM_LEN, "-", "-");
	}
	printf(" %6" PRIu64 " %7" PRIu64 " %6" PRIu64 " %8" PRIu64 "\n",
	       peer->nodes, peer->handles, peer->queued, peer->bytes);
	for (i = 1; i < peer->n_holders; i++) {
		printf("%13s %7u ", "", peer->holders[i].pid);
		n = print_safe(peer->holders[i].comm, COMM_LEN);
		printf("%*s %4u\n", COMM_LEN - n, "", peer->holders[i].fd);
	}
	for (i = 0; objects && i < peer->n_objects; i++)
		print_object(peer->objects[i], now);
}

static void print_table(const struct snapshot *s, bool objects)
{
	size_t i;

	printf("%6s %6s %7s %-*s %4s %6s %7s %6s %8s\n", "PEER", "UID", "PID",
	       COMM_LEN, "COMM", "FD", "NODES", "HANDLES", "QUEUED", "BYTES");
	for (i = 0; i < s->n_peers; i++)
		print_row(&s->peers[i], objects, s->time);
	if (!s->debugfs && s->unreadable)
		complain("partial view: only peers in descriptor tables, and %zu processes could not be read; root sees all",
			 s->unreadable);
	else if (!s->debugfs)
		complain("partial view: only peers in descriptor tables, since /sys/kernel/debug/bus1/objects could not be read; root sees all, once debugfs is mounted (mount -t debugfs debugfs /sys/kernel/debug)");
	else if (s->unreadable)
		complain("%zu processes could not be read: their descriptors are not shown",
			 s->unreadable);
	if (!s->initial_pids)
		complain("/proc shows one PID name space: descriptors of processes outside it are not shown");
}

static void print_json(const struct snapshot *s, bool objects)
{
	bool partial = !s->debugfs || s->unreadable || !s->initial_pids;
	size_t i, j;

	printf("{\"type\":\"snapshot\",\"schema\":\"%d.%d\",\"time\":%" PRIu64
	       ",\"peers\":\"%s\",\"descriptors\":\"%s\",\"unreadable\":%zu,\"partial\":%s}\n",
	       BUS1_TRACE_SCHEMA_MAJOR, BUS1_TRACE_SCHEMA_MINOR, s->time,
	       s->debugfs ? "debugfs" : "fdinfo", s->bpf ? "bpf" : "proc",
	       s->unreadable, partial ? "true" : "false");
	for (i = 0; i < s->n_peers; i++) {
		const struct peer_state *peer = &s->peers[i];

		printf("{\"type\":\"peer\",\"peer\":%" PRIu64
		       ",\"uid\":%" PRIu64,
		       peer->id, peer->uid);
		if (s->debugfs)
			printf(",\"opener\":%" PRIu64, peer->pid);
		printf(",\"nodes\":%" PRIu64 ",\"handles\":%" PRIu64
		       ",\"queued\":%" PRIu64 ",\"bytes\":%" PRIu64
		       ",\"descriptors\":[",
		       peer->nodes, peer->handles, peer->queued, peer->bytes);
		for (j = 0; j < peer->n_holders; j++) {
			printf("%s{\"pid\":%u,\"fd\":%u,\"comm\":",
			       j ? "," : "", peer->holders[j].pid,
			       peer->holders[j].fd);
			json_string(peer->holders[j].comm);
			putchar('}');
		}
		printf("]}\n");
		for (j = 0; objects && j < peer->n_objects; j++) {
			const char *line = peer->objects[j];

			printf("{\"type\":\"%.*s\"", (int)strcspn(line, " "),
			       line);
			json_pairs(line);
			printf("}\n");
		}
	}
}

static void help(void)
{
	printf("Usage: bus1-trace status [OPTION]...\n"
	       "Show all peers as they are now, and who holds them.\n\n"
	       "  -o, --objects  also the nodes and handles of each peer\n"
	       "      --json     one JSON object a line\n"
	       "  -v, --verbose  show what libbpf says\n"
	       "  -h, --help     this text\n");
}

int verb_status(int argc, char **argv)
{
	enum { JSON = 256 };
	static const struct option longs[] = {
		{ "objects", no_argument, NULL, 'o' },
		{ "json", no_argument, NULL, JSON },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool objects = false, json = false;
	struct snapshot snapshot;
	int c;

	while ((c = getopt_long(argc, argv, "ovh", longs, NULL)) != -1) {
		switch (c) {
		case 'o':
			objects = true;
			break;
		case JSON:
			json = true;
			break;
		case 'v':
			debug = true;
			break;
		case 'h':
			help();
			return EXIT_OK;
		default:
			return bad_arguments("status", NULL);
		}
	}
	if (optind < argc)
		return bad_arguments("status", argv[optind]);
	libbpf_quiet();
	if (!module_usable())
		return EXIT_ERROR;
	if (snapshot_take(&snapshot)) {
		complain("the bus1 module was just unloaded");
		return EXIT_ERROR;
	}
	if (objects && !snapshot.debugfs)
		complain("nodes and handles are listed by debugfs only");
	if (json)
		print_json(&snapshot, objects);
	else
		print_table(&snapshot, objects);
	snapshot_free(&snapshot);
	return EXIT_OK;
}
