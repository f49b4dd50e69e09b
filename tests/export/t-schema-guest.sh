#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What each verb of bus1-trace prints with --json, of processes in a guest that
# do all there is to do, is as bus1-trace.schema.json has it.
set -u
. tests/export/export-tap.sh

if ! tests/vm/run --timeout 200 -- '
	cd /tmp
	echo 1024 >/sys/module/bus1/parameters/max_objects
	echo 65536 >/sys/module/bus1/parameters/max_bytes
	trace-load hold >/dev/null &
	(until [ -e go ]; do sleep 0.1; done) | trace-load hog >/dev/null &
	sleep 1
	bus1-trace record --json -o recording >record &
	bus1-trace monitor --json --payload 8 >monitor &
	bus1-trace export -f ndjson --payload 8 -o export &
	bus1-trace top --json 1 >top &
	bus1-trace latency --json 1 >latency &
	bus1-trace acct --json 1 >acct-interval &
	bus1-trace handles --json --stacks -a -d 8 >handles &
	bus1-trace graph --json -d 8 >graph &
	for f in recording monitor export top latency acct-interval; do
		until [ -s $f ]; do sleep 0.1; done
	done
	sleep 2
	touch go
	sleep 60 | trace-handles >/dev/null &
	trace-load >/dev/null
	sleep 2
	bus1-trace status --json -o --queue >status
	bus1-trace status --json >status-peers
	bus1-trace acct --json >acct
	bus1-trace doctor --json >doctor
	bus1-trace monitor --json --cost -d 4 >cost &
	sleep 2
	trace-load >/dev/null
	bus1-trace handles --json --older-than 10ms -d 1 >handles-old
	sleep 2
	killall -INT bus1-trace
	while pidof bus1-trace >/dev/null; do sleep 0.1; done
	bus1-trace report --json recording >report
	bus1-trace status --json -o --queue -i recording >status-recorded
	bus1-trace handles --json -a -i recording >handles-recorded
	bus1-trace order --json -i recording 1 >order
	call=$(sed -n "s/^{\"type\":\"msg_send\",\"peer\":\([0-9]*\),\"tx\":\([0-9]*\),.*/\1:\2/p" \
		monitor | sed -n "\$p")
	bus1-trace explain --json -i recording first:${call%:*} $call >explain
	bus1-trace explain --json -i recording $call >past
	for f in record monitor export top latency acct-interval handles \
	    graph status status-peers acct doctor cost handles-old report \
	    status-recorded handles-recorded order explain past; do
		gzip -c $f | base64 | sed "s/^/$f /"
	done' >"$dir/guest" 2>"$dir/err"; then
	echo "Bail out! the guest failed:"
	tail -n 20 "$dir/err" | sed 's/^/# /'
	exit 1
fi

validate()
{
	python3 $here/schema.py $schema "$dir/$1" >"$dir/types"
	valid=$?
	cat "$dir/types"
	return $valid
}

# What each prints at least
while read -r f types; do
	sed -n "s/^$f //p" "$dir/guest" | base64 -d | gunzip >"$dir/$f"
	ok "$f: as the schema has it" validate "$f"
	for type in $types; do
		ok "$f: has $type" grep -q "^types:.* $type\\( \\|\$\\)" \
			"$dir/types"
	done
done <<-END
	record recorded count summary
	monitor start tx_commit msg_send msg_recv op_fail acct_reject
	export start tx_begin node_free acct_charge acct_reject summary
	top start interval top summary
	latency start interval latency summary
	acct-interval interval account quota claim refusal summary
	handles handles handle handle_stack summary
	graph graph_peer graph_edge summary
	status snapshot peer node handle message
	status-peers snapshot peer
	acct accounts account quota claim
	doctor check doctor
	cost cost cost_total summary
	handles-old handles suspect handle_group
	report recording peer_total slow fault
	status-recorded snapshot peer node handle message
	handles-recorded handles handle
	order order verdict summary
	explain explain explain_call
	past explain_past explain_call
END

finish
