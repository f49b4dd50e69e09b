// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: times
 *
 * A histogram: slots as bus1_sums.h has them, those that are not empty.
 */
#include <string.h>
#include "sums.h"

void times_add(struct times *t, uint32_t slot, const struct bus1_slot_sum *sum)
{
	size_t i = t->n_slots;
	struct time_slot *s;

	if (slot == BUS1_SLOT_UNKNOWN) {
		t->unknown += sum->count;
		return;
	}
	t->count += sum->count;
	t->sum += sum->sum;
	if (sum->max > t->max)
		t->max = sum->max;
	while (i && t->slots[i - 1].slot > slot)
		i--;
	if (!i || t->slots[i - 1].slot != slot) {
		t->slots = grow(t->slots, t->n_slots, sizeof(*s));
		memmove(&t->slots[i + 1], &t->slots[i],
			(t->n_slots - i) * sizeof(*s));
		t->slots[i] = (struct time_slot){ .slot = slot };
		t->n_slots++;
		i++;
	}
	s = &t->slots[i - 1];
	s->sum.count += sum->count;
	s->sum.sum += sum->sum;
	if (sum->max > s->sum.max)
		s->sum.max = sum->max;
}

void times_merge(struct times *t, const struct times *from)
{
	size_t i;

	for (i = 0; i < from->n_slots; i++)
		times_add(t, from->slots[i].slot, &from->slots[i].sum);
	t->unknown += from->unknown;
}

uint64_t times_quantile(const struct times *t, double share)
{
	uint64_t below = 0;
	size_t i;

	for (i = 0; i < t->n_slots; i++) {
		below += t->slots[i].sum.count;
		/* the longest of its slot: all of them are shorter by 1/8 */
		if (below >= share * t->count)
			return t->slots[i].sum.max;
	}
	return t->max;
}
