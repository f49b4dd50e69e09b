#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace graph: who can send to whom; what is drawn of it is looked at by
# tests/unit/t-graph.sh.
. "$(dirname "$0")/trace-tap.sh"

draw()
{
	bus1-trace graph "$@" >"$dir/out" 2>"$dir/err"
	status=$?
}

# arrow FROM TO: its line
arrow()
{
	grep "^	p$1 -> p$2 \[" "$dir/out"
}

# cluster PID: what is inside
cluster()
{
	sed -n "/^	subgraph cluster_$1 {/,/^	}/p" "$dir/out"
}

# watch_start: until it has begun; watch_end: it draws what it saw
watch_start()
{
	rm -f "$dir/out"
	bus1-trace graph --json 600 >"$dir/out" 2>"$dir/err" 3>&- &
	watcher=$!
	until_true test -s "$dir/out"
}

watch_end()
{
	kill -INT $watcher
	wait $watcher
	status=$?
}

draw
is "nobody: status 0" $status 0
ok "nobody: a graph of nothing" grep -q 'label="0 peers, 0 arrows' "$dir/out"

mkfifo "$dir/go"
trace-handles <"$dir/go" >"$dir/load" &
load=$!
holders=$load
exec 3>"$dir/go"
until_true grep -q ready=1 "$dir/load"
service=$(said service_peer)
keeper=$(said keeper_peer)
user=$(said user_peer)
deaf=$(said deaf_peer)

draw
is "status 0" $status 0
is "nothing to complain of" "$(cat "$dir/err")" ""
ok "how much there is" grep -q 'label="4 peers, 4 arrows: who can send to whom"' \
	"$dir/out"
ok "peers stand in their process" eval \
	'cluster "$(said keeper_pid)" | grep -q "p$keeper \[label=\"hl-keeper#$keeper\""'
ok "which is named" eval \
	'cluster "$(said keeper_pid)" | grep -q "label=\"hl-keeper ($(said keeper_pid))\""'
ok "a peer's own name" eval \
	'cluster "$(said pid)" | grep -q "p$service \[label=\"service#$service\""'
ok "an arrow, with handles and nodes" eval \
	'arrow "$keeper" "$service" | grep -q "label=\"$(said leaked) to $(said leaked)\""'
ok "one handle needs no label" eval \
	'arrow "$service" "$user" | grep -q "label=\"\""'
ok "what waits" eval 'grep -q "p$deaf \[label=\"deaf#$deaf.n$(said released) queued\"" "$dir/out"'
ok "released nodes are told of" eval \
	'arrow "$deaf" "$service" | grep -q ", $(said released) of them released"'
draw --peer "$user"
ok "--peer: only its arrows" grep -q 'label="2 peers, 1 arrows' "$dir/out"
draw --json
is "json: arrows" "$(lines graph_edge)" 4
is "json: one of them" "$(lines graph_edge \
	"\"from\":$keeper,\"to\":$service,\"handles\":$(said leaked),\"nodes\":$(said leaked),\"dead\":0,")" 1

# 53 messages with a handle to the keeper, 23 to the user and back
bus1-trace record -o "$dir/rec" >"$dir/recorded" 2>&1 3>&- &
recorder=$!
until_true test -s "$dir/rec"
watch_start
echo >&3
until_true grep -q done=1 "$dir/load"
watch_end
is "watch: status 0" $status 0
is "watch: messages" "$(lines graph_edge \
	"\"from\":$service,\"to\":$keeper,.*\"messages\":$(said more),")" 1
is "watch: and back" "$(lines graph_edge \
	"\"from\":$user,\"to\":$service,\"handles\":0,.*\"messages\":23,\"bytes\":391,")" 1
is "watch: nothing is lost" "$(lines summary '"lost":0,.*"balanced":true')" 1
kill -INT $recorder
wait $recorder
draw --json -i "$dir/rec"
is "recorded: status 0" $status 0
is "recorded: messages" "$(lines graph_edge \
	"\"from\":$service,\"to\":$keeper,.*\"messages\":$(said more),")" 1
is "recorded: and back" "$(lines graph_edge \
	"\"from\":$user,\"to\":$service,\"handles\":0,.*\"messages\":23,\"bytes\":391,")" 1
draw -i "$dir/rec"
ok "recorded: rates" eval 'arrow "$service" "$keeper" | grep -q "B/s\""'
ok "nothing behind the graph" eval '[ "$(tail -1 "$dir/out")" = "}" ]'
ok "the counts are said beside it" grep -q '^msg_send ' "$dir/err"

draw -o "$dir/x.dot"
is "-o x.dot: status 0" $status 0
ok "-o x.dot: the graph" grep -q '^digraph' "$dir/x.dot"
draw -o "$dir/x.svg"
is "without graphviz: status 1" $status 1
ok "without graphviz: what to do" grep -q 'apt install graphviz' "$dir/err"
draw -o "$dir/x.gif"
is "another ending is a usage error" $status 2
draw -o /proc/no/x.dot
is "no such directory: status 1" $status 1

# A peer that ended, and what is left of it
kill -9 $load
wait $load
exec 3>&-
load_wait
watch_start
load_go
watch_end
is "peers that end: status 0" $status 0
is "who sent and ended is there, as it was called" "$(lines graph_peer \
	"\"peer\":$(said client_peer),\"name\":\"load-client\",.*\"dead\":true")" 1
is "with what it sent" "$(lines graph_edge \
	"\"from\":$(said client_peer),\"to\":$(said server_peer),.*\"messages\":138,")" 1
su user -c 'bus1-trace graph' >"$dir/out" 2>"$dir/err"
is "unprivileged: status 1" $? 1
ok "unprivileged: it says what is needed" grep -q 'run as root' "$dir/err"
plan
