/* SPDX-License-Identifier: MIT */
/*
 * A function whose registers are a real device's, over a device that may be anything: the input
 * says what is in its registers and which bits can be written, and at times what it answers. What
 * belongs to the virtual function must never reach it.
 */
#include <errno.h>

#include "../tests/unit/fake_hardware.h"
#include "base/bits.h"
#include "check.h"
#include "clock.h"
#include "function/function.h"
#include "input.h"

#define CONFIG    VFIO_PCI_CONFIG_REGION_INDEX
#define BAR_SIZE  0x4000
#define MAX_STEPS 128
#define LONGEST   20000		/* milliseconds that one call may wait for the device */

struct run {
	struct fake_hardware device;	/* first: it is the function's state, too */
	struct input *in;
	struct vfio_function *fn;
	struct vfio_dev *dev;
	unsigned int size;		/* of configuration space */
	unsigned int lies;		/* answers that are the input's */
	bool honest;			/* there were none yet */
	uint8_t said[CONFIG_MAX];	/* what the device answered last, for each byte */
	uint8_t virtual[CONFIG_MAX];	/* bits that no user may set */
};

/* ---- the device ------------------------------------------------------------------------------ */

static void check_access(const struct run *run, unsigned int offset, unsigned int width)
{
	CHECK(width == 1 || width == 2 || width == 4);
	CHECK(offset % width == 0 && offset + width <= run->size);
}

static uint32_t answer(struct vfio_function *fn, unsigned int offset, unsigned int width)
{
	struct run *run = vfio_function_state(fn);
	uint32_t value = fake_ops.config_read(fn, offset, width);

	check_access(run, offset, width);
	if (run->lies) {
		run->lies--;
		value = take32(run->in) & UINT32_MAX >> (32 - 8 * width);
	}
	le_put(run->said + offset, width, value);
	return value;
}

/* Bits that are not the user's are as they were at first, or before it slept, or as it says. */
static void check_byte(const struct run *run, const struct vfio_function *fn, unsigned int at,
		       uint8_t value)
{
	CHECK(!((value ^ fn->registers.power_on[at]) & (value ^ fn->hardware.saved[at]) &
		(value ^ run->said[at]) & run->virtual[at]));
}

static void store(struct vfio_function *fn, unsigned int offset, unsigned int width, uint32_t value)
{
	struct run *run = vfio_function_state(fn);

	check_access(run, offset, width);
	for (unsigned int i = 0; i < width; i++)
		check_byte(run, fn, offset + i, value >> 8 * i);
	fake_ops.config_write(fn, offset, width, value);
}

static void check_register(unsigned int bar, uint64_t offset, unsigned int width)
{
	CHECK(bar == 0 && width <= 8 && offset % width == 0 && offset + width <= BAR_SIZE);
}

static uint64_t bar_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			 unsigned int width)
{
	check_register(bar, offset, width);
	return offset;
}

static void bar_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		      unsigned int width, uint64_t value)
{
	check_register(bar, offset, width);
}

static int reset(struct vfio_function *fn)
{
	struct run *run = vfio_function_state(fn);

	return run->device.gone ? -EIO : fake_ops.reset(fn);
}

/* ---- making it ------------------------------------------------------------------------------- */

/* BARs, and whether messages are enabled; vital product data that lie over those are the user's. */
static void find_virtual(struct run *run)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	unsigned int n = vfio_pci_walk(run->device.bytes, run->size, caps, NULL);

	memset(run->virtual + PCI_BASE_ADDRESS_0, 0xff, 4 * NUM_BARS);
	memset(run->virtual + PCI_ROM_ADDRESS, 0xff, 4);
	for (unsigned int i = 0; i < n; i++) {
		uint8_t *bits = run->virtual + caps[i].offset;

		if (caps[i].id == PCI_CAP_ID_MSI)
			bits[PCI_MSI_FLAGS] |= PCI_MSI_FLAGS_ENABLE;
		if (caps[i].id == PCI_CAP_ID_MSIX)
			bits[PCI_MSIX_FLAGS + 1] |= PCI_MSIX_FLAGS_ENABLE >> 8;
	}
	for (unsigned int i = 0; i < n; i++)
		if (caps[i].id == PCI_CAP_ID_VPD)
			memset(run->virtual + caps[i].offset, 0, PCI_CAP_VPD_SIZEOF);
}

/* The fake, with some bytes of its registers or of its masks replaced. */
static void make_device(struct run *run)
{
	struct fake_hardware *h = &run->device;
	uint8_t *const planes[] = { h->bytes, h->bytes, h->write, h->clear };
	uint8_t how = take8(run->in), n = take8(run->in);

	fake_init(h);
	run->size = how & 1 ? CONFIG_SIZE : CONFIG_MAX;
	h->mute = how & 2;
	while (n--) {
		uint16_t at = take16(run->in);

		planes[at >> 14][at % CONFIG_MAX] = take8(run->in);
	}
	for (unsigned int i = 0; i < sizeof(h->vital) && how & 4; i++)
		h->vital[i] = take8(run->in);
	h->bytes[PCI_HEADER_TYPE] &= ~PCI_HEADER_TYPE_MASK;	/* bridges are refused before */
	run->honest = true;
	memcpy(run->said, h->bytes, sizeof(run->said));
	find_virtual(run);
}

static const struct vfio_function_ops ops = {
	.size = sizeof(ops), .read = bar_read, .write = bar_write, .reset = reset,
	.config_read = answer, .config_write = store,
};

static bool start(struct run *run)
{
	struct vfio_function_description d = fake_description;
	uint8_t dump[CONFIG_MAX];

	make_device(run);
	memcpy(dump, run->device.bytes, sizeof(dump));
	d.config = dump;
	d.config_size = run->size;
	if (vfio_function_new(&run->fn, &d, &ops, run, NULL) < 0)
		return false;
	CHECK(vfio_function_open(&run->dev, run->fn, NULL) == 0);
	return true;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void write_config(struct run *run)
{
	uint16_t offset = take16(run->in) % (run->size + 16);
	uint8_t bytes[16];
	size_t len = take8(run->in) % (sizeof(bytes) + 1);
	ssize_t n;

	take(run->in, bytes, len);
	n = vfio_pwrite(run->dev, CONFIG, offset, bytes, len);
	CHECK(n == (!len || offset + len <= run->size ? (ssize_t)len : -EFAULT));
}

static void read_config(struct run *run)
{
	uint16_t offset = take16(run->in) % (run->size + 16);
	uint8_t bytes[CONFIG_MAX];
	size_t len = take16(run->in) % (sizeof(bytes) + 1);
	ssize_t n = vfio_pread(run->dev, CONFIG, offset, bytes, len);

	CHECK(n == (!len || offset + len <= run->size ? (ssize_t)len : -EFAULT));
}

/* Without eventfds: there is nobody to be told. */
static void set_irqs(struct run *run)
{
	union {
		struct vfio_irq_set set;
		uint8_t room[sizeof(struct vfio_irq_set) + 8 * sizeof(int)];
	} m = { .set = {
		.argsz = sizeof(m), .flags = take8(run->in) & 0x7f, .index = take8(run->in) % 7,
		.start = take8(run->in) % 10, .count = take8(run->in) % 10,
	} };
	int r;

	memset(m.set.data, take8(run->in) & 1 ? 0xff : 1, 8 * sizeof(int));
	if (m.set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		memset(m.set.data, 0xff, 8 * sizeof(int));
	r = vfio_irq_set(run->dev, &m.set);
	CHECK(r <= 0 || (uint32_t)r < m.set.start + m.set.count);	/* fewer are possible */
}

static void access_bar(struct run *run)
{
	uint8_t region = take8(run->in), buf[64] = { 0 };
	uint64_t offset = take16(run->in);
	size_t len = take8(run->in) % (sizeof(buf) + 1);
	ssize_t n = region & 128 ? vfio_pwrite(run->dev, region & 7, offset, buf, len)
				 : vfio_pread(run->dev, region & 7, offset, buf, len);

	CHECK(n <= (ssize_t)len);
}

static void reset_it(struct run *run)
{
	struct vfio_reset_info info;

	CHECK(vfio_reset_probe(run->dev, &info) == 0 && info.methods & VFIO_RESET_DEVICE);
	CHECK(vfio_reset(run->dev) == (run->device.gone ? -EIO : 0));
}

/* Bus mastering is off for whoever comes next, if the device can switch it off and is there. */
static void recycle(struct run *run)
{
	const struct fake_hardware *h = &run->device;

	run->lies = 0;
	run->dev->backend->recycle(run->dev);
	if (run->honest && !h->gone)
		CHECK(!(h->bytes[PCI_COMMAND] & h->write[PCI_COMMAND] & PCI_COMMAND_MASTER));
	CHECK(run->fn->irq.active == NO_INDEX);
}

static void device_acts(struct run *run)
{
	struct fake_hardware *h = &run->device;
	uint8_t what = take8(run->in);
	uint16_t at = take16(run->in) % CONFIG_MAX;

	switch (what % 5) {
	case 0: h->mute = !h->mute; break;
	case 1: h->gone = !h->gone; break;
	case 2: vfio_function_backdoor_reset(run->fn); break;
	case 3:
		h->bytes[at] = take8(run->in);
		run->honest = false;
		break;
	case 4:				/* its model leaves the header alone, which the library keeps */
		at = (at & ~3u) % (run->size - 0x40) + 0x40;
		vfio_function_config_write(run->fn, at, 4, take32(run->in));
		vfio_function_config_read(run->fn, at, 2);
		break;
	}
}

static void decide(struct run *run)
{
	static const struct {
		const char *key, *value;
	} policies[] = {
		{ "view", "filtered" }, { "view", "virtual" }, { "at-close", "keep" },
		{ "at-close", "reset" }, { "hide", "MSI, PM" }, { "vectors", "1" },
	};
	unsigned int i = take8(run->in) % (sizeof(policies) / sizeof(policies[0]));

	vfio_policy_set(run->dev, policies[i].key, policies[i].value);
}

static void step(struct run *run)
{
	int64_t before = clock_now;

	switch (take8(run->in) % 10) {
	case 0: case 1: write_config(run); break;
	case 2: read_config(run); break;
	case 3: set_irqs(run); break;
	case 4: access_bar(run); break;
	case 5: reset_it(run); break;
	case 6: recycle(run); break;
	case 7: device_acts(run); break;
	case 8: decide(run); break;
	case 9:
		run->lies = take8(run->in);
		run->honest = false;
		break;
	}
	CHECK(clock_now - before <= LONGEST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned int before = open_fds();
	static struct run run;

	memset(&run, 0, sizeof(run));
	run.in = &in;
	if (start(&run)) {
		for (unsigned int i = 0; in.left && i < MAX_STEPS; i++)
			step(&run);
		recycle(&run);
		vfio_close(run.dev);
	}
	CHECK(open_fds() == before);
	return 0;
}
