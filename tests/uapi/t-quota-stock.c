// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a message returned stays with its claimant for the next one. Nobody may get
 * more by that, nor less, than if it were given back at once: which it is while
 * somebody looks.
 */
#include "quota.h"

enum { MANY = 1000000, CLAIMANTS = 300 };

struct shares {
	int first, again, other, then, more;
};

static void look(bool does)
{
	if (does)
		free(quota_file(QUOTA_ACCOUNTS));
}

/* As many empty messages as there may be, but at most @n. */
static int fill(int peer, uint64_t to, int n)
{
	int i = 0;

	while (i < n && !b1_send(peer, to, "", 0))
		i++;
	return i;
}

static int drain(int peer)
{
	struct b1_msg m;
	int i = 0;

	while (!b1_recv(peer, &m))
		i++;
	return i;
}

/* The second user claims after the first has returned all it had. */
static struct shares share(unsigned int uid, const char *max, bool looks,
			   bool own_a, bool own_b)
{
	struct shares s = { 0 };
	uint64_t to[2];
	int v, a, b;

	quota_write(QUOTA_PARAMETERS "max_objects", max);
	v = open_as(uid);
	a = open_as(own_a ? uid : uid + 1);
	b = open_as(own_b ? uid : uid + 2);
	b1_node_to(v, a, &to[0]);
	b1_node_to(v, b, &to[1]);
	s.first = fill(a, to[0], MANY);
	if (drain(v) != s.first)
		bail_out("not all came");
	/* Not refused, so that whatever stays with the claimant stays. */
	s.again = fill(a, to[0], s.first - 1);
	drain(v);
	look(looks);
	s.other = fill(b, to[1], s.first / 4);
	look(looks);
	s.then = fill(a, to[0], MANY);
	look(looks);
	s.more = fill(b, to[1], MANY);
	close(a);
	close(b);
	close(v);
	return s;
}

static int recv_large(int peer, void *data, size_t n)
{
	struct bus1_message msg = b1_flat(data, n);
	struct bus1_metadata meta;
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	msg.type = BUS1_INVALID;
	return b1_ioctl(peer, BUS1_CMD_RECV, &cmd);
}

/* A claim that passes only if nothing has stayed with anybody. */
static void test_large(unsigned int uid)
{
	const size_t mib = 1 << 20;
	char *data = calloc(8, mib);
	uint64_t to[2];
	int v, a, b, r[4];

	quota_write(QUOTA_PARAMETERS "max_objects", "1048576");
	quota_write(QUOTA_PARAMETERS "max_bytes", "8388608");
	v = open_as(uid);
	a = open_as(uid);
	b = open_as(uid);
	b1_node_to(v, a, &to[0]);
	b1_node_to(v, b, &to[1]);
	if (b1_send(a, to[0], data, mib) || recv_large(v, data, mib))
		bail_out("cannot send 1 MiB");
	r[0] = b1_send(b, to[1], data, 4 * mib + 1);
	r[1] = b1_send(b, to[1], data, 4 * mib);
	r[2] = b1_send(a, to[0], data, 2 * mib + 1);
	r[3] = b1_send(a, to[0], data, 2 * mib);
	ok(r[0] == EDQUOT && !r[1] && r[2] == EDQUOT && !r[3] &&
		   quota_adds_up(),
	   "half of all, and half of the rest, beside one who had some: %d %d %d %d",
	   r[0], r[1], r[2], r[3]);
	close(a);
	close(b);
	close(v);
	free(data);
}

/* More claimants than may keep something; each its own user, or all one. */
static void test_many(unsigned int uid, bool own)
{
	uint64_t to[CLAIMANTS], left = 0;
	int v, p[CLAIMANTS], i, k, sent = 0, came = 0;

	quota_write(QUOTA_PARAMETERS "max_objects", "60000");
	v = open_as(uid);
	for (i = 0; i < CLAIMANTS; i++) {
		p[i] = open_as(own ? uid : uid + 1 + i);
		b1_node_to(v, p[i], &to[i]);
	}
	for (k = 0; k < 3; k++) {
		for (i = 0; i < CLAIMANTS; i++)
			sent += !b1_send(p[i], to[i], "", 0);
		came += drain(v);
		if (!k)
			left = b1_count(v, "bus1-left-objects");
	}
	ok(sent == 3 * CLAIMANTS && came == sent && quota_adds_up(),
	   "%d %s: %d messages, %d came", CLAIMANTS,
	   own ? "peers of the user" : "other users", sent, came);
	ok(b1_count(v, "bus1-left-objects") == left,
	   "%llu objects are left, as after the first of them: %llu",
	   (unsigned long long)b1_count(v, "bus1-left-objects"),
	   (unsigned long long)left);
	for (i = 0; i < CLAIMANTS; i++)
		close(p[i]);
	close(v);
}

int main(void)
{
	static const char *const maxima[] = { "1024", "4096", "16000" };
	unsigned int i, k, uid = 7300;
	struct shares s[2];

	if (!quota_begin())
		return done_testing();
	for (i = 0; i < sizeof(maxima) / sizeof(*maxima); i++) {
		for (k = 0; k < 8; k++) {
			s[k % 2] = share(uid, maxima[i], k % 2, k & 2, k & 4);
			uid += 3;
			if (k % 2 == 0)
				continue;
			ok(!memcmp(&s[0], &s[1], sizeof(s[0])) && s[0].then,
			   "of %s objects %s gets %d, %d, %d with %d, %s: %d, %d, %d with %d",
			   maxima[i], k & 2 ? "a peer of the user" : "another user",
			   s[0].first, s[0].then, s[0].more, s[0].other,
			   k & 4 ? "one of the user's" : "another user",
			   s[1].first, s[1].then, s[1].more, s[1].other);
		}
	}
	test_large(uid);
	test_many(uid + 1, true);
	test_many(uid + 2, false);
	ok(quota_nothing(), "nothing is claimed in the end");
	return done_testing();
}
