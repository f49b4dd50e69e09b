// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "bus1-trace.h"
#include "view.h"

static struct options wanted;
static bool filtered;
static struct table fitting; /* what a snapshot said of their processes */

struct fits {
	struct table_entry entry;
	uint64_t peer;
	uint32_t bits;
};

bool view_filter(void)
{
	if (options.cgroup && options.input) {
		complain("-c: a recording does not say in which control group those are who hold something; try -p, -u or --comm");
		return false;
	}
	if (!filter_make())
		return false;
	wanted = options;
	filtered = options.pid || options.has_uid || options.comm ||
		   options.cgroup || options.peer || options.node;
	options.pid = options.peer = options.node_peer = options.node = 0;
	options.has_uid = false;
	options.comm = options.cgroup = NULL;
	return true;
}

bool view_filtered(void)
{
	return filtered;
}

static struct fits *fits_find(uint64_t peer)
{
	struct table_entry *e = table_first(&fitting, table_hash(peer, 0, 0));

	while (e && table_item(struct fits, e)->peer != peer)
		e = table_next(e);
	return e ? table_item(struct fits, e) : NULL;
}

static void found(uint64_t peer, uint32_t bits)
{
	struct fits *fits = fits_find(peer);

	if (!fits) {
		fits = calloc(1, sizeof(*fits));
		if (!fits) {
			complain("out of memory");
			exit(EXIT_ERROR);
		}
		fits->peer = peer;
		table_add(&fitting, &fits->entry, table_hash(peer, 0, 0));
	}
	fits->bits |= bits;
}

void view_learn(const struct snapshot *snapshot)
{
	struct options rest = options;

	options = wanted;
	peers_learn_snapshot(snapshot, found);
	options = rest;
}

bool view_fits(uint64_t id)
{
	const struct peer *peer = peers_find(id);
	const struct fits *fits = fits_find(id);
	uint32_t bits = fits ? fits->bits : 0;

	if (!filtered)
		return true;
	if (wanted.peer && wanted.peer != id)
		return false;
	if (wanted.node && wanted.node_peer != id)
		return false;
	/* who came later, or ended, is known by what it did */
	if (wanted.pid && !(bits & BUS1_MATCH_PID) &&
	    !(peer && peer->pid == wanted.pid))
		return false;
	if (wanted.has_uid && !(bits & BUS1_MATCH_UID) &&
	    !(peer && peer->has_uid && peer->uid == wanted.uid))
		return false;
	if (wanted.comm && !(bits & BUS1_MATCH_COMM) &&
	    !(peer && peer->has_name &&
	      !strncmp(peer->comm, wanted.comm, COMM_LEN)))
		return false;
	return !wanted.cgroup || bits & BUS1_MATCH_CGROUP;
}

bool view_fits_node(uint64_t peer, uint64_t node)
{
	return !wanted.node ||
	       (wanted.node_peer == peer && wanted.node == node);
}

bool view_now(uint64_t *time)
{
	struct snapshot snapshot;

	if (!module_usable())
		return false;
	if (snapshot_take(&snapshot, SNAPSHOT_OBJECTS)) {
		complain("the bus1 module was just unloaded");
		return false;
	}
	if (!snapshot.debugfs) {
		complain("which handles there are says /sys/kernel/debug/bus1/objects, and it could not be read: run as root, with debugfs mounted (mount -t debugfs debugfs /sys/kernel/debug)");
		snapshot_free(&snapshot);
		return false;
	}
	view_learn(&snapshot);
	world_snapshot(&snapshot);
	*time = snapshot.time;
	snapshot_free(&snapshot);
	return true;
}

void say_peer(uint64_t id)
{
	print_safe(peers_name(id), 16);
	printf("#%" PRIu64, id);
}

const char *format_span(char *buf, uint64_t ns)
{
	double s = ns / 1e9;

	if (s < 99.95)
		snprintf(buf, SPAN_SIZE, "%.1fs", s);
	else if (s < 999.5)
		snprintf(buf, SPAN_SIZE, "%.0fs", s);
	else if (s < 5970)
		snprintf(buf, SPAN_SIZE, "%.0fm", s / 60);
	else if (s < 359700)
		snprintf(buf, SPAN_SIZE, "%.0fh", s / 3600);
	else
		snprintf(buf, SPAN_SIZE, "%.0fd", s / 86400);
	return buf;
}

uint64_t span(uint64_t then, uint64_t now)
{
	return now > then ? now - then : 0;
}
