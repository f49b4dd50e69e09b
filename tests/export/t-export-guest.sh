#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace export of what really happened: in a guest trace-load runs under a
# recorder and three exporters; here other programs read what they wrote, live
# and from the recording, and compare it with what trace-load counted.
set -u
. tests/export/export-tap.sh

# On every line its file; the guest has no other way out.
if ! tests/vm/run --timeout 100 -- '
	cd /tmp
	bus1-trace record -o recording >record.counts 2>&1 &
	bus1-trace export -f ndjson -o live-ndjson &
	bus1-trace export -f perfetto -o live-perfetto >perfetto.counts 2>&1 &
	bus1-trace export -f pcapng -o live-pcapng >pcapng.counts 2>&1 &
	for f in recording live-ndjson live-perfetto live-pcapng; do
		until [ -s $f ]; do sleep 0.1; done
	done
	sleep 0.5
	trace-load >counts
	sleep 1
	kill -INT $(jobs -p)
	wait
	for f in counts *.counts recording live-*; do
		gzip -c $f | base64 | sed "s/^/$f /"
	done' >"$dir/guest" 2>"$dir/err"; then
	echo "Bail out! the guest failed:"
	sed 's/^/# /' "$dir/err"
	exit 1
fi
for f in counts record.counts perfetto.counts pcapng.counts recording \
    live-ndjson live-perfetto live-pcapng; do
	sed -n "s/^$f //p" "$dir/guest" | base64 -d | gunzip >"$dir/$f"
done

ok "trace-load ran" grep -q '^msg_recv=146$' "$dir/counts"
# what trace-load does not count: close and drop
sed -n 's/^tx_commit *\([0-9]*\) .*/tx_commit=\1/p' "$dir/record.counts" \
	>>"$dir/counts"
ok "the recorder met transactions" grep -q '^tx_commit=1' "$dir/counts"
check_formats 0 "$dir/recording" "$dir/counts"

ok "live: perfetto" python3 $here/perfetto.py "$dir/live-perfetto" \
	"$dir/counts"
printf 'lost_here=0\nanother_start=1\n' >>"$dir/counts"
ok "live: pcapng" python3 $here/pcapng.py "$dir/live-pcapng" \
	"$dir/live-ndjson" "$dir/counts" $lua
ok "live: ndjson as the schema has it" \
	python3 $here/schema.py $schema "$dir/live-ndjson"

# The same events; what a peer was called may have been learned at another time.
events()
{
	jq -cS 'select(.time and .type != "start") |
		with_entries(select(.key | test("_(comm|pid|name)$") | not))' \
		"$1"
}
events "$dir/live-ndjson" | sort >"$dir/a"
events "$dir/ndjson" | sort >"$dir/b"
ok "live and recorded are the same" cmp "$dir/a" "$dir/b"
ok "in the same order" sh -c "
	jq -c 'select(.type == \"msg_recv\") | [.receiver, .recv]' \
		'$dir/live-ndjson' >'$dir/a'
	jq -c 'select(.type == \"msg_recv\") | [.receiver, .recv]' \
		'$dir/ndjson' | cmp - '$dir/a'"
ok "and complete" [ "$(jq -s 'map(select(.type == "summary"))
	| .[0] | .lost == 0 and .balanced' "$dir/live-ndjson")" = true ]

ok "the peers are called by their processes" [ "$(tshark -n -r \
	"$dir/pcapng" -X lua_script:$lua -T fields -e bus1.from -e bus1.to \
	-Y 'bus1.type == "msg_recv"' 2>/dev/null | sort -u | tr '\t' '>')" = \
	"load-client>load-server" ]
ok "bytes, added up by jq" [ "$(jq_sum "$dir/ndjson" msg_recv bytes)" = \
	$(($(sed -n 's/^msg_recv=//p' "$dir/counts") *
	   $(sed -n 's/^bytes=//p' "$dir/counts"))) ]

finish
