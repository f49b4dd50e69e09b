// SPDX-License-Identifier: GPL-2.0-only
/*
 * What SEND reads changes all the time. Whatever is done is that of one of the
 * two states, as a whole, and nothing stays behind.
 */
#define _GNU_SOURCE
#include "flip.h"

static uint64_t carried; /* how many transfers it has, unless that flips */

static void set_send(uint64_t n, uint64_t n_t)
{
	*msg = plain();
	msg->n_transfers = carried = n_t;
	*send_cmd = (struct bus1_cmd_send){
		.n_destinations = n,
		.ptr_destinations = BUS1_FROM_PTR(ids),
		.ptr_errors = BUS1_FROM_PTR(errors),
		.ptr_message = BUS1_FROM_PTR(msg),
	};
	ids[0] = to_b;
	ids[1] = to_b2;
	set_src();
}

/*
 * Send what is set, without setting what is flipped; then see that what came
 * to b, and what was written, agree. Returns the errno, and what came.
 */
static int send_and_hear(unsigned int *n_msgs, unsigned int *n_t,
			 unsigned int *n_data, uint64_t *node, bool *good)
{
	uint64_t before = b1_count(a, "bus1-nodes"), i;
	unsigned int n_new = 0, n_errors = 0;
	struct b1_msg m;
	int r;

	memset(errors, B1_POISON, 64);
	r = b1_ioctl(a, BUS1_CMD_SEND, send_cmd);
	*good = true;
	*n_msgs = *n_t = *n_data = 0;
	for (i = 0; i < ROOM; i++)
		n_errors += !errors[i];
	while (!b1_recv(b, &m)) {
		if (m.msg.type)
			continue;
		*good &= !*n_msgs || (m.msg.n_transfers == *n_t &&
				      m.msg.n_data == *n_data);
		*n_t = m.msg.n_transfers;
		*n_data = m.msg.n_data;
		*node = m.meta.id;
		for (i = 0; i < *n_t; i++)
			*good &= !b1_drop(b, m.t[i].id);
		(*n_msgs)++;
	}
	/* The handles are gone, and so are the nodes. */
	while (!b1_recv(a, &m))
		n_new += m.msg.type == BUS1_MESSAGE_TYPE_HANDLE_RELEASE;
	if (r && (*n_msgs || n_new))
		*good = wrong("a SEND that failed sent", r);
	if (!r && send_cmd->ptr_errors == BUS1_FROM_PTR(errors) &&
	    n_errors != *n_msgs)
		*good = wrong("errors[] is not of all messages", n_errors);
	if (b1_count(a, "bus1-nodes") != before)
		*good = wrong("nodes are left", before);
	return r;
}

static bool sends(unsigned int one_msgs, unsigned int two_msgs,
		  unsigned int one_t, unsigned int two_t, unsigned int one_data,
		  unsigned int two_data)
{
	unsigned int n, n_t, n_data;
	uint64_t node;
	bool good, one, two;
	int r = send_and_hear(&n, &n_t, &n_data, &node, &good);

	if (r)
		return wrong("SEND", r);
	one = n == one_msgs && n_t == one_t && n_data == one_data;
	two = n == two_msgs && n_t == two_t && n_data == two_data;
	seen[0] |= one;
	seen[1] |= two;
	return good && (one || two || wrong("a SEND of neither", n));
}

static bool send_count(void)
{
	set_src();
	return sends(1, 2, 1, 1, 8, 8);
}

static bool send_transfers(void)
{
	set_src();
	return sends(1, 1, 1, 3, 8, 8);
}

static bool send_data(void)
{
	return sends(1, 1, 0, 0, 5, 60);
}

/* It is sent, or it cannot be, with this error or that. */
static bool send_or(int error, int error_2)
{
	unsigned int n, n_t, n_data;
	uint64_t node;
	bool good;
	int r = send_and_hear(&n, &n_t, &n_data, &node, &good);

	if (r && r != error && r != error_2)
		return wrong("SEND", r);
	saw(r ? 1 : 0);
	return good && (r || (n == 1 && n_data == 8 && n_t == carried));
}

/* A length that fits, and one that does not. */
static bool send_vec(void)
{
	return send_or(EMSGSIZE, EMSGSIZE);
}

/* A new node, or an old handle; the two words are not flipped as one. */
static bool send_create(void)
{
	return send_or(EINVAL, EBADRQC);
}

static bool send_page(void)
{
	return send_or(EFAULT, EFAULT);
}

static bool send_transfer(void)
{
	set_src();
	return send_or(EFAULT, EFAULT);
}

static bool send_id(void)
{
	unsigned int n, n_t, n_data;
	uint64_t node = 0;
	bool good;
	int r = send_and_hear(&n, &n_t, &n_data, &node, &good);

	if (r || n != 1 || (node != node_b && node != node_b2))
		return wrong("SEND to neither", r);
	saw(node == node_b2);
	return good;
}

/* Both destinations are of the one array, or of the other. */
static bool send_array(void)
{
	unsigned int n = 0, n_2 = 0;
	struct b1_msg m;

	if (b1_ioctl(a, BUS1_CMD_SEND, send_cmd))
		return wrong("SEND", errno);
	while (!b1_recv(b, &m)) {
		n += m.meta.id == node_b;
		n_2 += m.meta.id == node_b2;
	}
	saw(n_2 != 0);
	return n + n_2 == 2 && (!n || !n_2);
}

/*
 * Of two destinations the second has no quota left: it is skipped, and
 * errors[], where we read it at @skipped, says so; or nobody gets anything.
 */
static const int32_t *skipped;

static bool send_skips(int error)
{
	unsigned int n = 0;
	struct b1_msg m;
	int r;

	memset((void *)skipped, B1_POISON, 64);
	r = b1_ioctl(a, BUS1_CMD_SEND, send_cmd);
	while (!b1_recv(b, &m))
		n += m.meta.id == node_b && m.msg.n_data == 8;
	saw(!r);
	if (r)
		return (r == error && !n &&
			(r == EFAULT || b1_poisoned(skipped, 64))) ||
		       wrong("SEND that skips", r);
	return (n == 1 && !skipped[0] && skipped[1] == -EDQUOT &&
		b1_poisoned(skipped + 2, 56)) ||
	       wrong("errors[] of a SEND that skips", skipped[1]);
}

static bool send_flags(void)
{
	return send_skips(EDQUOT);
}

static bool send_errors(void)
{
	return send_skips(EFAULT);
}

/* A peer that can be sent nothing more; returns its handle. */
static uint64_t full_peer(int *peer)
{
	uint64_t handle;
	int r;

	quota_set_maxima(64, 1 << 20);
	*peer = open_as(1001);
	quota_restore();
	b1_node_to(*peer, a, &handle);
	while (!(r = b1_send(a, handle, data, 8)))
		;
	if (r != EDQUOT)
		bail_out("cannot exhaust a quota: %s", strerror(r));
	return handle;
}

static void test_skips(void)
{
	int c;

	if (!quota_begin())
		return;
	set_send(2, 0);
	ids[1] = full_peer(&c);
	skipped = errors;
	flip_word("SEND: flags", &send_cmd->flags, 0, BUS1_SEND_FLAG_CONTINUE,
		  send_flags);
	send_cmd->flags = BUS1_SEND_FLAG_CONTINUE;
	send_cmd->ptr_errors = BUS1_FROM_PTR(there);
	skipped = here;
	flip_page("SEND that skips: errors[] comes and goes", there,
		  send_errors);
	b1_drop(a, ids[1]);
	close(c);
}

static void test_send(void)
{
	set_send(1, 1);
	flip_word("SEND: n_destinations", &send_cmd->n_destinations, 1, 2,
		  send_count);
	set_send(1, 1);
	flip_word("SEND: n_transfers", &msg->n_transfers, 1, 3,
		  send_transfers);
	set_send(1, 0);
	flip_word("SEND: n_data", &msg->n_data, 5, 60, send_data);
	set_send(1, 0);
	flip_word("SEND: iov_len", &vec->iov_len, 64, 7, send_vec);
	set_send(1, 0);
	flip_word("SEND: a destination", &ids[0], to_b, to_b2, send_id);
	set_send(1, 1);
	flip = (struct flip){ .at = (void *)src, .words = 2,
			      .value = { { 0, to_b2 }, { 1, BUS1_INVALID } } };
	round_of("SEND: a transfer", send_create);
	set_send(1, 0);
	flip_page("SEND: the payload comes and goes", data, send_page);
	set_send(1, 0);
	send_cmd->ptr_errors = BUS1_FROM_PTR(other);
	flip_page("SEND: errors[] comes and goes", other, send_page);
	set_send(2, 0);
	ids[8] = ids[9] = to_b2;
	ids[1] = to_b;
	flip_word("SEND: ptr_destinations", &send_cmd->ptr_destinations,
		  BUS1_FROM_PTR(ids), BUS1_FROM_PTR(ids + 8), send_array);
	set_send(1, 1);
	memcpy(here, msg, sizeof(*msg));
	send_cmd->ptr_message = BUS1_FROM_PTR(there);
	flip_page("SEND: the message comes and goes", there, send_transfer);
	test_skips();
	ok(clean(), "nothing of it is left");
}

int main(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		skip(1, "one processor: nothing changes during a call");
		return done_testing();
	}
	begin();
	test_send();
	close(a);
	close(b);
	return done_testing();
}
