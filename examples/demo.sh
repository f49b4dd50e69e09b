#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Real processes on the bus under "bus1-trace monitor": a service with two
# clients and one that dies, a publisher with two subscribers, of which one
# dies; who holds what meanwhile; and the same once more by "top" and "latency",
# from a recording that ran beside it; at last, unwatched, an echo that takes one
# system call a side. Takes some seconds, ends with a summary; status 0 if all went
# well.
set -u

dir=$(mktemp -d) && cd "$dir" || exit 1
failed=0
monitor=
recorder=
background=

cleanup()
{
	[ -z "$background" ] || kill $background 2>/dev/null
	[ -z "$monitor$recorder" ] || kill $monitor $recorder 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

die()
{
	echo "demo: $*" >&2
	exit 1
}

# expect WHAT GOT WANTED
expect()
{
	[ "$2" = "$3" ] && return
	echo "demo: $1: $2, expected $3" >&2
	failed=1
}

# until_true SECONDS COMMAND...
until_true()
{
	tries=$(($1 * 10))
	shift
	until "$@" 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

# count PATTERN FILE
count()
{
	grep -c "$1" "$dir/$2" 2>/dev/null
}

for program in bus1-trace bus1-service bus1-publisher bus1-client \
	       bus1-subscriber bus1-echo; do
	command -v $program >/dev/null ||
		die "$program is not on PATH; \"make\" builds it in build/bin"
done
[ -e /dev/bus1 ] || die "no /dev/bus1; load the module: modprobe bus1"

echo "demo: a client and a subscriber will kill themselves; the shell says so."
echo

# show NAME COMMAND...: without the account of events, which says the same
# each time
show()
{
	name=$1
	shift
	echo
	echo "\$ $*"
	"$@" >"$dir/$name"
	expect "the status of $*" $? 0
	sed '/^  *seen  *shown/,$d' "$dir/$name" | grep .
}

# The recorder's file has its beginning when it is attached, and the monitor's
# first line comes then.
bus1-trace record -o demo.bus1 >"$dir/recorder" &
recorder=$!
until_true 20 test -s demo.bus1 ||
	die "bus1-trace record does not start"
mkfifo "$dir/fifo" || exit 1
tee "$dir/trace" <"$dir/fifo" &
tee=$!
bus1-trace monitor >"$dir/fifo" &
monitor=$!
until_true 20 test -s "$dir/trace" || die "bus1-trace monitor does not start"

bus1-service "$dir/service" >"$dir/service.log" &
service=$!
bus1-publisher "$dir/publisher" 3 1000 >"$dir/publisher.log" &
publisher=$!
background="$service $publisher"
until_true 10 test -S "$dir/service" -a -S "$dir/publisher" ||
	die "the service or the publisher does not start"

bus1-subscriber "$dir/publisher" >"$dir/subscriber.log" &
subscriber=$!
bus1-subscriber -k 1 "$dir/publisher" >"$dir/victim.log" &
victim=$!
background="$background $subscriber $victim"

# The publisher ticks once a second: there is time to look at who holds what.
until_true 10 grep -q '^tick' "$dir/subscriber.log"
show handles bus1-trace handles >"$dir/shown-handles"

bus1-client "$dir/service" 2 >"$dir/client1.log"
expect "the first client's status" $? 0
bus1-client "$dir/service" 1 >"$dir/client2.log"
expect "the second client's status" $? 0
bus1-client -k "$dir/service" 1 >"$dir/client3.log" &
mortal=$!
wait $mortal
mortal_status=$?
expect "the status of the client that dies" $mortal_status 137

wait $victim
expect "the status of the subscriber that dies" $? 137
wait $publisher
expect "the publisher's status" $? 0
wait $subscriber
expect "the other subscriber's status" $? 0
until_true 5 grep -q "client $mortal is gone" "$dir/service.log" || {
	echo "demo: the service did not notice that $mortal died" >&2
	failed=1
}
kill -TERM $service
wait $service
expect "the service's status" $? 0
background=

kill -INT $monitor
(
	trap 'kill $nap; exit' TERM
	sleep 15 &
	nap=$!
	wait $nap
	kill -KILL $monitor $tee
) 2>/dev/null &
watchdog=$!
wait $monitor
expect "the status of bus1-trace" $? 0
monitor=
wait $tee
kill $watchdog
kill -INT $recorder
wait $recorder
expect "the status of bus1-trace record" $? 0
recorder=

bus1-echo "$dir/echo" &
background=$!
until_true 10 test -S "$dir/echo" || die "the echo does not start"
bus1-echo "$dir/echo" 100 >"$dir/echo.log"
expect "the status of the echo's client" $? 0
kill $background
wait $background
background=

cat "$dir/shown-handles"
show top bus1-trace top -i demo.bus1 -n 12 60
show latency bus1-trace latency -i demo.bus1 -n 30

expect "answers to the first client" "$(count '^REQUEST' client1.log)" 2
expect "answers to the second client" "$(count '^REQUEST' client2.log)" 1
expect "ticks at the subscriber" "$(count '^tick' subscriber.log)" 3
expect "ticks at the one that died" "$(count '^tick' victim.log)" 1
expect "the service's account" "$(tail -n 1 "$dir/service.log")" \
	"clients: 3, requests: 4, answers refused: 0, clients gone: 3"
expect "the echo's account" "$(cut -d, -f1 "$dir/echo.log")" "100 round trips"
expect "the publisher's account" "$(tail -n 1 "$dir/publisher.log")" \
	"ticks: 3, deliveries: 4, missed: 0, subscribers gone: 1, dropped: 0"
for program in service client publisher subscri; do
	[ "$(count "$program[a-z]*#" trace)" -gt 0 ] ||
		expect "$program in the trace" missing there
done
[ "$(count '^publisher#.* subscriber#' handles)" -gt 0 ] ||
	expect "the publisher's handle to a subscriber" missing there
[ "$(count '^publisher#' top)" -gt 0 ] ||
	expect "the publisher in top" missing there
[ "$(count 'messages, from send to receipt' latency)" -gt 0 ] ||
	expect "messages in latency" missing there

echo
echo "service:    $(tail -n 1 "$dir/service.log")"
echo "publisher:  $(tail -n 1 "$dir/publisher.log")"
# What takes the time there may be the emulation.
note=
! grep -qw hypervisor /proc/cpuinfo ||
	note=" (in a virtual or emulated machine)"
echo "echo:       $(cat "$dir/echo.log")$note"
if [ $failed = 0 ]; then
	echo "killed:     client $mortal and subscriber $victim, both noticed"
	echo "demo:       all went well"
else
	echo "demo:       FAILED, see above"
fi
exit $failed
