// SPDX-License-Identifier: LGPL-2.1-or-later
/* A message that is received into buffers that grow. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include "internal.h"

/* First sizes, so that most receivers never see EMSGSIZE. */
#define MSG_DATA 4096
#define MSG_HANDLES 16

/*
 * The kernel moves less than 2 GiB in one call: 1024 vectors, all of them this
 * one buffer, take any payload.
 */
#define DISCARD_VECS 1024
#define DISCARD_SIZE (2UL << 20)

/* As many as a release takes without allocating. */
#define RELEASE_BATCH 32

void libbus1_msg_init(struct libbus1_msg *msg, size_t max_data,
		      size_t max_handles)
{
	*msg = (struct libbus1_msg){
		.type = BUS1_INVALID,
		.id = BUS1_INVALID,
		.account = BUS1_INVALID,
		.max_data = max_data,
		.max_handles = max_handles,
	};
}

void libbus1_msg_deinit(struct libbus1_msg *msg)
{
	free(msg->data);
	free(msg->handles);
	libbus1_msg_init(msg, msg->max_data, msg->max_handles);
}

static void msg_clear(struct libbus1_msg *msg)
{
	msg->type = BUS1_INVALID;
	msg->id = BUS1_INVALID;
	msg->account = BUS1_INVALID;
	msg->n_data = 0;
	msg->n_handles = 0;
}

/* What was there is of no use any more, so there is nothing to copy. */
static void *grow(void *old, size_t *size, uint64_t want, size_t each)
{
	void *p;

	if (want <= *size)
		return old;
	p = want > SIZE_MAX / each ? NULL : malloc(want * each);
	free(old);
	*size = p ? want : 0;
	return p;
}

/* The kernel's {flags, id} pairs become the IDs alone, in place. */
static void pack_handles(uint64_t *handles, size_t n)
{
	const struct bus1_transfer *t = (void *)handles;
	size_t i;

	for (i = 0; i < n; i++)
		memmove(&handles[i], &t[i].id, sizeof(*handles));
}

/* Room for at least so much, as far as the limits allow. */
static int msg_grow(struct libbus1_msg *msg, uint64_t n_data,
		    uint64_t n_handles)
{
	if (msg->max_data && n_data > msg->max_data)
		n_data = msg->max_data;
	if (msg->max_handles && n_handles > msg->max_handles)
		n_handles = msg->max_handles;
	msg->data = grow(msg->data, &msg->_data_size, n_data, 1);
	msg->handles = grow(msg->handles, &msg->_handles_size, n_handles,
			    sizeof(struct bus1_transfer));
	return msg->data && msg->handles ? 0 : -ENOMEM;
}

/* Room from a time of higher limits does not count. */
static struct bus1_message msg_room(const struct libbus1_msg *msg)
{
	size_t n_data = msg->_data_size, n_handles = msg->_handles_size;

	if (msg->max_data && n_data > msg->max_data)
		n_data = msg->max_data;
	if (msg->max_handles && n_handles > msg->max_handles)
		n_handles = msg->max_handles;
	return (struct bus1_message){
		.flags = BUS1_MESSAGE_FLAG_FLAT,
		.n_transfers = n_handles,
		.ptr_transfers = BUS1_FROM_PTR(msg->handles),
		.n_data = n_data,
		.n_data_vecs = n_data,
		.ptr_data_vecs = BUS1_FROM_PTR(msg->data),
	};
}

/* After EMSGSIZE: make the room that is needed, unless it is too much. */
static int msg_grow_for(struct libbus1_msg *msg, const struct bus1_message *m)
{
	if ((msg->max_data && m->n_data > msg->max_data) ||
	    (msg->max_handles && m->n_transfers > msg->max_handles)) {
		msg->n_data = m->n_data;
		msg->n_handles = m->n_transfers;
		return -EMSGSIZE;
	}
	return msg_grow(msg, m->n_data, m->n_transfers);
}

static void msg_set(struct libbus1_msg *msg,
		    const struct bus1_metadata *metadata,
		    const struct bus1_message *m)
{
	pack_handles(msg->handles, m->n_transfers);
	msg->type = m->type;
	msg->id = metadata->id;
	msg->account = metadata->account;
	msg->n_data = m->n_data;
	msg->n_handles = m->n_transfers;
}

int libbus1_msg_recv(struct libbus1_msg *msg, int peer)
{
	return libbus1_msg_recv_wait(msg, peer, 0);
}

int libbus1_msg_recv_wait(struct libbus1_msg *msg, int peer, uint64_t deadline)
{
	struct bus1_metadata metadata;
	struct bus1_message m;
	struct iovec vec;
	int r;

	msg_clear(msg);
	r = msg_grow(msg, MSG_DATA, MSG_HANDLES);
	while (!r) {
		m = msg_room(msg);
		if (!deadline) {
			/* A module without extensions knows no FLAT. */
			vec = (struct iovec){ msg->data, m.n_data };
			m.flags = 0;
			m.n_data_vecs = 1;
			m.ptr_data_vecs = BUS1_FROM_PTR(&vec);
			r = libbus1_recv(peer, &metadata, &m);
		} else {
			r = libbus1_recv_wait(peer, deadline, &metadata, &m);
		}
		if (!r) {
			msg_set(msg, &metadata, &m);
			break;
		}
		/* Another thread may take it: then the next one is tried. */
		if (r == -EMSGSIZE)
			r = msg_grow_for(msg, &m);
	}
	return r;
}

int libbus1_msg_call(struct libbus1_msg *msg, int peer, uint64_t deadline,
		     uint64_t handle, const void *data, size_t n_data,
		     struct bus1_transfer *transfers, size_t n_transfers)
{
	struct bus1_message send = {
		.flags = BUS1_MESSAGE_FLAG_FLAT,
		.type = BUS1_MESSAGE_TYPE_USER,
		.n_transfers = n_transfers,
		.ptr_transfers = BUS1_FROM_PTR(transfers),
		.n_data = n_data,
		.n_data_vecs = n_data,
		.ptr_data_vecs = BUS1_FROM_PTR(data),
	};
	struct bus1_metadata metadata;
	struct bus1_message m;
	int r;

	msg_clear(msg);
	/* Buffers that are there stay as they are: @data may be in them. */
	if (!msg->data || !msg->handles) {
		r = msg_grow(msg, MSG_DATA, MSG_HANDLES);
		if (r < 0)
			return r;
	}
	m = msg_room(msg);
	r = libbus1_call(peer, deadline, handle, &send, &metadata, &m);
	if (!r)
		msg_set(msg, &metadata, &m);
	if (r != EMSGSIZE)
		return r;
	r = msg_grow_for(msg, &m);
	/* 0 has a meaning of its own there; 1 is as long past. */
	if (!r)
		r = libbus1_msg_recv_wait(msg, peer, deadline ? deadline : 1);
	return -r;
}

int libbus1_msg_discard(struct libbus1_msg *msg, int peer)
{
	const size_t size = DISCARD_SIZE +
			    BUS1_MAX_TRANSFERS * sizeof(struct bus1_transfer);
	struct iovec vecs[DISCARD_VECS];
	struct bus1_metadata metadata;
	struct bus1_message m;
	uint64_t *ids;
	size_t i, n;
	char *room;
	int r;

	msg_clear(msg);
	room = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED)
		return -ENOMEM;
	for (i = 0; i < DISCARD_VECS; i++)
		vecs[i] = (struct iovec){ room, DISCARD_SIZE };
	ids = (void *)(room + DISCARD_SIZE);
	m = (struct bus1_message){
		.n_transfers = BUS1_MAX_TRANSFERS,
		.ptr_transfers = BUS1_FROM_PTR(ids),
		.n_data = (uint64_t)DISCARD_VECS * DISCARD_SIZE,
		.n_data_vecs = DISCARD_VECS,
		.ptr_data_vecs = BUS1_FROM_PTR(vecs),
	};
	r = libbus1_recv(peer, &metadata, &m);
	if (r < 0)
		goto unmap;

	pack_handles(ids, m.n_transfers);
	for (i = 0; i < m.n_transfers; i += n) {
		n = m.n_transfers - i;
		if (n > RELEASE_BATCH)
			n = RELEASE_BATCH;
		/* Only fails if another thread released one of them. */
		libbus1_release(peer, ids + i, n);
	}
	msg->type = m.type;
	msg->id = metadata.id;
	msg->account = metadata.account;
	msg->n_data = m.n_data;
unmap:
	munmap(room, size);
	return r;
}
