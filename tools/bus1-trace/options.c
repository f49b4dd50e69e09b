// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: options
 *
 * What verbs have in common on their command lines. A word that cannot be
 * understood is an error that says what would be.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "bus1-trace.h"
#include "options.h"

/* Of a terminal that does not say */
#define LINES 24
#define INTERVAL_MIN 0.01
#define ENTRIES_MAX (1 << 20)

struct options options = {
	.ring_size = 8 << 20,
	.entries = 10240,
	.lines = UINT64_MAX, /* not given */
};

enum {
	COMM = 256,
	PEER,
	NODE,
	KIND,
	LATENCY,
	FAILURES,
	JSON,
	COST,
	RING,
	RAW,
	ENTRIES,
	PAYLOAD,
};

bool parse_duration(const char *s, uint64_t *ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {
		{ "", 1e9 },  { "s", 1e9 },  { "ms", 1e6 },
		{ "us", 1e3 }, { "ns", 1 },
	};
	char *end;
	double v = strtod(s, &end);
	size_t i;

	for (i = 0; end != s && i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].name))
			continue;
		v *= units[i].ns;
		if (!(v >= 1 && v < 1e18))
			break;
		*ns = v;
		return true;
	}
	complain("\"%s\" is not a time of at least a nanosecond: a number of seconds, or with suffix s, ms, us or ns",
		 s);
	return false;
}

/* "PEER:ID" */
static bool parse_node(const char *s)
{
	char *end;

	errno = 0;
	options.node_peer = strtoull(s, &end, 10);
	if (*s >= '0' && *s <= '9' && *end == ':' && end[1] >= '0' &&
	    end[1] <= '9') {
		options.node = strtoull(end + 1, &end, 10);
		if (!*end && !errno && options.node_peer && options.node)
			return true;
	}
	complain("\"%s\" is not a node: give the ID of the peer that owns it and its own, as in 4:1",
		 s);
	return false;
}

static bool parse_kinds(const char *s)
{
	static const struct {
		const char *name;
		uint32_t class;
	} kinds[] = {
		{ "message", BUS1_CLASS_MESSAGE },
		{ "notification", BUS1_CLASS_NOTIFICATION },
		{ "handle", BUS1_CLASS_HANDLE },
		{ "node", BUS1_CLASS_NODE },
		{ "peer", BUS1_CLASS_PEER },
		{ "account", BUS1_CLASS_ACCOUNT },
		{ "failure", BUS1_CLASS_FAILURE },
		{ "wait", BUS1_CLASS_WAIT },
	};
	const size_t n = sizeof(kinds) / sizeof(*kinds);

	for (;;) {
		size_t length = strcspn(s, ","), i;

		for (i = 0; i < n; i++)
			if (length == strlen(kinds[i].name) &&
			    !strncmp(s, kinds[i].name, length))
				break;
		if (i == n) {
			complain("\"%.*s\" is not a kind of event: message, notification, handle, node, peer, account, failure, wait",
				 (int)length, s);
			return false;
		}
		options.classes |= kinds[i].class;
		if (!s[length])
			return true;
		s += length + 1;
	}
}

static bool parse_size(const char *s, uint64_t *size)
{
	uint64_t page = sysconf(_SC_PAGESIZE), n;
	int shift = 0;
	char *end;

	errno = 0;
	n = strtoull(s, &end, 0);
	if (*end == 'K' || *end == 'M')
		shift = *end++ == 'K' ? 10 : 20;
	if (errno || *end || *s < '0' || *s > '9' || n > 1ULL << 30 >> shift ||
	    n << shift < page) {
		complain("ring size \"%s\" is not between %" PRIu64 " and 1024M",
			 s, page);
		return false;
	}
	for (*size = page; *size < n << shift; *size *= 2)
		;
	return true;
}

error_t options_result(bool ok, const struct argp_state *state)
{
	if (ok)
		return 0;
	fprintf(stderr, "Try \"%s --help\".\n", state->name);
	exit(EXIT_USAGE);
}

static error_t parse_filter(int key, char *arg, struct argp_state *state)
{
	bool ok = true;

	switch (key) {
	case 'p':
		ok = parse_number("process ID", arg, INT32_MAX,
				  &options.pid);
		if (ok && !options.pid) {
			complain("there is no process 0");
			ok = false;
		}
		break;
	case 'u':
		ok = parse_number("user ID", arg, UINT32_MAX - 1,
				  &options.uid);
		options.has_uid = true;
		break;
	case 'c':
		options.cgroup = arg;
		break;
	case COMM:
		options.comm = arg;
		if (!*arg || strlen(arg) >= COMM_LEN) {
			complain("\"%s\" is not the name of a process: 1 to %d bytes, as in /proc/PID/comm",
				 arg, COMM_LEN - 1);
			ok = false;
		}
		break;
	case PEER:
		ok = parse_number("peer ID", arg, UINT64_MAX, &options.peer);
		if (ok && !options.peer) {
			complain("there is no peer 0");
			ok = false;
		}
		break;
	case NODE:
		ok = parse_node(arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return options_result(ok, state);
}

static const struct argp_option filter_options[] = {
	{ NULL, 0, NULL, 0, "What to look at; sender, receiver or whoever acts has to fit, of several filters all:", 1 },
	{ "pid", 'p', "PID", 0, "what concerns peers that process PID opened, holds or used", 1 },
	{ "uid", 'u', "UID", 0, "what concerns peers, or accounts, of user UID", 1 },
	{ "cgroup", 'c', "PATH", 0, "processes in this control group, or below (cgroup v2)", 1 },
	{ "comm", COMM, "NAME", 0, "processes of this name", 1 },
	{ "peer", PEER, "ID", 0, "this peer", 1 },
	{ "node", NODE, "PEER:ID", 0, "this node", 1 },
	{ 0 },
};

const struct argp options_filter_argp = { filter_options, parse_filter,
					  .args_doc = NULL };

static error_t parse_events(int key, char *arg, struct argp_state *state)
{
	bool ok = true;

	switch (key) {
	case KIND:
		ok = parse_kinds(arg);
		break;
	case LATENCY:
		ok = parse_duration(arg, &options.latency);
		break;
	case FAILURES:
		options.failures = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return options_result(ok, state);
}

static const struct argp_option events_options[] = {
	{ "kind", KIND, "LIST", 0, "of message, notification, handle, node, peer, account, failure, wait", 1 },
	{ "min-latency", LATENCY, "TIME", 0, "only what took so long (1.5, 20ms, 300us)", 1 },
	{ "errors", FAILURES, NULL, 0, "only what failed, was refused or discarded", 1 },
	{ 0 },
};

const struct argp options_events_argp = { events_options, parse_events,
					  .args_doc = NULL };

static error_t parse_input(int key, char *arg, struct argp_state *state)
{
	(void)state;
	if (key != 'i')
		return ARGP_ERR_UNKNOWN;
	options.input = arg;
	return 0;
}

static const struct argp_option input_options[] = {
	{ "input", 'i', "FILE", 0, "read a recording; needs no module and no privileges", 2 },
	{ 0 },
};

const struct argp options_input_argp = { input_options, parse_input,
					 .args_doc = NULL };

static error_t parse_output(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	(void)state;
	switch (key) {
	case JSON:
		options.json = true;
		return 0;
	case 'T':
		options.timestamps = true;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option output_options[] = {
	{ "json", JSON, NULL, 0, "one JSON object a line", 3 },
	{ "timestamp", 'T', NULL, 0, "with the time of day", 3 },
	{ 0 },
};

const struct argp options_output_argp = { output_options, parse_output,
					  .args_doc = NULL };

static error_t parse_run(int key, char *arg, struct argp_state *state)
{
	bool ok = true;

	switch (key) {
	case 'd':
		ok = parse_seconds(arg, &options.seconds);
		break;
	case COST:
		options.cost = true;
		break;
	case RING:
		ok = parse_size(arg, &options.ring_size);
		break;
	case RAW:
		options.raw = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return options_result(ok, state);
}

static const struct argp_option run_options[] = {
	{ "duration", 'd', "SEC", 0, "end after SEC seconds", 2 },
	{ "cost", COST, NULL, 0, "at the end, what the BPF programs cost", 4 },
	{ "ring-size", RING, "SIZE", 0, "bytes between kernel and this program, also with suffix K or M", 4 },
	{ "raw-tp", RAW, NULL, 0, "use raw tracepoints also where the module has BTF", 4 },
	{ 0 },
};

const struct argp options_run_argp = { run_options, parse_run,
				       .args_doc = NULL };

static error_t parse_lines(int key, char *arg, struct argp_state *state)
{
	bool ok = true;

	switch (key) {
	case 'n':
		ok = parse_number("number of lines", arg, UINT32_MAX,
				  &options.lines);
		break;
	case ENTRIES:
		ok = parse_number("number of entries, 1 to 1048576", arg,
				  ENTRIES_MAX, &options.entries);
		if (ok && !options.entries) {
			complain("without entries nothing can be counted");
			ok = false;
		}
		break;
	case ARGP_KEY_END:
		if (options.lines == UINT64_MAX) {
			struct winsize size;

			options.lines = LINES;
			if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) &&
			    size.ws_row)
				options.lines = size.ws_row;
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return options_result(ok, state);
}

static const struct argp_option lines_options[] = {
	{ "lines", 'n', "N", 0, "fit into N lines; 0 shows all", 3 },
	{ "entries", ENTRIES, "N", 0, "what can be told apart in an interval (10240)", 4 },
	{ 0 },
};

const struct argp options_lines_argp = { lines_options, parse_lines,
					 .args_doc = NULL };

static error_t parse_payload(int key, char *arg, struct argp_state *state)
{
	if (key != PAYLOAD)
		return ARGP_ERR_UNKNOWN;
	return options_result(parse_number("number of bytes, at most 4096",
					   arg, BUS1_PAYLOAD_MAX,
					   &options.payload),
			      state);
}

static const struct argp_option payload_options[] = {
	{ "payload", PAYLOAD, "N", 0, "also how each message begins, N bytes: what programs told each other in confidence", 3 },
	{ 0 },
};

const struct argp options_payload_argp = { payload_options, parse_payload,
					   .args_doc = NULL };

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	switch (key) {
	case 'v':
		debug = true;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option common_options[] = {
	{ "verbose", 'v', NULL, 0, "show what libbpf says", -1 },
	{ "help", 'h', NULL, 0, "this text", -1 },
	{ 0 },
};

const struct argp options_common_argp = { common_options, parse_common,
					  .args_doc = NULL };

error_t options_interval(const char *word, struct argp_state *state)
{
	bool ok = true;

	if (state->arg_num == 0) {
		ok = parse_seconds(word, &options.interval);
		if (ok && options.interval < INTERVAL_MIN) {
			complain("an interval of %s seconds is too short: at least %g",
				 word, INTERVAL_MIN);
			ok = false;
		}
	} else if (state->arg_num == 1) {
		ok = parse_number("count", word, UINT64_MAX, &options.count);
		if (ok && !options.count) {
			complain("a count of 0 shows nothing");
			ok = false;
		}
	} else {
		return ARGP_ERR_UNKNOWN;
	}
	return options_result(ok, state);
}

int options_parse(const struct argp *argp, int argc, char **argv)
{
	static char name[64];
	error_t error;

	/* What argp calls the program: all that was typed until here */
	snprintf(name, sizeof(name), "bus1-trace %s", argv[0]);
	argv[0] = name;
	argp_err_exit_status = EXIT_USAGE;
	error = argp_parse(argp, argc, argv, ARGP_NO_HELP, NULL, NULL);
	if (error) {
		complain("%s", strerror(error));
		return EXIT_ERROR;
	}
	libbpf_quiet();
	if (options.input && (options.cost || options.raw))
		complain("--cost and --raw-tp say nothing of a recording, in which no program runs: they are ignored");
	return -1;
}
