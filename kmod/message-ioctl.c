// SPDX-License-Identifier: GPL-2.0-only
/* The commands that send and receive. */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/stddef.h>
#include <linux/uio.h>

#include "internal.h"
#include "user.h"

/* Where data is, or goes, in user memory */
struct bus1_data {
	struct iov_iter iter;
	struct iovec *vecs; /* to be freed */
	struct iovec stack[UIO_FASTIOV];
};

static noinline int bus1_data_vecs(int direction, struct bus1_data *data,
				   u64 n, u64 ptr, struct bus1_fault *fault)
{
	size_t size = in_compat_syscall() ? 8 : sizeof(struct iovec);
	ssize_t r;

	if (n > UIO_MAXIOV)
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_LIMIT, n);
	if (!bus1_ptr_fits(ptr, n * size))
		return bus1_refuse(fault, -EFAULT, BUS1_CHECK_POINTER, ptr);
	data->vecs = data->stack;
	r = import_iovec(direction, u64_to_user_ptr(ptr), n, UIO_FASTIOV,
			 &data->vecs, &data->iter);
	if (r < 0)
		return bus1_refuse(fault, r, BUS1_CHECK_IOVEC, n);
	return 0;
}

static __always_inline int bus1_data_import(int direction,
					    struct bus1_data *data,
					    const struct bus1_message *message,
					    struct bus1_fault *fault)
{
	u64 size = message->n_data_vecs, ptr = message->ptr_data_vecs;

	data->vecs = NULL;
	if (!(message->flags & BUS1_MESSAGE_FLAG_FLAT))
		return bus1_data_vecs(direction, data, size, ptr, fault);
	/* What one iovec of the caller could say, and as import_iovec() does. */
	if (size > (in_compat_syscall() ? S32_MAX : SSIZE_MAX))
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_IOVEC, size);
	size = min_t(u64, size, MAX_RW_COUNT);
	if (!bus1_ptr_fits(ptr, size) ||
	    !access_ok(u64_to_user_ptr(ptr), size))
		return bus1_refuse(fault, -EFAULT, BUS1_CHECK_IOVEC, size);
	iov_iter_ubuf(&data->iter, direction, u64_to_user_ptr(ptr), size);
	return 0;
}

static void bus1_data_free(struct bus1_data *data)
{
	kfree(data->vecs);
}

/* Is this a message that can be sent to @n_dests? */
static int bus1_send_check(const struct bus1_message *message, u64 n_dests,
			   struct bus1_fault *fault)
{
	u64 product;

	if (message->flags & ~BUS1_MESSAGE_FLAG_FLAT)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS,
				   message->flags);
	if (message->type != BUS1_MESSAGE_TYPE_USER)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_TYPE,
				   message->type);
	if (message->n_transfers > BUS1_MAX_TRANSFERS)
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_LIMIT,
				   message->n_transfers);
	product = n_dests * (1 + message->n_transfers);
	if (product > BUS1_MAX_PRODUCT)
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_LIMIT, product);
	if (message->n_data > MAX_RW_COUNT)
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_DATA,
				   message->n_data);
	return 0;
}

static int bus1_errors_out(const struct bus1_cmd_send *cmd,
			   const struct bus1_send_op *op,
			   struct bus1_fault *fault)
{
	const u64 ptr = cmd->ptr_errors, size = sizeof(__s32);
	size_t i;
	int r;

	if (!bus1_ptr_fits(ptr, op->n_dests * size) ||
	    clear_user(u64_to_user_ptr(ptr), op->n_dests * size))
		return bus1_refuse(fault, -EFAULT, BUS1_CHECK_POINTER, ptr);
	for (i = 0; op->n_skipped && i < op->n_dests; i++) {
		if (op->dests[i].error) {
			r = bus1_copy_out(ptr + i * size, &op->dests[i].error,
					  size, fault);
			if (r)
				return r;
		}
		cond_resched();
	}
	return 0;
}

/* @dests are @cmd->n_destinations handles. */
static noinline int bus1_send_any(struct bus1_peer *peer,
				  const struct bus1_cmd_send *cmd,
				  const u64 *dests,
				  const struct bus1_message *message,
				  struct iov_iter *data,
				  struct bus1_fault *fault)
{
	struct bus1_transfer *transfers, one;
	struct bus1_send_op op __uninitialized;
	int r;

	transfers = bus1_array_in(&one, message->ptr_transfers,
				  message->n_transfers, sizeof(*transfers),
				  fault);
	if (IS_ERR(transfers))
		return PTR_ERR(transfers);

	r = bus1_send_prepare(&op, peer, cmd->flags, dests, cmd->n_destinations,
			      transfers, message->n_transfers, data,
			      message->n_data, fault);
	if (r)
		goto out_transfers;
	if (!cmd->n_destinations) {
		bus1_send_abort(&op);
		goto out_transfers;
	}
	if (message->n_transfers)
		r = bus1_created_out(message->ptr_transfers, transfers,
				     message->n_transfers, fault);
	if (!r && cmd->ptr_errors)
		r = bus1_errors_out(cmd, &op, fault);
	if (r)
		bus1_send_abort(&op);
	else
		bus1_send_commit(&op);

out_transfers:
	bus1_array_free(transfers, &one);
	return r;
}

static __always_inline int
bus1_send_message(struct bus1_peer *peer, const struct bus1_cmd_send *cmd,
		  const u64 *dests, const struct bus1_message *message,
		  struct iov_iter *data, struct bus1_fault *fault)
{
	int r;

	if (message->n_data > iov_iter_count(data))
		return bus1_refuse(fault, -EMSGSIZE, BUS1_CHECK_DATA,
				   message->n_data);
	if (cmd->n_destinations == 1 && !message->n_transfers && !cmd->flags &&
	    !cmd->ptr_errors && bus1_msg_fits(0, message->n_data)) {
		r = bus1_send_one(peer, *dests, data, message->n_data, fault);
		if (r <= 0)
			return r;
	}
	return bus1_send_any(peer, cmd, dests, message, data, fault);
}

int bus1_ioctl_send(struct bus1_peer *peer, u64 arg, struct bus1_fault *fault)
{
	struct bus1_message message __uninitialized;
	struct bus1_cmd_send cmd __uninitialized;
	struct bus1_data data __uninitialized;
	u64 *dests, one;
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
	r = bus1_send_check(&message, cmd.n_destinations, fault);
	if (r)
		return r;
	r = bus1_data_import(ITER_SOURCE, &data, &message, fault);
	if (r)
		return r;

	dests = bus1_array_in(&one, cmd.ptr_destinations, cmd.n_destinations,
			      sizeof(*dests), fault);
	if (IS_ERR(dests)) {
		r = PTR_ERR(dests);
	} else {
		r = bus1_send_message(peer, &cmd, dests, &message, &data.iter,
				      fault);
		bus1_array_free(dests, &one);
	}
	bus1_data_free(&data);
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

/* Can a message be received into this? */
static int bus1_recv_check(const struct bus1_message *message,
			   struct bus1_fault *fault)
{
	if (message->flags & ~BUS1_MESSAGE_FLAG_FLAT)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS,
				   message->flags);
	if (message->type != BUS1_INVALID)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_TYPE,
				   message->type);
	return 0;
}

/* Everything about the item that @op begins with goes to user memory. */
static __always_inline int
bus1_recv_out(struct bus1_recv_op *op, u64 ptr_metadata, u64 ptr_message,
	      const struct bus1_message *message, const struct iov_iter *data,
	      struct bus1_fault *fault)
{
	struct bus1_received out = {
		.metadata.id = op->id,
		.metadata.account = op->account,
		.message = *message,
	};
	int r;

	r = op->n_data ? bus1_recv_copy(op, data) : 0;
	if (r)
		return bus1_refuse(fault, r, r == -EINTR ? BUS1_CHECK_SIGNAL :
				   BUS1_CHECK_IOVEC, message->n_data_vecs);
	if (op->n_transfers) {
		r = bus1_transfers_out(op, message->ptr_transfers, fault);
		if (r)
			return r;
	}
	out.message.type = op->type;
	out.message.n_transfers = op->n_transfers;
	out.message.n_data = op->n_data;
	if (ptr_message == ptr_metadata + offsetof(typeof(out), message))
		return bus1_copy_out(ptr_metadata, &out, sizeof(out), fault);
	r = bus1_copy_out(ptr_metadata, &out.metadata, sizeof(out.metadata),
			  fault);
	if (r)
		return r;
	/* Last, so that after an error the caller finds it as it was. */
	return bus1_copy_out(ptr_message, &out.message, sizeof(out.message),
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

/* Take the first item, and the next if that one vanishes. */
static int bus1_recv_message(struct bus1_peer *peer, u64 flags, u64 deadline,
			     u64 ptr_metadata, u64 ptr_message,
			     const struct bus1_message *message,
			     const struct iov_iter *data,
			     struct bus1_fault *fault)
{
	/* Of the room, what can be used. */
	const u64 n_transfers = min_t(u64, message->n_transfers,
				      BUS1_MAX_TRANSFERS);
	const u64 n_data = min_t(u64, message->n_data, iov_iter_count(data));
	struct bus1_recv_op op __uninitialized;
	int r;

	for (;;) {
		r = bus1_recv_begin(&op, peer, flags, deadline, fault);
		if (r)
			return r;
		if (op.n_transfers > n_transfers || op.n_data > n_data)
			r = bus1_recv_room(&op, ptr_message, fault);
		else if (op.n_transfers)
			r = bus1_recv_reserve(&op);
		if (!r)
			r = bus1_recv_out(&op, ptr_metadata, ptr_message,
					  message, data, fault);
		if (r) {
			bus1_recv_abort(&op);
			return r;
		}
		if (!bus1_recv_commit(&op))
			return 0;

		/* It was never there: so the caller's message says. */
		r = bus1_copy_out(ptr_message, message, sizeof(*message),
				  fault);
		if (r)
			return r;
	}
}

/* RECV, or one of a batch. */
static __always_inline int bus1_recv_one(struct bus1_peer *peer, u64 flags,
					 u64 deadline, u64 ptr_metadata,
					 u64 ptr_message,
					 struct bus1_fault *fault)
{
	struct bus1_message message __uninitialized;
	struct bus1_data data __uninitialized;
	int r;

	r = bus1_copy_in(&message, ptr_message, sizeof(message), fault);
	if (r)
		return r;
	r = bus1_recv_check(&message, fault);
	if (r)
		return r;
	r = bus1_data_import(ITER_DEST, &data, &message, fault);
	if (r)
		return r;
	r = bus1_recv_message(peer, flags, deadline, ptr_metadata, ptr_message,
			      &message, &data.iter, fault);
	bus1_data_free(&data);
	return r;
}

int bus1_ioctl_recv(struct bus1_peer *peer, u64 arg, struct bus1_fault *fault)
{
	struct bus1_cmd_recv cmd __uninitialized;
	int r;

	r = bus1_copy_in(&cmd, arg, sizeof(cmd), fault);
	if (r)
		return r;
	if (cmd.flags & ~BUS1_RECV_FLAG_WAIT)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS, cmd.flags);
	return bus1_recv_one(peer, cmd.flags, BUS1_INVALID, cmd.ptr_metadata,
			     cmd.ptr_message, fault);
}

int bus1_ioctl_recv_batch(struct bus1_peer *peer, u64 arg,
			  struct bus1_fault *fault)
{
	struct bus1_cmd_recv_batch cmd;
	int r, n, i = 0;
	u64 ptr;

	r = bus1_copy_in(&cmd, arg, sizeof(cmd), fault);
	if (r)
		return r;
	if (cmd.flags & ~BUS1_RECV_FLAG_WAIT)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS, cmd.flags);
	if (!cmd.flags && cmd.deadline)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_DEADLINE,
				   cmd.deadline);
	n = min_t(u64, cmd.n_received, BUS1_MAX_BATCH);
	if (!bus1_ptr_fits(cmd.ptr_received, n * sizeof(struct bus1_received)))
		return bus1_refuse(fault, -EFAULT, BUS1_CHECK_POINTER,
				   cmd.ptr_received);

	while (i < n && !fatal_signal_pending(current)) {
		ptr = cmd.ptr_received + i * sizeof(struct bus1_received);
		/* Behind the first it takes only what there is. */
		r = bus1_recv_one(peer, i ? BUS1_RECV_NOWAIT : cmd.flags,
				  cmd.deadline, ptr, ptr +
				  offsetof(struct bus1_received, message),
				  fault);
		if (r)
			break;
		i++;
		cond_resched();
	}
	return i ?: r;
}

int bus1_ioctl_call(struct bus1_peer *peer, u64 arg, struct bus1_fault *fault)
{
	const u64 ptr = arg + offsetof(struct bus1_cmd_call, received);
	struct bus1_cmd_send send = { .n_destinations = 1 };
	struct bus1_data request __uninitialized, room __uninitialized;
	struct bus1_cmd_call cmd __uninitialized;
	int r;

	r = bus1_copy_in(&cmd, arg, sizeof(cmd), fault);
	if (r)
		return r;
	if (cmd.flags)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS, cmd.flags);
	r = bus1_recv_check(&cmd.received.message, fault);
	if (r)
		return r;
	r = bus1_send_check(&cmd.send, 1, fault);
	if (r)
		return r;
	r = bus1_data_import(ITER_DEST, &room, &cmd.received.message, fault);
	if (r)
		return r;
	r = bus1_data_import(ITER_SOURCE, &request, &cmd.send, fault);
	if (r)
		goto out_room;
	r = bus1_send_message(peer, &send, &cmd.destination, &cmd.send,
			      &request.iter, fault);
	bus1_data_free(&request);
	if (r)
		goto out_room;

	r = bus1_recv_message(peer, BUS1_RECV_FLAG_WAIT, cmd.deadline, ptr,
			      ptr + offsetof(struct bus1_received, message),
			      &cmd.received.message, &room.iter, fault);
	/* It is sent: that cannot be restarted. */
	r = r == -ERESTARTSYS ? EINTR : -r;
out_room:
	bus1_data_free(&room);
	return r;
}
