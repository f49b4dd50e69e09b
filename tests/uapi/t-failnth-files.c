// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation and every access to user memory fails once while a peer is
 * opened and closed, waited for, and looked at. Needs a kernel with fault
 * injection, as the debug kernels are.
 */
#include <sys/epoll.h>
#include <sys/select.h>

#include "failnth.h"

#define PEERS 12 /* more than poll() and select() have room for on the stack */
#define NODES 60 /* more lines than one page of a file, and of its copy */

static int a, b, opened;
static uint64_t to_a, to_b;

static void begin(void)
{
	a = open_as(7101);
	b = open_as(7102);
	b1_node_to(b, a, &to_b);
	b1_node_to(a, b, &to_a);
	fail_peers[0] = a;
	fail_peers[1] = b;
	fail_n_peers = 2;
}

static void end(void)
{
	fail_n_peers = 0;
	close(a);
	close(b);
}

static void nothing(void)
{
}

/* --- open and close ------------------------------------------------------ */

/* The first peer of its user, whose account is new. */
static int do_open(void)
{
	opened = open("/dev/bus1", O_RDWR | O_CLOEXEC);
	return opened < 0 ? errno : 0;
}

/* Whatever failed on the way: it is a whole one. */
static void undo_open(void)
{
	uint64_t h, n = b1_node(opened, &h);

	if (b1_says(opened, h, "self") || !b1_hears(opened, n, "self"))
		bail_out("a peer that was opened is of no use");
	close(opened);
}

/*
 * A peer with all that there can be, and others that have to hear of its end.
 */
static void prepare_close(void)
{
	uint64_t h, h_a, n;

	begin();
	opened = open_as(7104);
	b1_node_to(opened, a, &h);
	h_a = b1_copy(b, to_a, opened);
	b1_gives(a, h, "never received", to_b);
	n = b1_node(opened, &h);
	b1_gives(opened, h, "nor this", h_a);
	b1_node(opened, &h);
	b1_drop(opened, h);
	b1_gives(opened, h_a, "this is", b1_copy(a, to_b, opened));
	b1_drop(opened, n);
}

static int do_close(void)
{
	return close(opened) ? errno : 0;
}

/* --- poll ---------------------------------------------------------------- */

static int peers[PEERS], epfd;

/* All but the last are empty. */
static void prepare_poll(void)
{
	uint64_t h;
	int i;

	begin();
	for (i = 0; i < PEERS; i++)
		peers[i] = b1_open();
	b1_node(peers[PEERS - 1], &h);
	b1_says(peers[PEERS - 1], h, "comes");
	epfd = epoll_create1(EPOLL_CLOEXEC);
}

static int do_poll(void)
{
	static struct pollfd fds[PEERS];
	int i, r;

	for (i = 0; i < PEERS; i++)
		fds[i] = (struct pollfd){ peers[i], POLLIN, 0 };
	r = poll(fds, PEERS, -1);
	if (r < 0)
		return errno;
	return r == 1 && fds[PEERS - 1].revents == POLLIN ? 0 : EPROTO;
}

/* Not one of them: so all are waited for. */
static int do_wait(void)
{
	static struct pollfd fds[PEERS - 1];
	int i, r;

	for (i = 0; i < PEERS - 1; i++)
		fds[i] = (struct pollfd){ peers[i], POLLIN, 0 };
	r = poll(fds, PEERS - 1, 1);
	return r < 0 ? errno : r ? EPROTO : 0;
}

static int do_select(void)
{
	fd_set in;
	int i, r;

	FD_ZERO(&in);
	for (i = 0; i < PEERS; i++)
		FD_SET(peers[i], &in);
	r = select(peers[PEERS - 1] + 1, &in, NULL, NULL, NULL);
	if (r < 0)
		return errno;
	return r == 1 && FD_ISSET(peers[PEERS - 1], &in) ? 0 : EPROTO;
}

static int do_epoll(void)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };

	return epoll_ctl(epfd, EPOLL_CTL_ADD, peers[0], &e) ? errno : 0;
}

/* It is there, once, and says what comes later. */
static void undo_poll(void)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	bool added = epoll_ctl(epfd, EPOLL_CTL_ADD, peers[0], &e);
	uint64_t h;
	int i;

	b1_node(peers[0], &h);
	b1_says(peers[0], h, "comes later");
	if ((added && errno != EEXIST) || epoll_wait(epfd, &e, 1, 0) != 1)
		bail_out("epoll does not know a peer that was added");
	for (i = 0; i < PEERS; i++)
		close(peers[i]);
	close(epfd);
	end();
}

/* --- what tells ---------------------------------------------------------- */

static char path[64], usual[1 << 17], text[1 << 17];

/* Read a file; 0, errno, or EPROTO if it is not as usual. */
static int do_read(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	size_t n = 0;
	ssize_t r = 0;
	char *p;

	if (fd < 0)
		return errno;
	while ((r = read(fd, text + n, sizeof(text) - n - 1)) > 0)
		n += r;
	if (r < 0)
		error = errno;
	close(fd);
	if (error)
		return error;
	text[n] = 0;
	p = quota_next(text);
	if (!usual[0])
		strcpy(usual, p);
	/* It says so where it had no memory for a peer's objects. */
	return !strcmp(p, usual) || strstr(p, " cut=1") ? 0 : EPROTO;
}

static void test_file(const char *file)
{
	snprintf(path, sizeof(path), "%s", file);
	usual[0] = 0;
	FAIL_WALK(path, nothing, do_read, nothing);
}

int main(void)
{
	uint64_t h;
	int i;

	if (!quota_begin() || !fail_begin())
		return done_testing();

	FAIL_WALK("open", nothing, do_open, undo_open);
	fail_walk(&(struct fail_case){ .name = "close", .never = true,
				       .prepare = prepare_close,
				       .call = do_close, .tidy = end });
	FAIL_WALK("poll", prepare_poll, do_poll, undo_poll);
	FAIL_WALK("poll that waits", prepare_poll, do_wait, undo_poll);
	FAIL_WALK("select", prepare_poll, do_select, undo_poll);
	FAIL_WALK("epoll", prepare_poll, do_epoll, undo_poll);

	begin();
	for (i = 0; i < NODES; i++)
		b1_node(a, &h);
	for (i = 0; i < 4; i++)
		b1_says(a, to_b, "is there");
	snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", a);
	test_file(text);
	test_file(FAIL_DEBUG "bus1/objects");
	test_file(FAIL_DEBUG "bus1/peers");
	test_file(QUOTA_ACCOUNTS);
	test_file("/sys/class/misc/bus1/trace_schema");
	end();
	return fail_done();
}
