#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# incident-flood.sh [SECONDS]: a service answers its clients after seconds instead of
# milliseconds.
# Until it is killed or SECONDS are over it prints what they complain of. The
# one to blame is written to $INCIDENT_ANSWER, a file, if that is set.
exec incident flood "$@"
