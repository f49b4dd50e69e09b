// SPDX-License-Identifier: GPL-2.0-only
/*
 * The frozen interface, number by number. Compiled, never run: as C99 and as
 * C++, for 64 and 32 bit. The header comes first and twice, so it must stand
 * alone and guard itself.
 */
#include <linux/bus1.h>
#include <linux/bus1.h>
#include <stddef.h>

/* C99 has no _Static_assert; a negative array size says the same. */
#define CAT_(_a, _b) _a##_b
#define CAT(_a, _b) CAT_(_a, _b)
#define ASSERT(_c) \
	extern char CAT(assert_, __LINE__)[(_c) ? 1 : -1]

/* Of one u64; or of @_n, for a struct in a struct. */
#define PART(_s, _f, _i, _n)                          \
	ASSERT(offsetof(struct _s, _f) == 8 * (_i) && \
	       sizeof(((struct _s *)0)->_f) == 8 * (_n))
#define FIELD(_s, _f, _i) PART(_s, _f, _i, 1)

/* Aligned to 8 wherever it stands: i386 would make it 4. */
#define STRUCT(_s, _size)                                  \
	struct CAT(_s, _placed) {                          \
		char c;                                    \
		struct _s s;                               \
	};                                                 \
	ASSERT(sizeof(struct _s) == (_size) &&             \
	       offsetof(struct CAT(_s, _placed), s) == 8)

STRUCT(bus1_transfer, 16);
FIELD(bus1_transfer, flags, 0);
FIELD(bus1_transfer, id, 1);

STRUCT(bus1_metadata, 24);
FIELD(bus1_metadata, flags, 0);
FIELD(bus1_metadata, id, 1);
FIELD(bus1_metadata, account, 2);

STRUCT(bus1_message, 56);
FIELD(bus1_message, flags, 0);
FIELD(bus1_message, type, 1);
FIELD(bus1_message, n_transfers, 2);
FIELD(bus1_message, ptr_transfers, 3);
FIELD(bus1_message, n_data, 4);
FIELD(bus1_message, n_data_vecs, 5);
FIELD(bus1_message, ptr_data_vecs, 6);

STRUCT(bus1_cmd_transfer, 40);
FIELD(bus1_cmd_transfer, flags, 0);
FIELD(bus1_cmd_transfer, to, 1);
FIELD(bus1_cmd_transfer, n_transfers, 2);
FIELD(bus1_cmd_transfer, ptr_src, 3);
FIELD(bus1_cmd_transfer, ptr_dst, 4);

STRUCT(bus1_cmd_release, 24);
FIELD(bus1_cmd_release, flags, 0);
FIELD(bus1_cmd_release, n_ids, 1);
FIELD(bus1_cmd_release, ptr_ids, 2);

STRUCT(bus1_cmd_send, 40);
FIELD(bus1_cmd_send, flags, 0);
FIELD(bus1_cmd_send, n_destinations, 1);
FIELD(bus1_cmd_send, ptr_destinations, 2);
FIELD(bus1_cmd_send, ptr_errors, 3);
FIELD(bus1_cmd_send, ptr_message, 4);

STRUCT(bus1_cmd_recv, 24);
FIELD(bus1_cmd_recv, flags, 0);
FIELD(bus1_cmd_recv, ptr_metadata, 1);
FIELD(bus1_cmd_recv, ptr_message, 2);

STRUCT(bus1_cmd_name, 24);
FIELD(bus1_cmd_name, flags, 0);
FIELD(bus1_cmd_name, n_name, 1);
FIELD(bus1_cmd_name, ptr_name, 2);

STRUCT(bus1_cmd_features, 16);
FIELD(bus1_cmd_features, flags, 0);
FIELD(bus1_cmd_features, features, 1);

STRUCT(bus1_received, 80);
PART(bus1_received, metadata, 0, 3);
PART(bus1_received, message, 3, 7);

STRUCT(bus1_cmd_call, 160);
FIELD(bus1_cmd_call, flags, 0);
FIELD(bus1_cmd_call, deadline, 1);
FIELD(bus1_cmd_call, destination, 2);
PART(bus1_cmd_call, send, 3, 7);
PART(bus1_cmd_call, received, 10, 10);

STRUCT(bus1_cmd_recv_batch, 32);
FIELD(bus1_cmd_recv_batch, flags, 0);
FIELD(bus1_cmd_recv_batch, deadline, 1);
FIELD(bus1_cmd_recv_batch, n_received, 2);
FIELD(bus1_cmd_recv_batch, ptr_received, 3);

/* _IOWR(0x97, nr, size): direction 3 << 30, size << 16, 0x97 << 8, nr. */
ASSERT(BUS1_IOCTL_MAGIC == 0x97);
ASSERT(BUS1_CMD_TRANSFER == 0xc0289700u);
ASSERT(BUS1_CMD_RELEASE == 0xc0189701u);
ASSERT(BUS1_CMD_SEND == 0xc0289702u);
ASSERT(BUS1_CMD_RECV == 0xc0189703u);
ASSERT(BUS1_CMD_NAME == 0xc0189780u);
ASSERT(BUS1_CMD_FEATURES == 0xc0109781u);
ASSERT(BUS1_CMD_CALL == 0xc0a09782u);
ASSERT(BUS1_CMD_RECV_BATCH == 0xc0209783u);

ASSERT(BUS1_MANAGED == 1 && sizeof(BUS1_MANAGED) == 8);
ASSERT(BUS1_INVALID == ~(__u64)0 && sizeof(BUS1_INVALID) == 8);
ASSERT(BUS1_TRANSFER_FLAG_CREATE == 1);
ASSERT(sizeof(BUS1_TRANSFER_FLAG_CREATE) == 8);
ASSERT(BUS1_SEND_FLAG_CONTINUE == 1 && sizeof(BUS1_SEND_FLAG_CONTINUE) == 8);
ASSERT(BUS1_RECV_FLAG_WAIT == 1 && sizeof(BUS1_RECV_FLAG_WAIT) == 8);
ASSERT(BUS1_MESSAGE_FLAG_FLAT == 1 && sizeof(BUS1_MESSAGE_FLAG_FLAT) == 8);
ASSERT(BUS1_FEATURE_NAME == 0x1 && sizeof(BUS1_FEATURE_NAME) == 8);
ASSERT(BUS1_FEATURE_WAIT == 0x2 && sizeof(BUS1_FEATURE_WAIT) == 8);
ASSERT(BUS1_FEATURE_CALL == 0x4 && sizeof(BUS1_FEATURE_CALL) == 8);
ASSERT(BUS1_FEATURE_BATCH == 0x8 && sizeof(BUS1_FEATURE_BATCH) == 8);
ASSERT(BUS1_FEATURE_FLAT == 0x10 && sizeof(BUS1_FEATURE_FLAT) == 8);
ASSERT(BUS1_MESSAGE_TYPE_USER == 0);
ASSERT(BUS1_MESSAGE_TYPE_NODE_RELEASE == 1);
ASSERT(BUS1_MESSAGE_TYPE_HANDLE_RELEASE == 2);
ASSERT(_BUS1_MESSAGE_TYPE_N == 3);

ASSERT(BUS1_MAX_TRANSFERS == 65536);
ASSERT(BUS1_MAX_DESTINATIONS == 65536);
ASSERT(BUS1_MAX_IDS == 65536);
ASSERT(BUS1_MAX_BATCH == 1024);
ASSERT(BUS1_MAX_NAME == 31);
ASSERT(BUS1_MAX_PRODUCT == 1048576);

/* The unsigned 64-bit integer a pointer travels in, and the way back. */
ASSERT(sizeof(BUS1_FROM_PTR((char *)0)) == 8);
ASSERT(sizeof(BUS1_TO_PTR((__u64)0)) == sizeof(void *));
ASSERT((__u64)-1 > 0);

/* The helpers as a program uses them; a high 32-bit address stays unsigned. */
void *abi_round_trip(void *p);
void *abi_round_trip(void *p)
{
	struct bus1_cmd_recv cmd = { 0, BUS1_FROM_PTR(p), BUS1_FROM_PTR(0) };

	return BUS1_TO_PTR(cmd.ptr_metadata);
}
