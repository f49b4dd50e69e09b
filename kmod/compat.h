/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_COMPAT_H
#define _BUS1_COMPAT_H

/*
 * The only place that may ask for a kernel's version, and rather asks for the
 * feature itself. Supported: 6.1 and later.
 */
#include <linux/container_of.h>
#include <linux/uio.h>

/* Named so since 6.2, and in some 6.1 stable releases. */
#ifndef ITER_SOURCE
#define ITER_SOURCE WRITE
#define ITER_DEST READ
#endif

/* Since 6.2, and in some 6.1 stable releases; before, const was lost. */
#ifndef container_of_const
#define container_of_const container_of
#endif

#endif /* _BUS1_COMPAT_H */
