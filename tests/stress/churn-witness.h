/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_CHURN_WITNESS_H
#define _TESTS_CHURN_WITNESS_H

/*
 * DOC: witnesses
 *
 * Each is a peer of one thread which gives handles to its nodes into the churn,
 * and takes handles out of it. Of each node it must hear once that the last
 * handle is gone, of each handle once that its node is gone, whatever became of
 * those who had them; and in the end there is nothing left.
 */
#include <stdarg.h>

#include "churn.h"

#define WITNESSES 2
#define KEEP 64
#define ALIVE 1000
/* More than anybody sends */
#define ROOM_BYTES 131072
#define ROOM_HANDLES 4096

/* What a witness knows of an ID of its own. */
enum { NEVER, NODE, NODE_DONE, GIVEN, GIVEN_DONE };

struct witness {
	int fd;
	uint64_t rand;
	uint8_t *state; /* by ID >> 1 */
	uint64_t kept[KEEP]; /* handles that came in messages */
	uint32_t n_kept, n_nodes, n_given; /* not done yet */
	uint64_t sum_nodes, sum_given, sum_messages, wrong;
};

static struct witness witness[WITNESSES];

static __attribute__((format(printf, 2, 3))) void
wrong(struct witness *w, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (w->wrong++ < 5)
		diag("witness %d: %s", (int)(w - witness), text);
}

static uint8_t *state(struct witness *w, uint64_t id)
{
	if (id / 2 >= MAX_ID)
		bail_out("ID %llu is no counter", (unsigned long long)id);
	return &w->state[id / 2];
}

static void drop_given(struct witness *w, uint64_t id)
{
	int r = raw_release(w->fd, 1, &id);

	if (r)
		wrong(w, "cannot release handle %llu: %s",
		      (unsigned long long)id, strerror(r));
	*state(w, id) = GIVEN_DONE;
	w->n_given--;
}

/*
 * A handle to whatever node, perhaps of a witness: it is released at the latest
 * in the end, or the two would wait for each other.
 */
static void keep(struct witness *w, uint64_t id)
{
	uint32_t k;

	if (w->n_kept == KEEP) {
		k = rnd(&w->rand, KEEP);
		drop_given(w, w->kept[k]);
		w->kept[k] = w->kept[--w->n_kept];
	}
	w->kept[w->n_kept++] = id;
}

/* Receive one; false if there was nothing. */
static bool hear(struct witness *w)
{
	static __thread struct bus1_transfer t[ROOM_HANDLES];
	static __thread unsigned char data[ROOM_BYTES];
	struct raw_msg m = { 0 };
	uint32_t i;
	int r = raw_recv(w->fd, &m, data, sizeof(data), t, ROOM_HANDLES);

	if (r) {
		if (r != EAGAIN)
			wrong(w, "RECV: %s", strerror(r));
		return false;
	}
	switch (m.type) {
	case BUS1_MESSAGE_TYPE_USER:
		w->sum_messages++;
		if (*state(w, m.id) != NODE)
			wrong(w, "a message on node %llu in state %u",
			      (unsigned long long)m.id, *state(w, m.id));
		for (i = 0; i < m.n_t; i++) {
			if (*state(w, t[i].id) != NEVER)
				wrong(w, "ID %llu twice",
				      (unsigned long long)t[i].id);
			*state(w, t[i].id) = GIVEN;
			w->n_given++;
			w->sum_given++;
			keep(w, t[i].id);
		}
		break;
	case BUS1_MESSAGE_TYPE_NODE_RELEASE:
		if (*state(w, m.id) != GIVEN)
			wrong(w, "NODE_RELEASE of %llu in state %u",
			      (unsigned long long)m.id, *state(w, m.id));
		else
			w->n_given--;
		*state(w, m.id) = GIVEN_DONE;
		for (i = 0; i < w->n_kept; i++)
			if (w->kept[i] == m.id)
				w->kept[i] = w->kept[--w->n_kept];
		break;
	default:
		if (*state(w, m.id) != NODE)
			wrong(w, "HANDLE_RELEASE of %llu in state %u",
			      (unsigned long long)m.id, *state(w, m.id));
		else
			w->n_nodes--;
		*state(w, m.id) = NODE_DONE;
	}
	return true;
}

/* A node of the witness for the churn. */
static void give(struct witness *w)
{
	uint32_t slot = rnd(&w->rand, SLOTS);
	uint64_t node, handle;
	int r = raw_node(w->fd, sh->fd[slot], &node, &handle);

	if (r) {
		if (r != EBADF && r != EOPNOTSUPP && r != ENOMEM &&
		    r != EDQUOT)
			wrong(w, "cannot make a node: %s", strerror(r));
		return;
	}
	*state(w, node) = NODE;
	w->n_nodes++;
	w->sum_nodes++;
	if (rnd(&w->rand, 10) == 0) {
		/* the owner goes first: nothing more will be heard */
		r = raw_release(w->fd, 1, &node);
		if (r)
			wrong(w, "cannot release node %llu: %s",
			      (unsigned long long)node, strerror(r));
		*state(w, node) = NODE_DONE;
		w->n_nodes--;
	}
	note_id(&w->rand, slot, handle);
}

/* A handle out of the churn, made there or copied. */
static void get(struct witness *w)
{
	uint32_t slot = rnd(&w->rand, SLOTS);
	uint64_t node, handle;
	bool create = rnd(&w->rand, 2);
	int fd = sh->fd[slot], r;

	if (create)
		r = raw_node(fd, w->fd, &node, &handle);
	else
		r = raw_copy(fd, some_id(&w->rand, slot), w->fd, &handle);
	if (fine(CHURN_TRANSFER, r))
		return;
	*state(w, handle) = GIVEN;
	w->n_given++;
	w->sum_given++;
	if (!create || rnd(&w->rand, 2))
		keep(w, handle);
	r = raw_send(w->fd, 1, &handle, "hello", 5, NULL, 0);
	if (r && r != ENOMEM && r != EDQUOT)
		wrong(w, "cannot send to %llu: %s",
		      (unsigned long long)handle, strerror(r));
}

static void *witness_run(void *arg)
{
	struct witness *w = arg;
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	uint32_t k;

	while (!sh->stop) {
		if (w->n_nodes < ALIVE)
			give(w);
		if (w->n_given < ALIVE)
			get(w);
		if (w->n_kept && rnd(&w->rand, 4) == 0) {
			k = rnd(&w->rand, w->n_kept);
			drop_given(w, w->kept[k]);
			w->kept[k] = w->kept[--w->n_kept];
		}
		poll(&p, 1, w->n_nodes < ALIVE ? 0 : 10);
		for (k = 16; k && hear(w); k--)
			;
	}
	return NULL;
}

static void witness_start(uint64_t *seed)
{
	uint32_t i;

	for (i = 0; i < WITNESSES; i++) {
		witness[i].fd = raw_open();
		witness[i].rand = raw_rand(seed);
		witness[i].state = map(MAX_ID);
	}
}

/* Everybody else is gone: all is heard of, now or very soon. */
static void witness_end(void)
{
	uint32_t i, left = 1, tries;

	for (tries = 0; left && tries < 1000; tries++) {
		for (left = i = 0; i < WITNESSES; i++) {
			struct witness *w = &witness[i];

			while (hear(w))
				;
			while (w->n_kept)
				drop_given(w, w->kept[--w->n_kept]);
			while (hear(w))
				;
		}
		for (i = 0; i < WITNESSES; i++)
			left += witness[i].n_nodes + witness[i].n_given;
		if (left)
			usleep(10000);
	}
}

/* A number from fdinfo; -1 if it is not there. */
static long info(int fd, const char *key)
{
	char path[64], line[128];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			value = strtol(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return value;
}

static void witness_judge(struct witness *w)
{
	int i = w - witness;
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	long nodes = info(w->fd, "bus1-nodes:");
	long handles = info(w->fd, "bus1-handles:");
	long queued = info(w->fd, "bus1-queued:");

	ok(!w->wrong && w->sum_nodes && w->sum_given && w->sum_messages,
	   "churn: witness %d: %llu nodes, %llu handles, %llu messages; %llu things wrong",
	   i, (unsigned long long)w->sum_nodes,
	   (unsigned long long)w->sum_given,
	   (unsigned long long)w->sum_messages, (unsigned long long)w->wrong);
	ok(!w->n_nodes, "churn: witness %d: HANDLE_RELEASE missing: %u", i,
	   w->n_nodes);
	ok(!w->n_given, "churn: witness %d: NODE_RELEASE missing: %u", i,
	   w->n_given);
	ok(!nodes && !handles && !queued && !poll(&p, 1, 0),
	   "churn: witness %d: left are %ld nodes, %ld handles, %ld messages",
	   i, nodes, handles, queued);
	close(w->fd);
}

#endif /* _TESTS_CHURN_WITNESS_H */
