// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: pcapng
 *
 * draft-ietf-opsawg-pcapng: a section, an interface for each peer before its
 * first packet, a packet for each event, and at the end the statistics.
 * Interface 0 is the bus: what concerns no peer, and what was lost.
 *
 * A packet of version 1, all numbers little-endian:
 *
 *     0  u16  version, 1
 *     2  u16  length of all but the payload, 120 + 8 n
 *     4  u32  process that acts
 *     8  u32  its thread
 *    12  u32  n
 *    16  16 bytes: the event's name
 *    32  16 bytes: the name of the process that acts
 *    48  32 bytes: the name of the peer that sends, or acts
 *    80  32 bytes: the name of the peer that receives
 *   112  u32  process behind the one
 *   116  u32  process behind the other, 0 is unknown
 *   120  n times u64: the arguments of the tracepoint, see bus1(4)
 *        payload of a msg_send, as far as it was recorded
 *
 * Names are filled up with 0; the longest have none.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "export.h"
#include "table.h"

#define VERSION 1
#define HEAD 120
#define LINKTYPE_USER0 147

/* Wireshark keeps all of them in memory, too; others share interface 0. */
#define INTERFACES_MAX 65536

enum {
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
	BLOCK_SECTION = 0x0a0d0d0a,

	OPTION_END = 0,
	OPTION_COMMENT = 1,
	SECTION_HARDWARE = 2,
	SECTION_OS = 3,
	SECTION_APPLICATION = 4,
	INTERFACE_NAME = 2,
	INTERFACE_DESCRIPTION = 3,
	INTERFACE_RESOLUTION = 9,
	PACKET_FLAGS = 2,
	STATISTICS_START = 2,
	STATISTICS_END = 3,
	STATISTICS_RECEIVED = 4,
	STATISTICS_DROPPED = 5,
	STATISTICS_ACCEPTED = 6,
	STATISTICS_DELIVERED = 8,

	INBOUND = 1,
	OUTBOUND = 2,
};

struct interface {
	struct table_entry entry;
	uint64_t peer;
	uint32_t index;
};

static struct table interfaces;
/* Of each interface, and of all */
static uint64_t *packets;
static uint32_t n_interfaces;
static uint64_t written;
static uint64_t begun, offset; /* from CLOCK_MONOTONIC to CLOCK_REALTIME */

/* A block while it is put together; the largest is a packet with a payload. */
static struct block {
	uint8_t data[HEAD + 8 * BUS1_EVENT_ARGS + BUS1_PAYLOAD_MAX + 1024];
	size_t n;
} block;

static void put(const void *data, size_t n)
{
	if (!n)
		return;
	memcpy(block.data + block.n, data, n);
	block.n += n;
}

static void put_16(uint16_t v)
{
	v = htole16(v);
	put(&v, sizeof(v));
}

static void put_32(uint32_t v)
{
	v = htole32(v);
	put(&v, sizeof(v));
}

static void put_64(uint64_t v)
{
	v = htole64(v);
	put(&v, sizeof(v));
}

static void pad(void)
{
	while (block.n % 4)
		block.data[block.n++] = 0;
}

static void block_begin(uint32_t type)
{
	block.n = 0;
	put_32(type);
	put_32(0); /* its length, when that is known */
}

static void block_end(void)
{
	uint32_t length = htole32(block.n + 4);

	memcpy(block.data + 4, &length, sizeof(length));
	put(&length, sizeof(length));
	fwrite(block.data, 1, block.n, stdout);
}

static void option(uint16_t code, const void *value, size_t n)
{
	put_16(code);
	put_16(n);
	if (n)
		put(value, n);
	pad();
}

static void option_text(uint16_t code, const char *text)
{
	if (*text)
		option(code, text, strlen(text));
}

static void option_64(uint16_t code, uint64_t v)
{
	v = htole64(v);
	option(code, &v, sizeof(v));
}

/* Those of statistics are the upper half first, like a packet's. */
static void put_time(uint64_t ns)
{
	put_32((ns + offset) >> 32);
	put_32(ns + offset);
}

static void option_time(uint16_t code, uint64_t ns)
{
	put_16(code);
	put_16(8);
	put_time(ns);
}

static uint32_t interface_new(const char *name, const char *description)
{
	const uint8_t nanoseconds = 9;

	packets = grow(packets, n_interfaces, sizeof(*packets));
	packets[n_interfaces] = 0;
	block_begin(BLOCK_INTERFACE);
	put_16(LINKTYPE_USER0);
	put_16(0);
	put_32(0); /* no limit */
	option_text(INTERFACE_NAME, name);
	option_text(INTERFACE_DESCRIPTION, description);
	option(INTERFACE_RESOLUTION, &nanoseconds, 1);
	option(OPTION_END, NULL, 0);
	block_end();
	return n_interfaces++;
}

static struct interface *interface_find(uint64_t peer)
{
	struct table_entry *entry =
		table_first(&interfaces, table_hash(peer, 0, 0));

	while (entry && ((struct interface *)entry)->peer != peer)
		entry = table_next(entry);
	return (struct interface *)entry;
}

static uint32_t interface_of(uint64_t peer)
{
	struct interface *i = interface_find(peer);
	char label[EXPORT_LABEL], description[128];
	const struct peer *who;
	size_t n = 0;

	if (i)
		return i->index;
	if (!peer || n_interfaces == INTERFACES_MAX)
		return 0;
	i = malloc(sizeof(*i));
	if (!i) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	i->peer = peer;
	export_label(label, peer);
	who = peers_find(peer);
	*description = '\0';
	if (who && who->has_name) {
		n = export_text(description, sizeof(description), who->comm,
				COMM_LEN);
		n += snprintf(description + n, sizeof(description) - n,
			      ", pid %u", who->pid);
	}
	if (who && who->has_uid)
		snprintf(description + n, sizeof(description) - n,
			 "%suid %u", n ? ", " : "", who->uid);
	i->index = interface_new(label, description);
	table_add(&interfaces, &i->entry, table_hash(peer, 0, 0));
	return i->index;
}

static void start(const struct stream_start *start)
{
	struct export_origin origin;
	char text[256];

	begun = start->time;
	offset = start->realtime - start->time;
	export_origin(&origin);
	block_begin(BLOCK_SECTION);
	put_32(0x1a2b3c4d);
	put_16(1);
	put_16(0);
	put_64(UINT64_MAX); /* its length is not known */
	snprintf(text, sizeof(text),
		 "bus1 events%s%s, packet version %d, attached by %s",
		 *origin.host ? " of " : "", origin.host, VERSION, start->way);
	option_text(OPTION_COMMENT, text);
	option_text(SECTION_HARDWARE, origin.machine);
	snprintf(text, sizeof(text), "Linux %s", origin.kernel);
	option_text(SECTION_OS, text);
	snprintf(text, sizeof(text), "bus1-trace, trace schema %d.%d",
		 BUS1_TRACE_SCHEMA_MAJOR, BUS1_TRACE_SCHEMA_MINOR);
	option_text(SECTION_APPLICATION, text);
	option(OPTION_END, NULL, 0);
	block_end();
	interface_new("bus1", "what concerns no peer, and the counts of all");
}

static const char *word(const struct event_info *info, const __u64 *arg,
			unsigned int i)
{
	const char *symbol = NULL;

	if (info->field[i].symbol)
		symbol = info->field[i].symbol(arg[i]);
	return symbol ? symbol : "?";
}

/* What an engineer who pages through packets should stop at */
static void comment(const struct bus1_event *event)
{
	const struct event_info *info = &event_info[event->type];
	const __u64 *a = event->arg;
	const char *name;
	char text[160];

	switch (event->type) {
	case EV_msg_discard:
		snprintf(text, sizeof(text), "discarded: %s",
			 word(info, a, 7));
		break;
	case EV_notify_drop:
		snprintf(text, sizeof(text), "vanished: %s", word(info, a, 7));
		break;
	case EV_acct_reject:
		snprintf(text, sizeof(text),
			 "refused: user %" PRIu64 " holds %" PRIu64
			 " %s of user %" PRIu64 ", asked for %" PRIu64
			 " more, may hold %" PRIu64,
			 (uint64_t)a[1], (uint64_t)a[5], word(info, a, 3),
			 (uint64_t)a[0], (uint64_t)a[4], (uint64_t)a[10]);
		break;
	case EV_op_fail:
		name = error_name((int32_t)a[2]);
		snprintf(text, sizeof(text), "failed: %s: %s, %s %" PRIu64,
			 word(info, a, 1), name ? name : "?", word(info, a, 3),
			 (uint64_t)a[4]);
		break;
	default:
		return;
	}
	option_text(OPTION_COMMENT, text);
}

static uint32_t direction(const struct bus1_event *event)
{
	switch (event->type) {
	case EV_msg_send:
	case EV_notify_send:
		return OUTBOUND;
	case EV_msg_recv:
	case EV_notify_recv:
		return INBOUND;
	}
	return 0;
}

static void put_text(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	put(text, n);
	memset(block.data + block.n, 0, size - n);
	block.n += size - n;
}

static void put_name(uint64_t peer)
{
	put_text(peers_find(peer) ? peers_name(peer) : "", NAME_LEN);
}

static uint32_t process(uint64_t peer)
{
	const struct peer *who = peers_find(peer);

	return who && who->has_name ? who->pid : 0;
}

static void packet(const struct item *item)
{
	const struct bus1_event *event = &item->event;
	const struct event_info *info = &event_info[event->type];
	size_t head = HEAD + 8 * item->n_args;
	uint32_t flags = htole32(direction(event));
	uint32_t in = interface_of(export_peer(event));
	uint64_t all = item->payload ? item->payload->n : 0, length = all;
	unsigned int i;

	if (item->payload && event->arg[5] > all &&
	    event->arg[5] < UINT32_MAX - head)
		length = event->arg[5];

	block_begin(BLOCK_PACKET);
	put_32(in);
	put_time(event_stamp(event));
	put_32(head + all);
	put_32(head + length);
	put_16(VERSION);
	put_16(head);
	put_32(event->pid);
	put_32(event->tid);
	put_32(item->n_args);
	put_text(info->name, 16);
	put_text(event->comm, sizeof(event->comm));
	put_name(event->arg[info->from]);
	put_name(event->arg[info->to]);
	put_32(process(event->arg[info->from]));
	put_32(process(event->arg[info->to]));
	for (i = 0; i < item->n_args; i++)
		put_64(event->arg[i]);
	if (all)
		put(item->payload->data, all);
	pad();
	comment(event);
	if (flags)
		option(PACKET_FLAGS, &flags, sizeof(flags));
	option(OPTION_END, NULL, 0);
	block_end();
	packets[in]++;
	written++;
}

static void statistics(uint32_t in, uint64_t time)
{
	block_begin(BLOCK_STATISTICS);
	put_32(in);
	put_time(time);
	option_time(STATISTICS_START, begun);
	option_time(STATISTICS_END, time);
}

/* Losses are counted of all peers together. */
static void counts(const struct bus1_count *sum, uint64_t missed,
		   uint64_t time)
{
	uint32_t i;

	for (i = 0; i < n_interfaces; i++) {
		statistics(i, time);
		if (i) {
			option_64(STATISTICS_RECEIVED, packets[i]);
		} else {
			option_64(STATISTICS_RECEIVED, sum->seen + missed);
			option_64(STATISTICS_DROPPED,
				  sum->ring_full + sum->map_full + missed);
			option_64(STATISTICS_ACCEPTED,
				  sum->seen - sum->filtered + missed);
			option_64(STATISTICS_DELIVERED, written);
		}
		option(OPTION_END, NULL, 0);
		block_end();
	}
}

const struct export_format export_pcapng = {
	.name = "pcapng",
	.binary = true,
	.verb = {
		.extent = SNAPSHOT_PEERS,
		.start = start,
		.event = packet,
	},
	.counts = counts,
};
