// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: who holds /dev/bus1 open
 *
 * An iterator over the files of all tasks. It knows a peer's file by the
 * device number of its inode, and leaves the peer's own data to fdinfo.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bus1_event.h"

#define S_IFMT 0170000
#define S_IFCHR 0020000

char LICENSE[] SEC("license") = "GPL";

/* as the kernel keeps it: major << 20 | minor */
const volatile __u32 device;

SEC("iter/task_file")
int find_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct bus1_holder holder;
	struct inode *inode;

	if (!task || !file)
		return 0;
	inode = file->f_inode;
	if (!inode || (inode->i_mode & S_IFMT) != S_IFCHR ||
	    inode->i_rdev != device)
		return 0;
	holder.pid = task->tgid;
	holder.fd = ctx->fd;
	bpf_seq_write(ctx->meta->seq, &holder, sizeof(holder));
	return 0;
}
