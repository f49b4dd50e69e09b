// SPDX-License-Identifier: GPL-2.0-only
/* Peers and processes: fork, exec, exit, descriptors passed on. */
#include <sys/socket.h>

#include "b1.h"

static char self[4096];

static void test_fork(void)
{
	int a = b1_open(), b = b1_open(), pipes[2];
	uint64_t h, node = b1_node_to(a, b, &h), made[2] = { 0 };
	pid_t pid;

	if (pipe(pipes))
		bail_out("no pipe");
	pid = fork();
	if (!pid) {
		made[0] = b1_node_to(a, b, &made[1]);
		if (write(pipes[1], made, sizeof(made)) != sizeof(made))
			_exit(1);
		_exit(b1_says(b, h, "from the child"));
	}
	ok(b1_child_ok(pid) && read(pipes[0], made, sizeof(made)) == 16,
	   "a child uses the peers it inherited");
	ok(b1_hears(a, node, "from the child") && b1_empty(a) && b1_empty(b),
	   "its exit closes nothing");
	ok(b1_says(b, made[1], "to its node") == 0 &&
		   b1_hears(a, made[0], "to its node"),
	   "what it made is there");
	b1_says(b, h, "for the child");
	pid = fork();
	if (!pid)
		_exit(b1_hears(a, node, "for the child") ? 0 : 1);
	ok(b1_child_ok(pid) && b1_empty(a), "the child receives for both");

	/* The parent closes; the child's descriptor keeps the peer. */
	pid = fork();
	if (!pid) {
		char c;

		close(b);
		(void)!read(pipes[0], &c, 1);
		_exit(0);
	}
	close(a);
	ok(b1_says(b, h, "x") == 0 && b1_empty(b), "closed here, open there");
	(void)!write(pipes[1], "x", 1);
	ok(b1_child_ok(pid) && b1_node_gone(b, h) && b1_node_gone(b, made[1]) &&
		   b1_empty(b),
	   "exit closes the last");
	close(b);
	close(pipes[0]);
	close(pipes[1]);
}

/* Two processes and a peer each, talking by poll alone. */
static int echo(int peer, uint64_t node, uint64_t to)
{
	struct pollfd p = { .fd = peer, .events = POLLIN };
	struct b1_msg m;
	int i;

	for (i = 0; i < 500; i++) {
		if (poll(&p, 1, 10000) != 1 || b1_recv(peer, &m) ||
		    m.meta.id != node)
			return 1;
		if (b1_send(peer, to, m.data, m.msg.n_data))
			return 2;
	}
	return 0;
}

static void test_talk(void)
{
	int a = b1_open(), b = b1_open(), i;
	uint64_t hb, nb = b1_node_to(b, a, &hb), ha, na = b1_node_to(a, b, &ha);
	struct pollfd p = { .fd = a, .events = POLLIN };
	bool good = true;
	struct b1_msg m;
	pid_t pid = fork();

	if (!pid) {
		close(a);
		_exit(echo(b, nb, ha));
	}
	close(b);
	for (i = 0; i < 500 && good; i++) {
		good &= b1_send(a, hb, &i, sizeof(i)) == 0;
		good &= poll(&p, 1, 10000) == 1;
		good &= b1_hears_msg(a, na, &i, sizeof(i), 0, &m);
	}
	ok(good, "500 round trips of two processes");
	ok(b1_child_ok(pid) && b1_both(a, hb, na) && b1_empty(a),
	   "the other ends: NODE_RELEASE and HANDLE_RELEASE");
	close(a);
}

static void test_exec(void)
{
	int a = b1_open(), keep = b1_open(), gone = b1_open(), pipes[2];
	uint64_t hk, nk = b1_node_to(a, keep, &hk), hg, ng;
	char fd[16], id[32], in[16];
	pid_t pid;

	ng = b1_node_to(a, gone, &hg);
	if (pipe(pipes))
		bail_out("no pipe");
	fcntl(keep, F_SETFD, 0);
	snprintf(fd, sizeof(fd), "%d", keep);
	snprintf(id, sizeof(id), "%llu", (unsigned long long)hk);
	snprintf(in, sizeof(in), "%d", pipes[0]);
	pid = fork();
	if (!pid) {
		close(pipes[1]);
		execl(self, self, fd, id, in, NULL);
		_exit(1);
	}
	close(keep);
	close(gone);
	poll(&(struct pollfd){ .fd = a, .events = POLLIN }, 1, 20000);
	ok(b1_handle_gone(a, ng), "exec closes a peer with O_CLOEXEC");
	poll(&(struct pollfd){ .fd = a, .events = POLLIN }, 1, 20000);
	ok(b1_hears(a, nk, "after exec"), "and leaves one without");
	close(pipes[1]);
	ok(b1_child_ok(pid) && b1_handle_gone(a, nk) && b1_empty(a),
	   "until the process ends");
	close(pipes[0]);
	close(a);
}

/* The program that test_exec() executes. */
static int after_exec(char **argv)
{
	char c;

	if (b1_says(atoi(argv[1]), strtoull(argv[2], NULL, 10), "after exec"))
		return 1;
	/* Ends when the parent closes its side. */
	return read(atoi(argv[3]), &c, 1) != 0;
}

static void pass_fd(int sock, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = { 0 };
	struct iovec vec = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = u.buf,
		.msg_controllen = sizeof(u.buf),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(sock, &msg, 0) != 1)
		bail_out("sendmsg: %s", strerror(errno));
}

static int take_fd(int sock)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u;
	char c;
	struct iovec vec = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = u.buf,
		.msg_controllen = sizeof(u.buf),
	};
	int fd;

	if (recvmsg(sock, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static void test_pass(void)
{
	int a = b1_open(), b = b1_open(), pair[2], c, d;
	uint64_t h, node = b1_node_to(a, b, &h), own, on;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		bail_out("no socket pair");
	pid = fork();
	if (!pid) {
		close(a);
		close(b);
		close(pair[0]);
		c = b1_open();
		pass_fd(pair[1], c);
		d = take_fd(pair[1]);
		if (d < 0)
			_exit(1);
		/* The descriptor brought the peer with what it owns. */
		_exit(b1_says(d, h, "through a passed peer"));
	}
	close(pair[1]);
	c = take_fd(pair[0]);
	on = b1_node_to(a, c, &own);
	ok(c >= 0 && b1_says(c, own, "in") == 0 && b1_hears(a, on, "in"),
	   "a handle transferred into another process's peer");
	pass_fd(pair[0], b);
	close(b);
	ok(b1_child_ok(pid), "the child has the other peer now");
	ok(b1_hears(a, node, "through a passed peer") &&
		   b1_handle_gone(a, node) && b1_empty(a),
	   "and it closes with the child");
	ok(b1_says(c, own, "still") == 0 && b1_hears(a, on, "still"),
	   "the child's own peer lives on here");
	close(pair[0]);

	/* Alive inside a socket, closed with it. */
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		bail_out("no socket pair");
	pass_fd(pair[0], c);
	close(c);
	ok(b1_empty(a), "a descriptor in flight keeps the peer");
	c = take_fd(pair[1]);
	ok(b1_says(c, own, "back") == 0 && b1_hears(a, on, "back"),
	   "taken out it works");
	pass_fd(pair[0], c);
	close(c);
	close(pair[0]);
	close(pair[1]);
	poll(&(struct pollfd){ .fd = a, .events = POLLIN }, 1, 10000);
	ok(b1_handle_gone(a, on) && b1_empty(a),
	   "never taken out it closes with the socket");
	close(a);
}

/* A process that ends without closing anything, in mid-air. */
static void test_exit(void)
{
	int a = b1_open(), pair[2], i;
	bool good = true;
	struct b1_msg m;

	for (i = 0; i < 20; i++) {
		uint64_t h, n2, h2;
		int b;
		pid_t pid;

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			bail_out("no socket pair");
		pid = fork();
		if (!pid) {
			close(a);
			pass_fd(pair[1], b1_open());
			(void)!read(pair[1], &h, sizeof(h));
			(void)!write(pair[1], "x", 1);
			if (i % 2)
				_exit(0);
			abort();
		}
		close(pair[1]);
		b = take_fd(pair[0]);
		n2 = b1_node_to(a, b, &h2);
		b1_node_to(b, a, &h);
		b1_gives(a, h, "never received", b1_copy(b, h2, a));
		b1_says(b, h2, "last");
		close(b);
		(void)!write(pair[0], &h, sizeof(h));
		waitpid(pid, NULL, 0);
		good &= b1_hears(a, n2, "last");
		good &= b1_node_gone(a, h);
		/* a's own copy is the last handle now. */
		good &= b1_empty(a) && b1_drop(a, n2) == 0;
		good &= !b1_recv(a, &m) && m.msg.type == 1;
		good &= b1_empty(a);
		close(pair[0]);
	}
	ok(good, "processes that end, or abort, without closing");
	ok(b1_count(a, "bus1-nodes") == 0 && b1_count(a, "bus1-handles") == 0,
	   "leave nothing");
	close(a);
}

int main(int argc, char **argv)
{
	ssize_t n;

	if (argc == 4)
		return after_exec(argv);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		bail_out("no /proc/self/exe");
	test_fork();
	test_talk();
	test_exec();
	test_pass();
	test_exit();
	return done_testing();
}
