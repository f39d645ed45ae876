/* SPDX-License-Identifier: MIT */
/* Finding a device of the kernel's in sysfs, which may lie; and what is said of one in use. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

#include "backends/kernel.h"
#include "tree.h"

static int find(struct tree *t)
{
	memset(&t->err, 0, sizeof(t->err));
	return kernel_find(&t->roots, BDF, &t->place, &t->err);
}

/* ---- addresses ------------------------------------------------------------------------------ */

static void addresses(void **state)
{
	static const struct {
		const char *name, *bdf;		/* NULL: it is none */
	} rows[] = {
		{ "0000:03:00.0", BDF }, { "03:00.0", BDF }, { "3:0.0", BDF },
		{ "ABCD:Ef:1f.7", "abcd:ef:1f.7" }, { "10000:00:02.1", "10000:00:02.1" },
		{ "ffffffff:ff:1f.7", "ffffffff:ff:1f.7" },
		{ "", NULL }, { ":", NULL }, { "03:00", NULL }, { "03:20.0", NULL },
		{ "03:00.8", NULL }, { "03:00.0 ", NULL }, { " 03:00.0", NULL },
		{ "03:00.0x", NULL }, { "-3:00.0", NULL }, { "0000:03:00.0:", NULL },
		{ "100000000:03:00.0", NULL }, { "0000:003:00.0", NULL }, { "03:00.00", NULL },
		{ "0000:03:00.0/../x", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char bdf[KERNEL_BDF] = "";
		bool is = kernel_parse(rows[i].name, bdf);

		if (is != !!rows[i].bdf || (is && strcmp(bdf, rows[i].bdf)))
			fail_msg("'%s': %d, '%s'", rows[i].name, is, bdf);
	}
}

/* ---- what is there -------------------------------------------------------------------------- */

static void a_device(void **state)
{
	struct tree *t = *state;

	assert_int_equal(find(t), 0);
	assert_string_equal(t->place.bdf, BDF);
	assert_string_equal(t->place.driver, "vfio-pci");
	assert_string_equal(t->place.node, "vfio3");
	assert_int_equal(t->place.group, 7);
	memset(&t->place, 0, sizeof(t->place));
	assert_int_equal(kernel_find_node(&t->roots, "vfio3", &t->place, &t->err), 0);
	assert_string_equal(t->place.bdf, BDF);
}

/* Linux before 6.1 has no vfio-dev: there the driver's name says what it is. */
static void an_older_kernel(void **state)
{
	struct tree *t = *state;

	drop(t, DEV "/vfio-dev/vfio3");
	drop(t, DEV "/vfio-dev");
	assert_int_equal(find(t), 0);
	assert_string_equal(t->place.node, "");
	make_link(t, DEV "/driver", "../mlx5-vfio-pci");
	assert_int_equal(find(t), 0);
	make_link(t, DEV "/driver", "../nvme");
	assert_says(t, find(t), ENODEV, VFIO_E_NOT_BOUND, "driver nvme", "set-override " BDF);
}

/* A driver of any name is VFIO's when the device has such a folder. */
static void a_driver_of_another_name(void **state)
{
	struct tree *t = *state;

	make_link(t, DEV "/driver", "../qat_special");
	assert_int_equal(find(t), 0);
}

/* ---- what is missing ------------------------------------------------------------------------ */

static void no_device(void **state)
{
	struct tree *t = *state;

	assert_says(t, kernel_find(&t->roots, "0000:04:00.0", &t->place, &t->err), ENODEV,
		    VFIO_E_NO_DEVICE, "0000:04:00.0", "lsvfio");
	assert_says(t, kernel_find_node(&t->roots, "vfio4", &t->place, &t->err), ENODEV,
		    VFIO_E_NO_DEVICE, "vfio4", "/sys/class/vfio-dev");
}

static void no_driver(void **state)
{
	struct tree *t = *state;

	drop(t, DEV "/driver");
	assert_says(t, find(t), ENODEV, VFIO_E_NOT_BOUND, "has no driver",
		    "driverctl set-override " BDF " vfio-pci");
}

/* vfio-pci takes none, and so there is no use in saying how it could be given one. */
static void a_bridge(void **state)
{
	struct tree *t = *state;
	uint8_t config[64] = { [0x0e] = 0x81 };

	drop(t, DEV "/vfio-dev/vfio3");
	drop(t, DEV "/vfio-dev");
	make_link(t, DEV "/driver", "../pcieport");
	make_bytes(t, DEV "/config", config, sizeof(config));
	assert_says(t, find(t), ENODEV, VFIO_E_BIND, "type 1", "behind it");
	config[0x0e] = 0x80;
	make_bytes(t, DEV "/config", config, sizeof(config));
	assert_says(t, find(t), ENODEV, VFIO_E_NOT_BOUND, "pcieport", "set-override");
}

static void no_iommu(void **state)
{
	struct tree *t = *state;
	char path[PATH_MAX];

	make_file(t, "sys/kernel/iommu_groups/7/name", "vfio-noiommu\n");
	assert_says(t, find(t), ENOTSUP, VFIO_E_NO_IOMMU, "without an IOMMU", "firmware");
	assert_says(t, find(t), ENOTSUP, VFIO_E_NO_IOMMU, "", "unsafe-noiommu:" BDF);
	make_file(t, "sys/kernel/iommu_groups/7/name", "vfio-noiommu2\n");
	assert_int_equal(find(t), 0);
	drop(t, "sys/kernel/iommu_groups/7/name");
	path_of(t, "sys/kernel/iommu_groups/7/name", path);
	assert_int_equal(mkfifo(path, 0600), 0);		/* nobody waits for its writer */
	assert_int_equal(find(t), 0);
	drop(t, DEV "/iommu_group");
	assert_says(t, find(t), ENODEV, VFIO_E_NO_IOMMU, "no IOMMU group", "intel_iommu=on");
	assert_says(t, find(t), ENODEV, VFIO_E_NO_IOMMU, "", "unsafe-noiommu:" BDF);
	make_link(t, DEV "/driver", "../nvme");		/* vfio-pci would not take it */
	assert_says(t, find(t), ENODEV, VFIO_E_NO_IOMMU, "no IOMMU group", "intel_iommu=on");
}

static int find_unguarded(struct tree *t)
{
	memset(&t->err, 0, sizeof(t->err));
	return kernel_find_unguarded(&t->roots, BDF, &t->place, &t->err);
}

/* Without an IOMMU by its own name only, and that only where there is none. */
static void without_an_iommu(void **state)
{
	struct tree *t = *state;

	assert_says(t, find_unguarded(t), EINVAL, VFIO_E_UNSAFE, "group 7", "plain address: " BDF);
	make_file(t, "sys/kernel/iommu_groups/7/name", "vfio-noiommu\n");
	assert_int_equal(find_unguarded(t), 0);
	assert_int_equal(t->place.group, 7);
	make_link(t, DEV "/driver", "../uio_pci_generic");
	drop(t, DEV "/vfio-dev/vfio3");
	drop(t, DEV "/vfio-dev");
	assert_says(t, find_unguarded(t), ENODEV, VFIO_E_NOT_BOUND, "uio_pci_generic",
		    "driverctl set-override " BDF);
	drop(t, DEV "/iommu_group");
	drop(t, DEV "/driver");
	assert_says(t, find_unguarded(t), ENODEV, VFIO_E_NOT_BOUND, "no driver",
		    "enable_unsafe_noiommu_mode");
	make_link(t, DEV "/iommu_group", "../../x");
	assert_says(t, find_unguarded(t), EINVAL, VFIO_E_SYSFS, "iommu_group", "sysfs");
	assert_says(t, kernel_find_unguarded(&t->roots, "0000:04:00.0", &t->place, &t->err), ENODEV,
		    VFIO_E_NO_DEVICE, "0000:04:00.0", "lsvfio");
}

/* ---- lies ----------------------------------------------------------------------------------- */

static void assert_lie(struct tree *t, const char *file)
{
	assert_says(t, find(t), EINVAL, VFIO_E_SYSFS, file, "sysfs");
}

static void lies_about_the_group(void **state)
{
	static const char *const targets[] = {
		"../x", "../7x", "../-7", "../99999999999999999999", "../2147483648", "7/", "../..",
		"../ 7", "../7\n", "../7/../..",
	};
	struct tree *t = *state;

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		make_link(t, DEV "/iommu_group", targets[i]);
		assert_lie(t, DEV "/iommu_group");
	}
	drop(t, DEV "/iommu_group");
	make_folder(t, DEV "/iommu_group");
	assert_lie(t, "it is no link");
}

static void lies_about_the_driver(void **state)
{
	static const char *const targets[] = {
		"vfio/", "..", "vfio pci", "vfio\033[2J", "vfio;reboot",
		"vfioooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo",
	};
	struct tree *t = *state;

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		make_link(t, DEV "/driver", targets[i]);
		assert_lie(t, DEV "/driver");
		assert_null(strchr(t->err.what, '\033'));
	}
}

static void lies_about_the_node(void **state)
{
	struct tree *t = *state;

	drop(t, DEV "/vfio-dev/vfio3");
	assert_lie(t, "vfio-dev");
	make_folder(t, DEV "/vfio-dev/vfio");
	make_folder(t, DEV "/vfio-dev/vfio3x");
	assert_lie(t, "vfio-dev");
	make_folder(t, DEV "/vfio-dev/vfio5");
	assert_int_equal(find(t), 0);
	assert_string_equal(t->place.node, "vfio5");
	/* The name and the device must be each other's. */
	assert_says(t, kernel_find_node(&t->roots, "vfio3", &t->place, &t->err), EINVAL,
		    VFIO_E_SYSFS, "another node", "sysfs");
	make_link(t, "sys/class/vfio-dev/vfio3/device", "../../../devices/03:00.0");
	assert_says(t, kernel_find_node(&t->roots, "vfio3", &t->place, &t->err), EINVAL,
		    VFIO_E_SYSFS, "vfio3/device", "sysfs");
}

/* ---- who is in the way ---------------------------------------------------------------------- */

static int refused(struct tree *t, int e)
{
	char node[PATH_MAX];

	assert_int_equal(find(t), 0);
	path_of(t, "dev/vfio/7", node);
	return kernel_not_granted(&t->roots, &t->place, node, e, &t->err);
}

static void a_neighbour(void **state)
{
	struct tree *t = *state;

	make_link(t, "sys/bus/pci/devices/0000:03:00.1/driver", "../snd_hda_intel");
	assert_says(t, refused(t, EBUSY), EPERM, VFIO_E_GROUP, "0000:03:00.1",
		    "set-override 0000:03:00.1");
	assert_non_null(strstr(t->err.what, "snd_hda_intel"));
	assert_non_null(strstr(t->err.what, "group 7"));
}

static void neighbours_that_harm_nothing(void **state)
{
	static const char *const drivers[] = { "../pci-stub", "../pcieport", "../vfio-pci" };
	struct tree *t = *state;

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		make_link(t, "sys/bus/pci/devices/0000:03:00.1/driver", drivers[i]);
		assert_says(t, refused(t, EBUSY), EBUSY, VFIO_E_BUSY, "in use", "fuser");
		assert_says(t, refused(t, EPERM), EPERM, VFIO_E_REMAPPING, "forging", "remapping");
	}
}

static void a_process_that_holds_it(void **state)
{
	struct tree *t = *state;
	char node[PATH_MAX];

	path_of(t, "dev/vfio/7", node);
	make_folder(t, "proc/self");
	make_folder(t, "proc/41/fd");
	make_folder(t, "proc/42/fd");
	make_link(t, "proc/41/fd/3", "/dev/null");
	make_link(t, "proc/42/fd/3", node);
	assert_says(t, refused(t, EBUSY), EBUSY, VFIO_E_BUSY, "process 42", "wait");
}

/* Of a neighbour's node, too, which keeps the whole group from others. */
static void a_process_that_holds_a_neighbour(void **state)
{
	struct tree *t = *state;
	char node[PATH_MAX];

	path_of(t, "dev/vfio/devices/vfio4", node);
	make_folder(t, "sys/bus/pci/devices/0000:03:00.1/vfio-dev/vfio4");
	make_link(t, "sys/bus/pci/devices/0000:03:00.1/driver", "../vfio-pci");
	make_link(t, "sys/bus/pci/devices/0000:03:00.1/iommu_group", "../7");
	make_folder(t, "proc/42/fd");
	make_link(t, "proc/42/fd/3", "/dev/null");
	assert_says(t, refused(t, EPERM), EPERM, VFIO_E_REMAPPING, "forging", "remapping");
	make_link(t, "proc/42/fd/3", node);
	assert_says(t, refused(t, EPERM), EBUSY, VFIO_E_BUSY, "process 42", "wait");
	assert_non_null(strstr(t->err.what, "vfio4"));
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static void nodes_that_cannot_be_opened(void **state)
{
	struct tree *t = *state;
	char node[PATH_MAX], owner[32];

	assert_int_equal(find(t), 0);
	path_of(t, "dev/vfio/7", node);
	assert_says(t, kernel_node_failed(&t->roots, &t->place, node, ENOENT, &t->err), ENODEV,
		    VFIO_E_NO_KERNEL, "dev/vfio/7", "modprobe vfio-pci");
	make_file(t, "dev/vfio/7", "");
	assert_int_equal(chmod(node, 0640), 0);
	snprintf(owner, sizeof(owner), "user %u's", getuid());
	assert_says(t, kernel_node_failed(&t->roots, &t->place, node, EACCES, &t->err), EACCES,
		    VFIO_E_PERMISSION, "mode 0640", "chown");
	assert_non_null(strstr(t->err.what, owner));
	assert_says(t, kernel_node_failed(&t->roots, &t->place, node, EBUSY, &t->err), EBUSY,
		    VFIO_E_BUSY, BDF, "fuser");
}

static void set_mode(const struct tree *t, const char *name, mode_t mode)
{
	char path[PATH_MAX];

	path_of(t, name, path);
	assert_int_equal(chmod(path, mode), 0);
}

/* The node and iommufd, if both are there and ours; or if the group is not ours either. */
static void which_road(void **state)
{
	struct tree *t = *state;

	assert_int_equal(find(t), 0);
	assert_false(kernel_has_nodes(&t->roots, &t->place));
	make_file(t, "dev/iommu", "");
	assert_false(kernel_has_nodes(&t->roots, &t->place));
	make_file(t, "dev/vfio/devices/vfio3", "");
	make_file(t, "dev/vfio/7", "");
	assert_true(kernel_has_nodes(&t->roots, &t->place));
	t->place.node[0] = '\0';
	assert_false(kernel_has_nodes(&t->roots, &t->place));
	assert_int_equal(find(t), 0);
	if (getuid() == 0)
		return;			/* everything is root's */
	set_mode(t, "dev/iommu", 0);
	assert_false(kernel_has_nodes(&t->roots, &t->place));
	set_mode(t, "dev/vfio/7", 0);
	assert_true(kernel_has_nodes(&t->roots, &t->place));
	set_mode(t, "dev/iommu", 0600);
	set_mode(t, "dev/vfio/7", 0600);
	set_mode(t, "dev/vfio/devices/vfio3", 0);
	assert_false(kernel_has_nodes(&t->roots, &t->place));
}

/* ---- isolation ------------------------------------------------------------------------------ */

#define TYPE1   "sys/module/vfio_iommu_type1/parameters"
#define IOMMUFD "sys/module/iommufd/parameters"

/* DMA is isolated in any case; interrupts only where a file says so. */
static void assert_interrupts(const struct tree *t, bool by_node, uint32_t level)
{
	struct vfio_isolation is = kernel_isolation(&t->roots, by_node);

	assert_int_equal(is.dma, VFIO_ISOLATED_BY_IOMMU);
	assert_int_equal(is.interrupts, level);
}

static void interrupts(void **state)
{
	struct tree *t = *state;

	assert_interrupts(t, false, VFIO_ISOLATED_NOT);
	assert_interrupts(t, true, VFIO_ISOLATED_NOT);
	make_folder(t, TYPE1);
	make_file(t, TYPE1 "/allow_unsafe_interrupts", "N\n");
	assert_interrupts(t, false, VFIO_ISOLATED_BY_IOMMU);
	assert_interrupts(t, true, VFIO_ISOLATED_NOT);
	make_folder(t, IOMMUFD);
	make_file(t, IOMMUFD "/allow_unsafe_interrupts", "N\n");
	assert_interrupts(t, false, VFIO_ISOLATED_BY_IOMMU);
	assert_interrupts(t, true, VFIO_ISOLATED_BY_IOMMU);
	make_file(t, IOMMUFD "/allow_unsafe_interrupts", "Y\n");
	assert_interrupts(t, false, VFIO_ISOLATED_NOT);
	assert_interrupts(t, true, VFIO_ISOLATED_NOT);
	make_file(t, IOMMUFD "/allow_unsafe_interrupts", "N\n");
	make_file(t, TYPE1 "/allow_unsafe_interrupts", "Y\n");
	assert_interrupts(t, false, VFIO_ISOLATED_NOT);
	assert_interrupts(t, true, VFIO_ISOLATED_BY_IOMMU);
	drop(t, TYPE1 "/allow_unsafe_interrupts");
	assert_interrupts(t, false, VFIO_ISOLATED_BY_IOMMU);
}

static void lies_about_interrupts(void **state)
{
	static const char *const lies[] = { "", "\n", "n\n", "0\n", " N\n" };
	struct tree *t = *state;

	make_folder(t, IOMMUFD "/allow_unsafe_interrupts");
	assert_interrupts(t, true, VFIO_ISOLATED_NOT);
	drop(t, IOMMUFD "/allow_unsafe_interrupts");
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		make_file(t, IOMMUFD "/allow_unsafe_interrupts", lies[i]);
		assert_interrupts(t, true, VFIO_ISOLATED_NOT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		TREE_TEST(a_device),
		TREE_TEST(an_older_kernel),
		TREE_TEST(a_driver_of_another_name),
		TREE_TEST(no_device),
		TREE_TEST(no_driver),
		TREE_TEST(a_bridge),
		TREE_TEST(no_iommu),
		TREE_TEST(without_an_iommu),
		TREE_TEST(lies_about_the_group),
		TREE_TEST(lies_about_the_driver),
		TREE_TEST(lies_about_the_node),
		TREE_TEST(a_neighbour),
		TREE_TEST(neighbours_that_harm_nothing),
		TREE_TEST(a_process_that_holds_it),
		TREE_TEST(a_process_that_holds_a_neighbour),
		TREE_TEST(nodes_that_cannot_be_opened),
		TREE_TEST(which_road),
		TREE_TEST(interrupts),
		TREE_TEST(lies_about_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
