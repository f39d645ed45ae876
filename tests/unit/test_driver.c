/* SPDX-License-Identifier: MIT */
/* The driver API over each back end: what the device is, registers, life. */
#include "both.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX

static const struct vfio_error *last(struct both *b)
{
	return vfio_last_error(b->dev);
}

/* ---- what the device is ------------------------------------------------------------------- */

static void a_new_handle_has_no_error(void **state)
{
	struct both *b = *state;

	assert_int_equal(last(b)->err, 0);
	assert_string_equal(vfio_backend_name(b->dev), b->is_socket ? "socket" : "inprocess");
}

static void info(void **state)
{
	struct both *b = *state;
	struct vfio_device_info i;

	assert_int_equal(vfio_info(b->dev, &i), 0);
	assert_int_equal(i.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(i.num_regions, VFIO_PCI_NUM_REGIONS);
	assert_int_equal(i.num_irqs, VFIO_PCI_NUM_IRQS);
}

static void regions(void **state)
{
	static const uint64_t sizes[VFIO_PCI_NUM_REGIONS] = {
		[0] = MODEL_BAR_SIZE, [2] = MODEL_BAR_SIZE, [4] = MODEL_PORTS, [CONFIG] = 256,
	};
	struct both *b = *state;
	struct vfio_region r;

	for (int again = 0; again < 2; again++) {
		for (uint32_t i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
			assert_int_equal(vfio_region(b->dev, i, &r), 0);
			assert_int_equal(r.index, i);
			assert_int_equal(r.size, sizes[i]);
			assert_int_equal(r.flags, !sizes[i] ? 0 : i == 2 ? 7 : 3);
			assert_int_equal(r.nareas, i == 2 ? 2 : 0);
			assert_true((r.fd >= 0) == (i == 2));
		}
	}
	assert_int_equal(vfio_region(b->dev, 2, &r), 0);
	assert_int_equal(r.areas[0].offset, MODEL_AREA_1);
	assert_int_equal(r.areas[0].size, MODEL_AREA_1_SIZE);
	assert_int_equal(r.areas[1].offset, MODEL_AREA_2);
	assert_int_equal(r.areas[1].size, MODEL_AREA_2_SIZE);
}

static void a_region_that_is_not_there(void **state)
{
	struct both *b = *state;
	struct vfio_region r;

	assert_int_equal(vfio_region(b->dev, VFIO_PCI_NUM_REGIONS, &r), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_NO_REGION);
	assert_true(last(b)->remedy[0]);
	assert_int_equal(vfio_region(b->dev, UINT32_MAX, &r), -EINVAL);
}

static void capabilities(void **state)
{
	struct both *b = *state;
	int msi = vfio_find_capability(b->dev, PCI_CAP_ID_MSI);

	assert_true(msi >= 0x40);
	assert_int_equal(vfio_read8(b->dev, CONFIG, msi), PCI_CAP_ID_MSI);
	assert_true(vfio_find_capability(b->dev, PCI_CAP_ID_PM) >= 0x40);
	assert_int_equal(vfio_find_capability(b->dev, PCI_CAP_ID_EXP), -ENOENT);
	assert_record(last(b), ENOENT, VFIO_E_NO_CAPABILITY);
}

/* ---- registers ---------------------------------------------------------------------------- */

static void registers_of_every_width(void **state)
{
	struct both *b = *state;
	const uint64_t at = MODEL_BYTES;

	vfio_write64(b->dev, 0, at, 0x8877665544332211ull);
	assert_true(vfio_read64(b->dev, 0, at) == 0x8877665544332211ull);
	assert_int_equal(vfio_read32(b->dev, 0, at + 4), 0x88776655);
	assert_int_equal(vfio_read16(b->dev, 0, at + 2), 0x4433);
	assert_int_equal(vfio_read8(b->dev, 0, at + 1), 0x22);
	vfio_write8(b->dev, 0, at, 0xa1);
	vfio_write16(b->dev, 0, at + 2, 0xb2b3);
	vfio_write32(b->dev, 0, at + 4, 0xc4c5c6c7);
	assert_true(vfio_read64(b->dev, 0, at) == 0xc4c5c6c7b2b322a1ull);
	assert_int_equal(model_get(b, MODEL_ID), MODEL_ID_VALUE);
}

static void bytes_of_any_length(void **state)
{
	struct both *b = *state;
	uint8_t out[MODEL_BYTES_SIZE], in[MODEL_BYTES_SIZE];

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = i * 7;
	assert_int_equal(vfio_pwrite(b->dev, 0, MODEL_BYTES, out, sizeof(out)), sizeof(out));
	assert_int_equal(vfio_pread(b->dev, 0, MODEL_BYTES, in, sizeof(in)), sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	for (size_t len = 1; len < 20; len++) {
		assert_int_equal(vfio_pread(b->dev, 0, MODEL_BYTES + 13 - len / 2, in, len), len);
		assert_memory_equal(in, out + 13 - len / 2, len);
	}
	assert_int_equal(vfio_pread(b->dev, 0, 0, in, 0), 0);
}

static void ports(void **state)
{
	struct both *b = *state;

	vfio_write8(b->dev, 4, 3, 0x5a);
	assert_int_equal(vfio_read8(b->dev, 4, 3), 0x5a);
	assert_int_equal(vfio_read8(b->dev, 0, MODEL_BYTES + 3), 0x5a);
}

static void past_the_end(void **state)
{
	struct both *b = *state;
	uint8_t buf[16] = { 0 };

	assert_int_equal(vfio_pread(b->dev, 0, MODEL_BAR_SIZE - 4, buf, 16), 4);
	assert_int_equal(vfio_pwrite(b->dev, 0, MODEL_BAR_SIZE - 4, buf, 16), 4);
	assert_int_equal(vfio_pread(b->dev, 0, MODEL_BAR_SIZE, buf, 1), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_RANGE);
	assert_true(last(b)->remedy[0]);
	assert_int_equal(vfio_pwrite(b->dev, 0, UINT64_MAX, buf, 2), -EINVAL);
	assert_int_equal(vfio_pread(b->dev, 1, 0, buf, 1), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_NO_REGION);
	assert_int_equal(vfio_pwrite(b->dev, 77, 0, buf, 1), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_NO_REGION);
	assert_int_equal(vfio_pread(b->dev, CONFIG, 0xfc, buf, 8), -EFAULT);
	assert_record(last(b), EFAULT, VFIO_E_RANGE);
	assert_int_equal(vfio_pwrite(b->dev, CONFIG, 256, buf, 1), -EFAULT);
}

/* A register cannot be read by half. */
static void a_register_past_the_end(void **state)
{
	struct both *b = *state;

	assert_true(vfio_read64(b->dev, 0, MODEL_BAR_SIZE - 4) == UINT64_MAX);
	assert_record(last(b), EINVAL, VFIO_E_RANGE);
	assert_int_equal(vfio_read16(b->dev, 0, MODEL_BAR_SIZE), UINT16_MAX);
	assert_int_equal(vfio_read8(b->dev, 5, 0), UINT8_MAX);
	vfio_write32(b->dev, 5, 0, 1);
	assert_record(last(b), EINVAL, VFIO_E_NO_REGION);
}

static void memory_decoding_off(void **state)
{
	struct both *b = *state;
	uint16_t command = vfio_read16(b->dev, CONFIG, PCI_COMMAND);
	uint8_t buf[4] = { 0 };

	assert_true(command & PCI_COMMAND_MEMORY);
	vfio_write16(b->dev, CONFIG, PCI_COMMAND, command & ~PCI_COMMAND_MEMORY);
	assert_int_equal(vfio_pread(b->dev, 0, 0, buf, 4), -EIO);
	assert_record(last(b), EIO, VFIO_E_MEMORY_OFF);
	assert_true(last(b)->remedy[0]);
	assert_int_equal(model_get(b, MODEL_ID), UINT32_MAX);
	assert_int_equal(vfio_pwrite(b->dev, 2, 0, buf, 4), -EIO);
	assert_int_equal(vfio_pread(b->dev, 4, 0, buf, 4), 4);
	vfio_write16(b->dev, CONFIG, PCI_COMMAND, command);
	assert_int_equal(model_get(b, MODEL_ID), MODEL_ID_VALUE);
}

/* ---- mapped registers --------------------------------------------------------------------- */

static void a_mapped_area(void **state)
{
	struct both *b = *state;
	volatile uint8_t *at = vfio_map(b->dev, 2, MODEL_AREA_1 + 0x1000, 0x1000);
	uint8_t byte;

	assert_non_null(at);
	at[5] = 0x77;
	assert_int_equal(vfio_pread(b->dev, 2, MODEL_AREA_1 + 0x1005, &byte, 1), 1);
	assert_int_equal(byte, 0x77);
	vfio_write32(b->dev, 2, MODEL_AREA_1 + 0x1ffc, 0x11223344);
	assert_int_equal(at[0xffc], 0x44);
	assert_int_equal(vfio_read32(b->dev, 2, MODEL_AREA_1 + 0x1ffc), 0x11223344);
	assert_int_equal(vfio_read16(b->dev, 2, MODEL_AREA_1 + 0x1ffe), 0x1122);
	vfio_write32(b->dev, 2, MODEL_AREA_1 + 8, 0x99);	/* memory, too, but not mapped */
	assert_int_equal(vfio_read32(b->dev, 2, MODEL_AREA_1 + 8), 0x99);
	assert_non_null(vfio_map(b->dev, 2, MODEL_AREA_2, MODEL_AREA_2_SIZE));
	assert_non_null(vfio_map(b->dev, 2, MODEL_AREA_1, MODEL_AREA_1_SIZE));
	assert_int_equal(vfio_read8(b->dev, 2, MODEL_AREA_1 + 8), 0x99);
}

static void what_cannot_be_mapped(void **state)
{
	static const struct {
		uint32_t region;
		uint64_t offset;
		size_t len;
	} maps[] = {
		{ 2, MODEL_AREA_1, 0 }, { 2, MODEL_AREA_1 + 1, 0x1000 }, { 2, MODEL_AREA_1, 1 },
		{ 2, 0, 0x1000 }, { 2, 0, 0x2000 }, { 2, MODEL_AREA_1, 0x3000 },
		{ 2, MODEL_AREA_2, 0x2000 }, { 2, UINT64_MAX - 0xfff, 0x1000 },
		{ 2, UINT64_MAX - 0xfff, 0x2000 }, { 2, MODEL_AREA_1, SIZE_MAX - 0xfff },
		{ 0, 0, 0x1000 }, { 1, 0, 0x1000 }, { 4, 0, 0x1000 }, { CONFIG, 0, 0x1000 },
	};
	struct both *b = *state;

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		assert_null((void *)vfio_map(b->dev, maps[i].region, maps[i].offset, maps[i].len));
		assert_record(last(b), EINVAL, VFIO_E_NOT_MAPPABLE);
		assert_true(last(b)->remedy[0]);
	}
	assert_null((void *)vfio_map(b->dev, 99, 0, 0x1000));
	assert_record(last(b), EINVAL, VFIO_E_NO_REGION);
}

/* ---- life --------------------------------------------------------------------------------- */

static void bus_mastering(void **state)
{
	struct both *b = *state;
	uint16_t before = vfio_read16(b->dev, CONFIG, PCI_COMMAND);

	assert_false(before & PCI_COMMAND_MASTER);
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_int_equal(vfio_read16(b->dev, CONFIG, PCI_COMMAND), before | PCI_COMMAND_MASTER);
	assert_int_equal(vfio_set_bus_master(b->dev, false), 0);
	assert_int_equal(vfio_read16(b->dev, CONFIG, PCI_COMMAND), before);
}

static void reset(void **state)
{
	struct both *b = *state;
	unsigned int resets = b->model.resets;

	vfio_write8(b->dev, 0, MODEL_BYTES, 0x55);
	vfio_write8(b->dev, CONFIG, PCI_INTERRUPT_LINE, 0x5a);
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_int_equal(vfio_reset(b->dev), 0);
	assert_int_equal(b->model.resets, resets + 1);
	assert_int_equal(vfio_read8(b->dev, 0, MODEL_BYTES), 0);
	assert_int_equal(vfio_read8(b->dev, CONFIG, PCI_INTERRUPT_LINE), 0x5a);
	assert_true(vfio_read16(b->dev, CONFIG, PCI_COMMAND) & PCI_COMMAND_MASTER);
}

static void time_outs(void **state)
{
	struct both *b = *state;

	assert_int_equal(vfio_set_timeout(b->dev, 0), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_ARGUMENT);
	assert_int_equal(vfio_set_timeout(b->dev, 2000), 0);
	assert_int_equal(model_get(b, MODEL_ID), MODEL_ID_VALUE);
}

static void something_to_poll(void **state)
{
	struct both *b = *state;

	assert_true(vfio_poll_fd(b->dev) >= 0);
	assert_int_equal(vfio_dispatch(b->dev), 0);
}

static void the_last_fault(void **state)
{
	struct both *b = *state;
	struct vfio_fault fault;

	assert_int_equal(vfio_fault(b->dev, &fault), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x5000, 16), -EPERM);
	assert_int_equal(vfio_fault(b->dev, &fault), 1);
	assert_int_equal(fault.iova, 0x5000);
	assert_int_equal(fault.size, 16);
	assert_int_equal(fault.err, EPERM);
	assert_int_equal(fault.prot, VFIO_DMA_READ);
	assert_int_equal(fault.count, 1);
}

static void faults_signal_an_eventfd(void **state)
{
	struct both *b = *state;
	int fd = vfio_fault_fd(b->dev);

	assert_true(fd >= 0);
	assert_int_equal(vfio_fault_fd(b->dev), fd);
	assert_int_equal(vfio_irq_wait(b->dev, fd, 0), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x5000, 16), -EPERM);
	assert_true(vfio_irq_wait(b->dev, fd, 5000) > 0);
	assert_int_equal(vfio_irq_wait(b->dev, fd, 0), 0);
}

/* Who has spans lets go of them; of the maps none goes. Without a map there is nothing to tell. */
static void the_end_of_bus_mastering_is_told(void **state)
{
	struct both *b = *state;
	unsigned int before = b->model.gone;
	struct vfio_dma dma;

	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_int_equal(vfio_set_bus_master(b->dev, false), 0);
	assert_int_equal(b->model.gone, before);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, 4096, VFIO_DMA_RW), 0);
	for (unsigned int i = 1; i < 3; i++) {
		assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
		assert_int_equal(b->model.gone, before + i - 1);
		assert_int_equal(model_dma(b, MODEL_DMA_READ, dma.iova, 16), 0);
		assert_int_equal(vfio_set_bus_master(b->dev, false), 0);
		assert_int_equal(b->model.gone, before + i);
		assert_int_equal(b->model.gone_iova, 0);
		assert_int_equal(b->model.gone_size, UINT64_MAX);
	}
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
}

/* Bus mastering goes first, so that no map goes while the device may use it; then all the rest. */
static void closing_undoes_everything(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma;
	unsigned int before;
	int fds[3];

	assert_int_equal(vfio_dma_alloc(b->dev, &dma, 4096, VFIO_DMA_RW), 0);
	before = b->model.gone;
	assert_int_equal(vfio_irq_enable(b->dev, VFIO_PCI_MSI_IRQ_INDEX, 3, fds), 0);
	assert_non_null(vfio_map(b->dev, 2, MODEL_AREA_1, MODEL_AREA_1_SIZE));
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_int_equal(model_dma(b, MODEL_PROBE_GONE, 0, 0), 0);
	both_close(b);
	/* All, since bus mastering ends; then the one map. */
	assert_int_equal(b->model.gone, before + 2);
	assert_int_equal(b->model.gone_iova, dma.iova);
	assert_int_equal(b->model.gone_result, -EPERM);
	assert_int_equal(b->model.freed, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
	assert_int_equal(fcntl(dma.fd, F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_new_handle_has_no_error),
		BOTH(info),
		BOTH(regions),
		BOTH(a_region_that_is_not_there),
		BOTH(capabilities),
		BOTH(registers_of_every_width),
		BOTH(bytes_of_any_length),
		BOTH(ports),
		BOTH(past_the_end),
		BOTH(a_register_past_the_end),
		BOTH(memory_decoding_off),
		BOTH(a_mapped_area),
		BOTH(what_cannot_be_mapped),
		BOTH(bus_mastering),
		BOTH(reset),
		BOTH(time_outs),
		BOTH(something_to_poll),
		BOTH(the_last_fault),
		BOTH(faults_signal_an_eventfd),
		BOTH(the_end_of_bus_mastering_is_told),
		BOTH(closing_undoes_everything),
	};

	return both_run(tests, sizeof(tests) / sizeof(tests[0]));
}
