// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls whose order is known, for the tests of bus1-trace explain. Each is made
 * by a thread that is told to and waited for, so that their order in time is
 * that of main(); but the bus sees only what goes through it. It says as KEY=NAME
 * which call was which, by the names that explain takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bus1.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

struct call {
	int fd;
	const uint64_t *handles; /* SEND to these; none: RECV */
	int n;
	bool carry; /* a handle to a new node, or one is expected */
	uint64_t pass; /* that handle instead of one to a new node */
	uint64_t release; /* instead: RELEASE */
	uint64_t handle; /* that came */
};

static struct worker {
	sem_t go, done;
	struct call *call;
	char name[16];
} workers[5];

static void die(const char *what)
{
	fprintf(stderr, "trace-cause: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(int result, const char *what)
{
	if (result)
		die(what);
}

static void run(struct call *call)
{
	static char data[4096];
	struct bus1_transfer transfer = { BUS1_TRANSFER_FLAG_CREATE,
					  BUS1_INVALID };
	struct iovec vec = { data, call->n ? 17 : sizeof(data) };
	struct bus1_metadata metadata;
	struct bus1_message message = {
		.type = call->n ? BUS1_MESSAGE_TYPE_USER : BUS1_INVALID,
		.n_transfers = call->carry,
		.ptr_transfers = BUS1_FROM_PTR(&transfer),
		.n_data = vec.iov_len,
		.n_data_vecs = 1,
		.ptr_data_vecs = BUS1_FROM_PTR(&vec),
	};
	struct bus1_cmd_send send = {
		.n_destinations = call->n,
		.ptr_destinations = BUS1_FROM_PTR(call->handles),
		.ptr_message = BUS1_FROM_PTR(&message),
	};
	struct bus1_cmd_recv recv = {
		.ptr_metadata = BUS1_FROM_PTR(&metadata),
		.ptr_message = BUS1_FROM_PTR(&message),
	};
	struct bus1_cmd_release release = {
		.n_ids = 1,
		.ptr_ids = BUS1_FROM_PTR(&call->release),
	};

	if (call->pass) {
		transfer.flags = 0;
		transfer.id = call->pass;
	}
	if (call->release)
		must(ioctl(call->fd, BUS1_CMD_RELEASE, &release), "RELEASE");
	else if (call->n)
		must(ioctl(call->fd, BUS1_CMD_SEND, &send), "SEND");
	else
		must(ioctl(call->fd, BUS1_CMD_RECV, &recv), "RECV");
	call->handle = transfer.id;
}

static void *work(void *data)
{
	struct worker *w = data;

	prctl(PR_SET_NAME, w->name);
	for (;;) {
		sem_wait(&w->go);
		run(w->call);
		sem_post(&w->done);
	}
	return NULL;
}

static uint64_t by(int worker, struct call call)
{
	struct worker *w = &workers[worker];

	w->call = &call;
	sem_post(&w->go);
	sem_wait(&w->done);
	return call.handle;
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

/* What debugfs counted of the peer until now */
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

/* The last transaction, or receipt, of the peer is called so. */
static void is_tx(const char *key, int fd)
{
	printf("%s=%" PRIu64 ":%" PRIu64 "\n", key, peer_id(fd),
	       counted(fd, " transactions="));
}

static void is_receipt(const char *key, int fd)
{
	printf("%s=recv:%" PRIu64 ".%" PRIu64 "\n", key, peer_id(fd),
	       counted(fd, " received="));
}

static int peer_open(const char *key, const char *name)
{
	struct bus1_cmd_name cmd = {
		.n_name = strlen(name),
		.ptr_name = BUS1_FROM_PTR(name),
	};
	int fd = open("/dev/bus1", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/bus1");
	must(ioctl(fd, BUS1_CMD_NAME, &cmd), "NAME");
	printf("%s=%" PRIu64 "\n", key, peer_id(fd));
	return fd;
}

/* Makes a node in @from; returns its handle in @to. */
static uint64_t give(int from, int to, uint64_t *node)
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
	*node = src.id;
	return dst.id;
}

#define RECV(worker, fd_) by(worker, (struct call){ .fd = fd_ })
#define RECV_HANDLE(worker, fd_) by(worker, (struct call){ .fd = fd_, .carry = true })
#define SEND(worker, fd_, handle) \
	by(worker, (struct call){ .fd = fd_, .handles = handle, .n = 1 })
#define SEND_HANDLE(worker, fd_, handle) \
	by(worker, (struct call){ .fd = fd_, .handles = handle, .n = 1, .carry = true })
#define MULTICAST(worker, fd_, handles_) \
	by(worker, (struct call){ .fd = fd_, .handles = handles_, .n = 2 })

/* Who works for whom, mostly */
enum { CLIENT, SERVICE, LEFT, RIGHT, SECOND };

int main(void)
{
	int client = peer_open("client", "client");
	int service = peer_open("service", "service");
	int left = peer_open("left", "twin"), right = peer_open("right", "twin");
	int other = peer_open("other", "other");
	uint64_t to_service, to_client, left_to[2], right_to[2], node, node_2;
	uint64_t carried, to_left;
	pthread_t thread;
	int i;

	prctl(PR_SET_NAME, "cause-main");
	for (i = 0; i < 5; i++) {
		snprintf(workers[i].name, sizeof(workers[i].name), "cause-%d", i);
		sem_init(&workers[i].go, 0, 0);
		sem_init(&workers[i].done, 0, 0);
		must(pthread_create(&thread, NULL, work, &workers[i]), "thread");
	}
	to_service = give(service, client, &node);
	printf("node=%" PRIu64 ":%" PRIu64 "\n", peer_id(service), node);
	to_client = give(client, service, &node_2);
	left_to[0] = give(service, left, &node_2);
	printf("left_node=%" PRIu64 ":%" PRIu64 "\n", peer_id(service), node_2);
	left_to[1] = give(other, left, &node_2);
	right_to[0] = give(service, right, &node_2);
	right_to[1] = give(other, right, &node_2);

	/* a request that brings the handle for its reply */
	SEND_HANDLE(CLIENT, client, &to_service);
	is_tx("request", client);
	carried = RECV_HANDLE(SERVICE, service);
	is_receipt("request_recv", service);
	SEND(SERVICE, service, &to_client);
	is_tx("noise", service);
	SEND(SERVICE, service, &carried);
	is_tx("reply", service);
	RECV(CLIENT, client);
	RECV(CLIENT, client);
	is_receipt("reply_recv", client);
	/* and one that brings none */
	SEND(CLIENT, client, &to_service);
	is_tx("plain", client);
	RECV(SERVICE, service);
	SEND(SERVICE, service, &to_client);
	is_tx("plain_reply", service);
	RECV(CLIENT, client);
	/* that nobody answers */
	SEND(CLIENT, client, &to_service);
	is_tx("unanswered", client);

	/* one after the other, which only this program knows */
	SEND(LEFT, left, &left_to[0]);
	is_tx("pipe_a", left);
	SEND(RIGHT, right, &right_to[0]);
	is_tx("pipe_b", right);
	RECV(SERVICE, service);
	RECV(SERVICE, service);
	RECV(SERVICE, service);
	is_receipt("pipe_b_recv", service);

	/* the same of multicasts */
	MULTICAST(LEFT, left, left_to);
	is_tx("multi_a", left);
	MULTICAST(RIGHT, right, right_to);
	is_tx("multi_b", right);
	RECV(SERVICE, service);
	RECV(SERVICE, service);
	RECV(SECOND, other);
	RECV(SECOND, other);

	/* a peer that two threads read from */
	SEND(LEFT, left, &left_to[0]);
	is_tx("queue_a", left);
	SEND(RIGHT, right, &right_to[0]);
	RECV(SERVICE, service);
	RECV(CLIENT, service);
	SEND(CLIENT, service, &to_client);
	is_tx("queue_b", service);
	RECV(CLIENT, client);

	/* a request that one thread receives, another passes on, and a deputy answers */
	to_left = give(left, service, &node_2);
	SEND_HANDLE(RIGHT, right, &right_to[0]);
	is_tx("task", right);
	carried = RECV_HANDLE(SERVICE, service);
	is_receipt("task_recv", service);
	by(SECOND, (struct call){ .fd = service, .handles = &to_left, .n = 1,
				  .carry = true, .pass = carried });
	is_tx("task_passed", service);
	carried = RECV_HANDLE(LEFT, left);
	SEND(LEFT, left, &carried);
	is_tx("task_reply", left);
	RECV(RIGHT, right);

	/* the end of a node */
	by(SERVICE, (struct call){ .fd = service, .release = node });
	is_tx("release", service);
	RECV(CLIENT, client);
	is_receipt("released", client);
	printf("done=1\n");
	return 0;
}
