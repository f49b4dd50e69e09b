#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace acct, and what monitor says of quotas: one user floods the peer of
# a service that nobody reads, and is named.
. "$(dirname "$0")/trace-tap.sh"

parameters=/sys/module/bus1/parameters
accounts=/sys/kernel/debug/bus1/accounts
tracefs=/sys/kernel/tracing
hog_uid=1001
friend_uid=1002

# hog_wait [NAME]: all peers are there, and a few messages
hog_wait()
{
	flooder hog "$@"
}

# flooder WORD...: waits for hog_go
flooder()
{
	rm -f "$dir/go" "$dir/load"
	mkfifo "$dir/go"
	trace-load "$@" <"$dir/go" >"$dir/load" &
	load=$!
	holders="$holders $load"
	exec 3>"$dir/go"
	until_true grep -q ready=1 "$dir/load"
}

hog_go()
{
	exec 3>&-
	until_true grep -q flooded=1 "$dir/load"
}

hog_kill()
{
	kill -9 $load
	wait $load 2>/dev/null
	until_true eval '! grep -q "^user" $accounts'
}

# acct_start INTERVAL OPTION...; acct_end SIGNAL ends it
acct_start()
{
	rm -f "$dir/out" "$dir/err"
	bus1-trace acct --json "$@" >"$dir/out" 2>"$dir/err" 3>&- &
	acct=$!
	until_true grep -q '"type":"start"' "$dir/out"
}

# counting PID: all three of its programs are attached
counting()
{
	[ "$(ls -l /proc/"$1"/fd | grep -c bpf_link)" -ge 3 ]
}

acct_end()
{
	kill -"$1" $acct
	wait $acct
	status=$?
}

# one TYPE KEY PATTERN: that number, of the records of TYPE that match
one()
{
	grep "^{\"type\":\"$1\"" "$dir/out" | grep -- "$3" |
		sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" | head -n 1
}

# first TYPE
first()
{
	grep -m 1 "^{\"type\":\"$1\"" "$dir/out"
}

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

# debugfs: its users, quotas and traces as "owner claimant peer resource held"
traces()
{
	sed -n 's/^trace uid=\([0-9]*\) claimant=\([0-9]*\) peer=\([0-9]*\) objects=\([0-9]*\) bytes=\([0-9]*\).*/\1 \2 \3 objects \4\n\1 \2 \3 bytes \5/p' \
		$accounts | grep -v ' 0$' | sort
}

claims()
{
	sed -n 's/^{"type":"claim","owner":\([0-9]*\),"claimant":\([0-9]*\),"peer":\([0-9]*\),"resource":"\([a-z]*\)","held":\([0-9]*\).*/\1 \2 \3 \4 \5/p' \
		"$dir/out" | sort
}

# fdinfo PID FD PEER: the same, of one peer
fdinfo()
{
	sed -n "s/^bus1-claim:.*uid=\([0-9]*\) objects=\([0-9]*\) bytes=\([0-9]*\).*/\1 $(said ${1}_uid) $(said ${1}_peer) objects \2\n\1 $(said ${1}_uid) $(said ${1}_peer) bytes \3/p" \
		/proc/"$(said ${1}_pid)"/fdinfo/"$(said ${1}_fd)" |
		grep -v ' 0$' | sort
}

# Whoever comes after this has what was before
objects=$(cat $parameters/max_objects)
bytes=$(cat $parameters/max_bytes)
trap 'kill $holders 2>/dev/null
	echo $objects >$parameters/max_objects
	echo $bytes >$parameters/max_bytes
	rm -rf "$dir"' EXIT
echo 1024 >$parameters/max_objects
echo 65536 >$parameters/max_bytes

# Sums over one interval, by either kind of attachment
for how in tp_btf raw_tp; do
	option=
	[ $how = tp_btf ] || option=--raw-tp
	hog_wait
	hog="\"owner\":0,\"claimant\":$hog_uid,\"peer\":$(said hog_peer),"
	bus1-trace acct --json >"$dir/out"
	limit=$(one claim limit "$hog.*\"bytes\"")
	acct_start 1000 $option
	hog_go
	acct_end INT
	named="\"pid\":$(said hog_pid),\"comm\":\"load-hog\""
	is "$how: Ctrl-C ends it with status 0" $status 0
	is "$how: it is attached that way" "$(lines start "\"$how\"")" 1
	ok "$how: well-formed" well_formed
	ok "$how: nothing lost, and the count proves it" identity
	is "$how: the first of the refused" \
		"$(first refusal | grep -c "$hog\"resource\":\"objects\",\"level\":\"peer\",\"op\":\"send\",.*$named")" 1
	is "$how: all that were refused" \
		"$(one refusal count "$hog.*\"objects\"")" "$(said refused)"
	is "$how: at what it could hold" \
		"$(one refusal limit "$hog.*\"objects\"")" "$(said sent)"
	is "$how: on the other level" \
		"$(one refusal count "$hog.*\"bytes\",\"level\":\"user\",\"op\":\"send\",.*\"amount\":$(said huge),\"held\":$(said early),")" \
		"$(said too_big)"
	is "$how: nobody else is" "$(lines refusal)" 2
	is "$how: nearest to a limit" \
		"$(first claim | grep -c "$hog\"resource\":\"objects\",\"held\":$(said sent),\"limit\":$(said sent),.*$named")" 1
	is "$how: and that it was refused more" \
		"$(one claim refused "$hog.*\"objects\"")" "$(said refused)"
	is "$how: a limit as the module has it" "$limit" \
		"$(one refusal limit "$hog.*\"bytes\"")"
	is "$how: what it claimed meanwhile" \
		"$(one claim charged "$hog.*\"bytes\"")" \
		$(($(said sent) - $(said early)))
	is "$how: in so many messages" \
		"$(one claim charges "$hog.*\"bytes\"")" \
		$(($(said sent) - $(said early)))
	is "$how: the account first of which was refused" \
		"$(first account | grep -c "\"owner\":0,\"max_objects\":1024,.*\"max_bytes\":65536,.*\"refused\":$(($(said refused) + $(said too_big)))}")" 1
	is "$how: the other clients are there" \
		"$(lines claim "\"owner\":0,\"claimant\":$friend_uid,.*\"bytes\"")" \
		"$(said friends)"
	is "$how: every claim of debugfs, and no other" "$(claims)" "$(traces)"
	[ $how = raw_tp ] || hog_kill
done

# A snapshot, and where else its numbers stand
bus1-trace acct --json >"$dir/out" 2>"$dir/err"
is "snapshot: status 0" $? 0
is "snapshot: nothing to complain of" "$(cat "$dir/err")" ""
ok "snapshot: well-formed" well_formed
is "snapshot: every claim of debugfs, and no other" "$(claims)" "$(traces)"
echo "hog_uid=$hog_uid" >>"$dir/load"
is "snapshot: as fdinfo has it" \
	"$(claims | grep " $(said hog_peer) [a-z]* ")" "$(fdinfo hog)"
is "snapshot: every quota" "$(lines quota)" "$(grep -c ^quota $accounts)"
is "snapshot: what a user has claimed" "$(one quota objects \
	"\"owner\":0,\"claimant\":$hog_uid,")" "$(sed -n \
	"s/^quota uid=0 claimant=$hog_uid objects=\([0-9]*\) .*/\1/p" $accounts)"
is "snapshot: what is left of an account" \
	"$(one account left_objects '"owner":0,')" \
	"$(sed -n 's/^user uid=0 .* left_objects=\([0-9]*\) .*/\1/p' $accounts)"
bus1-trace acct --json -u $friend_uid >"$dir/out"
is "-u: what concerns that user" "$(claims)" "$(traces |
	awk -v u=$friend_uid '$1 == u || $2 == u')"
bus1-trace acct --json -p "$(said hog_pid)" >"$dir/out"
is "-p: what concerns that process" "$(claims)" "$(traces |
	awk -v u=$hog_uid '$2 == u')"
bus1-trace acct --json --peer "$(said hog_peer)" >"$dir/out"
is "--peer: what concerns that peer" "$(claims)" "$(fdinfo hog)"
is "--peer: the accounts concerned" "$(lines account)" 2

# One screen names the culprit
bus1-trace acct >"$dir/out"
ok "a screen of 24 lines" test "$(wc -l <"$dir/out")" -lt 24
ok "a screen: below 80 columns" narrow
is "a screen: who is nearest to a limit" "$(sed -n '/ BY PEER/{n;p}' "$dir/out" |
	tr -s ' ')" " 0 $hog_uid load-hog#$(said hog_peer) $(said hog_pid) objects $(said sent) $(said sent) 100%"
is "a screen: what is left out is counted" \
	"$(awk '/^ *and [0-9]* more$/ { n += $2 - 1 } END { print n }' \
	   "$dir/out")" \
	$(($(traces | wc -l) + 3 - $(wc -l <"$dir/out") + \
	   $(grep -c '^\(user\|quota\)' $accounts)))
bus1-trace acct -n 0 >"$dir/out"
is "-n 0: every row" "$(grep -c '% *$' "$dir/out")" "$(traces | wc -l)"

umount /sys/kernel/debug
bus1-trace acct >"$dir/out" 2>"$dir/err"
is "no debugfs: status 1" $? 1
ok "no debugfs: the mend" grep -q 'mount -t debugfs' "$dir/err"
bus1-trace acct --json 0.1 1 >"$dir/out" 2>"$dir/err"
is "no debugfs: but over time" $? 0
ok "no debugfs: it says what is missing" grep -q \
	'^bus1-trace: only what is charged, given back and refused is shown' \
	"$dir/err"
mount -t debugfs debug /sys/kernel/debug
su user -c 'bus1-trace acct' >"$dir/out" 2>&1
is "without privileges: status 1" $? 1
ok "without privileges: the mend" grep -q 'run it as root$' "$dir/out"
su user -c 'bus1-trace acct 1' >"$dir/out" 2>&1
is "without privileges, over time: status 1" $? 1
ok "without privileges, over time: the mend" grep -q \
	'needs CAP_BPF and CAP_PERFMON: run it as root' "$dir/out"

# Everything killed, in the middle of that
hog_kill
bus1-trace acct --json >"$dir/out"
is "killed: no account, no claim" "$(grep -c . "$dir/out")" 1
is "killed: only the heading" "$(lines accounts)" 1

# Text over time, filters in the kernel, and a name that would steer a terminal
odd="$(printf 'a\033b"\\')"
hog_wait "$odd"
bus1-trace acct -T 1000 >"$dir/text" 2>&1 3>&- &
screen=$!
bus1-trace acct --json -u $friend_uid 1000 >"$dir/uid" 3>&- &
uid=$!
bus1-trace acct --json -p "$(said hog_pid)" 1000 >"$dir/pid" 3>&- &
pid=$!
acct_start 1000 --peer "$(said hog_peer)"
until_true grep -q start "$dir/uid"
until_true grep -q start "$dir/pid"
until_true counting $screen
hog_go
acct_end TERM
is "--peer: status 0 by SIGTERM" $status 0
is "--peer: its claims only" "$(claims)" "$(traces |
	grep "^[0-9]* [0-9]* $(said hog_peer) ")"
ok "--peer: others are filtered" test "$(total filtered)" -gt 0
ok "--peer: the identity holds" identity
ok "an odd name: well-formed" well_formed
is "an odd name: escaped" "$(lines refusal '"comm":"a\\u001bb\\"\\\\"')" 2
kill -INT $uid $pid $screen
wait $uid
mv "$dir/uid" "$dir/out"
is "-u: that user's claims only" "$(claims)" "$(traces |
	awk -v u=$friend_uid '$1 == u || $2 == u')"
is "-u: nothing of its was refused" "$(lines refusal)" 0
is "-u: others' are filtered" "$(one count filtered acct_reject)" \
	$(($(said refused) + $(said too_big)))
wait $pid
mv "$dir/pid" "$dir/out"
is "-p: what was refused that process" "$(lines refusal)" 2
is "-p: its claims only" "$(claims)" "$(traces | awk -v u=$hog_uid '$2 == u')"
ok "-p: the identity holds" identity
wait $screen
is "text: status 0" $? 0
mv "$dir/text" "$dir/out"
ok "text: below 80 columns" narrow
ok "text: the title" grep -q \
	'^[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]\{6\} interval 1, [0-9.]* s: [0-9]* charges, 0 back, [1-9][0-9]* refused$' \
	"$dir/out"
is "text: who was refused most" \
	"$(sed -n '/^ *REFUSED/{n;p}' "$dir/out" | tr -s ' ')" \
	" $(said refused) 0 $hog_uid a?b\"\\#$(said hog_peer) $(said hog_pid) send peer $(said sent)+1>$(said sent)o"
is "text: no control characters" "$(tr -d '\n -~' <"$dir/out" | wc -c)" 0
ok "text: the sum is printed" grep -q \
	'seen = shown + filtered + ring full + map full\.$' "$dir/out"
hog_kill

# Intervals: each has its own, and together they have all
acct_start 0.05
trace-load flood 20000 >/dev/null &
flood=$!
trace-load flood 20000 >/dev/null
wait $flood
acct_end INT
is "intervals: status 0" $status 0
ok "intervals: the identity holds" identity
ok "intervals: something in more than one" test \
	"$(lines interval '"charges":[1-9]')" -gt 2
is "intervals: what was charged was given back" "$(member interval charges |
	awk '{ n += $1 } END { print n }')" "$(member interval discharges |
	awk '{ n += $1 } END { print n }')"
bus1-trace acct --json 0.1 3 >"$dir/out"
is "COUNT: so many" "$(lines interval)" 3
bus1-trace acct --json -d 0.5 >"$dir/out"
is "-d: status 0" $? 0
is "-d: one interval" "$(lines interval)" 1
bus1-trace acct --json -d 0.5 0.2 >"$dir/out"
ok "-d with INTERVAL: more than one" test "$(lines interval)" -gt 1

# A recording of the same says the same
records()
{
	grep -E '^."type":"(account|quota|claim|refusal)"' "$dir/out" |
		sed 's/,"pid".*/}/' | sort
}
hog_wait
bus1-trace record -o "$dir/recording" >"$dir/record" 2>&1 3>&- &
record=$!
until_true test -s "$dir/recording"
sleep 0.5
acct_start 1000
hog_go
acct_end INT
kill -INT $record
wait $record
records >"$dir/live"
bus1-trace acct --json -i "$dir/recording" >"$dir/out" 2>"$dir/err"
is "recorded: status 0" $? 0
is "recorded: nothing to complain of" "$(cat "$dir/err")" ""
ok "recorded: well-formed" well_formed
ok "recorded: the identity holds" identity
is "recorded: the same accounts, claims and refusals" "$(records)" \
	"$(cat "$dir/live")"
is "recorded: who was refused" "$(lines refusal \
	"\"pid\":$(said hog_pid),\"comm\":\"load-hog\"")" 2
for option in "-u $friend_uid" "-p $(said hog_pid)" \
	      "--peer $(said hog_peer)"; do
	bus1-trace acct --json $option >"$dir/out"
	claims >"$dir/live"
	bus1-trace acct --json -i "$dir/recording" $option >"$dir/out"
	is "recorded, ${option% *}: the same claims" "$(claims)" \
		"$(cat "$dir/live")"
done
hog_kill

# Loss
hog_wait
acct_start 1000 --entries 1
hog_go
acct_end INT
is "a full map: status 3" $status 3
ok "a full map: counted" test "$(total map_full)" -gt 0
ok "a full map: the identity holds" identity
is "a full map: the summary has it" "$(member summary lost)" "$(total map_full)"
is "a full map: not by what is refused" "$(one count map_full acct_reject)" 0
is "a full map: the others are counted together" \
	"$(lines refusal '"peer":0,.*"limit":[0-9]*}')" 1
is "a full map: all that were refused" "$(member refusal count |
	awk '{ n += $1 } END { print n }')" $(($(said refused) + $(said too_big)))
is "a full map: the interval has it" "$(member interval uncounted)" \
	"$(total map_full)"
hog_kill
hog_wait
bus1-trace acct --entries 1 1000 >"$dir/out" 3>&- &
acct=$!
until_true counting $acct
hog_go
kill -INT $acct
wait $acct
is "a full map: status 3, as text" $? 3
ok "a full map: it says so" grep -q '^LOST: at least [1-9]' "$dir/out"
ok "a full map: the title says so" grep -q \
	'^At least: [1-9][0-9]* more events found a map full\.$' "$dir/out"
ok "a full map: the others have a row" grep -q \
	'^ *[0-9]* *0 *[0-9]* others  *- send ' "$dir/out"
hog_kill

# Maxima and users as they may be, in 80 columns; then one user by many peers
echo 1048576 >$parameters/max_objects
echo 1073741824 >$parameters/max_bytes
flooder many 100001 1 1048576
bus1-trace acct 1000 >"$dir/text" 3>&- &
acct=$!
bus1-trace monitor >"$dir/mon" 3>&- &
monitor=$!
until_true counting $acct
until_true test -s "$dir/mon"
hog_go
kill -INT $acct $monitor
wait $acct
wait $monitor
for how in text mon; do
	mv "$dir/$how" "$dir/out"
	ok "large: below 80 columns, $how" narrow
	ok "large: a refusal, $how" grep -q \
		' peer [ ]*1[0-9]*M+1M>1[0-9]*MB$' "$dir/out"
done
hog_kill
echo 18446744073709551615 >$parameters/max_objects
echo 18446744073709551615 >$parameters/max_bytes
flooder many 1666 300 1
acct_start 0.01
hog_go
sleep 1
kill -INT $acct
sleep 1
ok "a screen that is late: ended by a signal" test ! -e /proc/$acct/fd/1
wait $acct
is "a screen that is late: status 0" $? 0
bus1-trace acct >"$dir/out"
ok "many peers: below 80 columns" narrow
ok "many peers: 24 lines" test "$(wc -l <"$dir/out")" -lt 24
is "many peers: their user is named first" "$(sed -n \
	'/ BY   PEERS/{n;p}' "$dir/out" | grep -c '^ *0 *1666 *300 *30[0-9] ')" 1
is "many peers: before those of the owner" \
	"$(sed -n '/ BY PEER /{n;p}' "$dir/out" | grep -c '^ *0 *1666 load-many#')" 1
hog_kill
echo 1024 >$parameters/max_objects
echo 65536 >$parameters/max_bytes

# monitor
for how in tp_btf raw_tp; do
	option=
	[ $how = tp_btf ] || option=--raw-tp
	hog_wait
	monitor_start --json $option
	hog_go
	monitor_end INT
	at="\"owner\":0,\"claimant\":$hog_uid,\"peer\":$(said hog_peer),"
	is "monitor, $how: every refusal" "$(lines acct_reject \
		"$at\"resource\":\"objects\",\"amount\":1,\"held\":$(said sent),.*\"level\":\"peer\",\"op\":\"send\",\"limit\":$(said sent),")" \
		"$(said refused)"
	is "monitor, $how: by the other level" "$(lines acct_reject \
		"$at\"resource\":\"bytes\",\"amount\":$(said huge),.*\"level\":\"user\"")" \
		"$(said too_big)"
	is "monitor, $how: the sends that failed" "$(lines op_fail \
		'"check":"quota",.*"owner":0,"level":"[a-z]*","resource":"[a-z]*","held":[0-9]*,"limit":[0-9]*,"errno":"EDQUOT"')" \
		"$(said failed)"
	is "monitor, $how: the one that went on" "$(lines msg_discard \
		"\"receiver\":$(said service_peer),.*\"why\":\"quota\"")" 1
	is "monitor, $how: a refusal before what fails by it" \
		"$(grep -E -m 1 '^."type":"(acct_reject|op_fail)"' "$dir/out" |
		   grep -c acct_reject)" 1
	ok "monitor, $how: the identity holds" identity
	ok "monitor, $how: well-formed" well_formed
	hog_kill
done
hog_wait
monitor_start --json -u 0
bus1-trace monitor --json -u $friend_uid >"$dir/uid" 3>&- &
uid=$!
bus1-trace monitor --json -p "$(said hog_pid)" >"$dir/pid" 3>&- &
pid=$!
bus1-trace monitor >"$dir/text" 3>&- &
screen=$!
until_true test -s "$dir/uid"
until_true test -s "$dir/pid"
until_true test -s "$dir/text"
echo 1 >$tracefs/events/bus1/acct_reject/enable
hog_go
echo 0 >$tracefs/events/bus1/acct_reject/enable
monitor_end INT
all=$(($(said refused) + $(said too_big)))
is "monitor -u: by whose account it was" "$(lines acct_reject)" $all
is "monitor -u: and what failed by it" "$(lines op_fail)" "$(said failed)"
kill -INT $uid $pid $screen
wait $uid
mv "$dir/uid" "$dir/out"
is "monitor -u: nothing of other users" \
	"$(grep -c '"type":"\(acct_reject\|op_fail\)"' "$dir/out")" 0
wait $pid
mv "$dir/pid" "$dir/out"
is "monitor -p: who was refused" "$(lines acct_reject)" $all
wait $screen
mv "$dir/text" "$dir/out"
ok "monitor, text: below 80 columns" narrow
is "monitor, text: refusals" "$(grep -c "reject   load-hog#$(said hog_peer)  *! send uid $hog_uid at 0 peer $(said sent)+1>$(said sent)o\$" "$dir/out")" \
	"$(said refused)"
is "monitor, text: what failed" "$(grep -c "fail     load-hog#$(said hog_peer)  *! send EDQUOT: uid 0 user $(said early)+$(said huge)>[0-9]*B\$" "$dir/out")" \
	"$(said too_big)"
is "monitor, text: what went on" "$(grep -c 'discard .* quota$' "$dir/out")" 1
is "tracefs has the words" "$(grep -c "acct_reject: owner=0 claimant=$hog_uid peer=$(said hog_peer) resource=objects amount=1 .* level=peer op=send limit=$(said sent) " \
	$tracefs/trace)" "$(said refused)"
hog_kill

# A peer that may not be opened
echo 1 >$parameters/max_objects
acct_start 1000
trace-load open 20000
is "open: refused" $? 0
acct_end INT
is "open: said so, however often" "$(lines refusal \
	'"owner":0,"claimant":0,"peer":0,.*"op":"open","count":20000,')" 1
is "open: in one record" "$(lines refusal)" 1
is "open: nothing lost" "$(total map_full)" 0
bus1-trace acct -d 1 >"$dir/out" &
acct=$!
until_true counting $acct
trace-load open
wait $acct
ok "open: it has no peer" grep -q \
	'^  *1  *0  *0 trace-load  *[0-9]* open  *[a-z]*  *0+1>0o$' "$dir/out"

for wrong in '-p 0' '-u x' '--peer 0' '-d 0' '-n x' '--entries 0' \
	     '--entries 1048577' '0' '0.009' '1 0' 'x' '1 1 1' '--nonsense'; do
	bus1-trace acct $wrong >"$dir/out" 2>&1
	is "\"$wrong\" is a usage error" $? 2
done
plan
