#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# t-quota.sh [SEED [STEPS]]
# t-quota.sh crowd [MAXIMUM]...
#
# The arithmetic of accounting obeys its rules, and a broken one is noticed. Run
# from the top of the tree. A failed run is repeated with the seed it printed;
# STEPS makes a longer one (default: 9000000, a few seconds). "crowd" prints what
# a crowd of users leaves to others, by default of both default maxima.
set -u

CC=${CC:-gcc}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
include="-Itests/unit/linux-shim -Ikmod -Itests/uapi"
n=0
failed=0

for prog in quota quota-crowd; do
	if ! $CC -std=gnu11 -O2 -Wall -Wextra -Werror $include \
		-o "$dir/$prog" tests/unit/$prog.c >"$dir/log" 2>&1; then
		echo "Bail out! tests/unit/$prog.c does not compile:"
		sed 's/^/# /' "$dir/log"
		exit 1
	fi
done
if [ "${1:-}" = crowd ]; then
	shift
	"$dir/quota-crowd" "$@"
	exit
fi

# results COMMAND...: its results are ours, with our numbers
results()
{
	"$@" >"$dir/log" 2>&1
	status=$?
	sed '/^1\.\./d' "$dir/log" | awk -v n=$n '
		/^(not )?ok / { sub(/ok [0-9]+/, "ok " ++n) }
		{ print }'
	n=$((n + $(grep -c '^\(not \)\?ok ' "$dir/log")))
	bad=$(grep -c '^not ok ' "$dir/log")
	failed=$((failed + bad))
	if [ $status != 0 ] && [ "$bad" = 0 ]; then
		echo "Bail out! ${1##*/} ended with status $status"
		exit 1
	fi
}

# mutant WHAT SCRIPT [PROGRAM]: it fails with quota.h changed by sed's SCRIPT
mutant()
{
	n=$((n + 1))
	sed "$2" kmod/quota.h >"$dir/quota.h"
	if cmp -s kmod/quota.h "$dir/quota.h"; then
		echo "nothing was changed: adapt the script to quota.h"
	elif ! $CC -std=gnu11 -O1 -I"$dir" $include -o "$dir/mutant" \
		"tests/unit/${3:-quota}.c"; then
		echo "it does not compile"
	elif [ "${3:-quota}" = quota ]; then
		timeout 60 "$dir/mutant" 1 100000
		echo "status $?"
	else
		timeout 60 "$dir/mutant"
		echo "status $?"
	fi >"$dir/log" 2>&1
	if grep -q '^not ok' "$dir/log" && grep -qx 'status 1' "$dir/log"; then
		echo "ok $n - it is noticed that $1"
	else
		echo "not ok $n - it is noticed that $1"
		sed 's/^/# /' "$dir/log"
		failed=$((failed + 1))
	fi
}

results "$dir/quota" "$@"
results "$dir/quota-crowd"

mutant "the logarithm is rounded down" \
	's/(fls64(n) + 1)/fls64(n)/'
mutant "the claimant itself is not counted" \
	's/claim->user->n + !claim->quota->held/claim->user->n/'
mutant "own and foreign are mixed up" \
	'/^static inline bool bus1_quota_pass_user/,/^}/s/!claim->for/claim->for/'
mutant "the levels of a refusal are mixed up" \
	's/return -EXFULL/return -1/; s/return -EDQUOT/return -EXFULL/
	 s/return -1;/return -EDQUOT;/'
mutant "a peer leaves others no reserve" \
	's/\*claim->trace, 2, &need/*claim->trace, 1, \&need/'
mutant "an overflow passes" \
	's/!check_mul_overflow(\*need, factor, need)/((*need *= factor), true)/'
mutant "a quota claims more than is missing" \
	's/need > left ? need - left : 0/need/'
mutant "a quota keeps one too many" \
	's/!!(claimed % quota->n)/1/'
mutant "a quota returns nothing" \
	'/^static inline void bus1_quota_give/,/^}/s/bus1_quota_trim(claim);//'
mutant "a claimant who left is still counted" \
	'/^static inline void bus1_quota_trim/,/^}/s/claim->user->n -= .*/;/'
mutant "a receipt leaves the sender's user counted" \
	's/from->user->n -= .*/;/'
mutant "a receipt does not count the receiver" \
	's/to->quota->n += .*/;/'
mutant "a receipt leaves the sender its reserve" \
	's/bus1_quota_trim(from);//'
mutant "the limit is one too high" \
	's/\*claim->trace) \/ 2;/*claim->trace) \/ 2 + 1;/'
mutant "the limit forgets what the quota has" \
	's/more -= min(more, held);//'
mutant "a crowd gets as much as each alone" \
	's/return (n + 1) \* .*/return 4;/' quota-crowd

echo "1..$n"
[ "$failed" = 0 ]
