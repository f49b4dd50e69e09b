#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
#   incident-flood.sh [SECONDS]
#
# A service answers its clients after seconds instead of milliseconds.
# Until it is killed or SECONDS are over it prints what they complain of. Who is
# to blame is written to the file $INCIDENT_ANSWER, if that is set.
exec incident flood "$@"
