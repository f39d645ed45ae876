/* SPDX-License-Identifier: MIT */
/*
 * The driver API over a device of the kernel's: runs in a guest, as a user, on the NVMe controller
 * that VFIO_DEVICE names. Only the public headers are used.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/device.h>
#include <vfio/driver.h>

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define PAGE   4096u
#define VS     8u			/* of NVMe: its version, 1.4 */

static int setup(void **state)
{
	struct vfio_error err;
	struct vfio_dev *dev;

	if (vfio_open(&dev, NULL, &err) < 0) {
		vfio_error_print(stdout, "setup", &err);
		return -1;
	}
	*state = dev;
	return 0;
}

static int teardown(void **state)
{
	vfio_close(*state);
	return 0;
}

static void assert_refused(struct vfio_dev *dev, int64_t r, int e, enum vfio_error_code code)
{
	const struct vfio_error *err = vfio_last_error(dev);

	if (r != -e || err->code != code || err->err != e)
		fail_msg("%lld, not -%d; VFIO-%03d, not %d: %s", (long long)r, e, err->code, code,
			 err->what);
}

static uint16_t command(struct vfio_dev *dev)
{
	return vfio_read16(dev, CONFIG, PCI_COMMAND);
}

/* ---- regions -------------------------------------------------------------------------------- */

static void what_it_is(void **state)
{
	struct vfio_device_info info;
	struct vfio_region region;

	assert_int_equal(vfio_info(*state, &info), 0);
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_true(info.num_regions >= VFIO_PCI_NUM_REGIONS);
	assert_int_equal(info.num_irqs, VFIO_PCI_NUM_IRQS);
	assert_false(command(*state) & PCI_COMMAND_MASTER);
	assert_int_equal(vfio_region(*state, CONFIG, &region), 0);
	assert_int_equal(region.size, 4096);
	assert_int_equal(region.fd, -1);
	for (uint32_t i = 1; i < CONFIG; i++) {
		assert_int_equal(vfio_region(*state, i, &region), 0);
		assert_int_equal(region.size, 0);
	}
	assert_int_equal(vfio_region(*state, VFIO_PCI_VGA_REGION_INDEX, &region), 0);
	assert_int_equal(region.size, 0);
	assert_refused(*state, vfio_region(*state, info.num_regions, &region), EINVAL,
		       VFIO_E_NO_REGION);
}

/* The table is in the middle of the one BAR, and not mapped. */
static void the_hole(void **state)
{
	struct vfio_region region;
	uint32_t table, at = (uint32_t)vfio_find_capability(*state, PCI_CAP_ID_MSIX);

	table = vfio_read32(*state, CONFIG, at + PCI_MSIX_TABLE);
	assert_int_equal(table & PCI_MSIX_TABLE_BIR, 0);
	assert_int_equal(vfio_region(*state, 0, &region), 0);
	assert_true(region.nareas >= 1);
	for (uint32_t i = 0; i < region.nareas; i++)
		assert_false(table >= region.areas[i].offset &&
			     table < region.areas[i].offset + region.areas[i].size);
	assert_null(vfio_map(*state, 0, table, PAGE));
	assert_int_equal(vfio_last_error(*state)->code, VFIO_E_NOT_MAPPABLE);
	assert_int_equal(vfio_read32(*state, 0, table), UINT32_MAX);	/* the kernel guards it */
}

static void registers(void **state)
{
	volatile const uint8_t *regs;
	uint8_t bytes[8];
	uint32_t called;

	assert_int_equal(vfio_pread(*state, 0, VS, bytes, 4), 4);
	called = vfio_read32(*state, 0, VS);
	assert_int_equal(called, 0x10400);
	regs = vfio_map(*state, 0, 0, PAGE);
	assert_non_null(regs);
	assert_int_equal(*(volatile const uint32_t *)(regs + VS), called);
	assert_int_equal(vfio_read32(*state, 0, VS), called);
	assert_refused(*state, vfio_pread(*state, 0, 1 << 20, bytes, 4), EINVAL, VFIO_E_RANGE);
	assert_refused(*state, vfio_pread(*state, CONFIG, 4094, bytes, 4), EFAULT, VFIO_E_RANGE);
	assert_refused(*state, vfio_pread(*state, 1, 0, bytes, 4), EINVAL, VFIO_E_NO_REGION);
}

static void memory_off(void **state)
{
	uint16_t before = command(*state);
	uint32_t value;

	vfio_write16(*state, CONFIG, PCI_COMMAND, before & ~PCI_COMMAND_MEMORY);
	assert_refused(*state, vfio_pread(*state, 0, VS, &value, 4), EIO, VFIO_E_MEMORY_OFF);
	vfio_write16(*state, CONFIG, PCI_COMMAND, before);
	assert_int_equal(vfio_pread(*state, 0, VS, &value, 4), 4);
}

/* ---- interrupts ----------------------------------------------------------------------------- */

static void each_kind(void **state)
{
	static const uint32_t kinds[] = { VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_INTX_IRQ_INDEX };

	for (unsigned int k = 0; k < 2; k++) {
		struct vfio_irq_info info;
		uint32_t last;
		int *fds;

		assert_int_equal(vfio_irq_info(*state, kinds[k], &info), 0);
		assert_true(info.count);
		last = info.count < 8 ? info.count - 1 : 7;
		fds = calloc(last + 1, sizeof(int));
		assert_int_equal(vfio_irq_enable(*state, kinds[k], last + 1, fds), 0);
		assert_int_equal(vfio_irq_wait(*state, fds[last], 0), 0);
		assert_int_equal(vfio_irq_trigger(*state, kinds[k], last), 0);
		assert_int_equal(vfio_irq_wait(*state, fds[last], 1000), 1);
		assert_int_equal(vfio_irq_disable(*state, kinds[k]), 0);
		free(fds);
	}
}

static void one_kind_at_a_time(void **state)
{
	struct vfio_irq_info info;
	int fds[2];

	assert_int_equal(vfio_irq_enable(*state, VFIO_PCI_MSIX_IRQ_INDEX, 1, fds), 0);
	assert_refused(*state, vfio_irq_enable(*state, VFIO_PCI_INTX_IRQ_INDEX, 1, fds + 1), EINVAL,
		       VFIO_E_IRQ_STATE);
	assert_int_equal(vfio_irq_info(*state, VFIO_PCI_MSIX_IRQ_INDEX, &info), 0);
	assert_refused(*state, vfio_irq_info(*state, 5, &info), EINVAL, VFIO_E_NO_IRQ);
}

static void no_eventfd(void **state)
{
	struct {
		struct vfio_irq_set head;
		int fd;
	} set = {
		.head = { .argsz = sizeof(set), .index = VFIO_PCI_MSIX_IRQ_INDEX, .count = 1,
			  .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER },
		.fd = 0,
	};

	assert_refused(*state, vfio_irq_set(*state, &set.head), EINVAL, VFIO_E_IRQ_FD);
}

/* The host's own requests and errors have eventfds, too. */
static void requests(void **state)
{
	int fd;

	assert_int_equal(vfio_irq_enable(*state, VFIO_PCI_REQ_IRQ_INDEX, 1, &fd), 0);
	assert_int_equal(vfio_irq_trigger(*state, VFIO_PCI_REQ_IRQ_INDEX, 0), 0);
	assert_int_equal(vfio_irq_wait(*state, fd, 1000), 1);
	assert_int_equal(vfio_irq_disable(*state, VFIO_PCI_REQ_IRQ_INDEX), 0);
}

/* ---- memory --------------------------------------------------------------------------------- */

static void *anonymous(size_t size, int prot)
{
	void *memory = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static struct vfio_dma pages(void *memory, uint64_t iova, size_t n)
{
	return (struct vfio_dma){
		.vaddr = memory, .iova = iova, .size = n * PAGE, .fd = -1, .prot = VFIO_DMA_RW,
	};
}

static void maps(void **state)
{
	void *memory = anonymous(8 * PAGE, PROT_READ | PROT_WRITE);
	struct vfio_dma a = pages(memory, 0x100000, 4), b = pages(memory, 0x103000, 1);
	struct vfio_dma_info info;
	uint64_t cursor = 0;

	assert_int_equal(vfio_dma_map(*state, &a), 0);
	assert_refused(*state, vfio_dma_map(*state, &b), EEXIST, VFIO_E_OVERLAP);
	assert_refused(*state, vfio_dma_unmap(*state, 0x101000, PAGE), EINVAL, VFIO_E_DMA_SPLIT);
	assert_int_equal(vfio_dma_next(*state, &cursor, &info), 1);
	assert_int_equal(info.iova, 0x100000);
	assert_int_equal(info.size, 4 * PAGE);
	assert_int_equal(vfio_dma_next(*state, &cursor, &info), 0);
	assert_int_equal(vfio_dma_unmap(*state, 0x100000, 4 * PAGE), 0);
	assert_refused(*state, vfio_dma_unmap(*state, 0x100000, 4 * PAGE), ENOENT,
		       VFIO_E_NOT_MAPPED);
	assert_int_equal(vfio_dma_map(*state, &b), 0);
	a.iova = VFIO_IOVA_ANY;
	assert_int_equal(vfio_dma_map(*state, &a), 0);
	assert_int_equal(vfio_dma_unmap(*state, 0, UINT64_MAX), 0);
	cursor = 0;
	assert_int_equal(vfio_dma_next(*state, &cursor, &info), 0);
	munmap(memory, 8 * PAGE);
}

static void memory_that_is_none(void **state)
{
	void *none = anonymous(PAGE, PROT_NONE), *ro = anonymous(PAGE, PROT_READ);
	struct vfio_dma a = pages(none, 0x100000, 1), b = pages(ro, 0x100000, 1);

	assert_refused(*state, vfio_dma_map(*state, &a), EFAULT, VFIO_E_DMA_MEMORY);
	assert_refused(*state, vfio_dma_map(*state, &b), EFAULT, VFIO_E_DMA_MEMORY);
	b.prot = VFIO_DMA_READ;
	assert_int_equal(vfio_dma_map(*state, &b), 0);
}

/* The window of message-signalled interrupts is nobody's, and what is chosen keeps out of it. */
static void addresses(void **state)
{
	struct vfio_iova_range ranges[VFIO_MAX_IOVA_RANGES];
	void *memory = anonymous(PAGE, PROT_READ | PROT_WRITE);
	struct vfio_dma a = pages(memory, 0xfee00000, 1);
	int n = vfio_iova_ranges(*state, ranges);

	assert_true(n >= 2);
	for (int i = 0; i < n; i++)
		assert_false(ranges[i].start <= 0xfee00000 && ranges[i].end >= 0xfee00000);
	assert_refused(*state, vfio_dma_map(*state, &a), EINVAL, VFIO_E_IOVA_RANGE);
	a.iova = ranges[n - 1].end & ~(uint64_t)(PAGE - 1);
	assert_int_equal(vfio_dma_map(*state, &a), 0);
	assert_int_equal(vfio_dma_unmap(*state, a.iova, PAGE), 0);
	if (ranges[n - 1].end < UINT64_MAX - PAGE) {
		a.iova += PAGE;
		assert_refused(*state, vfio_dma_map(*state, &a), EINVAL, VFIO_E_IOVA_RANGE);
	}
}

static void limits(void **state)
{
	struct vfio_dma_limits l;
	struct vfio_dma a, b;
	size_t more;

	assert_int_equal(vfio_dma_limits(*state, &l), 0);
	assert_int_equal(l.bytes.used, 0);
	assert_true(l.bytes.granted < UINT64_MAX);
	assert_int_equal(vfio_dma_alloc(*state, &a, 1 << 20, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_dma_limits(*state, &l), 0);
	assert_int_equal(l.bytes.used, 1 << 20);
	assert_int_equal(l.maps.used, 1);
	more = l.bytes.granted;		/* one MiB of it is used already */
	assert_refused(*state, vfio_dma_alloc(*state, &b, more, VFIO_DMA_RW), ENOMEM,
		       VFIO_E_DMA_LIMIT);
	assert_non_null(strstr(vfio_last_error(*state)->what, "memlock limit"));
	assert_int_equal(vfio_dma_free(*state, &a), 0);
	assert_int_equal(vfio_dma_limits(*state, &l), 0);
	assert_int_equal(l.bytes.used, 0);
}

static void one_space_for_two(void **state)
{
	struct vfio_space *space;
	struct vfio_dev *other;
	struct vfio_dma dma;

	assert_non_null(getenv("OTHER"));
	assert_int_equal(vfio_open(&other, getenv("OTHER"), NULL), 0);
	assert_int_equal(vfio_space_new(&space, NULL), 0);
	assert_int_equal(vfio_space_attach(space, *state), 0);
	assert_int_equal(vfio_space_attach(space, other), 0);
	assert_int_equal(vfio_space_alloc(space, &dma, 1 << 20, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_space_dma_free(space, &dma), 0);
	vfio_space_free(space);
	vfio_close(other);
}

/* The containers of the older road can tell, if only by saying that everything was written. */
static void dirty_pages(void **state)
{
	uint64_t bitmap[2] = { 0 };
	void *memory = anonymous(16 * PAGE, PROT_READ | PROT_WRITE);
	struct vfio_dma a = pages(memory, 0x100000, 16);
	int r = vfio_dirty_start(*state, PAGE);

	if (strcmp(vfio_backend_name(*state), "kernel_cdev") == 0) {
		assert_refused(*state, r, ENOTSUP, VFIO_E_UNSUPPORTED);
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(vfio_dma_map(*state, &a), 0);
	assert_int_equal(vfio_dirty_get(*state, 0x100000, 16 * PAGE, PAGE, bitmap), 0);
	assert_int_equal(bitmap[0], 0xffff);
	assert_int_equal(bitmap[1], 0);
	assert_int_equal(vfio_dirty_stop(*state), 0);
	assert_refused(*state, vfio_dirty_get(*state, 0x100000, 16 * PAGE, PAGE, bitmap), EINVAL,
		       VFIO_E_SYSTEM);
}

/* ---- the rest ------------------------------------------------------------------------------- */

static void resets(void **state)
{
	struct vfio_reset_info info;

	assert_int_equal(vfio_reset_probe(*state, &info), 0);
	assert_true(info.methods & VFIO_RESET_DEVICE);
	assert_true(info.methods & VFIO_RESET_FLR);
	assert_int_equal(vfio_set_bus_master(*state, true), 0);
	assert_int_equal(vfio_reset(*state), 0);
	assert_true(command(*state) & PCI_COMMAND_MASTER);
}

/* Whatever was set, the next user begins where this one did. */
static void nothing_is_left(void **state)
{
	struct vfio_dev *dev;
	struct vfio_dma dma;
	int fds[2];

	assert_int_equal(vfio_set_bus_master(*state, true), 0);
	assert_int_equal(vfio_irq_enable(*state, VFIO_PCI_MSIX_IRQ_INDEX, 2, fds), 0);
	assert_int_equal(vfio_dma_alloc(*state, &dma, 4096, VFIO_DMA_RW), 0);
	assert_non_null(vfio_map(*state, 0, 0, PAGE));
	vfio_close(*state);
	*state = NULL;
	assert_int_equal(vfio_open(&dev, NULL, NULL), 0);
	*state = dev;
	assert_false(command(dev) & PCI_COMMAND_MASTER);
	assert_int_equal(vfio_irq_enable(dev, VFIO_PCI_INTX_IRQ_INDEX, 1, fds), 0);
}

static void one_user(void **state)
{
	struct vfio_dev *dev;
	struct vfio_error err;

	assert_int_equal(vfio_open(&dev, NULL, &err), -EBUSY);
	assert_int_equal(err.code, VFIO_E_BUSY);
	assert_non_null(strstr(err.what, "this process"));
	assert_null(dev);
}

static void what_there_is_not(void **state)
{
	struct vfio_error record;
	uint64_t cursor = 0;
	uint32_t where;
	uint8_t byte = 0;

	assert_refused(*state, vfio_pwrite_where(*state, CONFIG, 0x3c, &byte, 1, &where), ENOTSUP,
		       VFIO_E_UNSUPPORTED);
	assert_refused(*state, vfio_record(*state, &cursor, &record), ENOTSUP, VFIO_E_UNSUPPORTED);
	assert_refused(*state, vfio_policy_set(*state, "vectors", "1"), ENOTSUP, VFIO_E_UNSUPPORTED);
	assert_refused(*state, vfio_doorbell_fd(*state, 0, 0x1000), ENOTSUP, VFIO_E_UNSUPPORTED);
	assert_refused(*state, vfio_poll_fd(*state), ENOTSUP, VFIO_E_UNSUPPORTED);
	assert_int_equal(vfio_dispatch(*state), 0);
	assert_int_equal(vfio_set_timeout(*state, 100), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_it_is),
		TEST(the_hole),
		TEST(registers),
		TEST(memory_off),
		TEST(each_kind),
		TEST(one_kind_at_a_time),
		TEST(no_eventfd),
		TEST(requests),
		TEST(maps),
		TEST(memory_that_is_none),
		TEST(addresses),
		TEST(limits),
		TEST(one_space_for_two),
		TEST(dirty_pages),
		TEST(resets),
		TEST(nothing_is_left),
		TEST(one_user),
		TEST(what_there_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
