#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# incident-leak.sh [SECONDS]: services answer clients, and what their user has charged
# to it grows and grows.
# Until it is killed or SECONDS are over it prints what they complain of. The
# one to blame is written to $INCIDENT_ANSWER, a file, if that is set.
exec incident leak "$@"
