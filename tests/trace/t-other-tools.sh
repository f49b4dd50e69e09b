#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Other people's tools see the events of bus1, and count them as the workload
# does. They are no part of the guest unless they are put there:
#
#   tests/vm/run --mem 2048 --file /usr/bin/perf --file /usr/bin/bpftrace \
#       --file /usr/bin/trace-cmd --file /usr/sbin/bpftool \
#       -- run t-other-tools.sh
#
# With one processor: see init of the guest for what patching does with two.
. "$(dirname "$0")/trace-tap.sh"

tracefs=/sys/kernel/tracing
all="peer_new peer_free handle_new msg_send msg_recv msg_discard \
notify_send notify_recv notify_drop op_fail"
export PERF_PAGER=cat HOME="$dir"
# perf looks for a debug version of each module, in vain
mkdir -p /lib/modules
mount -t tmpfs none /lib/modules
trap 'kill $holders 2>/dev/null; umount /lib/modules; rm -rf "$dir"' EXIT

# skip_all TOOL: if it is not there, say so
skip_all()
{
	! command -v "$1" >/dev/null || return 1
	n=$((n + 1))
	echo "ok $n - $1 # SKIP it is not there; see the head of this test"
}

events()
{
	ls -d $tracefs/events/bus1/*/ | sed 's|/$||; s|.*/|bus1:|' | sort
}

# as_it_said TOOL: "EVENT N" lines in $dir/counts are what the workload counted
as_it_said()
{
	for event in $all; do
		is "$1: $event" "$(awk -v e="$event" '$1 == e { print $2 }' \
			"$dir/counts")" "$(said "$event")"
	done
}

# count_lines <TEXT: "EVENT N" for each "EVENT:" or "EVENT(" in the lines
count_lines()
{
	grep -o -E "[ :]($(echo $all | tr ' ' '|'))[:(]" | tr -d ' :(' |
		sort | uniq -c | awk '{ print $2, $1 }' >"$dir/counts"
}

# bytes_said: the bytes of all messages
bytes_said()
{
	echo $(($(said msg_send) * $(said bytes)))
}

sum_bytes()
{
	sed -n 's/.*msg_send:.* bytes=\([0-9]*\) .*/\1/p' |
		awk '{ n += $1 } END { print n + 0 }'
}

test_perf()
{
	is "perf list: every event" \
		"$(perf list 'bus1:*' 2>/dev/null | grep -o 'bus1:[a-z_]*' |
		   sort)" "$(events)"

	perf stat -a -x, -o "$dir/stat" -e 'bus1:*' -- trace-load \
		>"$dir/load" 2>"$dir/err"
	sed -n 's/^\([0-9]*\),,bus1:\([a-z_]*\),.*/\2 \1/p' "$dir/stat" \
		>"$dir/counts"
	as_it_said "perf stat"

	perf record -q -a -g --kernel-callchains -o "$dir/data" -e 'bus1:*' \
		-- trace-load >"$dir/load" 2>"$dir/err"
	perf script -i "$dir/data" -F comm,event,ip,sym,trace \
		--kallsyms /proc/kallsyms >"$dir/script" 2>>"$dir/err"
	count_lines <"$dir/script"
	as_it_said "perf record, script"
	is "perf script: bytes" "$(sum_bytes <"$dir/script")" "$(bytes_said)"
	is "perf script: the functions of each SEND have names" \
		"$(awk '/msg_send:/ { send = 1; next }
			/^$/ { send = 0 }
			send && /bus1_ioctl_send$/ { n++ }
			END { print n + 0 }' "$dir/script")" "$(said msg_send)"
	perf record -q -a -o "$dir/data" -e bus1:op_fail \
		--filter "cmd==2" -- trace-load >"$dir/load" 2>"$dir/err"
	is "perf record --filter" \
		"$(perf script -i "$dir/data" 2>/dev/null | grep -c op_fail)" \
		"$(said unknown)"

	perf trace -a -o "$dir/out" -e 'bus1:*' -- trace-load >"$dir/load" \
		2>"$dir/err"
	count_lines <"$dir/out"
	as_it_said "perf trace"

	perf lock record -o "$dir/data" churn -d 3 >"$dir/out" 2>&1
	perf lock contention -i "$dir/data" >"$dir/out" 2>&1
	ok "perf lock contention: who waits for a lock of bus1" \
		grep -q 'mutex .*bus1_' "$dir/out"
}

test_bpftrace()
{
	is "bpftrace -l: every event" \
		"$(bpftrace -l 'tracepoint:bus1:*' | sed 's/^tracepoint://' |
		   sort)" "$(events)"
	bpftrace -c "$(command -v trace-load)" -e '
		tracepoint:bus1:msg_send {
			@bytes[args->receiver] = sum(args->bytes);
		}
		tracepoint:bus1:msg_recv { @comm[comm] = count(); }' \
		>"$dir/load" 2>"$dir/err"
	is "bpftrace: bytes to a receiver" \
		"$(sed -n "s/^@bytes\[$(said server_peer)]: //p" "$dir/load")" \
		$((($(said msg_send) - $(said second_recv)) * $(said bytes)))
	is "bpftrace: bytes to another" \
		"$(sed -n "s/^@bytes\[$(said second_peer)]: //p" "$dir/load")" \
		$(($(said second_recv) * $(said bytes)))
	is "bpftrace: who received" "$(grep -o '^@comm.*' "$dir/load")" \
		"@comm[load-server]: $(said msg_recv)"
}

test_trace_cmd()
{
	is "trace-cmd list: every event" \
		"$(trace-cmd list -e '^bus1:' | grep '^bus1:' | sort)" \
		"$(events)"
	trace-cmd record -q -o "$dir/dat" -e bus1 trace-load >"$dir/load" \
		2>"$dir/err"
	trace-cmd report -q -i "$dir/dat" >"$dir/out" 2>>"$dir/err"
	count_lines <"$dir/out"
	as_it_said "trace-cmd"
	is "trace-cmd: bytes" "$(sum_bytes <"$dir/out")" "$(bytes_said)"
}

test_bpftool()
{
	for file in /sys/kernel/btf/bus1 /run/module.ko; do
		bpftool -B /sys/kernel/btf/vmlinux btf dump file $file \
			>"$dir/btf" 2>"$dir/err"
		is "bpftool btf dump file $file: the type of each event" \
			"$(sed -n "s/.* TYPEDEF 'btf_trace_\([a-z_]*\)'.*/bus1:\1/p" \
			   "$dir/btf" | sort)" "$(events)"
	done
	load_wait
	monitor_start -d 60
	attached=$(bpftool prog list)
	load_go
	monitor_end INT
	ok "bpftool prog list: bus1-trace while it runs" \
		test "$(echo "$attached" | grep -c 'raw_tracepoint\|tracing')" \
		-gt 0
	ok "bpftool prog list: nothing afterwards" until_true eval \
		'! bpftool prog list | grep -q "raw_tracepoint\|tracing"'
}

for tool in perf bpftrace trace-cmd bpftool; do
	skip_all $tool || test_$(echo $tool | tr - _)
done
plan
