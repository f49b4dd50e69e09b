/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_TAP_H
#define _TESTS_TAP_H

/*
 * DOC: a test program's results, in the Test Anything Protocol
 *
 * ok() is one assertion, one line. A program that knows how many it makes says
 * so first by plan(); any other prints the plan last. main() ends with
 * "return done_testing();". Every function may be called from any thread, but
 * not from a child after fork(): a child reports by its exit status.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t tap_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int tap_planned;
static unsigned int tap_count;
static unsigned int tap_failed;

__attribute__((constructor)) static void tap_init(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
}

/* Say how many results will follow. */
static inline void plan(unsigned int n)
{
	pthread_mutex_lock(&tap_lock);
	tap_planned = n;
	printf("1..%u\n", n);
	pthread_mutex_unlock(&tap_lock);
}

/* Say something to the person who reads the log. */
static inline __attribute__((format(printf, 1, 2))) void diag(const char *fmt,
							      ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&tap_lock);
	printf("# %s\n", text);
	pthread_mutex_unlock(&tap_lock);
}

static inline __attribute__((format(printf, 4, 5))) bool
tap_ok(bool cond, const char *file, int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&tap_lock);
	printf("%s %u - %s\n", cond ? "ok" : "not ok", ++tap_count, text);
	if (!cond) {
		tap_failed++;
		printf("# failed at %s:%d\n", file, line);
	}
	pthread_mutex_unlock(&tap_lock);
	return cond;
}

/* One assertion; returns its outcome. */
#define ok(_cond, ...) tap_ok((_cond), __FILE__, __LINE__, __VA_ARGS__)

/* Count @n results as skipped, with the reason. */
static inline __attribute__((format(printf, 2, 3))) void
skip(unsigned int n, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&tap_lock);
	while (n--)
		printf("ok %u # SKIP %s\n", ++tap_count, text);
	pthread_mutex_unlock(&tap_lock);
}

/* Nothing that follows makes sense: end the program as failed. */
static inline __attribute__((format(printf, 1, 2), noreturn)) void
bail_out(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("Bail out! %s\n", text);
	fflush(stdout);
	_Exit(255);
}

/* Print the plan if it is still missing; the exit status of main(). */
static inline int done_testing(void)
{
	bool complete;

	pthread_mutex_lock(&tap_lock);
	if (!tap_planned)
		printf("1..%u\n", tap_count);
	complete = tap_count && (!tap_planned || tap_planned == tap_count);
	if (!complete)
		printf("# %u results, planned were %u\n", tap_count,
		       tap_planned);
	if (tap_failed)
		printf("# %u of %u failed\n", tap_failed, tap_count);
	pthread_mutex_unlock(&tap_lock);
	return complete && !tap_failed ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif /* _TESTS_TAP_H */
