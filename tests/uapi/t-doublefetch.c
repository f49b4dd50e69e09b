// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a command reads changes all the time. Whatever is done is that of one of
 * the two states, as a whole, and nothing stays behind. For SEND see
 * t-doublefetch-send.
 */
#define _GNU_SOURCE
#include "flip.h"

/* --- TRANSFER and RELEASE ------------------------------------------------ */

static bool transfer_count(void)
{
	uint64_t before = b1_count(a, "bus1-nodes"), n_new, drop[ROOM];
	unsigned int i, n;
	struct b1_msg m;
	int r;

	set_src();
	memset(dst, B1_POISON, ROOM * sizeof(*dst));
	r = b1_ioctl(a, BUS1_CMD_TRANSFER, transfer_cmd);
	if (r)
		return wrong("TRANSFER", r);
	n = written(dst);
	n_new = b1_count(a, "bus1-nodes") - before;
	for (i = 0; i < n && i < ROOM; i++)
		drop[i] = dst[i].id;
	if (n > ROOM || n_new != n || b1_release(b, n, drop))
		return wrong("TRANSFER made as many nodes", n_new);
	while (!b1_recv(a, &m))
		;
	for (i = 0; i < ROOM; i++)
		if ((src[i].flags == 0) != (i < n))
			return wrong("TRANSFER wrote back", i);
	seen[0] |= n == 1;
	seen[1] |= n == 3;
	return n == 1 || n == 3 || wrong("TRANSFER of neither", n);
}

static bool no_effect(void)
{
	return clean() || wrong("a call that failed had an effect", 0);
}

/* The handle is in the one peer, or in the other. */
static bool transfer_to(void)
{
	struct b1_msg m;
	uint64_t in_a, in_b;
	int r;

	set_src();
	r = b1_ioctl(a, BUS1_CMD_TRANSFER, transfer_cmd);
	if (r)
		return wrong("TRANSFER", r);
	in_a = b1_count(a, "bus1-handles") - 2;
	in_b = b1_count(b, "bus1-handles") - 1;
	if (in_a + in_b != 1 || b1_drop(in_a ? a : b, dst->id))
		return wrong("TRANSFER to neither", in_a);
	saw(in_a);
	return !b1_recv(a, &m) && m.meta.id == src->id && no_effect();
}

/*
 * The first of two is a node that is made, or a handle that is there; or it is
 * neither: the two words are not flipped as one.
 */
static bool transfer_source(void)
{
	uint64_t n_new, drop[2];
	struct b1_msg m;
	int r;

	src[1] = (struct bus1_transfer){ 1, BUS1_INVALID };
	memset(dst, B1_POISON, ROOM * sizeof(*dst));
	r = b1_ioctl(a, BUS1_CMD_TRANSFER, transfer_cmd);
	if (r)
		return (r == EINVAL || r == EBADRQC || wrong("TRANSFER", r)) &&
		       b1_poisoned(dst, sizeof(*dst)) && no_effect();
	n_new = b1_count(a, "bus1-nodes") - 1;
	drop[0] = dst[0].id;
	drop[1] = dst[1].id;
	if ((n_new != 1 && n_new != 2) || written(dst) != 2 ||
	    b1_release(b, 2, drop))
		return wrong("TRANSFER of neither", n_new);
	saw(n_new == 2);
	while (!b1_recv(a, &m))
		;
	return no_effect();
}

/* Three, where we see them at @made_src and @made_dst; or no page, and none. */
static struct bus1_transfer *made_src, *made_dst;

static bool transfer_page(void)
{
	uint64_t drop[3];
	unsigned int i;
	struct b1_msg m;
	int r;

	for (i = 0; i < 3; i++)
		made_src[i] = (struct bus1_transfer){ 1, BUS1_INVALID };
	memset(made_dst, B1_POISON, ROOM * sizeof(*dst));
	r = b1_ioctl(a, BUS1_CMD_TRANSFER, transfer_cmd);
	saw(r ? 1 : 0);
	if (r)
		return r == EFAULT && b1_count(a, "bus1-nodes") == 1 &&
		       b1_count(b, "bus1-handles") == 1;
	for (i = 0; i < 3; i++)
		drop[i] = made_dst[i].id;
	if (written(made_dst) != 3 || b1_release(b, 3, drop))
		return wrong("TRANSFER made other handles", written(made_dst));
	while (!b1_recv(a, &m))
		for (i = 0; i < 3; i++)
			if (made_src[i].id == m.meta.id)
				made_src[i].flags = 7;
	for (i = 0; i < 3; i++)
		if (made_src[i].flags != 7)
			return wrong("TRANSFER did not say of a node", i);
	return true;
}

static void test_transfer(void)
{
	const struct bus1_cmd_transfer cmd = {
		.to = b,
		.n_transfers = 1,
		.ptr_src = BUS1_FROM_PTR(src),
		.ptr_dst = BUS1_FROM_PTR(dst),
	};

	*transfer_cmd = cmd;
	flip_word("TRANSFER: n_transfers", &transfer_cmd->n_transfers, 1, 3,
		  transfer_count);
	*transfer_cmd = cmd;
	flip_word("TRANSFER: to", &transfer_cmd->to, b, BUS1_INVALID,
		  transfer_to);
	*transfer_cmd = cmd;
	transfer_cmd->n_transfers = 2;
	flip = (struct flip){ .at = (void *)src, .words = 2,
			      .value = { { 0, to_b2 }, { 1, BUS1_INVALID } } };
	round_of("TRANSFER: a source", transfer_source);
	*transfer_cmd = cmd;
	transfer_cmd->n_transfers = 3;
	transfer_cmd->ptr_src = BUS1_FROM_PTR(there);
	made_src = here;
	made_dst = dst;
	flip_page("TRANSFER: the sources come and go", there, transfer_page);
	transfer_cmd->ptr_src = BUS1_FROM_PTR(src);
	transfer_cmd->ptr_dst = BUS1_FROM_PTR(there);
	made_src = src;
	made_dst = here;
	flip_page("TRANSFER: the room comes and goes", there, transfer_page);
	ok(clean(), "nothing of it is left");
}

/* @n_ids flips; of the three handles as many are gone. */
static bool release_count(void)
{
	uint64_t h[3], before;
	unsigned int i, n;
	int r;

	for (i = 0; i < 3; i++)
		ids[i] = h[i] = b1_copy(a, to_b, a);
	before = b1_count(a, "bus1-handles");
	r = b1_ioctl(a, BUS1_CMD_RELEASE, release_cmd);
	n = before - b1_count(a, "bus1-handles");
	for (i = 0; i < 3; i++)
		if (b1_drop(a, h[i]) != (i < n ? EBADRQC : 0))
			return wrong("RELEASE", i);
	seen[0] |= n == 1;
	seen[1] |= n == 3;
	return !r && (n == 1 || n == 3 || wrong("RELEASE of neither", n));
}

/*
 * An ID flips: the one or the other is gone, or both were named: the same
 * twice.
 */
static uint64_t release_ids[2];

static bool release_id(void)
{
	unsigned int i, gone = 0;
	int r;

	for (i = 0; i < 2; i++)
		if (!b1_has_handle(a, release_ids[i]))
			flip.value[i][0] = release_ids[i] = b1_copy(a, to_b, a);
	r = b1_ioctl(a, BUS1_CMD_RELEASE, release_cmd);
	for (i = 0; i < 2; i++) {
		if (!b1_has_handle(a, release_ids[i])) {
			gone++;
			saw(i);
		}
	}
	/* It may have been flipped to one that is gone already. */
	return (gone == 1 && !r) || (!gone && r == EBADRQC) ||
	       wrong("RELEASE", gone);
}

/* All of them are gone, or none. */
static bool release_page(void)
{
	uint64_t *h = here;
	unsigned int i;
	int r;

	for (i = 0; i < 3; i++)
		h[i] = b1_copy(a, to_b, a);
	r = b1_ioctl(a, BUS1_CMD_RELEASE, release_cmd);
	saw(r ? 1 : 0);
	if (r && (r != EFAULT || b1_release(a, 3, h)))
		return wrong("RELEASE", r);
	return b1_count(a, "bus1-handles") == 2;
}

static void test_release(void)
{
	*release_cmd = (struct bus1_cmd_release){
		.n_ids = 1,
		.ptr_ids = BUS1_FROM_PTR(ids),
	};
	flip_word("RELEASE: n_ids", &release_cmd->n_ids, 1, 3, release_count);
	release_cmd->n_ids = 1;
	release_ids[0] = b1_copy(a, to_b, a);
	release_ids[1] = b1_copy(a, to_b, a);
	flip_word("RELEASE: an ID", ids, release_ids[0], release_ids[1],
		  release_id);
	b1_drop(a, release_ids[0]);
	b1_drop(a, release_ids[1]);
	release_cmd->n_ids = 3;
	release_cmd->ptr_ids = BUS1_FROM_PTR(there);
	flip_page("RELEASE: the IDs come and go", there, release_page);
	ok(clean(), "nothing of it is left");
}

/* --- RECV ---------------------------------------------------------------- */

static void set_recv(void)
{
	*vec = (struct iovec){ out, 64 };
	*msg = (struct bus1_message){
		.type = BUS1_INVALID,
		.n_transfers = ROOM,
		.ptr_transfers = BUS1_FROM_PTR(dst),
		.n_data = 64,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(vec),
	};
	*recv_cmd = (struct bus1_cmd_recv){
		.ptr_metadata = BUS1_FROM_PTR(entries),
		.ptr_message = BUS1_FROM_PTR(msg),
	};
}

/* 12 bytes and 3 handles are there for b. */
static void give(void)
{
	struct bus1_transfer t[3] = { { 0, to_b }, { 0, to_b }, { 0, to_b } };

	if (b1_multicast(a, 1, &to_b, NULL, "twelve bytes", 12, t, 3))
		bail_out("cannot send");
}

/*
 * Receive into what is set. What the kernel wrote to the message is set anew.
 */
static int receive(void)
{
	memset(dst, B1_POISON, ROOM * sizeof(*dst));
	memset(entries + 1, B1_POISON, ROOM * sizeof(*dst));
	memset(out, B1_POISON, 64);
	memset(other, B1_POISON, 64);
	msg->type = BUS1_INVALID;
	msg->n_data_vecs = 1;
	return b1_ioctl(b, BUS1_CMD_RECV, recv_cmd);
}

/* Drop what was received at @t; is it all? */
static bool dropped(const struct bus1_transfer *t)
{
	unsigned int i, n = written(t);

	for (i = 0; i < n && i < ROOM; i++)
		if (b1_drop(b, t[i].id))
			return false;
	return n == 3;
}

/* The rest, when it was not received: once more, as it should be. */
static bool still_there(void)
{
	struct b1_msg m;
	uint64_t i;

	if (b1_recv(b, &m) || m.msg.n_data != 12 || m.msg.n_transfers != 3)
		return false;
	for (i = 0; i < 3; i++)
		b1_drop(b, m.t[i].id);
	return true;
}

/* Room for it, or too little: nothing is written beyond. */
static bool recv_room(void)
{
	int r;

	give();
	if (flip.at != (void *)&msg->n_transfers)
		msg->n_transfers = ROOM;
	if (flip.at != (void *)&msg->n_data)
		msg->n_data = 64;
	r = receive();
	if (r && r != EMSGSIZE)
		return wrong("RECV", r);
	saw(r ? 1 : 0);
	if (r)
		return b1_poisoned(dst, ROOM * sizeof(*dst)) &&
		       b1_poisoned(out, 64) && still_there();
	return dropped(dst) && !memcmp(out, "twelve bytes", 12) &&
	       b1_poisoned(out + 12, 52);
}

/* The handles are in one array, and in one only. */
static bool recv_transfers(void)
{
	const struct bus1_transfer *second = (void *)(entries + 1);
	bool one, two;

	give();
	msg->n_transfers = ROOM;
	msg->n_data = 64;
	if (receive())
		return wrong("RECV", errno);
	one = !b1_poisoned(dst, ROOM * sizeof(*dst));
	two = !b1_poisoned(second, ROOM * sizeof(*dst));
	saw(two);
	return one != two && dropped(one ? dst : second);
}

/* So is the data. */
static bool recv_vec(void)
{
	bool one, two;

	give();
	msg->n_transfers = ROOM;
	msg->n_data = 64;
	if (receive())
		return wrong("RECV", errno);
	one = !memcmp(out, "twelve bytes", 12) && b1_poisoned(other, 64);
	two = !memcmp(other, "twelve bytes", 12) && b1_poisoned(out, 64);
	saw(two);
	return one != two && dropped(dst);
}

/* The page is there, or the message is not received. */
static bool recv_page(void)
{
	int r;

	give();
	msg->n_transfers = ROOM;
	msg->n_data = 64;
	*vec = (struct iovec){ out, 64 };
	msg->type = BUS1_INVALID;
	msg->n_data_vecs = 1;
	memset(dst, B1_POISON, ROOM * sizeof(*dst));
	r = b1_ioctl(b, BUS1_CMD_RECV, recv_cmd);
	if (r && r != EFAULT)
		return wrong("RECV", r);
	saw(r ? 1 : 0);
	return r ? still_there() : dropped(dst);
}

static unsigned int batch_given;

/* As many as it says, in the one array or in the other. */
static bool recv_batch(void)
{
	struct bus1_received *e;
	unsigned int i, k, n[2] = { 0, 0 };
	int r;

	for (; batch_given < 3; batch_given++)
		if (b1_says(a, to_b, "batch"))
			return wrong("SEND", 0);
	for (k = 0; k < 2; k++) {
		for (i = 0; i < 3; i++) {
			e = &entries[8 * k + i];
			memset(e, B1_POISON, sizeof(*e));
			e->message = b1_flat(out, 64);
			e->message.type = BUS1_INVALID;
		}
	}
	r = ioctl(b, BUS1_CMD_RECV_BATCH, batch_cmd);
	if (r < 0)
		return wrong("RECV_BATCH", errno);
	batch_given -= r;
	for (k = 0; k < 2; k++)
		for (i = 0; i < 3; i++)
			n[k] += !entries[8 * k + i].message.type;
	if (flip.at == (void *)&batch_cmd->n_received) {
		seen[0] |= r == 1;
		seen[1] |= r == 3;
		return (int)n[0] == r && !n[1] && (r == 1 || r == 3);
	}
	saw(n[1] != 0);
	return (int)(n[0] + n[1]) == r && r == 3 && !(n[0] && n[1]);
}

/* The second entry has room, or the call ends before it. */
static bool recv_batch_room(void)
{
	int r, i;

	for (; batch_given < 3; batch_given++)
		if (b1_says(a, to_b, "batch"))
			return wrong("SEND", 0);
	memset(out, B1_POISON, 3 * 64);
	for (i = 0; i < 3; i++) {
		entries[i].message = b1_flat(out + 64 * i, 64);
		entries[i].message.type = BUS1_INVALID;
	}
	r = ioctl(b, BUS1_CMD_RECV_BATCH, batch_cmd);
	if (r != 1 && r != 3)
		return wrong("RECV_BATCH", r);
	batch_given -= r;
	saw(r == 1);
	for (i = 0; i < 3; i++)
		if (i < r ? entries[i].message.type ||
				    memcmp(out + 64 * i, "batch", 5) ||
				    !b1_poisoned(out + 64 * i + 5, 59) :
			    entries[i].message.type != BUS1_INVALID ||
				    !b1_poisoned(out + 64 * i, 64))
			return wrong("RECV_BATCH, entry", i);
	return true;
}

/* Messages bear numbers: what was not received is the next. */
static uint64_t batch_said, batch_heard;

static bool recv_batch_page(void)
{
	struct bus1_received *e = here;
	int r, i;

	for (; batch_said < batch_heard + 3; batch_said++)
		if (b1_send(a, to_b, &batch_said, 8))
			return wrong("SEND", 0);
	for (i = 0; i < 3; i++) {
		e[i].message = b1_flat(out + 64 * i, 64);
		e[i].message.type = BUS1_INVALID;
	}
	r = ioctl(b, BUS1_CMD_RECV_BATCH, batch_cmd);
	if (r < 0 && errno != EFAULT)
		return wrong("RECV_BATCH", errno);
	saw(r < 3);
	for (i = 0; i < r; i++, batch_heard++)
		if (e[i].message.type || e[i].message.n_data != 8 ||
		    e[i].metadata.id != node_b ||
		    memcmp(out + 64 * i, &batch_heard, 8))
			return wrong("RECV_BATCH: not message", batch_heard);
	return b1_count(b, "bus1-queued") == batch_said - batch_heard;
}

static void test_recv(void)
{
	struct b1_msg m;

	set_recv();
	flip_word("RECV: n_transfers", &msg->n_transfers, ROOM, 2, recv_room);
	set_recv();
	flip_word("RECV: n_data", &msg->n_data, 64, 4, recv_room);
	set_recv();
	flip_word("RECV: ptr_transfers", &msg->ptr_transfers,
		  BUS1_FROM_PTR(dst), BUS1_FROM_PTR(entries + 1),
		  recv_transfers);
	set_recv();
	flip_word("RECV: iov_base", &vec->iov_base, BUS1_FROM_PTR(out),
		  BUS1_FROM_PTR(other), recv_vec);
	set_recv();
	flip_page("RECV: the room comes and goes", out, recv_page);
	*batch_cmd = (struct bus1_cmd_recv_batch){
		.n_received = 3,
		.ptr_received = BUS1_FROM_PTR(entries),
	};
	flip_word("RECV_BATCH: n_received", &batch_cmd->n_received, 1, 3,
		  recv_batch);
	batch_cmd->n_received = 3;
	flip_word("RECV_BATCH: ptr_received", &batch_cmd->ptr_received,
		  BUS1_FROM_PTR(entries), BUS1_FROM_PTR(entries + 8),
		  recv_batch);
	while (!b1_recv(b, &m))
		;
	batch_given = 0;
	batch_cmd->ptr_received = BUS1_FROM_PTR(entries);
	flip_word("RECV_BATCH: n_data of an entry", &entries[1].message.n_data,
		  64, 2, recv_batch_room);
	while (!b1_recv(b, &m))
		;
	batch_cmd->ptr_received = BUS1_FROM_PTR(there);
	flip_page("RECV_BATCH: the entries come and go", there,
		  recv_batch_page);
	while (!b1_recv(b, &m))
		;
	ok(clean(), "nothing of it is left");
}

/* --- CALL and NAME ------------------------------------------------------- */

static struct bus1_message call_send, call_room;

/* To b goes one or the other; what a has is received, or stays. */
static bool call_data(void)
{
	struct b1_msg m;
	unsigned int n_new = 0;
	uint64_t i;
	int r;

	if (b1_says(b, to_a, "answer"))
		return wrong("SEND", 0);
	set_src();
	call_cmd->received.message.type = BUS1_INVALID;
	if (flip.at != (void *)&call_cmd->received.message.n_data)
		call_cmd->received.message.n_data = call_room.n_data;
	call_cmd->received.message.n_transfers = 0;
	r = ioctl(a, BUS1_CMD_CALL, call_cmd);
	if (r < 0 || (r && r != EMSGSIZE))
		return wrong("CALL", r);
	if (b1_recv(b, &m))
		return wrong("CALL did not send", r);
	for (i = 0; i < m.msg.n_transfers; i++)
		b1_drop(b, m.t[i].id);
	seen[0] |= m.msg.n_transfers == 1 && !r;
	seen[1] |= m.msg.n_transfers == 3 || r;
	if (r && !b1_hears(a, node_a, "answer"))
		return false;
	i = m.msg.n_transfers;
	while (!b1_recv(a, &m))
		n_new += m.msg.type == BUS1_MESSAGE_TYPE_HANDLE_RELEASE;
	return n_new == i && (i == 1 || i == 3);
}

static void test_call(void)
{
	call_send = plain();
	call_send.n_transfers = 1;
	call_room = b1_flat(out, 64);
	call_room.type = BUS1_INVALID;
	*call_cmd = (struct bus1_cmd_call){
		.deadline = BUS1_INVALID,
		.destination = to_b,
		.send = call_send,
		.received.message = call_room,
	};
	flip_word("CALL: n_transfers", &call_cmd->send.n_transfers, 1, 3,
		  call_data);
	call_cmd->send = call_send;
	flip_word("CALL: room", &call_cmd->received.message.n_data, 64, 2,
		  call_data);
	ok(clean(), "nothing of it is left");
}

static bool name_is(char *is)
{
	char path[64], *text, *p;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", a);
	text = quota_file(path);
	p = strstr(text, "bus1-name:\t");
	is[0] = 0;
	if (p)
		snprintf(is, 40, "%.*s", (int)strcspn(p + 11, "\n"), p + 11);
	free(text);
	return p;
}

/* What is checked is what is shown. */
static bool name_text(void)
{
	int r = b1_ioctl(a, BUS1_CMD_NAME, name_cmd);
	char is[40];

	if (r && r != EINVAL)
		return wrong("NAME", r);
	saw(r ? 1 : 0);
	if (!name_is(is))
		return true;
	return !strcmp(is, "eightlet") || wrong("a name of", is[0]);
}

static bool name_length(void)
{
	int r = b1_ioctl(a, BUS1_CMD_NAME, name_cmd);
	char is[40];

	if (r || !name_is(is))
		return wrong("NAME", r);
	saw(!strcmp(is, "eightlet"));
	return !strcmp(is, "eig") || !strcmp(is, "eightlet");
}

static void test_name(void)
{
	const uint64_t good = 0x74656c7468676965, bad = 0x74650a7468676965;

	memcpy(name, &good, 8);
	*name_cmd = (struct bus1_cmd_name){ .n_name = 8,
					    .ptr_name = BUS1_FROM_PTR(name) };
	flip_word("NAME: its characters", name, good, bad, name_text);
	memcpy(name, &good, 8);
	flip_word("NAME: n_name", &name_cmd->n_name, 3, 8, name_length);
}

int main(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		skip(1, "one processor: nothing changes during a call");
		return done_testing();
	}
	begin();
	test_transfer();
	test_release();
	test_recv();
	test_call();
	test_name();
	close(a);
	close(b);
	return done_testing();
}
