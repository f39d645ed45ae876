/* SPDX-License-Identifier: MIT */
/*
 * A server whose device is behind another server: the contract over itself. The second server's
 * clients must find a device at power-on each, as if they were the first's.
 */
#include "both.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontends/server.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define SECRET 0x5ec2e7u

struct chain {
	struct both b;			/* the model and the server in front of it */
	char dir[32], path[64], name[80];
	struct vfio_server *second;
	pthread_t thread;
};

static void *run(void *second)
{
	vfio_server_run(second);
	return NULL;
}

static int set_up(void **state)
{
	struct chain *c = calloc(1, sizeof(*c));
	struct vfio_dev *dev;

	*state = c;
	strcpy(c->dir, "/tmp/vfio-unit-XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	snprintf(c->path, sizeof(c->path), "%s/s", c->dir);
	snprintf(c->name, sizeof(c->name), "unix:%s", c->path);
	c->b.is_socket = true;
	assert_int_equal(both_new_server(&c->b, NULL), 0);
	assert_int_equal(vfio_server_listen(c->b.server, c->path, NULL), 0);
	assert_int_equal(both_start_serving(&c->b), 0);
	assert_int_equal(vfio_open(&dev, c->name, NULL), 0);
	assert_int_equal(vfio_server_new(&c->second, dev, NULL, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct chain *c = *state;

	vfio_server_free(c->second);
	both_stop_serving(&c->b);
	both_close(&c->b);
	rmdir(c->dir);
	free(c);
	return 0;
}

/* A client of the second server, which runs in a thread until leave(). */
static struct vfio_dev *enter(struct chain *c)
{
	struct vfio_dev *dev;
	char name[16];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(vfio_server_add_client(c->second, pair[0]), 0);
	assert_int_equal(pthread_create(&c->thread, NULL, run, c->second), 0);
	snprintf(name, sizeof(name), "fd:%d", pair[1]);
	assert_int_equal(vfio_open(&dev, name, NULL), 0);
	return dev;
}

static void leave(struct chain *c, struct vfio_dev *dev)
{
	vfio_close(dev);
	vfio_server_stop(c->second);
	pthread_join(c->thread, NULL);
	while (vfio_server_client(c->second, NULL))
		assert_int_equal(vfio_server_dispatch(c->second, 1000), 0);
}

static void everything_passes_through(void **state)
{
	struct chain *c = *state;
	struct vfio_dev *dev = enter(c);
	struct vfio_dma dma;
	char text[20];
	int fd;

	assert_int_equal(vfio_read32(dev, 0, MODEL_ID), MODEL_ID_VALUE);
	assert_int_equal(vfio_irq_enable(dev, VFIO_PCI_MSIX_IRQ_INDEX, 1, &fd), 0);
	assert_int_equal(vfio_set_bus_master(dev, true), 0);
	vfio_write32(dev, 0, MODEL_MSI, 0);
	assert_int_equal(vfio_irq_wait(dev, fd, 5000), 1);
	assert_int_equal(vfio_dma_alloc(dev, &dma, 4096, VFIO_DMA_RW), 0);
	strcpy(dma.vaddr, "through two servers");
	vfio_write64(dev, 0, MODEL_IOVA, dma.iova);
	vfio_write32(dev, 0, MODEL_LENGTH, 20);
	vfio_write32(dev, 0, MODEL_COMMAND, MODEL_DMA_READ);
	assert_int_equal(vfio_read32(dev, 0, MODEL_RESULT), 0);
	assert_int_equal(vfio_pread(dev, 0, MODEL_BYTES, text, 20), 20);
	assert_string_equal(text, "through two servers");
	leave(c, dev);
}

static void the_next_client_finds_nothing(void **state)
{
	struct chain *c = *state;
	struct vfio_dev *dev = enter(c);
	volatile uint32_t *area = vfio_map(dev, 2, MODEL_AREA_1, 4096);

	assert_non_null(area);
	*area = SECRET;
	vfio_write8(dev, CONFIG, PCI_INTERRUPT_LINE, 77);
	vfio_write32(dev, CONFIG, PCI_BASE_ADDRESS_0, 0xdeadc000);
	vfio_write16(dev, CONFIG, PCI_COMMAND, 0);
	leave(c, dev);

	dev = enter(c);
	assert_int_equal(vfio_read8(dev, CONFIG, PCI_INTERRUPT_LINE), 0);
	assert_int_equal(vfio_read32(dev, CONFIG, PCI_BASE_ADDRESS_0) & ~0xfu, 0);
	assert_true(vfio_read16(dev, CONFIG, PCI_COMMAND) & PCI_COMMAND_MEMORY);
	assert_int_equal(vfio_read32(dev, 2, MODEL_AREA_1), 0);
	area = vfio_map(dev, 2, MODEL_AREA_1, 4096);
	assert_non_null(area);
	assert_int_equal(*area, 0);
	leave(c, dev);
}

/* A device of another kind, whose areas are mapped from what is no memory file. */
static const struct backend *below;
static int other_fd;

static int of_no_memory(struct vfio_dev *dev, uint32_t index, struct vfio_region *region)
{
	int r = below->region(dev, index, region);

	if (r == 0 && region->nareas)
		region->fd = other_fd;
	return r;
}

static void only_memory_is_handed_on(void **state)
{
	struct chain *c = *state;
	struct backend backend = *c->second->dev->backend;
	struct vfio_region region;
	struct vfio_dev *dev;

	other_fd = eventfd(0, EFD_CLOEXEC);
	below = c->second->dev->backend;
	backend.region = of_no_memory;
	c->second->dev->backend = &backend;
	dev = enter(c);
	assert_int_equal(vfio_region(dev, 2, &region), 0);
	assert_int_equal(region.fd, -1);
	assert_int_equal(region.nareas, 0);
	assert_false(region.flags & VFIO_REGION_INFO_FLAG_MMAP);
	vfio_write32(dev, 2, MODEL_AREA_1, 7);
	assert_int_equal(vfio_read32(dev, 2, MODEL_AREA_1), 7);
	leave(c, dev);
	c->second->dev->backend = below;
	close(other_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_passes_through, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_next_client_finds_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_memory_is_handed_on, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
