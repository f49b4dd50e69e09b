// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: filter
 *
 * The options as a filter. The BPF programs get it as constants; for what comes
 * from a recording the same code runs here. Control groups are IDs in the kernel;
 * a recording has the paths that belonged to them.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "options.h"
#include "stream.h"
#include "bus1_filter.h"

#define CGROUPS "/sys/fs/cgroup"
#define BUCKETS 16384

struct bus1_filter filter;

const struct bus1_roles event_roles[EV_MAX] = {
#define X(name, n, time, narrow, from, to, node_peer, node) \
	[EV_##name] = { n, time, from, to, node_peer, node },
	BUS1_EVENTS(X)
#undef X
};

static char *cgroup_path; /* live: of the filter, as the kernel calls it */
static const struct bus1_event *current;
static uint64_t *inside; /* IDs of recorded control groups that fit */
static size_t n_inside;
static struct part {
	uint32_t tid;
	struct bus1_tx tx;
} parts[BUCKETS];

static bool find_cgroup(void)
{
	char path[PATH_MAX];
	struct statfs fs;

	snprintf(path, sizeof(path), "%s%s%s",
		 strncmp(options.cgroup, CGROUPS, strlen(CGROUPS)) ? CGROUPS :
								     "",
		 *options.cgroup == '/' ? "" : "/", options.cgroup);
	errno = 0;
	if (!statfs(path, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC &&
	    (cgroup_path = realpath(path, NULL)))
		return true;
	complain("\"%s\" is not a control group in " CGROUPS " (cgroup v2): %s",
		 options.cgroup,
		 errno ? strerror(errno) : "another file system");
	return false;
}

int filter_open(int map)
{
	uint32_t zero = 0;
	int fd, error;

	if (!cgroup_path)
		return 0;
	fd = open(cgroup_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = bpf_map_update_elem(map, &zero, &fd, BPF_ANY) ? -errno : 0;
	close(fd);
	return error;
}

bool filter_make(void)
{
	filter = (struct bus1_filter){
		.peer = options.peer,
		.node_peer = options.node_peer,
		.node = options.node,
		.latency = options.latency,
		.pid = options.pid,
		.uid = options.uid,
		.classes = options.classes,
		.failures = options.failures,
	};
	if (options.pid)
		filter.bits |= BUS1_MATCH_PID;
	if (options.has_uid)
		filter.bits |= BUS1_MATCH_UID;
	if (options.comm) {
		filter.bits |= BUS1_MATCH_COMM;
		/* NUL to the end, as the kernel has it */
		memcpy(filter.comm, options.comm, strlen(options.comm));
	}
	if (options.cgroup)
		filter.bits |= BUS1_MATCH_CGROUP;
	filter.any = filter.bits || filter.peer || filter.node ||
		     filter.latency || filter.classes || filter.failures;
	if (!options.cgroup)
		return true;
	return options.input || find_cgroup();
}

bool cgroup_fits(const char *path)
{
	const char *wanted = cgroup_path ? cgroup_path : options.cgroup;
	size_t n;

	if (!strncmp(wanted, CGROUPS, strlen(CGROUPS)))
		wanted += strlen(CGROUPS);
	wanted += strspn(wanted, "/");
	path += strspn(path, "/");
	for (n = strlen(wanted); n && wanted[n - 1] == '/'; n--)
		;
	return !strncmp(path, wanted, n) && (!n || !path[n] || path[n] == '/');
}

/* Recorded: @id was the control group @path. */
void filter_cgroup(uint64_t id, const char *path)
{
	if (!options.cgroup || !cgroup_fits(path))
		return;
	inside = grow(inside, n_inside, sizeof(*inside));
	inside[n_inside++] = id;
}

static __u32 filter_task_bits(void)
{
	__u32 bits = 0;
	size_t i;

	if (filter.bits & BUS1_MATCH_PID && current->pid == filter.pid)
		bits |= BUS1_MATCH_PID;
	if (filter.bits & BUS1_MATCH_COMM &&
	    !memcmp(current->comm, filter.comm, sizeof(filter.comm)))
		bits |= BUS1_MATCH_COMM;
	for (i = 0; i < n_inside; i++)
		if (current->cgroup == inside[i])
			bits |= BUS1_MATCH_CGROUP;
	return bits;
}

static __u32 filter_peer_bits(__u64 peer)
{
	const struct peer *p = peers_find(peer);

	return p ? p->bits : 0;
}

static bool filter_learn(__u64 peer, __u32 bits)
{
	peers_get(peer)->bits |= bits;
	return true;
}

/* As the LRU map of the kernel: a newer one may take the place. */
static bool filter_part_add(__u64 peer, __u64 tx)
{
	parts[current->tid % BUCKETS] = (struct part){
		.tid = current->tid,
		.tx = { .peer = peer, .tx = tx },
	};
	return true;
}

static bool filter_part_take(__u64 peer, __u64 tx)
{
	struct part *part = &parts[current->tid % BUCKETS];
	bool is;

	if (part->tid != current->tid)
		return false;
	is = part->tx.peer == peer && part->tx.tx == tx;
	memset(part, 0, sizeof(*part));
	return is;
}

int filter_recorded(const struct bus1_event *event, unsigned int n_args)
{
	struct bus1_roles roles = event_roles[event->type];

	current = event;
	roles.n = n_args;
	return filter_event(&filter, event->type, event->arg, &roles);
}

void filter_match(uint64_t peer, uint32_t bits)
{
	filter_learn(peer, bits);
}
