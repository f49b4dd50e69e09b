#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1(4) has the table of events: each event of trace.h, with its arguments in
# their order; each command and flag; and fragments that compile. libbus1(3) has
# each function.
n=0
failed=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# check WHAT COMMAND...
check()
{
	what=$1
	shift
	n=$((n + 1))
	if "$@" >"$dir/log" 2>&1; then
		echo "ok $n - $what"
	else
		failed=1
		echo "not ok $n - $what"
		sed 's/^/# /' "$dir/log"
	fi
}

# "name: arg, arg, ..." of each event
events=$(tr -d '\n' <kmod/trace.h |
	sed 's/DEFINE_EVENT([a-z0-9_]*,/TRACE_EVENT(/g; s/[A-Z]*_EVENT[A-Z_]*(/\n&/g' |
	sed -n 's/^TRACE_EVENT([[:space:]]*\([a-z_]*\),.*TP_ARGS(\([^)]*\)).*/\1: \2/p' |
	sed 's/[[:space:]][[:space:]]*/ /g')

# the same from the page: a term, then its first indented paragraph
page=$(awk '
	/^[a-z]+_[a-z]+$/ { name = $0; args = ""; next }
	name != "" && /^  / { args = args substr($0, 2); next }
	name != "" { print name ":" args; name = "" }
' man/bus1.4.rst | sed 's/\.$//')

[ -n "$events" ] || { echo "Bail out! no events in kmod/trace.h"; exit 1; }
while IFS= read -r event; do
	n=$((n + 1))
	if printf '%s\n' "$page" | grep -qxF "$event"; then
		echo "ok $n - bus1(4) documents ${event%%:*}"
	else
		failed=1
		echo "not ok $n - bus1(4) documents ${event%%:*}"
		echo "# wanted: $event"
	fi
done <<END
$events
END

for word in $(sed -n 's/^#define \(BUS1_\(CMD\|[A-Z]*_FLAG\|FEATURE\)_[A-Z_]*\).*/\1/p' \
		include/uapi/linux/bus1.h); do
	check "bus1(4) documents $word" grep -q "$word" man/bus1.4.rst
done
for name in $(sed -n 's/^\t\(libbus1_[a-z0-9_]*\);$/\1/p' lib/libbus1.map); do
	check "libbus1(3) documents $name" grep -q "\*\*$name\*\*" \
		man/libbus1.3.rst
	check "libbus1(3) declares $name" grep -q "^  .*$name(" man/libbus1.3.rst
done

# fragment PAGE BEGINNING: the indented block with that line, to its end
fragment()
{
	awk -v begin="$2" '
		!on && /^ / && index($0, begin) { on = 1 }
		on && /^[^ ]/ { exit }
		on { print }
		END { if (!on) print "#error " begin " is not in the page" }' \
		"$1"
}

{
	printf '#include <%s>\n' bus1/bus1.h err.h errno.h stdio.h string.h \
		sys/ioctl.h
	fragment man/bus1.4.rst 'static struct bus1_message flat('
	echo '__u64 now_ns(void); uint64_t answer(struct libbus1_msg *msg);'
	echo 'void client(int peer, __u64 service) {'
	fragment man/bus1.4.rst 'struct bus1_transfer back = { BUS1_TRANSFER'
	echo '} void server(int peer) {'
	fragment man/bus1.4.rst 'struct bus1_transfer back = { 0'
	echo '} int lib_poll(void) {'
	fragment man/libbus1.3.rst 'int peer = libbus1_open()'
	echo 'return 0; } int lib_client(int peer, uint64_t service,'
	echo 'struct libbus1_msg msg, struct bus1_transfer reply) {'
	fragment man/libbus1.3.rst 'uint64_t deadline = libbus1_deadline(1000)'
	echo 'return 0; } int lib_server(int peer, struct libbus1_msg msg) {'
	fragment man/libbus1.3.rst 'uint64_t to = BUS1_INVALID;'
	echo '}'
} >"$dir/fragments.c"
check "the programs of bus1(4) and libbus1(3) compile" ${CC:-gcc} -std=gnu11 \
	-Wall -Wextra -Werror -Iinclude -Iinclude/uapi -fsyntax-only \
	"$dir/fragments.c"
echo "1..$n"
exit $failed
