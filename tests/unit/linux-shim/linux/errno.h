/* SPDX-License-Identifier: GPL-2.0-only */
/* The C library's own errno.h passes by here, so this must be the system's. */
#include_next <linux/errno.h>
