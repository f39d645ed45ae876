/* SPDX-License-Identifier: MIT */
/* Walking the lists of capabilities in configuration space that may hold anything. */
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <vfio/pci.h>

#include "base/bits.h"
#include "base/export.h"
#include "pci/length.h"

#define FIRST_CAPABILITY 0x40

/* One of the two lists: where its capabilities may lie, and what was found. */
struct list {
	struct config_space config;
	bool extended;
	unsigned int low, end, room;
	struct vfio_pci_capability *caps;
	unsigned int count;
	char *problem;
	bool seen[PCI_CFG_SPACE_EXP_SIZE / 4];
};

/* The first problem is the one that is told. */
static void __attribute__((format(printf, 2, 3))) complain(struct list *l, const char *format, ...)
{
	va_list args;

	if (!l->problem || l->problem[0])
		return;
	va_start(args, format);
	vsnprintf(l->problem, VFIO_PCI_PROBLEM_ROOM, format, args);
	va_end(args);
}

static const char *title(const struct list *l)
{
	return l->extended ? "the extended capability list" : "the capability list";
}

/* May the list go on at next? from is where it says so. */
static bool can_go(struct list *l, unsigned int from, unsigned int next)
{
	if (next < l->low && l->extended)
		complain(l, "%s points below 0x100: at 0x%03x, to 0x%03x", title(l), from, next);
	else if (next < l->low)
		complain(l, "%s points into the header: at 0x%02x, to 0x%02x", title(l), from, next);
	else if (!is_inside(next, 4, l->end))
		complain(l, "%s goes on past the bytes that can be read: at 0x%02x, to 0x%02x",
			 title(l), from, next);
	else if (l->seen[next / 4])
		complain(l, "%s loops: at 0x%02x, back to 0x%02x", title(l), from, next);
	else if (l->count == l->room)
		complain(l, "%s is longer than there is room for: at 0x%02x", title(l), from);
	else
		return true;
	return false;
}

static uint32_t number(const struct list *l, uint16_t id)
{
	if (l->extended)
		return VFIO_PCI_EXTENDED | id;
	return l->config.bridge && vfio_pci_find(VFIO_PCI_BRIDGE | id) ? VFIO_PCI_BRIDGE | id : id;
}

static void measure(struct list *l, struct vfio_pci_capability *c)
{
	unsigned int least = l->extended ? 4 : 2;
	unsigned int length = 0;

	if (c->id)
		length = capability_length(&l->config, number(l, c->id), c->offset);
	if (length < least)
		length = least;
	if (!is_inside(c->offset, length, l->end)) {
		complain(l, "the capability at 0x%02x goes past the bytes that can be read: it has "
			 "0x%x", c->offset, length);
		length = l->end - c->offset;
	}
	c->length = length;
}

static void check_overlap(struct list *l)
{
	for (unsigned int i = 0; i < l->count; i++) {
		const struct vfio_pci_capability *a = &l->caps[i];

		for (unsigned int k = 0; k < i; k++) {
			const struct vfio_pci_capability *b = &l->caps[k];

			if (a->offset < b->offset + b->length && b->offset < a->offset + a->length)
				complain(l, "the capabilities at 0x%02x and 0x%02x overlap",
					 b->offset, a->offset);
		}
	}
}

static struct vfio_pci_capability read_capability(const struct list *l, unsigned int at)
{
	const uint8_t *bytes = l->config.bytes + at;
	struct vfio_pci_capability c = { .id = bytes[0], .offset = at, .next = bytes[1] };
	uint32_t header = le32_get(bytes);

	if (l->extended) {
		c.id = header & 0xffff;
		c.version = header >> 16 & 0xf;
		c.next = header >> 20;
	}
	return c;
}

/* The low two bits of a pointer are reserved, and are not part of it (PCI 6.7). */
static void walk(struct list *l, unsigned int from, unsigned int next)
{
	while (next & ~3u) {
		struct vfio_pci_capability *c = &l->caps[l->count];

		if (next & 3)
			complain(l, "%s points between dwords: at 0x%02x, to 0x%02x", title(l),
				 from, next);
		if (!can_go(l, from, next & ~3u))
			return;
		*c = read_capability(l, next & ~3u);
		l->seen[next / 4] = true;
		l->count++;
		measure(l, c);
		from = c->offset;
		next = c->next;
	}
}

/* ---- the two lists -------------------------------------------------------------------------- */

static uint8_t header_layout(const uint8_t *config)
{
	return config[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK;
}

EXPORT unsigned vfio_pci_walk(const uint8_t *config, size_t len,
			      struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES],
			      char problem[VFIO_PCI_PROBLEM_ROOM])
{
	struct list l = {
		.config = { .bytes = config, .len = len }, .low = FIRST_CAPABILITY,
		.end = len < PCI_CFG_SPACE_SIZE ? len : PCI_CFG_SPACE_SIZE,
		.room = VFIO_PCI_MAX_CAPABILITIES, .caps = caps, .problem = problem,
	};

	if (problem)
		problem[0] = '\0';
	if (len < PCI_STD_HEADER_SIZEOF || !(config[PCI_STATUS] & PCI_STATUS_CAP_LIST))
		return 0;
	l.config.bridge = header_layout(config) == PCI_HEADER_TYPE_BRIDGE;
	walk(&l, PCI_CAPABILITY_LIST, config[PCI_CAPABILITY_LIST]);
	check_overlap(&l);
	return l.count;
}

/* Does the function say that there may be extended capabilities? */
static bool is_extended(struct config_space *c)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	unsigned int n = vfio_pci_walk(c->bytes, c->len, caps, NULL);
	bool yes = false;

	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *at = c->bytes + caps[i].offset;

		if (caps[i].id == PCI_CAP_ID_EXP && !c->express)
			c->express = caps[i].offset;
		if (caps[i].id == PCI_CAP_ID_EXP ||
		    (caps[i].id == PCI_CAP_ID_PCIX && PCI_X_CMD_VERSION(le16_get(at + PCI_X_CMD))))
			yes = true;
	}
	return yes;
}

EXPORT unsigned vfio_pci_walk_extended(const uint8_t *config, size_t len,
				       struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED],
				       char problem[VFIO_PCI_PROBLEM_ROOM])
{
	struct list l = {
		.config = { .bytes = config, .len = len }, .extended = true,
		.low = PCI_CFG_SPACE_SIZE,
		.end = len < PCI_CFG_SPACE_EXP_SIZE ? len : PCI_CFG_SPACE_EXP_SIZE,
		.room = VFIO_PCI_MAX_EXTENDED, .caps = caps, .problem = problem,
	};
	uint32_t first;

	if (problem)
		problem[0] = '\0';
	if (len < PCI_CFG_SPACE_SIZE + 4 || !is_extended(&l.config))
		return 0;
	/* Ones: the way to the device does not carry this part. */
	first = le32_get(config + PCI_CFG_SPACE_SIZE);
	if (first == 0 || first == UINT32_MAX)
		return 0;
	l.config.bridge = header_layout(config) == PCI_HEADER_TYPE_BRIDGE;
	walk(&l, 0, PCI_CFG_SPACE_SIZE);
	check_overlap(&l);
	return l.count;
}
