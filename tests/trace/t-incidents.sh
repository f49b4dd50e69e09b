#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The incidents of doc/debugging.md: what the commands there print names who is to
# blame, of whom this test knows only by the file that the staging wrote.
. "$(dirname "$0")/trace-tap.sh"

export INCIDENT_ANSWER="$dir/answer"

# stage NAME: until somebody has complained
stage()
{
	rm -f "$dir/answer"
	"incident-$1.sh" >"$dir/symptom" 2>&1 &
	incident=$!
	holders="$holders $incident"
	until_true eval '[ -s "$dir/answer" ] && [ -s "$dir/symptom" ]'
	who="$(answer comm)#$(answer peer)"
	ok "$1: it is staged" test -n "$(answer peer)"
}

unstage()
{
	kill $incident
	wait $incident 2>/dev/null
	# its processes die after it
	until_true eval '! grep -q ^peer /sys/kernel/debug/bus1/objects'
}

answer()
{
	sed -n "s/^$1=//p" "$dir/answer"
}

# victims: who complains, or is complained of
victims()
{
	grep -o 'cli-[0-9]' "$dir/symptom" | sort -u
}

# run VERB...: its output is in $dir/out
run()
{
	bus1-trace "$@" >"$dir/out" 2>"$dir/err"
}

# suspects: "HOLDER holds OWNER" of each, the first of them first
suspects()
{
	sed -n 's/^ *[0-9]*\. \([^ ]*\) holds [0-9]* handles\{0,1\} to \([^ ]*\)$/\1 \2/p' \
		"$dir/out"
}

# row: the first under the head that begins with PEER
row()
{
	sed -n '/^PEER/{n;p;q}' "$dir/out"
}

stage reply
run handles --older-than 2
is "reply: one handle is held and never used" "$(suspects | wc -l)" 1
is "reply: by whom" "$(suspects | cut -d ' ' -f 1)" "$who"
is "reply: to who waits for it" \
	"$(suspects | sed 's/.* //; s/#.*//')" "$(victims)"
is "reply: which handle" "$(awk -v who="$who" -v victim="$(victims)#" \
	'$1 == who && index($3, victim) == 1 { print $2 }' "$dir/out")" \
	"$(answer handle)"
run status
is "reply: in which process" \
	"$(awk -v peer="$(answer peer)" '$1 == peer { print $3, $4 }' \
		"$dir/out")" "$(answer pid) $(answer comm)"
unstage

stage leak
run handles -d 3
# After it may come caches that have one more than before.
is "leak: who gets more and more, of all clients" \
	"$(suspects | head -n 6 | cut -d ' ' -f 1 | uniq -c | tr -s ' ')" \
	" 6 $who"
is "leak: of whom" \
	"$(suspects | sed 's/.* //; s/#.*//' | head -n 1)" cli-1
unstage

stage slow
run top --sort queued 2 1
is "slow: whose queue is longest" \
	"$(row | awk '{ print $1, $2 }')" "$who $(answer pid)"
ok "slow: and longer than those of all others" test \
	"$(row | awk '{ print $6 }')" -gt 30
before=$(row | awk '{ print $6 }')
run top --sort age 1 1
is "slow: what waits there is older than any" \
	"$(row | awk '{ print $1, $2 }')" "$who $(answer pid)"
run top --sort queued 2 1
ok "slow: and grows" test "$(row | awk '{ print $6 }')" -gt "$before"
unstage

stage flood
run top --sort refused 2 1
is "flood: who is refused" "$(row | awk '{ print $1, $2 }')" \
	"$who $(answer pid)"
ok "flood: and sends all the same" test "$(row | awk '{ print $7 }')" != 0
run acct -d 2
is "flood: nobody else is refused" \
	"$(sed -n '/REFUSED OWNER.*CALL/,/^$/p' "$dir/out" |
	   awk '$5 ~ /^[0-9]+$/ { print $4, $5, $6 }')" \
	"$who $(answer pid) send"
unstage

bus1-trace record -o "$dir/rec" >/dev/null 2>&1 &
recorder=$!
holders="$holders $recorder"
until_true test -s "$dir/rec"
stage died
run handles
is "died: who holds a handle to nothing" \
	"$(suspects | sed 's/#[^ ]*//' | sort)" \
	"$(victims | sed "s/\$/ ?#$(answer peer)/")"
is "died: and has not read that it is" \
	"$(grep -c '1 of released nodes; the holder has not read NODE_RELEASE' \
		"$dir/out")" "$(victims | wc -l)"
run monitor --errors -d 2
ok "died: what is sent there is discarded" \
	grep -q " discard .* > ?#$(answer peer) .* released\$" "$dir/out"
is "died: and nothing else fails" "$(awk '$1 == "discard" { print $4 }' \
	"$dir/out" | sort -u)" "?#$(answer peer)"
kill -INT $recorder
wait $recorder
is "died: the recorder lost nothing" $? 0
run monitor -i "$dir/rec" --peer "$(answer peer)" --kind peer
is "died: the recording knows who that was" \
	"$(sed -n 's/^ *open *\([^ ]*\) .* pid \([0-9]*\)$/\1 \2/p' \
		"$dir/out")" "$who $(answer pid)"
ok "died: and that it has gone" grep -q "^ *gone *$who " "$dir/out"
unstage
plan
