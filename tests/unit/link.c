// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program against the installed library, as C and as C++. It calls what
 * works without the module, and refers to every function.
 */
#include <bus1/bus1.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef void (*fn)(void);

static fn all[] = {
	(fn)libbus1_call,
	(fn)libbus1_connect,
	(fn)libbus1_connect_socket,
	(fn)libbus1_deadline,
	(fn)libbus1_features,
	(fn)libbus1_listen,
	(fn)libbus1_msg_call,
	(fn)libbus1_msg_deinit,
	(fn)libbus1_msg_discard,
	(fn)libbus1_msg_init,
	(fn)libbus1_msg_recv,
	(fn)libbus1_msg_recv_wait,
	(fn)libbus1_name,
	(fn)libbus1_node_new,
	(fn)libbus1_open,
	(fn)libbus1_post,
	(fn)libbus1_recv,
	(fn)libbus1_recv_batch,
	(fn)libbus1_recv_wait,
	(fn)libbus1_release,
	(fn)libbus1_send,
	(fn)libbus1_server_dispatch,
	(fn)libbus1_server_fd,
	(fn)libbus1_server_free,
	(fn)libbus1_server_new,
	(fn)libbus1_server_set_limits,
	(fn)libbus1_transfer,
	(fn)libbus1_wait,
};

static int failed;

static void expect(const char *what, int got, int want)
{
	if (got == want)
		return;
	fprintf(stderr, "%s: got %d, expected %d\n", what, got, want);
	failed = 1;
}

static int offer(void *userdata, const struct libbus1_cred *cred,
		 uint64_t *handle)
{
	(void)userdata;
	(void)cred;
	(void)handle;
	return -EACCES;
}

int main(void)
{
	struct libbus1_server *server = NULL;
	struct libbus1_msg msg;
	char name[64], longname[110];
	uint64_t handle;
	int fd, pipes[2];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!all[i])
			return 1;

	libbus1_msg_init(&msg, 1, 2);
	expect("recv on no peer", libbus1_msg_recv(&msg, -1), -EBADF);
	expect("wait on no peer", libbus1_msg_recv_wait(&msg, -1, 1), -EBADF);
	expect("call on no peer",
	       libbus1_msg_call(&msg, -1, 1, 1, "x", 1, NULL, 0), -EBADF);
	expect("no deadline", libbus1_deadline(-1) == BUS1_INVALID, 1);
	expect("no wait", libbus1_deadline(0) == 0, 1);
	libbus1_msg_deinit(&msg);
	expect("limits kept", msg.max_data == 1 && msg.max_handles == 2, 1);

	memset(longname, 'x', sizeof(longname));
	longname[108] = 0;
	expect("long path", libbus1_listen(longname, 0600), -ENAMETOOLONG);
	expect("no path", libbus1_listen("", 0600), -EINVAL);
	expect("connect to nobody",
	       libbus1_connect(-1, "@bus1-link-nobody", 100, &handle),
	       -ECONNREFUSED);

	snprintf(name, sizeof(name), "@bus1-link-%d", (int)getpid());
	fd = libbus1_listen(name, 0600);
	if (fd < 0)
		return 1;
	expect("name taken", libbus1_listen(name, 0600), -EADDRINUSE);
	if (pipe(pipes))
		return 1;
	expect("server on a pipe",
	       libbus1_server_new(&server, -1, pipes[0], offer, NULL, NULL),
	       -EPROTOTYPE);
	expect("server", libbus1_server_new(&server, -1, fd, offer, NULL, NULL),
	       0);
	expect("nothing to do", libbus1_server_dispatch(server), 0);
	expect("no limit", libbus1_server_set_limits(server, 0, 1), -EINVAL);
	expect("free", libbus1_server_free(server) == NULL, 1);
	return failed;
}
