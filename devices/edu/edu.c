/* SPDX-License-Identifier: MIT */
/*
 * The "edu" device: QEMU's PCI card for learning to write drivers, as a software device.
 *
 * Written from its specification, QEMU's docs/specs/edu.rst; the numbers below are that document's
 * sections in order. Where the document leaves a question open, QEMU's behaviour is the answer. What
 * is left of a difference is time (here everything is done at once) and what the document forbids.
 *
 *   1  Command line switches     dma_mask=N
 *   2  PCI specs                 identity, one BAR
 *   3  MMIO area spec            the registers
 *   4  IRQ controller            raise, acknowledge, INTx and MSI
 *   5  DMA controller            one 4096-byte buffer
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vfio/device.h>

/* 3: registers of BAR 0. From 0x80 on they are 64 bits wide. */
enum {
	REG_ID		= 0x00,		/* RO */
	REG_LIVENESS	= 0x04,		/* RW */
	REG_FACTORIAL	= 0x08,		/* RW */
	REG_STATUS	= 0x20,		/* RW */
	REG_IRQ_STATUS	= 0x24,		/* RO */
	REG_IRQ_RAISE	= 0x60,		/* WO */
	REG_IRQ_ACK	= 0x64,		/* WO */
	REG_DMA_SOURCE	= 0x80,		/* RW */
	REG_DMA_DEST	= 0x88,		/* RW */
	REG_DMA_COUNT	= 0x90,		/* RW */
	REG_DMA_COMMAND	= 0x98,		/* RW */
};

#define WIDE_REGISTERS	0x80u

#define ID_VALUE	0x010000edu	/* 0xRRrr00ed: version 1.0 */

#define STATUS_IRQ_FACTORIAL	0x80u	/* raise an interrupt after a factorial */

#define IRQ_FACTORIAL	0x001u
#define IRQ_DMA		0x100u

#define DMA_START	0x1u
#define DMA_TO_RAM	0x2u
#define DMA_IRQ		0x4u

/* 5: where the buffer lies in the device's own addresses. */
#define BUFFER_BASE	0x40000u
#define BUFFER_SIZE	4096u

#define DMA_MASK_DEFAULT ((UINT64_C(1) << 28) - 1)

struct edu {
	uint64_t dma_mask;
	/* Everything from here on is cleared by a reset. */
	struct edu_state {
		uint32_t liveness;
		uint32_t factorial;
		uint32_t status;
		uint32_t irq_status;
		uint64_t source, dest, count, command;
		uint8_t buffer[BUFFER_SIZE];
	} s;
};

/* ---- 3: factorial ------------------------------------------------------------------------ */

/* n! modulo 2^32. 34! has 32 factors of two, so that from there on the result is 0. */
static uint32_t factorial(uint32_t n)
{
	uint32_t result = 1;

	if (n >= 34)
		return 0;
	while (n > 1)
		result *= n--;
	return result;
}

/* ---- 4: IRQ controller ------------------------------------------------------------------- */

/*
 * An interrupt is raised: the value joins the status register. INTx is a level and lasts as long as
 * any bit is set; MSI is one message for each raise, even if the bit was set before.
 */
static void irq_raise(struct vfio_function *fn, uint32_t value)
{
	struct edu *edu = vfio_function_state(fn);

	edu->s.irq_status |= value;
	if (!edu->s.irq_status)
		return;
	vfio_function_intx(fn, true);
	vfio_function_msi(fn, 0);
}

static void irq_acknowledge(struct vfio_function *fn, uint32_t value)
{
	struct edu *edu = vfio_function_state(fn);

	edu->s.irq_status &= ~value;
	vfio_function_intx(fn, edu->s.irq_status != 0);
}

/* ---- 5: DMA controller ------------------------------------------------------------------- */

/* Is [addr, addr + count) inside the buffer? Neither sum can wrap. */
static bool in_buffer(uint64_t addr, uint64_t count)
{
	return addr >= BUFFER_BASE && count <= BUFFER_SIZE &&
	       addr - BUFFER_BASE <= BUFFER_SIZE - count;
}

/*
 * Move the bytes. The device drives only the address bits of its mask; the rest of a RAM address
 * is lost on the way. A range that leaves the buffer moves nothing, which the document does not say:
 * older QEMUs stopped the whole machine there.
 *
 * The device has no error bit. A transfer that the IOMMU refuses ends like any other; the refusal
 * is in the function's fault record.
 */
static void dma_move(struct vfio_function *fn)
{
	struct edu *edu = vfio_function_state(fn);
	struct edu_state *s = &edu->s;
	bool to_ram = s->command & DMA_TO_RAM;
	uint64_t local = to_ram ? s->source : s->dest;
	uint64_t ram = (to_ram ? s->dest : s->source) & edu->dma_mask;

	if (s->count == 0 || !in_buffer(local, s->count))
		return;
	if (to_ram)
		vfio_function_dma_write(fn, ram, s->buffer + (local - BUFFER_BASE), s->count);
	else
		vfio_function_dma_read(fn, ram, s->buffer + (local - BUFFER_BASE), s->count);
}

/*
 * A write to the command register. Without the start bit it does nothing. The transfer is over
 * before the write returns; its end is announced as the specification says, and also when nothing
 * was moved: a driver that waits must not wait for ever. A start bit that is gone by then means
 * that the device was reset while the transfer waited for the driver's memory.
 */
static void dma_command(struct vfio_function *fn, uint64_t command)
{
	struct edu *edu = vfio_function_state(fn);

	if (!(command & DMA_START))
		return;
	edu->s.command = command;
	dma_move(fn);
	if (!(edu->s.command & DMA_START))
		return;
	edu->s.command &= ~(uint64_t)DMA_START;
	if (command & DMA_IRQ)
		irq_raise(fn, IRQ_DMA);
}

/*
 * The four DMA registers cannot be written while a transfer runs. One can be seen to run: when the
 * driver's memory is behind a socket, the transfer waits for the driver, who may write meanwhile.
 */
static void dma_write(struct vfio_function *fn, uint64_t offset, uint64_t value)
{
	struct edu *edu = vfio_function_state(fn);

	if (edu->s.command & DMA_START)
		return;
	switch (offset) {
	case REG_DMA_SOURCE:
		edu->s.source = value;
		break;
	case REG_DMA_DEST:
		edu->s.dest = value;
		break;
	case REG_DMA_COUNT:
		edu->s.count = value;
		break;
	case REG_DMA_COMMAND:
		dma_command(fn, value);
		break;
	}
}

/* ---- 3: MMIO area spec ------------------------------------------------------------------- */

/*
 * 4 bytes below 0x80, 4 or 8 from there on. A register answers at its own offset only, and a
 * 4-byte write of a 64-bit register sets its upper half to zero: that is enough for a driver
 * without 64-bit accesses, whose addresses fit 32 bits.
 */
static bool width_allowed(uint64_t offset, unsigned int width)
{
	return width == 4 || (width == 8 && offset >= WIDE_REGISTERS);
}

static uint64_t edu_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			 unsigned int width)
{
	const struct edu *edu = vfio_function_state(fn);

	if (!width_allowed(offset, width))
		return ~UINT64_C(0);
	switch (offset) {
	case REG_ID:		return ID_VALUE;
	case REG_LIVENESS:	return edu->s.liveness;
	case REG_FACTORIAL:	return edu->s.factorial;
	case REG_STATUS:	return edu->s.status;
	case REG_IRQ_STATUS:	return edu->s.irq_status;
	case REG_DMA_SOURCE:	return edu->s.source;
	case REG_DMA_DEST:	return edu->s.dest;
	case REG_DMA_COUNT:	return edu->s.count;
	case REG_DMA_COMMAND:	return edu->s.command;
	default:		return ~UINT64_C(0);
	}
}

/*
 * The factorial takes at most 32 multiplications and is done on the spot: status bit 0,
 * "computing", is never seen set, and no write comes while it is.
 */
static void factorial_write(struct vfio_function *fn, uint32_t n)
{
	struct edu *edu = vfio_function_state(fn);

	edu->s.factorial = factorial(n);
	if (edu->s.status & STATUS_IRQ_FACTORIAL)
		irq_raise(fn, IRQ_FACTORIAL);
}

static void edu_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		      unsigned int width, uint64_t value)
{
	struct edu *edu = vfio_function_state(fn);

	if (!width_allowed(offset, width))
		return;
	switch (offset) {
	case REG_LIVENESS:
		edu->s.liveness = ~(uint32_t)value;
		break;
	case REG_FACTORIAL:
		factorial_write(fn, (uint32_t)value);
		break;
	case REG_STATUS:
		edu->s.status = value & STATUS_IRQ_FACTORIAL;
		break;
	case REG_IRQ_RAISE:
		irq_raise(fn, (uint32_t)value);
		break;
	case REG_IRQ_ACK:
		irq_acknowledge(fn, (uint32_t)value);
		break;
	default:
		dma_write(fn, offset, value);
		break;
	}
}

/* The buffer is cleared too: the next driver must not find what the last one left. */
static int edu_reset(struct vfio_function *fn)
{
	struct edu *edu = vfio_function_state(fn);

	memset(&edu->s, 0, sizeof(edu->s));
	vfio_function_intx(fn, false);
	return 0;
}

static void edu_free(struct vfio_function *fn)
{
	free(vfio_function_state(fn));
}

/* ---- 2: PCI specs ------------------------------------------------------------------------ */

static const struct vfio_function_description description = {
	.size = sizeof(description),
	.name = "edu",
	.vendor = 0x1234,
	.device = 0x11e8,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.revision = 0x10,
	.class_code = 0x00ff00,
	.interrupt_pin = 1,
	.msi_vectors = 1,
	.bars[0] = { .size = 1 << 20 },		/* 32-bit memory, every access trapped */
};

static const struct vfio_function_ops ops = {
	.size = sizeof(ops),
	.read = edu_read,
	.write = edu_write,
	.reset = edu_reset,
	.free = edu_free,
};

/* ---- 1: command line switches ------------------------------------------------------------ */

static int bad_option(struct vfio_error *err, const char *option, int len, const char *why)
{
	*err = (struct vfio_error){
		.err = EINVAL,
		.code = VFIO_E_OPTION,
		.who = VFIO_BY_MODEL,
		.remedy = "edu has one option: dma_mask=N, the address bits that DMA can use, "
			  "decimal or 0x…, not 0 (default 0xfffffff, 28 bits)",
	};
	snprintf(err->what, sizeof(err->what), "edu: option '%.*s': %s", len, option, why);
	return -EINVAL;
}

/* A decimal or hexadecimal number that fills text up to end, and is not 0. */
static bool parse_mask(const char *text, const char *end, uint64_t *mask)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;

	/* strtoull() would also take blanks, signs and a second 0x. */
	if (digits == end || strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789") <
			     (size_t)(end - digits))
		return false;
	errno = 0;
	*mask = strtoull(digits, NULL, hex ? 16 : 10);
	return errno == 0 && *mask != 0;
}

static int parse_options(struct edu *edu, const char *option, struct vfio_error *err)
{
	static const char name[] = "dma_mask=";
	const size_t skip = sizeof(name) - 1;

	while (*option) {
		size_t len = strcspn(option, ",");

		if (strncmp(option, name, skip))
			return bad_option(err, option, (int)len, "there is no such option");
		if (!parse_mask(option + skip, option + len, &edu->dma_mask))
			return bad_option(err, option, (int)len, "not a number from 1 to 2^64 - 1");
		option += len + (option[len] == ',');
	}
	return 0;
}

static int edu_create(struct vfio_function **fn, const char *options, struct vfio_error *err)
{
	struct edu *edu = calloc(1, sizeof(*edu));
	int ret;

	if (!edu) {
		*err = (struct vfio_error){ .err = ENOMEM, .code = VFIO_E_NO_MEMORY,
					    .who = VFIO_BY_MODEL, .what = "edu: no memory" };
		return -ENOMEM;
	}
	edu->dma_mask = DMA_MASK_DEFAULT;
	ret = parse_options(edu, options, err);
	if (ret == 0)
		ret = vfio_function_new(fn, &description, &ops, edu, err);
	if (ret < 0)
		free(edu);
	return ret;
}

extern const struct vfio_device_module vfio_device_module;

__attribute__((visibility("default")))
const struct vfio_device_module vfio_device_module = {
	.version = VFIO_DEVICE_MODULE_VERSION,
	.summary = "QEMU's educational device: factorial, interrupts, DMA through a 4 KiB buffer",
	.create = edu_create,
};
