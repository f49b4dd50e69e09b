#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The headers compile alone in every language and word size they promise, and
# every number of the interface is as frozen. Run from the top of the tree.
set -u

CC=${CC:-gcc}
CXX=${CXX:-g++}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
failed=0

# check WHAT EXPECTED COMMAND...: EXPECTED is 0 (must succeed) or 1 (must fail)
check()
{
	what=$1
	expected=$2
	shift 2
	n=$((n + 1))
	if "$@" >"$dir/log" 2>&1; then got=0; else got=1; fi
	if [ "$got" = "$expected" ]; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		sed 's/^/# /' "$dir/log"
		failed=$((failed + 1))
	fi
}

c99="$CC -x c -std=c99 -pedantic -Wall -Wextra -Werror -c -o /dev/null"
cxx="$CXX -x c++ -std=c++11 -pedantic -Wall -Wextra -Werror -c -o /dev/null"
uapi="-Iinclude/uapi"

# A tree with one field moved: that the assertions can fail.
mkdir -p "$dir/bad/linux" "$dir/nr/linux"
sed 's/^\t__aligned_u64 account;/\t__u32 account;/' \
	include/uapi/linux/bus1.h >"$dir/bad/linux/bus1.h"
sed 's/BUS1_IOCTL_MAGIC, 2,/BUS1_IOCTL_MAGIC, 4,/' \
	include/uapi/linux/bus1.h >"$dir/nr/linux/bus1.h"
# The library's header, by itself and twice.
printf '#include <bus1/bus1.h>\n#include <bus1/bus1.h>\n' >"$dir/lib.c"

for m in -m64 -m32; do
	check "D29: C99 $m: the interface's numbers" 0 \
		$c99 $m $uapi tests/unit/abi.c
	check "D29: C++11 $m: the interface's numbers" 0 \
		$cxx $m $uapi tests/unit/abi.c
	check "D29: C99 $m: the library's header alone" 0 \
		$c99 $m $uapi -Iinclude "$dir/lib.c"
	check "D29: C++11 $m: the library's header alone" 0 \
		$cxx $m $uapi -Iinclude "$dir/lib.c"
	check "D29: C99 $m: a changed field is noticed" 1 \
		$c99 $m -I"$dir/bad" tests/unit/abi.c
	check "D29: C++11 $m: a changed command is noticed" 1 \
		$cxx $m -I"$dir/nr" tests/unit/abi.c
done
check "the newest C and C++: the interface's numbers" 0 \
	sh -c "$CC -x c -std=gnu2x -pedantic -Wall -Wextra -Werror -c \
		-o /dev/null $uapi tests/unit/abi.c &&
	       $CXX -x c++ -std=gnu++20 -pedantic -Wall -Wextra -Werror -c \
		-o /dev/null $uapi tests/unit/abi.c"
for f in lib/*.c; do
	check "$f compiles for 32 bit" 0 $CC -m32 -std=gnu11 -O2 -Wall -Wextra \
		-Werror $uapi -Iinclude -c -o /dev/null "$f"
done

echo "1..$n"
[ "$failed" = 0 ]
