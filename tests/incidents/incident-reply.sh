#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# incident-reply.sh [SECONDS]: clients ask a service, and one waits for a reply that
# does not come.
# Until it is killed or SECONDS are over it prints what they complain of. The
# one to blame is written to $INCIDENT_ANSWER, a file, if that is set.
exec incident reply "$@"
