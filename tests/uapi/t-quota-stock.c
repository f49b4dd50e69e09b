// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a message returned stays with its claimant for the next one. Nobody may get
 * more by that, nor less, than if it were given back at once: which it is while
 * somebody looks.
 */
#include "quota.h"

enum { MANY = 1000000 };

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
			   bool own)
{
	struct shares s = { 0 };
	uint64_t to[2];
	int v, a, b;

	quota_write(QUOTA_PARAMETERS "max_objects", max);
	v = open_as(uid);
	a = open_as(own ? uid : uid + 1);
	b = open_as(own ? uid : uid + 2);
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

int main(void)
{
	static const char *const maxima[] = { "1024", "4096", "60000" };
	unsigned int i, k, uid = 7300;
	struct shares s[2];

	if (!quota_begin())
		return done_testing();
	for (i = 0; i < sizeof(maxima) / sizeof(*maxima); i++) {
		for (k = 0; k < 4; k++) {
			s[k % 2] = share(uid, maxima[i], k % 2, k / 2);
			uid += 3;
			if (k % 2 == 0)
				continue;
			ok(!memcmp(&s[0], &s[1], sizeof(s[0])) && s[0].then,
			   "of %s objects %s gets %d, %d, %d with %d: %d, %d, %d with %d",
			   maxima[i], k / 2 ? "a peer of the user" : "another user",
			   s[0].first, s[0].then, s[0].more, s[0].other,
			   s[1].first, s[1].then, s[1].more, s[1].other);
		}
	}
	return done_testing();
}
