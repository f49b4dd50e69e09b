// SPDX-License-Identifier: GPL-2.0-only
/*
 * NAME: what a name may be, where it is shown, and that it does nothing else.
 * The event and its refusals need tracefs.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/syscall.h>

#include "objects.h"
#include "quota.h"

#define LONGEST "0123456789abcdefghijklmnopqrstu"

static int name(int peer, const void *text, uint64_t n)
{
	struct bus1_cmd_name cmd = {
		.n_name = n,
		.ptr_name = BUS1_FROM_PTR(text),
	};

	return b1_cmd(peer, BUS1_CMD_NAME, &cmd, sizeof(cmd));
}

/* The line of fdinfo, or NULL; good until the next call. */
static const char *fdinfo(int peer)
{
	static char found[128];
	char path[64], *text, *line;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", peer);
	text = quota_file(path);
	line = strstr(text, "\nbus1-name:\t");
	if (line)
		snprintf(found, sizeof(found), "%.*s",
			 (int)strcspn(line + 12, "\n"), line + 12);
	free(text);
	return line ? found : NULL;
}

/* Is it the last word of the peer's line in both files? NULL: none. */
static bool listed(int peer, const char *want)
{
	const char *const files[] = { OBJECTS, PEERS };
	uint64_t id = b1_count(peer, "bus1-peer");
	char find[40], *text, *line, *end;
	bool good = true, found;
	int i;

	snprintf(find, sizeof(find), "\npeer id=%" PRIu64 " ", id);
	for (i = 0; i < 2; i++) {
		text = quota_file(files[i]);
		line = strstr(text, find);
		found = line;
		if (line) {
			end = line + 1 + strcspn(line + 1, "\n");
			*end = 0;
			line = strstr(line, " name=");
			found = want ? line && !strcmp(line + 6, want) : !line;
		}
		if (!found)
			diag("%s: %s", files[i], line ? line : "no name");
		good &= found;
		free(text);
	}
	return good;
}

/* fdinfo and debugfs agree on it. */
static bool is(int peer, const char *want)
{
	const char *got = fdinfo(peer);

	if (want ? !got || strcmp(got, want) : got != NULL) {
		diag("fdinfo: %s", got ? got : "no name");
		return false;
	}
	return access(OBJECTS, R_OK) || listed(peer, want);
}

static void test_set(void)
{
	int a = b1_open(), b = b1_open(), copy = dup(a);
	struct bus1_cmd_name none = { 0 };
	struct b1_msg m;
	uint64_t h, node = b1_node_to(a, b, &h);

	ok(is(a, NULL), "a new peer has no name");
	b1_watch(a, b);
	ok(name(a, "first", 5) == 0 && is(a, "first"), "named");
	ok(is(b, NULL) && b1_unchanged(), "only that one, and nothing else");
	ok(name(copy, "second!", 7) == 0 && is(a, "second!"),
	   "by another descriptor of it: a new name, longer");
	ok(name(a, "x", 1) == 0 && is(a, "x"), "a shorter one, nothing left");
	ok(name(b, "x", 1) == 0 && is(b, "x") && is(a, "x"),
	   "two peers of one name");
	ok(name(a, LONGEST, 31) == 0 && is(a, LONGEST), "31 characters");
	ok(name(a, "!\"#%'=~;", 8) == 0 && is(a, "!\"#%'=~;"),
	   "any printable character, from ! to ~");
	ok(name(a, "truncated", 5) == 0 && is(a, "trunc"),
	   "so many as n_name says");
	b1_refused(b1_cmd(a, BUS1_CMD_SEND, &none, sizeof(none)), EFAULT,
		   "another command is not taken for it");
	ok(b1_says(b, h, "hi") == 0 && b1_hears_msg(a, node, "hi", 2, 0, &m) &&
		   m.meta.account == geteuid(),
	   "messages come as before");
	ok(name(a, NULL, 0) == 0 && is(a, NULL), "and no name any more");
	ok(name(a, NULL, 0) == 0 && is(a, NULL), "nor then");
	close(a);
	ok(name(copy, "still", 5) == 0 && is(copy, "still"),
	   "as long as a descriptor is open");
	close(copy);
	close(b);
}

static void test_refused(void)
{
	static const uint64_t lengths[] = { 32, 33, 64, 4096, 1ull << 32,
					    (1ull << 32) + 4, 1ull << 63,
					    UINT64_MAX };
	char text[] = "0123456789abcdefghijklmnopqrst.", room[4096];
	struct bus1_cmd_name cmd = { 0, 4, BUS1_FROM_PTR("name") };
	int a = b1_open(), p[2], i, n, bad;
	unsigned int bit, at;
	uint64_t h;

	b1_node(a, &h);
	b1_says(a, h, "queued");
	name(a, "kept", 4);
	b1_watch(a, -1);

	memset(room, 'x', sizeof(room));
	for (i = 0; i < (int)(sizeof(lengths) / sizeof(*lengths)); i++)
		b1_refused(name(a, room, lengths[i]), EMSGSIZE,
			   "%" PRIu64 " bytes", lengths[i]);

	for (bad = 0, i = 0; i < 256; i++)
		for (at = 0; at < 31; at += 15) {
			memset(text, 'x', 31);
			text[at] = i;
			n = name(a, text, 31);
			bad += n != (i >= 0x21 && i <= 0x7e ? 0 : EINVAL);
			if (!n)
				name(a, "kept", 4);
		}
	ok(!bad && is(a, "kept"),
	   "no other byte, at the start, within, or at the end: EINVAL");
	b1_refused(name(a, "two words", 9), EINVAL, "a space");
	b1_refused(name(a, "name", 5), EINVAL, "a 0 at the end");
	b1_refused(name(a, "line\n", 5), EINVAL, "an end of line");

	for (bad = 0, bit = 0; bit < 64; bit++) {
		cmd.flags = 1ull << bit;
		bad += b1_cmd(a, BUS1_CMD_NAME, &cmd, sizeof(cmd)) != EINVAL;
	}
	ok(!bad && b1_unchanged(), "any flag: EINVAL");
	cmd = (struct bus1_cmd_name){ 1, 99, 0 };
	b1_refused(b1_cmd(a, BUS1_CMD_NAME, &cmd, sizeof(cmd)), EINVAL,
		   "flags are looked at first");

	ok(is(a, "kept"), "after all that it has its name");
	if (pipe(p))
		bail_out("pipe");
	ok(name(p[0], "pipe", 4) == ENOTTY && name(-1, "none", 4) == EBADF,
	   "what is no peer has none");
	close(p[0]);
	close(p[1]);
	close(a);
}

static void test_pointers(void)
{
	struct bus1_cmd_name cmd = { 0, 20, BUS1_FROM_PTR(LONGEST) };
	struct b1_bad bad[B1_N_BAD];
	unsigned int i, n;
	int a = b1_open();
	char *edge;

	name(a, "kept", 4);
	b1_watch(a, -1);
	n = b1_bad(bad, LONGEST, 20, false);
	for (i = 0; i < n; i++) {
		cmd.ptr_name = bad[i].addr;
		b1_refused(b1_cmd(a, BUS1_CMD_NAME, &cmd, sizeof(cmd)), EFAULT,
			   "the name: %s", bad[i].what);
	}
	cmd.ptr_name = BUS1_FROM_PTR(LONGEST);
	n = b1_bad(bad, &cmd, sizeof(cmd), false);
	for (i = 0; i < n; i++)
		b1_refused(b1_ioctl(a, BUS1_CMD_NAME, BUS1_TO_PTR(bad[i].addr)),
			   EFAULT, "the command: %s", bad[i].what);
	ok(is(a, "kept"), "after all that it has its name");

	edge = b1_edge(5);
	memcpy(edge, "edges", 5);
	ok(name(a, edge, 5) == 0 && is(a, "edges"),
	   "not a byte more than n_name is read");
	ok(b1_cmd(a, BUS1_CMD_NAME,
		  b1_const(&(struct bus1_cmd_name){
				   0, 5, BUS1_FROM_PTR(b1_const("const", 5)) },
			   sizeof(cmd)),
		  sizeof(cmd)) == 0 && is(a, "const"),
	   "and nothing is written");
	close(a);
}

/* One line of the trace has these words; %s is the peer. */
static bool traced(const char *text, const char *event, int peer,
		   const char *words)
{
	char want[256];

	snprintf(want, sizeof(want), "peer=%" PRIu64 " %s",
		 b1_count(peer, "bus1-peer"), words);
	if (quota_traced(text, event, want) == 1)
		return true;
	diag("not once: %s: %s", event, want);
	return false;
}

static void test_events(void)
{
	int a = b1_open();
	char *text;

	if (access(QUOTA_TRACING "events/bus1/peer_name", F_OK)) {
		skip(1, "no tracefs");
		close(a);
		return;
	}
	name(a, "before", 6);
	quota_trace_on("peer_name op_fail");
	name(a, "traced", 6);
	name(a, LONGEST, 31);
	name(a, NULL, 0);
	name(a, "b\303d", 3);
	name(a, LONGEST "+", 32);
	name(a, NULL, 7);
	text = quota_trace_off();
	ok(traced(text, "peer_name", a, "name=traced") &&
		   traced(text, "peer_name", a, "name=" LONGEST) &&
		   traced(text, "peer_name", a, "name="),
	   "peer_name: named, renamed, no name");
	ok(quota_traced(text, "peer_name", "") == 3,
	   "only then, and for nothing that was refused");
	ok(traced(text, "op_fail", a,
		  "cmd=name error=-22 check=name detail=195") &&
		   traced(text, "op_fail", a,
			  "cmd=name error=-90 check=limit detail=32") &&
		   traced(text, "op_fail", a,
			  "cmd=name error=-14 check=pointer detail=0"),
	   "op_fail: which check, and what it saw");
	free(text);
	close(a);
}

/* Threads and watchers at once: each sees a whole name. */
static void test_whole(void)
{
	static const char *const names[] = { "a", LONGEST };
	int a = b1_open(), i, torn = 0, n[2] = { 0 };
	const char *got;
	pid_t pid;

	name(a, names[0], 1);
	pid = fork();
	if (!pid)
		for (i = 0;; i++)
			name(a, names[i & 1], strlen(names[i & 1]));
	for (i = 0; i < 2000 || (i < 200000 && (!n[0] || !n[1])); i++) {
		got = fdinfo(a);
		if (got && !strcmp(got, names[0]))
			n[0]++;
		else if (got && !strcmp(got, names[1]))
			n[1]++;
		else
			torn++;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(!torn && n[0] && n[1], "no name is torn: %d and %d seen, %d else",
	   n[0], n[1], torn);
	close(a);
}

int main(void)
{
	objects_there();
	test_set();
	test_refused();
	test_pointers();
	test_events();
	test_whole();
	return done_testing();
}
