#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What bus1-trace takes for cause and effect, of events made by hand, of hostile
# ones, and against the definition, with address sanitizer; and what explain says
# of recordings made by hand. Run from the top of the tree, after "make tools".
set -u

CC=${CC:-gcc}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trace=tools/bus1-trace
tool=build/bin/bus1-trace

# build PROGRAM SOURCE...
build()
{
	program=$1
	shift
	$CC -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra \
		-fsanitize=address,undefined -Iinclude/uapi -Iinclude -Ikmod \
		-Ibpf -I$trace -o "$dir/$program" "$@" -lz \
		>"$dir/log" 2>&1 && return
	echo "Bail out! $program does not compile:"
	sed 's/^/# /' "$dir/log"
	exit 1
}

build cause tests/unit/cause.c $trace/cause.c $trace/table.c
build made tests/unit/cause-made.c $trace/recording-codec.c \
	$trace/recording-write.c $trace/snapshot.c
ASAN_OPTIONS=quarantine_size_mb=1 "$dir/cause" >"$dir/log" 2>&1
status=$?
grep -v '^1\.\.' "$dir/log"
n=$(grep -c '^\(not \)\?ok ' "$dir/log")
if [ $status != 0 ]; then
	echo "Bail out! cause ended with status $status"
	exit 1
fi

# explain WHAT STATUS A B: of such a recording; sets $good
explain()
{
	what=$1
	wanted=$2
	shift 2
	"$dir/made" "$what" "$dir/$what" || exit 1
	"$tool" explain -i "$dir/$what" "$@" >"$dir/out" 2>"$dir/err"
	status=$?
	good=1
	[ $status = "$wanted" ] || good=
}

# says TEXT PATTERN...: each is in what explain said, and the status was right
says()
{
	text=$1
	shift
	n=$((n + 1))
	for pattern; do
		cat "$dir/out" "$dir/err" | grep -q -e "$pattern" || good=
	done
	if [ -n "$good" ]; then
		echo "ok $n - $text"
	else
		echo "not ok $n - $text"
		echo "# status $status"
		cat "$dir/out" "$dir/err" | sed 's/^/# /'
	fi
}

explain overlap 0 1:1 2:1
says "calls that overlap" '1:1 and 2:1 are concurrent' \
	'each had begun before the other returned' \
	'past    nothing in this recording' '+0.000060 *future  recv:9.2'
explain overtaken 1 1:1 2:1
says "a broken promise: cause" '^1:1 before 2:1: 2 steps' '^made-9#9 .*  2:1  BROKEN$'
explain twice 1 1:1 2:1
says "a broken promise: agreement" 'receives 2:1 first' '^made-8#8 .* 2:1$' \
	'^made-9#9 .*  1:1  BROKEN$'
explain known 0 2:1 1:1
says "known by a receipt before it returned" \
	'1:1 had come as recv:8.1 10.0us before 2:1 began' \
	'^made-9#9 .* 2:1  against the clock$'
explain circle 1 1:1 recv:9.1
says "a circle" 'each of 1:1 and recv:9.1 is before the other'
explain early 3 1:1 2:1
says "what was before the start" 'Not proven\.$' 'nothing can be said'
explain early 0 1:1 recv:9.2
says "which is before what follows" '^1:1 before recv:9.2: 2 steps'
explain lost 3 1:1 2:1
says "lost events" 'Not proven\.$' 'By the clock 1:1 had returned 8.0us before 2:1' \
	'^LOST: at least 7 events'
explain lost 3 1:1
says "lost events: a past" 'came at least 0 transactions'
explain deputy 0 1:1 reply-to:1:1
says "the reply of a deputy" '^reply-to:1:1 is 3:1, the first' \
	'^1:1 before 3:1: 4 steps'
explain mute 1 1:1 reply-to:1:1
says "no reply, though something came back" \
	'nothing was sent to node 5 of peer 1, after its handle had come with it$'
explain ends 3 last:1 recv:9.2
says "events were lost: what is last" \
	'^last:1 is 1:2, the last transaction that is known of ' \
	'^1:2 before recv:9\.2: 1 step$' '^LOST: at least 1 event'
explain ends 3 1:1 last:9:1
says "and to a node" '^last:9:1 is 1:2, the last message that is known to have'
explain tie 0 1:1 2:1
says "one began as the other returned" 'By the clock they overlapped'
explain nothing 1 1:1
says "nothing at all" 'nothing happened in this recording'

for name in bogus 1 1: 1:x recv:1 seq:x seq:0 last: "last:1@" last:1:0 \
	reply-to:1 "a tx 1" 18446744073709551616:1; do
	explain overlap 2 "$name"
	says "\"$name\" is not a call" 'does not name a call\. What does:'
done
explain overlap 2 "23:10:57.123456   7.2us send  made-1#1  > made-9#9  1:1.0 17B" 1:1
says "a row with a name in it" 'are the same: 1:1'
explain overlap 1 last:1@yesterday
says "no time" '"yesterday" is not a time: give '
explain overlap 2 1:1 2:1 9:9
says "three calls" '"9:9" is one too many'
explain overlap 2 1:1 1:1.0
says "a call and its message" 'are the same: 1:1'
explain overlap 2 -o "$dir/x.dot" 1:1 2:1
says "a picture of two" '-o draws what came before one call'
explain overlap 2 -o "$dir/x.gif" 1:1
says "a picture that cannot be drawn" 'does not end in .dot, .svg'
explain overlap 2 -p 1 1:1
says "there are no filters" "invalid option -- 'p'"
explain overlap 2
says "no call" 'which call is to be explained'

# Events that mean nothing do no harm.
bad=
for seed in 1 2 3 4 5 6 7 8; do
	"$dir/made" $seed "$dir/any" || exit 1
	for ask in "1:1 2:2" recv:3.1 "reply-to:1:1 3:0" last:2:1 \
		18446744073709551615:1 "-o $dir/any.dot 2:3"; do
		timeout 10 "$tool" explain -i "$dir/any" $ask >"$dir/out" 2>&1
		[ $? -le 3 ] || bad="$bad $seed:$ask"
		! grep -q "nothing happened" "$dir/out" ||
			bad="$bad $seed:empty"
	done
done
n=$((n + 1))
if [ -z "$bad" ]; then
	echo "ok $n - events that mean nothing do no harm"
else
	echo "not ok $n - events that mean nothing do no harm"
	echo "# of$bad"
fi
echo "1..$n"
