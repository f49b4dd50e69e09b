/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef _BUS1_BUS1_H
#define _BUS1_BUS1_H

/**
 * DOC: libbus1
 *
 * One typed call for each command of <linux/bus1.h>, a receive that grows its
 * buffer, and the way two unrelated processes find each other.
 *
 * A peer is a file descriptor: open it with libbus1_open(), close it with
 * close(2). IDs are those of the kernel.
 *
 * Every function returns 0 or a count on success and a negative errno on
 * failure; errno itself is not a result. A call that failed had no effect on
 * the bus and may be repeated with the same arguments. Two functions do two
 * things, libbus1_call() and libbus1_msg_call(): a positive errno of theirs says
 * that the first is done and the second is not.
 *
 * Sizes are in bytes. A *timeout* is in milliseconds from now on; a *deadline*
 * is the kernel's, CLOCK_MONOTONIC in nanoseconds, so that it can be used again
 * when there is more to wait for: libbus1_deadline() makes one of the other.
 *
 * Functions that take a deadline, and libbus1_features(), need a module that has
 * the extensions of <linux/bus1.h>. One that is older says -ENOTTY or -EINVAL,
 * and nothing is sent; the library does not imitate them. All others, the
 * bootstrap included, need the four commands alone.
 *
 * The library keeps no state of its own about peers: any thread may call on any
 * peer. A struct libbus1_msg or libbus1_server is for one thread at a time.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <linux/bus1.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * libbus1_open() - make a peer
 *
 * Return: its file descriptor (close-on-exec), which the caller closes;
 * -ENOENT where the module is not loaded; -EDQUOT where the user may have no more
 * objects; what else open(2) says.
 */
int libbus1_open(void);

/**
 * libbus1_wait() - wait until libbus1_recv() would find something
 * @peer:    the peer
 * @timeout: the longest wait; 0 only looks, a negative one waits for ever
 *
 * Goes on waiting after a signal. To wait for more than one peer, use poll(2)
 * or epoll(7) on the descriptors.
 *
 * Return: 1 if there is something, 0 after the timeout; -EBADF.
 */
int libbus1_wait(int peer, int timeout);

/**
 * libbus1_features() - ask which extensions the module has
 * @peer:     any peer
 * @features: out: BUS1_FEATURE_*; unknown bits may be set
 *
 * Return: 0; -ENOTTY where the module is too old to be asked: it has none, or
 * names alone.
 */
int libbus1_features(int peer, uint64_t *features);

/**
 * libbus1_deadline() - when a time from now on has passed
 * @timeout: in milliseconds; 0 not to wait; a negative one waits for ever
 *
 * Return: CLOCK_MONOTONIC in nanoseconds; 0, which is always past, for 0;
 * BUS1_INVALID for ever.
 */
uint64_t libbus1_deadline(int timeout);

/**
 * libbus1_transfer() - copy handles from one peer into another
 * @peer: the peer that holds the handles
 * @to:   the peer they go to; may be @peer
 * @src:  @n entries: {0, handle}, or {BUS1_TRANSFER_FLAG_CREATE, BUS1_INVALID}
 *        to make a node in @peer, whose ID is then found here. As before on
 *        failure
 * @dst:  @n entries, out: the new handles, IDs of @to
 * @n:    at most BUS1_MAX_TRANSFERS
 *
 * @src is read and written by the library too: unlike other pointers it must be
 * good.
 *
 * Return: 0; -EBADF or -EOPNOTSUPP if @to is not a descriptor, or not that of
 * a peer; -EBADRQC if an ID is no handle of @peer; -EDQUOT if @to's user may not
 * have the handles, or @peer's not the new nodes; -EINVAL, -EMSGSIZE, -ENOMEM.
 */
int libbus1_transfer(int peer, int to, struct bus1_transfer *src,
		     struct bus1_transfer *dst, size_t n);

/**
 * libbus1_release() - give up nodes and handles, in one transaction
 * @peer: their owner
 * @ids:  @n IDs, nodes and handles mixed, each once
 * @n:    at most BUS1_MAX_IDS; up to 32 it cannot fail for want of memory
 *
 * Never fails for a quota.
 *
 * Return: 0; -EBADRQC if an ID is unknown, -EINVAL if one is named twice: then
 * nothing was released; -EMSGSIZE, -ENOMEM.
 */
int libbus1_release(int peer, const uint64_t *ids, size_t n);

/**
 * libbus1_send() - send one message to many handles, in one transaction
 * @peer:           the sender
 * @flags:          0 or BUS1_SEND_FLAG_CONTINUE
 * @destinations:   @n_destinations handles of @peer
 * @n_destinations: at most BUS1_MAX_DESTINATIONS
 * @errors:         @n_destinations results, or NULL: 0, or with
 *                  BUS1_SEND_FLAG_CONTINUE -EDQUOT for a destination that was
 *                  skipped. Mean something only when the call succeeds
 * @message:        flags 0 or BUS1_MESSAGE_FLAG_FLAT, type 0; the rest as in
 *                  <linux/bus1.h>. Entries of ptr_transfers with
 *                  BUS1_TRANSFER_FLAG_CREATE hold the ID of the new node
 *                  afterwards, and are as before on failure; it and
 *                  ptr_transfers are read and written by the library too:
 *                  unlike other pointers they must be good
 *
 * Return: 0, with BUS1_SEND_FLAG_CONTINUE also if all were skipped; -EDQUOT if a
 * receiver's user may not be charged for the message (not with that flag), or
 * @peer's for the new nodes; -EBADRQC if an ID is no handle of @peer; -EINVAL,
 * -EMSGSIZE, -EFAULT, -ENOMEM.
 */
int libbus1_send(int peer, uint64_t flags, const uint64_t *destinations,
		 size_t n_destinations, int32_t *errors,
		 const struct bus1_message *message);

/**
 * libbus1_recv() - take the next message or notification
 * @peer:     the receiver
 * @metadata: out
 * @message:  the room in; what came out. flags are 0 or BUS1_MESSAGE_FLAG_FLAT,
 *            type is set by this call
 *
 * Return: 0; -EAGAIN if there is none; -EMSGSIZE if the room is too small: then
 * n_transfers and n_data say what is needed, and the message stays queued;
 * -EINVAL, -EFAULT, -ENOMEM.
 */
int libbus1_recv(int peer, struct bus1_metadata *metadata,
		 struct bus1_message *message);

/**
 * libbus1_recv_wait() - take the next message or notification, when it is there
 * @peer:     the receiver
 * @deadline: see libbus1_deadline(); with 0 it is libbus1_recv()
 * @metadata: out
 * @message:  the room in; what came out. flags are 0 or BUS1_MESSAGE_FLAG_FLAT,
 *            type is set by this call
 *
 * One message wakes one of those who sleep in such a call on the same peer, the
 * one that has waited longest.
 *
 * Return: as libbus1_recv(), but -ETIMEDOUT if there is none at the deadline
 * (-EAGAIN where that is 0); -EINTR if a signal came whose handler has no
 * SA_RESTART: nothing is received then.
 */
int libbus1_recv_wait(int peer, uint64_t deadline,
		      struct bus1_metadata *metadata,
		      struct bus1_message *message);

/**
 * libbus1_recv_batch() - take many messages and notifications in one call
 * @peer:     the receiver
 * @deadline: for the first one, as for libbus1_recv_wait()
 * @received: the room in, for each one message, as for libbus1_recv_wait(); what
 *            came out. What was received into has to be made room again
 * @n:        entries; those from BUS1_MAX_BATCH on are not used
 *
 * Takes what is there, in order, up to @n; it waits only for the first.
 *
 * Return: how many were received, 0 only if @n is 0; what libbus1_recv_wait()
 * says if the first cannot be. Where a later one cannot be received, the call
 * ends before it, and the next one says why.
 */
int libbus1_recv_batch(int peer, uint64_t deadline,
		       struct bus1_received *received, size_t n);

/**
 * libbus1_call() - send a message to one handle, then wait for the next one
 * @peer:        the sender and receiver
 * @deadline:    for the wait, see libbus1_deadline(): with 0 what is there is
 *               received, and no more waited for
 * @destination: a handle of @peer
 * @send:        as the message of libbus1_send(), CREATE included; flags may be
 *               BUS1_MESSAGE_FLAG_FLAT
 * @metadata:    out
 * @message:     as for libbus1_recv_wait()
 *
 * A request, and the wait for the reply to it; or a reply, and the wait for the
 * next request. What comes is whatever is next in the queue: look at the node.
 * Threads that call at the same time need a peer each, or they get each other's
 * replies.
 *
 * Return: 0: sent, and received.
 * Negative: nothing was sent and nothing received, as for libbus1_send(); also
 * -EINVAL, -EMSGSIZE, -EFAULT for a bad room. The call may be repeated.
 * Positive: sent, which must not be repeated, but nothing received: ETIMEDOUT;
 * EINTR, a signal came, whatever its handler says; EMSGSIZE, n_transfers and
 * n_data of @message say what is needed; EFAULT, ENOMEM. Go on with
 * libbus1_recv_wait(), to which the same deadline may be given.
 */
int libbus1_call(int peer, uint64_t deadline, uint64_t destination,
		 const struct bus1_message *send,
		 struct bus1_metadata *metadata, struct bus1_message *message);

/**
 * libbus1_name() - say what a peer is, to those who watch the bus
 * @peer: the peer
 * @name: at most BUS1_MAX_NAME characters, printable ASCII without space; "" or
 *        NULL takes the name away
 *
 * No address, and grants nothing: a program that does not depend on being watched
 * can ignore what this returns.
 *
 * Return: 0; -EINVAL if a character is not allowed, -EMSGSIZE if there are too
 * many; -ENOTTY where the module is older than names.
 */
int libbus1_name(int peer, const char *name);

/**
 * libbus1_node_new() - make a node and a first handle to it
 * @peer:   the peer that gets both
 * @node:   out: messages arrive with this ID
 * @handle: out: send here, or pass it on
 *
 * Return: 0; -EDQUOT, -ENOMEM.
 */
int libbus1_node_new(int peer, uint64_t *node, uint64_t *handle);

/**
 * libbus1_post() - send bytes and handles to one handle
 * @peer:        the sender
 * @handle:      the destination, a handle of @peer
 * @data:        @n_data bytes; may be NULL where that is 0
 * @n_data:      at most what the kernel moves in one call (2 GiB less a page)
 * @transfers:   @n_transfers entries as for libbus1_send(); may be NULL where
 *               that is 0
 * @n_transfers: at most BUS1_MAX_TRANSFERS
 *
 * Return: as libbus1_send().
 */
int libbus1_post(int peer, uint64_t handle, const void *data, size_t n_data,
		 struct bus1_transfer *transfers, size_t n_transfers);

/**
 * struct libbus1_msg - a received message, and the buffers it lies in
 * @type:        BUS1_MESSAGE_TYPE_*
 * @id:          the node (USER, HANDLE_RELEASE) or handle (NODE_RELEASE)
 * @account:     USER: the effective UID of whoever opened the sending peer;
 *               else BUS1_INVALID. It names an account, not a right: whoever
 *               was lent the peer's descriptor sends under it too
 * @data:        @n_data bytes
 * @n_data:      bytes received
 * @handles:     @n_handles IDs of handles that now belong to the receiver
 * @n_handles:   handles received
 * @max_data:    a longer message is refused; 0 for no limit
 * @max_handles: a message with more handles is refused; 0 for no limit
 * @_data_size:    private
 * @_handles_size: private
 *
 * Everything @data and @handles point to is the library's, and good until the
 * next call on the structure. The handles themselves are the caller's to
 * release. @max_data and @max_handles may be set at any time.
 */
struct libbus1_msg {
	uint64_t type;
	uint64_t id;
	uint64_t account;
	void *data;
	size_t n_data;
	uint64_t *handles;
	size_t n_handles;
	size_t max_data;
	size_t max_handles;
	size_t _data_size;
	size_t _handles_size;
};

/**
 * libbus1_msg_init() - make an empty message
 * @msg:         whatever it held is not looked at
 * @max_data:    see struct libbus1_msg
 * @max_handles: see struct libbus1_msg
 */
void libbus1_msg_init(struct libbus1_msg *msg, size_t max_data,
		      size_t max_handles);

/**
 * libbus1_msg_deinit() - free the buffers, leaving an empty message
 * @msg: the message; handles it names stay with the peer
 */
void libbus1_msg_deinit(struct libbus1_msg *msg);

/**
 * libbus1_msg_recv() - take the next message, however large, up to the limits
 * @msg:  where to; its buffers grow as needed and are used again
 * @peer: the receiver
 *
 * Return: 0; -EAGAIN if there is none; -EMSGSIZE if the next message is beyond
 * a limit: it stays queued, and n_data and n_handles say what it has (raise the
 * limit, or libbus1_msg_discard()); -ENOMEM: it stays queued too.
 */
int libbus1_msg_recv(struct libbus1_msg *msg, int peer);

/**
 * libbus1_msg_recv_wait() - the same, when it is there
 * @msg:      where to
 * @peer:     the receiver
 * @deadline: see libbus1_deadline(); with 0 it is libbus1_msg_recv()
 *
 * Return: as libbus1_msg_recv(); -ETIMEDOUT, -EINTR as libbus1_recv_wait().
 */
int libbus1_msg_recv_wait(struct libbus1_msg *msg, int peer, uint64_t deadline);

/**
 * libbus1_msg_call() - send to one handle, then wait for a message of any size
 * @msg:         where to
 * @peer:        the sender and receiver
 * @deadline:    as for libbus1_call()
 * @handle:      the destination; the rest as for libbus1_post()
 * @data:        may be the data of @msg: what was received goes back as it is
 * @n_data:      see libbus1_post()
 * @transfers:   see libbus1_post()
 * @n_transfers: see libbus1_post()
 *
 * A message that is larger than the buffers is received all the same: they grow
 * up to the limits, and the wait goes on.
 *
 * Return: as libbus1_call(). Negative: nothing was sent; also -ENOMEM for the
 * first buffers; @data is as it was. Positive: sent, but nothing received; with
 * EMSGSIZE a message beyond a limit is next, as libbus1_msg_recv() has it. Go on
 * with libbus1_msg_recv_wait().
 */
int libbus1_msg_call(struct libbus1_msg *msg, int peer, uint64_t deadline,
		     uint64_t handle, const void *data, size_t n_data,
		     struct bus1_transfer *transfers, size_t n_transfers);

/**
 * libbus1_msg_discard() - take the next message without keeping its contents
 * @msg:  gets type, id, account and n_data; data and n_handles are empty
 * @peer: the receiver
 *
 * For a message that libbus1_msg_recv() refused: needs little memory whatever
 * the size, and releases the handles that came with it. If a notification is
 * next, it is taken as by libbus1_msg_recv().
 *
 * Return: 0; -EAGAIN, -ENOMEM.
 */
int libbus1_msg_discard(struct libbus1_msg *msg, int peer);

/*
 * Bootstrap: how a process gets its first handle from another one. The pattern,
 * its wire format and what each side must trust are in libbus1(3).
 */

/**
 * libbus1_connect() - get a handle from the server that listens on @path
 * @peer:    the peer that gets the handle
 * @path:    a Unix socket; "@name" is an abstract one
 * @timeout: for the whole call; a negative one waits for ever
 * @handle:  out
 *
 * The server is lent a peer made for this purpose, never @peer.
 *
 * Return: 0; -ENAMETOOLONG; -ENOENT, -ECONNREFUSED, -EACCES ... from
 * connect(2); -ETIMEDOUT; -ECONNRESET if the server hung up; -EPROTO if its
 * answer makes no sense; -EPROTONOSUPPORT if it speaks another version; what
 * libbus1_open() and libbus1_transfer() return; else what the server said, see
 * libbus1_offer_fn.
 */
int libbus1_connect(int peer, const char *path, int timeout, uint64_t *handle);

/**
 * libbus1_connect_socket() - the same over a connected socket
 * @peer:    the peer that gets the handle
 * @socket:  connected, of type SOCK_SEQPACKET; stays the caller's, but is shut
 *           down for reading, and good for nothing more, afterwards
 * @timeout: for the whole call; a negative one waits for ever
 * @handle:  out
 *
 * For a client that looks at the server's credentials first, or got the socket
 * from elsewhere.
 *
 * Return: as libbus1_connect(); -EPROTOTYPE if @socket is of another kind.
 */
int libbus1_connect_socket(int peer, int socket, int timeout,
			   uint64_t *handle);

/**
 * libbus1_listen() - make the socket of a server
 * @path: file system path, at most 107 bytes; "@name" makes an abstract socket
 * @mode: permission bits of the path: clients need to write. Ignored for an
 *        abstract socket, which everyone in the network name space can reach
 *
 * The path must not exist. It is the caller's to remove, before and after.
 *
 * Return: a listening descriptor (close-on-exec); -EADDRINUSE, -ENAMETOOLONG,
 * and what socket(2), bind(2) and chmod(2) say.
 */
int libbus1_listen(const char *path, mode_t mode);

/**
 * struct libbus1_cred - who connected
 * @pid: process; may have ended, and its number be used again
 * @uid: effective user
 * @gid: effective group
 *
 * As of connect(2), in the server's name spaces.
 */
struct libbus1_cred {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/**
 * typedef libbus1_offer_fn - decide what a client gets
 * @userdata: as given to libbus1_server_new()
 * @cred:     the client
 * @handle:   out: a handle of the server's peer, of which the client gets a
 *            copy. BUS1_INVALID, as found, makes a node for this client alone:
 *            its HANDLE_RELEASE then tells when the client has gone
 *
 * Return: 0, or a negative errno that the client is told; -EACCES by custom.
 * Must neither dispatch nor free the server.
 */
typedef int (*libbus1_offer_fn)(void *userdata, const struct libbus1_cred *cred,
				uint64_t *handle);

/**
 * typedef libbus1_given_fn - hear of a handle that went to a client
 * @userdata: as given to libbus1_server_new()
 * @cred:     the client
 * @id:       the handle that was copied, or the node that was made for it
 *
 * Must neither dispatch nor free the server.
 */
typedef void (*libbus1_given_fn)(void *userdata,
				 const struct libbus1_cred *cred, uint64_t id);

struct libbus1_server;

/**
 * libbus1_server_new() - serve handles on a listening socket
 * @serverp:  out
 * @peer:     the peer that owns what is given out; stays the caller's, and
 *            open longer than the server
 * @socket:   from libbus1_listen(), or inherited: a listening SOCK_SEQPACKET
 *            Unix socket. On success it belongs to the server, and is set
 *            non-blocking
 * @offer:    asked for each client
 * @given:    told of each handle given; or NULL
 * @userdata: for both
 *
 * Return: 0; -EPROTOTYPE if @socket is of another kind; -EMFILE, -ENOMEM ...
 */
int libbus1_server_new(struct libbus1_server **serverp, int peer, int socket,
		       libbus1_offer_fn offer, libbus1_given_fn given,
		       void *userdata);

/**
 * libbus1_server_free() - hang up on everyone and close the socket
 * @server: or NULL
 *
 * Clients not accepted yet may have sent what takes long to close.
 *
 * Return: NULL.
 */
struct libbus1_server *libbus1_server_free(struct libbus1_server *server);

/**
 * libbus1_server_fd() - what to poll
 * @server: the server
 *
 * Return: a descriptor, the server's own, that is readable (POLLIN) whenever
 * libbus1_server_dispatch() has something to do, timeouts included.
 */
int libbus1_server_fd(const struct libbus1_server *server);

/**
 * libbus1_server_dispatch() - do what there is to do, without waiting
 * @server: the server
 *
 * Return: how many handles were given out; a negative errno only if the
 * listening socket or the server itself is broken, never for what a client did.
 */
int libbus1_server_dispatch(struct libbus1_server *server);

/**
 * libbus1_server_set_limits() - bound what clients may hold up
 * @server:      the server
 * @timeout:     how long a client may take to send its request; 5000 unless set
 * @max_pending: how many may be taking their time at once, 1 to 1024; 64 unless
 *               set. Where there are more, the user with the most loses the
 *               oldest
 *
 * Applies to clients that connect from now on. May be called in a callback.
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
int libbus1_server_set_limits(struct libbus1_server *server,
			      unsigned int timeout, unsigned int max_pending);

#ifdef __cplusplus
}
#endif

#endif /* _BUS1_BUS1_H */
