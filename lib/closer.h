/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIBBUS1_CLOSER_H
#define LIBBUS1_CLOSER_H

#include <sys/types.h>

/* Whether @uid must not be allowed to send another descriptor now. */
int libbus1_closer_full(uid_t uid);

/* Close @fd, which came from @uid, without waiting for what it may be. */
void libbus1_closer_close(int fd, uid_t uid);

/* The same for a peer, which is closed at once if there is little in it. */
void libbus1_closer_close_peer(int fd, uid_t uid);

#endif
