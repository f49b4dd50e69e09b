// SPDX-License-Identifier: LGPL-2.1-or-later
/* Unix sockets: what server and client share. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include "internal.h"

int libbus1_address(struct sockaddr_un *addr, const char *path)
{
	size_t n = strlen(path);

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (!n || (path[0] == '@' && n == 1))
		return -EINVAL;
	/* A path keeps its final 0, an abstract name has none. */
	if (n > sizeof(addr->sun_path) - (path[0] != '@'))
		return -ENAMETOOLONG;
	memcpy(addr->sun_path, path, n);
	if (path[0] == '@')
		addr->sun_path[0] = 0;
	else
		n++;
	return offsetof(struct sockaddr_un, sun_path) + n;
}

int libbus1_check_socket(int fd, int listening)
{
	static const int options[] = { SO_DOMAIN, SO_TYPE, SO_ACCEPTCONN };
	const int want[] = { AF_UNIX, SOCK_SEQPACKET, listening };
	socklen_t n;
	size_t i;
	int v;

	for (i = 0; i < 3; i++) {
		n = sizeof(v);
		if (getsockopt(fd, SOL_SOCKET, options[i], &v, &n) < 0)
			return errno == ENOTSOCK ? -EPROTOTYPE : -errno;
		if (v != want[i])
			return -EPROTOTYPE;
	}
	return 0;
}
