/* SPDX-License-Identifier: MIT */
/*
 * Writes to configuration space of a device that it opens, and tells what became of it:
 *
 *   flip STRING           each bit alone, a line for each: the byte's offset, the bit, where the
 *                         write went (VFIO_WENT_…), the byte before, and with the bit flipped; how
 *                         many other bytes changed. And for each byte what is read when the same
 *                         was written again: "OFFSET again BYTE"
 *   flip --size STRING    ones to the BARs and the ROM: all that is read then, in hexadecimal
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vfio/driver.h>

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX

static uint32_t config_size(struct vfio_dev *dev)
{
	struct vfio_region region;

	return vfio_region(dev, CONFIG, &region) < 0 ? 0 : (uint32_t)region.size;
}

static void open_device(struct vfio_dev **dev, const char *string)
{
	struct vfio_error err;

	if (vfio_open(dev, string, &err) == 0)
		return;
	vfio_error_print(stderr, "flip", &err);
	exit(1);
}

static int size_bars(const char *string)
{
	static const uint8_t ones[24] = { [0 ... 23] = 0xff };
	uint8_t config[4096];
	struct vfio_dev *dev;
	ssize_t n;

	open_device(&dev, string);
	vfio_pwrite(dev, CONFIG, 0x10, ones, sizeof(ones));
	vfio_pwrite(dev, CONFIG, 0x30, ones, 4);
	n = vfio_pread(dev, CONFIG, 0, config, config_size(dev));
	for (ssize_t i = 0; i < n; i++)
		printf("%02x", config[i]);
	putchar('\n');
	vfio_close(dev);
	return n <= 0;
}

static void write_byte(struct vfio_dev *dev, uint32_t at, uint8_t value, uint32_t *where)
{
	*where = 0;
	if (vfio_pwrite_where(dev, CONFIG, at, &value, 1, where) == 1)
		return;
	vfio_error_print(stderr, "flip", vfio_last_error(dev));
	exit(1);
}

/* How many bytes other than that at at are not as before. */
static unsigned int count_others(struct vfio_dev *dev, const uint8_t *before, uint32_t size,
				 uint32_t at)
{
	unsigned int count = 0;
	uint8_t now[4096];

	vfio_pread(dev, CONFIG, 0, now, size);
	for (uint32_t i = 0; i < size; i++)
		count += i != at && now[i] != before[i];
	return count;
}

static uint8_t write_again(const char *string, uint32_t at, uint8_t value)
{
	struct vfio_dev *dev;
	uint32_t unused;
	uint8_t then;

	open_device(&dev, string);
	write_byte(dev, at, value, &unused);
	then = vfio_read8(dev, CONFIG, at);
	vfio_close(dev);
	return then;
}

/* The device is as it was when it was made: what a bit sets off cannot reach the next bit. */
static void flip(const char *string, const uint8_t *config, uint32_t size, uint32_t at,
		 unsigned int bit)
{
	struct vfio_dev *dev;
	uint32_t where;

	open_device(&dev, string);
	write_byte(dev, at, config[at] ^ (uint8_t)(1u << bit), &where);
	printf("%u %u %u %u %u %u\n", at, bit, where, config[at], vfio_read8(dev, CONFIG, at),
	       count_others(dev, config, size, at));
	vfio_close(dev);
}

static int flip_all(const char *string)
{
	uint8_t config[4096] = { 0 };
	struct vfio_dev *dev;
	uint32_t size;

	open_device(&dev, string);
	size = config_size(dev);
	vfio_pread(dev, CONFIG, 0, config, size);
	vfio_close(dev);
	for (uint32_t at = 0; at < size; at++) {
		printf("%u again %u\n", at, write_again(string, at, config[at]));
		for (unsigned int bit = 0; bit < 8; bit++)
			flip(string, config, size, at, bit);
	}
	return size == 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--size"))
		return size_bars(argv[2]);
	if (argc == 2)
		return flip_all(argv[1]);
	fprintf(stderr, "usage: flip [--size] STRING\n");
	return 2;
}
