// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run seeds, those in the tree or files: a test point each. It has no engine,
 * and needs neither coverage nor clang.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../uapi/tap.h"
#include "ioctl.h"

/* All files of seeds-ioctl, one behind the other */
__asm__(".section .rodata\n"
	"seeds: .incbin \"build/fuzz/seeds.txt\"\n"
	".byte 0\n"
	".previous\n");
extern const char seeds[];

static const char *now = "";
static bool explain_only;
static const char *write_to;

static void usage(void)
{
	printf("usage: t-fuzz-seeds [-v] [--repeat N] [FILE...]\n"
	       "       t-fuzz-seeds --explain FILE...\n"
	       "       t-fuzz-seeds --write DIRECTORY\n\n"
	       "Run the seeds of tests/fuzz/seeds-ioctl, or of FILEs (text,\n"
	       "or the engine's bytes): each has to end as the model says.\n\n"
	       "  -v         print each call and its result\n"
	       "  --repeat   so often: with threads each run is another\n"
	       "  --explain  print them as text, as seeds are; run none\n"
	       "  --write    write them as bytes, a file each\n");
}

static void hung(int sig)
{
	char text[128];
	int n = snprintf(text, sizeof(text),
			 "Bail out! %s hangs in call %u\n", now, fuzz_at);

	(void)sig;
	if (write(STDOUT_FILENO, text, n) < 0)
		_exit(254);
	_exit(255);
}

static void run(const struct fuzz_input *in, const char *name,
		unsigned int repeat)
{
	const char *what = NULL;
	char path[512];
	uint8_t data[4096];
	size_t n;
	FILE *f;

	now = name;
	if (explain_only) {
		fuzz_print(in, name, stdout);
		return;
	}
	if (write_to) {
		n = fuzz_encode(in, data, sizeof(data));
		snprintf(path, sizeof(path), "%s/%s", write_to, name);
		f = fopen(path, "w");
		if (!f || fwrite(data, n, 1, f) != 1 || fclose(f))
			bail_out("cannot write %s", path);
		return;
	}
	alarm(60);
	while (!what && repeat--)
		what = in->threads ? fuzz_run_threads(in) : fuzz_run(in);
	alarm(0);
	if (!ok(!what, "%s", name)) {
		diag("call %u: %s", fuzz_at, what);
		fuzz_print(in, name, stdout);
	}
}

/* All seeds of a text; how many. */
static unsigned int run_text(const char *text, const char *from,
			     unsigned int repeat)
{
	struct fuzz_input in;
	char name[128];
	unsigned int n = 0;
	long used;

	while ((used = fuzz_parse(text, &in, name, sizeof(name))) > 0) {
		run(&in, name, repeat);
		text += used;
		n++;
	}
	if (used < 0)
		bail_out("%s: line %ld of the seed behind %s is wrong", from,
			 -used, *now ? now : "the beginning");
	return n;
}

static void run_file(const char *path, unsigned int repeat)
{
	static char data[1 << 20];
	struct fuzz_input in;
	FILE *f = fopen(path, "r");
	const char *base = strrchr(path, '/');
	size_t n;

	if (!f)
		bail_out("cannot read %s", path);
	n = fread(data, 1, sizeof(data) - 1, f);
	data[n] = 0;
	fclose(f);
	/* No input of the engine begins like a text. */
	if (!strncmp(data, "seed ", 5) || !strncmp(data, "# ", 2)) {
		run_text(data, path, repeat);
		return;
	}
	fuzz_decode(&in, (uint8_t *)data, n);
	run(&in, base ? base + 1 : path, repeat);
}

int main(int argc, char **argv)
{
	unsigned int repeat = 1;
	int i, files = 0;

	signal(SIGALRM, hung);
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-v")) {
			fuzz_verbose = stdout;
		} else if (!strcmp(argv[i], "--explain")) {
			explain_only = true;
		} else if (!strcmp(argv[i], "--write") && i + 1 < argc) {
			write_to = argv[++i];
		} else if (!strcmp(argv[i], "--repeat") && i + 1 < argc) {
			repeat = strtoul(argv[++i], NULL, 10);
		} else if (*argv[i] == '-') {
			usage();
			return strcmp(argv[i], "--help") ? 2 : 0;
		} else {
			run_file(argv[i], repeat);
			files++;
		}
	}
	if (!files)
		run_text(seeds, "seeds-ioctl", repeat);
	return explain_only || write_to ? 0 : done_testing();
}
