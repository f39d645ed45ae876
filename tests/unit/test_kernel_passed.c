/* SPDX-License-Identifier: MIT */
/* Devices of the kernel's by descriptors that somebody else has opened: in a made-up machine. */
#include "fake_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backends/iommufd.h"

#define PAGE 0x1000u
#define A    "0000:03:00.0"
#define B    "0000:03:00.1"		/* in A's group */
#define C    "0000:04:00.0"
#define UUID "12345678-9abc-def0-1234-56789abcdef0"

static uint8_t memory[2 * PAGE] __attribute__((aligned(4096)));
static struct vfio_error err;
static struct vfio_dev *dev;
static int fds[4];			/* the caller's */
static unsigned int nfds;

static int set_up(void **state)
{
	memset(&fake, 0, sizeof(fake));
	fake.has_nodes = true;
	fake.devices[0] = (struct fake_device){ .bdf = A, .node = "vfio0", .group = 7 };
	fake.devices[1] = (struct fake_device){ .bdf = B, .node = "vfio1", .group = 7 };
	fake.devices[2] = (struct fake_device){ .bdf = C, .node = "vfio2", .group = 8 };
	fake_begin();
	dev = NULL;
	nfds = 0;
	return 0;
}

static int tear_down(void **state)
{
	vfio_close(dev);
	while (nfds)
		close(fds[--nfds]);
	fake_end();
	return 0;
}

static int node(const char *name)
{
	int fd = fake_node(name);

	assert_true(fd >= 0);
	fds[nfds++] = fd;
	return fd;
}

/* format has %d for fd and for other. */
static int opens(const char *format, int fd, int other)
{
	char name[160], text[80];

	snprintf(text, sizeof(text), "%s", format);
	for (char *at = text; (at = strchr(at, '@')); at++)
		*at = (char)('0' + other % 10);
	assert_true(other < 10 || !strchr(format, '@'));
	snprintf(name, sizeof(name), "fd:%d%s", fd, text);
	return vfio_open(&dev, name, &err);
}

static void assert_opens(const char *options, int fd, int other)
{
	if (opens(options, fd, other) < 0)
		fail_msg("%s: VFIO-%03d: %s", options, err.code, err.what);
}

static void assert_fails(const char *options, int fd, int other, int e, enum vfio_error_code code,
			 const char *words)
{
	int r = opens(options, fd, other);

	if (r != -e || err.code != code || dev ||
	    !(strstr(err.what, words) || strstr(err.remedy, words)))
		fail_msg("%s: %d, VFIO-%03d: %s / %s", options, r, err.code, err.what, err.remedy);
}

static void maps(void)
{
	struct vfio_dma dma = {
		.vaddr = memory, .iova = 0x100000, .size = PAGE, .fd = -1, .prot = VFIO_DMA_RW,
	};

	assert_int_equal(vfio_dma_map(dev, &dma), 0);
	assert_int_equal(fake.pinned, PAGE);
}

static void closes(void)
{
	vfio_close(dev);
	dev = NULL;
	assert_int_equal(fake.pinned, 0);
	for (unsigned int i = 0; i < nfds; i++)
		assert_true(fcntl(fds[i], F_GETFD) >= 0);
}

/* ---- by the newer road ---------------------------------------------------------------------- */

static void a_node(void **state)
{
	int fd = node("vfio/devices/vfio2");

	assert_opens("", fd, 0);
	assert_string_equal(vfio_backend_name(dev), "kernel_cdev");
	assert_int_equal(vfio_read32(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x56781234);
	maps();
	assert_int_equal(fake_sees(&fake.devices[2], 0x100000), (uintptr_t)memory);
	assert_int_equal(fake.by_process, 1);	/* others of this user do not share its limit */
	closes();
	assert_int_equal(fake_sees(&fake.devices[2], 0x100000), 0);
	assert_int_equal(fake.ioases, 0);
	/* It is bound once, until its owner closes it. */
	assert_fails("", fd, 0, EBUSY, VFIO_E_BUSY, C);
}

static void with_an_iommufd(void **state)
{
	int fd = node("vfio/devices/vfio2"), iommufd = node("iommu");

	fake.devices[2].token = UUID;
	assert_fails(",iommufd=@", fd, iommufd, EACCES, VFIO_E_TOKEN, "asks");
	assert_opens(",vf_token=" UUID ",iommufd=@", fd, iommufd);
	assert_int_equal(fake.iommufds, 1);
	assert_int_equal(fake.by_process, 0);	/* it is the caller's */
	maps();
	closes();
	assert_int_equal(fake.ioases, 0);
	assert_int_equal(fake.iommufds, 1);
}

/* ---- by the older --------------------------------------------------------------------------- */

static void a_group(void **state)
{
	int fd = node("vfio/8");

	for (unsigned int i = 0; i < 2; i++) {
		assert_opens("", fd, 0);
		assert_string_equal(vfio_backend_name(dev), "kernel_group");
		maps();
		closes();
		assert_int_equal(fake.containers, 0);
	}
	assert_opens(",device=04:00.0", fd, 0);
}

static void with_a_container(void **state)
{
	int fd = node("vfio/7"), container = node("vfio/vfio");

	assert_fails(",container=@", fd, container, EINVAL, VFIO_E_NAME, "2 devices");
	assert_opens(",container=@,device=" B, fd, container);
	assert_int_equal(fake.containers, 1);
	maps();
	closes();
	assert_opens(",device=" A ",container=@", fd, container);
	closes();
	assert_int_equal(fake.containers, 1);
}

/* The container has an IOMMU, the group, and a map of the caller's, which stays. */
static void that_is_set_up(void **state)
{
	struct vfio_iommu_type1_dma_map q = {
		.argsz = sizeof(q), .flags = 3, .vaddr = (uintptr_t)memory + PAGE,
		.iova = 0x200000, .size = PAGE,
	};
	struct vfio_dma dma = {
		.vaddr = memory, .iova = 0x100000, .size = PAGE, .fd = -1, .prot = VFIO_DMA_RW,
	};
	int fd = node("vfio/8"), container = node("vfio/vfio");

	assert_int_equal(ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_fails("", fd, 0, EBUSY, VFIO_E_BUSY, "container=N");
	assert_int_equal(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(ioctl(container, VFIO_IOMMU_MAP_DMA, &q), 0);
	assert_opens(",container=@", fd, container);
	assert_int_equal(vfio_dma_map(dev, &dma), 0);
	assert_int_equal(fake.pinned, 2 * PAGE);
	assert_int_equal(vfio_dma_unmap(dev, 0, UINT64_MAX), 0);
	assert_int_equal(fake.pinned, PAGE);
	vfio_close(dev);
	dev = NULL;
	assert_int_equal(fake.pinned, PAGE);
	assert_opens(",container=@", fd, container);
}

/* ---- what is none of it --------------------------------------------------------------------- */

static void refusals(void **state)
{
	int device = node("vfio/devices/vfio2"), group = node("vfio/7"), iommufd = node("iommu");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_fails("", null, 0, EINVAL, VFIO_E_NAME, "neither");
	assert_fails("", 999, 0, EBADF, VFIO_E_NAME, "open");
	assert_fails("", iommufd, 0, EINVAL, VFIO_E_NAME, "neither");
	assert_fails(",device=" C, group, 0, EINVAL, VFIO_E_NAME, "group 8");
	assert_fails(",device=0000:1f:00.0", group, 0, ENODEV, VFIO_E_NO_DEVICE, "1f:00.0");
	assert_fails(",device=03", group, 0, EINVAL, VFIO_E_OPTION, "device=03");
	assert_fails(",container=@", device, iommufd, EINVAL, VFIO_E_NAME, "not the node");
	assert_fails(",iommufd=@,device=" A, group, iommufd, EINVAL, VFIO_E_NAME, "does not go");
	assert_fails(",device=" A, device, 0, EINVAL, VFIO_E_NAME, "does not go");
	assert_fails(",container=999", device, 0, EBADF, VFIO_E_NAME, "not open");
	assert_fails(",container=", device, 0, EINVAL, VFIO_E_OPTION, "container=");
	assert_fails(",container=x", device, 0, EINVAL, VFIO_E_OPTION, "container=x");
	assert_fails(",vf_token=12", device, 0, EINVAL, VFIO_E_TOKEN, "UUID");
	assert_fails(",", device, 0, EINVAL, VFIO_E_OPTION, "option ''");
	assert_opens(",device=" C, device, 0);
	close(null);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_node),
		TEST(with_an_iommufd),
		TEST(a_group),
		TEST(with_a_container),
		TEST(that_is_set_up),
		TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
