// SPDX-License-Identifier: GPL-2.0-only
/* libbus1: the calls, and what they do beyond the ioctls. */
#include <bus1/bus1.h>
#include <signal.h>
#include <sys/time.h>

#include "b1.h"

#define CREATE { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID }

static bool is_create(const struct bus1_transfer *t)
{
	return t->flags == BUS1_TRANSFER_FLAG_CREATE && t->id == BUS1_INVALID;
}

/* "bus1-nodes:" and the like, from fdinfo. */
static long fdinfo(int fd, const char *key)
{
	char path[64], line[128];
	long v = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			v = strtol(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return v;
}

static long nodes(int fd)
{
	return fdinfo(fd, "bus1-nodes:");
}

static long handles(int fd)
{
	return fdinfo(fd, "bus1-handles:");
}

static void test_open(void)
{
	int fd = libbus1_open();

	ok(fd >= 0, "open returns a descriptor");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "close-on-exec");
	close(fd);
}

static void test_transfer(void)
{
	struct bus1_transfer src[2] = { CREATE, CREATE }, dst[2];
	struct bus1_transfer *bad = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int a = libbus1_open(), b = libbus1_open(), same = dup(a), p[2];
	uint64_t node, handle, ids[2];

	ok(libbus1_node_new(a, &node, &handle) == 0 && nodes(a) == 1 &&
	   handles(a) == 1, "node_new makes one of each");
	ok(libbus1_post(a, handle, "x", 1, NULL, 0) == 0 &&
	   b1_hears(a, node, "x"), "and they belong together");

	ok(libbus1_transfer(a, -1, src, dst, 1) == -EBADF && nodes(a) == 1 &&
	   is_create(src), "-1 is no descriptor, and not \"the same peer\"");
	ok(libbus1_transfer(-1, -1, src, dst, 1) == -EBADF, "nor from -1");
	if (pipe(p))
		bail_out("pipe");
	ok(libbus1_transfer(a, p[0], src, dst, 2) == -EOPNOTSUPP &&
	   is_create(&src[0]) && is_create(&src[1]) && nodes(a) == 1,
	   "to a pipe: EOPNOTSUPP");
	ok(libbus1_transfer(a, 999, src, dst, 2) == -EBADF, "to nothing");
	close(p[0]);
	close(p[1]);

	/*
	 * The second new handle's ID has nowhere to go: when the kernel finds
	 * out it has written others, which name nothing.
	 */
	mprotect((char *)bad + 4096, 4096, PROT_NONE);
	ok(libbus1_transfer(a, b, src, &bad[255], 2) == -EFAULT,
	   "a bad pointer: EFAULT");
	ok(is_create(&src[0]) && is_create(&src[1]) && nodes(a) == 1 &&
	   handles(b) == 0, "CREATE entries are as before, nothing was made");
	src[0].flags = 0;
	src[0].id = handle;
	ok(libbus1_transfer(a, b, src, dst, 2) == 0 && src[0].id == handle &&
	   !src[1].flags && b1_id_ok(src[1].id) && nodes(a) == 2 &&
	   handles(b) == 2, "and the call can be repeated, as a mixture");
	ok(libbus1_post(b, dst[1].id, "to", 2, NULL, 0) == 0 &&
	   b1_hears(a, src[1].id, "to"), "src and dst name two ends of one");

	src[0] = (struct bus1_transfer){ 0, handle };
	ok(libbus1_transfer(a, same, src, dst, 1) == 0 && handles(a) == 2,
	   "through another descriptor of the same peer");
	ok(libbus1_transfer(a, a, src, dst, BUS1_MAX_TRANSFERS + 1) ==
	   -EMSGSIZE, "too long an array");

	ids[0] = ids[1] = handle;
	ok(libbus1_release(a, ids, 2) == -EINVAL && handles(a) == 2,
	   "release: an ID twice");
	ids[1] = 0x123457;
	ok(libbus1_release(a, ids, 2) == -EBADRQC && handles(a) == 2,
	   "release: an unknown ID releases nothing");
	ids[1] = dst[0].id;
	ok(libbus1_release(a, ids, 2) == 0 && handles(a) == 0, "release");
	close(a);
	close(b);
	close(same);
	munmap(bad, 8192);
}

static void test_send(void)
{
	struct bus1_transfer t[2] = { CREATE, { 0, 0x123457 } };
	char *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);
	struct iovec vec[2] = { { "ab", 2 }, { "cd", 2 } };
	struct bus1_message m = {
		.n_transfers = 1,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = 3,
		.n_data_vecs = 2,
		.ptr_data_vecs = BUS1_FROM_PTR(vec),
	};
	int a = libbus1_open(), b = libbus1_open();
	uint64_t na, ha[2], nb, hb, reply;
	int32_t errors[2] = { 7, 7 };
	struct b1_msg got;

	nb = b1_node_to(b, a, &ha[0]);
	na = b1_node(a, &ha[1]);

	ok(libbus1_send(a, 0, ha, 2, (void *)bad, &m) == -EFAULT &&
	   is_create(t) && nodes(a) == 1 && b1_empty(b),
	   "no room for errors: EFAULT, CREATE as before");
	ok(libbus1_send(a, 0, ha, 2, errors, &m) == 0 && !errors[0] &&
	   !errors[1] && b1_id_ok(t[0].id) && !t[0].flags,
	   "a multicast, and the new node's ID");
	ok(b1_hears_msg(b, nb, "abc", 3, 1, &got),
	   "n_data bytes of the vectors and a handle");
	hb = got.t[0].id;
	ok(b1_hears_msg(a, na, "abc", 3, 1, &got), "for everyone");
	ok(libbus1_post(b, hb, "re", 2, NULL, 0) == 0 &&
	   b1_hears(a, t[0].id, "re"), "which leads back");

	t[0] = (struct bus1_transfer)CREATE;
	ok(libbus1_post(a, ha[0], NULL, 0, t, 2) == -EBADRQC && is_create(t) &&
	   nodes(a) == 2, "post: an unknown handle, CREATE as before");
	ok(libbus1_post(a, 0x123457, "x", 1, t, 1) == -EBADRQC && is_create(t),
	   "post: to an unknown handle");
	ok(libbus1_post(a, ha[0], NULL, 0, t, 1) == 0, "post: a request");
	reply = t[0].id;
	ok(b1_hears_msg(b, nb, "", 0, 1, &got) &&
	   libbus1_release(b, (uint64_t[]){ got.t[0].id }, 1) == 0 &&
	   b1_handle_gone(a, reply), "whose reply handle was the only one");
	ok(libbus1_post(a, ha[0], "x", 1, t, BUS1_MAX_TRANSFERS + 1) ==
	   -EMSGSIZE, "too many transfers");
	ok(libbus1_send(a, 2, ha, 1, NULL, &m) == -EINVAL, "unknown flags");
	m.n_transfers = 0;
	ok(libbus1_send(a, 0, NULL, 0, NULL, &m) == 0, "to nobody");
	close(a);
	close(b);
	munmap(bad, 4096);
}

static void test_recv(void)
{
	struct bus1_metadata meta;
	struct bus1_message m = { 0 };
	struct iovec vec;
	int a = libbus1_open();
	uint64_t node, handle;
	char data[8];

	node = b1_node(a, &handle);
	ok(libbus1_recv(a, &meta, &m) == -EAGAIN, "recv: nothing there");
	libbus1_post(a, handle, "hello", 5, NULL, 0);
	vec = (struct iovec){ data, sizeof(data) };
	m = (struct bus1_message){ .type = 77, .n_data = 4,
				   .n_data_vecs = 1,
				   .ptr_data_vecs = BUS1_FROM_PTR(&vec) };
	ok(libbus1_recv(a, &meta, &m) == -EMSGSIZE && m.n_data == 5,
	   "recv: says what it needs");
	ok(libbus1_recv(a, &meta, &m) == 0 && m.n_data == 5 &&
	   m.type == BUS1_MESSAGE_TYPE_USER && meta.id == node &&
	   !memcmp(data, "hello", 5), "recv: with that, it is there");
	libbus1_post(a, handle, "there", 5, NULL, 0);
	m = (struct bus1_message){ .flags = BUS1_MESSAGE_FLAG_FLAT,
				   .n_data = 8, .n_data_vecs = 8,
				   .ptr_data_vecs = BUS1_FROM_PTR(data) };
	ok(libbus1_recv(a, &meta, &m) == 0 && m.n_data == 5 &&
	   !memcmp(data, "there", 5), "recv: without an iovec");
	m.flags = 2;
	ok(libbus1_recv(a, &meta, &m) == -EINVAL, "recv: unknown flags");
	close(a);
}

/* Send @size patterned bytes and @n copies of @carried to @handle. */
static int send_big(int peer, uint64_t handle, size_t size, uint64_t carried,
		    size_t n)
{
	struct bus1_transfer *t = calloc(n + 1, sizeof(*t));
	unsigned char *data = malloc(size + 1);
	size_t i;
	int r;

	for (i = 0; i < size; i++)
		data[i] = i * 31 + (i >> 12);
	for (i = 0; i < n; i++)
		t[i].id = carried;
	r = libbus1_post(peer, handle, data, size, t, n);
	free(t);
	free(data);
	return r;
}

static bool is_big(const struct libbus1_msg *msg, size_t size)
{
	const unsigned char *data = msg->data;
	size_t i;

	for (i = 0; i < size; i++)
		if (data[i] != (unsigned char)(i * 31 + (i >> 12)))
			return false;
	return msg->n_data == size;
}

static void test_msg(void)
{
	int a = libbus1_open(), b = libbus1_open();
	const size_t size = 3 << 20, many = 100;
	uint64_t node, to, handle;
	struct libbus1_msg msg;
	bool usable = true;
	void *before;
	size_t i;

	node = b1_node_to(b, a, &to);
	b1_node(a, &handle);
	libbus1_msg_init(&msg, 0, 0);
	ok(libbus1_msg_recv(&msg, b) == -EAGAIN && msg.type == BUS1_INVALID &&
	   !msg.n_data && !msg.n_handles, "msg: nothing there");

	send_big(a, to, 100, 0, 0);
	ok(libbus1_msg_recv(&msg, b) == 0 && msg.type == 0 && msg.id == node &&
	   msg.account == geteuid() && is_big(&msg, 100) && !msg.n_handles,
	   "msg: a small one");

	send_big(a, to, size, handle, many);
	ok(libbus1_msg_recv(&msg, b) == 0 && is_big(&msg, size) &&
	   msg.n_handles == many, "msg: grows for 3 MiB and 100 handles");
	for (i = 0; i < many; i++)
		usable &= b1_has_handle(b, msg.handles[i]) &&
			  (!i || msg.handles[i] != msg.handles[i - 1]);
	ok(usable, "msg: each of its IDs is a handle");
	ok(libbus1_release(b, msg.handles, msg.n_handles) == 0 &&
	   handles(b) == 0, "msg: and fit for release as they are");

	before = msg.data;
	send_big(a, to, size, 0, 0);
	ok(libbus1_msg_recv(&msg, b) == 0 && is_big(&msg, size) &&
	   msg.data == before, "msg: the room is used again");

	/* The room is larger than the limit now: the limit must still hold. */
	msg.max_data = 5000;
	msg.max_handles = 3;
	send_big(a, to, 5001, handle, 2);
	send_big(a, to, 5000, handle, 4);
	send_big(a, to, 5000, handle, 3);
	ok(libbus1_msg_recv(&msg, b) == -EMSGSIZE && msg.n_data == 5001 &&
	   msg.n_handles == 2 && libbus1_wait(b, 0) == 1,
	   "msg: a byte too long is refused, and stays");
	ok(libbus1_msg_recv(&msg, b) == -EMSGSIZE && msg.n_data == 5001,
	   "msg: for good");
	msg.max_data = 5001;
	ok(libbus1_msg_recv(&msg, b) == 0 && is_big(&msg, 5001) &&
	   msg.n_handles == 2, "msg: taken where the limit allows");
	libbus1_release(b, msg.handles, 2);
	ok(libbus1_msg_recv(&msg, b) == -EMSGSIZE && msg.n_handles == 4,
	   "msg: a handle too many is refused");
	ok(libbus1_msg_discard(&msg, b) == 0 && msg.id == node &&
	   msg.n_data == 5000 && !msg.n_handles && handles(b) == 0,
	   "msg: and can be discarded, handles included");
	ok(libbus1_msg_recv(&msg, b) == 0 && is_big(&msg, 5000) &&
	   msg.n_handles == 3, "msg: the next one is exactly at the limits");
	libbus1_release(b, msg.handles, 3);
	libbus1_msg_deinit(&msg);
	ok(!msg.data && !msg.handles && msg.max_data == 5001, "msg: deinit");

	/* A limit from the start, smaller than the first room. */
	libbus1_msg_init(&msg, 10, 1);
	send_big(a, to, 11, 0, 0);
	ok(libbus1_msg_recv(&msg, b) == -EMSGSIZE && msg.n_data == 11,
	   "msg: a small limit");
	ok(libbus1_msg_discard(&msg, b) == 0, "msg: discarded");
	libbus1_msg_deinit(&msg);
	close(a);
	close(b);
}

static void test_discard(void)
{
	struct bus1_transfer t[2] = { CREATE, CREATE };
	int a = libbus1_open(), b = libbus1_open();
	uint64_t node, to, third;
	struct libbus1_msg msg;

	node = b1_node_to(b, a, &to);
	libbus1_msg_init(&msg, 0, 0);
	ok(libbus1_msg_discard(&msg, b) == -EAGAIN, "discard: nothing there");
	third = b1_node(a, &(uint64_t){ 0 });
	/* More than the one buffer that all of it goes to, and batches. */
	ok(send_big(a, to, (5 << 20) + 7, b1_copy(a, to, a), 70) == 0 &&
	   libbus1_msg_discard(&msg, b) == 0 && msg.n_data == (5 << 20) + 7 &&
	   msg.id == node && msg.account == geteuid() && handles(b) == 0,
	   "discard: 5 MiB and 70 handles");
	ok(libbus1_post(a, to, "x", 1, t, 2) == 0 &&
	   libbus1_msg_discard(&msg, b) == 0 && b1_handle_gone(a, t[0].id) &&
	   b1_handle_gone(a, t[1].id), "discard: their nodes hear of it");
	libbus1_post(a, b1_copy(a, to, a), "next", 4, NULL, 0);
	ok(libbus1_msg_discard(&msg, b) == 0 && msg.n_data == 4 &&
	   b1_empty(b), "discard: takes one");
	libbus1_release(b, &node, 1);
	ok(libbus1_msg_discard(&msg, a) == 0 &&
	   msg.type == BUS1_MESSAGE_TYPE_NODE_RELEASE &&
	   msg.account == BUS1_INVALID,
	   "discard: a notification is taken as it is");
	libbus1_release(a, &third, 1);
	libbus1_msg_deinit(&msg);
	close(a);
	close(b);
}

static bool is_named(int fd, const char *want)
{
	char path[64], line[128], name[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "bus1-name:\t%63[^\n]", name);
	if (f)
		fclose(f);
	return !strcmp(name, want);
}

static void test_name(void)
{
	int a = libbus1_open(), p[2];

	ok(libbus1_name(a, "lib") == 0 && is_named(a, "lib"), "named");
	ok(libbus1_name(a, "a name") == -EINVAL && is_named(a, "lib"),
	   "a space: EINVAL");
	ok(libbus1_name(a, "01234567890123456789012345678901") == -EMSGSIZE &&
	   is_named(a, "lib"), "32 characters: EMSGSIZE");
	ok(libbus1_name(a, "0123456789012345678901234567890") == 0, "31");
	ok(libbus1_name(a, "") == 0 && is_named(a, ""), "no name any more");
	ok(libbus1_name(a, "again") == 0 && libbus1_name(a, NULL) == 0 &&
	   is_named(a, ""), "by NULL, too");
	if (pipe(p))
		bail_out("pipe");
	ok(libbus1_name(p[0], "pipe") == -ENOTTY, "what has no names: ENOTTY");
	ok(libbus1_name(-1, "none") == -EBADF, "no descriptor: EBADF");
	close(p[0]);
	close(p[1]);
	close(a);
}

static void on_alarm(int signum)
{
	(void)signum;
}

static void test_wait(void)
{
	struct itimerval every = { { 0, 20000 }, { 0, 20000 } };
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	int a = libbus1_open();
	uint64_t handle, start, ms;
	int r;

	b1_node(a, &handle);
	ok(libbus1_wait(a, 0) == 0, "wait: looks");
	sigaction(SIGALRM, &sa, &old);
	setitimer(ITIMER_REAL, &every, NULL);
	start = b1_now();
	r = libbus1_wait(a, 300);
	ms = (b1_now() - start) / 1000000;
	every = (struct itimerval){ 0 };
	setitimer(ITIMER_REAL, &every, NULL);
	sigaction(SIGALRM, &old, NULL);
	alarm(300);
	ok(r == 0 && ms >= 295 && ms < 10000,
	   "wait: neither ends nor starts anew with a signal (%llu ms)",
	   (unsigned long long)ms);
	libbus1_post(a, handle, "x", 1, NULL, 0);
	ok(libbus1_wait(a, -1) == 1, "wait: finds");
	close(a);
	ok(libbus1_wait(a, 0) == -EBADF && libbus1_wait(-1, 300) == -EBADF,
	   "wait: on nothing");
}

int main(void)
{
	close(b1_open()); /* says so if there is no module */
	test_open();
	test_transfer();
	test_send();
	test_recv();
	test_msg();
	test_discard();
	test_wait();
	test_name();
	return done_testing();
}
