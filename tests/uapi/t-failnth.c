// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation and every access to user memory of a command fails once.
 * Needs a kernel with fault injection, as the debug kernels are.
 */
#include "failnth.h"

#define MANY 10 /* more than the stack has room for */
#define IDS 34 /* the same, of RELEASE */
#define ARRAY 1000 /* transfers that need pages in a row, or vmalloc() */
#define LARGE 40000 /* bytes that need more than the message */

static int a, b, c, f;
static uint64_t to_a, to_b, to_c, to_full, node_a, node_b;
/*
 * IDs that the call made, and of whom; received ones are dropped as they come.
 */
static struct made {
	unsigned int n;
	uint64_t id[2 * IDS];
} made[3];

static void make(int peer, uint64_t id)
{
	struct made *m = &made[peer == a ? 0 : peer == b ? 1 : 2];

	if (m->n == 2 * IDS)
		bail_out("too many IDs");
	m->id[m->n++] = id;
}

/* A user each, so that one peer alone claims from its own account. */
static void begin(void)
{
	unsigned int sent = 0;

	a = open_as(7101);
	b = open_as(7102);
	c = open_as(7103);
	quota_set_maxima(16, 64);
	f = open_as(7105);
	quota_restore();
	node_b = b1_node_to(b, a, &to_b);
	b1_node_to(c, a, &to_c);
	node_a = b1_node_to(a, a, &to_a);
	b1_node_to(f, a, &to_full);
	while (!b1_send(a, to_full, NULL, 0))
		sent++;
	if (!sent || sent > 16)
		bail_out("the peer that is to be full is not");
	memcpy(fail_peers, (int[]){ a, b, c, f }, sizeof(fail_peers));
	fail_n_peers = 4;
}

static void end(void)
{
	close(a);
	close(b);
	close(c);
	close(f);
	fail_n_peers = 0;
	memset(made, 0, sizeof(made));
}

static void nothing(void)
{
}

/*
 * Drop what was made, and receive what is there, all but what fills the full.
 */
static void tidy(void)
{
	static struct bus1_transfer in[MANY];
	static char any[LARGE];
	const int peers[] = { a, b, c, a, b, c };
	struct bus1_received entry;
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&entry.metadata),
		.ptr_message = BUS1_FROM_PTR(&entry.message),
	};
	unsigned int i, k;
	struct made *m;

	/* Twice: the last handles may go only with messages to another. */
	for (i = 0; i < 6; i++) {
		for (;;) {
			entry.message = b1_flat(any, sizeof(any));
			entry.message.type = BUS1_INVALID;
			entry.message.n_transfers = MANY;
			entry.message.ptr_transfers = BUS1_FROM_PTR(in);
			if (b1_ioctl(peers[i], BUS1_CMD_RECV, &cmd))
				break;
			for (k = 0; k < entry.message.n_transfers; k++)
				make(peers[i], in[k].id);
		}
		m = &made[i % 3];
		/* All, unless one is gone with its node. */
		if (b1_release(peers[i], m->n, m->id))
			for (k = 0; k < m->n; k++)
				b1_drop(peers[i], m->id[k]);
		m->n = 0;
	}
}

/* --- TRANSFER ------------------------------------------------------------ */

static struct {
	int from, to;
	unsigned int n;
} transfer;
static uint64_t known;

static int do_transfer(void)
{
	const struct bus1_transfer create = { BUS1_TRANSFER_FLAG_CREATE,
					      BUS1_INVALID };
	static struct bus1_transfer src[MANY], dst[MANY];
	unsigned int i;
	int r;

	/* Every other is new; or a single one. */
	for (i = 0; i < transfer.n; i++)
		src[i] = i % 2 ? (struct bus1_transfer){ 0, known } : create;
	r = b1_transfer(transfer.from,
			transfer.to < 0 ? BUS1_INVALID : (uint64_t)transfer.to,
			transfer.n, src, dst);
	for (i = 0; !r && i < transfer.n; i++) {
		if (!(i % 2))
			make(transfer.from, src[i].id);
		make(transfer.to < 0 ? transfer.from : transfer.to, dst[i].id);
	}
	return r;
}

static void prepare_transfer(void)
{
	make(transfer.from, b1_node(transfer.from, &known));
	make(transfer.from, known);
}

static void test_transfer(const char *name, int from, int to, unsigned int n)
{
	transfer.from = from;
	transfer.to = to;
	transfer.n = n;
	FAIL_WALK(name, prepare_transfer, do_transfer, tidy);
}

/* --- SEND ---------------------------------------------------------------- */

struct how {
	const char *name;
	unsigned int n; /* destinations */
	unsigned int n_new, n_old; /* transfers */
	unsigned int bytes, vecs;
	bool flat, errors, continues, full;
};

static const struct how *how;
static char data[LARGE];
static struct iovec vec[MANY];
static struct bus1_transfer carried[ARRAY];

/* @how's data at @data, to send or as room for it. */
static struct bus1_message in_form(void)
{
	struct bus1_message m = b1_flat(data, how->bytes);
	unsigned int i, part;

	if (how->flat)
		return m;
	for (i = 0; i < how->vecs; i++) {
		part = how->bytes / how->vecs;
		vec[i] = (struct iovec){ data + i * part, part };
	}
	m.flags = 0;
	m.n_data_vecs = how->vecs;
	m.ptr_data_vecs = BUS1_FROM_PTR(vec);
	return m;
}

static struct bus1_message to_send(void)
{
	const struct bus1_transfer create = { BUS1_TRANSFER_FLAG_CREATE,
					      BUS1_INVALID };
	struct bus1_message m = in_form();
	unsigned int i;

	for (i = 0; i < how->n_new; i++)
		carried[i] = create;
	for (i = 0; i < how->n_old; i++)
		carried[how->n_new + i] = (struct bus1_transfer){ 0, to_c };
	m.n_transfers = how->n_new + how->n_old;
	m.ptr_transfers = BUS1_FROM_PTR(carried);
	return m;
}

static void sent(void)
{
	unsigned int i;

	for (i = 0; i < how->n_new && how->n; i++)
		make(a, carried[i].id);
}

static int do_send(void)
{
	const uint64_t four[] = { to_b, to_c, to_a, to_full };
	struct bus1_message m = to_send();
	static int32_t errors[MANY];
	static uint64_t to[MANY];
	struct bus1_cmd_send cmd = {
		.flags = how->continues ? BUS1_SEND_FLAG_CONTINUE : 0,
		.n_destinations = how->n,
		.ptr_destinations = BUS1_FROM_PTR(to),
		.ptr_errors = BUS1_FROM_PTR(how->errors ? errors : NULL),
		.ptr_message = BUS1_FROM_PTR(&m),
	};
	unsigned int i;
	int r;

	for (i = 0; i < how->n; i++)
		to[i] = four[i % (how->full ? 4 : 3)];
	r = b1_cmd(a, BUS1_CMD_SEND, &cmd, sizeof(cmd));
	if (r)
		return r;
	for (i = 0; how->errors && i < how->n; i++)
		if (errors[i] != (to[i] == to_full ? -EDQUOT : 0))
			return EPROTO;
	sent();
	return 0;
}

static const struct how sends[] = {
	{ "SEND of nothing", 1, .flat = true },
	{ "SEND, flat", 1, .bytes = 100, .flat = true },
	{ "SEND", 1, .bytes = 100, .vecs = 1 },
	{ "SEND of handles", 1, .n_new = 2, .n_old = 2, .bytes = 100,
	  .vecs = 1 },
	{ "SEND of a handle, flat", 1, .n_old = 1, .bytes = 100, .flat = true },
	{ "SEND of a node", 1, .n_new = 1, .flat = true },
	{ "SEND of many pieces", 1, .bytes = 4000, .vecs = MANY },
	{ "SEND of much", 1, .n_new = 1, .n_old = 1, .bytes = LARGE,
	  .vecs = MANY },
	{ "SEND of much, flat", 1, .bytes = LARGE, .flat = true },
	{ "multicast", 3, .n_new = 1, .n_old = 1, .bytes = 100, .vecs = 1,
	  .errors = true },
	{ "multicast, flat", 3, .bytes = 100, .flat = true },
	{ "multicast of much", 3, .n_new = 1, .n_old = 1, .bytes = LARGE,
	  .vecs = 1, .errors = true },
	{ "multicast to many", MANY, .n_old = 1, .bytes = 100, .vecs = 1 },
	{ "multicast to many, flat", MANY, .bytes = 4, .flat = true,
	  .errors = true },
	{ "CONTINUE", 8, .n_new = 1, .bytes = 100, .flat = true, .errors = true,
	  .continues = true, .full = true },
	{ "CONTINUE of much", 4, .n_old = 1, .bytes = LARGE, .vecs = 1,
	  .errors = true, .continues = true, .full = true },
	{ "SEND to nobody", 0, .n_old = ARRAY, .bytes = 100, .vecs = 1 },
};

/* The first SEND through a handle makes a trace. */
static void test_first(void)
{
	static const struct how first[] = {
		{ "the first SEND, flat", 1, .bytes = 100, .flat = true },
		{ "the first SEND", 3, .n_new = 1, .n_old = 1, .bytes = 100,
		  .vecs = 1, .errors = true },
	};
	unsigned int i;

	for (i = 0; i < sizeof(first) / sizeof(*first); i++) {
		how = &first[i];
		FAIL_WALK(how->name, begin, do_send, end);
	}
}

/* --- RECV ---------------------------------------------------------------- */

static uint64_t recv_flags, released;
static struct bus1_transfer got[MANY];

static void prepare_recv(void)
{
	if (do_send())
		bail_out("cannot send");
}

/* It came, and all of it was written; no more calls here, they would fail. */
static int received(const struct bus1_message *msg,
		    const struct bus1_metadata *meta, const void *in)
{
	unsigned int i;

	if (msg->type != BUS1_MESSAGE_TYPE_USER || meta->id != node_b ||
	    msg->n_data != how->bytes ||
	    msg->n_transfers != how->n_new + how->n_old)
		return EPROTO;
	for (i = 0; i < msg->n_transfers; i++)
		make(b, got[i].id);
	return memchr(in, 'x', how->bytes) ? EPROTO : 0;
}

/* The bare call: where it fails it may have written in part. */
static int do_recv(void)
{
	struct bus1_message m = in_form();
	struct bus1_metadata meta;
	struct bus1_cmd_recv cmd = {
		.flags = recv_flags,
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&m),
	};
	int r;

	m.type = BUS1_INVALID;
	m.n_transfers = MANY;
	m.ptr_transfers = BUS1_FROM_PTR(got);
	memset(data, 'x', how->bytes);
	r = b1_ioctl(b, BUS1_CMD_RECV, &cmd);
	if (!r)
		r = received(&m, &meta, data);
	memset(data, 0, how->bytes);
	return r;
}

static const struct how recvs[] = {
	{ "RECV of nothing", 1, .flat = true },
	{ "RECV, flat", 1, .bytes = 100, .flat = true },
	{ "RECV of handles", 1, .n_new = 2, .n_old = 2, .bytes = 100,
	  .vecs = 1 },
	{ "RECV of handles, flat", 1, .n_new = 1, .n_old = 1, .bytes = 100,
	  .flat = true },
	{ "RECV of many pieces", 1, .bytes = 4000, .vecs = MANY },
	{ "RECV of much", 1, .n_new = 1, .n_old = 1, .bytes = LARGE,
	  .vecs = MANY },
	{ "RECV of much, flat", 1, .bytes = LARGE, .flat = true },
	{ "RECV of many handles", 1, .n_old = MANY, .flat = true },
};

static void prepare_notified(void)
{
	uint64_t h, n = b1_node_to(a, b, &h);

	b1_drop(a, n);
	released = h;
}

static int do_notified(void)
{
	struct b1_msg m;
	struct bus1_cmd_recv cmd = {
		.flags = recv_flags,
		.ptr_metadata = BUS1_FROM_PTR(&m.meta),
		.ptr_message = BUS1_FROM_PTR(&m.msg),
	};
	int r;

	b1_room(&m, 0, 0, true);
	r = b1_ioctl(b, BUS1_CMD_RECV, &cmd);
	if (!r && (m.msg.type != BUS1_MESSAGE_TYPE_NODE_RELEASE ||
		   m.meta.id != released))
		r = EPROTO;
	return r;
}

/* --- RECV_BATCH ---------------------------------------------------------- */

static void prepare_batch(void)
{
	prepare_recv();
	prepare_notified();
	prepare_recv();
}

/* Three: by one call, or where a later one failed, by more. */
static int do_batch(void)
{
	struct bus1_transfer room[3][4] = { 0 };
	struct bus1_received entries[3];
	struct bus1_cmd_recv_batch cmd = { .flags = recv_flags,
					   .deadline = recv_flags ?
						       BUS1_INVALID : 0 };
	static char in[3][100];
	struct iovec one[3];
	int i, n = 0, r;

	memset(in, 'x', sizeof(in));
	for (i = 0; i < 3; i++) {
		one[i] = (struct iovec){ in[i], sizeof(in[i]) };
		entries[i].message = b1_flat(in[i], sizeof(in[i]));
		entries[i].message.type = BUS1_INVALID;
		entries[i].message.n_transfers = 4;
		entries[i].message.ptr_transfers = BUS1_FROM_PTR(room[i]);
		if (i == 2) {
			entries[i].message.flags = 0;
			entries[i].message.n_data_vecs = 1;
			entries[i].message.ptr_data_vecs =
				BUS1_FROM_PTR(&one[i]);
		}
	}
	while (n < 3) {
		cmd.n_received = 3 - n;
		cmd.ptr_received = BUS1_FROM_PTR(&entries[n]);
		r = ioctl(b, BUS1_CMD_RECV_BATCH, &cmd);
		/* Later ones get their second chance here. */
		if (r <= 0)
			return r < 0 ? errno : EPROTO;
		n += r;
	}
	for (i = 0; i < 3; i += 2) {
		memcpy(got, room[i], sizeof(room[i]));
		r = received(&entries[i].message, &entries[i].metadata, in[i]);
		if (r)
			return r;
	}
	return entries[1].message.type == BUS1_MESSAGE_TYPE_NODE_RELEASE &&
		       entries[1].metadata.id == released ?
		       0 : EPROTO;
}

/* --- CALL ---------------------------------------------------------------- */

/* To oneself, and what was sent comes back; where only that failed, by RECV. */
static int do_call(void)
{
	static char back[LARGE];
	struct iovec one = { back, how->bytes };
	struct bus1_cmd_call cmd = {
		.destination = to_a,
		.send = to_send(),
		.received.message = b1_flat(back, how->bytes),
	};
	struct bus1_message *m = &cmd.received.message;
	struct bus1_cmd_recv recv = {
		.ptr_metadata = BUS1_FROM_PTR(&cmd.received.metadata),
		.ptr_message = BUS1_FROM_PTR(m),
	};
	unsigned int i;
	int r;

	m->type = BUS1_INVALID;
	m->n_transfers = MANY;
	m->ptr_transfers = BUS1_FROM_PTR(got);
	if (!how->flat) {
		m->flags = 0;
		m->n_data_vecs = 1;
		m->ptr_data_vecs = BUS1_FROM_PTR(&one);
	}
	memset(back, 'x', how->bytes);
	r = ioctl(a, BUS1_CMD_CALL, &cmd);
	if (r < 0)
		return errno;
	if (r > 0 && r != ENOMEM && r != EFAULT)
		return EPROTO;
	if (r > 0 && b1_ioctl(a, BUS1_CMD_RECV, &recv))
		return EPROTO;
	sent();
	for (i = 0; i < m->n_transfers && i < MANY; i++)
		make(a, got[i].id);
	return m->n_data != how->bytes || memchr(back, 'x', how->bytes) ||
		       m->n_transfers != how->n_new + how->n_old ||
		       cmd.received.metadata.id != node_a ?
		       EPROTO : 0;
}

static const struct how calls[] = {
	{ "CALL, flat", 1, .bytes = 100, .flat = true },
	{ "CALL with handles", 1, .n_new = 2, .n_old = 2, .bytes = 100,
	  .vecs = 1 },
	{ "CALL with much", 1, .n_new = 1, .bytes = LARGE, .vecs = MANY },
};

/* --- RELEASE and the rest ------------------------------------------------ */

static uint64_t ids[IDS];
static unsigned int n_ids;

/* Nodes with messages, and handles of which others know. */
static void prepare_release(void)
{
	uint64_t h;
	unsigned int i;

	for (i = 0; i < n_ids; i += 2) {
		ids[i] = b1_node(a, &h);
		ids[i + 1] = h;
		if (!(i % 4))
			b1_gives(a, h, "goes", to_c);
	}
	if (n_ids > 1)
		make(b, b1_copy(a, ids[1], b));
}

static int do_release(void)
{
	return b1_release(a, n_ids, ids);
}

static int do_features(void)
{
	struct bus1_cmd_features cmd = { 0 };
	int r = b1_ioctl(a, BUS1_CMD_FEATURES, &cmd);

	return r ? r : cmd.features & BUS1_FEATURE_BATCH ? 0 : EPROTO;
}

static int do_name(void)
{
	static const char *const names[] = { "name", "other" };
	static unsigned int which;
	struct bus1_cmd_name cmd = { .n_name = strlen(names[which]),
				     .ptr_name =
					     BUS1_FROM_PTR(names[which]) };
	int r = b1_cmd(a, BUS1_CMD_NAME, &cmd, sizeof(cmd));

	which ^= !r;
	return r;
}

int main(void)
{
	size_t i;

	if (!quota_begin() || !fail_begin())
		return done_testing();

	test_first();
	begin();
	test_transfer("TRANSFER", a, b, 1);
	test_transfer("TRANSFER back", b, a, 1);
	test_transfer("TRANSFER to itself", a, -1, 4);
	test_transfer("TRANSFER of many", a, b, MANY);
	for (i = 0; i < sizeof(sends) / sizeof(*sends); i++) {
		how = &sends[i];
		FAIL_WALK(how->name, nothing, do_send, tidy);
	}
	for (i = 0; i < sizeof(recvs) / sizeof(*recvs); i++) {
		how = &recvs[i];
		recv_flags = i % 2;
		FAIL_WALK(how->name, prepare_recv, do_recv, tidy);
	}
	FAIL_WALK("RECV of a notification", prepare_notified, do_notified,
		  tidy);
	how = &recvs[2];
	for (recv_flags = 0; recv_flags < 2; recv_flags++)
		FAIL_WALK(recv_flags ? "RECV_BATCH that waits" : "RECV_BATCH",
			  prepare_batch, do_batch, tidy);
	for (i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		how = &calls[i];
		FAIL_WALK(how->name, nothing, do_call, tidy);
	}
	n_ids = 2;
	FAIL_WALK("RELEASE", prepare_release, do_release, tidy);
	n_ids = IDS;
	FAIL_WALK("RELEASE of many", prepare_release, do_release, tidy);
	FAIL_WALK("FEATURES", nothing, do_features, nothing);
	FAIL_WALK("NAME", nothing, do_name, nothing);
	end();
	return fail_done();
}
