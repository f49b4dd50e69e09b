#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
#   incident-leak.sh [SECONDS]
#
# Services answer clients, and what is charged to their user grows and grows.
# Until it is killed or SECONDS are over it prints what they complain of. Who is
# to blame is written to the file $INCIDENT_ANSWER, if that is set.
exec incident leak "$@"
