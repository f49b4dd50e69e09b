// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: Perfetto
 *
 * A trace of TrackEvents; perfetto.proto has what of the schema this takes.
 * Below each process, its peers; below each peer:
 *
 *   instants    what happened to it: send, recv, fail, ...
 *   "queue"     a slice for each message and notification, from send to receipt
 *   "calls"     a slice for each transaction, from its begin to its commit
 *   "waits"     a slice for each thread that slept for something to receive
 *   counters    what was sent to it and not yet received: how many, and bytes
 *
 * A flow leads from the sender's instant through the slice to the receiver's
 * instant. Slices of a track have to nest, and these do not; so each track takes
 * one at a time, and there are as many as there are slices at once. Viewers show
 * tracks of one name and parent as one. Readers sort by time.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include "export.h"
#include "perfetto.pb-c.h"
#include "table.h"

#define P(name) Perfetto__Protos__##name
#define INIT(NAME) PERFETTO__PROTOS__##NAME##__INIT
#define TYPE(name) PERFETTO__PROTOS__TRACK_EVENT__TYPE__TYPE_##name

#define CLOCK 3 /* BUILTIN_CLOCK_MONOTONIC */
#define SEQUENCE 0x62757331
#define ANNOTATIONS_MAX (BUS1_EVENT_ARGS + 4)

/* A receipt can be lost, and so the end of a slice: the oldest goes first. */
#define OPEN_MAX (1 << 18)
/* Of peers without open slices what is known can be written once more. */
#define PEERS_MAX (1 << 14)

enum uuid {
	UUID_PROCESS = 0x62757331, /* "bus1", to differ from other programs' */
	UUID_PEER,
	UUID_QUEUE,
	UUID_CALLS,
	UUID_DEPTH,
	UUID_BYTES,
	UUID_FLOW,
	UUID_BUS,
	UUID_WAITS,
};

/* Tracks that have one slice at a time */
struct lanes {
	enum uuid uuid;
	const char *name;
	uint64_t *end; /* of the last slice of each */
	uint32_t *free; /* those without an open slice */
	uint32_t n, n_free;
};

struct track {
	struct table_entry entry;
	TAILQ_ENTRY(track) used;
	uint64_t id, uuid;
	struct lanes queue, calls, waits;
	uint64_t depth, bytes; /* sum of the open slices */
	uint64_t counted; /* when that was told last */
	bool has_depth, has_bytes;
};

/* A message or notification that was sent and not received yet */
struct open {
	struct table_entry entry;
	TAILQ_ENTRY(open) older;
	uint64_t receiver, tx_peer, tx, id;
	uint32_t kind; /* BUS1_KIND_*; of a message 0, and id its index */
	uint32_t lane;
	uint64_t bytes;
};

struct process {
	struct table_entry entry;
	uint32_t pid;
};

static struct table tracks, opens, processes;
/* Those without a slice in their queue, which can be forgotten */
static TAILQ_HEAD(, track) idle = TAILQ_HEAD_INITIALIZER(idle);
static TAILQ_HEAD(, open) oldest = TAILQ_HEAD_INITIALIZER(oldest);
static uint64_t lost_slices;

/* The same whenever the same thing is exported, unlike table_hash() */
static uint64_t uuid(enum uuid what, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t in[] = { what, a, b, c };
	uint64_t x = 0;
	size_t i;

	for (i = 0; i < 4; i++) {
		x = (x ^ in[i]) + 0x9e3779b97f4a7c15;
		x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
		x = (x ^ x >> 27) * 0x94d049bb133111eb;
		x ^= x >> 31;
	}
	return x ? x : 1;
}

static void *allocate(size_t size)
{
	void *p = calloc(1, size);

	if (!p) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	return p;
}

/* A field of Trace: its number and type, its length, and the packet */
static void write_packet(P(TracePacket) *packet)
{
	static uint8_t *data;
	static size_t size;
	size_t n, length;

	packet->has_trusted_packet_sequence_id = true;
	packet->trusted_packet_sequence_id = SEQUENCE;
	length = perfetto__protos__trace_packet__get_packed_size(packet);
	if (length > size) {
		free(data);
		data = allocate(2 * length);
		size = 2 * length;
	}
	putchar(1 << 3 | 2);
	for (n = length; n > 0x7f; n >>= 7)
		putchar(0x80 | (n & 0x7f));
	putchar(n);
	perfetto__protos__trace_packet__pack(packet, data);
	fwrite(data, 1, length, stdout);
}

static void write_track(P(TrackDescriptor) *track)
{
	P(TracePacket) packet = INIT(TRACE_PACKET);

	track->has_uuid = true;
	track->has_parent_uuid = track->parent_uuid;
	packet.data_case =
		PERFETTO__PROTOS__TRACE_PACKET__DATA_TRACK_DESCRIPTOR;
	packet.track_descriptor = track;
	write_packet(&packet);
}

/* An event, its annotations and their strings, while it is put together */
static struct {
	P(TrackEvent) event;
	P(DebugAnnotation) annotation[ANNOTATIONS_MAX];
	P(DebugAnnotation) *list[ANNOTATIONS_MAX];
	char text[2][EXPORT_LABEL];
	char *category;
	uint64_t flow;
	char name[EXPORT_LABEL];
} out;

static void event_begin(P(TrackEvent__Type) type, uint64_t track)
{
	perfetto__protos__track_event__init(&out.event);
	out.event.has_type = true;
	out.event.type = type;
	out.event.has_track_uuid = true;
	out.event.track_uuid = track;
	out.event.debug_annotations = out.list;
}

static void event_name(const char *category, const char *name)
{
	out.category = (char *)category;
	out.event.categories = &out.category;
	out.event.n_categories = 1;
	out.event.name = (char *)name;
}

static P(DebugAnnotation) *annotate(const char *name)
{
	size_t i = out.event.n_debug_annotations++;
	P(DebugAnnotation) *a = out.list[i] = &out.annotation[i];

	perfetto__protos__debug_annotation__init(a);
	a->name = (char *)name;
	return a;
}

static void annotate_number(const char *name, uint64_t v)
{
	P(DebugAnnotation) *a = annotate(name);

	a->value_case = PERFETTO__PROTOS__DEBUG_ANNOTATION__VALUE_UINT_VALUE;
	a->uint_value = v;
}

static void annotate_text(const char *name, const char *text)
{
	P(DebugAnnotation) *a = annotate(name);

	a->value_case = PERFETTO__PROTOS__DEBUG_ANNOTATION__VALUE_STRING_VALUE;
	a->string_value = (char *)text;
}

static void event_end(uint64_t time)
{
	P(TracePacket) packet = INIT(TRACE_PACKET);

	packet.has_timestamp = true;
	packet.timestamp = time;
	packet.has_timestamp_clock_id = true;
	packet.timestamp_clock_id = CLOCK;
	packet.data_case = PERFETTO__PROTOS__TRACE_PACKET__DATA_TRACK_EVENT;
	packet.track_event = &out.event;
	write_packet(&packet);
}

/* The tracepoint's arguments and who acts */
static void annotate_event(const struct item *item)
{
	const struct bus1_event *event = &item->event;
	const struct event_info *info = &event_info[event->type];
	unsigned int i;

	for (i = 0; i < item->n_args && info->field[i].name; i++) {
		const struct field *field = &info->field[i];
		const char *symbol = NULL;

		if (event->type == EV_peer_name && i > 1 && i < 5)
			continue;
		if (field->symbol)
			symbol = field->symbol(event->arg[i]);
		if (event->type == EV_peer_name && i == 1) {
			export_text(out.text[1], EXPORT_LABEL,
				    (const char *)&event->arg[1], NAME_LEN);
			annotate_text("name", out.text[1]);
		} else if (symbol) {
			annotate_text(field->name, symbol);
		} else if (field->is_signed) {
			P(DebugAnnotation) *a = annotate(field->name);

			a->value_case =
				PERFETTO__PROTOS__DEBUG_ANNOTATION__VALUE_INT_VALUE;
			a->int_value = (int32_t)event->arg[i];
		} else {
			annotate_number(field->name, event->arg[i]);
		}
	}
	export_text(out.text[0], EXPORT_LABEL, event->comm, COMM_LEN);
	annotate_text("comm", out.text[0]);
	if (event->type != EV_peer_new) /* it has its own */
		annotate_number("pid", event->pid);
	annotate_number("tid", event->tid);
}

/* Returns the track of process @pid, which has been declared. */
static uint64_t process_track(uint32_t pid, const char *comm)
{
	P(TrackDescriptor) track = INIT(TRACK_DESCRIPTOR);
	P(ProcessDescriptor) descriptor = INIT(PROCESS_DESCRIPTOR);
	uint64_t hash = table_hash(pid, 0, 0);
	struct table_entry *entry = table_first(&processes, hash);
	struct process *process;
	char name[EXPORT_LABEL];

	track.uuid = uuid(UUID_PROCESS, pid, 0, 0);
	for (; entry; entry = table_next(entry))
		if (((struct process *)entry)->pid == pid)
			return track.uuid;
	process = allocate(sizeof(*process));
	process->pid = pid;
	table_add(&processes, &process->entry, hash);

	export_text(name, sizeof(name), comm, COMM_LEN);
	descriptor.has_pid = true;
	descriptor.pid = pid;
	descriptor.process_name = name;
	track.process = &descriptor;
	write_track(&track);
	return track.uuid;
}

static void forget_track(struct track *t)
{
	table_remove(&tracks, &t->entry);
	TAILQ_REMOVE(&idle, t, used);
	free(t->queue.end);
	free(t->queue.free);
	free(t->calls.end);
	free(t->calls.free);
	free(t->waits.end);
	free(t->waits.free);
	free(t);
}

static void forget_one(void)
{
	if (tracks.n >= PEERS_MAX && !TAILQ_EMPTY(&idle))
		forget_track(TAILQ_FIRST(&idle));
}

/* The track of peer @id, which has been declared */
static struct track *track_of(uint64_t id)
{
	P(TrackDescriptor) descriptor = INIT(TRACK_DESCRIPTOR);
	uint64_t hash = table_hash(id, 0, 0);
	struct table_entry *entry = table_first(&tracks, hash);
	const struct peer *who = peers_find(id);
	char name[EXPORT_LABEL];
	struct track *t;

	while (entry && ((struct track *)entry)->id != id)
		entry = table_next(entry);
	t = (struct track *)entry;
	if (t) {
		if (!t->depth) {
			TAILQ_REMOVE(&idle, t, used);
			TAILQ_INSERT_TAIL(&idle, t, used);
		}
		return t;
	}
	forget_one();
	t = allocate(sizeof(*t));
	t->id = id;
	t->uuid = uuid(UUID_PEER, id, 0, 0);
	t->queue = (struct lanes){ .uuid = UUID_QUEUE, .name = "queue" };
	t->calls = (struct lanes){ .uuid = UUID_CALLS, .name = "calls" };
	t->waits = (struct lanes){ .uuid = UUID_WAITS, .name = "waits" };
	table_add(&tracks, &t->entry, hash);
	TAILQ_INSERT_TAIL(&idle, t, used);

	export_label(name, id);
	descriptor.uuid = t->uuid;
	descriptor.name = id ? name : (char *)"no peer";
	if (id && who && who->has_name)
		descriptor.parent_uuid = process_track(who->pid, who->comm);
	write_track(&descriptor);
	return t;
}

static uint64_t lane_uuid(const struct track *t, const struct lanes *l,
			  uint32_t lane)
{
	return uuid(l->uuid, t->id, lane, 0);
}

/*
 * A track without a slice that reaches beyond *@begin; what begins too late by
 * then, in a stream that is out of order, begins with the end of another.
 */
static uint32_t lane_take(const struct track *t, struct lanes *l,
			  uint64_t *begin)
{
	P(TrackDescriptor) descriptor = INIT(TRACK_DESCRIPTOR);
	uint32_t i, lane;

	for (i = l->n_free; i-- && l->n_free - i < 8;) {
		lane = l->free[i];
		if (l->end[lane] > *begin)
			continue;
		l->free[i] = l->free[--l->n_free];
		return lane;
	}
	if (l->n_free >= 64) {
		lane = l->free[--l->n_free];
		*begin = l->end[lane];
		return lane;
	}
	lane = l->n;
	l->end = grow(l->end, l->n, sizeof(*l->end));
	l->free = grow(l->free, l->n, sizeof(*l->free));
	l->n++;
	descriptor.uuid = lane_uuid(t, l, lane);
	descriptor.parent_uuid = t->uuid;
	descriptor.name = (char *)l->name;
	write_track(&descriptor);
	l->end[lane] = *begin;
	return lane;
}

/* Returns @time, or the begin of that slice if that is later. */
static uint64_t lane_give(struct lanes *l, uint32_t lane, uint64_t time)
{
	if (time < l->end[lane])
		time = l->end[lane];
	l->end[lane] = time;
	l->free[l->n_free++] = lane;
	return time;
}

static void counter(struct track *t, bool *declared, enum uuid what,
		    const char *name, P(CounterDescriptor__Unit) unit,
		    uint64_t value)
{
	P(TrackDescriptor) track = INIT(TRACK_DESCRIPTOR);
	P(CounterDescriptor) descriptor = INIT(COUNTER_DESCRIPTOR);

	track.uuid = uuid(what, t->id, 0, 0);
	if (!*declared) {
		*declared = true;
		descriptor.has_unit = true;
		descriptor.unit = unit;
		track.counter = &descriptor;
		track.parent_uuid = t->uuid;
		track.name = (char *)name;
		write_track(&track);
	}
	event_begin(TYPE(COUNTER), track.uuid);
	out.event.has_counter_value = true;
	out.event.counter_value = value;
	event_end(t->counted);
}

/* Receipts of a peer may be stamped in another order than they are numbered. */
static void count(struct track *t, uint64_t time, bool bytes)
{
	if (t->counted < time)
		t->counted = time;
	counter(t, &t->has_depth, UUID_DEPTH, "queue depth",
		PERFETTO__PROTOS__COUNTER_DESCRIPTOR__UNIT__UNIT_COUNT,
		t->depth);
	if (bytes)
		counter(t, &t->has_bytes, UUID_BYTES, "queued bytes",
			PERFETTO__PROTOS__COUNTER_DESCRIPTOR__UNIT__UNIT_SIZE_BYTES,
			t->bytes);
}

static uint64_t open_hash(const struct open *o)
{
	return table_hash(o->receiver ^ (uint64_t)o->kind << 62, o->tx_peer,
			  o->tx ^ o->id << 32);
}

static struct open *open_find(const struct open *key)
{
	struct table_entry *entry = table_first(&opens, open_hash(key));

	for (; entry; entry = table_next(entry)) {
		struct open *o = (struct open *)entry;

		if (o->receiver == key->receiver &&
		    o->tx_peer == key->tx_peer && o->tx == key->tx &&
		    o->id == key->id && o->kind == key->kind)
			return o;
	}
	return NULL;
}

static uint64_t flow(const struct open *o)
{
	return uuid(UUID_FLOW, o->tx_peer, o->tx,
		    uuid(o->kind, o->receiver, o->id, 0));
}

static void through(const struct open *o)
{
	out.flow = flow(o);
	out.event.flow_ids = &out.flow;
	out.event.n_flow_ids = 1;
}

static void slice_begin(struct track *t, struct lanes *l, uint32_t lane,
			const char *category, const char *name)
{
	event_begin(TYPE(SLICE_BEGIN), lane_uuid(t, l, lane));
	event_name(category, name);
}

static void slice_end(struct track *t, struct lanes *l, uint32_t lane,
		      uint64_t time, const char *why)
{
	event_begin(TYPE(SLICE_END), lane_uuid(t, l, lane));
	if (why)
		annotate_text("end", why);
	event_end(lane_give(l, lane, time));
}

static const char *category(const struct open *o)
{
	return o->kind ? "notification" : "message";
}

static void queue_begin(struct track *t, const struct open *o, uint32_t lane,
			uint64_t time)
{
	const char *kind = o->kind ? symbol_kind(o->kind) : NULL;

	export_label(out.name, o->tx_peer);
	slice_begin(t, &t->queue, lane, category(o), kind ? kind : out.name);
	through(o);
	annotate_number("tx_peer", o->tx_peer);
	annotate_number("tx", o->tx);
	annotate_number(o->kind ? "id" : "index", o->id);
	if (!o->kind)
		annotate_number("bytes", o->bytes);
	event_end(time);
}

static void open_close(struct open *o, uint64_t time, const char *why)
{
	struct track *t = track_of(o->receiver);

	slice_end(t, &t->queue, o->lane, time, why);
	if (!--t->depth)
		TAILQ_INSERT_TAIL(&idle, t, used);
	t->bytes -= o->bytes;
	count(t, time, o->bytes);
	table_remove(&opens, &o->entry);
	TAILQ_REMOVE(&oldest, o, older);
	free(o);
}

static void open_new(const struct open *key, uint64_t time)
{
	struct track *t = track_of(key->receiver);
	struct open *o = allocate(sizeof(*o));

	if (opens.n >= OPEN_MAX) {
		open_close(TAILQ_FIRST(&oldest), time, "unknown");
		lost_slices++;
	}
	*o = *key;
	if (!t->depth++)
		TAILQ_REMOVE(&idle, t, used);
	t->bytes += o->bytes;
	count(t, time, o->bytes);
	o->lane = lane_take(t, &t->queue, &time);
	table_add(&opens, &o->entry, open_hash(o));
	TAILQ_INSERT_TAIL(&oldest, o, older);
	queue_begin(t, o, o->lane, time);
}

/* It was sent before anybody looked, but is said to have waited since. */
static void open_and_close(const struct open *key, uint64_t queued,
			   uint64_t time)
{
	struct track *t = track_of(key->receiver);
	uint64_t begin = queued < time ? time - queued : 0;
	uint32_t lane = lane_take(t, &t->queue, &begin);

	queue_begin(t, key, lane, begin);
	slice_end(t, &t->queue, lane, time, NULL);
}

static void instant(const struct item *item, const char *category,
		    const char *name, const struct open *o, bool ends)
{
	const struct bus1_event *event = &item->event;
	struct track *t = track_of(export_peer(event));

	event_begin(TYPE(INSTANT), t->uuid);
	event_name(category, name);
	annotate_event(item);
	if (o) {
		through(o);
		if (ends) {
			out.event.n_flow_ids = 0;
			out.event.n_terminating_flow_ids = 1;
			out.event.terminating_flow_ids = &out.flow;
		}
	}
	event_end(event->arg[event_info[event->type].time]);
}

static struct open sent_message(const __u64 *a)
{
	return (struct open){ .receiver = a[3], .tx_peer = a[0], .tx = a[1],
			      .id = a[2], .bytes = a[5] };
}

static struct open sent_notification(const __u64 *a)
{
	return (struct open){ .receiver = a[3], .tx_peer = a[0], .tx = a[1],
			      .id = a[4], .kind = a[2] };
}

/* @a: from tx_peer on, as both have it when they arrive */
static struct open arrived_message(uint64_t receiver, const __u64 *a)
{
	return (struct open){ .receiver = receiver, .tx_peer = a[0],
			      .tx = a[1], .id = a[2], .bytes = a[4] };
}

static struct open arrived_notification(uint64_t receiver, const __u64 *a)
{
	return (struct open){ .receiver = receiver, .tx_peer = a[0],
			      .tx = a[1], .id = a[3], .kind = a[2] };
}

static void sent(const struct item *item, const char *name, struct open key)
{
	const struct bus1_event *event = &item->event;

	instant(item, category(&key), name, &key, false);
	if (!open_find(&key)) /* else the snapshot had it */
		open_new(&key, event->arg[event_info[event->type].time]);
}

/* @queued: how long it was, if that is known */
static void arrived(const struct item *item, const char *name,
		    struct open key, uint64_t queued, const char *why)
{
	const struct bus1_event *event = &item->event;
	uint64_t time = event->arg[event_info[event->type].time];
	struct open *o = open_find(&key);

	if (o)
		open_close(o, time, why);
	else if (queued)
		open_and_close(&key, queued, time);
	instant(item, category(&key), name, o || queued ? &key : NULL, true);
}

/* From @begun, 0 if that is not known, to @time */
static void slice(const struct item *item, const char *name, uint64_t begun,
		  uint64_t time)
{
	const bool wait = item->event.type == EV_recv_wait;
	struct track *t = track_of(item->event.arg[0]);
	struct lanes *l = wait ? &t->waits : &t->calls;
	uint64_t begin = begun && begun < time ? begun : time;
	uint32_t lane = lane_take(t, l, &begin);

	slice_begin(t, l, lane, wait ? "wait" : "transaction",
		    name ? name : "?");
	annotate_event(item);
	event_end(begin);
	slice_end(t, l, lane, time, NULL);
}

static void failure(const struct item *item)
{
	const __u64 *a = item->event.arg;
	const char *op = symbol_op(a[1]), *error = error_name((int32_t)a[2]);
	char name[64];

	snprintf(name, sizeof(name), "%s %s", op ? op : "?",
		 error ? error : "?");
	instant(item, "failure", name, NULL, false);
}

static void event(const struct item *item)
{
	const __u64 *a = item->event.arg;

	switch (item->event.type) {
	case EV_peer_new:
		instant(item, "peer", "open", NULL, false);
		break;
	case EV_peer_name:
		instant(item, "peer", "name", NULL, false);
		break;
	case EV_peer_free:
		instant(item, "peer", "gone", NULL, false);
		break;
	case EV_tx_commit:
		slice(item, symbol_tx(a[2]), a[6], a[7]);
		break;
	case EV_msg_send:
		sent(item, "send", sent_message(a));
		break;
	case EV_msg_recv:
		arrived(item, "recv", arrived_message(a[0], a + 2), a[8],
			NULL);
		break;
	case EV_msg_discard:
		arrived(item, "discard", arrived_message(a[0], a + 1), 0,
			"discarded");
		break;
	case EV_notify_send:
		sent(item, "notify", sent_notification(a));
		break;
	case EV_notify_recv:
		arrived(item, "notified", arrived_notification(a[0], a + 2),
			a[8], NULL);
		break;
	case EV_notify_drop:
		arrived(item, "vanish", arrived_notification(a[0], a + 1), 0,
			"vanished");
		break;
	case EV_recv_wait:
		slice(item, symbol_wait(a[2]), a[1], a[3]);
		break;
	case EV_acct_reject:
		instant(item, "failure", "reject", NULL, false);
		break;
	case EV_op_fail:
		failure(item);
		break;
	default:
		instant(item, "object", event_info[item->event.type].name,
			NULL, false);
	}
}

static void start(const struct stream_start *start)
{
	P(ClockSnapshot__Clock) clock[2] = { INIT(CLOCK_SNAPSHOT__CLOCK),
					     INIT(CLOCK_SNAPSHOT__CLOCK) };
	P(ClockSnapshot__Clock) *clocks[] = { &clock[0], &clock[1] };
	P(ClockSnapshot) snapshot = INIT(CLOCK_SNAPSHOT);
	P(TracePacket) packet = INIT(TRACE_PACKET);

	clock[0].has_clock_id = clock[1].has_clock_id = true;
	clock[0].has_timestamp = clock[1].has_timestamp = true;
	clock[0].clock_id = CLOCK;
	clock[0].timestamp = start->time;
	clock[1].clock_id = 1; /* BUILTIN_CLOCK_REALTIME */
	clock[1].timestamp = start->realtime;
	snapshot.n_clocks = 2;
	snapshot.clocks = clocks;
	snapshot.has_primary_trace_clock = true;
	snapshot.primary_trace_clock = CLOCK;
	packet.data_case = PERFETTO__PROTOS__TRACE_PACKET__DATA_CLOCK_SNAPSHOT;
	packet.clock_snapshot = &snapshot;
	write_packet(&packet);
}

/* What was in the queues at the start; of some it is known since when. */
static void queued(const struct snapshot *snapshot,
		   const struct peer_state *peer, const char *line)
{
	struct open key = {
		.receiver = peer->id,
		.tx_peer = object_value(line, "tx_peer"),
		.tx = object_value(line, "tx"),
	};
	uint64_t stamp = object_value(line, "stamp");
	char kind[32];

	if (!strncmp(line, "message ", 8)) {
		key.id = object_value(line, "index");
		key.bytes = object_value(line, "bytes");
	} else if (!strncmp(line, "notification ", 13)) {
		key.id = object_value(line, "id");
		object_word(line, "kind", kind, sizeof(kind));
		key.kind = strcmp(kind, "node_release") ?
				   BUS1_KIND_HANDLE_RELEASE :
				   BUS1_KIND_NODE_RELEASE;
	} else {
		return;
	}
	if (!open_find(&key))
		open_new(&key, stamp ? stamp : snapshot->time);
}

static void before(const struct snapshot *snapshot)
{
	size_t i, j;

	for (i = 0; i < snapshot->n_peers; i++)
		for (j = 0; j < snapshot->peers[i].n_objects; j++)
			queued(snapshot, &snapshot->peers[i],
			       snapshot->peers[i].objects[j]);
}

/* What a viewer would not see: that there was more */
static void counts(const struct bus1_count *sum, uint64_t missed,
		   uint64_t time)
{
	uint64_t lost = sum->ring_full + sum->map_full + missed;
	P(TrackDescriptor) track = INIT(TRACK_DESCRIPTOR);

	if (!lost && !lost_slices)
		return;
	track.uuid = uuid(UUID_BUS, 0, 0, 0);
	track.name = (char *)"bus1";
	write_track(&track);
	event_begin(TYPE(INSTANT), track.uuid);
	event_name("failure", "LOST");
	annotate_number("lost", lost);
	annotate_number("unknown ends", lost_slices);
	event_end(time);
}

#define FREES (BUS1_EVENT_BIT(EV_node_free) | BUS1_EVENT_BIT(EV_handle_free))
#define CHARGES \
	(BUS1_EVENT_BIT(EV_acct_charge) | BUS1_EVENT_BIT(EV_acct_discharge))

const struct export_format export_perfetto = {
	.name = "perfetto",
	.binary = true,
	.verb = {
		/* a tx_commit says what its tx_begin does */
		.events = EVENTS_ALL & ~(BUS1_EVENT_BIT(EV_tx_begin) | FREES |
					 CHARGES),
		.extent = SNAPSHOT_OBJECTS,
		.start = start,
		.snapshot = before,
		.event = event,
	},
	.counts = counts,
};
