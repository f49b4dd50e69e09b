/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_CHURN_MAYHEM_H
#define _TESTS_CHURN_MAYHEM_H

/*
 * DOC: everything else at once
 *
 * What --all adds to the churn. Steps: large sends, nodes with many handles,
 * arguments that change under the call and memory that goes away, peers of other
 * users, descriptors exchanged during calls, or left in a socket that is sent over
 * itself. Threads: those who look from outside, who change the parameters, who
 * wait for all peers by one epoll, and who send signals. With --trace also one who
 * enables events and runs bus1-trace.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "churn.h"

#define MANY 200
#define AREA 65536
/* The most that garbage makes the kernel write behind the area */
#define AREA_GUARD (16 << 20)
#define SLOW_MS 5000
#define DEBUGFS "/sys/kernel/debug/bus1/"
#define EVENTS "/sys/kernel/tracing/events/bus1/"
#define PARAMETERS "/sys/module/bus1/parameters/"

/* The same memory twice: written here, and there seen by the kernel or not. */
static unsigned char *area_here, *area_there;
static int area_fd = -1;

static void mayhem_open(uint64_t *rand, uint32_t slot)
{
	int fd = open_as(1000 + rnd(rand, 4));

	if (fd >= 0)
		put_into(slot, fd);
}

/* Another descriptor takes the place, and perhaps the number, of this one. */
static void mayhem_dup(uint64_t *rand, uint32_t slot)
{
	uint32_t to = rnd(rand, SLOTS);
	int fd = dup_peer(slot), old = sh->fd[to];

	if (fd < 0)
		return;
	if (rnd(rand, 2)) {
		put_into(to, fd);
		return;
	}
	if (is_peer(old))
		dup3(fd, old, O_CLOEXEC);
	close(fd);
}

/* A node with many handles, which go one by one, together, or with the node. */
static void mayhem_many(uint64_t *rand, uint32_t slot)
{
	static __thread struct bus1_transfer src[MANY], dst[MANY];
	uint32_t n = 2 + rnd(rand, MANY - 2), to = rnd(rand, SLOTS), i;
	uint64_t ids[MANY + 1], mine[2];

	if (fine(CHURN_TRANSFER,
		 raw_node(sh->fd[slot], sh->fd[slot], &mine[0], &mine[1])))
		return;
	note_id(rand, slot, mine[1]);
	for (i = 0; i < n; i++)
		src[i] = (struct bus1_transfer){ 0, mine[1] };
	if (!fine(CHURN_TRANSFER,
		  raw_transfer(sh->fd[slot], sh->fd[to], n, src, dst))) {
		for (i = 0; i < n; i++)
			ids[i] = dst[i].id;
		ids[n] = ids[0];
		note_id(rand, to, ids[0]);
		/* one of them twice: none is released */
		if (rnd(rand, 2))
			fine(CHURN_RELEASE,
			     raw_release(sh->fd[to], n + 1, ids));
		if (rnd(rand, 2))
			fine(CHURN_RELEASE,
			     raw_release(sh->fd[to], n, ids));
	}
	if (rnd(rand, 4))
		fine(CHURN_RELEASE,
		     raw_release(sh->fd[slot], 1 + rnd(rand, 2), mine));
}

/* Large, in pieces, to many, and to those only who can be charged. */
static void mayhem_send(uint64_t *rand, uint32_t slot)
{
	static unsigned char data[100000];
	uint32_t n = 1 + rnd(rand, 64), n_t = rnd(rand, 8), i;
	struct iovec vec[3] = {
		{ data, 1 + rnd(rand, 60000) },
		{ area_there + rnd(rand, AREA - 3000), rnd(rand, 3000) },
		{ data, 1 + rnd(rand, 3000) },
	};
	struct bus1_transfer t[8];
	int32_t errors[64];
	uint64_t to[64];
	struct bus1_message msg = {
		.type = BUS1_MESSAGE_TYPE_USER,
		.n_transfers = n_t,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = rnd(rand, vec[0].iov_len + vec[1].iov_len),
		.n_data_vecs = 3,
		.ptr_data_vecs = BUS1_FROM_PTR(vec),
	};
	struct bus1_cmd_send cmd = {
		.flags = BUS1_SEND_FLAG_CONTINUE,
		.n_destinations = n,
		.ptr_destinations = BUS1_FROM_PTR(to),
		.ptr_errors = BUS1_FROM_PTR(rnd(rand, 8) ? errors : NULL),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	/* the more, the more likely that one of them is unknown */
	to[0] = some_id(rand, slot);
	for (i = 0; i < n; i++)
		to[i] = rnd(rand, 40) ? to[0] : some_id(rand, slot);
	for (i = 0; i < n_t; i++) {
		bool create = rnd(rand, 2) == 0;

		t[i].flags = create ? BUS1_TRANSFER_FLAG_CREATE : 0;
		t[i].id = create ? BUS1_INVALID : some_id(rand, slot);
	}
	fine(CHURN_MULTICAST,
	     ioctl(sh->fd[slot], BUS1_CMD_SEND, &cmd) < 0 ? errno : 0);
}

static uint64_t there(uint64_t *rand)
{
	return BUS1_FROM_PTR(area_there) + 8 * rnd(rand, AREA / 8);
}

/*
 * Arguments where others write theirs meanwhile. All pointers among them are into
 * the area, so whatever the kernel makes of it, it writes only there. No TRANSFER:
 * it would take any number for a descriptor.
 */
static void mayhem_area(uint64_t *rand, uint32_t slot)
{
	static const unsigned long cmds[] = {
		BUS1_CMD_SEND, BUS1_CMD_RECV, BUS1_CMD_RELEASE, BUS1_CMD_NAME,
		BUS1_CMD_CALL, BUS1_CMD_RECV_BATCH, BUS1_CMD_FEATURES,
	};
	uint32_t at = rnd(rand, AREA / 8 - 32), i;
	uint64_t *word = (uint64_t *)area_here + at;

	for (i = 0; i < 32; i++) {
		switch (rnd(rand, 6)) {
		case 0: word[i] = there(rand); break;
		case 1: word[i] = rnd(rand, 40); break;
		case 2: word[i] = some_id(rand, slot); break;
		case 3: word[i] = soon(rand); break;
		case 4: word[i] = rnd(rand, 8) ? 0 : BUS1_INVALID; break;
		}
	}
	fine(CHURN_GARBAGE,
	     ioctl(sh->fd[slot], cmds[rnd(rand, sizeof(cmds) / sizeof(*cmds))],
		   area_there + 8 * at) < 0 ? errno : 0);
}

static void mayhem_map(uint64_t *rand, uint32_t slot)
{
	size_t at = 4096 * rnd(rand, AREA / 4096);
	size_t n = 4096 * (1 + rnd(rand, (AREA - at) / 4096));

	(void)slot;
	switch (rnd(rand, 4)) {
	case 0:
		mprotect(area_there + at, n, rnd(rand, 2) ? PROT_NONE :
			 PROT_READ);
		break;
	case 1:
		mmap(area_there + at, n, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	default:
		mmap(area_there + at, n, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, area_fd, at);
	}
}

static void mayhem_name(uint64_t *rand, uint32_t slot)
{
	struct bus1_cmd_name cmd = {
		.n_name = rnd(rand, BUS1_MAX_NAME + 2),
		.ptr_name = BUS1_FROM_PTR("a-name-that-is-as-long-as-one-can-be"),
	};
	struct bus1_cmd_features features = { 0 };

	fine(CHURN_NAME,
	     ioctl(sh->fd[slot], BUS1_CMD_NAME, &cmd) < 0 ? errno : 0);
	fine(CHURN_FEATURES, ioctl(sh->fd[slot], BUS1_CMD_FEATURES,
				   &features) < 0 ? errno : 0);
}

/* A peer in a socket that only itself refers to: the collector has to find it. */
static void mayhem_cycle(uint64_t *rand, uint32_t slot)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = { 0 }, byte = 0;
	struct iovec vec = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int s[2], fds[2] = { dup_peer(slot) };

	(void)rand;
	if (fds[0] < 0)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s)) {
		close(fds[0]);
		return;
	}
	fds[1] = s[1];
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	sendmsg(s[0], &msg, 0);
	close(fds[0]);
	close(s[0]);
	close(s[1]);
}

/* Threads, of which each has its own row of numbers. */

/* A file, in pieces of any size, not always to its end. */
static void mayhem_read(uint64_t *rand, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[4096];

	while (fd >= 0 && rnd(rand, 50) &&
	       read(fd, text, 1 + rnd(rand, sizeof(text))) > 0)
		sh->ops++;
	close(fd);
}

static void *mayhem_reader(void *arg)
{
	static const char * const files[] = { "objects", "peers", "accounts" };
	uint64_t rand = (uintptr_t)arg;
	char path[64];

	while (!sh->stop) {
		snprintf(path, sizeof(path), DEBUGFS "%s",
			 files[rnd(&rand, 3)]);
		mayhem_read(&rand, path);
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
			 sh->fd[rnd(&rand, SLOTS)]);
		mayhem_read(&rand, path);
		usleep(rnd(&rand, 2000));
	}
	return NULL;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = strlen(text);
	bool written = fd >= 0 && write(fd, text, n) == n;

	if (fd >= 0)
		close(fd);
	return written;
}

static bool usual_parameters(void)
{
	return write_file(PARAMETERS "max_objects", "1048576") &&
	       write_file(PARAMETERS "max_bytes", "1073741824");
}

/* Users who are seen anew have little, or much; in the end what is usual. */
static void *mayhem_setter(void *arg)
{
	static const char * const objects[] = { "16", "500", "1048576" };
	static const char * const bytes[] = { "4096", "1000000", "1073741824" };
	uint64_t rand = (uintptr_t)arg;
	int tries;

	while (!sh->stop) {
		write_file(PARAMETERS "max_objects", objects[rnd(&rand, 3)]);
		write_file(PARAMETERS "max_bytes", bytes[rnd(&rand, 3)]);
		sh->ops += 2;
		usleep(rnd(&rand, 5000));
	}
	/* not at once, where somebody took the number of our descriptor */
	for (tries = 0; tries < 10; tries++)
		if (usual_parameters())
			return NULL;
	bail_out("cannot set the parameters back");
}

/* One epoll for all peers, and another that watches the first, as select does. */
static void *mayhem_waiter(void *arg)
{
	static const uint32_t how[] = {
		0, EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE,
	};
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL };
	uint64_t rand = (uintptr_t)arg;
	struct epoll_event ev = { .events = EPOLLIN }, got[SLOTS];
	int ep = -1, outer = -1, fd, i;
	struct timeval tv;
	fd_set set;

	while (!sh->stop) {
		if (!rnd(&rand, 100)) {
			close(ep);
			close(outer);
			ep = outer = -1;
		}
		if (ep < 0) {
			ep = epoll_create1(EPOLL_CLOEXEC);
			outer = epoll_create1(EPOLL_CLOEXEC);
			ev.events = EPOLLIN;
			epoll_ctl(outer, EPOLL_CTL_ADD, ep, &ev);
		}
		ev.events = EPOLLIN | how[rnd(&rand, 4)];
		/* a number may be anything by now, also one of these two */
		fd = sh->fd[rnd(&rand, SLOTS)];
		if (is_peer(fd))
			epoll_ctl(ep, ops[rnd(&rand, 3)], fd, &ev);
		epoll_wait(rnd(&rand, 2) ? ep : outer, got, SLOTS,
			   rnd(&rand, 3));
		FD_ZERO(&set);
		for (i = 0; i < SLOTS; i++)
			if (sh->fd[i] >= 0 && sh->fd[i] < FD_SETSIZE)
				FD_SET(sh->fd[i], &set);
		tv = (struct timeval){ .tv_usec = rnd(&rand, 2000) };
		select(FD_SETSIZE, &set, NULL, NULL, &tv);
		sh->ops += 3;
	}
	close(ep);
	close(outer);
	return NULL;
}

static void mayhem_signal(int sig)
{
	(void)sig;
}

/*
 * Signals that end a call, and such that restart it. In the end, less often, until
 * nobody is left: some wait for ever.
 */
static void *mayhem_storm(void *arg)
{
	uint64_t rand = (uintptr_t)arg;
	int tid, left, i;

	do {
		for (left = i = 0; i < SIGNALLED; i++) {
			tid = sh->tid[i];
			left += tid != 0;
			if (tid && !rnd(&rand, 4))
				syscall(SYS_tgkill, getpid(), tid,
					rnd(&rand, 2) ? SIGALRM : SIGUSR1);
		}
		sh->ops += left;
		usleep(1000 + rnd(&rand, sh->stop ? 200000 : 30000));
	} while (!sh->stop || left);
	return NULL;
}

/* Enable an event, or all of them, or none. */
static void mayhem_event(uint64_t *rand)
{
	static char path[32][300];
	static uint32_t n;
	struct dirent *entry;
	DIR *dir = n ? NULL : opendir(EVENTS);

	while (dir && n < 32 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && entry->d_type == DT_DIR)
			snprintf(path[n++], sizeof(path[0]),
				 EVENTS "%s/enable", entry->d_name);
	if (dir)
		closedir(dir);
	if (n && rnd(rand, 4))
		write_file(path[rnd(rand, n)], rnd(rand, 2) ? "1" : "0");
	else
		write_file(EVENTS "enable", rnd(rand, 2) ? "1" : "0");
}

/* bus1-trace for a moment; what it prints is nobody's business. */
static void mayhem_attach(uint64_t *rand)
{
	static const char * const verbs[] = { "monitor", "latency", "order",
					      "acct" };
	const char *verb = verbs[rnd(rand, 4)];
	int null, status, ms;
	pid_t pid = fork();

	if (!pid) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execlp("bus1-trace", "bus1-trace", verb, "--json", NULL);
		_exit(127);
	}
	if (pid < 0)
		return;
	usleep(rnd(rand, 1500000));
	kill(pid, rnd(rand, 2) ? SIGINT : SIGKILL);
	for (ms = 0; waitpid(pid, &status, WNOHANG) != pid; ms++) {
		/* It may be slow to end by itself. */
		if (ms == SLOW_MS)
			kill(pid, SIGKILL);
		usleep(1000);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		bail_out("cannot run bus1-trace");
}

static void *mayhem_tracer(void *arg)
{
	uint64_t rand = (uintptr_t)arg;

	while (!sh->stop) {
		mayhem_event(&rand);
		if (!rnd(&rand, 4))
			mayhem_attach(&rand);
		sh->ops++;
		usleep(rnd(&rand, 50000));
	}
	write_file(EVENTS "enable", "0");
	return NULL;
}

static void mayhem_start(void)
{
	struct sigaction act = { .sa_handler = mayhem_signal };

	if (!usual_parameters())
		bail_out("cannot set parameters: %s; be root", strerror(errno));
	sigaction(SIGALRM, &act, NULL);
	act.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &act, NULL);

	area_fd = memfd_create("area", MFD_CLOEXEC);
	if (area_fd < 0 || ftruncate(area_fd, AREA))
		bail_out("cannot make the area: %s", strerror(errno));
	area_here = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_SHARED,
			 area_fd, 0);
	area_there = mmap(NULL, AREA + AREA_GUARD, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area_here == MAP_FAILED || area_there == MAP_FAILED ||
	    mmap(area_there, AREA, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, area_fd, 0) == MAP_FAILED)
		bail_out("cannot map the area: %s", strerror(errno));
}

/* Lines of a file of debugfs after its first, perhaps only after a while. */
static int mayhem_left(const char *path)
{
	int n = -1, tries, c;
	FILE *f;

	for (tries = 0; n && tries < 50; tries++) {
		if (tries)
			usleep(100000);
		f = fopen(path, "re");
		if (!f)
			return -1;
		for (n = -1; (c = getc(f)) != EOF;)
			n += c == '\n';
		fclose(f);
	}
	return n;
}

/*
 * What is open besides @known: a number that was given to a peer while another
 * thread closed it is in no slot. What is in sockets goes, too.
 */
static void mayhem_sweep(bool (*known)(int fd))
{
	int fd, s[2];

	for (fd = 3; fd < 1024; fd++)
		if (is_peer(fd) && !known(fd))
			close(fd);
	/* a closed socket has the collector look for cycles */
	if (!socketpair(AF_UNIX, SOCK_STREAM, 0, s)) {
		close(s[0]);
		close(s[1]);
	}
}

static void mayhem_judge(void)
{
	static const char * const files[] = { "objects", "peers", "accounts" };
	uint32_t i;

	for (i = 0; i < 3; i++) {
		char path[64];

		snprintf(path, sizeof(path), DEBUGFS "%s", files[i]);
		ok(!mayhem_left(path), "churn: nothing is left in %s", path);
	}
}

#endif /* _TESTS_CHURN_MAYHEM_H */
