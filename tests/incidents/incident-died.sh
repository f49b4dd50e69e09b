#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# incident-died.sh [SECONDS]: clients send reports without an error, and those of some
# are taken by nobody.
# Until it is killed or SECONDS are over it prints what they complain of. The
# one to blame is written to $INCIDENT_ANSWER, a file, if that is set.
exec incident died "$@"
