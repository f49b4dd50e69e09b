// SPDX-License-Identifier: GPL-2.0-only
/* How a call may end, and what then is to be in memory and in the model */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "ioctl-check.h"

#define SIZE_T sizeof(struct bus1_transfer)
#define REGION(_c, _role) (&(_c)->a->r[_role])

bool check_quota;

static unsigned int peer(const struct call *c)
{
	return c->op->peer % FUZZ_PEERS;
}

/* --- how it may end ----------------------------------------------------- */

/* What is wrong with the command itself */
static void expect_command(const struct call *c, struct expect *e)
{
	switch (c->bad) {
	case BAD_FLAGS:
	case BAD_DEADLINE:
	case BAD_TFLAGS:
	case BAD_CREATE_ID:
		may(e, EINVAL);
		break;
	case BAD_CMD_NONE:
	case BAD_CMD_CUT:
		may(e, EFAULT);
		break;
	case BAD_IN_NONE:
	case BAD_IN_CUT:
	case BAD_IN_HIGH:
	case BAD_IN_WRAP:
		if (c->what != FUZZ_RECV_BATCH)
			may(e, EFAULT);
		break;
	case BAD_COUNT_LIMIT:
	case BAD_COUNT_MAX:
		if (c->what != FUZZ_RECV_BATCH)
			may(e, EMSGSIZE);
		break;
	case BAD_PRODUCT:
		may(e, EMSGSIZE);
		break;
	case BAD_TO_CLOSED:
	case BAD_TO_HUGE:
		may(e, EBADF);
		break;
	case BAD_TO_OTHER:
		may(e, EOPNOTSUPP);
		break;
	default:
		break;
	}
}

static bool any(const bool *v, unsigned int n)
{
	while (n)
		if (v[--n])
			return true;
	return false;
}

/* A handle is needed for each that is not made. */
static void expect_handles(const struct call *c, unsigned int n,
			   const uint64_t *id, const bool *create,
			   struct expect *e)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (!(create && create[i]) && !model_handle(peer(c), id[i]))
			may(e, EBADRQC);
}

static void expect_transfer(const struct call *c, struct expect *e)
{
	expect_command(c, e);
	expect_handles(c, c->n, c->id, c->create, e);
	if (c->to < 0)
		may(e, EBADF);
	if (c->bad == BAD_OUT_NONE || c->bad == BAD_OUT_CUT ||
	    c->bad == BAD_OUT_RO ||
	    (c->bad == BAD_IN_RO && any(c->create, c->n)))
		may(e, EFAULT);
	if (check_quota && c->n)
		may(e, EDQUOT);
	if (!e->n || (e->n == 1 && e->code[0] == EDQUOT))
		may(e, 0);
}

static void expect_release(const struct call *c, struct expect *e)
{
	unsigned int i, k;

	expect_command(c, e);
	for (i = 0; i < c->n; i++) {
		if (!model_handle(peer(c), c->id[i]) &&
		    !model_node(peer(c), c->id[i]))
			may(e, EBADRQC);
		for (k = 0; k < i; k++)
			if (c->id[i] == c->id[k])
				may(e, EINVAL);
	}
	if (!e->n)
		may(e, 0);
}

static bool any_live(const struct call *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		struct model_handle *h = model_handle(peer(c), c->id[i]);

		if (h && h->node->live)
			return true;
	}
	return false;
}

/* A full quota may skip a receiver. */
static bool may_skip(const struct call *c)
{
	return check_quota && c->what == FUZZ_SEND &&
	       c->op->flags & FLAG_CONTINUE;
}

/* The payload cannot be read, should it be asked for. */
static bool data_missing(const struct call *c)
{
	return (c->bad == BAD_DATA_NONE || c->bad == BAD_DATA_CUT) &&
	       !c->bad_room && c->n_data;
}

/* SEND, and the first half of CALL; 0 is not among it if it cannot pass. */
static void expect_send(const struct call *c, struct expect *e)
{
	bool maybe = false;

	expect_command(c, e);
	expect_message(c, false, e);
	expect_handles(c, c->n, c->id, NULL, e);
	expect_handles(c, c->m, c->tr, c->tcreate, e);
	switch (c->bad) {
	case BAD_PRODUCT:
		/* The arrays are not that long. */
		may(e, EFAULT);
		break;
	case BAD_MSG_NONE:
	case BAD_MSG_CUT:
		may(e, EFAULT);
		break;
	case BAD_OUT_NONE:
	case BAD_OUT_CUT:
	case BAD_OUT_RO:
		may(e, EFAULT);
		break;
	case BAD_TR_NONE:
	case BAD_TR_CUT:
	case BAD_TR_HIGH:
		if (!c->bad_room)
			may(e, EFAULT);
		break;
	case BAD_TR_RO:
		if (!c->bad_room && c->n && any(c->tcreate, c->m))
			may(e, EFAULT);
		break;
	case BAD_DATA_NONE:
	case BAD_DATA_CUT:
		if (!data_missing(c))
			break;
		may(e, EFAULT);
		/* What goes to nobody need not be read. */
		maybe = !any_live(c) || may_skip(c);
		break;
	case BAD_VEC_HIGH:
		maybe = !REGION(c, R_DATA)->len;
		break;
	default:
		break;
	}
	if (maybe && e->n == 1)
		may(e, 0);
	if (check_quota && c->n)
		may(e, EDQUOT);
	if (!e->n || (e->n == 1 && e->code[0] == EDQUOT))
		may(e, 0);
}

/*
 * The second half of CALL, when the first is done: nothing but a room that is
 * refused before anything is sent can be reported without SENT().
 */
static void expect_called(struct call *c, struct expect *e)
{
	struct expect r = { .n = 0 };
	unsigned int i;

	recv_expect(c, 0, &r);
	for (i = 0; i < r.n; i++) {
		int code = r.code[i];

		if (code == EAGAIN)
			code = ETIMEDOUT;
		may(e, code ? SENT(code) : 0);
	}
}

static void expect_name(const struct call *c, struct expect *e)
{
	unsigned char byte = c->op->to ? c->op->to : 'x';

	expect_command(c, e);
	if (c->n > BUS1_MAX_NAME)
		may(e, EMSGSIZE);
	if (c->n && (byte < 0x21 || byte > 0x7e))
		may(e, EINVAL);
	if (!e->n)
		may(e, 0);
}

/* --- what it did -------------------------------------------------------- */

/* An ID that the kernel wrote, of something new */
static bool fresh(unsigned int p, uint64_t id, const char *what)
{
	if ((id & BUS1_MANAGED) && id != BUS1_INVALID && model_id_fresh(p, id))
		return true;
	return wrong("%s has ID %llu, which is not new", what,
		     (unsigned long long)id);
}

static bool apply_transfer(struct call *c)
{
	struct region *in = REGION(c, R_IN), *out = REGION(c, R_OUT);
	struct model_node *node;
	unsigned int i;
	uint64_t id;

	for (i = 0; i < c->n; i++) {
		if (c->create[i]) {
			id = get64(in, i * SIZE_T + 8);
			if (!fresh(peer(c), id, "the new node"))
				return false;
			node = model_node_new(peer(c), id);
			shadow64(in, i * SIZE_T, 0);
			shadow64(in, i * SIZE_T + 8, id);
		} else {
			node = model_handle(peer(c), c->id[i])->node;
		}
		id = get64(out, i * SIZE_T + 8);
		if (!fresh(c->to, id, "the new handle"))
			return false;
		model_handle_new(c->to, node, id);
		shadow64(out, i * SIZE_T, 0);
		shadow64(out, i * SIZE_T + 8, id);
	}
	return true;
}

static bool apply_send(struct call *c)
{
	struct model_message m = {
		.stamp = c->stamp, .n_data = c->n_data, .n_t = c->m,
	};
	bool wanted = c->what == FUZZ_SEND && c->op->flags & FLAG_ERRORS;
	struct model_node *to[FUZZ_IDS];
	unsigned int i;
	uint64_t id;

	for (i = 0; i < c->n; i++) {
		int32_t error = 0;

		to[i] = model_handle(peer(c), c->id[i])->node;
		if (!wanted)
			continue;
		memcpy(&error, REGION(c, R_OUT)->at + i * sizeof(error),
		       sizeof(error));
		if (error == -EDQUOT && may_skip(c))
			to[i] = NULL;
		else if (error)
			return wrong("errors[%u] is %d", i, error);
		else if (to[i]->live && data_missing(c))
			return wrong("[%u] got what cannot be read", i);
		shadow_copy(REGION(c, R_OUT), i * sizeof(error), sizeof(error));
	}
	if (!c->n)
		return true;
	for (i = 0; i < c->m; i++) {
		if (!c->tcreate[i]) {
			m.t[i] = model_handle(peer(c), c->tr[i])->node;
			continue;
		}
		id = get64(REGION(c, R_TR), i * SIZE_T + 8);
		if (!fresh(peer(c), id, "the node made by a message"))
			return false;
		m.t[i] = model_node_new(peer(c), id);
		shadow64(REGION(c, R_TR), i * SIZE_T, 0);
		shadow64(REGION(c, R_TR), i * SIZE_T + 8, id);
	}
	model_send(peer(c), c->n, to, &m);
	return true;
}

/* IDs that a failed call has shown may never come true. */
static void note_shown(struct call *c, enum role role, unsigned int n,
		       const bool *create, unsigned int p)
{
	struct region *r = REGION(c, role);
	unsigned int i;

	for (i = 0; r->at && i < n && (i + 1) * SIZE_T <= r->seen; i++) {
		uint64_t id = get64(r, i * SIZE_T + 8), was;

		memcpy(&was, r->shadow + CANARY + i * SIZE_T + 8, sizeof(was));
		if ((!create || create[i]) && id != was)
			model_id_fresh(p, id);
	}
}

bool arena_ok(struct call *c, uint32_t except)
{
	const char *what = arena_differs(c->a, except);

	return !what || wrong("%s: the kernel wrote there, or did not", what);
}

/* --- one call ----------------------------------------------------------- */

static bool unexpected(const struct call *c, int code, const struct expect *e)
{
	char text[256];
	size_t n = 0;
	unsigned int i;

	for (i = 0; i < e->n && n < sizeof(text) - 40; i++)
		n += snprintf(text + n, sizeof(text) - n, "%s%s%s",
			      i ? " or " : "",
			      e->code[i] >= SENT(0) ? "sent, but " : "",
			      e->code[i] ? strerror(e->code[i] % SENT(0)) :
					   "success");
	if (!e->n)
		snprintf(text, sizeof(text), "nothing");
	return wrong("%s%s, returned %d, expected %s",
		     code >= SENT(0) ? "sent, but " : "",
		     code ? strerror(code % SENT(0)) : "success", c->r, text);
}

/* What a failed call may have written: nothing, but with EFAULT its arrays. */
static uint32_t partly(int code)
{
	if (code % SENT(0) != EFAULT)
		return 0;
	return 1u << R_IN | 1u << R_OUT | 1u << R_TR | 1u << R_RTR |
	       1u << R_RDATA;
}

/* How a batch may end behind @i that were received */
static void expect_batch(const struct call *c, unsigned int i, struct expect *e)
{
	bool beyond = c->bad == BAD_COUNT_LIMIT || c->bad == BAD_COUNT_MAX;
	unsigned int k;

	if (i < c->rooms) {
		recv_expect(c, i, e);
	} else if (beyond) {
		/* Entries that are not mapped */
		may(e, EFAULT);
		may(e, EAGAIN);
	} else {
		may(e, 0);
	}
	if (!i && c->op->flags & FLAG_WAIT)
		for (k = 0; k < e->n; k++)
			if (e->code[k] == EAGAIN)
				e->code[k] = ETIMEDOUT;
}

static bool check_batch(struct call *c)
{
	const size_t one = sizeof(struct bus1_received);
	const size_t msg = offsetof(struct bus1_received, message);
	struct region *in = REGION(c, R_IN);
	struct expect e = { .n = 0 };
	int i, code = c->e;

	expect_command(c, &e);
	if (e.n && c->r >= 0)
		return unexpected(c, 0, &e);
	for (i = 0; i < c->r; i++) {
		e.n = 0;
		expect_batch(c, i, &e);
		if (i >= (int)c->rooms || !allows(&e, 0))
			return unexpected(c, 0, &e);
		if (!recv_apply(c, i, in, i * one, i * one + msg))
			return false;
	}
	if (!c->r && c->rooms)
		return wrong("returned 0, although there was room");
	if (i)
		e.n = 0;
	expect_batch(c, i, &e);
	if (c->r > 0 && c->r < (int)c->rooms) {
		/* It ended here, for what the next call would report. */
		code = e.code[0];
		if (e.n == 1 && !code)
			return unexpected(c, EAGAIN, &e);
	} else if (c->r <= 0 && !allows(&e, code)) {
		return unexpected(c, code, &e);
	}
	if (code == EMSGSIZE && c->bad != BAD_VEC_MANY)
		recv_sizes(c, in, i * one + msg);
	return arena_ok(c, allows(&e, EFAULT) ? partly(EFAULT) : 0);
}

static bool check_calling(struct call *c)
{
	const size_t got = offsetof(struct bus1_cmd_call, received);
	const size_t msg = got + offsetof(struct bus1_received, message);
	int code = c->r > 0 ? SENT(c->r) : c->e;
	struct expect sent = { .n = 0 }, e = { .n = 0 };
	struct expect early = { .n = 0 };
	unsigned int i;

	expect_send(c, &sent);
	/* A room that RECV would refuse before it looks at the queue */
	expect_message(c, true, &early);
	if (c->bad_room && (c->bad == BAD_TR_HIGH || c->bad == BAD_VEC_HIGH))
		may(&early, EFAULT);
	for (i = 0; i < sent.n; i++)
		if (sent.code[i])
			may(&e, sent.code[i]);
	for (i = 0; i < early.n; i++)
		may(&e, early.code[i]);
	if (code == EFAULT)
		note_shown(c, R_TR, c->m, c->tcreate, peer(c));
	if (code && code < SENT(0))
		return allows(&e, code) ? arena_ok(c, partly(code)) :
					  unexpected(c, code, &e);
	/* So it was sent: might it be? */
	if (!allows(&sent, 0) ||
	    (early.n && c->bad != BAD_TR_HIGH && c->bad != BAD_VEC_HIGH))
		return unexpected(c, code, &e);
	if (!apply_send(c))
		return false;
	e.n = 0;
	expect_called(c, &e);
	if (!allows(&e, code))
		return unexpected(c, code, &e);
	if (code == 0 && !recv_apply(c, 0, REGION(c, R_CMD), got, msg))
		return false;
	if (code == SENT(EMSGSIZE))
		recv_sizes(c, REGION(c, R_CMD), msg);
	return arena_ok(c, partly(code) & ~(1u << R_TR));
}

static bool check_features(struct call *c)
{
	const size_t at = offsetof(struct bus1_cmd_features, features);
	struct expect e = { .n = 0 };

	expect_command(c, &e);
	if (c->bad == BAD_CMD_RO)
		may(&e, EFAULT);
	if (!e.n)
		may(&e, 0);
	if (!allows(&e, c->e))
		return unexpected(c, c->e, &e);
	if (!c->e && get64(REGION(c, R_CMD), at) != 0x1f)
		return wrong("features are %llx",
			     (unsigned long long)get64(REGION(c, R_CMD), at));
	if (!c->e)
		shadow64(REGION(c, R_CMD), at, 0x1f);
	return arena_ok(c, 0);
}

/* The calls that end in 0 or errno */
static bool check_plain(struct call *c)
{
	const size_t msg = 0;
	struct expect e = { .n = 0 };

	switch (c->what) {
	case FUZZ_TRANSFER:
		expect_transfer(c, &e);
		break;
	case FUZZ_RELEASE:
		expect_release(c, &e);
		break;
	case FUZZ_SEND:
		expect_send(c, &e);
		break;
	case FUZZ_RECV:
		expect_command(c, &e);
		if (!e.n)
			recv_expect(c, 0, &e);
		break;
	case FUZZ_NAME:
		expect_name(c, &e);
		break;
	default:
		may(&e, ENOTTY);
	}
	if (c->r > 0 || !allows(&e, c->e))
		return unexpected(c, c->e, &e);
	if (c->e == EMSGSIZE && c->what == FUZZ_RECV && c->bad != BAD_VEC_MANY)
		recv_sizes(c, REGION(c, R_MSG), msg);
	if (!c->e && ((c->what == FUZZ_TRANSFER && !apply_transfer(c)) ||
		      (c->what == FUZZ_SEND && !apply_send(c)) ||
		      (c->what == FUZZ_RECV &&
		       !recv_apply(c, 0, REGION(c, R_MSG), 0, msg))))
		return false;
	if (!c->e && c->what == FUZZ_RELEASE)
		model_release(peer(c), c->n, c->id);
	if (c->e == EFAULT && c->what == FUZZ_TRANSFER) {
		note_shown(c, R_IN, c->n, c->create, peer(c));
		if (c->to >= 0)
			note_shown(c, R_OUT, c->n, NULL, c->to);
	}
	if (c->e == EFAULT && c->what == FUZZ_SEND)
		note_shown(c, R_TR, c->m, c->tcreate, peer(c));
	return arena_ok(c, partly(c->e));
}

bool check_call(struct call *c)
{
	call_issue(c);
	switch (c->what) {
	case FUZZ_RECV_BATCH:
		return check_batch(c);
	case FUZZ_CALL:
		return check_calling(c);
	case FUZZ_FEATURES:
		return check_features(c);
	default:
		return check_plain(c);
	}
}
