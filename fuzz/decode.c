/* SPDX-License-Identifier: MIT */
/* The walkers and the decoder of configuration space, on anything. */
#include <string.h>

#include <vfio/pci.h>

#include "check.h"
#include "input.h"

#define CONFIG_MAX 4096

struct seen {
	size_t len;
	unsigned int calls, stop_at;
};

static int see(void *arg, const struct vfio_pci_value *v)
{
	struct seen *seen = arg;

	CHECK(v->structure);
	CHECK(v->offset < seen->len && v->base <= v->offset);
	if (v->field) {
		CHECK(v->offset + v->field->width <= seen->len);
		CHECK(v->field->bits == 32 || v->value >> v->field->bits == 0);
	} else {
		CHECK(v->value == v->id);
	}
	return ++seen->calls == seen->stop_at ? 7 : 0;
}

static void check_capability(const struct vfio_pci_capability *c, unsigned int low,
			     unsigned int end, bool used[CONFIG_MAX])
{
	CHECK(c->offset >= low && c->offset % 4 == 0);
	CHECK(c->offset + 4u <= end);
	CHECK(c->length >= 2 && c->offset + c->length <= end);
	CHECK(!used[c->offset]);
	used[c->offset] = true;
}

/* Capabilities are inside, aligned, different; and only a list that is whole has no problem. */
static void check_walk(const uint8_t *data, size_t size)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	char problem[VFIO_PCI_PROBLEM_ROOM] = "never set";
	unsigned int n = vfio_pci_walk(data, size, caps, problem);
	bool used[CONFIG_MAX] = { false };

	CHECK(n <= VFIO_PCI_MAX_CAPABILITIES && strlen(problem) < VFIO_PCI_PROBLEM_ROOM - 1);
	for (unsigned int i = 0; i < n; i++) {
		check_capability(&caps[i], 0x40, size < 256 ? size : 256, used);
		CHECK(caps[i].id == data[caps[i].offset]);
	}
	if (n && !problem[0])
		CHECK((caps[n - 1].next & ~3) == 0);
	CHECK(vfio_pci_walk(data, size, caps, NULL) == n);
}

static void check_walk_extended(const uint8_t *data, size_t size)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	char problem[VFIO_PCI_PROBLEM_ROOM] = "never set";
	unsigned int n = vfio_pci_walk_extended(data, size, caps, problem);
	bool used[CONFIG_MAX] = { false };

	CHECK(n <= VFIO_PCI_MAX_EXTENDED && strlen(problem) < VFIO_PCI_PROBLEM_ROOM - 1);
	for (unsigned int i = 0; i < n; i++)
		check_capability(&caps[i], 0x100, size < CONFIG_MAX ? size : CONFIG_MAX, used);
	if (n && !problem[0])
		CHECK((caps[n - 1].next & ~3) == 0);
	CHECK(vfio_pci_walk_extended(data, size, caps, NULL) == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen all = { .len = size }, some = { .len = size };
	int r;

	check_walk(data, size);
	check_walk_extended(data, size);
	r = vfio_pci_decode(data, size, see, &all);
	CHECK(r == 0 || (all.calls == 0 && (size < 64 || (data[0x0e] & 0x7e))));
	if (r == 0) {
		some.stop_at = 1 + (size ? data[size - 1] : 0) % all.calls;
		CHECK(vfio_pci_decode(data, size, see, &some) == 7);
		CHECK(some.calls == some.stop_at);
	}
	return 0;
}
