// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: count
 *
 * What a verb says at its end of the events that it met: what became of them,
 * and that the sum of that is all.
 */
#include <inttypes.h>
#include "bus1-trace.h"

bool count_balanced(const struct bus1_count *c, uint64_t shown)
{
	return c->seen == shown + c->filtered + c->ring_full + c->map_full;
}

void count_header(bool json)
{
	if (!json)
		printf("\n%-14s %9s %9s %9s %9s %9s\n", "", "seen", "shown",
		       "filtered", "ring full", "map full");
}

void count_row(bool json, const char *event, const struct bus1_count *c,
	       uint64_t shown, struct loss *loss)
{
	loss->lost += c->ring_full + c->map_full;
	loss->broken |= !count_balanced(c, shown);
	if (json)
		printf("{\"type\":\"count\",\"of\":\"%s\",\"seen\":%llu,\"shown\":%" PRIu64
		       ",\"filtered\":%llu,\"ring_full\":%llu,\"map_full\":%llu}\n",
		       event, c->seen, shown, c->filtered, c->ring_full,
		       c->map_full);
	else if (c->seen || shown)
		printf("%-14s %9llu %9" PRIu64 " %9llu %9llu %9llu\n", event,
		       c->seen, shown, c->filtered, c->ring_full, c->map_full);
}

/* @mend: what helps against loss. Returns the status to exit with. */
int count_summary(bool json, double seconds, const struct loss *loss,
		  const char *mend)
{
	bool broken = loss->broken || output_failed();

	if (json) {
		printf("{\"type\":\"summary\",\"seconds\":%.3f,\"lost\":%" PRIu64
		       ",\"missed\":%" PRIu64 ",\"late\":%" PRIu64
		       ",\"balanced\":%s}\n",
		       seconds, loss->lost, loss->missed, loss->late,
		       broken ? "false" : "true");
	} else {
		printf("%.1f s; seen = shown + filtered + ring full + map full%s.\n",
		       seconds, broken ? " does NOT hold" : "");
		if (loss->missed)
			printf("%" PRIu64 " events met a program that was busy.\n",
			       loss->missed);
		if (loss->late)
			printf("%" PRIu64 " events came too late to be shown in order.\n",
			       loss->late);
		if (loss->lost || broken)
			printf("LOST: at least %" PRIu64 " events. %s\n",
			       loss->lost, mend);
	}
	return loss->lost || broken ? EXIT_LOST : EXIT_OK;
}
