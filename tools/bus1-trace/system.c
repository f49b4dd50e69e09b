// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: system
 *
 * What this machine offers, and sentences about what it does not.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "bus1-trace.h"

#define MISC "/sys/class/misc/bus1/"

bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool ok;

	if (!file)
		return false;
	ok = fgets(line, size, file);
	fclose(file);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

uint32_t cpu_ids(void)
{
	char line[4096], *last = line, *next;

	/* "0-3,8": the last is the greatest */
	if (!read_line("/sys/devices/system/cpu/possible", line, sizeof(line)))
		return sysconf(_SC_NPROCESSORS_CONF);
	while ((next = strpbrk(last, ",-")))
		last = next + 1;
	return strtoul(last, NULL, 10) + 1;
}

bool module_loaded(void)
{
	return !access(MISC "dev", F_OK);
}

bool module_device(uint32_t *major, uint32_t *minor)
{
	char line[32];

	return read_line(MISC "dev", line, sizeof(line)) &&
	       sscanf(line, "%u:%u", major, minor) == 2;
}

int module_schema(struct schema *schema)
{
	char line[32];

	if (!read_line(MISC "trace_schema", line, sizeof(line)))
		return -ENOENT;
	if (sscanf(line, "%u.%u", &schema->major, &schema->minor) != 2)
		return -EPROTO;
	return 0;
}

/* Says why not: not loaded, or another schema. */
bool module_usable(void)
{
	struct schema schema;

	if (!module_loaded()) {
		complain("the bus1 module is not loaded: load it with \"modprobe bus1\" (or insmod bus1.ko)");
		return false;
	}
	if (module_schema(&schema)) {
		complain("the loaded bus1 module does not say which trace schema it has (" MISC "trace_schema): it does not belong to this bus1-trace");
		return false;
	}
	if (schema.major != BUS1_TRACE_SCHEMA_MAJOR) {
		complain("the loaded bus1 module has trace schema %u.%u, this bus1-trace reads %u.x: use the bus1-trace that was built with the module, or load the module of this version",
			 schema.major, schema.minor, BUS1_TRACE_SCHEMA_MAJOR);
		return false;
	}
	return true;
}

/* Of a module that can be used. */
unsigned int module_minor(void)
{
	struct schema schema = { 0 };

	module_schema(&schema);
	return schema.minor;
}

bool module_btf(void)
{
	return !access("/sys/kernel/btf/bus1", F_OK);
}

bool kernel_btf(void)
{
	return !access("/sys/kernel/btf/vmlinux", R_OK);
}

bool capable(int cap)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap);
}

static int print_libbpf(enum libbpf_print_level level, const char *fmt,
			va_list args)
{
	(void)level;
	return debug ? vfprintf(stderr, fmt, args) : 0;
}

void libbpf_quiet(void)
{
	libbpf_set_print(print_libbpf);
}

/* Turns what libbpf returned (negative errno) into what to do. */
void explain_bpf(const char *verb, int error)
{
	if (!capable(CAP_BPF) || !capable(CAP_PERFMON))
		complain("%s needs CAP_BPF and CAP_PERFMON: run it as root", verb);
	else if (error == -EPERM)
		complain("%s: the kernel refuses BPF programs, perhaps by lockdown or by a container's limits",
			 verb);
	else if (error == -ENOENT || error == -ESRCH)
		complain("%s: the module has not all the tracepoints of schema %d.%d, or was just unloaded",
			 verb, BUS1_TRACE_SCHEMA_MAJOR,
			 BUS1_TRACE_SCHEMA_MINOR);
	else if (error == -ENOMEM)
		complain("%s: no memory for what the BPF programs fill: try a smaller --ring-size or --entries",
			 verb);
	else
		complain("%s: loading the BPF programs failed: %s (-v shows the log of libbpf)",
			 verb, strerror(-error));
	complain("\"bus1-trace doctor\" checks this machine");
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Between two readings of one clock the other is read; the closest are taken. */
uint64_t now_both(uint64_t *realtime)
{
	uint64_t before, after, best = UINT64_MAX, time = 0;
	struct timespec ts;
	int i;

	for (i = 0; i < 5; i++) {
		before = now_ns();
		clock_gettime(CLOCK_REALTIME, &ts);
		after = now_ns();
		if (after - before >= best)
			continue;
		best = after - before;
		time = before + best / 2;
		*realtime = ts.tv_sec * 1000000000ULL + ts.tv_nsec;
	}
	return time;
}
