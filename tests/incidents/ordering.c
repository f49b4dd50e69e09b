// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stages one of the ordering bugs of doc/ordering.md, or the same without the
 * bug, and prints what its user sees. Ends with 1 if there is something to
 * complain of, else with 0.
 *
 *   ordering reply|twice|file [fixed]
 *
 * Each actor is a process with a peer of the same name. What would be left to
 * chance, which of two is the faster, is settled by flags in shared memory, of
 * which nobody who watches the bus knows.
 */
#include <bus1/bus1.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ACTORS = 4,
	MAX_IDS = 2,
	MESSAGE = 32,
	SLOW = 20, /* ms */
	PATIENCE = 10, /* s */
};

struct actor {
	const char *name;
	void (*act)(void);
	/* whom it can send to, by their place */
	int knows[MAX_IDS];
	int n;
};

static struct {
	atomic_int step; /* what somebody waits for */
	atomic_int shown[ACTORS]; /* what a user sees */
} *stage;

static bool fixed;
static FILE *file;
/* Of the actor that this process is: */
static const char *name = "ordering";
static int me, peer;
static uint64_t ids[MAX_IDS];
static struct libbus1_msg msg;

static void die(const char *what, int error)
{
	fprintf(stderr, "%s: %s: %s\n", name, what, strerror(error));
	exit(2);
}

static int must(int r, const char *what)
{
	if (r < 0)
		die(what, -r);
	return r;
}

static void say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	printf("%s: ", name);
	vprintf(format, ap);
	putchar('\n');
	va_end(ap);
}

static void sleep_ms(int ms)
{
	usleep(ms * 1000);
}

static void wait_for(int step)
{
	while (stage->step < step)
		sleep_ms(1);
}

/* One message, one transaction. */
static void post(uint64_t to, const char *text, struct bus1_transfer *carried)
{
	must(libbus1_post(peer, to, text, strlen(text) + 1, carried, !!carried),
	     "SEND");
}

/* One message to all that are known, one transaction. */
static void post_all(const char *text)
{
	struct iovec vec = { (void *)text, strlen(text) + 1 };
	struct bus1_message message = {
		.n_data = vec.iov_len,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};

	must(libbus1_send(peer, 0, ids, MAX_IDS, NULL, &message), "SEND");
}

/* The next message; notifications are taken by the way. */
static const char *receive(void)
{
	do {
		must(libbus1_wait(peer, -1), "wait");
		must(libbus1_msg_recv(&msg, peer), "RECV");
	} while (msg.type != BUS1_MESSAGE_TYPE_USER);
	return msg.data;
}

static int number(const char *text)
{
	return atoi(text + strcspn(text, "0123456789"));
}

/*
 * reply: an app sets the volume. The settings pass that on to the mixer, and
 * reply; the mixer signals to the app what the volume is now.
 */

static void app(void)
{
	struct bus1_transfer reply = { BUS1_TRANSFER_FLAG_CREATE,
				       BUS1_INVALID };
	int shown = 3, volume;

	post(ids[0], "set 7", &reply);
	for (;;) {
		volume = number(receive());
		if (msg.id == reply.id)
			break;
		shown = volume;
	}
	stage->step = 1;
	if (shown == volume) {
		say("%d is set, and shown", volume);
		return;
	}
	say("%d is set, and %d still shown", volume, shown);
	stage->shown[me] = volume;
	receive();
}

static void settings(void)
{
	struct bus1_transfer done = { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };
	int volume = number(receive());
	uint64_t reply = msg.handles[0];
	char text[MESSAGE];

	snprintf(text, sizeof(text), "apply %d", volume);
	post(ids[0], text, fixed ? &done : NULL);
	if (fixed)
		receive();
	snprintf(text, sizeof(text), "is set: %d", volume);
	post(reply, text, NULL);
}

static void mixer(void)
{
	char text[MESSAGE];

	snprintf(text, sizeof(text), "volume %d", number(receive()));
	/* It takes its time. */
	if (fixed)
		sleep_ms(SLOW);
	else
		wait_for(1);
	post(ids[0], text, NULL);
	if (fixed)
		post(msg.handles[0], "applied", NULL);
}

/*
 * twice: the volume can be set at a panel and by a remote control, and both
 * tell the speaker and the display.
 */

static void panel(void)
{
	if (fixed)
		post_all("volume 3");
	else
		post(ids[0], "volume 3", NULL);
	stage->step = 1;
	/* Anything may come between. */
	wait_for(2);
	if (!fixed)
		post(ids[1], "volume 3", NULL);
}

static void remote(void)
{
	wait_for(1);
	post_all("volume 7");
	stage->step = 2;
}

static void follower(void)
{
	receive();
	stage->shown[me] = number(receive());
}

/*
 * file: a store writes to a file which state is the newest, and tells a server
 * the same; a watcher looks at the file, and sends the server work for it.
 */

static void state_write(int state)
{
	char text[MESSAGE];
	int n = snprintf(text, sizeof(text), "state %d", state);

	if (pwrite(fileno(file), text, n, 0) != n)
		die("write", errno);
}

static int state_read(void)
{
	char text[MESSAGE] = "";

	if (pread(fileno(file), text, sizeof(text) - 1, 0) < 0)
		die("read", errno);
	return number(text);
}

static void store(void)
{
	if (fixed) {
		post(ids[0], "state 2", NULL);
		state_write(2);
		return;
	}
	state_write(2);
	/* Anything may come between. */
	wait_for(1);
	post(ids[0], "state 2", NULL);
}

static void watcher(void)
{
	while (state_read() != 2)
		sleep_ms(1);
	post(ids[0], "work on state 2", NULL);
	stage->step = 1;
}

static void server(void)
{
	const char *text = receive();
	int state = number(text);

	if (!strncmp(text, "work", 4)) {
		say("work came for state %d, and 1 is the newest", state);
		stage->shown[me] = state;
	}
	text = receive();
	if (!strncmp(text, "work", 4))
		say("work came for state %d, which is there", state);
}

static const struct {
	const char *name;
	struct actor actors[ACTORS];
} bugs[] = {
	{ "reply", { { "app", app, { 1 }, 1 },
		     { "settings", settings, { 2 }, 1 },
		     { "mixer", mixer, { 0 }, 1 } } },
	{ "twice", { { "speaker", follower, { 0 }, 0 },
		     { "display", follower, { 0 }, 0 },
		     { "panel", panel, { 0, 1 }, 2 },
		     { "remote", remote, { 0, 1 }, 2 } } },
	{ "file", { { "server", server, { 0 }, 0 },
		    { "store", store, { 0 }, 1 },
		    { "watcher", watcher, { 0 }, 1 } } },
};

/* The handle of @from to a new node of @to. */
static uint64_t introduce(int from, int to)
{
	struct bus1_transfer src = { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };
	struct bus1_transfer dst;

	must(libbus1_transfer(to, from, &src, &dst, 1), "TRANSFER");
	return dst.id;
}

/* Peers and handles first, then processes. Whether one ended badly. */
static bool play(const struct actor *actors)
{
	uint64_t known[ACTORS][MAX_IDS] = { 0 };
	int peers[ACTORS], i, j, status;
	bool failed = false;
	pid_t pid;

	for (i = 0; i < ACTORS && actors[i].act; i++) {
		peers[i] = must(libbus1_open(), "/dev/bus1");
		must(libbus1_name(peers[i], actors[i].name), "NAME");
	}
	for (i = 0; i < ACTORS && actors[i].act; i++)
		for (j = 0; j < actors[i].n; j++)
			known[i][j] = introduce(peers[i],
						peers[actors[i].knows[j]]);
	for (i = 0; i < ACTORS && actors[i].act; i++) {
		pid = fork();
		if (pid < 0)
			die("fork", errno);
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, actors[i].name);
		alarm(PATIENCE);
		name = actors[i].name;
		me = i;
		peer = peers[i];
		memcpy(ids, known[i], sizeof(ids));
		libbus1_msg_init(&msg, MESSAGE, 1);
		actors[i].act();
		exit(0);
	}
	while (wait(&status) > 0)
		failed |= status;
	return failed;
}

int main(int argc, char **argv)
{
	size_t i, n = sizeof(bugs) / sizeof(bugs[0]);

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < n; i++)
		if (argc >= 2 && !strcmp(argv[1], bugs[i].name))
			break;
	fixed = argc == 3 && !strcmp(argv[2], "fixed");
	if (i == n || argc != 2 + fixed) {
		fprintf(stderr, "usage: ordering reply|twice|file [fixed]\n");
		return 2;
	}
	stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stage == MAP_FAILED)
		die("mmap", errno);
	file = tmpfile();
	if (!file)
		die("tmpfile", errno);
	if (play(bugs[i].actors))
		return 2;
	if (!strcmp(bugs[i].name, "twice")) {
		name = "user";
		say("the speaker plays at %d, the display shows %d",
		    stage->shown[0], stage->shown[1]);
		return stage->shown[0] != stage->shown[1];
	}
	return !!stage->shown[0];
}
