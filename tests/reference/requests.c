/* SPDX-License-Identifier: MIT */
#include "requests.h"

#include <stdio.h>
#include <string.h>

#define NOT_OPEN 9999	/* a descriptor that nobody has */

/*
 * A descriptor. A client of a server looks at them before it asks anything, and in one message
 * cannot say "none" for a few: over a socket they are good, or there are none.
 */
static int some_fd(const struct roads *r, uint8_t how, bool rearms)
{
	if (!r->remote && how % 64 == 0)
		return r->file;
	if (!r->remote && how % 64 == 1)
		return NOT_OPEN;
	if (!r->remote && how % 64 == 2)
		return -2;
	if (!r->remote && how % 16 < 6)
		return -1;
	return rearms ? r->fds[ROADS_EVENTS + how / 16 % ROADS_REARMS]
		      : r->fds[how / 16 % ROADS_EVENTS];
}

static void fill_fds(const struct roads *r, struct request *q, struct input *in)
{
	bool none = r->remote && take8(in) % 4 == 0;

	for (unsigned int i = 0; i < REQUEST_ENTRIES; i++) {
		int fd = some_fd(r, take8(in), q->set.flags & VFIO_IRQ_SET_ACTION_UNMASK);

		if (none)
			fd = -1;
		memcpy(q->data + i * sizeof(fd), &fd, sizeof(fd));
	}
}

static void choose_range(struct request *q, uint8_t how)
{
	static const uint8_t starts[] = { 0, 0, 0, 0, 3, 0, 0, 0, 6, 0, 0, 0, 9, 0, 0, 0 };
	static const uint8_t counts[] = { 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 3, 4, 8, 6, 7 };
	static const uint8_t singles[] = { 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 2 };
	bool messages = q->set.index == VFIO_PCI_MSI_IRQ_INDEX ||
			q->set.index == VFIO_PCI_MSIX_IRQ_INDEX;

	q->set.start = starts[how / 16];
	q->set.count = messages ? counts[how % 16] : singles[how % 16];
}

/*
 * One type of data and one action: while nothing is active, more of what makes something active.
 * Sometimes anything.
 */
static uint32_t choose_flags(const struct reference *r, uint32_t index, uint8_t how,
			     uint8_t anything)
{
	bool start = r->active < 0 && how & 64, eventfds = start || how % 4 >= 2;
	uint32_t data = eventfds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE << how % 4;

	if (how >= 248)
		return anything & 0x7f;
	if (start || index != VFIO_PCI_INTX_IRQ_INDEX)
		return data | VFIO_IRQ_SET_ACTION_TRIGGER;
	return data | VFIO_IRQ_SET_ACTION_MASK << how / 4 % 3;
}

/* Half of them of the type that is active, since of the others not much comes. */
static uint32_t choose_index(const struct reference *r, uint8_t how)
{
	static const uint8_t indexes[] = { 0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 4, 5 };

	if (how >= 128 && r->active >= 0)
		return r->active;
	return indexes[how % sizeof(indexes)];
}

void request_make(const struct roads *r, struct request *q, struct input *in)
{
	uint8_t how = take8(in), range = take8(in);

	q->set.index = choose_index(&r->reference, take8(in));
	q->set.flags = choose_flags(&r->reference, q->set.index, how, range);
	choose_range(q, range);
	q->set.argsz = sizeof(*q);
	if (how >= 216 && how < 240) {		/* the end of an index's life */
		q->set.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
		q->set.start = q->set.count = 0;
	}
	if (how >= 240 && how < 248)
		q->set.argsz -= 6 * range % sizeof(*q);
	if (q->set.flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		fill_fds(r, q, in);
		return;
	}
	take(in, q->data, REQUEST_ENTRIES);
	for (unsigned int i = 0; i < REQUEST_ENTRIES; i++)
		q->data[i] &= 1;
}

void request_print(const struct request *q, char *text, size_t size)
{
	int fd;

	snprintf(text, size, "interrupts: argsz %u flags %#x index %u start %u count %u:",
		 q->set.argsz, q->set.flags, q->set.index, q->set.start, q->set.count);
	for (unsigned int i = 0; i < q->set.count && i < REQUEST_ENTRIES; i++) {
		memcpy(&fd, q->data + i * sizeof(fd), sizeof(fd));
		if (!(q->set.flags & VFIO_IRQ_SET_DATA_EVENTFD))
			fd = q->data[i];
		snprintf(text + strlen(text), size - strlen(text), " %d", fd);
	}
}
