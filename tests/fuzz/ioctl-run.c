// SPDX-License-Identifier: GPL-2.0-only
/* A sequence by the model, and what there is to see of the bus besides */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ioctl-check.h"

FILE *fuzz_verbose;
volatile unsigned int fuzz_at;
void (*fuzz_event)(uint32_t what);
void (*fuzz_thread_begin)(void);

static struct arena arena;
static int fds[FUZZ_PEERS];
static char names[FUZZ_PEERS][BUS1_MAX_NAME + 1];
static char problem[512];

bool wrong(const char *fmt, ...)
{
	va_list ap;

	if (*problem)
		return false;
	va_start(ap, fmt);
	vsnprintf(problem, sizeof(problem), fmt, ap);
	va_end(ap);
	return false;
}

/* --- what the selectors mean -------------------------------------------- */

static uint64_t nth_id(unsigned int p, enum fuzz_sel kind, unsigned int n)
{
	switch (kind) {
	case SEL_LAST:
		return model_nth_last(p, n);
	case SEL_NODE:
		return model_nth_node(p, n);
	case SEL_GONE:
		return model_nth_gone(p, n);
	default:
		return model_nth_handle(p, n);
	}
}

static int peer_fd(unsigned int p)
{
	return fds[p];
}

static void need(unsigned int p, unsigned int i, struct room *room)
{
	struct model_counts count;
	const struct model_event *e;

	*room = (struct room){ 0, 0 };
	model_count(p, &count);
	if (i >= count.queued)
		return;
	e = model_head(p, i);
	room->n_data = e->n_data;
	room->n_t = e->n_t;
}

static bool ready(const struct call *c)
{
	return model_heads(c->op->peer % FUZZ_PEERS);
}

static const struct chooser by_model = { nth_id, peer_fd, need, ready };

/* --- what is no command ------------------------------------------------- */

int fuzz_open(unsigned int user)
{
	uid_t uid = user % 3 ? 999 + user % 3 : 0;
	int fd;

	/* Of this thread alone, other than by the C library */
	if (uid && syscall(SYS_setresuid, -1, uid, -1))
		return -1;
	fd = open("/dev/bus1", O_RDWR | O_CLOEXEC);
	if (uid && syscall(SYS_setresuid, -1, 0, -1))
		abort();
	return fd;
}

static bool run_open(unsigned int p, unsigned int user)
{
	if (fds[p] >= 0)
		return true;
	fds[p] = fuzz_open(user);
	*names[p] = 0;
	if (fds[p] >= 0)
		model_open(p, user % 3 ? 999 + user % 3 : 0);
	else if (errno != EDQUOT || !check_quota)
		return wrong("open: %s", strerror(errno));
	return true;
}

static bool run_close(unsigned int p)
{
	if (fds[p] < 0)
		return true;
	close(fds[p]);
	fds[p] = -1;
	model_close(p);
	return true;
}

static bool run_poll(unsigned int p)
{
	struct pollfd v = {
		.fd = fds[p],
		.events = POLLIN | POLLOUT | POLLPRI,
	};
	short expect = POLLOUT | (model_heads(p) ? POLLIN : 0);

	if (poll(&v, 1, 0) != 1 || v.revents != expect)
		return wrong("poll says %#x, expected %#x", v.revents, expect);
	return true;
}

static uint64_t field(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 12345678901234;
}

static size_t slurp(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r;

	while (fd >= 0 && (r = read(fd, text + n, room - 1 - n)) > 0)
		n += r;
	text[n] = 0;
	if (fd >= 0)
		close(fd);
	return n;
}

static bool run_fdinfo(unsigned int p)
{
	struct model_counts c;
	char path[64], text[2048], name[64];
	uint64_t objects = 0, bytes = 0;
	const char *at;
	bool named;

	/* What vanished is given back when the queue is looked at. */
	if (!run_poll(p))
		return false;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fds[p]);
	slurp(path, text, sizeof(text));
	model_count(p, &c);
	if (field(text, "bus1-nodes:") != c.nodes ||
	    field(text, "bus1-handles:") != c.handles ||
	    field(text, "bus1-queued:") != c.queued ||
	    field(text, "bus1-queued-bytes:") != c.queued_bytes)
		return wrong("fdinfo, expected %llu nodes, %llu handles, %llu"
			     " queued of %llu bytes:\n%s",
			     (unsigned long long)c.nodes,
			     (unsigned long long)c.handles,
			     (unsigned long long)c.queued,
			     (unsigned long long)c.queued_bytes, text);
	for (at = text; (at = strstr(at, "bus1-claim:")); at++) {
		objects += field(at, " objects=");
		bytes += field(at, " bytes=");
	}
	if (objects < c.objects || objects > c.objects + c.late_objects ||
	    bytes != c.bytes)
		return wrong("fdinfo claims %llu objects and %llu bytes,"
			     " expected %llu and %llu:\n%s",
			     (unsigned long long)objects,
			     (unsigned long long)bytes,
			     (unsigned long long)c.objects,
			     (unsigned long long)c.bytes, text);
	snprintf(name, sizeof(name), "bus1-name:\t%s\n", names[p]);
	named = strstr(text, "bus1-name:");
	if (*names[p] ? !strstr(text, name) : named)
		return wrong("fdinfo, expected the name \"%s\":\n%s", names[p],
			     text);
	return true;
}

/* --- a sequence --------------------------------------------------------- */

static void tell(const struct fuzz_op *op, int r, int e, enum fuzz_bad bad)
{
	enum fuzz_call what = fuzz_op_call(op);
	char line[256];

	if (fuzz_event)
		fuzz_event(what | bad << 8 | (r < 0 ? e : r & 255) << 16 |
			   (uint32_t)(r < 0) << 31);
	if (!fuzz_verbose)
		return;
	fuzz_op_print(op, line, sizeof(line));
	fprintf(fuzz_verbose, "# %2u  %-60s = %s\n", fuzz_at, line,
		*problem ? problem : r < 0 ? strerror(e) :
		r > 0 && what == FUZZ_CALL ? strerror(r) : "ok");
}

static bool run_command(const struct fuzz_op *op, uint32_t stamp)
{
	unsigned int p = op->peer % FUZZ_PEERS;
	struct fuzz_op with = *op;
	struct call c;
	bool good;

	/* Whom a full quota has skipped has to be known. */
	if (check_quota && with.flags & FLAG_CONTINUE)
		with.flags |= FLAG_ERRORS;
	call_build(&c, &with, &arena, stamp, &by_model);
	good = check_call(&c);
	if (good && c.what == FUZZ_NAME && !c.r) {
		memset(names[p], 0, sizeof(names[p]));
		memset(names[p], op->to ? op->to : 'x', c.n);
	}
	tell(op, c.r, c.e, c.bad);
	return good;
}

static bool run_op(const struct fuzz_op *op)
{
	unsigned int p = op->peer % FUZZ_PEERS;
	enum fuzz_call what = fuzz_op_call(op);
	uint32_t stamp = model_begin();
	bool good;

	if (what == FUZZ_TRANSFER && !model_was_open(op->to % FUZZ_PEERS) &&
	    !run_open(op->to % FUZZ_PEERS, 0))
		return false;
	if (!model_was_open(p) && what != FUZZ_OPEN && !run_open(p, p == 3))
		return false;
	if (fds[p] < 0 && what != FUZZ_OPEN)
		return true;
	switch (what) {
	case FUZZ_OPEN:
		good = run_open(p, op->to);
		break;
	case FUZZ_CLOSE:
		good = run_close(p);
		break;
	case FUZZ_POLL:
		good = run_poll(p);
		break;
	case FUZZ_FDINFO:
		good = run_fdinfo(p);
		break;
	default:
		return run_command(op, stamp);
	}
	tell(op, 0, 0, BAD_NONE);
	return good;
}

/* Receive all there is, then give up what is left, or leave that to close. */
static bool run_end(unsigned int p)
{
	struct fuzz_op drain, release;
	struct model_counts c;

	memset(&drain, 0, sizeof(drain));
	memset(&release, 0, sizeof(release));
	while (fuzz_op_call(&drain) != FUZZ_RECV)
		drain.call++;
	while (fuzz_op_call(&release) != FUZZ_RELEASE)
		release.call++;
	drain.peer = release.peer = p;
	do {
		model_count(p, &c);
		if (!run_op(&drain))
			return false;
	} while (c.queued);
	if (!run_fdinfo(p))
		return false;
	release.n = 1;
	release.id[0] = SEL_LAST << 4;
	while (p % 2 == 0 && model_nth_last(p, 0))
		if (!run_op(&release))
			return false;
	return (p % 2 || run_fdinfo(p)) && run_close(p);
}

const char *fuzz_run(const struct fuzz_input *in)
{
	unsigned int i, p;
	const char *what;
	bool good = true;

	*problem = 0;
	if (!arena.r[0].map && (what = arena_init(&arena)))
		return what;
	model_reset();
	check_quota = in->quota;
	if (check_quota && !fuzz_set_quota(in->quota))
		return "cannot set max_objects";
	for (p = 0; p < FUZZ_PEERS; p++)
		fds[p] = -1;
	for (i = 0; i < in->n && good; i++) {
		fuzz_at = i;
		good = run_op(&in->op[i]);
	}
	for (p = 0; p < FUZZ_PEERS && good; p++) {
		fuzz_at = FUZZ_OPS + p;
		good = fds[p] < 0 || run_end(p);
	}
	for (p = 0; p < FUZZ_PEERS; p++)
		if (fds[p] >= 0)
			close(fds[p]);
	if (check_quota)
		fuzz_set_quota(1048576);
	if (good && (what = fuzz_accounts_empty()))
		wrong("all is closed, and still there is: %s", what);
	if ((what = fuzz_kernel_says()))
		wrong("the kernel says: %s", what);
	return *problem ? problem : NULL;
}

/* --- the module and the kernel ------------------------------------------ */

bool fuzz_set_quota(uint64_t max)
{
	int fd = open("/sys/module/bus1/parameters/max_objects",
		      O_WRONLY | O_CLOEXEC);
	char text[32];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)max);
	bool good = fd >= 0 && write(fd, text, n) == n;

	if (fd >= 0)
		close(fd);
	return good;
}

const char *fuzz_accounts_empty(void)
{
	static char text[4096];
	static int fd = -1;
	unsigned int tries;
	char *line;
	ssize_t n;

	if (fd < 0)
		fd = open("/sys/kernel/debug/bus1/accounts",
			  O_RDONLY | O_CLOEXEC);
	/* A user whom somebody is just looking at goes a bit later. */
	for (tries = 0; tries < 1000; tries++) {
		n = pread(fd, text, sizeof(text) - 1, 0);
		if (n < 0)
			return "no accounts in debugfs";
		text[n] = 0;
		line = strchr(text, '\n');
		if (!line || !line[1])
			return NULL;
		usleep(1000);
	}
	return line + 1;
}

/* Whatever is serious has a stack: what was said before that names it. */
const char *fuzz_kernel_says(void)
{
	static char line[1024], first[1024];
	static int fd = -2;
	ssize_t n;

	if (fd == -2) {
		fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			lseek(fd, 0, SEEK_END);
	}
	*first = 0;
	while (fd >= 0 && ((n = read(fd, line, sizeof(line) - 1)) > 0 ||
			   (n < 0 && errno == EPIPE))) {
		if (n < 0)
			continue;
		line[n] = 0;
		if (!*first &&
		    (strstr(line, "BUG:") || strstr(line, "WARNING:")))
			strcpy(first, line);
		if (strstr(line, "Call Trace"))
			return *first ? first : line;
	}
	return NULL;
}
