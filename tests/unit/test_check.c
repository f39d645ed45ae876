/* SPDX-License-Identifier: MIT */
/* vfio_check() over made-up systems: each thing that can be in the way, and that it is named. */
#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/check.h>

#include "base/capability.h"
#include "tree.h"

#define PAGES "sys/kernel/mm/hugepages/hugepages-2048kB"
#define MAX_FOUND 32
#define MUCH (1 << 20)

static struct {
	enum vfio_verdict verdict;
	char topic[16];
	int code;
	char what[240], remedy[240];
} found[MAX_FOUND];
static unsigned int nfound;

static void keep(void *arg, const struct vfio_finding *f)
{
	assert_ptr_equal(arg, &nfound);
	assert_true(nfound < MAX_FOUND);
	found[nfound].verdict = f->verdict;
	snprintf(found[nfound].topic, sizeof(found[0].topic), "%s", f->topic);
	found[nfound].code = f->code;
	snprintf(found[nfound].what, sizeof(found[0].what), "%s", f->what);
	snprintf(found[nfound].remedy, sizeof(found[0].remedy), "%s", f->remedy);
	assert_true(f->what[0] && (f->verdict == VFIO_PASS || f->remedy[0]));
	nfound++;
}

/* A system on which everything is well. */
static int well(void **state)
{
	struct tree *t;

	tree_setup(state);
	t = *state;
	make_folder(t, "sys/bus/pci/drivers/vfio-pci");
	make_folder(t, "proc/self");
	make_file(t, "dev/vfio/vfio", "");
	make_file(t, "dev/vfio/7", "");
	make_file(t, "dev/vfio/devices/vfio3", "");
	make_file(t, "dev/iommu", "");
	make_file(t, "proc/interrupts", "  0:  9  IR-IO-APIC   2-edge  timer\n");
	make_folder(t, PAGES);
	make_file(t, PAGES "/nr_hugepages", "8\n");
	make_file(t, PAGES "/free_hugepages", "6\n");
	make_file(t, PAGES "/resv_hugepages", "1\n");
	return 0;
}

static int check_name(struct tree *t, const char *rest)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "sysfs:%s%s", t->sys, rest);
	nfound = 0;
	return vfio_check(name, keep, &nfound, &t->err);
}

static int check(struct tree *t)
{
	return check_name(t, "/bus/pci/devices/" BDF);
}

/* The one finding that is no PASS (and the memlock limit is this process's): what it says. */
static void assert_only(struct tree *t, enum vfio_verdict verdict, const char *topic, int code,
			const char *what, const char *remedy)
{
	int n = -1;

	assert_int_equal(check(t), verdict);
	for (unsigned int i = 0; i < nfound; i++) {
		if (found[i].verdict == VFIO_PASS || strcmp(found[i].topic, "memlock") == 0)
			continue;
		if (n >= 0)
			fail_msg("two: %s: %s / %s", topic, found[n].what, found[i].what);
		n = (int)i;
	}
	assert_true(n >= 0);
	if (found[n].verdict != verdict || strcmp(found[n].topic, topic) || found[n].code != code ||
	    !strstr(found[n].what, what) || !strstr(found[n].remedy, remedy))
		fail_msg("%d %s %d: %s / %s", found[n].verdict, found[n].topic, found[n].code,
			 found[n].what, found[n].remedy);
}

static bool says(const char *topic, enum vfio_verdict verdict, const char *what)
{
	for (unsigned int i = 0; i < nfound; i++)
		if (strcmp(found[i].topic, topic) == 0 && found[i].verdict == verdict &&
		    strstr(found[i].what, what))
			return true;
	return false;
}

/* ---- all is well ------------------------------------------------------------------------------ */

static void everything_is_well(void **state)
{
	struct tree *t = *state;

	/* A limit that the process has anyway is its own; root has none. */
	assert_true(check(t) <= VFIO_WARN);
	assert_true(says("device", VFIO_PASS, BDF));
	assert_true(says("iommu", VFIO_PASS, "group 7"));
	assert_true(says("driver", VFIO_PASS, "vfio-pci"));
	assert_true(says("group", VFIO_PASS, "group 7"));
	assert_true(says("node", VFIO_PASS, "dev/iommu"));
	assert_true(says("node", VFIO_PASS, "vfio/devices/vfio3"));
	assert_true(says("holder", VFIO_PASS, BDF));
	assert_true(says("remapping", VFIO_PASS, "remapped"));
	assert_true(says("hugepages", VFIO_PASS, "8, of which 5 are free"));
	assert_true(says("taint", VFIO_PASS, "without protection"));
	drop(t, "dev/iommu");
	assert_true(check(t) <= VFIO_WARN);
	assert_true(says("node", VFIO_PASS, "dev/vfio/vfio"));
	assert_true(says("node", VFIO_PASS, "dev/vfio/7"));
}

static void the_machine(void **state)
{
	struct tree *t = *state;

	assert_true(check_name(t, "") <= VFIO_WARN);
	assert_true(says("iommu", VFIO_PASS, "1 IOMMU group"));
	assert_true(says("kernel", VFIO_PASS, "vfio-pci"));
	make_file(t, "sys/kernel/iommu_groups/7/name", "vfio-noiommu\n");
	assert_int_equal(check_name(t, ""), VFIO_FAIL);
	assert_true(says("iommu", VFIO_FAIL, "a device"));
	drop(t, "sys/bus/pci/drivers/vfio-pci");
	check_name(t, "");
	assert_true(says("kernel", VFIO_WARN, "not loaded"));
	drop(t, "dev/iommu");
	drop(t, "dev/vfio/vfio");
	check_name(t, "");
	assert_true(says("kernel", VFIO_FAIL, "dev/vfio/vfio"));
}

static void names(void **state)
{
	struct tree *t = *state;

	assert_true(vfio_check(NULL, keep, (nfound = 0, &nfound), NULL) >= VFIO_PASS);
	assert_true(nfound > 3);
	assert_says(t, vfio_check("unix:/x", keep, &nfound, &t->err), EINVAL, VFIO_E_NAME,
		    "no PCI device", "vfioN");
	assert_says(t, vfio_check("edu", keep, &nfound, &t->err), EINVAL, VFIO_E_NAME, "'edu'",
		    "vfioN");
	assert_says(t, vfio_check("vfio123", keep, &nfound, &t->err), ENODEV, VFIO_E_NO_DEVICE,
		    "vfio123", "lists");
}

/* ---- what is in the way ----------------------------------------------------------------------- */

static void a_device_that_is_not_there(void **state)
{
	struct tree *t = *state;

	assert_int_equal(check_name(t, "/bus/pci/devices/0000:04:00.0"), VFIO_FAIL);
	assert_true(says("device", VFIO_FAIL, "0000:04:00.0"));
	make_link(t, DEV "/driver", "../vfio pci");
	assert_only(t, VFIO_FAIL, "device", VFIO_E_SYSFS, DEV "/driver", "sysfs");
}

static void no_iommu(void **state)
{
	struct tree *t = *state;

	drop(t, DEV "/iommu_group");
	assert_only(t, VFIO_FAIL, "iommu", VFIO_E_NO_IOMMU, "no IOMMU group", "intel_iommu");
	assert_false(says("kernel", VFIO_PASS, "vfio-pci"));
	drop(t, DEV "/vfio-dev/vfio3");
	drop(t, DEV "/vfio-dev");
	make_link(t, DEV "/driver", "../nvme");
	assert_int_equal(check(t), VFIO_FAIL);
	assert_true(says("driver", VFIO_FAIL, "driver nvme"));
	assert_true(says("kernel", VFIO_PASS, "vfio-pci"));
}

static void no_driver(void **state)
{
	struct tree *t = *state;

	drop(t, DEV "/vfio-dev/vfio3");
	drop(t, DEV "/vfio-dev");
	make_link(t, DEV "/driver", "../nvme");
	assert_only(t, VFIO_FAIL, "driver", VFIO_E_NOT_BOUND, "driver nvme", "set-override " BDF);
	assert_true(says("kernel", VFIO_PASS, "vfio-pci"));
	assert_false(says("node", VFIO_PASS, ""));
}

static void every_neighbour(void **state)
{
	struct tree *t = *state;

	make_link(t, "sys/bus/pci/devices/0000:03:00.1/driver", "../snd_hda_intel");
	assert_only(t, VFIO_FAIL, "group", VFIO_E_GROUP, "snd_hda_intel",
		    "set-override 0000:03:00.1");
	make_folder(t, "sys/bus/pci/devices/0000:03:00.2");
	make_folder(t, "sys/kernel/iommu_groups/7/devices/0000:03:00.2");
	make_link(t, "sys/bus/pci/devices/0000:03:00.2/driver", "../xhci_hcd");
	assert_int_equal(check(t), VFIO_FAIL);
	assert_true(says("group", VFIO_FAIL, "0000:03:00.1"));
	assert_true(says("group", VFIO_FAIL, "0000:03:00.2"));
	make_link(t, "sys/bus/pci/devices/0000:03:00.1/driver", "../pci-stub");
	assert_only(t, VFIO_FAIL, "group", VFIO_E_GROUP, "xhci_hcd", "0000:03:00.2");
}

static void nodes(void **state)
{
	struct tree *t = *state;
	char path[PATH_MAX];

	drop(t, "dev/iommu");
	drop(t, "dev/vfio/7");
	assert_only(t, VFIO_FAIL, "node", VFIO_E_NO_KERNEL, "dev/vfio/7", "modprobe");
	if (getuid() == 0)
		return;			/* everything is root's */
	make_file(t, "dev/vfio/7", "");
	path_of(t, "dev/vfio/7", path);
	assert_int_equal(chmod(path, 0440), 0);
	assert_only(t, VFIO_FAIL, "node", VFIO_E_PERMISSION, "mode 0440", "chown");
}

static void a_holder(void **state)
{
	struct tree *t = *state;
	char path[PATH_MAX];

	drop(t, "proc/self");
	assert_only(t, VFIO_WARN, "holder", VFIO_E_BUSY, "not known", "mount");
	make_folder(t, "proc/self");
	make_folder(t, "proc/42/fd");
	make_file(t, "proc/42/comm", "disk\033driver\n");
	path_of(t, "dev/vfio/devices/vfio3", path);
	make_link(t, "proc/42/fd/3", path);
	assert_only(t, VFIO_FAIL, "holder", VFIO_E_BUSY, "process 42 (disk?driver)", "wait");
	path_of(t, "dev/vfio/7", path);
	make_link(t, "proc/42/fd/3", path);
	assert_only(t, VFIO_FAIL, "holder", VFIO_E_BUSY, "dev/vfio/7", "wait");
}

/* Asked for by name: then it must have none. */
static void without_an_iommu(void **state)
{
	const bool may = LIBVFIO_UNSAFE && capability_have(CAP_SYS_RAWIO) && capability_is_initial();
	struct tree *t = *state;
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "unsafe-noiommu:%s/bus/pci/devices/" BDF, t->sys);
	nfound = 0;
	assert_int_equal(vfio_check(name, keep, &nfound, &t->err), VFIO_FAIL);
	assert_true(says("iommu", VFIO_FAIL, "has an IOMMU"));
	make_file(t, "sys/kernel/iommu_groups/7/name", "vfio-noiommu\n");
	nfound = 0;
	assert_int_equal(vfio_check(name, keep, &nfound, &t->err), VFIO_FAIL);
	assert_true(says("iommu", VFIO_PASS, "without an IOMMU"));
	assert_true(says("node", VFIO_FAIL, "dev/vfio/noiommu-7"));
	assert_true(says("kernel", VFIO_FAIL, "mode without an IOMMU is off"));
	make_folder(t, "sys/module/vfio/parameters");
	make_file(t, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
	assert_true(says("privilege", may ? VFIO_PASS : VFIO_FAIL, ""));
	assert_false(says("taint", VFIO_WARN, ""));
	make_file(t, "dev/vfio/noiommu-7", "");
	nfound = 0;
	vfio_check(name, keep, &nfound, &t->err);
	assert_true(says("node", VFIO_PASS, "dev/vfio/noiommu-7"));
	assert_false(says("kernel", VFIO_FAIL, ""));
	assert_true(says("holder", VFIO_PASS, BDF));
	assert_false(says("remapping", VFIO_PASS, ""));
	drop(t, DEV "/iommu_group");
	nfound = 0;
	assert_int_equal(vfio_check(name, keep, &nfound, &t->err), VFIO_FAIL);
	assert_true(says("driver", VFIO_FAIL, "given to users"));
	assert_says(t, vfio_check("unsafe-noiommu:x", keep, &nfound, &t->err), EINVAL,
		    VFIO_E_NAME, "unsafe-noiommu:x", "address");
}

static bool fails_uio(struct tree *t)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "uio:%s/bus/pci/devices/" BDF, t->sys);
	nfound = 0;
	return vfio_check(name, keep, &nfound, &t->err) == VFIO_FAIL;
}

/* It has an IOMMU, which may translate or not. */
static void by_uio(void **state)
{
	const bool may = LIBVFIO_UNSAFE && capability_have(CAP_SYS_RAWIO) && capability_is_initial();
	struct tree *t = *state;

	assert_true(fails_uio(t));
	assert_true(says("driver", VFIO_FAIL, "vfio-pci, and not uio_pci_generic"));
	make_link(t, DEV "/driver", "../uio_pci_generic");
	assert_true(fails_uio(t));
	assert_true(says("driver", VFIO_PASS, "uio_pci_generic"));
	assert_true(says("node", VFIO_FAIL, DEV "/uio"));
	make_folder(t, DEV "/uio/uio4");
	assert_true(fails_uio(t));
	assert_true(says("node", VFIO_FAIL, "there is no"));
	make_file(t, "dev/uio4", "");
	assert_int_equal(fails_uio(t), !may);
	assert_true(says("device", VFIO_PASS, BDF));
	assert_true(says("node", VFIO_PASS, "dev/uio4"));
	assert_true(says("holder", VFIO_PASS, BDF));
	assert_true(says("privilege", may ? VFIO_PASS : VFIO_FAIL, ""));
	assert_true(says("iommu", VFIO_PASS, "nothing translates"));
	assert_true(says("hugepages", VFIO_PASS, ""));
	assert_false(says("group", VFIO_PASS, ""));
	make_file(t, "sys/kernel/iommu_groups/7/type", "DMA\n");
	assert_int_equal(fails_uio(t), !may);
	assert_true(says("iommu", VFIO_WARN, "translates"));
	assert_says(t, vfio_check("uio:x", keep, &nfound, &t->err), EINVAL, VFIO_E_NAME, "uio:x",
		    "uio: or");
	assert_says(t, vfio_check("uio:/sys", keep, &nfound, &t->err), EINVAL, VFIO_E_NAME, "uio:",
		    "uio: or");
}

static void interrupt_remapping(void **state)
{
	struct tree *t = *state;

	make_file(t, "proc/interrupts", "  0:  9  IO-APIC   2-edge  timer\n");
	assert_only(t, VFIO_FAIL, "remapping", VFIO_E_REMAPPING, "forging", "allow_unsafe");
	make_folder(t, "sys/module/iommufd/parameters");
	make_file(t, "sys/module/iommufd/parameters/allow_unsafe_interrupts", "N\n");
	assert_only(t, VFIO_FAIL, "remapping", VFIO_E_REMAPPING, "forging", "allow_unsafe");
	make_file(t, "sys/module/iommufd/parameters/allow_unsafe_interrupts", "Y\n");
	assert_only(t, VFIO_WARN, "remapping", VFIO_E_REMAPPING, "forging", "firmware");
	drop(t, "proc/interrupts");
	assert_only(t, VFIO_WARN, "remapping", VFIO_E_REMAPPING, "not known", "firmware");
	make_file(t, "proc/interrupts", "  5:  1  GICv3  27 Level\n 9: 0  ITS-MSI 0 Edge\n");
	assert_true(check(t) <= VFIO_WARN);
	assert_true(says("remapping", VFIO_PASS, "remapped"));
}

/* A line for each interrupt, a number for each processor; the controller's name may lie anywhere. */
static void interrupts_without_end(void **state)
{
	struct tree *t = *state;
	char line[8300], path[PATH_MAX];

	memset(line, ' ', sizeof(line));
	strcpy(line + sizeof(line) - 40, "  IO-APIC   2-edge  timer\n");
	for (unsigned int i = 4080; i < 4100; i++) {
		memcpy(line + i, " IR-PCI", 7);
		make_file(t, "proc/interrupts", line);
		memset(line + i, ' ', 7);
		check(t);
		assert_true(says("remapping", VFIO_PASS, "remapped"));
	}
	make_file(t, "proc/interrupts", line);
	assert_only(t, VFIO_FAIL, "remapping", VFIO_E_REMAPPING, "forging", "allow_unsafe");
	make_file(t, "proc/interrupts", "  0:  9");
	path_of(t, "proc/interrupts", path);
	assert_int_equal(truncate(path, 1ll << 40), 0);
	assert_only(t, VFIO_WARN, "remapping", VFIO_E_REMAPPING, "not known", "firmware");
}

static void huge_pages(void **state)
{
	struct tree *t = *state;

	make_file(t, PAGES "/resv_hugepages", "6\n");
	assert_only(t, VFIO_WARN, "hugepages", 0, "small pages", "nr_hugepages");
	make_file(t, PAGES "/free_hugepages", "noise");
	assert_only(t, VFIO_WARN, "hugepages", 0, "small pages", "nr_hugepages");
}

static void what_was_done_before(void **state)
{
	struct tree *t = *state;
	char *much;

	make_folder(t, "run/libvfio");
	make_file(t, "run/libvfio/taint", "2026-01-01 uid=0 device=0000:02:00.0\n"
		  "2026-01-02 uid=0 device=\033[2J0000:05:00.0\n");
	assert_only(t, VFIO_WARN, "taint", VFIO_E_UNSAFE, "2 times, the last: 2026-01-02", "start the machine");
	assert_true(says("taint", VFIO_WARN, "?[2J"));
	make_file(t, "run/libvfio/taint", "\n\n");
	assert_int_equal(check(t), VFIO_WARN);
	assert_true(says("taint", VFIO_WARN, "2 times, the last: "));
	make_file(t, "run/libvfio/taint", "");
	assert_true(check(t) <= VFIO_WARN);
	assert_true(says("taint", VFIO_PASS, ""));
	much = malloc(MUCH);
	memset(much, 'x', MUCH);
	make_bytes(t, "run/libvfio/taint", much, MUCH);
	free(much);
	assert_int_equal(check(t), VFIO_WARN);
	assert_true(says("taint", VFIO_WARN, "1 time, the last: xxx"));
	drop(t, "run/libvfio/taint");
	make_link(t, "run/libvfio/taint", "/dev/zero");
	assert_true(check(t) <= VFIO_WARN);
	assert_true(says("taint", VFIO_PASS, ""));
}

static void locked_memory(void **state)
{
	struct tree *t = *state;
	struct rlimit limit;

	if (kernel_memlock() == UINT64_MAX && getuid() == 0)
		return;			/* it does not bind root */
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = 64 << 10;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(check(t), VFIO_WARN);
	assert_true(says("memlock", VFIO_WARN, "64 KiB"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, well, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_is_well),
		TEST(the_machine),
		TEST(names),
		TEST(a_device_that_is_not_there),
		TEST(no_iommu),
		TEST(no_driver),
		TEST(every_neighbour),
		TEST(nodes),
		TEST(a_holder),
		TEST(without_an_iommu),
		TEST(by_uio),
		TEST(interrupt_remapping),
		TEST(interrupts_without_end),
		TEST(huge_pages),
		TEST(what_was_done_before),
		TEST(locked_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
