#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace top: what each peer did is what the workload says it did, live and
# from a recording of the same; what does not fit is not silent.
. "$(dirname "$0")/trace-tap.sh"

# of PEER KEY: the sum over all intervals
of()
{
	sed -n "s/^{\"type\":\"top\",\"peer\":$1,.*\"$2\":\([0-9]*\).*/\1/p" \
		"$dir/out" | awk '{ n += $1 } END { print n + 0 }'
}

# sums: of all peers that did something "peer sent bytes received bytes ..."
sums()
{
	sed -n 's/^{"type":"top","peer":\([0-9]*\),\(.*"failed":[0-9]*\).*/\1,\2/p' \
		"$dir/out" | sed 's/"[a-z_]*"://g' | tr , ' ' | awk '
		{ for (i = 2; i <= NF; i++) n[$1, i] += $i; nf[$1] = NF }
		END { for (p in nf) {
			s = p; all = 0
			for (i = 2; i <= nf[p]; i++) {
				s = s " " n[p, i]
				all += n[p, i]
			}
			if (all) print s
		} }' | sort -n
}

identity()
{
	[ "$(total seen)" -gt 0 ] &&
	[ "$(total seen)" -eq $(($(total shown) + $(total filtered) + \
		$(total ring_full) + $(total map_full))) ] &&
	[ "$(lines summary '"balanced":true')" = 1 ]
}

well_formed()
{
	! grep -v -q -E \
	'^\{"type":"[a-z_]+"(,"[a-z_]+":("([^"\\]|\\.)*"|-?[0-9.]+|true|false))*\}$' \
	"$dir/out"
}

narrow()
{
	awk 'length($0) >= 80 { print "# " $0; bad = 1 } END { exit bad }' \
		"$dir/$1"
}

# What the workload did, by either kind of attachment, and recorded meanwhile
for how in tp_btf raw_tp; do
	option=
	[ $how = tp_btf ] || option=--raw-tp
	load_wait
	record_start
	verb_start top 1000 $option
	load_go
	verb_end INT
	record_end
	server=$(said server_peer)
	second=$(said second_peer)
	client=$(said client_peer)
	bytes=$(said bytes)
	is "$how: Ctrl-C ends it with status 0" $status 0
	is "$how: nothing to complain of" "$(cat "$dir/err")" ""
	is "$how: it is attached that way" "$(lines start "\"$how\"")" 1
	ok "$how: well-formed" well_formed
	ok "$how: nothing lost, and the count proves it" identity
	is "$how: the client sent" "$(of $client sent)" "$(said msg_send)"
	is "$how: so many bytes" "$(of $client sent_bytes)" \
		$(($(said msg_send) * bytes))
	is "$how: its notifications" "$(of $client notified)" \
		"$(said notify_recv)"
	is "$how: its calls that failed" "$(of $client failed)" \
		"$(said unknown)"
	is "$how: the server received" "$(of $server received)" \
		$(($(said msg_recv) - $(said second_recv)))
	is "$how: so many bytes of it" "$(of $server received_bytes)" \
		$((($(said msg_recv) - $(said second_recv)) * bytes))
	is "$how: what it never received" "$(of $server discarded)" \
		"$(said msg_discard)"
	is "$how: its calls that failed" "$(of $server failed)" \
		"$(said no_room)"
	is "$how: the second received" "$(of $second received)" \
		"$(said second_recv)"
	is "$how: the dead have names" \
		"$(lines top "\"peer\":$client,.*\"pid\":$(said client_pid),\"comm\":\"load-client\"")" 1
	sums >"$dir/live"
	bus1-trace top --json -i "$dir/recording" 1000 >"$dir/out" 2>"$dir/err"
	is "$how, recorded: status 0" $? 0
	ok "$how, recorded: well-formed" well_formed
	is "$how, recorded: the same of each peer" "$(sums)" \
		"$(cat "$dir/live")"
	is "$how, recorded: the dead have names" \
		"$(lines top "\"peer\":$client,\"sent\":[1-9].*\"pid\":$(said client_pid),\"comm\":\"load-client\"")" 1
done

# Intervals: each has its own, and together they have all
verb_start top 0.05
trace-load flood 10007 >/dev/null &
flood=$!
trace-load flood 10007 >/dev/null
wait $flood
verb_end TERM
is "intervals: status 0 by SIGTERM" $status 0
ok "intervals: the identity holds" identity
ok "intervals: something in more than one" test \
	"$(lines top '"sent":[1-9]')" -gt 2
is "intervals: all that was sent" "$(member top sent |
	awk '{ n += $1 } END { print n }')" 20014
is "intervals: all that was received" "$(member top received |
	awk '{ n += $1 } END { print n }')" 20014
bus1-trace top --json 0.1 3 >"$dir/out"
is "COUNT: so many" "$(lines interval)" 3
bus1-trace top --json -d 0.5 0.2 >"$dir/out"
is "-d: status 0" $? 0
ok "-d: it ends" test "$(lines interval)" -le 4

# Filters, in the kernel and of the recording of the same
for filter in "--peer server_peer" "-p client_pid" "--comm load-server" \
	      "--errors" "--kind notification"; do
	load_wait
	record_start
	case $filter in
	--peer*) option="--peer $(said server_peer)" ;;
	-p*) option="-p $(said client_pid)" ;;
	*) option=$filter ;;
	esac
	verb_start top 1000 $option
	load_go
	verb_end INT
	record_end
	ok "$filter: the identity holds" identity
	ok "$filter: something passes" test "$(total shown)" -gt 0
	ok "$filter: something does not" test "$(total filtered)" -gt 0
	case $filter in
	--peer*)
		is "$filter: nobody else's receipts" \
			"$(of "$(said second_peer)" received)" 0
		is "$filter: but its own" "$(of "$(said server_peer)" received)" \
			$(($(said msg_recv) - $(said second_recv))) ;;
	--errors)
		is "$filter: no messages" "$(member top sent | sort -u)" 0
		is "$filter: all failures" "$(member top failed |
			awk '{ n += $1 } END { print n }')" "$(said op_fail)" ;;
	--kind*)
		is "$filter: only these" "$(sums)" \
			"$(said client_peer) 0 0 0 0 $(said notify_recv) 0 0 0" ;;
	esac
	sums >"$dir/live"
	bus1-trace top --json -i "$dir/recording" $option 1000 >"$dir/out" \
		2>"$dir/err"
	is "$filter, recorded: the same" "$(sums)" "$(cat "$dir/live")"
done

# Queues: those that are there, and those of a recording
record_start
rm -f "$dir/load"
trace-load hold >"$dir/load" &
hold=$!
holders="$holders $hold"
until_true grep -q ready=1 "$dir/load"
for how in live recorded; do
	option="0.2 1"
	if [ $how = recorded ]; then
		sleep 0.3
		record_end
		option="-i $dir/recording 1000"
	fi
	bus1-trace top --json $option --sort age >"$dir/out"
	is "queue, $how: so many wait" "$(lines top \
		"\"peer\":$(said alone_peer),.*\"queued\":$(said queued),\"queued_bytes\":$(said bytes),\"age\":[1-9]")" 1
	is "queue, $how: others are empty" "$(lines top \
		"\"peer\":$(said shared_peer),.*\"queued\":0,\"queued_bytes\":0,\"age\":0,")" 1
	is "queue, $how: also what hides in a socket" "$(lines top \
		"\"peer\":$(said hidden_peer),.*\"queued\":0,")" 1
	is "queue, $how: the oldest comes first" "$(sed -n \
		's/^{"type":"top","peer":\([0-9]*\),.*/\1/p' "$dir/out" |
		head -n 1)" "$(said alone_peer)"
done
bus1-trace top 0.2 1 -p "$(said pid)" --sort queued >"$dir/out"
is "queue: -p, although nothing happens" \
	"$(grep -c "^[a-z-]*#$(said alone_peer)  *[0-9]*  *0  *0  *0  *$(said queued) [ 0-9.]*m*s  *0  *0$" "$dir/out")" 1
bus1-trace top 0.2 1 --peer 999999999 >"$dir/out"
is "queue: not of whom the filter refuses" "$(grep -c '#' "$dir/out")" 0
kill $hold

# Many peers, a screen, and maps that are too small
rm -f "$dir/go" "$dir/load"
mkfifo "$dir/go"
trace-load many 1666 97 1 <"$dir/go" >"$dir/load" &
many=$!
holders="$holders $many"
exec 3>"$dir/go"
until_true grep -q ready=1 "$dir/load"
verb_start top 1000 --entries 4
bus1-trace top 1000 >"$dir/text" 3>&- &
screen=$!
bus1-trace top -n 0 1000 >"$dir/all" 3>&- &
all=$!
bus1-trace top 1000 --entries 4 >"$dir/full" 3>&- &
full=$!
attached $screen 7
attached $all 7
attached $full 7
exec 3>&-
until_true grep -q flooded=1 "$dir/load"
verb_end INT
is "a full map: status 3" $status 3
ok "a full map: counted" test "$(total map_full)" -gt 0
ok "a full map: the identity holds" identity
is "a full map: the interval has it" "$(member interval uncounted)" \
	"$(total map_full)"
kill -INT $screen $all $full
wait $screen
is "a screen: status 0" $? 0
wait $all
wait $full
is "a full map: status 3, as text" $? 3
ok "a full map: it says so" grep -q '^LOST: at least [1-9]' "$dir/full"
ok "a screen: below 80 columns" narrow text
is "a screen: 24 lines, and the counts" \
	"$(sed '/^ *seen/,$d' "$dir/text" | wc -l)" 24
is "a screen: what is left out is counted" \
	"$(grep -c '^ *and [1-9][0-9]* more$' "$dir/text")" 1
is "-n 0: every peer" "$(grep -c '^load-many#' "$dir/all")" 97
ok "a screen: the sum is printed" grep -q \
	'seen = shown + filtered + ring full + map full\.$' "$dir/text"
ok "a full map: the view says so" grep -q \
	'^At least: [1-9][0-9]* more events found a map full\.$' "$dir/full"
kill $many

# A terminal, and what steers it
timeout 3 trace-load tty bus1-trace top 0.2 >"$dir/out"
ok "a terminal: each screen is in the place of the last" test \
	"$(grep -c "$(printf '\033\\[H\033\\[J')" "$dir/out")" -ge 2
trace-load tty bus1-trace top 0.2 2 >"$dir/out"
is "with a count they stand below each other" \
	"$(grep -c "$(printf '\033')" "$dir/out")" 0
bus1-trace top 0.2 2 >"$dir/out"
is "a pipe: no control characters" "$(tr -d '\n -~' <"$dir/out" | wc -c)" 0
is "a pipe: one below the other" "$(grep -c '^PEER' "$dir/out")" 2
bus1-trace top -T 0.1 1 >"$dir/out"
ok "-T: the time of day" grep -q '^[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.' \
	"$dir/out"

# What it costs
load_wait
verb_start top 1000 --cost
load_go
verb_end INT
is "--cost: a run for each event" \
	"$(sed -n 's/^{"type":"cost","of":"msg_send","runs":\([0-9]*\),.*/\1/p' \
		"$dir/out")" "$(said msg_send)"
is "--cost: the total is the sum" "$(member cost_total runs)" \
	"$(member cost runs | awk '{ n += $1 } END { print n }')"
is "--cost: also the time" "$(member cost_total ns)" \
	"$(member cost ns | awk '{ n += $1 } END { print n }')"
bus1-trace top -d 0.1 >"$dir/out"
ok "no --cost: nothing of it" test -z "$(grep -i cost "$dir/out")"
bus1-trace top -d 0.1 --cost >"$dir/out"
ok "--cost: what measuring costs" grep -q \
	'% of one processor; of each run [0-9]* ns are the measuring itself\.$' \
	"$dir/out"

su user -c 'bus1-trace top 1 1' >"$dir/out" 2>&1
is "without privileges: status 1" $? 1
ok "without privileges: the mend" grep -q \
	'needs CAP_BPF and CAP_PERFMON: run it as root' "$dir/out"
for wrong in '--sort x' '0' '0.009' '1 0' 'x' '1 1 1' '-n x' '--entries 0' \
	     '--nonsense'; do
	bus1-trace top $wrong >"$dir/out" 2>&1
	is "\"$wrong\" is a usage error" $? 2
done
plan
