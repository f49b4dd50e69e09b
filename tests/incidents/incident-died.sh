#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
#   incident-died.sh [SECONDS]
#
# Clients send reports without an error, and those of some are taken by nobody.
# Until it is killed or SECONDS are over it prints what they complain of. Who is
# to blame is written to the file $INCIDENT_ANSWER, if that is set.
exec incident died "$@"
