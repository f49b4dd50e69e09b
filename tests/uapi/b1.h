/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_B1_H
#define _TESTS_B1_H

/*
 * DOC: the bare ioctls, for tests
 *
 * Every call returns 0 or a positive errno. What the kernel may write is
 * poisoned before and compared after each call: a write beyond an array, to a
 * field that is input only, or by a call that failed, turns the result into
 * B1_DIRTY, which no test expects, and says what was written.
 *
 * The helpers that make objects end the program when they fail, because
 * nothing after them would mean anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bus1.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#define B1_DIRTY 9999
#define B1_POISON 0xa5
#define B1_POISON64 ((uint64_t)0xa5a5a5a5a5a5a5a5)

/* Room of struct b1_msg, and the canaries behind it. */
#define B1_ROOM_DATA 4096
#define B1_ROOM_TRANSFERS 64
#define B1_CANARY 16

/* A received message, and the room it was received into. */
struct b1_msg {
	struct bus1_metadata meta;
	struct bus1_message msg;
	struct iovec vec;
	struct bus1_transfer t[B1_ROOM_TRANSFERS + B1_CANARY];
	unsigned char data[B1_ROOM_DATA + B1_CANARY];
};

__attribute__((constructor)) static void b1_watchdog(void)
{
	alarm(300);
}

static inline bool b1_poisoned(const void *p, size_t n)
{
	const unsigned char *c = p;

	while (n--)
		if (*c++ != B1_POISON)
			return false;
	return true;
}

static inline int b1_dirty(const char *what)
{
	diag("the kernel wrote to %s", what);
	return B1_DIRTY;
}

/* Any ioctl; 0 or errno. A return value above 0 is no success. */
static inline int b1_ioctl(int fd, unsigned long cmd, const void *arg)
{
	int r = ioctl(fd, cmd, arg);

	if (r > 0)
		diag("an ioctl returned %d", r);
	return r < 0 ? errno : r ? B1_DIRTY : 0;
}

/* A command, whose own structure the kernel only reads. */
static inline int b1_cmd(int fd, unsigned long cmd, void *arg, size_t size)
{
	unsigned char before[sizeof(struct bus1_cmd_call)];
	int r;

	memcpy(before, arg, size);
	r = b1_ioctl(fd, cmd, arg);
	return memcmp(before, arg, size) ? b1_dirty("the command") : r;
}

static inline bool b1_id_ok(uint64_t id)
{
	return (id & BUS1_MANAGED) && id != BUS1_INVALID && id != B1_POISON64;
}

/* --- the four commands ------------------------------------------------- */

static inline int b1_transfer(int peer, uint64_t to, uint64_t n,
			      struct bus1_transfer *src,
			      struct bus1_transfer *dst)
{
	struct bus1_cmd_transfer cmd = {
		.to = to,
		.n_transfers = n,
		.ptr_src = BUS1_FROM_PTR(src),
		.ptr_dst = BUS1_FROM_PTR(dst),
	};

	return b1_cmd(peer, BUS1_CMD_TRANSFER, &cmd, sizeof(cmd));
}

static inline int b1_release(int peer, uint64_t n, const uint64_t *ids)
{
	struct bus1_cmd_release cmd = {
		.n_ids = n,
		.ptr_ids = BUS1_FROM_PTR(ids),
	};

	return b1_cmd(peer, BUS1_CMD_RELEASE, &cmd, sizeof(cmd));
}

static inline int b1_drop(int peer, uint64_t id)
{
	return b1_release(peer, 1, &id);
}

/* Send @msg, which the kernel only reads, as it is. */
static inline int b1_send_msg(int peer, uint64_t n, const uint64_t *to,
			      int32_t *errors, struct bus1_message *msg)
{
	struct bus1_message before;
	struct bus1_cmd_send cmd = {
		.n_destinations = n,
		.ptr_destinations = BUS1_FROM_PTR(to),
		.ptr_errors = BUS1_FROM_PTR(errors),
		.ptr_message = BUS1_FROM_PTR(msg),
	};
	int r;

	memcpy(&before, msg, sizeof(before));
	r = b1_cmd(peer, BUS1_CMD_SEND, &cmd, sizeof(cmd));
	return memcmp(&before, msg, sizeof(before))
		       ? b1_dirty("the message sent")
		       : r;
}

/* Send bytes and transfers to @n destinations. */
static inline int b1_multicast(int peer, uint64_t n, const uint64_t *to,
			       int32_t *errors, const void *data, size_t len,
			       struct bus1_transfer *t, uint64_t n_t)
{
	struct iovec vec = { (void *)data, len };
	struct bus1_message msg = {
		.type = BUS1_MESSAGE_TYPE_USER,
		.n_transfers = n_t,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = len,
		.n_data_vecs = len ? 1 : 0,
		.ptr_data_vecs = BUS1_FROM_PTR(len ? &vec : NULL),
	};

	return b1_send_msg(peer, n, to, errors, &msg);
}

/* Send bytes to one handle. */
static inline int b1_send(int peer, uint64_t to, const void *data, size_t len)
{
	return b1_multicast(peer, 1, &to, NULL, data, len, NULL, 0);
}

/* Send a string, without its end, to one handle. */
static inline int b1_says(int peer, uint64_t to, const char *text)
{
	return b1_send(peer, to, text, strlen(text));
}

/* Send a string and a copy of one handle. */
static inline int b1_gives(int peer, uint64_t to, const char *text, uint64_t id)
{
	struct bus1_transfer t = { 0, id };

	return b1_multicast(peer, 1, &to, NULL, text, strlen(text), &t, 1);
}

/*
 * Set while another thread may make a message vanish that is just copied: what
 * RECV then says may come after it wrote to the metadata and the arrays.
 */
static bool b1_racing;

/* Compare what RECV may not write. */
static inline int b1_recv_check(const struct b1_msg *m,
				const struct b1_msg *given, int r)
{
	bool got = r == 0, sized = r == 0 || r == EMSGSIZE;
	uint64_t n_t = got ? m->msg.n_transfers : 0;
	uint64_t n_data = got ? m->msg.n_data : 0;
	uint64_t i;

	if (memcmp(&m->vec, &given->vec, sizeof(m->vec)))
		return b1_dirty("the iovec");
	if (m->msg.ptr_transfers != given->msg.ptr_transfers ||
	    m->msg.ptr_data_vecs != given->msg.ptr_data_vecs ||
	    m->msg.n_data_vecs != given->msg.n_data_vecs ||
	    m->msg.flags != given->msg.flags)
		return b1_dirty("message fields that are not output");
	if (!got && m->msg.type != given->msg.type)
		return b1_dirty("the type of a failed receive");
	if (!sized && memcmp(&m->msg, &given->msg, sizeof(m->msg)))
		return b1_dirty("the message of a failed receive");
	if (!got && b1_racing)
		return r;
	if (!got && !b1_poisoned(&m->meta, sizeof(m->meta)))
		return b1_dirty("the metadata of a failed receive");
	if (r == EMSGSIZE && m->msg.n_transfers <= given->msg.n_transfers &&
	    m->msg.n_data <= given->msg.n_data)
		return b1_dirty("sizes that were enough");
	if (n_t > given->msg.n_transfers || n_t > B1_ROOM_TRANSFERS ||
	    n_data > given->msg.n_data || n_data > B1_ROOM_DATA)
		return b1_dirty("counts larger than the room");
	if (!b1_poisoned(m->t + n_t, sizeof(m->t) - n_t * sizeof(*m->t)))
		return b1_dirty("transfers beyond those received");
	if (!b1_poisoned(m->data + n_data, sizeof(m->data) - n_data))
		return b1_dirty("data beyond what was received");
	if (!got)
		return r;
	if (m->meta.flags || m->msg.type >= _BUS1_MESSAGE_TYPE_N ||
	    !b1_id_ok(m->meta.id))
		return b1_dirty("metadata or type, and wrongly");
	if (m->msg.type != BUS1_MESSAGE_TYPE_USER &&
	    (n_t || n_data || m->meta.account != BUS1_INVALID))
		return b1_dirty("a notification more than its ID");
	for (i = 0; i < n_t; i++)
		if (m->t[i].flags || !b1_id_ok(m->t[i].id))
			return b1_dirty("a transfer, and wrongly");
	return r;
}

/* Room for so much, poisoned; @flat: no iovec. */
static inline void b1_room(struct b1_msg *m, uint64_t n_t, uint64_t n_data,
			   bool flat)
{
	memset(m, B1_POISON, sizeof(*m));
	m->vec = (struct iovec){ m->data, n_data };
	m->msg = (struct bus1_message){
		.flags = flat ? BUS1_MESSAGE_FLAG_FLAT : 0,
		.type = BUS1_INVALID,
		.n_transfers = n_t,
		.ptr_transfers = BUS1_FROM_PTR(m->t),
		.n_data = n_data,
		.n_data_vecs = flat ? n_data : 1,
		.ptr_data_vecs = flat ? BUS1_FROM_PTR(m->data) :
					BUS1_FROM_PTR(&m->vec),
	};
}

/* Receive into such room. */
static inline int b1_recv_into(int peer, uint64_t flags, struct b1_msg *m)
{
	struct bus1_cmd_recv cmd = {
		.flags = flags,
		.ptr_metadata = BUS1_FROM_PTR(&m->meta),
		.ptr_message = BUS1_FROM_PTR(&m->msg),
	};
	struct b1_msg given;
	int r;

	given.msg = m->msg;
	given.vec = m->vec;
	r = b1_cmd(peer, BUS1_CMD_RECV, &cmd, sizeof(cmd));
	return b1_recv_check(m, &given, r);
}

/* Receive with so much room. */
static inline int b1_recv_room(int peer, struct b1_msg *m, uint64_t n_t,
			       uint64_t n_data)
{
	b1_room(m, n_t, n_data, false);
	return b1_recv_into(peer, 0, m);
}

static inline int b1_recv(int peer, struct b1_msg *m)
{
	return b1_recv_room(peer, m, B1_ROOM_TRANSFERS, B1_ROOM_DATA);
}

/* --- extensions --------------------------------------------------------- */

/* A message to send, in one piece. */
static inline struct bus1_message b1_flat(const void *data, size_t len)
{
	return (struct bus1_message){
		.flags = BUS1_MESSAGE_FLAG_FLAT,
		.type = BUS1_MESSAGE_TYPE_USER,
		.n_data = len,
		.n_data_vecs = len,
		.ptr_data_vecs = BUS1_FROM_PTR(data),
	};
}

/* b1_call(): the message was sent, and this is why none was received. */
#define B1_SENT(_errno) (10000 + (_errno))

/* CALL with this message, into room made by b1_room(). */
static inline int b1_call_msg(int peer, uint64_t to, uint64_t deadline,
			      const struct bus1_message *msg, struct b1_msg *m)
{
	struct bus1_cmd_call cmd = {
		.deadline = deadline,
		.destination = to,
		.send = *msg,
		.received = { m->meta, m->msg },
	}, before = cmd;
	struct b1_msg given;
	int r, e;

	given.msg = m->msg;
	given.vec = m->vec;
	r = ioctl(peer, BUS1_CMD_CALL, &cmd);
	e = r < 0 ? errno : r;
	m->meta = cmd.received.metadata;
	m->msg = cmd.received.message;
	before.received = cmd.received;
	if (memcmp(&cmd, &before, sizeof(cmd)))
		return b1_dirty("the command");
	/* What did not send did not receive either, not even the sizes. */
	if (b1_recv_check(m, &given, r < 0 ? ECANCELED : r) == B1_DIRTY)
		return B1_DIRTY;
	return r > 0 ? B1_SENT(r) : e;
}

/* CALL with a string, and with room for all that struct b1_msg can hold. */
static inline int b1_call(int peer, uint64_t to, uint64_t deadline,
			  const char *text, struct b1_msg *m)
{
	struct bus1_message msg = b1_flat(text, strlen(text));

	b1_room(m, B1_ROOM_TRANSFERS, B1_ROOM_DATA, true);
	return b1_call_msg(peer, to, deadline, &msg, m);
}

/*
 * RECV_BATCH into @n rooms made by b1_room(); @got of them are used. The one
 * behind may say what it lacks, those behind that are as they were.
 */
static inline int b1_batch(int peer, uint64_t flags, uint64_t deadline,
			   struct b1_msg *m, uint64_t n, uint64_t *got)
{
	struct bus1_received *v = calloc(n + 1, sizeof(*v));
	struct bus1_cmd_recv_batch cmd = {
		.flags = flags,
		.deadline = deadline,
		.n_received = n,
		.ptr_received = BUS1_FROM_PTR(v),
	}, before = cmd;
	bool clean = true;
	struct b1_msg given;
	uint64_t i;
	int r, e;

	if (!v)
		bail_out("no memory");
	for (i = 0; i < n; i++)
		v[i] = (struct bus1_received){ m[i].meta, m[i].msg };
	memset(&v[n], B1_POISON, sizeof(*v));
	r = ioctl(peer, BUS1_CMD_RECV_BATCH, &cmd);
	e = r < 0 ? errno : 0;
	*got = r < 0 ? 0 : r;
	for (i = 0; i < n; i++) {
		given.msg = m[i].msg;
		given.vec = m[i].vec;
		m[i].meta = v[i].metadata;
		m[i].msg = v[i].message;
		clean &= b1_recv_check(&m[i], &given, i < *got ? 0 :
				       i > *got ? ECANCELED :
				       m[i].msg.n_data != given.msg.n_data ||
				       m[i].msg.n_transfers !=
				       given.msg.n_transfers ? EMSGSIZE :
				       ECANCELED) != B1_DIRTY;
	}
	clean &= b1_poisoned(&v[n], sizeof(*v)) &&
		 !memcmp(&cmd, &before, sizeof(cmd));
	free(v);
	return clean && *got <= n ? e : b1_dirty("what is not output");
}

/* --- objects ------------------------------------------------------------ */

static inline int b1_open(void)
{
	int fd = open("/dev/bus1", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		bail_out("cannot open /dev/bus1: %s; load the module",
			 strerror(errno));
	return fd;
}

/* A node in @peer and its first handle in @to; returns the node. */
static inline uint64_t b1_node_to(int peer, int to, uint64_t *handle)
{
	struct bus1_transfer src = { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };
	struct bus1_transfer dst = { B1_POISON64, B1_POISON64 };
	int r = b1_transfer(peer, to, 1, &src, &dst);

	if (r || src.flags || dst.flags || !b1_id_ok(src.id) ||
	    !b1_id_ok(dst.id))
		bail_out("cannot make a node: %s", strerror(r));
	*handle = dst.id;
	return src.id;
}

/* A node and a handle to it in the same peer. */
static inline uint64_t b1_node(int peer, uint64_t *handle)
{
	return b1_node_to(peer, peer, handle);
}

/* A copy of a handle of @peer in @to. */
static inline uint64_t b1_copy(int peer, uint64_t handle, int to)
{
	struct bus1_transfer src = { 0, handle };
	struct bus1_transfer dst = { B1_POISON64, B1_POISON64 };
	int r = b1_transfer(peer, to, 1, &src, &dst);

	if (r || src.flags || src.id != handle || dst.flags ||
	    !b1_id_ok(dst.id))
		bail_out("cannot copy a handle: %s", strerror(r));
	return dst.id;
}

/* --- what is true of a peer --------------------------------------------- */

/* Does poll() report EPOLLIN, and nothing unexpected beside it? */
static inline bool b1_readable(int peer)
{
	struct pollfd p = { .fd = peer, .events = POLLIN | POLLOUT };

	if (poll(&p, 1, 0) < 1 || !(p.revents & POLLOUT) ||
	    (p.revents & ~(POLLIN | POLLOUT)))
		diag("poll reports %#x", p.revents);
	return p.revents & POLLIN;
}

/* Nothing is receivable, by poll and by RECV. */
static inline bool b1_empty(int peer)
{
	struct b1_msg m;
	bool in = b1_readable(peer);
	int r = b1_recv(peer, &m);

	if (r == EAGAIN && !in)
		return true;
	diag("not empty: poll %d, recv %s, type %llu id %llu", in,
	     r ? strerror(r) : "got a message",
	     r ? 0 : (unsigned long long)m.msg.type,
	     r ? 0 : (unsigned long long)m.meta.id);
	return false;
}

/* The next thing received is this notification. */
static inline bool b1_notified(int peer, uint64_t type, uint64_t id)
{
	struct b1_msg m;
	bool in = b1_readable(peer);
	int r = b1_recv_room(peer, &m, 0, 0);

	if (!r && in && m.msg.type == type && m.meta.id == id)
		return true;
	diag("expected type %llu id %llu; poll %d, recv %s, type %llu id %llu",
	     (unsigned long long)type, (unsigned long long)id, in, strerror(r),
	     r ? 0 : (unsigned long long)m.msg.type,
	     r ? 0 : (unsigned long long)m.meta.id);
	return false;
}

static inline bool b1_node_gone(int peer, uint64_t handle)
{
	return b1_notified(peer, BUS1_MESSAGE_TYPE_NODE_RELEASE, handle);
}

static inline bool b1_handle_gone(int peer, uint64_t node)
{
	return b1_notified(peer, BUS1_MESSAGE_TYPE_HANDLE_RELEASE, node);
}

/* The next two are these notifications, of one call, in either order. */
static inline bool b1_both(int peer, uint64_t node_gone, uint64_t handle_gone)
{
	struct b1_msg m[2];
	int i;

	for (i = 0; i < 2; i++)
		if (!b1_readable(peer) || b1_recv_room(peer, &m[i], 0, 0))
			return false;
	i = m[0].msg.type == BUS1_MESSAGE_TYPE_NODE_RELEASE ? 0 : 1;
	return m[i].msg.type == BUS1_MESSAGE_TYPE_NODE_RELEASE &&
	       m[i].meta.id == node_gone &&
	       m[!i].msg.type == BUS1_MESSAGE_TYPE_HANDLE_RELEASE &&
	       m[!i].meta.id == handle_gone;
}

/* The next thing is this message; what it carried stays in @m. */
static inline bool b1_hears_msg(int peer, uint64_t node, const void *data,
				size_t len, uint64_t n_t, struct b1_msg *m)
{
	bool in = b1_readable(peer);
	int r = b1_recv(peer, m);

	if (!r && in && m->msg.type == BUS1_MESSAGE_TYPE_USER &&
	    m->meta.id == node && m->msg.n_transfers == n_t &&
	    m->msg.n_data == len && !memcmp(m->data, data, len))
		return true;
	diag("expected a message of %zu at node %llu; poll %d, recv %s", len,
	     (unsigned long long)node, in, strerror(r));
	if (!r)
		diag("got type %llu id %llu, %llu bytes, %llu handles",
		     (unsigned long long)m->msg.type,
		     (unsigned long long)m->meta.id,
		     (unsigned long long)m->msg.n_data,
		     (unsigned long long)m->msg.n_transfers);
	return false;
}

/* The next thing is this text, without handles. */
static inline bool b1_hears(int peer, uint64_t node, const char *text)
{
	struct b1_msg m;

	return b1_hears_msg(peer, node, text, strlen(text), 0, &m);
}

/*
 * Is @id a handle of @peer? A send of nothing to nobody that carries it looks
 * it up and has no effect.
 */
static inline bool b1_has_handle(int peer, uint64_t id)
{
	struct bus1_transfer t = { 0, id };

	return b1_multicast(peer, 0, NULL, NULL, NULL, 0, &t, 1) == 0;
}

/* --- strictness: a call that fails leaves everything as it was ----------- */

/* A number from /proc/self/fdinfo, such as "bus1-nodes". */
static inline uint64_t b1_count(int peer, const char *key)
{
	char path[64], line[256];
	unsigned long long v;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", peer);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		size_t n = strlen(key);

		if (!strncmp(line, key, n) && line[n] == ':' &&
		    sscanf(line + n + 1, "%llu", &v) == 1) {
			fclose(f);
			return v;
		}
	}
	if (f)
		fclose(f);
	bail_out("no line %s in %s", key, path);
}

struct b1_state {
	int peer;
	uint64_t nodes, handles, queued, bytes;
	bool in;
};

static struct b1_state b1_watched[4];
static unsigned int b1_n_watched;

static inline void b1_state_get(int peer, struct b1_state *s)
{
	s->peer = peer;
	s->nodes = b1_count(peer, "bus1-nodes");
	s->handles = b1_count(peer, "bus1-handles");
	s->queued = b1_count(peer, "bus1-queued");
	s->bytes = b1_count(peer, "bus1-queued-bytes");
	s->in = b1_readable(peer);
}

/* Remember how one or two peers are; -1: no second one. */
static inline void b1_watch(int one, int two)
{
	b1_n_watched = 0;
	b1_state_get(one, &b1_watched[b1_n_watched++]);
	if (two >= 0)
		b1_state_get(two, &b1_watched[b1_n_watched++]);
}

/* Are they still as they were? */
static inline bool b1_unchanged(void)
{
	struct b1_state s;
	unsigned int i;

	for (i = 0; i < b1_n_watched; i++) {
		const struct b1_state *w = &b1_watched[i];

		b1_state_get(w->peer, &s);
		if (s.nodes == w->nodes && s.handles == w->handles &&
		    s.queued == w->queued && s.bytes == w->bytes &&
		    s.in == w->in)
			continue;
		diag("watched peer %u changed: nodes %d handles %d queued %d "
		     "bytes %d poll %d",
		     i, (int)(s.nodes - w->nodes),
		     (int)(s.handles - w->handles), (int)(s.queued - w->queued),
		     (int)(s.bytes - w->bytes), s.in - w->in);
		return false;
	}
	return true;
}

/* The call failed with @want, and the watched peers are unchanged. */
static inline __attribute__((format(printf, 3, 4))) bool
b1_refused(int r, int want, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r != want)
		diag("got %s", r ? strerror(r) : "success");
	return ok(r == want && b1_unchanged(), "%s: %s", text, strerror(want));
}

/* --- bad pointers ----------------------------------------------------------
 */

struct b1_bad {
	const char *what;
	uint64_t addr;
};

#define B1_N_BAD 8

/* The last @size bytes before an address that is not mapped. */
static inline void *b1_edge(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t room = (size + page - 1) / page * page;
	char *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || munmap(p + room, page))
		bail_out("cannot map memory");
	return p + room - size;
}

/* A copy of @size bytes in memory that can only be read. */
static inline void *b1_const(const void *from, size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t room = (size + page - 1) / page * page;
	char *p = mmap(NULL, room, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail_out("cannot map memory");
	memcpy(p, from, size);
	mprotect(p, room, PROT_READ);
	return p;
}

/*
 * Addresses at which an object like the one at @good cannot be accessed. Where
 * a part of it can be read, it is the same as there. @out: the kernel writes.
 */
static inline unsigned int b1_bad(struct b1_bad *bad, const void *good,
				  size_t size, bool out)
{
	size_t half = size / 2 > 8 ? size / 2 & ~(size_t)7 : size / 2;
	char *edge = b1_edge(half);
	unsigned int n = 0;

	memcpy(edge, good, half);
	bad[n++] = (struct b1_bad){ "null", 0 };
	bad[n++] =
		(struct b1_bad){ "unmapped", BUS1_FROM_PTR(b1_edge(64) + 64) };
	bad[n++] = (struct b1_bad){ "half mapped", BUS1_FROM_PTR(edge) };
	bad[n++] = (struct b1_bad){ "kernel", 0xffff888000000000 };
	bad[n++] = (struct b1_bad){ "not canonical", 0x4000000000000000 };
	bad[n++] = (struct b1_bad){ "ends at 2^64", -(uint64_t)size };
	bad[n++] = (struct b1_bad){ "wraps", -(uint64_t)half };
	if (out)
		bad[n++] =
			(struct b1_bad){ "read-only",
					 BUS1_FROM_PTR(b1_const(good, size)) };
	return n;
}

static inline uint64_t b1_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static inline void b1_msleep(unsigned int ms)
{
	usleep(ms * 1000);
}

/* Wait for a child; true if it exited with 0. */
static inline bool b1_child_ok(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (status)
		diag("child ended with status %#x", status);
	return status == 0;
}

#endif /* _TESTS_B1_H */
