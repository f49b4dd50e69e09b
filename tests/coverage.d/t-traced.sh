#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Once more what the suite does without, with every tracepoint of bus1 in use:
# tests/coverage counts what only then runs. Nothing may come out otherwise.
events=/sys/kernel/tracing/events/bus1/enable
programs="t-send t-transfer t-release t-notify t-recv t-account t-wait t-call"
set -- $programs
echo 1..$#
echo 1 >$events
n=0
for t; do
	n=$((n + 1))
	if ./$t >/tmp/traced 2>&1; then
		echo "ok $n - $t, traced"
	else
		echo "not ok $n - $t, traced"
		grep '^not ok' /tmp/traced | sed 's/^/# /'
	fi
done
echo 0 >$events
