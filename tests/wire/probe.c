/* SPDX-License-Identifier: MIT */
/*
 * probe: a device for the wire tests, with one of everything that a server can be asked for.
 *
 *   BAR0  64 KiB, 64-bit: registers in page 0, memory in [0x1000, 0x3000) and [0x8000, 0x9000),
 *         the DMA buffer in [0x4000, 0x8000), nothing elsewhere
 *   BAR2  MSI-X table of 64 vectors, and pending bits
 *   BAR4  32 I/O ports that keep what is written to them
 *   BAR5  2 MiB, memory throughout
 *
 * Registers of BAR0 (little endian, any width that divides the offset):
 *
 *   0x00  RO 4  identification, 0x50524f42
 *   0x04  RW 4  bit 0 is the level of the INTx pin
 *   0x08  RW 4  a write sends this message-signalled vector
 *   0x0c  RO 4  errno of the last command, 0 for success
 *   0x10  RW 8  I/O address
 *   0x18  RW 4  length
 *   0x1c  RW 4  command: see enum command
 *   0x20  RO 4  how often dma_gone was called
 *   0x24  RO 4  how often the device was reset
 *   0x28  RW 4  how many accesses of the scratch bytes were noted; a write of 0 starts afresh
 *   0x2c  RO 4  how often a doorbell was rung: they lie at 0x1000, 8 bytes, and 0x8000, 16 bytes
 *   0x30  RO 4  1 when the client has asked for their eventfd
 *   0x40  RO    the first 16 of them, 4 bytes each: offset << 8 | 0x80 for a write | width
 *   0x100 RW    256 scratch bytes
 *
 * The two counters outlive a reset, so that resets can be counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vfio/device.h>

enum {
	REG_ID = 0x00,
	REG_INTX = 0x04,
	REG_VECTOR = 0x08,
	REG_RESULT = 0x0c,
	REG_IOVA = 0x10,
	REG_LENGTH = 0x18,
	REG_COMMAND = 0x1c,
	REG_GONE = 0x20,
	REG_RESETS = 0x24,
	REG_NOTED = 0x28,
	REG_RUNG = 0x2c,
	REG_ASKED = 0x30,
	REG_NOTES = 0x40,
	NOTES = 16,
	SCRATCH = 0x100,
	REGISTERS_END = 0x200,
	BUFFER = 0x4000,
	BUFFER_SIZE = 0x4000,
	IO_SIZE = 32,
};

enum command {
	COMMAND_READ = 1,	/* driver's memory to DMA buffer */
	COMMAND_WRITE = 2,	/* DMA buffer to driver's memory */
	COMMAND_HOLD = 3,	/* ask for the memory in place, and keep the span */
	COMMAND_FILL = 4,	/* fill the span that is held with 0x5a; ENOENT without one */
};

struct probe {
	uint8_t registers[REGISTERS_END];
	uint8_t buffer[BUFFER_SIZE];
	uint8_t io[IO_SIZE];
	struct vfio_span held;
	uint64_t held_iova;
};

static const struct vfio_area bar0_areas[] = {
	{ .offset = 0x1000, .size = 0x2000 },
	{ .offset = 0x8000, .size = 0x1000 },
};

static const struct vfio_area bar5_areas[] = {
	{ .offset = 0, .size = 2 << 20 },
};

static const struct vfio_function_description description = {
	.size = sizeof(description),
	.name = "probe",
	.vendor = 0x1234,
	.device = 0x7072,
	.subsystem_vendor = 0x1234,
	.subsystem = 0x0001,
	.revision = 1,
	.class_code = 0xff0000,
	.interrupt_pin = 1,
	.msi_vectors = 8,
	.msix_vectors = 64,
	.msix_bar = 2,
	.msix_table = 0,
	.msix_pba = 0x1000,
	.power_management = true,
	.bars = {
		[0] = { .size = 0x10000, .flags = VFIO_BAR_MEM64, .nareas = 2,
			.areas = bar0_areas },
		[2] = { .size = 0x2000 },
		[4] = { .size = IO_SIZE, .flags = VFIO_BAR_IO },
		[5] = { .size = 2 << 20, .nareas = 1, .areas = bar5_areas },
	},
};

static uint64_t load(const uint8_t *bytes, unsigned int width)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < width; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

static void store(uint8_t *bytes, unsigned int width, uint64_t value)
{
	for (unsigned int i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static void count(struct probe *probe, unsigned int reg)
{
	store(probe->registers + reg, 4, load(probe->registers + reg, 4) + 1);
}

/* Note an access of the scratch bytes, so that a test sees how a message was cut up. */
static void note(struct probe *probe, uint64_t offset, unsigned int width, bool write)
{
	uint64_t noted = load(probe->registers + REG_NOTED, 4);
	uint32_t entry = (uint32_t)(offset << 8) | (write ? 0x80 : 0) | width;

	if (noted < NOTES)
		store(probe->registers + REG_NOTES + 4 * noted, 4, entry);
	count(probe, REG_NOTED);
}

static int hold(struct vfio_function *fn, struct probe *probe, uint64_t iova, size_t length)
{
	int spans = vfio_function_dma_spans(fn, iova, length, VFIO_DMA_WRITE, &probe->held, 1);

	if (spans > 1)
		return -ENOSPC;
	if (spans < 0)
		probe->held = (struct vfio_span){ 0 };
	probe->held_iova = iova;
	return spans < 0 ? spans : 0;
}

static int fill(struct probe *probe)
{
	if (!probe->held.addr)
		return -ENOENT;
	memset(probe->held.addr, 0x5a, probe->held.len);
	return 0;
}

static int run(struct vfio_function *fn, struct probe *probe)
{
	uint64_t iova = load(probe->registers + REG_IOVA, 8);
	size_t length = load(probe->registers + REG_LENGTH, 4);

	if (length > BUFFER_SIZE)
		return -EINVAL;
	switch (load(probe->registers + REG_COMMAND, 4)) {
	case COMMAND_READ:
		return vfio_function_dma_read(fn, iova, probe->buffer, length);
	case COMMAND_WRITE:
		return vfio_function_dma_write(fn, iova, probe->buffer, length);
	case COMMAND_HOLD:
		return hold(fn, probe, iova, length);
	case COMMAND_FILL:
		return fill(probe);
	default:
		return -EINVAL;
	}
}

static bool writable(uint64_t offset)
{
	return (offset >= REG_INTX && offset < REG_RESULT) ||
	       (offset >= REG_IOVA && offset < REG_GONE) ||
	       (offset >= REG_NOTED && offset < REG_NOTED + 4) || offset >= SCRATCH;
}

static void act(struct vfio_function *fn, struct probe *probe, uint64_t reg)
{
	switch (reg) {
	case REG_INTX:
		vfio_function_intx(fn, probe->registers[REG_INTX] & 1);
		break;
	case REG_VECTOR:
		vfio_function_msi(fn, (unsigned int)load(probe->registers + REG_VECTOR, 4));
		break;
	case REG_COMMAND:
		store(probe->registers + REG_RESULT, 4, (uint64_t)-run(fn, probe));
		break;
	}
}

/* The trapped byte at this place, or NULL where there is nothing. */
static uint8_t *find(struct probe *probe, unsigned int bar, uint64_t offset, unsigned int width)
{
	if (bar == 4 && offset + width <= IO_SIZE)
		return probe->io + offset;
	if (bar != 0)
		return NULL;
	if (offset + width <= REGISTERS_END)
		return probe->registers + offset;
	if (offset >= BUFFER && offset + width <= BUFFER + BUFFER_SIZE)
		return probe->buffer + (offset - BUFFER);
	return NULL;
}

static bool is_scratch(unsigned int bar, uint64_t offset)
{
	return bar == 0 && offset >= SCRATCH && offset < REGISTERS_END;
}

static void rung(struct vfio_function *fn, void *arg)
{
	count(vfio_function_state(fn), REG_RUNG);
}

static uint64_t probe_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			   unsigned int width)
{
	struct probe *probe = vfio_function_state(fn);
	const uint8_t *bytes = find(probe, bar, offset, width);

	store(probe->registers + REG_ASKED, 4, vfio_function_doorbell_asked(fn, 0));
	if (is_scratch(bar, offset))
		note(probe, offset, width, false);
	return bytes ? load(bytes, width) : ~0ull;
}

static void probe_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			unsigned int width, uint64_t value)
{
	struct probe *probe = vfio_function_state(fn);
	uint8_t *bytes = find(probe, bar, offset, width);
	bool is_register = bar == 0 && offset < REGISTERS_END;

	if (is_scratch(bar, offset))
		note(probe, offset, width, true);
	if (!bytes || (is_register && !writable(offset)))
		return;
	store(bytes, width, value);
	if (is_register)
		act(fn, probe, offset);
}

static void clear_memory(struct vfio_function *fn, unsigned int bar, const struct vfio_area *areas,
			 size_t nareas)
{
	uint8_t *memory = vfio_function_memory(fn, bar);

	for (size_t i = 0; memory && i < nareas; i++)
		memset(memory + areas[i].offset, 0, areas[i].size);
}

static int probe_reset(struct vfio_function *fn)
{
	struct probe *probe = vfio_function_state(fn);
	uint64_t gone = load(probe->registers + REG_GONE, 4);
	uint64_t resets = load(probe->registers + REG_RESETS, 4);

	memset(probe, 0, sizeof(*probe));
	store(probe->registers + REG_ID, 4, 0x50524f42);
	store(probe->registers + REG_GONE, 4, gone);
	store(probe->registers + REG_RESETS, 4, resets + 1);
	clear_memory(fn, 0, bar0_areas, 2);
	clear_memory(fn, 5, bar5_areas, 1);
	vfio_function_intx(fn, false);
	return 0;
}

static void probe_dma_gone(struct vfio_function *fn, uint64_t iova, uint64_t size)
{
	struct probe *probe = vfio_function_state(fn);
	uint64_t distance = probe->held_iova - iova;

	/* Where the span begins inside what goes, or what goes begins inside the span. */
	if (distance < size || iova - probe->held_iova < probe->held.len)
		probe->held = (struct vfio_span){ 0 };
	count(probe, REG_GONE);
}

static void probe_free(struct vfio_function *fn)
{
	free(vfio_function_state(fn));
}

static const struct vfio_function_ops ops = {
	.size = sizeof(ops),
	.read = probe_read,
	.write = probe_write,
	.reset = probe_reset,
	.dma_gone = probe_dma_gone,
	.free = probe_free,
};

static int make(struct vfio_function **fn, struct probe *probe, struct vfio_error *err)
{
	int ret = vfio_function_new(fn, &description, &ops, probe, err);

	if (ret < 0)
		return ret;
	ret = vfio_function_doorbell(*fn, 0, 0x1000, 8, rung, NULL);
	return ret < 0 ? ret : vfio_function_doorbell(*fn, 0, 0x8000, 16, rung, NULL);
}

static int probe_create(struct vfio_function **fn, const char *options, struct vfio_error *err)
{
	struct probe *probe;
	int ret;

	if (*options) {
		*err = (struct vfio_error){ EINVAL, VFIO_E_OPTION, VFIO_BY_MODEL,
					    "probe was given options and takes none",
					    "name the device without a comma" };
		return -EINVAL;
	}
	probe = calloc(1, sizeof(*probe));
	if (!probe) {
		*err = (struct vfio_error){ ENOMEM, VFIO_E_NO_MEMORY, VFIO_BY_MODEL,
					    "no memory for the probe device's state", "" };
		return -ENOMEM;
	}
	ret = make(fn, probe, err);
	if (ret < 0)
		free(probe);
	return ret;
}

extern const struct vfio_device_module vfio_device_module;

__attribute__((visibility("default"))) const struct vfio_device_module vfio_device_module = {
	.version = VFIO_DEVICE_MODULE_VERSION,
	.summary = "a device for the wire tests",
	.create = probe_create,
};
