#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The bugs of doc/ordering.md: the bus kept its order in all of them, and
# "explain" tells the programs that have the bug from those that have not.
. "$(dirname "$0")/trace-tap.sh"

# stage MODE: all of them, recorded; $1 is "" or "fixed"
stage()
{
	record_start
	for bug in reply twice file; do
		ordering-$bug.sh $1 >"$dir/$bug"
		echo $? >>"$dir/$bug"
	done
	record_end
	is "${1:-bad}: the recorder lost nothing" $? 0
	bus1-trace monitor -i "$dir/recording" --json >"$dir/events"
	bus1-trace order -i "$dir/recording" --json >"$dir/out"
	is "${1:-bad}: the bus kept its order" $? 0
	is "${1:-bad}: and says so" "$(lines verdict '"verdict":"ok"')" 1
}

# message FROM TO: the first, as PEER:TX.INDEX
message()
{
	sed -n "/^{\"type\":\"msg_recv\".*\"peer_name\":\"$1\".*\"receiver_name\":\"$2\"/{
		s/.*\"peer\":\([0-9]*\),\"tx\":\([0-9]*\),\"index\":\([0-9]*\).*/\1:\2.\3/p
		q
	}" "$dir/events"
}

# explain A B
explain()
{
	bus1-trace explain -i "$dir/recording" "$@" --json >"$dir/out"
	is "explain $*: status 0" $? 0
}

# verdict KEY: of the last explain
verdict()
{
	sed -n "/^{\"type\":\"explain\"/s/.*\"$1\":\"\{0,1\}\([a-z0-9]*\).*/\1/p" \
		"$dir/out"
}

# role ROLE: which calls have it
role()
{
	sed -n "/\"role\":\"$1\"/s/.*\"call\":\"\([^\"]*\)\".*/\1/p" "$dir/out"
}

# first: what each receiver of both received first, and if that was promised
first()
{
	sed -n '/^{"type":"explain_receiver"/s/.*"name":"\([a-z]*\)".*"first":"\([a-z]*\)","promised":\([a-z]*\).*/\1 \2 \3/p' \
		"$dir/out" | sort
}

stage
is "reply, bad: the complaint" "$(tr '\n' ' ' <"$dir/reply")" \
	"app: 7 is set, and 3 still shown 1 "
signal=$(message mixer app)
explain "$signal" "$(message settings app)"
is "reply, bad: nothing joins them" "$(verdict verdict)" concurrent
is "reply, bad: nothing was promised" "$(verdict promise)" none
cause=$(message settings mixer)
is "reply, bad: the last that is before both" "$(role common_past)" \
	"${cause%.*}"
is "reply, bad: the first that is after both" \
	"$(role common_future | cut -d . -f 2)" 2
is "reply, bad: who came first" "$(first)" "app b null"

is "twice, bad: the complaint" "$(tr '\n' ' ' <"$dir/twice")" \
	"user: the speaker plays at 7, the display shows 3 1 "
all=$(message remote display)
explain "$(message panel speaker)" "${all%.*}"
is "twice, bad: nothing joins the first" \
	"$(verdict verdict) $(verdict promise)" "concurrent none"
is "twice, bad: and it came first" "$(first)" "speaker a null"
explain "$(message panel display)" "${all%.*}"
is "twice, bad: nor the second" "$(verdict verdict) $(verdict promise)" \
	"concurrent none"
is "twice, bad: and it came last" "$(first)" "display b null"

is "file, bad: the complaint" "$(tr '\n' ' ' <"$dir/file")" \
	"server: work came for state 2, and 1 is the newest 1 "
explain "$(message store server)" "$(message watcher server)"
is "file, bad: nothing joins them" "$(verdict verdict) $(verdict promise)" \
	"concurrent none"
ok "file, bad: the work was sent when the news was not" \
	test "$(verdict b_time)" -le "$(verdict a_begun)"

stage fixed
is "reply, fixed: no complaint" "$(tr '\n' ' ' <"$dir/reply")" \
	"app: 7 is set, and shown 0 "
signal=$(message mixer app)
reply=$(message settings app)
explain "$signal" "$reply"
is "reply, fixed: the signal is before" "$(verdict verdict)" before
is "reply, fixed: which is a promise" "$(verdict promise)" cause
is "reply, fixed: the chain" "$(role step | sed 's/\.[0-9]*$//' | tr '\n' ' ')" \
	"${signal%.*} ${signal%:*}:3 recv:${reply%:*} ${reply%.*} "
is "reply, fixed: and it was kept" "$(first)" "app a true"

is "twice, fixed: no complaint" "$(tr '\n' ' ' <"$dir/twice")" \
	"user: the speaker plays at 7, the display shows 7 0 "
one=$(message panel display)
all=$(message remote display)
explain "${one%.*}" "${all%.*}"
is "twice, fixed: nothing joins them, but both are multicasts" \
	"$(verdict verdict) $(verdict promise)" "concurrent agreement"
is "twice, fixed: so both peers have the same first" \
	"$(first | tr '\n' ' ')" "display a true speaker a true "

is "file, fixed: no complaint" "$(tr '\n' ' ' <"$dir/file")" \
	"server: work came for state 2, which is there 0 "
explain "$(message store server)" "$(message watcher server)"
is "file, fixed: the bus knows of no chain" "$(verdict verdict)" concurrent
ok "file, fixed: but the news was sent when the work was not" \
	test "$(verdict a_time)" -le "$(verdict b_begun)"
is "file, fixed: and came first" "$(first)" "server a null"
plan
