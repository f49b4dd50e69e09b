#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
#   ordering-file.sh [fixed]
#
# Somebody learns from a file of what has not been sent yet.
# Prints what the user sees; status 1 if that is a reason to complain. "fixed"
# is the same without the bug.
exec ordering file "$@"
