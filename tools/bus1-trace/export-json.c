// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: NDJSON
 *
 * The records of monitor --json, of all events. bus1-trace.schema.json has
 * them, and those of all other verbs.
 */
#include "export.h"

const struct export_format export_ndjson = {
	.name = "ndjson",
	.verb = {
		.events = EVENTS_ALL,
		.extent = SNAPSHOT_PEERS,
		.start = json_start,
		.event = json_event,
	},
};
