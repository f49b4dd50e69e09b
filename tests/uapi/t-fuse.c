// SPDX-License-Identifier: GPL-2.0-only
/*
 * All commands at once, each with its memory in a file of FUSE, every page of
 * which comes a second late: in memory that is shared, and in private.
 * Everybody else goes on meanwhile.
 */
#include "stall-calls.h"
#include "stall-fuse.h"

#define DELAY 1000000000ull

static const char *const modes[] = { ", shared file", ", private file" };

static struct run {
	struct stage st;
	char accesses[256]; /* as expected: a page that came once stays */
	char *rest; /* of those: to come */
	unsigned int seen;
	atomic_bool ended;
} runs[2 * STAGE_N_CALLS];

static void *caller(void *arg)
{
	struct run *run = arg;

	run->st.result = stage_run(&run->st);
	run->ended = true;
	return NULL;
}

/* Of the call's accesses the first to each page. */
static void expect(struct run *run)
{
	char all[256], name[32], *word, *save;
	char seen[256] = " ";

	snprintf(all, sizeof(all), "%s", run->st.call->accesses);
	for (word = strtok_r(all, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		snprintf(name, sizeof(name), " %s", word);
		name[strcspn(name, "'")] = 0;
		strcat(name, " ");
		if (strstr(seen, name))
			continue;
		strcat(seen, name + 1);
		if (run->accesses[0])
			strcat(run->accesses, " ");
		strcat(run->accesses, word);
	}
	run->rest = run->accesses;
}

static void start(struct run *run, unsigned int i, int file)
{
	const int flags = i < STAGE_N_CALLS ? MAP_SHARED : MAP_PRIVATE;
	char *page = mmap(NULL, STAGE_ROOM, PROT_READ | PROT_WRITE, flags,
			  file, i * STAGE_ROOM);

	/* One page at a time. */
	if (page == MAP_FAILED || madvise(page, STAGE_ROOM, MADV_RANDOM))
		bail_out("cannot map: %s", strerror(errno));
	stage_open(&run->st, &stage_calls[i % STAGE_N_CALLS], page,
		   fuse->data + i * STAGE_ROOM);
	expect(run);
	pthread_create(&run->st.thread, NULL, caller, run);
}

/* Somebody waits for a page of this run. */
static void go_on(struct run *run, struct fuse_slot *slot)
{
	size_t n = strcspn(run->rest, " ");
	bool write = n && run->rest[n - 1] == '\'';

	run->seen = slot->wanted;
	run->rest += n + (run->rest[n] == ' ');
	stage_accessed(&run->st, slot->page, write);
	stage_probe(&run->st);
	slot->let = run->seen;
}

int main(void)
{
	const unsigned int n = 2 * STAGE_N_CALLS;
	unsigned int i, k, left = n;
	uint64_t last;
	int file;

	file = fuse_begin(n, STAGE_ROOM, DELAY);
	if (file < 0) {
		skip(1, "no FUSE: %s", strerror(-file));
		return done_testing();
	}
	for (i = 0; i < n; i++)
		start(&runs[i], i, file);
	last = b1_now();
	while (left) {
		for (left = i = 0; i < n; i++) {
			if (fuse->slot[i].wanted != runs[i].seen) {
				go_on(&runs[i], &fuse->slot[i]);
				last = b1_now();
			}
			left += !runs[i].ended;
		}
		if (b1_now() - last > 60 * DELAY)
			bail_out("%u calls hang", left);
		b1_msleep(5);
	}
	for (i = 0; i < n; i++) {
		pthread_join(runs[i].st.thread, NULL);
		for (k = 0; k < STAGE_PAGES; k++)
			if (runs[i].st.accessed & 1u << k)
				memcpy(stage_at(&runs[i].st, k),
				       runs[i].st.page + k * STAGE_SIZE,
				       STAGE_SIZE);
		stage_end(&runs[i].st, runs[i].accesses,
			  modes[i / STAGE_N_CALLS]);
		munmap(runs[i].st.page, STAGE_ROOM);
	}
	fuse_end(file);
	return done_testing();
}
