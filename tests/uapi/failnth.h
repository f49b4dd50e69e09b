/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_FAILNTH_H
#define _TESTS_FAILNTH_H

/*
 * DOC: every fault of a call, one after the other
 *
 * The kernel, if built for it, lets the Nth allocation or access to user
 * memory of a thread fail: fail_walk() repeats a call with N = 1, 2, ... until
 * it ran without a fault. It does so with all kinds of faults, and with some
 * of them. What fails must leave everything as it was, and then do what it
 * should when it is repeated; what succeeds in spite of a fault has to have
 * its whole effect.
 */
#define _GNU_SOURCE
#include "quota.h"

#define FAIL_DEBUG "/sys/kernel/debug/"
#define FAIL_TIMES 1000000

/* What can fail. Accesses to user memory cannot be left out. */
static const struct fail_kind {
	const char *name;
	const char *no_slab; /* cache-filter: of caches that ask for it */
	const char *min_order; /* of pages */
	bool lasting; /* from the Nth page on none is to be had */
} fail_kinds[] = {
	{ "any", "N", "0", false },
	{ "slab", "N", "64", false },
	{ "copy", "Y", "64", false },
	{ "no page", "Y", "0", true },
};

#define FAIL_N_KINDS (sizeof(fail_kinds) / sizeof(*fail_kinds))

struct fail_case {
	const char *name;
	void (*prepare)(void);
	int (*call)(void); /* 0 or errno */
	void (*tidy)(void); /* after it succeeded */
	bool never; /* it cannot fail at all */
};

static int fail_nth_fd, fail_task_fd, fail_objects_fd, fail_accounts_fd;
static unsigned long fail_injected;
static unsigned int fail_left; /* until the fault, when the call had ended */

static inline void fail_write(const char *name, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), FAIL_DEBUG "%s", name);
	if (!quota_write(path, text))
		bail_out("cannot write %s to %s", text, path);
}

/* First of all; false, and nothing can be tested, on most kernels. */
static inline bool fail_begin(void)
{
	static const char *const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/probability", "100" },
		{ "fail_page_alloc/interval", "1" },
		{ "fail_page_alloc/task-filter", "Y" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	unsigned int i;

	fail_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_nth_fd < 0 ||
	    access(FAIL_DEBUG "fail_usercopy/verbose", F_OK)) {
		skip(1, "a kernel without fault injection");
		return false;
	}
	fail_task_fd = open("/proc/thread-self/make-it-fail",
			    O_RDWR | O_CLOEXEC);
	if (fail_task_fd < 0)
		bail_out("no make-it-fail in /proc");
	fail_objects_fd = open(FAIL_DEBUG "bus1/objects", O_RDONLY | O_CLOEXEC);
	fail_accounts_fd = open(QUOTA_ACCOUNTS, O_RDONLY | O_CLOEXEC);
	if (fail_objects_fd < 0 || fail_accounts_fd < 0)
		bail_out("no files of bus1 in debugfs");
	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		fail_write(settings[i][0], settings[i][1]);
	/* How long this may take the runner knows. */
	alarm(0);
	/* A page of our own that is missing would be another fault. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		bail_out("cannot lock memory: %s", strerror(errno));
	return true;
}

static inline void fail_number(int fd, unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	if (pwrite(fd, text, strlen(text), 0) < 0)
		bail_out("fault injection: %s", strerror(errno));
}

static inline void fail_kind(const struct fail_kind *kind)
{
	fail_write("failslab/cache-filter", kind->no_slab);
	fail_write("fail_page_alloc/min-order", kind->min_order);
}

/* From here on the @nth fails. */
static inline void fail_inject(const struct fail_kind *kind, unsigned int nth)
{
	char text[16];

	if (!kind->lasting) {
		fail_number(fail_nth_fd, nth);
		return;
	}
	snprintf(text, sizeof(text), "%u", nth - 1);
	fail_write("fail_page_alloc/space", text);
	snprintf(text, sizeof(text), "%u", FAIL_TIMES);
	fail_write("fail_page_alloc/times", text);
	fail_number(fail_task_fd, 1);
}

/*
 * No longer. How many were there? One that is still to come may hit what
 * looks, and what ends it.
 */
static inline unsigned int fail_end(const struct fail_kind *kind)
{
	char text[16] = "1", *times;
	unsigned int n;
	ssize_t r;

	if (kind->lasting) {
		fail_number(fail_task_fd, 0);
		times = quota_file(FAIL_DEBUG "fail_page_alloc/times");
		n = FAIL_TIMES - strtoul(times, NULL, 10);
		free(times);
		return n;
	}
	r = pread(fail_nth_fd, text, sizeof(text) - 1, 0);
	if (pwrite(fail_nth_fd, "0", 1, 0) < 0)
		fail_number(fail_nth_fd, 0);
	fail_left = r > 0 ? strtoul(text, NULL, 10) : 1;
	return !fail_left;
}

/* --- what is ------------------------------------------------------------- */

static int fail_peers[4];
static unsigned int fail_n_peers;

struct fail_state {
	char objects[1 << 15];
	char accounts[1 << 14];
	char fdinfo[1 << 10]; /* of the first peer */
	int64_t count[4][5]; /* of each peer */
};

/* A file from its start, but for the first line, which has the time. */
static inline void fail_text(int fd, char *to, size_t room)
{
	size_t n = 0;
	ssize_t r;
	char *line;

	while ((r = pread(fd, to + n, room - n - 1, n)) > 0)
		n += r;
	if (r || n + 1 == room)
		bail_out("cannot read what is to be compared: %s",
			 r ? strerror(errno) : "too long");
	to[n] = 0;
	line = quota_next(to);
	memmove(to, line, strlen(line) + 1);
}

/* What there is of each peer, in the order in which they were opened. */
static inline void fail_count(struct fail_state *s)
{
	static const char *const keys[] = { "nodes", "handles", "queued",
					    "bytes" };
	char *line = s->objects;
	unsigned int i, k;

	fail_text(fail_objects_fd, line, sizeof(s->objects));
	for (i = 0; i < fail_n_peers; line = quota_next(line)) {
		if (!*line)
			bail_out("debugfs lacks a peer");
		if (strncmp(line, "peer ", 5))
			continue;
		for (k = 0; k < 4; k++)
			s->count[i][k] = quota_value(line, keys[k]);
		s->count[i][4] = b1_readable(fail_peers[i]);
		i++;
	}
}

static inline void fail_look(struct fail_state *s)
{
	static int fd = -1, of = -1;
	char path[64], *line, *next;

	fail_count(s);
	fail_text(fail_accounts_fd, s->accounts, sizeof(s->accounts));
	/* Quotas and traces of nothing come and go. */
	for (line = s->accounts; *line;) {
		next = quota_next(line);
		if (quota_value(line, "objects") || quota_value(line, "bytes"))
			line = next;
		else
			memmove(line, next, strlen(next) + 1);
	}
	if (!fail_n_peers)
		return;
	if (of != fail_peers[0]) {
		close(fd);
		of = fail_peers[0];
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", of);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	fail_text(fd, s->fdinfo, sizeof(s->fdinfo));
}

static inline bool fail_same_text(const char *a, const char *b)
{
	size_t i = 0;

	if (!strcmp(a, b))
		return true;
	while (a[i] == b[i])
		i++;
	while (i && a[i - 1] != '\n')
		i--;
	diag("before: %.200s", a + i);
	diag("after: %.200s", b + i);
	return false;
}

static inline bool fail_same(const struct fail_state *a,
			     const struct fail_state *b)
{
	return fail_same_text(a->objects, b->objects) &&
	       fail_same_text(a->accounts, b->accounts) &&
	       fail_same_text(a->fdinfo, b->fdinfo) && quota_adds_up();
}

/* What changed from @a to @b; true if it is the same as @usual. */
static inline bool fail_usual(const struct fail_state *a,
			      const struct fail_state *b, int64_t usual[4][5],
			      bool first)
{
	unsigned int i, k;
	bool same = true;
	int64_t d;

	for (i = 0; i < fail_n_peers; i++) {
		for (k = 0; k < 5; k++) {
			d = b->count[i][k] - a->count[i][k];
			if (first)
				usual[i][k] = d;
			if (d != usual[i][k])
				diag("peer %u, value %u: by %d, not %d", i, k,
				     (int)d, (int)usual[i][k]);
			same &= d == usual[i][k];
		}
	}
	return same;
}

/* --- walk ---------------------------------------------------------------- */

/* How the walk of a call went. */
struct fail_walk {
	const struct fail_case *c;
	int64_t usual[4][5];
	unsigned int runs, injected, failed, odd, changed, other;
};

/* Once, with the @nth fault; were there any? */
static inline bool fail_once(struct fail_walk *w, const struct fail_kind *kind,
			     unsigned int nth)
{
	static struct fail_state before, after;
	unsigned int n;
	int r;

	w->c->prepare();
	fail_look(&before);
	fail_inject(kind, nth);
	r = w->c->call();
	n = fail_end(kind);
	w->injected += n;
	w->failed += r != 0;
	if (r && (!n || w->c->never || (r != ENOMEM && r != EFAULT))) {
		w->odd++;
		diag("%s, %s fault %u: %s", w->c->name, kind->name, nth,
		     strerror(r));
	}
	if (r) {
		fail_look(&after);
		w->changed += !fail_same(&before, &after);
		r = w->c->call();
		if (r) {
			w->odd++;
			diag("%s, repeated: %s", w->c->name, strerror(r));
		}
	}
	fail_count(&after);
	w->other += !fail_usual(&before, &after, w->usual, !w->runs++);
	w->c->tidy();
	return n;
}

/* In how many ways can it fail? A fault that is far away says that. */
static inline unsigned int fail_ways(struct fail_walk *w,
				     const struct fail_kind *kind)
{
	unsigned int left;

	fail_kind(kind);
	fail_once(w, kind, FAIL_TIMES);
	left = fail_left;
	return FAIL_TIMES - left;
}

static inline void fail_walk(const struct fail_case *c)
{
	struct fail_walk w = { .c = c };
	bool pages;
	unsigned int k, nth;

	/* The first of all, which is without a fault, says what is usual. */
	pages = fail_ways(&w, &fail_kinds[0]) != fail_ways(&w, &fail_kinds[1]);
	for (k = 0; k < FAIL_N_KINDS; k++) {
		/* Without pages the first kind is the next two as well. */
		if (!pages && k && !fail_kinds[k].lasting)
			continue;
		fail_kind(&fail_kinds[k]);
		for (nth = 1; fail_once(&w, &fail_kinds[k], nth); nth++)
			;
	}
	fail_injected += w.injected;
	ok(!w.odd && !w.changed && !w.other && (c->never || w.failed),
	   "%s: of %u faults %u made it fail; %u oddly, %u with effects, %u with others than usual",
	   c->name, w.injected, w.failed, w.odd, w.changed, w.other);
}

#define FAIL_WALK(_name, _prepare, _call, _tidy)                             \
	fail_walk(&(struct fail_case){ .name = (_name),                      \
				       .prepare = (_prepare),                \
				       .call = (_call), .tidy = (_tidy) })

static inline int fail_done(void)
{
	fail_write("failslab/cache-filter", "N");
	fail_write("fail_page_alloc/probability", "0");
	ok(quota_nothing(), "nothing is claimed in the end");
	diag("faults injected: %lu", fail_injected);
	return done_testing();
}

#endif /* _TESTS_FAILNTH_H */
