/* SPDX-License-Identifier: MIT */
/* vfio_audit(): a device that breaks one clause fails that one, and no other. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/check.h>

#include "base/bits.h"
#include "model.h"
#include "tree.h"

#define MAX_FOUND 32
#define NONE      "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
#define BAR0      "0x00000000fe000000 0x00000000fe00ffff 0x0000000000040200\n"
#define REST      NONE NONE NONE NONE NONE NONE

static struct {
	enum vfio_verdict verdict;
	char topic[16], what[240];
} found[MAX_FOUND];
static unsigned int nfound;

static void keep(void *arg, const struct vfio_finding *f)
{
	assert_true(nfound < MAX_FOUND);
	assert_true(f->what[0] && (f->verdict == VFIO_PASS || f->remedy[0]));
	found[nfound].verdict = f->verdict;
	snprintf(found[nfound].topic, sizeof(found[0].topic), "%s", f->topic);
	snprintf(found[nfound].what, sizeof(found[0].what), "%s", f->what);
	nfound++;
}

/* Of this one clause the worst finding is this verdict, and says what; all others pass. */
static void assert_audit(struct vfio_dev *dev, enum vfio_verdict verdict, const char *topic,
			 const char *what)
{
	enum vfio_verdict worst = VFIO_PASS;
	bool said = verdict == VFIO_PASS;

	nfound = 0;
	assert_int_equal(vfio_audit(dev, keep, NULL), verdict);
	for (unsigned int i = 0; i < nfound; i++) {
		if (found[i].verdict == VFIO_PASS)
			continue;
		if (strcmp(found[i].topic, topic))
			fail_msg("for %s: %s: %s", topic, found[i].topic, found[i].what);
		if (found[i].verdict > worst)
			worst = found[i].verdict;
		said = said || strstr(found[i].what, what);
	}
	if (worst != verdict || !said)
		fail_msg("%s: %d, not %d, or not '%s'", topic, worst, verdict, what);
}

/* ---- models ----------------------------------------------------------------------------------- */

static void audit_model(const struct vfio_function_description *d,
			const struct vfio_function_ops *ops, enum vfio_verdict verdict,
			const char *topic, const char *what)
{
	struct vfio_error err;
	struct vfio_dev *dev;
	struct model m;

	if (model_new_as(&m, d, ops, &err))
		fail_msg("%s", err.what);
	assert_int_equal(vfio_function_open(&dev, m.fn, &err), 0);
	assert_audit(dev, verdict, topic, what);
	vfio_close(dev);
}

static void a_well_behaved_model(void **state)
{
	audit_model(&model_description, &model_ops, VFIO_PASS, "", "");
	assert_string_equal(found[nfound - 1].topic, "power");
}

static void models_that_are_not(void **state)
{
	static const uint8_t vendor[] = { 6, 0, 0, 0 };
	const struct vfio_capability_description own = {
		.id = PCI_CAP_ID_VNDR, .length = sizeof(vendor), .bytes = vendor,
	};
	struct vfio_function_description d = model_description;
	struct vfio_function_ops ops = model_ops;

	ops.reset = NULL;
	audit_model(&d, &ops, VFIO_FAIL, "reset", "cannot be reset");
	d.bars[5] = (struct vfio_bar_description){ .size = 256 };
	audit_model(&d, &model_ops, VFIO_FAIL, "bar-pages", "BAR5, 0x100 bytes");
	d = model_description;
	d.ncapabilities = 1;
	d.capabilities = &own;
	audit_model(&d, &model_ops, VFIO_WARN, "known", "0x9 at 0x");
}

/* ---- devices in sysfs ------------------------------------------------------------------------- */

/* What is asked of the observer about it. */
struct device {
	uint8_t config[PCI_CFG_SPACE_EXP_SIZE];
	const char *resource;
	const char *reset_method;
	bool unprivileged;
};

/* Express with error reporting, PM, MSI-X of 16 vectors at 0x2000, pending bits at 0x3000; INTA. */
static void well_behaved(struct device *d)
{
	uint8_t *c = d->config;

	*d = (struct device){ .resource = BAR0 REST, .reset_method = "flr\n" };
	le32_put(c, 0x11e81234);
	c[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	le32_put(c + PCI_BASE_ADDRESS_0, 0xfe000000);
	c[PCI_CAPABILITY_LIST] = 0x40;
	c[PCI_INTERRUPT_PIN] = 1;
	le16_put(c + 0x40, PCI_CAP_ID_PM | 0x50 << 8);
	le16_put(c + 0x42, 3);
	le16_put(c + 0x50, PCI_CAP_ID_MSIX | 0x60 << 8);
	le16_put(c + 0x52, 15);
	le32_put(c + 0x54, 0x2000);
	le32_put(c + 0x58, 0x3000);
	le16_put(c + 0x60, PCI_CAP_ID_EXP);
	le16_put(c + 0x62, 2);
	le32_put(c + 0x100, PCI_EXT_CAP_ID_ERR | 1 << 16);
}

static struct vfio_dev *observe(struct tree *t, const struct device *d)
{
	char name[PATH_MAX];
	struct vfio_dev *dev;

	make_bytes(t, DEV "/config", d->config, sizeof(d->config));
	make_file(t, DEV "/resource", d->resource);
	make_file(t, DEV "/reset_method", d->reset_method);
	snprintf(name, sizeof(name), "sysfs:%s/" DEV, t->at);
	if (vfio_open(&dev, name, &t->err))
		fail_msg("%s", t->err.what);
	if (d->unprivileged) {
		path_of(t, DEV "/config", name);
		assert_int_equal(truncate(name, PCI_STD_HEADER_SIZEOF), 0);
	}
	return dev;
}

static void ones(struct device *d)
{
	memset(d->config, 0xff, sizeof(d->config));
}

static void bridge(struct device *d)
{
	d->config[PCI_HEADER_TYPE] = 0x81;
}

static void no_type(struct device *d)
{
	d->config[PCI_HEADER_TYPE] = 0x55;
}

static void loop(struct device *d)
{
	d->config[0x61] = 0x40;
}

static void extended_loop(struct device *d)
{
	le32_put(d->config + 0x100, PCI_EXT_CAP_ID_ERR | 1 << 16 | 0x100u << 20);
}

static void vendor(struct device *d)
{
	d->config[0x61] = 0xc0;
	le32_put(d->config + 0xc0, PCI_CAP_ID_VNDR | 8 << 16);
}

static void new_one(struct device *d)
{
	d->config[0x61] = 0xc0;
	le32_put(d->config + 0xc0, 0x7e | 0xabcdu << 16);
}

static void unlisted(struct device *d)
{
	d->config[0xf2] = 1;
}

static void small_bar(struct device *d)
{
	d->resource = BAR0 "0xfe010000 0xfe0100ff 0x40200\n" NONE NONE NONE NONE NONE;
}

static void unaligned_bar(struct device *d)
{
	le32_put(d->config + PCI_BASE_ADDRESS_0, 0xfe000800);
}

static void ports(struct device *d)	/* small, but never mapped */
{
	d->resource = BAR0 "0xc000 0xc01f 0x40101\n" NONE NONE NONE NONE NONE;
	le32_put(d->config + PCI_BASE_ADDRESS_1, 0xc001);
}

static void table_beyond(struct device *d)
{
	le32_put(d->config + 0x54, 0x10000);
}

static void table_nowhere(struct device *d)
{
	le32_put(d->config + 0x54, 0x2000 | 7);
}

static void table_overlaps(struct device *d)
{
	le32_put(d->config + 0x58, 0x2080);
}

static void table_shares(struct device *d)
{
	le32_put(d->config + 0x54, 0x2400);
}

static void pending_shares(struct device *d)
{
	le32_put(d->config + 0x58, 0x3800);
}

static void both_in_one(struct device *d)
{
	le32_put(d->config + 0x58, 0x2800);
}

static void fifth_pin(struct device *d)
{
	d->config[PCI_INTERRUPT_PIN] = 5;
}

static void no_express(struct device *d)
{
	d->config[0x60] = 0;
	memset(d->config + 0x62, 0, 2);
}

static void masked(struct device *d)
{
	no_express(d);
	le16_put(d->config + PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
}

static void no_reset(struct device *d)
{
	d->reset_method = "\n";
}

static void odd_power(struct device *d)
{
	d->config[0x44] = 1;
}

static void asleep(struct device *d)
{
	d->config[0x44] = 3;
}

static void hidden(struct device *d)
{
	d->unprivileged = true;
}

static const struct {
	void (*make)(struct device *d);
	enum vfio_verdict verdict;
	const char *topic, *what;
} rows[] = {
	{ ones, VFIO_FAIL, "answers", "all ones" },
	{ bridge, VFIO_FAIL, "header", "type 1, a bridge's" },
	{ no_type, VFIO_FAIL, "header", "type 85" },
	{ loop, VFIO_FAIL, "capabilities", "loops" },
	{ extended_loop, VFIO_FAIL, "extended", "loops" },
	{ vendor, VFIO_WARN, "known", "0x9 at 0xc0" },
	{ new_one, VFIO_WARN, "known", "0x7e at 0xc0" },
	{ unlisted, VFIO_WARN, "listed", "1 bytes of configuration space" },
	{ small_bar, VFIO_FAIL, "bar-pages", "BAR1, 0x100 bytes" },
	{ unaligned_bar, VFIO_FAIL, "bar-pages", "BAR0" },
	{ ports, VFIO_PASS, "", "" },
	{ table_beyond, VFIO_FAIL, "msix-place", "table: 0x10000 to 0x10100" },
	{ table_nowhere, VFIO_FAIL, "msix-place", "BAR7" },
	{ table_overlaps, VFIO_FAIL, "msix-place", "overlap" },
	{ table_shares, VFIO_FAIL, "msix-apart", "table, at 0x2400 of BAR0, shares" },
	{ pending_shares, VFIO_FAIL, "msix-apart", "pending bits, at 0x3800" },
	{ both_in_one, VFIO_PASS, "", "" },
	{ fifth_pin, VFIO_FAIL, "intx", "pin is 5" },
	{ no_express, VFIO_WARN, "intx", "not known" },
	{ masked, VFIO_PASS, "", "" },
	{ no_reset, VFIO_FAIL, "reset", "cannot be reset" },
	{ odd_power, VFIO_FAIL, "power", "D1" },
	{ asleep, VFIO_PASS, "", "" },
};

static void devices(void **state)
{
	struct tree *t = *state;
	struct vfio_dev *dev;
	struct device d;

	well_behaved(&d);
	dev = observe(t, &d);
	assert_audit(dev, VFIO_PASS, "", "");
	vfio_close(dev);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		well_behaved(&d);
		rows[i].make(&d);
		dev = observe(t, &d);
		assert_audit(dev, rows[i].verdict, rows[i].topic, rows[i].what);
		vfio_close(dev);
	}
}

/* What cannot be read is not known, and so does not pass. */
static void without_privilege(void **state)
{
	struct vfio_dev *dev;
	struct device d;
	unsigned int unknown = 0;

	well_behaved(&d);
	hidden(&d);
	dev = observe(*state, &d);
	nfound = 0;
	assert_int_equal(vfio_audit(dev, keep, NULL), VFIO_WARN);
	for (unsigned int i = 0; i < nfound; i++)
		unknown += found[i].verdict == VFIO_WARN;
	assert_int_equal(unknown, 8);
	vfio_close(dev);
}

static void a_device_that_is_switched_off(void **state)
{
	struct tree *t = *state;
	struct vfio_dev *dev;
	struct device d;

	well_behaved(&d);
	make_file(t, DEV "/power_state", "D3cold\n");
	dev = observe(t, &d);
	nfound = 0;
	assert_int_equal(vfio_audit(dev, keep, NULL), -EAGAIN);
	assert_int_equal(nfound, 0);
	vfio_close(dev);
}

/* Configuration space that may be anything: it ends, and each clause has a verdict. */
static void anything(void **state)
{
	struct vfio_dev *dev;
	struct device d;

	srandom(6);
	well_behaved(&d);
	dev = observe(*state, &d);
	for (unsigned int i = 0; i < 2000; i++) {
		well_behaved(&d);
		for (unsigned int changes = 1 + random() % 40; changes; changes--)
			d.config[random() % (i % 2 ? 256 : sizeof(d.config))] = (uint8_t)random();
		make_bytes(*state, DEV "/config", d.config, sizeof(d.config));
		nfound = 0;
		assert_in_range(vfio_audit(dev, keep, NULL), VFIO_PASS, VFIO_FAIL);
		assert_true(nfound == 2 || nfound >= 12);
	}
	vfio_close(dev);
}

/* A back end that would let users map the table, which none of ours does. */
static int expose(struct vfio_dev *dev, uint32_t index, struct vfio_region *region)
{
	*region = (struct vfio_region){
		.index = index, .fd = -1, .size = index ? 0 : 0x10000,
		.flags = VFIO_REGION_INFO_FLAG_MMAP, .nareas = 1, .areas = { { 0, 0x10000 } },
	};
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		region->size = PCI_CFG_SPACE_EXP_SIZE;
	return 0;
}

static void a_table_that_can_be_mapped(void **state)
{
	struct vfio_dev *dev;
	struct backend exposing;
	const struct backend *own;
	struct device d;

	well_behaved(&d);
	dev = observe(*state, &d);
	own = dev->backend;
	exposing = *own;
	exposing.region = expose;
	dev->backend = &exposing;
	assert_audit(dev, VFIO_FAIL, "msix-apart", "can be mapped by users");
	dev->backend = own;
	vfio_close(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_well_behaved_model),
		cmocka_unit_test(models_that_are_not),
		TREE_TEST(devices),
		TREE_TEST(without_privilege),
		TREE_TEST(a_device_that_is_switched_off),
		TREE_TEST(anything),
		TREE_TEST(a_table_that_can_be_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
