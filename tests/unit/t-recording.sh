#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# t-recording.sh [SEED]
#
# Recordings are read as they were written, and nothing in a file, whatever it
# is, does harm; a broken reader or writer is noticed. Run from the top of the
# tree. SEED makes other recordings; without, they are the same each time.
set -u

CC=${CC:-gcc}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
tool=tools/bus1-trace
files="recording-codec.c recording-read.c recording-write.c"

# build DIRECTORY PROGRAM WARNINGS: of the files in that directory
build()
{
	$CC -std=gnu11 -D_GNU_SOURCE -O1 -g $3 \
		-fsanitize=address,undefined -fno-sanitize-recover=all \
		-I$tool -Iinclude/uapi -Ikmod -Ibpf -Itests/uapi -o "$2" \
		tests/unit/recording.c "$1"/recording-*.c $tool/snapshot.c \
		-lz -pthread
}

if ! build $tool "$dir/recording" "-Wall -Wextra -Werror" \
	>"$dir/log" 2>&1; then
	echo "Bail out! tests/unit/recording.c does not compile:"
	sed 's/^/# /' "$dir/log"
	exit 1
fi
mkdir "$dir/work" "$dir/changed"
"$dir/recording" "$dir/work" "$@" >"$dir/log" 2>&1
status=$?
grep -v '^1\.\.' "$dir/log"
n=$(grep -c '^\(not \)\?ok ' "$dir/log")
failed=$(grep -c '^not ok ' "$dir/log")
if [ $status != 0 ] && [ "$failed" = 0 ]; then
	echo "Bail out! recording ended with status $status"
	exit 1
fi

n=$((n + 1))
if tests/unit/recording.py "$dir/work/whole" >"$dir/read" 2>"$dir/log" &&
   cmp "$dir/read" "$dir/work/written" >>"$dir/log" 2>&1; then
	echo "ok $n - bus1-trace(5) says how a recording is read"
else
	echo "not ok $n - bus1-trace(5) says how a recording is read"
	tail -n 5 "$dir/log" | sed 's/^/# /'
	failed=$((failed + 1))
fi

# mutant WHAT SCRIPT: it fails with the sources changed by sed's SCRIPT
mutant()
{
	n=$((n + 1))
	same=1
	for f in $files; do
		sed "$2" $tool/$f >"$dir/changed/$f"
		cmp -s $tool/$f "$dir/changed/$f" || same=
	done
	if [ -n "$same" ]; then
		echo "nothing was changed: adapt the script to the sources"
	elif ! build "$dir/changed" "$dir/mutant" -w; then
		echo "it does not compile"
	else
		rm -rf "$dir/work"
		mkdir "$dir/work"
		timeout 60 "$dir/mutant" "$dir/work" 1 9
		echo "status $?"
	fi >"$dir/log" 2>&1
	if grep -q '^not ok\|^==.*Sanitizer\|runtime error:' "$dir/log" &&
	   grep -qx 'status 1' "$dir/log"; then
		echo "ok $n - it is noticed that $1"
	else
		echo "not ok $n - it is noticed that $1"
		tail -n 20 "$dir/log" | sed 's/^/# /'
		failed=$((failed + 1))
	fi
}

mutant "no CRC is checked" 's/crc != crc32(.*))/crc == 1)/'
mutant "a stack may have any length" 's/n > BUS1_STACK_MAX)/n > UINT32_MAX)/'
mutant "a payload may have any length" 's/n > BUS1_PAYLOAD_MAX)/n > SIZE_MAX)/'
mutant "an event may have any number of arguments" 's/args > ARGS_MAX || //'
mutant "an event may have too few arguments" 's/args <= format->time/0/'
mutant "a task may have any number" 's/number > b->n_tasks || //'
mutant "a process' name may have any length" 's/n >= sizeof(task->comm)/0/'
mutant "an event may be of any type" 's/number >= part->n_types/0/'
mutant "a frame may be of any length" 's/ || n > FRAME_MAX//'
mutant "a difference is taken from another type" 's/last\[number\]/last[0]/'
mutant "the limit does not count what is written next" \
	's/r->size + n <= r->part_max/r->size <= r->part_max/'
mutant "what the kernel has not handed over is counted" \
	's/kind == FRAME_BASE ?/0 \&\& kind == FRAME_BASE ?/'
mutant "each part has its snapshot" \
	'/^static int read_snapshot/,/^}/s/r->part != r->first/0/'
mutant "a gap between parts goes unnoticed" \
	'/^static int cut_off/,/^}/s/r->part < r->last/0/'
mutant "any file may be overwritten" 's/^		       -EEXIST;/		       1;/'

echo "1..$n"
[ "$failed" = 0 ]
