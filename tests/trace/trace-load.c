// SPDX-License-Identifier: GPL-2.0-only
/*
 * A workload that knows what it did, for the tests of bus1-trace.
 *
 *   trace-load          every kind of event, then what it counted of each
 *   trace-load wait     the same; its peers are there, and it says which, while
 *                       it waits for the end of its standard input
 *   trace-load orphan   a message that is received after its sender's death
 *   trace-load hold     peers to be looked at, until it is killed
 *   trace-load flood N  N messages as fast as they go, then how many the module
 *                       counted
 *   trace-load peers N  N pairs of peers that come, talk, and go, not too fast
 *   trace-load fan N    a multicast to N peers
 *   trace-load tty COMMAND...  runs it on a terminal of 20 lines and copies what
 *                       it writes there
 *   trace-load hog [NAME]  a process called NAME of another user claims from a
 *                       service what it can, and more; the end of its standard
 *                       input lets it begin, and it stays until it is killed
 *   trace-load many UID N BYTES  N peers of that user send BYTES to a service,
 *                       the last until it is refused if that is more than one;
 *                       it begins and stays as the above
 *   trace-load open [N] a peer, N times, that must be refused for want of quota
 *   trace-load files N  N descriptors that are no peers, until it is killed
 *
 * A client process with one peer sends to a server process with two. They take
 * turns, over pipes, so that the numbers do not depend on timing.
 */
#define _GNU_SOURCE /* setresuid */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bus1.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Primes, so that no two of them are mistaken for each other. */
enum {
	PLAIN = 101,
	CARRYING = 23,
	MULTICASTS = 11,
	UNKNOWN = 13,
	NO_ROOM = 5,
	EMPTY = 7,
	UNREAD = 3,
	BYTES = 17,
	/* hog */
	USER_HOG = 1001,
	USER_FRIEND = 1002,
	FRIENDS = 19,
	EARLY = 31,
	TOO_MANY = 97,
	TOO_BIG = 3,
	HUGE = 60000,
	MOST = 1 << 20,
};

static int to_server[2], to_client[2], to_friend[2];

static void die(const char *what)
{
	fprintf(stderr, "trace-load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(int result, const char *what)
{
	if (result)
		die(what);
}

static int peer_open(void)
{
	int fd = open("/dev/bus1", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/bus1");
	return fd;
}

static uint64_t peer_id(int fd)
{
	char path[64], line[128];
	uint64_t id = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "bus1-peer: %" SCNu64, &id) == 1)
			break;
	if (file)
		fclose(file);
	return id;
}

/* Makes a node in @from; returns its handle in @to. */
static uint64_t give(int from, int to)
{
	struct bus1_transfer src = { BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };
	struct bus1_transfer dst = { 0, BUS1_INVALID };
	struct bus1_cmd_transfer cmd = {
		.to = to,
		.n_transfers = 1,
		.ptr_src = BUS1_FROM_PTR(&src),
		.ptr_dst = BUS1_FROM_PTR(&dst),
	};

	must(ioctl(from, BUS1_CMD_TRANSFER, &cmd), "TRANSFER");
	return dst.id;
}

static int send_flags(int fd, const uint64_t *handles, int n, int bytes,
		      int create, uint64_t flags)
{
	static char data[MOST];
	struct bus1_transfer carried = { BUS1_TRANSFER_FLAG_CREATE,
					 BUS1_INVALID };
	struct iovec vec = { data, bytes };
	struct bus1_message message = {
		.type = BUS1_MESSAGE_TYPE_USER,
		.n_transfers = create,
		.ptr_transfers = BUS1_FROM_PTR(&carried),
		.n_data = bytes,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_send cmd = {
		.flags = flags,
		.n_destinations = n,
		.ptr_destinations = BUS1_FROM_PTR(handles),
		.ptr_message = BUS1_FROM_PTR(&message),
	};

	return ioctl(fd, BUS1_CMD_SEND, &cmd);
}

static int send_to(int fd, const uint64_t *handles, int n, int bytes,
		   int create)
{
	return send_flags(fd, handles, n, bytes, create, 0);
}

/* Returns the type, or -errno; @handle, if set, is room for one. */
static int receive(int fd, int room, uint64_t *handle)
{
	static char data[4096];
	struct bus1_transfer transfer;
	struct iovec vec = { data, room };
	struct bus1_metadata metadata;
	struct bus1_message message = {
		.type = BUS1_INVALID,
		.n_transfers = !!handle,
		.ptr_transfers = BUS1_FROM_PTR(&transfer),
		.n_data = room,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&metadata),
		.ptr_message = BUS1_FROM_PTR(&message),
	};

	if (ioctl(fd, BUS1_CMD_RECV, &cmd))
		return -errno;
	if (handle)
		*handle = message.n_transfers ? transfer.id : BUS1_INVALID;
	return message.type;
}

static void receive_all(int fd, int n, uint64_t type)
{
	while (n--) {
		if (receive(fd, BYTES, NULL) != (int)type)
			die("RECV");
	}
}

static void release(int fd, uint64_t id)
{
	struct bus1_cmd_release cmd = {
		.n_ids = 1,
		.ptr_ids = BUS1_FROM_PTR(&id),
	};

	must(ioctl(fd, BUS1_CMD_RELEASE, &cmd), "RELEASE");
}

static void put(int *pipe, uint64_t value)
{
	if (write(pipe[1], &value, sizeof(value)) != sizeof(value))
		die("pipe");
}

static uint64_t get(int *pipe)
{
	uint64_t value;

	if (read(pipe[0], &value, sizeof(value)) != sizeof(value))
		die("pipe");
	return value;
}

static void client(void)
{
	int fd = peer_open(), i;
	uint64_t handles[2], unknown = 999999;

	prctl(PR_SET_NAME, "load-client");
	put(to_server, fd);
	put(to_server, peer_id(fd));
	handles[0] = get(to_client);
	handles[1] = get(to_client);

	for (i = 0; i < PLAIN; i++)
		must(send_to(fd, handles, 1, BYTES, 0), "SEND");
	put(to_server, 0);
	get(to_client);

	for (i = 0; i < CARRYING; i++)
		must(send_to(fd, handles, 1, BYTES, 1), "SEND");
	put(to_server, 0);
	get(to_client);
	receive_all(fd, CARRYING, BUS1_MESSAGE_TYPE_HANDLE_RELEASE);

	for (i = 0; i < MULTICASTS; i++)
		must(send_to(fd, handles, 2, BYTES, 0), "SEND");
	for (i = 0; i < UNKNOWN; i++)
		if (!send_to(fd, &unknown, 1, BYTES, 0) || errno != EBADRQC)
			die("SEND to nobody");
	for (i = 0; i < EMPTY; i++)
		if (receive(fd, BYTES, NULL) != -EAGAIN)
			die("RECV of nothing");
	put(to_server, 0);
	get(to_client);

	for (i = 0; i < UNREAD; i++)
		must(send_to(fd, handles, 1, BYTES, 0), "SEND");
	put(to_server, 0);
	get(to_client);
	receive_all(fd, 1, BUS1_MESSAGE_TYPE_NODE_RELEASE);
	exit(0); /* the second NODE_RELEASE vanishes */
}

static void server(pid_t child, bool wait)
{
	int fd = peer_open(), second = peer_open(), theirs, pidfd, i;
	uint64_t handles[2], handle, peer;

	prctl(PR_SET_NAME, "load-server");
	pidfd = syscall(SYS_pidfd_open, child, 0);
	theirs = syscall(SYS_pidfd_getfd, pidfd, (int)get(to_server), 0);
	if (theirs < 0)
		die("pidfd_getfd");
	peer = get(to_server);
	handles[0] = give(fd, theirs);
	handles[1] = give(second, theirs);
	close(theirs);
	printf("server_pid=%d\nclient_pid=%d\n", getpid(), child);
	printf("server_peer=%" PRIu64 "\nsecond_peer=%" PRIu64
	       "\nclient_peer=%" PRIu64 "\n",
	       peer_id(fd), peer_id(second), peer);
	if (wait) {
		printf("ready=1\n");
		fflush(stdout);
		while (read(0, &i, sizeof(i)) > 0)
			;
	}
	put(to_client, handles[0]);
	put(to_client, handles[1]);

	get(to_server);
	receive_all(fd, PLAIN, BUS1_MESSAGE_TYPE_USER);
	put(to_client, 0);

	get(to_server);
	for (i = 0; i < CARRYING; i++) {
		if (receive(fd, BYTES, &handle) != BUS1_MESSAGE_TYPE_USER)
			die("RECV of a handle");
		release(fd, handle);
	}
	put(to_client, 0);

	get(to_server);
	for (i = 0; i < NO_ROOM; i++)
		if (receive(fd, BYTES - 1, NULL) != -EMSGSIZE)
			die("RECV without room");
	receive_all(fd, MULTICASTS, BUS1_MESSAGE_TYPE_USER);
	receive_all(second, MULTICASTS, BUS1_MESSAGE_TYPE_USER);
	put(to_client, 0);

	get(to_server);
	close(fd);
	close(second);
	put(to_client, 0);
	if (waitpid(child, &i, 0) != child || i)
		die("client");

	printf("peer_new=%d\npeer_free=3\n", wait ? 0 : 3);
	printf("send=%d\ntransfer=%d\nrelease=%d\n",
	       PLAIN + CARRYING + MULTICASTS + UNREAD, wait ? 0 : 2, CARRYING);
	printf("handle_new=%d\n", CARRYING + (wait ? 0 : 2));
	printf("msg_send=%d\n", PLAIN + CARRYING + 2 * MULTICASTS + UNREAD);
	printf("msg_recv=%d\n", PLAIN + CARRYING + 2 * MULTICASTS);
	printf("second_recv=%d\n", MULTICASTS);
	printf("msg_discard=%d\n", UNREAD);
	printf("notify_send=%d\nnotify_recv=%d\nnotify_drop=1\n", CARRYING + 2,
	       CARRYING + 1);
	printf("op_fail=%d\nunknown=%d\nno_room=%d\n", UNKNOWN + NO_ROOM,
	       UNKNOWN, NO_ROOM);
	printf("bytes=%d\n", BYTES);
}

/* What debugfs says of the peer */
static uint64_t counted(int fd, const char *key)
{
	FILE *file = fopen("/sys/kernel/debug/bus1/peers", "r");
	char line[512], head[32], *value;
	uint64_t n = 0;

	snprintf(head, sizeof(head), "peer id=%" PRIu64 " ", peer_id(fd));
	while (file && fgets(line, sizeof(line), file)) {
		value = strstr(line, key);
		if (!strncmp(line, head, strlen(head)) && value)
			n = strtoull(value + strlen(key), NULL, 10);
	}
	if (file)
		fclose(file);
	return n;
}

static void flood(int n)
{
	int from = peer_open(), to = peer_open();
	uint64_t handle = give(to, from);

	while (n--) {
		must(send_to(from, &handle, 1, BYTES, 0), "SEND");
		if (receive(to, BYTES, NULL) != BUS1_MESSAGE_TYPE_USER)
			die("RECV");
	}
	printf("transactions=%" PRIu64 "\nreceived=%" PRIu64 "\n",
	       counted(from, " transactions=") + counted(to, " transactions="),
	       counted(to, " received="));
}

static void peers(int n)
{
	int from, to;
	uint64_t handle;

	while (n--) {
		from = peer_open();
		to = peer_open();
		handle = give(to, from);
		must(send_to(from, &handle, 1, BYTES, 1), "SEND");
		if (receive(to, BYTES, &handle) != BUS1_MESSAGE_TYPE_USER)
			die("RECV");
		close(from);
		close(to);
		usleep(200);
	}
}

static void fan(int n)
{
	uint64_t *handles = calloc(n, sizeof(*handles));
	int from = peer_open(), i;

	for (i = 0; i < n; i++)
		handles[i] = give(peer_open(), from);
	must(send_to(from, handles, n, BYTES, 0), "SEND");
	free(handles);
}

static void tty(char **argv)
{
	const struct winsize size = { .ws_row = 20, .ws_col = 80 };
	char buf[4096];
	ssize_t n;
	int fd;
	pid_t pid = forkpty(&fd, NULL, NULL, &size);

	if (pid < 0)
		die("forkpty");
	if (!pid) {
		setenv("TERM", "xterm", 1);
		execvp(argv[0], argv);
		die(argv[0]);
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		fwrite(buf, 1, n, stdout);
		fflush(stdout);
	}
}

static void orphan(void)
{
	int to = peer_open(), from = peer_open(), status;
	uint64_t handle = give(to, from);
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_NAME, "load-orphan");
		must(send_to(from, &handle, 1, BYTES, 0), "SEND");
		exit(0);
	}
	close(from);
	if (waitpid(child, &status, 0) != child || status)
		die("child");
	receive_all(to, 1, BUS1_MESSAGE_TYPE_USER);
}

/* One peer to look at, one shared by two processes, one only in a socket. */
static void hold(void)
{
	int alone = peer_open(), shared = peer_open(), hidden = peer_open();
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec vec = { "x", 1 };
	struct msghdr message = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
	int sockets[2], i;
	uint64_t handle;
	pid_t child;

	prctl(PR_SET_NAME, "load-hold");
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), "socketpair");
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &hidden, sizeof(int));
	if (sendmsg(sockets[0], &message, 0) != 1)
		die("SCM_RIGHTS");
	printf("hidden_peer=%" PRIu64 "\n", peer_id(hidden));
	close(hidden);

	handle = give(alone, shared);
	for (i = 0; i < UNREAD; i++)
		must(send_to(shared, &handle, 1, BYTES, 0), "SEND");
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(alone);
		pause();
	}
	printf("alone_peer=%" PRIu64 "\nshared_peer=%" PRIu64 "\n",
	       peer_id(alone), peer_id(shared));
	printf("alone_fd=%d\nshared_fd=%d\n", alone, shared);
	printf("pid=%d\nchild=%d\nqueued=%d\nbytes=%d\nready=1\n", getpid(),
	       child, UNREAD, UNREAD * BYTES);
	fflush(stdout);
	pause();
}

/* Becomes user @uid, whose /proc can still be read, called @name. */
static void become(int uid, const char *name)
{
	must(setresuid(uid, uid, uid), "setresuid");
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, name);
}

static void must_refuse(int result)
{
	if (!result || errno != EDQUOT)
		die("EDQUOT expected");
}

static void hog_client(int service, const char *name)
{
	uint64_t handles[2];
	int fd, own, i, sent;

	become(USER_HOG, name);
	fd = peer_open();
	own = peer_open();
	handles[0] = give(service, fd);
	handles[1] = give(own, fd);
	close(service);
	for (i = 0; i < EARLY; i++)
		must(send_to(fd, handles, 1, 1, 0), "SEND");
	put(to_server, fd);
	put(to_server, peer_id(fd));
	get(to_client);

	for (i = 0; i < TOO_BIG; i++)
		must_refuse(send_to(fd, handles, 1, HUGE, 0));
	for (sent = EARLY; !send_to(fd, handles, 1, 1, 0); sent++)
		;
	for (i = 1; i < TOO_MANY; i++)
		must_refuse(send_to(fd, handles, 1, 1, 0));
	must(send_flags(fd, handles, 2, 1, 0, BUS1_SEND_FLAG_CONTINUE),
	     "SEND with CONTINUE");
	put(to_server, sent);
	pause();
}

static void friends(int service)
{
	uint64_t handles[FRIENDS];
	int fd[FRIENDS], i;

	become(USER_FRIEND, "load-friend");
	for (i = 0; i < FRIENDS; i++) {
		fd[i] = peer_open();
		handles[i] = give(service, fd[i]);
	}
	put(to_server, 0);
	get(to_friend);
	for (i = 0; i < FRIENDS; i++)
		must(send_to(fd[i], &handles[i], 1, BYTES, 0), "SEND");
	put(to_server, 0);
	pause();
}

static void hog(const char *name)
{
	int service = peer_open(), fd, sent;
	uint64_t peer;
	pid_t hog, friend;
	char c;

	prctl(PR_SET_NAME, "load-service");
	hog = fork();
	if (!hog)
		hog_client(service, name);
	fd = get(to_server);
	peer = get(to_server);
	friend = fork();
	if (!friend)
		friends(service);
	get(to_server);
	printf("service_pid=%d\nservice_fd=%d\nservice_peer=%" PRIu64 "\n",
	       getpid(), service, peer_id(service));
	printf("hog_pid=%d\nhog_fd=%d\nhog_peer=%" PRIu64 "\n", hog, fd, peer);
	printf("early=%d\n", EARLY);
	printf("friend_pid=%d\nfriends=%d\n", friend, FRIENDS);
	printf("ready=1\n");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	put(to_client, 0);
	sent = get(to_server);
	put(to_friend, 0);
	get(to_server);
	printf("sent=%d\nfailed=%d\nrefused=%d\ntoo_big=%d\n", sent,
	       TOO_MANY + TOO_BIG, TOO_MANY + 1, TOO_BIG);
	printf("huge=%d\nflooded=1\n", HUGE);
	fflush(stdout);
	pause();
}

static void many(int uid, int n, int bytes)
{
	int service = peer_open(), fd = -1;
	uint64_t handle = 0;
	char c;

	prctl(PR_SET_NAME, "load-service");
	if (n < 1 || bytes > MOST)
		die("arguments");
	printf("ready=1\n");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	if (!fork()) {
		become(uid, "load-many");
		while (n--) {
			fd = peer_open();
			handle = give(service, fd);
			must(send_to(fd, &handle, 1, bytes, 0), "SEND");
		}
		while (bytes > 1 && !send_to(fd, &handle, 1, bytes, 0))
			;
		put(to_server, 0);
		pause();
	}
	get(to_server);
	printf("flooded=1\n");
	fflush(stdout);
	pause();
}

static void files(int n)
{
	int fd = open("/dev/null", O_RDONLY);

	while (n--)
		if (dup(fd) < 0)
			die("dup");
	printf("ready=1\n");
	fflush(stdout);
	pause();
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	pid_t child;

	if (!strcmp(verb, "flood")) {
		flood(argc > 2 ? atoi(argv[2]) : 1000);
		return 0;
	}
	if (!strcmp(verb, "peers")) {
		peers(argc > 2 ? atoi(argv[2]) : 1000);
		return 0;
	}
	if (!strcmp(verb, "fan")) {
		fan(argc > 2 ? atoi(argv[2]) : 10);
		return 0;
	}
	if (!strcmp(verb, "tty") && argc > 2) {
		tty(argv + 2);
		return 0;
	}
	if (!strcmp(verb, "files")) {
		files(argc > 2 ? atoi(argv[2]) : 1000);
		return 0;
	}
	if (!strcmp(verb, "orphan")) {
		orphan();
		return 0;
	}
	if (!strcmp(verb, "open")) {
		int n = argc > 2 ? atoi(argv[2]) : 1;

		while (n--)
			must_refuse(open("/dev/bus1", O_RDWR) < 0);
		return 0;
	}
	if (!strcmp(verb, "hold")) {
		hold();
		return 0;
	}
	if (pipe(to_server) || pipe(to_client) || pipe(to_friend))
		die("pipe");
	if (!strcmp(verb, "hog")) {
		hog(argc > 2 ? argv[2] : "load-hog");
		return 0;
	}
	if (!strcmp(verb, "many") && argc == 5) {
		many(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
		return 0;
	}
	child = fork();
	if (!child)
		client();
	server(child, !strcmp(verb, "wait"));
	return 0;
}
