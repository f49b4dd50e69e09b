// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a command reads changes all the time: another thread flips one thing at
 * full speed between two values, or takes the memory away. Whatever is done is
 * that of one of the two, as a whole, and nothing stays behind.
 */
#define _GNU_SOURCE
#include <stdatomic.h>

#include "quota.h"

#define ROUND_MS 200 /* for each thing that is flipped */
#define ROOM 4

static int a, b;
static uint64_t to_a, to_b, to_b2, node_a, node_b, node_b2;

/*
 * What is flipped, up to 16 bytes, and to what; or a page that comes and goes.
 */
static struct flip {
	volatile uint64_t *at;
	uint64_t value[2][2];
	unsigned int words;
	void *page;
} flip;

static atomic_bool stop, seen[2];
static atomic_ulong flips;

static void *flipper(void *arg)
{
	const size_t size = sysconf(_SC_PAGESIZE);
	unsigned int i = 0, k;

	(void)arg;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		i ^= 1;
		if (flip.page)
			mprotect(flip.page, size,
				 i ? PROT_NONE : PROT_READ | PROT_WRITE);
		for (k = 0; k < flip.words; k++)
			flip.at[k] = flip.value[i][k];
		atomic_fetch_add_explicit(&flips, 1, memory_order_relaxed);
	}
	return NULL;
}

/* Words that are not at @at stay as they are: @call sets them. */
static void round_of(const char *what, bool (*call)(void))
{
	uint64_t end = b1_now() + ROUND_MS * 1000000ull, k;
	unsigned long calls = 0, bad = 0;
	pthread_t thread;

	for (k = 0; k < flip.words; k++)
		flip.at[k] = flip.value[0][k];
	stop = false;
	seen[0] = seen[1] = false;
	flips = 0;
	pthread_create(&thread, NULL, flipper, NULL);
	/* Both have to be seen, however busy the machine is. */
	while (b1_now() < end || ((!seen[0] || !seen[1]) && calls < 100000)) {
		bad += !call();
		calls++;
	}
	stop = true;
	pthread_join(thread, NULL);
	ok(!bad && seen[0] && seen[1],
	   "%s: %lu calls, %lu flips; both are seen (%d, %d), %lu wrong", what,
	   calls, (unsigned long)flips, (int)seen[0], (int)seen[1], bad);
}

/* Flip the 64 bits at @p. */
static void flip_word(const char *what, void *p, uint64_t one, uint64_t two,
		      bool (*call)(void))
{
	flip = (struct flip){ .at = p, .words = 1, .value = { { one },
							      { two } } };
	round_of(what, call);
}

static void flip_page(const char *what, void *page, bool (*call)(void))
{
	flip = (struct flip){ .page = page };
	round_of(what, call);
	mprotect(page, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE);
}

static bool saw(unsigned int which)
{
	seen[which] = true;
	return true;
}

static bool wrong(const char *what, uint64_t v)
{
	static unsigned int said;

	if (said++ < 20)
		diag("%s: %llu", what, (unsigned long long)v);
	return false;
}

/* --- what all have ------------------------------------------------------- */

/* All that is given to the kernel; each on a page of its own. */
static struct bus1_cmd_send *send_cmd;
static struct bus1_cmd_recv *recv_cmd;
static struct bus1_cmd_recv_batch *batch_cmd;
static struct bus1_cmd_transfer *transfer_cmd;
static struct bus1_cmd_release *release_cmd;
static struct bus1_cmd_name *name_cmd;
static struct bus1_cmd_call *call_cmd;
static struct bus1_message *msg;
static struct iovec *vec;
static uint64_t *ids;
static int32_t *errors;
static struct bus1_transfer *src, *dst;
static struct bus1_received *entries;
static char *data, *out, *other, *name;

static void *new_page(void)
{
	void *p = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail_out("no memory");
	return p;
}

static void begin(void)
{
	a = b1_open();
	b = b1_open();
	node_b = b1_node_to(b, a, &to_b);
	node_b2 = b1_node_to(b, a, &to_b2);
	node_a = b1_node_to(a, b, &to_a);
	send_cmd = new_page();
	recv_cmd = new_page();
	batch_cmd = new_page();
	transfer_cmd = new_page();
	release_cmd = new_page();
	name_cmd = new_page();
	call_cmd = new_page();
	msg = new_page();
	vec = new_page();
	ids = new_page();
	errors = new_page();
	src = new_page();
	dst = new_page();
	entries = new_page();
	data = new_page();
	out = new_page();
	other = new_page();
	name = new_page();
	memset(data, 'd', 4096);
}

/* Nothing but the three nodes and their handles is left. */
static bool clean(void)
{
	return b1_count(a, "bus1-nodes") == 1 &&
	       b1_count(b, "bus1-nodes") == 2 &&
	       b1_count(a, "bus1-handles") == 2 &&
	       b1_count(b, "bus1-handles") == 1 &&
	       b1_count(a, "bus1-queued") == 0 &&
	       b1_count(b, "bus1-queued") == 0;
}

/* Poisoned entries: how many of them the kernel wrote, in a row. */
static unsigned int written(const struct bus1_transfer *t)
{
	unsigned int i, n;

	for (n = 0; n < ROOM && !t[n].flags && b1_id_ok(t[n].id); n++)
		;
	for (i = n; i < ROOM; i++)
		if (t[i].flags != B1_POISON64 || t[i].id != B1_POISON64)
			return ROOM + 1;
	return n;
}

/* --- SEND ---------------------------------------------------------------- */

static struct bus1_message plain(void)
{
	*vec = (struct iovec){ data, 64 };
	return (struct bus1_message){
		.n_data = 8,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(vec),
		.ptr_transfers = BUS1_FROM_PTR(src),
	};
}

static void set_src(void)
{
	unsigned int i;

	for (i = 0; i < ROOM; i++)
		src[i] = (struct bus1_transfer){ 1, BUS1_INVALID };
}

static void set_send(uint64_t n, uint64_t n_t)
{
	*msg = plain();
	msg->n_transfers = n_t;
	*send_cmd = (struct bus1_cmd_send){
		.n_destinations = n,
		.ptr_destinations = BUS1_FROM_PTR(ids),
		.ptr_errors = BUS1_FROM_PTR(errors),
		.ptr_message = BUS1_FROM_PTR(msg),
	};
	ids[0] = to_b;
	ids[1] = to_b2;
	set_src();
}

/*
 * Send what is set, without setting what is flipped; then see that what came
 * to b, and what was written, agree. Returns the errno, and what came.
 */
static int send_and_hear(unsigned int *n_msgs, unsigned int *n_t,
			 unsigned int *n_data, uint64_t *node, bool *good)
{
	uint64_t before = b1_count(a, "bus1-nodes"), i;
	unsigned int n_new = 0, n_errors = 0;
	struct b1_msg m;
	int r;

	memset(errors, B1_POISON, 64);
	r = b1_ioctl(a, BUS1_CMD_SEND, send_cmd);
	*good = true;
	*n_msgs = *n_t = *n_data = 0;
	for (i = 0; i < ROOM; i++)
		n_errors += !errors[i];
	while (!b1_recv(b, &m)) {
		if (m.msg.type)
			continue;
		*good &= !*n_msgs || (m.msg.n_transfers == *n_t &&
				      m.msg.n_data == *n_data);
		*n_t = m.msg.n_transfers;
		*n_data = m.msg.n_data;
		*node = m.meta.id;
		for (i = 0; i < *n_t; i++)
			*good &= !b1_drop(b, m.t[i].id);
		(*n_msgs)++;
	}
	/* The handles are gone, and so are the nodes. */
	while (!b1_recv(a, &m))
		n_new += m.msg.type == BUS1_MESSAGE_TYPE_HANDLE_RELEASE;
	if (r && (*n_msgs || n_new))
		*good = wrong("a SEND that failed sent", r);
	if (!r && send_cmd->ptr_errors == BUS1_FROM_PTR(errors) &&
	    n_errors != *n_msgs)
		*good = wrong("errors[] is not of all messages", n_errors);
	if (b1_count(a, "bus1-nodes") != before)
		*good = wrong("nodes are left", before);
	return r;
}

static bool sends(unsigned int one_msgs, unsigned int two_msgs,
		  unsigned int one_t, unsigned int two_t, unsigned int one_data,
		  unsigned int two_data)
{
	unsigned int n, n_t, n_data;
	uint64_t node;
	bool good, one, two;
	int r = send_and_hear(&n, &n_t, &n_data, &node, &good);

	if (r)
		return wrong("SEND", r);
	one = n == one_msgs && n_t == one_t && n_data == one_data;
	two = n == two_msgs && n_t == two_t && n_data == two_data;
	seen[0] |= one;
	seen[1] |= two;
	return good && (one || two || wrong("a SEND of neither", n));
}

static bool send_count(void)
{
	set_src();
	return sends(1, 2, 1, 1, 8, 8);
}

static bool send_transfers(void)
{
	set_src();
	return sends(1, 1, 1, 3, 8, 8);
}

static bool send_data(void)
{
	return sends(1, 1, 0, 0, 5, 60);
}

/* It is sent, or it cannot be, with this error or that. */
static bool send_or(int error, int error_2)
{
	unsigned int n, n_t, n_data;
	uint64_t node;
	bool good;
	int r = send_and_hear(&n, &n_t, &n_data, &node, &good);

	if (r && r != error && r != error_2)
		return wrong("SEND", r);
	saw(r ? 1 : 0);
	return good && (r || (n == 1 && n_data == 8 &&
			      n_t == msg->n_transfers));
}

/* A length that fits, and one that does not. */
static bool send_vec(void)
{
	return send_or(EMSGSIZE, EMSGSIZE);
}

/* A new node, or an old handle; the two words are not flipped as one. */
static bool send_create(void)
{
	return send_or(EINVAL, EBADRQC);
}

static bool send_page(void)
{
	return send_or(EFAULT, EFAULT);
}

static bool send_id(void)
{
	unsigned int n, n_t, n_data;
	uint64_t node = 0;
	bool good;
	int r = send_and_hear(&n, &n_t, &n_data, &node, &good);

	if (r || n != 1 || (node != node_b && node != node_b2))
		return wrong("SEND to neither", r);
	saw(node == node_b2);
	return good;
}

static void test_send(void)
{
	set_send(1, 1);
	flip_word("SEND: n_destinations", &send_cmd->n_destinations, 1, 2,
		  send_count);
	set_send(1, 1);
	flip_word("SEND: n_transfers", &msg->n_transfers, 1, 3,
		  send_transfers);
	set_send(1, 0);
	flip_word("SEND: n_data", &msg->n_data, 5, 60, send_data);
	set_send(1, 0);
	flip_word("SEND: iov_len", &vec->iov_len, 64, 7, send_vec);
	set_send(1, 0);
	flip_word("SEND: a destination", &ids[0], to_b, to_b2, send_id);
	set_send(1, 1);
	flip = (struct flip){ .at = (void *)src, .words = 2,
			      .value = { { 0, to_b2 }, { 1, BUS1_INVALID } } };
	round_of("SEND: a transfer", send_create);
	set_send(1, 0);
	flip_page("SEND: the payload comes and goes", data, send_page);
	set_send(1, 0);
	send_cmd->ptr_errors = BUS1_FROM_PTR(other);
	flip_page("SEND: errors[] comes and goes", other, send_page);
	ok(clean(), "nothing of it is left");
}

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

static void test_handles(void)
{
	*transfer_cmd = (struct bus1_cmd_transfer){
		.to = b,
		.n_transfers = 1,
		.ptr_src = BUS1_FROM_PTR(src),
		.ptr_dst = BUS1_FROM_PTR(dst),
	};
	flip_word("TRANSFER: n_transfers", &transfer_cmd->n_transfers, 1, 3,
		  transfer_count);
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
	test_send();
	test_handles();
	test_recv();
	test_call();
	test_name();
	close(a);
	close(b);
	return done_testing();
}
