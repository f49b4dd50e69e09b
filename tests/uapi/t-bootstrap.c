// SPDX-License-Identifier: GPL-2.0-only
/* libbus1: the bootstrap's server among hostile clients. */
#define _GNU_SOURCE
#include <grp.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "bootstrap.h"

#define NAME "@bus1-bootstrap-test"
#define OTHER_UID 4242

/*
 * The library is linked statically, so this is the close() it calls. A pipe
 * with the marked inode stands for a file whose owner never lets close end.
 */
static _Atomic(ino_t) sticky;
static atomic_int stuck;
static atomic_int elsewhere; /* closed by another thread */

int close(int fd)
{
	struct stat st;
	ino_t ino = sticky;

	elsewhere += gettid() != getpid();
	if (ino && !fstat(fd, &st) && st.st_ino == ino) {
		stuck++;
		while (sticky == ino)
			usleep(1000);
		stuck--;
	}
	return syscall(SYS_close, fd);
}

static int peer;
static uint64_t shared_node, shared_handle;
static struct libbus1_server *server;

/* What the callbacks are to answer, and what they saw. */
static int offer_status;
static bool offer_shared;
static bool offer_leaky;
static bool offer_limits;
static struct libbus1_cred seen;
static uint64_t given_id;
static int n_offered, n_given;

static int offer(void *userdata, const struct libbus1_cred *cred,
		 uint64_t *handle)
{
	bool cloexec;

	if (userdata != &server)
		bail_out("foreign userdata");
	n_offered++;
	seen = *cred;
	count_fds(&cloexec);
	offer_leaky |= !cloexec;
	if (offer_shared)
		*handle = shared_handle;
	if (offer_limits)
		libbus1_server_set_limits(server, 5000, 1);
	return offer_status;
}

static void given(void *userdata, const struct libbus1_cred *cred, uint64_t id)
{
	(void)userdata;
	(void)cred;
	n_given++;
	given_id = id;
}

/* The answer: its status; 1 for none yet, 2 for an end without one. */
static int answer(int fd, uint64_t *handle)
{
	struct reply r;
	ssize_t n = recv(fd, &r, sizeof(r), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && errno == EAGAIN)
		return 1;
	if (n <= 0)
		return 2;
	if (n != sizeof(r) || r.magic != MAGIC || r.version != 1 ||
	    r.status > 0 || !r.status == (r.handle == BUS1_INVALID)) {
		diag("malformed answer");
		return 3;
	}
	if (handle)
		*handle = r.handle;
	return r.status;
}

/* Run the server until it has nothing to do, or for longer than it may take. */
static int dispatch(void)
{
	struct pollfd p = { .fd = libbus1_server_fd(server), .events = POLLIN };
	uint64_t start;
	int r, n = 0, rounds = 0;

	while (poll(&p, 1, 0) > 0) {
		start = b1_now();
		r = libbus1_server_dispatch(server);
		/* Far more than a loaded machine needs for what it does. */
		if (b1_now() - start > 10000000000ull)
			ok(false, "a dispatch takes more than ten seconds");
		if (r < 0 || ++rounds > 1000)
			return -1;
		n += r;
	}
	return n;
}

/* One exchange by hand: what the client is told. */
static int exchange(const void *data, size_t size, const int *rights, size_t n)
{
	int fd = dial(NAME), r;

	say(fd, data, size, rights, n);
	dispatch();
	r = answer(fd, NULL);
	syscall(SYS_close, fd);
	return r;
}

/* After whatever happened: is the server as it should be? */
static bool serves(void)
{
	uint64_t handle;
	int lent = libbus1_open(), fd = dial(NAME), r;
	bool works;

	say(fd, &good, sizeof(good), &lent, 1);
	dispatch();
	r = answer(fd, &handle);
	works = !r && !libbus1_post(lent, handle, "hi", 2, NULL, 0) &&
		b1_hears(peer, given_id, "hi");
	syscall(SYS_close, fd);
	syscall(SYS_close, lent);
	if (works && given_id != shared_handle)
		works = b1_handle_gone(peer, given_id);
	if (!works)
		diag("the next client got %d", r);
	return works;
}

/* What was given is gone, once the background has closed its peer. */
static bool gone_in_the_end(void)
{
	int i;

	for (i = 0; i < 2000 && !b1_readable(peer); i++)
		b1_msleep(1);
	return b1_handle_gone(peer, given_id);
}

static void test_listen(void)
{
	static const char path[] = "/tmp/bus1-bootstrap-test";
	mode_t old = umask(077);
	struct libbus1_server *s;
	struct stat st = { 0 };
	uint64_t handle;
	int fd, sv[2], p;

	unlink(path);
	fd = libbus1_listen(path, 0640);
	ok(fd >= 0 && fcntl(fd, F_GETFD) & FD_CLOEXEC && !stat(path, &st) &&
	   S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == 0640,
	   "listen: the mode asked for, whatever the umask");
	ok(libbus1_listen(path, 0666) == -EADDRINUSE && !stat(path, &st) &&
	   (st.st_mode & 07777) == 0640, "listen: never takes a path over");
	close(fd);
	p = libbus1_open();
	ok(libbus1_connect(p, path, 1000, &handle) == -ECONNREFUSED,
	   "connect: nobody there any more");
	unlink(path);
	ok(libbus1_connect(p, path, 1000, &handle) == -ENOENT,
	   "connect: no such path");
	umask(old);

	socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv);
	ok(libbus1_server_new(&s, p, sv[0], offer, given, &server) ==
	   -EPROTOTYPE, "server: a socket that does not listen");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bind(fd, (struct sockaddr *)&(struct sockaddr_un){ AF_UNIX, "" },
	     sizeof(sa_family_t));
	listen(fd, 1);
	ok(libbus1_server_new(&s, p, fd, offer, given, &server) ==
	   -EPROTOTYPE && fcntl(fd, F_GETFD) >= 0,
	   "server: a stream socket, which stays the caller's");
	ok(libbus1_connect_socket(p, fd, 100, &handle) == -EPROTOTYPE,
	   "connect: over a stream socket");
	close(fd);
	close(sv[0]);
	close(sv[1]);
	close(p);
}

/* A real client in its own process: connect, send a word, stay until told. */
static pid_t client(uid_t uid, const char *word, int *stay)
{
	uint64_t handle;
	int p, r, pipes[2];
	pid_t pid;
	char c;

	if (pipe2(pipes, O_CLOEXEC))
		bail_out("pipe");
	pid = fork();
	if (pid) {
		close(pipes[0]);
		*stay = pipes[1];
		return pid;
	}
	close(pipes[1]);
	if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid)))
		_exit(100);
	p = libbus1_open();
	if (p < 0)
		_exit(101);
	r = libbus1_connect(p, NAME, 20000, &handle);
	if (r < 0)
		_exit(-r);
	if (libbus1_post(p, handle, word, strlen(word), NULL, 0))
		_exit(102);
	_exit(read(pipes[0], &c, 1) == 1 ? 0 : 103);
}

/* One that connects, and sends its request only when told. */
static pid_t slow_client(uid_t uid, int *go)
{
	int go_pipe[2], there[2], p, fd;
	struct reply reply;
	pid_t pid;
	char c;

	if (pipe2(go_pipe, O_CLOEXEC) || pipe2(there, O_CLOEXEC))
		bail_out("pipe");
	pid = fork();
	if (!pid) {
		if (setgroups(0, NULL) || setgid(uid) || setuid(uid))
			_exit(100);
		p = libbus1_open();
		fd = dial(NAME);
		if (write(there[1], "", 1) != 1 || read(go_pipe[0], &c, 1) != 1)
			_exit(101);
		say(fd, &good, sizeof(good), &p, 1);
		if (recv(fd, &reply, sizeof(reply), 0) != sizeof(reply))
			_exit(102);
		_exit(-reply.status);
	}
	if (read(there[0], &c, 1) != 1)
		bail_out("the slow client does not come");
	dispatch();
	close(there[0]);
	close(there[1]);
	close(go_pipe[0]);
	*go = go_pipe[1];
	return pid;
}

/* Let a client end. Not by closing: a later child has a copy. */
static bool leave(pid_t pid, int stay)
{
	if (write(stay, "", 1) != 1)
		bail_out("a client is not there");
	close(stay);
	return b1_child_ok(pid);
}

/* Serve until a child ended or a message is there; its status or 0. */
static int serve_child(pid_t pid)
{
	int i, status;

	for (i = 0; i < 20000; i++) {
		if (dispatch() < 0)
			return -1;
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		if (b1_readable(peer))
			return 0;
		b1_msleep(1);
	}
	return -1;
}

static void test_clients(void)
{
	int stay[3], before = fds();
	uint64_t own;
	pid_t pid[3];

	offer_shared = false;
	n_given = 0;
	pid[0] = client(0, "one", &stay[0]);
	ok(serve_child(pid[0]) == 0 && n_given == 1 &&
	   b1_hears(peer, given_id, "one"), "a client with a node of its own");
	ok(seen.pid == pid[0] && seen.uid == 0 && seen.gid == 0,
	   "its credentials");
	own = given_id;

	offer_shared = true;
	pid[1] = client(OTHER_UID, "two", &stay[1]);
	ok(serve_child(pid[1]) == 0 && given_id == shared_handle &&
	   b1_hears(peer, shared_node, "two"),
	   "another user with a handle that all share");
	ok(seen.uid == OTHER_UID && seen.gid == OTHER_UID &&
	   seen.pid == pid[1], "his credentials");
	ok(b1_empty(peer), "nobody has left");
	ok(leave(pid[0], stay[0]) && b1_handle_gone(peer, own),
	   "that one leaves: its node says so, no sooner, no later");
	ok(leave(pid[1], stay[1]) && b1_empty(peer),
	   "one of those who share leaves: the node stays");

	offer_status = -EACCES;
	pid[2] = client(OTHER_UID, "no", &stay[2]);
	ok(serve_child(pid[2]) == EACCES, "refused: EACCES");
	close(stay[2]);
	offer_status = 7;
	pid[2] = client(0, "no", &stay[2]);
	ok(serve_child(pid[2]) == EIO, "a callback's nonsense: EIO");
	close(stay[2]);
	offer_status = 0;
	ok(!offer_leaky, "every descriptor was close-on-exec all along");
	ok(fds_become(before), "and none is left");
	offer_shared = false;
	ok(serves(), "all is well");
}

/* A request that is wrong in some way: told so, nothing given or kept. */
static void bad(const char *what, int expected, const void *data, size_t size,
		const int *rights, size_t n)
{
	int before = fds(), got;

	n_given = 0;
	got = exchange(data, size, rights, n);
	ok(got == expected && !n_given && fds_become(before),
	   "hostile: %s: %s", what, strerror(-got));
	if (got != expected)
		diag("expected %s", strerror(-expected));
}

static void test_requests(void)
{
	static char large[65536];
	struct request r;
	int many[253], p[2], o_path, null, before, i, fd;

	if (pipe2(p, O_CLOEXEC))
		bail_out("pipe");
	o_path = open("/dev/bus1", O_PATH | O_CLOEXEC);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	many[0] = libbus1_open();
	for (i = 1; i < 253; i++)
		many[i] = many[0];
	memcpy(large, &good, sizeof(good));

	bad("no descriptor", -EBADMSG, &good, sizeof(good), NULL, 0);
	bad("two", -EBADMSG, &good, sizeof(good), many, 2);
	bad("253", -EBADMSG, &good, sizeof(good), many, 253);
	bad("a pipe", -EOPNOTSUPP, &good, sizeof(good), p, 1);
	bad("/dev/null", -EOPNOTSUPP, &good, sizeof(good), &null, 1);
	bad("O_PATH of /dev/bus1", -EBADF, &good, sizeof(good), &o_path, 1);
	bad("a byte short", -EBADMSG, &good, 15, many, 1);
	bad("one byte", -EBADMSG, &good, 1, many, 1);
	bad("an empty record", -EBADMSG, &good, 0, many, 1);
	bad("a byte long", -EBADMSG, large, 17, many, 1);
	bad("64 KiB", -EBADMSG, large, sizeof(large), many, 1);
	r = (struct request){ MAGIC ^ 1, 1, 0 };
	bad("wrong magic", -EBADMSG, &r, sizeof(r), many, 1);
	r = (struct request){ MAGIC, 2, 0 };
	bad("version 2", -EPROTONOSUPPORT, &r, sizeof(r), many, 1);
	r = (struct request){ MAGIC, 1, 1 };
	bad("unknown flags", -EINVAL, &r, sizeof(r), many, 1);
	offer_status = -EPERM;
	bad("refused", -EPERM, &good, sizeof(good), many, 1);
	offer_status = 0;
	before = fds();
	fd = dial(NAME);
	say(fd, &good, sizeof(good), &fd, 1);
	dispatch();
	ok(answer(fd, NULL) == -EOPNOTSUPP, "hostile: its own socket");
	close(fd);
	ok(fds_become(before), "hostile: nothing kept of all this");

	/* The parts of one request must not be put together. */
	fd = dial(NAME);
	say(fd, &good, 8, NULL, 0);
	say(fd, (const char *)&good + 8, 8, many, 1);
	dispatch();
	i = answer(fd, NULL);
	ok(i == -EBADMSG || i == 2, "hostile: in two records");
	close(fd);

	fd = dial(NAME);
	for (i = 0; i < 5; i++)
		say(fd, &good, sizeof(good), many, 1);
	n_given = 0;
	dispatch();
	ok(n_given == 1, "hostile: five requests, one handle");
	close(fd);
	close(many[0]);
	ok(gone_in_the_end() && fds_become(before - 1),
	   "hostile: which is gone with its peer");
	close(p[0]);
	close(p[1]);
	close(null);
	close(o_path);
	ok(serves(), "hostile: all is well");
}

/* Clients that go away, at every moment. SIGPIPE would end this program. */
static void test_leavers(void)
{
	int before = fds(), fd, p;

	signal(SIGPIPE, SIG_DFL);
	fd = dial(NAME);
	close(fd);
	dispatch();
	ok(fds() == before, "leaver: before it was accepted");

	fd = dial(NAME);
	dispatch();
	ok(fds() == before + 2, "leaver: accepted and silent ...");
	close(fd);
	dispatch();
	ok(fds() == before, "leaver: ... and gone");

	fd = dial(NAME);
	p = libbus1_open();
	say(fd, &good, sizeof(good), &p, 1);
	close(fd);
	close(p);
	n_given = 0;
	dispatch();
	ok(n_given == 1 && fds() == before && b1_handle_gone(peer, given_id),
	   "leaver: with its request sent, and the only copy of its peer");

	fd = dial(NAME);
	p = libbus1_open();
	shutdown(fd, SHUT_RD);
	say(fd, &good, sizeof(good), &p, 1);
	dispatch();
	close(p);
	ok(fds() == before + 1 && b1_handle_gone(peer, given_id),
	   "leaver: does not want to read");
	close(fd);

	fd = dial(NAME);
	shutdown(fd, SHUT_WR);
	dispatch();
	ok(answer(fd, NULL) == -EBADMSG && fds() == before + 1,
	   "leaver: will not write");
	close(fd);
	ok(fds() == before && serves(), "leaver: all is well");
}

static void test_limits(void)
{
	struct pollfd p = { .fd = libbus1_server_fd(server), .events = POLLIN };
	int many[100], stay, before = fds(), i, gone = 0;
	struct rlimit old, low;
	uint64_t start;
	bool cloexec;
	pid_t pid;

	ok(libbus1_server_set_limits(server, 0, 1) == -EINVAL &&
	   libbus1_server_set_limits(server, 1, 0) == -EINVAL &&
	   libbus1_server_set_limits(server, 1, 1025) == -EINVAL,
	   "limits: refused");
	ok(libbus1_server_set_limits(server, 2000, 8) == 0, "limits: set");

	/* The silent ones of this user must not keep another user out. */
	for (i = 0; i < 100; i++)
		many[i] = dial(NAME);
	dispatch();
	count_fds(&cloexec);
	ok(fds() == before + 108 && cloexec,
	   "limits: 100 silent clients, 8 are kept");
	for (i = 0; i < 92; i++)
		gone += answer(many[i], NULL) == 2;
	ok(gone == 92 && answer(many[92], NULL) == 1,
	   "limits: the oldest were hung up on");
	offer_shared = true;
	pid = client(OTHER_UID, "in", &stay);
	ok(serve_child(pid) == 0 && b1_hears(peer, shared_node, "in"),
	   "limits: another user is served all the same");
	leave(pid, stay);
	start = b1_now();
	/* They came within some milliseconds, and go as they came. */
	for (i = 0; i < 8 && fds() != before + 100; i++)
		if (poll(&p, 1, 5000) != 1 || dispatch() != 0)
			break;
	ok(b1_now() - start < 4500000000ull && fds() == before + 100,
	   "limits: the silent ones' time is up, and poll says so");
	for (i = 92, gone = 0; i < 100; i++)
		gone += answer(many[i], NULL) == 2;
	ok(gone == 8 && poll(&p, 1, 50) == 0, "limits: then there is rest");
	for (i = 0; i < 100; i++)
		close(many[i]);
	libbus1_server_set_limits(server, 5000, 8);

	/* Nor may those who came later push out another user's slow client. */
	pid = slow_client(OTHER_UID, &stay);
	for (i = 0; i < 20; i++)
		many[i] = dial(NAME);
	dispatch();
	ok(fds() == before + 29 && answer(many[12], NULL) == 2 &&
	   answer(many[13], NULL) == 1, "limits: whoever has most loses one");
	if (write(stay, "", 1) != 1)
		bail_out("the slow client is not there");
	ok(serve_child(pid) == 0 && given_id == shared_handle,
	   "limits: a slow client of another user is served in the end");
	close(stay);
	for (i = 0; i < 20; i++)
		close(many[i]);
	dispatch();
	libbus1_server_set_limits(server, 5000, 64);

	/* No descriptor left for accept, then none for what is passed. */
	offer_shared = false;
	many[0] = dial(NAME);
	many[1] = libbus1_open();
	say(many[0], &good, sizeof(good), &many[1], 1);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &low);
	start = b1_now();
	for (i = 0; i < 1000 && b1_now() - start < 350000000ull; i++)
		if (poll(&p, 1, 50) > 0 && libbus1_server_dispatch(server) < 0)
			break;
	ok(i > 0 && i < 40,
	   "limits: out of descriptors it neither fails nor spins (%d)", i);
	setrlimit(RLIMIT_NOFILE, &old);
	ok(poll(&p, 1, 1000) == 1 && dispatch() == 1 &&
	   answer(many[0], NULL) == 0, "limits: and goes on afterwards");
	close(many[0]);
	close(many[1]);
	b1_handle_gone(peer, given_id);

	many[0] = dial(NAME);
	dispatch();
	many[1] = libbus1_open();
	say(many[0], &good, sizeof(good), &many[1], 1);
	setrlimit(RLIMIT_NOFILE, &low);
	dispatch();
	setrlimit(RLIMIT_NOFILE, &old);
	ok(answer(many[0], NULL) == -EMFILE,
	   "limits: none for what is passed: the client is told");
	close(many[0]);
	close(many[1]);
	ok(fds_become(before) && serves(), "limits: all is well");
}

/* Descriptors that hang whoever closes them. */
static void test_sticky(void)
{
	int before = fds(), p[2], two[2], stay, i, fd;
	struct stat st;
	uint64_t start;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) || fstat(p[0], &st))
		bail_out("pipe");
	two[0] = two[1] = p[0];
	sticky = st.st_ino;
	start = b1_now();
	ok(exchange(&good, sizeof(good), p, 1) == -EOPNOTSUPP &&
	   exchange(&good, 3, p, 1) == -EBADMSG &&
	   exchange(&good, sizeof(good), two, 2) == -EBADMSG &&
	   fds_become(before + 5), "sticky: three");
	offer_status = -EACCES;
	ok(exchange(&good, sizeof(good), p, 1) == -EACCES, "sticky: four");
	offer_status = 0;
	ok(b1_now() - start < 10000000000ull, "sticky: nobody waited");
	for (i = 0; i < 2000 && stuck != 4; i++)
		b1_msleep(1);
	ok(stuck == 4, "sticky: four hang");
	n_offered = 0;
	ok(exchange(&good, sizeof(good), p, 1) == -EBUSY && !n_offered &&
	   fds() == before + 7, "sticky: the fifth is not even received");
	pid = fork();
	if (!pid) {
		fd = libbus1_listen(NAME "-2", 0);
		if (libbus1_server_new(&server, peer, fd, offer, given,
				       &server))
			_exit(1);
		fd = dial(NAME "-2");
		say(fd, &good, sizeof(good), NULL, 0);
		dispatch();
		_exit(answer(fd, NULL) != -EBADMSG);
	}
	ok(b1_child_ok(pid), "sticky: a child process has none of it");
	offer_shared = true;
	pid = client(OTHER_UID, "ok", &stay);
	ok(serve_child(pid) == 0 && b1_hears(peer, shared_node, "ok"),
	   "sticky: another user does not notice");
	leave(pid, stay);
	offer_shared = false;
	sticky = 0;
	close(p[0]);
	close(p[1]);
	ok(fds_become(before) && stuck == 0, "sticky: let go");
	ok(serves(), "sticky: all is well");
}

/* Descriptors that nobody receives, whose last close takes long. */
static void test_lingering(void)
{
	static const char *const how[] = {
		"one too many", "after rubbish", "after a request",
		"after an empty record"
	};
	int before = fds(), two[2], l, fd, i, r;
	uint64_t start;

	two[0] = libbus1_open();
	for (i = 0; i < 4; i++) {
		fd = dial(NAME);
		two[1] = lingering(&l);
		n_given = 0;
		if (i == 0)
			say(fd, &good, sizeof(good), two, 2);
		else if (i == 1)
			say(fd, "x", 1, NULL, 0);
		else if (i == 2)
			say(fd, &good, sizeof(good), two, 1);
		else
			say(fd, NULL, 0, NULL, 0);
		if (i)
			say(fd, NULL, 0, &two[1], 1);
		close(two[1]);
		start = b1_now();
		dispatch();
		r = answer(fd, NULL);
		ok(b1_now() - start < (LINGER - 2) * 1000000000ull &&
		   n_given == (i == 2) &&
		   r == (i == 2 ? 0 : -EBADMSG), "linger: %s: nobody waited",
		   how[i]);
		close(l);
		close(fd);
		ok(fds_become(before + 1), "linger: closed in the end");
	}
	close(two[0]);
	ok(b1_handle_gone(peer, given_id) && serves(), "linger: all is well");
}

/* A callback may change the limits while its client is served. */
static void test_reentry(void)
{
	int before = fds(), fd[3], i, p = libbus1_open();

	for (i = 0; i < 3; i++)
		fd[i] = dial(NAME);
	dispatch();
	say(fd[2], &good, sizeof(good), &p, 1);
	offer_limits = true;
	ok(dispatch() == 1 && answer(fd[2], NULL) == 0 &&
	   answer(fd[0], NULL) == 2 && answer(fd[1], NULL) == 1,
	   "reentry: the oldest of those who wait is hung up on");
	offer_limits = false;
	libbus1_server_set_limits(server, 5000, 64);
	for (i = 0; i < 3; i++)
		close(fd[i]);
	close(p);
	dispatch();
	ok(b1_handle_gone(peer, given_id) && fds_become(before) && serves(),
	   "reentry: all is well");
}

/* A peer that takes long to tear down, whose last close is the server's. */
static void test_fat_peer(void)
{
	static struct bus1_transfer src[5000], dst[5000];
	int before = fds(), p = libbus1_open(), fd, i;
	uint64_t handle;

	elsewhere = 0;
	ok(serves() && !elsewhere, "fat: a small peer is closed at once");
	b1_node(p, &handle);
	for (i = 0; i < 5000; i++)
		src[i] = (struct bus1_transfer){ 0, handle };
	if (libbus1_transfer(p, p, src, dst, 5000))
		bail_out("transfer");
	fd = dial(NAME);
	say(fd, &good, sizeof(good), &p, 1);
	close(p);
	ok(dispatch() == 1 && answer(fd, NULL) == 0, "fat: is served");
	close(fd);
	ok(fds_become(before) && elsewhere == 1,
	   "fat: is closed in the background");
	ok(gone_in_the_end(), "fat: and its handle is gone");

	elsewhere = 0;
	p = libbus1_open();
	b1_node(p, &handle);
	for (i = 0; i < 5000; i++)
		src[i] = (struct bus1_transfer){ 0, handle };
	if (libbus1_post(p, handle, NULL, 0, src, 5000))
		bail_out("post");
	fd = dial(NAME);
	say(fd, &good, sizeof(good), &p, 1);
	close(p);
	ok(dispatch() == 1 && answer(fd, NULL) == 0, "fat: one message");
	close(fd);
	ok(fds_become(before) && elsewhere == 1, "fat: is enough for that");
	ok(gone_in_the_end() && serves(), "fat: all is well");
}

int main(void)
{
	bool cloexec;
	int fd, before = fds();

	peer = libbus1_open();
	if (peer < 0)
		bail_out("cannot open /dev/bus1: %s", strerror(-peer));
	test_listen();
	shared_node = b1_node(peer, &shared_handle);
	fd = libbus1_listen(NAME, 0);
	ok(libbus1_server_new(&server, peer, fd, offer, given, &server) == 0,
	   "a server");
	count_fds(&cloexec);
	ok(cloexec, "whose descriptors are close-on-exec");
	test_clients();
	test_requests();
	test_leavers();
	test_limits();
	test_sticky();
	test_lingering();
	test_reentry();
	test_fat_peer();

	fd = dial(NAME);
	dispatch();
	server = libbus1_server_free(server);
	ok(!server && answer(fd, NULL) == 2, "free hangs up on the pending");
	close(fd);
	close(peer);
	ok(fds_become(before), "and leaves nothing open");
	return done_testing();
}
