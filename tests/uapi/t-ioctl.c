// SPDX-License-Identifier: GPL-2.0-only
/* The device: what is no command of it, and what it is not. */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "b1.h"

static void test_numbers(void)
{
	static const unsigned long cmds[] = {
		BUS1_CMD_TRANSFER,
		BUS1_CMD_RELEASE,
		BUS1_CMD_SEND,
		BUS1_CMD_RECV,
		BUS1_CMD_NAME,
		BUS1_CMD_FEATURES,
		BUS1_CMD_CALL,
		BUS1_CMD_RECV_BATCH,
	};
	static const unsigned int sizes[] = {
		40, 24, 40, 24, 24, 16, 160, 32,
	};
	unsigned char arg[16384] = { 0 };
	int a = b1_open();
	unsigned int i, nr, size, taken = 0;
	uint64_t h;

	b1_node(a, &h);
	b1_says(a, h, "queued");
	b1_watch(a, -1);
	for (nr = 4; nr < 256; nr++)
		for (size = 0; size < 256; size += 8)
			taken += b1_ioctl(a, _IOC(size ? 3 : 0, 0x97, nr, size),
					  arg) != ENOTTY;
	/* NAME and FEATURES do what zeroes say, the others refuse them. */
	ok(taken == 4 && b1_unchanged(),
	   "numbers 4 to 255 of every size: ENOTTY, but for 4 (%u)", taken);
	for (i = 0; i < sizeof(cmds) / sizeof(*cmds); i++) {
		nr = _IOC_NR(cmds[i]);
		b1_refused(b1_ioctl(a, _IOC(3, 0x97, nr, sizes[i] - 8), arg),
			   ENOTTY, "command %u, smaller", nr);
		b1_refused(b1_ioctl(a, _IOC(3, 0x97, nr, sizes[i] + 8), arg),
			   ENOTTY, "command %u, larger", nr);
		b1_refused(b1_ioctl(a, _IOC(3, 0x97, nr, 0), arg), ENOTTY,
			   "command %u, no size", nr);
		b1_refused(b1_ioctl(a, _IOC(3, 0x97, nr, 0x3fff), arg), ENOTTY,
			   "command %u, the largest size", nr);
		b1_refused(b1_ioctl(a, _IOC(1, 0x97, nr, sizes[i]), arg),
			   ENOTTY, "command %u, write only", nr);
		b1_refused(b1_ioctl(a, _IOC(2, 0x97, nr, sizes[i]), arg),
			   ENOTTY, "command %u, read only", nr);
		b1_refused(b1_ioctl(a, cmds[i] ^ 0x100, arg), ENOTTY,
			   "command %u, another magic", nr);
	}
	ok(cmds[0] == 0xc0289700 && cmds[1] == 0xc0189701 &&
		   cmds[2] == 0xc0289702 && cmds[3] == 0xc0189703 &&
		   cmds[4] == 0xc0189780 && cmds[5] == 0xc0109781 &&
		   cmds[6] == 0xc0a09782 && cmds[7] == 0xc0209783,
	   "D29: the numbers of the header");
	close(a);
}

static void test_file(void)
{
	struct iovec vec = { (char[8]){ 0 }, 8 };
	struct stat st;
	int a = b1_open();
	uint64_t h;
	void *p;

	b1_node(a, &h);
	b1_says(a, h, "queued");
	b1_watch(a, -1);
	ok(read(a, vec.iov_base, 8) < 0 && b1_unchanged(), "read: %s",
	   strerror(errno));
	ok(write(a, "x", 1) < 0 && b1_unchanged(), "write: %s",
	   strerror(errno));
	ok(readv(a, &vec, 1) < 0 && writev(a, &vec, 1) < 0 && b1_unchanged(),
	   "readv and writev: %s", strerror(errno));
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, a, 0);
	ok(p == MAP_FAILED && b1_unchanged(), "mmap: %s", strerror(errno));
	ok(pread(a, vec.iov_base, 8, 0) < 0, "pread: %s", strerror(errno));
	ok(fstat(a, &st) == 0 && S_ISCHR(st.st_mode), "a character device");
	ok(stat("/dev/bus1", &st) == 0 && (st.st_mode & 07777) == 0666,
	   "mode %04o", st.st_mode & 07777);
	close(a);
}

static void test_schema(void)
{
	const char *path = "/sys/class/misc/bus1/trace_schema";
	char text[16] = "";
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ok(fd >= 0 && read(fd, text, sizeof(text) - 1) == 4 &&
		   !strcmp(text, "1.4\n"),
	   "trace_schema is 1.4");
	ok(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0444,
	   "and for all to read");
	close(fd);
}

static void test_unload(void)
{
	int a = b1_open(), r;

	if (geteuid()) {
		skip(1, "not root");
		close(a);
		return;
	}
	r = syscall(SYS_delete_module, "bus1", O_NONBLOCK) ? errno : 0;
	ok(r == EAGAIN || r == EBUSY || r == ENOENT,
	   "unloading is refused while a peer is open: %s", strerror(r));
	close(a);
}

/* As a 32-bit kernel would pass them: the upper half of no pointer is lost. */
static void test_pointers(void)
{
	int a = b1_open();
	uint64_t h, node = b1_node(a, &h);
	struct bus1_cmd_release cmd = {
		.n_ids = 1,
		.ptr_ids = BUS1_FROM_PTR(&h),
	};
	unsigned int bit;

	b1_watch(a, -1);
	for (bit = 47; bit < 64; bit++) {
		cmd.ptr_ids = BUS1_FROM_PTR(&h) | 1ull << bit;
		b1_refused(b1_cmd(a, BUS1_CMD_RELEASE, &cmd, sizeof(cmd)),
			   EFAULT, "a pointer with bit %u set", bit);
	}
	ok(b1_says(a, h, "alive") == 0 && b1_hears(a, node, "alive"),
	   "nothing was released");
	close(a);
}

int main(void)
{
	test_numbers();
	test_file();
	test_schema();
	test_unload();
	test_pointers();
	return done_testing();
}
