#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace handles: who holds what, how it came, and what is suspicious; live,
# watched and recorded.
. "$(dirname "$0")/trace-tap.sh"

look()
{
	bus1-trace handles "$@" >"$dir/out" 2>"$dir/err"
	status=$?
}

# row HOLDER: its rows, with single blanks, without the age
row()
{
	grep "^$1#" "$dir/out" | tr -s ' ' | sed 's/ $//' |
		cut -d' ' -f1-4,6-
}

# start WORKLOAD...: it goes on by a line to fd 3
start()
{
	rm -f "$dir/go" "$dir/load"
	mkfifo "$dir/go"
	"$@" <"$dir/go" >"$dir/load" &
	load=$!
	holders="$holders $load"
	exec 3>"$dir/go"
	until_true grep -q ready=1 "$dir/load"
}

# go_on: the workload does more, and has done it
go_on()
{
	done=$(grep -c done=1 "$dir/load")
	echo >&3
	until_true eval "[ \$(grep -c done=1 '$dir/load') -gt $done ]"
}

# handles: of a JSON record each handle, without what depends on the clock, or on
# who did something last
handles()
{
	grep '^{"type":"handle",' "$dir/out" |
		sed 's/"created":.*//; s/"[a-z_]*_name":"[^"]*",//g' | sort
}

# watch OPTION...: while the workload goes on, once the watch has begun
watch()
{
	rm -f "$dir/out"
	bus1-trace handles "$@" 0.5 >"$dir/out" 2>"$dir/err" 3>&- &
	watcher=$!
	until_true test -s "$dir/out"
	for step in $steps; do
		go_on
	done
	sleep 1.5
	kill -INT $watcher
	wait $watcher
	status=$?
}

look
is "nobody: status 0" $status 0
is "nobody: no handle" "$(head -1 "$dir/out")" "0 handles"

start trace-handles
keeper=$(said keeper_peer)
service=$(said service_peer)
deaf=$(said deaf_peer)
user=$(said user_peer)
sleep 0.5
look --older-than 300ms
is "status 0" $status 0
is "nothing to complain of" "$(cat "$dir/err")" ""
is "all handles" "$(head -1 "$dir/out")" "$(($(said leaked) + 8 + 2)) handles"
is "those that are alike, in one row" "$(row hl-keeper)" \
	"hl-keeper#$keeper $(said leaked)x service#$service $(said leaked)x never sent service#$service"
ok "one of a released node" eval \
	'row deaf | grep -q "^deaf#$deaf 8x service#$service 8x! [^ ]* made service#$service$"'
is "one alone has its ID" "$(row service | grep -c "#$service 3 hl-user#$user 1 ")" 1
ok "suspects: the worst is the leak" eval \
	'grep "^   1\. " "$dir/out" | grep -q "hl-keeper#$keeper holds $(said leaked) handles to service#$service"'
ok "and why" grep -q "^ *$(said leaked) never used; the oldest is there for " \
	"$dir/out"
ok "and how the newest came" grep -q \
	"the newest .* ago, in message [0-9]*\.0 of service#$service" "$dir/out"
ok "suspects: of released nodes" grep -q \
	"^ *$(said released) of released nodes; the holder has not read NODE_RELEASE" \
	"$dir/out"
ok "rows below 80 columns" awk 'length($0) >= 80 { exit 1 }' "$dir/out"
look --older-than 300ms --idle 300ms
ok "idle: used, but not lately" grep -q "1 not used for long; the last use" \
	"$dir/out"
look --older-than 1000
ok "none is that old" eval '! grep -q "never used" "$dir/out"'

look --json -a
is "json: each handle" "$(lines handle)" $(($(said leaked) + 8 + 2))
is "json: of the keeper, with origin" "$(lines handle \
	"\"peer\":$keeper,.*\"node_peer\":$service,.*\"how\":\"message\",\"tx_peer\":$service,.*\"dead\":false,.*\"used\":0,")" \
	"$(said leaked)"
is "json: origins are messages of their own" "$(handles |
	sed -n "s/.*\"peer\":$keeper,.*\"tx\":\([0-9]*\),.*/\1/p" | sort -u |
	wc -l)" "$(said leaked)"
is "json: released nodes" "$(lines handle "\"peer\":$deaf,.*\"dead\":true")" \
	"$(said released)"
ok "-a: which message brought it" eval \
	'bus1-trace handles -a --peer "$keeper" | grep -q "^hl-keeper#$keeper .* sent [0-9]*\.0 service#$service *$"'
is "json: used ones" "$(grep '^{"type":"handle",' "$dir/out" |
	grep -vc '"used":0,')" 3

for filter in "-p $(said keeper_pid)" "--peer $keeper" "--comm hl-keeper"; do
	look $filter
	is "$filter: what it holds, and who holds it" "$(head -1 "$dir/out")" \
		"$(($(said leaked) + 1)) handles"
done
look --node "$user:1"
is "--node: who holds one to it" "$(row service)" "service#$service 3 hl-user#$user 1 $(row service | cut -d' ' -f5) made hl-user#$user"
is "--node: and nothing else" "$(head -1 "$dir/out")" "1 handle"
look -u 4242
is "-u: nothing of that user" "$(head -1 "$dir/out")" "0 handles"

# A watch: 53 more, used ones come and go
look --json 0.3 3
is "watch: status 0" $status 0
is "watch: as often as asked for" "$(lines handles)" 3
steps=1
watch --json
is "watch: status 0 after an interrupt" $status 0
is "watch: who grew is the worst" "$(sed -n '/^{"type":"handles"/{s/.*//;h}
	H; ${x; p}' "$dir/out" | grep '^{"type":"suspect"' | head -1 |
	grep -o '"holder":[0-9]*\|"grown":[0-9]*' | tr '\n' ' ')" \
	"\"holder\":$keeper \"grown\":$(said more) "
is "watch: no loss" "$(lines summary '"lost":0,.*"balanced":true')" 1
watch --stacks
ok "watch: it says how many more" grep -q "^ *$(said more) more than [0-9.]*s ago" \
	"$dir/out"
ok "stacks: how many" grep -q \
	"^ *1\. $(said more) of hl-keeper#$keeper, process $(said keeper_pid)$" \
	"$dir/out"
ok "stacks: the function, with its line" grep -q \
	'^ *forget_handle (trace-handles.c:[0-9]*)$' "$dir/out"
ok "stacks: not that of what is released" eval '! grep -q use_handle "$dir/out"'
ok "watch: rows below 80 columns" awk 'length($0) >= 80 { exit 1 }' "$dir/out"
look --stacks
is "stacks: only of a watch" $status 2

# Recorded: the same as what is there
bus1-trace record --stacks -o "$dir/rec" >"$dir/recorded" 2>&1 3>&- &
recorder=$!
until_true test -s "$dir/rec"
sleep 1
go_on
sleep 1
kill -INT $recorder
wait $recorder
look --json -a
handles >"$dir/live"
look --json -a -i "$dir/rec" --stacks
is "recorded: status 0" $status 0
handles >"$dir/replayed"
ok "recorded: the same handles" cmp "$dir/live" "$dir/replayed"
is "recorded: how many grew" "$(lines suspect "\"grown\":$(said more)}")" 1
ok "recorded: the function that made them" eval \
	'lines handle_stack "forget_handle (trace-handles.c:" >/dev/null'
kill -9 $load
look -i "$dir/rec" --stacks
ok "recorded: after its processes ended" grep -q 'forget_handle (trace-handles.c' \
	"$dir/out"
bus1-trace status --json -o -i "$dir/rec" >"$dir/out" 2>"$dir/err"
is "status of the end" "$(lines peer "\"peer\":$keeper,.*\"handles\":$(grep -c "\"peer\":$keeper," "$dir/live")")" 1
bus1-trace status --json --at 0 -i "$dir/rec" >"$dir/out" 2>"$dir/err"
is "status of its start" "$(lines peer "\"peer\":$keeper,.*\"handles\":$(($(grep -c "\"peer\":$keeper," "$dir/live") - $(said more))),")" 1
exec 3>&-

# Code that is gone before anybody can look at it
start trace-handles brief
steps="1 2 3 4 5"
watch --stacks
is "a process that ended: status 0" $status 0
ok "a process that ended: named, or it says why not" grep -q \
	'make_briefly (\|no names: it ended before' "$dir/out"
is "a process that ended: its handles" "$(row brief | tail -1 | cut -d' ' -f2)" 5x
exec 3>&-
wait $load

# What begins is attached last: whatever is seen to begin is seen to end. By raw_tp,
# of which links say the event.
bus1-trace record --raw -o "$dir/rec" >"$dir/recorded" 2>&1 &
recorder=$!
attached $recorder 22
is "a begin is not looked for before its end" "$(
	awk '/^link_id/ { id = $2 } /^tp_name/ { print id, $2 }' \
		/proc/$recorder/fdinfo/* | sort -n | cut -d' ' -f2 | tail -7 |
		sort | tr '\n' ' ')" \
	"acct_charge handle_new msg_send node_new notify_send peer_new tx_begin "
kill -INT $recorder
wait $recorder

# signal_churn SIGNAL: to all its processes, also those that it makes meanwhile
signal_churn()
{
	for again in 1 2 3; do
		for pid in $(pidof churn); do
			kill -"$1" "$pid" 2>/dev/null
		done
	done
}

# No thread of it runs, or is about to end.
churn_stopped()
{
	signal_churn STOP
	! cat /proc/[0-9]*/task/*/stat 2>/dev/null | grep -F '(churn)' |
		grep -qv ') [TZ] '
}

# Everything changes all the time, while the tools begin and later again: what the
# events made of the first snapshot is what there is in the end, when all is
# stopped. Between, the tools are given the time to follow. All on one processor:
# an emulated one may not see at once that another enables a tracepoint.
[ ! -e /sys/devices/system/cpu/cpu1/online ] ||
	echo 0 >/sys/devices/system/cpu/cpu1/online
churn -d 600 -t 2 -s 1 >"$dir/churn" 2>&1 &
churn=$!
sleep 1
bus1-trace record --ring-size 64M -o "$dir/rec" >"$dir/recorded" 2>&1 &
recorder=$!
bus1-trace handles --json -a -d 600 --ring-size 64M >"$dir/watched" 2>&1 &
watcher=$!
until_true test -s "$dir/rec"
sleep 1
until_true churn_stopped
sleep 3
i=0
while [ $i -lt 5 ]; do
	signal_churn CONT
	bus1-trace status -o --queue >"$dir/out" 2>"$dir/err" || break
	signal_churn STOP
	sleep 1
	i=$((i + 1))
done
is "status while peers come and go" $i 5
until_true churn_stopped
# What came for a handle that was released meanwhile goes when somebody looks: here,
# so that the recording has it, too.
bus1-trace status -o --queue >"$dir/out" 2>"$dir/err"
sleep 3
kill -INT $recorder $watcher
wait $watcher
is "churn: nothing was lost" $? 0
wait $recorder
is "churn: nor by the recorder" $? 0
look --json -a
handles >"$dir/live"
cp "$dir/watched" "$dir/out"
handles >"$dir/joined"
ok "churn: there is something" test "$(wc -l <"$dir/live")" -gt 10
ok "churn: the watch ends with what is there" diff "$dir/live" "$dir/joined"
look --json -a -i "$dir/rec"
handles >"$dir/replayed"
ok "churn: and so does the recording" diff "$dir/live" "$dir/replayed"
for way in "" "-i $dir/rec"; do
	bus1-trace status --json -o --queue $way 2>"$dir/err" |
		grep '"type":"\(peer\|node\|handle\|message\|notification\)"' |
		sed 's/,"\(created\|used\|stamp\|oldest\)":[0-9]*//g
			s/"descriptors":.*//
			/"type":"node"/s/"handles":[0-9]*//' |
		sort >"$dir/state$(echo "$way" | cut -c1-2)"
done
ok "churn: peers, nodes and queues of the recording, too" \
	diff "$dir/state" "$dir/state-i"
ok "churn: there are queues" grep -q '"type":"message"' "$dir/state"
signal_churn KILL
wait $churn
[ ! -e /sys/devices/system/cpu/cpu1/online ] ||
	echo 1 >/sys/devices/system/cpu/cpu1/online

su user -c 'bus1-trace handles' >"$dir/out" 2>"$dir/err"
is "unprivileged: status 1" $? 1
ok "unprivileged: it says what is needed" grep -q 'run as root' "$dir/err"
umount /sys/kernel/debug
look
is "no debugfs: status 1" $status 1
ok "no debugfs: what to do" grep -q 'mount -t debugfs' "$dir/err"
look -d 0.2
is "no debugfs: a watch goes on" $status 0
ok "no debugfs: and says what it lacks" grep -q 'before the start is not known' \
	"$dir/err"
mount -t debugfs debug /sys/kernel/debug
until_true rmmod bus1
for verb in handles graph status; do
	bus1-trace $verb >"$dir/out" 2>"$dir/err"
	is "$verb without the module: status 1" $? 1
	ok "$verb without the module: it says so" grep -q 'not loaded' \
		"$dir/err"
done
look -i "$dir/rec"
is "a recording needs no module" $status 0
insmod /run/module.ko
plan
