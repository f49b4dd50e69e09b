#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace record and report: what is in the file is what the workload did; a
# live run and a reading of the file say the same; and a file whose recorder came
# to a bad end is as good as it can be.
. "$(dirname "$0")/trace-tap.sh"

rec=$dir/rec

# record_start OPTION...: returns when what happens is recorded
record_start()
{
	rm -f "$rec" "$rec".*
	bus1-trace record -o "$rec" "$@" >"$dir/said" 2>"$dir/err" 3>&- &
	recorder=$!
	until_true begun
}

# The snapshot is there, or the recorder is not.
begun()
{
	bus1-trace report --json "$rec" | grep -q '"snapshot":true' ||
		! kill -0 $recorder
}

# record_end SIGNAL: sets $status
record_end()
{
	kill -"$1" $recorder
	wait $recorder
	status=$?
}

# view VERB OPTION...: of the recording, to $dir/out; sets $status
view()
{
	verb=$1
	shift
	bus1-trace "$verb" -i "$rec" "$@" >"$dir/out" 2>"$dir/err"
	status=$?
}

# of EVENT KEY: of what is counted, or recorded
of()
{
	sed -n "/^{\"type\":\"count\",\"of\":\"$1\"/s/.*\"$2\":\([0-9]*\).*/\1/p" \
		"$dir/out"
}

identity()
{
	[ "$(total seen)" -gt 0 ] &&
	[ "$(total seen)" -eq $(($(total shown) + $(total filtered) + \
		$(total ring_full) + $(total map_full))) ] &&
	[ "$(lines summary '"balanced":true')" = 1 ]
}

bytes()
{
	cat "$@" 2>/dev/null | wc -c
}

at_most()
{
	[ "$1" -le "$2" ] || {
		echo "# $1 is more than $2"
		false
	}
}

# flood N: that many messages
flood()
{
	trace-load flood "$1" >/dev/null
}

# events FILE: what of it tells of events, as far as it can be compared
events()
{
	grep '"tid":' "$1"
}

# A live run and a recording of the same
record_start --json
monitor_start --json
trace-load >"$dir/load"
monitor_end INT
mv "$dir/out" "$dir/live"
record_end INT
is "Ctrl-C ends it with status 0" $status 0
is "it has nothing to complain of" "$(cat "$dir/err")" ""
is "only its owner may read it" "$(stat -c %a "$rec")" 600
cp "$dir/said" "$dir/out"
ok "nothing lost, and the count proves it" identity
is "bytes are those of the file" "$(member recorded bytes)" "$(bytes "$rec")"
seen=$(total seen)
view report --json
is "report: status 0" $status 0
ok "report: the count holds" identity
is "report: every event is there" "$(total shown)" "$seen"
for type in peer_new peer_free handle_new msg_send msg_recv msg_discard \
	    notify_send notify_recv notify_drop op_fail; do
	is "every $type" "$(of $type shown)" "$(said $type)"
done
is "report: it is complete" "$(lines recording '"complete":true')" 1
is "report: who said it" "$(lines recording '"command":"bus1-trace record -o')" 1
is "report: what a peer sent" "$(lines peer_total \
	"\"sent\":$(said msg_send),.*\"received\":0,.*\"comm\":\"load-client\"")" 1
is "report: what failed" "$(lines fault \
	"\"count\":$(said unknown),.*\"check\":\"id\"")" 1
is "report: the slowest" "$(lines slow)" 10
view report
is "report: as text, status 0" $status 0
ok "report: rows below 80 columns" awk 'length($0) >= 80 { exit 1 }' "$dir/out"
bus1-trace report "$rec" >"$dir/again"
ok "report: the file as a word" cmp "$dir/again" "$dir/out"

view monitor --json
is "read again: status 0" $status 0
events "$dir/live" >"$dir/a"
events "$dir/out" >"$dir/b"
ok "read again: all that was shown live, in the same order" cmp "$dir/a" "$dir/b"
ok "read again: there was something" test -s "$dir/b"
ok "read again: the count holds" identity
view monitor --errors --json
is "a filter: what failed" "$(lines op_fail)" "$(said op_fail)"
is "a filter: nothing else" "$(lines msg_recv)" 0
ok "a filter: the count holds" identity

# What was there before
load_wait
record_start
is "it says when it is attached" "$(cat "$dir/err")" \
	"bus1-trace: recording to $rec"
load_go
record_end TERM
is "SIGTERM ends it with status 0" $status 0
view monitor --json
is "names of before come from the snapshot" "$(lines msg_recv \
	'"peer_comm":"load-client".*"receiver_comm":"load-server"')" \
	"$(said msg_recv)"
view report --json
is "report: the peers of the begin" "$(member recording peers)" 3
ok "accounts are there" grep -aq 'user uid=0' "$rec"

# Filters of the recorder itself
load_wait
record_start --json --peer "$(said second_peer)"
load_go
record_end INT
cp "$dir/said" "$dir/out"
is "record --peer: its receipts" "$(of msg_recv shown)" "$(said second_recv)"
ok "record --peer: the rest is counted" identity
view monitor --json
is "record --peer: read again" "$(lines msg_recv)" "$(said second_recv)"
ok "record --peer: read again, the count holds" identity
ok "record --peer: read again, the rest is counted" \
	test "$(of msg_recv filtered)" -ge $(($(said msg_recv) - $(said second_recv)))

# Control groups are recorded by their names
group=/sys/fs/cgroup/bus1-test
mkdir $group
record_start
sh -c "echo 0 >$group/cgroup.procs && exec trace-load" >"$dir/load"
flood 10
record_end INT
rmdir $group
view monitor --json -c bus1-test
is "-c: what was done in a control group that is gone" "$(lines msg_recv)" \
	"$(said msg_recv)"
is "-c: nothing else" "$(lines peer_new load-)" 0
ok "-c: the count holds" identity

# More than events
record_start --stacks --payload 8
trace-load >"$dir/load"
record_end INT
view report --json
is "--payload: of every message" "$(member recording payloads)" "$(said msg_send)"
is "--stacks: of every handle" "$(member recording stacks)" "$(said handle_new)"
record_start --stacks
trace-load hold >"$dir/load" &
hold=$!
holders="$holders $hold"
until_true grep -q ready=1 "$dir/load"
sleep 0.5
record_end INT
kill $hold
wait $hold
ok "--stacks: with the names of functions" grep -aq 'trace-load\.c:[0-9]' "$rec"

# Killed
record_start
flood 2000
sleep 2
flood 2000 &
load=$!
sleep 0.3
record_end KILL
wait $load
view report --json
is "killed: report has status 3" $status 3
is "killed: it says so" "$(lines recording '"complete":false')" 1
ok "killed: in words, too" grep -q 'has no end: its recorder was killed, or is still running' \
	"$dir/err"
ok "killed: what it had written is there" test "$(of msg_recv shown)" -ge 2000
view report
ok "killed: as text" grep -q '^length .* breaks off' "$dir/out"
view monitor --json
is "killed: other verbs have status 3" $status 3
ok "killed: and what there is" test "$(lines msg_recv)" -ge 2000

# Cut and damaged
record_start
flood 2000
record_end INT
cp "$rec" "$dir/whole"
all=$(bytes "$rec")
head -c $((all / 2)) "$dir/whole" >"$rec"
view report --json
is "cut in the middle: status 3" $status 3
ok "cut in the middle: half is there" test "$(of msg_recv shown)" -gt 500
cp "$dir/whole" "$rec"
printf 'xxxx' | dd of="$rec" bs=1 seek=$((all / 2)) conv=notrunc 2>/dev/null
view report --json
is "damaged: status 3" $status 3
ok "damaged: it says where" grep -q 'is damaged at byte [0-9]' "$dir/err"
ok "damaged: what is before that" test "$(of msg_recv shown)" -gt 500

# The size is limited
record_start --json --max-size 1M
largest=0
for i in 1 2 3 4 5 6 7 8; do
	flood 4000
	now=$(bytes "$rec" "$rec.1")
	[ "$now" -le $largest ] || largest=$now
done
trace-load >"$dir/load"
record_end INT
is "--max-size: status 0" $status 0
cp "$dir/said" "$dir/out"
ok "--max-size: it was far more" test "$(member recorded bytes)" -gt 3000000
ok "--max-size: never more" at_most $largest $((1 << 20))
ok "--max-size: nor at the end" at_most "$(bytes "$rec" "$rec.1")" $((1 << 20))
view report --json
is "--max-size: status 0 for what is left" $status 0
ok "--max-size: parts are gone" test "$(member recording parts_gone)" -gt 0
ok "--max-size: both parts are read" at_most 15000 "$(total shown)"
ok "--max-size: the count of what is left holds" identity
view monitor --json
is "--max-size: the end is there" \
	"$(lines peer_free "\"peer\":$(said client_peer),")" 1
is "--max-size: all of it" "$(lines op_fail)" "$(said op_fail)"
mv "$rec" "$dir/last"
view report --json
is "--max-size: the first half alone breaks off" $status 3
rm "$rec.1"
mv "$dir/last" "$rec"
view report --json
is "--max-size: the last half can be read alone" $status 0
# it may have just begun
is "--max-size: its count holds" "$(lines summary '"balanced":true')" 1

# A million events take no more than 60 MB; fewer, in proportion.
record_start --json
flood 40000
record_end INT
cp "$dir/said" "$dir/out"
is "many events: status 0" $status 0
ok "many events: nothing lost" identity
ok "many events: no more than 60 bytes each" at_most "$(bytes "$rec")" \
	$(($(member recorded events) * 60))
rm "$rec"

# No room
mkdir "$dir/small"
mount -t tmpfs -o size=256k small "$dir/small"
rec=$dir/small/rec
record_start
flood 4000
wait $recorder
is "disk full: status 1" $? 1
ok "disk full: it says so" grep -q 'writing .*: No space left on device' "$dir/err"
view report --json
is "disk full: report has status 3" $status 3
ok "disk full: what fitted is there" test "$(of msg_recv shown)" -gt 500
umount "$dir/small"
rec=$dir/rec
rm -f "$rec" "$rec".*
(
	ulimit -f 200
	bus1-trace record -o "$rec" >"$dir/said" 2>"$dir/err" &
	recorder=$!
	until_true begun
	flood 4000
	wait $recorder
)
is "a limit of the file size: status 1" $? 1
ok "a limit of the file size: it says so" grep -q 'writing .*: File too large' \
	"$dir/err"

# Loss
record_start --json --ring-size 4K
flood 5000
record_end INT
is "lost events: status 3" $status 3
cp "$dir/said" "$dir/out"
ok "lost events: some were" test "$(total ring_full)" -gt 0
ok "lost events: the identity holds" identity
is "lost events: all of them were seen" "$(of msg_recv seen)" 5000
lost=$(total ring_full)
view report --json
is "lost events: report has status 3" $status 3
is "lost events: report has them" "$(total ring_full)" "$lost"
ok "lost events: its identity holds" identity
is "lost events: all messages are accounted for" "$(of msg_recv seen)" 5000
view monitor
is "lost events: other verbs have status 3" $status 3
ok "lost events: and say so" grep -q '^LOST: at least [1-9]' "$dir/out"

# Files that are there
record_start
record_end INT
cp "$rec" "$dir/whole"
bus1-trace record -o "$rec" -d 0.1 >"$dir/said"
is "a recording that is there: status 0" $? 0
ok "a recording that is there becomes .old" cmp "$rec.old" "$dir/whole"
echo precious >"$rec"
bus1-trace record -o "$rec" -d 0.1 >"$dir/said" 2>"$dir/err"
is "another file: status 1" $? 1
ok "another file: it says so" grep -q 'is no recording' "$dir/err"
is "another file is left alone" "$(cat "$rec")" precious
view report
is "no recording: status 1" $status 1
ok "no recording: it says so" grep -q 'is no recording' "$dir/err"
rm "$rec"
view report
is "no file: status 1" $status 1

# Errors
for wrong in '' '-o' '-o x word' '-o x --max-size 1' '-o x --max-size 1T' \
	     '-o x --max-size -1' '-o x --payload 4097' '-o x --nonsense'; do
	bus1-trace record -d 1 $wrong >"$dir/out" 2>&1
	is "record \"$wrong\" is a usage error" $? 2
done
bus1-trace report >"$dir/out" 2>&1
is "report without a file is a usage error" $? 2
bus1-trace record --help >"$dir/out"
is "record --help: status 0" $? 0
ok "record --help: below 80 columns" awk 'length($0) >= 80 { exit 1 }' "$dir/out"
su user -c 'bus1-trace record -o /tmp/rec' >"$dir/out" 2>&1
is "without privileges: status 1" $? 1
ok "without privileges: it says which" grep -q \
	'needs CAP_BPF and CAP_PERFMON: run it as root' "$dir/out"
ok "without privileges: no file is left" test ! -e /tmp/rec

# Elsewhere there is no module, and no root.
record_start
trace-load >"$dir/load"
record_end INT
module=$(sed -n 's/^\(bus1[^ ]*\) .*/\1/p;q' /proc/modules)
rmmod "$module"
chmod 711 "$dir"
chmod 644 "$rec"
su user -c "bus1-trace monitor -i '$rec' --json" >"$dir/out" 2>"$dir/err"
is "without module and privileges: status 0" $? 0
is "without module and privileges: every receipt" "$(lines msg_recv)" \
	"$(said msg_recv)"
su user -c "bus1-trace report '$rec'" >"$dir/out" 2>"$dir/err"
is "report without module and privileges: status 0" $? 0
bus1-trace record -o "$rec.2" >"$dir/out" 2>"$dir/err"
is "record without module: status 1" $? 1
ok "record without module: it says so" grep -q 'module' "$dir/err"
insmod /run/module.ko

plan
