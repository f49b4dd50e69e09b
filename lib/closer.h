/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIBBUS1_CLOSER_H
#define LIBBUS1_CLOSER_H

#include <sys/types.h>

/* Whether @uid must not be allowed to send another descriptor now. */
int libbus1_closer_full(uid_t uid);

/* Whether so much waits to be closed that no one may connect now. */
int libbus1_closer_overloaded(void);

/* Close @fd, which came from @uid, without waiting for what it may be. */
void libbus1_closer_close(int fd, uid_t uid);

/* The same for a peer, which is closed at once if there is little in it. */
void libbus1_closer_close_peer(int fd, uid_t uid);

/*
 * The same for a connection, which is closed at once if nothing is unread in
 * it. Where it is not the last copy, what is unread is taken out as well.
 */
void libbus1_closer_hang_up(int socket, uid_t uid);

#endif
