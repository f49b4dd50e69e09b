/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_WORLD_H
#define _BUS1_TRACE_WORLD_H

#include "stream.h"
#include "table.h"

/*
 * DOC: world
 *
 * Peers, nodes, handles and queues as they are at one point of a stream: the
 * snapshot, and what the events until then changed. No ID is used twice, so the
 * two are joined by identity: an object is there if the snapshot or an event
 * says that it came, and no event says that it went. What went before it was
 * known to have come, as it happens to events that are late, does not come.
 *
 * What nobody was told of is missing: a message that was sent but not ready
 * when the snapshot was taken, if its msg_send was before the start.
 */
struct world_message { /* or notification: something in a queue */
	struct world_message *next, *prev; /* in order of delivery, as known */
	uint64_t peer; /* in whose queue */
	uint64_t tx_peer, tx;
	uint32_t index;
	uint32_t kind; /* BUS1_KIND_*, 0 is a message */
	uint64_t node_peer, node, id; /* id: as notify_send has it */
	uint64_t bytes, handles;
	uint64_t stamp; /* 0 is unknown: since before the start */
	struct table_entry entry;
};

struct world_handle {
	uint64_t peer, id; /* who holds it */
	uint64_t node_peer, node;
	uint32_t how, index, slot; /* BUS1_HOW_* */
	uint64_t tx_peer, tx; /* what brought it */
	uint64_t created, used; /* ns; used: 0 is never */
	uint64_t sends; /* through it, since the start */
	bool dead; /* its node is released, and the owner has not been told */
	bool before; /* it was there at the start */
	/* that made it, or NULL; those that are equal are one */
	const struct bus1_stack *stack;
	struct world_handle *next, *prev; /* of the same peer */
	struct table_entry entry;
};

struct world_node {
	uint64_t peer, id;
	uint64_t created;
	uint64_t handles; /* to it, but for those in flight */
	bool dead, before;
	struct world_node *next, *prev; /* of the same peer */
	struct table_entry entry;
};

struct world_peer {
	uint64_t id;
	struct peer *who; /* names, which outlive it */
	uint64_t uid, opener, created;
	bool dead; /* others still have handles to its nodes */
	bool before;
	uint64_t n_nodes, n_handles, queued, bytes;
	uint64_t received, transactions;
	uint64_t held; /* handles to its nodes, of whomever */
	struct world_node *nodes;
	struct world_handle *handles;
	struct world_message *first, *last; /* its queue */
	struct holder *holders; /* at the start */
	size_t n_holders;
	struct table_entry entry;
};

/* The events that it needs to keep up */
#define WORLD_EVENTS \
	(BUS1_EVENT_BIT(EV_peer_new) | BUS1_EVENT_BIT(EV_peer_name) | \
	 BUS1_EVENT_BIT(EV_peer_free) | BUS1_EVENT_BIT(EV_node_new) | \
	 BUS1_EVENT_BIT(EV_node_release) | BUS1_EVENT_BIT(EV_handle_new) | \
	 BUS1_EVENT_BIT(EV_handle_release) | BUS1_EVENT_BIT(EV_tx_commit) | \
	 BUS1_EVENT_BIT(EV_msg_send) | BUS1_EVENT_BIT(EV_msg_recv) | \
	 BUS1_EVENT_BIT(EV_msg_discard) | BUS1_EVENT_BIT(EV_notify_send) | \
	 BUS1_EVENT_BIT(EV_notify_recv) | BUS1_EVENT_BIT(EV_notify_drop))

/* What the snapshot said of itself; without its peers */
extern struct snapshot world_start;

/* The first counts: all that follows is told by the events. */
void world_snapshot(const struct snapshot *snapshot);
/* Of a stream that hands over parts by themselves: without stream_verb.fold */
void world_event(const struct item *item);
/* All that are there, and the dead, by ID. Valid until the next event. */
size_t world_peers(struct world_peer ***peers);
/* All handles, by holder, owner, origin, node and ID. Valid likewise. */
size_t world_handles(struct world_handle ***handles);
struct world_peer *world_peer(uint64_t id);
struct world_node *world_node(uint64_t peer, uint64_t id);
struct world_handle *world_handle(uint64_t peer, uint64_t id);
/* The stamp of what waits longest in @peer's queue; 0: nothing, or unknown */
uint64_t world_oldest(const struct world_peer *peer);
/* As a snapshot, for verbs that show one; it is the caller's to free */
void world_to_snapshot(struct snapshot *snapshot, uint64_t time);

#endif /* _BUS1_TRACE_WORLD_H */
