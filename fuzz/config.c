/* SPDX-License-Identifier: MIT */
/*
 * A virtual function in this process: configuration writes, interrupts, resets, power states, in
 * any order; after each the configuration space must still be one that a PCI device could have.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/fd.h"
#include "check.h"
#include "device.h"
#include "function/function.h"
#include "input.h"

#define CONFIG     VFIO_PCI_CONFIG_REGION_INDEX
#define MAX_STEPS  256
#define MAX_FIELDS 256
#define MAX_FDS    8

struct fields {
	struct vfio_pci_value values[MAX_FIELDS];
	unsigned int count;
};

struct run {
	struct device device;
	struct vfio_function *fn;
	struct vfio_dev *dev;
	struct fields power_on;
	int fds[3];			/* an eventfd, a full one, no eventfd */
};

/* ---- what must hold ----------------------------------------------------------------------- */

static int keep_field(void *arg, const struct vfio_pci_value *v)
{
	struct fields *f = arg;

	CHECK(f->count < MAX_FIELDS);
	f->values[f->count++] = *v;
	return 0;
}

static void read_config(struct run *run, uint8_t *config)
{
	CHECK(vfio_pread(run->dev, CONFIG, 0, config, CONFIG_SIZE) == CONFIG_SIZE);
}

/* What the device itself shows, and so may change without a write. */
static bool is_live(const struct vfio_pci_value *v)
{
	const char *reg = v->field->reg_name, *name = v->field->name;

	return (v->id == 0 && !strcmp(reg, "Status") && !strcmp(name, "INTx")) ||
	       (v->id == PCI_CAP_ID_MSIX && !strcmp(reg, "Control") && !strcmp(name, "Enable"));
}

static void check_read_only(struct run *run, const uint8_t *config)
{
	struct fields now = { .count = 0 };

	CHECK(vfio_pci_decode(config, CONFIG_SIZE, keep_field, &now) == 0);
	CHECK(now.count == run->power_on.count);
	for (unsigned int i = 0; i < now.count; i++) {
		const struct vfio_pci_value *a = &now.values[i], *b = &run->power_on.values[i];

		CHECK(a->field && a->field == b->field && a->offset == b->offset);
		if (a->field->access == VFIO_PCI_RO && !is_live(a))
			CHECK(a->value == b->value);
	}
	CHECK(le16_get(config + PCI_VENDOR_ID) == DEVICE_VENDOR);
	CHECK(le16_get(config + PCI_DEVICE_ID) == DEVICE_DEVICE);
}

static void check_chain(const uint8_t *config)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	char problem[VFIO_PCI_PROBLEM_ROOM];

	CHECK(vfio_pci_walk(config, CONFIG_SIZE, caps, problem) == 3);
	CHECK(!problem[0] && caps[0].id == PCI_CAP_ID_PM && caps[1].id == PCI_CAP_ID_MSI);
	CHECK(caps[2].id == PCI_CAP_ID_MSIX && caps[2].next == 0);
}

/* The address bits that a BAR's size leaves, and its type, whatever was written. */
static void check_bars(const uint8_t *config)
{
	for (unsigned int i = 0; i < DEVICE_BARS; i++) {
		const struct vfio_bar_description *b = &device_bars[i];
		uint32_t v = le32_get(config + PCI_BASE_ADDRESS_0 + 4 * i);
		uint32_t type = (b->flags & VFIO_BAR_IO ? PCI_BASE_ADDRESS_SPACE_IO : 0) |
				(b->flags & VFIO_BAR_MEM64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
				(b->flags & VFIO_BAR_PREFETCH ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);

		if (b->size)
			CHECK((v & (b->size - 1)) == type);
		else if (!i || !(device_bars[i - 1].flags & VFIO_BAR_MEM64))
			CHECK(v == 0);
	}
	CHECK(le32_get(config + PCI_ROM_ADDRESS) == 0);
}

static void check_interrupts(struct run *run, const uint8_t *config)
{
	const struct vfio_function *fn = run->fn;
	uint16_t msi = le16_get(config + fn->layout.msi + PCI_MSI_FLAGS);
	uint16_t msix = le16_get(config + fn->layout.msix + PCI_MSIX_FLAGS);
	uint32_t active = fn->irq.active;
	bool shown = le16_get(config + PCI_STATUS) & PCI_STATUS_INTERRUPT;

	CHECK(!(msi & PCI_MSI_FLAGS_ENABLE) || active == VFIO_PCI_MSI_IRQ_INDEX);
	CHECK(!(msix & PCI_MSIX_FLAGS_ENABLE) == (active != VFIO_PCI_MSIX_IRQ_INDEX));
	CHECK((msi & PCI_MSI_FLAGS_QSIZE) >> 4 <= 2);
	CHECK(shown == (run->device.intx != 0));
	CHECK(active == NO_INDEX || active <= VFIO_PCI_MSIX_IRQ_INDEX);
	CHECK(fn->irq.allocated <= (active == VFIO_PCI_MSIX_IRQ_INDEX ? 8 :
				    active == VFIO_PCI_MSI_IRQ_INDEX ? 4 : 0));
	for (uint32_t i = fn->irq.allocated; i < 8; i++)
		CHECK(fn->irq.vectors[i] < 0);
}

/* Memory answers in D0 with the decoder on, and only then. */
static void check_power(struct run *run, const uint8_t *config)
{
	uint16_t command = le16_get(config + PCI_COMMAND);
	uint8_t state = config[run->fn->layout.pm + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK;
	bool on = (command & PCI_COMMAND_MEMORY) && state == 0;
	uint32_t value;

	CHECK(state == 0 || state == 3);
	CHECK(vfio_pread(run->dev, 0, REG_SCRATCH, &value, 4) == (on ? 4 : -EIO));
	CHECK(vfio_pread(run->dev, 5, 0, &value, 4) == 4);
	CHECK(!(command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			    PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE)));
}

static void check_all(struct run *run)
{
	uint8_t config[CONFIG_SIZE];

	read_config(run, config);
	check_read_only(run, config);
	check_chain(config);
	check_bars(config);
	check_interrupts(run, config);
	check_power(run, config);
}

/* ---- steps -------------------------------------------------------------------------------- */

static void write_config(struct run *run, struct input *in)
{
	uint8_t bytes[16], offset = take8(in);
	size_t len = take8(in) % (sizeof(bytes) + 1);
	ssize_t n;

	take(in, bytes, len);
	n = vfio_pwrite(run->dev, CONFIG, offset, bytes, len);
	CHECK(n == (offset + len <= CONFIG_SIZE ? (ssize_t)len : -EFAULT));
}

/* The sizes of all BARs at once, as firmware asks for them. */
static void size_bars(struct run *run, uint8_t width)
{
	static const uint8_t ones[24] = { [0 ... 23] = 0xff };
	uint8_t config[CONFIG_SIZE];

	for (size_t at = 0; at < sizeof(ones); at += width)
		vfio_pwrite(run->dev, CONFIG, PCI_BASE_ADDRESS_0 + at, ones, width);
	read_config(run, config);
	for (unsigned int i = 0; i < DEVICE_BARS; i++) {
		const struct vfio_bar_description *b = &device_bars[i];
		uint32_t type = b->flags & VFIO_BAR_IO ? 3 : 15;
		uint32_t v = le32_get(config + PCI_BASE_ADDRESS_0 + 4 * i) & ~type;

		if (b->size)
			CHECK(v == (uint32_t)~(b->size - 1));
	}
	CHECK(le32_get(config + PCI_BASE_ADDRESS_3) == UINT32_MAX);
}

static void set_irqs(struct run *run, struct input *in)
{
	const int kinds[8] = {
		run->fds[0], run->fds[1], run->fds[2], 9999, -2, -1, -1, run->fds[0],
	};
	union {
		struct vfio_irq_set set;
		uint8_t room[sizeof(struct vfio_irq_set) + MAX_FDS * sizeof(int)];
	} m = { .set = {
		.argsz = sizeof(m), .flags = take8(in) & 0x7f, .index = take8(in) % 7,
		.start = take8(in) % 10, .count = take8(in) % (MAX_FDS + 2),
	} };
	uint8_t data[MAX_FDS];

	take(in, data, sizeof(data));
	if (m.set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		for (unsigned int i = 0; i < MAX_FDS; i++)
			memcpy(m.set.data + i * sizeof(int), &kinds[data[i] & 7], sizeof(int));
	else
		memcpy(m.set.data, data, sizeof(data));
	CHECK(vfio_irq_set(run->dev, &m.set) <= 0);
}

static void access_bar(struct run *run, struct input *in)
{
	uint8_t region = take8(in), buf[64] = { 0 };
	uint64_t offset = take16(in);
	size_t len = take8(in) % (sizeof(buf) + 1);
	ssize_t n = region & 128 ? vfio_pwrite(run->dev, region & 7, offset, buf, len)
				 : vfio_pread(run->dev, region & 7, offset, buf, len);

	CHECK(n <= (ssize_t)len);
}

static void model_acts(struct run *run, struct input *in)
{
	uint8_t what = take8(in), buf[8];

	if (what & 1) {
		run->device.intx = what >> 1 & 1;
		vfio_function_intx(run->fn, run->device.intx);
	} else {
		vfio_function_msi(run->fn, what >> 1);
	}
	vfio_function_dma_read(run->fn, what, buf, sizeof(buf));
}

/* As when a client of a server has gone. */
static void recycle(struct run *run)
{
	uint8_t config[CONFIG_SIZE];
	struct fields now = { .count = 0 };

	CHECK(run->dev->backend->recycle(run->dev) == 0);
	read_config(run, config);
	CHECK(vfio_pci_decode(config, CONFIG_SIZE, keep_field, &now) == 0);
	for (unsigned int i = 0; i < now.count; i++)
		CHECK(now.values[i].value == run->power_on.values[i].value);
	CHECK(run->fn->irq.active == NO_INDEX && run->fn->irq.intx < 0);
	CHECK(run->fn->irq.unmask < 0 && run->fn->irq.req < 0);
}

static void step(struct run *run, struct input *in)
{
	switch (take8(in) % 8) {
	case 0: case 1: write_config(run, in); break;
	case 2: set_irqs(run, in); break;
	case 3: access_bar(run, in); break;
	case 4: model_acts(run, in); break;
	case 5: size_bars(run, 1u << take8(in) % 4); break;
	case 6: CHECK(vfio_reset(run->dev) == 0); break;
	case 7: recycle(run); break;
	}
	check_all(run);
}

/* ---- a run -------------------------------------------------------------------------------- */

static void start(struct run *run)
{
	uint64_t full = UINT64_MAX - 1;
	uint8_t config[CONFIG_SIZE];

	run->fn = device_new(&run->device);
	CHECK(vfio_function_open(&run->dev, run->fn, NULL) == 0);
	run->fds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	run->fds[1] = eventfd(0, EFD_CLOEXEC);
	run->fds[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	CHECK(write(run->fds[1], &full, sizeof(full)) == sizeof(full));
	read_config(run, config);
	CHECK(vfio_pci_decode(config, CONFIG_SIZE, keep_field, &run->power_on) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned int before = open_fds();
	struct run run = { .dev = NULL };

	start(&run);
	check_all(&run);
	for (unsigned int i = 0; in.left && i < MAX_STEPS; i++)
		step(&run, &in);
	vfio_close(run.dev);
	for (unsigned int i = 0; i < 3; i++)
		close(run.fds[i]);
	CHECK(open_fds() == before);
	return 0;
}
