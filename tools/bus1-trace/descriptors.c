// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: descriptors
 *
 * Who holds which peer open: by a BPF iterator, if it may run; else by a walk
 * through /proc. Either finds descriptors of the device, and fdinfo says whose
 * peer such a one is.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "bus1-trace.h"
#include "bus1_files.skel.h"

/* PROC_PID_INIT_INO of the kernel */
#define INITIAL_PIDS 0xeffffffc

static void parse_fdinfo(const char *line, struct peer_state *peer)
{
	static const struct {
		const char *format;
		size_t offset;
	} numbers[] = {
		{ "bus1-peer: %" SCNu64, offsetof(struct peer_state, id) },
		{ "bus1-uid: %" SCNu64, offsetof(struct peer_state, uid) },
		{ "bus1-nodes: %" SCNu64, offsetof(struct peer_state, nodes) },
		{ "bus1-handles: %" SCNu64,
		  offsetof(struct peer_state, handles) },
		{ "bus1-queued: %" SCNu64,
		  offsetof(struct peer_state, queued) },
		{ "bus1-queued-bytes: %" SCNu64,
		  offsetof(struct peer_state, bytes) },
	};
	uint64_t v;
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (sscanf(line, numbers[i].format, &v) == 1)
			*(uint64_t *)((char *)peer + numbers[i].offset) = v;
	sscanf(line, "bus1-name: %31s", peer->name);
}

/* Adds what descriptor @fd of process @pid shows, if it is a peer. */
static void add_holder(struct snapshot *s, uint32_t pid, uint32_t fd)
{
	struct peer_state read = { 0 };
	struct holder *holder;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/fdinfo/%u", pid, fd);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		parse_fdinfo(line, &read);
	fclose(file);
	if (!read.id)
		return;

	holder = grow(NULL, 0, sizeof(*holder));
	*holder = (struct holder){ .pid = pid, .fd = fd };
	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	/* it may have ended just now */
	if (!read_line(path, holder->comm, sizeof(holder->comm))) {
		free(holder);
		return;
	}
	read.holders = holder;
	read.n_holders = 1;
	s->peers = grow(s->peers, s->n_peers, sizeof(*s->peers));
	s->peers[s->n_peers++] = read;
}

/* It stays loaded, for who looks often. */
static struct bpf_link *attach_once(uint32_t device)
{
	static struct bpf_link *link;
	struct bus1_files *skel;

	if (link)
		return link;
	skel = bus1_files__open();
	if (!skel)
		return NULL;
	skel->rodata->device = device;
	if (!bus1_files__load(skel))
		link = bpf_program__attach_iter(skel->progs.find_files, NULL);
	if (!link)
		bus1_files__destroy(skel);
	return link;
}

static bool find_by_bpf(struct snapshot *s, uint32_t device)
{
	struct bpf_link *link = attach_once(device);
	struct bus1_holder found[64];
	ssize_t n, i;
	int fd;

	fd = link ? bpf_iter_create(bpf_link__fd(link)) : -1;
	if (fd < 0)
		return false;
	/* It stops with EAGAIN after 1000000 descriptors without a peer. */
	while ((n = read(fd, found, sizeof(found))) > 0 ||
	       (n < 0 && errno == EAGAIN))
		for (i = 0; i < n / (ssize_t)sizeof(*found); i++)
			add_holder(s, found[i].pid, found[i].fd);
	close(fd);
	return !n;
}

static void find_in_proc(struct snapshot *s, dev_t device)
{
	DIR *proc = opendir("/proc"), *fds;
	struct dirent *process, *entry;
	char path[300];
	struct stat st;

	while (proc && (process = readdir(proc))) {
		if (!isdigit(process->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fd", process->d_name);
		fds = opendir(path);
		if (!fds) {
			s->unreadable += errno == EACCES || errno == EPERM;
			continue;
		}
		while ((entry = readdir(fds))) {
			if (fstatat(dirfd(fds), entry->d_name, &st, 0)) {
				if (errno != EACCES)
					continue; /* closed by now */
				s->unreadable++;
				break;
			}
			if (!S_ISCHR(st.st_mode) || st.st_rdev != device)
				continue;
			add_holder(s, strtoul(process->d_name, NULL, 10),
				   strtoul(entry->d_name, NULL, 10));
		}
		closedir(fds);
	}
	if (proc)
		closedir(proc);
}

/*
 * The BPF program sees IDs of the initial PID name space. It shows in the
 * caller's /proc if the caller is in it, or the first process there is.
 */
bool initial_pids(void)
{
	struct stat st;

	return (!stat("/proc/self/ns/pid", &st) && st.st_ino == INITIAL_PIDS) ||
	       (!stat("/proc/1/ns/pid", &st) && st.st_ino == INITIAL_PIDS);
}

void descriptors_find(struct snapshot *s, uint32_t major, uint32_t minor)
{
	size_t i, n = s->n_peers;

	s->initial_pids = initial_pids();
	/* Without CAP_SYS_PTRACE not all that it finds could be read. */
	s->bpf = s->initial_pids && capable(CAP_SYS_PTRACE) &&
		 find_by_bpf(s, major << 20 | minor);
	if (s->bpf)
		return;
	/* what it found before it failed */
	for (i = n; i < s->n_peers; i++)
		free(s->peers[i].holders);
	s->n_peers = n;
	find_in_proc(s, makedev(major, minor));
}
