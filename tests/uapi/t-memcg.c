// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process at the limit of its memory control group: its calls fail with
 * ENOMEM and have no effect, nobody is killed, and all goes on once there is
 * memory again. A child does the calls; its parent, outside of the group,
 * looks.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>

#include "quota.h"

#define ROOT "/sys/fs/cgroup/"
#define GROUP ROOT "bus1-memcg/"
#define LIMIT "25165824"
#define SIZE (256 << 10)
#define TRIES 5
#define CREATE { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID }

static int r, s;
static uint64_t to, mine;
static struct bus1_transfer *many;
static struct bus1_message got;

static struct {
	atomic_int go;
	int (*what)(void);
	int result;
	unsigned int count;
} *shared;

/* --- in the group -----------------------------------------------------------
 */

static int send_once(void)
{
	return quota_send(s, 0, 1, &to, NULL, SIZE, NULL, 0);
}

static int send_empty(void)
{
	return quota_send(s, 0, 1, &to, NULL, 0, NULL, 0);
}

static int send_continue(void)
{
	return quota_send(s, BUS1_SEND_FLAG_CONTINUE, 1, &to, NULL, SIZE, NULL,
			  0);
}

static int send_many(void)
{
	return quota_send(s, 0, 1, &to, NULL, 0, many, BUS1_MAX_TRANSFERS);
}

static int send_created(void)
{
	struct bus1_transfer t = CREATE;
	int e = quota_send(s, 0, 1, &to, NULL, SIZE, &t, 1);

	return e && (!t.flags || t.id != BUS1_INVALID) ? B1_DIRTY : e;
}

static int transfer_many(void)
{
	return b1_transfer(s, BUS1_INVALID, BUS1_MAX_TRANSFERS, many,
			   many + BUS1_MAX_TRANSFERS);
}

static int transfer_once(void)
{
	struct bus1_transfer src = CREATE, dst;

	return b1_transfer(s, BUS1_INVALID, 1, &src, &dst);
}

static int spare;

static int open_spare(void)
{
	cpu_set_t cpus;

	/* What is freed on a processor is there for the next use on it. */
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

/*
 * The kernel's own part of open(2) does not fail at the limit, but has somebody
 * killed. So it gets what another file leaves; a peer is larger than that.
 */
static int open_peer(void)
{
	if (spare >= 0)
		close(spare);
	b1_msleep(100);
	spare = open("/dev/bus1", O_RDWR | O_CLOEXEC);
	return spare < 0 ? errno : 0;
}

/* Whatever comes next, with room for all of it. */
static int receive(void)
{
	static char data[SIZE];
	struct iovec vec = { data, SIZE };
	struct bus1_metadata meta;
	struct bus1_message msg = {
		.type = BUS1_INVALID,
		.n_transfers = BUS1_MAX_TRANSFERS,
		.ptr_transfers = BUS1_FROM_PTR(many + BUS1_MAX_TRANSFERS),
		.n_data = SIZE,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&meta),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};
	int e = b1_ioctl(r, BUS1_CMD_RECV, &cmd);

	got = msg;
	return e;
}

static int nothing(void)
{
	return 0;
}

static void child(void)
{
	/* What it needs itself it has before it meets the limit. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		_exit(1);
	for (;;) {
		while (!atomic_load(&shared->go))
			b1_msleep(1);
		shared->count = 0;
		do
			shared->result = shared->what();
		while (!shared->result && ++shared->count &&
		       atomic_load(&shared->go) > 1);
		atomic_store(&shared->go, 0);
	}
}

/* --- outside ----------------------------------------------------------------
 */

static pid_t pid;

/* Have it done in the group, once or until it fails; 0 or an errno. */
static int there(int (*what)(void), bool again)
{
	int i, status;

	shared->what = what;
	atomic_store(&shared->go, 1 + again);
	for (i = 0; i < 60000 && atomic_load(&shared->go); i++) {
		b1_msleep(1);
		if (waitpid(pid, &status, WNOHANG) == pid)
			bail_out("the process in the group ended with %#x",
				 status);
	}
	return atomic_load(&shared->go) ? ETIMEDOUT : shared->result;
}

/* The same, when its memory may return only a little later. */
static int there_soon(int (*what)(void))
{
	int i, e = ENOMEM;

	for (i = 0; e == ENOMEM && i < 300; i++) {
		e = there(what, false);
		if (e)
			b1_msleep(20);
	}
	return e;
}

static uint64_t events(const char *key)
{
	char *text = quota_file(GROUP "memory.events"), *p;
	uint64_t n = QUOTA_ANY;

	p = strstr(text, key);
	if (p)
		n = strtoull(p + strlen(key), NULL, 10);
	free(text);
	return n;
}

static bool make_group(void)
{
	char text[16];

	if (!quota_write(ROOT "cgroup.subtree_control", "+memory") ||
	    mkdir(GROUP, 0755) || !quota_write(GROUP "memory.max", LIMIT))
		return false;
	snprintf(text, sizeof(text), "%d", pid);
	return quota_write(GROUP "cgroup.procs", text);
}

/* At the limit: fails, and nothing has changed. */
static void fails(int (*what)(void), const char *name)
{
	uint64_t queued = b1_count(r, "bus1-queued");
	int i, e;

	quota_note();
	b1_watch(r, s);
	for (i = 0; i < TRIES; i++) {
		e = there(what, false);
		if (e != ENOMEM || !quota_as_noted() || !b1_unchanged() ||
		    b1_count(r, "bus1-queued") != queued)
			break;
	}
	ok(i == TRIES, "%s at the limit: %s", name, strerror(e));
}

static void test_full(void)
{
	unsigned int sent, empty, i;
	uint64_t objects, nodes;
	bool good = true;
	int e;

	there(open_spare, false);
	e = there(send_once, true);
	sent = shared->count;
	ok(e == ENOMEM && sent && quota_claims(s, 1000, sent, sent * SIZE) &&
		   b1_count(r, "bus1-queued") == sent && quota_adds_up(),
	   "SEND until there is no memory: %s after %u", strerror(e), sent);
	objects = quota_claim(s, 1001, "objects");
	e = there(transfer_once, true);
	nodes = shared->count;
	ok(e == ENOMEM && nodes &&
		   quota_claims(s, 1001, objects + 2 * nodes, 0) &&
		   b1_count(s, "bus1-nodes") == nodes + 1 && quota_adds_up(),
	   "TRANSFER: %s after %u", strerror(e), (unsigned int)nodes);
	e = there(send_empty, true);
	empty = shared->count;
	ok(e == ENOMEM &&
		   quota_claims(s, 1000, sent + empty, (uint64_t)sent * SIZE),
	   "SEND of nothing: %s after %u", strerror(e), empty);
	fails(send_once, "SEND");
	fails(send_continue, "SEND with CONTINUE");
	fails(send_created, "SEND with a new node");
	fails(send_many, "SEND with 65536 handles");
	fails(transfer_many, "TRANSFER of 65536 handles");
	there(send_empty, true);
	empty += shared->count;
	fails(open_peer, "open");

	for (i = 0; i < sent; i++)
		good &= !receive() && got.n_data == SIZE;
	for (i = 0; i < empty; i++)
		good &= !receive() && got.n_data == 0;
	ok(good && b1_empty(r) && quota_claims(s, 1000, 0, 0),
	   "all that was sent is received, and no more");
	ok(there_soon(send_once) == 0 && !receive() && got.n_data == SIZE,
	   "there is memory again: SEND");
}

/* The receiver is at the limit, where the handles need memory. */
static void test_receiver(void)
{
	uint64_t held = quota_claim(r, 1000, "objects");
	unsigned int i, sent;
	bool good = true;

	ok(there_soon(send_many) == 0 &&
		   quota_claims(s, 1000, 1 + BUS1_MAX_TRANSFERS, 0),
	   "SEND with 65536 handles");
	there(send_once, true);
	sent = shared->count;
	fails(receive, "RECV of 65536 handles");
	ok(!receive() && got.n_transfers == BUS1_MAX_TRANSFERS &&
		   quota_claims(r, 1000, held + BUS1_MAX_TRANSFERS, 0) &&
		   quota_claims(s, 1000, sent, (uint64_t)sent * SIZE),
	   "who has memory receives them");
	for (i = 0; i < sent; i++)
		good &= !receive() && got.n_data == SIZE;
	ok(good && b1_empty(r) && quota_claims(s, 1000, 0, 0) &&
		   quota_adds_up(),
	   "and what came after");
}

int main(void)
{
	int i;

	if (!quota_begin())
		return done_testing();
	many = calloc(2 * BUS1_MAX_TRANSFERS, sizeof(*many));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	r = open_as(1000);
	s = open_as(1001);
	b1_node_to(r, s, &to);
	b1_node(s, &mine);
	for (i = 0; i < BUS1_MAX_TRANSFERS; i++)
		many[i].id = mine;
	pid = fork();
	if (!pid)
		child();
	/* It has locked its memory then. */
	there(nothing, false);
	if (make_group()) {
		test_full();
		test_receiver();
		ok(events("\nmax ") && !events("oom_kill "),
		   "the limit was hit, and nobody killed");
	} else {
		skip(1, "no memory control group: %s", strerror(errno));
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(r);
	close(s);
	ok(quota_nothing(), "nothing is left");
	rmdir(GROUP);
	return done_testing();
}
