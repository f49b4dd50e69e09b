/* SPDX-License-Identifier: GPL-2.0-only */
/* What includes the kernel's math.h has its minmax.h, too. */
#include <linux/minmax.h>
