/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_USER_H
#define _BUS1_USER_H

/* User memory, for the commands; nothing else touches it. */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "internal.h"

/* Does [ptr, ptr + size) fit the caller's pointers? The rest is access_ok(). */
static inline bool bus1_ptr_fits(u64 ptr, u64 size)
{
	u64 max = in_compat_syscall() ? U32_MAX : ULONG_MAX;

	return ptr <= max && (!size || size - 1 <= max - ptr);
}

static __always_inline int bus1_copy_in(void *to, u64 ptr, size_t size,
					struct bus1_fault *fault)
{
	if (!bus1_ptr_fits(ptr, size) ||
	    copy_from_user(to, u64_to_user_ptr(ptr), size))
		return bus1_refuse(fault, -EFAULT, BUS1_CHECK_POINTER, ptr);
	return 0;
}

static __always_inline int bus1_copy_out(u64 ptr, const void *from,
					 size_t size, struct bus1_fault *fault)
{
	if (!bus1_ptr_fits(ptr, size) ||
	    copy_to_user(u64_to_user_ptr(ptr), from, size))
		return bus1_refuse(fault, -EFAULT, BUS1_CHECK_POINTER, ptr);
	return 0;
}

void *bus1_array_copy(u64 ptr, size_t n, size_t size, struct bus1_fault *fault);

/*
 * Copy an array in, to be given to bus1_array_free(): into @one if that is room
 * enough. NULL if there are no elements.
 */
static __always_inline void *bus1_array_in(void *one, u64 ptr, size_t n,
					   size_t size,
					   struct bus1_fault *fault)
{
	int r;

	if (n != 1)
		return bus1_array_copy(ptr, n, size, fault);
	r = bus1_copy_in(one, ptr, size, fault);
	return r ? ERR_PTR(r) : one;
}

static inline void bus1_array_free(void *array, const void *one)
{
	if (array != one)
		kvfree(array);
}

/* ioctl.c */
int bus1_created_out(u64 ptr, const struct bus1_transfer *transfers, size_t n,
		     struct bus1_fault *fault);

/* message-ioctl.c */
int bus1_ioctl_send(struct bus1_peer *peer, u64 arg, struct bus1_fault *fault);
int bus1_ioctl_recv(struct bus1_peer *peer, u64 arg, struct bus1_fault *fault);
int bus1_ioctl_call(struct bus1_peer *peer, u64 arg, struct bus1_fault *fault);
int bus1_ioctl_recv_batch(struct bus1_peer *peer, u64 arg,
			  struct bus1_fault *fault);

#endif /* _BUS1_USER_H */
