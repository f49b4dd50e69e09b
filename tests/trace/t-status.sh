#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace status: who is there, and who holds whom.
. "$(dirname "$0")/trace-tap.sh"

snapshot()
{
	bus1-trace status "$@" >"$dir/out" 2>"$dir/err"
	status=$?
}

# row PEER: its table row, with single blanks
row()
{
	sed -n "s/^ *\($1 .*\)/\1/p" "$dir/out" | tr -s ' ' | sed 's/ $//'
}

peer()
{
	grep "^{\"type\":\"peer\",\"peer\":$1," "$dir/out"
}

snapshot
is "nobody: status 0" $status 0
is "nobody: only the heading" "$(wc -l <"$dir/out")" 1

trace-load hold >"$dir/load" &
holders=$!
until_true grep -q ready=1 "$dir/load"

snapshot
is "status 0" $status 0
is "a peer" "$(row "$(said alone_peer)")" \
	"$(said alone_peer) 0 $(said pid) load-hold $(said alone_fd) 1 0 $(said queued) $(said bytes)"
is "a shared peer" "$(row "$(said shared_peer)")" \
	"$(said shared_peer) 0 $(said pid) load-hold $(said shared_fd) 0 1 0 0"
ok "and who shares it" grep -q \
	"^ *$(said child) load-hold  *$(said shared_fd)\$" "$dir/out"
is "a peer inside a socket" "$(row "$(said hidden_peer)")" \
	"$(said hidden_peer) 0 - - - 0 0 0 0"
is "no more than that" "$(wc -l <"$dir/out")" 5
ok "rows below 80 columns" awk 'length($0) >= 80 { exit 1 }' "$dir/out"
is "nothing to complain of" "$(cat "$dir/err")" ""

snapshot -o
ok "-o: the node" grep -q 'node 1, handles 1, .* old$' "$dir/out"
ok "-o: the handle" grep -q \
	"handle 1 to node 1 of peer $(said alone_peer), created by tx 1 of $(said alone_peer)," \
	"$dir/out"
ok "-o: rows below 80 columns" awk 'length($0) >= 80 { exit 1 }' "$dir/out"

snapshot --json -o
is "json: where from" "$(lines snapshot \
	'"peers":"debugfs","descriptors":"bpf","unreadable":0,"partial":false')" 1
is "json: three peers" "$(lines peer)" 3
is "json: two holders of one" "$(peer "$(said shared_peer)" |
	grep -o '"comm":"load-hold"' | wc -l)" 2
ok "json: none of another" eval \
	'peer "$(said hidden_peer)" | grep -q "\"descriptors\":\[\]}$"'
is "json: the node" "$(lines node "\"peer\":$(said alone_peer),\"id\":1,")" 1
is "json: the handle" "$(lines handle \
	"\"peer\":$(said shared_peer),.*\"how\":\"created\"")" 1

snapshot --queue
ok "--queue: what waits, of whom" grep -q \
	"^ *$(said queued) messages, $(said bytes) bytes, from load-hold#$(said shared_peer), sent while nobody watched$" \
	"$dir/out"
ok "--queue: rows below 80 columns" awk 'length($0) >= 80 { exit 1 }' "$dir/out"
snapshot --json --queue
is "json: what waits" "$(lines message "\"peer\":$(said alone_peer),.*\"bytes\":17,")" \
	"$(said queued)"
is "json: no objects unless asked for" "$(lines node)$(lines handle)" 00
snapshot --peer "$(said shared_peer)"
is "--peer: that one" "$(wc -l <"$dir/out")" 3

# A name, and the age of what was sent while somebody watched
monitor_start
mkfifo "$dir/go"
exec 4<>"$dir/go"
trace-handles <&4 >"$dir/named" &
named=$!
until_true grep -q ready=1 "$dir/named"
sleep 0.3
monitor_end INT
snapshot --queue
ok "a name" grep -q '^ *name service$' "$dir/out"
ok "--queue: notifications, and their age" grep -q \
	'^ *7 notifications from service#[0-9]*, oldest [0-9.]*s$' "$dir/out"
snapshot --json
is "json: a name" "$(lines peer '"name":"service"')" 1
kill $named
snapshot --at 3
is "--at without -i is a usage error" $status 2

umount /sys/kernel/debug
snapshot
is "no debugfs: status 0" $status 0
is "no debugfs: what fdinfo knows" "$(row "$(said alone_peer)")" \
	"$(said alone_peer) 0 $(said pid) load-hold $(said alone_fd) 1 0 $(said queued) $(said bytes)"
ok "no debugfs: it says what is missing" grep -q \
	'partial view: .*mount -t debugfs' "$dir/err"
mount -t debugfs debug /sys/kernel/debug

cp "$(command -v trace-load)" /tmp/user-load
su user -c '/tmp/user-load hold >/tmp/user-said & sleep 2
	bus1-trace status; kill $!' >"$dir/out" 2>"$dir/err"
mv /tmp/user-said "$dir/load"
rm /tmp/user-load
is "a user sees his own" "$(row "$(said alone_peer)")" \
	"$(said alone_peer) 1000 $(said pid) load-hold $(said alone_fd) 1 0 $(said queued) $(said bytes)"
is "a user sees nothing else" "$(wc -l <"$dir/out")" 4
ok "a user is told so" grep -q 'partial view: .* root sees all' "$dir/err"

# Another PID name space, with a /proc of its own
unshare -p -f -m sh -c 'mount -t proc proc /proc
	trace-load hold >"$0" & sleep 2; bus1-trace status --json' \
	"$dir/load" >"$dir/out" 2>"$dir/err"
is "a name space: its view" "$(lines snapshot \
	'"peers":"debugfs","descriptors":"proc","unreadable":0,"partial":true')" 1
ok "a name space: its numbers" eval \
	'peer "$(said alone_peer)" | grep -q "\"descriptors\":\[{\"pid\":$(said pid),"'
unshare -p -f bus1-trace status --json >"$dir/out" 2>"$dir/err"
is "a name space with the whole /proc" "$(lines snapshot \
	'"descriptors":"bpf","unreadable":0,"partial":false')" 1

# More descriptors than the kernel's iterator looks at in one go, and a peer
# behind them
kill $holders
echo 1100000 >/proc/sys/fs/nr_open
echo 2000000 >/proc/sys/fs/file-max
ulimit -n 1100000
trace-load files 1000500 >"$dir/files" &
holders=$!
until_true grep -q ready=1 "$dir/files"
trace-load hold >"$dir/load" &
holders="$holders $!"
until_true grep -q ready=1 "$dir/load"
snapshot --json
is "many descriptors: whose the peer is" "$(peer "$(said alone_peer)" |
	grep -c "{\"pid\":$(said pid),\"fd\":$(said alone_fd),")" 1
is "many descriptors: found by BPF" "$(lines snapshot \
	'"descriptors":"bpf","unreadable":0,"partial":false')" 1

bus1-trace status word >"$dir/out" 2>&1
is "a word is a usage error" $? 2
plan
