#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# t-order.sh [SEED]
#
# bus1-trace order: histories made at random, and recordings made by hand, of a bus
# that keeps its order and of one that does not. A check that is broken is noticed.
# Run from the top of the tree.
set -u

CC=${CC:-gcc}
trace=${BUS1_TRACE:-build/bin/bus1-trace}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
tool=tools/bus1-trace

# compile SOURCE OBJECT; build CHECK PROGRAM: with that file as the check
compile()
{
	$CC -std=gnu11 -O1 -g -Wall -Wextra -Werror \
		-fsanitize=address,undefined -fno-sanitize-recover=all \
		-I$tool -Iinclude/uapi -Ikmod -Ibpf -Itests/uapi -c -o "$2" "$1"
}

build()
{
	compile "$1" "$dir/check.o" &&
		$CC -fsanitize=address,undefined -o "$2" "$dir"/*.o -lz -pthread
}

for source in tests/unit/order.c $tool/table.c $tool/events.c \
	$tool/recording-codec.c $tool/recording-write.c $tool/snapshot.c; do
	compile $source "$dir/$(basename $source .c).o" >>"$dir/log" 2>&1
done
if ! build $tool/verify-check.c "$dir/order" >>"$dir/log" 2>&1; then
	echo "Bail out! tests/unit/order.c does not compile:"
	sed 's/^/# /' "$dir/log"
	exit 1
fi
export ASAN_OPTIONS=detect_leaks=0
"$dir/order" "${1-1}" >"$dir/log" 2>&1
status=$?
grep -v '^1\.\.' "$dir/log"
n=$(grep -c '^\(not \)\?ok ' "$dir/log")
failed=$(grep -c '^not ok ' "$dir/log")
if [ $status != 0 ] && [ "$failed" = 0 ]; then
	echo "Bail out! order ended with status $status"
	exit 1
fi

# is TEXT GOT WANTED
is()
{
	n=$((n + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		printf 'got: %s\nwanted: %s\n' "$2" "$3" | sed 's/^/# /'
		failed=$((failed + 1))
	fi
}

# order TEXT STATUS VERDICT [AFTER]: of the recording on standard input; AFTER is
# in the line after the verdict
order()
{
	"$dir/order" "$dir/recording" || exit 1
	"$trace" order -i "$dir/recording" >"$dir/out" 2>"$dir/err"
	is "$1: status" $? "$2"
	is "$1: verdict" "$(grep '^[A-Z]*: ' "$dir/out" | grep -v ^LOST)" "$3"
	[ $# = 3 ] || is "$1: of how much" \
		"$(grep -A 1 '^VIOLATION: ' "$dir/out" | tail -n 1)" "$4"
	"$trace" order -i "$dir/recording" --json >"$dir/json" 2>"$dir/err"
	is "$1: status, as JSON" $? "$2"
	if command -v python3 >/dev/null; then
		python3 tests/export/schema.py $tool/bus1-trace.schema.json \
			"$dir/json" >"$dir/log" 2>&1
		is "$1: as the schema has it" $? 0
	fi
	is "$1: verdict, as JSON" "$(json verdict verdict)" \
		"$(echo "${3%%:*}" | tr '[:upper:]' '[:lower:]')"
}

# json TYPE KEY: of each record of TYPE
json()
{
	sed -n "/^{\"type\":\"$1\"/s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p" \
		"$dir/json"
}

# What is said of the violation
story()
{
	sed -n '/^VIOLATION, /,/^$/p' "$dir/out" | grep -v '^$' |
		sed "s,$dir/,,"
}

# Peers 2 and 4 send; 3 receives. All times after 1000, in ns; arguments as in
# bus1(4).
order "in order" 0 "OK: 2 transactions, 3 receipts, 1 multicast checked." <<END
tx_commit 20 2 17 2 2 2 0 1100 1110 5
msg_recv 40 4 1 2 17 0 1 8 0 20 1120 5
tx_commit 40 4 9 2 1 1 0 1130 1140 0
msg_recv 30 3 1 2 17 1 1 8 0 50 1150 5
msg_recv 30 3 2 4 9 0 1 8 0 30 1160 0
end 5000000000
END

order "the reply overtakes" 4 "VIOLATION: 1 causal." "2 transactions, 3 receipts, 1 multicast checked." <<END
tx_commit 20 2 17 2 2 2 0 1100 1110 5
msg_recv 40 4 1 2 17 0 1 8 0 20 1120 5
tx_commit 40 4 9 2 1 1 0 1130 1140 0
msg_recv 30 3 7 4 9 0 1 8 0 20 1150 0
msg_recv 30 3 8 2 17 1 1 8 0 60 1160 5
end 5000000000
END
is "the reply overtakes: which, where, and why" "$(story)" \
'VIOLATION, causal, at task30#3
  receipt 7          4:9, send of task40#4
  receipt 8          2:17, send of task20#2
  2:17 had returned at 0.000000110 s
  4:9 began at 0.000000130 s, 20 ns later
  and this led from one to the other:
    first   2:17         send of task20#2, thread 20 (task20)
    message recv:4.1     task40#4 received 2:17, thread 40 (task40)
    thread  4:9          send of task40#4, thread 40 (task40)
  bus1-trace explain -i recording 2:17 4:9'

order "acted on before it had returned" 4 "VIOLATION: 1 atomic." "3 transactions, 4 receipts, 1 multicast checked." <<END
msg_recv 40 4 1 2 17 0 1 8 0 20 1120 5
tx_commit 40 4 9 2 1 1 0 1130 1140 0
msg_recv 50 5 1 4 9 0 1 8 0 20 1150 0
tx_commit 50 5 3 2 1 1 0 1151 1152 0
msg_recv 30 3 1 5 3 0 1 8 0 9 1160 0
tx_commit 20 2 17 2 2 2 0 1100 1200 5
msg_recv 30 3 2 2 17 1 1 8 0 110 1210 5
end 5000000000
END
is "acted on before it had returned: which, where, and why" "$(story)" \
'VIOLATION, atomic, at task30#3
  receipt 1          5:3, send of task50#5
  receipt 2          2:17, send of task20#2
  task40#4 had received of 2:17, as its receipt 1, at 0.000000120 s
  5:3 began at 0.000000151 s, 31 ns later
  and this led from one to the other:
    first   2:17         send of task20#2, thread 20 (task20)
    message recv:4.1     task40#4 received 2:17, thread 40 (task40)
    thread  4:9          send of task40#4, thread 40 (task40)
    message recv:5.1     task50#5 received 4:9, thread 50 (task50)
    thread  5:3          send of task50#5, thread 50 (task50)
  bus1-trace explain -i recording 2:17 5:3'
is "as JSON: where" "$(grep -o '"rule":"atomic","peer":[0-9]*' "$dir/json")" \
	'"rule":"atomic","peer":3'
is "as JSON: by whose receipt" "$(json violation known_peer)" 4
is "as JSON: the steps" "$(grep -o '"how":"[a-z]*"' "$dir/json" |
	tr -d '\n')" '"how":"first""how":"message""how":"thread""how":"message""how":"thread"'

order "two multicasts in two orders" 4 "VIOLATION: 1 agreement." "2 transactions, 4 receipts, 2 multicasts checked." <<END
tx_commit 20 2 1 2 2 2 0 1100 1200 5
tx_commit 40 4 1 2 2 2 0 1100 1200 6
msg_recv 30 3 1 2 1 0 1 8 0 100 1200 5
msg_recv 30 3 2 4 1 0 1 8 0 101 1201 6
msg_recv 50 5 1 4 1 1 1 8 0 100 1200 6
msg_recv 50 5 2 2 1 1 1 8 0 101 1201 5
end 5000000000
END
is "two multicasts in two orders: which, where, and who else" "$(story)" \
'VIOLATION, agreement, at task50#5
  receipt 1          4:1, send of task40#4, seq 6
  receipt 2          2:1, send of task20#2, seq 5
  task30#3 received them in the order of their numbers: receipts 1 and 2
  bus1-trace explain -i recording 2:1 4:1'
is "as JSON: the numbers" "$(json violation cause_seq) $(json violation \
	effect_seq)" "5 6"

order "of a module without numbers" 0 "OK: 2 transactions, 4 receipts, 2 multicasts checked." <<END
schema 2
tx_commit 20 2 1 2 2 2 0 1100 1200
tx_commit 40 4 1 2 2 2 0 1100 1200
msg_recv 30 3 1 2 1 0 1 8 0 100 1200
msg_recv 30 3 2 4 1 0 1 8 0 101 1201
msg_recv 50 5 1 4 1 1 1 8 0 100 1200
msg_recv 50 5 2 2 1 1 1 8 0 101 1201
end 5000000000
END
is "of a module without numbers: it says so" \
	"$(grep -c '^Not checked: the order of multicasts' "$dir/out")" 1
is "as JSON: it says so" "$(json verdict agreement_checked)" false

order "connected by nothing on the bus" 4 "VIOLATION: 1 causal." "2 transactions, 2 receipts, 0 multicasts checked." <<END
tx_commit 20 2 17 2 1 1 0 1100 1110 0
tx_commit 40 4 9 2 1 1 0 1130 1140 0
msg_recv 30 3 1 4 9 0 1 8 0 20 1150 0
msg_recv 30 3 2 2 17 1 1 8 0 60 1160 0
end 5000000000
END
is "connected by nothing on the bus: it says so" \
	"$(story | grep -c '^  Nothing on the bus')" 1

# 2:17 went to 3 and 4; 3 has since received what began later
lost="tx_commit 20 2 17 2 2 2 0 1100 1110 5
msg_send 20 2 17 0 4 1 8 0 1100 1
msg_send 20 2 17 1 3 1 8 0 1100 2
msg_recv 40 4 1 2 17 0 1 8 0 20 1120 5
tx_commit 40 4 9 2 1 1 0 1130 1140 0
msg_send 40 4 9 0 3 1 8 0 1130 3
msg_recv 30 3 1 4 9 0 1 8 0 30 1160 0"
order "a part that is gone" 4 "VIOLATION: 1 lost." "2 transactions, 2 receipts, 1 multicast checked." <<END
$lost
end 5000000000
END
is "a part that is gone: which, where, and why" "$(story | head -n 5)" \
'VIOLATION, lost, at task30#3
  receipt 1          4:9, send of task40#4
  not received       2:17, send of task20#2
  2:17 had returned at 0.000000110 s
  4:9 began at 0.000000130 s, 20 ns later'
for end in "msg_discard 30 3 2 17 1 1 8 0 1 1170 5" \
	"peer_free 30 3 0 1 1 1170"; do
	order "with ${end%% *} it is not" 0 "OK: 2 transactions, 2 receipts, 1 multicast checked." <<END
$lost
$end
end 5000000000
END
done
# The probe of receipts was there last: both began before, one has no stamp.
for begun in 901 0; do
	order "what began before the start, at $begun, is not" 0 "OK: 1 transaction, 1 receipt, 0 multicasts checked." <<END
tx_commit 20 2 17 2 1 1 0 $begun 910 0
msg_send 20 2 17 0 3 1 8 0 $begun 1
tx_commit 20 2 18 2 1 1 0 1130 1140 0
msg_send 20 2 18 0 3 1 8 0 1130 1
msg_recv 30 3 2 2 18 0 1 8 0 30 1160 0
end 5000000000
END
	is "what began before the start, at $begun, does not wait" \
		"$(json verdict waiting)" 0
done
# A message that is discarded after the HANDLE_RELEASE of its node
early="tx_commit 20 2 17 5 1 0 1 1100 1110 0
notify_recv 30 3 1 2 17 2 7 3 7 60 1160 0
tx_commit 40 4 9 2 1 1 0 1170 1180 0"
order "a message behind its HANDLE_RELEASE" 4 "VIOLATION: 1 lost." "2 transactions, 1 receipt, 0 multicasts checked." <<END
$early
msg_discard 40 3 4 9 0 7 8 0 1 1190 0
end 5000000000
END
is "a message behind its HANDLE_RELEASE: which, where, and why" "$(story)" \
'VIOLATION, lost, at task30#3
  receipt 1          2:17, drop of ?#2
  not received       4:9, send of task40#4
  4:9.0 was for node 7, whose HANDLE_RELEASE is receipt 1, at
  0.000000160 s: whatever is sent to a node comes before that
  bus1-trace explain -i recording 4:9 2:17'
order "a message sent behind its HANDLE_RELEASE" 4 "VIOLATION: 1 lost." "2 transactions, 1 receipt, 0 multicasts checked." <<END
$early
msg_send 40 4 9 0 3 7 8 0 1170 1
end 5000000000
END
order "a message discarded before its HANDLE_RELEASE" 4 "VIOLATION: 1 lost." "2 transactions, 1 receipt, 0 multicasts checked." <<END
msg_discard 40 3 4 9 0 7 8 0 1 1155 0
$early
end 5000000000
END
for discard in "msg_discard 40 3 4 9 0 8 8 0 1 1190 0" \
	"msg_discard 40 3 4 9 0 7 8 0 2 1190 0"; do
	order "of another node, or by close, it may be" 0 "OK: 2 transactions, 1 receipt, 0 multicasts checked." <<END
$early
$discard
end 5000000000
END
done
gap="tx_commit 20 2 17 2 1 1 0 1100 1110 0
tx_commit 40 4 9 2 1 1 0 1130 1140 0
msg_recv 30 3 1 2 17 0 1 8 0 30 1130 0
msg_recv 30 3 4 4 9 0 1 8 0 30 1160 0"
order "receipts are missing" 3 "UNDECIDABLE: 2 receipts are missing, and nobody says why." <<END
$gap
end 5000000000
END
order "receipts are missing behind the end" 0 "OK: 2 transactions, 2 receipts, 0 multicasts checked." <<END
$gap
end 1150
END
order "what was just now" 0 "OK: 2 transactions, 2 receipts, 1 multicast checked." <<END
$lost
end 5000
END
order "if events are lost, a part is not" 3 "UNDECIDABLE: 1 events were lost, 0.000 s to 5.000 s after the start." <<END
$lost
lost msg_recv 1
end 5000001000
END
is "if events are lost, a part is not: what was seen" \
	"$(grep -A 2 ^UNDECIDABLE "$dir/out" | tail -n 1)" \
	"2 transactions, 2 receipts, 1 multicast checked."
is "as JSON: how many" "$(json verdict lost)" 1
is "as JSON: from when to when" "$(json verdict from) $(json verdict to)" \
	"1000 5000001000"

order "lost events do not hide a violation" 4 "VIOLATION: 1 causal." "2 transactions, 2 receipts, 0 multicasts checked." <<END
tx_commit 20 2 17 2 1 1 0 1100 1110 0
tx_commit 40 4 9 2 1 1 0 1130 1140 0
msg_recv 30 3 7 4 9 0 1 8 0 20 1150 0
msg_recv 30 3 13 2 17 1 1 8 0 60 1160 0
lost msg_recv 5
end 5000000000
END
order "a filtered recording" 3 "UNDECIDABLE: not all events are there, as said above." <<END
filtered
tx_commit 20 2 17 2 1 1 0 1100 1110 0
msg_recv 30 3 1 2 17 1 1 8 0 60 1160 0
end 5000000000
END

echo "end 5000000000" | "$dir/order" "$dir/recording" || exit 1
"$trace" order -i "$dir/recording" >"$dir/out" 2>"$dir/err"
is "nothing: status" $? 0
is "nothing: it is not just OK" "$(tail -n 1 "$dir/out")" \
	"Nothing happened: 0 transactions."
for filter in --peer=1 "-p 1" "--kind message"; do
	"$trace" order $filter >"$dir/out" 2>"$dir/err"
	is "$filter: status" $? 2
	is "$filter: why not" "$(grep -c 'takes no filters: .* see all$' "$dir/err")" 1
done

# What doc/ordering.md says is what tests/trace/t-ordering.sh runs.
sed -n 's/^    # \(bus1-trace .*\)/\1/p' doc/ordering.md >"$dir/guide"
is "the guide has its commands" "$(wc -l <"$dir/guide")" 10
while read -r command; do
	is "$command: it is tested" \
		"$(grep -cF "guide '$command'" tests/trace/t-ordering.sh | sed 's/[1-9].*/yes/')" yes
done <"$dir/guide"

# A broken check does not pass what was made at random.
mutant()
{
	sed "$2" $tool/verify-check.c >"$dir/verify-check.c"
	if cmp -s $tool/verify-check.c "$dir/verify-check.c"; then
		echo "nothing was changed: adapt the script to the source"
	elif ! build "$dir/verify-check.c" "$dir/mutant"; then
		echo "it does not compile"
	else
		timeout 60 "$dir/mutant"
		echo "status $?"
	fi >"$dir/log" 2>&1
	is "it is noticed that $1" "$(tail -n 1 "$dir/log")" "status 1"
}

mutant "a receipt makes nothing known" \
	'/^static uint64_t known/,/^}/s/return x->received;/return x->committed;/'
mutant "a commit makes nothing known" \
	'/^static void commit/,/^}/s/^\tx->committed = .*/\tx->committed = UINT64_MAX;/'
mutant "what was known at the same time comes before" \
	's/v.known >= x->before.begun/v.known > x->before.begun/'
mutant "it is enough to look at what came right before" \
	's/x->begun > r->best.begun/true/'
mutant "receipts out of their place are judged" \
	's/recv <= r->recv/!recv/'
mutant "nothing is ever forgotten" 's/verify_sums.waiting >= max/false/'

echo "1..$n"
[ "$failed" = 0 ]
