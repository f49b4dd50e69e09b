#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace explain: what came before what, of calls whose order is known.
. "$(dirname "$0")/trace-tap.sh"

file=$dir/recording

# explain NAME...: sets $status
explain()
{
	bus1-trace explain -i "$file" "$@" >"$dir/out" 2>"$dir/err"
	status=$?
}

# verdict: the first line, and the status
verdict()
{
	echo "$(head -n 1 "$dir/out") ($status)"
}

# chain: the steps, each with how it follows and who did it
chain()
{
	bus1-trace explain -i "$file" --json "$@" |
		sed -n '/"role":"step"/s/.*"call":"\([^"]*\)".*"comm":"\([^"]*\)".*"how":"\([^"]*\)".*/\3 \1 \2/p' |
		tr '\n' ',' | sed 's/,$//'
}

# row PATTERN: it is in the output
row()
{
	grep -q -e "$1" "$dir/out"
}

# flat TEXT: it is, however its lines are broken
flat()
{
	tr -s '\n ' ' ' <"$dir/out" | grep -qF -e "$1"
}

complains()
{
	grep -q -e "$1" "$dir/err"
}

# resolves TEXT NAME KEY OTHER: NAME is the call of that KEY, and not OTHER
resolves()
{
	explain --json "$2" "$(said "$4")"
	if [ "$2" = "$(said "$4")" ] || [ $status -eq 2 ]; then
		ok "$1" complains "are the same: $(said "$3")\$"
	else
		is "$1" "$(sed -n '/"type":"explain"/s/.*"a":"\([^"]*\)".*/\1/p' \
			"$dir/out")" "$(said "$3")"
	fi
}

record_start
trace-cause >"$dir/load"
ok "the workload ran" grep -q done=1 "$dir/load"
record_end
for key in client service left right other node left_node request \
	request_recv noise reply reply_recv plain plain_reply unanswered pipe_a \
	pipe_b pipe_b_recv multi_a multi_b queue_a queue_b task task_recv \
	task_passed task_reply release released; do
	eval "$key=\$(said $key)"
done

# Before and after
explain "$request" "$reply"
is "a request and its reply" "$(verdict)" "$request before $reply: 2 steps (0)"
is "the chain" "$(chain "$request" "$reply")" \
	"first $request cause-0,message $request_recv cause-1,thread $reply cause-1"
ok "a row of it" row "^+[0-9.]* *message $request_recv  *service#$service .* $request.0 [0-9.]*[mu]s\$"
ok "what is promised" row "receives from both receives $request first"
is "rows are narrow" "$(awk 'length > 80' "$dir/out")" ""
explain "$reply" "$request"
is "the other way round" "$(verdict)" "$request before $reply: 2 steps (0)"
explain --json "$reply" "$request"
is "which is \"after\"" "$(lines explain '"verdict":"after","proven":true,"steps":2,"promise":"cause"')" 1
is "the counts follow" "$(lines summary '"lost":0,.*"balanced":true')" 1
is "the same thread" "$(chain "$noise" "$reply")" \
	"first $noise cause-1,thread $reply cause-1"
is "a receipt at the end" "$(chain "$request" "$reply_recv")" \
	"first $request cause-0,thread $reply_recv cause-0"
is "two threads that read from one peer" \
	"$(chain "$queue_a" "recv:$service.9")" \
	"first $queue_a cause-2,message recv:$service.8 cause-1,queue recv:$service.9 cause-0"
is "and what one of them sends" "$(chain "$queue_a" "$queue_b")" \
	"first $queue_a cause-2,message recv:$service.8 cause-1,peer $queue_b cause-0"
is "a thread receives, another sends" "$(chain "$task" "$task_passed")" \
	"first $task cause-3,message $task_recv cause-1,peer $task_passed cause-4"
is "a notification" "$(chain "$release" "$released")" \
	"first $release cause-1,message $released cause-0"
explain "$release" "$released"
ok "a row of it" row "message $released .* $release node_release\$"
is "rows are narrow" "$(awk 'length > 80' "$dir/out")" ""
is "a handle" "$(chain "$left:1" "$service:2" | tr ',' ' ')" \
	"first $service:2 cause-main handle $left:1 cause-2"

# Neither
explain "$pipe_a" "$pipe_b"
is "joined by something else" "$(verdict)" \
	"$pipe_a and $pipe_b are concurrent: no chain through the bus joins them (0)"
ok "what the clock says" row "^By the clock $pipe_a had returned [0-9.]*[mu]s before $pipe_b began"
ok "the last that is before both" row "^+[0-9.]* *past    $service:2 .* cause-main#\|^+[0-9.]* *past    $service:2 .* service#"
ok "the first that is after both" row "^+[0-9.]* *future  $pipe_b_recv "
ok "no promise" row "^Unless anything outside the bus joined them, the bus promises no order:\$"
ok "which does not depend on how many receive" eval '! row "has one receiver"'
ok "who received both, and how" row "^service#$service  *4  *5  $pipe_a\$"
is "rows are narrow" "$(awk 'length > 80' "$dir/out")" ""
explain "$pipe_b" "$pipe_a"
ok "the clock does not depend on who is asked for first" \
	row "^By the clock $pipe_a had returned [0-9.]*[mu]s before $pipe_b began"
explain "$multi_b" "$multi_a"
is "two multicasts" "$(verdict)" \
	"$multi_b and $multi_a are concurrent: no chain through the bus joins them (0)"
ok "by agreement" row "both receives $multi_a first"
ok "one receiver" row "^service#$service  *7  *6  $multi_a\$"
ok "and the other" row "^other#$other  *2  *1  $multi_a\$"
explain "$pipe_a" "$multi_b"
ok "a unicast and a multicast: why not" \
	row "^$pipe_a has one receiver: only multicasts come in one order"
explain --json "$multi_a" "$multi_b"
is "json: agreement" "$(lines explain '"verdict":"concurrent","proven":true,"steps":0,"promise":"agreement"')" 1
is "json: receivers" "$(lines explain_receiver '"first":"a","promised":true')" 2
is "json: bounds" "$(lines explain_call '"role":"common_')" 2

# Names
seq=$(bus1-trace monitor --json -i "$file" | sed -n \
	"s/^{\"type\":\"tx_commit\",\"peer\":$left,\"tx\":2,.*\"seq\":\([0-9]*\).*/\1/p")
resolves "seq:N" "seq:$seq" multi_a queue_b
resolves "a peer and its name" "client#$request" request reply
resolves "a name alone" "client:${request#*:}" request reply
resolves "a message" "$request.0" request reply
resolves "as monitor shows it" "client#$client tx ${request#*:}" request reply
resolves "a row of monitor" "$(bus1-trace monitor -i "$file" |
	grep " send .* tx ${request#*:} " | grep "client#")" request reply
resolves "a row about its receipt" "$(bus1-trace monitor -i "$file" |
	grep " recv .* tx ${request#*:}\.0 " | grep "client#")" request reply
resolves "recv:PEER.N" "$request_recv" request_recv reply
resolves "reply-to: a handle that it brought" "reply-to:$request" reply request
explain "reply-to:$request" "$request"
ok "it says so" flat "is $reply, the first that service#$service sent through a handle that $request brought "
is "rows are narrow" "$(awk 'length > 79' "$dir/out")" ""
resolves "reply-to: by any handle" "reply-to:$plain" plain_reply plain
resolves "reply-to: a deputy" "reply-to:$task" task_reply task
explain "reply-to:$task" "$task_passed"
ok "it says so" flat "is $task_reply, the first that twin#$left sent to node "
ok "whose handle that was" flat " of peer $right, whose handle $task brought "
explain "reply-to:$plain" "$request"
ok "it says so" flat "is $plain_reply, the first that service#$service sent back after $plain, through a handle that it had already "
resolves "first:" "first:$left" pipe_a multi_a
resolves "last:PEER@TIME" "last:$left@$(bus1-trace explain -i "$file" --json \
	"$multi_b" "$multi_a" | sed -n 's/.*"a_begun":\([0-9]*\).*/\1/p')" \
	multi_a queue_a
resolves "last:NODE" "last:$left_node" queue_a request
resolves "last:NODE@TIME, as -T prints it" "last:$left_node@$(bus1-trace \
	explain -T -i "$file" "$queue_a" "$queue_b" |
	sed -n "s/^\([0-9:.]*\) *$queue_a .*/\1/p")" multi_a request
resolves "last:NODE@+TIME" "last:service#$left_node@+60s" queue_a request

explain "$client:999"
is "no such transaction: status 1" $status 1
ok "which there are" complains "it has 5 transactions of client#$client, $client:1 to $client:5"
explain "twin:1"
ok "a name that two have" complains "which of them? twin#$left, twin#$right\$"
explain "foo#$client:1"
ok "another's name" complains "peer $client is called client, not foo"
explain "client#$client" tx 1
ok "without quotes: how to name a call" complains "in quotes, as it has blanks"
is "which is narrow" "$(awk 'length > 80' "$dir/err")" ""
explain "99:1"
ok "no such peer" complains "no such peer; the peers are: .*client#$client"
explain "recv:$other.7"
ok "no such receipt" complains "recv:$other.1 to recv:$other.2"
explain "seq:$((seq + 7000))"
ok "no such number" complains "next to it is seq:"
explain "reply-to:$queue_b"
ok "no reply" complains "nobody who received it sent anything back"
explain "$request.4"
ok "no such message" complains "its messages are $request.0 to $request.0"

# All that came before one
explain "$reply"
is "the past" "$(head -n 1 "$dir/out" | sed 's/, in .*//')" \
	"Before $reply came 4 transactions and 1 receipt"
ok "what is in it" row "message $request .* $request_recv\$"
ok "and not what is later" eval '! row "$plain"'
explain -n 2 "$queue_b"
ok "-n: how many are not shown" row '^\.\.\. and [0-9]* more: -n 0 shows all$'
explain --json --depth 1 "$queue_b"
is "--depth" "$(lines explain_call '"role":"past".*"depth":1}')" 2
is "--depth: no more" "$(lines explain_call)" 2
explain -o "$dir/x.dot" "$reply"
is "-o x.dot: status 0" $status 0
is "-o x.dot: the calls" "$(grep -c '\[label="' "$dir/x.dot")" 6
is "-o x.dot: an edge" "$(grep -c " -> t${reply%:*}_${reply#*:} " "$dir/x.dot")" 1
explain -o "$dir/x.dot" "$reply" "$request"
is "-o with two is a usage error" $status 2

# A recording that lacks something
head -c $(($(wc -c <"$file") - 30)) "$file" >"$dir/cut"
file=$dir/cut
explain "$request" "$reply"
is "no end: before is before" "$(verdict)" "$request before $reply: 2 steps (0)"
explain "$pipe_a" "$pipe_b"
is "no end: status 3" $status 3
ok "no end: concurrent is not proven" row 'Not proven\.$'
explain "$reply"
is "no end: the past is a part of it" "$(verdict | sed 's/ came .* (/ (/')" \
	"Before $reply (3)"
ok "which it says" row 'came at least 4 transactions'
plan
