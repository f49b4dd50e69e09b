// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE /* strerrorname_np */
#include <string.h>
#include "bus1-trace.h"

/* A value that a newer module added has no name here: NULL. */
#define SYMBOLS(name, ...)                                                \
	const char *name(uint64_t v)                                      \
	{                                                                 \
		static const char *const words[] = { __VA_ARGS__ };       \
		const size_t n = sizeof(words) / sizeof(*words);          \
		return v < n ? words[v] : NULL;                           \
	}

SYMBOLS(symbol_tx, [BUS1_TX_TRANSFER] = "transfer",
	[BUS1_TX_RELEASE] = "release", [BUS1_TX_SEND] = "send",
	[BUS1_TX_CLOSE] = "close", [BUS1_TX_DROP] = "drop")
SYMBOLS(symbol_how, [BUS1_HOW_CREATED] = "created",
	[BUS1_HOW_TRANSFERRED] = "transferred", [BUS1_HOW_MESSAGE] = "message")
SYMBOLS(symbol_why, [BUS1_WHY_RELEASED] = "released",
	[BUS1_WHY_CLOSED] = "closed", [BUS1_WHY_NOTIFIED] = "notified",
	[BUS1_WHY_QUOTA] = "quota")
SYMBOLS(symbol_kind, [BUS1_KIND_NODE_RELEASE] = "node_release",
	[BUS1_KIND_HANDLE_RELEASE] = "handle_release")
SYMBOLS(symbol_wait, [BUS1_WAIT_READY] = "ready",
	[BUS1_WAIT_DEADLINE] = "deadline", [BUS1_WAIT_SIGNAL] = "signal")
SYMBOLS(symbol_op, [BUS1_OP_TRANSFER] = "transfer",
	[BUS1_OP_RELEASE] = "release", [BUS1_OP_SEND] = "send",
	[BUS1_OP_RECV] = "recv", [BUS1_OP_NAME] = "name",
	[BUS1_OP_FEATURES] = "features", [BUS1_OP_CALL] = "call",
	[BUS1_OP_RECV_BATCH] = "recv_batch", [BUS1_OP_OPEN] = "open")
SYMBOLS(symbol_check, [BUS1_CHECK_FLAGS] = "flags",
	[BUS1_CHECK_POINTER] = "pointer", [BUS1_CHECK_LIMIT] = "limit",
	[BUS1_CHECK_ID] = "id", [BUS1_CHECK_DUPLICATE] = "duplicate",
	[BUS1_CHECK_TYPE] = "type", [BUS1_CHECK_CREATE] = "create",
	[BUS1_CHECK_FD] = "fd", [BUS1_CHECK_DATA] = "data",
	[BUS1_CHECK_IOVEC] = "iovec", [BUS1_CHECK_ROOM] = "room",
	[BUS1_CHECK_MEMORY] = "memory", [BUS1_CHECK_SIGNAL] = "signal",
	[BUS1_CHECK_QUOTA] = "quota", [BUS1_CHECK_NAME] = "name",
	[BUS1_CHECK_DEADLINE] = "deadline")
SYMBOLS(symbol_resource, [BUS1_RESOURCE_OBJECTS] = "objects",
	[BUS1_RESOURCE_BYTES] = "bytes")
SYMBOLS(symbol_level, "-", [BUS1_LEVEL_USER] = "user",
	[BUS1_LEVEL_PEER] = "peer")

const char *error_name(int error)
{
	return strerrorname_np(error < 0 ? (int)-(unsigned int)error : error);
}

#define NUMBER(n) { .name = n }
#define SYMBOL(n, s) { .name = n, .symbol = s }

#define HEAD(event, n, at, narrow, f, t, node_peer, node) \
	[EV_##event] = { .name = #event, .time = at, .from = f, .to = t, \
			 .field = { FIELDS_##event } },

#define FIELDS_peer_new \
	NUMBER("peer"), NUMBER("uid"), NUMBER("pid"), NUMBER("time")
#define FIELDS_peer_name \
	NUMBER("peer"), NUMBER("name0"), NUMBER("name1"), NUMBER("name2"), \
		NUMBER("name3"), NUMBER("time")
#define FIELDS_peer_free \
	NUMBER("peer"), NUMBER("uid"), NUMBER("transactions"), \
		NUMBER("receipts"), NUMBER("time")
#define FIELDS_node_new NUMBER("peer"), NUMBER("node"), NUMBER("time")
#define FIELDS_node_release \
	NUMBER("peer"), NUMBER("node"), NUMBER("tx"), \
		SYMBOL("why", symbol_why), NUMBER("time")
#define FIELDS_node_free FIELDS_node_new
#define FIELDS_handle_new \
	NUMBER("peer"), NUMBER("handle"), NUMBER("node_peer"), \
		NUMBER("node"), SYMBOL("how", symbol_how), \
		NUMBER("tx_peer"), NUMBER("tx"), NUMBER("index"), \
		NUMBER("slot"), NUMBER("time")
#define FIELDS_handle_release \
	NUMBER("peer"), NUMBER("handle"), NUMBER("node_peer"), \
		NUMBER("node"), SYMBOL("why", symbol_why), NUMBER("time")
#define FIELDS_handle_free \
	NUMBER("peer"), NUMBER("handle"), NUMBER("node_peer"), \
		NUMBER("node"), NUMBER("time")
#define FIELDS_tx_begin \
	NUMBER("peer"), NUMBER("tx"), SYMBOL("kind", symbol_tx), \
		NUMBER("receivers"), NUMBER("messages"), \
		NUMBER("notifications"), NUMBER("time")
#define FIELDS_tx_commit \
	NUMBER("peer"), NUMBER("tx"), SYMBOL("kind", symbol_tx), \
		NUMBER("receivers"), NUMBER("messages"), \
		NUMBER("notifications"), NUMBER("begun"), NUMBER("time"), \
		NUMBER("seq")
#define FIELDS_msg_send \
	NUMBER("peer"), NUMBER("tx"), NUMBER("index"), NUMBER("receiver"), \
		NUMBER("node"), NUMBER("bytes"), NUMBER("handles"), \
		NUMBER("time"), NUMBER("handle")
#define FIELDS_msg_recv \
	NUMBER("receiver"), NUMBER("recv"), NUMBER("peer"), NUMBER("tx"), \
		NUMBER("index"), NUMBER("node"), NUMBER("bytes"), \
		NUMBER("handles"), NUMBER("queued"), NUMBER("time"), \
		NUMBER("seq")
#define FIELDS_msg_discard \
	NUMBER("receiver"), NUMBER("peer"), NUMBER("tx"), NUMBER("index"), \
		NUMBER("node"), NUMBER("bytes"), NUMBER("handles"), \
		SYMBOL("why", symbol_why), NUMBER("time"), NUMBER("seq")
#define FIELDS_notify_send \
	NUMBER("peer"), NUMBER("tx"), SYMBOL("kind", symbol_kind), \
		NUMBER("receiver"), NUMBER("id"), NUMBER("node_peer"), \
		NUMBER("node"), NUMBER("time")
#define FIELDS_notify_recv \
	NUMBER("receiver"), NUMBER("recv"), NUMBER("peer"), NUMBER("tx"), \
		SYMBOL("kind", symbol_kind), NUMBER("id"), \
		NUMBER("node_peer"), NUMBER("node"), NUMBER("queued"), \
		NUMBER("time"), NUMBER("seq")
#define FIELDS_notify_drop \
	NUMBER("receiver"), NUMBER("peer"), NUMBER("tx"), \
		SYMBOL("kind", symbol_kind), NUMBER("id"), \
		NUMBER("node_peer"), NUMBER("node"), \
		SYMBOL("why", symbol_why), NUMBER("time"), NUMBER("seq")
#define FIELDS_recv_wait \
	NUMBER("peer"), NUMBER("begun"), SYMBOL("why", symbol_wait), \
		NUMBER("time")
#define FIELDS_acct_charge \
	NUMBER("owner"), NUMBER("claimant"), NUMBER("peer"), \
		SYMBOL("resource", symbol_resource), NUMBER("amount"), \
		NUMBER("held"), NUMBER("quota_left"), NUMBER("user_left"), \
		NUMBER("quota"), NUMBER("max"), NUMBER("time")
#define FIELDS_acct_discharge FIELDS_acct_charge
#define FIELDS_acct_reject \
	NUMBER("owner"), NUMBER("claimant"), NUMBER("peer"), \
		SYMBOL("resource", symbol_resource), NUMBER("amount"), \
		NUMBER("held"), NUMBER("quota_left"), NUMBER("user_left"), \
		SYMBOL("level", symbol_level), SYMBOL("op", symbol_op), \
		NUMBER("limit"), NUMBER("time")
#define FIELDS_op_fail \
	NUMBER("peer"), SYMBOL("cmd", symbol_op), \
		{ .name = "error", .is_signed = true }, \
		SYMBOL("check", symbol_check), NUMBER("detail"), \
		NUMBER("time"), NUMBER("owner"), \
		SYMBOL("level", symbol_level), \
		SYMBOL("resource", symbol_resource), NUMBER("held"), \
		NUMBER("limit")

const struct event_info event_info[EV_MAX] = { BUS1_EVENTS(HEAD) };

bool event_is_own(const struct bus1_event *event)
{
	switch (event->type) {
	case EV_tx_commit:
		/* closing and dropping are done by whoever comes last */
		return event->arg[2] <= BUS1_TX_SEND;
	case EV_peer_new:
	case EV_peer_name:
	case EV_msg_recv:
	case EV_notify_recv:
	case EV_recv_wait:
	case EV_op_fail:
		return true;
	}
	return false;
}
