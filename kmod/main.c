// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading. */
#include <linux/module.h>

#include "internal.h"

static int __init bus1_init(void)
{
	int r;

	bus1_debugfs_init();
	r = bus1_cdev_init();
	if (r)
		bus1_debugfs_exit();
	return r;
}

/*
 * Every open peer holds the module, and so does a reader of debugfs; with the
 * last of them all objects went, at once and without RCU.
 */
static void __exit bus1_exit(void)
{
	bus1_cdev_exit();
	bus1_debugfs_exit();
	bus1_peer_exit();
	bus1_acct_exit();
}

module_init(bus1_init);
module_exit(bus1_exit);
MODULE_DESCRIPTION("Capability-based IPC");
MODULE_LICENSE("GPL");
