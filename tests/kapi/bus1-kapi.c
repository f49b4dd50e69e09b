// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another module's view of bus1.h: loading this sends a request with its way
 * back from one peer to another, and a reply, and looks at all that arrives.
 * It does not load if anything is not as it should be.
 */
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/uio.h>

#include "bus1.h"

#define EXPECT(_cond)                                                         \
	do {                                                                  \
		if (!(_cond)) {                                               \
			pr_err("bus1-kapi: line %d: %s\n", __LINE__, #_cond); \
			return -EINVAL;                                       \
		}                                                             \
	} while (0)

static int kapi_send(struct bus1_peer *peer, u64 dest, char *data, size_t n,
		     struct bus1_transfer *transfers, size_t n_transfers)
{
	struct kvec vec = { .iov_base = data, .iov_len = n };
	struct bus1_fault fault;
	struct bus1_send_op op;
	struct iov_iter iter;
	int r;

	iov_iter_kvec(&iter, ITER_SOURCE, &vec, 1, n);
	r = bus1_send_prepare(&op, peer, 0, &dest, 1, transfers, n_transfers,
			      &iter, n, &fault);
	if (!r)
		bus1_send_commit(&op);
	return r;
}

/* Receive; what is expected to come is in @want, the first new ID comes out. */
static int kapi_recv(struct bus1_peer *peer, const struct bus1_recv_op *want,
		     const char *data, u64 *first_id)
{
	struct bus1_fault fault;
	struct bus1_recv_op op;
	char buf[16] = {};
	struct kvec vec = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct iov_iter iter;
	int r;

	EXPECT(!bus1_recv_begin(&op, peer, BUS1_RECV_FLAG_WAIT, BUS1_INVALID,
				&fault));
	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, sizeof(buf));
	r = bus1_recv_reserve(&op);
	if (!r)
		r = bus1_recv_copy(&op, &iter);
	if (r) {
		bus1_recv_abort(&op);
		return r;
	}
	if (op.type != want->type || op.id != want->id ||
	    op.n_data != want->n_data || op.n_transfers != want->n_transfers ||
	    memcmp(buf, data, want->n_data))
		r = -EBADMSG;
	if (first_id)
		*first_id = op.first_id;
	return bus1_recv_commit(&op) ?: r;
}

static int kapi_run(struct bus1_peer *server, struct bus1_peer *client)
{
	struct bus1_transfer service = {
		.flags = BUS1_TRANSFER_FLAG_CREATE,
		.id = BUS1_INVALID,
	};
	struct bus1_transfer reply = service, handle;
	struct bus1_transfer_op op;
	struct bus1_fault fault = {};
	u64 way_back, ids[1];

	EXPECT(!bus1_transfer_prepare(&op, server, client, &service, &handle,
				      1, &fault));
	EXPECT(!bus1_transfer_commit(&op));

	/* Prepared and given up: nothing happened. */
	EXPECT(!bus1_transfer_prepare(&op, client, server, &handle, &reply, 1,
				      &fault));
	bus1_transfer_abort(&op);
	ids[0] = reply.id;
	EXPECT(bus1_peer_release(server, ids, 1, &fault) == -EBADRQC);

	reply = (struct bus1_transfer){
		.flags = BUS1_TRANSFER_FLAG_CREATE,
		.id = BUS1_INVALID,
	};
	EXPECT(!bus1_peer_readable(server));
	EXPECT(!kapi_send(client, handle.id, "request", 7, &reply, 1));
	EXPECT(bus1_peer_readable(server));
	EXPECT(!kapi_recv(server, &(struct bus1_recv_op){
				.type = BUS1_MESSAGE_TYPE_USER,
				.id = service.id,
				.n_data = 7,
				.n_transfers = 1,
			  }, "request", &way_back));
	EXPECT(kapi_send(server, service.id, "x", 1, NULL, 0) == -EBADRQC);
	EXPECT(!kapi_send(server, way_back, "reply", 5, NULL, 0));
	ids[0] = way_back;
	EXPECT(!bus1_peer_release(server, ids, 1, &fault));
	EXPECT(!kapi_recv(client, &(struct bus1_recv_op){
				.type = BUS1_MESSAGE_TYPE_USER,
				.id = reply.id,
				.n_data = 5,
			  }, "reply", NULL));
	EXPECT(!kapi_recv(client, &(struct bus1_recv_op){
				.type = BUS1_MESSAGE_TYPE_HANDLE_RELEASE,
				.id = reply.id,
			  }, "", NULL));
	ids[0] = service.id;
	EXPECT(!bus1_peer_release(server, ids, 1, &fault));
	EXPECT(!kapi_recv(client, &(struct bus1_recv_op){
				.type = BUS1_MESSAGE_TYPE_NODE_RELEASE,
				.id = handle.id,
			  }, "", NULL));
	EXPECT(!bus1_peer_readable(client) && !bus1_peer_readable(server));
	return 0;
}

static int __init kapi_init(void)
{
	struct bus1_peer *server, *client;
	int r;

	server = bus1_peer_new(current_cred());
	if (IS_ERR(server))
		return PTR_ERR(server);
	client = bus1_peer_new(current_cred());
	if (IS_ERR(client)) {
		bus1_peer_close(server);
		return PTR_ERR(client);
	}
	r = kapi_run(server, client);
	bus1_peer_close(client);
	bus1_peer_close(server);
	return r;
}

static void __exit kapi_exit(void)
{
}

module_init(kapi_init);
module_exit(kapi_exit);
MODULE_DESCRIPTION("A user of bus1's in-kernel interface, for tests");
MODULE_LICENSE("GPL");
