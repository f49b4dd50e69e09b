// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tool keeps its state in static variables and is done when it exits. Here
 * they are put back after each run, what it allocated and opened is let go, and
 * exit() comes back. trace-build.mk gives the tool's variables sections of
 * their own, and the functions below in the place of those of libc.
 */
#define _GNU_SOURCE
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <sanitizer/allocator_interface.h>
#include <sanitizer/asan_interface.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "recording.h"
#include "trace-fuzz.h"

#define FILES_MAX 64
#define FD_MAX 64
#define ARGS_MAX 24

const struct fuzz_target *fuzz_target;
int fuzz_report = 2;

int tool_main(int argc, char **argv);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILTERS "--peer=", "--node=", "--pid=", "--uid=", "--comm=", "-c="
#define OPTIONS(...) (const char *const[]){ __VA_ARGS__, NULL }

static const struct fuzz_target targets[] = {
	{ "read", .verb = NULL, .options = OPTIONS("") },
	{ "monitor", "monitor",
	  .options = OPTIONS("--json", "-T", FILTERS, "--kind=",
			     "--min-latency=", "--errors", "--payload=",
			     "-d=") },
	{ "top", "top",
	  .options = OPTIONS("--json", "-T", FILTERS, "--sort=", "-n="),
	  .words = 2 },
	{ "latency", "latency",
	  .options = OPTIONS("--json", "-T", FILTERS, "--by="), .words = 2 },
	{ "order", "order", .options = OPTIONS("--json", "--keep=", "-d=") },
	{ "handles", "handles",
	  .options = OPTIONS("--json", "-T", FILTERS, "--all", "--older-than=",
			     "--idle=", "--stacks", "-n="), .words = 2 },
	{ "explain", "explain", "last:1", .options = OPTIONS("--json", "-n=", "-D="),
	  .words = 2 },
	{ "graph", "graph", .options = OPTIONS("--json", FILTERS, "-d=") },
	{ "acct", "acct",
	  .options = OPTIONS("--json", "-T", "--peer=", "--uid=", "-n="),
	  .words = 2 },
	{ "status", "status",
	  .options = OPTIONS("--json", FILTERS, "--objects", "--queue",
			     "--at=") },
	{ "report", "report", .options = OPTIONS("--json") },
	{ "perfetto", "export", "--format=perfetto", OUTPUT_PERFETTO,
	  OPTIONS(FILTERS, "--kind=", "--min-latency=", "-d="), 0 },
	{ "pcapng", "export", "--format=pcapng", OUTPUT_PCAPNG,
	  OPTIONS(FILTERS, "--kind=", "--payload=", "-d="), 0 },
	{ "ndjson", "export", "--format=ndjson", OUTPUT_JSON,
	  OPTIONS(FILTERS, "--kind=", "--payload=", "-d="), 0 },
};

/* The tool's variables, and what was in them before it first ran */
extern char __start_tool_data[], __stop_tool_data[];
extern char __start_tool_bss[], __stop_tool_bss[];
static char *data_before, *bss_before;

static char path[64], path_before[64];
static int null = -1, output = -1, complaints = -1;
static bool fd_ours[FD_MAX];

/* Memory of the run: an open hash table of what is allocated and not freed */
#define BLOCKS_MIN 4096
static const volatile void **blocks;
static size_t n_blocks, max_blocks;
static _Thread_local bool running;

static FILE *files[FILES_MAX];
static jmp_buf back;

/* Not memcpy(): between variables there are bytes that must not be touched. */
__attribute__((no_sanitize("address", "undefined", "coverage")))
static void copy(void *to, const void *from, size_t n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
}

static size_t slot_of(const volatile void *p)
{
	return ((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15 >> 32 & (max_blocks - 1);
}

static size_t next_slot(size_t i)
{
	return (i + 1) & (max_blocks - 1);
}

static void add_block(const volatile void *p)
{
	size_t i;

	for (i = slot_of(p); blocks[i]; i = next_slot(i))
		;
	blocks[i] = p;
}

static void resize_blocks(size_t size)
{
	const volatile void **old = blocks;
	size_t i, n = max_blocks;

	running = false;
	blocks = calloc(size, sizeof(*blocks));
	max_blocks = size;
	for (i = 0; i < n; i++)
		if (old[i])
			add_block(old[i]);
	free(old);
	running = true;
}

static void on_malloc(const volatile void *p, size_t size)
{
	(void)size;
	if (!running || !p)
		return;
	if (++n_blocks > max_blocks / 2)
		resize_blocks(max_blocks * 2);
	add_block(p);
}

static void on_free(const volatile void *p)
{
	size_t i, j, home;

	if (!n_blocks || !p)
		return;
	for (i = slot_of(p); blocks[i] != p; i = next_slot(i))
		if (!blocks[i])
			return;
	n_blocks--;
	/* those behind it that would stand there close the gap */
	for (j = next_slot(i); blocks[j]; j = next_slot(j)) {
		home = slot_of(blocks[j]);
		if (((j - home) & (max_blocks - 1)) <
		    ((j - i) & (max_blocks - 1)))
			continue;
		blocks[i] = blocks[j];
		i = j;
	}
	blocks[i] = NULL;
}

static void free_blocks(void)
{
	size_t i;

	for (i = 0; n_blocks; i = next_slot(i))
		while (blocks[i])
			free((void *)blocks[i]);
	if (max_blocks > BLOCKS_MIN) {
		resize_blocks(BLOCKS_MIN);
		running = false;
	}
}

_Noreturn void tool_exit(int status);
_Noreturn void tool_exit(int status)
{
	longjmp(back, 1 + status);
}

/* What a wrong option ends in */
void tool_argp_error(const struct argp_state *state, const char *fmt, ...);
void tool_argp_error(const struct argp_state *state, const char *fmt, ...)
{
	(void)state;
	(void)fmt;
	tool_exit(2);
}

error_t tool_argp_parse(const struct argp *argp, int argc, char **argv,
			unsigned int flags, int *arg, void *in);
error_t tool_argp_parse(const struct argp *argp, int argc, char **argv,
			unsigned int flags, int *arg, void *in)
{
	if (argp_parse(argp, argc, argv, flags | ARGP_NO_EXIT, arg, in))
		tool_exit(2);
	return 0;
}

static FILE *keep(FILE *file)
{
	int i;

	for (i = 0; file && files[i]; i++)
		if (i == FILES_MAX - 1)
			abort();
	if (file)
		files[i] = file;
	return file;
}

FILE *tool_fopen(const char *name, const char *mode);
FILE *tool_fopen(const char *name, const char *mode)
{
	return keep(fopen(name, mode));
}

FILE *tool_tmpfile(void);
FILE *tool_tmpfile(void)
{
	return keep(fdopen(memfd_create("tmpfile", MFD_CLOEXEC), "w+"));
}

int tool_fclose(FILE *file);
int tool_fclose(FILE *file)
{
	int i;

	for (i = 0; files[i] != file; i++)
		;
	files[i] = NULL;
	return fclose(file);
}

/* The same each time, else an input could not be tried again. */
ssize_t tool_getrandom(void *p, size_t n, unsigned int flags);
ssize_t tool_getrandom(void *p, size_t n, unsigned int flags)
{
	(void)flags;
	memset(p, 0x5a, n);
	return n;
}

/* Ctrl-C is libFuzzer's. */
int tool_sigaction(int sig, const struct sigaction *new, struct sigaction *old);
int tool_sigaction(int sig, const struct sigaction *new, struct sigaction *old)
{
	(void)sig;
	(void)new;
	(void)old;
	return 0;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	_exit(2);
}

static void store(const char *name, const uint8_t *data, size_t n)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, data, n) == (ssize_t)n && !close(fd), name);
}

static void remove_files(void)
{
	unlink(path);
	unlink(path_before);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

static void set_up(void)
{
	size_t data = __stop_tool_data - __start_tool_data;
	size_t bss = __stop_tool_bss - __start_tool_bss;
	int fd;

	data_before = malloc(data);
	bss_before = malloc(bss);
	must(data_before && bss_before, "memory");
	resize_blocks(BLOCKS_MIN);
	running = false;
	copy(data_before, __start_tool_data, data);
	copy(bss_before, __start_tool_bss, bss);
	tzset();
	must(!setvbuf(stdout, malloc(65536), _IOFBF, 65536), "stdout");
	snprintf(path, sizeof(path), "/dev/shm/bus1-fuzz.XXXXXX");
	must(mkdtemp(path), path);
	strcat(path, "/f");
	snprintf(path_before, sizeof(path_before), "%s.1", path);
	atexit(remove_files);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	output = memfd_create("output", MFD_CLOEXEC);
	complaints = memfd_create("complaints", MFD_CLOEXEC);
	must(output >= 0 && complaints >= 0, "memfd");
	must(dup2(null, 0) == 0, "stdin");
	dup2(output, 1);
	dup2(complaints, 2);
	for (fd = 0; fd < FD_MAX; fd++)
		fd_ours[fd] = fcntl(fd, F_GETFD) >= 0;
	if (__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) <= 0)
		must(false, "hooks");
}

static void put_back(void)
{
	int i;

	for (i = 0; i < FILES_MAX; i++) {
		if (files[i])
			fclose(files[i]);
		files[i] = NULL;
	}
	free_blocks();
	copy(__start_tool_data, data_before,
	     __stop_tool_data - __start_tool_data);
	copy(__start_tool_bss, bss_before, __stop_tool_bss - __start_tool_bss);
	dup2(output, 1);
	for (i = 3; i < FD_MAX; i++)
		if (!fd_ours[i])
			close(i);
	clearerr(stdout);
}

static void read_recording(void)
{
	struct recording *recording = recording_open(path);
	struct recorded recorded;
	uint64_t time;

	if (!recording)
		return;
	while (!recording_next(recording, &recorded) &&
	       recorded.kind != RECORDED_END)
		if (recorded.kind == RECORDED_SNAPSHOT)
			snapshot_free(&recorded.snapshot);
	recording_ended(recording, &time);
	recording_close(recording);
	if (n_blocks)
		wrong("memory leaks", "", 0);
}

/* Whoever types options is trusted; and these are the words of a shell. */
static bool is_plain(const char *word)
{
	while (*word > ' ' && *word < 0x7f)
		word++;
	return !*word;
}

/* Puts the words of @line that are allowed behind @argv; "--x=" with a value. */
static int add_options(char *line, char **argv, int n)
{
	const char *always = fuzz_target->always;
	unsigned int words = 0;
	char *word;
	int i;

	while ((word = strsep(&line, " ")) && n < ARGS_MAX) {
		if (!is_plain(word))
			continue;
		if (*word && *word != '-' && words < fuzz_target->words) {
			/* INTERVAL COUNT: not more than 99, to be done soon */
			if (words && !always)
				word[strnlen(word, 2)] = '\0';
			argv[n++] = word;
			words++;
		}
		for (i = 0; fuzz_target->options[i]; i++) {
			const char *option = fuzz_target->options[i];
			size_t length = strlen(option);
			bool value = length && option[length - 1] == '=';

			if (!length || (value ? strncmp(word, option, length) :
						strcmp(word, option)))
				continue;
			if (value && word[1] != '-') { /* -x VALUE */
				word[2] = '\0';
				argv[n++] = word;
				word += 3;
			}
			argv[n++] = word;
			break;
		}
	}
	if (!words && !strcmp(fuzz_target->name, "top"))
		argv[n++] = "1", words = 1;
	if (words == 1 && !always)
		argv[n++] = "99";
	/* in the place of words, or an option */
	if (always && (*always == '-' || !words))
		argv[n++] = (char *)always;
	return n;
}

static bool has_json(char **argv, int n)
{
	while (n--)
		if (!strcmp(argv[n], "--json"))
			return true;
	return false;
}

static char *map_output(int fd, size_t *n)
{
	char *p;

	*n = lseek(fd, 0, SEEK_END);
	if (!*n)
		return NULL;
	p = mmap(NULL, *n, PROT_READ, MAP_PRIVATE, fd, 0);
	must(p != MAP_FAILED, "mmap");
	return p;
}

/* Statuses are 0 to 3, and of order 4. */
static void check(enum output kind, int status)
{
	size_t n;
	char *p;

	if (status < 0 || status > 4)
		wrong("no status", "", 0);
	p = map_output(complaints, &n);
	if (p) {
		check_complaints(p, n);
		munmap(p, n);
	}
	p = map_output(output, &n);
	if (p) {
		/* what is ended by an error may not be whole */
		if (status != 1)
			check_output(kind, p, n);
		munmap(p, n);
	}
}

static void empty(int fd)
{
	if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char line[256];
	char *argv[ARGS_MAX + 8] = { "bus1-trace", (char *)fuzz_target->name,
				     "-i", path };
	size_t options = input_options(data, size), second;
	enum output kind = fuzz_target->output;
	int argc = 4, status;

	if (!blocks)
		set_up();
	copy(line, data, options);
	line[options ? options - 1 : 0] = '\0';
	if (fuzz_target->verb)
		argv[1] = (char *)fuzz_target->verb;
	argc = add_options(line, argv, argc);
	if (has_json(argv, argc))
		kind = OUTPUT_JSON;
	data += options;
	size -= options;
	second = input_second(data, size);
	if (second)
		store(path_before, data, second);
	store(path, data + second, size - second);
	empty(output);
	empty(complaints);

	status = setjmp(back);
	if (status) {
		status--;
	} else if (fuzz_target->verb) {
		running = true;
		status = tool_main(argc, argv);
	} else {
		running = true;
		read_recording();
		status = 0;
	}
	fflush(stdout);
	running = false;
	check(kind, status);
	put_back();
	if (second)
		unlink(path_before);
	return 0;
}

/* Freed memory is kept for a while, but not much: memory has a limit here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=16:detect_leaks=0";
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* libFuzzer's own words go elsewhere than the tool's */
	static char *all[256], mask[] = "-close_fd_mask=2";
	const char *name = strrchr(**argv, '/');
	size_t i;

	name = name ? name + 1 : **argv;
	if (!strncmp(name, "trace-", 6))
		name += 6;
	for (i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		if (strcmp(name, "list"))
			fuzz_target = strcmp(name, targets[i].name) ?
					      fuzz_target :
					      &targets[i];
		else
			puts(targets[i].name);
	}
	if (!fuzz_target) {
		fflush(stdout);
		_exit(strcmp(name, "list") ? 2 : 0);
	}
	must(*argc < 254, "arguments");
	fuzz_report = dup(2);
	memcpy(all, *argv, *argc * sizeof(*all));
	all[(*argc)++] = mask;
	*argv = all;
	setenv("TZ", "UTC", 1);
	return 0;
}
