#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# incident-slow.sh [SECONDS]: a publisher sends ticks to six subscribers, and not all
# confirm them in time.
# Until it is killed or SECONDS are over it prints what they complain of. The
# one to blame is written to $INCIDENT_ANSWER, a file, if that is set.
exec incident slow "$@"
