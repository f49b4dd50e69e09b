#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace latency: as many times as there were receipts and commits, as long as
# the workload let messages wait, live and from a recording of the same.
. "$(dirname "$0")/trace-tap.sh"

# of KIND KEY [PATTERN]: the sum over all records of KIND
of()
{
	grep "^{\"type\":\"latency\",\"of\":\"$1\"" "$dir/out" |
		grep -- "${3-}" |
		sed -n "s/\"slots\".*//;s/.*\"$2\":\([0-9]*\).*/\1/p" |
		awk '{ n += $1 } END { print n + 0 }'
}

# slots KIND: the sum of what is in all slots
slots()
{
	grep "^{\"type\":\"latency\",\"of\":\"$1\"" "$dir/out" |
		sed 's/.*"slots"://' | tr '{}' '\n\n' |
		sed -n 's/.*"count":\([0-9]*\)$/\1/p' |
		awk '{ n += $1 } END { print n + 0 }'
}

# Each slot begins where no time before it was; its longest is in it.
sound()
{
	sed -n 's/^{"type":"latency".*"slots"://p' "$dir/out" |
		tr '{' '\n' | awk -F '[:,}]' '
		/^\[/ { last = -1 }
		/^"from"/ {
			if ($2 <= last || $4 < $2 || $4 >= $2 * 1.13 + 1 ||
			    !$6) {
				print "# " $0; bad = 1
			}
			last = $4
		}
		END { exit bad }'
}

# rows: of all records who, what and how many
rows()
{
	sed -n 's/^{"type":"latency",\(.*\),"count":\([0-9]*\),"unknown":\([0-9]*\).*/\1 \2 \3/p' \
		"$dir/out" | sed 's/,"pid".* / /;s/,"uid":[0-9]* / /' | sort
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
		"$dir/$1"
}

# What the workload did, by either kind of attachment, and recorded meanwhile
for how in tp_btf raw_tp; do
	option=
	[ $how = tp_btf ] || option=--raw-tp
	load_wait
	record_start
	verb_start latency $option
	load_go
	verb_end INT
	record_end
	is "$how: Ctrl-C ends it with status 0" $status 0
	is "$how: nothing to complain of" "$(cat "$dir/err")" ""
	is "$how: it is attached that way" "$(lines start "\"$how\"")" 1
	ok "$how: nothing lost, and the count proves it" identity
	is "$how: one interval" "$(lines interval)" 1
	is "$how: as many as messages were received" "$(of message count)" \
		"$(said msg_recv)"
	is "$how: in all slots together" "$(slots message)" "$(said msg_recv)"
	is "$how: as many as notifications" "$(of notification count)" \
		"$(said notify_recv)"
	is "$how: every commit" "$(of transaction count)" \
		"$(total seen | awk -v m="$(said msg_recv)" \
			-v n="$(said notify_recv)" '{ print $1 - m - n }')"
	ok "$how: sends among them" test "$(of transaction count)" -ge \
		"$(said send)"
	ok "$how: the slots are sound" sound
	is "$how: all are known" "$(of message unknown)" 0
	grep '"type":"latency"' "$dir/out" >"$dir/live"
	bus1-trace latency --json -i "$dir/recording" >"$dir/out" 2>"$dir/err"
	is "$how, recorded: status 0" $? 0
	is "$how, recorded: every slot is the same" \
		"$(grep '"type":"latency"' "$dir/out")" "$(cat "$dir/live")"
done

# By peer, node and user
for by in peer node uid; do
	load_wait
	record_start
	verb_start latency --by $by
	load_go
	verb_end INT
	record_end
	second="\"peer\":$(said second_peer),"
	ok "--by $by: the identity holds" identity
	is "--by $by: all messages" "$(of message count)" "$(said msg_recv)"
	is "--by $by: in all slots together" "$(slots message)" \
		"$(said msg_recv)"
	case $by in
	uid)
		is "--by $by: the user's" "$(of message count '"uid":0,')" \
			"$(said msg_recv)" ;;
	*)
		is "--by $by: those of the second" \
			"$(of message count "$second")" "$(said second_recv)"
		is "--by $by: the dead have names" \
			"$(grep -c "\"of\":\"message\".*${second}.*\"comm\":\"load-server\"" "$dir/out")" 1 ;;
	esac
	[ $by != node ] ||
		is "--by $by: its node" "$(of message count \
			"$second\"node\":1,")" "$(said second_recv)"
	rows >"$dir/live"
	bus1-trace latency --json --by $by -i "$dir/recording" >"$dir/out"
	is "--by $by, recorded: the same" "$(rows)" "$(cat "$dir/live")"
done

# Filters, in the kernel and of the recording of the same
for filter in "--peer second_peer" "-p client_pid" "--kind notification" \
	      "--min-latency 1s"; do
	load_wait
	record_start
	case $filter in
	--peer*) option="--peer $(said second_peer)" ;;
	-p*) option="-p $(said client_pid)" ;;
	*) option=$filter ;;
	esac
	verb_start latency $option
	load_go
	verb_end INT
	record_end
	ok "$filter: the identity holds" identity
	case $filter in
	-p*)
		is "$filter: it has a part in all" "$(total filtered)" 0 ;;
	--peer*)
		is "$filter: its messages" "$(of message count)" \
			"$(said second_recv)"
		is "$filter: what had a part for it, and its end" \
			"$(of transaction count)" \
			$(($(said second_recv) + 1)) ;;
	--kind*)
		is "$filter: no messages" "$(of message count)" 0
		is "$filter: all of these" "$(of notification count)" \
			"$(said notify_recv)" ;;
	--min*)
		is "$filter: none took so long" "$(total shown)" 0 ;;
	esac
	rows >"$dir/live"
	bus1-trace latency --json -i "$dir/recording" $option >"$dir/out"
	is "$filter, recorded: the same" "$(rows)" "$(cat "$dir/live")"
done

# As long as they wait
verb_start latency
trace-late 17 50
verb_end TERM
is "waiting: status 0 by SIGTERM" $status 0
is "waiting: all of them" "$(of message count)" 17
ok "waiting: the median is not too short" test "$(of message p50)" -ge 50000000
ok "waiting: nor too long" test "$(of message p50)" -lt 90000000
ok "waiting: the longest is the longest" test "$(of message max)" -ge \
	"$(of message p999)"
ok "waiting: but a commit is quick" test "$(of transaction p50)" -lt 5000000

# Sent before anybody looked
rm -f "$dir/go" "$dir/load"
mkfifo "$dir/go"
trace-late queue 13 <"$dir/go" >"$dir/load" &
late=$!
holders="$holders $late"
exec 3>"$dir/go"
until_true grep -q ready=1 "$dir/load"
verb_start latency
bus1-trace latency >"$dir/text" 3>&- &
screen=$!
attached $screen 3
exec 3>&-
wait $late
verb_end INT
kill -INT $screen
wait $screen
is "before the start: received" "$(of message unknown)" 13
is "before the start: how long is not known" "$(of message count)" 0
ok "before the start: the identity holds" identity
ok "before the start: it says so" grep -q \
	'^13 more began before this did: how long they took is not known$' \
	"$dir/text"

# Intervals: each has its own, and together they have all
verb_start latency 0.05
trace-load flood 10007 >/dev/null &
flood=$!
trace-load flood 10007 >/dev/null
wait $flood
verb_end INT
is "intervals: status 0" $status 0
ok "intervals: the identity holds" identity
ok "intervals: something in more than one" test \
	"$(lines latency '"of":"message"')" -gt 2
is "intervals: all of them" "$(of message count)" 20014

# Maps that are too small
verb_start latency --entries 4 --by peer
trace-load many 0 23 1 </dev/null >"$dir/load" &
many=$!
holders="$holders $many"
until_true grep -q flooded=1 "$dir/load"
trace-load >/dev/null
trace-load flood 1000 >/dev/null
verb_end INT
is "a full map: status 3" $status 3
ok "a full map: counted" test "$(total map_full)" -gt 0
ok "a full map: the identity holds" identity
is "a full map: the interval has it" "$(member interval uncounted)" \
	"$(total map_full)"
kill $many
bus1-trace latency --entries 1 >"$dir/text" &
screen=$!
attached $screen 3
trace-load >/dev/null
kill -INT $screen
wait $screen
is "a full map: status 3, as text" $? 3
ok "a full map: it says so" grep -q '^LOST: at least [1-9]' "$dir/text"
ok "a full map: the view says so" grep -q \
	'^At least: [1-9][0-9]* more events found a map full\.$' "$dir/text"

# Text
for by in all peer node uid; do
	bus1-trace latency --by $by >"$dir/text" &
	screen=$!
	attached $screen 3
	trace-load >"$dir/load"
	kill -INT $screen
	wait $screen
	is "text, --by $by: status 0" $? 0
	ok "text, --by $by: below 80 columns" narrow text
done
is "text, --by uid: the user's row" \
	"$(grep -c "^0  *msg  *$(said msg_recv)  *[0-9.]*[num]*s " "$dir/text")" 1
bus1-trace latency -d 0.6 >"$dir/text" &
screen=$!
attached $screen 3
trace-load flood 101 >/dev/null
wait $screen
ok "text: how many" grep -q '^101 messages, from send to receipt$' "$dir/text"
is "text: the bars count them" "$(sed -n '/^101 messages/,/^$/p' "$dir/text" |
	awk -F '|' 'NF == 3 { split($1, v, " "); n += v[4] } END { print n }')" 101
ok "text: percentiles" grep -q \
	'^  P50 [0-9.]*us  P90 [0-9.]*[um]s  P99 .*  P99.9 .*  max .*  mean ' \
	"$dir/text"
timeout 3 trace-load tty bus1-trace latency 0.2 >"$dir/out"
ok "a terminal: each screen is in the place of the last" test \
	"$(grep -c "$(printf '\033\\[H\033\\[J')" "$dir/out")" -ge 2

su user -c 'bus1-trace latency' >"$dir/out" 2>&1
is "without privileges: status 1" $? 1
ok "without privileges: the mend" grep -q \
	'needs CAP_BPF and CAP_PERFMON: run it as root' "$dir/out"
for wrong in '--by x' '0' '1 0' 'x' '1 1 1' '--entries 0' '--nonsense'; do
	bus1-trace latency $wrong >"$dir/out" 2>&1
	is "\"$wrong\" is a usage error" $? 2
done
plan
