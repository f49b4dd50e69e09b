// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/bus1/objects: every peer, node, handle, and what can be
 * received; /sys/kernel/debug/bus1/peers: the peers alone. A peer's table and
 * queue are copied under its lock, so that its block is consistent in itself,
 * and printed without: the file can be as long as it likes.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "internal.h"

static struct dentry *bus1_debugfs;

enum bus1_snapshot_kind {
	BUS1_SNAPSHOT_NODE,
	BUS1_SNAPSHOT_HANDLE,
	BUS1_SNAPSHOT_MESSAGE,
	BUS1_SNAPSHOT_NODE_RELEASE,
	BUS1_SNAPSHOT_HANDLE_RELEASE,
};

struct bus1_snapshot_entry {
	u64 id;
	u64 time; /* created; of what is queued, its stamp */
	u64 used;
	u64 node_peer;
	u64 node;
	u64 tx_peer;
	u64 tx;
	u64 n_bytes;
	u32 index;
	u32 slot;
	u32 n_handles;
	u8 kind;
	u8 how;
	bool dead;
};

/**
 * struct bus1_snapshot - a reader of one of the files
 * @brief:     the peers alone
 * @last:      the newest peer there was at the start: who opens peers as fast as
 *             they are read must not keep the reader here for ever
 * @peer:      whose block is printed, referenced; NULL before the first
 * @pos:       the line that comes next
 * @cut:       there was no memory for its table and queue
 * @at:        in the block: 0 is the line of the peer, then @entries
 * @n:         lines after the first
 * @entries:   the peer's table, then what is ready in its queue
 * @oldest:    stamp of the first that is ready there, or 0
 * @n_tx:      transactions that the peer began
 * @n_nodes:   copies of what the peer's lock guards, as are the following
 * @n_handles: handles
 * @n_ready:   messages and notifications in its queue
 * @n_bytes:   payload bytes in its queue
 * @n_recv:    received so far
 * @name:      its name, or empty
 */
struct bus1_snapshot {
	bool brief;
	u64 last;
	struct bus1_peer *peer;
	loff_t pos;
	bool cut;
	size_t at;
	size_t n;
	struct bus1_snapshot_entry *entries;
	u64 oldest;
	u64 n_tx;
	u64 n_nodes;
	u64 n_handles;
	u64 n_ready;
	u64 n_bytes;
	u64 n_recv;
	char name[BUS1_MAX_NAME + 1];
};

static void bus1_snapshot_clear(struct bus1_snapshot *snap)
{
	kvfree(snap->entries);
	if (snap->peer)
		bus1_peer_put(snap->peer);
	*snap = (struct bus1_snapshot){
		.brief = snap->brief,
		.last = snap->last,
		.pos = snap->pos,
	};
}

/* A line for an entry of the table. */
static void bus1_snapshot_fill(struct bus1_snapshot_entry *entry,
			       struct bus1_item *item)
{
	struct bus1_handle *handle;
	struct bus1_node *node;

	if (bus1_item_is_node(item)) {
		node = bus1_item_node(item);
		*entry = (struct bus1_snapshot_entry){
			.kind = BUS1_SNAPSHOT_NODE,
			.id = node->id,
			.time = node->created,
			.n_handles = refcount_read(&node->n_handles),
			.dead = READ_ONCE(node->dead),
		};
	} else {
		handle = bus1_item_handle(item);
		*entry = (struct bus1_snapshot_entry){
			.kind = BUS1_SNAPSHOT_HANDLE,
			.id = handle->id,
			.time = handle->created,
			.used = READ_ONCE(handle->used),
			.node_peer = handle->node->item.peer->id,
			.node = handle->node->id,
			.tx_peer = handle->from,
			.tx = handle->from_tx,
			.index = handle->index,
			.slot = handle->slot,
			.how = handle->how,
			.dead = READ_ONCE(handle->node->dead),
		};
	}
}

/* A line for an entry of the queue. */
static void bus1_snapshot_fill_queued(struct bus1_snapshot_entry *entry,
				      const struct bus1_item *item)
{
	const struct bus1_msg *message;
	const struct bus1_node *node;

	*entry = (struct bus1_snapshot_entry){
		.time = item->stamp,
		.tx_peer = item->tx_peer,
		.tx = item->tx,
	};
	if (bus1_item_is_msg(item)) {
		message = bus1_item_msg(item);
		entry->kind = BUS1_SNAPSHOT_MESSAGE;
		entry->node = message->node_id;
		entry->index = message->index;
		entry->n_bytes = message->n_data;
		entry->n_handles = message->n_handles;
	} else {
		node = bus1_item_about(item, &entry->id);
		entry->kind = bus1_item_is_node(item) ?
			      BUS1_SNAPSHOT_HANDLE_RELEASE :
			      BUS1_SNAPSHOT_NODE_RELEASE;
		entry->node_peer = node->item.peer->id;
		entry->node = node->id;
	}
}

/* Copy table and queue of @snap->peer, with its lock; there is room. */
static void bus1_snapshot_lines(struct bus1_snapshot *snap)
{
	struct bus1_peer *peer = snap->peer;
	struct bus1_item *item;
	unsigned long index;

	lockdep_assert_held(&peer->lock);
	xa_for_each(&peer->ids, index, item) {
		bus1_snapshot_fill(&snap->entries[snap->n++], item);
		cond_resched();
	}
	/* What is being received is still the first of the queue. */
	item = peer->data.taken;
	if (item && item->ready)
		bus1_snapshot_fill_queued(&snap->entries[snap->n++], item);
	list_for_each_entry(item, &peer->data.ready, entry) {
		bus1_snapshot_fill_queued(&snap->entries[snap->n++], item);
		cond_resched();
	}
}

/*
 * Copy what is to be said of @snap->peer. How much that is may change until it
 * is locked: by the table as well as by what others send meanwhile. False if the
 * reader was killed while he waited for whoever has it locked.
 */
static bool bus1_snapshot_take(struct bus1_snapshot *snap)
{
	struct bus1_peer *peer = snap->peer;
	struct bus1_item *first;
	size_t n, room = 0;

	for (;;) {
		if (mutex_lock_killable(&peer->lock))
			return false;
		bus1_queue_refresh(peer);
		n = peer->data.n_nodes + peer->data.n_handles +
		    peer->data.n_ready;
		if (n <= room || snap->brief || snap->cut)
			break;
		mutex_unlock(&peer->lock);
		kvfree(snap->entries);
		room = n + n / 8;
		snap->entries = kvmalloc_array(room, sizeof(*snap->entries),
					       BUS1_GFP);
		snap->cut = !snap->entries;
	}
	if (!snap->brief && !snap->cut)
		bus1_snapshot_lines(snap);
	first = peer->data.taken;
	if (!first || !first->ready)
		first = list_first_entry_or_null(&peer->data.ready,
						 struct bus1_item, entry);
	snap->oldest = first ? first->stamp : 0;
	snap->n_tx = atomic64_read(&peer->tx_seq);
	snap->n_nodes = peer->data.n_nodes;
	snap->n_handles = peer->data.n_handles;
	snap->n_ready = peer->data.n_ready;
	snap->n_bytes = peer->data.n_bytes;
	snap->n_recv = peer->data.n_recv;
	memcpy(snap->name, peer->data.name, sizeof(snap->name));
	mutex_unlock(&peer->lock);
	return true;
}

/* Go on with the next peer. */
static void *bus1_snapshot_next(struct bus1_snapshot *snap)
{
	u64 id = snap->peer ? snap->peer->id + 1 : 0;

	bus1_snapshot_clear(snap);
	snap->peer = bus1_peer_next(id, snap->last);
	return snap->peer && bus1_snapshot_take(snap) ? snap : NULL;
}

static void *bus1_objects_start(struct seq_file *m, loff_t *pos)
{
	struct bus1_snapshot *snap = m->private;

	if (!*pos) {
		bus1_snapshot_clear(snap);
		snap->pos = 0;
		snap->last = bus1_peer_last();
		return SEQ_START_TOKEN;
	}
	/* seq_file only ever goes on from where it was, or from 0. */
	if (*pos != snap->pos)
		return NULL;
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

static void bus1_objects_show_peer(struct seq_file *m,
				   const struct bus1_snapshot *snap)
{
	seq_printf(m, "peer id=%llu uid=%u pid=%d created=%llu",
		   snap->peer->id, from_kuid(&init_user_ns, snap->peer->uid),
		   snap->peer->pid, snap->peer->created);
	seq_printf(m, " nodes=%llu handles=%llu queued=%llu bytes=%llu",
		   snap->n_nodes, snap->n_handles, snap->n_ready,
		   snap->n_bytes);
	seq_printf(m, " received=%llu oldest=%llu transactions=%llu",
		   snap->n_recv, snap->oldest, snap->n_tx);
	if (snap->cut)
		seq_puts(m, " cut=1");
	if (snap->name[0])
		seq_printf(m, " name=%s", snap->name);
	seq_putc(m, '\n');
}

static void bus1_objects_show_entry(struct seq_file *m, u64 peer,
				    const struct bus1_snapshot_entry *e)
{
	switch (e->kind) {
	case BUS1_SNAPSHOT_NODE:
		seq_printf(m, "node peer=%llu id=%llu handles=%u dead=%d created=%llu\n",
			   peer, e->id, e->n_handles, e->dead, e->time);
		break;
	case BUS1_SNAPSHOT_HANDLE:
		seq_printf(m, "handle peer=%llu id=%llu node_peer=%llu node=%llu",
			   peer, e->id, e->node_peer, e->node);
		seq_printf(m, " how=%s tx_peer=%llu tx=%llu index=%u slot=%u",
			   bus1_how_name(e->how), e->tx_peer, e->tx, e->index,
			   e->slot);
		seq_printf(m, " dead=%d created=%llu used=%llu\n", e->dead,
			   e->time, e->used);
		break;
	case BUS1_SNAPSHOT_MESSAGE:
		seq_printf(m, "message peer=%llu tx_peer=%llu tx=%llu index=%u",
			   peer, e->tx_peer, e->tx, e->index);
		seq_printf(m, " node=%llu bytes=%llu handles=%u stamp=%llu\n",
			   e->node, e->n_bytes, e->n_handles, e->time);
		break;
	default:
		seq_printf(m, "notification peer=%llu tx_peer=%llu tx=%llu kind=%s",
			   peer, e->tx_peer, e->tx,
			   e->kind == BUS1_SNAPSHOT_NODE_RELEASE ?
			   "node_release" : "handle_release");
		seq_printf(m, " id=%llu node_peer=%llu node=%llu stamp=%llu\n",
			   e->id, e->node_peer, e->node, e->time);
	}
}

static int bus1_objects_show(struct seq_file *m, void *v)
{
	struct bus1_snapshot *snap = m->private;

	if (v == SEQ_START_TOKEN)
		seq_printf(m, "bus1-%s schema=%d.%d time=%llu\n",
			   snap->brief ? "peers" : "objects",
			   BUS1_TRACE_SCHEMA_MAJOR, BUS1_TRACE_SCHEMA_MINOR,
			   ktime_get_ns());
	else if (!snap->at)
		bus1_objects_show_peer(m, snap);
	else
		bus1_objects_show_entry(m, snap->peer->id,
					&snap->entries[snap->at - 1]);
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

static int bus1_peers_open(struct inode *inode, struct file *file)
{
	struct bus1_snapshot *snap;

	snap = __seq_open_private(file, &bus1_objects_ops, sizeof(*snap));
	if (!snap)
		return -ENOMEM;
	snap->brief = true;
	return 0;
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

static const struct file_operations bus1_peers_fops = {
	.owner = THIS_MODULE,
	.open = bus1_peers_open,
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
	debugfs_create_file("peers", 0400, bus1_debugfs, NULL,
			    &bus1_peers_fops);
	debugfs_create_file("accounts", 0400, bus1_debugfs, NULL,
			    &bus1_accounts_fops);
}

void bus1_debugfs_exit(void)
{
	debugfs_remove_recursive(bus1_debugfs);
}
