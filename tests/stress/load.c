// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation of the module's initialization fails once: then it is there, and
 * works, or it is not, and nothing of it is. Needs a kernel with fault injection, as
 * the debug kernels are, and that nobody uses the module.
 */
#include "../uapi/failnth.h"

#include <sys/klog.h>

#define MODULE "/run/module.ko"
#define KMEMLEAK FAIL_DEBUG "kmemleak"
#define SPARE 8

enum { KLOG_READ_CLEAR = 4, KLOG_OFF = 6, KLOG_ON = 7 };

static char parameters[128];
static unsigned int odd;

static int load(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return errno;
	r = syscall(SYS_finit_module, fd, parameters, 0) ? errno : 0;
	close(fd);
	return r;
}

/* A reader of /proc/modules, say, may hold it for a moment. */
static int unload(void)
{
	int tries = 0;

	while (syscall(SYS_delete_module, "bus1", O_NONBLOCK)) {
		if (errno != EWOULDBLOCK || ++tries == 100)
			return errno;
		b1_msleep(10);
	}
	return 0;
}

static bool there(void)
{
	static const char *const files[] = {
		"/dev/bus1", "/sys/module/bus1", "/sys/class/misc/bus1",
		FAIL_DEBUG "bus1", "/sys/kernel/slab/bus1_256",
	};
	unsigned int i;
	bool any = false;

	for (i = 0; i < sizeof(files) / sizeof(*files); i++) {
		if (access(files[i], F_OK))
			continue;
		diag("%s is there", files[i]);
		any = true;
	}
	return any;
}

static bool works(void)
{
	uint64_t h, n;
	int fd = b1_open();

	n = b1_node(fd, &h);
	n = !b1_says(fd, h, "self") && b1_hears(fd, n, "self");
	close(fd);
	return n;
}

/* Load with a fault; was there one? */
static bool load_failing(const struct fail_kind *kind, unsigned int nth, int *r)
{
	unsigned int n;

	fail_inject(kind, nth);
	*r = load();
	n = fail_end(kind);
	fail_injected += n;
	if (*r ? !n || there() : !works() || unload()) {
		diag("%s fault %u: %s", kind->name, nth, strerror(*r));
		odd++;
	}
	return n;
}

/* Did the kernel get as far as the module's own code? */
static bool begun(void)
{
	char *text = quota_file(QUOTA_TRACING "trace");
	bool r = strstr(text, "module_load: bus1");

	free(text);
	return r;
}

/*
 * What the kernel has to say goes to klog. A cache that cannot be made is a stack
 * trace, and no complaint; anything else there is one.
 */
static void hear(FILE *klog)
{
	static char text[1 << 20];
	int n = klogctl(KLOG_READ_CLEAR, text, sizeof(text) - 1);
	char *line = text, *next;

	if (n < 0)
		bail_out("cannot read the kernel's log: %s", strerror(errno));
	text[n] = 0;
	for (; *line; line = next) {
		next = quota_next(line);
		if (!memmem(line, next - line, "Call Trace", 10))
			fwrite(line, 1, next - line, klog);
	}
}

/*
 * The module's own code comes last: so from the last fault back to the first
 * that the kernel does not get over before that. Not each load meets as many.
 */
static void walk(const struct fail_kind *kind)
{
	FILE *klog = popen("./klog", "w");
	unsigned int nth, n = 0, failed = 0;
	int r;

	if (!klog)
		bail_out("cannot run klog: %s", strerror(errno));
	fail_kind(kind);
	load_failing(kind, FAIL_TIMES, &r);
	for (nth = FAIL_TIMES - fail_left + SPARE; nth; nth--) {
		quota_write(QUOTA_TRACING "trace", "");
		if (!load_failing(kind, nth, &r))
			continue;
		hear(klog);
		if (r && !begun())
			break;
		n++;
		failed += r != 0;
	}
	ok(!odd && failed, "of %u faults %u made it fail; %u oddly", n, failed,
	   odd);
	ok(!pclose(klog), "the kernel complains of nothing else");
}

/*
 * Where a cache's files cannot be made, the kernel forgets the cache's name. What
 * is found twice, and is older than 5 s, is lost.
 */
static bool lost_nothing(void)
{
	char *text, *block, *next;
	bool good = true;

	quota_write(KMEMLEAK, "scan");
	b1_msleep(5500);
	quota_write(KMEMLEAK, "scan");
	text = quota_file(KMEMLEAK);
	for (block = text; *block; block = next) {
		next = strstr(block + 1, "unreferenced object");
		next = next ? next : block + strlen(block);
		if (memmem(block, next - block, " sysfs_slab_add+", 16))
			continue;
		diag("%.*s", (int)(next - block), block);
		good = false;
	}
	free(text);
	return quota_write(KMEMLEAK, "clear") && good;
}

int main(void)
{
	char *text[2];

	if (geteuid() || access(MODULE, R_OK) || access(KMEMLEAK, R_OK)) {
		skip(1, "needs root, kmemleak and " MODULE);
		return done_testing();
	}
	if (!fail_begin())
		return done_testing();
	text[0] = quota_file(QUOTA_PARAMETERS "max_objects");
	text[1] = quota_file(QUOTA_PARAMETERS "max_bytes");
	snprintf(parameters, sizeof(parameters),
		 "max_objects=%llu max_bytes=%llu", strtoull(text[0], NULL, 10),
		 strtoull(text[1], NULL, 10));
	close(fail_objects_fd);
	close(fail_accounts_fd);
	if (!ok(!unload() && !there(), "unloaded, nothing of it is left"))
		return done_testing();
	if (!quota_write(QUOTA_TRACING "events/module/module_load/enable", "1"))
		bail_out("no event module_load: %s", strerror(errno));
	/* The kernel itself says much of what it could not do. */
	klogctl(KLOG_OFF, NULL, 0);
	/* Both slabs and pages; no user memory is accessed there. */
	walk(&fail_kinds[0]);
	klogctl(KLOG_ON, NULL, 0);
	quota_write(QUOTA_TRACING "events/module/module_load/enable", "0");
	ok(lost_nothing(), "no memory is lost");
	ok(!load() && works(), "then it is loaded as it was");
	return fail_done();
}
