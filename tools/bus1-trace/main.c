// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"

bool debug;
static int output_error;

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *does;
} verbs[] = {
	{ "monitor", verb_monitor, "transactions and receipts, as they happen" },
	{ "top", verb_top, "peers by messages, bytes, queue, refusals" },
	{ "latency", verb_latency, "histograms of the time from send to receipt" },
	{ "order", verb_order, "whether all that happens keeps the promised order" },
	{ "handles", verb_handles, "who holds a handle to what, and what looks like a leak" },
	{ "explain", verb_explain, "what came before what in a recording, and why" },
	{ "graph", verb_graph, "who can reach whom, as a picture" },
	{ "acct", verb_acct, "who claims how much from whom, and who is refused" },
	{ "status", verb_status, "all peers as they are now" },
	{ "record", verb_record, "everything, into a file, for later and elsewhere" },
	{ "report", verb_report, "what is in such a file" },
	{ "export", verb_export, "for Perfetto, Wireshark, or as JSON" },
	{ "doctor", verb_doctor, "what this machine offers for tracing" },
};

/* Writes what is buffered. The first error is kept: it is the one that counts. */
bool output_failed(void)
{
	if (!output_error && (fflush(stdout) || ferror(stdout)))
		output_error = errno;
	return output_error;
}

void complain(const char *fmt, ...)
{
	va_list args;

	output_failed();
	fputs("bus1-trace: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

bool parse_number(const char *what, const char *s, uint64_t max,
		  uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(s, &end, 0);
	if (*s >= '0' && *s <= '9' && !*end && !errno && *value <= max)
		return true;
	complain("\"%s\" is not a %s", s, what);
	return false;
}

bool parse_seconds(const char *s, double *seconds)
{
	char *end;

	*seconds = strtod(s, &end);
	if (end != s && !*end && isfinite(*seconds) && *seconds > 0 &&
	    *seconds < 1e9)
		return true;
	complain("\"%s\" is not a number of seconds", s);
	return false;
}

static void help(FILE *out)
{
	size_t i;

	fprintf(out, "Usage: bus1-trace VERB [OPTION]...\n"
		     "Watch bus1, the capability-based IPC: live, or from a recording (-i FILE).\n\n");
	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		fprintf(out, "  %-9s %s\n", verbs[i].name, verbs[i].does);
	fprintf(out, "\n  -h, --help     this text; after a verb, its options\n"
		     "  -V, --version  version and trace schema\n\n"
		     "See bus1-trace(8).\n");
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	int status;
	size_t i;

	if (!word) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
		help(stdout);
		return EXIT_OK;
	}
	if (!strcmp(word, "-V") || !strcmp(word, "--version")) {
		printf("bus1-trace %s, trace schema %d.%d\n", BUS1_VERSION,
		       BUS1_TRACE_SCHEMA_MAJOR, BUS1_TRACE_SCHEMA_MINOR);
		return EXIT_OK;
	}
	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(word, verbs[i].name))
			continue;
		status = verbs[i].run(argc - 1, argv + 1);
		if (output_failed()) {
			complain("writing the output failed: %s",
				 strerror(output_error));
			return EXIT_ERROR;
		}
		return status;
	}
	complain("unknown verb \"%s\"", word);
	help(stderr);
	return EXIT_USAGE;
}
