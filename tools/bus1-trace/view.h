/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_VIEW_H
#define _BUS1_TRACE_VIEW_H

#include "options.h"
#include "world.h"

/*
 * DOC: view
 *
 * For verbs that show what there is. They need to know of everything, whatever
 * it is that is asked for: the filters restrict what is shown, and nothing else.
 */

/*
 * Takes the filters out of the options, for view_fits(). False: one cannot be
 * satisfied, which has been complained about.
 */
bool view_filter(void);
bool view_filtered(void);
/* Whether a peer, or a node of it, is asked for */
bool view_fits(uint64_t peer);
bool view_fits_node(uint64_t peer, uint64_t node);
/* What view_fits() has to know of those who hold the peers now */
void view_learn(const struct snapshot *snapshot);

/*
 * Puts into the world how things are now. False: that cannot be had, which has
 * been complained about.
 */
bool view_now(uint64_t *time);

/* "name#id" in the middle of a sentence */
void say_peer(uint64_t id);
/* At most 5 columns: "1.5s", "12m", "3h" */
#define SPAN_SIZE 16
const char *format_span(char *buf, uint64_t ns);
/* From then to now; 0 if then is later */
uint64_t span(uint64_t then, uint64_t now);

#endif /* _BUS1_TRACE_VIEW_H */
