#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Nobody starves anybody: with small maxima, a subscriber stops to read what a
# publisher sends, and a hostile user floods a service that others use. Sees to
# it that nobody else loses anything, that bus1-trace names the hostile user, and
# that nothing stays charged when all of them are killed in the middle of it.
# Takes some seconds; status 0 if all went well. For root, in a guest: accounts
# have the maxima that were set when they came into being, so nobody may have
# one yet.
set -u

parameters=/sys/module/bus1/parameters
debug=/sys/kernel/debug/bus1
old_objects=
failed=0
all=

dir=$(mktemp -d) || exit 1

cleanup()
{
	[ -z "$all" ] || kill -KILL $all 2>/dev/null
	[ -z "$old_objects" ] || set_maxima "$old_objects" "$old_bytes"
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

die()
{
	echo "flood: $*" >&2
	exit 1
}

# expect WHAT GOT WANTED
expect()
{
	[ "$2" = "$3" ] && return
	echo "flood: $1: $2, expected $3" >&2
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

set_maxima()
{
	echo "$1" >$parameters/max_objects && echo "$2" >$parameters/max_bytes
}

# Whose the peers are counts, and not who runs the program.
nobody_charged()
{
	[ "$(grep -vc '^bus1-' $debug/accounts)" = 0 ] &&
		[ "$(grep -vc '^bus1-' $debug/objects)" = 0 ]
}

# as USER PROGRAM: the path of a copy that acts as that effective user
as()
{
	mkdir -p "$dir/$1" && cp "$(command -v "$2")" "$dir/$1" &&
		chown "$1" "$dir/$1" "$dir/$1/$2" &&
		chmod 4755 "$dir/$1/$2" || exit 1
	echo "$dir/$1/$2"
}

for program in bus1-trace bus1-service bus1-publisher bus1-client \
	       bus1-subscriber bus1-flood; do
	command -v $program >/dev/null ||
		die "$program is not on PATH; \"make\" builds it in build/bin"
done
[ -e /dev/bus1 ] || die "no /dev/bus1; load the module: modprobe bus1"
[ -r $debug/accounts ] ||
	die "cannot read $debug/accounts: be root; mount -t debugfs debug" \
	    "/sys/kernel/debug"
nobody_charged || die "somebody uses bus1 already; run this in a guest:" \
	"tests/vm/run --turns --smp 2 -- flood.sh"

chmod 711 "$dir"
old_objects=$(cat $parameters/max_objects)
old_bytes=$(cat $parameters/max_bytes)
set_maxima 1024 65536 || die "cannot set the maxima in $parameters"

echo "flood: programs will be killed; the shell says so."
echo
# A publisher with two subscribers, of which one stops to read.
publisher=$(as 1000 bus1-publisher)
reader=$(as 1001 bus1-subscriber)
sleeper=$(as 1004 bus1-subscriber)
"$publisher" "$dir/1000/publisher" 400 10 >"$dir/publisher.log" &
publisher=$!
all=$publisher
until_true 10 test -S "$dir/1000/publisher" ||
	die "the publisher does not start"
"$reader" "$dir/1000/publisher" >"$dir/reader.log" &
reader=$!
"$sleeper" "$dir/1000/publisher" >"$dir/sleeper.log" &
sleeper=$!
all="$all $reader $sleeper"
until_true 10 grep -q tick "$dir/sleeper.log" || die "no tick at all"
kill -STOP $sleeper
wait $publisher
expect "the publisher's status" $? 0
wait $reader
expect "the reader's status" $? 0
first=$(sed -n 's/^tick //p' "$dir/reader.log" | head -n 1)
last=$(sed -n 's/^tick //p' "$dir/reader.log" | tail -n 1)
expect "the reader's last tick" "$last" 400
expect "ticks that the reader saw" "$(grep -c '^tick' "$dir/reader.log")" \
	$((last - first + 1))
kill -CONT $sleeper
wait $sleeper
expect "the sleeper's status" $? 0
all=
missed=$(sed -n 's/.*missed: \([0-9]*\),.*dropped: 1$/\1/p' \
	"$dir/publisher.log")
expect "ticks the sleeper had no room for" "$missed" 8

# A service, and a client that floods it.
service=$(as 1000 bus1-service)
flood=$(as 1666 bus1-flood)
"$service" "$dir/1000/service" >"$dir/service.log" &
service=$!
all=$service
until_true 10 test -S "$dir/1000/service" || die "the service does not start"
"$flood" "$dir/1000/service" >"$dir/flood.log" &
flood=$!
all="$all $flood"
until_true 20 grep -q "refused after" "$dir/flood.log" ||
	die "user 1666 is not refused"

# The others, while that goes on and bus1-trace watches.
bus1-trace acct 1 2 >"$dir/acct" &
trace=$!
all="$all $trace"
until_true 20 grep -q '^interval 1' "$dir/acct" ||
	die "bus1-trace acct shows nothing"
clients=
for user in 1001 1002 1003; do
	client=$(as $user bus1-client)
	"$client" "$dir/1000/service" 500 >"$dir/client$user.log" &
	clients="$clients $!"
done
all="$all$clients"
for client in $clients; do
	wait "$client"
	expect "the status of client $client" $? 0
done
wait $trace
expect "the status of bus1-trace acct" $? 0
all="$service $flood"
answers=$(cat "$dir"/client*.log | grep -c '^REQUEST')
expect "answers to the clients" "$answers" 1500
sed -n '/^interval 2/,/^$/p' "$dir/acct"
grep -q '^ *[0-9]* *1000 *1666 bus1-flood#.* send ' "$dir/acct" ||
	expect "who is refused, by bus1-trace acct" somebody \
		"SEND of bus1-flood, user 1666, by user 1000's account"

# Kill them all while they are at it.
client=$(as 1002 bus1-client)
"$client" "$dir/1000/service" 1000000 >"$dir/client.log" &
client=$!
all="$all $client"
until_true 10 grep -q '^REQUEST' "$dir/client.log" || die "no answer"
kill -KILL $flood $service $client
wait $flood $service $client
all=
until_true 5 nobody_charged || {
	expect "who is charged when all are gone" somebody nobody
	cat $debug/accounts >&2
}

echo
echo "publisher:  $(tail -n 1 "$dir/publisher.log")"
echo "hostile:    user 1666 was $(cat "$dir/flood.log")"
echo "clients:    1500 requests, $answers answers"
if [ $failed = 0 ]; then
	echo "killed:     all of them, and nothing is charged to anybody"
	echo "flood:      all went well"
else
	echo "flood:      FAILED, see above"
fi
exit $failed
