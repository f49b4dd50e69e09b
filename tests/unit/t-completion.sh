#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# bash completes bus1-trace: all of its verbs, all options of each, and their
# values. Run from the top of the tree, after "make tools".
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"; kill $holder 2>/dev/null' EXIT
tool=$PWD/build/bin/bus1-trace
n=0
failed=0
holder=

is()
{
	n=$((n + 1))
	if [[ $2 = "$3" ]]; then
		echo "ok $n - $1"
	else
		failed=1
		echo "not ok $n - $1"
		echo "# got \"$2\", wanted \"$3\""
	fi
}

# complete_words WORD...: what completes the last of them
complete_words()
{
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	_bus1_trace "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
	printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' ' | sed 's/ $//'
}

# It asks readline for something, which is not here.
compopt()
{
	:
}

[[ -x $tool ]] || { echo "Bail out! no $tool: make tools"; exit 1; }
. tools/bus1-trace/completion.bash
is "bash is told" "$(complete -p bus1-trace)" \
	"complete -F _bus1_trace bus1-trace"

verbs=$("$tool" --help | sed -n 's/^  \([a-z][a-z]*\)  *.*/\1/p' | sort |
	tr '\n' ' ' | sed 's/ $//')
is "every verb" "$(complete_words "$tool" '' | tr ' ' '\n' | grep -v ^- |
	tr '\n' ' ' | sed 's/ $//')" "$verbs"
is "a verb begun" "$(complete_words "$tool" doc)" doctor
is "an option before the verb" "$(complete_words "$tool" --ver)" --version
for verb in $verbs; do
	# Whatever looks like an option at the begin of a line of the help
	is "every option of $verb" "$(complete_words "$tool" "$verb" -)" \
		"$("$tool" "$verb" --help |
		   sed -nE 's/^ {2,6}(-[^=[]*([=[]|  |$)).*/\1/p' |
		   grep -oE -e '-(-[a-z0-9-]+|[a-zA-Z?])(,|=|\[| |$)' |
		   tr -d ',=[ ' | sort -u | tr '\n' ' ' | sed 's/ $//')"
done
is "an option begun" "$(complete_words "$tool" monitor --dur)" --duration

touch "$dir/one.bus1" "$dir/other.bus1"
cat >"$dir/bus1-trace" <<'END'
#!/bin/sh
cat <<TXT
Usage: bus1-trace verb [OPTION]... [FILE]

  -i, --input=FILE           read a recording
  -n, --lines=N              so many
  -o, --objects              with objects
      --kind=LIST            of message, notification,
                             handle
      --by=WHAT              tell apart by peer, node or uid of whom, and so
                             on, if need be
      --comm=NAME            of that name
      --peer=ID              that one
  -p, --pid=PID              that one
TXT
END
chmod +x "$dir/bus1-trace"
stub=$dir/bus1-trace
is "a file, after the short option" \
	"$(complete_words "$stub" verb -i "$dir/on")" "$dir/one.bus1"
is "a file, after the long option" \
	"$(complete_words "$stub" verb --input = "$dir/ot")" "$dir/other.bus1"
is "a file, by itself" "$(complete_words "$stub" verb "$dir/on")" \
	"$dir/one.bus1"
is "one of a list" "$(complete_words "$stub" verb --kind '')" \
	"handle message notification"
is "one of a list, after =" "$(complete_words "$stub" verb --kind = not)" \
	"notification"
is "one of a choice" "$(complete_words "$stub" verb --by '')" "node peer uid"
is "nothing for a number" "$(complete_words "$stub" verb -n '')" ""
is "an option after one without a value" \
	"$(complete_words "$stub" verb -o --l)" --lines

# A process that holds something called bus1 stands in for one with a peer.
touch "$dir/bus1"
cp "$(command -v sleep)" "$dir/\$(touch x)"
(cd "$dir" && exec "./\$(touch x)" 600 3<bus1) &
holder=$!
until grep -q touch /proc/$holder/comm; do
	sleep 0.1
done
is "a process that has a peer" \
	"$(complete_words "$stub" verb -p '' | tr ' ' '\n' | grep -x $holder)" \
	$holder
is "a name that is none of a command" \
	"$(cd "$dir" && complete_words "$stub" verb --comm '' | grep -c touch
	   ls "$dir/x" 2>/dev/null)" 1
is "the same, quoted" \
	"$(complete_words "$stub" verb --comm '\$\(touch')" '\$\(touch\ x\)'
cat >"$dir/peers" <<'END'
bus1-peers schema=1.2 time=5 peers=2
peer id=14 uid=1000 pid=7 created=1 name=a
peer id=9 uid=0 pid=8 created=2 name=id=5
END
is "the IDs in a list of peers" \
	"$(_bus1_trace_column id <"$dir/peers" | tr '\n' ' ')" "9 14 "
is "the users in a list of peers" \
	"$(_bus1_trace_column uid <"$dir/peers" | tr '\n' ' ')" "0 1000 "
_bus1_trace_peers()
{
	printf '%s\n' 3 14 15
}
is "a peer" "$(complete_words "$stub" verb --peer 1)" "14 15"
is "a peer, after =" "$(complete_words "$stub" verb --peer '=')" "14 15 3"
echo "1..$n"
exit $failed
