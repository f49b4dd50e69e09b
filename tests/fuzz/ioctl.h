/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_FUZZ_IOCTL_H
#define _TESTS_FUZZ_IOCTL_H

/*
 * DOC: sequences of calls, as the fuzzer makes them
 *
 * An input is a header and up to FUZZ_OPS operations of one size, so that
 * whatever an engine does to the bytes is still a sequence of calls, and a part
 * of one sequence fits into another. Operations name peers by their slot, and
 * nodes and handles by a *selector*: the third handle that the peer has, a node
 * that is gone, no ID at all. "bad" makes one argument of a call hostile.
 *
 * An input is run in one of two ways. *By the model*: one thread makes all
 * calls, and each result, all that is written to user memory, each message and
 * each count is compared with what model.c, which knows the manual and not the
 * module, says it has to be. *By threads*: two or three make the calls at the
 * same time, and what every interleaving has to keep is checked at the end.
 *
 * ioctl-text.c   the bytes, and the lines of text that seeds are written in
 * ioctl-build.c  from an operation to the arguments of a call
 * ioctl-memory.c their memory, which shows what the kernel writes beside them
 * ioctl-check.c  the expected result of a call, and the comparison
 * ioctl-recv.c   the same for what receives
 * ioctl-run.c    a sequence by the model; what the kernel has to say
 * ioctl-threads.c  a sequence by threads
 * ioctl-seeds.c  the test program: all seeds, or files
 * ioctl-engine.c libFuzzer: coverage by KCOV, and mutations that keep the form
 */
#include <linux/bus1.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FUZZ_OPS 48
#define FUZZ_PEERS 4
#define FUZZ_THREADS 3
/* The most IDs a call names, and the most transfers of a message. */
#define FUZZ_IDS 6
#define FUZZ_TRANSFERS 4
/* The most entries of a batch. */
#define FUZZ_BATCH 4
/* The most payload of a message */
#define FUZZ_DATA_MOST 65536

/* --- the input (ioctl-text.c) ------------------------------------------- */

enum fuzz_call {
	FUZZ_OPEN,
	FUZZ_CLOSE,
	FUZZ_TRANSFER,
	FUZZ_RELEASE,
	FUZZ_SEND,
	FUZZ_RECV,
	FUZZ_RECV_BATCH,
	FUZZ_CALL,
	FUZZ_FEATURES,
	FUZZ_NAME,
	FUZZ_POLL,
	FUZZ_FDINFO,
	FUZZ_RAW,
	FUZZ_N_CALLS
};

/* What can be wrong with a call; ignored where it does not fit the call */
enum fuzz_bad {
	BAD_NONE,
	BAD_FLAGS, /* a flag bit that no command knows */
	BAD_MFLAGS, /* the same, of the message */
	BAD_TFLAGS, /* the same, of the last transfer */
	BAD_TYPE, /* the type of a message */
	BAD_CREATE_ID, /* CREATE with an ID */
	BAD_ODD, /* all pointers odd: not an error */
	BAD_CMD_NONE, /* the command: not mapped, */
	BAD_CMD_CUT, /* its end not mapped, */
	BAD_CMD_RO, /* not writable */
	BAD_IN_NONE, /* the array of IDs, destinations, sources, entries */
	BAD_IN_CUT,
	BAD_IN_RO,
	BAD_IN_HIGH, /* an address that no process has */
	BAD_IN_WRAP, /* its end is beyond the address space */
	BAD_OUT_NONE, /* the array of errors or of new handles; metadata */
	BAD_OUT_CUT,
	BAD_OUT_RO,
	BAD_MSG_NONE, /* the message */
	BAD_MSG_CUT,
	BAD_MSG_RO,
	BAD_TR_NONE, /* the transfers of a message, or room for them */
	BAD_TR_CUT,
	BAD_TR_RO,
	BAD_TR_HIGH,
	BAD_VEC_NONE, /* the iovecs */
	BAD_VEC_CUT,
	BAD_VEC_MANY, /* 1025 of them */
	BAD_VEC_LONG, /* one is longer than SSIZE_MAX */
	BAD_VEC_HIGH, /* one has an address that no process has */
	BAD_DATA_NONE, /* the data, or room for it */
	BAD_DATA_CUT,
	BAD_DATA_RO,
	BAD_COUNT_LIMIT, /* one entry more than the limit */
	BAD_COUNT_MAX, /* 2^64 - 1 entries */
	BAD_PRODUCT, /* destinations * (1 + transfers) */
	BAD_TCOUNT_LIMIT, /* of the message: one transfer more than the limit */
	BAD_TCOUNT_MAX,
	BAD_DATA_MORE, /* n_data more than the iovecs hold */
	BAD_DATA_MAX, /* n_data 2^63 */
	BAD_TO_CLOSED, /* TRANSFER to a descriptor that is not open, */
	BAD_TO_OTHER, /* to one of something else, */
	BAD_TO_HUGE, /* to a number no descriptor has */
	BAD_DEADLINE, /* of a batch that does not wait */
	FUZZ_N_BAD
};

/* Bits of fuzz_op.flags */
#define FLAG_CONTINUE 0x01 /* SEND */
#define FLAG_FLAT 0x02 /* the message, or the room */
#define FLAG_RFLAT 0x04 /* CALL: the room */
#define FLAG_ERRORS 0x08 /* SEND: errors[] is wanted */
#define FLAG_ROOM 0x10 /* CALL: "bad" is the room, not what is sent */
#define FLAG_LATER 0x20 /* a deadline a bit later than now */
#define FLAG_SELF 0x40 /* TRANSFER: BUS1_INVALID stands for the same peer */
#define FLAG_WAIT 0x80 /* RECV, RECV_BATCH: where something has to be there */

struct fuzz_op {
	uint8_t call;
	uint8_t peer;
	uint8_t thread;
	uint8_t bad;
	uint8_t flags;
	uint8_t n; /* entries of the array of the command */
	uint8_t m; /* transfers of the message */
	uint8_t size; /* which size of data */
	uint8_t room; /* which room, or how many iovecs */
	uint8_t to; /* which peer, user or command number */
	uint8_t id[FUZZ_IDS];
	uint8_t tr[FUZZ_TRANSFERS];
};

/*
 * The selector of an ID: with this bit, a node or handle is made by the call
 * (CREATE) if that can be. Below it three bits of kind, four of number.
 */
#define SEL_CREATE 0x80
enum fuzz_sel {
	SEL_HANDLE, /* the nth handle of the peer */
	SEL_LAST, /* what it got last, last but one, ... */
	SEL_NODE, /* its nth node */
	SEL_GONE, /* what it had, or what a call that failed has shown */
	SEL_OTHER, /* an ID of the next peer */
	SEL_UNKNOWN, /* never given */
	SEL_N
};

static inline unsigned int fuzz_sel_kind(uint8_t sel)
{
	unsigned int kind = sel >> 4 & 7;

	return kind < SEL_N ? kind : SEL_HANDLE;
}

enum fuzz_mode {
	FUZZ_MODEL,
	FUZZ_TWO, /* threads */
	FUZZ_THREE,
	FUZZ_QUOTA, /* the model, with a low max_objects */
	FUZZ_N_MODES
};

struct fuzz_header {
	uint8_t mode; /* enum fuzz_mode */
	uint8_t quota; /* max_objects, with FUZZ_QUOTA */
};

struct fuzz_input {
	unsigned int n;
	unsigned int threads; /* 0: by the model */
	unsigned int quota; /* 0: what is set */
	struct fuzz_op op[FUZZ_OPS];
};

/* Any bytes are an input. */
void fuzz_decode(struct fuzz_input *in, const uint8_t *data, size_t size);
/* The bytes of an input; at most @room. Returns how many. */
size_t fuzz_encode(const struct fuzz_input *in, uint8_t *data, size_t room);

enum fuzz_call fuzz_op_call(const struct fuzz_op *op);
enum fuzz_bad fuzz_op_bad(const struct fuzz_op *op);
/* Bytes of payload, if it sends */
size_t fuzz_op_size(const struct fuzz_op *op);
/* An operation as a line of text, without its end. */
void fuzz_op_print(const struct fuzz_op *op, char *line, size_t room);
void fuzz_print(const struct fuzz_input *in, const char *name, FILE *to);
/*
 * The next input of a text, and its name. Returns how many bytes it took; 0: no
 * input; negative: the number of the line that is wrong.
 */
long fuzz_parse(const char *text, struct fuzz_input *in, char *name,
		size_t room);

#define ARRAY_SIZE(_a) (sizeof(_a) / sizeof(*(_a)))

/* --- running (ioctl-run.c, ioctl-threads.c) ----------------------------- */

/* How a run ended: NULL, or what is wrong, until the next run. */
const char *fuzz_run(const struct fuzz_input *in);
const char *fuzz_run_threads(const struct fuzz_input *in);

/* Each call and its result is printed to this, if set. */
extern FILE *fuzz_verbose;
/* A peer for one of three users; -1 and errno */
int fuzz_open(unsigned int user);

/* Which operation is under way, for who watches */
extern volatile unsigned int fuzz_at;
/* What is told to the engine beside coverage: a call, and how it ended. */
extern void (*fuzz_event)(uint32_t what);
/* Called by each further thread, once */
extern void (*fuzz_thread_begin)(void);

/* max_objects of users who are seen from now on; false: it cannot be set. */
bool fuzz_set_quota(uint64_t max);
/* No user has anything left; else what there is. */
const char *fuzz_accounts_empty(void);
/* What the kernel has complained about since the last time */
const char *fuzz_kernel_says(void);

#endif /* _TESTS_FUZZ_IOCTL_H */
