/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TESTS_QUOTA_H
#define _TESTS_QUOTA_H

/*
 * DOC: who pays, for tests
 *
 * Peers of other users, maxima, and what fdinfo, debugfs and the tracepoints
 * say of accounts. All of it needs root. Who changes the maxima gets them back
 * at exit; they count for users that come later.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "b1.h"

#define QUOTA_ACCOUNTS "/sys/kernel/debug/bus1/accounts"
#define QUOTA_TRACING "/sys/kernel/tracing/"
#define QUOTA_PARAMETERS "/sys/module/bus1/parameters/"
#define QUOTA_ANY UINT64_MAX

/* --- users ------------------------------------------------------------------
 */

/* Open a peer with this effective user ID: its descriptor, or -errno. */
static inline int try_open_as(uid_t uid)
{
	int fd, error;

	/* The bare call, so that other threads, if any, keep theirs. */
	if (syscall(SYS_setresuid, -1, uid, -1))
		bail_out("cannot become user %u: %s", uid, strerror(errno));
	fd = open("/dev/bus1", O_RDWR | O_CLOEXEC);
	error = errno;
	if (syscall(SYS_setresuid, -1, 0, -1))
		bail_out("cannot become root again: %s", strerror(errno));
	return fd < 0 ? -error : fd;
}

static inline int open_as(uid_t uid)
{
	int fd = try_open_as(uid);

	if (fd < 0)
		bail_out("cannot open /dev/bus1 as user %u: %s", uid,
			 strerror(-fd));
	return fd;
}

/* --- files ------------------------------------------------------------------
 */

static inline bool quota_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	if (fd >= 0)
		close(fd);
	return done;
}

/* The whole of a file, to be freed; empty if it cannot be read. */
static inline char *quota_file(const char *path)
{
	size_t n = 0, room = 1 << 16;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = malloc(room);
	ssize_t r;

	while (fd >= 0 && (r = read(fd, text + n, room - n - 1)) > 0) {
		n += r;
		if (room - n < 4096)
			text = realloc(text, room *= 2);
		if (!text)
			bail_out("no memory to read %s", path);
	}
	if (fd >= 0)
		close(fd);
	text[n] = 0;
	return text;
}

static inline char *quota_next(const char *line)
{
	line += strcspn(line, "\n");
	return (char *)line + (*line == '\n');
}

/* The number behind " KEY=" in a line; QUOTA_ANY if there is none. */
static inline uint64_t quota_value(const char *line, const char *key)
{
	size_t n = strlen(key), end = strcspn(line, "\n");
	const char *p = line;

	while ((p = strchr(p, ' ')) && p < line + end)
		if (!strncmp(++p, key, n) && p[n] == '=')
			return strtoull(p + n + 1, NULL, 10);
	return QUOTA_ANY;
}

/* --- maxima -----------------------------------------------------------------
 */

static uint64_t quota_maxima[2];

static inline void quota_set_maxima(uint64_t objects, uint64_t bytes)
{
	char text[2][24];

	snprintf(text[0], sizeof(text[0]), "%" PRIu64, objects);
	snprintf(text[1], sizeof(text[1]), "%" PRIu64, bytes);
	if (!quota_write(QUOTA_PARAMETERS "max_objects", text[0]) ||
	    !quota_write(QUOTA_PARAMETERS "max_bytes", text[1]))
		bail_out("cannot set the maxima: %s", strerror(errno));
}

static inline void quota_restore(void)
{
	quota_set_maxima(quota_maxima[0], quota_maxima[1]);
}

/* First of all. False, and nothing can be tested, without root or the files. */
static inline bool quota_begin(void)
{
	char *text[2];

	if (geteuid() || access(QUOTA_ACCOUNTS, R_OK)) {
		skip(1, "needs root and " QUOTA_ACCOUNTS);
		return false;
	}
	text[0] = quota_file(QUOTA_PARAMETERS "max_objects");
	text[1] = quota_file(QUOTA_PARAMETERS "max_bytes");
	quota_maxima[0] = strtoull(text[0], NULL, 10);
	quota_maxima[1] = strtoull(text[1], NULL, 10);
	free(text[0]);
	free(text[1]);
	atexit(quota_restore);
	return true;
}

/* --- what is claimed --------------------------------------------------------
 */

/* What @peer has claimed from @owner by fdinfo; "objects" or "bytes". */
static inline uint64_t quota_claim(int peer, uid_t owner, const char *resource)
{
	char path[64], *text, *line;
	uint64_t v = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", peer);
	text = quota_file(path);
	for (line = strstr(text, "bus1-claim:\t"); line && !v;
	     line = strstr(line + 1, "bus1-claim:\t")) {
		/* The key behind the tab has no blank before it. */
		line[strlen("bus1-claim:")] = ' ';
		if (quota_value(line, "uid") == owner)
			v = quota_value(line, resource);
	}
	free(text);
	return v;
}

/* Does it say so of both resources, and debugfs of the peer's trace? */
static inline bool quota_claims(int peer, uid_t owner, uint64_t objects,
				uint64_t bytes)
{
	uint64_t o = quota_claim(peer, owner, "objects");
	uint64_t b = quota_claim(peer, owner, "bytes");

	if (o != objects || b != bytes)
		diag("claimed of %u: %" PRIu64 " objects, %" PRIu64
		     " bytes, not %" PRIu64 ", %" PRIu64,
		     owner, o, b, objects, bytes);
	return o == objects && b == bytes;
}

/*
 * The sum of @key over the lines of debugfs that begin with @word and are of
 * these; QUOTA_ANY: of any. Without a key: how many lines there are.
 */
static inline uint64_t quota_sum(const char *word, uint64_t uid,
				 uint64_t claimant, uint64_t peer,
				 const char *key)
{
	const char *const names[] = { "uid", "claimant", "peer" };
	const uint64_t want[] = { uid, claimant, peer };
	char *text = quota_file(QUOTA_ACCOUNTS), *line;
	size_t n = strlen(word);
	uint64_t sum = 0;
	int i;

	for (line = text; *line; line = quota_next(line)) {
		for (i = 0; i < 3; i++)
			if (want[i] != QUOTA_ANY &&
			    quota_value(line, names[i]) != want[i])
				break;
		if (i == 3 && !strncmp(line, word, n) && line[n] == ' ')
			sum += key ? quota_value(line, key) : 1;
	}
	free(text);
	return sum;
}

static inline uint64_t quota_user(uint64_t uid, const char *key)
{
	return quota_sum("user", uid, QUOTA_ANY, QUOTA_ANY, key);
}

/* What the peers of @claimant, or one that may be closed, hold of @uid. */
static inline uint64_t quota_trace(uint64_t uid, uint64_t claimant,
				   uint64_t peer, const char *key)
{
	return quota_sum("trace", uid, claimant, peer, key);
}

/* Nobody holds anything. */
static inline bool quota_nothing(void)
{
	char *text;

	if (!quota_user(QUOTA_ANY, NULL) &&
	    !quota_trace(QUOTA_ANY, QUOTA_ANY, QUOTA_ANY, NULL))
		return true;
	text = quota_file(QUOTA_ACCOUNTS);
	diag("left: %.400s", text);
	free(text);
	return false;
}

/* What is still to come of a user's quotas, or a quota's traces. */
struct quota_owed {
	uint64_t amount, holders;
};

/* Do the lines of debugfs add up? Only at rest. */
static inline bool quota_adds_up(void)
{
	static const char *const keys[2][5] = {
		{ "objects", "left_objects", "max_objects", "foreign_objects",
		  "peers_objects" },
		{ "bytes", "left_bytes", "max_bytes", "foreign_bytes",
		  "peers_bytes" },
	};
	char *text = quota_file(QUOTA_ACCOUNTS), *line;
	struct quota_owed users[2] = {}, quotas[2] = {};
	bool good = true;
	uint64_t v, left;
	int r;

	for (line = text; good; line = quota_next(line)) {
		for (r = 0; r < 2; r++) {
			v = quota_value(line, keys[r][0]);
			left = quota_value(line, keys[r][1]);
			if (!strncmp(line, "trace ", 6)) {
				quotas[r].amount -= v;
				quotas[r].holders -= v != 0;
				continue;
			}
			/* The traces of the quota before are through. */
			good &= !quotas[r].amount && !quotas[r].holders;
			if (!strncmp(line, "quota ", 6)) {
				good &= left <= v;
				users[r].amount -= v;
				users[r].holders -=
					v &&
					quota_value(line, "uid") !=
						quota_value(line, "claimant");
				quotas[r].amount = v - left;
				quotas[r].holders =
					quota_value(line, keys[r][4]);
				continue;
			}
			good &= !users[r].amount && !users[r].holders;
			if (!strncmp(line, "user ", 5)) {
				v = quota_value(line, keys[r][2]);
				good &= left <= v;
				users[r].amount = v - left;
				users[r].holders =
					quota_value(line, keys[r][3]);
			}
		}
		if (!*line)
			break;
	}
	if (!good)
		diag("does not add up before: %.200s", line);
	free(text);
	return good;
}

static char *quota_noted[2];

/* Every line that says somebody holds something. */
static inline char *quota_lines(void)
{
	char *text = quota_file(QUOTA_ACCOUNTS), *out = text, *line = text;
	size_t n;

	for (; *line; line += n) {
		n = quota_next(line) - line;
		/* The first has the time; those of nothing come and go. */
		if (line == text || (!quota_value(line, "objects") &&
				     !quota_value(line, "bytes")))
			continue;
		memmove(out, line, n);
		out += n;
	}
	*out = 0;
	return text;
}

/* Remember every account, quota and trace, to compare them later. */
static inline void quota_note(void)
{
	free(quota_noted[0]);
	quota_noted[0] = quota_lines();
}

static inline bool quota_as_noted(void)
{
	bool same;

	free(quota_noted[1]);
	quota_noted[1] = quota_lines();
	same = !strcmp(quota_noted[0], quota_noted[1]);
	if (!same) {
		diag("before:\n%.200s", quota_noted[0]);
		diag("after:\n%.200s", quota_noted[1]);
	}
	return same && quota_adds_up();
}

/* --- sending ----------------------------------------------------------------
 */

static char quota_zeros[1 << 20];

/* SEND of @bytes, with all that it can have. */
static inline int quota_send(int peer, uint64_t flags, uint64_t n,
			     const uint64_t *to, int32_t *errors, size_t bytes,
			     struct bus1_transfer *t, uint64_t n_t)
{
	struct iovec vec = { quota_zeros, bytes };
	struct bus1_message msg = {
		.n_transfers = n_t,
		.ptr_transfers = BUS1_FROM_PTR(t),
		.n_data = bytes,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_send cmd = {
		.flags = flags,
		.n_destinations = n,
		.ptr_destinations = BUS1_FROM_PTR(to),
		.ptr_errors = BUS1_FROM_PTR(errors),
		.ptr_message = BUS1_FROM_PTR(&msg),
	};

	return b1_cmd(peer, BUS1_CMD_SEND, &cmd, sizeof(cmd));
}

/* One message that costs so many objects, by copies of the handle itself. */
static inline int quota_send_objects(int peer, uint64_t to, uint64_t objects)
{
	struct bus1_transfer *t = calloc(objects, sizeof(*t));
	uint64_t i;
	int r;

	for (i = 0; i < objects; i++)
		t[i].id = to;
	r = quota_send(peer, 0, 1, &to, NULL, 0, t, objects - 1);
	free(t);
	return r;
}

/* So many copies of a handle of @peer in it. */
static inline int quota_copy(int peer, uint64_t handle, uint64_t n)
{
	struct bus1_transfer *src = calloc(2 * n, sizeof(*src));
	uint64_t i;
	int r;

	for (i = 0; i < n; i++)
		src[i].id = handle;
	r = b1_transfer(peer, BUS1_INVALID, n, src, src + n);
	free(src);
	return r;
}

/* --- events -----------------------------------------------------------------
 */

/* Start to record some events of bus1, named with blanks between. */
static inline void quota_trace_on(const char *events)
{
	char path[128], name[32];
	int n;

	quota_write(QUOTA_TRACING "trace", "");
	for (; sscanf(events, "%31s%n", name, &n) == 1; events += n) {
		snprintf(path, sizeof(path),
			 QUOTA_TRACING "events/bus1/%s/enable", name);
		if (!quota_write(path, "1"))
			bail_out("cannot enable the event %s", name);
	}
}

/* Stop; the text of what was recorded, to be freed. */
static inline char *quota_trace_off(void)
{
	quota_write(QUOTA_TRACING "events/bus1/enable", "0");
	return quota_file(QUOTA_TRACING "trace");
}

/* How many lines of this event have each of these words? */
static inline unsigned int quota_traced(const char *text, const char *event,
					const char *words)
{
	char find[40], line[512], word[64];
	unsigned int count = 0;
	const char *p, *w;
	int n;

	snprintf(find, sizeof(find), " %s:", event);
	for (p = text; *p; p = quota_next(p)) {
		/* A blank at the end, so that a word is a whole one. */
		snprintf(line, sizeof(line), "%.*s ", (int)strcspn(p, "\n"), p);
		if (!strstr(line, find))
			continue;
		for (w = words; sscanf(w, "%60s%n", word + 1, &n) == 1;
		     w += n) {
			word[0] = ' ';
			strcat(word, " ");
			if (!strstr(line, word))
				break;
		}
		count += !w[strspn(w, " ")];
	}
	return count;
}

#endif /* _TESTS_QUOTA_H */
