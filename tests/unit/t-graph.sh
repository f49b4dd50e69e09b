#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What bus1-trace graph writes is understood by graphviz, whatever peers are
# called, and what that draws by an XML parser. Run from the top of the tree.
set -u

CC=${CC:-gcc}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trace=tools/bus1-trace
n=0

ok()
{
	n=$((n + 1))
	text=$1
	shift
	if "$@" >"$dir/log" 2>&1; then
		echo "ok $n - $text"
	else
		echo "not ok $n - $text"
		sed 's/^/# /' "$dir/log"
	fi
}

# silently COMMAND...: it has nothing to complain of
silently()
{
	"$@" >"$dir/said" 2>&1 && [ ! -s "$dir/said" ] || {
		cat "$dir/said"
		return 1
	}
}

# graphviz counts NODES and EDGES in FILE
counts()
{
	[ "$(gc "$3" | awk '{ print $1, $2 }')" = "$1 $2" ]
}

# well FILE: what is drawn is well-formed
well()
{
	python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$1"
}

# text WANTED: it can be read in the picture
text()
{
	python3 - "$dir/hostile.svg" "$1" <<-'END'
		import sys, xml.etree.ElementTree as tree
		texts = [e.text for e in tree.parse(sys.argv[1]).iter()
			 if e.tag.endswith('}text')]
		sys.exit(sys.argv[2] not in texts)
	END
}

for tool in dot gc python3; do
	command -v $tool >/dev/null || {
		echo "1..0 # SKIP $tool is not installed"
		exit 0
	}
done
if ! $CC -std=gnu11 -O1 -g -Wall -Wextra -fsanitize=address,undefined \
	-Iinclude/uapi -Iinclude -Ikmod -Ibpf -I$trace -o "$dir/graph" \
	tests/unit/graph.c $trace/graph-dot.c $trace/json.c $trace/events.c \
	>"$dir/log" 2>&1; then
	echo "Bail out! tests/unit/graph.c does not compile:"
	sed 's/^/# /' "$dir/log"
	exit 1
fi
export ASAN_OPTIONS=detect_leaks=0

"$dir/graph" >"$dir/hostile.dot"
ok "hostile names: graphviz draws it" silently dot -Tsvg \
	-o "$dir/hostile.svg" "$dir/hostile.dot"
ok "hostile names: peers and arrows are what they were" \
	counts 10 10 "$dir/hostile.dot"
ok "hostile names: the picture is XML" well "$dir/hostile.svg"
ok "a quote is one" text '"]; p1 -> p2; }#1'
ok "a backslash is one" text '\N\G\n#3'
ok "an entity is none" text '&amp;&lt;&#0;&#4'
ok "tags are none" text '<b>bold</b>#5'
ok "control characters are not there" text '?[31m???#6'
ok "nor is what is not UTF-8" text '???#7'
ok "what is, is" text 'grüß-€#9'
for peers in 0 1 2 50 500; do
	"$dir/graph" $peers >"$dir/x.dot"
	ok "$peers peers" counts $peers $peers "$dir/x.dot"
done
"$dir/graph" 50 >"$dir/x.dot"
ok "50 peers: drawn" silently dot -Tsvg -o "$dir/x.svg" "$dir/x.dot"
ok "50 peers: the picture is XML" well "$dir/x.svg"
ok "-o x.svg" silently "$dir/graph" 50 "$dir/y.svg"
ok "-o x.svg: the same picture" cmp "$dir/x.svg" "$dir/y.svg"
ok "-o x.png" silently "$dir/graph" 5 "$dir/y.png"
ok "-o x.png: is one" eval 'head -c 4 "$dir/y.png" | grep -q PNG'
PATH=/nonexistent "$dir/graph" 5 "$dir/z.svg" 2>"$dir/said"
ok "without graphviz it says what to do" grep -q "apt install graphviz" \
	"$dir/said"
"$dir/graph" 5 "$dir/no/z.svg" >"$dir/said" 2>&1
ok "where it cannot be written it fails" [ $? = 1 ]
echo "1..$n"
