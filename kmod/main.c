// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading. */
#include <linux/module.h>
#include <linux/sizes.h>

#include "defect.h"
#include "internal.h"

/* Copied when a user is seen first; see acct.c. */
unsigned long long bus1_max_objects = SZ_1M;
module_param_named(max_objects, bus1_max_objects, ullong, 0644);
MODULE_PARM_DESC(max_objects, "Objects that a user seen from now on may have pinned (default 1048576)");

unsigned long long bus1_max_bytes = SZ_1G;
module_param_named(max_bytes, bus1_max_bytes, ullong, 0644);
MODULE_PARM_DESC(max_bytes, "Payload bytes that a user seen from now on may have pinned (default 1073741824)");

#ifdef CONFIG_BUS1_DEFECTS
unsigned int bus1_defect_nr;
module_param_named(defect, bus1_defect_nr, uint, 0644);
MODULE_PARM_DESC(defect, "For tests: how to break the order of delivery, 1 to 6 (default 0, not at all)");
#endif

static int __init bus1_init(void)
{
	int r;

	r = bus1_mem_init();
	if (r)
		return r;
	bus1_debugfs_init();
	r = bus1_cdev_init();
	if (r) {
		bus1_debugfs_exit();
		bus1_mem_exit();
	}
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
	bus1_mem_exit();
}

module_init(bus1_init);
module_exit(bus1_exit);
MODULE_DESCRIPTION("Capability-based IPC");
MODULE_LICENSE("GPL");
