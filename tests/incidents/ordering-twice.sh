#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
#   ordering-twice.sh [fixed]
#
# Two services that are told the same come to different ends.
# Prints what the user sees; status 1 if that is a reason to complain. "fixed"
# is the same without the bug.
exec ordering twice "$@"
