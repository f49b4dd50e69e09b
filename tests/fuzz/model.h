/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_FUZZ_MODEL_H
#define _TESTS_FUZZ_MODEL_H

/*
 * DOC: what a bus is, by the manual
 *
 * Peers, nodes, handles and queues as bus1(7) describes them, for calls that
 * are made one after the other: then each call happens before the next, and the
 * order of delivery is that of the calls. It knows nothing of the module. IDs
 * are not foretold: they are what the module gave, and have to be new.
 *
 * What the manual leaves open the model leaves open: the notifications of one
 * call for one peer come in any order among themselves.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_PEERS 4
#define MODEL_TRANSFERS 4

struct model_node {
	unsigned int peer;
	uint64_t id;
	bool live; /* neither released nor gone with its notification */
	unsigned int refs; /* handles, those in messages included */
};

struct model_handle {
	unsigned int peer;
	uint64_t id;
	bool live;
	struct model_node *node;
};

enum model_type {
	MODEL_USER,
	MODEL_NODE_RELEASE,
	MODEL_HANDLE_RELEASE,
};

struct model_event {
	enum model_type type; /* as in bus1_message.type */
	unsigned int call; /* by which it came about */
	struct model_handle *handle; /* NODE_RELEASE */
	struct model_node *node; /* HANDLE_RELEASE, USER */
	/* USER: */
	unsigned int from; /* the sender, */
	unsigned int life; /* and which peer of that slot it was */
	uint64_t account;
	uint32_t stamp; /* says which bytes it has */
	size_t n_data;
	unsigned int n_t;
	struct model_node *t[MODEL_TRANSFERS];
};

struct model_message {
	uint32_t stamp;
	size_t n_data;
	unsigned int n_t;
	struct model_node *t[MODEL_TRANSFERS];
};

void model_reset(void);
/* All that follows, until the next, is one call. Returns its number. */
uint32_t model_begin(void);

void model_open(unsigned int p, uint64_t account);
void model_close(unsigned int p);
bool model_is_open(unsigned int p);
/* It was open once. */
bool model_was_open(unsigned int p);

/* Not yet used in that peer; remembers it. What a failed call shows counts. */
bool model_id_fresh(unsigned int p, uint64_t id);
struct model_node *model_node(unsigned int p, uint64_t id);
struct model_handle *model_handle(unsigned int p, uint64_t id);

struct model_node *model_node_new(unsigned int p, uint64_t id);
/* A copy for peer @p; if the node is dead, it will hear that. */
void model_handle_new(unsigned int p, struct model_node *node, uint64_t id);
void model_release(unsigned int p, unsigned int n, const uint64_t *ids);
/*
 * @to: the nodes that get it; NULL: skipped. Then the owner of a node without
 * any handle left hears of that.
 */
void model_send(unsigned int p, unsigned int n, struct model_node *const *to,
		const struct model_message *m);

/* What may be received next: how many, and each of them. */
unsigned int model_heads(unsigned int p);
const struct model_event *model_head(unsigned int p, unsigned int i);
/* One of them was received, with these new handles. */
void model_take(unsigned int p, const struct model_event *e,
		const uint64_t *ids);

/* The nth live one of a peer, from the first or from the last; 0: none */
uint64_t model_nth_handle(unsigned int p, unsigned int n);
uint64_t model_nth_node(unsigned int p, unsigned int n);
uint64_t model_nth_last(unsigned int p, unsigned int n);
uint64_t model_nth_gone(unsigned int p, unsigned int n);

struct model_counts {
	uint64_t nodes;
	uint64_t handles;
	uint64_t queued;
	uint64_t queued_bytes;
	/* What the peer has claimed, of all users together */
	uint64_t objects;
	uint64_t bytes;
	/* At most so much more, until its queue was looked at */
	uint64_t late_objects;
};

void model_count(unsigned int p, struct model_counts *c);

#endif /* _TESTS_FUZZ_MODEL_H */
