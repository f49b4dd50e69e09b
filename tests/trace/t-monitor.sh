#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace monitor: what it shows is what the workload did.
. "$(dirname "$0")/trace-tap.sh"

# Every tx_commit before the receipts of its messages, and each peer's receipts
# by number.
in_order()
{
	awk '
	function number(key) {
		if (!match($0, "\"" key "\":[0-9]+"))
			return -1
		return substr($0, RSTART + length(key) + 3,
			      RLENGTH - length(key) - 3) + 0
	}
	/^."type":"tx_commit"/ { seen[number("peer") "." number("tx")] = 1 }
	/^."type":"(msg|notify)_recv"/ {
		if (!(number("peer") "." number("tx") in seen))
			bad = 1
		if (number("recv") <= last[number("receiver")])
			bad = 1
		last[number("receiver")] = number("recv")
	}
	END { exit bad }' "$dir/out"
}

# Each line an object of strings, numbers and words, the type first.
well_formed()
{
	! grep -v -q -E \
	'^\{"type":"[a-z_]+"(,"[a-z_]+":("([^"\\]|\\.)*"|-?[0-9.]+|true|false))*\}$' \
	"$dir/out"
}

identity()
{
	[ "$(total seen)" -gt 0 ] &&
	[ "$(total seen)" -eq $(($(total shown) + $(total filtered) + \
		$(total ring_full) + $(total map_full))) ] &&
	[ "$(lines summary '"balanced":true')" = 1 ]
}

narrow()
{
	awk 'length($0) >= 80 { print "# " $0; bad = 1 } END { exit bad }' \
		"$dir/out"
}

# Everything, by either kind of attachment.
for how in tp_btf raw_tp; do
	option=
	[ $how = tp_btf ] || option=--raw-tp
	monitor_start --json $option
	trace-load >"$dir/load"
	is "$how: the workload runs" $? 0
	monitor_end INT
	is "$how: Ctrl-C ends it with status 0" $status 0
	is "$how: it is attached that way" "$(lines start "\"$how\"")" 1
	for type in peer_new peer_free handle_new msg_send msg_recv \
		    msg_discard notify_send notify_recv notify_drop op_fail; do
		is "$how: every $type" "$(lines $type)" "$(said $type)"
	done
	for kind in send transfer release; do
		is "$how: every transaction of $kind" \
			"$(lines tx_commit "\"kind\":\"$kind\"")" "$(said $kind)"
	done
	ok "$how: nothing lost, and the count proves it" identity
	is "$how: the summary says so" "$(member summary lost)" 0
	ok "$how: in order" in_order
	ok "$how: well-formed" well_formed
done

is "sizes are right" \
	"$(lines msg_recv "\"bytes\":$(said bytes),")" "$(said msg_recv)"
is "errors have their names" \
	"$(lines op_fail '"cmd":"send".*"check":"id","detail":999999.*EBADRQC')" \
	"$(said unknown)"
is "a receipt without room is a failure" \
	"$(lines op_fail '"cmd":"recv".*"check":"room".*"EMSGSIZE"')" \
	"$(said no_room)"
is "an empty queue is none" "$(lines op_fail EAGAIN)" 0
is "every receipt knows how long it was queued" \
	"$(lines msg_recv '"queued":0,')" 0
names='"peer_comm":"load-client".*"receiver_comm":"load-server"'
is "both names in every receipt" "$(lines msg_recv "$names")" "$(said msg_recv)"

# Peers that were there before the monitor, and the filters.
load_wait
monitor_start --json --peer "$(said second_peer)"
load_go
monitor_end TERM
is "SIGTERM ends it with status 0" $status 0
is "--peer: its receipts" "$(lines msg_recv)" "$(said second_recv)"
is "--peer: what was sent to it" "$(lines msg_send)" "$(said second_recv)"
is "--peer: whole transactions that send to it" \
	"$(lines tx_commit '"kind":"send"')" "$(said second_recv)"
is "--peer: no failures of others" "$(lines op_fail)" 0
is "names come from the snapshot" "$(lines msg_recv "$names")" \
	"$(said second_recv)"
ok "--peer: filtered events are counted" identity
ok "--peer: and there are some" test "$(total filtered)" -gt 100

load_wait
monitor_start --json -p "$(said client_pid)"
load_go
monitor_end INT
is "-p: what the client sent" "$(lines tx_commit '"kind":"send"')" "$(said send)"
is "-p: what others received from it" "$(lines msg_recv)" "$(said msg_recv)"
is "-p: its failures only" "$(lines op_fail)" "$(said unknown)"
ok "-p: filtered events are counted" identity

load_wait
monitor_start --json -p "$(said server_pid)"
load_go
monitor_end INT
is "-p: what was sent to the server" "$(lines tx_commit '"kind":"send"')" \
	"$(said send)"
is "-p: the server's failures only" "$(lines op_fail)" "$(said no_room)"

monitor_start --json -u 1000
trace-load >"$dir/load"
monitor_end INT
is "-u: nothing of another user" "$(total shown)" 0
ok "-u: all of it is counted" identity
monitor_start --json -u 1000
su user -c "$(command -v trace-load)" >"$dir/load"
monitor_end INT
is "-u: everything of that user" "$(lines msg_recv)" "$(said msg_recv)"
is "-u: nothing filtered" "$(total filtered)" 0
monitor_start --json -u 1000 --peer 1
trace-load >"$dir/load"
su user -c "$(command -v trace-load)" >"$dir/load"
monitor_end INT
is "two filters: both have to pass" "$(total shown)" 0

monitor_start --json
trace-load orphan
monitor_end INT
is "a name outlives its process" \
	"$(lines msg_recv '"peer_comm":"load-orphan"')" 1

odd='we"ird\'
cp "$(command -v trace-load)" "$dir/$odd"
monitor_start --json
"$dir/$odd" flood 1
monitor_end INT
is "an odd name is escaped" "$(lines msg_recv '"comm":"we\\"ird\\\\"')" 1
ok "and the record well-formed" well_formed

# For people
monitor_start
trace-load >"$dir/load"
monitor_end INT
is "text: status 0" $status 0
is "text: every receipt" "$(grep -c ' recv  ' "$dir/out")" "$(said msg_recv)"
is "text: every failure" "$(grep -c ' ! ' "$dir/out")" "$(said op_fail)"
ok "text: names" grep -q 'send *load-cl[a-z]*#[0-9]* *> load-se[a-z]*#' "$dir/out"
ok "text: a multicast says how many" grep -q 'load-s[a-z]*#[0-9]* +1' "$dir/out"
ok "text: rows below 80 columns" narrow
is "text: no colour in a file" "$(grep -c "$(printf '\033')" "$dir/out")" 0
ok "text: the sum is printed" grep -q \
	'seen = shown + filtered + ring full + map full\.$' "$dir/out"
monitor_start -T -d 1.5
trace-load >"$dir/load"
wait $monitor
is "-d ends it with status 0" $? 0
ok "-T: the time of day" grep -q \
	'^[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]\{6\} .* load-' "$dir/out"

# Loss
monitor_start --json --ring-size 4K
trace-load flood 5000 >/dev/null
monitor_end INT
is "lost events: status 3" $status 3
ok "lost events are counted" test "$(total ring_full)" -gt 0
ok "lost events: the identity holds" identity
is "lost events: the summary has them" "$(member summary lost)" \
	"$(total ring_full)"
is "lost events: what is counted as shown was shown" "$(total shown)" \
	"$(grep -c '"tid":' "$dir/out")"
monitor_start --ring-size 4K
trace-load flood 5000 >/dev/null
monitor_end INT
is "lost events: status 3, as text" $status 3
ok "lost events: it says so" grep -q '^LOST: at least [1-9]' "$dir/out"

# Ended while the output is blocked, by a reader that waits
mkfifo "$dir/pipe"
{
	read -r line
	echo "$line" >"$dir/out"
	until_true test -e "$dir/late"
	cat >>"$dir/out"
} <"$dir/pipe" &
reader=$!
rm -f "$dir/out"
bus1-trace monitor --json >"$dir/pipe" 2>"$dir/err" &
monitor=$!
until_true test -s "$dir/out"
trace-load flood 1000 >/dev/null
sleep 1
kill -INT $monitor
sleep 1
>"$dir/late"
wait $monitor
is "a slow reader: status 0" $? 0
wait $reader
ok "a slow reader: the identity holds" identity
is "a slow reader: what is counted as shown was shown" "$(total shown)" \
	"$(grep -c '"tid":' "$dir/out")"
is "a slow reader: nothing to complain of" "$(cat "$dir/err")" ""
bus1-trace monitor -d 0.2 >/dev/full 2>"$dir/err"
is "a full disk: status 1" $? 1
is "a full disk: it says so" "$(cat "$dir/err")" \
	"bus1-trace: writing the output failed: No space left on device"

# Names that would steer a terminal, and one that would not
odd="$(printf 'a\033b\302\233c\233\303\251')"
cp "$(command -v trace-load)" "$dir/$odd"
monitor_start
"$dir/$odd" flood 1
monitor_end INT
is "text: letters pass, controls do not" \
	"$(grep -c "recv  *$(printf 'a?b?c?\303\251')#" "$dir/out")" 1

# Errors
for wrong in '-p 0' '-p x' '-u -1' '--peer x' '-d 0' '--ring-size 1' \
	     '--ring-size 1025M' '--ring-size 17592186044417M' \
	     '--nonsense' 'word'; do
	bus1-trace monitor -d 1 $wrong >"$dir/out" 2>&1
	is "\"$wrong\" is a usage error" $? 2
done
su user -c 'bus1-trace monitor' >"$dir/out" 2>&1
is "without privileges: status 1" $? 1
ok "without privileges: it says which" grep -q \
	'needs CAP_BPF and CAP_PERFMON: run it as root' "$dir/out"
is "without privileges: no word of libbpf" "$(grep -c libbpf "$dir/out")" 0

plan
