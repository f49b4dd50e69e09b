/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_SLEEPER_H
#define _TESTS_SLEEPER_H

/*
 * DOC: threads that sleep in RECV, RECV_BATCH or CALL
 *
 * Whether one sleeps is asked of the kernel, so no test has to guess how long
 * that takes. SIGUSR1 has a handler without SA_RESTART, SIGUSR2 one with it.
 */
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "b1.h"

#define MS 1000000ull
/* How long something may take that should happen at once. */
#define SLEEPER_LATE (10000 * MS)

enum sleeper_how { BY_RECV, BY_BATCH, BY_CALL };

struct sleeper {
	pthread_t thread;
	int fd;
	enum sleeper_how how;
	uint64_t deadline; /* not of BY_RECV */
	uint64_t to; /* BY_CALL */
	uint64_t room; /* bytes */
	struct b1_msg m;
	int result;
	uint64_t ended;
	atomic_int tid;
	atomic_bool finished;
};

static atomic_uint sleeper_signals;

static void sleeper_handler(int sig)
{
	(void)sig;
	atomic_fetch_add(&sleeper_signals, 1);
}

__attribute__((constructor)) static void sleeper_init(void)
{
	struct sigaction sa = { .sa_handler = sleeper_handler };

	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &sa, NULL);
}

/* What /proc says of a thread or process: the first line of @file with @key. */
static inline bool task_line(int tid, const char *file, const char *key,
			     char *line, int size)
{
	char path[64];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, file);
	f = fopen(path, "re");
	while (f && !found && fgets(line, size, f))
		found = !strncmp(line, key, strlen(key));
	if (f)
		fclose(f);
	return found;
}

/* Does it sleep in an ioctl, where a signal can wake it? */
static inline bool task_sleeps(int tid)
{
	char line[256], want[16];

	snprintf(want, sizeof(want), "%d ", SYS_ioctl);
	return task_line(tid, "syscall", want, line, sizeof(line)) &&
	       task_line(tid, "status", "State:\tS", line, sizeof(line));
}

static inline bool task_asleep(int tid)
{
	int i;

	for (i = 0; i < 10000; i++) {
		if (task_sleeps(tid))
			return true;
		b1_msleep(1);
	}
	return false;
}

/* How often it went to sleep so far. */
static inline unsigned long task_switches(int tid)
{
	static const char key[] = "voluntary_ctxt_switches:";
	char line[256];

	if (!task_line(tid, "status", key, line, sizeof(line)))
		bail_out("no %s of %d", key, tid);
	return strtoul(line + strlen(key), NULL, 10);
}

static void *sleeper_run(void *arg)
{
	struct bus1_message msg = b1_flat("call", 4);
	struct sleeper *s = arg;
	uint64_t got;

	b1_room(&s->m, B1_ROOM_TRANSFERS, s->room, true);
	atomic_store(&s->tid, syscall(SYS_gettid));
	switch (s->how) {
	case BY_RECV:
		s->result = b1_recv_into(s->fd, BUS1_RECV_FLAG_WAIT, &s->m);
		break;
	case BY_BATCH:
		s->result = b1_batch(s->fd, BUS1_RECV_FLAG_WAIT, s->deadline,
				     &s->m, 1, &got);
		if (s->result == 0 && got != 1)
			s->result = B1_DIRTY;
		break;
	case BY_CALL:
		s->result = b1_call_msg(s->fd, s->to, s->deadline, &msg, &s->m);
	}
	s->ended = b1_now();
	atomic_store(&s->finished, true);
	return NULL;
}

static inline void sleeper_start(struct sleeper *s)
{
	atomic_store(&s->tid, 0);
	atomic_store(&s->finished, false);
	pthread_create(&s->thread, NULL, sleeper_run, s);
	while (!atomic_load(&s->tid))
		b1_msleep(1);
}

/* Start one, and see it asleep. */
static inline void sleeper_how(struct sleeper *s, int fd, enum sleeper_how how,
			       uint64_t deadline, uint64_t to)
{
	*s = (struct sleeper){
		.fd = fd,
		.how = how,
		.deadline = deadline,
		.to = to,
		.room = B1_ROOM_DATA,
	};
	sleeper_start(s);
	if (!task_asleep(s->tid))
		bail_out("a thread that waits does not sleep: %d",
			 atomic_load(&s->finished) ? s->result : -1);
}

static inline void sleeper_wait(struct sleeper *s, int fd)
{
	sleeper_how(s, fd, BY_RECV, BUS1_INVALID, 0);
}

/* Its result; one that does not come is woken by force: ETIME. */
static inline int sleeper_end(struct sleeper *s)
{
	uint64_t begin = b1_now();
	bool late = false;

	while (!atomic_load(&s->finished)) {
		b1_msleep(1);
		if (b1_now() - begin < SLEEPER_LATE)
			continue;
		late = true;
		pthread_kill(s->thread, SIGUSR1);
		b1_msleep(20);
	}
	pthread_join(s->thread, NULL);
	if (late)
		diag("a thread that should be awake slept on");
	return late ? ETIME : s->result;
}

/* It ended, and has this text. */
static inline bool sleeper_has(struct sleeper *s, const char *text)
{
	int r = sleeper_end(s);

	if (!r && s->m.msg.type == BUS1_MESSAGE_TYPE_USER &&
	    s->m.msg.n_data == strlen(text) &&
	    !memcmp(s->m.data, text, strlen(text)))
		return true;
	diag("a sleeper: %s, %llu bytes, not \"%s\"",
	     r ? strerror(r) : "received", (unsigned long long)s->m.msg.n_data,
	     text);
	return false;
}

/* How many of them have ended, once @want have, and a moment later. */
static inline unsigned int sleepers_ended(struct sleeper *s, unsigned int n,
					  unsigned int want)
{
	uint64_t begin = b1_now();
	unsigned int i, k, more = 100;

	for (;;) {
		for (k = i = 0; i < n; i++)
			k += atomic_load(&s[i].finished);
		if (k > want || (k == want && !more--) ||
		    b1_now() - begin > SLEEPER_LATE)
			return k;
		b1_msleep(1);
	}
}

/* Wake and end the others. */
static inline void sleepers_stop(struct sleeper *s, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		while (!atomic_load(&s[i].finished)) {
			pthread_kill(s[i].thread, SIGUSR1);
			b1_msleep(5);
		}
		pthread_join(s[i].thread, NULL);
	}
}

#endif /* _TESTS_SLEEPER_H */
