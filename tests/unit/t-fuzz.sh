#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The recordings in tests/fuzz/seeds-trace by all verbs of bus1-trace, under ASan
# and UBSan; and with defects put into a copy of the tool it fails. Run from the
# top of the tree, after "make tools".
set -u

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
out=build/fuzz
failed=0

tests/fuzz/run-trace >"$dir/log" || failed=1
# one point each, but for the count at the end
awk '/^(not )?ok - / { sub(/ok -/, "ok " ++n " -") } /passed, / { next } 1' \
	"$dir/log"
n=$(grep -c '^\(not \)\?ok ' "$dir/log")
[ "$n" -gt 0 ] || failed=1

# Only what is changed is compiled again.
cp -a tools/bus1-trace "$dir/src"
cp -a $out/obj "$dir/obj"
find "$dir/obj" -name '*.d' -exec sed -i "s|tools/bus1-trace|$dir/src|g
	s|$out|$dir|g" {} +

# fails WHAT FILE SCRIPT TARGET: with FILE changed by sed's SCRIPT
fails()
{
	n=$((n + 1))
	sed -i "$3" "$dir/src/$2"
	if ! cmp -s "$dir/src/$2" "tools/bus1-trace/$2" &&
	   ! tests/fuzz/run-trace --src "$dir/src" --out "$dir" "$4" \
		>"$dir/log" 2>&1 && grep -q '^not ok' "$dir/log"; then
		echo "ok $n - it is found: $1"
	else
		echo "not ok $n - it is found: $1"
		tail -n 5 "$dir/log" | sed 's/^/# /'
		failed=1
	fi
	cp -a "tools/bus1-trace/$2" "$dir/src/$2"
	touch "$dir/src/$2"
}

fails "names as they are in JSON" json.c \
	"s/!n || \*p < ' ' || \*p == 0x7f/0/" ndjson
fails "names as they are in text" text.c 's/if (!length || \*p.*/if (0 \&\&/' \
	monitor
fails "a snapshot of any size" recording-read.c \
	's/r->snapshot.size > SNAPSHOT_MAX/0/' read
fails "what no integer is" bus1-trace.h 's/v < 0x1p64 ?/1 ?/' top

echo "1..$n"
[ $failed = 0 ]
