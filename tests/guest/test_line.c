/* SPDX-License-Identifier: MIT */
/*
 * A device of UIO's: runs in a guest, as root, on QEMU's edu, which VFIO_DEVICE names. Only the
 * public headers are used.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/device.h>
#include <vfio/driver.h>

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define INTX   VFIO_PCI_INTX_IRQ_INDEX

/* Registers of edu, in BAR 0. */
#define IDENT    0x00
#define LIVENESS 0x04
#define RAISE    0x60
#define ACK      0x64

#define SOON 5000	/* ms in which something comes that will */
#define LONG 200	/* ms in which nothing came */

static struct vfio_dev *open_device(void)
{
	struct vfio_error err;
	struct vfio_dev *dev;

	if (vfio_open(&dev, NULL, &err) < 0) {
		vfio_error_print(stdout, "opening", &err);
		return NULL;
	}
	return dev;
}

static int setup(void **state)
{
	*state = open_device();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	vfio_close(*state);
	return 0;
}

static void assert_done(struct vfio_dev *dev, int64_t r)
{
	if (r < 0)
		fail_msg("%s", vfio_last_error(dev)->what);
}

static void put(struct vfio_dev *dev, uint64_t reg, uint32_t value)
{
	assert_done(dev, vfio_pwrite(dev, 0, reg, &value, 4));
}

static uint32_t get(struct vfio_dev *dev, uint64_t reg)
{
	uint32_t value;

	assert_done(dev, vfio_pread(dev, 0, reg, &value, 4));
	return value;
}

/* With a plain poll, as any event loop has it: the library is not called. */
static bool comes(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t count;

	if (poll(&p, 1, ms) != 1)
		return false;
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	return true;
}

static int enable(struct vfio_dev *dev)
{
	int fd = -1;

	assert_done(dev, vfio_irq_enable(dev, INTX, 1, &fd));
	return fd;
}

/* Of the device's own file in sysfs: what the hardware has. */
static uint16_t hardware(unsigned int at)
{
	const char *bdf = strchr(getenv("VFIO_DEVICE"), ':') + 1;
	char path[128];
	uint16_t value = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, &value, 2, at), 2);
	close(fd);
	return value;
}

/* ---- registers ------------------------------------------------------------------------------ */

static void registers(void **state)
{
	struct vfio_dev *dev = *state;
	struct vfio_region r;

	assert_int_equal(get(dev, IDENT), 0x010000ed);
	put(dev, LIVENESS, 0x12345678);
	assert_int_equal(get(dev, LIVENESS), ~0x12345678u);
	assert_done(dev, vfio_region(dev, 0, &r));
	assert_int_equal(r.size, 1 << 20);
	assert_int_equal(r.nareas, 1);
}

static void mapped_registers(void **state)
{
	struct vfio_dev *dev = *state;
	volatile uint32_t *at = vfio_map(dev, 0, 0, 4096);

	assert_non_null(at);
	assert_int_equal(at[IDENT / 4], 0x010000ed);
	at[LIVENESS / 4] = 0xcafef00d;
	assert_int_equal(get(dev, LIVENESS), ~0xcafef00du);
}

static void configuration_space(void **state)
{
	struct vfio_dev *dev = *state;
	uint16_t bar = hardware(PCI_BASE_ADDRESS_0 + 2);

	assert_int_equal(vfio_read16(dev, CONFIG, PCI_VENDOR_ID), 0x1234);
	assert_int_equal(hardware(PCI_COMMAND) & 6, PCI_COMMAND_MEMORY);
	vfio_write16(dev, CONFIG, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(hardware(PCI_COMMAND) & 6, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	vfio_write32(dev, CONFIG, PCI_BASE_ADDRESS_0, 0xffffffff);
	assert_int_equal(vfio_read32(dev, CONFIG, PCI_BASE_ADDRESS_0), 0xfff00000);
	assert_int_equal(hardware(PCI_BASE_ADDRESS_0 + 2), bar);
	assert_int_equal(get(dev, IDENT), 0x010000ed);
	vfio_write16(dev, CONFIG, PCI_COMMAND, 0);
	assert_int_equal(hardware(PCI_COMMAND) & 7, 0);
	assert_int_equal(vfio_read32(dev, 0, IDENT), UINT32_MAX);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_MEMORY_OFF);
}

static void bus_mastering_ends_with_the_handle(void **state)
{
	struct vfio_dev *dev = open_device();

	assert_non_null(dev);
	vfio_write16(dev, CONFIG, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	vfio_close(dev);
	assert_int_equal(hardware(PCI_COMMAND) & PCI_COMMAND_MASTER, 0);
}

static void one_at_a_time(void **state)
{
	struct vfio_dev *second;
	struct vfio_error err;

	assert_int_equal(vfio_open(&second, NULL, &err), -EBUSY);
	assert_int_equal(err.code, VFIO_E_BUSY);
}

/* ---- INTx ----------------------------------------------------------------------------------- */

static void messages_are_not_there(void **state)
{
	struct vfio_dev *dev = *state;
	struct vfio_irq_info info;
	int fd;

	assert_done(dev, vfio_irq_info(dev, VFIO_PCI_MSI_IRQ_INDEX, &info));
	assert_int_equal(info.count, 0);
	assert_done(dev, vfio_irq_info(dev, INTX, &info));
	assert_int_equal(info.count, 1);
	assert_int_equal(vfio_policy_set(dev, "lacking", "emulate"), -EINVAL);
	assert_int_equal(vfio_policy_set(dev, "host-lacks", "none"), -EINVAL);
	assert_done(dev, vfio_policy_set(dev, "lacking", "fail"));
	assert_done(dev, vfio_irq_info(dev, VFIO_PCI_MSI_IRQ_INDEX, &info));
	assert_int_equal(info.count, 1);
	assert_int_equal(vfio_irq_enable(dev, VFIO_PCI_MSI_IRQ_INDEX, 1, &fd), -EOPNOTSUPP);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_UNDELIVERABLE);
}

static void fires_and_masks_itself(void **state)
{
	struct vfio_dev *dev = *state;
	int fd = enable(dev);

	for (unsigned int i = 0; i < 20; i++) {
		assert_false(comes(fd, 0));
		put(dev, RAISE, 1);
		assert_true(comes(fd, SOON));
		assert_true(hardware(PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
		assert_false(vfio_read16(dev, CONFIG, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
		put(dev, RAISE, 2);
		put(dev, ACK, 3);
		assert_done(dev, vfio_irq_unmask(dev, INTX, 0));
	}
	assert_false(comes(fd, LONG));
	/* A level: what is not acknowledged comes again. */
	put(dev, RAISE, 1);
	assert_true(comes(fd, SOON));
	assert_done(dev, vfio_irq_unmask(dev, INTX, 0));
	assert_true(comes(fd, SOON));
	put(dev, ACK, 1);
	assert_done(dev, vfio_irq_disable(dev, INTX));
}

static void masked_by_call(void **state)
{
	struct vfio_dev *dev = *state;
	int fd = enable(dev);

	assert_done(dev, vfio_irq_mask(dev, INTX, 0));
	put(dev, RAISE, 1);
	assert_false(comes(fd, LONG));
	assert_done(dev, vfio_irq_unmask(dev, INTX, 0));
	assert_true(comes(fd, SOON));
	put(dev, ACK, 1);
	assert_done(dev, vfio_irq_trigger(dev, INTX, 0));
	assert_true(comes(fd, SOON));
}

/* To unmask what is armed is nothing: a driver may do so before each sleep. */
static void unmasked_again_and_again(void **state)
{
	struct vfio_dev *dev = *state;
	int fd = enable(dev);

	for (unsigned int i = 0; i < 200; i++) {
		assert_done(dev, vfio_irq_unmask(dev, INTX, 0));
		put(dev, RAISE, 1);
		assert_done(dev, vfio_irq_unmask(dev, INTX, 0));
		assert_true(comes(fd, SOON));
		put(dev, ACK, 1);
	}
}

static void masked_by_command(void **state)
{
	struct vfio_dev *dev = *state;
	int fd = enable(dev);

	vfio_write16(dev, CONFIG, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	put(dev, RAISE, 1);
	assert_true(vfio_read16(dev, CONFIG, PCI_STATUS) & PCI_STATUS_INTERRUPT);
	assert_false(comes(fd, LONG));
	vfio_write16(dev, CONFIG, PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_true(comes(fd, SOON));
	put(dev, ACK, 1);
}

static void unmasked_by_eventfd(void **state)
{
	struct vfio_dev *dev = *state;
	int fd = enable(dev), again = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint8_t raw[sizeof(struct vfio_irq_set) + sizeof(int)];
	struct vfio_irq_set set = {
		.argsz = sizeof(raw), .index = INTX, .count = 1,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
	};

	memcpy(raw, &set, sizeof(set));
	memcpy(raw + sizeof(set), &again, sizeof(again));
	assert_done(dev, vfio_irq_set(dev, (const struct vfio_irq_set *)(const void *)raw));
	for (unsigned int i = 0; i < 3; i++) {
		put(dev, RAISE, 1);
		assert_true(comes(fd, SOON));
		put(dev, ACK, 1);
		eventfd_write(again, 1);
		assert_done(dev, vfio_dispatch(dev));
	}
	close(again);
}

static void *enable_and_end(void *arg)
{
	struct vfio_dev *dev = arg;

	return (void *)(intptr_t)enable(dev);
}

/* The thread that has enabled it is no part of it. */
static void outlives_a_thread(void **state)
{
	struct vfio_dev *dev = *state;
	pthread_t thread;
	void *fd;

	assert_int_equal(pthread_create(&thread, NULL, enable_and_end, dev), 0);
	pthread_join(thread, &fd);
	put(dev, RAISE, 1);
	assert_true(comes((int)(intptr_t)fd, SOON));
	put(dev, ACK, 1);
}

static void *raise_later(void *arg)
{
	usleep(100000);
	put(arg, RAISE, 1);
	return NULL;
}

/* Who waits in epoll_wait() is woken. Linux 6.1 may end such a wait with EINTR first. */
static void wakes_who_waits(void **state)
{
	struct vfio_dev *dev = *state;
	int fd = enable(dev), ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = { .events = EPOLLIN };
	pthread_t thread;
	int n;

	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
	assert_int_equal(pthread_create(&thread, NULL, raise_later, dev), 0);
	do {
		n = epoll_wait(ep, &e, 1, SOON);
	} while (n < 0 && errno == EINTR);
	assert_int_equal(n, 1);
	pthread_join(thread, NULL);
	put(dev, ACK, 1);
	close(ep);
}

/* Reset, and closed with the pin asserted: the next user begins anew. */
static void reset_and_closed(void **state)
{
	struct vfio_dev *dev = open_device();
	int fd;

	assert_non_null(dev);
	fd = enable(dev);
	put(dev, RAISE, 1);
	assert_true(comes(fd, SOON));
	vfio_close(dev);
	dev = open_device();
	assert_non_null(dev);
	fd = enable(dev);
	vfio_reset(dev);
	put(dev, ACK, UINT32_MAX);
	assert_done(dev, vfio_irq_unmask(dev, INTX, 0));
	comes(fd, 0);
	put(dev, RAISE, 1);
	assert_true(comes(fd, SOON));
	put(dev, ACK, 1);
	vfio_close(dev);
}

/* Another address than that of the memory: refused, whatever the reason is here. */
static void dma_at_any_address(void **state)
{
	struct vfio_dev *dev = *state;
	struct vfio_dma dma = { .size = 4096, .iova = 0x10000, .fd = -1, .prot = VFIO_DMA_RW };

	dma.vaddr = aligned_alloc(4096, 4096);
	assert_non_null(dma.vaddr);
	memset(dma.vaddr, 1, 4096);
	assert_true(vfio_dma_map(dev, &dma) < 0);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_PHYSICAL);
	free(dma.vaddr);
}

#define row(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		row(registers), row(mapped_registers), row(configuration_space),
		cmocka_unit_test(bus_mastering_ends_with_the_handle), row(one_at_a_time),
		row(messages_are_not_there), row(fires_and_masks_itself), row(masked_by_call),
		row(unmasked_again_and_again), row(masked_by_command), row(unmasked_by_eventfd),
		row(outlives_a_thread), row(wakes_who_waits), cmocka_unit_test(reset_and_closed),
		row(dma_at_any_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
