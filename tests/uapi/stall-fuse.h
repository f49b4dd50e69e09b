/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_STALL_FUSE_H
#define _TESTS_STALL_FUSE_H

/*
 * DOC: a file whose pages come when the test lets them
 *
 * A process of its own serves a file system with one file, by the bare
 * protocol. What the file holds is in memory that both share. Each part of it,
 * a stage, has its own slot: the server says there which page is wanted, and
 * provides it no sooner than after a delay, and when it is let.
 */
#include <linux/fuse.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "b1.h"

#define FUSE_STAGES 64

struct fuse_slot {
	atomic_uint wanted; /* pages so far */
	atomic_uint let;
	atomic_uint page; /* the last of them */
};

struct fuse_file {
	struct fuse_slot slot[FUSE_STAGES];
	size_t stage; /* bytes of one */
	size_t size;
	uint64_t delay; /* ns */
	char data[];
};

static struct fuse_file *fuse;
static pid_t fuse_pid;
static char fuse_dir[] = "/tmp/fuse.XXXXXX";

/* A page that somebody waits for. */
struct fuse_pending {
	uint64_t unique, offset, due;
	uint32_t size;
	bool used;
};

static inline void fuse_reply(int fd, uint64_t unique, int error,
			      const void *data, size_t n)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + n,
		.error = -error,
		.unique = unique,
	};
	struct iovec vec[2] = { { &out, sizeof(out) }, { (void *)data, n } };

	/* Who asked may be gone. */
	(void)!writev(fd, vec, n ? 2 : 1);
}

static inline struct fuse_attr fuse_attr_of(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = node == 1 ? 0 : fuse->size,
		.mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0666,
		.nlink = 1,
		.blksize = 4096,
	};
}

static inline void fuse_serve(int fd, const char *in,
			      struct fuse_pending *pending)
{
	const struct fuse_in_header *h = (const void *)in;
	const struct fuse_read_in *read_in = (const void *)(h + 1);
	const struct fuse_write_in *write_in = (const void *)(h + 1);
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_write = 4096,
	};
	struct fuse_entry_out entry = { .nodeid = 2, .attr_valid = 1000,
					.entry_valid = 1000 };
	struct fuse_attr_out attr = { .attr_valid = 1000 };
	struct fuse_open_out open_out = { 0 };
	struct fuse_write_out write_out = { 0 };
	struct fuse_slot *slot;

	switch (h->opcode) {
	case FUSE_INIT:
		fuse_reply(fd, h->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		entry.attr = fuse_attr_of(2);
		fuse_reply(fd, h->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		attr.attr = fuse_attr_of(h->nodeid);
		fuse_reply(fd, h->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		fuse_reply(fd, h->unique, 0, &open_out, sizeof(open_out));
		break;
	case FUSE_READ:
		slot = &fuse->slot[read_in->offset / fuse->stage];
		while (pending->used)
			pending++;
		*pending = (struct fuse_pending){
			.unique = h->unique,
			.offset = read_in->offset,
			.size = read_in->size,
			.due = b1_now() + fuse->delay,
			.used = true,
		};
		slot->page = read_in->offset % fuse->stage / 4096;
		slot->wanted++;
		break;
	case FUSE_WRITE:
		memcpy(fuse->data + write_in->offset, write_in + 1,
		       write_in->size);
		write_out.size = write_in->size;
		fuse_reply(fd, h->unique, 0, &write_out, sizeof(write_out));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_FSYNC:
		fuse_reply(fd, h->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		fuse_reply(fd, h->unique, ENOSYS, NULL, 0);
	}
}

static inline void fuse_server(int fd)
{
	static struct fuse_pending pending[FUSE_STAGES + 1];
	static char in[1 << 16] __attribute__((aligned(8)));
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct fuse_slot *slot;
	int i;

	for (;;) {
		/*
		 * Before it is mounted, poll() says POLLERR, and read() EPERM.
		 */
		if (poll(&p, 1, 5) == 1) {
			if (read(fd, in, sizeof(in)) > 0)
				fuse_serve(fd, in, pending);
			else if (errno == ENODEV)
				_exit(0);
			else
				b1_msleep(5);
		}
		for (i = 0; i < FUSE_STAGES; i++) {
			if (!pending[i].used || b1_now() < pending[i].due)
				continue;
			slot = &fuse->slot[pending[i].offset / fuse->stage];
			if (slot->let < slot->wanted)
				continue;
			pending[i].used = false;
			fuse_reply(fd, pending[i].unique, 0,
				   fuse->data + pending[i].offset,
				   pending[i].size);
		}
	}
}

/*
 * A file for @n stages of @stage bytes each, mounted: its descriptor, or
 * -errno if this kernel has no FUSE.
 */
static inline int fuse_begin(unsigned int n, size_t stage, uint64_t delay)
{
	char options[80], path[64];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC), file;

	if (fd < 0)
		return -errno;
	fuse = mmap(NULL, sizeof(*fuse) + n * stage, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fuse == MAP_FAILED || n > FUSE_STAGES || !mkdtemp(fuse_dir))
		bail_out("cannot make a file system");
	fuse->stage = stage;
	fuse->size = n * stage;
	fuse->delay = delay;
	fuse_pid = fork();
	if (!fuse_pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fuse_server(fd);
	}
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (mount("fuse", fuse_dir, "fuse", MS_NOSUID | MS_NODEV, options))
		return -errno;
	snprintf(path, sizeof(path), "%s/file", fuse_dir);
	file = open(path, O_RDWR | O_CLOEXEC);
	/* Only the server has it now: it ends the connection when it dies. */
	close(fd);
	return file < 0 ? -errno : file;
}

static inline void fuse_end(int file)
{
	close(file);
	umount2(fuse_dir, MNT_DETACH);
	kill(fuse_pid, SIGKILL);
	waitpid(fuse_pid, NULL, 0);
	rmdir(fuse_dir);
}

#endif /* _TESTS_STALL_FUSE_H */
