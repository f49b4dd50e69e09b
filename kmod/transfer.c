// SPDX-License-Identifier: GPL-2.0-only
/* The nodes that a call names or makes; and TRANSFER. */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"
#include "trace.h"

/* Look up a handle, or see that a node can be asked for like this. */
static int bus1_source_hold(struct bus1_source *source, struct bus1_peer *peer,
			    const struct bus1_transfer *transfer,
			    struct bus1_fault *fault)
{
	if (transfer->flags & ~BUS1_TRANSFER_FLAG_CREATE)
		return bus1_refuse(fault, -EINVAL, BUS1_CHECK_FLAGS,
				   transfer->flags);

	if (transfer->flags) {
		if (transfer->id != BUS1_INVALID)
			return bus1_refuse(fault, -EINVAL, BUS1_CHECK_CREATE,
					   transfer->id);
		return 0;
	}

	source->handle = bus1_peer_hold(peer, transfer->id);
	if (!source->handle)
		return bus1_refuse(fault, -EBADRQC, BUS1_CHECK_ID,
				   transfer->id);
	source->node = source->handle->node;
	return 0;
}

static int bus1_source_create(struct bus1_source *source,
			      struct bus1_peer *peer,
			      struct bus1_transfer *transfer,
			      struct bus1_charge *charge,
			      struct bus1_fault *fault)
{
	int r;

	source->node = bus1_node_new(peer);
	if (!source->node)
		return bus1_refuse(fault, -ENOMEM, BUS1_CHECK_MEMORY, 0);
	bus1_charge_split(charge, &source->node->charge, 1);
	r = bus1_peer_reserve(peer, 1, &source->node->id);
	if (r) {
		source->node->id = 0;
		return bus1_refuse(fault, r, r == -EINTR ? BUS1_CHECK_SIGNAL :
				   BUS1_CHECK_MEMORY, 0);
	}
	transfer->id = source->node->id;
	return 0;
}

/**
 * bus1_sources_hold() - look up and hold handles, and count nodes to make
 * @sources:   filled in
 * @peer:      the caller's peer
 * @transfers: what to look up or make
 * @n:         entries in @transfers
 * @fault:     gets the check that failed
 *
 * Return: 0, EINVAL, EBADRQC or ENOMEM; then bus1_sources_abort() is still due.
 */
int bus1_sources_hold(struct bus1_sources *sources, struct bus1_peer *peer,
		      const struct bus1_transfer *transfers, size_t n,
		      struct bus1_fault *fault)
{
	size_t i;
	int r;

	*sources = (struct bus1_sources){
		.array = &sources->single,
		.n = n,
	};
	if (n > 1) {
		sources->array = kvcalloc(n, sizeof(*sources->array), BUS1_GFP);
		if (!sources->array) {
			sources->n = 0;
			return bus1_refuse(fault, -ENOMEM, BUS1_CHECK_MEMORY,
					   0);
		}
	}

	for (i = 0; i < n; i++) {
		r = bus1_source_hold(&sources->array[i], peer, &transfers[i],
				     fault);
		if (r)
			return r;
		if (!sources->array[i].handle)
			sources->n_created++;
		cond_resched();
	}
	return 0;
}

/**
 * bus1_sources_create() - make the nodes
 * @sources:   held, and @sources->charge taken for its new nodes
 * @peer:      the caller's peer
 * @transfers: of a new node the ID is filled in
 * @fault:     gets the check that failed
 *
 * New nodes have an ID that is reserved, but unknown. Return: 0, ENOMEM or EINTR
 * (killed); then bus1_sources_abort() is still due.
 */
int bus1_sources_create(struct bus1_sources *sources, struct bus1_peer *peer,
			struct bus1_transfer *transfers,
			struct bus1_fault *fault)
{
	size_t i;
	int r;

	for (i = 0; sources->n_created && i < sources->n; i++) {
		if (sources->array[i].handle)
			continue;
		r = bus1_source_create(&sources->array[i], peer, &transfers[i],
				       &sources->charge, fault);
		if (r)
			return r;
		cond_resched();
	}
	return 0;
}

/* Make the new nodes known. Their owner's lock is held. */
void bus1_sources_install(struct bus1_sources *sources)
{
	struct bus1_node *node;
	size_t i;

	for (i = 0; sources->n_created && i < sources->n; i++) {
		if (sources->array[i].handle)
			continue;
		/* One for the table, one until bus1_sources_finish(). */
		node = bus1_node_get(sources->array[i].node);
		if (trace_node_new_enabled())
			trace_node_new(node->item.peer->id, node->id,
				       ktime_get_ns());
		bus1_peer_install(node->item.peer, node->id, &node->item);
		cond_resched();
	}
}

static void bus1_sources_free(struct bus1_sources *sources)
{
	if (sources->array != &sources->single)
		kvfree(sources->array);
}

/**
 * bus1_sources_finish() - let go, after the transaction is published
 * @sources: the sources
 * @tx:      gets the HANDLE_RELEASE of nodes without a handle left
 */
void bus1_sources_finish(struct bus1_sources *sources, struct bus1_tx *tx)
{
	struct bus1_source *source;
	size_t i;

	for (i = 0; i < sources->n; i++) {
		source = &sources->array[i];
		if (source->handle) {
			bus1_handle_unhold(source->handle, tx);
		} else {
			bus1_node_drop(source->node, tx);
			bus1_node_put(source->node);
		}
		cond_resched();
	}
	bus1_sources_free(sources);
}

/**
 * bus1_sources_abort() - let go, after a failure
 * @sources: the sources, prepared as far as that went
 * @tx:      gets the HANDLE_RELEASE of nodes whose last handle another thread
 *           released while it was held here
 */
void bus1_sources_abort(struct bus1_sources *sources, struct bus1_tx *tx)
{
	struct bus1_node *node;
	size_t i;

	for (i = 0; i < sources->n; i++) {
		node = sources->array[i].node;
		if (sources->array[i].handle) {
			bus1_handle_unhold(sources->array[i].handle, tx);
		} else if (node) {
			/* Never known to anyone, so nobody is told. */
			if (node->id)
				bus1_peer_unreserve(node->item.peer, 1,
						    node->id);
			node->id = 0;
			bus1_node_kill(node);
			bus1_node_drop(node, tx);
			bus1_node_put(node);
		}
		cond_resched();
	}
	bus1_charge_return(&sources->charge);
	bus1_sources_free(sources);
}

/*
 * The locks of both peers. Who has a descriptor of one of them can keep it locked
 * for long, by a thread that gets no time to go on, and may have nothing to do with
 * the other one: so neither is waited for while the other is locked.
 *
 * Return: 0, or EINTR (killed).
 */
static int bus1_transfer_lock(struct bus1_peer *a, struct bus1_peer *b)
{
	while (!mutex_lock_killable(&a->lock)) {
		if (a == b || mutex_trylock(&b->lock))
			return 0;
		mutex_unlock(&a->lock);
		swap(a, b);
	}
	return -EINTR;
}

static void bus1_transfer_unlock(struct bus1_peer *a, struct bus1_peer *b)
{
	mutex_unlock(&a->lock);
	if (a != b)
		mutex_unlock(&b->lock);
}

/**
 * bus1_transfer_prepare() - TRANSFER, all that can fail
 * @op:   the operation
 * @from: the peer whose handles are copied, and that owns new nodes
 * @to:   the peer that gets handles; may be @from
 * @src:  what to copy or make; of a new node the ID is filled in, flags stay
 * @dst:  gets the new handles
 * @n:    entries in both arrays
 * @fault: gets the check that failed
 *
 * New nodes are charged to @from, handles to @to. Return: 0, EINVAL, EBADRQC,
 * EXFULL, EDQUOT, ENOMEM or EINTR (killed); after an error nothing is left to
 * do, but IDs may have been filled in.
 */
int bus1_transfer_prepare(struct bus1_transfer_op *op, struct bus1_peer *from,
			  struct bus1_peer *to, struct bus1_transfer *src,
			  struct bus1_transfer *dst, size_t n,
			  struct bus1_fault *fault)
{
	struct bus1_handle *handle;
	size_t i;
	int r;

	*op = (struct bus1_transfer_op){
		.from = from,
		.to = to,
		.fault = fault,
	};

	r = bus1_sources_hold(&op->sources, from, src, n, op->fault);
	if (r)
		goto err_abort;
	r = bus1_charge_take(&op->sources.charge, from->trace,
			     op->sources.n_created, 0, BUS1_OP_TRANSFER,
			     op->fault);
	if (r)
		goto err_abort;
	r = bus1_charge_take(&op->charge, to->trace, n, 0, BUS1_OP_TRANSFER,
			     op->fault);
	if (r)
		goto err_abort;
	r = bus1_sources_create(&op->sources, from, src, op->fault);
	if (r)
		goto err_abort;

	op->handles = kvcalloc(n, sizeof(*op->handles), BUS1_GFP);
	if (!op->handles)
		goto err_memory;

	for (i = 0; i < n; i++) {
		handle = bus1_handle_new(op->sources.array[i].node, to);
		if (!handle)
			goto err_memory;
		bus1_charge_split(&op->charge, &handle->charge, 1);
		handle->how = op->sources.array[i].handle ?
			      BUS1_HOW_TRANSFERRED : BUS1_HOW_CREATED;
		handle->slot = i;
		handle->from = from->id;
		op->handles[i] = handle;
		if (fatal_signal_pending(current)) {
			r = bus1_refuse(op->fault, -EINTR, BUS1_CHECK_SIGNAL,
					0);
			goto err_abort;
		}
		cond_resched();
	}

	r = bus1_peer_reserve(to, n, &op->first_id);
	if (r) {
		op->first_id = 0;
		r = bus1_refuse(op->fault, r, r == -EINTR ? BUS1_CHECK_SIGNAL :
				BUS1_CHECK_MEMORY, 0);
		goto err_abort;
	}
	for (i = 0; i < n; i++) {
		dst[i].flags = 0;
		dst[i].id = op->first_id + 2 * i;
	}
	return 0;

err_memory:
	r = bus1_refuse(op->fault, -ENOMEM, BUS1_CHECK_MEMORY, 0);
err_abort:
	bus1_transfer_abort(op);
	return r;
}
EXPORT_SYMBOL_GPL(bus1_transfer_prepare);

/**
 * bus1_transfer_commit() - TRANSFER, let it take effect
 * @op: the operation
 *
 * Return: 0, or EINTR (killed): it is to be given up.
 */
int bus1_transfer_commit(struct bus1_transfer_op *op)
{
	struct bus1_handle *handle;
	struct bus1_tx tx;
	size_t i;
	int r;

	r = bus1_transfer_lock(op->from, op->to);
	if (r)
		return bus1_refuse(op->fault, r, BUS1_CHECK_SIGNAL, 0);
	bus1_tx_init(&tx, op->from, BUS1_TX_TRANSFER);
	bus1_tx_draw(&tx);
	bus1_sources_install(&op->sources);
	for (i = 0; i < op->sources.n; i++) {
		handle = op->handles[i];
		handle->from_tx = tx.number;
		if (!bus1_handle_install(handle, op->first_id + 2 * i)) {
			bus1_handle_get(handle);
			bus1_tx_add(&tx, &handle->item);
		}
		cond_resched();
	}
	bus1_transfer_unlock(op->from, op->to);

	bus1_tx_commit(&tx);
	bus1_sources_finish(&op->sources, &tx);
	bus1_tx_commit(&tx);
	kvfree(op->handles);
	return 0;
}
EXPORT_SYMBOL_GPL(bus1_transfer_commit);

/**
 * bus1_transfer_abort() - TRANSFER, give it up
 * @op: the operation
 */
void bus1_transfer_abort(struct bus1_transfer_op *op)
{
	struct bus1_tx tx;
	size_t i;

	bus1_tx_init(&tx, op->from, BUS1_TX_DROP);
	if (op->first_id)
		bus1_peer_unreserve(op->to, op->sources.n, op->first_id);
	/* New nodes first: they die before their handles do. */
	bus1_sources_abort(&op->sources, &tx);
	for (i = 0; op->handles && i < op->sources.n && op->handles[i]; i++) {
		bus1_handle_unhold(op->handles[i], &tx);
		cond_resched();
	}
	bus1_charge_return(&op->charge);
	bus1_tx_commit(&tx);
	kvfree(op->handles);
}
EXPORT_SYMBOL_GPL(bus1_transfer_abort);
