/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _BUS1_TRACE_EXPORT_H
#define _BUS1_TRACE_EXPORT_H

#include "stream.h"

/*
 * DOC: export
 *
 * The stream in the formats of other programs. Each format is a stream_verb
 * that writes to standard output, piece by piece, so that it takes no more
 * memory the longer it runs.
 */
struct export_format {
	const char *name;
	bool binary;
	struct stream_verb verb;
	/*
	 * After the run: appends what is known only then; @time is its end.
	 * NULL: the counts are records of the format.
	 */
	void (*counts)(const struct bus1_count *sum, uint64_t missed,
		       uint64_t time);
};

extern const struct export_format export_ndjson, export_pcapng,
	export_perfetto;

/* Where it was recorded, or here; "" is not known. */
struct export_origin {
	char kernel[72], host[72], machine[72];
};

void export_origin(struct export_origin *origin);

/*
 * @s, of at most @max bytes, as UTF-8 without control characters; what is not
 * UTF-8 byte by byte, as U+0080 to U+00FF. Returns the length; @out is cut.
 */
size_t export_text(char *out, size_t size, const char *s, size_t max);

/* "name#id" */
#define EXPORT_LABEL 96
void export_label(char *out, uint64_t peer);

/* The peer whose process an event is about, as sender or receiver; or 0 */
uint64_t export_peer(const struct bus1_event *event);

/* All but charges, unless they are asked for: four and more to a message */
uint32_t export_events(void);

#endif /* _BUS1_TRACE_EXPORT_H */
