// SPDX-License-Identifier: GPL-2.0-only
/* metadata.account: whose user opened the sending peer, seen by the receiver's.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "quota.h"

static uint64_t account(int from, int to)
{
	uint64_t h, node = b1_node_to(to, from, &h), uid;
	struct b1_msg m;

	b1_says(from, h, "who");
	uid = b1_hears_msg(to, node, "who", 3, 0, &m) ? m.meta.account : 12345;
	b1_drop(to, node);
	b1_node_gone(from, h);
	return uid;
}

static void test_users(void)
{
	int root = b1_open(), user = open_as(1000), other = open_as(70000);
	uint64_t h, node;
	pid_t pid;

	ok(account(root, root) == 0, "own user");
	ok(account(user, root) == 1000 && account(other, root) == 70000,
	   "D30: another user who opened the sending peer");
	ok(account(root, user) == 0 && account(user, other) == 1000,
	   "whoever receives");
	syscall(SYS_setresuid, -1, 2000, -1);
	ok(account(user, root) == 1000 && account(root, user) == 0,
	   "the opener counts, not the caller");
	syscall(SYS_setresuid, -1, 0, -1);
	pid = fork();
	if (!pid) {
		if (setresuid(3000, 3000, 3000))
			_exit(1);
		_exit(account(user, root) == 1000 ? 0 : 2);
	}
	ok(b1_child_ok(pid), "nor another process that inherited it");
	node = b1_node_to(root, user, &h);
	b1_drop(user, h);
	ok(b1_handle_gone(root, node), "BUS1_INVALID in a HANDLE_RELEASE");
	node = b1_node_to(user, root, &h);
	b1_drop(user, node);
	ok(b1_node_gone(root, h), "BUS1_INVALID in a NODE_RELEASE");
	close(root);
	close(user);
	close(other);
}

static bool write_map(const char *text)
{
	int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) > 0;

	close(fd);
	return done;
}

/* In a user name space that maps user 0 to 7 and nothing else. */
static int in_namespace(int root, int user)
{
	int early, mapped;

	if (unshare(CLONE_NEWUSER))
		return 77;
	early = b1_open();
	if (account(root, early) != 65534)
		return 1;
	if (!write_map("7 0 1\n"))
		return 77;
	mapped = b1_open();
	if (account(root, mapped) != 7)
		return 2;
	if (account(user, mapped) != 65534)
		return 3;
	if (account(mapped, root) != 0)
		return 4;
	if (account(mapped, user) != 0)
		return 5;
	if (account(mapped, mapped) != 7)
		return 6;
	return 0;
}

static void test_namespace(void)
{
	int root = b1_open(), user = open_as(1000), status;
	pid_t pid = fork();

	if (!pid)
		_exit(in_namespace(root, user));
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(1, "no user name spaces here");
	else
		ok(status == 0,
		   "seen from the name space of the receiving peer's opener "
		   "(%#x)",
		   status);
	close(root);
	close(user);
}

int main(void)
{
	if (geteuid()) {
		skip(1, "needs root to open peers as other users");
		return done_testing();
	}
	test_users();
	test_namespace();
	return done_testing();
}
