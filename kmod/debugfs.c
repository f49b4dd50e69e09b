// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/bus1/objects: every peer, node and handle. A peer's table
 * is copied under its lock, so that its block is consistent in itself, and
 * printed without: the file can be as long as it likes.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "internal.h"

static struct dentry *bus1_debugfs;

struct bus1_snapshot_entry {
	u64 id;
	u64 created;
	u64 node_peer;
	u64 node;
	u64 from;
	u64 from_tx;
	u32 index;
	u32 slot;
	u32 n_handles;
	u8 how;
	bool is_node;
	bool dead;
};

/**
 * struct bus1_snapshot - a reader of the file
 * @peer:      whose block is printed, referenced; NULL before the first
 * @pos:       the line that comes next
 * @error:     why its block cannot be had, negative errno
 * @at:        in the block: 0 is the line of the peer, then @entries
 * @n:         lines after the first
 * @entries:   the peer's table
 * @n_nodes:   of the peer, as are the following
 * @n_handles: handles
 * @n_ready:   messages and notifications in its queue
 * @n_bytes:   payload bytes in its queue
 */
struct bus1_snapshot {
	struct bus1_peer *peer;
	loff_t pos;
	int error;
	size_t at;
	size_t n;
	struct bus1_snapshot_entry *entries;
	u64 n_nodes;
	u64 n_handles;
	u64 n_ready;
	u64 n_bytes;
};

static void bus1_snapshot_clear(struct bus1_snapshot *snap)
{
	kvfree(snap->entries);
	if (snap->peer)
		bus1_peer_put(snap->peer);
	*snap = (struct bus1_snapshot){ .pos = snap->pos };
}

static void bus1_snapshot_fill(struct bus1_snapshot_entry *entry,
			       struct bus1_item *item)
{
	struct bus1_handle *handle;
	struct bus1_node *node;

	if (bus1_item_is_node(item)) {
		node = bus1_item_node(item);
		*entry = (struct bus1_snapshot_entry){
			.id = node->id,
			.created = node->created,
			.n_handles = refcount_read(&node->n_handles),
			.is_node = true,
			.dead = READ_ONCE(node->dead),
		};
	} else {
		handle = bus1_item_handle(item);
		*entry = (struct bus1_snapshot_entry){
			.id = handle->id,
			.created = handle->created,
			.node_peer = handle->node->item.peer->id,
			.node = handle->node->id,
			.from = handle->from,
			.from_tx = handle->from_tx,
			.index = handle->index,
			.slot = handle->slot,
			.how = handle->how,
			.dead = READ_ONCE(handle->node->dead),
		};
	}
}

/* Copy the table of @snap->peer; its size may change until it is locked. */
static int bus1_snapshot_take(struct bus1_snapshot *snap)
{
	struct bus1_peer *peer = snap->peer;
	struct bus1_item *item;
	unsigned long index;
	size_t n, room = 0;

	mutex_lock(&peer->lock);
	for (;;) {
		n = peer->data.n_nodes + peer->data.n_handles;
		if (n <= room)
			break;
		mutex_unlock(&peer->lock);
		kvfree(snap->entries);
		room = n + n / 8;
		snap->entries = kvmalloc_array(room, sizeof(*snap->entries),
					       BUS1_GFP);
		if (!snap->entries)
			return -ENOMEM;
		mutex_lock(&peer->lock);
	}
	bus1_queue_refresh(peer);
	xa_for_each(&peer->ids, index, item) {
		bus1_snapshot_fill(&snap->entries[snap->n++], item);
		cond_resched();
	}
	snap->n_nodes = peer->data.n_nodes;
	snap->n_handles = peer->data.n_handles;
	snap->n_ready = peer->data.n_ready;
	snap->n_bytes = peer->data.n_bytes;
	mutex_unlock(&peer->lock);
	return 0;
}

/* Go on with the next peer. */
static void *bus1_snapshot_next(struct bus1_snapshot *snap)
{
	u64 id = snap->peer ? snap->peer->id + 1 : 0;

	bus1_snapshot_clear(snap);
	snap->peer = bus1_peer_next(id);
	if (!snap->peer)
		return NULL;
	snap->error = bus1_snapshot_take(snap);
	return snap->error ? ERR_PTR(snap->error) : snap;
}

static void *bus1_objects_start(struct seq_file *m, loff_t *pos)
{
	struct bus1_snapshot *snap = m->private;

	if (!*pos) {
		bus1_snapshot_clear(snap);
		snap->pos = 0;
		return SEQ_START_TOKEN;
	}
	/* seq_file only ever goes on from where it was, or from 0. */
	if (*pos != snap->pos)
		return NULL;
	/* What next said may have been lost on what fitted before it. */
	if (snap->error)
		return ERR_PTR(snap->error);
	return snap->peer ? snap : NULL;
}

static void *bus1_objects_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct bus1_snapshot *snap = m->private;

	snap->pos = ++*pos;
	if (snap->peer && snap->at < snap->n) {
		snap->at++;
		return snap;
	}
	return bus1_snapshot_next(snap);
}

static void bus1_objects_stop(struct seq_file *m, void *v)
{
}

static const char *bus1_how_name(u8 how)
{
	switch (how) {
	case BUS1_HOW_CREATED:
		return "created";
	case BUS1_HOW_TRANSFERRED:
		return "transferred";
	default:
		return "message";
	}
}

static int bus1_objects_show(struct seq_file *m, void *v)
{
	struct bus1_snapshot *snap = m->private;
	struct bus1_snapshot_entry *e;
	u64 peer;

	if (v == SEQ_START_TOKEN) {
		seq_printf(m, "bus1-objects schema=%d.%d time=%llu\n",
			   BUS1_TRACE_SCHEMA_MAJOR, BUS1_TRACE_SCHEMA_MINOR,
			   ktime_get_ns());
		return 0;
	}

	peer = snap->peer->id;
	if (!snap->at) {
		seq_printf(m, "peer id=%llu uid=%u pid=%d created=%llu",
			   peer,
			   from_kuid(&init_user_ns, snap->peer->uid),
			   snap->peer->pid, snap->peer->created);
		seq_printf(m, " nodes=%llu handles=%llu queued=%llu bytes=%llu\n",
			   snap->n_nodes, snap->n_handles, snap->n_ready,
			   snap->n_bytes);
		return 0;
	}

	e = &snap->entries[snap->at - 1];
	if (e->is_node) {
		seq_printf(m, "node peer=%llu id=%llu handles=%u dead=%d created=%llu\n",
			   peer, e->id, e->n_handles, e->dead, e->created);
		return 0;
	}
	seq_printf(m, "handle peer=%llu id=%llu node_peer=%llu node=%llu",
		   peer, e->id, e->node_peer, e->node);
	seq_printf(m, " how=%s tx_peer=%llu tx=%llu index=%u slot=%u",
		   bus1_how_name(e->how), e->from, e->from_tx, e->index,
		   e->slot);
	seq_printf(m, " dead=%d created=%llu\n", e->dead, e->created);
	return 0;
}

static const struct seq_operations bus1_objects_ops = {
	.start = bus1_objects_start,
	.next = bus1_objects_next,
	.stop = bus1_objects_stop,
	.show = bus1_objects_show,
};

static int bus1_objects_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &bus1_objects_ops,
				sizeof(struct bus1_snapshot));
}

static int bus1_objects_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;

	bus1_snapshot_clear(m->private);
	return seq_release_private(inode, file);
}

static const struct file_operations bus1_objects_fops = {
	.owner = THIS_MODULE,
	.open = bus1_objects_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = bus1_objects_release,
};

/* debugfs is a convenience: to be without it is no error. */
void bus1_debugfs_init(void)
{
	bus1_debugfs = debugfs_create_dir("bus1", NULL);
	debugfs_create_file("objects", 0400, bus1_debugfs, NULL,
			    &bus1_objects_fops);
	debugfs_create_file("accounts", 0400, bus1_debugfs, NULL,
			    &bus1_accounts_fops);
}

void bus1_debugfs_exit(void)
{
	debugfs_remove_recursive(bus1_debugfs);
}
