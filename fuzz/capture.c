/* SPDX-License-Identifier: MIT */
/*
 * Configuration space that may be anything, as if captured from a broken or hostile device: it is
 * made into a function, under any policy, and used. Its lists of capabilities must end, whatever
 * its own do, and the masks must say what writes do.
 */
#include <string.h>

#include "base/bits.h"
#include "check.h"
#include "function/function.h"
#include "input.h"

#define CONFIG    VFIO_PCI_CONFIG_REGION_INDEX
#define MAX_STEPS 64

static int reset(struct vfio_function *fn)
{
	return 0;
}

static const struct vfio_function_ops ops = { .size = sizeof(ops), .reset = reset };

/* Everything else at random; the header's layout must be that of a device. */
static void take_config(struct input *in, uint8_t *config, size_t size)
{
	for (size_t at = 0; at < size && in->left; ) {
		unsigned int skip = take8(in), n = take8(in) % 16;

		for (at += skip; n-- && at < size; at++)
			config[at] = take8(in);
	}
	config[PCI_HEADER_TYPE] &= ~PCI_HEADER_TYPE_MASK;
	memset(config + PCI_BASE_ADDRESS_0, 0, 24);
}

static void set_policy(struct input *in, struct vfio_dev *dev)
{
	static const char *const choices[][2] = {
		{ "view", "filtered" }, { "hidden", "zero" }, { "hide", "MSI-X, PM, ext:AER" },
		{ "hide", "PCIExpress" }, { "host-lacks", "msi,msix,intx" }, { "lacking", "hide" },
		{ "lacking", "emulate" }, { "behaviour", "1" }, { "malformed", "refuse" },
		{ "vectors", "2" }, { "at-close", "keep" },
	};
	uint8_t bits = take8(in);

	for (unsigned int i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (bits >> i % 8 & 1)
			vfio_policy_set(dev, choices[i][0], choices[i][1]);
}

/* The lists that are shown go upwards or downwards, but nowhere twice, and are not broken. */
static void check_lists(const struct vfio_function *fn, const uint8_t *config)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	char problem[VFIO_PCI_PROBLEM_ROOM];

	if (fn->policy.view == VIEW_FILTERED)
		return;
	vfio_pci_walk(config, fn->config_size, caps, problem);
	CHECK(!problem[0] || strstr(problem, "overlap") || strstr(problem, "goes past"));
}

/* Flip a bit: it changes if, and only if, the masks say so. Bits with a hook may do anything. */
static void check_bit(struct vfio_dev *dev, unsigned int bit)
{
	unsigned int at = bit / 8 / 4 * 4;
	uint32_t mask = 1u << bit % 32, before, after, written;
	struct vfio_config_info info;

	CHECK(vfio_config_info(dev, at, &info) == 0 && info.exact);
	if (info.trapped)
		return;
	before = vfio_read32(dev, CONFIG, at);
	written = (before & ~info.clear) ^ mask;
	vfio_write32(dev, CONFIG, at, written);
	after = vfio_read32(dev, CONFIG, at);
	CHECK(((before ^ after) & ~(info.write | info.clear)) == 0);
	CHECK(((before ^ after) & info.policy) == 0);
}

static void use(struct input *in, struct vfio_function *fn, struct vfio_dev *dev)
{
	uint8_t config[CONFIG_MAX];

	for (unsigned int i = 0; i < MAX_STEPS && in->left; i++) {
		uint32_t at = take16(in) % fn->config_size, value = take32(in);

		if (at % 8 == 7)
			CHECK(vfio_reset(dev) == 0);
		else
			vfio_pwrite(dev, CONFIG, at, &value, 1 + value % 4);
		check_bit(dev, value % (8 * fn->config_size));
		vfio_function_msi(fn, value % 4096);
		vfio_function_intx(fn, value & 1);
	}
	CHECK(vfio_pread(dev, CONFIG, 0, config, fn->config_size) == fn->config_size);
	check_lists(fn, config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vfio_area area = { 0, 4096 };
	struct vfio_function_description d = {
		.size = sizeof(d), .name = "captured",
		.bars = { { .size = 8192 }, { .size = 32, .flags = VFIO_BAR_IO },
			  { .size = 4096, .flags = VFIO_BAR_MEM64, .nareas = 1, .areas = &area } },
		.vpd = "0123456", .vpd_size = 7,
	};
	struct input in = { .at = data, .left = size };
	uint8_t config[CONFIG_MAX] = { 0 };
	struct vfio_function *fn;
	struct vfio_dev *dev;

	d.config = config;
	d.config_size = take8(&in) & 1 ? CONFIG_MAX : CONFIG_SIZE;
	d.virtual_function = take8(&in) & 1;
	take_config(&in, config, d.config_size);
	if (vfio_function_new(&fn, &d, &ops, NULL, NULL) < 0)
		return 0;
	CHECK(vfio_function_open(&dev, fn, NULL) == 0);
	set_policy(&in, dev);
	use(&in, fn, dev);
	vfio_close(dev);
	return 0;
}
