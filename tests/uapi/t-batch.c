// SPDX-License-Identifier: GPL-2.0-only
/* RECV_BATCH: many in one call, each as strict as one. */
#include "sleeper.h"

static int a, b;
static uint64_t node, handle;
static struct b1_msg m[8];
static uint64_t got;

static void open_peers(void)
{
	a = b1_open();
	b = b1_open();
	node = b1_node_to(a, b, &handle);
}

static void close_peers(void)
{
	close(a);
	close(b);
}

static int batch(uint64_t n)
{
	uint64_t i;

	for (i = 0; i < n; i++)
		b1_room(&m[i], 4, 64, i & 1);
	return b1_batch(a, 0, 0, m, n, &got);
}

static bool is_text(const struct b1_msg *x, uint64_t id, const char *text)
{
	return x->msg.type == BUS1_MESSAGE_TYPE_USER && x->meta.id == id &&
	       x->msg.n_data == strlen(text) &&
	       !memcmp(x->data, text, strlen(text));
}

static bool is_note(const struct b1_msg *x, uint64_t type, uint64_t id)
{
	return x->msg.type == type && x->meta.id == id;
}

static void say(unsigned int n)
{
	char text[] = "0";

	for (; n--; text[0]++)
		b1_says(b, handle, text);
}

static void test_count(void)
{
	unsigned int i, k, good;
	char text[] = "0";

	open_peers();
	ok(batch(4) == EAGAIN && batch(1) == EAGAIN, "nothing there: EAGAIN");
	ok(batch(0) == 0 && got == 0, "0 entries: 0");
	for (i = 1; i <= 8; i++) {
		say(4);
		ok(batch(i) == 0 && got == (i < 4 ? i : 4),
		   "4 messages, %u entries: %u", i, i < 4 ? i : 4);
		for (good = k = 0; k < got; k++) {
			text[0] = '0' + k;
			good += is_text(&m[k], node, text) &&
				m[k].meta.account == geteuid();
		}
		for (; k < 4; k++) {
			text[0] = '0' + k;
			good += b1_hears(a, node, text);
		}
		ok(good == 4 && b1_empty(a), "in order, the others stay");
	}
	say(2);
	b1_watch(a, b);
	ok(batch(0) == 0 && got == 0 && b1_unchanged(),
	   "0 entries, messages there: 0, and nothing taken");
	close_peers();
}

/* Messages, notifications, and handles, in the order of the queue. */
static void test_mixed(void)
{
	uint64_t n1, h1, n2, h2, n3, h3;

	open_peers();
	n1 = b1_node_to(b, a, &h1);
	n2 = b1_node_to(a, b, &h2);
	n3 = b1_node_to(b, b, &h3);
	b1_says(b, handle, "1");
	b1_drop(b, n1);
	b1_gives(b, handle, "2", h3);
	b1_drop(b, h2);
	b1_says(b, handle, "3");
	ok(batch(8) == 0 && got == 5, "five of three kinds");
	ok(is_text(&m[0], node, "1") &&
		   is_note(&m[1], BUS1_MESSAGE_TYPE_NODE_RELEASE, h1) &&
		   is_text(&m[2], node, "2") && m[2].msg.n_transfers == 1 &&
		   is_note(&m[3], BUS1_MESSAGE_TYPE_HANDLE_RELEASE, n2) &&
		   is_text(&m[4], node, "3"),
	   "in the order of the queue");
	ok(!b1_has_handle(a, h1) && b1_drop(a, n2) == EBADRQC,
	   "what they notify of is gone");
	ok(b1_says(a, m[2].t[0].id, "x") == 0 && b1_hears(b, n3, "x"),
	   "the handle works");

	/* A handle to a dead node: its end is directly behind it. */
	b1_gives(b, handle, "4", h3);
	b1_says(b, handle, "5");
	b1_drop(b, n3);
	ok(batch(8) == 0 && got >= 3 && is_text(&m[0], node, "4") &&
		   is_note(&m[1], BUS1_MESSAGE_TYPE_NODE_RELEASE,
			   m[0].t[0].id) &&
		   is_text(&m[2], node, "5"),
	   "a handle that is dead when it arrives: its end is the next entry");
	while (b1_recv(a, &m[0]) == 0)
		;
	ok(b1_count(a, "bus1-handles") == 0, "nothing is left of it");
	close_peers();
}

/* Room number @k, which is of no use for a message with a handle. */
static void spoil(struct b1_msg *x, unsigned int k)
{
	static char elsewhere[64];

	b1_room(x, k == 0 ? 0 : 4, k == 1 ? 4 : 64, true);
	if (k == 2)
		x->msg.ptr_data_vecs = BUS1_FROM_PTR(b1_edge(64) + 64);
	if (k == 3) {
		/* the data may be written before the handles fail */
		x->msg.ptr_data_vecs = BUS1_FROM_PTR(elsewhere);
		x->msg.ptr_transfers = BUS1_FROM_PTR(b1_edge(64) + 64);
	}
}

/* The third of four cannot be received: two are, then it is said why. */
static void test_partial(void)
{
	static const char *const what[] = {
		"no room for handles", "too little room", "bad room",
		"bad room for handles",
	};
	unsigned int k, i;

	for (k = 0; k < 4; k++) {
		open_peers();
		b1_says(b, handle, "1");
		b1_says(b, handle, "22");
		b1_gives(b, handle, "three", handle);
		b1_says(b, handle, "4");
		for (i = 0; i < 5; i++)
			b1_room(&m[i], 4, 64, true);
		spoil(&m[2], k);
		ok(b1_batch(a, 0, 0, m, 5, &got) == 0 && got == 2 &&
			   is_text(&m[0], node, "1") &&
			   is_text(&m[1], node, "22"),
		   "the third has %s: two are received",
		   what[k]);
		b1_watch(a, b);
		for (i = 0; i < 5; i++)
			spoil(&m[i], k);
		b1_refused(b1_batch(a, 0, 0, m, 5, &got),
			   k < 2 ? EMSGSIZE : EFAULT, "the next call says why");
		ok(k >= 2 || (m[0].msg.n_data == 5 &&
			      m[0].msg.n_transfers == 1),
		   "and what is needed");
		ok(batch(8) == 0 && got == 2 && is_text(&m[0], node, "three") &&
			   m[0].msg.n_transfers == 1 &&
			   is_text(&m[1], node, "4") && b1_empty(a),
		   "then the others come, whole");
		close_peers();
	}
}

/* An entry that no message could be received into ends the call before it. */
static void test_bad_entries(void)
{
	static const struct {
		const char *what;
		struct bus1_message msg;
		int error;
	} bad[] = {
		{ "of unknown flags",
		  { .flags = 2, .type = BUS1_INVALID }, EINVAL },
		{ "of a type", { .type = 0 }, EINVAL },
		{ "of too many iovecs",
		  { .type = BUS1_INVALID, .n_data_vecs = 1025 }, EMSGSIZE },
		{ "of a bad iovec",
		  { .type = BUS1_INVALID, .n_data_vecs = 1 }, EFAULT },
		{ "of flat data in the kernel",
		  { .flags = 1, .type = BUS1_INVALID, .n_data = 64,
		    .n_data_vecs = 64, .ptr_data_vecs = 0xffff888000000000 },
		  EFAULT },
		{ "longer than can be",
		  { .flags = 1, .type = BUS1_INVALID, .n_data = 64,
		    .n_data_vecs = 1ull << 63 }, EINVAL },
	};
	unsigned int i, k;

	open_peers();
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		say(3);
		b1_watch(a, b);
		b1_room(&m[0], 4, 64, true);
		m[0].msg = bad[i].msg;
		b1_refused(b1_batch(a, 0, 0, m, 1, &got), bad[i].error,
			   "a first entry %s", bad[i].what);
		for (k = 0; k < 4; k++)
			b1_room(&m[k], 4, 64, true);
		m[1].msg = bad[i].msg;
		ok(b1_batch(a, 0, 0, m, 4, &got) == 0 && got == 1 &&
			   is_text(&m[0], node, "0") &&
			   b1_hears(a, node, "1") &&
			   b1_hears(a, node, "2") && b1_empty(a),
		   "a second one: the call ends before it");
	}
	close_peers();
}

/* The array of entries: as much of it as there is. */
static void test_pointers(void)
{
	struct bus1_cmd_recv_batch cmd = { .n_received = 2 };
	struct bus1_received v[2] = { 0 }, *half, *fixed;
	struct b1_bad bad[B1_N_BAD];
	unsigned int i, n;
	int r;

	open_peers();
	for (i = 0; i < 2; i++)
		v[i].message.type = BUS1_INVALID;
	b1_says(b, handle, "");
	b1_says(b, handle, "");
	b1_watch(a, b);
	n = b1_bad(bad, v, sizeof(*v), true);
	for (i = 0; i < n; i++) {
		cmd.ptr_received = bad[i].addr;
		b1_refused(b1_cmd(a, BUS1_CMD_RECV_BATCH, &cmd, sizeof(cmd)),
			   EFAULT, "entries: %s", bad[i].what);
	}
	n = b1_bad(bad, &cmd, sizeof(cmd), false);
	for (i = 0; i < n; i++)
		b1_refused(b1_ioctl(a, BUS1_CMD_RECV_BATCH,
				    BUS1_TO_PTR(bad[i].addr)),
			   EFAULT, "command: %s", bad[i].what);
	fixed = b1_const(v, sizeof(v));
	cmd.ptr_received = BUS1_FROM_PTR(fixed);
	b1_refused(b1_cmd(a, BUS1_CMD_RECV_BATCH, &cmd, sizeof(cmd)), EFAULT,
		   "entries that cannot be written");
	half = b1_edge(sizeof(*half));
	*half = v[0];
	cmd.ptr_received = BUS1_FROM_PTR(half);
	r = ioctl(a, BUS1_CMD_RECV_BATCH, &cmd);
	ok((r == 1 && half->metadata.id == node && half->message.type == 0 &&
	    b1_count(a, "bus1-queued") == 1) ||
		   (r < 0 && errno == EFAULT && b1_unchanged() &&
		    half->message.type == BUS1_INVALID),
	   "two entries, of which one is mapped: one or none is received");
	while (b1_recv(a, &m[0]) == 0)
		;
	close_peers();
}

/* More than a call takes. */
static void test_limit(void)
{
	const uint64_t n = BUS1_MAX_BATCH + 76;
	static const uint64_t counts[] = { BUS1_MAX_BATCH + 1, ~0ull };
	struct bus1_received *v = calloc(n, sizeof(*v));
	struct bus1_cmd_recv_batch cmd = {
		.ptr_received = BUS1_FROM_PTR(v),
	};
	uint64_t i, k, bad;
	uint32_t *data = calloc(n, sizeof(*data));
	int r, left;

	open_peers();
	for (k = 0; k < sizeof(counts) / sizeof(*counts); k++) {
		for (i = 0; i < n; i++) {
			v[i].message = (struct bus1_message){
				.flags = BUS1_MESSAGE_FLAG_FLAT,
				.type = BUS1_INVALID,
				.n_data = 4,
				.n_data_vecs = 4,
				.ptr_data_vecs = BUS1_FROM_PTR(data + i),
			};
			data[i] = ~0u;
			b1_send(b, handle, &(uint32_t){ i }, 4);
		}
		cmd.n_received = counts[k];
		r = ioctl(a, BUS1_CMD_RECV_BATCH, &cmd);
		for (bad = i = 0; i < n; i++)
			bad += i < BUS1_MAX_BATCH ? data[i] != i ||
				v[i].message.type != BUS1_MESSAGE_TYPE_USER ||
				v[i].metadata.id != node :
				data[i] != ~0u ||
				v[i].message.type != BUS1_INVALID;
		for (left = 0; b1_recv(a, &m[0]) == 0; left++)
			;
		ok(r == BUS1_MAX_BATCH && !bad && left == 76,
		   "%#llx entries: %d are received, %d stay",
		   (unsigned long long)counts[k], r, left);
	}
	free(v);
	free(data);
	close_peers();
}

static void test_wait(void)
{
	uint64_t begin;
	struct sleeper s;
	unsigned int i;

	open_peers();
	say(2);
	for (i = 0; i < 4; i++)
		b1_room(&m[i], 4, 64, true);
	begin = b1_now();
	ok(b1_batch(a, BUS1_RECV_FLAG_WAIT, BUS1_INVALID, m, 4, &got) == 0 &&
		   got == 2 && b1_now() - begin < SLEEPER_LATE,
	   "WAIT: it waits only for the first");
	for (i = 0; i < 4; i++)
		b1_room(&m[i], 4, 64, true);
	begin = b1_now();
	ok(b1_batch(a, BUS1_RECV_FLAG_WAIT, begin + 50 * MS, m, 4, &got) ==
			   ETIMEDOUT && b1_now() - begin >= 50 * MS,
	   "nothing comes: ETIMEDOUT");
	begin = b1_now();
	ok(b1_batch(a, BUS1_RECV_FLAG_WAIT, BUS1_INVALID, m, 0, &got) == 0 &&
		   got == 0 && b1_now() - begin < SLEEPER_LATE,
	   "WAIT with 0 entries: 0, at once");
	sleeper_how(&s, a, BY_BATCH, BUS1_INVALID, 0);
	b1_says(b, handle, "late");
	ok(sleeper_has(&s, "late") && b1_empty(a), "it comes");
	close_peers();
}

/* Senders and several who take batches: each message once, in order. */
#define COUNT 5000

static atomic_uchar seen[COUNT];
static atomic_uint total, wrong;

static void *send_all(void *arg)
{
	uint32_t i;

	(void)arg;
	for (i = 0; i < COUNT; i++)
		if (b1_send(b, handle, &i, sizeof(i)))
			atomic_fetch_add(&wrong, 1);
	return NULL;
}

static void *take_all(void *arg)
{
	uint64_t n = 1 + (uintptr_t)arg * 7, had, i;
	struct bus1_received *v = calloc(n, sizeof(*v));
	uint32_t *data = calloc(n, sizeof(*data));
	struct bus1_cmd_recv_batch cmd = {
		.flags = BUS1_RECV_FLAG_WAIT,
		.n_received = n,
		.ptr_received = BUS1_FROM_PTR(v),
	};
	int r;

	while (atomic_load(&total) < COUNT) {
		int64_t last = -1;

		for (i = 0; i < n; i++)
			v[i].message = (struct bus1_message){
				.flags = BUS1_MESSAGE_FLAG_FLAT,
				.type = BUS1_INVALID,
				.n_data = 4,
				.n_data_vecs = 4,
				.ptr_data_vecs = BUS1_FROM_PTR(data + i),
			};
		cmd.deadline = b1_now() + 20 * MS;
		r = ioctl(a, BUS1_CMD_RECV_BATCH, &cmd);
		if (r < 0) {
			if (errno != ETIMEDOUT)
				atomic_fetch_add(&wrong, 1);
			continue;
		}
		had = r;
		for (i = 0; i < had; i++) {
			if (data[i] >= COUNT || (int64_t)data[i] <= last ||
			    atomic_fetch_add(&seen[data[i]], 1))
				atomic_fetch_add(&wrong, 1);
			last = data[i];
		}
		atomic_fetch_add(&total, had);
	}
	free(v);
	free(data);
	return NULL;
}

static void test_many(void)
{
	pthread_t thread[5];
	unsigned int i;

	open_peers();
	for (i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, take_all,
			       (void *)(uintptr_t)i);
	pthread_create(&thread[i], NULL, send_all, NULL);
	for (i = 0; i < 5; i++)
		pthread_join(thread[i], NULL);
	ok(atomic_load(&total) == COUNT && !atomic_load(&wrong) && b1_empty(a),
	   "%u messages, four threads: each once, in order (%u, %u wrong)",
	   COUNT, atomic_load(&total), atomic_load(&wrong));
	close_peers();
}

int main(void)
{
	test_count();
	test_mixed();
	test_partial();
	test_bad_entries();
	test_pointers();
	test_limit();
	test_wait();
	test_many();
	return done_testing();
}
