// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list of all objects is read while peers come and go, and send to
 * themselves: each block is whole, and a reader who got hold of a peer before
 * it was closed finds it empty.
 */
#include <sys/wait.h>

#include "b1.h"
#include "tap.h"

#define CHILDREN 2
#define ROUNDS 60
#define NODES 500
#define MESSAGES 20

static void child(void)
{
	static struct bus1_transfer src[NODES], dst[NODES];
	struct bus1_cmd_transfer cmd = {
		.to = BUS1_INVALID,
		.n_transfers = NODES,
		.ptr_src = BUS1_FROM_PTR(src),
		.ptr_dst = BUS1_FROM_PTR(dst),
	};
	int i, k, fd;

	for (i = 0; i < ROUNDS; i++) {
		fd = open("/dev/bus1", O_RDWR | O_CLOEXEC);
		for (k = 0; k < NODES; k++)
			src[k] = (struct bus1_transfer){
				BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID };
		if (fd < 0 || ioctl(fd, BUS1_CMD_TRANSFER, &cmd))
			_exit(1);
		for (k = 0; k < MESSAGES; k++)
			if (b1_send(fd, dst[k].id, "x", 1))
				_exit(1);
		/* Now and then long enough to be seen. */
		if (i % 8 == 0)
			usleep(1000);
		/* Its last message goes with the node, others with the peer. */
		if (b1_drop(fd, src[MESSAGES - 1].id))
			_exit(1);
		close(fd);
	}
	_exit(0);
}

int main(void)
{
	unsigned long long nodes, handles, queued, left[3] = {}, most = 0;
	unsigned int i, reads = 0, peers = 0, torn = 0, done = 0, bad = 0;
	char line[512];
	int status;
	FILE *f;

	for (i = 0; i < CHILDREN; i++)
		if (!fork())
			child();
	while (done < CHILDREN) {
		f = fopen("/sys/kernel/debug/bus1/objects", "r");
		if (!f)
			break;
		while (fgets(line, sizeof(line), f)) {
			if (!strncmp(line, "node ", 5)) {
				left[0]--;
			} else if (!strncmp(line, "handle ", 7)) {
				left[1]--;
			} else if (!strncmp(line, "message ", 8) ||
				   !strncmp(line, "notification ", 13)) {
				left[2]--;
			} else {
				torn += left[0] || left[1] || left[2];
				left[0] = left[1] = left[2] = 0;
			}
			if (!strncmp(line, "peer ", 5) &&
			    sscanf(strstr(line, " nodes="),
				   " nodes=%llu handles=%llu queued=%llu",
				   &nodes, &handles, &queued) == 3) {
				left[0] = nodes;
				left[1] = handles;
				left[2] = queued;
				most = queued > most ? queued : most;
				peers++;
			}
		}
		torn += left[0] || left[1] || left[2];
		left[0] = left[1] = left[2] = 0;
		fclose(f);
		reads++;
		while (waitpid(-1, &status, WNOHANG) > 0) {
			done++;
			bad += status != 0;
		}
	}
	ok(done == CHILDREN && !bad, "peers came and went");
	ok(reads > 1 && peers && most && !torn,
	   "each block is whole (%u reads, %u peers, %u torn, most queued %llu)",
	   reads, peers, torn, most);
	return done_testing();
}
