#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What tests/syzkaller says of the interface is what the header says, and a
# difference is noticed. Run from the top of the tree.
set -u

here=tests/syzkaller
header=include/uapi/linux/bus1.h
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0

$here/check.py >"$dir/log" || failed=1
grep -v '^1\.\.' "$dir/log"
n=$(grep -c '^\(not \)\?ok ' "$dir/log")
[ "$n" -ge 8 ] || failed=1

# noticed WHAT FILE SCRIPT: check.py fails with FILE changed by sed's SCRIPT
noticed()
{
	n=$((n + 1))
	cp $header $here/dev_bus1.txt "$dir"
	sed -i "$3" "$dir/$2"
	if ! cmp -s "$dir/$2" $header && ! cmp -s "$dir/$2" $here/$2 &&
	   ! $here/check.py "$dir/dev_bus1.txt" "$dir/bus1.h" \
		>"$dir/log" 2>&1 && grep -q '^not ok' "$dir/log"; then
		echo "ok $n - it is noticed: $1"
	else
		echo "not ok $n - it is noticed: $1"
		tail -n 5 "$dir/log" | sed 's/^/# /'
		failed=1
	fi
}

noticed "a command with another number" bus1.h 's/0x82, struct/0x84, struct/'
noticed "a flag with another value" bus1.h 's/\(FLAG_WAIT ((__u64)\)0x1/\10x2/'
noticed "a field more" bus1.h \
	's/^	__aligned_u64 ptr_src;/&\n	__aligned_u64 more;/'
noticed "a new command" bus1.h 's/^#define BUS1_CMD_CALL.*/&\n#define BUS1_CMD_MORE 1/'
noticed "two fields in another order" dev_bus1.txt \
	'/^bus1_cmd_send {/,/^}/{/n_destinations/{h;d};/ptr_errors/G}'
noticed "a field that is half as wide" dev_bus1.txt \
	's/deadline	flags\[bus1_deadlines, int64\]/deadline	flags[bus1_deadlines, int32]/'

echo "1..$n"
[ $failed = 0 ]
