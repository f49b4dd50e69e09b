// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: cost
 *
 * --cost: how long the BPF programs ran. The kernel measures that by reading its
 * clock before and after each run, which costs about as much again, so it does so
 * for all BPF programs of the machine while it is asked to. What the tracepoint
 * itself costs, and this program, is not in it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <string.h>
#include <unistd.h>
#include "bus1-trace.h"
#include "cost.h"
#include "options.h"

#define EMPTY_RUNS 1000

static int stats_fd = -1;
static uint64_t begun;

static bool run_time(int fd, uint64_t *runs, uint64_t *ns)
{
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size))
		return false;
	*runs = info.run_cnt;
	*ns = info.run_time_ns;
	return true;
}

/* What a program that does nothing is measured as; 0: that cannot be known */
static double empty(void)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_test_run_opts, run);
	uint64_t runs = 0, ns = 0;
	int fd, i;

	fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "empty", "GPL",
			   nothing, sizeof(nothing) / sizeof(*nothing), NULL);
	for (i = 0; fd >= 0 && i < EMPTY_RUNS; i++)
		if (bpf_prog_test_run_opts(fd, &run))
			break;
	if (!run_time(fd, &runs, &ns) || !runs)
		ns = 0;
	if (fd >= 0)
		close(fd);
	return runs ? (double)ns / runs : 0;
}

void cost_begin(void)
{
	if (!options.cost)
		return;
	stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	begun = now_ns();
	if (stats_fd < 0)
		complain("--cost: the kernel does not measure BPF programs: %s%s",
			 strerror(errno),
			 errno == EPERM ? "; that needs CAP_SYS_ADMIN: run it as root" :
					  "");
}

static void row(bool json, const char *event, uint64_t runs, uint64_t ns)
{
	if (json)
		printf("{\"type\":\"cost\",\"of\":\"%s\",\"runs\":%" PRIu64
		       ",\"ns\":%" PRIu64 "}\n",
		       event, runs, ns);
	else
		printf("%-14s %12" PRIu64 " %12.3f %9.0f\n", event, runs,
		       ns / 1e6, runs ? (double)ns / runs : 0);
}

void cost_report(struct bpf_object *object, bool json)
{
	uint64_t runs, ns, all_runs = 0, all_ns = 0, time = now_ns() - begun;
	struct bpf_program *prog;
	double nothing;

	if (stats_fd < 0)
		return;
	if (!json)
		printf("\n%-14s %12s %12s %9s\n", "COST OF", "RUNS", "MS",
		       "NS EACH");
	bpf_object__for_each_program(prog, object) {
		const char *event = strchr(bpf_program__section_name(prog),
					   '/');

		if (!event || !run_time(bpf_program__fd(prog), &runs, &ns) ||
		    !runs)
			continue;
		row(json, event + 1, runs, ns);
		all_runs += runs;
		all_ns += ns;
	}
	nothing = empty();
	close(stats_fd);
	stats_fd = -1;
	if (json) {
		printf("{\"type\":\"cost_total\",\"runs\":%" PRIu64
		       ",\"ns\":%" PRIu64 ",\"time\":%" PRIu64
		       ",\"empty_ns\":%.0f}\n",
		       all_runs, all_ns, time, nothing);
		return;
	}
	row(json, "all", all_runs, all_ns);
	printf("%.3f %% of one processor; of each run %.0f ns are the measuring itself.\n",
	       time ? 100.0 * all_ns / time : 0, nothing);
}
