// SPDX-License-Identifier: GPL-2.0-only
/* The memory of messages, and the payload that does not fit into one of them. */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "internal.h"

/*
 * A message is one object of the smallest class that holds it. Only what was
 * written to it is ever read, so it is not zeroed, which the constructor spares it
 * where the kernel zeroes all that it allocates. Such a cache keeps a pointer
 * behind the object: the larger classes leave room for it in their pages, the middle
 * one for a message around a page of data.
 */
static const u16 bus1_mem_sizes[] = {
	256, 512, 1024, 2048, SZ_4K + 256, SZ_8K + 256, SZ_16K - 64,
	BUS1_MEM_MAX,
};

static struct kmem_cache *bus1_mem_caches[ARRAY_SIZE(bus1_mem_sizes)];

#define BUS1_MEM_LARGE ARRAY_SIZE(bus1_mem_sizes) /* of no class */
#define BUS1_MEM_PAGES 5 /* from this one on, they need pages in a row */

static_assert(BUS1_MEM_LARGE < 16); /* item->class */

static void bus1_mem_construct(void *object)
{
}

int bus1_mem_init(void)
{
	char name[24];
	size_t i;

	for (i = 0; i < BUS1_MEM_LARGE; i++) {
		snprintf(name, sizeof(name), "bus1_%u", bus1_mem_sizes[i]);
		bus1_mem_caches[i] =
			kmem_cache_create(name, bus1_mem_sizes[i], 0,
					  SLAB_ACCOUNT, bus1_mem_construct);
		if (!bus1_mem_caches[i]) {
			bus1_mem_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

void bus1_mem_exit(void)
{
	size_t i;

	for (i = 0; i < BUS1_MEM_LARGE; i++)
		kmem_cache_destroy(bus1_mem_caches[i]);
}

static unsigned int bus1_mem_class(size_t size)
{
	unsigned int class;

	if (size <= 256)
		return 0;
	/* As if all were powers of two from 2^8 on; some hold more, or less. */
	class = fls_long(size - 1) - 8;
	if (class > BUS1_MEM_LARGE)
		return BUS1_MEM_LARGE;
	if (class && size <= bus1_mem_sizes[class - 1])
		return class - 1;
	return class < BUS1_MEM_LARGE && size > bus1_mem_sizes[class] ?
	       class + 1 : class;
}

/**
 * bus1_mem_alloc() - memory that is not zeroed
 * @size:  bytes
 * @class: gets what bus1_mem_free() wants to know
 *
 * Return: the memory, or NULL.
 */
void *bus1_mem_alloc(size_t size, unsigned int *class)
{
	void *memory;

	*class = bus1_mem_class(size);
	if (*class < BUS1_MEM_PAGES)
		return kmem_cache_alloc(bus1_mem_caches[*class], BUS1_GFP);
	if (*class < BUS1_MEM_LARGE) {
		memory = kmem_cache_alloc(bus1_mem_caches[*class],
					  GFP_KERNEL_ACCOUNT | __GFP_NORETRY |
					  __GFP_NOWARN);
		if (memory)
			return memory;
		*class = BUS1_MEM_LARGE;
	}
	return kvmalloc(size, BUS1_GFP);
}

/**
 * bus1_mem_spare() - memory for one of many messages of the same size
 * @spares: what was allocated ahead; all 0 at first, to be given back to
 *          bus1_mem_unspare()
 * @size:   bytes
 * @n:      how many more will be asked for, this one included
 *
 * Return: the memory, whose class is @spares->class, or NULL.
 */
void *bus1_mem_spare(struct bus1_spares *spares, size_t size, size_t n)
{
	if (!spares->n) {
		spares->class = bus1_mem_class(size);
		if (n == 1 || spares->class >= BUS1_MEM_PAGES)
			return bus1_mem_alloc(size, &spares->class);
		n = min_t(size_t, n, BUS1_N_SPARES);
		spares->n = kmem_cache_alloc_bulk(bus1_mem_caches[spares->class],
						  BUS1_GFP, n, spares->memory);
		if (!spares->n)
			return NULL;
	}
	return spares->memory[--spares->n];
}

void bus1_mem_unspare(struct bus1_spares *spares)
{
	if (spares->n)
		kmem_cache_free_bulk(bus1_mem_caches[spares->class], spares->n,
				     spares->memory);
	spares->n = 0;
}

void bus1_mem_free(void *memory, unsigned int class)
{
	if (class < BUS1_MEM_LARGE)
		kmem_cache_free(bus1_mem_caches[class], memory);
	else
		kvfree(memory);
}

/**
 * bus1_payload_new() - copy in a payload that does not go into a message
 * @from: where it is; advanced
 * @n:    bytes, more than 0 and not more than @from holds
 *
 * Return: the payload with one reference, or an ERR_PTR: ENOMEM, EFAULT, EINTR.
 */
struct bus1_payload *bus1_payload_new(struct iov_iter *from, size_t n)
{
	size_t n_parts = DIV_ROUND_UP(n, BUS1_MEM_MAX), at, size;
	struct bus1_payload *payload;
	struct bus1_part *part;
	unsigned int class;
	int r = -ENOMEM;

	payload = kvmalloc(struct_size(payload, parts, n_parts), BUS1_GFP);
	if (!payload)
		return ERR_PTR(-ENOMEM);
	refcount_set(&payload->ref, 1);
	payload->n_parts = 0;

	for (at = 0; at < n; at += size) {
		size = min_t(size_t, n - at, BUS1_MEM_MAX);
		part = &payload->parts[payload->n_parts];
		part->data = bus1_mem_alloc(size, &class);
		if (!part->data)
			goto err_put;
		part->class = class;
		part->size = size;
		payload->n_parts++;
		r = -EFAULT;
		if (_copy_from_iter(part->data, size, from) != size)
			goto err_put;
		r = -EINTR;
		if (fatal_signal_pending(current))
			goto err_put;
		r = -ENOMEM;
		cond_resched();
	}
	return payload;

err_put:
	bus1_payload_put(payload);
	return ERR_PTR(r);
}

struct bus1_payload *bus1_payload_get(struct bus1_payload *payload)
{
	if (payload)
		refcount_inc(&payload->ref);
	return payload;
}

struct bus1_payload *bus1_payload_put(struct bus1_payload *payload)
{
	u32 i;

	if (!payload || !refcount_dec_and_test(&payload->ref))
		return NULL;
	for (i = 0; i < payload->n_parts; i++) {
		bus1_mem_free(payload->parts[i].data, payload->parts[i].class);
		cond_resched();
	}
	kvfree(payload);
	return NULL;
}

/**
 * bus1_payload_copy() - copy a payload out
 * @payload: the payload
 * @to:      room for all of it; stays as it is
 *
 * Return: 0, EFAULT or EINTR (killed).
 */
int bus1_payload_copy(const struct bus1_payload *payload,
		      const struct iov_iter *to)
{
	struct iov_iter iter = *to;
	const struct bus1_part *part;
	u32 i;

	for (i = 0; i < payload->n_parts; i++) {
		part = &payload->parts[i];
		if (_copy_to_iter(part->data, part->size, &iter) != part->size)
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}
