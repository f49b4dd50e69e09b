// SPDX-License-Identifier: GPL-2.0-only
/*
 * The check of bus1-trace order.
 *
 *   order [SEED]  histories made at random, of which a search through all pairs
 *                 says what is wrong with them: with all events the check finds
 *                 just that, and of those that lack events nothing else
 *   order FILE    a recording, of lines of standard input:
 *                   EVENT TID ARGUMENT...
 *                   schema MINOR    of the module; before the first event
 *                   filtered        that it was; likewise
 *                   lost EVENT N    at the end
 *                   end TIME
 */
#include <inttypes.h>
#include <string.h>
#include "recording.h"
#include "tap.h"
#include "verify.h"

#define START 1000
#define PEERS 4
#define MOST 12

bool debug;

void complain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

uint64_t now_ns(void)
{
	return 1;
}

bool module_device(uint32_t *major, uint32_t *minor)
{
	*major = *minor = 0;
	return false;
}

void descriptors_find(struct snapshot *s, uint32_t major, uint32_t minor)
{
	(void)s;
	(void)major;
	(void)minor;
}

static uint64_t seed;

static uint64_t any(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

/* A history: transactions, and who received them when */
static struct {
	uint64_t peer, tx, begun, committed;
	unsigned int n; /* receivers */
	uint64_t seq;
	bool bad; /* by the search */
	bool found; /* by the check */
} txs[MOST];

static struct {
	unsigned int tx;
	uint64_t time;
} receipts[PEERS][MOST];

static unsigned int n_txs, n_receipts[PEERS];
static uint64_t base; /* of peers: no history has those of another */

static void make_history(void)
{
	unsigned int i, p;

	base += PEERS;
	n_txs = 2 + any(MOST - 1);
	memset(txs, 0, sizeof(txs));
	memset(n_receipts, 0, sizeof(n_receipts));
	for (i = 0; i < n_txs; i++) {
		txs[i].peer = base + any(PEERS);
		txs[i].tx = i + 1;
		txs[i].begun = START + 1 + 10 * i + any(30);
		txs[i].committed = txs[i].begun + 1 + any(40);
		for (p = 0; p < PEERS; p++) {
			unsigned int at = n_receipts[p], back = any(3);

			if (any(3) == 0)
				continue;
			/* it overtakes up to two of those before it */
			for (; back && at; back--, at--)
				receipts[p][at] = receipts[p][at - 1];
			receipts[p][at].tx = i;
			n_receipts[p]++;
			txs[i].n++;
		}
	}
	for (p = 0; p < PEERS; p++) {
		uint64_t time = START;

		for (i = 0; i < n_receipts[p]; i++) {
			unsigned int x = receipts[p][i].tx;

			if (time < txs[x].begun)
				time = txs[x].begun;
			time += 1 + any(20);
			receipts[p][i].time = time;
		}
	}
	for (i = 0; i < n_txs; i++)
		txs[i].seq = txs[i].n > 1 ? 2 + any(3 * MOST) : 0;
}

static uint64_t known(unsigned int x)
{
	uint64_t time = txs[x].committed;
	unsigned int p, i;

	for (p = 0; p < PEERS; p++)
		for (i = 0; i < n_receipts[p]; i++)
			if (receipts[p][i].tx == x && receipts[p][i].time < time)
				time = receipts[p][i].time;
	return time;
}

static unsigned int disagreements;

static void search(void)
{
	unsigned int p, i, j;

	for (p = 0; p < PEERS; p++) {
		uint64_t largest = 0;

		for (i = 0; i < n_receipts[p]; i++) {
			unsigned int x = receipts[p][i].tx;

			for (j = 0; j < i; j++)
				if (known(x) < txs[receipts[p][j].tx].begun)
					txs[x].bad = true;
			if (!txs[x].seq)
				continue;
			if (txs[x].seq <= largest)
				disagreements++;
			else
				largest = txs[x].seq;
		}
	}
}

static unsigned int wrong, more, disagreed;
static bool losing;

/* Is it there, and is it as it says? */
static void found(const struct violation *v)
{
	unsigned int p = v->peer - base, x = v->cause.tx - 1;
	unsigned int y = v->effect.tx - 1, i = v->cause.recv - 1;
	unsigned int j = v->effect.recv - 1;

	if (p >= PEERS || i >= n_receipts[p] || j >= i ||
	    receipts[p][i].tx != x || receipts[p][j].tx != y ||
	    v->cause.peer != txs[x].peer || v->effect.peer != txs[y].peer) {
		wrong++;
		return;
	}
	if (v->rule == VERIFY_AGREEMENT) {
		disagreed++;
		wrong += txs[x].seq > txs[y].seq;
		return;
	}
	/* what was forgotten, or not kept, may be found once more */
	if ((txs[x].found && !losing) ||
	    v->begun != txs[y].begun || v->known >= v->begun ||
	    known(x) >= v->begun)
		wrong++;
	/* where its commit was lost, nobody knows that it was known by that */
	if (v->rule == VERIFY_CAUSAL ? txs[x].committed >= v->begun :
	    !losing && txs[x].committed < v->begun)
		wrong++;
	txs[x].found = true;
}

static void tell(uint32_t type, unsigned int n, const uint64_t *args)
{
	struct bus1_event event = { .type = type };

	memcpy(event.arg, args, n * sizeof(*args));
	verify_event(&event, n);
}

#define TELL(name, ...)                                                 \
	tell(EV_##name, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8,        \
	     (uint64_t[]){ __VA_ARGS__ })

static void tell_commit(unsigned int i, bool unknown)
{
	TELL(tx_commit, txs[i].peer, txs[i].tx, BUS1_TX_SEND, txs[i].n,
	     txs[i].n, 0, unknown ? 0 : txs[i].begun, txs[i].committed,
	     txs[i].seq);
}

static void tell_receipt(unsigned int p, unsigned int i, bool unknown)
{
	unsigned int x = receipts[p][i].tx;
	uint64_t time = receipts[p][i].time;

	TELL(msg_recv, base + p, i + 1, txs[x].peer, txs[x].tx, p, 1, 8, 0,
	     unknown ? 0 : time - txs[x].begun, time, txs[x].seq);
}

/*
 * Commits and receipts in any order, but for the receipts of a peer, of which only
 * one in @late is late
 */
static void tell_history(unsigned int lose, unsigned int unknown,
			 unsigned int late)
{
	unsigned int next[PEERS] = { 0 }, left = n_txs, p, j;
	unsigned int order[PEERS][MOST];
	bool told[MOST] = { false };

	for (p = 0; p < PEERS; p++) {
		left += n_receipts[p];
		for (j = 0; j < n_receipts[p]; j++) {
			order[p][j] = j;
			if (!j || !late || any(late))
				continue;
			order[p][j] = order[p][j - 1];
			order[p][j - 1] = j;
		}
	}
	while (left) {
		unsigned int i = any(n_txs);
		bool lost = lose && !any(lose), zero = unknown && !any(unknown);

		p = any(PEERS);
		if (any(2) && !told[i]) {
			told[i] = true;
			if (!lost)
				tell_commit(i, zero);
			left--;
		} else if (next[p] < n_receipts[p]) {
			if (!lost)
				tell_receipt(p, order[p][next[p]], zero);
			next[p]++;
			left--;
		}
	}
}

static void histories(const char *what, unsigned int rounds, unsigned int lose,
		      unsigned int unknown, unsigned int late, size_t keep)
{
	unsigned int i, missed = 0, all = 0, bad = 0;

	wrong = more = disagreed = disagreements = 0;
	verify_sums.forgotten = 0;
	losing = lose || unknown || keep < MOST;
	verify_start(START, keep, found);
	while (rounds--) {
		make_history();
		search();
		tell_history(lose, unknown, late);
		if (losing)
			verify_end(START);
		for (i = 0; i < n_txs; i++) {
			all += txs[i].found;
			bad += txs[i].bad;
			more += txs[i].found && !txs[i].bad;
			missed += txs[i].bad && !txs[i].found;
		}
	}
	ok(bad > 500, "%s: there is something to find", what);
	ok(!wrong, "%s: each is as it says", what);
	ok(!more, "%s: none is made up", what);
	if (lose || unknown || late || keep < MOST) {
		ok(missed && all, "%s: some are found, others are not", what);
		ok(disagreed <= disagreements, "%s: of the order of multicasts",
		   what);
	} else {
		ok(!missed, "%s: none is missed", what);
		ok(disagreed == disagreements,
		   "%s: neither of the order of multicasts", what);
		ok(!verify_sums.waiting, "%s: nothing is kept", what);
	}
	diag("%u bad, %u found, %u wrong, %u more, %u missed", bad, all, wrong,
	     more, missed);
}

/* Transactions that are never received, and as many peers that come and go */
static void bounded(void)
{
	struct verify_sums before = verify_sums;
	uint64_t i;

	verify_start(START, 1000, found);
	for (i = 1; i <= 50000; i++) {
		TELL(msg_send, 7, i, 0, 5, 1, 8, 0, START + i, 1);
		TELL(msg_send, 7, i, 1, 6, 1, 8, 0, START + i, 1);
		TELL(tx_commit, 7, i, BUS1_TX_SEND, 2, 2, 0, START + i,
		     START + i + 1, 0);
		TELL(msg_recv, 1000 + i, 1, 8, i, 0, 1, 8, 0, 1, START + i, 0);
		TELL(peer_free, 1000 + i, 0, 0, 1, START + i);
	}
	ok(verify_sums.waiting <= 1000, "no more wait than may");
	ok(verify_sums.forgotten - before.forgotten >= 49000,
	   "it says how many were forgotten");
	ok(!verify_end(START + 2000000000), "none of these is lost");
	before = verify_sums;
	for (i = 1; i <= 70000; i++)
		TELL(msg_recv, 100000 + i, 1, 8, i, 0, 1, 8, 0, 0, START + i, 0);
	ok(verify_sums.unknown - before.unknown >= 70000 - (1 << 16),
	   "of more peers than can be it says so");
}

static int properties(uint64_t with)
{
	seed = with;
	histories("all events", 1000, 0, 0, 0, 1000);
	histories("one in 5 lost", 1000, 5, 0, 0, 100);
	histories("half of them lost", 1000, 2, 0, 0, 100);
	histories("stamps unknown", 1000, 0, 4, 0, 100);
	histories("late receipts", 1000, 0, 0, 5, 100);
	histories("little room", 1000, 0, 0, 0, 2);
	histories("all of that", 1000, 5, 5, 5, 2);
	bounded();
	return done_testing();
}

static void must(int error)
{
	if (!error)
		return;
	fprintf(stderr, "order: %s\n", strerror(-error));
	exit(1);
}

static uint32_t type_of(const char *name)
{
	uint32_t i;

	for (i = 0; i < EV_MAX; i++)
		if (!strcmp(name, event_info[i].name))
			return i;
	fprintf(stderr, "order: there is no event \"%s\"\n", name);
	exit(2);
}

static struct recorder *begin(const char *path, uint64_t minor, bool filtered)
{
	struct recording_info info = {
		.start = { .time = START, .realtime = START, .way = "tp_btf",
			   .events = EVENTS_ALL, .schema_minor = minor },
		.schema_major = BUS1_TRACE_SCHEMA_MAJOR,
		.kernel = "6.1.0", .host = "here", .command = "made",
		.filtered = filtered,
	};
	struct snapshot snapshot = { .time = START };
	int error;
	struct recorder *r = recorder_new(path, &info, 0, &error);

	must(r ? 0 : error);
	must(recorder_snapshot(r, &snapshot));
	return r;
}

static int make(const char *path)
{
	struct bus1_count counts[EV_MAX] = { 0 };
	uint64_t written[EV_MAX] = { 0 }, minor = 3, end = 0, n;
	struct recorder *r = NULL;
	bool filtered = false;
	char line[512], word[64];

	while (fgets(line, sizeof(line), stdin)) {
		struct bus1_event e = { .pid = 1 };
		int at, more_, n_args = 0;

		if (sscanf(line, "schema %" SCNu64, &minor) == 1 ||
		    sscanf(line, "end %" SCNu64, &end) == 1)
			continue;
		if (!strcmp(line, "filtered\n")) {
			filtered = true;
			continue;
		}
		if (!r)
			r = begin(path, minor, filtered);
		if (sscanf(line, "lost %63s %" SCNu64, word, &n) == 2) {
			counts[type_of(word)].seen += n;
			counts[type_of(word)].ring_full += n;
			continue;
		}
		if (sscanf(line, "%63s %u%n", word, &e.tid, &at) != 2)
			continue;
		e.type = type_of(word);
		snprintf(e.comm, sizeof(e.comm), "task%u", e.tid);
		while (n_args < BUS1_EVENT_ARGS &&
		       sscanf(line + at, " %llu%n", &e.arg[n_args],
			      &more_) == 1) {
			n_args++;
			at += more_;
		}
		must(recorder_entry(r, &e, offsetof(struct bus1_event,
						    arg[n_args])));
		counts[e.type].seen++;
		written[e.type]++;
	}
	if (!r)
		r = begin(path, minor, filtered);
	must(recorder_counts(r, counts, written, 0));
	must(recorder_end(r, end));
	must(recorder_close(r));
	return 0;
}

int main(int argc, char **argv)
{
	char *end = "";
	uint64_t with = argc > 1 ? strtoull(argv[1], &end, 10) : 1;

	if (*end)
		return make(argv[1]);
	return properties(with ? with : 1);
}
