/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_INTERVAL_H
#define _BUS1_TRACE_INTERVAL_H

#include "stream.h"

/*
 * DOC: interval
 *
 * What verbs have in common that show, every so many seconds, what was added up
 * in the kernel. From a recording the same is added up here, of the events.
 */
struct interval {
	uint64_t number; /* from 1 */
	uint64_t start, time; /* begin and end */
	uint64_t uncounted; /* events that found a map full */
	const struct snapshot *snapshot; /* at its end; NULL of a recording */
};

struct bpf_object;

struct interval_verb {
	const char *name;
	/* BUS1_EVENT_BIT() of what is added up; of what tells who is who; and */
	/* without which of them there is no point */
	uint32_t events, also, required;
	double interval; /* seconds; 0: there is one */
	bool snapshots; /* at the end of each */

	/* Live. The object, with its constants set, to be loaded; or NULL, errno */
	struct bpf_object *(*open)(void);
	void (*close)(void);
	/* Ends an interval in the kernel; reads it. 0, or a negative errno */
	int (*turn)(void);
	int (*read)(void);

	/* Recorded */
	void (*snapshot)(const struct snapshot *snapshot);
	void (*event)(const struct item *item);
	void (*account)(const char *line);

	/* Each may be NULL. Shows what was read, or added up, and forgets it. */
	void (*show)(const struct interval *interval);
	/* Before the counts, after @n intervals */
	void (*end)(uint64_t n);
	/* How many events of each type what was shown is made of */
	const uint64_t *shown;
};

/* Returns the exit status. */
int interval_run(const struct interval_verb *verb);
/* A peer of which the kernel knows who it is; its name is kept as long as fit */
void interval_name(uint64_t id, const struct peer *who);
/* The filter, as far as it is about peers, is satisfied by @id. */
bool interval_wants(uint64_t id);
/* On a terminal, in the place of what was there; else below it */
void interval_title(const struct interval *interval);
/* In 7 columns at most, three digits of it */
#define TIME_SIZE 24
void format_time(char *buf, uint64_t ns);
/* Members of a JSON record: who @id is, as far as that is known */
void json_who(uint64_t id);

#endif /* _BUS1_TRACE_INTERVAL_H */
