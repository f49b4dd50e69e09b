// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: probes
 *
 * Loads and attaches the programs of bus1_trace.bpf.c, by one of their two
 * ways, and reads their counters; and what sums.c does the same way.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"
#include "bus1_trace.skel.h"

struct probes {
	struct bus1_trace *skel;
};

void probes_free(struct probes *probes)
{
	if (!probes)
		return;
	bus1_trace__destroy(probes->skel);
	free(probes);
}

/* The module's BTF can be had by CAP_SYS_ADMIN only. */
bool tp_btf_possible(void)
{
	return module_btf() && capable(CAP_SYS_ADMIN);
}

/* Has the module the event of this program, with the arguments it reads? */
static bool in_schema(const char *program, unsigned int minor)
{
	if (strstr(program, "_1_0"))
		return minor < 1;
	return minor >= 1 || (strncmp(program, "acct_", 5) &&
			      strncmp(program, "op_fail_", 8));
}

/* Of each event there are two programs, one for either way. */
void programs_choose(struct bpf_object *object, bool raw)
{
	unsigned int minor = module_minor();
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, object)
		bpf_program__set_autoload(
			prog, raw == !strncmp(bpf_program__section_name(prog),
					      "raw_tp", 6) &&
				      in_schema(bpf_program__name(prog), minor));
}

struct probes *probes_attach(const struct probe_options *options, bool raw,
			     int *error)
{
	struct probes *probes = calloc(1, sizeof(*probes));
	bool filter = options->pid || options->has_uid;
	struct bus1_trace *skel;

	if (!probes) {
		*error = -ENOMEM;
		return NULL;
	}
	probes->skel = skel = bus1_trace__open();
	if (!skel) {
		*error = -errno;
		goto fail;
	}
	skel->rodata->filter_pid = options->pid;
	skel->rodata->filter_peer = options->peer;
	skel->rodata->filter_uid = options->has_uid;
	skel->rodata->filter_uid_value = options->uid;
	bpf_map__set_max_entries(skel->maps.ring, options->ring_size);
	if (!filter)
		bpf_map__set_max_entries(skel->maps.matches, 1);
	if (!filter && !options->peer)
		bpf_map__set_max_entries(skel->maps.parts, 1);
	programs_choose(skel->obj, raw);
	*error = bus1_trace__load(skel);
	if (!*error)
		*error = bus1_trace__attach(skel);
	if (!*error)
		return probes;
fail:
	probes_free(probes);
	return NULL;
}

void probes_detach(struct probes *probes)
{
	bus1_trace__detach(probes->skel);
}

int probes_fd(struct probes *probes, const char *map)
{
	return bpf_object__find_map_fd_by_name(probes->skel->obj, map);
}

void probes_counts(struct probes *probes, struct bus1_count *sum)
{
	counts_read(probes_fd(probes, "counts"), EV_MAX, sum);
}

uint64_t probes_missed(struct probes *probes)
{
	return programs_missed(probes->skel->obj);
}

/* Sums up @n counts over all CPUs. */
void counts_read(int map, uint32_t n, struct bus1_count *sum)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	struct bus1_count *each = calloc(cpus > 0 ? cpus : 1, sizeof(*each));
	uint32_t i;

	memset(sum, 0, n * sizeof(*sum));
	for (i = 0; each && i < n; i++) {
		if (bpf_map_lookup_elem(map, &i, each))
			continue;
		for (cpu = 0; cpu < cpus; cpu++) {
			sum[i].seen += each[cpu].seen;
			sum[i].filtered += each[cpu].filtered;
			sum[i].ring_full += each[cpu].ring_full;
			sum[i].map_full += each[cpu].map_full;
		}
	}
	free(each);
}

/* Events that met their program running on that CPU already. */
uint64_t programs_missed(struct bpf_object *object)
{
	struct bpf_program *prog;
	uint64_t sum = 0;

	bpf_object__for_each_program(prog, object) {
		struct bpf_prog_info info = { 0 };
		__u32 size = sizeof(info);

		if (bpf_program__fd(prog) >= 0 &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info,
					    &size))
			sum += info.recursion_misses;
	}
	return sum;
}
