# SPDX-License-Identifier: GPL-2.0-only
# For the tests of bus1-trace: TAP, and a monitor with a workload under it.

dir=$(mktemp -d) || exit 1
n=0
holders=
trap 'kill $holders 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

# ok TEXT COMMAND...
ok()
{
	text=$1
	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $text"
	else
		echo "not ok $n - $text"
		echo "# failed: $*"
	fi
}

# is TEXT GOT WANTED
is()
{
	n=$((n + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "# got \"$2\", wanted \"$3\""
	fi
}

plan()
{
	echo "1..$n"
}

# until_true COMMAND...: for at most 30 seconds
until_true()
{
	tries=300
	until "$@" 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

# monitor_start OPTION...: its output goes to $dir/out
monitor_start()
{
	rm -f "$dir/out" "$dir/err"
	# fd 3 is what load_wait holds open
	bus1-trace monitor "$@" >"$dir/out" 2>"$dir/err" 3>&- &
	monitor=$!
	until_true test -s "$dir/out" -o -s "$dir/err"
}

# monitor_end SIGNAL: sets $status
monitor_end()
{
	kill -"$1" $monitor
	wait $monitor
	status=$?
}

# load_wait: a workload whose peers are there, but that does nothing yet
load_wait()
{
	rm -f "$dir/go" "$dir/load"
	mkfifo "$dir/go"
	trace-load wait <"$dir/go" >"$dir/load" &
	load=$!
	holders="$holders $load"
	exec 3>"$dir/go"
	until_true grep -q ready=1 "$dir/load"
}

load_go()
{
	exec 3>&-
	wait $load
}

# said KEY: what the workload says of it
said()
{
	sed -n "s/^$1=//p" "$dir/load"
}

# lines TYPE [PATTERN]: how many JSON records of TYPE match
lines()
{
	grep "^{\"type\":\"$1\"" "$dir/out" | grep -c -- "${2-}"
}

# member TYPE KEY: that number, of each record of TYPE
member()
{
	sed -n "/^{\"type\":\"$1\"/s/.*\"$2\":\([0-9]*\).*/\1/p" "$dir/out"
}

# total KEY: of all records that count events
total()
{
	member count "$1" | awk '{ n += $1 } END { print n + 0 }'
}

# verb_start VERB OPTION...: as JSON, until verb_end SIGNAL, which sets $status
verb_start()
{
	rm -f "$dir/out" "$dir/err"
	bus1-trace "$@" --json >"$dir/out" 2>"$dir/err" 3>&- &
	verb=$!
	until_true grep -q '"type":"start"' "$dir/out"
}

verb_end()
{
	kill -"$1" $verb
	wait $verb
	status=$?
}

# attached PID N: it has N programs
attached()
{
	until_true eval '[ "$(ls -l /proc/'"$1"'/fd | grep -c bpf_link)" -ge '"$2"' ]'
}

record_start()
{
	rm -f "$dir/recording"
	bus1-trace record -o "$dir/recording" >"$dir/record" 2>&1 3>&- &
	record=$!
	attached $record 20
	until_true test -s "$dir/recording"
	sleep 0.3
}

record_end()
{
	kill -INT $record
	wait $record
}
