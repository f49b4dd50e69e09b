#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# defects.sh [SECONDS]
#
# Negative controls: what the stress of the order does not find in a module that
# is broken on purpose proves nothing about one that is not. The module has to be
# built with CONFIG_BUS1_DEFECTS. Each of its defects is to be found within
# SECONDS (10), by the violation that it is made for; and without one, nothing.
. "$(dirname "$0")/trace-tap.sh"

limit=${1:-10}
defect=/sys/module/bus1/parameters/defect
if [ ! -e $defect ]; then
	echo "Bail out! this bus1 has no defects: load build/kmod/defects/bus1.ko"
	exit 1
fi

# found NUMBER NAME VIOLATION
found()
{
	echo "$1" >$defect
	order -d "$limit" >"$dir/out"
	echo 0 >$defect
	after=$(sed -n 's/.* failed, in \([0-9.]*\) s.*/\1/p' "$dir/out")
	ok "defect $1, $2: order finds $3, after ${after:-?} s" \
		grep -q "^not ok .* order: $3: [1-9]" "$dir/out"
	sed -n "/^# $3: /{p;n;/^#   /p;q}" "$dir/out"
	grep -E '^(not ok|Bail)' "$dir/out" | sed 's/^/# /'
}

ok "no defect: order finds nothing in $limit s" eval \
	'order -d "$limit" >"$dir/out" || ! sed "s/^/# /" "$dir/out"'
found 1 publish "causal order"
found 2 judge "causal order"
found 3 hold "lost messages (atomicity)"
found 4 bound "agreement of multicasts"
found 5 keep "causal order"
found 6 draw "agreement of multicasts"
plan
