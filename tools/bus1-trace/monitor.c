// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: monitor
 *
 * Every transaction as it commits, every receipt, and what did not come to
 * pass: a row each.
 */
#include "options.h"
#include "stream.h"

#define MONITOR_EVENTS                                                      \
	(BUS1_EVENT_BIT(EV_peer_new) | BUS1_EVENT_BIT(EV_peer_name) |       \
	 BUS1_EVENT_BIT(EV_peer_free) | BUS1_EVENT_BIT(EV_handle_new) |     \
	 BUS1_EVENT_BIT(EV_tx_commit) | BUS1_EVENT_BIT(EV_msg_send) |       \
	 BUS1_EVENT_BIT(EV_msg_recv) | BUS1_EVENT_BIT(EV_msg_discard) |     \
	 BUS1_EVENT_BIT(EV_notify_send) | BUS1_EVENT_BIT(EV_notify_recv) |  \
	 BUS1_EVENT_BIT(EV_notify_drop) | BUS1_EVENT_BIT(EV_acct_reject) |  \
	 BUS1_EVENT_BIT(EV_op_fail))

static struct text_options text;

static void start(const struct stream_start *start)
{
	if (start->schema_minor < 1)
		complain("the bus1 module has trace schema 1.0: no acct_reject, and op_fail does not say which quota refused (schema 1.1)");
	if (options.json)
		json_start(start);
	else
		text_header(&text);
}

static void event(const struct item *item)
{
	if (options.json)
		json_event(item);
	else
		text_event(&text, item);
}

int verb_monitor(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ &options_filter_argp, 0, NULL, 0 },
		{ &options_events_argp, 0, NULL, 0 },
		{ &options_input_argp, 0, NULL, 0 },
		{ &options_run_argp, 0, NULL, 0 },
		{ &options_output_argp, 0, NULL, 0 },
		{ &options_payload_argp, 0, NULL, 0 },
		{ &options_common_argp, 0, NULL, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		NULL, NULL, NULL,
		"Show every transaction as it commits, every receipt, and what failed.\v"
		"Ends with Ctrl-C. Status: 0, 1 error, 2 usage, 3 events were lost.\n\n"
		"Examples:\n"
		"  bus1-trace monitor -p 4711\n"
		"  bus1-trace monitor --errors -T\n"
		"  bus1-trace monitor --min-latency 20ms -d 60\n"
		"  bus1-trace monitor -i yesterday.bus1 --peer 7 --kind message",
		children, NULL, NULL,
	};
	struct stream_verb verb = {
		.name = "monitor",
		.events = MONITOR_EVENTS,
		.required = BUS1_EVENT_BIT(EV_tx_commit) |
			    BUS1_EVENT_BIT(EV_msg_recv),
		.extent = SNAPSHOT_PEERS,
		.start = start,
		.event = event,
	};
	int status = options_parse(&argp, argc, argv);

	if (status >= 0)
		return status;
	/* each receipt that slept would have a second row */
	if (options.classes & BUS1_CLASS_WAIT)
		verb.events |= BUS1_EVENT_BIT(EV_recv_wait);
	verb.fold = !options.json;
	verb.payload = options.payload;
	text.timestamps = options.timestamps;
	text.color = text_color();
	return stream_run(&verb);
}
