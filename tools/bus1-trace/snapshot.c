// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: snapshot
 *
 * Which peers there are, and what they have, says debugfs, if it may be read;
 * else the descriptors that can be seen. The lines of debugfs are kept as they
 * are; a recording has them too, each peer's descriptors added, behind a line
 * that says how all of it was come by.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"

#define DEBUGFS "/sys/kernel/debug/bus1/"

void *grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1) || (!n && array))
		return array;
	array = realloc(array, (n ? n * 2 : 1) * size);
	if (!array) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	return array;
}

/* What follows " key=" in @line, or NULL. */
static const char *find_value(const char *line, const char *key)
{
	size_t n = strlen(key);

	while ((line = strchr(line, ' '))) {
		line++;
		if (!strncmp(line, key, n) && line[n] == '=')
			return line + n + 1;
	}
	return NULL;
}

uint64_t object_value(const char *line, const char *key)
{
	const char *value = find_value(line, key);

	return value ? strtoull(value, NULL, 10) : 0;
}

void object_word(const char *line, const char *key, char *word, size_t size)
{
	const char *value = find_value(line, key);

	if (value)
		snprintf(word, size, "%.*s", (int)strcspn(value, " "), value);
}

static bool is_line(const char *line, const char *type)
{
	size_t n = strlen(type);

	return !strncmp(line, type, n) && line[n] == ' ';
}

static struct peer_state *add_peer(struct snapshot *s, const char *line)
{
	struct peer_state *peer;

	s->peers = grow(s->peers, s->n_peers, sizeof(*s->peers));
	peer = &s->peers[s->n_peers++];
	s->size += sizeof(*peer);
	*peer = (struct peer_state){
		.id = object_value(line, "id"),
		.uid = object_value(line, "uid"),
		.pid = object_value(line, "pid"),
		.created = object_value(line, "created"),
		.nodes = object_value(line, "nodes"),
		.handles = object_value(line, "handles"),
		.queued = object_value(line, "queued"),
		.bytes = object_value(line, "bytes"),
		.received = object_value(line, "received"),
		.oldest = object_value(line, "oldest"),
		.transactions = object_value(line, "transactions"),
	};
	object_word(line, "name", peer->name, sizeof(peer->name));
	return peer;
}

/* Returns how much memory that takes. */
static size_t add_object(struct peer_state *peer, const char *line)
{
	char *copy = strdup(line);

	if (!copy) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	peer->objects = grow(peer->objects, peer->n_objects,
			     sizeof(*peer->objects));
	peer->objects[peer->n_objects++] = copy;
	return strlen(copy) + 4 * sizeof(copy);
}

static void add_holder(struct peer_state *peer, const struct holder *holder)
{
	peer->holders = grow(peer->holders, peer->n_holders,
			     sizeof(*peer->holders));
	peer->holders[peer->n_holders++] = *holder;
}

static void peer_clear(struct peer_state *peer)
{
	size_t i;

	for (i = 0; i < peer->n_objects; i++)
		free(peer->objects[i]);
	free(peer->objects);
	free(peer->holders);
}

/* A line of a peer's block belongs to the peer named last. */
static struct peer_state *block(struct snapshot *s, const char *line)
{
	struct peer_state *peer;

	if (!s->n_peers)
		return NULL;
	peer = &s->peers[s->n_peers - 1];
	return peer->id == object_value(line, "peer") ? peer : NULL;
}

void snapshot_line(struct snapshot *s, const char *line)
{
	static const char *const types[] = { "node", "handle", "message",
					     "notification" };
	struct holder holder;
	struct peer_state *peer;
	const char *comm;
	size_t i;

	if (is_line(line, "peer")) {
		s->cut += !!object_value(line, "cut");
		add_peer(s, line);
		return;
	}
	if (is_line(line, "snapshot")) {
		s->time = object_value(line, "time");
		s->extent = object_value(line, "objects") ? SNAPSHOT_OBJECTS :
							    SNAPSHOT_PEERS;
		s->debugfs = object_value(line, "debugfs");
		s->bpf = object_value(line, "bpf");
		s->initial_pids = object_value(line, "initial_pids");
		s->unreadable = object_value(line, "unreadable");
		s->cut = object_value(line, "cut");
		return;
	}
	peer = block(s, line);
	if (!peer)
		return;
	if (is_line(line, "holder")) {
		holder = (struct holder){
			.pid = object_value(line, "pid"),
			.fd = object_value(line, "fd"),
		};
		comm = find_value(line, "comm");
		snprintf(holder.comm, sizeof(holder.comm), "%s",
			 comm ? comm : "");
		add_holder(peer, &holder);
		s->size += sizeof(holder);
		return;
	}
	for (i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (s->extent == SNAPSHOT_OBJECTS && is_line(line, types[i]))
			s->size += add_object(peer, line);
}

__attribute__((format(printf, 3, 4)))
static void put_line(void (*line)(const char *line, void *context),
		     void *context, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	line(text, context);
}

/* What a process may call itself, but a line must not be: more than one */
static void put_holder(uint64_t peer, const struct holder *holder,
		       void (*line)(const char *line, void *context),
		       void *context)
{
	char comm[COMM_LEN], *p;

	snprintf(comm, sizeof(comm), "%.*s", COMM_LEN - 1, holder->comm);
	for (p = comm; (p = strchr(p, '\n')); p++)
		*p = '?';
	put_line(line, context, "holder peer=%" PRIu64 " pid=%u fd=%u comm=%s",
		 peer, holder->pid, holder->fd, comm);
}

void snapshot_lines(const struct snapshot *s,
		    void (*line)(const char *line, void *context),
		    void *context)
{
	size_t i, j;

	put_line(line, context, "snapshot time=%" PRIu64
		 " objects=%d debugfs=%d bpf=%d initial_pids=%d unreadable=%zu cut=%zu",
		 s->time, s->extent == SNAPSHOT_OBJECTS, s->debugfs, s->bpf,
		 s->initial_pids, s->unreadable, s->cut);
	for (i = 0; i < s->n_peers; i++) {
		const struct peer_state *peer = &s->peers[i];

		put_line(line, context, "peer id=%" PRIu64 " uid=%" PRIu64
			 " pid=%" PRIu64 " created=%" PRIu64 " nodes=%" PRIu64
			 " handles=%" PRIu64 " queued=%" PRIu64
			 " bytes=%" PRIu64 " received=%" PRIu64
			 " oldest=%" PRIu64 " transactions=%" PRIu64 "%s%s",
			 peer->id, peer->uid, peer->pid, peer->created,
			 peer->nodes, peer->handles, peer->queued, peer->bytes,
			 peer->received, peer->oldest, peer->transactions,
			 *peer->name ? " name=" : "", peer->name);
		for (j = 0; j < peer->n_objects; j++)
			line(peer->objects[j], context);
		for (j = 0; j < peer->n_holders; j++)
			put_holder(peer->id, &peer->holders[j], line, context);
	}
}

static int compare(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

/* What debugfs says of a peer, if it does, before its descriptors */
static int by_id(const void *a, const void *b)
{
	const struct peer_state *x = a, *y = b;
	int order = compare(x->id, y->id);

	if (!order)
		order = compare(x->n_holders, y->n_holders);
	if (!order && x->n_holders)
		order = compare(x->holders->pid, y->holders->pid);
	if (!order && x->n_holders)
		order = compare(x->holders->fd, y->holders->fd);
	return order;
}

/* Makes one of all that are of the same peer: the first, and all holders. */
void snapshot_complete(struct snapshot *s)
{
	struct peer_state *peer = s->peers;
	size_t i, j;

	if (!s->n_peers)
		return;
	qsort(s->peers, s->n_peers, sizeof(*s->peers), by_id);
	for (i = 1; i < s->n_peers; i++) {
		struct peer_state *next = &s->peers[i];

		if (next->id != peer->id) {
			*++peer = *next;
			continue;
		}
		for (j = 0; j < next->n_holders; j++) {
			struct holder *holder = &next->holders[j], *last;

			last = peer->n_holders ?
			       &peer->holders[peer->n_holders - 1] : NULL;
			/* a descriptor may be found twice */
			if (!last || last->pid != holder->pid ||
			    last->fd != holder->fd)
				add_holder(peer, holder);
		}
		peer_clear(next);
	}
	s->n_peers = peer - s->peers + 1;
}

static bool read_debugfs(struct snapshot *s, const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	bool complete;

	if (!file)
		return false;
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "bus1-", 5))
			s->time = object_value(line, "time");
		else
			snapshot_line(s, line);
	}
	complete = !ferror(file);
	free(line);
	fclose(file);
	/* such as: the kernel had no memory for a peer with very much */
	if (!complete) {
		snapshot_free(s);
		s->peers = NULL;
		s->n_peers = 0;
	}
	return complete;
}

int snapshot_take(struct snapshot *s, enum snapshot_extent extent)
{
	uint32_t major, minor;

	*s = (struct snapshot){ .extent = extent };
	if (!module_device(&major, &minor))
		return -ENODEV;
	/* a module of schema 1.1 has only the longer of the two */
	s->debugfs = (extent == SNAPSHOT_PEERS &&
		      read_debugfs(s, DEBUGFS "peers")) ||
		     read_debugfs(s, DEBUGFS "objects");
	if (!s->debugfs)
		s->time = now_ns();
	descriptors_find(s, major, minor);
	snapshot_complete(s);
	if (s->cut)
		complain("%zu peers have so much that there was no memory to list it: only what others say of them is known",
			 s->cut);
	return 0;
}

void snapshot_free(struct snapshot *s)
{
	size_t i;

	for (i = 0; i < s->n_peers; i++)
		peer_clear(&s->peers[i]);
	free(s->peers);
}
