/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_OBJECTS_H
#define _TESTS_OBJECTS_H

/*
 * DOC: what debugfs says of the bus, for tests
 */
#include <sys/mount.h>

#include "b1.h"

#define OBJECTS "/sys/kernel/debug/bus1/objects"
#define PEERS "/sys/kernel/debug/bus1/peers"

/* Else the rest is skipped. */
static inline bool objects_there(void)
{
	if (access("/sys/kernel/debug/bus1", F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (!access(OBJECTS, R_OK))
		return true;
	skip(1, "no debugfs: %s", strerror(errno));
	return false;
}

/* The value of @key in a line; ~0 if it is not there. */
static inline uint64_t value(const char *line, const char *key)
{
	char find[32];
	const char *p;

	snprintf(find, sizeof(find), " %s=", key);
	p = strstr(line, find);
	return p ? strtoull(p + strlen(find), NULL, 10) : ~0ull;
}

/* Copy the first line of @kind with these two values; false if none. */
static inline bool line_of(const char *kind, uint64_t peer, uint64_t id,
			   char *out, size_t size)
{
	FILE *f = fopen(OBJECTS, "re");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (strncmp(line, kind, strlen(kind)) ||
		    line[strlen(kind)] != ' ')
			continue;
		line[strcspn(line, "\n")] = 0;
		found = strcmp(kind, "peer") ? value(line, "peer") == peer &&
						       value(line, "id") == id
					     : value(line, "id") == peer;
	}
	if (f)
		fclose(f);
	snprintf(out, size, "%s", found ? line : "");
	return found;
}

/* Does it say so? */
static inline bool has(const char *line, const char *key, uint64_t want)
{
	if (value(line, key) == want)
		return true;
	diag("%s is not %llu in: %s", key, (unsigned long long)want, line);
	return false;
}

#endif /* _TESTS_OBJECTS_H */
