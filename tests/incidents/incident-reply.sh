#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
#   incident-reply.sh [SECONDS]
#
# Clients ask a service, and one of them waits for a reply that does not come.
# Until it is killed or SECONDS are over it prints what they complain of. Who is
# to blame is written to the file $INCIDENT_ANSWER, if that is set.
exec incident reply "$@"
