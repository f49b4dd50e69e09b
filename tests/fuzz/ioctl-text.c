// SPDX-License-Identifier: GPL-2.0-only
/*
 * The form of an input: as bytes, for the engine, and as text, one call a line,
 * for people. Both ways go by the tables here.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ioctl.h"

/* Which members of struct fuzz_op a call looks at */
#define USE_BAD 0x01
#define USE_FLAGS 0x02
#define USE_N 0x04
#define USE_M 0x08
#define USE_SIZE 0x10
#define USE_ROOM 0x20
#define USE_TO 0x40
#define USE_IDS 0x80

static const struct {
	const char *name;
	unsigned int use;
	unsigned int flags;
} calls[FUZZ_N_CALLS] = {
	[FUZZ_OPEN] = { "open", USE_TO, 0 },
	[FUZZ_CLOSE] = { "close", 0, 0 },
	[FUZZ_TRANSFER] = { "transfer",
			    USE_BAD | USE_FLAGS | USE_N | USE_TO | USE_IDS,
			    FLAG_SELF },
	[FUZZ_RELEASE] = { "release", USE_BAD | USE_N | USE_IDS, 0 },
	[FUZZ_SEND] = { "send",
			USE_BAD | USE_FLAGS | USE_N | USE_M | USE_SIZE |
				USE_ROOM | USE_IDS,
			FLAG_CONTINUE | FLAG_FLAT | FLAG_ERRORS },
	[FUZZ_RECV] = { "recv", USE_BAD | USE_FLAGS | USE_SIZE | USE_ROOM,
			FLAG_FLAT | FLAG_WAIT },
	[FUZZ_RECV_BATCH] = { "batch",
			      USE_BAD | USE_FLAGS | USE_N | USE_SIZE | USE_ROOM,
			      FLAG_FLAT | FLAG_WAIT | FLAG_LATER },
	[FUZZ_CALL] = { "call",
			USE_BAD | USE_FLAGS | USE_N | USE_M | USE_SIZE |
				USE_ROOM | USE_IDS,
			FLAG_FLAT | FLAG_RFLAT | FLAG_ROOM | FLAG_LATER },
	[FUZZ_FEATURES] = { "features", USE_BAD, 0 },
	[FUZZ_NAME] = { "name", USE_BAD | USE_N | USE_TO, 0 },
	[FUZZ_POLL] = { "poll", 0, 0 },
	[FUZZ_FDINFO] = { "fdinfo", 0, 0 },
	[FUZZ_RAW] = { "raw", USE_N | USE_TO, 0 },
};

/* How often random bytes mean what; text becomes the first of a kind. */
static const uint8_t weight[32] = {
	FUZZ_TRANSFER, FUZZ_TRANSFER, FUZZ_TRANSFER, FUZZ_TRANSFER,
	FUZZ_TRANSFER, FUZZ_TRANSFER, FUZZ_SEND, FUZZ_SEND,
	FUZZ_SEND, FUZZ_SEND, FUZZ_SEND, FUZZ_SEND,
	FUZZ_SEND, FUZZ_SEND, FUZZ_RECV, FUZZ_RECV,
	FUZZ_RECV, FUZZ_RECV, FUZZ_RECV, FUZZ_RECV_BATCH,
	FUZZ_RECV_BATCH, FUZZ_CALL, FUZZ_CALL, FUZZ_RELEASE,
	FUZZ_RELEASE, FUZZ_RELEASE, FUZZ_CLOSE, FUZZ_OPEN,
	FUZZ_POLL, FUZZ_FDINFO, FUZZ_NAME, FUZZ_RAW,
};
/* The call without arguments: one byte is enough. */
#define BYTE_FEATURES 32

static const char *const bads[FUZZ_N_BAD] = {
	[BAD_FLAGS] = "flags",
	[BAD_MFLAGS] = "message-flags",
	[BAD_TFLAGS] = "transfer-flags",
	[BAD_TYPE] = "type",
	[BAD_CREATE_ID] = "create-id",
	[BAD_ODD] = "odd",
	[BAD_CMD_NONE] = "cmd-none",
	[BAD_CMD_CUT] = "cmd-cut",
	[BAD_CMD_RO] = "cmd-ro",
	[BAD_IN_NONE] = "in-none",
	[BAD_IN_CUT] = "in-cut",
	[BAD_IN_RO] = "in-ro",
	[BAD_IN_HIGH] = "in-high",
	[BAD_IN_WRAP] = "in-wrap",
	[BAD_OUT_NONE] = "out-none",
	[BAD_OUT_CUT] = "out-cut",
	[BAD_OUT_RO] = "out-ro",
	[BAD_MSG_NONE] = "message-none",
	[BAD_MSG_CUT] = "message-cut",
	[BAD_MSG_RO] = "message-ro",
	[BAD_TR_NONE] = "transfers-none",
	[BAD_TR_CUT] = "transfers-cut",
	[BAD_TR_RO] = "transfers-ro",
	[BAD_TR_HIGH] = "transfers-high",
	[BAD_VEC_NONE] = "iovecs-none",
	[BAD_VEC_CUT] = "iovecs-cut",
	[BAD_VEC_MANY] = "iovecs-many",
	[BAD_VEC_LONG] = "iovec-long",
	[BAD_VEC_HIGH] = "iovec-high",
	[BAD_DATA_NONE] = "data-none",
	[BAD_DATA_CUT] = "data-cut",
	[BAD_DATA_RO] = "data-ro",
	[BAD_COUNT_LIMIT] = "count-limit",
	[BAD_COUNT_MAX] = "count-max",
	[BAD_PRODUCT] = "product",
	[BAD_TCOUNT_LIMIT] = "transfers-limit",
	[BAD_TCOUNT_MAX] = "transfers-max",
	[BAD_DATA_MORE] = "data-more",
	[BAD_DATA_MAX] = "data-max",
	[BAD_TO_CLOSED] = "to-closed",
	[BAD_TO_OTHER] = "to-other",
	[BAD_TO_HUGE] = "to-huge",
	[BAD_DEADLINE] = "deadline",
};

static const struct {
	uint8_t flag;
	const char *name;
} flags[] = {
	{ FLAG_CONTINUE, "continue" }, { FLAG_FLAT, "flat" },
	{ FLAG_RFLAT, "room-flat" },   { FLAG_ERRORS, "errors" },
	{ FLAG_ROOM, "bad-room" },     { FLAG_LATER, "later" },
	{ FLAG_SELF, "self" },	       { FLAG_WAIT, "wait" },
};

static const char *const sels[SEL_N] = {
	[SEL_HANDLE] = "h", [SEL_LAST] = "last",   [SEL_NODE] = "n",
	[SEL_GONE] = "gone", [SEL_OTHER] = "other", [SEL_UNKNOWN] = "unknown",
};

static const struct {
	const char *name;
	size_t at;
	unsigned int use;
} numbers[] = {
	{ "to", offsetof(struct fuzz_op, to), USE_TO },
	{ "n", offsetof(struct fuzz_op, n), USE_N },
	{ "m", offsetof(struct fuzz_op, m), USE_M },
	{ "size", offsetof(struct fuzz_op, size), USE_SIZE },
	{ "room", offsetof(struct fuzz_op, room), USE_ROOM },
	{ "thread", offsetof(struct fuzz_op, thread), ~0u },
};

static uint8_t *member(const struct fuzz_op *op, size_t at)
{
	return (uint8_t *)op + at;
}

enum fuzz_call fuzz_op_call(const struct fuzz_op *op)
{
	if (op->call % 64 == BYTE_FEATURES)
		return FUZZ_FEATURES;
	return weight[op->call % ARRAY_SIZE(weight)];
}

/* Three bytes of four are no mistake. */
enum fuzz_bad fuzz_op_bad(const struct fuzz_op *op)
{
	if (!(calls[fuzz_op_call(op)].use & USE_BAD) || op->bad >= FUZZ_N_BAD)
		return BAD_NONE;
	return op->bad;
}

void fuzz_decode(struct fuzz_input *in, const uint8_t *data, size_t size)
{
	struct fuzz_header head = { 0 };

	memset(in, 0, sizeof(*in));
	if (size < sizeof(head))
		return;
	memcpy(&head, data, sizeof(head));
	switch (head.mode % FUZZ_N_MODES) {
	case FUZZ_TWO:
		in->threads = 2;
		break;
	case FUZZ_THREE:
		in->threads = 3;
		break;
	case FUZZ_QUOTA:
		in->quota = 4 + head.quota;
		break;
	}
	size -= sizeof(head);
	in->n = size / sizeof(*in->op);
	if (in->n > FUZZ_OPS)
		in->n = FUZZ_OPS;
	memcpy(in->op, data + sizeof(head), in->n * sizeof(*in->op));
}

size_t fuzz_encode(const struct fuzz_input *in, uint8_t *data, size_t room)
{
	struct fuzz_header head = {
		.mode = in->quota ? FUZZ_QUOTA :
			in->threads == 3 ? FUZZ_THREE :
			in->threads ? FUZZ_TWO : FUZZ_MODEL,
		.quota = in->quota ? in->quota - 4 : 0,
	};
	size_t n = in->n * sizeof(*in->op);

	if (room < sizeof(head) + n)
		return 0;
	memcpy(data, &head, sizeof(head));
	memcpy(data + sizeof(head), in->op, n);
	return sizeof(head) + n;
}

/* --- to text ------------------------------------------------------------ */

struct line {
	char *p;
	size_t room;
};

static __attribute__((format(printf, 2, 3))) void add(struct line *l,
						      const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->p, l->room, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < l->room) {
		l->p += n;
		l->room -= n;
	}
}

static void add_selectors(struct line *l, const char *name, const uint8_t *sel,
			  unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		add(l, "%s%s", i ? "," : name,
		    sel[i] & SEL_CREATE ? "+" : "");
		if (sel[i] != SEL_CREATE)
			add(l, "%s%u", sels[fuzz_sel_kind(sel[i])],
			    sel[i] & 15);
	}
}

void fuzz_op_print(const struct fuzz_op *op, char *text, size_t room)
{
	enum fuzz_call call = fuzz_op_call(op);
	enum fuzz_bad bad = fuzz_op_bad(op);
	unsigned int use = calls[call].use, i, n = 0;
	struct line l = { text, room };

	add(&l, "%s peer=%u", calls[call].name, op->peer % FUZZ_PEERS);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if ((use & numbers[i].use) && *member(op, numbers[i].at))
			add(&l, " %s=%u", numbers[i].name,
			    *member(op, numbers[i].at));
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (op->flags & calls[call].flags & flags[i].flag)
			add(&l, "%s%s", n++ ? "," : " flags=", flags[i].name);
	if (use & USE_IDS)
		add_selectors(&l, " id=", op->id,
			      call == FUZZ_CALL ? 1 : op->n % (FUZZ_IDS + 1));
	if (use & USE_M)
		add_selectors(&l, " tr=", op->tr,
			      op->m % (FUZZ_TRANSFERS + 1));
	if (bad)
		add(&l, " bad=%s", bads[bad]);
}

void fuzz_print(const struct fuzz_input *in, const char *name, FILE *to)
{
	char line[256];
	unsigned int i;

	fprintf(to, "seed %s", name);
	if (in->threads)
		fprintf(to, " threads=%u", in->threads);
	if (in->quota)
		fprintf(to, " quota=%u", in->quota);
	fputc('\n', to);
	for (i = 0; i < in->n; i++) {
		fuzz_op_print(&in->op[i], line, sizeof(line));
		fprintf(to, "%s\n", line);
	}
}

/* --- from text ---------------------------------------------------------- */

static bool number(const char *s, unsigned int max, unsigned int *v)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (end == s || *end || n > max)
		return false;
	*v = n;
	return true;
}

static bool byte(const char *s, uint8_t *v)
{
	unsigned int n;

	if (!number(s, 255, &n))
		return false;
	*v = n;
	return true;
}

static bool parse_selectors(char *s, uint8_t *sel, unsigned int room)
{
	unsigned int n = 0, kind, value;
	char *one, *save;

	for (one = strtok_r(s, ",", &save); one;
	     one = strtok_r(NULL, ",", &save)) {
		uint8_t create = *one == '+' ? SEL_CREATE : 0;
		size_t len;

		one += !!create;
		if (n == room)
			return false;
		if (create && !*one) {
			sel[n++] = create;
			continue;
		}
		len = strcspn(one, "0123456789");
		for (kind = 0; kind < SEL_N; kind++)
			if (strlen(sels[kind]) == len &&
			    !strncmp(one, sels[kind], len))
				break;
		if (kind == SEL_N || !number(one + len, 15, &value))
			return false;
		sel[n++] = create | kind << 4 | value;
	}
	return true;
}

static bool parse_flags(char *s, uint8_t *v)
{
	char *one, *save;
	unsigned int i;

	for (one = strtok_r(s, ",", &save); one;
	     one = strtok_r(NULL, ",", &save)) {
		for (i = 0; i < ARRAY_SIZE(flags); i++)
			if (!strcmp(one, flags[i].name))
				break;
		if (i == ARRAY_SIZE(flags))
			return false;
		*v |= flags[i].flag;
	}
	return true;
}

static bool parse_field(const char *key, char *value, struct fuzz_op *op)
{
	unsigned int i;

	if (!strcmp(key, "peer"))
		return byte(value, &op->peer);
	if (!strcmp(key, "flags"))
		return parse_flags(value, &op->flags);
	if (!strcmp(key, "id"))
		return parse_selectors(value, op->id, FUZZ_IDS);
	if (!strcmp(key, "tr"))
		return parse_selectors(value, op->tr, FUZZ_TRANSFERS);
	if (!strcmp(key, "bad")) {
		for (i = 1; i < FUZZ_N_BAD; i++)
			if (!strcmp(value, bads[i]))
				op->bad = i;
		return op->bad;
	}
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!strcmp(key, numbers[i].name))
			return byte(value, member(op, numbers[i].at));
	return false;
}

static bool parse_op(char *line, struct fuzz_op *op)
{
	char *save, *word = strtok_r(line, " ", &save);
	unsigned int i;

	for (i = 0; i < FUZZ_N_CALLS; i++)
		if (!strcmp(word, calls[i].name))
			break;
	if (i == FUZZ_N_CALLS)
		return false;
	for (op->call = 0; fuzz_op_call(op) != i; op->call++)
		;
	while ((word = strtok_r(NULL, " ", &save))) {
		char *value = strchr(word, '=');

		if (!value)
			return false;
		*value++ = 0;
		if (!parse_field(word, value, op))
			return false;
	}
	return true;
}

static bool parse_head(char *line, struct fuzz_input *in, char *name,
		       size_t room)
{
	char *save, *word = strtok_r(line, " ", &save);

	word = strtok_r(NULL, " ", &save);
	if (!word)
		return false;
	snprintf(name, room, "%s", word);
	while ((word = strtok_r(NULL, " ", &save))) {
		if (!strncmp(word, "threads=", 8) &&
		    number(word + 8, FUZZ_THREADS, &in->threads) &&
		    in->threads > 1)
			continue;
		if (!strncmp(word, "quota=", 6) &&
		    number(word + 6, 259, &in->quota) && in->quota > 3)
			continue;
		return false;
	}
	return true;
}

long fuzz_parse(const char *text, struct fuzz_input *in, char *name,
		size_t room)
{
	const char *p = text;
	bool head = false;
	char line[256];
	long n = 0;

	memset(in, 0, sizeof(*in));
	for (; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		size_t len = strcspn(p, "\n");

		n++;
		if (!len || *p == '#')
			continue;
		if (len >= sizeof(line))
			return -n;
		memcpy(line, p, len);
		line[len] = 0;
		if (!strncmp(line, "seed ", 5)) {
			if (head)
				break;
			head = true;
			if (!parse_head(line, in, name, room))
				return -n;
		} else if (!head || in->n == FUZZ_OPS ||
			   !parse_op(line, &in->op[in->n++])) {
			return -n;
		}
	}
	return head ? p - text : 0;
}
