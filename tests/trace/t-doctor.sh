#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bus1-trace doctor, and what the other verbs say where something is missing.
. "$(dirname "$0")/trace-tap.sh"

schema=/sys/class/misc/bus1/trace_schema

doctor()
{
	bus1-trace doctor "$@" >"$dir/out" 2>&1
	status=$?
}

says()
{
	grep -q -- "$1" "$dir/out"
}

doctor
is "all is well: status 0" $status 0
is "all is well: it says so" "$(tail -n 1 "$dir/out")" "All is well."
is "all is well: nothing else" "$(grep -c -v '^ok ' "$dir/out")" 1
ok "it attached" says '^ok    attach       by tp_btf$'
ok "it attached without BTF" says '^ok    attach       by raw_tp$'
doctor --json
is "json: nothing bad" "$(lines doctor '"warn":0,"bad":0')" 1
is "json: the module's BTF" \
	"$(lines check '"module BTF","verdict":"ok","found":"present"')" 1

su user -c 'bus1-trace doctor' >"$dir/out" 2>&1
is "a user: status 1" $? 1
ok "a user: the mend" says '-> run as root, or with CAP_BPF and CAP_PERFMON$'

chmod 0660 /dev/bus1
su user -c 'bus1-trace doctor' >"$dir/out" 2>&1
chmod 0666 /dev/bus1
ok "a device not for all: it says for whom" says \
	'-> it is for user root (0), group root (0), mode 0660: '

umount /sys/kernel/debug
umount /sys/kernel/tracing
doctor
is "no tracefs, no debugfs: only warnings" $status 0
ok "no tracefs: the mend" says '-> mount -t tracefs tracefs /sys/kernel/tracing'
ok "no debugfs: the mend" says '-> mount -t debugfs debugfs /sys/kernel/debug'
mount -t debugfs debug /sys/kernel/debug
mount -t tracefs trace /sys/kernel/tracing

# A module of another time
echo 2.0 >"$dir/schema"
mount -o bind "$dir/schema" $schema
doctor
is "another major: status 1" $status 1
ok "another major: found" says '^bad   schema       module 2.0, bus1-trace 1\.'
for verb in monitor acct status; do
	bus1-trace $verb >"$dir/out" 2>&1
	is "another major: $verb refuses" $? 1
	ok "another major: $verb says why" says \
		'module has trace schema 2.0, this bus1-trace reads 1.x'
done
echo 1.99 >"$dir/schema"
doctor
is "a newer minor is fine" $status 0
echo 1.0 >"$dir/schema"
doctor
is "an older minor: only a warning" $status 0
ok "an older minor: what is missing" says \
	'^warn  schema       module 1.0, .* no refusals, acct does not work$'
bus1-trace acct >"$dir/out" 2>&1
is "an older minor: acct refuses" $? 1
ok "an older minor: acct says why" says 'trace schema 1.0, which lacks events that acct needs'
for option in "" --raw-tp; do
	monitor_start --json $option
	until_true test -s "$dir/out" # it complained before
	trace-load >"$dir/load"
	monitor_end INT
	is "an older minor: monitor works $option" $status 0
	is "an older minor: every failure $option" "$(lines op_fail)" \
		"$(said op_fail)"
	is "an older minor: with what it has $option" \
		"$(lines op_fail '"owner"')" 0
	ok "an older minor: it says what is missing $option" grep -q \
		'trace schema 1.0: no acct_reject' "$dir/err"
done
echo nonsense >"$dir/schema"
bus1-trace status >"$dir/out" 2>&1
is "no version at all is not" $? 1
umount $schema

# No module; BPF lets go of it some time after the last program is gone.
if [ -r /run/module.ko ]; then
	ok "the module can be unloaded" until_true rmmod bus1
	doctor
	is "no module: status 1" $status 1
	ok "no module: the mend" says '-> modprobe bus1, or insmod bus1.ko$'
	for verb in monitor acct status; do
		bus1-trace $verb >"$dir/out" 2>&1
		is "no module: $verb: status 1" $? 1
		is "no module: $verb says what to do" "$(cat "$dir/out")" \
			'bus1-trace: the bus1 module is not loaded: load it with "modprobe bus1" (or insmod bus1.ko)'
	done
	insmod /run/module.ko
	is "and back" $? 0
fi

# The command line
bus1-trace >"$dir/out" 2>&1
is "no verb is a usage error" $? 2
bus1-trace nonsense >"$dir/out" 2>&1
is "an unknown verb is one" $? 2
ok "an unknown verb is named" says 'unknown verb "nonsense"'
bus1-trace --version >"$dir/out"
is "--version" $? 0
ok "--version has the schema" says '^bus1-trace [0-9.]*, trace schema 1\.[0-9]*$'
bus1-trace --help >"$dir/out"
is "--help" $? 0
for verb in monitor acct status doctor; do
	ok "--help lists $verb" says "^  $verb "
done
for verb in monitor acct status doctor; do
	bus1-trace $verb --help >"$dir/out" 2>&1
	is "$verb --help" $? 0
	ok "$verb --help shows how" says "^Usage: bus1-trace $verb "
	bus1-trace $verb --nonsense >"$dir/out" 2>&1
	is "$verb --nonsense is a usage error" $? 2
done
plan
