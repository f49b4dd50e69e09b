/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_STREAM_H
#define _BUS1_TRACE_STREAM_H

#include "bus1-trace.h"
#include "snapshot.h"
#include "table.h"

/*
 * DOC: stream
 *
 * Events in the order of the module's stamps, live or from a recording
 * (options.input), filtered alike, and joined with a snapshot: a verb that is
 * written against this does not know which it is.
 *
 * The snapshot comes first and is taken after the stream began. So what changed
 * in between is in both; whoever keeps state joins them by identity, which is
 * never used twice: what was removed stays so. See world.h. What is seen to begin
 * is also seen to end, from the first event on (probes.c).
 */

/* What its messages, or transferred handles, say of a transaction. */
struct fold {
	uint64_t receiver; /* the first, 0 if none is known */
	uint64_t bytes;
	uint64_t handles;
};

struct item {
	struct bus1_event event;
	unsigned int n_args; /* an older module may give fewer */
	struct fold fold; /* of a tx_commit */
	struct bus1_stack *stack; /* of a handle_new, if asked for, or NULL */
	struct bus1_bytes *payload; /* of a msg_send, or folded: of the first */
};

struct stream_start {
	uint64_t time; /* CLOCK_MONOTONIC ns: all is complete from here on */
	uint64_t realtime; /* the same moment, CLOCK_REALTIME ns */
	const char *way; /* "tp_btf" or "raw_tp" */
	bool recorded;
	unsigned int schema_minor; /* of the module that is, or was, watched */
	uint32_t events; /* BUS1_EVENT_BIT() of those that can arrive */
};

struct stream_verb {
	const char *name;
	/* BUS1_EVENT_BIT() of what it needs; others do not arrive */
	uint32_t events;
	/* of these, those without which it cannot work at all */
	uint32_t required;
	enum snapshot_extent extent;
	bool fold; /* parts come within their tx_commit or receipt, not alone */
	bool stacks;
	uint32_t payload; /* bytes of each message */
	double interval; /* seconds between two ticks, 0 is none */

	/* Each may be NULL. */
	void (*start)(const struct stream_start *start);
	void (*snapshot)(const struct snapshot *snapshot);
	/* Of a recording: a line of debugfs' accounts, as they were then */
	void (*account)(const char *line);
	/* Those that pass the filter, in order. The item is freed after it. */
	void (*event)(const struct item *item);
	/*
	 * All events until @time have been handed over. The last one, of an
	 * interval that is not full, has @last set. Returns whether to go on.
	 */
	bool (*tick)(uint64_t time, bool last);
	/* At the end, before the counts. */
	void (*end)(uint64_t time);
};

/* Until the end, a signal, or options.seconds. Returns the exit status. */
int stream_run(const struct stream_verb *verb);
/* After it: what became of the events of each type, and how many a BPF program
 * did not see. */
const struct bus1_count *stream_counts(uint64_t *missed);
/* While it runs: whether events were lost until now */
bool stream_incomplete(void);
/* Ctrl-C and SIGTERM end a run well from here on. */
void stream_signals(void);
/* Whether one came */
bool stream_interrupted(void);

#define EVENTS_ALL (BUS1_EVENT_BIT(EV_MAX) - 1)

/* sort.c: from order of arrival to order of the stamps */
struct peer;

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

/* fold.c */
bool fold_part(const struct bus1_event *event);
void fold_commit(const struct bus1_event *event, struct fold *fold);

/* peers.c: who is who, also after its end */
struct peer {
	struct table_entry entry;
	uint64_t id;
	uint32_t uid, pid;
	bool has_uid, has_name;
	uint32_t bits; /* BUS1_MATCH_*, of a recording */
	char comm[COMM_LEN]; /* of the process that used it last */
	char name[NAME_LEN]; /* that the program gave it, or "" */
	struct heap receipts; /* that wait in sort.c */
	uint64_t received; /* the last receive number shown */
};

struct peer *peers_get(uint64_t id);
struct peer *peers_find(uint64_t id);
void peers_learn(const struct bus1_event *event);
/*
 * What was there before the start: names, and to @found, if set, who satisfies
 * which of the filters: BUS1_MATCH_*.
 */
void peers_learn_snapshot(const struct snapshot *snapshot,
			  void (*found)(uint64_t peer, uint32_t bits));
/* As its program calls it, or its process, or "?" */
const char *peers_name(uint64_t id);
/* Forgets the peers dead longest; @forgotten, if set, hears of each. */
void peers_bury(uint64_t id, void (*forgotten)(uint64_t id));

/* filter.c: options.* as struct bus1_filter, and what it says of a recording */
extern struct bus1_filter filter;

/* False: an option cannot be satisfied, which has been complained about. */
bool filter_make(void);
/* Live, between loading and attaching: fills the map "cgroups". 0, or -errno */
int filter_open(int map);
/* Of a recording's next event, in order of arrival: an enum bus1_verdict */
int filter_recorded(const struct bus1_event *event, unsigned int n_args);
void filter_match(uint64_t peer, uint32_t bits);
void filter_cgroup(uint64_t id, const char *path);
/* Whether options.cgroup is @path, below the root of the hierarchy, or above */
bool cgroup_fits(const char *path);
extern const struct bus1_roles event_roles[EV_MAX];

#endif /* _BUS1_TRACE_STREAM_H */
