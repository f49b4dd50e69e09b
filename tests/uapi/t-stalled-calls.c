// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each command stalls at each of its accesses to user memory, of which every
 * one is known: no page is read again once another was touched, but what two
 * entries of a batch share. Two reads in a row are one here: for those see
 * t-doublefetch-count. Everybody else goes on meanwhile. Then it is killed there.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/eventfd.h>

#include "stall-calls.h"

/* A killed caller ends within this; the second chance is for a busy machine. */
#define KILL_MS 1000
#define KILL_TRIES 3

static char *page; /* the stage of all calls, one after the other */
static char copy[STAGE_ROOM];

static void new_pages(void)
{
	page = mmap(NULL, STAGE_ROOM, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		bail_out("no memory");
}

static void old_pages(void)
{
	munmap(page, STAGE_ROOM);
}

/*
 * From here on every page is missing, and one that was only read is read-only.
 */
static void watch_pages(void)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)page, STAGE_ROOM },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};

	if (ioctl(stall_fd, UFFDIO_REGISTER, &reg))
		bail_out("userfaultfd cannot write-protect: %s",
			 strerror(errno));
}

static void *caller(void *arg)
{
	struct stage *st = arg;
	const uint64_t one = 1;

	st->result = stage_run(st);
	if (write(st->ended, &one, sizeof(one)) != sizeof(one))
		bail_out("eventfd");
	return NULL;
}

static void start(struct stage *st)
{
	st->ended = eventfd(0, EFD_CLOEXEC);
	pthread_create(&st->thread, NULL, caller, st);
}

static void evict_page(struct stage *st, int at)
{
	memcpy(stage_at(st, at), page + at * STAGE_SIZE, STAGE_SIZE);
	madvise(page + at * STAGE_SIZE, STAGE_SIZE, MADV_DONTNEED);
}

/*
 * What the last access left is kept, and its page is missing again; but not
 * one of two pages that a single instruction may want both.
 */
static void evict(struct stage *st, int next)
{
	if (st->last < 0 || st->last == next ||
	    (st->last == DATA && next == DATA_END))
		return;
	evict_page(st, st->last);
	if (st->last == DATA_END)
		evict_page(st, DATA);
}

/* Wait for the next access; false if it ended. */
static bool next(struct stage *st, struct uffd_msg *msg)
{
	struct pollfd fds[2] = { { stall_fd, POLLIN, 0 },
				 { st->ended, POLLIN, 0 } };
	unsigned int flags, at;

	if (poll(fds, 2, 20000) < 1)
		bail_out("%s hangs behind \"%s\"", st->call->name,
			 st->accesses);
	if (!(fds[0].revents & POLLIN)) {
		pthread_join(st->thread, NULL);
		close(st->ended);
		evict(st, -1);
		return false;
	}
	if (read(stall_fd, msg, sizeof(*msg)) != sizeof(*msg) ||
	    msg->event != UFFD_EVENT_PAGEFAULT)
		bail_out("userfaultfd");
	flags = msg->arg.pagefault.flags;
	at = (msg->arg.pagefault.address - (uintptr_t)page) / STAGE_SIZE;
	evict(st, at);
	stage_accessed(st, at, flags & (UFFD_PAGEFAULT_FLAG_WRITE |
					UFFD_PAGEFAULT_FLAG_WP));
	return true;
}

static void go_on(struct stage *st, const struct uffd_msg *msg)
{
	const unsigned int flags = msg->arg.pagefault.flags;
	char *at = page + st->last * STAGE_SIZE;
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)at, STAGE_SIZE },
	};
	struct uffdio_copy in = {
		.dst = (uintptr_t)at,
		.src = (uintptr_t)stage_at(st, st->last),
		.len = STAGE_SIZE,
		.mode = flags & UFFD_PAGEFAULT_FLAG_WRITE ?
				0 : UFFDIO_COPY_MODE_WP,
	};

	if (flags & UFFD_PAGEFAULT_FLAG_WP ?
		    ioctl(stall_fd, UFFDIO_WRITEPROTECT, &wp) :
		    ioctl(stall_fd, UFFDIO_COPY, &in))
		bail_out("cannot provide a page: %s", strerror(errno));
}

static void test_stalls(const struct stage_call *call)
{
	struct uffd_msg msg;
	struct stage st;

	new_pages();
	watch_pages();
	stage_open(&st, call, page, copy);
	start(&st);
	while (next(&st, &msg)) {
		stage_probe(&st);
		go_on(&st, &msg);
	}
	stage_end(&st, call->accesses, "");
	old_pages();
}

/* --- kill ----------------------------------------------------------------- */

static void read_state(const struct stage *st, uint64_t v[9])
{
	static const char *const keys[] = { "bus1-nodes", "bus1-handles",
					    "bus1-queued" };
	const int peers[] = { st->p, st->q, st->s };
	int i;

	for (i = 0; i < 9; i++)
		v[i] = b1_count(peers[i / 3], keys[i % 3]);
}

/* The memory of userfaultfd is that of whoever opened it. */
static pid_t start_child(struct stage *st, unsigned int nth)
{
	struct uffd_msg msg;
	int pipes[2];
	pid_t pid;

	if (pipe(pipes))
		bail_out("no pipe");
	pid = fork();
	if (!pid) {
		if (nth) {
			if (!stall_begin())
				_exit(2);
			watch_pages();
			start(st);
			while (next(st, &msg) && st->n_accesses < nth)
				go_on(st, &msg);
			if (st->n_accesses < nth)
				_exit(3);
		}
		(void)!write(pipes[1], st, sizeof(*st));
		if (!nth)
			_exit(b1_recv(st->p, &(struct b1_msg){ 0 }) ? 4 : 5);
		pause();
	}
	close(pipes[1]);
	/* What it has come to. */
	if (read(pipes[0], st, sizeof(*st)) != sizeof(*st))
		bail_out("%s: the child did not stall", st->call->name);
	close(pipes[0]);
	return pid;
}

/*
 * Kill it; how many ms until it is gone. One that stays has to be waited for.
 */
static unsigned int kill_child(pid_t pid, bool *good)
{
	uint64_t begin = b1_now(), ms = 0;
	int status = 0;
	pid_t gone;

	kill(pid, SIGKILL);
	while (!(gone = waitpid(pid, &status, WNOHANG)) && ms < 10 * KILL_MS) {
		usleep(500);
		ms = (b1_now() - begin) / 1000000;
	}
	if (gone != pid || !WIFSIGNALED(status)) {
		diag("%s", gone ? "it ended by itself" : "it cannot be killed");
		*good = false;
	}
	return ms;
}

/* Killed at the @nth access. Returns ms, or 0 if there is no such access. */
static unsigned int kill_at(const struct stage_call *call, unsigned int nth,
			    bool *good)
{
	const bool batch = call->cmd == BUS1_CMD_RECV_BATCH;
	uint64_t before[9], after[9];
	unsigned int ms, ms_waits = 0;
	struct stage st;
	pid_t pid, waits;
	struct b1_msg m;

	alarm(60);
	new_pages();
	stage_open(&st, call, page, copy);
	read_state(&st, before);
	pid = start_child(&st, nth);
	if (stage_may_wait(&st)) {
		waits = start_child(&st, 0);
		ms_waits = kill_child(waits, good);
	}
	ms = kill_child(pid, good);
	/* What it did before it was killed stays done. */
	if (st.sent) {
		before[5]++;
		before[0] += call->n_new;
	}
	if (batch && st.heard) {
		before[1]++;
		before[2]--;
	}
	read_state(&st, after);
	*good &= !memcmp(before, after, sizeof(before));
	if (st.sent) {
		/* The call is over; what was to be received is still there. */
		*good &= !b1_recv(st.q, &m) &&
			 m.msg.n_transfers == call->n_new + call->n_old;
	} else {
		if (batch && st.heard)
			stage_say(&st);
		memcpy(page, st.copy, STAGE_ROOM);
		st.result = stage_run(&st);
		memcpy(st.copy, page, STAGE_ROOM);
		st.heard += batch;
		*good &= stage_result_ok(&st) && call->done(&st);
	}
	while (st.heard < st.said && *good)
		*good = stage_hear(&st);
	if (!*good)
		diag("%s, killed at access %u", call->name, nth);
	stage_close(&st);
	old_pages();
	return ms > ms_waits ? ms : ms_waits;
}

static void test_killed(const struct stage_call *call)
{
	unsigned int nth, n = 1, ms, slowest = 0, tries;
	const char *p;
	bool good = true;

	for (p = call->accesses; (p = strchr(p, ' ')); p++)
		n++;
	for (nth = 1; nth <= n && good; nth++) {
		tries = 0;
		do {
			ms = kill_at(call, nth, &good);
		} while (ms >= KILL_MS && ++tries < KILL_TRIES);
		if (ms > slowest)
			slowest = ms;
	}
	ok(good && slowest < KILL_MS,
	   "%s: killed at each access, in at most %u ms; it left no trace",
	   call->name, slowest);
}

int main(void)
{
	unsigned int i;

	if (!stall_begin()) {
		skip(1, "no userfaultfd: %s", strerror(errno));
		return done_testing();
	}
	for (i = 0; i < STAGE_N_CALLS; i++)
		test_stalls(&stage_calls[i]);
	for (i = 0; i < STAGE_N_CALLS; i++)
		test_killed(&stage_calls[i]);
	return done_testing();
}
