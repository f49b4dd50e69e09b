#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What may happen to bus1-trace: to be killed, to run twice, without privileges or
# without the module, on a terminal; and processes that come and go while it looks.

. trace-tap.sh

live='monitor top latency order handles graph acct'
refs=/sys/module/bus1/refcnt

# Two at once see the same, each all of it.
bus1-trace monitor --json >"$dir/second" 2>&1 &
second=$!
holders="$holders $second"
until_true test -s "$dir/second"
monitor_start --json
trace-load >"$dir/load"
sleep 0.2
monitor_end INT
kill -INT $second
wait $second
is "two at once: the second ends well" $? 0
is "two at once: the first, too" "$status" 0
events()
{
	grep '"tid":' "$1"
}
is "two at once: all receipts" "$(lines msg_recv)" "$(said msg_recv)"
is "two at once: they agree" "$(events "$dir/out" | md5sum)" \
	"$(events "$dir/second" | md5sum)"

# A flood that the ring cannot hold: what was seen is what the module counted.
for option in '' --raw-tp; do
	monitor_start --json --ring-size 4K $option
	trace-load flood 20000 >"$dir/load"
	sleep 0.2
	monitor_end INT
	is "a flood $option: events were lost" "$status" 3
	# closing the two peers is a transaction each
	is "a flood $option: all transactions were seen" \
		"$(grep '"of":"tx_commit"' "$dir/out" |
		sed 's/.*"seen":\([0-9]*\).*/\1/')" \
		$(($(said transactions) + 2))
	is "a flood $option: all receipts, too" \
		"$(grep '"of":"msg_recv"' "$dir/out" |
		sed 's/.*"seen":\([0-9]*\).*/\1/')" "$(said received)"
	is "a flood $option: seen = shown + filtered + lost" \
		"$(total seen)" $(($(total shown) + $(total filtered) +
		$(total ring_full) + $(total map_full)))
	ok "a flood $option: of which there are some" test \
		"$(total ring_full)" -gt 1000
done

attached_or_gone()
{
	! grep -qx 0 $refs || [ ! -e /proc/$pid ]
}

# Killed, nothing of it stays: the module could be unloaded.
for verb in $live; do
	bus1-trace $verb -d 60 >"$dir/out" 2>&1 &
	pid=$!
	until_true attached_or_gone
	kill -KILL $pid 2>/dev/null
	wait $pid 2>/dev/null
	ok "$verb killed: nothing holds the module" until_true \
		grep -qx 0 $refs
done

# Processes that come and go while it looks at them
churn -d 6 >/dev/null 2>&1 &
load=$!
holders="$holders $load"
bad=0
looks=0
while [ -e /proc/$load ] && [ $looks -lt 12 ]; do
	for look in 'status -o --json' 'handles --json' 'graph'; do
		bus1-trace $look >"$dir/out" 2>"$dir/err" || bad=$((bad + 1))
		looks=$((looks + 1))
	done
done
is "under churn: all $looks looks end well" $bad 0
wait $load
is "under churn: it went well itself" $? 0

# A terminal has colours, and a width
trace-load tty bus1-trace monitor -d 2 >"$dir/out" 2>&1 &
pid=$!
until_true grep -q LATENCY "$dir/out"
trace-load >/dev/null
wait $pid
ok "monitor on a terminal is coloured" grep -q "$(printf '\033\\[32mrecv')" \
	"$dir/out"
trace-load tty env NO_COLOR=1 bus1-trace monitor -d 2 >"$dir/out" 2>&1 &
pid=$!
until_true grep -q LATENCY "$dir/out"
trace-load >/dev/null
wait $pid
is "monitor with NO_COLOR is not" "$(grep -c "$(printf '\033')" "$dir/out")" 0

bus1-trace record -o "$dir/file" -d 2 >/dev/null 2>&1
trace-load tty bus1-trace top -i "$dir/file" 1 >"$dir/out" 2>&1
is "top from a recording does not clear a terminal" "$(grep -c "$(printf '\033\\[H')" "$dir/out")" 0

# Without privileges: not a word of libbpf, but of what is missing
for verb in $live 'record -o /tmp/none'; do
	su user -c "bus1-trace $verb -d 1" >"$dir/out" 2>&1
	is "$verb without privileges: status 1" $? 1
	ok "$verb without privileges: it says what it needs" grep -qE \
		'CAP_BPF|run it as root|root' "$dir/out"
	is "$verb without privileges: no word of libbpf" \
		"$(grep -c libbpf: "$dir/out")" 0
done

# Without the module
rmmod bus1
for verb in $live status 'record -o /tmp/none'; do
	bus1-trace $verb >"$dir/out" 2>&1
	is "$verb without the module: status 1" $? 1
	ok "$verb without the module: it says how to load it" grep -q \
		'modprobe bus1' "$dir/out"
done
insmod /run/module.ko
is "the module is back" "$(cat $refs)" 0

# Each verb has help, below 80 columns, with examples
for verb in $live explain status record report export doctor; do
	bus1-trace $verb --help >"$dir/out" 2>&1
	is "$verb --help: status 0" $? 0
	is "$verb --help: below 80 columns" "$(grep -c '.\{80\}' "$dir/out")" 0
	ok "$verb --help: examples" grep -q "^  bus1-trace $verb" "$dir/out"
	bus1-trace $verb --nonsense >"$dir/out" 2>&1
	is "$verb --nonsense: a usage error" $? 2
done

plan
