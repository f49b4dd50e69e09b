/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's names for the types of kmod/quota.h; the rest is the system's. */
#ifndef _SHIM_LINUX_TYPES_H
#define _SHIM_LINUX_TYPES_H

#include <stdbool.h>
#include_next <linux/types.h>

typedef __u64 u64;

#endif /* _SHIM_LINUX_TYPES_H */
