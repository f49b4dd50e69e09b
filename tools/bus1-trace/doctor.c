// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: doctor
 *
 * One line a check: ok; warn, where something else than bus1-trace's own verbs
 * suffers or a second way is taken; bad, where a verb will not work.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "options.h"
#include "stream.h"

#define KLOG_READ_ALL 3
#define KLOG_SIZE_BUFFER 10

enum verdict { OK, WARN, BAD };

static int count[BAD + 1];

/* @mend is printed behind what was found, and is NULL where all is well. */
__attribute__((format(printf, 4, 5))) static void
verdict(enum verdict v, const char *check, const char *mend, const char *fmt,
	...)
{
	static const char *const words[] = { "ok", "warn", "bad" };
	char found[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(found, sizeof(found), fmt, args);
	va_end(args);
	count[v]++;
	if (!options.json) {
		printf("%-4s  %-12s %s\n", words[v], check, found);
		if (mend)
			printf("%18s -> %s\n", "", mend);
		return;
	}
	printf("{\"type\":\"check\",\"check\":\"%s\",\"verdict\":\"%s\",\"found\":",
	       check, words[v]);
	json_string(found);
	if (mend) {
		printf(",\"mend\":");
		json_string(mend);
	}
	printf("}\n");
}

static void check_kernel(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	uname(&name);
	sscanf(name.release, "%u.%u", &major, &minor);
	if (major < 6 || (major == 6 && minor < 1))
		verdict(WARN, "kernel", "use 6.1 or later", "%s is not tested",
			name.release);
	else
		verdict(OK, "kernel", NULL, "%s", name.release);
	if (kernel_btf())
		verdict(OK, "kernel BTF", NULL, "present");
	else
		verdict(BAD, "kernel BTF",
			"use a kernel with CONFIG_DEBUG_INFO_BTF=y; monitor works without, status then reads /proc",
			"/sys/kernel/btf/vmlinux is missing");
}

/* Who may open it is the administrator's choice, by a rule of udev. */
static void check_device(void)
{
	struct passwd *user;
	struct group *group;
	char mend[160];
	struct stat st;

	if (stat("/dev/bus1", &st)) {
		verdict(BAD, "module", "let udev, or mount -t devtmpfs, make it",
			"loaded, but /dev/bus1: %s", strerror(errno));
	} else if (access("/dev/bus1", R_OK | W_OK)) {
		int error = errno;

		user = getpwuid(st.st_uid);
		group = getgrgid(st.st_gid);
		snprintf(mend, sizeof(mend),
			 "it is for user %s (%u), group %s (%u), mode %04o: run this as one it admits",
			 user ? user->pw_name : "?", st.st_uid,
			 group ? group->gr_name : "?", st.st_gid,
			 st.st_mode & 0777);
		verdict(WARN, "module", mend, "loaded, but /dev/bus1: %s",
			strerror(error));
	} else {
		verdict(OK, "module", NULL, "loaded, /dev/bus1 can be opened");
	}
}

static void check_module(void)
{
	/* what a module of schema 1.n has not */
	static const char *const lacks[] = {
		"no refusals, acct does not work",
		"no names of peers, no last use of handles",
		"order does not check the agreement on multicasts",
		"no waits",
	};
	_Static_assert(sizeof(lacks) / sizeof(*lacks) ==
			       BUS1_TRACE_SCHEMA_MINOR,
		       "each minor version lacks something");
	struct schema schema;
	int error;

	if (!module_loaded()) {
		verdict(BAD, "module", "modprobe bus1, or insmod bus1.ko",
			"not loaded");
		return;
	}
	check_device();
	error = module_schema(&schema);
	if (error)
		verdict(BAD, "schema",
			"load the bus1.ko that belongs to this bus1-trace",
			"the module says none");
	else if (schema.major != BUS1_TRACE_SCHEMA_MAJOR)
		verdict(BAD, "schema",
			"use the bus1-trace that was built with the module",
			"module %u.%u, bus1-trace %d.%d", schema.major,
			schema.minor, BUS1_TRACE_SCHEMA_MAJOR,
			BUS1_TRACE_SCHEMA_MINOR);
	else if (schema.minor < BUS1_TRACE_SCHEMA_MINOR)
		verdict(WARN, "schema",
			"load the bus1.ko that belongs to this bus1-trace",
			"module %u.%u, bus1-trace %d.%d: %s",
			schema.major, schema.minor, BUS1_TRACE_SCHEMA_MAJOR,
			BUS1_TRACE_SCHEMA_MINOR,
			lacks[schema.minor]);
	else
		verdict(OK, "schema", NULL, "module %u.%u, bus1-trace %d.%d",
			schema.major, schema.minor, BUS1_TRACE_SCHEMA_MAJOR,
			BUS1_TRACE_SCHEMA_MINOR);
}

/* What the kernel said when it refused the module's BTF, in its own log. */
static bool btf_refused(void)
{
	int size = klogctl(KLOG_SIZE_BUFFER, NULL, 0);
	char *log = size > 0 ? calloc(1, size + 1) : NULL;
	bool refused;

	refused = log && klogctl(KLOG_READ_ALL, log, size) > 0 &&
		  strstr(log, "failed to validate module [bus1] BTF");
	free(log);
	return refused;
}

static void check_module_btf(void)
{
	if (!module_loaded())
		return;
	if (module_btf())
		verdict(OK, "module BTF", NULL, "present");
	else if (btf_refused())
		verdict(BAD, "module BTF",
			"rebuild bus1.ko for exactly this kernel",
			"mismatch: the kernel refused it, see dmesg; raw tracepoints are used");
	else
		verdict(BAD, "module BTF",
			"build it by dkms after make install-module, which adds BTF; dmesg may say more",
			"absent; raw tracepoints are used");
}

static bool check_privileges(void)
{
	bool bpf = capable(CAP_BPF) && capable(CAP_PERFMON);

	if (!bpf)
		verdict(BAD, "privileges",
			"run as root, or with CAP_BPF and CAP_PERFMON",
			"uid %u without CAP_BPF and CAP_PERFMON: only a partial status",
			geteuid());
	else if (!capable(CAP_SYS_ADMIN))
		verdict(WARN, "privileges", "run as root",
			"no CAP_SYS_ADMIN: the module's BTF cannot be read, raw tracepoints are used");
	else
		verdict(OK, "privileges", NULL,
			"CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN");
	return bpf;
}

static void check_lockdown(void)
{
	char line[128];

	if (!read_line("/sys/kernel/security/lockdown", line, sizeof(line)))
		verdict(OK, "lockdown", NULL, "none that can be seen");
	else if (strstr(line, "[confidentiality]"))
		verdict(WARN, "lockdown",
			"boot without lockdown=confidentiality to use tracefs and perf",
			"confidentiality: tracefs, perf and debugfs are closed");
	else if (strstr(line, "[integrity]"))
		verdict(WARN, "lockdown",
			"boot without lockdown to read /sys/kernel/debug/bus1",
			"integrity: debugfs may be closed");
	else
		verdict(OK, "lockdown", NULL, "none");
}

static void check_perf(void)
{
	char line[32];
	int level;

	if (!read_line("/proc/sys/kernel/perf_event_paranoid", line,
		       sizeof(line))) {
		verdict(WARN, "perf", "use a kernel with CONFIG_PERF_EVENTS=y",
			"the kernel has no perf events");
		return;
	}
	level = atoi(line);
	if (level > -1 && !capable(CAP_PERFMON))
		verdict(WARN, "perf",
			"run perf as root, or sysctl kernel.perf_event_paranoid=-1",
			"perf_event_paranoid is %d", level);
	else
		verdict(OK, "perf", NULL, "perf_event_paranoid is %d%s", level,
			level > -1 ? ", CAP_PERFMON is exempt" : "");
}

static void check_mounts(void)
{
	int error;

	if (access("/sys/kernel/tracing/events", F_OK) &&
	    access("/sys/kernel/debug/tracing/events", F_OK))
		verdict(WARN, "tracefs",
			errno == EACCES ? "run as root" :
					  "mount -t tracefs tracefs /sys/kernel/tracing",
			"%s, perf and trace-cmd need it",
			errno == EACCES ? "not readable" : "not mounted");
	else if (module_loaded() &&
		 access("/sys/kernel/tracing/events/bus1", F_OK) &&
		 access("/sys/kernel/debug/tracing/events/bus1", F_OK))
		verdict(WARN, "tracefs",
			"rebuild bus1.ko for a kernel with CONFIG_TRACEPOINTS=y",
			"mounted, without the events of bus1");
	else
		verdict(OK, "tracefs", NULL, "mounted%s",
			module_loaded() ? ", has the events of bus1" : "");

	if (!module_loaded())
		return;
	error = access("/sys/kernel/debug/bus1/objects", R_OK) ? errno : 0;
	if (!error && module_minor() >= 1 &&
	    access("/sys/kernel/debug/bus1/accounts", R_OK))
		error = errno;
	if (!error)
		verdict(OK, "debugfs", NULL, "bus1 can be read");
	else
		verdict(WARN, "debugfs",
			error == EACCES ?
				"run as root" :
				"mount -t debugfs debugfs /sys/kernel/debug",
			"bus1 cannot be read: status misses peers that are in no descriptor table, acct all claims");
}

/* The proof: load and attach what the verbs do, and detach it again. */
static void try_attach(bool raw)
{
	const struct probe_options want = {
		.events = schema_events(module_minor()),
		.ring_size = 1 << 16,
	};
	const char *way = raw ? "raw_tp" : "tp_btf";
	struct probes *probes;
	int error;

	probes = probes_try(&want, raw, &error);
	if (probes)
		verdict(OK, "attach", NULL, "by %s", way);
	else
		verdict(BAD, "attach", "bus1-trace doctor -v shows why",
			"by %s: %s", way, strerror(-error));
	probes_free(probes);
}

int verb_doctor(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ &options_output_argp, 0, NULL, 0 },
		{ &options_common_argp, 0, NULL, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		NULL, NULL, NULL,
		"Check what this machine offers for tracing bus1.\v"
		"Status: 0, or 1 if a check is \"bad\".\n\n"
		"Examples:\n"
		"  bus1-trace doctor\n"
		"  bus1-trace doctor -v 2>libbpf.log",
		children, NULL, NULL,
	};
	int status = options_parse(&argp, argc, argv);
	bool bpf;

	if (status >= 0)
		return status;
	check_kernel();
	check_module();
	check_module_btf();
	bpf = check_privileges();
	check_lockdown();
	check_perf();
	check_mounts();
	if (bpf && module_loaded()) {
		if (module_btf() && capable(CAP_SYS_ADMIN))
			try_attach(false);
		try_attach(true);
	}
	if (options.json)
		printf("{\"type\":\"doctor\",\"ok\":%d,\"warn\":%d,\"bad\":%d}\n",
		       count[OK], count[WARN], count[BAD]);
	else if (count[BAD])
		printf("%d bad, %d to be warned of.\n", count[BAD],
		       count[WARN]);
	else if (count[WARN])
		printf("Nothing bad, %d to be warned of.\n", count[WARN]);
	else
		printf("All is well.\n");
	return count[BAD] ? EXIT_ERROR : EXIT_OK;
}
