// SPDX-License-Identifier: GPL-2.0-only
/* What RECV, RECV_BATCH and the second half of CALL have to say and write */
#include <errno.h>
#include <string.h>

#include "ioctl-check.h"

#define SIZE_T sizeof(struct bus1_transfer)

/* Where the part of room @i begins in the regions that all rooms share */
static void offsets(const struct call *c, unsigned int i, size_t *t,
		    size_t *data)
{
	*t = *data = 0;
	while (i--) {
		*t += c->room[i].n_t * SIZE_T;
		*data += c->room[i].n_data;
	}
}

/* Would the kernel fault if it wrote so much there? */
static bool faults(const struct call *c, enum role role, size_t at, size_t len)
{
	const struct region *r = &c->a->r[role];

	if (!len || bad_role(c) != role)
		return false;
	switch (c->bad) {
	case BAD_TR_CUT:
	case BAD_DATA_CUT:
	case BAD_IN_CUT:
	case BAD_OUT_CUT:
	case BAD_MSG_CUT:
		return at + len > r->seen;
	default:
		return true;
	}
}

void expect_message(const struct call *c, bool room, struct expect *e)
{
	if (c->bad_room != room)
		return;
	switch (c->bad) {
	case BAD_MFLAGS:
	case BAD_TYPE:
	case BAD_VEC_LONG:
		may(e, EINVAL);
		break;
	case BAD_VEC_MANY:
		may(e, EMSGSIZE);
		break;
	case BAD_VEC_NONE:
	case BAD_VEC_CUT:
	case BAD_VEC_HIGH:
		may(e, EFAULT);
		break;
	case BAD_TCOUNT_LIMIT:
	case BAD_TCOUNT_MAX:
	case BAD_DATA_MORE:
	case BAD_DATA_MAX:
		if (!room)
			may(e, EMSGSIZE);
		break;
	default:
		break;
	}
}

/* Bad for this room, and before the queue is looked at or not. */
static bool refused(const struct call *c, unsigned int i, struct expect *e)
{
	struct expect bad = { .n = 0 };
	unsigned int k;

	switch (c->bad) {
	case BAD_VEC_CUT:
		if (i == c->rooms - 1)
			expect_message(c, true, &bad);
		break;
	case BAD_MFLAGS:
	case BAD_TYPE:
	case BAD_VEC_MANY:
		if (!i)
			expect_message(c, true, &bad);
		break;
	case BAD_VEC_HIGH:
		/* Each room's own part of the data has the address. */
		if (!c->a->r[R_RDATA].len) {
			may(e, EFAULT);
			return false;
		}
		expect_message(c, true, &bad);
		break;
	case BAD_TR_HIGH:
		may(e, EFAULT);
		return false;
	case BAD_IN_NONE:
	case BAD_IN_HIGH:
	case BAD_IN_WRAP:
	case BAD_MSG_NONE:
	case BAD_MSG_CUT:
		may(&bad, EFAULT);
		break;
	case BAD_IN_CUT:
		if (i == c->rooms - 1)
			may(&bad, EFAULT);
		break;
	default:
		expect_message(c, true, &bad);
	}
	for (k = 0; k < bad.n; k++)
		may(e, bad.code[k]);
	return bad.n;
}

void recv_expect(const struct call *c, unsigned int i, struct expect *e)
{
	unsigned int p = c->op->peer % FUZZ_PEERS;
	const struct model_event *h = model_head(p, 0);
	struct room room = c->room[i];
	bool refuse = refused(c, i, e);
	size_t t, data;

	if (!model_heads(p)) {
		may(e, EAGAIN);
		return;
	}
	if (c->bad_room && !i &&
	    (c->bad == BAD_TCOUNT_LIMIT || c->bad == BAD_TCOUNT_MAX))
		room.n_t = BUS1_MAX_TRANSFERS;
	offsets(c, i, &t, &data);
	if (h->n_data > room.n_data || h->n_t > room.n_t) {
		may(e, EMSGSIZE);
		if (c->bad == BAD_MSG_RO || c->bad == BAD_IN_RO ||
		    c->bad == BAD_CMD_RO)
			may(e, EFAULT);
		return;
	}
	/* Behind the last room's part there is no memory, whatever the count says. */
	if (faults(c, R_RTR, t, h->n_t * SIZE_T) ||
	    t + h->n_t * SIZE_T > c->a->r[R_RTR].len ||
	    faults(c, R_RDATA, data, h->n_data) ||
	    c->bad == BAD_CMD_RO || c->bad == BAD_IN_RO ||
	    c->bad == BAD_MSG_RO || c->bad == BAD_OUT_NONE ||
	    c->bad == BAD_OUT_CUT || c->bad == BAD_OUT_RO) {
		/* RECV and RECV_BATCH do not write to the command. */
		if (c->bad != BAD_CMD_RO || c->what == FUZZ_CALL) {
			may(e, EFAULT);
			return;
		}
	}
	if (!refuse)
		may(e, 0);
}

/* Which of the next events was received */
static const struct model_event *which(unsigned int p, uint64_t type,
				       uint64_t id)
{
	unsigned int i, n = model_heads(p);

	for (i = 0; i < n; i++) {
		const struct model_event *e = model_head(p, i);
		uint64_t of = e->type == MODEL_NODE_RELEASE ? e->handle->id :
							      e->node->id;

		if (e->type == type && of == id)
			return e;
	}
	return NULL;
}

static bool says(unsigned int p, uint64_t type, uint64_t id)
{
	static const char *const names[] = { "message to node",
					     "NODE_RELEASE of",
					     "HANDLE_RELEASE of" };
	const struct model_event *h = model_head(p, 0);

	return wrong("received type %llu of ID %llu, expected a %s %llu",
		     (unsigned long long)type, (unsigned long long)id,
		     names[h->type],
		     (unsigned long long)(h->type == MODEL_NODE_RELEASE ?
						  h->handle->id :
						  h->node->id));
}

bool recv_apply(struct call *c, unsigned int i, struct region *r, size_t meta,
		size_t msg)
{
	const size_t at_n_t = offsetof(struct bus1_message, n_transfers);
	const size_t at_data = offsetof(struct bus1_message, n_data);
	struct region *rt = &c->a->r[R_RTR], *rd = &c->a->r[R_RDATA];
	unsigned int p = c->op->peer % FUZZ_PEERS, k;
	struct region *m = c->what == FUZZ_RECV ? &c->a->r[R_OUT] : r;
	uint64_t type = get64(r, msg + offsetof(struct bus1_message, type));
	uint64_t id = get64(m, meta + offsetof(struct bus1_metadata, id));
	uint64_t account = get64(m, meta + offsetof(struct bus1_metadata,
						    account));
	const struct model_event *e = which(p, type, id);
	uint64_t ids[MODEL_TRANSFERS];
	size_t t, data;

	if (!e)
		return says(p, type, id);
	if (account != (e->type == MODEL_USER ? e->account : BUS1_INVALID))
		return wrong("account %lld, expected %lld", (long long)account,
			     (long long)e->account);
	if (get64(r, msg + at_n_t) != e->n_t)
		return wrong("%llu transfers received, %u were sent",
			     (unsigned long long)get64(r, msg + at_n_t),
			     e->n_t);
	if (get64(r, msg + at_data) != e->n_data)
		return wrong("%llu bytes received, %zu were sent",
			     (unsigned long long)get64(r, msg + at_data),
			     e->n_data);
	shadow64(m, meta + offsetof(struct bus1_metadata, flags), 0);
	shadow64(m, meta + offsetof(struct bus1_metadata, id), id);
	shadow64(m, meta + offsetof(struct bus1_metadata, account), account);
	shadow64(r, msg + offsetof(struct bus1_message, type), type);
	shadow64(r, msg + at_n_t, e->n_t);
	shadow64(r, msg + at_data, e->n_data);
	offsets(c, i, &t, &data);
	for (k = 0; k < e->n_t; k++) {
		ids[k] = get64(rt, t + k * SIZE_T + 8);
		if (!(ids[k] & BUS1_MANAGED) || !model_id_fresh(p, ids[k]))
			return wrong("the handle received is %llu, which is"
				     " not new", (unsigned long long)ids[k]);
		shadow64(rt, t + k * SIZE_T, 0);
		shadow64(rt, t + k * SIZE_T + 8, ids[k]);
	}
	for (k = 0; k < e->n_data; k++) {
		unsigned char byte = fuzz_byte(e->stamp, k);

		if (rd->at[data + k] != byte)
			return wrong("byte %u of %zu received is %02x, sent was"
				     " %02x", k, e->n_data, rd->at[data + k],
				     byte);
	}
	shadow_copy(rd, data, e->n_data);
	model_take(p, e, ids);
	return true;
}

bool recv_sizes(struct call *c, struct region *r, size_t msg)
{
	const struct model_event *e = model_head(c->op->peer % FUZZ_PEERS, 0);

	shadow64(r, msg + offsetof(struct bus1_message, n_transfers), e->n_t);
	shadow64(r, msg + offsetof(struct bus1_message, n_data), e->n_data);
	return true;
}
