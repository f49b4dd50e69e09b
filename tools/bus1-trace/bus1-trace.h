/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_TOOL_H
#define _BUS1_TRACE_TOOL_H

/*
 * DOC: bus1-trace
 *
 * One file a verb (monitor.c, acct.c and what acct.h names, status.c, doctor.c);
 * shared parts:
 *
 *   system.c    what this machine offers: module, schema, BTF, privileges
 *   probes.c    the BPF programs: loaded, attached, counted
 *   count.c     what became of all events
 *   events.c    the events' and their arguments' names
 *   peers.c     which process is behind which peer
 *   order.c     from order of arrival to order of the module's stamps
 *   fold.c      the messages of a transaction, until it commits
 *   text.c      rows for people
 *   json.c      records for programs
 *   snapshot.c  all peers as they are now
 */
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include "bus1_event.h"
#include "trace_abi.h"

#define COMM_LEN 16

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
int verb_acct(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int bad_arguments(const char *verb, const char *extra);
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
bool read_line(const char *path, char *line, size_t size);
void libbpf_quiet(void);
void explain_bpf(const char *verb, int error);
uint64_t now_ns(void);

/* probes.c */
struct probe_options {
	uint64_t pid, uid, peer; /* filters: 0 is none, for uid has_uid says */
	bool has_uid;
	uint64_t ring_size; /* of monitor, in bytes */
	uint64_t entries; /* of acct, in each map */
};

struct probes;

struct probes *probes_attach(const struct probe_options *options, bool raw,
			     int *error);
void probes_detach(struct probes *probes);
void probes_free(struct probes *probes);
int probes_fd(struct probes *probes, const char *map);
void probes_counts(struct probes *probes, struct bus1_count *sum);
uint64_t probes_missed(struct probes *probes);

struct bpf_object;

bool tp_btf_possible(void);
void programs_choose(struct bpf_object *object, bool raw);
uint64_t programs_missed(struct bpf_object *object);
void counts_read(int map, uint32_t n, struct bus1_count *sum);

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
const char *symbol_op(uint64_t v);
const char *symbol_check(uint64_t v);
const char *symbol_resource(uint64_t v);
const char *symbol_level(uint64_t v);
const char *error_name(int error);

/* order.c */
struct peer;

/* What its messages, or transferred handles, say of a transaction. */
struct fold {
	uint64_t receiver; /* the first, 0 if none is known */
	uint64_t bytes;
	uint64_t handles;
};

struct item {
	struct bus1_event event;
	unsigned int n_args; /* an older module may give fewer */
	struct fold fold;
};

struct heap_entry {
	uint64_t key;
	uint64_t arrival;
	struct item *item;
	struct peer *peer; /* a receipt: the peer's next one goes here */
};

struct heap {
	struct heap_entry *v;
	size_t n, size;
};

struct order {
	struct heap heap;
	uint64_t arrivals;
	uint64_t newest; /* the largest stamp that arrived */
	uint64_t shown; /* the largest stamp that was shown */
	uint64_t late;
};

void order_add(struct order *order, struct item *item);
struct item *order_next(struct order *order, uint64_t until);
uint64_t event_stamp(const struct bus1_event *event);

/* peers.c */
struct peer {
	uint64_t id;
	uint32_t uid, pid;
	bool has_uid, has_name;
	bool is_of_pid; /* of -p: for acct, who looks for himself */
	char comm[COMM_LEN];
	struct heap receipts; /* that wait in order.c */
	uint64_t received; /* the last receive number shown */
	struct peer *next;
};

struct peer *peers_get(uint64_t id);
struct peer *peers_find(uint64_t id);
void peers_learn(const struct bus1_event *event);
/* What was there before the start: names, and who satisfies filters. */
void peers_learn_snapshot(const struct probe_options *options, int matches);
/* Forgets the peers dead longest; @forgotten, if set, hears of each. */
void peers_bury(uint64_t id, void (*forgotten)(uint64_t id));

/* fold.c */
bool fold_part(const struct bus1_event *event);
void fold_commit(const struct bus1_event *event, struct fold *fold);

/* text.c */
struct text_options {
	bool timestamps;
	bool color;
};

bool text_color(void);
void print_time(uint64_t ns);
/* "comm#id", in @width columns; without "#id" where there is none */
void print_peer(const char *comm, uint64_t id, int width);
/* In 5 columns: from 100000 on as K, M, G, T, P, E of 1024 */
#define AMOUNT_SIZE 16
void format_amount(char *buf, uint64_t n);
void text_header(const struct text_options *options);
void text_event(const struct text_options *options, const struct item *item);
/* At most @max characters of @s; returns how many. */
int print_safe(const char *s, int max);

/* json.c */
/* The length of the UTF-8 sequence at @s, 0 if it is none. */
int utf8_length(const unsigned char *s);
void json_string(const char *s);
void json_start(const char *way, uint64_t start, const struct timespec *wall);
void json_event(const struct item *item);
void json_pairs(const char *line);

/* snapshot.c */
struct holder {
	uint32_t pid, fd;
	char comm[COMM_LEN];
};

struct peer_state {
	uint64_t id, uid, pid, nodes, handles, queued, bytes;
	struct holder *holders;
	size_t n_holders;
	char **objects; /* lines of debugfs: its nodes and handles */
	size_t n_objects;
};

struct snapshot {
	struct peer_state *peers;
	size_t n_peers;
	uint64_t time;
	bool debugfs; /* else fdinfo */
	bool bpf; /* descriptors found by the iterator, else in /proc */
	bool initial_pids; /* /proc shows the initial PID name space */
	size_t unreadable; /* processes */
};

/* Room for one more in an array that doubles at powers of two. */
void *grow(void *array, size_t n, size_t size);
int snapshot_take(struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot);
/* Of a line of debugfs. */
uint64_t object_value(const char *line, const char *key);
void object_word(const char *line, const char *key, char *word, size_t size);

#endif /* _BUS1_TRACE_TOOL_H */
