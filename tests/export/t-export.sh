#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace export of recordings that were made up: hostile names, losses, no
# event at all, a million. Needs no guest.
set -u
. tests/export/export-tap.sh

# The objects of the tool, of which the linker takes what writes recordings
if ! { ar rcs "$dir/tool.a" "$objects"/*.o &&
       ${CC:-gcc} -std=gnu11 -O2 -Wall -Wextra -Iinclude/uapi -Ikmod -Ibpf \
		-Itools/bus1-trace -o "$dir/make-recording" \
		$here/make-recording.c "$dir/tool.a" -lbpf -lelf -lz; } \
		>"$dir/log" 2>&1; then
	echo "Bail out! make-recording cannot be built; run make tools first:"
	sed 's/^/# /' "$dir/log"
	exit 1
fi

make_recording()
{
	"$dir/make-recording" "$dir/$1.bus1" "$2" "$3" "$4" >"$dir/$1.counts"
}

make_recording names 2000 7 3
check_formats 3 "$dir/names.bus1" "$dir/names.counts"
ok "bytes that are no UTF-8 are kept as characters" sh -c \
	"capinfos -M '$dir/pcapng' | grep -q 'events of hÿ,'"
ok "no control character in ndjson" \
	[ "$(tr -d '\n -\377' <"$dir/ndjson" | wc -c)" = 0 ]

make_recording nothing 0 1 0
check_formats 0 "$dir/nothing.bus1" "$dir/nothing.counts"

# Nothing of it can be, and yet it is written so that others can read it.
make_recording nonsense 20000 0 1
ok "nonsense: ndjson" export_to 3 ndjson "$dir/nonsense.bus1" "$dir/file"
ok "nonsense: as the schema has it" \
	python3 $here/schema.py $schema "$dir/file"
ok "nonsense: perfetto" export_to 3 perfetto "$dir/nonsense.bus1" "$dir/file"
ok "nonsense: protoc decodes it" sh -c \
	"protoc --decode=public.Trace -I $here public.proto <'$dir/file' >'$dir/out'"
ok "nonsense: pcapng" export_to 3 pcapng "$dir/nonsense.bus1" "$dir/file"
ok "nonsense: tshark dissects it" [ "$(tshark -2 -n -X lua_script:$lua \
	-r "$dir/file" -T fields -e bus1.malformed -e bus1.unknown \
	-e _ws.lua.error 2>/dev/null | tr -d '\t\n')" = "" ]

# To standard output: the counts are elsewhere, and the data the same
"$trace" export -f pcapng -i "$dir/names.bus1" >"$dir/out" 2>"$dir/err"
"$trace" export -f pcapng -i "$dir/names.bus1" -o "$dir/file" >"$dir/counts"
ok "to standard output as into a file" cmp "$dir/out" "$dir/file"
ok "the counts beside it" cmp "$dir/err" "$dir/counts"
ok "and they are counts" grep -q '^msg_recv' "$dir/counts"
"$trace" export -f perfetto -i "$dir/names.bus1" -o "$dir/file" >/dev/null
ok "the same export twice is the same" sh -c \
	"'$trace' export -f perfetto -i '$dir/names.bus1' 2>/dev/null |
	 cmp - '$dir/file'"

export_to 3 ndjson "$dir/names.bus1" "$dir/peer" --peer 3 --kind message
ok "filters" [ "$(jq -r 'select(.time and .type != "start") |
	if .peer == 3 or .receiver == 3 then "fits"
	elif .type == "tx_commit" then "by a part" else .type end' \
	"$dir/peer" | sort -u | tr '\n' ,)" = "by a part,fits," ]
export_to 3 pcapng "$dir/names.bus1" "$dir/account" --kind account
ok "charges if they are asked for" [ "$(tshark -n -X lua_script:$lua \
	-r "$dir/account" -Y 'bus1.type == "acct_charge"' 2>/dev/null |
	wc -l)" = "$(sed -n 's/^acct_charge=//p' "$dir/names.counts")" ]

# Whatever is in a packet, the dissector does not break.
dissect()
{
	tshark -2 -n -X lua_script:$lua -r "$1" -T fields -E occurrence=f \
		-e bus1.malformed -e bus1.unknown -e _ws.lua.error 2>/dev/null
}
for length in 10 119 125 150; do
	editcap -s $length "$dir/account" "$dir/cut"
	ok "packets cut to $length bytes are malformed" \
		[ "$(dissect "$dir/cut" | tr '\t' . | sort -u)" = 1.. ]
done
for seed in 1 2 3; do
	editcap --seed $seed -E 0.05 "$dir/account" "$dir/noise" >"$dir/log" 2>&1
	dissect "$dir/noise" >"$dir/noisy"
	ok "bytes changed at random, $seed: most packets are odd" \
		[ "$(grep -c 1 "$dir/noisy")" -gt 20 ]
	ok "and the dissector has no error" [ -z "$(cut -f 3 "$dir/noisy" |
		tr -d '\n')" ]
done

# What cannot be is refused, and an older file stays
echo kept >"$dir/kept"
refused()
{
	"$trace" export "$@" >"$dir/log" 2>"$dir/err" </dev/null
	[ $? -eq "$status" ] && [ "$(cat "$dir/kept")" = kept ] &&
		[ ! -s "$dir/log" ]
}
status=2
ok "no format" refused -i "$dir/names.bus1" -o "$dir/kept"
ok "an unknown one" refused -f xml -i "$dir/names.bus1" -o "$dir/kept"
ok "which says what there is" grep -q 'perfetto, pcapng, ndjson' "$dir/err"
ok "payload in a Perfetto trace" refused -f perfetto --payload 8 \
	-i "$dir/names.bus1" -o "$dir/kept"
status=1
ok "no recording" refused -f pcapng -i "$dir/none" -o "$dir/kept"
ok "a directory to write to" refused -f pcapng -i "$dir/names.bus1" -o "$dir"
"$trace" export -f pcapng -i "$dir/names.bus1" >/dev/full 2>"$dir/err"
ok "a full disk" [ $? -eq 1 ]
ok "which is said" grep -q 'No space left' "$dir/err"

# A million events in the memory of some thousand
make_recording million 1000000 50 0
for format in perfetto pcapng ndjson; do
	ok "$format: a million events in 80 MB of address space" sh -c \
		"ulimit -v 80000 && exec '$trace' export -f $format \
		 -i '$dir/million.bus1' -o '$dir/million'"
	rm -f "$dir/million"
done

finish
