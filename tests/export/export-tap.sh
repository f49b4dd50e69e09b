# SPDX-License-Identifier: GPL-2.0-only
# For the tests of bus1-trace export, on the host, from the top of the tree: TAP,
# and the comparison of the three formats with each other and with counts.

trace=${BUS1_TRACE:-build/bin/bus1-trace}
objects=${BUS1_OBJECTS:-build/obj/tools/bus1-trace}
here=tests/export
lua=tools/bus1-trace/wireshark/bus1.lua
schema=tools/bus1-trace/bus1-trace.schema.json
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
dir=$(mktemp -d) || exit 1
n=0
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

# ok TEXT COMMAND...
ok()
{
	text=$1
	shift
	n=$((n + 1))
	if "$@" >"$dir/log" 2>&1; then
		echo "ok $n - $text"
	else
		echo "not ok $n - $text"
		echo "# failed: $*"
		head -n 20 "$dir/log" | sed 's/^/# /'
	fi
}

finish()
{
	echo "1..$n"
}

for program in tshark capinfos editcap protoc jq python3; do
	command -v $program >/dev/null && continue
	echo "1..0 # SKIP $program is not installed"
	exit 0
done
if ! python3 -c 'import jsonschema' 2>/dev/null; then
	echo "1..0 # SKIP python3-jsonschema is not installed"
	exit 0
fi

# export STATUS FORMAT RECORDING FILE [OPTION]...: its exit status has to be that
export_to()
{
	status=$1 format=$2 recording=$3 file=$4
	shift 4
	"$trace" export -f "$format" -i "$recording" -o "$file" "$@" \
		>"$file.counts"
	[ $? -eq "$status" ]
}

# Of all records of a type
jq_count()
{
	jq -s "map(select(.type == \"$2\")) | length" "$1"
}

jq_sum()
{
	jq -s "map(select(.type == \"$2\") | .$3) | add // 0" "$1"
}

# check_formats STATUS RECORDING COUNTS: what is in it, as three readers see it
check_formats()
{
	status=$1 recording=$2 counts=$3
	ok "ndjson" export_to "$status" ndjson "$recording" "$dir/ndjson"
	ok "perfetto" export_to "$status" perfetto "$recording" "$dir/perfetto"
	ok "pcapng" export_to "$status" pcapng "$recording" "$dir/pcapng"

	ok "ndjson: as the schema has it" \
		python3 $here/schema.py $schema "$dir/ndjson"
	for type in msg_send msg_recv msg_discard notify_send notify_recv \
	    notify_drop tx_commit op_fail peer_new peer_free; do
		grep -q "^$type=" "$counts" || continue
		ok "ndjson: $type as often as it happened" \
			[ "$(jq_count "$dir/ndjson" $type)" = \
			  "$(sed -n "s/^$type=//p" "$counts")" ]
	done
	ok "perfetto: slices, flows and counters as public.proto reads them" \
		python3 $here/perfetto.py "$dir/perfetto" "$counts"

	# charges are not in it, and so not in its counts
	lost=$(jq -s 'map(select(.type == "count" and
		(.of | test("acct_(dis)?charge") | not))
		| .ring_full + .map_full) | add' "$dir/ndjson")
	cp "$counts" "$dir/expected"
	echo "lost_here=$lost" >>"$dir/expected"
	ok "pcapng: packets, interfaces and counts as tshark reads them" \
		python3 $here/pcapng.py "$dir/pcapng" "$dir/ndjson" \
		"$dir/expected" $lua
	ok "pcapng: capinfos reads it" sh -c \
		"capinfos -M -c '$dir/pcapng' | grep -q 'Number of packets'"
}
