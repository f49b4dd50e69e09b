// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "export.h"
#include "options.h"
#include "recording.h"

static const struct export_format *const formats[] = {
	&export_perfetto,
	&export_pcapng,
	&export_ndjson,
};

static const struct export_format *format;
static const char *output;
/* Where the counts go that are no part of the format */
static int counts_fd = -1, data_fd = -1;
static uint64_t ended;

size_t export_text(char *out, size_t size, const char *s, size_t max)
{
	const unsigned char *p = (const unsigned char *)s;
	const unsigned char *end = p + strnlen(s, max);
	size_t n = 0;

	while (p < end) {
		unsigned char last[8] = { 0 }, two[2];
		int length;

		/* a sequence that is cut by the end is none */
		memcpy(last, p, end - p < 4 ? end - p : 4);
		length = utf8_length(last);
		if (length == 1 && (*p < ' ' || *p == 0x7f)) {
			*last = '?';
		} else if (!length) {
			two[0] = 0xc0 | *p >> 6;
			two[1] = 0x80 | (*p & 0x3f);
			memcpy(last, two, 2);
		}
		if (n + (length ? length : 2) >= size)
			break;
		memcpy(out + n, last, length ? length : 2);
		n += length ? length : 2;
		p += length ? length : 1;
	}
	out[n] = '\0';
	return n;
}

void export_label(char *out, uint64_t peer)
{
	size_t n = export_text(out, EXPORT_LABEL - 24, peers_name(peer),
			       NAME_LEN);

	snprintf(out + n, EXPORT_LABEL - n, "#%" PRIu64, peer);
}

uint64_t export_peer(const struct bus1_event *event)
{
	switch (event->type) {
	case EV_acct_charge:
	case EV_acct_discharge:
	case EV_acct_reject:
		return event->arg[2];
	}
	return event->arg[0];
}

uint32_t export_events(void)
{
	if (options.classes & BUS1_CLASS_ACCOUNT)
		return EVENTS_ALL;
	return EVENTS_ALL & ~(BUS1_EVENT_BIT(EV_acct_charge) |
			      BUS1_EVENT_BIT(EV_acct_discharge));
}

void export_origin(struct export_origin *origin)
{
	struct recording *recording;
	struct utsname name;

	memset(origin, 0, sizeof(*origin));
	if (options.input) {
		recording = recording_open(options.input);
		if (!recording)
			return;
		export_text(origin->kernel, sizeof(origin->kernel),
			    recording_info(recording)->kernel,
			    sizeof(recording_info(recording)->kernel));
		export_text(origin->host, sizeof(origin->host),
			    recording_info(recording)->host,
			    sizeof(recording_info(recording)->host));
		recording_close(recording);
	} else if (!uname(&name)) {
		export_text(origin->kernel, sizeof(origin->kernel),
			    name.release, sizeof(name.release));
		export_text(origin->host, sizeof(origin->host), name.nodename,
			    sizeof(name.nodename));
		export_text(origin->machine, sizeof(origin->machine),
			    name.machine, sizeof(name.machine));
	}
}

/* Only now, when nothing else can fail, is an older file overwritten. */
static void run_start(const struct stream_start *start)
{
	int fd;

	counts_fd = STDERR_FILENO;
	if (output) {
		fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			  0600);
		counts_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		if (fd < 0 || counts_fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
			complain("%s: %s", output, strerror(errno));
			exit(EXIT_ERROR);
		}
		close(fd);
	}
	format->verb.start(start);
}

/* What stdio writes from here on are the counts, which others write. */
static void run_end(uint64_t time)
{
	ended = time;
	if (format->verb.end)
		format->verb.end(time);
	if (output_failed() || !format->counts)
		return;
	data_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(counts_fd, STDOUT_FILENO);
}

static void append_counts(uint32_t events)
{
	const struct bus1_count *counts;
	struct bus1_count sum = { 0 };
	uint64_t missed;
	int i;

	if (data_fd < 0 || output_failed())
		return;
	dup2(data_fd, STDOUT_FILENO);
	counts = stream_counts(&missed);
	for (i = 0; i < EV_MAX; i++) {
		if (!(events & BUS1_EVENT_BIT(i)))
			continue;
		sum.seen += counts[i].seen;
		sum.filtered += counts[i].filtered;
		sum.ring_full += counts[i].ring_full;
		sum.map_full += counts[i].map_full;
	}
	format->counts(&sum, missed, ended);
}

static bool possible(void)
{
	if (!format)
		complain("export needs a format: --format perfetto, pcapng or ndjson");
	else if (options.payload && format == &export_perfetto)
		complain("a Perfetto trace has no payload: pcapng and ndjson do");
	else if (format->binary && !output && isatty(STDOUT_FILENO))
		complain("%s is nothing to read on a terminal: give a file by -o FILE, or a pipe",
			 format->name);
	else
		return true;
	return false;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	bool ok = true;
	size_t i;

	switch (key) {
	case 'f':
		format = NULL;
		for (i = 0; i < sizeof(formats) / sizeof(*formats); i++)
			if (!strcmp(arg, formats[i]->name))
				format = formats[i];
		if (!format)
			complain("\"%s\" is not a format: perfetto, pcapng, ndjson",
				 arg);
		ok = format;
		break;
	case 'o':
		output = strcmp(arg, "-") ? arg : NULL;
		break;
	case ARGP_KEY_END:
		ok = possible();
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return options_result(ok, state);
}

int verb_export(int argc, char **argv)
{
	static const struct argp_option own[] = {
		{ "format", 'f', "FORMAT", 0, "perfetto, pcapng or ndjson", 3 },
		{ "output", 'o', "FILE", 0, "where to write it, else to standard output", 3 },
		{ 0 },
	};
	static const struct argp_child children[] = {
		{ &options_filter_argp, 0, NULL, 0 },
		{ &options_events_argp, 0, NULL, 0 },
		{ &options_payload_argp, 0, NULL, 0 },
		{ &options_input_argp, 0, NULL, 0 },
		{ &options_run_argp, 0, NULL, 0 },
		{ &options_common_argp, 0, NULL, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		own, parse, NULL,
		"Write what happens, or happened, for other programs: ui.perfetto.dev, Wireshark, or one JSON object a line.\v"
		"Ends with Ctrl-C. Status: 0, 1 error, 2 usage, 3 events were lost.\n\n"
		"Examples:\n"
		"  bus1-trace export -f perfetto -d 10 -o bus.perfetto-trace\n"
		"  bus1-trace export -f pcapng | wireshark -k -i -\n"
		"  bus1-trace export -f pcapng -i yesterday.bus1 -o bus.pcapng\n"
		"  bus1-trace export -f ndjson --peer 7 | jq .bytes",
		children, NULL, NULL,
	};
	struct stream_verb verb;
	int status = options_parse(&argp, argc, argv);

	if (status >= 0)
		return status;
	verb = format->verb;
	verb.name = "export";
	if (!verb.events)
		verb.events = export_events();
	verb.payload = options.payload;
	verb.start = run_start;
	verb.end = run_end;
	options.json = !format->binary;
	status = stream_run(&verb);
	append_counts(verb.events);
	return status;
}
