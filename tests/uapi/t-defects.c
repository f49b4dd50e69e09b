// SPDX-License-Identifier: GPL-2.0-only
/*
 * What other implementations of this interface got wrong and no other program
 * here covers: see the names of the tests, "D05: ..." is defect 5.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "quota.h"

/* --- a node with many handles dies while its notifications are received ----
 */

#define PEERS 4
#define HANDLES 400

static int a;
static uint64_t node;

static void *drop_node(void *arg)
{
	(void)arg;
	b1_drop(a, node);
	return NULL;
}

static void test_receive_while_released(void)
{
	int p[PEERS], i, k, round, got, bad = 0;
	struct bus1_transfer src[HANDLES], dst[HANDLES];
	pthread_t thread;
	struct b1_msg m;
	uint64_t h;

	for (i = 0; i < PEERS; i++)
		p[i] = b1_open();
	for (round = 0; round < 20; round++) {
		a = b1_open();
		node = b1_node(a, &h);
		for (k = 0; k < HANDLES; k++)
			src[k] = (struct bus1_transfer){ 0, h };
		for (i = 0; i < PEERS; i++)
			if (b1_transfer(a, p[i], HANDLES, src, dst))
				bail_out("cannot copy handles");
		pthread_create(&thread, NULL, drop_node, NULL);
		/* Some are received, some released, while it goes on. */
		for (got = 0; got < PEERS * HANDLES;) {
			for (i = 0; i < PEERS; i++) {
				if (b1_recv(p[i], &m))
					continue;
				got++;
				bad += m.msg.type != 1 ||
				       b1_drop(p[i], m.meta.id) != EBADRQC;
			}
		}
		pthread_join(thread, NULL);
		for (i = 0; i < PEERS; i++)
			bad += !b1_empty(p[i]) ||
			       b1_count(p[i], "bus1-handles");
		bad += !b1_node_gone(a, h);
		close(a);
	}
	ok(!bad,
	   "D10, D16: notifications received while their node is still being "
	   "released (%d)",
	   bad);
	for (i = 0; i < PEERS; i++)
		close(p[i]);
}

/* --- poll says no more than RECV ---------------------------------------------
 */

static void test_poll_loop(void)
{
	int b = b1_open(), i, spins = 0, left = 100;
	uint64_t h, h2, n2;
	struct b1_msg m;

	a = b1_open();
	node = b1_node_to(a, b, &h);
	for (i = 0; i < 50; i++) {
		n2 = b1_node_to(a, b, &h2);
		b1_says(b, h, "stays");
		b1_says(b, h2, "goes");
		b1_drop(b, h2);
		b1_readable(a);
		b1_drop(a, n2);
		b1_says(b, h, "stays");
	}
	while (b1_readable(a) && spins < 1000) {
		spins++;
		left -= !b1_recv(a, &m);
	}
	ok(spins == 100 && !left,
	   "D06, D25: readable for what is there, and for nothing else (%d)",
	   spins);
	close(a);
	close(b);
}

/* --- no memory --------------------------------------------------------------
 */

#define GROUP "/tmp/cgroup/bus1-test"
#define LIMIT (24 << 20)

/* What the child in the group says, without needing memory to say it. */
struct report {
	atomic_int step;
	int e_send, e_small, e_transfer, e_create, e_release, e_recv;
	unsigned int sent, small, nodes;
	bool untouched;
};

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return done;
}

static long read_number(const char *path)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 1)
		text[0] = 0;
	close(fd);
	return atol(text);
}

static bool make_group(void)
{
	char limit[32];

	mkdir("/tmp/cgroup", 0755);
	if (mount("none", "/tmp/cgroup", "cgroup2", 0, NULL))
		return false;
	snprintf(limit, sizeof(limit), "%d", LIMIT);
	return write_file("/tmp/cgroup/cgroup.subtree_control", "+memory") &&
	       !mkdir(GROUP, 0755) && write_file(GROUP "/memory.max", limit);
}

/* Pin memory by every command until there is none. */
static void fill(int b, uint64_t h, uint64_t spare, struct report *r)
{
	static char payload[256 << 10];
	static uint64_t ids[32];
	struct bus1_transfer src, dst;
	struct b1_msg m;

	memset(payload, 'x', sizeof(payload));
	while (!(r->e_send = b1_send(b, h, payload, sizeof(payload))))
		r->sent++;
	/* There is more memory than the limit allows: it is not charged. */
	if (r->e_send != ENOMEM)
		return;
	while (r->nodes < 500000) {
		src = (struct bus1_transfer){ BUS1_TRANSFER_FLAG_CREATE,
					      BUS1_INVALID };
		r->e_transfer = b1_transfer(a, b, 1, &src, &dst);
		if (r->e_transfer)
			break;
		ids[r->nodes++ % 32] = dst.id;
	}
	while (r->small < 500000 && !(r->e_small = b1_send(b, h, "x", 1)))
		r->small++;
	r->untouched = src.id == BUS1_INVALID &&
		       src.flags == BUS1_TRANSFER_FLAG_CREATE;
	r->e_create =
		b1_multicast(b, 1, &h, NULL, payload, sizeof(payload), &src, 1);
	r->untouched &= src.id == BUS1_INVALID &&
			src.flags == BUS1_TRANSFER_FLAG_CREATE;
	r->e_release = r->nodes < 32 ? 0 : b1_release(b, 32, ids);
	r->e_recv = b1_recv_room(a, &m, 0, 0);
	r->e_recv = r->e_recv == EMSGSIZE && m.msg.n_data == sizeof(payload)
			    ? b1_drop(b, spare)
			    : r->e_recv;
}

static void test_memory(void)
{
	int b = b1_open(), c = b1_open(), i, status;
	uint64_t h, spare, n2, far, n3;
	struct report *r;
	char pid_text[16];
	long after;
	pid_t pid;

	if (!make_group()) {
		skip(8, "no memory control group: %s", strerror(errno));
		goto out;
	}
	a = b1_open();
	node = b1_node_to(a, b, &h);
	n2 = b1_node_to(a, b, &spare);
	n3 = b1_node_to(c, b, &far);
	r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = fork();
	if (!pid) {
		mlockall(MCL_CURRENT | MCL_FUTURE);
		atomic_store(&r->step, 1);
		while (atomic_load(&r->step) == 1)
			b1_msleep(1);
		fill(b, h, spare, r);
		atomic_store(&r->step, 3);
		for (;;)
			pause();
	}
	for (i = 0; i < 10000 && atomic_load(&r->step) != 1; i++)
		b1_msleep(1);
	snprintf(pid_text, sizeof(pid_text), "%d", pid);
	if (!write_file(GROUP "/cgroup.procs", pid_text))
		bail_out("cannot move a child into the group");
	atomic_store(&r->step, 2);
	for (i = 0; i < 60000 && atomic_load(&r->step) != 3; i++) {
		b1_msleep(1);
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	if (!ok(atomic_load(&r->step) == 3,
		"D23: at its memory limit a process gets errors, not killed"))
		goto out;
	ok(r->e_send == ENOMEM && r->e_small == ENOMEM && r->sent &&
		   r->sent < LIMIT / (256 << 10),
	   "D23: SEND of 256 KiB: %s after %u", strerror(r->e_send), r->sent);
	ok(r->e_transfer == ENOMEM && r->nodes >= 32 && r->e_create == ENOMEM &&
		   r->untouched,
	   "D24: TRANSFER: %s after %u nodes; SEND with CREATE: %s",
	   strerror(r->e_transfer), r->nodes, strerror(r->e_create));
	ok(b1_count(a, "bus1-queued") >= r->sent + r->small &&
		   b1_count(a, "bus1-queued-bytes") ==
			   r->sent * (256ull << 10) + r->small,
	   "what was sent is queued, and no more (%u small: %s)", r->small,
	   strerror(r->e_small));
	ok(r->e_release == 0 && r->e_recv == 0,
	   "D17: RELEASE needs no memory, nor RECV to say EMSGSIZE");
	ok(b1_count(a, "bus1-nodes") == r->nodes + 2,
	   "the nodes are those that were made");
	close(b);
	close(a);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(b1_handle_gone(c, n3) && b1_empty(c),
	   "D17: killed there, its peers close: their last handle is heard of");
	b = b1_open();
	/* The group's memory returns after a grace period. */
	for (i = 0; i < 300; i++) {
		after = read_number(GROUP "/memory.current");
		if (after < 2 << 20)
			break;
		b1_msleep(20);
	}
	ok(after < 2 << 20, "D24: what was pinned is returned (%ld bytes left)",
	   after);
	(void)n2;
	rmdir(GROUP);
	umount("/tmp/cgroup");
out:
	close(b);
	close(c);
}

#define TRACING "/sys/kernel/tracing/"

/* Entries of one transaction for one peer are one group, with one wake. */
static void test_groups(void)
{
	int a = b1_open(), b = b1_open(), c = b1_open();
	uint64_t to[3], handle;
	char line[512];
	bool seen = false;
	FILE *f;

	b1_node_to(a, c, &to[0]);
	b1_node_to(b, c, &to[1]);
	b1_node_to(a, c, &handle);
	to[2] = handle;
	if (!write_file(TRACING "events/bus1/tx_begin/enable", "1"))
		bail_out("no tracefs");
	b1_multicast(c, 3, to, NULL, "x", 1, NULL, 0);
	write_file(TRACING "events/bus1/tx_begin/enable", "0");
	f = fopen(TRACING "trace", "r");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "receivers=2 messages=3 notifications=0"))
			seen = true;
	if (f)
		fclose(f);
	ok(seen, "D28: two peers named three times are two receivers");
	close(a);
	close(b);
	close(c);
}

/* --- a quota ----------------------------------------------------------------
 */

#define MAXIMUM 64

/* What is sent, but never received, by a peer to itself and by a stranger. */
static void test_quota(void)
{
	unsigned int n;
	uint64_t h;
	int b, r;

	if (!quota_begin())
		return;
	quota_set_maxima(MAXIMUM, 1 << 20);
	a = open_as(8001);
	quota_restore();
	b = open_as(8002);
	node = b1_node(a, &h);
	for (n = 0; n < 2 * MAXIMUM && !(r = b1_says(a, h, "never read")); n++)
		;
	ok(n && n < MAXIMUM && r == EDQUOT,
	   "D23, D30: a peer pins so much of its own user, then EDQUOT (%u: %s)",
	   n, strerror(r));
	b1_drop(a, node);
	b1_node_to(a, b, &h);
	for (n = 0; n < 2 * MAXIMUM && !(r = b1_says(b, h, "never read")); n++)
		;
	ok(n && n < MAXIMUM / 2 && r == EDQUOT,
	   "D23, D30: and less of another user (%u: %s)", n, strerror(r));
	close(a);
	close(b);
}

int main(void)
{
	test_groups();
	test_quota();
	test_receive_while_released();
	test_poll_loop();
	test_memory();
	return done_testing();
}
