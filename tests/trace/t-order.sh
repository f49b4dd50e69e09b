#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace order: of a bus that keeps its order it says so, live and from a
# recording, of as much as there was; where events are lost, that it cannot know.
. "$(dirname "$0")/trace-tap.sh"

# verdict KEY: of the last run
verdict()
{
	sed -n "s/^{\"type\":\"verdict\".*\"$1\":\"\{0,1\}\([a-z0-9]*\).*/\1/p" \
		"$dir/out"
}

identity()
{
	[ "$(total seen)" -gt 0 ] &&
	[ "$(total seen)" -eq $(($(total shown) + $(total filtered) + \
		$(total ring_full) + $(total map_full))) ] &&
	[ "$(lines summary '"balanced":true')" = 1 ]
}

# What the workload did, by either kind of attachment, and recorded meanwhile
for how in tp_btf raw_tp; do
	option=--lost
	[ $how = tp_btf ] || option="--lost --raw-tp"
	load_wait
	record_start
	verb_start order $option
	load_go
	verb_end INT
	record_end
	is "$how: status 0" $status 0
	is "$how: nothing to complain of" "$(cat "$dir/err")" ""
	is "$how: it is attached that way" "$(lines start "\"$how\"")" 1
	ok "$how: nothing lost, and the count proves it" identity
	is "$how: the verdict" "$(verdict verdict)" ok
	is "$how: receipts" "$(verdict receipts)" \
		$(($(said msg_recv) + $(said notify_recv)))
	is "$how: multicasts" "$(verdict multicasts)" "$(said second_recv)"
	ok "$how: transactions" test "$(verdict transactions)" -ge \
		$(($(said send) + $(said release) + $(said transfer)))
	is "$how: nothing waits at its end" "$(verdict waiting)" 0
	is "$how: their order was checked" "$(verdict agreement_checked)" true
	is "$how: nothing was missing" "$(verdict lost_checked)" true
	grep '"type":"verdict"' "$dir/out" >"$dir/live"
	bus1-trace order --json -i "$dir/recording" >"$dir/out" 2>"$dir/err"
	is "$how, recorded: status 0" $? 0
	is "$how, recorded: the same verdict" \
		"$(grep '"type":"verdict"' "$dir/out")" "$(cat "$dir/live")"
done

# Multicasts of several senders, as fast as they go, and how many there were
verb_start order 0.2
trace-order 7 5 3 211 >"$dir/load"
sleep 0.5
verb_end TERM
is "multicasts: status 0 by SIGTERM" $status 0
ok "multicasts: the identity holds" identity
is "multicasts: the verdict" "$(verdict verdict)" ok
is "multicasts: all were checked" "$(verdict multicasts)" "$(said multicasts)"
is "multicasts: and their receipts" "$(verdict receipts)" "$(said receipts)"
is "multicasts: but not whether any was lost" "$(verdict lost_checked)" false
ok "multicasts: a line now and then" test "$(lines order)" -ge 2
ok "multicasts: they add up" [ "$(member order receipts | sort -n |
	tail -n 1)" -le "$(said receipts)" ]

# Who was there before, and what was in queues
rm -f "$dir/go" "$dir/load"
mkfifo "$dir/go"
trace-late queue 13 <"$dir/go" >"$dir/load" &
late=$!
holders="$holders $late"
exec 3>"$dir/go"
until_true grep -q ready=1 "$dir/load"
verb_start order --lost
exec 3>&-
wait $late
verb_end INT
is "before the start: status 0" $status 0
is "before the start: so many" "$(verdict before)" 13
is "before the start: no alarm" "$(verdict violations)" 0

# The reader sleeps while more happens than there is room for
verb_start order --lost --ring-size 64K
trace-load flood 101 >/dev/null
trace-order 7 5 3 211 >"$dir/load" &
load=$!
sleep 0.3
kill -STOP $verb
sleep 0.3
kill -CONT $verb
wait $load
trace-load flood 101 >/dev/null
verb_end INT
is "events lost: status 3" $status 3
is "events lost: undecidable" "$(verdict verdict)" undecidable
is "events lost: how many" "$(verdict lost)" "$(total ring_full)"
ok "events lost: the identity holds" identity
ok "events lost: receipts are missing" test "$(verdict missing)" -gt 0
ok "events lost: from when to when" test \
	"$(verdict from)" -gt "$(member start time)" -a \
	"$(verdict to)" -gt "$(verdict from)"
is "events lost: no alarm" "$(verdict violations)" 0
is "events lost: what was lost is not missed" "$(verdict lost_checked)" false

# Little room: what is forgotten is said, and no alarm
verb_start order --keep 2
trace-order 7 5 3 11 >/dev/null
verb_end INT
is "little room: no alarm" "$(verdict violations)" 0
ok "little room: it says so" test "$(verdict forgotten)" -gt 0 -a \
	"$(verdict unknown)" -gt 0
is "little room: status 3" $status 3

# Text
bus1-trace order 0.2 -d 1.5 >"$dir/out" 2>&1 &
screen=$!
attached $screen 9
trace-order 3 2 3 5 >"$dir/load"
wait $screen
is "text: status 0" $? 0
ok "text: the verdict" grep -q "^OK: [0-9]* transactions, $(said receipts) receipts, $(said multicasts) multicasts checked\.\$" \
	"$dir/out"
ok "text: what was not checked" grep -qx \
	'Not checked: that nothing is lost (--lost).' "$dir/out"
ok "text: a heading and lines" awk '
	/^ *SECONDS/ { head = 1 }
	head && /^ *[0-9.]+( +[0-9]+){6}$/ { n++ }
	length($0) >= 80 { exit 1 }
	END { exit n < 3 }' "$dir/out"
# A module built with defects: each is found, with both transactions
defect=/sys/module/bus1/parameters/defect
for nr in $([ ! -w $defect ] || echo 1 2 3 4 5 6); do
	verb_start order
	echo "$nr" >$defect
	order -d 5 >/dev/null 2>&1
	echo 0 >$defect
	verb_end INT
	is "defect $nr: status 4" $status 4
	ok "defect $nr: it says which" grep -q \
		'^{"type":"violation",.*"cause":{.*"effect":{.*"recv":' \
		"$dir/out"
done

su user -c 'bus1-trace order' >"$dir/out" 2>&1
is "without privileges: status 1" $? 1
for wrong in '--keep 0' '0' '1 0' '-p 1' '--peer 1' '--kind message'; do
	bus1-trace order $wrong >"$dir/out" 2>&1
	is "\"$wrong\" is a usage error" $? 2
done
plan
