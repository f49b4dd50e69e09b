/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_STALL_CALLS_H
#define _TESTS_STALL_CALLS_H

/*
 * DOC: every command, with a page for each thing it points to
 *
 * A stage is a caller with three peers: @p makes the call, @q is at its other
 * end, @s has nothing to do with it. Where the pages come from, and when, is
 * the test's business; so a call can be made to stall at each of its accesses
 * to user memory. The table says which those are, in order: a thing by its
 * name, with ' where the kernel writes; accesses of one kind to one page, one
 * after the other, are one. Between two of them everything that the call does
 * not concern, and everything else on the same peers, must go on:
 * stage_others_go_on().
 *
 * What is sent to @p bears a number, so it is plain what comes next there.
 */
#include "quota.h"
#include "stall.h"

enum stage_page {
	ARGS,
	MESSAGE,
	METADATA,
	VECS,
	DESTS,
	TRANSFERS,
	DATA, /* ends in the next page, where a piece of it may begin */
	DATA_END,
	ERRORS,
	MADE,
	ROOM_VECS,
	ROOM_TRANSFERS,
	ROOM,
	ENTRY, /* the first at its end, the second in the next page */
	ENTRY_2,
	STAGE_PAGES,
};

static const char *const stage_names[STAGE_PAGES] = {
	"args", "message", "metadata", "vecs", "to", "transfers", "data", "end",
	"errors", "made", "room-vecs", "room-transfers", "room", "entry",
	"entry-2",
};

#define STAGE_SIZE 4096 /* of a page, and of all: */
#define STAGE_ROOM (STAGE_PAGES * STAGE_SIZE)
#define STAGE_BYTES 8

struct stage;

struct stage_call {
	const char *name;
	unsigned long cmd;
	void (*build)(struct stage *st); /* arguments, by stage_at() */
	bool (*done)(struct stage *st); /* had it its effect? */
	const char *accesses;
	bool flat, errors;
	unsigned int n; /* destinations, transfers, or IDs */
	unsigned int n_new, n_old; /* transfers of a message */
	bool small, notified;
};

struct stage {
	const struct stage_call *call;
	int p, q, s;
	uint64_t np, nq, ns, p_to_q, p_to_s, q_to_p, s_to_s;
	uint64_t extra[2]; /* what the call is about */
	unsigned int said, heard;
	char *page; /* what the kernel is given */
	char *copy; /* what is in there, or is to be */
	int result;
	/* Of whom stalls. */
	pthread_t thread;
	int ended; /* eventfd */
	int last; /* page */
	bool turn; /* it is the one that receives */
	bool sent;
	unsigned int n_accesses, accessed; /* how many; which pages */
	char accesses[256];
	bool others, waited; /* they went on, and who has to wait did */
	pthread_t waiter;
	struct b1_msg waiter_msg;
	int waiter_result;
	bool waits;
	_Atomic bool waiter_ended;
};

/* The address of a page for the kernel, and for us. */
static inline uint64_t stage_ptr(struct stage *st, enum stage_page page)
{
	return BUS1_FROM_PTR(st->page + page * STAGE_SIZE);
}

static inline void *stage_at(struct stage *st, enum stage_page page)
{
	return st->copy + page * STAGE_SIZE;
}

/* Payload crosses into the next page. */
#define STAGE_DATA (DATA * STAGE_SIZE + STAGE_SIZE - STAGE_BYTES / 2)

static inline struct bus1_message stage_message(struct stage *st,
						enum stage_page vecs)
{
	const bool out = vecs == ROOM_VECS;
	uint64_t at = out ? stage_ptr(st, ROOM) :
			    BUS1_FROM_PTR(st->page + STAGE_DATA);
	struct bus1_message m = b1_flat(BUS1_TO_PTR(at), STAGE_BYTES);
	struct bus1_transfer *t = stage_at(st, out ? ROOM_TRANSFERS :
						     TRANSFERS);
	const struct stage_call *c = st->call;
	unsigned int i;

	if (!c->flat) {
		*(struct iovec *)stage_at(st, vecs) =
			(struct iovec){ BUS1_TO_PTR(at), STAGE_BYTES };
		m.flags = 0;
		m.n_data_vecs = 1;
		m.ptr_data_vecs = stage_ptr(st, vecs);
	}
	m.ptr_transfers = stage_ptr(st, out ? ROOM_TRANSFERS : TRANSFERS);
	if (out) {
		m.type = BUS1_INVALID;
		m.n_transfers = 2;
		if (c->small)
			m.n_data = 1;
		return m;
	}
	memcpy(st->copy + STAGE_DATA, "payload!", STAGE_BYTES);
	m.n_transfers = c->n_new + c->n_old;
	for (i = 0; i < m.n_transfers; i++)
		t[i] = i < c->n_new ?
			       (struct bus1_transfer){ BUS1_TRANSFER_FLAG_CREATE,
						       BUS1_INVALID } :
			       (struct bus1_transfer){ 0, st->p_to_s };
	return m;
}

static inline void stage_build_send(struct stage *st)
{
	const struct stage_call *c = st->call;
	struct bus1_cmd_send *cmd = stage_at(st, ARGS);
	uint64_t *to = stage_at(st, DESTS);

	*cmd = (struct bus1_cmd_send){
		.n_destinations = c->n,
		.ptr_destinations = stage_ptr(st, DESTS),
		.ptr_errors = c->errors ? stage_ptr(st, ERRORS) : 0,
		.ptr_message = stage_ptr(st, MESSAGE),
	};
	to[0] = st->p_to_q;
	to[1] = st->p_to_s;
	*(struct bus1_message *)stage_at(st, MESSAGE) =
		stage_message(st, VECS);
}

/* It came, with all it should; new nodes of p die, their handles with it. */
static inline bool stage_arrived(struct stage *st, int peer, uint64_t node)
{
	const struct stage_call *c = st->call;
	struct b1_msg m;
	uint64_t i;

	if (!b1_hears_msg(peer, node, "payload!", STAGE_BYTES,
			  c->n_new + c->n_old, &m))
		return false;
	for (i = 0; i < m.msg.n_transfers; i++)
		if (b1_drop(peer, m.t[i].id))
			return false;
	return true;
}

/* The new nodes are known, and their handles came and went. */
static inline bool stage_nodes_gone(struct stage *st)
{
	const struct bus1_transfer *t = stage_at(st, TRANSFERS);
	unsigned int i;

	for (i = 0; i < st->call->n_new; i++)
		if (t[i].flags || b1_drop(st->p, t[i].id))
			return false;
	return true;
}

static inline bool stage_done_send(struct stage *st)
{
	int32_t *errors = stage_at(st, ERRORS);

	if (st->call->errors && (errors[0] || errors[1]))
		return false;
	/* Before the handles go, so that nobody is told. */
	if (!stage_nodes_gone(st))
		return false;
	return stage_arrived(st, st->q, st->nq) &&
	       (st->call->n < 2 || stage_arrived(st, st->s, st->ns));
}

/* To p goes the next number, with a handle. */
static inline bool stage_say(struct stage *st)
{
	char text[STAGE_BYTES + 1];

	snprintf(text, sizeof(text), "%08u", st->said++);
	return !b1_gives(st->q, st->q_to_p, text, st->q_to_p);
}

/* Is that what p has to hear next? The handle is dropped. */
static inline bool stage_next(struct stage *st, const struct bus1_message *msg,
			      const void *data, const struct bus1_transfer *t)
{
	char text[STAGE_BYTES + 1];

	snprintf(text, sizeof(text), "%08u", st->heard);
	if (msg->type || msg->n_transfers != 1 || msg->n_data != STAGE_BYTES ||
	    memcmp(text, data, STAGE_BYTES)) {
		diag("%s: message %u was to come, not type %d %.8s",
		     st->call->name, st->heard, (int)msg->type,
		     (const char *)data);
		return false;
	}
	st->heard++;
	return !b1_drop(st->p, t->id);
}

static inline bool stage_hear(struct stage *st)
{
	struct b1_msg m;
	int r = b1_recv(st->p, &m);

	if (r)
		diag("%s: RECV says %s", st->call->name, strerror(r));
	return !r && stage_next(st, &m.msg, m.data, m.t);
}

static inline void stage_build_recv(struct stage *st)
{
	*(struct bus1_cmd_recv *)stage_at(st, ARGS) = (struct bus1_cmd_recv){
		.ptr_metadata = stage_ptr(st, METADATA),
		.ptr_message = stage_ptr(st, MESSAGE),
	};
	*(struct bus1_message *)stage_at(st, MESSAGE) =
		stage_message(st, ROOM_VECS);
	/* The handle of a node that is no more. */
	if (st->call->notified) {
		st->extra[1] = b1_node_to(st->q, st->p, &st->extra[0]);
		b1_drop(st->q, st->extra[1]);
	}
}

static inline bool stage_done_recv(struct stage *st)
{
	struct bus1_message *msg = stage_at(st, MESSAGE);
	struct bus1_metadata *meta = stage_at(st, METADATA);

	if (st->call->notified)
		return msg->type == BUS1_MESSAGE_TYPE_NODE_RELEASE &&
		       meta->id == st->extra[0];
	if (st->call->small)
		return msg->type == BUS1_INVALID && msg->n_transfers == 1 &&
		       msg->n_data == STAGE_BYTES;
	return meta->id == st->np &&
	       stage_next(st, msg, stage_at(st, ROOM),
			  stage_at(st, ROOM_TRANSFERS));
}

static inline void stage_build_batch(struct stage *st)
{
	struct bus1_received *v = stage_at(st, ENTRY_2);

	*(struct bus1_cmd_recv_batch *)stage_at(st, ARGS) =
		(struct bus1_cmd_recv_batch){
			.n_received = 2,
			.ptr_received = stage_ptr(st, ENTRY_2) - sizeof(*v),
		};
	v[-1].message = stage_message(st, ROOM_VECS);
	v[0].message = v[-1].message;
}

/* Both have the same room: what the first had was written over. */
static inline bool stage_done_batch(struct stage *st)
{
	struct bus1_received *v = stage_at(st, ENTRY_2);

	return !v[-1].message.type && v[-1].message.n_transfers == 1 &&
	       stage_next(st, &v[0].message, stage_at(st, ROOM),
			  stage_at(st, ROOM_TRANSFERS));
}

static inline void stage_build_call(struct stage *st)
{
	struct bus1_cmd_call *cmd = stage_at(st, ARGS);

	*cmd = (struct bus1_cmd_call){
		.deadline = BUS1_INVALID,
		.destination = st->p_to_q,
		.send = stage_message(st, VECS),
		.received.message = stage_message(st, ROOM_VECS),
	};
}

static inline bool stage_done_call(struct stage *st)
{
	struct bus1_cmd_call *cmd = stage_at(st, ARGS);

	return stage_nodes_gone(st) && stage_arrived(st, st->q, st->nq) &&
	       stage_next(st, &cmd->received.message, stage_at(st, ROOM),
			  stage_at(st, ROOM_TRANSFERS));
}

static inline void stage_build_transfer(struct stage *st)
{
	struct bus1_transfer *t = stage_at(st, TRANSFERS);

	*(struct bus1_cmd_transfer *)stage_at(st, ARGS) =
		(struct bus1_cmd_transfer){
			.to = st->q,
			.n_transfers = st->call->n,
			.ptr_src = stage_ptr(st, TRANSFERS),
			.ptr_dst = stage_ptr(st, MADE),
		};
	t[0] = (struct bus1_transfer){ BUS1_TRANSFER_FLAG_CREATE,
				       BUS1_INVALID };
	t[1] = (struct bus1_transfer){ 0, st->p_to_s };
}

static inline bool stage_done_transfer(struct stage *st)
{
	struct bus1_transfer *src = stage_at(st, TRANSFERS);
	struct bus1_transfer *dst = stage_at(st, MADE);
	uint64_t ids[2] = { dst[0].id, dst[1].id };

	return !src[0].flags && !b1_drop(st->p, src[0].id) &&
	       !b1_release(st->q, st->call->n, ids);
}

static inline void stage_build_release(struct stage *st)
{
	uint64_t *ids = stage_at(st, MADE);
	unsigned int i;

	for (i = 0; i < st->call->n; i += 2)
		ids[i] = b1_node(st->p, &ids[i + 1]);
	st->extra[0] = ids[1];
	*(struct bus1_cmd_release *)stage_at(st, ARGS) =
		(struct bus1_cmd_release){
			.n_ids = st->call->n,
			.ptr_ids = stage_ptr(st, MADE),
		};
}

static inline bool stage_done_release(struct stage *st)
{
	return !b1_has_handle(st->p, st->extra[0]);
}

static inline void stage_build_name(struct stage *st)
{
	memcpy(stage_at(st, MADE), "staged", 6);
	*(struct bus1_cmd_name *)stage_at(st, ARGS) = (struct bus1_cmd_name){
		.n_name = 6,
		.ptr_name = stage_ptr(st, MADE),
	};
}

static inline bool stage_done_name(struct stage *st)
{
	char path[64], *text;
	bool found;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", st->p);
	text = quota_file(path);
	found = strstr(text, "bus1-name:\tstaged\n");
	free(text);
	return found;
}

static inline void stage_build_features(struct stage *st)
{
	*(struct bus1_cmd_features *)stage_at(st, ARGS) =
		(struct bus1_cmd_features){ 0 };
}

static inline bool stage_done_features(struct stage *st)
{
	struct bus1_cmd_features *cmd = stage_at(st, ARGS);

	return cmd->features & BUS1_FEATURE_FLAT;
}

static const struct stage_call stage_calls[] = {
	{ "SEND", BUS1_CMD_SEND, stage_build_send, stage_done_send,
	  .accesses = "args message vecs to data end", .n = 1 },
	{ "SEND, flat", BUS1_CMD_SEND, stage_build_send, stage_done_send,
	  .accesses = "args message to data end", .n = 1, .flat = true },
	{ "SEND of handles", BUS1_CMD_SEND, stage_build_send, stage_done_send,
	  .accesses = "args message vecs to transfers data end "
		      "transfers' errors'",
	  .n = 1, .errors = true, .n_new = 1, .n_old = 1 },
	{ "multicast, flat", BUS1_CMD_SEND, stage_build_send, stage_done_send,
	  .accesses = "args message to transfers data end transfers' errors'",
	  .n = 2,
	  .flat = true, .errors = true, .n_new = 1 },
	{ "RECV", BUS1_CMD_RECV, stage_build_recv, stage_done_recv,
	  .accesses = "args message room-vecs room' room-transfers' "
		      "metadata' message'" },
	{ "RECV, flat", BUS1_CMD_RECV, stage_build_recv, stage_done_recv,
	  .accesses = "args message room' room-transfers' metadata' message'",
	  .flat = true },
	{ "RECV of a notification", BUS1_CMD_RECV, stage_build_recv,
	  stage_done_recv, .accesses = "args message metadata' message'",
	  .flat = true,
	  .notified = true },
	{ "RECV into too little", BUS1_CMD_RECV, stage_build_recv,
	  stage_done_recv, .accesses = "args message message'", .flat = true,
	  .small = true },
	{ "RECV_BATCH", BUS1_CMD_RECV_BATCH, stage_build_batch,
	  stage_done_batch,
	  .accesses = "args entry room-vecs room' room-transfers' entry' "
	  "entry-2 room-vecs room' room-transfers' entry-2'" },
	{ "CALL", BUS1_CMD_CALL, stage_build_call, stage_done_call,
	  .accesses = "args room-vecs vecs transfers data end transfers' "
	  "room' room-transfers' args'", .n_new = 1, .n_old = 1 },
	{ "CALL, flat", BUS1_CMD_CALL, stage_build_call, stage_done_call,
	  .accesses = "args data end room' room-transfers' args'",
	  .flat = true },
	{ "TRANSFER", BUS1_CMD_TRANSFER, stage_build_transfer,
	  stage_done_transfer, .accesses = "args transfers transfers' made'",
	  .n = 1 },
	{ "TRANSFER of two", BUS1_CMD_TRANSFER, stage_build_transfer,
	  stage_done_transfer, .accesses = "args transfers transfers' made'",
	  .n = 2 },
	{ "RELEASE", BUS1_CMD_RELEASE, stage_build_release, stage_done_release,
	  .accesses = "args made", .n = 2 },
	{ "RELEASE of many", BUS1_CMD_RELEASE, stage_build_release,
	  stage_done_release, .accesses = "args made", .n = 34 },
	{ "NAME", BUS1_CMD_NAME, stage_build_name, stage_done_name,
	  .accesses = "args made" },
	{ "FEATURES", BUS1_CMD_FEATURES, stage_build_features,
	  stage_done_features, .accesses = "args args'" },
};

#define STAGE_N_CALLS (sizeof(stage_calls) / sizeof(*stage_calls))

/* --- a run -----------------------------------------------------------------
 */

static inline bool stage_receives(const struct stage *st)
{
	return st->call->cmd == BUS1_CMD_RECV ||
	       st->call->cmd == BUS1_CMD_RECV_BATCH ||
	       st->call->cmd == BUS1_CMD_CALL;
}

/* @page: where it is run. It is not touched here. */
static inline void stage_open(struct stage *st, const struct stage_call *call,
			      char *page, char *copy)
{
	*st = (struct stage){
		.call = call,
		.p = b1_open(),
		.q = b1_open(),
		.s = b1_open(),
		.page = page,
		.copy = copy,
		.last = -1,
		.others = true,
		.waited = true,
	};
	st->np = b1_node_to(st->p, st->q, &st->q_to_p);
	st->nq = b1_node_to(st->q, st->p, &st->p_to_q);
	st->ns = b1_node_to(st->s, st->p, &st->p_to_s);
	b1_node_to(st->s, st->s, &st->s_to_s);
	memset(st->copy, 0, STAGE_ROOM);
	/* What is received first of all comes first. */
	call->build(st);
	if (!stage_say(st) || !stage_say(st))
		bail_out("cannot send");
}

static inline void stage_close(struct stage *st)
{
	close(st->p);
	close(st->q);
	close(st->s);
}

/* The call itself: 0, errno, or minus what a batch received. */
static inline int stage_run(struct stage *st)
{
	int r = ioctl(st->p, st->call->cmd, stage_ptr(st, ARGS));

	return r < 0 ? errno : -r;
}

static inline bool stage_result_ok(const struct stage *st)
{
	const int want = st->call->small ? EMSGSIZE :
			 st->call->cmd == BUS1_CMD_RECV_BATCH ? -2 : 0;

	if (st->result != want)
		diag("%s: %d: %s", st->call->name, st->result,
		     strerror(st->result));
	return st->result == want;
}

/* The access where it stalls now: @page, to be written? */
static inline void stage_accessed(struct stage *st, int page, bool write)
{
	size_t n = strlen(st->accesses);

	snprintf(st->accesses + n, sizeof(st->accesses) - n, "%s%s%s",
		 n ? " " : "", stage_names[page], write ? "'" : "");
	st->n_accesses++;
	st->accessed |= 1u << page;
	st->last = page;
	st->turn = write && page != TRANSFERS && stage_receives(st);
	st->sent |= st->turn && st->call->cmd == BUS1_CMD_CALL;
	/* The first of the batch is received then. */
	st->heard += page == ENTRY_2 && !write;
}

/* Somebody else receives from p, by each of the commands. */
static inline bool stage_hear_by(struct stage *st, unsigned int how)
{
	struct b1_msg m;
	uint64_t n = 1;
	int r;

	switch (how % 3) {
	case 0:
		r = b1_recv(st->p, &m);
		break;
	case 1:
		b1_room(&m, B1_ROOM_TRANSFERS, B1_ROOM_DATA, true);
		r = b1_batch(st->p, 0, 0, &m, 1, &n);
		break;
	default:
		r = b1_call(st->p, st->p_to_s, BUS1_INVALID, "calls", &m);
		if (!r && !b1_hears(st->s, st->ns, "calls"))
			return false;
	}
	if (r || n != 1)
		diag("%s, way %u: %s", st->call->name, how % 3, strerror(r));
	return !r && n == 1 && stage_next(st, &m.msg, m.data, m.t);
}

/* The next thing is this text, at whatever node. */
static inline bool stage_text(int peer, const char *text)
{
	struct b1_msg m;

	return !b1_recv(peer, &m) && !m.msg.type &&
	       m.msg.n_data == strlen(text) &&
	       !memcmp(m.data, text, strlen(text));
}

/*
 * While the call stalls: everybody else, and every other command on its peer.
 * To receive from there has to wait for a receipt that is being copied.
 */
static inline bool stage_others_go_on(struct stage *st)
{
	struct bus1_cmd_features features = { 0 };
	struct bus1_cmd_name name = { 0, 5, BUS1_FROM_PTR("other") };
	uint64_t queued, n, h;
	const char *bad = NULL;

	if (b1_says(st->s, st->s_to_s, "self") ||
	    !stage_text(st->s, "self"))
		bad = "unrelated peers";
	if (!stage_say(st))
		bad = "SEND to the peer";
	if (b1_says(st->p, st->p_to_s, "out") || !stage_text(st->s, "out"))
		bad = "SEND from it";
	n = b1_node_to(st->p, st->s, &h);
	if (b1_drop(st->p, n) || !b1_node_gone(st->s, h))
		bad = "TRANSFER out of it, RELEASE";
	n = b1_node_to(st->s, st->p, &h);
	if (b1_drop(st->p, h) || !b1_handle_gone(st->s, n))
		bad = "TRANSFER into it, RELEASE";
	if (b1_ioctl(st->p, BUS1_CMD_FEATURES, &features) ||
	    b1_ioctl(st->p, BUS1_CMD_NAME, &name))
		bad = "FEATURES, NAME";
	if (!st->turn && !st->call->notified &&
	    !stage_hear_by(st, st->n_accesses))
		bad = "receiving";
	queued = st->said - st->heard + st->call->notified;
	if (!b1_readable(st->p) || b1_count(st->p, "bus1-queued") != queued)
		bad = "poll, fdinfo";
	if (b1_count(st->q, "bus1-queued") != st->sent)
		bad = "nothing is sent before all is read and written";
	if (bad)
		diag("%s stalls at \"%s\", and then fails: %s", st->call->name,
		     st->accesses, bad);
	return !bad;
}

/* --- who receives from p while the call does ----------------------------- */

static inline void *stage_wait_turn(void *arg)
{
	struct stage *st = arg;

	st->waiter_result = b1_recv(st->p, &st->waiter_msg);
	st->waiter_ended = true;
	return NULL;
}

/* Not between two of a batch: it ends where another receives. */
static inline bool stage_may_wait(const struct stage *st)
{
	return st->turn && (st->call->cmd != BUS1_CMD_RECV_BATCH ||
			    strstr(st->accesses, "entry-2"));
}

/* While the call stalls. What hangs then ends here, and so do the stalls. */
static inline void stage_probe(struct stage *st)
{
	alarm(60);
	if (stage_may_wait(st) && !st->waits) {
		st->waits = true;
		pthread_create(&st->waiter, NULL, stage_wait_turn, st);
	}
	st->others &= stage_others_go_on(st);
	st->waited &= !st->waiter_ended;
}

/* The call has ended, and @st->copy is what it left. Ends the stage. */
static inline void stage_end(struct stage *st, const char *accesses,
			     const char *how)
{
	bool order;

	if (!ok(!strcmp(st->accesses, accesses) && st->others,
		"%s%s: at each of %u accesses others go on", st->call->name,
		how, st->n_accesses))
		diag("accesses: %s\n# expected: %s", st->accesses, accesses);
	order = stage_result_ok(st) && st->call->done(st);
	if (st->waits) {
		pthread_join(st->waiter, NULL);
		order &= !st->waiter_result &&
			 stage_next(st, &st->waiter_msg.msg,
				    st->waiter_msg.data, st->waiter_msg.t);
	}
	while (st->heard < st->said && order)
		order = stage_hear(st);
	ok(order && st->waited && b1_empty(st->p) &&
		   b1_count(st->p, "bus1-nodes") == 1,
	   "%s%s: then it does what it should, and the order is right",
	   st->call->name, how);
	stage_close(st);
}

#endif /* _TESTS_STALL_CALLS_H */
