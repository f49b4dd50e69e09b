/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_SNAPSHOT_H
#define _BUS1_TRACE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMM_LEN 16
#define NAME_LEN 32

enum snapshot_extent {
	SNAPSHOT_PEERS, /* cheap, however many handles there are */
	SNAPSHOT_OBJECTS, /* also nodes, handles and queues */
};

/* Who held it before, or opened it, by a descriptor that is not known */
#define FD_UNKNOWN UINT32_MAX

struct holder {
	uint32_t pid, fd;
	char comm[COMM_LEN];
};

struct peer_state {
	uint64_t id, uid, pid, created, nodes, handles, queued, bytes;
	uint64_t received, transactions, oldest; /* see bus1(4) */
	char name[NAME_LEN];
	struct holder *holders;
	size_t n_holders;
	char **objects; /* lines of debugfs: nodes, handles, its queue */
	size_t n_objects;
};

struct snapshot {
	struct peer_state *peers; /* by ID */
	size_t n_peers;
	uint64_t time; /* CLOCK_MONOTONIC ns */
	enum snapshot_extent extent;
	bool debugfs; /* else fdinfo: no objects */
	bool bpf; /* descriptors found by the iterator, else in /proc */
	bool initial_pids; /* /proc shows the initial PID name space */
	size_t unreadable; /* processes */
	size_t cut; /* peers whose objects the kernel had no memory to list */
	size_t size; /* the memory that its lines took, about */
};

/* How things are now. 0, or -ENODEV: there is no module. */
int snapshot_take(struct snapshot *snapshot, enum snapshot_extent extent);
void snapshot_free(struct snapshot *snapshot);

/*
 * For recordings: all of it as lines, and back. After the last line the reader
 * says that it is complete. A line that cannot be understood is ignored.
 */
void snapshot_lines(const struct snapshot *snapshot,
		    void (*line)(const char *line, void *context),
		    void *context);
void snapshot_line(struct snapshot *snapshot, const char *line);
void snapshot_complete(struct snapshot *snapshot);

/*
 * descriptors.c: appends for each descriptor of a peer that can be seen one
 * peer_state, with what fdinfo says and with that one holder.
 */
void descriptors_find(struct snapshot *snapshot, uint32_t major,
		      uint32_t minor);
/* Whether process IDs as the kernel's programs see them are those of /proc */
bool initial_pids(void);

/* Of a line of debugfs: what follows " key=" */
uint64_t object_value(const char *line, const char *key);
void object_word(const char *line, const char *key, char *word, size_t size);
/* Room for one more in an array that doubles at powers of two. */
void *grow(void *array, size_t n, size_t size);

#endif /* _BUS1_TRACE_SNAPSHOT_H */
