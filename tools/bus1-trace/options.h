/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_OPTIONS_H
#define _BUS1_TRACE_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * DOC: options
 *
 * The command line of a verb is an argp parser of its own, with those of the
 * parsers below as children that it needs; they fill the one struct options.
 */
struct options {
	/* options_filter_argp */
	uint64_t pid, uid, peer, node_peer, node; /* 0 is none, uid but: */
	bool has_uid;
	const char *comm, *cgroup;
	/* options_events_argp */
	bool failures;
	uint32_t classes;
	uint64_t latency; /* ns */
	/* options_input_argp */
	const char *input; /* a recording; NULL is live */
	/* options_output_argp */
	bool json, timestamps;
	/* options_run_argp */
	double seconds;
	bool cost;
	bool raw;
	uint64_t ring_size;
	/* options_interval_argp: [INTERVAL [COUNT]] */
	double interval;
	uint64_t count;
	/* options_lines_argp */
	uint64_t lines; /* of a screen, 0 is all */
	uint64_t entries; /* of each map in the kernel */
	/* options_payload_argp */
	uint64_t payload; /* bytes */
};

extern struct options options;

extern const struct argp options_filter_argp; /* -p -u -c --comm --peer --node */
extern const struct argp options_events_argp; /* --kind --min-latency --errors */
extern const struct argp options_input_argp; /* -i */
extern const struct argp options_output_argp; /* --json -T */
extern const struct argp options_run_argp; /* -d --cost --ring-size --raw-tp */
extern const struct argp options_lines_argp; /* -n --entries */
extern const struct argp options_payload_argp; /* --payload */
extern const struct argp options_common_argp; /* -v -h: every verb */

/*
 * Parses @argv by @argp. -1: go on; else the status to exit with. Where @argp
 * takes words itself it hands them on from its own parser, by:
 */
int options_parse(const struct argp *argp, int argc, char **argv);
/* Of a parser. Not @ok has been complained about: ends with EXIT_USAGE. */
error_t options_result(bool ok, const struct argp_state *state);
/* An ARGP_KEY_ARG of a verb that takes [INTERVAL [COUNT]] */
error_t options_interval(const char *word, struct argp_state *state);
/* A number of seconds, or with suffix s, ms, us, ns */
bool parse_duration(const char *s, uint64_t *ns);

#endif /* _BUS1_TRACE_OPTIONS_H */
