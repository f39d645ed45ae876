/* SPDX-License-Identifier: MIT */
/*
 * The driver, to be read beside QEMU's docs/specs/edu.rst. The numbered comments in edu_open() and
 * in the operations are the steps a driver takes, in order.
 *
 * All registers are accessed 4 bytes wide. The DMA registers are 64 bits, but everything that this
 * driver writes there fits 32, and a 4-byte write leaves zeros above.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "edu.h"

#define EDU_VENDOR_DEVICE 0x11e81234u	/* the first 4 bytes of configuration space */

/* Registers, offsets in BAR 0. */
#define EDU_ID		0x00u		/* RO: version and 0xed */
#define EDU_LIVENESS	0x04u		/* RW: reads back inverted */
#define EDU_FACTORIAL	0x08u		/* RW: write n, read n! when it is done */
#define EDU_STATUS	0x20u		/* RW */
#define EDU_IRQ_STATUS	0x24u		/* RO: what raised the interrupt */
#define EDU_IRQ_RAISE	0x60u		/* WO */
#define EDU_IRQ_ACK	0x64u		/* WO: clears bits of the interrupt status */
#define EDU_DMA_SRC	0x80u		/* RW, this and the next three are 64 bits wide */
#define EDU_DMA_DST	0x88u
#define EDU_DMA_CNT	0x90u
#define EDU_DMA_CMD	0x98u

#define EDU_STATUS_COMPUTING	(1u << 0)	/* RO */
#define EDU_STATUS_IRQ		(1u << 7)	/* interrupt when the factorial is done */

#define EDU_CMD_START	(1u << 0)	/* clears itself when the transfer is done */
#define EDU_CMD_TO_RAM	(1u << 1)
#define EDU_CMD_IRQ	(1u << 2)	/* interrupt when the transfer is done */

/* Bits of the interrupt status. */
#define EDU_IRQ_FACTORIAL	0x001u
#define EDU_IRQ_DMA		0x100u

#define EDU_BUFFER	UINT32_C(0x40000)	/* the buffer, in the device's addresses */

#define DEADLINE_MS	5000u
#define LOOK_MS		100	/* without an interrupt: is the device there at all? */

struct edu {
	struct vfio_dev *dev;
	struct vfio_error error;
	enum edu_interrupt interrupt;
	bool interrupt_on;
	int fd;				/* the eventfd of the interrupt */
	uint64_t interrupts;
	unsigned int deadline_ms;
};

/* Something that takes the device time. */
struct work {
	const char *what;
	uint32_t irq;			/* bits of the interrupt status at its end */
	uint32_t busy_reg, busy_bit;	/* set while it lasts; a bit of 0: nothing shows it */
};

/* ---- errors ------------------------------------------------------------------------------ */

__attribute__((format(printf, 6, 7)))
static int fail(struct edu *edu, int err, enum vfio_error_code code, enum vfio_refuser who,
		const char *remedy, const char *what, ...)
{
	va_list ap;

	edu->error = (struct vfio_error){ .err = err, .code = code, .who = who };
	va_start(ap, what);
	vsnprintf(edu->error.what, sizeof(edu->error.what), what, ap);
	va_end(ap);
	snprintf(edu->error.remedy, sizeof(edu->error.remedy), "%s", remedy);
	return -err;
}

/* A call of the library failed: its record is ours. */
static int library_failed(struct edu *edu, int64_t ret)
{
	edu->error = *vfio_last_error(edu->dev);
	return (int)ret;
}

const struct vfio_error *edu_error(const struct edu *edu)
{
	return &edu->error;
}

/* ---- registers --------------------------------------------------------------------------- */

static int check_identification(struct edu *edu);

/*
 * Read a register. All ones may be its value, but is also what a bus gives when nobody answers:
 * the identification, which is never all ones, decides.
 */
static int reg_read(struct edu *edu, uint32_t reg, uint32_t *value)
{
	uint32_t raw = UINT32_MAX;
	ssize_t n = vfio_pread(edu->dev, VFIO_PCI_BAR0_REGION_INDEX, reg, &raw, sizeof(raw));

	if (n < 0)
		return library_failed(edu, n);
	*value = le32toh(raw);
	return *value == UINT32_MAX && reg != EDU_ID ? check_identification(edu) : 0;
}

static int reg_write(struct edu *edu, uint32_t reg, uint32_t value)
{
	uint32_t raw = htole32(value);
	ssize_t n = vfio_pwrite(edu->dev, VFIO_PCI_BAR0_REGION_INDEX, reg, &raw, sizeof(raw));

	return n < 0 ? library_failed(edu, n) : 0;
}

static int check_identification(struct edu *edu)
{
	uint32_t id;
	int ret = reg_read(edu, EDU_ID, &id);

	if (ret < 0 || (id & 0xff) == 0xed)
		return ret;
	if (id == UINT32_MAX)
		return fail(edu, ENODEV, VFIO_E_GONE, VFIO_BY_MODEL,
			    "see whether the device is still there, has power, and decodes memory",
			    "edu: the registers read all ones: nobody answers");
	return fail(edu, ENODEV, VFIO_E_NO_DEVICE, VFIO_BY_MODEL,
		    "see whether the device has power and its memory decoding is on",
		    "edu: the identification register reads 0x%08" PRIx32 ", and should end in ed",
		    id);
}

uint32_t edu_id(struct edu *edu)
{
	uint32_t id = UINT32_MAX;

	reg_read(edu, EDU_ID, &id);
	return id;
}

/* ---- interrupts -------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/*
 * What an interrupt handler does: see what it was, acknowledge that and nothing else, so that what
 * comes between the two is not lost. INTx has masked itself when it fired and is armed again, after
 * a read that makes sure that the acknowledgement has arrived: else it would fire at once.
 */
static int acknowledge(struct edu *edu, uint32_t *status)
{
	uint32_t flushed;
	int ret = reg_read(edu, EDU_IRQ_STATUS, status);

	if (ret == 0 && *status)
		ret = reg_write(edu, EDU_IRQ_ACK, *status);
	if (ret < 0 || edu->interrupt != EDU_INTX)
		return ret;
	ret = reg_read(edu, EDU_IRQ_STATUS, &flushed);
	if (ret < 0)
		return ret;
	ret = vfio_irq_unmask(edu->dev, VFIO_PCI_INTX_IRQ_INDEX, 0);
	return ret < 0 ? library_failed(edu, ret) : 0;
}

/* 1 if the device is at work of that kind, 0 if not. */
static int is_busy(struct edu *edu, const struct work *work)
{
	uint32_t value;
	int ret;

	if (!work->busy_bit)
		return 0;
	ret = reg_read(edu, work->busy_reg, &value);
	return ret < 0 ? ret : (value & work->busy_bit) != 0;
}

/* The deadline has passed. Tell a slow device from a lost interrupt. */
static int timed_out(struct edu *edu, const struct work *work)
{
	uint32_t status;
	int ret = reg_read(edu, EDU_IRQ_STATUS, &status);

	if (ret < 0)
		return ret;
	if ((status & work->irq) == work->irq)
		return fail(edu, ETIMEDOUT, VFIO_E_TIMEOUT, VFIO_BY_MODEL,
			    "try the other kind of interrupt",
			    "edu: %s: done, but no %s interrupt arrived in %u ms",
			    work->what, edu_interrupt_name(edu), edu->deadline_ms);
	return fail(edu, ETIMEDOUT, VFIO_E_TIMEOUT, VFIO_BY_MODEL,
		    "give the device more time, or open it again, which resets it",
		    "edu: %s: not done after %u ms", work->what, edu->deadline_ms);
}

/*
 * Wait for the interrupt that ends the work. One that arrives may be stale, of work that was given
 * up, or be for other status bits: go on until the wanted bits came and the device is not busy.
 */
static int finish(struct edu *edu, const struct work *work)
{
	uint64_t now = now_ms(), end = now + edu->deadline_ms;
	uint32_t seen = 0, status;

	for (; now < end; now = now_ms()) {
		uint64_t left = end - now;
		int64_t count = vfio_irq_wait(edu->dev, edu->fd,
					      left < LOOK_MS ? (int)left : LOOK_MS);
		int ret;

		if (count < 0)
			return library_failed(edu, count);
		edu->interrupts += (uint64_t)count;
		/* No interrupt says that the device has gone: its registers do. */
		ret = count ? acknowledge(edu, &status) : check_identification(edu);
		if (ret == 0 && count == 0)
			continue;
		if (ret < 0)
			return ret;
		seen |= status;
		if ((seen & work->irq) != work->irq)
			continue;
		ret = is_busy(edu, work);
		if (ret <= 0)
			return ret;
	}
	return timed_out(edu, work);
}

/* The device ignores new work while it is busy, with some that was given up after its deadline. */
static int check_idle(struct edu *edu, const struct work *work)
{
	int ret = is_busy(edu, work);

	if (ret <= 0)
		return ret;
	return fail(edu, EBUSY, VFIO_E_AT_WORK, VFIO_BY_MODEL,
		    "wait, or open the device again, which resets it",
		    "edu: %s: the device is busy with an earlier one", work->what);
}

static uint32_t interrupt_index(enum edu_interrupt which)
{
	return which == EDU_MSI ? VFIO_PCI_MSI_IRQ_INDEX : VFIO_PCI_INTX_IRQ_INDEX;
}

const char *edu_interrupt_name(const struct edu *edu)
{
	return edu->interrupt == EDU_MSI ? "MSI" : "INTx";
}

uint64_t edu_interrupts(const struct edu *edu)
{
	return edu->interrupts;
}

void edu_set_deadline(struct edu *edu, unsigned int milliseconds)
{
	edu->deadline_ms = milliseconds > INT32_MAX ? INT32_MAX : milliseconds;
}

/* 1 if the device has interrupts of that kind, 0 if not. */
static int has_interrupt(struct edu *edu, enum edu_interrupt which)
{
	struct vfio_irq_info info = { .count = 0 };
	int ret = vfio_irq_info(edu->dev, interrupt_index(which), &info);

	return ret < 0 ? library_failed(edu, ret) : info.count > 0;
}

int edu_use_interrupt(struct edu *edu, enum edu_interrupt which)
{
	int ret = has_interrupt(edu, which);

	if (ret < 0)
		return ret;
	if (ret == 0)
		return fail(edu, ENOTSUP, VFIO_E_NO_IRQ, VFIO_BY_MODEL, "use the other kind",
			    "edu: the device has no %s", which == EDU_MSI ? "MSI" : "INTx");
	if (edu->interrupt_on) {
		ret = vfio_irq_disable(edu->dev, interrupt_index(edu->interrupt));
		if (ret < 0)
			return library_failed(edu, ret);
		edu->interrupt_on = false;
	}
	ret = vfio_irq_enable(edu->dev, interrupt_index(which), 1, &edu->fd);
	if (ret < 0)
		return library_failed(edu, ret);
	edu->interrupt = which;
	edu->interrupt_on = true;
	return 0;
}

/* ---- operations -------------------------------------------------------------------------- */

int edu_alive(struct edu *edu)
{
	static const uint32_t values[] = { 0, UINT32_MAX, 0x12345678, 0xa5a5a5a5, 1, 0x80000000 };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint32_t back;
		int ret = reg_write(edu, EDU_LIVENESS, values[i]);

		if (ret == 0)
			ret = reg_read(edu, EDU_LIVENESS, &back);
		if (ret < 0)
			return ret;
		if (back != ~values[i])
			return fail(edu, EIO, VFIO_E_DEVICE, VFIO_BY_MODEL, "reset the device",
				    "edu: liveness register: wrote 0x%08" PRIx32
				    ", read 0x%08" PRIx32 ", which is not its inverse",
				    values[i], back);
	}
	return 0;
}

int edu_raise(struct edu *edu, uint32_t bits)
{
	const struct work raise = { .what = "interrupt", .irq = bits };
	int ret;

	if (bits == 0)
		return fail(edu, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, "name a bit",
			    "edu: no bit to raise");
	ret = reg_write(edu, EDU_IRQ_RAISE, bits);
	return ret < 0 ? ret : finish(edu, &raise);
}

int edu_factorial(struct edu *edu, uint32_t n, uint32_t *result)
{
	static const struct work work = {
		"factorial", EDU_IRQ_FACTORIAL, EDU_STATUS, EDU_STATUS_COMPUTING,
	};
	int ret;

	/* 1. The device must be idle. */
	ret = check_idle(edu, &work);
	if (ret < 0)
		return ret;
	/* 2. Ask for an interrupt at the end. */
	ret = reg_write(edu, EDU_STATUS, EDU_STATUS_IRQ);
	if (ret < 0)
		return ret;
	/* 3. Write n, which starts the computation. */
	ret = reg_write(edu, EDU_FACTORIAL, n);
	if (ret < 0)
		return ret;
	/* 4. Wait for the interrupt, acknowledge it, see that the computing bit is clear. */
	ret = finish(edu, &work);
	if (ret < 0)
		return ret;
	/* 5. The register holds the result. */
	return reg_read(edu, EDU_FACTORIAL, result);
}

static int check_copy(struct edu *edu, uint32_t offset, uint64_t iova, uint32_t len)
{
	const uint64_t limit = UINT64_C(1) << EDU_DMA_BITS;

	if (len == 0 || len > EDU_BUFFER_SIZE || offset > EDU_BUFFER_SIZE - len)
		return fail(edu, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
			    "copy 1 to 4096 bytes that lie inside the buffer",
			    "edu: length %" PRIu32 " at offset %" PRIu32
			    " does not fit the device's buffer of %u bytes",
			    len, offset, EDU_BUFFER_SIZE);
	if (iova >= limit || len > limit - iova)
		return fail(edu, EINVAL, VFIO_E_DMA_RANGE, VFIO_BY_LIBRARY,
			    "let vfio_dma_alloc() choose the address",
			    "edu: length %" PRIu32 " at I/O address 0x%" PRIx64
			    " ends above 2^%u, the device's limit",
			    len, iova, EDU_DMA_BITS);
	return 0;
}

static int transfer(struct edu *edu, uint32_t src, uint32_t dst, uint32_t len, uint32_t direction)
{
	static const struct work work = {
		"DMA", EDU_IRQ_DMA, EDU_DMA_CMD, EDU_CMD_START,
	};
	int ret;

	/* 1. The device must be idle. */
	ret = check_idle(edu, &work);
	if (ret < 0)
		return ret;
	/* 2. Where from, where to, how much. */
	ret = reg_write(edu, EDU_DMA_SRC, src) ?:
	      reg_write(edu, EDU_DMA_DST, dst) ?:
	      reg_write(edu, EDU_DMA_CNT, len);
	if (ret < 0)
		return ret;
	/* 3. Start, with an interrupt at the end. */
	ret = reg_write(edu, EDU_DMA_CMD, EDU_CMD_START | EDU_CMD_IRQ | direction);
	if (ret < 0)
		return ret;
	/* 4. Wait for it, acknowledge it, see that the start bit has cleared itself. */
	return finish(edu, &work);
}

int edu_copy_to(struct edu *edu, uint32_t offset, uint64_t iova, uint32_t len)
{
	int ret = check_copy(edu, offset, iova, len);

	return ret < 0 ? ret : transfer(edu, (uint32_t)iova, EDU_BUFFER + offset, len, 0);
}

int edu_copy_from(struct edu *edu, uint64_t iova, uint32_t offset, uint32_t len)
{
	int ret = check_copy(edu, offset, iova, len);

	return ret < 0 ? ret :
	       transfer(edu, EDU_BUFFER + offset, (uint32_t)iova, len, EDU_CMD_TO_RAM);
}

/* ---- open and close ---------------------------------------------------------------------- */

static int check_identity(struct edu *edu)
{
	uint32_t raw = UINT32_MAX, id;
	ssize_t n = vfio_pread(edu->dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, &raw, sizeof(raw));

	if (n < 0)
		return library_failed(edu, n);
	id = le32toh(raw);
	if (id != EDU_VENDOR_DEVICE)
		return fail(edu, ENODEV, VFIO_E_NO_DEVICE, VFIO_BY_LIBRARY,
			    "name an edu device: 'edu', or the socket of one",
			    "edu: the device is %04" PRIx32 ":%04" PRIx32 ", not 1234:11e8",
			    id & 0xffff, id >> 16);
	return check_identification(edu);
}

static int prepare(struct edu *edu)
{
	enum edu_interrupt which;
	int ret;

	/* 1. Is it an edu, and does it answer? */
	ret = check_identity(edu);
	if (ret == 0)
		ret = edu_alive(edu);
	if (ret < 0)
		return ret;

	/* 2. The device drives 28 address bits: memory for it must lie below 256 MiB. */
	ret = vfio_dma_set_bits(edu->dev, EDU_DMA_BITS);
	if (ret < 0)
		return library_failed(edu, ret);

	/* 3. Interrupts: MSI is never shared and needs no unmasking. */
	ret = has_interrupt(edu, EDU_MSI);
	if (ret < 0)
		return ret;
	which = ret ? EDU_MSI : EDU_INTX;
	ret = edu_use_interrupt(edu, which);
	if (ret < 0)
		return ret;

	/* 4. Let it reach memory, which MSI needs as well as DMA. */
	ret = vfio_set_bus_master(edu->dev, true);
	return ret < 0 ? library_failed(edu, ret) : 0;
}

int edu_open(struct edu **edu, const char *device, struct vfio_error *err)
{
	struct edu *e = calloc(1, sizeof(*e));
	int ret;

	*edu = NULL;
	if (!e) {
		if (err)
			*err = (struct vfio_error){ ENOMEM, VFIO_E_NO_MEMORY, VFIO_BY_LIBRARY,
						    "edu: no memory for a handle", "" };
		return -ENOMEM;
	}
	e->deadline_ms = DEADLINE_MS;
	e->fd = -1;
	ret = vfio_open(&e->dev, device, err);
	if (ret == 0) {
		ret = prepare(e);
		if (ret < 0 && err)
			*err = e->error;
	}
	if (ret < 0) {
		edu_close(e);
		return ret;
	}
	*edu = e;
	return 0;
}

void edu_close(struct edu *edu)
{
	if (!edu)
		return;
	vfio_close(edu->dev);
	free(edu);
}

struct vfio_dev *edu_device(struct edu *edu)
{
	return edu->dev;
}
