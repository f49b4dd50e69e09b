#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What bus1-trace knows of all that there is, joined of a snapshot and of events
# in awkward orders; with address sanitizer. Run from the top of the tree.
set -u

CC=${CC:-gcc}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trace=tools/bus1-trace

if ! $CC -std=gnu11 -O1 -g -Wall -Wextra -fsanitize=address,undefined \
	-Iinclude/uapi -Iinclude -Ikmod -Ibpf -I$trace -o "$dir/world" \
	tests/unit/world.c $trace/world.c $trace/world-lines.c $trace/table.c \
	$trace/gone.c $trace/stack-set.c $trace/snapshot.c $trace/events.c \
	>"$dir/log" 2>&1; then
	echo "Bail out! tests/unit/world.c does not compile:"
	sed 's/^/# /' "$dir/log"
	exit 1
fi
# what is there at the end is not freed
ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=1 "$dir/world"
