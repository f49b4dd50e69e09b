/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_TOOL_H
#define _BUS1_TRACE_TOOL_H

/*
 * DOC: bus1-trace
 *
 * One file a verb (order: verify.c), and shared parts:
 *
 *   system.c    what this machine offers: module, schema, BTF, privileges
 *   options.c   command lines
 *   probes.c    the BPF programs: loaded, attached, counted
 *   filter.c    which events are wanted
 *   stream.c    events in order, live or from a recording
 *   count.c     what became of all events
 *   events.c    the events' and their arguments' names
 *   peers.c     which process is behind which peer
 *   sort.c      from order of arrival to order of the module's stamps
 *   fold.c      the messages of a transaction, until it commits
 *   snapshot.c  all peers as they are now
 *   world.c     all that there is, as the events go on
 *   cause.c     which call came before which, and by what chain
 *   text.c      rows for people
 *   json.c      records for programs
 */
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include "bus1_event.h"
#include "snapshot.h"
#include "trace_abi.h"

enum {
	EXIT_OK = 0,
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,
	EXIT_LOST = 3,
};

/* main.c */
extern bool debug;

__attribute__((format(printf, 1, 2))) void complain(const char *fmt, ...);
int verb_monitor(int argc, char **argv);
int verb_top(int argc, char **argv);
int verb_latency(int argc, char **argv);
int verb_order(int argc, char **argv);
int verb_handles(int argc, char **argv);
int verb_explain(int argc, char **argv);
int verb_graph(int argc, char **argv);
int verb_acct(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_record(int argc, char **argv);
int verb_report(int argc, char **argv);
int verb_export(int argc, char **argv);
int verb_doctor(int argc, char **argv);
bool output_failed(void);
bool parse_number(const char *what, const char *s, uint64_t max,
		  uint64_t *value);
bool parse_seconds(const char *s, double *seconds);

/* system.c */
struct schema {
	unsigned int major, minor;
};

bool module_loaded(void);
bool module_device(uint32_t *major, uint32_t *minor);
int module_schema(struct schema *schema);
bool module_usable(void);
unsigned int module_minor(void);
bool module_btf(void);
bool kernel_btf(void);
bool capable(int cap);
/* CPUs have numbers below it. */
uint32_t cpu_ids(void);
bool read_line(const char *path, char *line, size_t size);
void libbpf_quiet(void);
void explain_bpf(const char *verb, int error);
uint64_t now_ns(void);
/* CLOCK_MONOTONIC, and the same moment of CLOCK_REALTIME, ns */
uint64_t now_both(uint64_t *realtime);

/* probes.c: the programs of bus1_trace.bpf.c */
struct probe_options {
	uint32_t events; /* BUS1_EVENT_BIT() of each */
	uint64_t ring_size; /* bytes */
	bool cgroups, stacks;
	uint32_t payload; /* bytes */
};

struct probes;
struct bpf_object;
struct bpf_program;

/*
 * By tp_btf, or else by raw_tp (@raw says which). NULL: it has been complained
 * about.
 */
struct probes *probes_attach(const char *verb,
			     const struct probe_options *options, bool *raw);
/* By one way alone; says nothing, but sets @error to a negative errno. */
struct probes *probes_try(const struct probe_options *options, bool raw,
			  int *error);
void probes_detach(struct probes *probes);
void probes_free(struct probes *probes);
struct bpf_object *probes_object(struct probes *probes);
int probes_fd(struct probes *probes, const char *map);
void probes_counts(struct probes *probes, struct bus1_count *sum);
uint64_t probes_missed(struct probes *probes);

bool tp_btf_possible(void);
/*
 * Whether to load @program: it is of this way, and of an event and with the
 * arguments that the module has.
 */
bool program_fits(const struct bpf_program *program, bool raw);
/* Before loading what includes bus1_match.bpf.h */
void match_maps(struct bpf_object *object);
/* @peer satisfies BUS1_MATCH_*, besides what the programs know already. */
void match_peer(int matches, uint64_t peer, uint32_t bits);
uint64_t programs_missed(struct bpf_object *object);
/* Of all events and CPUs */
void counts_read(struct bpf_object *object, struct bus1_count *sum);
/* BUS1_EVENT_BIT() of those that a module of schema 1.@minor has */
uint32_t schema_events(unsigned int minor);
/* Whether the loaded one has them. If not, this complains, as does the next. */
bool module_has(const char *verb, uint32_t events);
/* Whether @verb can attach to it, with these events at least. */
bool probes_possible(const char *verb, uint32_t required);

/* count.c */
struct loss {
	uint64_t lost; /* all of it; */
	uint64_t missed; /* of that, where a BPF program did not run */
	uint64_t late; /* not lost, but shown out of order */
	bool broken; /* there is more than was counted */
};

bool count_balanced(const struct bus1_count *c, uint64_t shown);
void count_header(bool json);
void count_row(bool json, const char *event, const struct bus1_count *c,
	       uint64_t shown, struct loss *loss);
int count_summary(bool json, double seconds, const struct loss *loss,
		  const char *mend);

/* events.c */
struct field {
	const char *name;
	const char *(*symbol)(uint64_t value);
	bool is_signed;
};

struct event_info {
	const char *name;
	unsigned int time; /* which argument that is */
	unsigned int from, to; /* which arguments are peers */
	struct field field[BUS1_EVENT_ARGS];
};

extern const struct event_info event_info[EV_MAX];
/* Whether it is the process behind arg[0] that acts. */
bool event_is_own(const struct bus1_event *event);
const char *symbol_tx(uint64_t v);
const char *symbol_how(uint64_t v);
const char *symbol_why(uint64_t v);
const char *symbol_kind(uint64_t v);
const char *symbol_wait(uint64_t v);
const char *symbol_op(uint64_t v);
const char *symbol_check(uint64_t v);
const char *symbol_resource(uint64_t v);
const char *symbol_level(uint64_t v);
const char *error_name(int error);

/* text.c */
struct item;
struct text_options {
	bool timestamps;
	bool color;
};

bool text_color(void);
/* The time of day; of a recording, it has to be told first what it was. */
void print_time(uint64_t ns);
void clock_set(uint64_t monotonic, uint64_t realtime);
/* "comm#id", in @width columns; without "#id" where there is none */
void print_peer(const char *comm, uint64_t id, int width);
/* In 5 columns: from 100000 on as K, M, G, T, P, E of 1024 */
#define AMOUNT_SIZE 16
void format_amount(char *buf, uint64_t n);
/* As an integer; what no integer can be, as the nearest */
static inline uint64_t rounded(double v)
{
	v += 0.5;
	if (!(v > 0))
		return 0;
	return v < 0x1p64 ? (uint64_t)v : UINT64_MAX;
}

void text_header(const struct text_options *options);
void text_event(const struct text_options *options, const struct item *item);
/* At most @max characters of @s; returns how many. */
int print_safe(const char *s, int max);

/* json.c */
/* The length of the UTF-8 sequence at @s, 0 if it is none. */
int utf8_length(const unsigned char *s);
void json_string(const char *s);
struct stream_start;
void json_start(const struct stream_start *start);
void json_event(const struct item *item);
/* "word key=value ..." of debugfs as members */
void json_pairs(const char *line);

#endif /* _BUS1_TRACE_TOOL_H */
