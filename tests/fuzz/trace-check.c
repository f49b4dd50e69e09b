// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever a recording holds, what is written of it is well-formed: nothing
 * steers a terminal, text is UTF-8, JSON is JSON, and so on. By other people's
 * parsers, where there are any.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"
#include "perfetto.pb-c.h"
#include "trace-fuzz.h"

void wrong(const char *what, const char *data, size_t n)
{
	size_t i;

	dprintf(fuzz_report, "%s, \"", what);
	for (i = 0; i < n && i < 400; i++)
		dprintf(fuzz_report, data[i] >= ' ' && data[i] < 0x7f ?
				"%c" : "\\x%02x", (unsigned char)data[i]);
	dprintf(fuzz_report, "\"\n");
	abort();
}

static void check_text(const char *data, size_t n)
{
	const unsigned char *p = (const unsigned char *)data, *end = p + n;
	unsigned char last[8];
	int length;

	for (; p < end; p += length) {
		memset(last, 0, sizeof(last));
		memcpy(last, p, end - p < 4 ? end - p : 4);
		length = utf8_length(last);
		if (!length || (*p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f ||
		    (*p == 0xc2 && p[1] < 0xa0))
			wrong("no text", (const char *)p, end - p);
	}
}

/* One object a line, that says its type */
static void check_json(const char *data, size_t n)
{
	const char *end = data + n, *next;

	for (; data < end; data = next + 1) {
		struct json_tokener *t = json_tokener_new_ex(8);
		struct json_object *object, *type;

		next = memchr(data, '\n', end - data);
		if (!next)
			wrong("no end", data, end - data);
		json_tokener_set_flags(t, JSON_TOKENER_STRICT |
					  JSON_TOKENER_VALIDATE_UTF8);
		object = json_tokener_parse_ex(t, data, next - data + 1);
		if (json_tokener_get_error(t) != json_tokener_success ||
		    !json_object_is_type(object, json_type_object) ||
		    !json_object_object_get_ex(object, "type", &type) ||
		    !json_object_is_type(type, json_type_string))
			wrong("no JSON", data, next - data);
		json_object_put(object);
		json_tokener_free(t);
	}
}

static uint32_t number(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Blocks, each with its length at both ends, which begin with a section */
static void check_pcapng(const char *data, size_t n)
{
	const char *end = data + n, *block;
	uint32_t length;

	if (n < 12 || number(data) != 0x0a0d0d0a)
		wrong("no pcapng", data, n);
	for (block = data; block < end; block += length) {
		length = end - block < 12 ? 0 : number(block + 4);
		if (length < 12 || length % 4 || length > end - block ||
		    number(block + length - 4) != length)
			wrong("no block", block, end - block);
	}
}

static void check_perfetto(const char *data, size_t n)
{
	Perfetto__Protos__Trace *trace;

	trace = perfetto__protos__trace__unpack(NULL, n,
						(const uint8_t *)data);
	if (!trace)
		wrong("no trace", data, n);
	perfetto__protos__trace__free_unpacked(trace, NULL);
}

void check_output(enum output kind, const char *data, size_t n)
{
	static void (*const checks[])(const char *data, size_t n) = {
		[OUTPUT_TEXT] = check_text,
		[OUTPUT_JSON] = check_json,
		[OUTPUT_PCAPNG] = check_pcapng,
		[OUTPUT_PERFETTO] = check_perfetto,
	};

	if (kind == OUTPUT_JSON)
		check_text(data, n);
	checks[kind](data, n);
}

void check_complaints(const char *data, size_t n)
{
	check_text(data, n);
}
