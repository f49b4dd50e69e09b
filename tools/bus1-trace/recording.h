/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_RECORDING_H
#define _BUS1_TRACE_RECORDING_H

#include "stream.h"

/*
 * DOC: recording
 *
 * The file of bus1-trace record, written and read; bus1-trace(5) has the
 * format. All that a live run learns is in it, in the order in which it was
 * learned, so that a reader can do the same with it.
 */
struct recording_info {
	struct stream_start start;
	unsigned int schema_major;
	uint64_t part; /* files before this one that are gone: of a rotated one */
	char kernel[72]; /* uname -r */
	char host[72]; /* uname -n */
	char command[256]; /* how it was made */
	bool filtered; /* not everything was let through */
};

/*
 * Writing. Each returns 0 or a negative errno, after which the file is as good
 * as before: what was not written is not half there.
 */
struct recorder;

/* @max_size: bytes in all, 0 is no limit; then the file is rotated. */
struct recorder *recorder_new(const char *path,
			      const struct recording_info *info,
			      uint64_t max_size, int *error);
/* Whether the next thing to do is to write a snapshot: a new file has begun. */
bool recorder_wants_snapshot(struct recorder *r);
int recorder_snapshot(struct recorder *r, const struct snapshot *s);
/* An entry of the ring, as it is: an event, a stack or a payload */
int recorder_entry(struct recorder *r, const void *entry, size_t size);
/* What @ip in process @pid is called, and the path of a cgroup by its ID */
int recorder_symbol(struct recorder *r, uint32_t pid, uint64_t ip,
		    const char *name);
int recorder_cgroup(struct recorder *r, uint64_t id, const char *path);
/* The counts until now; from time to time, so that a killed recorder's file
 * has them, too. */
int recorder_counts(struct recorder *r, const struct bus1_count *counts,
		    const uint64_t *written, uint64_t missed);
/* A line of /sys/kernel/debug/bus1/accounts at the time of the snapshot */
int recorder_account(struct recorder *r, const char *line);
int recorder_flush(struct recorder *r);
uint64_t recorder_bytes(const struct recorder *r);
/* Writes the end, which tells an ended recording from one that was cut off. */
int recorder_end(struct recorder *r, uint64_t time);
int recorder_close(struct recorder *r);

/* Reading. Whatever the file holds, this does not fail but by an error. */
enum recorded_kind {
	RECORDED_END, /* no more; see recording_ended() */
	RECORDED_ENTRY,
	RECORDED_SNAPSHOT,
	RECORDED_SYMBOL,
	RECORDED_CGROUP,
	RECORDED_ACCOUNT,
	RECORDED_COUNTS,
};

struct recorded {
	enum recorded_kind kind;
	union {
		struct {
			const void *data; /* as recorder_entry() got it */
			size_t size;
		} entry;
		struct snapshot snapshot; /* the reader frees it */
		struct {
			uint32_t pid;
			uint64_t ip;
			const char *name;
		} symbol;
		struct {
			uint64_t id;
			const char *path;
		} cgroup;
		const char *account;
		struct {
			struct bus1_count counts[EV_MAX];
			uint64_t written[EV_MAX];
			uint64_t missed;
		} counts;
	};
};

struct recording;

/*
 * Opens @path and, where it was rotated, what is left of the part before it.
 * NULL: it has been complained about.
 */
struct recording *recording_open(const char *path);
const struct recording_info *recording_info(const struct recording *r);
/* 0, or -EBADMSG if the file is damaged, which has been complained about; what
 * was returned before is sound. Pointers are valid until the next call. */
int recording_next(struct recording *r, struct recorded *recorded);
/* Whether its end is there: not if the recorder was killed. */
bool recording_ended(const struct recording *r, uint64_t *time);
void recording_close(struct recording *r);

/* stacks.c: names of addresses, as far as they are known */
/* Live: of process @pid, now. Recorded: as it was found out then. "?" if not. */
const char *symbol_name(uint32_t pid, uint64_t ip);
void symbol_add(uint32_t pid, uint64_t ip, const char *name);
/* Calls @found for each address of @stack that had not been asked for. */
void symbol_each(const struct bus1_stack *stack,
		 void (*found)(uint32_t pid, uint64_t ip, const char *name));

#endif /* _BUS1_TRACE_RECORDING_H */
