// SPDX-License-Identifier: GPL-2.0-only
/*
 * quota [SEED [STEPS]]
 *
 * DOC: properties of kmod/quota.h
 *
 * Runs it in lock-step with the model of quota-model.h: on the examples of its
 * specification, in every state of some small worlds, on random sequences. After
 * each step both must agree on verdict and state, and the sums must conserve.
 */
#include <string.h>
#include <time.h>

#include "quota.h"

#include "quota-model.h"
#include "tap.h"

#define OBJECTS 0
#define BYTES 1
#define RESOURCES 2

#define U64_MAX (~0ull)

/* An account as in the module, less locks and trees. User 0 is its owner. */
struct account {
	struct bus1_level user;
	struct bus1_level quota[MODEL_USERS];
	u64 trace[MODEL_USERS][MODEL_PEERS];
};

struct world {
	int resources;
	struct account real[RESOURCES];
	struct model model[RESOURCES];
};

static struct world world; /* of the random sequences and the small worlds */
static u64 n_charged, n_refused[2], n_given, n_moved;
static u64 random_state;

/* The step under way, for who reads of its failure. */
static struct {
	const char *what;
	int user, peer, r;
	u64 amount;
} at;

static u64 rnd(void)
{
	u64 z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static u64 below(u64 n)
{
	return rnd() % n;
}

/* Up to @n, that included. */
static u64 up_to(u64 n)
{
	return n == U64_MAX ? rnd() : below(n + 1);
}

/* What went wrong, and in which step. */
static bool __attribute__((format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	diag("%s, user %d, peer %d, resource %d, amount %llu: %s", at.what,
	     at.user, at.peer, at.r, at.amount, text);
	return false;
}

static void step(const char *what, int user, int peer, int r, u64 amount)
{
	at.what = what;
	at.user = user;
	at.peer = peer;
	at.r = r;
	at.amount = amount;
}

static struct bus1_claim claim_of(struct account *a, int user, int peer)
{
	return (struct bus1_claim){
		.user = &a->user,
		.quota = &a->quota[user],
		.trace = &a->trace[user][peer],
		.foreign = user != 0,
	};
}

static void begin(struct world *w, int resources, int users, int peers,
		  const u64 *maxima)
{
	int r;

	memset(w, 0, sizeof(*w));
	w->resources = resources;
	for (r = 0; r < resources; r++) {
		w->real[r].user.held = maxima[r];
		w->real[r].user.left = maxima[r];
		w->model[r].maximum = maxima[r];
		w->model[r].users = users;
		w->model[r].peers = peers;
	}
}

/* Do the real thing and the model agree, and does each sum conserve? */
static bool agree_on(const struct account *a, const struct model *m)
{
	wide quotas = 0;
	u64 foreign = 0;
	int u, p;

	for (u = 0; u < m->users; u++) {
		const struct bus1_level *quota = &a->quota[u];
		wide traces = 0;
		u64 n = 0;

		for (p = 0; p < m->peers; p++) {
			if (a->trace[u][p] != m->trace[u][p])
				return wrong("trace %d.%d has %llu", u, p,
					     a->trace[u][p]);
			traces += a->trace[u][p];
			n += a->trace[u][p] > 0;
		}
		if (quota->held != m->quota[u])
			return wrong("quota %d has %llu", u, quota->held);
		if (quota->n != n)
			return wrong("quota %d counts %llu claimants, not %llu",
				     u, quota->n, n);
		if (traces + quota->left != quota->held)
			return wrong("quota %d does not add up", u);
		if (quota->held && !n)
			return wrong("quota %d is for nobody", u);
		quotas += quota->held;
		foreign += u && quota->held;
	}
	if (a->user.held != m->maximum || quotas + a->user.left != m->maximum)
		return wrong("the user does not add up");
	if (a->user.n != foreign)
		return wrong("the user counts %llu foreign users, not %llu",
			     a->user.n, foreign);
	return true;
}

static bool agree(const struct world *w)
{
	int r;

	for (r = 0; r < w->resources; r++)
		if (!agree_on(&w->real[r], &w->model[r]))
			return false;
	return true;
}

/* All resources are checked before any is taken; the first refusal counts. */
static bool charge(struct world *w, int user, int peer, const u64 *amount,
		   int *verdict)
{
	u64 missing[RESOURCES] = { U64_MAX, U64_MAX };
	wide wanted[RESOURCES] = {};
	int r, expected = 0;

	*verdict = 0;
	for (r = 0; r < w->resources && !expected; r++) {
		struct bus1_claim c = claim_of(&w->real[r], user, peer);

		step("charge", user, peer, r, amount[r]);
		expected = model_check(&w->model[r], user, peer, amount[r],
				       &wanted[r]);
		*verdict = bus1_quota_check(&c, amount[r], &missing[r]);
		if (*verdict != expected)
			return wrong("%d, not %d", *verdict, expected);
		if (!*verdict && missing[r] != wanted[r])
			return wrong("%llu missing", missing[r]);
	}
	for (r = 0; r < w->resources && !expected; r++) {
		struct bus1_claim c = claim_of(&w->real[r], user, peer);

		bus1_quota_take(&c, amount[r], missing[r]);
		model_charge(&w->model[r], user, peer, amount[r], wanted[r]);
	}
	n_charged += !expected;
	n_refused[expected == -EDQUOT] += !!expected;
	return agree(w);
}

static bool give(struct world *w, int user, int peer, const u64 *amount)
{
	int r;

	for (r = 0; r < w->resources; r++) {
		struct bus1_claim c = claim_of(&w->real[r], user, peer);

		step("give", user, peer, r, amount[r]);
		bus1_quota_give(&c, amount[r]);
		model_discharge(&w->model[r], user, peer, amount[r]);
	}
	n_given++;
	return agree(w);
}

static bool move(struct world *w, int user, int peer, int to, int to_peer,
		 const u64 *amount)
{
	int r;

	for (r = 0; r < w->resources; r++) {
		struct bus1_claim a = claim_of(&w->real[r], user, peer);
		struct bus1_claim b = claim_of(&w->real[r], to, to_peer);

		step("move", user, peer, r, amount[r]);
		if (amount[r])
			bus1_quota_move(&a, &b, amount[r]);
		model_move(&w->model[r], user, peer, to, to_peer, amount[r]);
	}
	n_moved++;
	return agree(w);
}

/* What it says to be the limit passes, and one more does not. */
static bool limit_is_exact(struct world *w, int r, int user, int peer)
{
	struct bus1_claim c = claim_of(&w->real[r], user, peer);
	const u64 held = w->real[r].trace[user][peer];
	const u64 limit = bus1_quota_limit(&c);
	u64 missing;
	wide any;

	step("limit", user, peer, r, 0);
	if (limit < held || limit > w->real[r].user.held)
		return wrong("%llu of %llu", limit, held);
	if (bus1_quota_check(&c, limit - held, &missing) ||
	    model_check(&w->model[r], user, peer, limit - held, &any))
		return wrong("%llu is refused", limit);
	if (!bus1_quota_check(&c, limit - held + 1, &missing) ||
	    !model_check(&w->model[r], user, peer, limit - held + 1, &any))
		return wrong("more than %llu passes", limit);
	return true;
}

static bool give_all(struct world *w)
{
	const struct model *m = &w->model[0];
	u64 all[RESOURCES];
	int r, i, u, p, start = rnd() % m->users;

	for (i = 0; i < m->users; i++) {
		u = (start + i) % m->users;
		for (p = 0; p < m->peers; p++) {
			for (r = 0; r < w->resources; r++)
				all[r] = w->real[r].trace[u][p];
			if (!give(w, u, p, all))
				return false;
		}
	}
	step("all given back", 0, 0, 0, 0);
	for (r = 0; r < w->resources; r++) {
		if (w->real[r].user.left != w->real[r].user.held ||
		    w->real[r].user.n)
			return wrong("the user has less");
		for (u = 0; u < m->users; u++)
			if (w->real[r].quota[u].held)
				return wrong("quota %d has some", u);
	}
	return true;
}

/* The numbers that the rules give as an example, of a maximum of 1024 */
struct example {
	int user;
	int peer;
	u64 most;   /* what the peer can have; then more is refused by the peer */
	u64 beyond; /* level, and from this on by that of the user */
};

static const struct example own[] = {
	{ 0, 0, 512, 513 }, /* 512 are left in its quota, nothing at the user */
	{ 0, 1, 256, 257 },
};

static const struct example foreign[] = {
	{ 1, 0, 128, 129 }, /* 128 in its quota, 256 * 4 <= 1024 are used up */
	{ 1, 1, 64, 65 },
	{ 2, 0, 42, 44 },   /* 42, and 1: (84 + 1) * 9 - 84 <= 1024 - 256 - 84 */
	{ 2, 1, 21, 23 },
};

static bool charges(const struct example *e, u64 amount, int expected)
{
	int verdict;

	return charge(&world, e->user, e->peer, &amount, &verdict) &&
	       (verdict == expected || wrong("%d", verdict));
}

/* All of it by one charge, or @unit by @unit. */
static bool by_example(const struct example *e, int n, u64 unit)
{
	static const u64 maximum = 1024;
	struct bus1_claim c;
	u64 amount, limit;

	begin(&world, 1, 3, 2, &maximum);
	for (; n--; e++) {
		c = claim_of(&world.real[0], e->user, e->peer);
		limit = bus1_quota_limit(&c);
		if (!charges(e, e->most + 1, -EXFULL))
			return false;
		if (limit != e->most)
			return wrong("the limit is %llu", limit);
		for (amount = unit ?: e->most; *c.trace < e->most;)
			if (!charges(e, amount, 0))
				return false;
		for (amount = 1; amount < e->beyond; amount++)
			if (!charges(e, amount, -EXFULL))
				return false;
		if (!charges(e, e->beyond, -EDQUOT) ||
		    !charges(e, U64_MAX, -EDQUOT))
			return false;
	}
	return give_all(&world);
}

static void t_examples(void)
{
	ok(by_example(own, 2, 0), "1024 of its own user: 512, then 256");
	ok(by_example(own, 2, 1), "the same, one at a time");
	ok(by_example(foreign, 4, 0),
	   "1024 of a foreign user: 128 and 64, then 42 and 21");
	ok(by_example(foreign, 4, 1), "the same, one at a time");
}

static void t_factor(void)
{
	bool good = true;
	u64 n;
	int i;

	step("the factor", 0, 0, 0, 0);
	for (n = 0; n < 100000 && good; n++)
		if (bus1_quota_factor(n) != model_factor(n))
			good = wrong("for %llu", n);
	for (i = 16; i <= 32 && good; i++)
		for (n = (1ull << i) - 2; n <= (1ull << i) + 2; n++)
			if (bus1_quota_factor(n) != model_factor(n))
				good = wrong("for %llu", n);
	ok(good, "the factor between users is the literal one");
}

/* Mostly near the limit, where verdicts change. */
static u64 some_amount(struct world *w, int r, int user, int peer)
{
	struct bus1_claim c = claim_of(&w->real[r], user, peer);
	const u64 free = bus1_quota_limit(&c) - *c.trace;

	switch (below(16)) {
	case 0:
		return 0;
	case 1:
	case 2:
		return 1;
	case 3:
		return free;
	case 4:
		return free + 1;
	case 5:
		return rnd() >> below(64);
	case 6:
		return c.quota->left + c.user->left;
	case 7:
		return c.quota->left + up_to(2);
	case 8:
		return up_to(w->real[r].user.held);
	default:
		return up_to(free / (1 + below(8)));
	}
}

/* Some of what a trace holds, often all of it. */
static void some_held(const struct world *w, int user, int peer, u64 *amount)
{
	int r;

	for (r = 0; r < w->resources; r++) {
		amount[r] = w->real[r].trace[user][peer];
		if (below(2))
			amount[r] = up_to(amount[r]);
	}
}

static bool random_step(struct world *w, unsigned int fill)
{
	const struct model *m = &w->model[0];
	int user = below(m->users), peer = below(m->peers);
	u64 amount[RESOURCES];
	int r, verdict;

	if (below(16) < fill) {
		for (r = 0; r < w->resources; r++)
			amount[r] = some_amount(w, r, user, peer);
		return charge(w, user, peer, amount, &verdict);
	}
	r = below(w->resources);
	if (!below(4))
		return limit_is_exact(w, r, user, peer);
	some_held(w, user, peer, amount);
	if (below(3))
		return give(w, user, peer, amount);
	/*
	 * A receipt: handles become the owner's. Sometimes what no receipt does
	 * but quota.h allows: bytes, to anybody.
	 */
	if (below(8))
		amount[BYTES] = 0;
	return move(w, user, peer, below(4) ? 0 : below(m->users),
		    below(m->peers), amount);
}

static void t_random(const char *name, u64 steps, u64 (*maximum)(void))
{
	u64 maxima[RESOURCES], left = steps, length, n = 0;
	unsigned int fill = 8;
	bool good = true;

	n_charged = n_given = n_moved = n_refused[0] = n_refused[1] = 0;
	while (left && good) {
		maxima[OBJECTS] = maximum();
		maxima[BYTES] = maximum();
		begin(&world, RESOURCES,
		      2 + below(below(4) ? MODEL_USERS - 1 : 3),
		      1 + below(MODEL_PEERS), maxima);
		length = 1 + below(4000);
		for (n = 0; n < length && left && good; n++, left--) {
			if (n % 64 == 0)
				fill = 4 + below(11);
			good = random_step(&world, fill);
		}
		good = good && give_all(&world);
	}
	if (!good)
		diag("maxima %llu and %llu, %d users, %d peers each, step %llu",
		     maxima[OBJECTS], maxima[BYTES], world.model[0].users,
		     world.model[0].peers, n);
	ok(good, "%llu random steps, %s", steps, name);
	diag("%llu charges, %llu refused by peer, %llu by user, %llu returns, %llu moves",
	     n_charged, n_refused[0], n_refused[1], n_given, n_moved);
}

static u64 small(void)
{
	return below(80);
}

static u64 middling(void)
{
	return rnd() >> (30 + below(25));
}

static u64 huge(void)
{
	return U64_MAX - (below(2) ? below(4) : rnd() >> (1 + below(63)));
}

/*
 * A small world's state is what is claimed; all else must follow from it, which
 * agree() sees to. Seven bits each: 3 users of 2 peers have 9 numbers.
 */
#define SLOTS (1u << 20)

static u64 slots[SLOTS], queue[SLOTS / 2];
static unsigned int n_queued;

static u64 pack(const struct world *w)
{
	const struct account *a = &w->real[0];
	u64 key = 0;
	int u, p;

	for (u = 0; u < w->model[0].users; u++) {
		key = key << 7 | a->quota[u].held;
		for (p = 0; p < w->model[0].peers; p++)
			key = key << 7 | a->trace[u][p];
	}
	return key;
}

static void unpack(struct world *w, u64 key)
{
	struct account *a = &w->real[0];
	struct model *m = &w->model[0];
	int u, p;

	a->user.left = a->user.held;
	a->user.n = 0;
	for (u = m->users - 1; u >= 0; u--) {
		a->quota[u].left = 0;
		a->quota[u].n = 0;
		for (p = m->peers - 1; p >= 0; p--, key >>= 7) {
			m->trace[u][p] = a->trace[u][p] = key & 127;
			a->quota[u].left -= a->trace[u][p];
			a->quota[u].n += a->trace[u][p] > 0;
		}
		m->quota[u] = a->quota[u].held = key & 127;
		a->quota[u].left += a->quota[u].held;
		a->user.left -= a->quota[u].held;
		a->user.n += u && a->quota[u].held;
		key >>= 7;
	}
}

/* Remember a state that was not seen before; then back to where we were. */
static bool reached(struct world *w, u64 from)
{
	const u64 key = pack(w);
	unsigned int i = (key * 0x9e3779b97f4a7c15) >> 44;

	while (slots[i] && slots[i] != key + 1)
		i = (i + 1) % SLOTS;
	if (!slots[i]) {
		if (n_queued == SLOTS / 2)
			return wrong("too many states: take a smaller world");
		slots[i] = key + 1;
		queue[n_queued++] = key;
	}
	unpack(w, from);
	return true;
}

static bool from_here(struct world *w, u64 key, int user, int peer, bool owner)
{
	struct account *a = &w->real[0];
	const u64 held = a->trace[user][peer];
	struct bus1_claim c = claim_of(a, user, peer);
	const u64 limit = bus1_quota_limit(&c);
	int verdict, last = 0, to;
	u64 amount;

	if (!limit_is_exact(w, 0, user, peer))
		return false;
	for (amount = 1; amount <= a->user.held + 1; amount++) {
		if (!charge(w, user, peer, &amount, &verdict))
			return false;
		if (!verdict != (held + amount <= limit) ||
		    (last == -EDQUOT && verdict != last))
			return wrong("%d after %d", verdict, last);
		last = verdict;
		if (!verdict && !reached(w, key))
			return false;
	}
	for (amount = 1; amount <= held; amount++) {
		if (!give(w, user, peer, &amount) || !reached(w, key))
			return false;
		for (to = 0; owner && to < w->model[0].peers; to++)
			if (!move(w, user, peer, 0, to, &amount) ||
			    !reached(w, key))
				return false;
	}
	return true;
}

/* From every state that can be reached, everything that can be done. */
static void t_all_states(int users, int peers, u64 maximum, bool owner)
{
	u64 least = maximum, bound = maximum;
	bool good = true;
	unsigned int i;
	int u, p;

	memset(slots, 0, sizeof(slots));
	n_queued = 0;
	begin(&world, 1, users, peers, &maximum);
	good = reached(&world, 0);
	for (i = 0; i < n_queued && good; i++) {
		unpack(&world, queue[i]);
		if (world.real[0].user.left < least)
			least = world.real[0].user.left;
		for (u = !owner; u < users && good; u++)
			for (p = 0; p < peers && good; p++)
				good = from_here(&world, queue[i], u, p, owner);
		good = good && give_all(&world);
	}
	/* No order of charges and returns gets more than one by one do. */
	for (u = 1; u < users; u++)
		bound -= bound / (u64)model_factor(u);
	if (good && !owner && least != bound)
		good = wrong("%llu left, not %llu", least, bound);
	ok(good, "all states: %d users%s, %d peers each, maximum %llu",
	   users - !owner, owner ? " with the owner" : " without the owner",
	   peers, maximum);
	diag("%u states, at least %llu left", n_queued, least);
}

static void t_small_worlds(void)
{
	u64 maximum;

	for (maximum = 8; maximum <= 20; maximum += 4)
		t_all_states(2, 2, maximum, true);
	t_all_states(3, 1, 24, true);
	t_all_states(3, 2, 12, true);
	t_all_states(3, 2, 64, false);
}

int main(int argc, char **argv)
{
	u64 steps = 9000000, seed = time(NULL);

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		steps = strtoull(argv[2], NULL, 0);

	diag("seed %llu", seed);
	random_state = seed;
	t_factor();
	t_examples();
	t_small_worlds();
	t_random("small maxima", steps / 3, small);
	t_random("middling maxima", steps / 3, middling);
	t_random("maxima near 2^64", steps / 3, huge);
	return done_testing();
}
