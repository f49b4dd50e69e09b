/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_ABI_H
#define _BUS1_TRACE_ABI_H

/*
 * DOC: the numbers in bus1's tracepoints
 *
 * Shared by the module, the BPF programs and the tools; plain C, no types. The
 * minor version grows when an event or an argument is appended, the major when
 * anything a reader relied on changes. /sys/class/misc/bus1/trace_schema shows
 * the version of the loaded module as "MAJOR.MINOR".
 */
#define BUS1_TRACE_SCHEMA_MAJOR 1
#define BUS1_TRACE_SCHEMA_MINOR 4

/* tx_begin.kind, tx_commit.kind: what made the transaction; RECV makes none */
#define BUS1_TX_TRANSFER 0
#define BUS1_TX_RELEASE 1
#define BUS1_TX_SEND 2
#define BUS1_TX_CLOSE 4
/*
 * What a running call lets go: handles that were released while it held them,
 * and those in messages that came too late.
 */
#define BUS1_TX_DROP 5

/* handle_new.how */
#define BUS1_HOW_CREATED 0 /* by TRANSFER, together with its node */
#define BUS1_HOW_TRANSFERRED 1 /* by TRANSFER, a copy */
#define BUS1_HOW_MESSAGE 2 /* came with a message */

/* the argument "why" of *_release, msg_discard and notify_drop */
#define BUS1_WHY_RELEASED 1 /* the owner released it, or its node */
#define BUS1_WHY_CLOSED 2 /* the owner's last descriptor was closed */
#define BUS1_WHY_NOTIFIED 3 /* gone with the receipt of its notification */
#define BUS1_WHY_QUOTA 4 /* skipped: no quota, and BUS1_SEND_FLAG_CONTINUE */

/* notify_*.kind; the values of BUS1_MESSAGE_TYPE_* */
#define BUS1_KIND_NODE_RELEASE 1
#define BUS1_KIND_HANDLE_RELEASE 2

/* recv_wait.why */
#define BUS1_WAIT_READY 0 /* something is receivable */
#define BUS1_WAIT_DEADLINE 1 /* the deadline has passed */
#define BUS1_WAIT_SIGNAL 2 /* a signal came */

/* op_fail.cmd, acct_reject.op: the ioctl number; OPEN is none, but open(2) */
#define BUS1_OP_TRANSFER 0
#define BUS1_OP_RELEASE 1
#define BUS1_OP_SEND 2
#define BUS1_OP_RECV 3
#define BUS1_OP_NAME 128
#define BUS1_OP_FEATURES 129
#define BUS1_OP_CALL 130
#define BUS1_OP_RECV_BATCH 131
#define BUS1_OP_OPEN 256

/* op_fail.check, and what op_fail.detail then holds */
#define BUS1_CHECK_FLAGS 1 /* unknown flag bits; the flags */
#define BUS1_CHECK_POINTER 2 /* user memory; the address */
#define BUS1_CHECK_LIMIT 3 /* array longer than its limit; the count */
#define BUS1_CHECK_ID 4 /* unknown ID, or not a handle; the ID */
#define BUS1_CHECK_DUPLICATE 5 /* ID twice; the ID */
#define BUS1_CHECK_TYPE 6 /* message type; the type */
#define BUS1_CHECK_CREATE 7 /* CREATE with an ID; the ID */
#define BUS1_CHECK_FD 8 /* not an open descriptor, or not a peer; the fd */
#define BUS1_CHECK_DATA 9 /* n_data more than the iovecs; n_data */
#define BUS1_CHECK_IOVEC 10 /* an iovec; the number of iovecs */
#define BUS1_CHECK_ROOM 11 /* RECV: room too small; bytes needed */
#define BUS1_CHECK_MEMORY 12 /* no memory; 0 */
#define BUS1_CHECK_SIGNAL 13 /* killed, or waiting: a signal came; 0 */
#define BUS1_CHECK_QUOTA 14 /* quota; the amount. op_fail then says more */
#define BUS1_CHECK_NAME 15 /* not a character of a name; the byte */
#define BUS1_CHECK_DEADLINE 16 /* waiting: it has passed; the deadline, in ns */

/* acct_*.resource, op_fail.resource */
#define BUS1_RESOURCE_OBJECTS 0 /* peers, nodes, handles, messages */
#define BUS1_RESOURCE_BYTES 1 /* payload */

/* acct_reject.level, op_fail.level: what the claim would have taken */
#define BUS1_LEVEL_USER 1 /* more than is left to the claiming user */
#define BUS1_LEVEL_PEER 2 /* what must stay for that user's other peers */

#endif /* _BUS1_TRACE_ABI_H */
