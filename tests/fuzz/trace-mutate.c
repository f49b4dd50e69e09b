// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bytes changed at random would end at the first CRC. So a frame is taken apart
 * as far as its kind says: events into their arguments, a snapshot into text;
 * something of that is changed, and it is put together again. What is in it
 * need not be sound; how it is packed is, mostly.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "recording-format.h"
#include "trace-fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size,
				 const uint8_t *b, size_t b_size, uint8_t *out,
				 size_t max, unsigned int seed);

#define FRAMES_MAX 2048
#define ENTRIES_MAX 1024
#define TEXT_MAX (2 * CHUNK_SIZE)

struct place {
	size_t at, head, n; /* of the head; of what is in it */
};

static struct entry {
	uint32_t code; /* CODE_STACK, CODE_PAYLOAD or that of its type */
	uint32_t n;
	union {
		struct bus1_event event;
		struct bus1_stack stack;
		struct bus1_bytes payload;
	};
} entries[ENTRIES_MAX];
static size_t n_entries;

static struct place frames[FRAMES_MAX];
static size_t n_frames;
static struct file_type types[TYPES_MAX];
static uint32_t n_types;
static uint8_t input[2 * INPUT_MAX], text[TEXT_MAX + 1];
static size_t n_input, n_text;
static uint64_t state;

static uint64_t any(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

size_t input_options(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size < 255 ? size : 255);

	if (!size || *data == FORMAT_MAGIC[0] || !end)
		return 0;
	return end + 1 - data;
}

size_t input_second(const uint8_t *data, size_t size)
{
	const uint8_t *p = NULL;

	if (size > FORMAT_START)
		p = memmem(data + FORMAT_START, size - FORMAT_START,
			   FORMAT_MAGIC, FORMAT_MAGIC_SIZE);
	return p ? p - data : 0;
}

/* Where the frames are, as far as there are some; a second part's, too */
static void find_frames(const uint8_t *data, size_t size)
{
	size_t at = input_options(data, size) + FORMAT_START;

	n_frames = 0;
	while (at < size && n_frames < FRAMES_MAX) {
		struct cursor c = { data + at + 1, data + size, false };
		size_t n = get_varint(&c);
		struct place place = { at, c.p - (data + at), n };

		if (size - at >= FORMAT_START &&
		    !memcmp(data + at, FORMAT_MAGIC, FORMAT_MAGIC_SIZE)) {
			at += FORMAT_START;
			continue;
		}
		if (c.bad || n > FRAME_MAX ||
		    n + FRAME_CRC > (size_t)(c.end - c.p))
			break;
		frames[n_frames++] = place;
		at += place.head + n + FRAME_CRC;
	}
}

static size_t frame_size(const struct place *place)
{
	return place->head + place->n + FRAME_CRC;
}

/* Puts @size bytes of @data in the place of @old at @at. */
static bool splice(size_t at, size_t old, const void *data, size_t size)
{
	if (n_input - old + size > sizeof(input))
		return false;
	memmove(input + at + size, input + at + old, n_input - at - old);
	if (size)
		memcpy(input + at, data, size);
	n_input += size - old;
	return true;
}

static void put_frame(const struct place *place, int kind, const void *data,
		      size_t n)
{
	static uint8_t out[FRAME_HEAD + FRAME_MAX + FRAME_CRC];
	size_t head;
	uint32_t crc;

	if (n > FRAME_MAX)
		n = FRAME_MAX;
	out[0] = kind;
	head = 1 + encode_varint(out + 1, n);
	memcpy(out + head, data, n);
	crc = crc32(0, out, head + n);
	memcpy(out + head + n, &crc, sizeof(crc));
	splice(place->at, frame_size(place), out, head + n + FRAME_CRC);
}

/* The largest and smallest of any width, and their neighbours */
static uint64_t odd(void)
{
	uint64_t v = any(2) ? 1ULL << any(64) : any(20);

	return any(3) ? v : v - 1 - any(2);
}

/* A number that is in the recording somewhere else; mostly an ID or a time */
static uint64_t other(uint64_t v)
{
	const struct entry *e;

	switch (any(6)) {
	case 0:
		return odd();
	case 1:
		return v + any(5) - 2;
	case 2:
		return v + odd();
	case 3:
		return v ^ 1ULL << any(64);
	}
	if (!n_entries)
		return any(16);
	e = &entries[any(n_entries)];
	return e->code < CODE_EVENT ? any(16) :
				      e->event.arg[any(BUS1_EVENT_ARGS)];
}

static void change_text(size_t max)
{
	static const char *const words[] = {
		"\npeer id=", "\nnode peer=", "\nhandle peer=", " name=",
		"\nholder peer=", " slot=", " node_peer=", " node=", " pid=",
		"\nmessage peer=", "\nnotification peer=", " comm=", " fd=",
		" tx_peer=", " tx=", " index=", " bytes=", " handles=",
		" stamp=", " kind=", " objects=1", " initial_pids=1",
		" created=", " used=", " dead=", " how=", "\nsnapshot time=",
		" debugfs=1", "\x1b[2J", "\"\\\x07", "\xff\xfe", "\xc2\x9b",
		"\nuser uid=", "\nquota uid=", "\ntrace uid=", " claimant=",
		" max_objects=", " left_bytes=", " n=", "\nevent=", "\npart=",
		"\nrun=", " cut=1",
	};
	char number[24];
	size_t at = n_text ? any(n_text + 1) : 0, old, n;
	const uint8_t *from, *to;
	const char *word;

	switch (any(5)) {
	case 0: /* a number becomes another one */
		while (at < n_text && (text[at] < '0' || text[at] > '9'))
			at++;
		for (old = at; old < n_text && text[old] >= '0' &&
			       text[old] <= '9'; old++)
			;
		old -= at;
		snprintf(number, sizeof(number), "%" PRIu64,
			 any(3) ? any(8) : odd());
		word = number;
		break;
	case 1: /* a word comes in between */
		old = 0;
		word = words[any(sizeof(words) / sizeof(*words))];
		break;
	case 2: /* a line is repeated, or goes */
		from = at ? memrchr(text, '\n', at) : NULL;
		from = from ? from : text;
		to = memchr(text + at, '\n', n_text - at);
		to = to ? to : text + n_text;
		n = from < to ? to - from : 0;
		if (any(3) && n_text + n <= max) {
			memmove(text + (to - text) + n, to,
				text + n_text - to);
			memmove(text + (to - text), from, n);
			n_text += n;
		} else {
			memmove(text + (from - text), to, text + n_text - to);
			n_text -= n;
		}
		return;
	default:
		n_text = LLVMFuzzerMutate(text, n_text ? n_text : 1, max);
		return;
	}
	n = strlen(word);
	if (n_text - old + n > max)
		return;
	memmove(text + at + n, text + at + old, n_text - at - old);
	memcpy(text + at, word, n);
	n_text += n - old;
}

/* As the frames of information before @place have them */
static void find_types(const struct place *place)
{
	const struct place *p;
	const char *line, *end, *next;
	char name[32];
	uint32_t i;

	n_types = 0;
	for (p = frames; p < place; p++) {
		if (input[p->at] != FRAME_INFO)
			continue;
		n_types = 0;
		line = (char *)input + p->at + p->head;
		end = line + p->n;
		for (; line < end && n_types < TYPES_MAX; line = next + 1) {
			struct file_type *type = &types[n_types];
			char copy[64] = "";

			next = memchr(line, '\n', end - line);
			next = next ? next : end;
			memcpy(copy, line, next - line < 63 ? next - line : 63);
			if (sscanf(copy, "event=%31s %" SCNu32 " %" SCNu32,
				   name, &type->time, &type->relative) != 3)
				continue;
			for (i = 0; i < EV_MAX && strcmp(name, type_names[i]);
			     i++)
				;
			type->type = i;
			n_types++;
		}
	}
}

static void take_apart(const struct place *place)
{
	static struct batch batch;
	struct cursor c = { input + place->at + place->head, NULL, false };
	uint64_t code;
	bool good = true;

	c.end = c.p + place->n;
	batch_start(&batch);
	for (n_entries = 0; good && c.p < c.end && n_entries < ENTRIES_MAX;) {
		struct entry *e = &entries[n_entries];

		code = get_varint(&c);
		e->code = code >> 2;
		if (e->code == CODE_STACK)
			good = batch_get_stack(&batch, &c, &e->stack);
		else if (e->code == CODE_PAYLOAD)
			good = batch_get_payload(&c, &e->payload);
		else if (e->code - CODE_EVENT < n_types)
			good = batch_get_event(&batch, &c, code,
					       &types[e->code - CODE_EVENT],
					       &e->event, &e->n);
		else
			break;
		n_entries += good;
	}
}

static void put_together(const struct place *place)
{
	static struct batch batch;
	static struct frame f;
	size_t i;

	f.n = 0;
	batch_start(&batch);
	for (i = 0; i < n_entries && !batch_full(&batch, &f); i++) {
		const struct entry *e = &entries[i];
		const struct file_type *type;
		uint32_t n = e->n;

		if (e->code == CODE_STACK) {
			batch_put_stack(&batch, &f, &e->stack);
			continue;
		}
		if (e->code == CODE_PAYLOAD) {
			batch_put_payload(&f, &e->payload);
			continue;
		}
		type = &types[e->code - CODE_EVENT];
		if (n <= type->time)
			n = type->time + 1;
		if (n > BUS1_EVENT_ARGS)
			n = BUS1_EVENT_ARGS;
		if (type->time < n)
			batch_put_event(&batch, &f, e->code - CODE_EVENT, type,
					&e->event, n);
	}
	put_frame(place, FRAME_EVENTS, frame_data(&f), f.n);
}

static void change_bytes(void *p, size_t n)
{
	uint8_t copy[64];

	memcpy(copy, p, n);
	if (LLVMFuzzerMutate(copy, n, n))
		memcpy(p, copy, n);
}

static void change_event(struct entry *e)
{
	struct bus1_event *event = &e->event;
	uint32_t i = any(BUS1_EVENT_ARGS);

	switch (any(12)) {
	case 0:
		change_bytes(event->comm, sizeof(event->comm) - 1);
		event->comm[15] = '\0';
		break;
	case 1:
		event->pid = any(2) ? any(16) : other(event->pid);
		event->tid = any(2) ? any(16) : other(event->tid);
		break;
	case 2:
		event->cgroup = any(16);
		event->flags ^= BUS1_EVENT_CONTEXT;
		break;
	case 3:
		e->n = any(ARGS_MAX);
		break;
	case 4: /* the same, as another type of event */
		e->code = CODE_EVENT + any(n_types);
		event->type = types[e->code - CODE_EVENT].type;
		e->n = event->type < EV_MAX ? type_args[event->type] :
					      any(ARGS_MAX);
		break;
	case 5: /* a name, in numbers */
		change_bytes(event->arg + 1, 32);
		break;
	default:
		event->arg[i] = other(event->arg[i]);
	}
}

static void change_entry(struct entry *e)
{
	struct bus1_stack *stack = &e->stack;
	uint32_t i;

	if (e->code == CODE_STACK) {
		i = any(BUS1_STACK_MAX);
		stack->ip[i] = other(stack->ip[i]);
		stack->n = any(4) ? stack->n : any(BUS1_STACK_MAX + 1);
		stack->tid = any(4) ? stack->tid : any(16);
	} else if (e->code == CODE_PAYLOAD) {
		e->payload.peer = other(e->payload.peer);
		e->payload.index = any(4);
		if (!any(4))
			e->payload.n = any(BUS1_PAYLOAD_MAX + 1);
	} else {
		change_event(e);
	}
}

static void change_events(const struct place *place)
{
	static struct entry copy;
	size_t n = 1 + any(8), i, j;

	find_types(place);
	take_apart(place);
	while (n_entries && n_types && n--) {
		i = any(n_entries);
		switch (any(8)) {
		case 0: /* once more, somewhere */
			if (n_entries == ENTRIES_MAX)
				break;
			j = any(n_entries);
			copy = entries[i];
			memmove(&entries[j + 1], &entries[j],
				(n_entries++ - j) * sizeof(*entries));
			entries[j] = copy;
			break;
		case 1:
			memmove(&entries[i], &entries[i + 1],
				(--n_entries - i) * sizeof(*entries));
			break;
		case 2:
			j = any(n_entries);
			copy = entries[i];
			entries[i] = entries[j];
			entries[j] = copy;
			break;
		default:
			change_entry(&entries[i]);
		}
	}
	put_together(place);
}

/* So many numbers, and what stands behind them, which is text */
static void change_numbers(const struct place *place, size_t numbers)
{
	static struct frame f;
	struct cursor c = { input + place->at + place->head, NULL, false };
	size_t i, changed;

	c.end = c.p + place->n;
	changed = any(numbers + 1);
	f.n = 0;
	for (i = 0; i < numbers && c.p < c.end; i++) {
		uint64_t v = get_varint(&c);

		put_varint(&f, i == changed ? any(3) ? odd() : any(8) : v);
	}
	n_text = c.end - c.p < CHUNK_SIZE ? c.end - c.p : CHUNK_SIZE;
	memcpy(text, c.p, n_text);
	if (changed >= i)
		change_text(CHUNK_SIZE);
	put_bytes(&f, text, n_text);
	put_frame(place, input[place->at], frame_data(&f), f.n);
}

static void change_snapshot(const struct place *place)
{
	static uint8_t out[1 + TEXT_MAX + 4096];
	const uint8_t *data = input + place->at + place->head;
	uLongf n = TEXT_MAX, size = sizeof(out) - 1;
	int i;

	if (!place->n || uncompress(text, &n, data + 1, place->n - 1))
		return;
	n_text = n;
	n_entries = 0;
	for (i = 1 + any(4); i--;)
		change_text(any(16) ? CHUNK_SIZE : TEXT_MAX);
	out[0] = any(16) ? data[0] : any(4);
	if (compress2(out + 1, &size, text, n_text, 1) == Z_OK)
		put_frame(place, FRAME_SNAPSHOT, out, 1 + size);
}

/* Without an understanding of what is in it */
static void change_raw(const struct place *place)
{
	n_text = place->n < CHUNK_SIZE ? place->n : CHUNK_SIZE;
	memcpy(text, input + place->at + place->head, n_text);
	n_text = LLVMFuzzerMutate(text, n_text ? n_text : 1, CHUNK_SIZE);
	put_frame(place, any(16) ? input[place->at] : any(12), text, n_text);
}

/* Any number in it, be it a length, a count or an index, becomes another one. */
static void change_number(const struct place *place)
{
	const uint8_t *data = input + place->at + place->head;
	static struct frame f;
	struct cursor c;
	size_t at;

	if (!place->n)
		return;
	at = any(place->n);
	c = (struct cursor){ data + at, data + place->n, false };
	get_varint(&c);
	f.n = 0;
	put_bytes(&f, data, at);
	put_varint(&f, any(3) ? odd() : any(256));
	if (f.n + (c.end - c.p) <= FRAME_MAX)
		put_bytes(&f, c.p, c.end - c.p);
	put_frame(place, input[place->at], frame_data(&f), f.n);
}

static void change_frame(const struct place *place)
{
	switch (any(12)) {
	case 0:
		change_raw(place);
		return;
	case 1:
	case 2:
		change_number(place);
		return;
	}
	switch (input[place->at]) {
	case FRAME_EVENTS:
		change_events(place);
		break;
	case FRAME_SNAPSHOT:
		change_snapshot(place);
		break;
	case FRAME_SYMBOL:
		change_numbers(place, 2);
		break;
	case FRAME_CGROUP:
		change_numbers(place, 1);
		break;
	case FRAME_COUNTS:
	case FRAME_BASE:
		change_numbers(place, 1 + 5 * EV_MAX);
		break;
	case FRAME_END:
		change_numbers(place, 2);
		break;
	default:
		change_numbers(place, 0);
	}
}

/* A frame goes, comes twice, or stands elsewhere. */
static void move_frame(const struct place *place)
{
	static uint8_t copy[2 * INPUT_MAX];
	size_t n = frame_size(place), to = frames[any(n_frames)].at;

	memcpy(copy, input + place->at, n);
	if (any(2))
		splice(place->at, n, NULL, 0);
	if (any(3) && to <= n_input)
		splice(to, 0, copy, n);
}

static void change_options(void)
{
	const char *const *options = fuzz_target->options;
	static const char *const values[] = {
		"1", "0", "2", "3", "18446744073709551615", "0.01", "1e8",
		"1:1", "2:1", "message", "account,handle", "peer", "uid",
		"node", "bytes", "1ns", "1us", "10s", "4096", "100000", "abc",
		"first:1", "last:2", "recv:1.1", "1:2.0", "reply-to:1:1",
		"seq:1", "last:1:1@+1s", "last:1@12:00:00", "1000000000",
	};
	char line[250] = "", *p = line;
	size_t n = any(4), count = 0, i;
	const char *option;

	while (options[count])
		count++;
	while (n--) {
		option = options[any(count)];
		i = any(sizeof(values) / sizeof(*values));
		p += sprintf(p, "%s%s ", option,
			     !*option || option[strlen(option) - 1] == '=' ?
				     values[i] : "");
	}
	for (n = fuzz_target->words; n--;)
		p += sprintf(p, "%s ",
			     values[any(sizeof(values) / sizeof(*values))]);
	*p++ = '\n';
	splice(0, input_options(input, n_input), line, p - line);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	const struct place *place;

	state = (seed + 1) * 0x9e3779b97f4a7c15 | 1;
	memcpy(input, data, size);
	n_input = size;
	find_frames(input, n_input);
	if (!n_frames || !any(50))
		return LLVMFuzzerMutate(data, size, max);
	place = &frames[any(n_frames)];
	switch (any(16)) {
	case 0:
		change_options();
		break;
	case 1:
		move_frame(place);
		break;
	default:
		change_frame(place);
	}
	/* the end is cut off, at a frame */
	if (n_input > max) {
		find_frames(input, n_input);
		while (n_frames && frames[n_frames - 1].at > max)
			n_frames--;
		n_input = n_frames ? frames[n_frames - 1].at : max;
	}
	memcpy(data, input, n_input);
	return n_input;
}

/* What one begins with, and what another ends with */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size,
				 const uint8_t *b, size_t b_size, uint8_t *out,
				 size_t max, unsigned int seed)
{
	size_t n = a_size, rest;
	struct place place;

	state = (seed + 1) * 0x9e3779b97f4a7c15 | 1;
	find_frames(a, a_size);
	if (n_frames)
		n = frames[any(n_frames)].at;
	find_frames(b, b_size);
	if (n > max || n_frames < 2)
		return 0;
	place = frames[1 + any(n_frames - 1)];
	rest = b_size - place.at < max - n ? b_size - place.at : max - n;
	memcpy(out, a, n);
	memcpy(out + n, b + place.at, rest);
	return n + rest;
}
