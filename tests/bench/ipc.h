/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_BENCH_IPC_H
#define _TESTS_BENCH_IPC_H

/*
 * DOC: a way to bring a message from one end to another
 *
 * A way makes a channel of two ends, and moves messages of one size through it:
 * from the end that puts into the other, which gets. Each does it as its best
 * users do: the fewest system calls, buffers and arguments made once, limits
 * raised where they can be. A call that fails ends the program.
 */
#include "bench.h"

/* In front of every buffer there is so much room for a way's own header. */
#define IPC_HEAD 64
/* So many messages are sent before they are received, where it is not one. */
#define IPC_BATCH 32

/* ipc_way.groups */
#define IPC_ROUNDTRIP 1
#define IPC_ONEWAY 2
#define IPC_BURST 4
#define IPC_ALL 7

/**
 * struct ipc_end - one end of a channel
 * @rx:   what messages are received from: a descriptor, or a queue's ID
 * @tx:   what they are sent to
 * @wait: what says that there is one, for ways that ask first
 * @data: where the last message is, if that is not in the room
 * @more: what else the way keeps here
 */
struct ipc_end {
	int rx;
	int tx;
	int wait;
	const char *data;
	void *more;
};

/**
 * struct ipc_way - a transport, and how it is used
 * @name:  as it is printed
 * @groups: what it is measured for
 * @open:  makes @e[0] and @e[1] for up to @many messages of @n bytes at once;
 *         NULL, or why there are none
 * @join:  called once in the second process, before anything is sent; or NULL
 * @put:   sends
 * @get:   waits and receives; has not to wait but in group roundtrip
 * @call:  what @put and @get of a client do, in one; or NULL
 * @serve: sends all that comes back to where it came from, for ever; or NULL:
 *         @get and @put
 * @batch: group oneway, instead of @put and @get: sends IPC_BATCH messages of
 *         @data and receives them in @room, ipc_step() apart; or NULL
 *
 * Data and room are at the beginning of a page.
 */
struct ipc_way {
	const char *name;
	unsigned int groups;
	const char *(*open)(struct ipc_end *e, size_t n, int many);
	void (*join)(struct ipc_end *e);
	void (*put)(struct ipc_end *e, const void *data, size_t n);
	void (*get)(struct ipc_end *e, void *room, size_t n);
	void (*call)(struct ipc_end *e, const void *data, void *room, size_t n);
	void (*serve)(struct ipc_end *e, void *room, size_t n);
	void (*batch)(struct ipc_end *e, const void *data, void *room,
		      size_t n);
};

/* Rooms of many messages: from one to the next. */
static inline size_t ipc_step(size_t n)
{
	return (n + IPC_HEAD + 4095) & ~4095ul;
}

/* Each ends with one that has no name. */
extern const struct ipc_way ipc_bus1[];
extern const struct ipc_way ipc_file[]; /* pipes and sockets */
extern const struct ipc_way ipc_queue[]; /* mq and sysv */
extern const struct ipc_way ipc_shared[]; /* shared memory */
extern const struct ipc_way ipc_binder[];

#endif /* _TESTS_BENCH_IPC_H */
