#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The module that uses bus1 from inside the kernel loads only if all it tried
# went as it should; it leaves nothing behind that would keep bus1 from going.
echo 1..2
if insmod bus1-kapi.ko; then
	echo "ok 1 - another module sends, receives and replies"
else
	echo "not ok 1 - another module sends, receives and replies"
	dmesg | grep bus1-kapi | sed 's/^/# /'
fi
if rmmod bus1_kapi && grep -q '^bus1 [0-9]* 0 ' /proc/modules; then
	echo "ok 2 - and lets go of bus1"
else
	echo "not ok 2 - and lets go of bus1"
fi
