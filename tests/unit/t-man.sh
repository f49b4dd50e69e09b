#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1(4) has the table of events: each event of trace.h, with its arguments in
# their order.
n=0
failed=0

# "name: arg, arg, ..." of each event
events=$(tr -d '\n' <kmod/trace.h |
	sed 's/DEFINE_EVENT([a-z0-9_]*,/TRACE_EVENT(/g; s/[A-Z]*_EVENT[A-Z_]*(/\n&/g' |
	sed -n 's/^TRACE_EVENT([[:space:]]*\([a-z_]*\),.*TP_ARGS(\([^)]*\)).*/\1: \2/p' |
	sed 's/[[:space:]][[:space:]]*/ /g')

# the same from the page: a term, then its first indented paragraph
page=$(awk '
	/^[a-z]+_[a-z]+$/ { name = $0; args = ""; next }
	name != "" && /^  / { args = args substr($0, 2); next }
	name != "" { print name ":" args; name = "" }
' man/bus1.4.rst | sed 's/\.$//')

[ -n "$events" ] || { echo "Bail out! no events in kmod/trace.h"; exit 1; }
while IFS= read -r event; do
	n=$((n + 1))
	if printf '%s\n' "$page" | grep -qxF "$event"; then
		echo "ok $n - bus1(4) documents ${event%%:*}"
	else
		failed=1
		echo "not ok $n - bus1(4) documents ${event%%:*}"
		echo "# wanted: $event"
	fi
done <<END
$events
END
echo "1..$n"
exit $failed
