#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
#   incident-slow.sh [SECONDS]
#
# A publisher sends ticks to six subscribers, and not all confirm them in time.
# Until it is killed or SECONDS are over it prints what they complain of. Who is
# to blame is written to the file $INCIDENT_ANSWER, if that is set.
exec incident slow "$@"
