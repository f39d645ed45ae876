/* SPDX-License-Identifier: MIT */
/* The walker and the decoder of configuration space, on anything. */
#include <vfio/pci.h>

#include "check.h"
#include "input.h"

#define CONFIG_MAX 256

struct seen {
	size_t len;
	unsigned int calls, stop_at;
};

static int see(void *arg, const struct vfio_pci_value *v)
{
	struct seen *seen = arg;

	CHECK(v->structure);
	CHECK(v->offset < seen->len);
	if (v->field) {
		CHECK(v->offset + v->field->width <= seen->len);
		CHECK(v->field->bits == 32 || v->value >> v->field->bits == 0);
	} else {
		CHECK(v->value == v->id);
	}
	return ++seen->calls == seen->stop_at ? 7 : 0;
}

/* Capabilities are inside, aligned, different; and only a list that is whole has no problem. */
static void check_walk(const uint8_t *data, size_t size)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	bool used[CONFIG_MAX] = { false };
	const char *problem = "never set";
	unsigned int n = vfio_pci_walk(data, size, caps, &problem);

	CHECK(n <= VFIO_PCI_MAX_CAPABILITIES);
	for (unsigned int i = 0; i < n; i++) {
		CHECK(caps[i].offset >= 0x40 && caps[i].offset % 4 == 0);
		CHECK(caps[i].offset + 4u <= size);
		CHECK(!used[caps[i].offset]);
		used[caps[i].offset] = true;
		CHECK(caps[i].id == data[caps[i].offset]);
	}
	if (n && !problem)
		CHECK((caps[n - 1].next & ~3) == 0);
	CHECK(vfio_pci_walk(data, size, caps, NULL) == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen all = { .len = size }, some = { .len = size };
	int r;

	check_walk(data, size);
	r = vfio_pci_decode(data, size, see, &all);
	CHECK(r == 0 || (all.calls == 0 && (size < 64 || (data[0x0e] & 0x7f))));
	if (r == 0) {
		some.stop_at = 1 + (size ? data[size - 1] : 0) % all.calls;
		CHECK(vfio_pci_decode(data, size, see, &some) == 7);
		CHECK(some.calls == some.stop_at);
	}
	return 0;
}
