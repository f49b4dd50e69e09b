#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The bugs of doc/ordering.md, by the very commands that stand there, one after
# the other: the bus kept its order in all of them, and "explain" tells the
# programs that have the bug from those that have not.
. "$(dirname "$0")/trace-tap.sh"
cd "$dir" || exit 1

# stage BUG [fixed]: what "bug" is from now on, recorded into bus.rec
stage()
{
	bug="$*"
	bus1-trace record -o bus.rec --payload 16 >counts 2>err &
	recorder=$!
	until_true grep -qx 'bus1-trace: recording to bus.rec' err
	ok "$bug: it says that it records" [ $? = 0 ]
	ordering-"$1".sh ${2-} >said
	echo $? >>said
	kill -INT $recorder
	wait $recorder
	is "$bug: the recorder lost nothing" $? 0
}

# guide COMMAND: what stands in the guide
guide()
{
	eval "$1" >out 2>err
	is "$bug: $1: status 0" "$? $(cat err)" "0 "
}

# row PATTERN: it is in the output
row()
{
	ok "$bug: $1" grep -q -e "$1" out
}

none='whoever receives from both may receive either first\.$'
clock()
{
	sed -n "s/^By the clock \([0-9]*\):[0-9]* had returned [0-9.]*[mu]*s before \([0-9]*\):.*/\1 \2/p" out
}

# peer NAME: its ID, the last one of this name
peer()
{
	bus1-trace monitor -i bus.rec --json |
		sed -n "s/.*\"type\":\"peer_name\",\"peer\":\([0-9]*\),.*\"name\":\"$1\".*/\1/p"
}

stage reply
is "$bug: the complaint" "$(tr '\n' ' ' <said)" \
	"app: 7 is set, and 3 still shown 1 "
guide 'bus1-trace monitor -i bus.rec --kind message --payload 16'
row ' send  *mixer#[0-9]*  *> app#[0-9]*  *tx 2 9B$'
row ' volume 7\.$'
row ' is set: 7\.$'
guide 'bus1-trace order -i bus.rec | tail -n 1'
row '^OK: 10 transactions, 4 receipts, 1 multicast checked\.$'
guide 'bus1-trace explain -i bus.rec mixer:2 settings:3'
app=$(peer app) settings=$(peer settings) mixer=$(peer mixer)
row "^$mixer:2 and $settings:3 are concurrent: no chain"
is "$bug: by the clock" "$(clock)" "$settings $mixer"
row "^+[0-9.]* *past    $settings:2 "
row "^+[0-9.]* *future  recv:$app\.2 "
row "$none"
row "^app#$app  *2  *1  $settings:3\$"

stage reply fixed
is "$bug: no complaint" "$(tr '\n' ' ' <said)" "app: 7 is set, and shown 0 "
guide 'bus1-trace explain -i bus.rec mixer:2 reply-to:app:2'
app=$(peer app) settings=$(peer settings) mixer=$(peer mixer)
row "^reply-to:app:2 is $settings:3, "
row "^$mixer:2 before $settings:3: 3 steps\$"
row "^+[0-9.]*  *$mixer:2 "
row "^+[0-9.]* *thread  $mixer:3 "
row "^+[0-9.]* *message recv:$settings\.2 "
row "^+[0-9.]* *thread  $settings:3 "
row "receives from both receives $mixer:2 first\.\$"
row "^app#$app  *1  *2  $mixer:2\$"

stage twice
is "$bug: the complaint" "$(tr '\n' ' ' <said)" \
	"user: the speaker plays at 7, the display shows 3 1 "
guide 'bus1-trace monitor -i bus.rec --kind message'
ok "$bug: payload is shown only if that is asked for" eval '! grep -q volume out'
row ' send  *remote#[0-9]*  *> [a-z]*#[0-9]* +1  *tx 1 9B seq [0-9]*$'
row ' send  *panel#[0-9]*  *> speaker#[0-9]*  *tx 1 9B$'
row ' send  *panel#[0-9]*  *> display#[0-9]*  *tx 2 9B$'
guide 'bus1-trace explain -i bus.rec panel:2 remote:1'
panel=$(peer panel) remote=$(peer remote)
row "^$panel:2 and $remote:1 are concurrent: no chain"
row "$none"
row "^$panel:2 has one receiver: only multicasts "
row "^display#[0-9]*  *2  *1  $remote:1\$"
guide 'bus1-trace explain -i bus.rec panel:1 remote:1'
row "^$panel:1 has one receiver: only multicasts "
row "^speaker#[0-9]*  *1  *2  $panel:1\$"

stage twice fixed
is "$bug: no complaint" "$(tr '\n' ' ' <said)" \
	"user: the speaker plays at 7, the display shows 7 0 "
guide 'bus1-trace explain -i bus.rec panel:1 remote:1'
panel=$(peer panel) remote=$(peer remote)
row "^$panel:1 and $remote:1 are concurrent: no chain"
row "^Both are multicasts (seq [0-9]*, [0-9]*): the bus promises "
row "^both receives $panel:1 first\.\$"
row "^speaker#[0-9]*  *1  *2  $panel:1\$"
row "^display#[0-9]*  *1  *2  $panel:1\$"

stage file
is "$bug: the complaint" "$(tr '\n' ' ' <said)" \
	"server: work came for state 2, and 1 is the newest 1 "
guide 'bus1-trace monitor -i bus.rec --kind message'
row ' send  *watcher#[0-9]*  *> server#[0-9]*  *tx 1 16B$'
guide 'bus1-trace explain -i bus.rec store:1 watcher:1'
store=$(peer store) watcher=$(peer watcher)
row "^$store:1 and $watcher:1 are concurrent: no chain"
is "$bug: by the clock" "$(clock)" "$watcher $store"
row "^server#[0-9]*  *2  *1  $watcher:1\$"

stage file fixed
is "$bug: no complaint" "$(tr '\n' ' ' <said)" \
	"server: work came for state 2, which is there 0 "
guide 'bus1-trace explain -i bus.rec store:1 watcher:1'
store=$(peer store) watcher=$(peer watcher)
row "^$store:1 and $watcher:1 are concurrent: no chain"
is "$bug: by the clock" "$(clock)" "$store $watcher"
row "$none"
row "^server#[0-9]*  *1  *2  $store:1\$"

guide 'bus1-trace order -i bus.rec --json'
row '"verdict":"ok"'
plan
