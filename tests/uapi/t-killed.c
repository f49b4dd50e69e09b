// SPDX-License-Identifier: GPL-2.0-only
/*
 * kill -9 in the middle of the largest calls, at any point of them: a call that
 * was killed has had its whole effect, or none.
 */
#define _GNU_SOURCE
#include <stdatomic.h>

#include "quota.h"

#define FAR UINT64_MAX

static unsigned int n_handles = 16384, n_dests = 4096, n_rounds = 16;
static size_t n_bytes = 16 << 20;

static struct bus1_transfer src[BUS1_MAX_TRANSFERS], dst[BUS1_MAX_TRANSFERS];
static uint64_t ids[BUS1_MAX_TRANSFERS];
static unsigned char *data;
static int a, b;
static uint64_t to_a;
static unsigned int n_nothing;

/* How the child is getting on, and how long its call takes. */
static struct progress {
	atomic_bool begun, ended;
	int r;
	uint64_t took;
} *progress;

static void want_nodes(void)
{
	unsigned int i;

	for (i = 0; i < n_handles; i++)
		src[i] = (struct bus1_transfer){ BUS1_TRANSFER_FLAG_CREATE,
						 BUS1_INVALID };
}

static int send_to_a(uint64_t n, size_t n_data, uint64_t n_transfers)
{
	struct bus1_message msg = b1_flat(data, n_data);

	msg.n_transfers = n_transfers;
	msg.ptr_transfers = BUS1_FROM_PTR(src);
	return b1_send_msg(b, n, ids, NULL, &msg);
}

static int recv_of_a(void)
{
	struct bus1_metadata meta;
	struct bus1_message msg = b1_flat(data, n_bytes);
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	msg.type = BUS1_INVALID;
	msg.n_transfers = BUS1_MAX_TRANSFERS;
	msg.ptr_transfers = BUS1_FROM_PTR(dst);
	return b1_ioctl(a, BUS1_CMD_RECV, &cmd);
}

static void nothing(void)
{
	ids[0] = to_a;
}

static int send_data(void)
{
	return send_to_a(1, n_bytes, 0);
}

static void sent_data(void)
{
	nothing();
	if (send_data())
		bail_out("cannot send %zu bytes", n_bytes);
}

static void will_create(void)
{
	nothing();
	want_nodes();
}

static int send_nodes(void)
{
	return send_to_a(1, 0, n_handles);
}

static void sent_nodes(void)
{
	will_create();
	if (send_nodes())
		bail_out("cannot send %u handles", n_handles);
}

static int transfer(void)
{
	return b1_transfer(b, a, n_handles, src, dst);
}

static void transferred(void)
{
	unsigned int i;

	want_nodes();
	if (transfer())
		bail_out("cannot make %u nodes", n_handles);
	for (i = 0; i < n_handles; i++)
		ids[i] = dst[i].id;
}

static int release(void)
{
	return b1_release(a, n_handles, ids);
}

static void will_multicast(void)
{
	unsigned int i;

	for (i = 0; i < n_dests; i++)
		ids[i] = to_a;
}

static int multicast(void)
{
	return send_to_a(n_dests, 64, 0);
}

/* So many that what each receiver gets needs pages in a row. */
static int multicast_nodes(void)
{
	return send_to_a(16, 0, 1000);
}

static void will_multicast_nodes(void)
{
	will_multicast();
	want_nodes();
}

static const struct call {
	const char *name;
	void (*prepare)(void);
	int (*call)(void);
} calls[] = {
	{ "SEND of data", nothing, send_data },
	{ "RECV of data", sent_data, recv_of_a },
	{ "SEND of nodes", will_create, send_nodes },
	{ "RECV of handles", sent_nodes, recv_of_a },
	{ "TRANSFER", want_nodes, transfer },
	{ "RELEASE", transferred, release },
	{ "multicast", will_multicast, multicast },
	{ "multicast of nodes", will_multicast_nodes, multicast_nodes },
};

/* What there is of the two peers. */
struct both {
	struct b1_state a, b;
};

static void look(struct both *both)
{
	b1_state_get(a, &both->a);
	b1_state_get(b, &both->b);
}

/* Call in a child, which is killed after @delay ns; what there is then. */
static void one(const struct call *c, uint64_t delay, struct both *before,
		struct both *after)
{
	uint64_t begin;
	int status;
	pid_t pid;

	a = b1_open();
	b = b1_open();
	b1_node_to(a, b, &to_a);
	c->prepare();
	look(before);
	*progress = (struct progress){ .r = -1 };
	fflush(stdout);
	pid = fork();
	if (!pid) {
		begin = b1_now();
		atomic_store(&progress->begun, true);
		progress->r = c->call();
		progress->took = b1_now() - begin;
		atomic_store(&progress->ended, true);
		_exit(0);
	}
	while (!atomic_load(&progress->begun))
		sched_yield();
	for (begin = b1_now(); b1_now() - begin < delay;)
		if (delay == FAR && atomic_load(&progress->ended))
			break;
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		bail_out("no child");
	look(after);
	close(a);
	close(b);
}

static bool same_peer(const struct b1_state *x, const struct b1_state *y)
{
	return x->nodes == y->nodes && x->handles == y->handles &&
	       x->queued == y->queued && x->bytes == y->bytes && x->in == y->in;
}

static bool same(const struct both *x, const struct both *y)
{
	return same_peer(&x->a, &y->a) && same_peer(&x->b, &y->b);
}

static void test_call(const struct call *c)
{
	unsigned int i, all = 0, none = 0, odd = 0;
	struct both before, whole, after;
	uint64_t took, delay;

	one(c, FAR, &before, &whole);
	took = progress->took;
	if (progress->r)
		bail_out("%s: %s", c->name, strerror(progress->r));
	for (i = 0; i < n_rounds; i++) {
		delay = i == n_rounds - 1 ? FAR :
					    took * i / (n_rounds * 3 / 4);
		one(c, delay, &before, &after);
		if (same(&after, &whole)) {
			all++;
		} else if (same(&after, &before) &&
			   !atomic_load(&progress->ended)) {
			none++;
		} else if (!odd++) {
			diag("after %llu of %llu us: nodes %d, %d handles %d, %d queued %d bytes %d",
			     (unsigned long long)delay / 1000,
			     (unsigned long long)took / 1000,
			     (int)(after.a.nodes - before.a.nodes),
			     (int)(after.b.nodes - before.b.nodes),
			     (int)(after.a.handles - before.a.handles),
			     (int)(after.b.handles - before.b.handles),
			     (int)(after.a.queued - before.a.queued),
			     (int)(after.a.bytes - before.a.bytes));
		}
	}
	n_nothing += none;
	ok(!odd && all, "%s, killed at %u points: all of it %u times, nothing %u, %u oddly",
	   c->name, n_rounds, all, none, odd);
}

int main(void)
{
	unsigned int i;

	/* Where everything is checked less takes as long. */
	if (!access("/sys/kernel/debug/kmemleak", F_OK) ||
	    !access("/sys/kernel/debug/kcsan", F_OK)) {
		n_handles /= 16;
		n_dests /= 16;
		n_bytes /= 16;
		n_rounds /= 2;
	}
	data = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED || progress == MAP_FAILED)
		bail_out("cannot map memory: %s", strerror(errno));
	for (i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		test_call(&calls[i]);
	ok(n_nothing, "killed before they had an effect: %u", n_nothing);
	ok(quota_nothing(), "nothing is claimed in the end");
	return done_testing();
}
