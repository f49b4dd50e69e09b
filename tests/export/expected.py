# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of what was found with what there is to be found."""
import sys


class Expected:
    """The lines key=value of make-recording, or trace-load."""

    def __init__(self, path):
        self.values = {}
        self.bad = 0
        with open(path, encoding="utf-8") as file:
            for line in file:
                key, _, value = line.strip().partition("=")
                self.values[key] = int(value)

    def get(self, *keys):
        return sum(self.values.get(key, 0) for key in keys)

    def equal(self, what, found, wanted):
        if found != wanted:
            print(f"{what}: {found!r}, not {wanted!r}")
            self.bad += 1

    def true(self, what, holds):
        self.equal(what, bool(holds), True)

    def finish(self):
        sys.exit(1 if self.bad else 0)
