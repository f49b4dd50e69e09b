/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_FLIP_H
#define _TESTS_FLIP_H

/*
 * DOC: what changes during a call
 *
 * Another thread flips one thing at full speed between two values, or takes a
 * page away and brings it back, while a call is made over and over. Of each call
 * the test says whether it did what one of the two means, as a whole; both have
 * to be seen. Define _GNU_SOURCE before.
 */
#include <stdatomic.h>

#include "quota.h"

#define ROUND_MS 150 /* for each thing that is flipped */
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

static inline void *flipper(void *arg)
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
static inline void round_of(const char *what, bool (*call)(void))
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
static inline void flip_word(const char *what, void *p, uint64_t one, uint64_t two,
		      bool (*call)(void))
{
	flip = (struct flip){ .at = p, .words = 1, .value = { { one },
							      { two } } };
	round_of(what, call);
}

/* Take @page away, and bring it back. */
static inline void flip_page(const char *what, void *page, bool (*call)(void))
{
	flip = (struct flip){ .page = page };
	round_of(what, call);
	mprotect(page, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE);
}

static inline bool saw(unsigned int which)
{
	seen[which] = true;
	return true;
}

static inline bool wrong(const char *what, uint64_t v)
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

/* Pages that come and go, for the kernel; and the same, that are always there. */
static void *there, *here;

static inline void *new_page(void)
{
	void *p = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail_out("no memory");
	return p;
}

static inline void new_twin(void)
{
	const size_t size = sysconf(_SC_PAGESIZE);
	int fd = memfd_create("twin", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, size))
		bail_out("no memory");
	there = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	here = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (there == MAP_FAILED || here == MAP_FAILED)
		bail_out("no memory");
	close(fd);
}

static inline void begin(void)
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
	new_twin();
	memset(data, 'd', 4096);
}

/* Nothing but the three nodes and their handles is left. */
static inline bool clean(void)
{
	return b1_count(a, "bus1-nodes") == 1 &&
	       b1_count(b, "bus1-nodes") == 2 &&
	       b1_count(a, "bus1-handles") == 2 &&
	       b1_count(b, "bus1-handles") == 1 &&
	       b1_count(a, "bus1-queued") == 0 &&
	       b1_count(b, "bus1-queued") == 0;
}

/* Poisoned entries: how many of them the kernel wrote, in a row. */
static inline unsigned int written(const struct bus1_transfer *t)
{
	unsigned int i, n;

	for (n = 0; n < ROOM && !t[n].flags && b1_id_ok(t[n].id); n++)
		;
	for (i = n; i < ROOM; i++)
		if (t[i].flags != B1_POISON64 || t[i].id != B1_POISON64)
			return ROOM + 1;
	return n;
}

static inline struct bus1_message plain(void)
{
	*vec = (struct iovec){ data, 64 };
	return (struct bus1_message){
		.n_data = 8,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(vec),
		.ptr_transfers = BUS1_FROM_PTR(src),
	};
}

static inline void set_src(void)
{
	unsigned int i;

	for (i = 0; i < ROOM; i++)
		src[i] = (struct bus1_transfer){ 1, BUS1_INVALID };
}

#endif /* _TESTS_FLIP_H */
