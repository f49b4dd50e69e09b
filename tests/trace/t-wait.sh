#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What bus1-trace tells of receivers that sleep: in monitor, in a recording, and in
# what is exported; and of the commands that let them.
. "$(dirname "$0")/trace-tap.sh"

identity()
{
	[ "$(total seen)" -gt 0 ] &&
	[ "$(total seen)" -eq $(($(total shown) + $(total filtered) + \
		$(total ring_full) + $(total map_full))) ] &&
	[ "$(lines summary '"balanced":true')" = 1 ]
}

# waits TEXT: what is in $dir/out
waits()
{
	for why in ready deadline signal; do
		is "$1: each that ended by $why" \
			"$(lines recv_wait "\"why\":\"$why\"")" "$(said $why)"
	done
	ok "$1: each took its time" test \
		"$(grep '"type":"recv_wait"' "$dir/out" |
		sed 's/.*"begun":\([0-9]*\).*"time":\([0-9]*\).*/\1 \2/' |
		awk '$1 && $2 > $1' | wc -l)" = $(($(said ready) + 2))
}

record_start
for option in "" --raw-tp; do
	monitor_start --json --kind wait $option
	trace-wait 20 >"$dir/load"
	is "the workload runs" $? 0
	monitor_end INT
	is "monitor $option: status 0" $status 0
	waits "monitor $option"
	is "monitor $option: nothing but waits" \
		"$(grep '"tid":' "$dir/out" | grep -v -c recv_wait)" 0
	ok "monitor $option: the count proves it" identity
done
monitor_start --json -p 1
trace-wait 1 >/dev/null
monitor_end INT
is "without --kind wait they are not asked for" "$(lines count recv_wait)" 0

monitor_start --json
trace-wait 20 >"$dir/load"
monitor_end INT
is "the deadline is a failure" "$(lines op_fail \
	'"cmd":"recv_batch".*"check":"deadline".*"errno":"ETIMEDOUT"')" 1
is "and says when it was" "$(sed -n \
	's/.*"check":"deadline","detail":\([0-9]*\),"time":\([0-9]*\).*/\1 \2/p' \
	"$dir/out" | awk '$1 && $2 >= $1' | wc -l)" 1
monitor_start --kind wait,failure
trace-wait 20 >"$dir/load"
monitor_end INT
is "text: a row each" "$(grep -c 's wait  *trace-wait#[0-9]* *ready$' "$dir/out")" \
	"$(said ready)"
is "text: how long" "$(grep -c '^ *[2-9][0-9]\.[0-9]ms wait .* deadline$' \
	"$dir/out")" 1
is "text: the failure" "$(grep -c \
	'fail .* ! recv_batch ETIMEDOUT: deadline$' "$dir/out")" 1

# The recording has all that was above: 20 five times, 1 once.
record_end
bus1-trace report --json "$dir/recording" >"$dir/out"
all=$((4 * 42 + 4))
is "a recording has them" \
	"$(lines count "\"of\":\"recv_wait\",.*\"shown\":$all,")" 1
bus1-trace monitor -i "$dir/recording" --json --kind wait >"$dir/out"
is "replayed: all of them" "$(lines recv_wait)" $all
is "replayed: who" "$(lines recv_wait '"comm":"trace-wait"')" $all
bus1-trace monitor -i "$dir/recording" --json >"$dir/out"
is "replayed: not without --kind wait" "$(lines recv_wait)" 0
bus1-trace export -i "$dir/recording" --format perfetto -o "$dir/p" >/dev/null
is "Perfetto: it can be written" $? 0
ok "Perfetto: a track of waits" grep -a -q waits "$dir/p"
plan
