// SPDX-License-Identifier: GPL-2.0-only
/*
 * mapping - what it takes to hand over pages, beside copying what is in them
 *
 *   mapping [SIZE[,SIZE]...]
 *
 * copy     by memcpy()
 * read     by the kernel, out of a file in memory
 * pinned   by the kernel, out of another's pages, which it looks up and holds
 * moved    not copied: the pages move to another address, by mremap()
 * mapped   not copied: the file's pages are mapped in one go, and unmapped
 * faulted  the same, each page when it is used
 *
 * Of each page one word is written afterwards, where the program that receives it
 * would begin. See bench.h for the lines that are printed. There is one thread: no
 * other processor has to be told that a mapping is gone.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/uio.h>

#include "bench.h"

#define MOST (4ul << 20)
#define PAGE 4096ul

static char *from, *to;
static int file;
static size_t n;

static void use(char *p)
{
	size_t i;

	for (i = 0; i < n; i += PAGE)
		*(volatile uint64_t *)(p + i) = i;
}

static void copy(void *arg, long rounds)
{
	(void)arg;
	while (rounds--) {
		memcpy(to, from, n);
		use(to);
	}
}

static void do_read(void *arg, long rounds)
{
	(void)arg;
	while (rounds--) {
		if (pread(file, to, n, 0) != (ssize_t)n)
			bench_fail("pread");
		use(to);
	}
}

static void pinned(void *arg, long rounds)
{
	struct iovec local = { to, n }, remote = { from, n };
	pid_t pid = getpid();

	(void)arg;
	while (rounds--) {
		if (process_vm_readv(pid, &local, 1, &remote, 1, 0) !=
		    (ssize_t)n)
			bench_fail("process_vm_readv");
		use(to);
	}
}

/* There and back is two. */
static void moved(void *arg, long rounds)
{
	char *away = to + MOST, *tmp;

	(void)arg;
	rounds = 2 * ((rounds + 1) / 2);
	while (rounds--) {
		if (mremap(to, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, away) !=
		    away)
			bench_fail("mremap");
		use(away);
		tmp = to;
		to = away;
		away = tmp;
	}
}

static void map(long rounds, int flags)
{
	char *p;

	while (rounds--) {
		p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | flags,
			 file, 0);
		if (p == MAP_FAILED)
			bench_fail("mmap");
		use(p);
		if (munmap(p, n))
			bench_fail("munmap");
	}
}

static void mapped(void *arg, long rounds)
{
	(void)arg;
	map(rounds, MAP_POPULATE);
}

static void faulted(void *arg, long rounds)
{
	(void)arg;
	map(rounds, 0);
}

static const struct {
	const char *name;
	void (*run)(void *arg, long rounds);
} ways[] = {
	{ "copy", copy },
	{ "read", do_read },
	{ "pinned", pinned },
	{ "mapped", mapped },
	{ "faulted", faulted },
	{ "moved", moved }, /* last: what it leaves is in two places */
};

int main(int argc, char **argv)
{
	const char *list = argc > 1 ? argv[1] : NULL;
	double value, spread;
	size_t w;

	bench_settle();
	file = memfd_create("mapping", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, MOST))
		bench_fail("memfd_create");
	/* small pages, as a pool of messages of all sizes would have them */
	from = mmap(NULL, 3 * MOST, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (from == MAP_FAILED ||
	    (madvise(from, 3 * MOST, MADV_NOHUGEPAGE) && errno != EINVAL))
		bench_fail("no memory");
	memset(from, 1, 2 * MOST);
	if (pwrite(file, from, MOST, 0) != (ssize_t)MOST)
		bench_fail("pwrite");
	for (w = 0; w < sizeof(ways) / sizeof(*ways); w++)
		for (n = PAGE; n <= MOST; n *= 4) {
			if (!bench_listed_n(list, n))
				continue;
			to = from + MOST;
			if (ways[w].run == moved) {
				/* all of it may have moved before */
				if (mmap(to, 2 * MOST, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS |
					 MAP_FIXED, -1, 0) != to)
					bench_fail("no memory");
				memset(to, 1, n);
			}
			value = bench_measure(ways[w].run, NULL, BENCH_RUN_NS,
					      &spread);
			bench_print("mapping", ways[w].name, n, value, spread);
		}
	return 0;
}
