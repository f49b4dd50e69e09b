// SPDX-License-Identifier: GPL-2.0-only
/* The commands: arguments in, results out. User memory is touched only here. */
#include <linux/build_bug.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "internal.h"
#include "trace.h"

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
static_assert(BUS1_CMD_TRANSFER == 0xc0289700);
static_assert(BUS1_CMD_RELEASE == 0xc0189701);
static_assert(BUS1_CMD_SEND == 0xc0289702);
static_assert(BUS1_CMD_RECV == 0xc0189703);
static_assert(BUS1_CMD_NAME == 0xc0189780);
static_assert(BUS1_MANAGED == 1 && BUS1_INVALID == U64_MAX);
static_assert(BUS1_TRANSFER_FLAG_CREATE == 1 && BUS1_SEND_FLAG_CONTINUE == 1);
static_assert(BUS1_MESSAGE_TYPE_USER == 0);
static_assert(BUS1_MESSAGE_TYPE_NODE_RELEASE == BUS1_KIND_NODE_RELEASE);
static_assert(BUS1_MESSAGE_TYPE_HANDLE_RELEASE == BUS1_KIND_HANDLE_RELEASE);

/* Does [ptr, ptr + size) fit the caller's pointers? The rest is access_ok(). */
static bool bus1_ptr_fits(u64 ptr, u64 size)
{
	u64 max = in_compat_syscall() ? U32_MAX : ULONG_MAX;

	return ptr <= max && (!size || size - 1 <= max - ptr);
}

static int bus1_copy_in(void *to, u64 ptr, size_t size,
			struct bus1_fault *fault)
{
	if (!bus1_ptr_fits(ptr, size) ||
	    copy_from_user(to, u64_to_user_ptr(ptr), size))
		return bus1_refuse(fault, -EFAULT, BUS1_CHECK_POINTER, ptr);
	return 0;
}

static int bus1_copy_out(u64 ptr, const void *from, size_t size,
			 struct bus1_fault *fault)
{
	if (!bus1_ptr_fits(ptr, size) ||
	    copy_to_user(u64_to_user_ptr(ptr), from, size))
		return bus1_refuse(fault, -EFAULT, BUS1_CHECK_POINTER, ptr);
	return 0;
}

/* Copy an array in, to be freed with kvfree(); NULL if there are none. */
static void *bus1_array_in(u64 ptr, size_t n, size_t size,
			   struct bus1_fault *fault)
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
static int bus1_created_out(u64 ptr, const struct bus1_transfer *transfers,
			    size_t n, struct bus1_fault *fault)
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

static int bus1_import(int direction, const struct bus1_message *message,
		       struct iovec *stack, struct iovec **vecs,
		       struct iov_iter *iter, struct bus1_fault *fault)
{
	u64 n = message->n_data_vecs, ptr = message->ptr_data_vecs;
	size_t size = in_compat_syscall() ? 8 : sizeof(struct iovec);
	ssize_t r;

	if (n > UIO_MAXIOV)
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_LIMIT, n);
	if (!bus1_ptr_fits(ptr, n * size))
		return bus1_refuse(fault, -EFAULT, BUS1_CHECK_POINTER, ptr);
	*vecs = stack;
	r = import_iovec(direction, u64_to_user_ptr(ptr), n, UIO_FASTIOV, vecs,
			 iter);
	if (r < 0)
		return bus1_refuse(fault, r, BUS1_CHECK_IOVEC, n);
	return 0;
}

static int bus1_ioctl_transfer(struct bus1_peer *peer, u64 arg,
			       struct bus1_fault *fault)
{
	struct bus1_transfer *src, *dst = NULL;
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
	src = bus1_array_in(cmd.ptr_src, n, sizeof(*src), fault);
	if (IS_ERR_OR_NULL(src)) {
		r = PTR_ERR_OR_ZERO(src);
		goto out_file;
	}
	dst = kvmalloc_array(n, sizeof(*dst), BUS1_GFP);
	r = bus1_refuse(fault, -ENOMEM, BUS1_CHECK_MEMORY, 0);
	if (!dst)
		goto out_src;

	r = bus1_transfer_prepare(&op, peer, to, src, dst, n);
	if (r) {
		*fault = op.fault;
		goto out_dst;
	}
	r = bus1_created_out(cmd.ptr_src, src, n, fault);
	if (!r)
		r = bus1_copy_out(cmd.ptr_dst, dst, n * sizeof(*dst), fault);
	if (r)
		bus1_transfer_abort(&op);
	else
		bus1_transfer_commit(&op);

out_dst:
	kvfree(dst);
out_src:
	kvfree(src);
out_file:
	if (file)
		fput(file);
	return r;
}

static int bus1_ioctl_release(struct bus1_peer *peer, u64 arg,
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
		ids = bus1_array_in(cmd.ptr_ids, cmd.n_ids, sizeof(*ids),
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

static int bus1_errors_out(const struct bus1_cmd_send *cmd,
			   const struct bus1_send_op *op,
			   struct bus1_fault *fault)
{
	__s32 __user *errors = u64_to_user_ptr(cmd->ptr_errors);
	size_t size = cmd->n_destinations * sizeof(*errors);
	size_t i;

	if (!cmd->ptr_errors)
		return 0;
	if (!bus1_ptr_fits(cmd->ptr_errors, size) || clear_user(errors, size))
		goto err_fault;
	for (i = 0; op->n_skipped && i < op->n_dests; i++) {
		if (op->dests[i].error && put_user(op->dests[i].error,
						   errors + i))
			goto err_fault;
		cond_resched();
	}
	return 0;

err_fault:
	return bus1_refuse(fault, -EFAULT, BUS1_CHECK_POINTER, cmd->ptr_errors);
}

static int bus1_send_arrays(struct bus1_peer *peer,
			    const struct bus1_cmd_send *cmd,
			    const struct bus1_message *message,
			    struct iov_iter *data, struct bus1_fault *fault)
{
	struct bus1_transfer *transfers;
	struct bus1_send_op op;
	u64 *dests;
	int r;

	dests = bus1_array_in(cmd->ptr_destinations, cmd->n_destinations,
			      sizeof(*dests), fault);
	if (IS_ERR(dests))
		return PTR_ERR(dests);
	transfers = bus1_array_in(message->ptr_transfers, message->n_transfers,
				  sizeof(*transfers), fault);
	if (IS_ERR(transfers)) {
		r = PTR_ERR(transfers);
		goto out_dests;
	}

	r = bus1_send_prepare(&op, peer, cmd->flags, dests, cmd->n_destinations,
			      transfers, message->n_transfers, data,
			      message->n_data);
	if (r) {
		*fault = op.fault;
		goto out_transfers;
	}
	if (!cmd->n_destinations) {
		bus1_send_abort(&op);
		goto out_transfers;
	}
	r = bus1_created_out(message->ptr_transfers, transfers,
			     message->n_transfers, fault);
	if (!r)
		r = bus1_errors_out(cmd, &op, fault);
	if (r)
		bus1_send_abort(&op);
	else
		bus1_send_commit(&op);

out_transfers:
	kvfree(transfers);
out_dests:
	kvfree(dests);
	return r;
}

static int bus1_ioctl_send(struct bus1_peer *peer, u64 arg,
			   struct bus1_fault *fault)
{
	struct iovec stack[UIO_FASTIOV], *vecs;
	struct bus1_message message;
	struct bus1_cmd_send cmd;
	struct iov_iter iter;
	u64 product;
	int r;

	r = bus1_copy_in(&cmd, arg, sizeof(cmd), fault);
	if (r)
		return r;
	if (cmd.flags & ~BUS1_SEND_FLAG_CONTINUE)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS, cmd.flags);
	if (cmd.n_destinations > BUS1_MAX_DESTINATIONS)
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_LIMIT,
				   cmd.n_destinations);
	r = bus1_copy_in(&message, cmd.ptr_message, sizeof(message), fault);
	if (r)
		return r;
	if (message.flags)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS,
				   message.flags);
	if (message.type != BUS1_MESSAGE_TYPE_USER)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_TYPE,
				   message.type);
	if (message.n_transfers > BUS1_MAX_TRANSFERS)
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_LIMIT,
				   message.n_transfers);
	product = cmd.n_destinations * (1 + message.n_transfers);
	if (product > BUS1_MAX_PRODUCT)
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_LIMIT, product);
	if (message.n_data > MAX_RW_COUNT)
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_DATA,
				   message.n_data);

	r = bus1_import(ITER_SOURCE, &message, stack, &vecs, &iter, fault);
	if (r)
		return r;
	if (message.n_data > iov_iter_count(&iter))
		r = bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_DATA,
				message.n_data);
	else
		r = bus1_send_arrays(peer, &cmd, &message, &iter, fault);
	kfree(vecs);
	return r;
}

static int bus1_transfers_out(const struct bus1_recv_op *op, u64 ptr,
			      struct bus1_fault *fault)
{
	struct bus1_transfer out = {};
	size_t i;
	int r;

	for (i = 0; i < op->n_transfers; i++) {
		out.id = op->first_id + 2 * i;
		r = bus1_copy_out(ptr + i * sizeof(out), &out, sizeof(out),
				  fault);
		if (r)
			return r;
		cond_resched();
	}
	return 0;
}

/* Everything about the item that @op peeked at goes to user memory. */
static int bus1_recv_out(struct bus1_recv_op *op,
			 const struct bus1_cmd_recv *cmd,
			 struct bus1_message message, struct iov_iter iter,
			 struct bus1_fault *fault)
{
	struct bus1_metadata metadata = {
		.id = op->id,
		.account = op->account,
	};
	int r;

	if (op->payload) {
		r = bus1_payload_copy(op->payload, &iter);
		if (r)
			return bus1_refuse(fault, r, r == -EINTR ?
					   BUS1_CHECK_SIGNAL : BUS1_CHECK_IOVEC,
					   message.n_data_vecs);
	}
	r = bus1_transfers_out(op, message.ptr_transfers, fault);
	if (r)
		return r;
	r = bus1_copy_out(cmd->ptr_metadata, &metadata, sizeof(metadata),
			  fault);
	if (r)
		return r;
	/* Last, so that after an error the caller finds it as it was. */
	message.type = op->type;
	message.n_transfers = op->n_transfers;
	message.n_data = op->n_data;
	return bus1_copy_out(cmd->ptr_message, &message, sizeof(message),
			     fault);
}

/* The room is too small: say what is needed. */
static int bus1_recv_room(const struct bus1_recv_op *op, u64 ptr,
			  struct bus1_fault *fault)
{
	const u64 n_transfers = op->n_transfers, n_data = op->n_data;
	int r;

	r = bus1_copy_out(ptr + offsetof(struct bus1_message, n_transfers),
			  &n_transfers, sizeof(n_transfers), fault);
	if (!r)
		r = bus1_copy_out(ptr + offsetof(struct bus1_message, n_data),
				  &n_data, sizeof(n_data), fault);
	if (!r)
		r = bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_ROOM, n_data);
	return r;
}

/* With the turn: take the first item, and the next if that one vanishes. */
static int bus1_recv_turn(struct bus1_recv_op *op,
			  const struct bus1_cmd_recv *cmd,
			  const struct bus1_message *message,
			  const struct iov_iter *data, struct bus1_fault *fault)
{
	/* Of the room, what can be used. */
	const u64 n_transfers = min_t(u64, message->n_transfers,
				      BUS1_MAX_TRANSFERS);
	const u64 n_data = min_t(u64, message->n_data, iov_iter_count(data));
	int r;

	for (;;) {
		r = bus1_recv_peek(op);
		if (r)
			return r;
		if (op->n_transfers > n_transfers || op->n_data > n_data)
			return bus1_recv_room(op, cmd->ptr_message, fault);

		r = bus1_recv_reserve(op);
		if (r) {
			*fault = op->fault;
			return r;
		}
		r = bus1_recv_out(op, cmd, *message, *data, fault);
		if (r)
			return r;
		if (!bus1_recv_commit(op))
			return 0;

		/* It was never there: so the caller's message says. */
		r = bus1_copy_out(cmd->ptr_message, message, sizeof(*message),
				  fault);
		if (r)
			return r;
	}
}

static int bus1_ioctl_recv(struct bus1_peer *peer, u64 arg,
			   struct bus1_fault *fault)
{
	struct iovec stack[UIO_FASTIOV], *vecs;
	struct bus1_message message;
	struct bus1_cmd_recv cmd;
	struct bus1_recv_op op;
	struct iov_iter iter;
	int r;

	r = bus1_copy_in(&cmd, arg, sizeof(cmd), fault);
	if (r)
		return r;
	if (cmd.flags)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS, cmd.flags);
	r = bus1_copy_in(&message, cmd.ptr_message, sizeof(message), fault);
	if (r)
		return r;
	if (message.flags)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS,
				   message.flags);
	if (message.type != BUS1_INVALID)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_TYPE,
				   message.type);
	r = bus1_import(ITER_DEST, &message, stack, &vecs, &iter, fault);
	if (r)
		return r;

	r = bus1_recv_begin(&op, peer);
	if (r) {
		*fault = op.fault;
	} else {
		r = bus1_recv_turn(&op, &cmd, &message, &iter, fault);
		bus1_recv_end(&op);
	}
	kfree(vecs);
	return r;
}

static int bus1_ioctl_name(struct bus1_peer *peer, u64 arg,
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
	int r;

	switch (cmd) {
	case BUS1_CMD_TRANSFER:
		r = bus1_ioctl_transfer(peer, arg, &fault);
		break;
	case BUS1_CMD_RELEASE:
		r = bus1_ioctl_release(peer, arg, &fault);
		break;
	case BUS1_CMD_SEND:
		r = bus1_ioctl_send(peer, arg, &fault);
		break;
	case BUS1_CMD_RECV:
		r = bus1_ioctl_recv(peer, arg, &fault);
		break;
	case BUS1_CMD_NAME:
		r = bus1_ioctl_name(peer, arg, &fault);
		break;
	default:
		return -ENOTTY;
	}
	if (likely(!r))
		return 0;
	/* User space sees one error for both levels. */
	if (r == -EXFULL)
		r = -EDQUOT;
	/* An empty queue is no failure. */
	if (r != -EAGAIN && trace_op_fail_enabled())
		bus1_trace_fail(peer, _IOC_NR(cmd), r, &fault);
	return r;
}
