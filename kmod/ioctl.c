// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands: arguments in, results out. Those that send and receive are in
 * message-ioctl.c.
 */
#include <linux/build_bug.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/stddef.h>

#include "internal.h"
#include "trace.h"
#include "user.h"

/* RELEASE of up to so many IDs allocates nothing. */
#define BUS1_RELEASE_STACK 32

#define BUS1_ABI_SIZE(_type, _size)                                           \
	static_assert(sizeof(struct _type) == (_size) &&                      \
		      __alignof__(struct _type) == 8)
#define BUS1_ABI_FIELD(_type, _field, _index)                                 \
	static_assert(offsetof(struct _type, _field) == 8 * (_index) &&       \
		      sizeof_field(struct _type, _field) == 8)

BUS1_ABI_SIZE(bus1_transfer, 16);
BUS1_ABI_FIELD(bus1_transfer, flags, 0);
BUS1_ABI_FIELD(bus1_transfer, id, 1);
BUS1_ABI_SIZE(bus1_metadata, 24);
BUS1_ABI_FIELD(bus1_metadata, flags, 0);
BUS1_ABI_FIELD(bus1_metadata, id, 1);
BUS1_ABI_FIELD(bus1_metadata, account, 2);
BUS1_ABI_SIZE(bus1_message, 56);
BUS1_ABI_FIELD(bus1_message, flags, 0);
BUS1_ABI_FIELD(bus1_message, type, 1);
BUS1_ABI_FIELD(bus1_message, n_transfers, 2);
BUS1_ABI_FIELD(bus1_message, ptr_transfers, 3);
BUS1_ABI_FIELD(bus1_message, n_data, 4);
BUS1_ABI_FIELD(bus1_message, n_data_vecs, 5);
BUS1_ABI_FIELD(bus1_message, ptr_data_vecs, 6);
BUS1_ABI_SIZE(bus1_cmd_transfer, 40);
BUS1_ABI_FIELD(bus1_cmd_transfer, flags, 0);
BUS1_ABI_FIELD(bus1_cmd_transfer, to, 1);
BUS1_ABI_FIELD(bus1_cmd_transfer, n_transfers, 2);
BUS1_ABI_FIELD(bus1_cmd_transfer, ptr_src, 3);
BUS1_ABI_FIELD(bus1_cmd_transfer, ptr_dst, 4);
BUS1_ABI_SIZE(bus1_cmd_release, 24);
BUS1_ABI_FIELD(bus1_cmd_release, flags, 0);
BUS1_ABI_FIELD(bus1_cmd_release, n_ids, 1);
BUS1_ABI_FIELD(bus1_cmd_release, ptr_ids, 2);
BUS1_ABI_SIZE(bus1_cmd_send, 40);
BUS1_ABI_FIELD(bus1_cmd_send, flags, 0);
BUS1_ABI_FIELD(bus1_cmd_send, n_destinations, 1);
BUS1_ABI_FIELD(bus1_cmd_send, ptr_destinations, 2);
BUS1_ABI_FIELD(bus1_cmd_send, ptr_errors, 3);
BUS1_ABI_FIELD(bus1_cmd_send, ptr_message, 4);
BUS1_ABI_SIZE(bus1_cmd_recv, 24);
BUS1_ABI_FIELD(bus1_cmd_recv, flags, 0);
BUS1_ABI_FIELD(bus1_cmd_recv, ptr_metadata, 1);
BUS1_ABI_FIELD(bus1_cmd_recv, ptr_message, 2);
BUS1_ABI_SIZE(bus1_cmd_name, 24);
BUS1_ABI_FIELD(bus1_cmd_name, flags, 0);
BUS1_ABI_FIELD(bus1_cmd_name, n_name, 1);
BUS1_ABI_FIELD(bus1_cmd_name, ptr_name, 2);
BUS1_ABI_SIZE(bus1_cmd_features, 16);
BUS1_ABI_FIELD(bus1_cmd_features, flags, 0);
BUS1_ABI_FIELD(bus1_cmd_features, features, 1);
BUS1_ABI_SIZE(bus1_received, 80);
static_assert(offsetof(struct bus1_received, message) == 24);
BUS1_ABI_SIZE(bus1_cmd_call, 160);
BUS1_ABI_FIELD(bus1_cmd_call, flags, 0);
BUS1_ABI_FIELD(bus1_cmd_call, deadline, 1);
BUS1_ABI_FIELD(bus1_cmd_call, destination, 2);
static_assert(offsetof(struct bus1_cmd_call, send) == 24);
static_assert(offsetof(struct bus1_cmd_call, received) == 80);
BUS1_ABI_SIZE(bus1_cmd_recv_batch, 32);
BUS1_ABI_FIELD(bus1_cmd_recv_batch, flags, 0);
BUS1_ABI_FIELD(bus1_cmd_recv_batch, deadline, 1);
BUS1_ABI_FIELD(bus1_cmd_recv_batch, n_received, 2);
BUS1_ABI_FIELD(bus1_cmd_recv_batch, ptr_received, 3);
static_assert(BUS1_CMD_TRANSFER == 0xc0289700);
static_assert(BUS1_CMD_RELEASE == 0xc0189701);
static_assert(BUS1_CMD_SEND == 0xc0289702);
static_assert(BUS1_CMD_RECV == 0xc0189703);
static_assert(BUS1_CMD_NAME == 0xc0189780);
static_assert(BUS1_CMD_FEATURES == 0xc0109781);
static_assert(BUS1_CMD_CALL == 0xc0a09782);
static_assert(BUS1_CMD_RECV_BATCH == 0xc0209783);
static_assert(BUS1_MANAGED == 1 && BUS1_INVALID == U64_MAX);
static_assert(BUS1_TRANSFER_FLAG_CREATE == 1 && BUS1_SEND_FLAG_CONTINUE == 1);
static_assert(BUS1_RECV_FLAG_WAIT == 1 && BUS1_MESSAGE_FLAG_FLAT == 1);
static_assert(BUS1_MESSAGE_TYPE_USER == 0);
static_assert(BUS1_MESSAGE_TYPE_NODE_RELEASE == BUS1_KIND_NODE_RELEASE);
static_assert(BUS1_MESSAGE_TYPE_HANDLE_RELEASE == BUS1_KIND_HANDLE_RELEASE);

/* bus1_array_in() of any number of elements, to be freed with kvfree(). */
void *bus1_array_copy(u64 ptr, size_t n, size_t size, struct bus1_fault *fault)
{
	void *array;
	int r;

	if (!n)
		return NULL;
	array = kvmalloc_array(n, size, BUS1_GFP);
	if (!array)
		return ERR_PTR(bus1_refuse(fault, -ENOMEM, BUS1_CHECK_MEMORY,
					   0));
	r = bus1_copy_in(array, ptr, n * size, fault);
	if (r) {
		kvfree(array);
		return ERR_PTR(r);
	}
	return array;
}

/* The IDs of new nodes. The flags in @transfers are what the caller gave. */
int bus1_created_out(u64 ptr, const struct bus1_transfer *transfers, size_t n,
		     struct bus1_fault *fault)
{
	struct bus1_transfer out = {};
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		if (!transfers[i].flags)
			continue;
		out.id = transfers[i].id;
		r = bus1_copy_out(ptr + i * sizeof(out), &out, sizeof(out),
				  fault);
		if (r)
			return r;
		cond_resched();
	}
	return 0;
}

static noinline int bus1_ioctl_transfer(struct bus1_peer *peer, u64 arg,
					struct bus1_fault *fault)
{
	struct bus1_transfer *src, *dst, one_src, one_dst;
	struct bus1_cmd_transfer cmd;
	struct bus1_transfer_op op;
	struct bus1_peer *to = peer;
	struct file *file = NULL;
	size_t n;
	int r;

	r = bus1_copy_in(&cmd, arg, sizeof(cmd), fault);
	if (r)
		return r;
	if (cmd.flags)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS, cmd.flags);
	if (cmd.n_transfers > BUS1_MAX_TRANSFERS)
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_LIMIT,
				   cmd.n_transfers);
	n = cmd.n_transfers;

	if (cmd.to != BUS1_INVALID) {
		file = cmd.to <= INT_MAX ? fget(cmd.to) : NULL;
		if (!file)
			return bus1_refuse(fault, -EBADF, BUS1_CHECK_FD,
					   cmd.to);
		to = bus1_cdev_peer(file);
		r = bus1_refuse(fault, -EOPNOTSUPP, BUS1_CHECK_FD, cmd.to);
		if (!to)
			goto out_file;
	}

	r = 0;
	src = bus1_array_in(&one_src, cmd.ptr_src, n, sizeof(*src), fault);
	if (IS_ERR_OR_NULL(src)) {
		r = PTR_ERR_OR_ZERO(src);
		goto out_file;
	}
	dst = n == 1 ? &one_dst : kvmalloc_array(n, sizeof(*dst), BUS1_GFP);
	r = bus1_refuse(fault, -ENOMEM, BUS1_CHECK_MEMORY, 0);
	if (!dst)
		goto out_src;

	r = bus1_transfer_prepare(&op, peer, to, src, dst, n, fault);
	if (r)
		goto out_dst;
	r = bus1_created_out(cmd.ptr_src, src, n, fault);
	if (!r)
		r = bus1_copy_out(cmd.ptr_dst, dst, n * sizeof(*dst), fault);
	if (!r)
		r = bus1_transfer_commit(&op);
	if (r)
		bus1_transfer_abort(&op);

out_dst:
	bus1_array_free(dst, &one_dst);
out_src:
	bus1_array_free(src, &one_src);
out_file:
	if (file)
		fput(file);
	return r;
}

static noinline int bus1_ioctl_release(struct bus1_peer *peer, u64 arg,
				       struct bus1_fault *fault)
{
	u64 stack[BUS1_RELEASE_STACK], *ids = stack;
	struct bus1_cmd_release cmd;
	int r;

	r = bus1_copy_in(&cmd, arg, sizeof(cmd), fault);
	if (r)
		return r;
	if (cmd.flags)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS, cmd.flags);
	if (cmd.n_ids > BUS1_MAX_IDS)
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_LIMIT,
				   cmd.n_ids);

	if (cmd.n_ids > ARRAY_SIZE(stack)) {
		ids = bus1_array_copy(cmd.ptr_ids, cmd.n_ids, sizeof(*ids),
				      fault);
		if (IS_ERR(ids))
			return PTR_ERR(ids);
	} else if (cmd.n_ids) {
		r = bus1_copy_in(stack, cmd.ptr_ids, cmd.n_ids * sizeof(*ids),
				 fault);
		if (r)
			return r;
	}
	r = bus1_peer_release(peer, ids, cmd.n_ids, fault);
	if (ids != stack)
		kvfree(ids);
	return r;
}

static noinline int bus1_ioctl_name(struct bus1_peer *peer, u64 arg,
				    struct bus1_fault *fault)
{
	char name[BUS1_MAX_NAME];
	struct bus1_cmd_name cmd;
	int r;

	r = bus1_copy_in(&cmd, arg, sizeof(cmd), fault);
	if (r)
		return r;
	if (cmd.flags)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS, cmd.flags);
	if (cmd.n_name > sizeof(name))
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_LIMIT,
				   cmd.n_name);
	if (cmd.n_name)
		r = bus1_copy_in(name, cmd.ptr_name, cmd.n_name, fault);
	if (r)
		return r;
	return bus1_peer_name(peer, name, cmd.n_name, fault);
}

static int bus1_ioctl_features(u64 arg, struct bus1_fault *fault)
{
	struct bus1_cmd_features cmd;
	int r;

	r = bus1_copy_in(&cmd, arg, sizeof(cmd), fault);
	if (r)
		return r;
	if (cmd.flags)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS, cmd.flags);
	cmd.features = BUS1_FEATURE_NAME | BUS1_FEATURE_WAIT |
		       BUS1_FEATURE_CALL | BUS1_FEATURE_BATCH |
		       BUS1_FEATURE_FLAT;
	return bus1_copy_out(arg, &cmd, sizeof(cmd), fault);
}

/* op_fail; kept out of the way of what succeeds. */
static noinline void bus1_trace_fail(const struct bus1_peer *peer, u32 cmd,
				     int error, const struct bus1_fault *fault)
{
	trace_op_fail(peer->id, cmd, error, fault->check, fault->detail,
		      ktime_get_ns(), fault->owner, fault->level,
		      fault->resource, fault->held, fault->limit);
}

long bus1_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct bus1_peer *peer = file->private_data;
	struct bus1_fault fault = {};
	int r, error;

	switch (cmd) {
	case BUS1_CMD_CALL:
		r = bus1_ioctl_call(peer, arg, &fault);
		break;
	case BUS1_CMD_SEND:
		r = bus1_ioctl_send(peer, arg, &fault);
		break;
	case BUS1_CMD_RECV:
		r = bus1_ioctl_recv(peer, arg, &fault);
		break;
	case BUS1_CMD_RECV_BATCH:
		r = bus1_ioctl_recv_batch(peer, arg, &fault);
		break;
	case BUS1_CMD_TRANSFER:
		r = bus1_ioctl_transfer(peer, arg, &fault);
		break;
	case BUS1_CMD_RELEASE:
		r = bus1_ioctl_release(peer, arg, &fault);
		break;
	case BUS1_CMD_NAME:
		r = bus1_ioctl_name(peer, arg, &fault);
		break;
	case BUS1_CMD_FEATURES:
		r = bus1_ioctl_features(arg, &fault);
		break;
	default:
		return -ENOTTY;
	}
	if (likely(!r))
		return 0;
	/* User space sees one error for both levels. */
	if (r == -EXFULL)
		r = -EDQUOT;
	/* A CALL that was sent has its error above 0, a batch its count. */
	error = cmd == BUS1_CMD_CALL && r > 0 ? -r : r;
	/* An empty queue is no failure. */
	if (error < 0 && error != -EAGAIN && trace_op_fail_enabled())
		bus1_trace_fail(peer, _IOC_NR(cmd), error == -ERESTARTSYS ?
				-EINTR : error, &fault);
	return r;
}
