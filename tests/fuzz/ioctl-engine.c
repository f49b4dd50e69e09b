// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer's half: what of the module a sequence has reached, by KCOV, and
 * what to try next. tests/fuzz/run runs it in a guest.
 */
#include <fcntl.h>
#include <linux/kcov.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ioctl.h"

/* Places in the code that one thread may pass in one sequence */
#define COVER_SIZE (512 << 10)
#define N_EDGES (1 << 16)
#define N_EVENTS (1 << 12)
/* A sequence takes milliseconds; but other guests may have the processor. */
#define HUNG 120

/*
 * libFuzzer takes these as counters of its own, and clears them. How often an
 * edge was passed is of no interest: what loops do is in the model, too.
 */
__attribute__((section("__libfuzzer_extra_counters")))
static uint8_t edges[N_EDGES + N_EVENTS];

/* Of this thread, and of those that run sequences */
static unsigned long *cover[1 + FUZZ_THREADS];
static unsigned int n_cover;

/* For the report: all that was ever seen */
static uint8_t seen_edges[N_EDGES];
static unsigned long seen_places[N_EDGES];
static unsigned int n_edges, n_places;
static unsigned long runs, lost;

/* Which sequence it was, should the kernel end this program */
#define NOW "/tmp/ioctl-fuzz.now"
static int now_fd;

static struct fuzz_input input;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* What the engine has linked in beside */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t n_a,
				 const uint8_t *b, size_t n_b, uint8_t *out,
				 size_t max, unsigned int seed);

static void die(const char *what)
{
	fprintf(stderr, "ioctl-fuzz: %s\n", what);
	exit(1);
}

/* Trace the calling thread from here on, for good. */
static void cover_begin(void)
{
	void *area;
	int fd;

	fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	if (ioctl(fd, KCOV_INIT_TRACE, COVER_SIZE))
		die("no memory for KCOV");
	area = mmap(NULL, COVER_SIZE * sizeof(long), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (area == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		die("KCOV does not trace");
	pthread_mutex_lock(&lock);
	cover[n_cover++] = area;
	pthread_mutex_unlock(&lock);
}

static uint32_t mix(uint64_t v)
{
	return v * 0x9e3779b97f4a7c15 >> 40;
}

static void note_place(unsigned long pc)
{
	unsigned int i = mix(pc) % N_EDGES;

	while (seen_places[i] && seen_places[i] != pc)
		i = (i + 1) % N_EDGES;
	n_places += !seen_places[i];
	seen_places[i] = pc;
}

static void cover_collect(void)
{
	unsigned long i, n, last;
	unsigned int t, e;

	for (t = 0; t < n_cover; t++) {
		n = __atomic_load_n(&cover[t][0], __ATOMIC_RELAXED);
		lost += n >= COVER_SIZE - 1;
		for (i = 1, last = 0; i <= n && i < COVER_SIZE; i++) {
			unsigned long pc = cover[t][i];

			e = mix(pc ^ last << 20) % N_EDGES;
			edges[e] = 1;
			if (!seen_edges[e]) {
				seen_edges[e] = 1;
				n_edges++;
				note_place(pc);
			}
			last = pc;
		}
		__atomic_store_n(&cover[t][0], 0, __ATOMIC_RELAXED);
	}
}

static void event(uint32_t what)
{
	edges[N_EDGES + mix(what) % N_EVENTS] = 1;
}

static void report(void)
{
	if (n_cover)
		printf("fuzz: %lu sequences, %u places and %u edges of the"
		       " module\n", runs, n_places, n_edges);
	else
		printf("fuzz: %lu sequences, guided by the model: this kernel"
		       " has no KCOV\n", runs);
	if (lost)
		printf("fuzz: %lu sequences were too long to see all\n", lost);
	fflush(stdout);
}

static void fail(const char *what)
{
	printf("\nfailed in call %u: %s\n", fuzz_at, what);
	fuzz_print(&input, "failed", stdout);
	printf("\n");
	report();
	_Exit(1);
}

/* A call that does not return is an error like others. */
static void *watch(void *arg)
{
	unsigned long last = 0, same = 0;

	(void)arg;
	for (;;) {
		sleep(1);
		same = runs == last ? same + 1 : 0;
		last = runs;
		if (same == HUNG)
			fail("it hangs");
	}
	return NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	pthread_t thread;

	(void)argc;
	(void)argv;
	fuzz_event = event;
	fuzz_thread_begin = cover_begin;
	cover_begin();
	now_fd = open(NOW, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	atexit(report);
	if (pthread_create(&thread, NULL, watch, NULL))
		die("no thread");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *what;

	fuzz_decode(&input, data, size);
	runs++;
	if (pwrite(now_fd, data, size, 0) < 0 || ftruncate(now_fd, size))
		die("cannot write " NOW);
	what = input.threads ? fuzz_run_threads(&input) : fuzz_run(&input);
	if (what)
		fail(what);
	cover_collect();
	return 0;
}

/* --- mutations ---------------------------------------------------------- */

static uint32_t state;

static uint32_t below(uint32_t n)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % n;
}

static void random_op(struct fuzz_op *op)
{
	uint8_t *byte = (uint8_t *)op;
	unsigned int i;

	for (i = 0; i < sizeof(*op); i++)
		byte[i] = below(256);
	op->peer = below(3);
	op->bad = below(4) ? 0 : below(FUZZ_N_BAD);
	for (i = 0; i < FUZZ_IDS; i++)
		op->id[i] = below(2) << 7 | (below(3) ? 0 : below(6)) << 4 |
			    below(4);
	for (i = 0; i < FUZZ_TRANSFERS; i++)
		op->tr[i] = below(2) << 7 | (below(3) ? 0 : below(6)) << 4 |
			    below(4);
	if (below(2))
		op->room = 0;
	if (below(2))
		op->size %= 8;
}

/* One operation, or one byte of it */
static void change(struct fuzz_input *in)
{
	struct fuzz_op *op = &in->op[below(in->n)];
	struct fuzz_op other;

	random_op(&other);
	switch (below(4)) {
	case 0:
		*op = other;
		break;
	case 1:
		op->bad = below(FUZZ_N_BAD);
		break;
	default:
		((uint8_t *)op)[below(sizeof(*op))] =
			((uint8_t *)&other)[below(sizeof(other))];
	}
}

static void insert(struct fuzz_input *in)
{
	unsigned int at = below(in->n + 1);
	struct fuzz_op op;

	if (in->n == FUZZ_OPS)
		return;
	if (in->n && below(2))
		op = in->op[below(in->n)];
	else
		random_op(&op);
	memmove(in->op + at + 1, in->op + at, (in->n++ - at) * sizeof(op));
	in->op[at] = op;
}

static void remove_one(struct fuzz_input *in)
{
	unsigned int at = below(in->n);

	memmove(in->op + at, in->op + at + 1,
		(--in->n - at) * sizeof(*in->op));
}

static void fit(struct fuzz_input *in, size_t max)
{
	while (in->n && sizeof(struct fuzz_header) +
				in->n * sizeof(*in->op) > max)
		in->n--;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	struct fuzz_input in;
	unsigned int times;

	state = seed;
	/* Now and then without knowing the form */
	if (!below(16))
		return LLVMFuzzerMutate(data, size, max);
	fuzz_decode(&in, data, size);
	for (times = 1 + below(4); times; times--) {
		switch (in.n ? below(8) : 0) {
		case 0:
		case 1:
		case 2:
			insert(&in);
			break;
		case 3:
			remove_one(&in);
			break;
		default:
			change(&in);
		}
	}
	if (!below(32)) {
		in.threads = below(3) ? 0 : 2 + below(2);
		in.quota = in.threads || below(4) ? 0 : 4 + below(40);
	}
	fit(&in, max);
	return fuzz_encode(&in, data, max);
}

/* The beginning of one, and the end of the other */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t n_a,
				 const uint8_t *b, size_t n_b, uint8_t *out,
				 size_t max, unsigned int seed)
{
	struct fuzz_input one, other;
	unsigned int from;

	state = seed;
	fuzz_decode(&one, a, n_a);
	fuzz_decode(&other, b, n_b);
	one.n = below(one.n + 1);
	from = below(other.n + 1);
	while (from < other.n && one.n < FUZZ_OPS)
		one.op[one.n++] = other.op[from++];
	fit(&one, max);
	return fuzz_encode(&one, out, max);
}
