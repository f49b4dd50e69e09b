#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
#   ordering-reply.sh [fixed]
#
# The reply that an app waits for overtakes a signal from another peer.
# Prints what the user sees; status 1 if that is a reason to complain. "fixed"
# is the same without the bug.
exec ordering reply "$@"
