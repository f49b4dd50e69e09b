/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TRACE_FUZZ_H
#define _TRACE_FUZZ_H

/*
 * DOC: bus1-trace under libFuzzer
 *
 * An input is one line of options, if any, and a recording; or two of them, one
 * after the other: what record --max-size leaves as F.1 and F. The program
 * runs one verb of the tool, all of it, on that; which one, says its own name.
 *
 *   trace-fuzz.c    one run, and all as before after it
 *   trace-check.c   what was written, is it what it should be
 *   trace-mutate.c  other recordings, made of those at hand
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_MAX 65536

enum output { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_PCAPNG, OUTPUT_PERFETTO };

struct fuzz_target {
	const char *name;
	const char *verb; /* NULL: the reader alone */
	const char *always; /* options of each run, or NULL */
	enum output output;
	/* those that an input may have; what ends in "=" takes any value */
	const char *const *options;
	unsigned int words; /* and how many words besides */
};

extern const struct fuzz_target *fuzz_target;
extern int fuzz_report; /* where it is said what is wrong */

/* trace-check.c: says what is wrong and aborts */
_Noreturn void wrong(const char *what, const char *data, size_t n);
void check_output(enum output kind, const char *data, size_t n);
void check_complaints(const char *data, size_t n);

/* trace-mutate.c: the option line's length, and the second recording's place */
size_t input_options(const uint8_t *data, size_t size);
size_t input_second(const uint8_t *data, size_t size);

#endif /* _TRACE_FUZZ_H */
