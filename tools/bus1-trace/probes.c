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
#include <inttypes.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include "options.h"
#include "stream.h"
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

/* Since which minor version of the schema there is the event */
static unsigned int since(uint32_t type)
{
	if (type == EV_peer_name)
		return 2;
	if (type == EV_recv_wait)
		return 4;
	return type == EV_acct_charge || type == EV_acct_discharge ||
	       type == EV_acct_reject;
}

uint32_t schema_events(unsigned int minor)
{
	uint32_t events = 0, i;

	for (i = 0; i < EV_MAX; i++)
		if (since(i) <= minor)
			events |= BUS1_EVENT_BIT(i);
	return events;
}

bool module_has(const char *verb, uint32_t events)
{
	unsigned int minor = module_minor();

	if (!(events & ~schema_events(minor)))
		return true;
	complain("the loaded bus1 module has trace schema 1.%u, which lacks events that %s needs: load the bus1.ko that belongs to this bus1-trace",
		 minor, verb);
	return false;
}

bool probes_possible(const char *verb, uint32_t required)
{
	if (!module_usable())
		return false;
	if (!capable(CAP_BPF) || !capable(CAP_PERFMON)) {
		explain_bpf(verb, -EPERM);
		return false;
	}
	return module_has(verb, required);
}

/* EV_MAX: it goes to none. */
static uint32_t program_event(const struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);
	uint32_t i = 0;

	while (i < EV_MAX &&
	       strcmp(strchr(section, '/') + 1, event_info[i].name))
		i++;
	return i;
}

/* Whether it goes to an event that there is, by the way that is taken. */
bool program_fits(const struct bpf_program *program, bool raw)
{
	uint32_t event = program_event(program);

	return !strncmp(bpf_program__section_name(program),
			raw ? "raw_tp/" : "tp_btf/", 7) &&
	       event < EV_MAX && since(event) <= module_minor();
}

static void choose(struct bus1_trace *skel, const struct probe_options *want,
		   bool raw)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, skel->obj)
		bpf_program__set_autoload(prog, program_fits(prog, raw) &&
				want->events &
				BUS1_EVENT_BIT(program_event(prog)));
	bpf_program__set_autoload(skel->progs.payload, want->payload);
}

/* Of each of these others tell the end. */
#define BEGINS (BUS1_EVENT_BIT(EV_peer_new) | BUS1_EVENT_BIT(EV_node_new) |  \
		BUS1_EVENT_BIT(EV_handle_new) | BUS1_EVENT_BIT(EV_tx_begin) | \
		BUS1_EVENT_BIT(EV_msg_send) | BUS1_EVENT_BIT(EV_notify_send) | \
		BUS1_EVENT_BIT(EV_acct_charge))

/*
 * One after the other, and much can happen between two of them: what began and
 * ended then would be there for ever, were only its begin seen. So those come
 * last. Of an end without a begin nothing follows.
 */
static int attach(struct bus1_trace *skel)
{
	struct bpf_object_skeleton *s = skel->skeleton;
	int i;

	for (i = 0; i < s->prog_cnt; i++) {
		const struct bpf_program *prog = *s->progs[i].prog;

		if (!bpf_program__autoload(prog) ||
		    BEGINS & BUS1_EVENT_BIT(program_event(prog)))
			continue;
		*s->progs[i].link = bpf_program__attach(prog);
		if (!*s->progs[i].link)
			return -errno;
	}
	/* what has no link yet */
	return bus1_trace__attach(skel);
}

static void resize(struct bpf_object *object, const char *map, uint32_t n)
{
	bpf_map__set_max_entries(bpf_object__find_map_by_name(object, map), n);
}

/* What is not needed does not cost memory. */
void match_maps(struct bpf_object *object)
{
	resize(object, "cpus", cpu_ids());
	if (!filter.bits)
		resize(object, "matches", 1);
	if (!filter.bits && !filter.peer && !filter.node)
		resize(object, "parts", 1);
}

struct probes *probes_try(const struct probe_options *want, bool raw,
			  int *error)
{
	struct probes *probes = calloc(1, sizeof(*probes));
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
	memcpy((void *)&skel->rodata->filter, &filter, sizeof(filter));
	skel->rodata->minor = module_minor();
	skel->rodata->want_cgroup = want->cgroups;
	skel->rodata->want_stack = want->stacks;
	skel->rodata->want_payload = want->payload;
	bpf_map__set_max_entries(skel->maps.ring, want->ring_size);
	match_maps(skel->obj);
	choose(skel, want, raw);
	*error = bus1_trace__load(skel);
	if (!*error)
		*error = filter_open(bpf_map__fd(skel->maps.cgroups));
	if (!*error)
		*error = attach(skel);
	if (!*error)
		return probes;
fail:
	probes_free(probes);
	return NULL;
}

struct probes *probes_attach(const char *verb,
			     const struct probe_options *want, bool *raw)
{
	struct probes *probes = NULL;
	int error = 0;

	if (want->payload && !tp_btf_possible()) {
		complain("--payload needs the module's BTF, and CAP_SYS_ADMIN to use it");
		complain("\"bus1-trace doctor\" checks this machine");
		return NULL;
	}
	*raw = options.raw || !tp_btf_possible();
	if (!*raw) {
		probes = probes_try(want, false, &error);
		if (!probes && debug)
			complain("tp_btf failed: %s; trying raw_tp",
				 strerror(-error));
	}
	if (!probes) {
		*raw = true;
		probes = probes_try(want, true, &error);
	}
	if (!probes)
		explain_bpf(verb, error);
	return probes;
}

struct bpf_object *probes_object(struct probes *probes)
{
	return probes->skel->obj;
}

void match_peer(int matches, uint64_t peer, uint32_t bits)
{
	uint32_t old = 0;

	/* the programs have learned, too */
	bpf_map_lookup_elem(matches, &peer, &old);
	bits |= old;
	if (bits != old &&
	    bpf_map_update_elem(matches, &peer, &bits, BPF_ANY))
		complain("peer %" PRIu64 " cannot be filtered by: %s", peer,
			 strerror(errno));
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
	counts_read(probes->skel->obj, sum);
}

uint64_t probes_missed(struct probes *probes)
{
	return programs_missed(probes->skel->obj);
}

void counts_read(struct bpf_object *object, struct bus1_count *sum)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, "cpus");
	struct bus1_counts *counts = malloc(bpf_map__value_size(map));
	uint32_t cpu, i;

	memset(sum, 0, EV_MAX * sizeof(*sum));
	for (cpu = 0; counts && cpu < bpf_map__max_entries(map); cpu++) {
		if (bpf_map_lookup_elem(bpf_map__fd(map), &cpu, counts))
			continue;
		for (i = 0; i < EV_MAX; i++) {
			sum[i].seen += counts->of[i].seen;
			sum[i].filtered += counts->of[i].filtered;
			sum[i].ring_full += counts->of[i].ring_full;
			sum[i].map_full += counts->of[i].map_full;
		}
	}
	free(counts);
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
