// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles that are kept, for the tests of bus1-trace handles and graph: a service
 * gives handles to a client that uses and releases them, to one that forgets
 * them, and to one that does not read.
 *
 *   trace-handles        says what there is; each line of its standard input
 *                        makes the forgetful one forget more
 *   trace-handles brief  a process that makes a handle, keeps it and ends
 *   trace-handles star N N clients of a service, each a process, that use it
 *   trace-handles many N N handles of one peer to one node of another
 *
 * It stays until the end of its standard input.
 */
#pragma GCC optimize("no-omit-frame-pointer", "no-optimize-sibling-calls")

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bus1.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Primes, so that no two of them are mistaken for each other. */
enum {
	LEAKED = 101, /* handles that are never used */
	MORE = 53, /* as many for each line */
	USED = 23, /* used, and released */
	RELEASED = 7, /* whose node is released, and nobody reads that */
	BYTES = 17,
};

static void die(const char *what)
{
	fprintf(stderr, "trace-handles: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(int result, const char *what)
{
	if (result)
		die(what);
}

static int peer_open(const char *name)
{
	struct bus1_cmd_name cmd = {
		.n_name = name ? strlen(name) : 0,
		.ptr_name = BUS1_FROM_PTR(name),
	};
	int fd = open("/dev/bus1", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/bus1");
	if (name)
		must(ioctl(fd, BUS1_CMD_NAME, &cmd), "NAME");
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

/* A node of @from, whose ID it returns, and its handle in @to */
static uint64_t give(int from, int to, uint64_t *handle)
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
	*handle = dst.id;
	return src.id;
}

/* With @create, a new node's handle goes along. */
static void transmit(int fd, uint64_t handle, int create)
{
	static char data[BYTES];
	struct bus1_transfer carried = { BUS1_TRANSFER_FLAG_CREATE,
					 BUS1_INVALID };
	struct iovec vec = { data, sizeof(data) };
	struct bus1_message message = {
		.type = BUS1_MESSAGE_TYPE_USER,
		.n_transfers = create,
		.ptr_transfers = BUS1_FROM_PTR(&carried),
		.n_data = sizeof(data),
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_send cmd = {
		.n_destinations = 1,
		.ptr_destinations = BUS1_FROM_PTR(&handle),
		.ptr_message = BUS1_FROM_PTR(&message),
	};

	must(ioctl(fd, BUS1_CMD_SEND, &cmd), "SEND");
}

/* Its caller's name is what a stack shows: ioctl() has no frame of its own. */
static __attribute__((noinline)) uint64_t receive(int fd)
{
	static char data[BYTES];
	struct bus1_transfer transfer = { 0, 0 };
	struct iovec vec = { data, sizeof(data) };
	struct bus1_metadata metadata;
	struct bus1_message message = {
		.type = BUS1_INVALID,
		.n_transfers = 1,
		.ptr_transfers = BUS1_FROM_PTR(&transfer),
		.n_data = sizeof(data),
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_recv cmd = {
		.ptr_metadata = BUS1_FROM_PTR(&metadata),
		.ptr_message = BUS1_FROM_PTR(&message),
	};

	must(ioctl(fd, BUS1_CMD_RECV, &cmd), "RECV");
	return transfer.id;
}

static void release(int fd, uint64_t id)
{
	struct bus1_cmd_release cmd = {
		.n_ids = 1,
		.ptr_ids = BUS1_FROM_PTR(&id),
	};

	must(ioctl(fd, BUS1_CMD_RELEASE, &cmd), "RELEASE");
}

static __attribute__((noinline)) void forget_handle(int fd)
{
	receive(fd);
}

static __attribute__((noinline)) void use_handle(int fd)
{
	uint64_t handle = receive(fd);

	transmit(fd, handle, 0);
	release(fd, handle);
}

/* A process that does @act on its peer @fd for each byte it is told */
static pid_t worker(const char *name, int fd, int told[2], int done[2],
		    void (*act)(int fd))
{
	char c = 0;
	pid_t pid;
	int i;

	must(pipe(told) || pipe(done), "pipe");
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_NAME, name);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 3; i < 64; i++)
		if (i != fd && i != told[0] && i != done[1])
			close(i);
	while (read(told[0], &c, 1) == 1) {
		act(fd);
		must(write(done[1], &c, 1) != 1, "pipe");
	}
	exit(0);
}

static void tell(int told[2], int done[2])
{
	char c = 0;

	must(write(told[1], &c, 1) != 1 || read(done[0], &c, 1) != 1, "pipe");
}

static void serve(void)
{
	int told[2][2], done[2][2], service, keeper, user, deaf, i;
	uint64_t to_keeper, to_user, handle, nodes[RELEASED];
	pid_t pids[2];
	char line[64];

	prctl(PR_SET_NAME, "hl-service");
	service = peer_open("service");
	keeper = peer_open(NULL);
	user = peer_open(NULL);
	deaf = peer_open("deaf");
	give(keeper, service, &to_keeper);
	give(user, service, &to_user);
	give(service, deaf, &handle);
	transmit(deaf, handle, 0);
	receive(service);
	pids[0] = worker("hl-keeper", keeper, told[0], done[0], forget_handle);
	pids[1] = worker("hl-user", user, told[1], done[1], use_handle);
	close(keeper);
	close(user);

	for (i = 0; i < LEAKED; i++) {
		transmit(service, to_keeper, 1);
		tell(told[0], done[0]);
	}
	for (i = 0; i < USED; i++) {
		transmit(service, to_user, 1);
		tell(told[1], done[1]);
		/* the message, and that the node has no handle any more */
		receive(service);
		receive(service);
	}
	for (i = 0; i < RELEASED; i++)
		nodes[i] = give(service, deaf, &handle);
	for (i = 0; i < RELEASED; i++)
		release(service, nodes[i]);
	printf("service_peer=%" PRIu64 "\ndeaf_peer=%" PRIu64 "\n",
	       peer_id(service), peer_id(deaf));
	printf("keeper_peer=%" PRIu64 "\nuser_peer=%" PRIu64 "\n",
	       peer_id(service) + 1, peer_id(service) + 2);
	printf("pid=%d\nkeeper_pid=%d\nuser_pid=%d\n", getpid(), pids[0],
	       pids[1]);
	printf("leaked=%d\nmore=%d\nreleased=%d\nready=1\n", LEAKED, MORE,
	       RELEASED);
	fflush(stdout);

	while (fgets(line, sizeof(line), stdin)) {
		for (i = 0; i < MORE; i++) {
			transmit(service, to_keeper, 1);
			tell(told[0], done[0]);
		}
		for (i = 0; i < USED; i++) {
			transmit(service, to_user, 1);
			tell(told[1], done[1]);
			receive(service);
			receive(service);
		}
		printf("done=1\n");
		fflush(stdout);
	}
}

static __attribute__((noinline)) void make_briefly(int fd)
{
	uint64_t handle;

	give(fd, fd, &handle);
}

/* @service outlives the process that made its handle. */
static void brief(void)
{
	int service = peer_open("brief");
	char line[64];

	printf("brief_peer=%" PRIu64 "\nready=1\n", peer_id(service));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (!fork()) {
			prctl(PR_SET_NAME, "hl-brief");
			make_briefly(service);
			_exit(0);
		}
		wait(NULL);
		printf("done=1\n");
		fflush(stdout);
	}
}

static void star(int n)
{
	int service = peer_open("hub"), i, fd;
	char name[BUS1_MAX_NAME + 1], line[64];
	uint64_t handle;

	prctl(PR_SET_NAME, "hl-hub");
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "client-%d", i);
		fd = peer_open(name);
		give(service, fd, &handle);
		if (!fork()) {
			snprintf(name, sizeof(name), "hl-star%d", i % 10);
			prctl(PR_SET_NAME, name);
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(service);
			for (;;) {
				transmit(fd, handle, 0);
				usleep(1000 * (1 + i) * 20);
			}
		}
		close(fd);
	}
	printf("hub_peer=%" PRIu64 "\nready=1\n", peer_id(service));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
}

static void many(int n)
{
	enum { BATCH = 1000 };
	static struct bus1_transfer src[BATCH], dst[BATCH];
	int owner = peer_open("owner"), holder = peer_open("holder"), i;
	struct bus1_cmd_transfer cmd = {
		.to = holder,
		.n_transfers = BATCH,
		.ptr_src = BUS1_FROM_PTR(src),
		.ptr_dst = BUS1_FROM_PTR(dst),
	};
	uint64_t handle;
	char line[64];

	give(owner, owner, &handle);
	for (; n > 0; n -= BATCH) {
		for (i = 0; i < BATCH; i++)
			src[i] = (struct bus1_transfer){ 0, handle };
		must(ioctl(owner, BUS1_CMD_TRANSFER, &cmd), "TRANSFER");
	}
	printf("ready=1\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "brief"))
		brief();
	else if (!strcmp(verb, "star") && argc > 2)
		star(atoi(argv[2]));
	else if (!strcmp(verb, "many") && argc > 2)
		many(atoi(argv[2]));
	else
		serve();
	return 0;
}
