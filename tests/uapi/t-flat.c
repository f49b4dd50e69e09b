// SPDX-License-Identifier: GPL-2.0-only
/*
 * BUS1_MESSAGE_FLAG_FLAT: an address and a size are as good as one iovec of
 * them. So everything is done in both ways, and compared.
 */
#include "b1.h"

#define BIG 300000
#define SSIZE_MAXIMUM (~0ull >> 1)

static int a, b;
static uint64_t node, handle;
static unsigned char in[BIG], out[BIG + 64];

/* A message of @len bytes at @addr, @n of them to be used. */
struct piece {
	uint64_t addr, len, n;
};

static struct bus1_message message(const struct piece *p, bool flat,
				   struct iovec *vec)
{
	*vec = (struct iovec){ BUS1_TO_PTR(p->addr), p->len };
	return (struct bus1_message){
		.flags = flat ? BUS1_MESSAGE_FLAG_FLAT : 0,
		.n_data = p->n,
		.n_data_vecs = flat ? p->len : 1,
		.ptr_data_vecs = flat ? p->addr : BUS1_FROM_PTR(vec),
	};
}

static int sends(const struct piece *p, bool flat)
{
	struct iovec vec;
	struct bus1_message msg = message(p, flat, &vec);

	return b1_send_msg(b, 1, &handle, NULL, &msg);
}

/* RECV, or RECV_BATCH of one; @msg: as the kernel left it. */
static int receives(const struct piece *p, bool flat, bool batch,
		    struct bus1_message *msg)
{
	struct iovec vec;
	struct bus1_metadata meta;
	struct bus1_received one;
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(msg),
	};
	struct bus1_cmd_recv_batch many = {
		.n_received = 1,
		.ptr_received = BUS1_FROM_PTR(&one),
	};
	struct bus1_message given;
	int r;

	*msg = message(p, flat, &vec);
	msg->type = BUS1_INVALID;
	given = *msg;
	if (batch) {
		one.message = *msg;
		r = ioctl(a, BUS1_CMD_RECV_BATCH, &many);
		r = r < 0 ? errno : r == 1 ? 0 : B1_DIRTY;
		*msg = one.message;
	} else {
		r = b1_ioctl(a, BUS1_CMD_RECV, &cmd);
	}
	if (msg->flags != given.flags ||
	    msg->n_data_vecs != given.n_data_vecs ||
	    msg->ptr_data_vecs != given.ptr_data_vecs)
		return b1_dirty("what is only read");
	return r;
}

/* Every size, sent and received in every way. */
static void test_sizes(void)
{
	static const uint64_t sizes[] = {
		0, 1, 7, 8, 9, 255, 1024, 1025, 4095, 4096, 4097, 8192, 16384,
		32700, 32767, 32768, 32769, 65536, 131073, BIG,
	};
	unsigned int i, way, good;
	struct bus1_message msg;

	for (i = 0; i < BIG; i++)
		in[i] = i * 7 + i / 251;
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct piece p = { BUS1_FROM_PTR(in), sizes[i], sizes[i] };
		struct piece q = { BUS1_FROM_PTR(out), sizes[i], sizes[i] };

		for (good = way = 0; way < 8; way++) {
			memset(out, B1_POISON, sizeof(out));
			good += sends(&p, way & 1) == 0 &&
				receives(&q, way & 2, way & 4, &msg) == 0 &&
				msg.n_data == sizes[i] &&
				!memcmp(in, out, sizes[i]) &&
				b1_poisoned(out + sizes[i], 64);
		}
		ok(good == 8 && b1_empty(a),
		   "%llu bytes, by all ways (%u)",
		   (unsigned long long)sizes[i], good);
	}
}

/* Less than there is, and less room than there could be. */
static void test_part(void)
{
	struct piece p = { BUS1_FROM_PTR(in), 100, 10 };
	struct piece q = { BUS1_FROM_PTR(out), 64, 64 };
	struct piece small[] = {
		{ BUS1_FROM_PTR(out), 64, 9 },
		{ BUS1_FROM_PTR(out), 9, 64 },
		{ BUS1_FROM_PTR(out), 9, ~0ull },
		{ BUS1_FROM_PTR(out), 0, 64 },
		{ 0, 0, ~0ull },
	};
	struct bus1_message msg;
	unsigned int i, way, wrong = 0;

	memset(out, B1_POISON, sizeof(out));
	ok(sends(&p, true) == 0 && receives(&q, true, false, &msg) == 0 &&
		   msg.n_data == 10 && !memcmp(in, out, 10) &&
		   b1_poisoned(out + 10, 64),
	   "the first 10 of 100 bytes");
	sends(&p, true);
	b1_watch(a, b);
	memset(out, B1_POISON, sizeof(out));
	for (way = 0; way < 4; way++)
		for (i = 0; i < sizeof(small) / sizeof(*small); i++) {
			b1_refused(receives(&small[i], way & 1, way & 2, &msg),
				   EMSGSIZE, "room for %llu of 10 in %llu %s",
				   (unsigned long long)small[i].n,
				   (unsigned long long)small[i].len,
				   way & 1 ? "bytes" : "of an iovec");
			wrong += msg.n_data != 10 ||
				 msg.type != BUS1_INVALID ||
				 !b1_poisoned(out, 64);
		}
	ok(!wrong,
	   "and each says what is needed, and writes nothing else");
	q = (struct piece){ BUS1_FROM_PTR(out), 10, ~0ull };
	ok(receives(&q, true, false, &msg) == 0 && msg.n_data == 10 &&
		   b1_poisoned(out + 10, 54),
	   "exactly enough room, however much n_data says");
	p.n = 101;
	b1_watch(a, b);
	b1_refused(sends(&p, true), EMSGSIZE, "SEND of 101 of 100 bytes");
	p.addr = 0;
	p.len = 0;
	b1_refused(sends(&p, true), EMSGSIZE, "SEND of 101 of no bytes");
}

#define SIXTEEN "0123456789abcdef"

static void differ(const char *what, const struct piece *p, int r, int r1)
{
	diag("%s %#llx at %#llx, %#llx: %s; by iovec: %s", what,
	     (unsigned long long)p->n, (unsigned long long)p->addr,
	     (unsigned long long)p->len, strerror(r1), strerror(r));
}

/* Sent in both ways: the same errno, or messages of the same size. */
static bool sent_same(const struct piece *p)
{
	struct piece room = { BUS1_FROM_PTR(out), sizeof(out), sizeof(out) };
	struct bus1_message msg, msg1;
	int r = sends(p, false), r1 = sends(p, true);

	if (r == r1 && (r ? b1_empty(a) :
			receives(&room, false, false, &msg) == 0 &&
			receives(&room, false, false, &msg1) == 0 &&
			msg.n_data == msg1.n_data))
		return true;
	differ("SEND", p, r, r1);
	while (receives(&room, false, false, &msg) == 0)
		;
	return false;
}

/* Received in both ways: the same, or both times it stays. */
static bool received_same(const struct piece *p)
{
	struct bus1_message msg, msg1;
	bool same;
	int r, r1;

	b1_says(b, handle, SIXTEEN);
	r = receives(p, false, false, &msg);
	if (!r)
		b1_says(b, handle, SIXTEEN);
	r1 = receives(p, true, false, &msg1);
	same = r == r1 && msg.n_data == msg1.n_data && msg.type == msg1.type;
	if (!same)
		differ("RECV", p, r, r1);
	if (r1)
		same &= b1_hears(a, node, SIXTEEN);
	return b1_empty(a) && same;
}

/* What an iovec makes fail makes this fail, by the same errno. */
static void test_same(void)
{
	/* None that ends beyond the address space: kernels differ there. */
	static const uint64_t lens[] = {
		0, 1, 16, 17, 4096, 65536, 65537, SSIZE_MAXIMUM + 1,
		~0ull - 4096, ~0ull,
	};
	static const uint64_t ns[] = {
		0, 1, 16, 0x7ffff000, 0x7ffff001, 1ull << 32, 1ull << 63, ~0ull,
	};
	const unsigned int n_lens = sizeof(lens) / sizeof(*lens);
	const unsigned int n_ns = sizeof(ns) / sizeof(*ns);
	struct b1_bad bad[B1_N_BAD + 2];
	unsigned int i, n, sent = 0, received = 0, done = 0;

	n = b1_bad(bad, in, 16, true);
	bad[n++].addr = BUS1_FROM_PTR(in);
	bad[n++].addr = BUS1_FROM_PTR(b1_edge(16));
	for (i = 0; i < n * n_lens * n_ns; i++) {
		struct piece p = {
			bad[i / n_ns / n_lens].addr,
			lens[i / n_ns % n_lens],
			ns[i % n_ns],
		};

		/* not gigabytes of what is there */
		if (p.n <= 4096 || p.n > p.len)
			sent += !sent_same(&p);
		received += !received_same(&p);
		done++;
	}
	ok(!sent && done > 700, "SEND: as by an iovec (%u of %u not)", sent,
	   done);
	ok(!received, "RECV: as by an iovec (%u of %u not)", received, done);
}

/* The errors by name, so that not both are wrong. */
static void test_errors(void)
{
	static const uint64_t lens[] = {
		SSIZE_MAXIMUM + 1, ~0ull, 1ull << 63,
	};
	struct b1_bad bad[B1_N_BAD];
	struct bus1_message msg;
	struct piece p;
	unsigned int i, n;

	b1_says(b, handle, SIXTEEN);
	b1_watch(a, b);
	for (i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		p = (struct piece){ BUS1_FROM_PTR(in), lens[i], 16 };
		b1_refused(sends(&p, true), EINVAL, "SEND, size %#llx",
			   (unsigned long long)lens[i]);
		b1_refused(receives(&p, true, false, &msg), EINVAL,
			   "RECV, size %#llx", (unsigned long long)lens[i]);
		b1_refused(receives(&p, true, true, &msg), EINVAL,
			   "RECV_BATCH, size %#llx",
			   (unsigned long long)lens[i]);
	}
	n = b1_bad(bad, in, 16, true);
	for (i = 0; i < n; i++) {
		p = (struct piece){ bad[i].addr, 16, 16 };
		if (strcmp(bad[i].what, "read-only"))
			b1_refused(sends(&p, true), EFAULT, "SEND, %s",
				   bad[i].what);
		b1_refused(receives(&p, true, false, &msg), EFAULT, "RECV, %s",
			   bad[i].what);
		b1_refused(receives(&p, true, true, &msg), EFAULT,
			   "RECV_BATCH, %s", bad[i].what);
	}
	p = (struct piece){ BUS1_FROM_PTR(in), 1ull << 40, 0x7ffff001 };
	b1_refused(sends(&p, true), EMSGSIZE, "SEND of 2 GiB");
	ok(b1_hears(a, node, SIXTEEN) && b1_empty(a),
	   "the message stayed");
}

/* Half of what is large faults, after much of it was copied. */
static void test_large(void)
{
	static const uint64_t sizes[] = { 4096, 20000, 40000, 100000, BIG };
	struct piece good = { BUS1_FROM_PTR(in), 0, 0 }, bad, room;
	struct bus1_message msg;
	unsigned int i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint64_t size = sizes[i], edge;

		edge = BUS1_FROM_PTR(b1_edge(size / 2));
		bad = (struct piece){ edge, size, size };
		good.len = good.n = size;
		b1_watch(a, b);
		b1_refused(sends(&bad, true), EFAULT,
			   "SEND of %llu, half of them mapped",
			   (unsigned long long)size);
		sends(&good, true);
		b1_watch(a, b);
		b1_refused(receives(&bad, true, false, &msg), EFAULT, "RECV");
		b1_refused(receives(&bad, true, true, &msg), EFAULT,
			   "RECV_BATCH");
		room = (struct piece){ BUS1_FROM_PTR(out), size, size };
		memset(out, B1_POISON, sizeof(out));
		ok(receives(&room, true, false, &msg) == 0 &&
			   msg.n_data == size && !memcmp(in, out, size) &&
			   b1_poisoned(out + size, 64) && b1_empty(a),
		   "then it is received whole");
	}
}

/* With handles, which a fault in the data must not install. */
static void test_handles(void)
{
	struct bus1_transfer t[2] = {
		{ 0, handle }, { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID },
	};
	struct bus1_message msg = b1_flat("carrier", 7);
	struct b1_msg m;

	msg.n_transfers = 2;
	msg.ptr_transfers = BUS1_FROM_PTR(t);
	ok(b1_send_msg(b, 1, &handle, NULL, &msg) == 0 && b1_id_ok(t[1].id) &&
		   !t[1].flags,
	   "SEND of two handles, one of them made");
	b1_watch(a, b);
	b1_room(&m, 2, 64, true);
	m.msg.ptr_data_vecs = BUS1_FROM_PTR(b1_edge(4));
	b1_refused(b1_recv_into(a, 0, &m), EFAULT, "RECV into half a page");
	b1_room(&m, 1, 64, true);
	b1_refused(b1_recv_into(a, 0, &m), EMSGSIZE, "RECV, room for one");
	b1_room(&m, 2, 64, true);
	ok(b1_recv_into(a, 0, &m) == 0 && m.msg.n_transfers == 2 &&
		   m.msg.n_data == 7 && !memcmp(m.data, "carrier", 7),
	   "RECV of both");
	ok(b1_says(a, m.t[1].id, "back") == 0 && b1_hears(b, t[1].id, "back") &&
		   b1_drop(a, m.t[0].id) == 0 && b1_drop(a, m.t[1].id) == 0 &&
		   b1_handle_gone(b, t[1].id),
	   "they work");
}

/* CALL: each half in each way. */
static void test_call(void)
{
	struct iovec vec = { "question", 8 };
	struct bus1_message msg[2] = {
		{
			.n_data = 8,
			.n_data_vecs = 1,
			.ptr_data_vecs = BUS1_FROM_PTR(&vec),
		},
		b1_flat("question", 8),
	};
	uint64_t hb, nb = b1_node_to(b, a, &hb);
	struct b1_msg m;
	unsigned int way;

	for (way = 0; way < 4; way++) {
		b1_says(a, hb, "answer");
		b1_room(&m, 4, 64, way & 2);
		ok(b1_call_msg(b, handle, 0, &msg[way & 1], &m) == 0 &&
			   m.meta.id == nb && m.msg.n_data == 6 &&
			   !memcmp(m.data, "answer", 6) &&
			   b1_hears(a, node, "question"),
		   "CALL %s to %s", way & 1 ? "flat" : "an iovec",
		   way & 2 ? "flat" : "an iovec");
	}
	b1_drop(b, nb);
	b1_node_gone(a, hb);
}

int main(void)
{
	a = b1_open();
	b = b1_open();
	node = b1_node_to(a, b, &handle);
	test_sizes();
	test_part();
	test_same();
	test_errors();
	test_large();
	test_handles();
	test_call();
	ok(b1_empty(a) && b1_empty(b), "nothing is left");
	close(a);
	close(b);
	return done_testing();
}
