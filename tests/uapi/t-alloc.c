// SPDX-License-Identifier: GPL-2.0-only
/*
 * What calls allocate: how often fault injection is asked. Needs a kernel that has
 * it, as the debug kernels do.
 */
#include "failnth.h"

#define COUNT 10000
#define IDS 33 /* more than RELEASE keeps without memory of its own */

static int a, b;
static uint64_t node, handle;

static int do_send(void)
{
	return b1_send(b, handle, "12345678", 8);
}

static int do_release(void)
{
	uint64_t ids[IDS] = { BUS1_INVALID };

	return b1_release(b, IDS, ids) == EBADRQC ? 0 : EINVAL;
}

/* With the @nth fault; *@left is how many were missing to it. */
static int do_failing(int (*call)(void), unsigned int nth, unsigned int *left)
{
	char text[16] = "";
	int r;

	fail_number(fail_nth_fd, nth);
	r = call();
	/* It may be this very access that fails, or the next. */
	*left = pread(fail_nth_fd, text, sizeof(text) - 1, 0) < 1
			? 1 : atoi(text);
	if (pwrite(fail_nth_fd, "0", 1, 0) != 1)
		fail_number(fail_nth_fd, 0);
	return r;
}

/* How many faults there could be in a call of this kind. */
static unsigned int faults(int (*call)(void), const char *without_slab)
{
	unsigned int left;
	int r;

	fail_write("failslab/cache-filter", without_slab);
	fail_write("fail_page_alloc/min-order", "64");
	r = do_failing(call, COUNT, &left);
	if (r)
		bail_out("cannot count: %s", strerror(r));
	return COUNT - left;
}

/* One, but that a checking kernel has memory of its own for each. */
static unsigned int allocations(int (*call)(void))
{
	/* Once before, as caches fill when they are used. */
	faults(call, "N");
	return faults(call, "N") - faults(call, "Y");
}

static int do_drop(void)
{
	return b1_drop(b, handle);
}

static int do_close(void)
{
	return close(b) ? errno : 0;
}

/* The least of some: what its checks keep ready the kernel refills at times. */
static unsigned int least(int (*call)(void))
{
	unsigned int i, n, min = COUNT;

	for (i = 0; i < 5; i++) {
		b = b1_open();
		b1_node_to(a, b, &handle);
		n = faults(call, "N");
		if (n < min)
			min = n;
		if (call != do_close)
			close(b);
		while (!b1_recv(a, &(struct b1_msg){}))
			;
	}
	return min;
}

static int do_create(void)
{
	struct bus1_transfer t[2] = {
		{ BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID },
		{ BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID },
	};

	return b1_multicast(b, 1, &handle, NULL, "x", 1, t, 2);
}

/* What it leaks only the unloading, or kmemleak, can tell. */
static void test_failing(void)
{
	unsigned int nth = 0, left, failed = 0, same = 0;
	uint64_t before;
	int r;

	fail_write("failslab/cache-filter", "N");
	do {
		before = quota_claim(b, 0, "objects");
		r = do_failing(do_create, ++nth, &left);
		/* Some allocations can do without. */
		failed += r == ENOMEM || r == EFAULT;
		while (!b1_recv(a, &(struct b1_msg){}))
			;
		while (!b1_recv(b, &(struct b1_msg){}))
			;
		if (r)
			same += quota_claim(b, 0, "objects") == before;
	} while (!left);
	ok(failed > 5 && same == failed,
	   "D24: a SEND with CREATE fails at each allocation (%u of %u)", same,
	   nth - 1);
}

static void test_allocations(void)
{
	unsigned int one, n, m;

	test_failing();
	one = allocations(do_release);
	n = allocations(do_send);
	ok(one && n == one,
	   "D27: a unicast allocates once, as a RELEASE of %d IDs does (%u, %u)",
	   IDS, n, one);
	while (!b1_recv(a, &(struct b1_msg){}))
		;
	/* The two reads of user memory are all that could fail. */
	n = least(do_drop);
	m = least(do_close);
	ok(n == 2 && m == 0,
	   "D17, D26: RELEASE and close need no memory (%u, %u)", n, m);
	b = b1_open();
}

int main(void)
{
	if (!fail_begin())
		return done_testing();
	a = b1_open();
	b = b1_open();
	node = b1_node_to(a, b, &handle);
	test_allocations();
	close(a);
	close(b);
	return done_testing();
}
