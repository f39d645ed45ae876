/* SPDX-License-Identifier: MIT */
/* Which bits the hardware itself lets be written: what a model of it needs beside its bytes. */
#include "sections.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Bits that must not be written as ones: they would reset the function, or take it away. */
static uint8_t dangerous(const struct session *s, unsigned offset)
{
	unsigned pm = find_cap(s, 0x01), pcie = find_cap(s, 0x10), af = find_cap(s, 0x13);
	unsigned vpd = find_cap(s, 0x03), sriov = find_ext_cap(s, 0x10);

	if (pm && offset == pm + 4)
		return 0x03;
	if (pcie && offset == pcie + 9)
		return 0x80;
	if (sriov && offset >= sriov + 8 && offset < sriov + 0x40)
		return 0xff;
	if ((af && offset == af + 4) || (vpd && offset == vpd + 3))
		return 0xff;
	return offset == 0x0f ? 0xff : 0;
}

static uint8_t try(const struct session *s, unsigned offset, uint8_t value)
{
	uint8_t got = 0;

	pwrite(s->sysfs, &value, 1, offset);
	pread(s->sysfs, &got, 1, offset);
	return got;
}

static uint8_t writable(const struct session *s, unsigned offset)
{
	uint8_t before = 0, avoid = dangerous(s, offset), ones, zeros;

	pread(s->sysfs, &before, 1, offset);
	if (avoid == 0xff)
		return 0;
	ones = try(s, offset, (uint8_t)~avoid);
	zeros = try(s, offset, 0);
	try(s, offset, before);
	return ones & (uint8_t)~zeros;
}

static void stay_awake(const struct session *s)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/power/control", s->bdf);
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return; /* no power management in this kernel: it is awake */
	if (write(fd, "on", 2) != 2)
		printf("# power/control: not written\n");
	close(fd);
	usleep(50000);
}

void print_writable(struct session *s)
{
	uint8_t mask[4096], none[2] = {0, 0};

	stay_awake(s);
	mask[4] = writable(s, 4);
	mask[5] = writable(s, 5);
	pwrite(s->sysfs, none, 2, 4);
	for (unsigned i = 0; i < s->size; i++)
		if (i != 4 && i != 5)
			mask[i] = writable(s, i);
	printf("# The bits that the hardware lets be written, asked after the end.\n");
	for (unsigned i = 0; i < s->size; i += 16) {
		printf("# writable %04x:", i);
		for (unsigned j = i; j < i + 16; j++)
			printf(" %02x", mask[j]);
		printf("\n");
	}
}
