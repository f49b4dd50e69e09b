/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_BENCH_ISOLATION_H
#define _TESTS_BENCH_ISOLATION_H

/* What isolation and isolation-calls have in common. Define _GNU_SOURCE before. */
#include "../uapi/tap.h"
#include "scale.h"

/* A parameter of the module, for users who are seen from now on */
static inline void isolation_set(const char *parameter, const char *value)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/bus1/parameters/%s",
		 parameter);
	f = fopen(path, "we");
	if (!f || fputs(value, f) < 0 || fclose(f))
		bench_fail(path);
}

#endif /* _TESTS_BENCH_ISOLATION_H */
