#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The filters of bus1-trace, and what it shows only on request: the same workload
# each time, of which is known what has to remain.

. trace-tap.sh

# run_under OPTION...: the workload from its begin, under monitor --json
run_under()
{
	monitor_start --json "$@"
	trace-load >"$dir/load"
	sleep 0.2
	monitor_end INT
}

shown()
{
	sed -n "s/^{\"type\":\"count\",\"of\":\"$1\".*\"shown\":\([0-9]*\).*/\1/p" \
		"$dir/out"
}

identity()
{
	! grep -q '"balanced":false' "$dir/out" &&
		grep -q '"lost":0,"missed":0' "$dir/out"
}

# all EVENT...: these are complete; nothing of any other is shown
only()
{
	sed -n 's/^{"type":"count","of":"\([a-z_]*\)".*"shown":\([0-9]*\).*/\1 \2/p' \
		"$dir/out" | while read -r event n; do
		case " $* " in
		*" $event "*) [ "$n" -gt 0 ] || echo "$event missing" ;;
		*) [ "$n" -eq 0 ] || echo "$event $n" ;;
		esac
	done
}

run_under
is "no filter: status 0" "$status" 0
is "no filter: all messages" "$(shown msg_send)" "$(said msg_send)"
is "no filter: all receipts" "$(shown msg_recv)" "$(said msg_recv)"

run_under --comm load-client
# RECV by the server passes as well: its sender fits
is "--comm: what the client sends, and its receipts" "$(shown msg_recv)" \
	"$(said msg_recv)"
is "--comm: failures of the client alone" "$(shown op_fail)" \
	"$(said unknown)"
ok "--comm: the identity holds" identity
run_under --comm load-clien
is "--comm: the whole name has to be the same" "$(shown msg_recv)" 0

mkdir -p /sys/fs/cgroup/filter/inner /sys/fs/cgroup/other || exit 1
in_group()
{
	(
		echo 0 >"/sys/fs/cgroup/filter/inner/cgroup.procs"
		exec trace-load
	) >"$dir/load"
}
for group in filter/inner /filter /sys/fs/cgroup/filter/ / \
	     filter/../filter/./inner; do
	monitor_start --json -c $group
	in_group
	sleep 0.2
	monitor_end INT
	is "-c $group: all of a process inside" "$(shown msg_recv)" \
		"$(said msg_recv)"
done
monitor_start --json -c other
in_group
sleep 0.2
monitor_end INT
is "-c other: nothing of a process elsewhere" "$(shown msg_recv)" 0
ok "-c other: the identity holds" identity
bus1-trace monitor -c nonsense -d 1 >"$dir/out" 2>&1
is "-c: no such group is a usage error" $? 2
ok "-c: it says where they are" grep -q /sys/fs/cgroup "$dir/out"
rmdir /sys/fs/cgroup/filter/inner /sys/fs/cgroup/filter /sys/fs/cgroup/other

# A node of a peer that was there before
load_wait
node=$(bus1-trace status -o --json | sed -n \
	"s/^{\"type\":\"node\",\"peer\":$(said second_peer),\"id\":\([0-9]*\).*/\1/p")
monitor_start --json --node "$(said second_peer):$node"
load_go
monitor_end INT
is "--node: messages to it" "$(shown msg_send)" "$(said second_recv)"
is "--node: receipts of them" "$(shown msg_recv)" "$(said second_recv)"
# a multicast passes by one of its messages
is "--node: their transactions, and its close" "$(shown tx_commit)" \
	$(($(said second_recv) + 1))
ok "--node: the identity holds" identity

run_under --kind notification
is "--kind notification: nothing else" "$(only tx_commit notify_send \
	notify_recv notify_drop)" ""
is "--kind notification: all of them" "$(shown notify_recv)" \
	"$(said notify_recv)"
is "--kind notification: releases and closes" "$(lines tx_commit \
	'"kind":"\(send\|transfer\)"')" 0
run_under --kind message
is "--kind message: nothing else" "$(only tx_commit msg_send msg_recv \
	msg_discard)" ""
is "--kind message: their transactions" "$(shown tx_commit)" "$(said send)"
run_under --kind failure,peer
is "--kind failure,peer: nothing else" "$(only op_fail peer_new peer_free)" ""
run_under --errors
is "--errors: nothing else" "$(only op_fail msg_discard)" ""
is "--errors: failures" "$(shown op_fail)" "$(said op_fail)"
is "--errors: discarded messages" "$(shown msg_discard)" "$(said msg_discard)"

run_under --min-latency 1ns
is "--min-latency 1ns: every receipt" "$(shown msg_recv)" "$(said msg_recv)"
run_under --min-latency 300us
is "--min-latency: nothing that was faster" \
	"$(member msg_recv queued | awk '$1 < 300000' | wc -l)" 0
ok "--min-latency: the identity holds" identity
run_under --min-latency 1000
is "--min-latency of a thousand seconds: nothing" "$(shown msg_recv)" 0

# several at once
run_under --comm load-client --kind failure
is "two filters: both have to fit" "$(only op_fail)" ""
is "two filters: all that do" "$(shown op_fail)" "$(said unknown)"

# Payload: only on request
run_under
is "without --payload there is none" "$(grep -c payload "$dir/out")" 0
run_under --payload 5
is "--payload 5: of each message" "$(lines msg_send \
	'"payload":"0000000000"')" "$(said msg_send)"
run_under --payload 4096
is "--payload 4096: all of it, and no more" "$(lines msg_send \
	"\"payload\":\"$(printf '%034d' 0)\"")" "$(said msg_send)"
run_under --payload 5 --kind failure
is "--payload: nothing of messages that are filtered" \
	"$(grep -c payload "$dir/out")" 0
monitor_start --payload 8
trace-load >"$dir/load"
sleep 0.2
monitor_end INT
is "--payload, text: a row for each transaction" \
	"$(grep -c '0000  00 00 00 00 00 00 00 00 .* \.\.\.\.\.\.\.\.$' \
	"$dir/out")" "$(said send)"

# --raw-tp filters by the same code
run_under --raw-tp --kind failure,peer
is "--raw-tp --kind: nothing else" "$(only op_fail peer_new peer_free)" ""

# What was filtered once is filtered again, by what it tells of peers.
bus1-trace record -o "$dir/rec" --comm load-server --payload 8 >/dev/null 2>&1 &
recorder=$!
until_true test -s "$dir/rec"
trace-load >"$dir/load"
sleep 0.2
kill -INT $recorder
wait $recorder
bus1-trace monitor --json -i "$dir/rec" -u 0 >"$dir/out" 2>"$dir/err"
is "a filtered recording, and another filter: status 0" $? 0
is "a filtered recording, and another filter: every receipt" \
	"$(shown msg_recv)" "$(said msg_recv)"
is "recorded payload is shown on request only" "$(grep -c payload "$dir/out")" 0
bus1-trace monitor --json -i "$dir/rec" --payload 4 >"$dir/out" 2>"$dir/err"
is "and not more of it than that" "$(lines msg_send \
	'"payload":"00000000",')" "$(said msg_send)"
bus1-trace status -i "$dir/rec" >"$dir/out" 2>"$dir/err"
is "a filtered recording does not know all of a state: status 3" $? 3
ok "and says so" grep -q 'was filtered when it was recorded' "$dir/err"

# A multicast shows its payload however many receivers it has.
monitor_start --payload 4
trace-load fan 300
sleep 0.3
monitor_end INT
is "--payload of 300 messages in one" "$(grep -c '0000  00 00 00 00 ' \
	"$dir/out")" 1

for wrong in '--kind nonsense' '--kind message,' '--node 4' '--node 4:0' \
	     '--node x:1' '--min-latency 5x' '--min-latency 0' \
	     '--comm sixteen-letters-' '--payload 4097'; do
	bus1-trace monitor -d 1 $wrong >"$dir/out" 2>&1
	is "\"$wrong\" is a usage error" $? 2
done

plan
