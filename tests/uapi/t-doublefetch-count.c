// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a command is given is read once, and written once: a watchpoint counts
 * what the kernel does there, for each 32 bits. How often it may is in the table
 * of stall-calls.h. Unlike what changes during a call, this needs no luck.
 */
#define _GNU_SOURCE
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>

#include "stall-calls.h"

#define POINTS 4 /* that a processor has */
#define STEP 4
/* Of a page, what is used: at its begin, or at its end where it goes on */
#define BEGIN 160
#define END 80

static char *pages;

/* A watchpoint for the kernel, at one byte; or -1. */
static int point(const void *at)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_RW,
		.bp_addr = (uintptr_t)at,
		.bp_len = HW_BREAKPOINT_LEN_1,
		.exclude_user = 1,
		.exclude_hv = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1,
		       PERF_FLAG_FD_CLOEXEC);
}

/* How often the table has it: a name, with or without ' behind. */
static unsigned int expected(const struct stage_call *call, const char *name)
{
	const size_t n = strlen(name);
	const char *p = call->accesses;
	unsigned int times = 0;

	do {
		p += *p == ' ';
		times += !strncmp(p, name, n) && strchr(" '", p[n]);
	} while ((p = strchr(p, ' ')));
	return times;
}

/* Make the call; how often are those bytes of the page accessed? */
static bool count(const struct stage_call *call, unsigned int page,
		  const unsigned int *at, uint64_t *times)
{
	int i, fd[POINTS];
	struct stage st;
	bool good;

	stage_open(&st, call, pages, pages);
	for (i = 0; i < POINTS; i++) {
		fd[i] = point(pages + page * STAGE_SIZE + at[i]);
		if (fd[i] < 0)
			bail_out("no watchpoint: %s", strerror(errno));
	}
	st.result = stage_run(&st);
	good = stage_result_ok(&st);
	for (i = 0; i < POINTS; i++) {
		if (read(fd[i], &times[i], sizeof(*times)) != sizeof(*times))
			bail_out("a watchpoint does not say: %s",
				 strerror(errno));
		close(fd[i]);
	}
	stage_close(&st);
	return good;
}

/* Nothing of the page more often than @most, and something so often. */
static bool test_page(const struct stage_call *call, unsigned int page,
		      unsigned int most)
{
	bool ends = page == DATA || page == ENTRY;
	unsigned int next = ends ? STAGE_SIZE - END : 0, i;
	unsigned int at[POINTS], end = ends ? STAGE_SIZE : BEGIN;
	uint64_t times[POINTS], max = 0;

	while (next < end) {
		for (i = 0; i < POINTS; i++, next += STEP)
			at[i] = next;
		if (!count(call, page, at, times))
			return false;
		for (i = 0; i < POINTS; i++) {
			if (times[i] > most)
				diag("%s: %s, byte %u: %u accesses", call->name,
				     stage_names[page], at[i],
				     (unsigned int)times[i]);
			if (times[i] > max)
				max = times[i];
		}
	}
	if (max < most)
		diag("%s: %s: %u accesses", call->name, stage_names[page],
		     (unsigned int)max);
	return max == most;
}

static void test(const struct stage_call *call)
{
	unsigned int page, most, n = 0;
	bool good = true;

	for (page = 0; page < STAGE_PAGES; page++) {
		most = expected(call, stage_names[page]);
		if (!most)
			continue;
		good &= test_page(call, page, most);
		n += most;
	}
	ok(good, "%s: nothing is read or written twice, in %u accesses",
	   call->name, n);
}

int main(void)
{
	unsigned int i;
	int fd;

	pages = mmap(NULL, STAGE_ROOM, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		bail_out("no memory");
	fd = point(pages);
	if (fd < 0) {
		skip(1, "no watchpoints: %s", strerror(errno));
		return done_testing();
	}
	close(fd);
	for (i = 0; i < STAGE_N_CALLS; i++)
		test(&stage_calls[i]);
	return done_testing();
}
