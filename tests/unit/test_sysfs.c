/* SPDX-License-Identifier: MIT */
/* The observer: what it tells of a device in sysfs, what it refuses, and trees that lie. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/driver.h>

#include "backends/sysfs.h"
#include "base/bits.h"
#include "tree.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define NONE   "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"

static const char resource[] =
	"0x00000000fe000000 0x00000000fe003fff 0x0000000000140204\n" NONE
	"0x000000000000c000 0x000000000000c01f 0x0000000000040101\n" NONE NONE NONE
	"0x00000000fe100000 0x00000000fe10ffff 0x0000000000046200\n";

/* PM without a soft reset that keeps state, MSI of 8 vectors, MSI-X of 33, Express with FLR. */
static void make_config(uint8_t config[PCI_CFG_SPACE_SIZE])
{
	memset(config, 0, PCI_CFG_SPACE_SIZE);
	le32_put(config, 0x11e81234);
	config[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	config[PCI_CAPABILITY_LIST] = 0x40;
	config[PCI_INTERRUPT_PIN] = 1;
	le16_put(config + 0x40, PCI_CAP_ID_PM | 0x50 << 8);
	le16_put(config + 0x50, PCI_CAP_ID_MSI | 0x70 << 8);
	le16_put(config + 0x52, 3 << 1);
	le16_put(config + 0x70, PCI_CAP_ID_MSIX | 0x80 << 8);
	le16_put(config + 0x72, 32);
	le16_put(config + 0x80, PCI_CAP_ID_EXP);
	le16_put(config + 0x82, 2);
	le32_put(config + 0x84, PCI_EXP_DEVCAP_FLR);
}

static void make_device(struct tree *t)
{
	uint8_t config[PCI_CFG_SPACE_SIZE];

	make_config(config);
	make_bytes(t, DEV "/config", config, sizeof(config));
	make_file(t, DEV "/resource", resource);
}

static int observe(struct tree *t, struct vfio_dev **dev)
{
	char name[PATH_MAX];

	memset(&t->err, 0, sizeof(t->err));
	snprintf(name, sizeof(name), "sysfs:%s/" DEV, t->at);
	return vfio_open(dev, name, &t->err);
}

static struct vfio_dev *observed(struct tree *t)
{
	struct vfio_dev *dev;

	make_device(t);
	if (observe(t, &dev))
		fail_msg("%s", t->err.what);
	return dev;
}

/* ---- what it tells -------------------------------------------------------------------------- */

static void regions(void **state)
{
	static const uint64_t sizes[VFIO_PCI_NUM_REGIONS] = {
		[0] = 0x4000, [2] = 0x20, [VFIO_PCI_ROM_REGION_INDEX] = 0x10000, [CONFIG] = 256,
	};
	struct vfio_dev *dev = observed(*state);
	struct vfio_device_info info;
	struct vfio_region region;

	assert_string_equal(vfio_backend_name(dev), "sysfs");
	assert_int_equal(vfio_info(dev, &info), 0);
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI);
	assert_int_equal(info.num_regions, VFIO_PCI_NUM_REGIONS);
	for (uint32_t i = 0; i < info.num_regions; i++) {
		assert_int_equal(vfio_region(dev, i, &region), 0);
		assert_int_equal(region.size, sizes[i]);
		assert_int_equal(region.flags, i == CONFIG ? VFIO_REGION_INFO_FLAG_READ : 0);
		assert_int_equal(region.nareas, 0);
	}
	assert_int_equal(vfio_region(dev, info.num_regions, &region), -EINVAL);
	assert_null(vfio_map(dev, 0, 0, 0x1000));
	vfio_close(dev);
}

static void interrupts(void **state)
{
	static const uint32_t counts[VFIO_PCI_NUM_IRQS] = { 1, 8, 33, 1, 0 };
	struct vfio_dev *dev = observed(*state);
	struct vfio_irq_info info;

	for (uint32_t i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		assert_int_equal(vfio_irq_info(dev, i, &info), 0);
		assert_int_equal(info.count, counts[i]);
		assert_int_equal(info.flags, 0);
	}
	assert_int_equal(vfio_irq_info(dev, VFIO_PCI_NUM_IRQS, &info), -EINVAL);
	vfio_close(dev);
}

static void registers(void **state)
{
	uint8_t config[PCI_CFG_SPACE_SIZE], seen[PCI_CFG_SPACE_SIZE];
	struct vfio_dev *dev = observed(*state);

	make_config(config);
	assert_int_equal(vfio_pread(dev, CONFIG, 0, seen, sizeof(seen)), sizeof(seen));
	assert_memory_equal(seen, config, sizeof(seen));
	assert_int_equal(vfio_pread(dev, CONFIG, 255, seen, 2), -EFAULT);
	assert_int_equal(vfio_find_capability(dev, PCI_CAP_ID_MSIX), 0x70);
	vfio_close(dev);
}

/* What is only looked at does nothing, whoever drives it. */
static void isolation(void **state)
{
	struct vfio_dev *dev = observed(*state);
	struct vfio_isolation is;

	assert_int_equal(vfio_isolation(dev, &is), 0);
	assert_int_equal(is.dma, VFIO_ISOLATED_BY_SOFTWARE);
	assert_int_equal(is.interrupts, VFIO_ISOLATED_BY_SOFTWARE);
	vfio_close(dev);
}

static uint32_t reset_ways(struct vfio_dev *dev)
{
	struct vfio_reset_info info;

	assert_int_equal(vfio_reset_probe(dev, &info), 0);
	assert_int_equal(info.count, 0);
	return info.methods;
}

static void ways_to_reset(void **state)
{
	struct tree *t = *state;
	struct vfio_dev *dev = observed(t);

	assert_int_equal(reset_ways(dev), 0);
	make_file(t, DEV "/reset", "");
	assert_int_equal(reset_ways(dev), VFIO_RESET_FLR | VFIO_RESET_PM);
	make_file(t, DEV "/reset_method", "device_specific af_flr pm bus something_new\n");
	assert_int_equal(reset_ways(dev), VFIO_RESET_SPECIFIC | VFIO_RESET_AF | VFIO_RESET_PM |
			 VFIO_RESET_BUS);
	make_file(t, DEV "/reset_method", "something_new\n");
	assert_int_equal(reset_ways(dev), 0);
	vfio_close(dev);
}

/* Neither the driver nor who has the device open matters; nothing is opened, and nothing written. */
static void a_device_of_another_driver(void **state)
{
	struct tree *t = *state;
	struct vfio_dev *dev;
	uint8_t before[PCI_CFG_SPACE_SIZE], after[PCI_CFG_SPACE_SIZE];

	make_link(t, DEV "/driver", "../nvme");
	drop(t, DEV "/iommu_group");
	make_config(before);
	before[PCI_COMMAND] = PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY;
	make_file(t, DEV "/resource", resource);
	make_bytes(t, DEV "/config", before, sizeof(before));
	assert_int_equal(observe(t, &dev), 0);
	assert_int_equal(vfio_pread(dev, CONFIG, 0, after, sizeof(after)), sizeof(after));
	assert_memory_equal(before, after, sizeof(after));
	vfio_close(dev);
	assert_int_equal(observe(t, &dev), 0);
	assert_int_equal(vfio_pread(dev, CONFIG, 0, after, sizeof(after)), sizeof(after));
	assert_memory_equal(before, after, sizeof(after));
	vfio_close(dev);
}

/* ---- what it refuses ------------------------------------------------------------------------ */

static void assert_observed(struct vfio_dev *dev, int64_t r)
{
	assert_int_equal(r, -EPERM);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_OBSERVED);
	assert_non_null(strstr(vfio_last_error(dev)->what, BDF));
}

static void what_would_change_it(void **state)
{
	struct vfio_dev *dev = observed(*state);
	void *page = aligned_alloc(4096, 4096);
	struct vfio_dma dma = { .vaddr = page, .size = 4096, .prot = VFIO_DMA_RW, .fd = -1 };
	uint8_t byte = 0;
	int fd;

	assert_observed(dev, vfio_pwrite(dev, CONFIG, PCI_COMMAND, &byte, 1));
	assert_observed(dev, vfio_pwrite(dev, 0, 0, &byte, 1));
	assert_observed(dev, vfio_pread(dev, 0, 0, &byte, 1));
	assert_int_equal(vfio_pread(dev, 1, 0, &byte, 1), -EINVAL);
	assert_observed(dev, vfio_set_bus_master(dev, true));
	assert_observed(dev, vfio_reset(dev));
	assert_observed(dev, vfio_dma_map(dev, &dma));
	assert_true(vfio_irq_enable(dev, VFIO_PCI_MSI_IRQ_INDEX, 1, &fd) < 0);
	vfio_close(dev);
	free(page);
}

/* The kernel gives those without privilege fewer bytes than the file has: here it ends early. */
static void the_first_64_bytes(void **state)
{
	struct tree *t = *state;
	struct vfio_dev *dev = observed(t);
	struct vfio_reset_info reset;
	struct vfio_irq_info info;
	uint8_t config[PCI_CFG_SPACE_SIZE];
	char path[PATH_MAX];

	path_of(t, DEV "/config", path);
	assert_int_equal(truncate(path, 64), 0);
	assert_int_equal(vfio_pread(dev, CONFIG, 0, config, 64), 64);
	assert_int_equal(vfio_pread(dev, CONFIG, 0, config, 65), -EPERM);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_PERMISSION);
	assert_non_null(strstr(vfio_last_error(dev)->what, "first 64"));
	assert_non_null(strstr(vfio_last_error(dev)->remedy, "root"));
	assert_int_equal(vfio_irq_info(dev, VFIO_PCI_INTX_IRQ_INDEX, &info), 0);
	assert_int_equal(vfio_irq_info(dev, VFIO_PCI_MSIX_IRQ_INDEX, &info), -EPERM);
	assert_int_equal(reset_ways(dev), 0);
	make_file(t, DEV "/reset", "");
	assert_int_equal(vfio_reset_probe(dev, &reset), -EPERM);
	vfio_close(dev);
}

static void one_that_is_switched_off(void **state)
{
	struct tree *t = *state;
	struct vfio_dev *dev = observed(t);
	uint8_t byte;

	make_file(t, DEV "/power_state", "D3hot\n");
	assert_int_equal(vfio_pread(dev, CONFIG, 0, &byte, 1), 1);
	make_file(t, DEV "/power_state", "D3cold\n");
	assert_int_equal(vfio_pread(dev, CONFIG, 0, &byte, 1), -EAGAIN);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_POWER);
	vfio_close(dev);
}

/* ---- lies, and names ------------------------------------------------------------------------ */

static void assert_lie(struct tree *t, const char *file)
{
	struct vfio_dev *dev;

	assert_says(t, observe(t, &dev), EINVAL, VFIO_E_SYSFS, file, "sysfs");
	assert_null(dev);
}

static void lies(void **state)
{
	static const char *const resources[] = {
		"", "\n\n\n\n\n\n\n", "0x1 0x2\n", NONE NONE NONE NONE NONE NONE,
		"0x2000 0x1000 0x200\n" NONE NONE NONE NONE NONE NONE,
		"0x0 0xffffffffffffffff 0x200\n" NONE NONE NONE NONE NONE NONE,
		"0x1000 0x1fff 0x200 more\n" NONE NONE NONE NONE NONE NONE,
	};
	struct tree *t = *state;
	char path[PATH_MAX];

	assert_lie(t, DEV "/resource");
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		make_file(t, DEV "/resource", resources[i]);
		assert_lie(t, DEV "/resource");
	}
	make_file(t, DEV "/resource", resource);
	assert_lie(t, DEV "/config");
	make_folder(t, DEV "/config");
	assert_lie(t, DEV "/config");
	drop(t, DEV "/config");
	path_of(t, DEV "/config", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_lie(t, DEV "/config");
	drop(t, DEV "/config");
	make_link(t, DEV "/config", "/dev/zero");
	assert_lie(t, DEV "/config");
	drop(t, DEV "/config");
	make_file(t, DEV "/config", "short");
	assert_lie(t, DEV "/config");
	make_device(t);
	make_link(t, DEV "/driver", "../vfio pci");
	assert_lie(t, DEV "/driver");
	make_link(t, DEV "/driver", "../vfio-pci");
	make_link(t, DEV "/iommu_group", "../x");
	assert_lie(t, DEV "/iommu_group");
}

static void names(void **state)
{
	static const struct {
		const char *name;
		const char *sys, *dev, *bdf;	/* NULL: it is none */
	} rows[] = {
		{ "03:00.0", "/sys", "/dev", BDF },
		{ "0000:03:00.0", "/sys", "/dev", BDF },
		{ "/host/sys/bus/pci/devices/03:00.0", "/host/sys", "/host/dev", BDF },
		{ "/host/sys", "/host/sys", "/host/dev", "" },
		{ "/host/sys//", "/host/sys", "/host/dev", "" },
		{ "./sys", "./sys", "./dev", "" },
		{ "copy/bus/pci/devices/03:00.0", "copy", "./dev", BDF },
		{ "", NULL, NULL, NULL }, { "x", NULL, NULL, NULL },
		{ "/devices/03:00.0", NULL, NULL, NULL },
		{ "/bus/pci/devices/03:00.0", NULL, NULL, NULL },
	};
	struct sysfs_root root;
	char bdf[KERNEL_BDF];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(sysfs_parse(rows[i].name, &root, bdf), rows[i].sys != NULL);
		if (!rows[i].sys)
			continue;
		assert_string_equal(root.roots.sys, rows[i].sys);
		assert_string_equal(root.roots.dev, rows[i].dev);
		assert_string_equal(bdf, rows[i].bdf);
	}
}

static void names_that_are_refused(void **state)
{
	struct tree *t = *state;
	char name[PATH_MAX];
	struct vfio_dev *dev;

	assert_says(t, vfio_open(&dev, "sysfs:edu", &t->err), EINVAL, VFIO_E_NAME, "sysfs:edu",
		    "sysfs:0000:03:00.0");
	snprintf(name, sizeof(name), "sysfs:%s", t->sys);
	assert_says(t, vfio_open(&dev, name, &t->err), EINVAL, VFIO_E_NAME, "no PCI device",
		    "bus/pci/devices");
	snprintf(name, sizeof(name), "sysfs:%s/bus/pci/devices/04:00.0", t->sys);
	assert_says(t, vfio_open(&dev, name, &t->err), ENODEV, VFIO_E_NO_DEVICE, "0000:04:00.0",
		    "lsvfio");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(regions),
		TREE_TEST(interrupts),
		TREE_TEST(registers),
		TREE_TEST(isolation),
		TREE_TEST(ways_to_reset),
		TREE_TEST(a_device_of_another_driver),
		TREE_TEST(what_would_change_it),
		TREE_TEST(the_first_64_bytes),
		TREE_TEST(one_that_is_switched_off),
		TREE_TEST(lies),
		cmocka_unit_test(names),
		TREE_TEST(names_that_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
