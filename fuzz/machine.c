/* SPDX-License-Identifier: MIT */
/*
 * A machine in a folder with a device in it, where files, links and folders may be anything, or not
 * be there. Whoever looks at it must come to an end, say what it has found, and change nothing;
 * whoever takes the device must give it back.
 */
#include <errno.h>
#include <limits.h>

#include <vfio/check.h>

#include "backends/raw.h"
#include "backends/uio.h"
#include "check.h"
#include "input.h"
#include "machine_tree.h"

#define CONFIG    VFIO_PCI_CONFIG_REGION_INDEX
#define MAX_STEPS 32

/* ---- looking --------------------------------------------------------------------------------- */

/* For people's eyes: a word, and sentences without control characters. */
static void check_text(const char *text)
{
	CHECK(text);
	for (; *text; text++)
		CHECK((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void found(void *arg, const struct vfio_finding *f)
{
	CHECK(f->verdict == VFIO_PASS || f->verdict == VFIO_WARN || f->verdict == VFIO_FAIL);
	check_text(f->topic);
	check_text(f->what);
	check_text(f->remedy);
	CHECK(*f->topic && *f->what);
	if ((int)f->verdict > *(int *)arg)
		*(int *)arg = f->verdict;
}

static void check_record(int r, const struct vfio_error *err)
{
	if (r >= 0)
		return;
	CHECK(err->err == -r && err->code && err->what[0]);
	check_text(err->what);
	check_text(err->remedy);
}

static void doctor(void)
{
	static const struct {
		const char *scheme, *path;
	} names[] = {
		{ "sysfs:", "sys" }, { "sysfs:", DEV }, { "sysfs:", OTHER }, { UNSAFE_UIO, DEV },
		{ UNSAFE_NOIOMMU, DEV },
	};
	struct vfio_error err;
	char name[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int worst = VFIO_PASS, r;

		snprintf(name, sizeof(name), "%s%s/%s", names[i].scheme, machine_root(),
			 names[i].path);
		r = vfio_check(name, found, &worst, &err);
		check_record(r, &err);
		CHECK(r < 0 || r == worst);
	}
}

static void blame(const struct kernel_roots *roots)
{
	struct kernel_place p;
	struct vfio_error err;
	char path[PATH_MAX];
	int r = kernel_find_node(roots, "vfio3", &p, &err);

	check_record(r, &err);
	r = kernel_find(roots, BDF, &p, &err);
	check_record(r, &err);
	if (r < 0)
		return;
	snprintf(path, sizeof(path), "%s/dev/vfio/devices/vfio3", machine_root());
	check_record(kernel_not_granted(roots, &p, path, EPERM, &err), &err);
	check_record(kernel_not_granted(roots, &p, path, EBUSY, &err), &err);
	check_record(kernel_node_failed(roots, &p, path, EACCES, &err), &err);
	check_record(uio_node_failed(roots, &p, path, EWOULDBLOCK, &err), &err);
	kernel_isolation(roots, true);
	kernel_isolation(roots, false);
}

static void audit(struct vfio_dev *dev)
{
	int worst = VFIO_PASS, r = vfio_audit(dev, found, &worst);

	check_record(r, vfio_last_error(dev));
	CHECK(r < 0 || r == worst);
}

static void observe(void)
{
	uint8_t config[CONFIG_MAX], byte = 0;
	struct vfio_reset_info reset;
	struct vfio_irq_info irq;
	struct vfio_region region;
	struct vfio_error err;
	struct vfio_dev *dev;
	char name[PATH_MAX];
	int r;

	snprintf(name, sizeof(name), "sysfs:%s/" DEV, machine_root());
	r = vfio_open(&dev, name, &err);
	check_record(r, &err);
	if (r < 0)
		return;
	for (unsigned int i = 0; i < VFIO_PCI_NUM_REGIONS; i++)
		CHECK(vfio_region(dev, i, &region) == 0);
	for (unsigned int i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		check_record(vfio_irq_info(dev, i, &irq), vfio_last_error(dev));
	check_record(vfio_reset_probe(dev, &reset), vfio_last_error(dev));
	CHECK(vfio_region(dev, CONFIG, &region) == 0 && region.size <= sizeof(config));
	r = vfio_pread(dev, CONFIG, 0, config, region.size);
	CHECK(r < 0 || r == (int)region.size);
	CHECK(vfio_pwrite(dev, CONFIG, PCI_COMMAND, &byte, 1) < 0 && vfio_reset(dev) < 0);
	CHECK(vfio_pread(dev, 0, 0, &byte, 1) <= 0);
	audit(dev);
	vfio_close(dev);
}

/* ---- what must not change -------------------------------------------------------------------- */

struct state {
	uint8_t bytes[3][CONFIG_MAX];
	ssize_t len[3];
};

static void remember(struct state *s)
{
	static const char *const names[] = { DEV "/config", DEV "/rom", DEV "/reset" };

	memset(s, 0, sizeof(*s));
	for (unsigned int i = 0; i < 3; i++)
		s->len[i] = machine_read(names[i], s->bytes[i], CONFIG_MAX);
}

/* ---- taking ---------------------------------------------------------------------------------- */

static void use(struct input *in, struct vfio_function *fn)
{
	struct irq_request q = { .flags = take8(in), .index = take8(in) % 6, .count = 1 };
	uint8_t op = take8(in), bytes[64];
	unsigned int region = take8(in) % 9;
	uint64_t offset = take16(in);
	size_t len = take8(in) % sizeof(bytes);

	take(in, bytes, sizeof(bytes));
	q.bools = bytes;
	q.flags &= VFIO_IRQ_SET_ACTION_TYPE_MASK | VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL;
	switch (op % 8) {
	case 0: function_reset(fn); break;
	case 1: function_recycle(fn); break;
	case 2: function_set_irqs(fn, &q); break;
	case 3: case 4: function_read(fn, region, offset, bytes, len); break;
	default: function_write(fn, region, offset, bytes, len); break;
	}
}

/* The file of a device that was given back: nobody masters the bus, BARs are what they were. */
static void check_given_back(const struct state *before)
{
	struct state after;
	const uint8_t *was = before->bytes[0], *is = after.bytes[0];

	remember(&after);
	CHECK(after.len[0] == before->len[0]);
	CHECK(!(is[PCI_COMMAND] & PCI_COMMAND_MASTER));
	CHECK(memcmp(is, was, PCI_COMMAND) == 0);
	CHECK(memcmp(is + PCI_BASE_ADDRESS_0, was + PCI_BASE_ADDRESS_0, 4 * NUM_BARS) == 0);
}

static void take_it(struct input *in, const struct kernel_roots *roots)
{
	struct vfio_error err;
	struct state before;
	struct raw *raw;
	int r;

	remember(&before);
	r = raw_open(&raw, roots, BDF, &err);
	check_record(r, &err);
	CHECK((r == 0) == (raw != NULL));
	if (r < 0)
		return;
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++)
		use(in, raw->fn);
	vfio_function_free(raw->fn);
	check_given_back(&before);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void look(const struct kernel_roots *roots)
{
	struct state before, after;

	remember(&before);
	observe();
	doctor();
	blame(roots);
	remember(&after);
	CHECK(memcmp(&before, &after, sizeof(after)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char sys[80], dev[80], proc[80];
	const struct kernel_roots roots = { sys, dev, proc };
	unsigned int before;

	snprintf(sys, sizeof(sys), "%s/sys", machine_root());
	snprintf(dev, sizeof(dev), "%s/dev", machine_root());
	snprintf(proc, sizeof(proc), "%s/proc", machine_root());
	before = open_fds();
	machine_change(&in);
	if (take8(&in) & 1)
		look(&roots);
	else
		take_it(&in, &roots);
	machine_restore();
	CHECK(open_fds() == before);
	return 0;
}
