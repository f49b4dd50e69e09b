#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A long run does not grow: what came and went is forgotten, but for the names of
# those who died last.

. trace-tap.sh

# rss PID: memory in KiB
rss()
{
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}

for verb in monitor 'top 1' 'latency 1' 'handles 1' 'acct 1'; do
	bus1-trace $verb >/dev/null 2>"$dir/err" &
	pid=$!
	holders="$holders $pid"
	until_true grep -qvx 0 /sys/module/bus1/refcnt
	# the names of 16384 are kept
	trace-load peers 8500
	sleep 1.5
	before=$(rss $pid)
	trace-load peers 5000
	sleep 1.5
	grown=$(($(rss $pid) - before))
	# 10000 peers, 60000 events
	ok "$verb: $grown KiB more" test $grown -lt 900
	kill -INT $pid
	wait $pid
	is "$verb: lost nothing" $? 0
done

plan
