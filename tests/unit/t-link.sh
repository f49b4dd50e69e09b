#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The installed library is found by pkg-config, links shared and static, and
# exports what its map says and nothing else. Run from the top of the tree.
set -u

CC=${CC:-gcc}
CXX=${CXX:-g++}
MAKE=${MAKE:-make}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
root=$dir/root
n=0
failed=0

check()
{
	what=$1
	shift
	n=$((n + 1))
	if "$@" >"$dir/log" 2>&1; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		sed 's/^/# /' "$dir/log"
		failed=$((failed + 1))
	fi
}

if ! $MAKE -s install DESTDIR="$root" PREFIX=/usr >"$dir/log" 2>&1; then
	echo "Bail out! make install DESTDIR=... PREFIX=/usr failed:"
	sed 's/^/# /' "$dir/log"
	exit 1
fi
pc=$(find "$root" -name libbus1.pc)
so=$(find "$root" -name libbus1.so.0)
ar=$(find "$root" -name libbus1.a)
if [ -z "$pc" ] || [ -z "$so" ] || [ -z "$ar" ]; then
	echo "Bail out! libbus1.pc, libbus1.so.0 or libbus1.a is not installed"
	exit 1
fi
PKG_CONFIG_LIBDIR=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$root
PKG_CONFIG_PATH=
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_PATH
# Those of the tree must not stand in for what was not installed.
cflags=$(pkg-config --cflags libbus1) || exit 1
# pkg-config leaves out /usr/include and /usr/lib, which here are not the
# system's.
cflags="$cflags -I$root/usr/include"
libs="-L$(dirname "$so") $(pkg-config --libs libbus1)"
slibs="-L$(dirname "$ar") $(pkg-config --static --libs libbus1)"
warn="-Wall -Wextra -Werror -Wno-cast-function-type"

same()
{
	sort -u "$1" >"$dir/a"
	sort -u "$2" >"$dir/b"
	diff "$dir/a" "$dir/b"
}

sed -n 's/^\t\(libbus1_[a-z0-9_]*\);$/\1/p' lib/libbus1.map >"$dir/map"
nm -D --defined-only "$so" | sed -n 's/.* //; s/@@LIBBUS1_0$//p' >"$dir/so"
nm -D --defined-only "$so" | sed 's/.* //' | grep -v '@@LIBBUS1_0$' |
	grep -vx 'LIBBUS1_0' >"$dir/unversioned"
sed -n 's/^[a-z].*[ *]\(libbus1_[a-z0-9_]*\)(.*/\1/p' \
	"$root/usr/include/bus1/bus1.h" >"$dir/header"
nm -g --defined-only "$ar" | sed -n 's/^[0-9a-f]* [A-Z] //p' |
	grep -v '^libbus1_' >"$dir/foreign"

check "the map names something" test -s "$dir/map"
check "exported is what the map says, with its version" \
	same "$dir/map" "$dir/so"
check "nothing is exported without a version" test ! -s "$dir/unversioned"
check "declared is what the map says" same "$dir/map" "$dir/header"
check "the static library has no global name of another prefix" \
	test ! -s "$dir/foreign"
check "its name is libbus1.so.0" sh -c \
	"readelf -d '$so' | grep -q 'SONAME.*\[libbus1.so.0\]'"
check "it needs the C library alone" sh -c \
	"! readelf -d '$so' | grep NEEDED | grep -v 'libc\.so\|ld-linux'"
check "the linker's name leads to it" test \
	"$(readlink -f "$(dirname "$so")/libbus1.so")" = "$(readlink -f "$so")"
check "its prefix is the one installed to" test \
	"$(pkg-config --variable=prefix libbus1)" = "$root/usr" -o \
	"$(pkg-config --variable=prefix libbus1)" = /usr
check "the version is said" sh -c "pkg-config --modversion libbus1 | grep ."

check "C, shared" \
	$CC $warn $cflags -o "$dir/shared" tests/unit/link.c $libs
check "it needs libbus1.so.0" sh -c \
	"readelf -d '$dir/shared' | grep -q 'NEEDED.*\[libbus1.so.0\]'"
check "it runs" env LD_LIBRARY_PATH="$(dirname "$so")" "$dir/shared"
check "C, static" \
	$CC $warn $cflags -static -o "$dir/static" tests/unit/link.c $slibs
check "it runs, too" "$dir/static"
check "C++, shared" \
	$CXX -x c++ $warn $cflags -o "$dir/cxx" tests/unit/link.c $libs
check "it runs, as well" env LD_LIBRARY_PATH="$(dirname "$so")" "$dir/cxx"

echo "1..$n"
[ "$failed" = 0 ]
