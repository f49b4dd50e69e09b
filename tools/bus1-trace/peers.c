// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: peers
 *
 * A peer's name is that which its program gave it; else the name of the process
 * that acted on it last, or before that, of the one that opened or was found to
 * hold it. Messages outlive their sender, so names stay after a peer's end, until
 * DEAD_MAX others died.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "options.h"
#include "stream.h"
#include "table.h"

#define DEAD_MAX 16384

static struct table peers;
static uint64_t dead[DEAD_MAX];
static size_t n_dead;

static uint64_t hash(uint64_t id)
{
	return table_hash(id, 0, 0);
}

struct peer *peers_find(uint64_t id)
{
	struct table_entry *e = table_first(&peers, hash(id));

	while (e && table_item(struct peer, e)->id != id)
		e = table_next(e);
	return e ? table_item(struct peer, e) : NULL;
}

struct peer *peers_get(uint64_t id)
{
	struct peer *peer = peers_find(id);

	if (peer)
		return peer;
	peer = calloc(1, sizeof(*peer));
	if (!peer) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	peer->id = id;
	table_add(&peers, &peer->entry, hash(id));
	return peer;
}

void peers_learn(const struct bus1_event *event)
{
	struct peer *peer;

	if (!event_is_own(event))
		return;
	peer = peers_get(event->arg[0]);
	if (event->type == EV_peer_name) {
		memcpy(peer->name, event->arg + 1, sizeof(peer->name));
		peer->name[sizeof(peer->name) - 1] = '\0';
	}
	peer->pid = event->pid;
	memcpy(peer->comm, event->comm, sizeof(peer->comm));
	peer->has_name = true;
	if (event->type == EV_peer_new) {
		peer->uid = event->arg[1];
		peer->has_uid = true;
	}
}

/* Of a snapshot that is older than what was learned by now. */
static void learn_state(const struct snapshot *s,
			const struct peer_state *state)
{
	struct peer *peer = peers_get(state->id);

	peer->uid = state->uid;
	peer->has_uid = true;
	if (!*peer->name)
		memcpy(peer->name, state->name, sizeof(peer->name));
	/* IDs of another PID name space are not those of events */
	if (!s->initial_pids || !state->n_holders || peer->has_name)
		return;
	peer->pid = state->holders[0].pid;
	memcpy(peer->comm, state->holders[0].comm, sizeof(peer->comm));
	peer->has_name = true;
}

static bool in_cgroup(uint32_t pid)
{
	char path[64], line[4200];

	snprintf(path, sizeof(path), "/proc/%u/cgroup", pid);
	/* the unified hierarchy is the line that begins with "0::" */
	return read_line(path, line, sizeof(line)) &&
	       !strncmp(line, "0::", 3) &&
	       cgroup_fits(line + 3);
}

static uint32_t match_process(uint32_t pid, const char *comm)
{
	uint32_t bits = 0;

	if (options.pid && pid == options.pid)
		bits |= BUS1_MATCH_PID;
	if (options.comm && !strncmp(comm, options.comm, COMM_LEN))
		bits |= BUS1_MATCH_COMM;
	if (options.cgroup && !options.input && in_cgroup(pid))
		bits |= BUS1_MATCH_CGROUP;
	return bits;
}

/* Which filters a peer satisfies that was there before the start. */
static uint32_t match(const struct snapshot *s, const struct peer_state *state)
{
	uint32_t bits = 0;
	size_t i;

	if (options.has_uid && state->uid == options.uid)
		bits |= BUS1_MATCH_UID;
	if (options.pid && state->pid == options.pid)
		bits |= BUS1_MATCH_PID;
	for (i = 0; s->initial_pids && i < state->n_holders; i++)
		bits |= match_process(state->holders[i].pid,
				      state->holders[i].comm);
	return bits;
}

void peers_learn_snapshot(const struct snapshot *snapshot,
			  void (*found)(uint64_t peer, uint32_t bits))
{
	static bool warned;
	size_t i;

	if (options.pid && !warned &&
	    (!snapshot->initial_pids || snapshot->unreadable)) {
		warned = true;
		complain("not all descriptors could be seen: a peer that process %" PRIu64
			 " holds, but did not open, is shown from its use of it on",
			 options.pid);
	}
	if (options.cgroup && options.input && !warned) {
		warned = true;
		complain("which control groups processes were in is known from what they did: a peer that one in %s holds is shown from its use of it on",
			 options.cgroup);
	}
	for (i = 0; i < snapshot->n_peers; i++) {
		const struct peer_state *state = &snapshot->peers[i];
		uint32_t bits = match(snapshot, state);

		learn_state(snapshot, state);
		if (bits && found)
			found(state->id, bits);
	}
}

static void peers_forget(uint64_t id)
{
	struct peer *peer = peers_find(id);

	/* one with receipts in sort.c stays; such are few */
	if (!peer || peer->receipts.n)
		return;
	table_remove(&peers, &peer->entry);
	free(peer);
}

const char *peers_name(uint64_t id)
{
	const struct peer *peer = peers_find(id);

	if (!peer)
		return "?";
	return *peer->name ? peer->name : peer->has_name ? peer->comm : "?";
}

void peers_bury(uint64_t id, void (*forgotten)(uint64_t id))
{
	uint64_t *slot = &dead[n_dead++ % DEAD_MAX];

	if (n_dead > DEAD_MAX) {
		peers_forget(*slot);
		if (forgotten)
			forgotten(*slot);
	}
	*slot = id;
}
