// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: snapshot
 *
 * Which peers there are says debugfs, if it may be read; else the descriptors
 * that can be seen. Which descriptors there are says a BPF iterator, if it may
 * run; else a walk through /proc. A descriptor's fdinfo says whose peer it is.
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
#define OBJECTS "/sys/kernel/debug/bus1/objects"

void *grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1) || (!n && array))
		return array;
	array = realloc(array, (n ? n * 2 : 1) * size);
	if (!array) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	return array;
}

static struct peer_state *add_peer(struct snapshot *s, uint64_t id)
{
	struct peer_state *peer;

	s->peers = grow(s->peers, s->n_peers, sizeof(*s->peers));
	peer = &s->peers[s->n_peers++];
	memset(peer, 0, sizeof(*peer));
	peer->id = id;
	return peer;
}

/* What follows " key=" in @line, or NULL. */
static const char *find_value(const char *line, const char *key)
{
	size_t n = strlen(key);

	while ((line = strchr(line, ' '))) {
		line++;
		if (!strncmp(line, key, n) && line[n] == '=')
			return line + n + 1;
	}
	return NULL;
}

uint64_t object_value(const char *line, const char *key)
{
	const char *value = find_value(line, key);

	return value ? strtoull(value, NULL, 10) : 0;
}

void object_word(const char *line, const char *key, char *word, size_t size)
{
	const char *value = find_value(line, key);

	if (value)
		snprintf(word, size, "%.*s", (int)strcspn(value, " "), value);
}

static bool read_objects(struct snapshot *s)
{
	FILE *file = fopen(OBJECTS, "re");
	struct peer_state *peer = NULL;
	char *line = NULL;
	size_t size = 0;
	bool complete;

	if (!file)
		return false;
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "bus1-objects ", 13)) {
			s->time = object_value(line, "time");
		} else if (!strncmp(line, "peer ", 5)) {
			peer = add_peer(s, object_value(line, "id"));
			peer->uid = object_value(line, "uid");
			peer->pid = object_value(line, "pid");
			peer->nodes = object_value(line, "nodes");
			peer->handles = object_value(line, "handles");
			peer->queued = object_value(line, "queued");
			peer->bytes = object_value(line, "bytes");
		} else if (peer && (!strncmp(line, "node ", 5) ||
				    !strncmp(line, "handle ", 7))) {
			peer->objects = grow(peer->objects, peer->n_objects,
					     sizeof(*peer->objects));
			peer->objects[peer->n_objects++] = line;
			line = NULL;
			size = 0;
		}
	}
	complete = feof(file);
	free(line);
	fclose(file);
	return complete;
}

/* Adds what descriptor @fd of process @pid shows, if it is a peer. */
static void add_holder(struct snapshot *s, uint32_t pid, uint32_t fd)
{
	struct peer_state read = { 0 }, *peer;
	struct holder holder = { .pid = pid, .fd = fd };
	char path[64], line[128];
	bool is_peer = false;
	uint64_t v;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/fdinfo/%u", pid, fd);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "bus1-peer: %" SCNu64, &v) == 1) {
			read.id = v;
			is_peer = true;
		} else if (sscanf(line, "bus1-uid: %" SCNu64, &v) == 1) {
			read.uid = v;
		} else if (sscanf(line, "bus1-nodes: %" SCNu64, &v) == 1) {
			read.nodes = v;
		} else if (sscanf(line, "bus1-handles: %" SCNu64, &v) == 1) {
			read.handles = v;
		} else if (sscanf(line, "bus1-queued: %" SCNu64, &v) == 1) {
			read.queued = v;
		} else if (sscanf(line, "bus1-queued-bytes: %" SCNu64, &v) ==
			   1) {
			read.bytes = v;
		}
	}
	fclose(file);
	if (!is_peer)
		return;

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	read_line(path, holder.comm, sizeof(holder.comm));
	peer = add_peer(s, read.id);
	*peer = read;
	peer->holders = grow(NULL, 0, sizeof(*peer->holders));
	peer->holders[peer->n_holders++] = holder;
}

static bool find_by_bpf(struct snapshot *s, uint32_t device)
{
	struct bus1_files *skel = bus1_files__open();
	struct bpf_link *link = NULL;
	struct bus1_holder found[64];
	ssize_t n = -1, i;
	int fd;

	if (!skel)
		return false;
	skel->rodata->device = device;
	if (bus1_files__load(skel))
		goto out;
	link = bpf_program__attach_iter(skel->progs.find_files, NULL);
	if (!link)
		goto out;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		goto out;
	/* It stops with EAGAIN after 1000000 descriptors without a peer. */
	while ((n = read(fd, found, sizeof(found))) > 0 ||
	       (n < 0 && errno == EAGAIN))
		for (i = 0; i < n / (ssize_t)sizeof(*found); i++)
			add_holder(s, found[i].pid, found[i].fd);
	close(fd);
out:
	bpf_link__destroy(link);
	bus1_files__destroy(skel);
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

static int compare(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

/* What debugfs says of a peer, if it does, before its descriptors */
static int by_id(const void *a, const void *b)
{
	const struct peer_state *x = a, *y = b;
	int order = compare(x->id, y->id);

	if (!order)
		order = compare(x->n_holders, y->n_holders);
	if (!order && x->n_holders)
		order = compare(x->holders->pid, y->holders->pid);
	if (!order && x->n_holders)
		order = compare(x->holders->fd, y->holders->fd);
	return order;
}

/* Makes one of all that are of the same peer, each with one holder at most. */
static void merge(struct snapshot *s)
{
	struct peer_state *peer = s->peers;
	size_t i;

	if (!s->n_peers)
		return;
	qsort(s->peers, s->n_peers, sizeof(*s->peers), by_id);
	for (i = 1; i < s->n_peers; i++) {
		struct peer_state *next = &s->peers[i];
		struct holder *last = NULL;

		if (next->id != peer->id) {
			*++peer = *next;
			continue;
		}
		if (peer->n_holders)
			last = &peer->holders[peer->n_holders - 1];
		/* a descriptor may be found twice */
		if (next->n_holders &&
		    (!last || last->pid != next->holders->pid ||
		     last->fd != next->holders->fd)) {
			peer->holders = grow(peer->holders, peer->n_holders,
					     sizeof(*peer->holders));
			peer->holders[peer->n_holders++] = *next->holders;
		}
		free(next->holders);
	}
	s->n_peers = peer - s->peers + 1;
}

/*
 * The BPF program sees IDs of the initial PID name space. It shows in the
 * caller's /proc if the caller is in it, or the first process there is.
 */
static bool initial_pids(void)
{
	struct stat st;

	return (!stat("/proc/self/ns/pid", &st) && st.st_ino == INITIAL_PIDS) ||
	       (!stat("/proc/1/ns/pid", &st) && st.st_ino == INITIAL_PIDS);
}

int snapshot_take(struct snapshot *s)
{
	uint32_t major, minor;

	memset(s, 0, sizeof(*s));
	if (!module_device(&major, &minor))
		return -ENODEV;
	s->time = now_ns();
	s->debugfs = read_objects(s);
	s->initial_pids = initial_pids();
	/* Without CAP_SYS_PTRACE not all that it finds could be read. */
	s->bpf = s->initial_pids && capable(CAP_SYS_PTRACE) &&
		 find_by_bpf(s, major << 20 | minor);
	if (!s->bpf)
		find_in_proc(s, makedev(major, minor));
	merge(s);
	return 0;
}

void snapshot_free(struct snapshot *s)
{
	size_t i, j;

	for (i = 0; i < s->n_peers; i++) {
		for (j = 0; j < s->peers[i].n_objects; j++)
			free(s->peers[i].objects[j]);
		free(s->peers[i].objects);
		free(s->peers[i].holders);
	}
	free(s->peers);
}
