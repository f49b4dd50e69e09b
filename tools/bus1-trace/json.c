// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: json
 *
 * One object a line, its member "type" first. An event has the arguments of
 * its tracepoint under their names; enumerations as words; then who acted
 * (pid, tid, comm) and who is behind the peers, as far as that is known.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "stream.h"

int utf8_length(const unsigned char *s)
{
	uint32_t c;
	int n, i;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	c = s[0] & (0x7f >> n);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) ||
	    (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return 0;
	return n;
}

/* What is not UTF-8 is written byte by byte, as U+0080 to U+00FF. */
void json_string(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	putchar('"');
	while (*p) {
		int n = utf8_length(p);

		if (*p == '"' || *p == '\\')
			printf("\\%c", *p);
		else if (!n || *p < ' ' || *p == 0x7f)
			printf("\\u%04x", *p);
		else if (*p == 0xc2 && p[1] < 0xa0) /* U+0080 to U+009F */
			printf("\\u%04x", p[1]);
		else
			printf("%.*s", n, (const char *)p);
		p += n ? n : 1;
	}
	putchar('"');
}

/* @i: the argument that is a peer */
static void json_peer(const struct bus1_event *event, unsigned int i)
{
	const char *role = event_info[event->type].field[i].name;
	const struct peer *peer = peers_find(event->arg[i]);
	bool own = !i && event_is_own(event);

	if (!own && (!peer || !peer->has_name))
		return;
	printf(",\"%s_pid\":%u,\"%s_comm\":", role,
	       own ? event->pid : peer->pid, role);
	json_string(own ? event->comm : peer->comm);
	if (peer && *peer->name) {
		printf(",\"%s_name\":", role);
		json_string(peer->name);
	}
}

void json_start(const struct stream_start *start)
{
	printf("{\"type\":\"start\",\"schema\":\"%d.%u\",\"attach\":",
	       BUS1_TRACE_SCHEMA_MAJOR, start->schema_minor);
	json_string(start->way);
	printf(",\"time\":%" PRIu64 ",\"realtime\":%" PRIu64 "}\n",
	       start->time, start->realtime);
}

/* Four numbers, but a text */
static void json_name(const struct bus1_event *event)
{
	char name[NAME_LEN];

	memcpy(name, event->arg + 1, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	printf(",\"peer\":%llu,\"name\":", event->arg[0]);
	json_string(name);
	printf(",\"time\":%llu", event->arg[5]);
}

static void json_payload(const struct bus1_bytes *payload)
{
	uint32_t i;

	printf(",\"payload\":\"");
	for (i = 0; i < payload->n; i++)
		printf("%02x", payload->data[i]);
	putchar('"');
}

void json_event(const struct item *item)
{
	const struct bus1_event *event = &item->event;
	const struct event_info *info = &event_info[event->type];
	unsigned int i;

	printf("{\"type\":\"%s\"", info->name);
	if (event->type == EV_peer_name)
		json_name(event);
	for (i = 0; event->type != EV_peer_name && i < item->n_args; i++) {
		const struct field *field = &info->field[i];
		uint64_t v = event->arg[i];
		const char *symbol = field->symbol ? field->symbol(v) : NULL;

		if (symbol)
			printf(",\"%s\":\"%s\"", field->name, symbol);
		else if (field->is_signed)
			printf(",\"%s\":%d", field->name, (int32_t)v);
		else
			printf(",\"%s\":%" PRIu64, field->name, v);
	}
	if (event->type == EV_op_fail) {
		const char *name = error_name((int32_t)event->arg[2]);

		if (name)
			printf(",\"errno\":\"%s\"", name);
	}
	if (item->payload)
		json_payload(item->payload);
	if (event->type != EV_peer_new) /* it has its own pid */
		printf(",\"pid\":%u", event->pid);
	printf(",\"tid\":%u,\"comm\":", event->tid);
	json_string(event->comm);
	json_peer(event, info->from);
	if (info->to != info->from)
		json_peer(event, info->to);
	printf("}\n");
}

/* "word key=value ..." as members: a number stays one, all else is a string */
void json_pairs(const char *line)
{
	char key[32], value[64];
	int n;

	line += strcspn(line, " ");
	while (sscanf(line, " %31[^= ]=%63[^ ]%n", key, value, &n) == 2) {
		line += n;
		putchar(',');
		json_string(key);
		putchar(':');
		if (value[strspn(value, "0123456789")])
			json_string(value);
		else
			printf("%s", value);
	}
}
