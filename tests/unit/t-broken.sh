#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The patches of tests/broken, without running any: each applies, says what it
# breaks, and is in the runner's table with a program that names the defect. Run
# from the top of the tree.
set -u -o pipefail
shopt -s nullglob

n=0 failed=0
check()
{
	local what=$1 log

	shift
	n=$((n + 1))
	if log=$("$@" 2>&1); then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		sed 's/^/# /' <<<"$log"
		failed=$((failed + 1))
	fi
}

table=$(sed -n "/^cases='/,/^'/p" tests/broken/run | grep '^[DR]')

applies()
{
	grep -qE "^$1: .{10,}" <(head -n 1 "$2") ||
		{ echo "its first line does not say what it breaks"; return 1; }
	patch -p1 --fuzz=0 --dry-run -s -f <"$2"
}

named()
{
	local patch kernel program rest source

	while read -r patch kernel program rest; do
		[ "${patch%%-*}" = "$1" ] || continue
		[ -e "tests/broken/$patch.patch" ] ||
			{ echo "no tests/broken/$patch.patch"; return 1; }
		source=tests/uapi/$program.c
		# What the host runs is named for what it checks; a race is
		# seen by whatever runs two things at once.
		[ "$kernel" = host ] || [ "$1" = RACE ] ||
			grep -q "\"[^\"]*\<$1\>[:,]" "$source" ||
			{ echo "$source does not name $1"; return 1; }
		echo "$patch"
	done <<<"$table" | grep . || { echo "no patch"; return 1; }
}

for p in tests/broken/*.patch; do
	name=${p##*/}
	name=${name%.patch}
	check "$name applies" applies "${name%%-*}" "$p"
	grep -q "^${name}[[:space:]]" <<<"$table" ||
		check "$name is in the table of tests/broken/run" false
done
for d in $(seq -f D%02g 1 30); do
	check "$d is broken somewhere, and a program names it" named "$d"
done
check 'RACE is broken somewhere' named RACE
echo "1..$n"
[ $failed -eq 0 ]
