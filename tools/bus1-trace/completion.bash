# SPDX-License-Identifier: GPL-2.0-only
# Completion of bus1-trace(8) for bash. Verbs and options are those that the
# program itself names, so that they are never out of date.

# The help of verb $1: each option in one line.
_bus1_trace_help()
{
	# A description that is wrapped stands deeper than any option.
	"$program" "$1" --help 2>/dev/null | awk '
		/^  (    )?-/ { printf "%s%s", n++ ? "\n" : "", $0; next }
		/^          / && n { printf " %s", $0; next }
		n { printf "\n"; n = 0 }
		END { if (n) printf "\n" }'
}

# The options of verb $1, in both forms.
_bus1_trace_options()
{
	_bus1_trace_help "$1" | sed -nE \
		's/^ +(-[^-,= ])?(, )?(--[a-z0-9-]+)?.*/\1\n\3/p' | grep .
}

# The line of the help of verb $1 about option $2.
_bus1_trace_line()
{
	_bus1_trace_help "$1" | grep -m 1 -E -e "^ +(-., )?$2([=, []|\$)"
}

# What this option's value is called: of "-p, --pid=PID  text", PID.
_bus1_trace_value()
{
	sed -nE 's/^ +(-., *)?(--[a-z0-9-]+|-.)\[?[= ]([A-Z][A-Z:]*).*/\3/p'
}

# The words that the text of an option names: "one, other or third".
_bus1_trace_choice()
{
	tr -s ' ' | grep -oE '[a-z]+(, [a-z]+)+( or [a-z]+)?' | head -n 1 |
		sed 's/ or /\n/; s/, /\n/g'
}

# Processes that have a peer open, as far as one may look.
_bus1_trace_pids()
{
	find /proc/[0-9]*/fd -maxdepth 1 -lname '*/bus1' 2>/dev/null |
		cut -d / -f 3 | uniq
}

# From a list of peers "id" or "uid" of each.
_bus1_trace_column()
{
	sed -nE "s/^peer (.* )?$1=([0-9]+)( .*|$)/\2/p" | sort -nu
}

# The same of all peers, or where only root may see them of one's own.
_bus1_trace_peers()
{
	local peers=/sys/kernel/debug/bus1/peers pid

	if [[ -r $peers ]]; then
		_bus1_trace_column "$1" <$peers
		return
	fi
	for pid in $(_bus1_trace_pids); do
		sed -nE "s/^bus1-${1/#id/peer}:[[:space:]]*([0-9]+)/\1/p" \
			/proc/"$pid"/fdinfo/* 2>/dev/null
	done | sort -nu
}

# Takes the lines that begin with $1, as they are: "compgen -W" would expand
# them, and a process can call itself what it likes.
_bus1_trace_match()
{
	local word

	while IFS= read -r word; do
		[[ -z $word || $word != "$1"* ]] || COMPREPLY+=("$word")
	done
}

_bus1_trace()
{
	local program=${COMP_WORDS[0]/#\~/$HOME} cur=${COMP_WORDS[COMP_CWORD]}
	local option verb='' line i words=''

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} = -* ]] || { verb=${COMP_WORDS[i]}; break; }
	done
	if [[ -z $verb ]]; then
		words=$("$program" --help 2>/dev/null |
			sed -nE 's/^  ([a-z]+) .*/\1/p')
		words+=$'\n--help\n--version'
		_bus1_trace_match "$cur" <<<"$words"
		return
	fi

	# "--peer 4" are two words, "--peer=4" are three.
	option=${COMP_WORDS[COMP_CWORD - 1]}
	if [[ $cur = '=' ]]; then
		cur=
	elif [[ $option = '=' ]]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if [[ $option = -* ]]; then
		line=$(_bus1_trace_line "$verb" "$option")
		case $line in
		*--peer[=\ ]*)
			words=$(_bus1_trace_peers id) ;;
		*--pid[=\ ]*)
			words=$(_bus1_trace_pids) ;;
		*--uid[=\ ]*)
			words=$(_bus1_trace_peers uid) ;;
		*--comm[=\ ]*)
			words=$(for i in $(_bus1_trace_pids); do
				{ read -r i </proc/"$i"/comm; } 2>/dev/null &&
					printf '%q\n' "$i"
			done | sort -u) ;;
		*--cgroup[=\ ]*)
			compopt -o filenames
			mapfile -t COMPREPLY < \
				<(compgen -d -- "${cur:-/sys/fs/cgroup/}")
			return ;;
		*)
			case $(_bus1_trace_value <<<"$line") in
			FILE | F | PATH)
				compopt -o filenames
				mapfile -t COMPREPLY < <(compgen -f -- "$cur")
				return ;;
			LIST | KEY | WHAT | FORMAT)
				words=$(_bus1_trace_choice <<<"$line") ;;
			'')
				option= ;; # it takes none
			esac ;;
		esac
		if [[ -n $option ]]; then
			_bus1_trace_match "$cur" <<<"$words"
			return
		fi
	fi
	if [[ -z $cur || $cur = -* ]]; then
		words=$(_bus1_trace_options "$verb")
		_bus1_trace_match "$cur" <<<"$words"
	fi
	# A word that is no option: of most verbs an interval
	if [[ $cur != -* ]] && "$program" "$verb" --help 2>/dev/null |
	   head -n 1 | grep -q FILE; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

complete -F _bus1_trace bus1-trace
