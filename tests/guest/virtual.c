/* SPDX-License-Identifier: MIT */
#include "virtual.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vfio/device.h>
#include <vfio/driver.h>

/* ---- the device behind it --------------------------------------------------------------- */

struct real {
	struct session *session;
	struct vfio_function *function;
	struct vfio_dev *dev;
	uint8_t *memory[6];
	int io[6];
};

static uint32_t config_read(struct vfio_function *fn, unsigned offset, unsigned width)
{
	struct real *real = vfio_function_state(fn);
	uint32_t value = 0;

	if (pread(real->session->sysfs, &value, width, offset) != (ssize_t)width)
		return UINT32_MAX;
	return value;
}

static void config_write(struct vfio_function *fn, unsigned offset, unsigned width, uint32_t value)
{
	struct real *real = vfio_function_state(fn);

	if (pwrite(real->session->sysfs, &value, width, offset) != (ssize_t)width)
		fail("a write to configuration space");
}

static uint64_t bar_read(struct vfio_function *fn, unsigned bar, uint64_t offset, unsigned width)
{
	struct real *real = vfio_function_state(fn);
	uint64_t value = UINT64_MAX;

	if (real->io[bar] >= 0) {
		for (unsigned i = 0; i < width; i += 4)
			pread(real->io[bar], (uint8_t *)&value + i, width < 4 ? width : 4, offset + i);
		return value;
	}
	switch (width) {
	case 1: return *(volatile uint8_t *)(real->memory[bar] + offset);
	case 2: return *(volatile uint16_t *)(real->memory[bar] + offset);
	case 4: return *(volatile uint32_t *)(real->memory[bar] + offset);
	default: return *(volatile uint64_t *)(real->memory[bar] + offset);
	}
}

static int reset(struct vfio_function *fn)
{
	struct real *real = vfio_function_state(fn);
	int fd = open_attribute(real->session->bdf, "reset", O_WRONLY);
	int r = fd < 0 || write(fd, "1", 1) != 1 ? -errno : 0;

	close(fd);
	return r;
}

static const struct vfio_function_ops with_reset = {
	.size = sizeof(with_reset), .read = bar_read, .reset = reset,
	.config_read = config_read, .config_write = config_write,
};
static const struct vfio_function_ops without_reset = {
	.size = sizeof(without_reset), .read = bar_read,
	.config_read = config_read, .config_write = config_write,
};

/* A kernel without power management has no power/control. */
static void write_attribute(struct session *s, const char *name, const char *value)
{
	int fd = open_attribute(s->bdf, name, O_WRONLY);

	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		fail(name);
	close(fd);
}

/* That there is the attribute does not say that it works. */
static bool can_reset(struct session *s)
{
	int fd = open_attribute(s->bdf, "reset", O_WRONLY);
	bool can = fd >= 0 && write(fd, "1", 1) == 1;

	if (fd >= 0)
		close(fd);
	return can;
}

static void take_bar(struct real *real, struct vfio_bar_description *bar, unsigned i)
{
	struct session *s = real->session;
	uint32_t low = hw32(s, 0x10 + 4 * i);
	char name[16];

	real->io[i] = -1;
	if (!s->bars[i])
		return;
	bar->size = s->bars[i];
	bar->flags = s->io[i] ? VFIO_BAR_IO :
		     (low & 4 ? VFIO_BAR_MEM64 : 0) | (low & 8 ? VFIO_BAR_PREFETCH : 0);
	snprintf(name, sizeof(name), "resource%u", i);
	int fd = open_attribute(s->bdf, name, O_RDWR);
	if (fd < 0)
		fail(name);
	if (s->io[i]) {
		real->io[i] = fd;
		return;
	}
	real->memory[i] = mmap(NULL, s->bars[i], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (real->memory[i] == MAP_FAILED)
		fail(name);
	close(fd);
}

static void virtual_open(struct session *s, const char *token)
{
	struct vfio_function_description d = { .size = sizeof(d) };
	static uint8_t rom[1 << 20] = { 0x55, 0xaa };
	struct real *real = calloc(1, sizeof(*real));
	struct vfio_error err;

	real->session = s;
	s->other = real;
	write_attribute(s, "power/control", "on");
	write_attribute(s, "enable", "1");
	pread(s->sysfs, s->hw, sizeof(s->hw), 0);
	for (unsigned i = 0; i < 6; i++)
		take_bar(real, &d.bars[i], i);
	d.name = s->bdf;
	d.config = s->hw;
	d.config_size = s->size;
	d.rom_size = s->bars[6];
	d.rom = s->bars[6] ? rom : NULL;
	if (vfio_function_new(&real->function, &d, can_reset(s) ? &with_reset : &without_reset,
			      real, &err) < 0 ||
	    vfio_function_open(&real->dev, real->function, &err) < 0)
		fail(err.what);
}

static void virtual_close(struct session *s)
{
	struct real *real = s->other;

	vfio_close(real->dev);
	write_attribute(s, "enable", "0");
	for (unsigned i = 0; i < 6; i++) {
		if (real->io[i] >= 0)
			close(real->io[i]);
		if (real->memory[i])
			munmap(real->memory[i], s->bars[i]);
	}
	free(real);
}

/* ---- what is asked of it ---------------------------------------------------------------- */

static struct vfio_dev *dev_of(struct session *s)
{
	return ((struct real *)s->other)->dev;
}

/* What a call of the system's would have made of it. */
static ssize_t told(ssize_t r)
{
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

static ssize_t virtual_read(struct session *s, void *buf, size_t len, uint64_t offset)
{
	return told(vfio_pread(dev_of(s), offset >> 40, offset & 0xffffffffff, buf, len));
}

static ssize_t virtual_write(struct session *s, const void *buf, size_t len, uint64_t offset)
{
	return told(vfio_pwrite(dev_of(s), offset >> 40, offset & 0xffffffffff, buf, len));
}

static int region(struct session *s, struct vfio_region_info *info)
{
	struct vfio_region found;
	int r = vfio_region(dev_of(s), info->index, &found);

	info->size = found.size;
	info->flags = found.flags;
	return r;
}

static int set_irqs(struct session *s, const struct vfio_irq_set *set)
{
	int r = vfio_irq_set(dev_of(s), set);

	vfio_dispatch(dev_of(s));
	return r;
}

static int virtual_ioctl(struct session *s, unsigned long request, void *arg)
{
	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		return told(vfio_info(dev_of(s), arg));
	case VFIO_DEVICE_GET_REGION_INFO:
		return told(region(s, arg));
	case VFIO_DEVICE_GET_IRQ_INFO:
		return told(vfio_irq_info(dev_of(s), ((struct vfio_irq_info *)arg)->index, arg));
	case VFIO_DEVICE_SET_IRQS:
		return told(set_irqs(s, arg));
	case VFIO_DEVICE_RESET:
		return told(vfio_reset(dev_of(s)));
	}
	return told(-ENOTTY);
}

static void virtual_wait(struct session *s)
{
	vfio_dispatch(dev_of(s));
}

const struct road virtual_road = {
	.open = virtual_open,
	.read = virtual_read,
	.write = virtual_write,
	.ioctl = virtual_ioctl,
	.wait = virtual_wait,
	.close = virtual_close,
};
