#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The histograms of bus1-trace latency. Run from the top of the tree.
set -u

CC=${CC:-gcc}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trace=tools/bus1-trace

if ! $CC -std=gnu11 -O1 -g -Wall -Wextra -fsanitize=address,undefined \
	-Iinclude/uapi -Iinclude -Ikmod -Ibpf -I$trace -o "$dir/times" \
	tests/unit/times.c $trace/times.c >"$dir/log" 2>&1; then
	echo "Bail out! tests/unit/times.c does not compile:"
	sed 's/^/# /' "$dir/log"
	exit 1
fi
"$dir/times"
