// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation of the module's initialization fails once, and all from there
 * on: then it is there, and works, or it is not, and nothing of it is. Needs a
 * kernel with fault injection, as the debug kernels are, and that nobody uses the
 * module.
 */
#include "../uapi/failnth.h"

#include <sys/klog.h>

#define MODULE "/run/module.ko"
#define SPARE 8

enum { KLOG_READ_ALL = 3, KLOG_CLEAR = 5, KLOG_OFF = 6, KLOG_ON = 7 };

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

/* How many faults are there for a load that succeeds? */
static unsigned int all_of(const struct fail_kind *kind)
{
	unsigned int left;
	char *space;
	int r;

	load_failing(kind, FAIL_TIMES, &r);
	if (!kind->lasting)
		return FAIL_TIMES - fail_left;
	space = quota_file(FAIL_DEBUG "fail_page_alloc/space");
	left = strtoul(space, NULL, 10);
	free(space);
	return FAIL_TIMES - 1 - left;
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
 * The module's own code comes last: so from the last fault back to the first
 * that the kernel does not get over before that. Not each load meets as many.
 */
static void walk(const struct fail_kind *kind)
{
	unsigned int nth, n = 0, failed = 0, before = odd;
	int r;

	fail_kind(kind);
	for (nth = all_of(kind) + SPARE; nth; nth--) {
		quota_write(QUOTA_TRACING "trace", "");
		if (!load_failing(kind, nth, &r))
			continue;
		if (r && !begun())
			break;
		n++;
		failed += r != 0;
	}
	ok(odd == before && failed, "%s: of %u faults %u made it fail; %u oddly",
	   kind->name, n, failed, odd - before);
}

/*
 * A cache that cannot be made is a stack trace in the kernel's log, and no
 * complaint; anything else there is one. The log is emptied.
 */
static bool log_is_clean(void)
{
	static char text[1 << 20];
	FILE *f = popen("./klog", "w");
	char *line = text, *next;
	int n;

	if (!f)
		return false;
	n = klogctl(KLOG_READ_ALL, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	for (; *line; line = next) {
		next = quota_next(line);
		if (!memmem(line, next - line, "Call Trace", 10))
			fwrite(line, 1, next - line, f);
	}
	klogctl(KLOG_CLEAR, NULL, 0);
	return n >= 0 && !pclose(f);
}

int main(void)
{
	char *text[2];

	if (geteuid() || access(MODULE, R_OK)) {
		skip(1, "needs root and " MODULE);
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
	/* No user memory is accessed there: so these two are all. */
	walk(&fail_kinds[0]);
	walk(&fail_kinds[FAIL_N_KINDS - 1]);
	klogctl(KLOG_ON, NULL, 0);
	ok(log_is_clean(), "the kernel complains of nothing else");
	quota_write(QUOTA_TRACING "events/module/module_load/enable", "0");
	ok(!load() && works(), "then it is loaded as it was");
	return fail_done();
}
