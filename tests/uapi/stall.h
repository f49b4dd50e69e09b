/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_STALL_H
#define _TESTS_STALL_H

/*
 * DOC: a page of user memory that does not come
 *
 * Whoever touches it stalls until it is provided, which userfaultfd leaves to the
 * test. A process that forks needs one of its own in the child.
 */
#include <linux/userfaultfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "b1.h"

static int stall_fd;
static size_t stall_size;

/* First of all; false if this kernel has no userfaultfd. poll() wants O_NONBLOCK. */
static inline bool stall_begin(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};

	stall_size = sysconf(_SC_PAGESIZE);
	stall_fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	return stall_fd >= 0 && !ioctl(stall_fd, UFFDIO_API, &api);
}

static inline char *stall_page(void)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *p = mmap(NULL, stall_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	reg.range.start = (uintptr_t)p;
	reg.range.len = stall_size;
	if (p == MAP_FAILED || ioctl(stall_fd, UFFDIO_REGISTER, &reg))
		bail_out("cannot register with userfaultfd");
	return p;
}

/* Wait until somebody stalls. */
static inline bool stalled(void)
{
	struct pollfd p = { .fd = stall_fd, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&p, 1, 10000) == 1 &&
	       read(stall_fd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

static inline void provide(char *p)
{
	struct uffdio_zeropage z = {
		.range = { (uintptr_t)p, stall_size },
	};

	if (ioctl(stall_fd, UFFDIO_ZEROPAGE, &z))
		bail_out("cannot provide a page");
}

#endif /* _TESTS_STALL_H */
