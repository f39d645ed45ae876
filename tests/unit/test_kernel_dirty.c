/* SPDX-License-Identifier: MIT */
/* Which pages a device of the kernel's has written, by an IOMMU that can tell: a made-up one. */
#include "fake_kernel.h"

#include <errno.h>
#include <string.h>

#include "backends/iommufd.h"
#include "contract.h"

#define PAGE 0x1000u
#define BASE 0x100000u
#define A    "0000:03:00.0"
#define B    "0000:03:00.1"		/* in A's group */
#define C    "0000:04:00.0"

static uint8_t memory[128 * PAGE] __attribute__((aligned(4096)));
static struct vfio_space *space;
static struct vfio_dev *a, *b;
static uint64_t bitmap[2];

static int set_up(void **state)
{
	struct vfio_error err;
	struct vfio_dma dma = {
		.vaddr = memory, .iova = BASE, .size = sizeof(memory), .fd = -1, .prot = VFIO_DMA_RW,
	};

	memset(&fake, 0, sizeof(fake));
	memset(bitmap, 0, sizeof(bitmap));
	fake.has_nodes = true;
	fake.devices[0] = (struct fake_device){
		.bdf = A, .node = "vfio0", .group = 7, .has_dirty = true,
	};
	fake.devices[1] = (struct fake_device){
		.bdf = B, .node = "vfio1", .group = 7, .has_dirty = true,
	};
	fake.devices[2] = (struct fake_device){ .bdf = C, .node = "vfio2", .group = 8 };
	fake_begin();
	a = b = NULL;
	if (vfio_space_new(&space, NULL) < 0 || vfio_space_open(space, &a, A, &err) < 0)
		return -1;
	return vfio_space_map(space, &dma);
}

static int tear_down(void **state)
{
	vfio_close(b);
	vfio_close(a);
	vfio_space_free(space);
	assert_int_equal(fake.tables, 0);
	fake_end();
	return 0;
}

static void assert_written(struct vfio_dev *dev, uint64_t low, uint64_t high)
{
	memset(bitmap, 0, sizeof(bitmap));
	assert_int_equal(vfio_dirty_get(dev, BASE, sizeof(memory), PAGE, bitmap), 0);
	assert_int_equal(bitmap[0], low);
	assert_int_equal(bitmap[1], high);
}

static void begins_and_ends(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(vfio_dirty_start(a, PAGE), 0);
		assert_int_equal(fake.tables, 1);
		assert_true(fake.is_tracking);
		assert_int_equal(fake_sees(&fake.devices[0], BASE), (uintptr_t)memory);
		assert_written(a, 0, 0);
		fake.written = BASE + 3 * PAGE;
		assert_written(a, 8, 0);
		assert_written(a, 0, 0);
		fake.written = BASE + 65 * PAGE + 8;
		assert_written(a, 0, 2);
		assert_int_equal(vfio_dirty_stop(a), 0);
		assert_false(fake.is_tracking);
		assert_int_equal(fake.tables, 0);
		assert_int_equal(fake_sees(&fake.devices[0], BASE), (uintptr_t)memory);
	}
}

static void out_of_order(void **state)
{
	assert_int_equal(vfio_dirty_get(a, BASE, PAGE, PAGE, bitmap), -EINVAL);
	assert_int_equal(vfio_dirty_stop(a), -EINVAL);
	assert_int_equal(vfio_dirty_start(a, PAGE), 0);
	fake.written = BASE;
	assert_int_equal(vfio_dirty_start(a, PAGE), 0);
	assert_int_equal(fake.tables, 1);
	assert_written(a, 0, 0);		/* it goes on, and is closed so */
}

static void ends_with_its_user(void **state)
{
	assert_int_equal(vfio_dirty_start(a, PAGE), 0);
	assert_int_equal(a->backend->recycle(a), 0);
	assert_false(fake.is_tracking);
	assert_int_equal(fake.tables, 0);
	assert_int_equal(vfio_dirty_get(a, BASE, PAGE, PAGE, bitmap), -EINVAL);
}

static void two_of_a_group(void **state)
{
	assert_int_equal(vfio_dirty_start(a, PAGE), 0);
	assert_int_equal(vfio_space_open(space, &b, B, NULL), 0);
	assert_int_equal(fake_sees(&fake.devices[1], BASE), (uintptr_t)memory);
	assert_int_equal(vfio_dirty_start(b, PAGE), 0);
	assert_int_equal(fake.tables, 1);
	assert_int_equal(vfio_dirty_stop(a), 0);
	assert_true(fake.is_tracking);
	fake.written = BASE;
	assert_written(b, 1, 0);
	vfio_close(b);
	b = NULL;
	assert_int_equal(fake.tables, 0);
	assert_int_equal(vfio_dirty_start(a, PAGE), 0);
}

static void an_iommu_that_cannot(void **state)
{
	assert_int_equal(vfio_open(&b, C, NULL), 0);
	assert_int_equal(vfio_dirty_start(b, PAGE), -ENOTSUP);
	assert_int_equal(vfio_last_error(b)->code, VFIO_E_UNSUPPORTED);
	assert_int_equal(vfio_dirty_get(b, BASE, PAGE, PAGE, bitmap), -ENOTSUP);
	assert_int_equal(vfio_dirty_stop(b), -ENOTSUP);
}

static void every_step_fails(void **state)
{
	static const unsigned long steps[] = {
		IOMMUFD_TABLE_ALLOC, CDEV_ATTACH, IOMMUFD_SET_DIRTY,
	};

	for (unsigned int i = 0; i < 3; i++) {
		fake.fail = steps[i];
		fake.with = ENOMEM;
		assert_int_equal(vfio_dirty_start(a, PAGE), -ENOMEM);
		assert_int_equal(fake.fail, 0);
		assert_int_equal(fake.tables, 0);
		assert_int_equal(fake_sees(&fake.devices[0], BASE), (uintptr_t)memory);
	}
	assert_int_equal(vfio_dirty_start(a, PAGE), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(begins_and_ends),
		TEST(out_of_order),
		TEST(ends_with_its_user),
		TEST(two_of_a_group),
		TEST(an_iommu_that_cannot),
		TEST(every_step_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
