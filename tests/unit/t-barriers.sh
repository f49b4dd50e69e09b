#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the litmus tests prove they prove of operations that order something. On
# x86 a relaxed one orders as much, and hardly any run tells whether a barrier is
# there: so compare the source. Run from the top of the tree.
set -u
export LC_ALL=C

n=0 failed=0
check()
{
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "$2" | sed 's/^/# /'
		failed=$((failed + 1))
	fi
}

check 'D19: kmod publishes by no operation that orders nothing' \
	"$(grep -nE '_relaxed *\(' kmod/*.[ch])"

# What may publish or order, of each function in the order in which it stands
# there. A change belongs into the litmus tests and doc/ordering.md first, and then
# here.
expected()
{
	cat <<'LIST'
bus1_handle_remember: WRITE_ONCE(peer->foreign, true
bus1_handle_remember: cmpxchg(&handle->trace, NULL, trace
bus1_msg_discard: cmpxchg(&message->claimed, 0, 1
bus1_msg_new: atomic64_set(&message->item.seq, 0
bus1_node_drop: smp_mb__after_atomic(
bus1_node_kill: WRITE_ONCE(node->dead, true
bus1_node_kill: smp_mb(
bus1_peer_close: WRITE_ONCE(bus1_item_handle(item
bus1_peer_new: atomic64_inc_return(&bus1_peer_ids
bus1_peer_release: WRITE_ONCE(bus1_item_handle(item
bus1_queue_deliver: atomic64_set(&item->seq, seq
bus1_queue_direct: xchg(&peer->incoming.first, NULL
bus1_queue_freeze: llist_del_all(&peer->incoming
bus1_queue_link: try_cmpxchg(&incoming->first, &first, &item->link
bus1_queue_refresh: smp_mb(
bus1_queue_seal: xchg(&peer->incoming.first, BUS1_SEALED
bus1_queue_seq: atomic64_read_acquire(&lead->seq
bus1_queue_take: smp_mb(
bus1_recv_commit: WRITE_ONCE(message->claimed, 1
bus1_recv_forget: WRITE_ONCE(handle->released, true
bus1_recv_install: atomic64_set(&handle->item.seq,
bus1_ref_put: atomic_read_acquire(&ref->refs
bus1_send_one: WRITE_ONCE(handle->used, ktime_get_coarse_ns(
bus1_send_unhold: WRITE_ONCE(op->dests[i].handle->used, used
bus1_stock_close: atomic64_xchg(&trace->stock, 0
bus1_stock_open: atomic64_set(&trace->stock, BUS1_STOCK_OPEN | amount
bus1_stock_put: atomic64_try_cmpxchg(&trace->stock, &old, old + amount
bus1_stock_take: atomic64_try_cmpxchg(&trace->stock, &old,
bus1_stocks_shelve: atomic64_xchg(&trace->stock, 0
bus1_stocks_unshelve: atomic64_set(&trace->stock, trace->shelved
bus1_tx_draw: atomic64_inc_return(&tx->peer->tx_seq
bus1_tx_publish: atomic64_set(&lead->seq, BUS1_SEQ_DRAWING
bus1_tx_publish: atomic64_inc_return(&bus1_seq
bus1_tx_publish: atomic64_set(&lead->seq, seq
bus1_user_get: __xa_cmpxchg(&bus1_users, __kuid_val(uid
bus1_wait_leave: list_empty_careful(&wait->entry
bus1_wait_sleep: set_current_state(state
bus1_wait_sleep: __set_current_state(TASK_RUNNING
bus1_wake_function: WRITE_ONCE(wait->flags, wait->flags | WQ_FLAG_WOKEN
bus1_wake_function: list_del_init_careful(&wait->entry
LIST
}

found()
{
	awk '
	BEGIN {
		what = "(smp_[a-z_]+|[a-z0-9_]*xchg[a-z0-9_]*|" \
		       "llist_(add|del)[a-z_]*|" \
		       "(atomic|refcount)[a-z0-9_]*_(acquire|release)|" \
		       "atomic64_(set|inc_return)[a-z_]*|[a-z_]+_careful|" \
		       "[a-z_]*set_current_state|WRITE_ONCE)\\([^;)]*"
	}
	/^[ \t]*\/?\*( |\*|$)/ { next }
	/^[a-z]/ {
		sub(/\(.*/, "")
		name = $NF
		sub(/^\**/, "", name)
		next
	}
	{
		while (match($0, what)) {
			print name ": " substr($0, RSTART, RLENGTH)
			$0 = substr($0, RSTART + RLENGTH)
		}
	}' kmod/*.[ch] | sort -s -k 1,1
}

tmp=$(mktemp) || exit 1
trap 'rm -f "$tmp"' EXIT
expected >"$tmp"
check 'D19: what publishes and orders is what the litmus tests speak of' \
	"$(found | diff "$tmp" - | sed -n 's/^</gone:/p; s/^>/new:/p')"

echo "1..$n"
[ $failed -eq 0 ]
