// SPDX-License-Identifier: GPL-2.0-only
/* /dev/bus1: an open file description is a peer. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/sysfs.h>

#include "internal.h"

static int bus1_open(struct inode *inode, struct file *file)
{
	struct bus1_peer *peer;

	peer = bus1_peer_new(file->f_cred);
	if (IS_ERR(peer))
		return PTR_ERR(peer) == -EXFULL ? -EDQUOT : PTR_ERR(peer);
	file->private_data = peer;
	return nonseekable_open(inode, file);
}

/*
 * The last descriptor is gone, and with it every call and every poll: ioctls
 * hold the file, and eventpoll leaves the wait queue before this is called.
 */
static int bus1_release(struct inode *inode, struct file *file)
{
	bus1_peer_close(file->private_data);
	return 0;
}

static __poll_t bus1_poll(struct file *file, poll_table *wait)
{
	struct bus1_peer *peer = file->private_data;
	__poll_t mask = EPOLLOUT | EPOLLWRNORM;

	poll_wait(file, bus1_peer_waitq(peer), wait);
	if (bus1_peer_readable(peer))
		mask |= EPOLLIN | EPOLLRDNORM;
	return mask;
}

static void bus1_show_fdinfo(struct seq_file *m, struct file *file)
{
	bus1_peer_show(file->private_data, m);
}

static const struct file_operations bus1_fops = {
	.owner = THIS_MODULE,
	.open = bus1_open,
	.release = bus1_release,
	.poll = bus1_poll,
	.unlocked_ioctl = bus1_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = bus1_show_fdinfo,
};

/* The peer behind a file, or NULL if it is something else. */
struct bus1_peer *bus1_cdev_peer(struct file *file)
{
	return file->f_op == &bus1_fops ? file->private_data : NULL;
}

static ssize_t trace_schema_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d.%d\n", BUS1_TRACE_SCHEMA_MAJOR,
			  BUS1_TRACE_SCHEMA_MINOR);
}
static DEVICE_ATTR_RO(trace_schema);

static struct attribute *bus1_attrs[] = {
	&dev_attr_trace_schema.attr,
	NULL
};
ATTRIBUTE_GROUPS(bus1);

static struct miscdevice bus1_misc = {
	.fops = &bus1_fops,
	.minor = MISC_DYNAMIC_MINOR,
	.name = "bus1",
	.mode = 0666,
	.groups = bus1_groups,
};

int bus1_cdev_init(void)
{
	return misc_register(&bus1_misc);
}

void bus1_cdev_exit(void)
{
	misc_deregister(&bus1_misc);
}
